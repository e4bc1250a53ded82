//! Nothing goes in the clear, or to whoever has no certificate, where somebody asks for TLS.

use pennypost_lookup::Authorities;
use pennypost_model::trace::{TlsDemand, TlsReason};
use pennypost_ports::FetchError;

use super::super::gate::SHUT;
use super::super::{Login, SmartHost, WayOut};
use super::policies::{World, damage, table};
use super::*;
use crate::Tally;

/// A certificate for a name, and who believes in it.
pub(super) fn certificate(name: &str) -> (TlsAcceptor, Authorities) {
    let certified = rcgen::generate_simple_self_signed(vec![name.to_owned()]).expect("a certificate");
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("authority.pem");
    std::fs::write(&file, certified.cert.pem()).expect("written");
    (acceptor_with(&certified), Authorities::and_of(&file).expect("an authority"))
}

/// To a server with a certificate for that name, where the domain's policy has this mode and names that host.
async fn under_policy(mode: &str, mx: &str, name: &str, manner: Manner) -> (Handed, Peer) {
    let (acceptor, authorities) = certificate(name);
    let peer = Peer::with("127.0.0.1:0", manner, acceptor).await;
    let (world, table) = (World::with(mode, mx), table());
    let settings = Settings { port: peer.port, reach: Reach::Everything, ..Settings::default() };
    let mut exchange = Exchange::new(Arc::clone(&world) as _, "mx.own.example", settings)
        .believing(authorities)
        .with_policies(world.policies(Arc::clone(&table.control)));
    exchange.timing = TIMING;
    (one_letter(&exchange).await, peer)
}

pub(super) async fn one_letter(exchange: &Exchange) -> Handed {
    letter_to(exchange, &["a@d.example"]).await
}

async fn letter_to(exchange: &Exchange, recipients: &[&str]) -> Handed {
    letter_by(exchange, recipients, None).await
}

/// By the way of a tenant.
pub(super) async fn letter_by(exchange: &Exchange, recipients: &[&str], way_out: Option<&WayOut>) -> Handed {
    let recipients: Vec<String> = recipients.iter().map(|one| (*one).to_owned()).collect();
    let parcel = Parcel {
        ending: &AtomicBool::new(false),
        asked: None,
        ignores_policies: false,
        is_private: false,
        way_out,
        id: EventId::from_parts(Timestamp(1), 1),
        destination: "d.example",
        reverse_path: "me@own.example",
        recipients: &recipients,
        head: b"",
        message: b"From: me@own.example\r\n\r\nhello\r\n",
        is_eight_bit: false,
        is_utf8: false,
    };
    exchange.hand_over(&parcel).await
}

pub(super) fn demand(handed: &Handed) -> (TlsReason, bool, Option<&str>) {
    let TlsDemand { reason, is_enforced, failure } = handed.demand.as_ref().expect("a demand");
    (*reason, *is_enforced, failure.as_deref())
}

pub(super) const PRIVATE: Manner = Manner { tls: Tls::Good, ..GOOD };

#[tokio::test]
async fn a_policy_that_is_met_changes_nothing() {
    for mode in ["enforce", "testing"] {
        let (handed, peer) = under_policy(mode, "d.example", "d.example", PRIVATE).await;
        assert_eq!(demand(&handed), (TlsReason::MtaSts, mode == "enforce", None), "{mode}");
        assert!(handed.tls.as_deref().is_some_and(|tls| tls.starts_with("TLSv1_3")), "{:?}", handed.tls);
        assert_eq!((handed.verdicts()[0].0, peer.seen.lock().messages.len()), (Sent, 1));
    }
    let (handed, _) = under_policy("none", "d.example", "nobody.example", GOOD).await;
    assert_eq!((handed.demand.clone(), handed.verdicts()[0].0), (None, Sent));
}

