//! Checking segments against the messages: what is missing is fine, what is wrong is not.

use std::collections::HashMap;

use pennypost_fold::State;
use pennypost_model::AccountKey;
use pennypost_ports::PortError;

use super::build::{derive_from, known};
use super::{BLOCK, Column};
use crate::{Mailstore, StoreError};

impl Mailstore {
    /// What is wrong with an account's segments. With `bytes`, each message that can be asked for is derived anew
    /// and compared.
    ///
    /// # Errors
    /// [`StoreError`] when a port can't answer now.
    #[pennypost_ports::compiled_here]
    pub async fn check_segments(
        &self,
        account: AccountKey,
        state: &State,
        bytes: bool,
    ) -> Result<Vec<String>, StoreError> {
        let segments = self.segments(account).await?;
        let mut wrong: Vec<String> =
            segments.broken.iter().map(|name| format!("the segment can't be read: {name}")).collect();
        let blobs: HashMap<u64, _> =
            known(state).into_iter().map(|(origin, blob)| (origin.0, blob)).collect();
        'segments: for segment in &segments.list {
            for block in 0..segment.rids.len().div_ceil(BLOCK) {
                let mut columns = Vec::with_capacity(Column::ALL.len());
                for column in Column::ALL {
                    match self.segment_block(segment, block, column, false).await {
                        Ok(block) => columns.push(block),
                        Err(error) if error.is_temporary() => return Err(error),
                        Err(StoreError::Port(PortError::NotFound { .. }))
                            if !self.is_listed(account, &segment.name).await? =>
                        {
                            // Merged with others since it was opened: what it told stands in another one.
                            continue 'segments;
                        }
                        Err(error) => wrong.push(format!("block {block} of {}: {error}", segment.name)),
                    }
                }
                if !bytes || columns.len() < Column::ALL.len() {
                    continue;
                }
                for slot in 0..segment.messages_in(block) {
                    let index = block * BLOCK + slot;
                    let rid = segment.rids[index];
                    let Some(blob) = blobs.get(&rid) else { continue };
                    // A message that can't be read is a violation of its own.
                    let Ok(message) = self.open(account.tenant, *blob).await else { continue };
                    let Ok(derived) = derive_from(&message).await else { continue };
                    let is_right = derived.is_some_and(|derived| {
                        let mut columns = derived.columns.iter().zip(&columns);
                        // A text may be left out, but not be another one.
                        let text = columns.next_back().filter(|_| !segment.lacks_text(index));
                        columns.chain(text).all(|(own, kept)| own == kept.message(slot))
                    });
                    if !is_right {
                        wrong.push(format!("message {rid} differs in {}", segment.name));
                    }
                }
            }
        }
        Ok(wrong)
    }

    async fn is_listed(&self, account: AccountKey, name: &str) -> Result<bool, StoreError> {
        Ok(self.segment_names(account).await?.iter().any(|(_, listed)| listed == name))
    }
}
