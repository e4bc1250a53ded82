//! Tenants, domains, accounts, aliases, groups and credentials in the control port.
//!
//! Items (all through [`pennypost_model::codec`]); `T` is the tenant's id, `A` an account's:
//!
//! | partition | sort | holds |
//! | --- | --- | --- |
//! | `tenants` | folded name | id of the tenant: makes names unique and lists tenants |
//! | `domain/NAME` | `owner` | id of the tenant: the one map from outside into a tenant |
//! | `T` | `tenant` | [`Tenant`], with its [`Plan`] |
//! | `T` | `names` | the form of the names that members' letters bear (`names`) |
//! | `T` | `policy` | [`pennypost_policy::TenantPolicy`] |
//! | `T` | `members-with-rules` | who may have rules of what they receive (`member_rules`) |
//! | `T/rules` | `A` | what a member has said of what he receives: [`MemberRules`] |
//! | `T/undo-windows` | `A` | for how long a member's letters wait, so that he can take them back: [`UndoWindow`] |
//! | `T` | `read-status` | whether members see who has read what they sent: [`ReadStatus`] |
//! | `T` | `forwarding` | who may forward by itself (`forwarding`) |
//! | `T` | `forward-key` | what reverse-paths of forwarded letters are marked by (`forward_path`) |
//! | `T/forward-targets` | `A` | addresses elsewhere whose owners take what is forwarded (`forwarding`) |
//! | `T/answered` | `A` | whom an account has answered of late (`forwarding`) |
//! | `T` | `domain/NAME` | [`Domain`] |
//! | `T/accounts` | `A` | [`Account`] |
//! | `T/credentials` | `A` | argon2id PHC string and SCRAM keys; never logged, never listed |
//! | `T/tokens` | `A/ID` | a [`Token`] and the hash of its secret |
//! | `T/addresses` | `DOMAIN/LOCAL` | what the address is: account, alias, group, an account being added, or free again |
//! | `T/sessions` | `A/ID` | a [`Session`] and the hash of its secret |
//! | `T/session-beginnings` | `A` | when and from where its last sessions began (`session_before`) |
//! | `T/second-factors` | `A` | the secret of an authenticator, hashes of recovery codes (`second_factor`) |
//! | `T/passkeys` | `A` | the passkeys of an account (`passkey`) |
//! | `T/passkey-challenges` | digest | what is asked of a passkey in a session |
//! | `T/recovery`, `T/password-recoveries` | `A`, digest | where a member is reached who has forgotten the password (`recovery`) |
//! | `T/mobile-numbers`, `T/mobiles`, `T/sms` | number, `A`, number, `aA`, `iA`, `wA`, `day` or `letters` | proved mobile numbers, and what went there (`mobile`) |
//! | `T/provider-bindings`, `T/provider-subjects` | `A/PROVIDER`, `PROVIDER/digest` | who of a provider is which member (`binding`) |
//! | `T/provider-cuts` | `A/PROVIDER` | whose binding was cut is not found by address (`binding`) |
//! | `T/departments`, `T/members`, `T/names`, `T/intents`, `T/tags` | | the organisation (`organisation`) |
//! | `T/aliases` | `A/DOMAIN/LOCAL` | the address may be an alias of the account (`alias`) |
//! | `T/groups` | `DOMAIN/LOCAL` | rules of a group beyond its members (`group_rules`) |
//! | `T/friends` | a part of the address's digest | an address elsewhere that was invited, and how it stands (`friends`) |
//! | `T/readdressed` | `DOMAIN/LOCAL` | the address that a group had before (`group_address`) |
//! | `T/provisioned` | | what programs that provision accounts call them (`provisioned`) |
//! | `T/bin` | `A` | the account may be in the recycle bin (`life`) |
//! | `T/mailbox-users`, `T/mailboxes-used`, `T/user-tokens` | | who uses business mailboxes (`business`) |
//! | `T`, `T/invitations`, `T/applications`, `T/member-invitations` | `joining` | who joins by invitation (`joining`) |
//! | `T/secretaries`, `T/secretary-of` | | secretaries of members (`secretary`) |
//! | `T/vip` | `A` | the account may have a VIP seat (`vip`) |
//! | `T` | `sent-today` | messages sent today, where a plan says how many there may be (`allowance`) |
//! | `T/sent-today` | account | the same of an account, what is said of its allowance alone, and what it sent outside (`allowance`) |
//! | `T` | `scan-policy` | what is done with what scanners find (`scan_policy`) |
//! | `T` | `report-addresses` | where reports of others about the organisation's mail come in (`report_addresses`) |
//! | `T` | `suppressed` | digests of the addresses to which no mailings go; `T/suppressed` has the addresses (`suppressed`) |
//! | `T`, `T/card-choices` | `footers`, `A` | texts that stand in members' letters, and the cards that members have chosen (`footers`) |
//! | `T` | `content-rules` | which letters go by what stands in them (`content_rules`) |
//! | `T` | `sending-rules` | who sends nothing outside, and how often others may (`sending_rules`) |
//! | `T` | `seats` | what is taken of the seats, once the tenant has a plan (`seats`) |
//! | `T/shares` | whom, owner | who shares mailboxes with whom (`sharing`): an index |
//! | `T/sign-in` | account and place, or digest of a login | failed sign-ins (`throttle`) |
//! | `T/locks` | account and place | what the list of locked accounts tells (`locks`) |
//! | `T`, `T/sign-in-accounts` | `sign-in-rules`, `A` | rules of signing in (`sign_in_rules`) |
//! | `T/quarantine-digests` | `A` | whether it is told what is kept from it, and of what came up to when it was (`quarantine_digest`) |
//! | `T/password-reminders` | `A` | of which end of a password its owner was told (`password_reminder`) |
//! | `T/token-uses` | `A/ID` | the last use of a token |
//! | `sign-in/clients` | network | failed sign-ins from there |
//! | `sign-in/passkey-challenges` | digest | what is asked of a passkey by which somebody signs in |
//! | `sign-in` | `salts` | what the salts of logins without SCRAM keys are made of |
//!
//! Invariants:
//! - An address is one item, put only if absent: of two racing adds one wins.
//! - Mail and sign-in reach an account only through its address item. That item becomes an account's by
//!   compare-and-set as the last step of adding it, so half an account gets no mail, lets nobody in and is in
//!   no list; adding it again takes the abandoned claim over and clears what lay there.
//! - A name in the registries (`tenants`, `domain/…`) comes first and the tenant's own item second; repeating
//!   the call completes it. Until then the name leads to nothing.
//! - Accounts, aliases and groups lead only to accounts of their own tenant.
//! - A password is stored as argon2id and SCRAM keys only, a token as its hash; neither is ever logged. What
//!   is kept in memory is a keyed hash.
//!
//! If the process dies at any line: what was answered is durable, what was not can be repeated.

