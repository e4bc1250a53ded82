//! What stands in the letters of one account.

use std::collections::BTreeSet;

use pennypost_mime::footer::{Addition, Untouched, with_additions};
use pennypost_model::event::Footers;
use pennypost_ports::Consistency;

use super::wording::{Values, Wording, value};
use super::{Card, CardChoice, Footer, Said};
use crate::{Account, AccountKind, DepartmentId, DepartmentTree, Directory, DirectoryError};

/// The texts that stand in the letters of an account, in their order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Dress {
    /// Each of them.
    pub pieces: Vec<DressPiece>,
}

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DressPiece {
    /// As plain text.
    pub text: String,
    /// As HTML.
    pub html: String,
    /// Above the writer's own signature, if that is known.
    pub is_above: bool,
    /// In letters to the organisation's own people.
    pub inside: bool,
    /// In letters to others.
    pub outside: bool,
}

impl Dress {
    /// The texts for a letter that goes to the organisation's own people, or to others, or to both: all of these get the same.
    pub fn pieces_for(&self, (stays, leaves): (bool, bool)) -> impl Iterator<Item = &DressPiece> {
        self.pieces.iter().filter(move |piece| piece.inside && stays || piece.outside && leaves)
    }

    /// The letter with them, and what became of them; `None` where there are none for it. The same letter becomes the same, and one
    /// that has them stays as it is.
    #[must_use]
    pub fn put_into(&self, raw: Vec<u8>, reach: (bool, bool)) -> (Vec<u8>, Option<Footers>) {
        let additions: Vec<Addition<'_>> = self
            .pieces_for(reach)
            .map(|piece| Addition { text: &piece.text, html: &piece.html, is_above: piece.is_above })
            .collect();
        if additions.is_empty() {
            return (raw, None);
        }
        match with_additions(&raw, &additions) {
            Ok(Some(letter)) => (letter, Some(Footers::PutIn)),
            Ok(None) => (raw, Some(Footers::There)),
            Err(why) => (raw, Some(left(why))),
        }
    }
}

const fn left(why: Untouched) -> Footers {
    match why {
        Untouched::Signed => Footers::Signed,
        Untouched::Encrypted => Footers::Encrypted,
        Untouched::Automatic => Footers::Automatic,
        Untouched::NoText => Footers::NoText,
        Untouched::Unknown => Footers::NotUnderstood,
    }
}

/// The cards of an account.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OwnCards {
    /// Those it may choose from, as they would stand in its letters.
    pub offered: Vec<(Card, DressPiece)>,
    /// The one that stands in all of its letters, whatever it chooses.
    pub compulsory: Option<(Card, DressPiece)>,
    /// What its owner has chosen, if it is offered still.
    pub chosen: Option<CardChoice>,
}

/// Where an account stands: its departments, each with those above it, the organisation last. Business mailboxes are in none.
fn lines(account: &Account, tree: &DepartmentTree) -> Vec<Vec<DepartmentId>> {
    let upwards = |id: DepartmentId| {
        let mut line = tree.with_above(id);
        line.push(DepartmentId::ROOT);
        line
    };
    match account.kind {
        AccountKind::Business => Vec::new(),
        AccountKind::Member if account.departments.is_empty() => vec![vec![DepartmentId::ROOT]],
        AccountKind::Member => account.departments.iter().map(|id| upwards(*id)).collect(),
    }
}

/// The compulsory card: of each of its departments the nearest, of these the one that was assigned last.
fn compulsory<'a>(cards: &'a [Card], lines: &[Vec<DepartmentId>]) -> Option<&'a Card> {
    let of = |id: &DepartmentId| cards.iter().find(|card| card.holds() && card.departments.contains(id));
    let nearest = lines.iter().filter_map(|line| line.iter().find_map(of));
    nearest.max_by_key(|card| (card.assigned, std::cmp::Reverse(&card.name)))
}

