//! `pennypost policy …`

use clap::{Args, Subcommand, ValueEnum};
use pennypost_admin::Action;
use pennypost_directory::{PolicyError, TenantPolicy};
use serde_json::{Value, json};

use crate::admin::{AdminContext, AdminError};
use crate::say;

/// Whose policy is meant.
#[derive(Debug, Args)]
pub struct TenantArgs {
    /// Name or id of the tenant; may be left out if there is only one
    #[arg(long, global = true)]
    pub tenant: Option<String>,
}

/// On or off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Switch {
    /// On.
    On,
    /// Off.
    Off,
}

/// Subcommands of `policy`.
#[derive(Debug, Subcommand)]
pub enum PolicyCommand {
    /// Show the policy of a tenant
    #[command(after_help = "Example:\n  pennypost policy show --tenant acme")]
    Show(TenantArgs),
    /// Senders whose mail nobody gets
    #[command(after_help = "Examples:\n  pennypost policy blacklist add spam.example nasty@example.org\n  \
        pennypost policy blacklist remove spam.example")]
    Blacklist {
        /// What to do
        #[command(subcommand)]
        change: ListChange,
        /// Whose policy
        #[command(flatten)]
        tenant: TenantArgs,
    },
    /// Senders whose mail is not intercepted
    Whitelist {
        /// What to do
        #[command(subcommand)]
        change: ListChange,
        /// Whose policy
        #[command(flatten)]
        tenant: TenantArgs,
    },
    /// Keywords; mail with one in its subject is refused
    SubjectFilter {
        /// What to do
        #[command(subcommand)]
        change: ListChange,
        /// Whose policy
        #[command(flatten)]
        tenant: TenantArgs,
    },
    /// Set single values
    #[command(after_help = "Example:\n  pennypost policy set --dmarc-reject off --junk-threshold 60")]
    Set {
        /// Refuse what the author's domain asks to be refused (DMARC)
        #[arg(long)]
        dmarc_reject: Option<Switch>,
        /// Points from which mail goes to the junk folder
        #[arg(long, allow_negative_numbers = true)]
        junk_threshold: Option<i32>,
        /// Whose policy
        #[command(flatten)]
        tenant: TenantArgs,
    },
}

/// A change of a list.
#[derive(Debug, Subcommand)]
pub enum ListChange {
    /// Add entries
    #[command(after_help = "Examples:\n  pennypost policy blacklist add spam.example nasty@example.org\n  \
        pennypost policy whitelist add friend.example\n  \
        pennypost policy subject-filter add lottery")]
    Add {
        /// Addresses, domains or keywords
        #[arg(required = true)]
        entries: Vec<String>,
    },
    /// Remove entries
    #[command(
        after_help = "Examples:\n  pennypost policy blacklist remove spam.example nasty@example.org\n  \
        pennypost policy whitelist remove friend.example\n  \
        pennypost policy subject-filter remove lottery"
    )]
    Remove {
        /// Addresses, domains or keywords
        #[arg(required = true)]
        entries: Vec<String>,
    },
}

/// Which list.
#[derive(Debug, Clone, Copy)]
enum List {
    Blacklist,
    Whitelist,
    SubjectFilter,
}

impl List {
    fn add(self, policy: &mut TenantPolicy, entry: &str) -> Result<bool, PolicyError> {
        match self {
            List::Blacklist => policy.add_to_blacklist(entry),
            List::Whitelist => policy.add_to_whitelist(entry),
            List::SubjectFilter => policy.add_to_subject_filter(entry),
        }
    }

    fn remove(self, policy: &mut TenantPolicy, entry: &str) -> Result<bool, PolicyError> {
        match self {
            List::Blacklist => policy.remove_from_blacklist(entry),
            List::Whitelist => policy.remove_from_whitelist(entry),
            List::SubjectFilter => Ok(policy.remove_from_subject_filter(entry)),
        }
    }
}

impl PolicyCommand {
    /// Does what was asked.
    ///
    /// # Errors
    /// [`AdminError`].
    pub async fn run(&self, context: &AdminContext<'_>) -> Result<(), AdminError> {
        match self {
            PolicyCommand::Show(tenant) => {
                let tenant = context.tenant_or_only(tenant.tenant.as_deref()).await?;
                show(context, &context.directory.policy(tenant.id).await?)
            }
            PolicyCommand::Blacklist { change, tenant } => {
                change_list(context, tenant, List::Blacklist, change).await
            }
            PolicyCommand::Whitelist { change, tenant } => {
                change_list(context, tenant, List::Whitelist, change).await
            }
            PolicyCommand::SubjectFilter { change, tenant } => {
                change_list(context, tenant, List::SubjectFilter, change).await
            }
            PolicyCommand::Set { dmarc_reject, junk_threshold, tenant } => {
                set(context, tenant, *dmarc_reject, *junk_threshold).await
            }
        }
    }
}

