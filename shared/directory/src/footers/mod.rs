//! Texts that an organisation puts into its members' letters: company footers and a disclaimer (BRD-09), and members' cards
//! (BRD-12, BRD-13).
//!
//! `T`/`footers` holds all that is said, `T/card-choices`/`A` which card a member has chosen. That something was ever said stands in
//! the tenant's own item, which submission reads anyway: others pay nothing. It is set before the first word is written, and stays; where it
//! is wrong it costs a read.

mod choice;
mod dress;
mod store;
#[cfg(test)]
mod tests;
mod wording;

use std::collections::{BTreeMap, BTreeSet};

use pennypost_model::codec::Versioned;
use pennypost_model::{EventId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::DepartmentId;
use crate::store::fold_name;
pub use choice::CardChoice;
pub use dress::{Dress, DressPiece, OwnCards};
pub use pennypost_mime::footer::MarkupProblem;
pub use store::FooterError;
pub use wording::{MAX_FOOTER_HTML, MAX_FOOTER_LINES, MAX_FOOTER_TEXT, PLACEHOLDERS, Wording};

/// Footers of an organisation.
pub const MAX_FOOTERS: usize = 20;
/// Cards of an organisation.
pub const MAX_CARDS: usize = 100;
/// Departments of which it is said which footer is theirs, and of a card.
pub const MAX_FOOTER_DEPARTMENTS: usize = 200;
/// Characters of a name.
pub const MAX_FOOTER_NAME: usize = 50;
/// Bytes of all that is said: one item.
const MAX_BYTES: usize = 128 * 1024;

/// A footer that may be in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Footer {
    /// Unique without regard to case.
    pub name: String,
    /// What it says.
    pub wording: Wording,
    /// It stands above the member's own signature, as far as that is known; else at the end.
    pub is_above: bool,
    /// It stands in letters to the organisation's own people.
    pub inside: bool,
    /// It stands in letters to others.
    pub outside: bool,
}

/// What an organisation says of footers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FooterRules {
    /// Those that there are.
    pub footers: Vec<Footer>,
    /// The one in force, by its name.
    pub in_force: Option<String>,
    /// Departments, with all below them, that have another one, or none.
    pub departments: BTreeMap<DepartmentId, Option<String>>,
    /// What stands at the end of all letters to others.
    pub disclaimer: Option<Wording>,
}

/// A card of members.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Card {
    /// Unique without regard to case: a card of another name is another card.
    pub name: String,
    /// What it says.
    pub wording: Wording,
    /// Whose it is: members of these departments and of those below them.
    pub departments: BTreeSet<DepartmentId>,
    /// Is it there for them?
    pub published: bool,
    /// It stands in all of their letters; else they choose.
    pub compulsory: bool,
    /// Since when it is theirs: of two compulsory ones of a member the later one holds.
    pub assigned: Timestamp,
}

impl Card {
    /// Does it stand in letters whatever members choose?
    const fn holds(&self) -> bool {
        self.published && self.compulsory
    }
}

/// Members who are still to be told of a card (NTF-09).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CardNews {
    /// The letter that tells them: each gets it once.
    pub letter: EventId,
    /// The card.
    pub card: String,
    /// It is theirs now; else it is no more.
    pub is_assigned: bool,
    /// It stands in all of their letters.
    pub is_compulsory: bool,
    /// Whose it is, or was.
    pub departments: BTreeSet<DepartmentId>,
}

/// All that an organisation says.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Said {
    /// Of footers.
    pub rules: FooterRules,
    /// Of cards.
    pub cards: Vec<Card>,
    /// Who is still to be told.
    pub news: Vec<CardNews>,
}

impl Versioned for Said {
    const KIND: &'static str = "footers";
}

/// What is wrong with what is said, and where that stands in it: a JSON pointer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{pointer}: {fault:?}")]
pub struct FooterProblem {
    /// Where.
    pub pointer: String,
    /// What.
    pub fault: FooterFault,
}

/// What is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FooterFault {
    /// The name is none, or too long.
    Name,
    /// Another one has that name.
    Twice,
    /// There is no footer of that name.
    NoFooter,
    /// The text is none, or too long.
    Text,
    /// The HTML is too long.
    Html,
    /// The HTML can't be put into letters.
    Markup(MarkupProblem),
    /// A word in braces that stands for nothing.
    Placeholder(String),
    /// It stands in no letters.
    Nowhere,
    /// There are too many.
    TooMany(usize),
    /// All together is too long.
    TooLarge,
    /// The department has a compulsory card of that name already.
    Compulsory {
        /// The department.
        department: DepartmentId,
        /// The other card.
        card: String,
    },
    /// No such card is offered to the account.
    NoCard,
    /// A card is compulsory for the account: there is nothing to choose.
    Locked,
}

fn at(pointer: impl Into<String>, fault: FooterFault) -> FooterProblem {
    FooterProblem { pointer: pointer.into(), fault }
}

