//! `import`: mail from files into an account. Idempotent and resumable: each message has an id made from its
//! content, its mailbox and how many like it came before, and what the account's journal holds is passed over.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use pennypost_fold::{DraftError, State};
use pennypost_mailstore::{ChangeError, Incoming, LiveAccount, Mailroom};
use pennypost_model::journal::{Actor, Op, Protocol};
use pennypost_model::{AccountKey, EventId, MailboxId, Seq, Timestamp};
use pennypost_ports::{Consistency, crash};
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::mail_files::{self, Format, FoundMessage};
use crate::office::Office;
use crate::print::{Output, complain};
use crate::text::Text;
use crate::{Failed, say};

/// Messages and bytes that are committed together.
const BATCH_MESSAGES: usize = 50;
const BATCH_BYTES: u64 = 8 << 20;
/// Bytes that wait in all mailboxes together before they are committed.
const WAITING_BYTES: u64 = 32 << 20;

/// What `import` takes.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  pennypost import ann@acme.example mail.mbox
  pennypost import ann@acme.example ~/Maildir
  pennypost import ann@acme.example ./eml-files --mailbox 'Old mail'

Interrupted? Run it again: what is there already is passed over. Works while the server runs.")]
pub struct ImportArgs {
    /// Whose mail it becomes.
    address: String,
    /// A message, a folder of messages, an mbox file or a Maildir.
    path: PathBuf,
    /// The mailbox for messages that do not say where they belong.
    #[arg(long, default_value = "INBOX", value_name = "NAME")]
    mailbox: String,
}

/// What an import did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Imported {
    /// Messages that are new in the account.
    pub imported: u64,
    /// Messages that an earlier import has brought.
    pub present: u64,
    /// Messages that could not be read.
    pub failed: u64,
}

/// Runs the import; exit code 1 if some messages could not be read.
pub async fn run(office: &Office, args: &ImportArgs, json: bool, text: &Text) -> Result<ExitCode, Failed> {
    let account = office.account(&args.address, text).await?;
    let unreadable = |error: std::io::Error| {
        let (path, cause) = (args.path.display().to_string(), error.to_string());
        Failed::Said(say!(text, "import-path", path = path, cause = cause))
    };
    let format = mail_files::recognise(&args.path).map_err(unreadable)?;
    let progress = progress_bar(mail_files::total_bytes(&args.path), json);
    let mut import = Import::begin(office, account.key, &args.mailbox, text).await?;
    import.read(&args.path, format, &progress).await?;
    progress.finish_and_clear();
    let Imported { imported, present, failed } = import.done;
    let sentence = say!(text, "import-done", imported = imported, present = present, failed = failed);
    let document = json!({ "imported": imported, "present": present, "failed": failed });
    Output::new(&mut std::io::stdout().lock(), json).result(&sentence, &document)?;
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn progress_bar(total: u64, hidden: bool) -> ProgressBar {
    let bar = if hidden { ProgressBar::hidden() } else { ProgressBar::new(total) };
    let style = "{bar:40} {percent:>3}%  {bytes}/{total_bytes}  {bytes_per_sec}  {eta}  {msg}";
    bar.with_style(ProgressStyle::with_template(style).unwrap_or_else(|_| ProgressStyle::default_bar()))
}

/// An import under way.
pub struct Import<'a> {
    text: &'a Text,
    office: &'a Office,
    account: std::sync::Arc<LiveAccount>,
    default_mailbox: String,
    /// Events that the journal holds up to entry `known_upto`.
    known: HashSet<EventId>,
    known_upto: Seq,
    /// How often each content has been seen in this import, by mailbox.
    seen: HashMap<[u8; 10], u32>,
    waiting: HashMap<MailboxId, (Vec<Incoming>, u64)>,
    /// What was done so far.
    pub done: Imported,
}

