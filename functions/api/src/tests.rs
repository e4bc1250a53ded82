//! Feature CLI-09 (part): Thunderbird’s autoconfiguration, Outlook’s Autodiscover (POX) and Apple’s profile over HTTP, for domains, never telling of accounts

use std::sync::Arc;

use axum::body::Body;
use axum::http::Request;
use http_body_util::BodyExt;
use pennypost_backend_embedded::{Embedded, Options};
use pennypost_ports::{RandomIds, SystemClock};
use quick_xml::Reader;
use quick_xml::events::Event;
use serde_json::Value;
use tower::ServiceExt;

use super::*;

struct Bench {
    _dir: tempfile::TempDir,
    directory: Directory,
    rest: Rest,
}

async fn bench() -> Bench {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let backend = Embedded::open(dir.path(), &Options::server()).expect("opens");
    let (clock, ids) = (Arc::new(SystemClock), Arc::new(RandomIds));
    let directory = Directory::new(backend.control(), Arc::clone(&clock) as _, Arc::clone(&ids) as _);
    let administration = pennypost_admin::Administration::new(
        directory.clone(),
        backend.control(),
        Arc::clone(&clock) as _,
        ids,
    );
    let rest = Rest::new(administration, backend.control(), clock);
    let tenant = directory.add_tenant("acme").await.expect("tenant").id;
    directory.add_domain(tenant, "acme.example").await.expect("domain");
    directory.add_account("ann@acme.example", "a long password", "", None).await.expect("account");
    Bench { _dir: dir, directory, rest }
}

fn settings() -> Settings {
    let outgoing = "smtp.example.net:587".parse().expect("a server");
    Settings::new("mx.acme.example", Some(993), Some(995), Some(outgoing)).expect("settings")
}

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    text: String,
}

impl Bench {
    async fn ask(&self, request: Request<Body>) -> Answer {
        self.ask_with(settings(), request).await
    }

    async fn ask_with(&self, settings: Settings, request: Request<Body>) -> Answer {
        let answer =
            router(Api::new(self.directory.clone(), settings), self.rest.clone()).oneshot(request).await;
        let answer = answer.expect("answers");
        let (parts, body) = answer.into_parts();
        let bytes = body.collect().await.expect("a body").to_bytes();
        let text = String::from_utf8(bytes.to_vec()).expect("UTF-8");
        Answer { status: parts.status, headers: parts.headers, text }
    }

    async fn get(&self, path: &str) -> Answer {
        self.ask(request(path)).await
    }

    async fn post(&self, body: &str) -> Answer {
        let request = Request::post("/autodiscover/autodiscover.xml").header("content-type", "text/xml");
        self.ask(request.body(Body::from(body.to_owned())).expect("a request")).await
    }
}

fn request(path: &str) -> Request<Body> {
    Request::get(path).header("host", "mail.example").body(Body::empty()).expect("a request")
}

fn autodiscover(address: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<Autodiscover \
         xmlns=\"http://schemas.microsoft.com/exchange/autodiscover/outlook/requestschema/2006\"><Request><EMailAddress>\
         {address}</EMailAddress><AcceptableResponseSchema>{}</AcceptableResponseSchema></Request></Autodiscover>",
        "http://schemas.microsoft.com/exchange/autodiscover/outlook/responseschema/2006a"
    )
}

impl Answer {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("text"))
    }

    /// Every element with text, in order: `name=text`.
    fn elements(&self) -> Vec<String> {
        let mut reader = Reader::from_str(&self.text);
        reader.config_mut().check_end_names = true;
        let (mut path, mut found) = (Vec::new(), Vec::new());
        loop {
            match reader.read_event().expect("well-formed") {
                Event::Start(start) => {
                    path.push(String::from_utf8_lossy(start.local_name().as_ref()).into_owned())
                }
                Event::End(_) => drop(path.pop()),
                Event::Empty(empty) => {
                    found.push(String::from_utf8_lossy(empty.local_name().as_ref()).into_owned());
                }
                Event::Text(text) => {
                    let text = text.decode().expect("UTF-8").trim().to_owned();
                    if !text.is_empty() {
                        found.push(format!("{}={text}", path.last().expect("inside")));
                    }
                }
                Event::Eof => return found,
                _ => {}
            }
        }
    }

    fn assert_problem(&self, status: u16, name: &str) {
        assert_eq!((self.status.as_u16(), self.header("content-type")), (status, "application/problem+json"));
        let document: Value = serde_json::from_str(&self.text).expect("JSON");
        assert_eq!(document["type"], format!("urn:pennypost:problem:{name}"), "{}", self.text);
        assert_eq!(document["status"], status);
        assert!(document["title"].is_string() && document["detail"].is_string());
    }
}

