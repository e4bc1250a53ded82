//! Friends: addresses elsewhere whose owners have agreed to get what members write to groups (GRP-07, CON-06).
//!
//! `T/friends` has an item for each address that was ever invited, by its place: 64 bits of the address's SHA-256, in the
//! letters of base32, so that every text that leads there has one length. An address without an item is a stranger's.
//!
//! An invitation is 256 random bits behind tenant and place, told in one letter and stored as SHA-256. By what a friend leaves,
//! and what marks the reports about letters to him, are made of a key of the item's own by HMAC: they stand in every letter,
//! and nobody who has none of them can make one up. Neither of them is in any log.
//!
//! Every step is a compare-and-set of the one item; each may be repeated and comes to the same. If the process dies at any
//! line, it was done or not.

use std::collections::BTreeSet;

use pennypost_model::codec::Versioned;
use pennypost_model::event::MemberElsewhere;
use pennypost_model::{EventId, TenantId, Timestamp};
use pennypost_ports::{Consistency, ControlKey, Expected};
use ring::hmac;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::store::MAX_ATTEMPTS;
use crate::{Account, Directory, DirectoryError, InvitationEnd, Listed, MailAddress, Page};

const DAY: i64 = 24 * 60 * 60 * 1000;
/// The hash of no invitation.
const NO_INVITATION: [u8; 32] = [0; 32];
/// For so long an invitation is good.
pub const FRIEND_INVITATION_LIFE: i64 = 7 * DAY;
/// Between two invitations of the same address.
const BETWEEN_INVITATIONS: i64 = DAY;
/// On so many days within [`FAILURE_DAYS`] has to fail for good what goes to a friend, until nothing goes there any more.
const MOST_FAILURES: usize = 5;
/// Days that are looked back upon.
const FAILURE_DAYS: i64 = 30;
/// How long after a letter a report about it counts.
const REPORTS: i64 = 30 * DAY;

/// What an invitation and what a friend leaves by begin with.
const INVITATION: &str = "ppf_";
const LEAVE: &str = "ppl_";
/// The local part to which reports about letters to friends go begins so; with what follows it has 64 octets, the most that
/// there may be (RFC 5321 section 4.5.3.1.1).
const REPORTS_TO: &str = "bounces+";
/// Letters of a place, of what one leaves by, of the mark of a report, of an id.
const PLACE: usize = 13;
const LEAVING: usize = 26;
const MARK: usize = 17;
const ID: usize = 26;
/// Hex digits of a tenant, and of the secret of an invitation.
const TENANT: usize = 16;
const SECRET: usize = 64;

/// How the owner of an address elsewhere stands to a tenant. Stored: new ones at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum FriendStanding {
    /// Has never agreed.
    Stranger,
    /// Has agreed, and gets what members write to groups.
    Friend,
    /// Has agreed once, and wants no more.
    Left,
    /// What went there has come back too often.
    Suspended,
}

impl FriendStanding {
    /// Its name for programs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            FriendStanding::Stranger => "stranger",
            FriendStanding::Friend => "friend",
            FriendStanding::Left => "left",
            FriendStanding::Suspended => "suspended",
        }
    }
}

/// An address elsewhere that was invited.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Friend {
    /// The address.
    pub address: MailAddress,
    /// How its owner stands to the tenant.
    pub standing: FriendStanding,
    /// Since when.
    pub since: Timestamp,
    /// When it was invited last.
    pub invited: Timestamp,
}

impl Friend {
    /// May another invitation go there at that time?
    #[must_use]
    pub const fn may_be_invited(&self, now: Timestamp) -> bool {
        self.invited.plus_millis(BETWEEN_INVITATIONS).0 <= now.0
    }
}

/// As stored. Has no `Debug`, so that it gets into no log.
#[derive(Clone, Serialize, Deserialize)]
struct FriendItem {
    address: MailAddress,
    standing: FriendStanding,
    since: Timestamp,
    invited: Timestamp,
    /// The hash of the last invitation; [`NO_INVITATION`] once it is worth nothing any more.
    invitation: [u8; 32],
    /// Of what is made by which he leaves, and what marks reports.
    key: [u8; 32],
    /// Days since 1970 on which letters were written that failed for good, lately.
    failed: BTreeSet<i64>,
}

