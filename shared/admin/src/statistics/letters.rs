//! Single letters (LOG-04): found in the traces, newest first, told without what is in them.

use pennypost_journeys::{Backwards, Journey, Processing, contains, journey};
use pennypost_model::trace::Outcome;
use pennypost_model::{AccountId, EventId, TenantId, Timestamp};

use crate::action::Action;
use crate::call::Call;
use crate::sight::Sight;
use crate::{AdminError, Administration};

/// Letters that a page looks at, about.
const MAX_READ: usize = 10_000;
/// The clock of another machine may be ahead.
const AHEAD: i64 = 60 * 60 * 1000;

/// Received or sent?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LetterKind {
    /// It came into a mailbox, or was to.
    Received,
    /// A member handed it in.
    Sent,
}

/// Which letters are looked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LetterQuery {
    /// Accepted from then on.
    pub from: Option<Timestamp>,
    /// Accepted before then.
    pub until: Option<Timestamp>,
    /// Of that kind.
    pub kind: Option<LetterKind>,
    /// With this in an address of the sender or of a recipient.
    pub address: Option<String>,
    /// Of this domain, or to it.
    pub domain: Option<String>,
    /// With this in the subject.
    pub subject: Option<String>,
    /// That this member received or sent.
    pub account: Option<AccountId>,
}

fn is_in(address: &str, domain: &str) -> bool {
    address.rsplit_once('@').is_some_and(|(_, own)| own.eq_ignore_ascii_case(domain))
}

impl LetterQuery {
    fn lower_case(&self) -> LetterQuery {
        let lower = |text: &Option<String>| text.as_ref().map(|text| text.to_lowercase());
        let (address, domain, subject) = (lower(&self.address), lower(&self.domain), lower(&self.subject));
        LetterQuery { address, domain, subject, ..self.clone() }
    }

    /// Is it one of these? What is looked for is in lower case.
    fn holds(&self, letter: &Journey) -> bool {
        let sender = letter.submitter().map(|submitter| submitter.account.account);
        let is_of_kind = match self.kind {
            None => true,
            Some(LetterKind::Received) if letter.delivery.is_none() => {
                letter.processing.is_some() && sender.is_none()
            }
            Some(LetterKind::Received) => letter.recipients().any(|one| one.outcome != Outcome::Outside),
            Some(LetterKind::Sent) => sender.is_some(),
        };
        let waiting = || letter.processing.iter().filter(|_| letter.delivery.is_none());
        let waiting = || waiting().flat_map(|processing| &processing.recipients);
        let recipients = || {
            let waiting = waiting().map(|(address, _)| address.as_str());
            letter.recipients().map(|recipient| recipient.address.as_str()).chain(waiting)
        };
        let submitter = || letter.submitter().map(|submitter| submitter.address.as_str());
        let addresses = || recipients().chain([letter.reverse_path()]).chain(submitter());
        let begin = self.from.is_none_or(|from| letter.id.time() >= from);
        let end = self.until.is_none_or(|until| letter.id.time() < until);
        begin
            && end
            && is_of_kind
            && self.account.is_none_or(|account| {
                let mut recipients = letter.recipients();
                sender == Some(account)
                    || recipients.any(|recipient| recipient.account.account == account)
                    || waiting().any(|(_, key)| key.account == account)
            })
            && self.address.as_ref().is_none_or(|wanted| addresses().any(|address| contains(address, wanted)))
            && self.domain.as_ref().is_none_or(|domain| addresses().any(|address| is_in(address, domain)))
            && self.subject.as_ref().is_none_or(|wanted| contains(letter.subject(), wanted))
    }
}

