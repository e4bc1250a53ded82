//! The client against servers that behave in every way.

mod dane;
mod policies;
mod private;
mod reuse;
mod secured;
mod ways_out;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use parking_lot::Mutex;
use pennypost_model::event::{Notify, Wish};
use pennypost_model::trace::RemoteAnswer;
use pennypost_model::trace::RemoteOutcome::{self, Deferred, Failed, Sent};
use pennypost_model::{EventId, Timestamp};
use pennypost_ports::{Dns, DnsError, DnsKind, DnsRecord};
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::client::Timing;
use super::{Carrier, Exchange, Handed, Parcel, Reach, Requests, Settings, Verdict};

/// What a server does behind the message.
#[derive(Clone, Copy)]
enum End {
    Reply(&'static str),
    /// `250`, but only after so long.
    Late(Duration),
    /// It closes without a word.
    Close,
    /// It replies, and closes.
    Last(&'static str),
    /// A line of ten megabytes.
    Huge,
}

#[derive(Clone, Copy)]
enum Tls {
    No,
    Good,
    /// It says `220`, and then nothing that is TLS.
    Broken,
    /// It says more in the clear behind `220`.
    Injected,
    /// It says `220`, and then nothing.
    Silent,
    /// From the first byte on.
    Wrapped,
}

/// How a server behaves.
#[derive(Clone, Copy)]
struct Manner {
    greeting: &'static str,
    /// A byte of the greeting in so long.
    drip: Option<Duration>,
    offers: &'static [&'static str],
    tls: Tls,
    /// What is said to commands with a text in them, in the place of `250`; an empty reply closes.
    says: &'static [(&'static str, &'static str)],
    /// It says this when so many bytes have come, and closes.
    full: Option<(usize, &'static str)>,
    end: End,
    /// To MAIL behind so many messages of one connection.
    enough: Option<(usize, &'static str)>,
}

const GOOD: Manner = Manner {
    greeting: "220 peer.example ESMTP",
    drip: None,
    offers: &["8BITMIME", "SIZE 100000", "SMTPUTF8"],
    tls: Tls::No,
    says: &[],
    full: None,
    end: End::Reply("250 2.0.0 queued as 1"),
    enough: None,
};

/// What a server has seen.
#[derive(Default)]
struct Seen {
    commands: Vec<String>,
    messages: Vec<String>,
    connections: usize,
}

struct Peer {
    port: u16,
    seen: Arc<Mutex<Seen>>,
}

impl Peer {
    async fn start(manner: Manner) -> Peer {
        Peer::at("127.0.0.1:0", manner).await
    }

    async fn at(address: &str, manner: Manner) -> Peer {
        Peer::with(address, manner, acceptor()).await
    }

    async fn with(address: &str, manner: Manner, tls: TlsAcceptor) -> Peer {
        let listener = TcpListener::bind(address).await.expect("a port");
        let (port, seen) = (listener.local_addr().expect("an address").port(), Arc::<Mutex<Seen>>::default());
        let known = Arc::clone(&seen);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                known.lock().connections += 1;
                let (tls, seen) = (tls.clone(), Arc::clone(&known));
                tokio::spawn(async move {
                    if let Tls::Wrapped = manner.tls {
                        let stream = tls.accept(stream).await?;
                        talk(stream, Manner { tls: Tls::No, ..manner }, &seen, true).await?;
                        return Ok(());
                    }
                    let (mut stream, is_upgraded) = talk(stream, manner, &seen, true).await?;
                    if is_upgraded {
                        if let Tls::Broken = manner.tls {
                            // Not before the client has begun: that would be another fault.
                            stream.read_u8().await?;
                            return stream.write_all(b"500 what?\r\n").await;
                        }
                        if let Tls::Silent = manner.tls {
                            tokio::time::sleep(10 * PATIENCE).await;
                        }
                        let stream = tls.accept(stream).await?;
                        talk(stream, Manner { tls: Tls::No, ..manner }, &seen, false).await?;
                    }
                    std::io::Result::Ok(())
                });
            }
        });
        Peer { port, seen }
    }

    fn commands(&self, verb: &str) -> Vec<String> {
        let seen = self.seen.lock();
        seen.commands.iter().filter(|command| command.starts_with(verb)).cloned().collect()
    }
}