impl Versioned for FriendItem {
    const KIND: &'static str = "friend";
}

impl FriendItem {
    fn shown(&self) -> Friend {
        let FriendItem { address, standing, since, invited, .. } = self;
        Friend { address: address.clone(), standing: *standing, since: *since, invited: *invited }
    }

    fn sign(&self, what: &str, letters: usize) -> String {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &self.key);
        base32(hmac::sign(&key, what.as_bytes()).as_ref(), letters)
    }

    fn leaving(&self) -> String {
        self.sign("leave", LEAVING)
    }

    fn mark(&self, message: EventId) -> String {
        self.sign(&format!("report {message}"), MARK)
    }

    fn becomes(&mut self, standing: FriendStanding, now: Timestamp) {
        if self.standing != standing {
            (self.standing, self.since) = (standing, now);
        }
    }
}

/// A friend to whom a letter goes.
#[derive(Clone)]
pub struct Reached {
    tenant: TenantId,
    item: FriendItem,
}

impl Reached {
    /// The address.
    #[must_use]
    pub const fn address(&self) -> &MailAddress {
        &self.item.address
    }

    /// What the event of a letter to a group has to know of him.
    #[must_use]
    pub fn member(&self, message: EventId, group: &MailAddress) -> MemberElsewhere {
        let address = self.item.address.to_string();
        let place = place(&self.item.address);
        let id = message.to_string().to_ascii_lowercase();
        let local = format!("{REPORTS_TO}{id}{place}{}", self.item.mark(message));
        let leave = format!("{LEAVE}{}{place}{}", self.tenant, self.item.leaving());
        MemberElsewhere { address, reverse_path: format!("{local}@{}", group.domain()), leave }
    }
}

/// What a letter of a member to members elsewhere of a group comes to.
pub enum Reach {
    /// It goes to these: all that are left.
    Friends(Vec<Reached>),
    /// The author has no VIP seat, and the tenant has a plan (PLN-10).
    NoSeat,
    /// Nothing of it goes anywhere: these have never agreed.
    Strangers(Vec<MailAddress>),
}

/// About which letter to whom a report is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportOf {
    /// Whose letter.
    pub tenant: TenantId,
    /// The letter.
    pub message: EventId,
    /// To whom it went.
    pub address: MailAddress,
}

fn partition(tenant: TenantId) -> String {
    format!("{tenant}/friends")
}

fn key_at(tenant: TenantId, place: &str) -> ControlKey {
    ControlKey::new(partition(tenant), place)
}

fn place(address: &MailAddress) -> String {
    base32(&Sha256::digest(address.to_string().as_bytes()), PLACE)
}

/// What `List-Id` calls a group (RFC 2919).
#[must_use]
pub fn list_id(group: &MailAddress) -> String {
    let local = group.local();
    let name = if local.is_ascii() && group.is_dot_atom() { local.to_owned() } else { place(group) };
    format!("<{name}.{}>", group.domain())
}

/// What `List-Post` says of a group (RFC 2369 section 3.4): nothing where its address has no place in a link.
#[must_use]
pub fn list_post(group: &MailAddress) -> Option<String> {
    let local = group.local();
    local.is_ascii().then(|| format!("<mailto:{}@{}>", quoted(local), group.domain()))
}

/// As a local part stands in an address of the kind `mailto:` (RFC 6068 section 2).
fn quoted(local: &str) -> String {
    let mut quoted = String::with_capacity(local.len());
    for byte in local.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            quoted.push(char::from(byte));
        } else {
            quoted.push_str(&format!("%{byte:02X}"));
        }
    }
    quoted
}

