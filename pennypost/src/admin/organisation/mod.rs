//! `pennypost organisation …`: a whole organisation from tables and into tables (ORG-09, ORG-13, ORG-28, GRP-08).
//!
//! What tables are, and what becomes of their rows, is [`pennypost_organisation`]'s. Repeating an import that was cut off
//! with --skip-existing adds what is missing.

mod export;
mod import;

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use pennypost_organisation::{Column, Kind};

use crate::admin::{AdminContext, AdminError};

/// Subcommands of `organisation`.
#[derive(Debug, Subcommand)]
pub enum OrganisationCommand {
    /// Import departments, people and groups from CSV files and workbooks (XLSX)
    #[command(
        after_help = "Examples:\n  pennypost organisation import people.csv --tenant acme --dry-run\n  \
        pennypost organisation import departments.csv people.csv groups.csv\n  \
        pennypost organisation import acme.xlsx --skip-existing\n\n\
        The first line of a file or sheet names its columns, in English or Chinese; “pennypost organisation template” prints \
        them. Departments are paths from the top: Research/Compilers; those that people are in and that are not there \
        are made. Several of them, and aliases and members, are separated by semicolons. CSV files are UTF-8, UTF-16 or \
        GB18030, with commas, semicolons or tabs. Without a password nobody can sign in until one is set: \
        “pennypost account passwd”."
    )]
    Import(ImportArgs),
    /// Export departments, people and groups into CSV files that the import reads
    #[command(after_help = "Example:\n  pennypost organisation export ./acme --tenant acme")]
    Export {
        /// The folder for departments.csv, people.csv and groups.csv
        folder: PathBuf,
        /// Which tenant's
        #[arg(long)]
        tenant: Option<String>,
    },
    /// Print the columns of a table for the import, and an example row
    #[command(after_help = "Examples:\n  pennypost organisation template people > people.csv\n  \
        pennypost organisation template groups --lang zh-CN")]
    Template {
        /// Of which table
        #[arg(value_enum)]
        kind: TableKind,
    },
}

/// Arguments of `organisation import`.
#[derive(Debug, Args)]
pub struct ImportArgs {
    /// The files, in any order
    #[arg(required = true)]
    pub files: Vec<PathBuf>,
    /// Which tenant's
    #[arg(long)]
    pub tenant: Option<String>,
    /// Check every row, change nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Leave out people and groups that are there already, instead of refusing their rows
    #[arg(long)]
    pub skip_existing: bool,
    /// Put people without a department into this one
    #[arg(long)]
    pub department: Option<String>,
}

/// A kind of table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum TableKind {
    /// Departments
    Departments,
    /// People
    People,
    /// Groups
    Groups,
}

impl OrganisationCommand {
    /// Does what was asked.
    ///
    /// # Errors
    /// [`AdminError`].
    pub async fn run(&self, context: &AdminContext<'_>) -> Result<(), AdminError> {
        match self {
            OrganisationCommand::Import(arguments) => import::run(context, arguments).await,
            OrganisationCommand::Export { folder, tenant } => {
                let tenant = context.tenant_or_only(tenant.as_deref()).await?;
                export::run(context, &tenant, folder).await
            }
            OrganisationCommand::Template { kind } => template(context, *kind),
        }
    }
}

fn template(context: &AdminContext<'_>, kind: TableKind) -> Result<(), AdminError> {
    let kind = match kind {
        TableKind::Departments => Kind::Departments,
        TableKind::People => Kind::People,
        TableKind::Groups => Kind::Groups,
    };
    let lang = context.text.lang();
    let heads: Vec<&str> = kind.columns().iter().map(|column| column.name(lang)).collect();
    let example: Vec<&str> = kind.columns().iter().map(|column: &Column| column.example(kind)).collect();
    context.csv_row(&heads)?;
    context.csv_row(&example)
}
