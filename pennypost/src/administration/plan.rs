//! `pennypost plan …`: what a tenant has, what is taken of its seats, and who has a VIP seat (PLN-01 … PLN-12).

use clap::{Args, Subcommand, ValueEnum};
use pennypost_admin::Seats;
use pennypost_directory::{Account, Function, Page, Payment, Plan, SeatUse, Tenant, Verification};
use pennypost_model::Timestamp;
use pennypost_organisation::parse_size;
use serde_json::{Value, json};

use super::log::day;
use super::{OPERATOR, refused, tenant};
use crate::office::Office;
use crate::print::Output;
use crate::text::Text;
use crate::{Failed, say};

/// Subcommands of `plan`.
#[derive(Debug, Subcommand)]
pub enum PlanCommand {
    /// Show the plan of a tenant, and what is taken of its seats
    #[command(after_help = "Example:\n  pennypost plan show --tenant acme")]
    Show {
        /// Name or id of the tenant; may be left out if there is only one
        #[arg(long)]
        tenant: Option<String>,
    },
    /// Give a tenant a plan, or say something else in the one that it has
    #[command(after_help = "Examples:
  pennypost plan set --from basic --tenant acme
  pennypost plan set --from pro --vip-seats 50 --seats 500 --payment unpaid --ends 2027-12-01 --tenant acme
  pennypost plan set --payment paid --verification verified --tenant acme
A tenant without a plan is limited by nothing. What it has already stays, also where the plan allows less.")]
    Set(Box<SetArgs>),
    /// Count the seats that are taken anew, where verify says that they are counted wrong
    #[command(after_help = "Example:\n  pennypost plan recount --tenant acme")]
    Recount {
        /// Name or id of the tenant; may be left out if there is only one
        #[arg(long)]
        tenant: Option<String>,
    },
    /// Give members a VIP seat
    #[command(after_help = "Example:\n  pennypost plan assign ann@acme.example bob@acme.example")]
    Assign {
        /// Their addresses
        #[arg(required = true)]
        addresses: Vec<String>,
    },
    /// Withdraw VIP seats: they are free again
    #[command(after_help = "Example:\n  pennypost plan withdraw ann@acme.example")]
    Withdraw {
        /// Addresses of the members
        #[arg(required = true)]
        addresses: Vec<String>,
    },
    /// List members with a VIP seat
    #[command(after_help = "Example:\n  pennypost plan vips --tenant acme")]
    Vips {
        /// Name or id of the tenant; may be left out if there is only one
        #[arg(long)]
        tenant: Option<String>,
    },
}

/// Editions to begin with.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum Edition {
    /// 200 accounts of 1 GB, 3 business mailboxes, no VIP seats, none of the functions
    Basic,
    /// The same with all functions, for VIP seats; VIP and business mailboxes hold any number of bytes
    Pro,
}

impl Edition {
    /// The edition, for a tenant that has a plan: what was agreed with it stays, unless something else is said.
    fn instead_of(self, seen: Option<&Plan>) -> Plan {
        let (edition, has_vip_seats) = match self {
            Edition::Basic => (Plan::basic(), false),
            Edition::Pro => (Plan::pro(), true),
        };
        let vip_seats = seen.filter(|_| has_vip_seats).map_or(edition.vip_seats, |seen| seen.vip_seats);
        Plan { vip_seats, ..edition.agreed(seen) }
    }
}

/// A number of which it may be said that there is none.
#[derive(Debug, Clone, Copy)]
struct Most<T>(Option<T>);