fn is_of(card: &Card, lines: &[Vec<DepartmentId>]) -> bool {
    lines.iter().flatten().any(|id| card.departments.contains(id))
}

fn offered<'a>(cards: &'a [Card], lines: &[Vec<DepartmentId>]) -> Vec<&'a Card> {
    cards.iter().filter(|card| card.published && !card.compulsory && is_of(card, lines)).collect()
}

/// The footer in force: of the nearest department of which something is said, else of the organisation.
fn in_force<'a>(said: &'a Said, lines: &[Vec<DepartmentId>]) -> Option<&'a Footer> {
    let main = lines.first();
    let special = main.and_then(|line| line.iter().find_map(|id| said.rules.departments.get(id)));
    let name = special.unwrap_or(&said.rules.in_force);
    name.as_deref().and_then(|name| said.rules.footer(name))
}

fn piece((text, html): (String, String), is_above: bool, (inside, outside): (bool, bool)) -> DressPiece {
    DressPiece { text, html, is_above, inside, outside }
}

fn card_piece(card: &Card, values: &Values) -> DressPiece {
    piece(card.wording.written(values), false, (true, true))
}

/// All pieces, in the order in which they stand.
fn pieces(
    footer: Option<&Footer>,
    card: Option<&Card>,
    disclaimer: Option<&Wording>,
    values: &Values,
) -> Dress {
    let of_footer = |footer: &Footer| {
        piece(footer.wording.written(values), footer.is_above, (footer.inside, footer.outside))
    };
    let above = footer.filter(|footer| footer.is_above).map(of_footer);
    let below = footer.filter(|footer| !footer.is_above).map(of_footer);
    let card = card.map(|card| card_piece(card, values));
    let disclaimer = disclaimer.map(|wording| piece(wording.written(values), false, (false, true)));
    let all = [above, card, below, disclaimer].into_iter().flatten();
    Dress { pieces: all.filter(|piece| !piece.text.trim().is_empty()).collect() }
}

impl Directory {
    /// What stands in the letters of an account now. One read where its organisation has said something, the tree of departments if
    /// that names any, the tenant if its name stands in a text, and what the member has chosen if there is a choice.
    ///
    /// # Errors
    /// The port's.
    #[pennypost_ports::compiled_here]
    pub async fn dress(&self, account: &Account) -> Result<Dress, DirectoryError> {
        let Some(said) = self.said_of_footers(account.key.tenant, Consistency::Eventual).await? else {
            return Ok(Dress::default());
        };
        let tree = self.tree_for(&said, account).await?;
        let lines = lines(account, &tree);
        let footer = in_force(&said, &lines);
        let mut card = compulsory(&said.cards, &lines);
        if card.is_none() {
            let offered = offered(&said.cards, &lines);
            if !offered.is_empty()
                && let Some(choice) = self.card_choice(account.key, Consistency::Eventual).await?
            {
                card = offered.into_iter().find(|card| choice.always && choice.is_of(card));
            }
        }
        let disclaimer = said.rules.disclaimer.as_ref();
        let used = [footer.map(|footer| &footer.wording), card.map(|card| &card.wording), disclaimer];
        let values = self.values_for(account, &tree, used.into_iter().flatten()).await?;
        Ok(pieces(footer, card, disclaimer, &values))
    }

    /// The cards of an account.
    ///
    /// # Errors
    /// The port's.
    #[pennypost_ports::compiled_here]
    pub async fn own_cards(&self, account: &Account) -> Result<OwnCards, DirectoryError> {
        let Some(said) = self.said_of_footers(account.key.tenant, Consistency::Strong).await? else {
            return Ok(OwnCards::default());
        };
        let tree = self.tree_for(&said, account).await?;
        let lines = lines(account, &tree);
        let (offered, compulsory) = (offered(&said.cards, &lines), compulsory(&said.cards, &lines));
        let used = offered.iter().copied().chain(compulsory).map(|card| &card.wording);
        let values = self.values_for(account, &tree, used).await?;
        let chosen = self.card_choice(account.key, Consistency::Strong).await?;
        let chosen = chosen.filter(|choice| offered.iter().any(|card| choice.is_of(card)));
        let written = |card: &Card| (card.clone(), card_piece(card, &values));
        Ok(OwnCards {
            offered: offered.into_iter().map(written).collect(),
            compulsory: compulsory.map(written),
            chosen,
        })
    }

