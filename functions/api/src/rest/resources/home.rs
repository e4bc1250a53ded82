//! The first page of an administrator, and whom he turns to (ADM-03, ADM-04, ADM-05).

use pennypost_admin::{Action, Contact as SaidContact, Home as SeenHome, PlanCard};
use pennypost_directory::Capacities;
use pennypost_model::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::bulletins::{ReceivedBulletin, received};
use crate::rest::operation::{Good, Method, Operation, shape};
use crate::rest::problem::Kind;
use crate::rest::reply::Reply;

/// A step of those by which an organisation begins.
#[derive(Serialize, JsonSchema)]
struct GuideStep {
    /// `add-domain`, `point-domain`, `add-members`, `invite-members`, `fill-profile`.
    step: &'static str,
    /// It is done.
    done: bool,
}

/// Figures of the seven days before today, in UTC.
#[derive(Serialize, JsonSchema)]
struct LastWeek {
    /// Its beginning.
    from: String,
    /// Its end.
    until: String,
    /// When it was counted: once a day, or again after a quarter of an hour where something was not known.
    counted: String,
    /// Members' accounts that may be used; null: not counted in time.
    users: Option<u64>,
    /// Accounts that signed in, each once; null: sign-ins are not recorded, or there are too many to be counted at once.
    signed_in: Option<u64>,
    /// Letters that came into mailboxes; null: not every day is counted yet.
    received: Option<u64>,
    /// Letters that members handed in; null: not every day is counted yet.
    sent: Option<u64>,
}

/// What a plan says of the organisation.
#[derive(Serialize, JsonSchema)]
struct EditionPlan {
    /// What it is called.
    edition: String,
    /// When service began.
    starts: Option<String>,
    /// When it ends; null: it does not.
    ends: Option<String>,
    /// It was not paid in time, and is no more than basic.
    lowered: bool,
    /// Members' accounts that there may be; null: any number.
    seats: Option<u32>,
    /// Members' accounts that there are.
    members: u32,
    /// VIP seats that there are.
    vip_seats: u32,
    /// VIP seats that members have.
    vip_members: u32,
    /// Business mailboxes that there may be at present; null: any number.
    business_allowed: Option<u32>,
    /// Business mailboxes that there are.
    business_mailboxes: u32,
    /// Bytes that an ordinary member's mailbox holds; null: any number.
    ordinary_capacity: Option<u64>,
    /// Bytes that a VIP member's holds; null: any number.
    vip_capacity: Option<u64>,
}

/// What the organisation has.
#[derive(Serialize, JsonSchema)]
struct Edition {
    /// When it was opened.
    opened: String,
    /// Is it known who it is: `unverified`, `verified`, `certified`?
    verification: &'static str,
    /// Its plan; null: it is limited by nothing.
    plan: Option<EditionPlan>,
}

/// A function of plans.
#[derive(Serialize, JsonSchema)]
struct HomeFunction {
    /// Which.
    name: &'static str,
    /// The organisation has it; else it is not available.
    available: bool,
}

/// A domain.
#[derive(Serialize, JsonSchema)]
struct HomeDomain {
    /// Its name.
    name: String,
    /// `pending`, `conflict`, `proved`, `active`, `suspended` or `removing`.
    state: &'static str,
    /// The domain for which it stands.
    alias_of: Option<String>,
    /// The last look found that mail for it is not brought here: its MX records are wrong.
    mx_warning: bool,
    /// The last look found something that is wrong or missing.
    needs_attention: bool,
    /// When that was; null: nobody has looked yet.
    checked: Option<String>,
}

/// What the operator tells.
#[derive(Serialize, JsonSchema)]
struct HomeBulletins {
    /// Bulletins that are not read, or whose end is still to come.
    shown: Vec<ReceivedBulletin>,
    /// How many are not read, of the newest hundred; null: a program asks.
    unread: Option<usize>,
}

