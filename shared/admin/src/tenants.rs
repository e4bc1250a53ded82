//! Tenants, their domains, what they let in, what they say about mail programs; and the log.

use pennypost_directory::{
    ClientSettings, DirectoryError, Domain, Listed, Page, Tenant, TenantPolicy, TenantState,
};
use pennypost_model::{TenantId, Timestamp};
use serde_json::{Value, json};

use crate::action::Action;
use crate::authorise::Scope;
use crate::call::{About, Call};
use crate::operations::{Book, Record};
use crate::{AdminError, Administration};

/// What is to be different about a tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TenantChange {
    /// May it use the post office?
    pub state: TenantState,
}

const fn state_name(state: TenantState) -> &'static str {
    match state {
        TenantState::Active => "active",
        TenantState::Suspended => "suspended",
        TenantState::Erasing => "erasing",
    }
}

/// As a document for the log.
pub(crate) fn clients(settings: &ClientSettings) -> Value {
    serde_json::to_value(settings).unwrap_or_default()
}

fn policy_of(policy: &TenantPolicy) -> Value {
    let shown = |list: &[pennypost_directory::SenderPattern]| -> Vec<String> {
        list.iter().map(ToString::to_string).collect()
    };
    json!({
        "blacklist": shown(&policy.blacklist),
        "whitelist": shown(&policy.whitelist),
        "subject_filter": policy.subject_filter,
        "dmarc_reject": policy.dmarc_reject,
        "junk_threshold": policy.junk_threshold,
    })
}