/// Does a status (RFC 3463) say that an address takes nothing, or took nothing for days? Others speak of the letter, of the
/// mailbox's room, or of whoever sends: 5.1.7 and 5.1.8 of his address, 5.7 of his standing.
#[must_use]
pub fn is_of_dead_address(status: &str) -> bool {
    match status.strip_prefix("5.") {
        Some(rest) => {
            rest == "2.1" || rest == "4.7" || rest.starts_with("1.") && !matches!(rest, "1.7" | "1.8")
        }
        None => false,
    }
}

/// The first bits as letters, five in each.
fn base32(bytes: &[u8], letters: usize) -> String {
    const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
    let bit = |at: usize| bytes.get(at / 8).is_some_and(|byte| byte >> (7 - at % 8) & 1 == 1);
    let letter = |at: usize| (0..5).fold(0, |letter, next| letter << 1 | usize::from(bit(at * 5 + next)));
    (0..letters).filter_map(|at| ALPHABET.get(letter(at)).copied().map(char::from)).collect()
}

fn hash(secret: &str) -> [u8; 32] {
    Sha256::digest(secret.as_bytes()).into()
}

/// Tenant, place and the rest of a text that begins so, if that has so many letters.
fn parts<'a>(text: &'a str, prefix: &str, rest: usize) -> Option<(TenantId, &'a str, &'a str)> {
    let letters = text.strip_prefix(prefix)?;
    let is_whole = letters.len() == TENANT + PLACE + rest
        && letters.bytes().all(|byte| byte.is_ascii_digit() || byte.is_ascii_lowercase());
    if !is_whole {
        return None;
    }
    let (tenant, letters) = letters.split_at(TENANT);
    let (place, rest) = letters.split_at(PLACE);
    Some((tenant.parse().ok()?, place, rest))
}

impl Directory {
    /// Addresses elsewhere that were invited, in no order that means anything.
    ///
    /// # Errors
    /// The port's.
    #[pennypost_ports::compiled_here]
    pub async fn friends(&self, tenant: TenantId, page: &Page) -> Result<Listed<Friend>, DirectoryError> {
        let Listed { items, next } = self.list::<FriendItem>(&partition(tenant), "", page).await?;
        Ok(Listed { items: items.iter().map(|(_, item)| item.shown()).collect(), next })
    }

    /// One of them.
    ///
    /// # Errors
    /// The port's.
    #[pennypost_ports::compiled_here]
    pub async fn friend(
        &self,
        tenant: TenantId,
        address: &MailAddress,
    ) -> Result<Option<Friend>, DirectoryError> {
        Ok(self.friend_item(tenant, address).await?.map(|item| item.shown()))
    }

    async fn friend_item(
        &self,
        tenant: TenantId,
        address: &MailAddress,
    ) -> Result<Option<FriendItem>, DirectoryError> {
        let held = self.read::<FriendItem>(&key_at(tenant, &place(address)), Consistency::Strong).await?;
        Ok(held.map(|held| held.value).filter(|item| item.address == *address))
    }

    /// Invites whoever has an address elsewhere: the invitation, good for [`FRIEND_INVITATION_LIFE`]; the one before is worth
    /// nothing. `None`: he was invited within the last day. How he stands stays as it is until he agrees.
    ///
    /// # Errors
    /// [`DirectoryError::AddressTaken`] where another address has the same place, [`DirectoryError::Contended`], or the
    /// port's.
    #[pennypost_ports::compiled_here]
    pub async fn invite_friend(
        &self,
        tenant: TenantId,
        address: &MailAddress,
    ) -> Result<Option<String>, DirectoryError> {
        let place = place(address);
        let key = key_at(tenant, &place);
        for _ in 0..MAX_ATTEMPTS {
            let now = self.clock.now();
            let held = self.read::<FriendItem>(&key, Consistency::Strong).await?;
            let expected = held.as_ref().map_or(Expected::Absent, |held| Expected::Version(held.version));
            let secret: String =
                rand::random::<[u8; 32]>().iter().map(|byte| format!("{byte:02x}")).collect();
            let item = match held.map(|held| held.value) {
                Some(item) if item.address != *address => {
                    return Err(DirectoryError::AddressTaken(address.to_string()));
                }
                Some(item) if item.invited.plus_millis(BETWEEN_INVITATIONS) > now => return Ok(None),
                Some(item) => FriendItem { invited: now, invitation: hash(&secret), ..item },
                None => FriendItem {
                    address: address.clone(),
                    standing: FriendStanding::Stranger,
                    since: now,
                    invited: now,
                    invitation: hash(&secret),
                    key: rand::random(),
                    failed: BTreeSet::new(),
                },
            };
            if self.write(&key, &item, expected).await?.is_some() {
                return Ok(Some(format!("{INVITATION}{tenant}{place}{secret}")));
            }
        }
        Err(DirectoryError::Contended)
    }

