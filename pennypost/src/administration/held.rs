//! `pennypost later …`: letters of a member that go later, and for how long all of his wait so that he can take them back
//! (SND-08); what became of those that he has sent (DLV-02), and of those that came in (DLV-05).

use clap::{Args, Subcommand};
use pennypost_admin::{DeliveryState, OwnLetter, PutAt, ReadState, ReceivedLetter, SeenHeld};
use pennypost_directory::UndoWindow;
use pennypost_held::{Change, MAX_DAYS, State, said_time};
use pennypost_model::{EventId, Timestamp};
use serde_json::{Value, json};

use super::{OPERATOR, refused};
use crate::office::Office;
use crate::print::{Output, clean, fitting, time};
use crate::text::Text;
use crate::{Failed, say};

/// Columns of a subject, and of recipients.
const WIDTH: usize = 40;
/// Letters that are read at once.
const PAGE: usize = 200;

/// Which letter.
#[derive(Debug, Args)]
pub struct Which {
    /// The address of the member
    member: String,
    /// The id of the letter, as the list tells it
    letter: String,
}

/// Subcommands of `later`.
#[derive(Debug, Subcommand)]
pub enum HeldCommand {
    /// List letters of a member that go later, and those that have gone of late or were taken back
    #[command(after_help = "Example:\n  pennypost later list ann@example.com")]
    List {
        /// The address of the member
        member: String,
    },
    /// Take a letter back: it does not go, and a copy comes into Drafts
    #[command(
        name = "take-back",
        after_help = "Example:\n  pennypost later take-back ann@example.com 01KAQ…"
    )]
    TakeBack(Which),
    /// Let a letter go now
    #[command(after_help = "Example:\n  pennypost later send ann@example.com 01KAQ…")]
    Send(Which),
    /// Let a letter go at another time
    #[command(after_help = "Examples:
  pennypost later at ann@example.com 01KAQ… 2030-01-31T08:00
  pennypost later at ann@example.com 01KAQ… 2030-01-31T08:00 --zone Europe/Berlin
  pennypost later at ann@example.com 01KAQ… 2030-01-31T08:00:00Z")]
    At {
        /// Which letter
        #[command(flatten)]
        which: Which,
        /// When
        time: String,
        /// The time zone; Asia/Shanghai, if nothing is said
        #[arg(long)]
        zone: Option<String>,
    },
    /// Show, or say, for how long a member's letters wait so that they can be taken back
    #[command(after_help = "Examples:
  pennypost later undo ann@example.com
  pennypost later undo ann@example.com --seconds 20
  pennypost later undo ann@example.com --off")]
    Undo {
        /// The address of the member
        member: String,
        /// For so many seconds, 5 to 120
        #[arg(long, conflicts_with = "off")]
        seconds: Option<u16>,
        /// Not at all
        #[arg(long)]
        off: bool,
    },
    /// List letters that a member has sent, and what became of them
    #[command(after_help = "Example:\n  pennypost later sent ann@example.com --days 90")]
    Sent {
        /// The address of the member
        member: String,
        /// Of how many days, 90 at most
        #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u16).range(1..=90))]
        days: u16,
    },
    /// List letters that came in for a member, and where they were put
    #[command(after_help = "Example:\n  pennypost later received ann@example.com --days 7")]
    Received {
        /// The address of the member
        member: String,
        /// Of how many days, 90 at most
        #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u16).range(1..=90))]
        days: u16,
    },
}

/// Does what was asked.
pub async fn run(
    office: &Office,
    command: &HeldCommand,
    text: &Text,
    output: &mut Output<'_>,
) -> Result<(), Failed> {
    match command {
        HeldCommand::List { member } => list(office, member, text, output).await,
        HeldCommand::TakeBack(which) => change(office, which, &Change::TakeBack, text, output).await,
        HeldCommand::Send(which) => change(office, which, &Change::Now, text, output).await,
        HeldCommand::At { which, time, zone } => {
            let wrong = || Failed::Said(say!(text, "held-time", days = MAX_DAYS));
            let (at, zone) = said_time(time, zone.as_deref()).ok_or_else(wrong)?;
            change(office, which, &Change::At(at, zone), text, output).await
        }
        HeldCommand::Undo { member, seconds, off } => {
            let said = seconds.is_some() || *off;
            undo(office, member, said.then_some(*seconds), text, output).await
        }
        HeldCommand::Sent { member, days } => sent(office, member, *days, text, output).await,
        HeldCommand::Received { member, days } => received(office, member, *days, text, output).await,
    }
}

