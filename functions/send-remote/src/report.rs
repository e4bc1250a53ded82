//! What a sender is told of an attempt: that recipients do not get the message, that it takes long, or that a server has it which
//! tells nothing of what becomes of it.

use pennypost_model::Timestamp;
use pennypost_model::trace::{Attempt, RemoteAnswer, RemoteOutcome, RemoteRecipient};
use pennypost_outbound::Outbound;
use pennypost_reports::{About, Action, EXPIRED, Report, Told};

/// The report about an attempt. `letter` is the message, if its bytes are still there.
pub(crate) fn report(
    item: &Outbound,
    (time, attempt): (Timestamp, &Attempt),
    hostname: &str,
    until: Timestamp,
    letter: Option<&[u8]>,
) -> Vec<u8> {
    let action = |one: &RemoteRecipient| {
        let notify = item.notify(&one.address);
        let is_relayed = || item.asked.as_ref().is_some_and(|asked| asked.relayed.contains(&one.address));
        match one.outcome {
            RemoteOutcome::Failed => notify.failure.then_some(Action::Failed),
            RemoteOutcome::Deferred => notify.delay.then_some(Action::Delayed),
            RemoteOutcome::Sent => is_relayed().then_some(Action::Relayed),
        }
    };
    let told: Vec<(&RemoteRecipient, Action)> =
        attempt.recipients.iter().filter_map(|one| Some((one, action(one)?))).collect();
    let has = |wanted: Action| told.iter().any(|(_, action)| *action == wanted);
    let about = match (has(Action::Failed), has(Action::Relayed)) {
        (true, _) if item.is_forwarded() => About::Forward,
        (true, _) => About::Failure,
        (false, true) => About::Success,
        (false, false) => About::Delay { until },
    };
    // What takes long is told by itself.
    let is_delay = matches!(about, About::Delay { .. });
    let told = told.into_iter().filter(|(_, action)| (*action == Action::Delayed) == is_delay);
    let wishes = item.asked.as_ref().map(|asked| &asked.wishes);
    let report = Report {
        id: attempt.reported.unwrap_or(item.message),
        time,
        hostname,
        to: &item.sender.1,
        arrived: item.accepted,
        envelope_id: wishes.and_then(|wishes| wishes.envelope_id.as_deref()),
        about,
        told: told.map(|(one, action)| tell(item, one, action, time)).collect(),
        letter,
        is_whole: about == About::Failure
            && !item.is_private
            && wishes.is_some_and(|wishes| wishes.full == Some(true)),
    };
    report.message()
}

fn tell(item: &Outbound, recipient: &RemoteRecipient, action: Action, time: Timestamp) -> Told {
    let RemoteRecipient { address, answer, .. } = recipient;
    // A server's words, and none of ours; of what is given up those that it said last.
    let of_server = answer.code.is_some() || answer.status == EXPIRED;
    let said = item.recipients.iter().find(|one| one.address == *address && of_server);
    let said = said.and_then(|one| one.said.as_ref());
    let cause = format!("{} {}", answer.status, answer.text);
    let wishes = item.asked.as_ref().map(|asked| &asked.wishes);
    Told {
        address: address.clone(),
        original: wishes.and_then(|wishes| wishes.of(address)?.original.clone()),
        action,
        // The message is on a way that tells nothing (RFC 3463 section 3.7).
        status: if action == Action::Relayed { "2.6.0".to_owned() } else { answer.status.clone() },
        cause: [cause.clone(), cause],
        server: said.and_then(|(host, RemoteAnswer { code, status, text })| {
            Some((host.clone(), format!("{} {status} {text}", (*code)?)))
        }),
        tried: Some(time),
    }
}
