//! Tags over members and departments, and the rules of groups that name them.

use std::collections::BTreeSet;

use pennypost_directory::{GroupRules, Senders, Tag, TagChange, TagId};
use pennypost_model::TenantId;
use serde_json::{Value, json};

use crate::action::Action;
use crate::authorise::Scope;
use crate::call::{About, Call};
use crate::{AdminError, Administration};

fn shown(tag: &Tag) -> Value {
    json!({ "name": tag.name, "departments": tag.departments, "accounts": tag.accounts.len() })
}

/// The name of who may send to a group.
#[must_use]
pub const fn senders_name(senders: Senders) -> &'static str {
    match senders {
        Senders::Everyone => "everyone",
        Senders::Inside => "inside",
        Senders::Members => "members",
        Senders::Named => "named",
    }
}

fn rules_shown(rules: &GroupRules) -> Value {
    let named: Vec<String> = rules.named.iter().map(ToString::to_string).collect();
    let speak: Vec<String> = rules.representatives.iter().map(ToString::to_string).collect();
    let tags: BTreeSet<u32> = rules.tags.iter().map(|tag| tag.0).collect();
    json!({
        "senders": senders_name(rules.senders), "named": named, "named_departments": rules.named_departments,
        "representatives": speak, "shared": rules.is_shared, "disabled": rules.is_disabled,
        "departments": rules.departments, "tags": tags,
    })
}

impl Administration {
    /// The tags of a tenant by name.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn tags(&self, call: &Call, tenant: TenantId) -> Result<Vec<(TagId, String)>, AdminError> {
        call.may(Action::TagRead, &Scope::Tenant(tenant))?;
        Ok(self.directory.tags(tenant).await?)
    }

    /// A tag and whom it marks.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn tag(&self, call: &Call, tenant: TenantId, id: TagId) -> Result<Tag, AdminError> {
        call.may(Action::TagRead, &Scope::Tenant(tenant))?;
        self.directory.tag_numbered(tenant, id).await?.ok_or(AdminError::NotFound("tag"))
    }

    /// Adds a tag that marks nobody yet.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn add_tag(&self, call: &Call, tenant: TenantId, name: &str) -> Result<Tag, AdminError> {
        let about = About::new(Some(tenant), Action::TagAdd, name);
        self.permit(call, &Scope::Tenant(tenant), &about).await?;
        self.act(call, &about, self.directory.add_tag(tenant, name)).await
    }

    /// Renames a tag that is still as `expected`, or says whom it marks.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn change_tag(
        &self,
        call: &Call,
        tenant: TenantId,
        expected: &Tag,
        change: &TagChange,
    ) -> Result<Tag, AdminError> {
        let becomes = Tag {
            id: expected.id,
            name: change.name.clone().unwrap_or_else(|| expected.name.clone()),
            departments: change.departments.clone().unwrap_or_else(|| expected.departments.clone()),
            accounts: change.accounts.clone().unwrap_or_else(|| expected.accounts.clone()),
        };
        let about = About::new(Some(tenant), Action::TagChange, &expected.name)
            .from(shown(expected))
            .to(shown(&becomes));
        self.permit(call, &Scope::Tenant(tenant), &about).await?;
        let amending =
            async { self.directory.amend_tag(tenant, expected, change).await?.ok_or(AdminError::Changed) };
        self.act(call, &about, amending).await
    }

    /// Removes a tag.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn remove_tag(&self, call: &Call, tenant: TenantId, id: TagId) -> Result<(), AdminError> {
        let object = format!("#{}", id.0);
        let about = About::new(Some(tenant), Action::TagRemove, &object);
        self.permit(call, &Scope::Tenant(tenant), &about).await?;
        let tag = self.directory.tag_numbered(tenant, id).await?.ok_or(AdminError::NotFound("tag"))?;
        let about = About { object: &tag.name, ..about }.from(shown(&tag));
        self.act(call, &about, self.directory.remove_tag(tenant, &format!("#{}", id.0))).await
    }

    /// The rules of a group.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn group_rules(
        &self,
        call: &Call,
        tenant: TenantId,
        group: &str,
    ) -> Result<GroupRules, AdminError> {
        self.group(call, tenant, group).await?;
        self.directory.group_rules(group).await?.ok_or(AdminError::NotFound("group"))
    }

    /// Replaces the rules of a group that are still as `expected`.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn change_group_rules(
        &self,
        call: &Call,
        tenant: TenantId,
        group: &str,
        expected: &GroupRules,
        rules: &GroupRules,
    ) -> Result<GroupRules, AdminError> {
        let about = About::new(Some(tenant), Action::GroupChange, group)
            .from(rules_shown(expected))
            .to(rules_shown(rules));
        self.permit(call, &Scope::Tenant(tenant), &about).await?;
        self.group(call, tenant, group).await?;
        let amending = async {
            let amended = self.directory.amend_group_rules(tenant, group, expected, rules).await?;
            amended.ok_or(AdminError::Changed)
        };
        self.act(call, &about, amending).await
    }
}
