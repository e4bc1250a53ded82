//! What accounts forward to addresses elsewhere.

use pennypost_model::event::{Forward, Forwarding};

use super::*;

impl Fixture {
    async fn forward(&self, letter: &Accepted, to: &[&str]) {
        let account = AccountKey { tenant: TENANT, account: AccountId(3) };
        let from = "bob@t.example".to_owned();
        let forward = |to: &&str| Forward { account, from: from.clone(), to: (*to).to_owned() };
        let forwards = to.iter().map(forward).collect();
        let event = Event::Forwarding(Box::new(Forwarding { accepted: letter.clone(), forwards }));
        assert_eq!(self.sender.handle(vec![event]).await, [Ok(Vec::new())]);
    }
}

/// Somebody else's letter, which came in.
fn incoming(it: &Fixture, to: &[&str]) -> Accepted {
    let mut letter = it.letter(to);
    letter.source.kind = SourceKind::Smtp;
    letter.reverse_path = "you@far.example".to_owned();
    letter
}

/// Feature RUL-06 (part): what is forwarded goes once to each address, whatever is forwarded when the event comes again
#[tokio::test]
async fn each_address_gets_what_is_forwarded_once() {
    let it = fixture();
    let letter = incoming(&it, &[]);
    it.forward(&letter, &["bob@a.example", "cy@a.example"]).await;
    it.forward(&letter, &["bob@a.example", "cy@a.example"]).await;
    it.work().await;
    // What is said was changed meanwhile.
    it.forward(&letter, &["dan@a.example", "cy@a.example"]).await;
    it.work().await;
    let mut to: Vec<String> =
        it.town.handed.lock().iter().map(|(_, recipients, _)| recipients.join(" ")).collect();
    to.sort();
    assert_eq!(to, ["bob@a.example", "cy@a.example", "dan@a.example"]);
    let handed = it.town.handed.lock().clone();
    assert!(handed.iter().all(|(_, _, text)| text.contains("\r\nDelivered-To: bob@t.example\r\nFrom: ")));
    assert_eq!(it.objects().await, 0, "nobody needs the bytes any more");
}

/// A member's own letter goes to his recipients as it does, and what a colleague forwards of it beside them.
#[tokio::test]
async fn what_a_member_sends_is_forwarded_beside_his_own_recipients() {
    let it = fixture();
    let letter = it.letter(&["you@a.example"]);
    it.forward(&letter, &["bob@b.example"]).await;
    it.town.answers.lock().push_back(verdict(RemoteOutcome::Failed, 550, "5.1.1"));
    it.town.answers.lock().push_back(verdict(RemoteOutcome::Failed, 550, "5.1.1"));
    it.work().await;
    it.work().await;
    let handed = it.town.handed.lock().clone();
    let marked: Vec<bool> = handed.iter().map(|(_, _, text)| text.contains("Delivered-To")).collect();
    assert_eq!(marked, [false, true]);
    // Each is told what has failed of his.
    let mut told: Vec<(String, bool)> = it
        .reports()
        .await
        .into_iter()
        .map(|(report, text)| (report.recipients[0].address.clone(), text.contains("forwarded for you")))
        .collect();
    told.sort();
    assert_eq!(told, [("ann@t.example".to_owned(), false), ("bob@t.example".to_owned(), true)]);
}

#[tokio::test]
async fn what_comes_back_is_not_forwarded_again() {
    let it = fixture();
    let mut letter = incoming(&it, &[]);
    let marked = format!("Received: from far\r\nDelivered-To: <BOB@t.example>\r\n{LETTER}");
    letter.body = Body::Inline(compress(marked.as_bytes()).expect("compressed"));
    it.forward(&letter, &["bob@a.example"]).await;
    it.work().await;
    it.work().await;
    assert_eq!((it.tried(), it.reports().await.len(), it.objects().await), (0, 1, 0));
    let [attempt] = &*it.attempts(&letter).await else { panic!("one attempt") };
    assert_eq!(attempt.recipients[0].answer.status, "5.4.6");
}

