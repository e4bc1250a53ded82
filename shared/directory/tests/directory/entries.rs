//! Tenants, domains, accounts, aliases, groups: adding, refusing, resolving.

use crate::memory::{House, PASSWORD};
use pennypost_directory::{
    Account, AccountState, Directory, DirectoryError, Kind, MAX_ALIAS_TARGETS, MAX_MEMBERS, Page, Resolved,
    TenantState,
};
use pennypost_model::event::Via;

async fn account(directory: &Directory, address: &str) -> Account {
    directory.add_account(address, PASSWORD, "", None).await.expect(address)
}

/// `via: account account` or the name of the outcome.
async fn resolved(directory: &Directory, address: &str) -> String {
    match directory.resolve(address).await.expect(address) {
        Resolved::Local { tenant, recipients, .. } => {
            assert!(recipients.iter().all(|recipient| recipient.address == address));
            let via: Via = recipients.first().expect("never empty").via;
            let mut names = Vec::new();
            for recipient in &recipients {
                assert_eq!((recipient.via, recipient.account.tenant), (via, tenant));
                let account = directory.account(recipient.account).await.expect("account").expect("account");
                names.push(account.address.local().to_owned());
            }
            format!("{via:?}: {}", names.join(" "))
        }
        Resolved::UnknownDomain => "unknown domain".to_owned(),
        Resolved::UnknownUser { .. } => "unknown user".to_owned(),
        Resolved::Disabled { .. } => "disabled".to_owned(),
        Resolved::Suspended { .. } => "suspended".to_owned(),
    }
}

#[tokio::test]
async fn tenants_and_domains_are_unique() {
    let (house, acme) = House::with_acme().await;
    let directory = &house.directory;
    assert_eq!(directory.add_tenant("ACME").await, Err(DirectoryError::TenantTaken("ACME".to_owned())));
    let other = directory.add_tenant("中华邮政").await.expect("tenant").id;
    let taken = directory.add_domain(other, "ACME.example.").await;
    assert_eq!(taken, Err(DirectoryError::DomainTaken("acme.example".to_owned())));
    assert!(directory.add_domain(acme, "acme.example").await.is_err());
    directory.add_domain(other, "邮政.example").await.expect("domain");
    let domain = directory.domain("邮政.example").await.expect("domain").expect("domain");
    assert!(domain.name.as_str().starts_with("xn--") && domain.name.to_unicode() == "邮政.example");
    for bad in ["", " ", "a\nb", &"x".repeat(101)] {
        assert_eq!(directory.add_tenant(bad).await.map_err(|e| e.kind()), Err(Kind::Invalid), "{bad:?}");
    }
    let names: Vec<_> = directory
        .tenants(&Page::default())
        .await
        .expect("tenants")
        .items
        .into_iter()
        .map(|t| t.name)
        .collect();
    assert_eq!(names, ["Acme", "中华邮政"]);
    assert_eq!(directory.tenant_named("aCME").await.expect("tenant").map(|t| t.id), Some(acme));
    assert_eq!(directory.tenant_named(&acme.to_string()).await.expect("tenant").map(|t| t.id), Some(acme));
    assert_eq!(directory.tenant_named("nobody").await, Ok(None));
}

