//! `export`: an account's mail as a Maildir++, as mbox files or as single .eml files.
//!
//! Owns: the layout of what is written (`folders`), the writers of the formats (`maildir`, `eml`, `mbox`).
//! Reads the account as it is at the beginning; nothing in it is changed.
//!
//! Invariants: names of mailboxes come from users and never lead out of the folder given; a file appears under
//! its name only when it is whole (temporary name, then rename), and its name follows from the message, so that
//! a repeated export adds what is missing and takes what is there as done. Maildir and .eml hold the bytes as
//! received; mbox has the line ends and quoting of its format. At most one piece of a message is in memory.
//! Messages that were deleted since an earlier export stay in the folder.
//!
//! If the process dies, the folder holds whole messages and at most one temporary file; exporting again goes
//! on from there (mbox files begin anew, one by one).

mod folders;
mod mbox;
mod single;

use std::fs::{self, File, FileTimes};
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use pennypost_fold::{Mailbox, Row, State};
use pennypost_mailstore::{Mailstore, StoreError};
use pennypost_model::{TenantId, Timestamp};
use pennypost_ports::Consistency;
use serde_json::json;

use crate::mailbox::{missing, sorted};
use crate::office::Office;
use crate::print::{self, Output, complain};
use crate::text::Text;
use crate::{Failed, say};

/// Bytes of a message that are read at once.
const PIECE: u64 = 256 * 1024;

/// What `export` takes.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  pennypost export ann@acme.example ./ann                       a Maildir++ with flags and dates
  pennypost export ann@acme.example ./ann --format mbox --mailbox Archive
A repeated export adds what is missing; messages deleted meanwhile stay in the folder.")]
pub struct ExportArgs {
    /// Whose mail.
    address: String,
    /// The folder to write into; made if it is missing.
    dir: PathBuf,
    /// How the mail is laid out.
    #[arg(long, value_enum, default_value_t = Format::Maildir)]
    format: Format,
    /// Only this mailbox.
    #[arg(long, value_name = "NAME")]
    mailbox: Option<String>,
}

/// How exported mail is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Maildir++: INBOX in the folder itself, other mailboxes in .Name.Sub; flags in the file names
    Maildir,
    /// One mbox file (mboxrd) for each mailbox: Name/Sub/messages.mbox; without flags
    Mbox,
    /// One file for each message: Name/Sub/UID.eml; without flags
    Eml,
}

/// What an export did.
#[derive(Debug, Default, PartialEq, Eq)]
struct Summary {
    mailboxes: u64,
    messages: u64,
    bytes: u64,
    skipped: u64,
    failed: u64,
}

/// Exports an account.
///
/// # Errors
/// [`Failed`] when the folder can't be written, and at the end when some messages could not be read.
pub async fn run(office: &Office, args: &ExportArgs, json: bool, text: &Text) -> Result<(), Failed> {
    let summary = export(office, args, text, !json && io::stderr().is_terminal()).await?;
    let Summary { mailboxes, messages, bytes, skipped, failed } = summary;
    let document = json!({
        "mailboxes": mailboxes,
        "messages": messages,
        "bytes": bytes,
        "skipped": skipped,
        "failed": failed,
    });
    let sentence = say!(
        text,
        "export-done",
        messages = messages,
        size = print::size(bytes),
        mailboxes = mailboxes,
        skipped = skipped
    );
    Output::new(&mut io::stdout().lock(), json).result(&sentence, &document)?;
    if failed > 0 { Err(Failed::Said(say!(text, "export-some-failed", failed = failed))) } else { Ok(()) }
}

async fn export(office: &Office, args: &ExportArgs, text: &Text, visible: bool) -> Result<Summary, Failed> {
    let account = office.account(&args.address, text).await?;
    let state = office.store.load(account.key, Consistency::Strong).await?;
    let mailboxes = match &args.mailbox {
        None => sorted(&state),
        Some(name) => match state.mailbox_named(name) {
            Some(mailbox) => vec![std::sync::Arc::clone(mailbox)],
            None => return Err(Failed::Said(missing(&args.address, name, text))),
        },
    };
    let cannot = |error: io::Error| {
        let path = args.dir.display().to_string();
        Failed::Said(say!(text, "export-write", path = path, cause = error.to_string()))
    };
    fs::create_dir_all(&args.dir).map_err(cannot)?;
    let mut export = Export {
        store: &office.store,
        tenant: account.key.tenant,
        state: &state,
        root: &args.dir,
        summary: Summary::default(),
        progress: progress(mailboxes.iter().map(|mailbox| mailbox.counts.bytes).sum(), visible),
        text,
    };
    for mailbox in &mailboxes {
        let written = match args.format {
            Format::Maildir => export.maildir(mailbox).await,
            Format::Mbox => export.mbox(mailbox).await,
            Format::Eml => export.eml(mailbox).await,
        };
        match written {
            Ok(()) => export.summary.mailboxes += 1,
            Err(Trouble::Write(error)) => return Err(cannot(error)),
            Err(Trouble::Read(error)) => return Err(error.into()),
        }
    }
    export.progress.finish_and_clear();
    Ok(export.summary)
}

