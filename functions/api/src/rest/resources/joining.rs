//! Joining by invitation: what administrators say about it and decide, and the doors by which somebody joins.

use pennypost_admin::{Accepted, Action, Administration, Leads, SeenInvitation};
use pennypost_directory::{
    Application, ApplicationState, DepartmentId, DomainName, InvitationId, JoiningRules, Listed,
    NewApplication, NewInvitation,
};
use pennypost_model::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::page_of;
use crate::rest::ask::{document_in, rows, said_time};
use crate::rest::doors::{Door, Knock, Opening};
use crate::rest::operation::{Good, Method, Operation, PAGE, shape};
use crate::rest::problem::details::bad_parameter;
use crate::rest::problem::{Kind, Refusal};
use crate::rest::qr_code::qr_code;
use crate::rest::reply::Reply;

/// Characters of an Idempotency-Key at a door: nobody else may think of the same one.
const KEY: std::ops::RangeInclusive<usize> = 16..=200;

/// What the organisation says about joining.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "JoiningRules")]
pub(crate) struct Rules {
    /// May people outside the directory be invited? If not, no invitation is good, whenever it was made.
    open: bool,
    /// Does an administrator have to approve whoever joins, whatever the invitation says?
    approval: bool,
    /// May members invite colleagues, whom an administrator approves?
    #[serde(default)]
    colleagues: bool,
    /// The number of the department into which people come if the invitation names none; 1: directly into the organisation.
    department: u32,
    /// The domain of their addresses if the invitation names none; needed as long as it is open.
    domain: Option<String>,
}

/// An invitation by which people become members.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Invitation {
    /// 16 hex digits.
    id: String,
    /// What it is called; may be empty.
    name: String,
    /// The domain in which those who accept it get an address.
    domain: String,
    /// The number of the department into which they come.
    department: u32,
    /// Does an administrator have to approve each?
    approval: bool,
    /// How often it may be accepted.
    uses: u32,
    /// How often it was, with what is on its way.
    used: u32,
    /// When it was made, or last renewed.
    created: String,
    /// From then on it is good for nothing.
    until: String,
    /// `good`, `revoked`, `past` or `used-up`.
    state: &'static str,
    /// The id of the account of the member who has made it; null: an administrator has.
    by: Option<String>,
}

page_of!(Invitations, Invitation);

/// An invitation that was made or renewed.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "MadeInvitation")]
pub(crate) struct Made {
    /// Its description.
    #[serde(flatten)]
    description: Invitation,
    /// The invitation itself, to be handed to those who are invited. It is never told again.
    invitation: String,
    /// Where the pages for people take it; null, where the operator has not said where they are.
    link: Option<String>,
    /// The link as a QR code, else the invitation: an image, as SVG.
    qr_code: Option<String>,
}

/// An invitation to be made. What it does not say, the rules of joining say.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "NewInvitation")]
pub(crate) struct NewLink {
    /// What it is called: 100 characters at most.
    #[serde(default)]
    name: String,
    /// A domain of the tenant.
    domain: Option<String>,
    /// The number of a department.
    department: Option<u32>,
    /// Does an administrator have to approve each? The rules may ask for it, too.
    approval: Option<bool>,
    /// How often it may be accepted: 1 to 1,000; once, if nothing is said.
    uses: Option<u32>,
    /// Until when it is good: 90 days from now at most.
    until: String,
}

/// What an invitation is to be from now on.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "InvitationRenewal")]
pub(crate) struct Renewal {
    /// How often it may be accepted from now on: 1 to 1,000; once, if nothing is said.
    uses: Option<u32>,
    /// Until when it is good: 90 days from now at most.
    until: String,
}

/// What somebody has applied for.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "JoiningApplication")]
pub(crate) struct Row {
    /// The address.
    address: String,
    /// The name.
    name: String,
    /// The mobile number; may be empty.
    mobile: String,
    /// The id of the invitation.
    invitation: String,
    /// The number of the department.
    department: u32,
    /// When.
    applied: String,
    /// `waiting`, `joining` while the account is being added, `joined` or `refused`.
    state: &'static str,
    /// The id of the account, once there is one.
    account: Option<String>,
    /// Why it was refused.
    reason: Option<String>,
}

page_of!(Applications, Row);

/// Why an application is refused.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "RefusalReason")]
pub(crate) struct Reason {
    /// Whoever applied is told: 1 to 200 characters.
    reason: String,
}

