//! A document over TLS from a server of this machine, looked up in a zone of the test.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use async_trait::async_trait;
use pennypost_lookup::Documents;
use pennypost_ports::{Dns, DnsError, DnsKind, DnsRecord, FetchError, Https, HttpsRequest};
use rustls::RootCertStore;
use rustls::pki_types::PrivateKeyDer;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

struct Zone(HashMap<&'static str, IpAddr>);

#[async_trait]
impl Dns for Zone {
    async fn look_up(&self, name: &str, _kind: DnsKind) -> Result<Vec<DnsRecord>, DnsError> {
        Ok(self.0.get(name).map(|ip| DnsRecord::Address(*ip)).into_iter().collect())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn documents_come_from_whom_the_certificate_names() {
    let made = rcgen::generate_simple_self_signed(["mta-sts.acme.example".to_owned()]).expect("certificate");
    let mut roots = RootCertStore::empty();
    roots.add(made.cert.der().clone()).expect("an authority");
    let key = PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(rustls::DEFAULT_VERSIONS)
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .expect("a configuration");
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("port");
    let port = listener.local_addr().expect("address").port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            let mut request = vec![0; 1024];
            let len = stream.read(&mut request).await.unwrap_or_default();
            let is_right = request[..len].starts_with(b"GET /.well-known/mta-sts.txt HTTP/1.0\r\n");
            let said = String::from_utf8_lossy(&request[..len]);
            let is_form = said.starts_with("POST /token?a=b HTTP/1.0\r\nHost: mta-sts.acme.example:")
                && said.contains("\r\nAuthorization: Basic eA==\r\n")
                && said.ends_with("Content-Length: 6\r\n\r\ncode=1");
            let answer = if is_form {
                "HTTP/1.0 200 OK\r\n\r\n{}"
            } else if is_right {
                "HTTP/1.1 200 OK\r\n\r\nversion: STSv1\n"
            } else {
                "HTTP/1.1 404 No\r\n\r\n"
            };
            let _ = stream.write_all(answer.as_bytes()).await;
            let _ = stream.shutdown().await;
        }
    });
    let ip = IpAddr::from([127, 0, 0, 1]);
    let dns: Arc<dyn Dns> =
        Arc::new(Zone(HashMap::from([("mta-sts.acme.example", ip), ("other.example", ip)])));
    let documents = Documents::believing(Arc::clone(&dns), roots.clone(), port, true);
    let path = "/.well-known/mta-sts.txt";
    assert_eq!(documents.fetch("mta-sts.acme.example", path).await, Ok(b"version: STSv1\n".to_vec()));
    assert_eq!(documents.fetch("mta-sts.acme.example", "/x").await, Err(FetchError::Status(404)));
    assert!(matches!(documents.fetch("other.example", path).await, Err(FetchError::Certificate(_))));
    assert_eq!(documents.fetch("nowhere.example", path).await, Err(FetchError::NoHost));
    let asked = |path| HttpsRequest {
        host: "mta-sts.acme.example",
        port,
        path,
        authorization: Some("Basic eA=="),
        form: Some("code=1"),
    };
    assert_eq!(documents.ask(&asked("/token?a=b")).await, Ok(b"{}".to_vec()));
    assert_eq!(documents.ask(&asked("/x")).await, Err(FetchError::Status(404)));
    // Nothing that is named makes a second request of one.
    assert_eq!(documents.ask(&asked("/x HTTP/1.0\r\nX: y")).await, Err(FetchError::Answer));
    // What the world takes for the tenant's host may be ours.
    let careful = Documents::believing(Arc::clone(&dns), roots.clone(), port, false);
    assert_eq!(careful.ask(&asked("/token?a=b")).await, Err(FetchError::NoHost));
    let other = Documents::believing(Arc::clone(&dns), roots.clone(), port, false).knowing("other.example");
    assert_eq!(other.ask(&asked("/token?a=b")).await, Err(FetchError::NoHost));
    // Unless the operator knows it, there; and then only for that.
    let elsewhere = Documents::believing(Arc::clone(&dns), roots.clone(), port, false);
    let elsewhere = elsewhere.knowing("mta-sts.acme.example, mta-sts.acme.example:1");
    assert_eq!(elsewhere.ask(&asked("/token?a=b")).await, Err(FetchError::NoHost));
    let known = format!("x.example, MTA-STS.acme.example:{port}");
    let known = Documents::believing(dns, roots, port, false).knowing(&known);
    assert_eq!(known.ask(&asked("/token?a=b")).await, Ok(b"{}".to_vec()));
    assert_eq!(known.fetch("mta-sts.acme.example", path).await, Err(FetchError::NoHost));
    assert_eq!(careful.fetch("mta-sts.acme.example", path).await, Err(FetchError::NoHost));
}

/// Authorities that can't be read once are read again: in a process of its own, where they stand elsewhere.
#[test]
fn without_authorities_nobody_is_asked_and_with_them_somebody_is() {
    let bundle = std::env::temp_dir().join(format!("pennypost-authorities-{}.pem", std::process::id()));
    let program = std::env::current_exe().expect("this program");
    let mut command = std::process::Command::new(program);
    command.args(["--exact", "authorities_come_back", "--ignored"]);
    command.env("SSL_CERT_FILE", &bundle).env_remove("SSL_CERT_DIR");
    let status = command.status().expect("runs");
    let _ = std::fs::remove_file(&bundle);
    assert!(status.success());
}

#[tokio::test]
#[ignore = "the machine's authorities are read where the test above says"]
async fn authorities_come_back() {
    let bundle = std::env::var_os("SSL_CERT_FILE").expect("by the test above");
    let documents = Documents::new(Arc::new(Zone(HashMap::new())));
    let nobody = documents.fetch("mta-sts.acme.example", "/").await;
    assert!(matches!(&nobody, Err(FetchError::Connection(why)) if why.contains("authority")), "{nobody:?}");
    let made = rcgen::generate_simple_self_signed(["a.example".to_owned()]).expect("certificate");
    std::fs::write(&bundle, made.cert.pem()).expect("written");
    assert_eq!(documents.fetch("mta-sts.acme.example", "/").await, Err(FetchError::NoHost));
}
