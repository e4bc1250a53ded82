//! Who shares with whom: within a tenant, by account, group and `anyone`.

use std::collections::BTreeSet;

use crate::memory::{House, PASSWORD};
use pennypost_directory::{Account, Directory};
use pennypost_model::Grantee;

async fn account(directory: &Directory, address: &str) -> Account {
    directory.add_account(address, PASSWORD, "", None).await.expect(address)
}

fn set(grantees: &[Grantee]) -> BTreeSet<Grantee> {
    grantees.iter().cloned().collect()
}

#[tokio::test]
async fn the_index_says_who_shares_with_whom() {
    let (house, acme) = House::with_acme().await;
    let directory = &house.directory;
    let ann = account(directory, "ann@acme.example").await.key;
    let bob = account(directory, "bob@acme.example").await.key;
    let cat = account(directory, "cat@acme.example").await.key;
    directory.add_group("team@acme.example", "", &["cat@acme.example"]).await.expect("group");
    directory.add_group("all@acme.example", "", &["team@acme.example"]).await.expect("group");
    let other = directory.add_tenant("other").await.expect("tenant").id;
    directory.add_domain(other, "other.example").await.expect("domain");
    let eve = account(directory, "eve@other.example").await.key;
    let sharers = async |key| directory.sharers(key).await.expect("sharers");

    let none = BTreeSet::new();
    let with_bob = set(&[Grantee::Account(bob.account)]);
    // Twice: every call can be repeated.
    for _ in 0..2 {
        directory.index_shares(ann, &none, &with_bob).await.expect("index");
    }
    assert_eq!(sharers(bob).await, BTreeSet::from([ann.account]));
    assert!(sharers(cat).await.is_empty() && sharers(ann).await.is_empty());

    // A group, also one in it; not to whom is not in it.
    let with_all = set(&[Grantee::Group("all@acme.example".to_owned())]);
    directory.index_shares(ann, &with_bob, &with_all).await.expect("index");
    assert!(sharers(bob).await.is_empty());
    assert_eq!(sharers(cat).await, BTreeSet::from([ann.account]));

    // Anyone is anyone of the tenant.
    let with_anyone = set(&[Grantee::Anyone]);
    directory.index_shares(ann, &with_all, &with_anyone).await.expect("index");
    assert_eq!(sharers(bob).await, BTreeSet::from([ann.account]));
    assert_eq!(sharers(cat).await, BTreeSet::from([ann.account]));
    assert!(sharers(eve).await.is_empty() && sharers(ann).await.is_empty());

    // Identifiers name nobody of another tenant.
    let grantee = async |tenant, text| directory.grantee(tenant, text).await.expect("directory");
    assert_eq!(grantee(acme, "BOB@acme.example").await, Some(Grantee::Account(bob.account)));
    assert_eq!(grantee(acme, "Anyone").await, Some(Grantee::Anyone));
    assert_eq!(
        grantee(acme, "team@acme.example").await,
        Some(Grantee::Group("team@acme.example".to_owned()))
    );
    for nobody in ["eve@other.example", "nobody@acme.example", "bob", "", "-bob@acme.example"] {
        assert_eq!(grantee(acme, nobody).await, None, "{nobody}");
    }
    assert_eq!(directory.colleague(acme, "eve@other.example").await, Ok(None));
    assert_eq!(directory.colleague(acme, "no address").await, Ok(None));
    assert!(directory.colleague(acme, "bob@acme.example").await.expect("directory").is_some());
    assert!(!directory.is_in_group(eve, "all@acme.example").await.expect("directory"));
    assert!(directory.is_in_group(cat, "all@acme.example").await.expect("directory"));
    let text = directory.identifier(acme, &Grantee::Account(bob.account)).await;
    assert_eq!(text.as_deref(), Ok("bob@acme.example"));
}
