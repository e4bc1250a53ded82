//! The journal's table.
//!
//! ```text
//! A  tenant, account (8 bytes each)   S  number    V  sealed entry
//! A  tenant, account                  S  2^64      V  sealed name of the base    N  number of the base
//! A  tenant (8 bytes)                 S  account   that the account has a journal
//! ```
//!
//! The head hint sorts behind every entry, so that one query backwards reads both. An account is noted before its first
//! entry is put: if the process dies between them, an account is listed whose journal is still empty.
//!
//! An entry above [`LARGEST`] is an object, and the item says which one; the object is put first. If the process dies
//! between them, or another entry wins the number and the object can't be deleted, an object stays to which nothing
//! refers.

use std::cmp::Ordering;

use async_trait::async_trait;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::put_item::builders::PutItemFluentBuilder;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnConsumedCapacity, ReturnValuesOnConditionCheckFailure};
use bytes::Bytes;
use pennypost_model::codec;
use pennypost_model::journal::Entry;
use pennypost_model::{AccountId, AccountKey, Seq, TenantId};
use pennypost_ports::{
    Appended, Consistency, Created, Head, Journal, Newest, Objects, PortError, PortResult,
};

use crate::doubt::Doubt;
use crate::objects::AwsObjects;
use crate::schema::{JOURNAL, JOURNAL_OBJECTS};
use crate::seal::{Unsealed, elsewhere, seal, unseal, unseal_value};
use crate::table::{Attributes, Table, binary, number, page};

pub(crate) const PORT: &str = "journal";
const KEY: &str = JOURNAL.partition.name;
const NUMBER: &str = JOURNAL.sort.name;
const VALUE: &str = "V";
const BASE: &str = "N";
/// The number of the head hint: behind that of every entry.
const HEAD: &str = "18446744073709551616";
/// Bytes of a sealed entry that lie in its item. A put of an object costs as much as 8 KB of an item and a read of it as
/// much as 13 KB, but takes ten times as long.
pub(crate) const LARGEST: usize = 64 * 1024;
/// Bytes of an item beside the value: names, key, and a number of up to ten digits.
pub(crate) const AROUND: usize = 3 + 16 + 6;

/// [`Journal`] on DynamoDB.
pub(crate) struct AwsJournal {
    pub(crate) table: Table,
    /// Where large entries lie.
    pub(crate) objects: AwsObjects,
}

/// What became of a conditional put.
enum Put {
    Done,
    Lost(Option<Attributes>),
}

fn key(account: AccountKey) -> AttributeValue {
    let mut key = account.tenant.0.to_be_bytes().to_vec();
    key.extend_from_slice(&account.account.0.to_be_bytes());
    binary(key)
}

impl AwsJournal {
    async fn put(&self, put: PutItemFluentBuilder, bytes: usize, doubt: &Doubt) -> PortResult<Put> {
        let put = put
            .table_name(&self.table.name)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
            .customize()
            .interceptor(doubt.clone())
            .send()
            .await;
        let error = match put {
            Ok(output) => {
                self.table.count_write(output.consumed_capacity());
                return Ok(Put::Done);
            }
            Err(error) => error,
        };
        match error.as_service_error() {
            Some(PutItemError::ConditionalCheckFailedException(lost)) => {
                self.table.count_lost(bytes, lost.item());
                Ok(Put::Lost(lost.item().cloned()))
            }
            _ => Err(self.table.failed(&error)),
        }
    }

    /// Notes that the account has a journal.
    async fn note(&self, account: AccountKey) -> PortResult<()> {
        let put = self
            .table
            .client
            .put_item()
            .item(KEY, binary(account.tenant.0.to_be_bytes()))
            .item(NUMBER, number(account.account.0));
        self.put(put, 0, &Doubt::default()).await.map(|_| ())
    }

    /// Puts a large entry beside the table; the name of its object.
    async fn put_beside(&self, account: AccountKey, seq: Seq, sealed: Vec<u8>) -> PortResult<String> {
        let nonce = rand::random::<u64>();
        let AccountKey { tenant, account } = account;
        let name = format!("{tenant}/{JOURNAL_OBJECTS}/{account}/{:020}-{nonce:016x}", seq.0);
        match self.objects.put_unique(&name, Bytes::from(sealed)).await? {
            Created::Stored => Ok(name),
            Created::Exists => {
                let cause = format!("an object is called {name} already");
                Err(PortError::Unavailable { port: PORT, cause })
            }
        }
    }

