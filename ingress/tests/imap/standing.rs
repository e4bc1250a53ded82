//! Sessions end with what they stand on: the account, its tenant, its password.

use std::time::Duration;

use pennypost_directory::{AccountState, TenantState};
use pennypost_ingress::net::Limits;

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
