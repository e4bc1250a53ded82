//! Who really sent this? SPF (RFC 7208), DKIM (RFC 6376), ARC (RFC 8617) and DMARC (RFC 7489) by `mail-auth`,
//! over DNS servers of the operator's choice, each look-up and all of them together bounded in time: where
//! DNS fails the result is `temperror`, and the mail goes on.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig, ResolverOpts};
use mail_auth::common::headers::HeaderWriter;
use mail_auth::dmarc::Policy;
use mail_auth::dmarc::verify::DmarcParameters;
use mail_auth::spf::verify::SpfParameters;
use mail_auth::{
    ArcOutput, AuthenticatedMessage, AuthenticationResults, DkimOutput, DkimResult, DmarcOutput, DmarcResult,
    MessageAuthenticator, SpfOutput, SpfResult,
};
use pennypost_feedback::{Disposition, Seen, Signature};
use pennypost_model::event::{AuthResults, DmarcPolicy, Verdict};
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, timeout_at};
use tracing::warn;

use super::without_delay;

/// Signatures that are looked at; further ones are not (RFC 6376 section 6.1).
const MAX_SIGNATURES: usize = 10;
/// Domains with a valid signature that are kept.
const MAX_DOMAINS: usize = 10;

/// Where to ask.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Dns {
    /// `"system"` (as `/etc/resolv.conf` says), `"off"` (nothing is tested), or a list of servers:
    /// `["192.0.2.53", "[2001:db8::53]:5353"]`.
    pub servers: DnsServers,
    /// How long to wait for one answer, in seconds.
    #[serde(with = "crate::net::seconds")]
    pub timeout: Duration,
    /// Domains whose ARC seals are believed (RFC 8617 section 5.2). Anybody can make a valid chain: one that
    /// others sealed last is told in the header field and excuses nothing.
    pub arc_sealers: Vec<String>,
}

impl Default for Dns {
    fn default() -> Dns {
        Dns { servers: DnsServers::System, timeout: Duration::from_secs(3), arc_sealers: Vec::new() }
    }
}

/// Which DNS servers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written")]
pub enum DnsServers {
    /// Those of the machine.
    System,
    /// None: mail is not tested.
    Off,
    /// These.
    These(Vec<SocketAddr>),
}

/// As it stands in the configuration.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Written {
    Word(String),
    List(Vec<String>),
}

impl TryFrom<Written> for DnsServers {
    type Error = String;
    fn try_from(written: Written) -> Result<DnsServers, String> {
        match written {
            Written::Word(word) if word == "system" => Ok(DnsServers::System),
            Written::Word(word) if word == "off" => Ok(DnsServers::Off),
            Written::Word(word) => server(&word).map(|server| DnsServers::These(vec![server])),
            Written::List(list) if list.is_empty() => Ok(DnsServers::Off),
            Written::List(list) => {
                list.iter().map(|text| server(text)).collect::<Result<_, _>>().map(DnsServers::These)
            }
        }
    }
}

impl From<DnsServers> for Written {
    fn from(servers: DnsServers) -> Written {
        match servers {
            DnsServers::System => Written::Word("system".to_owned()),
            DnsServers::Off => Written::Word("off".to_owned()),
            DnsServers::These(list) => Written::List(list.iter().map(SocketAddr::to_string).collect()),
        }
    }
}

fn server(text: &str) -> Result<SocketAddr, String> {
    let with_port = text.parse().ok();
    let alone = || text.parse().ok().map(|ip: IpAddr| SocketAddr::new(ip, 53));
    with_port.or_else(alone).ok_or_else(|| {
        format!("{text:?} is not a DNS server: write \"system\", \"off\" or a list of addresses")
    })
}

/// Asks DNS about senders.
pub(crate) struct Authenticator {
    dns: Option<MessageAuthenticator>,
    arc_sealers: Vec<String>,
}

/// What SPF said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SpfAnswer(SpfOutput);

impl SpfAnswer {
    /// Of a sender who has signed in here: the one server that his domain certainly means is this one.
    pub fn vouched_for(reverse_path: &str, helo: &str) -> SpfAnswer {
        let domain = reverse_path.rsplit_once('@').map_or(helo, |(_, domain)| domain);
        SpfAnswer(SpfOutput::new(domain.to_owned()).with_result(SpfResult::Pass))
    }

    /// As a verdict.
    pub fn verdict(&self) -> Verdict {
        spf_verdict(self.0.result())
    }
}

/// The peer and its envelope.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sender<'a> {
    pub ip: IpAddr,
    pub helo: &'a str,
    pub reverse_path: &'a str,
    /// Our name.
    pub hostname: &'a str,
}

