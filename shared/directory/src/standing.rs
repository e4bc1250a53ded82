//! Who signs in how, and what a session stands on.

use std::net::IpAddr;
use std::sync::Arc;

use async_trait::async_trait;
use pennypost_model::{AccountId, AccountKey};
use sha2::{Digest, Sha256};

use crate::password::Credential;
use crate::token::{TokenId, TokenScope};
use crate::{Account, Capacities, ClientRules, DirectoryError};

/// What mail programs of members speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientProtocol {
    /// IMAP.
    Imap,
    /// POP3.
    Pop3,
    /// SMTP: what sends.
    Smtp,
}

impl ClientProtocol {
    /// Its name in logs and metrics, and of its scope.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            ClientProtocol::Imap => "imap",
            ClientProtocol::Pop3 => "pop3",
            ClientProtocol::Smtp => "smtp",
        }
    }
}

/// By what way somebody signs in. Stored: new ones at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub enum SignInKind {
    /// A mail program by IMAP.
    Imap,
    /// A mail program by POP3.
    Pop3,
    /// A mail program that sends.
    Smtp,
    /// A person in a browser.
    Web,
    /// A program by the API.
    Api,
    /// A person in a browser whom another program of the organisation has signed in (INT-01).
    Sso,
}

impl SignInKind {
    /// Every kind.
    pub const ALL: [SignInKind; 6] = [
        SignInKind::Imap,
        SignInKind::Pop3,
        SignInKind::Smtp,
        SignInKind::Web,
        SignInKind::Api,
        SignInKind::Sso,
    ];

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            SignInKind::Imap => "imap",
            SignInKind::Pop3 => "pop3",
            SignInKind::Smtp => "smtp",
            SignInKind::Web => "web",
            SignInKind::Api => "api",
            SignInKind::Sso => "sso",
        }
    }

    /// Is it a mail program?
    #[must_use]
    pub const fn is_client(self) -> bool {
        matches!(self, SignInKind::Imap | SignInKind::Pop3 | SignInKind::Smtp)
    }

    /// What has to be open for it.
    pub(crate) const fn protocol(self) -> Option<ClientProtocol> {
        match self {
            SignInKind::Imap => Some(ClientProtocol::Imap),
            SignInKind::Pop3 => Some(ClientProtocol::Pop3),
            SignInKind::Smtp => Some(ClientProtocol::Smtp),
            SignInKind::Web | SignInKind::Api | SignInKind::Sso => None,
        }
    }
}

impl From<ClientProtocol> for SignInKind {
    fn from(protocol: ClientProtocol) -> SignInKind {
        match protocol {
            ClientProtocol::Imap => SignInKind::Imap,
            ClientProtocol::Pop3 => SignInKind::Pop3,
            ClientProtocol::Smtp => SignInKind::Smtp,
        }
    }
}

/// From where and how somebody tries to sign in.
#[derive(Debug, Clone)]
pub struct Attempt {
    /// By what way.
    pub kind: SignInKind,
    /// SASL mechanism, the protocol's own command, or what HTTP calls it.
    pub mechanism: &'static str,
    /// From where.
    pub client: IpAddr,
    /// What the program calls itself, if it has said.
    pub program: Option<Arc<str>>,
}

impl Attempt {
    /// One of a program that has not said its name.
    #[must_use]
    pub const fn new(kind: SignInKind, mechanism: &'static str, client: IpAddr) -> Attempt {
        Attempt { kind, mechanism, client, program: None }
    }
}