    /// An invitation was not sent: it is worth nothing, and another one may follow at once.
    ///
    /// # Errors
    /// The port's.
    #[pennypost_ports::compiled_here]
    pub async fn take_friends_invitation_back(
        &self,
        tenant: TenantId,
        address: &MailAddress,
    ) -> Result<(), DirectoryError> {
        let key = key_at(tenant, &place(address));
        let taken = self.change(&key, |item: &mut FriendItem| {
            item.invited = Timestamp::default();
            Ok(())
        });
        taken.await.map(drop)
    }

    /// Forgets an address: whoever has it is a stranger again. `false` if it was never invited.
    ///
    /// # Errors
    /// The port's.
    #[pennypost_ports::compiled_here]
    pub async fn forget_friend(
        &self,
        tenant: TenantId,
        address: &MailAddress,
    ) -> Result<bool, DirectoryError> {
        if self.friend_item(tenant, address).await?.is_none() {
            return Ok(false);
        }
        self.erase(&key_at(tenant, &place(address))).await?;
        Ok(true)
    }

    /// Whom an invitation is for, if it is good.
    ///
    /// # Errors
    /// [`DirectoryError::NoInvitation`], [`DirectoryError::InvitationOver`], or the port's.
    #[pennypost_ports::compiled_here]
    pub async fn invited_friend(&self, invitation: &str) -> Result<(TenantId, Friend), DirectoryError> {
        let (tenant, place, secret) =
            parts(invitation, INVITATION, SECRET).ok_or(DirectoryError::NoInvitation)?;
        let held = self.read::<FriendItem>(&key_at(tenant, place), Consistency::Strong).await?;
        let item = held.map(|held| held.value).ok_or(DirectoryError::NoInvitation)?;
        self.check_friends_invitation(&item, secret)?;
        Ok((tenant, item.shown()))
    }

    fn check_friends_invitation(&self, item: &FriendItem, secret: &str) -> Result<(), DirectoryError> {
        if item.invitation != hash(secret) {
            return Err(DirectoryError::NoInvitation);
        }
        if item.invited.plus_millis(FRIEND_INVITATION_LIFE) < self.clock.now() {
            return Err(DirectoryError::InvitationOver(InvitationEnd::Past));
        }
        Ok(())
    }

    /// Somebody agrees, by an invitation. Doing it once more comes to the same.
    ///
    /// # Errors
    /// Those of [`Directory::invited_friend`].
    #[pennypost_ports::compiled_here]
    pub async fn accept_friend(&self, invitation: &str) -> Result<Friend, DirectoryError> {
        let (tenant, place, secret) =
            parts(invitation, INVITATION, SECRET).ok_or(DirectoryError::NoInvitation)?;
        let now = self.clock.now();
        let key = key_at(tenant, place);
        let accepted = self.change(&key, |item: &mut FriendItem| {
            self.check_friends_invitation(item, secret)?;
            if item.standing != FriendStanding::Friend {
                item.failed.clear();
            }
            item.becomes(FriendStanding::Friend, now);
            Ok(item.shown())
        });
        accepted.await?.ok_or(DirectoryError::NoInvitation)
    }

