//! The daily round of domains, on a real store with a zone and a clock of the test: keys are taken into use, changed for
//! new ones, and forgotten, each with a record.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use pennypost_admin::{
    AdminError, Administration, By, Call, Conflict, Invalid, KeyId, Origin, Permissions, Worked,
};
use pennypost_backend_embedded::{Embedded, Options};
use pennypost_directory::{Directory, DomainState};
use pennypost_domains::Service;
use pennypost_model::{TenantId, Timestamp};
use pennypost_ports::{Clock, Dns, DnsError, DnsKind, DnsRecord, FetchError, Https, HttpsRequest, RandomIds};
use pennypost_sealing::Keyring;
use pennypost_signing::{Algorithm, KeyState, Rotation};

const OPERATOR: Call = Call::of_operator();
const DOMAIN: &str = "acme.example";
const DAY: i64 = 86_400_000;

struct TestClock(AtomicI64);

#[async_trait]
impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }

    async fn sleep(&self, _: Duration) {}
}

#[derive(Default)]
struct Zone {
    texts: Mutex<HashMap<String, String>>,
    asked: AtomicI64,
    is_silent: Mutex<bool>,
}

#[async_trait]
impl Dns for Zone {
    async fn look_up(&self, name: &str, kind: DnsKind) -> Result<Vec<DnsRecord>, DnsError> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        if *self.is_silent.lock() {
            return Err(DnsError("timed out".to_owned()));
        }
        let found = self.texts.lock().get(name).cloned().filter(|_| kind == DnsKind::Txt);
        Ok(found.map(DnsRecord::Txt).into_iter().collect())
    }
}

#[async_trait]
impl Https for Zone {
    async fn fetch(&self, _: &str, _: &str) -> Result<Vec<u8>, FetchError> {
        Err(FetchError::NoHost)
    }

    async fn ask(&self, _request: &HttpsRequest<'_>) -> Result<Vec<u8>, FetchError> {
        Err(FetchError::NoHost)
    }
}

struct Bench {
    it: Administration,
    directory: Directory,
    clock: Arc<TestClock>,
    zone: Arc<Zone>,
    tenant: TenantId,
    _backend: Embedded,
    _dir: tempfile::TempDir,
}

impl Bench {
    async fn open() -> Bench {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let backend = Embedded::open(dir.path(), &Options::server()).expect("opens");
        // 2026-11-22.
        let clock = Arc::new(TestClock(AtomicI64::new(1_795_305_600_000)));
        let (at, ids): (Arc<dyn Clock>, _) = (Arc::clone(&clock) as _, Arc::new(RandomIds));
        let directory = Directory::new(backend.control(), Arc::clone(&at), Arc::clone(&ids) as _);
        let zone = Arc::new(Zone::default());
        let ring = Keyring::parse(&Keyring::fresh().expect("randomness")).expect("a key");
        let it = Administration::new(directory.clone(), backend.control(), at, ids)
            .looking_up(Arc::clone(&zone) as _, Arc::clone(&zone) as _)
            .sealing(Arc::new(ring));
        let tenant = it.add_tenant(&OPERATOR, "acme").await.expect("tenant").id;
        it.add_domain(&OPERATOR, tenant, DOMAIN).await.expect("domain");
        it.change_service(&OPERATOR, None, Service::at("mx.post.example")).await.expect("said");
        Bench { it, directory, clock, zone, tenant, _backend: backend, _dir: dir }
    }

    async fn add(&self) -> String {
        let made = self.it.add_domain_key(&OPERATOR, self.tenant, DOMAIN, Algorithm::Ed25519).await;
        made.expect("made").1.selector
    }

    /// Sets the records that are wanted of keys, and no others.
    async fn publish(&self) {
        let (_, keys) = self.it.domain_keys(&OPERATOR, self.tenant, DOMAIN).await.expect("keys");
        let needed = keys.keys.iter().filter(|key| key.needs_record());
        let rows = needed.map(|key| (format!("{}._domainkey.{DOMAIN}", key.selector), key.record()));
        *self.zone.texts.lock() = rows.collect();
    }

