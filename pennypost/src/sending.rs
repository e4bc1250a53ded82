//! What `serve` needs to send to other servers.

use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use pennypost_admin::NoticeSender;
use pennypost_connector::WebhookSettings;
use pennypost_directory::{DirectoryError, Resolved};
use pennypost_feedback::{DmarcReports, DmarcTally};
use pennypost_ingress::net::Adapter;
use pennypost_ingress::smtp::{self, DnsServers};
use pennypost_lookup::{Authorities, Believed, Documents, Proving};
use pennypost_model::EventId;
use pennypost_outbound::Patience;
use pennypost_ports::{Dns, DnsError, DnsKind, DnsRecord, ProvingDns};
use pennypost_send_remote::exchange::{self, Exchange, Home, Login, Reach, StsPolicies};
use pennypost_send_remote::{self as send_remote, Pacing, SendRemote, Tally, TlsReports};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use tokio::io::DuplexStream;

use crate::backend::Kind;
use crate::cli::Handlers;
use crate::config::Config;
use crate::office::Office;
use crate::pacing::{Rates, WarmingUp};
use crate::probing::Probing;

/// Mail to other servers.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Sending {
    /// Is anything sent to other servers? If nothing is said, yes from a data directory, and no in a cloud, where port 25
    /// is closed until its owner asks, but by a process that handles nothing else. Never by `--demo`, nor where functions
    /// handle all events.
    pub enabled: Option<bool>,
    /// Everything goes to this server, whatever DNS says: `NAME:PORT`, or a table with what it wants to know.
    pub smart_host: Option<SmartHost>,
    /// A file of PEM with authorities by which certificates are believed beside those of this machine.
    pub authorities: Option<AuthorityFile>,
    /// Whose word counts that DNSSEC proves an answer: by it servers are known (DANE).
    pub dnssec: Dnssec,
    /// The address of an account here, in whose name other domains are told what becomes of TLS with their servers (TLSRPT); if
    /// nothing is said, nobody is.
    pub tls_reports_from: Option<String>,
    /// Each tells of so many seconds: a day. Less is for tests.
    pub tls_reports_seconds: NonZeroU32,
    /// The address of an account here, in whose name other domains are told what came in their name (DMARC); if nothing is said,
    /// nobody is.
    pub dmarc_reports_from: Option<String>,
    /// Each tells of so many seconds: a day. Less is for tests.
    pub dmarc_reports_seconds: NonZeroU32,
    /// The port of other servers.
    pub port: u16,
    /// This machine and private networks are tried, too, where DNS leads there: for networks of one's own, and tests.
    pub private_networks: bool,
    /// For so many hours a message is tried.
    pub give_up_hours: NonZeroU32,
    /// After so many hours its sender is told that it takes long.
    pub tell_after_hours: NonZeroU32,
    /// Attempts at once.
    pub attempts: NonZeroU32,
    /// Attempts at once for one domain.
    pub attempts_per_domain: NonZeroU32,
    /// How many letters go to a domain within a minute, and within an hour; without it as many as there are.
    pub rates: Rates,
    /// How an installation begins that the world does not know yet.
    pub warm_up: Option<WarmingUp>,
    /// All that is waited for on the way is divided by it: pauses, claims, answers, the hours above. For tests: other servers
    /// need their time.
    pub haste: NonZeroU32,
}

impl Default for Sending {
    fn default() -> Sending {
        let positive = |number| NonZeroU32::new(number).unwrap_or(NonZeroU32::MIN);
        Sending {
            enabled: None,
            smart_host: None,
            authorities: None,
            dnssec: Dnssec::default(),
            tls_reports_from: None,
            tls_reports_seconds: positive(86_400),
            dmarc_reports_from: None,
            dmarc_reports_seconds: positive(86_400),
            port: 25,
            private_networks: false,
            give_up_hours: positive(5 * 24),
            tell_after_hours: positive(4),
            attempts: positive(50),
            attempts_per_domain: positive(20),
            rates: Rates::default(),
            warm_up: None,
            haste: NonZeroU32::MIN,
        }
    }
}

/// Whose word counts that DNSSEC proves an answer. A name server that validates says so with each (the AD bit).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Dnssec {
    /// That of name servers on this machine: nobody is between them and us.
    #[default]
    Local,
    /// That of whichever are asked: the operator trusts the way to them.
    Trusted,
    /// Nobody's.
    Off,
}

