//! `pennypost quarantine …`: letters that scanners speak against (RCV-11).

use clap::Subcommand;
use pennypost_admin::{HeldLetter, HeldState};
use pennypost_directory::{DigestWish, Page};
use pennypost_model::{EventId, TenantId};
use serde_json::{Value, json};

use super::sign_in::Switch;
use super::{OPERATOR, refused, tenant};
use crate::office::Office;
use crate::print::{Output, time};
use crate::text::Text;
use crate::{Failed, say};

/// Letters of a page.
const PAGE: usize = 500;

/// Subcommands of `quarantine`.
#[derive(Debug, Subcommand)]
pub enum QuarantineCommand {
    /// List what lies there: of an account, or of the whole tenant
    #[command(after_help = "Examples:
  pennypost quarantine list --tenant acme
  pennypost quarantine list ann@example.com")]
    List {
        /// The address of an account
        address: Option<String>,
        /// Name or id of the tenant; may be left out if there is only one, or an account is named
        #[arg(long)]
        tenant: Option<String>,
    },
    /// Look at a letter: why it is there, and its header
    #[command(
        after_help = "Example:\n  pennypost quarantine show ann@example.com 01KAEV3Q8WJ7R9T2N5X4M6C0BD"
    )]
    Show {
        /// The address of the account from which it is kept
        address: String,
        /// The id of the letter
        letter: EventId,
    },
    /// Release a letter: it comes into the mailbox, whatever scanners say
    #[command(
        after_help = "Example:\n  pennypost quarantine release ann@example.com 01KAEV3Q8WJ7R9T2N5X4M6C0BD"
    )]
    Release {
        /// The address of the account from which it is kept
        address: String,
        /// The id of the letter
        letter: EventId,
    },
    /// Say whether an account is told once a day of suspected spam in quarantine, and of what went to Junk; shows what holds, if
    /// nothing is said
    #[command(after_help = "Examples:
  pennypost quarantine digest ann@example.com --on
  pennypost quarantine digest ann@example.com --junk on      for who fetches by POP3
  pennypost quarantine digest ann@example.com")]
    Digest {
        /// The address of the account
        address: String,
        /// It is told
        #[arg(long, conflicts_with = "off")]
        on: bool,
        /// It is not told
        #[arg(long)]
        off: bool,
        /// Whether it is told of what went to Junk
        #[arg(long, value_name = "WHETHER")]
        junk: Option<Switch>,
    },
    /// Delete a letter from quarantine
    #[command(
        after_help = "Example:\n  pennypost quarantine delete ann@example.com 01KAEV3Q8WJ7R9T2N5X4M6C0BD"
    )]
    Delete {
        /// The address of the account from which it is kept
        address: String,
        /// The id of the letter
        letter: EventId,
    },
}

