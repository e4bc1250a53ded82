//! Passkeys (WebAuthn). What browsers are handed and what they send are the JSON forms of WebAuthn Level 3, sections 5.1.8
//! to 5.1.10: a page gives them on as they are.

use std::borrow::Cow;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use pennypost_admin::{Action, PasskeyOffer, PasskeyRequest, Visitor};
use pennypost_directory::{Listed, PasskeyId, ShownPasskey, SignInKind};
use pennypost_passkeys::{Assertion, Registration};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Deserializer, Serialize};

use super::page_of;
use super::sessions::{self, opened};
use crate::rest::ask::{document_in, rows};
use crate::rest::doors::{Door, Knock, Opening};
use crate::rest::operation::{Good, Method, Operation, shape};
use crate::rest::problem::Kind;
use crate::rest::reply::Reply;

/// A passkey.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Passkey {
    /// 16 hex digits.
    id: String,
    /// What its owner calls it.
    name: String,
    /// When it was made.
    created: String,
    /// When it was last shown; null: never.
    used: Option<String>,
    /// It may lie on more than one device.
    synced: bool,
}

page_of!(Passkeys, Passkey);

/// Another name.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PasskeyChange {
    /// 1 to 100 characters.
    name: String,
}

/// Bytes, as base64url without padding.
struct Bytes(Vec<u8>);

impl JsonSchema for Bytes {
    fn schema_name() -> Cow<'static, str> {
        "Bytes".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        String::json_schema(generator)
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Bytes, D::Error> {
        let text = String::deserialize(deserializer)?;
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(&text);
        bytes.map(Bytes).map_err(|_| serde::de::Error::custom("not base64url without padding"))
    }
}

/// A credential that was made: `PublicKeyCredential.toJSON()` after `create()`. Other members are not looked at.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct CreatedCredential {
    /// What the authenticator answered.
    response: Attested,
}

/// What the authenticator answered.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Attested {
    /// base64url.
    #[serde(rename = "clientDataJSON")]
    client_data: Bytes,
    /// base64url.
    attestation_object: Bytes,
}

/// A passkey to be kept.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewPasskey {
    /// What its owner calls it: 1 to 100 characters.
    name: String,
    /// What the browser has made of the options.
    credential: CreatedCredential,
}

/// A credential that was shown: `PublicKeyCredential.toJSON()` after `get()`. Other members are not looked at.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ShownCredential {
    /// base64url.
    raw_id: Bytes,
    /// What the authenticator answered.
    response: Asserted,
}

/// What the authenticator answered.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Asserted {
    /// base64url.
    #[serde(rename = "clientDataJSON")]
    client_data: Bytes,
    /// base64url.
    authenticator_data: Bytes,
    /// base64url.
    signature: Bytes,
    /// base64url.
    user_handle: Option<Bytes>,
}

impl ShownCredential {
    fn shown(&self) -> ShownPasskey<'_> {
        let Asserted { client_data, authenticator_data, signature, user_handle } = &self.response;
        ShownPasskey {
            credential: &self.raw_id.0,
            assertion: Assertion {
                client_data: &client_data.0,
                authenticator_data: &authenticator_data.0,
                signature: &signature.0,
            },
            user: user_handle.as_ref().map(|handle| handle.0.as_slice()),
        }
    }
}

/// A passkey that is shown in a session.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PasskeyConfirmation {
    /// What the browser has made of the options.
    credential: ShownCredential,
}

/// Who wants to sign in.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PasskeyWish {
    /// The address of an account; none: the authenticator says whose passkey it is.
    address: Option<String>,
}

/// Who signs in.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PasskeySignIn {
    /// What the browser has made of the options.
    credential: ShownCredential,
    /// For browsers: the session is set as a cookie that no script can read, and is not in the answer. Needs the header
    /// `Pennypost-Page: 1`, as everything that then changes something does.
    #[serde(default)]
    cookie: bool,
}

/// What `PublicKeyCredential.parseCreationOptionsFromJSON()` takes.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CreationOptions {
    rp: Site,
    user: User,
    /// base64url; it is answered once.
    challenge: String,
    pub_key_cred_params: Vec<Parameters>,
    /// Milliseconds.
    timeout: i64,
    exclude_credentials: Vec<Descriptor>,
    authenticator_selection: Selection,
    attestation: &'static str,
}

/// A site.
#[derive(Serialize, JsonSchema)]
struct Site {
    id: String,
    name: String,
}

/// Whose passkey it will be.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct User {
    /// base64url.
    id: String,
    name: String,
    display_name: String,
}

/// An algorithm.
#[derive(Serialize, JsonSchema)]
struct Parameters {
    #[serde(rename = "type")]
    kind: &'static str,
    /// Its number in COSE.
    alg: i32,
}

