//! The examples of the RFCs about mailboxes as wholes, and what must not be read.

use pennypost_model::{Rights, SpecialUses};

use super::*;

fn read(line: &str) -> Command {
    command(format!("a {line}").as_bytes()).unwrap_or_else(|error| panic!("{line}: {error}"))
}

fn name(text: &str) -> Name {
    Some(text.to_owned())
}

#[test]
fn create_with_uses() {
    let uses = |line: &str| match read(line) {
        Command::Create { uses, .. } => uses,
        other => panic!("{other:?}"),
    };
    assert_eq!(uses("CREATE x"), None);
    let both = SpecialUses::named("\\Drafts").map(|drafts| drafts.union(uses_of("\\Sent")));
    assert_eq!(uses("CREATE MySpecial (USE (\\Drafts \\Sent))").map(Result::ok), Some(both));
    assert_eq!(uses("CREATE x (use (\\IMPORTANT))"), Some(Ok(uses_of("\\Important"))));
    assert_eq!(uses("CREATE Everything (USE (\\All))"), Some(Err(NoSuchUse)));
    assert_eq!(uses("CREATE x (USE ())"), Some(Ok(SpecialUses::NONE)));
    for bad in
        ["CREATE x (USE)", "CREATE x (USE \\Sent)", "CREATE x ()", "CREATE x (USE (Sent))", "CREATE x "]
    {
        assert!(command(format!("a {bad}").as_bytes()).is_err(), "{bad}");
    }
}

fn uses_of(name: &str) -> SpecialUses {
    SpecialUses::named(name).expect("a use")
}

/// RFC 4314 section 3.
#[test]
fn acl_commands() {
    let lr = Rights::parse("lrswi").expect("rights");
    let set = |change| Acl::Set { mailbox: name("INBOX"), identifier: "Fred".into(), change, rights: lr };
    assert_eq!(read("SETACL INBOX Fred lrswi"), Command::Acl(set(RightsChange::Replace)));
    assert_eq!(read("SETACL INBOX Fred +lrswi"), Command::Acl(set(RightsChange::Add)));
    assert_eq!(read("SETACL INBOX Fred -lrswi"), Command::Acl(set(RightsChange::Remove)));
    assert_eq!(read("GETACL INBOX"), Command::Acl(Acl::Get { mailbox: name("INBOX") }));
    let delete = Acl::Delete { mailbox: name("INBOX"), identifier: "Fred".into() };
    assert_eq!(read("DELETEACL INBOX Fred"), Command::Acl(delete));
    let list = Acl::ListRights { mailbox: name("~/Mail/saved"), identifier: "smith".into() };
    assert_eq!(read("LISTRIGHTS ~/Mail/saved smith"), Command::Acl(list));
    assert!(matches!(read("SETACL x y \"\""), Command::Acl(Acl::Set { rights: Rights::NONE, .. })));
    for bad in
        ["SETACL INBOX Fred", "SETACL INBOX Fred lz", "GETACL", "MYRIGHTS a b", "SETACL INBOX Fred \u{e9}"]
    {
        assert!(command(format!("a {bad}").as_bytes()).is_err(), "{bad}");
    }
}

/// RFC 9208 section 4.1.
#[test]
fn quota_commands() {
    assert_eq!(read("GETQUOTA \"\""), Command::Quota(Quota::Get { root: String::new() }));
    assert_eq!(read("GETQUOTAROOT INBOX"), Command::Quota(Quota::Root { mailbox: name("INBOX") }));
    assert_eq!(read("SETQUOTA \"\" (STORAGE 512)"), Command::Quota(Quota::Set));
    for bad in ["SETQUOTA \"\"", "SETQUOTA \"\" (STORAGE)", "GETQUOTA", "SETQUOTA \"\" (STORAGE x)"] {
        assert!(command(format!("a {bad}").as_bytes()).is_err(), "{bad}");
    }
}

