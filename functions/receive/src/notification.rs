//! What SES says of a letter that it has received and put into a bucket: the notification of a receipt rule's S3 action,
//! as `docs.aws.amazon.com/ses/latest/dg/receiving-email-notifications-contents.html` has it. Only the fields that matter
//! here; others may come and go.

use pennypost_model::Timestamp;
use pennypost_model::event::{DmarcPolicy, Verdict};
use serde::Deserialize;

/// The id of the message by which SES tells that a rule was made. It stands for no letter.
const SETUP: &str = "AMAZON_SES_SETUP_NOTIFICATION";
/// Bytes of an address at most: 64 of a local part, `@`, 255 of a domain (RFC 5321 section 4.5.3.1).
const MAX_ADDRESS: usize = 320;
/// Bytes of an id at most.
const MAX_ID: usize = 200;

/// A letter that lies in a bucket, and what SES found out about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notification {
    /// SES's id of the message: letters, digits, `-`, `_` and `.`.
    pub id: String,
    /// When SES received it.
    pub time: Timestamp,
    /// The bucket.
    pub bucket: String,
    /// The object's name.
    pub object: String,
    /// MAIL FROM; empty for `<>`.
    pub reverse_path: String,
    /// The addresses of RCPT TO that the rule was for.
    pub recipients: Vec<String>,
    /// What SES found.
    pub verdicts: Verdicts,
    /// The region of the topic, if it names one.
    pub region: Option<String>,
}

/// What SES found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Verdicts {
    /// `Fail`: it is spam.
    pub spam: Verdict,
    /// `Fail`: there is a virus in it.
    pub virus: Verdict,
    /// SPF (RFC 7208).
    pub spf: Verdict,
    /// DKIM (RFC 6376).
    pub dkim: Verdict,
    /// DMARC (RFC 7489).
    pub dmarc: Verdict,
    /// What the author's domain asks for.
    pub dmarc_policy: DmarcPolicy,
}

/// What is said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said {
    /// A letter is there.
    Letter(Box<Notification>),
    /// A rule was made. Nothing is to be done.
    RuleWasMade,
}

/// Why a document is no notification of a letter.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// Not JSON, or not of this form.
    #[error("no notification of received mail: {0}")]
    Form(String),
    /// The bucket speaks, and not SES.
    #[error(
        "the bucket's own notification does not say for whom a letter was received: let the receipt rule's S3 action \
         publish to the topic, and the bucket to nobody"
    )]
    FromBucket,
    /// Of another kind.
    #[error("a notification about {0:?}, and not about received mail")]
    Kind(String),
    /// Of another action of the rule.
    #[error("a notification of the action {0:?}: only the S3 action says where the letter lies")]
    Action(String),
    /// A field has a value that it can't have.
    #[error("the notification's {0} can't be")]
    Field(&'static str),
}

impl Notification {
    /// Reads it: by itself, or wrapped as SNS does without raw delivery.
    ///
    /// # Errors
    /// [`Malformed`].
    pub fn read(document: &[u8]) -> Result<Said, Malformed> {
        let read: Document = serde_json::from_slice(document).map_err(form)?;
        if read.records.is_some() {
            return Err(Malformed::FromBucket);
        }
        let Some(message) = read.message else { return read.said() };
        let inner: Document = serde_json::from_str(&message).map_err(form)?;
        if inner.records.is_some() {
            return Err(Malformed::FromBucket);
        }
        inner.said()
    }
}