/// What a session of a member stands on: the account, and what was shown at sign-in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// The account as it was when last looked at.
    pub account: Account,
    /// What held for its mail programs then.
    pub rules: ClientRules,
    /// From where it was opened.
    pub client: IpAddr,
    /// A password alone opens no mailbox of this account (AUT-08, AUT-09): whoever lets somebody in by one has to ask for
    /// more. Mail programs are not let in by one at all.
    pub is_secure: bool,
    /// There is a second factor: the password alone opens nothing (AUT-11).
    pub has_factor: bool,
    /// What is to be done about the password that was shown.
    pub password: PasswordState,
    /// Once it has expired, it opens no mail program, either.
    pub(crate) closes_expired: bool,
    /// What mailboxes may hold by the tenant's plan, if it has one.
    pub(crate) capacities: Option<Capacities>,
    /// Messages that the tenant may send in a day (PLN-11); `None`: any number.
    pub daily_messages: Option<u64>,
    /// Messages that the account may send in a day, unless something else is said of it; `None`: any number.
    pub account_daily_messages: Option<u64>,
    /// The name that the member's letters bear whatever the program says, which may be empty; `None`: what it says (ORG-27).
    pub unified_name: Option<String>,
    /// Texts of its organisation may stand in its letters: [`crate::Directory::dress`].
    pub has_footers: bool,
    /// Its organisation may have rules about what stands in its letters: [`crate::Directory::content_filter_of`].
    pub has_content_rules: bool,
    /// Who uses it, where it is a business mailbox.
    pub(crate) user: Option<Box<Account>>,
    pub(crate) basis: Basis,
}

/// Is a password that was right still to be used?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PasswordState {
    /// Yes, or none was shown.
    Good,
    /// Its life is over: another one is to be set (AUT-12).
    Expired,
    /// An administrator has set it: its owner is to set another one (AUT-06).
    MustChange,
}

/// What was shown at sign-in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Basis {
    /// The password behind the stored string with this digest.
    Password([u8; 32]),
    /// A token, and what it opens.
    Token(TokenId, TokenScope),
    /// What whoever opens sessions elsewhere has given out.
    Access(Secret),
}

/// A text that gets into no log.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Secret(pub(crate) Arc<str>);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("…")
    }
}

/// Bearer tokens that are none of the directory's: access tokens of sessions. They open what their member may use; they are
/// asked about at sign-in, and again at each look at a session that stands on one.
#[async_trait]
pub trait AccessTokens: Send + Sync {
    /// Whose token it is, if it is one and still holds.
    ///
    /// # Errors
    /// What keeps it from being known; nobody is refused for good because of it.
    async fn account_of(&self, token: &str) -> Result<Option<AccountKey>, DirectoryError>;
}

impl Standing {
    /// Bytes of messages that the member's mailbox may hold (PLN-04).
    #[must_use]
    pub fn capacity(&self) -> u64 {
        self.capacity_of(&self.account)
    }

    /// Bytes of messages that the mailbox of a colleague may hold.
    #[must_use]
    pub fn capacity_of(&self, colleague: &Account) -> u64 {
        colleague.capacity(self.capacities)
    }

    /// What is said about the user of a business mailbox holds for what he does with it, too.
    pub(crate) fn limit_to(&mut self, user: Option<&Account>) {
        if let Some(user) = user {
            self.rules = self.rules.limited_to(user);
            self.user = Some(Box::new(user.clone()));
        }
    }

    /// Who uses it, where it is a business mailbox.
    #[must_use]
    pub fn user(&self) -> Option<AccountId> {
        self.user.as_ref().map(|user| user.key.account)
    }

    /// Was it the account's password that was shown?
    #[must_use]
    pub const fn is_by_password(&self) -> bool {
        matches!(self.basis, Basis::Password(_))
    }

    /// The token that was shown, if it was one.
    #[must_use]
    pub const fn token(&self) -> Option<TokenId> {
        match self.basis {
            Basis::Token(id, _) => Some(id),
            Basis::Password(_) | Basis::Access(_) => None,
        }
    }

    /// May it be used with that protocol? What was shown has to open it, and neither tenant nor member may have
    /// closed it.
    #[must_use]
    pub fn opens(&self, protocol: ClientProtocol) -> bool {
        let is_shown = match self.basis {
            Basis::Password(_) => {
                !(self.is_secure || self.closes_expired && self.password == PasswordState::Expired)
            }
            Basis::Token(_, scope) => scope.holds(protocol),
            Basis::Access(_) => true,
        };
        is_shown && self.rules.admit(self, protocol)
    }
}

/// What tells passwords apart over time: keys that are added to one do not change it.
pub(crate) fn digest_of(credential: &Credential) -> [u8; 32] {
    Sha256::digest(credential.phc.as_bytes()).into()
}
