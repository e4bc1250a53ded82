//! Letters whose senders ask for a read receipt, and what their reader says to that, once (SND-09, RFC 8098).
//!
//! Which letters ask stands in their traces; whether something was said is a keyword of the letter ($MDNSent, RFC 3503), which mail programs
//! set, too: whoever was faster has said it. What is said over the API is a task, since whoever answers it may neither read letters nor change
//! them: it notes that something is said, and then writes the receipt, under an id of the letter's, the account's and the order's.
//!
//! If the process dies at any line: before the keyword is set nothing was said; behind it the next attempt writes the same receipt, which comes once.

use pennypost_directory::{Account, MailAddress, Outward};
use pennypost_journeys::{Backwards, Journey, is_draft, is_sent_copy, journey};
use pennypost_mailstore::accept::compressed;
use pennypost_model::codec::encode;
use pennypost_model::event::{Accepted, AuthResults, Body, Event, Recipient, Source, SourceKind, Stage, Via};
use pennypost_model::trace::{FORWARD_REASON, Outcome, RECEIPT_REASON, TraceRecipient};
use pennypost_model::{AccountKey, EventId, Rid, TaskId, TenantId, Timestamp};
use pennypost_ports::{Outgoing, PortError};
use pennypost_reports::GivenReceipt;
use serde_json::json;
use sha2::{Digest, Sha256};

use super::work::{StepDone, Worked};
use super::{DAY, Item, Task, TaskCounts, TaskKind, TaskProblem, TaskState, Wish};
use crate::action::Action;
use crate::call::{About, Call};
use crate::{AdminError, Administration, Conflict, Invalid};

/// Days of which members are told.
const MOST_DAYS: i64 = 90;
/// Letters that a page looks at, about.
const MAX_READ: usize = 10_000;
/// The clock of another machine may be ahead.
const AHEAD: i64 = 3_600_000;
/// Answers of an account in a day.
const ANSWERS_A_DAY: usize = 200;

/// What traces call the mailbox for what is taken for spam.
const JUNK: &str = "Junk";

/// How it stands with a letter that asks for a receipt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReceiptState {
    /// Nothing was said yet.
    Open,
    /// A receipt was given, or none: here, or by a mail program.
    Answered,
    /// The letter is in no mailbox any more.
    Gone,
}

impl ReceiptState {
    /// Its name for programs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            ReceiptState::Open => "open",
            ReceiptState::Answered => "answered",
            ReceiptState::Gone => "gone",
        }
    }
}

/// A letter whose sender asks for a receipt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceiptRequest {
    /// Its id.
    pub letter: EventId,
    /// When it came.
    pub time: Timestamp,
    /// The reverse-path of its envelope.
    pub sender: String,
    /// Its subject, cut.
    pub subject: String,
    /// Where a receipt goes.
    pub asker: String,
    /// How it stands.
    pub state: ReceiptState,
}

/// One of an account, and where it is.
struct Asking {
    request: ReceiptRequest,
    rid: Rid,
    /// The address at which it came.
    at: String,
}

/// Is it the account's own copy, which it has got as somebody to whom was written?
fn is_readers(recipient: &TraceRecipient, key: AccountKey) -> bool {
    let is_forward = |reason: &String| reason.starts_with(FORWARD_REASON);
    recipient.account == key
        && !is_sent_copy(recipient)
        && !is_draft(recipient)
        && !recipient.reasons.iter().any(is_forward)
}

/// What a letter asks of an account; nothing, where it went to Junk: whoever answers there tells that somebody reads it.
fn asking(letter: &Journey, key: AccountKey) -> Option<Asking> {
    let delivery = letter.delivery.as_ref().filter(|delivery| !delivery.message_id.is_empty())?;
    if letter.submitter().is_some_and(|submitter| submitter.account == key) {
        return None;
    }
    let mut reasons = delivery.recipients.iter().flat_map(|recipient| &recipient.reasons);
    let asker = reasons.find_map(|reason| reason.strip_prefix(RECEIPT_REASON))?;
    let mut own = delivery.recipients.iter().filter(|recipient| is_readers(recipient, key));
    let (rid, at) = own.find_map(|recipient| match &recipient.outcome {
        Outcome::Stored { rid, mailbox, .. } if mailbox != JUNK => Some((*rid, recipient.address.clone())),
        _ => None,
    })?;
    let request = ReceiptRequest {
        letter: letter.id,
        time: delivery.accepted,
        sender: delivery.reverse_path.clone(),
        subject: delivery.subject.clone(),
        asker: asker.to_owned(),
        state: ReceiptState::Gone,
    };
    Some(Asking { request, rid, at })
}

