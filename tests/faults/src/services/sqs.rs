//! SQS: standard queues with visibility, receive counts, delays, groups and redrive.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use pennypost_backend_aws::queue::body;
use pennypost_model::Timestamp;
use pennypost_model::event::Stage;
use pennypost_runtime_lambda::{SqsEvent, SqsRecord};
use rand::Rng;
use serde_json::{Value as Json, json};
use sha2::{Digest, Sha256};

use super::fields::{Answer, Fields, refused, strange};
use super::{Services, settings};
use crate::source::Source;

/// Limits of the service.
const BATCH: usize = 10;
const LARGEST_BATCH: usize = 1024 * 1024;
const MAX_DELAY: u64 = 900;
const MAX_VISIBILITY: u64 = 12 * 3600;
const MAX_WAIT: u64 = 20;
/// How often a long poll looks.
const LOOK: Duration = Duration::from_millis(50);

const ENDPOINT: &str = "https://sqs.us-east-1.amazonaws.com/123456789012/";

#[derive(Debug, Clone)]
struct Message {
    id: String,
    body: String,
    group: Option<String>,
    sent: Timestamp,
    /// Nobody is handed it before.
    visible: Timestamp,
    received: u32,
    first_received: Option<Timestamp>,
    /// The newest receipt handle, and since when it holds.
    handle: Option<(String, Timestamp)>,
}

#[derive(Default)]
struct Queue {
    messages: BTreeMap<u64, Message>,
    visibility: u64,
    /// The name of the dead-letter queue, and the hand-outs before it.
    redrive: Option<(String, u32)>,
    /// How many of each group were handed out.
    served: BTreeMap<Option<String>, u64>,
}

/// The service.
#[derive(Default)]
pub(super) struct Queues {
    queues: BTreeMap<String, Queue>,
    /// Deleted messages that may come once more.
    deleted: Vec<(String, u64, Message)>,
    next: u64,
    /// Messages that were sent with several events in them.
    shared: u64,
}

impl Message {
    fn in_flight(&self, now: Timestamp) -> bool {
        self.handle.is_some() && self.visible > now
    }
}

/// Whether a handle has ever been given, and for which message.
fn of_handle(handle: &str) -> Option<u64> {
    let (id, rest) = handle.strip_prefix("handle-")?.split_once('-')?;
    rest.parse::<u64>().ok()?;
    id.parse().ok()
}

impl Queues {
    pub(super) fn install(&mut self, name: &str, dead: &str) {
        self.queues.insert(dead.to_owned(), Queue { visibility: 30, ..Queue::default() });
        let redrive = Some((dead.to_owned(), 200));
        self.queues.insert(name.to_owned(), Queue { visibility: 120, redrive, ..Queue::default() });
    }

    fn queue(&mut self, fields: &mut Fields) -> Answer<(String, &mut Queue)> {
        let url = fields.text("QueueUrl")?;
        let Some(name) = url.strip_prefix(ENDPOINT) else { return strange(format!("the URL {url}")) };
        match self.queues.get_mut(name) {
            Some(queue) => Ok((name.to_owned(), queue)),
            None => refused("QueueDoesNotExist"),
        }
    }

    fn answer(&mut self, call: &str, mut fields: Fields, now: Timestamp, source: &Source) -> Answer {
        match call {
            "GetQueueUrl" => {
                let name = fields.text("QueueName")?;
                fields.done()?;
                if !self.queues.contains_key(&name) {
                    return refused("QueueDoesNotExist");
                }
                Ok(json!({ "QueueUrl": format!("{ENDPOINT}{name}") }))
            }
            "CreateQueue" => self.create(fields),
            "GetQueueAttributes" => self.attributes(fields, now),
            "SendMessageBatch" => self.send(fields, now, source),
            "DeleteMessageBatch" => self.delete(fields, source),
            "ChangeMessageVisibility" => self.change_visibility(fields, now),
            other => strange(format!("the call {other}")),
        }
    }

