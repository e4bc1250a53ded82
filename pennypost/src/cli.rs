//! The command line.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand, ValueEnum};
use pennypost_backend_embedded::Options;
use serde_json::json;

use crate::admin::domain::DomainCommand;
use crate::admin::tenant::TenantCommand;
use crate::admin::{AdminCommand, AdminContext};
use crate::administration::{self, AdministrationCommand};
use crate::backend::{Kind, Place};
use crate::office::Office;
use crate::print::Output;
use crate::text::{Lang, Text};
use crate::{
    Failed, bench, cost, dead_letters, export, functions, import, mailbox, replay, say, serve, trace, verify,
};

/// An enterprise post office: SMTP in, IMAP and POP3 out, nothing lost.
#[derive(Debug, Parser)]
#[command(name = "pennypost", version, about, after_help = EXAMPLES)]
pub struct Cli {
    /// The data directory.
    #[arg(
        long,
        global = true,
        env = "PENNYPOST_DATA",
        default_value = "./pennypost-data",
        value_name = "DIR"
    )]
    data: PathBuf,
    /// In what mail is stored: with aws, only the server's certificate lies in the data directory.
    #[arg(
        long,
        global = true,
        env = "PENNYPOST_BACKEND",
        default_value = "embedded",
        value_name = "BACKEND"
    )]
    backend: Kind,
    /// Print JSON for programs: one document, or one line for each row of a list.
    #[arg(long, global = true)]
    json: bool,
    /// Language of what is said to people: en or zh-CN [default: from the environment].
    #[arg(long, global = true, value_name = "LANG", value_parser = parse_lang)]
    lang: Option<Lang>,
    #[command(subcommand)]
    command: Command,
}

fn parse_lang(name: &str) -> Result<Lang, String> {
    Lang::named(name).ok_or_else(|| "the languages are en and zh-CN".to_owned())
}

const EXAMPLES: &str = "Examples:
  pennypost serve --demo                       try it: a demo tenant with sample mail
  pennypost tenant add acme
  pennypost domain add acme.example --tenant acme
  pennypost account add ann@acme.example --password-stdin
  pennypost import ann@acme.example ~/Maildir
  pennypost verify
  pennypost trace ann@acme.example";

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the post office: all listeners and the whole pipeline in one process
    Serve(Box<ServeArgs>),
    #[command(flatten)]
    Admin(AdminCommand),
    #[command(flatten)]
    Administration(AdministrationCommand),
    /// Import mail from a file or folder: .eml, mbox or Maildir
    Import(import::ImportArgs),
    /// Export an account's mail
    Export(export::ExportArgs),
    /// List the newest messages of a mailbox
    Mailbox(mailbox::MailboxArgs),
    /// Check that every invariant holds, on a live or a stopped store
    Verify(verify::VerifyArgs),
    /// Show the journey of messages
    Trace(trace::TraceArgs),
    /// Send an event through the pipeline again; what arrived already is not doubled
    Replay(replay::ReplayArgs),
    /// Messages that no handler could deal with
    #[command(subcommand)]
    DeadLetters(dead_letters::DeadLettersCommand),
    /// What letters cost in the cloud
    Cost(Box<cost::CostArgs>),
    /// Measure a mail server, this or any other, by the load that mail programs make
    Bench(bench::BenchArgs),
    /// Make what the backend stores mail in, where it is missing: the data directory, or tables, queues and bucket
    #[command(after_help = "Examples:
  pennypost create --data /var/lib/pennypost
  pennypost create --backend aws          for services that know no CloudFormation; in AWS deploy the template")]
    Create,
    /// List the functions of the cloud: triggers, ports, queues and sizes
    Functions(functions::FunctionsArgs),
}

/// What `serve` takes.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  pennypost serve --demo
  pennypost serve --config /etc/pennypost.toml --data /var/lib/pennypost
  pennypost serve --backend aws --handlers none
  pennypost serve --backend aws --handlers sending
Every setting of the configuration file can be given by --set, for example
  pennypost serve --set pipeline.fused=false --set adapter.limits.connections=20000
Mail to other servers goes by MX to port 25; [sending] in the configuration changes that, for example
  pennypost serve --set sending.enabled=false
  pennypost serve --set sending.smart_host=relay.example:25
A smart host with a password is a table, [sending.smart_host]: address, user, password_file.
Scanners for viruses and spam are asked where [scanner] names them, by HOST:PORT or the path of a socket:
  pennypost serve --set scanner.clamav=/run/clamav/clamd.ctl --set scanner.rspamd=127.0.0.1:11333
