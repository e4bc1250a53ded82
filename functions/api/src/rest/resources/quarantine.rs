//! What is done with what scanners find, and what lies in quarantine because of it.

use pennypost_admin::{Action, HeldLetter, RecipientsGet, ScanPolicy, Unanswered, VirusAction};
use pennypost_directory::DigestWish;
use pennypost_model::EventId;
use pennypost_model::scan::Points;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::page_of;
use crate::rest::ask::{Ask, rows};
use crate::rest::operation::{Good, Method, Operation, PAGE, or_null, shape};
use crate::rest::problem::details::{bad_points, no_such};
use crate::rest::problem::{Kind, Refusal};
use crate::rest::reply::Reply;

/// What is done with a letter in which a scanner has found a virus.
#[derive(Clone, Copy, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "VirusAction")]
enum OnVirus {
    /// It lies in quarantine for seven days; an administrator may release it.
    Quarantine,
    /// It is deleted.
    Delete,
}

/// What is done as long as a scanner does not answer.
#[derive(Clone, Copy, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "UnansweredAction")]
enum OnSilence {
    /// Letters wait.
    Hold,
    /// Letters go on; the trace says that nothing has looked at them.
    Pass,
}

/// What recipients get who are told of a letter with a virus.
#[derive(Clone, Copy, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "RecipientsGet")]
enum Gets {
    /// A few words.
    #[default]
    Notice,
    /// The rest of the letter beside them, as an attached message: what holds the virus is taken out, with a few words in its place. Words alone
    /// where the virus is in no single attachment, or the letter is signed or encrypted, larger than 10 MB, or would lie in Junk.
    Rest,
}

/// What an organisation does with what scanners find. A letter of a member in which there is a virus goes to nobody, whatever is
/// said here; the member is told.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "ScanPolicy")]
struct Policy {
    /// A letter that comes in, with a virus.
    virus: OnVirus,
    /// No scanner says whether there is one.
    without_virus_scanner: OnSilence,
    /// No scanner says whether a letter is spam.
    without_spam_scanner: OnSilence,
    /// From so many points of the spam scanner on a letter goes to the junk folder, 0.01 to 1000; null: never because of them.
    #[serde(deserialize_with = "Option::deserialize")]
    #[schemars(required, schema_with = "or_null::<f64>")]
    junk: Option<f64>,
    /// From so many points on it lies in quarantine for seven days, from where its recipient may release it.
    #[serde(deserialize_with = "Option::deserialize")]
    #[schemars(required, schema_with = "or_null::<f64>")]
    quarantine: Option<f64>,
    /// From so many points on it is deleted.
    #[serde(deserialize_with = "Option::deserialize")]
    #[schemars(required, schema_with = "or_null::<f64>")]
    delete: Option<f64>,
    /// Recipients are told of a letter with a virus that they do not get.
    tell_recipients: bool,
    /// What they get with that.
    #[serde(default)]
    recipients_get: Gets,
}

fn show(policy: &ScanPolicy) -> Policy {
    let on_silence = |said| match said {
        Unanswered::Hold => OnSilence::Hold,
        Unanswered::Pass => OnSilence::Pass,
    };
    Policy {
        virus: match policy.virus {
            VirusAction::Quarantine => OnVirus::Quarantine,
            VirusAction::Delete => OnVirus::Delete,
        },
        without_virus_scanner: on_silence(policy.without_virus_scanner),
        without_spam_scanner: on_silence(policy.without_spam_scanner),
        junk: policy.junk.map(Points::number),
        quarantine: policy.quarantine.map(Points::number),
        delete: policy.delete.map(Points::number),
        tell_recipients: policy.tell_recipients,
        recipients_get: match policy.recipients_get {
            RecipientsGet::Notice => Gets::Notice,
            RecipientsGet::Rest => Gets::Rest,
        },
    }
}

fn points(number: Option<f64>, pointer: &str) -> Result<Option<Points>, Refusal> {
    let wrong = || {
        let detail = bad_points(pennypost_admin::BadPoints::Range);
        Refusal::new(Kind::Invalid, detail.clone()).at(pointer.to_owned(), detail)
    };
    let points = number.map(|number| Points::of(number).ok_or_else(wrong)).transpose()?;
    match points {
        Some(points) if points.0 < 1 || points > ScanPolicy::MOST => Err(wrong()),
        points => Ok(points),
    }
}

