//! Why administration did not do what it was asked.

use pennypost_connector::SmsError;
use pennypost_directory::{DirectoryError, Function, SignInError};
use pennypost_held::HeldError;
use pennypost_hooks::HookError;
use pennypost_model::codec::CodecError;
use pennypost_organisation::FileError;
use pennypost_passkeys::Refused;
use pennypost_policy::BadPoints;
use pennypost_ports::PortError;

use crate::authorise::Why;
use crate::mailings::MailingProblem;
use crate::provider_sign_in::ProviderError;

/// Why administration did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AdminError {
    /// It is another tenant's, or it is not there: the two are told alike. HTTP 404.
    #[error("there is no such {0}")]
    NotFound(&'static str),
    /// Not by this actor: HTTP 403.
    #[error("not permitted: {}", .0.name())]
    Denied(Why),
    /// It is no longer what the actor has seen: HTTP 412.
    #[error("it has been changed meanwhile")]
    Changed,
    /// It can't be done as long as something else is as it is: HTTP 409.
    #[error("{0}")]
    Conflict(Conflict),
    /// The request can never succeed as it is: HTTP 422.
    #[error("{0}")]
    Invalid(Invalid),
    /// The directory.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    /// The old password is not right, or may not be tried now.
    #[error(transparent)]
    OldPassword(SignInError),
    /// DNS can't be asked from here: HTTP 503.
    #[error("DNS can't be asked from here")]
    NoLookUps,
    /// What is wrong with a way out of a tenant, or in its way: HTTP 422, or 503 where nothing is tried from here.
    #[error("{0}")]
    Route(#[from] crate::routes::RouteProblem),
    /// What is wrong with a footer or a card: HTTP 422, or 409 where another card is in the way.
    #[error("{0}")]
    Footer(pennypost_directory::FooterProblem),
    /// What is wrong with rules about contents: HTTP 422.
    #[error("{0}")]
    Content(pennypost_directory::content::ContentProblem),
    /// Secrets can't be sealed here: HTTP 503.
    #[error("there is no key here with which secrets are sealed")]
    NoSealing,
    /// A key of a domain was not made: HTTP 503.
    #[error("{0}")]
    NoKeyMade(String),
    /// What the operator says of the service can't be: HTTP 422.
    #[error("{0}")]
    Service(String),
    /// A code of the second factor is wrong, or can't be looked at now: HTTP 422, 429.
    #[error("the code was not accepted: {0}")]
    Code(SignInError),
    /// A passkey was not accepted, or can't be looked at now: HTTP 422, 429.
    #[error("the passkey was not accepted: {0}")]
    Passkey(SignInError),
    /// A provider of identities does not answer as it should: HTTP 502.
    #[error("the provider does not answer as it should: {0}")]
    Provider(ProviderError),
    /// What was sent to somebody who has forgotten his password is not good, or can't be looked at now: HTTP 401, 429.
    #[error("what was shown sets no password: {0}")]
    Recovery(SignInError),
    /// As many letters went as may go in an hour: HTTP 429.
    #[error("too many letters were sent")]
    TooManyLetters,
    /// As many text messages went to a number, or of the tenant, as may: HTTP 429.
    #[error("too many text messages were sent")]
    TooManyMessages,
    /// A text message was not handed over: HTTP 503, or 409 where it was refused.
    #[error("the text message was not sent: {0}")]
    Sms(SmsError),
    /// It was not tried, since what was to be done before it took too long or failed: HTTP 503.
    #[error("it was not tried")]
    NotTried,
    /// A file that can't be imported: HTTP 422.
    #[error("the file {name} can't be imported")]
    File {
        /// What it is called.
        name: String,
        /// What is wrong with it.
        error: FileError,
    },
    /// Long operations are not carried out here: HTTP 503.
    #[error("long operations are not carried out here")]
    NoTasks,
    /// Traces of letters can't be read here: HTTP 503.
    #[error("traces of letters can't be read here")]
    NoTraces,
    /// Mail can't be looked at here: HTTP 503.
    #[error("mail can't be looked at here")]
    NoMail,
    /// A mailing can't be made, or is not in the state for it: HTTP 422, or 409.
    #[error("{0}")]
    Mailing(MailingProblem),
    /// A second administrator has to confirm it (ADM-13): HTTP 202.
    #[error("a second administrator has to confirm it")]
    NeedsSecond,
}

/// What stands in the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Conflict {
    /// A role of that name is there.
    #[error("there is a role of that name")]
    RoleTaken,
    /// Somebody holds the role.
    #[error("somebody holds the role")]
    RoleHeld,
    /// A rule would let nobody in from where it is made.
    #[error("the rule would not let you in from where you are")]
    ExcludesYou,
    /// There is no record of sign-ins where this runs.
    #[error("sign-ins are not recorded here")]
    NoRecord,
    /// An administrator has forced it.
    #[error("an administrator has turned secure sign-in on")]
    Forced,
    /// The operator has not said at what domains have to point.
    #[error("the operator has not said yet at what domains have to point")]
    ServiceUnsaid,
    /// It is known already whose the domain is.
    #[error("it is known already whose the domain is")]
    DomainOwned,
    /// Mail is not brought to the domain yet, and the tenant waits for that (DOM-07).
    #[error("mail is not brought to the domain yet")]
    DomainLocked,
    /// What goes with it has not been confirmed, or is something else by now (DOM-13).
    #[error("not confirmed")]
    NotConfirmed,
    /// A key of that kind waits for its record already.
    #[error("a key of that kind waits for its record already")]
    KeyWaits,
    /// A long operation that has ended.
    #[error("it has ended")]
    TaskOver,
    /// A receipt of the letter was given, or refused, already.
    #[error("a receipt of the letter was given, or refused, already")]
    ReceiptAnswered,
    /// Rules are run on mail of the account already.
    #[error("rules are run on mail of the account already")]
    RulesRunning,
    /// As many letters of the account wait as may.
    #[error("as many letters of the account wait as may")]
    LettersFull {
        /// How many may.
        letters: usize,
        /// How many MB.
        megabytes: u64,
    },
    /// A letter that was to go later has gone.
    #[error("the letter has gone")]
    LetterGone,
    /// A letter that was to go later was taken back.
    #[error("the letter was taken back")]
    LetterBack,
    /// A letter that was to go later could not go.
    #[error("the letter could not go, and its writer was told")]
    LetterUnsent,
    /// The operator has not said where the pages for people are, for which passkeys are made.
    #[error("the operator has not said yet where the pages for people are")]
    NoPages,
    /// Another member is bound to that person of the provider.
    #[error("another member is bound to that person of the provider")]
    BoundElsewhere,
    /// Nothing is sent to addresses elsewhere from here, or that one is another organisation's here.
    #[error("no letter goes to that address from here")]
    NotFromHere,
    /// The account may forward nothing to other servers (RUL-08, ORG-07, SND-22).
    #[error("the account may forward nothing to other servers")]
    MayNotForward,
    /// Only members with a VIP seat do that, where there is a plan (PLN-10).
    #[error("only members with a VIP seat do that")]
    NeedsSeat,
    /// Whoever may not send outside the organisation invites nobody there (ORG-07, SND-22).
    #[error("you may send within your organisation only")]
    SendsInside,
    /// Members invite members elsewhere of a group, and nobody else.
    #[error("that address is no member of the group")]
    NotInGroup,
    /// Whoever has the address has agreed once, and wants no more.
    #[error("whoever has that address wants no more")]
    WantsNoMore,
    /// No text messages are sent from here.
    #[error("no text messages are sent from here")]
    NoSms,
    /// No trial domains are given here.
    #[error("no trial domains are given here")]
    NoTrials,
    /// The tenant has, or had, another trial domain, or has a domain of its own.
    #[error("the organisation has a domain, or has had its trial domain")]
    TrialGiven,
    /// A tenant with nothing but a trial domain.
    #[error("the organisation has a trial domain only")]
    TrialOnly,
    /// Nobody signs up here by himself, or not by this way.
    #[error("nobody signs up here by himself, or not in this way")]
    NoSignUps,
    /// The address of the creator was changed already, or is nobody's whose it can be.
    #[error("the address was changed once")]
    Readdressed,
    /// There is no mobile number that its owner has proved.
    #[error("there is no mobile number that was proved")]
    NoMobile,
    /// Codes that go to the number are the second factor.
    #[error("codes that go to the number are the second factor")]
    MobileIsFactor,
    /// There is a password, which has to be said.
    #[error("there is a password, which has to be said")]
    PasswordSet,
    /// The passkey is there already.
    #[error("the passkey is there already")]
    PasskeyKnown,
    /// Nothing to be read has come of a long operation yet, or not any more.
    #[error("there is nothing to be read")]
    NoResult,
    /// The term of an order is over.
    #[error("the term of the order is over")]
    OrderOver,
    /// An order that nobody has submitted, or that was decided already.
    #[error("there is nothing to be decided about the order any more")]
    OrderDecided,
    /// Pro was tried out already, or is paid for.
    #[error("the organisation has tried it out already, or has it")]
    Tried,
    /// A tenant without a plan has nothing to be renewed or raised.
    #[error("the organisation has no plan, and is limited by nothing")]
    NoPlan,
    /// Erasing the tenant has begun.
    #[error("erasing the tenant has begun")]
    ErasingBegun,
    /// Who gets a password does not set the first one by an invitation.
    #[error("either a password or an invitation")]
    PasswordAndInvitation,
    /// Administrators give the names that letters bear (ORG-27).
    #[error("administrators give the names that letters bear")]
    NamesGiven,
    /// The creator hands the tenant over before he leaves.
    #[error("the creator hands the organisation over first")]
    CreatorLeaves,
    /// The tenant's plan does not have the function (PLN-09).
    #[error("the plan does not have the function {}", .0.name())]
    NotInPlan(Function),
    /// The tenant has as many domains as its plan allows (DOM-02).
    #[error("the plan allows {0} domains")]
    PlanDomains(usize),
}

