use super::*;
use std::os::unix::fs::symlink;

/// What `for_each` gives: the end of each place and the bytes, or the error.
async fn found(path: &Path) -> Vec<(String, Result<Vec<u8>, String>)> {
    let format = recognise(path).expect("recognised");
    let mut all = Vec::new();
    let last = |place: &str| place.rsplit('/').next().unwrap_or_default().to_owned();
    let done: Result<(), ()> = for_each(path, format, async |found| {
        all.push(match found {
            Ok(message) => (last(&message.place), Ok(message.raw)),
            Err((place, error)) => (last(&place), Err(error.to_string())),
        });
        Ok(())
    })
    .await;
    done.expect("never refused");
    all
}

fn fifo(path: &Path) {
    let made = std::process::Command::new("mkfifo").arg(path).status().expect("mkfifo");
    assert!(made.success());
}

#[tokio::test]
async fn devices_and_pipes_are_not_read() {
    let dir = tempfile::tempdir().expect("folder");
    let pipe = dir.path().join("pipe");
    fifo(&pipe);
    for path in [Path::new("/dev/zero"), Path::new("/dev/null"), &pipe] {
        let error = recognise(path).expect_err("not a file");
        assert_eq!(error.to_string(), "not a regular file");
        assert!(read_message(path, None).is_err());
    }
}

#[tokio::test]
async fn one_bad_entry_does_not_stop_the_rest() {
    let dir = tempfile::tempdir().expect("folder");
    let root = dir.path();
    fs::write(root.join("one.eml"), "Subject: 1\r\n\r\n").expect("written");
    fs::write(root.join("mail"), "From: a@b.example\r\n\r\n").expect("written");
    fs::create_dir(root.join("below")).expect("folder");
    fs::write(root.join("below/two.eml"), "").expect("written");
    fifo(&root.join("pipe"));
    symlink("/no/such/file", root.join("dangling.eml")).expect("link");
    symlink("one.eml", root.join("link.eml")).expect("link");
    symlink(root, root.join("below/loop")).expect("link");
    let found = found(root).await;
    let good: Vec<_> = found.iter().filter(|(_, read)| read.is_ok()).map(|(name, _)| name.as_str()).collect();
    assert_eq!(good, ["two.eml", "link.eml", "mail", "one.eml"]);
    let bad: Vec<_> =
        found.iter().filter_map(|(name, read)| Some((name.as_str(), read.as_ref().err()?))).collect();
    assert_eq!(bad.len(), 3, "{bad:?}");
    for (name, cause) in [
        ("loop", "a link to a folder is not followed"),
        ("dangling.eml", "No such file"),
        ("pipe", "not a regular file"),
    ] {
        assert!(bad.iter().any(|(at, error)| *at == name && error.contains(cause)), "{name}: {bad:?}");
    }
    // For progress only: what is there, once.
    let (one, mail) = ("Subject: 1\r\n\r\n".len(), "From: a@b.example\r\n\r\n".len());
    assert_eq!(total_bytes(root), (2 * one + mail) as u64);
    assert_eq!(total_bytes(&root.join("no such folder")), 0);
}

#[tokio::test]
async fn links_in_a_maildir_are_told() {
    let dir = tempfile::tempdir().expect("folder");
    let root = dir.path();
    for part in ["cur", "new", ".Work", ".Work/cur"] {
        fs::create_dir(root.join(part)).expect("folder");
    }
    fs::write(root.join("cur/1.M.host:2,S"), "no header, but it lies in a Maildir").expect("written");
    symlink("/no/such/file", root.join("new/2.M.host")).expect("link");
    symlink(root, root.join(".Loop")).expect("link");
    let found = found(root).await;
    let good = found.iter().filter(|(_, read)| read.is_ok()).count();
    assert_eq!((good, found.len()), (1, 3), "{found:?}");
}

#[tokio::test]
async fn what_is_not_mail_is_refused_unless_it_is_called_so() {
    let dir = tempfile::tempdir().expect("folder");
    for (name, content, is_mail) in [
        ("empty", &b""[..], false),
        ("garbage", b"\x7fELF\x02\x01\x01\0\0: \xff\xfe\n\n", false),
        ("shadow", b"root:*:19000:0:99999:7:::\ndaemon:*:19000:0:99999:7:::\n", false),
        ("words", b"subject\nfrom here\n\nTo: nobody\n", false),
        ("body", b"\r\nSubject: in the body\r\n", false),
        ("empty.eml", b"", true),
        ("GARBAGE.EML", b"\x7fELF", true),
        ("mail", b"X-First: 1\nsubject : folded\n\n", true),
        ("1234", b"Received: from x\r\n\tby y\r\n\r\n", true),
    ] {
        let path = dir.path().join(name);
        fs::write(&path, content).expect("written");
        let found = found(&path).await;
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].1.is_ok(), is_mail, "{name}: {:?}", found[0].1);
    }
}
