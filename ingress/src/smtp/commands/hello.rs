//! EHLO and HELO (RFC 5321 section 4.1.1.1).

use pennypost_model::Timestamp;

use super::limits_of_hold;
use crate::sasl;
use crate::smtp::Role;
use crate::smtp::reply::Reply;
use crate::smtp::session::{Hello, Session};

impl Session {
    /// Does nobody hear what is said, but both who speak? Only then may it be asked that others see to the same (RFC 8689 section 2).
    pub(super) fn is_private(&self) -> bool {
        self.stream.is_tls() || self.is_at_home()
    }

    pub(super) fn hello(&mut self, name: String, extended: bool) {
        self.transaction = None;
        let hostname = &self.adapter.hostname;
        if extended {
            let mut lines = vec![
                hostname.clone(),
                format!("SIZE {}", self.adapter.limits.smtp.message_size),
                "8BITMIME".to_owned(),
                "PIPELINING".to_owned(),
                "CHUNKING".to_owned(),
                "SMTPUTF8".to_owned(),
                "ENHANCEDSTATUSCODES".to_owned(),
            ];
            if self.is_private() {
                lines.push("REQUIRETLS".to_owned());
            } else {
                lines.push("STARTTLS".to_owned());
            }
            let mechanisms = sasl::mechanisms(&self.stream);
            if self.role == Role::Submission && !mechanisms.is_empty() {
                lines.push(format!("AUTH {}", mechanisms.join(" ")));
            }
            if self.role == Role::Submission {
                let limits = &self.adapter.limits.submission;
                let latest = limits_of_hold(self.adapter.clock.now(), limits);
                // In whole seconds (RFC 4865 section 4).
                let latest = Timestamp(latest.0.div_euclid(1_000) * 1_000).rfc3339().replace(".000Z", "Z");
                lines.push("DSN".to_owned());
                lines.push(format!("FUTURERELEASE {} {latest}", u64::from(limits.hold_days) * 24 * 3_600));
            }
            for line in lines {
                self.stream.write(format!("250-{line}\r\n").as_bytes());
            }
            self.reply(&Reply::new(250, "", "HELP"));
        } else {
            self.reply(&Reply::owned(250, "", hostname.clone()));
        }
        self.hello = Some(Hello { name, extended });
    }
}
