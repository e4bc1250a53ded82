//! Rules of signing in: locks, addresses, passwords, secure sign-in; and the record of sign-ins.

use std::net::IpAddr;
use std::sync::Arc;

use crate::memory::{House, PASSWORD};
use async_trait::async_trait;
use parking_lot::Mutex;
use pennypost_directory::{
    AccessTokens, Account, AccountRules, AddressRule, Attempt, ChangePasswordError, DepartmentId,
    DirectoryError, Exempt, LockRules, Outcomes, Page, PasswordRules, PasswordState, SignInError, SignInKind,
    SignInLog, SignInOutcome, SignInQuery, SignInRules, TokenScope, Verdict,
};
use pennypost_model::{EventId, Timestamp};
use pennypost_ports::{Ids, Log, LogKind, LogQuery, LogRecord, PortError, PortResult, RandomIds};

const LOGIN: &str = "alice@acme.example";
const HOME: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(198, 51, 100, 7));
const MINUTE: i64 = 60_000;

fn stranger(number: u8) -> IpAddr {
    IpAddr::from([203, 0, number, 9])
}

fn imap(client: IpAddr) -> Attempt {
    Attempt::new(SignInKind::Imap, "PLAIN", client)
}

async fn with_alice() -> (House, Account) {
    let (house, _) = House::with_acme().await;
    let alice = house.directory.add_account(LOGIN, PASSWORD, "Alice", None).await.expect("alice");
    (house, alice)
}

async fn say(house: &House, account: &Account, change: impl FnOnce(&mut SignInRules)) {
    let tenant = account.key.tenant;
    let mut rules = house.directory.sign_in_rules(tenant).await.expect("rules");
    change(&mut rules);
    house.directory.set_sign_in_rules(tenant, &rules).await.expect("valid").expect("stored");
}

/// Fails until it is locked; how many were looked at.
async fn fail_until_locked(house: &House, from: impl Fn(u8) -> IpAddr) -> u8 {
    let mut looked_at = 0;
    for _ in 0..200 {
        match house.directory.sign_in(&imap(from(looked_at)), LOGIN, "a wrong password").await {
            Err(SignInError::Denied) => looked_at += 1,
            Err(SignInError::TooManyFailures { retry_after }) => {
                house.clock.advance(i64::try_from(retry_after.as_millis()).expect("short"));
            }
            Err(SignInError::Locked { .. }) => return looked_at,
            other => panic!("{other:?}"),
        }
    }
    panic!("never locked")
}

#[tokio::test]
async fn wrong_passwords_lock_strangers_out_and_not_the_member_at_home() {
    let (house, alice) = with_alice().await;
    let directory = &house.directory;
    let (key, tenant) = (alice.key, alice.key.tenant);
    say(&house, &alice, |rules| rules.lock = LockRules { count: 7, minutes: 30, ..LockRules::default() })
        .await;
    directory.sign_in(&imap(HOME), LOGIN, PASSWORD).await.expect("at home");
    assert_eq!(fail_until_locked(&house, stranger).await, 7);
    let locked = directory.sign_in(&imap(stranger(99)), LOGIN, PASSWORD).await;
    assert!(matches!(locked, Err(SignInError::Locked { until: Some(_) })), "{locked:?}");
    // The network from which the account was opened before, not only the address.
    let neighbour = IpAddr::from([198, 51, 100, 200]);
    directory.sign_in(&imap(neighbour), LOGIN, PASSWORD).await.expect("not locked at home");

    let locks = directory.locks(tenant, &Page::default()).await.expect("list").items;
    assert_eq!(locks.len(), 1);
    let lock = &locks[0];
    assert_eq!((lock.account, lock.place.as_str(), lock.wrong), (key.account, "strangers", 7));
    // It ends by itself.
    house.clock.advance(30 * MINUTE);
    assert!(directory.locks(tenant, &Page::default()).await.expect("list").items.is_empty());
    directory.sign_in(&imap(stranger(99)), LOGIN, PASSWORD).await.expect("over");

    // Or when somebody unlocks it.
    say(&house, &alice, |rules| rules.lock.minutes = 0).await;
    house.clock.advance(61 * MINUTE);
    assert_eq!(fail_until_locked(&house, |_| HOME).await, 7);
    house.clock.advance(1_000 * MINUTE);
    let locked = directory.sign_in(&imap(HOME), LOGIN, PASSWORD).await;
    assert_eq!(locked.map(drop), Err(SignInError::Locked { until: None }));
    assert_eq!(directory.unlock(key).await, Ok(1));
    assert_eq!(directory.unlock(key).await, Ok(0));
    assert!(directory.locks(tenant, &Page::default()).await.expect("list").items.is_empty());
    directory.sign_in(&imap(HOME), LOGIN, PASSWORD).await.expect("unlocked");
}

