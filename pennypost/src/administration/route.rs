//! `pennypost route …`: by which servers the letters of a tenant go to other servers.

use std::io::{BufRead, Read};
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Args, Subcommand};
use pennypost_admin::{Route, RouteFound, RouteIdentity, RouteWish, SesKey};
use pennypost_directory::Tenant;
use pennypost_lookup::Authorities;
use serde_json::{Value, json};

use super::{OPERATOR, refused, tenant};
use crate::config::Config;
use crate::office::Office;
use crate::print::Output;
use crate::probing::Probing;
use crate::text::Text;
use crate::{Failed, say};

/// Bytes of a line with a password.
const MAX_LINE: u64 = 64 * 1024;

/// Of whom, and of which destinations.
#[derive(Debug, Args)]
pub struct Whither {
    /// A domain, or *. and a domain for all below it [default: all of which nothing else is said]
    #[arg(long, value_name = "DOMAIN", default_value = "*", hide_default_value = true)]
    to: String,
    /// Name or id of the tenant; may be left out if there is only one
    #[arg(long)]
    tenant: Option<String>,
}

/// What is said.
#[derive(Debug, Args)]
pub struct SetArgs {
    /// Of whom, and of which destinations
    #[command(flatten)]
    whither: Whither,
    /// By the servers that DNS names, whatever smart host the installation has
    #[arg(long)]
    mx: bool,
    /// By this server, over TLS with a valid certificate
    #[arg(long, value_name = "HOST:PORT", value_parser = host_and_port)]
    smart_host: Option<(String, u16)>,
    /// By Amazon SES in this region
    #[arg(long, value_name = "REGION")]
    ses: Option<String>,
    /// The port of SES [default: 465]
    #[arg(long)]
    port: Option<u16>,
    /// TLS begins with the connection [default: at ports 465 and 2465]
    #[arg(long)]
    implicit_tls: Option<bool>,
    /// Who signs in; for SES the id of an access key
    #[arg(long)]
    user: Option<String>,
    /// The file in whose first line the password stands; - is standard input [default: the one that is known]
    #[arg(long, value_name = "FILE", requires = "user")]
    password_file: Option<PathBuf>,
    /// For SES, the file with the secret key from which the password follows; the key is not kept
    #[arg(long, value_name = "FILE", requires = "ses", conflicts_with = "password_file")]
    secret_key_file: Option<PathBuf>,
    /// The name with which servers are greeted [default: the installation's]
    #[arg(long, value_name = "HOST")]
    name: Option<String>,
    /// The address of this machine from which servers are called
    #[arg(long, value_name = "IP")]
    address: Option<IpAddr>,
}

/// Subcommands of `route`.
#[derive(Debug, Subcommand)]
pub enum RouteCommand {
    /// Show by which ways letters go
    #[command(after_help = "Example:\n  pennypost route show --tenant acme")]
    Show {
        /// Name or id of the tenant; may be left out if there is only one
        #[arg(long)]
        tenant: Option<String>,
    },
    /// Say by which way letters go, all or those to some domains; those that wait go by it, too, within a minute
    #[command(after_help = "Examples:
  pennypost route set --tenant acme --smart-host relay.example:587 --user acme --password-file pass.txt
  pennypost route set --tenant acme --ses eu-central-1 --user AKIA... --secret-key-file key.txt
  pennypost route set --tenant acme --to partner.example --mx
The closest word holds: that about a domain, else that about the nearest domain above it, else that about all.")]
    Set(Box<SetArgs>),
    /// Say nothing of some destinations any more
    #[command(after_help = "Example:\n  pennypost route clear --tenant acme --to partner.example")]
    Clear(Whither),
    /// Try a smart host: connect, begin TLS, sign in; nothing is sent
    #[command(after_help = "Example:\n  pennypost route test --tenant acme")]
    Test {
        /// Of whom, and of which destinations
        #[command(flatten)]
        whither: Whither,
        /// A file of PEM with authorities that are believed beside those of this machine
        #[arg(long, value_name = "FILE")]
        authorities: Option<PathBuf>,
    },
}

fn host_and_port(text: &str) -> Result<(String, u16), String> {
    let wrong = || format!("{text:?} is no server: write HOST:PORT");
    let (host, port) = text.rsplit_once(':').ok_or_else(wrong)?;
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    Ok((host.to_owned(), port.parse().map_err(|_| wrong())?))
}

