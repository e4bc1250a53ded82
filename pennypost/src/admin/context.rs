//! What every command needs: the directory, the language, where to read and where to print.

use std::io::{BufRead, Read, Write};

use futures::future::BoxFuture;
use parking_lot::Mutex;
use pennypost_admin::{Action, Administration};
use pennypost_directory::{Account, Directory, DirectoryError, Domain, Page, Tenant};
use pennypost_model::{AccountKey, TenantId};
use serde_json::Value;

use crate::admin::AdminError;
use crate::say;
use crate::text::Text;

/// Opens the journal of a fresh account; the text of an error is shown as its cause.
pub type OpenAccount = dyn Fn(AccountKey) -> BoxFuture<'static, Result<(), String>> + Send + Sync;

/// Deletes all mail of an account that is going to be erased; the text of an error is shown as its cause.
pub type EmptyAccount = OpenAccount;

/// Where passwords come from.
pub trait Console: Send + Sync {
    /// One line of standard input without its line end; `None` at its end. At most 4,096 bytes are read.
    ///
    /// # Errors
    /// When it cannot be read or is no UTF-8.
    fn read_line(&self) -> std::io::Result<Option<String>>;

    /// Asks for a secret without showing it.
    ///
    /// # Errors
    /// When there is no terminal.
    fn ask_secret(&self, prompt: &str) -> std::io::Result<String>;
}

/// The process's standard input and terminal.
#[derive(Debug, Clone, Copy, Default)]
pub struct Terminal;

/// Bytes of a line of standard input.
const MAX_LINE: u64 = 4_096;

impl Console for Terminal {
    fn read_line(&self) -> std::io::Result<Option<String>> {
        let mut line = String::new();
        let read = std::io::stdin().lock().take(MAX_LINE).read_line(&mut line)?;
        Ok((read > 0).then(|| line.trim_end_matches(['\r', '\n']).to_owned()))
    }

    fn ask_secret(&self, prompt: &str) -> std::io::Result<String> {
        rpassword::prompt_password(prompt)
    }
}

/// What every command needs.
pub struct AdminContext<'a> {
    /// The directory.
    pub directory: Directory,
    /// Where the log of operations is.
    pub administration: Administration,
    /// The person's language.
    pub text: Text,
    /// Print JSON.
    pub json: bool,
    /// Called for each account that was added, so that its mailboxes are there before the first mail.
    pub open_account: &'a OpenAccount,
    /// Called for each account that is going to be erased.
    pub empty_account: &'a EmptyAccount,
    /// Standard input and terminal.
    pub console: &'a dyn Console,
    /// Standard output.
    pub output: Mutex<Box<dyn Write + Send>>,
    /// Standard error, for what goes wrong in a row of many.
    pub errors: Mutex<Box<dyn Write + Send>>,
}

impl<'a> AdminContext<'a> {
    /// A context of this process: prints to standard output and error, reads from standard input.
    #[must_use]
    pub fn new(
        administration: Administration,
        text: Text,
        json: bool,
        open_account: &'a OpenAccount,
        empty_account: &'a EmptyAccount,
    ) -> AdminContext<'a> {
        AdminContext {
            directory: administration.directory().clone(),
            administration,
            text,
            json,
            open_account,
            empty_account,
            console: &Terminal,
            output: Mutex::new(Box::new(std::io::stdout())),
            errors: Mutex::new(Box::new(std::io::stderr())),
        }
    }

    /// Does something that the log of operations tells of: before it is done, and again if it fails. The book is a tenant's,
    /// or the installation's.
    pub(crate) async fn recorded<R, E: Into<AdminError>>(
        &self,
        book: impl Into<Option<TenantId>>,
        action: Action,
        object: &str,
        after: Value,
        effect: impl Future<Output = Result<R, E>>,
    ) -> Result<R, AdminError> {
        let (book, log) = (book.into(), &self.administration);
        let of = log.record_command(book, action, object, after).await.map_err(unrecorded)?;
        match effect.await.map_err(Into::into) {
            Ok(done) => Ok(done),
            Err(error) => {
                let cause = error.to_string();
                let noted = log.record_failed_command(book, action, object, of, cause).await;
                noted.map_err(unrecorded)?;
                Err(error)
            }
        }
    }

    /// The same, done to an account.
    pub(crate) async fn recorded_of<R, E: Into<AdminError>>(
        &self,
        account: &Account,
        action: Action,
        after: Value,
        effect: impl Future<Output = Result<R, E>>,
    ) -> Result<R, AdminError> {
        self.recorded(account.key.tenant, action, &account.address.to_string(), after, effect).await
    }

    /// The same at an address. Where its domain is nobody's there is no book, and nothing can be done.
    pub(crate) async fn recorded_at<R, E: Into<AdminError>>(
        &self,
        address: &str,
        action: Action,
        after: Value,
        effect: impl Future<Output = Result<R, E>>,
    ) -> Result<R, AdminError> {
        let domain = address.rsplit('@').next().unwrap_or_default();
        match self.directory.domain(domain).await {
            Ok(Some(domain)) => self.recorded(domain.tenant, action, address, after, effect).await,
            Ok(None) | Err(DirectoryError::Address(_)) => effect.await.map_err(Into::into),
            Err(error) => Err(error.into()),
        }
    }

    /// The tenant of that name or id.
    pub(crate) async fn tenant(&self, name: &str) -> Result<Tenant, AdminError> {
        let tenant = self.directory.tenant_named(name).await?;
        let missing = || AdminError::Said(say!(self.text, "error-no-tenant", name = name));
        tenant.ok_or_else(missing)
    }

    /// The tenant of that name, or the only one there is.
    pub(crate) async fn tenant_or_only(&self, name: Option<&str>) -> Result<Tenant, AdminError> {
        if let Some(name) = name {
            return self.tenant(name).await;
        }
        let mut tenants = self.directory.tenants(&Page { after: None, limit: 2 }).await?.items;
        match (tenants.pop(), tenants.is_empty()) {
            (Some(only), true) => Ok(only),
            (Some(_), false) => Err(AdminError::Said(say!(self.text, "error-which-tenant"))),
            (None, _) => Err(AdminError::Said(say!(self.text, "error-no-tenant-yet"))),
        }
    }

    /// The tenant of that name, or all, page by page.
    pub(crate) async fn tenant_or_all(&self, name: Option<&str>) -> Result<Vec<Tenant>, AdminError> {
        if let Some(name) = name {
            return Ok(vec![self.tenant(name).await?]);
        }
        let mut all = Vec::new();
        let mut page = Page::default();
        loop {
            let listed = self.directory.tenants(&page).await?;
            all.extend(listed.items);
            let Some(next) = listed.next else { return Ok(all) };
            page.after = Some(next);
        }
    }

    /// The domain of that name.
    pub(crate) async fn domain(&self, name: &str) -> Result<Domain, AdminError> {
        let domain = self.directory.domain(name).await?;
        domain.ok_or_else(|| AdminError::Said(say!(self.text, "error-no-domain", name = name)))
    }

    /// The account at an address.
    pub(crate) async fn account(&self, address: &str) -> Result<pennypost_directory::Account, AdminError> {
        let account = self.directory.account_at(address).await?;
        account.ok_or_else(|| AdminError::Said(say!(self.text, "error-no-account", name = address)))
    }
}

/// What is not recorded is not done.
pub(crate) fn unrecorded(error: pennypost_admin::AdminError) -> AdminError {
    match error {
        pennypost_admin::AdminError::Directory(error) => error.into(),
        other => AdminError::Said(other.to_string()),
    }
}
