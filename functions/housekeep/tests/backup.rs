//! Mail that is copied into another account before it goes, and accounts that go by themselves after their time.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use pennypost_admin::{
    Administration, By, Call, Copied, Copying, FoundLetter, LetterDeed, LetterHead, LettersDone, Mail,
    MailboxCount, NamedLetter, NewBackup, RulesRan, RulesRun, RunPlace, SeenLetter, Task, TaskProblem,
    TaskState, ToCopy, Worked,
};
use pennypost_backend_embedded::{Embedded, Options};
use pennypost_directory::{BinCause, Directory, DirectoryError, Page};
use pennypost_fold::State;
use pennypost_housekeep::{Housekeep, KeptMail, Settings};
use pennypost_mailstore::compress::compress;
use pennypost_mailstore::pack::{MessagePart, PackEntry, SidecarPart};
use pennypost_mailstore::{Incoming, Mailroom, Mailstore, Prepared, names};
use pennypost_model::event::{Event, House};
use pennypost_model::journal::{Actor, Protocol};
use pennypost_model::message::Sidecar;
use pennypost_model::{AccountKey, FlagSet, MailboxId, Rid, Seq, SystemFlags, TenantId, Timestamp, Uid};
use pennypost_ports::{Clock, Consistency, Ids, PortResult, RandomIds};
use pennypost_runtime::Handler;

const DAY: i64 = 24 * 60 * 60 * 1000;
const OPERATOR: Call = Call::of_operator();

struct TestClock(AtomicI64);

#[async_trait]
impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }

    async fn sleep(&self, duration: Duration) {
        self.0.fetch_add(i64::try_from(duration.as_millis()).expect("a while"), Ordering::SeqCst);
    }
}

struct Office {
    _dir: tempfile::TempDir,
    backend: Embedded,
    clock: Arc<TestClock>,
    directory: Directory,
    it: Administration,
    store: Mailstore,
    room: Mailroom,
    tenant: TenantId,
}

impl Office {
    async fn open() -> Office {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let backend = Embedded::open(dir.path(), &Options::server()).expect("opens");
        let clock = Arc::new(TestClock(AtomicI64::new(1_795_076_130_000)));
        let ids: Arc<dyn Ids> = Arc::new(RandomIds);
        let directory = Directory::new(backend.control(), Arc::clone(&clock) as _, Arc::clone(&ids));
        let tenant = directory.add_tenant("acme").await.expect("tenant").id;
        directory.add_domain(tenant, "acme.example").await.expect("domain");
        let store =
            Mailstore::new(backend.journal(), backend.objects(), Arc::clone(&clock) as _, Arc::clone(&ids));
        let mail = KeptMail::new(store.clone(), backend.control());
        let it = Administration::new(
            directory.clone(),
            backend.control(),
            Arc::clone(&clock) as _,
            Arc::clone(&ids),
        )
        .with_tasks(backend.objects(), backend.queue())
        .upon_mail(Arc::new(mail));
        let room = Mailroom::new(store.clone());
        Office { _dir: dir, backend, clock, directory, it, store, room, tenant }
    }

    async fn account(&self, local: &str) -> AccountKey {
        let address = format!("{local}@acme.example");
        let account = self.directory.add_account(&address, "a long password", local, None).await;
        let key = account.expect("account").key;
        self.room.account(key).await.expect("journal");
        key
    }

    async fn state(&self, account: AccountKey) -> State {
        self.store.load(account, Consistency::Strong).await.expect("state")
    }

    async fn put(&self, account: AccountKey, mailbox: MailboxId, subjects: &[String], flags: FlagSet) {
        let incoming: Vec<Incoming> = subjects
            .iter()
            .map(|subject| {
                let raw = format!("Subject: {subject}\r\n\r\n{}\r\n", "hello ".repeat(50));
                let event = RandomIds.event(self.clock.now());
                Incoming::prepare(raw.as_bytes(), event, flags.clone(), Timestamp(77_000)).expect("prepares")
            })
            .collect();
        for some in incoming.chunks(200) {
            let (state, actor) = (self.state(account).await, Actor::Member(Protocol::Import));
            self.store.store(account, state, &actor, mailbox, some, |_| Ok(())).await.expect("stores");
        }
    }

