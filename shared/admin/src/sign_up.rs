//! Signing up (TEN-01, TEN-08, ORG-03): somebody opens a tenant by himself, where the operator lets people do so.
//!
//! Owns the control items `installation/sign-ups`, by the digest of the secret with which whoever has begun goes on. What was
//! said is in it, and a code that goes to an address elsewhere or to a mobile number; no password. The tenant's id is chosen
//! before anything of it is made ([`Directory::open_tenant`]), and each step after that is looked for before it is done: what a
//! process that died has left is completed by the same call again, within a week. Nothing is made before the code was said,
//! and, where there are no trial domains, before the zone of the domain shows whose it is (DOM-08).
//!
//! What went where is counted with the organisation of the mailbox in whose matter letters with codes are.
//!
//! [`Directory::open_tenant`]: pennypost_directory::Directory::open_tenant

mod opening;

use pennypost_directory::{
    Account, DirectoryError, DomainName, MailAddress, MobileNumber, Payment, Plan, SmsAsker, address_letters,
    is_suitable_prefix, organisation_name, owner_name,
};
use pennypost_domains::{Challenge, Checked, Wanted};
use pennypost_model::codec::{Versioned, decode};
use pennypost_model::{AccountKey, TenantId, Timestamp};
use pennypost_ports::{ControlKey, Expected};
use pennypost_text::say;
use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::mobiles::SaidBySms;
use crate::notices::{Notice, NoticePlace, NoticeSent, both};
use crate::operations::{By, Entry, Origin, Outcome};
use crate::sessions::Visitor;
use crate::{AdminError, Administration, Conflict, Invalid, Terms};

/// What every secret begins with, and the hex digits behind it.
const PREFIX: &str = "psu_";
const DIGITS: usize = 64;
const PARTITION: &str = "installation/sign-ups";
/// What the log calls it that somebody has begun.
const BEGUN: &str = "sign-up.begin";
const MINUTE: i64 = 60 * 1000;
const DAY: i64 = 24 * 60 * MINUTE;
/// Minutes that a code waits.
const CODE_MINUTES: i64 = 15;
/// Old ones that are looked at for each new one.
const SWEEP: usize = 2;
/// Those that are looked at with the daily round of each tenant.
const DAILY_SWEEP: usize = 20;

/// An edition in which somebody opens a tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SignUpEdition {
    /// The one that costs nothing.
    Basic,
    /// The one with a VIP seat, to be paid within a week: until then it holds as if it was, after that it is no more than basic.
    Pro,
}

impl SignUpEdition {
    /// Its name for programs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            SignUpEdition::Basic => "basic",
            SignUpEdition::Pro => "pro",
        }
    }

    fn plan(self) -> Plan {
        match self {
            SignUpEdition::Basic => Plan::basic(),
            SignUpEdition::Pro => Plan { vip_seats: 1, payment: Payment::Unpaid, ..Plan::pro() },
        }
    }
}

/// Who signs up, and to what: the operator's word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignUpSettings {
    /// A mailbox here, in whose matter letters with codes are, and with whose organisation messages are counted.
    pub mailbox: String,
    /// What is offered.
    pub editions: Vec<SignUpEdition>,
    /// How many begin on a day.
    pub most_per_day: u32,
}

/// What whoever wants to sign up is told before.
#[derive(Debug, Clone)]
pub struct SignUpOffer {
    /// The editions.
    pub editions: Vec<SignUpEdition>,
    /// Below what trial domains are; `None`: a domain of one's own is needed.
    pub trials: Option<DomainName>,
    /// Codes go to addresses elsewhere.
    pub by_mail: bool,
    /// Codes go to mobile numbers.
    pub by_mobile: bool,
    /// The terms of service that are to be accepted.
    pub terms: Option<Terms>,
}

