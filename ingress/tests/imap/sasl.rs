//! Signing in by SASL: SCRAM with and without channel binding, and tokens.

use std::path::Path;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use pennypost_directory::{AccountState, TokenScope};
use pennypost_ingress::net::Limits;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::dialogue::Client;
use crate::scram::Scram;
use crate::server::{ALICE, BOB, PASSWORD, Server};

/// A client over TLS.
struct Secure(BufReader<TlsStream<TcpStream>>);

impl Secure {
    async fn connect(server: &Server, version: &'static rustls::SupportedProtocolVersion) -> Secure {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(certificate(&server.certificate())).expect("root");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[version])
            .expect("versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        let socket = TcpStream::connect(server.tls_address).await.expect("connected");
        let name = ServerName::try_from("localhost").expect("name");
        let socket = TlsConnector::from(Arc::new(config)).connect(name, socket).await.expect("handshake");
        let mut client = Secure(BufReader::new(socket));
        let greeting = client.line().await;
        assert!(greeting.contains(" AUTH=SCRAM-SHA-256-PLUS AUTH=SCRAM-SHA-256 "), "{greeting}");
        client
    }

    async fn line(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).await.expect("line");
        line.trim_end().to_owned()
    }

    async fn say(&mut self, line: &str) -> String {
        self.0.get_mut().write_all(format!("{line}\r\n").as_bytes()).await.expect("sent");
        self.0.get_mut().flush().await.expect("sent");
        self.line().await
    }

    fn exporter(&self) -> Vec<u8> {
        let connection = self.0.get_ref().get_ref().1;
        let data = connection.export_keying_material([0; 32], b"EXPORTER-Channel-Binding", Some(b""));
        data.expect("exported").to_vec()
    }

    /// The whole exchange; the tagged answer.
    async fn scram(&mut self, mechanism: &str, scram: &Scram) -> String {
        let challenge = self.say(&format!("a AUTHENTICATE {mechanism} {}", scram.first())).await;
        let Some(server_first) = challenge.strip_prefix("+ ") else { return challenge };
        let (last, expected) = scram.last(server_first);
        let answer = self.say(&last).await;
        match answer.strip_prefix("+ ") {
            Some(verifier) => {
                assert_eq!(verifier, expected, "the server does not know the keys");
                self.say("").await
            }
            None => answer,
        }
    }
}

fn certificate(path: &Path) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(&std::fs::read(path).expect("certificate")).expect("PEM")
}

#[tokio::test(flavor = "multi_thread")]
async fn scram_binds_to_the_channel() {
    let server = Server::start().await;
    let end_point =
        ring::digest::digest(&ring::digest::SHA256, &certificate(&server.certificate())).as_ref().to_vec();
    let (tls12, tls13) = (&rustls::version::TLS12, &rustls::version::TLS13);
    for (version, mechanism, header, binding, expected) in [
        (tls13, "SCRAM-SHA-256-PLUS", "p=tls-exporter,,", None, "a OK"),
        (tls13, "SCRAM-SHA-256-PLUS", "p=tls-server-end-point,,", Some(end_point.clone()), "a OK"),
        (tls12, "SCRAM-SHA-256-PLUS", "p=tls-server-end-point,,", Some(end_point.clone()), "a OK"),
        (tls13, "SCRAM-SHA-256", "n,,", Some(Vec::new()), "a OK"),
        // Of another connection; of none; of a kind that is not offered; with TLS 1.2.
        (tls13, "SCRAM-SHA-256-PLUS", "p=tls-exporter,,", Some(vec![7; 32]), "a BAD"),
        (tls13, "SCRAM-SHA-256-PLUS", "p=tls-exporter,,", Some(Vec::new()), "a BAD"),
        (tls13, "SCRAM-SHA-256-PLUS", "p=tls-unique,,", None, "a BAD"),
        (tls12, "SCRAM-SHA-256-PLUS", "p=tls-exporter,,", None, "a BAD"),
        // Header and mechanism do not fit.
        (tls13, "SCRAM-SHA-256-PLUS", "n,,", Some(Vec::new()), "a BAD"),
        (tls13, "SCRAM-SHA-256", "p=tls-exporter,,", None, "a BAD"),
        // Somebody in between hid -PLUS from the client.
        (tls13, "SCRAM-SHA-256", "y,,", Some(Vec::new()), "a BAD"),
    ] {
        let mut client = Secure::connect(&server, version).await;
        let binding = binding.unwrap_or_else(|| client.exporter());
        let scram = Scram::new(header, &binding, ALICE, PASSWORD);
        let answer = client.scram(mechanism, &scram).await;
        assert!(answer.starts_with(expected), "{mechanism} {header}: {answer}");
    }
    server.stop().await;
}