    async fn make(&self, account: AccountKey, name: &str) -> MailboxId {
        let live = self.room.account(account).await.expect("account");
        let made = live.change(&Actor::Member(Protocol::Imap), |draft| draft.create_mailbox(name, None));
        made.await.expect("made").1
    }

    /// What lies in a folder: subjects with flags, in the order of their UIDs.
    async fn subjects(&self, account: AccountKey, folder: &str) -> Vec<(String, FlagSet)> {
        let state = self.state(account).await;
        let mut found = Vec::new();
        for row in state.mailbox_named(folder).expect(folder).rows.iter() {
            assert_eq!(row.internal_date, Timestamp(77_000), "{folder}");
            let message = self.store.open(account.tenant, row.blob).await.expect("opens");
            let raw = String::from_utf8(message.whole().await.expect("whole")).expect("text");
            let subject = raw.split("\r\n").next().expect("a line").trim_start_matches("Subject: ");
            found.push((subject.to_owned(), state.flags(row.flags)));
        }
        found
    }

    async fn order(&self, from: AccountKey, to: AccountKey, delete: bool) -> Task {
        let new = NewBackup { from, to: to.account, delete };
        self.it.order_backup(&OPERATOR, new, None).await.expect("ordered")
    }

    async fn work(&self, task: &Task) -> Task {
        let worked = self.it.work_on(self.tenant, task.id, Timestamp(i64::MAX)).await;
        assert_eq!(worked, Ok(Worked::Over));
        self.it.task(&OPERATOR, self.tenant, task.id).await.expect("a task")
    }

    fn house(&self) -> Housekeep {
        let (control, queue) = (self.backend.control(), self.backend.queue());
        Housekeep::new(self.store.clone(), control, queue, Settings::default()).carrying_out(self.it.clone())
    }
}

fn numbered(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("letter {number}")).collect()
}

