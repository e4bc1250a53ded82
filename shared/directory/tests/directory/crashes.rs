//! Adding things while the process dies at each write, and while others add the same.

use std::net::{IpAddr, Ipv4Addr};

use pennypost_directory::{
    DepartmentId, DirectoryError, GroupRules, MailAddress, Page, Resolved, SignInError,
};

use crate::memory::{Death, House, Memory, PASSWORD};

const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

#[tokio::test]
async fn half_an_account_is_none_and_adding_it_again_completes_it() {
    let mut died = 0;
    for death in [Death::BeforeWrite, Death::AfterWrite] {
        for writes in 0..10 {
            let (house, tenant) = House::with_acme().await;
            let dying = house.process(Memory::dying(&house.disk, writes, death));
            let first = dying.add_account("alice@acme.example", "the first password", "", None).await;
            let directory = &house.directory;
            let there = directory.account_at("alice@acme.example").await.expect("looked");
            let listed = directory.accounts(tenant, &Page::default()).await.expect("listed").items;
            let resolved = directory.resolve("alice@acme.example").await.expect("resolved");
            let signed_in = directory.authenticate("alice@acme.example", "the first password", CLIENT).await;

            // All or nothing, in every view.
            let is_there = there.is_some();
            assert_eq!(listed.len(), usize::from(is_there), "{death:?} {writes}");
            assert_eq!(matches!(resolved, Resolved::Local { .. }), is_there, "{death:?} {writes}");
            assert_eq!(signed_in.is_ok(), is_there, "{death:?} {writes}");
            if first.is_ok() {
                assert!(is_there);
                continue;
            }
            died += 1;
            if is_there {
                continue;
            }
            directory.add_account("alice@acme.example", PASSWORD, "", None).await.expect("again");
            let account =
                directory.authenticate("alice@acme.example", PASSWORD, CLIENT).await.expect("signs in");
            let old = directory.authenticate("alice@acme.example", "the first password", CLIENT).await;
            assert_eq!(old, Err(SignInError::Denied));
            assert_eq!(directory.accounts(tenant, &Page::default()).await.expect("listed").items, [account]);
            // Nothing of the first attempt is left: one account item, one credential, one address.
            for partition in ["accounts", "credentials", "addresses"] {
                let is_in =
                    |key: &pennypost_ports::ControlKey| key.partition == format!("{tenant}/{partition}");
                let count = house.disk.keys().into_iter().filter(is_in).count();
                assert_eq!(count, 1, "{partition} {death:?} {writes}");
            }
        }
    }
    assert!(died >= 8, "only {died} deaths: the test tests nothing");
}