/// The first line of a file, or of standard input.
fn line_of(path: &Path) -> Result<String, Failed> {
    let mut line = String::new();
    if path == Path::new("-") {
        std::io::stdin().lock().take(MAX_LINE).read_line(&mut line)?;
    } else {
        let failed = |error: std::io::Error| Failed::Said(format!("{}: {error}", path.display()));
        let file = std::fs::File::open(path).map_err(failed)?;
        std::io::BufReader::new(file.take(MAX_LINE)).read_line(&mut line).map_err(failed)?;
    }
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}

impl SetArgs {
    fn wish(&self, text: &Text) -> Result<RouteWish, Failed> {
        let ways = [self.mx, self.smart_host.is_some(), self.ses.is_some()];
        if ways.into_iter().filter(|is_said| *is_said).count() != 1 {
            return Err(Failed::Said(say!(text, "route-one-way")));
        }
        if self.port.is_some() && self.ses.is_none() {
            return Err(Failed::Said(say!(text, "route-port-only-ses")));
        }
        let password = self.password_file.as_deref().map(line_of).transpose()?;
        let is_wrapped = |port| self.implicit_tls.unwrap_or(matches!(port, 465 | 2465));
        Ok(match (&self.smart_host, &self.ses) {
            (Some((host, port)), _) => RouteWish::SmartHost {
                host: host.clone(),
                port: *port,
                is_wrapped: is_wrapped(*port),
                login: self.user.clone().map(|user| (user, password)),
            },
            (None, Some(region)) => {
                let secret = self.secret_key_file.as_deref().map(line_of).transpose()?;
                let port = self.port.unwrap_or(465);
                RouteWish::Ses {
                    region: region.clone(),
                    port,
                    is_wrapped: is_wrapped(port),
                    user: self.user.clone().unwrap_or_default(),
                    key: password.map(SesKey::Password).or(secret.map(SesKey::Secret)),
                }
            }
            (None, None) => RouteWish::ByDns,
        })
    }
}

/// Does what was asked.
pub async fn run(
    office: &Office,
    command: &RouteCommand,
    text: &Text,
    output: &mut Output<'_>,
) -> Result<(), Failed> {
    match command {
        RouteCommand::Show { tenant: name } => {
            let tenant = tenant(office, name.as_deref(), text).await?;
            show(office, &tenant, text, output).await
        }
        RouteCommand::Set(args) => {
            let wish = args.wish(text)?;
            let identity = RouteIdentity { name: args.name.clone(), address: args.address };
            change(office, &args.whither, Some((&wish, &identity)), text, output).await
        }
        RouteCommand::Clear(whither) => change(office, whither, None, text, output).await,
        RouteCommand::Test { whither, authorities } => {
            test(office, whither, authorities.as_deref(), text, output).await
        }
    }
}

async fn change(
    office: &Office,
    whither: &Whither,
    wish: Option<(&RouteWish, &RouteIdentity)>,
    text: &Text,
    output: &mut Output<'_>,
) -> Result<(), Failed> {
    let tenant = tenant(office, whither.tenant.as_deref(), text).await?;
    let administration = office.administration_inside();
    let told = |error| refused(error, text);
    let (to, seen) = administration.route(&OPERATOR, tenant.id, &whither.to).await.map_err(told)?;
    let said = administration.change_route(&OPERATOR, tenant.id, &whither.to, seen.as_ref(), wish).await;
    let said = said.map_err(told)?;
    let (name, to) = (tenant.name.as_str(), to.to_string());
    match said {
        Some(route) => {
            let way = way(&route, text);
            let sentence = say!(text, "route-set", tenant = name, to = to.as_str(), way = way);
            Ok(output.result(&sentence, &document(&route))?)
        }
        None => {
            let sentence = say!(text, "route-cleared", tenant = name, to = to.as_str());
            Ok(output.result(&sentence, &json!({ "destinations": to, "way": "default" }))?)
        }
    }
}

