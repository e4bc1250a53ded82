//! What lets letters go whose time has come, and does what follows from their end.

use std::collections::BTreeSet;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use futures::StreamExt;
use futures::stream;
use pennypost_directory::content::ContentVerdict;
use pennypost_directory::{
    Account, Admission, ClientRules, Directory, DirectoryError, Dress, MemberLimits, Outward, Reach,
    Resolved, Tally, Tenant,
};
use pennypost_mailstore::{StoreError, accept, compress, names};
use pennypost_model::event::{Accepted, AuthResults, Body, Recipient, Source, SourceKind, Stage, Via};
use pennypost_model::message::StoredMessage;
use pennypost_model::{AccountKey, EventId, Timestamp, codec};
use pennypost_ports::{Clock, Created, Ids, Objects, Outgoing, PortError, Queue, crash};
use pennypost_reports::{About, Action, Report, Told};
use pennypost_text::{Lang, Text};
use tokio::sync::{Semaphore, SemaphorePermit, watch};

use crate::item::LARGE;
use crate::letter::{dated, with_bcc};
use crate::{Cause, Due, Held, HeldError, HeldLetters, Lane, State, Why};

/// Between two looks, if nobody rings and nothing is due before.
const PAUSE: Duration = Duration::from_secs(10);
/// The shortest pause: what failed a moment ago is due all the time.
const LEAST: Duration = Duration::from_millis(100);
/// Rows that are read at once.
const PAGE: usize = 100;
/// Letters at once.
const fn at_once(lane: Lane) -> usize {
    match lane {
        Lane::Light => 8,
        Lane::Heavy => 2,
    }
}
/// Milliseconds within which what was found when a letter was handed in still holds.
const FRESH: i64 = 10 * 60_000;
/// Milliseconds after which a letter goes no more that its sender's allowance does not let through.
const PATIENCE: i64 = 2 * 24 * 3_600_000;
/// After so long a letter is looked at again of which something can't be done for a reason that does not go by itself.
const HOPELESS: i64 = 3_600_000;
/// Bytes of recipients in an event at most, as at RCPT.
const MAX_RECIPIENT_BYTES: usize = 160 * 1024;
/// Bytes of a member elsewhere of a group in an event, beside what stands before the @ of its address.
const GROUP_MEMBER_BYTES: usize = 640;
/// Milliseconds of a day.
const DAY: i64 = 24 * 3_600_000;

/// What it works with.
#[derive(Clone)]
pub struct Ports {
    /// Who may send what to whom.
    pub directory: Directory,
    /// Bytes.
    pub objects: Arc<dyn Objects>,
    /// Where letters go.
    pub queue: Arc<dyn Queue>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Fresh ids.
    pub ids: Arc<dyn Ids>,
}

/// Lets letters go. Cheap to clone.
#[derive(Clone)]
pub struct Releaser {
    held: HeldLetters,
    pub(crate) ports: Ports,
    pub(crate) hostname: Arc<str>,
    /// Letters are written anew one after the other: each may have 50 MB.
    writing: Arc<Semaphore>,
}

/// What is to become of a letter whose time has come.
pub(crate) enum Verdict {
    Go {
        counted: bool,
        /// Its sender's organisation may have texts for it.
        has_footers: bool,
        /// It may have rules about what stands in it.
        has_content_rules: bool,
    },
    Wait {
        until: Timestamp,
    },
    Stay(Why),
    /// There is nobody any more who could be told.
    Gone,
}

/// A part of a future that is one for the compiler only once.
pub(crate) type Working<'a, T> = Pin<Box<dyn Future<Output = Result<T, HeldError>> + Send + 'a>>;

/// Does a letter go to the organisation's own people, and to others? Nothing stands in what is from nobody.
fn reach(accepted: &Accepted) -> (bool, bool) {
    if accepted.reverse_path.is_empty() {
        return (false, false);
    }
    let stays = |one: &Recipient| !matches!(one.via, Via::Sent | Via::Outside | Via::Drafts);
    (accepted.recipients.iter().any(stays), accepted.leaves())
}

