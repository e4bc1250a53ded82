//! What may not be read on its way (REQUIRETLS), and what goes whatever becomes of TLS (TLS-Required: No): RFC 8689.

use super::*;

#[tokio::test]
async fn what_is_private_is_so_on_each_of_its_ways_and_comes_back_without_its_text() {
    let it = fixture();
    let wishes = Wishes { full: Some(true), ..Wishes::default() };
    let letter = asking(it.letter(&["you@a.example", "you@b.example"]), wishes).private(true);
    it.handle(&letter).await;
    let text = "REQUIRETLS support required".to_owned();
    let answer = RemoteAnswer { code: None, status: "5.7.30".to_owned(), text };
    it.town.answers.lock().push_back((RemoteOutcome::Failed, answer));
    it.work().await;
    assert_eq!(*it.town.wanted.lock(), [(true, false); 2]);
    let [(report, text)] = &it.reports().await[..] else { panic!("one report") };
    assert!(text.contains("you@a.example\r\nAction: failed\r\nStatus: 5.7.30"), "{text}");
    assert!(text.contains("text/rfc822-headers") && !text.contains("\r\nhello\r\n"), "{text}");
    assert_eq!((report.source.kind.is_private(), report.source.kind.way()), (true, &SourceKind::System));
    // What others want to be kept private stays so, whoever forwards it.
    let mut incoming = it.letter(&[]).private(true);
    incoming.id = EventId::from_parts(it.clock.now(), 6);
    incoming.source.kind = SourceKind::Smtp.private(true);
    incoming.reverse_path = "you@far.example".to_owned();
    let account = AccountKey { tenant: TENANT, account: AccountId(3) };
    let from = "bob@t.example".to_owned();
    let forwards = vec![pennypost_model::event::Forward { account, from, to: "bob@c.example".to_owned() }];
    let event = pennypost_model::event::Forwarding { accepted: incoming, forwards };
    let handled = it.sender.handle(vec![Event::Forwarding(Box::new(event))]).await;
    assert_eq!(handled, [Ok(Vec::new())]);
    it.work().await;
    assert_eq!(it.town.wanted.lock().last(), Some(&(true, false)));
    // Programs of before leave it alone.
    let partition = format!("{TENANT}/outbound");
    let items = it.backend.control().query(&partition, "", None, 9).await.expect("read");
    assert!(items.len() == 3 && items.iter().all(|(_, item)| item.value[0] == 5));
}

#[tokio::test]
async fn policies_of_others_are_ignored_where_the_sender_says_so_and_does_not_say_the_opposite() {
    for (fields, is_private, ignores) in [
        ("TLS-Required: No\r\n", false, true),
        ("tls-required:\r\n\tno \r\n", false, true),
        ("TLS-Required: No\r\n", true, false),
        ("TLS-Required: yes\r\n", false, false),
        ("TLS-Required: No\r\nTLS-Required: No\r\n", false, false),
        ("", false, false),
    ] {
        let it = fixture();
        let mut letter = it.letter(&["you@a.example"]).private(is_private);
        letter.body = Body::Inline(compress(format!("{fields}{LETTER}").as_bytes()).expect("compressed"));
        it.handle(&letter).await;
        it.work().await;
        assert_eq!(*it.town.wanted.lock(), [(is_private, ignores)], "{fields}");
    }
    // In the body it says nothing.
    let it = fixture();
    let mut letter = it.letter(&["you@a.example"]);
    letter.body =
        Body::Inline(compress(format!("{LETTER}TLS-Required: No\r\n").as_bytes()).expect("compressed"));
    it.handle(&letter).await;
    it.work().await;
    assert_eq!(*it.town.wanted.lock(), [(false, false)]);
}