/// A member who has no password yet.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "MemberWithoutPassword")]
pub(crate) struct Missing {
    /// The id of the account.
    account: String,
    /// Its address.
    address: String,
    /// The name; may be empty.
    name: String,
}

page_of!(NotJoined, Missing);

/// Until when a member is invited.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "InvitationTerm")]
pub(crate) struct Term {
    /// 90 days from now at most.
    until: String,
}

/// An invitation with what leads to it (ORG-10, ORG-14).
async fn made(
    administration: &Administration,
    description: Invitation,
    invitation: String,
) -> Result<Made, Refusal> {
    // It is made, and is told now or never: without a link, if that can't be read.
    let link = administration.invitation_link(&invitation).await.unwrap_or_else(|error| {
        tracing::warn!(%error, "where the pages are could not be read");
        None
    });
    let qr_code = qr_code(link.as_ref().unwrap_or(&invitation));
    Ok(Made { description, invitation, link, qr_code })
}

/// An invitation of a member, good once.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "MemberInvitation")]
pub(crate) struct OfMember {
    /// The id of the account.
    account: String,
    /// Its address.
    address: String,
    /// Until when it is good.
    until: String,
    /// The invitation itself, to be handed to the member. It is never told again.
    invitation: String,
}

/// Somebody shows an invitation.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "ShownInvitation")]
pub(crate) struct Shown {
    /// `ppi_…` or `ppm_…`.
    invitation: String,
}

/// What an invitation is for.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "SeenInvitation")]
pub(crate) struct Seen {
    /// The name of the organisation.
    organisation: String,
    /// The domain in which one gets an address; null if there is an account already.
    domain: Option<String>,
    /// The address of the account that has no password yet; else null.
    address: Option<String>,
    /// The name that stands there; else null.
    name: Option<String>,
    /// An administrator has to approve.
    approval: bool,
    /// Until when it is good.
    until: String,
}

/// Somebody joins.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "JoiningWish")]
pub(crate) struct Wish {
    /// `ppi_…` or `ppm_…`.
    invitation: String,
    /// What is to stand before the @ of the address. Not asked for where there is an account already.
    #[serde(default)]
    prefix: String,
    /// One's name. Not asked for where there is an account already.
    #[serde(default)]
    name: String,
    /// One's mobile number; may be empty.
    #[serde(default)]
    mobile: String,
    /// The password that one chooses.
    password: String,
}

/// What has come of it.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "JoiningState")]
pub(crate) struct Became {
    /// The address.
    address: String,
    /// `joined`: one may sign in; `waiting`: an administrator has to approve; `joining`; `refused`.
    state: &'static str,
    /// Why it was refused.
    reason: Option<String>,
    /// With it and the address one asks later what has become of an application. It is never told again. Null where there
    /// was an account already.
    receipt: Option<String>,
}

/// Somebody asks what has become of an application.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "ApplicationReceipt")]
pub(crate) struct Receipt {
    /// The address that was applied for.
    address: String,
    /// What was told when it was applied for.
    receipt: String,
}

fn show_rules(rules: &JoiningRules) -> Rules {
    Rules {
        open: rules.open,
        approval: rules.approval,
        colleagues: rules.colleagues,
        department: rules.department.0,
        domain: rules.domain.as_ref().map(ToString::to_string),
    }
}

fn rules_said(said: Rules) -> Result<JoiningRules, Refusal> {
    let domain = said.domain.map(|domain| DomainName::parse(&domain)).transpose();
    let domain = domain.map_err(pennypost_directory::DirectoryError::from)?;
    let department = DepartmentId(said.department);
    let Rules { open, approval, colleagues, .. } = said;
    Ok(JoiningRules { open, approval, colleagues, department, domain })
}

fn show_at(invitation: pennypost_directory::Invitation, now: Timestamp) -> Invitation {
    let state = invitation.end(now).map_or("good", |end| end.name());
    Invitation {
        id: invitation.id.to_string(),
        name: invitation.name,
        domain: invitation.domain.to_string(),
        department: invitation.department.0,
        approval: invitation.approval,
        uses: invitation.most,
        used: invitation.used,
        created: invitation.created.rfc3339(),
        until: invitation.until.rfc3339(),
        state,
        by: invitation.by.map(|account| account.to_string()),
    }
}

