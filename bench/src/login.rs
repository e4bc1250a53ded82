//! `login`: sessions a second: connect, LOGIN, SELECT, LOGOUT, on several connections at once.

use std::time::{Duration, Instant};

use clap::Args;
use serde_json::json;
use tokio::task::JoinSet;

use crate::args::{Target, Users, Watch};
use crate::imap::Imap;
use crate::outcome::Times;
use crate::process::{Server, own_cpu};
use crate::report::{Measure, Report, Unit};
use crate::wire::Endpoint;
use crate::{BenchError, limits};

/// What `bench login` takes.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Example:
  pennypost bench login --port 2143 --user-pattern user{}@acme.example --users 20 --password secret --connections 8")]
pub struct LoginArgs {
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    users: Users,
    #[command(flatten)]
    watch: Watch,
    /// Sessions at once.
    #[arg(long, default_value_t = 8, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..))]
    connections: u32,
    /// Mailbox to select.
    #[arg(long, default_value = "INBOX", value_name = "NAME")]
    mailbox: String,
    /// How long each round lasts.
    #[arg(long, default_value_t = 10, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    seconds: u64,
    /// How often it is measured.
    #[arg(long, default_value_t = 1, value_name = "COUNT")]
    rounds: usize,
}

const SESSION: &str = "LOGIN SELECT LOGOUT";

/// Measures.
///
/// # Errors
/// [`BenchError`]: no connection or a refusal.
pub async fn run(args: &LoginArgs) -> Result<Report, BenchError> {
    limits::allow_connections(args.connections as usize)?;
    let settings = json!({
        "connections": args.connections, "users": args.users.users, "seconds": args.seconds,
    });
    let mut report = Report::new("login", settings);
    let server = Server::new(&args.watch);
    for _ in 0..args.rounds {
        let (began, cpu, own) = (Instant::now(), server.cpu(), own_cpu());
        let until = began + Duration::from_secs(args.seconds);
        let mut at_work = JoinSet::new();
        for connection in 0..args.connections as usize {
            let args = args.clone();
            at_work.spawn(async move { sessions(&args, connection, until).await });
        }
        let mut times = Times::default();
        while let Some(done) = at_work.join_next().await {
            times.take(done.map_err(std::io::Error::other)??);
        }
        let seconds = began.elapsed().as_secs_f64();
        let count = times.count() as f64;
        report.add(SESSION, Measure::Sessions, Unit::PerSecond, count / seconds);
        times.report(&mut report);
        if server.is_known() {
            let used = server.settled(Duration::from_secs(10)).await - cpu;
            report.add(SESSION, Measure::CpuPerOperation, Unit::Milliseconds, 1000.0 * used / count);
            report.add("", Measure::MemoryAfter, Unit::Kibibytes, server.memory() as f64 / 1024.0);
        }
        report.add("", Measure::GeneratorShare, Unit::Percent, 100.0 * (own_cpu() - own) / seconds);
    }
    Ok(report)
}

async fn sessions(args: &LoginArgs, connection: usize, until: Instant) -> Result<Times, BenchError> {
    let endpoint: Endpoint = args.target.endpoint();
    let mut times = Times::default();
    let mut number = connection;
    while Instant::now() < until {
        let user = args.users.address(number);
        number += args.connections as usize;
        let began = Instant::now();
        // Every session leaves a port that waits a minute; several addresses have enough of them.
        let source = u8::try_from(number % 100).unwrap_or_default();
        let mut imap = Imap::login_from(&endpoint, source, &user, &args.users.password).await?;
        imap.select(&args.mailbox).await?;
        imap.run("LOGOUT").await?;
        times.add(SESSION, began.elapsed());
    }
    Ok(times)
}