#[tokio::test]
async fn aliases_give_no_further_guesses_and_unknown_logins_lock_alike() {
    let (house, alice) = with_alice().await;
    let directory = &house.directory;
    directory.add_alias("al@acme.example", &[LOGIN]).await.expect("alias");
    say(&house, &alice, |rules| rules.lock.count = 3).await;
    for (logins, name) in [([LOGIN, "al@acme.example", LOGIN], "known"), (["no@acme.example"; 3], "unknown")]
    {
        for login in logins {
            let denied = directory.sign_in(&imap(stranger(1)), login, "a wrong password").await;
            assert_eq!(denied.map(drop), Err(SignInError::Denied), "{name}");
        }
        let locked = directory.sign_in(&imap(stranger(2)), logins[1], "a wrong password").await;
        assert!(matches!(locked, Err(SignInError::Locked { .. })), "{name}: {locked:?}");
    }
    assert_eq!(directory.locks(alice.key.tenant, &Page::default()).await.expect("list").items.len(), 1);
}

#[tokio::test]
async fn wrong_passwords_from_trusted_networks_never_lock() {
    let (house, alice) = with_alice().await;
    say(&house, &alice, |rules| {
        rules.lock.count = 3;
        rules.lock.trusted = vec!["203.0.0.0/16".parse().expect("a network")];
    })
    .await;
    for _ in 0..30 {
        match house.directory.sign_in(&imap(stranger(1)), LOGIN, "a wrong password").await {
            Err(SignInError::Denied) => {}
            Err(SignInError::TooManyFailures { retry_after }) => {
                house.clock.advance(i64::try_from(retry_after.as_millis()).expect("short"));
            }
            other => panic!("{other:?}"),
        }
    }
    // Nor is anybody else there slowed.
    house.directory.add_account("bob@acme.example", PASSWORD, "", None).await.expect("bob");
    house.directory.sign_in(&imap(stranger(1)), "bob@acme.example", PASSWORD).await.expect("signed in");
    let locked = fail_until_locked(&house, |_| HOME).await;
    assert_eq!(locked, 3);
}

#[tokio::test]
async fn tokens_open_what_wrong_passwords_have_locked() {
    let (house, alice) = with_alice().await;
    say(&house, &alice, |rules| rules.lock.count = 3).await;
    let (_, token) =
        house.directory.add_token(alice.key, "phone", TokenScope::ALL, None).await.expect("token");
    fail_until_locked(&house, |_| stranger(1)).await;
    let opened = house.directory.sign_in(&imap(stranger(1)), LOGIN, &token).await.expect("by token");
    assert!(!opened.is_by_password());
    let used = house.directory.tokens(alice.key).await.expect("list")[0].used.expect("used");
    assert_eq!((used.client, used.kind), (stranger(1), SignInKind::Imap));
}

