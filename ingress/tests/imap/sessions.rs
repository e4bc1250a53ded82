//! Many sessions at one mailbox: each tracks what it is told, and what it is told is always true.

use pennypost_directory::ClientRange;

use crate::dialogue::Client;
use crate::server::{ALICE, Server};
use crate::sight;

/// A client that believes what it is told (RFC 3501 section 7.4.1).
struct Believer {
    client: Client,
    /// UID of each sequence number, as far as it knows.
    uids: Vec<Option<u32>>,
    random: u64,
}

impl Believer {
    async fn new(server: &Server, seed: u64) -> Believer {
        let client = Client::login(server.address, ALICE).await;
        let mut believer = Believer { client, uids: Vec::new(), random: seed };
        believer.say("SELECT INBOX").await;
        believer
    }

    fn random(&mut self, below: usize) -> usize {
        self.random =
            self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.random >> 33) as usize % below.max(1)
    }

    async fn say(&mut self, command: &str) -> String {
        let (untagged, tagged) = self.client.command(command).await;
        self.believe(command, untagged);
        tagged
    }

    fn believe(&mut self, command: &str, untagged: Vec<String>) {
        let by_number = ["FETCH", "STORE", "SEARCH"].iter().any(|verb| command.starts_with(verb));
        for line in untagged {
            let mut words = line.split(' ').skip(1);
            let (Some(number), Some(what)) = (words.next(), words.next()) else { continue };
            let Ok(number) = number.parse::<usize>() else { continue };
            match what {
                "EXISTS" => {
                    assert!(number >= self.uids.len(), "{command}: EXISTS fell without EXPUNGE");
                    self.uids.resize(number, None);
                }
                "EXPUNGE" => {
                    assert!(!by_number, "{command}: {line}");
                    assert!((1..=self.uids.len()).contains(&number), "{command}: {line}");
                    self.uids.remove(number - 1);
                }
                "FETCH" => {
                    assert!((1..=self.uids.len()).contains(&number), "{command}: {line}");
                    let uid = line
                        .split("UID ")
                        .nth(1)
                        .and_then(|rest| rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok());
                    if let Some(uid) = uid {
                        let known = self.uids[number - 1].get_or_insert(uid);
                        assert_eq!(*known, uid, "{command}: {line}");
                    }
                }
                _ => {}
            }
        }
        let known: Vec<u32> = self.uids.iter().flatten().copied().collect();
        assert!(known.is_sorted_by(|a, b| a < b), "{command}: UIDs do not ascend");
    }

    async fn step(&mut self, number: usize) {
        let count = self.uids.len();
        let one = self.random(count) + 1;
        let other = self.random(count) + 1;
        let command = match self.random(12) {
            _ if count == 0 => "NOOP".to_owned(),
            0 => format!("STORE {one}:{other} +FLAGS (\\Deleted)"),
            1 => format!("STORE {one} -FLAGS.SILENT (\\Deleted \\Seen)"),
            2 => "EXPUNGE".to_owned(),
            3 => format!("UID EXPUNGE {}:*", self.uids[one - 1].unwrap_or(1)),
            4 => format!("COPY {one}:{other} INBOX"),
            5 => format!("MOVE {one} Trash"),
            6 => format!("FETCH {one}:{other} (UID FLAGS)"),
            7 => format!("FETCH {one} (UID BODY[])"),
            8 => "SEARCH UNDELETED".to_owned(),
            9 => format!("UID STORE 1:* +FLAGS (kw{})", number % 5),
            10 => "FETCH 1:* UID".to_owned(),
            _ => "NOOP".to_owned(),
        };
        let tagged = self.say(&command).await;
        assert!(tagged.starts_with("OK"), "{command}: {tagged}");
        if self.uids.len() < 15 {
            let raw = format!("Subject: {number}\r\n\r\nx\r\n");
            let (untagged, tagged) = self.client.append_told("INBOX", raw.as_bytes()).await;
            self.believe("APPEND", untagged);
            assert!(tagged.starts_with("OK"), "{tagged}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_that_expunge_each_others_mail_stay_in_step() {
    let server = Server::start().await;
    let mut filler = Client::login(server.address, ALICE).await;
    for number in 0..60 {
        filler.append("INBOX", format!("Subject: {number}\r\n\r\nbody\r\n").as_bytes()).await;
    }
    let mut sessions = Vec::new();
    for seed in 0..6 {
        sessions.push(Believer::new(&server, seed * 7_919 + 1).await);
    }
    let running: Vec<_> = sessions
        .into_iter()
        .map(|mut session| {
            tokio::spawn(async move {
                for number in 0..120 {
                    session.step(number).await;
                }
                session
            })
        })
        .collect();
    let filling = async {
        for number in 0..120 {
            filler.append("INBOX", format!("Subject: more {number}\r\n\r\nbody\r\n").as_bytes()).await;
        }
    };
    filling.await;
    let mut views = Vec::new();
    let mut sessions = futures_of(running).await;
    for session in &mut sessions {
        session.say("NOOP").await;
        session.say("FETCH 1:* UID").await;
        views.push(session.uids.clone());
    }
    assert!(views.iter().all(|view| *view == views[0] && !view.contains(&None)), "{views:?}");
    assert!(!views[0].is_empty());
    server.stop().await;
}

/// As above, where some sessions do not see what is old (CLI-04): each has its own numbers.
#[tokio::test(flavor = "multi_thread")]
async fn sessions_that_see_differently_stay_in_step() {
    let server = sight::steady().await;
    let mut filler = Client::login(server.address, ALICE).await;
    let mut sessions = Vec::new();
    for seed in 0..3 {
        sessions.push(Believer::new(&server, seed * 7_919 + 1).await);
    }
    sight::set(&server, |settings| settings.imap.range = Some(ClientRange::Month)).await;
    sight::fill(&mut filler, "INBOX", 30).await;
    for seed in 3..6 {
        sessions.push(Believer::new(&server, seed * 7_919 + 1).await);
    }
    let running: Vec<_> = sessions
        .into_iter()
        .map(|mut session| {
            tokio::spawn(async move {
                for number in 0..100 {
                    session.step(number).await;
                }
                session
            })
        })
        .collect();
    sight::fill(&mut filler, "INBOX", 50).await;
    let mut sessions = futures_of(running).await;
    // Whatever has become of it, there is something of both.
    sight::fill(&mut filler, "INBOX", 2).await;
    let mut views = Vec::new();
    for session in &mut sessions {
        session.say("NOOP").await;
        session.say("FETCH 1:* UID").await;
        views.push(session.uids.clone());
    }
    let (whole, part) = views.split_at(3);
    assert!(
        whole.iter().all(|view| *view == whole[0]) && part.iter().all(|view| *view == part[0]),
        "{views:?}"
    );
    filler.ok("SELECT INBOX").await;
    let new = sight::numbers(&filler.ok("UID SEARCH SINCE 1-Jan-2010").await);
    let seen: Vec<u32> = part[0].iter().flatten().copied().collect();
    assert_eq!((seen.len(), &seen), (part[0].len(), &new));
    assert!(new.len() < whole[0].len() && !new.is_empty());
    server.stop().await;
}

async fn futures_of<T: 'static>(running: Vec<tokio::task::JoinHandle<T>>) -> Vec<T> {
    let mut ended = Vec::new();
    for running in running {
        ended.push(running.await.expect("a session"));
    }
    ended
}
