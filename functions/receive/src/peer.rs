//! Who handed a letter to SES: its first Received field says it, and nobody but SES can have put a field before the others.

use std::net::IpAddr;

/// Bytes of a name at most.
const MAX_NAME: usize = 255;

/// The peer of the SMTP session.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Peer {
    /// Its address.
    pub ip: Option<IpAddr>,
    /// Its EHLO or HELO name.
    pub helo: String,
}

/// As the first Received field tells; nothing if that is not SES's of this message:
/// `from HELO (NAME [ADDRESS]) by inbound-smtp.REGION.amazonaws.com with SMTP id ID for …`.
pub(crate) fn peer(header: &[u8], message: &str) -> Peer {
    let mut fields = pennypost_mime::header_fields(header);
    let received = fields.find(|(name, ..)| name.eq_ignore_ascii_case(b"Received"));
    let Some((_, value, _)) = received else { return Peer::default() };
    let value = String::from_utf8_lossy(value);
    let mut words = value.split_whitespace();
    let is_from = words.next() == Some("from");
    let helo = words.next().unwrap_or_default();
    let Some((_, rest)) = value.split_once(" by inbound-smtp.") else { return Peer::default() };
    let is_of_message = rest.split_whitespace().skip_while(|word| *word != "id").nth(1) == Some(message);
    if !is_from || !is_of_message {
        return Peer::default();
    }
    let address =
        value.split_once('[').and_then(|(_, rest)| rest.split_once(']')).map(|(address, _)| address);
    let address = address.map(|address| address.trim_start_matches("IPv6:"));
    let is_name = helo.len() <= MAX_NAME && helo.bytes().all(|byte| byte.is_ascii_graphic());
    Peer {
        ip: address.and_then(|address| address.parse().ok()),
        helo: if is_name { helo.to_owned() } else { String::new() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIELD: &str = "Return-Path: <a@b.example>\r\nReceived: from mx.b.example (mx.b.example [192.0.2.9])\r\n by \
                         inbound-smtp.eu-west-1.amazonaws.com with SMTP id abc123\r\n for bob@demo.test;\r\n Fri, 11 Sep \
                         2015 20:32:33 +0000 (UTC)\r\nSubject: hello\r\n\r\n";

    #[test]
    fn the_services_own_field_names_the_peer() {
        let found = peer(FIELD.as_bytes(), "abc123");
        assert_eq!(found, Peer { ip: "192.0.2.9".parse().ok(), helo: "mx.b.example".to_owned() });
        let six = FIELD.replace("192.0.2.9", "IPv6:2001:db8::9");
        assert_eq!(peer(six.as_bytes(), "abc123").ip, "2001:db8::9".parse().ok());
    }

    #[test]
    fn a_field_of_somebody_else_names_nobody() {
        assert_eq!(peer(FIELD.as_bytes(), "another"), Peer::default());
        for field in
            ["", "Received: from\r\n\r\n", "Received: by x id abc123\r\n\r\n", "Subject: x\r\n\r\n", "\r\n"]
        {
            assert_eq!(peer(field.as_bytes(), "abc123"), Peer::default(), "{field}");
        }
        let forged = format!("Received: from x by y id z; Fri\r\n{FIELD}");
        assert_eq!(peer(forged.as_bytes(), "abc123"), Peer::default());
    }
}
