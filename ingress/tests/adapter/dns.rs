//! A DNS server with a few records, over UDP, by hand (RFC 1035): TXT and A, NXDOMAIN for the rest.

use std::collections::HashMap;
use std::net::SocketAddr;

use tokio::net::UdpSocket;

pub struct Zone(HashMap<(String, u16), Vec<u8>>);

const A: u16 = 1;
const TXT: u16 = 16;

impl Zone {
    pub fn new() -> Zone {
        Zone(HashMap::new())
    }

    pub fn txt(mut self, name: &str, text: &str) -> Zone {
        let mut data = Vec::new();
        for piece in text.as_bytes().chunks(255) {
            data.push(piece.len() as u8);
            data.extend_from_slice(piece);
        }
        self.0.insert((name.to_owned(), TXT), data);
        self
    }

    pub fn a(mut self, name: &str, ip: [u8; 4]) -> Zone {
        self.0.insert((name.to_owned(), A), ip.to_vec());
        self
    }

    /// Serves the zone until the runtime ends.
    pub async fn serve(self) -> SocketAddr {
        let socket = UdpSocket::bind("127.0.0.1:0").await.expect("port");
        let address = socket.local_addr().expect("address");
        tokio::spawn(async move {
            let mut query = [0; 1500];
            while let Ok((len, peer)) = socket.recv_from(&mut query).await {
                if let Some(answer) = self.answer(&query[..len]) {
                    let _ = socket.send_to(&answer, peer).await;
                }
            }
        });
        address
    }

    fn answer(&self, query: &[u8]) -> Option<Vec<u8>> {
        let mut at = 12;
        let mut labels = Vec::new();
        loop {
            let len = usize::from(*query.get(at)?);
            at += 1;
            if len == 0 {
                break;
            }
            labels.push(String::from_utf8_lossy(query.get(at..at + len)?).to_lowercase());
            at += len;
        }
        let kind = u16::from_be_bytes([*query.get(at)?, *query.get(at + 1)?]);
        let question = query.get(12..at + 4)?;
        let name = labels.join(".");
        let data = self.0.get(&(name.clone(), kind));
        let exists = self.0.keys().any(|(known, _)| *known == name || known.ends_with(&format!(".{name}")));
        let mut answer = query[..2].to_vec();
        let rcode = if exists { 0 } else { 3 };
        answer.extend_from_slice(&[0x84, 0x80 | rcode, 0, 1, 0, u8::from(data.is_some()), 0, 0, 0, 0]);
        answer.extend_from_slice(question);
        if let Some(data) = data {
            answer.extend_from_slice(&[0xc0, 12]);
            answer.extend_from_slice(&kind.to_be_bytes());
            answer.extend_from_slice(&[0, 1, 0, 0, 0, 60]);
            answer.extend_from_slice(&(data.len() as u16).to_be_bytes());
            answer.extend_from_slice(data);
        }
        Some(answer)
    }
}
