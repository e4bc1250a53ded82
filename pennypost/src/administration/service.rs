//! `pennypost service …`: under which names the world reaches this post office.

use clap::{Args, Subcommand};
use pennypost_domains::{MailHost, Server, Service};
use serde_json::{Value, json};

use super::{OPERATOR, refused};
use crate::office::Office;
use crate::print::Output;
use crate::text::Text;
use crate::{Failed, say};

/// Subcommands of `service`.
#[derive(Debug, Subcommand)]
pub enum ServiceCommand {
    /// Say at what the domains of all tenants have to point
    #[command(after_help = "Examples:
  pennypost service set --mx mx1.post.example --mx mx2.post.example --spf include:spf.post.example
  pennypost service set --mx mx.post.example --imap imap.post.example:993 --setup setup.post.example
What is not said is left out: mx as the mechanism of SPF, IMAP and POP3 at the first host.")]
    Set(Box<SetArgs>),
    /// Show it
    #[command(after_help = "Example:\n  pennypost service show")]
    Show,
}

/// What can be said.
#[derive(Debug, Args)]
pub struct SetArgs {
    /// A host that takes mail; the first one named comes first
    #[arg(long, required = true, value_name = "HOST")]
    mx: Vec<String>,
    /// The mechanism of SPF that names who sends
    #[arg(long, default_value = "mx", value_name = "MECHANISM")]
    spf: String,
    /// Mail from elsewhere is to fail (-all), not only to be suspicious (~all)
    #[arg(long)]
    spf_hard: bool,
    /// A host that sends [default: those that take mail]
    #[arg(long, value_name = "HOST")]
    sender: Vec<String>,
    /// The host at which a label of a claimed domain may point to prove whose it is
    #[arg(long, value_name = "HOST")]
    ownership_host: Option<String>,
    /// IMAP over TLS [default: the first host that takes mail, port 993]
    #[arg(long, value_name = "HOST:PORT", value_parser = server)]
    imap: Option<Server>,
    /// POP3 over TLS [default: the same, port 995]
    #[arg(long, value_name = "HOST:PORT", value_parser = server)]
    pop3: Option<Server>,
    /// Submission over TLS
    #[arg(long, value_name = "HOST:PORT", value_parser = server)]
    submission: Option<Server>,
    /// The host of the pages for people
    #[arg(long, value_name = "HOST")]
    web: Option<String>,
    /// The host that mail programs ask when they set themselves up
    #[arg(long, value_name = "HOST")]
    setup: Option<String>,
    /// The address to which reports of DMARC and TLS go
    #[arg(long, value_name = "ADDRESS")]
    reports: Option<String>,
    /// Seconds for which records may be kept by others
    #[arg(long, default_value_t = 3600)]
    ttl: u32,
}

fn server(text: &str) -> Result<Server, String> {
    let wrong = || format!("{text:?} is no server: write HOST:PORT");
    let (host, port) = text.rsplit_once(':').ok_or_else(wrong)?;
    Ok(Server { host: host.to_owned(), port: port.parse().map_err(|_| wrong())? })
}

/// Does what was asked.
pub async fn run(
    office: &Office,
    command: &ServiceCommand,
    text: &Text,
    output: &mut Output<'_>,
) -> Result<(), Failed> {
    let administration = office.administration();
    let told = |error| refused(error, text);
    let seen = administration.service(&OPERATOR).await.map_err(told)?;
    match command {
        ServiceCommand::Set(args) => {
            let first = args.mx.first().cloned().unwrap_or_default();
            let hosts = (1_u16..).zip(&args.mx);
            let service = Service {
                mx: hosts.map(|(n, host)| MailHost { preference: 10 * n, host: host.clone() }).collect(),
                spf: args.spf.clone(),
                spf_is_hard: args.spf_hard,
                senders: args.sender.clone(),
                ownership_host: args.ownership_host.clone(),
                imap: args.imap.clone().or_else(|| Some(Server { host: first.clone(), port: 993 })),
                pop3: args.pop3.clone().or_else(|| Some(Server { host: first.clone(), port: 995 })),
                submission: args.submission.clone(),
                web: args.web.clone(),
                setup: args.setup.clone(),
                reports: args.reports.clone(),
                ttl: args.ttl,
            };
            let service =
                administration.change_service(&OPERATOR, seen.as_ref(), service).await.map_err(told)?;
            Ok(output.result(&say!(text, "service-set"), &document(&service))?)
        }
        ServiceCommand::Show => {
            let service = seen.ok_or_else(|| Failed::Said(say!(text, "service-unsaid")))?;
            let document = document(&service);
            if output.json {
                return Ok(output.line(&document.to_string())?);
            }
            let fields = document.as_object().into_iter().flatten();
            for (name, value) in fields.filter(|(_, value)| !value.is_null()) {
                let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                output.line(&format!("{name}: {value}"))?;
            }
            Ok(())
        }
    }
}

fn document(service: &Service) -> Value {
    let server = |server: &Server| format!("{}:{}", server.host, server.port);
    json!({
        "mx": service.mx.iter().map(|mx| format!("{} {}", mx.preference, mx.host)).collect::<Vec<_>>(),
        "spf": service.spf,
        "spf_is_hard": service.spf_is_hard,
        "senders": service.senders,
        "ownership_host": service.ownership_host,
        "imap": service.imap.as_ref().map(server),
        "pop3": service.pop3.as_ref().map(server),
        "submission": service.submission.as_ref().map(server),
        "web": service.web,
        "setup": service.setup,
        "reports": service.reports,
        "ttl": service.ttl,
    })
}
