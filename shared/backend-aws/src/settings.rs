//! What the environment says about the installation: names of tables, queues and the bucket.
//!
//! Region, credentials and endpoints are not here: the SDK takes them from the standard AWS environment
//! (`AWS_REGION`, `AWS_ENDPOINT_URL`, `AWS_ENDPOINT_URL_S3`, …, profiles, container and instance roles).

use pennypost_model::event::Stage;

use crate::Error;

const DEFAULT_STACK: &str = "pennypost";

/// For how many days records of the log are kept, unless the environment says otherwise.
const HALF_A_YEAR: u32 = 180;

/// How long records of the log are kept. Each record is given its end when it is written, so that a change holds for
/// what is written from then on. Operations of administrators are kept without limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// Days for what happened to each message (LOG-04), and for what was used.
    pub trace_days: u32,
    /// Days for sign-ins (LOG-05).
    pub login_days: u32,
}

impl Default for Retention {
    fn default() -> Retention {
        Retention { trace_days: HALF_A_YEAR, login_days: HALF_A_YEAR }
    }
}

/// Names of an installation's resources.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// What the names of tables, queues and the bucket begin with (`PENNYPOST_STACK`).
    pub stack: String,
    /// The table of the journals (`PENNYPOST_JOURNAL_TABLE`).
    pub journal_table: String,
    /// The control table (`PENNYPOST_CONTROL_TABLE`).
    pub control_table: String,
    /// The table of the log (`PENNYPOST_LOG_TABLE`).
    pub log_table: String,
    /// The bucket of the objects (`PENNYPOST_BUCKET`).
    pub bucket: String,
    /// The bucket into which another service puts mail that it has received for us (`PENNYPOST_RAW_BUCKET`), if there is
    /// one.
    pub raw_bucket: Option<String>,
    /// URLs of queues (`PENNYPOST_QUEUE_INBOUND`, `_FILTER`, …), in the order of [`Stage::ALL`], where they were given;
    /// the others are looked up by [`Settings::queue_name`].
    queue_urls: [Option<String>; Stage::ALL.len()],
    /// Are buckets named in the path of a URL (`PENNYPOST_S3_PATH_STYLE`)? Where nothing is
    /// said: if an endpoint is set.
    pub s3_path_style: Option<bool>,
    /// How long log records are kept (`PENNYPOST_TRACE_DAYS`, `PENNYPOST_LOGIN_DAYS`).
    pub retention: Retention,
}

impl Settings {
    /// The names that follow from `stack` alone.
    #[must_use]
    pub fn of_stack(stack: &str) -> Settings {
        Settings {
            stack: stack.to_owned(),
            journal_table: format!("{stack}-journal"),
            control_table: format!("{stack}-control"),
            log_table: format!("{stack}-log"),
            bucket: format!("{stack}-mail"),
            raw_bucket: None,
            queue_urls: [const { None }; Stage::ALL.len()],
            s3_path_style: None,
            retention: Retention::default(),
        }
    }

    /// The names that the environment gives. An empty variable counts as none.
    ///
    /// # Errors
    /// [`Error::BadSetting`] when a variable has a value that it can't have.
    pub fn from_env() -> Result<Settings, Error> {
        Settings::from_lookup(|name| std::env::var(name).ok())
    }

