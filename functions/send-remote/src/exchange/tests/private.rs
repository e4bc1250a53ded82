//! What nobody may read on its way goes to servers only that are known, over TLS, and that promise the same (REQUIRETLS: RFC 8689).

use std::net::IpAddr;

use pennypost_lookup::Authorities;
use pennypost_model::trace::TlsReason;
use pennypost_ports::{Association, FetchError, Proved, ProvingDns};

use super::super::{Login, SmartHost};
use super::policies::{World, table};
use super::secured::{PLAIN, certificate, demand};
use super::*;

const PROMISING: Manner =
    Manner { tls: Tls::Good, offers: &["8BITMIME", "SIZE 100000", "REQUIRETLS"], ..GOOD };

/// `d.example` has the server `mx.d.example`, at this machine, as anybody may have said.
struct Unproved;

#[async_trait]
impl Dns for Unproved {
    async fn look_up(&self, name: &str, kind: DnsKind) -> Result<Vec<DnsRecord>, DnsError> {
        Ok(match (name, kind) {
            ("d.example", DnsKind::Mx) => {
                vec![DnsRecord::Mx { preference: 10, host: "mx.d.example".to_owned() }]
            }
            ("mx.d.example", DnsKind::Address) => vec![DnsRecord::Address([127, 0, 0, 1].into())],
            _ => Vec::new(),
        })
    }
}

/// The same, proved, with these TLSA records.
struct Proven(Vec<Association>);

#[async_trait]
impl ProvingDns for Proven {
    async fn exchangers(&self, domain: &str) -> Result<Proved<(u16, String)>, DnsError> {
        let found = vec![(10, "mx.d.example".to_owned())];
        Ok(Proved { found, is_secure: true, name: domain.to_owned() })
    }

    async fn addresses(&self, host: &str) -> Result<Proved<IpAddr>, DnsError> {
        let found = vec![IpAddr::from([127, 0, 0, 1])];
        Ok(Proved { found, is_secure: true, name: host.to_owned() })
    }

    async fn is_proved_alias(&self, _name: &str) -> Result<bool, DnsError> {
        Ok(false)
    }

    async fn associations(&self, name: &str) -> Result<Proved<Association>, DnsError> {
        Ok(Proved { found: self.0.clone(), is_secure: !self.0.is_empty(), name: name.to_owned() })
    }
}

async fn private_letter(exchange: &Exchange, reverse_path: &str) -> Handed {
    let recipients = ["a@d.example".to_owned()];
    let parcel = Parcel {
        ending: &AtomicBool::new(false),
        asked: None,
        ignores_policies: false,
        is_private: true,
        way_out: None,
        id: EventId::from_parts(Timestamp(1), 1),
        destination: "d.example",
        reverse_path,
        recipients: &recipients,
        head: b"",
        message: b"From: me@own.example\r\n\r\nhello\r\n",
        is_eight_bit: false,
        is_utf8: false,
    };
    exchange.hand_over(&parcel).await
}

/// A server with a certificate for that name, and who calls it by that word of DNS.
async fn to(dns: Arc<dyn Dns>, manner: Manner, name: &str) -> (Exchange, Peer) {
    let (acceptor, authorities): (_, Authorities) = certificate(name);
    let peer = Peer::with("127.0.0.1:0", manner, acceptor).await;
    (exchange(dns, (peer.port, TIMING)).believing(authorities), peer)
}

fn is_promised(peer: &Peer) -> Vec<bool> {
    peer.commands("MAIL").iter().map(|command| command.ends_with(" REQUIRETLS")).collect()
}

#[track_caller]
fn is_refused(handed: Handed, peer: &Peer, status: &str, cause: &str) {
    let (reason, is_enforced, _) = demand(&handed);
    assert_eq!((reason, is_enforced), (TlsReason::Sender, true), "{cause}");
    let (outcome, answer) = handed.verdicts().remove(0);
    let expected = if status.starts_with('5') { Failed } else { Deferred };
    assert_eq!((outcome, answer.status.as_str(), answer.code), (expected, status, None), "{}", answer.text);
    assert!(answer.text.contains("REQUIRETLS") && answer.text.contains(cause), "{}", answer.text);
    let seen = peer.seen.lock();
    assert!(seen.messages.is_empty() && !seen.commands.iter().any(|one| one.contains("MAIL")), "{cause}");
    assert!(seen.connections <= 1, "there is no second connection in the clear");
}

