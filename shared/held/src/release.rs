//! What lets letters go whose time has come, and does what follows from their end.

use std::collections::BTreeSet;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::stream;
use pennypost_directory::{
    Account, Admission, Directory, DirectoryError, MailAddress, MemberLimits, Outward, Reach, Resolved, Tally,
    Tenant,
};
use pennypost_mailstore::{StoreError, accept, compress, names};
use pennypost_model::event::{
    Accepted, AuthResults, Body, Recipient, Source, SourceKind, Stage, Via,
};
use pennypost_model::message::StoredMessage;
use pennypost_model::{EventId, Timestamp, codec};
use pennypost_ports::{Clock, Ids, Objects, Outgoing, PortError, Queue, crash};
use pennypost_reports::{About, Action, Report, Told};
use pennypost_text::{Lang, Text};
use tokio::sync::{Semaphore, watch};

use crate::letter::{dated, with_bcc};
use crate::{Cause, Due, Held, HeldError, HeldLetters, State, Why};

/// Between two looks, if nobody rings and nothing is due before.
const PAUSE: Duration = Duration::from_secs(10);
/// The shortest pause: what failed a moment ago is due all the time.
const LEAST: Duration = Duration::from_millis(100);
/// Rows that are read at once.
const PAGE: usize = 100;
/// Letters at once.
const AT_ONCE: usize = 8;
/// Milliseconds within which what was found when a letter was handed in still holds.
const FRESH: i64 = 10 * 60_000;
/// Milliseconds after which a letter goes no more that its sender's allowance does not let through.
const PATIENCE: i64 = 2 * 24 * 3_600_000;
/// From so many bytes a letter is written anew beside what else the thread has to do.
const LARGE: u64 = 128 * 1024;
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
    ports: Ports,
    hostname: Arc<str>,
    /// Letters are written anew one after the other: each may have 50 MB.
    writing: Arc<Semaphore>,
}

/// What is to become of a letter whose time has come.
enum Verdict {
    Go { counted: bool },
    Wait { until: Timestamp },
    Stay(Why),
    /// There is nobody any more who could be told.
    Gone,
}

/// A part of a future that is one for the compiler only once.
type Working<'a, T> = Pin<Box<dyn Future<Output = Result<T, HeldError>> + Send + 'a>>;

impl Releaser {
    /// What lets these letters go.
    #[must_use]
    pub fn new(held: HeldLetters, ports: Ports, hostname: &str) -> Releaser {
        Releaser { held, ports, hostname: hostname.into(), writing: Arc::new(Semaphore::new(1)) }
    }

    /// Looks after what is due until `stop` turns true. What is in hand then is done again by whoever looks next.
    #[pennypost_ports::compiled_here]
    pub async fn run(self, mut stop: watch::Receiver<bool>) {
        while !*stop.borrow() {
            let next = match self.look().await {
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
                () = self.held.bell().notified() => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// Looks after all that is due now, once: how many letters there were, and when the next one is due, if that is known.
    ///
    /// # Errors
    /// [`HeldError`], where the rows can't be read.
    #[pennypost_ports::compiled_here]
    pub async fn look(&self) -> Result<(usize, Option<Timestamp>), HeldError> {
        let (mut count, mut after): (usize, Option<Due>) = (0, None);
        loop {
            let (page, next) = self.held.due(self.ports.clock.now(), after.as_ref(), PAGE).await?;
            let is_last = page.len() < PAGE || next.is_some();
            count += page.len();
            let looked = stream::iter(&page).for_each_concurrent(AT_ONCE, |due| self.look_after(due));
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
                    // Looking again would not help. Its item stays, and is told of every day.
                    let _ = self.held.forget(due).await;
                }
            }
        })
    }