impl<'a> Import<'a> {
    /// Begins an import into an account.
    pub async fn begin(
        office: &'a Office,
        key: AccountKey,
        default_mailbox: &str,
        text: &'a Text,
    ) -> Result<Import<'a>, Failed> {
        let room = Mailroom::new(office.store.clone());
        let mut import = Import {
            text,
            office,
            account: room.account(key).await?,
            default_mailbox: default_mailbox.to_owned(),
            known: HashSet::new(),
            known_upto: Seq::ZERO,
            seen: HashMap::new(),
            waiting: HashMap::new(),
            done: Imported::default(),
        };
        import.learn().await?;
        Ok(import)
    }

    /// Reads which events the journal has got since the last look: another import may be under way.
    async fn learn(&mut self) -> Result<(), Failed> {
        const PAGE: usize = 500;
        let journal = self.office.store.journal();
        loop {
            let (key, after) = (self.account.key(), self.known_upto);
            let entries = journal.since(key, after, PAGE, Consistency::Strong).await?;
            for op in entries.iter().flat_map(|entry| &entry.ops) {
                if let Op::Add(add) = op {
                    self.known.insert(add.event);
                }
            }
            self.known_upto = entries.last().map_or(after, |last| last.seq);
            if entries.len() < PAGE {
                return Ok(());
            }
        }
    }

    /// Imports everything under a path.
    pub async fn read(
        &mut self,
        path: &std::path::Path,
        format: Format,
        progress: &ProgressBar,
    ) -> Result<(), Failed> {
        mail_files::for_each(path, format, async |found| match found {
            Ok(message) => {
                progress.inc(message.raw.len() as u64);
                self.take(message).await
            }
            Err((place, error)) => {
                let cause = error.to_string();
                progress.suspend(|| {
                    complain(self.text, &say!(self.text, "import-message", place = place, cause = cause));
                });
                self.done.failed += 1;
                Ok(())
            }
        })
        .await?;
        self.store_all().await
    }

    async fn store_all(&mut self) -> Result<(), Failed> {
        let waiting: Vec<MailboxId> = self.waiting.keys().copied().collect();
        for mailbox in waiting {
            self.store(mailbox).await?;
        }
        Ok(())
    }

    async fn take(&mut self, message: FoundMessage) -> Result<(), Failed> {
        let name = message.mailbox.as_deref().unwrap_or(&self.default_mailbox).to_owned();
        let event = self.event_for(&name, &message.raw);
        if self.known.contains(&event) {
            self.done.present += 1;
            return Ok(());
        }
        let mailbox = self.mailbox(&name).await?;
        let now = self.office.clock.now();
        let (flags, received) = (message.flags, message.received);
        let raw = message.raw;
        let incoming = tokio::task::spawn_blocking(move || {
            let date = received.or_else(|| pennypost_mime::parse(&raw).1.sent);
            // A Date header may say anything; a mailbox should not.
            let date = date.filter(|date| (0..=now.0).contains(&date.0)).unwrap_or(now);
            Incoming::prepare(&raw, event, flags, date)
        });
        let incoming = incoming.await.map_err(|error| Failed::Said(error.to_string()))??;
        let (batch, bytes) = self.waiting.entry(mailbox).or_default();
        *bytes += incoming.size();
        batch.push(incoming);
        if batch.len() >= BATCH_MESSAGES || *bytes >= BATCH_BYTES {
            self.store(mailbox).await?;
        }
        if self.waiting.values().map(|(_, bytes)| bytes).sum::<u64>() >= WAITING_BYTES {
            self.store_all().await?;
        }
        Ok(())
    }

    /// The id of a message: the same in every import of the same files.
    fn event_for(&mut self, mailbox: &str, raw: &[u8]) -> EventId {
        let hash = |salt: u32| {
            let digest = Sha256::new()
                .chain_update(b"import")
                .chain_update(mailbox.len().to_le_bytes())
                .chain_update(mailbox)
                .chain_update(salt.to_le_bytes())
                .chain_update(raw)
                .finalize();
            let mut short = [0; 10];
            short.copy_from_slice(&digest[..10]);
            short
        };
        let copies = self.seen.entry(hash(0)).or_insert(0);
        *copies += 1;
        let random = hash(*copies).iter().fold(0_u128, |number, byte| number << 8 | u128::from(*byte));
        EventId::from_parts(Timestamp(0), random)
    }

    async fn mailbox(&self, name: &str) -> Result<MailboxId, Failed> {
        if let Some(mailbox) = self.account.state().mailbox_named(name) {
            return Ok(mailbox.id);
        }
        let created = self.account.change(&Actor::Member(Protocol::Import), |draft| {
            match draft.state().mailbox_named(name) {
                Some(mailbox) => Ok(mailbox.id),
                None => draft.create_mailbox(name, None),
            }
        });
        created.await.map(|(_, id)| id).map_err(|error| self.refused(name, error))
    }

    /// Commits what waits for a mailbox. If anybody else changes the account meanwhile, looks again first: it may
    /// have been an import of the same files.
    async fn store(&mut self, mailbox: MailboxId) -> Result<(), Failed> {
        let Some((mut batch, _)) = self.waiting.remove(&mailbox) else { return Ok(()) };
        let actor = Actor::Member(Protocol::Import);
        loop {
            self.learn().await?;
            self.account.refresh().await?;
            let before = batch.len();
            batch.retain(|incoming| !self.known.contains(&incoming.event));
            self.done.present += (before - batch.len()) as u64;
            if batch.is_empty() {
                return Ok(());
            }
            // Whoever imports is an administrator: the quota does not stop it.
            let next = self.known_upto.next();
            let allow = |state: &State| if state.seq == next { Ok(()) } else { Err(DraftError::Outdated) };
            match self.account.store_messages(&actor, mailbox, &batch, allow).await {
                Ok(_) => break,
                Err(ChangeError::Decided(DraftError::Outdated)) => {}
                Err(error) => return Err(self.refused(&mailbox.0.to_string(), error)),
            }
        }
        crash::point("import.after-batch");
        self.done.imported += batch.len() as u64;
        Ok(())
    }

    fn refused(&self, mailbox: &str, error: ChangeError) -> Failed {
        match error {
            ChangeError::Store(error) => Failed::Store(error),
            ChangeError::Decided(error) => {
                let cause = error.to_string();
                Failed::Said(say!(self.text, "import-mailbox", mailbox = mailbox, cause = cause))
            }
        }
    }
}
