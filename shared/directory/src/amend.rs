//! Changes to what somebody has seen: they happen only if it is still as it was seen.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::{Account, Directory, DirectoryError, Domain, Tenant};

/// Amends what is as expected, and remembers whether it was.
fn guarded<'a, T: PartialEq>(
    expected: &'a T,
    amend: impl Fn(&mut T) + 'a,
    is_as_expected: &'a AtomicBool,
) -> impl Fn(&mut T) + 'a {
    move |stored| {
        let is_same = stored == expected;
        is_as_expected.store(is_same, Ordering::Relaxed);
        if is_same {
            amend(stored);
        }
    }
}

impl Directory {
    /// Changes a tenant if it is still as expected; `false` if it is not. Id, name and time stay as they are.
    ///
    /// # Errors
    /// [`DirectoryError::NoTenant`], [`DirectoryError::Contended`], or the port's.
    pub async fn amend_tenant(
        &self,
        expected: &Tenant,
        amend: impl Fn(&mut Tenant),
    ) -> Result<bool, DirectoryError> {
        let is_as_expected = AtomicBool::new(false);
        let amend = |tenant: &mut Tenant| {
            let mut amended = tenant.clone();
            amend(&mut amended);
            (tenant.state, tenant.clients) = (amended.state, amended.clients);
        };
        self.change_tenant(expected.id, guarded(expected, amend, &is_as_expected)).await?;
        Ok(is_as_expected.into_inner())
    }

    /// Changes an account if it is still as expected; `false` if it is not. Key, address and time stay as they are.
    ///
    /// # Errors
    /// [`DirectoryError::NoAccount`], [`DirectoryError::Contended`], or the port's.
    pub async fn amend_account(
        &self,
        expected: &Account,
        amend: impl Fn(&mut Account),
    ) -> Result<bool, DirectoryError> {
        let is_as_expected = AtomicBool::new(false);
        let amend = |account: &mut Account| {
            let seen = account.clone();
            amend(account);
            (account.key, account.address, account.created) = (seen.key, seen.address, seen.created);
        };
        self.change_account(expected.key, guarded(expected, amend, &is_as_expected)).await?;
        Ok(is_as_expected.into_inner())
    }

    /// Names the account that gets mail to unknown addresses of a domain, or none, if the domain is still as expected;
    /// `false` if it is not.
    ///
    /// # Errors
    /// Those of [`Directory::set_catch_all`].
    #[pennypost_ports::compiled_here]
    pub async fn amend_domain(
        &self,
        expected: &Domain,
        account: Option<&str>,
    ) -> Result<bool, DirectoryError> {
        let is_as_expected = AtomicBool::new(false);
        let is_seen = |domain: &Domain| {
            let is_same = domain == expected;
            is_as_expected.store(is_same, Ordering::Relaxed);
            is_same
        };
        self.set_catch_all_where(&expected.name.to_string(), account, is_seen).await?;
        Ok(is_as_expected.into_inner())
    }
}
