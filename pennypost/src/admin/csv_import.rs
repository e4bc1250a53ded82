//! `pennypost account add --csv FILE`: many accounts at once.
//!
//! Each row stands for itself: a bad one is reported with its line and the rest goes on. Repeating an import
//! that was cut off adds what is missing and reports the others as taken. Memory holds one row and the
//! addresses seen.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::path::Path;

use pennypost_directory::{MailAddress, NewAccount};
use pennypost_organisation::parse_size;
use serde_json::json;

use crate::admin::account::{add_and_open, report};
use crate::admin::password::made_up;
use crate::admin::{AdminContext, AdminError};
use crate::say;

/// Megabytes of a file that are read.
const MAX_MEGABYTES: u64 = 64;

/// Columns that are known; those that an export adds are read over.
const COLUMNS: [&str; 4] = ["address", "name", "quota", "password"];
const IGNORED: [&str; 3] = ["state", "tenant", "created"];

struct Row {
    address: String,
    name: String,
    quota: Option<u64>,
    password: Option<String>,
}

/// Adds the accounts of a file, or only checks them.
pub(crate) async fn run(
    context: &AdminContext<'_>,
    path: &Path,
    default_quota: Option<u64>,
    dry_run: bool,
) -> Result<(), AdminError> {
    let text = &context.text;
    let shown_path = path.display().to_string();
    let unreadable =
        |cause: String| AdminError::Said(say!(text, "error-file", path = &shown_path, cause = cause));
    let file = File::open(path).map_err(|error| unreadable(error.to_string()))?;
    let length = file.metadata().map_err(|error| unreadable(error.to_string()))?.len();
    if length > MAX_MEGABYTES * 1_000_000 {
        return Err(AdminError::Said(say!(
            text,
            "error-file-too-large",
            path = &shown_path,
            limit = MAX_MEGABYTES
        )));
    }
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::Headers).flexible(true).from_reader(file);
    let header = reader.headers().map_err(|error| unreadable(error.to_string()))?.clone();
    let columns = columns(context, &shown_path, &header)?;

    let mut seen = HashSet::new();
    let (mut added, mut failed) = (0_u64, 0_u64);
    let mut record = csv::StringRecord::new();
    loop {
        let outcome = match reader.read_record(&mut record) {
            Ok(false) => break,
            Ok(true) => import(context, &columns, &record, &mut seen, default_quota, dry_run).await,
            Err(error) if error.is_io_error() => return Err(unreadable(error.to_string())),
            // The one thing left: a field is no UTF-8.
            Err(_) => Err(AdminError::Said(say!(text, "error-csv-utf8"))),
        };
        match outcome {
            Ok(()) => added += 1,
            Err(AdminError::Output(error)) => return Err(AdminError::Output(error)),
            Err(error) => {
                failed += 1;
                let line = record.position().map_or(0, csv::Position::line);
                let cause = error.message(text);
                context.complain(&say!(text, "error-csv-row", line = line, cause = cause))?;
            }
        }
    }
    if failed > 0 {
        return Err(AdminError::Said(say!(text, "error-csv-some-failed", failed = failed, added = added)));
    }
    let sentence = if dry_run {
        say!(text, "csv-dry-run", added = added)
    } else {
        say!(text, "csv-imported", added = added)
    };
    context.print(&sentence, &json!({"rows": added, "failed": failed, "dry_run": dry_run}))
}

/// Which column stands where.
fn columns(
    context: &AdminContext<'_>,
    path: &str,
    header: &csv::StringRecord,
) -> Result<HashMap<&'static str, usize>, AdminError> {
    let wrong = |column: &str| {
        let shown: String = column.chars().take(80).collect();
        AdminError::Said(say!(context.text, "error-csv-header", path = path, column = shown))
    };
    let mut columns = HashMap::new();
    for (index, name) in header.iter().enumerate() {
        // Spreadsheets like to put a byte order mark in front.
        let name = name.trim_start_matches('\u{feff}').to_lowercase();
        match COLUMNS.into_iter().find(|known| *known == name) {
            Some(known) => {
                if columns.insert(known, index).is_some() {
                    return Err(wrong(&name));
                }
            }
            None if IGNORED.contains(&name.as_str()) => {}
            None => return Err(wrong(&name)),
        }
    }
    if columns.contains_key("address") {
        return Ok(columns);
    }
    Err(wrong(&header.iter().collect::<Vec<_>>().join(",")))
}

async fn import(
    context: &AdminContext<'_>,
    columns: &HashMap<&'static str, usize>,
    record: &csv::StringRecord,
    seen: &mut HashSet<MailAddress>,
    default_quota: Option<u64>,
    dry_run: bool,
) -> Result<(), AdminError> {
    let row = read(context, columns, record)?;
    if let Ok(address) = MailAddress::parse(&row.address)
        && !seen.insert(address)
    {
        return Err(AdminError::Said(say!(context.text, "error-csv-twice", address = &row.address)));
    }
    let generated = match &row.password {
        Some(_) => None,
        None => Some(made_up(context, &row.address, &row.name).await?),
    };
    let password = row.password.as_deref().or(generated.as_deref()).unwrap_or_default();
    if dry_run {
        return Ok(context.directory.check_new_account(&row.address, Some(password), &row.name).await?);
    }
    let new = NewAccount {
        address: &row.address,
        password: Some(password),
        display_name: &row.name,
        quota_bytes: row.quota.or(default_quota),
        ..NewAccount::default()
    };
    let account = add_and_open(context, &new).await?;
    let shown = account.address.to_string();
    report(context, &say!(context.text, "account-added", address = shown), &account, generated.as_deref())
}

fn read(
    context: &AdminContext<'_>,
    columns: &HashMap<&'static str, usize>,
    record: &csv::StringRecord,
) -> Result<Row, AdminError> {
    let field = |name| columns.get(name).and_then(|index| record.get(*index)).unwrap_or_default();
    let quota = match field("quota").trim() {
        "" => None,
        quota => {
            let wrong = |_| AdminError::Said(say!(context.text, "error-csv-quota", text = quota));
            Some(parse_size(quota).map_err(wrong)?)
        }
    };
    Ok(Row {
        address: field("address").trim().to_owned(),
        name: field("name").trim().to_owned(),
        quota,
        password: Some(field("password")).filter(|password| !password.is_empty()).map(str::to_owned),
    })
}
