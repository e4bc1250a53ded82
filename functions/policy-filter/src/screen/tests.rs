use async_trait::async_trait;
use pennypost_backend_embedded::{Embedded, Options};
use pennypost_directory::{Answering, DirectoryError, MailAddress, WithRules};
use pennypost_mailstore::compress::compress;
use pennypost_model::event::{AuthResults, Decided, Event, Recipient, Source, Target};
use pennypost_model::message::{Facts, Sidecar};
use pennypost_model::scan::Withheld;
use pennypost_model::structure::Structure;
use pennypost_model::{AccountId, MailboxRole, Timestamp};
use pennypost_policy::scanning::infected_parts;
use pennypost_policy::{Personal, RecipientsGet, TenantPolicy};
use pennypost_ports::{Control, ControlKey, Expected, SystemClock};
use pennypost_runtime::Handler;

use super::*;
use crate::PolicyFilter;

const TENANT: TenantId = TenantId(7);
const ANN: AccountKey = AccountKey { tenant: TENANT, account: AccountId(1) };

struct Says(ScanPolicy);

#[async_trait]
impl PolicySource for Says {
    async fn policies(&self, _: TenantId) -> Result<(TenantPolicy, WithRules), DirectoryError> {
        Ok(Default::default())
    }

    fn now(&self) -> Timestamp {
        Timestamp(0)
    }

    async fn personal(&self, _: AccountKey) -> Result<Personal, DirectoryError> {
        Ok(Personal::default())
    }

    async fn scan_policy(&self, _: TenantId) -> Result<ScanPolicy, DirectoryError> {
        Ok(self.0.clone())
    }

    async fn answered(&self, _: AccountKey, _: &MailAddress) -> Result<Option<Recipient>, DirectoryError> {
        Ok(None)
    }

    async fn note_answer(
        &self,
        _: AccountKey,
        _: (&str, &str),
        _: (EventId, Timestamp),
    ) -> Result<Answering, DirectoryError> {
        Ok(Answering::Before)
    }
}

/// Says nothing of letters whose bytes say so, and counts how often it is asked.
#[derive(Default)]
struct Moody {
    asked: Mutex<u32>,
    is_gone: Mutex<bool>,
}

#[async_trait]
impl Scanner for Moody {
    fn name(&self) -> &'static str {
        "moody"
    }

    fn scans_for(&self) -> ScansFor {
        ScansFor::Viruses
    }

    async fn scan(&self, letter: &ScanLetter<'_>) -> Result<ScanReport, ScanError> {
        *self.asked.lock() += 1;
        if *self.is_gone.lock() {
            return Err(ScanError::Unavailable { scanner: "moody", cause: "no connection".to_owned() });
        }
        let is_in = |word: &[u8]| letter.raw.windows(word.len()).any(|part| part == word);
        if is_in(b"bomb") {
            return Err(ScanError::Failed { scanner: "moody", cause: "it took longer than 20 s".to_owned() });
        }
        let finding = if is_in(b"virus") { Finding::Virus("Eicar".to_owned()) } else { Finding::Clean };
        Ok(ScanReport { scanner: "moody", version: "1".to_owned(), finding })
    }
}

struct Bench {
    _dir: tempfile::TempDir,
    control: Arc<dyn Control>,
    scanner: Arc<Moody>,
    filter: PolicyFilter,
}

impl Bench {
    fn open() -> Bench {
        Bench::with(ScanPolicy::default())
    }

    fn with(policy: ScanPolicy) -> Bench {
        let dir = tempfile::tempdir().expect("a folder");
        let backend = Embedded::open(dir.path(), &Options::server()).expect("opens");
        let (control, scanner): (Arc<dyn Control>, _) = (backend.control(), Arc::new(Moody::default()));
        let quarantine = Quarantine::new(Arc::clone(&control), backend.objects());
        let scanners = vec![Arc::clone(&scanner) as Arc<dyn Scanner>];
        let screen =
            Screen::new(scanners, quarantine, backend.objects(), backend.log(), Arc::new(SystemClock));
        let filter = PolicyFilter::new(Arc::new(Says(policy))).screening(screen);
        Bench { _dir: dir, control, scanner, filter }
    }

    fn asked(&self) -> u32 {
        std::mem::take(&mut *self.scanner.asked.lock())
    }

    fn screen(&self) -> &Screen {
        self.filter.screen.as_ref().expect("there is one")
    }
}

fn letter(number: u128, text: &str) -> Parsed {
    letter_of(number, &format!("Subject: x\r\n\r\n{text}\r\n"))
}

