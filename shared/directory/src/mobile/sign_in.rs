//! What a code opens that went to a mobile number.

use pennypost_model::{AccountId, AccountKey, TenantId};

use super::code::{Code, look, put};
use super::{MobileNumber, MobilePurpose};
use crate::sign_in::{Checked, Subject, flatten, or_refuse};
use crate::sign_in_rules::Gate;
use crate::throttle::{Counters, Whose};
use crate::{Account, Attempt, Directory, DirectoryError, SignInError, SignInOutcome};

/// That somebody waits too long for his turn, or lost too often, would tell that there are others at that number.
fn quiet<T>(checked: Checked<T>) -> Checked<T> {
    match checked {
        Err(error @ (DirectoryError::Busy | DirectoryError::Contended)) => {
            tracing::warn!(%error, "a mobile code could not be looked at");
            Ok(Err(SignInError::Denied))
        }
        other => other,
    }
}

/// Whose turn it is to say a code.
fn lane(tenant: TenantId, number: &MobileNumber) -> String {
    format!("mobile code of {number} in {tenant}")
}

impl Directory {
    /// Makes a code for a member, who has that number; the one before it stays good until its end. Each has tries of its own,
    /// so it is to be counted before ([`Directory::count_sms`]). `None`: it is not his number any more.
    ///
    /// # Errors
    /// The port's.
    #[pennypost_ports::compiled_here]
    pub async fn begin_mobile_code(
        &self,
        key: AccountKey,
        number: &MobileNumber,
        purpose: MobilePurpose,
    ) -> Result<Option<String>, DirectoryError> {
        let now = self.clock.now();
        let (code, text) = Code::fresh(now);
        let is_his = self
            .change_mobile(key, |item| {
                let is_his = item.number.as_ref().is_some_and(|(own, _)| own == number);
                if is_his {
                    put(&mut item.codes, purpose, code.clone(), now);
                }
                (is_his, is_his)
            })
            .await?;
        Ok(is_his.then_some(text))
    }

    /// Takes the code of the second factor that went to the number; a wrong one counts for each that waits.
    pub(crate) async fn take_factor_code(&self, key: AccountKey, said: &str) -> Result<bool, DirectoryError> {
        let now = self.clock.now();
        self.change_mobile(key, |item| {
            let (is_right, is_changed) = look(&mut item.codes, MobilePurpose::Factor, said, now);
            if is_right {
                item.codes.retain(|(of, _)| *of != MobilePurpose::Factor);
            }
            (is_right, is_right || is_changed)
        })
        .await
    }

    /// Signs in whoever has a number, by the code that went there, and a code of the second factor where there is one. `None`:
    /// the code is right, and one of the second factor is needed with it. With whether one was shown.
    ///
    /// # Errors
    /// [`SignInError`]: [`SignInError::Denied`], whatever is wrong with number or account.
    #[pennypost_ports::compiled_here]
    pub async fn sign_in_by_mobile(
        &self,
        attempt: &Attempt,
        (tenant, number): (Option<TenantId>, &MobileNumber),
        said: &str,
        factor: Option<&str>,
    ) -> Result<Option<(Account, bool)>, SignInError> {
        let mut subject = Subject { tenant, ..Subject::default() };
        let shown = (MobilePurpose::SignIn, said, factor);
        let checking = Box::pin(self.check_mobile(attempt, (tenant, number), shown, &mut subject));
        let result = flatten(quiet(checking.await));
        match &result {
            Ok(Some(_)) => self.record_as(attempt, &subject, SignInOutcome::Ok, None),
            Ok(None) => self.record_as(attempt, &subject, SignInOutcome::CodeNeeded, None),
            Err(error) => self.record_refusal(attempt, &subject, error),
        }
        result
    }

    /// Whose password the code sets that went to a number; it is used up.
    ///
    /// # Errors
    /// As [`Directory::sign_in_by_mobile`].
    #[pennypost_ports::compiled_here]
    pub async fn recover_by_mobile(
        &self,
        attempt: &Attempt,
        (tenant, number): (Option<TenantId>, &MobileNumber),
        said: &str,
    ) -> Result<AccountKey, SignInError> {
        let mut subject = Subject { tenant, ..Subject::default() };
        let shown = (MobilePurpose::Password, said, None);
        let checking = Box::pin(self.check_mobile(attempt, (tenant, number), shown, &mut subject));
        let result = flatten(quiet(checking.await));
        if let Err(error) = &result {
            self.record_refusal(attempt, &subject, error);
        }
        result?.map(|(account, _)| account.key).ok_or(SignInError::Denied)
    }

