//! Handler: the decision where each recipient's copy goes, and why.
//!
//! From a parsed message, the policy of its tenant and the rules of its recipients to a decision for each of them. The decision
//! itself is [`pennypost_policy::place`]; here stands only how policy and rules are come by, and what follows where a letter is
//! forwarded (RUL-06) or answered (RUL-07). It uses one port: the control port, through [`PolicySource`]; and where the operator has
//! named scanners those, and what [`Screen`] takes. Rules are read only of those who may have some, which is read with the policy; of so many
//! members at once as are read at once, and between two of them others have their turn.
//!
//! To whom a letter is forwarded gets it as one more recipient of the same event, each account and each address once: an account
//! here is asked for its rules in turn, so that two who forward to each other end where they began; what goes to other servers
//! goes with the letter's own recipients there.
//!
//! The text of a letter is taken out of its bytes where a rule asks for it that nothing else has decided (RUL-02): of those in the event, or
//! of the spooled ones. Whoever has certainly sent a letter that a rule refuses (RUL-03) is told by a report; otherwise it is deleted.
//!
//! Invariants: nothing is written but who was answered, and with which letter, and that a letter waits, so an event may be handled any
//! number of times and answers have the same ids; the reasons name the version of the policy that decided. A policy, and rules, may be up
//! to [`FRESH`] old. If they cannot be read, nothing is
//! decided: the event comes again, and no mail slips past a list because of a bad moment. Only rules of a member that are
//! damaged hold up nobody's mail, his own neither: it goes where it would without them, and its trace says so. If the process dies
//! at any line, the event is handled again from its beginning.

mod answer;
mod handler;
mod refusal;
mod screen;
mod text;

pub use screen::Screen;

use std::collections::{BTreeSet, HashMap};
use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use futures::stream::{self, StreamExt};
use parking_lot::Mutex;
use pennypost_directory::{Answering, Directory, DirectoryError, MailAddress, WithRules};
use pennypost_model::event::{Accepted, Decided, Forward, Parsed, Recipient, SourceKind, Target, Via};
use pennypost_model::message::cut;
use pennypost_model::trace::FORWARD_REASON;
use pennypost_model::{AccountKey, EventId, TenantId, Timestamp, codec};
use pennypost_policy::rules::{FullText, MAX_LETTER_FORWARDS, Outlets, Reply, are_related};
use pennypost_policy::{Personal, Placed, ScanPolicy, TenantPolicy, place_letter};
use pennypost_ports::{Consistency, Log, Objects};

use crate::screen::Screened;
use crate::text::{Spool, text_of};

/// How old a remembered policy may be.
pub const FRESH: Duration = Duration::from_secs(10);

/// Policies that are remembered at once.
const MAX_REMEMBERED: usize = 1_000;
/// Bytes of members' rules, as they are stored, that are remembered at once; in memory they are a few times that.
const MAX_RULES: usize = 8 << 20;
/// What a member counts for whose rules are short, or who has none.
const LEAST_RULES: usize = 1_024;
/// Members whose rules are read, and held, at once for a letter.
const AT_ONCE: usize = 16;

/// Those to whom a letter is forwarded, beside those whom it has itself: an event has to go through a queue with them.
const MAX_FORWARDS: usize = 300;
/// Those who get a letter by themselves and by forwarding: its trace has to be one item of the log with them.
const MAX_GETTING: usize = 800;
/// Bytes of an address in a reason.
const NAME: usize = 100;
/// What the reason begins with that names the answer to the letter.
pub const ANSWER_REASON: &str = "answered:";
/// The reason that its writer was answered of late.
pub const ANSWERED_BEFORE_REASON: &str = "answered-before";
/// The reason that the account has answered as many as it may.
pub const ANSWERED_MANY_REASON: &str = "answered-too-many";

/// The reason that the letter came too long ago: its writer waits for no answer.
pub const ANSWERED_LATE_REASON: &str = "answered-late";
/// The reason that nobody could note the answer.
pub const NOT_ANSWERED_REASON: &str = "not-answered";
/// Milliseconds for which letters are answered: old ones come again where an operator has that done.
const ANSWERABLE: i64 = 2 * 24 * 3_600_000;
/// Milliseconds for which a letter waits until its answer can be noted: who may not write could not for long.
const PATIENCE: i64 = 10 * 60_000;
/// Milliseconds for which they are tried at other servers.
const TRIED: i64 = 5 * 24 * 3_600_000;

/// Where policies come from.
#[async_trait]
pub trait PolicySource: Send + Sync {
    /// The policy of a tenant with its version, the default for a tenant that has set none; and who of it may have rules.
    async fn policies(&self, tenant: TenantId) -> Result<(TenantPolicy, WithRules), DirectoryError>;

    /// The time.
    fn now(&self) -> Timestamp;

    /// The rules of a member.
    async fn personal(&self, key: AccountKey) -> Result<Personal, DirectoryError>;

    /// What a tenant says of what scanners find.
    async fn scan_policy(&self, tenant: TenantId) -> Result<ScanPolicy, DirectoryError>;
    /// Who gets an account's answer to whoever has this address; `None`: nobody, or several.
    async fn answered(
        &self,
        from: AccountKey,
        writer: &MailAddress,
    ) -> Result<Option<Recipient>, DirectoryError>;

    /// Notes that an account answers its letter to that writer, by what he is known, with this text, unless it has of late.
    async fn note_answer(
        &self,
        from: AccountKey,
        answer: (&str, &str),
        letter: (EventId, Timestamp),
    ) -> Result<Answering, DirectoryError>;
}

#[async_trait]
impl PolicySource for Directory {
    async fn policies(&self, tenant: TenantId) -> Result<(TenantPolicy, WithRules), DirectoryError> {
        Directory::policies(self, tenant).await
    }

    fn now(&self) -> Timestamp {
        Directory::now(self)
    }

    async fn personal(&self, key: AccountKey) -> Result<Personal, DirectoryError> {
        Directory::personal(self, key).await
    }