fn acceptor() -> TlsAcceptor {
    let certified =
        rcgen::generate_simple_self_signed(vec!["nobody.example".to_owned()]).expect("a certificate");
    acceptor_with(&certified)
}

fn acceptor_with(certified: &rcgen::CertifiedKey<rcgen::KeyPair>) -> TlsAcceptor {
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(certified.signing_key.serialize_der()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider);
    let builder =
        builder.with_protocol_versions(rustls::DEFAULT_VERSIONS).expect("versions").with_no_client_auth();
    let config = builder.with_single_cert(vec![certified.cert.der().clone()], key).expect("a configuration");
    TlsAcceptor::from(Arc::new(config))
}

/// Talks until the end, or until TLS begins.
async fn talk<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    manner: Manner,
    seen: &Mutex<Seen>,
    greets: bool,
) -> std::io::Result<(S, bool)> {
    let mut stream = BufReader::new(stream);
    if greets {
        let greeting = format!("{}\r\n", manner.greeting);
        for byte in greeting.as_bytes() {
            if let Some(pause) = manner.drip {
                tokio::time::sleep(pause).await;
            }
            stream.write_all(&[*byte]).await?;
        }
    }
    let mut messages = 0;
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await? == 0 {
            return Ok((stream.into_inner(), false));
        }
        let line = line.trim_end().to_owned();
        seen.lock().commands.push(line.clone());
        if let Some((_, reply)) =
            manner.enough.filter(|(most, _)| line.starts_with("MAIL") && messages >= *most)
        {
            stream.write_all(format!("{reply}\r\n").as_bytes()).await?;
            continue;
        }
        if let Some((_, reply)) = manner.says.iter().find(|(part, _)| line.contains(part)) {
            if reply.is_empty() {
                return Ok((stream.into_inner(), false));
            }
            stream.write_all(format!("{reply}\r\n").as_bytes()).await?;
            continue;
        }
        if line.starts_with("EHLO") {
            let mut offers = vec!["peer.example"];
            offers.extend(manner.offers);
            if !matches!(manner.tls, Tls::No) {
                offers.push("STARTTLS");
            }
            let last = offers.pop().unwrap_or_default();
            let lines: String = offers.iter().map(|offer| format!("250-{offer}\r\n")).collect();
            stream.write_all(format!("{lines}250 {last}\r\n").as_bytes()).await?;
        } else if line == "STARTTLS" {
            let injected = if let Tls::Injected = manner.tls { "250 injected\r\n" } else { "" };
            stream.write_all(format!("220 go\r\n{injected}").as_bytes()).await?;
            return Ok((stream.into_inner(), true));
        } else if line == "DATA" {
            stream.write_all(b"354 go on\r\n").await?;
            let mut message = String::new();
            loop {
                let mut line = Vec::new();
                if stream.read_until(b'\n', &mut line).await? == 0 {
                    return Ok((stream.into_inner(), false));
                }
                if line == b".\r\n" {
                    break;
                }
                message.push_str(&String::from_utf8_lossy(&line));
                if let Some((_, reply)) = manner.full.filter(|(bytes, _)| message.len() > *bytes) {
                    stream.write_all(format!("{reply}\r\n").as_bytes()).await?;
                    return Ok((stream.into_inner(), false));
                }
            }
            seen.lock().messages.push(message);
            messages += 1;
            match manner.end {
                End::Reply(reply) => stream.write_all(format!("{reply}\r\n").as_bytes()).await?,
                End::Late(pause) => {
                    tokio::time::sleep(pause).await;
                    stream.write_all(b"250 at last\r\n").await?;
                }
                End::Close => return Ok((stream.into_inner(), false)),
                End::Last(reply) => {
                    stream.write_all(format!("{reply}\r\n").as_bytes()).await?;
                    return Ok((stream.into_inner(), false));
                }
                End::Huge => stream.write_all(&b"2".repeat(10 << 20)).await?,
            }
        } else if line == "QUIT" {
            stream.write_all(b"221 bye\r\n").await?;
            return Ok((stream.into_inner(), false));
        } else {
            stream.write_all(b"250 ok\r\n").await?;
        }
    }
}

/// Every name is this machine.
struct Here;

#[async_trait]
impl Dns for Here {
    async fn look_up(&self, _name: &str, kind: DnsKind) -> Result<Vec<DnsRecord>, DnsError> {
        Ok(match kind {
            DnsKind::Address => vec![DnsRecord::Address([127, 0, 0, 1].into())],
            _ => Vec::new(),
        })
    }
}

