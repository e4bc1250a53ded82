//! Makes the tables and the bucket where no template does: for tests, and for small installations.
//!
//! Everything here can be done again: what is there is left as it is. If the process dies, the next call goes on.

use std::time::Duration;

use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, KeySchemaElement, KeyType, PointInTimeRecoverySpecification,
    ScalarAttributeType, TableStatus, TimeToLiveSpecification, TimeToLiveStatus,
};
use aws_sdk_s3::types::{BucketLocationConstraint, CreateBucketConfiguration};
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use pennypost_ports::{PortError, PortResult};

use crate::clients::Clients;
use crate::failure::failure;
use crate::schema::{CONTROL, JOURNAL, LOG, Table};
use crate::{Settings, control, journal, log, objects};

/// Between two looks at whether a table can be used.
const LOOK: Duration = Duration::from_millis(200);
/// Looks, at most.
const LOOKS: u32 = 600;

/// Makes what is missing of tables and bucket.
pub(crate) async fn create_missing(settings: &Settings, clients: &Clients) -> PortResult<()> {
    for (port, name, table) in [
        (journal::PORT, &settings.journal_table, JOURNAL),
        (control::PORT, &settings.control_table, CONTROL),
        (log::PORT, &settings.log_table, LOG),
    ] {
        create_table(port, name, &table, clients).await?;
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