#[tokio::test]
async fn thunderbird_finds_its_servers() {
    let it = bench().await;
    for path in [
        "/.well-known/autoconfig/mail/config-v1.1.xml?emailaddress=ann%40acme.example",
        "/mail/config-v1.1.xml?emailaddress=ann@acme.example",
    ] {
        let answer = it.get(path).await;
        assert_eq!(
            (answer.status, answer.header("content-type")),
            (StatusCode::OK, "text/xml; charset=utf-8")
        );
        assert!(answer.text.starts_with("<?xml version=\"1.0\" encoding=\"UTF-8\"?>"), "{}", answer.text);
        assert!(answer.text.contains("<incomingServer type=\"imap\">"), "{}", answer.text);
        let server = |host: &str, port: u16, socket: &str| {
            let of = |name: &str, value: &str| format!("{name}={value}");
            vec![
                of("hostname", host),
                of("port", &port.to_string()),
                of("socketType", socket),
                of("authentication", "password-cleartext"),
                of("username", "%EMAILADDRESS%"),
            ]
        };
        let mut expected: Vec<String> =
            ["domain=acme.example", "displayName=Mail of acme.example", "displayShortName=acme.example"]
                .map(str::to_owned)
                .into();
        expected.extend(server("mx.acme.example", 993, "SSL"));
        expected.extend(server("mx.acme.example", 995, "SSL"));
        expected.extend(server("smtp.example.net", 587, "STARTTLS"));
        assert_eq!(answer.elements(), expected);
    }
    // By the name that was called.
    let called = Request::get("/mail/config-v1.1.xml").header("host", "autoconfig.acme.example");
    let called = called.header("accept-language", "zh-CN").body(Body::empty()).expect("a request");
    let answer = it.ask(called).await;
    assert_eq!((answer.status, answer.header("content-language")), (StatusCode::OK, "zh-CN"));
    assert!(answer.text.contains("acme.example 邮箱"), "{}", answer.text);
}

#[tokio::test]
async fn outlook_finds_its_servers() {
    let it = bench().await;
    let answer = it.post(&autodiscover("ann@acme.example")).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    let elements = answer.elements();
    assert_eq!(&elements[..2], ["AccountType=email", "Action=settings"]);
    for wanted in
        ["Type=IMAP", "Type=POP3", "Type=SMTP", "Server=mx.acme.example", "LoginName=ann@acme.example"]
    {
        assert!(elements.iter().any(|element| element == wanted), "{wanted}: {elements:?}");
    }
    assert!(answer.text.contains("outlook/responseschema/2006a"));
    let by_get = it.get("/autodiscover/autodiscover.xml").await;
    by_get.assert_problem(405, "other-method");
    assert_eq!(by_get.header("allow"), "POST");
}

