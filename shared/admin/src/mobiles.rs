//! Text messages, and what is done by them: the mobile number of a member (AUT-01), signing in by a code that goes there, and
//! what sets another password (AUT-07).
//!
//! One way out, [`Administration::text`]: counted before by number, asker and tenant, recorded, and handed over with an id. Whoever asks for
//! a code without having shown who he is is told the same, and as late, whether or not the number is anybody's: what is sent
//! is sent beside the answer. If the process dies in between, no code comes, and whoever waits asks for another one.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use pennypost_connector::{Sms, SmsCarrier};
use pennypost_directory::{
    Attempt, MOBILE_CODE_MINUTES, Mobile, MobileNumber, MobilePurpose, Session, SignInKind, SignedInBy,
    SmsAsker,
};
use pennypost_model::{AccountKey, TenantId};
use pennypost_text::say;
use serde_json::json;
use tracing::Instrument;

use crate::action::Action;
use crate::call::{About, Call};
use crate::notices::both;
use crate::operations::{By, Entry, Origin, Outcome};
use crate::sessions::Visitor;
use crate::{AdminError, Administration, Conflict, NotSignedIn};

/// What the log calls it that somebody was sent a text message who has shown nothing yet.
const SENT: &str = "sms.send";
/// How long it takes at least to ask for a code, or to say a wrong one.
const AT_LEAST: Duration = Duration::from_millis(400);

/// By what text messages go, and how many of a tenant on a day.
#[derive(Clone)]
pub(crate) struct Texting {
    carrier: Arc<dyn SmsCarrier>,
    most_per_day: u32,
}

/// What messages with such a code are called.
const fn kind_of(purpose: MobilePurpose) -> &'static str {
    match purpose {
        MobilePurpose::SignIn => "sign-in",
        MobilePurpose::Password => "password",
        MobilePurpose::Factor => "second-factor",
    }
}

/// Whose number it is said to be.
#[derive(Debug, Clone, Copy)]
pub struct MobileLogin<'a> {
    /// A domain of the organisation.
    pub domain: &'a str,
    /// The number.
    pub number: &'a MobileNumber,
}

/// What a message says, and what it is made of.
pub(crate) struct SaidBySms {
    pub(crate) kind: &'static str,
    pub(crate) text: String,
    pub(crate) values: BTreeMap<&'static str, String>,
}

impl SaidBySms {
    /// A code for an account.
    fn code(kind: &'static str, code: &str) -> SaidBySms {
        SaidBySms::code_for(kind, code, MOBILE_CODE_MINUTES)
    }

    /// A code that waits for so many minutes.
    pub(crate) fn code_for(kind: &'static str, code: &str, minutes: i64) -> SaidBySms {
        let text = both(|text| say!(text, "sms-code", code = code, minutes = minutes), " ");
        let values = BTreeMap::from([("code", code.to_owned()), ("minutes", minutes.to_string())]);
        SaidBySms { kind, text, values }
    }
}

impl Administration {
    /// The same, where text messages go out by `carrier`, so many of a tenant on a day at most.
    #[must_use]
    pub fn sending_sms(self, carrier: Arc<dyn SmsCarrier>, most_per_day: u32) -> Administration {
        Administration { texting: Some(Texting { carrier, most_per_day }), ..self }
    }

    /// Are text messages sent from here?
    #[must_use]
    pub fn sends_sms(&self) -> bool {
        self.texting.is_some()
    }

    pub(crate) fn texting(&self) -> Result<&Texting, AdminError> {
        self.texting.as_ref().ok_or(AdminError::Conflict(Conflict::NoSms))
    }

    /// Counts a text message that is to go, before anything is made for it: else each that is not sent would be another code
    /// to be guessed.
    pub(crate) async fn count_text(
        &self,
        tenant: TenantId,
        number: &MobileNumber,
        asker: SmsAsker,
    ) -> Result<(), AdminError> {
        let most = self.texting()?.most_per_day;
        let may = self.directory.count_sms(tenant, number, asker, most).await?;
        if may { Ok(()) } else { Err(AdminError::TooManyMessages) }
    }

    /// Sends a text message that was counted.
    pub(crate) async fn text(
        &self,
        tenant: TenantId,
        number: &MobileNumber,
        said: &SaidBySms,
    ) -> Result<(), AdminError> {
        let carrier = &self.texting()?.carrier;
        let id = self.ids.event(self.clock.now()).to_string();
        let (kind, masked) = (said.kind, number.masked());
        let values = said.values.clone();
        let message = Sms { id: &id, to: number.as_str(), kind, text: &said.text, values };
        let sent = carrier.send(&message).await;
        match &sent {
            Ok(()) => tracing::info!(%tenant, id, kind, number = masked, "a text message was handed over"),
            Err(error) => {
                tracing::warn!(%tenant, id, kind, number = masked, %error, "a text message was not handed over");
            }
        }
        sent.map_err(AdminError::Sms)
    }

