//! `pennypost card …`: cards of members (BRD-12, BRD-13), and which one an account uses (SND-10).

use std::path::PathBuf;

use clap::{Args, Subcommand};
use pennypost_admin::AdminError;
use pennypost_directory::{Card, CardChoice, DirectoryError, OwnCards, Tenant, Wording, fold_name};
use pennypost_model::Timestamp;
use serde_json::{Value, json};

use super::footer::wording;
use super::{OPERATOR, refused, tenant};
use crate::office::Office;
use crate::print::{Output, time};
use crate::text::Text;
use crate::{Failed, say};

/// What is said of a card.
#[derive(Debug, Args)]
pub struct SetArgs {
    /// Its name
    name: String,
    /// The file with its text; {name}, {department}, {title}, {company}, {phone} and {email} stand for what is known of a member
    #[arg(long, value_name = "FILE")]
    text_file: Option<PathBuf>,
    /// The file with the same as HTML [default: the text, line by line]
    #[arg(long, value_name = "FILE", requires = "text_file")]
    html_file: Option<PathBuf>,
    /// A department, with those below it; / is the organisation; may be given several times, and stands for all that were said before
    #[arg(long)]
    department: Vec<String>,
    /// Members have it
    #[arg(long)]
    publish: bool,
    /// They don't
    #[arg(long, conflicts_with = "publish")]
    unpublish: bool,
    /// It stands in all of their letters
    #[arg(long)]
    compulsory: bool,
    /// They choose
    #[arg(long, conflicts_with = "compulsory")]
    optional: bool,
    /// Name or id of the tenant; may be left out if there is only one
    #[arg(long)]
    tenant: Option<String>,
}

/// Subcommands of `card`.
#[derive(Debug, Subcommand)]
pub enum CardCommand {
    /// Show the cards
    #[command(after_help = "Example:\n  pennypost card show --tenant acme")]
    Show {
        /// Name or id of the tenant; may be left out if there is only one
        #[arg(long)]
        tenant: Option<String>,
    },
    /// Make a card, or change one; what is not said stays; members are told by a letter
    #[command(
        after_help = "Example:\n  pennypost card set staff --text-file card.txt --department / --publish --compulsory"
    )]
    Set(SetArgs),
    /// Remove a card
    #[command(after_help = "Example:\n  pennypost card remove staff")]
    Remove {
        /// Its name
        name: String,
        /// Name or id of the tenant; may be left out if there is only one
        #[arg(long)]
        tenant: Option<String>,
    },
    /// Show the cards of an account, and which it uses
    #[command(after_help = "Example:\n  pennypost card of ann@example.com")]
    Of {
        /// Its address
        address: String,
    },
    /// Choose a card that is offered to an account, or none
    #[command(after_help = "Examples:
  pennypost card choose ann@example.com staff --always
  pennypost card choose ann@example.com --none")]
    Choose {
        /// Its address
        address: String,
        /// The card
        #[arg(required_unless_present = "none")]
        card: Option<String>,
        /// It stands in all letters of the account
        #[arg(long, requires = "card")]
        always: bool,
        /// None
        #[arg(long, conflicts_with = "card")]
        none: bool,
    },
}

