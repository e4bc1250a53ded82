//! Signing in by a provider of identities: the authorization code flow of OpenID Connect with PKCE.
//!
//! A request is told to the browser, which comes back with a code. What tells the request from others (`state`) is random,
//! stored as its digest for ten minutes with what only we know (nonce, verifier), and taken away by compare-and-set before
//! the code is shown: it is answered once. It is good only together with a second secret, which the browser that began
//! holds: else somebody could be led to come back with another's code, and would be signed in as that other.
//!
//! Whoever the provider says that it is passes what a password passes: rules of addresses, locks, the record (kind `sso`).
//! Three documents are fetched of a provider for each sign-in, and a fourth (UserInfo) where the address of a member decides
//! and is in none of them; all of them within twelve seconds. If the process dies in between, the browser begins again.

use std::time::Duration;

use pennypost_directory::{
    Attempt, Binding, DirectoryError, Session, SignInError, SignInKind, SignedInBy, Word,
};
use pennypost_model::codec::{Versioned, decode};
use pennypost_model::{AccountKey, TenantId, Timestamp};
use pennypost_openid::{Authorisation, Discovered, Identity, Place, Refused, email_of, verify};
use pennypost_ports::{Consistency, ControlKey, Expected, FetchError, HttpsRequest};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::action::Action;
use crate::authorise::Why;
use crate::call::{About, Call};
use crate::providers::{KeptProvider, Matching, ProviderId};
use crate::sessions::{NotSignedIn, Visitor};
use crate::{AdminError, Administration, Conflict};

/// Milliseconds for which a request waits for the browser to come back.
pub const PROVIDER_REQUEST_LIFE: i64 = 10 * 60 * 1000;
/// Where browsers come back that sign in, and that bind a member.
pub const SIGN_IN_RETURN: &str = "/sign-in/provider";
const BINDING_RETURN: &str = "/sign-in/binding";
/// Hex digits of the tenant, and of the secret.
const DIGITS: usize = 16 + 64;
/// Bytes of a code.
const MAX_CODE: usize = 4_096;
/// Bytes of an address that is given on.
const MAX_HINT: usize = 254;
/// What a provider may take for all that it is asked while somebody waits: the function ends after 20 s.
const PATIENCE: Duration = Duration::from_secs(12);
/// Old requests that are looked at for each new one.
const SWEEP: usize = 2;

/// What went wrong with a provider.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProviderError {
    /// It does not answer.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// It answers what is not believed.
    #[error(transparent)]
    Refused(#[from] Refused),
}

/// A request that a browser takes to a provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderRequest {
    /// Where the browser goes.
    pub address: String,
    /// What it has to show when it comes back. Never told again.
    pub key: String,
}

/// With what a browser comes back.
#[derive(Clone, Copy)]
pub struct ProviderReturn<'a> {
    /// Which request it was.
    pub state: &'a str,
    /// What the provider gave.
    pub code: &'a str,
    /// Who the provider says that it is, if it says it (RFC 9207).
    pub issuer: Option<&'a str>,
    /// [`ProviderRequest::key`].
    pub key: &'a str,
}

/// A binding with the name of its provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedBinding {
    /// The provider.
    pub provider: ProviderId,
    /// What members call it.
    pub name: String,
    /// The binding.
    pub binding: Binding,
}

#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Purpose {
    SignIn,
    Bind(AccountKey),
}

/// A request as stored. Has no `Debug`, so that it gets into no log.
#[derive(Serialize, Deserialize)]
struct RequestItem {
    provider: ProviderId,
    purpose: Purpose,
    nonce: String,
    verifier: String,
    key: [u8; 32],
    /// Where the browser comes back.
    redirect: String,
    until: Timestamp,
}

impl Versioned for RequestItem {
    const KIND: &'static str = "request to a provider";
}

