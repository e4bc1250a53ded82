//! Waking those who watch an account.

use async_trait::async_trait;
use pennypost_model::{AccountKey, Seq};

use crate::PortResult;

/// Tells the adapters that hold sessions of an account that it has changed. Only a hint: a session that is
/// not told learns of the change at its next command or poll.
#[async_trait]
pub trait Wakeups: Send + Sync {
    /// `account` has at least entry `seq`.
    async fn wake(&self, account: AccountKey, seq: Seq) -> PortResult<()>;

    /// The same for many accounts, which may cost less. All are tried; the error is that of one.
    async fn wake_many(&self, news: &[(AccountKey, Seq)]) -> PortResult<()> {
        let mut result = Ok(());
        for (account, seq) in news {
            if let Err(error) = self.wake(*account, *seq).await {
                result = Err(error);
            }
        }
        result
    }
}