/// Arguments of `plan set`.
#[derive(Debug, Args)]
pub struct SetArgs {
    /// Begin with this edition; seats, allowance, term and verification of the plan that the tenant has stay
    #[arg(long, value_name = "EDITION")]
    from: Option<Edition>,
    /// What it is called
    #[arg(long, value_name = "NAME")]
    edition: Option<String>,
    /// A function to be switched on, as often as needed
    #[arg(long, value_name = "FUNCTION")]
    with: Vec<Function>,
    /// A function to be switched off, as often as needed
    #[arg(long, value_name = "FUNCTION")]
    without: Vec<Function>,
    /// Members' accounts that there may be, or "any"
    #[arg(long, value_name = "NUMBER", value_parser = most::<u32>)]
    seats: Option<Most<u32>>,
    /// How many of them may have a VIP seat
    #[arg(long, value_name = "NUMBER")]
    vip_seats: Option<u32>,
    /// Business mailboxes that there may be beside one for each free VIP seat, or "any"
    #[arg(long, value_name = "NUMBER", value_parser = most::<u32>)]
    business: Option<Most<u32>>,
    /// What an ordinary mailbox holds, such as 1GB, or "any"
    #[arg(long, value_name = "SIZE", value_parser = size)]
    capacity: Option<Most<u64>>,
    /// What a VIP member's holds
    #[arg(long, value_name = "SIZE", value_parser = size)]
    vip_capacity: Option<Most<u64>>,
    /// What a business mailbox holds
    #[arg(long, value_name = "SIZE", value_parser = size)]
    business_capacity: Option<Most<u64>>,
    /// Messages that may be sent in a day, or "any"
    #[arg(long, value_name = "NUMBER", value_parser = most::<u64>)]
    daily: Option<Most<u64>>,
    /// Messages in a day instead, once it is known who the tenant is, or "any" for as many as before
    #[arg(long, value_name = "NUMBER", value_parser = most::<u64>)]
    daily_verified: Option<Most<u64>>,
    /// Messages that each account may send in a day, or "any"
    #[arg(long, value_name = "NUMBER", value_parser = most::<u64>)]
    daily_account: Option<Most<u64>>,
    /// The day on which service began
    #[arg(long, value_name = "DAY", value_parser = day)]
    starts: Option<Timestamp>,
    /// The day from which on there is none, or "never"
    #[arg(long, value_name = "DAY", value_parser = end)]
    ends: Option<Most<Timestamp>>,
    /// Is it known who the tenant is: unverified, verified, certified
    #[arg(long, value_name = "STATE", value_parser = verification)]
    verification: Option<Verification>,
    /// Has it been paid: free, trial, unpaid, paid
    #[arg(long, value_name = "STATE", value_parser = payment)]
    payment: Option<Payment>,
    /// The day from which on a trial or an unpaid plan is no more than basic [default: in 15 days, in 7]
    #[arg(long, value_name = "DAY", value_parser = day)]
    pay_by: Option<Timestamp>,
    /// Name or id of the tenant; may be left out if there is only one
    #[arg(long)]
    tenant: Option<String>,
}

const ANY: &str = "any";

fn most<T: std::str::FromStr>(text: &str) -> Result<Most<T>, String> {
    if text == ANY {
        return Ok(Most(None));
    }
    text.parse().map(|number| Most(Some(number))).map_err(|_| format!("a number, or {ANY:?}"))
}

fn size(text: &str) -> Result<Most<u64>, String> {
    if text == ANY { Ok(Most(None)) } else { parse_size(text).map(|bytes| Most(Some(bytes))) }
}

fn end(text: &str) -> Result<Most<Timestamp>, String> {
    if text == "never" { Ok(Most(None)) } else { day(text).map(|day| Most(Some(day))) }
}

fn verification(text: &str) -> Result<Verification, String> {
    let found = Verification::ALL.into_iter().find(|state| state.name() == text);
    found.ok_or_else(|| "unverified, verified or certified".to_owned())
}

fn payment(text: &str) -> Result<Payment, String> {
    let found = Payment::ALL.into_iter().find(|state| state.name() == text);
    found.ok_or_else(|| "free, trial, unpaid or paid".to_owned())
}

impl SetArgs {
    fn apply(&self, plan: &mut Plan) {
        if let Some(edition) = &self.edition {
            plan.edition.clone_from(edition);
        }
        plan.functions.extend(&self.with);
        plan.functions.retain(|function| !self.without.contains(function));
        plan.seats = self.seats.map_or(plan.seats, |most| most.0);
        plan.vip_seats = self.vip_seats.unwrap_or(plan.vip_seats);
        plan.business_mailboxes = self.business.map_or(plan.business_mailboxes, |most| most.0);
        let capacities = &mut plan.capacities;
        capacities.ordinary = self.capacity.map_or(capacities.ordinary, |most| most.0);
        capacities.vip = self.vip_capacity.map_or(capacities.vip, |most| most.0);
        capacities.business = self.business_capacity.map_or(capacities.business, |most| most.0);
        plan.daily_messages = self.daily.map_or(plan.daily_messages, |most| most.0);
        plan.verified_daily_messages =
            self.daily_verified.map_or(plan.verified_daily_messages, |most| most.0);
        plan.account_daily_messages = self.daily_account.map_or(plan.account_daily_messages, |most| most.0);
        plan.starts = self.starts.or(plan.starts);
        plan.ends = self.ends.map_or(plan.ends, |most| most.0);
        plan.verification = self.verification.unwrap_or(plan.verification);
        if let Some(payment) = self.payment.filter(|payment| *payment != plan.payment) {
            // Another state has a term of its own.
            (plan.payment, plan.pay_by) = (payment, None);
        }
        plan.pay_by = self.pay_by.or(plan.pay_by);
    }
}

