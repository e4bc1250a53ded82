//! What a tenant's plan says to those who bring mail: how much a mailbox holds, and when service is over.

use std::time::Duration;

use pennypost_directory::{Capacities, Plan};

use crate::office::{Office, settings};
use crate::wire::Client;

async fn rcpt(office: &Office, size: u64) -> String {
    let mut client = Client::smtp(office.smtp).await;
    client.command(&format!("MAIL FROM:<a@b.example> SIZE={size}"), "250").await;
    client.send(b"RCPT TO:<ada@acme.example>\r\n").await;
    client.line().await.expect("reply").chars().take(9).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mailbox_takes_what_its_plan_gives_it() {
    let mut chosen = settings();
    chosen.limits.smtp.quota_memory = Duration::ZERO;
    let office = Office::open(chosen).await;
    let directory = &office.adapter.directory;
    let ada = directory.account_at("ada@acme.example").await.expect("directory").expect("ada").key;
    assert_eq!(rcpt(&office, 2_000).await, "250 2.1.5");
    let capacities = Capacities { ordinary: Some(1_000), vip: None, business: None };
    let pro = Plan { capacities, vip_seats: 1, ..Plan::pro() };
    assert_eq!(directory.set_plan(office.tenant, None, &pro).await, Ok(true));
    assert_eq!(rcpt(&office, 2_000).await, "452 4.2.2");
    assert_eq!(rcpt(&office, 500).await, "250 2.1.5");
    directory.set_vip(ada, true).await.expect("a seat");
    assert_eq!(rcpt(&office, 2_000).await, "250 2.1.5");

    // No service: who brings mail may try again when it has been prolonged.
    let set = directory.tenant(office.tenant).await.expect("tenant").expect("tenant").plan;
    let over = Plan { ends: Some(office.now()), ..pro };
    assert_eq!(directory.set_plan(office.tenant, set.as_ref(), &over).await, Ok(true));
    assert_eq!(rcpt(&office, 500).await, "450 4.2.1");
}
