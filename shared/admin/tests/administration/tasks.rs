//! Long operations as tasks: killed at each write, worked on by two at once, cancelled, forbidden, forgotten.
//!
//! Feature LOG-08: imports and exports over the API are kept for 180 days with who ordered them, how far they have come and which rows were refused

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::memory::{Death, House, Memory};
use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::Mutex;
use pennypost_admin::{
    AdminError, Administration, Call, Conflict, Holder, Invalid, NewExport, NewImport, NewKey, Origin,
    Outcome, Permission, Task, TaskCounts, TaskProblem, TaskState, Worked,
};
use pennypost_directory::{AccountState, Directory, Page, Plan};
use pennypost_model::event::{Event, House as HouseWork, Stage};
use pennypost_model::{TaskId, TenantId, Timestamp, codec};
use pennypost_organisation::Kind;
use pennypost_ports::{
    Control, Created, DeadLetter, DeadLetterId, Depth, Etag, ObjectInfo, Objects, Outgoing, PortError,
    PortResult, Queue, RandomIds, Receipt, Received, Replaced,
};
use pennypost_text::Lang;

const OPERATOR: Call = Call::of_operator();
const DAY: i64 = 86_400_000;

const PEOPLE: &str = "address,name,department,aliases,state\n\
    ann@acme.example,Ann,Research/Compilers,a@acme.example; an@acme.example,\n\
    bob@acme.example,Bob,Research,,disabled\n\
    cyd@acme.example,Cyd,,,\n\
    old@acme.example,Another,,,\n\
    x@other.example,Elsewhere,,,\n\
    =1+1,Formula,,,\n";

const GROUPS: &str = "address,name,members,senders\n\
    outer@acme.example,Outer,inner@acme.example; old@acme.example,inside\n\
    inner@acme.example,Inner,old@acme.example,\n\
    ring@acme.example,Ring,ring@acme.example,\n";

/// Objects in memory, and the queue of housekeeping.
#[derive(Default)]
struct Shop {
    objects: Mutex<BTreeMap<String, (Bytes, Timestamp)>>,
    sent: Mutex<Vec<Event>>,
    /// Nothing is put, deleted or sent.
    is_closed: Mutex<bool>,
    /// Nothing is put.
    is_full: Mutex<bool>,
    /// Nothing is sent.
    is_mute: Mutex<bool>,
    now: Mutex<i64>,
}

impl Shop {
    fn check(&self) -> PortResult<()> {
        if *self.is_closed.lock() {
            return Err(PortError::Unavailable { port: "shop", cause: "closed".to_owned() });
        }
        Ok(())
    }

    fn names(&self) -> Vec<String> {
        self.objects.lock().keys().cloned().collect()
    }
}

#[async_trait]
impl Objects for Shop {
    async fn put_unique(&self, name: &str, bytes: Bytes) -> PortResult<Created> {
        self.check()?;
        if *self.is_full.lock() {
            return Err(PortError::Unavailable { port: "shop", cause: "full".to_owned() });
        }
        let mut objects = self.objects.lock();
        if objects.contains_key(name) {
            return Ok(Created::Exists);
        }
        objects.insert(name.to_owned(), (bytes, Timestamp(*self.now.lock())));
        Ok(Created::Stored)
    }

    async fn get(&self, name: &str) -> PortResult<(Bytes, Etag)> {
        let found = self.objects.lock().get(name).map(|(bytes, _)| bytes.clone());
        let missing = || PortError::NotFound { port: "shop", what: name.to_owned() };
        found.map(|bytes| (bytes, Etag(String::new()))).ok_or_else(missing)
    }

    async fn get_range(&self, _: &str, _: u64, _: u64) -> PortResult<Bytes> {
        unreachable!("tasks read whole objects")
    }

    async fn put_if_match(&self, _: &str, _: Bytes, _: &Etag) -> PortResult<Replaced> {
        unreachable!("tasks replace nothing")
    }

    async fn delete(&self, name: &str) -> PortResult<()> {
        self.check()?;
        self.objects.lock().remove(name);
        Ok(())
    }