/// Feature ORG-22: deleted directly, and erased with its mail; or backed up into a folder of another account first, as a task, by reference where both have the letter
/// Feature ORG-23 (part): recycle bin with its times: list, restore, assign, erase, convert, back up its mail; what is over is erased by itself with its mail, and stays listed as expired; there are no contacts to back up yet
#[tokio::test(flavor = "multi_thread")]
async fn an_account_is_copied_once_whatever_happens_and_erased_after_its_time() {
    let office = Office::open().await;
    let (ann, bob) = (office.account("ann").await, office.account("bob").await);
    office.put(ann, MailboxId::INBOX, &numbered(250), FlagSet::default()).await;
    let projects = office.make(ann, "Projects/X").await;
    let seen = FlagSet::system(SystemFlags::SEEN);
    office.put(ann, projects, &["deep".to_owned()], seen.clone()).await;

    // What is in use is not backed up, unless it is deleted with it.
    let in_use = NewBackup { from: ann, to: bob.account, delete: false };
    assert!(office.it.order_backup(&OPERATOR, in_use, None).await.is_err());
    let task = office.order(ann, bob, true).await;
    assert!(office.directory.account(ann).await.expect("looked").expect("there").binned.is_none());
    // Somebody copies a part and dies before he has counted it.
    let copying = Copying { from: ann, to: bob, folder: "ann@acme.example".to_owned(), room: u64::MAX };
    let mail = KeptMail::new(office.store.clone(), office.backend.control());
    let (one, other) = tokio::join!(mail.copy_some(&copying, 0), mail.copy_some(&copying, 0));
    assert_eq!((one.expect("copied").damaged, other.expect("copied").damaged), (0, 0));
    assert_eq!(office.state(bob).await.used.messages, 251, "of two at once each message comes once");
    let done = office.work(&task).await;
    assert_eq!((done.state, done.problem.clone()), (TaskState::Done, None), "{done:?}");
    assert!(office.directory.account(ann).await.expect("looked").expect("there").binned.is_some());
    let expected: Vec<_> = numbered(250).into_iter().map(|subject| (subject, FlagSet::default())).collect();
    assert_eq!(office.subjects(bob, "ann@acme.example/INBOX").await, expected);
    let deep = office.subjects(bob, "ann@acme.example/Projects/X").await;
    assert_eq!(deep, [("deep".to_owned(), seen)]);
    assert_eq!(office.state(bob).await.used.messages, 251);
    assert_eq!(office.state(bob).await.used, office.state(bob).await.recount());

    // Ordered again it adds nothing, but what has come since.
    office.put(ann, MailboxId::INBOX, &["late".to_owned()], FlagSet::default()).await;
    let again = office.order(ann, bob, false).await;
    let again = office.work(&again).await;
    assert_eq!((again.state, again.done), (TaskState::Done, 1));
    assert_eq!(office.state(bob).await.used.messages, 252);
    // What both refer to is not stored twice.
    let packs = async || office.backend.objects().list(&names::packs(office.tenant), None, 1000).await;
    let carol = office.account("carol").await;
    let to_carol = office.order(bob, carol, true).await;
    assert_eq!(office.work(&to_carol).await.done, 252);

    // After its time the account goes with its mail; what both have stays, and the row of the bin.
    let after = office.clock.0.load(Ordering::SeqCst) + 30 * DAY - 1;
    office.clock.0.store(after, Ordering::SeqCst);
    let audit = [Event::House(House::Audit(office.tenant))];
    assert_eq!(office.house().handle(audit.to_vec()).await, [Ok(Vec::new())]);
    assert!(office.directory.account(ann).await.expect("looked").is_some(), "before its time");
    let waiting = office.order(ann, carol, false).await;
    office.clock.0.fetch_add(1, Ordering::SeqCst);
    assert_eq!(office.house().handle(audit.to_vec()).await, [Ok(Vec::new())]);
    assert!(office.directory.account(ann).await.expect("looked").is_some(), "it waits for its backup");
    assert_eq!(office.work(&waiting).await.state, TaskState::Done);
    assert_eq!(office.house().handle(audit.to_vec()).await, [Ok(Vec::new())]);
    assert_eq!(office.directory.account(ann).await.expect("looked"), None);
    assert_eq!(office.state(ann).await.used.messages, 0);
    assert!(office.state(ann).await.deleted().is_empty(), "nothing of it can be restored");
    let erased = office.it.erased_accounts(&OPERATOR, office.tenant, &Page::default()).await.expect("rows");
    let row = erased.items.iter().find(|row| row.account == ann.account).expect("a row");
    assert_eq!((row.address.to_string().as_str(), row.binned.cause), ("ann@acme.example", BinCause::Deleted));
    let book =
        office.it.operations(&OPERATOR, Some(office.tenant), (None, None), 0, 100).await.expect("records").0;
    let last = book.iter().filter(|record| record.entry.action == "account.erase");
    assert!(last.clone().all(|record| record.entry.by == By::Schedule) && last.count() == 2, "{book:?}");

    // Its bytes go, what was copied of it stays.
    let before = packs().await.expect("packs").len();
    office.clock.0.fetch_add(40 * DAY, Ordering::SeqCst);
    let collect = vec![Event::House(House::CollectGarbage(office.tenant)), audit[0].clone()];
    assert_eq!(office.house().handle(collect).await, [Ok(Vec::new()), Ok(Vec::new())]);
    assert!(packs().await.expect("packs").len() < before, "the bytes of ann's mail are still there");
    assert_eq!(office.subjects(carol, "bob@acme.example/ann@acme.example/INBOX").await.len(), 251);
    // The rows go, too, at last.
    office.clock.0.fetch_add(200 * DAY, Ordering::SeqCst);
    assert_eq!(office.house().handle(audit.to_vec()).await, [Ok(Vec::new())]);
    let erased = office.it.erased_accounts(&OPERATOR, office.tenant, &Page::default()).await.expect("rows");
    assert_eq!(erased.items, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_no_room_is_refused_before_anything_is_done() {
    let office = Office::open().await;
    let (ann, bob) = (office.account("ann").await, office.account("bob").await);
    office.put(ann, MailboxId::INBOX, &numbered(20), FlagSet::default()).await;
    let needed = office.state(ann).await.used.bytes;
    office.directory.set_quota(bob, needed - 1).await.expect("a quota");
    let task = office.order(ann, bob, true).await;
    let done = office.work(&task).await;
    let problem = TaskProblem::NoRoom { needed, free: needed - 1 };
    assert_eq!((done.state, done.problem), (TaskState::Failed, Some(problem.clone())));
    assert!(problem.messages()[0].contains(&needed.to_string()), "{:?}", problem.messages());
    assert_eq!(office.state(bob).await.used.messages, 0);
    assert!(office.directory.account(ann).await.expect("looked").expect("there").binned.is_none());
    // What comes meanwhile may fill it: then it ends there, and is gone on with when there is room.
    office.directory.set_quota(bob, needed).await.expect("a quota");
    let copying = Copying { from: ann, to: bob, folder: "x".to_owned(), room: needed - 1 };
    let mail = KeptMail::new(office.store.clone(), office.backend.control());
    assert!(mail.copy_some(&copying, 0).await.expect("tried").is_full);
    let task = office.order(ann, bob, true).await;
    assert_eq!(office.work(&task).await.state, TaskState::Done);
    assert_eq!(office.state(bob).await.used.messages, 20);
}

/// What was found out when a letter came goes with it.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_added_at_receipt_is_copied() {
    let office = Office::open().await;
    let (ann, bob) = (office.account("ann").await, office.account("bob").await);
    let raw = b"Subject: from afar\r\n\r\nhello\r\n";
    let (structure, facts) = pennypost_mime::parse(raw);
    let receipt = "Received: from afar.example\r\nAuthentication-Results: here; spf=fail\r\n".to_owned();
    let sidecar = Sidecar { structure, facts: facts.clone(), receipt: receipt.clone() };
    let message = compress(raw).expect("compresses");
    let (event, owners) = (RandomIds.event(office.clock.now()), vec![ann.account]);
    let (sidecar, message) = (SidecarPart::Plain(&sidecar), MessagePart::Stored(&message));
    let entry = PackEntry { event, owners, sidecar, message };
    let blob = office.store.put_pack(office.tenant, &[entry]).await.expect("packed")[0];
    let prepared = Prepared::there(ann, blob, facts, raw.len() as u64);
    let incoming = [Incoming::new(prepared, event, FlagSet::default(), Timestamp(77_000))];
    let (state, actor) = (office.state(ann).await, Actor::Delivery);
    let storing = office.store.store(ann, state, &actor, MailboxId::INBOX, &incoming, |_| Ok(()));
    storing.await.expect("stored");
    let task = office.order(ann, bob, true).await;
    assert_eq!(office.work(&task).await.done, 1);
    let state = office.state(bob).await;
    let copy = state.mailbox_named("ann@acme.example/INBOX").expect("there").rows.at(0).map(|row| row.blob);
    let copy = copy.filter(|copy| *copy != blob).expect("a copy of its own");
    let opened = office.store.open(office.tenant, copy).await.expect("opens");
    assert_eq!(opened.sidecar().await.expect("there").receipt, receipt);
}

/// What somebody does to the account while its mail is copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Meddling {
    Restored,
    DeletedAgain,
    Erased,
}