#[tokio::test]
async fn where_a_policy_is_enforced_nothing_is_sent_without_a_certificate_that_holds() {
    let says = &[("STARTTLS", "454 4.7.0 not now")];
    for (mx, name, manner, status, cause) in [
        ("d.example", "other.example", PRIVATE, "4.7.5", "not valid for name \"d.example\""),
        ("d.example", "d.example", GOOD, "4.7.4", "the server offers no TLS"),
        ("d.example", "d.example", Manner { says, ..PRIVATE }, "4.7.4", "454 4.7.0 not now"),
        ("d.example", "d.example", Manner { tls: Tls::Broken, ..GOOD }, "4.7.5", ""),
        ("d.example", "d.example", Manner { tls: Tls::Injected, ..GOOD }, "4.7.5", "in the clear"),
        ("d.example", "d.example", Manner { tls: Tls::Silent, ..GOOD }, "4.7.5", "not answer in time"),
        ("mx.d.example", "d.example", PRIVATE, "4.7.0", "names none of its servers: d.example"),
    ] {
        let (handed, peer) = under_policy("enforce", mx, name, manner).await;
        let (reason, is_enforced, failure) = demand(&handed);
        assert_eq!((reason, is_enforced), (TlsReason::MtaSts, true));
        assert!(failure.is_some_and(|failure| failure.contains(cause)), "{failure:?} {cause}");
        assert_eq!(handed.tls, None);
        let (outcome, answer) = handed.verdicts().remove(0);
        assert_eq!(
            (outcome, answer.status.as_str(), answer.code),
            (Deferred, status, None),
            "{}",
            answer.text
        );
        assert!(answer.text.contains("MTA-STS") && answer.text.contains(cause), "{}", answer.text);
        let seen = peer.seen.lock();
        let is_told = |command: &String| command.starts_with("MAIL") || command.contains("a@d.example");
        assert!(!seen.commands.iter().any(is_told) && seen.messages.is_empty(), "{:?}", seen.commands);
        assert!(seen.connections <= 1, "there is no second connection in the clear");
    }
}

#[tokio::test]
async fn while_a_policy_is_tested_the_letter_goes_and_what_was_wrong_is_told() {
    for (mx, name, manner, is_private, cause) in [
        ("d.example", "other.example", PRIVATE, true, "not valid for name"),
        ("d.example", "d.example", GOOD, false, "the server offers no TLS"),
        ("d.example", "d.example", Manner { tls: Tls::Broken, ..GOOD }, false, ""),
        ("mx.d.example", "d.example", PRIVATE, true, "the policy does not name d.example"),
    ] {
        let (handed, _) = under_policy("testing", mx, name, manner).await;
        let (reason, is_enforced, failure) = demand(&handed);
        assert_eq!((reason, is_enforced), (TlsReason::MtaSts, false));
        assert!(failure.is_some_and(|failure| failure.contains(cause)), "{failure:?} {cause}");
        assert_eq!(handed.tls.is_some(), is_private);
        assert_eq!(handed.verdicts()[0].0, Sent, "{cause}");
    }
}

#[tokio::test]
async fn servers_that_a_policy_does_not_name_are_counted_as_failures() {
    for (mode, faults) in [("testing", vec!["validation-failure"]), ("enforce", Vec::new())] {
        let (acceptor, authorities) = certificate("d.example");
        let peer = Peer::with("127.0.0.1:0", PRIVATE, acceptor).await;
        let (world, table) = (World::with(mode, "mx.d.example"), table());
        let settings = Settings { port: peer.port, reach: Reach::Everything, ..Settings::default() };
        let tally = Arc::new(Tally::new(
            Arc::clone(&table.control),
            Arc::clone(&world) as _,
            Arc::clone(&world) as _,
            Duration::from_secs(86_400),
        ));
        let mut exchange = Exchange::new(Arc::clone(&world) as _, "mx.own.example", settings)
            .believing(authorities)
            .with_policies(world.policies(Arc::clone(&table.control)))
            .counting(Arc::clone(&tally));
        exchange.timing = TIMING;
        one_letter(&exchange).await;
        assert_eq!(tally.counted("d.example"), [("sts", 0, 1, faults)], "{mode}");
    }
}