    async fn after(&self, days: i64) {
        self.clock.0.fetch_add(days * DAY, Ordering::SeqCst);
        self.round().await;
    }

    async fn round(&self) {
        let until = Timestamp(i64::MAX);
        assert_eq!(self.it.look_after_domains(self.tenant, until).await, Ok(Worked::Over));
    }

    async fn states(&self) -> Vec<(String, KeyState)> {
        let (_, keys) = self.it.domain_keys(&OPERATOR, self.tenant, DOMAIN).await.expect("keys");
        keys.keys.into_iter().map(|key| (key.selector, key.state)).collect()
    }

    async fn needs_attention(&self) -> bool {
        let domain = self.it.domain(&OPERATOR, self.tenant, DOMAIN).await.expect("a domain");
        domain.health.expect("looked at").needs_attention
    }

    /// What was recorded of keys: by whom, and what it became.
    async fn records(&self) -> Vec<(By, String)> {
        let book = Some(self.tenant);
        let (records, _) = self.it.operations(&OPERATOR, book, (None, None), 0, 500).await.expect("reads");
        let of_keys = records.into_iter().filter(|record| record.entry.action.starts_with("domain-key"));
        of_keys.map(|record| (record.entry.by, record.entry.after.unwrap_or_default())).collect()
    }
}

