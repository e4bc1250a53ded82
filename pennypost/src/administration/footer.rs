//! `pennypost footer …`: footers and the disclaimer that stand in members' letters (BRD-09).

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand, ValueEnum};
use pennypost_admin::AdminError;
use pennypost_directory::{DirectoryError, Dress, Footer, FooterRules, Tenant, Wording, fold_name};
use serde_json::{Value, json};

use super::{OPERATOR, refused, tenant};
use crate::office::Office;
use crate::print::Output;
use crate::text::Text;
use crate::{Failed, say};

/// In which letters a footer stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Letters {
    /// Those to the organisation's own people
    Inside,
    /// Those to others
    Outside,
    /// Both
    Both,
}

/// Where it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Place {
    /// Above the member's own signature, where that can be told
    Above,
    /// At the end
    Below,
}

/// What is said of a footer.
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
    /// Where it stands [default: below]
    #[arg(long)]
    place: Option<Place>,
    /// In which letters it stands [default: both]
    #[arg(long)]
    letters: Option<Letters>,
    /// Name or id of the tenant; may be left out if there is only one
    #[arg(long)]
    tenant: Option<String>,
}

/// Subcommands of `footer`.
#[derive(Debug, Subcommand)]
pub enum FooterCommand {
    /// Show the footers, which is in force, and the disclaimer
    #[command(after_help = "Example:\n  pennypost footer show --tenant acme")]
    Show {
        /// Name or id of the tenant; may be left out if there is only one
        #[arg(long)]
        tenant: Option<String>,
    },
    /// Make a footer, or change one; what is not said stays
    #[command(
        after_help = "Example:\n  pennypost footer set company --text-file footer.txt --html-file footer.html --place above"
    )]
    Set(SetArgs),
    /// Put a footer in force, for all or for departments with those below them
    #[command(
        name = "use",
        after_help = "Examples:
  pennypost footer use company
  pennypost footer use sales --department Sales
  pennypost footer use --none --department Factory
  pennypost footer use --as-all --department Factory"
    )]
    Use {
        /// Its name
        #[arg(required_unless_present_any = ["none", "as_all"])]
        name: Option<String>,
        /// None
        #[arg(long, conflicts_with = "name")]
        none: bool,
        /// The departments: as all others, from now on
        #[arg(long, conflicts_with_all = ["name", "none"], requires = "department")]
        as_all: bool,
        /// A department; may be given several times
        #[arg(long)]
        department: Vec<String>,
        /// Name or id of the tenant; may be left out if there is only one
        #[arg(long)]
        tenant: Option<String>,
    },
    /// Say what stands at the end of all letters to others
    #[command(after_help = "Examples:
  pennypost footer disclaimer --text-file disclaimer.txt
  pennypost footer disclaimer --none")]
    Disclaimer {
        /// The file with its text
        #[arg(long, value_name = "FILE", required_unless_present = "none")]
        text_file: Option<PathBuf>,
        /// The file with the same as HTML
        #[arg(long, value_name = "FILE", requires = "text_file")]
        html_file: Option<PathBuf>,
        /// None any more
        #[arg(long, conflicts_with = "text_file")]
        none: bool,
        /// Name or id of the tenant; may be left out if there is only one
        #[arg(long)]
        tenant: Option<String>,
    },
    /// Remove a footer that is in force nowhere
    #[command(after_help = "Example:\n  pennypost footer remove company")]
    Remove {
        /// Its name
        name: String,
        /// Name or id of the tenant; may be left out if there is only one
        #[arg(long)]
        tenant: Option<String>,
    },
    /// Show what would stand in a letter of an account, card included
    #[command(after_help = "Example:\n  pennypost footer preview ann@example.com")]
    Preview {
        /// Its address
        address: String,
    },
}

/// The text in a file, without a mark of its encoding.
pub(super) fn read(file: &Path, text: &Text) -> Result<String, Failed> {
    let name = file.display().to_string();
    let read = std::fs::read_to_string(file)
        .map_err(|error| Failed::Said(say!(text, "footer-file", file = name, cause = error.to_string())))?;
    Ok(read.strip_prefix('\u{feff}').unwrap_or(&read).replace("\r\n", "\n"))
}

