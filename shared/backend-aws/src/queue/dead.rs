//! Dead letters: items in one partition of the control table, under ids that follow from the messages'.
//!
//! A message becomes an item first and is deleted then: if the process dies between, it is in both places, and whoever
//! is handed it again gives it up again, under the same id. What SQS itself took out of a queue, because its handler
//! never came to an end, lies in `<queue>-dead` and becomes such an item when letters are listed.

use pennypost_model::codec::{self, Versioned};
use pennypost_model::event::{Event, Stage};
use pennypost_model::{EventId, TenantId, Timestamp};
use pennypost_ports::{
    Consistency, Control, ControlKey, DeadLetter, DeadLetterId, Expected, Item, PortError, PortResult, Put,
};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

const PORT: &str = "queue";
const PARTITION: &str = "dead-letters";
/// Bytes of a cause that are kept.
const MAX_CAUSE: usize = 4096;
/// Whoever replays a letter has it for himself for so long; one who died meanwhile leaves it to others.
const CLAIM_MILLIS: i64 = 120_000;
/// Items that are read at once: their bodies are as large as events may be.
const PAGE: usize = 100;

/// A dead letter as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Stored {
    stage: Stage,
    tenant: TenantId,
    died: Timestamp,
    tries: u32,
    cause: String,
    body: Vec<u8>,
    /// When somebody last began to replay it.
    claimed: Option<Timestamp>,
}

impl Versioned for Stored {
    const KIND: &'static str = "dead letter";
}

/// What is given up.
pub(super) struct Burial<'a> {
    pub stage: Stage,
    /// The message's id in SQS, and when it was sent.
    pub message: &'a str,
    /// Which event of the message, where it has several.
    pub event: Option<usize>,
    pub sent: Timestamp,
    pub tenant: TenantId,
    pub tries: u32,
    pub cause: &'a str,
    pub body: Vec<u8>,
}

/// The letter's id: the same for the same message, whoever gives it up.
fn id_of(stage: Stage, message: &str, event: Option<usize>, sent: Timestamp) -> EventId {
    let mut hash = Sha256::new().chain_update(stage.queue()).chain_update([0]).chain_update(message);
    if let Some(event) = event {
        hash = hash.chain_update([0]).chain_update(event.to_string());
    }
    let digest = hash.finalize();
    let mut random = [0; 16];
    random.copy_from_slice(&digest[..16]);
    EventId::from_parts(sent, u128::from_be_bytes(random) >> 48)
}

fn key(id: DeadLetterId) -> ControlKey {
    ControlKey::new(PARTITION, id.0.to_string())
}

/// Whose an event is, where the queue does not tell.
pub(super) fn tenant_of(body: &[u8]) -> TenantId {
    codec::decode::<Event>(body).map(|event| event.tenant()).unwrap_or_default()
}

/// Writes the letter, durably; `Ok` also if it is there already.
pub(super) async fn bury(control: &dyn Control, burial: Burial<'_>, now: Timestamp) -> PortResult<()> {
    let Burial { stage, message, event, sent, tenant, tries, cause, body } = burial;
    let id = DeadLetterId(id_of(stage, message, event, sent));
    let cause = cause[..cause.floor_char_boundary(MAX_CAUSE)].to_owned();
    let stored = Stored { stage, tenant, died: now.max(sent), tries, cause, body, claimed: None };
    control.put_if(&key(id), &codec::encode(&stored), Expected::Absent).await.map(drop)
}

/// Letters after `after`, ascending, at most `limit`.
pub(super) async fn list(
    control: &dyn Control,
    after: Option<DeadLetterId>,
    limit: usize,
) -> PortResult<Vec<DeadLetter>> {
    let mut letters = Vec::new();
    let mut after = after.map(|id| id.0.to_string());
    while letters.len() < limit {
        let wanted = PAGE.min(limit - letters.len());
        let page = control.query(PARTITION, "", after.as_deref(), wanted).await?;
        let is_last = page.len() < wanted;
        for (sort, item) in page {
            letters.push(letter(&sort, &item)?);
            after = Some(sort);
        }
        if is_last {
            break;
        }
    }
    Ok(letters)
}

