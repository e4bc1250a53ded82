//! MAIL (RFC 5321 section 4.1.1.2).

use pennypost_model::Timestamp;
use tokio::time::Instant;

use crate::net::{SubmissionLimits, neighbourhood};
use crate::smtp::Role;
use crate::smtp::command::Mail;
use crate::smtp::parameters::Hold;
use crate::smtp::reply::Reply;
use crate::smtp::session::Session;
use crate::smtp::transaction::Transaction;

/// May it begin? If not, why, for the metrics and for the client.
pub(in crate::smtp) type Admitted = Result<(), (&'static str, Reply)>;

/// The latest time at which a message may be to go.
pub(in crate::smtp) const fn limits_of_hold(now: Timestamp, limits: &SubmissionLimits) -> Timestamp {
    now.plus_millis(limits.hold_days as i64 * 24 * 3_600_000)
}

impl Session {
    /// Can a transaction begin like this? If not, the reply has been written.
    pub(super) fn may_begin(&mut self, mail: &Mail) -> bool {
        let limits = &self.adapter.limits.smtp;
        let is_unknown = mail.is_members() && self.role != Role::Submission;
        let latest = limits_of_hold(self.adapter.clock.now(), &self.adapter.limits.submission);
        let is_too_late = |hold: Hold| hold.time(self.adapter.clock.now()) > latest;
        let mistake = match &self.hello {
            None => Reply::bad_sequence("say EHLO first"),
            Some(_) if self.transaction.is_some() => Reply::bad_sequence("a transaction is under way"),
            Some(hello) if mail.extended && !hello.extended => {
                Reply::new(555, "5.5.4", "parameters need EHLO")
            }
            Some(_) if is_unknown => Reply::new(555, "5.5.4", "unknown MAIL parameter"),
            Some(_) if mail.require_tls && !self.is_private() => {
                Reply::new(530, "5.7.10", "REQUIRETLS is for sessions under TLS: say STARTTLS first")
            }
            Some(_) if mail.hold.is_some_and(is_too_late) => {
                let days = self.adapter.limits.submission.hold_days;
                Reply::owned(501, "5.5.4", format!("messages are held for {days} days at most"))
            }
            Some(_) if mail.size.is_some_and(|size| size > limits.message_size as u64) => {
                self.adapter.metrics.refused.with_label_values(&["size"]).inc();
                self.reply(&Reply::new(552, "5.3.4", "the message is too large"));
                return false;
            }
            Some(_) if self.messages >= if self.is_at_home() { 1 } else { limits.messages_per_session } => {
                self.reply(&Reply::new(451, "4.5.3", "enough for one session, connect again"));
                return false;
            }
            Some(_) => return true,
        };
        self.mistake(&mistake);
        false
    }

    /// Another server may begin, if not too often.
    pub(super) fn admit_peer(&self) -> Admitted {
        let address = neighbourhood(self.stream.peer().ip());
        if self.trusted || self.is_at_home() || self.adapter.smtp.by_address.take(address, Instant::now()) {
            return Ok(());
        }
        Err(("rate", Reply::new(451, "4.7.1", "too many messages from you, try again later")))
    }

    /// Begins the transaction, if it was admitted.
    pub(super) fn begin(&mut self, mail: Mail, admitted: Admitted) {
        match admitted {
            Ok(()) => {
                let declared = mail.size.unwrap_or(0);
                let mut transaction = Transaction::new(mail.reverse_path, declared, mail.utf8);
                (transaction.hold, transaction.is_private) = (mail.hold, mail.require_tls);
                (transaction.wishes.full, transaction.wishes.envelope_id) = (mail.whole, mail.envelope_id);
                self.transaction = Some(transaction);
                self.reply(&Reply::new(250, "2.1.0", "ok"));
            }
            Err((reason, reply)) => {
                self.adapter.metrics.refused.with_label_values(&[reason]).inc();
                if reply.is_permanent_failure() {
                    self.mistake(&reply);
                } else {
                    self.reply(&reply);
                }
            }
        }
    }
}
