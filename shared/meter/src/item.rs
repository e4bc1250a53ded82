//! The items of a bill.

use crate::Unit;

/// What a bill has a line for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Item {
    /// Units that calls used, as they are counted.
    Used(Unit),
    /// Requests to queues once more: what it costs that messages have groups.
    QueueGroup,
    /// Bytes of objects, kept for a month.
    ObjectStorage,
    /// Bytes of tables, kept for a month.
    TableStorage,
    /// Bytes of tables with point-in-time recovery, for a month.
    TableBackup,
    /// Bytes of log lines.
    LogLines,
    /// Hours of a virtual processor of the adapter.
    AdapterProcessor,
    /// Hours of a gigabyte of memory of the adapter.
    AdapterMemory,
    /// Hours of a load balancer.
    Balancer,
    /// Bytes through the load balancer.
    BalancerTraffic,
    /// Hours of a public address.
    Address,
    /// Months of an alarm.
    Alarm,
    /// Months of a key.
    Key,
    /// Calls of functions by the clock.
    ScheduledCall,
}

impl Item {
    /// Every item, in the order of bills.
    #[must_use]
    pub fn all() -> Vec<Item> {
        const OTHERS: [Item; 13] = [
            Item::ObjectStorage,
            Item::TableStorage,
            Item::TableBackup,
            Item::LogLines,
            Item::AdapterProcessor,
            Item::AdapterMemory,
            Item::Balancer,
            Item::BalancerTraffic,
            Item::Address,
            Item::Alarm,
            Item::Key,
            Item::ScheduledCall,
            Item::QueueGroup,
        ];
        let mut all: Vec<Item> = Unit::ALL.into_iter().map(Item::Used).chain(OTHERS).collect();
        all.sort_by_key(|item| item.order());
        all
    }

    /// Its name in price tables, reports and CSV.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Item::Used(unit) => unit.name(),
            Item::QueueGroup => "queue-group",
            Item::ObjectStorage => "object-storage",
            Item::TableStorage => "table-storage",
            Item::TableBackup => "table-backup",
            Item::LogLines => "log-lines",
            Item::AdapterProcessor => "adapter-processor",
            Item::AdapterMemory => "adapter-memory",
            Item::Balancer => "balancer",
            Item::BalancerTraffic => "balancer-traffic",
            Item::Address => "address",
            Item::Alarm => "alarm",
            Item::Key => "key",
            Item::ScheduledCall => "scheduled-call",
        }
    }

    /// The item of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Item> {
        Item::all().into_iter().find(|item| item.name() == name)
    }

    /// Queues, functions, tables, objects, traffic, and what runs always.
    fn order(self) -> (u8, Option<usize>) {
        let of_unit = |unit: Unit| Unit::ALL.iter().position(|other| *other == unit);
        match self {
            Item::Used(unit @ Unit::QueueRequest) => (0, of_unit(unit)),
            Item::QueueGroup => (1, None),
            Item::Used(unit) => (2, of_unit(unit)),
            Item::ObjectStorage => (3, None),
            Item::TableStorage => (4, None),
            Item::TableBackup => (5, None),
            Item::LogLines => (6, None),
            Item::ScheduledCall => (7, None),
            Item::BalancerTraffic => (8, None),
            Item::AdapterProcessor => (9, None),
            Item::AdapterMemory => (10, None),
            Item::Balancer => (11, None),
            Item::Address => (12, None),
            Item::Alarm => (13, None),
            Item::Key => (14, None),
        }
    }
}
