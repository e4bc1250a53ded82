//! Makes the tables, the queues and the bucket where no template does: for tests, and for small installations.
//!
//! Everything here can be done again: what is there is left as it is. If the process dies, the next call goes on.

use std::time::Duration;

use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, KeySchemaElement, KeyType, PointInTimeRecoverySpecification,
    ScalarAttributeType, TableStatus, TimeToLiveSpecification, TimeToLiveStatus,
};
use aws_sdk_s3::types::{BucketLocationConstraint, CreateBucketConfiguration};
use aws_sdk_sqs::types::QueueAttributeName;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use pennypost_model::event::Stage;
use pennypost_ports::{PortError, PortResult};

use crate::clients::Clients;
use crate::failure::failure;
use crate::schema::{CONTROL, JOURNAL, LOG, Table};
use crate::{Settings, control, journal, log, objects, queue};

/// Between two looks at whether a table can be used.
const LOOK: Duration = Duration::from_millis(200);
/// Looks, at most.
const LOOKS: u32 = 600;

/// Hand-outs before SQS itself takes a message out of its queue: far more than a handler needs to give it up by itself.
const MAX_RECEIVES: u32 = 200;
/// Seconds that a handler may take before its messages are handed out again, where it does not say so itself.
const VISIBILITY: u32 = 120;
const FOURTEEN_DAYS: u32 = 14 * 24 * 3600;

/// Makes what is missing of tables, queues and bucket.
pub(crate) async fn create_missing(settings: &Settings, clients: &Clients) -> PortResult<()> {
    for (port, name, table) in [
        (journal::PORT, &settings.journal_table, JOURNAL),
        (control::PORT, &settings.control_table, CONTROL),
        (log::PORT, &settings.log_table, LOG),
    ] {
        create_table(port, name, &table, clients).await?;
    }
    for stage in Stage::ALL {
        // A queue that is named by its address is somebody else's.
        if settings.queue_url(stage).is_none() {
            create_queues(settings, stage, clients).await?;
        }
    }
    create_bucket(&settings.bucket, clients).await
}

async fn create_table(port: &'static str, name: &str, table: &Table, clients: &Clients) -> PortResult<()> {
    let resource = format!("table {name}");
    let incomplete =
        |_| PortError::Refused { port, cause: format!("{resource} has an incomplete description") };
    let mut create =
        clients.dynamodb.create_table().table_name(name).billing_mode(BillingMode::PayPerRequest);
    for (attribute, role) in [(table.partition, KeyType::Hash), (table.sort, KeyType::Range)] {
        let of = ScalarAttributeType::from(attribute.of.code());
        let definition =
            AttributeDefinition::builder().attribute_name(attribute.name).attribute_type(of).build();
        let element = KeySchemaElement::builder().attribute_name(attribute.name).key_type(role).build();
        create = create
            .attribute_definitions(definition.map_err(incomplete)?)
            .key_schema(element.map_err(incomplete)?);
    }
    match create.send().await {
        Ok(_) => {}
        Err(error) if error.code() == Some("ResourceInUseException") => {}
        Err(error) => return Err(failure(port, &resource, &error)),
    }
    wait_until_active(port, name, clients).await?;
    if let Some(attribute) = table.ttl {
        expire_by(port, name, attribute, clients).await?;
    }
    if table.point_in_time_recovery {
        let wanted = PointInTimeRecoverySpecification::builder().point_in_time_recovery_enabled(true).build();
        let update = clients
            .dynamodb
            .update_continuous_backups()
            .table_name(name)
            .point_in_time_recovery_specification(wanted.map_err(incomplete)?);
        // Not every service that speaks the protocol has it, and mail can be kept without.
        if let Err(error) = update.send().await {
            let error = failure(port, &resource, &error);
            tracing::warn!(%error, "the table cannot be restored to a point in time");
        }
    }
    Ok(())
}

async fn wait_until_active(port: &'static str, name: &str, clients: &Clients) -> PortResult<()> {
    for _ in 0..LOOKS {
        let described = clients.dynamodb.describe_table().table_name(name).send().await;
        let described = described.map_err(|error| failure(port, &format!("table {name}"), &error))?;
        if described.table().and_then(|table| table.table_status()) == Some(&TableStatus::Active) {
            return Ok(());
        }
        tokio::time::sleep(LOOK).await;
    }
    Err(PortError::Unavailable { port, cause: format!("table {name} is still being made") })
}

