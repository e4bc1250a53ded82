//! `cost page`: what it takes to open a mailbox and show a list page, cold, over the real protocol.
//!
//! The account has a base and a tail of half the usual length. The server has just been started: it knows nothing of
//! it. Signing in is counted by itself: a program does it once, and selects often.

use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use pennypost_bench::corpus::Size;
use pennypost_housekeep::Index;
use pennypost_ingress::imap;
use pennypost_ingress::net::{Adapter, Ports, Settings, TlsMode, load_or_create_tls};
use pennypost_mailstore::Mailroom;
use pennypost_meter::{Counts, total};
use pennypost_model::event::{Event, House, Stage};
use pennypost_runtime::Fusing;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

use super::letters::Letters;
use super::scene::{PASSWORD, Scene};
use crate::Failed;
use crate::backend::Kind;

/// Entries behind the base: housekeeping builds one at 128, so half of that is there on average.
const TAIL: u64 = 64;
/// Messages of a page.
const PAGE: u64 = 50;
/// What a list of messages is drawn from, as mail programs ask for it.
const ITEMS: &str = "(UID FLAGS INTERNALDATE RFC822.SIZE ENVELOPE)";

/// What `cost page` takes.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Examples:
  pennypost cost page
  pennypost cost page --messages 5000
Needs no data directory: everything happens in a temporary one.")]
pub struct PageArgs {
    /// Messages of the mailbox.
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u64).range(200..=1_000_000))]
    pub messages: u64,
    /// Bytes of a letter: 1k to 65536k, or mix.
    #[arg(long, default_value = "10k")]
    pub size: Size,
}

/// Fills a mailbox, one letter at a time, and looks at it: what each step took.
pub(super) async fn measure(args: &PageArgs, kind: Kind) -> Result<Vec<(&'static str, Counts)>, Failed> {
    let scene = Scene::new(kind, false).await?.indexing(Index::All);
    let accounts = scene.people(1).await?;
    let letters = Letters::of(args.size);
    let pipeline = scene.pipeline(Fusing::fused());
    for number in 0..args.messages {
        let (event, _) = letters.accepted(&scene, number, &accounts.iter().collect::<Vec<_>>())?;
        for result in pipeline.run(Stage::InboundParse, vec![event]).await {
            result.map_err(|failure| Failed::Said(failure.cause))?;
        }
        scene.pass(Duration::from_secs(60));
        if number == args.messages - TAIL - 1 {
            settle(&scene).await?;
        }
    }
    let steps = look(&scene, &accounts[0].address.to_string(), args.messages).await?;
    scene.close().await;
    Ok(steps)
}

/// Housekeeping looks after every account now, as it does when a tail is long, and builds the segments of an account in
/// which nothing happens.
async fn settle(scene: &Scene) -> Result<(), Failed> {
    // What is in the queue was asked for on the way.
    let minute = Duration::from_secs(60);
    loop {
        let received = scene.queue.receive(Stage::Housekeep, 100, minute, Duration::ZERO).await?;
        if received.is_empty() {
            break;
        }
        let receipts: Vec<_> = received.into_iter().map(|message| message.receipt).collect();
        scene.queue.ack(Stage::Housekeep, &receipts).await?;
    }
    scene.pass(Duration::from_secs(10));
    let tenants = scene.directory.tenants(&pennypost_directory::Page::default()).await?.items;
    for tenant in tenants {
        for account in scene.journal.accounts(tenant.id, None, 1000).await? {
            let event = Event::House(House::Account(account));
            let pipeline = scene.pipeline(Fusing::fused());
            for result in pipeline.run(Stage::Housekeep, vec![event]).await {
                result.map_err(|failure| Failed::Said(failure.cause))?;
            }
        }
    }
    Ok(())
}

async fn look(scene: &Scene, address: &str, messages: u64) -> Result<Vec<(&'static str, Counts)>, Failed> {
    let said = |error: &dyn std::fmt::Display| Failed::Said(error.to_string());
    let ports = Ports {
        directory: scene.directory.clone(),
        mailroom: Mailroom::new(scene.store()),
        queue: Arc::clone(&scene.queue),
        objects: Arc::clone(&scene.objects),
        clock: Arc::clone(&scene.clock),
        ids: Arc::clone(&scene.ids),
    };
    let keys = tempfile::tempdir()?;
    let tls = load_or_create_tls(keys.path(), "localhost").map_err(|error| said(&error))?;
    let registry = prometheus::Registry::new();
    let adapter = Adapter::new(ports, Settings::default(), tls, &registry).map_err(|error| said(&error))?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let server = listener.local_addr()?;
    let serving = tokio::spawn(imap::run(Arc::clone(&adapter), listener, TlsMode::StartTls));
    let mut client = Client(BufReader::new(TcpStream::connect(server).await?));
    client.line().await?;
    let newest = messages - PAGE + 1;
    let page = format!("FETCH {newest}:{messages} {ITEMS}");
    let older = format!("FETCH {}:{} {ITEMS}", newest - 3 * PAGE, messages - 3 * PAGE);
    let letter = format!("FETCH {messages} (BODY.PEEK[])");
    let mut steps = Vec::new();
    for (name, command) in [
        ("login", format!("LOGIN {address} \"{PASSWORD}\"")),
        ("select", "SELECT INBOX".to_owned()),
        ("page", page),
        ("older-page", older),
        ("letter", letter),
        ("noop", "NOOP".to_owned()),
    ] {
        let before = total();
        client.ask(&command).await?;
        steps.push((name, total().since(&before)));
    }
    client.ask("LOGOUT").await?;
    adapter.shutdown.begin();
    serving.await.map_err(|error| said(&error))?;
    Ok(steps)
}

/// So little of an IMAP client as is needed.
struct Client(BufReader<TcpStream>);

impl Client {
    async fn line(&mut self) -> Result<String, Failed> {
        let mut line = Vec::new();
        if self.0.read_until(b'\n', &mut line).await? == 0 {
            return Err(Failed::Said("the server has hung up".to_owned()));
        }
        Ok(String::from_utf8_lossy(&line).trim_end().to_owned())
    }

    /// Gives a command, and waits until it has been done.
    async fn ask(&mut self, command: &str) -> Result<(), Failed> {
        self.0.get_mut().write_all(format!("a {command}\r\n").as_bytes()).await?;
        loop {
            let line = self.line().await?;
            if let Some(answer) = line.strip_prefix("a ") {
                return match answer.starts_with("OK") {
                    true => Ok(()),
                    false => Err(Failed::Said(format!("{command}: {answer}"))),
                };
            }
            let literal = line.strip_suffix('}').and_then(|line| line.rsplit_once('{'));
            if let Some(len) = literal.and_then(|(_, digits)| digits.parse::<usize>().ok()) {
                self.0.read_exact(&mut vec![0; len]).await?;
            }
        }
    }
}