Text messages go by a program of yours that [sms] names: url, secret, most_per_day, templates.
Administration commands work while the server runs.")]
pub struct ServeArgs {
    /// The configuration file (TOML).
    #[arg(long, env = "PENNYPOST_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// SMTP, with STARTTLS [default: 127.0.0.1:2525].
    #[arg(long, env = "PENNYPOST_SMTP", value_name = "ADDR")]
    pub smtp: Option<SocketAddr>,
    /// Submission by members, with STARTTLS [default: 127.0.0.1:2587].
    #[arg(long, env = "PENNYPOST_SUBMISSION", value_name = "ADDR")]
    pub submission: Option<SocketAddr>,
    /// Submission over TLS [default: 127.0.0.1:2465].
    #[arg(long, env = "PENNYPOST_SUBMISSIONS", value_name = "ADDR")]
    pub submissions: Option<SocketAddr>,
    /// IMAP, with STARTTLS [default: 127.0.0.1:2143].
    #[arg(long, env = "PENNYPOST_IMAP", value_name = "ADDR")]
    pub imap: Option<SocketAddr>,
    /// IMAP over TLS [default: 127.0.0.1:2993].
    #[arg(long, env = "PENNYPOST_IMAPS", value_name = "ADDR")]
    pub imaps: Option<SocketAddr>,
    /// POP3, with STLS [default: 127.0.0.1:2110].
    #[arg(long, env = "PENNYPOST_POP3", value_name = "ADDR")]
    pub pop3: Option<SocketAddr>,
    /// POP3 over TLS [default: 127.0.0.1:2995].
    #[arg(long, env = "PENNYPOST_POP3S", value_name = "ADDR")]
    pub pop3s: Option<SocketAddr>,
    /// HTTP: /healthz, /metrics, and what mail programs ask for [default: 127.0.0.1:2080].
    #[arg(long, env = "PENNYPOST_HTTP", value_name = "ADDR")]
    pub http: Option<SocketAddr>,
    /// Who handles events: this process, or functions of the cloud.
    #[arg(long, env = "PENNYPOST_HANDLERS", default_value = "all", value_name = "WHICH")]
    pub handlers: Handlers,
    /// Make a demo tenant with two accounts and sample mail.
    #[arg(long)]
    pub demo: bool,
    /// Where the sample mail of the demo lies.
    #[arg(long, default_value = "samplemail/mails", value_name = "DIR")]
    pub demo_mail: PathBuf,
    /// Override a setting: KEY=VALUE, as often as needed.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub settings: Vec<String>,
    /// Print the names of all crash points and end (for tests; see PENNYPOST_CRASH_AT).
    #[arg(long, hide = true)]
    pub list_crash_points: bool,
}

/// Which handlers run in the process that serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Handlers {
    /// All of them: it takes events from the queues itself
    All,
    /// That of letters to other servers; functions do everything else (with --backend aws)
    Sending,
    /// None: functions take them (with --backend aws)
    None,
}

impl Cli {
    /// What is said in the person's language.
    #[must_use]
    pub fn text(&self) -> Text {
        Text::new(Lang::choose(self.lang, |name| std::env::var(name).ok()))
    }

    /// Does what was asked.
    ///
    /// # Errors
    /// [`Failed`].
    pub fn run(self, text: &Text) -> Result<ExitCode, Failed> {
        if let Ok(request) = std::env::var("PENNYPOST_CRASH_AT") {
            pennypost_ports::crash::arm(&request).map_err(Failed::Said)?;
        }
        if let Command::Bench(args) = &self.command {
            return bench::run(args, self.json, text);
        }
        if let Command::Functions(args) = &self.command {
            return functions::run(args, self.json, text).map(|()| ExitCode::SUCCESS);
        }
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        runtime.block_on(self.dispatch(text))
    }

    async fn dispatch(self, text: &Text) -> Result<ExitCode, Failed> {
        let Cli { data, backend, json, command, .. } = self;
        let place = Place { kind: backend, data };
        let command = match command {
            Command::Serve(args) => return serve::run(&place, &args, json, text).await,
            Command::Create => return create(&place, json, text).await,
            Command::Cost(args) if args.needs_no_office() => {
                return cost::run(&args, place.kind, json, text).await;
            }
            other => other,
        };
        // A mistyped directory must not pass for an empty post office.
        let options = Options { create: command.begins_an_office(), ..Options::tool() };
        let office = Office::open_at(&place, &options).await?;
        // On the heap: it is large.
        let result = Box::pin(command.run(&office, json, text)).await;
        if let Some(record) = office.directory.sign_in_log() {
            record.finish().await;
        }
        office.backend.shutdown().await;
        result
    }
}

