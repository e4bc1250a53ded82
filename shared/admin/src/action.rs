//! The table of actions: everything that administration does, by whom it may be done at all, and upon what.

use crate::permission::{Area, Level};

/// Upon what an action acts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// The installation.
    Installation,
    /// A tenant as a whole, or what belongs to all of it.
    Tenant,
    /// An account: who administers some departments may act on those in them.
    Account,
}

/// Who may do it, beside those who hold the permission.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Also {
    Nobody,
    /// A member on the own account.
    Oneself,
}

/// Who may do it, of those who hold the permission.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Only {
    All,
    /// Nobody whose powers the account upon which it acts exceeds: else a password would be the way up.
    NobodyBelow,
    /// The creator of the tenant, and operators.
    Creator,
}

struct Row {
    name: &'static str,
    area: Area,
    level: Level,
    target: Target,
    also: Also,
    only: Only,
}

macro_rules! actions {
    ($($(#[$doc:meta])* $variant:ident $name:literal $area:ident $level:ident $target:ident $also:ident $only:ident;)*) => {
        /// Something that administration does. The name is what logs and documents call it.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Action {
            $($(#[$doc])* $variant,)*
        }

        impl Action {
            /// Every action, in the order of the table.
            pub const ALL: &'static [Action] = &[$(Action::$variant,)*];

            const fn row(self) -> Row {
                match self {
                    $(Action::$variant => Row {
                        name: $name,
                        area: Area::$area,
                        level: Level::$level,
                        target: Target::$target,
                        also: Also::$also,
                        only: Only::$only,
                    },)*
                }
            }
        }
    };
}

actions! {
    /// List tenants.
    TenantList "tenant.list" Installation Read Installation Nobody All;
    /// Open a tenant (TEN-01).
    TenantAdd "tenant.add" Installation Write Installation Nobody All;
    /// Suspend a tenant or let it in again (TEN-10).
    TenantState "tenant.state" Installation Write Tenant Nobody All;
    /// Look at a tenant.
    TenantRead "tenant.read" Tenant Read Tenant Nobody All;
    /// Look at what the tenant says about mail programs.
    TenantClientsRead "tenant.clients.read" Policies Read Tenant Nobody All;
    /// Say something else about mail programs (CLI-08).
    TenantClientsChange "tenant.clients.change" Policies Write Tenant Nobody All;
    /// List domains, look at one.
    DomainRead "domain.read" Domains Read Tenant Nobody All;
    /// Give a domain to a tenant: the operator's word, as long as nothing proves whose it is.
    DomainAdd "domain.add" Installation Write Tenant Nobody All;
    /// Name the account for mail to unknown addresses (RCV-17).
    DomainChange "domain.change" Domains Write Tenant Nobody All;
    /// List accounts, look at one.
    AccountRead "account.read" Members Read Account Oneself All;
    /// Add an account.
    AccountAdd "account.add" Members Write Account Nobody All;
    /// Change quota or state of an account.
    AccountChange "account.change" Members Write Account Nobody NobodyBelow;
    /// Set a password.
    AccountPassword "account.password" Members Write Account Nobody NobodyBelow;
    /// Look at what an account says about mail programs.
    AccountClientsRead "account.clients.read" Members Read Account Oneself All;
    /// Say something else about them.
    AccountClientsChange "account.clients.change" Members Write Account Oneself NobodyBelow;
    /// List the tokens of an account.
    TokenRead "token.read" Members Read Account Oneself All;
    /// Make a token, which opens the mailbox.
    TokenAdd "token.add" Members Write Account Oneself NobodyBelow;
    /// Make a token worthless.
    TokenRevoke "token.revoke" Members Write Account Oneself NobodyBelow;
    /// List aliases, look at one.
    AliasRead "alias.read" Members Read Tenant Nobody All;
    /// Add an alias.
    AliasAdd "alias.add" Members Write Tenant Nobody All;
    /// Remove an alias.
    AliasRemove "alias.remove" Members Write Tenant Nobody All;
    /// List groups, look at one.
    GroupRead "group.read" Groups Read Tenant Nobody All;
    /// Add a group.
    GroupAdd "group.add" Groups Write Tenant Nobody All;
    /// Change the members of a group.
    GroupChange "group.change" Groups Write Tenant Nobody All;
    /// Remove a group.
    GroupRemove "group.remove" Groups Write Tenant Nobody All;
    /// Look at what the tenant lets in.
    PolicyRead "policy.read" Policies Read Tenant Nobody All;
    /// Change what the tenant lets in.
    PolicyChange "policy.change" Policies Write Tenant Nobody All;
    /// List roles, look at one (ADM-09).
    RoleRead "role.read" Administrators Read Tenant Nobody All;
    /// Make a role.
    RoleAdd "role.add" Administrators Write Tenant Nobody All;
    /// Change a role.
    RoleChange "role.change" Administrators Write Tenant Nobody All;
    /// Remove a role that nobody holds.
    RoleRemove "role.remove" Administrators Write Tenant Nobody All;
    /// List who holds which role (ADM-11).
    GrantRead "grant.read" Administrators Read Tenant Nobody All;
    /// Give roles to somebody, or take them away (ADM-10).
    GrantChange "grant.change" Administrators Write Tenant Nobody All;
    /// Hand the tenant over to another creator (ADM-06).
    CreatorChange "creator.change" Administrators Write Tenant Nobody Creator;
    /// List keys, look at one.
    KeyRead "key.read" Keys Read Tenant Nobody All;
    /// Make a key.
    KeyAdd "key.add" Keys Write Tenant Nobody All;
    /// Make a key worthless.
    KeyRevoke "key.revoke" Keys Write Tenant Nobody All;
    /// Read the log of operations (LOG-06).
    LogRead "log.read" Log Read Tenant Nobody All;
    /// List keys of operators.
    OperatorKeyRead "operator-key.read" Installation Read Installation Nobody All;
    /// Make a key of an operator.
    OperatorKeyAdd "operator-key.add" Installation Write Installation Nobody All;
    /// Make a key of an operator worthless.
    OperatorKeyRevoke "operator-key.revoke" Installation Write Installation Nobody All;
    /// Read the log of the installation's operations.
    OperatorLogRead "operator-log.read" Installation Read Installation Nobody All;
}

impl Action {
    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.row().name
    }

    /// Which permission it takes: of what.
    #[must_use]
    pub const fn area(self) -> Area {
        self.row().area
    }

    /// Which permission it takes: how far.
    #[must_use]
    pub const fn level(self) -> Level {
        self.row().level
    }

    /// Upon what it acts.
    #[must_use]
    pub const fn target(self) -> Target {
        self.row().target
    }

    /// May a member do it on the own account?
    #[must_use]
    pub const fn is_ones_own(self) -> bool {
        matches!(self.row().also, Also::Oneself)
    }

    /// Must whoever does it have all powers of the account upon which it acts?
    #[must_use]
    pub const fn needs_rank(self) -> bool {
        matches!(self.row().only, Only::NobodyBelow)
    }

    /// Is it for the creator alone, and operators?
    #[must_use]
    pub const fn is_creators(self) -> bool {
        matches!(self.row().only, Only::Creator)
    }

    /// Does it go into the log of operations? Everything that changes something does.
    #[must_use]
    pub const fn is_recorded(self) -> bool {
        matches!(self.level(), Level::Write)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_are_unique_and_what_is_the_installations_is_no_tenants() {
        let names: BTreeSet<&str> = Action::ALL.iter().map(|action| action.name()).collect();
        assert_eq!(names.len(), Action::ALL.len());
        for action in Action::ALL {
            if action.target() == Target::Installation {
                assert_eq!(action.area(), Area::Installation, "{}", action.name());
            }
            assert!(!action.is_ones_own() || action.target() == Target::Account, "{}", action.name());
            assert!(!action.needs_rank() || action.is_recorded(), "{}", action.name());
        }
    }
}
