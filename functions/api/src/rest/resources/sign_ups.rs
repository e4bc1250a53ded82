//! The doors by which somebody opens an organisation by himself (TEN-01, TEN-08), what its creator changes once (ORG-03), and
//! trial domains (DOM-01).

use pennypost_admin::{Action, NewSignUp, SignUpEdition, SignUpState, TRIAL_TRANSITION_DAYS};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::rest::ask::document_in;
use crate::rest::doors::{Door, Knock, Opening};
use crate::rest::operation::{Good, Method, Operation, shape};
use crate::rest::problem::Kind;
use crate::rest::reply::Reply;

/// Nothing is said.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "SignUpQuestion")]
pub(crate) struct Question {}

/// An edition.
#[derive(Clone, Copy, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "SignUpEdition")]
enum Edition {
    /// The one that costs nothing.
    Basic,
    /// The one with a VIP seat, to be paid within a week; after that it is no more than basic.
    Pro,
}

impl From<SignUpEdition> for Edition {
    fn from(edition: SignUpEdition) -> Edition {
        match edition {
            SignUpEdition::Basic => Edition::Basic,
            SignUpEdition::Pro => Edition::Pro,
        }
    }
}

impl From<Edition> for SignUpEdition {
    fn from(edition: Edition) -> SignUpEdition {
        match edition {
            Edition::Basic => SignUpEdition::Basic,
            Edition::Pro => SignUpEdition::Pro,
        }
    }
}

/// The terms of service that have to be accepted.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "OfferedTerms")]
struct OfferedTerms {
    /// Which version: to be said when signing up.
    number: u32,
    /// What it is called.
    title: String,
    /// SHA-256 of the text.
    sha256: String,
    /// The text.
    text: String,
}

/// What is offered.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "SignUpOffer")]
pub(crate) struct Offer {
    /// The editions.
    editions: Vec<Edition>,
    /// Below which domain trial domains are; null: a domain of one's own is needed.
    trial_base: Option<String>,
    /// Codes go to addresses elsewhere.
    mail: bool,
    /// Codes go to mobile numbers.
    mobile: bool,
    /// The terms of service that have to be accepted; null if there are none.
    terms: Option<OfferedTerms>,
}

/// Who signs up.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "NewSignUp")]
pub(crate) struct SignUp {
    /// The name of the organisation: 1 to 100 characters.
    organisation: String,
    /// The name of its creator.
    name: String,
    /// One of the editions that are offered.
    edition: Edition,
    /// What stands before the @ of the creator's address; the name in pinyin, if nothing is said.
    prefix: Option<String>,
    /// Where a code goes: an address elsewhere, or
    mail: Option<String>,
    /// a mobile number with its country.
    mobile: Option<String>,
    /// What the trial domain begins with; letters of the organisation's name, if nothing is said. One like it where it is taken.
    label: Option<String>,
    /// A domain of one's own, in the place of a trial domain: its zone has to show whose it is before anything is opened.
    domain: Option<String>,
    /// The version of the terms of service that was read and is accepted.
    terms: Option<u32>,
}

/// That somebody has begun.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "SignUpBegun")]
pub(crate) struct Begun {
    /// With what one goes on. It is never told again.
    sign_up: String,
    /// Until when the code is good.
    until: String,
}

/// The code.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "SignUpConfirmation")]
pub(crate) struct Confirmation {
    /// What was told when one began.
    sign_up: String,
    /// Eight digits, as they were sent.
    code: String,
    /// The creator's password.
    password: String,
    /// Another name of the organisation, where the first one was taken.
    organisation: Option<String>,
    /// Another beginning of the creator's address, where the first one can't be given.
    prefix: Option<String>,
}

/// A record to be set, of which one is enough.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "OwnershipRecord")]
struct Record {
    /// Its name.
    name: String,
    /// TXT or CNAME.
    kind: String,
    /// What it says.
    value: String,
}

