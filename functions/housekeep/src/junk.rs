//! Letters that their owner takes for spam (RCV-10): found as programs see them, and moved into Junk.

use pennypost_admin::FoundLetter;
use pennypost_fold::{Draft, DraftError};
use pennypost_mailstore::{ChangeError, Mailstore, StoreError};
use pennypost_model::journal::Actor;
use pennypost_model::{AccountKey, MailboxId, MailboxRole, Rid, Uid, UidSet};
use pennypost_ports::Consistency;

/// A letter with its card: the account is loaded, and of its journal the entry read that brought it.
pub(crate) async fn letter(
    store: &Mailstore,
    account: AccountKey,
    folder: &str,
    uid: Uid,
) -> Result<Option<FoundLetter>, StoreError> {
    let state = store.load(account, Consistency::Strong).await?;
    let Some(mailbox) = state.mailbox_named(folder) else { return Ok(None) };
    let first = mailbox.rows.position_of(uid);
    let Some(row) = mailbox.rows.from_position(first).next().filter(|row| row.uid == uid) else {
        return Ok(None);
    };
    let card = store.cards(account, &[row.origin]).await?.remove(&row.origin);
    Ok(card.map(|card| FoundLetter { rid: row.rid, card }))
}

/// Moves a letter into Junk, wherever it is. `false`: it is there already, or nowhere.
pub(crate) async fn put_into_junk(
    store: &Mailstore,
    account: AccountKey,
    rid: Rid,
) -> Result<bool, StoreError> {
    let state = store.load(account, Consistency::Strong).await?;
    let committing = store.commit(account, state, &Actor::System, |draft: &mut Draft| {
        let found = draft.state().mailboxes().find_map(|mailbox| {
            let row = mailbox.rows.iter().find(|row| row.rid == rid)?;
            Some((mailbox.id, mailbox.role, row.uid))
        });
        let Some((from, role, uid)) = found.filter(|(_, role, _)| *role != Some(MailboxRole::Junk)) else {
            return Ok(false);
        };
        tracing::debug!(%account, ?role, %uid, "a letter goes into junk");
        let junk = draft.state().mailbox_with_role(MailboxRole::Junk).map_or(MailboxId::JUNK, |junk| junk.id);
        let uids: UidSet = [uid].into_iter().collect();
        Ok::<_, DraftError>(!draft.move_messages(from, &uids, junk)?.is_empty())
    });
    match committing.await {
        Ok(committed) => Ok(committed.value),
        Err(ChangeError::Store(error)) => Err(error),
        Err(ChangeError::Decided(error)) => Err(StoreError::Damaged(error.to_string())),
    }
}
