//! `pennypost group …`

use std::collections::BTreeSet;

use clap::{Args, Subcommand, ValueEnum};
use pennypost_admin::Action;
use pennypost_directory::{
    DepartmentId, FriendStanding, Group, GroupRules, MailAddress, Member, Page, Senders, TagId,
};
use pennypost_model::{AccountId, AccountKey, TenantId};
use serde_json::{Value, json};

use crate::admin::department::{find, shown};
use crate::admin::output::Table;
use crate::admin::{AdminContext, AdminError};
use crate::say;

/// Subcommands of `group`.
#[derive(Debug, Subcommand)]
pub enum GroupCommand {
    /// Add a group; members are accounts and other groups of the tenant, and addresses elsewhere
    #[command(
        after_help = "Example:\n  pennypost group add team@example.com alice@example.com bob@example.com"
    )]
    Add {
        /// Its address
        address: String,
        /// Its members
        members: Vec<String>,
        /// Its name
        #[arg(long, default_value = "")]
        name: String,
    },
    /// List groups
    #[command(after_help = "Example:\n  pennypost group list --tenant acme")]
    List {
        /// Only those of this tenant
        #[arg(long)]
        tenant: Option<String>,
    },
    /// Show the members of a group, or change them
    #[command(after_help = "Examples:\n  pennypost group members team@example.com\n  \
        pennypost group members team@example.com --add carol@example.com --remove bob@example.com")]
    Members {
        /// The group
        address: String,
        /// Add this member; may be given several times
        #[arg(long)]
        add: Vec<String>,
        /// Remove this member; may be given several times
        #[arg(long)]
        remove: Vec<String>,
    },
    /// Show the rules of a group, or change them: who may send, who speaks for it, members by department and tag
    #[command(after_help = "Examples:\n  pennypost group rules team@example.com\n  \
        pennypost group rules team@example.com --senders members --allow customer@partner.example\n  \
        pennypost group rules all@example.com --department / --senders named --allow-department Board\n  \
        pennypost group rules team@example.com --representative ann@example.com --shared on --disabled off")]
    Rules {
        /// The group
        address: String,
        /// What to change
        #[command(flatten)]
        rules: Box<RulesArgs>,
    },
    /// Make the group of a department: its people are its members, its address is its name in pinyin
    #[command(
        after_help = "Example:\n  pennypost group for-department Research/Compilers --domain example.com"
    )]
    ForDepartment {
        /// The department
        department: String,
        /// The domain of its address
        #[arg(long)]
        domain: String,
    },
    /// Give the group of a department another address in its domain, once
    #[command(after_help = "Example:\n  pennypost group readdress yanfa@example.com --prefix research")]
    Readdress {
        /// The group
        address: String,
        /// What is to stand before the @
        #[arg(long)]
        prefix: String,
    },
    /// List addresses elsewhere that were invited to groups, and whether anything goes to them
    #[command(after_help = "Example:\n  pennypost group friends --tenant acme")]
    Friends {
        /// Only those of this tenant
        #[arg(long)]
        tenant: Option<String>,
        /// Forget this address: nothing goes there until it is invited again and agrees
        #[arg(long, value_name = "ADDRESS", requires = "tenant")]
        forget: Option<MailAddress>,
    },
    /// Remove a group
    #[command(after_help = "Example:\n  pennypost group remove team@example.com")]
    Remove {
        /// The group
        address: String,
    },
}

/// What to change of the rules of a group.
#[derive(Debug, Args)]
pub struct RulesArgs {
    /// Who may send to it
    #[arg(long, value_enum)]
    pub senders: Option<SendersArg>,
    /// Who else may send: an account, a group, or an address outside; may be given several times
    #[arg(long, value_name = "ADDRESS")]
    pub allow: Vec<MailAddress>,
    /// Take somebody off those who may
    #[arg(long, value_name = "ADDRESS")]
    pub disallow: Vec<MailAddress>,
    /// Members of which department, and of those below it, may send; may be given several times
    #[arg(long, value_name = "DEPARTMENT")]
    pub allow_department: Vec<String>,
    /// Take a department off those who may
    #[arg(long, value_name = "DEPARTMENT")]
    pub disallow_department: Vec<String>,
    /// An account that speaks for the group; may be given several times
    #[arg(long, value_name = "ADDRESS")]
    pub representative: Vec<String>,
    /// An account that no longer does
    #[arg(long, value_name = "ADDRESS")]
    pub no_representative: Vec<String>,
    /// Everybody in this department and below it is a member; may be given several times
    #[arg(long)]
    pub department: Vec<String>,
    /// No longer
    #[arg(long, value_name = "DEPARTMENT")]
    pub no_department: Vec<String>,
    /// Everybody whom this tag marks is a member; may be given several times
    #[arg(long)]
    pub tag: Vec<String>,
    /// No longer
    #[arg(long, value_name = "TAG")]
    pub no_tag: Vec<String>,
    /// Is it in the directory that members see?
    #[arg(long, value_enum)]
    pub shared: Option<Switch>,
    /// A disabled group takes no mail
    #[arg(long, value_enum)]
    pub disabled: Option<Switch>,
}

