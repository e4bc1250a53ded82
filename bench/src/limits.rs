//! How many connections this process can hold at once.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::BenchError;

/// Files that are not connections.
const RESERVE: u64 = 64;
/// Connections from one address: well below the 28,000 ports that Linux gives by default.
const PER_ADDRESS: usize = 10_000;

/// Raises the limit of open files as far as it goes; an error that says what to do if that is not far enough.
pub(crate) fn allow_connections(wanted: usize) -> Result<(), BenchError> {
    let limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
    }
    let files = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    if files.saturating_sub(RESERVE) < wanted as u64 {
        return Err(BenchError::Limit(format!(
            "{wanted} connections need as many open files, {files} are allowed: raise the hard limit (ulimit -Hn)"
        )));
    }
    Ok(())
}

/// From which loopback address connection number so-and-so comes.
pub(crate) fn source(connection: usize) -> u8 {
    u8::try_from(connection / PER_ADDRESS).unwrap_or(u8::MAX).min(200)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_opened_is_said_beforehand() {
        allow_connections(1).expect("one is always possible");
        assert_eq!((source(0), source(9_999), source(10_000)), (0, 0, 1));
    }
}
