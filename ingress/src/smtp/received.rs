//! The Received field (RFC 5321 section 4.4, with the clauses of RFC 3848 and 8314).

use std::net::IpAddr;

use pennypost_model::{EventId, Timestamp};

/// What the field tells.
pub(crate) struct Received<'a> {
    pub helo: &'a str,
    /// By which protocol it came: [`protocol`].
    pub protocol: &'a str,
    pub ip: IpAddr,
    pub tls: Option<&'a str>,
    pub hostname: &'a str,
    pub id: EventId,
    /// The recipient, when there is only one: otherwise each would see the others.
    pub recipient: Option<&'a str>,
    pub time: Timestamp,
}

/// What was spoken with a client.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Spoken {
    /// EHLO was said.
    pub extended: bool,
    pub tls: bool,
    /// SMTPUTF8 was asked for.
    pub utf8: bool,
    /// Somebody has signed in.
    pub authenticated: bool,
}

/// Its name (RFC 3848, RFC 6531 section 4.3).
pub(crate) const fn protocol(spoken: Spoken) -> &'static str {
    let Spoken { extended, tls, utf8, authenticated } = spoken;
    match (utf8, tls, authenticated) {
        (true, true, true) => "UTF8SMTPSA",
        (true, true, false) => "UTF8SMTPS",
        (true, false, true) => "UTF8SMTPA",
        (true, false, false) => "UTF8SMTP",
        (false, true, true) => "ESMTPSA",
        (false, false, true) => "ESMTPA",
        (false, true, false) if extended => "ESMTPS",
        (false, false, false) if extended => "ESMTP",
        (false, _, false) => "SMTP",
    }
}

impl Received<'_> {
    /// The field with its end.
    pub fn field(&self) -> String {
        let address = match self.ip {
            IpAddr::V4(ip) => format!("[{ip}]"),
            IpAddr::V6(ip) => format!("[IPv6:{ip}]"),
        };
        let tls = self.tls.map(|tls| format!("\r\n\t({tls})")).unwrap_or_default();
        let recipient =
            self.recipient.map(|recipient| format!("\r\n\tfor <{recipient}>")).unwrap_or_default();
        format!(
            "Received: from {} ({address})\r\n\tby {} with {} id {}{tls}{recipient};\r\n\t{}\r\n",
            self.helo,
            self.hostname,
            self.protocol,
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
            protocol: protocol(Spoken { tls: true, extended: true, ..Spoken::default() }),
            ip: "2001:db8::1".parse().expect("address"),
            tls: Some("TLSv1_3 TLS13_AES_256_GCM_SHA384"),
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