/// How far it is.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "SignUpStage")]
enum Stage {
    /// The zone of the domain does not show yet whose it is: confirm it again when it does.
    AwaitsDomain,
    /// The organisation is there: its creator signs in.
    Open,
}

/// What a sign-up has come to.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "SignUpState")]
pub(crate) struct Reached {
    /// How far it is.
    state: Stage,
    /// The tenant, once it is open.
    tenant: Option<String>,
    /// The id of the creator's account.
    account: Option<String>,
    /// The creator's address.
    address: Option<String>,
    /// Of these one is to be set; empty once it is open.
    records: Vec<Record>,
    /// Until when it can be confirmed again.
    until: Option<String>,
}

pub(crate) const OFFER: Door = Door {
    name: "read-sign-up-offer",
    path: "/sign-up-offers",
    summary: "What is offered to who opens an organisation by himself, with the terms of service; it needs no key",
    body: shape::<Question>,
    good: Good::told(shape::<Offer>),
    problems: &[Kind::OtherState],
    handler: offer,
};

fn offer<'a>(knock: &'a Knock<'a>) -> Opening<'a> {
    Box::pin(async move {
        let Question {} = document_in(&knock.body)?;
        knock.must_not_hurry()?;
        let offer = knock.rest.administration.sign_up_offer().await?;
        Ok(Reply::document(&Offer {
            editions: offer.editions.into_iter().map(Edition::from).collect(),
            trial_base: offer.trials.map(|base| base.to_string()),
            mail: offer.by_mail,
            mobile: offer.by_mobile,
            terms: offer.terms.map(|terms| OfferedTerms {
                number: terms.number,
                sha256: terms.digest(),
                title: terms.title,
                text: terms.text,
            }),
        }))
    })
}

pub(crate) const BEGIN: Door = Door {
    name: "begin-sign-up",
    path: "/sign-ups",
    summary: "Begin to open an organisation: a code goes to an address elsewhere or to a mobile number; it needs no key",
    body: shape::<SignUp>,
    good: Good::told(shape::<Begun>),
    problems: &[Kind::OtherState, Kind::Invalid],
    handler: begin,
};

fn begin<'a>(knock: &'a Knock<'a>) -> Opening<'a> {
    Box::pin(async move {
        let SignUp { organisation, name, edition, prefix, mail, mobile, label, domain, terms } =
            document_in(&knock.body)?;
        // Whoever asks makes us write to somebody.
        knock.must_not_hurry()?;
        let edition = edition.into();
        let new = NewSignUp { organisation, name, edition, prefix, mail, mobile, label, domain, terms };
        let (sign_up, until) = knock.rest.administration.begin_sign_up(&new, knock.visitor()).await?;
        Ok(Reply::document(&Begun { sign_up, until: until.rfc3339() }))
    })
}

pub(crate) const FINISH: Door = Door {
    name: "finish-sign-up",
    path: "/sign-ups/confirmation",
    summary: "Say the code: the organisation is opened. The same call again completes what was cut off; it needs no key",
    body: shape::<Confirmation>,
    good: Good::told(shape::<Reached>),
    problems: &[Kind::OtherState, Kind::Invalid, Kind::NotFound, Kind::Taken, Kind::WrongCode],
    handler: finish,
};

fn finish<'a>(knock: &'a Knock<'a>) -> Opening<'a> {
    Box::pin(async move {
        let Confirmation { sign_up, code, password, organisation, prefix } = document_in(&knock.body)?;
        knock.must_not_hurry()?;
        let administration = &knock.rest.administration;
        let shown = (sign_up.as_str(), code.as_str());
        let others = (organisation.as_deref(), prefix.as_deref());
        let reached = administration.finish_sign_up(shown, &password, others).await?;
        Ok(Reply::document(&match reached {
            SignUpState::AwaitsDomain { wanted, until, .. } => Reached {
                state: Stage::AwaitsDomain,
                tenant: None,
                account: None,
                address: None,
                records: wanted
                    .into_iter()
                    .map(|one| Record { name: one.name, kind: one.kind.to_owned(), value: one.value })
                    .collect(),
                until: Some(until.rfc3339()),
            },
            SignUpState::Open(done) => Reached {
                state: Stage::Open,
                tenant: Some(done.account.tenant.to_string()),
                account: Some(done.account.account.to_string()),
                address: Some(done.address),
                records: Vec::new(),
                until: None,
            },
        }))
    })
}

