//! From a notification and the bytes to the accepted messages, one for each tenant.

use pennypost_model::event::{Accepted, AuthResults, Body, Recipient, Source, SourceKind, Verdict};
use pennypost_model::message::StoredMessage;
use pennypost_model::{EventId, TenantId, Timestamp};
use sha2::{Digest, Sha256};

use crate::notification::Notification;
use crate::peer::Peer;

/// Bytes of recipients in an event at most: with a receipt and a few fields it stays below what queues carry.
const MAX_RECIPIENT_BYTES: usize = 160 * 1024;

/// The id of the message for a tenant: the same whenever the same notification comes, so that nobody gets it twice.
/// `part` tells messages apart that have too many recipients for one event.
pub(crate) fn id_of(notification: &Notification, tenant: TenantId, part: usize) -> EventId {
    let named = format!("ses\0{}\0{tenant}\0{part}", notification.id);
    let mut random = [0; 16];
    random.copy_from_slice(&Sha256::digest(named.as_bytes())[..16]);
    // The time is SES's, too: it must not differ when the notification comes again.
    EventId::from_parts(notification.time, u128::from_be_bytes(random) >> 48)
}

/// The recipients of a tenant in as many parts as events are needed, nearly always one. In order of accounts, whatever
/// the order of addresses was.
pub(crate) fn parts(mut recipients: Vec<Recipient>) -> Vec<Vec<Recipient>> {
    recipients.sort_by_key(|recipient| recipient.account);
    let (mut parts, mut bytes) = (vec![Vec::new()], 0);
    for recipient in recipients {
        let size = recipient.address.len() + 24;
        if bytes + size > MAX_RECIPIENT_BYTES {
            parts.push(Vec::new());
            bytes = 0;
        }
        bytes += size;
        if let Some(part) = parts.last_mut() {
            part.push(recipient);
        }
    }
    parts
}

/// The accepted message of one part.
pub(crate) fn accepted(
    notification: &Notification,
    peer: &Peer,
    hostname: &str,
    (tenant, number, recipients): (TenantId, usize, Vec<Recipient>),
    (stored, now): (StoredMessage, Timestamp),
) -> Accepted {
    let id = id_of(notification, tenant, number);
    let verdicts = notification.verdicts;
    Accepted {
        id,
        time: notification.time,
        tenant,
        source: Source {
            kind: SourceKind::Service { spam: verdicts.spam },
            ip: peer.ip,
            helo: peer.helo.clone(),
            tls: None,
        },
        auth: AuthResults {
            spf: verdicts.spf,
            dkim: verdicts.dkim,
            dmarc: verdicts.dmarc,
            dmarc_policy: verdicts.dmarc_policy,
            ..AuthResults::default()
        },
        reverse_path: notification.reverse_path.clone(),
        receipt: received(notification, hostname, id, &recipients, now)
            + &authentication(notification, hostname),
        recipients,
        body: Body::Inline(stored),
    }
}

/// The Received field (RFC 5321 section 4.4) of the way from the service to us, which is none of SMTP.
fn received(
    notification: &Notification,
    hostname: &str,
    id: EventId,
    recipients: &[Recipient],
    now: Timestamp,
) -> String {
    let from = notification.region.as_ref().map_or_else(String::new, |region| {
        format!("from inbound-smtp.{region}.amazonaws.com (Amazon SES {})\r\n\t", notification.id)
    });
    let recipient = match recipients {
        [only] => format!("\r\n\tfor <{}>", only.address),
        _ => String::new(),
    };
    format!("Received: {from}by {hostname} id {id}{recipient};\r\n\t{}\r\n", now.rfc5322())
}

/// The Authentication-Results field (RFC 8601). What SES could not find out is left out.
fn authentication(notification: &Notification, hostname: &str) -> String {
    let verdicts = notification.verdicts;
    let sender = match notification.reverse_path.as_str() {
        "" => String::new(),
        // As the RFC has it for what is more than atoms.
        path => format!(" smtp.mailfrom=\"{}\"", path.replace(['\\', '"'], "")),
    };
    let mut field = format!("Authentication-Results: {hostname}");
    let found =
        [("spf", verdicts.spf, sender.as_str()), ("dkim", verdicts.dkim, ""), ("dmarc", verdicts.dmarc, "")];
    for (method, verdict, property) in found {
        field.push_str(&format!(";\r\n\t{method}={} (found by Amazon SES){property}", result(verdict)));
    }
    field + "\r\n"
}

const fn result(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::None => "none",
        Verdict::Pass => "pass",
        Verdict::Fail => "fail",
        Verdict::SoftFail => "softfail",
        Verdict::Neutral => "neutral",
        Verdict::TempError => "temperror",
        Verdict::PermError => "permerror",
    }
}
