//! DynamoDB: tables in memory, with conditional writes, pages, reads that may be old, and consumed capacity.

mod expression;
mod value;

use std::collections::BTreeMap;

use pennypost_backend_aws::schema;
use rand::Rng;
use serde_json::{Value as Json, json};

use self::expression::{Condition, Scope, update};
use self::value::{Item, Value, read_item, size, write_item};
use super::fields::{Answer, Fault, Fields, refused, strange};
use crate::source::Source;

/// Limits of the service.
const LARGEST_ITEM: usize = 400 * 1024;
const LARGEST_PAGE: usize = 1024 * 1024;
const LARGEST_PARTITION_KEY: usize = 2048;
const LARGEST_SORT_KEY: usize = 1024;
const BATCH: usize = 25;
/// So many writes back an eventually consistent read may look.
const LAG: u64 = 6;

type Key = (Value, Value);

/// An item, and what it was before its last write.
#[derive(Default)]
struct Slot {
    now: Option<Item>,
    before: Option<Item>,
    written: u64,
}

struct Table {
    partition: (String, String),
    sort: (String, String),
    ttl: Option<String>,
    items: BTreeMap<Key, Slot>,
}

/// The service.
#[derive(Default)]
pub(super) struct Dynamo {
    tables: BTreeMap<String, Table>,
    writes: u64,
}

/// Which items of a read are old: those last written in the last few writes, each by itself.
struct Sight<'a> {
    since: u64,
    source: &'a Source,
}

impl Sight<'_> {
    fn see<'s>(&self, slot: &'s Slot) -> Option<&'s Item> {
        let may_be_old = slot.written > self.since;
        let is_old = may_be_old && self.source.random(|random| random.random_range(0..4)) > 0;
        if is_old { slot.before.as_ref() } else { slot.now.as_ref() }
    }
}

impl Table {
    fn key(&self, item: &Item) -> Answer<Key> {
        let half = |(name, kind): &(String, String), limit: usize| match item.get(name) {
            Some(value) if value.kind() != kind => strange(format!("a key {name} of type {}", value.kind())),
            Some(value) if value.size() == 0 || value.size() > limit => refused("ValidationException"),
            Some(value) => Ok(value.clone()),
            None => strange(format!("an item without {name}")),
        };
        Ok((half(&self.partition, LARGEST_PARTITION_KEY)?, half(&self.sort, LARGEST_SORT_KEY)?))
    }

    /// A key, and nothing else.
    fn bare_key(&self, json: Json) -> Answer<Key> {
        let item = read_item(json)?;
        if item.len() != 2 {
            return strange("a key of other than two attributes");
        }
        self.key(&item)
    }

    fn now(&self, key: &Key) -> Option<&Item> {
        self.items.get(key).and_then(|slot| slot.now.as_ref())
    }

    fn write(&mut self, key: Key, item: Option<Item>, written: u64) {
        let slot = self.items.entry(key).or_default();
        slot.before = std::mem::replace(&mut slot.now, item);
        slot.written = written;
    }
}

fn write_units(old: Option<&Item>, new: Option<&Item>) -> f64 {
    let bytes = old.map_or(0, size).max(new.map_or(0, size));
    bytes.div_ceil(1024).max(1) as f64
}

fn read_units(bytes: usize, strong: bool) -> f64 {
    let units = bytes.div_ceil(4096).max(1) as f64;
    if strong { units } else { units / 2.0 }
}

fn capacity(table: &str, units: f64) -> Json {
    json!({ "TableName": table, "CapacityUnits": units })
}

fn failed_condition(there: Option<&Item>) -> Fault {
    let more = there.map_or_else(|| json!({}), |item| json!({ "Item": write_item(item) }));
    Fault::Refused(400, "ConditionalCheckFailedException", more)
}

impl Dynamo {
    /// A table that is there from the beginning.
    pub(super) fn install(&mut self, name: &str, table: &schema::Table) {
        let attribute = |key: schema::KeyAttribute| (key.name.to_owned(), key.of.code().to_owned());
        let table = Table {
            partition: attribute(table.partition),
            sort: attribute(table.sort),
            ttl: table.ttl.map(str::to_owned),
            items: BTreeMap::new(),
        };
        self.tables.insert(name.to_owned(), table);
    }