mod account;
mod address;
mod alias;
mod allowance;
mod amend;
mod binding;
mod business;
mod choosing;
mod clients;
mod colleagues;
mod content_looking;
mod content_rules;
mod domain;
mod domain_life;
mod ending;
mod erased;
mod error;
mod factor_item;
mod footers;
mod forward_path;
mod forwarding;
mod fresh_password;
mod friends;
mod group;
mod group_address;
mod group_rules;
mod joining;
mod life;
mod limits;
mod locks;
mod member_rules;
mod mobile;
mod names;
mod networks;
mod new_password;
mod organisation;
mod own_address;
mod passkey;
mod passkey_sign_in;
mod password;
mod password_reminder;
mod password_rules;
mod plan;
mod policy;
mod provisioned;
mod quarantine_digest;
mod read_status;
mod recovery;
mod report_addresses;
mod resolve;
mod scan_policy;
mod scram;
mod seats;
mod second_factor;
mod secretary;
mod sending_rules;
mod session;
mod session_before;
mod session_sign_in;
mod sharing;
mod sign_in;
mod sign_in_log;
mod sign_in_memory;
mod sign_in_rules;
mod standing;
mod store;
mod suppressed;
mod tenant;
mod throttle;
mod token;
mod undo;
mod vip;
mod voice;

use std::sync::Arc;

use pennypost_model::Timestamp;
use pennypost_ports::{Clock, Control, Ids, Secrets};

