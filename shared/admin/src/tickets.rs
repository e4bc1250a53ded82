//! Tickets: how a portal of the organisation lets a member in who has signed in there (INT-01).
//!
//! A program with a key asks for a ticket for an account, and sends the member's browser with it to the post office, which
//! opens a session. A ticket is 256 random bits, is stored as its SHA-256, opens one session within a minute, and is taken
//! away by compare-and-set before the session is there: shown again it opens nothing. One for an account that can do more
//! than the key is refused. Tickets that nobody showed are removed when others are made.
//!
//! Whoever shows one is let in by the rules that hold for passwords, and is in the record of sign-ins: the portal says who it
//! is, not from where he may come, nor that the account is open to guesses again.

use pennypost_directory::{AccountKind, Attempt, DirectoryError, Session, SignInKind, SignedInBy, Word};
use pennypost_model::codec::Versioned;
use pennypost_model::{AccountId, AccountKey, TenantId, Timestamp};
use pennypost_ports::{Consistency, ControlKey, Expected};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::action::Action;
use crate::call::{About, Call};
use crate::sessions::{NotSignedIn, Visitor};
use crate::{AdminError, Administration};

/// What every ticket begins with.
const PREFIX: &str = "ppo_";
/// Hex digits of the tenant, and of the secret.
const DIGITS: usize = 16 + 64;
/// Seconds that a ticket is good for.
pub const TICKET_LIFE: u32 = 60;
/// Old ones that are looked at for each new one.
const SWEEP: usize = 2;

#[derive(Serialize, Deserialize)]
struct Ticket {
    account: AccountId,
    until: Timestamp,
}

impl Versioned for Ticket {
    const KIND: &'static str = "ticket";
}

fn partition(tenant: TenantId) -> String {
    format!("{tenant}/tickets")
}

fn ticket_key(tenant: TenantId, secret: &str) -> ControlKey {
    let digest = Sha256::digest(secret.as_bytes());
    let sort: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    ControlKey::new(partition(tenant), sort)
}

fn parts(text: &str) -> Option<(TenantId, &str)> {
    let digits = text.strip_prefix(PREFIX)?;
    let is_hex = digits.len() == DIGITS && digits.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    if is_hex { Some((digits[..16].parse().ok()?, &digits[16..])) } else { None }
}

impl Administration {
    /// Makes a ticket for an account.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn add_ticket(&self, call: &Call, key: AccountKey) -> Result<String, AdminError> {
        let object = key.account.to_string();
        let about = About::new(Some(key.tenant), Action::TicketAdd, &object);
        let account = self.permitted(call, &about, key).await?;
        if !account.is_open(self.clock.now()) {
            return Err(AdminError::NotFound("account"));
        }
        if account.kind != AccountKind::Member {
            return Err(DirectoryError::WrongKind(account.address.to_string()).into());
        }
        let secret: String = rand::random::<[u8; 32]>().iter().map(|byte| format!("{byte:02x}")).collect();
        let until = self.clock.now().plus_millis(i64::from(TICKET_LIFE) * 1000);
        let ticket = Ticket { account: key.account, until };
        let item_key = ticket_key(key.tenant, &secret);
        let address = account.address.to_string();
        let about = About { object: &address, ..about };
        self.act(call, &about, async {
            let is_written = self.write(&item_key, &ticket, Expected::Absent).await?;
            if is_written { Ok(()) } else { Err(AdminError::Changed) }
        })
        .await?;
        self.sweep_tickets(&item_key).await?;
        Ok(format!("{PREFIX}{}{secret}", key.tenant))
    }

    async fn sweep_tickets(&self, made: &ControlKey) -> Result<(), AdminError> {
        let now = self.clock.now();
        let rows = self.control.query(&made.partition, "", Some(&made.sort), SWEEP).await?;
        for (sort, item) in rows {
            let is_over = pennypost_model::codec::decode::<Ticket>(&item.value)
                .map_or(true, |ticket| ticket.until <= now);
            if is_over {
                self.control.delete_if(&ControlKey::new(&made.partition, sort), item.version).await?;
            }
        }
        Ok(())
    }

    /// Opens a session with a ticket, which is worth nothing afterwards.
    ///
    /// # Errors
    /// [`NotSignedIn`].
    pub async fn sign_in_by_ticket(
        &self,
        ticket: &str,
        visitor: Visitor<'_>,
    ) -> Result<(Session, String), NotSignedIn> {
        let program = Some(visitor.client.into());
        let attempt =
            Attempt { kind: SignInKind::Sso, mechanism: "ticket", client: visitor.counted(), program };
        let named = self.take_ticket(ticket).await?;
        let word = Word { tenant: named.map(|key| key.tenant), login: "", account: named };
        let account = self.directory.sign_in_by_word(&attempt, &word).await?;
        Ok(self.let_in(account.key, SignedInBy::Ticket, visitor, (false, false)).await?)
    }

    /// For whom a ticket is; it is worth nothing afterwards.
    async fn take_ticket(&self, ticket: &str) -> Result<Option<AccountKey>, AdminError> {
        let Some((tenant, secret)) = parts(ticket) else { return Ok(None) };
        let key = ticket_key(tenant, secret);
        let Some(found) = self.control.get(&key, Consistency::Strong).await? else { return Ok(None) };
        let ticket: Ticket = pennypost_model::codec::decode(&found.value)?;
        let is_taken = self.control.delete_if(&key, found.version).await?;
        let is_good = is_taken && ticket.until > self.clock.now();
        Ok(is_good.then_some(AccountKey { tenant, account: ticket.account }))
    }
}