    pub(super) fn answer(&mut self, call: &str, body: &[u8], source: &Source) -> Answer {
        let mut fields = Fields::read(body)?;
        match call {
            "PutItem" => self.put_item(fields),
            "UpdateItem" => self.update_item(fields),
            "DeleteItem" => self.delete_item(fields),
            "GetItem" => self.get_item(fields, source),
            "Query" => self.query(fields, source),
            "BatchWriteItem" => self.batch_write_item(fields, source),
            "CreateTable" => self.create_table(fields),
            "DescribeTable" => {
                let (name, _) = self.table(&mut fields)?;
                fields.done()?;
                Ok(json!({ "Table": { "TableName": name, "TableStatus": "ACTIVE" } }))
            }
            "DescribeTimeToLive" => {
                let (_, table) = self.table(&mut fields)?;
                let described = match &table.ttl {
                    Some(name) => json!({ "TimeToLiveStatus": "ENABLED", "AttributeName": name }),
                    None => json!({ "TimeToLiveStatus": "DISABLED" }),
                };
                fields.done()?;
                Ok(json!({ "TimeToLiveDescription": described }))
            }
            "UpdateTimeToLive" => {
                let mut specification = fields.object("TimeToLiveSpecification")?;
                let (_, table) = self.table(&mut fields)?;
                if !specification.yes("Enabled", false)? || table.ttl.is_some() {
                    return refused("ValidationException");
                }
                let name = specification.text("AttributeName")?;
                table.ttl = Some(name.clone());
                specification.done()?;
                fields.done()?;
                Ok(json!({ "TimeToLiveSpecification": { "Enabled": true, "AttributeName": name } }))
            }
            "UpdateContinuousBackups" => {
                self.table(&mut fields)?;
                let mut specification = fields.object("PointInTimeRecoverySpecification")?;
                specification.yes("PointInTimeRecoveryEnabled", false)?;
                specification.done()?;
                fields.done()?;
                Ok(json!({}))
            }
            other => strange(format!("the call {other}")),
        }
    }

    fn table(&mut self, fields: &mut Fields) -> Answer<(String, &mut Table)> {
        let name = fields.text("TableName")?;
        match self.tables.get_mut(&name) {
            Some(table) => Ok((name, table)),
            None => refused("ResourceNotFoundException"),
        }
    }

    fn create_table(&mut self, mut fields: Fields) -> Answer {
        let name = fields.text("TableName")?;
        fields.must_be("BillingMode", "PAY_PER_REQUEST")?;
        let mut types = BTreeMap::new();
        for definition in fields.list("AttributeDefinitions")? {
            let mut definition = Fields::of(definition)?;
            types.insert(definition.text("AttributeName")?, definition.text("AttributeType")?);
            definition.done()?;
        }
        let mut key = Vec::new();
        for (element, role) in fields.list("KeySchema")?.into_iter().zip(["HASH", "RANGE"]) {
            let mut element = Fields::of(element)?;
            element.must_be("KeyType", role)?;
            let attribute = element.text("AttributeName")?;
            let Some(of) = types.remove(&attribute) else { return refused("ValidationException") };
            element.done()?;
            key.push((attribute, of));
        }
        fields.done()?;
        let (Some(sort), Some(partition), true) = (key.pop(), key.pop(), types.is_empty()) else {
            return refused("ValidationException");
        };
        if self.tables.contains_key(&name) {
            return refused("ResourceInUseException");
        }
        let description = json!({ "TableDescription": { "TableName": name, "TableStatus": "CREATING" } });
        self.tables.insert(name, Table { partition, sort, ttl: None, items: BTreeMap::new() });
        Ok(description)
    }

    fn put_item(&mut self, mut fields: Fields) -> Answer {
        let item = read_item(fields.need("Item")?)?;
        fields.must_be("ReturnConsumedCapacity", "TOTAL")?;
        fields.must_be("ReturnValuesOnConditionCheckFailure", "ALL_OLD")?;
        let condition = condition(&mut fields)?;
        let written = self.writes + 1;
        let (name, table) = self.table(&mut fields)?;
        fields.done()?;
        if size(&item) > LARGEST_ITEM {
            return refused("ValidationException");
        }
        let key = table.key(&item)?;
        let there = table.now(&key);
        if let Some(condition) = condition
            && !condition.holds(there)?
        {
            return Err(failed_condition(there));
        }
        let units = write_units(there, Some(&item));
        table.write(key, Some(item), written);
        self.writes = written;
        Ok(json!({ "ConsumedCapacity": capacity(&name, units) }))
    }

