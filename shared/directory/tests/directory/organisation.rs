//! Departments, who is in them, finding people, tags: also when processes die, and when several change the same.
//!
//! Feature ORG-01: departments to 15 levels; no circles, names unique among siblings, whatever is changed at once
//! Feature ORG-16: several departments, the main one first; moved one by one or in bulk

use std::collections::BTreeSet;

use crate::memory::{Death, House, Memory, PASSWORD};
use pennypost_directory::{
    Account, AccountState, DepartmentChange, DepartmentId, Directory, DirectoryError, NewAccount, Page,
    Person, Place, ProfileField,
};
use pennypost_model::TenantId;
use pennypost_ports::{Consistency, Control, ControlKey};

const ROOT: DepartmentId = DepartmentId::ROOT;
/// Longer than an intent is young.
const A_WHILE: i64 = 120_000;

async fn department(directory: &Directory, tenant: TenantId, path: &str) -> DepartmentId {
    let (parent, name) = path.rsplit_once('/').unwrap_or(("", path));
    let tree = directory.departments(tenant).await.expect("tree");
    let parent = tree.find(parent).expect("parent");
    directory.add_department(tenant, parent, name, "").await.expect(path).id
}

async fn person(directory: &Directory, local: &str, name: &str, departments: &[DepartmentId]) -> Account {
    let address = format!("{local}@acme.example");
    let new = NewAccount { address: &address, display_name: name, departments, ..NewAccount::default() };
    directory.add_account_with(&new).await.expect(local)
}

async fn members(directory: &Directory, tenant: TenantId, department: DepartmentId) -> Vec<String> {
    let mut names = Vec::new();
    let mut page = Page { after: None, limit: 2 };
    loop {
        let listed = directory.members(tenant, department, &page).await.expect("members");
        names.extend(listed.items.into_iter().map(|person| person.address.local().to_owned()));
        let Some(next) = listed.next else { return names };
        page.after = Some(next);
    }
}

async fn found(directory: &Directory, tenant: TenantId, text: &str) -> BTreeSet<String> {
    let found = directory.find_people(tenant, text, 50).await.expect("found");
    found.into_iter().map(|person: Person| person.address.local().to_owned()).collect()
}

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[tokio::test]
async fn people_are_in_their_departments_in_the_order_of_their_names() {
    let (house, acme) = House::with_acme().await;
    let directory = &house.directory;
    let research = department(directory, acme, "研发").await;
    let compilers = department(directory, acme, "研发/Compilers").await;
    let sales = department(directory, acme, "Sales").await;
    let wang = person(directory, "wang", "王小明", &[research, sales]).await;
    person(directory, "li", "李雷", &[research]).await;
    person(directory, "zhang", "张三", &[research]).await;
    person(directory, "boss", "", &[]).await;
    assert_eq!(members(directory, acme, research).await, ["li", "wang", "zhang"]);
    assert_eq!(members(directory, acme, sales).await, ["wang"]);
    assert_eq!(members(directory, acme, ROOT).await, ["boss"]);
    assert_eq!(
        directory.account(wang.key).await.expect("account").expect("account").departments,
        [research, sales]
    );

    // ORG-16: moved; the main one first; each once; the organisation itself is no department among others.
    directory.set_departments(wang.key, &[sales, compilers, sales]).await.expect("moved");
    assert_eq!(members(directory, acme, research).await, ["li", "zhang"]);
    assert_eq!(members(directory, acme, compilers).await, ["wang"]);
    let listed = directory.members(acme, sales, &Page::default()).await.expect("members").items;
    assert_eq!(listed[0].departments, [sales, compilers]);
    let gone = directory.set_departments(wang.key, &[DepartmentId(99)]).await;
    assert_eq!(gone, Err(DirectoryError::NoDepartment("#99".to_owned())));
    let many: Vec<DepartmentId> = vec![sales, compilers, research, ROOT];
    directory.set_departments(wang.key, &many).await.expect("moved");

    // Cards follow whatever they tell of.
    directory.set_display_name(wang.key, "阿明").await.expect("named");
    assert_eq!(members(directory, acme, research).await, ["wang", "li", "zhang"]);
    directory
        .change_profile(wang.key, |profile| profile.set(ProfileField::Title, "组长"))
        .await
        .expect("titled");
    directory.set_account_state(wang.key, AccountState::Disabled).await.expect("disabled");
    let listed = directory.members(acme, research, &Page::default()).await.expect("members").items;
    assert_eq!((listed[0].title.as_str(), listed[0].is_active), ("组长", false));

    let counted = directory.departments_counted(acme).await.expect("counted");
    let count = |id| counted.members.get(&id).copied().unwrap_or_default();
    assert_eq!((count(research), count(sales), count(compilers), count(ROOT)), (3, 1, 1, 2));
}

