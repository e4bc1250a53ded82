//! The control table: an item for each key, with its version.
//!
//! ```text
//! P  partition    K  sort key    N  version    V  sealed value    W  8 random bytes of the write
//! ```
//!
//! A write that the SDK repeats because its first answer was lost finds its own item: `W` tells it from another's.

use async_trait::async_trait;
use aws_sdk_dynamodb::operation::delete_item::DeleteItemError;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{
    AttributeValue, ReturnConsumedCapacity, ReturnValue, ReturnValuesOnConditionCheckFailure,
};
use pennypost_ports::{Consistency, Control, ControlKey, Expected, Item, PortError, PortResult, Put};

use crate::doubt::Doubt;
use crate::schema::CONTROL;
use crate::seal::{seal, unseal_value};
use crate::table::{Attributes, Table, binary, number, page};

pub(crate) const PORT: &str = "control";
const MAX_KEY_HALF: usize = 512;
const MAX_VALUE: usize = 350 * 1024;
const PARTITION: &str = CONTROL.partition.name;
const SORT: &str = CONTROL.sort.name;
const VERSION: &str = "N";
const VALUE: &str = "V";
const WRITE: &str = "W";
/// Bytes of names, version and mark of the write.
pub(crate) const AROUND: usize = 5 + 4 + 8;

/// [`Control`] on DynamoDB.
pub(crate) struct AwsControl {
    pub(crate) table: Table,
}

impl AwsControl {
    fn check(&self, half: &str, name: &str) -> PortResult<()> {
        match half.len() {
            0 => Err(self.table.refused(format!("a {name} of no bytes is too short"))),
            len if len > MAX_KEY_HALF => {
                Err(self.table.refused(format!("a {name} of {len} bytes is too long")))
            }
            _ => Ok(()),
        }
    }

    fn check_key(&self, key: &ControlKey) -> PortResult<()> {
        self.check(&key.partition, "partition")?;
        self.check(&key.sort, "sort key")
    }

    fn item(&self, partition: &str, sort: &str, attributes: &Attributes) -> PortResult<Item> {
        let what = || format!("item {partition:?} {sort:?}");
        let value = unseal_value(PORT, self.table.bytes(attributes, VALUE, what)?, what)?;
        Ok(Item { value, version: self.table.number(attributes, VERSION, what)? })
    }

    /// Writes version `version` under a condition on what is there.
    async fn put(
        &self,
        key: &ControlKey,
        sealed: Vec<u8>,
        version: u64,
        expected: Option<u64>,
    ) -> PortResult<Put> {
        let mark: [u8; 8] = rand::random();
        let bytes = key.partition.len() + key.sort.len() + AROUND + sealed.len();
        let attempt = self
            .table
            .client
            .put_item()
            .table_name(&self.table.name)
            .item(PARTITION, AttributeValue::S(key.partition.clone()))
            .item(SORT, AttributeValue::S(key.sort.clone()))
            .item(VERSION, number(version))
            .item(VALUE, binary(sealed))
            .item(WRITE, binary(mark))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .return_consumed_capacity(ReturnConsumedCapacity::Total);
        let doubt = Doubt::default();
        let attempt = match expected {
            None => attempt
                .condition_expression("attribute_not_exists(#k)")
                .expression_attribute_names("#k", SORT),
            Some(expected) => attempt
                .condition_expression("#n = :n")
                .expression_attribute_names("#n", VERSION)
                .expression_attribute_values(":n", number(expected)),
        };
        let error = match attempt.customize().interceptor(doubt.clone()).send().await {
            Ok(output) => {
                self.table.count_write(output.consumed_capacity());
                return Ok(Put::Stored(version));
            }
            Err(error) => error,
        };
        let Some(PutItemError::ConditionalCheckFailedException(lost)) = error.as_service_error() else {
            return Err(self.table.failed(&error));
        };
        let there = lost.item();
        self.table.count_lost(bytes, there);
        let there = there.map(|there| self.written(key, there)).transpose()?;
        match decide(
            version,
            &mark,
            doubt.is_there(),
            there.as_ref().map(|(item, mark)| (item.version, &mark[..])),
        ) {
            Decided::Stored => Ok(Put::Stored(version)),
            Decided::Conflict => Ok(Put::Conflict(there.map(|(item, _)| item))),
            Decided::Unknown => Err(unknown("whether an item was written")),
        }
    }