    /// Follows a row to its letter, and does what there is to do.
    async fn follow(&self, due: &Due) -> Result<(), HeldError> {
        let (held, now) = (&self.held, self.ports.clock.now());
        let Some((mut letter, version)) = held.find(due.account, due.letter).await? else {
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
            match self.verdict(&mut letter, now).await? {
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
                    if held.save(&letter, version).await? {
                        held.forget(due).await?;
                    }
                    return Ok(());
                }
                Verdict::Stay(why) => {
                    let (draft, report) = (self.ports.ids.event(now), self.ports.ids.event(now));
                    letter.state = State::Unsent { at: now, why, draft, report };
                    if !held.save(&letter, version).await? {
                        return Ok(());
                    }
                }
                Verdict::Go { counted } => {
                    let message = match letter.cause {
                        // What goes days later is a letter of that day, in traces and statistics.
                        Cause::Scheduled => self.ports.ids.event(now),
                        Cause::Undo => letter.id(),
                    };
                    let has_refused = !letter.refused.is_empty() && !letter.accepted.reverse_path.is_empty();
                    let report = has_refused.then(|| self.ports.ids.event(now));
                    letter.state = State::Sent { at: now, message, report };
                    if !held.save(&letter, version).await? {
                        // It was taken back, or somebody else lets it go, by whom it was counted, too.
                        if counted {
                            self.give_back(&letter).await?;
                        }
                        return Ok(());
                    }
                }
            }
            crash::point("held.after-end");
        }
        self.settle(&letter).await?;
        crash::point("held.after-send");
        held.forget(due).await
    }

    /// Takes back that a letter was counted, if it did not go.
    async fn give_back(&self, letter: &Held) -> Result<(), HeldError> {
        let (account, id) = (letter.sender.0, letter.id());
        let found = self.held.find(account, id).await?;
        if found.is_some_and(|(found, _)| matches!(found.state, State::Sent { .. })) {
            return Ok(());
        }
        self.ports.directory.uncount_sent_by(account, id).await?;
        let tenant = self.ports.directory.tenant(account.tenant).await?;
        if tenant.and_then(|tenant| tenant.plan?.daily_allowance()).is_some() {
            self.ports.directory.uncount_sent(account.tenant, id).await?;
        }
        Ok(())
    }

    /// What is to become of a letter: all that was asked when it was handed in is asked again. Recipients who do not get it are
    /// taken out of its event, and noted.
    fn verdict<'a>(&'a self, letter: &'a mut Held, now: Timestamp) -> Working<'a, Verdict> {
        Box::pin(async move {
            let directory = &self.ports.directory;
            let key = letter.sender.0;
            let Some(tenant) = directory.tenant(key.tenant).await? else { return Ok(Verdict::Gone) };
            let Some(account) = directory.account(key).await? else { return Ok(Verdict::Gone) };
            if !tenant.is_open(now) || !account.is_open(now) {
                return Ok(Verdict::Stay(Why::Closed));
            }
            let reach = match directory.client_rules(key).await {
                Ok(rules) => rules.send,
                Err(error) if error.is_temporary() => return Err(error.into()),
                Err(_) => return Ok(Verdict::Stay(Why::Closed)),
            };
            if !reach.holds(true) {
                return Ok(Verdict::Stay(Why::Forbidden));
            }
            let is_fresh = letter.cause == Cause::Undo && now.0 - letter.accepted.time.0 < FRESH;
            if !is_fresh {
                let Some(stored) = self.stored(letter).await? else { return Ok(Verdict::Stay(Why::Lost)) };
                if !self.may_write(letter, &account, &stored).await? {
                    return Ok(Verdict::Stay(Why::Author));
                }
            }
            let mut limit = None;
            if letter.accepted.leaves() {
                let outward = if reach.holds(false) { directory.outward(&account).await? } else { Outward::Forbidden };
                match outward {
                    Outward::Open(found) => limit = found,
                    Outward::Forbidden => refuse(letter, Why::Outside, |recipient| recipient.via == Via::Outside),
                }
            }
            if !is_fresh {
                self.find_recipients(letter, &account).await?;
            }
            let is_anybody_left = letter.accepted.recipients.iter().any(|one| one.via != Via::Sent)
                || !letter.accepted.source.kind.groups().is_empty();
            if !is_anybody_left {
                let why = letter.refused.first().map_or(Why::Unknown, |(_, why)| *why);
                return Ok(Verdict::Stay(why));
            }
            // What can be taken back for a moment was counted when it was handed in.
            if letter.cause == Cause::Undo {
                return Ok(Verdict::Go { counted: false });
            }
            let outside = limit.filter(|_| letter.accepted.leaves());
            self.count(letter, &tenant, MemberLimits { daily: daily(&tenant), outside }, now).await
        })
    }

    /// May its sender still write as those whom it names?
    async fn may_write(
        &self,
        letter: &Held,
        account: &Account,
        stored: &StoredMessage,
    ) -> Result<bool, HeldError> {
        let directory = &self.ports.directory;
        let path = &letter.accepted.reverse_path;
        if !path.is_empty() && directory.voice(account, path).await?.is_none() {
            return Ok(false);
        }
        let header = compress::decompress_header(stored)?;
        let (_, facts) = pennypost_mime::parse(&header);
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

    /// Members elsewhere of groups who want no more since get nothing.
    async fn find_friends(&self, letter: &mut Held, account: &Account) -> Result<(), HeldError> {
        let Some(groups) = letter.accepted.source.kind.groups_mut() else { return Ok(()) };
        for group in groups.iter_mut() {
            let addresses = group.members.iter().filter_map(|member| MailAddress::parse(&member.address).ok());
            let addresses: Vec<MailAddress> = addresses.collect();
            let left = match self.ports.directory.reach(account, &addresses).await? {
                Reach::Friends(friends) => friends,
                Reach::NoSeat | Reach::Strangers(_) => {
                    letter.refused.push((group.address.clone(), Why::Group));
                    Vec::new()
                }
            };
            let left: Vec<String> = left.iter().map(|friend| friend.address().to_string()).collect();
            group.members.retain(|member| left.contains(&member.address));
        }
        groups.retain(|group| !group.members.is_empty());
        Ok(())
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
            None => Verdict::Go { counted: is_counted || of_tenant.is_some() },
            Some(until) if until.0 > letter.wanted.0.saturating_add(PATIENCE) => Verdict::Stay(Why::Frequency),
            Some(until) => Verdict::Wait { until },
        })
    }

    /// Does what follows from the end of a letter. It may be done twice: all ids stand in the letter.
    fn settle<'a>(&'a self, letter: &'a Held) -> Working<'a, ()> {
        Box::pin(async move {
            match &letter.state {
                State::Waiting => Ok(()),
                State::Sent { at, message, report } => {
                    if let Some(report) = report {
                        self.report(letter, *report, *at, About::Failure).await?;
                    }
                    self.send(letter, *message, *at).await
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

    async fn send(&self, letter: &Held, message: EventId, at: Timestamp) -> Result<(), HeldError> {
        let mut accepted = Accepted { id: message, time: at, ..letter.accepted.clone() };
        if letter.cause == Cause::Scheduled {
            let Some(body) = self.rewritten(letter, message, move |raw| dated(raw, at)).await? else {
                // It is removed behind the event.
                return Ok(());
            };
            accepted.body = body;
        }
        self.put_into_queue(accepted).await?;
        if letter.cause == Cause::Scheduled {
            self.drop_bytes(letter).await?;
        }
        Ok(())
    }

    /// A copy for Drafts, as its writer had it.
    async fn draft(&self, letter: &Held, draft: EventId, at: Timestamp) -> Result<(), HeldError> {
        let bcc = letter.accepted.source.kind.submission().map(|submission| submission.bcc.clone());
        let bcc = bcc.unwrap_or_default();
        let Some(body) = self.rewritten(letter, draft, move |raw| with_bcc(raw, &bcc)).await? else { return Ok(()) };
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

    /// The letter as it was handed in; `None` if its bytes are gone: what follows from its end was done then.
    async fn stored(&self, letter: &Held) -> Result<Option<StoredMessage>, HeldError> {
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
        let _alone = self.writing.acquire().await.ok();
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
        // If it is there already, it is the same.
        self.ports.objects.put_unique(&object, codec::encode(&stored).into()).await?;
        crash::point("held.after-copy");
        Ok(Some(Body::Spooled { object, size }))
    }

    async fn put_into_queue(&self, accepted: Accepted) -> Result<(), HeldError> {
        let (tenant, id) = (accepted.tenant, accepted.id);
        let body = accept::for_the_queue(&*self.ports.objects, accepted, id).await?;
        let outgoing = Outgoing { tenant, body, delay: Duration::ZERO };
        let sent = self.ports.queue.send_batch(Stage::InboundParse, vec![outgoing]).await;
        let unanswered = || PortError::Unavailable { port: "queue", cause: "it gave no answer".to_owned() };
        Ok(sent.into_iter().next().unwrap_or_else(|| Err(unanswered()))?)
    }

    /// Tells its sender who does not get it.
    async fn report(
        &self,
        letter: &Held,
        id: EventId,
        at: Timestamp,
        about: About,
    ) -> Result<(), HeldError> {
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
        let mut all: Vec<Told> =
            letter.refused.iter().map(|(address, why)| told(address, *why)).collect();
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
        let stored = self.stored(letter).await?;
        let header = stored.as_ref().map(compress::decompress_header).transpose()?;
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
        self.put_into_queue(accepted).await
    }
}

fn daily(tenant: &Tenant) -> Option<u64> {
    tenant.plan.as_ref().and_then(|plan| plan.account_daily_messages)
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