/// Does what was asked.
pub(super) async fn run(
    office: &Office,
    command: &PlanCommand,
    text: &Text,
    output: &mut Output<'_>,
) -> Result<(), Failed> {
    match command {
        PlanCommand::Show { tenant: name } => {
            let tenant = tenant(office, name.as_deref(), text).await?;
            show(office, &tenant, text, output).await
        }
        PlanCommand::Set(args) => set(office, args, text, output).await,
        PlanCommand::Recount { tenant: name } => {
            let tenant = tenant(office, name.as_deref(), text).await?;
            recount(office, &tenant, text, output).await
        }
        PlanCommand::Assign { addresses } => Box::pin(set_vip(office, addresses, true, text, output)).await,
        PlanCommand::Withdraw { addresses } => {
            Box::pin(set_vip(office, addresses, false, text, output)).await
        }
        PlanCommand::Vips { tenant: name } => vips(office, name.as_deref(), text, output).await,
    }
}

async fn set(office: &Office, args: &SetArgs, text: &Text, output: &mut Output<'_>) -> Result<(), Failed> {
    let tenant = tenant(office, args.tenant.as_deref(), text).await?;
    let administration = office.administration();
    let seen = administration.plan_for(&OPERATOR, tenant.id).await;
    let seen = seen.map_err(|error| refused(error, text))?;
    let begun = match args.from {
        Some(edition) => Some(edition.instead_of(seen.as_ref())),
        None => seen.clone(),
    };
    let mut plan = begun.ok_or_else(|| Failed::Said(say!(text, "plan-from")))?;
    args.apply(&mut plan);
    let changed = administration.change_plan(&OPERATOR, tenant.id, seen.as_ref(), &plan).await;
    changed.map_err(|error| refused(error, text))?;
    show(office, &tenant, text, output).await
}

async fn recount(
    office: &Office,
    tenant: &Tenant,
    text: &Text,
    output: &mut Output<'_>,
) -> Result<(), Failed> {
    let recounted = office.administration().recount_seats(&OPERATOR, tenant.id).await;
    let recounted = recounted.map_err(|error| refused(error, text))?;
    let (said, before) = match recounted {
        Some((before, _)) => {
            (say!(text, "seats-recounted", name = &tenant.name), Some(taken_document(&before)))
        }
        None => (say!(text, "seats-right", name = &tenant.name), None),
    };
    let now = recounted.map(|(_, now)| taken_document(&now));
    Ok(output.result(&said, &json!({ "tenant": tenant.name, "before": before, "now": now }))?)
}

fn taken_document(taken: &SeatUse) -> Value {
    json!({ "members": taken.members, "vip": taken.vip, "business": taken.business })
}

async fn show(office: &Office, tenant: &Tenant, text: &Text, output: &mut Output<'_>) -> Result<(), Failed> {
    let administration = office.administration();
    let plan = administration.plan(&OPERATOR, tenant.id).await.map_err(|error| refused(error, text))?;
    let seats = administration.seats(&OPERATOR, tenant.id).await.map_err(|error| refused(error, text))?;
    let (Some(plan), Some(seats)) = (plan, seats) else {
        let said = say!(text, "plan-none", name = &tenant.name);
        return Ok(output.result(&said, &json!({ "tenant": tenant.name, "plan": null }))?);
    };
    if output.json {
        return Ok(output.line(&document(tenant, &plan, &seats).to_string())?);
    }
    let any = || say!(text, "word-unlimited");
    let number = |most: Option<u64>| most.map_or_else(any, |most| most.to_string());
    let of = |taken: u32, most: Option<u32>| format!("{taken} / {}", number(most.map(u64::from)));
    let date = |time: Option<Timestamp>| time.map_or_else(|| "-".to_owned(), Timestamp::rfc3339);
    let functions: Vec<&str> = plan.switched_on().map(Function::name).collect();
    let Seats { limits, taken, is_lowered } = seats;
    let vip = taken.vip.saturating_add(limits.vip_by_business(taken.business));
    for (name, value) in [
        (say!(text, "plan-edition"), plan.edition.clone()),
        (say!(text, "plan-seats"), of(taken.members, limits.seats)),
        (say!(text, "plan-vip-seats"), of(vip, Some(limits.vip_seats))),
        (say!(text, "plan-business"), of(taken.business, limits.business_allowed(taken.vip))),
        (say!(text, "plan-capacity"), number(plan.capacities.ordinary)),
        (say!(text, "plan-vip-capacity"), number(plan.capacities.vip)),
        (say!(text, "plan-business-capacity"), number(plan.capacities.business)),
        (say!(text, "plan-daily"), number(plan.daily_allowance())),
        (say!(text, "plan-daily-account"), number(plan.account_daily_messages)),
        (say!(text, "plan-starts"), date(plan.starts)),
        (say!(text, "plan-ends"), date(plan.ends)),
        (say!(text, "plan-verification"), say!(text, "plan-verified", state = plan.verification.name())),
        (say!(text, "plan-payment"), say!(text, "plan-paid", state = plan.payment.name())),
        (say!(text, "plan-pay-by"), date(plan.pay_by)),
        (say!(text, "plan-functions"), functions.join(", ")),
    ] {
        output.line(format!("{name}: {value}").trim_end())?;
    }
    if is_lowered {
        output.line(&say!(text, "plan-lowered"))?;
    }
    Ok(())
}

