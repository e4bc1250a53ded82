//! Formats with one file for each message: Maildir++ and .eml files.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use pennypost_fold::Mailbox;
use pennypost_model::{FlagSet, Rid, SystemFlags};

use super::{Export, Trouble, folders};

/// Marks our files in a Maildir: behind the rid, in front of the size.
const MARK: &str = ".pennypost,S=";

impl Export<'_> {
    /// Writes a mailbox as a folder of the Maildir++.
    pub(super) async fn maildir(&mut self, mailbox: &Mailbox) -> Result<(), Trouble> {
        let folder = match folders::maildir(mailbox) {
            None => self.root.to_owned(),
            Some(name) => self.root.join(name),
        };
        for part in ["cur", "new", "tmp"] {
            fs::create_dir_all(folder.join(part))?;
        }
        if folder != self.root {
            // Says that this is a folder and no Maildir of its own (Maildir++).
            fs::File::create(folder.join("maildirfolder"))?;
        }
        let mut there = files_there(&folder)?;
        for row in mailbox.rows.iter() {
            let base = format!("{}.R{}{MARK}{}", row.internal_date.seconds(), row.rid, row.size);
            let name = format!("{base}:2,{}", flag_letters(&self.state.flags(row.flags)));
            let path = folder.join("cur").join(&name);
            if let Some(old) = there.remove(&row.rid)
                && fs::metadata(&old).is_ok_and(|found| found.is_file() && found.len() == row.size)
            {
                if old != path {
                    fs::rename(&old, &path)?;
                }
                self.skip(row);
                continue;
            }
            let written = self.file(row, &folder.join("tmp").join(&base), &path).await;
            self.note(mailbox, row, written)?;
        }
        Ok(())
    }

    /// Writes a mailbox as a folder of .eml files.
    pub(super) async fn eml(&mut self, mailbox: &Mailbox) -> Result<(), Trouble> {
        let folder = self.root.join(folders::nested(mailbox));
        fs::create_dir_all(&folder)?;
        for row in mailbox.rows.iter() {
            let path = folder.join(format!("{}.eml", row.uid));
            if fs::metadata(&path).is_ok_and(|found| found.is_file() && found.len() == row.size) {
                self.skip(row);
                continue;
            }
            let written = self.file(row, &folder.join(format!(".{}.part", row.uid)), &path).await;
            self.note(mailbox, row, written)?;
        }
        Ok(())
    }
}

/// Files that an earlier export has written, by the message. Their flags may differ from today's.
fn files_there(folder: &Path) -> io::Result<HashMap<Rid, PathBuf>> {
    let mut there = HashMap::new();
    for part in ["new", "cur"] {
        for entry in fs::read_dir(folder.join(part))? {
            let entry = entry?;
            let name = entry.file_name();
            if let Some(rid) = name.to_str().and_then(rid_of) {
                there.insert(rid, entry.path());
            }
        }
    }
    Ok(there)
}

fn rid_of(name: &str) -> Option<Rid> {
    let (front, _) = name.split_once(MARK)?;
    let (_, rid) = front.split_once(".R")?;
    rid.parse().ok().map(Rid)
}

/// The letters behind `:2,`, which stand in order.
fn flag_letters(flags: &FlagSet) -> String {
    let passed = flags.keywords.iter().any(|keyword| keyword.as_str().eq_ignore_ascii_case("$Forwarded"));
    let has = |flag| flags.system.contains(flag);
    let letters = [
        ('D', has(SystemFlags::DRAFT)),
        ('F', has(SystemFlags::FLAGGED)),
        ('P', passed),
        ('R', has(SystemFlags::ANSWERED)),
        ('S', has(SystemFlags::SEEN)),
        ('T', has(SystemFlags::DELETED)),
    ];
    letters.iter().filter(|(_, is_set)| *is_set).map(|(letter, _)| letter).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_are_letters_in_order() {
        let mut flags = FlagSet::default();
        for name in ["\\Deleted", "\\Seen", "$forwarded", "Work", "\\Answered", "\\Flagged", "\\Draft"] {
            assert!(flags.insert_named(name));
        }
        assert_eq!(flag_letters(&flags), "DFPRST");
        assert_eq!(flag_letters(&FlagSet::default()), "");
    }

    #[test]
    fn only_our_own_files_are_known() {
        assert_eq!(rid_of("1795219199.R65537.pennypost,S=12:2,S"), Some(Rid(65_537)));
        for other in ["1795219199.M1P2.host,S=12:2,S", "1.Rx.pennypost,S=1", ""] {
            assert_eq!(rid_of(other), None, "{other}");
        }
    }
}
