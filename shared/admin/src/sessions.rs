//! Signing in over HTTP, and the sessions that come of it.
//!
//! There is one way in by a password: [`Directory::sign_in_for_session`], which counts, slows, locks and records as it does
//! for mail programs. What comes before a session is no operation and in no log of operations; ending sessions is.
//!
//! [`Directory::sign_in_for_session`]: pennypost_directory::Directory::sign_in_for_session

use std::net::{IpAddr, Ipv6Addr};

use pennypost_directory::{
    Attempt, NewSession, PasswordShown, PasswordState, Session, SessionId, SessionLife, SignInError,
    SignInKind, SignedInBy,
};
use pennypost_model::AccountKey;
use serde_json::json;

use crate::action::Action;
use crate::authorise::{Actor, Means, Presence};
use crate::call::{About, Call};
use crate::keys::NotAuthentic;
use crate::permission::Permissions;
use crate::{AdminError, Administration};

/// How long a confirmation holds (ADM-13).
const CONFIRMED: i64 = 5 * 60 * 1000;
/// How long somebody who signed in has just signed in.
const FRESH: i64 = 15 * 60 * 1000;
/// How long there is to set up a second factor that the tenant wants, or to change a password.
const SETTING_UP: SessionLife = SessionLife { idle: 30 * 60 * 1000, whole: 30 * 60 * 1000 };

/// Who shows what.
#[derive(Clone, Copy)]
pub struct SignIn<'a> {
    /// The address.
    pub address: &'a str,
    /// The password.
    pub password: &'a str,
    /// A code of the second factor, or a recovery code.
    pub code: Option<&'a str>,
    /// A code is to go by SMS, though there is an authenticator, too.
    pub wants_sms: bool,
    /// By what way.
    pub kind: SignInKind,
}

/// Who comes from where.
#[derive(Debug, Clone, Copy)]
pub struct Visitor<'a> {
    /// What the client says that it is.
    pub client: &'a str,
    /// Its address, where it is known.
    pub address: Option<IpAddr>,
}

impl Visitor<'_> {
    /// Whom failures are counted for: of unknown ones all together.
    pub(crate) fn counted(&self) -> IpAddr {
        self.address.unwrap_or(IpAddr::V6(Ipv6Addr::UNSPECIFIED))
    }
}

