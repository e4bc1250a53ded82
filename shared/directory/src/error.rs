//! Why the directory did not do what it was asked.

use pennypost_model::codec::CodecError;
use pennypost_policy::rules::RulesError;
use pennypost_policy::{AddressError, PolicyError};
use pennypost_ports::PortError;

use crate::{InvitationEnd, NoSeat, SignInRulesError, Weakness};

/// What an error asks of the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Trying again later may help: SMTP 451 4.3.0, HTTP 503.
    Temporary,
    /// What was asked for is not there: HTTP 404.
    NotFound,
    /// It is there already: HTTP 409.
    Conflict,
    /// The request can never succeed as it is: HTTP 400.
    Invalid,
    /// The store holds damaged data: an operator has to look. SMTP 451 4.3.0, HTTP 500.
    Damaged,
}

/// Why the directory did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DirectoryError {
    /// The control port.
    #[error(transparent)]
    Port(#[from] PortError),
    /// A stored item cannot be read.
    #[error(transparent)]
    Item(#[from] CodecError),
    /// Other writers kept winning; the call may be repeated.
    #[error("too many changes at once")]
    Contended,
    /// No place for another password check just now.
    #[error("too many password checks at once")]
    Busy,
    /// No address or domain.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// An address that may be mailed to, but not given to an account.
    #[error("{address} cannot be given to an account, alias or group")]
    UnsuitableAddress {
        /// The address.
        address: String,
    },
    /// No such policy.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// Rules of a member that can't be.
    #[error(transparent)]
    MemberRules(#[from] RulesError),
    /// A name of a tenant or person.
    #[error("a name has 1 to {limit} characters and no control characters")]
    Name {
        /// Characters that a name may have.
        limit: usize,
    },
    /// A password that breaks rules.
    #[error("the password can't be used: {0}")]
    Password(Weakness),
    /// Rules of signing in that can't be.
    #[error(transparent)]
    SignInRules(#[from] SignInRulesError),
    /// No such tenant.
    #[error("there is no tenant {0}")]
    NoTenant(String),
    /// No such domain here.
    #[error("there is no domain {0}")]
    NoDomain(String),
    /// No such account.
    #[error("there is no account {0}")]
    NoAccount(String),
    /// No such alias.
    #[error("there is no alias {0}")]
    NoAlias(String),
    /// No such group.
    #[error("there is no group {0}")]
    NoGroup(String),
    /// Not a member of the group.
    #[error("{0} is no member of the group")]
    NoMember(String),
    /// A tenant of that name is there.
    #[error("there is a tenant {0} already")]
    TenantTaken(String),
    /// The domain is there, of this or another tenant.
    #[error("the domain {0} is taken")]
    DomainTaken(String),
    /// An account, alias or group has that address.
    #[error("the address {0} is taken")]
    AddressTaken(String),
    /// No mobile number.
    #[error("a mobile number has its country and 8 to 15 digits, such as +8613800000000")]
    Mobile,
    /// Another member of the organisation has that mobile number.
    #[error("another member has that mobile number")]
    MobileTaken,
    /// It belongs to another tenant.
    #[error("{0} does not belong to this tenant")]
    OtherTenant(String),
    /// Nobody named.
    #[error("at least one target is needed")]
    NoTargets,
    /// Too many members or targets.
    #[error("{what} holds at most {limit}")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many it may hold.
        limit: usize,
    },
    /// A group would contain itself.
    #[error("the group {0} would contain itself")]
    GroupCycle(String),
    /// Groups in groups in groups.
    #[error("groups may lie in groups up to {limit} levels deep")]
    GroupDepth {
        /// Levels.
        limit: usize,
    },
    /// No such department.
    #[error("there is no department {0}")]
    NoDepartment(String),
    /// A department of that name stands beside it.
    #[error("there is a department {0} already")]
    DepartmentTaken(String),
    /// What a department cannot be called.
    #[error(
        "a department's name has 1 to {limit} characters, no control characters and no /, and does not begin with #"
    )]
    DepartmentName {
        /// Characters that a name may have.
        limit: usize,
    },
    /// Departments in departments in departments.
    #[error("departments may lie in departments up to {limit} levels deep")]
    DepartmentDepth {
        /// Levels.
        limit: usize,
    },
    /// A department would be below itself, or the organisation below a department.
    #[error("the department {0} would be below itself")]
    DepartmentCycle(String),
    /// There are still accounts or departments in it.
    #[error("the department {0} is not empty")]
    DepartmentNotEmpty(String),
    /// No such tag.
    #[error("there is no tag {0}")]
    NoTag(String),
    /// A tag of that name is there.
    #[error("there is a tag {0} already")]
    TagTaken(String),
    /// What a field of a profile cannot hold.
    #[error("the field {name} has at most {limit} characters, and no others than it may have")]
    Field {
        /// Its name.
        name: &'static str,
        /// Characters that it may have.
        limit: usize,
    },
    /// The account is in the recycle bin.
    #[error("{0} is in the recycle bin")]
    InBin(String),
    /// The account is not in the recycle bin, or not yet over.
    #[error("{0} is not in the recycle bin")]
    NotInBin(String),
    /// Its time in the recycle bin is over.
    #[error("the time of {0} in the recycle bin is over")]
    BinOver(String),
    /// That is not done with such an account: a member's, a business mailbox, or one without an owner.
    #[error("this is not done with an account such as {0}")]
    WrongKind(String),
    /// Somebody would be his own secretary, at once or by others.
    #[error("{0} would be their own secretary, at once or by others")]
    SecretaryCycle(String),
    /// The members of a department's group are the department's.
    #[error("the members of this group are those of its department")]
    GroupFollows,
    /// An alias domain has no addresses of its own.
    #[error("{0} stands for another domain: addresses are given there")]
    AliasDomain(String),
    /// Accounts, aliases, groups or alias domains are in the way.
    #[error("{0} still has addresses, or other domains that stand for it")]
    DomainNotEmpty(String),
    /// Not as long as the domain is in this state.
    #[error("{0} is not in a state for this")]
    DomainState(String),
    /// The tenant's plan does not allow it.
    #[error(transparent)]
    NoSeat(#[from] NoSeat),
    /// A plan that would be over before it begins.
    #[error("a plan ends after it has begun")]
    PlanTerm,
    /// The address of a group that has no other one, or no other one any more (GRP-06).
    #[error("the address of {0} is no department's, or was changed already")]
    AddressFixed(String),
    /// It is not said in which domain those who join get an address.
    #[error("say in which domain those who join get an address")]
    JoiningDomain,
    /// No such invitation, or nothing that leads to an application.
    #[error("there is no such invitation")]
    NoInvitation,
    /// An invitation that is good for nothing.
    #[error(transparent)]
    InvitationOver(#[from] InvitationEnd),
    /// An invitation that could not be made so.
    #[error("an invitation is accepted 1 to 1,000 times, and good for 90 days at most")]
    InvitationTerms,
    /// Nobody applies for that address.
    #[error("nobody applies for {0}")]
    NoApplication(String),
    /// It was decided already.
    #[error("the application for {0} is not to be decided any more")]
    Decided(String),
    /// The member has a password, or can have none.
    #[error("{0} needs no invitation: there is a password, or there can be none")]
    AlreadyJoined(String),
}

impl DirectoryError {
    /// What it asks of the caller.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        use DirectoryError as E;
        match self {
            E::Port(error) if error.is_temporary() => Kind::Temporary,
            E::Contended | E::Busy => Kind::Temporary,
            E::Port(PortError::Refused { .. }) => Kind::Invalid,
            E::Port(_) | E::Item(_) => Kind::Damaged,
            E::NoTenant(_)
            | E::NoDomain(_)
            | E::NoAccount(_)
            | E::NoAlias(_)
            | E::NoGroup(_)
            | E::NoMember(_)
            | E::NoDepartment(_)
            | E::NoTag(_)
            | E::NoInvitation
            | E::NoApplication(_) => Kind::NotFound,
            E::TenantTaken(_)
            | E::DomainTaken(_)
            | E::AddressTaken(_)
            | E::MobileTaken
            | E::DepartmentTaken(_)
            | E::DepartmentNotEmpty(_)
            | E::TagTaken(_)
            | E::InBin(_)
            | E::NotInBin(_)
            | E::BinOver(_)
            | E::DomainNotEmpty(_)
            | E::DomainState(_)
            | E::NoSeat(_)
            | E::InvitationOver(_)
            | E::Decided(_)
            | E::AddressFixed(_)
            | E::AlreadyJoined(_) => Kind::Conflict,
            E::Address(_)
            | E::UnsuitableAddress { .. }
            | E::Policy(_)
            | E::MemberRules(_)
            | E::Name { .. }
            | E::Password(_)
            | E::SignInRules(_)
            | E::OtherTenant(_)
            | E::NoTargets
            | E::Mobile
            | E::TooMany { .. }
            | E::GroupCycle(_)
            | E::SecretaryCycle(_)
            | E::GroupDepth { .. }
            | E::DepartmentName { .. }
            | E::DepartmentDepth { .. }
            | E::DepartmentCycle(_)
            | E::Field { .. }
            | E::WrongKind(_)
            | E::GroupFollows
            | E::AliasDomain(_)
            | E::PlanTerm
            | E::JoiningDomain
            | E::InvitationTerms => Kind::Invalid,
        }
    }

    /// Can the same call succeed later?
    #[must_use]
    pub const fn is_temporary(&self) -> bool {
        matches!(self.kind(), Kind::Temporary)
    }
}
