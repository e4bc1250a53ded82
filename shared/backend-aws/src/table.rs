//! A table of DynamoDB as one port sees it: whose errors its failures are, and where its units are counted.

use std::collections::HashMap;
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::{
    AttributeValue, ConsumedCapacity, DeleteRequest, ReturnConsumedCapacity, WriteRequest,
};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use pennypost_meter::{MILLI, Unit, count};
use pennypost_ports::{PortError, PortResult};

use crate::failure::failure;
use crate::units::{consumed, item_bytes, write_units};

/// Attributes of an item by their names.
pub(crate) type Attributes = HashMap<String, AttributeValue>;

/// Items that the service writes in one call.
pub(crate) const BATCH: usize = 25;
/// How often what the service left out of a batch is sent again.
const ROUNDS: u32 = 10;

/// The most items that are asked for in one page: the service ends it at 1 MB anyway.
const LARGEST_PAGE: usize = 10_000;

/// A table.
#[derive(Debug, Clone)]
pub(crate) struct Table {
    pub(crate) client: Client,
    pub(crate) name: String,
    pub(crate) port: &'static str,
    pub(crate) reads: Unit,
    pub(crate) writes: Unit,
}

impl Table {
    /// The port's error for a call that failed.
    pub(crate) fn failed<E: ProvideErrorMetadata>(&self, error: &SdkError<E, HttpResponse>) -> PortError {
        failure(self.port, &format!("table {}", self.name), error)
    }

    /// Something in the table is not what was written.
    pub(crate) fn damaged(&self, cause: impl Into<String>) -> PortError {
        PortError::Damaged { port: self.port, cause: cause.into() }
    }

    /// The port does not do that.
    pub(crate) fn refused(&self, cause: impl Into<String>) -> PortError {
        PortError::Refused { port: self.port, cause: cause.into() }
    }

    pub(crate) fn count_read(&self, capacity: Option<&ConsumedCapacity>) {
        count(self.reads, consumed(capacity));
    }

    pub(crate) fn count_write(&self, capacity: Option<&ConsumedCapacity>) {
        count(self.writes, consumed(capacity));
    }

    /// A write whose condition did not hold is billed as the larger of the two items; the service does not say it.
    pub(crate) fn count_lost(&self, wanted: usize, there: Option<&Attributes>) {
        let bytes = wanted.max(there.map_or(0, item_bytes));
        count(self.writes, write_units(bytes) * MILLI);
    }

    /// Writes a batch of [`BATCH`] items at most, and again what the service left out of it.
    pub(crate) async fn write_batch(&self, mut batch: Vec<WriteRequest>) -> PortResult<()> {
        for round in 1..=ROUNDS {
            let output = self
                .client
                .batch_write_item()
                .request_items(&self.name, batch)
                .return_consumed_capacity(ReturnConsumedCapacity::Total)
                .send()
                .await
                .map_err(|error| self.failed(&error))?;
            output.consumed_capacity().iter().for_each(|used| self.count_write(Some(used)));
            batch = output.unprocessed_items.unwrap_or_default().into_values().flatten().collect();
            if batch.is_empty() {
                return Ok(());
            }
            tokio::time::sleep(pause(round)).await;
        }
        let cause = format!("table {} did not take all of a batch", self.name);
        Err(PortError::Unavailable { port: self.port, cause })
    }

    /// Deletes the items of these keys, a batch after the other, in their order.
    pub(crate) async fn delete_all(&self, keys: &[Attributes]) -> PortResult<()> {
        for some in keys.chunks(BATCH) {
            let request = |key: &Attributes| -> PortResult<WriteRequest> {
                let delete = DeleteRequest::builder().set_key(Some(key.clone())).build();
                let delete = delete.map_err(|_| self.refused("an item without a key can't be deleted"))?;
                Ok(WriteRequest::builder().delete_request(delete).build())
            };
            self.write_batch(some.iter().map(request).collect::<PortResult<_>>()?).await?;
        }
        Ok(())
    }

    /// The bytes of an attribute.
    pub(crate) fn bytes<'a>(
        &self,
        item: &'a Attributes,
        name: &str,
        what: impl Fn() -> String,
    ) -> PortResult<&'a [u8]> {
        match item.get(name) {
            Some(AttributeValue::B(bytes)) => Ok(bytes.as_ref()),
            _ => Err(self.damaged(format!("{} has no bytes under {name}", what()))),
        }
    }

    /// The number in an attribute.
    pub(crate) fn number(&self, item: &Attributes, name: &str, what: impl Fn() -> String) -> PortResult<u64> {
        let number = match item.get(name) {
            Some(AttributeValue::N(digits)) => digits.parse().ok(),
            _ => None,
        };
        number.ok_or_else(|| self.damaged(format!("{} has no number under {name}", what())))
    }
}

/// A number as the service takes it.
pub(crate) fn number(value: u64) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

/// Bytes as the service takes them.
pub(crate) fn binary(bytes: impl Into<Vec<u8>>) -> AttributeValue {
    AttributeValue::B(Blob::new(bytes))
}

/// The limit of a page when so many items are still wanted.
pub(crate) fn page(wanted: usize) -> i32 {
    i32::try_from(wanted.clamp(1, LARGEST_PAGE)).unwrap_or(i32::MAX)
}

/// How long to wait before trying the `attempt`th time what was left of a batch: a random part of a time that doubles.
pub(crate) fn pause(attempt: u32) -> Duration {
    let longest = 50_u64 << attempt.min(6);
    // As the SDK draws its own pauses: tests repeat both from one seed.
    Duration::from_millis(fastrand::u64(0..=longest))
}