    /// The entry in an item.
    async fn entry(&self, account: AccountKey, seq: u64, item: &Attributes) -> PortResult<Entry> {
        let what = || format!("entry {seq} of account {account}");
        let sealed = self.table.bytes(item, VALUE, what)?;
        let value = match unseal(PORT, sealed, what)? {
            Unsealed::Value(value) => value,
            Unsealed::Elsewhere(name) => {
                let sealed = match self.objects.get(&name).await {
                    Ok((sealed, _)) => sealed,
                    Err(PortError::NotFound { .. }) => {
                        return Err(self.table.damaged(format!("{}: object {name} is gone", what())));
                    }
                    Err(error) => return Err(error),
                };
                unseal_value(PORT, &sealed, what)?
            }
        };
        let entry: Entry =
            codec::decode(&value).map_err(|error| self.table.damaged(format!("{}: {error}", what())))?;
        if entry.seq != Seq(seq) {
            let found = entry.seq;
            return Err(self.table.damaged(format!("{} is entry {found}", what())));
        }
        Ok(entry)
    }

    fn head(&self, account: AccountKey, item: &Attributes) -> PortResult<Head> {
        let what = || format!("the head of account {account}");
        let base = unseal_value(PORT, self.table.bytes(item, VALUE, what)?, what)?;
        let base =
            String::from_utf8(base).map_err(|_| self.table.damaged(format!("{} names no object", what())))?;
        Ok(Head { base_seq: Seq(self.table.number(item, BASE, what)?), base })
    }

    /// Items of the account under numbers from `low` to `high`, from the end that `forward` says, at most `limit` entries,
    /// in the order in which they were read, and the head hint if it was met.
    async fn read(
        &self,
        account: AccountKey,
        range: (&str, &str),
        forward: bool,
        limit: usize,
        consistency: Consistency,
    ) -> PortResult<(Vec<Entry>, Option<Head>)> {
        let with_head = usize::from(range.1 == HEAD);
        let mut entries: Vec<Entry> = Vec::new();
        let mut head = None;
        let mut start = None;
        loop {
            let wanted = (limit - entries.len()).saturating_add(with_head);
            let output = self
                .table
                .client
                .query()
                .table_name(&self.table.name)
                .key_condition_expression("#a = :a AND #s BETWEEN :low AND :high")
                .expression_attribute_names("#a", KEY)
                .expression_attribute_names("#s", NUMBER)
                .expression_attribute_values(":a", key(account))
                .expression_attribute_values(":low", AttributeValue::N(range.0.to_owned()))
                .expression_attribute_values(":high", AttributeValue::N(range.1.to_owned()))
                .scan_index_forward(forward)
                .consistent_read(consistency == Consistency::Strong)
                .limit(page(wanted))
                .set_exclusive_start_key(start)
                .return_consumed_capacity(ReturnConsumedCapacity::Total)
                .send()
                .await
                .map_err(|error| self.table.failed(&error))?;
            self.table.count_read(output.consumed_capacity());
            for item in output.items() {
                if matches!(item.get(NUMBER), Some(AttributeValue::N(digits)) if digits == HEAD) {
                    head = Some(self.head(account, item)?);
                } else if entries.len() < limit {
                    let seq = self.table.number(item, NUMBER, || format!("an item of account {account}"))?;
                    entries.push(self.entry(account, seq, item).await?);
                }
            }
            start = output.last_evaluated_key;
            if start.is_none() || entries.len() >= limit {
                return Ok((entries, head));
            }
        }
    }

    /// A hole between two entries is damage, and must not pass for the end.
    fn hole(&self, account: AccountKey, missing: u64) -> PortError {
        self.table.damaged(format!("account {account} has no entry {missing}"))
    }