impl Dnssec {
    /// Who says what is proved, of those who are asked anyway.
    fn proving(self, servers: &DnsServers) -> Option<Arc<dyn ProvingDns>> {
        let believed = match self {
            Dnssec::Local => Believed::OfThisMachine,
            Dnssec::Trusted => Believed::OfAll,
            Dnssec::Off => return None,
        };
        let found = match servers {
            DnsServers::These(servers) => Proving::over(servers, believed),
            DnsServers::System | DnsServers::Off => Proving::of_system(believed),
        };
        match found {
            Ok(Some(proving)) => Some(Arc::new(proving)),
            Ok(None) => {
                tracing::info!("no name server is believed about DNSSEC: servers are not known by DANE");
                None
            }
            Err(error) => {
                tracing::warn!(%error, "servers are not known by DANE");
                None
            }
        }
    }
}

/// In whose name the post office itself writes: to members, and to addresses elsewhere.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "NoticesTable")]
pub struct Notices(pub NoticeSender);

/// The same as it is written.
#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
struct NoticesTable {
    /// A name before the address.
    name: String,
    /// What stands before the @; behind it stands the domain of the account that a letter is about.
    local_part: String,
}

impl Default for NoticesTable {
    fn default() -> NoticesTable {
        NoticesTable { name: String::new(), local_part: "postmaster".to_owned() }
    }
}

impl TryFrom<NoticesTable> for Notices {
    type Error = String;

    fn try_from(table: NoticesTable) -> Result<Notices, String> {
        let NoticesTable { name, local_part } = table;
        let sender = NoticeSender::new(&name, &local_part);
        sender.map(Notices).ok_or_else(|| format!("nobody writes as {name:?} {local_part:?}"))
    }
}

/// Text messages.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(from = "TextingTable")]
pub struct Texting {
    /// The program that brings them.
    pub webhook: WebhookSettings,
    /// How many a tenant sends on a day at most.
    pub most_per_day: u32,
}

/// The same as it is written. What is missing is told where it is used: settings are said one after the other.
#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
struct TextingTable {
    url: String,
    secret: String,
    templates: BTreeMap<String, String>,
    most_per_day: u32,
}

impl Default for TextingTable {
    fn default() -> TextingTable {
        let (url, secret, templates) = (String::new(), String::new(), BTreeMap::new());
        TextingTable { url, secret, templates, most_per_day: 1_000 }
    }
}

impl From<TextingTable> for Texting {
    fn from(table: TextingTable) -> Texting {
        let TextingTable { url, secret, templates, most_per_day } = table;
        Texting { webhook: WebhookSettings { url, secret, templates }, most_per_day }
    }
}

/// Authorities that the operator has named.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "PathBuf")]
pub struct AuthorityFile(Authorities);

impl TryFrom<PathBuf> for AuthorityFile {
    type Error = String;

    fn try_from(path: PathBuf) -> Result<AuthorityFile, String> {
        Authorities::and_of(&path).map(AuthorityFile)
    }
}

/// A server that takes everything.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "toml::Value")]
pub struct SmartHost(SmartHostTable);

/// The same as it is written where it wants to know something. What is missing is told where it is used: settings are said one
/// after the other.
#[derive(Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct SmartHostTable {
    /// `NAME:PORT`.
    address: String,
    /// The user; the password, or the file in which it stands.
    user: Option<String>,
    password: Option<Password>,
    password_file: Option<PathBuf>,
    /// TLS begins with the connection; if nothing is said, at port 465.
    implicit_tls: Option<bool>,
}

/// A password as it is written. Of one that is something else nothing is repeated.
#[derive(Clone, PartialEq, Eq)]
struct Password(String);

impl<'de> Deserialize<'de> for Password {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Password, D::Error> {
        match toml::Value::deserialize(deserializer) {
            Ok(toml::Value::String(text)) => Ok(Password(text)),
            Ok(_) | Err(_) => Err(D::Error::custom("password is a text in quotes")),
        }
    }
}

impl fmt::Debug for SmartHostTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let SmartHostTable { address, user, .. } = self;
        f.debug_struct("SmartHost").field("address", address).field("user", user).finish_non_exhaustive()
    }
}

impl TryFrom<toml::Value> for SmartHost {
    type Error = String;