/// The id of the receipt that an account gives, by that order, of a letter: the same however often the task is done.
fn receipt_id(letter: EventId, account: AccountKey, ordered: Timestamp) -> EventId {
    let mut hash = Sha256::new();
    hash.update(b"receipt");
    hash.update(letter.to_bytes());
    hash.update(account.to_string());
    let random = hash.finalize().iter().take(10).fold(0_u128, |number, byte| number << 8 | u128::from(*byte));
    EventId::from_parts(ordered, random)
}

/// Of each letter once, unless that was given up; and some in a day.
pub(super) fn may_answer(
    kind: &TaskKind,
    newest: &[(String, Item)],
    now: Timestamp,
) -> Result<(), AdminError> {
    let TaskKind::Receipt { account, letter, .. } = kind else { return Ok(()) };
    let own = || {
        newest.iter().map(|(_, item)| item).filter_map(|item| match &item.kind {
            TaskKind::Receipt { account: of, letter, .. } if of == account => Some((item, *letter)),
            _ => None,
        })
    };
    let is_said = |item: &Item| !matches!(item.state, TaskState::Failed | TaskState::Cancelled);
    if own().any(|(item, of)| of == *letter && is_said(item)) {
        return Err(AdminError::Conflict(Conflict::ReceiptAnswered));
    }
    if own().filter(|(item, _)| now.0.saturating_sub(item.created.0) < DAY).count() >= ANSWERS_A_DAY {
        return Err(Invalid::TooMany { limit: ANSWERS_A_DAY }.into());
    }
    Ok(())
}

