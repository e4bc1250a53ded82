//! May somebody do something to something? One pure function, which says no unless a rule says yes.

use std::collections::BTreeSet;
use std::net::IpAddr;

use pennypost_directory::{DepartmentId, SessionId};
use pennypost_model::{AccountKey, TenantId};
use serde::{Deserialize, Serialize};

use crate::action::{Action, Target};
use crate::keys::KeyId;
use crate::permission::{Area, Level, Permissions};

/// Over whom a grant reaches (ADM-10).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reach {
    /// Everybody and everything of the tenant.
    Tenant,
    /// Accounts in these departments and in those below them.
    Departments(BTreeSet<DepartmentId>),
}

impl Reach {
    /// Does it reach as far as the other? A department is reached only where it is named: what lies below what is not
    /// known here, so that a narrower grant has to name a department that the wider one names.
    pub(crate) fn holds(&self, other: &Reach) -> bool {
        match (self, other) {
            (Reach::Tenant, _) => true,
            (Reach::Departments(_), Reach::Tenant) => false,
            (Reach::Departments(own), Reach::Departments(theirs)) => theirs.is_subset(own),
        }
    }

    fn has_any(&self, departments: &[DepartmentId]) -> bool {
        match self {
            Reach::Tenant => true,
            Reach::Departments(own) => departments.iter().any(|department| own.contains(department)),
        }
    }
}

/// Permissions over somebody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Granted {
    /// What may be done.
    pub permissions: Permissions,
    /// To whom.
    pub reach: Reach,
}

/// What an account is besides a member.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Authority {
    /// Creator or super admin?
    pub standing: Standing,
    /// By roles.
    pub grants: Vec<Granted>,
}

/// What an account is without any role.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Standing {
    /// A member.
    #[default]
    Member,
    /// Super admin (ADM-07).
    Super,
    /// The one creator (ADM-06).
    Creator,
}

/// Who acts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Actor {
    /// Whoever may run the program on the machine.
    Operator,
    /// A program, by a key that is nobody's.
    Service {
        /// The key.
        key: KeyId,
        /// What it is called.
        name: String,
        /// Whose it is; `None`: an operator's.
        tenant: Option<TenantId>,
        /// What it may do.
        permissions: Permissions,
    },
    /// A person.
    Person {
        /// By which key or session.
        means: Means,
        /// The account.
        account: AccountKey,
        /// Its address.
        address: String,
        /// What the person may do.
        authority: Authority,
        /// What the key may be used for, of that.
        limit: Permissions,
    },
}

/// By what a person acts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Means {
    /// By a key of theirs.
    Key(KeyId),
    /// In a session.
    Session(Presence),
}

/// Somebody in a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Presence {
    /// The session.
    pub session: SessionId,
    /// The second factor was shown a moment ago (ADM-13).
    pub is_confirmed: bool,
    /// The person signed in, or showed the second factor, a short time ago.
    pub is_fresh: bool,
    /// The tenant wants a second factor, and the person has none: nothing but setting one up.
    pub lacks_factor: bool,
    /// The password is to be changed (AUT-06, AUT-12): nothing but that.
    pub must_change: bool,
    /// What another administrator has ordered is done.
    pub seconds: bool,
    /// From where the session was opened, if that is known. It may be used from there: it was asked with the session.
    pub from: Option<IpAddr>,
}

/// Upon what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope<'a> {
    /// The installation.
    Installation,
    /// A tenant, or something that belongs to all of it.
    Tenant(TenantId),
    /// An account.
    Account {
        /// Which.
        key: AccountKey,
        /// The departments that it is in, and all above them.
        departments: &'a [DepartmentId],
        /// What the account may do itself.
        authority: &'a Authority,
    },
    /// An account that is not yet there, in these departments.
    NewAccount {
        /// Whose.
        tenant: TenantId,
        /// Where, with all departments above.
        departments: &'a [DepartmentId],
    },
    /// A department, by itself and all above it.
    Department {
        /// Whose.
        tenant: TenantId,
        /// The department, and all above.
        departments: &'a [DepartmentId],
    },
    /// Some account or department of the tenant: may it be done to any? Rows of a list are then asked for one by one.
    SomeAccount(TenantId),
}

impl Scope<'_> {
    const fn tenant(&self) -> Option<TenantId> {
        match self {
            Scope::Installation => None,
            Scope::Tenant(tenant)
            | Scope::NewAccount { tenant, .. }
            | Scope::Department { tenant, .. }
            | Scope::SomeAccount(tenant) => Some(*tenant),
            Scope::Account { key, .. } => Some(key.tenant),
        }
    }

    const fn is_for(&self, target: Target) -> bool {
        matches!(
            (target, self),
            (Target::Installation, Scope::Installation)
                | (Target::Tenant, Scope::Tenant(_))
                | (Target::Account, Scope::Account { .. } | Scope::NewAccount { .. } | Scope::SomeAccount(_))
                | (Target::Department, Scope::Department { .. } | Scope::SomeAccount(_))
        )
    }
}

