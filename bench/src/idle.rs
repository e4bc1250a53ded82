//! `idle`: thousands of connections in IDLE (RFC 2177): what each costs in memory, what they cost while nothing
//! happens, and how soon they hear of a new letter.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::{Duration, Instant};

use clap::Args;
use serde_json::json;
use tokio::task::{JoinSet, LocalSet};

use crate::args::{Mail, Target, Users, Watch};
use crate::corpus::Corpus;
use crate::imap::{Imap, Look};
use crate::process::Server;
use crate::report::{Measure, Report, Unit};
use crate::smtp::session::Session;
use crate::stats::{milliseconds, percentile};
use crate::{BenchError, limits};

/// What `bench idle` takes.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Example:
  pennypost bench idle --port 2143 --smtp-port 2525 --user-pattern user{}@acme.example --users 1000 \
--password secret --connections 10000 --busy 1000 --pid 4711")]
pub struct IdleArgs {
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    users: Users,
    #[command(flatten)]
    watch: Watch,
    #[command(flatten)]
    mail: Mail,
    /// Idle connections, evenly over the accounts.
    #[arg(long, default_value_t = 10_000, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..))]
    connections: u32,
    /// Connections on accounts that get letters.
    #[arg(long, default_value_t = 1_000, value_name = "COUNT")]
    busy: u32,
    /// Letters that come by SMTP at this port [default: by APPEND].
    #[arg(long, value_name = "PORT")]
    smtp_port: Option<u16>,
    /// Letters that come.
    #[arg(long, default_value_t = 500, value_name = "COUNT")]
    letters: u64,
    /// Letters a second.
    #[arg(long, default_value_t = 20, value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1..))]
    rate: u64,
    /// How long nothing happens while CPU time is counted.
    #[arg(long, default_value_t = 10, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    quiet: u64,
}

/// Sign-ins at once while the connections are opened.
const OPENING: usize = 32;
/// Longer than this, a notice is lost.
const AT_MOST: Duration = Duration::from_secs(60);
const NOTICE: &str = "250 → EXISTS";

/// Measures.
///
/// # Errors
/// [`BenchError`]: no connection, a refusal, or a connection that never hears of a letter.
pub async fn run(args: &IdleArgs) -> Result<Report, BenchError> {
    limits::allow_connections(args.connections as usize + OPENING)?;
    let settings = json!({
        "connections": args.connections, "users": args.users.users, "busy": args.busy, "letters": args.letters,
        "rate": args.rate, "by": if args.smtp_port.is_some() { "smtp" } else { "append" }, "quiet": args.quiet,
    });
    let mut report = Report::new("idle", settings);
    let server = Server::new(&args.watch);
    let before = if server.is_known() { server.memory() } else { 0 };
    let began = Instant::now();
    let open = open(args).await?;
    let count = f64::from(args.connections);
    report.add(
        "LOGIN SELECT IDLE",
        Measure::Sessions,
        Unit::PerSecond,
        count / began.elapsed().as_secs_f64(),
    );
    if server.is_known() {
        let cpu = server.settled(Duration::from_secs(60)).await;
        tokio::time::sleep(Duration::from_secs(args.quiet)).await;
        let used = server.cpu() - cpu;
        let after = server.memory();
        let kibibytes = |octets: u64| octets as f64 / 1024.0;
        let each = kibibytes(after.saturating_sub(before)) / count;
        report.add("", Measure::MemoryBefore, Unit::Kibibytes, kibibytes(before));
        report.add("", Measure::MemoryAfter, Unit::Kibibytes, kibibytes(after));
        report.add("", Measure::MemoryPerConnection, Unit::Kibibytes, each);
        report.add("", Measure::CpuQuiet, Unit::Seconds, used);
    }
    if args.busy > 0 && args.letters > 0 {
        LocalSet::new().run_until(notices(args, open, &mut report)).await?;
    }
    Ok(report)
}

/// A connection in IDLE and the index of its account.
type Idle = (Imap, usize);

async fn open(args: &IdleArgs) -> Result<Vec<Idle>, BenchError> {
    let mut opening = JoinSet::new();
    let mut open = Vec::with_capacity(args.connections as usize);
    for connection in 0..args.connections as usize {
        if opening.len() >= OPENING
            && let Some(done) = opening.join_next().await
        {
            open.push(done.map_err(std::io::Error::other)??);
        }
        let (endpoint, user) = (args.target.endpoint(), args.users.address(connection));
        let (password, account) = (args.users.password.clone(), connection % args.users.users as usize);
        opening.spawn(async move {
            let source = limits::source(connection);
            let mut imap = Imap::login_from(&endpoint, source, &user, &password).await?;
            imap.select("INBOX").await?;
            imap.begin("IDLE").await?;
            imap.go_on("IDLE").await?;
            imap.rest();
            Ok::<Idle, BenchError>((imap, account))
        });
    }
    while let Some(done) = opening.join_next().await {
        open.push(done.map_err(std::io::Error::other)??);
    }
    Ok(open)
}

