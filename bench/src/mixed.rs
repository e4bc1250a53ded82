//! `mixed`: many sessions at once that do what mail programs do, drawn by weight.

use std::rc::Rc;
use std::time::{Duration, Instant};

use clap::Args;
use serde_json::json;
use tokio::task::LocalSet;

use crate::args::{Mail, Target, Users, Watch};
use crate::corpus::{Chance, Corpus, Marked};
use crate::imap::{Imap, Look};
use crate::outcome::Times;
use crate::process::{Server, own_cpu};
use crate::report::{Measure, Report, Unit};
use crate::{BenchError, append, limits};

/// What `bench mixed` takes.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Example:
  pennypost bench mixed --port 2143 --user-pattern user{}@acme.example --users 20 --password secret --sessions 20")]
pub struct MixedArgs {
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    users: Users,
    #[command(flatten)]
    watch: Watch,
    #[command(flatten)]
    mail: Mail,
    /// Sessions at once; with more of them than accounts, several work on one mailbox.
    #[arg(long, default_value_t = 20, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..))]
    sessions: u32,
    /// Each INBOX is filled up to so many messages before.
    #[arg(long, default_value_t = 1_000, value_name = "COUNT", value_parser = clap::value_parser!(u64).range(100..))]
    messages: u64,
    /// How long each round lasts.
    #[arg(long, default_value_t = 30, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    seconds: u64,
    /// How often it is measured.
    #[arg(long, default_value_t = 1, value_name = "COUNT")]
    rounds: usize,
}

/// Operations with their weights: mostly looking, now and then changing, as mail programs do.
const OPERATIONS: [(&str, u64); 10] = [
    ("SELECT", 10),
    ("FETCH (FLAGS)", 15),
    ("FETCH ENVELOPE", 20),
    ("FETCH BODY", 20),
    ("SEARCH", 5),
    ("STORE", 10),
    ("APPEND", 5),
    ("COPY", 3),
    ("EXPUNGE", 5),
    ("NOOP", 7),
];
const ASIDE: &str = "bench-aside";
/// Messages of one look at a list.
const SCREEN: u64 = 50;

/// Measures.
///
/// # Errors
/// [`BenchError`]: no connection or a refusal.
pub async fn run(args: &MixedArgs) -> Result<Report, BenchError> {
    limits::allow_connections(args.sessions as usize)?;
    let settings = json!({
        "sessions": args.sessions, "users": args.users.users, "messages": args.messages,
        "size": args.mail.size.to_string(), "seconds": args.seconds, "seed": args.mail.seed,
    });
    let mut report = Report::new("mixed", settings);
    let corpus = Rc::new(Corpus::new(args.mail.seed, args.mail.size));
    fill(args, &corpus).await?;
    let server = Server::new(&args.watch);
    let local = LocalSet::new();
    for round in 0..args.rounds {
        let mut agents = Vec::new();
        for number in 0..args.sessions as usize {
            agents.push(Agent::open(args, &corpus, number, round).await?);
        }
        let peak = server.peak();
        let (began, cpu, own) = (Instant::now(), server.cpu(), own_cpu());
        let until = began + Duration::from_secs(args.seconds);
        let mut times = Times::default();
        local
            .run_until(async {
                let at_work: Vec<_> =
                    agents.into_iter().map(|agent| tokio::task::spawn_local(agent.work(until))).collect();
                for task in at_work {
                    times.take(task.await.map_err(std::io::Error::other)??);
                }
                Ok::<(), BenchError>(())
            })
            .await?;
        let seconds = began.elapsed().as_secs_f64();
        let used = server.cpu() - cpu;
        report.add("", Measure::Operations, Unit::PerSecond, times.count() as f64 / seconds);
        times.report(&mut report);
        times.report_counts(&mut report);
        if server.is_known() {
            let each = 1000.0 * used / times.count() as f64;
            report.add("", Measure::CpuPerOperation, Unit::Milliseconds, each);
            report.add("", Measure::MemoryPeak, Unit::Kibibytes, peak.most() as f64 / 1024.0);
        }
        report.add("", Measure::GeneratorShare, Unit::Percent, 100.0 * (own_cpu() - own) / seconds);
    }
    Ok(report)
}

async fn fill(args: &MixedArgs, corpus: &Corpus) -> Result<(), BenchError> {
    for index in 0..args.users.users as usize {
        let user = args.users.address(index);
        let mut session = Imap::login(&args.target.endpoint(), &user, &args.users.password).await?;
        // There already, if it was measured before.
        let _ = session.run(&format!("CREATE {ASIDE}")).await;
        let there = session.count("INBOX").await?;
        let multiappend = session.offers("MULTIAPPEND").await?;
        append::letters(&mut session, corpus, "INBOX", there..args.messages.max(there), multiappend).await?;
    }
    Ok(())
}