async fn expire_by(port: &'static str, name: &str, attribute: &str, clients: &Clients) -> PortResult<()> {
    let resource = format!("table {name}");
    let described = clients.dynamodb.describe_time_to_live().table_name(name).send().await;
    let described = described.map_err(|error| failure(port, &resource, &error))?;
    let status = described.time_to_live_description().and_then(|found| found.time_to_live_status());
    if matches!(status, Some(TimeToLiveStatus::Enabled | TimeToLiveStatus::Enabling)) {
        return Ok(());
    }
    let wanted = TimeToLiveSpecification::builder().enabled(true).attribute_name(attribute).build();
    let wanted = wanted.map_err(|_| PortError::Refused {
        port,
        cause: format!("{resource} has an incomplete description"),
    })?;
    let update = clients.dynamodb.update_time_to_live().table_name(name).time_to_live_specification(wanted);
    update.send().await.map(|_| ()).map_err(|error| failure(port, &resource, &error))
}

async fn create_queues(settings: &Settings, stage: Stage, clients: &Clients) -> PortResult<()> {
    let dead = settings.dead_queue_name(stage);
    let url = create_queue(&dead, &[], clients).await?;
    let attributes = clients.sqs.get_queue_attributes().queue_url(url);
    let attributes = attributes.attribute_names(QueueAttributeName::QueueArn).send().await;
    let attributes = attributes.map_err(|error| failure(queue::PORT, &format!("queue {dead}"), &error))?;
    let arn = attributes.attributes().and_then(|all| all.get(&QueueAttributeName::QueueArn));
    let arn = arn.ok_or_else(|| PortError::Unavailable {
        port: queue::PORT,
        cause: format!("queue {dead} has no resource name"),
    })?;
    let redrive = format!(r#"{{"deadLetterTargetArn":"{arn}","maxReceiveCount":"{MAX_RECEIVES}"}}"#);
    let more = [
        (QueueAttributeName::RedrivePolicy, redrive),
        (QueueAttributeName::VisibilityTimeout, VISIBILITY.to_string()),
    ];
    create_queue(&settings.queue_name(stage), &more, clients).await.map(drop)
}

/// Makes a queue, or finds the one that is there; its URL.
async fn create_queue(
    name: &str,
    more: &[(QueueAttributeName, String)],
    clients: &Clients,
) -> PortResult<String> {
    let resource = format!("queue {name}");
    let found = clients.sqs.get_queue_url().queue_name(name).send().await;
    if let Some(url) = found.ok().and_then(|found| found.queue_url) {
        return Ok(url);
    }
    let mut create = clients.sqs.create_queue().queue_name(name);
    create = create.attributes(QueueAttributeName::MessageRetentionPeriod, FOURTEEN_DAYS.to_string());
    for (attribute, value) in more {
        create = create.attributes(attribute.clone(), value);
    }
    let created = create.send().await.map_err(|error| failure(queue::PORT, &resource, &error))?;
    created.queue_url.ok_or_else(|| PortError::Unavailable {
        port: queue::PORT,
        cause: format!("the service gave no address of {resource}"),
    })
}

async fn create_bucket(name: &str, clients: &Clients) -> PortResult<()> {
    // The one region whose name a bucket must not be given.
    const UNNAMED: &str = "us-east-1";
    let region = clients.s3.config().region().map(|region| region.as_ref().to_owned());
    let place = region.filter(|region| region != UNNAMED).map(|region| {
        let place = BucketLocationConstraint::from(region.as_str());
        CreateBucketConfiguration::builder().location_constraint(place).build()
    });
    let created = clients.s3.create_bucket().bucket(name).set_create_bucket_configuration(place).send().await;
    match created {
        Ok(_) => Ok(()),
        Err(error) if error.code() == Some("BucketAlreadyOwnedByYou") => Ok(()),
        Err(error) => Err(failure(objects::PORT, &format!("bucket {name}"), &error)),
    }
}
