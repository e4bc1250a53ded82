//! Personalised mass mail (PMG-01 to PMG-08): a member's table, with a letter for each of its rows. Here it is made, looked at, let
//! go and stopped; `pennypost_mailings` lets its letters go.
//!
//! What a letter says is for whoever may act as its writer; who may see what a member has sent sees to whom and what became of it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use pennypost_directory::{Account, DirectoryError, MailAddress};
use pennypost_held::Why;
use pennypost_journeys::Backwards;
use pennypost_mailings::{
    Attachment, Body, Content, Counts, Fate, Kind, MAX_ATTACHED, MAX_ATTACHMENTS, MAX_BODY, MAX_KEPT,
    MAX_OPEN, MAX_RECIPIENTS, MAX_SAVED, Mailing, MailingRules, Mailings, Personal, Recipients, RowProblem,
    Said, Saved, Stamp, State, TableProblem, TemplateProblem,
};
use pennypost_mailstore::accept;
use pennypost_model::event::{
    Accepted, AuthResults, Body as EventBody, Recipient, Source, SourceKind, Stage, Submission, Via,
};
use pennypost_model::message::cut;
use pennypost_model::trace::Submitter;
use pennypost_model::{AccountKey, EventId, TenantId, Timestamp};
use pennypost_ports::{Outgoing, PortError};
use pennypost_text::{Text, say};
use serde_json::json;
use tokio::sync::OwnedSemaphorePermit;

use crate::action::Action;
use crate::authorise::Scope;
use crate::call::{About, Call};
use crate::operations::Origin;
use crate::own_letters::own;
use crate::{AdminError, Administration, DeliveryState};

/// Characters of a subject.
const MAX_SUBJECT: usize = 300;
/// Bytes of a subject that are kept beside a mailing.
const SHOWN_SUBJECT: usize = 200;
/// Characters of the name under which a body is kept, and of an attachment's.
const MAX_NAME: usize = 100;
/// Bytes of a body that is kept: it is an item.
const MAX_SAVED_BODY: usize = 150_000;
/// How long a file waits until it is its turn to be read.
const PATIENCE: Duration = Duration::from_secs(10);
/// By what it was handed in, as traces tell it.
const PROTOCOL: &str = "HTTP";

/// What is wrong with a mailing, or in its way.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MailingProblem {
    /// Its table.
    #[error("the table can't be sent")]
    Table {
        /// What it is called.
        file: String,
        /// What is wrong with it.
        problem: TableProblem,
    },
    /// A variable.
    #[error("a variable is wrong")]
    Template {
        /// Where: `subject`, `html`, `text` or `table`.
        place: &'static str,
        /// What is wrong.
        problem: TemplateProblem,
    },
    /// It has more recipients than the organisation lets one have.
    #[error("the table has more recipients than the organisation lets one have")]
    Recipients {
        /// How many it has.
        count: usize,
        /// How many it may have.
        most: u32,
    },
    /// The organisation's own number of recipients.
    #[error("as many recipients can't be")]
    Rules,
    /// Its subject.
    #[error("the subject is missing or too long")]
    Subject,
    /// Its body.
    #[error("the body is missing or too long")]
    Body,
    /// Its attachments.
    #[error("the attachments can't be sent")]
    Attachments,
    /// The name of a body that is to be kept.
    #[error("the name is missing or too long")]
    Name,
    /// It has no such row.
    #[error("there is no such row")]
    NoRow,
    /// As many of the account wait as may.
    #[error("as many mailings wait as may")]
    Full,
    /// The account keeps as many bodies as it may.
    #[error("as many bodies are kept as may")]
    Kept,
    /// It goes already, or is over.
    #[error("it goes already, or is over")]
    NotDraft,
    /// It is over.
    #[error("it is over")]
    Over,
    /// Its bytes are gone.
    #[error("its bytes are gone")]
    Gone,
}