#[tokio::test]
async fn a_server_that_is_not_trusted_is_told_rather_than_one_that_is_not_reached() {
    let (acceptor, authorities) = certificate("other.example");
    let peer = Peer::with("127.0.0.3:0", PRIVATE, acceptor).await;
    let world = World::with("enforce", "127.0.0.2.mx\nmx: 127.0.0.3.mx");
    let table = table();
    let settings = Settings { port: peer.port, reach: Reach::Everything, ..Settings::default() };
    let dns = Arc::new(Exchangers(&["127.0.0.2", "127.0.0.3"]));
    let mut exchange = Exchange::new(dns, "mx.own.example", settings)
        .believing(authorities)
        .with_policies(world.policies(Arc::clone(&table.control)));
    exchange.timing = TIMING;
    let handed = one_letter(&exchange).await;
    assert!(handed.host.starts_with("127.0.0.3.mx"), "{}", handed.host);
    assert_eq!(handed.verdicts()[0].1.status, "4.7.5");
    // The policy can't be had: who has none to remember sends as to anybody else.
    *world.document.lock() = Err(FetchError::Status(404));
    let empty = super::policies::table();
    let exchange = exchange.with_policies(world.policies(Arc::clone(&empty.control)));
    let handed = one_letter(&exchange).await;
    assert_eq!((handed.demand.clone(), handed.verdicts()[0].0), (None, Sent));
}

#[tokio::test]
async fn where_nobody_knows_what_a_policy_forbids_the_letter_waits() {
    let (peer, world, table) = (Peer::start(GOOD).await, World::with("enforce", "d.example"), table());
    *world.record.lock() = Ok(Vec::new());
    damage(&table).await;
    let settings = Settings { port: peer.port, reach: Reach::Everything, ..Settings::default() };
    let exchange = Exchange::new(Arc::clone(&world) as _, "mx.own.example", settings)
        .with_policies(world.policies(Arc::clone(&table.control)));
    let (outcome, answer) = one_letter(&exchange).await.verdicts().remove(0);
    assert_eq!((outcome, answer.status.as_str(), peer.seen.lock().connections), (Deferred, "4.3.0", 0));
    assert_eq!(answer.text, "the policies for TLS can't be read at present");
}

/// A smart host with two addresses.
struct Twice;

#[async_trait]
impl Dns for Twice {
    async fn look_up(&self, _name: &str, kind: DnsKind) -> Result<Vec<DnsRecord>, DnsError> {
        let address = |last| DnsRecord::Address([127, 0, 0, last].into());
        Ok(if kind == DnsKind::Address { vec![address(1), address(2)] } else { Vec::new() })
    }
}

#[tokio::test]
async fn what_one_letter_was_refused_for_is_not_said_of_another_that_waits_for_the_smart_host() {
    let says = &[
        ("AUTH", "235 2.7.0 welcome"),
        ("<a@d.example>", "550 5.1.1 nobody here is a@d.example"),
        ("<b@d.example>", "451 4.3.0 not now"),
    ];
    let (acceptor, authorities) = certificate("relay.example");
    let first = Peer::with("127.0.0.1:0", Manner { says, ..PLAIN }, acceptor.clone()).await;
    let says = &[("AUTH", "454 4.7.0 not now")];
    let second = Peer::with(&format!("127.0.0.2:{}", first.port), Manner { says, ..PLAIN }, acceptor).await;
    let mut exchange = to_smart_host(Arc::new(Twice), first.port, false).believing(authorities);
    exchange.timing = TIMING;
    let outcomes =
        |handed: Handed| handed.verdicts().into_iter().map(|(outcome, answer)| (outcome, answer.code));
    let handed = letter_to(&exchange, &["a@d.example", "b@d.example"]).await;
    assert_eq!(outcomes(handed).collect::<Vec<_>>(), [(Failed, Some(550)), (Deferred, Some(454))]);
    let handed = letter_to(&exchange, &["c@d.example"]).await;
    assert!(handed.host.starts_with("relay.example [127.0.0.2]"), "{}", handed.host);
    let (outcome, answer) = handed.verdicts().remove(0);
    assert_eq!((outcome, answer.code, answer.status.as_str()), (Deferred, Some(454), "4.7.0"));
    assert!(!answer.text.contains("a@d.example"), "{}", answer.text);
    assert_eq!((first.commands("AUTH").len(), second.commands("AUTH").len()), (1, 1));
}

