//! Providers of identities: what administrators say of them, signing in by one, and bindings of members with them (AUT-01,
//! AUT-19).

use pennypost_admin::{
    Action, Matching, NamedBinding, PROVIDER_REQUEST_LIFE, ProviderId, ProviderRequest, ProviderReturn,
};
use pennypost_directory::Listed;
use pennypost_model::TenantId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::page_of;
use super::sessions::{Opened, opened};
use crate::rest::ask::{document_in, id_in, rows};
use crate::rest::cookie;
use crate::rest::doors::{Door, Knock, Opening};
use crate::rest::operation::{Good, Method, Operation, shape};
use crate::rest::problem::Kind;
use crate::rest::reply::Reply;

/// A provider of identities.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Provider {
    /// 16 hex digits.
    id: String,
    /// What members call it.
    name: String,
    /// Who it is. Another issuer is another provider.
    issuer: String,
    /// As whom this post office is known to it.
    client_id: String,
    /// `bound`: members who have bound themselves to it; `email`: these, and whose address it says that it has verified.
    matching: &'static str,
    /// It lets anybody in at all.
    on: bool,
    /// Since when it is known here.
    created: String,
}

page_of!(Providers, Provider);

/// Whom a provider lets in.
#[derive(Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum Match {
    /// Members who have bound themselves to it.
    Bound,
    /// These, and whose address it says that it has verified.
    Email,
}

impl From<Match> for Matching {
    fn from(matching: Match) -> Matching {
        match matching {
            Match::Bound => Matching::Bound,
            Match::Email => Matching::Email,
        }
    }
}

/// A provider to be added.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewProvider {
    /// What members call it: 1 to 100 characters.
    name: String,
    /// `https://HOST`, with a path or none, as it stands in its ID tokens.
    issuer: String,
    /// As whom this post office is known to it.
    client_id: String,
    /// What shows it that it is this post office. Never told.
    client_secret: String,
    /// Whom it lets in.
    matching: Match,
}

/// What a provider is to be from now on.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ProviderUpdate {
    /// What members call it: 1 to 100 characters.
    name: String,
    /// As whom this post office is known to it.
    client_id: String,
    /// Another secret; null: as before.
    client_secret: Option<String>,
    /// Whom it lets in.
    matching: Match,
    /// It lets anybody in at all.
    on: bool,
}

/// A binding with a provider.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Binding {
    /// The id of the provider.
    provider: String,
    /// What members call it.
    name: String,
    /// What the provider calls the member.
    subject: String,
    /// The address of which the provider said that it was the member's, if it said so.
    email: Option<String>,
    /// Since when.
    since: String,
}

page_of!(Bindings, Binding);

/// Where a browser has to go.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Sent {
    /// The address, at the provider.
    url: String,
    /// What has to be shown with what the browser brings back, within ten minutes. Null if it was set as a cookie.
    key: Option<String>,
}

/// Who wants to know how to sign in.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct WaysWish {
    /// An address; of which only the domain matters.
    address: String,
}

/// How members of a domain sign in.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Ways {
    /// Providers; for a domain that is nobody's here, none.
    providers: Vec<Way>,
    /// By a mobile number and a code that goes there: whether this post office sends text messages.
    mobile: bool,
}

/// A provider by which one may sign in.
#[derive(Serialize, JsonSchema)]
struct Way {
    tenant: String,
    provider: String,
    /// What members call it.
    name: String,
}

/// Who wants to sign in, and by which provider.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ProviderWish {
    /// The id of the tenant.
    tenant: String,
    /// The id of the provider.
    provider: String,
    /// The address, which is given on to the provider; none: it asks.
    address: Option<String>,
    /// For browsers: what has to be shown afterwards is set as a cookie, and the browser comes back to a page of this post
    /// office that signs it in. Needs the header `Pennypost-Page: 1`.
    #[serde(default)]
    cookie: bool,
}

/// With what a browser has come back from a provider.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct BroughtBack {
    /// `state`.
    state: String,
    /// `code`.
    code: String,
    /// `iss`, if it was there.
    iss: Option<String>,
    /// The key of the request.
    key: String,
}

impl BroughtBack {
    fn shown(&self) -> ProviderReturn<'_> {
        let BroughtBack { state, code, iss, key } = self;
        ProviderReturn { state, code, issuer: iss.as_deref(), key }
    }
}

fn show(provider: pennypost_admin::Provider) -> Provider {
    Provider {
        id: provider.id.to_string(),
        name: provider.name,
        issuer: provider.issuer,
        client_id: provider.client,
        matching: provider.matching.name(),
        on: provider.on,
        created: provider.created.rfc3339(),
    }
}

