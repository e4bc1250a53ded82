//! How letters of a member are answered and forwarded by themselves (RUL-06, RUL-07), and who may have them forwarded (RUL-08).
//!
//! What a member says of it stands with his rules, and is said upon what was seen likewise. An address elsewhere gets nothing
//! before the code was said that went there; only the account's owner asks for it, in a session, and says it.

use std::collections::{BTreeMap, BTreeSet};

use pennypost_directory::rules::{
    AutoReply, Automatic, Closed, Condition, Rule, RuleAction, RulesError, RulesFault, Way, Ways,
};
use pennypost_directory::{
    DirectoryError, FORWARD_CODE_MINUTES, ForwardTargets, ForwardingRules, MailAddress, MemberRules,
    SaidRules,
};
use pennypost_model::{AccountKey, TenantId};
use pennypost_text::say;
use serde_json::{Value, json};

use crate::action::Action;
use crate::authorise::{Actor, Scope, Why};
use crate::call::{About, Call};
use crate::notices::{Notice, NoticePlace, NoticeSent, both};
use crate::{AdminError, Administration, Conflict, Invalid};

/// Accounts that the log of operations names of a change.
const MAX_TOLD: usize = 100;

/// How letters of a member are answered and forwarded, as it is shown.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SeenAutomatic {
    stored: MemberRules,
    /// What he has said.
    pub automatic: Automatic,
    /// Where the targets lead, those of his rules, too.
    pub ways: Ways,
    /// Addresses elsewhere that have agreed, and one that was asked.
    pub targets: ForwardTargets,
    /// The organisation lets the account forward.
    pub may_forward: bool,
    /// What is stored can't be read.
    pub unreadable: bool,
}

/// How much was said, for the log of operations: not what.
fn told(automatic: &Automatic) -> Value {
    let reply = automatic.reply.as_ref().map(|reply| reply.enabled);
    let forward = automatic.forward.as_ref();
    json!({
        "reply": reply, "forward": forward.map(|forward| forward.enabled),
        "targets": forward.map_or(0, |forward| forward.to.len()), "keep": forward.map(|forward| forward.keep),
    })
}

/// Does it say no more than what was said before: are there no other texts or targets, and is nothing switched on?
fn says_no_more(before: &MemberRules, after: &MemberRules) -> bool {
    let (old, new) =
        (before.automatic.clone().unwrap_or_default(), after.automatic.clone().unwrap_or_default());
    let reply_is_known = new.reply.as_ref().is_none_or(|new| {
        old.reply.as_ref().is_some_and(|old| {
            (old.enabled || !new.enabled) && *new == AutoReply { enabled: new.enabled, ..old.clone() }
        })
    });
    let forward_is_known = new.forward.as_ref().is_none_or(|new| {
        old.forward.as_ref().is_some_and(|old| {
            (old.enabled || !new.enabled)
                && (new.keep || !old.keep)
                && new.to.iter().all(|to| old.to.contains(to))
        })
    });
    let sent = |rule: &Rule| -> Vec<RuleAction> {
        let is_sent = |action: &&RuleAction| {
            matches!(action, RuleAction::Reply(_) | RuleAction::Forward(_) | RuleAction::Refuse(_))
        };
        rule.actions.iter().filter(is_sent).cloned().collect()
    };
    let is_rule_known = |rule: &Rule| {
        // Which rule held is seen in traces: by words of the text others would learn what is in letters.
        let asks_for_text = rule.conditions.iter().any(Condition::asks_for_text);
        (sent(rule).is_empty() && !asks_for_text)
            || before.rules.iter().any(|old| {
                let known = sent(old);
                (old.enabled || !rule.enabled)
                    && (old.moment, old.join, &old.conditions) == (rule.moment, rule.join, &rule.conditions)
                    && sent(rule).iter().all(|action| known.contains(action))
            })
    };
    reply_is_known && forward_is_known && after.rules.iter().all(is_rule_known)
}

