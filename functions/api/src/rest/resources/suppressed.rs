//! Addresses to which the tenant's mailings are not sent any more.

use pennypost_admin::{Action, MAX_SUPPRESSED_AT_ONCE, suppressed_csv};
use pennypost_directory::{DirectoryError, MailAddress, Suppressed};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::page_of;
use crate::rest::ask::{cursor_of, rows};
use crate::rest::operation::{Good, Method, Operation, PAGE, Query, shape};
use crate::rest::problem::{Kind, Refusal};
use crate::rest::reply::Reply;

/// An address to which mailings are not sent any more.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "SuppressedAddress")]
pub(crate) struct Shown {
    /// The address, in small letters.
    address: String,
    /// Why: `administrator`, `complaint` (whoever has it has complained of a letter), or `bounce` (its server says that nobody has it).
    by: &'static str,
    /// Since when.
    since: String,
    /// The id of the letter that was complained of, or that came back.
    letter: Option<String>,
}

page_of!(ShownAddresses, Shown);

fn show(one: Suppressed) -> Shown {
    Shown {
        address: one.address,
        by: one.by.name(),
        since: one.since.rfc3339(),
        letter: one.letter.map(|letter| letter.to_string()),
    }
}

/// Addresses to which mailings are not to be sent any more.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "NewSuppressedAddresses")]
pub(crate) struct New {
    /// The addresses, 500 at most.
    addresses: Vec<String>,
}

/// How many of them were not on the list.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "AddedSuppressedAddresses")]
pub(crate) struct Added {
    /// How many are new.
    added: usize,
}

const LIST: &[Query] =
    &[PAGE[0], PAGE[1], Query { name: "prefix", about: "Addresses that begin so.", is_number: false }];

pub(super) const OPERATIONS: &[Operation] = &[
    Operation {
        name: "list-suppressed-addresses",
        method: Method::Get,
        path: "/tenants/{tenant}/suppressed-addresses",
        action: Some(Action::SuppressedRead),
        summary: "List the addresses elsewhere to which no mailings are sent any more, in their order",
        query: LIST,
        body: None,
        is_update: false,
        good: Good { status: 200, shape: Some(shape::<ShownAddresses>), is_tagged: false, has_csv: true },
        problems: &[],
        handler: |ask| {
            Box::pin(async move {
                let (tenant, page) = (ask.tenant()?, ask.page()?);
                let prefix = ask.parameter("prefix").unwrap_or_default();
                let listed = ask.administration.suppressed(&ask.call, tenant, prefix, &page).await?;
                if ask.accept.contains("text/csv") {
                    return Ok(Reply::csv(
                        suppressed_csv(&listed.items),
                        listed.next.as_deref().map(cursor_of),
                    ));
                }
                Ok(Reply::document(&rows(listed, show)))
            })
        },
    },
    Operation::new(
        (Method::Post, "/tenants/{tenant}/suppressed-addresses", "add-suppressed-addresses"),
        Action::SuppressedAdd,
        "Send no mailings to these addresses any more: single letters go there all the same",
        Good::told(shape::<Added>),
        |ask| {
            Box::pin(async move {
                let (tenant, new): (_, New) = (ask.tenant()?, ask.body()?);
                for (index, address) in new.addresses.iter().enumerate() {
                    let parsed = MailAddress::parse(address).map_err(DirectoryError::from);
                    parsed.map_err(|error| {
                        let refusal = Refusal::from(error);
                        match refusal.detail.clone() {
                            Some(detail) => refusal.at(format!("/addresses/{index}"), detail),
                            None => refusal,
                        }
                    })?;
                }
                if new.addresses.len() > MAX_SUPPRESSED_AT_ONCE {
                    let limit = MAX_SUPPRESSED_AT_ONCE;
                    return Err(DirectoryError::TooMany { what: "suppressed addresses", limit }.into());
                }
                let added = ask.administration.suppress(&ask.call, tenant, &new.addresses).await?;
                Ok(Reply::document(&Added { added }))
            })
        },
    )
    .with(shape::<New>)
    .refusing(&[Kind::Invalid, Kind::OtherState]),
    Operation::new(
        (Method::Delete, "/tenants/{tenant}/suppressed-addresses/{address}", "remove-suppressed-address"),
        Action::SuppressedRemove,
        "Send mailings to an address again",
        Good::NOTHING,
        |ask| {
            Box::pin(async move {
                let (tenant, address) = (ask.tenant()?, ask.word("address"));
                ask.administration.release_suppressed(&ask.call, tenant, address).await?;
                Ok(Reply::nothing())
            })
        },
    )
    .refusing(&[Kind::Invalid]),
];
