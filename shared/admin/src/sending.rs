//! What an organisation says of its members' letters to others: who sends none (SND-22), and how often the others may (SND-21).

use pennypost_directory::{DirectoryError, Frequency, OutsideUse, Outward, SendingRules, SendingTarget};
use pennypost_model::{AccountKey, TenantId};
use serde_json::{Value, json};

use crate::action::Action;
use crate::authorise::Scope;
use crate::call::{About, Call};
use crate::{AdminError, Administration, Invalid};

/// Lines of a change that the log of operations tells; of the others, how many.
const MAX_TOLD: usize = 100;

/// What holds for the letters of an account to others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sending {
    /// May it send any, and how often?
    pub outward: Outward,
    /// What it has sent of late, where it is said how often it may.
    pub used: Option<OutsideUse>,
}

fn frequency_document(limit: Option<Frequency>) -> Value {
    json!(limit.map(|limit| json!({ "messages": limit.messages(), "minutes": limit.minutes() })))
}

fn target_name(target: SendingTarget) -> String {
    match target {
        SendingTarget::Department(id) => format!("department {id}"),
        SendingTarget::Tag(id) => format!("tag {}", id.0),
        SendingTarget::Account(id) => format!("account {id}"),
    }
}

/// What one says and the other doesn't.
fn difference(said: &SendingRules, other: &SendingRules) -> Value {
    let forbidden = said.forbidden.difference(&other.forbidden);
    let forbidden: Vec<Value> = forbidden.map(|target| target_name(*target).into()).collect();
    let limits = said.limits.iter().filter(|(target, limit)| other.limits.get(target) != Some(limit));
    let limits = limits
        .map(|(target, limit)| json!({ "of": target_name(*target), "limit": frequency_document(*limit) }));
    let mut told = json!({});
    for (name, mut lines) in [("forbidden", forbidden), ("limits", limits.collect())] {
        let more = lines.len().saturating_sub(MAX_TOLD);
        lines.truncate(MAX_TOLD);
        if more > 0 {
            lines.push(json!({ "more": more }));
        }
        if !lines.is_empty() {
            told[name] = lines.into();
        }
    }
    if said.everybody != other.everybody {
        told["everybody"] = frequency_document(said.everybody);
    }
    told
}

impl Administration {
    /// What an organisation says of letters to others.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn sending_rules(&self, call: &Call, tenant: TenantId) -> Result<SendingRules, AdminError> {
        call.may(Action::SendingRulesRead, &Scope::Tenant(tenant))?;
        self.stored_tenant(tenant).await?;
        Ok(self.directory.sending_rules(tenant).await?)
    }

    /// Says something else, if what holds is still as `expected`. It holds from then on.
    ///
    /// # Errors
    /// [`Invalid::NoAccount`] for an account that is not there, or others of [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn change_sending_rules(
        &self,
        call: &Call,
        tenant: TenantId,
        expected: &SendingRules,
        rules: &SendingRules,
    ) -> Result<(), AdminError> {
        let about = About::new(Some(tenant), Action::SendingRulesChange, "sending-rules")
            .from(difference(expected, rules))
            .to(difference(rules, expected));
        self.permit(call, &Scope::Tenant(tenant), &about).await?;
        self.stored_tenant(tenant).await?;
        self.act(call, &about, async {
            match self.directory.change_sending_rules(tenant, expected, rules).await {
                Ok(true) => Ok(()),
                Ok(false) => Err(AdminError::Changed),
                Err(DirectoryError::NoAccount(_)) => Err(Invalid::NoAccount.into()),
                Err(error) => Err(error.into()),
            }
        })
        .await
    }

    /// What holds for the letters of an account to others, and what it has sent of late.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn account_sending(&self, call: &Call, key: AccountKey) -> Result<Sending, AdminError> {
        let account = self.account(call, key).await?;
        let outward = self.directory.outward(&account).await?;
        let used = match outward {
            Outward::Open(Some(limit)) => Some(self.directory.sent_outside(key, limit).await?),
            Outward::Open(None) | Outward::Forbidden => None,
        };
        Ok(Sending { outward, used })
    }
}

#[cfg(test)]
mod tests {
    use pennypost_directory::{DepartmentId, TagId};
    use pennypost_model::AccountId;

    use super::*;

    #[test]
    fn the_log_tells_what_is_different_and_how_much_more() {
        use SendingTarget::{Account, Department, Tag};
        let limit = Frequency::new(5, 60).ok();
        let before = SendingRules {
            forbidden: [Department(DepartmentId(3)), Tag(TagId(2))].into(),
            everybody: None,
            limits: [(Tag(TagId(2)), limit), (Tag(TagId(3)), limit)].into(),
        };
        let mut after = before.clone();
        after.forbidden.remove(&Tag(TagId(2)));
        after.everybody = limit;
        after.limits.insert(Tag(TagId(3)), None);
        assert_eq!(
            difference(&before, &after),
            json!({
                "forbidden": ["tag 2"], "limits": [{ "of": "tag 3", "limit": { "messages": 5, "minutes": 60 } }],
                "everybody": null,
            })
        );
        assert_eq!(
            difference(&after, &before),
            json!({
                "limits": [{ "of": "tag 3", "limit": null }], "everybody": { "messages": 5, "minutes": 60 },
            })
        );
        after.forbidden.extend((0..103).map(|number| Account(AccountId(number))));
        let told = &difference(&after, &before)["forbidden"];
        assert_eq!((told.as_array().map(Vec::len), &told[100]), (Some(101), &json!({ "more": 3 })));
    }
}
