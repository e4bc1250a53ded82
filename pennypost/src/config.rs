//! The configuration: built-in values, then the file, then the environment and flags, then `--set`.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::Path;

use pennypost_api::{self as api, BadSetting};
use pennypost_housekeep::{self as housekeep, SettingsError};
use pennypost_ingress::net;
use pennypost_runtime::Fusing;
use pennypost_runtime::local;
use serde::Deserialize;
use toml::{Table, Value};

use crate::http::Proxies;
use crate::sending::{Notices, Sending, Texting};
use crate::signing_up::{SignUps, Trials};
use crate::text::Text;
use crate::{Failed, say};

/// Everything that can be set for `serve`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where to listen.
    pub listen: Listen,
    /// Names, limits and DNS of the adapter.
    pub adapter: net::Settings,
    /// The pipeline.
    pub pipeline: PipelineConfig,
    /// Housekeeping.
    pub housekeeping: housekeep::Settings,
    /// How long logs are kept.
    pub retention: Retention,
    /// What mail programs are told.
    pub setup: Setup,
    /// HTTP.
    pub http: Http,
    /// Mail to other servers.
    pub sending: Sending,
    /// Scanners for viruses and spam; none are asked, if nothing is said.
    pub scanner: pennypost_scanners::Settings,
    /// In whose name the post office itself writes.
    pub notices: Notices,
    /// Text messages; none are sent, if nothing is said.
    pub sms: Option<Texting>,
    /// Places at which the post office is reached under hosts of their own (AUT-20).
    pub sites: api::Sites,
    /// Domains that tenants get below one of the operator; none, if nothing is said.
    pub trial: Option<Trials>,
    /// Whether people open tenants by themselves; not, if nothing is said.
    pub signup: SignUps,
}

/// HTTP.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Http {
    /// Addresses of proxies that are believed from where requests come.
    pub proxies: Proxies,
    /// Calls of the admin API with one key at once.
    pub requests_at_once: NonZeroU32,
    /// And for each second after that.
    pub requests_per_second: NonZeroU32,
}

impl Default for Http {
    fn default() -> Http {
        let api::rest::Pace { at_once, per_second } = api::rest::Pace::default();
        let positive = |number| NonZeroU32::new(number).unwrap_or(NonZeroU32::MIN);
        Http {
            proxies: Proxies::default(),
            requests_at_once: positive(at_once),
            requests_per_second: positive(per_second),
        }
    }
}

impl Http {
    /// How often one key may ask.
    #[must_use]
    pub const fn pace(&self) -> api::rest::Pace {
        api::rest::Pace { at_once: self.requests_at_once.get(), per_second: self.requests_per_second.get() }
    }
}

/// What mail programs are told that set themselves up over HTTP: servers as the world reaches them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Setup {
    /// The name of the server; that of the adapter, if nothing is said.
    pub host: Option<String>,
    /// Its port of IMAP over TLS; that on which it listens, if nothing is said; 0: not offered.
    pub imaps: Option<u16>,
    /// The same of POP3.
    pub pop3s: Option<u16>,
    /// The same of submission over TLS; where that listens on this machine only and IMAP does not, nothing is said by itself.
    pub submissions: Option<u16>,
    /// Another server through which people send, `NAME:PORT`.
    pub outgoing: Option<String>,
}

impl Setup {
    /// With what the adapter's name and its listeners say of the rest.
    ///
    /// # Errors
    /// [`BadSetting`].
    pub fn settings(&self, hostname: &str, listen: &Listen) -> Result<api::Settings, BadSetting> {
        let host = self.host.as_deref().unwrap_or(hostname);
        let port = |said: Option<u16>, bound: SocketAddr| Some(said.unwrap_or(bound.port()));
        // Who has opened IMAP to the world, and not submission, has another server for sending, or none.
        let is_closed = listen.submissions.ip().is_loopback() && !listen.imaps.ip().is_loopback();
        let own = || {
            let port = port(self.submissions, listen.submissions)?;
            let is_told = self.submissions.is_some() || !is_closed;
            api::Outgoing::over_tls(host, port).filter(|_| is_told)
        };
        let outgoing = match &self.outgoing {
            Some(another) => Some(another.parse()?),
            None => own(),
        };
        api::Settings::new(host, port(self.imaps, listen.imaps), port(self.pop3s, listen.pop3s), outgoing)
    }
}