    /// Is the account one of these departments, or of those below them? Business mailboxes are in none.
    #[must_use]
    pub fn is_in_departments(
        account: &Account,
        tree: &DepartmentTree,
        wanted: &BTreeSet<DepartmentId>,
    ) -> bool {
        lines(account, tree).iter().flatten().any(|id| wanted.contains(id))
    }

    async fn tree_for(&self, said: &Said, account: &Account) -> Result<DepartmentTree, DirectoryError> {
        let wordings = said.rules.footers.iter().map(|footer| &footer.wording);
        let asks = || {
            wordings
                .chain(&said.rules.disclaimer)
                .chain(said.cards.iter().map(|card| &card.wording))
                .any(|wording| wording.asks_for("department"))
        };
        let is_in_some = account.kind == AccountKind::Member && !account.departments.is_empty();
        if is_in_some && (!said.rules.departments.is_empty() || !said.cards.is_empty() || asks()) {
            return self.departments(account.key.tenant).await;
        }
        Ok(DepartmentTree::default())
    }

    async fn values_for<'a>(
        &self,
        account: &Account,
        tree: &DepartmentTree,
        mut used: impl Iterator<Item = &'a Wording>,
    ) -> Result<Values, DirectoryError> {
        let asks_for_company = used.any(|wording| wording.asks_for("company"));
        let company = match asks_for_company {
            true => self.tenant(account.key.tenant).await?.map(|tenant| tenant.name).unwrap_or_default(),
            false => String::new(),
        };
        let main = account.departments.first().and_then(|main| tree.department(*main));
        let department = main.map(|department| department.name.as_str()).unwrap_or_default();
        let address = account.address.to_string();
        let values = [
            &*account.display_name,
            department,
            &account.profile.title,
            &company,
            &account.profile.phone,
            &address,
        ];
        Ok(values.map(value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pennypost_model::Timestamp;

    fn card(name: &str, departments: &[u32], compulsory: bool, assigned: i64) -> Card {
        Card {
            name: name.to_owned(),
            wording: Wording { text: "{name}".to_owned(), html: None },
            departments: departments.iter().map(|id| DepartmentId(*id)).collect(),
            published: true,
            compulsory,
            assigned: Timestamp(assigned),
        }
    }

    /// Feature BRD-13: in several departments with different compulsory cards the last assigned wins
    #[test]
    fn of_several_compulsory_cards_the_nearest_and_of_these_the_last_holds() {
        let line = |ids: &[u32]| ids.iter().map(|id| DepartmentId(*id)).collect::<Vec<_>>();
        let cards = [
            card("all", &[1], true, 9),
            card("sales", &[3], true, 5),
            card("lab", &[4], true, 7),
            card("choice", &[3], false, 8),
        ];
        for (lines, name) in [
            (vec![line(&[1])], Some("all")),
            (vec![line(&[3, 1])], Some("sales")),
            (vec![line(&[5, 3, 1])], Some("sales")),
            (vec![line(&[3, 1]), line(&[4, 1])], Some("lab")),
            (vec![], None),
        ] {
            assert_eq!(compulsory(&cards, &lines).map(|card| &*card.name), name, "{lines:?}");
        }
        let names: Vec<&str> = offered(&cards, &[line(&[5, 3, 1])]).iter().map(|card| &*card.name).collect();
        assert_eq!(names, ["choice"]);
        let mut hidden = cards.to_vec();
        hidden[1].published = false;
        assert_eq!(compulsory(&hidden, &[line(&[3, 1])]).map(|card| &*card.name), Some("all"));
    }
}