    async fn list(&self, prefix: &str, after: Option<&str>, limit: usize) -> PortResult<Vec<ObjectInfo>> {
        let objects = self.objects.lock();
        let found = objects
            .iter()
            .filter(|(name, _)| name.starts_with(prefix) && after.is_none_or(|after| name.as_str() > after));
        let shown = |(name, (bytes, modified)): (&String, &(Bytes, Timestamp))| ObjectInfo {
            name: name.clone(),
            size: bytes.len() as u64,
            modified: *modified,
        };
        Ok(found.take(limit).map(shown).collect())
    }
}

#[async_trait]
impl Queue for Shop {
    async fn send_batch(&self, stage: Stage, messages: Vec<Outgoing>) -> Vec<PortResult<()>> {
        let send = |message: Outgoing| {
            self.check()?;
            if *self.is_mute.lock() {
                return Err(PortError::Unavailable { port: "shop", cause: "mute".to_owned() });
            }
            self.sent.lock().push(Event::read(stage, &message.body).expect("an event"));
            Ok(())
        };
        messages.into_iter().map(send).collect()
    }

    async fn receive(&self, _: Stage, _: usize, _: Duration, _: Duration) -> PortResult<Vec<Received>> {
        unreachable!("administration only sends")
    }

    async fn ack(&self, _: Stage, _: &[Receipt]) -> PortResult<()> {
        unreachable!("administration only sends")
    }

    async fn retry_later(&self, _: Stage, _: &Receipt, _: Duration) -> PortResult<()> {
        unreachable!("administration only sends")
    }

    async fn dead_letter(&self, _: Stage, _: &Receipt, _: &str) -> PortResult<()> {
        unreachable!("administration only sends")
    }

    async fn dead_letters(&self, _: Option<DeadLetterId>, _: usize) -> PortResult<Vec<DeadLetter>> {
        unreachable!("administration only sends")
    }

    async fn replay_dead_letter(&self, _: DeadLetterId) -> PortResult<bool> {
        unreachable!("administration only sends")
    }

    async fn discard_dead_letter(&self, _: DeadLetterId) -> PortResult<bool> {
        unreachable!("administration only sends")
    }

    async fn depth(&self, _: Stage) -> PortResult<Depth> {
        unreachable!("administration only sends")
    }
}

struct Bench {
    house: House,
    shop: Arc<Shop>,
    tenant: TenantId,
    it: Administration,
}

impl Bench {
    /// With the tenant acme, in which there is old@acme.example.
    async fn open() -> Bench {
        let (house, tenant) = House::with_acme().await;
        house.directory.add_account_with(&named("old@acme.example")).await.expect("account");
        let shop: Arc<Shop> = Arc::default();
        *shop.now.lock() = house.clock_now();
        let it = process(&house, &shop, Memory::new(&house.disk));
        Bench { house, shop, tenant, it }
    }

    fn dying(&self, writes: i64, death: Death) -> Administration {
        process(&self.house, &self.shop, Memory::dying(&self.house.disk, writes, death))
    }

    fn soon(&self) -> Timestamp {
        Timestamp(self.house.clock_now() + 30_000)
    }

    async fn import(&self, text: &str) -> Task {
        self.it.order_import(&OPERATOR, self.tenant, of(text), None).await.expect("ordered")
    }

    /// Works until it is over; how often.
    async fn finish(&self, id: TaskId) -> usize {
        for times in 1..100 {
            if self.it.work_on(self.tenant, id, self.soon()).await.expect("works") == Worked::Over {
                return times;
            }
        }
        panic!("it never ends");
    }

    async fn task(&self, id: TaskId) -> Task {
        self.it.task(&OPERATOR, self.tenant, id).await.expect("a task")
    }

    async fn result(&self, id: TaskId) -> String {
        let (mut text, mut after) = (String::new(), 0);
        loop {
            let read = self.it.task_result(&OPERATOR, self.tenant, id, after).await.expect("a result");
            text.push_str(&read.0);
            let Some(next) = read.1 else { return text };
            after = next;
        }
    }

    /// Everybody, with what the tables say of them.
    async fn people(&self) -> Vec<String> {
        let directory = &self.house.directory;
        let tree = directory.departments(self.tenant).await.expect("departments");
        let mut people = Vec::new();
        for account in directory.accounts(self.tenant, &Page::default()).await.expect("accounts").items {
            let mut aliases: Vec<String> = directory
                .aliases_of(account.key)
                .await
                .expect("aliases")
                .iter()
                .map(ToString::to_string)
                .collect();
            aliases.sort();
            let departments: Vec<String> =
                account.departments.iter().map(|id| tree.path(*id).join("/")).collect();
            let state = if account.state == AccountState::Active { "" } else { " disabled" };
            people.push(format!("{} {departments:?} {aliases:?}{state}", account.address));
        }
        people.sort();
        people
    }