/// For how many days records of the log are kept. Operations of administrators are kept without limit.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Retention {
    /// What happened to each message (LOG-04).
    pub trace_days: NonZeroU32,
    /// Sign-ins (LOG-05).
    pub login_days: NonZeroU32,
}

impl Default for Retention {
    fn default() -> Retention {
        const HALF_A_YEAR: NonZeroU32 = NonZeroU32::new(180).unwrap();
        Retention { trace_days: HALF_A_YEAR, login_days: HALF_A_YEAR }
    }
}

/// Addresses to listen on; port 0 takes a free one.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Listen {
    /// SMTP with STARTTLS, mail from other servers.
    pub smtp: SocketAddr,
    /// Submission with STARTTLS, mail from members.
    pub submission: SocketAddr,
    /// Submission over TLS.
    pub submissions: SocketAddr,
    /// IMAP with STARTTLS.
    pub imap: SocketAddr,
    /// IMAP over TLS.
    pub imaps: SocketAddr,
    /// POP3 with STLS.
    pub pop3: SocketAddr,
    /// POP3 over TLS.
    pub pop3s: SocketAddr,
    /// HTTP: `/healthz`, `/metrics`, and what mail programs ask for when they set themselves up.
    pub http: SocketAddr,
}

impl Default for Listen {
    fn default() -> Listen {
        let loopback = |port: u16| SocketAddr::from(([127, 0, 0, 1], port));
        Listen {
            smtp: loopback(2525),
            submission: loopback(2587),
            submissions: loopback(2465),
            imap: loopback(2143),
            imaps: loopback(2993),
            pop3: loopback(2110),
            pop3s: loopback(2995),
            http: loopback(2080),
        }
    }
}

impl Listen {
    /// Every address.
    #[must_use]
    pub const fn all(&self) -> [SocketAddr; 8] {
        let Listen { smtp, submission, submissions, imap, imaps, pop3, pop3s, http } = *self;
        [smtp, submission, submissions, imap, imaps, pop3, pop3s, http]
    }
}

/// How the pipeline runs.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PipelineConfig {
    /// Stages of the mail path in one step (`true`, the default), with a queue in front of each (`false`), or a list
    /// of the queues that fall away: `["filter", "deliver", "notify"]` is the same as `true`.
    pub fused: Fusing,
    /// Workers, batches, retries.
    pub driver: local::Settings,
}

impl Config {
    /// Reads the file, if there is one, puts the addresses that flags or the environment have given over it, and
    /// `key.path=value` settings over all.
    ///
    /// # Errors
    /// [`Failed::Said`] naming the file and line, or the setting, and what is wrong with it.
    pub fn load(
        file: Option<&Path>,
        listeners: &[(&str, Option<SocketAddr>)],
        settings: &[String],
        text: &Text,
    ) -> Result<Config, Failed> {
        let mut table = file.map_or_else(|| Ok(Table::new()), |path| read(path, text))?;
        let mut config = Config::default();
        let with = |table: &Table, setting: &str| {
            Config::deserialize(Value::Table(table.clone())).map_err(|error| {
                let cause = error.message().to_owned();
                Failed::Said(say!(text, "config-setting-value", setting = setting, cause = cause))
            })
        };
        if !table.is_empty() {
            config = with(&table, "")?;
        }
        for (name, address) in listeners {
            if let Some(address) = address {
                let setting = format!("listen.{name}");
                // The file is valid by itself: `listen` is a table, if it is there.
                insert(&mut table, &setting, Value::String(address.to_string()));
                config = with(&table, &setting)?;
            }
        }
        for setting in settings {
            let shown = shown(setting);
            let wrong = || Failed::Said(say!(text, "config-setting", setting = shown));
            let (key, value) = setting.split_once('=').ok_or_else(wrong)?;
            insert(&mut table, key.trim(), parse_value(value.trim())).ok_or_else(wrong)?;
            config = with(&table, shown)?;
        }
        config.check(text)?;
        Ok(config)
    }