    /// The newest `limit` entries up to `upto`, ascending, and the head hint if `upto` is [`HEAD`]; `None` if a stale read
    /// shows a hole.
    async fn backwards(
        &self,
        account: AccountKey,
        upto: &str,
        limit: usize,
        consistency: Consistency,
    ) -> PortResult<Option<Newest>> {
        let (mut entries, head) = self.read(account, ("1", upto), false, limit, consistency).await?;
        entries.reverse();
        let hole = entries.windows(2).find(|pair| pair[0].seq.next() != pair[1].seq);
        let short = entries.len() < limit && entries.first().is_some_and(|first| first.seq != Seq(1));
        match (hole, entries.first(), consistency) {
            (None, _, _) if !short => Ok(Some(Newest { entries, head })),
            (_, _, Consistency::Eventual) => Ok(None),
            (Some(pair), _, _) => Err(self.hole(account, pair[0].seq.0 + 1)),
            (None, first, _) => Err(self.hole(account, first.map_or(0, |first| first.seq.0 - 1))),
        }
    }
}

#[async_trait]
impl Journal for AwsJournal {
    async fn append(&self, account: AccountKey, entry: &Entry) -> PortResult<Appended> {
        if entry.seq == Seq::ZERO {
            return Err(self.table.refused("entries are numbered from 1"));
        }
        let mut sealed = seal(&codec::encode(entry), AROUND);
        let mut beside = None;
        if sealed.len() > LARGEST {
            let name = self.put_beside(account, entry.seq, sealed).await?;
            sealed = elsewhere(&name);
            beside = Some(name);
        }
        if entry.seq == Seq(1) {
            self.note(account).await?;
        }
        let bytes = AROUND + sealed.len();
        let put = self
            .table
            .client
            .put_item()
            .item(KEY, key(account))
            .item(NUMBER, number(entry.seq.0))
            .item(VALUE, binary(sealed.clone()))
            .condition_expression("attribute_not_exists(#s)")
            .expression_attribute_names("#s", NUMBER);
        let doubt = Doubt::default();
        let there = match self.put(put, bytes, &doubt).await? {
            Put::Done => return Ok(Appended::Committed),
            Put::Lost(there) => there,
        };
        let there = match there {
            Some(there) => there,
            // Not every service that speaks the protocol returns the item.
            None => {
                let seq = entry.seq.0.to_string();
                let (entries, _) = self.read(account, (&seq, &seq), true, 1, Consistency::Strong).await?;
                let there = entries.into_iter().next().ok_or_else(|| self.hole(account, entry.seq.0))?;
                return Ok(Appended::Lost(Box::new(there)));
            }
        };
        let same = matches!(there.get(VALUE), Some(AttributeValue::B(other)) if other.as_ref() == sealed);
        if same && doubt.is_there() {
            return Ok(Appended::Committed);
        }
        if let Some(name) = beside
            && !same
            && let Err(error) = self.objects.delete(&name).await
        {
            tracing::warn!(%account, %name, %error, "the object of an entry that lost its number is left");
        }
        Ok(Appended::Lost(Box::new(self.entry(account, entry.seq.0, &there).await?)))
    }

    async fn since(
        &self,
        account: AccountKey,
        after: Seq,
        limit: usize,
        consistency: Consistency,
    ) -> PortResult<Vec<Entry>> {
        if limit == 0 || after == Seq(u64::MAX) {
            return Ok(Vec::new());
        }
        let (low, high) = (after.next().0.to_string(), u64::MAX.to_string());
        let (entries, _) = self.read(account, (&low, &high), true, limit, consistency).await?;
        let whole =
            entries.iter().zip(after.next().0..).take_while(|(entry, seq)| entry.seq.0 == *seq).count();
        if whole == entries.len() {
            return Ok(entries);
        }
        match consistency {
            // Parts of an account may lie on different machines, and one of them was behind.
            Consistency::Eventual => self.since(account, after, limit, Consistency::Strong).await,
            Consistency::Strong => Err(self.hole(account, after.0 + 1 + whole as u64)),
        }
    }

    async fn before(&self, account: AccountKey, upto: Seq, limit: usize) -> PortResult<Vec<Entry>> {
        if limit == 0 || upto == Seq::ZERO {
            return Ok(Vec::new());
        }
        let high = upto.0.to_string();
        // Whoever asks for an entry that they have seen gets it for half the price.
        let read = self.backwards(account, &high, limit, Consistency::Eventual).await?;
        if let Some(read) = read
            && read.entries.last().is_some_and(|last| last.seq == upto)
        {
            return Ok(read.entries);
        }
        let read = self.backwards(account, &high, limit, Consistency::Strong).await?;
        Ok(read.unwrap_or_default().entries)
    }