    async fn groups(&self) -> Vec<String> {
        let groups = self.house.directory.groups(self.tenant, &Page::default()).await.expect("groups").items;
        let mut groups: Vec<String> =
            groups.iter().map(|group| format!("{} {}", group.address, group.members.len())).collect();
        groups.sort();
        groups
    }
}

fn process(house: &House, shop: &Arc<Shop>, memory: Memory) -> Administration {
    let control: Arc<dyn Control> = Arc::new(memory);
    let (clock, ids) = (Arc::clone(&house.clock), Arc::new(RandomIds));
    let directory = Directory::new(Arc::clone(&control), Arc::clone(&clock) as _, Arc::clone(&ids) as _);
    let it = Administration::new(directory, control, clock, ids);
    it.with_tasks(Arc::clone(shop) as _, Arc::clone(shop) as _)
}

fn named(address: &str) -> pennypost_directory::NewAccount<'_> {
    pennypost_directory::NewAccount { address, ..pennypost_directory::NewAccount::default() }
}

fn of(text: &str) -> NewImport {
    NewImport { file: "table.csv".to_owned(), bytes: text.as_bytes().to_vec(), ..NewImport::default() }
}

fn imported() -> TaskCounts {
    TaskCounts { departments: 2, people: 3, groups: 0, skipped: 0, refused: 3 }
}

fn everybody() -> [&'static str; 4] {
    [
        "ann@acme.example [\"Research/Compilers\"] [\"a@acme.example\", \"an@acme.example\"]",
        "bob@acme.example [\"Research\"] [] disabled",
        "cyd@acme.example [] []",
        "old@acme.example [] []",
    ]
}

#[tokio::test]
async fn an_import_is_a_task_with_progress_and_a_result_in_both_languages() {
    let bench = Bench::open().await;
    let ordered = bench.import(PEOPLE).await;
    assert_eq!((ordered.state, ordered.done, ordered.total), (TaskState::Queued, 0, None));
    let sent = [Event::House(HouseWork::Task(bench.tenant, ordered.id))];
    assert_eq!(*bench.shop.sent.lock(), sent);
    let unread = bench.it.task_result(&OPERATOR, bench.tenant, ordered.id, 0).await;
    assert_eq!(unread, Err(AdminError::Conflict(Conflict::NoResult)));

    // The first step alone: then its time is over.
    let now = Timestamp(bench.house.clock_now());
    assert_eq!(bench.it.work_on(bench.tenant, ordered.id, now).await, Ok(Worked::More));
    let begun = bench.task(ordered.id).await;
    assert_eq!((begun.state, begun.done, begun.total), (TaskState::Running, 1, Some(6)));
    assert_eq!((begun.counts.departments, begun.counts.refused), (2, 1));
    assert_eq!(bench.people().await.len(), 1);

    assert_eq!(bench.finish(ordered.id).await, 1);
    let done = bench.task(ordered.id).await;
    assert_eq!((done.state, done.done, done.total), (TaskState::Done, 6, Some(6)));
    assert_eq!((done.counts, &done.problem), (imported(), &None));
    assert_eq!(bench.people().await, everybody());
    assert_eq!(
        bench.result(ordered.id).await,
        "\u{feff}file,line,reason,原因\n\
         table.csv,7,“=1+1” is a formula,“=1+1”是公式\n\
         table.csv,5,\"the address old@acme.example is taken by an account, alias or group\",\
         地址 old@acme.example 已被账号、别名或邮件组占用\n\
         table.csv,6,there is no domain other.example,没有域名 other.example\n"
    );
    assert!(!bench.shop.names().iter().any(|name| name.ends_with("input")), "passwords may stand in it");
    // An event that comes again finds nothing to do.
    assert_eq!(bench.it.work_on(bench.tenant, ordered.id, bench.soon()).await, Ok(Worked::Over));
    assert_eq!(bench.task(ordered.id).await, done);
    let listed = bench.it.tasks(&OPERATOR, bench.tenant, &Page::default()).await.expect("listed");
    assert_eq!(listed.items, [done]);
}