#[tokio::test]
async fn addresses_resolve_as_they_should() {
    let (house, tenant) = House::with_acme().await;
    let directory = &house.directory;
    let alice = account(directory, "Alice@Acme.example").await;
    account(directory, "bob@acme.example").await;
    let carol = account(directory, "carol@acme.example").await;
    account(directory, "用户@acme.example").await;
    directory.add_alias("sales@acme.example", &["alice@acme.example"]).await.expect("alias");
    directory
        .add_alias("both@acme.example", &["alice@acme.example", "bob@acme.example"])
        .await
        .expect("alias");
    let inner = ["bob@acme.example", "carol@acme.example"];
    directory.add_group("inner@acme.example", "", &inner).await.expect("group");
    let outer = ["alice@acme.example", "sales@acme.example", "inner@acme.example", "bob@acme.example"];
    directory.add_group("all@acme.example", "Everybody", &outer).await.expect("group");
    for (address, expected) in [
        ("alice@acme.example", "Direct: alice"),
        ("ALICE@ACME.EXAMPLE", "Direct: alice"),
        ("\"alice\"@acme.example", "Direct: alice"),
        ("alice+news@acme.example", "Direct: alice"),
        ("sales+x@acme.example", "Alias: alice"),
        ("both@acme.example", "Alias: alice bob"),
        ("inner@acme.example", "Group: bob carol"),
        ("all@acme.example", "Group: alice bob carol"),
        ("用户@acme.example", "Direct: 用户"),
        ("nobody@acme.example", "unknown user"),
        ("+alice@acme.example", "unknown user"),
        ("a b@acme.example", "unknown user"),
        ("alice@sub.acme.example", "unknown domain"),
        ("alice@other.example", "unknown domain"),
        ("alice", "unknown domain"),
        ("", "unknown domain"),
        ("alice@[127.0.0.1]", "unknown domain"),
    ] {
        assert_eq!(resolved(directory, address).await, expected, "{address}");
    }

    directory.set_account_state(carol.key, AccountState::Disabled).await.expect("disabled");
    assert_eq!(resolved(directory, "carol@acme.example").await, "disabled");
    assert_eq!(resolved(directory, "inner@acme.example").await, "Group: bob");
    directory.set_account_state(carol.key, AccountState::Active).await.expect("enabled");
    assert_eq!(resolved(directory, "carol@acme.example").await, "Direct: carol");

    directory.set_catch_all("acme.example", Some("carol@acme.example")).await.expect("catch-all");
    assert_eq!(resolved(directory, "nobody@acme.example").await, "CatchAll: carol");
    assert_eq!(resolved(directory, "a b@acme.example").await, "CatchAll: carol");
    directory.set_catch_all("acme.example", None).await.expect("catch-all");
    assert_eq!(resolved(directory, "nobody@acme.example").await, "unknown user");

    directory.remove_alias("sales@acme.example").await.expect("removed");
    assert_eq!(resolved(directory, "sales@acme.example").await, "unknown user");
    assert!(directory.remove_alias("sales@acme.example").await.is_err());
    account(directory, "sales@acme.example").await;
    assert_eq!(resolved(directory, "sales@acme.example").await, "Direct: sales");
    directory.remove_group("inner@acme.example").await.expect("removed");
    assert_eq!(resolved(directory, "all@acme.example").await, "Group: alice bob");

    directory.set_tenant_state(tenant, TenantState::Suspended).await.expect("suspended");
    assert_eq!(resolved(directory, "alice@acme.example").await, "suspended");
    directory.set_tenant_state(tenant, TenantState::Active).await.expect("active");
    assert_eq!(directory.account(alice.key).await.expect("account"), Some(alice));
}

#[tokio::test]
async fn an_address_is_given_once() {
    let (house, _) = House::with_acme().await;
    let directory = &house.directory;
    account(directory, "alice@acme.example").await;
    directory.add_group("team@acme.example", "", &["alice@acme.example"]).await.expect("group");
    let taken = |address: &str| Err::<(), _>(DirectoryError::AddressTaken(address.to_owned()));
    for address in ["alice@acme.example", "ALICE@acme.example", "team@acme.example"] {
        let key = address.to_lowercase();
        assert_eq!(directory.add_account(address, PASSWORD, "", None).await.map(|_| ()), taken(&key));
        assert_eq!(directory.add_alias(address, &["alice@acme.example"]).await.map(|_| ()), taken(&key));
        assert_eq!(directory.add_group::<&str>(address, "", &[]).await.map(|_| ()), taken(&key));
    }
    for bad in
        ["a+b@acme.example", "\"a b\"@acme.example", "a..b@acme.example", "@acme.example", "x@none.example"]
    {
        assert!(directory.add_account(bad, PASSWORD, "", None).await.is_err(), "{bad}");
    }
    let short = directory.add_account("x@acme.example", "short", "", None).await;
    assert!(matches!(short, Err(DirectoryError::Password { .. })));
}