/// On or off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Switch {
    /// Yes
    On,
    /// No
    Off,
}

/// Who may send to a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SendersArg {
    /// Everybody, also from outside
    Everyone,
    /// Every account of the organisation
    Inside,
    /// Its members, and who is allowed by name
    Members,
    /// Only who is allowed by name
    Named,
}

impl SendersArg {
    const fn rule(self) -> Senders {
        match self {
            SendersArg::Everyone => Senders::Everyone,
            SendersArg::Inside => Senders::Inside,
            SendersArg::Members => Senders::Members,
            SendersArg::Named => Senders::Named,
        }
    }
}

/// The name of a rule for programs.
const fn senders_name(senders: Senders) -> &'static str {
    match senders {
        Senders::Everyone => "everyone",
        Senders::Inside => "inside",
        Senders::Members => "members",
        Senders::Named => "named",
    }
}

impl GroupCommand {
    /// Does what was asked.
    ///
    /// # Errors
    /// [`AdminError`].
    pub async fn run(&self, context: &AdminContext<'_>) -> Result<(), AdminError> {
        match self {
            GroupCommand::Add { address, members, name } => {
                let adding = context.directory.add_group(address, name, members);
                let after = json!({ "name": name, "members": members });
                let group = context.recorded_at(address, Action::GroupAdd, after, adding).await?;
                let (address, count) = (group.address.to_string(), group.members.len());
                let sentence = say!(context.text, "group-added", address = address, count = count);
                context.print(&sentence, &document(&group))
            }
            GroupCommand::List { tenant } => list(context, tenant.as_deref()).await,
            GroupCommand::Members { address, add, remove } => members(context, address, add, remove).await,
            GroupCommand::Rules { address, rules } => change_rules(context, address, rules).await,
            GroupCommand::ForDepartment { department, domain } => {
                let tenant = context.domain(domain).await?.tenant;
                let tree = context.directory.departments(tenant).await?;
                let id = find(context, &tree, department)?;
                let adding = context.directory.add_department_group(tenant, id, domain);
                let after = json!({ "department": id.0, "domain": domain });
                let group = context.recorded(tenant, Action::GroupAdd, domain, after, adding).await?;
                let address = group.address.to_string();
                let sentence =
                    say!(context.text, "group-for-department", address = address, path = shown(&tree, id));
                context.print(&sentence, &document(&group))
            }
            GroupCommand::Readdress { address, prefix } => {
                let domain = address.rsplit('@').next().unwrap_or_default();
                let tenant = context.domain(domain).await?.tenant;
                context.directory.check_group_address(tenant, address, prefix).await?;
                let changing = context.directory.readdress_group(tenant, address, prefix);
                let after = json!({ "prefix": prefix });
                let group =
                    context.recorded(tenant, Action::GroupReaddress, address, after, changing).await?;
                let now = group.address.to_string();
                let sentence = say!(context.text, "group-readdressed", former = address, address = now);
                context.print(&sentence, &document(&group))
            }
            GroupCommand::Friends { tenant: Some(tenant), forget: Some(address) } => {
                forget_friend(context, tenant, address).await
            }
            GroupCommand::Friends { tenant, .. } => friends(context, tenant.as_deref()).await,
            GroupCommand::Remove { address } => {
                let removing = context.directory.remove_group(address);
                context.recorded_at(address, Action::GroupRemove, json!({}), removing).await?;
                let sentence = say!(context.text, "group-removed", address = address);
                context.print(&sentence, &json!({"group": address, "removed": true}))
            }
        }
    }
}

/// The ids that a change of rules names.
struct Named {
    allow: Vec<DepartmentId>,
    disallow: Vec<DepartmentId>,
    add: Vec<DepartmentId>,
    remove: Vec<DepartmentId>,
    speak: Vec<AccountId>,
    speak_no_more: Vec<AccountId>,
    tags: Vec<TagId>,
    tags_no_more: Vec<TagId>,
}