    async fn scan_policy(&self, tenant: TenantId) -> Result<ScanPolicy, DirectoryError> {
        Directory::scan_policy(self, tenant, Consistency::Eventual).await
    }

    async fn answered(
        &self,
        from: AccountKey,
        writer: &MailAddress,
    ) -> Result<Option<Recipient>, DirectoryError> {
        Directory::answered(self, from, writer).await
    }

    async fn note_answer(
        &self,
        from: AccountKey,
        answer: (&str, &str),
        letter: (EventId, Timestamp),
    ) -> Result<Answering, DirectoryError> {
        Directory::note_answer(self, from, answer, letter).await
    }
}

/// Why no decision was made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FilterError {
    /// The tenant's policy cannot be read.
    #[error("the policy of tenant {tenant} cannot be read: {cause}")]
    Policy {
        /// The tenant.
        tenant: TenantId,
        /// Why.
        cause: DirectoryError,
    },
    /// Whether a letter's writer is answered can't be told.
    #[error("an answer of {account} can't be noted: {cause}")]
    Answer {
        /// Whose.
        account: AccountKey,
        /// Why.
        cause: DirectoryError,
    },
    /// The rules of a recipient cannot be read.
    #[error("the rules of {account} cannot be read: {cause}")]
    Rules {
        /// Whose.
        account: AccountKey,
        /// Why.
        cause: DirectoryError,
    },
    /// A scanner does not answer, and the tenant wants its letters to wait for it.
    #[error("it waits for a scanner: {cause}")]
    Waits {
        /// What the scanner does.
        cause: String,
        /// After so long it is tried again.
        again: Duration,
    },
    /// What a scanner is to look at, or what is in quarantine, can't be read.
    #[error("a scanner could not be asked: {cause}")]
    Unread {
        /// Why.
        cause: String,
        /// Can it be read later?
        temporary: bool,
    },
    /// A late repetition of an event: the letter is where it was put, and what its rules ask for is not there any more.
    #[error("it has been delivered before")]
    Delivered,
}

impl FilterError {
    /// Can the same event be handled later? A policy that is damaged today is mended tomorrow, and mail has to wait for it;
    /// bytes that are damaged stay so.
    #[must_use]
    pub const fn is_temporary(&self) -> bool {
        match self {
            FilterError::Policy { .. }
            | FilterError::Rules { .. }
            | FilterError::Answer { .. }
            | FilterError::Waits { .. } => true,
            FilterError::Unread { temporary, .. } => *temporary,
            FilterError::Delivered => false,
        }
    }
}

/// A policy, and who may have rules beside it.
type Policies = (TenantPolicy, WithRules);

struct Remembered<T> {
    value: Arc<T>,
    weight: usize,
    read: Instant,
}

/// What was read of late, as much as there is room for.
struct Memory<K, T> {
    most: usize,
    weigh: fn(&T) -> usize,
    known: Mutex<Known<K, T>>,
}

struct Known<K, T> {
    by_key: HashMap<K, Remembered<T>>,
    weight: usize,
}

impl<K: std::hash::Hash + Eq, T> Memory<K, T> {
    fn of(most: usize, weigh: fn(&T) -> usize) -> Memory<K, T> {
        Memory { most, weigh, known: Mutex::new(Known { by_key: HashMap::new(), weight: 0 }) }
    }

    fn recall(&self, key: &K) -> Option<Arc<T>> {
        let known = self.known.lock();
        let known = known.by_key.get(key).filter(|known| known.read.elapsed() < FRESH)?;
        Some(Arc::clone(&known.value))
    }

    fn keep(&self, key: K, value: T, read: Instant) -> Arc<T> {
        let weight = (self.weigh)(&value);
        let value = Arc::new(value);
        let mut known = self.known.lock();
        let known = &mut *known;
        known.weight -= known.by_key.remove(&key).map_or(0, |before| before.weight);
        if known.weight + weight > self.most {
            known.by_key.retain(|_, known| known.read.elapsed() < FRESH);
            known.weight = known.by_key.values().map(|known| known.weight).sum();
        }
        if known.weight + weight <= self.most {
            known.by_key.insert(key, Remembered { value: Arc::clone(&value), weight, read });
            known.weight += weight;
        }
        value
    }
}

fn weight_of(personal: &Personal) -> usize {
    codec::encode(&personal.rules).len().max(LEAST_RULES)
}