/// How whoever asks came here before.
#[derive(Serialize, JsonSchema)]
struct SignedInBefore {
    /// When.
    at: String,
    /// From which address, if it is known.
    from: Option<String>,
    /// How, as sessions tell it.
    by: &'static str,
    /// That was another address than now.
    other_address: bool,
    /// That was another network than now.
    other_network: bool,
}

/// What is to be known.
#[derive(Serialize, JsonSchema)]
struct Reminder {
    /// `second-factor-missing`, `mobile-missing`, `recovery-missing`, `password-ends`, `pay-by`, `plan-lowered` or
    /// `term-ends`.
    kind: &'static str,
    /// When, if it has a time.
    at: Option<String>,
}

/// Whom to turn to.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Contact {
    /// Who it is: 200 characters at most.
    #[serde(default)]
    name: String,
    /// A telephone number.
    #[serde(default)]
    phone: String,
    /// An address for letters.
    #[serde(default)]
    mail: String,
}

/// The first page of whoever asks. A part is null for who may not look at it.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Home {
    /// What the organisation is called.
    organisation: String,
    /// Steps of a beginning.
    guide: Option<Vec<GuideStep>>,
    /// Figures of the last week; null also where nothing is counted.
    last_week: Option<LastWeek>,
    /// What the organisation has.
    edition: Option<Edition>,
    /// Functions that there are.
    functions: Option<Vec<HomeFunction>>,
    /// Its domains.
    domains: Option<Vec<HomeDomain>>,
    /// What the operator tells.
    bulletins: Option<HomeBulletins>,
    /// Whom to turn to; null: nobody is named.
    contact: Option<Contact>,
    /// The session before this one; null also where there was none.
    signed_in_before: Option<SignedInBefore>,
    /// What is to be known.
    reminders: Vec<Reminder>,
}

fn show_plan(plan: PlanCard) -> EditionPlan {
    let (limits, taken) = (plan.limits, plan.taken);
    let Capacities { ordinary, vip, .. } = plan.capacities;
    EditionPlan {
        edition: plan.edition,
        starts: plan.starts.map(Timestamp::rfc3339),
        ends: plan.ends.map(Timestamp::rfc3339),
        lowered: plan.is_lowered,
        seats: limits.seats,
        members: taken.members,
        vip_seats: limits.vip_seats,
        vip_members: taken.vip,
        business_allowed: limits.business_allowed(taken.vip),
        business_mailboxes: taken.business,
        ordinary_capacity: ordinary,
        vip_capacity: vip,
    }
}

fn show_contact(contact: SaidContact) -> Contact {
    Contact { name: contact.name, phone: contact.phone, mail: contact.mail }
}

fn show(home: SeenHome) -> Home {
    let guide = home
        .guide
        .map(|steps| steps.into_iter().map(|(step, done)| GuideStep { step: step.name(), done }).collect());
    let last_week = home.week.map(|week| LastWeek {
        from: week.from.rfc3339(),
        until: week.until.rfc3339(),
        counted: week.counted.rfc3339(),
        users: week.users,
        signed_in: week.signed_in,
        received: week.received,
        sent: week.sent,
    });
    let edition = home.edition.map(|card| Edition {
        opened: card.opened.rfc3339(),
        verification: card.verification.name(),
        plan: card.plan.map(show_plan),
    });
    let functions = home.functions.map(|functions| {
        let shown = |(function, available): (pennypost_directory::Function, bool)| HomeFunction {
            name: function.name(),
            available,
        };
        functions.into_iter().map(shown).collect()
    });
    let domains = home.domains.map(|domains| {
        let shown = domains.into_iter().map(|one| HomeDomain {
            name: one.domain.name.to_string(),
            state: one.domain.state.name(),
            alias_of: one.domain.alias_of.map(|name| name.to_string()),
            mx_warning: one.lacks_mail,
            needs_attention: one.domain.health.is_some_and(|health| health.needs_attention),
            checked: one.domain.health.map(|health| health.time.rfc3339()),
        });
        shown.collect()
    });
    let bulletins = home.bulletins.map(|bulletins| HomeBulletins {
        shown: bulletins.shown.iter().map(received).collect(),
        unread: bulletins.unread,
    });
    let signed_in_before = home.before.map(|before| SignedInBefore {
        at: before.session.at.rfc3339(),
        from: before.session.address.map(|address| address.to_string()),
        by: before.session.by.name(),
        other_address: before.other_address,
        other_network: before.other_network,
    });
    let reminders = home.reminders.into_iter();
    let reminders = reminders
        .map(|reminder| Reminder { kind: reminder.name(), at: reminder.at().map(Timestamp::rfc3339) })
        .collect();
    Home {
        organisation: home.organisation,
        guide,
        last_week,
        edition,
        functions,
        domains,
        bulletins,
        contact: home.contact.map(show_contact),
        signed_in_before,
        reminders,
    }
}

