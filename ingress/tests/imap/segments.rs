//! Segments change nothing but the speed: whatever was delivered, copied, moved and expunged, FETCH and SEARCH
//! answer from them what the messages themselves give.

use pennypost_fold::State;
use pennypost_mailstore::segment::Settings;
use pennypost_mailstore::{Incoming, Mailstore};
use pennypost_mime::search::{Needle, body_text, header_text, part_header_text};
use pennypost_mime::wire;
use pennypost_model::journal::Actor;
use pennypost_model::message::Sidecar;
use pennypost_model::{AccountKey, FlagSet, MailboxId};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use crate::dialogue::Client;
use crate::server::{ALICE, Server};

/// Does a letter hold what a search asks for?
type Holds<'a> = Box<dyn Fn(&Texts) -> bool + 'a>;

/// A letter of few words, so that they are found in some and not in others.
fn letter(random: &mut SmallRng) -> Vec<u8> {
    const WORDS: [&str; 16] = [
        "invoice",
        "Xylophone",
        "zebra",
        "report",
        "Straße",
        "ÉCOLE",
        "发票",
        "企业邮局",
        "会议",
        "你好",
        "ok",
        "a",
        "Ω",
        "quarterly",
        "邮件",
        "Σίσυφος",
    ];
    let words = |random: &mut SmallRng, most: usize| {
        let count = random.random_range(1..=most);
        let words: Vec<&str> = (0..count).map(|_| WORDS[random.random_range(0..WORDS.len())]).collect();
        words.join(" ")
    };
    let (subject, name, body) = (words(random, 3), words(random, 2), words(random, 30));
    let head = format!(
        "From: \"{name}\" <{}@example.test>\r\nTo: bob@example.test\r\nSubject: {subject}\r\nX-Kind: {}\r\n",
        random.random_range(0..20),
        words(random, 1),
    );
    match random.random_range(0..4) {
        0 => format!("{head}\r\n{body}\r\n"),
        1 => format!("{head}Content-Type: text/html; charset=utf-8\r\n\r\n<p>{body}</p>\r\n"),
        2 => format!(
            "{head}Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Description: part {subject}\r\n\
             \r\n{body}\r\n--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: {name}\r\n\r\n{subject}\r\n--b--\r\n"
        ),
        // More than is kept of a text.
        _ if random.random_range(0..8) == 0 => format!("{head}\r\n{}{body}\r\n", "long text\r\n".repeat(30_000)),
        _ => format!("{head}\r\n{body}\r\n{body}\r\n"),
    }
    .into_bytes()
}

/// What a message has that can be looked into.
struct Texts {
    main: String,
    rest: String,
    body: String,
    parts: String,
    envelope: Vec<u8>,
    structure: Vec<u8>,
    preview: Vec<u8>,
}

async fn texts(store: &Mailstore, account: AccountKey, state: &State, mailbox: MailboxId) -> Vec<Texts> {
    let mut all = Vec::new();
    for row in state.mailbox(mailbox).expect("mailbox").rows.iter() {
        let message = store.open(account.tenant, row.blob).await.expect("opens");
        let raw = message.whole().await.expect("reads");
        let Sidecar { structure, facts, .. } = message.sidecar().await.expect("sidecar");
        let header = header_text(&raw[..message.header_len() as usize], &structure.envelope);
        let (mut envelope, mut printed, mut preview) = (Vec::new(), Vec::new(), Vec::new());
        wire::string(&mut preview, facts.preview.chars().take(200).collect::<String>().as_bytes());
        wire::envelope(&mut envelope, &structure.envelope);
        wire::body(&mut printed, &structure, true);
        all.push(Texts {
            main: header.main,
            rest: header.rest,
            body: body_text(&structure, &raw, 16 << 20),
            parts: part_header_text(&structure, &raw, 1 << 20),
            envelope,
            structure: printed,
            preview,
        });
    }
    all
}

fn holds(key: &str, text: &str, of: &Texts) -> bool {
    let needle = Needle::new(text);
    match key {
        "BODY" => needle.is_in(of.body.as_bytes()),
        "HEADER X-Kind" => needle.is_in_field("x-kind", of.rest.as_bytes()),
        "TEXT" => [&of.main, &of.rest, &of.body, &of.parts].iter().any(|text| needle.is_in(text.as_bytes())),
        field => needle.is_in_field(&field.to_lowercase(), of.main.as_bytes()),
    }
}

