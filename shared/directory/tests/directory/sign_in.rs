//! Signing in, failing, being slowed.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use crate::memory::{House, Memory, PASSWORD};
use pennypost_directory::{
    AccountState, Attempt, ClientProtocol, ClientRange, ClientSettings, SignInError, SignInKind, TenantState,
};

const LOGIN: &str = "alice@acme.example";

fn client(number: u8) -> IpAddr {
    IpAddr::from([192, 0, 2, number])
}

fn web(number: u8) -> Attempt {
    Attempt::new(SignInKind::Web, "password", client(number))
}

fn is_counter(key: &pennypost_ports::ControlKey) -> bool {
    key.partition.ends_with("/sign-in") || key.partition == "sign-in/clients"
}

async fn with_alice() -> (House, pennypost_directory::Account) {
    let (house, _) = House::with_acme().await;
    let alice = house.directory.add_account(LOGIN, PASSWORD, "Alice", None).await.expect("alice");
    (house, alice)
}

#[tokio::test]
async fn only_the_right_password_of_a_live_account_signs_in() {
    let (house, alice) = with_alice().await;
    let directory = &house.directory;
    directory.add_alias("al@acme.example", &[LOGIN]).await.expect("alias");
    directory.add_account("bob@acme.example", "bob's password", "", None).await.expect("bob");
    directory.add_alias("both@acme.example", &[LOGIN, "bob@acme.example"]).await.expect("alias");
    directory.add_group("team@acme.example", "", &[LOGIN]).await.expect("group");
    for (login, password, is_right) in [
        (LOGIN, PASSWORD, true),
        ("ALICE@ACME.EXAMPLE", PASSWORD, true),
        ("al@acme.example", PASSWORD, true),
        (LOGIN, "another password", false),
        (LOGIN, "", false),
        ("bob@acme.example", PASSWORD, false),
        ("both@acme.example", PASSWORD, false),
        ("team@acme.example", PASSWORD, false),
        ("alice+tag@acme.example", PASSWORD, false),
        ("nobody@acme.example", PASSWORD, false),
        ("alice@other.example", PASSWORD, false),
        ("alice", PASSWORD, false),
        ("", "", false),
        (LOGIN, &"x".repeat(100_000), false),
    ] {
        let result = directory.authenticate(login, password, client(1)).await;
        let expected = if is_right { Ok(alice.clone()) } else { Err(SignInError::Denied) };
        assert_eq!(result, expected, "{login:?}");
    }
    directory.set_account_state(alice.key, AccountState::Disabled).await.expect("disabled");
    assert_eq!(directory.authenticate(LOGIN, PASSWORD, client(2)).await, Err(SignInError::Denied));
    directory.set_account_state(alice.key, AccountState::Active).await.expect("active");
    directory.set_tenant_state(alice.key.tenant, TenantState::Suspended).await.expect("suspended");
    assert_eq!(directory.authenticate(LOGIN, PASSWORD, client(2)).await, Err(SignInError::Denied));
}

#[tokio::test]
async fn a_changed_password_holds_at_once_in_every_process() {
    let (house, alice) = with_alice().await;
    let other = house.process(Memory::new(&house.disk));
    for directory in [&house.directory, &other] {
        assert!(directory.authenticate(LOGIN, PASSWORD, client(1)).await.is_ok());
    }
    other.set_password(alice.key, "the new password").await.expect("changed");
    for directory in [&house.directory, &other] {
        assert_eq!(directory.authenticate(LOGIN, PASSWORD, client(1)).await, Err(SignInError::Denied));
        assert_eq!(directory.authenticate(LOGIN, "the new password", client(1)).await, Ok(alice.clone()));
    }
    let bytes = house.disk.bytes();
    for secret in [PASSWORD, "the new password"] {
        assert!(
            !bytes.windows(secret.len()).any(|window| window == secret.as_bytes()),
            "stored in plain text"
        );
    }
}