pub(super) fn wording(text_file: &Path, html_file: Option<&PathBuf>, text: &Text) -> Result<Wording, Failed> {
    let html = html_file.map(|file| read(file, text)).transpose()?;
    Ok(Wording { text: read(text_file, text)?, html })
}

/// Does what was asked.
pub async fn run(
    office: &Office,
    command: &FooterCommand,
    text: &Text,
    output: &mut Output<'_>,
) -> Result<(), Failed> {
    match command {
        FooterCommand::Show { tenant: name } => {
            let tenant = tenant(office, name.as_deref(), text).await?;
            let rules = office.administration().footers(&OPERATOR, tenant.id).await;
            show(office, &tenant, &rules.map_err(|error| refused(error, text))?, text, output).await
        }
        FooterCommand::Set(args) => {
            let tenant = tenant(office, args.tenant.as_deref(), text).await?;
            let said = args
                .text_file
                .as_deref()
                .map(|file| wording(file, args.html_file.as_ref(), text))
                .transpose()?;
            changed(office, &tenant, |rules| set(rules, args, said), text, output).await
        }
        FooterCommand::Use { name, none: _, as_all, department, tenant: of } => {
            let tenant = tenant(office, of.as_deref(), text).await?;
            let mut departments = Vec::new();
            if !department.is_empty() {
                let tree = office.directory.departments(tenant.id).await?;
                for path in department {
                    departments
                        .push(tree.find(path).ok_or_else(|| DirectoryError::NoDepartment(path.clone()))?);
                }
            }
            let change = |rules: &mut FooterRules| {
                for id in &departments {
                    match as_all {
                        true => rules.departments.remove(id),
                        false => rules.departments.insert(*id, name.clone()),
                    };
                }
                if departments.is_empty() {
                    rules.in_force.clone_from(name);
                }
            };
            changed(office, &tenant, change, text, output).await
        }
        FooterCommand::Disclaimer { text_file, html_file, none: _, tenant: of } => {
            let tenant = tenant(office, of.as_deref(), text).await?;
            let said =
                text_file.as_deref().map(|file| wording(file, html_file.as_ref(), text)).transpose()?;
            changed(office, &tenant, |rules| rules.disclaimer = said, text, output).await
        }
        FooterCommand::Remove { name, tenant: of } => {
            let tenant = tenant(office, of.as_deref(), text).await?;
            let seen = office.administration().footers(&OPERATOR, tenant.id).await;
            let seen = seen.map_err(|error| refused(error, text))?;
            if seen.footer(name).is_none() {
                return Err(Failed::Said(say!(text, "footer-missing", name = name.as_str())));
            }
            let is_it =
                |used: &Option<String>| used.as_ref().is_some_and(|used| fold_name(used) == fold_name(name));
            if is_it(&seen.in_force) || seen.departments.values().any(is_it) {
                return Err(Failed::Said(say!(text, "footer-removed-used", name = name.as_str())));
            }
            let remove = |rules: &mut FooterRules| {
                rules.footers.retain(|footer| fold_name(&footer.name) != fold_name(name));
            };
            changed(office, &tenant, remove, text, output).await
        }
        FooterCommand::Preview { address } => {
            let key = office.account(address, text).await?.key;
            let dress = office.administration().letter_footers(&OPERATOR, key).await;
            let dress = dress.map_err(|error| refused(error, text))?;
            Ok(output.result(&preview(&dress, text), &preview_document(&dress))?)
        }
    }
}

fn set(rules: &mut FooterRules, args: &SetArgs, said: Option<Wording>) {
    let known = rules.footers.iter_mut().find(|footer| fold_name(&footer.name) == fold_name(&args.name));
    let footer = match known {
        Some(known) => known,
        None => {
            let wording = Wording { text: String::new(), html: None };
            let name = args.name.clone();
            rules.footers.push(Footer { name, wording, is_above: false, inside: true, outside: true });
            let Some(fresh) = rules.footers.last_mut() else { return };
            fresh
        }
    };
    if let Some(said) = said {
        footer.wording = said;
    }
    if let Some(place) = args.place {
        footer.is_above = place == Place::Above;
    }
    if let Some(letters) = args.letters {
        footer.inside = letters != Letters::Outside;
        footer.outside = letters != Letters::Inside;
    }
}