fn meant(policy: &Policy) -> Result<ScanPolicy, Refusal> {
    let on_silence = |said| match said {
        OnSilence::Hold => Unanswered::Hold,
        OnSilence::Pass => Unanswered::Pass,
    };
    Ok(ScanPolicy {
        virus: match policy.virus {
            OnVirus::Quarantine => VirusAction::Quarantine,
            OnVirus::Delete => VirusAction::Delete,
        },
        without_virus_scanner: on_silence(policy.without_virus_scanner),
        without_spam_scanner: on_silence(policy.without_spam_scanner),
        junk: points(policy.junk, "/junk")?,
        quarantine: points(policy.quarantine, "/quarantine")?,
        delete: points(policy.delete, "/delete")?,
        tell_recipients: policy.tell_recipients,
        recipients_get: match policy.recipients_get {
            Gets::Notice => RecipientsGet::Notice,
            Gets::Rest => RecipientsGet::Rest,
        },
    })
}

/// Whether somebody is told.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "QuarantineDigest")]
struct Digest {
    /// A letter tells once a day which suspected spam has come into quarantine, with a link for each that releases it.
    enabled: bool,
    /// It tells what went to the junk folder, too: for who fetches mail by POP3 and does not see that folder.
    #[serde(default)]
    junk: bool,
}

impl Digest {
    const fn of(wish: DigestWish) -> Digest {
        Digest { enabled: wish.quarantine, junk: wish.junk }
    }
}

/// A letter in quarantine.
#[derive(Serialize, JsonSchema)]
pub(crate) struct QuarantinedLetter {
    /// Its id.
    id: String,
    /// The account from which it is kept.
    account: String,
    /// The address to which it came.
    address: String,
    /// When it was accepted.
    accepted: String,
    /// Reverse-path of its envelope.
    sender: String,
    /// The address of its first author.
    from: String,
    /// Its subject, cut to 200 bytes.
    subject: String,
    /// Its bytes.
    size: u64,
    /// `virus`, which administrators release only, or `spam`.
    held_for: &'static str,
    /// What was found, and what decided.
    reasons: Vec<String>,
    /// `held`, `releasing` (it is on its way into the queue) or `released`.
    state: &'static str,
    /// When it is removed.
    expires: String,
}

page_of!(QuarantinedLetters, QuarantinedLetter);

/// A letter in quarantine, looked at.
#[derive(Serialize, JsonSchema)]
struct QuarantinedLetterSeen {
    /// What lists tell of it.
    #[serde(flatten)]
    letter: QuarantinedLetter,
    /// Its header fields, 32 KB at most.
    header: String,
}

fn show_letter(held: &HeldLetter) -> QuarantinedLetter {
    QuarantinedLetter {
        id: held.letter.to_string(),
        account: held.account.account.to_string(),
        address: held.address.clone(),
        accepted: held.accepted.rfc3339(),
        sender: held.reverse_path.clone(),
        from: held.from.address.clone(),
        subject: held.subject.clone(),
        size: held.size,
        held_for: held.held_for.name(),
        reasons: held.reasons.clone(),
        state: held.state.name(),
        expires: held.expires().rfc3339(),
    }
}

fn letter(ask: &Ask) -> Result<EventId, Refusal> {
    ask.word("letter").parse().map_err(|_| Refusal::new(Kind::NotFound, no_such("letter")))
}

