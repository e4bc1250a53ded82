//! One person with accounts in several organisations (TEN-16): of which a mobile number is somebody's.
//!
//! Owns the index `mobile-tenants/DIGEST`, tenant, of numbers that were proved. A row is written before what it tells of, and
//! removed after it, so that it says too much at most; it is believed only if the tenant says the same. The number itself is
//! nowhere in it: the digest takes a key of the installation, since eleven digits are soon guessed. Its rows are outside the
//! tenant's partitions: [`Directory::forget_numbers_of`] removes them when a tenant is erased.

use pennypost_model::{AccountKey, TenantId};
use pennypost_ports::ControlKey;
use ring::hmac;

use crate::mobile::mobile_numbers;
use crate::sign_in::{Checked, Subject, flatten, or_refuse};
use crate::{Account, Attempt, Directory, DirectoryError, MobileNumber, SignInError, SignInOutcome};

/// Organisations between which one person chooses.
pub const MAX_CHOICES: usize = 50;

impl Directory {
    async fn tenants_partition(&self, number: &MobileNumber) -> Result<String, DirectoryError> {
        let key = hmac::Key::new(hmac::HMAC_SHA256, self.salt_key().await?);
        let digest = hmac::sign(&key, format!("tenants of {number}").as_bytes());
        let digits: String = digest.as_ref().iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        Ok(format!("mobile-tenants/{digits}"))
    }

    /// Forgets of some numbers of a tenant that is being erased that they are somebody's there, with whose they are; `true` if
    /// there are none left.
    ///
    /// # Errors
    /// The port's.
    #[pennypost_ports::compiled_here]
    pub async fn forget_numbers_of(&self, tenant: TenantId, limit: usize) -> Result<bool, DirectoryError> {
        let partition = mobile_numbers(tenant);
        let found = self.control.query(&partition, "", None, limit).await?;
        let is_last = found.len() < limit;
        for (sort, _) in found {
            if let Ok(number) = MobileNumber::parse(&sort) {
                self.forget_number_in(tenant, &number).await?;
            }
            self.erase(&ControlKey::new(partition.as_str(), sort)).await?;
        }
        Ok(is_last)
    }

    /// Notes that a number may be somebody's of a tenant.
    pub(crate) async fn note_number_in(
        &self,
        tenant: TenantId,
        number: &MobileNumber,
    ) -> Result<(), DirectoryError> {
        let places = [tenant.to_string()];
        self.mark_index(&self.tenants_partition(number).await?, places.iter()).await
    }

    /// Notes that it is nobody's there any more.
    pub(crate) async fn forget_number_in(
        &self,
        tenant: TenantId,
        number: &MobileNumber,
    ) -> Result<(), DirectoryError> {
        self.erase(&ControlKey::new(self.tenants_partition(number).await?, tenant.to_string())).await
    }

    /// The accounts, one of a tenant, whose owners have proved this number and could sign in by it (TEN-16); at most
    /// [`MAX_CHOICES`].
    ///
    /// # Errors
    /// The port's.
    #[pennypost_ports::compiled_here]
    pub async fn accounts_of_number(&self, number: &MobileNumber) -> Result<Vec<Account>, DirectoryError> {
        let noted = self.control.query(&self.tenants_partition(number).await?, "", None, MAX_CHOICES).await?;
        let mut found = Vec::new();
        for (tenant, _) in noted {
            let Ok(tenant) = tenant.parse::<TenantId>() else { continue };
            found.extend(self.reached_by_mobile(tenant, number).await?);
        }
        Ok(found)
    }

    /// Signs somebody in who has shown a moment ago, at another organisation, that the number of this account is his (TEN-16),
    /// and a code of the second factor where there is one. `None`: one is needed. With whether one was shown.
    ///
    /// # Errors
    /// [`SignInError`].
    #[pennypost_ports::compiled_here]
    pub async fn sign_in_by_choice(
        &self,
        attempt: &Attempt,
        key: AccountKey,
        factor: Option<&str>,
    ) -> Result<Option<(Account, bool)>, SignInError> {
        let mut subject = Subject { tenant: Some(key.tenant), ..Subject::default() };
        let checking = Box::pin(self.check_choice(attempt, key, factor, &mut subject));
        let result = flatten(checking.await);
        match &result {
            Ok(Some(_)) => self.record_as(attempt, &subject, SignInOutcome::Ok, None),
            Ok(None) => self.record_as(attempt, &subject, SignInOutcome::CodeNeeded, None),
            Err(error) => self.record_refusal(attempt, &subject, error),
        }
        result
    }

    async fn check_choice(
        &self,
        attempt: &Attempt,
        key: AccountKey,
        factor: Option<&str>,
        subject: &mut Subject,
    ) -> Checked<Option<(Account, bool)>> {
        let (account, gate) = or_refuse!(self.admitted(attempt, key, subject).await?);
        if !gate.has_factor {
            if gate.is_secure() {
                subject.outcome = Some(SignInOutcome::Closed);
                return Ok(Err(SignInError::Denied));
            }
            self.note_network(key, &gate, attempt.client).await?;
            return Ok(Ok(Some((account, false))));
        }
        let Some(factor) = factor else { return Ok(Ok(None)) };
        // The number is what was shown already.
        or_refuse!(self.take_code(key, (factor, false), attempt, subject).await?);
        Ok(Ok(Some((account, true))))
    }
}