/// Does what was asked.
pub async fn run(
    office: &Office,
    command: &CardCommand,
    text: &Text,
    output: &mut Output<'_>,
) -> Result<(), Failed> {
    let administration = office.administration();
    let told = |error: AdminError| refused(error, text);
    match command {
        CardCommand::Show { tenant: name } => {
            let tenant = tenant(office, name.as_deref(), text).await?;
            let cards = administration.cards(&OPERATOR, tenant.id).await.map_err(told)?;
            show(office, &tenant, &cards, text, output).await
        }
        CardCommand::Set(args) => {
            let tenant = tenant(office, args.tenant.as_deref(), text).await?;
            let said = args
                .text_file
                .as_deref()
                .map(|file| wording(file, args.html_file.as_ref(), text))
                .transpose()?;
            let tree = office.directory.departments(tenant.id).await?;
            let mut departments = Vec::new();
            for path in &args.department {
                departments.push(tree.find(path).ok_or_else(|| DirectoryError::NoDepartment(path.clone()))?);
            }
            let seen = administration.cards(&OPERATOR, tenant.id).await.map_err(told)?;
            let mut cards = seen.clone();
            let card = find_or_add(&mut cards, &args.name);
            if let Some(said) = said {
                card.wording = said;
            }
            if !departments.is_empty() {
                card.departments = departments.into_iter().collect();
            }
            card.published = card.published && !args.unpublish || args.publish;
            card.compulsory = card.compulsory && !args.optional || args.compulsory;
            let cards =
                administration.change_cards(&OPERATOR, tenant.id, &seen, cards).await.map_err(told)?;
            show(office, &tenant, &cards, text, output).await
        }
        CardCommand::Remove { name, tenant: of } => {
            let tenant = tenant(office, of.as_deref(), text).await?;
            let seen = administration.cards(&OPERATOR, tenant.id).await.map_err(told)?;
            let mut cards = seen.clone();
            cards.retain(|card| fold_name(&card.name) != fold_name(name));
            if cards.len() == seen.len() {
                return Err(Failed::Said(say!(text, "card-missing", name = name.as_str())));
            }
            let cards =
                administration.change_cards(&OPERATOR, tenant.id, &seen, cards).await.map_err(told)?;
            show(office, &tenant, &cards, text, output).await
        }
        CardCommand::Of { address } => {
            let key = office.account(address, text).await?.key;
            let cards = administration.own_cards(&OPERATOR, key).await.map_err(told)?;
            show_own(&cards, text, output)
        }
        CardCommand::Choose { address, card, always, none: _ } => {
            let key = office.account(address, text).await?.key;
            let seen = administration.own_cards(&OPERATOR, key).await.map_err(told)?;
            let choice = card.clone().map(|card| CardChoice { card, always: *always });
            administration.choose_card(&OPERATOR, key, seen.chosen.as_ref(), choice).await.map_err(told)?;
            let cards = administration.own_cards(&OPERATOR, key).await.map_err(told)?;
            show_own(&cards, text, output)
        }
    }
}

/// The card of that name, a new one if there is none.
fn find_or_add<'a>(cards: &'a mut Vec<Card>, name: &str) -> &'a mut Card {
    let known = cards.iter().position(|card| fold_name(&card.name) == fold_name(name));
    let at = known.unwrap_or_else(|| {
        cards.push(Card {
            name: name.to_owned(),
            wording: Wording { text: String::new(), html: None },
            departments: [].into(),
            published: false,
            compulsory: false,
            assigned: Timestamp(0),
        });
        cards.len() - 1
    });
    &mut cards[at]
}

fn state(card: &Card, text: &Text) -> String {
    match (card.published, card.compulsory) {
        (false, _) => say!(text, "card-unpublished"),
        (true, true) => say!(text, "card-compulsory"),
        (true, false) => say!(text, "card-optional"),
    }
}

async fn show(
    office: &Office,
    tenant: &Tenant,
    cards: &[Card],
    text: &Text,
    output: &mut Output<'_>,
) -> Result<(), Failed> {
    let tree = office.directory.departments(tenant.id).await?;
    let mut rows = Vec::new();
    for card in cards {
        let departments: Vec<String> = card
            .departments
            .iter()
            .map(|id| tree.path(*id).join("/"))
            .map(|path| if path.is_empty() { "/".to_owned() } else { path })
            .collect();
        let document = json!({
            "name": card.name, "text": card.wording.text, "html": card.wording.html, "departments": departments,
            "published": card.published, "compulsory": card.compulsory, "assigned": card.assigned.rfc3339(),
        });
        let row = vec![card.name.clone(), departments.join(", "), state(card, text), time(card.assigned)];
        rows.push((row, document));
    }
    let heads = vec![
        say!(text, "card-name"),
        say!(text, "card-departments"),
        say!(text, "card-state"),
        say!(text, "word-since"),
    ];
    Ok(output.table(heads, rows, &say!(text, "card-none"))?)
}

fn show_own(cards: &OwnCards, text: &Text, output: &mut Output<'_>) -> Result<(), Failed> {
    let all = cards.compulsory.iter().chain(&cards.offered);
    let rows = all.map(|(card, piece)| {
        let chosen = cards.chosen.as_ref().filter(|choice| choice.is_of(card));
        let state = match chosen {
            Some(choice) if choice.always => say!(text, "card-always"),
            Some(_) => say!(text, "card-chosen"),
            None => state(card, text),
        };
        let document: Value = json!({
            "name": card.name, "text": piece.text, "html": piece.html, "compulsory": card.compulsory,
            "chosen": chosen.is_some(), "always": chosen.is_some_and(|choice| choice.always),
        });
        (vec![card.name.clone(), state], document)
    });
    let heads = vec![say!(text, "card-name"), say!(text, "card-state")];
    Ok(output.table(heads, rows.collect(), &say!(text, "card-none"))?)
}