    fn try_from(value: toml::Value) -> Result<SmartHost, String> {
        let table: SmartHostTable = match value {
            toml::Value::String(address) => {
                host_and_port(&address)?;
                SmartHostTable { address, ..SmartHostTable::default() }
            }
            toml::Value::Table(table) => {
                table.try_into().map_err(|error: toml::de::Error| error.message().to_owned())?
            }
            _ => return Err("it is NAME:PORT, or a table".to_owned()),
        };
        Ok(SmartHost(table))
    }
}

impl SmartHost {
    /// With its password, which is read here.
    ///
    /// # Errors
    /// What is missing, or wrong.
    fn ready(&self) -> Result<exchange::SmartHost, String> {
        let SmartHost(table) = self;
        let (host, port) = host_and_port(&table.address)?;
        let is_wrapped = table.implicit_tls.unwrap_or(port == 465);
        Ok(exchange::SmartHost { host, port, login: table.login()?, is_wrapped })
    }
}

impl SmartHostTable {
    fn login(&self) -> Result<Option<Login>, String> {
        let password = match (&self.password, &self.password_file) {
            (Some(_), Some(_)) => return Err("there is a password, and a password_file".to_owned()),
            (None, Some(path)) => {
                let wrong = |cause: &str| format!("{}: {cause}", path.display());
                let text = std::fs::read_to_string(path).map_err(|error| wrong(&error.to_string()))?;
                // The end of the line is the editor's.
                Some(text.trim_end_matches(['\r', '\n']).to_owned())
            }
            (password, None) => password.as_ref().map(|Password(text)| text.clone()),
        };
        match (self.user.clone(), password) {
            (None, None) => Ok(None),
            (Some(user), Some(password)) => {
                let is_good = |text: &str| !text.is_empty() && text.len() <= 1_000 && !text.contains('\0');
                let is_good = is_good(&user) && is_good(&password);
                is_good
                    .then_some(Some(Login { user, password }))
                    .ok_or_else(|| "user and password have 1 to 1000 bytes, none of them 0".to_owned())
            }
            (Some(_), None) => Err("there is a user, and neither password nor password_file".to_owned()),
            (None, Some(_)) => Err("there is a password, and no user".to_owned()),
        }
    }
}

fn host_and_port(text: &str) -> Result<(String, u16), String> {
    let wrong = || format!("{text:?} is not NAME:PORT");
    let (host, port) = text.rsplit_once(':').ok_or_else(wrong)?;
    let port = port.parse().ok().filter(|port| *port > 0).ok_or_else(wrong)?;
    let host = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        Some(literal) => literal.parse::<std::net::Ipv6Addr>().map_err(|_| wrong())?.to_string(),
        None if host.is_empty() || host.contains([':', ' ']) => return Err(wrong()),
        None => host.to_owned(),
    };
    Ok((host, port))
}

impl Sending {
    /// Does this process send?
    #[must_use]
    pub fn is_on(&self, kind: Kind, handlers: Handlers, is_demo: bool) -> bool {
        let unless_said = match handlers {
            Handlers::None => return false,
            Handlers::All => kind == Kind::Embedded,
            Handlers::Sending => true,
        };
        !is_demo && self.enabled.unwrap_or(unless_said)
    }
}

/// A machine without DNS: everything waits, unless there is a smart host that needs none.
struct NoDns;

#[async_trait]
impl Dns for NoDns {
    async fn look_up(&self, _name: &str, _kind: DnsKind) -> Result<Vec<DnsRecord>, DnsError> {
        Err(DnsError("this machine has no DNS".to_owned()))
    }
}

/// The adapter of this process, which takes what one organisation here writes to another.
struct FrontDoor(Arc<Adapter>);

#[async_trait]
impl Home for FrontDoor {
    async fn keeps(&self, domain: &str) -> Result<bool, String> {
        match self.0.directory.resolve(&format!("postmaster@{domain}")).await {
            Ok(resolved) => Ok(!matches!(resolved, Resolved::UnknownDomain)),
            Err(DirectoryError::TooMany { .. }) => Ok(true),
            Err(error) => Err(error.to_string()),
        }
    }

    fn connect(&self, id: EventId) -> DuplexStream {
        smtp::connect_at_home(&self.0, id)
    }
}

/// Who is asked about other domains, as the configuration says.
fn dns(office: &Office, config: &Config) -> Arc<dyn Dns> {
    let dns = match &config.adapter.dns.servers {
        DnsServers::These(servers) => match pennypost_lookup::over(servers) {
            Ok((dns, _)) => Some(dns as Arc<dyn Dns>),
            Err(error) => {
                tracing::warn!(%error, "other servers are looked up by the machine's servers");
                office.dns()
            }
        },
        DnsServers::System | DnsServers::Off => office.dns(),
    };
    dns.unwrap_or_else(|| Arc::new(NoDns))
}

