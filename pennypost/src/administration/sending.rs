//! `pennypost sending …`: who sends nothing outside the organisation, and how often the others may (SND-21, SND-22).

use std::collections::BTreeSet;

use clap::{Args, Subcommand};
use pennypost_admin::AdminError;
use pennypost_directory::{
    DepartmentId, DepartmentTree, Directory, DirectoryError, Frequency, Outward, SendingRules, SendingTarget,
    Tenant,
};
use pennypost_model::AccountKey;
use serde_json::{Value, json};

use super::content::ContentCommand;
use super::read_status::ReadStatusArgs;
use super::{OPERATOR, refused, tenant};
use crate::office::Office;
use crate::print::{Output, time};
use crate::text::Text;
use crate::{Failed, say};

/// Of whom something is said.
#[derive(Debug, Args)]
pub struct Whom {
    /// Addresses of accounts
    accounts: Vec<String>,
    /// A department, with everybody in and below it; / is the organisation; may be given several times
    #[arg(long)]
    department: Vec<String>,
    /// A tag; may be given several times
    #[arg(long)]
    tag: Vec<String>,
    /// Name or id of the tenant; may be left out if there is only one
    #[arg(long)]
    tenant: Option<String>,
}

/// How often.
#[derive(Debug, Args)]
pub struct LimitArgs {
    /// Of whom
    #[command(flatten)]
    whom: Whom,
    /// Everybody of whom nothing else is said
    #[arg(long)]
    everybody: bool,
    /// So many messages
    #[arg(long, requires = "minutes", required_unless_present_any = ["except", "lift"])]
    messages: Option<u32>,
    /// Within so many minutes
    #[arg(long, requires = "messages")]
    minutes: Option<u32>,
    /// As often as they like, whatever is said of others
    #[arg(long, conflicts_with_all = ["messages", "lift", "everybody"])]
    except: bool,
    /// Nothing is said of them any more
    #[arg(long, conflicts_with = "messages")]
    lift: bool,
}

/// Who may forward.
#[derive(Debug, Args)]
pub struct ForwardingArgs {
    /// Addresses of accounts
    accounts: Vec<String>,
    /// They may
    #[arg(long)]
    allow: bool,
    /// They may not: what they have said is kept
    #[arg(long, conflicts_with = "allow")]
    forbid: bool,
    /// Nothing is said of these accounts any more
    #[arg(long, conflicts_with_all = ["allow", "forbid"], requires = "accounts")]
    lift: bool,
    /// Name or id of the tenant; may be left out if there is only one
    #[arg(long)]
    tenant: Option<String>,
}

/// Subcommands of `sending`.
#[derive(Debug, Subcommand)]
pub enum SendingCommand {
    /// Show who sends nothing outside, and how often others may
    #[command(after_help = "Example:\n  pennypost sending show --tenant acme")]
    Show {
        /// Name or id of the tenant; may be left out if there is only one
        #[arg(long)]
        tenant: Option<String>,
    },
    /// Let accounts, departments and tags send nothing outside, or let them again with --lift
    #[command(after_help = "Examples:
  pennypost sending forbid intern@example.com --department Factory --tag drivers
  pennypost sending forbid intern@example.com --lift")]
    Forbid {
        /// Whom
        #[command(flatten)]
        whom: Whom,
        /// They may again
        #[arg(long)]
        lift: bool,
    },
    /// Say how often accounts, departments, tags or everybody may send outside
    #[command(after_help = "Examples:
  pennypost sending limit --everybody --messages 100 --minutes 60
  pennypost sending limit --department Sales --messages 500 --minutes 60
  pennypost sending limit news@example.com --except
  pennypost sending limit --department Sales --lift
The word about an account goes before that about its tags, that before the nearest of its departments, that before everybody.")]
    Limit(LimitArgs),
    /// Show or say who may have letters forwarded by themselves: nobody may unless it is said
    #[command(after_help = "Examples:
  pennypost sending forwarding
  pennypost sending forwarding --allow
  pennypost sending forwarding ann@example.com --allow
  pennypost sending forwarding ann@example.com --lift
Without addresses it is said of everybody of whom nothing else is said.")]
    Forwarding(ForwardingArgs),
    /// Show or say whether members see who of their colleagues has read what they sent
    #[command(
        name = "read-status",
        after_help = "Examples:
  pennypost sending read-status
  pennypost sending read-status --at-once
  pennypost sending read-status --after-48-hours
  pennypost sending read-status --off"
    )]
    ReadStatus(ReadStatusArgs),
    /// Show, say and try which letters go by what stands in them: words, numbers of cards, attachments
    #[command(subcommand)]
    Content(ContentCommand),
    /// Show what holds for an account, and how many it has sent outside of late
    #[command(after_help = "Example:\n  pennypost sending of ann@example.com")]
    Of {
        /// Its address
        address: String,
    },
}