fn letter(sort: &str, item: &Item) -> PortResult<DeadLetter> {
    let damaged =
        |cause: String| PortError::Damaged { port: PORT, cause: format!("dead letter {sort}: {cause}") };
    let id: EventId = sort.parse().map_err(|_| damaged("its key is no id".to_owned()))?;
    let stored: Stored = codec::decode(&item.value).map_err(|error| damaged(error.to_string()))?;
    let Stored { stage, tenant, died, tries, cause, body, .. } = stored;
    Ok(DeadLetter { id: DeadLetterId(id), stage, tenant, died, tries, cause, body })
}

/// A letter that one caller has for himself.
pub(super) struct Claim {
    pub stage: Stage,
    pub tenant: TenantId,
    pub body: Vec<u8>,
    key: ControlKey,
    version: u64,
    unclaimed: Vec<u8>,
}

/// Takes a letter for replaying it; `None` if there is none or somebody else is replaying it.
pub(super) async fn claim(
    control: &dyn Control,
    id: DeadLetterId,
    now: Timestamp,
) -> PortResult<Option<Claim>> {
    let key = key(id);
    let Some((item, mut stored)) = free(control, &key, now).await? else { return Ok(None) };
    stored.claimed = Some(now);
    match control.put_if(&key, &codec::encode(&stored), Expected::Version(item.version)).await? {
        Put::Stored(version) => {
            let Stored { stage, tenant, body, .. } = stored;
            Ok(Some(Claim { stage, tenant, body, key, version, unclaimed: item.value }))
        }
        Put::Conflict(_) => Ok(None),
    }
}

/// The letter was replayed: it goes.
pub(super) async fn end_claim(control: &dyn Control, claim: &Claim) -> PortResult<()> {
    control.delete_if(&claim.key, claim.version).await.map(drop)
}

/// The letter could not be replayed: it stays.
pub(super) async fn give_back(control: &dyn Control, claim: &Claim) {
    let put = control.put_if(&claim.key, &claim.unclaimed, Expected::Version(claim.version)).await;
    if let Err(error) = put {
        tracing::warn!(%error, "a dead letter can be replayed again only in two minutes");
    }
}

/// Ends a letter; `false` if there is none or somebody is replaying it.
pub(super) async fn discard(control: &dyn Control, id: DeadLetterId, now: Timestamp) -> PortResult<bool> {
    let key = key(id);
    match free(control, &key, now).await? {
        Some((item, _)) => control.delete_if(&key, item.version).await,
        None => Ok(false),
    }
}

/// The letter, if nobody is replaying it.
async fn free(control: &dyn Control, key: &ControlKey, now: Timestamp) -> PortResult<Option<(Item, Stored)>> {
    let Some(item) = control.get(key, Consistency::Strong).await? else { return Ok(None) };
    let stored: Stored = codec::decode(&item.value).map_err(|error| {
        let cause = format!("dead letter {}: {error}", key.sort);
        PortError::Damaged { port: PORT, cause }
    })?;
    let is_claimed = stored.claimed.is_some_and(|at| now < at.plus_millis(CLAIM_MILLIS));
    Ok((!is_claimed).then_some((item, stored)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_follow_from_the_message() {
        let sent = Timestamp(1_790_000_000_000);
        let id = id_of(Stage::InboundParse, "a", None, sent);
        assert_eq!(id, id_of(Stage::InboundParse, "a", None, sent));
        assert_ne!(id, id_of(Stage::InboundParse, "b", None, sent));
        assert_ne!(id, id_of(Stage::Deliver, "a", None, sent));
        assert_ne!(id, id_of(Stage::InboundParse, "a", Some(0), sent));
        assert!(id < id_of(Stage::InboundParse, "a", None, sent.plus_millis(1)));
    }
}
