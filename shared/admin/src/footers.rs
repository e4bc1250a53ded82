//! Texts that stand in members' letters: company footers and a disclaimer (BRD-09), members' cards (BRD-12, BRD-13).
//!
//! Who is told of a card is written down with the change, with the ids of the letters; then the letters go; then it is noted that they
//! went. Who dies in between leaves letters that go with the next change of cards, or with the daily housekeeping; each member gets one.

use std::collections::BTreeMap;

use pennypost_directory::{
    Card, CardChoice, CardNews, Directory, Dress, FooterError, FooterFault, FooterProblem, FooterRules,
    Function, MAX_FOOTER_HTML, MAX_FOOTER_LINES, MAX_FOOTER_NAME, MAX_FOOTER_TEXT, MarkupProblem, OwnCards,
    Page, Wording,
};
use pennypost_model::event::{Recipient, SourceKind, Via};
use pennypost_model::{AccountKey, TenantId};
use pennypost_text::{Text, say};
use serde_json::{Value, json};

use crate::action::Action;
use crate::authorise::Scope;
use crate::call::{About, Call};
use crate::notices::{Envelope, both};
use crate::{AdminError, Administration};

/// So much news of cards is told at once; more is told by housekeeping.
const AT_ONCE: usize = 4;
/// Accounts that are read at once, and recipients of one event.
const PAGE: usize = 500;

/// What is wrong with a footer or a card, as people read it.
#[must_use]
pub fn say_footer(fault: &FooterFault, text: &Text) -> String {
    match fault {
        FooterFault::Name => say!(text, "footer-bad-name", limit = MAX_FOOTER_NAME),
        FooterFault::Twice => say!(text, "footer-twice"),
        FooterFault::NoFooter => say!(text, "footer-unknown"),
        FooterFault::Text => {
            say!(text, "footer-bad-text", limit = MAX_FOOTER_TEXT, lines = MAX_FOOTER_LINES)
        }
        FooterFault::Html => say!(text, "footer-bad-html", limit = MAX_FOOTER_HTML),
        FooterFault::Markup(MarkupProblem::Unbalanced(name)) if name.is_empty() => {
            say!(text, "footer-html-open")
        }
        FooterFault::Markup(MarkupProblem::Unbalanced(name)) => {
            say!(text, "footer-html-unbalanced", name = name.as_str())
        }
        FooterFault::Markup(MarkupProblem::Element(name)) => {
            say!(text, "footer-html-element", name = name.as_str())
        }
        FooterFault::Markup(MarkupProblem::Attribute(name)) => {
            say!(text, "footer-html-attribute", name = name.as_str())
        }
        FooterFault::Markup(MarkupProblem::Address) => say!(text, "footer-html-address"),
        FooterFault::Markup(MarkupProblem::Comment) => say!(text, "footer-html-comment"),
        FooterFault::Placeholder(word) => say!(text, "footer-bad-word", word = word.as_str()),
        FooterFault::Nowhere => say!(text, "footer-nowhere"),
        FooterFault::TooMany(limit) => say!(text, "error-too-many", limit = *limit),
        FooterFault::TooLarge => say!(text, "footer-too-large"),
        FooterFault::Compulsory { department, card } => {
            say!(text, "card-compulsory-twice", department = department.to_string(), card = card.as_str())
        }
        FooterFault::NoCard => say!(text, "card-not-offered"),
        FooterFault::Locked => say!(text, "card-locked"),
    }
}

fn refused(error: FooterError) -> AdminError {
    match error {
        FooterError::Problem(problem) => AdminError::Footer(problem),
        FooterError::Directory(error) => error.into(),
    }
}

fn fault(pointer: &str, fault: FooterFault) -> AdminError {
    AdminError::Footer(FooterProblem { pointer: pointer.to_owned(), fault })
}

/// What one says and the other doesn't: texts by their names, since the log is no place for them.
fn difference(said: &FooterRules, other: &FooterRules) -> Value {
    let mut told = json!({});
    let fresh = said.footers.iter().filter(|footer| !other.footers.contains(footer));
    let fresh: Vec<&str> = fresh.map(|footer| &*footer.name).collect();
    if !fresh.is_empty() {
        told["footers"] = fresh.into();
    }
    if said.in_force != other.in_force {
        told["in_force"] = json!(said.in_force);
    }
    let departments = said.departments.iter().filter(|(id, name)| other.departments.get(id) != Some(name));
    let departments: BTreeMap<String, Value> =
        departments.map(|(id, name)| (id.to_string(), json!(name))).collect();
    if !departments.is_empty() {
        told["departments"] = json!(departments);
    }
    if said.disclaimer != other.disclaimer {
        let begins = |wording: &Wording| wording.text.chars().take(100).collect::<String>();
        told["disclaimer"] = json!(said.disclaimer.as_ref().map(begins));
    }
    told
}