fn show_binding(named: NamedBinding) -> Binding {
    Binding {
        provider: named.provider.to_string(),
        name: named.name,
        subject: named.binding.subject,
        email: named.binding.email,
        since: named.binding.since.rfc3339(),
    }
}

fn sent(request: ProviderRequest) -> Sent {
    Sent { url: request.address, key: Some(request.key) }
}

pub(crate) const WAYS: Door = Door {
    name: "list-sign-in-ways",
    path: "/sign-in-ways",
    summary: "By what members of the domain of an address may sign in beside a password",
    body: shape::<WaysWish>,
    good: Good::told(shape::<Ways>),
    problems: &[],
    handler: ways,
};

fn ways<'a>(knock: &'a Knock<'a>) -> Opening<'a> {
    Box::pin(async move {
        let WaysWish { address } = document_in(&knock.body)?;
        knock.must_not_hurry_to_sign_in()?;
        let found = knock.rest.administration.sign_in_providers(&address).await?;
        let way = |(tenant, provider, name): (TenantId, ProviderId, String)| Way {
            tenant: tenant.to_string(),
            provider: provider.to_string(),
            name,
        };
        let mobile = knock.rest.administration.sends_sms();
        Ok(Reply::document(&Ways { providers: found.into_iter().map(way).collect(), mobile }))
    })
}

pub(crate) const ASK: Door = Door {
    name: "begin-provider-sign-in",
    path: "/provider-requests",
    summary: "Ask where a browser has to go to sign in by a provider",
    body: shape::<ProviderWish>,
    good: Good::told(shape::<Sent>),
    problems: &[Kind::NotFound, Kind::OtherState, Kind::ProviderFailed, Kind::Invalid],
    handler: begin,
};

fn begin<'a>(knock: &'a Knock<'a>) -> Opening<'a> {
    Box::pin(async move {
        let ProviderWish { tenant, provider, address, cookie } = document_in(&knock.body)?;
        if cookie {
            knock.must_be_own_page()?;
        }
        knock.must_not_hurry_to_sign_in()?;
        let (tenant, provider) = (id_in(&tenant, "/tenant")?, id_in(&provider, "/provider")?);
        let administration = &knock.rest.administration;
        let request = administration.begin_sign_in_by_provider(tenant, provider, address.as_deref());
        let request = request.await?;
        if !cookie {
            return Ok(Reply::document(&sent(request)));
        }
        let set = cookie::set_provider(&request.key, PROVIDER_REQUEST_LIFE / 1000);
        Ok(Reply::document(&Sent { url: request.address, key: None }).with_cookie(set))
    })
}

pub(crate) const SIGN_IN: Door = Door {
    name: "sign-in-by-provider",
    path: "/provider-sessions",
    summary: "Sign in with what a browser has brought back from a provider",
    body: shape::<BroughtBack>,
    good: Good::made(shape::<Opened>),
    problems: &[Kind::SignInRefused, Kind::Elsewhere, Kind::ProviderFailed, Kind::NotFound],
    handler: sign_in,
};

fn sign_in<'a>(knock: &'a Knock<'a>) -> Opening<'a> {
    Box::pin(async move {
        let back: BroughtBack = document_in(&knock.body)?;
        let shown = back.shown();
        let signed_in = knock.rest.administration.sign_in_by_provider(&shown, knock.visitor());
        let (session, text) = signed_in.await?;
        Ok(opened(session, &text, false, knock.site()))
    })
}

const LIST: &str = "/tenants/{tenant}/providers";
const ONE: &str = "/tenants/{tenant}/providers/{provider}";
const BINDINGS: &str = "/tenants/{tenant}/accounts/{account}/bindings";