/// Does what was asked.
pub async fn run(
    office: &Office,
    command: &QuarantineCommand,
    text: &Text,
    output: &mut Output<'_>,
) -> Result<(), Failed> {
    let administration = office.administration();
    let told = |error| refused(error, text);
    match command {
        QuarantineCommand::List { address: None, tenant: name } => {
            let tenant = tenant(office, name.as_deref(), text).await?.id;
            let letters = all(office, tenant, text).await?;
            list(&letters, text, output)
        }
        QuarantineCommand::List { address: Some(address), .. } => {
            let key = office.account(address, text).await?.key;
            let (mut letters, mut page) = (Vec::new(), Page { after: None, limit: PAGE });
            loop {
                let found = administration.account_quarantine(&OPERATOR, key, &page).await.map_err(told)?;
                letters.extend(found.items);
                page.after = found.next;
                if page.after.is_none() {
                    return list(&letters, text, output);
                }
            }
        }
        QuarantineCommand::Show { address, letter } => {
            let key = office.account(address, text).await?.key;
            let seen = administration.quarantined_letter(&OPERATOR, key, *letter).await.map_err(told)?;
            let mut document = document(&seen.held);
            document["header"] = json!(seen.header);
            let sentence = format!("{}\n\n{}", sentence(&seen.held, text), seen.header.trim_end());
            Ok(output.result(&sentence, &document)?)
        }
        QuarantineCommand::Release { address, letter } => {
            let key = office.account(address, text).await?.key;
            let held = administration.release_quarantined(&OPERATOR, key, *letter).await.map_err(told)?;
            Ok(output.result(&say!(text, "quarantine-released", address = address), &document(&held))?)
        }
        QuarantineCommand::Digest { address, on, off, junk } => {
            let key = office.account(address, text).await?.key;
            let before = administration.quarantine_digest(&OPERATOR, key).await.map_err(told)?;
            let quarantine = if *on || *off { *on } else { before.quarantine };
            let wish = DigestWish { quarantine, junk: junk.map_or(before.junk, |junk| junk == Switch::On) };
            if wish != before {
                administration.change_quarantine_digest(&OPERATOR, key, wish).await.map_err(told)?;
            }
            let DigestWish { quarantine: enabled, junk } = wish;
            let quarantine = match enabled {
                true => say!(text, "quarantine-digest-on", address = address),
                false => say!(text, "quarantine-digest-off", address = address),
            };
            let sentence = match junk {
                true => format!("{quarantine}\n{}", say!(text, "quarantine-digest-junk", address = address)),
                false => quarantine,
            };
            Ok(output.result(&sentence, &json!({ "address": address, "enabled": enabled, "junk": junk }))?)
        }
        QuarantineCommand::Delete { address, letter } => {
            let key = office.account(address, text).await?.key;
            administration.delete_quarantined(&OPERATOR, key, *letter).await.map_err(told)?;
            let document = json!({ "letter": letter.to_string(), "address": address });
            Ok(output.result(&say!(text, "quarantine-deleted", address = address), &document)?)
        }
    }
}

async fn all(office: &Office, tenant: TenantId, text: &Text) -> Result<Vec<HeldLetter>, Failed> {
    let administration = office.administration();
    let (mut letters, mut page) = (Vec::new(), Page { after: None, limit: PAGE });
    loop {
        let found = administration.quarantined(&OPERATOR, tenant, &page).await;
        let found = found.map_err(|error| refused(error, text))?;
        letters.extend(found.items);
        page.after = found.next;
        if page.after.is_none() {
            return Ok(letters);
        }
    }
}

fn list(letters: &[HeldLetter], text: &Text, output: &mut Output<'_>) -> Result<(), Failed> {
    let rows = letters.iter().map(|held| {
        let row = vec![
            held.letter.to_string(),
            held.address.clone(),
            state(held, text),
            plain(&held.from.address),
            plain(&held.subject),
        ];
        (row, document(held))
    });
    let heads = vec![
        say!(text, "quarantine-letter"),
        say!(text, "quarantine-for"),
        say!(text, "quarantine-state"),
        say!(text, "quarantine-from"),
        say!(text, "quarantine-subject"),
    ];
    Ok(output.table(heads, rows.collect(), &say!(text, "quarantine-empty"))?)
}

/// What somebody else has written, for a terminal.
fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

fn state(held: &HeldLetter, text: &Text) -> String {
    match held.state {
        HeldState::Held => say!(text, "quarantine-held", held_for = held.held_for.name()),
        HeldState::Releasing { .. } | HeldState::Released { .. } => say!(text, "quarantine-is-released"),
        HeldState::Deleted { .. } => say!(text, "quarantine-is-deleted"),
    }
}

fn sentence(held: &HeldLetter, text: &Text) -> String {
    let (from, subject) = (plain(&held.from.address), plain(&held.subject));
    let (reasons, until) = (plain(&held.reasons.join(", ")), time(held.expires()));
    say!(
        text,
        "quarantine-one",
        address = held.address.as_str(),
        from = from,
        subject = subject,
        state = state(held, text),
        reasons = reasons,
        until = until
    )
}