    /// Who leaves by that.
    ///
    /// # Errors
    /// [`DirectoryError::NoInvitation`] where nobody does, or the port's.
    #[pennypost_ports::compiled_here]
    pub async fn leaving_friend(&self, leave: &str) -> Result<(TenantId, Friend), DirectoryError> {
        let (tenant, place, secret) = parts(leave, LEAVE, LEAVING).ok_or(DirectoryError::NoInvitation)?;
        let held = self.read::<FriendItem>(&key_at(tenant, place), Consistency::Strong).await?;
        let item = held.map(|held| held.value).filter(|item| hash(&item.leaving()) == hash(secret));
        Ok((tenant, item.ok_or(DirectoryError::NoInvitation)?.shown()))
    }

    /// A friend leaves, by what stands in every letter. Doing it once more comes to the same.
    ///
    /// # Errors
    /// Those of [`Directory::leaving_friend`].
    #[pennypost_ports::compiled_here]
    pub async fn leave_as_friend(&self, leave: &str) -> Result<Friend, DirectoryError> {
        let (tenant, place, secret) = parts(leave, LEAVE, LEAVING).ok_or(DirectoryError::NoInvitation)?;
        let now = self.clock.now();
        let key = key_at(tenant, place);
        let left = self.change(&key, |item: &mut FriendItem| {
            if hash(&item.leaving()) != hash(secret) {
                return Err(DirectoryError::NoInvitation);
            }
            // Who has never agreed stays a stranger: there is nothing to leave.
            if item.standing != FriendStanding::Stranger {
                item.becomes(FriendStanding::Left, now);
            }
            // By which he has agreed once, nobody agrees for him again.
            item.invitation = NO_INVITATION;
            Ok(item.shown())
        });
        left.await?.ok_or(DirectoryError::NoInvitation)
    }

    /// To whom a letter of a member to members elsewhere of a group goes (GRP-07). Who has left, or whose letters come back, is
    /// passed over: his leaving closes the group to nobody.
    ///
    /// # Errors
    /// The port's.
    #[pennypost_ports::compiled_here]
    pub async fn reach(&self, author: &Account, addresses: &[MailAddress]) -> Result<Reach, DirectoryError> {
        let tenant = author.key.tenant;
        let has_plan = self.tenant(tenant).await?.is_some_and(|tenant| tenant.plan.is_some());
        if has_plan && !author.is_vip {
            return Ok(Reach::NoSeat);
        }
        let (mut friends, mut strangers) = (Vec::new(), Vec::new());
        for address in addresses {
            let item = self.friend_item(tenant, address).await?;
            match item {
                Some(item) if item.standing == FriendStanding::Friend => {
                    friends.push(Reached { tenant, item });
                }
                Some(item) if item.standing != FriendStanding::Stranger => {}
                _ => strangers.push(address.clone()),
            }
        }
        Ok(if strangers.is_empty() { Reach::Friends(friends) } else { Reach::Strangers(strangers) })
    }

    /// About which letter to whom a report is that comes to this address; `None`: to none of those that were given out.
    ///
    /// # Errors
    /// The port's.
    #[pennypost_ports::compiled_here]
    pub async fn report_of(&self, address: &str) -> Result<Option<ReportOf>, DirectoryError> {
        let Ok(address) = MailAddress::parse(address) else { return Ok(None) };
        let Some(letters) = address.local().strip_prefix(REPORTS_TO) else { return Ok(None) };
        if letters.len() != ID + PLACE + MARK || !letters.is_ascii() {
            return Ok(None);
        }
        let (id, letters) = letters.split_at(ID);
        let (place, mark) = letters.split_at(PLACE);
        let Ok(message) = id.to_ascii_uppercase().parse::<EventId>() else { return Ok(None) };
        let now = self.clock.now();
        if message.time() > now.plus_millis(DAY) || message.time().plus_millis(REPORTS) < now {
            return Ok(None);
        }
        let Some(tenant) = self.owner(address.domain(), Consistency::Strong).await? else { return Ok(None) };
        let held = self.read::<FriendItem>(&key_at(tenant, place), Consistency::Strong).await?;
        let item = held.map(|held| held.value).filter(|item| hash(&item.mark(message)) == hash(mark));
        Ok(item.map(|item| ReportOf { tenant, message, address: item.address }))
    }

