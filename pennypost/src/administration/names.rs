//! `pennypost names …`: whose names members' letters bear, and in which form (ORG-27).

use clap::{Args, Subcommand, ValueEnum};
use pennypost_admin::Names;
use pennypost_directory::NameForm;
use serde_json::{Value, json};

use super::{OPERATOR, refused, tenant};
use crate::office::Office;
use crate::print::Output;
use crate::text::Text;
use crate::{Failed, say};

/// Whose names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum By {
    /// Those that administrators have given
    Administrators,
    /// Those that mail programs say
    Programs,
}

/// What is to hold.
#[derive(Debug, Args)]
pub struct SetArgs {
    /// Who says the names
    #[arg(long, value_name = "WHO")]
    by: Option<By>,
    /// Their form: text with {name}, and if wished with {department}, {title} and {organisation}
    #[arg(long)]
    form: Option<NameForm>,
    /// No form any more: names as they are
    #[arg(long, conflicts_with = "form")]
    no_form: bool,
    /// Name or id of the tenant; may be left out if there is only one
    #[arg(long)]
    tenant: Option<String>,
}

/// Subcommands of `names`.
#[derive(Debug, Subcommand)]
pub enum NamesCommand {
    /// Show what holds
    #[command(after_help = "Example:\n  pennypost names show --tenant acme")]
    Show {
        /// Name or id of the tenant; may be left out if there is only one
        #[arg(long)]
        tenant: Option<String>,
    },
    /// Say what holds from now on; what is not said stays
    #[command(after_help = "Examples:
  pennypost names set --by administrators --form '{name} ({department})'
  pennypost names set --by programs")]
    Set(SetArgs),
}

/// Does what was asked.
pub async fn run(
    office: &Office,
    command: &NamesCommand,
    text: &Text,
    output: &mut Output<'_>,
) -> Result<(), Failed> {
    let administration = office.administration();
    let told = |error| refused(error, text);
    let names = match command {
        NamesCommand::Show { tenant: name } => {
            let tenant = tenant(office, name.as_deref(), text).await?;
            administration.names(&OPERATOR, tenant.id).await.map_err(told)?
        }
        NamesCommand::Set(args) => {
            let tenant = tenant(office, args.tenant.as_deref(), text).await?;
            let seen = administration.names(&OPERATOR, tenant.id).await.map_err(told)?;
            let form = args.form.clone().or_else(|| seen.form.clone().filter(|_| !args.no_form));
            let unified = args.by.map_or(seen.unified, |by| by == By::Administrators);
            let names = Names { unified, form };
            administration.change_names(&OPERATOR, tenant.id, &seen, &names).await.map_err(told)?;
            names
        }
    };
    Ok(output.result(&sentence(&names, text), &document(&names))?)
}

fn sentence(names: &Names, text: &Text) -> String {
    match (&names.form, names.unified) {
        (_, false) => say!(text, "names-of-programs"),
        (None, true) => say!(text, "names-of-administrators"),
        (Some(form), true) => say!(text, "names-in-form", form = form.to_string()),
    }
}

fn document(names: &Names) -> Value {
    json!({ "unified": names.unified, "form": names.form.as_ref().map(ToString::to_string) })
}
