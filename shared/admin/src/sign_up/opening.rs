//! What follows when the code of a sign-up was said: the tenant is opened, each step looked for before it is done.

use std::time::Duration;

use pennypost_directory::{
    Account, DirectoryError, Domain, DomainName, NewAccount, Page, Profile, SignInError, address_letters,
    organisation_name,
};
use pennypost_domains::{Challenge, Proof, prove};
use pennypost_model::{AccountKey, TenantId, Timestamp};
use pennypost_ports::{ControlKey, Expected};
use serde_json::json;

use super::{DAY, Place, SignUp, SignUpState, SignedUp, WantedDomain, check_prefix, hash, key_of};
use crate::action::Action;
use crate::operations::{By, Entry, Outcome};
use crate::store::MAX_ATTEMPTS;
use crate::{Acceptance, AdminError, Administration};

/// How often a code is looked at.
const TRIES: u8 = 5;
/// Days for which what was begun can be gone on with, once the code was said.
const DAYS: i64 = 7;
/// How often, and after how many milliseconds each time, it is looked whether a call at the same time has added the creator.
const LOOKS: usize = 40;
const LOOK: u64 = 100;
/// Labels that are tried one after the other where the first is taken.
const LABELS: u32 = 9;

const fn wrong_code() -> AdminError {
    AdminError::Code(SignInError::Denied)
}