fn to_smart_host(dns: Arc<dyn Dns>, port: u16, is_wrapped: bool) -> Exchange {
    let login = Some(Login { user: "us".to_owned(), password: "secret".to_owned() });
    let smart_host = SmartHost { login, is_wrapped, ..SmartHost::open("relay.example", port) };
    let settings = Settings { smart_host: Some(smart_host), ..Settings::default() };
    Exchange::new(dns, "mx.own.example", settings)
}

/// By a smart host with a certificate for that name, which wants to know who is there.
async fn by_smart_host(name: &str, manner: Manner, is_wrapped: bool) -> (Exchange, Peer) {
    let (acceptor, authorities) = certificate(name);
    let peer = Peer::with("127.0.0.1:0", manner, acceptor).await;
    let mut exchange = to_smart_host(Arc::new(Here), peer.port, is_wrapped).believing(authorities);
    exchange.timing = TIMING;
    (exchange, peer)
}

pub(super) const PLAIN: Manner = Manner {
    offers: &["8BITMIME", "AUTH LOGIN PLAIN"],
    says: &[("AUTH PLAIN AHVzAHNlY3JldA==", "235 2.7.0 welcome"), ("AUTH", "504 5.5.4 what?")],
    tls: Tls::Good,
    ..GOOD
};

#[tokio::test]
async fn a_smart_host_is_told_the_password_over_tls() {
    let says =
        &[("AUTH LOGIN", "334 VXNlcm5hbWU6"), ("dXM=", "334 UGFzc3dvcmQ6"), ("c2VjcmV0", "235 welcome")];
    let login = Manner { offers: &["AUTH LOGIN CRAM-MD5"], says, ..PLAIN };
    for (manner, is_wrapped) in
        [(PLAIN, false), (login, false), (Manner { tls: Tls::Wrapped, ..PLAIN }, true)]
    {
        let (exchange, peer) = by_smart_host("relay.example", manner, is_wrapped).await;
        let handed = one_letter(&exchange).await;
        assert_eq!(demand(&handed), (TlsReason::SmartHost, true, None));
        assert!(handed.tls.is_some() && handed.host.starts_with("relay.example "), "{}", handed.host);
        let seen = peer.seen.lock();
        assert_eq!((handed.verdicts()[0].0, seen.messages.len(), seen.connections), (Sent, 1, 1));
    }
}

#[tokio::test]
async fn no_password_is_told_without_a_certificate_that_holds() {
    for (name, manner) in [
        ("other.example", PLAIN),
        ("relay.example", Manner { tls: Tls::No, ..PLAIN }),
        ("relay.example", Manner { tls: Tls::Broken, ..PLAIN }),
        ("relay.example", Manner { offers: &["AUTH CRAM-MD5"], ..PLAIN }),
    ] {
        let (exchange, peer) = by_smart_host(name, manner, false).await;
        let (outcome, answer) = one_letter(&exchange).await.verdicts().remove(0);
        assert_eq!((outcome, answer.code), (Deferred, None), "{}", answer.text);
        assert!(answer.status.starts_with("4.7.") && answer.text.contains("smart host"), "{answer:?}");
        assert_eq!((peer.commands("AUTH").len(), peer.commands("MAIL").len()), (0, 0), "{name}");
    }
}

#[tokio::test]
async fn a_smart_host_that_lets_nobody_in_holds_the_letter_and_is_left_alone() {
    let says = &[("AUTH", "535 5.7.8 wrong password")];
    let (exchange, peer) = by_smart_host("relay.example", Manner { says, ..PLAIN }, false).await;
    for _ in 0..3 {
        let handed = one_letter(&exchange).await;
        assert!(handed.host.starts_with("relay.example "), "{}", handed.host);
        assert_eq!(demand(&handed), (TlsReason::SmartHost, true, None));
        let (outcome, answer) = handed.verdicts().remove(0);
        assert_eq!((outcome, answer.code, answer.status.as_str()), (Deferred, Some(535), "4.7.8"));
        assert_eq!(answer.text, "the smart host refuses user and password: wrong password");
    }
    assert_eq!((peer.commands("AUTH").len(), peer.commands("MAIL").len()), (1, 0));
    // After a while one asks again, however many wait.
    a_while_passes(&exchange);
    let many = futures::future::join_all((0..5).map(|_| one_letter(&exchange))).await;
    assert!(many.into_iter().all(|handed| handed.verdicts()[0].1.code == Some(535)));
    assert_eq!(peer.commands("AUTH").len(), 2);
}