    /// The mobile number of an account.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn mobile(&self, call: &Call, key: AccountKey) -> Result<Mobile, AdminError> {
        self.seen(call, Action::MobileRead, key).await?;
        Ok(self.directory.mobile(key).await?)
    }

    /// Sends a code to the number that is to be the owner's.
    ///
    /// # Errors
    /// [`AdminError`]; [`Conflict::NoSms`] where no text messages are sent.
    #[pennypost_ports::compiled_here]
    pub async fn begin_mobile(&self, call: &Call, key: AccountKey, number: &str) -> Result<(), AdminError> {
        let object = key.account.to_string();
        let about = About::new(Some(key.tenant), Action::MobileSet, &object);
        let (login, _) = self.permitted_owner(call, &about, key).await?;
        self.texting()?;
        let number = MobileNumber::parse(number)?;
        let after = json!({ "mobile": number.masked(), "code": "sent" });
        let about = About { object: &login, ..about }.to(after);
        let sending = async {
            self.count_text(key.tenant, &number, SmsAsker::Member(key.account)).await?;
            let code = self.directory.begin_mobile(key, &number).await?;
            self.text(key.tenant, &number, &SaidBySms::code("bind", &code)).await
        };
        self.act(call, &about, sending).await
    }

    /// Says the code that went there: the number is the owner's from now on, and he signs in by it.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn finish_mobile(
        &self,
        call: &Call,
        key: AccountKey,
        code: &str,
    ) -> Result<Mobile, AdminError> {
        let object = key.account.to_string();
        let about = About::new(Some(key.tenant), Action::MobileSet, &object);
        let (login, _) = self.permitted_owner(call, &about, key).await?;
        let about = About { object: &login, ..about }.to(json!({ "mobile": "confirmed" }));
        let finishing = async {
            let is_right = self.directory.finish_mobile(key, code).await?;
            if is_right { Ok(()) } else { Err(AdminError::Code(pennypost_directory::SignInError::Denied)) }
        };
        self.act(call, &about, finishing).await?;
        let mobile = self.directory.mobile(key).await?;
        let number = mobile.number.as_ref().map(|(number, _)| number.masked());
        self.tell_of_mobile(key, &login, number.as_deref()).await;
        Ok(mobile)
    }

    /// The owner has no mobile number any more.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn remove_mobile(&self, call: &Call, key: AccountKey) -> Result<(), AdminError> {
        let object = key.account.to_string();
        let about = About::new(Some(key.tenant), Action::MobileSet, &object);
        let (login, _) = self.permitted_owner(call, &about, key).await?;
        let about = About { object: &login, ..about }.to(json!({ "mobile": null }));
        // Nobody would get a code any more.
        if self.directory.second_factor(key).await?.is_some_and(|factor| factor.sms) {
            return Err(AdminError::Conflict(Conflict::MobileIsFactor));
        }
        // Without one there is nothing to do, which is no mistake.
        if self.act(call, &about, self.directory.remove_mobile(key)).await? {
            self.tell_of_mobile(key, &login, None).await;
        }
        Ok(())
    }

    /// Makes a code of the second factor for the number that its owner has proved, if another message may go there.
    async fn factor_code(&self, key: AccountKey) -> Result<(MobileNumber, String), AdminError> {
        self.texting()?;
        let none = || AdminError::Conflict(Conflict::NoMobile);
        let (number, _) = self.directory.mobile(key).await?.number.ok_or_else(none)?;
        self.count_text(key.tenant, &number, SmsAsker::Owner(key.account)).await?;
        let code = self.directory.begin_mobile_code(key, &number, MobilePurpose::Factor).await?;
        Ok((number, code.ok_or_else(none)?))
    }

    /// Sends a code of the second factor to its owner (AUT-11).
    pub(crate) async fn send_factor_code(&self, key: AccountKey) -> Result<(), AdminError> {
        let (number, code) = self.factor_code(key).await?;
        self.text(key.tenant, &number, &SaidBySms::code(kind_of(MobilePurpose::Factor), &code)).await
    }

    /// What whoever has shown the right password is told, who needs a code with it: where the second factor is by SMS, one is
    /// sent; beside an authenticator, where that is wished.
    pub(crate) async fn ask_for_code(
        &self,
        key: AccountKey,
        wants_sms: bool,
        visitor: Visitor<'_>,
    ) -> Result<NotSignedIn, AdminError> {
        let factor = self.directory.second_factor(key).await?;
        if !factor.is_some_and(|factor| factor.sms && (wants_sms || !factor.authenticator)) {
            return Ok(NotSignedIn::CodeNeeded);
        }
        let (number, code) = match self.factor_code(key).await {
            // Somebody else has proved the number while this account was in the recycle bin: a recovery code opens.
            Err(AdminError::Conflict(Conflict::NoMobile)) => return Ok(NotSignedIn::CodeNeeded),
            made => made?,
        };
        let object = self.directory.account(key).await?.map(|account| account.address.to_string());
        let kind = kind_of(MobilePurpose::Factor);
        let entry = Entry {
            by: By::Stranger,
            origin: Origin::Api(visitor.address),
            action: SENT.to_owned(),
            object: object.unwrap_or_default(),
            before: None,
            after: Some(json!({ "code": kind, "mobile": number.masked() }).to_string()),
            outcome: Outcome::Ordered,
        };
        self.append(Some(key.tenant), entry).await?;
        self.text(key.tenant, &number, &SaidBySms::code(kind, &code)).await?;
        Ok(NotSignedIn::CodeSent(number.masked()))
    }

    /// The organisation of a domain.
    async fn tenant_at(&self, domain: &str) -> Result<Option<TenantId>, AdminError> {
        Ok(self.directory.tenant_of_address(&format!("postmaster@{domain}")).await?)
    }

    /// Sends a code to whoever of the organisation has that number, if anybody has: that is not told, nor that it failed.
    ///
    /// # Errors
    /// [`Conflict::NoSms`] where no text messages are sent, whoever asks.
    pub async fn begin_mobile_code(
        &self,
        login: MobileLogin<'_>,
        purpose: MobilePurpose,
        visitor: Visitor<'_>,
    ) -> Result<(), AdminError> {
        self.texting()?;
        let asking = async {
            let Some(tenant) = self.tenant_at(login.domain).await? else { return Ok(()) };
            let found = self.directory.reached_by_mobile(tenant, login.number).await?;
            let Some(account) = found else { return Ok(()) };
            self.count_text(tenant, login.number, SmsAsker::Stranger).await?;
            let code = self.directory.begin_mobile_code(account.key, login.number, purpose).await?;
            let Some(code) = code else { return Ok(()) };
            let entry = Entry {
                by: By::Stranger,
                origin: Origin::Api(visitor.address),
                action: SENT.to_owned(),
                object: account.address.to_string(),
                before: None,
                after: Some(json!({ "code": kind_of(purpose), "mobile": login.number.masked() }).to_string()),
                outcome: Outcome::Ordered,
            };
            self.append(Some(tenant), entry).await?;
            // The connector takes as long as it takes, which would tell that there is somebody.
            let (this, number) = (self.clone(), login.number.clone());
            let sending = async move {
                // What can be said of it is in the program's log.
                let _ = this.text(tenant, &number, &SaidBySms::code(kind_of(purpose), &code)).await;
            };
            tokio::spawn(sending.in_current_span());
            Ok::<_, AdminError>(())
        };
        let (asked, ()) = tokio::join!(asking, tokio::time::sleep(AT_LEAST));
        if let Err(error) = asked {
            tracing::warn!(%error, "a code was not sent");
        }
        Ok(())
    }

    /// Signs in by a mobile number and the code that went there, and by a code of the second factor where the account has one:
    /// the session, and its text, which is never told again.
    ///
    /// # Errors
    /// [`NotSignedIn`].
    pub async fn sign_in_by_mobile(
        &self,
        login: MobileLogin<'_>,
        (code, factor): (&str, Option<&str>),
        kind: SignInKind,
        visitor: Visitor<'_>,
    ) -> Result<(Session, String), NotSignedIn> {
        self.texting()?;
        let tenant = self.tenant_at(login.domain).await?;
        let program = Some(visitor.client.into());
        let attempt = Attempt { kind, mechanism: "mobile-code", client: visitor.counted(), program };
        let signing_in = self.directory.sign_in_by_mobile(&attempt, (tenant, login.number), code, factor);
        let (found, ()) = tokio::join!(signing_in, tokio::time::sleep(AT_LEAST));
        let (account, has_shown_factor) = found?.ok_or(NotSignedIn::CodeNeeded)?;
        let by = if has_shown_factor { SignedInBy::MobileAndCode } else { SignedInBy::Mobile };
        Ok(self.let_in(account.key, by, visitor, (has_shown_factor, false)).await?)
    }

    /// What sets another password, for whoever says the code that went to a mobile number ([`Administration::recover_password`]).
    ///
    /// # Errors
    /// [`AdminError`]; [`AdminError::Recovery`] for a code that is not good.
    pub async fn recover_by_mobile(
        &self,
        login: MobileLogin<'_>,
        code: &str,
        visitor: Visitor<'_>,
    ) -> Result<String, AdminError> {
        self.texting()?;
        let tenant = self.tenant_at(login.domain).await?;
        let (kind, program) = (SignInKind::Web, Some(visitor.client.into()));
        let attempt = Attempt { kind, mechanism: "mobile-recovery", client: visitor.counted(), program };
        let recovering = self.directory.recover_by_mobile(&attempt, (tenant, login.number), code);
        let (found, ()) = tokio::join!(recovering, tokio::time::sleep(AT_LEAST));
        let key = found.map_err(AdminError::Recovery)?;
        let secret = self.directory.mobile_recovery_secret(key).await?;
        secret.ok_or(AdminError::Recovery(pennypost_directory::SignInError::Denied))
    }
}
