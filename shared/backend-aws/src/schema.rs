//! What the tables look like: the one description that creation, the deployment template's test and the ports share.

/// The type of a key attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyType {
    /// `B`.
    Binary,
    /// `N`.
    Number,
    /// `S`.
    String,
}

impl KeyType {
    /// As DynamoDB and templates write it.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            KeyType::Binary => "B",
            KeyType::Number => "N",
            KeyType::String => "S",
        }
    }
}

/// An attribute of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyAttribute {
    /// Its name; one letter, since it is billed with every item.
    pub name: &'static str,
    /// Its type.
    pub of: KeyType,
}

/// A table. All are billed on demand and have no index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Table {
    /// What follows the stack's name in its default name: `-journal` and so on.
    pub suffix: &'static str,
    /// The partition key.
    pub partition: KeyAttribute,
    /// The sort key.
    pub sort: KeyAttribute,
    /// The attribute with the second of the epoch after which the service deletes an item.
    pub ttl: Option<&'static str>,
    /// Can the table be restored to any second of the last weeks? Needed where nothing else can tell what was there.
    pub point_in_time_recovery: bool,
}

/// Journal entries, head hints and lists of accounts.
pub const JOURNAL: Table = Table {
    suffix: "-journal",
    partition: KeyAttribute { name: "A", of: KeyType::Binary },
    sort: KeyAttribute { name: "S", of: KeyType::Number },
    ttl: None,
    point_in_time_recovery: true,
};

/// The control table.
pub const CONTROL: Table = Table {
    suffix: "-control",
    partition: KeyAttribute { name: "P", of: KeyType::String },
    sort: KeyAttribute { name: "K", of: KeyType::String },
    ttl: None,
    point_in_time_recovery: true,
};

/// The log.
pub const LOG: Table = Table {
    suffix: "-log",
    partition: KeyAttribute { name: "T", of: KeyType::Binary },
    sort: KeyAttribute { name: "I", of: KeyType::Binary },
    ttl: Some("E"),
    point_in_time_recovery: false,
};

/// Every table.
pub const TABLES: [Table; 3] = [JOURNAL, CONTROL, LOG];

/// The kind in the names of objects that hold large journal entries (`tenant/je/…`): whoever reads journals needs to read
/// them, and whoever appends to put and delete them.
pub const JOURNAL_OBJECTS: &str = "je";