fn a_while_passes(exchange: &Exchange) {
    let mut shut = exchange.shut.lock();
    assert!(!shut.is_empty());
    shut.values_mut().for_each(|(since, ..)| *since -= 2 * SHUT);
}

#[tokio::test]
async fn a_smart_host_that_lets_us_in_again_is_left_alone_no_more() {
    let (exchange, peer) = by_smart_host("relay.example", PLAIN, false).await;
    let verdict = super::super::ours(Deferred, "4.7.8", "wrong password");
    let gate = (None, exchange.settings.smart_host.clone().expect("one"));
    let shut = (tokio::time::Instant::now(), verdict, super::super::By::default());
    exchange.shut.lock().insert(gate, shut);
    assert_eq!(one_letter(&exchange).await.verdicts()[0].0, Deferred);
    a_while_passes(&exchange);
    for _ in 0..2 {
        assert_eq!(one_letter(&exchange).await.verdicts()[0].0, Sent);
    }
    assert_eq!(peer.seen.lock().messages.len(), 2);
}

#[tokio::test]
async fn what_a_smart_host_repeats_of_the_password_is_told_to_nobody() {
    for says in [
        &[("AUTH", "535 5.7.8 what is AUTH PLAIN AHVzAHNlY3JldA==?")],
        &[("AUTH", "535 5.7.8 what is auth plain ahvzahnl...?")],
        &[("AUTH", "535-5.7.8 no\r\n535 5.7.8 the password of US is wrong")],
        &[("AUTH", "535 5.7.8 secret is not it")],
    ] {
        let (exchange, _peer) = by_smart_host("relay.example", Manner { says, ..PLAIN }, false).await;
        let (outcome, answer) = one_letter(&exchange).await.verdicts().remove(0);
        assert_eq!((outcome, answer.code, answer.status.as_str()), (Deferred, Some(535), "4.7.8"));
        assert_eq!(answer.text, "the smart host refuses user and password");
    }
}

/// Runs the test of that name in a process of its own, where the machine's authorities stand in `bundle`.
fn with_bundle(test: &str, bundle: &std::path::Path) -> std::process::ExitStatus {
    let program = std::env::current_exe().expect("this program");
    let mut command = std::process::Command::new(program);
    command.args(["--exact", test, "--ignored"]).env("SSL_CERT_FILE", bundle).env_remove("SSL_CERT_DIR");
    command.status().expect("runs")
}

#[test]
fn authorities_that_cant_be_read_are_read_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let test = "exchange::tests::secured::authorities_come_back";
    assert!(with_bundle(test, &folder.path().join("bundle.pem")).success());
}

/// In a process of its own: by the test above.
#[test]
#[ignore = "the machine's authorities are read where the test above says"]
fn authorities_come_back() {
    let bundle = std::env::var_os("SSL_CERT_FILE").expect("by the test above");
    let trust = super::super::Trust::default();
    assert!(trust.privacy(true).is_err());
    let certified = rcgen::generate_simple_self_signed(vec!["a.example".to_owned()]).expect("a certificate");
    std::fs::write(&bundle, certified.cert.pem()).expect("written");
    assert!(trust.privacy(true).is_ok());
    // From then on they are known.
    std::fs::remove_file(&bundle).expect("removed");
    assert!(trust.privacy(true).is_ok());
    // What the operator has named alone holds, and is not taken for all.
    std::fs::write(&bundle, certified.cert.pem()).expect("written");
    let named = Authorities::and_of(std::path::Path::new(&bundle)).expect("an authority");
    let whole = || named.roots().map(|(roots, is_whole)| (roots.len(), is_whole));
    assert_eq!(whole(), Ok((2, true)));
    std::fs::remove_file(&bundle).expect("removed");
    assert_eq!(whole(), Ok((1, false)));
}