/// What somebody says who signs up.
#[derive(Debug, Clone)]
pub struct NewSignUp {
    /// The name of the organisation.
    pub organisation: String,
    /// The name of its creator.
    pub name: String,
    /// The edition.
    pub edition: SignUpEdition,
    /// What stands before the @ of the creator's address; the name in pinyin, if nothing is said.
    pub prefix: Option<String>,
    /// Where a code goes: an address elsewhere,
    pub mail: Option<String>,
    /// or a mobile number.
    pub mobile: Option<String>,
    /// What the trial domain begins with; letters of the organisation's name, if nothing is said.
    pub label: Option<String>,
    /// A domain of its own, in the place of a trial domain.
    pub domain: Option<String>,
    /// The version of the terms of service that he has read and accepts.
    pub terms: Option<u32>,
}

/// What a sign-up has come to.
#[derive(Debug, Clone)]
pub enum SignUpState {
    /// The zone of the domain does not show yet whose it is: the same call is to be made again when it does.
    AwaitsDomain {
        /// One of these has to be set.
        wanted: Vec<Wanted>,
        /// What was found.
        checked: Checked,
        /// Until when.
        until: Timestamp,
    },
    /// There is a tenant.
    Open(SignedUp),
}

/// A tenant that somebody has opened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedUp {
    /// Its creator.
    pub account: AccountKey,
    /// The creator's address.
    pub address: String,
}

/// Where a code goes.
#[derive(Serialize, Deserialize)]
enum Place {
    Mail(MailAddress),
    Mobile(MobileNumber),
    /// That is over.
    Nowhere,
}

#[derive(Clone, Serialize, Deserialize)]
enum WantedDomain {
    /// Below the operator's, with that label or one like it.
    Trial(String),
    Own(DomainName, Challenge),
}

/// A sign-up as stored. Has no `Debug`, so that it gets into no log.
#[derive(Serialize, Deserialize)]
struct SignUp {
    organisation: String,
    name: String,
    edition: SignUpEdition,
    prefix: Option<String>,
    place: Place,
    domain: WantedDomain,
    /// Which terms were accepted, and the digest of their text.
    terms: Option<(u32, String)>,
    begun: Timestamp,
    origin: Origin,
    salt: [u8; 16],
    hash: [u8; 32],
    tries: u8,
    until: Timestamp,
    /// The id of the tenant that is to be.
    tenant: TenantId,
    /// The code was said.
    is_proved: bool,
    /// That tenant is being opened, and no other one: written before it is.
    is_opening: bool,
    /// The address of its creator, written before there is an account.
    creator: Option<String>,
    done: Option<SignedUp>,
}

impl Versioned for SignUp {
    const KIND: &'static str = "sign-up";
}

fn hash(salt: &[u8; 16], code: &str) -> [u8; 32] {
    Sha256::new().chain_update(salt).chain_update(code.as_bytes()).finalize().into()
}

fn key_of(text: &str) -> Option<ControlKey> {
    let digits = text.strip_prefix(PREFIX)?;
    let is_hex = digits.len() == DIGITS && digits.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    let digest = Sha256::digest(text.as_bytes());
    let sort: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    is_hex.then(|| ControlKey::new(PARTITION, sort))
}

/// A label for an organisation of which none was asked for.
fn label_of(organisation: &str) -> String {
    let letters: String = address_letters(organisation, "org").chars().take(20).collect();
    if letters.len() < 3 { format!("org{letters}") } else { letters }
}

fn check_prefix(prefix: &str) -> Result<(), AdminError> {
    if is_suitable_prefix(prefix) {
        return Ok(());
    }
    Err(DirectoryError::UnsuitableAddress { address: prefix.to_owned() }.into())
}

/// What logs hold of an address elsewhere: its first letter and its domain.
fn masked_mail(address: &MailAddress) -> String {
    let first: String = address.local().chars().take(1).collect();
    format!("{first}***@{}", address.domain())
}

impl Administration {
    /// The same, where people sign up by themselves.
    #[must_use]
    pub fn letting_sign_up(self, settings: SignUpSettings) -> Administration {
        Administration { sign_ups: Some(settings), ..self }
    }

    fn sign_ups(&self) -> Result<&SignUpSettings, AdminError> {
        self.sign_ups.as_ref().ok_or(AdminError::Conflict(Conflict::NoSignUps))
    }

