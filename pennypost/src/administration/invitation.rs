//! `pennypost invitation …`: who may join, by which invitations, and what is applied for (ORG-10 … ORG-12).

use clap::{Args, Subcommand};
use pennypost_directory::{
    Application, ApplicationState, DepartmentId, DomainName, Invitation, InvitationId, JoiningRules,
    NewInvitation, Page,
};
use pennypost_model::{TenantId, Timestamp};
use serde_json::{Value, json};

use super::sign_in::Switch;
use super::{OPERATOR, refused, tenant};
use crate::admin::department::paths;
use crate::office::Office;
use crate::print::{Output, clean, time};
use crate::text::Text;
use crate::{Failed, say};

/// Milliseconds of a day.
const DAY: i64 = 24 * 60 * 60 * 1000;

/// Subcommands of `invitation`.
#[derive(Debug, Subcommand)]
pub enum InvitationCommand {
    /// Show what the organisation says about joining, or say something else
    #[command(after_help = "Examples:
  pennypost invitation rules --tenant acme
  pennypost invitation rules --open on --domain acme.example --department Sales --approval off")]
    Rules(RulesArgs),
    /// List invitations by which people become members
    #[command(after_help = "Example:\n  pennypost invitation list --tenant acme")]
    List {
        /// Name or id of the tenant; may be left out if there is only one
        #[arg(long)]
        tenant: Option<String>,
    },
    /// Make an invitation by which people become members; it is shown once
    #[command(
        after_help = "Example:\n  pennypost invitation add --name Autumn --uses 30 --days 14 --tenant acme"
    )]
    Add(Box<AddArgs>),
    /// Give an invitation another secret and a new term; what was handed out before is worth nothing any more
    #[command(after_help = "Example:\n  pennypost invitation renew 4b3f0f7e9c1d2a68 --uses 5 --days 7")]
    Renew {
        /// Its number, as listed
        id: InvitationId,
        /// How the new one may be used
        #[command(flatten)]
        term: TermArgs,
        /// Name or id of the tenant; may be left out if there is only one
        #[arg(long)]
        tenant: Option<String>,
    },
    /// Make an invitation worthless
    #[command(after_help = "Example:\n  pennypost invitation revoke 4b3f0f7e9c1d2a68")]
    Revoke {
        /// Its number, as listed
        id: InvitationId,
        /// Name or id of the tenant; may be left out if there is only one
        #[arg(long)]
        tenant: Option<String>,
    },
    /// List who applies to join
    #[command(after_help = "Example:\n  pennypost invitation applications --tenant acme")]
    Applications {
        /// Name or id of the tenant; may be left out if there is only one
        #[arg(long)]
        tenant: Option<String>,
    },
    /// Let somebody join who applies for an address
    #[command(after_help = "Example:\n  pennypost invitation approve ann@acme.example")]
    Approve {
        /// The address that is applied for
        address: String,
    },
    /// Refuse somebody who applies for an address, and say why
    #[command(
        after_help = "Example:\n  pennypost invitation refuse ann@acme.example --reason 'unknown here'"
    )]
    Refuse {
        /// The address that is applied for
        address: String,
        /// Whoever applied reads it
        #[arg(long)]
        reason: String,
    },
    /// List members who have no password yet
    #[command(after_help = "Example:\n  pennypost invitation missing --tenant acme")]
    Missing {
        /// Name or id of the tenant; may be left out if there is only one
        #[arg(long)]
        tenant: Option<String>,
    },
    /// Invite members who have no password yet to set one; each invitation is shown once
    #[command(
        after_help = "Example:\n  pennypost invitation member ann@acme.example bob@acme.example --days 7"
    )]
    Member {
        /// Their addresses
        #[arg(required = true)]
        addresses: Vec<String>,
        /// For how many days it is good: 90 at most
        #[arg(long, default_value_t = 7)]
        days: u32,
    },
}

