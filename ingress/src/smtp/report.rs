//! Does a report tell that something has failed for good (RFC 3464)? Without I/O.

use pennypost_directory::is_of_dead_address;

/// Does it tell that the address takes nothing? What is delayed, relayed or delivered has not failed, nor has what somebody's
/// program answers; and what is wrong with the letter, or with whoever sends, says nothing of the address. A report in another
/// form than that of RFC 3464 says nothing that could be relied upon.
pub(super) fn tells_of_failure(raw: &[u8]) -> bool {
    let (structure, _) = pennypost_mime::parse(raw);
    let Some(heard) = pennypost_reports::heard(raw, &structure) else { return false };
    heard.recipients.iter().any(|one| one.action == "failed" && is_of_dead_address(&one.answer.status))
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