#[allow(clippy::needless_pass_by_value)] // for map_err
fn form(error: serde_json::Error) -> Malformed {
    Malformed::Form(error.to_string())
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    notification_type: Option<String>,
    mail: Option<Mail>,
    receipt: Option<Receipt>,
    /// SNS's wrapping.
    #[serde(rename = "Message")]
    message: Option<String>,
    /// S3's own.
    #[serde(rename = "Records")]
    records: Option<serde::de::IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Mail {
    message_id: String,
    timestamp: String,
    #[serde(default)]
    source: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Receipt {
    #[serde(default)]
    recipients: Vec<String>,
    action: Action,
    spam_verdict: Option<Found>,
    virus_verdict: Option<Found>,
    spf_verdict: Option<Found>,
    dkim_verdict: Option<Found>,
    dmarc_verdict: Option<Found>,
    dmarc_policy: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Action {
    r#type: String,
    #[serde(default)]
    bucket_name: String,
    #[serde(default)]
    object_key: String,
    #[serde(default)]
    topic_arn: String,
}

#[derive(Deserialize)]
struct Found {
    status: String,
}

impl Document {
    fn said(self) -> Result<Said, Malformed> {
        match self.notification_type.as_deref() {
            Some("Received") => {}
            Some(other) => return Err(Malformed::Kind(shortened(other))),
            None => return Err(Malformed::Form("it has no notificationType".to_owned())),
        }
        let mail = self.mail.ok_or(Malformed::Field("mail"))?;
        if mail.message_id == SETUP {
            return Ok(Said::RuleWasMade);
        }
        let receipt = self.receipt.ok_or(Malformed::Field("receipt"))?;
        let verdicts = receipt.verdicts();
        let Receipt { recipients, action, .. } = receipt;
        if action.r#type != "S3" {
            return Err(Malformed::Action(shortened(&action.r#type)));
        }
        if recipients.is_empty() || !recipients.iter().all(|address| is_address(address)) {
            return Err(Malformed::Field("recipients"));
        }
        let region = action.topic_arn.split(':').nth(3).filter(|region| is_name(region, "-"));
        Ok(Said::Letter(Box::new(Notification {
            id: Some(mail.message_id).filter(|id| is_name(id, "-_.")).ok_or(Malformed::Field("messageId"))?,
            time: Timestamp::from_rfc3339(&mail.timestamp).ok_or(Malformed::Field("timestamp"))?,
            region: region.map(str::to_owned),
            bucket: Some(action.bucket_name)
                .filter(|name| !name.is_empty())
                .ok_or(Malformed::Field("bucketName"))?,
            object: Some(action.object_key)
                .filter(|name| !name.is_empty())
                .ok_or(Malformed::Field("objectKey"))?,
            reverse_path: reverse_path(&mail.source).ok_or(Malformed::Field("source"))?,
            recipients,
            verdicts,
        })))
    }
}

impl Receipt {
    fn verdicts(&self) -> Verdicts {
        let of = |found: &Option<Found>| found.as_ref().map_or(Verdict::None, |found| verdict(&found.status));
        let policy = self.dmarc_policy.as_deref().unwrap_or_default();
        Verdicts {
            spam: of(&self.spam_verdict),
            virus: of(&self.virus_verdict),
            spf: of(&self.spf_verdict),
            dkim: of(&self.dkim_verdict),
            dmarc: of(&self.dmarc_verdict),
            dmarc_policy: match policy.to_ascii_lowercase().as_str() {
                "reject" => DmarcPolicy::Reject,
                "quarantine" => DmarcPolicy::Quarantine,
                _ => DmarcPolicy::None,
            },
        }
    }
}

/// `GRAY` is what could not be tested, since there is no signature, policy or record; `DISABLED` what was not.
fn verdict(status: &str) -> Verdict {
    match status.to_ascii_uppercase().as_str() {
        "PASS" => Verdict::Pass,
        "FAIL" => Verdict::Fail,
        "PROCESSING_FAILED" => Verdict::TempError,
        _ => Verdict::None,
    }
}

fn shortened(text: &str) -> String {
    text.chars().take(40).collect()
}

/// Letters, digits, and some others.
fn is_name(text: &str, others: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || others.as_bytes().contains(&byte);
    !text.is_empty() && text.len() <= MAX_ID && text.bytes().all(is_part)
}

/// May it stand in a header field and in the log? Whether it is an address is the directory's to say.
fn is_address(text: &str) -> bool {
    !text.is_empty() && is_path(text)
}

fn is_path(text: &str) -> bool {
    text.len() <= MAX_ADDRESS
        && !text.contains(|character: char| character.is_control() || "<>".contains(character))
}

fn reverse_path(source: &str) -> Option<String> {
    let bare = source.strip_prefix('<').and_then(|rest| rest.strip_suffix('>')).unwrap_or(source).trim();
    is_path(bare).then(|| bare.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    fn document() -> Value {
        json!({
            "notificationType": "Received",
            "receipt": {
                "timestamp": "2015-09-11T20:32:33.936Z",
                "processingTimeMillis": 222,
                "recipients": ["recipient@example.com"],
                "spamVerdict": { "status": "PASS" },
                "virusVerdict": { "status": "DISABLED" },
                "spfVerdict": { "status": "GRAY" },
                "dkimVerdict": { "status": "PROCESSING_FAILED" },
                "dmarcVerdict": { "status": "FAIL" },
                "dmarcPolicy": "reject",
                "action": {
                    "type": "S3",
                    "topicArn": "arn:aws:sns:us-east-1:012345678912:example-topic",
                    "bucketName": "example-bucket",
                    "objectKey": "inbound/d6iitobk75ur44p8kdnnp7g2n800",
                },
            },
            "mail": {
                "timestamp": "2015-09-11T20:32:33.936Z",
                "source": "0000014fbe1c09cf@amazonses.com",
                "messageId": "d6iitobk75ur44p8kdnnp7g2n800",
                "destination": ["recipient@example.com", "somebody@elsewhere.example"],
                "headersTruncated": false,
                "headers": [{ "name": "Subject", "value": "Example subject" }],
            },
        })
    }

    fn read(document: &Value) -> Result<Said, Malformed> {
        Notification::read(document.to_string().as_bytes())
    }

    fn letter(document: &Value) -> Notification {
        match read(document) {
            Ok(Said::Letter(letter)) => *letter,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_notification_is_read_plain_and_wrapped() {
        let found = letter(&document());
        let expected = Notification {
            id: "d6iitobk75ur44p8kdnnp7g2n800".to_owned(),
            time: Timestamp(1_442_003_553_936),
            bucket: "example-bucket".to_owned(),
            object: "inbound/d6iitobk75ur44p8kdnnp7g2n800".to_owned(),
            reverse_path: "0000014fbe1c09cf@amazonses.com".to_owned(),
            recipients: vec!["recipient@example.com".to_owned()],
            verdicts: Verdicts {
                spam: Verdict::Pass,
                virus: Verdict::None,
                spf: Verdict::None,
                dkim: Verdict::TempError,
                dmarc: Verdict::Fail,
                dmarc_policy: DmarcPolicy::Reject,
            },
            region: Some("us-east-1".to_owned()),
        };
        assert_eq!(found, expected);
        let wrapped = json!({ "Type": "Notification", "Message": document().to_string() });
        assert_eq!(letter(&wrapped), expected);
    }

    #[test]
    fn the_null_path_and_missing_verdicts_are_read() {
        for source in ["", "<>", " "] {
            let mut document = document();
            document["mail"]["source"] = json!(source);
            document["receipt"].as_object_mut().expect("object").retain(|name, _| !name.ends_with("Verdict"));
            let found = letter(&document);
            assert_eq!((found.reverse_path.as_str(), found.verdicts.spf), ("", Verdict::None));
        }
    }

    #[test]
    fn a_rule_that_was_made_is_no_letter() {
        let mut document = document();
        document["mail"]["messageId"] = json!(SETUP);
        assert_eq!(read(&document), Ok(Said::RuleWasMade));
    }

    #[test]
    fn what_can_not_be_is_told() {
        for (path, value, wanted) in [
            ("/notificationType", json!("Bounce"), "about \"Bounce\""),
            ("/receipt/action/type", json!("SNS"), "the action \"SNS\""),
            ("/receipt/action/objectKey", json!(""), "objectKey"),
            ("/receipt/action/bucketName", json!(""), "bucketName"),
            ("/receipt/recipients", json!([]), "recipients"),
            ("/receipt/recipients", json!(["a@b.example\r\nX: y"]), "recipients"),
            ("/mail/source", json!("a\n@b.example"), "source"),
            ("/mail/messageId", json!("a b"), "messageId"),
            ("/mail/timestamp", json!("yesterday"), "timestamp"),
            ("/mail", Value::Null, "mail"),
            ("/receipt", Value::Null, "receipt"),
            ("/receipt/recipients", json!("a@b.example"), "no notification"),
        ] {
            let mut document = document();
            *document.pointer_mut(path).expect(path) = value;
            let error = read(&document).expect_err(path).to_string();
            assert!(error.contains(wanted), "{error}");
        }
        let from_bucket = json!({ "Records": [{ "eventSource": "aws:s3", "s3": {} }] });
        assert_eq!(read(&from_bucket), Err(Malformed::FromBucket));
        let wrapped = json!({ "Type": "Notification", "Message": from_bucket.to_string() });
        assert_eq!(read(&wrapped), Err(Malformed::FromBucket));
        assert!(read(&json!({ "hello": "world" })).is_err());
    }

    proptest! {
        #[test]
        fn nothing_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200), text in ".{0,60}") {
            let _ = Notification::read(&bytes);
            let mut document = document();
            for path in ["/mail/source", "/mail/messageId", "/mail/timestamp", "/receipt/action/topicArn"] {
                *document.pointer_mut(path).expect(path) = json!(text);
            }
            let _ = read(&document);
        }
    }
}
