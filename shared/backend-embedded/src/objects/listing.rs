//! Listing a tree of files in the order of their full names, with bounded memory.

use std::collections::BinaryHeap;
use std::fs;
use std::io;
use std::path::Path;
use std::time::UNIX_EPOCH;

use pennypost_model::Timestamp;
use pennypost_ports::ObjectInfo;

use crate::failure::Failure;

/// Entries of one directory that are held at a time.
const WINDOW: usize = 1024;

/// An entry in the order of full names: a directory counts with its `/`, because that is what its objects'
/// names go on with.
fn sort_name(name: String, is_directory: bool) -> String {
    if is_directory { name + "/" } else { name }
}

/// Appends to `found` the objects under `prefix` (empty, or ending with `/`) after `after`, up to `limit`.
pub(super) fn list(
    root: &Path,
    prefix: &str,
    after: Option<&str>,
    limit: usize,
    found: &mut Vec<ObjectInfo>,
) -> Result<(), Failure> {
    // Sort name of the last entry of this directory that was dealt with.
    let mut done: Option<String> = None;
    while found.len() < limit {
        let window = smallest(&root.join(prefix), |name| {
            let full = format!("{prefix}{name}");
            let is_new = done.as_ref().is_none_or(|done| name > done.as_str());
            // A directory still matters when `after` lies inside it.
            let matters = after.is_none_or(|after| {
                full.as_str() > after || (full.ends_with('/') && after.starts_with(&full))
            });
            let is_reserved = prefix.is_empty() && name.starts_with('~');
            is_new && matters && !is_reserved
        })?;
        let full_window = window.len() == WINDOW;
        for name in window {
            if found.len() >= limit {
                return Ok(());
            }
            let full = format!("{prefix}{name}");
            if name.ends_with('/') {
                list(root, &full, after, limit, found)?;
            } else if let Some(info) = info(root, full)? {
                found.push(info);
            }
            done = Some(name);
        }
        if !full_window {
            return Ok(());
        }
    }
    Ok(())
}

/// The smallest sort names in `directory` that `wanted` accepts, ascending, [`WINDOW`] at most.
fn smallest(directory: &Path, wanted: impl Fn(&str) -> bool) -> Result<Vec<String>, Failure> {
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(Vec::new());
        }
        Err(error) => return Err(error.into()),
    };
    let mut heap = BinaryHeap::new();
    for entry in entries {
        let entry = entry?;
        // What is not text can't be an object of ours.
        let Ok(name) = entry.file_name().into_string() else { continue };
        let name = sort_name(name, entry.file_type()?.is_dir());
        if !wanted(&name) {
            continue;
        }
        if heap.len() < WINDOW {
            heap.push(name);
        } else if let Some(mut largest) = heap.peek_mut()
            && name < *largest
        {
            *largest = name;
        }
    }
    Ok(heap.into_sorted_vec())
}

fn info(root: &Path, name: String) -> Result<Option<ObjectInfo>, Failure> {
    match fs::metadata(root.join(&name)) {
        Ok(metadata) => {
            let modified = metadata.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default();
            let modified = Timestamp(i64::try_from(modified.as_millis()).unwrap_or(i64::MAX));
            Ok(Some(ObjectInfo { name, size: metadata.len(), modified }))
        }
        // Deleted while we were listing.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error.into()),
    }
}
