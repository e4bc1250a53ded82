//! Destinations that are left alone for a while by all processes, since one of them has found that they are not reached, or have too
//! much to do.

use std::collections::HashMap;

use pennypost_model::Timestamp;
use pennypost_model::codec::{self, Versioned};
use pennypost_ports::{Control, ControlKey, Expected, Put};
use serde::{Deserialize, Serialize};

use crate::OutboxError;

/// Partition of the control table. It is the installation's: a destination says it to all who write there.
const PARTITION: &str = "outbound-pauses";
/// Items that are read at once.
const PAGE: usize = 200;
/// Destinations that are read at most; what lies behind them is found out anew.
const MOST: usize = 2_000;
/// Items that are removed at one reading.
const REMOVED: usize = 100;
/// How often a pause is written that another process has overtaken.
const TRIES: usize = 3;
/// Milliseconds after which a pause that is over says nothing any more.
pub const REMEMBERED: i64 = 3_600_000;

/// How long a destination is left alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pause {
    /// Until then.
    pub until: Timestamp,
    /// The how manieth in a row it is, from 1.
    pub times: u32,
}

impl Versioned for Pause {
    const KIND: &'static str = "pause of a destination";
}

impl Pause {
    /// Does it say nothing any more?
    #[must_use]
    pub const fn is_forgotten(&self, now: Timestamp) -> bool {
        self.until.plus_millis(REMEMBERED).0 <= now.0
    }
}

/// Pauses by destination, with the versions of their items.
pub type Pauses = HashMap<String, (Pause, u64)>;

/// All that are not forgotten. Some of the others are removed.
///
/// # Errors
/// [`OutboxError`].
pub(crate) async fn read(control: &dyn Control, now: Timestamp) -> Result<Pauses, OutboxError> {
    let (mut found, mut seen, mut removed) = (Pauses::new(), 0, 0);
    let mut after: Option<String> = None;
    loop {
        let page = control.query(PARTITION, "", after.as_deref(), PAGE).await?;
        let is_last = page.len() < PAGE;
        seen += page.len();
        for (destination, item) in page {
            after = Some(destination.clone());
            let pause = codec::decode::<Pause>(&item.value);
            if pause.as_ref().is_ok_and(|pause| !pause.is_forgotten(now)) {
                found.extend(pause.ok().map(|pause| (destination, (pause, item.version))));
            } else if pause.is_ok() && removed < REMOVED {
                removed += 1;
                control.delete_if(&ControlKey::new(PARTITION, destination), item.version).await?;
            }
        }
        if is_last || seen >= MOST {
            return Ok(found);
        }
    }
}

/// Writes a pause over the version that is known: the one that holds then, which is another process's, if that is as long.
///
/// # Errors
/// [`OutboxError`].
pub(crate) async fn write(
    control: &dyn Control,
    destination: &str,
    pause: Pause,
    known: Option<u64>,
) -> Result<Option<(Pause, u64)>, OutboxError> {
    let (key, value) = (ControlKey::new(PARTITION, destination), codec::encode(&pause));
    let mut expected = known.map_or(Expected::Absent, Expected::Version);
    for _ in 0..TRIES {
        match control.put_if(&key, &value, expected).await? {
            Put::Stored(version) => return Ok(Some((pause, version))),
            Put::Conflict(None) => expected = Expected::Absent,
            Put::Conflict(Some(found)) => {
                let other = codec::decode::<Pause>(&found.value);
                if let Ok(other) = other
                    && other.until >= pause.until
                {
                    return Ok(Some((other, found.version)));
                }
                expected = Expected::Version(found.version);
            }
        }
    }
    // Others write it all the time: it holds anyway.
    Ok(None)
}

/// Removes a pause, if nobody has written it since.
///
/// # Errors
/// [`OutboxError`].
pub(crate) async fn remove(
    control: &dyn Control,
    destination: &str,
    version: u64,
) -> Result<(), OutboxError> {
    control.delete_if(&ControlKey::new(PARTITION, destination), version).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use pennypost_backend_embedded::{Embedded, Options};

    use super::*;

    #[tokio::test]
    async fn of_two_that_write_the_longer_pause_holds() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let control = Embedded::open(dir.path(), &Options::server()).expect("opens").control();
        let control = &*control;
        let pause = |until, times| Pause { until: Timestamp(until), times };
        let holds = async |pause, known| {
            write(control, "a.example", pause, known).await.expect("written").expect("holds")
        };
        let (first, version) = holds(pause(60_000, 1), None).await;
        assert_eq!(first, pause(60_000, 1));
        // Another process knows of none.
        assert_eq!(holds(pause(50_000, 1), None).await, (first, version));
        let (longer, later) = holds(pause(70_000, 1), None).await;
        assert_eq!((longer, later > version), (pause(70_000, 1), true));
        // Who knows an old version.
        assert_eq!(holds(pause(65_000, 2), Some(version)).await, (longer, later));
        assert_eq!(holds(pause(200_000, 2), Some(later)).await.0, pause(200_000, 2));
        remove(control, "a.example", later).await.expect("asked");
        let found = read(control, Timestamp(0)).await.expect("read");
        assert_eq!(found["a.example"].0, pause(200_000, 2), "it was written since");
        // What is long over is removed by whoever reads.
        assert_eq!(read(control, Timestamp(200_000 + REMEMBERED)).await.expect("read").len(), 0);
        assert_eq!(read(control, Timestamp(0)).await.expect("read").len(), 0);
    }
}