    fn from_lookup(lookup: impl Fn(&str) -> Option<String>) -> Result<Settings, Error> {
        let given = |name: &str| lookup(name).filter(|value| !value.is_empty());
        let stack = given("PENNYPOST_STACK").unwrap_or_else(|| DEFAULT_STACK.to_owned());
        let mut settings = Settings::of_stack(&stack);
        for (name, place) in [
            ("PENNYPOST_JOURNAL_TABLE", &mut settings.journal_table),
            ("PENNYPOST_CONTROL_TABLE", &mut settings.control_table),
            ("PENNYPOST_LOG_TABLE", &mut settings.log_table),
            ("PENNYPOST_BUCKET", &mut settings.bucket),
        ] {
            if let Some(value) = given(name) {
                *place = value;
            }
        }
        settings.raw_bucket = given("PENNYPOST_RAW_BUCKET");
        for (stage, place) in Stage::ALL.into_iter().zip(&mut settings.queue_urls) {
            let name = format!("PENNYPOST_QUEUE_{}", stage.queue().to_uppercase());
            *place = given(&name);
            if place.as_ref().is_some_and(|url| !url.contains("://")) {
                return Err(Error::BadSetting { name, wanted: "the URL of a queue" });
            }
        }
        const PATH_STYLE: &str = "PENNYPOST_S3_PATH_STYLE";
        settings.s3_path_style = match given(PATH_STYLE).as_deref() {
            // What is no endpoint of AWS seldom has a host name for each bucket.
            None => ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"]
                .into_iter()
                .any(|name| given(name).is_some())
                .then_some(true),
            Some("true" | "1") => Some(true),
            Some("false" | "0") => Some(false),
            Some(_) => {
                return Err(Error::BadSetting { name: PATH_STYLE.to_owned(), wanted: "true or false" });
            }
        };
        for (name, days) in [
            ("PENNYPOST_TRACE_DAYS", &mut settings.retention.trace_days),
            ("PENNYPOST_LOGIN_DAYS", &mut settings.retention.login_days),
        ] {
            if let Some(value) = given(name) {
                *days = value.parse().ok().filter(|days| *days > 0).ok_or_else(|| Error::BadSetting {
                    name: name.to_owned(),
                    wanted: "a number of days, 1 at least",
                })?;
            }
        }
        Ok(settings)
    }

    /// The URL of a stage's queue, if it was given.
    #[must_use]
    pub fn queue_url(&self, stage: Stage) -> Option<&str> {
        let place = Stage::ALL.iter().position(|known| *known == stage)?;
        self.queue_urls[place].as_deref()
    }

    /// The name of a stage's queue, to look its URL up with where none was given.
    #[must_use]
    pub fn queue_name(&self, stage: Stage) -> String {
        format!("{}-{}", self.stack, stage.queue())
    }

    /// The name of the queue to which the service moves what was handed out too often without an end.
    #[must_use]
    pub fn dead_queue_name(&self, stage: Stage) -> String {
        format!("{}-dead", self.queue_name(stage))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<Settings, Error> {
        Settings::from_lookup(|name| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn names_follow_from_the_stack_unless_they_are_given() {
        let settings = read(&[]).expect("defaults");
        assert_eq!(settings, Settings::of_stack("pennypost"));
        assert_eq!(settings.bucket, "pennypost-mail");
        assert_eq!(settings.queue_name(Stage::InboundParse), "pennypost-inbound");
        assert_eq!(settings.dead_queue_name(Stage::Housekeep), "pennypost-house-dead");
        let url = "https://sqs.eu-central-1.amazonaws.com/1/x";
        let settings = read(&[
            ("PENNYPOST_STACK", "post"),
            ("PENNYPOST_LOG_TABLE", "records"),
            ("PENNYPOST_BUCKET", ""),
            ("PENNYPOST_RAW_BUCKET", "raw"),
            ("PENNYPOST_QUEUE_HOUSE", url),
            ("PENNYPOST_S3_PATH_STYLE", "true"),
            ("PENNYPOST_TRACE_DAYS", "30"),
        ])
        .expect("good");
        assert_eq!(
            (settings.journal_table.as_str(), settings.log_table.as_str()),
            ("post-journal", "records")
        );
        assert_eq!(settings.bucket, "post-mail");
        assert_eq!(settings.raw_bucket.as_deref(), Some("raw"));
        assert_eq!(settings.queue_url(Stage::Housekeep), Some(url));
        assert_eq!(settings.queue_url(Stage::Notify), None);
        assert_eq!(settings.s3_path_style, Some(true));
        let endpoint = ("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9000");
        assert_eq!(read(&[endpoint]).expect("good").s3_path_style, Some(true));
        let said = [endpoint, ("PENNYPOST_S3_PATH_STYLE", "false")];
        assert_eq!(read(&said).expect("good").s3_path_style, Some(false));
        assert_eq!(settings.retention, Retention { trace_days: 30, login_days: 180 });
    }

    #[test]
    fn values_that_cannot_be_are_named() {
        for (name, value) in [
            ("PENNYPOST_S3_PATH_STYLE", "maybe"),
            ("PENNYPOST_QUEUE_NOTIFY", "pennypost-notify"),
            ("PENNYPOST_TRACE_DAYS", "0"),
            ("PENNYPOST_LOGIN_DAYS", "a year"),
        ] {
            let error = read(&[(name, value)]).expect_err(name);
            assert!(error.to_string().contains(name), "{error}");
        }
    }
}