/// All entries are changed together or none.
async fn change_list(
    context: &AdminContext<'_>,
    tenant: &TenantArgs,
    list: List,
    change: &ListChange,
) -> Result<(), AdminError> {
    let tenant = context.tenant_or_only(tenant.tenant.as_deref()).await?;
    let (entries, is_add) = match change {
        ListChange::Add { entries } => (entries, true),
        ListChange::Remove { entries } => (entries, false),
    };
    let update = |policy: &mut TenantPolicy| -> Result<Vec<bool>, PolicyError> {
        let changed = entries
            .iter()
            .map(|entry| if is_add { list.add(policy, entry) } else { list.remove(policy, entry) });
        changed.collect()
    };
    let after = json!({ "added": is_add, "entries": entries });
    let updating = context.directory.update_policy(tenant.id, update);
    let (changed, policy) =
        context.recorded(tenant.id, Action::PolicyChange, "policy", after, updating).await?;
    if context.json {
        return context.line(&document(&policy).to_string());
    }
    let text = &context.text;
    for (entry, changed) in entries.iter().zip(changed) {
        context.line(&match (is_add, changed) {
            (true, true) => say!(text, "list-entry-added", entry = entry),
            (true, false) => say!(text, "list-entry-there", entry = entry),
            (false, true) => say!(text, "list-entry-removed", entry = entry),
            (false, false) => say!(text, "list-entry-missing", entry = entry),
        })?;
    }
    Ok(())
}

async fn set(
    context: &AdminContext<'_>,
    tenant: &TenantArgs,
    dmarc_reject: Option<Switch>,
    junk_threshold: Option<i32>,
) -> Result<(), AdminError> {
    if dmarc_reject.is_none() && junk_threshold.is_none() {
        return Err(AdminError::Said(say!(context.text, "error-nothing-to-set")));
    }
    let tenant = context.tenant_or_only(tenant.tenant.as_deref()).await?;
    let update = |policy: &mut TenantPolicy| {
        if let Some(switch) = dmarc_reject {
            policy.dmarc_reject = switch == Switch::On;
        }
        if let Some(points) = junk_threshold {
            policy.junk_threshold = points;
        }
        Ok(())
    };
    let updating = context.directory.update_policy(tenant.id, update);
    let ((), policy) =
        context.recorded(tenant.id, Action::PolicyChange, "policy", json!({}), updating).await?;
    context.print(&say!(context.text, "policy-set"), &document(&policy))
}

fn show(context: &AdminContext<'_>, policy: &TenantPolicy) -> Result<(), AdminError> {
    if context.json {
        return context.line(&document(policy).to_string());
    }
    let text = &context.text;
    let dmarc_reject = if policy.dmarc_reject { say!(text, "word-yes") } else { say!(text, "word-no") };
    let joined = |list: &[pennypost_policy::SenderPattern]| {
        list.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
    };
    let rows = [
        (say!(text, "word-version"), policy.version.to_string()),
        (say!(text, "word-blacklist"), joined(&policy.blacklist)),
        (say!(text, "word-whitelist"), joined(&policy.whitelist)),
        (say!(text, "word-subject-filter"), policy.subject_filter.join(", ")),
        (say!(text, "word-dmarc-reject"), dmarc_reject),
        (say!(text, "word-junk-threshold"), policy.junk_threshold.to_string()),
    ];
    rows.iter().try_for_each(|(word, value)| context.line(format!("{word}: {value}").trim_end()))
}

fn document(policy: &TenantPolicy) -> Value {
    let texts = |list: &[pennypost_policy::SenderPattern]| -> Vec<String> {
        list.iter().map(ToString::to_string).collect()
    };
    json!({
        "version": policy.version,
        "blacklist": texts(&policy.blacklist),
        "whitelist": texts(&policy.whitelist),
        "subject_filter": policy.subject_filter,
        "dmarc_reject": policy.dmarc_reject,
        "junk_threshold": policy.junk_threshold,
    })
}