/// What stands before the @.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "OwnPrefix")]
struct Prefix {
    /// What is to stand there.
    prefix: String,
}

/// An address.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "OwnAddress")]
struct Address {
    /// The own address from now on; the one before leads to it.
    address: String,
}

/// What a trial domain begins with.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "TrialDomainWish")]
struct Label {
    /// 3 to 30 letters a to z, digits and hyphens.
    label: String,
}

/// The trial domain of an organisation.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "TrialDomain")]
struct TrialDomain {
    /// Below which domain trial domains are; null: none are given.
    base: Option<String>,
    /// Its name; null if there never was one.
    name: Option<String>,
    /// Was it removed?
    gone: bool,
    /// The domain that has taken its place.
    replaced_by: Option<String>,
    /// From when on it is removed, if nothing has its own address in it.
    ends: Option<String>,
}

const TRIAL: &str = "/tenants/{tenant}/trial-domain";

pub(super) const OPERATIONS: &[Operation] = &[
    Operation::new(
        (Method::Post, "/tenants/{tenant}/accounts/{account}/own-prefix", "change-own-prefix"),
        Action::CreatorReaddress,
        "Give oneself another address in the same domain, as the creator, once; the one before leads to it",
        Good::told(shape::<Address>),
        |ask| {
            Box::pin(async move {
                let Prefix { prefix } = ask.body()?;
                let changed =
                    ask.administration.change_own_prefix(&ask.call, ask.account()?, &prefix).await?;
                Ok(Reply::document(&Address { address: changed.address.to_string() }))
            })
        },
    )
    .with(shape::<Prefix>)
    .refusing(&[Kind::Taken, Kind::Invalid]),
    Operation::new(
        (Method::Get, TRIAL, "read-trial-domain"),
        Action::DomainRead,
        "The trial domain of the organisation, and below which domain there are some",
        Good::told(shape::<TrialDomain>),
        |ask| {
            Box::pin(async move {
                let found = ask.administration.trial_domain(&ask.call, ask.tenant()?).await?;
                let replaced = found.as_ref().and_then(|trial| trial.replaced.as_ref());
                let day = 24 * 60 * 60 * 1000;
                Ok(Reply::document(&TrialDomain {
                    base: ask.administration.trial_base().map(ToString::to_string),
                    name: found.as_ref().map(|trial| trial.name.to_string()),
                    gone: found.as_ref().is_some_and(|trial| trial.is_gone),
                    replaced_by: replaced.map(|(name, _)| name.to_string()),
                    ends: replaced.map(|(_, since)| since.plus_millis(TRIAL_TRANSITION_DAYS * day).rfc3339()),
                }))
            })
        },
    ),
    Operation::new(
        (Method::Post, TRIAL, "take-trial-domain"),
        Action::DomainAdd,
        "Take a domain below that of the operator, to be used at once, once in the organisation's life",
        Good::made(shape::<super::domains::Domain>),
        |ask| {
            Box::pin(async move {
                let Label { label } = ask.body()?;
                let tenant = ask.tenant()?;
                let given = ask.administration.take_trial_domain(&ask.call, tenant, &label).await?;
                let location = format!("/api/v1/tenants/{tenant}/domains/{}", given.name);
                Ok(Reply::made(&super::domains::show(given), location))
            })
        },
    )
    .with(shape::<Label>)
    .refusing(&[Kind::Taken, Kind::Invalid]),
];
