//! SELECT with QRESYNC (RFC 7162 section 3.2.5): what a client is told is what it needs to stand where the server
//! stands, whatever happened in between.

use std::collections::BTreeMap;

use crate::dialogue::Client;
use crate::server::{ALICE, Server};

/// What a client knows of a mailbox.
#[derive(Debug, Clone, Default, PartialEq)]
struct Cache {
    uid_validity: u32,
    modseq: u64,
    /// Flags by UID.
    messages: BTreeMap<u32, String>,
}

fn number(line: &str, before: &str) -> Option<u64> {
    let digits = line.split_once(before)?.1;
    digits.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

impl Cache {
    fn learn(&mut self, lines: &[String]) {
        for line in lines {
            if let Some(set) = line.strip_prefix("* VANISHED ") {
                for range in set.trim_start_matches("(EARLIER) ").split(',') {
                    let (first, last) = range.split_once(':').unwrap_or((range, range));
                    let range = first.parse::<u32>().expect("UID")..=last.parse().expect("UID");
                    self.messages.retain(|uid, _| !range.contains(uid));
                }
            } else if let Some(uid) = number(line, "(UID ") {
                let flags = line.split_once("FLAGS (").expect("flags").1.split(')').next().expect("flags");
                let mut flags: Vec<&str> = flags.split(' ').filter(|flag| *flag != "\\Recent").collect();
                flags.sort_unstable();
                self.messages.insert(uid as u32, flags.join(" "));
            } else if let Some(modseq) = number(line, "[HIGHESTMODSEQ ") {
                self.modseq = modseq;
            } else if let Some(validity) = number(line, "[UIDVALIDITY ") {
                self.uid_validity = validity as u32;
            }
        }
    }

    async fn of(client: &mut Client) -> Cache {
        let mut cache = Cache::default();
        cache.learn(&client.ok("SELECT INBOX").await);
        cache.learn(&client.ok("UID FETCH 1:* (FLAGS)").await);
        cache
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_was_away_stands_where_the_server_stands() {
    let server = Server::start().await;
    let mut writer = Client::login(server.address, ALICE).await;
    for count in 0..30 {
        assert!(
            writer.append("INBOX", format!("Subject: {count}\r\n\r\n").as_bytes()).await.starts_with("OK")
        );
    }
    let mut reader = Client::login(server.address, ALICE).await;
    assert_eq!(reader.ok("ENABLE QRESYNC").await, ["* ENABLED QRESYNC"]);
    let mut caches = vec![Cache::of(&mut reader).await];
    writer.ok("SELECT INBOX").await;
    for step in [
        "UID STORE 3,9:12 +FLAGS.SILENT (\\Seen kw)",
        "UID MOVE 5:7 Archive",
        "UID STORE 1:4 +FLAGS.SILENT (\\Deleted)",
        "EXPUNGE",
        "UID COPY 20:22 INBOX",
        "UID STORE 9 FLAGS (\\Answered)",
        "UID MOVE 8:30 Trash",
        "NOOP",
    ] {
        writer.ok(step).await;
        let now = Cache::of(&mut reader).await;
        for before in &caches {
            let mut again = before.clone();
            let command = format!("SELECT INBOX (QRESYNC ({} {}))", before.uid_validity, before.modseq);
            let told = reader.ok(&command).await;
            again.learn(&told);
            assert_eq!(again, now, "{command} after {step}");
            let quiet = !told.iter().any(|line| line.starts_with("* VANISHED") || line.contains(" FETCH "));
            assert_eq!(quiet, before.modseq == now.modseq, "{told:?}");
            // With the UIDs that it knows, and some of their numbers.
            let known: Vec<String> = before.messages.keys().map(u32::to_string).collect();
            let mut pairs = (Vec::new(), Vec::new());
            for (index, uid) in before.messages.keys().enumerate().step_by(4) {
                pairs.0.push((index + 1).to_string());
                pairs.1.push(uid.to_string());
            }
            let command = format!(
                "SELECT INBOX (QRESYNC ({} {} {} ({} {})))",
                before.uid_validity,
                before.modseq,
                known.join(","),
                pairs.0.join(","),
                pairs.1.join(",")
            );
            let mut again = before.clone();
            again.learn(&reader.ok(&command).await);
            // Of messages that came since it is not told: it asks for those above its own.
            let newest = before.messages.keys().last().copied().unwrap_or(0);
            let mut expected = now.clone();
            expected.messages.retain(|uid, _| *uid <= newest);
            assert_eq!(again, expected, "{command} after {step}");
        }
        caches.push(now);
    }
    // Under another UIDVALIDITY nothing that the client knows counts.
    let told = reader.ok(&format!("SELECT INBOX (QRESYNC ({} 1))", caches[0].uid_validity + 1)).await;
    assert!(!told.iter().any(|line| line.contains("VANISHED") || line.contains(" FETCH ")), "{told:?}");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_went_before_is_not_told_again() {
    let server = Server::start().await;
    let mut client = Client::login(server.address, ALICE).await;
    client.ok("ENABLE QRESYNC").await;
    // UID 5 is in another mailbox, from the beginning.
    for count in 1..=12 {
        let mailbox = if count == 5 { "Archive" } else { "INBOX" };
        let letter = format!("Subject: {count}\r\n\r\n");
        assert!(client.append(mailbox, letter.as_bytes()).await.starts_with("OK"));
    }
    let first = Cache::of(&mut client).await;
    let mut caches = Vec::new();
    for uids in ["2,4,7:9", "3", "8,10", "11:12"] {
        client.ok(&format!("UID STORE {uids} +FLAGS.SILENT (\\Deleted)")).await;
        client.ok("EXPUNGE").await;
        caches.push(Cache::of(&mut client).await);
    }
    let mut told = Vec::new();
    for before in std::iter::once(&first).chain(&caches) {
        let command = format!("SELECT INBOX (QRESYNC ({} {}))", before.uid_validity, before.modseq);
        let lines = client.ok(&command).await;
        let mut again = before.clone();
        again.learn(&lines);
        assert_eq!(Some(&again), caches.last(), "{command}");
        told.extend(
            lines.iter().filter_map(|line| line.strip_prefix("* VANISHED (EARLIER) ")).map(str::to_owned),
        );
    }
    // UID 5 was never in the mailbox, which is not known of what was not deleted: it is told with its gap.
    assert_eq!(told, ["2:5,7:12", "3:5,10:12", "5,10:12", "5,11:12"]);
    server.stop().await;
}

/// An EXPUNGE waits while a client fetches by number: MODSEQs of later changes must not hide it (erratum
/// 1810 on the predecessor of RFC 7162).
#[tokio::test(flavor = "multi_thread")]
async fn modseqs_do_not_run_ahead_of_expunges_that_wait() {
    let server = Server::start().await;
    let mut writer = Client::login(server.address, ALICE).await;
    for _ in 0..5 {
        assert!(writer.append("INBOX", b"Subject: x\r\n\r\n").await.starts_with("OK"));
    }
    let mut reader = Client::login(server.address, ALICE).await;
    reader.ok("ENABLE QRESYNC").await;
    let before = Cache::of(&mut reader).await;
    writer.ok("SELECT INBOX").await;
    writer.ok("STORE 2 +FLAGS.SILENT (\\Deleted)").await;
    writer.ok("EXPUNGE").await;
    writer.ok("STORE 3 +FLAGS.SILENT (\\Flagged)").await;

    let told = reader.ok("FETCH 4 (FLAGS)").await;
    let modseq = |line: &String| number(line, "MODSEQ (");
    assert!(told.iter().filter_map(modseq).max() > Some(before.modseq), "{told:?}");
    let stands = told.iter().rev().find_map(|line| number(line, "[HIGHESTMODSEQ "));
    assert_eq!(stands, Some(before.modseq), "{told:?}");

    let mut again = before.clone();
    let mut other = Client::login(server.address, ALICE).await;
    other.ok("ENABLE QRESYNC").await;
    again.learn(&told);
    let command = format!("SELECT INBOX (QRESYNC ({} {}))", again.uid_validity, again.modseq);
    again.learn(&other.ok(&command).await);
    assert_eq!(again.messages, Cache::of(&mut other).await.messages);
}

/// CLOSE tells nothing of what others did: nor does it say that the client is up to date then.
#[tokio::test(flavor = "multi_thread")]
async fn close_gives_no_modseq_that_the_client_has_not_reached() {
    let server = Server::start().await;
    let mut writer = Client::login(server.address, ALICE).await;
    for _ in 0..3 {
        assert!(writer.append("INBOX", b"Subject: x\r\n\r\n").await.starts_with("OK"));
    }
    let mut reader = Client::login(server.address, ALICE).await;
    reader.ok("ENABLE QRESYNC").await;
    writer.ok("SELECT INBOX").await;
    for expunged_meanwhile in [true, false] {
        reader.ok("SELECT INBOX").await;
        if expunged_meanwhile {
            writer.ok("STORE 1 +FLAGS.SILENT (\\Deleted)").await;
            writer.ok("EXPUNGE").await;
        }
        let (_, tagged) = reader.command("CLOSE").await;
        assert_eq!(tagged.contains("HIGHESTMODSEQ"), !expunged_meanwhile, "{tagged}");
    }
}

/// What SELECT tells is one state: changes that come while it answers are told by the next command. Clients take EXISTS
/// for the number of messages at the end of SELECT, whatever was told in between.
#[tokio::test(flavor = "multi_thread")]
async fn select_tells_one_state() {
    let server = Server::start().await;
    let mut writer = Client::login(server.address, ALICE).await;
    assert!(writer.append("INBOX", b"Subject: x\r\n\r\n").await.starts_with("OK"));
    let told = writer.ok("SELECT INBOX").await;
    let validity = told.iter().find_map(|line| number(line, "[UIDVALIDITY ")).expect("UIDVALIDITY");
    // Flags that make the answer longer than what sockets hold.
    let keywords: Vec<String> = (0..50).map(|count| format!("{}{count}", "k".repeat(90))).collect();
    writer.ok(&format!("STORE 1 FLAGS.SILENT (\\Deleted {})", keywords.join(" "))).await;
    for _ in 0..11 {
        writer.ok("COPY 1:* INBOX").await;
    }
    for (command, change, news) in [
        ("SELECT", "UID EXPUNGE 2047:2048", "* VANISHED 2047:2048"),
        ("EXAMINE", "UID COPY 1 INBOX", "* 2047 EXISTS"),
    ] {
        let mut reader = Client::login(server.address, ALICE).await;
        reader.ok("ENABLE QRESYNC").await;
        reader.send(format!("t {command} INBOX (QRESYNC ({validity} 1))\r\n").as_bytes()).await;
        // It has begun to answer, and can't end before somebody reads on.
        let count = loop {
            let line = reader.line().await.expect("an answer");
            if let Some(count) = line.strip_suffix(" EXISTS").and_then(|line| line.strip_prefix("* ")) {
                break count.to_owned();
            }
        };
        writer.ok(change).await;
        let mut told = Vec::new();
        let tagged = loop {
            let line = reader.line().await.expect("an answer");
            match line.strip_prefix("t ") {
                Some(tagged) => break tagged.to_owned(),
                None => told.push(line),
            }
        };
        assert!(tagged.starts_with("OK"), "{tagged}");
        let of_another = told.iter().find(|line| line.ends_with("EXISTS") || *line == news);
        assert_eq!(of_another, None, "{command} while {change}");
        assert_eq!(told.iter().filter(|line| line.contains(" FETCH ")).count().to_string(), count);
        // All that the client knows of is still there by number.
        let told = reader.ok(&format!("FETCH {count} (UID)")).await;
        assert!(told[0].starts_with(&format!("* {count} FETCH (UID ")), "{told:?}");
        let told = [told, reader.ok("NOOP").await].concat();
        assert_eq!(told.iter().filter(|line| *line == news).count(), 1, "{told:?}");
    }
    server.stop().await;
}