#[tokio::test]
async fn rules_of_addresses_hold_for_passwords_tokens_and_open_sessions() {
    let (house, alice) = with_alice().await;
    let directory = &house.directory;
    let key = alice.key;
    let (_, token) = directory.add_token(key, "phone", TokenScope::ALL, None).await.expect("token");
    let by_password = directory.sign_in(&imap(HOME), LOGIN, PASSWORD).await.expect("open to all");
    let by_token = directory.sign_in_with_token(&imap(HOME), None, &token).await.expect("open to all");
    let only = |text: &str, others| AddressRule {
        allow: vec![text.parse().expect("a network")],
        deny: Vec::new(),
        others,
    };
    let is_in = async |client: IpAddr| {
        let password = directory.sign_in(&imap(client), LOGIN, PASSWORD).await;
        let token = directory.sign_in_with_token(&imap(client), None, &token).await;
        assert_eq!(password.is_ok(), token.is_ok());
        assert_eq!(password.is_ok(), directory.admits_from(key, client).await.expect("asked"));
        if let Err(error) = &password {
            assert_eq!(
                (error, token.err().as_ref()),
                (&SignInError::Elsewhere, Some(&SignInError::Elsewhere))
            );
        }
        password.is_ok()
    };
    let stands = async || {
        let password = directory.still_stands(&by_password).await.expect("asked").is_some();
        let token = directory.still_stands(&by_token).await.expect("asked").is_some();
        assert_eq!(password, token);
        password
    };
    say(&house, &alice, |rules| rules.addresses = only("203.0.1.0/24", Verdict::Deny)).await;
    assert!(!is_in(HOME).await && is_in(stranger(1)).await && !stands().await);
    assert!(is_in("::ffff:203.0.1.5".parse().expect("an address")).await);
    // Nobody learns who is here from somewhere else.
    let unknown = directory.sign_in(&imap(HOME), "nobody@acme.example", "a wrong password").await;
    assert_eq!(unknown.map(drop), Err(SignInError::Elsewhere));

    // Whom the tenant exempts, in person or by a department above.
    let accounts = [key.account].into();
    say(&house, &alice, |rules| rules.exempt = Exempt { accounts, ..Exempt::default() }).await;
    assert!(is_in(HOME).await && stands().await);
    let sales =
        directory.add_department(key.tenant, DepartmentId::ROOT, "Sales", "").await.expect("department");
    let east = directory.add_department(key.tenant, sales.id, "East", "").await.expect("department");
    let departments = [sales.id].into();
    say(&house, &alice, |rules| rules.exempt = Exempt { departments, ..Exempt::default() }).await;
    assert!(!is_in(HOME).await);
    directory.set_departments(key, &[east.id]).await.expect("moved");
    assert!(is_in(HOME).await);

    // A rule of one's own comes before everything.
    let own =
        AccountRules { addresses: Some(only("203.0.2.0/24", Verdict::Deny)), ..AccountRules::default() };
    let before = AccountRules::default();
    assert_eq!(directory.set_account_rules(key, &before, &own).await, Ok(true));
    assert_eq!(directory.set_account_rules(key, &before, &own).await, Ok(false), "it is another one by now");
    assert!(!is_in(HOME).await && !is_in(stranger(1)).await && is_in(stranger(2)).await && !stands().await);
}

#[tokio::test]
async fn secure_sign_in_leaves_tokens_only() {
    let (house, alice) = with_alice().await;
    let directory = &house.directory;
    let (_, token) = directory.add_token(alice.key, "phone", TokenScope::ALL, None).await.expect("token");
    let session = directory.sign_in(&imap(HOME), LOGIN, PASSWORD).await.expect("open");
    let plain = AccountRules::default();
    let own = AccountRules { secure: true, ..plain.clone() };
    let forced = AccountRules { secure_forced: true, ..plain.clone() };
    for (own, all) in [(&own, false), (&forced, false), (&plain, true)] {
        let before = directory.account_rules(alice.key).await.expect("rules");
        assert!(directory.set_account_rules(alice.key, &before, own).await.expect("set"));
        say(&house, &alice, |rules| rules.secure = all).await;
        let refused = directory.sign_in(&imap(HOME), LOGIN, PASSWORD).await;
        assert_eq!(refused.map(drop), Err(SignInError::Closed));
        directory.sign_in(&imap(HOME), LOGIN, &token).await.expect("by token");
        let web = Attempt::new(SignInKind::Web, "password", HOME);
        assert!(directory.sign_in(&web, LOGIN, PASSWORD).await.expect("asked for more").is_secure);
        let now = directory.still_stands(&session).await.expect("asked").expect("the account is open");
        assert!(!now.opens(pennypost_directory::ClientProtocol::Imap));
    }
}

