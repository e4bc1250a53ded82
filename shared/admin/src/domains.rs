//! Domains: claimed by their tenants, proved and checked by what their zones say (DOM-02, DOM-06 to DOM-13).
//!
//! | partition | sort | holds |
//! | --- | --- | --- |
//! | `installation` | `service` | the [`Service`]: at what the domains of all tenants have to point |
//! | `T/domain-checks` | name | the last [`Report`] of a domain |
//! | `T` | `domain-rules` | what the tenant asks of its domains ([`DomainRules`]) |

use std::sync::Arc;

use pennypost_directory::{
    DirectoryError, Domain, DomainContents, DomainHealth, DomainName, DomainState, Function, MAX_PAGE, Page,
};
use pennypost_domains::{
    Challenge, Checked, Importance, Lists, Proof, Question, Report, Service, Subject, Verdict, Wanted, check,
    prove, reception, wanted,
};
use pennypost_model::TenantId;
use pennypost_model::codec::Versioned;
use pennypost_ports::{ControlKey, Dns, Expected, Https};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::action::Action;
use crate::authorise::Scope;
use crate::call::{About, Call};
use crate::{AdminError, Administration, Conflict};

/// Accounts and addresses that one call for the removal of a domain deals with.
pub const REMOVED_AT_ONCE: usize = 500;

/// How administration looks into the world.
#[derive(Clone)]
pub struct Outside {
    /// Records of domains.
    pub dns: Arc<dyn Dns>,
    /// Policies.
    pub https: Arc<dyn Https>,
}

/// What a tenant asks of its domains.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DomainRules {
    /// No addresses are given in a domain to which mail is not brought yet (DOM-02, DOM-07).
    pub lock_until_active: bool,
}

impl Versioned for DomainRules {
    const KIND: &'static str = "domain rules";
}

/// Everything that is known of a domain's records.
#[derive(Debug, Clone)]
pub struct DomainRecords {
    /// The domain.
    pub domain: Domain,
    /// What should be set.
    pub wanted: Vec<Wanted>,
    /// What was found, the last time when somebody looked.
    pub report: Option<Report>,
}

fn report_key(tenant: TenantId, name: &DomainName) -> ControlKey {
    ControlKey::new(format!("{tenant}/domain-checks"), name.to_string())
}

fn rules_key(tenant: TenantId) -> ControlKey {
    ControlKey::new(tenant.to_string(), "domain-rules")
}

fn challenge_of(domain: &Domain) -> Option<Challenge> {
    let (token, digits) = domain.challenge.clone()?;
    Some(Challenge { token, digits })
}

/// The counts of a removal, as whoever wants it has to say them again.
#[must_use]
pub fn removal_code(domain: &Domain, contents: &DomainContents) -> String {
    let DomainContents { accounts, aliases, groups } = contents;
    format!("{}-{accounts}-{aliases}-{groups}", domain.name)
}

impl Administration {
    /// The same, able to look up what tenants have set.
    #[must_use]
    pub fn looking_up(self, dns: Arc<dyn Dns>, https: Arc<dyn Https>) -> Administration {
        Administration { outside: Some(Outside { dns, https }), ..self }
    }

    pub(crate) fn outside(&self) -> Result<&Outside, AdminError> {
        self.outside.as_ref().ok_or(AdminError::NoLookUps)
    }