/// What can't be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    /// A name of a role or key.
    #[error("a name has 1 to {limit} characters and no control characters")]
    Name {
        /// Characters that a name may have.
        limit: usize,
    },
    /// A role or key without any permission, or with one that no tenant's may have.
    #[error("no permissions, or such as only operators have")]
    Permissions,
    /// A grant names a role that is not there.
    #[error("there is no such role")]
    NoRole,
    /// No copy of a letter that is named came into the account.
    #[error("no such letter came into the account")]
    NoLetter,
    /// A grant or creator is to be an account that is not there.
    #[error("there is no such account")]
    NoAccount,
    /// More than there may be.
    #[error("there may be {limit} at most")]
    TooMany {
        /// How many.
        limit: usize,
    },
    /// A function that is blocked of a whole tenant only.
    #[error("only a whole tenant has that function")]
    NotOfAccounts,
    /// An order of a plan that can't be.
    #[error(
        "an order has a currency by three capital letters, a term that ends after it begins, and a note of 500 characters at most"
    )]
    Purchase,
    /// An order that can't be submitted.
    #[error(
        "to buy takes VIP seats and 1 to 10 years, to renew years, more seats their number, a trial 1 to 10 VIP seats, more accounts a larger number and a reason"
    )]
    Order,
    /// An approval that can't be.
    #[error(
        "what costs something has a currency by three capital letters, and what is renewed or extended is paid"
    )]
    Approval,
    /// A reason that can't be.
    #[error("a reason has 1 to {limit} characters")]
    Reason {
        /// Characters that it may have.
        limit: usize,
    },
    /// A time of grace that can't be.
    #[error("tenants that have ended are kept for {least} to {most} days")]
    Grace {
        /// Days at least.
        least: u32,
        /// Days at most.
        most: u32,
    },
    /// An order that would be carried out too late.
    #[error("an order is carried out within {most} days")]
    OrderDays {
        /// Days at most.
        most: u32,
    },
    /// Terms of service that can't be.
    #[error("terms of service have 1 to {limit} bytes")]
    Terms {
        /// Bytes that they may have.
        limit: usize,
    },
    /// A bulletin that can't be.
    #[error(
        "a bulletin has a title of 1 to {title} and a text of 1 to {text} characters in both languages, and ends after it begins"
    )]
    Bulletin {
        /// Characters of a title.
        title: usize,
        /// Characters of a text.
        text: usize,
    },
    /// A contact of administrators that can't be.
    #[error("name, phone and mail have at most {limit} characters each and no control characters")]
    ContactField {
        /// Characters.
        limit: usize,
    },
    /// The first part of a trial domain that can't be.
    #[error(
        "the first part of a trial domain has 3 to 30 letters a to z, digits and hyphens, and is no name of a service"
    )]
    Label,
    /// A version of the terms of service has to be accepted.
    #[error("the terms of service that hold have to be accepted: version {number}")]
    NotAccepted {
        /// What holds.
        number: u32,
    },
    /// A sign-up that can't be.
    #[error(
        "a sign-up names an address elsewhere or a mobile number, an edition that is offered, and a domain where there are no trial domains"
    )]
    SignUp,
    /// A time that has passed.
    #[error("the end has passed")]
    Past,
    /// A time at which no letter goes.
    #[error("a letter goes later at a time to come within {days} days")]
    SendTime {
        /// Days.
        days: u16,
    },
    /// For how long no letter waits.
    #[error("letters wait for {least} to {most} seconds, or not at all")]
    UndoWindow {
        /// Seconds at least.
        least: u16,
        /// Seconds at most.
        most: u16,
    },
    /// A life of sessions that can't be.
    #[error(
        "sessions last 15 minutes to 90 days, and may be idle for 5 minutes at least and not for longer than they last"
    )]
    SessionLife,
    /// Points of scanners that can't be.
    #[error("{0}")]
    ScanPoints(BadPoints),
    /// A policy for TLS that can't be.
    #[error("a policy for TLS is remembered for 86400 to 31557600 seconds")]
    TlsPolicy,
    /// A rule of rotation that can't be.
    #[error("keys are used for 7 to 3650 days, and stay published for 1 to 90 days after that")]
    KeyRotation,
    /// There is no second factor.
    #[error("there is no second factor")]
    NoFactor,
    /// No address of a provider.
    #[error("an issuer is https://HOST, with a path or none, and nothing else")]
    Issuer,
    /// No secret of a client.
    #[error("a client secret has 1 to {limit} bytes and no control characters")]
    ProviderSecret {
        /// Bytes.
        limit: usize,
    },
    /// No address of a receiver.
    #[error("a receiver is https://HOST, with a port, a path and a query or without, and nothing else")]
    Receiver,
    /// A subscription to nothing, or to more accounts and departments than it may have.
    #[error(
        "a subscription is to one kind of notices at least, and names {limit} accounts and departments at most"
    )]
    Subscription {
        /// How many.
        limit: usize,
    },
    /// A recovery address that is no member's own.
    #[error(
        "a recovery address is another member's own: no alias, group or business mailbox, and without a tag"
    )]
    NoMailbox,
    /// The recovery address leads to the account itself.
    #[error("the address leads to the account itself")]
    OwnAddress,
    /// There is no passkey.
    #[error("there is no passkey")]
    NoPasskey,
    /// A new passkey that is not believed.
    #[error("the passkey is not believed: {0}")]
    Passkey(Refused),
    /// Somebody would be his own second.
    #[error("it takes another administrator")]
    OwnRequest,
    /// A file without a row.
    #[error("the file has no rows")]
    NoRows,
    /// A contact address.
    #[error("a contact address has at most {limit} characters and no control characters")]
    Contact {
        /// Characters.
        limit: usize,
    },
    /// A logo.
    #[error("a logo is PNG, JPEG or WebP and has at most {limit} bytes")]
    Logo {
        /// Bytes.
        limit: usize,
    },
    /// The order of a request can't be kept.
    #[error("the order is larger than {limit} bytes")]
    LargeOrder {
        /// Bytes.
        limit: usize,
    },
}