    fn update_item(&mut self, mut fields: Fields) -> Answer {
        let key = fields.need("Key")?;
        fields.must_be("ReturnConsumedCapacity", "TOTAL")?;
        fields.must_be("ReturnValuesOnConditionCheckFailure", "ALL_OLD")?;
        fields.must_be("ReturnValues", "UPDATED_NEW")?;
        let text = fields.text("UpdateExpression")?;
        let mut scope = Scope::take(&mut fields)?;
        let condition = Condition::read(&fields.text("ConditionExpression")?, &mut scope)?;
        let written = self.writes + 1;
        let (name, table) = self.table(&mut fields)?;
        fields.done()?;
        let key = table.bare_key(key)?;
        let there = table.now(&key).cloned();
        let mut item = there.clone().unwrap_or_else(|| {
            let halves = [(table.partition.0.clone(), key.0.clone()), (table.sort.0.clone(), key.1.clone())];
            halves.into()
        });
        let updated = update(&text, &mut scope, &mut item)?;
        scope.done()?;
        if !condition.holds(there.as_ref())? {
            return Err(failed_condition(there.as_ref()));
        }
        if size(&item) > LARGEST_ITEM {
            return refused("ValidationException");
        }
        let units = write_units(there.as_ref(), Some(&item));
        let new: Item = item
            .iter()
            .filter(|(name, _)| updated.contains(*name))
            .map(|(n, v)| (n.clone(), v.clone()))
            .collect();
        table.write(key, Some(item), written);
        self.writes = written;
        Ok(json!({ "Attributes": write_item(&new), "ConsumedCapacity": capacity(&name, units) }))
    }

    fn delete_item(&mut self, mut fields: Fields) -> Answer {
        let key = fields.need("Key")?;
        fields.must_be("ReturnConsumedCapacity", "TOTAL")?;
        fields.must_be("ReturnValuesOnConditionCheckFailure", "ALL_OLD")?;
        let condition = condition(&mut fields)?;
        let written = self.writes + 1;
        let (name, table) = self.table(&mut fields)?;
        fields.done()?;
        let key = table.bare_key(key)?;
        let there = table.now(&key);
        if let Some(condition) = condition
            && !condition.holds(there)?
        {
            return Err(failed_condition(there));
        }
        let units = write_units(there, None);
        table.write(key, None, written);
        self.writes = written;
        Ok(json!({ "ConsumedCapacity": capacity(&name, units) }))
    }

