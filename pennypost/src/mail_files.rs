//! Reading mail from files: single messages, folders of .eml files, mbox files, Maildirs. One message at a time
//! is held in memory, whatever the size of the whole.

mod maildir;
mod mbox;

use std::fs::{self, File};
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use pennypost_model::{FlagSet, Timestamp};

/// A message larger than this is not read.
pub const MAX_MESSAGE: u64 = 256 << 20;

/// A message in a file.
#[derive(Debug)]
pub struct FoundMessage {
    /// Where it was found, for error messages.
    pub place: String,
    /// The mailbox that its folder stands for; `None` for the one asked for.
    pub mailbox: Option<String>,
    /// Flags that the format carries.
    pub flags: FlagSet,
    /// When it arrived, if the format says so.
    pub received: Option<Timestamp>,
    /// Its bytes.
    pub raw: Vec<u8>,
}

/// What kind of mail a path holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// One message in one file.
    Message,
    /// A folder of such files, and folders below it.
    Folder,
    /// An mbox file (mboxo or mboxrd).
    Mbox,
    /// A Maildir or Maildir++.
    Maildir,
}

/// What the path holds, judged by its shape.
///
/// # Errors
/// When it can't be looked at, or is neither a folder nor a regular file.
pub fn recognise(path: &Path) -> io::Result<Format> {
    if fs::metadata(path)?.is_dir() {
        let is_maildir = path.join("cur").is_dir() && path.join("new").is_dir();
        return Ok(if is_maildir { Format::Maildir } else { Format::Folder });
    }
    let mut start = Vec::new();
    open_regular(path)?.take(5).read_to_end(&mut start)?;
    Ok(if start == b"From " { Format::Mbox } else { Format::Message })
}

/// Opens a file. Devices and pipes may have no end, or wait for a writer for ever.
fn open_regular(path: &Path) -> io::Result<File> {
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
    }
    File::open(path)
}

/// Bytes of all the mail under a path, for progress: what can't be looked at now counts nothing.
#[must_use]
pub fn total_bytes(path: &Path) -> u64 {
    let mut total = 0;
    let Ok(root) = fs::metadata(path) else { return 0 };
    if !root.is_dir() {
        return root.len();
    }
    let mut waiting = vec![path.to_owned()];
    while let Some(folder) = waiting.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => waiting.push(entry.path()),
                _ => {
                    let file = fs::metadata(entry.path()).ok().filter(fs::Metadata::is_file);
                    total += file.map_or(0, |file| file.len());
                }
            }
        }
    }
    total
}

/// Calls `each` with every message under `path`, in a stable order; what can't be read is given as an error, and
/// the rest goes on. `each` ends it all by returning an error.
///
/// # Errors
/// What `each` returned.
pub async fn for_each<E>(
    path: &Path,
    format: Format,
    mut each: impl AsyncFnMut(Result<FoundMessage, (String, io::Error)>) -> Result<(), E>,
) -> Result<(), E> {
    match format {
        Format::Message => each(read_mail(path, None)).await,
        Format::Mbox => mbox_file(path, None, &mut each).await,
        Format::Maildir => {
            for source in maildir::files(path) {
                let found = source.and_then(|source| {
                    let message = read_message(&source.path, source.mailbox)?;
                    let received = message.received.or_else(|| modified(&source.path).ok());
                    Ok(FoundMessage { flags: source.flags, received, ..message })
                });
                each(found).await?;
            }
            Ok(())
        }
        Format::Folder => {
            for file in files_below(path) {
                match file {
                    Ok(file) if recognise(&file).is_ok_and(|format| format == Format::Mbox) => {
                        mbox_file(&file, mailbox_of(path, &file), &mut each).await?;
                    }
                    Ok(file) => each(read_mail(&file, mailbox_of(path, &file))).await?,
                    Err(error) => each(Err(error)).await?,
                }
            }
            Ok(())
        }
    }
}

async fn mbox_file<E>(
    path: &Path,
    mailbox: Option<String>,
    each: &mut impl AsyncFnMut(Result<FoundMessage, (String, io::Error)>) -> Result<(), E>,
) -> Result<(), E> {
    let shown = path.display().to_string();
    let file = match open_regular(path) {
        Ok(file) => file,
        Err(error) => return each(Err((shown, error))).await,
    };
    for (number, message) in (1..).zip(mbox::Messages::new(BufReader::with_capacity(1 << 16, file))) {
        let place = format!("{shown}, message {number}");
        let found = match message {
            Ok((received, raw)) => {
                let (mailbox, flags) = (mailbox.clone(), FlagSet::default());
                Ok(FoundMessage { place, mailbox, flags, received, raw })
            }
            Err(error) => Err((place, error)),
        };
        each(found).await?;
    }
    Ok(())
}