/// Does what was asked.
pub async fn run(
    office: &Office,
    command: &SendingCommand,
    text: &Text,
    output: &mut Output<'_>,
) -> Result<(), Failed> {
    match command {
        SendingCommand::Show { tenant: name } => {
            let tenant = tenant(office, name.as_deref(), text).await?;
            let rules = office.administration().sending_rules(&OPERATOR, tenant.id).await;
            show(office, &tenant, &rules.map_err(|error| refused(error, text))?, text, output).await
        }
        SendingCommand::Forbid { whom, lift } => {
            let (tenant, targets) = whom.targets(office, text).await?;
            if targets.is_empty() {
                return Err(Failed::Said(say!(text, "sending-whom")));
            }
            let change = |rules: &mut SendingRules| match lift {
                true => rules.forbidden.retain(|target| !targets.contains(target)),
                false => rules.forbidden.extend(&targets),
            };
            changed(office, &tenant, change, text, output).await
        }
        SendingCommand::Limit(args) => limit(office, args, text, output).await,
        SendingCommand::Forwarding(args) => forwarding(office, args, text, output).await,
        SendingCommand::ReadStatus(args) => super::read_status::run(office, args, text, output).await,
        SendingCommand::Content(command) => {
            Box::pin(super::content::run(office, command, text, output)).await
        }
        SendingCommand::Of { address } => of(office, address, text, output).await,
    }
}

async fn forwarding(
    office: &Office,
    args: &ForwardingArgs,
    text: &Text,
    output: &mut Output<'_>,
) -> Result<(), Failed> {
    let tenant = tenant(office, args.tenant.as_deref(), text).await?;
    let administration = office.administration();
    let told = |error: AdminError| refused(error, text);
    let seen = administration.forwarding_rules(&OPERATOR, tenant.id).await.map_err(told)?;
    let mut rules = seen.clone();
    for address in &args.accounts {
        let key = office.account(address, text).await?.key;
        if key.tenant != tenant.id {
            return Err(DirectoryError::OtherTenant(address.clone()).into());
        }
        match args.allow || args.forbid {
            true => rules.accounts.insert(key.account, args.allow),
            false if args.lift => rules.accounts.remove(&key.account),
            false => None,
        };
    }
    if args.accounts.is_empty() && (args.allow || args.forbid) {
        rules.everybody = args.allow;
    }
    if rules != seen {
        administration.change_forwarding_rules(&OPERATOR, tenant.id, &seen, &rules).await.map_err(told)?;
    }
    let may = |allowed: bool| match allowed {
        true => say!(text, "forwarding-allowed"),
        false => say!(text, "forwarding-forbidden"),
    };
    let mut rows = Vec::new();
    for (account, allowed) in &rules.accounts {
        let found = office.directory.account(AccountKey { tenant: tenant.id, account: *account }).await?;
        let address = found.map_or_else(|| account.to_string(), |found| found.address.to_string());
        let row = json!({ "of": { "account": address }, "allowed": allowed });
        rows.push((vec![address, may(*allowed)], row));
    }
    let row = json!({ "of": "everybody", "allowed": rules.everybody });
    rows.push((vec![say!(text, "word-everybody"), may(rules.everybody)], row));
    let heads = vec![say!(text, "sending-who"), say!(text, "forwarding-everybody")];
    Ok(output.table(heads, rows, "")?)
}

async fn limit(
    office: &Office,
    args: &LimitArgs,
    text: &Text,
    output: &mut Output<'_>,
) -> Result<(), Failed> {
    let (tenant, targets) = args.whom.targets(office, text).await?;
    if targets.is_empty() && !args.everybody {
        return Err(Failed::Said(say!(text, "sending-whom")));
    }
    let limit = args.messages.zip(args.minutes).map(|(messages, minutes)| Frequency::new(messages, minutes));
    let limit = limit.transpose().map_err(|_| Failed::Said(say!(text, "sending-limit-bad")))?;
    let change = |rules: &mut SendingRules| {
        if args.everybody {
            rules.everybody = limit;
        }
        for target in &targets {
            match args.lift {
                true => rules.limits.remove(target),
                false => rules.limits.insert(*target, limit),
            };
        }
    };
    changed(office, &tenant, change, text, output).await
}