    fn create(&mut self, mut fields: Fields) -> Answer {
        let name = fields.text("QueueName")?;
        let mut attributes = fields.object("Attributes")?;
        fields.done()?;
        let mut queue = Queue { visibility: 30, ..Queue::default() };
        attributes.must_be("MessageRetentionPeriod", "1209600")?;
        if let Some(Json::String(seconds)) = attributes.take("VisibilityTimeout") {
            let Ok(seconds) = seconds.parse() else { return refused("InvalidAttributeValue") };
            queue.visibility = seconds;
        }
        if let Some(Json::String(policy)) = attributes.take("RedrivePolicy") {
            let mut policy = Fields::read(policy.as_bytes())?;
            let arn = policy.text("deadLetterTargetArn")?;
            let max = policy.text("maxReceiveCount")?.parse().ok();
            policy.done()?;
            let dead = arn.rsplit(':').next().filter(|dead| self.queues.contains_key(*dead));
            let (Some(dead), Some(max)) = (dead, max) else { return refused("InvalidParameterValue") };
            queue.redrive = Some((dead.to_owned(), max));
        }
        attributes.done()?;
        let url = format!("{ENDPOINT}{name}");
        self.queues.entry(name).or_insert(queue);
        Ok(json!({ "QueueUrl": url }))
    }

    fn attributes(&mut self, mut fields: Fields, now: Timestamp) -> Answer {
        let wanted = fields.list("AttributeNames")?;
        let (name, queue) = self.queue(&mut fields)?;
        fields.done()?;
        let count = |which: &dyn Fn(&Message) -> bool| queue.messages.values().filter(|m| which(m)).count();
        let mut attributes = json!({});
        for attribute in wanted {
            let Some(attribute) = attribute.as_str() else { return strange("an attribute that is no text") };
            let value = match attribute {
                "QueueArn" => format!("arn:aws:sqs:us-east-1:123456789012:{name}"),
                "ApproximateNumberOfMessages" => count(&|m| m.visible <= now).to_string(),
                "ApproximateNumberOfMessagesNotVisible" => count(&|m| m.in_flight(now)).to_string(),
                "ApproximateNumberOfMessagesDelayed" => {
                    count(&|m| m.visible > now && m.handle.is_none()).to_string()
                }
                other => return strange(format!("the attribute {other}")),
            };
            attributes[attribute] = json!(value);
        }
        Ok(json!({ "Attributes": attributes }))
    }

    fn send(&mut self, mut fields: Fields, now: Timestamp, source: &Source) -> Answer {
        let mut messages = Vec::new();
        let (mut ids, mut bytes) = (BTreeSet::new(), 0);
        for entry in fields.list("Entries")? {
            let mut entry = Fields::of(entry)?;
            let (id, body) = (entry.text("Id")?, entry.text("MessageBody")?);
            let delay = entry.number("DelaySeconds")?.unwrap_or(0);
            let group = match entry.take("MessageGroupId") {
                None => None,
                Some(Json::String(group)) if (1..=128).contains(&group.len()) => Some(group),
                Some(other) => return strange(format!("the group {other}")),
            };
            entry.done()?;
            let allowed = |c: char| matches!(c, '\t' | '\n' | '\r' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..);
            if body.is_empty() || !body.chars().all(allowed) || delay > MAX_DELAY {
                return strange("an entry that the service refuses");
            }
            bytes += body.len();
            if !ids.insert(id.clone()) {
                return refused("BatchEntryIdsNotDistinct");
            }
            messages.push((id, body, group, delay));
        }
        let (mut next, mut shared) = (self.next, self.shared);
        let (_, queue) = self.queue(&mut fields)?;
        fields.done()?;
        if messages.is_empty() || messages.len() > BATCH || bytes > LARGEST_BATCH {
            return strange("a batch that the service refuses");
        }
        let (mut taken, mut failed) = (Vec::new(), Vec::new());
        for (entry, body, group, delay) in messages {
            if source.chance(20) {
                failed.push(json!({ "Id": entry, "Code": "InternalError", "SenderFault": false }));
                // Failed, as far as anybody was told.
                if source.chance(500) {
                    continue;
                }
            } else {
                taken.push(json!({ "Id": entry, "MessageId": message_id(next + 1), "MD5OfMessageBody": "" }));
            }
            next += 1;
            shared += u64::from(body::events(&body).len() > 1);
            let visible = now.plus_millis(1000 * delay as i64);
            let id = message_id(next);
            let message = Message {
                id,
                body,
                group,
                sent: now,
                visible,
                received: 0,
                first_received: None,
                handle: None,
            };
            queue.messages.insert(next, message);
        }
        (self.next, self.shared) = (next, shared);
        Ok(json!({ "Successful": taken, "Failed": failed }))
    }