/// Nobody here vouches for what somebody says of himself who has not signed in.
#[tokio::test]
async fn what_others_have_written_is_not_signed() {
    let secrets: Arc<dyn Secrets> = Arc::new(
        pennypost_sealing::Keyring::parse(&pennypost_sealing::Keyring::fresh().expect("a key"))
            .expect("a ring"),
    );
    let it = with(Town::default(), Some(Arc::clone(&secrets)));
    let keys = KeyStore::new(it.backend.control());
    let now = it.clock.now();
    keys.add(&*secrets, (TENANT, "t.example"), Algorithm::Ed25519, now).await.expect("a key");
    let activated = keys.change(TENANT, "t.example", |keys| {
        keys.keys.iter_mut().for_each(|key| key.state = KeyState::Active);
        Ok::<_, SigningError>(())
    });
    activated.await.expect("active");
    // It says that it is from Ann of t.example. Ed25519 alone seals nothing.
    it.forward(&incoming(&it, &[]), &["bob@a.example"]).await;
    let mut returned = it.letter(&["you@b.example"]);
    (returned.source.kind, returned.reverse_path) = (SourceKind::Returned, String::new());
    returned.id = EventId::from_parts(it.clock.now(), 6);
    it.handle(&returned).await;
    let mut own = it.letter(&["you@c.example"]);
    own.id = EventId::from_parts(it.clock.now(), 7);
    it.forward(&own, &["bob@d.example"]).await;
    it.work().await;
    let handed = it.town.handed.lock().clone();
    let mut signed: Vec<(String, bool)> =
        handed.iter().map(|(to, _, text)| (to.clone(), text.contains("DKIM-Signature:"))).collect();
    signed.sort();
    let expected = [("a.example", false), ("b.example", false), ("c.example", true), ("d.example", true)];
    assert_eq!(signed, expected.map(|(to, is_signed)| (to.to_owned(), is_signed)));
}

/// What was found when it came in is sealed for whoever it goes on to, and for nobody else.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_forwarded_is_sealed_by_the_domain_of_whoever_does() {
    let secrets: Arc<dyn Secrets> = Arc::new(
        pennypost_sealing::Keyring::parse(&pennypost_sealing::Keyring::fresh().expect("a key"))
            .expect("a ring"),
    );
    let it = with(Town::default(), Some(Arc::clone(&secrets)));
    let keys = KeyStore::new(it.backend.control());
    keys.add(&*secrets, (TENANT, "t.example"), Algorithm::Rsa, it.clock.now()).await.expect("a key");
    let activated = keys.change(TENANT, "t.example", |keys| {
        keys.keys.iter_mut().for_each(|key| key.state = KeyState::Active);
        Ok::<_, SigningError>(())
    });
    activated.await.expect("active");
    let receipt =
        "Received: from far\r\n\tby mx.t.example\r\nAuthentication-Results: mx.t.example;\r\n\tspf=pass";
    let number = std::cell::Cell::new(10);
    let letter = |to: &[&str], receipt: &str, before: &str, arc| {
        let mut letter = incoming(&it, to);
        number.set(number.get() + 1);
        letter.id = EventId::from_parts(it.clock.now(), number.get());
        letter.receipt = format!("{receipt}\r\n");
        letter.auth.arc = arc;
        letter.body = Body::Inline(compress(format!("{before}{LETTER}").as_bytes()).expect("compressed"));
        letter
    };
    let sealed = async |letter: &Accepted| {
        it.forward(letter, &["bob@b.example", "cy@c.example"]).await;
        it.work().await;
        let handed = std::mem::take(&mut *it.town.handed.lock());
        assert_eq!(handed.len(), 2);
        let seals: Vec<Option<String>> = handed
            .iter()
            .map(|(_, _, text)| {
                assert!(
                    text.contains("\r\nDelivered-To: bob@t.example\r\n") && text.ends_with(LETTER),
                    "{text}"
                );
                let (head, _) = text.split_once("Delivered-To: ").expect("marked");
                let (first, rest) = head.split_once("\r\n").expect("lines");
                let is_sealed = first.starts_with("ARC-Seal: ");
                assert_eq!(is_sealed, rest.contains("ARC-Message-Signature: "), "{text}");
                assert_eq!(is_sealed, rest.contains(" mx.t.example;\r\n\tspf=pass"), "{text}");
                is_sealed.then(|| first.to_owned())
            })
            .collect();
        assert_eq!(seals[0], seals[1], "one for all of a domain");
        seals[0].clone()
    };
    let first = sealed(&letter(&[], receipt, "", Found::None)).await.expect("sealed");
    assert!(
        first.starts_with("ARC-Seal: i=1; a=rsa-sha256; t=1795000000; cv=none; d=t.example; s=r"),
        "{first}"
    );
    // One that has a chain: it passed, though nobody believes who sealed it; it did not; nobody knows.
    let chain = "ARC-Seal: i=1; cv=none; b=x\r\nARC-Message-Signature: i=1; b=x\r\nARC-Authentication-Results: i=1; far; none\r\n";
    let passed = format!("{receipt};\r\n\tarc=pass smtp.remote-ip=192.0.2.1");
    let second = sealed(&letter(&[], &passed, chain, Found::Neutral)).await.expect("sealed");
    assert!(second.starts_with("ARC-Seal: i=2; ") && second.contains("; cv=pass; "), "{second}");
    let failed = format!("{receipt};\r\n\tarc=fail smtp.remote-ip=192.0.2.1");
    for (receipt, arc) in [(&*failed, Found::Fail), (receipt, Found::None), (&*passed, Found::TempError)] {
        assert_eq!(sealed(&letter(&[], receipt, chain, arc)).await, None, "{arc:?}");
    }
    // Where nothing was looked for there is nothing to tell.
    let nothing = "Received: from far\r\nAuthentication-Results: mx.t.example; none";
    assert_eq!(sealed(&letter(&[], nothing, "", Found::None)).await, None);
}