fn progress(bytes: u64, visible: bool) -> ProgressBar {
    if !visible {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{wide_bar} {bytes}/{total_bytes} {bytes_per_sec} {eta}")
        .unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(bytes).with_style(style)
}

/// What stands in the way of one message or of all.
#[derive(Debug)]
enum Trouble {
    /// A message can't be read.
    Read(StoreError),
    /// The folder can't be written.
    Write(io::Error),
}

impl From<StoreError> for Trouble {
    fn from(error: StoreError) -> Trouble {
        Trouble::Read(error)
    }
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Trouble {
        Trouble::Write(error)
    }
}

/// An export that is under way.
struct Export<'a> {
    store: &'a Mailstore,
    tenant: TenantId,
    state: &'a State,
    root: &'a Path,
    summary: Summary,
    progress: ProgressBar,
    text: &'a Text,
}

impl Export<'_> {
    /// Gives the message to `write`, piece by piece.
    async fn pieces(&self, row: &Row, mut write: impl FnMut(&[u8]) -> io::Result<()>) -> Result<(), Trouble> {
        let message = self.store.open(self.tenant, row.blob).await?;
        if message.size() <= PIECE {
            // Small ones, which are nearly all, are checked against their checksum on the way.
            return Ok(write(&message.whole().await?)?);
        }
        let (mut at, mut end) = (0, message.header_len() + PIECE);
        while at < message.size() {
            let piece = message.range(at..end).await?;
            if piece.is_empty() {
                return Err(StoreError::Damaged("the message ends before its end".to_owned()).into());
            }
            at += piece.len() as u64;
            end = at + PIECE;
            write(&piece)?;
        }
        Ok(())
    }

    /// Writes the message to `temporary`, then gives the file its name and the message's date.
    async fn file(&self, row: &Row, temporary: &Path, path: &Path) -> Result<(), Trouble> {
        let mut file = File::create(temporary)?;
        let written = self.pieces(row, |piece| file.write_all(piece)).await;
        let placed = match written {
            Ok(()) => date(&file, row.internal_date).and_then(|()| fs::rename(temporary, path)),
            Err(trouble) => {
                let _ = fs::remove_file(temporary);
                return Err(trouble);
            }
        };
        Ok(placed?)
    }

    /// Notes what came of a message. A message that can't be read is said and does not end the export.
    fn note(&mut self, mailbox: &Mailbox, row: &Row, written: Result<(), Trouble>) -> io::Result<()> {
        match written {
            Ok(()) => {
                self.summary.messages += 1;
                self.summary.bytes += row.size;
            }
            Err(Trouble::Read(error)) => {
                self.summary.failed += 1;
                let message = say!(
                    self.text,
                    "export-message-failed",
                    mailbox = print::clean(&mailbox.name),
                    uid = row.uid.0,
                    cause = error.to_string()
                );
                self.progress.suspend(|| complain(self.text, &message));
            }
            Err(Trouble::Write(error)) => return Err(error),
        }
        self.progress.inc(row.size);
        Ok(())
    }

    fn skip(&mut self, row: &Row) {
        self.summary.skipped += 1;
        self.progress.inc(row.size);
    }
}

/// Sets the modification time, which Maildir readers take as the date of arrival.
fn date(file: &File, time: Timestamp) -> io::Result<()> {
    let distance = Duration::from_millis(time.0.unsigned_abs());
    let time = if time.0 < 0 { UNIX_EPOCH.checked_sub(distance) } else { UNIX_EPOCH.checked_add(distance) };
    file.set_times(FileTimes::new().set_modified(time.unwrap_or_else(SystemTime::now)))
}

#[cfg(test)]
mod tests;