impl Whom {
    async fn targets(
        &self,
        office: &Office,
        text: &Text,
    ) -> Result<(Tenant, BTreeSet<SendingTarget>), Failed> {
        let tenant = tenant(office, self.tenant.as_deref(), text).await?;
        let mut targets = BTreeSet::new();
        if !self.department.is_empty() {
            let tree = office.directory.departments(tenant.id).await?;
            for path in &self.department {
                let missing = || DirectoryError::NoDepartment(path.clone());
                targets.insert(SendingTarget::Department(tree.find(path).ok_or_else(missing)?));
            }
        }
        for name in &self.tag {
            let tag = office.directory.tag(tenant.id, name).await?;
            targets.insert(SendingTarget::Tag(tag.ok_or_else(|| DirectoryError::NoTag(name.clone()))?.id));
        }
        for address in &self.accounts {
            let account = office.account(address, text).await?;
            if account.key.tenant != tenant.id {
                return Err(DirectoryError::OtherTenant(address.clone()).into());
            }
            targets.insert(SendingTarget::Account(account.key.account));
        }
        Ok((tenant, targets))
    }
}

/// Changes what is said, and shows it.
async fn changed(
    office: &Office,
    tenant: &Tenant,
    change: impl FnOnce(&mut SendingRules),
    text: &Text,
    output: &mut Output<'_>,
) -> Result<(), Failed> {
    let administration = office.administration();
    let told = |error: AdminError| refused(error, text);
    let seen = administration.sending_rules(&OPERATOR, tenant.id).await.map_err(told)?;
    let mut rules = seen.clone();
    change(&mut rules);
    administration.change_sending_rules(&OPERATOR, tenant.id, &seen, &rules).await.map_err(told)?;
    show(office, tenant, &rules, text, output).await
}

/// A target as programs read it, and as people do; what is gone is told by its number.
async fn shown(
    directory: &Directory,
    tenant: &Tenant,
    tree: &DepartmentTree,
    target: SendingTarget,
    text: &Text,
) -> Result<(Value, String), Failed> {
    Ok(match target {
        SendingTarget::Department(id) => {
            let path = if id == DepartmentId::ROOT { "/".to_owned() } else { tree.path(id).join("/") };
            let path = if path.is_empty() { format!("#{id}") } else { path };
            (json!({ "department": path }), format!("{} {path}", say!(text, "word-department")))
        }
        SendingTarget::Tag(id) => {
            let found = directory.tag_numbered(tenant.id, id).await?;
            let name = found.map_or_else(|| format!("#{}", id.0), |tag| tag.name);
            let word = say!(text, "word-tag");
            (json!({ "tag": name }), format!("{word} {name}"))
        }
        SendingTarget::Account(account) => {
            let found = directory.account(AccountKey { tenant: tenant.id, account }).await?;
            let address = found.map_or_else(|| account.to_string(), |account| account.address.to_string());
            (json!({ "account": address }), address)
        }
    })
}

async fn show(
    office: &Office,
    tenant: &Tenant,
    rules: &SendingRules,
    text: &Text,
    output: &mut Output<'_>,
) -> Result<(), Failed> {
    let directory = &office.directory;
    let tree = directory.departments(tenant.id).await?;
    let mut rows = Vec::new();
    for target in &rules.forbidden {
        let (of, name) = shown(directory, tenant, &tree, *target, text).await?;
        rows.push((vec![name, say!(text, "sending-none")], json!({ "of": of, "forbidden": true })));
    }
    for (target, limit) in &rules.limits {
        let (of, name) = shown(directory, tenant, &tree, *target, text).await?;
        rows.push((vec![name, how_often(*limit, text)], json!({ "of": of, "limit": document(*limit) })));
    }
    if let Some(limit) = rules.everybody {
        let everybody = say!(text, "word-everybody");
        let row = json!({ "of": "everybody", "limit": document(Some(limit)) });
        rows.push((vec![everybody, how_often(Some(limit), text)], row));
    }
    let heads = vec![say!(text, "sending-who"), say!(text, "word-outside")];
    Ok(output.table(heads, rows, &say!(text, "sending-no-rules"))?)
}

