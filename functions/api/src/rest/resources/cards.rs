//! Cards of members: made and given out by administrators, chosen by members.

use pennypost_admin::{Action, DepartmentId};
use pennypost_directory as directory;
use pennypost_directory::{CardChoice, OwnCards};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::footers::{Piece, piece};
use crate::rest::operation::{Good, Method, Operation, shape};
use crate::rest::problem::Kind;
use crate::rest::reply::Reply;

/// A card.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "MemberCard")]
pub(crate) struct Card {
    /// Its name, 1 to 50 characters: no other one has it, and a card of another name is another card.
    name: String,
    /// As plain text: 1 to 4,000 characters on at most 60 lines. {name}, {department}, {title}, {company}, {phone} and {email} stand
    /// for what the directory knows of the member.
    text: String,
    /// As HTML, at most 20,000 bytes: elements of text, tables and pictures, each with its end. Null: the text, line by line.
    #[serde(default)]
    html: Option<String>,
    /// The numbers of departments: it is for their members, and for those of departments below them. 1 is the organisation.
    departments: Vec<u32>,
    /// Is it there for them?
    published: bool,
    /// It stands in all of their letters; else they choose. A department has one such card at most. Of a member's departments the
    /// nearest that has one counts, and of several the one that was assigned last.
    compulsory: bool,
    /// Since when it is for those for whom it is; what is said here is not heeded.
    #[serde(default)]
    assigned: Option<String>,
}

/// The cards of an organisation's members.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "MemberCards")]
pub(crate) struct Cards {
    /// The cards: 100 at most; more than one only where the plan has `member-cards`.
    cards: Vec<Card>,
}

/// A card as it stands in letters of the account.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "OwnCard")]
pub(crate) struct Own {
    /// Its name.
    name: String,
    /// As plain text.
    text: String,
    /// As HTML.
    html: String,
}

/// The cards of an account.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "OwnCards")]
pub(crate) struct AllOwn {
    /// The one that stands in all of its letters, whatever it chooses; null: it may choose.
    compulsory: Option<Own>,
    /// Those from which it may choose.
    offered: Vec<Own>,
    /// The name of the one that it has chosen.
    card: Option<String>,
    /// It stands in all of its letters.
    always: bool,
}

/// A card that is chosen.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "CardChoice")]
pub(crate) struct Choice {
    /// Its name; null: none.
    #[serde(default)]
    card: Option<String>,
    /// It is to stand in all letters of the account; else it is only chosen.
    #[serde(default)]
    always: bool,
}

fn show(cards: &[directory::Card]) -> Cards {
    let card = |card: &directory::Card| {
        let departments = card.departments.iter().map(|id| id.0).collect();
        Card {
            name: card.name.clone(),
            text: card.wording.text.clone(),
            html: card.wording.html.clone(),
            departments,
            published: card.published,
            compulsory: card.compulsory,
            assigned: Some(card.assigned.rfc3339()),
        }
    };
    Cards { cards: cards.iter().map(card).collect() }
}

fn meant(cards: Cards) -> Vec<directory::Card> {
    let card = |card: Card| directory::Card {
        name: card.name,
        wording: directory::Wording {
            text: card.text.replace("\r\n", "\n"),
            html: card.html.map(|html| html.replace("\r\n", "\n")),
        },
        departments: card.departments.into_iter().map(DepartmentId).collect(),
        published: card.published,
        compulsory: card.compulsory,
        assigned: Default::default(),
    };
    cards.cards.into_iter().map(card).collect()
}

fn show_own(cards: &OwnCards) -> AllOwn {
    let own = |(card, written): &(directory::Card, directory::DressPiece)| {
        let Piece { text, html, .. } = piece(written);
        Own { name: card.name.clone(), text, html }
    };
    AllOwn {
        compulsory: cards.compulsory.as_ref().map(own),
        offered: cards.offered.iter().map(own).collect(),
        card: cards.chosen.as_ref().map(|choice| choice.card.clone()),
        always: cards.chosen.as_ref().is_some_and(|choice| choice.always),
    }
}

pub(super) const OPERATIONS: &[Operation] = &[
    Operation::new(
        (Method::Get, "/tenants/{tenant}/cards", "read-cards"),
        Action::CardRead,
        "The cards of members",
        Good::one(shape::<Cards>),
        |ask| {
            Box::pin(async move {
                let cards = ask.administration.cards(&ask.call, ask.tenant()?).await?;
                Ok(Reply::tagged(&show(&cards)))
            })
        },
    ),
    Operation::new(
        (Method::Put, "/tenants/{tenant}/cards", "change-cards"),
        Action::CardChange,
        "Say which cards there are and for whom: members are told by a letter which are theirs now, and which are no more",
        Good::one(shape::<Cards>),
        |ask| {
            Box::pin(async move {
                let (tenant, cards): (_, Cards) = (ask.tenant()?, ask.body()?);
                let seen = ask.administration.cards(&ask.call, tenant).await?;
                ask.must_match(&show(&seen))?;
                let cards = ask.administration.change_cards(&ask.call, tenant, &seen, meant(cards)).await?;
                Ok(Reply::tagged(&show(&cards)))
            })
        },
    )
    .with(shape::<Cards>)
    .update()
    .refusing(&[Kind::Invalid, Kind::Unknown]),
    Operation::new(
        (Method::Get, "/tenants/{tenant}/accounts/{account}/card", "read-own-cards"),
        Action::OwnCardRead,
        "The card that an account has to use, those from which it may choose, and what it has chosen, as they stand in its letters",
        Good::one(shape::<AllOwn>),
        |ask| {
            Box::pin(async move {
                let cards = ask.administration.own_cards(&ask.call, ask.account()?).await?;
                Ok(Reply::tagged(&show_own(&cards)))
            })
        },
    ),
    Operation::new(
        (Method::Put, "/tenants/{tenant}/accounts/{account}/card", "choose-card"),
        Action::OwnCardChoose,
        "Choose a card that is offered, or none: where it is to be always, it stands in all letters within half a minute",
        Good::one(shape::<AllOwn>),
        |ask| {
            Box::pin(async move {
                let (key, said): (_, Choice) = (ask.account()?, ask.body()?);
                let seen = ask.administration.own_cards(&ask.call, key).await?;
                ask.must_match(&show_own(&seen))?;
                let choice = said.card.map(|card| CardChoice { card, always: said.always });
                ask.administration.choose_card(&ask.call, key, seen.chosen.as_ref(), choice).await?;
                let cards = ask.administration.own_cards(&ask.call, key).await?;
                Ok(Reply::tagged(&show_own(&cards)))
            })
        },
    )
    .with(shape::<Choice>)
    .update()
    .refusing(&[Kind::Invalid]),
];
