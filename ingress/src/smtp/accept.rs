//! From a message that has arrived to its event in the queue: the last look at it, and the durable step.

use pennypost_mailstore::accept;
use pennypost_model::EventId;
use pennypost_model::event::{Accepted, AuthResults, Body as EventBody, Source, SourceKind, Stage};
use pennypost_ports::{Outgoing, PortError};
use tokio::time::Instant;
use tracing::{info, warn};

use super::authenticate::{Sender, none_field};
use super::received::Received;
use super::reply::Reply;
use super::session::Session;
use super::transaction::{Body, Transaction};
use super::without_delay;

/// Bytes of a header block that is looked through for signatures.
const MAX_VERIFIED_HEADER: usize = 1 << 20;

impl Session {
    /// Accepts the message durably, or says why not. After `Ok` the message is ours.
    pub(super) async fn accept(
        &mut self,
        mut transaction: Transaction,
        body: Body,
    ) -> Result<EventId, Reply> {
        let Body { message: raw, mut share, .. } = body;
        // The compressed form, once more encoded, stands beside it for a moment.
        if !share.grow_beyond(2 * raw.len()) {
            return Err(Reply::new(452, "4.3.1", "too much mail at the moment, try again later"));
        }
        let Some(tenant) = transaction.tenant.take() else {
            return Err(Reply::new(554, "5.5.1", "no valid recipients"));
        };
        let header = &raw[..pennypost_mime::header_end(&raw)];
        let is_received = |(name, ..): &(&[u8], &[u8], _)| name.eq_ignore_ascii_case(b"Received");
        let hops =
            without_delay(header.len(), || pennypost_mime::header_fields(header).filter(is_received).count());
        if hops > self.adapter.limits.smtp.hops {
            return Err(Reply::new(554, "5.4.6", "too many hops: the message is in a loop"));
        }
        if !self.trusted && header.len() > MAX_VERIFIED_HEADER {
            return Err(Reply::new(554, "5.6.0", "the header of the message is too large"));
        }

        let (auth, results) = self.authenticate(&mut transaction, &raw).await;
        let (_, facts) = without_delay(header.len(), || pennypost_mime::parse(header));
        let authors = facts.from.iter().map(|contact| contact.address.as_str());
        let reverse_path = &transaction.reverse_path;
        let acceptance =
            pennypost_policy::accept(&tenant.policy, reverse_path, authors, &facts.subject, &auth);
        if let Some(reply) = Reply::refusal(&acceptance) {
            info!(tenant = %tenant.id, ?acceptance, "message is refused");
            return Err(reply);
        }

        let time = self.adapter.clock.now();
        let id = self.adapter.ids.event(time);
        let size = raw.len();
        let stored = accept::compressed(raw).await.map_err(|error| {
            warn!(%error, "a message can't be compressed");
            Reply::later()
        })?;
        let hello = self.hello.as_ref();
        let helo = hello.map(|hello| hello.name.clone()).unwrap_or_default();
        let received = Received {
            helo: &helo,
            extended: hello.is_some_and(|hello| hello.extended),
            ip: self.stream.peer().ip(),
            tls: self.stream.tls(),
            utf8: transaction.utf8,
            hostname: &self.adapter.hostname,
            id,
            recipient: match &*transaction.recipients {
                [only] => Some(&only.address),
                _ => None,
            },
            time,
        };
        let accepted = Accepted {
            id,
            time,
            tenant: tenant.id,
            source: Source {
                kind: SourceKind::Smtp,
                ip: Some(self.stream.peer().ip()),
                helo: helo.clone(),
                tls: self.stream.tls().map(str::to_owned),
            },
            auth,
            reverse_path: std::mem::take(&mut transaction.reverse_path),
            receipt: received.field() + &results,
            recipients: std::mem::take(&mut transaction.recipients),
            body: EventBody::Inline(stored),
        };
        let recipients = accepted.recipients.len();
        self.send(accepted).await.map_err(|error| {
            warn!(tenant = %tenant.id, message = %id, %error, "a message can't be accepted");
            Reply::later()
        })?;
        drop(share);
        pennypost_ports::crash::point("accept.before-reply");
        self.adapter.metrics.accepted.inc();
        self.adapter.metrics.accepted_bytes.inc_by(size as u64);
        info!(tenant = %tenant.id, message = %id, size, recipients, "accepted");
        Ok(id)
    }

    async fn authenticate(&self, transaction: &mut Transaction, raw: &[u8]) -> (AuthResults, String) {
        let hostname = &self.adapter.hostname;
        if self.trusted {
            return (AuthResults { trusted: true, ..AuthResults::default() }, none_field(hostname));
        }
        let deadline = Instant::now() + self.adapter.limits.smtp.authentication;
        let spf = match transaction.spf.take() {
            Some(spf) => spf.answer().await,
            None => None,
        };
        let sender = Sender {
            ip: self.stream.peer().ip(),
            helo: self.hello.as_ref().map_or("", |hello| &hello.name),
            reverse_path: &transaction.reverse_path,
            hostname,
        };
        self.adapter.smtp.authenticator.message(raw, sender, spf.as_ref(), deadline).await
    }

    /// Puts the event into the queue, and the message into an object before it if it is too large for that.
    async fn send(&self, accepted: Accepted) -> Result<(), PortError> {
        let (tenant, id) = (accepted.tenant, accepted.id);
        let body = accept::for_the_queue(&*self.adapter.objects, accepted, id).await?;
        let outgoing = Outgoing { tenant, body, delay: std::time::Duration::ZERO };
        let results = self.adapter.queue.send_batch(Stage::InboundParse, vec![outgoing]).await;
        results.into_iter().next().unwrap_or_else(|| {
            Err(PortError::Unavailable { port: "queue", cause: "it gave no answer".to_owned() })
        })
    }
}
