//! `dead-letters`: messages that no handler could deal with, kept whole until somebody decides: no
//! accepted letter ends in silence.
//!
//! A replayed letter goes back into its queue with its own id: what was delivered already is not doubled. A
//! refused one is noted in the trace first and removed then: if the process dies between, it is still here and
//! refusing it again ends it.

use std::io;

use clap::Subcommand;
use pennypost_mailstore::compress::decompress;
use pennypost_model::codec;
use pennypost_model::event::{Accepted, Body, Event, Forward, Forwarding, Recipient, Via};
use pennypost_model::message::{Facts, StoredMessage};
use pennypost_model::trace::TraceStep;
use pennypost_model::{EventId, Timestamp};
use pennypost_ports::{DeadLetter, DeadLetterId};
use pennypost_receive::{Notification, Said};
use serde_json::{Value, json};

use crate::office::Office;
use crate::print::{self, Output, clean, fitting};
use crate::replay::{self, put};
use crate::text::Text;
use crate::trace;
use crate::{Failed, say};

/// Letters that are read at once.
const PAGE: usize = 100;
/// Bytes of a header block that are shown.
const SHOWN_HEADER: usize = 64 * 1024;

/// What `dead-letters` takes.
#[derive(Debug, Subcommand)]
pub enum DeadLettersCommand {
    /// List them, oldest first
    #[command(after_help = "Example:\n  pennypost dead-letters list")]
    List,
    /// Show one: envelope, cause, tries and the header of the message
    #[command(after_help = "Example:\n  pennypost dead-letters show 01KAHVJX3S0000000000000000")]
    Show {
        /// Its id, or the id of its message.
        id: EventId,
    },
    /// Put one back into its queue, or many; what was delivered already is not doubled
    #[command(
        after_help = "Examples:\n  pennypost dead-letters replay 01KAHVJX3S0000000000000000\n  pennypost dead-letters replay --all --cause timeout"
    )]
    Replay {
        /// Its id, or the id of its message.
        #[arg(required_unless_present = "all", conflicts_with = "all")]
        id: Option<EventId>,
        /// All of them.
        #[arg(long)]
        all: bool,
        /// Of all, only those whose cause contains this, whatever its case.
        #[arg(long, requires = "all", value_name = "TEXT")]
        cause: Option<String>,
    },
    /// End one without delivery; the trace keeps the reason
    #[command(
        after_help = "Example:\n  pennypost dead-letters refuse 01KAHVJX3S0000000000000000 --reason spam"
    )]
    Refuse {
        /// Its id, or the id of its message.
        id: EventId,
        /// Why.
        #[arg(long, default_value = "refused by an administrator", value_name = "TEXT")]
        reason: String,
    },
}

/// Does what was asked.
///
/// # Errors
/// [`Failed`]; when there is no such letter, too.
pub async fn run(
    office: &Office,
    command: &DeadLettersCommand,
    json: bool,
    text: &Text,
) -> Result<(), Failed> {
    act(office, command, text, &mut Output::new(&mut io::stdout().lock(), json)).await
}

async fn act(
    office: &Office,
    command: &DeadLettersCommand,
    text: &Text,
    output: &mut Output<'_>,
) -> Result<(), Failed> {
    match command {
        DeadLettersCommand::List => list(office, text, output).await,
        DeadLettersCommand::Show { id } => show(office, *id, text, output).await,
        DeadLettersCommand::Replay { id: Some(id), .. } => {
            let letter = wanted(office, *id, text).await?;
            let replayed = replay(office, &letter).await?;
            if !replayed {
                return Err(none(*id, text));
            }
            let queue = letter.stage.queue();
            let sentence = say!(text, "dead-letter-replayed", id = letter.id.0.to_string(), queue = queue);
            output.result(&sentence, &json!({ "replayed": 1, "id": letter.id.0, "queue": queue }))?;
            Ok(())
        }
        DeadLettersCommand::Replay { id: None, cause, .. } => {
            replay_all(office, cause.as_deref(), text, output).await
        }
        DeadLettersCommand::Refuse { id, reason } => refuse(office, *id, reason, text, output).await,
    }
}