impl Releaser {
    /// What lets these letters go.
    #[must_use]
    pub fn new(held: HeldLetters, ports: Ports, hostname: &str) -> Releaser {
        Releaser { held, ports, hostname: hostname.into(), writing: Arc::new(Semaphore::new(1)) }
    }

    /// Looks after what is due until `stop` turns true. What is in hand then is done again by whoever looks next.
    #[pennypost_ports::compiled_here]
    pub async fn run(self, stop: watch::Receiver<bool>) {
        tokio::join!(self.run_in(Lane::Light, stop.clone()), self.run_in(Lane::Heavy, stop));
    }

    async fn run_in(&self, lane: Lane, mut stop: watch::Receiver<bool>) {
        while !*stop.borrow() {
            let next = match self.look_in(lane, None).await {
                Ok((_, next)) => next,
                Err(error) => {
                    tracing::warn!(%error, "letters that are due can't be read");
                    None
                }
            };
            let until = next.map(|next| next.0.saturating_sub(self.ports.clock.now().0));
            let until = until.and_then(|millis| u64::try_from(millis).ok()).map(Duration::from_millis);
            let pause = until.unwrap_or(PAUSE).clamp(LEAST, PAUSE);
            tokio::select! {
                biased;
                changed = stop.changed() => if changed.is_err() { break },
                () = self.held.bell(lane).notified() => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// Looks after all that is due now, once, and begins nothing behind the deadline: how many letters there were.
    ///
    /// # Errors
    /// [`HeldError`], where the rows can't be read.
    #[pennypost_ports::compiled_here]
    pub async fn look(&self, deadline: Option<Instant>) -> Result<usize, HeldError> {
        let (light, _) = self.look_in(Lane::Light, deadline).await?;
        let (heavy, _) = self.look_in(Lane::Heavy, deadline).await?;
        Ok(light + heavy)
    }

    /// The same in one lane; and when the next one there is due, if that is known.
    async fn look_in(
        &self,
        lane: Lane,
        deadline: Option<Instant>,
    ) -> Result<(usize, Option<Timestamp>), HeldError> {
        let (mut count, mut after): (usize, Option<Due>) = (0, None);
        let is_over = || deadline.is_some_and(|deadline| Instant::now() >= deadline);
        loop {
            if is_over() {
                return Ok((count, None));
            }
            let (page, next) = self.held.due(lane, self.ports.clock.now(), after.as_ref(), PAGE).await?;
            let is_last = page.len() < PAGE || next.is_some();
            count += page.len();
            let looked = stream::iter(&page).for_each_concurrent(at_once(lane), async |due| {
                if !is_over() {
                    self.look_after(due).await;
                }
            });
            looked.await;
            after = page.into_iter().next_back();
            if is_last {
                return Ok((count, next));
            }
        }
    }

    fn look_after<'a>(&'a self, due: &'a Due) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>> {
        Box::pin(async move {
            if let Err(error) = self.follow(due).await {
                let Due { account, letter, .. } = due;
                tracing::warn!(%account, %letter, %error, "a letter waits though its time has come");
                if !error.is_temporary() && !error.is_of_newer() {
                    // Looking again at once would not help. Whoever mends it need not know of the row.
                    let later = self.ports.clock.now().plus_millis(HOPELESS);
                    let _ = self.held.put_off(due, later).await;
                }
            }
        })
    }

    /// Follows a row to its letter, and does what there is to do.
    async fn follow(&self, due: &Due) -> Result<(), HeldError> {
        let (held, now) = (&self.held, self.ports.clock.now());
        // Known of a letter whose end is written now; else it is looked up.
        let mut footed = None;
        let Some((mut letter, mut version)) = held.find(due.account, due.letter).await? else {
            // The row is written first: whoever puts the letter down may be about to.
            if due.is_orphan(now) {
                held.forget(due).await?;
            }
            return Ok(());
        };
        if letter.is_waiting() && letter.due > now {
            // Somebody may be about to say this time.
            if due.is_orphan(now) {
                held.remind(&letter, letter.due).await?;
                held.forget(due).await?;
            }
            return Ok(());
        }
        if letter.is_waiting() {
            // Who waits once more is asked for once more.
            let as_it_was = letter.clone();
            match self.verdict(&mut letter, None, now).await? {
                Verdict::Gone => {
                    if let Some(object) = letter.object() {
                        self.ports.objects.delete(object).await?;
                    }
                    held.remove(&letter, version).await?;
                    return held.forget(due).await;
                }
                Verdict::Wait { until } => {
                    let waits = Some(Why::Frequency);
                    letter = Held { due: until, waits, ..as_it_was };
                    held.remind(&letter, until).await?;
                    if held.save(&letter, version).await?.is_some() {
                        held.forget(due).await?;
                    }
                    return Ok(());
                }
                Verdict::Stay(why) => {
                    let (draft, report) = (self.ports.ids.event(now), self.ports.ids.event(now));
                    letter.state = State::Unsent { at: now, why, draft, report };
                    let Some(saved) = held.save(&letter, version).await? else { return Ok(()) };
                    version = saved;
                }
                Verdict::Go { counted, has_footers, has_content_rules: _ } => {
                    footed = Some(has_footers);
                    let message = match letter.cause {
                        // What goes days later is a letter of that day, in traces and statistics.
                        Cause::Scheduled => self.ports.ids.event(now),
                        Cause::Undo => letter.id(),
                    };
                    let has_refused = !letter.refused.is_empty() && !letter.accepted.reverse_path.is_empty();
                    let report = has_refused.then(|| self.ports.ids.event(now));
                    letter.state = State::Sent { at: now, message, report };
                    let Some(saved) = held.save(&letter, version).await? else {
                        // It was taken back, or somebody else lets it go, by whom it was counted, too.
                        if counted {
                            self.give_back(&letter).await?;
                        }
                        return Ok(());
                    };
                    version = saved;
                }
            }
            crash::point("held.after-end");
        }
        if !letter.is_settled {
            self.settle(&letter, footed).await?;
            crash::point("held.after-send");
            // Whoever has written it meanwhile has done the same.
            held.save(&letter.settled(), version).await?;
        }
        held.forget(due).await
    }

    /// Takes back that a letter was counted, if it did not go.
    async fn give_back(&self, letter: &Held) -> Result<(), HeldError> {
        let (account, id) = (letter.sender.0, letter.id());
        let found = self.held.find(account, id).await?;
        if found.is_some_and(|(found, _)| matches!(found.state, State::Sent { .. })) {
            return Ok(());
        }
        self.uncount(account, id).await
    }

    /// Takes back that a letter was counted.
    pub(crate) async fn uncount(&self, account: AccountKey, id: EventId) -> Result<(), HeldError> {
        self.ports.directory.uncount_sent_by(account, id).await?;
        let tenant = self.ports.directory.tenant(account.tenant).await?;
        if tenant.and_then(|tenant| tenant.plan?.daily_allowance()).is_some() {
            self.ports.directory.uncount_sent(account.tenant, id).await?;
        }
        Ok(())
    }

    /// What is to become of a letter, whose header may be known: all that was asked when it was handed in is asked again. Recipients
    /// who do not get it are taken out of its event, and noted.
    pub(crate) fn verdict<'a>(
        &'a self,
        letter: &'a mut Held,
        header: Option<&'a [u8]>,
        now: Timestamp,
    ) -> Working<'a, Verdict> {
        Box::pin(async move {
            let directory = &self.ports.directory;
            let key = letter.sender.0;
            let Some(tenant) = directory.tenant(key.tenant).await? else { return Ok(Verdict::Gone) };
            let Some(account) = directory.account(key).await? else { return Ok(Verdict::Gone) };
            if !tenant.is_open(now) || !account.is_open(now) {
                return Ok(Verdict::Stay(Why::Closed));
            }
            let user = match letter.user {
                None => None,
                Some(user) => match directory.mailbox_user(user, key).await? {
                    Some(user) => Some(user),
                    None => return Ok(Verdict::Stay(Why::Forbidden)),
                },
            };
            let reach = match directory.client_rules(key).await {
                Ok(rules) => user.iter().fold(rules, ClientRules::limited_to).send,
                Err(error) if error.is_temporary() => return Err(error.into()),
                Err(_) => return Ok(Verdict::Stay(Why::Closed)),
            };
            if !reach.holds(true) {
                return Ok(Verdict::Stay(Why::Forbidden));
            }
            let is_fresh = letter.cause == Cause::Undo && now.0 - letter.accepted.time.0 < FRESH;
            if !is_fresh {
                let read = if header.is_none() { self.header(letter).await? } else { None };
                let Some(header) = header.or(read.as_deref()) else { return Ok(Verdict::Stay(Why::Lost)) };
                if !self.may_write(letter, &account, header).await? {
                    return Ok(Verdict::Stay(Why::Author));
                }
            }
            let mut limit = None;
            if letter.accepted.leaves() {
                let outward = match reach.holds(false) {
                    true => directory.outward_for(&account, user.as_ref()).await?,
                    false => Outward::Forbidden,
                };
                match outward {
                    Outward::Open(found) => limit = found,
                    Outward::Forbidden => {
                        refuse(letter, Why::Outside, |recipient| recipient.via == Via::Outside)
                    }
                }
            }
            if !is_fresh {
                let before = (letter.accepted.clone(), letter.refused.clone());
                self.find_recipients(letter, &account).await?;
                if weight(&letter.accepted) > MAX_RECIPIENT_BYTES {
                    (letter.accepted, letter.refused) = before;
                    return Ok(Verdict::Stay(Why::TooMany));
                }
            }
            let is_anybody_left = letter.accepted.recipients.iter().any(|one| one.via != Via::Sent)
                || !letter.accepted.source.kind.groups().is_empty();
            if !is_anybody_left {
                let why = letter.refused.first().map_or(Why::Unknown, |(_, why)| *why);
                return Ok(Verdict::Stay(why));
            }
            // Of letters of mailings, which lie nowhere, those who make them ask.
            if tenant.has_content_rules && header.is_none() && !is_fresh {
                let filter = directory.content_filter(&account, user.as_ref()).await?;
                match self.contents(letter, filter).await? {
                    None => return Ok(Verdict::Stay(Why::Lost)),
                    Some(ContentVerdict::Refused { rule, .. }) => {
                        tracing::info!(letter = %letter.id(), account = %key, rule, "a rule about contents refuses a letter");
                        return Ok(Verdict::Stay(Why::Content));
                    }
                    Some(ContentVerdict::Goes { noted }) => {
                        let kind = std::mem::replace(&mut letter.accepted.source.kind, SourceKind::System);
                        letter.accepted.source.kind = kind.with_noted(noted);
                    }
                }
            }
            if letter.is_counted {
                let Tenant { has_footers, has_content_rules, .. } = tenant;
                return Ok(Verdict::Go { counted: false, has_footers, has_content_rules });
            }
            let outside = limit.filter(|_| letter.accepted.leaves());
            self.count(letter, &tenant, MemberLimits { daily: daily(&tenant), outside }, now).await
        })
    }

