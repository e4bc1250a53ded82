//! Accounts that wrong passwords, or codes of the second factor, have locked (AUT-16).

use clap::Args;
use pennypost_admin::AccountLock;
use pennypost_directory::Page;
use pennypost_model::{AccountKey, TenantId};
use serde_json::{Value, json};

use super::super::{OPERATOR, refused, tenant};
use crate::office::Office;
use crate::print::{Output, time};
use crate::text::Text;
use crate::{Failed, say};

/// Arguments of `sign-in unlock`.
#[derive(Debug, Args)]
pub struct UnlockArgs {
    /// Addresses of accounts
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    addresses: Vec<String>,
    /// All that are locked
    #[arg(long)]
    all: bool,
    /// Name or id of the tenant; may be left out if there is only one
    #[arg(long, requires = "all")]
    tenant: Option<String>,
}

async fn locked(office: &Office, tenant: TenantId, text: &Text) -> Result<Vec<AccountLock>, Failed> {
    let administration = office.administration();
    let (mut found, mut page) = (Vec::new(), Page::default());
    loop {
        let listed = administration.locks(&OPERATOR, tenant, &page).await;
        let listed = listed.map_err(|error| refused(error, text))?;
        found.extend(listed.items);
        let Some(next) = listed.next else { return Ok(found) };
        page.after = Some(next);
    }
}

/// Lists them.
pub(super) async fn list(
    office: &Office,
    tenant: TenantId,
    text: &Text,
    output: &mut Output<'_>,
) -> Result<(), Failed> {
    let rows = locked(office, tenant, text).await?.iter().map(|one| row(one, text)).collect();
    let heads = vec![
        say!(text, "word-address"),
        say!(text, "word-for-whom"),
        say!(text, "word-since"),
        say!(text, "word-locked-until"),
        say!(text, "word-from"),
        say!(text, "word-failures"),
    ];
    Ok(output.table(heads, rows, &say!(text, "locks-none"))?)
}

fn row(locked: &AccountLock, text: &Text) -> (Vec<String>, Value) {
    let AccountLock { address, lock } = locked;
    let (of_codes, place) = match lock.place.strip_prefix("code/") {
        Some(place) => (true, place),
        None => (false, lock.place.as_str()),
    };
    let place = if place == "strangers" { say!(text, "lock-strangers") } else { place.to_owned() };
    let place = if of_codes { say!(text, "lock-codes", place = place.as_str()) } else { place };
    let until = lock.until.map_or_else(|| say!(text, "lock-until-unlocked"), time);
    let client = lock.client.to_string();
    let cells = vec![address.clone(), place, time(lock.since), until, client.clone(), lock.wrong.to_string()];
    let document = json!({
        "address": address,
        "account": lock.account.to_string(),
        "place": lock.place,
        "since": lock.since.rfc3339(),
        "until": lock.until.map(|until| until.rfc3339()),
        "from": client,
        "wrong": lock.wrong,
    });
    (cells, document)
}

/// Unlocks them.
pub(super) async fn unlock(
    office: &Office,
    args: &UnlockArgs,
    text: &Text,
    output: &mut Output<'_>,
) -> Result<(), Failed> {
    let mut accounts: Vec<(String, AccountKey)> = Vec::new();
    if args.all {
        let tenant = tenant(office, args.tenant.as_deref(), text).await?;
        for AccountLock { address, lock } in locked(office, tenant.id, text).await? {
            accounts.push((address, AccountKey { tenant: tenant.id, account: lock.account }));
        }
        accounts.dedup();
    }
    for address in &args.addresses {
        let account = office.account(address, text).await?;
        accounts.push((account.address.to_string(), account.key));
    }
    if accounts.is_empty() {
        return Ok(output.line(&say!(text, "locks-none"))?);
    }
    for (address, key) in accounts {
        let unlocked = office.administration().unlock(&OPERATOR, key).await;
        unlocked.map_err(|error| refused(error, text))?;
        let said = say!(text, "account-unlocked", address = address.as_str());
        output.result(&said, &json!({ "address": address, "unlocked": true }))?;
    }
    Ok(())
}