const PATIENCE: Duration = Duration::from_millis(600);

const TIMING: Timing = Timing {
    connect: PATIENCE,
    command: PATIENCE,
    block: PATIENCE,
    end: Duration::from_millis(1_200),
    quit: PATIENCE,
    whole: Duration::from_secs(60),
};

async fn hand_over(peer: &Peer, recipients: &[&str], message: &str) -> Handed {
    over(Arc::new(Here), (peer.port, TIMING), recipients, message).await
}

async fn over(
    dns: Arc<dyn Dns>,
    (port, timing): (u16, Timing),
    recipients: &[&str],
    message: &str,
) -> Handed {
    asking(None, (dns, port, timing), recipients, message).await
}

async fn asking(
    asked: Option<Requests<'_>>,
    (dns, port, timing): (Arc<dyn Dns>, u16, Timing),
    recipients: &[&str],
    message: &str,
) -> Handed {
    hand(&exchange(dns, (port, timing)), asked, recipients, message).await
}

fn exchange(dns: Arc<dyn Dns>, (port, timing): (u16, Timing)) -> Exchange {
    let settings = Settings { port, reach: Reach::Everything, ..Settings::default() };
    let mut exchange = Exchange::new(dns, "mx.own.example", settings);
    exchange.timing = timing;
    exchange
}

async fn hand(
    exchange: &Exchange,
    asked: Option<Requests<'_>>,
    recipients: &[&str],
    message: &str,
) -> Handed {
    let recipients: Vec<String> = recipients.iter().map(|one| (*one).to_owned()).collect();
    let (head, message) = message.split_at(message.len() / 2);
    let (head, message) = match head.rfind('\n') {
        Some(end) => (&head[..=end], format!("{}{message}", &head[end + 1..])),
        None => ("", format!("{head}{message}")),
    };
    let parcel = Parcel {
        ending: &AtomicBool::new(false),
        asked,
        ignores_policies: false,
        is_private: false,
        way_out: None,
        id: EventId::from_parts(Timestamp(1), 1),
        destination: "d.example",
        reverse_path: "me@own.example",
        recipients: &recipients,
        head: head.as_bytes(),
        message: message.as_bytes(),
        is_eight_bit: !head.is_ascii() || !message.is_ascii(),
        is_utf8: recipients.iter().any(|one| !one.is_ascii()),
    };
    exchange.hand_over(&parcel).await
}

fn answer(code: u16, status: &str, text: &str) -> RemoteAnswer {
    RemoteAnswer { code: Some(code), status: status.to_owned(), text: text.to_owned() }
}

/// Exchangers at these addresses, in this order.
struct Exchangers(&'static [&'static str]);

#[async_trait]
impl Dns for Exchangers {
    async fn look_up(&self, name: &str, kind: DnsKind) -> Result<Vec<DnsRecord>, DnsError> {
        Ok(match kind {
            DnsKind::Address => {
                name.strip_suffix(".mx").map(|ip| DnsRecord::Address(ip.parse().expect("an address")))
            }
            _ => None,
        }
        .into_iter()
        .chain(
            (0..)
                .zip(self.0)
                .filter(|_| kind == DnsKind::Mx)
                .map(|(preference, ip)| DnsRecord::Mx { preference, host: format!("{ip}.mx") }),
        )
        .collect())
    }
}

/// To two recipients.
async fn verdicts(manner: Manner) -> Vec<Verdict> {
    let peer = Peer::start(manner).await;
    hand_over(&peer, &["a@d.example", "b@d.example"], "From: me@own.example\r\n\r\nhello\r\n")
        .await
        .verdicts()
}

async fn outcomes(manner: Manner) -> Vec<(RemoteOutcome, String)> {
    let found = verdicts(manner).await;
    found.into_iter().map(|(outcome, answer)| (outcome, answer.status)).collect()
}

fn both(outcome: RemoteOutcome, status: &str) -> Vec<(RemoteOutcome, String)> {
    vec![(outcome, status.to_owned()); 2]
}

