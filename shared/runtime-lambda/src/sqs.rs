//! What the service invokes a queue's function with, and what it wants to hear: only the fields that matter here.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

/// A batch.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SqsEvent {
    /// The messages.
    #[serde(rename = "Records")]
    pub records: Vec<SqsRecord>,
}

/// A message. Whatever may be missing is empty then.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct SqsRecord {
    /// Its id, the same at each hand-out.
    pub message_id: String,
    /// Names this hand-out.
    pub receipt_handle: String,
    /// The event as text.
    pub body: String,
    /// `ApproximateReceiveCount`, `SentTimestamp`, `MessageGroupId`, …
    pub attributes: HashMap<String, String>,
    /// `aws:sqs`.
    pub event_source: String,
    /// The queue.
    #[serde(rename = "eventSourceARN")]
    pub event_source_arn: String,
    /// Its region.
    pub aws_region: String,
}

impl SqsRecord {
    pub(crate) fn number<N: std::str::FromStr>(&self, attribute: &str) -> Option<N> {
        self.attributes.get(attribute)?.parse().ok()
    }
}

/// The answer: what must come again. The service deletes the others.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BatchResponse {
    /// One for each message that is not done.
    pub batch_item_failures: Vec<ItemFailure>,
}

/// A message that is not done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ItemFailure {
    /// Its `messageId`.
    pub item_identifier: String,
}