fn difference(said: &ForwardingRules, other: &ForwardingRules) -> Value {
    let differ = said.accounts.iter().filter(|(account, may)| other.accounts.get(account) != Some(may));
    let mut accounts: Vec<Value> =
        differ.map(|(account, may)| json!({ "account": account.to_string(), "allowed": may })).collect();
    let more = accounts.len().saturating_sub(MAX_TOLD);
    accounts.truncate(MAX_TOLD);
    let mut told = json!({});
    if said.everybody != other.everybody {
        told["everybody"] = said.everybody.into();
    }
    if !accounts.is_empty() {
        told["accounts"] = accounts.into();
    }
    if more > 0 {
        told["more"] = more.into();
    }
    told
}

impl Administration {
    /// Where the targets of a member's forwarding lead today.
    async fn forward_ways(&self, key: AccountKey, rules: &MemberRules) -> Result<Ways, AdminError> {
        let targets: Vec<MailAddress> = rules.forwards().map(|(_, to)| to.clone()).collect();
        if targets.is_empty() {
            return Ok(Ways::new());
        }
        Ok(self.directory.forward_ways(key, &targets).await?)
    }

    /// Can these be targets? One that was one before may stay, whatever has become of it.
    pub(crate) async fn check_forwards(
        &self,
        key: AccountKey,
        before: &MemberRules,
        rules: &MemberRules,
    ) -> Result<(), AdminError> {
        let ways = self.forward_ways(key, rules).await?;
        for (at, to) in rules.forwards() {
            let fault = match ways.get(to) {
                _ if before.forwards().any(|(_, known)| known == to) => continue,
                Some(Way::Closed(Closed::Group)) => RulesFault::TargetGroup,
                Some(Way::Closed(Closed::Oneself)) => RulesFault::TargetOwn,
                Some(Way::Closed(Closed::Nobody)) => RulesFault::TargetNobody,
                _ => continue,
            };
            return Err(DirectoryError::from(RulesError { at, fault }).into());
        }
        Ok(())
    }

    /// May the actor say that in the member's name? The owner may; whoever runs the program on the machine may, too, as it has
    /// all mail anyway, and the owner is told; others take away and switch off only: they would read what is not theirs. Gives
    /// the addresses of which the owner is to be told.
    pub(crate) async fn said_by(
        &self,
        call: &Call,
        about: &About<'_>,
        (key, before, after): (AccountKey, &MemberRules, &MemberRules),
    ) -> Result<Vec<String>, AdminError> {
        match &call.actor {
            Actor::Person { account, .. } if *account == key => Ok(Vec::new()),
            Actor::Operator => {
                let known: BTreeSet<&MailAddress> = before.open_forwards().collect();
                let fresh: BTreeSet<&MailAddress> =
                    after.open_forwards().filter(|to| !known.contains(to)).collect();
                Ok(fresh.into_iter().map(ToString::to_string).collect())
            }
            _ if says_no_more(before, after) => Ok(Vec::new()),
            _ => {
                self.note_denied(call, about, Why::NoPermission).await?;
                Err(AdminError::Denied(Why::NoPermission))
            }
        }
    }

    /// Tells the owner where his letters are forwarded to since somebody else has said so.
    pub(crate) async fn tell_forwards(&self, key: AccountKey, login: &str, targets: &[String]) {
        if targets.is_empty() {
            return;
        }
        let domain = login.rsplit('@').next().unwrap_or_default();
        let subject = both(|text| say!(text, "letter-forward-set-subject"), " / ");
        let targets = targets.join(", ");
        let body =
            both(|text| say!(text, "letter-forward-set", login = login, targets = targets.as_str()), "\n\n");
        let notice =
            Notice { domain, to: login, place: NoticePlace::Mailbox(key), subject: &subject, text: &body };
        match self.send_notice(&notice).await {
            Ok(NoticeSent::Sent) => {}
            Ok(NoticeSent::Unsent) => tracing::warn!(account = %key, "the account takes no letters"),
            Err(error) => tracing::warn!(account = %key, %error, "the letter about forwarding did not go"),
        }
    }

