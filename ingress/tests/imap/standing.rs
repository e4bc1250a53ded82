//! Sessions end with what they stand on: the account, its tenant, its password.
//!
//! Feature ORG-17: disabled and enabled: no sign-in, sessions end, 550 at RCPT, old mail stays

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use pennypost_backend_embedded::{Embedded, Options};
use pennypost_directory::{
    AccountState, Capacities, Directory, MailboxUsers, NewAccount, Plan, TenantState, TokenScope,
};
use pennypost_ingress::net::Limits;
use pennypost_model::Timestamp;
use pennypost_ports::{Clock, RandomIds, SystemClock};

use crate::dialogue::Client;
use crate::server::{ALICE, PASSWORD, Server};

const GOODBYE: &str = "* BYE [UNAVAILABLE] the account or its password has changed, sign in again";

#[tokio::test(flavor = "multi_thread")]
async fn a_session_ends_with_its_account() {
    let server = Server::with_limits(Limits { recheck: Duration::ZERO, ..Limits::default() }).await;
    let directory = &server.adapter.directory;
    let key = directory.account_at(ALICE).await.expect("directory").expect("alice").key;
    for change in 0..3 {
        let mut busy = Client::login(server.address, ALICE).await;
        busy.ok("NOOP").await;
        let mut idle = Client::login(server.address, ALICE).await;
        idle.ok("SELECT INBOX").await;
        idle.send(b"i IDLE\r\n").await;
        assert_eq!(idle.line().await.as_deref(), Some("+ idling"));
        let changed = match change {
            0 => directory.set_account_state(key, AccountState::Disabled).await,
            1 => directory.set_tenant_state(key.tenant, TenantState::Suspended).await,
            _ => directory.set_password(key, "another password").await,
        };
        changed.expect("changed");
        busy.send(b"a NOOP\r\n").await;
        for client in [&mut busy, &mut idle] {
            assert_eq!(client.line().await.as_deref(), Some(GOODBYE), "{change}");
            assert_eq!(client.line().await, None);
        }
        directory.set_account_state(key, AccountState::Active).await.expect("changed");
        directory.set_tenant_state(key.tenant, TenantState::Active).await.expect("changed");
        directory.set_password(key, PASSWORD).await.expect("changed");
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_knows_the_quota_of_today() {
    for (recheck, expected) in [(0, "NO [OVERQUOTA]"), (3600, "OK")] {
        let recheck = Duration::from_secs(recheck);
        let server = Server::with_limits(Limits { recheck, ..Limits::default() }).await;
        let directory = &server.adapter.directory;
        let key = directory.account_at(ALICE).await.expect("directory").expect("alice").key;
        let mut client = Client::login(server.address, ALICE).await;
        directory.set_quota(key, 3).await.expect("quota");
        let answer = client.append("INBOX", b"Subject: x\r\n\r\n").await;
        assert!(answer.starts_with(expected), "{answer}");
        server.stop().await;
    }
}

/// Feature PLN-04: what ordinary, VIP and business mailboxes hold by the plan, told by IMAP, enforced at RCPT, APPEND and COPY; webmail is not built
#[tokio::test(flavor = "multi_thread")]
async fn a_session_knows_the_capacity_of_its_plan() {
    let server = Server::with_limits(Limits { recheck: Duration::ZERO, ..Limits::default() }).await;
    let directory = &server.adapter.directory;
    let key = directory.account_at(ALICE).await.expect("directory").expect("alice").key;
    let mut client = Client::login(server.address, ALICE).await;
    let letter = [&b"Subject: x\r\n\r\n"[..], &[b'x'; 20_000]].concat();
    let capacities = Capacities { ordinary: Some(10 * 1024), vip: None, business: None };
    let plan = Plan { vip_seats: 1, capacities, ..Plan::pro() };
    assert_eq!(directory.set_plan(key.tenant, None, &plan).await, Ok(true));
    client.ok("NOOP").await;
    let told = client.ok("GETQUOTA \"\"").await;
    assert!(told.iter().any(|line| line.contains("(STORAGE 0 10 ")), "{told:?}");
    let answer = client.append("INBOX", &letter).await;
    assert!(answer.starts_with("NO [OVERQUOTA]"), "{answer}");
    directory.set_vip(key, true).await.expect("a seat");
    client.ok("NOOP").await;
    let answer = client.append("INBOX", &letter).await;
    assert!(answer.starts_with("OK"), "{answer}");
    // Without the seat it is full, and takes no copy of what it holds.
    client.ok("CREATE Copies").await;
    client.ok("SELECT INBOX").await;
    client.ok("COPY 1 Copies").await;
    directory.set_vip(key, false).await.expect("withdrawn");
    client.ok("NOOP").await;
    let (_, answer) = client.command("COPY 1 Copies").await;
    assert!(answer.starts_with("NO [OVERQUOTA]"), "{answer}");

    // A business mailbox has a number of its own, told to whoever uses it.
    let set = directory.tenant(key.tenant).await.expect("tenant").expect("tenant").plan;
    let capacities = Capacities { ordinary: None, vip: None, business: Some(15 * 1024) };
    assert_eq!(directory.set_plan(key.tenant, set.as_ref(), &Plan { capacities, ..plan }).await, Ok(true));
    let address = "sales@example.test";
    let new = NewAccount { address, is_business: true, ..NewAccount::default() };
    let sales = directory.add_account_with(&new).await.expect("a mailbox").key;
    let uses = |users: &mut MailboxUsers| users.accounts.insert(key.account);
    directory.change_mailbox_users(sales, uses).await.expect("let in");
    let pair = (key.account, sales);
    let token = directory.add_user_token(pair, "phone", TokenScope::ALL, None).await.expect("a token").1;
    let mut desk = Client::connect(server.address).await;
    desk.ok(&format!("LOGIN {address} {token}")).await;
    let told = desk.ok("GETQUOTA \"\"").await;
    assert!(told.iter().any(|line| line.contains("(STORAGE 0 15 ")), "{told:?}");
    let answer = desk.append("INBOX", &letter).await;
    assert!(answer.starts_with("NO [OVERQUOTA]"), "{answer}");
    let answer = desk.append("INBOX", &letter[..10_000]).await;
    assert!(answer.starts_with("OK"), "{answer}");
    server.stop().await;
}

/// The time a hundred days ago.
struct Before;

#[async_trait]
impl Clock for Before {
    fn now(&self) -> Timestamp {
        SystemClock.now().plus_millis(-100 * 24 * 60 * 60 * 1000)
    }

    async fn sleep(&self, duration: Duration) {
        SystemClock.sleep(duration).await;
    }
}

/// Feature AUT-12: life time of passwords; expired ones open mail programs unless the tenant says that they fail there, too; the reminder has no console home yet
#[tokio::test(flavor = "multi_thread")]
async fn expired_passwords_fail_in_mail_programs_if_the_tenant_says_so() {
    let server = Server::with_limits(Limits { recheck: Duration::ZERO, ..Limits::default() }).await;
    let directory = &server.adapter.directory;
    let key = directory.account_at(ALICE).await.expect("directory").expect("alice").key;
    let beside = Embedded::open(&server.data(), &Options::tool()).expect("opens beside the server");
    let before = Directory::new(beside.control(), Arc::new(Before), Arc::new(RandomIds));
    before.set_password(key, PASSWORD).await.expect("set long ago");
    let say = async |in_clients: bool| {
        let mut rules = directory.sign_in_rules(key.tenant).await.expect("rules");
        (rules.passwords.lifetime_days, rules.passwords.expires_in_clients) = (90, in_clients);
        directory.set_sign_in_rules(key.tenant, &rules).await.expect("valid").expect("stored");
    };
    say(false).await;
    let mut open = Client::login(server.address, ALICE).await;
    open.ok("NOOP").await;
    say(true).await;
    open.send(b"a NOOP\r\n").await;
    assert_eq!(open.line().await.as_deref(), Some(GOODBYE));
    let mut late = Client::connect(server.address).await;
    late.send(format!("a LOGIN {ALICE} \"{PASSWORD}\"\r\n").as_bytes()).await;
    let refused = late.line().await.expect("an answer");
    assert!(refused.starts_with("a NO [EXPIRED]"), "{refused}");
    directory.set_password(key, PASSWORD).await.expect("set anew");
    Client::login(server.address, ALICE).await.ok("NOOP").await;
    server.stop().await;
}
