//! `imap`: how one large mailbox feels. Each operation is timed the first time in a new session and repeated in it.

mod changes;
mod fill;
mod reads;

use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};
use serde_json::json;

use crate::args::{Mail, Target, Users, Watch};
use crate::corpus::Corpus;
use crate::error::expect;
use crate::imap::{Imap, quoted};
use crate::process::{Server, own_cpu};
use crate::report::{Measure, Report, Unit};
use crate::stats::milliseconds;
use crate::wire::Endpoint;
use crate::{BenchError, limits};

/// How the mailbox gets its messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Fill {
    /// MULTIAPPEND where the server has it, else APPEND.
    Auto,
    /// One APPEND command for 200 messages (RFC 3502).
    Multiappend,
    /// An APPEND command each, sent without waiting (LITERAL+, RFC 7888).
    Append,
    /// It is filled already.
    None,
}

/// Operations that can be chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Operation {
    /// Opening the mailbox.
    Select,
    /// FETCH of flags, envelopes and structures of all messages.
    Fetch,
    /// FETCH of 100 random messages.
    Bodies,
    /// SEARCH by subject, text and flag.
    Search,
    /// STORE of a flag.
    Store,
    /// COPY to another mailbox.
    Copy,
    /// MOVE to another mailbox (RFC 6851).
    Move,
    /// APPEND one by one, and EXPUNGE of as many.
    Append,
    /// All by one APPEND (RFC 3502).
    Multiappend,
}

/// What `bench imap` takes.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Examples:
  pennypost bench imap --port 2143 --user-pattern ann@acme.example --password secret --messages 10000
  pennypost bench imap --port 143 --user-pattern user{} --fill none --messages 100000 --rounds 5 --output big.json")]
pub struct MailboxArgs {
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    users: Users,
    #[command(flatten)]
    watch: Watch,
    #[command(flatten)]
    mail: Mail,
    /// The mailbox; it is made if need be.
    #[arg(long, default_value = "bench", value_name = "NAME")]
    mailbox: String,
    /// How many messages it has while it is measured.
    #[arg(long, default_value_t = 10_000, value_name = "COUNT", value_parser = clap::value_parser!(u64).range(100..))]
    messages: u64,
    /// How it gets them; messages that it has already stay and count.
    #[arg(long, value_enum, default_value_t = Fill::Auto)]
    fill: Fill,
    /// Only fill, so that the server can be started anew before the measurement.
    #[arg(long)]
    fill_only: bool,
    /// How many messages STORE, COPY, MOVE, EXPUNGE and APPEND work on.
    #[arg(long, default_value_t = 1_000, value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1..=2_000))]
    batch: u64,
    /// How often each operation is repeated after its first time.
    #[arg(long, default_value_t = 3, value_name = "COUNT")]
    rounds: usize,
    /// Only these operations (SELECT is always measured); may be repeated.
    #[arg(long, value_enum, value_name = "OPERATION")]
    only: Vec<Operation>,
}

/// One large mailbox and those who measure it.
struct Measuring<'a> {
    args: &'a MailboxArgs,
    endpoint: Endpoint,
    user: String,
    corpus: Corpus,
    server: Server,
    report: Report,
    /// Nothing was ever taken out of it: message `n` is letter `n - 1`.
    untouched: bool,
}

/// Measures.
///
/// # Errors
/// [`BenchError`]: no connection, a refusal, or an answer that is not what was stored.
pub async fn run(args: &MailboxArgs) -> Result<Report, BenchError> {
    limits::allow_connections(8)?;
    let settings = json!({
        "messages": args.messages, "size": args.mail.size.to_string(), "seed": args.mail.seed,
        "batch": args.batch, "repeated": args.rounds, "fill_only": args.fill_only,
    });
    let mut measuring = Measuring {
        args,
        endpoint: args.target.endpoint(),
        user: args.users.address(0),
        corpus: Corpus::new(args.mail.seed, args.mail.size),
        server: Server::new(&args.watch),
        report: Report::new("imap", settings),
        untouched: false,
    };
    measuring.fill().await?;
    if args.fill_only {
        return Ok(measuring.report);
    }
    let (began, cpu) = (Instant::now(), own_cpu());
    let peak = measuring.server.peak();
    measuring.reads().await?;
    measuring.changes().await?;
    let share = 100.0 * (own_cpu() - cpu) / began.elapsed().as_secs_f64();
    measuring.report.add("", Measure::GeneratorShare, Unit::Percent, share);
    if measuring.server.is_known() {
        let most = measuring.server.memory().max(peak.most());
        measuring.report.add("", Measure::MemoryPeak, Unit::Kibibytes, most as f64 / 1024.0);
    }
    Ok(measuring.report)
}

impl Measuring<'_> {
    /// A new session, without a mailbox.
    async fn session(&self) -> Result<Imap, BenchError> {
        Imap::login(&self.endpoint, &self.user, &self.args.users.password).await
    }

    /// A new session with the mailbox selected.
    async fn selected(&self) -> Result<Imap, BenchError> {
        let mut session = self.session().await?;
        session.select(&self.args.mailbox).await?;
        expect("messages of the mailbox", self.args.messages, session.exists)?;
        Ok(session)
    }

    fn wants(&self, operation: Operation) -> bool {
        self.args.only.is_empty() || self.args.only.contains(&operation)
    }

    fn mailbox(&self) -> String {
        quoted(&self.args.mailbox)
    }

    /// Notes how long the operation took, the first time or again.
    fn note(&mut self, operation: &'static str, time: usize, taken: Duration) {
        let measure = if time == 0 { Measure::First } else { Measure::Repeated };
        self.report.add(operation, measure, Unit::Milliseconds, milliseconds(taken));
    }

    /// The first time and the repeated ones.
    const fn times(&self) -> usize {
        self.args.rounds + 1
    }
}