    /// An item and the mark of the write that it comes from.
    fn written(&self, key: &ControlKey, attributes: &Attributes) -> PortResult<(Item, Vec<u8>)> {
        let item = self.item(&key.partition, &key.sort, attributes)?;
        let what = || format!("item {:?} {:?}", key.partition, key.sort);
        Ok((item, self.table.bytes(attributes, WRITE, what)?.to_vec()))
    }

    /// Writes whatever is there; versions go on from it.
    async fn put_any(&self, key: &ControlKey, sealed: Vec<u8>) -> PortResult<Put> {
        let mark: [u8; 8] = rand::random();
        let bytes = key.partition.len() + key.sort.len() + AROUND + sealed.len();
        let updated = self
            .table
            .client
            .update_item()
            .table_name(&self.table.name)
            .key(PARTITION, AttributeValue::S(key.partition.clone()))
            .key(SORT, AttributeValue::S(key.sort.clone()))
            .update_expression("SET #v = :v, #w = :w ADD #n :one")
            // Repeated by the SDK, it must not count twice.
            .condition_expression("attribute_not_exists(#w) OR #w <> :w")
            .expression_attribute_names("#v", VALUE)
            .expression_attribute_names("#w", WRITE)
            .expression_attribute_names("#n", VERSION)
            .expression_attribute_values(":v", binary(sealed))
            .expression_attribute_values(":w", binary(mark))
            .expression_attribute_values(":one", number(1))
            .return_values(ReturnValue::UpdatedNew)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
            .send()
            .await;
        let what = || format!("item {:?} {:?}", key.partition, key.sort);
        let written = match &updated {
            Ok(output) => {
                self.table.count_write(output.consumed_capacity());
                output.attributes()
            }
            Err(error) => match error.as_service_error() {
                Some(UpdateItemError::ConditionalCheckFailedException(ours)) => {
                    self.table.count_lost(bytes, ours.item());
                    ours.item()
                }
                _ => return Err(self.table.failed(error)),
            },
        };
        let written = written.ok_or_else(|| self.table.damaged(format!("{} has no version", what())))?;
        Ok(Put::Stored(self.table.number(written, VERSION, what)?))
    }
}

/// What a write came to whose condition did not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Decided {
    Stored,
    Conflict,
    Unknown,
}

/// Was `version` written under `mark`, if what is there now has this version and mark? Where an earlier attempt may have
/// taken effect (`doubt`), it may also have been overwritten or deleted since.
fn decide(version: u64, mark: &[u8], doubt: bool, there: Option<(u64, &[u8])>) -> Decided {
    match there {
        _ if !doubt => Decided::Conflict,
        Some((_, other)) if other == mark => Decided::Stored,
        // A version is given once, and this one to another.
        Some((other, _)) if other <= version => Decided::Conflict,
        _ => Decided::Unknown,
    }
}

fn unknown(what: &str) -> PortError {
    PortError::Unavailable { port: PORT, cause: format!("{what} is not known: an answer was lost") }
}

#[async_trait]
impl Control for AwsControl {
    async fn get(&self, key: &ControlKey, consistency: Consistency) -> PortResult<Option<Item>> {
        self.check_key(key)?;
        let output = self
            .table
            .client
            .get_item()
            .table_name(&self.table.name)
            .key(PARTITION, AttributeValue::S(key.partition.clone()))
            .key(SORT, AttributeValue::S(key.sort.clone()))
            .consistent_read(consistency == Consistency::Strong)
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
            .send()
            .await
            .map_err(|error| self.table.failed(&error))?;
        self.table.count_read(output.consumed_capacity());
        output.item().map(|item| self.item(&key.partition, &key.sort, item)).transpose()
    }

    async fn put_if(&self, key: &ControlKey, value: &[u8], expected: Expected) -> PortResult<Put> {
        self.check_key(key)?;
        if value.len() > MAX_VALUE {
            return Err(self.table.refused(format!("an item of {} bytes is too large", value.len())));
        }
        let sealed = seal(value, key.partition.len() + key.sort.len() + AROUND);
        match expected {
            Expected::Absent => self.put(key, sealed, 1, None).await,
            Expected::Version(version) => {
                self.put(key, sealed, version.saturating_add(1), Some(version)).await
            }
            Expected::Any => self.put_any(key, sealed).await,
        }
    }