    /// May its sender still write as those whom it names?
    async fn may_write(&self, letter: &Held, account: &Account, header: &[u8]) -> Result<bool, HeldError> {
        let directory = &self.ports.directory;
        let path = &letter.accepted.reverse_path;
        if !path.is_empty() && directory.voice(account, path).await?.is_none() {
            return Ok(false);
        }
        let (_, facts) = pennypost_mime::parse(header);
        for author in &facts.from {
            if directory.voice(account, &author.address).await?.is_none() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Looks up again whom the addresses lead to.
    async fn find_recipients(&self, letter: &mut Held, account: &Account) -> Result<(), HeldError> {
        let directory = &self.ports.directory;
        let (key, path) = (account.key, letter.accepted.reverse_path.clone());
        let mut asked: BTreeSet<String> = BTreeSet::new();
        let mut kept: Vec<Recipient> = Vec::new();
        for recipient in std::mem::take(&mut letter.accepted.recipients) {
            // `postmaster` without a domain is whoever it was.
            let is_asked = matches!(recipient.via, Via::Direct | Via::Alias | Via::Group | Via::CatchAll)
                && recipient.address.contains('@');
            if !is_asked {
                kept.push(recipient);
                continue;
            }
            let address = recipient.address;
            if !asked.insert(address.clone()) {
                continue;
            }
            let resolved = match directory.resolve_from(&address, key.tenant).await {
                Ok(Resolved::Local { tenant, recipients, .. }) if tenant == key.tenant => Ok(recipients),
                Ok(Resolved::Disabled { .. } | Resolved::Suspended { .. }) => Err(Why::Disabled),
                Ok(_) => Err(Why::Unknown),
                Err(DirectoryError::TooMany { .. }) => Err(Why::Group),
                Err(error) => return Err(error.into()),
            };
            let resolved = match resolved {
                Ok(recipients) if recipients.iter().any(|one| one.via == Via::Group) => {
                    match directory.admission_of(key, &address, &path).await? {
                        Admission::Refused => Err(Why::Group),
                        Admission::Open | Admission::Known => Ok(recipients),
                    }
                }
                resolved => resolved,
            };
            match resolved {
                Ok(recipients) => {
                    for one in recipients {
                        let is_known = |known: &Recipient| {
                            known.account == one.account && !matches!(known.via, Via::Sent | Via::Outside)
                        };
                        if !kept.iter().any(is_known) {
                            kept.push(one);
                        }
                    }
                }
                Err(why) => letter.refused.push((address, why)),
            }
        }
        letter.accepted.recipients = kept;
        self.find_friends(letter, account).await
    }

    /// Members elsewhere of groups get nothing who have left since, or want no more; nor do any where the group takes nothing from
    /// its sender now.
    async fn find_friends(&self, letter: &mut Held, account: &Account) -> Result<(), HeldError> {
        let path = letter.accepted.reverse_path.clone();
        let Some(groups) = letter.accepted.source.kind.groups_mut() else { return Ok(()) };
        let mut kept = Vec::with_capacity(groups.len());
        for mut group in std::mem::take(groups) {
            match self.friends_of(&group.address, account, &path).await? {
                Ok(left) => group.members.retain(|member| left.contains(&member.address)),
                Err(why) => {
                    let is_told = letter.refused.iter().any(|(address, _)| *address == group.address);
                    if !is_told {
                        letter.refused.push((group.address, why));
                    }
                    continue;
                }
            }
            if !group.members.is_empty() {
                kept.push(group);
            }
        }
        if let Some(groups) = letter.accepted.source.kind.groups_mut() {
            *groups = kept;
        }
        Ok(())
    }

    /// The members elsewhere of a group who get what the account sends there; or why none does.
    async fn friends_of(
        &self,
        group: &str,
        account: &Account,
        path: &str,
    ) -> Result<Result<Vec<String>, Why>, HeldError> {
        let (directory, key) = (&self.ports.directory, account.key);
        let mut members = match directory.resolve_from(group, key.tenant).await {
            Ok(Resolved::Local { tenant, elsewhere, .. }) if tenant == key.tenant => {
                elsewhere.map(|elsewhere| elsewhere.addresses).unwrap_or_default()
            }
            Ok(Resolved::Disabled { .. } | Resolved::Suspended { .. }) => return Ok(Err(Why::Disabled)),
            Ok(_) => return Ok(Err(Why::Unknown)),
            Err(DirectoryError::TooMany { .. }) => return Ok(Err(Why::Group)),
            Err(error) => return Err(error.into()),
        };
        if directory.admission_of(key, group, path).await? == Admission::Refused {
            return Ok(Err(Why::Group));
        }
        loop {
            match directory.reach(account, &members).await? {
                Reach::Friends(friends) => {
                    return Ok(Ok(friends.iter().map(|friend| friend.address().to_string()).collect()));
                }
                Reach::NoSeat => return Ok(Err(Why::Group)),
                // Who has not agreed gets nothing; the others do.
                Reach::Strangers(strangers) => members.retain(|member| !strangers.contains(member)),
            }
        }
    }

    /// Counts it against what its sender, and the organisation, may send (PLN-11, SND-21), as a letter of now.
    async fn count(
        &self,
        letter: &Held,
        tenant: &Tenant,
        limits: MemberLimits,
        now: Timestamp,
    ) -> Result<Verdict, HeldError> {
        let directory = &self.ports.directory;
        let (key, id) = (letter.sender.0, letter.id());
        let of_tenant = tenant.plan.as_ref().and_then(pennypost_directory::Plan::daily_allowance);
        let midnight = Timestamp(now.0.div_euclid(DAY).saturating_add(1).saturating_mul(DAY));
        let is_counted = limits != MemberLimits::default();
        let mut wait = None;
        if is_counted {
            match directory.count_sent_by(key, id, limits).await? {
                Tally::Counted => {}
                Tally::DayOver => wait = Some(midnight),
                Tally::OutsideOver { until } => wait = Some(until.max(now.plus_millis(1_000))),
            }
        }
        if wait.is_none()
            && let Some(limit) = of_tenant
            && !directory.count_sent(key.tenant, id, limit).await?
        {
            if is_counted {
                directory.uncount_sent_by(key, id).await?;
            }
            wait = Some(midnight);
        }
        Ok(match wait {
            None => Verdict::Go {
                counted: is_counted || of_tenant.is_some(),
                has_footers: tenant.has_footers,
                has_content_rules: tenant.has_content_rules,
            },
            Some(until) if until.0 > letter.wanted.0.saturating_add(PATIENCE) => {
                Verdict::Stay(Why::Frequency)
            }
            Some(until) => Verdict::Wait { until },
        })
    }

    /// Does what follows from the end of a letter. It may be done twice: all ids stand in the letter.
    fn settle<'a>(&'a self, letter: &'a Held, footed: Option<bool>) -> Working<'a, ()> {
        Box::pin(async move {
            match &letter.state {
                State::Waiting => Ok(()),
                State::Sent { at, message, report } => {
                    if let Some(report) = report {
                        self.report(letter, *report, *at, About::Failure).await?;
                    }
                    self.send(letter, (*message, *at), footed).await
                }
                State::TakenBack { at, draft } => self.draft(letter, *draft, *at).await,
                State::Unsent { at, report, draft, .. } => {
                    // Nobody is told of what nobody sent (RFC 5321 section 4.5.5).
                    if !letter.accepted.reverse_path.is_empty() {
                        self.report(letter, *report, *at, About::Unsent).await?;
                    }
                    self.draft(letter, *draft, *at).await
                }
            }
        })
    }

    async fn send(
        &self,
        letter: &Held,
        (message, at): (EventId, Timestamp),
        footed: Option<bool>,
    ) -> Result<(), HeldError> {
        let mut accepted = Accepted { id: message, time: at, ..letter.accepted.clone() };
        if letter.cause == Cause::Scheduled {
            // What stands in its sender's letters now stands in it. What is in its window has it since it was handed in.
            let dress = self.dress(letter.sender.0, footed).await?;
            let reach = reach(&accepted);
            let footers = Arc::new(OnceLock::new());
            let told = Arc::clone(&footers);
            let write = move |raw: &[u8]| {
                let (letter, footers) = dress.put_into(dated(raw, at), reach);
                let _ = told.set(footers);
                letter
            };
            let Some(body) = self.rewritten(letter, message, write).await? else {
                // It is removed behind the event.
                return Ok(());
            };
            accepted.body = body;
            if let Some(footers) = footers.get().copied().flatten() {
                accepted.source.kind = accepted.source.kind.with_footers(footers);
            }
            // What its Received field calls it is what its trace is called: other servers' reports name it.
            accepted.receipt = accepted.receipt.replace(&letter.id().to_string(), &message.to_string());
        }
        self.put_into_queue(accepted).await?;
        if letter.cause == Cause::Scheduled {
            self.drop_bytes(letter).await?;
        }
        Ok(())
    }

    /// What stands in the letters of an account. Nothing is read where its organisation has never said anything, if that is known.
    ///
    /// # Errors
    /// [`HeldError`].
    pub(crate) fn dress(&self, account: AccountKey, has_footers: Option<bool>) -> Working<'_, Dress> {
        Box::pin(async move {
            let directory = &self.ports.directory;
            let has_footers = match has_footers {
                Some(has_footers) => has_footers,
                None => directory.tenant(account.tenant).await?.is_some_and(|tenant| tenant.has_footers),
            };
            let account = if has_footers { directory.account(account).await? } else { None };
            match account {
                Some(account) => Ok(directory.dress(&account).await?),
                None => Ok(Dress::default()),
            }
        })
    }

    /// A copy for Drafts, as its writer had it.
    async fn draft(&self, letter: &Held, draft: EventId, at: Timestamp) -> Result<(), HeldError> {
        let bcc = letter.accepted.source.kind.submission().map(|submission| submission.bcc.clone());
        let bcc = bcc.unwrap_or_default();
        let Some(body) = self.rewritten(letter, draft, move |raw| with_bcc(raw, &bcc)).await? else {
            return Ok(());
        };
        let (account, address) = letter.sender.clone();
        let accepted = Accepted {
            id: draft,
            time: at,
            tenant: account.tenant,
            source: Source { kind: SourceKind::System, ip: None, helo: String::new(), tls: None },
            auth: AuthResults::default(),
            reverse_path: String::new(),
            recipients: vec![Recipient { account, address, via: Via::Drafts }],
            body,
            receipt: String::new(),
        };
        self.put_into_queue(accepted).await?;
        self.drop_bytes(letter).await
    }

    async fn drop_bytes(&self, letter: &Held) -> Result<(), HeldError> {
        match letter.object() {
            Some(object) => Ok(self.ports.objects.delete(object).await?),
            None => Ok(()),
        }
    }

    /// The right to have the letter in memory: large ones are there one after the other.
    pub(crate) async fn alone(&self, letter: &Held) -> Option<SemaphorePermit<'_>> {
        if letter.size() < LARGE { None } else { self.writing.acquire().await.ok() }
    }