fn letter_of(number: u128, raw: &str) -> Parsed {
    let time = SystemClock.now();
    let accepted = Accepted {
        id: EventId::from_parts(time, number),
        time,
        tenant: TENANT,
        source: Source { kind: SourceKind::Smtp, ip: None, helo: String::new(), tls: None },
        auth: AuthResults::default(),
        reverse_path: "bob@sender.example".to_owned(),
        recipients: vec![Recipient { account: ANN, address: "ann@t.example".to_owned(), via: Via::Direct }],
        body: Body::Inline(compress(raw.as_bytes()).expect("compresses")),
        receipt: String::new(),
    };
    let sidecar =
        Sidecar { structure: Structure::default(), facts: Facts::default(), receipt: String::new() };
    Parsed { accepted, sidecar }
}

/// Letters that a scanner could not unpack in time kept it from being asked about everybody else's.
#[tokio::test]
async fn one_letter_of_which_nothing_is_said_is_in_no_others_way_and_goes_on_at_last() {
    let bench = Bench::open();
    let bomb = letter(1, "bomb");
    for number in 0..FAILS {
        let waits = bench.filter.handle(bomb.clone()).await.expect_err("it waits");
        assert_eq!((waits.is_temporary(), bench.asked()), (true, 1), "{number}");
        let other = bench.filter.handle(letter(100 + u128::from(number), "hello")).await.expect("decided");
        assert_eq!((other.decisions[0].target, bench.asked()), (Target::Role(MailboxRole::Inbox), 1));
    }
    let decided = bench.filter.handle(bomb).await.expect("it goes on");
    assert_eq!((decided.decisions[0].target, bench.asked()), (Target::Role(MailboxRole::Inbox), 0));
    let reasons = decided.decisions[0].reasons.join(" ");
    assert!(reasons.contains("does not look at this letter: it has said nothing of it 8 times"), "{reasons}");
    assert!(decided.sidecar.receipt.starts_with("X-Pennypost-Scanned: moody : not scanned, moody"));
}

#[tokio::test]
async fn who_cannot_be_reached_is_not_asked_again_at_once_and_all_letters_wait() {
    let bench = Bench::open();
    *bench.scanner.is_gone.lock() = true;
    for number in 0..20 {
        let waits = bench.filter.handle(letter(number, "hello")).await;
        assert!(matches!(waits, Err(FilterError::Waits { .. })), "{waits:?}");
    }
    assert_eq!(bench.asked(), 1);
    // That nobody answers says nothing of any letter.
    assert!(bench.screen().failing.lock().is_empty());
}

#[tokio::test]
async fn who_says_nothing_of_many_letters_in_a_row_does_not_answer() {
    let bench = Bench::open();
    let many = u32::try_from(IN_A_ROW).expect("few");
    for _ in 0..2 {
        for number in 1..many {
            assert!(bench.filter.handle(letter(number.into(), "bomb")).await.is_err());
        }
        assert_eq!(bench.asked(), many - 1);
        assert!(bench.filter.handle(letter(0, "hello")).await.is_ok());
        assert_eq!(bench.asked(), 1);
    }
    for number in 0..2 * many {
        assert!(bench.filter.handle(letter(number.into(), "bomb")).await.is_err());
    }
    assert_eq!(bench.asked(), many);
    assert!(bench.filter.handle(letter(0, "hello")).await.is_err(), "it waits with the others");
}

#[tokio::test]
async fn what_is_not_begun_in_time_comes_again_soon_and_what_waits_long_seldom() {
    let bench = Bench::open();
    let Some(long_ago) = Instant::now().checked_sub(BEGIN_WITHIN + Duration::from_secs(1)) else { return };
    let left = bench.filter.filtered(letter(1, "hello"), long_ago).await;
    assert!(matches!(left, Err(FilterError::Waits { again: NOT_BEGUN, .. })), "{left:?}");
    assert_eq!(bench.asked(), 0);
    let failed = bench.filter.handle(letter(2, "bomb")).await;
    assert!(matches!(failed, Err(FilterError::Waits { again, .. }) if again == AGAIN[0]), "{failed:?}");
    let event = Event::Parsed(Box::new(letter(3, "bomb")));
    let outcome = Handler::handle(&bench.filter, vec![event]).await.remove(0).expect_err("it waits");
    assert_eq!((outcome.temporary, outcome.retry_after), (true, Some(AGAIN[0])));
    let mut old = letter(4, "").accepted;
    for (minutes, seconds) in [(0, 30), (2, 30), (4, 60), (60, 300), (-5, 30)] {
        old.time = SystemClock.now().plus_millis(-minutes * 60_000);
        let again = bench.screen().again(&old).as_secs();
        assert!((seconds..=seconds + 1).contains(&again), "{minutes}: {again}");
    }
}

