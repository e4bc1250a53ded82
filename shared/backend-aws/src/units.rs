//! What a call of DynamoDB costs, where the service does not say it itself.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::{AttributeValue, ConsumedCapacity};
use pennypost_meter::MILLI;

/// Bytes of an item that one write unit pays for.
const WRITE_UNIT: usize = 1024;

/// Write units of an item of so many bytes.
pub(crate) fn write_units(bytes: usize) -> u64 {
    bytes.div_ceil(WRITE_UNIT).max(1) as u64
}

/// Thousandths of units in the service's answer.
pub(crate) fn consumed(capacity: Option<&ConsumedCapacity>) -> u64 {
    let units = capacity.and_then(ConsumedCapacity::capacity_units).unwrap_or(0.0);
    // Never negative, and far below 2^53.
    (units * MILLI as f64).round() as u64
}

/// Bytes of an item as the service reckons them: names and values; a number takes a byte for two digits and one more.
pub(crate) fn item_bytes(item: &HashMap<String, AttributeValue>) -> usize {
    item.iter().map(|(name, value)| name.len() + value_bytes(value)).sum()
}

fn value_bytes(value: &AttributeValue) -> usize {
    match value {
        AttributeValue::B(bytes) => bytes.as_ref().len(),
        AttributeValue::S(text) => text.len(),
        AttributeValue::N(digits) => digits.len().div_ceil(2) + 1,
        _ => 1,
    }
}
