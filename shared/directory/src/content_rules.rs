//! What an organisation says of what stands in its members' letters: which go, and which don't.
//!
//! `T`/`content-rules` holds all of it. That something was ever said stands in the tenant's own item, which submission reads
//! anyway: others pay nothing. It is set before the first word is written, and stays; where it is wrong it costs a read.

use std::collections::BTreeSet;
use std::sync::Arc;

use pennypost_mime::contents::contents;
use pennypost_model::TenantId;
use pennypost_model::codec::{Versioned, encode};
use pennypost_policy::content::{
    ContentFacts, ContentFault, ContentFilter, ContentLetter, ContentProblem, ContentRule, check,
};
use pennypost_ports::{Consistency, ControlKey, Expected};
use serde::{Deserialize, Serialize};

use crate::content_looking::filter_of;
use crate::sending_rules::{Known, Place};
use crate::{Account, Directory, DirectoryError, MAX_SENDING_TAGS, SendingTarget, Standing, TagId};

/// Whom a rule names, and whom it leaves out, together.
pub const MAX_CONTENT_TARGETS: usize = 200;
/// Bytes of text of a letter that are looked at.
pub const MAX_CONTENT_LOOKED: usize = 1024 * 1024;
/// Bytes of all that is said: one item.
const MAX_BYTES: usize = 64 * 1024;

/// Whose letters a rule is about.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContentWhom {
    /// Everybody's.
    pub everybody: bool,
    /// Theirs.
    pub named: BTreeSet<SendingTarget>,
    /// Not theirs.
    pub except: BTreeSet<SendingTarget>,
}

impl ContentWhom {
    fn targets(&self) -> impl Iterator<Item = SendingTarget> {
        self.named.iter().chain(&self.except).copied()
    }

    fn holds(&self, place: &Place) -> bool {
        let is_held =
            |targets: &BTreeSet<SendingTarget>| targets.iter().any(|target| place.is_held_by(*target));
        (self.everybody || is_held(&self.named)) && !is_held(&self.except)
    }
}

/// A rule, and whose letters it is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContentRuleOf {
    /// Whose.
    pub whom: ContentWhom,
    /// What it asks and does.
    pub rule: ContentRule,
}

/// All that an organisation says of contents, in the order in which it is asked.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContentRules {
    /// The rules.
    pub rules: Vec<ContentRuleOf>,
}

impl Versioned for ContentRules {
    const KIND: &'static str = "content rules";
}

/// Why something is not said.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ContentError {
    /// It can't be.
    #[error(transparent)]
    Problem(#[from] ContentProblem),
    /// The directory's.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
}

fn at(pointer: String, fault: ContentFault) -> ContentProblem {
    ContentProblem { pointer, fault }
}

impl ContentRules {
    /// Can that be said?
    ///
    /// # Errors
    /// The first that is wrong.
    pub fn check(&self) -> Result<(), ContentProblem> {
        check(self.rules.iter().map(|of| &of.rule))?;
        for (number, ContentRuleOf { whom, .. }) in self.rules.iter().enumerate() {
            if !whom.everybody && whom.named.is_empty() {
                return Err(at(format!("/rules/{number}/whom"), ContentFault::Nobody));
            }
            if whom.named.len() + whom.except.len() > MAX_CONTENT_TARGETS {
                return Err(at(format!("/rules/{number}/whom"), ContentFault::Targets));
            }
        }
        if tags(self.targets()).len() > MAX_SENDING_TAGS {
            return Err(at("/rules".to_owned(), ContentFault::Targets));
        }
        if encode(self).len() > MAX_BYTES { Err(at(String::new(), ContentFault::TooLarge)) } else { Ok(()) }
    }

    fn targets(&self) -> impl Iterator<Item = SendingTarget> {
        self.rules.iter().flat_map(|of| of.whom.targets())
    }
}

fn tags(targets: impl Iterator<Item = SendingTarget>) -> BTreeSet<TagId> {
    targets.filter_map(|target| if let SendingTarget::Tag(id) = target { Some(id) } else { None }).collect()
}

/// A letter as rules look at it, of which so many recipients are outside. Takes time linear in its bytes and in what documents in it
/// unpack to, which may be far more: see [`crate::look_into`].
#[must_use]
pub fn content_letter(raw: &[u8], outside: usize) -> ContentLetter {
    let (structure, facts) = pennypost_mime::parse(raw);
    let found = contents(&structure, raw, MAX_CONTENT_LOOKED);
    let attached = found.attached.into_iter().map(|one| (one.name, one.media_type));
    ContentLetter::new(ContentFacts {
        subject: facts.subject,
        text: found.text,
        attached: attached.collect(),
        size: raw.len() as u64,
        outside: u32::try_from(outside).unwrap_or(u32::MAX),
        is_encrypted: found.is_encrypted,
        is_unread: found.is_unread,
    })
}

fn key_of(tenant: TenantId) -> ControlKey {
    ControlKey::new(tenant.to_string(), "content-rules")
}

impl Directory {
    /// What an organisation says of what stands in its members' letters.
    ///
    /// # Errors
    /// The port's.
    #[pennypost_ports::compiled_here]
    pub async fn content_rules(&self, tenant: TenantId) -> Result<ContentRules, DirectoryError> {
        let held = self.read::<ContentRules>(&key_of(tenant), Consistency::Strong).await?;
        Ok(held.map(|held| held.value).unwrap_or_default())
    }