/// Reads a file that is mail because of where it is or what it is called.
fn read_message(path: &Path, mailbox: Option<String>) -> Result<FoundMessage, (String, io::Error)> {
    let place = path.display().to_string();
    let read = || {
        let mut raw = Vec::new();
        open_regular(path)?.take(MAX_MESSAGE + 1).read_to_end(&mut raw)?;
        if raw.len() as u64 > MAX_MESSAGE {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, "larger than 256 MB"));
        }
        Ok(raw)
    };
    let raw = read().map_err(|error| (place.clone(), error))?;
    Ok(FoundMessage { place, mailbox, flags: FlagSet::default(), received: None, raw })
}

/// Reads a file that may be anything: mail by its name, or by its header.
fn read_mail(path: &Path, mailbox: Option<String>) -> Result<FoundMessage, (String, io::Error)> {
    let found = read_message(path, mailbox)?;
    let is_named = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("eml"));
    if is_named || has_mail_header(&found.raw) {
        return Ok(found);
    }
    let cause = "no mail: there is no field of a mail header, and the name does not end in .eml";
    Err((found.place, io::Error::new(io::ErrorKind::InvalidData, cause)))
}

/// Is there a field that mail has? Many other files have lines with a colon.
fn has_mail_header(raw: &[u8]) -> bool {
    const FIELDS: [&str; 12] = [
        "From",
        "To",
        "Cc",
        "Bcc",
        "Subject",
        "Date",
        "Message-ID",
        "Sender",
        "Received",
        "Return-Path",
        "MIME-Version",
        "Content-Type",
    ];
    let header = &raw[..pennypost_mime::header_end(raw)];
    pennypost_mime::header_fields(header).any(|(name, _, field)| {
        let has_colon = header[field.start as usize..field.end as usize].get(name.len()..);
        let has_colon = has_colon.is_some_and(|rest| rest.trim_ascii_start().starts_with(b":"));
        has_colon && FIELDS.iter().any(|known| name.eq_ignore_ascii_case(known.as_bytes()))
    })
}

/// Why a link to a folder is passed over: it may lead to where we are, or out of the mail.
fn link_to_folder() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, "a link to a folder is not followed")
}

/// Every file below a folder, hidden ones left out, in order of their names.
fn files_below(folder: &Path) -> Vec<Result<PathBuf, (String, io::Error)>> {
    let mut files = Vec::new();
    let mut waiting = vec![folder.to_owned()];
    while let Some(path) = waiting.pop() {
        let entries = fs::read_dir(&path).and_then(Iterator::collect::<io::Result<Vec<_>>>);
        match entries {
            Ok(entries) => {
                let shown = |entry: &fs::DirEntry| !entry.file_name().as_encoded_bytes().starts_with(b".");
                for entry in entries.into_iter().filter(shown) {
                    let path = entry.path();
                    match entry.file_type() {
                        Ok(kind) if kind.is_dir() => waiting.push(path),
                        Ok(kind) if kind.is_symlink() && path.is_dir() => {
                            files.push(Err((path.display().to_string(), link_to_folder())));
                        }
                        // What is no regular file is found out, and said, when it is read.
                        _ => files.push(Ok(path)),
                    }
                }
            }
            Err(error) => files.push(Err((path.display().to_string(), error))),
        }
    }
    files.sort_by(|a, b| a.as_ref().ok().cmp(&b.as_ref().ok()));
    files
}

/// The mailbox that a file's folder stands for: its path below the folder given.
fn mailbox_of(root: &Path, file: &Path) -> Option<String> {
    let below = file.parent()?.strip_prefix(root).ok()?;
    let levels: Vec<_> = below.iter().map(|level| unescaped(&level.to_string_lossy())).collect();
    (!levels.is_empty()).then(|| levels.join("/"))
}

/// A level as our own export wrote it: `%` and two hex digits for what can't stand in a file name. No mailbox
/// has a `%` in its name.
fn unescaped(level: &str) -> String {
    let mut bytes = Vec::with_capacity(level.len());
    let mut rest = level.as_bytes();
    while let Some((first, behind)) = rest.split_first() {
        let escaped = behind.get(..2).filter(|hex| *first == b'%' && hex.iter().all(u8::is_ascii_hexdigit));
        let escaped = escaped.and_then(|hex| u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok());
        bytes.push(escaped.unwrap_or(*first));
        rest = if escaped.is_some() { &behind[2..] } else { behind };
    }
    String::from_utf8(bytes).unwrap_or_else(|_| level.to_owned())
}

fn modified(path: &Path) -> io::Result<Timestamp> {
    let time = fs::metadata(path)?.modified()?;
    let since = time.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    Ok(Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX)))
}

#[cfg(test)]
mod tests;