    async fn check_mobile(
        &self,
        attempt: &Attempt,
        (tenant, number): (Option<TenantId>, &MobileNumber),
        (purpose, said, factor): (MobilePurpose, &str, Option<&str>),
        subject: &mut Subject,
    ) -> Checked<Option<(Account, bool)>> {
        let Some(tenant) = tenant else { return self.refuse_stranger(attempt).await };
        // One after the other: else many at once would all be looked at before the first is counted. Nobody's number waits as
        // somebody's does.
        let turn = self.turn_of(&lane(tenant, number)).await?;
        let found = match (self.mobile_owner(tenant, number).await?, purpose) {
            // Codes of the second factor open nothing alone.
            (None, _) | (_, MobilePurpose::Factor) => None,
            (Some(key), MobilePurpose::SignIn) => self.admitted(attempt, key, subject).await?.ok(),
            // That wrong passwords have locked the account keeps nobody out who sets another one.
            (Some(key), MobilePurpose::Password) => self.open_to(attempt, key, subject).await?.ok(),
        };
        // A lock, or a rule of addresses, would tell that there is somebody: it is told, and counts, as nobody's number.
        let Some((account, gate)) = found else {
            return self.refuse_number(attempt, tenant, number).await;
        };
        let key = account.key;
        let counters = Counters::new(Whose::Mobile(key), &gate, attempt.client, self.clock.now());
        if self.unbarred(&counters).await?.is_err() {
            return self.refuse_someone(attempt, &gate).await;
        }
        let now = self.clock.now();
        let is_right = self.change_mobile(key, |item| look(&mut item.codes, purpose, said, now)).await?;
        if !is_right {
            subject.outcome = Some(SignInOutcome::WrongCode);
            subject.locked = self.count_failure(&counters, attempt.client).await?;
            return Ok(Err(SignInError::Denied));
        }
        if purpose == MobilePurpose::SignIn && gate.is_secure() && !gate.has_factor {
            // Secure sign-in: no single thing that may be overheard opens anything (AUT-08).
            subject.outcome = Some(SignInOutcome::Closed);
            return Ok(Err(SignInError::Denied));
        }
        if purpose == MobilePurpose::Password && gate.has_sms_factor {
            // Else whoever has the telephone alone would have both the password and the second factor (AUT-11).
            subject.outcome = Some(SignInOutcome::Closed);
            return Ok(Err(SignInError::Denied));
        }
        // What is asked for beside it is asked for before the code is used up: it is said again with the other one.
        let asks_factor = gate.has_factor && purpose == MobilePurpose::SignIn;
        // That one has a turn of its own, which may be the same lane.
        drop(turn);
        if asks_factor {
            let Some(factor) = factor else { return Ok(Ok(None)) };
            // Another code of the same telephone is no second factor.
            or_refuse!(self.take_code(key, (factor, false), attempt, subject).await?);
        }
        let is_taken = self
            .change_mobile(key, |item| {
                let is_it =
                    |(of, code): &(MobilePurpose, Code)| *of == purpose && code.is(said, now) == Some(true);
                let is_there = item.codes.iter().any(is_it);
                if is_there {
                    // What else was asked for is of no use any more.
                    item.codes.retain(|(of, _)| *of != purpose);
                }
                (is_there, is_there)
            })
            .await?;
        if !is_taken {
            return Ok(Err(SignInError::Denied));
        }
        self.forget_failures(&counters).await?;
        self.note_network(key, &gate, attempt.client).await?;
        // Numbers that were proved before that was kept are noted now.
        self.note_number_in(tenant, number).await?;
        Ok(Ok(Some((account, asks_factor))))
    }

    /// Refuses a code of a number that is nobody's: counted, slowed and locked as one of a member's.
    async fn refuse_number<T>(
        &self,
        attempt: &Attempt,
        tenant: TenantId,
        number: &MobileNumber,
    ) -> Checked<T> {
        let gate = self.gate(AccountKey { tenant, account: AccountId::default() }).await?;
        let whose = Whose::Nobody(tenant, number.as_str());
        let counters = Counters::new(whose, &gate, attempt.client, self.clock.now());
        if self.unbarred(&counters).await?.is_err() {
            return self.refuse_someone(attempt, &gate).await;
        }
        self.count_failure(&counters, attempt.client).await?;
        Ok(Err(SignInError::Denied))
    }

    /// Refuses whoever comes too early or to a locked number, which counts for the network only, by the tenant's rules.
    async fn refuse_someone<T>(&self, attempt: &Attempt, gate: &Gate) -> Checked<T> {
        let counters = Counters::new(Whose::Unnamed, gate, attempt.client, self.clock.now());
        or_refuse!(self.unbarred(&counters).await?);
        self.count_failure(&counters, attempt.client).await?;
        Ok(Err(SignInError::Denied))
    }
}