pub use account::{
    Account, AccountKind, AccountState, BUSINESS_QUOTA, BinCause, Binned, DEFAULT_QUOTA, NewAccount,
    check_display_name, owner_name,
};
pub use address::is_suitable_prefix;
pub use alias::{Alias, MAX_ALIAS_TARGETS, MAX_ALIASES, MAX_BUSINESS_ALIASES, Target};
pub use allowance::{AccountAllowance, MemberLimits, OutsideUse, Tally};
pub use binding::{Binding, MAX_PROVIDERS};
pub use business::{MAX_MAILBOX_USERS, MAX_USER_TOKENS, MAX_USERS_TOKENS, MailboxUsers};
pub use choosing::MAX_CHOICES;
pub use clients::{ClientRange, ClientRules, ClientSettings, ProtocolRules, ProtocolSettings};
pub use content_looking::look_into;
pub use content_rules::{
    ContentError, ContentRuleOf, ContentRules, ContentWhom, MAX_CONTENT_LOOKED, MAX_CONTENT_TARGETS,
    content_letter,
};
pub use domain::{CatchAll, Domain, DomainHealth, DomainState};
pub use domain_life::{DomainContents, MAX_DOMAINS};
pub use erased::{ERASED_KEPT, Erased};
pub use error::{DirectoryError, Kind};
pub use footers::{
    Card, CardChoice, CardNews, Dress, DressPiece, Footer, FooterError, FooterFault, FooterProblem,
    FooterRules, MAX_CARDS, MAX_FOOTER_DEPARTMENTS, MAX_FOOTER_HTML, MAX_FOOTER_LINES, MAX_FOOTER_NAME,
    MAX_FOOTER_TEXT, MAX_FOOTERS, MarkupProblem, OwnCards, PLACEHOLDERS, Said as SaidOfFooters, Wording,
};
pub use forward_path::ForwardKey;
pub use forwarding::{
    ANSWERED, Answering, FORWARD_CODE_MINUTES, ForwardTargets, ForwardingRules, MAX_ANSWERED, MAX_FORWARDING,
    MAX_PROVED,
};
pub use friends::{
    FRIEND_INVITATION_LIFE, Friend, FriendStanding, Reach, Reached, ReportOf, is_of_dead_address, list_id,
    list_post,
};
pub use group::{Group, MAX_GROUP_DEPTH, MAX_MEMBERS, MAX_OUTSIDE, Member};
pub use group_rules::{Admission, GroupRules, MAX_GROUP_RULES, Senders, address_letters};
pub use joining::{
    Application, ApplicationState, Applied, Invitation, InvitationEnd, InvitationId, Joining, JoiningRules,
    MAX_INVITATION_LIFE, MAX_INVITATION_USES, MAX_INVITATIONS, MemberInvitation, NewApplication,
    NewInvitation,
};
pub use life::NewOwner;
pub use limits::{Block, Blockable, MailPermission, MailReach};
pub use locks::Lock;
pub use member_rules::{SaidRules, WithRules};
pub use mobile::{MOBILE_CODE_MINUTES, Mobile, MobileNumber, MobilePurpose, SmsAsker};
pub use names::{BadNameForm, MAX_NAME_FORM, NameForm};
pub use networks::{AddressRule, MAX_NETWORKS, Network, NetworkError, Verdict};
pub use new_password::{ChangePasswordError, PasswordAge};
pub use organisation::{
    Department, DepartmentChange, DepartmentId, DepartmentPage, DepartmentTree, EnsuredDepartments,
    MAX_DEPARTMENT_LEVELS, MAX_DEPARTMENT_NAME, MAX_DEPARTMENTS, MAX_DEPARTMENTS_OF_ACCOUNT, MAX_DESCRIPTION,
    MAX_FOUND, MAX_TAGGED, MAX_TAGS, NewDepartment, Person, Place, Profile, ProfileField, Tag, TagChange,
    TagId, is_found_by,
};
pub use passkey::{
    AddedPasskey, CHALLENGE_LIFE, MAX_PASSKEYS, Passkey, PasskeyId, PasskeyPurpose, ShownPasskey, user_handle,
};
pub use password::{MAX_PASSWORD, MIN_PASSWORD};
pub use password_rules::{Broken, PasswordRules, Weakness};
pub use pennypost_policy::{
    AddressError, DomainName, MailAddress, MemberRules, Personal, PolicyError, SenderPattern, TenantPolicy,
    content, rules,
};
pub use plan::{
    Capacities, Function, LONG_LOG_DAYS, Limits, NoFunction, Payment, Plan, Untried, Verification,
};
pub use provisioned::{Provided, ProvidedKind, Provisioned};
pub use quarantine_digest::{DigestWish, QuarantineTold};
pub use read_status::ReadStatus;
pub use recovery::{
    RECOVERY_CODE_MINUTES, RECOVERY_MINUTES, Recovery, RecoveryAddress, RecoveryLetter, RecoveryPlace,
};
pub use report_addresses::{MAX_REPORT_ADDRESSES, ReportAddresses};
pub use resolve::{Elsewhere, MAX_RECIPIENTS, Resolved};
pub use seats::{NoSeat, SeatUse};
pub use second_factor::{CodeKind, NewAuthenticator, RECOVERY_CODES, SecondFactor};
pub use secretary::{
    MAX_APPLICATIONS, MAX_SECRETARIES, Secretary, SecretaryApplication, SecretaryGrant, SecretaryScope,
    SecretaryTerm,
};
pub use sending_rules::{
    BadFrequency, Frequency, MAX_SENDING_RULES, MAX_SENDING_TAGS, Outward, SendingRules, SendingTarget,
};
pub use session::{MAX_SESSIONS, NewSession, Session, SessionId, SessionLife, SignedInBy};
pub use session_before::SessionBeginning;
pub use session_sign_in::{PasswordShown, Word};
pub use sharing::MAX_SHARERS;
pub use sign_in::{ScramExchange, SignInError};
pub use sign_in_log::{Outcomes, SignInLog, SignInOutcome, SignInQuery, SignInRecord};
pub use sign_in_rules::{AccountRules, Exempt, LockRules, MAX_EXEMPT, SignInRules, SignInRulesError};
pub use standing::{AccessTokens, Attempt, ClientProtocol, PasswordState, SignInKind, Standing};
pub use store::{Listed, MAX_PAGE, Page, fold_name};
pub use suppressed::{MAX_SUPPRESSED, Suppressed, SuppressedBy};
pub use tenant::{Tenant, TenantState, organisation_name};
pub use token::{MAX_TOKENS, Token, TokenId, TokenScope, TokenUse};
pub use undo::UndoWindow;
pub use voice::Voice;

