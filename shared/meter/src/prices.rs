//! Price tables: what each item of a bill costs, in one region and from one day on.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::{Item, MILLI, Pico};

/// The format of price files that is read.
const FORMAT: u32 = 1;

/// Price files that come with the program: by region.
const BUILT_IN: &[(&str, &str)] = &[("us-east-1", include_str!("../prices/us-east-1.toml"))];

/// Why a price table can't be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PriceError {
    /// No table for that region comes with the program.
    #[error("no prices for region {0:?} here (there are: {list})", list = PriceTable::regions().join(", "))]
    Region(String),
    /// The file is not TOML of the expected shape.
    #[error("not a price table: {0}")]
    Syntax(String),
    /// A later format, or none that ever was.
    #[error("price table has format {0}, this program reads {FORMAT}")]
    Format(u32),
    /// An item that no bill has.
    #[error("price table names the unknown item {0:?}")]
    Unknown(String),
    /// An item that stands there twice.
    #[error("price table has two prices for {0}")]
    Twice(&'static str),
    /// An item without price: its line would pass for free.
    #[error("price table has no price for {0}")]
    Missing(&'static str),
    /// An amount that is none, or for nothing.
    #[error("price of {0} is no amount for a positive number of units")]
    Amount(&'static str),
}

/// What `per` units of an item cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Price {
    /// The amount.
    pub amount: Pico,
    /// For so many units, at least one.
    pub per: u64,
}

impl Price {
    /// What so many thousandths of a unit cost, rounded half up to the smallest amount there is.
    #[must_use]
    pub fn of(self, milli: u128) -> Pico {
        let divisor = u128::from(self.per) * u128::from(MILLI);
        // A product too large for 128 bits has more digits than any bill.
        let product = self.amount.0.saturating_mul(milli);
        Pico(product.saturating_add(divisor / 2) / divisor)
    }
}

/// What each item costs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PriceTable {
    /// The region.
    pub region: String,
    /// The currency of its amounts (ISO 4217).
    pub currency: String,
    /// The day on which the prices were looked up.
    pub date: String,
    prices: BTreeMap<Item, Price>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    version: u32,
    region: String,
    currency: String,
    date: String,
    price: Vec<Line>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    item: String,
    amount: String,
    per: u64,
    /// Where the price was found: for people.
    #[serde(rename = "source")]
    _source: String,
}

impl PriceTable {
    /// Regions whose prices come with the program.
    #[must_use]
    pub fn regions() -> Vec<&'static str> {
        BUILT_IN.iter().map(|(region, _)| *region).collect()
    }

    /// The table of a region that comes with the program.
    ///
    /// # Errors
    /// [`PriceError::Region`].
    pub fn built_in(region: &str) -> Result<PriceTable, PriceError> {
        let found = BUILT_IN.iter().find(|(name, _)| *name == region);
        let (_, file) = found.ok_or_else(|| PriceError::Region(region.chars().take(40).collect()))?;
        PriceTable::parse(file)
    }

    /// A table from its file.
    ///
    /// # Errors
    /// [`PriceError`]: a table has each item's price, once.
    pub fn parse(file: &str) -> Result<PriceTable, PriceError> {
        let file: File = toml::from_str(file).map_err(|error| PriceError::Syntax(error.to_string()))?;
        if file.version != FORMAT {
            return Err(PriceError::Format(file.version));
        }
        let mut prices = BTreeMap::new();
        for line in file.price {
            let item = Item::named(&line.item).ok_or(PriceError::Unknown(line.item))?;
            let amount = line.amount.parse().map_err(|_| PriceError::Amount(item.name()))?;
            if line.per == 0 {
                return Err(PriceError::Amount(item.name()));
            }
            if prices.insert(item, Price { amount, per: line.per }).is_some() {
                return Err(PriceError::Twice(item.name()));
            }
        }
        if let Some(missing) = Item::all().into_iter().find(|item| !prices.contains_key(item)) {
            return Err(PriceError::Missing(missing.name()));
        }
        Ok(PriceTable { region: file.region, currency: file.currency, date: file.date, prices })
    }

    /// What an item costs.
    #[must_use]
    pub fn price(&self, item: Item) -> Price {
        // Every table has every item.
        self.prices.get(&item).copied().unwrap_or(Price { amount: Pico(0), per: 1 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Unit;

    #[test]
    fn the_tables_that_come_along_are_whole() {
        for region in PriceTable::regions() {
            let table = PriceTable::built_in(region).expect(region);
            assert_eq!(table.region, region);
            assert_eq!(table.date.len(), 10, "{}", table.date);
        }
        assert!(PriceTable::built_in("moon-1").is_err());
    }

    #[test]
    fn prices_are_exact() {
        let table = PriceTable::built_in("us-east-1").expect("prices");
        let journal = table.price(Item::Used(Unit::JournalWrite));
        assert_eq!(journal.of(1_000_000_000).decimal(12), "0.625000000000");
        assert_eq!(journal.of(1_000).decimal(12), "0.000000625000");
        // A GB-second, and the smallest time there is: 128 MB for a millisecond.
        let compute = table.price(Item::Used(Unit::MegabyteMillis));
        assert_eq!(compute.of(1_024_000_000).decimal(12), "0.000013333400");
        assert_eq!(compute.of(128_000).decimal(12), "0.000000001667");
    }

    #[test]
    fn half_a_table_is_refused() {
        let whole = BUILT_IN[0].1;
        let refused = |file: &str| PriceTable::parse(file).expect_err("refused");
        assert_eq!(refused(&whole.replace("version = 1", "version = 2")), PriceError::Format(2));
        let renamed = whole.replace("item = \"alarm\"", "item = \"alarms\"");
        assert_eq!(refused(&renamed), PriceError::Unknown("alarms".to_owned()));
        let doubled = whole.replace("item = \"alarm\"", "item = \"key\"");
        assert_eq!(refused(&doubled), PriceError::Twice("key"));
        let (but_one, _) = whole.split_once("[[price]]\nitem = \"scheduled-call\"").expect("last item");
        assert_eq!(refused(but_one), PriceError::Missing("scheduled-call"));
        assert_eq!(refused(&whole.replace("\"0.10\"", "\"-0.1\"")), PriceError::Amount("queue-group"));
        assert!(matches!(refused("prices"), PriceError::Syntax(_)));
    }
}