#[tokio::test]
async fn a_dry_run_changes_nothing_and_says_what_would_be() {
    let bench = Bench::open().await;
    let new = NewImport { dry_run: true, ..of(PEOPLE) };
    let task = bench.it.order_import(&OPERATOR, bench.tenant, new, None).await.expect("ordered");
    bench.finish(task.id).await;
    let done = bench.task(task.id).await;
    assert_eq!((done.state, done.counts), (TaskState::Done, imported()));
    assert_eq!(bench.people().await, ["old@acme.example [] []"]);
    assert!(bench.house.directory.departments(bench.tenant).await.expect("departments").is_empty());
}

/// Rows beyond the seats of the plan are refused, and nobody is told of commands that he can't give.
#[tokio::test]
async fn rows_without_a_seat_are_refused() {
    let bench = Bench::open().await;
    let directory = &bench.house.directory;
    let basic = |seats| Plan { seats: Some(seats), ..Plan::basic() };
    assert_eq!(directory.set_plan(bench.tenant, None, &basic(2)).await, Ok(true));
    let table = "address,name\nann@acme.example,Ann\nbob@acme.example,Bob\n";
    let task = bench.import(table).await;
    bench.finish(task.id).await;
    let one_of_two = TaskCounts { people: 1, refused: 1, ..TaskCounts::default() };
    let done = bench.task(task.id).await;
    assert_eq!((done.state, done.counts), (TaskState::Done, one_of_two));
    let result = bench.result(task.id).await;
    assert!(result.contains("all 2 accounts that the organisation’s plan allows are there"), "{result}");
    assert!(result.contains("组织套餐的 2 个账号名额已用完") && !result.contains("pennypost"), "{result}");
    assert_eq!(directory.check_seats(bench.tenant).await, Ok(None));
    assert_eq!(bench.people().await.len(), 2);

    let set = directory.tenant(bench.tenant).await.expect("tenant").expect("tenant").plan;
    assert_eq!(directory.set_plan(bench.tenant, set.as_ref(), &basic(3)).await, Ok(true));
    let new = NewImport { skip_existing: true, ..of(table) };
    let again = bench.it.order_import(&OPERATOR, bench.tenant, new, None).await.expect("ordered");
    bench.finish(again.id).await;
    let one_was_there = TaskCounts { people: 1, skipped: 1, ..TaskCounts::default() };
    assert_eq!(bench.task(again.id).await.counts, one_was_there);
    assert_eq!(directory.check_seats(bench.tenant).await, Ok(None));
}

/// Killed at any write, before or after it, an import that is gone on with adds everything once and counts it once.
#[tokio::test]
async fn killed_anywhere_it_goes_on_and_doubles_nothing() {
    for (table, counts, groups) in [
        (PEOPLE, imported(), &[][..]),
        (
            GROUPS,
            TaskCounts { groups: 2, refused: 1, ..TaskCounts::default() },
            &["inner@acme.example 1", "outer@acme.example 2"][..],
        ),
    ] {
        let whole = {
            let bench = Bench::open().await;
            let task = bench.import(table).await;
            bench.finish(task.id).await;
            bench.result(task.id).await
        };
        for death in [Death::BeforeWrite, Death::AfterWrite] {
            let mut died = 0;
            loop {
                let bench = Bench::open().await;
                let id = bench.import(table).await.id;
                let dying = bench.dying(died, death);
                let worked = dying.work_on(bench.tenant, id, bench.soon()).await;
                bench.finish(id).await;
                let shown = format!("{death:?} {died}");
                let done = bench.task(id).await;
                assert_eq!((done.state, done.counts), (TaskState::Done, counts), "{shown}");
                assert_eq!(Some(done.done), done.total, "{shown}");
                assert_eq!(bench.result(id).await, whole, "{shown}");
                assert_eq!(bench.groups().await, groups, "{shown}");
                if table == PEOPLE {
                    assert_eq!(bench.people().await, everybody(), "{shown}");
                }
                assert!(!bench.shop.names().iter().any(|name| name.ends_with("input")), "{shown}");
                if worked.is_ok() {
                    break;
                }
                died += 1;
            }
            assert!(died > 10, "only {died} deaths: the test tests nothing");
        }
    }
}