/// A credential.
#[derive(Serialize, JsonSchema)]
struct Descriptor {
    #[serde(rename = "type")]
    kind: &'static str,
    /// base64url.
    id: String,
}

/// What kind of authenticator is wanted.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Selection {
    resident_key: &'static str,
    require_resident_key: bool,
    user_verification: &'static str,
}

/// What `PublicKeyCredential.parseRequestOptionsFromJSON()` takes.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RequestOptions {
    /// base64url; it is answered once.
    challenge: String,
    /// Milliseconds.
    timeout: i64,
    rp_id: String,
    allow_credentials: Vec<Descriptor>,
    user_verification: &'static str,
}

fn show(passkey: pennypost_directory::Passkey) -> Passkey {
    Passkey {
        id: passkey.id.to_string(),
        name: passkey.name,
        created: passkey.created.rfc3339(),
        used: passkey.used.map(|used| used.rfc3339()),
        synced: passkey.is_synced,
    }
}

fn descriptor(id: &[u8]) -> Descriptor {
    Descriptor { kind: "public-key", id: BASE64_URL_SAFE_NO_PAD.encode(id) }
}

fn creation(offer: PasskeyOffer) -> CreationOptions {
    let parameters = |alg: &i32| Parameters { kind: "public-key", alg: *alg };
    CreationOptions {
        rp: Site { name: offer.site.clone(), id: offer.site },
        user: User {
            id: BASE64_URL_SAFE_NO_PAD.encode(offer.user),
            name: offer.address,
            display_name: offer.name,
        },
        challenge: BASE64_URL_SAFE_NO_PAD.encode(offer.challenge),
        pub_key_cred_params: offer.algorithms.iter().map(parameters).collect(),
        timeout: offer.timeout,
        exclude_credentials: offer.known.iter().map(|id| descriptor(id)).collect(),
        authenticator_selection: Selection {
            resident_key: "preferred",
            require_resident_key: false,
            user_verification: "preferred",
        },
        attestation: "none",
    }
}

fn requested(request: &PasskeyRequest) -> RequestOptions {
    RequestOptions {
        challenge: BASE64_URL_SAFE_NO_PAD.encode(request.challenge),
        timeout: request.timeout,
        rp_id: request.site.clone(),
        allow_credentials: request.credentials.iter().map(|id| descriptor(id)).collect(),
        user_verification: if request.verified { "required" } else { "preferred" },
    }
}

pub(crate) const ASK: Door = Door {
    name: "begin-passkey-sign-in",
    path: "/passkey-challenges",
    summary: "Ask for what an authenticator needs to sign somebody in; it is good for five minutes, once",
    body: shape::<PasskeyWish>,
    good: Good::told(shape::<RequestOptions>),
    problems: &[Kind::OtherState],
    handler: begin,
};

fn begin<'a>(knock: &'a Knock<'a>) -> Opening<'a> {
    Box::pin(async move {
        let PasskeyWish { address } = document_in(&knock.body)?;
        knock.must_not_hurry_to_sign_in()?;
        let request = knock.rest.administration.request_sign_in_by_passkey(address.as_deref()).await?;
        Ok(Reply::document(&requested(&request)))
    })
}

pub(crate) const SIGN_IN: Door = Door {
    name: "sign-in-by-passkey",
    path: "/passkey-sessions",
    summary: "Sign in with a passkey, which stands for password and second factor",
    body: shape::<PasskeySignIn>,
    good: Good::made(shape::<sessions::Opened>),
    problems: &[Kind::SignInRefused, Kind::Elsewhere, Kind::OtherState],
    handler: sign_in,
};

fn sign_in<'a>(knock: &'a Knock<'a>) -> Opening<'a> {
    Box::pin(async move {
        let PasskeySignIn { credential, cookie } = document_in(&knock.body)?;
        if cookie {
            // Else a foreign page could sign somebody in as somebody else.
            knock.must_be_own_page()?;
        }
        let kind = if cookie { SignInKind::Web } else { SignInKind::Api };
        let shown = credential.shown();
        let signed_in = knock.rest.administration.sign_in_by_passkey(&shown, kind, knock.visitor());
        let (session, text) = signed_in.await?;
        Ok(opened(session, &text, cookie, knock.site()))
    })
}

const LIST: &str = "/tenants/{tenant}/accounts/{account}/passkeys";
const ONE: &str = "/tenants/{tenant}/accounts/{account}/passkeys/{passkey}";