/// The directory of the post office. Cheap to clone; clones share the memory of sign-ins.
#[derive(Clone)]
pub struct Directory {
    control: Arc<dyn Control>,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn Ids>,
    sign_ins: Arc<sign_in_memory::SignIns>,
    log: Option<Arc<SignInLog>>,
    access_tokens: Option<Arc<dyn AccessTokens>>,
    oldest: Arc<resolve::OldestAccounts>,
    desks: Arc<seats::Desks>,
    /// What seals secrets of second factors.
    secrets: Option<Arc<dyn Secrets>>,
    turns: Arc<allowance::Turns>,
}

impl Directory {
    /// The control port on which it stands, for what stands beside it.
    #[must_use]
    pub fn control(&self) -> Arc<dyn Control> {
        Arc::clone(&self.control)
    }

    /// A directory over these ports.
    #[must_use]
    pub fn new(control: Arc<dyn Control>, clock: Arc<dyn Clock>, ids: Arc<dyn Ids>) -> Directory {
        Directory {
            control,
            clock,
            ids,
            sign_ins: Arc::default(),
            log: None,
            access_tokens: None,
            oldest: Arc::default(),
            desks: Arc::default(),
            secrets: None,
            turns: Arc::default(),
        }
    }

    /// The same, sealing the secrets of second factors. What was stored before it is opened as it is, and sealed with its
    /// next change.
    #[must_use]
    pub fn sealing(self, secrets: Arc<dyn Secrets>) -> Directory {
        Directory { secrets: Some(secrets), ..self }
    }

    /// The time by which accounts end and the recycle bin is cleared.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }
}
