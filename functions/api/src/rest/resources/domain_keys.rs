//! Keys with which letters of a domain are signed (DKIM), and when they are changed for new ones.

use pennypost_admin::Action;
use pennypost_directory::Listed;
use pennypost_signing as signing;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::page_of;
use crate::rest::ask::{Ask, rows};
use crate::rest::operation::{Answering, Good, Method, Operation, shape};
use crate::rest::problem::Kind;
use crate::rest::reply::Reply;

/// A kind of key.
#[derive(Clone, Copy, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "KeyAlgorithm")]
pub(crate) enum Algorithm {
    /// RSA with 2,048 bits: what every server can check.
    #[serde(rename = "rsa-2048")]
    Rsa,
    /// Ed25519: small and fast, beside a key of RSA.
    #[serde(rename = "ed25519")]
    Ed25519,
}

/// How far a key is.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "DomainKeyState")]
pub(crate) enum State {
    /// Its record has to be set; it is used as soon as a look at the domain finds it.
    Waiting,
    /// Letters are signed with it.
    Active,
    /// Another one has taken its place; its record has to stay for what it has signed.
    Retiring,
    /// It is no longer used: its record may be deleted.
    Removed,
}

/// A key with which letters of a domain are signed. Its private half is told to nobody.
#[derive(Serialize, JsonSchema)]
pub(crate) struct DomainKey {
    /// Its name within the domain.
    selector: String,
    /// Which kind.
    algorithm: Algorithm,
    /// How far it is.
    state: State,
    /// When it was made.
    made: String,
    /// Since when it has been in its state.
    since: String,
    /// The whole name of its record, which is a TXT record.
    name: String,
    /// The value of its record, without quotation marks.
    value: String,
}

page_of!(DomainKeys, DomainKey);

/// A key to be made.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewDomainKey {
    /// Which kind.
    algorithm: Algorithm,
}

/// When keys are changed for new ones.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "KeyRotation")]
pub(crate) struct Rotation {
    /// Days for which a key is used before a new one is made by itself, whose record has to be set then: 7 to 3,650; null:
    /// none is made by itself.
    after_days: Option<u16>,
    /// Days for which the record of a key has to stay after another one has taken its place: 1 to 90.
    publish_days: u16,
}

fn show(domain: &str, key: signing::DomainKey) -> DomainKey {
    DomainKey {
        algorithm: match key.algorithm {
            signing::Algorithm::Rsa => Algorithm::Rsa,
            signing::Algorithm::Ed25519 => Algorithm::Ed25519,
        },
        state: match key.state {
            signing::KeyState::Waiting => State::Waiting,
            signing::KeyState::Active => State::Active,
            signing::KeyState::Retiring => State::Retiring,
            signing::KeyState::Removed => State::Removed,
        },
        made: key.made.rfc3339(),
        since: key.since.rfc3339(),
        name: format!("{}._domainkey.{domain}", key.selector),
        value: key.record(),
        selector: key.selector,
    }
}

fn rule(rotation: signing::Rotation) -> Rotation {
    Rotation { after_days: rotation.after_days, publish_days: rotation.publish_days }
}

fn list(ask: &Ask) -> Answering<'_> {
    Box::pin(async move {
        let found = ask.administration.domain_keys(&ask.call, ask.tenant()?, ask.word("domain")).await?;
        let (domain, keys) = found;
        let listed = Listed { items: keys.keys, next: None };
        Ok(Reply::document(&rows(listed, |key| show(domain.name.as_str(), key))))
    })
}

fn add(ask: &Ask) -> Answering<'_> {
    Box::pin(async move {
        let NewDomainKey { algorithm } = ask.body()?;
        let algorithm = match algorithm {
            Algorithm::Rsa => signing::Algorithm::Rsa,
            Algorithm::Ed25519 => signing::Algorithm::Ed25519,
        };
        let (tenant, name) = (ask.tenant()?, ask.word("domain"));
        let (domain, key) = ask.administration.add_domain_key(&ask.call, tenant, name, algorithm).await?;
        let name = domain.name.as_str();
        let location = format!("/api/v1/tenants/{tenant}/domains/{name}/dkim/keys/{}", key.selector);
        Ok(Reply::made(&show(name, key), location))
    })
}

fn withdraw(ask: &Ask) -> Answering<'_> {
    Box::pin(async move {
        let (tenant, name, selector) = (ask.tenant()?, ask.word("domain"), ask.word("selector"));
        ask.administration.withdraw_domain_key(&ask.call, tenant, name, selector).await?;
        Ok(Reply::nothing())
    })
}

fn read_rotation(ask: &Ask) -> Answering<'_> {
    Box::pin(async move {
        let found = ask.administration.domain_keys(&ask.call, ask.tenant()?, ask.word("domain")).await?;
        Ok(Reply::tagged(&rule(found.1.rotation)))
    })
}

fn change_rotation(ask: &Ask) -> Answering<'_> {
    Box::pin(async move {
        let Rotation { after_days, publish_days } = ask.body()?;
        let (tenant, name) = (ask.tenant()?, ask.word("domain"));
        let seen = ask.administration.domain_keys(&ask.call, tenant, name).await?.1.rotation;
        ask.must_match(&rule(seen))?;
        let rotation = signing::Rotation { after_days, publish_days };
        let change = ask.administration.change_key_rotation(&ask.call, tenant, name, seen, rotation);
        Ok(Reply::tagged(&rule(change.await?.rotation)))
    })
}

const KEYS: &str = "/tenants/{tenant}/domains/{domain}/dkim/keys";
const ROTATION: &str = "/tenants/{tenant}/domains/{domain}/dkim/rotation";

pub(super) const OPERATIONS: &[Operation] = &[
    Operation::new(
        (Method::Get, KEYS, "list-domain-keys"),
        Action::DomainRead,
        "List the keys with which letters of a domain are signed, with their records",
        Good::list(shape::<DomainKeys>),
        list,
    ),
    Operation::new(
        (Method::Post, KEYS, "add-domain-key"),
        Action::DomainKeyAdd,
        "Make a key for signatures: it is used, in the place of the one before it, as soon as DNS has its record",
        Good::made(shape::<DomainKey>),
        add,
    )
    .with(shape::<NewDomainKey>)
    .refusing(&[Kind::Invalid]),
    Operation::new(
        (Method::Delete, "/tenants/{tenant}/domains/{domain}/dkim/keys/{selector}", "withdraw-domain-key"),
        Action::DomainKeyChange,
        "End the use of a key at once; its private half is gone",
        Good::NOTHING,
        withdraw,
    ),
    Operation::new(
        (Method::Get, ROTATION, "read-key-rotation"),
        Action::DomainRead,
        "When keys of a domain are changed for new ones",
        Good::one(shape::<Rotation>),
        read_rotation,
    ),
    Operation::new(
        (Method::Put, ROTATION, "change-key-rotation"),
        Action::DomainKeyChange,
        "Say when keys of a domain are changed for new ones",
        Good::one(shape::<Rotation>),
        change_rotation,
    )
    .with(shape::<Rotation>)
    .update()
    .refusing(&[Kind::Invalid]),
];
