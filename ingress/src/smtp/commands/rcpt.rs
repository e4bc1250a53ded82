//! RCPT (RFC 5321 section 4.1.1.3): the one place where a recipient is refused.

use std::sync::Arc;

use pennypost_directory::{
    Admission, Blockable, Capacities, DirectoryError, Elsewhere, MailAddress, Reach, Reached, Resolved,
    TenantPolicy,
};
use pennypost_model::event::{AuthResults, Recipient, Verdict, Via};
use pennypost_model::{AccountKey, TenantId};
use tokio::time::Instant;
use tracing::{debug, warn};

use crate::smtp::Role;
use crate::smtp::authenticate::{Sender, SpfAnswer};
use crate::smtp::command::Rcpt;
use crate::smtp::reply::Reply;
use crate::smtp::session::Session;
use crate::smtp::submission::{Destination, destination};
use crate::smtp::transaction::{Spf, Tenant};

/// Strangers that a refusal names.
const NAMED: usize = 3;

/// Bytes of their names at most: the line of a reply has 512 (RFC 5321 section 4.5.3.1.5).
const NAMED_BYTES: usize = 330;

/// The first of them, and how many there are beside those.
fn named(strangers: &[MailAddress]) -> String {
    let mut left = NAMED_BYTES;
    let names = strangers.iter().map(ToString::to_string).filter(|name| {
        let fits = name.is_ascii() && name.len() + 2 <= left;
        left -= if fits { name.len() + 2 } else { 0 };
        fits
    });
    let names: Vec<String> = names.take(NAMED).collect();
    match (names.join(", "), strangers.len() - names.len()) {
        (names, 0) => names,
        (names, others) if names.is_empty() => format!("{others} of them"),
        (names, others) => format!("{names} and {others} more"),
    }
}