fn document(tenant: &Tenant, plan: &Plan, seats: &Seats) -> Value {
    let Seats { limits, taken, is_lowered } = seats;
    let functions: Vec<&str> = plan.switched_on().map(Function::name).collect();
    json!({
        "tenant": tenant.name,
        "plan": {
            "edition": plan.edition,
            "functions": functions,
            "seats": plan.seats,
            "vip_seats": plan.vip_seats,
            "business_mailboxes": plan.business_mailboxes,
            "capacities": {
                "ordinary": plan.capacities.ordinary,
                "vip": plan.capacities.vip,
                "business": plan.capacities.business,
            },
            "daily_messages": plan.daily_messages,
            "verified_daily_messages": plan.verified_daily_messages,
            "account_daily_messages": plan.account_daily_messages,
            "starts": plan.starts.map(Timestamp::rfc3339),
            "ends": plan.ends.map(Timestamp::rfc3339),
            "verification": plan.verification.name(),
            "payment": plan.payment.name(),
            "pay_by": plan.pay_by.map(Timestamp::rfc3339),
            "lowered": is_lowered,
        },
        "taken": {
            "members": taken.members,
            "vip": taken.vip,
            "vip_by_business": limits.vip_by_business(taken.business),
            "business": taken.business,
            "business_allowed": limits.business_allowed(taken.vip),
        },
    })
}

async fn set_vip(
    office: &Office,
    addresses: &[String],
    is_vip: bool,
    text: &Text,
    output: &mut Output<'_>,
) -> Result<(), Failed> {
    let administration = office.administration();
    for address in addresses {
        let key = office.account(address, text).await?.key;
        let account = administration.set_vip(&OPERATOR, key, is_vip).await;
        let account = account.map_err(|error| refused(error, text))?;
        let address = account.address.to_string();
        let said = if is_vip {
            say!(text, "vip-assigned", address = address.as_str())
        } else {
            say!(text, "vip-withdrawn", address = address.as_str())
        };
        output.result(&said, &json!({ "address": address, "vip": account.is_vip }))?;
    }
    Ok(())
}

async fn vips(
    office: &Office,
    name: Option<&str>,
    text: &Text,
    output: &mut Output<'_>,
) -> Result<(), Failed> {
    let tenant = tenant(office, name, text).await?;
    let administration = office.administration();
    let (mut rows, mut page) = (Vec::new(), Page::default());
    loop {
        let listed = administration.vips(&OPERATOR, tenant.id, &page).await;
        let listed = listed.map_err(|error| refused(error, text))?;
        rows.extend(listed.items.iter().map(row));
        let Some(next) = listed.next else { break };
        page.after = Some(next);
    }
    rows.sort_by(|(one, _), (other, _)| one.cmp(other));
    let heads = vec![say!(text, "word-address"), say!(text, "word-name")];
    Ok(output.table(heads, rows, &say!(text, "vips-none"))?)
}

fn row(account: &Account) -> (Vec<String>, Value) {
    let (address, name) = (account.address.to_string(), account.display_name.clone());
    let document = json!({ "address": address, "name": name });
    (vec![address, name], document)
}