/// What is said about joining.
#[derive(Debug, Args)]
pub struct RulesArgs {
    /// May people outside the directory be invited?
    #[arg(long)]
    open: Option<Switch>,
    /// Does an administrator have to approve whoever joins?
    #[arg(long)]
    approval: Option<Switch>,
    /// May members invite colleagues, whom an administrator approves?
    #[arg(long)]
    colleagues: Option<Switch>,
    /// The department into which people come, if an invitation names none; / is the organisation
    #[arg(long)]
    department: Option<String>,
    /// The domain of their addresses, if an invitation names none
    #[arg(long)]
    domain: Option<String>,
    /// Name or id of the tenant; may be left out if there is only one
    #[arg(long)]
    tenant: Option<String>,
}

/// How an invitation may be used.
#[derive(Debug, Args)]
pub struct TermArgs {
    /// How often it may be accepted: 1 to 1,000
    #[arg(long, default_value_t = 1)]
    uses: u32,
    /// For how many days it is good: 90 at most
    #[arg(long, default_value_t = 7)]
    days: u32,
}

/// Arguments of `invitation add`.
#[derive(Debug, Args)]
pub struct AddArgs {
    /// What it is called
    #[arg(long, default_value = "")]
    name: String,
    /// How it may be used
    #[command(flatten)]
    term: TermArgs,
    /// The domain of the new addresses [default: as the rules say]
    #[arg(long)]
    domain: Option<String>,
    /// The department into which people come [default: as the rules say]
    #[arg(long)]
    department: Option<String>,
    /// Does an administrator have to approve each? The rules may ask for it, too
    #[arg(long)]
    approval: Option<Switch>,
    /// Name or id of the tenant; may be left out if there is only one
    #[arg(long)]
    tenant: Option<String>,
}

/// Does what was asked.
pub async fn run(
    office: &Office,
    command: &InvitationCommand,
    text: &Text,
    output: &mut Output<'_>,
) -> Result<(), Failed> {
    let administration = office.administration();
    match command {
        InvitationCommand::Rules(args) => rules(office, args, text, output).await,
        InvitationCommand::List { tenant: name } => {
            let tenant = tenant(office, name.as_deref(), text).await?.id;
            let listed = administration.invitations(&OPERATOR, tenant).await;
            list(office, &listed.map_err(|error| refused(error, text))?, text, output)
        }
        InvitationCommand::Add(args) => {
            let tenant = tenant(office, args.tenant.as_deref(), text).await?.id;
            let department = match &args.department {
                Some(path) => Some(department(office, tenant, path, text).await?),
                None => None,
            };
            let new = NewInvitation {
                name: args.name.clone(),
                domain: args.domain.clone(),
                department,
                approval: args.approval.map(is_on),
                most: args.term.uses,
                until: end(office, args.term.days),
            };
            let made = administration.invite(&OPERATOR, tenant, &new).await;
            told_once(office, made.map_err(|error| refused(error, text))?, text, output)
        }
        InvitationCommand::Renew { id, term, tenant: name } => {
            let tenant = tenant(office, name.as_deref(), text).await?.id;
            let terms = (term.uses, end(office, term.days));
            let renewed = administration.renew_invitation(&OPERATOR, tenant, *id, terms).await;
            told_once(office, renewed.map_err(|error| refused(error, text))?, text, output)
        }
        InvitationCommand::Revoke { id, tenant: name } => {
            let tenant = tenant(office, name.as_deref(), text).await?.id;
            let revoked = administration.revoke_invitation(&OPERATOR, tenant, *id).await;
            let revoked = revoked.map_err(|error| refused(error, text))?;
            let sentence = say!(text, "invitation-revoked", id = id.to_string());
            Ok(output.result(&sentence, &document(&revoked, office.directory.now()))?)
        }
        InvitationCommand::Applications { tenant } => {
            applications(office, tenant.as_deref(), text, output).await
        }
        InvitationCommand::Approve { address } => {
            let tenant = tenant_of(office, address, text).await?;
            // On the heap: it is large.
            let approved = Box::pin(administration.approve_application(&OPERATOR, tenant, address)).await;
            let approved = approved.map_err(|error| refused(error, text))?;
            let sentence = say!(text, "application-approved", address = approved.address.to_string());
            Ok(output.result(&sentence, &applied(&approved))?)
        }
        InvitationCommand::Refuse { address, reason } => {
            let tenant = tenant_of(office, address, text).await?;
            let decided = administration.refuse_application(&OPERATOR, tenant, address, reason).await;
            let decided = decided.map_err(|error| refused(error, text))?;
            let sentence = say!(text, "application-refused", address = decided.address.to_string());
            Ok(output.result(&sentence, &applied(&decided))?)
        }
        InvitationCommand::Missing { tenant } => missing(office, tenant.as_deref(), text, output).await,
        InvitationCommand::Member { addresses, days } => {
            for address in addresses {
                let key = office.account(address, text).await?.key;
                let invited = administration.invite_member(&OPERATOR, key, end(office, *days)).await;
                let invited = invited.map_err(|error| refused(error, text))?;
                let address = invited.account.address.to_string();
                let document = json!({ "address": address, "until": invited.until.rfc3339(), "invitation": invited.text });
                output.result(&format!("{address}  {}", invited.text), &document)?;
            }
            Ok(())
        }
    }
}