#[tokio::test]
async fn a_message_goes_over_byte_for_byte() {
    let peer = Peer::start(GOOD).await;
    let message = "From: me@own.example\r\n\r\n.\r\n..\r\nh\u{e9}llo\r\n.x";
    let handed = hand_over(&peer, &["a@d.example", "b@d.example"], message).await;
    assert_eq!(
        (handed.host.as_str(), &handed.tls),
        (&*format!("d.example [127.0.0.1]:{}", peer.port), &None)
    );
    for (outcome, answer) in handed.verdicts() {
        assert_eq!((outcome, answer.code, answer.status.as_str()), (Sent, Some(250), "2.0.0"));
        assert_eq!(answer.text, "queued as 1");
    }
    let stuffed = "From: me@own.example\r\n\r\n..\r\n...\r\nh\u{e9}llo\r\n..x\r\n";
    assert_eq!(peer.seen.lock().messages, [stuffed]);
    let mail = format!("MAIL FROM:<me@own.example> SIZE={} BODY=8BITMIME", message.len());
    assert_eq!(peer.commands("MAIL"), [mail]);
    assert_eq!(peer.commands("RCPT"), ["RCPT TO:<a@d.example>", "RCPT TO:<b@d.example>"]);
    assert_eq!(
        (peer.commands("EHLO"), peer.commands("QUIT").len()),
        (vec!["EHLO mx.own.example".to_owned()], 1)
    );
    // Large ones go in pieces.
    let large = format!("From: me@own.example\r\n\r\n{}", ".line of text\r\n".repeat(5_000));
    let handed = hand_over(&peer, &["a@d.example"], &large).await;
    assert_eq!(handed.verdicts()[0].0, Sent);
    assert_eq!(peer.seen.lock().messages[1], large.replace("\r\n.", "\r\n.."));
}

#[tokio::test]
async fn servers_that_tell_senders_are_told_what_these_want_to_hear() {
    let wish = |address: &str, notify, original: Option<&str>| Wish {
        address: address.to_owned(),
        notify,
        original: original.map(str::to_owned),
    };
    let never = Notify { success: false, failure: false, delay: false };
    let wishes = [
        wish("a@d.example", Some(never), None),
        wish("b@d.example", Some(Notify { success: true, ..never }), Some("rfc822;x+y@d.example")),
    ];
    let each = [Some(&wishes[0]), Some(&wishes[1]), None];
    let asked = Requests { full: Some(true), envelope_id: Some("QQ 1"), each: &each };
    for (offers, is_told) in [(&["DSN", "8BITMIME"][..], true), (&["8BITMIME"], false)] {
        let peer = Peer::start(Manner { offers, ..GOOD }).await;
        let recipients = ["a@d.example", "b@d.example", "c@d.example"];
        let handed = asking(Some(asked), (Arc::new(Here), peer.port, TIMING), &recipients, "x\r\n").await;
        assert_eq!(handed.relayed, if is_told { vec![] } else { vec![0, 1, 2] });
        assert!(handed.verdicts().iter().all(|(outcome, _)| *outcome == Sent));
        let (mail, rcpt) = (peer.commands("MAIL"), peer.commands("RCPT"));
        let expected = match is_told {
            true => [
                "MAIL FROM:<me@own.example> RET=FULL ENVID=QQ+201",
                "RCPT TO:<a@d.example> NOTIFY=NEVER",
                "RCPT TO:<b@d.example> NOTIFY=SUCCESS ORCPT=rfc822;x+2By@d.example",
                "RCPT TO:<c@d.example>",
            ],
            false => [
                "MAIL FROM:<me@own.example>",
                "RCPT TO:<a@d.example>",
                "RCPT TO:<b@d.example>",
                "RCPT TO:<c@d.example>",
            ],
        };
        assert_eq!([mail, rcpt].concat(), expected);
    }
}

#[tokio::test]
async fn each_recipient_has_its_own_answer() {
    let says = &[("<a@", "550 5.1.1 nobody"), ("<b@", "450 4.2.1 greylisted")];
    let peer = Peer::start(Manner { says, ..GOOD }).await;
    let handed = hand_over(&peer, &["a@d.example", "b@d.example", "c@d.example"], "From: m\r\n\r\n").await;
    let found: Vec<_> =
        handed.verdicts().into_iter().map(|(outcome, answer)| (outcome, answer.status)).collect();
    let said = [(Failed, "5.1.1"), (Deferred, "4.2.1"), (Sent, "2.0.0")];
    assert_eq!(found, said.map(|(outcome, status)| (outcome, status.to_owned())));
    assert_eq!(peer.seen.lock().messages.len(), 1);
    // Nobody is left: no message is sent.
    let says = &[("RCPT", "550 5.7.1 no")];
    let peer = Peer::start(Manner { says, ..GOOD }).await;
    let handed = hand_over(&peer, &["a@d.example"], "From: m\r\n\r\n").await;
    assert_eq!((handed.verdicts()[0].0, peer.commands("DATA").len()), (Failed, 0));
    // More than it takes at once.
    let says = &[("<b@", "552 too many")];
    assert_eq!(
        verdicts(Manner { says, ..GOOD }).await.iter().map(|one| one.0).collect::<Vec<_>>(),
        [Sent, Deferred]
    );
}

