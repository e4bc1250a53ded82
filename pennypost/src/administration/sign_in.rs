//! `pennypost sign-in …`: what passwords have to be, when accounts are locked, from where members sign in, secure sign-in,
//! providers of identities (AUT-01, AUT-06, AUT-08, AUT-09, AUT-12 … AUT-17).

mod locks;
mod providers;
mod show;

use clap::{Args, Subcommand, ValueEnum};
use pennypost_admin::AccountRulesChange;
use pennypost_directory::{AddressRule, DepartmentId, Network, SignInRules, Verdict};
use serde_json::json;

use super::{OPERATOR, refused, tenant};
use crate::office::Office;
use crate::print::Output;
use crate::text::Text;
use crate::{Failed, say};

/// On or off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Switch {
    /// On
    On,
    /// Off
    Off,
}

/// Allow or deny.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Others {
    /// They may sign in
    Allow,
    /// They may not
    Deny,
}

/// Whose rules are meant.
#[derive(Debug, Args)]
pub struct Whose {
    /// Name or id of the tenant; may be left out if there is only one
    #[arg(long)]
    tenant: Option<String>,
}

/// Subcommands of `sign-in`.
#[derive(Debug, Subcommand)]
pub enum SignInCommand {
    /// Show what a tenant says about signing in
    #[command(after_help = "Example:\n  pennypost sign-in show --tenant acme")]
    Show(Whose),
    /// Say what passwords have to be, and for how long they hold
    #[command(after_help = "Examples:
  pennypost sign-in password --min 10 --classes 3 --capital on --no-sequences on --history 5
  pennypost sign-in password --lifetime 90 --expires-in-clients on --change-first on")]
    Password(Box<PasswordArgs>),
    /// Say when wrong passwords lock an account
    #[command(after_help = "Examples:
  pennypost sign-in lock --count 10 --window 60 --minutes 30
  pennypost sign-in lock --count 0                  never
  pennypost sign-in lock --trust 192.0.2.0/24 --trust 2001:db8::/32")]
    Lock(LockArgs),
    /// Say from where all members may sign in
    #[command(after_help = "Examples:
  pennypost sign-in addresses --allow 192.0.2.0/24 --allow 198.51.100.7-198.51.100.9
  pennypost sign-in addresses --deny 203.0.113.0/24
  pennypost sign-in addresses --any")]
    Addresses(AddressArgs),
    /// Name departments and people whom that does not limit; the list is replaced
    #[command(after_help = "Examples:
  pennypost sign-in exempt ann@acme.example --department 3
  pennypost sign-in exempt                          nobody")]
    Exempt(ExemptArgs),
    /// Let a password alone sign nobody in: mail programs need a token, browsers a second factor
    #[command(after_help = "Example:\n  pennypost sign-in secure on --tenant acme")]
    Secure {
        /// On or off
        state: Switch,
        /// Whose rules
        #[command(flatten)]
        whose: Whose,
    },
    /// Give an account a rule of addresses of its own, or force secure sign-in
    #[command(after_help = "Examples:
  pennypost sign-in account ann@acme.example
  pennypost sign-in account ann@acme.example --allow 192.0.2.7 --others deny
  pennypost sign-in account ann@acme.example --as-tenant --secure on")]
    Account(AccountArgs),
    /// List accounts that wrong passwords have locked
    #[command(after_help = "Example:\n  pennypost sign-in locked --tenant acme")]
    Locked(Whose),
    /// Unlock accounts; their failures are forgotten
    #[command(after_help = "Examples:
  pennypost sign-in unlock ann@acme.example bob@acme.example
  pennypost sign-in unlock --all --tenant acme")]
    Unlock(locks::UnlockArgs),
    /// Providers of identities by which members sign in
    #[command(subcommand)]
    Provider(providers::ProviderCommand),
}

/// Arguments of `sign-in password`.
#[derive(Debug, Args)]
#[group(required = true, multiple = true)]
pub struct PasswordArgs {
    /// Least number of characters: 8 to 64
    #[arg(long)]
    min: Option<u16>,
    /// Most characters: 16 to 1024; 0: as many as can be stored
    #[arg(long)]
    max: Option<u16>,
    /// Of capital letters, small letters, digits and other characters so many kinds: 1 to 4
    #[arg(long)]
    classes: Option<u8>,
    /// A capital letter is among them
    #[arg(long)]
    capital: Option<Switch>,
    /// No three letters or digits in a row that are alike or follow each other
    #[arg(long)]
    no_sequences: Option<Switch>,
    /// Neither the account's name nor its owner's is in it
    #[arg(long)]
    no_account_name: Option<Switch>,
    /// It is none of the last so many: 0 to 24
    #[arg(long)]
    history: Option<u16>,
    /// Days after which it has expired; 0: it does not
    #[arg(long, value_name = "DAYS")]
    lifetime: Option<u16>,
    /// One that has expired opens mail programs no more, either
    #[arg(long)]
    expires_in_clients: Option<Switch>,
    /// Whoever was given one sets another one at the first sign-in in a browser
    #[arg(long)]
    change_first: Option<Switch>,
    /// Name or id of the tenant; may be left out if there is only one
    #[arg(long)]
    tenant: Option<String>,
}

