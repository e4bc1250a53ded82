//! `pennypost role …`: roles, and who holds them (ADM-06 to ADM-11).

use clap::{Args, Subcommand};
use pennypost_admin::{AdminError, Administration, DepartmentId, Grant, Grants, Permission, Reach, Role};
use pennypost_directory::Page;
use pennypost_model::{AccountKey, TenantId};
use serde_json::json;

use super::{OPERATOR, permissions, refused, shown, tenant};
use crate::office::Office;
use crate::print::{Output, clean};
use crate::text::Text;
use crate::{Failed, say};

/// The names of what is no role but is given like one.
const SUPER: &str = "super";
const CREATOR: &str = "creator";

/// Whose roles.
#[derive(Debug, Args)]
pub struct OfTenant {
    /// Name or id of the tenant; may be left out if there is only one
    #[arg(long)]
    tenant: Option<String>,
}

/// Subcommands of `role`.
#[derive(Debug, Subcommand)]
pub enum RoleCommand {
    /// Make a role
    #[command(after_help = "Examples:
  pennypost role add helpdesk --permission members:write --tenant acme
  pennypost role add auditor --permission members:read,log:read
Permissions are AREA:read or AREA:write; areas: tenant domains members groups policies administrators keys log dangerous
sign-on notices.")]
    Add {
        /// Its name
        name: String,
        /// What its holders may do, more than one separated by commas
        #[arg(long, required = true, value_name = "PERMISSIONS", value_delimiter = ',')]
        permission: Vec<Permission>,
        /// Whose
        #[command(flatten)]
        of: OfTenant,
    },
    /// List roles
    #[command(after_help = "Example:\n  pennypost role list --tenant acme")]
    List(OfTenant),
    /// Remove a role that nobody holds
    #[command(after_help = "Example:\n  pennypost role remove helpdesk --tenant acme")]
    Remove {
        /// Its name
        name: String,
        /// Whose
        #[command(flatten)]
        of: OfTenant,
    },
    /// Give somebody a role, make him super admin or the creator
    #[command(after_help = "Examples:
  pennypost role grant ann@acme.example helpdesk
  pennypost role grant bob@acme.example super
  pennypost role grant eve@acme.example creator          whoever was it is it no longer")]
    Grant {
        /// The address of the account
        address: String,
        /// The name of a role, super, or creator
        role: String,
        /// Departments that it reaches, more than one separated by commas [default: the whole tenant]
        #[arg(long, value_name = "DEPARTMENTS", value_delimiter = ',')]
        department: Vec<u32>,
    },
    /// Take a role from somebody, from the next call on
    #[command(after_help = "Example:\n  pennypost role revoke ann@acme.example helpdesk")]
    Revoke {
        /// The address of the account
        address: String,
        /// The name of a role, or super
        role: String,
    },
    /// List who holds roles
    #[command(after_help = "Example:\n  pennypost role holders --tenant acme")]
    Holders(OfTenant),
}

/// Does what was asked.
pub async fn run(
    office: &Office,
    command: &RoleCommand,
    text: &Text,
    output: &mut Output<'_>,
) -> Result<(), Failed> {
    let administration = office.administration();
    let told = |error: AdminError| refused(error, text);
    match command {
        RoleCommand::Add { name, permission, of } => {
            let tenant = tenant(office, of.tenant.as_deref(), text).await?.id;
            if [SUPER, CREATOR].contains(&name.trim()) {
                return Err(Failed::Said(say!(text, "role-taken")));
            }
            let made = administration.add_role(&OPERATOR, tenant, name, permissions(permission)).await;
            let role = made.map_err(told)?;
            let document = json!({ "id": role.id.to_string(), "name": role.name, "permissions": shown(&role.permissions) });
            Ok(output.result(&say!(text, "role-added", name = clean(&role.name)), &document)?)
        }
        RoleCommand::List(of) => {
            let tenant = tenant(office, of.tenant.as_deref(), text).await?.id;
            let roles = administration.roles(&OPERATOR, tenant).await.map_err(told)?;
            let rows = roles.into_iter().map(|role| {
                let permissions = shown(&role.permissions);
                let document =
                    json!({ "id": role.id.to_string(), "name": role.name, "permissions": permissions });
                (vec![role.id.to_string(), clean(&role.name), permissions.join(",")], document)
            });
            let heads =
                vec![say!(text, "word-number"), say!(text, "word-name"), say!(text, "word-permissions")];
            Ok(output.table(heads, rows.collect(), &say!(text, "roles-none"))?)
        }
        RoleCommand::Remove { name, of } => {
            let tenant = tenant(office, of.tenant.as_deref(), text).await?.id;
            let role = named(&administration, tenant, name, text).await?;
            administration.remove_role(&OPERATOR, tenant, role.id).await.map_err(told)?;
            let document = json!({ "id": role.id.to_string(), "removed": true });
            Ok(output.result(&say!(text, "role-removed", name = clean(&role.name)), &document)?)
        }
        RoleCommand::Grant { address, role, department } => {
            let key = office.account(address, text).await?.key;
            let reach = match department.as_slice() {
                [] => Reach::Tenant,
                some => Reach::Departments(some.iter().copied().map(DepartmentId).collect()),
            };
            if role == CREATOR {
                let seen = administration.creator(&OPERATOR, key.tenant).await.map_err(told)?;
                let changed = administration.change_creator(&OPERATOR, key.tenant, seen, key.account).await;
                changed.map_err(told)?;
            } else {
                change(&administration, key, role, text, |grants, id| match id {
                    None => grants.is_super = true,
                    Some(id) => {
                        grants.roles.retain(|grant| grant.role != id);
                        grants.roles.push(Grant { role: id, reach: reach.clone() });
                    }
                })
                .await?;
            }
            let document = json!({ "account": key.account.to_string(), "role": role, "granted": true });
            let (address, role) = (address.as_str(), clean(role));
            Ok(output.result(&say!(text, "role-granted", address = address, role = role), &document)?)
        }
        RoleCommand::Revoke { address, role } => {
            let key = office.account(address, text).await?.key;
            change(&administration, key, role, text, |grants, id| match id {
                None => grants.is_super = false,
                Some(id) => grants.roles.retain(|grant| grant.role != id),
            })
            .await?;
            let document = json!({ "account": key.account.to_string(), "role": role, "granted": false });
            let (address, role) = (address.as_str(), clean(role));
            Ok(output.result(&say!(text, "role-revoked", address = address, role = role), &document)?)
        }
        RoleCommand::Holders(of) => {
            let tenant = tenant(office, of.tenant.as_deref(), text).await?.id;
            holders(office, &administration, tenant, text, output).await
        }
    }
}