#[tokio::test]
async fn it_goes_to_a_server_that_is_known_and_promises_the_same() {
    // By a policy that names the server, enforced or not.
    for mode in ["enforce", "testing"] {
        let (world, table) = (World::with(mode, "mx.d.example"), table());
        let (exchange, peer) = to(Arc::new(Unproved), PROMISING, "mx.d.example").await;
        let exchange = exchange.with_policies(world.policies(Arc::clone(&table.control)));
        let handed = private_letter(&exchange, "me@own.example").await;
        assert_eq!(demand(&handed), (TlsReason::Sender, true, None), "{mode}");
        assert!(handed.tls.is_some());
        assert_eq!((handed.verdicts()[0].0, is_promised(&peer)), (Sent, vec![true]));
    }
    // By DNSSEC, with a certificate of an authority where nothing is published of it, or nothing that says who it is.
    let useless = Association { usage: 0, selector: 0, matching: 0, data: vec![7] };
    for published in [Vec::new(), vec![useless]] {
        let (exchange, peer) = to(Arc::new(Here), PROMISING, "mx.d.example").await;
        let exchange = exchange.proving(Arc::new(Proven(published)));
        let handed = private_letter(&exchange, "me@own.example").await;
        assert_eq!((handed.verdicts()[0].0, is_promised(&peer)), (Sent, vec![true]));
    }
    // Without MX records it is the domain itself.
    let (exchange, peer) = to(Arc::new(Here), PROMISING, "d.example").await;
    let handed = private_letter(&exchange, "me@own.example").await;
    assert_eq!((handed.verdicts()[0].0, is_promised(&peer)), (Sent, vec![true]));
}

#[tokio::test]
async fn it_goes_to_nobody_else_and_that_is_told_at_once() {
    let later = &[("STARTTLS", "454 4.7.0 not now")];
    let never = &[("STARTTLS", "554 5.7.0 never")];
    let silent = Manner { tls: Tls::Good, ..GOOD };
    for (policy, name, manner, status, cause) in [
        (None, "mx.d.example", PROMISING, "5.7.10", "neither DNSSEC nor a policy"),
        (Some(("testing", "x.example")), "mx.d.example", PROMISING, "5.7.10", "neither DNSSEC nor a policy"),
        (Some(("enforce", "mx.d.example")), "d.example", PROMISING, "5.7.10", "not valid for name"),
        (Some(("enforce", "mx.d.example")), "mx.d.example", GOOD, "5.7.10", "the server offers no TLS"),
        (
            Some(("testing", "mx.d.example")),
            "mx.d.example",
            Manner { says: never, ..PROMISING },
            "5.7.10",
            "554 5.7.0 never",
        ),
        (
            Some(("testing", "mx.d.example")),
            "mx.d.example",
            Manner { says: later, ..PROMISING },
            "4.7.4",
            "454 4.7.0 not now",
        ),
        (
            Some(("testing", "mx.d.example")),
            "mx.d.example",
            Manner { tls: Tls::Silent, ..PROMISING },
            "4.7.5",
            "not answer in time",
        ),
        (Some(("testing", "mx.d.example")), "mx.d.example", silent, "5.7.30", "REQUIRETLS support required"),
    ] {
        let (exchange, peer) = to(Arc::new(Unproved), manner, name).await;
        let table = table();
        let exchange = match policy {
            Some((mode, mx)) => {
                exchange.with_policies(World::with(mode, mx).policies(Arc::clone(&table.control)))
            }
            None => exchange,
        };
        is_refused(private_letter(&exchange, "me@own.example").await, &peer, status, cause);
    }
    // A policy that is enforced leaves it out before it is called.
    let (world, table) = (World::with("enforce", "x.example"), table());
    let (exchange, peer) = to(Arc::new(Unproved), PROMISING, "mx.d.example").await;
    let exchange = exchange.with_policies(world.policies(Arc::clone(&table.control)));
    let (outcome, answer) = private_letter(&exchange, "me@own.example").await.verdicts().remove(0);
    assert_eq!((outcome, answer.status.as_str(), peer.seen.lock().connections), (Failed, "5.7.10", 0));
    // Records that name nobody let anybody in who has a certificate, but not here.
    let useless = Association { usage: 0, selector: 0, matching: 0, data: vec![7] };
    let (exchange, peer) = to(Arc::new(Here), PROMISING, "nobody.example").await;
    let exchange = exchange.proving(Arc::new(Proven(vec![useless])));
    is_refused(private_letter(&exchange, "me@own.example").await, &peer, "5.7.10", "not valid for name");
}

#[tokio::test]
async fn while_a_policy_can_not_be_had_the_letter_waits() {
    let (world, table) = (World::with("enforce", "mx.d.example"), table());
    *world.document.lock() = Err(FetchError::Status(404));
    let (exchange, peer) = to(Arc::new(Unproved), PROMISING, "mx.d.example").await;
    let exchange = exchange.with_policies(world.policies(Arc::clone(&table.control)));
    let handed = private_letter(&exchange, "me@own.example").await;
    is_refused(handed, &peer, "4.7.10", "the policy can't be had at present");
}

