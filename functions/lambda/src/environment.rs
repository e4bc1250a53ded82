//! What the environment says to a function, read once for a process.

use pennypost_housekeep as housekeep;
use pennypost_runtime::Fusing;
use pennypost_scanners as scanners;

use crate::FunctionError;

const FUSE: &str = "PENNYPOST_FUSE";
const HOUSEKEEPING: &str = "PENNYPOST_HOUSEKEEPING";
const SCANNER: &str = "PENNYPOST_SCANNER";
/// For so many seconds each scanner may be waited for: both, and delivery, end before the function's time is over.
const SCANNER_SECONDS: u32 = 20;
const HOSTNAME: &str = "PENNYPOST_HOSTNAME";
const SENDING: &str = "PENNYPOST_SENDING";
const RUNTIME: &str = "AWS_LAMBDA_RUNTIME_API";
const MEMORY: &str = "AWS_LAMBDA_FUNCTION_MEMORY_SIZE";

/// The settings of a function.
#[derive(Debug, Clone)]
pub struct Environment {
    /// Which stages run in the function of the stage before them (`PENNYPOST_FUSE`).
    pub fusing: Fusing,
    /// What housekeeping waits for (`PENNYPOST_HOUSEKEEPING`, a document in JSON).
    pub housekeeping: housekeep::Settings,
    /// Scanners for viruses and spam (`PENNYPOST_SCANNER`, a document in JSON); none are asked, if nothing is said.
    pub scanner: scanners::Settings,
    /// What the post office calls itself in header fields (`PENNYPOST_HOSTNAME`).
    pub hostname: String,
    /// Is anything sent to other servers, by a server that does it for the installation (`PENNYPOST_SENDING`: `on` or `off`)?
    pub is_sending: bool,
    /// Megabytes of the function; 0 outside the service.
    pub memory_mb: u64,
}

impl Default for Environment {
    fn default() -> Environment {
        Environment {
            fusing: Fusing::default(),
            housekeeping: housekeep::Settings::default(),
            scanner: scanners::Settings::default(),
            hostname: "localhost".to_owned(),
            is_sending: false,
            memory_mb: 0,
        }
    }
}

impl Environment {
    /// Reads it.
    ///
    /// # Errors
    /// [`FunctionError::Environment`]: a function that misunderstands its settings does not start.
    pub fn read() -> Result<Environment, FunctionError> {
        if std::env::var_os(RUNTIME).is_none() {
            let cause = "not set: this is a function, which a service starts".to_owned();
            return Err(FunctionError::Environment { name: RUNTIME, cause });
        }
        Environment::of(|name| std::env::var(name).ok())
    }

    fn of(lookup: impl Fn(&str) -> Option<String>) -> Result<Environment, FunctionError> {
        let mut environment = Environment::default();
        // Where each call has its price, what nobody looks into is not made ready for looking.
        environment.housekeeping.index = housekeep::Index::Opened;
        let wrong = |name, cause: String| FunctionError::Environment { name, cause };
        let given = |name: &str| lookup(name).filter(|value| !value.trim().is_empty());
        if let Some(text) = given(FUSE) {
            environment.fusing = text.parse().map_err(|error| wrong(FUSE, format!("{error}")))?;
        }
        if let Some(text) = given(HOUSEKEEPING) {
            let refused = |error: serde_json::Error| wrong(HOUSEKEEPING, error.to_string());
            let mut document: serde_json::Map<_, _> = serde_json::from_str(&text).map_err(refused)?;
            document.entry("index").or_insert("opened".into());
            environment.housekeeping = serde_json::from_value(document.into()).map_err(refused)?;
            environment.housekeeping.check().map_err(|error| wrong(HOUSEKEEPING, error.to_string()))?;
        }
        if let Some(text) = given(SCANNER) {
            environment.scanner =
                serde_json::from_str(&text).map_err(|error| wrong(SCANNER, error.to_string()))?;
            environment.scanner.check(SCANNER_SECONDS).map_err(|error| wrong(SCANNER, error.to_string()))?;
        }
        if let Some(text) = given(HOSTNAME) {
            if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
                return Err(wrong(HOSTNAME, format!("{text:?} is no host name")));
            }
            environment.hostname = text;
        }
        environment.is_sending = is_sending(&lookup)?;
        environment.memory_mb = given(MEMORY).and_then(|text| text.parse().ok()).unwrap_or_default();
        Ok(environment)
    }
}

/// Is anything sent to other servers?
///
/// # Errors
/// [`FunctionError::Environment`].
pub(crate) fn is_sending(lookup: impl Fn(&str) -> Option<String>) -> Result<bool, FunctionError> {
    match lookup(SENDING).as_deref().map(str::trim) {
        Some("on") => Ok(true),
        None | Some("" | "off") => Ok(false),
        Some(other) => {
            let cause = format!("{other:?} is neither on nor off");
            Err(FunctionError::Environment { name: SENDING, cause })
        }
    }
}

#[cfg(test)]
mod tests {
    use pennypost_model::event::Stage;

    use super::*;

    fn of(name: &str, value: &str) -> Result<Environment, FunctionError> {
        Environment::of(|wanted| (wanted == name).then(|| value.to_owned()))
    }

    #[test]
    fn what_is_not_said_is_the_default() {
        let environment = Environment::of(|_| None).expect("reads");
        assert_eq!((environment.fusing, environment.memory_mb), (Fusing::fused(), 0));
        assert_eq!(environment.hostname, "localhost");
        assert_eq!(of(HOSTNAME, "mx.example").expect("reads").hostname, "mx.example");
        assert!(!environment.is_sending && !of(SENDING, "off").expect("reads").is_sending);
        assert!(of(SENDING, "on").expect("reads").is_sending);
        assert_eq!(of(FUSE, " ").expect("reads").fusing, Fusing::fused());
        let unfused = of(FUSE, "deliver,notify").expect("reads").fusing;
        assert_eq!(unfused, Fusing::of([Stage::Deliver, Stage::Notify]));
        let housekeeping = of(HOUSEKEEPING, r#"{"restore_days": 3}"#).expect("reads").housekeeping;
        assert!((housekeeping.restore_days - 3.0).abs() < f64::EPSILON);
        assert_eq!(housekeeping.index, housekeep::Index::Opened);
        assert!(of(SCANNER, " ").expect("reads").scanner.scanners().is_empty());
        let said = of(SCANNER, r#"{"clamav": "clamd.internal:3310"}"#).expect("reads");
        assert_eq!(said.scanner.scanners().len(), 1);
        let all = of(HOUSEKEEPING, r#"{"index": "all"}"#).expect("reads").housekeeping;
        assert_eq!(all.index, housekeep::Index::All);
    }

    #[test]
    fn what_can_not_be_meant_is_told() {
        for (name, value) in [
            (FUSE, "filter deliver"),
            (HOUSEKEEPING, "restore_days=3"),
            (HOUSEKEEPING, r#"{"restore_day": 3}"#),
            (HOUSEKEEPING, r#"{"restore_days": 30}"#),
            (HOSTNAME, "mx.example\r\nX: y"),
            (SENDING, "yes"),
            (SCANNER, "clamd:3310"),
            (SCANNER, r#"{"clamav": "clamd"}"#),
            (SCANNER, r#"{"clamav": "clamd:3310", "timeout_seconds": 21}"#),
        ] {
            let error = of(name, value).expect_err(value).to_string();
            assert!(error.starts_with(name), "{error}");
        }
    }
}