impl MailingProblem {
    /// For people.
    #[must_use]
    pub fn message(&self, text: &Text) -> String {
        match self {
            MailingProblem::Table { file, problem } => problem.message(text, file),
            MailingProblem::Template { problem, .. } => problem.message(text),
            MailingProblem::Recipients { count, most } => {
                say!(text, "mailing-table-many", count = *count, limit = *most)
            }
            MailingProblem::Rules => say!(text, "mailing-rules", limit = MAX_RECIPIENTS),
            MailingProblem::Subject => say!(text, "mailing-subject", limit = MAX_SUBJECT),
            MailingProblem::Body => say!(text, "mailing-body", limit = MAX_BODY / 1_000),
            MailingProblem::Attachments => {
                say!(
                    text,
                    "mailing-attachments",
                    count = MAX_ATTACHMENTS,
                    megabytes = MAX_ATTACHED / 1_000_000
                )
            }
            MailingProblem::Name => say!(text, "mailing-name", limit = MAX_NAME),
            MailingProblem::NoRow => say!(text, "mailing-no-row"),
            MailingProblem::Full => say!(text, "mailing-full", limit = MAX_OPEN, kept = MAX_KEPT),
            MailingProblem::Kept => say!(text, "mailing-kept", limit = MAX_SAVED),
            MailingProblem::NotDraft => say!(text, "mailing-not-draft"),
            MailingProblem::Over => say!(text, "mailing-over"),
            MailingProblem::Gone => say!(text, "mailing-gone"),
        }
    }

    /// Could the same succeed, were things otherwise?
    #[must_use]
    pub const fn is_state(&self) -> bool {
        matches!(
            self,
            MailingProblem::Full
                | MailingProblem::Kept
                | MailingProblem::NotDraft
                | MailingProblem::Over
                | MailingProblem::Gone
        )
    }
}

impl From<MailingProblem> for AdminError {
    fn from(problem: MailingProblem) -> AdminError {
        AdminError::Mailing(problem)
    }
}

/// A mailing that is to be made.
#[derive(Debug, Clone, Default)]
pub struct NewMailing {
    /// What the table is called, for people.
    pub file: String,
    /// The table.
    pub table: Vec<u8>,
    /// The subject, with variables.
    pub subject: String,
    /// The body, with variables; none: the headings and the row.
    pub body: Option<NewBody>,
    /// What goes with every letter.
    pub attachments: Vec<Attachment>,
}

/// A body.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NewBody {
    /// As HTML.
    pub html: Option<String>,
    /// As text.
    pub text: Option<String>,
}

/// A letter of a mailing, before it goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Preview {
    /// Its number, from 1.
    pub row: u32,
    /// To whom.
    pub to: String,
    /// What it says.
    pub said: Said,
    /// The whole message.
    pub message: Vec<u8>,
}

/// A letter of a mailing, and what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MailingLetter {
    /// Its number, from 1.
    pub row: u32,
    /// The line of the table on which it stands; 0: there is none.
    pub line: u64,
    /// To whom; of a draft that was stopped nothing.
    pub to: String,
    /// What was decided of it; none: it waits.
    pub fate: Option<Fate>,
    /// The letter, if it was handed in.
    pub letter: Option<EventId>,
    /// What has become of that.
    pub state: Option<DeliveryState>,
    /// Why it did not go, or some of a group did not get it.
    pub why: Option<Why>,
}

fn shown(text: &str, characters: usize) -> String {
    text.chars().filter(|c| !c.is_control()).take(characters).collect()
}

fn check_subject(subject: &str) -> Result<(), MailingProblem> {
    let is_good = !subject.trim().is_empty() && subject.chars().count() <= MAX_SUBJECT;
    if is_good { Ok(()) } else { Err(MailingProblem::Subject) }
}

fn check_body(body: &NewBody, most: usize) -> Result<(), MailingProblem> {
    let texts = [&body.html, &body.text];
    let is_there = texts.iter().any(|text| text.as_ref().is_some_and(|text| !text.trim().is_empty()));
    let is_small = texts.iter().all(|text| text.as_ref().is_none_or(|text| text.len() <= most));
    if is_there && is_small { Ok(()) } else { Err(MailingProblem::Body) }
}