impl Administration {
    /// Letters of the last days that ask a member for a read receipt, the newest first, below an id. At most `limit`, but perhaps fewer,
    /// even none, though there are more. With the id below which the next ones are.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn receipt_requests(
        &self,
        call: &Call,
        key: AccountKey,
        days: Option<u16>,
        below: Option<EventId>,
        limit: usize,
    ) -> Result<(Vec<ReceiptRequest>, Option<EventId>), AdminError> {
        self.seen(call, Action::ReceiptRead, key).await?;
        let now = self.clock.now();
        let since = now.plus_millis(-DAY * days.map_or(MOST_DAYS, |days| i64::from(days).min(MOST_DAYS)));
        let begin = self.shown_since(key.tenant).await?.max(since);
        let last = now.plus_millis(AHEAD);
        let end = below.map_or(last, |below| last.min(below.time()));
        let log = self.traces()?;
        let mut backwards = Backwards::new(&**log, key.tenant, begin, end);
        let (mut found, mut read) = (Vec::new(), 0);
        let mut next = None;
        'windows: while let Some(window) = backwards.next().await? {
            read += window.len();
            for letter in window.iter().filter(|letter| below.is_none_or(|below| letter.id < below)) {
                let Some(asking) = asking(letter, key) else { continue };
                found.push(asking);
                if found.len() >= limit {
                    next = Some(letter.id);
                    break 'windows;
                }
            }
            if read >= MAX_READ {
                break;
            }
        }
        let next = next.or_else(|| backwards.position());
        Ok((self.receipt_states(key, found).await?.into_iter().map(|asking| asking.request).collect(), next))
    }

    /// One of them.
    ///
    /// # Errors
    /// [`AdminError::NotFound`] also for a letter that asks nothing of the member.
    #[pennypost_ports::compiled_here]
    pub async fn receipt_request(
        &self,
        call: &Call,
        key: AccountKey,
        letter: EventId,
    ) -> Result<ReceiptRequest, AdminError> {
        self.seen(call, Action::ReceiptRead, key).await?;
        Ok(self.asking_of(key, letter).await?.request)
    }

    async fn asking_of(&self, key: AccountKey, letter: EventId) -> Result<Asking, AdminError> {
        let missing = || AdminError::NotFound("letter");
        if letter.time() < self.shown_since(key.tenant).await? {
            return Err(missing());
        }
        let found = journey(&**self.traces()?, key.tenant, letter).await?;
        let asking = found.and_then(|letter| asking(&letter, key)).ok_or_else(missing)?;
        self.receipt_states(key, vec![asking]).await?.pop().ok_or_else(missing)
    }

    /// How it stands with each.
    async fn receipt_states(
        &self,
        key: AccountKey,
        mut found: Vec<Asking>,
    ) -> Result<Vec<Asking>, AdminError> {
        if found.is_empty() {
            return Ok(found);
        }
        let letters: Vec<Rid> = found.iter().map(|asking| asking.rid).collect();
        let said = self.mail.as_ref().ok_or(AdminError::NoMail)?.receipts(key, &letters).await?;
        for asking in &mut found {
            asking.request.state = match said.get(&asking.rid) {
                Some(true) => ReceiptState::Answered,
                Some(false) => ReceiptState::Open,
                None => ReceiptState::Gone,
            };
        }
        Ok(found)
    }

    /// Gives the sender of a letter the receipt for which he asks, or says that he gets none; only its reader does that, and once. As
    /// [`Administration::order_import`].
    ///
    /// # Errors
    /// [`AdminError::NotFound`] for a letter that asks nothing, or is gone; [`Conflict::ReceiptAnswered`];
    /// [`Conflict::NotFromHere`] and [`Conflict::SendsInside`] where no receipt goes to who asks; [`Invalid::TooMany`]; or others of
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn answer_receipt_request(
        &self,
        call: &Call,
        key: AccountKey,
        letter: EventId,
        gives: bool,
        once: Option<[u8; 32]>,
    ) -> Result<Task, AdminError> {
        let object = key.account.to_string();
        let about = About::new(Some(key.tenant), Action::ReceiptAnswer, &object);
        let account = self.permitted(call, &about, key).await?;
        let Asking { request, rid, at } = self.asking_of(key, letter).await?;
        match request.state {
            ReceiptState::Open => {}
            ReceiptState::Answered => return Err(AdminError::Conflict(Conflict::ReceiptAnswered)),
            ReceiptState::Gone => return Err(AdminError::NotFound("letter")),
        }
        let mut own = account.address.to_string();
        if gives {
            self.receipt_goes_to(&account, &request.asker).await?;
            let owned = self.directory.own_addresses(key).await?;
            if MailAddress::parse(&at).is_ok_and(|at| owned.contains(&at)) {
                own = at;
            }
        }
        let address = account.address.to_string();
        let said = json!({ "letter": letter.to_string(), "give": gives });
        let about = About { object: &address, ..about }.to(said);
        let kind = TaskKind::Receipt {
            account: key.account,
            address: address.clone(),
            letter,
            rid,
            asker: request.asker,
            at: own,
            gives,
        };
        let wish = Wish { kind, has_groups: false, bytes: None, once };
        self.order(call, key.tenant, wish, &about).await
    }

    /// Who gets an account's receipt that goes to this address.
    async fn receipt_goes_to(&self, account: &Account, asker: &str) -> Result<Recipient, AdminError> {
        let nowhere = || AdminError::Conflict(Conflict::NotFromHere);
        let address = MailAddress::parse(asker).ok().filter(MailAddress::is_dot_atom).ok_or_else(nowhere)?;
        let to = self.directory.answered(account.key, &address).await?.ok_or_else(nowhere)?;
        if to.via != Via::Outside {
            return if account.sends().holds(true) { Ok(to) } else { Err(nowhere()) };
        }
        if !self.sends_out {
            return Err(nowhere());
        }
        if !account.sends().holds(false) || self.directory.outward(account).await? == Outward::Forbidden {
            return Err(AdminError::Conflict(Conflict::SendsInside));
        }
        Ok(to)
    }

    /// The receipt of a task as an accepted message; why there is none.
    async fn receipt(
        &self,
        account: &Account,
        item: &Item,
    ) -> Result<Result<Accepted, TaskProblem>, AdminError> {
        let TaskKind::Receipt { letter, rid, asker, at, .. } = &item.kind else {
            return Ok(Err(TaskProblem::Broken));
        };
        let to = match self.receipt_goes_to(account, asker).await {
            Err(AdminError::Conflict(_)) => return Ok(Err(TaskProblem::NoReceipt)),
            to => to?,
        };
        let key = account.key;
        let Some(head) = self.mail()?.letter_head(key, *rid).await? else {
            return Ok(Err(TaskProblem::NoLetters));
        };
        let (id, from) = (receipt_id(*letter, key, item.created), account.address.to_string());
        let given = GivenReceipt {
            id,
            time: item.created,
            from: (&from, &account.display_name),
            at,
            to: asker,
            subject: &head.subject,
            message_id: &head.message_id,
            sent: head.sent,
            header: &head.header,
        };
        let Some(raw) = given.message() else { return Ok(Err(TaskProblem::NoReceipt)) };
        let damaged = |error: pennypost_mailstore::StoreError| PortError::Damaged {
            port: "queue",
            cause: error.to_string(),
        };
        let kind = if to.via == Via::Outside { SourceKind::Notice(key) } else { SourceKind::System };
        let (domain, time) = (account.address.domain(), item.created);
        Ok(Ok(Accepted {
            id,
            time,
            tenant: key.tenant,
            source: Source { kind, ip: None, helo: String::new(), tls: None },
            auth: AuthResults::default(),
            reverse_path: String::new(),
            recipients: vec![to],
            body: Body::Inline(compressed(raw).await.map_err(damaged)?),
            receipt: format!("Received: by {domain} id {id};\r\n\t{}\r\n", time.rfc5322()),
        }))
    }

    pub(super) async fn say_receipt(
        &self,
        tenant: TenantId,
        id: TaskId,
        item: &Item,
        until: Timestamp,
    ) -> Result<Worked, AdminError> {
        let TaskKind::Receipt { account, rid, gives, .. } = item.kind else { return Ok(Worked::Over) };
        let key = AccountKey { tenant, account };
        if self.clock.now() >= until {
            return Ok(Worked::More);
        }
        let Some(account) = self.directory.account(key).await?.filter(|account| account.binned.is_none())
        else {
            return self.end_task(tenant, id, TaskState::Failed, Some(&TaskProblem::NoAccount)).await;
        };
        // What can't be given is told before anything is noted.
        let receipt = match gives {
            true => match self.receipt(&account, item).await? {
                Ok(receipt) => Some(receipt),
                Err(problem) => {
                    return self.end_task(tenant, id, TaskState::Failed, Some(&problem)).await;
                }
            },
            false => None,
        };
        // What was said before the first attempt somebody else has said.
        let before = self.mail()?.receipts(key, &[rid]).await?;
        let was_said = u32::from(before.get(&rid) == Some(&true));
        let claim = self.claim_step(tenant, id, item, &[was_said]).await?;
        let Some(claim) = claim else { return Ok(Worked::Over) };
        let is_news = self.mail()?.note_receipt(key, rid).await?;
        // An attempt before this one may have noted it, and died before the receipt was in the queue.
        let is_ours = is_news || claim.attempt > 1 && claim.taken != [1];
        if let Some(receipt) = receipt.filter(|_| is_ours) {
            let (_, queue) = self.workshop()?;
            let body = encode(&Event::Accepted(Box::new(receipt)));
            let message = Outgoing { tenant, body, delay: std::time::Duration::ZERO };
            for sent in queue.send_batch(Stage::InboundParse, vec![message]).await {
                sent?;
            }
        }
        let counts = TaskCounts { skipped: u64::from(!is_ours), ..TaskCounts::default() };
        let done = StepDone { rows: 1, total: Some(1), counts, is_last: true, ..StepDone::default() };
        self.finish_step(&claim, &done).await?;
        Ok(Worked::Over)
    }
}
