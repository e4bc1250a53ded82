//! `pennypost profile …`: what an organisation says of itself (TEN-12).

use std::path::PathBuf;

use clap::{Args, Subcommand};
use pennypost_admin::{Action, AdminError, Logo, MAX_LOGO, SeenOrganisation};
use serde_json::json;

use super::{OPERATOR, refused, tenant};
use crate::office::Office;
use crate::print::{Output, aligned, clean, time};
use crate::text::Text;
use crate::{Failed, say};

/// Subcommands of `profile`.
#[derive(Debug, Subcommand)]
pub enum ProfileCommand {
    /// Show names, contact address and logo of an organisation, and how many members and departments it has
    #[command(after_help = "Example:\n  pennypost profile show --tenant acme")]
    Show {
        /// Name or id of the tenant; may be left out if there is only one
        #[arg(long)]
        tenant: Option<String>,
    },
    /// Say something else
    #[command(after_help = "Examples:
  pennypost profile set --contact '1 Mail Road' --logo logo.png --tenant acme
  pennypost profile set --no-logo")]
    Set(SetArgs),
}

/// What is said.
#[derive(Debug, Args)]
pub struct SetArgs {
    /// Where the organisation is
    #[arg(long)]
    contact: Option<String>,
    /// A picture: PNG, JPEG or WebP of 64 KB at most
    #[arg(long, value_name = "FILE")]
    logo: Option<PathBuf>,
    /// Have no logo
    #[arg(long, conflicts_with = "logo")]
    no_logo: bool,
    /// Name or id of the tenant; may be left out if there is only one
    #[arg(long)]
    tenant: Option<String>,
}

/// Does what was asked.
pub async fn run(
    office: &Office,
    command: &ProfileCommand,
    text: &Text,
    output: &mut Output<'_>,
) -> Result<(), Failed> {
    let administration = office.administration();
    let name = match command {
        ProfileCommand::Show { tenant } => tenant,
        ProfileCommand::Set(args) => &args.tenant,
    };
    let id = tenant(office, name.as_deref(), text).await?.id;
    let seen = administration.organisation_for(Action::OrganisationChange, &OPERATOR, id).await;
    let mut seen = seen.map_err(|error| refused(error, text))?;
    if let ProfileCommand::Set(args) = command {
        let mut profile = seen.profile.clone();
        if let Some(contact) = &args.contact {
            profile.contact.clone_from(contact);
        }
        if let Some(path) = &args.logo {
            profile.logo = Some(logo(path, text)?);
        }
        if args.no_logo {
            profile.logo = None;
        }
        let changed = administration.change_profile(&OPERATOR, id, &seen.profile, profile).await;
        seen.profile = changed.map_err(|error| refused(error, text))?;
    }
    let counts = administration.organisation_counts(&OPERATOR, id).await;
    let counts = counts.map_err(|error| refused(error, text))?;
    show(&seen, (counts.members, counts.departments), text, output)
}

fn logo(path: &std::path::Path, text: &Text) -> Result<Logo, Failed> {
    use std::io::Read;
    let failed = |cause: std::io::Error| {
        let (path, cause) = (path.display().to_string(), cause.to_string());
        Failed::Said(say!(text, "profile-file", path = path, cause = cause))
    };
    let mut bytes = Vec::new();
    // One byte more than there may be is enough to refuse it.
    let file = std::fs::File::open(path).map_err(failed)?;
    file.take(MAX_LOGO as u64 + 1).read_to_end(&mut bytes).map_err(failed)?;
    Logo::of(bytes).map_err(|error| refused(AdminError::from(error), text))
}

fn show(
    seen: &SeenOrganisation,
    (members, departments): (usize, usize),
    text: &Text,
    output: &mut Output<'_>,
) -> Result<(), Failed> {
    let logo = seen.profile.logo.as_ref();
    if output.json {
        let document = json!({
            "id": seen.tenant.to_string(),
            "name": seen.name,
            "short_name": seen.short_name,
            "created": seen.created.rfc3339(),
            "contact": seen.profile.contact,
            "logo": logo.map(|logo| json!({ "media_type": logo.kind().media_type(), "bytes": logo.bytes().len() })),
            "members": members,
            "departments": departments,
        });
        return Ok(output.line(&document.to_string())?);
    }
    let shown = logo.map_or_else(
        || "-".to_owned(),
        |logo| format!("{}, {}", logo.kind().media_type(), crate::print::size(logo.bytes().len() as u64)),
    );
    let lines = [
        [say!(text, "word-name"), clean(&seen.name)],
        [say!(text, "word-number"), seen.tenant.to_string()],
        [say!(text, "word-short-name"), clean(&seen.short_name)],
        [say!(text, "word-created"), time(seen.created)],
        [say!(text, "word-contact"), clean(&seen.profile.contact)],
        [say!(text, "word-logo"), shown],
        [say!(text, "word-members"), members.to_string()],
        [say!(text, "word-departments"), departments.to_string()],
    ];
    Ok(aligned(&lines).iter().try_for_each(|line| output.line(line))?)
}
