//! Ways out of tenants, each with a smart host of its own.

use pennypost_model::TenantId;
use pennypost_model::trace::TlsReason;

use super::super::{Login, SmartHost, WayOut};
use super::secured::{PLAIN, certificate, demand, letter_by};
use super::*;

const TO: &[&str] = &["a@d.example"];

fn way_out(tenant: u64, port: u16, password: &str) -> WayOut {
    let login = Login { user: "us".to_owned(), password: password.to_owned() };
    let host = SmartHost { login: Some(login), ..SmartHost::open("relay.example", port) };
    WayOut { tenant: TenantId(tenant), smart_host: Some(host), name: None, address: None }
}

/// What sends to servers at that port, and a smart host that lets in whoever says `secret`.
async fn world(direct: u16, says: &'static [(&'static str, &'static str)]) -> (Exchange, Peer) {
    let (acceptor, authorities) = certificate("relay.example");
    let relay = Peer::with("127.0.0.1:0", Manner { says, ..PLAIN }, acceptor).await;
    let exchange = super::exchange(Arc::new(Here), (direct, TIMING)).believing(authorities);
    (exchange, relay)
}

#[tokio::test]
async fn one_tenant_goes_by_its_smart_host_and_another_by_dns() {
    let direct = Peer::start(GOOD).await;
    let (exchange, relay) = world(direct.port, PLAIN.says).await;
    let mine = way_out(1, relay.port, "secret");
    let handed = letter_by(&exchange, TO, Some(&mine)).await;
    assert_eq!(demand(&handed), (TlsReason::SmartHost, true, None));
    assert!(handed.host.starts_with("relay.example ") && handed.tls.is_some(), "{}", handed.host);
    assert_eq!((handed.verdicts()[0].0, relay.seen.lock().messages.len()), (Sent, 1));
    assert_eq!(direct.seen.lock().connections, 0);
    let handed = letter_by(&exchange, TO, None).await;
    assert!(handed.host.starts_with("d.example "), "{}", handed.host);
    assert_eq!((handed.demand.clone(), handed.verdicts()[0].0), (None, Sent));
    assert_eq!((direct.seen.lock().messages.len(), relay.seen.lock().messages.len()), (1, 1));
    // By DNS, as that tenant, whatever the installation does.
    let settings =
        Settings { smart_host: Some(SmartHost::open("relay.example", relay.port)), ..exchange.settings };
    let mut exchange =
        Exchange::new(Arc::new(Here), "mx.own.example", Settings { port: direct.port, ..settings });
    exchange.timing = TIMING;
    let name = Some("mail.b.example".to_owned());
    let by_dns = WayOut { tenant: TenantId(2), smart_host: None, name, address: "127.0.0.9".parse().ok() };
    let handed = letter_by(&exchange, TO, Some(&by_dns)).await;
    assert!(handed.host.starts_with("d.example "), "{}", handed.host);
    assert_eq!((handed.verdicts()[0].0, relay.seen.lock().messages.len()), (Sent, 1));
    assert_eq!(direct.commands("EHLO").last().map(String::as_str), Some("EHLO mail.b.example"));
    // From an address that this machine does not have nothing goes.
    let nowhere = WayOut { address: "192.0.2.77".parse().ok(), ..by_dns.clone() };
    let (outcome, answer) = letter_by(&exchange, TO, Some(&nowhere)).await.verdicts().remove(0);
    assert_eq!((outcome, answer.status.as_str()), (Deferred, "4.3.0"), "{}", answer.text);
    let nowhere = WayOut { address: "2001:db8::1".parse().ok(), ..by_dns };
    let (outcome, answer) = letter_by(&exchange, TO, Some(&nowhere)).await.verdicts().remove(0);
    assert_eq!((outcome, answer.status.as_str()), (Deferred, "4.4.1"), "{}", answer.text);
}

