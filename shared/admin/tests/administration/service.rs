//! Administration as its callers see it: roles, grants, keys and the log, on a real store.
//!
//! Feature ADM-06: one creator, named by the operator, handed over by himself
//! Feature ADM-07: super admins
//! Feature ADM-08: graded admins with permissions, over the tenant or over departments with those below
//! Feature ADM-09: roles: named sets of permissions
//! Feature ADM-10: roles granted with a reach; nobody is lifted above who grants
//! Feature ADM-11: list of grants; what is taken away is gone at the next call

use std::sync::Arc;

use pennypost_admin::{
    Actor, AdminError, Administration, Call, Conflict, Grant, Grants, Holder, Invalid, NewAccount, NewKey,
    NotAuthentic, Origin, Outcome, Permission, Permissions, Reach, Why,
};
use pennypost_backend_embedded::{Embedded, Options};
use pennypost_directory::{AccountState, Directory, TenantState};
use pennypost_model::{AccountKey, TenantId, Timestamp};
use pennypost_ports::{Clock, RandomIds, SystemClock};

struct Bench {
    _dir: tempfile::TempDir,
    administration: Administration,
    directory: Directory,
    tenant: TenantId,
}

const OPERATOR: Call = Call::of_operator();

fn of(texts: &[&str]) -> Permissions {
    texts.iter().map(|text| text.parse::<Permission>().expect("a permission")).collect()
}

fn program(permissions: Permissions) -> NewKey {
    NewKey { name: "hr".to_owned(), holder: Holder::Program, permissions, expires: None }
}

impl Bench {
    async fn open() -> Bench {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let backend = Embedded::open(dir.path(), &Options::server()).expect("opens");
        let (clock, ids) = (Arc::new(SystemClock), Arc::new(RandomIds));
        let directory = Directory::new(backend.control(), Arc::clone(&clock) as _, Arc::clone(&ids) as _);
        let administration = Administration::new(directory.clone(), backend.control(), clock, ids);
        let tenant = administration.add_tenant(&OPERATOR, "acme").await.expect("tenant").id;
        administration.add_domain(&OPERATOR, tenant, "acme.example").await.expect("domain");
        Bench { _dir: dir, administration, directory, tenant }
    }

    async fn account(&self, name: &str) -> AccountKey {
        let new = NewAccount {
            address: format!("{name}@acme.example"),
            password: "a long password".to_owned(),
            display_name: String::new(),
            quota_bytes: None,
            departments: Vec::new(),
        };
        self.administration.add_account(&OPERATOR, self.tenant, &new).await.expect("account").key
    }

    /// Calls as an account, by a key of it.
    async fn as_account(&self, account: AccountKey, permissions: Permissions) -> Call {
        let holder = Holder::Account(account.account);
        let new = NewKey { name: "own".to_owned(), holder, permissions, expires: None };
        self.by_key(&self.administration.add_key(&OPERATOR, Some(self.tenant), new).await.expect("key").1)
            .await
    }

    async fn by_key(&self, text: &str) -> Call {
        let actor = self.administration.authenticate(text).await.expect("a key");
        Call { actor, origin: Origin::Api(None) }
    }

    async fn grant(&self, account: AccountKey, permissions: Permissions, reach: Reach) {
        let name = format!("role {}", account.account);
        let role =
            self.administration.add_role(&OPERATOR, self.tenant, &name, permissions).await.expect("role");
        let grants = Grants { is_super: false, roles: vec![Grant { role: role.id, reach }] };
        let changed = self.administration.change_grants(&OPERATOR, account, &Grants::default(), grants).await;
        changed.expect("granted");
    }

