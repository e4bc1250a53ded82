//! What an account may do with mail: with whom it exchanges it by an administrator's word (ORG-07), and what the operator has
//! blocked of a tenant or of an account (TEN-10).
//!
//! Both are parts of the account's and of the tenant's item, which signing in and receiving read anyway: neither costs a read
//! more.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};

use pennypost_model::{AccountKey, TenantId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::store::name_for_people;
use crate::{Account, ClientRules, Directory, DirectoryError, Function, Tenant};

/// Characters of a reason.
const MAX_REASON: usize = 500;

/// With whom mail is exchanged, in one direction: the narrower, the later. Stored in this order.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum MailReach {
    /// Everybody.
    #[default]
    Anyone,
    /// Members of the same organisation.
    Inside,
    /// Nobody.
    Nobody,
}

impl MailReach {
    /// Every one.
    pub const ALL: [MailReach; 3] = [MailReach::Anyone, MailReach::Inside, MailReach::Nobody];

    /// Its name for programs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            MailReach::Anyone => "anyone",
            MailReach::Inside => "inside",
            MailReach::Nobody => "nobody",
        }
    }

    /// Does it hold somebody who is, or is not, inside?
    #[must_use]
    pub const fn holds(self, is_inside: bool) -> bool {
        match self {
            MailReach::Anyone => true,
            MailReach::Inside => is_inside,
            MailReach::Nobody => false,
        }
    }
}

impl std::str::FromStr for MailReach {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<MailReach, &'static str> {
        let found = MailReach::ALL.into_iter().find(|reach| reach.name() == text);
        found.ok_or("anyone, inside or nobody")
    }
}

/// With whom an account exchanges mail (ORG-07).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MailPermission {
    /// To whom its owner may send.
    pub send: MailReach,
    /// From whom it takes mail.
    pub receive: MailReach,
}

/// What the operator blocks (TEN-10). Stored: new ones at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Blockable {
    /// Handing in mail.
    Sending,
    /// Mail from outside the organisation.
    ReceivingFromOutside,
    /// Mail programs: IMAP, POP3 and submission.
    MailPrograms,
    /// A function of plans, of a whole tenant.
    OfPlan(Function),
}

impl Blockable {
    /// Its name for programs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Blockable::Sending => "sending",
            Blockable::ReceivingFromOutside => "receiving-from-outside",
            Blockable::MailPrograms => "mail-programs",
            Blockable::OfPlan(function) => function.name(),
        }
    }

    /// Can it be blocked for a single account?
    #[must_use]
    pub const fn is_of_accounts(self) -> bool {
        !matches!(self, Blockable::OfPlan(_))
    }
}

impl std::str::FromStr for Blockable {
    type Err = crate::NoFunction;

    fn from_str(text: &str) -> Result<Blockable, crate::NoFunction> {
        let own = [Blockable::Sending, Blockable::ReceivingFromOutside, Blockable::MailPrograms];
        match own.into_iter().find(|one| one.name() == text) {
            Some(found) => Ok(found),
            None => text.parse().map(Blockable::OfPlan),
        }
    }
}

/// Functions that the operator has blocked, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Block {
    /// Which; never empty.
    pub functions: BTreeSet<Blockable>,
    /// For administrators.
    pub reason: String,
    /// Since when it is so, as it is.
    pub since: Timestamp,
}

impl Block {
    /// The names of what is blocked and is there.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        let is_there = |one: &&Blockable| match one {
            Blockable::OfPlan(function) => Function::ALL.contains(function),
            _ => true,
        };
        self.functions.iter().filter(is_there).map(|one| one.name())
    }
}

fn is_blocked(block: Option<&Block>, function: Blockable) -> bool {
    block.is_some_and(|block| block.functions.contains(&function))
}

impl Tenant {
    /// Has the operator blocked it?
    #[must_use]
    pub fn is_blocked(&self, function: Blockable) -> bool {
        is_blocked(self.block.as_ref(), function)
    }
}

impl Account {
    /// Has the operator blocked it for this account?
    #[must_use]
    pub fn is_blocked(&self, function: Blockable) -> bool {
        is_blocked(self.block.as_ref(), function)
    }

    /// To whom its owner may send, by an administrator's word and the operator's.
    #[must_use]
    pub fn sends(&self) -> MailReach {
        if self.is_blocked(Blockable::Sending) { MailReach::Nobody } else { self.mail.send }
    }

    /// Does it take mail of a sender who is, or is not, of its organisation?
    #[must_use]
    pub fn takes_mail(&self, is_inside: bool) -> bool {
        let is_open = is_inside || !self.is_blocked(Blockable::ReceivingFromOutside);
        is_open && self.mail.receive.holds(is_inside)
    }
}

