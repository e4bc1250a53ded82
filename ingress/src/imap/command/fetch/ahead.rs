//! Whole messages that others read while those before them are sent: where many are asked for by one command, one
//! processor reads and decompresses what another one writes to the socket.
//!
//! They are read by groups, so that handing them over costs little beside reading them, and only as long as there is memory
//! for them in the account's share.

use pennypost_fold::Row;
use pennypost_mailstore::StoreError;
use pennypost_mailstore::blobs::Message;
use pennypost_ports::PortError;

use super::{CHUNK, Opened, Task, open_at, opened};
use crate::imap::grammar::{FetchItem, SectionText};

/// Messages of a group at most.
const GROUP: usize = 8;
/// Bytes of a group's messages at most.
const GROUP_BYTES: u64 = CHUNK;
/// Groups that are read at once.
pub(super) const GROUPS: usize = 2;
/// Bytes of all that is read ahead: the groups, and the one that is being sent; as they came in, and as they are stored.
pub(super) const ROOM: usize = 2 * (GROUPS + 1) * GROUP_BYTES as usize;

/// A message with its position, and what came of opening it.
pub(super) type Read = (usize, Row, Option<Result<Opened, StoreError>>);

impl Task<'_> {
    /// Are so many messages asked for as they came in, that it is worth while to read them ahead?
    pub(super) fn reads_ahead(&self, count: usize) -> bool {
        let is_whole = |item: &FetchItem| {
            matches!(item, FetchItem::Section { section, partial: None, .. }
                if section.path.is_empty() && section.text == SectionText::Whole)
        };
        count >= 2 * GROUP && self.fetch.items.iter().any(is_whole)
    }
}

/// Neighbours that are read together; one that is too large is alone.
pub(super) fn groups(rows: Vec<(usize, Row)>) -> Vec<Vec<(usize, Row)>> {
    let mut groups: Vec<Vec<(usize, Row)>> = Vec::with_capacity(rows.len() / GROUP + 1);
    let mut bytes = 0;
    for (position, row) in rows {
        let fits = |group: &&mut Vec<(usize, Row)>| group.len() < GROUP && bytes + row.size <= GROUP_BYTES;
        match groups.last_mut().filter(fits) {
            Some(group) => {
                group.push((position, row));
                bytes += row.size;
            }
            None => {
                bytes = row.size;
                groups.push(vec![(position, row)]);
            }
        }
    }
    groups
}

/// Opens the messages of a group, and reads those that are not too large.
pub(super) async fn read(task: &Task<'_>, group: Vec<(usize, Row)>) -> Vec<Read> {
    let (store, tenant, needs_sidecar) = (task.store.clone(), task.account.tenant, task.needs_sidecar);
    if let [(position, row)] = *group {
        let opened = open_at(&store, tenant, needs_sidecar, &row).await;
        return vec![(position, row, Some(opened))];
    }
    // Where nothing has to be read, another thread would only be waited for.
    let kept = group.iter().map(|(_, row)| store.kept(tenant, row.blob)).collect::<Option<Vec<_>>>();
    if let Some(messages) = kept {
        let mut all = Vec::with_capacity(group.len());
        for ((position, row), message) in group.into_iter().zip(messages) {
            all.push((position, row, Some(whole(message, needs_sidecar).await)));
        }
        return all;
    }
    let rows = group.clone();
    let reading = tokio::spawn(async move {
        let mut all = Vec::with_capacity(group.len());
        for (position, row) in group {
            let read = match store.open_kept(tenant, row.blob).await {
                Ok(message) => whole(message, needs_sidecar).await,
                Err(error) => Err(error),
            };
            all.push((position, row, Some(read)));
        }
        all
    });
    let cut_off = |error: tokio::task::JoinError| {
        let cause = error.to_string();
        StoreError::from(PortError::Unavailable { port: "objects", cause })
    };
    reading.await.unwrap_or_else(|error| {
        let error = cut_off(error);
        rows.into_iter().map(|(position, row)| (position, row, Some(Err(error.clone())))).collect()
    })
}

async fn whole(message: Message, needs_sidecar: bool) -> Result<Opened, StoreError> {
    let mut opened = opened(message, needs_sidecar).await?;
    // What the row says is what it was; the message itself decides.
    if opened.message.size() <= GROUP_BYTES {
        opened.whole = Some(opened.message.shared().await?);
    }
    Ok(opened)
}