/// Lets others have their turn: whoever asks many rules would hold them up.
async fn give_way() {
    let mut has_waited = false;
    poll_fn(|context| {
        if std::mem::replace(&mut has_waited, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// The handler of stage `filter`.
pub struct PolicyFilter {
    source: Arc<dyn PolicySource>,
    policies: Memory<TenantId, Policies>,
    members: Memory<AccountKey, Personal>,
    screen: Option<Screen>,
    spool: Option<Spool>,
    sends_out: bool,
}

/// A decided message, and what follows from it.
#[derive(Debug)]
pub(crate) struct Filtered {
    /// With those behind its own recipients to whom it is forwarded.
    pub(crate) decided: Decided,
    /// How many of its recipients are its own.
    pub(crate) own: usize,
    /// Where it is forwarded to other servers.
    pub(crate) forwards: Vec<Forward>,
    /// Answers to it.
    pub(crate) answers: Vec<Accepted>,
}

/// Those who get a message: its own recipients, then those to whom it is forwarded.
struct Getting {
    recipients: Vec<Recipient>,
    own: usize,
    here: BTreeSet<AccountKey>,
    elsewhere: BTreeSet<MailAddress>,
    /// Who forwards it, for each that is not its own.
    forwarded_by: Vec<String>,
    forwards: Vec<Forward>,
}

impl Getting {
    fn of(accepted: &Accepted) -> Getting {
        let is_copy = |one: &&Recipient| !matches!(one.via, Via::Outside | Via::Sent);
        let recipients = &accepted.recipients;
        let outside = recipients.iter().filter(|one| one.via == Via::Outside).map(|one| &one.address);
        let groups = accepted.source.kind.groups().iter().flat_map(|group| &group.members);
        let elsewhere = outside.chain(groups.map(|member| &member.address));
        Getting {
            own: recipients.len(),
            here: recipients.iter().filter(is_copy).map(|one| one.account).collect(),
            elsewhere: elsewhere.filter_map(|address| MailAddress::parse(address).ok()).collect(),
            forwarded_by: Vec::new(),
            forwards: Vec::new(),
            recipients: recipients.clone(),
        }
    }

    fn has_room(&self) -> bool {
        self.forwarded_by.len() + MAX_LETTER_FORWARDS <= MAX_FORWARDS
            && self.recipients.len() + MAX_LETTER_FORWARDS <= MAX_GETTING
    }

    /// Adds those to whom a recipient forwards it, unless they get it anyway. `false`: all do.
    fn add(&mut self, forwarder: AccountKey, from: &MailAddress, placed: &Placed) -> bool {
        let before = self.recipients.len();
        for forward in &placed.forwards {
            let address = forward.to.to_string();
            let recipient = match forward.inside {
                Some(inside) if self.here.insert(inside.account) => {
                    Recipient { account: inside.account, address, via: inside.via }
                }
                None if self.elsewhere.insert(forward.to.clone()) => {
                    let (from, to) = (from.to_string(), address.clone());
                    self.forwards.push(Forward { account: forwarder, from, to });
                    Recipient { account: forwarder, address, via: Via::Outside }
                }
                _ => continue,
            };
            self.recipients.push(recipient);
            self.forwarded_by.push(from.to_string());
        }
        self.recipients.len() > before
    }
}

impl PolicyFilter {
    /// A filter that asks `source` for policies. Nothing goes to other servers by its word.
    #[must_use]
    pub fn new(source: Arc<dyn PolicySource>) -> PolicyFilter {
        let policies = Memory::of(MAX_REMEMBERED, |_| 1);
        let members = Memory::of(MAX_RULES, weight_of);
        PolicyFilter { source, policies, members, sends_out: false, screen: None, spool: None }
    }

    /// As it is, but scanners are asked before anything is placed.
    #[must_use]
    pub fn screening(self, screen: Option<Screen>) -> PolicyFilter {
        PolicyFilter { screen, ..self }
    }

    /// As it is, and it reads the text of letters that are too large for their events, where rules ask for it.
    #[must_use]
    pub fn reading(self, objects: Arc<dyn Objects>, log: Arc<dyn Log>) -> PolicyFilter {
        PolicyFilter { spool: Some(Spool::new(objects, log)), ..self }
    }

    pub(crate) const fn screens(&self) -> bool {
        self.screen.is_some()
    }

    /// As it is, where letters go to other servers: those that are forwarded there, and answers.
    #[must_use]
    pub fn sending_out(self, sends_out: bool) -> PolicyFilter {
        PolicyFilter { sends_out, ..self }
    }

    /// Decides for each recipient, in their order, and behind them for each to whom it is forwarded.
    ///
    /// # Errors
    /// [`FilterError`].
    pub async fn handle(&self, parsed: Parsed) -> Result<Decided, FilterError> {
        Ok(self.filtered(parsed, Instant::now()).await?.decided)
    }

    /// The same of one of a batch that was taken in hand then, with what follows from it.
    pub(crate) async fn filtered(&self, mut parsed: Parsed, begun: Instant) -> Result<Filtered, FilterError> {
        let screened = match &self.screen {
            Some(screen) => screen.look(&mut parsed, &*self.source, begun).await?,
            None => Screened::default(),
        };
        let policies = self.policies(parsed.accepted.tenant).await?;
        let (policy, with_rules) = &*policies;
        let is_system = *parsed.accepted.source.kind.way() == SourceKind::System;
        let may_have = |recipient: &&Recipient| {
            !is_system && is_asked(recipient) && with_rules.may_have(recipient.account.account)
        };
        let own = parsed.accepted.recipients.iter().filter(may_have);
        let reads: Vec<_> = own.map(|one| self.rules_of(one.account)).collect();
        let mut rules = stream::iter(reads).buffered(AT_ONCE);
        let mut getting = Getting::of(&parsed.accepted);
        let age = self.source.now().0.saturating_sub(parsed.accepted.time.0);
        let (mut decisions, mut answers) = (Vec::with_capacity(getting.own), Vec::new());
        let mut text: Option<FullText> = None;
        while let Some(recipient) = getting.recipients.get(decisions.len()).cloned() {
            let forwarded_by = decisions.len().checked_sub(getting.own);
            let personal = match may_have(&&recipient) {
                true if forwarded_by.is_some() => Some(self.rules_of(recipient.account).await?),
                true => rules.next().await.transpose()?,
                false => None,
            };
            let personal = personal.filter(|personal| personal.unreadable || personal.version > 0);
            let outlets = Outlets { outside: self.sends_out, room: getting.has_room(), late: age > TRIED };
            let screening = screened.of(recipient.account, recipient.via);
            let said = (personal.as_deref(), screening.as_ref());
            let mut placed = place_letter(policy, (&parsed, text.as_ref()), &recipient, said, outlets);
            if placed.wants_text {
                // Once for a letter, however many ask for it.
                let text = text.insert(text_of(&parsed, self.spool.as_ref()).await?);
                placed = place_letter(policy, (&parsed, Some(&*text)), &recipient, said, outlets);
            }
            if let Some(said) = placed.refusal.take() {
                match self.refusal(&parsed, &recipient, forwarded_by.is_some(), &said).await? {
                    Ok(report) => answers.extend(report),
                    Err(why) => placed.not_refused(why),
                }
            }
            if let Some(by) = forwarded_by.and_then(|number| getting.forwarded_by.get(number)) {
                placed.decision.reasons.push(format!("{FORWARD_REASON}{}", cut(by, NAME)));
            }
            if let Some(personal) = &personal {
                let from = personal.from.as_ref();
                let is_added = from.is_some_and(|(from, _)| getting.add(recipient.account, from, &placed));
                // Of those who forward to each other, and keep nothing, the last one has it.
                if let Some(stays) = placed.stays.take().filter(|_| !is_added) {
                    (placed.decision.target, placed.decision.flags) = stays;
                }
                // Whoever gets it by a colleague's word was not written to.
                if let Some(reply) = placed.reply.take().filter(|_| forwarded_by.is_none()) {
                    let (answer, reason) = self.answer(&parsed, &recipient, personal, &reply).await?;
                    answers.extend(answer);
                    placed.decision.reasons.extend(reason);
                }
                give_way().await;
            }
            decisions.push(placed.decision);
        }
        let Getting { recipients, own, mut forwards, .. } = getting;
        drop(rules);
        // What a member has had released is for himself.
        let is_withheld = |to: &str| {
            let mut added = recipients.iter().zip(&decisions).skip(own);
            added.any(|(one, decision)| {
                one.via == Via::Outside && one.address == to && matches!(decision.target, Target::Withheld(_))
            })
        };
        forwards.retain(|forward| !is_withheld(&forward.to));
        parsed.accepted.recipients = recipients;
        let decided = Decided { decisions, accepted: parsed.accepted, sidecar: parsed.sidecar };
        Ok(Filtered { decided, own, forwards, answers })
    }

    /// The answer to a letter, if its writer gets one, and what is to be said of it in the trace.
    async fn answer(
        &self,
        parsed: &Parsed,
        recipient: &Recipient,
        personal: &Personal,
        reply: &Reply,
    ) -> Result<(Option<Accepted>, Option<String>), FilterError> {
        let account = recipient.account;
        let failed = |cause| FilterError::Answer { account, cause };
        let accepted = &parsed.accepted;
        let writer = MailAddress::parse(&accepted.reverse_path).ok().filter(MailAddress::is_dot_atom);
        let (Some(writer), Some(from)) = (writer, &personal.from) else { return Ok((None, None)) };
        let age = self.source.now().0.saturating_sub(accepted.time.0);
        if age > ANSWERABLE {
            return Ok((None, Some(ANSWERED_LATE_REASON.to_owned())));
        }
        let to = match self.source.answered(account, &writer).await {
            // What is damaged, maybe of somebody else, holds up no mail.
            Err(error) if !error.is_temporary() => {
                tracing::error!(%account, message = %accepted.id, %error, "who would be answered can't be read");
                None
            }
            found => found.map_err(failed)?,
        };
        let reaches = |to: &Recipient| to.via != Via::Outside || self.sends_out && personal.answers_outside;
        let Some(to) = to.filter(reaches) else { return Ok((None, None)) };
        let letter = (accepted.id, accepted.time);
        let known = known_by(parsed, &writer);
        let noted = match self.source.note_answer(account, (&known, &reply.text), letter).await {
            // Nor does what can't be noted: it may be long before it can be.
            Err(error) if !error.is_temporary() || error == DirectoryError::Contended || age > PATIENCE => {
                tracing::error!(%account, message = %accepted.id, %error, "an answer can't be noted");
                return Ok((None, Some(NOT_ANSWERED_REASON.to_owned())));
            }
            noted => noted.map_err(failed)?,
        };
        Ok(match noted {
            Answering::Yes => {
                let answer = answer::answer(parsed, account, from, (&writer, to), reply).await;
                let reason = answer.as_ref().map(|answer| format!("{ANSWER_REASON}{}", answer.id));
                (answer, reason)
            }
            Answering::Before => (None, Some(ANSWERED_BEFORE_REASON.to_owned())),
            Answering::Full => (None, Some(ANSWERED_MANY_REASON.to_owned())),
        })
    }

    /// What a letter's sender is told of a recipient who refuses it, if he wants to hear of failures; or why he can't be told.
    async fn refusal(
        &self,
        parsed: &Parsed,
        recipient: &Recipient,
        is_forwarded: bool,
        said: &str,
    ) -> Result<Result<Option<Accepted>, &'static str>, FilterError> {
        let (accepted, account) = (&parsed.accepted, recipient.account);
        if is_forwarded {
            // He has not written to whoever gets it by a colleague's word.
            return Ok(Err("forwarded"));
        }
        let to = match accepted.source.kind.submission() {
            Some(submission) => {
                let submitter = &submission.submitter;
                let wishes = accepted.source.kind.wishes();
                if wishes.is_some_and(|wishes| !wishes.notify(&recipient.address).failure) {
                    return Ok(Ok(None));
                }
                let (account, address) = (submitter.account, submitter.address.clone());
                Some(Recipient { account, address, via: Via::Direct })
            }
            None => {
                let writer = MailAddress::parse(&accepted.reverse_path).ok().filter(MailAddress::is_dot_atom);
                let Some(writer) = writer else { return Ok(Err("no-sender")) };
                match self.source.answered(account, &writer).await {
                    // What is damaged, maybe of somebody else, holds up no mail.
                    Err(error) if !error.is_temporary() => {
                        tracing::error!(%account, message = %accepted.id, %error, "who is refused can't be read");
                        None
                    }
                    found => found.map_err(|cause| FilterError::Answer { account, cause })?,
                }
            }
        };
        let Some(to) = to else { return Ok(Err("nobody")) };
        let report = refusal::refusal(parsed, recipient, to, said).await;
        Ok(report.map(Some).ok_or("not-made"))
    }

    async fn policies(&self, tenant: TenantId) -> Result<Arc<Policies>, FilterError> {
        if let Some(known) = self.policies.recall(&tenant) {
            return Ok(known);
        }
        let read = Instant::now();
        let policies = self.source.policies(tenant).await;
        let policies = policies.map_err(|cause| FilterError::Policy { tenant, cause })?;
        Ok(self.policies.keep(tenant, policies, read))
    }

    async fn rules_of(&self, account: AccountKey) -> Result<Arc<Personal>, FilterError> {
        if let Some(known) = self.members.recall(&account) {
            return Ok(known);
        }
        let read = Instant::now();
        let personal = self.source.personal(account).await;
        let personal = personal.map_err(|cause| FilterError::Rules { account, cause })?;
        Ok(self.members.keep(account, personal, read))
    }
}

/// What whoever is answered is known by: as the author, if his domain is that of the reverse-path, which may be another one for
/// each letter; else by its domain.
fn known_by(parsed: &Parsed, writer: &MailAddress) -> String {
    let authors = &parsed.sidecar.facts.from;
    let only = if let [author] = &authors[..] { MailAddress::parse(&author.address).ok() } else { None };
    if parsed.accepted.source.kind.submission().is_some() {
        return writer.to_string();
    }
    let author = only.filter(|author| are_related(author.domain(), writer.domain()));
    author.map_or_else(|| writer.domain().to_string(), |author| author.to_string())
}

/// Are the recipient's rules asked? Not about what others get, and what nobody was meant to get.
fn is_asked(recipient: &Recipient) -> bool {
    match recipient.via {
        Via::Direct | Via::Alias | Via::Group | Via::Sent => true,
        Via::Outside | Via::CatchAll | Via::Drafts => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pennypost_model::event::{
        Accepted, AuthResults, Body, Recipient, Source, SourceKind, Target, Verdict, Via,
    };
    use pennypost_model::message::{Facts, Sidecar};
    use pennypost_model::structure::Structure;
    use pennypost_model::{AccountId, AccountKey, EventId, MailboxRole, Timestamp};
    use pennypost_ports::PortError;
    use std::sync::atomic::{AtomicU64, Ordering};

    /// Versions count the reads; the first `failing` reads fail. Rules are given to all, or to none.
    #[derive(Default)]
    struct Told {
        reads: AtomicU64,
        failing: u64,
        rules: Option<Personal>,
        asked: Mutex<Vec<AccountKey>>,
        noted: Mutex<Option<EventId>>,
        now: Mutex<i64>,
        unnoted: Mutex<Option<DirectoryError>>,
    }

    #[async_trait]
    impl PolicySource for Told {
        async fn policies(&self, tenant: TenantId) -> Result<(TenantPolicy, WithRules), DirectoryError> {
            let version = self.reads.fetch_add(1, Ordering::SeqCst) + 1;
            if version <= self.failing {
                return Err(PortError::Unavailable { port: "control", cause: "test".to_owned() }.into());
            }
            let mut policy = TenantPolicy { version, ..TenantPolicy::default() };
            if tenant == TenantId(2) {
                policy.add_to_whitelist("any.example")?;
            }
            let with_rules = self.rules.as_ref().map(|_| WithRules::everybody());
            Ok((policy, with_rules.unwrap_or_default()))
        }

        fn now(&self) -> Timestamp {
            Timestamp(*self.now.lock())
        }

        async fn personal(&self, key: AccountKey) -> Result<Personal, DirectoryError> {
            self.asked.lock().push(key);
            let unavailable = PortError::Unavailable { port: "control", cause: "test".to_owned() };
            self.rules.clone().filter(|rules| rules.version != 13).ok_or(unavailable.into())
        }

        async fn scan_policy(&self, _: TenantId) -> Result<ScanPolicy, DirectoryError> {
            Ok(ScanPolicy::default())
        }

        async fn answered(
            &self,
            from: AccountKey,
            writer: &MailAddress,
        ) -> Result<Option<Recipient>, DirectoryError> {
            Ok(Some(Recipient { account: from, address: writer.to_string(), via: Via::Outside }))
        }

        async fn note_answer(
            &self,
            _: AccountKey,
            _: (&str, &str),
            letter: (EventId, Timestamp),
        ) -> Result<Answering, DirectoryError> {
            if let Some(error) = self.unnoted.lock().clone() {
                return Err(error);
            }
            let mut noted = self.noted.lock();
            let is_first = *noted.get_or_insert(letter.0) == letter.0;
            Ok(if is_first { Answering::Yes } else { Answering::Before })
        }
    }

    fn parsed(tenant: TenantId) -> Parsed {
        let recipient = |number, via| Recipient {
            account: AccountKey { tenant, account: AccountId(number) },
            address: "me@example.com".to_owned(),
            via,
        };
        let accepted = Accepted {
            id: EventId::from_parts(Timestamp(1), 1),
            time: Timestamp(1),
            tenant,
            source: Source { kind: SourceKind::Smtp, ip: None, helo: String::new(), tls: None },
            auth: AuthResults { spf: Verdict::Fail, dkim: Verdict::Fail, ..AuthResults::default() },
            reverse_path: "a@any.example".to_owned(),
            recipients: vec![recipient(1, Via::Direct), recipient(2, Via::CatchAll)],
            body: Body::Spooled { object: String::new(), size: 0 },
            receipt: String::new(),
        };
        let sidecar =
            Sidecar { structure: Structure::default(), facts: Facts::default(), receipt: String::new() };
        Parsed { accepted, sidecar }
    }

    fn targets(decided: &Decided) -> Vec<Target> {
        decided.decisions.iter().map(|decision| decision.target).collect()
    }

    #[tokio::test]
    async fn each_recipient_is_decided_by_its_tenants_policy() {
        let filter = PolicyFilter::new(Arc::new(Told::default()));
        let decided = filter.handle(parsed(TenantId(1))).await.expect("decided");
        assert_eq!(targets(&decided), [Target::Role(MailboxRole::Junk), Target::Role(MailboxRole::Transfer)]);
        assert_eq!(decided.accepted, parsed(TenantId(1)).accepted);
        let decided = filter.handle(parsed(TenantId(2))).await.expect("decided");
        assert_eq!(
            targets(&decided),
            [Target::Role(MailboxRole::Inbox), Target::Role(MailboxRole::Transfer)]
        );
        // Remembered, by tenant.
        let again = filter.handle(parsed(TenantId(1))).await.expect("decided");
        assert_eq!(again.decisions[0].reasons[0], "policy-version:1");
        let again = filter.handle(parsed(TenantId(2))).await.expect("decided");
        assert_eq!(again.decisions[0].reasons[0], "policy-version:2");
    }

    fn blacklisting(version: u64) -> Personal {
        let mut personal = Personal { version, ..Personal::default() };
        personal.rules.blacklist.push("any.example".parse().expect("a domain"));
        personal
    }

    #[tokio::test]
    async fn rules_are_read_of_those_who_have_some_and_remembered() {
        let fine = |tenant| {
            let mut parsed = parsed(tenant);
            parsed.accepted.auth = AuthResults { spf: Verdict::Pass, ..AuthResults::default() };
            let direct = Recipient {
                account: AccountKey { tenant, account: AccountId(3) },
                ..parsed.accepted.recipients[0].clone()
            };
            parsed.accepted.recipients.push(direct);
            parsed
        };
        let source = Arc::new(Told { rules: Some(blacklisting(5)), ..Told::default() });
        let filter = PolicyFilter::new(Arc::clone(&source) as Arc<dyn PolicySource>);
        for _ in 0..2 {
            let decided = filter.handle(fine(TenantId(1))).await.expect("decided");
            let (junk, transfer) = (Target::Role(MailboxRole::Junk), Target::Role(MailboxRole::Transfer));
            assert_eq!(targets(&decided), [junk, transfer, junk]);
        }
        let mut asked = std::mem::take(&mut *source.asked.lock());
        asked.sort_unstable();
        let key = |account| AccountKey { tenant: TenantId(1), account: AccountId(account) };
        assert_eq!(asked, [key(1), key(3)], "each once; nothing for what came by the catch-all");
        let mut system = fine(TenantId(3));
        system.accepted.source.kind = SourceKind::System;
        filter.handle(system).await.expect("decided");
        assert!(source.asked.lock().is_empty(), "nobody's rules are asked about the system's own letters");
        let nobody = Arc::new(Told::default());
        let filter = PolicyFilter::new(Arc::clone(&nobody) as Arc<dyn PolicySource>);
        filter.handle(fine(TenantId(1))).await.expect("decided");
        assert!(nobody.asked.lock().is_empty(), "who has none costs nothing");
    }

    #[tokio::test]
    async fn without_rules_that_there_are_nothing_is_decided() {
        let source = Told { rules: Some(blacklisting(13)), ..Told::default() };
        let error =
            PolicyFilter::new(Arc::new(source)).handle(parsed(TenantId(1))).await.expect_err("no rules");
        assert!(error.is_temporary());
        let rules = Some(Personal { unreadable: true, ..Personal::default() });
        let filter = PolicyFilter::new(Arc::new(Told { rules, ..Told::default() }));
        let decided = filter.handle(parsed(TenantId(2))).await.expect("decided");
        assert_eq!(targets(&decided)[0], Target::Role(MailboxRole::Inbox));
        assert_eq!(decided.decisions[0].reasons.last().map(String::as_str), Some("member-rules:unreadable"));
    }

    /// However much members say, what is remembered of it is bounded; and what is read anew weighs once.
    #[test]
    fn rules_are_remembered_by_their_weight() {
        let memory: Memory<u64, Personal> = Memory::of(5 * LEAST_RULES, weight_of);
        let held = || {
            let known = memory.known.lock();
            (known.by_key.len(), known.weight)
        };
        for key in [1, 1, 2, 3] {
            memory.keep(key, Personal::default(), Instant::now());
        }
        assert_eq!(held(), (3, 3 * LEAST_RULES));
        let mut much = blacklisting(1);
        let sender = much.rules.blacklist.remove(0);
        much.rules.blacklist = vec![sender; 1_000];
        let weight = weight_of(&much);
        assert!(weight > 2 * LEAST_RULES);
        memory.keep(4, much.clone(), Instant::now());
        assert_eq!(held(), (3, 3 * LEAST_RULES), "no room");
        let Some(long_ago) = Instant::now().checked_sub(FRESH) else { return };
        memory.keep(5, Personal::default(), long_ago);
        memory.keep(6, Personal::default(), long_ago);
        memory.keep(7, Personal::default(), Instant::now());
        assert_eq!(held(), (4, 4 * LEAST_RULES), "what is old makes room");
    }

    #[tokio::test]
    async fn without_a_policy_nothing_is_decided() {
        let filter = PolicyFilter::new(Arc::new(Told { failing: 1, ..Told::default() }));
        let error = filter.handle(parsed(TenantId(1))).await.expect_err("no policy");
        assert!(error.is_temporary());
        assert!(filter.handle(parsed(TenantId(1))).await.is_ok());
    }

    #[tokio::test]
    async fn what_goes_to_other_servers_follows_beside_what_stays() {
        use pennypost_model::event::Event;
        use pennypost_runtime::Handler;
        let filter = PolicyFilter::new(Arc::new(Told::default()));
        let mut leaving = parsed(TenantId(1));
        let outside = Recipient {
            address: "you@other.example".to_owned(),
            via: Via::Outside,
            ..leaving.accepted.recipients[0].clone()
        };
        leaving.accepted.recipients.push(outside.clone());
        let event = Event::Parsed(Box::new(leaving.clone()));
        let followed = Handler::handle(&filter, vec![event]).await.remove(0).expect("handled");
        let [Event::Outbound(outbound), Event::Decided(decided)] = &*followed else { panic!("{followed:?}") };
        assert_eq!(outbound.recipients, [outside]);
        assert_eq!((outbound.id, &outbound.body), (leaving.accepted.id, &leaving.accepted.body));
        assert_eq!(decided.accepted, leaving.accepted);
        assert_eq!(targets(decided)[2], Target::Outside);
        let staying = Event::Parsed(Box::new(parsed(TenantId(1))));
        assert_eq!(Handler::handle(&filter, vec![staying]).await[0].as_ref().map(Vec::len), Ok(1));
    }

    fn forwarding(to: &[(&str, pennypost_policy::rules::Way)]) -> Personal {
        use pennypost_policy::rules::{AutoForward, AutoReply, Automatic};
        let address = |text: &str| MailAddress::parse(text).expect("an address");
        let mut personal = Personal { version: 1, answers_outside: true, ..Personal::default() };
        personal.from = Some((address("me@example.com"), "Me".to_owned()));
        personal.own = vec![address("me@example.com")];
        let targets = to.iter().map(|(to, _)| address(to)).collect();
        let forward = Some(AutoForward { enabled: true, to: targets, keep: true });
        let reply = Some(AutoReply {
            enabled: true,
            subject: String::new(),
            text: "我不在".to_owned(),
            to_colleagues: None,
            only_colleagues: false,
            period: None,
        });
        personal.rules.automatic = Some(Automatic { reply, forward });
        personal.ways = to.iter().map(|(to, way)| (address(to), *way)).collect();
        personal
    }

    fn fine(tenant: TenantId) -> Parsed {
        let mut parsed = parsed(tenant);
        parsed.accepted.auth = AuthResults { spf: Verdict::Pass, ..AuthResults::default() };
        parsed.accepted.recipients.truncate(1);
        let contact = |address: &str| pennypost_model::message::Contact {
            name: String::new(),
            address: address.to_owned(),
        };
        parsed.sidecar.facts.to = vec![contact("me@example.com")];
        parsed.sidecar.facts.message_id = Some("7@any.example".to_owned());
        parsed.sidecar.facts.subject = "你好".to_owned();
        parsed
    }

    /// Feature RUL-06 (part): each account and each address gets what is forwarded once, and two who forward to each other end
    #[tokio::test]
    async fn whoever_is_forwarded_to_gets_it_once() {
        use pennypost_model::event::Event;
        use pennypost_policy::rules::{Inside, Way};
        use pennypost_runtime::Handler;
        let tenant = TenantId(1);
        let key = |account| AccountKey { tenant, account: AccountId(account) };
        let way =
            |account| Way::Inside(Inside { account: key(account), via: Via::Direct, takes_outside: true });
        // Everybody forwards to three: whoever gets it so forwards it to the same.
        let to = [("one@example.com", way(1)), ("two@example.com", way(2)), ("me@far.example", Way::Outside)];
        let source = Arc::new(Told { rules: Some(forwarding(&to)), ..Told::default() });
        let filter = PolicyFilter::new(Arc::clone(&source) as Arc<dyn PolicySource>).sending_out(true);
        let mut letter = fine(tenant);
        letter.accepted.body = Body::Spooled { object: format!("{tenant}/spool/x"), size: 0 };
        let leaving = Recipient {
            address: "you@other.example".to_owned(),
            via: Via::Outside,
            ..letter.accepted.recipients[0].clone()
        };
        letter.accepted.recipients.push(leaving.clone());
        let event = Event::Parsed(Box::new(letter.clone()));
        let followed = Handler::handle(&filter, vec![event.clone()]).await.remove(0).expect("handled");
        let [Event::Forwarding(forwarding), Event::Decided(decided), Event::Accepted(answer)] = &*followed
        else {
            panic!("{followed:?}")
        };
        assert_eq!(forwarding.accepted.recipients, [leaving]);
        let [forward] = &*forwarding.forwards else { panic!("{:?}", forwarding.forwards) };
        assert_eq!((forward.account, forward.to.as_str()), (key(1), "me@far.example"));
        assert_eq!(forward.from, "me@example.com");
        let got: Vec<_> =
            decided.accepted.recipients.iter().map(|one| (one.address.as_str(), one.via)).collect();
        assert_eq!(
            got,
            [
                ("me@example.com", Via::Direct),
                ("you@other.example", Via::Outside),
                ("two@example.com", Via::Direct),
                ("me@far.example", Via::Outside),
            ]
        );
        assert_eq!(decided.decisions.len(), 4);
        assert_eq!(
            decided.decisions[2].reasons.last().map(String::as_str),
            Some("forwarded-by:me@example.com")
        );
        assert!(decided.accepted.names_only_its_tenant() && decided.accepted.leaves());
        // It is decided alike when it comes again, and the answer has the same id.
        let again = Handler::handle(&filter, vec![event]).await.remove(0).expect("handled");
        assert_eq!(again, followed);
        assert_eq!((answer.reverse_path.as_str(), answer.recipients[0].via), ("", Via::Outside));
        assert_eq!(answer.source.kind, SourceKind::Notice(key(1)));
        let Body::Inline(stored) = &answer.body else { panic!("small") };
        let text = pennypost_mailstore::compress::decompress(stored).expect("whole");
        let text = String::from_utf8(text).expect("text");
        for field in [
            "To: <a@any.example>\r\n",
            "Subject: Auto: =?utf-8?B?5L2g5aW9?=\r\n",
            "In-Reply-To: <7@any.example>\r\n",
            "Auto-Submitted: auto-replied\r\n",
        ] {
            assert!(text.contains(field), "{field}: {text}");
        }
        // Another letter of the same writer is not answered; its trace says so.
        letter.accepted.id = EventId::from_parts(Timestamp(1), 2);
        let filtered = filter.filtered(letter, Instant::now()).await.expect("decided");
        assert!(filtered.answers.is_empty());
        assert!(filtered.decided.decisions[0].reasons.contains(&ANSWERED_BEFORE_REASON.to_owned()));
    }

    /// The text of a letter is taken out of it where a rule asks for it, of the spool where it lies there.
    #[tokio::test]
    async fn a_text_is_read_where_rules_ask_for_it() {
        use pennypost_backend_embedded::{Embedded, Options};
        use pennypost_mailstore::compress::compress;
        use pennypost_policy::rules::{Condition, Join, Moment, Rule, RuleAction, Words};
        let conditions = |size: u64| {
            let words = Words { join: Join::Any, words: vec!["secret".to_owned()] };
            vec![Condition::FullText(words), Condition::Size { least: Some(size), below: None }]
        };
        let asking = |size| {
            let mut personal = Personal { version: 1, ..Personal::default() };
            personal.rules.rules = vec![Rule {
                name: "text".to_owned(),
                enabled: true,
                moment: Moment::Receive,
                join: Join::All,
                conditions: conditions(size),
                actions: vec![RuleAction::Delete],
                stop: false,
            }];
            Arc::new(Told { rules: Some(personal), ..Told::default() })
        };
        let dir = tempfile::tempdir().expect("a folder");
        let backend = Embedded::open(dir.path(), &Options::server()).expect("opens");
        let raw = b"Subject: x\r\n\r\nThe Secret.\r\n";
        let stored = compress(raw).expect("compresses");
        let mut letter = fine(TenantId(1));
        letter.sidecar.structure = pennypost_mime::parse(raw).0;
        letter.accepted.body = Body::Inline(stored.clone());
        let (trash, inbox) = (Target::Role(MailboxRole::Trash), Target::Role(MailboxRole::Inbox));
        let filter = PolicyFilter::new(asking(1));
        assert_eq!(targets(&filter.handle(letter.clone()).await.expect("decided")), [trash]);
        let object = format!("{}/spool/x", TenantId(1));
        backend.objects().put_unique(&object, codec::encode(&stored).into()).await.expect("put");
        letter.accepted.body = Body::Spooled { object, size: raw.len() as u64 };
        assert!(filter.handle(letter.clone()).await.expect_err("it can't be read").is_temporary());
        let reading = |asking: Arc<Told>| PolicyFilter::new(asking).reading(backend.objects(), backend.log());
        assert_eq!(targets(&reading(asking(1)).handle(letter.clone()).await.expect("decided")), [trash]);
        // What is decided without it is not read, and what is gone can't be.
        letter.accepted.body = Body::Spooled { object: format!("{}/spool/y", TenantId(1)), size: 7 };
        assert_eq!(targets(&reading(asking(8)).handle(letter.clone()).await.expect("decided")), [inbox]);
        assert!(!reading(asking(1)).handle(letter).await.expect_err("it is gone").is_temporary());
    }

    #[tokio::test]
    async fn where_nothing_is_sent_nothing_is_forwarded_there_nor_answered() {
        use pennypost_policy::rules::Way;
        let source = Told { rules: Some(forwarding(&[("me@far.example", Way::Outside)])), ..Told::default() };
        let filter = PolicyFilter::new(Arc::new(source));
        let filtered = filter.filtered(fine(TenantId(1)), Instant::now()).await.expect("decided");
        assert_eq!((filtered.forwards.len(), filtered.answers.len()), (0, 0));
        assert!(filtered.decided.decisions[0].reasons.contains(&"not-forwarded:not-sent".to_owned()));
    }

    /// What can't be noted, and what came long ago, is not answered, and holds up nothing; nor is it forwarded to other servers.
    #[tokio::test]
    async fn answers_that_cannot_be_hold_up_no_letter() {
        use pennypost_policy::rules::Way;
        let personal = forwarding(&[("me@far.example", Way::Outside)]);
        let source = Arc::new(Told { rules: Some(personal), ..Told::default() });
        let filter = PolicyFilter::new(Arc::clone(&source) as Arc<dyn PolicySource>).sending_out(true);
        let outcome = async || {
            let filtered = filter.filtered(fine(TenantId(1)), Instant::now()).await?;
            let reasons = filtered.decided.decisions[0].reasons.clone();
            Ok::<_, FilterError>((filtered.answers.len(), filtered.forwards.len(), reasons))
        };
        let refused = PortError::Refused { port: "control", cause: "test".to_owned() };
        let away = PortError::Unavailable { port: "control", cause: "test".to_owned() };
        for (error, age) in
            [(DirectoryError::Contended, 0), (refused.into(), 0), (away.clone().into(), PATIENCE + 2)]
        {
            *source.now.lock() = age;
            *source.unnoted.lock() = Some(error.clone());
            let (answers, forwards, reasons) = outcome().await.expect("decided");
            assert_eq!((answers, forwards), (0, 1), "{error}");
            assert!(reasons.contains(&NOT_ANSWERED_REASON.to_owned()), "{reasons:?}");
        }
        *source.now.lock() = PATIENCE;
        *source.unnoted.lock() = Some(away.into());
        assert!(outcome().await.expect_err("it comes again").is_temporary());
        *source.unnoted.lock() = None;
        *source.now.lock() = ANSWERABLE + 2;
        let (answers, forwards, reasons) = outcome().await.expect("decided");
        assert_eq!((answers, forwards), (0, 1));
        assert!(reasons.contains(&ANSWERED_LATE_REASON.to_owned()), "{reasons:?}");
        *source.now.lock() = TRIED + 2;
        let (_, forwards, reasons) = outcome().await.expect("decided");
        assert_eq!(forwards, 0);
        assert!(reasons.contains(&"not-forwarded:late".to_owned()), "{reasons:?}");
    }

    #[test]
    fn whoever_writes_by_another_path_each_time_is_known_by_one_name() {
        let known = |author: &str, reverse_path: &str| {
            let mut letter = fine(TenantId(1));
            letter.sidecar.facts.from =
                vec![pennypost_model::message::Contact { name: String::new(), address: author.to_owned() }];
            known_by(&letter, &MailAddress::parse(reverse_path).expect("an address"))
        };
        assert_eq!(known("a@b.example", "0100-7@bounces.b.example"), "a@b.example");
        assert_eq!(known("a@b.example", "0100-7@ses.example"), "ses.example");
    }
}