fn is_on(state: Switch) -> bool {
    state == Switch::On
}

fn end(office: &Office, days: u32) -> Timestamp {
    office.directory.now().plus_millis(i64::from(days) * DAY)
}

async fn department(
    office: &Office,
    tenant: TenantId,
    path: &str,
    text: &Text,
) -> Result<DepartmentId, Failed> {
    let tree = office.directory.departments(tenant).await?;
    tree.find(path).ok_or_else(|| Failed::Said(say!(text, "error-no-department", name = clean(path))))
}

/// Whose domain an address is in.
async fn tenant_of(office: &Office, address: &str, text: &Text) -> Result<TenantId, Failed> {
    let domain = address.rsplit('@').next().unwrap_or_default();
    let found = office.directory.domain(domain).await?;
    found
        .map(|domain| domain.tenant)
        .ok_or_else(|| Failed::Said(say!(text, "error-no-domain", name = clean(domain))))
}

async fn rules(
    office: &Office,
    args: &RulesArgs,
    text: &Text,
    output: &mut Output<'_>,
) -> Result<(), Failed> {
    let tenant = tenant(office, args.tenant.as_deref(), text).await?.id;
    let administration = office.administration();
    let before = administration.joining_rules(&OPERATOR, tenant).await;
    let before = before.map_err(|error| refused(error, text))?;
    let mut rules = before.clone();
    rules.open = args.open.map_or(rules.open, is_on);
    rules.approval = args.approval.map_or(rules.approval, is_on);
    rules.colleagues = args.colleagues.map_or(rules.colleagues, is_on);
    if let Some(path) = &args.department {
        rules.department = department(office, tenant, path, text).await?;
    }
    if let Some(domain) = &args.domain {
        let domain = DomainName::parse(domain).map_err(pennypost_directory::DirectoryError::from)?;
        rules.domain = Some(domain);
    }
    if rules != before {
        let changed = administration.change_joining_rules(&OPERATOR, tenant, &before, &rules).await;
        rules = changed.map_err(|error| refused(error, text))?;
    }
    show_rules(office, tenant, &rules, text, output).await
}

async fn show_rules(
    office: &Office,
    tenant: TenantId,
    rules: &JoiningRules,
    text: &Text,
    output: &mut Output<'_>,
) -> Result<(), Failed> {
    let tree = office.directory.departments(tenant).await?;
    let path = paths(&tree, &[rules.department]).concat();
    let domain = rules.domain.as_ref().map(ToString::to_string);
    let document = json!({
        "open": rules.open, "approval": rules.approval, "colleagues": rules.colleagues, "department": rules.department.0, "path": path,
        "domain": domain,
    });
    let sentence = say!(
        text,
        "joining-rules",
        open = if rules.open { "yes" } else { "no" },
        approval = if rules.approval { "yes" } else { "no" },
        colleagues = if rules.colleagues { "yes" } else { "no" },
        department = path,
        domain = domain.unwrap_or_else(|| "-".to_owned())
    );
    Ok(output.result(&sentence, &document)?)
}

fn told_once(
    office: &Office,
    (made, invitation): (Invitation, String),
    text: &Text,
    output: &mut Output<'_>,
) -> Result<(), Failed> {
    let mut document = document(&made, office.directory.now());
    document["invitation"] = invitation.clone().into();
    let sentence =
        say!(text, "invitation-once", invitation = invitation, uses = made.most, until = time(made.until));
    Ok(output.result(&sentence, &document)?)
}