async fn list(office: &Office, member: &str, text: &Text, output: &mut Output<'_>) -> Result<(), Failed> {
    let key = office.account(member, text).await?.key;
    let (administration, mut after, mut rows) = (office.administration(), None, Vec::new());
    loop {
        let found = administration.held_letters(&OPERATOR, key, after, PAGE).await;
        let (letters, next) = found.map_err(|error| refused(error, text))?;
        for seen in &letters {
            let state = state_of(&seen.0.state, text);
            let goes = seen
                .local_time()
                .map_or_else(|| time(seen.0.wanted), |local| format!("{local} {}", clean(&seen.0.zone)));
            let (to, subject) =
                (fitting(&seen.recipients().join(", "), WIDTH), fitting(&seen.0.subject, WIDTH));
            rows.push((vec![goes, state, to, subject, seen.0.id().to_string()], document(seen)));
        }
        after = next;
        if after.is_none() {
            break;
        }
    }
    let heads = vec![
        say!(text, "held-head-goes"),
        say!(text, "held-head-state"),
        say!(text, "held-head-to"),
        say!(text, "held-head-subject"),
        say!(text, "held-head-id"),
    ];
    Ok(output.table(heads, rows, &say!(text, "held-none"))?)
}

fn state_of(state: &State, text: &Text) -> String {
    match state {
        State::Waiting => say!(text, "state-scheduled"),
        State::Sent { .. } => say!(text, "state-sent"),
        State::TakenBack { .. } => say!(text, "state-taken-back"),
        State::Unsent { why, .. } => format!("{}: {}", say!(text, "state-unsent"), why.say(text)),
    }
}

fn document(seen: &SeenHeld) -> Value {
    let held = &seen.0;
    let letter = match &held.state {
        State::Sent { message, .. } => Some(message.to_string()),
        _ => None,
    };
    let why = match &held.state {
        State::Unsent { why, .. } => Some(why.name()),
        _ => held.waits.map(pennypost_held::Why::name),
    };
    json!({
        "id": held.id().to_string(),
        "accepted": held.accepted.time.rfc3339(),
        "subject": held.subject,
        "recipients": seen.recipients(),
        "size": held.size(),
        "cause": held.cause.name(),
        "time": held.wanted.rfc3339(),
        "zone": (!held.zone.is_empty()).then_some(&held.zone),
        "local_time": seen.local_time(),
        "state": held.state.name(),
        "ended": seen.ended().map(Timestamp::rfc3339),
        "letter": letter,
        "why": why,
    })
}

async fn change(
    office: &Office,
    which: &Which,
    change: &Change,
    text: &Text,
    output: &mut Output<'_>,
) -> Result<(), Failed> {
    let key = office.account(&which.member, text).await?.key;
    let letter: EventId = which.letter.parse().map_err(|_| Failed::Said(say!(text, "held-id")))?;
    let changed = office.administration().change_held_letter(&OPERATOR, key, letter, change).await;
    let changed = changed.map_err(|error| refused(error, text))?;
    let id = letter.to_string();
    let sentence = match change {
        Change::TakeBack => say!(text, "held-taken-back", id = id),
        Change::Now => say!(text, "held-now", id = id),
        Change::At(at, _) => {
            let local = changed.local_time().map(|local| format!("{local} {}", changed.0.zone));
            say!(text, "held-goes", id = id, time = local.unwrap_or_else(|| time(*at)))
        }
    };
    Ok(output.result(&sentence, &document(&changed))?)
}

async fn undo(
    office: &Office,
    member: &str,
    said: Option<Option<u16>>,
    text: &Text,
    output: &mut Output<'_>,
) -> Result<(), Failed> {
    let key = office.account(member, text).await?.key;
    let administration = office.administration();
    let seen = administration.undo_window(&OPERATOR, key).await.map_err(|error| refused(error, text))?;
    let window = match said {
        None => seen,
        Some(seconds) => {
            let changed = administration.change_undo_window(&OPERATOR, key, seen, seconds).await;
            changed.map_err(|error| refused(error, text))?
        }
    };
    let seconds = window.map(UndoWindow::seconds);
    let sentence = match seconds {
        Some(seconds) => say!(text, "held-undo-on", address = member, seconds = seconds),
        None => say!(text, "held-undo-off", address = member),
    };
    Ok(output.result(&sentence, &json!({ "address": member, "seconds": seconds }))?)
}

