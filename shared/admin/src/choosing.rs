//! A person who has accounts in several organisations (TEN-16): who has signed in by a mobile number is told of which others it is
//! his, too, and chooses one, without another code.
//!
//! Owns `installation/choices`, digest: what was given to whoever asked, for five minutes and one sign-in. It says who asked, in
//! which session, and by which number; whose that is is asked anew when one is chosen, of both organisations, and whether that
//! session still stands. A session that came of a choice, or was opened before the number was proved, leads to none. It is taken away by conditional delete
//! before there is a session; asking for a second factor leaves it. Those that nobody used are removed when others are made.

use pennypost_directory::{Attempt, MobileNumber, Session, SessionId, SignInError, SignInKind, SignedInBy};
use pennypost_model::codec::{Versioned, decode};
use pennypost_model::{AccountKey, TenantId, Timestamp};
use pennypost_ports::{ControlKey, Expected};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::authorise::Actor;
use crate::call::Call;
use crate::sessions::Visitor;
use crate::{AdminError, Administration, NotSignedIn};

const PREFIX: &str = "ppc_";
const DIGITS: usize = 64;
const PARTITION: &str = "installation/choices";
/// For how long one may choose, and for how long after having signed in one may ask.
const LIFE: i64 = 5 * 60 * 1000;
/// Old ones that are looked at for each new one.
const SWEEP: usize = 2;

/// An organisation that somebody may choose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// Its id.
    pub tenant: TenantId,
    /// Its name.
    pub name: String,
    /// The address of the person's account there.
    pub address: String,
}

/// What is shown to choose.
#[derive(Debug, Clone, Copy)]
pub struct Chosen<'a> {
    /// What was given.
    pub selection: &'a str,
    /// Which organisation.
    pub tenant: TenantId,
    /// A code of the second factor, or a recovery code.
    pub factor: Option<&'a str>,
    /// By what way.
    pub kind: SignInKind,
}

#[derive(Serialize, Deserialize)]
struct Selection {
    account: AccountKey,
    session: SessionId,
    number: MobileNumber,
    until: Timestamp,
}

impl Versioned for Selection {
    const KIND: &'static str = "choice of organisations";
}

fn key_of(text: &str) -> Option<ControlKey> {
    let digits = text.strip_prefix(PREFIX)?;
    let is_hex = digits.len() == DIGITS && digits.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    let digest = Sha256::digest(text.as_bytes());
    let sort: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    is_hex.then(|| ControlKey::new(PARTITION, sort))
}

impl Administration {
    /// The organisations in which whoever has just signed in by a mobile number has an account, and what is shown to choose one of
    /// them. For anybody else there are none.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn choices(&self, call: &Call) -> Result<(Vec<Choice>, Option<String>), AdminError> {
        let (Actor::Person { account, .. }, Some(presence)) = (&call.actor, call.actor.presence()) else {
            return Ok((Vec::new(), None));
        };
        let key = *account;
        let now = self.clock.now();
        let sessions = self.directory.sessions(key).await?;
        let by_mobile = sessions.iter().find(|session| {
            session.id == presence.session
                && matches!(session.by, SignedInBy::Mobile | SignedInBy::MobileAndCode)
                && (0..LIFE).contains(&now.0.saturating_sub(session.created.0))
        });
        let Some(session) = by_mobile else { return Ok((Vec::new(), None)) };
        // A number that was proved later is another one than that by which the session was opened.
        let number = self.directory.mobile(key).await?.number.filter(|(_, since)| *since <= session.created);
        let Some((number, _)) = number else { return Ok((Vec::new(), None)) };
        let mut choices = Vec::new();
        for account in self.directory.accounts_of_number(&number).await? {
            let (tenant, address) = (account.key.tenant, account.address.to_string());
            if let Some(found) = self.directory.tenant(tenant).await? {
                choices.push(Choice { tenant, name: found.name, address });
            }
        }
        if choices.iter().all(|choice| choice.tenant == key.tenant) {
            return Ok((choices, None));
        }
        let secret: String = rand::random::<[u8; 32]>().iter().map(|byte| format!("{byte:02x}")).collect();
        let text = format!("{PREFIX}{secret}");
        let item_key = key_of(&text).ok_or(AdminError::Changed)?;
        let selection = Selection { account: key, session: session.id, number, until: now.plus_millis(LIFE) };
        self.write(&item_key, &selection, Expected::Absent).await?;
        for (sort, item) in self.control.query(PARTITION, "", Some(&item_key.sort), SWEEP).await? {
            if decode::<Selection>(&item.value).map_or(true, |selection| selection.until <= now) {
                self.control.delete_if(&ControlKey::new(PARTITION, sort), item.version).await?;
            }
        }
        Ok((choices, Some(text)))
    }

    /// Opens a session at the organisation that was chosen.
    ///
    /// # Errors
    /// [`NotSignedIn`].
    pub async fn choose(
        &self,
        chosen: Chosen<'_>,
        visitor: Visitor<'_>,
    ) -> Result<(Session, String), NotSignedIn> {
        let denied = || NotSignedIn::Refused(SignInError::Denied);
        let item_key = key_of(chosen.selection).ok_or_else(denied)?;
        let found = self.read::<Selection>(&item_key).await?;
        let is_good = |(selection, _): &(Selection, u64)| selection.until > self.clock.now();
        let (selection, version) = found.filter(is_good).ok_or_else(denied)?;
        let Selection { account, session, number, .. } = selection;
        if !self.directory.session_stands(account, session).await.map_err(AdminError::from)? {
            return Err(denied());
        }
        let still = self.directory.mobile_owner(account.tenant, &number).await.map_err(AdminError::from)?;
        let wanted = self.directory.mobile_owner(chosen.tenant, &number).await.map_err(AdminError::from)?;
        let Some(wanted) = wanted.filter(|_| still == Some(account)) else { return Err(denied()) };
        let program = Some(visitor.client.into());
        let attempt = Attempt { kind: chosen.kind, mechanism: "chosen", client: visitor.counted(), program };
        let shown = self.directory.sign_in_by_choice(&attempt, wanted, chosen.factor).await?;
        let (account, has_shown_factor) = shown.ok_or(NotSignedIn::CodeNeeded)?;
        let is_taken = self.control.delete_if(&item_key, version).await.map_err(AdminError::from)?;
        if !is_taken {
            return Err(denied());
        }
        let by = if has_shown_factor { SignedInBy::ChosenAndCode } else { SignedInBy::Chosen };
        Ok(self.let_in(account.key, by, visitor, (has_shown_factor, false)).await?)
    }
}