/// A refusal with its reason for the metrics.
struct Refusal(&'static str, Reply);

fn is_outside(recipient: &Recipient) -> bool {
    recipient.via == Via::Outside
}

fn not_alone() -> Refusal {
    let text = "a report about a letter comes alone, send the rest separately";
    Refusal("report", Reply::new(452, "4.5.3", text))
}

fn only_reports() -> Refusal {
    Refusal("report", Reply::new(550, "5.7.1", "only reports from <> go to this address"))
}

/// Where an address leads.
struct Found {
    tenant: TenantId,
    recipients: Vec<Recipient>,
    elsewhere: Option<Elsewhere>,
    capacities: Option<Capacities>,
}

impl Session {
    pub(super) async fn rcpt(&mut self, rcpt: Rcpt) {
        if rcpt.is_extended() && self.role != Role::Submission {
            return self.mistake(&Reply::new(555, "5.5.4", "unknown RCPT parameter"));
        }
        let address = rcpt.address.clone();
        let Some(transaction) = &self.transaction else {
            return self.mistake(&Reply::bad_sequence("say MAIL first"));
        };
        if transaction.chunks.is_some() {
            return self.mistake(&Reply::bad_sequence("the message has begun"));
        }
        if !transaction.utf8 && !address.is_ascii() {
            let reply = Reply::new(553, "5.6.7", "an address with non-ASCII characters needs SMTPUTF8");
            return self.mistake(&reply);
        }
        let limits = &self.adapter.limits;
        let most = match self.role {
            Role::Exchange | Role::Home(_) => limits.smtp.recipients,
            Role::Submission => limits.submission.recipients,
        };
        if transaction.accepted >= most {
            return self.reply(&Reply::new(452, "4.5.3", "too many recipients, send the rest separately"));
        }
        match self.admit(&address).await {
            Ok(()) => {
                if let Some(transaction) = &mut self.transaction {
                    transaction.wish(rcpt);
                }
                self.reply(&Reply::new(250, "2.1.5", "ok"));
            }
            Err(Refusal(reason, reply)) => self.refuse_recipient(reason, &reply).await,
        }
    }

    async fn refuse_recipient(&mut self, reason: &'static str, reply: &Reply) {
        self.adapter.metrics.refused.with_label_values(&[reason]).inc();
        debug!(reason, code = reply.code, "recipient is refused");
        if reply.is_permanent_failure() {
            self.refused += 1;
            // Whoever guesses addresses waits longer with each; whoever mistyped one does not notice.
            let tar_pit = self.adapter.limits.smtp.tar_pit;
            if !self.is_known() && !self.is_at_home() && !tar_pit.is_zero() {
                tokio::time::sleep(tar_pit * u32::try_from(self.refused.min(50)).unwrap_or(50)).await;
            }
        }
        self.reply(reply);
    }

    /// Adds the accounts behind the address to the transaction.
    async fn admit(&mut self, address: &str) -> Result<(), Refusal> {
        if self.role != Role::Submission && self.admit_report(address).await? {
            return Ok(());
        }
        let returned = if self.role == Role::Submission { None } else { self.returned(address).await? };
        let is_returned = returned.as_ref().is_some_and(|found| found.recipients.iter().any(is_outside));
        if !is_returned && self.transaction.as_ref().is_some_and(|transaction| transaction.is_returned) {
            return Err(not_alone());
        }
        let Found { tenant, recipients, elsewhere, capacities } = match returned {
            Some(found) => found,
            None => self.resolve(address).await?,
        };
        if recipients.iter().any(is_outside) {
            self.admit_outside().await.map_err(|(reason, reply)| Refusal(reason, reply))?;
        }
        let Some(transaction) = &self.transaction else { return Ok(()) };
        let reverse_path = transaction.reverse_path.clone();
        let known = transaction.tenant.as_ref().map(|tenant| (tenant.id, Arc::clone(&tenant.policy)));
        let policy = match known {
            Some((id, policy)) if id == tenant => policy,
            Some(_) => {
                let text = "this recipient belongs to another organisation, send separately";
                return Err(Refusal("another-tenant", Reply::new(451, "4.5.3", text)));
            }
            None => self.enter(tenant).await?,
        };
        if self.role != Role::Submission {
            let trusted = AuthResults { trusted: self.trusted, ..AuthResults::default() };
            let acceptance = pennypost_policy::accept(&policy, &reverse_path, [], "", &trusted);
            if let Some(reply) = Reply::refusal(&acceptance) {
                return Err(Refusal("policy", reply));
            }
        }
        let is_to_group = recipients.iter().any(|recipient| recipient.via == Via::Group);
        let is_anybody_here = !recipients.is_empty();
        // What keeps a letter from those elsewhere keeps it from no postmaster who is here.
        let is_postmasters = is_anybody_here && elsewhere.as_ref().is_some_and(Elsewhere::is_postmasters);
        if is_to_group {
            self.check_sender(tenant, address, &reverse_path).await?;
        }
        let group = match elsewhere {
            Some(elsewhere) => {
                let to_check = (!is_to_group).then_some((tenant, address));
                match self.admit_elsewhere(to_check, &reverse_path, (elsewhere, is_anybody_here)).await {
                    Err(Refusal(reason, _)) if is_postmasters && reason != "directory" => None,
                    reached => reached?,
                }
            }
            None => None,
        };
        self.check_quota(&recipients, capacities).await?;
        let has_spf = self.transaction.as_ref().is_some_and(|transaction| transaction.spf.is_some());
        let spf = (!has_spf && !self.is_known()).then(|| self.start_spf(&reverse_path));
        let Some(transaction) = &mut self.transaction else { return Ok(()) };
        if !transaction.add(recipients, group) {
            let reply = Reply::new(452, "4.5.3", "too many recipients, send the rest separately");
            return Err(Refusal("recipients", reply));
        }
        transaction.is_returned |= is_returned;
        transaction.tenant = Some(Tenant { id: tenant, policy });
        transaction.spf = spf.or(transaction.spf.take());
        Ok(())
    }

    /// Those elsewhere whom a group leads to, if the letter may go there. Whether its sender may send to the group is asked
    /// here where it was not asked yet.
    async fn admit_elsewhere(
        &mut self,
        to_check: Option<(TenantId, &str)>,
        reverse_path: &str,
        (elsewhere, is_anybody_here): (Elsewhere, bool),
    ) -> Result<Option<(MailAddress, Vec<Reached>)>, Refusal> {
        if let Some((tenant, address)) = to_check {
            self.check_sender(tenant, address, reverse_path).await?;
        }
        let group = self.reach(elsewhere, is_anybody_here).await?;
        if group.as_ref().is_some_and(|(_, reached)| !reached.is_empty()) {
            self.admit_outside().await.map_err(|(reason, reply)| Refusal(reason, reply))?;
        }
        Ok(group)
    }

    /// May this sender send to this group (GRP-04)? Who may, but could be anybody who says so, has to be confirmed by SPF:
    /// after the message has come it would be too late to refuse it for this recipient alone. A member has signed in.
    async fn check_sender(
        &mut self,
        tenant: TenantId,
        address: &str,
        reverse_path: &str,
    ) -> Result<(), Refusal> {
        let directory = &self.adapter.directory;
        let admission = match &self.member {
            Some(member) => directory.admission_of(member.key(), address, reverse_path).await,
            None => directory.admission(tenant, address, reverse_path).await,
        };
        let admission = admission.map_err(|error| {
            warn!(%tenant, %error, "the rules of a group can't be read");
            Refusal("directory", Reply::later())
        })?;
        match admission {
            Admission::Open => return Ok(()),
            Admission::Known if self.is_known() => return Ok(()),
            Admission::Known => {}
            Admission::Refused => {
                return Err(Refusal("group", Reply::new(550, "5.7.2", "you may not send to this group")));
            }
        }
        let known = self.transaction.as_mut().and_then(|transaction| transaction.spf.take());
        let mut spf = known.unwrap_or_else(|| self.start_spf(reverse_path));
        let verdict = spf.wait().await.map_or(Verdict::None, SpfAnswer::verdict);
        if let Some(transaction) = &mut self.transaction {
            transaction.spf = Some(spf);
        }
        match verdict {
            Verdict::Pass => Ok(()),
            Verdict::TempError => {
                let text = "the sender can't be confirmed at present, try again later";
                Err(Refusal("group", Reply::new(451, "4.4.3", text)))
            }
            _ => {
                let text = "only confirmed senders may send to this group, and SPF does not confirm you";
                Err(Refusal("group", Reply::new(550, "5.7.2", text)))
            }
        }
    }

    /// A report about a letter to a member elsewhere of a group comes to nobody, and alone. `false`: it is none.
    async fn admit_report(&mut self, address: &str) -> Result<bool, Refusal> {
        let found = self.adapter.directory.report_of(address).await.map_err(|error| {
            warn!(%error, "whose a report is can't be looked up");
            Refusal("directory", Reply::later())
        })?;
        let Some(transaction) = &mut self.transaction else { return Ok(false) };
        let Some(report) = found else {
            return if transaction.report.is_none() { Ok(false) } else { Err(not_alone()) };
        };
        if !transaction.reverse_path.is_empty() {
            return Err(only_reports());
        }
        if transaction.accepted > 0 {
            return Err(not_alone());
        }
        (transaction.report, transaction.accepted) = (Some(report), 1);
        Ok(true)
    }

    /// A report about a letter that was forwarded goes on to whoever had sent it: to a member here as any letter does, or alone to
    /// another server. `None`: it is none.
    async fn returned(&self, address: &str) -> Result<Option<Found>, Refusal> {
        let found = self.adapter.directory.returns_to(address).await.map_err(|error| {
            warn!(%error, "where a report goes back to can't be looked up");
            Refusal("directory", Reply::later())
        })?;
        let (Some((tenant, sender)), Some(transaction)) = (found, &self.transaction) else { return Ok(None) };
        if !transaction.reverse_path.is_empty() {
            return Err(only_reports());
        }
        let sender = sender.to_string();
        let of = self.adapter.directory.tenant_of_address(&sender).await.map_err(|error| {
            warn!(%error, "where a report goes back to can't be looked up");
            Refusal("directory", Reply::later())
        })?;
        if of == Some(tenant) {
            return self.resolve(&sender).await.map(Some);
        }
        if !self.adapter.is_sending {
            let text = "this post office does not send to other servers";
            return Err(Refusal("relay", Reply::new(550, "5.7.1", text)));
        }
        if transaction.accepted > 0 {
            return Err(not_alone());
        }
        let of = self.adapter.directory.tenant(tenant).await.map_err(|error| {
            warn!(%tenant, %error, "whose a report would go back from can't be looked up");
            Refusal("directory", Reply::later())
        })?;
        let is_blocked = |of: &pennypost_directory::Tenant| {
            of.is_blocked(Blockable::Sending) || of.is_blocked(Blockable::ReceivingFromOutside)
        };
        if !of.is_some_and(|of| of.is_open(self.adapter.clock.now()) && !is_blocked(&of)) {
            let text = "the organisation takes no mail at present, try again later";
            return Err(Refusal("suspended", Reply::new(450, "4.2.1", text)));
        }
        let path = (tenant, address.to_ascii_lowercase());
        if !self.adapter.smtp.by_return_path.take(path, Instant::now()) {
            let text = "too many reports for this address, try again later";
            return Err(Refusal("rate", Reply::new(451, "4.7.1", text)));
        }
        let account = AccountKey { tenant, ..AccountKey::default() };
        let recipients = vec![Recipient { account, address: sender, via: Via::Outside }];
        Ok(Some(Found { tenant, recipients, elsewhere: None, capacities: None }))
    }

    /// Those elsewhere whom a group leads to get what members write who have signed in, and nothing else (GRP-07): whoever
    /// writes from outside reaches those who are here. A member's letter goes to all of the group, or to nobody.
    async fn reach(
        &self,
        elsewhere: Elsewhere,
        is_anybody_here: bool,
    ) -> Result<Option<(MailAddress, Vec<Reached>)>, Refusal> {
        let refused = |status, text: &'static str| Err(Refusal("group", Reply::new(550, status, text)));
        let Some(member) = &self.member else {
            let text =
                "all members of this group are elsewhere, where only members of its organisation send it to";
            return if is_anybody_here { Ok(None) } else { refused("5.7.2", text) };
        };
        if !self.adapter.is_sending {
            let text =
                "this group has members elsewhere, and this post office does not send to other servers";
            return refused("5.7.1", text);
        }
        if !member.standing.rules.send.holds(false) {
            let text =
                "this group has members elsewhere, and your account may send within your organisation only";
            return refused("5.7.1", text);
        }
        if self.transaction.as_ref().is_some_and(|transaction| transaction.reverse_path.is_empty()) {
            return refused(
                "5.7.2",
                "this group has members elsewhere, to whom nothing goes that is from <>",
            );
        }
        let found = self.adapter.directory.reach(&member.standing.account, &elsewhere.addresses).await;
        let found = found.map_err(|error| {
            warn!(%error, "members elsewhere of a group can't be looked up");
            Refusal("directory", Reply::later())
        })?;
        match found {
            Reach::Friends(friends) if friends.is_empty() && !is_anybody_here => {
                refused("5.2.1", "nobody in this group takes mail at present")
            }
            Reach::Friends(friends) => Ok(Some((elsewhere.group, friends))),
            Reach::NoSeat => refused(
                "5.7.2",
                "this group has members elsewhere, to whom only members with a VIP seat may send",
            ),
            Reach::Strangers(strangers) => {
                let text = format!(
                    "nothing was sent: members elsewhere of this group have not agreed to it yet: {}",
                    named(&strangers)
                );
                Err(Refusal("group", Reply::owned(550, "5.7.2", text)))
            }
        }
    }

    async fn resolve(&self, address: &str) -> Result<Found, Refusal> {
        let directory = &self.adapter.directory;
        let resolved = match &self.member {
            _ if address == "postmaster" => self.adapter.postmaster().await,
            Some(member) => directory.resolve_from(address, member.key().tenant).await,
            None => directory.resolve(address).await,
        };
        if let (Some(member), Ok(resolved)) = (&self.member, &resolved)
            && let Some(reply) = member.out_of_reach(resolved)
        {
            return Err(Refusal("reach", reply));
        }
        if let (Some(member), Ok(resolved)) = (&self.member, &resolved) {
            match destination(member.key(), address, resolved, self.adapter.is_sending) {
                Destination::Inside => {}
                Destination::Outside(recipient) => {
                    let (tenant, recipients) = (member.key().tenant, vec![recipient]);
                    return Ok(Found { tenant, recipients, elsewhere: None, capacities: None });
                }
                Destination::Unreachable(reply) => return Err(Refusal("relay", reply)),
            }
        }
        match resolved {
            Ok(Resolved::Local { tenant, recipients, elsewhere, capacities }) => {
                Ok(Found { tenant, recipients, elsewhere, capacities })
            }
            Ok(Resolved::UnknownDomain) => {
                Err(Refusal("relay", Reply::new(550, "5.7.1", "this domain is not ours, relaying is denied")))
            }
            Ok(Resolved::UnknownUser { .. }) => {
                Err(Refusal("unknown", Reply::new(550, "5.1.1", "nobody has this address")))
            }
            Ok(Resolved::Disabled { .. }) => {
                Err(Refusal("disabled", Reply::new(550, "5.2.1", "this mailbox takes no mail")))
            }
            Ok(Resolved::Suspended { .. }) => {
                Err(Refusal("suspended", Reply::new(450, "4.2.1", "this mailbox takes no mail at present")))
            }
            Err(DirectoryError::TooMany { .. }) => {
                Err(Refusal("group", Reply::new(550, "5.2.4", "this group has grown too large to take mail")))
            }
            Err(error) => {
                warn!(%error, "a recipient can't be looked up");
                Err(Refusal("directory", Reply::later()))
            }
        }
    }

    /// The first recipient of a tenant: its share of messages, and its policy.
    async fn enter(&self, tenant: TenantId) -> Result<Arc<TenantPolicy>, Refusal> {
        if !self.adapter.smtp.by_tenant.take(tenant, Instant::now()) {
            let text = "too many messages for this organisation, try again later";
            return Err(Refusal("rate", Reply::new(451, "4.7.1", text)));
        }
        let policy = self.adapter.directory.policy(tenant).await.map_err(|error| {
            warn!(%tenant, %error, "a policy can't be read");
            Refusal("directory", Reply::later())
        })?;
        Ok(Arc::new(policy))
    }

    /// Refuses when none of the accounts has room: after the `250` all get their copy.
    async fn check_quota(&self, recipients: &[Recipient], plan: Option<Capacities>) -> Result<(), Refusal> {
        let size = self.transaction.as_ref().map_or(0, |transaction| transaction.declared);
        let quotas = &self.adapter.smtp.quotas;
        // What goes to another server takes no room here.
        if recipients.iter().all(|recipient| recipient.via == Via::Outside) {
            return Ok(());
        }
        for recipient in recipients {
            if quotas.has_room(&self.adapter, recipient.account, plan, size).await {
                return Ok(());
            }
        }
        Err(Refusal("quota", Reply::new(452, "4.2.2", "the mailbox is full")))
    }

    /// Begins SPF, so that DNS answers while the message comes in. Not at MAIL itself: whoever has no
    /// recipient here shall not make us ask anything.
    fn start_spf(&self, reverse_path: &str) -> Spf {
        let adapter = Arc::clone(&self.adapter);
        let ip = self.stream.peer().ip();
        let helo = self.hello.as_ref().map(|hello| hello.name.clone()).unwrap_or_default();
        if self.is_at_home() {
            let answer = SpfAnswer::vouched_for(reverse_path, &helo);
            return Spf::new(tokio::spawn(async move { Some(answer) }));
        }
        let reverse_path = reverse_path.to_owned();
        let deadline = Instant::now() + adapter.limits.smtp.authentication;
        Spf::new(tokio::spawn(async move {
            let hostname = &adapter.hostname;
            let sender = Sender { ip, helo: &helo, reverse_path: &reverse_path, hostname };
            adapter.smtp.authenticator.spf(sender, deadline).await
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strangers_are_named_as_far_as_a_line_goes() {
        let address = |text: &str| MailAddress::parse(text).expect("an address");
        let far = |local: &str| address(&format!("{local}@far.example"));
        assert_eq!(named(&[far("a"), far("b")]), "a@far.example, b@far.example");
        let four = [far("a"), far("b"), far("c"), far("d")];
        assert_eq!(named(&four), "a@far.example, b@far.example, c@far.example and 1 more");
        assert_eq!(named(&[far("用户"), far("a")]), "a@far.example and 1 more");
        assert_eq!(named(&[far("用户"), far("用户2")]), "2 of them");
        let label = "x".repeat(60);
        let long = |local: &str| {
            address(&format!("{}@{label}.{label}.{label}.example", local.repeat(MailAddress::MAX_LOCAL)))
        };
        let text = named(&[long("a"), long("b"), far("c")]);
        assert!(text.len() < 400 && text.ends_with(", c@far.example and 1 more"), "{text}");
    }
}