/// The answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Yes.
    Allow,
    /// It is another tenant's: whoever asks is not to learn that it is there.
    Hidden,
    /// No.
    Deny(Why),
}

/// Why not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// Nothing gives the permission.
    NoPermission,
    /// The permission does not reach so far.
    OutOfReach,
    /// The account, or what is given, has powers that the actor has not.
    Above,
    /// It can't be made undone: the actor has to show the second factor first, or the key is not for such things.
    Unconfirmed,
    /// The tenant wants a second factor, and the actor has none.
    NoFactor,
    /// The actor's password is to be changed first.
    PasswordOver,
}

impl Why {
    /// Its name in logs and documents.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Why::NoPermission => "no-permission",
            Why::OutOfReach => "out-of-reach",
            Why::Above => "above-actor",
            Why::Unconfirmed => "confirmation-needed",
            Why::NoFactor => "second-factor-missing",
            Why::PasswordOver => "password-change-needed",
        }
    }
}

/// What an actor may do after all: standing and grants within the limit of the key.
enum Power {
    Installation(Permissions),
    Creator,
    Super,
    Graded(Vec<Granted>),
}

impl Actor {
    /// The tenant within which it acts; `None`: all of them.
    #[must_use]
    pub const fn tenant(&self) -> Option<TenantId> {
        match self {
            Actor::Operator => None,
            Actor::Service { tenant, .. } => *tenant,
            Actor::Person { account, .. } => Some(account.tenant),
        }
    }

    fn power(&self) -> Power {
        match self {
            Actor::Operator => Power::Installation(Permissions::all()),
            Actor::Service { tenant: None, permissions, .. } => Power::Installation(permissions.clone()),
            Actor::Service { permissions, .. } => {
                Power::Graded(vec![Granted { permissions: permissions.clone(), reach: Reach::Tenant }])
            }
            Actor::Person { authority, limit, .. } => {
                let is_whole = limit.hold(&Permissions::of_tenant());
                match authority.standing {
                    Standing::Creator if is_whole => Power::Creator,
                    Standing::Super if is_whole => Power::Super,
                    Standing::Creator | Standing::Super => {
                        Power::Graded(vec![Granted { permissions: limit.clone(), reach: Reach::Tenant }])
                    }
                    Standing::Member => {
                        let within = |grant: &Granted| Granted {
                            permissions: grant.permissions.and(limit),
                            reach: grant.reach.clone(),
                        };
                        Power::Graded(authority.grants.iter().map(within).collect())
                    }
                }
            }
        }
    }

    /// Is it the account's own owner, with a key for such things?
    fn is_oneself(&self, action: Action, scope: &Scope<'_>) -> bool {
        match (self, scope) {
            (Actor::Person { account, limit, .. }, Scope::Account { key, .. }) => {
                action.is_ones_own() && account == key && limit.allow(action.area(), action.level())
            }
            _ => false,
        }
    }

    /// In which session a person is.
    #[must_use]
    pub const fn presence(&self) -> Option<&Presence> {
        match self {
            Actor::Person { means: Means::Session(presence), .. } => Some(presence),
            _ => None,
        }
    }

    /// May it do what can't be made undone?
    #[must_use]
    pub fn is_confirmed(&self) -> bool {
        match self {
            Actor::Operator => true,
            Actor::Service { permissions, .. } => permissions.allow(Area::Dangerous, Level::Write),
            Actor::Person { means: Means::Key(_), limit, .. } => limit.allow(Area::Dangerous, Level::Write),
            Actor::Person { means: Means::Session(presence), .. } => presence.is_confirmed,
        }
    }

    /// Has the actor all of these powers over the tenant's people and things? Nobody gives what he has not, and nobody
    /// gets at an account that can do more than he.
    #[must_use]
    pub fn exceeds_or_equals(&self, authority: &Authority) -> bool {
        let grants = match (self.power(), authority.standing) {
            // An operator's key that is not for everything gives nothing that it is not for.
            (Power::Installation(permissions), Standing::Member) => {
                vec![Granted { permissions, reach: Reach::Tenant }]
            }
            (Power::Installation(permissions), _) => return permissions.hold(&Permissions::of_tenant()),
            (Power::Creator, _) | (Power::Super, Standing::Member | Standing::Super) => return true,
            (Power::Super, Standing::Creator) => return false,
            (Power::Graded(grants), Standing::Member) => grants,
            (Power::Graded(_), _) => return false,
        };
        authority.grants.iter().all(|theirs| {
            theirs.permissions.iter().all(|one| {
                let has = |own: &Granted| {
                    own.permissions.allow(one.area, one.level) && own.reach.holds(&theirs.reach)
                };
                grants.iter().any(has)
            })
        })
    }

