//! How many files the process may have open, and how many connections that allows.

use rustix::process::{Resource, getrlimit, setrlimit};

/// Files that are not connections of mail programs: databases, objects being read and written, HTTP, DNS.
const RESERVE: u64 = 384;
/// Connections that are allowed however few files may be open.
const LEAST: u64 = 16;

/// Asks the system for as many open files as it gives, and says how many connections of those wanted it can
/// serve. With fewer files than connections, everybody would be turned away by errors instead of by a reply.
pub(crate) fn fitting(wanted: usize) -> usize {
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        let raised = rustix::process::Rlimit { current: limit.maximum, ..limit };
        match setrlimit(Resource::Nofile, raised) {
            Ok(()) => limit = raised,
            Err(error) => tracing::warn!(%error, "the limit of open files cannot be raised"),
        }
    }
    let fitting = connections(wanted, limit.current);
    if fitting < wanted {
        tracing::warn!(
            open_files = limit.current,
            wanted,
            connections = fitting,
            "fewer connections than adapter.limits.connections: raise the limit of open files"
        );
    }
    fitting
}

fn connections(wanted: usize, files: Option<u64>) -> usize {
    let room = files.map_or(u64::MAX, |files| files.saturating_sub(RESERVE).max(LEAST));
    wanted.min(usize::try_from(room).unwrap_or(usize::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_leave_files_for_the_rest() {
        for (wanted, files, fitting) in [
            (4096, None, 4096),
            (4096, Some(1_048_576), 4096),
            (4096, Some(4096 + RESERVE), 4096),
            (4096, Some(1024), 1024 - 384),
            (4096, Some(20), 16),
            (8, Some(20), 8),
        ] {
            assert_eq!(connections(wanted, files), fitting, "{wanted} {files:?}");
        }
    }

    #[test]
    fn the_limit_is_raised() {
        assert_eq!(fitting(1), 1);
        let limit = getrlimit(Resource::Nofile);
        assert_eq!(limit.current, limit.maximum);
    }
}
