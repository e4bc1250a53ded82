//! Keys on the embedded backend, and their signatures as others check them.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;
use std::time::Instant;

use mail_auth::common::parse::TxtRecordParser;
use mail_auth::common::verify::DomainKey as Published;
use mail_auth::hickory_resolver::config::{ResolverConfig, ResolverOpts};
use mail_auth::{AuthenticatedMessage, DkimResult, MessageAuthenticator, Parameters, ResolverCache, Txt};
use pennypost_backend_embedded::{Embedded, Options};
use pennypost_model::{TenantId, Timestamp};
use pennypost_ports::PortError;
use pennypost_sealing::Keyring;
use pennypost_signing::{Algorithm, Found, KeyState, KeyStore, Rotation, Seen, SigningError};

const ACME: TenantId = TenantId(7);
const DOMAIN: &str = "acme.example";
/// 2026-11-22.
const NOW: Timestamp = Timestamp(1_795_305_600_000);
const LETTER: &[u8] = b"From: Ann <ann@acme.example>\r\nTo: bob@other.example\r\nSubject: a  folded\r\n subject\r\n\
List-Unsubscribe: <https://acme.example/u>\r\nDate: Sun, 22 Nov 2026 10:00:00 +0000\r\n\r\nHello,\r\n\r\n\tBob \r\n\r\n\r\n";

struct Bench {
    store: KeyStore,
    ring: Keyring,
    _backend: Embedded,
    _dir: tempfile::TempDir,
}

fn ring() -> Keyring {
    Keyring::parse(&Keyring::fresh().expect("randomness")).expect("a key")
}

fn bench() -> Bench {
    let dir = tempfile::tempdir().expect("a folder");
    let backend = Embedded::open(dir.path(), &Options::server()).expect("opens");
    Bench { store: KeyStore::new(backend.control()), ring: ring(), _backend: backend, _dir: dir }
}

impl Bench {
    async fn add(&self, algorithm: Algorithm) -> String {
        let made = self.store.add(&self.ring, (ACME, DOMAIN), algorithm, NOW).await.expect("made");
        assert_eq!(made.state, KeyState::Waiting);
        made.selector
    }

    async fn see(&self, seen: Seen) {
        let change = self.store.change(ACME, DOMAIN, |keys| {
            keys.observe(|_| seen, NOW);
            Ok::<_, SigningError>(())
        });
        change.await.expect("changed");
    }

    async fn sign(&self, letter: &[u8]) -> Vec<u8> {
        let signer = self.store.signer(&self.ring, ACME, DOMAIN).await.expect("a signer");
        [&signer.sign(letter).expect("signed")[..], letter].concat()
    }

    /// What the zone says, by the records that are to be set.
    async fn zone(&self) -> Zone {
        let keys = self.store.keys(ACME, DOMAIN).await.expect("keys").keys;
        let record =
            |record: String| Txt::DomainKey(Arc::new(Published::parse(record.as_bytes()).expect("a key")));
        let rows = keys.iter().map(|key| {
            (format!("{}._domainkey.{DOMAIN}.", key.selector).into_boxed_str(), record(key.record()))
        });
        Zone(rows.collect())
    }
}

struct Zone(HashMap<Box<str>, Txt>);

impl ResolverCache<Box<str>, Txt> for Zone {
    fn get<Q: Hash + Eq + ?Sized>(&self, name: &Q) -> Option<Txt>
    where
        Box<str>: Borrow<Q>,
    {
        self.0.get(name).cloned()
    }

    fn remove<Q: Hash + Eq + ?Sized>(&self, _: &Q) -> Option<Txt>
    where
        Box<str>: Borrow<Q>,
    {
        None
    }

    fn insert(&self, _: Box<str>, _: Txt, _: Instant) {}
}