pub(super) const OPERATIONS: &[Operation] = &[
    Operation::new(
        (Method::Get, LIST, "list-providers"),
        Action::ProviderRead,
        "List the providers of identities by which members sign in",
        Good::list(shape::<Providers>),
        |ask| {
            Box::pin(async move {
                let items = ask.administration.providers(&ask.call, ask.tenant()?).await?;
                Ok(Reply::document(&rows(Listed { items, next: None }, show)))
            })
        },
    ),
    Operation::new(
        (Method::Get, ONE, "read-provider"),
        Action::ProviderRead,
        "Look at a provider",
        Good::one(shape::<Provider>),
        |ask| {
            Box::pin(async move {
                let id: ProviderId = ask.id("provider")?;
                let found = ask.administration.provider(&ask.call, ask.tenant()?, id).await?;
                Ok(Reply::tagged(&show(found)))
            })
        },
    ),
    Operation::new(
        (Method::Post, LIST, "add-provider"),
        Action::ProviderChange,
        "Add a provider of identities, 10 at most; in a session it is confirmed first",
        Good::made(shape::<Provider>),
        |ask| {
            Box::pin(async move {
                let NewProvider { name, issuer, client_id, client_secret, matching } = ask.body()?;
                let tenant = ask.tenant()?;
                let new = pennypost_admin::NewProvider {
                    name,
                    issuer,
                    client: client_id,
                    secret: client_secret,
                    matching: matching.into(),
                };
                let added = ask.administration.add_provider(&ask.call, tenant, &new).await?;
                let location = format!("/api/v1/tenants/{tenant}/providers/{}", added.id);
                Ok(Reply::made(&show(added), location))
            })
        },
    )
    .with(shape::<NewProvider>)
    .refusing(&[Kind::Invalid]),
    Operation::new(
        (Method::Put, ONE, "change-provider"),
        Action::ProviderChange,
        "Change a provider; in a session it is confirmed first",
        Good::one(shape::<Provider>),
        |ask| {
            Box::pin(async move {
                let ProviderUpdate { name, client_id, client_secret, matching, on } = ask.body()?;
                let (tenant, id): (_, ProviderId) = (ask.tenant()?, ask.id("provider")?);
                let seen = ask.administration.provider(&ask.call, tenant, id).await?;
                ask.must_match(&show(seen.clone()))?;
                let change = pennypost_admin::ProviderChange {
                    name,
                    client: client_id,
                    secret: client_secret,
                    matching: matching.into(),
                    on,
                };
                let changed = ask.administration.change_provider(&ask.call, tenant, &seen, &change).await?;
                Ok(Reply::tagged(&show(changed)))
            })
        },
    )
    .with(shape::<ProviderUpdate>)
    .update()
    .refusing(&[Kind::Invalid]),
    Operation::new(
        (Method::Delete, ONE, "remove-provider"),
        Action::ProviderChange,
        "Remove a provider, which lets nobody in any more; in a session it is confirmed first",
        Good::NOTHING,
        |ask| {
            Box::pin(async move {
                let id: ProviderId = ask.id("provider")?;
                ask.administration.remove_provider(&ask.call, ask.tenant()?, id).await?;
                Ok(Reply::nothing())
            })
        },
    ),
    Operation::new(
        (Method::Get, BINDINGS, "list-bindings"),
        Action::BindingRead,
        "List the bindings of an account with providers",
        Good::list(shape::<Bindings>),
        |ask| {
            Box::pin(async move {
                let items = ask.administration.bindings(&ask.call, ask.account()?).await?;
                Ok(Reply::document(&rows(Listed { items, next: None }, show_binding)))
            })
        },
    ),
    Operation::new(
        (Method::Post, "/tenants/{tenant}/accounts/{account}/bindings/{provider}/request", "begin-binding"),
        Action::BindingAdd,
        "Ask where the own browser has to go to bind oneself to who one is at a provider",
        Good::told(shape::<Sent>),
        |ask| {
            Box::pin(async move {
                let (key, id): (_, ProviderId) = (ask.account()?, ask.id("provider")?);
                Ok(Reply::document(&sent(ask.administration.begin_binding(&ask.call, key, id).await?)))
            })
        },
    )
    .refusing(&[Kind::ProviderFailed]),
    Operation::new(
        (Method::Post, BINDINGS, "add-binding"),
        Action::BindingAdd,
        "Bind oneself with what the browser has brought back from a provider",
        Good::made(shape::<Binding>),
        |ask| {
            Box::pin(async move {
                let (back, key): (BroughtBack, _) = (ask.body()?, ask.account()?);
                let bound = ask.administration.finish_binding(&ask.call, key, &back.shown()).await?;
                let location = format!(
                    "/api/v1/tenants/{}/accounts/{}/bindings/{}",
                    key.tenant, key.account, bound.provider
                );
                Ok(Reply::made(&show_binding(bound), location))
            })
        },
    )
    .with(shape::<BroughtBack>)
    .refusing(&[Kind::WrongCode, Kind::ProviderFailed, Kind::Taken]),
    Operation::new(
        (Method::Delete, "/tenants/{tenant}/accounts/{account}/bindings/{provider}", "cut-binding"),
        Action::BindingCut,
        "Cut a binding of an account",
        Good::NOTHING,
        |ask| {
            Box::pin(async move {
                let (key, id): (_, ProviderId) = (ask.account()?, ask.id("provider")?);
                ask.administration.cut_binding(&ask.call, key, id).await?;
                Ok(Reply::nothing())
            })
        },
    ),
];
