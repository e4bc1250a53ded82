//! The services' clients: one pool of connections, time-outs and retries for all of them.

use std::time::Duration;

use aws_config::{BehaviorVersion, SdkConfig};
use aws_smithy_http_client::tls;
use aws_smithy_types::retry::RetryConfig;
use aws_smithy_types::timeout::TimeoutConfig;
use aws_types::sdk_config::{Builder, SharedHttpClient};

use crate::{Error, Settings};

/// Until a connection stands.
const CONNECT: Duration = Duration::from_secs(3);
/// A connection that was idle for so long is not used again: a service may be closing it, and a call that is lost in
/// that moment has to be made twice.
const IDLE: Duration = Duration::from_secs(15);
/// For one attempt of a small call.
const ATTEMPT: Duration = Duration::from_secs(5);
/// For a small call with all its attempts and the pauses between them.
const OPERATION: Duration = Duration::from_secs(20);
/// Attempts of a call. Between them the SDK waits a random part of a time that doubles, so that those who were throttled
/// together do not come back together.
const ATTEMPTS: u32 = 6;
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(3);
/// An upload is given this much more time for each of its bytes: a megabyte a second at least.
const BYTES_PER_MILLI: u64 = 1_000;

/// The clients of one installation.
#[derive(Debug, Clone)]
pub(crate) struct Clients {
    pub(crate) dynamodb: aws_sdk_dynamodb::Client,
    pub(crate) s3: aws_sdk_s3::Client,
    pub(crate) sqs: aws_sdk_sqs::Client,
}

/// Time-outs of a call that carries `bytes` one way or the other.
pub(crate) fn timeouts(bytes: u64) -> TimeoutConfig {
    let more = Duration::from_millis(bytes / BYTES_PER_MILLI);
    TimeoutConfig::builder()
        .connect_timeout(CONNECT)
        .operation_attempt_timeout(ATTEMPT + more)
        .operation_timeout(OPERATION + 3 * more)
        .build()
}

/// How often a call is tried, and how long it waits between.
fn retries() -> RetryConfig {
    RetryConfig::standard()
        .with_max_attempts(ATTEMPTS)
        .with_initial_backoff(FIRST_PAUSE)
        .with_max_backoff(LONGEST_PAUSE)
}

/// A configuration of the SDK with our time-outs and retries, whose requests go to `http`.
pub(crate) fn tuned(configuration: Builder, http: SharedHttpClient) -> Builder {
    configuration.http_client(http).retry_config(retries()).timeout_config(timeouts(0))
}

/// What the standard AWS environment says.
pub(crate) async fn configuration() -> Result<SdkConfig, Error> {
    let http = aws_smithy_http_client::Builder::new()
        .tls_provider(tls::Provider::Rustls(tls::rustls_provider::CryptoMode::Ring))
        .pool_idle_timeout(IDLE)
        .build_https();
    let configuration = aws_config::defaults(BehaviorVersion::latest())
        .http_client(http)
        .retry_config(retries())
        .timeout_config(timeouts(0))
        .load()
        .await;
    match configuration.region() {
        Some(_) => Ok(configuration),
        None => Err(Error::NoRegion),
    }
}

impl Clients {
    pub(crate) fn new(settings: &Settings, configuration: &SdkConfig) -> Clients {
        let mut s3 = aws_sdk_s3::config::Builder::from(configuration);
        let path_style = settings.s3_path_style.unwrap_or(configuration.endpoint_url().is_some());
        s3.set_force_path_style(Some(path_style));
        Clients {
            dynamodb: aws_sdk_dynamodb::Client::new(configuration),
            s3: aws_sdk_s3::Client::from_conf(s3.build()),
            sqs: aws_sdk_sqs::Client::new(configuration),
        }
    }
}