/// The exchange without TLS, from this machine; the tagged answer.
async fn plain_scram(client: &mut Client, login: &str, password: &str) -> String {
    let scram = Scram::new("n,,", b"", login, password);
    client.send(format!("t AUTHENTICATE SCRAM-SHA-256 {}\r\n", scram.first()).as_bytes()).await;
    let challenge = client.line().await.expect("challenge");
    let Some(server_first) = challenge.strip_prefix("+ ") else { return challenge };
    let (last, _) = scram.last(server_first);
    client.send(format!("{last}\r\n").as_bytes()).await;
    let answer = client.line().await.expect("answer");
    if !answer.starts_with("+ ") {
        return answer;
    }
    client.send(b"\r\n").await;
    client.line().await.expect("answer")
}

#[tokio::test(flavor = "multi_thread")]
async fn scram_tells_nobody_who_is_here() {
    let server = Server::start().await;
    // A client that is not there may say "y" where there is no TLS, and so no binding.
    let mut client = Client::connect(server.address).await;
    assert!(plain_scram(&mut client, ALICE, PASSWORD).await.starts_with("t OK"), "not signed in");
    client.ok("SELECT INBOX").await;

    // The same salt for a stranger each time, and the same answers as to a wrong password.
    let mut salts = Vec::new();
    for login in ["nobody@example.test", "NOBODY@example.test", "other@example.test", "no address"] {
        let mut client = Client::connect(server.address).await;
        let scram = Scram::new("n,,", b"", login, "x");
        client.send(format!("t AUTHENTICATE SCRAM-SHA-256 {}\r\n", scram.first()).as_bytes()).await;
        let challenge = client.line().await.expect("challenge");
        let first = STANDARD.decode(challenge.strip_prefix("+ ").expect("challenge")).expect("base64");
        let first = String::from_utf8(first).expect("UTF-8");
        salts.push(first.split(',').nth(1).expect("salt").to_owned());
        client.send(b"*\r\n").await;
        assert!(client.line().await.expect("answer").starts_with("t BAD"));
    }
    assert_eq!(salts[0], salts[1]);
    assert_ne!(salts[0], salts[2]);
    let mut client = Client::connect(server.address).await;
    let wrong = plain_scram(&mut client, ALICE, "a wrong password").await;
    let stranger = plain_scram(&mut client, "nobody@example.test", "a wrong password").await;
    assert!(wrong.starts_with("t NO [AUTHENTICATIONFAILED]"), "{wrong}");
    assert_eq!(wrong, stranger);
    // Guessing is slowed as it is with passwords.
    for _ in 0..4 {
        let mut client = Client::connect(server.address).await;
        plain_scram(&mut client, "nobody@example.test", "a wrong password").await;
    }
    let mut client = Client::connect(server.address).await;
    let slowed = plain_scram(&mut client, "nobody@example.test", "a wrong password").await;
    assert!(slowed.starts_with("t NO [UNAVAILABLE] too many failed sign-ins"), "{slowed}");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_that_are_none_are_refused() {
    let server = Server::start().await;
    let encoded = |text: &str| STANDARD.encode(text);
    for (command, expected) in [
        ("AUTHENTICATE SCRAM-SHA-256 =".to_owned(), "t BAD"),
        (format!("AUTHENTICATE SCRAM-SHA-256 {}", encoded("n,,n=alice,r=")), "t BAD"),
        (
            format!("AUTHENTICATE SCRAM-SHA-256 {}", encoded("n,a=bob,n=alice,r=x")),
            "t NO [AUTHORIZATIONFAILED]",
        ),
        (format!("AUTHENTICATE SCRAM-SHA-256-PLUS {}", encoded("p=tls-exporter,,n=a,r=x")), "t NO [CANNOT]"),
        ("AUTHENTICATE SCRAM-SHA-1".to_owned(), "t NO [CANNOT]"),
        ("AUTHENTICATE SCRAM-SHA-256 !!!".to_owned(), "t BAD"),
        (format!("AUTHENTICATE PLAIN {}", encoded("bob\0alice\0x")), "t NO [AUTHORIZATIONFAILED]"),
    ] {
        let mut client = Client::connect(server.address).await;
        client.send(format!("t {command}\r\n").as_bytes()).await;
        let answer = client.line().await.expect("answer");
        assert!(answer.starts_with(expected), "{command}: {answer}");
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_open_what_they_are_for() {
    let limits = Limits { recheck: std::time::Duration::ZERO, ..Limits::default() };
    let server = Server::with_limits(limits).await;
    let directory = &server.adapter.directory;
    let alice = directory.account_at(ALICE).await.expect("asked").expect("alice").key;
    let (token, secret) = directory.add_token(alice, "phone", TokenScope::ALL, None).await.expect("token");
    let now = server.adapter.clock.now();
    let (_, old) = directory.add_token(alice, "old", TokenScope::ALL, Some(now)).await.expect("token");
    let pop = TokenScope { imap: false, ..TokenScope::ALL };
    let (_, pop) = directory.add_token(alice, "POP", pop, None).await.expect("token");

    let oauthbearer = |login: &str, token: &str| {
        STANDARD
            .encode(format!("n,{login},\u{1}host=localhost\u{1}port=143\u{1}auth=Bearer {token}\u{1}\u{1}"))
    };
    let xoauth2 =
        |login: &str, token: &str| STANDARD.encode(format!("user={login}\u{1}auth=Bearer {token}\u{1}\u{1}"));
    for (mechanism, initial) in [
        ("OAUTHBEARER", oauthbearer(&format!("a={ALICE}"), &secret)),
        ("OAUTHBEARER", oauthbearer("", &secret)),
        ("XOAUTH2", xoauth2(ALICE, &secret)),
        // Programs that know nothing of bearer tokens are given one as a password.
        ("PLAIN", STANDARD.encode(format!("\0{ALICE}\0{secret}"))),
    ] {
        let mut client = Client::connect(server.address).await;
        client.ok(&format!("AUTHENTICATE {mechanism} {initial}")).await;
        client.ok("SELECT INBOX").await;
    }
    let mut forged = secret.clone();
    forged.replace_range(forged.len() - 1.., if secret.ends_with('0') { "1" } else { "0" });
    for (mechanism, initial, status, answer) in [
        (
            "OAUTHBEARER",
            oauthbearer(&format!("a={BOB}"), &secret),
            "invalid_token",
            "t NO [AUTHENTICATIONFAILED]",
        ),
        ("OAUTHBEARER", oauthbearer("", &forged), "invalid_token", "t NO [AUTHENTICATIONFAILED]"),
        ("OAUTHBEARER", oauthbearer("", &old), "invalid_token", "t NO [AUTHENTICATIONFAILED]"),
        ("OAUTHBEARER", oauthbearer("", &pop), "invalid_token", "t NO [CONTACTADMIN]"),
        ("OAUTHBEARER", oauthbearer("", PASSWORD), "invalid_token", "t NO [AUTHENTICATIONFAILED]"),
        ("OAUTHBEARER", oauthbearer("", ""), "invalid_request", "t BAD"),
        ("XOAUTH2", xoauth2(BOB, &secret), "401", "t NO [AUTHENTICATIONFAILED]"),
    ] {
        let mut client = Client::connect(server.address).await;
        client.send(format!("t AUTHENTICATE {mechanism} {initial}\r\n").as_bytes()).await;
        let challenge = client.line().await.expect("challenge");
        let json = STANDARD.decode(challenge.strip_prefix("+ ").expect("challenge")).expect("base64");
        let expected = format!("{{\"status\":\"{status}\",\"schemes\":\"bearer\",\"scope\":\"imap\"}}");
        assert_eq!(String::from_utf8_lossy(&json), expected, "{mechanism}");
        client.send(b"AQ==\r\n").await;
        let said = client.line().await.expect("answer");
        assert!(said.starts_with(answer), "{mechanism}: {said}");
    }

    // A revoked token ends the session that stands on it; a changed password does not.
    let mut client = Client::connect(server.address).await;
    client.ok(&format!("AUTHENTICATE OAUTHBEARER {}", oauthbearer("", &secret))).await;
    directory.set_password(alice, "another password").await.expect("password");
    client.ok("NOOP").await;
    assert!(directory.revoke_token(alice, token.id).await.expect("revoked"));
    client.send(b"t NOOP\r\n").await;
    assert!(client.line().await.expect("goodbye").starts_with("* BYE [UNAVAILABLE]"));
    let mut left: Vec<String> =
        directory.tokens(alice).await.expect("tokens").into_iter().map(|token| token.name).collect();
    // Made in the same millisecond, perhaps.
    left.sort();
    assert_eq!(left, ["POP", "old"]);
    directory.set_account_state(alice, AccountState::Disabled).await.expect("disabled");
    server.stop().await;
}