async fn show(office: &Office, tenant: &Tenant, text: &Text, output: &mut Output<'_>) -> Result<(), Failed> {
    let routes = office.administration_inside().routes(&OPERATOR, tenant.id).await;
    let routes = routes.map_err(|error| refused(error, text))?;
    let row = |route: &Route| {
        let login = route.relay.as_ref().and_then(|relay| relay.login.as_ref());
        let user = login.map(|login| login.user.clone()).unwrap_or_default();
        let RouteIdentity { name, address } = &route.identity;
        let identity = [name.clone(), address.map(|address| address.to_string())];
        let identity = identity.into_iter().flatten().collect::<Vec<_>>().join(" ");
        (vec![route.to.to_string(), way(route, text), user, identity], document(route))
    };
    let heads = vec![
        say!(text, "route-destinations"),
        say!(text, "route-way"),
        say!(text, "route-user"),
        say!(text, "route-identity"),
    ];
    let rows = routes.routes.iter().map(row).collect();
    Ok(output.table(heads, rows, &say!(text, "route-none"))?)
}

async fn test(
    office: &Office,
    whither: &Whither,
    authorities: Option<&Path>,
    text: &Text,
    output: &mut Output<'_>,
) -> Result<(), Failed> {
    let tenant = tenant(office, whither.tenant.as_deref(), text).await?;
    let authorities = authorities.map(Authorities::and_of).transpose().map_err(Failed::Said)?;
    let dns = office.dns().ok_or_else(|| Failed::Said(say!(text, "no-look-ups")))?;
    let hostname = Config::default().adapter.hostname;
    let probing = Probing::new(dns, &hostname, authorities.unwrap_or_default(), NonZeroU32::MIN);
    let administration = office.administration_inside().probing_routes(Arc::new(probing));
    let told = |error| refused(error, text);
    let (_, route) = administration.route(&OPERATOR, tenant.id, &whither.to).await.map_err(told)?;
    let found = administration.probe_route(&OPERATOR, tenant.id, &whither.to).await.map_err(told)?;
    let RouteFound { host, tls, is_let_in, problem } = &found;
    let document = json!({
        "good": is_let_in, "host": host, "tls": tls,
        "code": problem.as_ref().and_then(|problem| problem.code),
        "status": problem.as_ref().map(|problem| &problem.status),
        "text": problem.as_ref().map(|problem| &problem.text),
    });
    let login = route.and_then(|route| route.relay).and_then(|relay| relay.login);
    let over = tls.as_deref().unwrap_or_default();
    let cause = problem.as_ref().map(|problem| {
        let code = problem.code.map(|code| format!("{code} ")).unwrap_or_default();
        format!("{code}{} {}", problem.status, problem.text)
    });
    let sentence = match (cause, login) {
        (None, Some(login)) => {
            say!(text, "route-good", host = host.as_str(), user = login.user, tls = over)
        }
        (None, None) => say!(text, "route-good-open", host = host.as_str(), tls = over),
        (Some(cause), _) if host.is_empty() => say!(text, "route-unreached", cause = cause),
        (Some(cause), _) => say!(text, "route-bad", host = host.as_str(), cause = cause),
    };
    Ok(output.result(&sentence, &document)?)
}

/// A way as people read it.
fn way(route: &Route, text: &Text) -> String {
    let Some(relay) = &route.relay else { return say!(text, "route-by-mx") };
    let tls = if relay.is_wrapped { say!(text, "route-implicit") } else { say!(text, "route-starttls") };
    let (host, port) = (relay.host.as_str(), relay.port.to_string());
    match &relay.region {
        Some(region) => {
            say!(text, "route-by-ses", region = region.as_str(), host = host, port = port, tls = tls)
        }
        None => say!(text, "route-by-host", host = host, port = port, tls = tls),
    }
}

/// A way as programs read it.
fn document(route: &Route) -> Value {
    let relay = route.relay.as_ref();
    json!({
        "destinations": route.to.to_string(),
        "way": relay.map_or("mx", |relay| if relay.region.is_some() { "ses" } else { "smart-host" }),
        "host": relay.map(|relay| &relay.host),
        "port": relay.map(|relay| relay.port),
        "tls": relay.map(|relay| if relay.is_wrapped { "implicit" } else { "starttls" }),
        "region": relay.and_then(|relay| relay.region.as_ref()),
        "user": relay.and_then(|relay| relay.login.as_ref()).map(|login| &login.user),
        "name": route.identity.name,
        "address": route.identity.address,
    })
}
