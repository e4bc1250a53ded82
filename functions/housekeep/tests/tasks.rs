//! Tasks of administration on the embedded backend, by the events that are in the queue.

use std::sync::Arc;
use std::time::Duration;

use pennypost_admin::{Administration, Call, NewImport, TaskState};
use pennypost_backend_embedded::{Embedded, Options};
use pennypost_directory::Directory;
use pennypost_housekeep::{Housekeep, Settings};
use pennypost_mailstore::Mailstore;
use pennypost_model::codec;
use pennypost_model::event::{Event, Stage};
use pennypost_ports::{Clock, Ids, RandomIds, SystemClock};
use pennypost_runtime::Handler;

#[tokio::test(flavor = "multi_thread")]
async fn an_import_is_carried_out_by_the_event_that_it_sent() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let backend = Embedded::open(dir.path(), &Options::server()).expect("opens");
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let ids: Arc<dyn Ids> = Arc::new(RandomIds);
    let directory = Directory::new(backend.control(), Arc::clone(&clock), Arc::clone(&ids));
    let tenant = directory.add_tenant("acme").await.expect("tenant").id;
    directory.add_domain(tenant, "acme.example").await.expect("domain");
    let it = Administration::new(directory.clone(), backend.control(), Arc::clone(&clock), Arc::clone(&ids))
        .with_tasks(backend.objects(), backend.queue());
    let rows: Vec<String> = (0..600).map(|n| format!("p{n}@acme.example,P {n},D{}/E", n % 3)).collect();
    let bytes = format!("address,name,department\n{}\nx,y\n", rows.join("\n")).into_bytes();
    let new = NewImport { file: "people.csv".to_owned(), bytes, ..NewImport::default() };
    let operator = Call::of_operator();
    let ordered = it.order_import(&operator, tenant, new, None).await.expect("ordered");

    let queue = backend.queue();
    let minute = Duration::from_secs(60);
    let received = queue.receive(Stage::Housekeep, 10, minute, minute).await.expect("receives");
    let events: Vec<Event> =
        received.iter().map(|message| codec::decode(&message.body).expect("an event")).collect();
    let store = Mailstore::new(backend.journal(), backend.objects(), clock, ids);
    let house = || Housekeep::new(store.clone(), backend.control(), backend.queue(), Settings::default());
    let refused = house().handle(events.clone()).await.remove(0);
    assert!(refused.is_err_and(|failure| failure.temporary), "for somebody who carries tasks out");
    let outcomes = house().carrying_out(it.clone()).handle(events).await;
    assert_eq!(outcomes, [Ok(Vec::new())]);
    let done = it.task(&operator, tenant, ordered.id).await.expect("a task");
    assert_eq!((done.state, done.done, done.total), (TaskState::Done, 601, Some(601)));
    assert_eq!((done.counts.people, done.counts.departments, done.counts.refused), (600, 6, 1));
    let found = directory.account_at("p599@acme.example").await.expect("looked").expect("there");
    assert_eq!(found.display_name, "P 599");
}
