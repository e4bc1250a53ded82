//! How fast destinations are written to, as the configuration says it: `sending.rates`, `sending.warm_up`.

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use pennypost_directory::DomainName;
use pennypost_model::Timestamp;
use pennypost_send_remote::{Rate, WarmUp};
use serde::Deserialize;

/// How many letters go to a destination, by its domain; `*` is all of which nothing else is said.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "BTreeMap<String, RateTable>")]
pub struct Rates(pub(crate) BTreeMap<String, Rate>);

/// So many letters; what is not said has no limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct RateTable {
    /// Within a minute.
    per_minute: Option<NonZeroU32>,
    /// Within an hour.
    per_hour: Option<NonZeroU32>,
}

impl TryFrom<BTreeMap<String, RateTable>> for Rates {
    type Error = String;

    fn try_from(tables: BTreeMap<String, RateTable>) -> Result<Rates, String> {
        let mut rates = BTreeMap::new();
        for (domain, RateTable { per_minute, per_hour }) in tables {
            let name = match domain.as_str() {
                "*" => domain,
                _ => DomainName::parse(&domain).map_err(|error| error.to_string())?.to_string(),
            };
            let number = |said: Option<NonZeroU32>| said.map(NonZeroU32::get);
            rates.insert(name, Rate { per_minute: number(per_minute), per_hour: number(per_hour) });
        }
        Ok(Rates(rates))
    }
}

/// How an installation begins that the world does not know yet.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "WarmUpTable")]
pub struct WarmingUp(pub(crate) WarmUp);

/// The same as it is written. What is missing is told by its name.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WarmUpTable {
    /// Its first day (UTC), as `2026-11-23`.
    since: String,
    /// Letters to each destination on that day; each day twice as many as on the one before.
    #[serde(default = "first")]
    first: NonZeroU32,
    /// From the day on of which so many would be too few, there is no limit any more.
    #[serde(default = "most")]
    most: NonZeroU32,
}

const fn first() -> NonZeroU32 {
    NonZeroU32::MIN.saturating_add(49)
}

const fn most() -> NonZeroU32 {
    NonZeroU32::MIN.saturating_add(19_999)
}

impl TryFrom<WarmUpTable> for WarmingUp {
    type Error = String;

    fn try_from(WarmUpTable { since, first, most }: WarmUpTable) -> Result<WarmingUp, String> {
        let day = Timestamp::from_rfc3339(&format!("{since}T00:00:00Z"));
        let since = day.ok_or_else(|| format!("{since:?} is no day: write it as 2026-11-23"))?;
        Ok(WarmingUp(WarmUp { since, first: first.get(), most: most.get() }))
    }
}