/// What the actor may see of a letter: of recipients and sender those within reach. `None` if that is nothing.
async fn seen(letter: Journey, sight: &mut Sight<'_>) -> Result<Option<Journey>, AdminError> {
    if sight.sees_all() {
        return Ok(Some(letter));
    }
    // Incidents name addresses of the envelope, whosever they are: they are for whoever sees all.
    let Journey { tenant, id, delivery, mut attempts, mut came_back, mut receipts, processing, .. } = letter;
    let Some(mut delivery) = delivery else {
        let Some(processing) = processing else { return Ok(None) };
        let processing = seen_waiting(processing, sight).await?;
        return Ok(
            processing.map(|processing| Journey { processing: Some(processing), ..Journey::new(tenant, id) })
        );
    };
    let sender = delivery.submitter.as_ref().map(|submitter| submitter.account);
    let sees_sender = match sender {
        Some(sender) => sight.sees(sender).await?,
        None => false,
    };
    let mut within = Vec::new();
    for recipient in std::mem::take(&mut delivery.recipients) {
        if sight.sees(recipient.account).await? {
            within.push(recipient);
        }
    }
    if !sees_sender {
        delivery.submitter = None;
        if within.is_empty() {
            return Ok(None);
        }
    }
    // Recipients at other servers are their writer's, and so is who has read it.
    if !sees_sender {
        attempts.clear();
        came_back.clear();
        receipts.clear();
    }
    delivery.recipients = within;
    Ok(Some(Journey { delivery: Some(delivery), attempts, came_back, receipts, ..Journey::new(tenant, id) }))
}

/// The same of one that is being processed.
async fn seen_waiting(
    mut processing: Processing,
    sight: &mut Sight<'_>,
) -> Result<Option<Processing>, AdminError> {
    let sender = processing.submitter.as_ref().map(|submitter| submitter.account);
    let sees_sender = match sender {
        Some(sender) => sight.sees(sender).await?,
        None => false,
    };
    let mut within = Vec::new();
    for (address, account) in std::mem::take(&mut processing.recipients) {
        if sight.sees(account).await? {
            within.push((address, account));
        }
    }
    if !sees_sender {
        processing.submitter = None;
        if within.is_empty() {
            return Ok(None);
        }
    }
    processing.recipients = within;
    Ok(Some(processing))
}

impl Administration {
    /// Letters that the actor may see, the newest first, below an id; at most `limit`, but perhaps fewer, even none, though
    /// there are more. With the id below which the next ones are.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn letters(
        &self,
        call: &Call,
        tenant: TenantId,
        query: &LetterQuery,
        below: Option<EventId>,
        limit: usize,
    ) -> Result<(Vec<Journey>, Option<EventId>), AdminError> {
        let mut sight = Sight::new(self, call, Action::LetterRead, tenant).await?;
        let since = self.shown_since(tenant).await?;
        let query = query.lower_case();
        let begin = query.from.unwrap_or(since).max(since);
        let last = query.until.map_or(self.clock.now().plus_millis(AHEAD), |until| until.plus_millis(-1));
        let end = below.map_or(last, |below| last.min(below.time()));
        let log = self.traces()?;
        let mut backwards = Backwards::new(&**log, tenant, begin, end);
        let (mut found, mut read) = (Vec::new(), 0);
        while let Some(window) = backwards.next().await? {
            read += window.len();
            for letter in window.into_iter().filter(|letter| below.is_none_or(|below| letter.id < below)) {
                let id = letter.id;
                let Some(letter) = seen(letter, &mut sight).await?.filter(|letter| query.holds(letter))
                else {
                    continue;
                };
                found.push(letter);
                if found.len() >= limit {
                    return Ok((found, Some(id)));
                }
            }
            if read >= MAX_READ {
                break;
            }
        }
        Ok((found, backwards.position()))
    }

    /// What happened to a letter, as far as the actor may see it.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn letter(&self, call: &Call, tenant: TenantId, id: EventId) -> Result<Journey, AdminError> {
        let mut sight = Sight::new(self, call, Action::LetterRead, tenant).await?;
        let missing = AdminError::NotFound("letter");
        if id.time() < self.shown_since(tenant).await? {
            return Err(missing);
        }
        let found = journey(&**self.traces()?, tenant, id).await?.ok_or_else(|| missing.clone())?;
        seen(found, &mut sight).await?.ok_or(missing)
    }
}