#[tokio::test]
async fn tls_is_used_with_any_certificate_and_nothing_is_believed_that_came_before() {
    let peer = Peer::start(Manner { tls: Tls::Good, ..GOOD }).await;
    let handed = hand_over(&peer, &["a@d.example"], "From: m\r\n\r\n").await;
    assert!(handed.tls.as_deref().is_some_and(|tls| tls.starts_with("TLSv1_3")), "{:?}", handed.tls);
    assert_eq!(
        (handed.verdicts()[0].0, peer.commands("EHLO").len(), peer.seen.lock().connections),
        (Sent, 2, 1)
    );
    // One that can't do what it offers gets it as if it had not offered it.
    let peer = Peer::start(Manner { tls: Tls::Broken, ..GOOD }).await;
    let handed = hand_over(&peer, &["a@d.example"], "From: m\r\n\r\n").await;
    assert_eq!((&handed.tls, peer.seen.lock().connections), (&None, 2));
    assert_eq!(handed.verdicts()[0].0, Sent);
    let says = &[("STARTTLS", "454 4.7.0 not now")];
    assert_eq!(outcomes(Manner { tls: Tls::Good, says, ..GOOD }).await, both(Sent, "2.0.0"));
    for tls in [Tls::Injected, Tls::Silent] {
        let peer = Peer::start(Manner { tls, ..GOOD }).await;
        let handed = hand_over(&peer, &["a@d.example"], "From: m\r\n\r\n").await;
        assert_eq!((&handed.tls, peer.seen.lock().connections), (&None, 2));
        assert_eq!(handed.verdicts()[0], (Sent, answer(250, "2.0.0", "queued as 1")));
    }
}

#[tokio::test]
async fn old_servers_are_greeted_the_old_way() {
    let says = &[("EHLO", "502 what?")];
    let peer = Peer::start(Manner { says, ..GOOD }).await;
    let handed = hand_over(&peer, &["a@d.example"], "From: m\r\n\r\n").await;
    assert_eq!(
        (handed.verdicts()[0].0, peer.commands("MAIL")),
        (Sent, vec!["MAIL FROM:<me@own.example>".to_owned()])
    );
}

#[tokio::test]
async fn what_a_server_does_not_take_fails_at_once() {
    let large = format!("From: m\r\n\r\n{}", "x".repeat(2_000));
    for (offers, recipient, message, status) in [
        (&["SIZE 1000"][..], "a@d.example", &*large, "5.3.4"),
        (&["SIZE"], "a@d.example", "From: m\r\n\r\n\u{e9}", "5.6.3"),
        (&["8BITMIME"], "\u{e9}@d.example", "From: m\r\n\r\n", "5.6.7"),
    ] {
        let peer = Peer::start(Manner { offers, ..GOOD }).await;
        let (outcome, answer) = hand_over(&peer, &[recipient], message).await.verdicts().remove(0);
        assert_eq!((outcome, answer.code, answer.status.as_str()), (Failed, None, status));
        assert_eq!(peer.commands("DATA").len(), 0);
    }
    let peer = Peer::start(Manner { offers: &["SIZE 0", "SMTPUTF8"], ..GOOD }).await;
    let handed = hand_over(&peer, &["\u{e9}@d.example"], &large).await;
    assert_eq!((handed.verdicts()[0].0, peer.commands("MAIL")[0].ends_with(" SMTPUTF8")), (Sent, true));
}

