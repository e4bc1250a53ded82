//! `pennypost account clients setup`: what to enter in a mail program, and where (CLI-09).
//!
//! Hosts and ports are those of the configuration with which the server runs.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use pennypost_directory::{ClientRules, ProtocolRules};
use serde_json::{Value, json};

use crate::admin::clients::range_words;
use crate::admin::{AdminContext, AdminError};
use crate::config::Config;
use crate::say;

/// Arguments of `account clients setup`.
#[derive(Debug, Args)]
pub struct SetupArgs {
    /// Address of the account
    pub address: String,
    /// The mail program; without it, what all programs need
    #[arg(long)]
    pub program: Option<MailProgram>,
    /// IMAP keeps all devices alike, POP3 fetches [default: IMAP, if it is open]
    #[arg(long)]
    pub protocol: Option<Protocol>,
    /// The name under which programs find the server [default: adapter.hostname]
    #[arg(long, value_name = "NAME")]
    pub host: Option<String>,
    /// The configuration file of the server
    #[arg(long, env = "PENNYPOST_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Where the server listens for IMAP over TLS, if not as configured
    #[arg(long, env = "PENNYPOST_IMAPS", value_name = "ADDR")]
    pub imaps: Option<SocketAddr>,
    /// Where the server listens for POP3 over TLS, if not as configured
    #[arg(long, env = "PENNYPOST_POP3S", value_name = "ADDR")]
    pub pop3s: Option<SocketAddr>,
    /// Where the server listens for submission over TLS, if not as configured
    #[arg(long, env = "PENNYPOST_SUBMISSIONS", value_name = "ADDR")]
    pub submissions: Option<SocketAddr>,
}

/// Programs whose steps are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum MailProgram {
    /// Microsoft Outlook for Windows.
    Outlook,
    /// Foxmail for Windows.
    Foxmail,
    /// Mozilla Thunderbird.
    Thunderbird,
    /// Mail of macOS, iPhone and iPad.
    AppleMail,
}

/// How the program gets the mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Protocol {
    /// IMAP.
    Imap,
    /// POP3.
    Pop3,
}

impl Protocol {
    const fn name(self) -> &'static str {
        match self {
            Protocol::Imap => "IMAP",
            Protocol::Pop3 => "POP3",
        }
    }
}

/// What is to be entered.
struct Entries {
    protocol: Protocol,
    host: String,
    port: u16,
    /// For sending.
    submissions: u16,
    address: String,
    is_local: bool,
}

impl SetupArgs {
    /// Does what was asked.
    ///
    /// # Errors
    /// [`AdminError`].
    pub async fn run(&self, context: &AdminContext<'_>) -> Result<(), AdminError> {
        let text = &context.text;
        let account = context.account(&self.address).await?;
        let rules = context.directory.client_rules(account.key).await?;
        let Some(protocol) = self.protocol.or_else(|| best(&rules)) else {
            let address = account.address.to_string();
            return Err(AdminError::Said(say!(text, "setup-all-closed", address = address)));
        };
        let seen = match protocol {
            Protocol::Imap => &rules.imap,
            Protocol::Pop3 => &rules.pop3,
        };
        if !seen.open {
            let address = account.address.to_string();
            let name = protocol.name();
            return Err(AdminError::Said(say!(text, "setup-closed", protocol = name, address = address)));
        }
        let listeners = [("imaps", self.imaps), ("pop3s", self.pop3s), ("submissions", self.submissions)];
        let config = Config::load(self.config.as_deref(), &listeners, &[], text)
            .map_err(|failed| AdminError::Said(failed.message(text)))?;
        let listener = match protocol {
            Protocol::Imap => config.listen.imaps,
            Protocol::Pop3 => config.listen.pop3s,
        };
        let entries = Entries {
            protocol,
            host: self.host.clone().unwrap_or_else(|| config.adapter.hostname.clone()),
            port: listener.port(),
            submissions: config.listen.submissions.port(),
            address: account.address.to_string(),
            is_local: listener.ip().is_loopback(),
        };
        if context.json {
            return context.line(&document(&entries, &rules).to_string());
        }
        entries.tell(context, &rules)?;
        tell_seen(context, protocol, seen, &rules)?;
        context.line("")?;
        context.line(&self.steps(context, &entries))
    }

