use super::*;
use crate::test_office::{documents, office, printed};
use pennypost_model::MailboxId;

fn args(name: Option<&str>, limit: u32, before: Option<u32>) -> MailboxArgs {
    MailboxArgs { address: "ann@acme.example".to_owned(), name: name.map(str::to_owned), limit, before }
}

#[tokio::test]
async fn mailboxes_and_their_newest_messages_are_listed() {
    let it = office().await;
    let work = it.mailbox("Work").await;
    for number in 1..=5 {
        let raw = format!("From: Bob \x1b[1m <bob@b.example>\r\nSubject: No {number}\r\n\r\nhi\r\n");
        it.store(work, raw.as_bytes(), if number == 2 { &["\\Seen", "Blue"] } else { &[] }).await;
    }
    it.store(MailboxId::INBOX, b"Subject: other\r\n\r\n", &[]).await;

    let list_it = async |args: MailboxArgs, json: bool| {
        printed(json, async |output| list(&it.office, &args, &it.text, output).await.expect("lists")).await
    };
    let all = documents(&list_it(args(None, 50, None), true).await);
    assert_eq!(all[0]["name"], "INBOX");
    let found = all.iter().find(|mailbox| mailbox["name"] == "Work").expect("Work");
    assert_eq!((&found["messages"], &found["unseen"]), (&json!(5), &json!(4)));
    assert_eq!(found["uidnext"], 6);

    let newest = documents(&list_it(args(Some("Work"), 2, None), true).await);
    let subjects: Vec<_> = newest.iter().map(|message| message["subject"].clone()).collect();
    assert_eq!(subjects, ["No 5", "No 4"]);
    let older = documents(&list_it(args(Some("Work"), 2, Some(4)), true).await);
    let uids: Vec<_> = older.iter().map(|message| message["uid"].clone()).collect();
    assert_eq!(uids, [3, 2]);
    assert_eq!(older[1]["flags"], json!(["\\Seen", "Blue"]));
    assert_eq!(older[1]["from"]["address"], "bob@b.example");

    let table = list_it(args(Some("Work"), 50, None), false).await;
    assert_eq!(table.len(), 6);
    assert!(!table.join("").contains('\x1b'), "{table:?}");
    assert!(table[1].contains("No 5"), "{table:?}");
    let nothing = list_it(args(Some("Work"), 50, Some(1)), false).await;
    assert_eq!(nothing, ["there are no such messages in Work"]);
}

#[tokio::test]
async fn what_is_not_there_is_said() {
    let it = office().await;
    let (args, mut nowhere) = (args(Some("Nowhere"), 1, None), Vec::new());
    let result = list(&it.office, &args, &it.text, &mut Output::new(&mut nowhere, false)).await;
    let error = result.expect_err("no such mailbox").message(&it.text);
    assert!(error.contains("Nowhere"), "{error}");
}