#[tokio::test]
async fn replies_decide_between_now_later_and_never() {
    let of = |says| Manner { says, ..GOOD };
    for (manner, found) in [
        (Manner { greeting: "421 4.3.2 busy", ..GOOD }, both(Deferred, "4.3.2")),
        (Manner { greeting: "554 5.7.1 go away", ..GOOD }, both(Failed, "5.7.1")),
        (Manner { greeting: "250 hello", ..GOOD }, both(Deferred, "4.5.0")),
        (of(&[("MAIL", "550 5.7.1 no")]), both(Failed, "5.7.1")),
        (of(&[("MAIL", "451 4.7.1 later")]), both(Deferred, "4.7.1")),
        (of(&[("<a@", "421 4.3.0 closing")]), both(Deferred, "4.3.0")),
        (of(&[("DATA", "451 4.3.0 full")]), both(Deferred, "4.3.0")),
        (of(&[("DATA", "250 2.0.0 thanks")]), both(Deferred, "4.5.0")),
        (Manner { end: End::Reply("554 5.6.0 spam"), ..GOOD }, both(Failed, "5.6.0")),
        (Manner { end: End::Reply("451 4.3.2 disk"), ..GOOD }, both(Deferred, "4.3.2")),
        (Manner { full: Some((10, "552 5.3.4 too big")), ..GOOD }, both(Failed, "5.3.4")),
    ] {
        assert_eq!(outcomes(manner).await, found, "{} {:?}", manner.greeting, manner.says);
    }
}

#[tokio::test]
async fn what_is_said_unasked_is_no_answer_to_the_next_command() {
    let of = |says| Manner { says, ..GOOD };
    for manner in [
        of(&[("MAIL", "250 ok\r\n250 ok"), ("<a@", "550 5.1.1 nobody")]),
        of(&[("<a@", "250 ok\r\n550 5.1.1 nobody")]),
        of(&[("DATA", "354 go on\r\n250 queued already")]),
        Manner { greeting: "220 peer.example\r\n220 ESMTP", ..GOOD },
    ] {
        assert_eq!(outcomes(manner).await, both(Deferred, "4.5.0"), "{} {:?}", manner.greeting, manner.says);
    }
    let twice = Manner { end: End::Reply("250 2.0.0 queued\r\n250 2.0.0 queued"), ..GOOD };
    assert_eq!(outcomes(twice).await, both(Sent, "2.0.0"));
}

#[tokio::test]
async fn no_server_keeps_us_for_ever_or_fills_the_memory() {
    let begun = Instant::now();
    for manner in [
        // 24 bytes take more than a second.
        Manner { drip: Some(Duration::from_millis(60)), ..GOOD },
        Manner { greeting: "HTTP/1.1 400 Bad Request", ..GOOD },
        Manner { says: &[("MAIL", "")], ..GOOD },
        Manner { says: &[("RCPT", "")], ..GOOD },
        Manner { end: End::Close, ..GOOD },
        Manner { end: End::Huge, ..GOOD },
        Manner { end: End::Late(3 * PATIENCE), ..GOOD },
    ] {
        for (outcome, answer) in verdicts(manner).await {
            assert_eq!((outcome, answer.code), (Deferred, None), "{}", answer.text);
            assert!(answer.status.starts_with('4') && !answer.text.is_empty());
        }
    }
    assert!(begun.elapsed() < 20 * PATIENCE, "{:?}", begun.elapsed());
    // Late, but in time.
    assert_eq!(outcomes(Manner { end: End::Late(PATIENCE), ..GOOD }).await, both(Sent, "2.0.0"));
    // Nobody is there.
    let nobody = Peer { port: 1, seen: Arc::default() };
    let (outcome, answer) = hand_over(&nobody, &["a@d.example"], "").await.verdicts().remove(0);
    assert_eq!((outcome, answer.status.as_str()), (Deferred, "4.4.1"));
}

/// Two servers of one destination, on one port. What came of it, and the messages that the second has.
async fn at_the_next(
    first: Manner,
    second: Manner,
    recipients: &[&str],
) -> (Handed, Vec<String>, Vec<String>) {
    let second = Peer::at("127.0.0.3:0", second).await;
    let _first = Peer::at(&format!("127.0.0.2:{}", second.port), first).await;
    let dns = Arc::new(Exchangers(&["127.0.0.2", "127.0.0.3"]));
    let handed = over(dns, (second.port, TIMING), recipients, "From: m\r\n\r\n").await;
    let messages = second.seen.lock().messages.clone();
    (handed, messages, second.commands("RCPT"))
}

