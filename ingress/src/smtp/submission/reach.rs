//! To whom a member may send, by an administrator's or the operator's word (ORG-07, TEN-10).

use pennypost_directory::{MailReach, Resolved};

use super::Member;
use crate::smtp::reply::Reply;

impl Member {
    /// The refusal of whoever may send to nobody.
    pub(in crate::smtp) fn sends_nothing(&self) -> Option<Reply> {
        let is_closed = self.standing.rules.send == MailReach::Nobody;
        is_closed.then(|| Reply::new(550, "5.7.1", "sending has been closed for your account"))
    }

    /// The refusal of a recipient to whom the member may not send.
    pub(in crate::smtp) fn out_of_reach(&self, resolved: &Resolved) -> Option<Reply> {
        let is_inside = match resolved {
            Resolved::UnknownDomain => false,
            Resolved::Local { tenant, .. }
            | Resolved::UnknownUser { tenant }
            | Resolved::Disabled { tenant }
            | Resolved::Suspended { tenant } => *tenant == self.key().tenant,
        };
        let text = "your account may send within your organisation only";
        let is_held = self.standing.rules.send.holds(is_inside);
        (!is_held).then(|| self.sends_nothing().unwrap_or_else(|| Reply::new(550, "5.7.1", text)))
    }
}
