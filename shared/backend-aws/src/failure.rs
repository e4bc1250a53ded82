//! What goes wrong at a service, as the ports say it.
//!
//! What an operator can mend (a missing table, credentials, rights) is unavailable, not refused: events wait until it
//! is mended. Messages of the services stay out, since some of them repeat the signed request.

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use pennypost_ports::PortError;

/// Codes of requests that can't succeed as they are.
const REFUSED: &[&str] = &[
    "AWS.SimpleQueueService.BatchRequestTooLong",
    "BatchRequestTooLong",
    "EntityTooLarge",
    "InvalidArgument",
    "InvalidMessageContents",
    "InvalidParameterValue",
    "InvalidRequest",
    "ItemCollectionSizeLimitExceededException",
    "KeyTooLongError",
    "SerializationException",
    "ValidationException",
];
/// Codes of a table, bucket or queue that does not exist.
const MISSING: &[&str] = &[
    "AWS.SimpleQueueService.NonExistentQueue",
    "NoSuchBucket",
    "QueueDoesNotExist",
    "ResourceNotFoundException",
];
/// Codes of credentials that are not, not yet or no longer valid, or allow too little.
const DENIED: &[&str] = &[
    "AccessDenied",
    "AccessDeniedException",
    "ExpiredToken",
    "ExpiredTokenException",
    "InvalidAccessKeyId",
    "InvalidClientTokenId",
    "SignatureDoesNotMatch",
    "UnrecognizedClientException",
];

/// Does the code say that there is no such table, bucket or queue?
pub(crate) fn is_missing(code: &str) -> bool {
    MISSING.contains(&code)
}

/// What `port` says of `error`, which a call for `resource` (a table, bucket or queue by its name) ended with.
pub(crate) fn failure<E>(port: &'static str, resource: &str, error: &SdkError<E, HttpResponse>) -> PortError
where
    E: ProvideErrorMetadata,
{
    let unavailable = |cause: String| PortError::Unavailable { port, cause };
    match error {
        SdkError::TimeoutError(_) => unavailable(format!("{resource} has not answered in time")),
        SdkError::DispatchFailure(failure) if failure.is_timeout() => {
            unavailable(format!("the service of {resource} could not be connected to in time"))
        }
        SdkError::DispatchFailure(failure) if failure.is_io() => {
            unavailable(format!("the service of {resource} cannot be reached"))
        }
        SdkError::DispatchFailure(_) => unavailable(format!(
            "the request to {resource} could not be sent: there are no credentials, or the endpoint is wrong"
        )),
        SdkError::ConstructionFailure(_) => unavailable(format!(
            "no request to {resource} could be made: region, credentials or endpoint are missing or wrong"
        )),
        SdkError::ResponseError(_) => unavailable(format!("the answer of {resource} was not understood")),
        SdkError::ServiceError(service) => {
            let status = service.raw().status().as_u16();
            of_code(port, resource, error.code(), status)
        }
        _ => unavailable(format!("a call to {resource} failed")),
    }
}

/// As [`failure`], by the code that the service gave for one record of a batch or for a call, and the HTTP status.
pub(crate) fn of_code(port: &'static str, resource: &str, code: Option<&str>, status: u16) -> PortError {
    let unavailable = |cause: String| PortError::Unavailable { port, cause };
    match code {
        Some(code) if is_missing(code) => unavailable(format!("{resource} does not exist ({code})")),
        Some(code) if DENIED.contains(&code) => {
            unavailable(format!("the credentials do not open {resource} ({code})"))
        }
        Some(code) if REFUSED.contains(&code) && status < 500 => {
            PortError::Refused { port, cause: format!("{resource} does not take this ({code})") }
        }
        Some(code) => unavailable(format!("{resource} answered {code} ({status})")),
        None => unavailable(format!("{resource} answered {status}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_cannot_succeed_is_refused() {
        let of = |code, status| of_code("journal", "table t", Some(code), status);
        assert!(!of("ValidationException", 400).is_temporary());
        assert!(!of("KeyTooLongError", 400).is_temporary());
        for (code, status) in [
            ("ResourceNotFoundException", 400),
            ("NoSuchBucket", 404),
            ("ProvisionedThroughputExceededException", 400),
            ("ThrottlingException", 400),
            ("ExpiredTokenException", 400),
            ("AccessDenied", 403),
            ("InternalServerError", 500),
            ("SlowDown", 503),
            ("InvalidRequest", 503),
        ] {
            assert!(of(code, status).is_temporary(), "{code}");
        }
        assert!(of_code("objects", "bucket b", None, 502).is_temporary());
        let missing = of("ResourceNotFoundException", 400).to_string();
        assert!(missing.contains("table t does not exist"), "{missing}");
    }
}
