//! `serve --demo`: a tenant to look at, with two accounts and sample mail.

use std::path::Path;

use crate::import::Import;
use crate::mail_files::Format;
use crate::office::Office;
use crate::text::Text;
use crate::{Failed, say};

const TENANT: &str = "demo";
const DOMAIN: &str = "demo.test";
const PEOPLE: [(&str, &str); 2] =
    [("alice@demo.test", "Alice Zhang 张爱丽"), ("bob@demo.test", "Bob Li 李博")];
/// Known to everybody: the demo listens on loopback and holds sample mail.
const PASSWORD: &str = "penny-post-1840";

/// What was prepared.
pub struct Demo {
    /// The accounts.
    pub addresses: Vec<&'static str>,
    /// Their password.
    pub password: String,
    /// Sample messages that are new.
    pub imported: u64,
}

/// Makes the demo tenant, or finds it.
pub async fn prepare(office: &Office, mail: &Path, text: &Text) -> Result<Demo, Failed> {
    let directory = &office.directory;
    let tenant = match directory.tenant_named(TENANT).await? {
        Some(tenant) => tenant,
        None => directory.add_tenant(TENANT).await?,
    };
    if directory.domain(DOMAIN).await?.is_none() {
        directory.add_domain(tenant.id, DOMAIN).await?;
    }
    let open_account = office.open_account();
    let mut keys = Vec::new();
    for (address, name) in PEOPLE {
        let account = match directory.account_at(address).await? {
            Some(account) => account,
            None => directory.add_account(address, PASSWORD, name, None).await?,
        };
        open_account(account.key).await.map_err(Failed::Said)?;
        keys.push(account.key);
    }
    let mut imported = 0;
    if mail.is_dir() {
        let mut import = Import::begin(office, keys[0], "INBOX", text).await?;
        import.read(mail, Format::Folder, &indicatif::ProgressBar::hidden()).await?;
        imported = import.done.imported;
    } else {
        eprintln!("{}", say!(text, "demo-no-mail", path = mail.display().to_string()));
    }
    let addresses = PEOPLE.iter().map(|(address, _)| *address).collect();
    Ok(Demo { addresses, password: PASSWORD.to_owned(), imported })
}