    /// What is offered, with the terms of service (TEN-08).
    ///
    /// # Errors
    /// [`Conflict::NoSignUps`], or others of [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn sign_up_offer(&self) -> Result<SignUpOffer, AdminError> {
        Ok(SignUpOffer {
            editions: self.sign_ups()?.editions.clone(),
            trials: self.trial_base().cloned(),
            by_mail: self.sends_out,
            by_mobile: self.sends_sms(),
            terms: self.last_terms().await?,
        })
    }

    /// Where the code is to go.
    async fn place_of(&self, new: &NewSignUp) -> Result<Place, AdminError> {
        match (&new.mail, &new.mobile) {
            (Some(mail), None) => {
                let address = MailAddress::parse(mail).map_err(DirectoryError::from)?;
                self.must_reach(&address).await?;
                Ok(Place::Mail(address))
            }
            (None, Some(number)) => {
                self.texting()?;
                Ok(Place::Mobile(MobileNumber::parse(number)?))
            }
            _ => Err(Invalid::SignUp.into()),
        }
    }

    fn domain_of(&self, new: &NewSignUp) -> Result<WantedDomain, AdminError> {
        match (&new.domain, &new.label) {
            (Some(domain), None) => {
                let name = DomainName::parse(domain).map_err(DirectoryError::from)?;
                let challenge = Challenge::of(self.ids.random(), self.ids.random(), self.ids.random());
                Ok(WantedDomain::Own(name, challenge))
            }
            (Some(_), Some(_)) => Err(Invalid::SignUp.into()),
            _ if self.trials.is_none() => Err(Invalid::SignUp.into()),
            (None, Some(label)) => {
                self.trial_name(label)?;
                Ok(WantedDomain::Trial(label.clone()))
            }
            (None, None) => {
                let label = label_of(&new.organisation);
                let is_label = self.trial_name(&label).is_ok();
                Ok(WantedDomain::Trial(if is_label { label } else { format!("org-{label}") }))
            }
        }
    }

    /// Takes down what somebody says who signs up, and sends him a code: the secret with which he goes on, and until when the
    /// code is good. Whether the address or number is known here makes no difference.
    ///
    /// # Errors
    /// [`Conflict::NoSignUps`], [`Invalid::SignUp`], [`Invalid::NotAccepted`], [`AdminError::TooManyMessages`], or others of
    /// [`AdminError`].
    pub async fn begin_sign_up(
        &self,
        new: &NewSignUp,
        visitor: Visitor<'_>,
    ) -> Result<(String, Timestamp), AdminError> {
        let settings = self.sign_ups()?;
        if !settings.editions.contains(&new.edition) {
            return Err(Invalid::SignUp.into());
        }
        let (organisation, name) = (organisation_name(&new.organisation)?, owner_name(&new.name)?);
        if let Some(prefix) = &new.prefix {
            check_prefix(prefix)?;
        }
        let (place, domain) = (self.place_of(new).await?, self.domain_of(new)?);
        let terms = self.last_terms().await?;
        if let Some(last) = terms.as_ref().filter(|last| new.terms != Some(last.number)) {
            return Err(Invalid::NotAccepted { number: last.number }.into());
        }
        let host = self.directory.account_at(&settings.mailbox).await?;
        let host = host.ok_or(AdminError::Conflict(Conflict::NoSignUps))?;
        let mail = match &place {
            Place::Mail(address) => Some(address),
            Place::Mobile(_) | Place::Nowhere => None,
        };
        let (client, most) = (visitor.counted(), settings.most_per_day);
        if !self.directory.count_sign_up(host.key.tenant, client, mail, most).await? {
            return Err(AdminError::TooManyMessages);
        }
        if let Place::Mobile(number) = &place {
            self.count_text(host.key.tenant, number, SmsAsker::Stranger).await?;
        }
        let code = format!("{:08}", rand::random_range(0..100_000_000_u32));
        let (now, salt) = (self.clock.now(), rand::random());
        let sign_up = SignUp {
            organisation,
            name,
            edition: new.edition,
            prefix: new.prefix.clone(),
            place,
            domain,
            terms: terms.map(|terms| (terms.number, terms.digest())),
            begun: now,
            origin: Origin::Api(visitor.address),
            salt,
            hash: hash(&salt, &code),
            tries: 0,
            until: now.plus_millis(CODE_MINUTES * MINUTE),
            tenant: TenantId(self.ids.random()),
            is_proved: false,
            is_opening: false,
            creator: None,
            done: None,
        };
        let secret: String = rand::random::<[u8; 32]>().iter().map(|byte| format!("{byte:02x}")).collect();
        let text = format!("{PREFIX}{secret}");
        let key = key_of(&text).ok_or(AdminError::Changed)?;
        let masked = match &sign_up.place {
            Place::Mail(address) => masked_mail(address),
            Place::Mobile(number) => number.masked(),
            Place::Nowhere => String::new(),
        };
        let entry = Entry {
            by: By::Stranger,
            origin: sign_up.origin,
            action: BEGUN.to_owned(),
            object: sign_up.organisation.clone(),
            before: None,
            after: Some(json!({ "edition": sign_up.edition.name(), "code": masked }).to_string()),
            outcome: Outcome::Ordered,
        };
        self.append(None, entry).await?;
        self.write(&key, &sign_up, Expected::Absent).await?;
        self.sweep_sign_ups(&key.sort, SWEEP).await?;
        self.send_sign_up_code(&host, &sign_up.place, &code).await?;
        Ok((text, sign_up.until))
    }

    async fn send_sign_up_code(&self, host: &Account, place: &Place, code: &str) -> Result<(), AdminError> {
        let address = match place {
            Place::Mobile(number) => {
                let said = SaidBySms::code_for("sign-up", code, CODE_MINUTES);
                return self.text(host.key.tenant, number, &said).await;
            }
            Place::Mail(address) => address.to_string(),
            Place::Nowhere => return Ok(()),
        };
        let subject = both(|text| say!(text, "letter-sign-up-code-subject"), " / ");
        let body =
            both(|text| say!(text, "letter-sign-up-code", code = code, minutes = CODE_MINUTES), "\n\n");
        let (domain, place) = (host.address.domain().to_string(), NoticePlace::Elsewhere(host.key));
        let notice = Notice { domain: &domain, to: &address, place, subject: &subject, text: &body };
        match self.send_notice(&notice).await? {
            NoticeSent::Sent => Ok(()),
            NoticeSent::Unsent => Err(AdminError::Conflict(Conflict::NotFromHere)),
        }
    }

    /// What the daily round of a tenant removes of them, beginning anywhere.
    pub(crate) async fn sweep_sign_ups_daily(&self) -> Result<(), AdminError> {
        self.sweep_sign_ups(&format!("{:016x}", self.ids.random()), DAILY_SWEEP).await
    }

    async fn sweep_sign_ups(&self, after: &str, most: usize) -> Result<(), AdminError> {
        let now = self.clock.now();
        for (sort, item) in self.control.query(PARTITION, "", Some(after), most).await? {
            if decode::<SignUp>(&item.value).map_or(true, |sign_up| sign_up.until <= now) {
                self.control.delete_if(&ControlKey::new(PARTITION, sort), item.version).await?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{key_of, label_of};

    #[test]
    fn labels_are_letters_of_the_name() {
        for (name, label) in
            [("金山软件", "jinshanruanjian"), ("A", "orga"), ("***", "org"), ("Acme Ltd", "acmeltd")]
        {
            assert_eq!(label_of(name), label);
        }
    }

    #[test]
    fn only_what_looks_like_a_secret_is_looked_up() {
        let good = format!("psu_{}", "0".repeat(64));
        assert!(key_of(&good).is_some());
        for bad in ["", "psu_", &good[1..], &good.replace('0', "G"), &good.replace("psu", "ppo")] {
            assert!(key_of(bad).is_none(), "{bad}");
        }
    }
}