async fn changed(
    office: &Office,
    tenant: &Tenant,
    change: impl FnOnce(&mut FooterRules),
    text: &Text,
    output: &mut Output<'_>,
) -> Result<(), Failed> {
    let administration = office.administration();
    let told = |error: AdminError| refused(error, text);
    let seen = administration.footers(&OPERATOR, tenant.id).await.map_err(told)?;
    let mut rules = seen.clone();
    change(&mut rules);
    administration.change_footers(&OPERATOR, tenant.id, &seen, &rules).await.map_err(told)?;
    show(office, tenant, &rules, text, output).await
}

fn letters(inside: bool, outside: bool, text: &Text) -> String {
    match (inside, outside) {
        (true, true) => say!(text, "footer-both"),
        (true, false) => say!(text, "footer-inside"),
        (false, _) => say!(text, "footer-outside"),
    }
}

fn wording_document(wording: &Wording) -> Value {
    json!({ "text": wording.text, "html": wording.html })
}

async fn show(
    office: &Office,
    tenant: &Tenant,
    rules: &FooterRules,
    text: &Text,
    output: &mut Output<'_>,
) -> Result<(), Failed> {
    let tree = office.directory.departments(tenant.id).await?;
    let path_of = |id| {
        let path = tree.path(id).join("/");
        if path.is_empty() { "/".to_owned() } else { path }
    };
    let is_it =
        |used: Option<&String>, name: &str| used.is_some_and(|used| fold_name(used) == fold_name(name));
    let mut rows = Vec::new();
    for footer in &rules.footers {
        let theirs: Vec<String> = rules
            .departments
            .iter()
            .filter(|(_, name)| is_it(name.as_ref(), &footer.name))
            .map(|(id, _)| path_of(*id))
            .collect();
        let is_in_force = is_it(rules.in_force.as_ref(), &footer.name);
        let everywhere = is_in_force.then(|| say!(text, "word-everybody"));
        let place = if footer.is_above { say!(text, "footer-above") } else { say!(text, "footer-below") };
        let used: Vec<String> = everywhere.into_iter().chain(theirs.clone()).collect();
        let letters = letters(footer.inside, footer.outside, text);
        let document = json!({
            "name": footer.name, "wording": wording_document(&footer.wording), "above": footer.is_above,
            "inside": footer.inside, "outside": footer.outside, "in_force": is_in_force, "departments": theirs,
        });
        rows.push((vec![footer.name.clone(), place, letters, used.join(", ")], document));
    }
    let without: Vec<String> =
        rules.departments.iter().filter(|(_, name)| name.is_none()).map(|(id, _)| path_of(*id)).collect();
    if !without.is_empty() {
        let row = vec![say!(text, "footer-none-of"), String::new(), String::new(), without.join(", ")];
        rows.push((row, json!({ "name": null, "departments": without })));
    }
    if let Some(disclaimer) = &rules.disclaimer {
        let row = vec![
            say!(text, "footer-disclaimer"),
            say!(text, "footer-below"),
            say!(text, "footer-outside"),
            String::new(),
        ];
        rows.push((row, json!({ "disclaimer": wording_document(disclaimer) })));
    }
    let heads = vec![
        say!(text, "footer-name"),
        say!(text, "footer-place"),
        say!(text, "footer-letters"),
        say!(text, "footer-in-force"),
    ];
    Ok(output.table(heads, rows, &say!(text, "footer-none"))?)
}

fn preview(dress: &Dress, text: &Text) -> String {
    if dress.pieces.is_empty() {
        return say!(text, "footer-none");
    }
    let shown = dress.pieces.iter().map(|piece| {
        let place = if piece.is_above { say!(text, "footer-above") } else { say!(text, "footer-below") };
        format!("[{}, {place}]\n{}", letters(piece.inside, piece.outside, text), piece.text)
    });
    shown.collect::<Vec<_>>().join("\n\n")
}

