//! Where a member's message can go: the one place where that is decided.

use pennypost_directory::Resolved;
use pennypost_model::AccountKey;
use pennypost_model::event::{Recipient, Via};
use pennypost_policy::MailAddress;

use crate::smtp::reply::Reply;

/// Where an address leads that a member writes to.
pub(in crate::smtp) enum Destination {
    /// Into the member's own organisation.
    Inside,
    /// To another server.
    Outside(Recipient),
    /// Nowhere from here.
    Unreachable(Reply),
}

/// Where an address leads that the member `from` writes to. Other organisations that have their mail here are what others
/// elsewhere are: whether anybody has the address there, the answer to the letter says.
pub(in crate::smtp) fn destination(
    from: AccountKey,
    address: &str,
    resolved: &Resolved,
    is_sending: bool,
) -> Destination {
    let tenant = match resolved {
        Resolved::UnknownDomain => None,
        Resolved::Local { tenant, .. }
        | Resolved::UnknownUser { tenant }
        | Resolved::Disabled { tenant }
        | Resolved::Suspended { tenant } => Some(*tenant),
    };
    if tenant == Some(from.tenant) {
        return Destination::Inside;
    }
    if !is_sending {
        let text = "this post office does not send to other servers, only within your organisation";
        return Destination::Unreachable(Reply::new(550, "5.7.1", text));
    }
    if MailAddress::domain_of(address).is_err() {
        let text = "mail can't be sent to this domain: it must be a name with a dot in it";
        return Destination::Unreachable(Reply::new(550, "5.1.2", text));
    }
    Destination::Outside(Recipient { account: from, address: address.to_owned(), via: Via::Outside })
}