/// Two that work on one task at once, and one of them dies.
#[tokio::test]
async fn two_at_once_double_nothing() {
    for writes in (0..120).step_by(3) {
        let bench = Bench::open().await;
        let id = bench.import(PEOPLE).await.id;
        let other = bench.dying(writes, Death::AfterWrite);
        let (one, two) = tokio::join!(
            bench.it.work_on(bench.tenant, id, bench.soon()),
            other.work_on(bench.tenant, id, bench.soon()),
        );
        assert!(one.is_ok(), "{one:?}");
        if two.is_err() {
            // Its event comes again.
            bench.finish(id).await;
        }
        let done = bench.task(id).await;
        assert_eq!((done.state, done.counts), (TaskState::Done, imported()), "{writes}");
        assert_eq!((done.done, done.total), (6, Some(6)), "{writes}");
        assert_eq!(bench.people().await, everybody(), "{writes}");
        assert_eq!(bench.result(id).await.lines().count(), 4, "{writes}");
    }
}

#[tokio::test]
async fn a_task_is_cancelled_before_its_next_step() {
    let bench = Bench::open().await;
    let queued = bench.import(PEOPLE).await.id;
    // Its event may have been lost: the file goes at once.
    let cancelled = bench.it.cancel_task(&OPERATOR, bench.tenant, queued).await.expect("cancelled");
    assert_eq!(cancelled.state, TaskState::Cancelled);
    assert_eq!(bench.shop.names(), [""; 0]);
    bench.finish(queued).await;

    let running = bench.import(PEOPLE).await.id;
    let now = Timestamp(bench.house.clock_now());
    assert_eq!(bench.it.work_on(bench.tenant, running, now).await, Ok(Worked::More));
    bench.shop.sent.lock().clear();
    let stopped = bench.it.cancel_task(&OPERATOR, bench.tenant, running).await.expect("cancelled");
    assert_eq!((stopped.state, stopped.is_cancelled), (TaskState::Running, true));
    assert_eq!(*bench.shop.sent.lock(), [Event::House(HouseWork::Task(bench.tenant, running))]);
    bench.finish(running).await;
    let over = bench.task(running).await;
    assert_eq!((over.state, over.done, over.counts.departments), (TaskState::Cancelled, 1, 2));
    assert_eq!(bench.people().await.len(), 1);
    let again = bench.it.cancel_task(&OPERATOR, bench.tenant, running).await;
    assert_eq!(again, Err(AdminError::Conflict(Conflict::TaskOver)));
    assert_eq!(
        bench.it.cancel_task(&OPERATOR, bench.tenant, TaskId(1)).await,
        Err(AdminError::NotFound("task"))
    );
}

/// What is taken away from whoever ordered it is gone for what is under way, too.
#[tokio::test]
async fn whoever_may_no_longer_do_it_does_not_go_on() {
    let bench = Bench::open().await;
    let permissions = ["members:write", "groups:read"].map(|text| text.parse::<Permission>().expect("one"));
    let new = NewKey {
        name: "hr".to_owned(),
        holder: Holder::Program,
        permissions: permissions.into_iter().collect(),
        expires: None,
    };
    let (key, secret) = bench.it.add_key(&OPERATOR, Some(bench.tenant), new).await.expect("a key");
    let actor = bench.it.authenticate(&secret).await.expect("a key");
    let call = Call { actor, origin: Origin::Api(None) };
    // Groups take more than members.
    let refused = bench.it.order_import(&call, bench.tenant, of(GROUPS), None).await;
    assert!(matches!(refused, Err(AdminError::Denied(_))), "{refused:?}");
    let task = bench.it.order_import(&call, bench.tenant, of(PEOPLE), None).await.expect("ordered");
    bench.it.revoke_key(&OPERATOR, Some(bench.tenant), key.id).await.expect("revoked");
    bench.finish(task.id).await;
    let failed = bench.task(task.id).await;
    assert_eq!((failed.state, failed.problem), (TaskState::Failed, Some(TaskProblem::NotPermitted)));
    assert_eq!(bench.people().await.len(), 1);
    let all = (None, None);
    let (records, _) =
        bench.it.operations(&OPERATOR, Some(bench.tenant), all, 0, 100).await.expect("the log");
    let of_task: Vec<&Outcome> = records
        .iter()
        .filter(|record| record.entry.action == "organisation.import")
        .map(|record| &record.entry.outcome)
        .collect();
    assert!(matches!(of_task[..], [Outcome::Ordered, Outcome::Failed { .. }]), "{of_task:?}");
}