async fn compare(client: &mut Client, random: &mut SmallRng, texts: &[Texts]) {
    for _ in 0..40 {
        const KEYS: [&str; 6] = ["SUBJECT", "FROM", "TO", "BODY", "TEXT", "HEADER X-Kind"];
        let mut pick = || {
            let from = &texts[random.random_range(0..texts.len())];
            let source: Vec<char> = [&from.main, &from.body][random.random_range(0..2)]
                .chars()
                .filter(|c| *c != '\r' && *c != '\n')
                .collect();
            let start = random.random_range(0..source.len());
            let end = (start + random.random_range(1..10)).min(source.len());
            (KEYS[random.random_range(0..KEYS.len())], source[start..end].iter().collect::<String>())
        };
        let ((first, one), (second, two)) = (pick(), pick());
        let literal = |text: &str| format!("{{{}+}}\r\n{text}", text.len());
        let (one_literal, two_literal) = (literal(&one), literal(&two));
        let cases: [(String, Holds<'_>); 3] = [
            (format!("{first} {one_literal}"), Box::new(|of| holds(first, &one, of))),
            (
                format!("OR {first} {one_literal} NOT {second} {two_literal}"),
                Box::new(|of| holds(first, &one, of) || !holds(second, &two, of)),
            ),
            (
                format!("{first} {one_literal} {second} {two_literal}"),
                Box::new(|of| holds(first, &one, of) && holds(second, &two, of)),
            ),
        ];
        for (command, expected) in cases {
            let numbers =
                texts.iter().zip(1..).filter(|(of, _)| expected(of)).map(|(_, number)| format!(" {number}"));
            let expected = format!("* SEARCH{}", numbers.collect::<String>());
            let found = client.ok(&format!("SEARCH CHARSET UTF-8 {command}")).await;
            assert_eq!(found, [expected], "{command}");
        }
    }
    let summaries = client.ok("FETCH 1:* (ENVELOPE BODYSTRUCTURE)").await.join("\r\n");
    let expected = texts.iter().zip(1..).map(|(of, number)| {
        let (envelope, structure) =
            (String::from_utf8_lossy(&of.envelope), String::from_utf8_lossy(&of.structure));
        format!("* {number} FETCH (ENVELOPE {envelope} BODYSTRUCTURE {structure})")
    });
    assert_eq!(summaries, expected.collect::<Vec<_>>().join("\r\n"));
    let previews = client.ok("FETCH 1:* (PREVIEW ENVELOPE)").await.join("\r\n");
    let expected = texts.iter().zip(1..).map(|(of, number)| {
        let (envelope, preview) =
            (String::from_utf8_lossy(&of.envelope), String::from_utf8_lossy(&of.preview));
        format!("* {number} FETCH (PREVIEW {preview} ENVELOPE {envelope})")
    });
    assert_eq!(previews, expected.collect::<Vec<_>>().join("\r\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn segments_change_nothing_but_the_speed() {
    let server = Server::start().await;
    let mut random = SmallRng::seed_from_u64(9394);
    let key = server.adapter.directory.account_at(ALICE).await.expect("directory").expect("alice").key;
    let live = server.adapter.mailroom.account(key).await.expect("account");
    let store = live.store().clone();
    let mut client = Client::login(server.address, ALICE).await;
    client.ok("CREATE Other").await;
    client.ok("SELECT INBOX").await;
    for round in 0..5 {
        let (clock, ids) = (&server.adapter.clock, &server.adapter.ids);
        for _ in 0..3 {
            let letters: Vec<Incoming> = (0..random.random_range(1..40))
                .map(|_| {
                    let raw = letter(&mut random);
                    let event = ids.event(clock.now());
                    Incoming::prepare(&raw, event, FlagSet::default(), clock.now()).expect("prepared")
                })
                .collect();
            live.store_messages(&Actor::Delivery, MailboxId::INBOX, &letters, |_| Ok(()))
                .await
                .expect("stored");
        }
        client.ok("NOOP").await;
        if round > 0 {
            client.ok("COPY 2:9 Other").await;
            client.ok("MOVE 5:12 Other").await;
            client.ok("STORE 1,3,7 +FLAGS.SILENT (\\Deleted)").await;
            client.ok("EXPUNGE").await;
        }
        // Before and behind each step of indexing.
        let settings = Settings { tail: 20, max_messages: 100 };
        for mailbox in ["Other", "INBOX"] {
            client.ok(&format!("SELECT {mailbox}")).await;
            let state = live.refresh().await.expect("state");
            let id = state.mailbox_named(mailbox).expect("mailbox").id;
            let texts = texts(&store, key, &state, id).await;
            if texts.is_empty() {
                continue;
            }
            compare(&mut client, &mut random, &texts).await;
            let work = store.indexing(key, &state, settings);
            while work.step().await.expect("indexed").more {}
            compare(&mut client, &mut random, &texts).await;
        }
        let wrong = store.check_segments(key, &live.state(), true).await.expect("checked");
        assert!(wrong.is_empty(), "{wrong:?}");
        let segments = store.segments(key).await.expect("segments");
        assert!(!segments.is_empty(), "there is nothing to compare");
    }
    // Housekeeping in another process may merge segments and take away the old ones while they are checked.
    let objects = store.objects().list("", None, 100_000).await.expect("listed");
    let old = objects.iter().filter(|object| object.name.contains("/sg/"));
    for object in old {
        store.objects().delete(&object.name).await.expect("deleted");
    }
    let state = live.refresh().await.expect("state");
    assert_eq!(store.check_segments(key, &state, true).await, Ok(Vec::new()));
    server.stop().await;
}