/// The mail of the office, of whose first slice somebody takes the account out of the bin, or has it erased.
struct Meddled {
    mail: KeptMail,
    directory: Directory,
    clock: Arc<TestClock>,
    meddling: Meddling,
}

#[async_trait]
impl Mail for Meddled {
    async fn look(&self, copying: &Copying) -> PortResult<ToCopy> {
        self.mail.look(copying).await
    }

    async fn copy_some(&self, copying: &Copying, after: u32) -> PortResult<Copied> {
        self.clock.0.fetch_add(1, Ordering::SeqCst);
        match self.meddling {
            Meddling::Erased => {
                self.directory.begin_erasing(copying.from).await.expect("begun");
                while self.mail.erase_some(copying.from).await? {}
            }
            meddling => {
                self.directory.restore_account(copying.from).await.expect("restored");
                if meddling == Meddling::DeletedAgain {
                    self.directory.bin_account(copying.from, BinCause::Deleted).await.expect("binned");
                }
            }
        }
        self.mail.copy_some(copying, after).await
    }

    async fn erase_some(&self, account: AccountKey) -> PortResult<bool> {
        self.mail.erase_some(account).await
    }

    async fn newest(&self, account: AccountKey) -> PortResult<Seq> {
        self.mail.newest(account).await
    }