fn document(held: &HeldLetter) -> Value {
    json!({
        "letter": held.letter.to_string(),
        "account": held.account.account.to_string(),
        "address": held.address,
        "accepted": held.accepted.rfc3339(),
        "sender": held.reverse_path,
        "from": held.from.address,
        "subject": held.subject,
        "size": held.size,
        "held_for": held.held_for.name(),
        "reasons": held.reasons,
        "state": held.state.name(),
        "expires": held.expires().rfc3339(),
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use async_trait::async_trait;
    use parking_lot::Mutex;
    use pennypost_mailstore::compress::decompress;
    use pennypost_model::codec;
    use pennypost_model::event::{Accepted, Body, Event, Recipient, SourceKind, Stage, Submission, Via};
    use pennypost_model::scan::{Finding, Points, ScanReport, SpamFinding};
    use pennypost_model::trace::Submitter;
    use pennypost_model::{EventId, MailboxId};
    use pennypost_ports::{Consistency, ScanError, ScanLetter, Scanner, ScansFor};
    use serde_json::Value;

    use super::super::tests::done;
    use crate::test_office::{self, TestOffice, documents};

    /// Says of each letter what it was told to say.
    struct Told {
        name: &'static str,
        scans_for: ScansFor,
        says: Mutex<Result<Finding, ScanError>>,
        /// Says it only of what holds this word, and that the rest is clean.
        of: Mutex<&'static str>,
        asked: Mutex<usize>,
    }

    impl Told {
        fn new(name: &'static str, scans_for: ScansFor) -> Arc<Told> {
            let says = Mutex::new(Ok(Finding::Clean));
            Arc::new(Told { name, scans_for, says, of: Mutex::default(), asked: Mutex::default() })
        }

        fn say(&self, says: Result<Finding, ScanError>) {
            *self.says.lock() = says;
        }

        fn fail(&self) {
            self.say(Err(ScanError::Unavailable { scanner: self.name, cause: "no connection".to_owned() }));
        }
    }

    #[async_trait]
    impl Scanner for Told {
        fn name(&self) -> &'static str {
            self.name
        }

        fn scans_for(&self) -> ScansFor {
            self.scans_for
        }

        async fn scan(&self, letter: &ScanLetter<'_>) -> Result<ScanReport, ScanError> {
            *self.asked.lock() += 1;
            let is_meant = String::from_utf8_lossy(letter.raw).contains(*self.of.lock());
            let finding = if is_meant { self.says.lock().clone()? } else { Finding::Clean };
            Ok(ScanReport { scanner: self.name, version: "test 1.0".to_owned(), finding })
        }
    }

    struct Bench {
        it: TestOffice,
        viruses: Arc<Told>,
        spam: Arc<Told>,
    }

    fn eicar() -> Result<Finding, ScanError> {
        Ok(Finding::Virus("Eicar".to_owned()))
    }

    fn points(points: i32) -> Result<Finding, ScanError> {
        let symbols = vec!["GTUBE".to_owned()];
        Ok(Finding::Spam(SpamFinding { points: Points(points), action: "reject".to_owned(), symbols }))
    }

    impl Bench {
        async fn open() -> Bench {
            let mut it = test_office::office().await;
            let (viruses, spam) =
                (Told::new("clamav", ScansFor::Viruses), Told::new("rspamd", ScansFor::Spam));
            it.scanners = vec![Arc::clone(&viruses) as _, Arc::clone(&spam) as _];
            Bench { it, viruses, spam }
        }

        fn letter(&self, subject: &str) -> Accepted {
            let raw = format!("From: Bob <bob@sender.example>\r\nSubject: {subject}\r\n\r\nhello\r\n");
            let mut accepted = self.it.accepted(raw.as_bytes(), &[&self.it.account]);
            // Authentication is not what is asked here.
            accepted.auth = pennypost_model::event::AuthResults {
                spf: pennypost_model::event::Verdict::Pass,
                ..Default::default()
            };
            accepted
        }

        async fn run(&self, accepted: &Accepted) -> bool {
            let event = Event::Accepted(Box::new(accepted.clone()));
            self.it.pipeline().run(Stage::InboundParse, vec![event]).await[0].is_ok()
        }

        /// How many messages are in a mailbox.
        async fn count(&self, mailbox: MailboxId) -> usize {
            let state =
                self.it.office.store.load(self.it.account.key, Consistency::Strong).await.expect("state");
            state.mailboxes().find(|one| one.id == mailbox).map_or(0, |one| one.rows.iter().count())
        }

        /// Takes the events out of a queue, handling those of the mail path.
        async fn queued(&self, stage: Stage) -> Vec<Event> {
            self.queued_within(stage, Duration::from_millis(1)).await
        }

        /// The same, of what another process than the server has sent: that is seen a little later.
        async fn queued_within(&self, stage: Stage, mut wait: Duration) -> Vec<Event> {
            let queue = self.it.server.queue();
            let mut events = Vec::new();
            loop {
                let received = queue.receive(stage, 10, Duration::from_secs(60), wait).await.expect("queue");
                wait = Duration::from_millis(1);
                if received.is_empty() {
                    return events;
                }
                for message in received {
                    queue.ack(stage, &[message.receipt]).await.expect("acknowledged");
                    events.push(codec::decode(&message.body).expect("an event"));
                }
            }
        }

        async fn trace(&self, id: EventId) -> Value {
            let journey =
                pennypost_journeys::journey(&*self.it.office.log(), self.it.account.key.tenant, id).await;
            let journey = journey.expect("read").expect("a journey");
            let outcomes = journey.delivery.iter().flat_map(|delivery| &delivery.recipients);
            let outcomes: Vec<String> = outcomes.map(|one| format!("{:?}", one.outcome)).collect();
            serde_json::json!({ "outcomes": outcomes, "processing": journey.processing.map(|one| one.cause) })
        }

        async fn say(&self, line: &str) -> Vec<Value> {
            documents(&done(&self.it, line, true).await.expect(line))
        }
    }

    /// Feature RCV-15 (part): what holds a virus lies in quarantine, and its recipients are told; what comes in is not refused
    /// Feature RCV-11: what is kept is listed, looked at, released and deleted by commands
    #[tokio::test(flavor = "multi_thread")]
    async fn a_virus_is_kept_and_comes_once_when_it_is_released() {
        let bench = Bench::open().await;
        let address = bench.it.account.address.to_string();
        bench.viruses.say(eicar());
        let letter = bench.letter("infected");
        for _ in 0..2 {
            assert!(bench.run(&letter).await);
        }
        assert_eq!(bench.count(MailboxId::INBOX).await, 0);
        assert_eq!(*bench.spam.asked.lock(), 0, "what holds a virus is not asked about further");
        assert_eq!(*bench.viruses.asked.lock(), 1, "what lies there is not asked about again");
        assert!(
            bench.trace(letter.id).await["outcomes"][0]
                .as_str()
                .is_some_and(|one| one.contains("virus:Eicar"))
        );
        // The recipient is told, once: who comes again says the same, under the same id.
        let told = bench.queued(Stage::InboundParse).await;
        assert_eq!((told.len(), told[0].message()), (2, told[1].message()));
        let pipeline = bench.it.pipeline();
        let results = pipeline.run(Stage::InboundParse, told).await;
        assert!(results.iter().all(Result::is_ok), "{results:?}");
        assert_eq!(bench.count(MailboxId::INBOX).await, 1);

        let listed = bench.say("quarantine list").await;
        assert_eq!(
            (&listed[0]["letter"], &listed[0]["held_for"], &listed[0]["state"], &listed[0]["subject"]),
            (&letter.id.to_string().into(), &"virus".into(), &"held".into(), &"infected".into())
        );
        assert_eq!(bench.say(&format!("quarantine list {address}")).await, listed);
        let id = letter.id.to_string();
        let shown = bench.say(&format!("quarantine show {address} {id}")).await;
        assert!(shown[0]["header"].as_str().is_some_and(|header| header.contains("Subject: infected")));
        for _ in 0..2 {
            let released = bench.say(&format!("quarantine release {address} {id}")).await;
            assert_eq!(released[0]["state"], "released");
        }
        let events = bench.queued_within(Stage::InboundParse, Duration::from_secs(60)).await;
        assert_eq!(events.len(), 1, "it is sent once");
        // By whom it may be handled as often as he likes; and the first event comes once more.
        for _ in 0..2 {
            assert!(bench.it.pipeline().run(Stage::InboundParse, events.clone()).await[0].is_ok());
            assert!(bench.run(&letter).await);
        }
        assert_eq!(bench.count(MailboxId::INBOX).await, 2);
        assert!(
            bench.trace(letter.id).await["outcomes"][0].as_str().is_some_and(|one| one.starts_with("Stored"))
        );
        done(&bench.it, &format!("quarantine delete {address} {id}"), false)
            .await
            .expect("nothing to be done");
        assert_eq!(bench.say("quarantine list").await[0]["state"], "released");
        let log = done(&bench.it, "log list", false).await.expect("listed").join(" ");
        assert!(log.contains("quarantine.release-virus"), "{log}");

        let another = bench.letter("another");
        assert!(bench.run(&another).await);
        done(&bench.it, &format!("quarantine delete {address} {}", another.id), false)
            .await
            .expect("deleted");
        assert_eq!(bench.say("quarantine list").await.len(), 1);
        assert!(bench.run(&another).await);
        let gone = done(&bench.it, &format!("quarantine release {address} {}", another.id), false).await;
        assert!(gone.expect_err("gone").contains("letter"));
    }

    fn raw(event: &Event) -> String {
        let Event::Accepted(accepted) = event else { panic!("{event:?}") };
        let Body::Inline(stored) = &accepted.body else { panic!("it is short") };
        String::from_utf8(decompress(stored).expect("whole")).expect("text")
    }

    /// Feature RCV-15 (part): recipients get the rest of a letter without the attachment that holds a virus, where their organisation says so; what comes in is not refused
    #[tokio::test(flavor = "multi_thread")]
    async fn recipients_get_the_rest_of_a_letter_without_what_holds_a_virus() {
        let bench = Bench::open().await;
        bench.viruses.say(eicar());
        *bench.viruses.of.lock() = "MARK";
        let file = "Content-Type: application/octet-stream; name=offer.exe\r\n\r\nMARK";
        let sent = format!(
            "From: Bob <bob@sender.example>\r\nSubject: offer\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n\
             --b\r\n\r\nas promised\r\n--b\r\n{file}\r\n--b\r\nContent-Type: text/csv; name=list.csv\r\n\r\n1;2\r\n--b--\r\n"
        );
        let letter = || bench.it.accepted(sent.as_bytes(), &[&bench.it.account]);
        // A few words, as long as nobody has said anything else.
        assert!(bench.run(&letter()).await);
        let told = bench.queued(Stage::InboundParse).await;
        assert!(told.len() == 1 && !raw(&told[0]).contains("message/rfc822"));
        assert_eq!(bench.say("scanning show").await[0]["recipients_get"], "notice");
        let said = bench.say("scanning set --recipients-get rest").await;
        assert_eq!((&said[0]["recipients_get"], &said[0]["virus"]), (&"rest".into(), &"quarantine".into()));

        let letter = letter();
        *bench.viruses.asked.lock() = 0;
        for _ in 0..2 {
            assert!(bench.run(&letter).await);
        }
        assert_eq!(
            *bench.viruses.asked.lock(),
            5,
            "the letter, its parts, and what is left; and no more when it comes again"
        );
        let told = bench.queued(Stage::InboundParse).await;
        assert_eq!(told.len(), 2);
        assert_eq!(told[0], told[1], "whoever makes it, and however often, it is the same");
        let raw = raw(&told[0]);
        assert!(raw.starts_with("From: postmaster@") && !raw.contains("MARK"), "{raw}");
        // The notice, its text, the letter, its root, its text, what stands there for the file, and the list.
        let (structure, _) = pennypost_mime::parse(raw.as_bytes());
        let kinds: Vec<&str> = structure.parts.iter().map(|part| part.media_type.1.as_str()).collect();
        assert_eq!(kinds, ["mixed", "plain", "rfc822", "mixed", "plain", "plain", "csv"]);
        let of = |number: usize| {
            let part = &structure.parts[number];
            let body = &raw.as_bytes()[part.body.start as usize..part.body.end as usize];
            String::from_utf8(pennypost_mime::decode_part(part, body).into_owned()).expect("text")
        };
        let (begin, end) = sent.split_once(file).expect("it is there");
        let given = of(2);
        assert!(given.starts_with(begin) && given.ends_with(end), "{given}");
        assert!(of(5).contains("An attachment with a virus (Eicar: offer.exe) was taken out."), "{}", of(5));
        assert!(of(1).contains("The rest of the message is attached."), "{}", of(1));
        let results = bench.it.pipeline().run(Stage::InboundParse, told).await;
        assert!(results.iter().all(Result::is_ok), "{results:?}");
        assert_eq!(bench.count(MailboxId::INBOX).await, 1);
        // The letter itself lies where it did.
        let listed = bench.say("quarantine list").await;
        let of_letter = listed.iter().find(|one| one["letter"] == letter.id.to_string().as_str());
        let reasons = &of_letter.expect("it is kept")["reasons"];
        assert!(
            reasons.as_array().is_some_and(|reasons| reasons.contains(&"infected-parts:2".into())),
            "{reasons}"
        );
    }

    /// A scanner that knows more when the event comes again takes nothing from who has got the letter.
    #[tokio::test(flavor = "multi_thread")]
    async fn what_was_delivered_is_not_kept_afterwards_and_what_was_kept_not_delivered() {
        let bench = Bench::open().await;
        let letter = bench.letter("known later");
        assert!(bench.run(&letter).await);
        bench.viruses.say(eicar());
        assert!(bench.run(&letter).await);
        assert_eq!(bench.count(MailboxId::INBOX).await, 1);
        assert!(bench.say("quarantine list").await.is_empty());
        let kept = bench.letter("known now");
        assert!(bench.run(&kept).await);
        bench.viruses.say(Ok(Finding::Clean));
        assert!(bench.run(&kept).await);
        assert_eq!(bench.count(MailboxId::INBOX).await, 1);
        assert_eq!(bench.say("quarantine list").await.len(), 1);
    }

    /// Everybody was told that a letter is kept from him, also those who had it.
    #[tokio::test(flavor = "multi_thread")]
    async fn who_has_got_a_letter_is_not_told_that_it_is_kept_from_him() {
        let bench = Bench::open().await;
        let bea = bench.it.account("bea@acme.example").await;
        let mut letter = bench.letter("known later");
        assert!(bench.run(&letter).await);
        letter.recipients.push(Recipient {
            account: bea.key,
            address: bea.address.to_string(),
            via: Via::Direct,
        });
        bench.viruses.say(eicar());
        assert!(bench.run(&letter).await);
        let told = bench.queued(Stage::InboundParse).await;
        let [Event::Accepted(told)] = &told[..] else { panic!("{told:?}") };
        assert_eq!(told.recipients.iter().map(|one| one.account).collect::<Vec<_>>(), [bea.key]);
        // What is deleted is told as that, to those of whom it was.
        let mut both = bench.letter("for both");
        both.recipients = letter.recipients.clone();
        bench.viruses.say(Ok(Finding::Clean));
        let first = Accepted { recipients: vec![both.recipients[0].clone()], ..both.clone() };
        assert!(bench.run(&first).await);
        bench.viruses.say(eicar());
        bench.say("scanning set --virus delete").await;
        assert!(bench.run(&both).await);
        let told = bench.queued(Stage::InboundParse).await;
        let [Event::Accepted(told)] = &told[..] else { panic!("{told:?}") };
        let differs = told.id.to_bytes()[8] ^ both.id.to_bytes()[8];
        assert_eq!(
            (told.recipients.len(), differs),
            (1, 0x20),
            "another letter than that of one that is kept"
        );
        // Nobody is told where the organisation does not want it.
        bench.say("scanning set --virus quarantine --tell-recipients false").await;
        assert!(bench.run(&bench.letter("untold")).await);
        assert!(bench.queued(Stage::InboundParse).await.is_empty());
    }

    /// Feature RCV-13: thresholds of a spam scanner for Junk, quarantine and deletion, said by commands
    #[tokio::test(flavor = "multi_thread")]
    async fn spam_goes_where_the_organisation_says() {
        let bench = Bench::open().await;
        bench.spam.say(points(700));
        assert!(bench.run(&bench.letter("into Junk")).await);
        assert_eq!(bench.count(MailboxId::JUNK).await, 1);
        let said = bench.say("scanning set --junk 8 --quarantine 10 --delete 20").await;
        assert_eq!((&said[0]["quarantine"], &said[0]["virus"]), (&10.0.into(), &"quarantine".into()));
        assert_eq!(bench.say("scanning show").await, said);
        for (subject, score) in [("good", 700), ("bad", 1_500), ("worst", 2_000)] {
            bench.spam.say(points(score));
            assert!(bench.run(&bench.letter(subject)).await);
        }
        assert_eq!((bench.count(MailboxId::INBOX).await, bench.count(MailboxId::JUNK).await), (1, 1));
        let listed = bench.say("quarantine list").await;
        assert_eq!(
            (listed.len(), &listed[0]["subject"], &listed[0]["held_for"]),
            (1, &"bad".into(), &"spam".into())
        );
        // Whom the organisation trusts is not kept.
        let policy =
            |policy: &mut pennypost_directory::TenantPolicy| policy.add_to_whitelist("sender.example");
        let tenant = bench.it.account.key.tenant;
        bench.it.office.directory.update_policy(tenant, policy).await.expect("listed");
        assert!(bench.run(&bench.letter("trusted")).await);
        assert_eq!(bench.count(MailboxId::INBOX).await, 2);
        for bad in ["--junk 2000", "--junk 30", "--quarantine 25", "--junk nan"] {
            let refused = done(&bench.it, &format!("scanning set {bad}"), false).await;
            assert!(refused.expect_err(bad).contains("points"), "{bad}");
        }
        let shown = done(&bench.it, "scanning show", false).await.expect("shown").join(" ");
        assert!(shown.contains("from 10.00 on") && shown.contains("wait"), "{shown}");
    }

    /// Feature RCV-16: what waits for a scanner is being processed
    #[tokio::test(flavor = "multi_thread")]
    async fn without_a_scanner_letters_wait_or_pass_as_the_organisation_says() {
        let bench = Bench::open().await;
        bench.spam.fail();
        let passing = bench.letter("passing");
        assert!(bench.run(&passing).await);
        let outcomes = bench.trace(passing.id).await;
        assert!(outcomes["outcomes"][0].as_str().is_some_and(|one| one.starts_with("Stored")), "{outcomes}");
        bench.viruses.fail();
        let waiting = bench.letter("waiting");
        for _ in 0..2 {
            assert!(!bench.run(&waiting).await);
        }
        assert_eq!(bench.count(MailboxId::INBOX).await, 1);
        let found = bench.trace(waiting.id).await;
        assert_eq!(
            (found["outcomes"].as_array().map(Vec::len), found["processing"].is_string()),
            (Some(0), true)
        );
        bench.viruses.say(Ok(Finding::Clean));
        assert!(bench.run(&waiting).await);
        assert_eq!(bench.count(MailboxId::INBOX).await, 2);
        bench.say("scanning set --without-virus-scanner pass --without-spam-scanner hold").await;
        bench.viruses.fail();
        assert!(!bench.run(&bench.letter("waiting for the other")).await);
        bench.spam.say(Ok(Finding::Clean));
        assert!(bench.run(&bench.letter("unscanned")).await);
        // One that is never looked at is not waited for.
        bench.say("scanning set --without-virus-scanner hold").await;
        bench.viruses.say(Err(ScanError::Refused { scanner: "clamav", cause: "too large".to_owned() }));
        assert!(bench.run(&bench.letter("large")).await);
        assert_eq!(bench.count(MailboxId::INBOX).await, 4);
    }

    /// Feature RCV-16: what members send is scanned before it goes anywhere; with a virus it goes to nobody, and they are told
    #[tokio::test(flavor = "multi_thread")]
    async fn a_virus_that_a_member_sends_goes_to_nobody_and_he_is_told_once() {
        let bench = Bench::open().await;
        let bea = bench.it.account("bea@acme.example").await;
        let ann = &bench.it.account;
        let mut letter =
            bench.it.accepted(b"From: ann@acme.example\r\nSubject: infected\r\n\r\nhello\r\n", &[&bea]);
        let address = ann.address.to_string();
        let submitter =
            Submitter { account: ann.key, address: address.clone(), protocol: "ESMTPSA".to_owned() };
        letter.source.kind = SourceKind::Submission(Box::new(Submission { submitter, bcc: String::new() }));
        let outside = ("you@other.example", Via::Outside);
        for (address, via) in [outside, (address.as_str(), Via::Sent)] {
            letter.recipients.push(Recipient { account: ann.key, address: address.to_owned(), via });
        }
        bench.viruses.say(eicar());
        for _ in 0..2 {
            assert!(bench.run(&letter).await);
        }
        assert_eq!(bench.count(MailboxId::SENT).await, 0);
        assert!(bench.queued(Stage::SendRemote).await.is_empty(), "nothing goes to other servers");
        let found = bench.trace(letter.id).await;
        let outcomes = found["outcomes"].as_array().expect("outcomes");
        assert_eq!(outcomes.len(), 3);
        assert!(
            outcomes.iter().all(|one| one.as_str().is_some_and(|one| one.starts_with("Refused"))),
            "{found}"
        );
        assert!(bench.say("quarantine list").await.is_empty());
        let told = bench.queued(Stage::InboundParse).await;
        let results = bench.it.pipeline().run(Stage::InboundParse, told).await;
        assert!(results.iter().all(Result::is_ok), "{results:?}");
        assert_eq!(bench.count(MailboxId::INBOX).await, 1, "one report");
        assert_eq!(*bench.spam.asked.lock(), 0, "members are not asked about for spam");

        bench.viruses.say(Ok(Finding::Clean));
        let mut clean = letter.clone();
        clean.id = bench.it.office.ids.event(clean.time);
        assert!(bench.run(&clean).await);
        assert_eq!(bench.count(MailboxId::SENT).await, 1);
        assert_eq!(bench.queued(Stage::SendRemote).await.len(), 1);
        // What has gone is not told to have gone to nobody, though more is known of it when its event comes again.
        bench.viruses.say(eicar());
        assert!(bench.run(&clean).await);
        assert!(bench.queued(Stage::InboundParse).await.is_empty());
        let found = bench.trace(clean.id).await;
        assert!(!found["outcomes"].to_string().contains("Refused"), "{found}");
        assert_eq!(bench.count(MailboxId::SENT).await, 1);
    }
}