impl ClientRules {
    /// These, with what an administrator and the operator have said about an account and its tenant.
    pub(crate) fn limited(mut self, tenant: &Tenant, account: &Account) -> ClientRules {
        if tenant.is_blocked(Blockable::MailPrograms) {
            (self.imap.open, self.pop3.open) = (false, false);
        }
        self.send = if tenant.is_blocked(Blockable::Sending) { MailReach::Nobody } else { MailReach::Anyone };
        self.limited_to(account)
    }

    /// These, with what is said about an account by itself: of a business mailbox also about the one who uses it.
    #[must_use]
    pub fn limited_to(mut self, account: &Account) -> ClientRules {
        if account.is_blocked(Blockable::MailPrograms) {
            (self.imap.open, self.pop3.open) = (false, false);
        }
        self.send = self.send.max(account.sends());
        self
    }
}

impl Directory {
    /// Says with whom an account exchanges mail, if what holds is still as expected; `false` if it is not.
    ///
    /// # Errors
    /// [`DirectoryError::NoAccount`], or the port's.
    #[pennypost_ports::compiled_here]
    pub async fn change_mail_permission(
        &self,
        key: AccountKey,
        expected: MailPermission,
        permission: MailPermission,
    ) -> Result<bool, DirectoryError> {
        self.try_change_account(key, |account| {
            let is_same = account.mail == expected;
            if is_same {
                account.mail = permission;
            }
            Ok(is_same)
        })
        .await
    }

    /// Says whether members' letters bear the names that administrators have given, if what holds is still as expected;
    /// `false` if it is not.
    ///
    /// # Errors
    /// [`DirectoryError::NoTenant`], or the port's.
    #[pennypost_ports::compiled_here]
    pub async fn set_unified_names(
        &self,
        tenant: TenantId,
        expected: bool,
        unified: bool,
    ) -> Result<bool, DirectoryError> {
        let is_same = AtomicBool::new(false);
        let setting = self.change_tenant(tenant, |tenant| {
            is_same.store(tenant.has_unified_names == expected, Ordering::Relaxed);
            if tenant.has_unified_names == expected {
                tenant.has_unified_names = unified;
            }
        });
        setting.await?;
        Ok(is_same.into_inner())
    }

    /// What the operator blocks, as it is stored; `None` where nothing is named.
    ///
    /// # Errors
    /// [`DirectoryError::Name`] for a reason that is empty, too long, or holds what cannot be seen.
    pub fn block(
        &self,
        functions: BTreeSet<Blockable>,
        reason: &str,
    ) -> Result<Option<Block>, DirectoryError> {
        if functions.is_empty() {
            return Ok(None);
        }
        let reason = name_for_people(reason, MAX_REASON)?;
        Ok(Some(Block { functions, reason, since: self.clock.now() }))
    }

    /// The operator blocks functions of a tenant, and no others: `None` ends it. `false` if what is blocked is not any more
    /// what was expected.
    ///
    /// # Errors
    /// [`DirectoryError::NoTenant`], or the port's.
    #[pennypost_ports::compiled_here]
    pub async fn set_tenant_block(
        &self,
        tenant: TenantId,
        expected: Option<&Block>,
        block: Option<Block>,
    ) -> Result<bool, DirectoryError> {
        let is_same = AtomicBool::new(false);
        let setting = self.change_tenant(tenant, |tenant| {
            let is_expected = tenant.block.as_ref() == expected;
            is_same.store(is_expected, Ordering::Relaxed);
            if is_expected {
                tenant.block.clone_from(&block);
            }
        });
        setting.await?;
        Ok(is_same.into_inner())
    }

    /// The operator blocks functions of an account, and no others: `None` ends it.
    ///
    /// # Errors
    /// [`DirectoryError::NoAccount`], or the port's.
    #[pennypost_ports::compiled_here]
    pub async fn set_account_block(
        &self,
        key: AccountKey,
        block: Option<Block>,
    ) -> Result<(), DirectoryError> {
        self.change_account(key, |account| account.block.clone_from(&block)).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whom_each_reach_holds() {
        let held = MailReach::ALL.map(|reach| (reach.holds(true), reach.holds(false)));
        assert_eq!(held, [(true, true), (true, false), (false, false)]);
        for reach in MailReach::ALL {
            assert_eq!(reach.name().parse(), Ok(reach));
        }
    }

    #[test]
    fn what_is_blocked_has_a_name_of_its_own() {
        let own = [Blockable::Sending, Blockable::ReceivingFromOutside, Blockable::MailPrograms];
        let all = own.into_iter().chain(Function::ALL.iter().map(|function| Blockable::OfPlan(*function)));
        let names: BTreeSet<&str> = all.clone().map(Blockable::name).collect();
        assert_eq!(names.len(), all.clone().count());
        for one in all {
            assert_eq!(one.name().parse(), Ok(one));
        }
        assert!("postage".parse::<Blockable>().is_err());
    }
}