/// RFC 5464 sections 4.2 and 4.3.
#[test]
fn metadata_commands() {
    let get = |line: &str| match read(line) {
        Command::GetMetadata(get) => get,
        other => panic!("{other:?}"),
    };
    let one = get("GETMETADATA \"\" /shared/comment");
    assert_eq!((one.mailbox, one.entries), (name(""), vec!["/shared/comment".to_owned()]));
    let both = get("GETMETADATA \"INBOX\" (/shared/comment /Private/Comment)");
    assert_eq!(both.entries, ["/shared/comment", "/private/comment"]);
    for line in [
        "GETMETADATA (DEPTH 1 MAXSIZE 1024) INBOX (/private/filters/values)",
        "GETMETADATA INBOX (DEPTH 1 MAXSIZE 1024) (/private/filters/values)",
    ] {
        let get = get(line);
        assert_eq!((get.depth, get.max_size), (Depth::One, Some(1024)), "{line}");
        assert_eq!(get.entries, ["/private/filters/values"], "{line}");
    }
    let Command::SetMetadata(set) = read("SETMETADATA INBOX (/private/comment NIL /shared/x ~{3+}\r\na\0b)")
    else {
        panic!("no SETMETADATA")
    };
    let expected = [("/private/comment".to_owned(), None), ("/shared/x".to_owned(), Some(b"a\0b".to_vec()))];
    assert_eq!(set.values, expected);
    for bad in [
        "GETMETADATA INBOX comment",
        "GETMETADATA INBOX /",
        "GETMETADATA INBOX /a//b",
        "GETMETADATA INBOX /a/",
        "GETMETADATA INBOX \"/a*\"",
        "GETMETADATA (DEPTH 2) INBOX /a",
        "GETMETADATA INBOX ()",
        "SETMETADATA INBOX (/private/comment)",
        "SETMETADATA INBOX ()",
        "SETMETADATA INBOX (/private/comment x)",
    ] {
        assert!(command(format!("a {bad}").as_bytes()).is_err(), "{bad}");
    }
    let long = format!("a GETMETADATA INBOX /private/{}", "x".repeat(300));
    assert!(command(long.as_bytes()).is_err());
}

/// RFC 5465 sections 3.1, 6 and 8.
#[test]
fn notify_commands() {
    assert_eq!(read("NOTIFY NONE"), Command::Notify(Notify::None));
    let line = "NOTIFY SET STATUS (selected MessageNew (UID BODY.PEEK[HEADER.FIELDS (From To Subject)]) \
                MessageExpunge) (subtree Lists (MessageNew MessageExpunge))";
    // Events stand in parentheses of their own.
    assert!(command(format!("a {line}").as_bytes()).is_err());
    let line = "NOTIFY SET STATUS (selected-delayed (MessageNew (UID BODY.PEEK[HEADER.FIELDS (From)]) \
                MessageExpunge FlagChange)) (inboxes NONE) (mailboxes (a b) (MailboxName)) \
                (subtree Lists (MessageNew MessageExpunge)) (subscribed (SubscriptionChange)) (personal (Unheard))";
    let Command::Notify(Notify::Set { status: true, groups }) = read(line) else { panic!("no NOTIFY SET") };
    assert_eq!(groups.len(), 6);
    assert_eq!(groups[0].filter, Filter::SelectedDelayed);
    assert_eq!(groups[0].events.fetch.len(), 2);
    assert_eq!(groups[1].events, Events::default());
    assert_eq!(groups[2].filter, Filter::Mailboxes(vec![name("a"), name("b")]));
    assert_eq!(groups[3].filter, Filter::Subtree(vec![name("Lists")]));
    assert!(groups[5].events.unknown);
    for bad in [
        "NOTIFY",
        "NOTIFY SET",
        "NOTIFY SET STATUS",
        "NOTIFY SET (personal (MessageNew))",
        "NOTIFY SET (personal (MessageExpunge))",
        "NOTIFY SET (personal (FlagChange))",
        "NOTIFY SET (personal ())",
        "NOTIFY SET (nobody NONE)",
        "NOTIFY SET (selected (MailboxName))",
        "NOTIFY SET (personal (MessageNew (UID) MessageExpunge))",
    ] {
        assert!(command(format!("a {bad}").as_bytes()).is_err(), "{bad}");
    }
}

#[test]
fn list_with_what_it_returns() {
    let Command::List(list) = read(
        "LIST (SUBSCRIBED RECURSIVEMATCH SPECIAL-USE REMOTE) \"\" (a% b*) \
         RETURN (SUBSCRIBED CHILDREN SPECIAL-USE MYRIGHTS STATUS (MESSAGES DELETED-STORAGE) METADATA (/shared/a))",
    ) else {
        panic!("no LIST")
    };
    assert!(list.select_subscribed && list.recursive_match && list.select_special_use && list.extended);
    assert!(list.return_subscribed && list.return_rights);
    assert_eq!(list.return_metadata, ["/shared/a"]);
    assert_eq!(list.return_status, [StatusItem::Messages, StatusItem::DeletedStorage]);
}
