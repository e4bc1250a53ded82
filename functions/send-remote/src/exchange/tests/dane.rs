//! Servers are known by what is published of them and proved, and by nothing else then.

use std::net::IpAddr;

use pennypost_lookup::Authorities;
use pennypost_model::trace::TlsReason;
use pennypost_ports::{Association, Proved, ProvingDns};
use rustls::pki_types::CertificateDer;
use rustls::server::ParsedCertificate;
use sha2::{Digest, Sha256};

use super::policies::{World, table};
use super::secured::{PRIVATE, demand, one_letter};
use super::*;
use crate::Tally;

/// What is said of `d.example`, whose server is `mx.d.example` at this machine.
#[derive(Clone)]
struct Signed {
    /// Its MX record, its addresses, its TLSA records are proved.
    proved: [bool; 3],
    /// The server is an alias for this one.
    alias: Option<&'static str>,
    /// The TLSA records of this name; `Err`: they are forged.
    published: (&'static str, Result<Vec<Association>, DnsError>),
}

#[async_trait]
impl ProvingDns for Signed {
    async fn exchangers(&self, domain: &str) -> Result<Proved<(u16, String)>, DnsError> {
        let found = vec![(10, "mx.d.example".to_owned())];
        Ok(Proved { found, is_secure: self.proved[0], name: domain.to_owned() })
    }

    async fn addresses(&self, host: &str) -> Result<Proved<IpAddr>, DnsError> {
        let name = self.alias.unwrap_or(host).to_owned();
        Ok(Proved { found: vec![IpAddr::from([127, 0, 0, 1])], is_secure: self.proved[1], name })
    }

    async fn is_proved_alias(&self, _name: &str) -> Result<bool, DnsError> {
        Ok(self.alias.is_some())
    }