#[tokio::test]
async fn a_login_is_slowed_across_networks_and_processes() {
    let (house, alice) = with_alice().await;
    for number in 0..5 {
        let directory = house.process(Memory::new(&house.disk));
        let denied = directory.authenticate(LOGIN, "a wrong password", client(number)).await;
        assert_eq!(denied, Err(SignInError::Denied), "{number}");
    }
    let directory = &house.directory;
    let slowed = directory.authenticate(LOGIN, PASSWORD, client(99)).await;
    assert_eq!(slowed, Err(SignInError::TooManyFailures { retry_after: Duration::from_secs(1) }));
    house.clock.advance(1_000);
    assert_eq!(directory.authenticate(LOGIN, "wrong once more", client(99)).await, Err(SignInError::Denied));
    let slowed = directory.authenticate(LOGIN, PASSWORD, client(99)).await;
    assert_eq!(slowed, Err(SignInError::TooManyFailures { retry_after: Duration::from_secs(2) }));
    house.clock.advance(2_000);
    assert_eq!(directory.authenticate(LOGIN, PASSWORD, client(99)).await, Ok(alice));
    // The success has reset the count.
    assert_eq!(directory.authenticate(LOGIN, "wrong again", client(99)).await, Err(SignInError::Denied));
    assert!(directory.authenticate(LOGIN, PASSWORD, client(99)).await.is_ok());
}

#[tokio::test]
async fn unknown_logins_are_slowed_like_known_ones() {
    let (house, _) = with_alice().await;
    for login in [LOGIN, "nobody@acme.example"] {
        for _ in 0..5 {
            let denied = house.directory.authenticate(login, "a wrong password", client(7)).await;
            assert_eq!(denied, Err(SignInError::Denied));
        }
        let slowed = house.directory.authenticate(login, "a wrong password", client(7)).await;
        assert!(matches!(slowed, Err(SignInError::TooManyFailures { .. })), "{login}");
    }
}