    fn delete(&mut self, mut fields: Fields, source: &Source) -> Answer {
        let mut entries = Vec::new();
        for entry in fields.list("Entries")? {
            let mut entry = Fields::of(entry)?;
            entries.push((entry.text("Id")?, entry.text("ReceiptHandle")?));
            entry.done()?;
        }
        let name = self.queue(&mut fields)?.0;
        fields.done()?;
        let distinct: BTreeSet<&String> = entries.iter().map(|(id, _)| id).collect();
        if entries.is_empty() || entries.len() > BATCH || distinct.len() < entries.len() {
            return strange("a batch that the service refuses");
        }
        let (mut done, mut failed, mut gone) = (Vec::new(), Vec::new(), Vec::new());
        for (entry, handle) in entries {
            let Some(number) = of_handle(&handle) else {
                failed.push(json!({ "Id": entry, "Code": "ReceiptHandleIsInvalid", "SenderFault": true }));
                continue;
            };
            if source.chance(20) {
                failed.push(json!({ "Id": entry, "Code": "InternalError", "SenderFault": false }));
                continue;
            }
            done.push(json!({ "Id": entry }));
            gone.push((number, handle));
        }
        for (number, handle) in gone {
            self.remove(&name, number, &handle);
        }
        Ok(json!({ "Successful": done, "Failed": failed }))
    }

    /// Deletes a message. An older handle is taken as well, and need not delete.
    fn remove(&mut self, name: &str, number: u64, handle: &str) {
        let Some(queue) = self.queues.get_mut(name) else { return };
        let newest = queue.messages.get(&number).and_then(|message| message.handle.as_ref());
        if newest.is_some_and(|(newest, _)| newest == handle)
            && let Some(message) = queue.messages.remove(&number)
        {
            self.deleted.push((name.to_owned(), number, message));
        }
    }

    fn change_visibility(&mut self, mut fields: Fields, now: Timestamp) -> Answer {
        let handle = fields.text("ReceiptHandle")?;
        let Some(seconds) = fields.number("VisibilityTimeout")? else {
            return strange("no VisibilityTimeout");
        };
        let (_, queue) = self.queue(&mut fields)?;
        fields.done()?;
        let Some(number) = of_handle(&handle) else { return refused("ReceiptHandleIsInvalid") };
        let Some(message) = queue.messages.get_mut(&number) else { return refused("InvalidParameterValue") };
        if !message.in_flight(now) {
            return refused("MessageNotInflight");
        }
        if message.handle.as_ref().is_none_or(|(newest, _)| *newest != handle) {
            return refused("InvalidParameterValue");
        }
        let until = now.plus_millis(1000 * seconds as i64);
        let from = message.handle.as_ref().map_or(now, |(_, from)| *from);
        if seconds > MAX_VISIBILITY || until > from.plus_millis(1000 * MAX_VISIBILITY as i64) {
            return refused("InvalidParameterValue");
        }
        message.visible = until;
        Ok(json!({}))
    }

    /// What can be handed out now, and is.
    fn receive(
        &mut self,
        name: &str,
        max: usize,
        visibility: Option<u64>,
        now: Timestamp,
        source: &Source,
    ) -> Answer<Vec<Json>> {
        if source.chance(100) {
            // Deleted, and there again.
            if let Some(at) = self.deleted.iter().position(|(queue, ..)| queue == name)
                && let Some(queue) = self.queues.get_mut(name)
            {
                let (_, number, message) = self.deleted.swap_remove(at);
                queue.messages.insert(number, Message { visible: now, ..message });
            }
        }
        let Some(queue) = self.queues.get_mut(name) else { return refused("QueueDoesNotExist") };
        let visibility = visibility.unwrap_or(queue.visibility);
        let (mut out, mut buried) = (Vec::new(), Vec::new());
        // A short poll asks some of the machines only.
        let machines = if source.chance(100) { 2 } else { 1 };
        while out.len() < max {
            let twice = source.chance(20);
            let candidates = queue.messages.iter().filter(|(number, message)| {
                (message.visible <= now || twice && message.in_flight(now))
                    && (machines == 1 || *number % 2 == 0)
            });
            // Fair: the group that was served least goes first, and within it any order will do.
            let served = |message: &Message| queue.served.get(&message.group).copied().unwrap_or(0);
            let Some(least) = candidates.clone().map(|(_, message)| served(message)).min() else { break };
            let first: Vec<u64> = candidates
                .filter(|(_, message)| served(message) == least)
                .map(|(number, _)| *number)
                .collect();
            let number = if source.chance(500) {
                first[source.random(|random| random.random_range(0..first.len()))]
            } else {
                first[0]
            };
            let Some(message) = queue.messages.get_mut(&number) else { break };
            if let Some((dead, most)) = &queue.redrive
                && message.received >= *most
            {
                buried.push((dead.clone(), number));
                message.visible = Timestamp(i64::MAX);
                continue;
            }
            message.received += 1;
            message.first_received.get_or_insert(now);
            let handle = format!("handle-{number}-{}", message.received);
            message.visible = now.plus_millis(1000 * visibility as i64);
            message.handle = Some((handle.clone(), now));
            *queue.served.entry(message.group.clone()).or_default() += 1;
            let mut attributes = json!({
                "ApproximateReceiveCount": message.received.to_string(),
                "SentTimestamp": message.sent.0.to_string(),
            });
            if let Some(group) = &message.group {
                attributes["MessageGroupId"] = json!(group);
            }
            out.push(json!({
                "MessageId": message.id,
                "ReceiptHandle": handle,
                "Body": message.body,
                "MD5OfBody": "",
                "Attributes": attributes,
            }));
        }
        for (dead, number) in buried {
            let message = self.queues.get_mut(name).and_then(|queue| queue.messages.remove(&number));
            if let (Some(message), Some(dead)) = (message, self.queues.get_mut(&dead)) {
                dead.messages.insert(number, Message { visible: now, handle: None, ..message });
            }
        }
        Ok(out)
    }
}

