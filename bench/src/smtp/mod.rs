//! `smtp`: letters in, by SMTP or LMTP, and the time until mail programs can see them.

pub(crate) mod session;
mod visible;

use std::cell::Cell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use clap::Args;
use serde_json::json;
use tokio::task::LocalSet;

use self::session::Session;
use self::visible::Mailboxes;
use crate::args::{Mail, Target, Users, Watch};
use crate::corpus::Corpus;
use crate::outcome::Times;
use crate::process::{Server, own_cpu};
use crate::report::{Measure, Report, Unit};
use crate::{BenchError, limits};

/// What `bench smtp` takes.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Examples:
  pennypost bench smtp --port 2525 --user-pattern user{}@acme.example --users 20 --connections 8
  pennypost bench smtp --port 2525 --users 20 --recipients 3 --size 100k --imap-port 2143 --password secret
  pennypost bench smtp --lmtp --socket /run/dovecot/lmtp --users 20 --imap-port 143 --password secret")]
pub struct SmtpArgs {
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    users: Users,
    #[command(flatten)]
    watch: Watch,
    #[command(flatten)]
    mail: Mail,
    /// Speak LMTP (RFC 2033).
    #[arg(long)]
    lmtp: bool,
    /// Connections at once; each carries many letters one after the other.
    #[arg(long, default_value_t = 8, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..))]
    connections: u32,
    /// Recipients of each letter.
    #[arg(long, default_value_t = 1, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..=100))]
    recipients: u32,
    /// Letters of each round.
    #[arg(long, default_value_t = 1_000, value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1..))]
    messages: u64,
    /// Look by STATUS at this port until all have arrived.
    #[arg(long, value_name = "PORT")]
    imap_port: Option<u16>,
    /// Where that port is [default: the same host].
    #[arg(long, value_name = "HOST", requires = "imap_port")]
    imap_host: Option<String>,
    /// How often it is measured.
    #[arg(long, default_value_t = 1, value_name = "COUNT")]
    rounds: u64,
    /// Number of the first letter, to send others than an earlier run.
    #[arg(long, default_value_t = 0, value_name = "NUMBER")]
    first_letter: u64,
}

impl SmtpArgs {
    /// The indexes of the accounts that letter `number` goes to.
    fn recipients_of(&self, number: u64) -> impl Iterator<Item = usize> + '_ {
        let users = u64::from(self.users.users);
        let first = number * u64::from(self.recipients);
        (first..first + u64::from(self.recipients)).map(move |place| (place % users) as usize)
    }
}

/// What the connections of a round share.
struct Load {
    args: SmtpArgs,
    corpus: Corpus,
    next: Cell<u64>,
    end: u64,
}

/// Measures.
///
/// # Errors
/// [`BenchError`]: no connection, a refusal, or letters that do not arrive.
pub async fn run(args: &SmtpArgs) -> Result<Report, BenchError> {
    limits::allow_connections((args.connections + args.users.users) as usize)?;
    if args.recipients > args.users.users {
        return Err(BenchError::Limit(format!(
            "{} recipients need as many accounts: --users says {}",
            args.recipients, args.users.users
        )));
    }
    let settings = json!({
        "lmtp": args.lmtp, "connections": args.connections, "recipients": args.recipients,
        "messages": args.messages, "size": args.mail.size.to_string(), "users": args.users.users,
        "seed": args.mail.seed,
    });
    let mut report = Report::new("smtp", settings);
    let local = LocalSet::new();
    for round in 0..args.rounds {
        let begin = args.first_letter + round * args.messages;
        let load = Load {
            args: args.clone(),
            corpus: Corpus::new(args.mail.seed, args.mail.size),
            next: Cell::new(begin),
            end: begin + args.messages,
        };
        local.run_until(one_round(Rc::new(load), begin, &mut report)).await?;
    }
    Ok(report)
}

async fn one_round(load: Rc<Load>, begin: u64, report: &mut Report) -> Result<(), BenchError> {
    let args = &load.args;
    let server = Server::new(&args.watch);
    let mut mailboxes = match args.imap_port {
        Some(port) => {
            let host = args.imap_host.as_ref().unwrap_or(&args.target.host);
            Some(Mailboxes::open(host, port, &args.users).await?)
        }
        None => None,
    };
    let mut sessions = Vec::new();
    for _ in 0..args.connections {
        sessions.push(Session::open(&args.target.endpoint(), args.lmtp).await?);
    }
    let memory_before = if server.is_known() { server.memory() } else { 0 };
    let peak = server.peak();
    let (cpu, own, began) = (server.cpu(), own_cpu(), Instant::now());
    let at_work: Vec<_> = sessions
        .into_iter()
        .map(|session| tokio::task::spawn_local(send(session, Rc::clone(&load))))
        .collect();
    let mut times = Times::default();
    for task in at_work {
        times.take(task.await.map_err(std::io::Error::other)??);
    }
    let accepted = began.elapsed().as_secs_f64();
    let share = 100.0 * (own_cpu() - own) / accepted;
    let messages = args.messages as f64;
    report.add("", Measure::Accepted, Unit::PerSecond, messages / accepted);
    if let Some(mailboxes) = &mut mailboxes {
        for number in begin..load.end {
            args.recipients_of(number).for_each(|index| mailboxes.expect_one(index));
        }
        mailboxes.wait().await?;
        let copies = messages * f64::from(args.recipients);
        report.add("", Measure::Visible, Unit::PerSecond, copies / began.elapsed().as_secs_f64());
    }
    times.report(report);
    if server.is_known() {
        let used = server.settled(Duration::from_secs(60)).await - cpu;
        let after = server.memory();
        let kibibytes = |octets: u64| octets as f64 / 1024.0;
        report.add("", Measure::CpuPerMessage, Unit::Milliseconds, 1000.0 * used / messages);
        report.add("", Measure::MemoryBefore, Unit::Kibibytes, kibibytes(memory_before));
        report.add("", Measure::MemoryPeak, Unit::Kibibytes, kibibytes(peak.most().max(after)));
        report.add("", Measure::MemoryAfter, Unit::Kibibytes, kibibytes(after));
    }
    report.add("", Measure::GeneratorShare, Unit::Percent, share);
    Ok(())
}

/// Sends letters on one connection until there are no more.
async fn send(mut session: Session, load: Rc<Load>) -> Result<Times, BenchError> {
    let mut times = Times::default();
    loop {
        let number = load.next.get();
        if number >= load.end {
            session.quit().await?;
            return Ok(times);
        }
        load.next.set(number + 1);
        let recipients: Vec<String> =
            load.args.recipients_of(number).map(|index| load.args.users.address(index)).collect();
        let taken = session.deliver(&recipients, &load.corpus.letter(number)).await?;
        times.add("DATA", taken);
    }
}