#[tokio::test]
async fn only_empty_departments_are_removed() {
    let (house, acme) = House::with_acme().await;
    let directory = &house.directory;
    let research = department(directory, acme, "Research").await;
    let compilers = department(directory, acme, "Research/Compilers").await;
    let wang = person(directory, "wang", "王小明", &[compilers]).await;
    let not_empty = |name: &str| Err(DirectoryError::DepartmentNotEmpty(name.to_owned()));
    assert_eq!(directory.remove_department(acme, research).await, not_empty("Research"));
    assert_eq!(directory.remove_department(acme, compilers).await, not_empty("Compilers"));
    // It is open again.
    person(directory, "li", "李雷", &[compilers]).await;
    let li = directory.account_at("li@acme.example").await.expect("account").expect("account");
    for account in [wang.key, li.key] {
        directory.set_departments(account, &[research]).await.expect("moved");
    }
    directory.remove_department(acme, compilers).await.expect("removed");
    let unknown = directory.remove_department(acme, compilers).await;
    assert_eq!(unknown, Err(DirectoryError::NoDepartment(format!("#{compilers}"))));
    assert!(directory.remove_department(acme, ROOT).await.is_err());
    let change = DepartmentChange { place: Some(Place::At(0)), ..DepartmentChange::default() };
    assert!(directory.change_department(acme, compilers, &change).await.is_err());
}

#[tokio::test]
async fn people_are_found_by_name_pinyin_initials_and_address() {
    let (house, acme) = House::with_acme().await;
    let directory = &house.directory;
    let other = directory.add_tenant("Other").await.expect("tenant").id;
    directory.add_domain(other, "other.example").await.expect("domain");
    directory.add_account("wangwu@other.example", PASSWORD, "王五", None).await.expect("account");
    let wang = person(directory, "xm.wang", "王小明", &[]).await;
    person(directory, "wm", "王明", &[]).await;
    person(directory, "ann", "Ann Wang", &[]).await;
    person(directory, "bob", "", &[]).await;
    for (text, expected) in [
        ("王", &["xm.wang", "wm"][..]),
        ("wang", &["xm.wang", "wm", "ann"]),
        ("wxm", &["xm.wang"]),
        ("wm", &["wm"]),
        ("明", &["xm.wang", "wm"]),
        ("xm.w", &["xm.wang"]),
        ("xm.wang@acme.example", &["xm.wang"]),
        ("xm.wang@ac", &["xm.wang"]),
        ("xm.wang@other.example", &[]),
        ("bob", &["bob"]),
        ("王五", &[]),
        ("", &[]),
        ("/", &[]),
        ("@", &[]),
    ] {
        assert_eq!(found(directory, acme, text).await, set(expected), "{text}");
    }
    assert_eq!(directory.find_people(acme, "wang", 1).await.expect("found").len(), 1);
    // A name that is changed is not found by what it was.
    directory.set_display_name(wang.key, "李雷").await.expect("named");
    assert_eq!(found(directory, acme, "wxm").await, set(&[]));
    assert_eq!(found(directory, acme, "ll").await, set(&["xm.wang"]));
    directory.set_display_name(wang.key, "王小明").await.expect("named");
    assert_eq!(found(directory, acme, "wxm").await, set(&["xm.wang"]));
    assert_eq!(found(directory, acme, "李").await, set(&[]));
}

/// Whatever write a process dies at, pages and searches tell the truth a minute later.
#[tokio::test]
async fn what_a_dead_process_left_is_completed() {
    let mut died = 0;
    for death in [Death::BeforeWrite, Death::AfterWrite] {
        for writes in 0..40 {
            let (house, acme) = House::with_acme().await;
            let research = department(&house.directory, acme, "Research").await;
            let dying = house.process(Memory::dying(&house.disk, writes, death));
            let new = NewAccount {
                address: "wang@acme.example",
                display_name: "王小明",
                departments: &[research],
                ..NewAccount::default()
            };
            let mut is_done = false;
            if let Ok(added) = dying.add_account_with(&new).await {
                let named = dying.set_display_name(added.key, "李雷").await;
                is_done = named.is_ok() && dying.set_departments(added.key, &[]).await.is_ok();
            }
            died += usize::from(!is_done);
            house.clock.advance(A_WHILE);
            let directory = &house.directory;
            // The page first: it is what completes.
            let (in_research, in_root) =
                (members(directory, acme, research).await, members(directory, acme, ROOT).await);
            let account = directory.account_at("wang@acme.example").await.expect("looked");
            let expected = account.as_ref().map(|account| account.departments.contains(&research));
            assert_eq!(in_research.len(), usize::from(expected == Some(true)), "{death:?} {writes}");
            assert_eq!(in_root.len(), usize::from(expected == Some(false)), "{death:?} {writes}");
            for (text, name) in [("wxm", "王小明"), ("李雷", "李雷")] {
                let is_named = account.as_ref().is_some_and(|account| account.display_name == name);
                assert_eq!(
                    found(directory, acme, text).await.len(),
                    usize::from(is_named),
                    "{death:?} {writes} {text}"
                );
            }
            assert!(
                !house.disk.keys().iter().any(|key| key.partition.ends_with("/intents")),
                "{death:?} {writes}"
            );
        }
    }
    assert!(died > 40, "only {died} deaths: the test tests nothing");
}