fn document(invitation: &Invitation, now: Timestamp) -> Value {
    json!({
        "id": invitation.id.to_string(),
        "name": invitation.name,
        "domain": invitation.domain.to_string(),
        "department": invitation.department.0,
        "approval": invitation.approval,
        "uses": invitation.most,
        "used": invitation.used,
        "created": invitation.created.rfc3339(),
        "until": invitation.until.rfc3339(),
        "state": state(invitation, now),
    })
}

fn state(invitation: &Invitation, now: Timestamp) -> &'static str {
    invitation.end(now).map_or("good", |end| end.name())
}

fn list(
    office: &Office,
    invitations: &[Invitation],
    text: &Text,
    output: &mut Output<'_>,
) -> Result<(), Failed> {
    let now = office.directory.now();
    let row = |one: &Invitation| {
        let cells = vec![
            one.id.to_string(),
            clean(&one.name),
            one.domain.to_string(),
            format!("{}/{}", one.used, one.most),
            time(one.until),
            say!(text, "invitation-state", state = state(one, now)),
        ];
        (cells, document(one, now))
    };
    let heads = vec![
        say!(text, "word-number"),
        say!(text, "word-name"),
        say!(text, "word-domain"),
        say!(text, "word-accepted"),
        say!(text, "secretary-until"),
        say!(text, "word-state"),
    ];
    Ok(output.table(heads, invitations.iter().map(row).collect(), &say!(text, "invitations-none"))?)
}

fn applied(application: &Application) -> Value {
    let reason = match &application.state {
        ApplicationState::Refused(reason) => Some(reason.as_str()),
        _ => None,
    };
    json!({
        "address": application.address.to_string(),
        "name": application.name,
        "mobile": application.mobile,
        "invitation": application.invitation.to_string(),
        "department": application.department.0,
        "applied": application.applied.rfc3339(),
        "state": application.state.name(),
        "reason": reason,
    })
}

async fn applications(
    office: &Office,
    name: Option<&str>,
    text: &Text,
    output: &mut Output<'_>,
) -> Result<(), Failed> {
    let tenant = tenant(office, name, text).await?.id;
    let administration = office.administration();
    let (mut rows, mut page) = (Vec::new(), Page::default());
    loop {
        let listed = administration.applications(&OPERATOR, tenant, &page).await;
        let listed = listed.map_err(|error| refused(error, text))?;
        rows.extend(listed.items.iter().map(|one| {
            let cells = vec![
                one.address.to_string(),
                clean(&one.name),
                clean(&one.mobile),
                time(one.applied),
                say!(text, "application-state", state = one.state.name()),
            ];
            (cells, applied(one))
        }));
        let Some(next) = listed.next else { break };
        page.after = Some(next);
    }
    let heads = vec![
        say!(text, "word-address"),
        say!(text, "word-name"),
        say!(text, "word-mobile"),
        say!(text, "word-since"),
        say!(text, "word-state"),
    ];
    Ok(output.table(heads, rows, &say!(text, "applications-none"))?)
}

async fn missing(
    office: &Office,
    name: Option<&str>,
    text: &Text,
    output: &mut Output<'_>,
) -> Result<(), Failed> {
    let tenant = tenant(office, name, text).await?.id;
    let administration = office.administration();
    let (mut rows, mut page) = (Vec::new(), Page::default());
    loop {
        let listed = administration.not_joined(&OPERATOR, tenant, &page).await;
        let listed = listed.map_err(|error| refused(error, text))?;
        rows.extend(listed.items.iter().map(|account| {
            let (address, name) = (account.address.to_string(), account.display_name.clone());
            let document = json!({ "address": address, "name": name });
            (vec![address, clean(&name)], document)
        }));
        let Some(next) = listed.next else { break };
        page.after = Some(next);
    }
    rows.sort_by(|(one, _), (other, _)| one.cmp(other));
    let heads = vec![say!(text, "word-address"), say!(text, "word-name")];
    Ok(output.table(heads, rows, &say!(text, "not-joined-none"))?)
}