fn check_attachments(attachments: &[Attachment]) -> Result<(), MailingProblem> {
    let token = |text: &str| {
        let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&byte);
        (1..=60).contains(&text.len()) && text.bytes().all(is_token)
    };
    let is_good = |attachment: &Attachment| {
        let name = &attachment.name;
        let is_name = (1..=MAX_NAME).contains(&name.chars().count()) && !name.contains(char::is_control);
        let is_type = attachment.media_type.split_once('/').is_some_and(|(kind, subtype)| {
            // What has parts of its own is no file.
            token(kind) && token(subtype) && !matches!(&*kind.to_ascii_lowercase(), "multipart" | "message")
        });
        is_name && is_type
    };
    let bytes: usize = attachments.iter().map(|attachment| attachment.bytes.len()).sum();
    let is_small = attachments.len() <= MAX_ATTACHMENTS && bytes <= MAX_ATTACHED;
    if is_small && attachments.iter().all(is_good) { Ok(()) } else { Err(MailingProblem::Attachments) }
}

impl Administration {
    fn mailings_here(&self) -> Result<Mailings, AdminError> {
        let (objects, _) = self.workshop()?;
        Ok(Mailings::new(Arc::clone(&self.control), Arc::clone(objects)))
    }

    /// Makes a mailing of a table; nothing goes yet.
    ///
    /// # Errors
    /// [`MailingProblem`], or others of [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn add_mailing(
        &self,
        call: &Call,
        key: AccountKey,
        new: NewMailing,
    ) -> Result<Mailing, AdminError> {
        let object = key.account.to_string();
        let about = About::new(Some(key.tenant), Action::MailingAdd, &object);
        let account = self.permitted(call, &about, key).await?;
        let mailings = self.mailings_here()?;
        let NewMailing { file, table, subject, body, attachments } = new;
        check_subject(&subject)?;
        if let Some(body) = &body {
            check_body(body, MAX_BODY)?;
        }
        check_attachments(&attachments)?;
        let recipients = self.recipients_of(&file, table).await?;
        let (count, most) = (recipients.rows.len(), mailings.rules(key.tenant).await?.0.recipients);
        if count > most as usize {
            return Err(MailingProblem::Recipients { count, most }.into());
        }
        // Whoever runs a command does not know what the server does that lets them go.
        if call.origin != Origin::Command {
            self.check_reach(&account, &file, &recipients).await?;
        }
        let kind = if body.is_some() { Kind::Template } else { Kind::Table };
        let body = match body {
            None => Body::Table,
            Some(NewBody { html, text }) => {
                let said = |text: Option<String>| text.filter(|text| !text.trim().is_empty());
                Body::Template { html: said(html), text: said(text) }
            }
        };
        let name = account.display_name.clone();
        let content = Personal { recipients, name, subject, body, attachments };
        content.check().map_err(|(place, problem)| MailingProblem::Template { place, problem })?;
        if !mailings.has_room(key).await? {
            return Err(MailingProblem::Full.into());
        }
        let now = self.clock.now();
        let id = self.ids.event(now);
        let rows = u32::try_from(content.recipients.rows.len()).unwrap_or(u32::MAX);
        let mailing = Mailing {
            id,
            sender: (key, account.address.to_string()),
            user: None,
            kind,
            subject: cut(&shown(&content.subject, MAX_SUBJECT), SHOWN_SUBJECT).to_owned(),
            object: Mailings::object(key.tenant, id),
            state: State::Draft,
            rows,
            next: 0,
            counts: Counts::default(),
            keeps_copy: true,
            created: now,
            ordered: None,
            due: now,
            waits: None,
            moved: now,
            busy: (Timestamp(0), 0),
            ended: None,
        };
        let address = account.address.to_string();
        let after = json!({ "mailing": id.to_string(), "kind": kind.name(), "recipients": rows });
        let about = About { object: &address, ..about }.to(after);
        self.act(call, &about, async {
            mailings.add(&mailing, &Content::Personal(content)).await?;
            Ok::<_, AdminError>(mailing)
        })
        .await
    }

    /// The table of a file. Reading it is done beside what answers requests, of a few files at a time.
    async fn recipients_of(&self, file: &str, table: Vec<u8>) -> Result<Recipients, AdminError> {
        let turn = self.turn().await?;
        let reading = tokio::task::spawn_blocking(move || {
            let read = Recipients::read(&table);
            drop(turn);
            read
        });
        let read = reading.await.map_err(|_| DirectoryError::Busy)?;
        read.map_err(|problem| MailingProblem::Table { file: shown(file, 200), problem }.into())
    }

    async fn turn(&self) -> Result<OwnedSemaphorePermit, AdminError> {
        let turn = tokio::time::timeout(PATIENCE, Arc::clone(&self.reading).acquire_owned()).await;
        let Ok(Ok(turn)) = turn else { return Err(DirectoryError::Busy.into()) };
        Ok(turn)
    }

    /// A letter to each alone may be large: a few of them are in memory at once.
    async fn turn_of(&self, mailing: &Mailing) -> Result<Option<OwnedSemaphorePermit>, AdminError> {
        Ok(if mailing.kind == Kind::Individual { Some(self.turn().await?) } else { None })
    }

    /// Can letters go to all of them, as far as that is known of their domains?
    async fn check_reach(
        &self,
        account: &Account,
        file: &str,
        recipients: &Recipients,
    ) -> Result<(), AdminError> {
        if self.sends_out {
            return Ok(());
        }
        let (mut known, mut wrong): (HashMap<String, bool>, _) = (HashMap::new(), Vec::new());
        for (number, row) in recipients.rows.iter().enumerate() {
            let address = recipients.address(number);
            let Ok(domain) = MailAddress::domain_of(address) else { continue };
            let domain = domain.as_str().to_owned();
            let is_ours = match known.get(&domain) {
                Some(is_ours) => *is_ours,
                None => {
                    let found = self.directory.domain(&domain).await?;
                    let is_ours = found.is_some_and(|found| found.tenant == account.key.tenant);
                    known.insert(domain, is_ours);
                    is_ours
                }
            };
            if !is_ours {
                wrong.push((row.line, RowProblem::Outside(shown(address, 80))));
            }
        }
        if wrong.is_empty() {
            return Ok(());
        }
        Err(MailingProblem::Table { file: shown(file, 200), problem: TableProblem::Rows(wrong) }.into())
    }

    /// How many recipients a mailing of an organisation has at most.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn mailing_rules(&self, call: &Call, tenant: TenantId) -> Result<MailingRules, AdminError> {
        call.may(Action::MailingRulesRead, &Scope::Tenant(tenant))?;
        self.stored_tenant(tenant).await?;
        Ok(self.mailings_here()?.rules(tenant).await?.0)
    }

    /// Says how many, if what holds is still as expected.
    ///
    /// # Errors
    /// [`MailingProblem::Rules`], or others of [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn change_mailing_rules(
        &self,
        call: &Call,
        tenant: TenantId,
        expected: MailingRules,
        rules: MailingRules,
    ) -> Result<MailingRules, AdminError> {
        let document = |rules: MailingRules| json!({ "recipients": rules.recipients });
        let about = About::new(Some(tenant), Action::MailingRulesChange, "mailing-rules");
        let about = about.from(document(expected)).to(document(rules));
        self.permit(call, &Scope::Tenant(tenant), &about).await?;
        self.stored_tenant(tenant).await?;
        if !(1..=MAX_RECIPIENTS).contains(&(rules.recipients as usize)) {
            return Err(MailingProblem::Rules.into());
        }
        let mailings = self.mailings_here()?;
        self.act(call, &about, async {
            let (seen, version) = mailings.rules(tenant).await?;
            let is_changed = seen == expected && mailings.change_rules(tenant, rules, version).await?;
            is_changed.then_some(rules).ok_or(AdminError::Changed)
        })
        .await
    }

    /// Mailings of a member, the newest first, behind that one; letters to each of several alone among them.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn mailings(
        &self,
        call: &Call,
        key: AccountKey,
        after: Option<EventId>,
        limit: usize,
    ) -> Result<(Vec<Mailing>, Option<EventId>), AdminError> {
        self.seen(call, Action::MailingRead, key).await?;
        Ok(self.mailings_here()?.of_account(key, after, limit).await?)
    }

    /// One of them.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn mailing(&self, call: &Call, key: AccountKey, id: EventId) -> Result<Mailing, AdminError> {
        self.seen(call, Action::MailingRead, key).await?;
        Ok(self.found(key, id).await?.0)
    }

    async fn found(&self, key: AccountKey, id: EventId) -> Result<(Mailing, u64), AdminError> {
        self.mailings_here()?.find(key, id).await?.ok_or(AdminError::NotFound("mailing"))
    }

    /// What became of its letters, from that one on, so many at most; and the one behind them, if there are more.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn mailing_letters(
        &self,
        call: &Call,
        key: AccountKey,
        id: EventId,
        from: u32,
        limit: usize,
    ) -> Result<(Vec<MailingLetter>, Option<u32>), AdminError> {
        self.seen(call, Action::MailingRead, key).await?;
        let (mailing, _) = self.found(key, id).await?;
        let mailings = self.mailings_here()?;
        let _turn = self.turn_of(&mailing).await?;
        let content = mailings.content(&mailing).await?;
        // Of a draft that was stopped nothing is kept but how many there were.
        let is_dropped = mailing.state == State::Stopped && mailing.ordered.is_none();
        if content.is_none() && !is_dropped {
            return Err(MailingProblem::Gone.into());
        }
        let fates = mailings.fates(&mailing, from, limit).await?;
        let mut fates: HashMap<u32, Fate> = fates.into_iter().collect();
        let mut states = if fates.is_empty() { HashMap::new() } else { self.states_of(&mailing).await? };
        let end = mailing.rows.min(from.saturating_add(u32::try_from(limit).unwrap_or(u32::MAX)));
        let mut letters = Vec::new();
        for row in from..end {
            let place = usize::try_from(row).unwrap_or(usize::MAX);
            let line = match &content {
                Some(Content::Personal(personal)) => {
                    personal.recipients.rows.get(place).map_or(0, |row| row.line)
                }
                Some(Content::Individual(_)) | None => 0,
            };
            let undecided = mailing.state == State::Stopped || mailing.state == State::Failed;
            let fate = fates.remove(&row).or_else(|| undecided.then_some(Fate::Stopped));
            let letter = matches!(fate, Some(Fate::Sent { .. })).then(|| mailing.letter(row));
            let state = letter.map(|id| states.remove(&id).unwrap_or(DeliveryState::Processing));
            let why = match &fate {
                Some(Fate::Refused { why, .. }) => Some(*why),
                Some(Fate::Sent { partly, .. }) => *partly,
                Some(Fate::Stopped) | None => None,
            };
            let to = content.as_ref().map_or("", |content| content.address(place)).to_owned();
            letters.push(MailingLetter { row: row + 1, line, to, fate, letter, state, why });
        }
        Ok((letters, (end < mailing.rows).then_some(end)))
    }

    /// What became of its letters, by their traces: all of them have the time at which it was let go.
    async fn states_of(&self, mailing: &Mailing) -> Result<HashMap<EventId, DeliveryState>, AdminError> {
        let mut states = HashMap::new();
        let Some(log) = &self.log else { return Ok(states) };
        let (begin, now) = (mailing.ordered.unwrap_or(mailing.created), self.clock.now());
        let mut backwards = Backwards::new(&**log, mailing.sender.0.tenant, begin, begin);
        while let Some(window) = backwards.next().await? {
            for letter in &window {
                if let Some(own) = own(letter, mailing.sender.0, now) {
                    states.insert(own.id, own.state);
                }
            }
        }
        Ok(states)
    }

    /// What the letter of a row will be (PMG-05), from 1.
    ///
    /// # Errors
    /// [`MailingProblem::NoRow`], or others of [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn preview_mailing(
        &self,
        call: &Call,
        key: AccountKey,
        id: EventId,
        row: u32,
    ) -> Result<Preview, AdminError> {
        let object = key.account.to_string();
        let about = About::new(Some(key.tenant), Action::MailingPreview, &object);
        self.permitted(call, &about, key).await?;
        self.preview(key, (id, row)).await
    }

    async fn preview(&self, key: AccountKey, (id, row): (EventId, u32)) -> Result<Preview, AdminError> {
        let (mailing, _) = self.found(key, id).await?;
        let _turn = self.turn_of(&mailing).await?;
        let content = self.mailings_here()?.content(&mailing).await?.ok_or(MailingProblem::Gone)?;
        let place = row.checked_sub(1).filter(|place| *place < mailing.rows).ok_or(MailingProblem::NoRow)?;
        let place = usize::try_from(place).unwrap_or(usize::MAX);
        let to = content.address(place).to_owned();
        let (said, message) = match &content {
            Content::Personal(personal) => {
                let time = mailing.ordered.unwrap_or_else(|| self.clock.now());
                let stamp = Stamp { id: mailing.letter(row - 1), time, from: &mailing.sender.1 };
                let wrong = |problem| MailingProblem::Template { place: "text", problem };
                let said = personal.said(place).map_err(wrong)?;
                (said, personal.letter(place, stamp).map_err(wrong)?)
            }
            Content::Individual(individual) => {
                let said = Said { subject: individual.subject.clone(), html: None, text: None };
                (said, pennypost_mailings::for_one(&individual.raw, &to))
            }
        };
        Ok(Preview { row, to, said, message })
    }

    /// Sends the letter of a row to its writer alone (PMG-05), into his own mailbox. Where he gets it.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn try_mailing(
        &self,
        call: &Call,
        key: AccountKey,
        id: EventId,
        row: u32,
    ) -> Result<String, AdminError> {
        let object = key.account.to_string();
        let about = About::new(Some(key.tenant), Action::MailingTry, &object);
        let account = self.permitted(call, &about, key).await?;
        let preview = self.preview(key, (id, row)).await?;
        let address = account.address.to_string();
        let about = About { object: &address, ..about }.to(json!({ "mailing": id.to_string(), "row": row }));
        self.act(call, &about, async {
            let now = self.clock.now();
            let message = self.ids.event(now);
            let submitter =
                Submitter { account: key, address: address.clone(), protocol: PROTOCOL.to_owned() };
            let submission = Submission { submitter, bcc: String::new() };
            let kind = SourceKind::Submission(Box::new(submission));
            let stored = accept::compressed(preview.message).await;
            let stored = stored.map_err(pennypost_held::HeldError::from)?;
            let domain = account.address.domain();
            let accepted = Accepted {
                id: message,
                time: now,
                tenant: key.tenant,
                source: Source { kind, ip: None, helo: String::new(), tls: None },
                auth: AuthResults::default(),
                reverse_path: address.clone(),
                recipients: vec![Recipient { account: key, address: address.clone(), via: Via::Direct }],
                body: EventBody::Inline(stored),
                receipt: format!(
                    "Received: by {domain} (Pennypost) with {PROTOCOL}\r\n\tid {message}; {}\r\n",
                    now.rfc5322()
                ),
            };
            let (objects, queue) = self.workshop()?;
            let body = accept::for_the_queue(&**objects, accepted, message).await?;
            let outgoing = Outgoing { tenant: key.tenant, body, delay: Duration::ZERO };
            let sent = queue.send_batch(Stage::InboundParse, vec![outgoing]).await;
            let unanswered =
                || PortError::Unavailable { port: "queue", cause: "it gave no answer".to_owned() };
            sent.into_iter().next().unwrap_or_else(|| Err(unanswered()))?;
            Ok::<_, AdminError>(address.clone())
        })
        .await
    }

    /// Lets a mailing go.
    ///
    /// # Errors
    /// [`MailingProblem::NotDraft`], or others of [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn send_mailing(
        &self,
        call: &Call,
        key: AccountKey,
        id: EventId,
    ) -> Result<Mailing, AdminError> {
        let object = key.account.to_string();
        let about = About::new(Some(key.tenant), Action::MailingSend, &object);
        let account = self.permitted(call, &about, key).await?;
        let (mut mailing, version) = self.found(key, id).await?;
        if mailing.state != State::Draft {
            return Err(MailingProblem::NotDraft.into());
        }
        let mailings = self.mailings_here()?;
        mailing.keeps_copy = self.directory.client_rules(key).await?.sent_copies;
        let (address, rows) = (account.address.to_string(), mailing.rows);
        let after = json!({ "mailing": id.to_string(), "recipients": rows });
        let about = About { object: &address, ..about }.to(after);
        self.act(call, &about, async {
            let now = self.clock.now();
            (mailing.state, mailing.ordered) = (State::Going, Some(now));
            (mailing.due, mailing.moved) = (now, now);
            mailings.begin(&mailing, version).await?.then_some(mailing).ok_or(AdminError::Changed)
        })
        .await
    }

    /// Stops a mailing: what is not handed in does not go.
    ///
    /// # Errors
    /// [`MailingProblem::Over`], or others of [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn stop_mailing(
        &self,
        call: &Call,
        key: AccountKey,
        id: EventId,
    ) -> Result<Mailing, AdminError> {
        let object = key.account.to_string();
        let about = About::new(Some(key.tenant), Action::MailingStop, &object);
        let account = self.permitted(call, &about, key).await?;
        let mailings = self.mailings_here()?;
        let address = account.address.to_string();
        let about = About { object: &address, ..about }.to(json!({ "mailing": id.to_string() }));
        let (seen, _) = self.found(key, id).await?;
        if seen.state.is_over() {
            return Err(MailingProblem::Over.into());
        }
        self.act(call, &about, async {
            let stopped = mailings.stop(key, id, self.clock.now()).await?;
            stopped.ok_or_else(|| AdminError::from(MailingProblem::Over))
        })
        .await
    }

    /// The bodies that a member keeps (PMG-07), the oldest first.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn mail_templates(&self, call: &Call, key: AccountKey) -> Result<Vec<Saved>, AdminError> {
        let object = key.account.to_string();
        let about = About::new(Some(key.tenant), Action::MailTemplateRead, &object);
        self.permitted(call, &about, key).await?;
        Ok(self.mailings_here()?.saved(key).await?)
    }

    /// One of them.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn mail_template(
        &self,
        call: &Call,
        key: AccountKey,
        id: EventId,
    ) -> Result<Saved, AdminError> {
        let object = key.account.to_string();
        let about = About::new(Some(key.tenant), Action::MailTemplateRead, &object);
        self.permitted(call, &about, key).await?;
        self.mailings_here()?.find_saved(key, id).await?.ok_or(AdminError::NotFound("template"))
    }

    /// Keeps a body for other mailings.
    ///
    /// # Errors
    /// [`MailingProblem`], or others of [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn keep_mail_template(
        &self,
        call: &Call,
        key: AccountKey,
        name: &str,
        subject: &str,
        body: NewBody,
    ) -> Result<Saved, AdminError> {
        let object = key.account.to_string();
        let about = About::new(Some(key.tenant), Action::MailTemplateChange, &object);
        let account = self.permitted(call, &about, key).await?;
        let name = name.trim();
        if !(1..=MAX_NAME).contains(&name.chars().count()) || name.contains(char::is_control) {
            return Err(MailingProblem::Name.into());
        }
        check_subject(subject)?;
        check_body(&body, MAX_SAVED_BODY)?;
        let now = self.clock.now();
        let saved = Saved {
            id: self.ids.event(now),
            name: name.to_owned(),
            subject: subject.to_owned(),
            html: body.html,
            text: body.text,
            saved: now,
        };
        let (mailings, address) = (self.mailings_here()?, account.address.to_string());
        let about = About { object: &address, ..about }.to(json!({ "template": saved.id.to_string() }));
        self.act(call, &about, async {
            let is_kept = mailings.keep(key, &saved).await?;
            is_kept.then_some(saved).ok_or_else(|| AdminError::from(MailingProblem::Kept))
        })
        .await
    }

    /// Keeps one no longer.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn forget_mail_template(
        &self,
        call: &Call,
        key: AccountKey,
        id: EventId,
    ) -> Result<(), AdminError> {
        let object = key.account.to_string();
        let about = About::new(Some(key.tenant), Action::MailTemplateChange, &object);
        let account = self.permitted(call, &about, key).await?;
        let (mailings, address) = (self.mailings_here()?, account.address.to_string());
        mailings.find_saved(key, id).await?.ok_or(AdminError::NotFound("template"))?;
        let about = About { object: &address, ..about }.from(json!({ "template": id.to_string() }));
        self.act(call, &about, async {
            mailings.forget_saved(key, id).await?;
            Ok::<_, AdminError>(())
        })
        .await
    }
}