#[tokio::test]
async fn passwords_follow_the_rules_expire_and_do_not_come_again() {
    let (house, alice) = with_alice().await;
    let directory = &house.directory;
    let key = alice.key;
    let strict = PasswordRules {
        classes: 3,
        capital: true,
        no_sequences: true,
        no_account_name: true,
        history: 3,
        lifetime_days: 90,
        ..PasswordRules::default()
    };
    say(&house, &alice, |rules| rules.passwords = strict).await;
    let names = |error: DirectoryError| match error {
        DirectoryError::Password(weakness) => {
            weakness.0.into_iter().map(pennypost_directory::Broken::name).collect::<Vec<_>>()
        }
        other => panic!("{other}"),
    };
    let weak = directory.set_password(key, "alice123").await.map_err(names);
    assert_eq!(weak, Err(vec!["classes", "capital", "sequence", "account-name"]));
    let added = directory.add_account("bob@acme.example", "password", "", None).await.map_err(names);
    assert_eq!(added.map(drop), Err(vec!["classes", "capital"]));
    let checked =
        directory.check_new_account("bob@acme.example", Some("Bob's 9 lives"), "").await.map_err(names);
    assert_eq!(checked, Err(vec!["account-name"]));

    let web = Attempt::new(SignInKind::Web, "password", HOME);
    let words = ["Rx7!kQm9zW", "Sy8!lRn0aX", "Tz9!mSo1bY", "Ua0!nTp2cZ"];
    let mut old = PASSWORD.to_owned();
    for word in words {
        directory.change_own_password(&web, key, &old, word).await.expect(word);
        word.clone_into(&mut old);
    }
    for (word, is_free) in [(words[3], false), (words[1], false), (words[2], false), (words[0], true)] {
        let changed = directory.change_own_password(&web, key, &old, word).await;
        assert_eq!(changed.is_ok(), is_free, "{word}: {changed:?}");
    }
    let wrong = directory.change_own_password(&web, key, "not it", "Vb1!oUq3dA").await;
    assert_eq!(wrong, Err(ChangePasswordError::Old(SignInError::Denied)));
    let current = words[0];

    // In the browser another one is asked for, mail programs go on, unless the tenant says otherwise.
    let state = async || directory.sign_in(&web, LOGIN, current).await.map(|standing| standing.password);
    assert_eq!(state().await, Ok(PasswordState::Good));
    house.clock.advance(90 * 24 * 60 * MINUTE);
    assert_eq!(state().await, Ok(PasswordState::Expired));
    let session = directory.sign_in(&imap(HOME), LOGIN, current).await.expect("goes on");
    say(&house, &alice, |rules| rules.passwords.expires_in_clients = true).await;
    let expired = directory.sign_in(&imap(HOME), LOGIN, current).await;
    assert_eq!(expired.map(drop), Err(SignInError::Expired));
    let now = directory.still_stands(&session).await.expect("asked").expect("the account is open");
    assert!(!now.opens(pennypost_directory::ClientProtocol::Imap));

    // One that was given is to be replaced, if the tenant or who gives it says so.
    directory.give_password(key, "Wc2!pVr4eB", true).await.expect("given");
    let given = directory.sign_in(&web, LOGIN, "Wc2!pVr4eB").await.expect("right");
    assert_eq!(given.password, PasswordState::MustChange);
    directory.change_own_password(&web, key, "Wc2!pVr4eB", "Xd3!qWs5fC").await.expect("changed");
    let own = directory.sign_in(&web, LOGIN, "Xd3!qWs5fC").await.expect("right");
    assert_eq!(own.password, PasswordState::Good);
    say(&house, &alice, |rules| rules.passwords.change_first = true).await;
    directory.set_password(key, "Ye4!rXt6gD").await.expect("given");
    let given = directory.sign_in(&web, LOGIN, "Ye4!rXt6gD").await.expect("right");
    assert_eq!(given.password, PasswordState::MustChange);
}

/// Access tokens of sessions, as somebody else gives them out.
struct Sessions(Mutex<Option<pennypost_model::AccountKey>>);

#[async_trait]
impl AccessTokens for Sessions {
    async fn account_of(&self, token: &str) -> Result<Option<pennypost_model::AccountKey>, DirectoryError> {
        Ok(self.0.lock().filter(|_| token == "of a session"))
    }
}

#[tokio::test]
async fn access_tokens_of_sessions_open_as_long_as_they_hold() {
    let (house, alice) = with_alice().await;
    let sessions = Arc::new(Sessions(Mutex::new(Some(alice.key))));
    let directory = house.directory.clone().taking(Arc::clone(&sessions) as _);
    let opened = directory.sign_in_with_token(&imap(HOME), Some(LOGIN), "of a session").await.expect("opens");
    assert_eq!((opened.account.key, opened.token()), (alice.key, None));
    for (login, token) in [(Some("bob@acme.example"), "of a session"), (None, "of another session")] {
        let refused = directory.sign_in_with_token(&imap(HOME), login, token).await;
        assert_eq!(refused.map(drop), Err(SignInError::Denied), "{token}");
    }
    let without = house.directory.sign_in_with_token(&imap(HOME), None, "of a session").await;
    assert_eq!(without.map(drop), Err(SignInError::Denied));
    assert!(directory.still_stands(&opened).await.expect("asked").is_some());
    assert!(!format!("{opened:?}").contains("of a session"));
    *sessions.0.lock() = None;
    assert_eq!(directory.still_stands(&opened).await, Ok(None));
}