impl AdminError {
    /// Can the same call succeed later?
    #[must_use]
    pub const fn is_temporary(&self) -> bool {
        matches!(self, AdminError::Directory(error) if error.is_temporary())
    }
}

impl From<PortError> for AdminError {
    fn from(error: PortError) -> AdminError {
        AdminError::Directory(error.into())
    }
}

impl From<CodecError> for AdminError {
    fn from(error: CodecError) -> AdminError {
        AdminError::Directory(error.into())
    }
}

impl From<HeldError> for AdminError {
    fn from(error: HeldError) -> AdminError {
        match error {
            HeldError::Port(error) => error.into(),
            HeldError::Item(error) => error.into(),
            HeldError::Directory(error) => error.into(),
            HeldError::Store(error) => {
                PortError::Damaged { port: "objects", cause: error.to_string() }.into()
            }
            HeldError::Contended => DirectoryError::Contended.into(),
        }
    }
}

impl From<HookError> for AdminError {
    fn from(error: HookError) -> AdminError {
        match error {
            HookError::Port(error) => error.into(),
            HookError::Item(error) => error.into(),
            HookError::Contended => DirectoryError::Contended.into(),
        }
    }
}

impl From<Invalid> for AdminError {
    fn from(error: Invalid) -> AdminError {
        AdminError::Invalid(error)
    }
}