impl Administration {
    /// Tenants in the order of their names.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn tenants(&self, call: &Call, page: &Page) -> Result<Listed<Tenant>, AdminError> {
        call.may(Action::TenantList, &Scope::Installation)?;
        Ok(self.directory.tenants(page).await?)
    }

    /// Opens a tenant.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn add_tenant(&self, call: &Call, name: &str) -> Result<Tenant, AdminError> {
        let about = About::new(None, Action::TenantAdd, name);
        self.permit(call, &Scope::Installation, &about).await?;
        self.act(call, &about, self.directory.add_tenant(name)).await
    }

    /// A tenant.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn tenant(&self, call: &Call, tenant: TenantId) -> Result<Tenant, AdminError> {
        call.may(Action::TenantRead, &Scope::Tenant(tenant))?;
        self.stored_tenant(tenant).await
    }

    pub(crate) async fn stored_tenant(&self, tenant: TenantId) -> Result<Tenant, AdminError> {
        self.directory.tenant(tenant).await?.ok_or(AdminError::NotFound("tenant"))
    }

    /// Suspends a tenant or lets it in again, if it is still as `expected`.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn change_tenant(
        &self,
        call: &Call,
        expected: &Tenant,
        change: TenantChange,
    ) -> Result<Tenant, AdminError> {
        let about = About::new(Some(expected.id), Action::TenantState, &expected.name)
            .from(json!({ "state": state_name(expected.state) }))
            .to(json!({ "state": state_name(change.state) }));
        self.permit(call, &Scope::Tenant(expected.id), &about).await?;
        let amended = async {
            let is_as_expected =
                self.directory.amend_tenant(expected, |tenant| tenant.state = change.state).await?;
            if is_as_expected { Ok(()) } else { Err(AdminError::Changed) }
        };
        self.act(call, &about, amended).await?;
        Ok(Tenant { state: change.state, ..expected.clone() })
    }

    /// What a tenant says about mail programs.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn tenant_clients(&self, call: &Call, tenant: TenantId) -> Result<Tenant, AdminError> {
        call.may(Action::TenantClientsRead, &Scope::Tenant(tenant))?;
        self.stored_tenant(tenant).await
    }

    /// Changes what a tenant says about mail programs, if it still says what is `expected`.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn change_tenant_clients(
        &self,
        call: &Call,
        expected: &Tenant,
        settings: &ClientSettings,
    ) -> Result<Tenant, AdminError> {
        let about = About::new(Some(expected.id), Action::TenantClientsChange, &expected.name)
            .from(clients(&expected.clients))
            .to(clients(settings));
        self.permit(call, &Scope::Tenant(expected.id), &about).await?;
        let amended = async {
            let is_as_expected = self
                .directory
                .amend_tenant(expected, |tenant| tenant.clients = tenant.clients.saying(settings))
                .await?;
            if is_as_expected { Ok(()) } else { Err(AdminError::Changed) }
        };
        self.act(call, &about, amended).await?;
        self.stored_tenant(expected.id).await
    }

    /// Domains of a tenant.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn domains(
        &self,
        call: &Call,
        tenant: TenantId,
        page: &Page,
    ) -> Result<Listed<Domain>, AdminError> {
        call.may(Action::DomainRead, &Scope::Tenant(tenant))?;
        Ok(self.directory.domains(tenant, page).await?)
    }

    /// A domain of the tenant.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn domain(&self, call: &Call, tenant: TenantId, name: &str) -> Result<Domain, AdminError> {
        call.may(Action::DomainRead, &Scope::Tenant(tenant))?;
        self.own(tenant, name).await
    }

    /// Claims a domain for a tenant: its zone has to prove whose it is (DOM-08). By an operator, gives it at once.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn add_domain(&self, call: &Call, tenant: TenantId, name: &str) -> Result<Domain, AdminError> {
        let about = About::new(Some(tenant), Action::DomainAdd, name);
        self.permit(call, &Scope::Tenant(tenant), &about).await?;
        self.stored_tenant(tenant).await?;
        if call.actor.tenant().is_some() {
            return self.act(call, &about, self.claim(call, tenant, name)).await;
        }
        self.act(call, &about, self.directory.add_domain(tenant, name)).await
    }

    /// Names the account for mail to unknown addresses, or none, if the domain is still as `expected`.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn change_domain(
        &self,
        call: &Call,
        expected: &Domain,
        catch_all: Option<&str>,
    ) -> Result<Domain, AdminError> {
        let name = expected.name.to_string();
        let before = expected.catch_all.as_ref().map(|catch_all| catch_all.address.to_string());
        let about = About::new(Some(expected.tenant), Action::DomainChange, &name)
            .from(json!({ "catch_all": before }))
            .to(json!({ "catch_all": catch_all }));
        self.permit(call, &Scope::Tenant(expected.tenant), &about).await?;
        if !expected.state.is_owned() {
            return Err(DirectoryError::DomainState(name).into());
        }
        let amended = async {
            let is_as_expected = self.directory.amend_domain(expected, catch_all).await?;
            if is_as_expected { Ok(()) } else { Err(AdminError::Changed) }
        };
        self.act(call, &about, amended).await?;
        self.own(expected.tenant, &name).await
    }

    /// What a tenant lets in.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn policy(&self, call: &Call, tenant: TenantId) -> Result<TenantPolicy, AdminError> {
        call.may(Action::PolicyRead, &Scope::Tenant(tenant))?;
        self.stored_tenant(tenant).await?;
        // A look that changes nothing reads what was written a moment ago, too.
        Ok(self.directory.update_policy(tenant, |_| Ok(())).await?.1)
    }

    /// Changes what a tenant lets in, if its policy still has that version.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn change_policy(
        &self,
        call: &Call,
        tenant: TenantId,
        expected: &TenantPolicy,
        policy: &TenantPolicy,
    ) -> Result<TenantPolicy, AdminError> {
        let about = About::new(Some(tenant), Action::PolicyChange, "policy")
            .from(policy_of(expected))
            .to(policy_of(policy));
        self.permit(call, &Scope::Tenant(tenant), &about).await?;
        let changed = async {
            let (is_as_expected, stored) = self
                .directory
                .update_policy(tenant, |stored| {
                    let is_as_expected = stored.version == expected.version;
                    if is_as_expected {
                        *stored = TenantPolicy { version: stored.version, ..policy.clone() };
                    }
                    Ok(is_as_expected)
                })
                .await?;
            if is_as_expected { Ok(stored) } else { Err(AdminError::Changed) }
        };
        self.act(call, &about, changed).await
    }

    /// Records of a tenant's log, or of the installation's, from a time on and before another, behind a number. With the
    /// number behind which the next ones are.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn operations(
        &self,
        call: &Call,
        book: Book,
        times: (Option<Timestamp>, Option<Timestamp>),
        after: u64,
        limit: usize,
    ) -> Result<(Vec<Record>, Option<u64>), AdminError> {
        match book {
            Some(tenant) => call.may(Action::LogRead, &Scope::Tenant(tenant))?,
            None => call.may(Action::OperatorLogRead, &Scope::Installation)?,
        }
        self.records(book, times.0, times.1, after, limit).await
    }
}
