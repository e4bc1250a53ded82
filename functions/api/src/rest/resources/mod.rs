//! The resources, each with its operations in the table, what it looks like, and what is done for it.

mod accounts;
mod aliases;
pub mod automatic;
mod bulletins;
mod business;
mod cards;
pub(crate) mod choices;
mod clients;
mod colleagues;
pub mod contents;
mod creator;
mod departments;
mod domain_keys;
mod domain_records;
mod domain_tls;
mod domains;
mod ending;
mod footers;
mod friends;
mod grants;
mod groups;
mod held;
mod home;
mod inviting;
pub(crate) mod joining;
mod keys;
mod letter_deeds;
mod letters;
mod life;
mod limits;
mod mail_reports;
mod mailings;
mod me;
mod members;
pub(crate) mod mobiles;
mod operations;
mod own_letters;
pub(crate) mod passkeys;
mod people;
mod picker;
mod plans;
mod policies;
mod profile;
pub(crate) mod providers;
mod purchases;
mod quarantine;
mod read_status;
mod receipts;
pub mod receiving;
pub(crate) mod recovery;
pub(crate) mod requests;
mod roles;
mod routes;
mod rules;
mod rules_runs;
mod second_factors;
mod secretaries;
mod security;
mod sending;
mod service;
pub(crate) mod sessions;
mod sign_in_rules;
mod sign_ins;
pub(crate) mod sign_ups;
mod spam;
mod statistics;
mod subscriptions;
mod suppressed;
mod tags;
mod tasks;
mod tenants;
mod terms;
mod tickets;
mod tokens;

use crate::rest::operation::Operation;

/// The table of operations.
pub(crate) fn operations() -> impl Iterator<Item = &'static Operation> {
    let tables = [
        me::OPERATIONS,
        home::OPERATIONS,
        tenants::OPERATIONS,
        plans::OPERATIONS,
        purchases::OPERATIONS,
        ending::OPERATIONS,
        terms::OPERATIONS,
        bulletins::OPERATIONS,
        profile::OPERATIONS,
        domains::OPERATIONS,
        accounts::OPERATIONS,
        tokens::OPERATIONS,
        clients::OPERATIONS,
        aliases::OPERATIONS,
        groups::OPERATIONS,
        friends::OPERATIONS,
        policies::OPERATIONS,
        roles::OPERATIONS,
        grants::OPERATIONS,
        creator::OPERATIONS,
        keys::OF_TENANTS,
        keys::OF_OPERATORS,
        operations::OPERATIONS,
        departments::OPERATIONS,
        people::OPERATIONS,
        picker::OPERATIONS,
        life::OPERATIONS,
        limits::OPERATIONS,
        sending::OPERATIONS,
        contents::OPERATIONS,
        footers::OPERATIONS,
        cards::OPERATIONS,
        routes::OPERATIONS,
        read_status::OPERATIONS,
        quarantine::OPERATIONS,
        members::OPERATIONS,
        business::OPERATIONS,
        secretaries::OPERATIONS,
        receiving::OPERATIONS,
        rules_runs::OPERATIONS,
        receipts::OPERATIONS,
        spam::OPERATIONS,
        held::OPERATIONS,
        mailings::OPERATIONS,
        mail_reports::OPERATIONS,
        suppressed::OPERATIONS,
        own_letters::OPERATIONS,
        automatic::OPERATIONS,
        colleagues::OPERATIONS,
        joining::OPERATIONS,
        inviting::OPERATIONS,
        tags::OPERATIONS,
        rules::OPERATIONS,
        sign_in_rules::OPERATIONS,
        sign_ins::OPERATIONS,
        sign_ups::OPERATIONS,
        statistics::OPERATIONS,
        letters::OPERATIONS,
        letter_deeds::OPERATIONS,
        service::OPERATIONS,
        domain_records::OPERATIONS,
        domain_keys::OPERATIONS,
        domain_tls::OPERATIONS,
        sessions::OPERATIONS,
        second_factors::OPERATIONS,
        passkeys::OPERATIONS,
        providers::OPERATIONS,
        recovery::OPERATIONS,
        mobiles::OPERATIONS,
        choices::OPERATIONS,
        security::OPERATIONS,
        requests::OPERATIONS,
        tickets::OPERATIONS,
        subscriptions::OPERATIONS,
        tasks::OPERATIONS,
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