fn random() -> String {
    rand::random::<[u8; 32]>().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn request_key(tenant: TenantId, secret: &str) -> ControlKey {
    let sort: String = Sha256::digest(secret.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
    ControlKey::new(format!("{tenant}/provider-requests"), sort)
}

fn parts(state: &str) -> Option<(TenantId, &str)> {
    let is_hex = state.len() == DIGITS && state.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    if is_hex { Some((state[..16].parse().ok()?, &state[16..])) } else { None }
}

fn failed(error: impl Into<ProviderError>) -> AdminError {
    AdminError::Provider(error.into())
}

/// What is asked of a provider, unless it takes too long.
async fn in_time<T>(asked: impl Future<Output = Result<T, AdminError>>) -> Result<T, AdminError> {
    let late = |_| failed(FetchError::Connection("it took too long".to_owned()));
    tokio::time::timeout(PATIENCE, asked).await.map_err(late)?
}

impl Administration {
    async fn provider_that_is_on(
        &self,
        tenant: TenantId,
        id: ProviderId,
    ) -> Result<KeptProvider, AdminError> {
        let providers = self.kept_providers(tenant).await?;
        let found = providers.into_iter().find(|provider| provider.id == id && provider.on);
        found.ok_or(AdminError::NotFound("provider"))
    }

    async fn discovered(&self, provider: &KeptProvider) -> Result<Discovered, AdminError> {
        let issuer = Place::issuer(&provider.issuer).map_err(failed)?;
        let path = issuer.configuration();
        let document = self.asked(&issuer.host, issuer.port, &path, None, None).await.map_err(failed)?;
        Discovered::of(&issuer, &document).map_err(failed)
    }

    async fn asked(
        &self,
        host: &str,
        port: u16,
        path: &str,
        authorization: Option<&str>,
        form: Option<&str>,
    ) -> Result<Vec<u8>, FetchError> {
        let nowhere = |_| FetchError::Connection("there is no way out of here".to_owned());
        let https = &self.outside().map_err(nowhere)?.https;
        https.ask(&HttpsRequest { host, port, path, authorization, form }).await
    }

    async fn begin_provider(
        &self,
        tenant: TenantId,
        id: ProviderId,
        (purpose, back): (Purpose, &str),
        hint: Option<&str>,
    ) -> Result<ProviderRequest, AdminError> {
        let provider = self.provider_that_is_on(tenant, id).await?;
        let pages = self.said_service().await?.web.ok_or(AdminError::Conflict(Conflict::NoPages))?;
        let discovered = in_time(self.discovered(&provider)).await?;
        let (secret, key) = (random(), random());
        let item = RequestItem {
            provider: id,
            purpose,
            nonce: random(),
            verifier: random(),
            key: Sha256::digest(key.as_bytes()).into(),
            redirect: format!("https://{pages}{back}"),
            until: self.clock.now().plus_millis(PROVIDER_REQUEST_LIFE),
        };
        let item_key = request_key(tenant, &secret);
        if !self.write(&item_key, &item, Expected::Absent).await? {
            return Err(AdminError::Changed);
        }
        self.sweep_provider_requests(&item_key).await?;
        let state = format!("{tenant}{secret}");
        let asked = Authorisation {
            client: &provider.client,
            redirect: &item.redirect,
            state: &state,
            nonce: &item.nonce,
            verifier: &item.verifier,
            hint: hint.filter(|hint| hint.len() <= MAX_HINT),
        };
        Ok(ProviderRequest { address: asked.address(&discovered), key })
    }

    async fn sweep_provider_requests(&self, made: &ControlKey) -> Result<(), AdminError> {
        let now = self.clock.now();
        let rows = self.control.query(&made.partition, "", Some(&made.sort), SWEEP).await?;
        for (sort, item) in rows {
            if decode::<RequestItem>(&item.value).map_or(true, |request| request.until <= now) {
                self.control.delete_if(&ControlKey::new(&made.partition, sort), item.version).await?;
            }
        }
        Ok(())
    }

    /// The request to which a browser comes back; it is worth nothing afterwards.
    async fn take_provider_request(
        &self,
        back: &ProviderReturn<'_>,
    ) -> Result<Option<(TenantId, RequestItem)>, AdminError> {
        let Some((tenant, secret)) = parts(back.state) else { return Ok(None) };
        let key = request_key(tenant, secret);
        let Some(found) = self.control.get(&key, Consistency::Strong).await? else { return Ok(None) };
        let item: RequestItem = decode(&found.value)?;
        let is_taken = self.control.delete_if(&key, found.version).await?;
        // Digests of 256 random bits: the time of the comparison tells nothing that could be used.
        let is_its = <[u8; 32]>::from(Sha256::digest(back.key.as_bytes())) == item.key;
        let is_code = (1..=MAX_CODE).contains(&back.code.len());
        let is_good = is_taken && is_its && is_code && item.until > self.clock.now();
        Ok(is_good.then_some((tenant, item)))
    }

    /// Who the provider says that it is; `None`: nobody, for this code.
    async fn identity(
        &self,
        (tenant, request): (TenantId, &RequestItem),
        back: &ProviderReturn<'_>,
    ) -> Result<Option<(KeptProvider, Identity)>, AdminError> {
        let provider = self.provider_that_is_on(tenant, request.provider).await?;
        let discovered = self.discovered(&provider).await?;
        let is_its = match back.issuer {
            Some(issuer) => issuer == provider.issuer,
            None => !discovered.tells_issuer,
        };
        if !is_its {
            return Ok(None);
        }
        let secret = self.provider_secret(tenant, &provider).await?;
        let asked = Authorisation {
            client: &provider.client,
            redirect: &request.redirect,
            state: back.state,
            nonce: &request.nonce,
            verifier: &request.verifier,
            hint: None,
        };
        let sent = asked.token_request(&discovered, back.code, &secret);
        let Place { host, port, path, .. } = &discovered.token;
        let answer = self.asked(host, *port, path, sent.authorization.as_deref(), Some(&sent.body)).await;
        let answer = match answer {
            Ok(answer) => answer,
            // The code is not one of its own, or was shown before (RFC 6749 section 5.2).
            Err(FetchError::Status(400)) => return Ok(None),
            Err(error) => return Err(failed(error)),
        };
        let Place { host, port, path, .. } = &discovered.keys;
        let keys = self.asked(host, *port, path, None, None).await.map_err(failed)?;
        let who = (provider.issuer.as_str(), provider.client.as_str());
        let mut identity = verify(&answer, &keys, who, &request.nonce).map_err(failed)?;
        let more = identity.access.take().zip(discovered.user.as_ref());
        if let Some((access, Place { host, port, path, .. })) = more
            && provider.matching == Matching::Email
        {
            let shown = format!("Bearer {access}");
            let told = self.asked(host, *port, path, Some(&shown), None).await.map_err(failed)?;
            identity.email = email_of(&told, &identity.subject).map_err(failed)?;
        }
        Ok(Some((provider, identity)))
    }

    /// The providers by which members of the domain of an address sign in: number of the tenant, number and name.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn sign_in_providers(
        &self,
        address: &str,
    ) -> Result<Vec<(TenantId, ProviderId, String)>, AdminError> {
        let Some(tenant) = self.directory.tenant_of_address(address).await? else { return Ok(Vec::new()) };
        let providers = self.kept_providers(tenant).await?;
        let on = providers.into_iter().filter(|provider| provider.on);
        Ok(on.map(|provider| (tenant, provider.id, provider.name().to_owned())).collect())
    }

    /// Sends a browser to a provider, to sign somebody in.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn begin_sign_in_by_provider(
        &self,
        tenant: TenantId,
        id: ProviderId,
        hint: Option<&str>,
    ) -> Result<ProviderRequest, AdminError> {
        self.begin_provider(tenant, id, (Purpose::SignIn, SIGN_IN_RETURN), hint).await
    }

    /// Signs in whom a provider says that somebody is: the session, and its text, which is never told again.
    ///
    /// # Errors
    /// [`NotSignedIn`].
    pub async fn sign_in_by_provider(
        &self,
        back: &ProviderReturn<'_>,
        visitor: Visitor<'_>,
    ) -> Result<(Session, String), NotSignedIn> {
        let program = Some(visitor.client.into());
        let (kind, mechanism, client) = (SignInKind::Sso, "provider", visitor.counted());
        let attempt = Attempt { kind, mechanism, client, program };
        let mut word = Word::default();
        let mut email = None;
        if let Some((tenant, request)) = self.take_provider_request(back).await?
            && request.purpose == Purpose::SignIn
        {
            // Whose provider it is has the attempt in its record, whatever comes of it.
            word.tenant = Some(tenant);
            if let Some((provider, identity)) = in_time(self.identity((tenant, &request), back)).await? {
                word.account = self.matched(tenant, &provider, &identity).await?;
                email = identity.email;
            }
        }
        word.login = email.as_deref().unwrap_or_default();
        let account = self.directory.sign_in_by_word(&attempt, &word).await?;
        Ok(self.let_in(account.key, SignedInBy::Provider, visitor, (false, false)).await?)
    }

    /// A browser comes back without a code, since the provider has signed nobody in: the request is over. Nobody has guessed
    /// anything, so it counts for nothing.
    #[pennypost_ports::compiled_here]
    pub async fn decline_provider_sign_in(&self, state: &str, key: &str) -> NotSignedIn {
        let back = ProviderReturn { state, code: "", issuer: None, key };
        match self.take_provider_request(&back).await {
            Ok(_) => NotSignedIn::Declined,
            Err(error) => error.into(),
        }
    }

    /// Which member somebody is.
    async fn matched(
        &self,
        tenant: TenantId,
        provider: &KeptProvider,
        identity: &Identity,
    ) -> Result<Option<AccountKey>, AdminError> {
        let bound = self.directory.bound(tenant, provider.id.0, &identity.subject).await?;
        if bound.is_some() || provider.matching == Matching::Bound {
            return Ok(bound);
        }
        let Some(email) = &identity.email else { return Ok(None) };
        let found = match self.directory.account_at(email).await {
            Ok(found) => found.map(|account| account.key).filter(|key| key.tenant == tenant),
            // What is no address here is nobody's.
            Err(DirectoryError::Address(_)) => None,
            Err(error) => return Err(error.into()),
        };
        let Some(key) = found else { return Ok(None) };
        // Who is bound is one person there, and who has cut that is nobody until he binds himself again.
        Ok(self.directory.is_found_by_address(key, provider.id.0).await?.then_some(key))
    }

    /// Sends the browser of a member to a provider, to bind him to who he is there.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn begin_binding(
        &self,
        call: &Call,
        key: AccountKey,
        id: ProviderId,
    ) -> Result<ProviderRequest, AdminError> {
        let object = key.account.to_string();
        let about = About::new(Some(key.tenant), Action::BindingAdd, &object);
        self.permitted_owner(call, &about, key).await?;
        self.begin_provider(key.tenant, id, (Purpose::Bind(key), BINDING_RETURN), None).await
    }

    /// Binds a member to who he is at a provider, in the place of an earlier binding with it.
    ///
    /// # Errors
    /// [`AdminError`].
    pub async fn finish_binding(
        &self,
        call: &Call,
        key: AccountKey,
        back: &ProviderReturn<'_>,
    ) -> Result<NamedBinding, AdminError> {
        let object = key.account.to_string();
        let about = About::new(Some(key.tenant), Action::BindingAdd, &object);
        let (address, presence) = self.permitted_owner(call, &about, key).await?;
        let denied = || AdminError::Code(SignInError::Denied);
        let taken = self.take_provider_request(back).await?;
        let (tenant, request) =
            taken.filter(|(_, request)| request.purpose == Purpose::Bind(key)).ok_or_else(denied)?;
        let identity = in_time(self.identity((tenant, &request), back)).await?;
        let (provider, Identity { subject, email, .. }) = identity.ok_or_else(denied)?;
        // It may have been ended while the provider was asked.
        if !self.directory.has_session(key, presence.session).await? {
            return Err(AdminError::NotFound("session"));
        }
        let after = json!({ "provider": provider.issuer, "subject": subject });
        let binding = Binding { provider: provider.id.0, subject, email, since: self.clock.now() };
        let about = About { object: &address, ..about }.to(after);
        let binding_it = async {
            let is_bound = self.directory.bind(key, &binding).await?;
            if is_bound { Ok(()) } else { Err(AdminError::Conflict(Conflict::BoundElsewhere)) }
        };
        self.act(call, &about, binding_it).await?;
        Ok(NamedBinding { provider: provider.id, name: provider.name().to_owned(), binding })
    }

    /// The bindings of an account with providers that there are.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn bindings(&self, call: &Call, key: AccountKey) -> Result<Vec<NamedBinding>, AdminError> {
        self.seen(call, Action::BindingRead, key).await?;
        let providers = self.kept_providers(key.tenant).await?;
        let named = |binding: Binding| {
            let provider = providers.iter().find(|provider| provider.id.0 == binding.provider)?;
            Some(NamedBinding { provider: provider.id, name: provider.name().to_owned(), binding })
        };
        Ok(self.directory.bindings(key).await?.into_iter().filter_map(named).collect())
    }

    /// Cuts a binding of an account: its owner, who has shown who he is, or an administrator.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn cut_binding(&self, call: &Call, key: AccountKey, id: ProviderId) -> Result<(), AdminError> {
        let object = key.account.to_string();
        let about = About::new(Some(key.tenant), Action::BindingCut, &object);
        let account = self.permitted(call, &about, key).await?;
        let address = account.address.to_string();
        let about = About { object: &address, ..about }.from(json!({ "provider": id.to_string() }));
        if call.actor.presence().is_some_and(|presence| !presence.is_fresh && !presence.is_confirmed) {
            self.note_denied(call, &about, Why::Unconfirmed).await?;
            return Err(AdminError::Denied(Why::Unconfirmed));
        }
        let own = call.actor.presence().map(|presence| presence.session);
        let cutting = async {
            if !self.directory.cut_binding(key, id.0).await? {
                return Err(AdminError::NotFound("binding"));
            }
            // What it has opened ends with it.
            self.directory.end_sessions(key, own).await?;
            Ok(())
        };
        self.act(call, &about, cutting).await
    }
}
