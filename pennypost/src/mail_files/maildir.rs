//! Maildir and Maildir++: one file for each message, flags in its name, subfolders as `.Name.Sub`.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use pennypost_model::{FlagSet, SystemFlags};

/// A message of a Maildir.
pub struct Source {
    pub path: PathBuf,
    pub mailbox: Option<String>,
    pub flags: FlagSet,
}

/// All messages of a Maildir and its subfolders, in a stable order.
pub fn files(root: &Path) -> Vec<Result<Source, (String, io::Error)>> {
    let mut found = messages(root, None);
    let mut subfolders: Vec<(String, PathBuf)> = Vec::new();
    if let Ok(entries) = fs::read_dir(root) {
        for entry in entries.flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if let Some(name) = name.strip_prefix('.')
                && entry.path().join("cur").is_dir()
            {
                if entry.file_type().is_ok_and(|kind| kind.is_symlink()) {
                    found.push(Err((entry.path().display().to_string(), super::link_to_folder())));
                    continue;
                }
                subfolders.push((mailbox_name(name), entry.path()));
            }
        }
    }
    subfolders.sort();
    for (mailbox, path) in subfolders {
        found.extend(messages(&path, Some(&mailbox)));
    }
    found
}

fn messages(folder: &Path, mailbox: Option<&str>) -> Vec<Result<Source, (String, io::Error)>> {
    let mut found = Vec::new();
    for part in ["cur", "new"] {
        let path = folder.join(part);
        let entries = match fs::read_dir(&path).and_then(Iterator::collect::<io::Result<Vec<_>>>) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => {
                found.push(Err((path.display().to_string(), error)));
                continue;
            }
        };
        let mut paths: Vec<PathBuf> =
            entries.iter().map(fs::DirEntry::path).filter(|path| !path.is_dir()).collect();
        paths.sort();
        for path in paths {
            let flags = path.file_name().map(|name| flags(&name.to_string_lossy())).unwrap_or_default();
            found.push(Ok(Source { path, mailbox: mailbox.map(str::to_owned), flags }));
        }
    }
    found
}

/// The flags behind `:2,` in a file name.
fn flags(name: &str) -> FlagSet {
    let letters = name.rsplit_once(":2,").or_else(|| name.rsplit_once("!2,")).map_or("", |(_, flags)| flags);
    let system = letters.chars().map(|letter| match letter {
        'S' => SystemFlags::SEEN,
        'R' => SystemFlags::ANSWERED,
        'F' => SystemFlags::FLAGGED,
        'T' => SystemFlags::DELETED,
        'D' => SystemFlags::DRAFT,
        _ => SystemFlags::default(),
    });
    FlagSet::system(system.fold(SystemFlags::default(), SystemFlags::union))
}

/// `Work.2026` is `Work/2026`; other servers write names beyond ASCII in modified UTF-7, and Dovecot's listescape
/// and our own export write a dot or backslash within a level as `\2e` or `\5c`.
fn mailbox_name(folder: &str) -> String {
    let decoded = pennypost_ingress::imap::grammar::utf7::decode(folder.as_bytes());
    decoded.unwrap_or_else(|| folder.to_owned()).replace('.', "/").replace("\\2e", ".").replace("\\5c", "\\")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_stand_in_the_name() {
        let seen_answered = SystemFlags::SEEN.union(SystemFlags::ANSWERED);
        assert_eq!(flags("1.M2P3.host,S=4:2,RS").system, seen_answered);
        assert!(flags("1.M2P3.host").is_empty());
    }
}