    /// How far back a read looks.
    fn sight<'a>(&self, strong: bool, source: &'a Source) -> Sight<'a> {
        let lag = if !strong && source.chance(400) {
            source.random(|random| random.random_range(1..=LAG))
        } else {
            0
        };
        Sight { since: self.writes.saturating_sub(lag), source }
    }

    fn get_item(&mut self, mut fields: Fields, source: &Source) -> Answer {
        let key = fields.need("Key")?;
        fields.must_be("ReturnConsumedCapacity", "TOTAL")?;
        let strong = fields.yes("ConsistentRead", false)?;
        let sight = self.sight(strong, source);
        let (name, table) = self.table(&mut fields)?;
        fields.done()?;
        let key = table.bare_key(key)?;
        let item = table.items.get(&key).and_then(|slot| sight.see(slot));
        let mut answer =
            json!({ "ConsumedCapacity": capacity(&name, read_units(item.map_or(0, size), strong)) });
        if let Some(item) = item {
            answer["Item"] = write_item(item);
        }
        Ok(answer)
    }

    fn query(&mut self, mut fields: Fields, source: &Source) -> Answer {
        fields.must_be("ReturnConsumedCapacity", "TOTAL")?;
        let strong = fields.yes("ConsistentRead", false)?;
        let forward = fields.yes("ScanIndexForward", true)?;
        let start = fields.take("ExclusiveStartKey");
        let limit = fields.number("Limit")?.unwrap_or(u64::MAX);
        let mut scope = Scope::take(&mut fields)?;
        let condition = Condition::read(&fields.text("KeyConditionExpression")?, &mut scope)?;
        let projection = scope.projection(&mut fields)?;
        scope.done()?;
        let sight = self.sight(strong, source);
        let (name, table) = self.table(&mut fields)?;
        fields.done()?;
        if limit == 0 {
            return refused("ValidationException");
        }
        let partition = partition_of(&condition, table)?;
        let as_item = |key: &Key| -> Item {
            [(table.partition.0.clone(), key.0.clone()), (table.sort.0.clone(), key.1.clone())].into()
        };
        let start = start.map(|start| table.bare_key(start)).transpose()?;
        // "The provided starting key is outside query boundaries based on provided conditions".
        if let Some(start) = &start
            && !condition.holds(Some(&as_item(start)))?
        {
            return refused("ValidationException");
        }
        let mut keys: Vec<&Key> = table.items.keys().filter(|key| key.0 == partition).collect();
        if !forward {
            keys.reverse();
        }
        let (mut items, mut bytes, mut last) = (Vec::new(), 0, None);
        for key in keys {
            let behind = start.as_ref().is_none_or(|start| if forward { key > start } else { key < start });
            let Some(item) = table.items.get(key).and_then(|slot| sight.see(slot)) else { continue };
            if !behind || !condition.holds(Some(item))? {
                continue;
            }
            // What is left out has been read all the same.
            bytes += size(item);
            items.push(match &projection {
                None => write_item(item),
                Some(names) => {
                    let wanted = item.iter().filter(|(name, _)| names.contains(*name));
                    write_item(&wanted.map(|(name, value)| (name.clone(), value.clone())).collect())
                }
            });
            if items.len() as u64 == limit || bytes >= LARGEST_PAGE {
                last = Some(write_item(&as_item(key)));
                break;
            }
        }
        let mut answer = json!({
            "Count": items.len(),
            "ScannedCount": items.len(),
            "Items": items,
            "ConsumedCapacity": capacity(&name, read_units(bytes, strong)),
        });
        if let Some(last) = last {
            answer["LastEvaluatedKey"] = last;
        }
        Ok(answer)
    }

    fn batch_write_item(&mut self, mut fields: Fields, source: &Source) -> Answer {
        let tables = fields.object("RequestItems")?.all();
        fields.must_be("ReturnConsumedCapacity", "TOTAL")?;
        fields.done()?;
        let (mut left, mut used, mut count) = (serde_json::Map::new(), Vec::new(), 0);
        for (name, requests) in tables {
            let mut fields = Fields::of(json!({ "TableName": name, "Requests": requests }))?;
            let requests = fields.list("Requests")?;
            let mut writes = self.writes;
            let (name, table) = self.table(&mut fields)?;
            let mut unit_sum = 0.0;
            let (mut open, mut keys) = (Vec::new(), Vec::new());
            for request in requests {
                let mut fields = Fields::of(request.clone())?;
                let (key, item) = match fields.take("DeleteRequest") {
                    Some(delete) => {
                        let mut delete = Fields::of(delete)?;
                        let key = table.bare_key(delete.need("Key")?)?;
                        delete.done()?;
                        (key, None)
                    }
                    None => {
                        let mut put = fields.object("PutRequest")?;
                        let item = read_item(put.need("Item")?)?;
                        put.done()?;
                        (table.key(&item)?, Some(item))
                    }
                };
                fields.done()?;
                count += 1;
                // "Provided list of item keys contains duplicates".
                let is_too_large = item.as_ref().is_some_and(|item| size(item) > LARGEST_ITEM);
                if count > BATCH || is_too_large || keys.contains(&key) {
                    return refused("ValidationException");
                }
                keys.push(key.clone());
                if source.chance(80) {
                    open.push(request);
                    continue;
                }
                unit_sum += write_units(table.now(&key), item.as_ref());
                writes += 1;
                table.write(key, item, writes);
            }
            self.writes = writes;
            used.push(capacity(&name, unit_sum));
            if !open.is_empty() {
                left.insert(name, Json::Array(open));
            }
        }
        if count == 0 {
            return refused("ValidationException");
        }
        Ok(json!({ "UnprocessedItems": left, "ConsumedCapacity": used }))
    }
}

/// The condition of a write, if it has one.
fn condition(fields: &mut Fields) -> Answer<Option<Condition>> {
    let mut scope = Scope::take(fields)?;
    let condition = match fields.take("ConditionExpression") {
        None => None,
        Some(Json::String(text)) => Some(Condition::read(&text, &mut scope)?),
        Some(other) => return strange(format!("the condition {other}")),
    };
    scope.done()?;
    Ok(condition)
}

/// The partition that a condition on keys names: it must be equality, and what else there is be about the sort key.
fn partition_of(condition: &Condition, table: &Table) -> Answer<Value> {
    let parts = match condition {
        Condition::And(parts) => parts.as_slice(),
        one => std::slice::from_ref(one),
    };
    let partition = match parts.first() {
        Some(Condition::Compare(name, "=", value)) if *name == table.partition.0 => value.clone(),
        other => return strange(format!("the condition on keys {other:?}")),
    };
    let about_sort = |part: &Condition| match part {
        Condition::Compare(name, operator, _) => *name == table.sort.0 && *operator != "<>",
        Condition::Between(name, ..) | Condition::BeginsWith(name, _) => *name == table.sort.0,
        _ => false,
    };
    match &parts[1..] {
        [] => Ok(partition),
        [one] if about_sort(one) => Ok(partition),
        other => strange(format!("the condition on keys {other:?}")),
    }
}
