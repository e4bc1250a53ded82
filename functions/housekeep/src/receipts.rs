//! Letters whose senders ask for a read receipt (RFC 8098): whether something was said to them ($MDNSent, RFC 3503), and what is given back.
//! The keyword is the mail programs', too: what one of them has said is said.

use std::collections::{BTreeMap, BTreeSet};

use pennypost_admin::LetterHead;
use pennypost_fold::{Draft, DraftError, Row, RowFlags, State};
use pennypost_mailstore::{ChangeError, Mailstore, StoreError};
use pennypost_model::journal::Actor;
use pennypost_model::{AccountKey, FlagSet, MailboxId, Rid, UidSet};
use pennypost_ports::Consistency;

/// Nothing more is said to whoever asks.
const SENT: &str = "$MDNSent";

fn noted() -> FlagSet {
    let mut flags = FlagSet::default();
    flags.insert_named(SENT);
    flags
}

/// By which bit of its flags it is noted of a message; by none, where nothing was ever said.
fn bit(state: &State) -> Option<RowFlags> {
    state.keyword_bit(noted().keywords.first()?)
}

fn is_noted(bit: Option<RowFlags>, row: &Row) -> bool {
    bit.is_some_and(|bit| row.flags.0 & bit.0 != 0)
}

fn is_of(row: &Row, letter: Rid) -> bool {
    row.rid == letter || row.origin == letter
}

/// Of which of these letters that was noted, of those that are there.
pub(crate) async fn receipts(
    store: &Mailstore,
    account: AccountKey,
    letters: &[Rid],
) -> Result<BTreeMap<Rid, bool>, StoreError> {
    let wanted: BTreeSet<Rid> = letters.iter().copied().collect();
    let state = store.load(account, Consistency::Eventual).await?;
    let (bit, mut found) = (bit(&state), BTreeMap::new());
    for row in state.mailboxes().flat_map(|mailbox| mailbox.rows.iter()) {
        if let Some(letter) = [row.rid, row.origin].into_iter().find(|rid| wanted.contains(rid)) {
            *found.entry(letter).or_insert(false) |= is_noted(bit, row);
        }
    }
    Ok(found)
}

/// The head of a letter.
pub(crate) async fn head(
    store: &Mailstore,
    account: AccountKey,
    letter: Rid,
) -> Result<Option<LetterHead>, StoreError> {
    let state = store.load(account, Consistency::Strong).await?;
    let mut rows = state.mailboxes().flat_map(|mailbox| mailbox.rows.iter());
    let Some(row) = rows.find(|row| is_of(row, letter)).copied() else { return Ok(None) };
    let message = store.open(account.tenant, row.blob).await?;
    let (sidecar, header) = (message.sidecar().await?, message.header().await?);
    Ok(Some(LetterHead {
        header: [sidecar.receipt.as_bytes(), &header].concat(),
        subject: sidecar.facts.subject,
        message_id: sidecar.facts.message_id.unwrap_or_default(),
        sent: sidecar.facts.sent.unwrap_or(row.internal_date),
    }))
}

/// Notes it; `false`: it was noted already, of whatever copy, or the letter is nowhere.
pub(crate) async fn note(store: &Mailstore, account: AccountKey, letter: Rid) -> Result<bool, StoreError> {
    let state = store.load(account, Consistency::Strong).await?;
    let committing = store.commit(account, state, &Actor::System, |draft: &mut Draft| {
        let mut copies: Vec<(MailboxId, UidSet)> = Vec::new();
        let (bit, mut is_known) = (bit(draft.state()), false);
        for mailbox in draft.state().mailboxes() {
            let rows = || mailbox.rows.iter().filter(|row| is_of(row, letter));
            is_known |= rows().any(|row| is_noted(bit, row));
            copies.push((mailbox.id, rows().map(|row| row.uid).collect()));
        }
        copies.retain(|(_, uids)| !uids.is_empty());
        if is_known || copies.is_empty() {
            return Ok(false);
        }
        for (mailbox, uids) in &copies {
            draft.flags(*mailbox, uids, &noted(), &FlagSet::default())?;
        }
        Ok::<_, DraftError>(true)
    });
    match committing.await {
        Ok(committed) => Ok(committed.value),
        Err(ChangeError::Store(error)) => Err(error),
        Err(ChangeError::Decided(error)) => Err(StoreError::Damaged(error.to_string())),
    }
}