    async fn outcomes(&self) -> Vec<String> {
        let book = Some(self.tenant);
        let (records, _) =
            self.administration.operations(&OPERATOR, book, (None, None), 0, 500).await.expect("reads");
        let checked = self.administration.check_operations(book).await.expect("reads");
        assert_eq!((checked.records, checked.wrong), (records.len() as u64, Vec::new()));
        let shown = |record: &pennypost_admin::Record| {
            let pennypost_admin::Entry { action, object, outcome, .. } = &record.entry;
            let why = match outcome {
                Outcome::Ordered => String::new(),
                Outcome::Denied { why } => format!(" denied {why}"),
                Outcome::Failed { of, .. } => format!(" failed {of}"),
            };
            format!("{action} {object}{why}")
        };
        records.iter().map(shown).collect()
    }
}

fn denied<T: std::fmt::Debug>(result: Result<T, AdminError>) -> Why {
    match result {
        Err(AdminError::Denied(why)) => why,
        other => panic!("not denied: {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_lifts_himself_or_others_above_himself() {
    let it = Bench::open().await;
    let (admin, other) = (it.account("admin").await, it.account("other").await);
    it.grant(admin, of(&["administrators:write", "members:read"]), Reach::Tenant).await;
    let call = it.as_account(admin, Permissions::of_tenant()).await;
    let tenant = it.tenant;
    let administration = &it.administration;
    // A role that he could not fill himself.
    let role = administration.add_role(&call, tenant, "strong", of(&["members:write"])).await;
    assert_eq!(denied(role), Why::Above);
    let mild = administration.add_role(&call, tenant, "mild", of(&["members:read"])).await.expect("role");
    let stronger = administration.change_role(&call, tenant, &mild, "mild", of(&["log:read"])).await;
    assert_eq!(denied(stronger), Why::Above);
    // A role of the operator's that he has not.
    let strong =
        administration.add_role(&OPERATOR, tenant, "strong", of(&["keys:write"])).await.expect("role");
    for target in [admin, other] {
        let held = administration.grants_of(&call, target).await.expect("grants");
        let roles = vec![Grant { role: strong.id, reach: Reach::Tenant }];
        let lifted = Grants { is_super: false, roles };
        assert_eq!(denied(administration.change_grants(&call, target, &held, lifted).await), Why::Above);
        let lifted = Grants { is_super: true, ..held.clone() };
        assert_eq!(denied(administration.change_grants(&call, target, &held, lifted).await), Why::Above);
    }
    // What he has he may give.
    let given = Grants { is_super: false, roles: vec![Grant { role: mild.id, reach: Reach::Tenant }] };
    let change = administration.change_grants(&call, other, &Grants::default(), given.clone()).await;
    assert_eq!(change.expect("granted"), given);
    assert_eq!(
        administration.remove_role(&call, tenant, mild.id).await,
        Err(AdminError::Conflict(Conflict::RoleHeld))
    );
    // Nobody takes from somebody above.
    let chief = it.account("chief").await;
    let made = Grants { is_super: true, roles: Vec::new() };
    administration.change_grants(&OPERATOR, chief, &Grants::default(), made.clone()).await.expect("made");
    let taken = administration.change_grants(&call, chief, &made, Grants::default()).await;
    assert_eq!(denied(taken), Why::Above);
    let outcomes = it.outcomes().await;
    assert!(outcomes.iter().filter(|line| line.contains("denied above-actor")).count() >= 6, "{outcomes:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn grants_hold_and_end_at_once() {
    let it = Bench::open().await;
    let admin = it.account("admin").await;
    let secret = {
        let holder = Holder::Account(admin.account);
        let permissions = Permissions::of_tenant();
        let new = NewKey { name: "own".to_owned(), holder, permissions, expires: None };
        it.administration.add_key(&OPERATOR, Some(it.tenant), new).await.expect("key").1
    };
    let groups = async || {
        let call = it.by_key(&secret).await;
        it.administration.groups(&call, it.tenant, &Default::default()).await.map(|listed| listed.items.len())
    };
    assert_eq!(denied(groups().await), Why::NoPermission);
    it.grant(admin, of(&["groups:read"]), Reach::Tenant).await;
    assert_eq!(groups().await, Ok(0));
    let held = it.administration.grants_of(&OPERATOR, admin).await.expect("grants");
    it.administration.change_grants(&OPERATOR, admin, &held, Grants::default()).await.expect("ended");
    assert_eq!(denied(groups().await), Why::NoPermission);
    // Who has changed it meanwhile is not written over.
    let stale = it.administration.change_grants(&OPERATOR, admin, &held, held.clone()).await;
    assert_eq!(stale, Err(AdminError::Changed));
}

#[tokio::test(flavor = "multi_thread")]
async fn there_is_one_creator_and_he_hands_over() {
    let it = Bench::open().await;
    let (first, second) = (it.account("first").await, it.account("second").await);
    let (administration, tenant) = (&it.administration, it.tenant);
    administration.change_creator(&OPERATOR, tenant, None, first.account).await.expect("named");
    let chief = it.account("chief").await;
    let made = Grants { is_super: true, roles: Vec::new() };
    administration.change_grants(&OPERATOR, chief, &Grants::default(), made).await.expect("made");
    let call = it.as_account(chief, Permissions::of_tenant()).await;
    let by_super = administration.change_creator(&call, tenant, Some(first.account), chief.account).await;
    assert_eq!(denied(by_super), Why::NoPermission);
    let call = it.as_account(first, Permissions::of_tenant()).await;
    let stale = administration.change_creator(&call, tenant, None, second.account).await;
    assert_eq!(stale, Err(AdminError::Changed));
    administration.change_creator(&call, tenant, Some(first.account), second.account).await.expect("over");
    assert_eq!(administration.creator(&OPERATOR, tenant).await, Ok(Some(second.account)));
    // He who has handed over is a member.
    let call = it.as_account(first, Permissions::of_tenant()).await;
    let again = administration.change_creator(&call, tenant, Some(second.account), first.account).await;
    assert_eq!(denied(again), Why::NoPermission);
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_open_what_they_are_for_until_they_end() {
    let it = Bench::open().await;
    let (administration, book) = (&it.administration, Some(it.tenant));
    let (key, text) = administration.add_key(&OPERATOR, book, program(of(&["log:read"]))).await.expect("key");
    assert_eq!(administration.key(&OPERATOR, book, key.id).await.expect("key").used, None);
    let call = it.by_key(&text).await;
    assert!(matches!(&call.actor, Actor::Service { tenant, .. } if *tenant == book));
    assert!(administration.key(&OPERATOR, book, key.id).await.expect("key").used.is_some());
    administration.operations(&call, book, (None, None), 0, 1).await.expect("reads");
    assert_eq!(denied(administration.keys(&call, book, &Default::default()).await), Why::NoPermission);
    // Anything else opens nothing.
    let other = format!("{}{}", &text[..text.len() - 1], if text.ends_with('0') { '1' } else { '0' });
    let elsewhere = text.replacen(&it.tenant.to_string(), &TenantId(77).to_string(), 1);
    let upper = text.to_uppercase();
    for bad in ["", "ppk_", &other, &elsewhere, &upper, &text[1..], "ppk_é"] {
        assert_eq!(administration.authenticate(bad).await, Err(NotAuthentic::Unknown), "{bad}");
    }
    // A tenant that is suspended has no keys, an account that is disabled neither.
    let (ann, _) = (it.account("ann").await, ());
    let own = NewKey { holder: Holder::Account(ann.account), ..program(of(&["members:read"])) };
    let (_, own) = administration.add_key(&OPERATOR, book, own).await.expect("key");
    assert!(administration.authenticate(&own).await.is_ok());
    it.directory.set_account_state(ann, AccountState::Disabled).await.expect("disabled");
    assert_eq!(administration.authenticate(&own).await, Err(NotAuthentic::Unknown));
    it.directory.set_tenant_state(it.tenant, TenantState::Suspended).await.expect("suspended");
    assert_eq!(administration.authenticate(&text).await, Err(NotAuthentic::Unknown));
    it.directory.set_tenant_state(it.tenant, TenantState::Active).await.expect("active");
    assert!(administration.authenticate(&text).await.is_ok());
    administration.revoke_key(&OPERATOR, book, key.id).await.expect("revoked");
    assert_eq!(administration.authenticate(&text).await, Err(NotAuthentic::Unknown));
    let missing = administration.revoke_key(&OPERATOR, book, key.id).await;
    assert_eq!(missing, Err(AdminError::NotFound("key")));
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_no_way_up() {
    let it = Bench::open().await;
    let (administration, book) = (&it.administration, Some(it.tenant));
    let (admin, chief) = (it.account("admin").await, it.account("chief").await);
    it.grant(admin, of(&["keys:write", "members:write"]), Reach::Tenant).await;
    let call = it.as_account(admin, Permissions::of_tenant()).await;
    for permissions in [of(&["log:read"]), Permissions::of_tenant()] {
        assert_eq!(denied(administration.add_key(&call, book, program(permissions)).await), Why::Above);
    }
    let installation = administration.add_key(&OPERATOR, book, program(Permissions::all())).await;
    assert!(matches!(installation, Err(AdminError::Invalid(Invalid::Permissions))));
    // Whoever makes keys acts as nobody else, who may become more than he is.
    let stand_in = |account: AccountKey| NewKey {
        holder: Holder::Account(account.account),
        ..program(of(&["members:read"]))
    };
    assert_eq!(denied(administration.add_key(&call, book, stand_in(chief)).await), Why::Above);
    administration.add_key(&call, book, stand_in(admin)).await.expect("his own");
    let (_, text) = administration.add_key(&call, book, program(of(&["keys:write"]))).await.expect("key");
    let by_program = it.by_key(&text).await;
    assert_eq!(denied(administration.add_key(&by_program, book, stand_in(admin)).await), Why::Above);
    // No key of a tenant makes one of the installation.
    assert_eq!(
        denied(administration.add_key(&call, None, program(of(&["keys:read"]))).await),
        Why::NoPermission
    );
    let past = NewKey { expires: Some(Timestamp(SystemClock.now().0 - 1)), ..program(of(&["log:read"])) };
    assert!(matches!(
        administration.add_key(&OPERATOR, book, past).await,
        Err(AdminError::Invalid(Invalid::Past))
    ));
}

#[tokio::test(flavor = "multi_thread")]
async fn operators_keys_give_no_more_than_they_have() {
    let it = Bench::open().await;
    let administration = &it.administration;
    let narrow = program(of(&["installation:write"]));
    let (_, text) = administration.add_key(&OPERATOR, None, narrow.clone()).await.expect("key");
    let call = it.by_key(&text).await;
    administration.add_tenant(&call, "other").await.expect("tenant");
    administration.add_key(&call, None, narrow).await.expect("the same");
    let wide = administration.add_key(&call, None, program(Permissions::all())).await;
    assert_eq!(denied(wide), Why::Above);
    let accounts = administration.accounts(&call, it.tenant, &Default::default()).await;
    assert_eq!(denied(accounts.map(|listed| listed.items.len())), Why::NoPermission);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_another_tenants_is_not_there() {
    let it = Bench::open().await;
    let administration = &it.administration;
    let theirs = administration.add_tenant(&OPERATOR, "theirs").await.expect("tenant").id;
    administration.add_domain(&OPERATOR, theirs, "theirs.example").await.expect("domain");
    let (_, text) = administration
        .add_key(&OPERATOR, Some(it.tenant), program(Permissions::of_tenant()))
        .await
        .expect("key");
    let call = it.by_key(&text).await;
    assert_eq!(administration.tenant(&call, theirs).await, Err(AdminError::NotFound("tenant")));
    // In one's own place a foreign domain is as one that nobody has.
    let new = |address: &str| NewAccount {
        address: address.to_owned(),
        password: "a long password".to_owned(),
        display_name: String::new(),
        quota_bytes: None,
        departments: Vec::new(),
    };
    let texts = async |address: &str| {
        let account = administration.add_account(&call, it.tenant, &new(address)).await.expect_err("refused");
        let alias = administration.add_alias(&call, it.tenant, address, &[]).await.expect_err("refused");
        let group = administration.add_group(&call, it.tenant, address, "", &[]).await.expect_err("refused");
        [account, alias, group].map(|error| error.to_string().replace("theirs", "nobodys"))
    };
    assert_eq!(texts("x@theirs.example").await, texts("x@nobodys.example").await);
    for domain in ["theirs.example", "nobodys.example", "no domain"] {
        let found = administration.domain(&call, it.tenant, domain).await;
        assert_eq!(found, Err(AdminError::NotFound("domain")));
    }
    assert_eq!(it.directory.accounts(theirs, &Default::default()).await.expect("lists").items, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_are_recorded_behind_their_orders() {
    let it = Bench::open().await;
    let ann = it.account("ann").await;
    let again = it.directory.account(ann).await.expect("reads").expect("there");
    let targets = ["nobody@acme.example".to_owned()];
    it.administration.add_alias(&OPERATOR, it.tenant, "a@acme.example", &targets).await.expect_err("nobody");
    let change = pennypost_admin::AccountChange { quota_bytes: Some(Some(7)), state: None };
    it.administration.change_account(&OPERATOR, &again, change).await.expect("changed");
    let stale = it.administration.change_account(&OPERATOR, &again, change).await;
    assert_eq!(stale, Err(AdminError::Changed));
    assert_eq!(
        it.outcomes().await,
        [
            "domain.add acme.example",
            "account.add ann@acme.example",
            "alias.add a@acme.example",
            "alias.add a@acme.example failed 3",
            "account.change ann@acme.example",
            "account.change ann@acme.example",
            "account.change ann@acme.example failed 6",
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn administrators_of_departments_reach_what_lies_below() {
    let it = Bench::open().await;
    let wanted = ["Sales", "Sales/North", "Law"]
        .map(|path| pennypost_directory::NewDepartment { path: path.to_owned(), description: String::new() });
    it.directory.ensure_departments(it.tenant, &wanted, false).await.expect("departments");
    let tree = it.directory.departments(it.tenant).await.expect("departments");
    let [sales, north, law] = ["Sales", "Sales/North", "Law"].map(|path| tree.find(path).expect("there"));
    let admin = it.account("admin").await;
    it.grant(admin, of(&["members:write"]), Reach::Departments([sales].into())).await;
    let call = it.as_account(admin, Permissions::of_tenant()).await;
    let add = async |call: &Call, name: &str, departments: &[pennypost_admin::DepartmentId]| {
        let new = NewAccount {
            address: format!("{name}@acme.example"),
            password: "a long password".to_owned(),
            display_name: String::new(),
            quota_bytes: None,
            departments: departments.to_vec(),
        };
        it.administration.add_account(call, it.tenant, &new).await
    };
    let below = add(&call, "below", &[north]).await.expect("within reach").key;
    let lawyer = add(&OPERATOR, "lawyer", &[law]).await.expect("account").key;
    for outside in [&[law][..], &[], &[north, law]] {
        assert_eq!(denied(add(&call, "outside", outside).await), Why::OutOfReach, "{outside:?}");
    }
    it.administration.set_password(&call, below, "another password", false).await.expect("within reach");
    let beyond = it.administration.set_password(&call, lawyer, "another password", false).await;
    assert_eq!(denied(beyond), Why::OutOfReach);
    let listed =
        it.administration.accounts(&call, it.tenant, &Default::default()).await.expect("lists").items;
    let mut seen: Vec<String> = listed.iter().map(|account| account.address.to_string()).collect();
    seen.sort();
    assert_eq!(seen, ["admin@acme.example", "below@acme.example"], "his own, and those within reach");
    let found = it.administration.account_at(&call, it.tenant, "lawyer@acme.example").await;
    assert_eq!(found.expect("looked up"), None);
    assert_eq!(denied(it.administration.account(&call, lawyer).await), Why::OutOfReach);
}