/// One session and its plans.
struct Agent {
    imap: Imap,
    corpus: Rc<Corpus>,
    chance: Chance,
    letter: u64,
}

impl Agent {
    async fn open(
        args: &MixedArgs,
        corpus: &Rc<Corpus>,
        number: usize,
        round: usize,
    ) -> Result<Agent, BenchError> {
        let user = args.users.address(number);
        let mut imap = Imap::login(&args.target.endpoint(), &user, &args.users.password).await?;
        if !imap.offers("LITERAL+").await? {
            return Err(BenchError::Missing("LITERAL+"));
        }
        imap.select("INBOX").await?;
        let plan = (number + 1_000 * round) as u64;
        let letter = 1_000_000 * (plan + 1);
        Ok(Agent { imap, corpus: Rc::clone(corpus), chance: Chance::new(args.mail.seed ^ plan), letter })
    }

    async fn work(mut self, until: Instant) -> Result<Times, BenchError> {
        let mut times = Times::default();
        let total = OPERATIONS.iter().map(|(_, weight)| weight).sum();
        while Instant::now() < until {
            let mut place = self.chance.below(total);
            for (operation, weight) in OPERATIONS {
                if place < weight {
                    let began = Instant::now();
                    self.operate(operation).await?;
                    times.add(operation, began.elapsed());
                    break;
                }
                place -= weight;
            }
        }
        self.imap.run("LOGOUT").await?;
        Ok(times)
    }

    async fn operate(&mut self, operation: &str) -> Result<(), BenchError> {
        match operation {
            "SELECT" => {
                self.imap.select("INBOX").await?;
            }
            "FETCH (FLAGS)" => self.fetch(SCREEN * 2, "(FLAGS)").await?,
            "FETCH ENVELOPE" => self.fetch(SCREEN, "(UID FLAGS ENVELOPE INTERNALDATE RFC822.SIZE)").await?,
            "FETCH BODY" => {
                let number = self.any();
                self.imap.run(&format!("FETCH {number} (UID BODY[])")).await?;
            }
            "SEARCH" => {
                let command = match self.chance.below(3) {
                    0 => "SEARCH UNSEEN".to_owned(),
                    1 => format!("SEARCH SUBJECT {}", Marked::Subject.word()),
                    _ => format!("SEARCH TEXT {}", Marked::Body.word()),
                };
                self.imap.run(&command).await?;
            }
            "STORE" => {
                let (number, sign) = (self.any(), if self.chance.below(2) == 0 { '+' } else { '-' });
                self.imap.run(&format!("STORE {number} {sign}FLAGS (\\Flagged)")).await?;
            }
            "APPEND" => self.append().await?,
            "COPY" => {
                let number = self.any();
                self.imap.run(&format!("COPY {number} {ASIDE}")).await?;
            }
            "EXPUNGE" => {
                // What APPEND adds goes again, so that the mailbox keeps its size.
                let number = self.any();
                self.imap.run(&format!("STORE {number} +FLAGS.SILENT (\\Deleted)")).await?;
                self.imap.run("EXPUNGE").await?;
            }
            _ => {
                self.imap.run("NOOP").await?;
            }
        }
        Ok(())
    }

    /// A message number, the newest ones ten times as often.
    fn any(&mut self) -> u64 {
        let exists = self.imap.exists.max(1);
        let newest = SCREEN.min(exists);
        if self.chance.below(2) == 0 {
            exists - self.chance.below(newest)
        } else {
            1 + self.chance.below(exists)
        }
    }

    async fn fetch(&mut self, count: u64, items: &str) -> Result<(), BenchError> {
        let last = self.imap.exists.max(1);
        let first = last.saturating_sub(count - 1).max(1);
        let look = Look { item: "FETCH (", literal: false };
        let command = format!("FETCH {first}:{last} {items}");
        let seen = self.imap.look(&command, look).await?;
        // Others may have expunged some meanwhile.
        if seen.fetched == 0 {
            return Err(BenchError::wrong(&command, &(last - first + 1), &0));
        }
        Ok(())
    }

    async fn append(&mut self) -> Result<(), BenchError> {
        let letter = self.letter;
        self.letter += 1;
        append::letters(&mut self.imap, &self.corpus, "INBOX", letter..letter + 1, false).await
    }
}
