//! What came of an attempt: what stands in the item then, when it is tried again, and whether its sender is told.

use pennypost_model::event;
use pennypost_model::message::cut;
use pennypost_model::trace::{Attempt, RemoteOutcome, RemoteRecipient};
use pennypost_outbound::{Outbound, retry_after};

use crate::SendRemote;
use crate::exchange::{Handed, Verdict};
use crate::worker::millis;

/// Bytes of what is said of a recipient: an item has room for all of it.
const MAX_SAID: usize = 500;
/// Of a message that may have arrived twice.
const TWICE: &str = "the server may have the message: it was sent twice, and its taking was never confirmed";

impl SendRemote {
    /// Puts what came of an attempt into the item.
    pub(crate) fn conclude(&self, item: &mut Outbound, handed: Handed, verdicts: Vec<Verdict>) {
        let now = self.0.ports.clock.now();
        let patience = self.0.settings.patience;
        let until = item.accepted.plus_millis(millis(patience.give_up));
        let mut recipients = Vec::with_capacity(verdicts.len());
        let mut relayed = Vec::new();
        let places = item.places();
        for place in handed.unconfirmed.iter().filter_map(|index| places.get(*index)) {
            item.doubt(*place);
        }
        for (index, (place, (mut outcome, mut answer))) in places.into_iter().zip(verdicts).enumerate() {
            let is_doubtful = item.is_doubtful(place);
            let Some(addressee) = item.recipients.get_mut(place) else { continue };
            if outcome == RemoteOutcome::Sent && handed.relayed.contains(&index) {
                relayed.push(addressee.address.clone());
            }
            answer.text.truncate(cut(&answer.text, MAX_SAID).len());
            if answer.code.is_some() {
                let host = handed.host.split(' ').next().unwrap_or_default();
                addressee.said = Some((host.to_owned(), answer.clone()));
            }
            if outcome == RemoteOutcome::Deferred && is_doubtful {
                outcome = RemoteOutcome::Failed;
                let (destination, address) = (&item.destination, &addressee.address);
                tracing::warn!(tenant = %item.tenant, message = %item.message, destination, address, "{TWICE}");
                answer.text = format!("{TWICE}; the last time: {} {}", answer.status, answer.text);
                answer.text.truncate(cut(&answer.text, MAX_SAID).len());
                answer.status = pennypost_reports::UNCONFIRMED.to_owned();
            } else if outcome == RemoteOutcome::Deferred && now >= until {
                outcome = RemoteOutcome::Failed;
                let days = patience.give_up.as_secs_f64() / 86_400.0;
                answer.text = format!(
                    "given up after {days:.1} days; the last answer was {} {}",
                    answer.status, answer.text
                );
                answer.text.truncate(cut(&answer.text, MAX_SAID).len());
                answer.status = pennypost_reports::EXPIRED.to_owned();
            }
            (addressee.outcome, addressee.answer) = (outcome, answer.clone());
            recipients.push(RemoteRecipient { address: addressee.address.clone(), outcome, answer });
        }
        let is_over = item.is_over();
        item.claimed = false;
        item.ended = item.ended.saturating_add(1);
        item.next = if is_over {
            now
        } else {
            now.plus_millis(millis(self.hurried(retry_after(item.attempts, fastrand::f64())))).min(until)
        };
        if let Some(asked) = &mut item.asked {
            asked.relayed = relayed;
            asked.relayed.retain(|address| asked.wishes.notify(address).success);
        }
        let is_told_of = |told: RemoteOutcome, wanted: fn(event::Notify) -> bool| {
            recipients
                .iter()
                .any(|one: &RemoteRecipient| one.outcome == told && wanted(item.notify(&one.address)))
        };
        let has_failed = is_told_of(RemoteOutcome::Failed, |notify| notify.failure)
            || item.asked.as_ref().is_some_and(|asked| !asked.relayed.is_empty());
        // One report says one thing: what takes long is told after the next attempt then.
        let is_long = now >= item.accepted.plus_millis(millis(patience.tell));
        let takes_long = is_long
            && !is_over
            && !has_failed
            && !item.delay_told
            && is_told_of(RemoteOutcome::Deferred, |notify| notify.delay);
        // Nobody is told of what nobody sent (RFC 5321 section 4.5.5). Whoever forwards is told what has failed, and did not send it
        // now: that it takes long is nothing to him.
        let is_told = match item.is_forwarded() {
            true => has_failed,
            false => (takes_long || has_failed) && !item.reverse_path.is_empty() && !item.is_of_group(),
        };
        item.delay_told |= takes_long;
        let attempt = Attempt {
            destination: item.destination.clone(),
            number: item.attempts,
            host: handed.host,
            tls: handed.tls,
            recipients,
            next: (!is_over).then_some(item.next),
            reported: is_told.then(|| self.0.ports.ids.event(now)),
        };
        item.demand = handed.demand.map(|mut demand| {
            if let Some(failure) = &mut demand.failure {
                failure.truncate(cut(failure, MAX_SAID).len());
            }
            demand
        });
        item.last = Some((now, attempt));
    }
}
