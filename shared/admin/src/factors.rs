//! Second factors: set up by their owner, taken away by an administrator when they are lost, and shown again before what
//! can't be made undone (ADM-13).

use std::net::IpAddr;

use pennypost_directory::{Attempt, NewAuthenticator, SecondFactor, SignInError, SignInKind};
use pennypost_model::AccountKey;
use serde_json::{Value, json};

use crate::action::Action;
use crate::authorise::{Presence, Why};
use crate::call::{About, Call};
use crate::{AdminError, Administration, Invalid};

const fn attempt(client: IpAddr) -> Attempt {
    Attempt::new(SignInKind::Web, "code", client)
}

impl Administration {
    /// The second factor of an account, if it has one.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn second_factor(
        &self,
        call: &Call,
        key: AccountKey,
    ) -> Result<Option<SecondFactor>, AdminError> {
        self.seen(call, Action::SecondFactorRead, key).await?;
        Ok(self.directory.second_factor(key).await?)
    }

    /// The owner, who has just signed in, or has shown the second factor that there is.
    pub(crate) async fn permitted_owner(
        &self,
        call: &Call,
        about: &About<'_>,
        key: AccountKey,
    ) -> Result<(String, Presence), AdminError> {
        let account = self.permitted(call, about, key).await?;
        let presence = *call.actor.presence().ok_or(AdminError::Denied(Why::NoPermission))?;
        // A passkey is one: else whoever has the password alone would add another.
        let has_factor = self.directory.second_factor(key).await?.is_some()
            || !self.directory.passkeys(key).await?.is_empty();
        let is_sure = if has_factor { presence.is_confirmed } else { presence.is_fresh };
        if !is_sure {
            self.note_denied(call, about, Why::Unconfirmed).await?;
            return Err(AdminError::Denied(Why::Unconfirmed));
        }
        Ok((account.address.to_string(), presence))
    }

    /// Makes a secret for the owner's authenticator; it counts from its first code on.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn begin_authenticator(
        &self,
        call: &Call,
        key: AccountKey,
    ) -> Result<NewAuthenticator, AdminError> {
        let object = key.account.to_string();
        let about = About::new(Some(key.tenant), Action::SecondFactorSet, &object);
        let (address, _) = self.permitted_owner(call, &about, key).await?;
        let about = About { object: &address, ..about }.to(json!({ "authenticator": "begun" }));
        self.act(call, &about, self.directory.begin_authenticator(key)).await
    }

    /// The authenticator's first code: it counts from now on. The recovery codes, which are told once.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn finish_authenticator(
        &self,
        call: &Call,
        key: AccountKey,
        code: &str,
        client: IpAddr,
    ) -> Result<Vec<String>, AdminError> {
        let attempt = attempt(client);
        let finishing = self.directory.finish_authenticator(key, code, &attempt);
        self.finish_factor(call, key, json!({ "authenticator": "set up" }), finishing).await
    }

    /// Sets up a factor that its owner has shown to have; the session is as good as one that began with it.
    async fn finish_factor(
        &self,
        call: &Call,
        key: AccountKey,
        told: Value,
        finishing: impl Future<Output = Result<Vec<String>, SignInError>> + Send,
    ) -> Result<Vec<String>, AdminError> {
        let object = key.account.to_string();
        let about = About::new(Some(key.tenant), Action::SecondFactorSet, &object);
        let (address, presence) = self.permitted_owner(call, &about, key).await?;
        let about = About { object: &address, ..about }.to(told);
        let codes = self.act(call, &about, async { finishing.await.map_err(AdminError::Code) }).await?;
        self.directory.confirm_session(key, presence.session).await?;
        Ok(codes)
    }

    /// Sends a code to the owner's number, which is to be a second factor (AUT-11).
    ///
    /// # Errors
    /// [`AdminError`]; [`Conflict::NoSms`] where no text messages are sent, [`Conflict::NoMobile`] where no number was proved.
    ///
    /// [`Conflict::NoSms`]: crate::Conflict::NoSms
    /// [`Conflict::NoMobile`]: crate::Conflict::NoMobile
    #[pennypost_ports::compiled_here]
    pub async fn begin_sms_factor(&self, call: &Call, key: AccountKey) -> Result<(), AdminError> {
        let object = key.account.to_string();
        let about = About::new(Some(key.tenant), Action::SecondFactorSet, &object);
        let (address, _) = self.permitted_owner(call, &about, key).await?;
        let about = About { object: &address, ..about }.to(json!({ "sms": "begun" }));
        self.act(call, &about, self.send_factor_code(key)).await
    }

    /// The code was said that went there: codes by SMS are a second factor from now on. The recovery codes, which are told once,
    /// if there was none before.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn finish_sms_factor(
        &self,
        call: &Call,
        key: AccountKey,
        code: &str,
        client: IpAddr,
    ) -> Result<Vec<String>, AdminError> {
        let attempt = attempt(client);
        let finishing = self.directory.finish_sms_factor(key, code, &attempt);
        self.finish_factor(call, key, json!({ "sms": "set up" }), finishing).await
    }

    /// Codes by SMS are no second factor of the owner any more; the other sessions of the account end.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn remove_sms_factor(&self, call: &Call, key: AccountKey) -> Result<(), AdminError> {
        let object = key.account.to_string();
        let about = About::new(Some(key.tenant), Action::SecondFactorSet, &object);
        let (address, presence) = self.permitted_owner(call, &about, key).await?;
        if !self.directory.second_factor(key).await?.is_some_and(|factor| factor.sms) {
            return Err(Invalid::NoFactor.into());
        }
        let about = About { object: &address, ..about }.to(json!({ "sms": "removed" }));
        let removing = async {
            self.directory.remove_sms_factor(key).await?;
            self.directory.end_sessions(key, Some(presence.session)).await
        };
        self.act(call, &about, removing).await.map(drop)
    }

    /// Sends a code by SMS with which the owner confirms a session ([`Administration::confirm`]).
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn send_confirmation_code(&self, call: &Call, key: AccountKey) -> Result<(), AdminError> {
        let object = key.account.to_string();
        let about = About::new(Some(key.tenant), Action::SessionConfirm, &object);
        let account = self.permitted(call, &about, key).await?;
        if !self.directory.second_factor(key).await?.is_some_and(|factor| factor.sms) {
            return Err(Invalid::NoFactor.into());
        }
        let address = account.address.to_string();
        let about = About { object: &address, ..about }.to(json!({ "sms": "sent" }));
        self.act(call, &about, self.send_factor_code(key)).await
    }

    /// Makes new recovery codes in the place of the earlier ones.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn new_recovery_codes(&self, call: &Call, key: AccountKey) -> Result<Vec<String>, AdminError> {
        let object = key.account.to_string();
        let about = About::new(Some(key.tenant), Action::SecondFactorSet, &object);
        let (address, _) = self.permitted_owner(call, &about, key).await?;
        let about = About { object: &address, ..about }.to(json!({ "recovery_codes": "new" }));
        let codes = self.act(call, &about, self.directory.new_recovery_codes(key)).await?;
        codes.ok_or(AdminError::Invalid(Invalid::NoFactor))
    }

    /// The owner takes the own authenticator away; the other sessions of the account end.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn remove_authenticator(&self, call: &Call, key: AccountKey) -> Result<(), AdminError> {
        let object = key.account.to_string();
        let about = About::new(Some(key.tenant), Action::SecondFactorSet, &object);
        let (address, presence) = self.permitted_owner(call, &about, key).await?;
        if !self.directory.second_factor(key).await?.is_some_and(|factor| factor.authenticator) {
            return Err(Invalid::NoFactor.into());
        }
        let about = About { object: &address, ..about }.to(json!({ "authenticator": "removed" }));
        let removing = async {
            self.directory.remove_authenticator(key).await?;
            self.directory.end_sessions(key, Some(presence.session)).await
        };
        self.act(call, &about, removing).await.map(drop)
    }

    /// Takes away the second factor and the passkeys of somebody who has lost them; sessions that they may have opened end.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn reset_second_factor(&self, call: &Call, key: AccountKey) -> Result<(), AdminError> {
        let object = key.account.to_string();
        let about = About::new(Some(key.tenant), Action::SecondFactorReset, &object);
        let account = self.permitted(call, &about, key).await?;
        let address = account.address.to_string();
        let about = About { object: &address, ..about };
        // Without one there is nothing to do, which is no mistake.
        self.act(call, &about, async {
            self.directory.remove_second_factor(key).await?;
            self.directory.remove_passkeys(key).await?;
            let own = call.actor.presence().map(|presence| presence.session);
            self.directory.end_sessions(key, own).await
        })
        .await
        .map(drop)
    }

    /// Shows the second factor again: for five minutes the session may do what can't be made undone (ADM-13).
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn confirm(
        &self,
        call: &Call,
        key: AccountKey,
        code: &str,
        client: IpAddr,
    ) -> Result<(), AdminError> {
        let object = key.account.to_string();
        let about = About::new(Some(key.tenant), Action::SessionConfirm, &object);
        let account = self.permitted(call, &about, key).await?;
        let presence = *call.actor.presence().ok_or(AdminError::Denied(Why::NoPermission))?;
        if self.directory.second_factor(key).await?.is_none() {
            return Err(Invalid::NoFactor.into());
        }
        let address = account.address.to_string();
        let about = About { object: &address, ..about };
        let confirmed = async {
            self.directory.check_code(key, code, &attempt(client)).await.map_err(AdminError::Code)?;
            let is_there = self.directory.confirm_session(key, presence.session).await?;
            if is_there { Ok(()) } else { Err(AdminError::NotFound("session")) }
        };
        self.act(call, &about, confirmed).await
    }
}