    /// What a type alone does not say.
    fn check(&self, text: &Text) -> Result<(), Failed> {
        // Only what was said: the name of the adapter may be one that nobody could look up.
        self.setup.settings("localhost", &self.listen).map_err(|error| {
            Failed::Said(say!(text, "config-setting-value", setting = "setup", cause = error.to_string()))
        })?;
        // Both scanners answer, or are not waited for any more, before the queue hands the letters out again.
        let visibility = u32::try_from(self.pipeline.driver.visibility_seconds).unwrap_or(u32::MAX);
        let most = (visibility.saturating_sub(30) / 2).min(pennypost_scanners::MOST_SECONDS);
        if self.scanner.is_some() {
            self.scanner.check(most).map_err(|error| {
                let cause = error.to_string();
                Failed::Said(say!(text, "config-setting-value", setting = "scanner", cause = cause))
            })?;
        }
        self.housekeeping.check().map_err(|error| match error {
            SettingsError::Days { name, value, least } => {
                let (name, value, least) =
                    (format!("housekeeping.{name}"), value.to_string(), least.to_string());
                Failed::Said(say!(text, "config-days", name = name, value = value, least = least))
            }
            SettingsError::TooYoung { value, least } => {
                let (value, least) = (value.to_string(), least.to_string());
                Failed::Said(say!(text, "config-too-young", value = value, least = least))
            }
        })
    }
}

/// The table in a file, which is valid by itself.
fn read(path: &Path, text: &Text) -> Result<Table, Failed> {
    let shown = path.display().to_string();
    let content = std::fs::read_to_string(path).map_err(|error| {
        Failed::Said(say!(text, "config-file", path = shown.as_str(), cause = error.to_string()))
    })?;
    let invalid = |error: toml::de::Error| {
        let before = error.span().and_then(|span| content.get(..span.start)).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        let cause = error.message().to_owned();
        Failed::Said(say!(text, "config-at", path = shown.as_str(), line = line, cause = cause))
    };
    toml::from_str::<Config>(&content).map_err(invalid)?;
    content.parse().map_err(invalid)
}

/// A setting as errors name it. Of one with a password only its name: it would stand in the journal.
fn shown(setting: &str) -> &str {
    let name = setting.split(['=', ' ']).next().unwrap_or_default();
    if ["password", "secret"].iter().any(|word| setting.contains(word)) { name } else { setting }
}

/// A value as TOML would read it; anything else is a string.
fn parse_value(text: &str) -> Value {
    let parsed = format!("value = {text}").parse::<Table>().ok().and_then(|mut table| table.remove("value"));
    parsed.unwrap_or_else(|| Value::String(text.to_owned()))
}

fn insert(table: &mut Table, path: &str, value: Value) -> Option<()> {
    match path.split_once('.') {
        None if path.is_empty() => None,
        None => {
            table.insert(path.to_owned(), value);
            Some(())
        }
        Some((head, rest)) => {
            let inner = table.entry(head.to_owned()).or_insert_with(|| Value::Table(Table::new()));
            insert(inner.as_table_mut()?, rest, value)
        }
    }
}

#[cfg(test)]
mod tests {
    use pennypost_model::event::Stage;

    use super::*;
    use crate::text::Lang;

    #[test]
    fn settings_reach_into_the_tables() {
        let text = Text::new(Lang::En);
        let settings = ["pipeline.fused=false", "listen.smtp=127.0.0.1:0", "pipeline.driver.workers=3"];
        let config = Config::load(None, &[], &settings.map(str::to_owned), &text).expect("good settings");
        assert_eq!(config.pipeline.fused, Fusing::unfused());
        assert_eq!((config.listen.smtp.port(), config.pipeline.driver.workers), (0, 3));
        let settings = ["pipeline.fused=['deliver']".to_owned()];
        let config = Config::load(None, &[], &settings, &text).expect("a list");
        assert_eq!(config.pipeline.fused, Fusing::of([Stage::Deliver]));
    }

    #[test]
    fn logs_are_not_kept_for_no_time() {
        let settings = ["retention.trace_days=0".to_owned()];
        assert!(Config::load(None, &[], &settings, &Text::new(Lang::En)).is_err());
    }

