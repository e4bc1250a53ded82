//! RCPT (RFC 5321 section 4.1.1.3): the one place where a recipient is refused.

use std::sync::Arc;

use pennypost_directory::{Admission, Capacities, DirectoryError, Resolved, TenantPolicy};
use pennypost_model::TenantId;
use pennypost_model::event::{AuthResults, Recipient, Verdict, Via};
use tokio::time::Instant;
use tracing::{debug, warn};

use crate::smtp::Role;
use crate::smtp::authenticate::{Sender, SpfAnswer};
use crate::smtp::reply::Reply;
use crate::smtp::session::Session;
use crate::smtp::submission::unreachable;
use crate::smtp::transaction::{Spf, Tenant};

/// A refusal with its reason for the metrics.
struct Refusal(&'static str, Reply);

impl Session {
    pub(super) async fn rcpt(&mut self, address: String) {
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
            Role::Exchange => limits.smtp.recipients,
            Role::Submission => limits.submission.recipients,
        };
        if transaction.accepted >= most {
            return self.reply(&Reply::new(452, "4.5.3", "too many recipients, send the rest separately"));
        }
        match self.admit(&address).await {
            Ok(()) => self.reply(&Reply::new(250, "2.1.5", "ok")),
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
            if !self.is_known() && !tar_pit.is_zero() {
                tokio::time::sleep(tar_pit * u32::try_from(self.refused.min(50)).unwrap_or(50)).await;
            }
        }
        self.reply(reply);
    }

    /// Adds the accounts behind the address to the transaction.
    async fn admit(&mut self, address: &str) -> Result<(), Refusal> {
        let (tenant, recipients, plan) = self.resolve(address).await?;
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
        if self.role == Role::Exchange {
            let trusted = AuthResults { trusted: self.trusted, ..AuthResults::default() };
            let acceptance = pennypost_policy::accept(&policy, &reverse_path, [], "", &trusted);
            if let Some(reply) = Reply::refusal(&acceptance) {
                return Err(Refusal("policy", reply));
            }
        }
        if recipients.iter().any(|recipient| recipient.via == Via::Group) {
            self.check_sender(tenant, address, &reverse_path).await?;
        }
        self.check_quota(&recipients, plan).await?;
        let has_spf = self.transaction.as_ref().is_some_and(|transaction| transaction.spf.is_some());
        let spf = (!has_spf && !self.is_known()).then(|| self.start_spf(&reverse_path));
        let Some(transaction) = &mut self.transaction else { return Ok(()) };
        if !transaction.add(recipients) {
            let reply = Reply::new(452, "4.5.3", "too many recipients, send the rest separately");
            return Err(Refusal("recipients", reply));
        }
        transaction.tenant = Some(Tenant { id: tenant, policy });
        transaction.spf = spf.or(transaction.spf.take());
        Ok(())
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

    async fn resolve(
        &self,
        address: &str,
    ) -> Result<(TenantId, Vec<Recipient>, Option<Capacities>), Refusal> {
        let resolved = if address == "postmaster" {
            self.adapter.postmaster().await
        } else {
            self.adapter.directory.resolve(address).await
        };
        if let (Some(member), Ok(resolved)) = (&self.member, &resolved)
            && let Some(reply) = unreachable(member.key().tenant, resolved)
        {
            return Err(Refusal("relay", reply));
        }
        match resolved {
            Ok(Resolved::Local { tenant, recipients, capacities }) => Ok((tenant, recipients, capacities)),
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
        let reverse_path = reverse_path.to_owned();
        let deadline = Instant::now() + adapter.limits.smtp.authentication;
        Spf::new(tokio::spawn(async move {
            let hostname = &adapter.hostname;
            let sender = Sender { ip, helo: &helo, reverse_path: &reverse_path, hostname };
            adapter.smtp.authenticator.spf(sender, deadline).await
        }))
    }
}