/// What another server says of each signature.
async fn checked(zone: &Zone, letter: &[u8]) -> Vec<bool> {
    let config = ResolverConfig::from_parts(None, Vec::new(), Vec::new());
    let asker = MessageAuthenticator::new(config, ResolverOpts::default()).expect("an asker");
    let message = AuthenticatedMessage::parse(letter).expect("a letter");
    let outputs = asker.verify_dkim(Parameters::new(&message).with_txt_cache(zone)).await;
    outputs.iter().map(|output| *output.result() == DkimResult::Pass).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn both_kinds_of_signatures_pass_at_another_server() {
    let it = bench();
    let (rsa, ed25519) = (it.add(Algorithm::Rsa).await, it.add(Algorithm::Ed25519).await);
    assert_eq!((rsa.as_str(), ed25519.as_str()), ("r20261122", "e20261122"));
    // Nothing is signed with what DNS has not shown.
    assert!(it.store.signer(&it.ring, ACME, DOMAIN).await.expect("a signer").is_empty());
    it.see(Seen::Published).await;
    let letter = it.sign(LETTER).await;
    let text = String::from_utf8(letter.clone()).expect("text");
    assert_eq!(text.matches("DKIM-Signature: v=1; ").count(), 2, "{text}");
    assert!(text.contains("a=rsa-sha256; s=r20261122; d=acme.example") && text.contains("a=ed25519-sha256"));
    let zone = it.zone().await;
    assert_eq!(checked(&zone, &letter).await, [true, true]);

    // What relays may do to a letter, and what nobody may.
    let folded = text.replace("Subject: a  folded\r\n subject", "Subject: a folded subject");
    assert_eq!(checked(&zone, folded.as_bytes()).await, [true, true]);
    for (what, forged) in [
        ("the body", text.replace("Hello", "Goodbye")),
        ("a field", text.replace("a  folded", "another")),
        ("another sender", text.replace("To: bob", "From: eve@evil.example\r\nTo: bob")),
        ("another subject", text.replace("To: bob", "Subject: urgent\r\nTo: bob")),
        ("a copy", text.replace("To: bob", "Cc: eve@evil.example\r\nTo: bob")),
        ("where to leave", text.replace("acme.example/u>", "evil.example/u>")),
    ] {
        assert_ne!(forged, text, "{what}");
        assert_eq!(checked(&zone, forged.as_bytes()).await, [false, false], "{what}");
    }
    // A list adds its own fields.
    let listed = text.replace("To: bob", "List-Id: <list.example>\r\nTo: bob");
    assert_eq!(checked(&zone, listed.as_bytes()).await, [true, true]);
}

/// Copies that differ in the fields before them are each signed whole, though the body is read once.
#[tokio::test(flavor = "multi_thread")]
async fn copies_of_a_letter_pass_with_their_own_fields() {
    let it = bench();
    it.add(Algorithm::Rsa).await;
    it.add(Algorithm::Ed25519).await;
    it.see(Seen::Published).await;
    let signer = it.store.signer(&it.ring, ACME, DOMAIN).await.expect("a signer");
    let zone = it.zone().await;
    let letter = LETTER.to_vec();
    let plain = String::from_utf8(letter.clone())
        .expect("text")
        .replace("List-Unsubscribe: <https://acme.example/u>\r\n", "");
    let copies = signer.copies_of(plain.as_bytes());
    for who in ["bea", "cy"] {
        let fields = format!(
            "List-Id: <all.acme.example>\r\nList-Unsubscribe: <https://acme.example/{who}>\r\n\
             List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n"
        );
        let signatures = copies.sign(fields.as_bytes()).expect("signed");
        let copy =
            String::from_utf8([&signatures[..], fields.as_bytes(), plain.as_bytes()].concat()).expect("text");
        assert_eq!(checked(&zone, copy.as_bytes()).await, [true, true], "{copy}");
        for (one, other) in [(who, "eve"), ("One-Click", "None"), ("Hello", "Goodbye"), ("<all.", "<other.")]
        {
            let forged = copy.replace(one, other);
            assert_eq!(checked(&zone, forged.as_bytes()).await, [false, false], "{one}");
        }
    }
    // What stands in the letter itself is signed as it always was.
    let whole = [&signer.copies_of(&letter).sign(b"").expect("signed")[..], &letter].concat();
    assert_eq!(checked(&zone, &whole).await, [true, true]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_key_takes_over_and_old_letters_still_pass() {
    let it = bench();
    it.add(Algorithm::Ed25519).await;
    it.see(Seen::Published).await;
    let old = it.sign(LETTER).await;
    let new = it.add(Algorithm::Ed25519).await;
    assert_eq!(new, "e20261122-2");
    let waits = it.store.add(&it.ring, (ACME, DOMAIN), Algorithm::Ed25519, NOW).await;
    assert_eq!(waits, Err(SigningError::Waits(Algorithm::Ed25519)));
    it.see(Seen::Absent).await;
    assert!(String::from_utf8_lossy(&it.sign(LETTER).await).contains("s=e20261122;"), "not published yet");
    it.see(Seen::Published).await;
    let letter = it.sign(LETTER).await;
    assert!(String::from_utf8_lossy(&letter).contains("s=e20261122-2;"));
    let zone = it.zone().await;
    assert_eq!((checked(&zone, &letter).await, checked(&zone, &old).await), (vec![true], vec![true]));
    it.store.forget(ACME, DOMAIN).await.expect("forgotten");
    assert_eq!(it.store.keys(ACME, DOMAIN).await.expect("none").keys, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn private_keys_open_for_their_place_and_installation_only() {
    let it = bench();
    it.add(Algorithm::Ed25519).await;
    it.see(Seen::Published).await;
    let other = it.store.signer(&ring(), ACME, DOMAIN).await.err();
    assert!(matches!(other, Some(SigningError::Port(PortError::NotFound { .. }))), "{other:?}");
    let keys = it.store.keys(ACME, DOMAIN).await.expect("keys");
    // Whoever can write to the store signs nothing in another's name with it.
    let stolen = it.store.change(TenantId(8), "evil.example", |own| {
        own.clone_from(&keys);
        Ok::<_, SigningError>(())
    });
    stolen.await.expect("written");
    let opened = it.store.signer(&it.ring, TenantId(8), "evil.example").await.err();
    assert!(matches!(opened, Some(SigningError::Port(PortError::Damaged { .. }))), "{opened:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_at_once_make_one_key_and_what_is_refused_is_not_written() {
    let it = bench();
    let add = || it.store.add(&it.ring, (ACME, DOMAIN), Algorithm::Ed25519, NOW);
    let (one, other) = tokio::join!(add(), add());
    assert_eq!(u8::from(one.is_ok()) + u8::from(other.is_ok()), 1, "{one:?} {other:?}");
    let change = it.store.change(ACME, DOMAIN, |keys| {
        keys.rotation = Rotation { after_days: Some(1), publish_days: 7 };
        keys.rotation.check().map_err(SigningError::from)
    });
    assert!(matches!(change.await, Err(SigningError::Rotation(_))));
    let keys = it.store.keys(ACME, DOMAIN).await.expect("keys");
    assert_eq!((keys.rotation, keys.keys.len()), (Rotation::default(), 1));
    let empty = it.store.signer(&it.ring, ACME, DOMAIN).await.expect("a signer").sign(b"no letter\r\n");
    assert_eq!(empty, Err(SigningError::NoHeader));
}

/// What another server says of the chain, and how many sets it has.
async fn chain(zone: &Zone, letter: &[u8]) -> (bool, usize) {
    let config = ResolverConfig::from_parts(None, Vec::new(), Vec::new());
    let asker = MessageAuthenticator::new(config, ResolverOpts::default()).expect("an asker");
    let message = AuthenticatedMessage::parse(letter).expect("a letter");
    let output = asker.verify_arc(Parameters::new(&message).with_txt_cache(zone)).await;
    (*output.result() == DkimResult::Pass, message.as_headers.len())
}

#[tokio::test(flavor = "multi_thread")]
async fn seals_pass_at_another_server_and_what_does_not_pass_is_not_sealed() {
    let it = bench();
    it.add(Algorithm::Ed25519).await;
    it.see(Seen::Published).await;
    let results =
        "mx.acme.example;\r\n\tspf=pass smtp.mailfrom=ann@acme.example;\r\n\tdkim=pass header.d=acme.example";
    let found = |has_intact_chain| Found { results, has_intact_chain };
    let signer = it.store.signer(&it.ring, ACME, DOMAIN).await.expect("a signer");
    assert_eq!(signer.seal(LETTER, found(false), NOW), Ok(None), "many don't know Ed25519");
    it.add(Algorithm::Rsa).await;
    it.see(Seen::Published).await;
    let signer = it.store.signer(&it.ring, ACME, DOMAIN).await.expect("a signer");
    let zone = it.zone().await;
    let letter = it.sign(LETTER).await;

    let seal = |letter: &[u8], is_intact| signer.seal(letter, found(is_intact), NOW).expect("sealed");
    let first = [&seal(&letter, false).expect("a set")[..], &letter].concat();
    let text = String::from_utf8(first.clone()).expect("text");
    assert!(
        text.starts_with("ARC-Seal: i=1; a=rsa-sha256; t=1795305600; cv=none; d=acme.example; s=r20261122;"),
        "{text}"
    );
    assert!(text.contains("\r\nARC-Authentication-Results: i=1; mx.acme.example;\r\n\tspf=pass"), "{text}");
    assert_eq!(chain(&zone, &first).await, (true, 1), "{text}");
    assert_eq!(checked(&zone, &first).await, [true, true]);

    // Passed on by somebody else, who puts his own fields before it.
    let received =
        [b"Received: from mx.acme.example\r\nDelivered-To: bob@b.example\r\n", &first[..]].concat();
    assert_eq!(chain(&zone, &received).await, (true, 1));
    let second = [&seal(&received, true).expect("a set")[..], &received].concat();
    let text = String::from_utf8(second.clone()).expect("text");
    assert!(text.starts_with("ARC-Seal: i=2; ") && text.contains("; cv=pass; "), "{text}");
    assert_eq!(chain(&zone, &second).await, (true, 2), "{text}");
    for (what, forged) in [
        ("the body", text.replace("Hello", "Goodbye")),
        ("a field", text.replace("a  folded", "another")),
        (
            "what was found",
            text.replacen("i=1; mx.acme.example;\r\n\tspf=pass", "i=1; mx.acme.example;\r\n\tspf=fail", 1),
        ),
        ("another sender", text.replace("To: bob", "From: eve@evil.example\r\nTo: bob")),
        ("a signature", text.replace("s=e20261122; d=acme", "s=e20261122; d=evil")),
    ] {
        assert_ne!(forged, text, "{what}");
        assert!(!chain(&zone, forged.as_bytes()).await.0, "{what}");
    }

    // What was broken when it came, what is no chain, and what can't be said in ASCII.
    assert_eq!(seal(&received, false), None);
    let without = String::from_utf8_lossy(&first).replace("ARC-Seal: i=1", "ARC-Seal: i=2");
    assert_eq!(seal(without.as_bytes(), true), None);
    for results in ["mx.acme.example; spf=pass smtp.mailfrom=\u{f6}@acme.example", " "] {
        let found = Found { results, has_intact_chain: false };
        assert_eq!(signer.seal(&letter, found, NOW), Ok(None), "{results}");
    }
    let mut last = first;
    for number in 2..=50 {
        last = [&seal(&last, true).expect("a set")[..], &last].concat();
        assert!(last.starts_with(format!("ARC-Seal: i={number}; ").as_bytes()));
    }
    assert_eq!(chain(&zone, &last).await, (true, 50));
    assert_eq!(seal(&last, true), None, "no more than fifty");
    for (signatures, is_sealed) in [(20, true), (21, false), (60_000, false)] {
        let many = ["DKIM-Signature: v=1; b=x\r\n".repeat(signatures).as_bytes(), LETTER].concat();
        assert_eq!(seal(&many, false).is_some(), is_sealed, "{signatures} signatures");
    }
}