async fn named(
    context: &AdminContext<'_>,
    tenant: TenantId,
    arguments: &RulesArgs,
) -> Result<Named, AdminError> {
    let (directory, text) = (&context.directory, &context.text);
    let tree = directory.departments(tenant).await?;
    let departments = |paths: &[String]| -> Result<Vec<DepartmentId>, AdminError> {
        paths.iter().map(|path| find(context, &tree, path)).collect()
    };
    let accounts = async |addresses: &[String]| -> Result<Vec<AccountId>, AdminError> {
        let mut found = Vec::with_capacity(addresses.len());
        for address in addresses {
            let account = context.account(address).await?;
            if account.key.tenant != tenant {
                return Err(AdminError::Said(say!(text, "error-other-tenant", name = address)));
            }
            found.push(account.key.account);
        }
        Ok(found)
    };
    let tags = async |names: &[String]| -> Result<Vec<TagId>, AdminError> {
        let mut found = Vec::with_capacity(names.len());
        for name in names {
            let missing = || AdminError::Said(say!(text, "error-no-tag", name = name));
            found.push(directory.tag(tenant, name).await?.ok_or_else(missing)?.id);
        }
        Ok(found)
    };
    Ok(Named {
        allow: departments(&arguments.allow_department)?,
        disallow: departments(&arguments.disallow_department)?,
        add: departments(&arguments.department)?,
        remove: departments(&arguments.no_department)?,
        speak: accounts(&arguments.representative).await?,
        speak_no_more: accounts(&arguments.no_representative).await?,
        tags: tags(&arguments.tag).await?,
        tags_no_more: tags(&arguments.no_tag).await?,
    })
}

async fn change_rules(
    context: &AdminContext<'_>,
    address: &str,
    arguments: &RulesArgs,
) -> Result<(), AdminError> {
    let tenant = context.domain(address.rsplit('@').next().unwrap_or_default()).await?.tenant;
    let named = named(context, tenant, arguments).await?;
    let missing = || AdminError::Said(say!(context.text, "error-no-group", name = address));
    let before = context.directory.group_rules(address).await?.ok_or_else(missing)?;
    let change = |rules: &mut GroupRules| {
        rules.senders = arguments.senders.map_or(rules.senders, SendersArg::rule);
        rules.is_shared = arguments.shared.map_or(rules.is_shared, |word| word == Switch::On);
        rules.is_disabled = arguments.disabled.map_or(rules.is_disabled, |word| word == Switch::On);
        rules.named.extend(arguments.allow.iter().cloned());
        rules.named.retain(|address| !arguments.disallow.contains(address));
        rules.named_departments.extend(&named.allow);
        rules.named_departments.retain(|department| !named.disallow.contains(department));
        rules.departments.extend(&named.add);
        rules.departments.retain(|department| !named.remove.contains(department));
        rules.representatives.extend(&named.speak);
        rules.representatives.retain(|account| !named.speak_no_more.contains(account));
        rules.tags.extend(&named.tags);
        rules.tags.retain(|tag| !named.tags_no_more.contains(tag));
    };
    let mut rules = before.clone();
    change(&mut rules);
    if rules != before {
        let after = json!({
            "senders": senders_name(rules.senders), "shared": rules.is_shared, "disabled": rules.is_disabled,
        });
        let changing = context.directory.change_group_rules(address, change);
        rules = context.recorded(tenant, Action::GroupChange, address, after, changing).await?;
    }
    show_rules(context, tenant, address, &rules).await
}

async fn show_rules(
    context: &AdminContext<'_>,
    tenant: TenantId,
    address: &str,
    rules: &GroupRules,
) -> Result<(), AdminError> {
    let tree = context.directory.departments(tenant).await?;
    let paths = |ids: &BTreeSet<DepartmentId>| -> Vec<String> {
        ids.iter().filter(|id| tree.holds(**id)).map(|id| shown(&tree, *id)).collect()
    };
    let mut representatives = Vec::with_capacity(rules.representatives.len());
    for account in &rules.representatives {
        let account = context.directory.account(AccountKey { tenant, account: *account }).await?;
        representatives.extend(account.map(|account| account.address.to_string()));
    }
    let tags = context.directory.tags(tenant).await?;
    let tags = tags.into_iter().filter(|(id, _)| rules.tags.contains(id)).map(|(_, name)| name);
    let tags: Vec<String> = tags.collect();
    let allowed: Vec<String> = rules.named.iter().map(ToString::to_string).collect();
    let (allowed_departments, departments) = (paths(&rules.named_departments), paths(&rules.departments));
    if context.json {
        let document = json!({
            "group": address, "senders": senders_name(rules.senders), "allowed": allowed,
            "allowed_departments": allowed_departments, "representatives": representatives,
            "departments": departments, "tags": tags, "shared": rules.is_shared, "disabled": rules.is_disabled,
            "follows": rules.follows.map(|department| department.0),
        });
        return context.line(&document.to_string());
    }
    let text = &context.text;
    let senders = match rules.senders {
        Senders::Everyone => say!(text, "senders-everyone"),
        Senders::Inside => say!(text, "senders-inside"),
        Senders::Members => say!(text, "senders-members"),
        Senders::Named => say!(text, "senders-named"),
    };
    let state = if rules.is_disabled { say!(text, "word-disabled") } else { say!(text, "word-active") };
    let shared = if rules.is_shared { say!(text, "word-yes") } else { say!(text, "word-no") };
    let rows = [
        (say!(text, "word-senders"), senders),
        (
            say!(text, "word-allowed"),
            allowed.into_iter().chain(allowed_departments).collect::<Vec<_>>().join("; "),
        ),
        (say!(text, "word-representatives"), representatives.join("; ")),
        (say!(text, "word-departments"), departments.join("; ")),
        (say!(text, "word-tags"), tags.join("; ")),
        (say!(text, "word-shared"), shared),
        (say!(text, "word-state"), state),
    ];
    rows.iter().try_for_each(|(word, value)| context.line(format!("{word}: {value}").trim_end()))
}

