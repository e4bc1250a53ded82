//! Domains that tenants get below one of the operator's.

use pennypost_admin::Trial;
use pennypost_directory::{DomainName, Plan, Verification};
use pennypost_model::{TenantId, codec};
use pennypost_ports::{Consistency, ControlKey, DnsRecord, Expected};
use serde_json::json;

use crate::sign_ups::{BASE, Bench, bench, said, with};
use crate::support::OPERATOR;

impl Bench {
    /// The trial domain was replaced so many days earlier.
    async fn age_trial(&self, tenant: TenantId, days: i64) {
        let key = ControlKey::new(tenant.to_string(), "trial-domain");
        let held = self.office.control.get(&key, Consistency::Strong).await.expect("read").expect("there");
        let mut trial: Trial = codec::decode(&held.value).expect("a trial domain");
        let (_, since) = trial.replaced.as_mut().expect("replaced");
        *since = since.plus_millis(-days * 24 * 60 * 60 * 1000);
        let put =
            self.office.control.put_if(&key, &codec::encode(&trial), Expected::Version(held.version)).await;
        put.expect("written");
    }
}

/// What is sent to a former trial name comes to nobody else, and a tenant has one in its life, even if it removes it itself.
#[tokio::test(flavor = "multi_thread")]
async fn a_trial_name_is_one_tenants_for_ever() {
    let it = bench(Some(BASE), 100).await;
    let administration = &it.office.administration;
    let tenant = administration.add_tenant(&OPERATOR, "acme").await.expect("tenant").id;
    let others = administration.add_tenant(&OPERATOR, "others").await.expect("tenant").id;
    administration.take_trial_domain(&OPERATOR, tenant, "acme").await.expect("given");
    let (domain, contents) =
        administration.domain_contents(&OPERATOR, tenant, "acme.trial.example").await.expect("read");
    let code = pennypost_admin::removal_code(&domain, &contents);
    let removed = administration.remove_domain(&OPERATOR, tenant, "acme.trial.example", &code).await;
    assert_eq!(removed, Ok(true));
    administration.take_trial_domain(&OPERATOR, tenant, "another").await.expect_err("one in its life");
    administration.take_trial_domain(&OPERATOR, others, "acme").await.expect_err("another one's for ever");
    // It may have another one.
    administration.take_trial_domain(&OPERATOR, others, "others").await.expect("given");
    // Whoever signs up with that label gets one like it.
    let (_, address) = it.open(with(said(), &[("label", json!("acme"))])).await;
    assert_eq!(address, "zhangsan@acme2.trial.example");
}

/// A domain that stands for the trial domain keeps it, and no look fails for it; an own one that is removed again is replaced.
#[tokio::test(flavor = "multi_thread")]
async fn a_trial_domain_that_is_in_use_stays() {
    let it = bench(Some(BASE), 100).await;
    let administration = &it.office.administration;
    let directory = administration.directory();
    let tenant = administration.add_tenant(&OPERATOR, "acme").await.expect("tenant").id;
    administration.take_trial_domain(&OPERATOR, tenant, "acme").await.expect("given");
    let ann = it.office.account(tenant, "ann@acme.trial.example".to_owned()).await;
    for name in ["typo.example", "acme.example", "short.example"] {
        administration.add_domain(&OPERATOR, tenant, name).await.expect("given");
        it.office.zone.set(name, DnsRecord::Mx { preference: 10, host: "mx.post.example".to_owned() });
    }
    administration
        .set_domain_alias(&OPERATOR, tenant, "short.example", Some("acme.trial.example"))
        .await
        .expect("an alias");
    // The first own one is removed again, and nobody has an address there any more.
    administration.check_domain(&OPERATOR, tenant, "typo.example").await.expect("looked");
    directory.change_address(ann, "ann@acme.trial.example").await.expect("back");
    let typo = DomainName::parse("typo.example").expect("a domain");
    while !directory.remove_domain(tenant, &typo, 100).await.expect("removed") {}
    administration.check_domain(&OPERATOR, tenant, "acme.example").await.expect("looked");
    let now = directory.account(ann).await.expect("read").expect("there").address.to_string();
    assert_eq!(now, "ann@acme.example");
    it.age_trial(tenant, 31).await;
    administration.check_domain(&OPERATOR, tenant, "acme.example").await.expect("looked");
    assert_eq!(it.gets("ann@acme.trial.example").await, Some(ann));
    administration.set_domain_alias(&OPERATOR, tenant, "short.example", None).await.expect("by itself");
    administration.check_domain(&OPERATOR, tenant, "acme.example").await.expect("looked");
    assert_eq!(it.gets("ann@acme.trial.example").await, None);
    assert_eq!(it.gets("ann@acme.example").await, Some(ann));
}