/// A log in memory, that may refuse.
#[derive(Default)]
struct MemoryLog {
    records: Mutex<Vec<LogRecord>>,
    is_down: Mutex<bool>,
}

#[async_trait]
impl Log for MemoryLog {
    async fn append(&self, records: &[LogRecord]) -> PortResult<()> {
        if *self.is_down.lock() {
            return Err(PortError::Unavailable { port: "log", cause: "down".to_owned() });
        }
        self.records.lock().extend_from_slice(records);
        Ok(())
    }

    async fn query(&self, query: &LogQuery) -> PortResult<Vec<LogRecord>> {
        let mut found = self.records.lock().clone();
        found.retain(|one| one.tenant == query.tenant && (query.from..=query.to).contains(&one.id));
        found.sort_by_key(|one| one.id);
        found.truncate(query.limit);
        Ok(found)
    }

    async fn expire(&self, _: LogKind, _: Timestamp) -> PortResult<u64> {
        Ok(0)
    }
}

#[tokio::test]
async fn every_sign_in_is_recorded_also_if_the_log_was_down() {
    let (house, alice) = with_alice().await;
    let log = Arc::new(MemoryLog::default());
    let ids: Arc<dyn Ids> = Arc::new(RandomIds);
    let record = SignInLog::new(Arc::clone(&log) as _, Arc::clone(&house.clock) as _, ids);
    let directory = house.directory.clone().recording(Arc::clone(&record));
    say(&house, &alice, |rules| rules.lock.count = 3).await;
    let begin = house.clock_now();
    *log.is_down.lock() = true;
    for _ in 0..5 {
        let standing =
            directory.sign_in(&imap(HOME), LOGIN, PASSWORD).await.expect("nobody waits for the log");
        directory.name_program(&standing, SignInKind::Imap, "Thunder\u{7}bird");
    }
    record.finish().await;
    assert!(log.records.lock().is_empty());
    *log.is_down.lock() = false;
    house.clock.advance(1);
    for password in ["wrong one", "wrong two", "wrong three", PASSWORD] {
        let _ = directory.sign_in(&imap(stranger(1)), LOGIN, password).await;
    }
    let _ = directory.sign_in(&imap(stranger(2)), "nobody@acme.example", "a wrong password").await;
    let _ = directory.sign_in(&imap(stranger(2)), "nobody@elsewhere.example", "a wrong password").await;
    record.finish().await;

    let tenant = alice.key.tenant;
    let find = async |query: SignInQuery| record.find(tenant, &query, None, 100).await.expect("read");
    let (all, next) = find(SignInQuery::default()).await;
    assert_eq!(next, None);
    let mut told: Vec<(&str, u32)> = all.iter().map(|one| (one.outcome.name(), one.count)).collect();
    told.sort_unstable();
    let expected = [
        ("lock-began", 1),
        ("locked", 1),
        ("ok", 1),
        ("ok", 4),
        ("unknown-account", 1),
        ("wrong-password", 1),
        ("wrong-password", 2),
    ];
    assert_eq!(told, expected);
    assert_eq!(all[0].program.as_deref(), Some("Thunderbird"));
    let of = |change: fn(&mut SignInQuery)| {
        let mut query = SignInQuery::default();
        change(&mut query);
        query
    };
    let count = async |query: SignInQuery| find(query).await.0.iter().map(|one| one.count).sum::<u32>();
    assert_eq!(count(of(|query| query.outcome = Some(Outcomes::Ok))).await, 5);
    assert_eq!(count(of(|query| query.outcome = Some(Outcomes::Failed))).await, 5);
    assert_eq!(count(of(|query| query.outcome = Some(Outcomes::Locks))).await, 1);
    assert_eq!(count(of(|query| query.kinds = vec![SignInKind::Web])).await, 0);
    assert_eq!(count(of(|query| query.login = Some("nobody".to_owned()))).await, 1);
    let early = SignInQuery { until: Some(Timestamp(begin + 1)), ..SignInQuery::default() };
    assert_eq!(count(early).await, 5);
    // Page by page nothing is missing or doubled.
    let (mut after, mut seen): (Option<EventId>, Vec<SignInOutcome>) = (None, Vec::new());
    loop {
        let (page, next) = record.find(tenant, &SignInQuery::default(), after, 2).await.expect("read");
        seen.extend(page.iter().map(|one| one.outcome));
        after = next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(seen.len(), all.len());
}
