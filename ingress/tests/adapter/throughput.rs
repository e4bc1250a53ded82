//! How many letters a second are accepted durably, and how long one waits for its `250`. Not part of the
//! ordinary run: `cargo test --release -p pennypost-ingress --test adapter -- --ignored --nocapture throughput`.

use std::time::{Duration, Instant};

use crate::office::{Office, settings};
use crate::wire::{Client, stuffed};

const CONNECTIONS: usize = 16;
const LETTERS: usize = 10_000;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement"]
async fn throughput_of_letters() {
    let office = Office::open(settings()).await;
    let line = "The quick brown fox jumps over the lazy dog, 0123456789, and so on and on.\r\n";
    let letter = format!("From: a@b.example\r\nSubject: letter\r\n\r\n{}", line.repeat(10_000 / line.len()));
    let wire = stuffed(letter.as_bytes());
    let begun = Instant::now();
    let clients = (0..CONNECTIONS).map(|_| {
        let (address, wire) = (office.smtp, wire.clone());
        tokio::spawn(async move {
            let mut waits = Vec::new();
            let mut client = Client::smtp(address).await;
            for _ in 0..LETTERS / CONNECTIONS {
                client.send(b"MAIL FROM:<a@b.example>\r\nRCPT TO:<ada@acme.example>\r\nDATA\r\n").await;
                for start in ["250", "250", "354"] {
                    client.expect(start).await;
                }
                let sent = Instant::now();
                client.send(&wire).await;
                client.expect("250 2.0.0").await;
                waits.push(sent.elapsed());
            }
            waits
        })
    });
    let mut waits: Vec<Duration> = Vec::new();
    for client in clients.collect::<Vec<_>>() {
        waits.extend(client.await.expect("client"));
    }
    let seconds = begun.elapsed().as_secs_f64();
    waits.sort_unstable();
    let (median, p99) = (waits[waits.len() / 2], waits[waits.len() * 99 / 100]);
    println!(
        "{} letters in {seconds:.2} s: {:.0}/s, median {median:?}, p99 {p99:?}",
        waits.len(),
        waits.len() as f64 / seconds
    );
    assert_eq!(waits.len(), LETTERS);
}
