//! `pennypost account clients …`: what mail programs may do and see (CLI-04 to CLI-08, SND-16), and what to enter in
//! them (CLI-09).

use clap::{Args, Subcommand, ValueEnum};
use pennypost_admin::Action;
use pennypost_directory::{ClientProtocol, ClientRange, ClientRules, ClientSettings, ProtocolRules};
use serde_json::{Value, json};

use crate::admin::client_setup::SetupArgs;
use crate::admin::policy::Switch;
use crate::admin::{AdminContext, AdminError};
use crate::say;

/// Subcommands of `account clients`.
#[derive(Debug, Subcommand)]
pub enum ClientsCommand {
    /// Show what holds for an account
    #[command(after_help = "Example:\n  pennypost account clients show alice@example.com")]
    Show {
        /// Address of the account
        address: String,
    },
    /// Say what holds for an account, or for all of a tenant; what a tenant closes stays closed for its accounts
    #[command(after_help = "Examples:\n  \
        pennypost account clients set alice@example.com --pop3 off --passwords off\n  \
        pennypost account clients set alice@example.com --imap-range 30-days --imap-folders off\n  \
        pennypost account clients set --tenant acme --pop3-deletes off\n\n\
        A range that is changed gives the mailboxes new UIDVALIDITYs: IMAP programs load them anew.")]
    Set(SetArgs),
    /// Forget what was said for an account, or for a tenant
    #[command(after_help = "Example:\n  pennypost account clients reset alice@example.com")]
    Reset(Whose),
    /// Tell what to enter in a mail program
    #[command(after_help = "Examples:\n  \
        pennypost account clients setup alice@example.com --config /etc/pennypost.toml\n  \
        pennypost account clients setup alice@example.com --program foxmail --protocol pop3")]
    Setup(SetupArgs),
}

/// An account, or all of a tenant.
#[derive(Debug, Args)]
pub struct Whose {
    /// Address of the account
    #[arg(required_unless_present = "tenant", conflicts_with = "tenant")]
    pub address: Option<String>,
    /// Name or id of the tenant
    #[arg(long)]
    pub tenant: Option<String>,
}

/// Arguments of `account clients set`.
#[derive(Debug, Args)]
pub struct SetArgs {
    /// For whom
    #[command(flatten)]
    pub whose: Whose,
    /// What is changed
    #[command(flatten)]
    pub switches: Switches,
}

/// What can be switched.
#[derive(Debug, Args)]
#[group(required = true, multiple = true)]
pub struct Switches {
    /// IMAP is open
    #[arg(long)]
    pub imap: Option<Switch>,
    /// POP3 is open
    #[arg(long)]
    pub pop3: Option<Switch>,
    /// The password opens the mailbox in mail programs; if not, only tokens do
    #[arg(long)]
    pub passwords: Option<Switch>,
    /// How far back IMAP sees
    #[arg(long)]
    pub imap_range: Option<Range>,
    /// How far back POP3 sees
    #[arg(long)]
    pub pop3_range: Option<Range>,
    /// IMAP sees own folders [by itself: on]
    #[arg(long)]
    pub imap_folders: Option<Switch>,
    /// POP3 sees the mail of own folders, besides the Inbox [by itself: off]
    #[arg(long)]
    pub pop3_folders: Option<Switch>,
    /// IMAP sees the junk folder [by itself: on]
    #[arg(long)]
    pub imap_junk: Option<Switch>,
    /// POP3 sees junk [by itself: off]
    #[arg(long)]
    pub pop3_junk: Option<Switch>,
    /// What a POP3 program deletes is deleted; if not, it stays on the server
    #[arg(long)]
    pub pop3_deletes: Option<Switch>,
    /// What a mail program sends is kept in Sent [by itself: on]; off for programs that put it there themselves
    #[arg(long)]
    pub sent_copies: Option<Switch>,
}

/// How far back mail programs see, by the date on which mail was received.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Range {
    /// Everything.
    All,
    /// 731 days.
    #[value(name = "2-years")]
    TwoYears,
    /// 366 days.
    #[value(name = "1-year")]
    Year,
    /// 92 days.
    #[value(name = "3-months")]
    ThreeMonths,
    /// 30 days.
    #[value(name = "30-days")]
    Month,
    /// 7 days.
    #[value(name = "7-days")]
    Week,
}

impl From<Range> for ClientRange {
    fn from(range: Range) -> ClientRange {
        match range {
            Range::All => ClientRange::All,
            Range::TwoYears => ClientRange::TwoYears,
            Range::Year => ClientRange::Year,
            Range::ThreeMonths => ClientRange::ThreeMonths,
            Range::Month => ClientRange::Month,
            Range::Week => ClientRange::Week,
        }
    }
}

impl Switches {
    fn apply(&self, settings: &mut ClientSettings) {
        let ClientSettings { imap, pop3, passwords, pop3_deletes, sent_copies } = settings;
        for (protocol, range) in [(&mut *imap, self.imap_range), (&mut *pop3, self.pop3_range)] {
            protocol.range = range.map(ClientRange::from).or(protocol.range);
        }
        for (switch, setting) in [
            (self.imap, &mut imap.open),
            (self.imap_folders, &mut imap.folders),
            (self.imap_junk, &mut imap.junk),
            (self.pop3, &mut pop3.open),
            (self.pop3_folders, &mut pop3.folders),
            (self.pop3_junk, &mut pop3.junk),
            (self.passwords, passwords),
            (self.pop3_deletes, pop3_deletes),
            (self.sent_copies, sent_copies),
        ] {
            if let Some(switch) = switch {
                *setting = Some(matches!(switch, Switch::On));
            }
        }
    }
}