fn said(contact: Contact) -> SaidContact {
    SaidContact { name: contact.name, phone: contact.phone, mail: contact.mail }
}

pub(super) const OPERATIONS: &[Operation] = &[
    Operation {
        name: "read-home",
        method: Method::Get,
        path: "/tenants/{tenant}/home",
        // Each part asks for what it is made of.
        action: None,
        summary: "The first page: steps of a beginning, figures of the last week, what the organisation has, what its domains lack, \
                  what the operator tells, and what whoever asks should know of himself",
        query: &[],
        body: None,
        is_update: false,
        good: Good::told(shape::<Home>),
        problems: &[Kind::FactorMissing, Kind::PasswordOver],
        handler: |ask| {
            Box::pin(async move {
                let home = ask.administration.home(&ask.call, ask.tenant()?).await?;
                Ok(Reply::document(&show(home)))
            })
        },
    },
    Operation::new(
        (Method::Get, "/contact", "read-contact"),
        Action::ContactRead,
        "As the operator: whom administrators turn to",
        Good::one(shape::<Contact>),
        |ask| {
            Box::pin(async move {
                let contact = ask.administration.contact(&ask.call, None).await?;
                Ok(Reply::tagged(&show_contact(contact)))
            })
        },
    ),
    Operation::new(
        (Method::Put, "/contact", "change-contact"),
        Action::ContactChange,
        "As the operator: say whom administrators turn to; nothing said: nobody",
        Good::one(shape::<Contact>),
        |ask| {
            Box::pin(async move {
                let contact = said(ask.body()?);
                let seen = ask.administration.contact_to_change(&ask.call, None).await?;
                ask.must_match(&show_contact(seen.clone()))?;
                let changed = ask.administration.change_contact(&ask.call, None, &seen, &contact).await?;
                Ok(Reply::tagged(&show_contact(changed)))
            })
        },
    )
    .with(shape::<Contact>)
    .update()
    .refusing(&[Kind::Invalid]),
    Operation::new(
        (Method::Get, "/tenants/{tenant}/contact", "read-tenant-contact"),
        Action::TenantContactRead,
        "Whom the administrators of this tenant turn to instead of the operator; nothing in it: the operator",
        Good::one(shape::<Contact>),
        |ask| {
            Box::pin(async move {
                let contact = ask.administration.contact(&ask.call, Some(ask.tenant()?)).await?;
                Ok(Reply::tagged(&show_contact(contact)))
            })
        },
    ),
    Operation::new(
        (Method::Put, "/tenants/{tenant}/contact", "change-tenant-contact"),
        Action::TenantContactChange,
        "As the operator: say whom the administrators of a tenant turn to, such as its reseller; nothing said: the operator",
        Good::one(shape::<Contact>),
        |ask| {
            Box::pin(async move {
                let (contact, tenant) = (said(ask.body()?), Some(ask.tenant()?));
                let seen = ask.administration.contact_to_change(&ask.call, tenant).await?;
                ask.must_match(&show_contact(seen.clone()))?;
                let changed = ask.administration.change_contact(&ask.call, tenant, &seen, &contact).await?;
                Ok(Reply::tagged(&show_contact(changed)))
            })
        },
    )
    .with(shape::<Contact>)
    .update()
    .refusing(&[Kind::Invalid]),
];