    /// How letters of a member are answered and forwarded by themselves.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn automatic(&self, call: &Call, key: AccountKey) -> Result<SeenAutomatic, AdminError> {
        self.seen(call, Action::AutomaticRead, key).await?;
        let SaidRules { rules, unreadable } = self.directory.member_rules(key).await?;
        self.shown_automatic(key, rules, unreadable).await
    }

    async fn shown_automatic(
        &self,
        key: AccountKey,
        stored: MemberRules,
        unreadable: bool,
    ) -> Result<SeenAutomatic, AdminError> {
        let ways = self.forward_ways(key, &stored).await?;
        let targets = self.directory.forward_targets(key).await?;
        let may_forward = self.directory.forwarding_rules(key.tenant).await?.allows(key.account);
        let automatic = stored.automatic.clone().unwrap_or_default();
        Ok(SeenAutomatic { stored, automatic, ways, targets, may_forward, unreadable })
    }

    /// Says how letters of a member are answered and forwarded by themselves, if what he has said is still what was seen. What
    /// can't be carried out yet is kept, and told.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn change_automatic(
        &self,
        call: &Call,
        key: AccountKey,
        seen: &SeenAutomatic,
        automatic: &Automatic,
    ) -> Result<SeenAutomatic, AdminError> {
        let object = key.account.to_string();
        let about = About::new(Some(key.tenant), Action::AutomaticChange, &object);
        let account = self.permitted(call, &about, key).await?;
        let automatic = Some(automatic.clone()).filter(|automatic| *automatic != Automatic::default());
        let rules = MemberRules { automatic, ..seen.stored.clone() };
        rules.check().map_err(DirectoryError::from)?;
        self.check_forwards(key, &seen.stored, &rules).await?;
        let address = account.address.to_string();
        let fresh = self.said_by(call, &about, (key, &seen.stored, &rules)).await?;
        let mut after = told(&rules.automatic.clone().unwrap_or_default());
        if !fresh.is_empty() {
            after["to"] = fresh.clone().into();
        }
        let about = About { object: &address, ..about }.from(told(&seen.automatic)).to(after);
        self.act(call, &about, async {
            match self.directory.change_member_rules(key, &seen.stored, &rules).await {
                Ok(true) => Ok(()),
                Ok(false) => Err(AdminError::Changed),
                Err(error) => Err(error.into()),
            }
        })
        .await?;
        self.tell_forwards(key, &address, &fresh).await;
        self.shown_automatic(key, rules, false).await
    }

    /// Sends a code to an address elsewhere to which the owner wants his letters forwarded.
    ///
    /// # Errors
    /// [`AdminError`]; [`Conflict::NotFromHere`] where nothing is sent there, or the address is the organisation's: that needs
    /// no code.
    #[pennypost_ports::compiled_here]
    pub async fn begin_forward_target(
        &self,
        call: &Call,
        key: AccountKey,
        address: &str,
    ) -> Result<(), AdminError> {
        let object = key.account.to_string();
        let about = About::new(Some(key.tenant), Action::ForwardTargetSet, &object);
        let (login, _) = self.permitted_owner(call, &about, key).await?;
        let address = MailAddress::parse(address).map_err(DirectoryError::from)?;
        let to = address.to_string();
        self.must_be_outside(key.tenant, &address).await?;
        if !self.directory.may_forward_outside(key).await? {
            return Err(AdminError::Conflict(Conflict::MayNotForward));
        }
        let about = About { object: &login, ..about }.to(json!({ "forward_target": to, "code": "sent" }));
        let sending = async {
            let code = self.directory.begin_forward_target(key, &address).await?;
            let code = code.ok_or(AdminError::TooManyLetters)?;
            let domain = login.rsplit('@').next().unwrap_or_default();
            let subject = both(|text| say!(text, "letter-forward-code-subject"), " / ");
            let body = both(
                |text| {
                    let (login, code) = (login.as_str(), code.as_str());
                    let hours = FORWARD_CODE_MINUTES / 60;
                    say!(text, "letter-forward-code", login = login, code = code, hours = hours)
                },
                "\n\n",
            );
            let place = NoticePlace::Outside(key);
            let notice = Notice { domain, to: &to, place, subject: &subject, text: &body };
            match self.send_notice(&notice).await? {
                NoticeSent::Sent => Ok(()),
                NoticeSent::Unsent => Err(AdminError::Conflict(Conflict::NotFromHere)),
            }
        };
        self.act(call, &about, sending).await
    }

    /// Says the code that went there: letters may be forwarded to that address from now on. The account is told so.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn finish_forward_target(
        &self,
        call: &Call,
        key: AccountKey,
        code: &str,
    ) -> Result<SeenAutomatic, AdminError> {
        let object = key.account.to_string();
        let about = About::new(Some(key.tenant), Action::ForwardTargetSet, &object);
        let (login, _) = self.permitted_owner(call, &about, key).await?;
        let about = About { object: &login, ..about }.to(json!({ "forward_target": "confirmed" }));
        let finishing = async {
            let proved = self.directory.finish_forward_target(key, code).await?;
            proved.ok_or(AdminError::Code(pennypost_directory::SignInError::Denied))
        };
        let proved = self.act(call, &about, finishing).await?.to_string();
        let domain = login.rsplit('@').next().unwrap_or_default();
        let subject = both(|text| say!(text, "letter-forward-subject"), " / ");
        let body = both(
            |text| {
                let (login, address) = (login.as_str(), proved.as_str());
                say!(text, "letter-forward", login = login, address = address)
            },
            "\n\n",
        );
        let notice =
            Notice { domain, to: &login, place: NoticePlace::Mailbox(key), subject: &subject, text: &body };
        match self.send_notice(&notice).await {
            Ok(NoticeSent::Sent) => {}
            Ok(NoticeSent::Unsent) => tracing::warn!(account = %key, "the account takes no letters"),
            Err(error) => {
                tracing::warn!(account = %key, %error, "the letter about a target of forwarding did not go");
            }
        }
        let SaidRules { rules, unreadable } = self.directory.member_rules(key).await?;
        self.shown_automatic(key, rules, unreadable).await
    }

    /// Nothing is forwarded to that address elsewhere any more, until its owner agrees anew.
    ///
    /// # Errors
    /// [`AdminError`]; [`AdminError::NotFound`] where he had not agreed.
    #[pennypost_ports::compiled_here]
    pub async fn remove_forward_target(
        &self,
        call: &Call,
        key: AccountKey,
        address: &str,
    ) -> Result<(), AdminError> {
        let object = key.account.to_string();
        let about = About::new(Some(key.tenant), Action::ForwardTargetSet, &object);
        let (login, _) = self.permitted_owner(call, &about, key).await?;
        let address = MailAddress::parse(address).map_err(DirectoryError::from)?;
        let about = About { object: &login, ..about }
            .from(json!({ "forward_target": address.to_string() }))
            .to(json!({ "forward_target": null }));
        let removing = async {
            let is_gone = self.directory.remove_forward_target(key, &address).await?;
            if is_gone { Ok(()) } else { Err(AdminError::NotFound("forward target")) }
        };
        self.act(call, &about, removing).await
    }

    /// Who may have letters forwarded by themselves.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn forwarding_rules(
        &self,
        call: &Call,
        tenant: TenantId,
    ) -> Result<ForwardingRules, AdminError> {
        call.may(Action::ForwardingRead, &Scope::Tenant(tenant))?;
        self.stored_tenant(tenant).await?;
        Ok(self.directory.forwarding_rules(tenant).await?)
    }

    /// Says who may, if what holds is still as `expected`. What members have said is kept, and carried out as far as they may.
    ///
    /// # Errors
    /// [`Invalid::NoAccount`] for an account that is not there, or others of [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn change_forwarding_rules(
        &self,
        call: &Call,
        tenant: TenantId,
        expected: &ForwardingRules,
        rules: &ForwardingRules,
    ) -> Result<(), AdminError> {
        let about = About::new(Some(tenant), Action::ForwardingChange, "forwarding")
            .from(difference(expected, rules))
            .to(difference(rules, expected));
        self.permit(call, &Scope::Tenant(tenant), &about).await?;
        self.stored_tenant(tenant).await?;
        self.act(call, &about, async {
            match self.directory.change_forwarding_rules(tenant, expected, rules).await {
                Ok(true) => Ok(()),
                Ok(false) => Err(AdminError::Changed),
                Err(DirectoryError::NoAccount(_)) => Err(Invalid::NoAccount.into()),
                Err(error) => Err(error.into()),
            }
        })
        .await
    }
}

/// Where targets lead, as programs read it.
#[must_use]
pub fn way_names(ways: &Ways) -> BTreeMap<String, &'static str> {
    let name = |way: &Way| match way {
        Way::Inside(_) => "inside",
        Way::Outside => "confirmed",
        Way::Closed(why) => why.name(),
    };
    ways.iter().map(|(to, way)| (to.to_string(), name(way))).collect()
}
