use super::*;
use crate::mail_files;
use crate::test_office::{TIME, TestOffice, office};
use pennypost_model::MailboxId;
use std::collections::BTreeMap;

const PLAIN: &[u8] = b"Subject: one\r\n\r\nFrom here\r\n>From there\r\nend\r\n";
const NAMES: [&str; 5] = ["Work/2026", "邮件/v1.2", "..", "a\\b:c", "5.eml"];

fn large() -> Vec<u8> {
    let lines = (0..20_000).map(|number| format!("line {number} of a large message\r\n"));
    format!("Subject: large\r\n\r\n{}", lines.collect::<String>()).into_bytes()
}

async fn filled() -> TestOffice {
    let it = office().await;
    it.store(MailboxId::INBOX, PLAIN, &["\\Seen", "\\Flagged"]).await;
    it.store(MailboxId::INBOX, &large(), &[]).await;
    for name in NAMES {
        let mailbox = it.mailbox(name).await;
        it.store(mailbox, format!("Subject: in {name}\r\n\r\nhi\r\n").as_bytes(), &[]).await;
    }
    it
}

async fn exported(it: &TestOffice, dir: &Path, format: Format) -> Summary {
    let args =
        ExportArgs { address: "ann@acme.example".to_owned(), dir: dir.to_owned(), format, mailbox: None };
    export(&it.office, &args, &it.text, false).await.expect("exports")
}

fn files_below(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).expect("folder") {
        let path = entry.expect("entry").path();
        if path.is_dir() { found.extend(files_below(&path)) } else { found.push(path) }
    }
    found.sort();
    found
}

#[tokio::test]
async fn a_repeated_export_adds_only_what_is_missing() {
    let it = filled().await;
    for format in [Format::Maildir, Format::Eml] {
        let dir = it.dir.path().join(format!("{format:?}"));
        let first = exported(&it, &dir, format).await;
        assert_eq!((first.messages, first.skipped, first.failed), (7, 0, 0));
        let files = files_below(&dir);
        let again = exported(&it, &dir, format).await;
        assert_eq!((again.messages, again.skipped), (0, 7), "{format:?}");

        // A file that is cut short, as a broken machine may leave it, is written anew; a missing one, too.
        let large_file = files.iter().find(|file| fs::metadata(file).is_ok_and(|it| it.len() > 100_000));
        let large_file = large_file.expect("the large message");
        assert_eq!(fs::read(large_file).expect("bytes"), large());
        fs::write(large_file, b"Subject: lar").expect("written");
        let message = files.iter().find(|file| file != &large_file && !file.ends_with("maildirfolder"));
        fs::remove_file(message.expect("another")).expect("removed");
        let repaired = exported(&it, &dir, format).await;
        assert_eq!((repaired.messages, repaired.skipped), (2, 5), "{format:?}");
        assert_eq!(files_below(&dir), files);
        assert_eq!(fs::read(large_file).expect("bytes"), large());
        let modified = fs::metadata(large_file).and_then(|file| file.modified()).expect("time");
        assert_eq!(modified, UNIX_EPOCH + Duration::from_millis(TIME.0 as u64));
    }
    let beside: Vec<_> =
        fs::read_dir(it.dir.path()).expect("folder").flatten().map(|e| e.file_name()).collect();
    assert_eq!(beside.len(), 3, "nothing was written outside: {beside:?}");
}

#[tokio::test]
async fn changed_flags_rename_the_file() {
    let it = office().await;
    let placed = it.store(MailboxId::INBOX, PLAIN, &[]).await;
    let dir = it.dir.path().join("out");
    exported(&it, &dir, Format::Maildir).await;
    let room = pennypost_mailstore::Mailroom::new(it.office.store.clone());
    let live = room.account(it.account.key).await.expect("account");
    let mut seen = pennypost_model::FlagSet::default();
    assert!(seen.insert_named("\\Seen"));
    let uids = [placed.uid].into_iter().collect();
    let none = pennypost_model::FlagSet::default();
    let actor = pennypost_model::journal::Actor::Admin;
    live.change(&actor, |draft| draft.flags(MailboxId::INBOX, &uids, &seen, &none)).await.expect("seen");
    let again = exported(&it, &dir, Format::Maildir).await;
    assert_eq!((again.messages, again.skipped), (0, 1));
    let names: Vec<String> = files_below(&dir.join("cur"))
        .iter()
        .map(|path| path.file_name().expect("name").to_string_lossy().into_owned())
        .collect();
    assert_eq!(names.len(), 1);
    assert!(names[0].ends_with(":2,S"), "{names:?}");
}

#[tokio::test]
async fn one_mailbox_alone_is_exported() {
    let it = filled().await;
    let mut args = ExportArgs {
        address: "ann@acme.example".to_owned(),
        dir: it.dir.path().join("one"),
        format: Format::Eml,
        mailbox: Some("..".to_owned()),
    };
    let summary = export(&it.office, &args, &it.text, false).await.expect("exports");
    assert_eq!((summary.mailboxes, summary.messages), (1, 1));
    let files = files_below(it.dir.path().join("one").as_path());
    assert!(files.iter().all(|file| file.starts_with(&args.dir)) && files.len() == 1, "{files:?}");
    args.mailbox = Some("Nowhere".to_owned());
    export(&it.office, &args, &it.text, false).await.expect_err("no such mailbox");
}

/// What our own readers find in an export: messages by mailbox.
async fn read_back(dir: &Path) -> BTreeMap<(String, Vec<u8>), (pennypost_model::FlagSet, Option<Timestamp>)> {
    let mut found = BTreeMap::new();
    let format = mail_files::recognise(dir).expect("recognised");
    mail_files::for_each(dir, format, async |message| {
        let message = message.expect("readable");
        let mailbox = message.mailbox.unwrap_or_else(|| "INBOX".to_owned());
        found.insert((mailbox, message.raw), (message.flags, message.received));
        Ok::<(), ()>(())
    })
    .await
    .expect("reads");
    found
}

#[tokio::test]
async fn our_own_import_reads_every_format() {
    let it = filled().await;
    for format in [Format::Maildir, Format::Mbox, Format::Eml] {
        let dir = it.dir.path().join(format!("{format:?}"));
        let summary = exported(&it, &dir, format).await;
        assert_eq!((summary.messages, summary.failed), (7, 0));
        let found = read_back(&dir).await;
        assert_eq!(found.len(), 7, "{format:?}");
        let inbox = |raw: &[u8]| found.get(&("INBOX".to_owned(), raw.to_vec()));
        let (flags, received) = inbox(PLAIN).unwrap_or_else(|| panic!("{format:?}: {:?}", found.keys()));
        assert!(inbox(&large()).is_some(), "{format:?}");
        if format == Format::Maildir {
            assert_eq!(flags.system.0, 1 | 4);
        }
        if format != Format::Eml {
            assert_eq!(*received, Some(TIME));
        }
        for name in NAMES {
            let raw = format!("Subject: in {name}\r\n\r\nhi\r\n").into_bytes();
            assert!(found.contains_key(&(name.to_owned(), raw)), "{format:?} {name}: {:?}", found.keys());
        }
    }
}