    async fn do_to_letters(
        &self,
        account: AccountKey,
        at: Seq,
        letters: &[NamedLetter],
        deed: LetterDeed,
    ) -> PortResult<LettersDone> {
        self.mail.do_to_letters(account, at, letters, deed).await
    }

    async fn letters_after(
        &self,
        account: AccountKey,
        letters: &[NamedLetter],
        deed: LetterDeed,
    ) -> PortResult<u64> {
        self.mail.letters_after(account, letters, deed).await
    }

    async fn junk_letters(
        &self,
        account: AccountKey,
        times: (Timestamp, Timestamp),
        limit: usize,
    ) -> PortResult<(Vec<SeenLetter>, usize)> {
        self.mail.junk_letters(account, times, limit).await
    }

    async fn counts(&self, account: AccountKey) -> PortResult<Vec<MailboxCount>> {
        self.mail.counts(account).await
    }

    async fn run_rules(&self, run: &RulesRun, place: Option<RunPlace>) -> PortResult<Option<RulesRan>> {
        self.mail.run_rules(run, place).await
    }

    async fn letter(&self, account: AccountKey, folder: &str, uid: Uid) -> PortResult<Option<FoundLetter>> {
        self.mail.letter(account, folder, uid).await
    }

    async fn put_into_junk(&self, account: AccountKey, letter: Rid) -> PortResult<bool> {
        self.mail.put_into_junk(account, letter).await
    }

    async fn receipts(
        &self,
        account: AccountKey,
        letters: &[Rid],
    ) -> PortResult<std::collections::BTreeMap<Rid, bool>> {
        self.mail.receipts(account, letters).await
    }

    async fn letter_head(&self, account: AccountKey, letter: Rid) -> PortResult<Option<LetterHead>> {
        self.mail.letter_head(account, letter).await
    }

    async fn note_receipt(&self, account: AccountKey, letter: Rid) -> PortResult<bool> {
        self.mail.note_receipt(account, letter).await
    }

    async fn seen(
        &self,
        account: AccountKey,
        messages: &[Rid],
    ) -> PortResult<std::collections::BTreeMap<Rid, bool>> {
        self.mail.seen(account, messages).await
    }

    async fn newest_letters(&self, account: AccountKey, limit: usize) -> PortResult<Vec<SeenLetter>> {
        self.mail.newest_letters(account, limit).await
    }
}

/// A backup knows that its account is not where it was: it neither goes on, nor says of what is gone that it was copied.
#[tokio::test(flavor = "multi_thread")]
async fn a_backup_ends_where_its_account_leaves_the_bin_or_is_erased() {
    let mut office = Office::open().await;
    let bob = office.account("bob").await;
    for (name, meddling) in
        [("ann", Meddling::Restored), ("cleo", Meddling::DeletedAgain), ("dora", Meddling::Erased)]
    {
        let key = office.account(name).await;
        office.put(key, MailboxId::INBOX, &numbered(20), FlagSet::default()).await;
        let mail = KeptMail::new(office.store.clone(), office.backend.control());
        let (directory, clock) = (office.directory.clone(), Arc::clone(&office.clock));
        office.it = office.it.clone().upon_mail(Arc::new(Meddled { mail, directory, clock, meddling }));
        let task = office.order(key, bob, true).await;
        let done = office.work(&task).await;
        let expected = (TaskState::Failed, Some(TaskProblem::NoSource));
        assert_eq!((done.state, done.problem), expected, "{meddling:?}");
        let account = office.directory.account(key).await.expect("looked").expect("there");
        assert_eq!(account.binned.is_some(), meddling != Meddling::Restored, "nobody puts it there again");
        if meddling == Meddling::Erased {
            // Whatever the clock of whoever wants it back says.
            office.clock.0.fetch_sub(DAY, Ordering::SeqCst);
            let back = office.directory.restore_account(key).await;
            assert!(matches!(back, Err(DirectoryError::BinOver(_))), "{back:?}");
            let new = NewBackup { from: key, to: bob.account, delete: false };
            assert!(office.it.order_backup(&OPERATOR, new, None).await.is_err());
            office.clock.0.fetch_add(DAY, Ordering::SeqCst);
        }
    }
}