/// Arguments of `sign-in lock`.
#[derive(Debug, Args)]
pub struct LockArgs {
    /// Wrong passwords that lock: 3 to 100; 0: none ever do
    #[arg(long)]
    count: Option<u16>,
    /// Minutes within which they are counted together
    #[arg(long, value_name = "MINUTES")]
    window: Option<u16>,
    /// Minutes for which it stays locked; 0: until somebody unlocks it
    #[arg(long)]
    minutes: Option<u16>,
    /// A network from which wrong passwords never lock, as often as needed
    #[arg(long, value_name = "NETWORK")]
    trust: Vec<Network>,
    /// A network that is no longer trusted, as often as needed
    #[arg(long, value_name = "NETWORK")]
    distrust: Vec<Network>,
    /// Whose rules
    #[command(flatten)]
    whose: Whose,
}

/// A rule of addresses: it replaces the one that is there.
#[derive(Debug, Args)]
pub struct RuleArgs {
    /// A network from which to sign in, as often as needed
    #[arg(long, value_name = "NETWORK")]
    allow: Vec<Network>,
    /// A network from which nobody signs in, as often as needed
    #[arg(long, value_name = "NETWORK")]
    deny: Vec<Network>,
    /// All other addresses [default: deny if any are allowed, else allow]
    #[arg(long)]
    others: Option<Others>,
}

impl RuleArgs {
    /// The rule that is said; `None` if nothing is.
    fn rule(&self) -> Option<AddressRule> {
        if self.allow.is_empty() && self.deny.is_empty() && self.others.is_none() {
            return None;
        }
        let others = match self.others {
            Some(Others::Allow) => Verdict::Allow,
            Some(Others::Deny) => Verdict::Deny,
            None if self.allow.is_empty() => Verdict::Allow,
            None => Verdict::Deny,
        };
        Some(AddressRule { allow: self.allow.clone(), deny: self.deny.clone(), others })
    }
}

/// Arguments of `sign-in addresses`.
#[derive(Debug, Args)]
pub struct AddressArgs {
    /// The rule
    #[command(flatten)]
    rule: RuleArgs,
    /// From everywhere
    #[arg(long, conflicts_with_all = ["allow", "deny", "others"])]
    any: bool,
    /// Whose rules
    #[command(flatten)]
    whose: Whose,
}

/// Arguments of `sign-in exempt`.
#[derive(Debug, Args)]
pub struct ExemptArgs {
    /// Addresses of accounts
    addresses: Vec<String>,
    /// Number of a department, as `department list` tells it; who is below it is meant, too
    #[arg(long, value_name = "NUMBER")]
    department: Vec<u32>,
    /// Whose rules
    #[command(flatten)]
    whose: Whose,
}

/// Arguments of `sign-in account`.
#[derive(Debug, Args)]
pub struct AccountArgs {
    /// Address of the account
    address: String,
    /// The rule in the place of the tenant's
    #[command(flatten)]
    rule: RuleArgs,
    /// The tenant's rule is its rule
    #[arg(long, conflicts_with_all = ["allow", "deny", "others"])]
    as_tenant: bool,
    /// Force secure sign-in: the member can't undo it
    #[arg(long)]
    secure: Option<Switch>,
}

fn set(place: &mut bool, switch: Option<Switch>) {
    if let Some(switch) = switch {
        *place = switch == Switch::On;
    }
}

impl PasswordArgs {
    fn apply(&self, rules: &mut SignInRules) {
        let it = &mut rules.passwords;
        it.min_length = self.min.unwrap_or(it.min_length);
        it.max_length = self.max.unwrap_or(it.max_length);
        it.classes = self.classes.unwrap_or(it.classes);
        it.history = self.history.unwrap_or(it.history);
        it.lifetime_days = self.lifetime.unwrap_or(it.lifetime_days);
        set(&mut it.capital, self.capital);
        set(&mut it.no_sequences, self.no_sequences);
        set(&mut it.no_account_name, self.no_account_name);
        set(&mut it.expires_in_clients, self.expires_in_clients);
        set(&mut it.change_first, self.change_first);
    }
}