/// The letter became a dead one for all of its recipients.
#[tokio::test]
async fn what_a_newer_program_has_kept_is_read_another_day() {
    let bench = Bench::open();
    let kept = letter(1, "virus");
    let item = ControlKey::new(format!("{TENANT}/quarantined-letters"), kept.accepted.id.to_string());
    bench.control.put_if(&item, b"\xff\xff", Expected::Any).await.expect("written");
    let row = format!("{}/{}", ANN.account, kept.accepted.id);
    let row = ControlKey::new(format!("{TENANT}/quarantine"), row);
    bench.control.put_if(&row, b"\xff\xff", Expected::Any).await.expect("written");
    let error = bench.filter.handle(kept.clone()).await.expect_err("it can't be read");
    assert!(error.is_temporary(), "{error}");
    let other = bench.filter.handle(letter(2, "virus")).await.expect("decided");
    assert_eq!(other.decisions[0].target, Target::Withheld(Withheld::Quarantined(HeldFor::Virus)));
}

#[test]
fn what_was_added_before_is_not_added_twice() {
    let fields = "Received: by a\r\n\tX-Pennypost-Scanned: no field\r\nx-pennypost-scanned: clamav: clean;\r\n\trspamd: 1\r\nX-Other: y\r\n";
    assert_eq!(without_field(fields), "Received: by a\r\n\tX-Pennypost-Scanned: no field\r\nX-Other: y\r\n");
    assert_eq!(without_field("您好: x\r\n"), "您好: x\r\n");
}

/// A letter of a text, a file and a picture.
fn mixed(text: &str, file: &str) -> String {
    format!(
        "Subject: x\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\n{text}\r\n--b\r\n\
         Content-Type: application/octet-stream; name=a.exe\r\n\r\n{file}\r\n--b\r\n\
         Content-Type: image/png\r\n\r\npicture\r\n--b--\r\n"
    )
}

#[tokio::test]
async fn parts_are_asked_about_only_of_what_holds_a_virus_and_the_rest_once_more() {
    let infected = |decided: &Decided| infected_parts(&decided.decisions[0].reasons);
    let kept = Target::Withheld(Withheld::Quarantined(HeldFor::Virus));
    let gives = ScanPolicy { recipients_get: RecipientsGet::Rest, ..ScanPolicy::default() };
    let bench = Bench::with(gives.clone());
    let behind = |raw: &str| raw.replace("--b--", "--b--\r\nvirus");
    // Nothing is said of what is in this picture.
    let bomb = mixed("hello", "virus").replace(
        "image/png\r\n\r\npicture",
        "image/png\r\nContent-Transfer-Encoding: base64\r\n\r\nYm9tYg==",
    );
    for (number, (raw, parts, asked)) in [
        // The letter, its parts, and what is left.
        (mixed("hello", "virus"), Some(vec![2]), 5),
        // What people read, and what is in no part.
        (mixed("virus", "file"), None, 4),
        (behind(&mixed("hello", "file")), None, 4),
        (behind(&mixed("hello", "virus")), None, 5),
        (bomb, None, 4),
        (mixed("hello", "virus").replace("multipart/mixed", "multipart/signed"), None, 1),
    ]
    .into_iter()
    .enumerate()
    {
        let decided = bench.filter.handle(letter_of(number as u128, &raw)).await.expect("decided");
        assert_eq!((infected(&decided), bench.asked()), (parts, asked), "{raw}");
        assert_eq!(decided.decisions[0].target, kept, "{raw}");
    }
    let clean = bench.filter.handle(letter_of(10, &mixed("hello", "file"))).await.expect("decided");
    assert_eq!((clean.decisions[0].target, bench.asked()), (Target::Role(MailboxRole::Inbox), 1));
    // Nobody wants it: nothing more is asked.
    for policy in [ScanPolicy::default(), ScanPolicy { tell_recipients: false, ..gives }] {
        let bench = Bench::with(policy);
        let decided = bench.filter.handle(letter_of(1, &mixed("hello", "virus"))).await.expect("decided");
        assert_eq!((infected(&decided), bench.asked()), (None, 1));
    }
}
