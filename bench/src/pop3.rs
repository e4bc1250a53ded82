//! `pop3`: sessions that log in, list and fetch (RFC 1939).

use std::time::{Duration, Instant};

use clap::Args;
use serde_json::json;
use tokio::task::JoinSet;

use crate::args::{Target, Users, Watch};
use crate::outcome::Times;
use crate::process::{Server, own_cpu};
use crate::report::{Measure, Report, Unit};
use crate::wire::Wire;
use crate::{BenchError, error, limits};

/// What `bench pop3` takes.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Example:
  pennypost bench pop3 --port 2110 --user-pattern user{}@acme.example --users 20 --password secret --fetch 10")]
pub struct Pop3Args {
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    users: Users,
    #[command(flatten)]
    watch: Watch,
    /// Sessions at once, no two of one account.
    #[arg(long, default_value_t = 4, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..))]
    connections: u32,
    /// Messages that each session fetches: the newest ones.
    #[arg(long, default_value_t = 10, value_name = "COUNT")]
    fetch: u64,
    /// How long each round lasts.
    #[arg(long, default_value_t = 10, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    seconds: u64,
    /// How often it is measured.
    #[arg(long, default_value_t = 1, value_name = "COUNT")]
    rounds: usize,
}

/// Measures.
///
/// # Errors
/// [`BenchError`]: no connection, a refusal, or lists that contradict each other.
pub async fn run(args: &Pop3Args) -> Result<Report, BenchError> {
    limits::allow_connections(args.connections as usize)?;
    if args.connections > args.users.users {
        return Err(BenchError::Limit(format!(
            "{} sessions need as many accounts, because each locks its mailbox: --users says {}",
            args.connections, args.users.users
        )));
    }
    let settings = json!({
        "connections": args.connections, "users": args.users.users, "fetch": args.fetch, "seconds": args.seconds,
    });
    let mut report = Report::new("pop3", settings);
    let server = Server::new(&args.watch);
    for _ in 0..args.rounds {
        let (began, cpu, own) = (Instant::now(), server.cpu(), own_cpu());
        let until = began + Duration::from_secs(args.seconds);
        let mut at_work = JoinSet::new();
        for connection in 0..args.connections as usize {
            let args = args.clone();
            at_work.spawn(async move { sessions(&args, connection, until).await });
        }
        let (mut times, mut count) = (Times::default(), 0);
        while let Some(done) = at_work.join_next().await {
            let (taken, sessions) = done.map_err(std::io::Error::other)??;
            times.take(taken);
            count += sessions;
        }
        let seconds = began.elapsed().as_secs_f64();
        report.add("", Measure::Sessions, Unit::PerSecond, f64::from(count) / seconds);
        times.report(&mut report);
        if server.is_known() {
            let used = server.settled(Duration::from_secs(10)).await - cpu;
            report.add("", Measure::CpuPerOperation, Unit::Milliseconds, 1000.0 * used / f64::from(count));
        }
        report.add("", Measure::GeneratorShare, Unit::Percent, 100.0 * (own_cpu() - own) / seconds);
    }
    Ok(report)
}

async fn sessions(args: &Pop3Args, connection: usize, until: Instant) -> Result<(Times, u32), BenchError> {
    let (mut times, mut count) = (Times::default(), 0);
    // Accounts whose number leaves the same rest are this connection's own.
    let own = (connection..args.users.users as usize).step_by(args.connections as usize);
    for index in own.cycle() {
        if Instant::now() >= until {
            break;
        }
        session(args, &args.users.address(index), connection + count as usize, &mut times).await?;
        count += 1;
    }
    Ok((times, count))
}

async fn session(args: &Pop3Args, user: &str, number: usize, times: &mut Times) -> Result<(), BenchError> {
    let began = Instant::now();
    let source = u8::try_from(number % 100).unwrap_or_default();
    let mut wire = Wire::connect_from(&args.target.endpoint(), source).await?;
    answer(&mut wire, "connecting").await?;
    ask(&mut wire, &format!("USER {user}")).await?;
    ask(&mut wire, &format!("PASS {}", args.users.password)).await?;
    times.add("USER PASS", began.elapsed());
    let stat = ask(&mut wire, "STAT").await?;
    let there: u64 = stat.split(' ').nth(1).and_then(|count| count.parse().ok()).unwrap_or(0);
    for listing in ["UIDL", "LIST"] {
        let began = Instant::now();
        ask(&mut wire, listing).await?;
        error::expect(listing, there, lines(&mut wire).await?)?;
        times.add(listing, began.elapsed());
    }
    for number in (1..=there).rev().take(usize::try_from(args.fetch).unwrap_or(usize::MAX)) {
        let began = Instant::now();
        ask(&mut wire, &format!("RETR {number}")).await?;
        if lines(&mut wire).await? == 0 {
            return Err(BenchError::wrong("RETR", &"a letter", &"nothing"));
        }
        times.add("RETR", began.elapsed());
    }
    ask(&mut wire, "QUIT").await?;
    Ok(())
}

async fn ask(wire: &mut Wire, command: &str) -> Result<String, BenchError> {
    wire.send(format!("{command}\r\n").as_bytes()).await?;
    answer(wire, command.split(' ').next().unwrap_or_default()).await
}

async fn answer(wire: &mut Wire, command: &str) -> Result<String, BenchError> {
    let line = wire.line().await?;
    if line.starts_with(b"+OK") {
        Ok(String::from_utf8_lossy(line).into_owned())
    } else {
        Err(BenchError::refused(command, line))
    }
}

/// Passes over a multi-line answer; gives the number of its lines.
async fn lines(wire: &mut Wire) -> Result<u64, BenchError> {
    let mut count = 0;
    while wire.line().await? != b"." {
        count += 1;
    }
    Ok(count)
}
