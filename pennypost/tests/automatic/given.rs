//! Read receipts that members give: the letter that asks in by SMTP, consent, and what goes to whoever asks.

use std::sync::atomic::{AtomicI64, Ordering};

use pennypost_admin::{
    AdminError, Administration, Call, Conflict, Origin, ReceiptRequest, ReceiptState, Task, TaskKind,
    TaskState, Worked,
};
use pennypost_directory::{NewSession, SessionLife, SignedInBy};
use pennypost_housekeep::KeptMail;
use pennypost_ports::{Consistency, Control, ControlKey, Expected, Item, PortError, PortResult, Put, Queue};

use super::*;

const ASKING: &str = "From: You <you@theirs.test>\r\nTo: bob@t.test\r\nSubject: hello\r\nMessage-ID: <1@theirs.test>\r\n\
                      Disposition-Notification-To: You <you@theirs.test>\r\n\r\nhello";
const FROM_ANN: &str = "From: Ann <ann@t.test>\r\nTo: bob@t.test, staff@t.test\r\nSubject: hello\r\nMessage-ID: <2@t.test>\r\n\
                        Disposition-Notification-To: ann@t.test\r\n\r\nhello";

/// A store of which a process loses hold after so many writes.
struct Dying(Arc<dyn Control>, AtomicI64);

#[async_trait]
impl Control for Dying {
    async fn get(&self, key: &ControlKey, consistency: Consistency) -> PortResult<Option<Item>> {
        self.0.get(key, consistency).await
    }

    async fn put_if(&self, key: &ControlKey, value: &[u8], expected: Expected) -> PortResult<Put> {
        if self.1.fetch_sub(1, Ordering::SeqCst) <= 0 {
            return Err(PortError::Unavailable { port: "control", cause: "it is dead".to_owned() });
        }
        self.0.put_if(key, value, expected).await
    }

    async fn delete_if(&self, key: &ControlKey, version: u64) -> PortResult<bool> {
        self.0.delete_if(key, version).await
    }

    async fn query(
        &self,
        partition: &str,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> PortResult<Vec<(String, Item)>> {
        self.0.query(partition, prefix, after, limit).await
    }
}

impl Town {
    fn administration_over(&self, control: Arc<dyn Control>, queue: Arc<dyn Queue>) -> Administration {
        let (office, backend) = (&self.office, &self.office.backend);
        let (clock, ids) = (Arc::clone(&office.adapter.clock), Arc::clone(&office.adapter.ids));
        Administration::new(office.directory.clone(), control, clock, ids)
            .with_tasks(backend.objects(), queue)
            .upon_mail(Arc::new(KeptMail::new(office.store.clone(), backend.control())))
            .reading(backend.log())
            .sending_out()
    }

    fn giving(&self) -> Administration {
        self.administration_over(self.office.backend.control(), self.office.backend.queue())
    }

    /// A member in a session.
    async fn call_of(&self, name: &str) -> (AccountKey, Call) {
        let account = self.key(name).await;
        let new = NewSession {
            account,
            by: SignedInBy::Password,
            client: "test",
            address: None,
            life: SessionLife { idle: 3_600_000, whole: 3_600_000 },
            is_confirmed: true,
            lacks_factor: false,
            must_change: false,
        };
        let session = self.office.directory.keep_session(&new).await.unwrap().1;
        let actor = self.giving().authenticate(&session).await.unwrap();
        (account, Call { actor, origin: Origin::Api(None) })
    }

    /// The letters that ask somebody.
    async fn asking(&self, name: &str) -> Vec<ReceiptRequest> {
        let (key, call) = self.call_of(name).await;
        self.giving().receipt_requests(&call, key, None, None, 50).await.unwrap().0
    }

    async fn states(&self, name: &str) -> Vec<ReceiptState> {
        self.asking(name).await.iter().map(|request| request.state).collect()
    }

    /// Somebody answers the newest letter that asks him.
    async fn answer(&self, name: &str, gives: bool) -> Result<Task, AdminError> {
        let (key, call) = self.call_of(name).await;
        let letter = self.asking(name).await[0].letter;
        self.giving().answer_receipt_request(&call, key, letter, gives, None).await
    }