pub(super) const OPERATIONS: &[Operation] = &[
    Operation::new(
        (Method::Get, "/tenants/{tenant}/scan-policy", "read-scan-policy"),
        Action::ScanPolicyRead,
        "What is done with what scanners for viruses and spam find, and without their word",
        Good::one(shape::<Policy>),
        |ask| {
            Box::pin(async move {
                let policy = ask.administration.scan_policy(&ask.call, ask.tenant()?).await?;
                Ok(Reply::tagged(&show(&policy)))
            })
        },
    ),
    Operation::new(
        (Method::Put, "/tenants/{tenant}/scan-policy", "change-scan-policy"),
        Action::ScanPolicyChange,
        "Say what is done with what scanners find: it holds within some seconds",
        Good::one(shape::<Policy>),
        |ask| {
            Box::pin(async move {
                let (tenant, policy): (_, Policy) = (ask.tenant()?, ask.body()?);
                let policy = meant(&policy)?;
                let seen = ask.administration.scan_policy(&ask.call, tenant).await?;
                ask.must_match(&show(&seen))?;
                ask.administration.change_scan_policy(&ask.call, tenant, &seen, &policy).await?;
                Ok(Reply::tagged(&show(&policy)))
            })
        },
    )
    .with(shape::<Policy>)
    .update()
    .refusing(&[Kind::Invalid]),
    Operation::new(
        (Method::Get, "/tenants/{tenant}/quarantine", "list-quarantine"),
        Action::QuarantineList,
        "Letters in quarantine of the whole organisation, account after account, the oldest of each first",
        Good::list(shape::<QuarantinedLetters>),
        |ask| {
            Box::pin(async move {
                let found = ask.administration.quarantined(&ask.call, ask.tenant()?, &ask.page()?).await?;
                Ok(Reply::document(&rows(found, |held| show_letter(&held))))
            })
        },
    )
    .asking(PAGE),
    Operation::new(
        (Method::Get, "/tenants/{tenant}/accounts/{account}/quarantine", "list-account-quarantine"),
        Action::QuarantineRead,
        "Letters that are kept from an account, the oldest first",
        Good::list(shape::<QuarantinedLetters>),
        |ask| {
            Box::pin(async move {
                let (key, page) = (ask.account()?, ask.page()?);
                let found = ask.administration.account_quarantine(&ask.call, key, &page).await?;
                Ok(Reply::document(&rows(found, |held| show_letter(&held))))
            })
        },
    )
    .asking(PAGE),
    Operation::new(
        (Method::Get, "/tenants/{tenant}/accounts/{account}/quarantine-digest", "read-quarantine-digest"),
        Action::QuarantineRead,
        "Whether an account is told once a day of what is kept from it",
        Good::one(shape::<Digest>),
        |ask| {
            Box::pin(async move {
                let wish = ask.administration.quarantine_digest(&ask.call, ask.account()?).await?;
                Ok(Reply::tagged(&Digest::of(wish)))
            })
        },
    ),
    Operation::new(
        (Method::Put, "/tenants/{tenant}/accounts/{account}/quarantine-digest", "change-quarantine-digest"),
        Action::QuarantineDigest,
        "Say whether an account is told once a day of what is kept from it",
        Good::one(shape::<Digest>),
        |ask| {
            Box::pin(async move {
                let (key, digest): (_, Digest) = (ask.account()?, ask.body()?);
                let wish = ask.administration.quarantine_digest(&ask.call, key).await?;
                ask.must_match(&Digest::of(wish))?;
                let wish = DigestWish { quarantine: digest.enabled, junk: digest.junk };
                ask.administration.change_quarantine_digest(&ask.call, key, wish).await?;
                Ok(Reply::tagged(&digest))
            })
        },
    )
    .with(shape::<Digest>)
    .update(),
    Operation::new(
        (Method::Get, "/tenants/{tenant}/accounts/{account}/quarantine/{letter}", "read-quarantined-letter"),
        Action::QuarantineRead,
        "Look at a letter in quarantine: why it is there, and its header fields",
        Good::told(shape::<QuarantinedLetterSeen>),
        |ask| {
            Box::pin(async move {
                let (key, letter) = (ask.account()?, letter(ask)?);
                let seen = ask.administration.quarantined_letter(&ask.call, key, letter).await?;
                let letter = show_letter(&seen.held);
                Ok(Reply::document(&QuarantinedLetterSeen { letter, header: seen.header }))
            })
        },
    ),
    Operation::new(
        (
            Method::Post,
            "/tenants/{tenant}/accounts/{account}/quarantine/{letter}/release",
            "release-quarantined-letter",
        ),
        Action::QuarantineRelease,
        "Release a letter from quarantine: it comes into the mailbox, whatever scanners say; with a virus only by administrators",
        Good::told(shape::<QuarantinedLetter>),
        |ask| {
            Box::pin(async move {
                let (key, letter) = (ask.account()?, letter(ask)?);
                let held = ask.administration.release_quarantined(&ask.call, key, letter).await?;
                Ok(Reply::document(&show_letter(&held)))
            })
        },
    ),
    Operation::new(
        (
            Method::Delete,
            "/tenants/{tenant}/accounts/{account}/quarantine/{letter}",
            "delete-quarantined-letter",
        ),
        Action::QuarantineDelete,
        "Delete a letter from quarantine; what was released stays so",
        Good::NOTHING,
        |ask| {
            Box::pin(async move {
                let (key, letter) = (ask.account()?, letter(ask)?);
                ask.administration.delete_quarantined(&ask.call, key, letter).await?;
                Ok(Reply::nothing())
            })
        },
    ),
];
