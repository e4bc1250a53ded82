//! `serve --demo`: a tenant to look at, with two accounts and sample mail.

use std::io::Write;
use std::net::SocketAddr;
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

/// Everybody knows the password: the demo must not be reached from elsewhere.
pub fn check_addresses(addresses: &[SocketAddr], text: &Text) -> Result<(), Failed> {
    match addresses.iter().find(|address| !address.ip().to_canonical().is_loopback()) {
        None => Ok(()),
        Some(open) => Err(Failed::Said(say!(text, "demo-not-loopback", address = open.to_string()))),
    }
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
        let missing = say!(text, "demo-no-mail", path = mail.display().to_string());
        let _ = writeln!(std::io::stderr(), "{missing}");
    }
    let addresses = PEOPLE.iter().map(|(address, _)| *address).collect();
    Ok(Demo { addresses, password: PASSWORD.to_owned(), imported })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::Lang;

    #[test]
    fn the_demo_listens_on_loopback_only() {
        let text = Text::new(Lang::En);
        let check = |addresses: &[&str]| {
            let addresses: Vec<SocketAddr> = addresses.iter().map(|a| a.parse().expect("address")).collect();
            check_addresses(&addresses, &text)
        };
        assert!(check(&["127.0.0.1:25", "[::1]:0", "127.9.9.9:1", "[::ffff:127.0.0.1]:25"]).is_ok());
        for open in ["0.0.0.0:25", "[::]:25", "192.0.2.1:25"] {
            let refused = check(&["127.0.0.1:25", open]).expect_err(open).message(&text);
            assert!(refused.contains(open), "{refused}");
        }
    }
}
