//! Forgotten passwords (AUT-07): the recovery address of a member, and setting another password by what is sent there.
//!
//! Whoever asks is told the same, and as late, whether or not there is such a member: nothing is told but to the address.

use std::net::IpAddr;
use std::time::Duration;

use pennypost_directory::{
    Attempt, ChangePasswordError, MailAddress, RECOVERY_CODE_MINUTES, RECOVERY_MINUTES, Recovery,
    RecoveryLetter, RecoveryPlace, SignInKind,
};
use pennypost_model::AccountKey;
use pennypost_text::say;
use serde_json::json;

use crate::action::Action;
use crate::call::{About, Call};
use crate::notices::{Notice, NoticePlace, NoticeSent, both};
use crate::operations::{By, Entry, Origin, Outcome};
use crate::sessions::Visitor;
use crate::{AdminError, Administration, Conflict, Invalid};

/// What the log calls it that somebody has set another password by what was sent to him.
const RECOVERED: &str = "password.recover";
/// How long it takes at least to ask for a letter: longer than it takes to write one.
const AT_LEAST: Duration = Duration::from_millis(400);

impl Administration {
    /// The recovery address of an account.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn recovery(&self, call: &Call, key: AccountKey) -> Result<Recovery, AdminError> {
        self.seen(call, Action::RecoveryRead, key).await?;
        Ok(self.directory.recovery(key).await?)
    }

    /// Where an address is that is to be the recovery address of an account.
    pub(crate) async fn recovery_place(
        &self,
        key: AccountKey,
        address: &MailAddress,
    ) -> Result<RecoveryPlace, AdminError> {
        // Mailboxes of other tenants are as far away as any, and no letter goes to them.
        if self.directory.tenant_of_address(&address.to_string()).await? != Some(key.tenant) {
            self.must_reach(address).await?;
            return Ok(RecoveryPlace::Elsewhere);
        }
        let mailbox = self.directory.recovery_mailbox(address).await?.ok_or(Invalid::NoMailbox)?;
        // Whoever can't sign in does not read what lies there.
        if mailbox == key {
            return Err(Invalid::OwnAddress.into());
        }
        Ok(RecoveryPlace::Mailbox(mailbox))
    }

    /// Sends a code to the address that is to be the owner's recovery address: another member's, or one elsewhere.
    ///
    /// # Errors
    /// [`AdminError`]; [`Conflict::NotFromHere`] for an address elsewhere where nothing is sent there.
    #[pennypost_ports::compiled_here]
    pub async fn begin_recovery_address(
        &self,
        call: &Call,
        key: AccountKey,
        address: &str,
    ) -> Result<(), AdminError> {
        let object = key.account.to_string();
        let about = About::new(Some(key.tenant), Action::RecoverySet, &object);
        let (login, _) = self.permitted_owner(call, &about, key).await?;
        let address = MailAddress::parse(address).map_err(pennypost_directory::DirectoryError::from)?;
        let to = address.to_string();
        let at = self.recovery_place(key, &address).await?;
        let about = About { object: &login, ..about }.to(json!({ "recovery_address": to, "code": "sent" }));
        let sending = async {
            let code = self.directory.begin_recovery_address(key, &address, at).await?;
            let code = code.ok_or(AdminError::TooManyLetters)?;
            let domain = login.rsplit('@').next().unwrap_or_default();
            let subject = both(|text| say!(text, "letter-recovery-code-subject"), " / ");
            let body = both(
                |text| {
                    let (login, code) = (login.as_str(), code.as_str());
                    say!(
                        text,
                        "letter-recovery-code",
                        login = login,
                        code = code,
                        minutes = RECOVERY_CODE_MINUTES
                    )
                },
                "\n\n",
            );
            let place = NoticePlace::at(at, key);
            let notice = Notice { domain, to: &to, place, subject: &subject, text: &body };
            match self.send_notice(&notice).await? {
                NoticeSent::Sent => Ok(()),
                NoticeSent::Unsent => Err(AdminError::Conflict(Conflict::NotFromHere)),
            }
        };
        self.act(call, &about, sending).await
    }

    /// Says the code that went there: the address is the owner's recovery address from now on.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn finish_recovery_address(
        &self,
        call: &Call,
        key: AccountKey,
        code: &str,
    ) -> Result<Recovery, AdminError> {
        let object = key.account.to_string();
        let about = About::new(Some(key.tenant), Action::RecoverySet, &object);
        let (login, _) = self.permitted_owner(call, &about, key).await?;
        let about = About { object: &login, ..about }.to(json!({ "recovery_address": "confirmed" }));
        let finishing = async {
            let is_right = self.directory.finish_recovery_address(key, code).await?;
            if is_right { Ok(()) } else { Err(AdminError::Code(pennypost_directory::SignInError::Denied)) }
        };
        self.act(call, &about, finishing).await?;
        let recovery = self.directory.recovery(key).await?;
        let now = recovery.address.as_ref().map(|known| known.address.as_str());
        self.tell_of_recovery(key, &login, now).await;
        Ok(recovery)
    }

    /// Tells the account itself that its recovery address is another one: whoever has not said it learns so.
    pub(crate) async fn tell_of_recovery(&self, key: AccountKey, login: &str, now: Option<&str>) {
        let domain = login.rsplit('@').next().unwrap_or_default();
        let subject = both(|text| say!(text, "letter-recovery-changed-subject"), " / ");
        let body = both(
            |text| match now {
                Some(address) => say!(text, "letter-recovery-changed", login = login, address = address),
                None => say!(text, "letter-recovery-removed", login = login),
            },
            "\n\n",
        );
        let place = NoticePlace::Mailbox(key);
        let notice = Notice { domain, to: login, place, subject: &subject, text: &body };
        match self.send_notice(&notice).await {
            Ok(NoticeSent::Sent) => {}
            // It is changed already.
            Ok(NoticeSent::Unsent) => tracing::warn!(account = %key, "the account takes no letters"),
            Err(error) => {
                tracing::warn!(account = %key, %error, "the letter of a recovery address did not go")
            }
        }
    }

    /// The owner forgets the recovery address.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn remove_recovery_address(&self, call: &Call, key: AccountKey) -> Result<(), AdminError> {
        let object = key.account.to_string();
        let about = About::new(Some(key.tenant), Action::RecoverySet, &object);
        let (login, _) = self.permitted_owner(call, &about, key).await?;
        let about = About { object: &login, ..about }.to(json!({ "recovery_address": null }));
        // Without one there is nothing to do, which is no mistake.
        if self.act(call, &about, self.directory.remove_recovery_address(key)).await? {
            self.tell_of_recovery(key, &login, None).await;
        }
        Ok(())
    }

    /// Sends a letter to whoever has forgotten his password, if he has said where: that is not told, nor that it failed, which
    /// it does mostly where there is something to do.
    #[pennypost_ports::compiled_here]
    pub async fn begin_password_recovery(&self, login: &str) {
        let (asked, ()) = tokio::join!(self.send_recovery(login), tokio::time::sleep(AT_LEAST));
        if let Err(error) = asked {
            tracing::warn!(%error, "a letter to somebody who has forgotten his password did not go");
        }
    }

    async fn send_recovery(&self, login: &str) -> Result<(), AdminError> {
        let Some(letter) = self.directory.begin_password_recovery(login).await? else { return Ok(()) };
        let domain = letter.login.rsplit('@').next().unwrap_or_default();
        let subject = both(|text| say!(text, "letter-recovery-subject"), " / ");
        let body = both(
            |text| {
                let (login, secret) = (letter.login.as_str(), letter.secret.as_str());
                say!(text, "letter-recovery", login = login, secret = secret, minutes = RECOVERY_MINUTES)
            },
            "\n\n",
        );
        let RecoveryLetter { to, mailbox, account, .. } = &letter;
        let place = mailbox.map_or(NoticePlace::Elsewhere(*account), NoticePlace::Mailbox);
        let notice = Notice { domain, to, place, subject: &subject, text: &body };
        if self.send_notice(&notice).await? == NoticeSent::Unsent {
            tracing::warn!(%account, "no letter goes to the recovery address any more");
        }
        Ok(())
    }

    /// Sets another password by what was sent.
    ///
    /// # Errors
    /// [`AdminError`]; [`AdminError::Recovery`] for a secret that is not good.
    pub async fn recover_password(
        &self,
        secret: &str,
        new: &str,
        visitor: Visitor<'_>,
    ) -> Result<(), AdminError> {
        let program = Some(visitor.client.into());
        let (mechanism, client): (_, IpAddr) = ("recovery", visitor.counted());
        let attempt = Attempt { kind: SignInKind::Web, mechanism, client, program };
        let key = self.directory.password_recovery(&attempt, secret).await.map_err(AdminError::Recovery)?;
        let account = self.directory.account(key).await?.ok_or(AdminError::NotFound("account"))?;
        let entry = Entry {
            by: By::Recovering,
            origin: Origin::Api(visitor.address),
            action: RECOVERED.to_owned(),
            object: account.address.to_string(),
            before: None,
            after: None,
            outcome: Outcome::Ordered,
        };
        let of = self.append(Some(key.tenant), entry.clone()).await?;
        let set = self.directory.recover_password(secret, new).await;
        let error = match set {
            Ok(()) => return Ok(()),
            Err(ChangePasswordError::Old(error)) => AdminError::Recovery(error),
            Err(ChangePasswordError::New(error)) => error.into(),
        };
        let outcome = Outcome::Failed { of, cause: error.to_string() };
        self.append(Some(key.tenant), Entry { outcome, ..entry }).await?;
        Err(error)
    }
}