async fn sent(
    office: &Office,
    member: &str,
    days: u16,
    text: &Text,
    output: &mut Output<'_>,
) -> Result<(), Failed> {
    let key = office.account(member, text).await?.key;
    let (administration, mut below, mut rows) = (office.administration(), None, Vec::new());
    loop {
        let found = administration.own_letters(&OPERATOR, key, Some(days), below, PAGE).await;
        let (letters, next) = found.map_err(|error| refused(error, text))?;
        rows.extend(letters.iter().map(|letter| sent_row(letter, text)));
        below = next;
        if below.is_none() {
            break;
        }
    }
    let heads = vec![
        say!(text, "own-head-time"),
        say!(text, "held-head-state"),
        say!(text, "own-head-read"),
        say!(text, "held-head-to"),
        say!(text, "held-head-subject"),
        say!(text, "held-head-id"),
    ];
    Ok(output.table(heads, rows, &say!(text, "own-none"))?)
}

fn sent_row(letter: &OwnLetter, text: &Text) -> (Vec<String>, Value) {
    let recipients: Vec<Value> = letter
        .recipients
        .iter()
        .map(|one| {
            json!({
                "address": one.address,
                "state": one.state.name(),
                "since": one.since.map(Timestamp::rfc3339),
                "cause": one.cause,
                "reported_by": one.reporter,
                "next": one.next.map(Timestamp::rfc3339),
                "read": one.read.map(ReadState::name),
            })
        })
        .collect();
    let to: Vec<&str> = letter.recipients.iter().map(|one| one.address.as_str()).collect();
    let cells = vec![
        time(letter.time),
        delivery_state(letter.state, text),
        how_many_read(letter),
        fitting(&to.join(", "), WIDTH),
        fitting(&letter.subject, WIDTH),
        letter.id.to_string(),
    ];
    let document = json!({
        "id": letter.id.to_string(),
        "accepted": letter.time.rfc3339(),
        "goes": letter.goes.map(Timestamp::rfc3339),
        "subject": letter.subject,
        "message_id": letter.message_id,
        "size": letter.size,
        "state": letter.state.name(),
        "recipients": recipients,
    });
    (cells, document)
}

async fn received(
    office: &Office,
    member: &str,
    days: u16,
    text: &Text,
    output: &mut Output<'_>,
) -> Result<(), Failed> {
    let key = office.account(member, text).await?.key;
    let (administration, mut below, mut rows) = (office.administration(), None, Vec::new());
    loop {
        let found = administration.received_letters(&OPERATOR, key, Some(days), below, PAGE).await;
        let (letters, next) = found.map_err(|error| refused(error, text))?;
        rows.extend(letters.iter().map(|letter| received_row(letter, text)));
        below = next;
        if below.is_none() {
            break;
        }
    }
    let heads = vec![
        say!(text, "received-head-time"),
        say!(text, "received-head-at"),
        say!(text, "received-head-from"),
        say!(text, "held-head-subject"),
        say!(text, "held-head-id"),
    ];
    Ok(output.table(heads, rows, &say!(text, "received-none"))?)
}

fn received_row(letter: &ReceivedLetter, text: &Text) -> (Vec<String>, Value) {
    let (at, folder, cause) = match &letter.at {
        PutAt::Folder(folder) => (clean(folder), Some(folder), None),
        PutAt::Quarantine(cause) => (say!(text, "received-quarantined"), None, Some(cause)),
        PutAt::Nowhere(cause) => (say!(text, "received-refused"), None, Some(cause)),
    };
    let cells = vec![
        time(letter.time),
        at,
        fitting(&letter.sender, WIDTH),
        fitting(&letter.subject, WIDTH),
        letter.id.to_string(),
    ];
    let document = json!({
        "id": letter.id.to_string(),
        "accepted": letter.time.rfc3339(),
        "put": letter.put.rfc3339(),
        "sender": letter.sender,
        "address": letter.address,
        "subject": letter.subject,
        "message_id": letter.message_id,
        "size": letter.size,
        "state": letter.at.name(),
        "folder": folder,
        "cause": cause,
        "reasons": letter.reasons,
    });
    (cells, document)
}

/// Of how many recipients who can be told of so many have read it.
fn how_many_read(letter: &OwnLetter) -> String {
    let known =
        letter.recipients.iter().filter_map(|one| one.read).filter(|read| *read != ReadState::Unknown);
    let (mut read, mut all) = (0, 0);
    for state in known {
        all += 1;
        read += usize::from(state == ReadState::Read);
    }
    if all == 0 { "–".to_owned() } else { format!("{read}/{all}") }
}