    async fn associations(&self, name: &str) -> Result<Proved<Association>, DnsError> {
        let (owner, published) = &self.published;
        let found = match name.split_once("._tcp.") {
            Some((port, base)) if port.starts_with('_') && base == *owner => published.clone()?,
            _ => Vec::new(),
        };
        Ok(Proved { is_secure: self.proved[2] && !found.is_empty(), found, name: name.to_owned() })
    }
}

/// A server with a certificate for another name, and a record of its key.
fn known() -> (TlsAcceptor, Association) {
    let certified = rcgen::generate_simple_self_signed(vec!["nobody.example".to_owned()]);
    let certified = certified.expect("a certificate");
    let certificate: &CertificateDer<'_> = certified.cert.der();
    let parsed = ParsedCertificate::try_from(certificate).expect("a certificate");
    let data = Sha256::digest(parsed.subject_public_key_info().as_ref()).to_vec();
    (acceptor_with(&certified), Association { usage: 3, selector: 1, matching: 1, data })
}

fn right(record: Association) -> Signed {
    Signed { proved: [true; 3], alias: None, published: ("mx.d.example", Ok(vec![record])) }
}

async fn to(signed: Signed, acceptor: TlsAcceptor, manner: Manner) -> (Handed, Peer) {
    let peer = Peer::with("127.0.0.1:0", manner, acceptor).await;
    let exchange = exchange(Arc::new(Here), (peer.port, TIMING)).proving(Arc::new(signed));
    (one_letter(&exchange).await, peer)
}

#[tokio::test]
async fn a_server_that_is_known_gets_the_letter() {
    let (acceptor, record) = known();
    let (handed, peer) = to(right(record), acceptor, PRIVATE).await;
    assert_eq!(demand(&handed), (TlsReason::Dane, true, None));
    assert!(handed.tls.as_deref().is_some_and(|tls| tls.starts_with("TLSv1_3")), "{:?}", handed.tls);
    assert_eq!((handed.verdicts()[0].0, peer.seen.lock().messages.len()), (Sent, 1));
}

#[tokio::test]
async fn nobody_else_does_nor_anybody_in_the_clear() {
    let wrong = |record: Association| Association { data: vec![7; 32], ..record };
    for (is_right, manner, status, cause) in [
        (false, PRIVATE, "4.7.5", "none of those that the server's TLSA records name"),
        (true, GOOD, "4.7.4", "the server offers no TLS"),
        (true, Manner { tls: Tls::Broken, ..GOOD }, "4.7.5", ""),
        (true, Manner { tls: Tls::Injected, ..GOOD }, "4.7.5", "in the clear"),
    ] {
        let (acceptor, record) = known();
        let record = if is_right { record } else { wrong(record) };
        let (handed, peer) = to(right(record), acceptor, manner).await;
        let (reason, is_enforced, failure) = demand(&handed);
        assert_eq!((reason, is_enforced, handed.tls.as_deref()), (TlsReason::Dane, true, None));
        assert!(failure.is_some_and(|failure| failure.contains(cause)), "{failure:?} {cause}");
        let (outcome, answer) = handed.verdicts().remove(0);
        assert_eq!((outcome, answer.status.as_str()), (Deferred, status), "{}", answer.text);
        assert!(answer.text.contains("DANE") && answer.text.contains(cause), "{}", answer.text);
        let seen = peer.seen.lock();
        assert!(!seen.commands.iter().any(|command| command.starts_with("MAIL")), "{:?}", seen.commands);
        assert_eq!(seen.connections, 1, "there is no second connection in the clear");
    }
}

#[tokio::test]
async fn where_it_can_not_be_known_nobody_is_called() {
    let (acceptor, record) = known();
    let forged = Err(DnsError("SERVFAIL".to_owned()));
    let signed = Signed { published: ("mx.d.example", forged), ..right(record) };
    let (handed, peer) = to(signed, acceptor, PRIVATE).await;
    let (reason, is_enforced, failure) = demand(&handed);
    assert_eq!((reason, is_enforced), (TlsReason::Dane, true));
    assert!(failure.is_some_and(|failure| failure.contains("can't be looked up")), "{failure:?}");
    let (outcome, answer) = handed.verdicts().remove(0);
    assert_eq!((outcome, answer.status.as_str()), (Deferred, "4.7.5"));
    assert_eq!(peer.seen.lock().connections, 0);
}

#[tokio::test]
async fn what_is_not_proved_all_the_way_asks_for_nothing() {
    let (_, record) = known();
    let wrong = Association { data: vec![7; 32], ..record };
    for proved in [[false, true, true], [true, false, true], [true, true, false]] {
        let signed = Signed { proved, ..right(wrong.clone()) };
        for manner in [PRIVATE, GOOD] {
            let (handed, _) = to(signed.clone(), acceptor(), manner).await;
            assert_eq!((handed.demand.clone(), handed.verdicts()[0].0), (None, Sent), "{proved:?}");
        }
    }
    // Records that say nothing ask for TLS, and for nobody.
    let of_the_web = Association { usage: 1, ..wrong };
    let (handed, _) = to(right(of_the_web.clone()), acceptor(), PRIVATE).await;
    assert_eq!(demand(&handed), (TlsReason::Dane, true, None));
    assert_eq!(handed.verdicts()[0].0, Sent);
    let (handed, _) = to(right(of_the_web), acceptor(), GOOD).await;
    assert_eq!(handed.verdicts()[0].0, Deferred);
}

#[tokio::test]
async fn aliases_are_asked_first_where_they_lead_and_then_themselves() {
    for (proved, owner, is_known) in [
        ([true; 3], "other.example", true),
        ([true; 3], "mx.d.example", true),
        ([true, false, true], "mx.d.example", true),
        ([true, false, true], "other.example", false),
    ] {
        let (acceptor, record) = known();
        let published = (owner, Ok(vec![record]));
        let signed = Signed { proved, alias: Some("other.example"), published };
        let (handed, _) = to(signed, acceptor, PRIVATE).await;
        assert_eq!(handed.demand.is_some(), is_known, "{proved:?} {owner}");
        assert_eq!(handed.verdicts()[0].0, Sent);
    }
}

#[tokio::test]
async fn what_is_published_goes_before_the_policy_of_the_domain() {
    let (acceptor, record) = known();
    // By its policy nothing could be sent: another server, and a certificate that nobody vouches for.
    let (world, table) = (World::with("enforce", "other.example"), table());
    let peer = Peer::with("127.0.0.1:0", PRIVATE, acceptor).await;
    let settings = Settings { port: peer.port, reach: Reach::Everything, ..Settings::default() };
    let with = |signed: Signed| {
        let policies = world.policies(Arc::clone(&table.control));
        let mut exchange = Exchange::new(Arc::clone(&world) as _, "mx.own.example", settings.clone())
            .believing(Authorities::default())
            .with_policies(policies)
            .proving(Arc::new(signed));
        exchange.timing = TIMING;
        exchange
    };
    let handed = one_letter(&with(right(record.clone()))).await;
    assert_eq!(demand(&handed), (TlsReason::Dane, true, None));
    assert_eq!(handed.verdicts()[0].0, Sent);
    // A policy that holds does not mend records that do not.
    let wrong = Association { data: vec![7; 32], ..record.clone() };
    assert_eq!(one_letter(&with(right(wrong))).await.verdicts()[0].0, Deferred);
    // Without them the policy counts.
    let none = Signed { published: ("mx.d.example", Ok(Vec::new())), ..right(record) };
    let handed = one_letter(&with(none)).await;
    assert_eq!(
        (demand(&handed).0, handed.verdicts()[0].1.status.clone()),
        (TlsReason::MtaSts, "4.7.0".to_owned())
    );
}

#[tokio::test]
async fn what_becomes_of_tls_is_counted_but_of_reports() {
    let (acceptor, record) = known();
    let (world, table) = (World::with("none", "d.example"), table());
    let peer = Peer::with("127.0.0.1:0", PRIVATE, acceptor).await;
    let wrong = Association { data: vec![7; 32], ..record.clone() };
    let tally = Arc::new(Tally::new(
        Arc::clone(&table.control),
        Arc::clone(&world) as _,
        Arc::clone(&world) as _,
        Duration::from_secs(86_400),
    ));
    let with = |signed: Option<Signed>| {
        let mut exchange = exchange(Arc::new(Here), (peer.port, TIMING)).counting(Arc::clone(&tally));
        if let Some(signed) = signed {
            exchange = exchange.proving(Arc::new(signed));
        }
        exchange
    };
    for signed in [Some(right(record)), Some(right(wrong.clone())), None] {
        one_letter(&with(signed)).await;
    }
    let counted = tally.counted("d.example");
    assert_eq!(
        counted,
        [
            ("tlsa", 1, 0, vec![]),
            ("tlsa", 0, 1, vec!["certificate-not-trusted"]),
            ("no-policy-found", 1, 0, vec![])
        ]
    );
    // It tells of what is wrong: that must not keep it here.
    let recipients = ["a@d.example".to_owned()];
    let parcel = Parcel {
        ending: &AtomicBool::new(false),
        asked: None,
        ignores_policies: true,
        is_private: false,
        way_out: None,
        id: EventId::from_parts(Timestamp(1), 1),
        destination: "d.example",
        reverse_path: "",
        recipients: &recipients,
        head: b"",
        message: b"From: me@own.example\r\n\r\nhello\r\n",
        is_eight_bit: false,
        is_utf8: false,
    };
    assert_eq!(with(Some(right(wrong))).hand_over(&parcel).await.verdicts()[0].0, Sent);
    assert_eq!(tally.counted("d.example"), counted);
}