/// Makes what the backend needs.
async fn create(place: &Place, json: bool, text: &Text) -> Result<ExitCode, Failed> {
    place.create().await?;
    let (said, backend) = match place.kind {
        Kind::Embedded => (say!(text, "created", data = place.data.display().to_string()), "embedded"),
        Kind::Aws => (say!(text, "created-cloud"), "aws"),
    };
    Output::new(&mut io::stdout().lock(), json).result(&said, &json!({ "backend": backend }))?;
    Ok(ExitCode::SUCCESS)
}

impl Command {
    /// Is this the first thing that is done with a post office, if it is not served?
    const fn begins_an_office(&self) -> bool {
        matches!(self, Command::Admin(AdminCommand::Tenant(TenantCommand::Add { .. })))
    }

    async fn run(self, office: &Office, json: bool, text: &Text) -> Result<ExitCode, Failed> {
        match self {
            // None of them works on a store that is open.
            Command::Serve(_) | Command::Bench(_) | Command::Functions(_) | Command::Create => {}
            Command::Cost(args) => cost::period(office, &args, json, text).await?,
            Command::Admin(AdminCommand::Domain(DomainCommand::Records(command))) => {
                let mut out = io::stdout().lock();
                administration::domain(office, &command, text, &mut Output::new(&mut out, json)).await?;
            }
            Command::Admin(command) => {
                let (open_account, empty_account) = (office.open_account(), office.empty_account());
                let text = Text::new(text.lang());
                let context = AdminContext::new(
                    office.administration_inside(),
                    text,
                    json,
                    &*open_account,
                    &*empty_account,
                );
                command.run(&context).await?;
            }
            Command::Administration(command) => {
                let mut out = io::stdout().lock();
                Box::pin(administration::run(office, &command, text, &mut Output::new(&mut out, json)))
                    .await?;
            }
            Command::Import(args) => return import::run(office, &args, json, text).await,
            Command::Export(args) => export::run(office, &args, json, text).await?,
            Command::Mailbox(args) => mailbox::run(office, &args, json, text).await?,
            Command::Verify(args) => return verify::run(office, &args, json, text).await,
            Command::Trace(args) => return trace::run(office, &args, json, text).await,
            Command::Replay(args) => replay::run(office, &args, json, text).await?,
            Command::DeadLetters(command) => dead_letters::run(office, &command, json, text).await?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    fn leaves(command: &clap::Command, path: &str, found: &mut Vec<(String, String)>) {
        let path = format!("{path} {}", command.get_name());
        if command.get_subcommands().next().is_none() {
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            found.push((path, help));
            return;
        }
        command.get_subcommands().for_each(|inner| leaves(inner, &path, found));
    }

    #[test]
    fn every_subcommand_shows_how_it_is_used() {
        let mut found = Vec::new();
        leaves(&Cli::command(), "", &mut found);
        assert!(found.len() > 30, "{}", found.len());
        for (path, help) in found {
            let path = path.trim();
            let example = help.lines().map(str::trim).find_map(|line| Some(&line[line.find(path)?..]));
            let example = example.unwrap_or_else(|| panic!("{path} has no example: {help:?}"));
            // Examples are right as far as the parser can tell.
            let words = example.split("   ").next().unwrap_or_default().split('|').next().unwrap_or_default();
            let words = words.split('>').next().unwrap_or_default().replace(['"', '\''], "");
            if !example.contains(['"', '\'']) {
                let parsed = Cli::try_parse_from(words.split_whitespace());
                assert!(parsed.is_ok(), "{example}: {:?}", parsed.err().map(|error| error.to_string()));
            }
        }
    }

    #[test]
    fn unknown_languages_are_wrong_usage() {
        let error = Cli::try_parse_from(["pennypost", "--lang", "klingon", "verify"]).expect_err("refused");
        assert_eq!(error.exit_code(), 2);
        for good in ["en", "zh-CN", "zh"] {
            assert!(Cli::try_parse_from(["pennypost", "verify", "--lang", good]).is_ok(), "{good}");
        }
    }

    #[test]
    fn only_a_first_tenant_begins_an_office() {
        let begins = |line: &str| {
            let cli = Cli::try_parse_from(line.split(' ')).expect("parses");
            cli.command.begins_an_office()
        };
        assert!(begins("pennypost tenant add acme"));
        for other in ["verify", "account list", "tenant list", "import a@b.example x", "dead-letters list"] {
            assert!(!begins(&format!("pennypost {other}")), "{other}");
        }
    }
}
