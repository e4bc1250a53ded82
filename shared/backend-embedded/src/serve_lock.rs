//! Only one process at a time is the server of a directory.

use std::fs::{File, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;

use crate::{Error, permissions};

/// Holds the directory as its server until it is dropped or the process dies.
pub(crate) struct ServeLock {
    _file: File,
}

impl ServeLock {
    pub(crate) fn take(path: &Path) -> Result<ServeLock, Error> {
        let failed = |error: std::io::Error| Error::of_file("serve.lock", &error);
        let mut file = permissions::private_file(path).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut pid = String::new();
                // Only for the message: an unreadable pid is no reason to say something else.
                let _ = (&mut file).take(20).read_to_string(&mut pid);
                return Err(Error::AlreadyServed { pid: pid.trim().parse().ok() });
            }
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        file.set_len(0).map_err(failed)?;
        file.seek(SeekFrom::Start(0)).map_err(failed)?;
        writeln!(file, "{}", std::process::id()).map_err(failed)?;
        Ok(ServeLock { _file: file })
    }
}
