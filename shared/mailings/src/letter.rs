//! The letters of a mailing as events.

use pennypost_directory::Dress;
use pennypost_held::{Cause, Held, HeldError, State};
use pennypost_mailstore::accept;
use pennypost_model::event::{
    Accepted, AuthResults, Body, Footers, GroupElsewhere, Recipient, Requested, Source, SourceKind,
    Submission, ToGroups, Via, Wishes,
};
use pennypost_model::trace::Submitter;
use pennypost_model::{EventId, Timestamp};

use crate::content::Content;
use crate::item::Mailing;
use crate::message::{Stamp, for_one};

/// By what letters are handed in that are made here, as traces tell it.
const PROTOCOL: &str = "HTTP";

/// A letter that is to be made.
pub(crate) struct Wanted {
    pub row: u32,
    pub id: EventId,
    pub time: Timestamp,
}

/// The bytes of a letter; `None` where the content makes none.
pub(crate) fn bytes(mailing: &Mailing, content: &Content, wanted: &Wanted) -> Option<Vec<u8>> {
    let row = usize::try_from(wanted.row).ok()?;
    match content {
        Content::Personal(personal) => {
            let stamp = Stamp { id: wanted.id, time: wanted.time, from: &mailing.sender.1 };
            personal.letter(row, stamp).ok()
        }
        Content::Individual(individual) => Some(for_one(&individual.raw, content.address(row))),
    }
}

/// The bytes of the copy in Sent (PMG-08): the first recipient's, or the letter as it was handed in.
pub(crate) fn copy_bytes(mailing: &Mailing, content: &Content) -> Option<Vec<u8>> {
    match content {
        Content::Personal(_) => {
            let time = mailing.ordered.unwrap_or(mailing.created);
            bytes(mailing, content, &Wanted { row: 0, id: mailing.copy(), time })
        }
        Content::Individual(individual) => Some(individual.raw.clone()),
    }
}

/// The subject of a letter, as rules of the organisation look at it.
pub(crate) fn subject(content: &Content, row: u32) -> String {
    match content {
        Content::Personal(personal) => {
            let said = usize::try_from(row).ok().and_then(|row| personal.said(row).ok());
            said.map(|said| said.subject).unwrap_or_default()
        }
        Content::Individual(individual) => individual.subject.clone(),
    }
}

/// The path by which reports come back.
pub(crate) fn reverse_path<'a>(mailing: &'a Mailing, content: &'a Content) -> &'a str {
    match content {
        Content::Personal(_) => &mailing.sender.1,
        Content::Individual(individual) => &individual.reverse_path,
    }
}

fn source(
    mailing: &Mailing,
    content: &Content,
    (bcc, groups, addresses): (String, Vec<GroupElsewhere>, Option<&str>),
) -> Source {
    let (protocol, helo, tls, wishes) = match content {
        Content::Personal(_) => (PROTOCOL, String::new(), None, Wishes::default()),
        Content::Individual(individual) => {
            let mut wishes = individual.wishes.clone();
            wishes.recipients.retain(|wish| Some(&*wish.address) == addresses);
            let (helo, tls) = individual.from.clone();
            (&*individual.protocol, helo, tls, wishes)
        }
    };
    let (account, address) = mailing.sender.clone();
    let submitter = Submitter { account, address, protocol: protocol.to_owned() };
    let submission = Submission { submitter, bcc };
    let kind = if wishes != Wishes::default() {
        SourceKind::Requested(Box::new(Requested { to: ToGroups { submission, groups }, wishes }))
    } else if groups.is_empty() {
        SourceKind::Submission(Box::new(submission))
    } else {
        SourceKind::ToGroups(Box::new(ToGroups { submission, groups }))
    };
    Source { kind: kind.private(content.is_private()), ip: None, helo, tls }
}

fn receipt(mailing: &Mailing, content: &Content, (id, time): (EventId, Timestamp), hostname: &str) -> String {
    match content {
        Content::Personal(_) => {
            let from = &mailing.sender.1;
            format!(
                "Received: by {hostname} (Pennypost) with {PROTOCOL}\r\n\tid {id}; {}\r\n\
                 Authentication-Results: {hostname}; auth=pass smtp.auth={from}\r\n",
                time.rfc5322()
            )
        }
        // Each letter's names that letter.
        Content::Individual(individual) => {
            individual.receipt.replace(&mailing.id.to_string(), &id.to_string())
        }
    }
}