fn show(application: Application) -> Row {
    let (account, reason) = match &application.state {
        ApplicationState::Joined(account) => (Some(account.to_string()), None),
        ApplicationState::Refused(reason) => (None, Some(reason.clone())),
        ApplicationState::Waiting | ApplicationState::Joining => (None, None),
    };
    Row {
        address: application.address.to_string(),
        name: application.name,
        mobile: application.mobile,
        invitation: application.invitation.to_string(),
        department: application.department.0,
        applied: application.applied.rfc3339(),
        state: application.state.name(),
        account,
        reason,
    }
}

fn became(application: Application, receipt: Option<String>) -> Became {
    let row = show(application);
    Became { address: row.address, state: row.state, reason: row.reason, receipt }
}

fn seen(seen: SeenInvitation) -> Seen {
    let until = seen.until.rfc3339();
    let organisation = seen.organisation;
    match seen.leads {
        Leads::Domain { domain, approval } => {
            Seen { organisation, domain: Some(domain), address: None, name: None, approval, until }
        }
        Leads::Account(account) => Seen {
            organisation,
            domain: None,
            address: Some(account.address.to_string()),
            name: Some(account.display_name),
            approval: false,
            until,
        },
    }
}

/// What tells a request, sent again, from any other.
fn request(knock: &Knock<'_>) -> Result<Option<[u8; 32]>, Refusal> {
    let Some(key) = knock.header("idempotency-key") else { return Ok(None) };
    let is_good = KEY.contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic());
    if is_good {
        return Ok(Some(Sha256::digest(key.as_bytes()).into()));
    }
    Err(Refusal::new(Kind::BadParameter, bad_parameter("Idempotency-Key")))
}

pub(crate) const LOOK: Door = Door {
    name: "read-shown-invitation",
    path: "/joining/invitation",
    summary: "What an invitation that one holds is for; it needs no key",
    body: shape::<Shown>,
    good: Good::told(shape::<Seen>),
    problems: &[Kind::NotFound, Kind::OtherState],
    handler: look,
};

fn look<'a>(knock: &'a Knock<'a>) -> Opening<'a> {
    Box::pin(async move {
        knock.must_not_hurry()?;
        let Shown { invitation } = document_in(&knock.body)?;
        let found = knock.rest.administration.seen_invitation(&invitation).await?;
        Ok(Reply::document(&seen(found)))
    })
}

pub(crate) const JOIN: Door = Door {
    name: "join",
    path: "/joining",
    summary: "Join by an invitation: get an account, apply for one, or set the first password of the one that one has. With \
              an Idempotency-Key of 16 random characters or more the same request again goes on where it was cut off",
    body: shape::<Wish>,
    good: Good::told(shape::<Became>),
    problems: &[
        Kind::NotFound,
        Kind::OtherState,
        Kind::Taken,
        Kind::Invalid,
        Kind::Unknown,
        Kind::PlanLimit,
        Kind::BadParameter,
    ],
    handler: join,
};

fn join<'a>(knock: &'a Knock<'a>) -> Opening<'a> {
    Box::pin(async move {
        knock.must_not_hurry()?;
        let Wish { invitation, prefix, name, mobile, password } = document_in(&knock.body)?;
        let request = request(knock)?;
        let new =
            NewApplication { local: &prefix, name: &name, mobile: &mobile, password: &password, request };
        let accepted = knock.rest.administration.join(&invitation, &new, knock.client).await?;
        let became = match accepted {
            Accepted::Applied(applied) => became(applied.application, Some(applied.receipt)),
            Accepted::Member(account) => {
                Became { address: account.address.to_string(), state: "joined", reason: None, receipt: None }
            }
        };
        Ok(Reply::document(&became))
    })
}

pub(crate) const FOLLOW: Door = Door {
    name: "read-own-application",
    path: "/joining/application",
    summary: "What has become of what one applied for; it needs no key",
    body: shape::<Receipt>,
    good: Good::told(shape::<Became>),
    problems: &[Kind::NotFound],
    handler: follow,
};

fn follow<'a>(knock: &'a Knock<'a>) -> Opening<'a> {
    Box::pin(async move {
        knock.must_not_hurry()?;
        let Receipt { address, receipt } = document_in(&knock.body)?;
        let found = knock.rest.administration.application_behind(&address, &receipt).await?;
        Ok(Reply::document(&became(found, None)))
    })
}