/// Why there is no session.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotSignedIn {
    /// Address, password, code or ticket.
    #[error(transparent)]
    Refused(#[from] SignInError),
    /// The password is right; a code of the second factor is needed with it.
    #[error("a code of the second factor is needed")]
    CodeNeeded,
    /// The same; one went by SMS to the number that ends so.
    #[error("a code of the second factor is needed, which went to {0}")]
    CodeSent(String),
    /// The provider of identities says that it has signed nobody in.
    #[error("the provider has signed nobody in")]
    Declined,
    /// It can't be looked up.
    #[error(transparent)]
    Failed(#[from] AdminError),
}

impl Administration {
    /// Signs in by address and password, and by a code where the account has a second factor: the session, and its text,
    /// which is never told again.
    ///
    /// # Errors
    /// [`NotSignedIn`].
    pub async fn sign_in(
        &self,
        shown: SignIn<'_>,
        visitor: Visitor<'_>,
    ) -> Result<(Session, String), NotSignedIn> {
        let from = visitor.counted();
        let program = Some(visitor.client.into());
        let attempt = Attempt { kind: shown.kind, mechanism: "password", client: from, program };
        let SignIn { address, password, code, .. } = shown;
        let found = self.directory.sign_in_for_session(&attempt, address, password, code).await?;
        let standing = match found {
            PasswordShown::Enough(standing) => standing,
            PasswordShown::NeedsCode(account) => {
                let asking = self.ask_for_code(account, shown.wants_sms, visitor);
                return Err(Box::pin(asking).await.unwrap_or_else(NotSignedIn::Failed));
            }
        };
        let by = if standing.has_factor { SignedInBy::PasswordAndCode } else { SignedInBy::Password };
        let must_change = standing.password != PasswordState::Good;
        Ok(self.let_in(standing.account.key, by, visitor, (standing.has_factor, must_change)).await?)
    }

    /// Opens a session of somebody who has shown who he is.
    pub(crate) async fn let_in(
        &self,
        account: AccountKey,
        by: SignedInBy,
        visitor: Visitor<'_>,
        (is_confirmed, must_change): (bool, bool),
    ) -> Result<(Session, String), AdminError> {
        let rules = self.rules_of(account.tenant).await?;
        let lacks_factor = match by {
            SignedInBy::Password | SignedInBy::Mobile | SignedInBy::Chosen => {
                rules.second_factor.holds_for(&self.authority(account).await?)
            }
            // Who let them in answers for it.
            SignedInBy::PasswordAndCode
            | SignedInBy::MobileAndCode
            | SignedInBy::ChosenAndCode
            | SignedInBy::Ticket
            | SignedInBy::Passkey
            | SignedInBy::Provider => false,
        };
        let life = if lacks_factor || must_change { SETTING_UP } else { rules.life() };
        let Visitor { client, address } = visitor;
        let new = NewSession { account, by, client, address, life, is_confirmed, lacks_factor, must_change };
        Ok(self.directory.keep_session(&new).await?)
    }

    /// Who it is that shows this session.
    pub(crate) async fn authenticate_session(&self, text: &str) -> Result<Actor, NotAuthentic> {
        let found = self.directory.session(text).await.map_err(AdminError::from)?;
        let (session, account) = found.ok_or(NotAuthentic::Unknown)?;
        let authority = self.authority(session.account).await?;
        let now = self.clock.now();
        let is_within =
            |time: pennypost_model::Timestamp, span: i64| (0..span).contains(&now.0.saturating_sub(time.0));
        let presence = Presence {
            session: session.id,
            is_confirmed: session.confirmed.is_some_and(|time| is_within(time, CONFIRMED)),
            is_fresh: is_within(session.created, FRESH)
                || session.confirmed.is_some_and(|time| is_within(time, FRESH)),
            lacks_factor: session.lacks_factor,
            must_change: session.must_change,
            seconds: false,
            from: session.address,
        };
        Ok(Actor::Person {
            means: Means::Session(presence),
            account: session.account,
            address: account.address.to_string(),
            authority,
            limit: Permissions::of_tenant(),
        })
    }

    /// The sessions of an account, the newest first.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn sessions(&self, call: &Call, key: AccountKey) -> Result<Vec<Session>, AdminError> {
        self.seen(call, Action::SessionRead, key).await?;
        Ok(self.directory.sessions(key).await?)
    }

    /// Ends a session of an account.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn end_session(&self, call: &Call, key: AccountKey, id: SessionId) -> Result<(), AdminError> {
        let object = key.account.to_string();
        let about = About::new(Some(key.tenant), Action::SessionEnd, &object);
        let account = self.permitted(call, &about, key).await?;
        let sessions = self.directory.sessions(key).await?;
        let session = sessions.iter().find(|session| session.id == id);
        let session = session.ok_or(AdminError::NotFound("session"))?;
        let address = account.address.to_string();
        let before = json!({ "session": id.to_string(), "client": session.client });
        let about = About { object: &address, ..about }.from(before);
        self.act(call, &about, self.directory.end_session(key, id)).await.map(drop)
    }

    /// Ends all sessions of an account, but for the one in which somebody asks for it; how many there were.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn end_sessions(&self, call: &Call, key: AccountKey) -> Result<usize, AdminError> {
        let object = key.account.to_string();
        let about = About::new(Some(key.tenant), Action::SessionEnd, &object);
        let account = self.permitted(call, &about, key).await?;
        let address = account.address.to_string();
        let about = About { object: &address, ..about }.from(json!({ "session": "all" }));
        let own = call.actor.presence().map(|presence| presence.session);
        self.act(call, &about, self.directory.end_sessions(key, own)).await
    }

    /// Ends the session in which this is asked (AUT-21). `false` if it was asked in none.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn sign_out(&self, call: &Call) -> Result<bool, AdminError> {
        match &call.actor {
            Actor::Person { means: Means::Session(presence), account, .. } => {
                Ok(self.directory.end_session(*account, presence.session).await?)
            }
            _ => Ok(false),
        }
    }
}