/// A letter of a mailing as an event, for these recipients.
pub(crate) async fn accepted(
    mailing: &Mailing,
    content: &Content,
    wanted: &Wanted,
    (recipients, groups): (Vec<Recipient>, Vec<GroupElsewhere>),
    (dress, hostname): (&Dress, &str),
    noted: Vec<String>,
) -> Result<Option<Accepted>, HeldError> {
    let Some(raw) = bytes(mailing, content, wanted) else { return Ok(None) };
    let (raw, footers) = dressed(raw, dress, (mailing, content), reach(&recipients, &groups));
    let row = usize::try_from(wanted.row).unwrap_or(usize::MAX);
    let source = with(footers, source(mailing, content, (String::new(), groups, Some(content.address(row)))));
    Ok(Some(Accepted {
        id: wanted.id,
        time: wanted.time,
        tenant: mailing.sender.0.tenant,
        source: Source { kind: source.kind.with_noted(noted), ..source },
        auth: AuthResults::default(),
        reverse_path: reverse_path(mailing, content).to_owned(),
        recipients,
        body: Body::Inline(accept::compressed(raw).await?),
        receipt: receipt(mailing, content, (wanted.id, wanted.time), hostname),
    }))
}

/// Does a letter go to the organisation's own people, and to others?
pub(crate) fn reach(recipients: &[Recipient], groups: &[GroupElsewhere]) -> (bool, bool) {
    let is_outside = |one: &Recipient| one.via == Via::Outside;
    let stays = recipients.iter().any(|one| !is_outside(one));
    (stays, !groups.is_empty() || recipients.iter().any(is_outside))
}

/// The letter with what stands in letters of its writer; nothing in what is from nobody.
fn dressed(
    raw: Vec<u8>,
    dress: &Dress,
    (mailing, content): (&Mailing, &Content),
    reach: (bool, bool),
) -> (Vec<u8>, Option<Footers>) {
    if reverse_path(mailing, content).is_empty() { (raw, None) } else { dress.put_into(raw, reach) }
}

fn with(footers: Option<Footers>, source: Source) -> Source {
    match footers {
        Some(footers) => Source { kind: source.kind.with_footers(footers), ..source },
        None => source,
    }
}

/// The copy in Sent as an event, with what stands in letters that go where the first one goes.
pub(crate) async fn copy(
    mailing: &Mailing,
    content: &Content,
    reach: (bool, bool),
    (dress, hostname): (&Dress, &str),
) -> Result<Option<Accepted>, HeldError> {
    let Some(raw) = copy_bytes(mailing, content) else { return Ok(None) };
    let (raw, footers) = dressed(raw, dress, (mailing, content), reach);
    let (account, address) = mailing.sender.clone();
    let (id, time) = (mailing.copy(), mailing.ordered.unwrap_or(mailing.created));
    let bcc = match content {
        Content::Personal(_) => String::new(),
        Content::Individual(individual) => individual.bcc.clone(),
    };
    Ok(Some(Accepted {
        id,
        time,
        tenant: account.tenant,
        source: with(footers, source(mailing, content, (bcc, Vec::new(), None))),
        auth: AuthResults::default(),
        reverse_path: reverse_path(mailing, content).to_owned(),
        recipients: vec![Recipient { account, address, via: Via::Sent }],
        body: Body::Inline(accept::compressed(raw).await?),
        receipt: receipt(mailing, content, (id, time), hostname),
    }))
}

/// What was handed in for each alone and was stopped before any of it went, for Drafts: as its writer had it. What was made of a
/// table lies with the table.
pub(crate) async fn draft(
    mailing: &Mailing,
    content: &Content,
    time: Timestamp,
) -> Result<Option<Accepted>, HeldError> {
    let Content::Individual(individual) = content else { return Ok(None) };
    let raw = [&b"X-Pennypost-Individual: yes\r\n"[..], individual.bcc.as_bytes(), &individual.raw].concat();
    let (account, address) = mailing.sender.clone();
    Ok(Some(Accepted {
        id: mailing.draft(),
        time,
        tenant: account.tenant,
        source: Source { kind: SourceKind::System, ip: None, helo: String::new(), tls: None },
        auth: AuthResults::default(),
        reverse_path: String::new(),
        recipients: vec![Recipient { account, address, via: Via::Drafts }],
        body: Body::Inline(accept::compressed(raw).await?),
        receipt: String::new(),
    }))
}

/// The event with a member as its writer, and members elsewhere of a group.
pub(crate) fn with_groups(mailing: &Mailing, accepted: Accepted, groups: Vec<GroupElsewhere>) -> Accepted {
    let (account, address) = mailing.sender.clone();
    let submitter = Submitter { account, address, protocol: String::new() };
    let submission = Submission { submitter, bcc: String::new() };
    let is_private = accepted.source.kind.is_private();
    let kind = SourceKind::ToGroups(Box::new(ToGroups { submission, groups })).private(is_private);
    Accepted { source: Source { kind, ..accepted.source }, ..accepted }
}

/// The letter as what waits is, so that the same is asked of it.
pub(crate) fn waiting(mailing: &Mailing, accepted: Accepted, subject: String, now: Timestamp) -> Held {
    Held {
        accepted,
        sender: mailing.sender.clone(),
        subject,
        cause: Cause::Scheduled,
        zone: String::new(),
        wanted: mailing.moved,
        due: now,
        waits: None,
        refused: Vec::new(),
        state: State::Waiting,
        user: mailing.user,
        is_counted: false,
        is_settled: false,
    }
}