pub(super) fn delivery_state(state: DeliveryState, text: &Text) -> String {
    match state {
        DeliveryState::Scheduled => say!(text, "state-scheduled"),
        DeliveryState::Processing => say!(text, "state-processing"),
        DeliveryState::Redelivering => say!(text, "state-redelivering"),
        DeliveryState::Delivered => say!(text, "state-delivered"),
        DeliveryState::Reached => say!(text, "state-reached-server"),
        DeliveryState::Refused => say!(text, "state-refused"),
        DeliveryState::Failed => say!(text, "state-failed"),
        DeliveryState::Unknown => say!(text, "state-unknown"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::done;
    use crate::test_office::{self, documents};
    use pennypost_held::{Cause, Held, HeldLetters, State};
    use pennypost_model::event::{
        Accepted, AuthResults, Body, Recipient, Source, SourceKind, Submission, Via,
    };
    use pennypost_model::trace::Submitter;

    /// Feature SND-08 (part): by commands, too; no page yet
    #[tokio::test(flavor = "multi_thread")]
    async fn letters_that_go_later_are_listed_put_off_and_taken_back_by_commands() {
        let it = test_office::office().await;
        let (key, address) = (it.account.key, it.account.address.to_string());
        assert!(
            done(&it, &format!("later list {address}"), false).await.expect("listed")[0]
                .contains("no letter")
        );
        let now = it.office.clock.now();
        let mut ids = Vec::new();
        for _ in 0..2 {
            let id = it.office.ids.event(now);
            let submitter =
                Submitter { account: key, address: address.clone(), protocol: "ESMTPSA".to_owned() };
            let kind = SourceKind::Submission(Box::new(Submission { submitter, bcc: String::new() }));
            let accepted = Accepted {
                id,
                time: now,
                tenant: key.tenant,
                source: Source { kind, ip: None, helo: String::new(), tls: None },
                auth: AuthResults::default(),
                reverse_path: address.clone(),
                recipients: vec![Recipient { account: key, address: address.clone(), via: Via::Direct }],
                body: Body::Spooled { object: format!("{}/spool/{id}", key.tenant), size: 9 },
                receipt: String::new(),
            };
            let wanted = now.plus_millis(3_600_000);
            let held = Held {
                accepted,
                sender: (key, address.clone()),
                subject: "hello".to_owned(),
                cause: Cause::Scheduled,
                zone: String::new(),
                wanted,
                due: wanted,
                waits: None,
                refused: Vec::new(),
                state: State::Waiting,
                user: None,
                is_counted: false,
                is_settled: false,
            };
            HeldLetters::new(it.office.control()).add(&held).await.expect("put down");
            ids.push(id.to_string());
        }
        let listed = documents(&done(&it, &format!("later list {address}"), true).await.expect("listed"));
        assert_eq!((listed.len(), &listed[0]["state"]), (2, &serde_json::json!("scheduled")));
        let (first, second) = (&ids[0], &ids[1]);
        let tomorrow = now.plus_millis(24 * 3_600_000).rfc3339();
        let put_off = format!("later at {address} {first} {} --zone Asia/Tokyo", &tomorrow[..16]);
        assert!(done(&it, &put_off, false).await.expect("put off")[0].ends_with(":00 Asia/Tokyo"));
        assert!(
            done(&it, &format!("later take-back {address} {first}"), false).await.expect("back")[0]
                .contains("Drafts")
        );
        done(&it, &format!("later send {address} {second}"), false).await.expect("goes");
        for (bad, why) in [
            (format!("later send {address} {first}"), "taken back already"),
            (format!("later send {address} x"), "no id"),
            (format!("later at {address} {second} 2020-01-01T08:00"), "30 days"),
            (format!("later at {address} {second} soon"), "30 days"),
            (format!("later undo {address} --seconds 3"), "5 to 120"),
            (format!("later undo {address} --seconds 9 --off"), "--off"),
        ] {
            let refused = done(&it, &bad, false).await.expect_err(&bad);
            assert!(refused.contains(why), "{bad}: {refused}");
        }
        assert!(
            done(&it, &format!("later undo {address}"), false).await.expect("shown")[0].contains("not wait")
        );
        let said = done(&it, &format!("later undo {address} --seconds 20"), true).await.expect("said");
        assert_eq!(documents(&said)[0]["seconds"], 20);
        done(&it, &format!("later undo {address} --off"), false).await.expect("said");
        let sent = documents(&done(&it, &format!("later sent {address}"), true).await.expect("listed"));
        assert_eq!((sent.len(), &sent[0]["state"]), (1, &serde_json::json!("scheduled")));
        let log = done(&it, "log list", false).await.expect("listed").join(" ");
        assert!(log.contains("held.change") && log.contains("undo.change"), "{log}");
    }
}