/// What tries smart hosts of tenants, as letters would go.
pub(crate) fn probing(office: &Office, config: &Config) -> Probing {
    let Sending { authorities, haste, .. } = &config.sending;
    let authorities = authorities.clone().map(|AuthorityFile(all)| all).unwrap_or_default();
    Probing::new(dns(office, config), &config.adapter.hostname, authorities, *haste)
}

/// What counts for reports of DMARC, and sends them, where the configuration wants it.
pub(crate) fn dmarc_reports(
    office: &Office,
    config: &Config,
    adapter: &Arc<Adapter>,
) -> Option<DmarcReports> {
    let from = config.sending.dmarc_reports_from.as_ref().filter(|_| adapter.is_sending)?;
    let period = Duration::from_secs(config.sending.dmarc_reports_seconds.get().into());
    let clock = Arc::clone(&office.clock);
    let tally = Arc::new(DmarcTally::new(office.control(), dns(office, config), clock, period));
    let _ = adapter.dmarc.set(Arc::clone(&tally));
    let ways = (office.queue(), office.objects());
    Some(DmarcReports::new(tally, office.directory.clone(), ways, from))
}

/// The handler and the worker. Where nothing is sent the handler puts down what comes all the same: what lay in its queue
/// when sending was switched off would lose its bytes there.
///
/// # Errors
/// What is missing for the smart host, or wrong.
pub(crate) fn sender(office: &Office, config: &Config, adapter: &Arc<Adapter>) -> Result<SendRemote, String> {
    let said = &config.sending;
    let dns = dns(office, config);
    if office.secrets().is_none() && config.adapter.is_sending {
        tracing::warn!("letters of domains with keys wait: this process has nothing that opens them");
    }
    let settings = exchange::Settings {
        smart_host: said.smart_host.as_ref().map(SmartHost::ready).transpose()?,
        port: said.port,
        reach: if said.private_networks { Reach::Everything } else { Reach::Public },
    };
    let hostname = config.adapter.hostname.clone();
    let authorities = said.authorities.clone().map(|AuthorityFile(all)| all).unwrap_or_default();
    let documents = Documents::with(Arc::clone(&dns), authorities.clone(), said.private_networks);
    let policies =
        StsPolicies::new(Arc::clone(&dns), Arc::new(documents), office.control(), Arc::clone(&office.clock));
    let tally = said.tls_reports_from.as_ref().map(|_| {
        let period = Duration::from_secs(said.tls_reports_seconds.get().into());
        Arc::new(Tally::new(office.control(), Arc::clone(&dns), Arc::clone(&office.clock), period))
    });
    let mut exchange = Exchange::new(dns, &hostname, settings)
        .believing(authorities)
        .with_policies(policies)
        .with_home(Arc::new(FrontDoor(Arc::clone(adapter))))
        .in_haste(said.haste);
    if let Some(proving) = said.dnssec.proving(&config.adapter.dns.servers) {
        exchange = exchange.proving(proving);
    }
    if let Some(tally) = &tally {
        exchange = exchange.counting(Arc::clone(tally));
    }
    let ports = send_remote::Ports {
        control: office.control(),
        objects: office.objects(),
        queue: office.queue(),
        log: office.log(),
        clock: Arc::clone(&office.clock),
        ids: Arc::clone(&office.ids),
        secrets: office.secrets(),
        carrier: Arc::new(exchange),
    };
    let hours = |hours: NonZeroU32| Duration::from_secs(3_600 * u64::from(hours.get())) / said.haste.get();
    let patience = Patience { give_up: hours(said.give_up_hours), tell: hours(said.tell_after_hours) };
    let count = |number: NonZeroU32| usize::try_from(number.get()).unwrap_or(usize::MAX);
    let (attempts, attempts_each) = (count(said.attempts), count(said.attempts_per_domain));
    let warm_up = said.warm_up.as_ref().map(|WarmingUp(warm_up)| *warm_up);
    let pacing = Pacing { rates: said.rates.0.clone(), warm_up };
    let haste = said.haste;
    let settings = send_remote::Settings { hostname, patience, attempts, attempts_each, pacing, haste };
    let sender = SendRemote::new(ports, settings);
    Ok(match tally.zip(said.tls_reports_from.as_ref()) {
        Some((tally, from)) => {
            let ways = (office.queue(), office.objects());
            sender.reporting(TlsReports::new(tally, office.directory.clone(), ways, from))
        }
        None => sender,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn smart_hosts_are_read_as_they_are_written() {
        let read = |text: &str| SmartHost::try_from(toml::Value::from(text)).and_then(|host| host.ready());
        assert_eq!(read("relay.example:25"), Ok(exchange::SmartHost::open("relay.example", 25)));
        assert_eq!(read("[2001:db8::1]:587"), Ok(exchange::SmartHost::open("2001:db8::1", 587)));
        assert_eq!(read("relay.example:465").map(|host| host.is_wrapped), Ok(true));
        for bad in
            ["relay.example", "relay.example:", ":25", "2001:db8::1:25", "[x]:25", "relay.example:0", "a b:1"]
        {
            assert!(read(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn smart_hosts_may_want_to_know_who_is_there() {
        let read = |text: &str| {
            let value = toml::Value::Table(text.parse().expect("TOML"));
            SmartHost::try_from(value).and_then(|host| host.ready())
        };
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("password");
        std::fs::write(&file, "open sesame\n").expect("written");
        let named =
            format!("address = 'relay.example:587'\nuser = 'us'\npassword_file = '{}'", file.display());
        let host = read(&named).expect("a smart host");
        let login = Login { user: "us".to_owned(), password: "open sesame".to_owned() };
        assert_eq!((host.login.as_ref(), host.is_wrapped), (Some(&login), false));
        // It is in no log.
        assert!(!format!("{host:?}").contains("sesame"));
        let direct =
            "address = 'relay.example:587'\nuser = 'us'\npassword = 'open sesame'\nimplicit_tls = true";
        let host = read(direct).expect("a smart host");
        assert_eq!((host.login, host.is_wrapped), (Some(login), true));
        for bad in [
            "address = 'relay.example:587'\nuser = 'us'",
            "address = 'relay.example:587'\npassword = 'x'",
            "address = 'relay.example:587'\nuser = ''\npassword = 'x'",
            "address = 'relay.example:587'\nuser = 'us'\npassword_file = '/nowhere/at/all'",
            "address = 'relay.example:587'\nuser = 'us'\npassword = 'x'\npassword_file = 'y'",
            "address = 'relay.example:587'\nname = 'us'",
            "user = 'us'\npassword = 'x'",
        ] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn how_fast_is_said_by_domain_and_by_day() {
        let read = |text: &str| toml::from_str::<Sending>(text).map_err(|error| error.message().to_owned());
        let said = "rates.'Gmail.com' = { per_minute = 60, per_hour = 1000 }\nrates.'*'.per_hour = 500\nwarm_up.since = '2026-11-23'";
        let said = read(said).expect("valid");
        let rates: Vec<_> = said.rates.0.iter().map(|(name, rate)| (name.as_str(), rate.per_hour)).collect();
        assert_eq!(rates, [("*", Some(500)), ("gmail.com", Some(1_000))]);
        let WarmingUp(warm_up) = said.warm_up.expect("said");
        assert_eq!(
            (warm_up.since.rfc3339().as_str(), warm_up.first, warm_up.most),
            ("2026-11-23T00:00:00.000Z", 50, 20_000)
        );
        for bad in [
            "rates.gmail.per_hour = 1",
            "rates.'gmail.com'.per_hour = 0",
            "rates.'gmail.com'.per_day = 1",
            "warm_up.first = 1",
            "warm_up = { since = 'today' }",
            "warm_up = { since = '2026-02-30' }",
        ] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn real_installations_send_and_demos_do_not() {
        use Handlers::{All, None};

        let (silent, on, off) = (Sending::default(), Some(true), Some(false));
        let said = |enabled| Sending { enabled, ..Sending::default() };
        assert!(silent.is_on(Kind::Embedded, All, false));
        assert!(!silent.is_on(Kind::Aws, All, false) && said(on).is_on(Kind::Aws, All, false));
        assert!(!said(off).is_on(Kind::Embedded, All, false));
        assert!(!said(on).is_on(Kind::Embedded, All, true) && !said(on).is_on(Kind::Aws, None, false));
        assert!(silent.is_on(Kind::Aws, Handlers::Sending, false));
        assert!(!said(off).is_on(Kind::Aws, Handlers::Sending, false));
    }
}
