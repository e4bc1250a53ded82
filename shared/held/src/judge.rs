//! The same questions for letters that nobody has put down: those of mailings, each of which is made when it goes.

use pennypost_directory::Dress;
use pennypost_model::{AccountKey, EventId, Timestamp};

use crate::release::Verdict;
use crate::{Held, HeldError, Ports, Releaser, Why};

/// What is to become of a letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Judgement {
    /// It goes.
    Go {
        /// It was counted against what its sender may send: to be taken back if it does not go after all.
        is_counted: bool,
        /// Its sender's organisation may have texts for it.
        has_footers: bool,
        /// Its sender's organisation may have rules about what stands in it.
        has_content_rules: bool,
    },
    /// It waits: its sender has sent as much as he may.
    Wait {
        /// Until then.
        until: Timestamp,
    },
    /// It does not go.
    Stay(Why),
    /// Its sender is gone.
    Gone,
}

impl Releaser {
    /// May a letter with this header go now? What is asked at submission is asked; recipients who do not get it are taken out of
    /// its event, and noted.
    ///
    /// # Errors
    /// [`HeldError`].
    #[pennypost_ports::compiled_here]
    pub async fn judge(
        &self,
        letter: &mut Held,
        header: &[u8],
        now: Timestamp,
    ) -> Result<Judgement, HeldError> {
        Ok(match self.verdict(letter, Some(header), now).await? {
            Verdict::Go { counted, has_footers, has_content_rules } => {
                Judgement::Go { is_counted: counted, has_footers, has_content_rules }
            }
            Verdict::Wait { until } => Judgement::Wait { until },
            Verdict::Stay(why) => Judgement::Stay(why),
            Verdict::Gone => Judgement::Gone,
        })
    }

    /// Takes back that a letter was counted which did not go.
    ///
    /// # Errors
    /// [`HeldError`].
    #[pennypost_ports::compiled_here]
    pub async fn take_back_count(&self, account: AccountKey, letter: EventId) -> Result<(), HeldError> {
        self.uncount(account, letter).await
    }

    /// What stands in the letters of an account: `has_footers` as it was [judged](Judgement::Go), if that is known.
    ///
    /// # Errors
    /// [`HeldError`].
    #[pennypost_ports::compiled_here]
    pub async fn footers_of(
        &self,
        account: AccountKey,
        has_footers: Option<bool>,
    ) -> Result<Dress, HeldError> {
        self.dress(account, has_footers).await
    }

    /// What it works with.
    #[must_use]
    pub const fn ports(&self) -> &Ports {
        &self.ports
    }

    /// The name by which it reports.
    #[must_use]
    pub fn hostname(&self) -> &str {
        &self.hostname
    }
}