/// A message that was handed out, as a function is handed it.
fn record(handed: &Json) -> SqsRecord {
    let text = |value: &Json| value.as_str().unwrap_or_default().to_owned();
    let attributes = handed["Attributes"].as_object().into_iter().flatten();
    SqsRecord {
        message_id: text(&handed["MessageId"]),
        receipt_handle: text(&handed["ReceiptHandle"]),
        body: text(&handed["Body"]),
        attributes: attributes.map(|(name, value)| (name.clone(), text(value))).collect(),
        ..SqsRecord::default()
    }
}

/// As random as the service's, and the same in every run of a seed.
fn message_id(number: u64) -> String {
    let digest = Sha256::digest(number.to_le_bytes());
    let hex: String = digest[..16].iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

impl Services {
    /// What the service invokes the function of a queue with: some of its messages, at most ten. None if there are none.
    #[must_use]
    pub fn batch(&self, stage: Stage, max: usize) -> Option<SqsEvent> {
        let name = settings().queue_name(stage);
        let now = self.hours.now();
        let handed = self.queues.lock().receive(&name, max.min(BATCH), None, now, &self.source);
        let records: Vec<SqsRecord> = handed.ok()?.iter().map(record).collect();
        (!records.is_empty()).then_some(SqsEvent { records })
    }

    /// How many messages were sent with several events in them.
    #[must_use]
    pub fn shared(&self) -> u64 {
        self.queues.lock().shared
    }

    /// The service deletes what a function has done.
    pub fn delete(&self, stage: Stage, record: &SqsRecord) {
        if let Some(number) = of_handle(&record.receipt_handle)
            && !self.source.chance(20)
        {
            let name = settings().queue_name(stage);
            self.queues.lock().remove(&name, number, &record.receipt_handle);
        }
    }

    pub(super) async fn sqs(&self, call: &str, body: &[u8]) -> Answer {
        let mut fields = Fields::read(body)?;
        if call != "ReceiveMessage" {
            return self.queues.lock().answer(call, fields, self.hours.now(), &self.source);
        }
        let max = fields.number("MaxNumberOfMessages")?.unwrap_or(1);
        let visibility = fields.number("VisibilityTimeout")?;
        let wait = fields.number("WaitTimeSeconds")?.unwrap_or(0);
        let mut attributes: Vec<Json> = fields.list("MessageSystemAttributeNames")?;
        attributes.sort_by_key(Json::to_string);
        let name = self.queues.lock().queue(&mut fields)?.0;
        fields.done()?;
        let known = json!(["ApproximateReceiveCount", "MessageGroupId", "SentTimestamp"]);
        if Json::Array(attributes) != known {
            return strange("other attributes of messages");
        }
        if !(1..=BATCH as u64).contains(&max) || visibility > Some(MAX_VISIBILITY) || wait > MAX_WAIT {
            return refused("InvalidParameterValue");
        }
        let until = self.hours.now().plus_millis(1000 * wait as i64);
        loop {
            let now = self.hours.now();
            let out = self.queues.lock().receive(&name, max as usize, visibility, now, &self.source)?;
            if !out.is_empty() || now >= until {
                return Ok(if out.is_empty() { json!({}) } else { json!({ "Messages": out }) });
            }
            tokio::time::sleep(LOOK).await;
        }
    }
}
