//! Statistics on the embedded backend, by the event that the schedule sends.

use std::sync::Arc;

use pennypost_admin::{Administration, Call};
use pennypost_backend_embedded::{Embedded, Options};
use pennypost_directory::Directory;
use pennypost_housekeep::{Housekeep, Settings};
use pennypost_mailstore::{Incoming, Mailroom, Mailstore};
use pennypost_model::event::{Event, House};
use pennypost_model::journal::{Actor, Protocol};
use pennypost_model::{FlagSet, MailboxId, Timestamp};
use pennypost_ports::{Clock, Consistency, Ids, RandomIds, SystemClock};
use pennypost_runtime::Handler;

#[tokio::test(flavor = "multi_thread")]
async fn what_mailboxes_hold_is_noted_from_their_journals() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let backend = Embedded::open(dir.path(), &Options::server()).expect("opens");
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let ids: Arc<dyn Ids> = Arc::new(RandomIds);
    let directory = Directory::new(backend.control(), Arc::clone(&clock), Arc::clone(&ids));
    let tenant = directory.add_tenant("acme").await.expect("tenant").id;
    directory.add_domain(tenant, "acme.example").await.expect("domain");
    let it = Administration::new(directory.clone(), backend.control(), Arc::clone(&clock), Arc::clone(&ids))
        .reading(backend.log());
    let store = Mailstore::new(backend.journal(), backend.objects(), Arc::clone(&clock), Arc::clone(&ids));
    let room = Mailroom::new(store.clone());
    let mut accounts = Vec::new();
    for address in ["ann@acme.example", "bob@acme.example"] {
        let account = directory.add_account(address, "a long password", "", None).await.expect("account").key;
        room.account(account).await.expect("journal");
        accounts.push(account);
    }
    let raw = b"Subject: x\r\n\r\nhello\r\n";
    let house = Housekeep::new(store.clone(), backend.control(), backend.queue(), Settings::default())
        .carrying_out(it.clone());
    let told = async || -> Vec<(String, u64, u64)> {
        let (mailboxes, next) = it.mailbox_use(&Call::of_operator(), tenant, (0, 10)).await.expect("told");
        assert_eq!(next, None);
        let shown = mailboxes.into_iter().map(|one| {
            let address = one.account.expect("an account").address.to_string();
            (address, one.used.bytes, one.used.messages)
        });
        shown.collect()
    };
    for messages in 1..3 {
        let incoming = Incoming::prepare(raw, ids.event(clock.now()), FlagSet::default(), Timestamp(1))
            .expect("prepares");
        let state = store.load(accounts[1], Consistency::Strong).await.expect("state");
        let actor = Actor::Member(Protocol::Import);
        store
            .store(accounts[1], state, &actor, MailboxId::INBOX, &[incoming], |_| Ok(()))
            .await
            .expect("stores");
        // Twice, as an event may come.
        for _ in 0..2 {
            let done = house.handle(vec![Event::House(House::Statistics(tenant))]).await;
            assert_eq!(done, [Ok(Vec::new())]);
        }
        let bytes = raw.len() as u64 * messages;
        let expected =
            [("bob@acme.example".to_owned(), bytes, messages), ("ann@acme.example".to_owned(), 0, 0)];
        assert_eq!(told().await, expected);
    }
}
