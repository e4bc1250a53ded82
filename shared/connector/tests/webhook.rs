//! Text messages to a program of this machine, over HTTP without TLS, as the operator has named it.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use async_trait::async_trait;
use parking_lot::Mutex;
use pennypost_connector::{BadAddress, Sms, SmsCarrier, SmsError, Webhook, WebhookSettings, signature};
use pennypost_lookup::Documents;
use pennypost_ports::{Dns, DnsError, DnsKind, DnsRecord, SystemClock};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

const SECRET: &str = "a secret of 16 characters";

struct Here;

#[async_trait]
impl Dns for Here {
    async fn look_up(&self, _name: &str, _kind: DnsKind) -> Result<Vec<DnsRecord>, DnsError> {
        Ok(vec![DnsRecord::Address(IpAddr::from([127, 0, 0, 1]))])
    }
}

type Calls = Arc<Mutex<Vec<String>>>;

/// A connector that answers with these, one after the other, and then with 200: its port, and what it was asked.
async fn connector(answers: &'static [&'static str]) -> (u16, Calls) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let calls = Calls::default();
    let kept = Arc::clone(&calls);
    tokio::spawn(async move {
        let mut answers = answers.iter();
        // Those that are not ended.
        let mut open = Vec::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut asked = String::new();
            let mut piece = [0; 4096];
            while let Ok(len @ 1..) = stream.read(&mut piece).await {
                asked.push_str(&String::from_utf8_lossy(&piece[..len]));
                let Some((head, body)) = asked.split_once("\r\n\r\n") else { continue };
                let length = head.split("Content-Length: ").nth(1).and_then(|rest| rest.lines().next());
                if length.and_then(|text| text.parse().ok()) == Some(body.len()) {
                    break;
                }
            }
            kept.lock().push(asked);
            let status = answers.next().unwrap_or(&"200 OK");
            let _ = stream.write_all(format!("HTTP/1.1 {status}\r\n\r\n").as_bytes()).await;
            open.extend(status.contains("keep-alive").then_some(stream));
        }
    });
    (port, calls)
}

fn settings(url: String) -> WebhookSettings {
    let templates = BTreeMap::from([("sign-in".to_owned(), "SMS_1".to_owned())]);
    WebhookSettings { url, secret: SECRET.to_owned(), templates }
}

fn webhook(port: u16, known: &str) -> Webhook {
    let documents = Arc::new(Documents::new(Arc::new(Here)).knowing(known));
    let settings = settings(format!("http://sms.example:{port}/send?a=b"));
    Webhook::new(documents, Arc::new(SystemClock), &settings).expect("settings")
}

fn message() -> Sms<'static> {
    let values = BTreeMap::from([("code", "123456".to_owned())]);
    Sms { id: "0123456789abcdef", to: "+8613800000000", kind: "sign-in", text: "code 123456", values }
}

fn field<'a>(call: &'a str, name: &str) -> &'a str {
    let line = call.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
    line.unwrap_or_else(|| panic!("no {name} in {call}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_is_handed_over_signed_and_again_with_the_same_key() {
    let (port, calls) = connector(&["503 No", "202 Later"]).await;
    let known = webhook(port, &format!("sms.example:{port}"));
    assert_eq!(known.send(&message()).await, Ok(()));
    let calls = calls.lock().clone();
    assert_eq!(calls.len(), 2);
    for call in &calls {
        assert!(call.starts_with("POST /send?a=b HTTP/1.0\r\n"), "{call}");
        assert_eq!(field(call, "Idempotency-Key"), "0123456789abcdef");
        let body = call.split("\r\n\r\n").nth(1).expect("a body");
        let expected = signature(SECRET.as_bytes(), field(call, "Pennypost-Timestamp"), body);
        assert_eq!(field(call, "Pennypost-Signature"), expected);
        for part in ["\"to\":\"+8613800000000\"", "\"template\":\"SMS_1\"", "\"code\":\"123456\""] {
            assert!(body.contains(part), "{body}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_is_not_tried_again_and_what_fails_thrice_is_told() {
    let (port, calls) = connector(&["403 No"]).await;
    let known = webhook(port, &format!("sms.example:{port}"));
    assert_eq!(known.send(&message()).await, Err(SmsError::Refused(403)));
    assert_eq!(calls.lock().len(), 1);
    let (port, calls) = connector(&["500 No", "429 Slowly", "500 No"]).await;
    let known = webhook(port, &format!("sms.example:{port}"));
    assert!(matches!(known.send(&message()).await, Err(SmsError::Unavailable(_))));
    assert_eq!(calls.lock().len(), 3);
}

/// However the answer goes on: by chunks, with a length that is not there, on a connection that stays open.
#[tokio::test(flavor = "multi_thread")]
async fn who_says_2xx_has_it() {
    let (port, calls) = connector(&[
        "200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0",
        "200 OK\r\nContent-Length: 100000",
        "200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\n{}",
    ])
    .await;
    let known = webhook(port, &format!("sms.example:{port}"));
    for sent in 1..=3 {
        let began = std::time::Instant::now();
        assert_eq!(known.send(&message()).await, Ok(()));
        assert_eq!(calls.lock().len(), sent);
        assert!(began.elapsed() < std::time::Duration::from_secs(10));
    }
}

/// Neither networks that are not public are asked, nor anybody without TLS, unless the operator has named the host.
#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_asked_inside_whom_the_operator_has_not_named() {
    let (port, calls) = connector(&[]).await;
    for known in ["", "sms.example", "other.example:80"] {
        let sent = webhook(port, known).send(&message()).await;
        assert!(matches!(sent, Err(SmsError::Unavailable(_))), "{known}");
    }
    assert_eq!(calls.lock().len(), 0);
    let new = |settings: &WebhookSettings| {
        let documents = Arc::new(Documents::new(Arc::new(Here)));
        Webhook::new(documents, Arc::new(SystemClock), settings).map(drop)
    };
    assert_eq!(new(&settings("https://sms.example/send".to_owned())), Ok(()));
    for bad in ["ftp://sms.example/", "https://127.0.0.1/", "http://user@sms.example/", "sms.example"] {
        assert_eq!(new(&settings(bad.to_owned())), Err(BadAddress::Url), "{bad}");
    }
    let short = WebhookSettings { secret: "short".to_owned(), ..settings("https://sms.example/".to_owned()) };
    assert_eq!(new(&short), Err(BadAddress::Secret));
    assert!(!format!("{:?}", settings("https://sms.example/".to_owned())).contains(SECRET));
}