/// What a letter is about, as far as it can be read.
#[derive(Debug, Default)]
pub(crate) struct Envelope {
    pub message: Option<EventId>,
    pub accepted: Timestamp,
    pub reverse_path: String,
    pub recipients: Vec<String>,
    pub size: u64,
    pub facts: Facts,
    object: Option<String>,
    stored: Option<StoredMessage>,
}

impl Envelope {
    /// The envelope in an encoded event; `None` if it is about no message or can't be read.
    pub(crate) fn of(body: &[u8]) -> Option<Envelope> {
        if let Ok(Said::Letter(said)) = Notification::read(body) {
            return Some(Envelope::of_notification(*said));
        }
        let (accepted, facts): (Accepted, Option<Facts>) = match codec::decode::<Event>(body).ok()? {
            Event::Accepted(accepted) | Event::Outbound(accepted) => (*accepted, None),
            Event::Forwarding(forwarding) => {
                let Forwarding { mut accepted, forwards } = *forwarding;
                let to =
                    |Forward { account, to: address, .. }| Recipient { account, address, via: Via::Outside };
                accepted.recipients.extend(forwards.into_iter().map(to));
                (accepted, None)
            }
            Event::Parsed(parsed) => (parsed.accepted, Some(parsed.sidecar.facts)),
            Event::Decided(decided) => (decided.accepted, Some(decided.sidecar.facts)),
            Event::Changed(_) | Event::House(_) | Event::Notified(_) => return None,
        };
        let (size, object, stored) = match accepted.body {
            Body::Inline(stored) => (stored.size, None, Some(stored)),
            Body::Spooled { object, size } => (size, Some(object), None),
        };
        Some(Envelope {
            message: Some(accepted.id),
            accepted: accepted.time,
            reverse_path: accepted.reverse_path,
            recipients: accepted.recipients.into_iter().map(|recipient| recipient.address).collect(),
            size,
            facts: facts.unwrap_or_default(),
            object,
            stored,
        })
    }

    /// Of what another service has received and nobody has accepted yet.
    fn of_notification(said: Notification) -> Envelope {
        let Notification { time, reverse_path, recipients, .. } = said;
        Envelope { accepted: time, reverse_path, recipients, ..Envelope::default() }
    }

    /// The header block of the message.
    pub(crate) async fn header(&self, office: &Office) -> Result<Vec<u8>, Failed> {
        let spooled;
        let stored = match (&self.stored, &self.object) {
            (Some(stored), _) => stored,
            (None, Some(object)) => {
                let (bytes, _) = office.objects().get(object).await?;
                spooled =
                    codec::decode::<StoredMessage>(&bytes).map_err(pennypost_mailstore::StoreError::from)?;
                &spooled
            }
            (None, None) => return Ok(Vec::new()),
        };
        let mut raw = decompress(stored)?;
        raw.truncate(usize::try_from(stored.header_len).unwrap_or(usize::MAX));
        Ok(raw)
    }
}

/// Calls `each` with every dead letter, oldest first, a page at a time in memory; those that come meanwhile are
/// left out, so that one that dies again at once is not met twice.
pub(crate) async fn for_each(
    office: &Office,
    mut each: impl AsyncFnMut(DeadLetter) -> Result<(), Failed>,
) -> Result<(), Failed> {
    let now = office.clock.now();
    let mut after = None;
    loop {
        let page = office.queue().dead_letters(after, PAGE).await?;
        let is_last = page.len() < PAGE;
        for letter in page {
            after = Some(letter.id);
            if letter.died <= now {
                each(letter).await?;
            }
        }
        if is_last {
            return Ok(());
        }
    }
}