#[tokio::test]
async fn of_several_servers_one_is_found_that_promises() {
    let names = ["127.0.0.2.mx".to_owned(), "127.0.0.3.mx".to_owned()];
    let certified = rcgen::generate_simple_self_signed(names).expect("a certificate");
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("authority.pem");
    std::fs::write(&file, certified.cert.pem()).expect("written");
    let silent = Manner { tls: Tls::Good, ..GOOD };
    let first = Peer::with("127.0.0.2:0", silent, acceptor_with(&certified)).await;
    let second = Peer::with(&format!("127.0.0.3:{}", first.port), PROMISING, acceptor_with(&certified)).await;
    let (world, table) = (World::with("testing", "127.0.0.2.mx\nmx: 127.0.0.3.mx"), table());
    let exchange = exchange(Arc::new(Exchangers(&["127.0.0.2", "127.0.0.3"])), (first.port, TIMING))
        .believing(Authorities::and_of(&file).expect("an authority"))
        .with_policies(world.policies(Arc::clone(&table.control)));
    let handed = private_letter(&exchange, "me@own.example").await;
    assert!(handed.host.starts_with("127.0.0.3.mx"), "{}", handed.host);
    assert_eq!((handed.verdicts()[0].0, is_promised(&second)), (Sent, vec![true]));
    assert_eq!((first.commands("MAIL").len(), first.commands("QUIT").len()), (0, 1));
}

#[tokio::test]
async fn what_is_from_nobody_goes_all_the_same_with_the_promise_where_it_can_be_had() {
    // Known, over TLS, and promising.
    let (exchange, peer) = to(Arc::new(Here), PROMISING, "d.example").await;
    assert_eq!(private_letter(&exchange, "").await.verdicts()[0].0, Sent);
    assert_eq!(is_promised(&peer), [true]);
    // No promise is asked for of whoever is not known, has no certificate, or speaks in the clear.
    let clear = Manner { tls: Tls::No, ..PROMISING };
    let silent = Manner { tls: Tls::Good, ..GOOD };
    for (manner, dns, name) in [
        (PROMISING, Arc::new(Unproved) as Arc<dyn Dns>, "mx.d.example"),
        (PROMISING, Arc::new(Here), "nobody.example"),
        (clear, Arc::new(Here), "d.example"),
        (silent, Arc::new(Here), "d.example"),
    ] {
        let (exchange, peer) = to(dns, manner, name).await;
        assert_eq!(private_letter(&exchange, "").await.verdicts()[0].0, Sent, "{name}");
        assert_eq!((is_promised(&peer), peer.seen.lock().messages.len()), (vec![false], 1), "{name}");
    }
}

#[tokio::test]
async fn a_smart_host_is_known_by_its_certificate_and_has_to_promise_too() {
    for (offers, outcome, status) in
        [(&["AUTH PLAIN", "REQUIRETLS"][..], Sent, "2.0.0"), (&["AUTH PLAIN"][..], Failed, "5.7.30")]
    {
        let (acceptor, authorities) = certificate("relay.example");
        let peer = Peer::with("127.0.0.1:0", Manner { offers, ..PLAIN }, acceptor).await;
        let login = Some(Login { user: "us".to_owned(), password: "secret".to_owned() });
        let smart_host = SmartHost { login, ..SmartHost::open("relay.example", peer.port) };
        let settings = Settings { smart_host: Some(smart_host), ..Settings::default() };
        let mut exchange = Exchange::new(Arc::new(Here), "mx.own.example", settings).believing(authorities);
        exchange.timing = TIMING;
        let (found, answer) = private_letter(&exchange, "me@own.example").await.verdicts().remove(0);
        assert_eq!((found, answer.status.as_str()), (outcome, status), "{}", answer.text);
    }
}

#[tokio::test]
async fn a_conversation_with_anybody_is_not_used_for_it() {
    let useless = Association { usage: 0, selector: 0, matching: 0, data: vec![7] };
    let (exchange, peer) = to(Arc::new(Here), PROMISING, "nobody.example").await;
    let exchange = exchange.proving(Arc::new(Proven(vec![useless])));
    // The second leaves its conversation open.
    for _ in 0..2 {
        assert_eq!(super::secured::one_letter(&exchange).await.verdicts()[0].0, Sent);
    }
    let (outcome, answer) = private_letter(&exchange, "me@own.example").await.verdicts().remove(0);
    assert_eq!((outcome, answer.status.as_str()), (Failed, "5.7.10"), "{}", answer.text);
    assert_eq!((is_promised(&peer), peer.seen.lock().messages.len()), (vec![false, false], 2));
}