/// What the idle connections heard of: account, messages before and after, when.
#[derive(Default)]
struct Heard {
    notices: Vec<(usize, u64, u64, Instant)>,
    failed: Option<BenchError>,
}

/// When each account's letters were accepted, with the number of messages that they made.
type Accepted = BTreeMap<usize, Vec<(u64, Instant)>>;

async fn notices(args: &IdleArgs, open: Vec<Idle>, report: &mut Report) -> Result<(), BenchError> {
    let users = args.users.users as usize;
    let each = (args.connections as usize).div_ceil(users);
    let busy = (args.busy as usize).div_ceil(each).min(users).min(args.connections as usize);
    let mut there: BTreeMap<usize, u64> = BTreeMap::new();
    let mut listeners: BTreeMap<usize, usize> = BTreeMap::new();
    let heard = Rc::new(RefCell::new(Heard::default()));
    for (imap, account) in open {
        there.insert(account, imap.exists);
        *listeners.entry(account).or_default() += 1;
        tokio::task::spawn_local(listen(imap, account, Rc::clone(&heard)));
    }
    let accepted = deliver(args, busy, &there).await?;
    let expected: usize = accepted.iter().map(|(account, letters)| letters.len() * listeners[account]).sum();
    let began = Instant::now();
    loop {
        let latencies = {
            let mut heard = heard.borrow_mut();
            if let Some(error) = heard.failed.take() {
                return Err(error);
            }
            latencies(&accepted, &heard)
        };
        if latencies.len() == expected {
            report.add(NOTICE, Measure::Count, Unit::Pieces, expected as f64);
            report.add(NOTICE, Measure::LatencyP50, Unit::Milliseconds, percentile(&latencies, 50.0));
            report.add(NOTICE, Measure::LatencyP99, Unit::Milliseconds, percentile(&latencies, 99.0));
            return Ok(());
        }
        if began.elapsed() > AT_MOST {
            return Err(BenchError::wrong("notices of new letters", &expected, &latencies.len()));
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn listen(mut imap: Imap, account: usize, heard: Rc<RefCell<Heard>>) {
    loop {
        let before = imap.exists;
        match imap.next_exists().await {
            Ok(after) => heard.borrow_mut().notices.push((account, before, after, Instant::now())),
            Err(error) => {
                heard.borrow_mut().failed.get_or_insert(error);
                return;
            }
        }
    }
}

/// Milliseconds from each letter's acceptance to each notice of it; a notice that was faster than the reply took 0.
fn latencies(accepted: &Accepted, heard: &Heard) -> Vec<f64> {
    let mut latencies = Vec::new();
    for (account, before, after, at) in &heard.notices {
        for (count, accepted_at) in accepted.get(account).into_iter().flatten() {
            if (before + 1..=*after).contains(count) {
                latencies.push(milliseconds(at.saturating_duration_since(*accepted_at)));
            }
        }
    }
    latencies
}

async fn deliver(args: &IdleArgs, busy: usize, there: &BTreeMap<usize, u64>) -> Result<Accepted, BenchError> {
    let corpus = Corpus::new(args.mail.seed, args.mail.size);
    let mut accepted = Accepted::new();
    let mut smtp = match args.smtp_port {
        Some(port) => Some(Session::open(&args.target.at(port), false).await?),
        None => None,
    };
    let mut pace =
        tokio::time::interval(Duration::from_secs(1) / u32::try_from(args.rate).unwrap_or(u32::MAX));
    for number in 0..args.letters {
        pace.tick().await;
        let account = (number % busy as u64) as usize;
        let user = args.users.address(account);
        let letter = corpus.letter(number);
        match &mut smtp {
            Some(session) => {
                session.deliver(&[user], &letter).await?;
            }
            None => append(args, &user, &letter).await?,
        }
        let letters = accepted.entry(account).or_default();
        let count = there.get(&account).copied().unwrap_or(0) + letters.len() as u64 + 1;
        letters.push((count, Instant::now()));
    }
    Ok(accepted)
}

async fn append(args: &IdleArgs, user: &str, letter: &[u8]) -> Result<(), BenchError> {
    let mut session = Imap::login(&args.target.endpoint(), user, &args.users.password).await?;
    let command = format!("APPEND INBOX {{{}}}", letter.len());
    let tag = session.begin(&command).await?;
    session.go_on(&command).await?;
    session.send(letter).await?;
    session.send(b"\r\n").await?;
    session.finish(&tag, &command, Look::default()).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_notice_of_two_letters_counts_for_both() {
        let at = Instant::now();
        let later = |ms| at + Duration::from_millis(ms);
        let accepted = Accepted::from([(3, vec![(8, at), (9, later(4))])]);
        let heard = Heard {
            // Account 5 got none; the first notice of account 3 is of two letters, the second of one that came
            // from elsewhere.
            notices: vec![(5, 1, 2, at), (3, 7, 9, later(6)), (3, 9, 10, later(7))],
            failed: None,
        };
        assert_eq!(latencies(&accepted, &heard), [6.0, 2.0]);
    }
}
