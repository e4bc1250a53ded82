//! Does a report tell that something has failed for good (RFC 3464)? Without I/O.

use pennypost_directory::is_of_dead_address;
use pennypost_mime::decode_part;
use pennypost_model::structure::{Content, Part, Structure};

/// Bytes of what a report tells programs that are read.
const MAX_STATUS: usize = 256 * 1024;

/// Does it tell that the address takes nothing? What is delayed, relayed or delivered has not failed, nor has what somebody's
/// program answers; and what is wrong with the letter, or with whoever sends, says nothing of the address. A report in another
/// form than that of RFC 3464 says nothing that could be relied upon.
pub(super) fn tells_of_failure(raw: &[u8]) -> bool {
    let (structure, _) = pennypost_mime::parse(raw);
    let Some(status) = status_part(&structure) else { return false };
    let bytes = |end: u64| usize::try_from(end).unwrap_or(usize::MAX);
    let body = raw.get(bytes(status.body.start)..bytes(status.body.end)).unwrap_or_default();
    let body = decode_part(status, body);
    let body = body.get(..MAX_STATUS).unwrap_or(&body);
    let text = String::from_utf8_lossy(body).replace("\r\n", "\n").to_ascii_lowercase();
    // The fields of a recipient stand together (RFC 3464 section 2.1).
    text.split("\n\n").any(|fields| {
        let field = |wanted: &str| {
            let mut fields = fields.lines().filter_map(|line| line.split_once(':'));
            fields.find(|(name, _)| name.trim_end() == wanted).map_or("", |(_, value)| value.trim())
        };
        // A comment may follow.
        let status = field("status").split_ascii_whitespace().next().unwrap_or_default();
        field("action") == "failed" && is_of_dead_address(status)
    })
}

/// What a report tells programs: one of its own parts (RFC 6522 section 3), not something in the message that it returns.
fn status_part(structure: &Structure) -> Option<&Part> {
    let root = structure.root()?;
    let is =
        |part: &Part, kind: &str, subtype: &str| part.media_type.0 == kind && part.media_type.1 == subtype;
    let Content::Multipart(parts) = &root.content else { return None };
    let mut parts = parts.iter().filter_map(|index| structure.parts.get(*index as usize));
    let is_status = |part: &&Part| {
        is(part, "message", "delivery-status") || is(part, "message", "global-delivery-status")
    };
    parts.find(is_status).filter(|_| is(root, "multipart", "report"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(kind: &str, status: &str) -> Vec<u8> {
        format!(
            "From: mailer-daemon@far.example\r\nContent-Type: {kind}; report-type=delivery-status;\r\n boundary=b\r\n\r\n\
             --b\r\nContent-Type: text/plain\r\n\r\nAction: failed\r\nStatus: 5.0.0\r\n\r\n--b\r\n\
             Content-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx.far.example\r\n\r\n{status}\r\n--b--\r\n"
        )
        .into_bytes()
    }

    #[test]
    fn what_has_failed_for_good_is_told_from_everything_else() {
        for (status, expected) in [
            ("Final-Recipient: rfc822; a@far.example\r\nAction: failed\r\nStatus: 5.1.1", true),
            ("Final-Recipient: rfc822; a@far.example\r\nACTION:  Failed\r\nstatus: 5.2.1 (gone)", true),
            ("Final-Recipient: rfc822; a@far.example\r\nAction: failed\r\nStatus: 5.2.2 (full)", false),
            ("Final-Recipient: rfc822; a@far.example\r\nAction: failed\r\nStatus: 5.7.1", false),
            // Each recipient's fields are his.
            ("Action: failed\r\nStatus: 4.4.7\r\n\r\nAction: relayed\r\nStatus: 5.1.1", false),
            ("Action: failed\r\nStatus: 4.4.7\r\n\r\nAction: failed\r\nStatus: 5.1.1", true),
            ("Action: delayed\r\nStatus: 4.4.1", false),
            ("Action: failed\r\nStatus: 4.4.7", false),
            ("Action: delivered\r\nStatus: 2.0.0", false),
            ("", false),
        ] {
            assert_eq!(tells_of_failure(&report("multipart/report", status)), expected, "{status}");
            assert!(!tells_of_failure(&report("multipart/mixed", status)), "{status}");
        }
        assert!(!tells_of_failure(b"Subject: I am on holiday\r\n\r\nAction: failed\r\nStatus: 5.1.1\r\n"));
        assert!(!tells_of_failure(b""));
    }

    #[test]
    fn what_a_returned_letter_holds_is_not_the_reports() {
        let inner =
            String::from_utf8(report("multipart/report", "Action: failed\r\nStatus: 5.1.1")).expect("text");
        let delayed = |kind: &str| {
            format!(
                "Content-Type: multipart/report; boundary=outer\r\n\r\n--outer\r\nContent-Type:\r\n message/delivery-status\r\n\r\n\
                 Reporting-MTA: dns; mx.far.example\r\n\r\nAction: delayed\r\nStatus: 4.4.1\r\n--outer\r\n\
                 Content-Type: {kind}\r\n\r\n{inner}\r\n--outer--\r\n"
            )
        };
        for kind in ["message/rfc822", "text/rfc822-headers", "text/plain"] {
            assert!(!tells_of_failure(delayed(kind).as_bytes()), "{kind}");
            // A field may be folded.
            let failed =
                delayed(kind).replace("Action: delayed\r\nStatus: 4.4.1", "Action: failed\r\nStatus: 5.1.1");
            assert!(tells_of_failure(failed.as_bytes()), "{kind}");
        }
    }
}