/// Changes what an account holds by a role's name; `None` stands for super admin.
async fn change(
    administration: &Administration,
    key: AccountKey,
    role: &str,
    text: &Text,
    change: impl Fn(&mut Grants, Option<pennypost_admin::RoleId>),
) -> Result<(), Failed> {
    let id = match role {
        SUPER => None,
        name => Some(named(administration, key.tenant, name, text).await?.id),
    };
    let told = |error| refused(error, text);
    let seen = administration.grants_of(&OPERATOR, key).await.map_err(told)?;
    let mut grants = seen.clone();
    change(&mut grants, id);
    if grants != seen {
        administration.change_grants(&OPERATOR, key, &seen, grants).await.map_err(told)?;
    }
    Ok(())
}

async fn named(
    administration: &Administration,
    tenant: TenantId,
    name: &str,
    text: &Text,
) -> Result<Role, Failed> {
    let roles = administration.roles(&OPERATOR, tenant).await.map_err(|error| refused(error, text))?;
    let is_meant =
        |role: &Role| role.name.to_lowercase() == name.to_lowercase() || role.id.to_string() == name;
    let role = roles.into_iter().find(is_meant);
    role.ok_or_else(|| Failed::Said(say!(text, "role-missing", name = clean(name))))
}

async fn holders(
    office: &Office,
    administration: &Administration,
    tenant: TenantId,
    text: &Text,
    output: &mut Output<'_>,
) -> Result<(), Failed> {
    let told = |error| refused(error, text);
    let roles = administration.roles(&OPERATOR, tenant).await.map_err(told)?;
    let name_of = |grant: &Grant| {
        let role = roles.iter().find(|role| role.id == grant.role);
        let name = role.map_or_else(|| grant.role.to_string(), |role| clean(&role.name));
        match &grant.reach {
            Reach::Tenant => name,
            Reach::Departments(some) => {
                let some: Vec<String> = some.iter().map(ToString::to_string).collect();
                format!("{name} ({})", some.join(" "))
            }
        }
    };
    let mut held = Vec::new();
    if let Some(creator) = administration.creator(&OPERATOR, tenant).await.map_err(told)? {
        held.push((creator, vec![CREATOR.to_owned()]));
    }
    let mut page = Page::default();
    loop {
        let listed = administration.grants(&OPERATOR, tenant, &page).await.map_err(told)?;
        for (account, grants) in listed.items {
            let mut names: Vec<String> = grants.roles.iter().map(&name_of).collect();
            if grants.is_super {
                names.insert(0, SUPER.to_owned());
            }
            held.push((account, names));
        }
        let Some(next) = listed.next else { break };
        page.after = Some(next);
    }
    let mut rows = Vec::new();
    for (account, names) in held {
        let found = office.directory.account(AccountKey { tenant, account }).await?;
        let address = found.map_or_else(|| account.to_string(), |found| found.address.to_string());
        let document = json!({ "account": account.to_string(), "address": address, "roles": names });
        rows.push((vec![address, names.join(", ")], document));
    }
    let heads = vec![say!(text, "word-address"), say!(text, "word-permissions")];
    Ok(output.table(heads, rows, &say!(text, "grants-none"))?)
}
