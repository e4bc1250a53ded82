//! The configuration: built-in values, then the file, then the environment and flags, then `--set`.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::Path;

use pennypost_housekeep as housekeep;
use pennypost_ingress::net;
use pennypost_runtime::Fusing;
use pennypost_runtime::local;
use serde::Deserialize;
use toml::{Table, Value};

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
    /// IMAP with STARTTLS.
    pub imap: SocketAddr,
    /// IMAP over TLS.
    pub imaps: SocketAddr,
    /// POP3 with STLS.
    pub pop3: SocketAddr,
    /// POP3 over TLS.
    pub pop3s: SocketAddr,
    /// HTTP: `/healthz` and `/metrics`.
    pub http: SocketAddr,
}

impl Default for Listen {
    fn default() -> Listen {
        let loopback = |port: u16| SocketAddr::from(([127, 0, 0, 1], port));
        Listen {
            smtp: loopback(2525),
            imap: loopback(2143),
            imaps: loopback(2993),
            pop3: loopback(2110),
            pop3s: loopback(2995),
            http: loopback(2080),
        }
    }
}

/// How the pipeline runs.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PipelineConfig {
    /// Stages of the mail path in one step (`true`, the default) or with a queue in front of each.
    pub fused: bool,
    /// Workers, batches, retries.
    pub driver: local::Settings,
}

impl Default for PipelineConfig {
    fn default() -> PipelineConfig {
        PipelineConfig { fused: true, driver: local::Settings::default() }
    }
}

impl PipelineConfig {
    /// Which stages are joined.
    #[must_use]
    pub fn fusing(&self) -> Fusing {
        if self.fused { Fusing::fused() } else { Fusing::unfused() }
    }
}

impl Config {
    /// Reads the file, if there is one, and applies `key.path=value` settings over it.
    ///
    /// # Errors
    /// [`Failed::Said`] naming the file or setting, and what is wrong with it.
    pub fn load(file: Option<&Path>, settings: &[String], text: &Text) -> Result<Config, Failed> {
        let mut table = match file {
            Some(path) => {
                let shown = path.display().to_string();
                let unreadable = |cause: String| {
                    Failed::Said(say!(text, "config-file", path = shown.clone(), cause = cause))
                };
                let content = std::fs::read_to_string(path).map_err(|error| unreadable(error.to_string()))?;
                content.parse::<Table>().map_err(|error| unreadable(error.to_string()))?
            }
            None => Table::new(),
        };
        for setting in settings {
            let wrong = || Failed::Said(say!(text, "config-setting", setting = setting.as_str()));
            let (key, value) = setting.split_once('=').ok_or_else(wrong)?;
            insert(&mut table, key.trim(), parse_value(value.trim())).ok_or_else(wrong)?;
        }
        Config::deserialize(Value::Table(table))
            .map_err(|error| Failed::Said(say!(text, "config-value", cause = error.to_string())))
    }
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
    use super::*;
    use crate::text::Lang;

    #[test]
    fn settings_reach_into_the_tables() {
        let text = Text::new(Lang::En);
        let settings = ["pipeline.fused=false", "listen.smtp=127.0.0.1:0", "pipeline.driver.workers=3"];
        let config = Config::load(None, &settings.map(str::to_owned), &text).expect("good settings");
        assert!(!config.pipeline.fused);
        assert_eq!((config.listen.smtp.port(), config.pipeline.driver.workers), (0, 3));
    }

    #[test]
    fn logs_are_not_kept_for_no_time() {
        let settings = ["retention.trace_days=0".to_owned()];
        assert!(Config::load(None, &settings, &Text::new(Lang::En)).is_err());
    }

    #[test]
    fn bad_settings_are_named() {
        let text = Text::new(Lang::En);
        for bad in ["pipeline", "=1", "pipeline.fusd=true", "pipeline.fused=7", "pipeline.fused.x=1"] {
            assert!(Config::load(None, &[bad.to_owned()], &text).is_err(), "{bad}");
        }
    }
}