    async fn delete_if(&self, key: &ControlKey, version: u64) -> PortResult<bool> {
        self.check_key(key)?;
        let doubt = Doubt::default();
        let deleted = self
            .table
            .client
            .delete_item()
            .table_name(&self.table.name)
            .key(PARTITION, AttributeValue::S(key.partition.clone()))
            .key(SORT, AttributeValue::S(key.sort.clone()))
            .condition_expression("#n = :n")
            .expression_attribute_names("#n", VERSION)
            .expression_attribute_values(":n", number(version))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
            .customize()
            .interceptor(doubt.clone())
            .send()
            .await;
        let error = match deleted {
            Ok(output) => {
                self.table.count_write(output.consumed_capacity());
                return Ok(true);
            }
            Err(error) => error,
        };
        let Some(DeleteItemError::ConditionalCheckFailedException(lost)) = error.as_service_error() else {
            return Err(self.table.failed(&error));
        };
        self.table.count_lost(0, lost.item());
        if doubt.is_there() {
            let what = || format!("item {:?} {:?}", key.partition, key.sort);
            let there = lost.item().map(|item| self.table.number(item, VERSION, what)).transpose()?;
            // Gone, or made anew.
            if there.is_none_or(|there| there < version) {
                return Err(unknown("whether an item was deleted"));
            }
        }
        Ok(false)
    }

    async fn query(
        &self,
        partition: &str,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> PortResult<Vec<(String, Item)>> {
        self.check(partition, "partition")?;
        // A start outside of the wanted keys would be an error to the service.
        let after = after.filter(|after| *after >= prefix);
        if limit == 0 || after.is_some_and(|after| !after.starts_with(prefix)) {
            return Ok(Vec::new());
        }
        let after = after.filter(|after| !after.is_empty());
        let key_of = |sort: &str| -> Attributes {
            let key = [(PARTITION, partition), (SORT, sort)];
            key.map(|(name, value)| (name.to_owned(), AttributeValue::S(value.to_owned()))).into()
        };
        let mut start = after.map(key_of);
        let mut found: Vec<(String, Item)> = Vec::new();
        loop {
            let mut query = self
                .table
                .client
                .query()
                .table_name(&self.table.name)
                .expression_attribute_names("#p", PARTITION)
                .expression_attribute_values(":p", AttributeValue::S(partition.to_owned()))
                .key_condition_expression("#p = :p")
                .consistent_read(true)
                .limit(page(limit - found.len()))
                .set_exclusive_start_key(start)
                .return_consumed_capacity(ReturnConsumedCapacity::Total);
            if !prefix.is_empty() {
                query = query
                    .key_condition_expression("#p = :p AND begins_with(#k, :k)")
                    .expression_attribute_names("#k", SORT)
                    .expression_attribute_values(":k", AttributeValue::S(prefix.to_owned()));
            }
            let output = query.send().await.map_err(|error| self.table.failed(&error))?;
            self.table.count_read(output.consumed_capacity());
            for attributes in output.items() {
                let Some(AttributeValue::S(sort)) = attributes.get(SORT) else {
                    return Err(self.table.damaged(format!("an item of {partition:?} has no sort key")));
                };
                found.push((sort.clone(), self.item(partition, sort, attributes)?));
            }
            start = output.last_evaluated_key;
            if start.is_none() || found.len() >= limit {
                found.truncate(limit);
                return Ok(found);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_in_doubt_is_known_by_its_mark_and_version() {
        let (ours, other) = (&[1_u8; 8][..], &[2_u8; 8][..]);
        for (doubt, there, decided) in [
            (false, None, Decided::Conflict),
            (false, Some((4, other)), Decided::Conflict),
            (true, Some((4, ours)), Decided::Stored),
            (true, Some((4, other)), Decided::Conflict),
            // Never written: the expected version is another than was asked for.
            (true, Some((2, other)), Decided::Conflict),
            (true, Some((5, other)), Decided::Unknown),
            (true, None, Decided::Unknown),
        ] {
            assert_eq!(decide(4, ours, doubt, there), decided, "{doubt} {there:?}");
        }
    }
}