    /// Its header; `None` if its bytes are gone or damaged.
    async fn header(&self, letter: &Held) -> Result<Option<Vec<u8>>, HeldError> {
        let _alone = self.alone(letter).await;
        let Some(stored) = self.stored(letter).await? else { return Ok(None) };
        match compress::decompress_header(&stored) {
            Ok(header) => Ok(Some(header)),
            Err(error) => {
                tracing::error!(letter = %letter.id(), %error, "a letter that waits is damaged");
                Ok(None)
            }
        }
    }

    /// The letter as it was handed in; `None` if its bytes are gone: what follows from its end was done then.
    pub(crate) async fn stored(&self, letter: &Held) -> Result<Option<StoredMessage>, HeldError> {
        let Some(object) = letter.object() else { return Ok(None) };
        match self.ports.objects.get(object).await {
            Ok((bytes, _)) => match codec::decode(&bytes) {
                Ok(stored) => Ok(Some(stored)),
                Err(error) => {
                    tracing::error!(object, %error, "a letter that waits is damaged");
                    Ok(None)
                }
            },
            Err(PortError::NotFound { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// The letter written anew, in an object of that id.
    async fn rewritten(
        &self,
        letter: &Held,
        id: EventId,
        write: impl FnOnce(&[u8]) -> Vec<u8> + Send + 'static,
    ) -> Result<Option<Body>, HeldError> {
        let _alone = self.alone(letter).await;
        let Some(stored) = self.stored(letter).await? else { return Ok(None) };
        let is_large = stored.size >= LARGE;
        let open = move || Ok::<_, StoreError>(write(&compress::decompress(&stored)?));
        let raw = if is_large {
            let task = tokio::task::spawn_blocking(open);
            task.await.unwrap_or_else(|error| Err(StoreError::Damaged(error.to_string())))?
        } else {
            open()?
        };
        let stored = accept::compressed(raw).await?;
        let (object, size) = (names::spool(letter.sender.0.tenant, id), stored.size);
        let put = self.ports.objects.put_unique(&object, codec::encode(&stored).into()).await?;
        let size = match put {
            Created::Stored => size,
            // It is the same, unless other texts stand in letters meanwhile: what is there holds.
            Created::Exists => {
                let (there, _) = self.ports.objects.get(&object).await?;
                codec::decode::<StoredMessage>(&there).map_or(size, |there| there.size)
            }
        };
        crash::point("held.after-copy");
        Ok(Some(Body::Spooled { object, size }))
    }

    async fn put_into_queue(&self, accepted: Accepted) -> Result<(), HeldError> {
        let tenant = accepted.tenant;
        let body = accept::again_for_the_queue(&*self.ports.objects, accepted).await?;
        let outgoing = Outgoing { tenant, body, delay: Duration::ZERO };
        let sent = self.ports.queue.send_batch(Stage::InboundParse, vec![outgoing]).await;
        let unanswered = || PortError::Unavailable { port: "queue", cause: "it gave no answer".to_owned() };
        Ok(sent.into_iter().next().unwrap_or_else(|| Err(unanswered()))?)
    }

    /// Tells its sender who does not get it.
    async fn report(&self, letter: &Held, id: EventId, at: Timestamp, about: About) -> Result<(), HeldError> {
        let texts = [Text::new(Lang::En), Text::new(Lang::ZhCn)];
        let wishes = letter.accepted.source.kind.wishes();
        let told = |address: &str, why: Why| Told {
            address: address.to_owned(),
            original: wishes.and_then(|wishes| wishes.of(address)?.original.clone()),
            action: Action::Failed,
            status: why.status().to_owned(),
            cause: texts.each_ref().map(|text| why.say(text)),
            server: None,
            tried: Some(at),
        };
        let is_wanted = |address: &str| wishes.is_none_or(|wishes| wishes.notify(address).failure);
        let mut all: Vec<Told> = letter.refused.iter().map(|(address, why)| told(address, *why)).collect();
        if let State::Unsent { why, .. } = &letter.state {
            let mut known: Vec<&str> = letter.refused.iter().map(|(address, _)| address.as_str()).collect();
            for recipient in letter.accepted.recipients.iter().filter(|one| one.via != Via::Sent) {
                if !known.contains(&recipient.address.as_str()) {
                    known.push(&recipient.address);
                    all.push(told(&recipient.address, *why));
                }
            }
        }
        all.retain(|one| is_wanted(&one.address));
        if all.is_empty() {
            return Ok(());
        }
        let header = self.header(letter).await?;
        let report = Report {
            id,
            time: at,
            hostname: &self.hostname,
            to: &letter.sender.1,
            arrived: letter.accepted.time,
            envelope_id: wishes.and_then(|wishes| wishes.envelope_id.as_deref()),
            about,
            told: all,
            letter: header.as_deref(),
            is_whole: false,
        };
        let message = accept::compressed(report.message()).await?;
        let accepted = pennypost_reports::accepted(letter.sender.clone(), id, &self.hostname, message);
        let accepted = accepted.private(letter.accepted.source.kind.is_private());
        self.put_into_queue(accepted).await
    }
}

fn daily(tenant: &Tenant) -> Option<u64> {
    tenant.plan.as_ref().and_then(|plan| plan.account_daily_messages)
}

/// Bytes of recipients in its event, as they are counted at RCPT.
fn weight(accepted: &Accepted) -> usize {
    let local = |address: &str| address.split('@').next().map_or(0, str::len);
    let elsewhere = accepted.source.kind.groups().iter().flat_map(|group| &group.members);
    let recipients = accepted.recipients.iter().map(|recipient| recipient.address.len() + 24);
    recipients.sum::<usize>()
        + elsewhere.map(|member| local(&member.address) + GROUP_MEMBER_BYTES).sum::<usize>()
}

/// Takes recipients out who do not get it; those elsewhere of groups with those outside.
fn refuse(letter: &mut Held, why: Why, is_meant: impl Fn(&Recipient) -> bool) {
    let refused = &mut letter.refused;
    letter.accepted.recipients.retain(|recipient| {
        let is_meant = is_meant(recipient);
        if is_meant {
            refused.push((recipient.address.clone(), why));
        }
        !is_meant
    });
    if let Some(groups) = letter.accepted.source.kind.groups_mut() {
        refused.extend(groups.drain(..).map(|group| (group.address, why)));
    }
}