fn document(limit: Option<Frequency>) -> Value {
    json!(limit.map(|limit| json!({ "messages": limit.messages(), "minutes": limit.minutes() })))
}

fn how_often(limit: Option<Frequency>, text: &Text) -> String {
    match limit {
        None => say!(text, "sending-any"),
        Some(limit) => {
            say!(text, "sending-within", messages = limit.messages(), minutes = limit.minutes())
        }
    }
}

async fn of(office: &Office, address: &str, text: &Text, output: &mut Output<'_>) -> Result<(), Failed> {
    let account = office.account(address, text).await?;
    let found = office.administration().account_sending(&OPERATOR, account.key).await;
    let found = found.map_err(|error| refused(error, text))?;
    let limit = if let Outward::Open(limit) = found.outward { limit } else { None };
    let until = found.used.and_then(|used| used.until);
    let document = json!({
        "address": address,
        "forbidden": found.outward == Outward::Forbidden,
        "limit": document(limit),
        "sent": found.used.map(|used| used.messages),
        "until": until.map(|until| until.rfc3339()),
    });
    let allowed = match found.outward {
        Outward::Forbidden => say!(text, "sending-none"),
        Outward::Open(limit) => how_often(limit, text),
    };
    let mut sentence = say!(text, "sending-of", address = address, allowed = allowed);
    if let Some((used, until)) = found.used.zip(until) {
        let (sent, until) = (used.messages, time(until));
        sentence = format!("{sentence}; {}", say!(text, "sending-used", sent = sent, until = until));
    }
    Ok(output.result(&sentence, &document)?)
}

#[cfg(test)]
mod tests {
    use super::super::tests::done;
    use crate::test_office::{self, documents};
    use serde_json::{Value, json};

    /// Feature SND-21: said and shown by commands, too
    /// Feature SND-22: said and shown by commands, too
    #[tokio::test(flavor = "multi_thread")]
    async fn letters_outside_are_limited_by_commands() {
        let it = test_office::office().await;
        let (directory, tenant) = (&it.office.directory, it.account.key.tenant);
        let address = it.account.address.to_string();
        directory.add_tag(tenant, "drivers").await.expect("tag");
        let say =
            async |line: &str| documents(&done(&it, &format!("sending {line}"), true).await.expect(line));
        assert!(done(&it, "sending show", false).await.expect("shown")[0].contains("as often as they like"));
        let none = |of: Value| json!({ "of": of, "forbidden": true });
        let said = say(&format!("forbid {address} --tag drivers")).await;
        assert_eq!(said, [none(json!({ "tag": "drivers" })), none(json!({ "account": address }))]);
        let own = say(&format!("of {address}")).await;
        assert_eq!(own[0]["forbidden"], true);
        say(&format!("forbid {address} --lift")).await;
        let limit = json!({ "messages": 5, "minutes": 60 });
        say("limit --everybody --messages 5 --minutes 60").await;
        let said = say("limit --department / --except").await;
        assert_eq!(
            said[1..],
            [
                json!({ "of": { "department": "/" }, "limit": null }),
                json!({ "of": "everybody", "limit": limit }),
            ]
        );
        let own = done(&it, &format!("sending of {address}"), false).await.expect("shown");
        assert!(own[0].ends_with("as often as they like"), "{own:?}");
        say("limit --department / --lift").await;
        let own = done(&it, &format!("sending of {address}"), false).await.expect("shown");
        assert!(own[0].ends_with("5 messages within 60 minutes"), "{own:?}");
        let shown = done(&it, "sending show", false).await.expect("shown").join(" ");
        assert!(shown.contains("tag drivers") && shown.contains("everybody"), "{shown}");
        for (bad, why) in [
            ("forbid", "name accounts"),
            ("limit --messages 1 --minutes 1", "name accounts"),
            ("limit --everybody --messages 0 --minutes 1", "44640"),
            ("limit --everybody --messages 1", "--minutes"),
            ("limit --everybody --except", "--everybody"),
            ("limit --tag nobody --except", "tag"),
            ("limit --department nowhere --except", "department"),
        ] {
            let refused = done(&it, &format!("sending {bad}"), false).await.expect_err(bad);
            assert!(refused.contains(why), "{bad} {refused}");
        }
        let log = done(&it, "log list", false).await.expect("listed").join(" ");
        assert!(log.contains("sending-rules.change"), "{log}");
    }
}
