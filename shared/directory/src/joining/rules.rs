//! What an organisation says about joining (ORG-11).

use pennypost_model::TenantId;
use pennypost_model::codec::Versioned;
use pennypost_ports::{Consistency, ControlKey, Expected};
use serde::{Deserialize, Serialize};

use crate::{DepartmentId, Directory, DirectoryError, DomainName};

/// What an organisation says about joining.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JoiningRules {
    /// May people outside the directory be invited? If they may not, no invitation is good, whenever it was made.
    pub open: bool,
    /// Does an administrator have to approve whoever joins, whatever the invitation says?
    pub approval: bool,
    /// May members invite colleagues (ORG-14)? An administrator approves whoever comes by that.
    pub colleagues: bool,
    /// Into which department people come if the invitation names none.
    pub department: DepartmentId,
    /// In which domain their addresses are if the invitation names none. Nobody is invited as long as none is said.
    pub domain: Option<DomainName>,
}

impl Default for JoiningRules {
    fn default() -> JoiningRules {
        JoiningRules {
            open: false,
            approval: true,
            colleagues: false,
            department: DepartmentId::ROOT,
            domain: None,
        }
    }
}

impl Versioned for JoiningRules {
    const KIND: &'static str = "joining rules";
}

fn rules_key(tenant: TenantId) -> ControlKey {
    ControlKey::new(tenant.to_string(), "joining")
}

impl Directory {
    /// What an organisation says about joining: as long as it has said nothing, nobody joins.
    ///
    /// # Errors
    /// The port's.
    #[pennypost_ports::compiled_here]
    pub async fn joining_rules(&self, tenant: TenantId) -> Result<JoiningRules, DirectoryError> {
        let held = self.read::<JoiningRules>(&rules_key(tenant), Consistency::Strong).await?;
        Ok(held.map(|held| held.value).unwrap_or_default())
    }

    /// Says something else about joining, if what is said is still as expected; `false` if it is not.
    ///
    /// # Errors
    /// [`DirectoryError::JoiningDomain`], [`DirectoryError::NoDomain`], [`DirectoryError::AliasDomain`],
    /// [`DirectoryError::NoDepartment`], or the port's.
    #[pennypost_ports::compiled_here]
    pub async fn set_joining_rules(
        &self,
        tenant: TenantId,
        expected: &JoiningRules,
        rules: &JoiningRules,
    ) -> Result<bool, DirectoryError> {
        match &rules.domain {
            Some(domain) => self.check_joining_domain(tenant, domain).await?,
            None if rules.open => return Err(DirectoryError::JoiningDomain),
            None => {}
        }
        self.check_joining_department(tenant, rules.department).await?;
        let held = self.read::<JoiningRules>(&rules_key(tenant), Consistency::Strong).await?;
        let condition = held.as_ref().map_or(Expected::Absent, |held| Expected::Version(held.version));
        if held.map(|held| held.value).unwrap_or_default() != *expected {
            return Ok(false);
        }
        Ok(self.write(&rules_key(tenant), rules, condition).await?.is_some())
    }

    /// Is it a domain of the tenant in which addresses are given?
    pub(super) async fn check_joining_domain(
        &self,
        tenant: TenantId,
        domain: &DomainName,
    ) -> Result<(), DirectoryError> {
        let missing = || DirectoryError::NoDomain(domain.to_string());
        // One that is only claimed is nobody's yet.
        if self.owner(domain, Consistency::Strong).await? != Some(tenant) {
            return Err(missing());
        }
        let found = self.domain_of(tenant, domain, Consistency::Strong).await?.ok_or_else(missing)?;
        match found.alias_of {
            Some(_) => Err(DirectoryError::AliasDomain(domain.to_string())),
            None => Ok(()),
        }
    }

    /// May people be put into it?
    pub(super) async fn check_joining_department(
        &self,
        tenant: TenantId,
        department: DepartmentId,
    ) -> Result<(), DirectoryError> {
        // Most say nothing of departments: then the tree is not read.
        if department == DepartmentId::ROOT || self.departments(tenant).await?.is_open(department) {
            return Ok(());
        }
        Err(DirectoryError::NoDepartment(format!("#{department}")))
    }
}
