//! The resources, each with its operations in the table, what it looks like, and what is done for it.

mod accounts;
mod aliases;
mod clients;
mod creator;
mod domains;
mod grants;
mod groups;
mod keys;
mod me;
mod operations;
mod policies;
mod roles;
mod tenants;
mod tokens;

use crate::rest::operation::Operation;

/// The table of operations.
pub(crate) fn operations() -> impl Iterator<Item = &'static Operation> {
    let tables: [&'static [Operation]; 15] = [
        me::OPERATIONS,
        tenants::OPERATIONS,
        domains::OPERATIONS,
        accounts::OPERATIONS,
        tokens::OPERATIONS,
        clients::OPERATIONS,
        aliases::OPERATIONS,
        groups::OPERATIONS,
        policies::OPERATIONS,
        roles::OPERATIONS,
        grants::OPERATIONS,
        creator::OPERATIONS,
        keys::OF_TENANTS,
        keys::OF_OPERATORS,
        operations::OPERATIONS,
    ];
    tables.into_iter().flatten()
}

/// A list of these, with what stands behind it.
macro_rules! page_of {
    ($name:ident, $item:ty) => {
        /// A page of a list. May hold few rows, even none, though more follow.
        #[derive(schemars::JsonSchema)]
        #[allow(dead_code)] // its shape is what it is for
        pub(crate) struct $name {
            /// The rows.
            items: Vec<$item>,
            /// What `after` is for the next page; null at the end of the list.
            next: Option<String>,
        }
    };
}
use page_of;