#[tokio::test]
async fn an_apple_device_gets_a_profile() {
    let it = bench().await;
    let answer = it.get("/mobileconfig?email=ann%40acme.example&lang=zh-CN").await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    assert_eq!(answer.header("content-type"), "application/x-apple-aspen-config; charset=utf-8");
    let elements = answer.elements();
    let value = |key: &str| {
        let place = elements.iter().position(|element| *element == format!("key={key}")).expect(key);
        elements[place + 1].as_str()
    };
    for (key, expected) in [
        ("EmailAccountType", "string=EmailTypeIMAP"),
        ("EmailAddress", "string=ann@acme.example"),
        ("IncomingMailServerHostName", "string=mx.acme.example"),
        ("IncomingMailServerPortNumber", "integer=993"),
        ("IncomingMailServerUseSSL", "true"),
        ("OutgoingMailServerHostName", "string=smtp.example.net"),
        ("OutgoingMailServerPortNumber", "integer=587"),
        ("PayloadDisplayName", "string=acme.example 邮箱"),
    ] {
        assert_eq!(value(key), expected, "{key}");
    }
    let again = it.get("/mobileconfig?email=ann%40acme.example&lang=zh-CN").await;
    assert_eq!(again.text, answer.text, "installed again it replaces itself");
    let without = Settings { outgoing: None, ..settings() };
    let answer = it.ask_with(without, request("/mobileconfig?email=ann@acme.example")).await;
    answer.assert_problem(404, "no-outgoing-server");
    it.get("/mobileconfig").await.assert_problem(400, "no-address");
}

#[tokio::test]
async fn nobody_learns_whether_an_account_exists() {
    let it = bench().await;
    let paths = |address: &str| {
        [
            format!("/mail/config-v1.1.xml?emailaddress={address}"),
            format!("/.well-known/autoconfig/mail/config-v1.1.xml?emailaddress={address}"),
        ]
    };
    for (there, not_there) in paths("ann@acme.example").iter().zip(paths("bob@acme.example")) {
        let (there, not_there) = (it.get(there).await, it.get(&not_there).await);
        assert_eq!((there.status, there.text), (not_there.status, not_there.text));
    }
    let there = it.post(&autodiscover("ann@acme.example")).await;
    let not_there = it.post(&autodiscover("bob@acme.example")).await;
    assert_eq!(there.text.replace("ann@", "bob@"), not_there.text);
    let profile = |name: &str| format!("/mobileconfig?email={name}@acme.example");
    let (there, not_there) = (it.get(&profile("ann")).await, it.get(&profile("bob")).await);
    assert_eq!((there.status, there.text.len()), (not_there.status, not_there.text.len()));
}

