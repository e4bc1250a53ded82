//! The Received field (RFC 5321 section 4.4, with the clauses of RFC 3848 and 8314).

use std::net::IpAddr;

use pennypost_model::{EventId, Timestamp};

/// What the field tells.
pub(crate) struct Received<'a> {
    pub helo: &'a str,
    pub extended: bool,
    pub ip: IpAddr,
    pub tls: Option<&'a str>,
    pub utf8: bool,
    pub hostname: &'a str,
    pub id: EventId,
    /// The recipient, when there is only one: otherwise each would see the others.
    pub recipient: Option<&'a str>,
    pub time: Timestamp,
}

impl Received<'_> {
    /// The field with its end.
    pub fn field(&self) -> String {
        let address = match self.ip {
            IpAddr::V4(ip) => format!("[{ip}]"),
            IpAddr::V6(ip) => format!("[IPv6:{ip}]"),
        };
        let with = match (self.utf8, self.extended, self.tls.is_some()) {
            (true, _, true) => "UTF8SMTPS",
            (true, _, false) => "UTF8SMTP",
            (false, true, true) => "ESMTPS",
            (false, true, false) => "ESMTP",
            (false, false, _) => "SMTP",
        };
        let tls = self.tls.map(|tls| format!("\r\n\t({tls})")).unwrap_or_default();
        let recipient =
            self.recipient.map(|recipient| format!("\r\n\tfor <{recipient}>")).unwrap_or_default();
        format!(
            "Received: from {} ({address})\r\n\tby {} with {with} id {}{tls}{recipient};\r\n\t{}\r\n",
            self.helo,
            self.hostname,
            self.id,
            self.time.rfc5322()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_field_is_as_the_rfc_has_it() {
        let received = Received {
            helo: "mx.example",
            extended: true,
            ip: "2001:db8::1".parse().expect("address"),
            tls: Some("TLSv1_3 TLS13_AES_256_GCM_SHA384"),
            utf8: false,
            hostname: "post.example",
            id: EventId::from_parts(Timestamp(0), 1),
            recipient: Some("a@b.example"),
            time: Timestamp(1_795_132_800_000),
        };
        let expected = "Received: from mx.example ([IPv6:2001:db8::1])\r\n\tby post.example with ESMTPS id \
                        00000000000000000000000001\r\n\t(TLSv1_3 TLS13_AES_256_GCM_SHA384)\r\n\tfor \
                        <a@b.example>;\r\n\tFri, 20 Nov 2026 00:00:00 +0000\r\n";
        assert_eq!(received.field(), expected);
    }
}
