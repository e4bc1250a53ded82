//! Whether what a process needs of an installation is there.
//!
//! Asks by calls that the process may make anyway, and that change nothing: a role that was given to an adapter need not
//! be allowed more for this.

use aws_sdk_dynamodb::types::{AttributeValue, ReturnConsumedCapacity};
use aws_sdk_sqs::types::QueueAttributeName;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use futures::FutureExt;
use futures::future::{BoxFuture, join_all};
use pennypost_meter::{MILLI, Unit, count};
use pennypost_model::event::Stage;

use crate::Settings;
use crate::clients::Clients;
use crate::failure::{failure, is_missing};
use crate::schema::{self, KeyType};
use crate::table::{Table, binary, number};
use crate::{objects, queue};

/// What a process needs of an installation, beside journal, control table and bucket.
#[derive(Debug, Clone)]
pub struct Needed {
    /// The table of the log?
    pub log: bool,
    /// Queues that it sends to or receives from.
    pub queues: Vec<Stage>,
}

/// The names of what is certainly not there, in a fixed order. What can't be asked for (the service does not answer, the
/// credentials don't open it) counts as there: whoever needs it says so each time.
pub(crate) async fn missing(
    settings: &Settings,
    clients: &Clients,
    tables: &[(Table, schema::Table)],
    stages: &[Stage],
) -> Vec<String> {
    let tables = tables.iter().map(|(table, described)| missing_table(table, described).boxed());
    let queues = stages.iter().map(|stage| missing_queue(clients, settings, *stage).boxed());
    let bucket = missing_bucket(clients, &settings.bucket).boxed();
    let asked: Vec<BoxFuture<'_, Option<String>>> = tables.chain(queues).chain([bucket]).collect();
    join_all(asked).await.into_iter().flatten().collect()
}

/// `name`, if the answer says that there is none.
fn unless_there<T, E>(
    port: &'static str,
    name: &str,
    answer: Result<T, SdkError<E, HttpResponse>>,
) -> Option<String>
where
    E: ProvideErrorMetadata,
{
    let error = answer.err()?;
    if error.code().is_some_and(is_missing) {
        return Some(name.to_owned());
    }
    let error = failure(port, name, &error);
    tracing::warn!(%error, "whether it is there is not known");
    None
}

async fn missing_table(table: &Table, described: &schema::Table) -> Option<String> {
    let nobody = match described.partition.of {
        KeyType::Binary => binary([0]),
        KeyType::Number => number(0),
        KeyType::String => AttributeValue::S("-".to_owned()),
    };
    let answer = table
        .client
        .query()
        .table_name(&table.name)
        .key_condition_expression("#p = :p")
        .expression_attribute_names("#p", described.partition.name)
        .expression_attribute_values(":p", nobody)
        .limit(1)
        .return_consumed_capacity(ReturnConsumedCapacity::Total)
        .send()
        .await;
    if let Ok(answer) = &answer {
        table.count_read(answer.consumed_capacity());
    }
    unless_there(table.port, &table.name, answer)
}

async fn missing_queue(clients: &Clients, settings: &Settings, stage: Stage) -> Option<String> {
    count(Unit::QueueRequest, MILLI);
    match settings.queue_url(stage) {
        Some(url) => {
            let attributes = clients.sqs.get_queue_attributes().queue_url(url);
            let some = attributes.attribute_names(QueueAttributeName::ApproximateNumberOfMessages);
            unless_there(queue::PORT, url, some.send().await)
        }
        None => {
            let name = settings.queue_name(stage);
            let answer = clients.sqs.get_queue_url().queue_name(&name).send().await;
            unless_there(queue::PORT, &name, answer)
        }
    }
}

async fn missing_bucket(clients: &Clients, name: &str) -> Option<String> {
    let answer = clients.s3.list_objects_v2().bucket(name).max_keys(1).send().await;
    count(Unit::ObjectWrite, MILLI);
    unless_there(objects::PORT, name, answer)
}