fn preview_document(dress: &Dress) -> Value {
    let piece = |piece: &pennypost_directory::DressPiece| {
        json!({
            "text": piece.text, "html": piece.html, "above": piece.is_above, "inside": piece.inside,
            "outside": piece.outside,
        })
    };
    dress.pieces.iter().map(piece).collect()
}

#[cfg(test)]
mod tests {
    use super::super::tests::done;
    use super::*;
    use crate::test_office::{self, documents};

    #[tokio::test(flavor = "multi_thread")]
    async fn footers_and_cards_are_said_by_commands() {
        let it = test_office::office().await;
        let address = it.account.address.to_string();
        let dir = tempfile::tempdir().expect("a folder");
        let file = |name: &str, text: &str| {
            let path = dir.path().join(name);
            std::fs::write(&path, text).expect("written");
            path.display().to_string()
        };
        let say = async |line: String| documents(&done(&it, &line, true).await.expect(&line));
        let none = done(&it, "footer show", false).await.expect("shown");
        assert!(none[0].contains("nothing is put into messages"), "{none:?}");
        let (text, html) = (file("a.txt", "\u{feff}{email}\r\n"), file("a.html", "<b>{email}</b>"));
        let said = say(format!("footer set main --text-file {text} --html-file {html} --place above")).await;
        assert_eq!(said[0]["above"], true);
        assert_eq!(said[0]["wording"], json!({ "text": "{email}\n", "html": "<b>{email}</b>" }));
        assert_eq!(said[0]["in_force"], false);
        let said = say("footer use main".to_owned()).await;
        assert_eq!(said[0]["in_force"], true);
        let said = say("footer set main --letters inside".to_owned()).await;
        assert_eq!((&said[0]["outside"], &said[0]["above"]), (&json!(false), &json!(true)));
        say(format!("footer disclaimer --text-file {}", file("d.txt", "secret"))).await;
        let shown = say(format!("footer preview {address}")).await;
        assert_eq!(
            (&shown[0][0]["text"], &shown[0][1]["text"]),
            (&json!(address), &json!("secret")),
            "{shown:?}"
        );
        say("footer use --none --department /".to_owned()).await;
        let shown = done(&it, &format!("footer preview {address}"), false).await.expect("shown").join("\n");
        assert!(shown.contains("secret") && !shown.contains(&address), "{shown}");
        say("footer use --as-all --department /".to_owned()).await;
        say("footer disclaimer --none".to_owned()).await;

        let card = file("card.txt", "a card of {company}");
        let said = say(format!("card set staff --text-file {card} --department / --publish")).await;
        assert_eq!((&said[0]["departments"], &said[0]["compulsory"]), (&json!(["/"]), &json!(false)));
        say(format!("card choose {address} staff --always")).await;
        let own = done(&it, &format!("card of {address}"), false).await.expect("shown").join(" ");
        assert!(own.contains("in all messages"), "{own}");
        say("card set staff --compulsory".to_owned()).await;
        let bad = file("bad.txt", "{fax}");
        let open = file("bad.html", "<b>");
        for (line, why) in [
            (format!("footer set x --text-file {bad}"), "fax"),
            (format!("footer set x --text-file {text} --html-file {open}"), "begin and end"),
            ("footer set x".to_owned(), "a text has"),
            ("footer use x".to_owned(), "no footer has that name"),
            ("footer use main --department nowhere".to_owned(), "department"),
            ("footer remove main".to_owned(), "is in force"),
            ("footer remove x".to_owned(), "no footer x"),
            ("footer disclaimer --text-file /nowhere".to_owned(), "can't be read"),
            (format!("card choose {address} staff"), "compulsory"),
            ("card remove x".to_owned(), "no card x"),
        ] {
            let refused = done(&it, &line, false).await.expect_err(&line);
            assert!(refused.contains(why), "{line} {refused}");
        }
        say("footer use --none".to_owned()).await;
        let none = done(&it, "footer remove main", false).await.expect("removed");
        assert!(none[0].contains("nothing is put into messages"), "{none:?}");
        done(&it, "card remove staff", false).await.expect("removed");
        let log = done(&it, "log list", false).await.expect("listed").join(" ");
        assert!(log.contains("footer.change") && log.contains("card.change"), "{log}");
    }
}
