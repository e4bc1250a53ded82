//! What a domain publishes (RFC 7489 section 6.3), and who gets its reports.

use mail_auth::common::parse::TxtRecordParser;
use mail_auth::dmarc::{Dmarc, Psd};
use pennypost_policy::MailAddress;
use pennypost_ports::{Dns, DnsError, DnsKind, DnsRecord};

/// Labels above a domain that are asked, beside its own.
const MAX_STEPS: usize = 7;
/// Addresses that get the reports about a domain.
const MAX_PLACES: usize = 4;

/// A record, and where it stands.
#[derive(Debug)]
pub(crate) struct Published {
    /// The domain whose policy it is.
    pub domain: String,
    pub record: Dmarc,
}

/// Who gets reports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    pub address: MailAddress,
    /// Bytes of a letter; none: any.
    pub max_size: Option<usize>,
}

/// The only record of its kind in front of a domain.
async fn record(dns: &dyn Dns, name: &str) -> Result<Option<Dmarc>, DnsError> {
    let texts = dns.look_up(name, DnsKind::Txt).await?;
    let mut records = texts.iter().filter_map(|record| match record {
        DnsRecord::Txt(text) => Dmarc::parse(text.as_bytes()).ok(),
        _ => None,
    });
    let (first, second) = (records.next(), records.next());
    Ok(first.filter(|_| second.is_none()))
}

/// The policy of an author's domain: its own, or that of the domain furthest above it which has one. At most eight look-ups.
pub(crate) async fn published(dns: &dyn Dns, author: &str) -> Result<Option<Published>, DnsError> {
    let mut found = None;
    let mut labels: Vec<&str> = author.split('.').filter(|label| !label.is_empty()).collect();
    let mut is_own = true;
    while labels.len() >= 2 {
        let domain = labels.join(".");
        if let Some(record) = record(dns, &format!("_dmarc.{domain}")).await?
            && record.psd != Psd::Yes
        {
            let is_last = is_own || record.psd == Psd::No;
            found = Some(Published { domain, record });
            if is_last {
                break;
            }
        }
        is_own = false;
        let above = labels.len().saturating_sub(1).min(MAX_STEPS);
        labels.drain(..labels.len() - above);
    }
    Ok(found)
}

/// Is one domain the other, or below it?
fn is_within(domain: &str, above: &str) -> bool {
    domain == above || domain.strip_suffix(above).is_some_and(|rest| rest.ends_with('.'))
}

/// Those whom the record names by mail, and who agree if they are in another domain (RFC 7489 section 7.1): one look-up for each of
/// these.
pub(crate) async fn places(dns: &dyn Dns, published: &Published) -> Result<Vec<Place>, DnsError> {
    let mut places: Vec<Place> = Vec::new();
    let own = published.domain.as_str();
    for named in published.record.rua().iter().take(2 * MAX_PLACES) {
        let Ok(address) = MailAddress::parse(named.uri().split('?').next().unwrap_or_default()) else {
            continue;
        };
        let Ok(domain) = MailAddress::domain_of(&address.to_string()) else { continue };
        let (domain, is_known) = (domain.as_str(), places.iter().any(|place| place.address == address));
        if is_known || places.len() >= MAX_PLACES {
            continue;
        }
        let agrees =
            is_within(domain, own) || record(dns, &format!("{own}._report._dmarc.{domain}")).await?.is_some();
        if agrees {
            let max_size = Some(named.max_size()).filter(|size| *size > 0);
            places.push(Place { address, max_size });
        }
    }
    Ok(places)
}