impl Administration {
    /// Says the code: the tenant is opened, with a plan, a domain, and the creator, whose password this is. Said again, with the
    /// same code, it completes what was cut off, or tells what has come of it. `others` are another name of the organisation,
    /// where the first one was taken, and another prefix, where the first one can't be given.
    ///
    /// # Errors
    /// [`AdminError::NotFound`] for a secret that is none, or not any more; [`AdminError::Code`] for a wrong code;
    /// [`DirectoryError::TenantTaken`], [`DirectoryError::DomainTaken`], or others of [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn finish_sign_up(
        &self,
        (text, code): (&str, &str),
        password: &str,
        others: (Option<&str>, Option<&str>),
    ) -> Result<SignUpState, AdminError> {
        self.sign_ups()?;
        let key = key_of(text).ok_or(AdminError::NotFound("sign-up"))?;
        let sign_up = self.proved_sign_up(&key, code.trim(), others).await?;
        if let Some(done) = sign_up.done {
            return Ok(SignUpState::Open(done));
        }
        let local = sign_up.prefix.clone().unwrap_or_else(|| address_letters(&sign_up.name, "member"));
        self.directory.check_wished_password(sign_up.tenant, &local, &sign_up.name, password).await?;
        if let WantedDomain::Own(name, challenge) = &sign_up.domain {
            if let Some(waiting) = self.not_shown(name, challenge, sign_up.until).await? {
                return Ok(waiting);
            }
            // Whoever shows nothing has learned nothing of who has it.
            let owned = self.directory.domain(name.as_str()).await?;
            if owned.is_some_and(|owned| owned.tenant != sign_up.tenant) {
                return Err(DirectoryError::DomainTaken(name.to_string()).into());
            }
        }
        if let Some(done) = self.begin_opening(&key, &sign_up).await? {
            return Ok(SignUpState::Open(done));
        }
        let tenant = sign_up.tenant;
        let opened = Box::pin(self.open_signed_up(&key, sign_up, password)).await;
        if matches!(opened, Err(AdminError::Directory(DirectoryError::TenantTaken(_)))) {
            // Nothing was opened: another name may be said.
            let is_it = |sign_up: &SignUp| sign_up.tenant == tenant && sign_up.done.is_none();
            self.change_sign_up(&key, |sign_up| {
                if is_it(sign_up) {
                    sign_up.is_opening = false;
                }
            })
            .await?;
        }
        opened
    }

    /// What is still to be set, unless the zone of the domain shows whose it is.
    async fn not_shown(
        &self,
        name: &DomainName,
        challenge: &Challenge,
        until: Timestamp,
    ) -> Result<Option<SignUpState>, AdminError> {
        let service = self.said_service().await?;
        match prove(&*self.outside()?.dns, name.as_str(), challenge, &service).await {
            Proof::Shown(_) => Ok(None),
            Proof::NotShown(checked) => {
                let wanted = challenge.wanted(name.as_str(), &service);
                Ok(Some(SignUpState::AwaitsDomain { wanted, checked, until }))
            }
        }
    }

    /// Notes that this tenant is being opened: from then on no other one is, whoever says the same code with another name. What has
    /// come of it, if it is there already.
    async fn begin_opening(&self, key: &ControlKey, own: &SignUp) -> Result<Option<SignedUp>, AdminError> {
        for _ in 0..MAX_ATTEMPTS {
            let (mut known, version) =
                self.read::<SignUp>(key).await?.ok_or(AdminError::NotFound("sign-up"))?;
            if known.done.is_some() {
                return Ok(known.done);
            }
            if known.tenant != own.tenant {
                return Err(AdminError::Changed);
            }
            if known.is_opening {
                return Ok(None);
            }
            known.is_opening = true;
            if self.write(key, &known, Expected::Version(version)).await? {
                return Ok(None);
            }
        }
        Err(DirectoryError::Contended.into())
    }

    async fn change_sign_up(
        &self,
        key: &ControlKey,
        change: impl Fn(&mut SignUp),
    ) -> Result<Option<SignUp>, AdminError> {
        for _ in 0..MAX_ATTEMPTS {
            let Some((mut sign_up, version)) = self.read::<SignUp>(key).await? else { return Ok(None) };
            change(&mut sign_up);
            if self.write(key, &sign_up, Expected::Version(version)).await? {
                return Ok(Some(sign_up));
            }
        }
        Err(DirectoryError::Contended.into())
    }

    /// The sign-up, if that is its code; a wrong one counts, unless the right one was said before: whoever has shown the secret
    /// and it loses nothing by a slip, and the secret alone is not guessed.
    async fn proved_sign_up(
        &self,
        key: &ControlKey,
        code: &str,
        (organisation, prefix): (Option<&str>, Option<&str>),
    ) -> Result<SignUp, AdminError> {
        for _ in 0..MAX_ATTEMPTS {
            let now = self.clock.now();
            let found = self.read::<SignUp>(key).await?.filter(|(sign_up, _)| sign_up.until > now);
            let (mut sign_up, version) = found.ok_or(AdminError::NotFound("sign-up"))?;
            let is_right = sign_up.tries < TRIES && hash(&sign_up.salt, code) == sign_up.hash;
            let mut is_changed = false;
            if !is_right {
                if sign_up.tries >= TRIES || sign_up.is_proved {
                    return Err(wrong_code());
                }
                sign_up.tries += 1;
                is_changed = true;
            } else if !sign_up.is_proved {
                sign_up.is_proved = true;
                sign_up.until = now.plus_millis(DAYS * DAY);
                is_changed = true;
            }
            if let Some(other) = organisation.filter(|_| is_right && sign_up.done.is_none()) {
                let other = organisation_name(other)?;
                // Once there is a tenant, or may be one, it has its name.
                if other != sign_up.organisation && !sign_up.is_opening {
                    (sign_up.organisation, sign_up.tenant) = (other, TenantId(self.ids.random()));
                    is_changed = true;
                }
            }
            if let Some(other) = prefix.filter(|_| is_right && sign_up.done.is_none()) {
                check_prefix(other)?;
                // Once the creator's address is known it is that.
                if sign_up.creator.is_none() && sign_up.prefix.as_deref() != Some(other) {
                    sign_up.prefix = Some(other.to_owned());
                    is_changed = true;
                }
            }
            if !is_changed || self.write(key, &sign_up, Expected::Version(version)).await? {
                return if is_right { Ok(sign_up) } else { Err(wrong_code()) };
            }
        }
        Err(DirectoryError::Contended.into())
    }

    /// Is there the tenant of a sign-up, under its name?
    async fn is_named(&self, sign_up: &SignUp) -> Result<bool, AdminError> {
        let named = self.directory.tenant_named(&sign_up.organisation).await?;
        Ok(named.is_some_and(|tenant| tenant.id == sign_up.tenant))
    }

    /// Opens the tenant, or goes on where somebody was cut off.
    async fn open_signed_up(
        &self,
        key: &ControlKey,
        sign_up: SignUp,
        password: &str,
    ) -> Result<SignUpState, AdminError> {
        let tenant = sign_up.tenant;
        if !self.is_named(&sign_up).await? {
            let entry = Entry {
                by: By::Stranger,
                origin: sign_up.origin,
                action: Action::TenantAdd.name().to_owned(),
                object: sign_up.organisation.clone(),
                before: None,
                after: Some(
                    json!({ "tenant": tenant.to_string(), "edition": sign_up.edition.name() }).to_string(),
                ),
                outcome: Outcome::Ordered,
            };
            let of = self.append(None, entry.clone()).await?;
            if let Err(error) = self.directory.open_tenant(tenant, &sign_up.organisation).await {
                let failed =
                    Entry { after: None, outcome: Outcome::Failed { of, cause: error.to_string() }, ..entry };
                self.append(None, failed).await?;
                return Err(error.into());
            }
        }
        if self.stored_tenant(tenant).await?.plan.is_none() {
            // Whoever was faster has said the same.
            self.directory.set_plan(tenant, None, &sign_up.edition.plan()).await?;
        }
        let domain = self.domain_for(tenant, &sign_up.domain).await?;
        let account = self.creator_for(key, &sign_up, domain.name.as_str(), password).await?;
        let (account, address) = (account.key, account.address.to_string());
        let by = By::Founder { account, address: address.clone() };
        let after = json!({
            "edition": sign_up.edition.name(), "domain": domain.name.to_string(), "creator": address,
            "terms": sign_up.terms.as_ref().map(|(number, _)| number),
        });
        let entry = Entry {
            by: by.clone(),
            origin: sign_up.origin,
            action: Action::TenantAdd.name().to_owned(),
            object: sign_up.organisation.clone(),
            before: None,
            after: Some(after.to_string()),
            outcome: Outcome::Ordered,
        };
        self.append(Some(tenant), entry).await?;
        if let Some((number, sha256)) = sign_up.terms.clone() {
            let acceptance = Acceptance { number, sha256, by, origin: sign_up.origin, at: sign_up.begun };
            self.keep_acceptance(account, &acceptance).await?;
        }
        self.name_first_creator(account).await?;
        Ok(SignUpState::Open(self.end_sign_up(key, SignedUp { account, address }).await?))
    }

    /// Notes what has come of it, which is told for a day; what was said is forgotten.
    async fn end_sign_up(&self, key: &ControlKey, done: SignedUp) -> Result<SignedUp, AdminError> {
        let until = self.clock.now().plus_millis(DAY);
        let ended = self.change_sign_up(key, |sign_up| {
            if sign_up.done.is_none() {
                (sign_up.done, sign_up.until) = (Some(done.clone()), until);
                (sign_up.place, sign_up.prefix, sign_up.creator) = (Place::Nowhere, None, None);
                sign_up.name.clear();
            }
        });
        Ok(ended.await?.and_then(|ended| ended.done).unwrap_or(done))
    }

    /// The domain of the tenant, which is given now if it is not yet.
    async fn domain_for(&self, tenant: TenantId, wanted: &WantedDomain) -> Result<Domain, AdminError> {
        let known = self.directory.domains(tenant, &Page::default()).await?.items;
        if let Some(known) = known.into_iter().find(|domain| domain.state.is_owned()) {
            return Ok(known);
        }
        // What was asked for before the process died is asked for again.
        let begun = self.trial_of(tenant).await?.filter(|trial| trial.is_given && !trial.is_gone);
        if let (Some(begun), WantedDomain::Trial(_)) = (begun, wanted) {
            match self.give_trial(tenant, begun.name).await {
                Err(AdminError::Directory(DirectoryError::DomainTaken(_))) => {}
                other => return other,
            }
        }
        let label = match wanted {
            WantedDomain::Own(name, challenge) => return self.claim_shown(tenant, name, challenge).await,
            WantedDomain::Trial(label) => label,
        };
        for number in 1..=LABELS + 1 {
            let another = match number {
                1 => label.clone(),
                // Nobody has that.
                number if number > LABELS => format!("org{:016x}", self.ids.random()),
                number => format!("{}{number}", label.chars().take(29).collect::<String>()),
            };
            match self.give_trial(tenant, self.trial_name(&another)?).await {
                Err(AdminError::Directory(DirectoryError::DomainTaken(_))) => {}
                other => return other,
            }
        }
        Err(DirectoryError::DomainTaken(label.clone()).into())
    }

    /// Makes a domain the tenant's whose zone has shown that it is. It is a claim as any other: the plan counts it (DOM-02).
    async fn claim_shown(
        &self,
        tenant: TenantId,
        name: &DomainName,
        challenge: &Challenge,
    ) -> Result<Domain, AdminError> {
        let Challenge { token, digits } = challenge.clone();
        match self.directory.claim_domain(tenant, name.as_str(), (token, digits)).await {
            // By the call that was cut off.
            Ok(_) | Err(DirectoryError::DomainTaken(_)) => {}
            Err(error) => return Err(error.into()),
        }
        let proved = self.directory.prove_domain(tenant, name).await?;
        if proved.state.is_owned() {
            return Ok(proved);
        }
        Err(DirectoryError::DomainTaken(name.to_string()).into())
    }

    /// The creator's account, which is added now if it is not yet. Its address is written down before: of two calls at once both
    /// add that one, and one succeeds.
    async fn creator_for(
        &self,
        key: &ControlKey,
        sign_up: &SignUp,
        domain: &str,
        password: &str,
    ) -> Result<Account, AdminError> {
        let tenant = sign_up.tenant;
        if let Some(account) = self.creator_of(tenant).await?
            && let Some(known) = self.directory.account(AccountKey { tenant, account }).await?
        {
            return Ok(known);
        }
        let address = self.creators_address(key, tenant, domain).await?;
        if let Some(known) = self.directory.account_at(&address).await? {
            return Ok(known);
        }
        let new = NewAccount {
            address: &address,
            password: Some(password),
            display_name: &sign_up.name,
            profile: Profile::default(),
            ..NewAccount::default()
        };
        // On the heap: it is large.
        match Box::pin(self.directory.add_account_with(&new)).await {
            Err(DirectoryError::AddressTaken(_)) => {}
            other => return Ok(other?),
        }
        // Of a tenant that is being opened nobody else adds any: it is a call at the same time that has it, or is about to.
        for _ in 0..LOOKS {
            if let Some(known) = self.directory.account_at(&address).await? {
                return Ok(known);
            }
            tokio::time::sleep(Duration::from_millis(LOOK)).await;
        }
        Err(DirectoryError::Contended.into())
    }

    /// The address of the creator, which is chosen now if it is not yet. One that can't be given is refused before it is written
    /// down, so that another prefix may be said.
    async fn creators_address(
        &self,
        key: &ControlKey,
        tenant: TenantId,
        domain: &str,
    ) -> Result<String, AdminError> {
        for _ in 0..MAX_ATTEMPTS {
            let (mut known, version) =
                self.read::<SignUp>(key).await?.ok_or(AdminError::NotFound("sign-up"))?;
            if known.tenant != tenant {
                // The name was taken, and another one said meanwhile.
                return Err(AdminError::Changed);
            }
            if let Some(address) = known.creator {
                return Ok(address);
            }
            if let Some(done) = known.done {
                return Ok(done.address);
            }
            let address = match &known.prefix {
                Some(prefix) => {
                    let address = format!("{prefix}@{domain}");
                    self.directory.check_new_address(tenant, &address).await?;
                    address
                }
                None => self.directory.address_for(tenant, &known.name, domain).await?,
            };
            known.creator = Some(address.clone());
            if self.write(key, &known, Expected::Version(version)).await? {
                return Ok(address);
            }
        }
        Err(DirectoryError::Contended.into())
    }
}