#[tokio::test]
async fn what_is_not_here_is_told() {
    let it = bench().await;
    it.get("/mail/config-v1.1.xml?emailaddress=ann@elsewhere.example")
        .await
        .assert_problem(404, "unknown-domain");
    it.get("/mobileconfig?email=ann@elsewhere.example").await.assert_problem(404, "unknown-domain");
    it.post(&autodiscover("ann@elsewhere.example")).await.assert_problem(404, "unknown-domain");
    it.get("/mail/config-v1.1.xml").await.assert_problem(404, "unknown-domain");
    it.get("/mail/config-v1.1.xml?emailaddress=nobody").await.assert_problem(400, "no-address");
    it.get("/mobileconfig?email=%00@acme.example").await.assert_problem(400, "no-address");
    it.get("/").await.assert_problem(404, "no-such-page");
    it.post("").await.assert_problem(400, "bad-request");
    it.post("{}").await.assert_problem(400, "bad-request");
    it.post(&autodiscover("nobody")).await.assert_problem(400, "no-address");
    it.post(&format!("<a>{}</a>", "x".repeat(MOST_BODY))).await.assert_problem(413, "too-large");
    let put = Request::put("/mobileconfig").body(Body::empty()).expect("a request");
    it.ask(put).await.assert_problem(405, "other-method");
    let closed = Settings { imaps: None, pop3s: None, ..settings() };
    let answer = it.ask_with(closed, request("/mail/config-v1.1.xml?emailaddress=a@acme.example")).await;
    answer.assert_problem(404, "no-protocol");
    let chinese = Request::get("/").header("accept-language", "zh").body(Body::empty()).expect("a request");
    let answer = it.ask(chinese).await;
    assert!(answer.text.contains("这里没有内容"), "{}", answer.text);
    let health = it.get("/health").await;
    assert_eq!((health.status, health.text.as_str()), (StatusCode::OK, r#"{"status":"ok"}"#));
}

#[tokio::test]
async fn what_others_write_is_escaped() {
    let it = bench().await;
    for address in ["a&b@acme.example", "a%26b%3c@acme.example", "%22a%3E%3Cx%3E%22@acme.example"] {
        for path in [
            format!("/mobileconfig?email={address}"),
            format!("/mail/config-v1.1.xml?emailaddress={address}"),
        ] {
            let answer = it.get(&path).await;
            if answer.status == StatusCode::OK {
                answer.elements();
                assert!(!answer.text.contains("<x>"), "{}", answer.text);
            }
        }
    }
    let answer = it.post(&autodiscover("a&amp;b@acme.example")).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert!(answer.text.contains("<LoginName>a&amp;b@acme.example</LoginName>"), "{}", answer.text);
}

/// Feature AUT-20 (part): who comes from the networks of a site is told its hosts, in what mail programs ask for and when he signs in; he goes there by himself, nothing moves him; in the cloud sites can’t be set by the template yet
#[tokio::test]
async fn whoever_comes_from_a_site_is_told_its_hosts() {
    let it = bench().await;
    let sites = r#"[{ "name": "Frankfurt", "networks": ["198.51.100.0/24"], "imap": "imap.fra.post.example",
        "pop3": "pop.fra.post.example", "smtp": "smtp.fra.post.example", "https": "fra.post.example" }]"#;
    let sites: crate::Sites = serde_json::from_str(sites).expect("sites");
    let from = |mut request: Request<Body>, address: [u8; 4]| {
        request.extensions_mut().insert(crate::Client(address.into()));
        request
    };
    let configured = "/mail/config-v1.1.xml?emailaddress=ann@acme.example";
    let profile = "/mobileconfig?email=ann@acme.example";
    let asked =
        "<Autodiscover><Request><EMailAddress>ann@acme.example</EMailAddress></Request></Autodiscover>";
    let outlook = || {
        let request = Request::post("/autodiscover/autodiscover.xml").header("content-type", "text/xml");
        request.body(Body::from(asked)).expect("a request")
    };
    let hosts = |text: &str| {
        ["imap.fra.", "pop.fra.", "smtp.fra.", "mx.acme.example", "smtp.example.net"]
            .map(|host| text.contains(host))
    };
    for (address, expected) in [
        ([198, 51, 100, 9], [true, true, true, false, false]),
        ([192, 0, 2, 1], [false, false, false, true, true]),
    ] {
        for request in [request(configured), outlook()] {
            let told = it.ask_with(settings().with_sites(sites.clone()), from(request, address)).await;
            assert_eq!(hosts(&told.text), expected, "{address:?}: {}", told.text);
        }
    }
    let here =
        it.ask_with(settings().with_sites(sites.clone()), from(request(profile), [192, 0, 2, 1])).await;
    let there =
        it.ask_with(settings().with_sites(sites.clone()), from(request(profile), [198, 51, 100, 9])).await;
    assert!(
        there.text.contains("imap.fra.post.example") && !there.text.contains("mx.acme.example"),
        "{}",
        there.text
    );
    // Installed again from elsewhere it replaces the one before.
    let name = |text: &str| text.split("PayloadIdentifier</key>").nth(1).map(|rest| rest[..60].to_owned());
    assert_eq!(name(&here.text), name(&there.text));

    let rest = it.rest.clone().with_sites(sites);
    for (address, site) in
        [([198, 51, 100, 9], "fra.post.example".into()), ([192, 0, 2, 1], serde_json::Value::Null)]
    {
        let said = r#"{ "address": "ann@acme.example", "password": "a long password" }"#;
        let request = Request::post("/api/v1/sessions").header("content-type", "application/json");
        let request = from(request.body(Body::from(said)).expect("a request"), address);
        let router = router(Api::new(it.directory.clone(), settings()), rest.clone());
        let answer = router.oneshot(request).await.expect("answers");
        let bytes = answer.into_body().collect().await.expect("a body").to_bytes();
        let opened: serde_json::Value = serde_json::from_slice(&bytes).expect("JSON");
        assert_eq!(opened["site"]["https"], site, "{opened}");
    }
}
