//! Which stages share an invocation.

use std::collections::BTreeSet;
use std::str::FromStr;

use pennypost_model::event::Stage;
use serde::Deserialize;

/// Which stages run in the invocation of the stage before them.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Written")]
pub struct Fusing(BTreeSet<Stage>);

/// What is no [`Fusing`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("“{0}” is neither true nor false nor a list of filter, deliver, notify and house")]
pub struct NoFusing(String);

/// As it stands in a configuration file.
#[derive(Deserialize)]
#[serde(untagged)]
enum Written {
    Whole(bool),
    Some(Vec<String>),
}

impl Fusing {
    /// The default: everything a delivery needs in one invocation; housekeeping apart.
    #[must_use]
    pub fn fused() -> Fusing {
        Fusing(BTreeSet::from([Stage::PolicyFilter, Stage::Deliver, Stage::Notify]))
    }

    /// A queue in front of every stage.
    #[must_use]
    pub fn unfused() -> Fusing {
        Fusing(BTreeSet::new())
    }

    /// Only these stages join the one before them.
    #[must_use]
    pub fn of(stages: impl IntoIterator<Item = Stage>) -> Fusing {
        Fusing(stages.into_iter().collect())
    }

    /// Does it run in the invocation of the stage before it?
    #[must_use]
    pub fn joins(&self, stage: Stage) -> bool {
        self.0.contains(&stage)
    }
}

impl Default for Fusing {
    fn default() -> Fusing {
        Fusing::fused()
    }
}

impl TryFrom<Written> for Fusing {
    type Error = NoFusing;

    fn try_from(written: Written) -> Result<Fusing, NoFusing> {
        match written {
            Written::Whole(true) => Ok(Fusing::fused()),
            Written::Whole(false) => Ok(Fusing::unfused()),
            Written::Some(names) => {
                names.iter().map(|name| joinable(name)).collect::<Result<_, _>>().map(Fusing)
            }
        }
    }
}

/// `true`, `false`, or the names of the queues that fall away, with commas between them.
impl FromStr for Fusing {
    type Err = NoFusing;

    fn from_str(text: &str) -> Result<Fusing, NoFusing> {
        match text.trim() {
            "true" => Ok(Fusing::fused()),
            "false" | "" => Ok(Fusing::unfused()),
            names => names.split(',').map(joinable).collect::<Result<_, _>>().map(Fusing),
        }
    }
}

/// The stage of that queue, if there is one in front of it that need not wait for other servers.
fn joinable(name: &str) -> Result<Stage, NoFusing> {
    let has_one_before =
        |stage: &Stage| !matches!(stage, Stage::InboundParse | Stage::Receive | Stage::SendRemote);
    let stage = Stage::of_queue(name.trim()).filter(has_one_before);
    stage.ok_or_else(|| NoFusing(name.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read_as_they_are_written() {
        for (text, fusing) in [
            ("true", Fusing::fused()),
            ("filter,deliver,notify", Fusing::fused()),
            ("false", Fusing::unfused()),
            ("", Fusing::unfused()),
            (" deliver , notify", Fusing::of([Stage::Deliver, Stage::Notify])),
        ] {
            assert_eq!(text.parse(), Ok(fusing), "{text}");
        }
        for bad in ["yes", "inbound", "receive", "filter,,deliver", "filter deliver"] {
            assert!(bad.parse::<Fusing>().is_err(), "{bad}");
        }
    }
}