/// However many tasks were ordered after it.
#[tokio::test(flavor = "multi_thread")]
async fn no_account_is_erased_while_it_waits_for_its_backup() {
    let office = Office::open().await;
    let (ann, bob) = (office.account("ann").await, office.account("bob").await);
    office.put(ann, MailboxId::INBOX, &numbered(3), FlagSet::default()).await;
    office.directory.bin_account(ann, BinCause::Deleted).await.expect("binned");
    let waiting = office.order(ann, bob, false).await;
    let cleo = office.account("cleo").await;
    office.directory.bin_account(cleo, BinCause::Deleted).await.expect("binned");
    for _ in 0..210 {
        office.clock.0.fetch_add(1, Ordering::SeqCst);
        let task = office.order(cleo, bob, false).await;
        assert_eq!(office.work(&task).await.state, TaskState::Done);
    }
    assert_eq!(office.it.waiting_for_backup(office.tenant).await, Ok(vec![ann.account]));
    office.clock.0.fetch_add(31 * DAY, Ordering::SeqCst);
    let now = office.clock.now();
    let emptied = office.it.empty_recycle_bin(office.tenant, now.plus_millis(1)).await;
    assert_eq!(emptied, Ok(Worked::Over));
    assert_eq!(office.state(ann).await.used.messages, 3);
    let ended = office.work(&waiting).await.state;
    assert!(ended.is_over());
    assert_eq!(office.it.empty_recycle_bin(office.tenant, now.plus_millis(1)).await, Ok(Worked::Over));
    assert_eq!(office.directory.account(ann).await.expect("looked"), None);
}

/// A letter that both have lies in one pack, whose owners both are: the copy refers to it, too.
#[tokio::test(flavor = "multi_thread")]
async fn what_both_have_is_copied_by_reference() {
    let office = Office::open().await;
    let (ann, bob) = (office.account("ann").await, office.account("bob").await);
    let raw = b"Subject: to both\r\n\r\nhello\r\n";
    let (structure, facts) = pennypost_mime::parse(raw);
    let sidecar = Sidecar { structure, facts, receipt: String::new() };
    let message = compress(raw).expect("compresses");
    let event = RandomIds.event(office.clock.now());
    let owners = vec![ann.account, bob.account];
    let (sidecar, message) = (SidecarPart::Plain(&sidecar), MessagePart::Stored(&message));
    let entry = PackEntry { event, owners, sidecar, message };
    let blob = office.store.put_pack(office.tenant, &[entry]).await.expect("packed")[0];
    for account in [ann, bob] {
        let facts = pennypost_mime::parse(raw).1;
        let prepared = Prepared::there(account, blob, facts, raw.len() as u64);
        let incoming = [Incoming::new(prepared, event, FlagSet::default(), Timestamp(77_000))];
        let (state, actor) = (office.state(account).await, Actor::Delivery);
        office
            .store
            .store(account, state, &actor, MailboxId::INBOX, &incoming, |_| Ok(()))
            .await
            .expect("stored");
    }
    let first = office.order(ann, bob, true).await;
    assert_eq!(office.work(&first).await.done, 1);
    let state = office.state(bob).await;
    let copy = state.mailbox_named("ann@acme.example/INBOX").expect("there").rows.at(0).map(|row| row.blob);
    assert_eq!(copy, Some(blob));
    assert_eq!(office.subjects(bob, "ann@acme.example/INBOX").await[0].0, "to both");
}