    /// May it make keys that act as another person? Only who stands above all members: what the person becomes later
    /// comes with the key.
    #[must_use]
    pub fn may_stand_in(&self) -> bool {
        match self.power() {
            Power::Installation(permissions) => permissions.hold(&Permissions::of_tenant()),
            Power::Creator | Power::Super => true,
            Power::Graded(_) => false,
        }
    }
}

/// May `actor` do `action` to `scope`? Depends on nothing else; says no unless something says yes.
#[must_use]
pub fn authorise(actor: &Actor, action: Action, scope: &Scope<'_>) -> Decision {
    match by_power(actor, action, scope) {
        Decision::Allow => {}
        other => return other,
    }
    let is_over = actor.presence().is_some_and(|presence| presence.must_change);
    if is_over && action != Action::AccountOwnPassword {
        return Decision::Deny(Why::PasswordOver);
    }
    // Whoever has a passkey, and came by the password alone, shows it. For codes by SMS there has to be a number.
    let is_for_setting_up = matches!(
        action,
        Action::SecondFactorRead
            | Action::SecondFactorSet
            | Action::SessionConfirm
            | Action::MobileRead
            | Action::MobileSet
    );
    if actor.presence().is_some_and(|presence| presence.lacks_factor) && !is_for_setting_up && !is_over {
        return Decision::Deny(Why::NoFactor);
    }
    if action.is_dangerous() && !actor.is_confirmed() {
        return Decision::Deny(Why::Unconfirmed);
    }
    Decision::Allow
}

/// What power, grants and ownership say.
fn by_power(actor: &Actor, action: Action, scope: &Scope<'_>) -> Decision {
    if let (Some(own), Some(asked)) = (actor.tenant(), scope.tenant())
        && own != asked
    {
        return Decision::Hidden;
    }
    if !scope.is_for(action.target()) {
        return Decision::Deny(Why::NoPermission);
    }
    if action.is_owners() {
        let is_somewhere = matches!(scope, Scope::SomeAccount(_)) || actor.is_oneself(action, scope);
        let is_present = actor.presence().is_some() && is_somewhere;
        return if is_present { Decision::Allow } else { Decision::Deny(Why::NoPermission) };
    }
    let is_at_hand = actor.presence().is_some() || matches!(actor, Actor::Operator);
    if action.is_for_people() && !is_at_hand {
        return Decision::Deny(Why::NoPermission);
    }
    if actor.is_oneself(action, scope) {
        return Decision::Allow;
    }
    let (area, level) = (action.area(), action.level());
    match actor.power() {
        Power::Installation(permissions) if !permissions.allow(area, level) => {
            return Decision::Deny(Why::NoPermission);
        }
        Power::Installation(_) => {}
        _ if area == Area::Installation => return Decision::Deny(Why::NoPermission),
        Power::Creator => {}
        _ if action.is_creators() => return Decision::Deny(Why::NoPermission),
        Power::Super => {}
        Power::Graded(_) if action.is_for_those_above() => return Decision::Deny(Why::NoPermission),
        Power::Graded(grants) => {
            let mut giving = grants.iter().filter(|grant| grant.permissions.allow(area, level)).peekable();
            if giving.peek().is_none() {
                // A list may still hold the one row that is everybody's own.
                let may_be_own = matches!((scope, actor), (Scope::SomeAccount(_), Actor::Person { limit, .. })
                    if action.is_ones_own() && limit.allow(area, level));
                return if may_be_own { Decision::Allow } else { Decision::Deny(Why::NoPermission) };
            }
            let is_within = |grant: &Granted| match scope {
                Scope::Installation => false,
                Scope::Tenant(_) => grant.reach == Reach::Tenant,
                Scope::SomeAccount(_) => true,
                Scope::Account { departments, .. }
                | Scope::NewAccount { departments, .. }
                | Scope::Department { departments, .. } => grant.reach.has_any(departments),
            };
            if !giving.any(is_within) {
                return Decision::Deny(Why::OutOfReach);
            }
        }
    }
    match scope {
        Scope::Account { authority, .. } if action.needs_rank() && !actor.exceeds_or_equals(authority) => {
            Decision::Deny(Why::Above)
        }
        _ => Decision::Allow,
    }
}

#[cfg(test)]
#[path = "authorise_tests.rs"]
mod tests;
