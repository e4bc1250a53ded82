//! Prints a batch of letters as the service hands it to the function of `inbound`, for measuring.
//!
//! `cargo run -p pennypost-lambda --example letters -- --count 30 --bytes 10240 --seed 1`

use std::collections::HashMap;
use std::process::ExitCode;

use pennypost_backend_aws::queue::body;
use pennypost_mailstore::compress::compress;
use pennypost_model::event::{Accepted, AuthResults, Body, Event, Recipient, Source, SourceKind, Via};
use pennypost_model::{AccountId, AccountKey, EventId, TenantId, codec};
use pennypost_ports::{Clock, SystemClock};
use pennypost_runtime_lambda::{SqsEvent, SqsRecord};

/// Random words, so that a letter compresses about as letters do.
struct Words(u64);

impl Words {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn text(&mut self, bytes: usize) -> String {
        let mut text = String::with_capacity(bytes + 16);
        while text.len() < bytes {
            // Of 4,096 words of two to nine letters.
            let word = self.next() % 4_096;
            let length = 2 + word % 8;
            text.extend(
                (0..length).map(|at| char::from(b'a' + ((word * 31 + at * 7 + word / 64) % 26) as u8)),
            );
            text.push_str(if self.next().is_multiple_of(12) { "\r\n" } else { " " });
        }
        text
    }
}

fn letter(number: u64, seed: u64, bytes: usize) -> Option<Event> {
    let mut words =
        Words(seed.wrapping_mul(1_000).wrapping_add(number).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let subject = words.text(30).replace("\r\n", " ");
    let raw = format!(
        "From: Rowland <rowland@hill.example>\r\nTo: member-{number}@demo.test\r\nSubject: {subject}\r\n\
         Message-ID: <{seed}.{number}@hill.example>\r\nContent-Type: text/plain\r\n\r\n{}",
        words.text(bytes)
    );
    let (tenant, now) = (TenantId(1), SystemClock.now());
    let account = AccountKey { tenant, account: AccountId(number + 1) };
    let recipient = Recipient { account, address: format!("member-{number}@demo.test"), via: Via::Direct };
    Some(Event::Accepted(Box::new(Accepted {
        id: EventId::from_parts(now, u128::from(words.next())),
        time: now,
        tenant,
        source: Source { kind: SourceKind::Smtp, ip: None, helo: "hill.example".to_owned(), tls: None },
        auth: AuthResults { trusted: true, ..AuthResults::default() },
        reverse_path: "rowland@hill.example".to_owned(),
        recipients: vec![recipient],
        body: Body::Inline(compress(raw.as_bytes()).ok()?),
        receipt: "Received: from hill.example\r\n".to_owned(),
    })))
}

/// The number behind `name` on the command line.
fn number(name: &str) -> Option<u64> {
    let mut arguments = std::env::args().skip_while(|argument| argument != name);
    arguments.nth(1)?.parse().ok()
}

fn main() -> ExitCode {
    let (Some(count), Some(bytes)) = (number("--count"), number("--bytes")) else {
        eprintln!("usage: letters --count NUMBER --bytes NUMBER [--seed NUMBER]");
        return ExitCode::from(2);
    };
    let seed = number("--seed").unwrap_or(1);
    let record = |event: Event, number: u64| SqsRecord {
        message_id: format!("{seed}-{number}"),
        receipt_handle: format!("{seed}-{number}"),
        body: body::encode(&codec::encode(&event)),
        attributes: HashMap::from([("ApproximateReceiveCount".to_owned(), "1".to_owned())]),
        ..SqsRecord::default()
    };
    let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
    let records = (0..count).filter_map(|number| Some(record(letter(number, seed, bytes)?, number)));
    match serde_json::to_string(&SqsEvent { records: records.collect() }) {
        Ok(text) => println!("{text}"),
        Err(error) => {
            eprintln!("error: {error}");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}