    /// At what all domains have to point, if the operator has said it.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn service(&self, call: &Call) -> Result<Option<Service>, AdminError> {
        call.may(Action::ServiceRead, &Scope::Installation)?;
        Ok(self.read::<Service>(&Service::key()).await?.map(|(service, _)| service))
    }

    /// Says at what all domains have to point, if it is still as `expected`.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn change_service(
        &self,
        call: &Call,
        expected: Option<&Service>,
        service: Service,
    ) -> Result<Service, AdminError> {
        let service = service.checked().map_err(|error| AdminError::Service(error.to_string()))?;
        let about = About::new(None, Action::ServiceChange, "service").to(json!({
            "mx": service.mx.iter().map(|mx| format!("{} {}", mx.preference, mx.host)).collect::<Vec<_>>(),
            "spf": service.spf,
        }));
        self.permit(call, &Scope::Installation, &about).await?;
        let write = async {
            let stored = self.read::<Service>(&Service::key()).await?;
            if stored.as_ref().map(|(stored, _)| stored) != expected {
                return Err(AdminError::Changed);
            }
            let version = stored.map_or(Expected::Absent, |(_, version)| Expected::Version(version));
            if self.write(&Service::key(), &service, version).await? {
                Ok(())
            } else {
                Err(AdminError::Changed)
            }
        };
        self.act(call, &about, write).await?;
        Ok(service)
    }

    pub(crate) async fn said_service(&self) -> Result<Service, AdminError> {
        let found = self.read::<Service>(&Service::key()).await?;
        found.map(|(service, _)| service).ok_or(AdminError::Conflict(Conflict::ServiceUnsaid))
    }

    /// What a tenant asks of its domains.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn domain_rules(&self, call: &Call, tenant: TenantId) -> Result<DomainRules, AdminError> {
        call.may(Action::DomainRead, &Scope::Tenant(tenant))?;
        self.stored_domain_rules(tenant).await
    }

    pub(crate) async fn stored_domain_rules(&self, tenant: TenantId) -> Result<DomainRules, AdminError> {
        Ok(self.read(&rules_key(tenant)).await?.map(|(rules, _)| rules).unwrap_or_default())
    }

    /// Says what a tenant asks of its domains.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn change_domain_rules(
        &self,
        call: &Call,
        tenant: TenantId,
        rules: DomainRules,
    ) -> Result<DomainRules, AdminError> {
        let about = About::new(Some(tenant), Action::DomainChange, "domain-rules")
            .to(json!({ "lock_until_active": rules.lock_until_active }));
        self.permit(call, &Scope::Tenant(tenant), &about).await?;
        self.act(call, &about, async {
            self.write(&rules_key(tenant), &rules, Expected::Any).await?;
            Ok::<_, AdminError>(rules)
        })
        .await
    }

    /// May addresses be given in this domain of the tenant (DOM-07)?
    pub(crate) async fn check_lock(&self, tenant: TenantId, domain: &Domain) -> Result<(), AdminError> {
        let is_open =
            domain.state == DomainState::Active || !self.stored_domain_rules(tenant).await?.lock_until_active;
        if is_open { Ok(()) } else { Err(AdminError::Conflict(Conflict::DomainLocked)) }
    }

    /// Notes that the tenant says a domain is its own. What the operator says for it is not held to its plan.
    pub(crate) async fn claim(
        &self,
        call: &Call,
        tenant: TenantId,
        name: &str,
    ) -> Result<Domain, AdminError> {
        let stored = self.stored_tenant(tenant).await?;
        let limit = stored.domains_allowed(self.clock.now()).filter(|_| call.actor.tenant().is_some());
        if let Some(limit) = limit {
            // What it has already is that, and no matter of the plan.
            if let Some(known) = self.directory.domain_in(tenant, name).await? {
                return Err(DirectoryError::DomainTaken(known.name.to_string()).into());
            }
            let page = Page { after: None, limit: MAX_PAGE };
            let domains = self.directory.domains(tenant, &page).await?.items;
            // Those that the operator has given were never claimed.
            if domains.iter().filter(|domain| domain.challenge.is_some()).count() >= limit {
                return Err(AdminError::Conflict(if stored.has(Function::MoreDomains, self.clock.now()) {
                    Conflict::PlanDomains(limit)
                } else {
                    Conflict::NotInPlan(Function::MoreDomains)
                }));
            }
        }
        let Challenge { token, digits } =
            Challenge::of(self.ids.random(), self.ids.random(), self.ids.random());
        Ok(self.directory.claim_domain(tenant, name, (token, digits)).await?)
    }

    /// Claims a domain for a tenant, whoever calls.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn claim_domain(
        &self,
        call: &Call,
        tenant: TenantId,
        name: &str,
    ) -> Result<Domain, AdminError> {
        let about = About::new(Some(tenant), Action::DomainAdd, name);
        self.permit(call, &Scope::Tenant(tenant), &about).await?;
        self.act(call, &about, self.claim(call, tenant, name)).await
    }

    /// Does the zone of a claimed domain show what it should (DOM-08)? If so, the domain is the tenant's, or in conflict
    /// with another tenant that has it.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn verify_domain(
        &self,
        call: &Call,
        tenant: TenantId,
        name: &str,
    ) -> Result<(Domain, Checked), AdminError> {
        let about = About::new(Some(tenant), Action::DomainVerify, name);
        self.permit(call, &Scope::Tenant(tenant), &about).await?;
        let domain = self.own(tenant, name).await?;
        let service = self.said_service().await?;
        let challenge = challenge_of(&domain).ok_or(AdminError::Conflict(Conflict::DomainOwned))?;
        let proof = prove(&*self.outside()?.dns, domain.name.as_str(), &challenge, &service).await;
        match proof {
            Proof::NotShown(checked) => Ok((domain, checked)),
            Proof::Shown(checked) => {
                let proved =
                    self.act(call, &about, self.directory.prove_domain(tenant, &domain.name)).await?;
                Ok((proved, checked))
            }
        }
    }

    /// The domain of the tenant, or its claim.
    pub(crate) async fn own(&self, tenant: TenantId, name: &str) -> Result<Domain, AdminError> {
        self.directory.domain_in(tenant, name).await?.ok_or(AdminError::NotFound("domain"))
    }

    /// What a domain should have in its zone, and what it had when somebody last looked.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn domain_records(
        &self,
        call: &Call,
        tenant: TenantId,
        name: &str,
    ) -> Result<DomainRecords, AdminError> {
        call.may(Action::DomainRead, &Scope::Tenant(tenant))?;
        let domain = self.own(tenant, name).await?;
        let report = self.read::<Report>(&report_key(tenant, &domain.name)).await?.map(|(report, _)| report);
        let wanted = self.wanted_of(&domain).await?;
        Ok(DomainRecords { domain, wanted, report })
    }

    async fn wanted_of(&self, domain: &Domain) -> Result<Vec<Wanted>, AdminError> {
        let (service, keys) = (self.said_service().await?, self.dkim_records(domain).await?);
        let name = domain.name.as_str();
        let mut all = match challenge_of(domain) {
            Some(challenge) if !domain.state.is_owned() => challenge.wanted(name, &service),
            _ => Vec::new(),
        };
        let policy = self.tls_policy(domain).await?;
        all.extend(wanted(name, &service, &keys, policy.as_ref()));
        Ok(all)
    }

    /// Looks at everything that the zone of a domain should have, and keeps what was found (DOM-07).
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn check_domain(
        &self,
        call: &Call,
        tenant: TenantId,
        name: &str,
    ) -> Result<DomainRecords, AdminError> {
        call.may(Action::DomainCheck, &Scope::Tenant(tenant))?;
        let domain = self.own(tenant, name).await?;
        self.look_at(Some(call), domain).await
    }

    /// The same, and what receivers judge the domain's letters by beside: the hosts that bring them, lists, the logo. That is
    /// not kept.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn examine_domain(
        &self,
        call: &Call,
        tenant: TenantId,
        name: &str,
        lists: &Lists,
    ) -> Result<(DomainRecords, Vec<Checked>), AdminError> {
        let records = self.check_domain(call, tenant, name).await?;
        let Some(report) = &records.report else { return Ok((records, Vec::new())) };
        let service = self.said_service().await?;
        let Outside { dns, https } = self.outside()?;
        let of = (records.domain.name.as_str(), &service, report);
        let more = reception(&**dns, &**https, of, lists).await;
        Ok((records, more))
    }

    /// Looks at a domain for whoever asks, or because it is due: notes what is found, and goes on with its keys.
    pub(crate) async fn look_at(
        &self,
        call: Option<&Call>,
        domain: Domain,
    ) -> Result<DomainRecords, AdminError> {
        let tenant = domain.tenant;
        let (service, keys) = (self.said_service().await?, self.dkim_records(&domain).await?);
        let Outside { dns, https } = self.outside()?;
        let policy = self.tls_policy(&domain).await?;
        let policy = policy.as_ref();
        let question = Question { domain: domain.name.as_str(), service: &service, keys: &keys, policy };
        let report = check(&**dns, &**https, question, self.clock.now()).await;
        self.go_on_with_keys(call, &domain, &report).await?;
        self.write(&report_key(tenant, &domain.name), &report, Expected::Any).await?;
        let wanted = self.wanted_of(&domain).await?;
        let health = DomainHealth {
            time: report.time,
            takes_mail: report.takes_mail(),
            without_mail_since: None,
            needs_attention: needs_attention(&report, &wanted),
            is_protected: report.is_protected(),
        };
        let domain = self.directory.note_health(tenant, &domain.name, health).await?;
        // On the heap: it is large, and there is seldom something to do.
        if let Err(error) = Box::pin(self.go_on_with_trial(call, &domain)).await {
            // It is gone on with upon the next look; what was found of this domain holds.
            tracing::warn!(%tenant, %error, "a trial domain was not gone on with");
        }
        Ok(DomainRecords { domain, wanted, report: Some(report) })
    }

    /// Closes a domain, or opens it again: the operator's word (TEN-10).
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn suspend_domain(
        &self,
        call: &Call,
        tenant: TenantId,
        name: &str,
        suspended: bool,
    ) -> Result<Domain, AdminError> {
        let about =
            About::new(Some(tenant), Action::DomainSuspend, name).to(json!({ "suspended": suspended }));
        self.permit(call, &Scope::Tenant(tenant), &about).await?;
        let domain = self.own(tenant, name).await?;
        self.act(call, &about, self.directory.suspend_domain(tenant, &domain.name, suspended)).await
    }

    /// Makes a domain stand for another one of the tenant, or for itself.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn set_domain_alias(
        &self,
        call: &Call,
        tenant: TenantId,
        name: &str,
        of: Option<&str>,
    ) -> Result<Domain, AdminError> {
        let about = About::new(Some(tenant), Action::DomainAlias, name).to(json!({ "alias_of": of }));
        self.permit(call, &Scope::Tenant(tenant), &about).await?;
        let domain = self.own(tenant, name).await?;
        let of = of.map(DomainName::parse).transpose().map_err(pennypost_directory::DirectoryError::from)?;
        self.act(call, &about, self.directory.set_alias_of(tenant, &domain.name, of.as_ref())).await
    }

    /// What goes with a domain if it is removed (DOM-13).
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn domain_contents(
        &self,
        call: &Call,
        tenant: TenantId,
        name: &str,
    ) -> Result<(Domain, DomainContents), AdminError> {
        call.may(Action::DomainRead, &Scope::Tenant(tenant))?;
        let domain = self.own(tenant, name).await?;
        let contents = self.directory.domain_contents(tenant, &domain.name).await?;
        Ok((domain, contents))
    }

    /// Removes a domain, or goes on removing it; `true` when it is gone. Its accounts go to the recycle bin, its aliases
    /// and groups are gone. To be confirmed by what [`removal_code`] says of it; of a removal under way, nothing is to be.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn remove_domain(
        &self,
        call: &Call,
        tenant: TenantId,
        name: &str,
        confirmation: &str,
    ) -> Result<bool, AdminError> {
        let about = About::new(Some(tenant), Action::DomainRemove, name);
        self.permit_alone(call, &Scope::Tenant(tenant), &about).await?;
        let domain = self.own(tenant, name).await?;
        let contents = self.directory.domain_contents(tenant, &domain.name).await?;
        // What is under way was confirmed when it began, by two if the tenant wishes it.
        if domain.state != DomainState::Removing {
            if confirmation != removal_code(&domain, &contents) {
                return Err(AdminError::Conflict(Conflict::NotConfirmed));
            }
            self.permit_without_second(call, Some(tenant), Action::DomainRemove).await?;
        }
        let DomainContents { accounts, aliases, groups } = contents;
        let about = about.from(json!({ "accounts": accounts, "aliases": aliases, "groups": groups }));
        let remove = self.directory.remove_domain(tenant, &domain.name, REMOVED_AT_ONCE);
        let is_gone = self.act(call, &about, remove).await?;
        if is_gone {
            self.forget_domain(&domain).await?;
            self.end_trial_at(tenant, &domain.name).await?;
        }
        Ok(is_gone)
    }

    /// Forgets what was kept of a domain that is gone.
    pub(crate) async fn forget_domain(&self, domain: &Domain) -> Result<(), AdminError> {
        self.erase(&report_key(domain.tenant, &domain.name)).await?;
        self.key_store().forget(domain.tenant, domain.name.as_str()).await?;
        self.forget_tls_policy(domain).await
    }
}

/// Is something not as it should be that matters?
fn needs_attention(report: &Report, wanted: &[Wanted]) -> bool {
    let is_optional = |subject: Subject| {
        wanted
            .iter()
            .filter(|wanted| wanted.subject == subject)
            .all(|wanted| wanted.importance == Importance::Optional)
    };
    report.checked.iter().any(|checked| match checked.verdict {
        Verdict::Good | Verdict::Unknown => false,
        Verdict::Wrong => true,
        Verdict::Warning | Verdict::Missing => {
            checked.subject == Subject::Dkim || !is_optional(checked.subject)
        }
    })
}