#[tokio::test]
async fn a_network_is_slowed_across_logins_and_forgotten_in_time() {
    let (house, _) = with_alice().await;
    for number in 0..20 {
        let login = format!("user{number}@acme.example");
        let denied = house.directory.authenticate(&login, "a wrong password", client(8)).await;
        assert_eq!(denied, Err(SignInError::Denied), "{number}");
    }
    let slowed = house.directory.authenticate(LOGIN, PASSWORD, client(8)).await;
    assert!(matches!(slowed, Err(SignInError::TooManyFailures { .. })));
    assert!(house.directory.authenticate(LOGIN, PASSWORD, client(9)).await.is_ok());

    // Counters do not pile up: old ones go as new ones come.
    let counters = || house.disk.keys().into_iter().filter(is_counter).count();
    assert_eq!(counters(), 21);
    house.clock.advance(61 * 60 * 1000);
    for _ in 0..4 {
        for network in 10..14 {
            let _ = house.directory.authenticate(LOGIN, "a wrong password", client(network)).await;
            house.clock.advance(301_000);
        }
    }
    assert!(counters() <= 8, "{} counters are left", counters());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn guessing_in_parallel_gives_no_more_guesses() {
    let (house, _) = with_alice().await;
    let guesses = (0..40).map(|number| {
        let directory = house.directory.clone();
        tokio::spawn(async move {
            directory.authenticate(LOGIN, &format!("guess number {number}"), client(number)).await
        })
    });
    let mut looked_at = 0;
    for guess in guesses.collect::<Vec<_>>() {
        match guess.await.expect("task") {
            Err(SignInError::Denied) => looked_at += 1,
            Err(SignInError::TooManyFailures { .. }) => {}
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(looked_at, 5);
}

#[tokio::test]
async fn a_known_password_is_quick_and_a_wrong_one_is_as_slow_as_an_unknown_account() {
    let (house, _) = with_alice().await;
    let directory = &house.directory;
    let time = async |login: &str, password: &str, number: u8| {
        let begin = Instant::now();
        let _ = directory.authenticate(login, password, client(number)).await;
        begin.elapsed()
    };
    time(LOGIN, PASSWORD, 1).await;
    time("warm@acme.example", "up", 2).await;
    let begin = Instant::now();
    for _ in 0..1_000 {
        assert!(directory.authenticate(LOGIN, PASSWORD, client(1)).await.is_ok());
    }
    let quick = begin.elapsed();
    eprintln!("1,000 remembered sign-ins took {quick:?}");
    assert!(quick < Duration::from_secs(5), "{quick:?}");

    let mut wrong = Vec::new();
    let mut unknown = Vec::new();
    for number in 0..4 {
        wrong.push(time(LOGIN, "a wrong password", 10 + number).await);
        unknown.push(time("nobody@acme.example", "a wrong password", 20 + number).await);
    }
    let (wrong, unknown) = (wrong.iter().min().expect("some"), unknown.iter().min().expect("some"));
    eprintln!("a wrong password took {wrong:?}, an unknown account {unknown:?}");
    // Without the hash it would be a hundredth; the machine may be busy with other things.
    assert!(*unknown * 4 > *wrong && *wrong * 4 > *unknown, "{wrong:?} {unknown:?}");
}

#[tokio::test]
async fn a_session_stands_on_its_account_its_tenant_and_its_password() {
    let (house, alice) = with_alice().await;
    let directory = &house.directory;
    let sign_in = async |password| directory.sign_in(&web(1), LOGIN, password).await.expect("signed in");
    let standing = sign_in(PASSWORD).await;
    assert_eq!(directory.still_stands(&standing).await, Ok(Some(standing.clone())));
    directory.set_quota(alice.key, 7).await.expect("quota");
    let now = directory.still_stands(&standing).await.expect("asked").expect("stands");
    assert_eq!(now.capacity(), 7);

    directory.set_account_state(alice.key, AccountState::Disabled).await.expect("disabled");
    assert_eq!(directory.still_stands(&standing).await, Ok(None));
    directory.set_account_state(alice.key, AccountState::Active).await.expect("active");
    directory.set_tenant_state(alice.key.tenant, TenantState::Suspended).await.expect("suspended");
    assert_eq!(directory.still_stands(&standing).await, Ok(None));
    directory.set_tenant_state(alice.key.tenant, TenantState::Active).await.expect("active");
    assert!(directory.still_stands(&standing).await.expect("asked").is_some());
    directory.set_password(alice.key, "the new password").await.expect("changed");
    assert_eq!(directory.still_stands(&standing).await, Ok(None));
    let anew = sign_in("the new password").await;
    assert!(directory.still_stands(&anew).await.expect("asked").is_some());
}

/// What members and tenants say about mail programs holds at the next sign-in, in every process, and costs a sign-in no
/// read of its own.
#[tokio::test]
async fn what_mail_programs_may_do_costs_no_read() {
    let (house, alice) = with_alice().await;
    let directory = house.process(crate::memory::Memory::new(&house.disk));
    let sign_in = async || {
        directory.sign_in(&web(1), LOGIN, PASSWORD).await.expect("signed in");
        house.disk.take_reads();
        let standing = directory.sign_in(&web(1), LOGIN, PASSWORD).await.expect("signed in");
        (standing, house.disk.take_reads())
    };
    let (standing, before) = sign_in().await;
    assert!(standing.opens(ClientProtocol::Pop3) && standing.opens(ClientProtocol::Imap));
    let each: std::collections::BTreeSet<_> = before.iter().collect();
    assert_eq!(each.len(), before.len(), "an item is read twice: {before:?}");
    let tenant = alice.key.tenant;
    let close = |settings: &mut ClientSettings| settings.imap.open = Some(false);
    house.directory.change_tenant_client_settings(tenant, close).await.expect("set");
    let narrow = |settings: &mut ClientSettings| settings.pop3.range = Some(ClientRange::Week);
    house.directory.change_client_settings(alice.key, narrow).await.expect("set");
    let (standing, after) = sign_in().await;
    assert!(standing.opens(ClientProtocol::Pop3) && !standing.opens(ClientProtocol::Imap));
    assert_eq!((standing.rules.pop3.range, standing.rules.imap.range), (ClientRange::Week, ClientRange::All));
    assert_eq!(after, before);

    // Nor does the look at a session that is open.
    let tokens_only = |settings: &mut ClientSettings| settings.passwords = Some(false);
    house.directory.change_client_settings(alice.key, tokens_only).await.expect("set");
    house.disk.take_reads();
    let now = directory.still_stands(&standing).await.expect("directory").expect("stands");
    assert!(!now.opens(ClientProtocol::Pop3));
    assert_eq!(house.disk.take_reads().len(), 6);
}