    /// Notes that what was written at that time has failed for good at a friend's; several letters of a day count once, and
    /// what was written before he agreed does not. `true` if nothing goes there from now on.
    ///
    /// # Errors
    /// The port's.
    #[pennypost_ports::compiled_here]
    pub async fn friend_failed(
        &self,
        tenant: TenantId,
        address: &MailAddress,
        written: Timestamp,
    ) -> Result<bool, DirectoryError> {
        let (now, today) = (self.clock.now(), self.clock.now().0.div_euclid(DAY));
        let key = key_at(tenant, &place(address));
        let noted = self.change(&key, |item: &mut FriendItem| {
            let is_friend = item.address == *address && item.standing == FriendStanding::Friend;
            if !is_friend || written < item.since {
                return Ok(false);
            }
            item.failed.insert(written.0.div_euclid(DAY));
            item.failed.retain(|day| *day > today - FAILURE_DAYS);
            let is_over = item.failed.len() >= MOST_FAILURES;
            if is_over {
                item.becomes(FriendStanding::Suspended, now);
                item.invitation = NO_INVITATION;
            }
            Ok(is_over)
        });
        Ok(noted.await?.unwrap_or(false))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item() -> FriendItem {
        FriendItem {
            address: MailAddress::parse("Bea@Far.example").expect("an address"),
            standing: FriendStanding::Friend,
            since: Timestamp(0),
            invited: Timestamp(0),
            invitation: [0; 32],
            key: [7; 32],
            failed: BTreeSet::new(),
        }
    }

    #[test]
    fn what_stands_in_letters_fits_where_it_has_to() {
        let reached = Reached { tenant: TenantId(9), item: item() };
        let group = MailAddress::parse("all@acme.example").expect("an address");
        let message = EventId::from_parts(Timestamp(1_795_000_000_000), 3);
        let member = reached.member(message, &group);
        let (local, domain) = member.reverse_path.rsplit_once('@').expect("an address");
        assert_eq!((local.len(), domain), (MailAddress::MAX_LOCAL, "acme.example"));
        // Servers on the way may write it in other letters, and addresses are read in small ones.
        assert_eq!(
            MailAddress::parse(&member.reverse_path.to_uppercase()).expect("an address").local(),
            local
        );
        let (tenant, place, rest) = parts(&member.leave, LEAVE, LEAVING).expect("its parts");
        assert_eq!((tenant, place.to_owned()), (TenantId(9), super::place(&item().address)));
        assert_eq!(rest, item().leaving());
        for bad in
            ["", LEAVE, &member.leave[1..], &format!("{}0", member.leave), &member.leave.to_uppercase()]
        {
            assert!(parts(bad, LEAVE, LEAVING).is_none(), "{bad}");
        }
        // Another letter, another friend, another mark.
        let other = EventId::from_parts(Timestamp(1_795_000_000_000), 4);
        assert_ne!(item().mark(message), item().mark(other));
        assert_ne!(item().mark(message), FriendItem { key: [8; 32], ..item() }.mark(message));
    }

    #[test]
    fn only_what_is_the_addresss_counts_against_it() {
        for (status, expected) in [
            ("5.1.1", true),
            ("5.1.10", true),
            ("5.2.1", true),
            ("5.4.7", true),
            ("5.1.7", false),
            ("5.1.8", false),
            ("5.2.2", false),
            ("5.3.4", false),
            ("5.6.0", false),
            ("5.7.1", false),
            ("5.7.26", false),
            ("5.0.0", false),
            ("4.1.1", false),
            ("", false),
        ] {
            assert_eq!(is_of_dead_address(status), expected, "{status}");
        }
    }

    #[test]
    fn letters_of_base32_are_the_first_bits() {
        assert_eq!(base32(&[0xff, 0x00, 0x80], 4), "zw08");
        assert_eq!(base32(&[], 2), "00");
    }
}