fn cards_document(cards: &[Card], other: &[Card]) -> Value {
    let fresh = cards.iter().filter(|card| !other.contains(card)).map(|card| {
        let departments: Vec<u32> = card.departments.iter().map(|id| id.0).collect();
        json!({
            "card": card.name, "departments": departments, "published": card.published,
            "compulsory": card.compulsory,
        })
    });
    fresh.collect()
}

impl Administration {
    /// What an organisation says of footers.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn footers(&self, call: &Call, tenant: TenantId) -> Result<FooterRules, AdminError> {
        call.may(Action::FooterRead, &Scope::Tenant(tenant))?;
        self.stored_tenant(tenant).await?;
        Ok(self.directory.footers(tenant).await?.rules)
    }

    /// Says something else, if what holds is still as `expected`. Letters that are handed in get it within half a minute.
    ///
    /// # Errors
    /// [`FooterProblem`], or others of [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn change_footers(
        &self,
        call: &Call,
        tenant: TenantId,
        expected: &FooterRules,
        rules: &FooterRules,
    ) -> Result<(), AdminError> {
        let about = About::new(Some(tenant), Action::FooterChange, "footers")
            .from(difference(expected, rules))
            .to(difference(rules, expected));
        self.permit(call, &Scope::Tenant(tenant), &about).await?;
        self.stored_tenant(tenant).await?;
        self.act(call, &about, async {
            let changed = self.directory.change_footer_rules(tenant, expected, rules).await;
            if changed.map_err(refused)? { Ok(()) } else { Err(AdminError::Changed) }
        })
        .await
    }

    /// The cards of an organisation's members.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn cards(&self, call: &Call, tenant: TenantId) -> Result<Vec<Card>, AdminError> {
        call.may(Action::CardRead, &Scope::Tenant(tenant))?;
        self.stored_tenant(tenant).await?;
        Ok(self.directory.footers(tenant).await?.cards)
    }

    /// Says other cards, if those there are still as `expected`, and tells members whose cards these are, or were. More than one is a function of
    /// the plan.
    ///
    /// # Errors
    /// [`FooterProblem`]; [`crate::Conflict::NotInPlan`]; or others of [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn change_cards(
        &self,
        call: &Call,
        tenant: TenantId,
        expected: &[Card],
        cards: Vec<Card>,
    ) -> Result<Vec<Card>, AdminError> {
        let about = About::new(Some(tenant), Action::CardChange, "cards")
            .from(cards_document(expected, &cards))
            .to(cards_document(&cards, expected));
        self.permit(call, &Scope::Tenant(tenant), &about).await?;
        self.stored_tenant(tenant).await?;
        if cards.len() > 1 && cards.len() > expected.len() {
            self.needs_function(tenant, Function::Cards).await?;
        }
        let cards = self
            .act(call, &about, async {
                let changed = self.directory.change_cards(tenant, expected, cards).await;
                changed.map_err(refused)?.ok_or(AdminError::Changed)
            })
            .await?;
        // It holds; who is not told now is told by housekeeping.
        let is_quick = || async {
            let said = self.directory.footers(tenant).await;
            said.is_ok_and(|said| said.news.len() <= AT_ONCE)
        };
        if self.workshop.is_some()
            && is_quick().await
            && let Err(error) = self.tell_of_cards(tenant).await
        {
            tracing::warn!(%tenant, %error, "not all members were told of cards");
        }
        Ok(cards)
    }

    /// What would stand in a letter of an account, handed in now.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn letter_footers(&self, call: &Call, key: AccountKey) -> Result<Dress, AdminError> {
        let (account, _) = self.seen(call, Action::FooterPreview, key).await?;
        Ok(self.directory.dress(&account).await?)
    }

    /// The cards that an account may choose from, or has to use.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn own_cards(&self, call: &Call, key: AccountKey) -> Result<OwnCards, AdminError> {
        let (account, _) = self.seen(call, Action::OwnCardRead, key).await?;
        Ok(self.directory.own_cards(&account).await?)
    }

    /// Chooses a card of an account, or none, if what is chosen is still as `expected`.
    ///
    /// # Errors
    /// [`FooterFault::NoCard`] for one that is not offered, [`FooterFault::Locked`] where one is compulsory; or others of
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn choose_card(
        &self,
        call: &Call,
        key: AccountKey,
        expected: Option<&CardChoice>,
        choice: Option<CardChoice>,
    ) -> Result<(), AdminError> {
        let document = |choice: Option<&CardChoice>| {
            json!(choice.map(|choice| json!({ "card": choice.card, "always": choice.always })))
        };
        let object = key.account.to_string();
        let about = About::new(Some(key.tenant), Action::OwnCardChoose, &object);
        let account = self.permitted(call, &about, key).await?;
        let address = account.address.to_string();
        let about =
            About { object: &address, ..about }.from(document(expected)).to(document(choice.as_ref()));
        self.act(call, &about, async {
            let cards = self.directory.own_cards(&account).await?;
            if cards.chosen.as_ref() != expected {
                return Err(AdminError::Changed);
            }
            if let Some(choice) = &choice {
                if cards.compulsory.is_some() {
                    return Err(fault("/card", FooterFault::Locked));
                }
                if !cards.offered.iter().any(|(card, _)| choice.is_of(card)) {
                    return Err(fault("/card", FooterFault::NoCard));
                }
            }
            Ok(self.directory.choose_card(key, choice.clone()).await?)
        })
        .await
    }

    /// Tells those members who have not been told yet which cards are theirs, or are no more; how many letters went.
    ///
    /// # Errors
    /// [`AdminError`]; whoever was told before gets no second letter.
    #[pennypost_ports::compiled_here]
    pub async fn tell_of_cards(&self, tenant: TenantId) -> Result<usize, AdminError> {
        if !self.stored_tenant(tenant).await?.has_footers {
            return Ok(0);
        }
        let said = self.directory.footers(tenant).await?;
        let mut told = 0;
        for news in said.news {
            let tree = self.directory.departments(tenant).await?;
            let mut page = Page { after: None, limit: PAGE };
            loop {
                let listed = self.directory.accounts(tenant, &page).await?;
                let now = self.clock.now();
                let theirs = listed.items.into_iter().filter(|account| {
                    account.is_open(now) && Directory::is_in_departments(account, &tree, &news.departments)
                });
                let recipients = theirs.map(|account| Recipient {
                    account: account.key,
                    address: account.address.to_string(),
                    via: Via::Direct,
                });
                told += self.write_of_card(tenant, &news, recipients.collect()).await?;
                page.after = listed.next;
                if page.after.is_none() {
                    break;
                }
            }
            self.directory.told_of_card(tenant, news.letter).await?;
        }
        Ok(told)
    }

    async fn write_of_card(
        &self,
        tenant: TenantId,
        news: &CardNews,
        recipients: Vec<Recipient>,
    ) -> Result<usize, AdminError> {
        let Some(first) = recipients.first() else { return Ok(0) };
        let domain = first.address.rsplit('@').next().unwrap_or_default().to_owned();
        let card = news.card.as_str();
        let subject = |text: &Text| match news.is_assigned {
            true => say!(text, "letter-card-assigned-subject", card = card),
            false => say!(text, "letter-card-stopped-subject", card = card),
        };
        let body = |text: &Text| match (news.is_assigned, news.is_compulsory) {
            (true, true) => say!(text, "letter-card-compulsory", card = card),
            (true, false) => say!(text, "letter-card-assigned", card = card),
            (false, _) => say!(text, "letter-card-stopped", card = card),
        };
        let (subject, body) = (both(subject, " / "), both(body, "\n\n"));
        let told = recipients.len();
        let envelope = Envelope { tenant, recipients, kind: SourceKind::System };
        self.post_as(news.letter, (&domain, "undisclosed-recipients:;"), (&subject, &body), envelope).await?;
        Ok(told)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pennypost_directory::{DepartmentId, Footer};
    use pennypost_text::Lang;

    #[test]
    fn the_log_tells_names_and_what_is_different() {
        let wording = |text: &str| Wording { text: text.to_owned(), html: None };
        let footer = |text: &str| Footer {
            name: "main".to_owned(),
            wording: wording(text),
            is_above: false,
            inside: true,
            outside: true,
        };
        let before = FooterRules { footers: vec![footer("a")], ..FooterRules::default() };
        let after = FooterRules {
            footers: vec![footer("b")],
            in_force: Some("main".to_owned()),
            departments: [(DepartmentId(3), None)].into(),
            disclaimer: Some(wording("secret")),
        };
        let told = json!({
            "footers": ["main"], "in_force": "main", "departments": { "3": null }, "disclaimer": "secret",
        });
        assert_eq!(difference(&after, &before), told);
        assert_eq!(difference(&before, &before), json!({}));
    }

    #[test]
    fn everything_that_is_wrong_is_said_in_both_languages() {
        let name = "b".to_owned();
        for fault in [
            FooterFault::Name,
            FooterFault::Twice,
            FooterFault::NoFooter,
            FooterFault::Text,
            FooterFault::Html,
            FooterFault::Markup(MarkupProblem::Unbalanced(String::new())),
            FooterFault::Markup(MarkupProblem::Unbalanced(name.clone())),
            FooterFault::Markup(MarkupProblem::Element(name.clone())),
            FooterFault::Markup(MarkupProblem::Attribute(name.clone())),
            FooterFault::Markup(MarkupProblem::Address),
            FooterFault::Markup(MarkupProblem::Comment),
            FooterFault::Placeholder(name.clone()),
            FooterFault::Nowhere,
            FooterFault::TooMany(20),
            FooterFault::TooLarge,
            FooterFault::Compulsory { department: DepartmentId(3), card: name },
            FooterFault::NoCard,
            FooterFault::Locked,
        ] {
            let [english, chinese] = [Lang::En, Lang::ZhCn].map(|lang| say_footer(&fault, &Text::new(lang)));
            assert!(english.is_ascii() && !chinese.is_ascii(), "{english} {chinese}");
        }
    }
}
