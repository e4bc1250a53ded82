//! What the operator says of scanners.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use pennypost_ports::Scanner;
use serde::Deserialize;

use crate::{ClamAv, Place, Rspamd};

/// For so many seconds each of two scanners may be waited for: both, and what else is done with a batch, end before the queue
/// hands it out again.
pub const MOST_SECONDS: u32 = 45;

/// Settings that can't be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("timeout_seconds is 1 to {most}")]
pub struct WrongSettings {
    /// Seconds at most.
    pub most: u32,
}

/// Which scanners there are. None, if nothing is said: then no letter is looked at, and nothing is read for it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Where clamd listens: `HOST:PORT`, or the path of its socket.
    pub clamav: Option<Place>,
    /// Where a normal worker of rspamd listens, the same way.
    pub rspamd: Option<Place>,
    /// For so many seconds an answer is waited for, [`MOST_SECONDS`] at most.
    pub timeout_seconds: NonZeroU32,
    /// Letters with more bytes are not shown to scanners, and go on with a mark. Not more than `StreamMaxLength` of clamd.
    pub max_bytes: u64,
}

impl Default for Settings {
    fn default() -> Settings {
        const WAIT: NonZeroU32 = NonZeroU32::new(20).unwrap();
        // What clamd takes if nothing is said to it.
        Settings { clamav: None, rspamd: None, timeout_seconds: WAIT, max_bytes: 100 << 20 }
    }
}

impl Settings {
    /// Is there any scanner?
    #[must_use]
    pub const fn is_some(&self) -> bool {
        self.clamav.is_some() || self.rspamd.is_some()
    }

    /// Can they be, where a scanner may be waited for so many seconds?
    ///
    /// # Errors
    /// [`WrongSettings`].
    pub const fn check(&self, most: u32) -> Result<(), WrongSettings> {
        if self.timeout_seconds.get() <= most { Ok(()) } else { Err(WrongSettings { most }) }
    }

    /// The scanners.
    #[must_use]
    pub fn scanners(&self) -> Vec<Arc<dyn Scanner>> {
        let wait = Duration::from_secs(self.timeout_seconds.get().into());
        let clamav = self.clamav.clone().map(|place| ClamAv::new(place, wait, self.max_bytes));
        let rspamd = self.rspamd.clone().map(|place| Rspamd::new(place, wait, self.max_bytes));
        let clamav = clamav.map(|scanner| Arc::new(scanner) as Arc<dyn Scanner>);
        let rspamd = rspamd.map(|scanner| Arc::new(scanner) as Arc<dyn Scanner>);
        clamav.into_iter().chain(rspamd).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scanners_are_where_the_operator_says() {
        assert!(Settings::default().scanners().is_empty());
        let slow = Settings { timeout_seconds: NonZeroU32::new(46).expect("some"), ..Settings::default() };
        assert_eq!(
            slow.check(MOST_SECONDS).map_err(|error| error.to_string()),
            Err("timeout_seconds is 1 to 45".to_owned())
        );
        assert_eq!(Settings::default().check(MOST_SECONDS), Ok(()));
        let said =
            r#"{"clamav": "/run/clamav/clamd.ctl", "rspamd": "localhost:11333", "timeout_seconds": 10}"#;
        let settings: Settings = serde_json::from_str(said).expect("settings");
        let names: Vec<&str> = settings.scanners().iter().map(|scanner| scanner.name()).collect();
        assert_eq!(names, ["clamav", "rspamd"]);
        for bad in [r#"{"clamav": "clamd"}"#, r#"{"clamd": "localhost:1"}"#, r#"{"timeout_seconds": 0}"#] {
            assert!(serde_json::from_str::<Settings>(bad).is_err(), "{bad}");
        }
    }
}