    /// Housekeeping does it, twice, and all that follows is handled.
    async fn carry_out(&self, task: &Task) -> Task {
        for _ in 0..2 {
            let worked = self.giving().work_on(self.office.tenant, task.id, Timestamp(i64::MAX)).await;
            assert_eq!(worked, Ok(Worked::Over));
        }
        self.work().await;
        self.giving().task(&Call::of_operator(), self.office.tenant, task.id).await.unwrap()
    }
}

/// Feature SND-09 (part): whoever has got a letter that asks sees it over the API, and gives a receipt, or none, once; it names him, subject and time, and goes to whoever asks; without his word nothing goes, and no page shows it yet
#[tokio::test(flavor = "multi_thread")]
async fn a_receipt_is_given_with_consent_and_once() {
    let it = Town::open().await;
    assert!(it.come_in("you@theirs.test", "bob@t.test", ASKING).await.starts_with("250 2.0.0 "));
    it.work().await;
    assert!(it.given().is_empty(), "without consent nothing is sent");
    let [request] = &it.asking("bob").await[..] else { panic!("one") };
    assert_eq!(
        (request.sender.as_str(), request.subject.as_str(), request.asker.as_str(), request.state),
        ("you@theirs.test", "hello", "you@theirs.test", ReceiptState::Open)
    );
    assert!(it.asking("ann").await.is_empty(), "nobody else is asked");

    let task = it.answer("bob", true).await.unwrap();
    assert_eq!(it.answer("bob", true).await, Err(AdminError::Conflict(Conflict::ReceiptAnswered)));
    let done = it.carry_out(&task).await;
    assert_eq!((done.state, done.counts.skipped), (TaskState::Done, 0));
    let given = it.given();
    let [receipt] = &given[..] else { panic!("{given:?}") };
    assert_eq!((receipt.reverse_path.as_str(), &receipt.to[..]), ("", &["you@theirs.test".to_owned()][..]));
    for part in [
        "Auto-Submitted: auto-replied\r\n",
        "report-type=disposition-notification",
        "Final-Recipient: rfc822; bob@t.test\r\nOriginal-Message-ID: <1@theirs.test>\r\n\
         Disposition: manual-action/MDN-sent-manually; displayed\r\n",
        "\r\nSubject: hello\r\n",
    ] {
        assert!(receipt.text.contains(part), "{part}\n{}", receipt.text);
    }
    assert!(it.office.mailbox("bob", "INBOX").await.1.contains("$MDNSent"));
    assert_eq!(it.states("bob").await, [ReceiptState::Answered]);
    assert_eq!(it.answer("bob", true).await, Err(AdminError::Conflict(Conflict::ReceiptAnswered)));

    // To refuse is to say nothing.
    assert!(it.come_in("you@theirs.test", "bob@t.test", ASKING).await.starts_with("250 2.0.0 "));
    it.work().await;
    let task = it.answer("bob", false).await.unwrap();
    assert_eq!(it.carry_out(&task).await.state, TaskState::Done);
    assert_eq!(it.states("bob").await, [ReceiptState::Answered, ReceiptState::Answered]);

    // A mail program was faster than the API; and than a task that waits.
    for is_ordered in [false, true] {
        assert!(it.come_in("you@theirs.test", "bob@t.test", ASKING).await.starts_with("250 2.0.0 "));
        it.work().await;
        let task = if is_ordered { Some(it.answer("bob", true).await.unwrap()) } else { None };
        it.imap("bob", "STORE * +FLAGS ($mdnsent)").await;
        match task {
            Some(task) => assert_eq!(it.carry_out(&task).await.counts.skipped, 1),
            None => {
                let answered = it.answer("bob", true).await;
                assert_eq!(answered, Err(AdminError::Conflict(Conflict::ReceiptAnswered)));
            }
        }
    }

    // One that was deleted; one that was deleted while its task waited.
    assert!(it.come_in("you@theirs.test", "bob@t.test", ASKING).await.starts_with("250 2.0.0 "));
    it.work().await;
    let task = it.answer("bob", true).await.unwrap();
    it.imap("bob", "STORE * +FLAGS (\\Deleted)").await;
    it.imap("bob", "EXPUNGE").await;
    assert_eq!(it.carry_out(&task).await.state, TaskState::Failed);
    assert_eq!(it.states("bob").await[0], ReceiptState::Gone);
    assert_eq!(it.answer("bob", true).await, Err(AdminError::NotFound("letter")));

    // Nobody is asked by these.
    let without = ASKING.replace("Disposition-Notification-To", "X-Nothing");
    let of_list = format!("List-Id: <all.theirs.test>\r\n{ASKING}");
    let of_two = ASKING.replace("To: You <you@theirs.test>", "To: you@theirs.test, foe@theirs.test");
    let by_nobody = ASKING.to_owned();
    let before = it.asking("bob").await.len();
    for (from, letter) in [
        ("you@theirs.test", without),
        ("you@theirs.test", of_list),
        ("you@theirs.test", of_two),
        ("", by_nobody),
    ] {
        assert!(it.come_in(from, "bob@t.test", &letter).await.starts_with("250 2.0.0 "), "{letter}");
        it.work().await;
    }
    assert_eq!(it.asking("bob").await.len(), before);
    assert!(it.given().is_empty(), "nothing else has gone");
}

/// Feature SND-09 (part): given to a colleague, a receipt is a letter of the post office, and is noted as one of a mail program
#[tokio::test(flavor = "multi_thread")]
async fn a_colleague_gets_a_receipt_and_sees_who_has_read() {
    let it = Town::open().await;
    it.begin(pennypost_admin::ReadStatusWish::Off).await;
    hand_in(&it.office, "ann@t.test", &["bob@t.test"], FROM_ANN).await;
    it.work().await;
    assert_eq!(it.reads().await, [None]);
    assert!(it.asking("ann").await.is_empty(), "nobody asks himself");
    let task = it.answer("bob", true).await.unwrap();
    assert_eq!(it.carry_out(&task).await.state, TaskState::Done);
    assert_eq!(it.count("ann", "INBOX").await, 1);
    let text = it.office.text("ann", "INBOX").await;
    assert!(text.contains("Final-Recipient: rfc822; bob@t.test"), "{text}");
    assert_eq!(it.reads().await, [Some(pennypost_admin::ReadState::Read)]);

    // By a group it is the member who has read it, and not the group.
    hand_in(&it.office, "ann@t.test", &["staff@t.test"], &FROM_ANN.replace("<2@", "<3@")).await;
    it.work().await;
    let task = it.answer("bob", true).await.unwrap();
    let TaskKind::Receipt { at, .. } = &task.kind else { panic!("{task:?}") };
    assert_eq!(at, "bob@t.test");
    it.carry_out(&task).await;
    assert_eq!(it.count("ann", "INBOX").await, 3);
    assert_eq!(it.reads().await, [None]);
    assert!(it.given().is_empty());
}

/// Whoever dies between what is noted and what goes leaves a receipt that comes once.
#[tokio::test(flavor = "multi_thread")]
async fn a_receipt_comes_once_whoever_dies() {
    let it = Town::open().await;
    let elsewhere = tempfile::tempdir().unwrap();
    let lost = Embedded::open(elsewhere.path(), &Options::server()).unwrap();
    // Whether the receipt was in the queue, or not yet.
    for is_sent in [true, false] {
        assert!(it.come_in("you@theirs.test", "bob@t.test", ASKING).await.starts_with("250 2.0.0 "));
        it.work().await;
        let task = it.answer("bob", true).await.unwrap();
        let control = Arc::new(Dying(it.office.backend.control(), AtomicI64::new(1)));
        let queue = if is_sent { it.office.backend.queue() } else { lost.queue() };
        let dying = it.administration_over(control, queue);
        let died = dying.work_on(it.office.tenant, task.id, Timestamp(i64::MAX)).await;
        assert!(died.is_err_and(|error| error.is_temporary()));
        assert_eq!(it.states("bob").await[0], ReceiptState::Answered);
        it.work().await;
        assert_eq!(it.given().len(), usize::from(is_sent));
        assert_eq!(it.carry_out(&task).await.state, TaskState::Done);
        assert_eq!(it.given().len(), usize::from(!is_sent));
    }
}

/// Feature SND-22: who sends nothing outside gives no receipt there
#[tokio::test(flavor = "multi_thread")]
async fn who_sends_nothing_outside_gives_no_receipt_there() {
    let it = Town::open().await;
    let bob = it.key("bob").await.account;
    let rules = SendingRules { forbidden: [SendingTarget::Account(bob)].into(), ..SendingRules::default() };
    let none = SendingRules::default();
    assert_eq!(it.office.directory.change_sending_rules(it.office.tenant, &none, &rules).await, Ok(true));
    assert!(it.come_in("you@theirs.test", "bob@t.test", ASKING).await.starts_with("250 2.0.0 "));
    it.work().await;
    assert_eq!(it.answer("bob", true).await, Err(AdminError::Conflict(Conflict::SendsInside)));
    let task = it.answer("bob", false).await.unwrap();
    assert_eq!(it.carry_out(&task).await.state, TaskState::Done);
    hand_in(&it.office, "ann@t.test", &["bob@t.test"], FROM_ANN).await;
    it.work().await;
    let task = it.answer("bob", true).await.unwrap();
    assert_eq!(it.carry_out(&task).await.state, TaskState::Done);
    assert_eq!((it.count("ann", "INBOX").await, it.given().len()), (1, 0));
}