#[tokio::test]
async fn the_same_order_is_one_task() {
    let bench = Bench::open().await;
    let order =
        async |once: u8| bench.it.order_import(&OPERATOR, bench.tenant, of(PEOPLE), Some([once; 32])).await;
    let first = order(1).await.expect("ordered");
    assert_eq!(order(1).await.expect("again").id, first.id);
    assert_ne!(order(2).await.expect("another").id, first.id);
    for once in 3..=20 {
        order(once).await.expect("ordered");
    }
    assert_eq!(order(21).await, Err(AdminError::Invalid(Invalid::TooMany { limit: 20 })));
    assert_eq!(order(1).await.expect("again").id, first.id);
    // What can't be put down is no task, and the log says that it failed.
    bench.finish(first.id).await;
    *bench.shop.is_closed.lock() = true;
    assert!(order(22).await.is_err());
    *bench.shop.is_closed.lock() = false;
    let checked = bench.it.check_operations(Some(bench.tenant)).await.expect("reads");
    assert_eq!((checked.records, checked.wrong.len()), (22, 0));
}

/// Whoever hears that an order failed orders it again: then it must not be carried out, too.
#[tokio::test]
async fn an_order_of_which_nobody_can_be_told_is_taken_back() {
    let bench = Bench::open().await;
    let order = async || bench.it.order_import(&OPERATOR, bench.tenant, of(PEOPLE), Some([1; 32])).await;
    *bench.shop.is_mute.lock() = true;
    assert!(matches!(order().await, Err(AdminError::Directory(_))));
    *bench.shop.is_mute.lock() = false;
    assert_eq!(bench.shop.names(), [""; 0]);
    bench.house.clock.advance(2 * DAY);
    assert!(bench.it.sweep_tasks(bench.tenant).await.expect("sweeps").idle.is_empty());
    let again = order().await.expect("ordered");
    bench.finish(again.id).await;
    assert_eq!(bench.task(again.id).await.counts, imported());
    // Another order with the same key is another task.
    let other = NewImport { dry_run: true, ..of(PEOPLE) };
    let other = bench.it.order_import(&OPERATOR, bench.tenant, other, Some([1; 32])).await.expect("ordered");
    assert_ne!(other.id, again.id);
}

/// What fails again and again ends, its file is gone, and the log tells.
#[tokio::test]
async fn what_can_not_be_carried_out_is_given_up() {
    let bench = Bench::open().await;
    let full = bench.import(PEOPLE).await.id;
    *bench.shop.is_full.lock() = true;
    let mut tries = 0;
    while bench.it.work_on(bench.tenant, full, bench.soon()).await != Ok(Worked::Over) {
        tries += 1;
        assert!(tries < 100, "it never ends");
    }
    *bench.shop.is_full.lock() = false;
    assert_eq!(tries, 20);
    let slow = bench.import(PEOPLE).await.id;
    bench.house.clock.advance(8 * DAY);
    bench.finish(slow).await;
    let broken = bench.import(PEOPLE).await.id;
    let tree = pennypost_ports::ControlKey::new(format!("{}/departments", bench.tenant), "tree");
    let disk = Memory::new(&bench.house.disk);
    disk.put_if(&tree, b"\xff\xff\xff", pennypost_ports::Expected::Any).await.expect("damaged");
    assert_eq!(bench.it.work_on(bench.tenant, broken, bench.soon()).await, Ok(Worked::Over));
    for (id, problem) in
        [(full, TaskProblem::GivenUp), (slow, TaskProblem::GivenUp), (broken, TaskProblem::Broken)]
    {
        let task = bench.task(id).await;
        assert_eq!((task.state, task.problem), (TaskState::Failed, Some(problem)));
    }
    assert_eq!(bench.shop.names(), [""; 0]);
    let all = (None, None);
    let (records, _) =
        bench.it.operations(&OPERATOR, Some(bench.tenant), all, 0, 100).await.expect("the log");
    let failed = records.iter().filter(|record| matches!(record.entry.outcome, Outcome::Failed { .. }));
    assert_eq!(failed.count(), 3);
}