/// The dead letter of that id, or the first of that message.
pub(crate) async fn find(office: &Office, id: EventId) -> Result<Option<DeadLetter>, Failed> {
    let below = u128::from_be_bytes(id.to_bytes()).saturating_sub(1);
    let before = EventId::from_bytes(below.to_be_bytes());
    let next = office.queue().dead_letters(Some(DeadLetterId(before)), 1).await?;
    if let Some(letter) = next.into_iter().find(|letter| letter.id.0 == id) {
        return Ok(Some(letter));
    }
    let mut found = None;
    for_each(office, async |letter| {
        if found.is_none() && Envelope::of(&letter.body).is_some_and(|it| it.message == Some(id)) {
            found = Some(letter);
        }
        Ok(())
    })
    .await?;
    Ok(found)
}

/// Puts a letter back into its queue and notes it in the trace. `false` if it is gone meanwhile.
pub(crate) async fn replay(office: &Office, letter: &DeadLetter) -> Result<bool, Failed> {
    let mut event = codec::decode::<Event>(&letter.body).ok();
    let message = event.as_ref().and_then(Event::message);
    let queue = office.queue();
    let respooled = match &mut event {
        Some(event) => replay::respool(office, event).await?,
        None => false,
    };
    let replayed = match event {
        // Housekeeping removes spooled messages that are old and in no dead letter: a fresh name keeps it. If
        // the process dies in front of the discarding, the letter is in both places, which doubles nothing.
        Some(event) if respooled => {
            put(office, letter.stage, &event).await?;
            queue.discard_dead_letter(letter.id).await?
        }
        _ => queue.replay_dead_letter(letter.id).await?,
    };
    if let (true, Some(message)) = (replayed, message) {
        let step = TraceStep::Replayed { queue: letter.stage.queue().to_owned() };
        trace::note(office, letter.tenant, message, step).await?;
    }
    Ok(replayed)
}

async fn wanted(office: &Office, id: EventId, text: &Text) -> Result<DeadLetter, Failed> {
    find(office, id).await?.ok_or_else(|| none(id, text))
}

fn none(id: EventId, text: &Text) -> Failed {
    Failed::Said(say!(text, "dead-letter-missing", id = id.to_string()))
}

/// What programs get of a letter.
fn document(letter: &DeadLetter, envelope: &Envelope) -> Value {
    json!({
        "id": letter.id.0,
        "tenant": letter.tenant.to_string(),
        "queue": letter.stage.queue(),
        "died": letter.died.rfc3339(),
        "tries": letter.tries,
        "cause": letter.cause,
        "message": envelope.message,
        "accepted": envelope.message.map(|_| envelope.accepted.rfc3339()),
        "reverse_path": envelope.reverse_path,
        "recipients": envelope.recipients,
        "size": envelope.size,
        "subject": envelope.facts.subject,
    })
}

async fn list(office: &Office, text: &Text, output: &mut Output<'_>) -> Result<(), Failed> {
    let mut rows = Vec::new();
    let mut heads = Some(vec![
        "ID".to_owned(),
        say!(text, "word-died"),
        say!(text, "word-queue"),
        say!(text, "word-tries"),
        say!(text, "word-from"),
        say!(text, "word-to"),
        say!(text, "word-cause"),
    ]);
    let nothing = say!(text, "dead-letters-none");
    for_each(office, async |letter| {
        let envelope = Envelope::of(&letter.body).unwrap_or_default();
        let recipients = match &*envelope.recipients {
            [] => String::new(),
            [only] => fitting(only, 30),
            [first, others @ ..] => format!("{} +{}", fitting(first, 26), others.len()),
        };
        let cells = vec![
            letter.id.0.to_string(),
            print::time(letter.died),
            letter.stage.queue().to_owned(),
            letter.tries.to_string(),
            fitting(&envelope.reverse_path, 30),
            recipients,
            fitting(&letter.cause, 60),
        ];
        rows.push((cells, document(&letter, &envelope)));
        if rows.len() >= PAGE {
            output.table(heads.take().unwrap_or_default(), std::mem::take(&mut rows), "")?;
        }
        Ok(())
    })
    .await?;
    match heads {
        Some(heads) => output.table(heads, rows, &nothing)?,
        None if !rows.is_empty() => output.table(Vec::new(), rows, "")?,
        None => {}
    }
    Ok(())
}

