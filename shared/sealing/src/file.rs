//! Keys in a file, which is made when something is sealed for the first time.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use async_trait::async_trait;
use pennypost_ports::{PortError, PortResult, Secrets};
use ring::rand::{SecureRandom, SystemRandom};
use zeroize::Zeroizing;

use crate::Keyring;

/// Bytes of a file of keys at most.
const MAX_FILE: u64 = 16 * 1024;

/// Keys in a file, read when they are needed, and made when there are none and something is to be sealed.
pub struct KeyFile {
    path: PathBuf,
    ring: OnceLock<Keyring>,
}

impl KeyFile {
    /// Keys at that path. Nothing is read yet.
    #[must_use]
    pub fn at(path: impl Into<PathBuf>) -> KeyFile {
        KeyFile { path: path.into(), ring: OnceLock::new() }
    }

    fn unavailable(&self, cause: &dyn std::fmt::Display) -> PortError {
        let cause = format!("{}: {cause}", self.path.display());
        PortError::Unavailable { port: "secrets", cause }
    }

    /// The keys that are there.
    fn there(&self) -> PortResult<Option<&Keyring>> {
        if let Some(ring) = self.ring.get() {
            return Ok(Some(ring));
        }
        let file = match File::open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(self.unavailable(&error)),
        };
        let mut text = Zeroizing::new(String::new());
        file.take(MAX_FILE).read_to_string(&mut text).map_err(|error| self.unavailable(&error))?;
        let ring = Keyring::parse(&text).map_err(|error| PortError::Damaged {
            port: "secrets",
            cause: format!("{}: {error}", self.path.display()),
        })?;
        Ok(Some(self.ring.get_or_init(|| ring)))
    }

    /// The keys that are there, or a new one.
    fn there_or_made(&self) -> PortResult<&Keyring> {
        if let Some(ring) = self.there()? {
            return Ok(ring);
        }
        self.make().map_err(|error| self.unavailable(&error))?;
        self.there()?.ok_or_else(|| self.unavailable(&"gone as soon as it was made"))
    }

    /// Makes the file, unless another process does at the same time: written and on disk under another name before it has
    /// its own.
    fn make(&self) -> std::io::Result<()> {
        let key = Keyring::fresh().ok_or_else(|| std::io::Error::other("no randomness"))?;
        let directory = self.path.parent().filter(|path| !path.as_os_str().is_empty());
        let directory = directory.unwrap_or(Path::new("."));
        let name = self.path.file_name().unwrap_or_default().to_string_lossy();
        let mut random = [0; 8];
        SystemRandom::new().fill(&mut random).map_err(|_| std::io::Error::other("no randomness"))?;
        let draft = directory.join(format!(".{name}.{:016x}", u64::from_ne_bytes(random)));
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
        let text = Zeroizing::new(format!("{}\n", *key));
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        // A link is refused where something has the name already; a renaming would write over it.
        let linked = std::fs::hard_link(&draft, &self.path);
        std::fs::remove_file(&draft)?;
        match linked {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            other => other?,
        }
        File::open(directory)?.sync_all()
    }
}

#[async_trait]
impl Secrets for KeyFile {
    async fn seal(&self, context: &str, secret: &[u8]) -> PortResult<Vec<u8>> {
        self.there_or_made()?.seal_now(context, secret)
    }

    async fn open(&self, context: &str, sealed: &[u8]) -> PortResult<Vec<u8>> {
        let missing =
            || PortError::NotFound { port: "secrets", what: format!("file {}", self.path.display()) };
        self.there()?.ok_or_else(missing)?.open_now(context, sealed)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[tokio::test]
    async fn the_file_is_made_once_for_its_owner_and_kept() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("sealing.keys");
        let missing = KeyFile::at(&path).open("here", b"x").await;
        assert!(matches!(missing, Err(PortError::NotFound { .. })), "{missing:?}");
        assert!(!path.exists(), "whoever only opens makes no key");
        let (one, other) = (KeyFile::at(&path), KeyFile::at(&path));
        let sealed = one.seal("here", b"a secret").await.expect("sealed");
        // Another process, which has found no file a moment ago.
        other.make().expect("there is one already");
        assert_eq!(other.open("here", &sealed).await, Ok(b"a secret".to_vec()));
        let mode = std::fs::metadata(&path).expect("a file").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let names = std::fs::read_dir(dir.path()).expect("a folder").count();
        assert_eq!(names, 1, "no draft is left");
    }

    #[tokio::test]
    async fn a_damaged_file_is_told_and_never_written_over() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("sealing.keys");
        std::fs::write(&path, "no key").expect("written");
        let refused = KeyFile::at(&path).seal("here", b"a secret").await;
        assert!(matches!(refused, Err(PortError::Damaged { .. })), "{refused:?}");
        assert_eq!(std::fs::read(&path).expect("read"), b"no key");
    }
}