/// Of another tenant's domains and addresses nobody learns that they are there.
#[tokio::test]
async fn what_is_another_tenants_is_as_what_is_nobodys() {
    let bench = Bench::open().await;
    let directory = &bench.house.directory;
    let other = directory.add_tenant("other").await.expect("tenant").id;
    directory.add_domain(other, "taken.example").await.expect("domain");
    directory.add_account_with(&named("olga@taken.example")).await.expect("account");
    let people: fn(&str) -> String =
        |domain| format!("address,aliases\nolga@{domain},\nnew@{domain},\nmine@acme.example,olga@{domain}\n");
    let groups: fn(&str) -> String = |domain| {
        format!("address,members\nolga@{domain},old@acme.example\ng-{domain}@acme.example,eve@{domain}\n")
    };
    // A group may lead to anybody elsewhere.
    for (table, refused) in [(people, 3), (groups, 1)] {
        for dry_run in [true, false] {
            let mut told = Vec::new();
            for domain in ["taken.example", "nobody.example"] {
                let new = NewImport { dry_run, ..of(&table(domain)) };
                let task = bench.it.order_import(&OPERATOR, bench.tenant, new, None).await.expect("ordered");
                bench.finish(task.id).await;
                assert_eq!(bench.task(task.id).await.counts.refused, refused);
                told.push(bench.result(task.id).await.replace(domain, "a domain"));
            }
            assert_eq!(told[0], told[1]);
        }
    }
}

/// A row is done as a whole, or refused; and what is left out is there.
#[tokio::test]
async fn rows_that_can_be_done_in_part_are_refused() {
    let bench = Bench::open().await;
    let many: Vec<String> = (0..51).map(|number| format!("many{number}@acme.example")).collect();
    let table = format!(
        "address,aliases,password\n\
         old@acme.example,,\n\
         taken@acme.example,old@acme.example,\n\
         self@acme.example,Self@ACME.example,\n\
         many@acme.example,{},\n\
         odd@acme.example,,=a+secret+of+mine\n",
        many.join(";")
    );
    for dry_run in [true, false] {
        let new = NewImport { dry_run, skip_existing: true, ..of(&table) };
        let task = bench.it.order_import(&OPERATOR, bench.tenant, new, None).await.expect("ordered");
        bench.finish(task.id).await;
        let counts = TaskCounts { people: 1, skipped: 1, refused: 3, ..TaskCounts::default() };
        assert_eq!(bench.task(task.id).await.counts, counts, "{}", bench.result(task.id).await);
    }
    let there = ["odd@acme.example [] []", "old@acme.example [] []"];
    assert_eq!(bench.people().await, there);
    // A password is not told, even if it is damaged.
    let mut damaged = "address,password\né@acme.example,secret".as_bytes().to_vec();
    damaged.extend(b"\xff\n");
    let new = NewImport { bytes: damaged, ..of("") };
    let task = bench.it.order_import(&OPERATOR, bench.tenant, new, None).await.expect("ordered");
    bench.finish(task.id).await;
    let told = bench.result(task.id).await;
    assert!(told.lines().count() == 2 && !told.contains("secret"), "{told}");
}

/// A result that is larger than an answer may be comes in parts.
#[tokio::test]
async fn a_large_result_is_read_in_parts() {
    let bench = Bench::open().await;
    let rows: Vec<String> = (0..24_000).map(|number| format!("={number:040}")).collect();
    let task = bench.import(&format!("address\n{}\n", rows.join("\n"))).await.id;
    bench.finish(task).await;
    let (first, next) = bench.it.task_result(&OPERATOR, bench.tenant, task, 0).await.expect("a result");
    let (second, end) =
        bench.it.task_result(&OPERATOR, bench.tenant, task, next.expect("more")).await.expect("a result");
    assert_eq!(end, None);
    assert!(first.len() < 2_000_000 && first.ends_with('\n') && !second.is_empty(), "{}", first.len());
    let whole = bench.result(task).await;
    assert_eq!((whole.len(), whole.lines().count()), (first.len() + second.len(), 24_001));
}