async fn show(office: &Office, id: EventId, text: &Text, output: &mut Output<'_>) -> Result<(), Failed> {
    let letter = wanted(office, id, text).await?;
    let envelope = Envelope::of(&letter.body);
    let is_readable = envelope.is_some();
    let envelope = envelope.unwrap_or_default();
    // A message that is damaged may be why the letter is here: the rest is shown nevertheless.
    let header = envelope.header(office).await.map_err(|error| error.message(text));
    let header = header.map(|mut header| {
        header.truncate(SHOWN_HEADER);
        String::from_utf8_lossy(&header).into_owned()
    });
    if output.json {
        let mut document = document(&letter, &envelope);
        match &header {
            Ok(header) => document["header"] = json!(header),
            Err(cause) => document["header_error"] = json!(cause),
        }
        return Ok(output.line(&document.to_string())?);
    }
    let mut lines = vec![
        ("ID".to_owned(), letter.id.0.to_string()),
        (say!(text, "word-tenant"), letter.tenant.to_string()),
        (say!(text, "word-died"), print::time(letter.died)),
        (say!(text, "word-queue"), letter.stage.queue().to_owned()),
        (say!(text, "word-tries"), letter.tries.to_string()),
        (say!(text, "word-cause"), clean(&letter.cause)),
    ];
    if is_readable {
        lines.extend([
            (say!(text, "word-message"), envelope.message.map(|id| id.to_string()).unwrap_or_default()),
            (say!(text, "word-accepted"), print::time(envelope.accepted)),
            (say!(text, "word-size"), print::size(envelope.size)),
            (say!(text, "word-from"), format!("<{}>", clean(&envelope.reverse_path))),
        ]);
        let to = envelope.recipients.iter().map(|address| (say!(text, "word-to"), clean(address)));
        lines.extend(to);
    }
    let lines: Vec<[String; 2]> = lines.into_iter().map(|(word, value)| [word, value]).collect();
    for line in print::aligned(&lines) {
        output.line(&line)?;
    }
    output.line("")?;
    match header {
        Ok(_) if !is_readable => output.line(&say!(text, "dead-letter-unreadable"))?,
        Ok(header) => {
            for line in header.lines() {
                output.line(&clean(line))?;
            }
        }
        Err(cause) => output.line(&say!(text, "dead-letter-no-header", cause = cause))?,
    }
    Ok(())
}

async fn replay_all(
    office: &Office,
    cause: Option<&str>,
    text: &Text,
    output: &mut Output<'_>,
) -> Result<(), Failed> {
    let cause = cause.map(str::to_lowercase);
    let mut count = 0_u64;
    for_each(office, async |letter| {
        let is_wanted = cause.as_ref().is_none_or(|cause| trace::contains(&letter.cause, cause));
        if is_wanted && replay(office, &letter).await? {
            count += 1;
        }
        Ok(())
    })
    .await?;
    output.result(&say!(text, "dead-letters-replayed", count = count), &json!({ "replayed": count }))?;
    Ok(())
}

async fn refuse(
    office: &Office,
    id: EventId,
    reason: &str,
    text: &Text,
    output: &mut Output<'_>,
) -> Result<(), Failed> {
    let letter = wanted(office, id, text).await?;
    let envelope = Envelope::of(&letter.body).unwrap_or_default();
    if let Some(message) = envelope.message {
        let step = TraceStep::Refused { cause: reason.to_owned() };
        trace::note(office, letter.tenant, message, step).await?;
    }
    if !office.queue().discard_dead_letter(letter.id).await? {
        return Err(none(id, text));
    }
    // A spooled message stays for housekeeping: another dead letter may need it.
    let sentence = say!(text, "dead-letter-refused", id = letter.id.0.to_string());
    output.result(&sentence, &json!({ "refused": 1, "id": letter.id.0 }))?;
    Ok(())
}

#[cfg(test)]
mod tests;