#[tokio::test]
async fn who_forwards_for_another_tenant_forwards_nothing() {
    let it = fixture();
    let account = AccountKey { tenant: TenantId(99), account: AccountId(3) };
    let forward = Forward { account, from: "x@t.example".to_owned(), to: "y@a.example".to_owned() };
    let accepted = incoming(&it, &[]);
    for (accepted, forwards) in [
        (accepted.clone(), vec![forward]),
        // Somebody else's letter for somebody else, whom nobody forwards it to.
        (incoming(&it, &["you@a.example"]), Vec::new()),
    ] {
        let event = Event::Forwarding(Box::new(Forwarding { accepted, forwards }));
        let outcome = it.sender.handle(vec![event]).await;
        assert!(matches!(&outcome[..], [Err(failure)] if !failure.temporary), "{outcome:?}");
    }
    assert_eq!(it.objects().await, 0);
}

/// What is its own ends first, the other stands; and what is forwarded stands when delivery lets the letter's bytes go, since it
/// knows of no forward when the event comes again.
#[tokio::test]
async fn what_is_forwarded_has_bytes_of_its_own() {
    let it = fixture();
    let mut letter = it.letter(&["you@a.example"]);
    it.forward(&letter, &["bob@b.example"]).await;
    it.forward(&letter, &["cy@c.example"]).await;
    assert_eq!(it.objects().await, 3);
    it.work().await;
    assert_eq!((it.tried(), it.objects().await), (3, 0));

    let Body::Inline(stored) = letter.body.clone() else { panic!("it is short") };
    letter = incoming(&it, &[]);
    letter.id = EventId::from_parts(it.clock.now(), 9);
    let object = names::spool(TENANT, letter.id);
    it.backend.objects().put_unique(&object, codec::encode(&stored).into()).await.expect("spooled");
    letter.body = Body::Spooled { object: object.clone(), size: 9 };
    it.forward(&letter, &["bob@b.example"]).await;
    it.backend.objects().delete(&object).await.expect("let go");
    it.work().await;
    assert_eq!((it.tried(), it.objects().await), (4, 0));
}

/// What marks reverse-paths is damaged: what is forwarded is from nobody, and the letter's own recipients get it as they do.
#[tokio::test]
async fn a_damaged_key_holds_up_nothing() {
    let it = fixture();
    let key = pennypost_ports::ControlKey::new(TENANT.to_string(), "forward-key");
    let control = it.backend.control();
    let put = control.put_if(&key, &[0xff; 3], pennypost_ports::Expected::Absent);
    put.await.expect("written");
    it.forward(&it.letter(&["you@a.example"]), &["bob@b.example"]).await;
    it.work().await;
    assert_eq!(it.tried(), 2);
}
