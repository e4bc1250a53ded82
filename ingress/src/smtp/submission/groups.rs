//! What goes to members elsewhere of groups. Without I/O.

use std::collections::HashSet;

use pennypost_directory::{MailAddress, Reached, list_id};
use pennypost_mime::{header_end, header_fields};
use pennypost_model::EventId;
use pennypost_model::event::{GroupElsewhere, Recipient, SourceKind, Submission, ToGroups, Via};

/// A group, and those of its members elsewhere to whom a message goes.
pub(super) type ToGroup = (MailAddress, Vec<Reached>);

/// Where a member's message comes from, with the members elsewhere of the groups that it is for: each address once, whichever
/// group leads there, and not if the message is for it anyway.
pub(super) fn source(
    submission: Submission,
    message: EventId,
    (recipients, groups): (&[Recipient], &[ToGroup]),
) -> SourceKind {
    let direct = recipients.iter().filter(|recipient| recipient.via == Via::Outside);
    let mut known: HashSet<MailAddress> =
        direct.filter_map(|recipient| MailAddress::parse(&recipient.address).ok()).collect();
    let mut elsewhere = Vec::with_capacity(groups.len());
    for (group, reached) in groups {
        let fresh = reached.iter().filter(|friend| known.insert(friend.address().clone()));
        let members: Vec<_> = fresh.map(|friend| friend.member(message, group)).collect();
        if !members.is_empty() {
            elsewhere.push(GroupElsewhere { address: group.to_string(), members });
        }
    }
    if elsewhere.is_empty() {
        return SourceKind::Submission(Box::new(submission));
    }
    SourceKind::ToGroups(Box::new(ToGroups { submission, groups: elsewhere }))
}

/// Has a message been to one of these groups, or was it written by a program that answers (RFC 3834)? It would go round.
pub(super) fn is_sent_on(raw: &[u8], groups: &[ToGroup]) -> bool {
    if groups.is_empty() {
        return false;
    }
    let ids: Vec<String> = groups.iter().map(|(group, _)| list_id(group)).collect();
    let block = raw.get(..header_end(raw)).unwrap_or_default();
    header_fields(block).any(|(name, value, _)| {
        let value = String::from_utf8_lossy(value).to_ascii_lowercase();
        match &*name.to_ascii_lowercase() {
            b"list-id" => ids.iter().any(|id| value.contains(id)),
            b"auto-submitted" => value.trim_start().starts_with("auto-replied"),
            _ => false,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_been_to_a_group_does_not_go_there_again() {
        let groups = [(MailAddress::parse("All@acme.example").expect("an address"), Vec::new())];
        for (header, expected) in [
            ("Subject: hello", false),
            ("List-Id: <all.acme.example>", true),
            ("list-id: Everybody\r\n <ALL.acme.example>", true),
            ("List-Id: <small.acme.example>", false),
            ("Auto-Submitted: auto-replied; owner-email=\"a@b.example\"", true),
            ("Auto-Submitted: auto-generated", false),
            ("Auto-Submitted: no", false),
            ("Subject: x\r\n\r\nList-Id: <all.acme.example>", false),
        ] {
            let raw = format!("{header}\r\n\r\nhello\r\n");
            assert_eq!(is_sent_on(raw.as_bytes(), &groups), expected, "{header}");
            assert!(!is_sent_on(raw.as_bytes(), &[]), "{header}");
        }
    }
}
