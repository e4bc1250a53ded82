//! What mail programs say of letters that were displayed (RFC 8098). Without I/O.

use pennypost_mime::decode_part;
use pennypost_model::EventId;
use pennypost_model::structure::{Part, Structure};

use crate::heard::{
    MAX_ADDRESS, MAX_STATUS, behind_type, groups, is, own_parts, plain, returned, slice, value,
};

/// What a read receipt says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Receipt {
    /// The program that says so, as it calls itself.
    pub program: String,
    /// The Message-ID of the letter.
    pub message_id: String,
    /// What the letter may be called here: as its Message-ID says, and the header that is given back.
    pub ids: Vec<EventId>,
    /// The addresses of whoever has got it: the one that the sender had named stands first.
    pub addresses: Vec<String>,
    /// It was displayed. Otherwise it was deleted without that, or the receipt was refused.
    pub is_displayed: bool,
}

/// Is the message a read receipt?
#[must_use]
pub fn is_receipt(structure: &Structure) -> bool {
    own_parts(structure).is_some_and(|mut parts| parts.any(is_notification))
}

fn is_notification(part: &Part) -> bool {
    is(part, "message", "disposition-notification") || is(part, "message", "global-disposition-notification")
}

/// What a read receipt says; `None`: it is none, or does not say of which letter.
#[must_use]
pub fn receipt(raw: &[u8], structure: &Structure) -> Option<Receipt> {
    let part = own_parts(structure)?.find(|part| is_notification(part))?;
    let body = decode_part(part, slice(raw, part.body));
    let text = String::from_utf8_lossy(body.get(..MAX_STATUS).unwrap_or(&body)).into_owned();
    let fields = groups(&text).into_iter().find(|fields| !fields.is_empty())?;
    let of = |wanted: &str| value(&fields, wanted);
    let message_id = of("original-message-id")?.trim_matches(['<', '>', ' ']).to_owned();
    if message_id.is_empty() {
        return None;
    }
    let addresses = ["original-recipient", "final-recipient"].into_iter().filter_map(of);
    let addresses = addresses.map(|said| behind_type(said).trim_matches(['<', '>']));
    let addresses = addresses.filter(|address| address.len() <= MAX_ADDRESS).map(str::to_owned).collect();
    // The modes stand before, modifiers behind: `manual-action/MDN-sent-manually; displayed/error` (section 3.2.6).
    let kind = of("disposition").and_then(|said| said.split_once(';')).map_or("", |(_, kind)| kind);
    let kind = kind.split(['/', ',']).next().unwrap_or_default().trim();
    let mut ids: Vec<EventId> =
        message_id.split('@').next().and_then(|local| local.parse().ok()).into_iter().collect();
    if let Some(returned) = returned(raw, structure) {
        ids.extend(returned.ids);
    }
    ids.dedup();
    Some(Receipt {
        program: of("reporting-ua").map(plain).unwrap_or_default(),
        message_id,
        ids,
        addresses,
        is_displayed: kind.eq_ignore_ascii_case("displayed"),
    })
}

#[cfg(test)]
mod tests {
    use pennypost_mime::parse;

    use super::*;

    const ID: &str = "01KAQ8ZJ00000000000000000A";

    fn read(fields: &str, returned: &str) -> Option<Receipt> {
        let text = format!(
            "From: you@far.example\nContent-Type: multipart/report; report-type=disposition-notification; boundary=b\n\n\
             --b\n\nRead.\n--b\nContent-Type: message/disposition-notification\n\n{fields}\n--b\n{returned}\n--b--\n"
        );
        let raw = text.replace('\n', "\r\n").into_bytes();
        let (structure, _) = parse(&raw);
        assert!(is_receipt(&structure));
        receipt(&raw, &structure)
    }

    #[test]
    fn what_a_receipt_says_is_read() {
        let header = format!(
            "Content-Type: text/rfc822-headers\n\nReceived: from laptop\n by mx.acme.example with ESMTPSA id {ID};\n Mon\nMessage-ID: <1@acme.example>\n"
        );
        let fields = "Reporting-UA: laptop; Mail 1.0\nOriginal-Recipient: rfc822;You@far.example\nFinal-Recipient: rfc822; \
                      other@far.example\nOriginal-Message-ID: <1@acme.example>\nDisposition: manual-action/MDN-sent-manually; Displayed/error\n";
        let found = read(fields, &header).expect("a receipt");
        let expected = Receipt {
            program: "laptop; Mail 1.0".to_owned(),
            message_id: "1@acme.example".to_owned(),
            ids: vec![ID.parse().expect("an id")],
            addresses: vec!["You@far.example".to_owned(), "other@far.example".to_owned()],
            is_displayed: true,
        };
        assert_eq!(found, expected);
        // Of what the post office has called itself it is found without a header.
        let own = format!(
            "Original-Message-ID: <{ID}@acme.example>\nDisposition: automatic-action/MDN-sent-automatically; deleted\n"
        );
        let found = read(&own, "\n").expect("a receipt");
        assert_eq!((found.ids.len(), found.is_displayed, found.addresses.len()), (1, false, 0));
        for nothing in ["", "Disposition: a; displayed\n", "Original-Message-ID: <>\n"] {
            assert_eq!(read(nothing, &header), None, "{nothing}");
        }
    }

    proptest::proptest! {
        #[test]
        fn whatever_it_says_it_is_read(fields in "(Original-Message-ID|Disposition|Final-Recipient|:|;|<|>|@| |\n|[ -~]){0,80}") {
            if let Some(found) = read(&fields, "Content-Type: message/rfc822\n\nReceived: x id y\n\nz") {
                assert!(found.addresses.iter().all(|address| address.len() <= MAX_ADDRESS));
                assert!(found.ids.len() <= 3);
            }
        }
    }
}