/// Feature DOM-10: domains are looked at every day, without anybody asking
#[tokio::test(flavor = "multi_thread")]
async fn keys_are_taken_into_use_changed_and_forgotten_by_the_daily_round() {
    let it = Bench::open().await;
    let first = it.add().await;
    it.round().await;
    assert_eq!(it.states().await, [(first.clone(), KeyState::Waiting)]);
    assert!(it.needs_attention().await);
    it.publish().await;
    // Looked at a moment ago.
    let asked = it.zone.asked.load(Ordering::SeqCst);
    it.round().await;
    assert_eq!(it.zone.asked.load(Ordering::SeqCst), asked);
    it.after(1).await;
    assert_eq!(it.states().await, [(first.clone(), KeyState::Active)]);
    // A silent DNS changes nothing.
    *it.zone.is_silent.lock() = true;
    it.after(1).await;
    *it.zone.is_silent.lock() = false;
    assert_eq!(it.states().await, [(first.clone(), KeyState::Active)]);

    // After half a year there is another one, which waits for its record.
    it.after(178).await;
    assert_eq!(it.states().await.len(), 1);
    it.after(1).await;
    let states = it.states().await;
    let second = states[1].0.clone();
    assert_eq!(states, [(first.clone(), KeyState::Active), (second.clone(), KeyState::Waiting)]);
    assert_eq!(second, "e20270522");
    it.publish().await;
    it.after(1).await;
    assert_eq!(it.states().await, [(first.clone(), KeyState::Retiring), (second.clone(), KeyState::Active)]);
    it.after(6).await;
    assert_eq!(it.states().await[0].1, KeyState::Retiring);
    it.after(1).await;
    assert_eq!(it.states().await[0].1, KeyState::Removed);
    it.publish().await;
    it.after(2).await;
    assert_eq!(it.states().await, [(second.clone(), KeyState::Active)]);

    let of = |selector: &str, state: &str| format!(r#"{{"selector":"{selector}","state":"{state}"}}"#);
    let made = r#"{"algorithm":"ed25519"}"#.to_owned();
    let expected = [
        (By::Operator, made.clone()),
        (By::Schedule, of(&first, "active")),
        (By::Schedule, made),
        (By::Schedule, of(&second, "active")),
        (By::Schedule, of(&first, "retiring")),
        (By::Schedule, of(&first, "removed")),
        (By::Schedule, of(&first, "forgotten")),
    ];
    assert_eq!(it.records().await, expected);
    assert_eq!(it.it.check_operations(Some(it.tenant)).await.expect("reads").wrong, [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_round_that_has_no_time_left_goes_on_with_the_others() {
    let it = Bench::open().await;
    for name in ["b.example", "c.example"] {
        it.it.add_domain(&OPERATOR, it.tenant, name).await.expect("domain");
    }
    let claim = ("00".repeat(16), "00".repeat(4));
    it.directory.claim_domain(it.tenant, "claimed.example", claim).await.expect("claimed");
    let now = it.clock.now();
    assert_eq!(it.it.look_after_domains(it.tenant, now).await, Ok(Worked::More));
    assert_eq!(it.zone.asked.load(Ordering::SeqCst), 0);
    it.round().await;
    for name in [DOMAIN, "b.example", "c.example"] {
        let domain = it.it.domain(&OPERATOR, it.tenant, name).await.expect("a domain");
        assert_eq!(domain.health.map(|health| health.time), Some(now), "{name}");
    }
    let claim = it.it.domain(&OPERATOR, it.tenant, "claimed.example").await.expect("a claim");
    assert_eq!((claim.state, claim.health), (DomainState::Pending, None));
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_for_owned_domains_and_rules_are_not_written_over() {
    let it = Bench::open().await;
    let (tenant, ed25519) = (it.tenant, Algorithm::Ed25519);
    let claim = ("00".repeat(16), "00".repeat(4));
    it.directory.claim_domain(tenant, "claimed.example", claim).await.expect("claimed");
    let refused = it.it.add_domain_key(&OPERATOR, tenant, "claimed.example", ed25519).await;
    assert!(matches!(refused, Err(AdminError::Directory(_))), "{refused:?}");
    let nowhere = it.it.add_domain_key(&OPERATOR, tenant, "other.example", ed25519).await;
    assert_eq!(nowhere.err(), Some(AdminError::NotFound("domain")));
    let selector = it.add().await;
    let again = it.it.add_domain_key(&OPERATOR, tenant, DOMAIN, ed25519).await.err();
    assert_eq!(again, Some(AdminError::Conflict(Conflict::KeyWaits)));

    let operator = OPERATOR;
    let (seen, wished) = (Rotation::default(), Rotation { after_days: None, publish_days: 30 });
    let change =
        |expected, rotation| it.it.change_key_rotation(&operator, tenant, DOMAIN, expected, rotation);
    let bad = Rotation { after_days: Some(1), publish_days: 30 };
    assert_eq!(change(seen, bad).await.err(), Some(AdminError::Invalid(Invalid::KeyRotation)));
    assert_eq!(change(seen, wished).await.map(|keys| keys.rotation), Ok(wished));
    assert_eq!(change(seen, wished).await.err(), Some(AdminError::Changed));

    // Who may only look takes nothing into use in his own name that the record does not tell.
    it.publish().await;
    let reader = Call {
        actor: pennypost_admin::Actor::Service {
            key: KeyId(1),
            name: "watch".to_owned(),
            tenant: Some(tenant),
            permissions: ["domains:read"].iter().filter_map(|one| one.parse().ok()).collect::<Permissions>(),
        },
        origin: Origin::Api(None),
    };
    it.it.check_domain(&reader, tenant, DOMAIN).await.expect("looked");
    assert_eq!(it.states().await, [(selector.clone(), KeyState::Active)]);
    assert!(
        matches!(&it.records().await.last().expect("a record").0, By::Service { name, .. } if name == "watch")
    );
    let denied = it.it.withdraw_domain_key(&reader, tenant, DOMAIN, &selector).await.err();
    assert!(matches!(denied, Some(AdminError::Denied(_))), "{denied:?}");
    it.it.withdraw_domain_key(&OPERATOR, tenant, DOMAIN, &selector).await.expect("withdrawn");
    let gone = it.it.withdraw_domain_key(&OPERATOR, tenant, DOMAIN, &selector).await;
    assert_eq!(gone, Err(AdminError::NotFound("key")));

    // With the domain go its keys.
    let contents = it.it.domain_contents(&OPERATOR, tenant, DOMAIN).await.expect("contents");
    let code = pennypost_admin::removal_code(&contents.0, &contents.1);
    assert_eq!(it.it.remove_domain(&OPERATOR, tenant, DOMAIN, &code).await, Ok(true));
    it.it.add_domain(&OPERATOR, tenant, DOMAIN).await.expect("again");
    assert_eq!(it.states().await, []);
}