#[tokio::test]
async fn a_smart_host_of_a_tenant_gets_nothing_without_a_certificate_that_holds() {
    let relay = Peer::start(Manner { tls: Tls::Good, ..GOOD }).await;
    let exchange = super::exchange(Arc::new(Here), (1, TIMING));
    // It is asked for no password either.
    let host = Some(SmartHost::open("relay.example", relay.port));
    let way_out = WayOut { tenant: TenantId(1), smart_host: host, name: None, address: None };
    let handed = letter_by(&exchange, TO, Some(&way_out)).await;
    assert_eq!((demand(&handed).0, demand(&handed).1), (TlsReason::SmartHost, true));
    let (outcome, answer) = handed.verdicts().remove(0);
    assert_eq!((outcome, answer.status.as_str()), (Deferred, "4.7.5"), "{}", answer.text);
    assert_eq!(relay.commands("MAIL").len(), 0);
}

#[tokio::test]
async fn conversations_and_refusals_are_nobody_elses() {
    const SAYS: &[(&str, &str)] =
        &[("AUTH PLAIN AHVzAHNlY3JldA==", "235 2.7.0 welcome"), ("AUTH", "535 5.7.8 wrong password")];
    let (exchange, relay) = world(1, SAYS).await;
    let (one, two) = (way_out(1, relay.port, "secret"), way_out(2, relay.port, "secret"));
    for way_out in [&one, &one, &one, &two, &two] {
        assert_eq!(letter_by(&exchange, TO, Some(way_out)).await.verdicts()[0].0, Sent);
    }
    // The second one of each leaves its conversation open for the third; nobody takes another tenant's.
    let connections = relay.seen.lock().connections;
    assert_eq!((connections, relay.commands("AUTH").len()), (4, 4));
    // A password that is refused shuts out whoever has it, and nobody else; with another one the same tenant is let in at once.
    let wrong = way_out(3, relay.port, "barley");
    for _ in 0..2 {
        let handed = letter_by(&exchange, TO, Some(&wrong)).await;
        assert!(handed.host.starts_with("relay.example "), "{}", handed.host);
        let (outcome, answer) = handed.verdicts().remove(0);
        assert_eq!((outcome, answer.code, answer.status.as_str()), (Deferred, Some(535), "4.7.8"));
        assert_eq!(answer.text, "the smart host refuses user and password: wrong password");
    }
    assert_eq!(relay.commands("AUTH").len(), 5, "it is left alone");
    for way_out in [&way_out(3, relay.port, "secret"), &one] {
        assert_eq!(letter_by(&exchange, TO, Some(way_out)).await.verdicts()[0].0, Sent);
    }
}

#[tokio::test]
async fn a_smart_host_is_tried_without_a_message() {
    const SAYS: &[(&str, &str)] =
        &[("AUTH PLAIN AHVzAHNlY3JldA==", "235 2.7.0 welcome"), ("AUTH", "535 5.7.8 wrong password")];
    let (exchange, relay) = world(1, SAYS).await;
    let probe = async |way_out: WayOut| {
        let smart_host = way_out.smart_host.clone().expect("one");
        exchange.probe(&way_out, &smart_host).await
    };
    let good = probe(way_out(1, relay.port, "secret")).await;
    assert!(good.host.starts_with("relay.example [127.0.0.1]") && good.tls.is_some(), "{good:?}");
    assert_eq!((good.is_let_in, good.problem), (true, None));
    let wrong = probe(way_out(1, relay.port, "barley")).await;
    let problem = wrong.problem.expect("refused");
    assert_eq!((wrong.is_let_in, problem.code, problem.status.as_str()), (false, Some(535), "4.7.8"));
    assert_eq!(relay.commands("MAIL").len(), 0);
    // Nobody is there; somebody else is.
    let gone = probe(way_out(1, 1, "secret")).await;
    assert_eq!(gone.problem.map(|problem| problem.status).as_deref(), Some("4.4.1"));
    let (acceptor, _) = certificate("relay.example");
    let other = Peer::with("127.0.0.1:0", PLAIN, acceptor).await;
    let stranger = probe(way_out(1, other.port, "secret")).await;
    assert_eq!(stranger.problem.map(|problem| problem.status).as_deref(), Some("4.7.5"));
    assert_eq!(other.commands("AUTH").len(), 0);
}