async fn members(
    context: &AdminContext<'_>,
    address: &str,
    add: &[String],
    remove: &[String],
) -> Result<(), AdminError> {
    let group = context.directory.group(address).await?;
    let missing = || AdminError::Said(say!(context.text, "error-no-group", name = address));
    let group = group.ok_or_else(missing)?;
    if add.is_empty() && remove.is_empty() {
        if context.json {
            return context.line(&document(&group).to_string());
        }
        return group.members.iter().try_for_each(|member| context.line(&member.address().to_string()));
    }
    let after = json!({ "add": add, "remove": remove });
    let changing = context.directory.change_members(address, add, remove);
    let group = context.recorded_at(address, Action::GroupChange, after, changing).await?;
    let (address, count) = (group.address.to_string(), group.members.len());
    context.print(&say!(context.text, "group-changed", address = address, count = count), &document(&group))
}

async fn list(context: &AdminContext<'_>, tenant: Option<&str>) -> Result<(), AdminError> {
    let text = &context.text;
    let heads = vec![say!(text, "word-address"), say!(text, "word-name"), say!(text, "word-members")];
    let mut table = Table::new(context, heads);
    for tenant in context.tenant_or_all(tenant).await? {
        let mut page = Page::default();
        loop {
            let listed = context.directory.groups(tenant.id, &page).await?;
            for group in &listed.items {
                let count = group.members.len().to_string();
                table.row(vec![group.address.to_string(), group.name.clone(), count], &document(group))?;
            }
            let Some(next) = listed.next else { break };
            page.after = Some(next);
        }
    }
    table.finish(&say!(text, "groups-none"))
}

async fn forget_friend(
    context: &AdminContext<'_>,
    tenant: &str,
    address: &MailAddress,
) -> Result<(), AdminError> {
    let tenant = context.tenant(tenant).await?.id;
    let shown = address.to_string();
    let Some(friend) = context.directory.friend(tenant, address).await? else {
        return Err(AdminError::Said(say!(context.text, "error-no-friend", name = shown.as_str())));
    };
    let after = json!({ "before": friend.standing.name() });
    let forgetting = context.directory.forget_friend(tenant, address);
    context.recorded(tenant, Action::FriendForget, &shown, after, forgetting).await?;
    let sentence = say!(context.text, "friend-forgotten", address = shown.as_str());
    context.print(&sentence, &json!({ "friend": shown, "forgotten": true }))
}

async fn friends(context: &AdminContext<'_>, tenant: Option<&str>) -> Result<(), AdminError> {
    let text = &context.text;
    let heads = vec![say!(text, "word-address"), say!(text, "word-state"), say!(text, "word-since")];
    let mut table = Table::new(context, heads);
    for tenant in context.tenant_or_all(tenant).await? {
        let mut page = Page::default();
        loop {
            let listed = context.directory.friends(tenant.id, &page).await?;
            for friend in listed.items {
                let state = match friend.standing {
                    FriendStanding::Stranger => say!(text, "friend-stranger"),
                    FriendStanding::Friend => say!(text, "friend-friend"),
                    FriendStanding::Left => say!(text, "friend-left"),
                    FriendStanding::Suspended => say!(text, "friend-suspended"),
                };
                let document = json!({
                    "address": friend.address.to_string(), "standing": friend.standing.name(),
                    "since": friend.since.rfc3339(), "invited": friend.invited.rfc3339(),
                });
                table.row(vec![friend.address.to_string(), state, friend.since.rfc3339()], &document)?;
            }
            let Some(next) = listed.next else { break };
            page.after = Some(next);
        }
    }
    table.finish(&say!(text, "friends-none"))
}

fn addresses(members: &[Member]) -> Vec<String> {
    members.iter().map(|member| member.address().to_string()).collect()
}

fn document(group: &Group) -> Value {
    json!({"group": group.address.to_string(), "name": group.name, "members": addresses(&group.members)})
}