fn check_names<'a>(
    list: &str,
    names: impl Iterator<Item = &'a str>,
    most: usize,
) -> Result<(), FooterProblem> {
    let mut known = BTreeSet::new();
    for (number, name) in names.enumerate() {
        if number >= most {
            return Err(at(format!("/{list}"), FooterFault::TooMany(most)));
        }
        let pointer = || format!("/{list}/{number}/name");
        let is_good = !name.trim().is_empty()
            && name.trim() == name
            && name.chars().count() <= MAX_FOOTER_NAME
            && !name.chars().any(|c| c.is_control() || crate::store::is_unseen(c) || matches!(c, '/' | '*'));
        if !is_good {
            return Err(at(pointer(), FooterFault::Name));
        }
        if !known.insert(fold_name(name)) {
            return Err(at(pointer(), FooterFault::Twice));
        }
    }
    Ok(())
}

impl FooterRules {
    /// The footer of that name.
    #[must_use]
    pub fn footer(&self, name: &str) -> Option<&Footer> {
        let name = fold_name(name);
        self.footers.iter().find(|footer| fold_name(&footer.name) == name)
    }

    /// Can that be said?
    ///
    /// # Errors
    /// [`FooterProblem`].
    pub fn check(&self) -> Result<(), FooterProblem> {
        check_names("footers", self.footers.iter().map(|footer| &*footer.name), MAX_FOOTERS)?;
        for (number, footer) in self.footers.iter().enumerate() {
            let pointer = format!("/footers/{number}");
            footer.wording.check(&pointer)?;
            if !footer.inside && !footer.outside {
                return Err(at(pointer, FooterFault::Nowhere));
            }
        }
        let is_there = |name: &Option<String>| name.as_ref().is_none_or(|name| self.footer(name).is_some());
        if !is_there(&self.in_force) {
            return Err(at("/in_force", FooterFault::NoFooter));
        }
        if self.departments.len() > MAX_FOOTER_DEPARTMENTS {
            return Err(at("/departments", FooterFault::TooMany(MAX_FOOTER_DEPARTMENTS)));
        }
        for (number, name) in self.departments.values().enumerate() {
            if !is_there(name) {
                return Err(at(format!("/departments/{number}/footer"), FooterFault::NoFooter));
            }
        }
        self.disclaimer.as_ref().map_or(Ok(()), |wording| wording.check("/disclaimer"))
    }
}

/// Can these cards be said?
///
/// # Errors
/// [`FooterProblem`].
pub fn check_cards(cards: &[Card]) -> Result<(), FooterProblem> {
    check_names("cards", cards.iter().map(|card| &*card.name), MAX_CARDS)?;
    let mut compulsory: BTreeMap<DepartmentId, &str> = BTreeMap::new();
    for (number, card) in cards.iter().enumerate() {
        let pointer = format!("/cards/{number}");
        card.wording.check(&pointer)?;
        if card.departments.len() > MAX_FOOTER_DEPARTMENTS {
            return Err(at(format!("{pointer}/departments"), FooterFault::TooMany(MAX_FOOTER_DEPARTMENTS)));
        }
        for department in card.departments.iter().filter(|_| card.holds()) {
            if let Some(other) = compulsory.insert(*department, &card.name) {
                let (department, card) = (*department, other.to_owned());
                return Err(at(
                    format!("{pointer}/departments"),
                    FooterFault::Compulsory { department, card },
                ));
            }
        }
    }
    Ok(())
}

/// The same cards, each with the time since when it is whose it is now, and the news for those whose cards these are and were.
#[must_use]
pub fn assigned_anew(
    before: &[Card],
    mut cards: Vec<Card>,
    now: Timestamp,
    mut letter: impl FnMut() -> EventId,
) -> (Vec<Card>, Vec<CardNews>) {
    let none = BTreeSet::new();
    let theirs = |card: &Card| if card.published { card.departments.clone() } else { none.clone() };
    let mut news = Vec::new();
    let mut tell = |card: &Card, is_assigned: bool, departments: BTreeSet<DepartmentId>| {
        if !departments.is_empty() {
            let (card, is_compulsory) = (card.name.clone(), card.compulsory);
            news.push(CardNews { letter: letter(), card, is_assigned, is_compulsory, departments });
        }
    };
    let is_same = |one: &Card, other: &Card| fold_name(&one.name) == fold_name(&other.name);
    for card in &mut cards {
        let known = before.iter().find(|known| is_same(known, card));
        let had = known.map(theirs).unwrap_or_default();
        let has = theirs(card);
        let is_other_rule = known.is_none_or(|known| known.compulsory != card.compulsory);
        card.assigned = match known {
            Some(known) if had == has && !is_other_rule => known.assigned,
            _ => now,
        };
        let fresh = if is_other_rule { has.clone() } else { has.difference(&had).copied().collect() };
        tell(card, true, fresh);
        tell(card, false, had.difference(&has).copied().collect());
    }
    for gone in before.iter().filter(|known| !cards.iter().any(|card| is_same(known, card))) {
        tell(gone, false, theirs(gone));
    }
    (cards, news)
}
