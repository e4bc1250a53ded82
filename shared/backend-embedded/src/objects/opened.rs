//! Object files that were read lately, kept open: whoever reads many letters of one pack finds it once.
//!
//! A name never moves: it leads to its file until the file is deleted or another one is renamed over it, and a file
//! without a name has no links left. So an open file is used only as long as it has one, whichever process took its name
//! away. What is deleted or replaced here is closed at once, so that its room on the disk is free; of what another process
//! deletes, the room of [`MOST`] files at most stays taken until others are read.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

/// Files that are kept open.
const MOST: usize = 64;

#[derive(Default)]
pub(super) struct OpenedFiles(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    files: HashMap<String, Opened>,
    /// Counts the times that files were asked for.
    asked: u64,
}

struct Opened {
    file: Arc<File>,
    /// When it was last asked for, as a count.
    asked: u64,
}

impl OpenedFiles {
    /// The file of that name, which lies at `path`.
    pub(super) fn open(&self, name: &str, path: impl FnOnce() -> PathBuf) -> io::Result<Arc<File>> {
        if let Some(file) = self.known(name) {
            if file.metadata()?.nlink() > 0 {
                return Ok(file);
            }
            self.forget(name);
        }
        let file = Arc::new(open(&path())?);
        self.keep(name, &file);
        Ok(file)
    }

    /// Closes it, as soon as nobody reads from it any more.
    pub(super) fn forget(&self, name: &str) {
        let forgotten = self.0.lock().files.remove(name);
        drop(forgotten);
    }

    fn known(&self, name: &str) -> Option<Arc<File>> {
        let mut kept = self.0.lock();
        kept.asked += 1;
        let asked = kept.asked;
        let opened = kept.files.get_mut(name)?;
        opened.asked = asked;
        Some(Arc::clone(&opened.file))
    }

    fn keep(&self, name: &str, file: &Arc<File>) {
        let mut kept = self.0.lock();
        let asked = kept.asked;
        if kept.files.len() >= MOST
            && let Some(oldest) = kept.files.iter().min_by_key(|(_, opened)| opened.asked)
        {
            let oldest = oldest.0.clone();
            kept.files.remove(&oldest);
        }
        kept.files.insert(name.to_owned(), Opened { file: Arc::clone(file), asked });
    }
}

fn open(path: &Path) -> io::Result<File> {
    let file = File::open(path)?;
    if file.metadata()?.is_file() { Ok(file) } else { Err(io::ErrorKind::NotFound.into()) }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::FileExt;

    use super::*;

    fn read(opened: &OpenedFiles, directory: &Path, name: &str) -> Option<String> {
        let file = opened.open(name, || directory.join(name)).ok()?;
        let mut bytes = [0; 16];
        let count = file.read_at(&mut bytes, 0).ok()?;
        Some(String::from_utf8_lossy(&bytes[..count]).into_owned())
    }

    #[test]
    fn a_file_that_others_take_away_or_replace_is_not_read_any_more() {
        let directory = tempfile::tempdir().expect("directory");
        let path = |name: &str| directory.path().join(name);
        let opened = OpenedFiles::default();
        assert_eq!(read(&opened, directory.path(), "a"), None);
        fs::write(path("a"), "one").expect("write");
        for _ in 0..2 {
            assert_eq!(read(&opened, directory.path(), "a").as_deref(), Some("one"));
        }
        fs::write(path("b"), "two").expect("write");
        fs::rename(path("b"), path("a")).expect("rename");
        assert_eq!(read(&opened, directory.path(), "a").as_deref(), Some("two"));
        fs::remove_file(path("a")).expect("remove");
        assert_eq!(read(&opened, directory.path(), "a"), None);
        fs::create_dir(path("c")).expect("directory");
        assert_eq!(read(&opened, directory.path(), "c"), None);
    }

    #[test]
    fn few_files_are_kept_open_and_none_that_was_deleted_here() {
        let directory = tempfile::tempdir().expect("directory");
        let opened = OpenedFiles::default();
        for number in 0..3 * MOST {
            let name = number.to_string();
            fs::write(directory.path().join(&name), &name).expect("write");
            assert_eq!(read(&opened, directory.path(), &name), Some(name));
            // The one that is always asked for stays.
            assert_eq!(read(&opened, directory.path(), "0").as_deref(), Some("0"));
        }
        let names = |opened: &OpenedFiles| opened.0.lock().files.keys().cloned().collect::<Vec<_>>();
        assert_eq!(names(&opened).len(), MOST);
        assert!(names(&opened).contains(&"0".to_owned()));
        opened.forget("0");
        assert!(!names(&opened).contains(&"0".to_owned()));
    }
}