pub(super) const OPERATIONS: &[Operation] = &[
    Operation::new(
        (Method::Get, "/tenants/{tenant}/joining", "read-joining"),
        Action::JoiningRead,
        "What the organisation says about joining by invitation",
        Good::one(shape::<Rules>),
        |ask| {
            Box::pin(async move {
                let rules = ask.administration.joining_rules(&ask.call, ask.tenant()?).await?;
                Ok(Reply::tagged(&show_rules(&rules)))
            })
        },
    ),
    Operation::new(
        (Method::Put, "/tenants/{tenant}/joining", "change-joining"),
        Action::JoiningChange,
        "Say whether people may be invited, who has to approve, and where they come",
        Good::one(shape::<Rules>),
        |ask| {
            Box::pin(async move {
                let rules = rules_said(ask.body()?)?;
                let tenant = ask.tenant()?;
                let seen = ask.administration.joining_rules_for(&ask.call, tenant).await?;
                ask.must_match(&show_rules(&seen))?;
                let changed = ask.administration.change_joining_rules(&ask.call, tenant, &seen, &rules).await?;
                Ok(Reply::tagged(&show_rules(&changed)))
            })
        },
    )
    .with(shape::<Rules>)
    .update()
    .refusing(&[Kind::Invalid, Kind::Unknown]),
    Operation::new(
        (Method::Get, "/tenants/{tenant}/invitations", "list-invitations"),
        Action::InvitationRead,
        "List the invitations by which people become members: all of them",
        Good::list(shape::<Invitations>),
        |ask| {
            Box::pin(async move {
                let items = ask.administration.invitations(&ask.call, ask.tenant()?).await?;
                let now = ask.directory().now();
                Ok(Reply::document(&rows(Listed { items, next: None }, |one| show_at(one, now))))
            })
        },
    ),
    Operation::new(
        (Method::Post, "/tenants/{tenant}/invitations", "add-invitation"),
        Action::InvitationAdd,
        "Make an invitation by which people become members; 100 at a time at most",
        Good::made(shape::<Made>),
        |ask| {
            Box::pin(async move {
                let NewLink { name, domain, department, approval, uses, until: end } = ask.body()?;
                let tenant = ask.tenant()?;
                let department = department.map(DepartmentId);
                let (most, until) = (uses.unwrap_or(1), said_time(&end, "/until")?);
                let new = NewInvitation { name, domain, department, approval, most, until };
                let (found, invitation) = ask.administration.invite(&ask.call, tenant, &new).await?;
                let location = format!("/api/v1/tenants/{tenant}/invitations/{}", found.id);
                let description = show_at(found, ask.directory().now());
                Ok(Reply::made(&made(&ask.administration, description, invitation).await?, location))
            })
        },
    )
    .with(shape::<NewLink>)
    .refusing(&[Kind::Invalid, Kind::Unknown]),
    Operation::new(
        (Method::Post, "/tenants/{tenant}/accounts/{account}/colleague-invitation", "invite-colleagues"),
        Action::ColleagueInvite,
        "Invite colleagues: 20 within 7 days, each of whom an administrator approves. What one handed out before is worth \
         nothing from here on",
        Good::told(shape::<Made>),
        |ask| {
            Box::pin(async move {
                let (found, invitation) =
                    ask.administration.invite_colleagues(&ask.call, ask.account()?).await?;
                let description = show_at(found, ask.directory().now());
                Ok(Reply::document(&made(&ask.administration, description, invitation).await?))
            })
        },
    )
    .refusing(&[Kind::Invalid]),
    Operation::new(
        (Method::Get, "/tenants/{tenant}/invitations/{invitation}", "read-invitation"),
        Action::InvitationRead,
        "An invitation",
        Good::told(shape::<Invitation>),
        |ask| {
            Box::pin(async move {
                let id: InvitationId = ask.id("invitation")?;
                let found = ask.administration.invitation(&ask.call, ask.tenant()?, id).await?;
                Ok(Reply::document(&show_at(found, ask.directory().now())))
            })
        },
    ),
    Operation::new(
        (Method::Post, "/tenants/{tenant}/invitations/{invitation}/renewal", "renew-invitation"),
        Action::InvitationRenew,
        "Give an invitation another secret and a new term; what was handed out before is worth nothing from here on",
        Good::told(shape::<Made>),
        |ask| {
            Box::pin(async move {
                let Renewal { uses, until: end } = ask.body()?;
                let (tenant, id): (_, InvitationId) = (ask.tenant()?, ask.id("invitation")?);
                let terms = (uses.unwrap_or(1), said_time(&end, "/until")?);
                let (renewed, invitation) =
                    ask.administration.renew_invitation(&ask.call, tenant, id, terms).await?;
                let description = show_at(renewed, ask.directory().now());
                Ok(Reply::document(&made(&ask.administration, description, invitation).await?))
            })
        },
    )
    .with(shape::<Renewal>)
    .refusing(&[Kind::Invalid]),
    Operation::new(
        (Method::Delete, "/tenants/{tenant}/invitations/{invitation}", "revoke-invitation"),
        Action::InvitationRevoke,
        "Make an invitation worthless; it stays in the list for 30 days after its term, and what was applied for by it stays",
        Good::NOTHING,
        |ask| {
            Box::pin(async move {
                let id: InvitationId = ask.id("invitation")?;
                ask.administration.revoke_invitation(&ask.call, ask.tenant()?, id).await?;
                Ok(Reply::nothing())
            })
        },
    ),
    Operation::new(
        (Method::Get, "/tenants/{tenant}/applications", "list-applications"),
        Action::ApplicationRead,
        "List who applies or has applied to join, by address; what was decided for 30 days",
        Good::list(shape::<Applications>),
        |ask| {
            Box::pin(async move {
                let listed = ask.administration.applications(&ask.call, ask.tenant()?, &ask.page()?).await?;
                Ok(Reply::document(&rows(listed, show)))
            })
        },
    )
    .asking(PAGE),
    Operation::new(
        (Method::Post, "/tenants/{tenant}/applications/{application}/approval", "approve-application"),
        Action::ApplicationApprove,
        "Let somebody join who applies for an address: the account is added",
        Good::told(shape::<Row>),
        |ask| {
            Box::pin(async move {
                let address = ask.word("application");
                let approved = ask.administration.approve_application(&ask.call, ask.tenant()?, address);
                // On the heap: it is large.
                Ok(Reply::document(&show(Box::pin(approved).await?)))
            })
        },
    )
    .refusing(&[Kind::Taken, Kind::Invalid, Kind::Unknown, Kind::PlanLimit]),
    Operation::new(
        (Method::Post, "/tenants/{tenant}/applications/{application}/refusal", "refuse-application"),
        Action::ApplicationRefuse,
        "Refuse somebody who applies for an address, and say why",
        Good::told(shape::<Row>),
        |ask| {
            Box::pin(async move {
                let Reason { reason } = ask.body()?;
                let address = ask.word("application");
                let tenant = ask.tenant()?;
                let refused = ask.administration.refuse_application(&ask.call, tenant, address, &reason);
                Ok(Reply::document(&show(refused.await?)))
            })
        },
    )
    .with(shape::<Reason>)
    .refusing(&[Kind::Invalid]),
    Operation::new(
        (Method::Get, "/tenants/{tenant}/not-joined", "list-not-joined"),
        Action::AccountRead,
        "List members who are in the directory and have no password yet",
        Good::list(shape::<NotJoined>),
        |ask| {
            Box::pin(async move {
                let listed = ask.administration.not_joined(&ask.call, ask.tenant()?, &ask.page()?).await?;
                let row = |account: pennypost_directory::Account| Missing {
                    account: account.key.account.to_string(),
                    address: account.address.to_string(),
                    name: account.display_name,
                };
                Ok(Reply::document(&rows(listed, row)))
            })
        },
    )
    .asking(PAGE),
    Operation::new(
        (Method::Post, "/tenants/{tenant}/accounts/{account}/invitation", "invite-member"),
        Action::MemberInvite,
        "Invite a member who has no password yet to set one; an earlier invitation is worth nothing from here on",
        Good::told(shape::<OfMember>),
        |ask| {
            Box::pin(async move {
                let Term { until: end } = ask.body()?;
                let invited = ask.administration.invite_member(&ask.call, ask.account()?, said_time(&end, "/until")?).await?;
                let account = invited.account;
                Ok(Reply::document(&OfMember {
                    account: account.key.account.to_string(),
                    address: account.address.to_string(),
                    until: invited.until.rfc3339(),
                    invitation: invited.text,
                }))
            })
        },
    )
    .with(shape::<Term>)
    .refusing(&[Kind::Invalid]),
];