#[tokio::test]
async fn files_that_are_no_tables_are_refused_at_once() {
    let bench = Bench::open().await;
    for (bytes, is_file) in
        [(&b"PK\x03\x04"[..], true), (b"colour\nred\n", true), (b"\xff\xff", true), (b"address\n", false)]
    {
        let new = NewImport { bytes: bytes.to_vec(), ..of("") };
        let refused = bench.it.order_import(&OPERATOR, bench.tenant, new, None).await;
        match refused {
            Err(AdminError::File { name, .. }) if is_file => assert_eq!(name, "table.csv"),
            Err(AdminError::Invalid(Invalid::NoRows)) if !is_file => {}
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((bench.shop.names().len(), bench.shop.sent.lock().len()), (0, 0));
}

#[tokio::test]
async fn tables_are_exported_in_steps_and_imported_again() {
    let bench = Bench::open().await;
    let import = bench.import(PEOPLE).await.id;
    bench.finish(import).await;
    let tree = bench.house.directory.departments(bench.tenant).await.expect("departments");
    let export = async |table, department, lang| {
        let new = NewExport { table, department, lang };
        let task = bench.it.order_export(&OPERATOR, bench.tenant, new, None).await.expect("ordered");
        bench.finish(task.id).await;
        assert_eq!(bench.task(task.id).await.state, TaskState::Done);
        bench.result(task.id).await
    };
    let people = export(Kind::People, None, Lang::En).await;
    let mut lines: Vec<&str> = people.lines().collect();
    assert!(lines[0].starts_with("\u{feff}address,name,department,"), "{people}");
    lines.sort_unstable();
    assert!(lines[0].starts_with("ann@acme.example,Ann,Research/Compilers,"), "{people}");
    assert_eq!(lines.len(), 5);
    let below = export(Kind::People, tree.find("Research"), Lang::ZhCn).await;
    assert!(below.starts_with("\u{feff}邮箱,姓名,部门,"), "{below}");
    assert_eq!(below.lines().count(), 3, "{below}");
    let departments = export(Kind::Departments, None, Lang::En).await;
    assert_eq!(departments, "\u{feff}department,description\nResearch,\nResearch/Compilers,\n");

    let again = NewImport { skip_existing: true, ..of(&people) };
    let task = bench.it.order_import(&OPERATOR, bench.tenant, again, None).await.expect("ordered");
    bench.finish(task.id).await;
    let counts = TaskCounts { skipped: 4, ..TaskCounts::default() };
    assert_eq!(bench.task(task.id).await.counts, counts);
}

#[tokio::test]
async fn what_is_old_is_forgotten_and_what_is_idle_is_sent_again() {
    let bench = Bench::open().await;
    let sweep = async || bench.it.sweep_tasks(bench.tenant).await.expect("sweeps");
    let (done, idle) = (bench.import(PEOPLE).await.id, bench.import(GROUPS).await.id);
    bench.finish(done).await;
    assert_eq!(sweep().await, pennypost_admin::Swept::default());
    let stray = format!("{}/task/0123456789abcdef/input", bench.tenant);
    bench.shop.put_unique(&stray, Bytes::new()).await.expect("put");
    bench.house.clock.advance(2 * DAY);
    let swept = sweep().await;
    assert_eq!((swept.idle, swept.files), (vec![idle], 1), "the stray file");
    bench.finish(idle).await;
    bench.house.clock.advance(6 * DAY);
    assert_eq!(sweep().await.files, 2, "both pieces of the older result");
    assert_eq!(bench.task(done).await.result_until, None);
    let gone = bench.it.task_result(&OPERATOR, bench.tenant, done, 0).await;
    assert_eq!(gone, Err(AdminError::Conflict(Conflict::NoResult)));
    assert_eq!(bench.result(idle).await.lines().count(), 2);
    bench.house.clock.advance(180 * DAY);
    assert_eq!(sweep().await.forgotten, 2);
    let listed = bench.it.tasks(&OPERATOR, bench.tenant, &Page::default()).await.expect("listed");
    assert_eq!((listed.items.len(), bench.shop.names().len()), (0, 0));
    let keys = bench.house.disk.keys();
    assert!(!keys.iter().any(|key| key.partition.ends_with("/tasks")));
    let event = codec::encode(&Event::House(HouseWork::Task(bench.tenant, done)));
    assert_eq!(Event::read(Stage::Housekeep, &event).map(|event| event.tenant()), Ok(bench.tenant));
}