    async fn newest(
        &self,
        account: AccountKey,
        limit: usize,
        consistency: Consistency,
    ) -> PortResult<Newest> {
        let read = self.backwards(account, HEAD, limit, consistency).await?;
        let stale = |newest: &Newest| {
            let behind = |head: &Head| newest.entries.last().is_none_or(|last| last.seq < head.base_seq);
            limit > 0 && newest.head.as_ref().is_some_and(behind)
        };
        match read {
            Some(newest) if consistency == Consistency::Strong || !stale(&newest) => Ok(newest),
            _ => {
                let read = self.backwards(account, HEAD, limit, Consistency::Strong).await?;
                Ok(read.unwrap_or_default())
            }
        }
    }

    async fn advance_head(&self, account: AccountKey, head: &Head) -> PortResult<bool> {
        let sealed = seal(head.base.as_bytes(), AROUND);
        let bytes = AROUND + sealed.len();
        let put = self
            .table
            .client
            .put_item()
            .item(KEY, key(account))
            .item(NUMBER, AttributeValue::N(HEAD.to_owned()))
            .item(BASE, number(head.base_seq.0))
            .item(VALUE, binary(sealed))
            .condition_expression("attribute_not_exists(#s) OR #n < :n")
            .expression_attribute_names("#s", NUMBER)
            .expression_attribute_names("#n", BASE)
            .expression_attribute_values(":n", number(head.base_seq.0));
        let doubt = Doubt::default();
        match self.put(put, bytes, &doubt).await? {
            Put::Done => Ok(true),
            Put::Lost(Some(there)) if doubt.is_there() => Ok(self.head(account, &there)? == *head),
            Put::Lost(_) => Ok(false),
        }
    }

    async fn accounts(
        &self,
        tenant: TenantId,
        after: Option<AccountKey>,
        limit: usize,
    ) -> PortResult<Vec<AccountKey>> {
        // Keys of another tenant lie wholly before or behind this one's.
        let low = match after {
            None => 0,
            Some(after) => match (after.tenant.cmp(&tenant), after.account.0.checked_add(1)) {
                (Ordering::Less, _) => 0,
                (Ordering::Equal, Some(next)) => next,
                _ => return Ok(Vec::new()),
            },
        };
        let mut found = Vec::new();
        let mut start = None;
        while found.len() < limit {
            let output = self
                .table
                .client
                .query()
                .table_name(&self.table.name)
                .key_condition_expression("#a = :a AND #s >= :low")
                .expression_attribute_names("#a", KEY)
                .expression_attribute_names("#s", NUMBER)
                .expression_attribute_values(":a", binary(tenant.0.to_be_bytes()))
                .expression_attribute_values(":low", number(low))
                .consistent_read(true)
                .limit(page(limit - found.len()))
                .set_exclusive_start_key(start)
                .return_consumed_capacity(ReturnConsumedCapacity::Total)
                .send()
                .await
                .map_err(|error| self.table.failed(&error))?;
            self.table.count_read(output.consumed_capacity());
            for item in output.items() {
                let account = self.table.number(item, NUMBER, || format!("an account of tenant {tenant}"))?;
                found.push(AccountKey { tenant, account: AccountId(account) });
            }
            start = output.last_evaluated_key;
            if start.is_none() {
                break;
            }
        }
        Ok(found)
    }

    async fn erase(&self, account: AccountKey, limit: usize) -> PortResult<bool> {
        // From behind: the head hint, then entries. Their large ones are objects, which go with the tenant's others.
        let output = self
            .table
            .client
            .query()
            .table_name(&self.table.name)
            .key_condition_expression("#a = :a")
            .projection_expression("#a, #s")
            .expression_attribute_names("#a", KEY)
            .expression_attribute_names("#s", NUMBER)
            .expression_attribute_values(":a", key(account))
            .scan_index_forward(false)
            .consistent_read(true)
            .limit(page(limit))
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
            .send()
            .await
            .map_err(|error| self.table.failed(&error))?;
        self.table.count_read(output.consumed_capacity());
        self.table.delete_all(output.items()).await?;
        if output.last_evaluated_key.is_some() {
            return Ok(true);
        }
        let note = Attributes::from([
            (KEY.to_owned(), binary(account.tenant.0.to_be_bytes())),
            (NUMBER.to_owned(), number(account.account.0)),
        ]);
        self.table.delete_all(&[note]).await?;
        Ok(false)
    }
}
