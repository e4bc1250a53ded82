//! MAIL (RFC 5321 section 4.1.1.2).

use tokio::time::Instant;

use crate::net::neighbourhood;
use crate::smtp::command::Mail;
use crate::smtp::reply::Reply;
use crate::smtp::session::Session;
use crate::smtp::transaction::Transaction;

impl Session {
    pub(super) fn mail(&mut self, mail: Mail) {
        let limits = &self.adapter.limits.smtp;
        let Some(hello) = &self.hello else {
            return self.mistake(&Reply::bad_sequence("say EHLO first"));
        };
        if self.transaction.is_some() {
            return self.mistake(&Reply::bad_sequence("a transaction is under way"));
        }
        if mail.extended && !hello.extended {
            return self.mistake(&Reply::new(555, "5.5.4", "parameters need EHLO"));
        }
        if mail.size.is_some_and(|size| size > limits.message_size as u64) {
            self.adapter.metrics.refused.with_label_values(&["size"]).inc();
            return self.reply(&Reply::new(552, "5.3.4", "the message is too large"));
        }
        if self.messages >= limits.messages_per_session {
            return self.reply(&Reply::new(451, "4.5.3", "enough for one session, connect again"));
        }
        let address = neighbourhood(self.stream.peer().ip());
        if !self.trusted && !self.adapter.smtp.by_address.take(address, Instant::now()) {
            self.adapter.metrics.refused.with_label_values(&["rate"]).inc();
            return self.reply(&Reply::new(451, "4.7.1", "too many messages from you, try again later"));
        }
        let declared = mail.size.unwrap_or(0);
        self.transaction = Some(Transaction::new(mail.reverse_path, declared, mail.utf8));
        self.reply(&Reply::new(250, "2.1.0", "ok"));
    }
}
