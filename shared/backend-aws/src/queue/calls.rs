//! Calls of SQS that take messages out, for the stages' queues and the adapters' own.

use std::time::Duration;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::{DeleteMessageBatchRequestEntry, Message, MessageSystemAttributeName};
use pennypost_meter::{MILLI, Unit, count};
use pennypost_model::Timestamp;
use pennypost_ports::{PortError, PortResult};

use super::{LONG_POLL, PORT, Record, requests, retry, seconds, sending};
use crate::clients::timeouts;
use crate::failure::failure;

/// Messages in one answer.
pub(crate) const AT_ONCE: usize = 10;

/// One call: what the queue `name` at `url` hands out, at most [`AT_ONCE`].
pub(crate) async fn receive(
    client: &Client,
    name: &str,
    url: &str,
    max: usize,
    visibility: Duration,
    wait: Duration,
) -> PortResult<Vec<Record>> {
    use MessageSystemAttributeName as Attribute;
    let patience = timeouts(1024 * 1024).to_builder().operation_attempt_timeout(wait + LONG_POLL / 2);
    let patience = patience.operation_timeout(wait * 2 + LONG_POLL * 2).build();
    let call = client
        .receive_message()
        .queue_url(url)
        .max_number_of_messages(max.min(AT_ONCE) as i32)
        .visibility_timeout(seconds(visibility))
        .wait_time_seconds(seconds(wait))
        .message_system_attribute_names(Attribute::ApproximateReceiveCount)
        .message_system_attribute_names(Attribute::SentTimestamp)
        .message_system_attribute_names(Attribute::MessageGroupId)
        .customize()
        .config_override(aws_sdk_sqs::config::Builder::new().timeout_config(patience));
    let answer = call.send().await.map_err(|error| failure(PORT, name, &error));
    let messages = answer.map(|answer| answer.messages.unwrap_or_default());
    let bytes = |messages: &Vec<Message>| {
        messages.iter().map(|message| message.body().unwrap_or_default().len()).sum()
    };
    count(Unit::QueueRequest, requests(messages.as_ref().map(bytes).unwrap_or(0)) * MILLI);
    Ok(messages?.into_iter().filter_map(record).collect())
}

/// Deletes messages by their handles. Those that failed for good have gone or come again by themselves.
pub(crate) async fn delete(client: &Client, name: &str, url: &str, handles: &[&str]) -> PortResult<()> {
    for handles in handles.chunks(sending::BATCH) {
        let mut open: Vec<usize> = (0..handles.len()).collect();
        let mut calls = 0;
        while !open.is_empty() {
            if calls > 0 {
                tokio::time::sleep(retry::pause(calls)).await;
            }
            let mut call = client.delete_message_batch().queue_url(url);
            for at in &open {
                let entry = DeleteMessageBatchRequestEntry::builder()
                    .id(at.to_string())
                    .receipt_handle(handles[*at])
                    .build()
                    .map_err(|error| PortError::Refused { port: PORT, cause: error.to_string() })?;
                call = call.entries(entry);
            }
            let answer = call.send().await;
            count(Unit::QueueRequest, MILLI);
            calls += 1;
            let answer = answer.map_err(|error| failure(PORT, name, &error))?;
            let passing = answer.failed().iter().filter(|entry| retry::is_passing(entry));
            if let Some(entry) = passing.clone().next()
                && calls >= retry::CALLS
            {
                return Err(retry::of_entry(name, entry));
            }
            open = passing.filter_map(|entry| entry.id().parse().ok()).collect();
        }
    }
    Ok(())
}

/// What matters of a message. `None` if it can neither be read nor deleted.
fn record(message: Message) -> Option<Record> {
    let mut attributes = message.attributes.unwrap_or_default();
    let mut attribute = |name| attributes.remove(&name);
    let tries = attribute(MessageSystemAttributeName::ApproximateReceiveCount);
    let sent = attribute(MessageSystemAttributeName::SentTimestamp);
    Some(Record {
        message: message.message_id?,
        handle: message.receipt_handle?,
        text: message.body.unwrap_or_default(),
        tries: tries.and_then(|tries| tries.parse().ok()).unwrap_or(1),
        sent: Timestamp(sent.and_then(|sent| sent.parse().ok()).unwrap_or_default()),
        group: attribute(MessageSystemAttributeName::MessageGroupId),
    })
}
