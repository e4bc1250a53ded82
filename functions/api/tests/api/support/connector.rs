//! A connector of text messages: a program of this machine that is asked over HTTP.

use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use pennypost_connector::{SmsCarrier, Webhook, WebhookSettings, signature};
use pennypost_lookup::Documents;
use pennypost_ports::{Dns, DnsError, DnsKind, DnsRecord, SystemClock};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

const SECRET: &str = "a secret of many characters";

/// The connector's host is this machine.
struct Here;

#[async_trait]
impl Dns for Here {
    async fn look_up(&self, _name: &str, _kind: DnsKind) -> Result<Vec<DnsRecord>, DnsError> {
        Ok(vec![DnsRecord::Address(IpAddr::from([127, 0, 0, 1]))])
    }
}

#[derive(Default)]
struct Inside {
    /// Messages, each once, in the order in which they came.
    sent: Vec<Value>,
    keys: HashSet<String>,
    /// Calls that fail before others succeed.
    failing: usize,
}

pub struct Connector {
    port: u16,
    inside: Arc<Mutex<Inside>>,
}

fn field<'a>(head: &'a str, name: &str) -> &'a str {
    head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": ")).unwrap_or_default()
}

/// Takes a call, if it is signed as it should be: the status of the answer.
fn take(inside: &mut Inside, head: &str, body: &str) -> u16 {
    let expected = signature(SECRET.as_bytes(), field(head, "Pennypost-Timestamp"), body);
    let key = field(head, "Idempotency-Key");
    if field(head, "Pennypost-Signature") != expected || key.len() < 16 {
        return 401;
    }
    // Who has it says so only now and then: the same comes again.
    if inside.keys.insert(key.to_owned()) {
        inside.sent.push(serde_json::from_str(body).expect("JSON"));
    }
    if inside.failing > 0 {
        inside.failing -= 1;
        return 503;
    }
    200
}

impl Connector {
    pub async fn open() -> Connector {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let inside = Arc::new(Mutex::new(Inside::default()));
        let serving = Arc::clone(&inside);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut asked = String::new();
                let mut piece = [0; 4096];
                let status = loop {
                    let Ok(len @ 1..) = stream.read(&mut piece).await else { break 400 };
                    asked.push_str(&String::from_utf8_lossy(&piece[..len]));
                    let Some((head, body)) = asked.split_once("\r\n\r\n") else { continue };
                    if field(head, "Content-Length").parse() == Ok(body.len()) {
                        break take(&mut serving.lock(), head, body);
                    }
                };
                let _ = stream.write_all(format!("HTTP/1.1 {status} said\r\n\r\n").as_bytes()).await;
            }
        });
        Connector { port, inside }
    }

    pub fn carrier(&self) -> Arc<dyn SmsCarrier> {
        let host = format!("sms.example:{}", self.port);
        let documents = Arc::new(Documents::new(Arc::new(Here)).knowing(&host));
        let templates = [("sign-in".to_owned(), "SMS_1".to_owned())].into();
        let settings =
            WebhookSettings { url: format!("http://{host}/send"), secret: SECRET.to_owned(), templates };
        Arc::new(Webhook::new(documents, Arc::new(SystemClock), &settings).expect("settings"))
    }

    /// So many calls fail from now on, though the messages are taken.
    pub fn fail(&self, calls: usize) {
        self.inside.lock().failing = calls;
    }

    /// The messages that came since the last time. Those that are sent beside an answer are waited for.
    pub async fn sent(&self, wanted: usize) -> Vec<Value> {
        for _ in 0..100 {
            if self.inside.lock().sent.len() >= wanted.max(1) {
                break;
            }
            tokio::time::sleep(Duration::from_millis(if wanted == 0 { 3 } else { 50 })).await;
        }
        std::mem::take(&mut self.inside.lock().sent)
    }

    /// The code in the one message that has come.
    pub async fn code(&self, to: &str, kind: &str) -> String {
        let sent = self.sent(1).await;
        let [message] = &sent[..] else { panic!("{sent:?}") };
        assert_eq!((&message["to"], &message["kind"]), (&Value::from(to), &Value::from(kind)), "{message}");
        let code = message["values"]["code"].as_str().expect("a code").to_owned();
        assert!(code.len() == 8 && message["text"].as_str().expect("a text").contains(&code), "{message}");
        code
    }
}