#[tokio::test]
async fn what_breaks_before_the_message_goes_to_the_next_server() {
    let of = |says| Manner { says, ..GOOD };
    for first in [
        of(&[("MAIL", "")]),
        of(&[("MAIL", "451 4.3.0 later")]),
        of(&[("RCPT", "")]),
        of(&[("RCPT", "450 4.2.1 greylisted")]),
        of(&[("<a@", "421 4.3.2 closing")]),
        of(&[("DATA", "451 4.3.0 full")]),
        of(&[("DATA", "")]),
        Manner { greeting: "554 5.7.1 not me", ..GOOD },
    ] {
        let (handed, messages, _) = at_the_next(first, GOOD, &["a@d.example", "b@d.example"]).await;
        assert!(handed.host.starts_with("127.0.0.3.mx [127.0.0.3]"), "{} {:?}", handed.host, first.says);
        assert_eq!(messages.len(), 1, "{:?}", first.says);
        assert!(handed.verdicts().iter().all(|(outcome, _)| *outcome == Sent), "{:?}", first.says);
    }
    // What is decided stays decided; who is open goes on.
    let first = of(&[("<a@", "550 5.1.1 nobody"), ("<b@", "450 4.2.1 greylisted")]);
    let (handed, _, asked) = at_the_next(first, GOOD, &["a@d.example", "b@d.example"]).await;
    assert_eq!(asked, ["RCPT TO:<b@d.example>"]);
    assert_eq!(handed.verdicts().iter().map(|one| one.0).collect::<Vec<_>>(), [Failed, Sent]);
    // Whom the one has put off the other can't refuse.
    let says = &[("<b@", "550 5.7.1 no relay")];
    for second in [of(says), of(&[("MAIL", "550 5.7.1 no relay")])] {
        let (handed, ..) = at_the_next(first, second, &["a@d.example", "b@d.example"]).await;
        assert!(handed.host.contains("127.0.0.2"), "{}", handed.host);
        assert_eq!(handed.verdicts().iter().map(|one| one.0).collect::<Vec<_>>(), [Failed, Deferred]);
    }
    // Once the message has begun nobody else gets it.
    for end in [End::Close, End::Reply("451 4.3.2 disk"), End::Late(5 * PATIENCE)] {
        let (handed, messages, _) = at_the_next(Manner { end, ..GOOD }, GOOD, &["a@d.example"]).await;
        assert_eq!((messages.len(), handed.verdicts()[0].0), (0, Deferred));
    }
}

#[tokio::test]
async fn the_host_that_is_shown_is_the_one_that_spoke() {
    let of = |says| Manner { says, ..GOOD };
    // The second says nothing of use.
    let first = of(&[("MAIL", "451 4.3.0 later")]);
    let (handed, ..) = at_the_next(first, of(&[("EHLO", "")]), &["a@d.example"]).await;
    assert!(handed.host.starts_with("127.0.0.2.mx [127.0.0.2]"), "{}", handed.host);
    assert_eq!(handed.verdicts()[0].1, answer(451, "4.3.0", "later"));
    // The first says nothing of use.
    let (handed, ..) = at_the_next(of(&[("EHLO", "")]), first, &["a@d.example"]).await;
    assert!(handed.host.starts_with("127.0.0.3.mx [127.0.0.3]"), "{}", handed.host);
    assert_eq!(handed.verdicts()[0].1, answer(451, "4.3.0", "later"));
}

#[tokio::test]
async fn a_message_begins_only_where_there_is_time_for_it_and_is_heard_to_its_end() {
    // The command before the message takes too much of the time.
    let timing = Timing { whole: PATIENCE, ..TIMING };
    let peer = Peer::start(Manner { drip: Some(PATIENCE / 40), ..GOOD }).await;
    let handed = over(Arc::new(Here), (peer.port, timing), &["a@d.example"], "From: m\r\n\r\n").await;
    assert_eq!((handed.verdicts()[0].0, peer.commands("DATA").len()), (Deferred, 0));
    // The reply comes when all the time for the message is over.
    let timing = Timing { whole: PATIENCE, ..TIMING };
    let peer = Peer::start(Manner { end: End::Late(PATIENCE * 3 / 2), ..GOOD }).await;
    let handed = over(Arc::new(Here), (peer.port, timing), &["a@d.example"], "From: m\r\n\r\n").await;
    assert_eq!(handed.verdicts()[0].0, Sent);
}