    /// Says something else, if what holds is still as expected; `false` if it is not.
    ///
    /// # Errors
    /// [`ContentProblem`]; [`DirectoryError::NoDepartment`], [`DirectoryError::NoTag`] or [`DirectoryError::NoAccount`] for
    /// somebody who was not named before and is not there; or the port's.
    #[pennypost_ports::compiled_here]
    pub async fn change_content_rules(
        &self,
        tenant: TenantId,
        expected: &ContentRules,
        rules: &ContentRules,
    ) -> Result<bool, ContentError> {
        rules.check()?;
        let key = key_of(tenant);
        let held = self.read::<ContentRules>(&key, Consistency::Strong).await?;
        let (stored, version) = match held {
            Some(held) => (held.value, Expected::Version(held.version)),
            None => (ContentRules::default(), Expected::Absent),
        };
        if stored != *expected {
            return Ok(false);
        }
        if stored == *rules {
            return Ok(true);
        }
        let known: BTreeSet<SendingTarget> = stored.targets().collect();
        let fresh = rules.targets().filter(|target| !known.contains(target)).collect();
        self.check_targets(tenant, fresh).await?;
        // Whoever hands a letter in knows by that that there is something to be read.
        let found = self.tenant(tenant).await?;
        let found = found.ok_or_else(|| DirectoryError::NoTenant(tenant.to_string()))?;
        if !found.has_content_rules {
            self.change_tenant(tenant, |tenant| tenant.has_content_rules = true).await?;
        }
        Ok(self.write(&key, rules, version).await?.is_some())
    }

    /// The rules about an account's letters, ready to be asked, where somebody else perhaps uses it: what is said of either holds. One
    /// read; where rules name departments or tags, the tree and one for each tag. Where the same rules hold it is the same.
    ///
    /// # Errors
    /// The port's, or [`DirectoryError::Busy`] where rules can't be compiled now.
    #[pennypost_ports::compiled_here]
    pub async fn content_filter(
        &self,
        account: &Account,
        user: Option<&Account>,
    ) -> Result<Arc<ContentFilter>, DirectoryError> {
        let tenant = account.key.tenant;
        let held = self.read::<ContentRules>(&key_of(tenant), Consistency::Eventual).await?;
        let rules = held.map(|held| held.value).unwrap_or_default();
        let rules = self.content_rules_among(rules, account, user).await?;
        filter_of(tenant, rules).await.map_err(|error| {
            tracing::error!(%tenant, %error, "rules about contents can't be compiled");
            DirectoryError::Busy
        })
    }

    /// Those of these rules that are on and about an account's letters, whatever was said.
    ///
    /// # Errors
    /// The port's.
    #[pennypost_ports::compiled_here]
    pub async fn content_rules_among(
        &self,
        rules: ContentRules,
        account: &Account,
        user: Option<&Account>,
    ) -> Result<Vec<ContentRule>, DirectoryError> {
        let rules: Vec<ContentRuleOf> = rules.rules.into_iter().filter(|of| of.rule.enabled).collect();
        let targets = || rules.iter().flat_map(|of| of.whom.targets());
        let is_clear = targets().all(|target| matches!(target, SendingTarget::Account(_)));
        let named = tags(targets());
        let known =
            if is_clear { Known::default() } else { self.known_for(account.key.tenant, named).await? };
        let places: Vec<Place> =
            [Some(account), user].into_iter().flatten().map(|one| known.place(one)).collect();
        let theirs = rules.into_iter().filter(|of| places.iter().any(|place| of.whom.holds(place)));
        Ok(theirs.map(|of| of.rule).collect())
    }

    /// The same for what a session stands on.
    ///
    /// # Errors
    /// The port's.
    #[pennypost_ports::compiled_here]
    pub async fn content_filter_of(&self, standing: &Standing) -> Result<Arc<ContentFilter>, DirectoryError> {
        self.content_filter(&standing.account, standing.user.as_deref()).await
    }
}

#[cfg(test)]
mod tests {
    use pennypost_model::AccountId;
    use pennypost_policy::content::{ContentAction, ContentCondition};
    use pennypost_policy::rules::Join;

    use super::*;

    fn of(whom: ContentWhom) -> ContentRules {
        let rule = ContentRule {
            name: "x".to_owned(),
            enabled: true,
            is_outside_only: false,
            join: Join::Any,
            conditions: vec![ContentCondition::Unread],
            action: ContentAction::Note,
        };
        ContentRules { rules: vec![ContentRuleOf { whom, rule }] }
    }

    #[test]
    fn a_rule_is_about_somebody() {
        let everybody = ContentWhom { everybody: true, ..ContentWhom::default() };
        assert_eq!(of(everybody.clone()).check(), Ok(()));
        let nobody = of(ContentWhom::default()).check().expect_err("nobody");
        assert_eq!((nobody.pointer.as_str(), nobody.fault), ("/rules/0/whom", ContentFault::Nobody));
        let many = (0..=MAX_CONTENT_TARGETS as u64).map(|id| SendingTarget::Account(AccountId(id)));
        let many = of(ContentWhom { except: many.collect(), ..everybody }).check().expect_err("too many");
        assert_eq!(many.fault, ContentFault::Targets);
    }
}