    /// What to do in the program, one step a line.
    fn steps(&self, context: &AdminContext<'_>, entries: &Entries) -> String {
        let text = &context.text;
        let Entries { protocol, host, port, address, .. } = entries;
        let (protocol, host, address) = (protocol.name(), host.as_str(), address.as_str());
        let port = *port;
        match self.program {
            Some(MailProgram::Outlook) => {
                say!(text, "setup-outlook", address = address, protocol = protocol, host = host, port = port)
            }
            Some(MailProgram::Foxmail) => {
                say!(text, "setup-foxmail", address = address, protocol = protocol, host = host, port = port)
            }
            Some(MailProgram::Thunderbird) => {
                say!(
                    text,
                    "setup-thunderbird",
                    address = address,
                    protocol = protocol,
                    host = host,
                    port = port
                )
            }
            Some(MailProgram::AppleMail) => {
                say!(
                    text,
                    "setup-apple-mail",
                    address = address,
                    protocol = protocol,
                    host = host,
                    port = port
                )
            }
            None => say!(text, "setup-any", address = address, protocol = protocol, host = host, port = port),
        }
    }
}

/// IMAP, if it is open.
fn best(rules: &ClientRules) -> Option<Protocol> {
    let open = [(Protocol::Imap, rules.imap.open), (Protocol::Pop3, rules.pop3.open)];
    open.into_iter().find_map(|(protocol, is_open)| is_open.then_some(protocol))
}

impl Entries {
    fn tell(&self, context: &AdminContext<'_>, rules: &ClientRules) -> Result<(), AdminError> {
        let text = &context.text;
        let password =
            if rules.passwords { say!(text, "setup-password") } else { say!(text, "setup-token-only") };
        let rows = [
            (say!(text, "setup-type"), self.protocol.name().to_owned()),
            (say!(text, "setup-server"), self.host.clone()),
            (say!(text, "setup-port"), self.port.to_string()),
            (say!(text, "setup-security"), "SSL/TLS".to_owned()),
            (say!(text, "setup-user"), self.address.clone()),
            (say!(text, "word-password"), password),
            (say!(text, "setup-outgoing"), self.host.clone()),
            (say!(text, "setup-outgoing-port"), self.submissions.to_string()),
            (say!(text, "setup-outgoing-login"), say!(text, "setup-outgoing-same")),
        ];
        rows.iter().try_for_each(|(word, value)| context.line(&format!("{word}: {value}")))?;
        context.line(&say!(text, "setup-reach"))?;
        if rules.sent_copies {
            context.line(&say!(text, "setup-sent-copies"))?;
        }
        if self.is_local {
            context.line(&say!(text, "setup-local"))?;
        }
        Ok(())
    }
}

/// What the program will see, if that is not everything.
fn tell_seen(
    context: &AdminContext<'_>,
    protocol: Protocol,
    seen: &ProtocolRules,
    rules: &ClientRules,
) -> Result<(), AdminError> {
    let text = &context.text;
    context.line(&say!(text, "setup-range", range = range_words(context, seen.range)))?;
    let folders = match (protocol, seen.folders) {
        (Protocol::Imap, true) => None,
        (Protocol::Imap, false) => Some(say!(text, "setup-imap-no-folders")),
        (Protocol::Pop3, true) => Some(say!(text, "setup-pop3-folders")),
        (Protocol::Pop3, false) => Some(say!(text, "setup-pop3-inbox")),
    };
    folders.map_or(Ok(()), |folders| context.line(&folders))?;
    if protocol == Protocol::Pop3 && !rules.pop3_deletes {
        context.line(&say!(text, "setup-pop3-keeps"))?;
    }
    Ok(())
}

fn document(entries: &Entries, rules: &ClientRules) -> Value {
    json!({
        "protocol": entries.protocol.name(),
        "host": entries.host,
        "port": entries.port,
        "security": "tls",
        "user": entries.address,
        "password": if rules.passwords { "password or token" } else { "token" },
        "outgoing": { "host": entries.host, "port": entries.submissions, "security": "tls" },
    })
}