#[tokio::test]
async fn nothing_leads_to_another_tenant() {
    let (house, _) = House::with_acme().await;
    let directory = &house.directory;
    let other = directory.add_tenant("Other").await.expect("tenant").id;
    directory.add_domain(other, "other.example").await.expect("domain");
    account(directory, "alice@acme.example").await;
    account(directory, "olga@other.example").await;
    let stranger = ["olga@other.example"];
    let foreign = Err::<(), _>(DirectoryError::OtherTenant("olga@other.example".to_owned()));
    assert_eq!(directory.add_alias("x@acme.example", &stranger).await.map(|_| ()), foreign);
    // A group may name whoever has an address elsewhere, and leads to none of their accounts.
    directory.add_group("y@acme.example", "", &stranger).await.expect("group");
    let Ok(Resolved::Local { recipients, .. }) = directory.resolve("y@acme.example").await else {
        panic!("a group")
    };
    assert!(recipients.is_empty(), "{recipients:?}");
    assert_eq!(directory.set_catch_all("acme.example", Some(stranger[0])).await, foreign);
    let accounts = directory.accounts(other, &Page::default()).await.expect("accounts").items;
    assert_eq!(accounts.len(), 1);
    // Invariant 7: a tenant's partitions begin with its id.
    let known = ["tenants", "domain/acme.example", "domain/other.example"];
    for key in house.disk.keys() {
        let is_tenants = accounts[0].key.tenant == other && key.partition.len() >= 16;
        let head = key.partition.get(..16).and_then(|head| head.parse::<pennypost_model::TenantId>().ok());
        assert!(known.contains(&key.partition.as_str()) || (is_tenants && head.is_some()), "{key:?}");
    }
}

#[tokio::test]
async fn groups_have_no_circles_and_limits() {
    let (house, _) = House::with_acme().await;
    let directory = &house.directory;
    account(directory, "alice@acme.example").await;
    directory.add_group("g1@acme.example", "", &["alice@acme.example"]).await.expect("group");
    for level in 2..=5 {
        let below = format!("g{}@acme.example", level - 1);
        directory.add_group(&format!("g{level}@acme.example"), "", &[below]).await.expect("group");
    }
    assert_eq!(resolved(directory, "g5@acme.example").await, "Group: alice");
    let deeper = directory.add_group("g6@acme.example", "", &["g5@acme.example"]).await;
    assert_eq!(deeper, Err(DirectoryError::GroupDepth { limit: 5 }));
    let circle = directory.set_members("g1@acme.example", &["g3@acme.example"]).await;
    assert_eq!(circle, Err(DirectoryError::GroupCycle("g1@acme.example".to_owned())));
    let own = directory.set_members("g1@acme.example", &["g1@acme.example"]).await;
    assert_eq!(own, Err(DirectoryError::GroupCycle("g1@acme.example".to_owned())));
    let many = vec!["alice@acme.example"; MAX_MEMBERS + 1];
    assert!(matches!(
        directory.set_members("g1@acme.example", &many).await,
        Err(DirectoryError::TooMany { .. })
    ));
    let many = vec!["alice@acme.example"; MAX_ALIAS_TARGETS + 1];
    assert!(matches!(
        directory.add_alias("al@acme.example", &many).await,
        Err(DirectoryError::TooMany { .. })
    ));
    let none: [&str; 0] = [];
    account(directory, "bob@acme.example").await;
    let changed =
        directory.change_members("g1@acme.example", &["bob@acme.example"], &["alice@acme.example"]).await;
    assert_eq!(changed.expect("changed").members.len(), 1);
    assert_eq!(resolved(directory, "g5@acme.example").await, "Group: bob");
    let missing = directory.change_members("g1@acme.example", &none, &["alice@acme.example"]).await;
    assert_eq!(missing, Err(DirectoryError::NoMember("alice@acme.example".to_owned())));
    assert_eq!(
        directory.add_alias("al@acme.example", &none).await.map(|_| ()),
        Err(DirectoryError::NoTargets)
    );
    let group = directory.set_members("g1@acme.example", &none).await.expect("empty group");
    assert!(group.members.is_empty());
    assert_eq!(resolved(directory, "g5@acme.example").await, "disabled");
}