impl Authenticator {
    /// # Errors
    /// A text for the operator when the DNS configuration can't be used.
    pub fn new(dns: &Dns) -> Result<Authenticator, String> {
        let failed = |error: &dyn std::fmt::Display| format!("DNS can't be set up: {error}");
        let (config, mut options) = match &dns.servers {
            DnsServers::Off => return Ok(Authenticator { dns: None, arc_sealers: Vec::new() }),
            DnsServers::System => hickory_resolver::system_conf::read_system_conf().unwrap_or_else(|error| {
                warn!(%error, "this machine has no DNS configuration: tests of mail will give temperror");
                (ResolverConfig::from_parts(None, Vec::new(), Vec::new()), ResolverOpts::default())
            }),
            DnsServers::These(servers) => {
                let of = |server: &SocketAddr| {
                    let connections =
                        [ConnectionConfig::udp(), ConnectionConfig::tcp()].map(|mut connection| {
                            connection.port = server.port();
                            connection
                        });
                    NameServerConfig::new(server.ip(), true, connections.to_vec())
                };
                let config = ResolverConfig::from_parts(None, Vec::new(), servers.iter().map(of).collect());
                (config, ResolverOpts::default())
            }
        };
        options.timeout = dns.timeout;
        options.attempts = 2;
        options.cache_size = 4096;
        let authenticator = MessageAuthenticator::new(config, options).map_err(|error| failed(&error))?;
        Ok(Authenticator { dns: Some(authenticator), arc_sealers: dns.arc_sealers.clone() })
    }

    /// SPF of the reverse-path, or of the EHLO name for `<>`. `None` when DNS is off.
    pub async fn spf(&self, sender: Sender<'_>, deadline: Instant) -> Option<SpfAnswer> {
        let dns = self.dns.as_ref()?;
        let Sender { ip, helo, reverse_path, hostname } = sender;
        let parameters = if reverse_path.is_empty() {
            SpfParameters::verify_ehlo(ip, helo, hostname)
        } else {
            SpfParameters::verify_mail_from(ip, helo, hostname, reverse_path)
        };
        let output = timeout_at(deadline, dns.verify_spf(parameters)).await;
        let domain = reverse_path.rsplit_once('@').map_or(helo, |(_, domain)| domain);
        let late = |_| SpfOutput::new(domain.to_owned()).with_result(SpfResult::TempError);
        Some(SpfAnswer(output.unwrap_or_else(late)))
    }

    /// All of it: the results, the Authentication-Results field (RFC 8601) with its end, and what the author's domain is told, if it
    /// wants to be.
    pub async fn message(
        &self,
        raw: &[u8],
        sender: Sender<'_>,
        spf: Option<&SpfAnswer>,
        deadline: Instant,
    ) -> (AuthResults, String, Option<Box<Seen>>) {
        let Some(SpfAnswer(spf)) = spf else {
            return (AuthResults::default(), none_field(sender.hostname), None);
        };
        // Of whoever has signed in here that much is known without DNS.
        let Some(dns) = &self.dns else {
            let results = AuthResults { spf: spf_verdict(spf.result()), ..AuthResults::default() };
            return (results, field(sender, spf, &[], "", None, None), None);
        };
        // Hashes the body.
        let Some(mut message) = without_delay(raw.len(), || AuthenticatedMessage::parse(raw)) else {
            let results = AuthResults { spf: spf_verdict(spf.result()), ..AuthResults::default() };
            return (results, field(sender, spf, &[], "", None, None), None);
        };
        message.dkim_headers.truncate(MAX_SIGNATURES);
        message.errors.truncate(MAX_SIGNATURES);
        let temporary = || mail_auth::Error::Dns(mail_auth::DnsError::Resolver("timed out".to_owned()));
        let has_signatures = !message.dkim_headers.is_empty() || message.has_dkim_errors;
        let dkim: Vec<DkimOutput<'_>> = if has_signatures {
            let output = timeout_at(deadline, dns.verify_dkim(&message)).await;
            output.unwrap_or_else(|_| vec![DkimOutput::temp_err(temporary())])
        } else {
            Vec::new()
        };
        let arc = if message.ams_headers.is_empty() && message.as_headers.is_empty() {
            ArcOutput::default()
        } else {
            let output = timeout_at(deadline, dns.verify_arc(&message)).await;
            output.unwrap_or_else(|_| ArcOutput::default().with_result(DkimResult::TempError(temporary())))
        };
        let mail_from = sender.reverse_path.rsplit_once('@').map_or(sender.helo, |(_, domain)| domain);
        let parameters = DmarcParameters::new(&message, &dkim, mail_from, spf);
        let dmarc = timeout_at(deadline, dns.verify_dmarc(parameters)).await;
        let dmarc = dmarc
            .unwrap_or_else(|_| DmarcOutput::default().with_spf_result(DmarcResult::TempError(temporary())));
        let results = AuthResults {
            spf: spf_verdict(spf.result()),
            dkim: best(&dkim),
            dkim_domains: passed(&dkim),
            dmarc: dmarc_verdict(&dmarc.result()),
            dmarc_policy: match dmarc.policy() {
                Policy::Reject => DmarcPolicy::Reject,
                Policy::Quarantine => DmarcPolicy::Quarantine,
                Policy::None | Policy::Unspecified => DmarcPolicy::None,
            },
            arc: self.believed(&message, arc_verdict(arc.result())),
            trusted: false,
        };
        let arc = (*arc.result() != DkimResult::None).then_some(&arc);
        let text = field(sender, spf, &dkim, message.from(), arc, Some(&dmarc));
        (results, text, told(sender, spf, &dkim, &dmarc))
    }
}

