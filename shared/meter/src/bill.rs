//! Bills: quantities times prices, by item.

use crate::{Counts, Item, MILLI, Pico, PriceTable, Unit};

/// A line of a bill.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Line {
    /// For what.
    pub item: Item,
    /// How much of it, in thousandths of a unit.
    pub milli: u128,
    /// What that costs.
    pub cost: Pico,
}

/// What was used, with what it costs. Lines stand in the order of [`Item::all`]; what was not used has none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Bill {
    lines: Vec<Line>,
}

impl Bill {
    /// The bill of what was counted.
    #[must_use]
    pub fn of(counts: &Counts, prices: &PriceTable) -> Bill {
        let mut used: Vec<(Item, u128)> =
            Unit::ALL.iter().map(|unit| (Item::Used(*unit), u128::from(counts.milli(*unit)))).collect();
        used.push((Item::QueueGroup, u128::from(counts.milli(Unit::QueueRequest))));
        Bill::of_items(used, prices)
    }

    /// The bill of these items, in thousandths of their units. The same item may come more than once.
    #[must_use]
    pub fn of_items(items: impl IntoIterator<Item = (Item, u128)>, prices: &PriceTable) -> Bill {
        let mut quantities: Vec<(Item, u128)> = Item::all().into_iter().map(|item| (item, 0)).collect();
        for (item, milli) in items {
            if let Some(known) = quantities.iter_mut().find(|known| known.0 == item) {
                known.1 = known.1.saturating_add(milli);
            }
        }
        let line = |(item, milli): (Item, u128)| Line { item, milli, cost: prices.price(item).of(milli) };
        Bill { lines: quantities.into_iter().filter(|(_, milli)| *milli > 0).map(line).collect() }
    }

    /// Its lines.
    #[must_use]
    pub fn lines(&self) -> &[Line] {
        &self.lines
    }

    /// All together: the sum of the lines, exactly.
    #[must_use]
    pub fn total(&self) -> Pico {
        self.lines.iter().map(|line| line.cost).sum()
    }

    /// What one million cost if this is the bill of `of`.
    #[must_use]
    pub fn per_million(&self, of: u64) -> Pico {
        self.total().per_million(of)
    }
}

impl Line {
    /// The quantity as a decimal with so many digits behind the point, at most three, for `of` of something each.
    #[must_use]
    pub fn quantity(&self, digits: usize) -> String {
        // Thousandths of a unit are written as money is: by digits.
        Pico(self.milli.saturating_mul(1_000_000_000_000 / u128::from(MILLI))).decimal(digits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bill_is_the_sum_of_its_lines() {
        let prices = PriceTable::built_in("us-east-1").expect("prices");
        let items = [
            (Item::Used(Unit::JournalWrite), 1_000_000_000),
            (Item::ObjectStorage, 1_073_741_824_000),
            (Item::Used(Unit::JournalWrite), 500),
            (Item::Address, 0),
        ];
        let bill = Bill::of_items(items, &prices);
        let lines: Vec<(&str, String, String)> = bill
            .lines()
            .iter()
            .map(|line| (line.item.name(), line.quantity(3), line.cost.decimal(12)))
            .collect();
        assert_eq!(
            lines,
            [
                ("journal-write", "1000000.500".to_owned(), "0.625000312500".to_owned()),
                ("object-storage", "1073741824.000".to_owned(), "0.023000000000".to_owned()),
            ]
        );
        assert_eq!(bill.total().decimal(12), "0.648000312500");
        assert_eq!(bill.per_million(2_000_000).decimal(6), "0.324000");
    }

    #[test]
    fn requests_with_groups_are_charged_twice_over() {
        let prices = PriceTable::built_in("us-east-1").expect("prices");
        let mut counts = Counts::default();
        counts.add(Unit::QueueRequest, 1_000_000 * MILLI);
        let bill = Bill::of(&counts, &prices);
        assert_eq!(bill.total().decimal(2), "0.50");
        assert_eq!(bill.lines().len(), 2);
    }
}