impl LockArgs {
    fn apply(&self, rules: &mut SignInRules) {
        let it = &mut rules.lock;
        it.count = self.count.unwrap_or(it.count);
        it.window_minutes = self.window.unwrap_or(it.window_minutes);
        it.minutes = self.minutes.unwrap_or(it.minutes);
        it.trusted.retain(|network| !self.distrust.contains(network));
        for network in &self.trust {
            if !it.trusted.contains(network) {
                it.trusted.push(*network);
            }
        }
    }
}

/// Does what was asked.
pub async fn run(
    office: &Office,
    command: &SignInCommand,
    text: &Text,
    output: &mut Output<'_>,
) -> Result<(), Failed> {
    match command {
        SignInCommand::Show(whose) => {
            let tenant = tenant(office, whose.tenant.as_deref(), text).await?;
            show::rules(&office.directory.sign_in_rules(tenant.id).await?, text, output)
        }
        SignInCommand::Password(args) => {
            change(office, args.tenant.as_deref(), |rules| args.apply(rules), text, output).await
        }
        SignInCommand::Lock(args) => {
            change(office, args.whose.tenant.as_deref(), |rules| args.apply(rules), text, output).await
        }
        SignInCommand::Addresses(args) => {
            let rule = if args.any { Some(AddressRule::default()) } else { args.rule.rule() };
            let rule = rule.ok_or_else(|| Failed::Said(say!(text, "sign-in-addresses-unsaid")))?;
            let name = args.whose.tenant.as_deref();
            change(office, name, |rules| rules.addresses.clone_from(&rule), text, output).await
        }
        SignInCommand::Exempt(args) => {
            let mut exempt = pennypost_directory::Exempt::default();
            exempt.departments.extend(args.department.iter().copied().map(DepartmentId));
            for address in &args.addresses {
                exempt.accounts.insert(office.account(address, text).await?.key.account);
            }
            let name = args.whose.tenant.as_deref();
            change(office, name, |rules| rules.exempt.clone_from(&exempt), text, output).await
        }
        SignInCommand::Secure { state, whose } => {
            let is_on = *state == Switch::On;
            change(office, whose.tenant.as_deref(), |rules| rules.secure = is_on, text, output).await
        }
        SignInCommand::Account(args) => account(office, args, text, output).await,
        SignInCommand::Locked(whose) => {
            let tenant = tenant(office, whose.tenant.as_deref(), text).await?;
            locks::list(office, tenant.id, text, output).await
        }
        SignInCommand::Unlock(args) => locks::unlock(office, args, text, output).await,
        SignInCommand::Provider(command) => providers::run(office, command, text, output).await,
    }
}

async fn change(
    office: &Office,
    name: Option<&str>,
    change: impl FnOnce(&mut SignInRules),
    text: &Text,
    output: &mut Output<'_>,
) -> Result<(), Failed> {
    let tenant = tenant(office, name, text).await?;
    let seen = office.directory.sign_in_rules(tenant.id).await?;
    let mut rules = seen.clone();
    change(&mut rules);
    let administration = office.administration();
    let changed = administration.change_sign_in_rules(&OPERATOR, tenant.id, &seen, &rules, true).await;
    show::rules(&changed.map_err(|error| refused(error, text))?, text, output)
}

async fn account(
    office: &Office,
    args: &AccountArgs,
    text: &Text,
    output: &mut Output<'_>,
) -> Result<(), Failed> {
    let account = office.account(&args.address, text).await?;
    let seen = office.directory.account_rules(account.key).await?;
    let addresses = if args.as_tenant { Some(None) } else { args.rule.rule().map(Some) };
    let change =
        AccountRulesChange { addresses, secure_forced: args.secure.map(|state| state == Switch::On) };
    let rules = if change == AccountRulesChange::default() {
        seen
    } else {
        let administration = office.administration();
        let changed = administration.change_account_rules(&OPERATOR, account.key, &seen, &change, true).await;
        changed.map_err(|error| refused(error, text))?
    };
    show::account(&account.address.to_string(), &rules, text, output)
}

/// What is said of a yes or no.
pub(super) fn word(is_on: bool, text: &Text) -> String {
    if is_on { say!(text, "word-yes") } else { say!(text, "word-no") }
}

fn networks(list: &[Network]) -> Vec<String> {
    list.iter().map(ToString::to_string).collect()
}

fn rule_document(rule: &AddressRule) -> serde_json::Value {
    let others = if rule.others == Verdict::Allow { "allow" } else { "deny" };
    json!({ "allow": networks(&rule.allow), "deny": networks(&rule.deny), "others": others })
}
