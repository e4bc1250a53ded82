//! Where a member's message can go: the one place where that is decided.

use pennypost_directory::Resolved;
use pennypost_model::TenantId;

use crate::smtp::reply::Reply;

/// Why a recipient can't be reached from here, if so: nothing is sent to other servers yet, nor, what would be no different
/// to those who write, to other organisations that have their mail here.
pub(in crate::smtp) fn unreachable(from: TenantId, resolved: &Resolved) -> Option<Reply> {
    let tenant = match resolved {
        Resolved::UnknownDomain => {
            let text = "this post office does not send to other servers yet, only within your organisation";
            return Some(Reply::new(550, "5.7.1", text));
        }
        Resolved::Local { tenant, .. }
        | Resolved::UnknownUser { tenant }
        | Resolved::Disabled { tenant }
        | Resolved::Suspended { tenant } => *tenant,
    };
    let text = "this post office does not send to other organisations yet, only within your own";
    (tenant != from).then(|| Reply::new(550, "5.7.1", text))
}
