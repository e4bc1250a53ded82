//! `pennypost sending read-status`: whether members see who of their colleagues has read what they sent (DLV-07).

use clap::Args;
use pennypost_admin::{AdminError, ReadStatusWish};
use pennypost_model::Timestamp;
use serde_json::json;

use super::{OPERATOR, refused, tenant};
use crate::office::Office;
use crate::print::{Output, time};
use crate::text::Text;
use crate::{Failed, say};

/// Whether they see it.
#[derive(Debug, Args)]
pub struct ReadStatusArgs {
    /// They see it from now on
    #[arg(long)]
    at_once: bool,
    /// They see it after 48 hours, and all are told so by a letter
    #[arg(long = "after-48-hours", conflicts_with = "at_once")]
    later: bool,
    /// They do not see it
    #[arg(long, conflicts_with_all = ["at_once", "later"])]
    off: bool,
    /// Name or id of the tenant; may be left out if there is only one
    #[arg(long)]
    tenant: Option<String>,
}

/// Shows or says it.
pub(super) async fn run(
    office: &Office,
    args: &ReadStatusArgs,
    text: &Text,
    output: &mut Output<'_>,
) -> Result<(), Failed> {
    let tenant = tenant(office, args.tenant.as_deref(), text).await?;
    let administration = office.administration();
    let told = |error: AdminError| refused(error, text);
    let seen = administration.read_status(&OPERATOR, tenant.id).await.map_err(told)?;
    let wish = match (args.at_once, args.later, args.off) {
        (true, ..) => Some(ReadStatusWish::AtOnce),
        (_, true, _) => Some(ReadStatusWish::Later),
        (_, _, true) => Some(ReadStatusWish::Off),
        _ => None,
    };
    let status = match wish {
        Some(wish) => {
            administration.change_read_status(&OPERATOR, tenant.id, &seen, wish).await.map_err(told)?
        }
        None => seen,
    };
    let is_on = status.began(office.clock.now()).is_some();
    let name = tenant.name.as_str();
    let sentence = match status.since {
        None => say!(text, "read-status-off", name = name),
        Some(since) if is_on => say!(text, "read-status-on", name = name, since = time(since)),
        Some(since) => say!(text, "read-status-later", name = name, since = time(since)),
    };
    let document = json!({
        "tenant": tenant.id.to_string(),
        "state": if is_on { "on" } else if status.since.is_some() { "later" } else { "off" },
        "since": status.since.map(Timestamp::rfc3339),
        "telling": status.telling.is_some(),
        "told": status.told.map(Timestamp::rfc3339),
    });
    Ok(output.result(&sentence, &document)?)
}

#[cfg(test)]
mod tests {
    use super::super::tests::done;
    use crate::test_office::{self, documents};
    use pennypost_model::event::Stage;
    use serde_json::json;

    /// Feature DLV-07: by commands, too; the letter to all members comes once, in both languages
    #[tokio::test(flavor = "multi_thread")]
    async fn read_status_is_said_by_commands() {
        let it = test_office::office().await;
        let say = async |line: &str| {
            let line = format!("sending read-status {line}");
            documents(&done(&it, line.trim_end(), true).await.expect("said")).remove(0)
        };
        // It is on where nobody has said anything.
        assert_eq!(
            (&say("").await["state"], &say("--after-48-hours").await["state"]),
            (&json!("on"), &json!("on"))
        );
        assert_eq!(say("--off").await["since"], json!(null));
        let off = done(&it, "sending read-status", false).await.expect("shown");
        assert!(off[0].contains("do not see"), "{off:?}");
        let later = say("--after-48-hours").await;
        assert_eq!((&later["state"], &later["telling"]), (&json!("later"), &json!(false)));
        assert_ne!(later["told"], json!(null));
        assert_eq!(say("--after-48-hours").await["since"], later["since"], "it is not put off");
        assert_eq!(it.work(Stage::InboundParse).await, 1);
        let letters = it.office.administration();
        let mail = pennypost_housekeep::KeptMail::new(it.office.store.clone(), it.office.control());
        let newest = pennypost_admin::Mail::newest_letters(&mail, it.account.key, 9).await.expect("read");
        let [letter] = &newest[..] else { panic!("{newest:?}") };
        assert!(letter.card.subject.contains("read") && letter.card.subject.contains("已读"), "{letter:?}");
        // Who had died before all were told is told again, and gets nothing twice.
        let (directory, tenant) = (&it.office.directory, it.account.key.tenant);
        let told = directory.read_status(tenant).await.expect("read");
        let id = it.office.ids.event(it.office.clock.now());
        let half = pennypost_directory::ReadStatus { telling: Some(id), ..told.clone() };
        for _ in 0..2 {
            let before = directory.read_status(tenant).await.expect("read");
            assert_eq!(directory.change_read_status(tenant, &before, &half).await, Ok(true));
            assert_eq!(letters.tell_of_read_status(tenant).await, Ok(1));
        }
        assert_eq!(it.work(Stage::InboundParse).await, 2);
        let newest = pennypost_admin::Mail::newest_letters(&mail, it.account.key, 9).await.expect("read");
        assert_eq!(newest.len(), 2);
        assert_eq!(say("--at-once").await["state"], "on");
    }
}