#[tokio::test]
async fn lists_come_in_pages() {
    let (house, tenant) = House::with_acme().await;
    let directory = &house.directory;
    for number in 0..7 {
        account(directory, &format!("user{number}@acme.example")).await;
    }
    let mut seen = Vec::new();
    let mut page = Page { after: None, limit: 3 };
    loop {
        let listed = directory.accounts(tenant, &page).await.expect("page");
        assert!(listed.items.len() <= 3);
        seen.extend(listed.items.into_iter().map(|account| account.address.to_string()));
        let Some(next) = listed.next else { break };
        page.after = Some(next);
    }
    seen.sort();
    assert_eq!(seen.len(), 7);
    seen.dedup();
    assert_eq!(seen.len(), 7);
}

#[tokio::test]
async fn quota_and_policy_change_by_compare_and_set() {
    let (house, tenant) = House::with_acme().await;
    let directory = &house.directory;
    let alice = account(directory, "alice@acme.example").await;
    assert_eq!((alice.quota_bytes, alice.capacity(None)), (None, pennypost_directory::DEFAULT_QUOTA));
    directory.set_quota(alice.key, 5).await.expect("quota");
    assert_eq!(directory.account(alice.key).await.expect("account").map(|a| a.quota_bytes), Some(Some(5)));
    assert_eq!(directory.policy(tenant).await.expect("policy").version, 0);
    let writers = (0..8).map(|number| {
        let directory = directory.clone();
        tokio::spawn(async move {
            directory
                .update_policy(tenant, |policy| policy.add_to_blacklist(&format!("bad{number}.example")))
                .await
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        assert!(writer.await.expect("task").expect("update").0);
    }
    let policy = directory.policy(tenant).await.expect("policy");
    assert_eq!(policy.blacklist.len(), 8);
    let (added, again) = directory
        .update_policy(tenant, |policy| policy.add_to_blacklist("bad1.example"))
        .await
        .expect("update");
    assert!(!added && again.version == policy.version);
    let bad = directory.update_policy(tenant, |policy| policy.add_to_blacklist("no sender")).await;
    assert_eq!(bad.map_err(|error| error.kind()).map(|_| ()), Err(Kind::Invalid));
}

#[tokio::test]
async fn postmaster_is_never_unknown() {
    let (house, _) = House::with_acme().await;
    let directory = &house.directory;
    let postmaster = "PostMaster@acme.example";
    assert_eq!(resolved(directory, postmaster).await, "unknown user");
    let first = account(directory, "first@acme.example").await;
    house.clock.advance(1_000);
    account(directory, "second@acme.example").await;
    assert_eq!(resolved(directory, postmaster).await, "CatchAll: first");
    assert_eq!(resolved(directory, "nobody@acme.example").await, "unknown user");
    // What is disabled gets nothing, and what is remembered does not change that.
    directory.set_account_state(first.key, AccountState::Disabled).await.expect("disabled");
    assert_eq!(resolved(directory, postmaster).await, "CatchAll: second");
    directory.set_account_state(first.key, AccountState::Active).await.expect("active");
    directory.set_catch_all("acme.example", Some("first@acme.example")).await.expect("catch-all");
    assert_eq!(resolved(directory, postmaster).await, "CatchAll: first");
    directory.add_alias("postmaster@acme.example", &["second@acme.example"]).await.expect("alias");
    assert_eq!(resolved(directory, postmaster).await, "Alias: second");
}