    #[test]
    fn bad_settings_are_named() {
        let text = Text::new(Lang::En);
        for bad in ["pipeline", "=1", "pipeline.fusd=true", "pipeline.fused=7", "pipeline.fused.x=1"] {
            assert!(Config::load(None, &[], &[bad.to_owned()], &text).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_password_that_is_no_text_is_not_repeated() {
        for bad in [
            "sending.smart_host.password=20261123",
            "sending.smart_host={address='a:25', user='u', password=20261123}",
            "sending.smart_host.password 20261123",
        ] {
            let said = with(&[bad]).expect_err("no text");
            assert!(said.contains("sending.smart_host") && !said.contains("20261123"), "{said}");
        }
    }

    #[test]
    fn notices_are_written_in_a_name_that_can_be() {
        let said = with(&["notices.name='Acme'", "notices.local_part='no-reply'"]).expect("valid");
        assert_ne!(said.notices, with(&[]).expect("valid").notices);
        assert!(with(&["notices.local_part='a b'"]).is_err() && with(&["notices.nam='x'"]).is_err());
    }

    #[test]
    fn people_sign_up_where_it_is_said() {
        let silent = with(&[]).expect("valid");
        assert_eq!((silent.trial, silent.signup.settings()), (None, Ok(None)));
        let said =
            with(&["trial.domain='Trial.example'", "signup.enabled=true", "signup.mailbox='a@b.example'"]);
        let said = said.expect("valid");
        assert_eq!(said.trial.map(|trials| trials.domain.to_string()).as_deref(), Some("trial.example"));
        let settings = said.signup.settings().expect("whole").expect("on");
        assert_eq!((settings.editions.len(), settings.most_per_day), (1, 100));
        assert!(with(&["signup.enabled=true"]).expect("read").signup.settings().is_err());
        assert!(
            with(&["signup.enabled=true", "signup.mailbox='a@b.example'", "signup.editions=[]"])
                .expect("read")
                .signup
                .settings()
                .is_err()
        );
        assert!(with(&["trial.domain='a b'"]).is_err() && with(&["signup.editions=['gold']"]).is_err());
    }

    #[test]
    fn text_messages_go_where_it_is_said() {
        assert_eq!(with(&[]).expect("valid").sms, None);
        let url = "sms.url='https://sms.example/send'";
        let said = with(&[url, "sms.secret='a secret of many characters'", "sms.templates.sign-in='SMS_1'"]);
        let sms = said.expect("valid").sms.expect("said");
        assert_eq!((sms.most_per_day, sms.webhook.templates.len()), (1_000, 1));
        assert!(!format!("{sms:?}").contains("many characters"));
        assert!(with(&[url, "sms.sekret='x'"]).is_err());
    }

    fn with(settings: &[&str]) -> Result<Config, String> {
        let text = Text::new(Lang::En);
        let settings: Vec<String> = settings.iter().map(|setting| (*setting).to_owned()).collect();
        Config::load(None, &[], &settings, &text).map_err(|error| error.message(&text))
    }

    #[test]
    fn programs_are_told_what_is_configured() {
        let config = with(&["listen.imaps=127.0.0.1:2993"]).expect("valid");
        let told = config.setup.settings("mx.example", &config.listen).expect("settings");
        assert_eq!((told.host.as_str(), told.imaps), ("mx.example", Some(2993)));
        let ours = told.outgoing.expect("one of ours");
        assert_eq!((ours.host.as_str(), ours.port, ours.security), ("mx.example", 2465, api::Security::Tls));
        let config = with(&[
            "setup.host=mail.example",
            "setup.imaps=993",
            "setup.pop3s=0",
            "setup.submissions=0",
            "setup.outgoing=smtp.example:465",
        ]);
        let config = config.expect("valid");
        let told = config.setup.settings("mx.example", &config.listen).expect("settings");
        assert_eq!((told.host.as_str(), told.imaps, told.pop3s), ("mail.example", Some(993), None));
        assert_eq!(told.outgoing.map(|server| server.port), Some(465));
        for (settings, expected) in [
            (["setup.submissions=0", "listen.imaps=0.0.0.0:993"], None),
            (["listen.submissions=127.0.0.1:465", "listen.imaps=0.0.0.0:993"], None),
            (["listen.submissions=0.0.0.0:465", "listen.imaps=0.0.0.0:993"], Some(465)),
            (["setup.submissions=465", "listen.imaps=0.0.0.0:993"], Some(465)),
        ] {
            let config = with(&settings).expect("valid");
            let told = config.setup.settings("mx.example", &config.listen).expect("settings");
            assert_eq!(told.outgoing.map(|server| server.port), expected, "{settings:?}");
        }
        for bad in [["scanner.rspamd=rspamd"], ["scanner.timeout_seconds=0"], ["scanner.clamd=clamd:3310"]] {
            assert!(with(&bad).is_err(), "{bad:?}");
        }
        let slow = |seconds: u32| {
            let (place, wait) = ("scanner.clamav=clamd:3310", format!("scanner.timeout_seconds={seconds}"));
            with(&[place, wait.as_str()]).map(|config| config.scanner.scanners().len()).ok()
        };
        assert_eq!((slow(45), slow(46)), (Some(1), None));
        assert!(with(&["pipeline.driver.visibility_seconds=1"]).is_ok(), "without a scanner nothing waits");
        for bad in ["setup.host=a b", "setup.outgoing=smtp.example", "setup.imap=1"] {
            assert!(with(&[bad]).is_err(), "{bad}");
        }
    }

    #[test]
    fn settings_win_over_flags_and_flags_over_the_file() {
        let text = Text::new(Lang::En);
        let dir = tempfile::tempdir().expect("folder");
        let file = dir.path().join("config.toml");
        let content = "[listen]\nsmtp = \"127.0.0.1:1\"\nimap = \"127.0.0.1:1\"\nhttp = \"127.0.0.1:1\"\n";
        std::fs::write(&file, content).expect("written");
        let flag = |port: u16| Some(SocketAddr::from(([127, 0, 0, 1], port)));
        let flags = [("smtp", flag(2)), ("imap", flag(2)), ("http", None), ("pop3", flag(2))];
        let settings = ["listen.smtp=127.0.0.1:3".to_owned()];
        let config = Config::load(Some(&file), &flags, &settings, &text).expect("valid");
        let Listen { smtp, imap, http, pop3, .. } = config.listen;
        assert_eq!([smtp, imap, http, pop3].map(|address| address.port()), [3, 2, 1, 2]);
    }

    #[test]
    fn errors_in_the_file_say_where() {
        let text = Text::new(Lang::En);
        let dir = tempfile::tempdir().expect("folder");
        let file = dir.path().join("config.toml");
        for (content, line, cause) in [
            ("[adapter]\nhostname = 1\n", 2, "expected a string"),
            ("[adapter.limits]\n\nconections = 1\n", 3, "unknown field `conections`"),
            ("[listen]\nsmtp = \"here\"\n", 2, "socket address"),
            ("[pipeline\n", 1, ""),
        ] {
            std::fs::write(&file, content).expect("written");
            let error = Config::load(Some(&file), &[], &[], &text).expect_err(content).message(&text);
            let place = format!("{} is not valid, line {line}: ", file.display());
            assert!(error.contains(&place) && error.contains(cause), "{error}");
        }
        let missing = Config::load(Some(&dir.path().join("none")), &[], &[], &text).expect_err("missing");
        assert!(missing.message(&text).contains("none"));
        let setting = with(&["pipeline.fused=true", "pipeline.fused=7"]).expect_err("no boolean");
        assert!(setting.contains("“pipeline.fused=7”") && !setting.contains('\n'), "{setting}");
    }

    #[test]
    fn bytes_outlive_the_time_in_which_mail_can_be_restored() {
        for bad in [
            &["housekeeping.restore_days=nan"][..],
            &["housekeeping.restore_days=-1"],
            &["housekeeping.hidden_days=-1"],
            &["housekeeping.restore_days=inf", "housekeeping.min_age_days=inf"],
            &["housekeeping.min_age_days=0.5", "housekeeping.restore_days=0"],
            &["housekeeping.min_age_days=14.5"],
            &["housekeeping.restore_days=30"],
        ] {
            let error = with(bad).expect_err("refused");
            assert!(error.contains("housekeeping."), "{error}");
        }
        with(&["housekeeping.restore_days=0", "housekeeping.min_age_days=1"]).expect("the least");
        with(&["housekeeping.min_age_days=31", "housekeeping.restore_days=30"]).expect("longer");
    }

    #[test]
    fn sites_are_read_and_checked() {
        let text = Text::new(Lang::En);
        let dir = tempfile::tempdir().expect("a folder");
        let file = dir.path().join("pennypost.toml");
        let load = |content: &str| {
            std::fs::write(&file, content).expect("written");
            Config::load(Some(&file), &[], &[], &text)
        };
        let good = "[[sites]]\nname = \"Frankfurt\"\nnetworks = [\"198.51.100.0/24\"]\nimap = \"imap.fra.post.example\"\n";
        let config = load(good).expect("good settings");
        let best = config.sites.best(Some([198, 51, 100, 7].into())).expect("a site");
        assert_eq!((best.name.as_str(), best.imap.as_deref()), ("Frankfurt", Some("imap.fra.post.example")));
        let bad = load(&good.replace("imap.fra", "imap fra")).expect_err("no host").message(&text);
        assert!(bad.contains("host name"), "{bad}");
    }
}