pub(super) const OPERATIONS: &[Operation] = &[
    Operation::new(
        (Method::Get, LIST, "list-passkeys"),
        Action::SecondFactorRead,
        "List the passkeys of an account",
        Good::list(shape::<Passkeys>),
        |ask| {
            Box::pin(async move {
                let items = ask.administration.passkeys(&ask.call, ask.account()?).await?;
                Ok(Reply::document(&rows(Listed { items, next: None }, show)))
            })
        },
    ),
    Operation::new(
        (Method::Get, ONE, "read-passkey"),
        Action::SecondFactorRead,
        "Look at a passkey",
        Good::one(shape::<Passkey>),
        |ask| {
            Box::pin(async move {
                let id: PasskeyId = ask.id("passkey")?;
                let found = ask.administration.passkey(&ask.call, ask.account()?, id).await?;
                Ok(Reply::tagged(&show(found)))
            })
        },
    ),
    Operation::new(
        (Method::Post, "/tenants/{tenant}/accounts/{account}/passkey-offers", "begin-passkey"),
        Action::SecondFactorSet,
        "Ask for what the own authenticator needs to make a passkey; it is good for five minutes, once",
        Good::told(shape::<CreationOptions>),
        |ask| {
            Box::pin(async move {
                let offer = ask.administration.offer_passkey(&ask.call, ask.account()?).await?;
                Ok(Reply::document(&creation(offer)))
            })
        },
    )
    .refusing(&[Kind::OtherState]),
    Operation::new(
        (Method::Post, LIST, "add-passkey"),
        Action::SecondFactorSet,
        "Keep a passkey that the own authenticator has made, 10 at most",
        Good::made(shape::<Passkey>),
        |ask| {
            Box::pin(async move {
                let NewPasskey { name, credential } = ask.body()?;
                let key = ask.account()?;
                let Attested { client_data, attestation_object } = &credential.response;
                let shown = Registration { client_data: &client_data.0, attestation: &attestation_object.0 };
                let added = ask.administration.add_passkey(&ask.call, key, &name, &shown).await?;
                let location =
                    format!("/api/v1/tenants/{}/accounts/{}/passkeys/{}", key.tenant, key.account, added.id);
                Ok(Reply::made(&show(added), location))
            })
        },
    )
    .with(shape::<NewPasskey>)
    .refusing(&[Kind::WrongPasskey, Kind::Taken, Kind::Invalid, Kind::OtherState]),
    Operation::new(
        (Method::Patch, ONE, "change-passkey"),
        Action::SecondFactorSet,
        "Give the own passkey another name",
        Good::one(shape::<Passkey>),
        |ask| {
            Box::pin(async move {
                let PasskeyChange { name } = ask.body()?;
                let (key, id): (_, PasskeyId) = (ask.account()?, ask.id("passkey")?);
                ask.administration.account_for(Action::SecondFactorSet, &ask.call, key).await?;
                let seen = ask.administration.passkey(&ask.call, key, id).await?;
                ask.must_match(&show(seen.clone()))?;
                let renamed = ask.administration.rename_passkey(&ask.call, key, &seen, &name).await?;
                Ok(Reply::tagged(&show(renamed)))
            })
        },
    )
    .with(shape::<PasskeyChange>)
    .update()
    .refusing(&[Kind::Invalid]),
    Operation::new(
        (Method::Delete, ONE, "remove-passkey"),
        Action::SecondFactorSet,
        "Remove the own passkey",
        Good::NOTHING,
        |ask| {
            Box::pin(async move {
                let id: PasskeyId = ask.id("passkey")?;
                ask.administration.remove_passkey(&ask.call, ask.account()?, id).await?;
                Ok(Reply::nothing())
            })
        },
    ),
    Operation::new(
        (
            Method::Post,
            "/tenants/{tenant}/accounts/{account}/second-factor/passkey-challenge",
            "begin-passkey-confirmation",
        ),
        Action::SessionConfirm,
        "Ask for what the own authenticator needs to show a passkey again; it is good for five minutes, once",
        Good::told(shape::<RequestOptions>),
        |ask| {
            Box::pin(async move {
                let request = ask.administration.request_passkey(&ask.call, ask.account()?).await?;
                Ok(Reply::document(&requested(&request)))
            })
        },
    )
    .refusing(&[Kind::OtherState]),
    Operation::new(
        (
            Method::Post,
            "/tenants/{tenant}/accounts/{account}/second-factor/passkey-confirmation",
            "confirm-session-by-passkey",
        ),
        Action::SessionConfirm,
        "Show the own passkey: for five minutes the session may do what can't be made undone",
        Good::NOTHING,
        |ask| {
            Box::pin(async move {
                let PasskeyConfirmation { credential } = ask.body()?;
                let visitor = Visitor { client: "", address: Some(ask.client()) };
                let (key, shown) = (ask.account()?, credential.shown());
                ask.administration.confirm_by_passkey(&ask.call, key, &shown, visitor).await?;
                Ok(Reply::nothing())
            })
        },
    )
    .with(shape::<PasskeyConfirmation>)
    .refusing(&[Kind::WrongPasskey, Kind::OtherState]),
];
