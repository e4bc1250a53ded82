//! `pennypost contact …`: whom administrators turn to (ADM-05).

use clap::Subcommand;
use pennypost_admin::Contact;
use serde_json::{Value, json};

use super::{OPERATOR, refused, tenant};
use crate::office::Office;
use crate::print::{Output, clean};
use crate::text::Text;
use crate::{Failed, say};

/// Subcommands of `contact`.
#[derive(Debug, Subcommand)]
pub enum ContactCommand {
    /// Show whom administrators turn to
    #[command(after_help = "Example:\n  pennypost contact show --tenant acme")]
    Show {
        /// Name or id of a tenant of which another one is said [default: all others]
        #[arg(long)]
        tenant: Option<String>,
    },
    /// Say whom administrators turn to, what is not said staying as it is; with nothing said at all, nobody, or for a tenant
    /// whom all others turn to
    #[command(after_help = "Examples:
  pennypost contact set --name 'The Post Office' --phone '+86 10 1234' --mail help@post.example
  pennypost contact set --name 'A reseller' --tenant acme")]
    Set {
        /// Who it is
        #[arg(long)]
        name: Option<String>,
        /// A telephone number
        #[arg(long)]
        phone: Option<String>,
        /// An address for letters
        #[arg(long)]
        mail: Option<String>,
        /// Name or id of a tenant of which it is said [default: all others]
        #[arg(long)]
        tenant: Option<String>,
    },
}

/// Does what was asked.
pub async fn run(
    office: &Office,
    command: &ContactCommand,
    text: &Text,
    output: &mut Output<'_>,
) -> Result<(), Failed> {
    let administration = office.administration();
    let told = |error| refused(error, text);
    let (ContactCommand::Show { tenant: named } | ContactCommand::Set { tenant: named, .. }) = command;
    let book = match named {
        Some(name) => Some(tenant(office, Some(name), text).await?.id),
        None => None,
    };
    let seen = administration.contact(&OPERATOR, book).await.map_err(told)?;
    let shown = match command {
        ContactCommand::Show { .. } => seen,
        ContactCommand::Set { name, phone, mail, .. } => {
            let is_anything_said = name.is_some() || phone.is_some() || mail.is_some();
            let before = if is_anything_said { seen.clone() } else { Contact::default() };
            let contact = Contact {
                name: name.clone().unwrap_or(before.name),
                phone: phone.clone().unwrap_or(before.phone),
                mail: mail.clone().unwrap_or(before.mail),
            };
            administration.change_contact(&OPERATOR, book, &seen, &contact).await.map_err(told)?
        }
    };
    let sentence = if shown.is_empty() {
        say!(text, "contact-none")
    } else {
        let fields = [&shown.name, &shown.phone, &shown.mail];
        let fields: Vec<String> =
            fields.into_iter().filter(|field| !field.is_empty()).map(|field| clean(field)).collect();
        say!(text, "contact-is", who = fields.join(", "))
    };
    Ok(output.result(&sentence, &document(&shown))?)
}

fn document(contact: &Contact) -> Value {
    json!({ "name": contact.name, "phone": contact.phone, "mail": contact.mail })
}
