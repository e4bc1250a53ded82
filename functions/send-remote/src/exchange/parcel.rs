//! What is handed over.

use std::sync::atomic::AtomicBool;

use pennypost_model::EventId;
use pennypost_model::event::{Notify, Wish};
use pennypost_reports::to_xtext;

use super::WayOut;

/// A message for one destination.
#[derive(Debug, Clone, Copy)]
pub struct Parcel<'a> {
    /// The same for each attempt with the same recipients, and no other: who keeps it knows what has come before.
    pub id: EventId,
    /// The domain, in A-labels.
    pub destination: &'a str,
    /// Reverse-path; empty for `<>`.
    pub reverse_path: &'a str,
    /// Addresses, their domains in A-labels.
    pub recipients: &'a [String],
    /// What goes in front of the message: whole fields.
    pub head: &'a [u8],
    /// As it goes out: lines end with CRLF.
    pub message: &'a [u8],
    /// It has bytes above 127.
    pub is_eight_bit: bool,
    /// An address of its envelope or its header has.
    pub is_utf8: bool,
    /// Of what its sender wants to hear.
    pub asked: Option<Requests<'a>>,
    /// It goes whatever becomes of TLS and whoever asks for it, and what became of it is not counted: it tells of TLS that fails (RFC
    /// 8460 section 3), or its sender says so (RFC 8689 section 3).
    pub ignores_policies: bool,
    /// Its sender does not want it to be read on its way (REQUIRETLS: RFC 8689).
    pub is_private: bool,
    /// Which way it goes, where that is said of its tenant; else as the installation's mail goes.
    pub way_out: Option<&'a WayOut>,
    /// Turns true before the end of the message is written: from there on the server may have it.
    pub ending: &'a AtomicBool,
}

/// Of what the sender of a parcel wants to hear (RFC 3461): what a server is told that tells him.
#[derive(Debug, Clone, Copy)]
pub struct Requests<'a> {
    /// The whole message comes back, or its header.
    pub full: Option<bool>,
    /// What he calls the envelope.
    pub envelope_id: Option<&'a str>,
    /// What he has said of each recipient, in their order.
    pub each: &'a [Option<&'a Wish>],
}

impl Requests<'_> {
    /// Parameters of MAIL.
    pub(super) fn of_mail(&self) -> String {
        let full = self.full.map(|full| if full { " RET=FULL" } else { " RET=HDRS" });
        let id = self.envelope_id.map(|id| format!(" ENVID={}", to_xtext(id)));
        format!("{}{}", full.unwrap_or_default(), id.unwrap_or_default())
    }

    /// Parameters of RCPT for that recipient.
    pub(super) fn of_recipient(&self, index: usize) -> String {
        let Some(Some(Wish { notify, original, .. })) = self.each.get(index) else { return String::new() };
        let mut parameters = String::new();
        if let Some(Notify { success, failure, delay }) = notify {
            let words = [(*success, "SUCCESS"), (*failure, "FAILURE"), (*delay, "DELAY")];
            let words: Vec<&str> =
                words.into_iter().filter(|(said, _)| *said).map(|(_, word)| word).collect();
            let words = if words.is_empty() { "NEVER".to_owned() } else { words.join(",") };
            parameters.push_str(&format!(" NOTIFY={words}"));
        }
        if let Some((kind, address)) = original.as_ref().and_then(|original| original.split_once(';')) {
            parameters.push_str(&format!(" ORCPT={kind};{}", to_xtext(address)));
        }
        parameters
    }
}

impl Parcel<'_> {
    /// Does it go to nobody who does not promise to keep it private? What is from nobody goes all the same: it would be lost (RFC
    /// 8689 section 5).
    pub(crate) const fn is_bound(&self) -> bool {
        self.is_private && !self.reverse_path.is_empty()
    }

    /// The bytes that go out.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.head.len() + self.message.len()
    }
}