/// Accounts of before there were cards are found, too.
#[tokio::test]
async fn a_tenant_without_cards_gets_them() {
    let (house, acme) = House::with_acme().await;
    let directory = &house.directory;
    person(directory, "wang", "王小明", &[]).await;
    person(directory, "li", "李雷", &[]).await;
    let disk = Memory::new(&house.disk);
    for key in house.disk.keys() {
        let is_card = key.partition.ends_with("/members") || key.partition.ends_with("/names");
        if is_card || key == ControlKey::new(acme.to_string(), "people") {
            let item = disk.get(&key, Consistency::Strong).await.expect("item").expect("item");
            assert!(disk.delete_if(&key, item.version).await.expect("deleted"));
        }
    }
    assert_eq!(found(directory, acme, "wxm").await, set(&["wang"]));
    assert_eq!(members(directory, acme, ROOT).await, ["li", "wang"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn changes_at_once_end_with_cards_of_what_stands() {
    for round in 0..5 {
        let (house, acme) = House::with_acme().await;
        let departments =
            [department(&house.directory, acme, "a").await, department(&house.directory, acme, "b").await];
        let wang = person(&house.directory, "wang", "王小明", &[]).await;
        let changes = (0..12).map(|number: usize| {
            let directory = house.process(Memory::new(&house.disk));
            let (key, department) = (wang.key, departments[number % 2]);
            tokio::spawn(async move {
                match number % 4 {
                    0 | 1 => directory.set_departments(key, &[department]).await,
                    2 => directory.set_display_name(key, "李雷").await,
                    _ => directory.set_display_name(key, "王小明").await,
                }
            })
        });
        for change in changes.collect::<Vec<_>>() {
            change.await.expect("task").expect("changed");
        }
        let directory = &house.directory;
        let stands = directory.account(wang.key).await.expect("account").expect("account");
        for department in [ROOT, departments[0], departments[1]] {
            let expected = usize::from(stands.departments.contains(&department));
            assert_eq!(members(directory, acme, department).await.len(), expected, "{round} {department}");
        }
        assert_eq!(found(directory, acme, "wxm").await.len(), usize::from(stands.display_name == "王小明"));
        assert_eq!(found(directory, acme, "李").await.len(), usize::from(stands.display_name == "李雷"));
    }
}

/// Whoever is put into a department while it is removed is in it, or directly in the organisation: never nowhere.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nobody_is_lost_with_a_department() {
    for _ in 0..40 {
        let (house, acme) = House::with_acme().await;
        let research = department(&house.directory, acme, "Research").await;
        let wang = person(&house.directory, "wang", "王小明", &[]).await;
        let (one, other) = (house.process(Memory::new(&house.disk)), house.process(Memory::new(&house.disk)));
        let put = tokio::spawn(async move { one.set_departments(wang.key, &[research]).await });
        let removed = tokio::spawn(async move { other.remove_department(acme, research).await });
        let (_, removed) = (put.await.expect("task"), removed.await.expect("task"));
        let directory = &house.directory;
        let tree = directory.departments(acme).await.expect("tree");
        assert_eq!(tree.holds(research), removed.is_err());
        let (in_research, in_root) =
            (members(directory, acme, research).await, members(directory, acme, ROOT).await);
        assert_eq!(in_research.len() + in_root.len(), 1, "{in_research:?} {in_root:?}");
        assert!(in_research.is_empty() || tree.holds(research));
    }
}

#[tokio::test]
async fn tags_mark_departments_and_accounts() {
    let (house, acme) = House::with_acme().await;
    let directory = &house.directory;
    let research = department(directory, acme, "Research").await;
    let wang = person(directory, "wang", "王小明", &[]).await;
    let drivers = directory.add_tag(acme, "Drivers").await.expect("tag");
    assert_eq!(directory.add_tag(acme, "DRIVERS").await, Err(DirectoryError::TagTaken("DRIVERS".to_owned())));
    directory.add_tag(acme, "安全员").await.expect("tag");
    let marked = directory.change_tag(acme, "drivers", |departments, accounts| {
        departments.insert(research);
        accounts.insert(wang.key.account);
    });
    assert_eq!(marked.await.expect("marked").id, drivers.id);
    directory.rename_tag(acme, "Drivers", "Chauffeurs").await.expect("renamed");
    let tag = directory.tag(acme, "chauffeurs").await.expect("tag").expect("tag");
    assert_eq!((tag.departments.len(), tag.accounts.len()), (1, 1));
    assert_eq!(directory.tag(acme, "Drivers").await, Ok(None));
    directory.remove_tag(acme, "Chauffeurs").await.expect("removed");
    let again = directory.add_tag(acme, "Chauffeurs").await.expect("again");
    assert!(again.id != drivers.id);
    assert!(directory.tag(acme, "Chauffeurs").await.expect("tag").expect("tag").accounts.is_empty());
    let gone = directory.change_tag(acme, "Drivers", |_, _| {}).await;
    assert_eq!(gone, Err(DirectoryError::NoTag("Drivers".to_owned())));
    let names: Vec<String> =
        directory.tags(acme).await.expect("tags").into_iter().map(|(_, name)| name).collect();
    assert_eq!(names, ["Chauffeurs", "安全员"]);
}