/// A trial domain is no claim and none of one's own: the plan's one domain is still to be had. A domain with which somebody signed up
/// is that one.
#[tokio::test(flavor = "multi_thread")]
async fn a_trial_domain_is_no_domain_of_the_plan() {
    let it = bench(Some(BASE), 100).await;
    let claim = async |tenant: TenantId, token: &str, name: &str| {
        it.office
            .ask(token, "POST", &format!("/tenants/{tenant}/domains"), Some(&json!({ "name": name })))
            .await
    };
    let token_of = async |address: &str| {
        it.sign_in(address).await.json()["token"].as_str().expect("a session").to_owned()
    };
    let is_added = async |tenant: TenantId, token: &str| {
        let home = it.office.ask(token, "GET", &format!("/tenants/{tenant}/home"), None).await.json();
        let steps = home["guide"].as_array().expect("steps");
        let step = steps.iter().find(|step| step["step"] == "add-domain").expect("a step");
        step["done"].as_bool().expect("said")
    };
    let (key, address) = it.open(said()).await;
    let token = token_of(&address).await;
    assert!(!is_added(key.tenant, &token).await);
    let claimed = claim(key.tenant, &token, "first.example").await;
    assert_eq!(claimed.status, 201, "{}", claimed.text);
    claim(key.tenant, &token, "second.example").await.assert_problem(409, "plan-limit");

    let own = [
        ("organisation", json!("Acme")),
        ("mobile", json!("+8613800000002")),
        ("domain", json!("acme.example")),
    ];
    let (secret, code) = it.begin(with(said(), &own)).await;
    let waiting = it.confirm(&secret, &code).await.json();
    let text = |name: &str| waiting["records"][0][name].as_str().expect("text").to_owned();
    it.office.zone.set(&text("name"), DnsRecord::Txt(text("value")));
    let done = it.confirm(&secret, &code).await.json();
    assert_eq!(done["address"], "zhangsan@acme.example", "{done}");
    let tenant = done["tenant"].as_str().expect("text").parse().expect("an id");
    let token = token_of("zhangsan@acme.example").await;
    assert!(is_added(tenant, &token).await);
    claim(tenant, &token, "second.example").await.assert_problem(409, "plan-limit");
}

/// Feature DOM-01: a free domain below the operator's, usable at once, not for verification; replaced by the first own one that is active, without losing mail, and removed after that
#[tokio::test(flavor = "multi_thread")]
async fn a_trial_domain_is_replaced_by_an_own_one() {
    let it = bench(Some(BASE), 100).await;
    let administration = &it.office.administration;
    let tenant = administration.add_tenant(&OPERATOR, "acme").await.expect("tenant").id;
    let key = it.office.key(Some(tenant), None, pennypost_admin::Permissions::of_tenant()).await;
    let path = format!("/tenants/{tenant}/trial-domain");
    let take = async |label: &str| it.office.ask(&key, "POST", &path, Some(&json!({ "label": label }))).await;
    for bad in ["www", "Acme", "a"] {
        take(bad).await.assert_problem(422, "invalid");
    }
    assert_eq!(take("acme").await.json()["name"], "acme.trial.example");
    take("other").await.assert_problem(409, "other-state");
    let others = administration.add_tenant(&OPERATOR, "others").await.expect("tenant").id;
    let taken = administration.take_trial_domain(&OPERATOR, others, "acme").await;
    assert!(taken.is_err(), "{taken:?}");
    administration.take_trial_domain(&OPERATOR, others, "others").await.expect("given");

    // Usable at once.
    let ann = it.office.account(tenant, "ann@acme.trial.example".to_owned()).await;
    let bob = it.office.account(tenant, "bob@acme.trial.example".to_owned()).await;
    assert_eq!(it.gets("ann@acme.trial.example").await, Some(ann));
    let directory = administration.directory();
    let all = "all@acme.trial.example";
    directory
        .add_group(all, "", &["ann@acme.trial.example", "bob@acme.trial.example"])
        .await
        .expect("a group");
    let verified = Plan { verification: Verification::Verified, ..Plan::basic() };
    administration.change_plan(&OPERATOR, tenant, None, &verified).await.expect_err("a trial domain only");

    // Somebody has an address there already: that one stays where it is.
    it.office.account(others, "x@others.trial.example".to_owned()).await;
    administration.add_domain(&OPERATOR, tenant, "acme.example").await.expect("given");
    let carl = it.office.account(tenant, "bob@acme.example".to_owned()).await;
    it.office.zone.set("acme.example", DnsRecord::Mx { preference: 10, host: "mx.post.example".to_owned() });
    administration.check_domain(&OPERATOR, tenant, "acme.example").await.expect("looked");
    administration.change_plan(&OPERATOR, tenant, None, &verified).await.expect("a domain of its own");
    let own = |local: &str| format!("{local}@acme.example");
    let ann_now = directory.account(ann).await.expect("read").expect("there").address.to_string();
    assert_eq!(ann_now, own("ann"));
    for (address, account) in [
        ("ann@acme.trial.example", ann),
        ("ann@acme.example", ann),
        ("bob@acme.trial.example", bob),
        ("bob@acme.example", carl),
    ] {
        assert_eq!(it.gets(address).await, Some(account), "{address}");
    }
    let members = directory.group(all).await.expect("read").expect("a group").members;
    let members: Vec<String> = members.iter().map(|member| member.address().to_string()).collect();
    assert_eq!(members, ["ann@acme.example", "bob@acme.trial.example"]);
    let told = it.office.ask(&key, "GET", &path, None).await.json();
    assert_eq!(
        (&told["name"], &told["replaced_by"], &told["gone"]),
        (&json!("acme.trial.example"), &json!("acme.example"), &json!(false))
    );

    // Its time is over: as long as something has its own address there, it stays.
    it.age_trial(tenant, 31).await;
    administration.check_domain(&OPERATOR, tenant, "acme.example").await.expect("looked");
    assert_eq!(it.gets("ann@acme.trial.example").await, Some(ann));
    directory.change_address(bob, "robert@acme.example").await.expect("another address");
    directory.remove_group(all).await.expect("removed");
    administration.check_domain(&OPERATOR, tenant, "acme.example").await.expect("looked");
    assert_eq!(it.gets("ann@acme.trial.example").await, None);
    assert_eq!(
        (it.gets("ann@acme.example").await, it.gets("robert@acme.example").await),
        (Some(ann), Some(bob))
    );
    assert_eq!(it.office.ask(&key, "GET", &path, None).await.json()["gone"], true);
    take("again").await.assert_problem(409, "other-state");
    // Nobody else's was touched.
    assert!(it.gets("x@others.trial.example").await.is_some());
}
