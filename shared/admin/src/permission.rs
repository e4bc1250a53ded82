//! What can be given to a role or to a key: areas of administration, each to look at or to change.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A part of administration. Stored: new ones at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Area {
    /// Tenants as such, and whatever belongs to no tenant. Never given to anybody of a tenant.
    Installation,
    /// What is known of the tenant itself.
    Tenant,
    /// Domains of the tenant.
    Domains,
    /// Accounts with their aliases, passwords and tokens.
    Members,
    /// Groups.
    Groups,
    /// What the tenant lets in, and what mail programs may do.
    Policies,
    /// Roles and who holds them.
    Administrators,
    /// Keys for programs.
    Keys,
    /// The log of operations.
    Log,
    /// What can't be made undone, without a person who confirms it (ADM-13). For keys; a person confirms.
    Dangerous,
    /// Letting members in who have signed in elsewhere (INT-01).
    SignOn,
    /// How many unread letters members have, and notices of new mail for other programs (INT-01).
    Notices,
    /// Accounts and tags as a directory elsewhere has them, over SCIM (ORG-26). For keys of programs.
    Provisioning,
}

impl Area {
    /// Every area.
    pub const ALL: [Area; 13] = [
        Area::Installation,
        Area::Tenant,
        Area::Domains,
        Area::Members,
        Area::Groups,
        Area::Policies,
        Area::Administrators,
        Area::Keys,
        Area::Log,
        Area::Dangerous,
        Area::SignOn,
        Area::Notices,
        Area::Provisioning,
    ];

    /// Its name in permissions.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Area::Installation => "installation",
            Area::Tenant => "tenant",
            Area::Domains => "domains",
            Area::Members => "members",
            Area::Groups => "groups",
            Area::Policies => "policies",
            Area::Administrators => "administrators",
            Area::Keys => "keys",
            Area::Log => "log",
            Area::Dangerous => "dangerous",
            Area::SignOn => "sign-on",
            Area::Notices => "notices",
            Area::Provisioning => "provisioning",
        }
    }
}

/// How far a permission goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Level {
    /// Looking.
    Read,
    /// Changing, and looking.
    Write,
}

impl Level {
    const fn name(self) -> &'static str {
        match self {
            Level::Read => "read",
            Level::Write => "write",
        }
    }
}

/// A permission: `members:write`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Permission {
    /// Of what.
    pub area: Area,
    /// How far.
    pub level: Level,
}

/// A text that names no permission.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no permission: write AREA:read or AREA:write")]
pub struct NoPermission(pub String);

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.area.name(), self.level.name())
    }
}

impl FromStr for Permission {
    type Err = NoPermission;

    fn from_str(text: &str) -> Result<Permission, NoPermission> {
        let wrong = || NoPermission(text.chars().take(60).collect());
        let (area, level) = text.split_once(':').ok_or_else(wrong)?;
        let area = Area::ALL.into_iter().find(|known| known.name() == area).ok_or_else(wrong)?;
        let level = [Level::Read, Level::Write].into_iter().find(|known| known.name() == level);
        Ok(Permission { area, level: level.ok_or_else(wrong)? })
    }
}

/// A set of permissions; changing holds looking.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Permissions(BTreeMap<Area, Level>);

impl Permissions {
    /// Everything that there is, for operators.
    #[must_use]
    pub fn all() -> Permissions {
        Permissions(Area::ALL.into_iter().map(|area| (area, Level::Write)).collect())
    }

    /// Everything within a tenant.
    #[must_use]
    pub fn of_tenant() -> Permissions {
        let mut all = Permissions::all();
        all.0.remove(&Area::Installation);
        all
    }

    /// Is this among them?
    #[must_use]
    pub fn allow(&self, area: Area, level: Level) -> bool {
        self.0.get(&area).is_some_and(|held| *held >= level)
    }

    /// Are all of the others among them?
    #[must_use]
    pub fn hold(&self, others: &Permissions) -> bool {
        others.0.iter().all(|(area, level)| self.allow(*area, *level))
    }

    /// What is in both.
    #[must_use]
    pub fn and(&self, others: &Permissions) -> Permissions {
        let both = |(area, level): (&Area, &Level)| Some((*area, *others.0.get(area)?.min(level)));
        Permissions(self.0.iter().filter_map(both).collect())
    }

    /// With what is lent to keys by it: whoever provisions changes members ([`crate::Administration::provisioner`]).
    #[must_use]
    pub fn with_lent(&self) -> Permissions {
        let lent =
            self.0.get(&Area::Provisioning).map(|level| Permission { area: Area::Members, level: *level });
        self.iter().chain(lent).collect()
    }

    /// Is there nothing in it?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// One after another, the largest of each area.
    pub fn iter(&self) -> impl Iterator<Item = Permission> {
        self.0.iter().map(|(area, level)| Permission { area: *area, level: *level })
    }
}

impl FromIterator<Permission> for Permissions {
    fn from_iter<I: IntoIterator<Item = Permission>>(permissions: I) -> Permissions {
        let mut set = BTreeMap::new();
        for Permission { area, level } in permissions {
            let held = set.entry(area).or_insert(level);
            *held = level.max(*held);
        }
        Permissions(set)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(texts: &[&str]) -> Permissions {
        texts.iter().map(|text| text.parse::<Permission>().expect("a permission")).collect()
    }

    #[test]
    fn permissions_are_read_as_they_are_written() {
        for permission in Permissions::all().iter() {
            assert_eq!(permission.to_string().parse(), Ok(permission));
        }
        for bad in ["", "members", "members:", "members:delete", "Members:read", ":read", "members:read "] {
            assert!(bad.parse::<Permission>().is_err(), "{bad}");
        }
    }

    #[test]
    fn changing_holds_looking() {
        let set = of(&["members:write", "members:read", "log:read"]);
        assert!(set.allow(Area::Members, Level::Read) && set.allow(Area::Members, Level::Write));
        assert!(set.allow(Area::Log, Level::Read) && !set.allow(Area::Log, Level::Write));
        assert!(!set.allow(Area::Groups, Level::Read));
        assert!(set.hold(&of(&["members:read"])) && !of(&["members:read"]).hold(&set));
        assert_eq!(set.and(&of(&["members:read", "groups:write"])), of(&["members:read"]));
        assert!(!Permissions::of_tenant().allow(Area::Installation, Level::Read));
    }
}