#[tokio::test]
async fn tenants_and_domains_are_completed_by_repeating() {
    for death in [Death::BeforeWrite, Death::AfterWrite] {
        for writes in 0..2 {
            let house = House::new();
            let dying = house.process(Memory::dying(&house.disk, writes, death));
            assert!(dying.add_tenant("Acme").await.is_err());
            let directory = &house.directory;
            let tenant = match directory.tenant_named("acme").await.expect("looked") {
                Some(tenant) => tenant,
                None => directory.add_tenant("Acme").await.expect("again"),
            };
            assert_eq!(directory.tenants(&Page::default()).await.expect("listed").items.len(), 1);

            let dying = house.process(Memory::dying(&house.disk, writes, death));
            assert!(dying.add_domain(tenant.id, "acme.example").await.is_err());
            if directory.domain("acme.example").await.expect("looked").is_none() {
                assert_eq!(directory.resolve("x@acme.example").await, Ok(Resolved::UnknownDomain));
                directory.add_domain(tenant.id, "acme.example").await.expect("again");
            }
            let unknown = Resolved::UnknownUser { tenant: tenant.id };
            assert_eq!(directory.resolve("x@acme.example").await, Ok(unknown));
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_racing_adds_at_most_one_wins() {
    for _ in 0..5 {
        let (house, tenant) = House::with_acme().await;
        house.directory.add_account("bob@acme.example", PASSWORD, "", None).await.expect("bob");
        let adds = (0..6).map(|number| {
            let directory = house.process(Memory::new(&house.disk));
            tokio::spawn(async move {
                let password = format!("password number {number}");
                if number % 3 == 2 {
                    return directory
                        .add_alias("same@acme.example", &["bob@acme.example"])
                        .await
                        .ok()
                        .map(|_| None);
                }
                let added = directory.add_account("same@acme.example", &password, "", None).await;
                added.ok().map(|account| Some((account, password)))
            })
        });
        let mut winners = Vec::new();
        for add in adds.collect::<Vec<_>>() {
            winners.extend(add.await.expect("task"));
        }
        // Each may have taken the claim of the other over, but never do two win.
        assert!(winners.len() <= 1, "{} winners", winners.len());
        let accounts = house.directory.accounts(tenant, &Page::default()).await.expect("listed").items;
        match winners.pop() {
            Some(Some((account, password))) => {
                assert_eq!(accounts.len(), 2);
                let signed_in = house.directory.authenticate("same@acme.example", &password, CLIENT).await;
                assert_eq!(signed_in, Ok(account));
            }
            _ => assert_eq!(accounts.len(), 1),
        }
    }
}

#[tokio::test]
async fn a_change_of_address_that_was_cut_off_takes_no_other_group() {
    for writes in 0..4 {
        let (house, tenant) = House::with_acme().await;
        let directory = &house.directory;
        let sales =
            directory.add_department(tenant, DepartmentId::ROOT, "Sales", "").await.expect("added").id;
        let old = directory.add_department_group(tenant, sales, "acme.example").await.expect("group").address;
        let old = old.to_string();
        let dying = house.process(Memory::dying(&house.disk, writes, Death::BeforeWrite));
        assert!(dying.readdress_group(tenant, &old, "team").await.is_err(), "{writes}");
        let new = "team@acme.example";
        if directory.group(new).await.expect("read").is_some() {
            continue;
        }
        directory.add_group::<&str>(new, "Team", &[]).await.expect("added");
        let again = directory.readdress_group(tenant, &old, "team").await;
        assert_eq!(again, Err(DirectoryError::AddressTaken(new.to_owned())), "{writes}");
        assert!(directory.group(&old).await.expect("read").is_some(), "{writes}");
        let rules = directory.group_rules(new).await.expect("read").expect("there");
        assert_eq!(rules.follows, None, "{writes}");
    }
}

/// Feature GRP-06: its address is changed once, cut off and gone on with
#[tokio::test]
async fn a_departments_group_is_readdressed_once_whenever_it_was_cut_off() {
    let mut died = 0;
    for death in [Death::BeforeWrite, Death::AfterWrite] {
        for writes in 0..12 {
            let (house, tenant) = House::with_acme().await;
            let directory = &house.directory;
            let sales =
                directory.add_department(tenant, DepartmentId::ROOT, "Sales", "").await.expect("added").id;
            let old =
                directory.add_department_group(tenant, sales, "acme.example").await.expect("group").address;
            let (old, new) = (old.to_string(), "team@acme.example".to_owned());
            directory.add_group("all@acme.example", "", &[&old]).await.expect("outer");
            let named = MailAddress::parse(&old).expect("an address");
            let name =
                |rules: &mut GroupRules| rules.named = std::collections::BTreeSet::from([named.clone()]);
            directory.change_group_rules("all@acme.example", name).await.expect("changed");
            let dying = house.process(Memory::dying(&house.disk, writes, death));
            if dying.readdress_group(tenant, &old, "team").await.is_ok() {
                continue;
            }
            died += 1;
            // It is somewhere at any time.
            let groups = directory.groups(tenant, &Page::default()).await.expect("listed").items;
            assert!(groups.iter().any(|group| [&old, &new].contains(&&group.address.to_string())));
            match directory.readdress_group(tenant, &old, "team").await {
                Ok(group) => assert_eq!(group.address.to_string(), new),
                // Only the note that it is done was missing, or not even that.
                Err(error) => assert_eq!(error, DirectoryError::NoGroup(old.clone()), "{death:?} {writes}"),
            }
            let groups = directory.groups(tenant, &Page::default()).await.expect("listed").items;
            let addresses: Vec<String> = groups.iter().map(|group| group.address.to_string()).collect();
            assert_eq!(addresses, ["all@acme.example", &new], "{death:?} {writes}");
            assert_eq!(groups[0].members[0].address().to_string(), new, "{death:?} {writes}");
            let rules = directory.group_rules("all@acme.example").await.expect("read").expect("there");
            assert_eq!(
                rules.named.iter().map(ToString::to_string).collect::<Vec<_>>(),
                std::slice::from_ref(&new)
            );
            let rules = directory.group_rules(&new).await.expect("read").expect("there");
            assert_eq!(rules.follows, Some(sales));
            let again = directory.readdress_group(tenant, &new, "other").await;
            assert_eq!(again, Err(DirectoryError::AddressFixed(new)));
        }
    }
    assert!(died >= 12, "only {died} deaths: the test tests nothing");
}