impl ClientsCommand {
    /// Does what was asked.
    ///
    /// # Errors
    /// [`AdminError`].
    pub async fn run(&self, context: &AdminContext<'_>) -> Result<(), AdminError> {
        let text = &context.text;
        match self {
            ClientsCommand::Show { address } => show(context, address).await,
            ClientsCommand::Set(SetArgs { whose, switches }) => {
                let name = change(context, whose, |settings| switches.apply(settings)).await?;
                let sentence = say!(text, "clients-set", name = name.as_str());
                context.print(&sentence, &json!({"set": name}))
            }
            ClientsCommand::Reset(whose) => {
                let forget = |settings: &mut ClientSettings| *settings = ClientSettings::default();
                let name = change(context, whose, forget).await?;
                let sentence = say!(text, "clients-reset", name = name.as_str());
                context.print(&sentence, &json!({"reset": name}))
            }
            ClientsCommand::Setup(arguments) => arguments.run(context).await,
        }
    }
}

/// Changes what an account or a tenant says; its name.
async fn change(
    context: &AdminContext<'_>,
    whose: &Whose,
    change: impl Fn(&mut ClientSettings),
) -> Result<String, AdminError> {
    if let Some(address) = &whose.address {
        let account = context.account(address).await?;
        let changing = context.directory.change_client_settings(account.key, change);
        context.recorded_of(&account, Action::AccountClientsChange, json!({}), changing).await?;
        return Ok(account.address.to_string());
    }
    let tenant = context.tenant_or_only(whose.tenant.as_deref()).await?;
    let changing = context.directory.change_tenant_client_settings(tenant.id, change);
    context.recorded(tenant.id, Action::TenantClientsChange, &tenant.name, json!({}), changing).await?;
    Ok(tenant.name)
}

async fn show(context: &AdminContext<'_>, address: &str) -> Result<(), AdminError> {
    let text = &context.text;
    let account = context.account(address).await?;
    let rules = context.directory.client_rules(account.key).await?;
    if context.json {
        return context.line(&document(&rules).to_string());
    }
    let answer = |is_on| if is_on { say!(text, "word-yes") } else { say!(text, "word-no") };
    let rows = [
        (say!(text, "word-imap"), answer(rules.imap.open)),
        (say!(text, "clients-imap-range"), range_words(context, rules.imap.range)),
        (say!(text, "clients-imap-folders"), answer(rules.imap.folders)),
        (say!(text, "clients-imap-junk"), answer(rules.imap.junk)),
        (say!(text, "word-pop3"), answer(rules.pop3.open)),
        (say!(text, "clients-pop3-range"), range_words(context, rules.pop3.range)),
        (say!(text, "clients-pop3-folders"), answer(rules.pop3.folders)),
        (say!(text, "clients-pop3-junk"), answer(rules.pop3.junk)),
        (say!(text, "word-pop3-deletes"), answer(rules.pop3_deletes)),
        (say!(text, "word-passwords"), answer(rules.passwords)),
        (say!(text, "clients-smtp"), answer(rules.opens(ClientProtocol::Smtp))),
        (say!(text, "clients-sent-copies"), answer(rules.sent_copies)),
    ];
    rows.iter().try_for_each(|(word, answer)| context.line(&format!("{word}: {answer}")))
}

/// How far back, for people.
pub(super) fn range_words(context: &AdminContext<'_>, range: ClientRange) -> String {
    let text = &context.text;
    match range {
        ClientRange::All => say!(text, "range-all"),
        ClientRange::TwoYears => say!(text, "range-2-years"),
        ClientRange::Year => say!(text, "range-1-year"),
        ClientRange::ThreeMonths => say!(text, "range-3-months"),
        ClientRange::Month => say!(text, "range-30-days"),
        ClientRange::Week => say!(text, "range-7-days"),
    }
}

/// How far back, as it is said on the command line.
fn range_name(range: ClientRange) -> &'static str {
    match range {
        ClientRange::All => "all",
        ClientRange::TwoYears => "2-years",
        ClientRange::Year => "1-year",
        ClientRange::ThreeMonths => "3-months",
        ClientRange::Month => "30-days",
        ClientRange::Week => "7-days",
    }
}

fn document(rules: &ClientRules) -> Value {
    let of = |rules: &ProtocolRules| {
        json!({
            "open": rules.open,
            "range": range_name(rules.range),
            "folders": rules.folders,
            "junk": rules.junk,
        })
    };
    json!({
        "imap": of(&rules.imap),
        "pop3": of(&rules.pop3),
        "passwords": rules.passwords,
        "pop3_deletes": rules.pop3_deletes,
        "smtp": { "open": rules.opens(ClientProtocol::Smtp) },
        "sent_copies": rules.sent_copies,
    })
}