impl Authenticator {
    /// A chain that passes counts only if we believe the last who sealed it.
    fn believed(&self, message: &AuthenticatedMessage<'_>, verdict: Verdict) -> Verdict {
        let sealer = message.as_headers.last().map_or("", |seal| &seal.header.d);
        let is_believed = self.arc_sealers.iter().any(|known| known.eq_ignore_ascii_case(sealer));
        if verdict == Verdict::Pass && !is_believed { Verdict::Neutral } else { verdict }
    }
}

/// The field when nothing was tested (RFC 8601 section 2.2).
pub(crate) fn none_field(hostname: &str) -> String {
    format!("Authentication-Results: {hostname}; none\r\n")
}

fn field(
    sender: Sender<'_>,
    spf: &SpfOutput,
    dkim: &[DkimOutput<'_>],
    from: &str,
    arc: Option<&ArcOutput<'_>>,
    dmarc: Option<&DmarcOutput>,
) -> String {
    let mut results = AuthenticationResults::new(sender.hostname).with_dkim_results(dkim, from);
    results = if sender.reverse_path.is_empty() {
        results.with_spf_ehlo_result(spf, sender.ip, sender.helo)
    } else {
        results.with_spf_mailfrom_result(spf, sender.ip, sender.reverse_path, sender.helo)
    };
    if let Some(arc) = arc {
        results = results.with_arc_result(arc, sender.ip);
    }
    if let Some(dmarc) = dmarc.filter(|dmarc| !dmarc.domain().is_empty()) {
        results = results.with_dmarc_result(dmarc);
    }
    let mut bytes = Vec::new();
    results.write_header(&mut bytes);
    let text = String::from_utf8_lossy(&bytes).into_owned();
    // What senders and their DNS wrote is quoted in it, and must never become a field of its own.
    if is_one_field(&text) { text } else { none_field(sender.hostname) }
}

/// Does the text end with CRLF, and is every line but the first a continuation that is not blank?
fn is_one_field(text: &str) -> bool {
    let Some(text) = text.strip_suffix("\r\n") else { return false };
    let mut lines = text.split("\r\n");
    lines.next().is_some()
        && lines.all(|line| line.starts_with(['\t', ' ']) && !line.trim().is_empty())
        && text.split("\r\n").all(|line| !line.contains(['\r', '\n', '\0']))
}

fn spf_verdict(result: SpfResult) -> Verdict {
    match result {
        SpfResult::Pass => Verdict::Pass,
        SpfResult::Fail => Verdict::Fail,
        SpfResult::SoftFail => Verdict::SoftFail,
        SpfResult::Neutral => Verdict::Neutral,
        SpfResult::TempError => Verdict::TempError,
        SpfResult::PermError => Verdict::PermError,
        SpfResult::None => Verdict::None,
    }
}

fn dkim_verdict(result: &DkimResult) -> Verdict {
    match result {
        DkimResult::Pass => Verdict::Pass,
        DkimResult::Neutral(_) => Verdict::Neutral,
        DkimResult::Fail(_) => Verdict::Fail,
        DkimResult::PermError(_) => Verdict::PermError,
        DkimResult::TempError(_) => Verdict::TempError,
        DkimResult::None => Verdict::None,
    }
}

/// A chain passes or fails (RFC 8617 section 4.4), whatever broke it: [`Verdict::Neutral`] is one that passes and is not
/// believed.
fn arc_verdict(result: &DkimResult) -> Verdict {
    match result {
        DkimResult::Neutral(_) | DkimResult::PermError(_) => Verdict::Fail,
        other => dkim_verdict(other),
    }
}

fn dmarc_verdict(result: &DmarcResult) -> Verdict {
    match result {
        DmarcResult::Pass => Verdict::Pass,
        DmarcResult::Fail(_) => Verdict::Fail,
        DmarcResult::PermError(_) => Verdict::PermError,
        DmarcResult::TempError(_) => Verdict::TempError,
        DmarcResult::None => Verdict::None,
    }
}

/// What a domain that wants reports is told of the message (RFC 7489 section 7.2), as long as nothing was done with it. Nothing where
/// DMARC could not be tested.
fn told(
    sender: Sender<'_>,
    spf: &SpfOutput,
    dkim: &[DkimOutput<'_>],
    dmarc: &DmarcOutput,
) -> Option<Box<Seen>> {
    let is_wanted = dmarc.dmarc_record().is_some_and(|record| !record.rua().is_empty());
    if !is_wanted || !matches!(dmarc.result(), DmarcResult::Pass | DmarcResult::Fail(_)) {
        return None;
    }
    let envelope_from = sender.reverse_path.rsplit_once('@').map_or("", |(_, domain)| domain);
    let spf_domain = if envelope_from.is_empty() { sender.helo } else { envelope_from };
    let signatures = dkim.iter().filter_map(|output| {
        let signature = output.signature()?;
        let (domain, selector) = (signature.d.clone(), signature.s.clone());
        Some(Signature { domain, selector, result: dkim_verdict(output.result()) })
    });
    Some(Box::new(Seen {
        source: sender.ip,
        author: dmarc.domain().to_owned(),
        envelope_from: envelope_from.to_owned(),
        spf_domain: spf_domain.to_owned(),
        spf: spf_verdict(spf.result()),
        signatures: signatures.collect(),
        is_spf_aligned: *dmarc.spf_result() == DmarcResult::Pass,
        is_dkim_aligned: *dmarc.dkim_result() == DmarcResult::Pass,
        disposition: Disposition::None,
        reason: None,
    }))
}

/// The result that says most for the message.
fn best(outputs: &[DkimOutput<'_>]) -> Verdict {
    let rank = |verdict: &Verdict| match verdict {
        Verdict::Pass => 0,
        Verdict::TempError => 1,
        Verdict::Neutral | Verdict::SoftFail => 2,
        Verdict::Fail => 3,
        Verdict::PermError => 4,
        Verdict::None => 5,
    };
    outputs.iter().map(|output| dkim_verdict(output.result())).min_by_key(rank).unwrap_or_default()
}

fn passed(outputs: &[DkimOutput<'_>]) -> Vec<String> {
    let mut domains: Vec<String> = Vec::new();
    for output in outputs.iter().filter(|output| *output.result() == DkimResult::Pass) {
        let Some(signature) = output.signature() else { continue };
        let domain = signature.d.to_lowercase();
        if !domains.contains(&domain) && domains.len() < MAX_DOMAINS {
            domains.push(domain);
        }
    }
    domains
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn without_servers_there_are_temporary_errors() {
        let dns = Dns { servers: DnsServers::These(Vec::new()), ..Dns::default() };
        let authenticator = Authenticator::new(&dns).expect("set up");
        let sender = Sender {
            ip: IpAddr::from([192, 0, 2, 1]),
            helo: "mx.example",
            reverse_path: "a@b.example",
            hostname: "post.example",
        };
        let begun = Instant::now();
        let deadline = begun + Duration::from_secs(5);
        let spf = authenticator.spf(sender, deadline).await.expect("DNS is on");
        assert_eq!(spf.0.result(), SpfResult::TempError);
        let message = b"From: a@b.example\r\n\r\n";
        let (results, field, _) = authenticator.message(message, sender, Some(&spf), deadline).await;
        assert_eq!((results.spf, results.dmarc), (Verdict::TempError, Verdict::TempError), "{field}");
        assert!(begun.elapsed() < Duration::from_secs(2));
    }

    #[test]
    fn a_field_is_one_field() {
        assert!(is_one_field("A: b;\r\n\tc\r\n"));
        for text in
            ["A: b", "A: b\r\nC: d\r\n", "A: b\r\n\r\n", "A: b\r\n \r\n", "A: b\nC: d\r\n", "A: b\r\r\n"]
        {
            assert!(!is_one_field(text), "{text:?}");
        }
    }

    #[test]
    fn servers_are_read_as_they_are_written() {
        let read = |text: &str| DnsServers::try_from(Written::Word(text.to_owned()));
        assert_eq!(read("system"), Ok(DnsServers::System));
        assert_eq!(read("off"), Ok(DnsServers::Off));
        let expected = "192.0.2.53:53".parse().expect("address");
        assert_eq!(read("192.0.2.53"), Ok(DnsServers::These(vec![expected])));
        assert!(read("of").is_err());
        let list = Written::List(vec!["[2001:db8::53]:5353".to_owned(), "192.0.2.53".to_owned()]);
        let servers = DnsServers::try_from(list).expect("list");
        let DnsServers::These(servers) = servers else { panic!("no list") };
        assert_eq!(servers[0].port(), 5353);
    }
}
