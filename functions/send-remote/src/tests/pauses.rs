//! What one process finds of a destination all others know.

use pennypost_outbound::Pause;
use tokio::task::JoinSet;

use super::*;
use crate::worker::{Look, Room};

/// A process beside another one, in a town of its own.
fn beside(it: &Fixture) -> (SendRemote, Arc<Town>) {
    let town = Arc::<Town>::default();
    let carrier: Arc<dyn Carrier> = Arc::clone(&town) as _;
    let ports = Ports { carrier, ..it.sender.0.ports.clone() };
    (SendRemote::new(ports, it.sender.0.settings.clone()), town)
}

/// One look of a process, with all that it begins.
pub(super) async fn look(sender: &SendRemote) {
    let mut attempts = JoinSet::new();
    let room = Arc::<Room>::default();
    sender.begin_due(&mut attempts, &room, &mut None, Look::Whole).await.expect("begun");
    while attempts.join_next().await.is_some() {}
}

fn unreached() -> Verdict {
    let text = "no connection".to_owned();
    (RemoteOutcome::Deferred, RemoteAnswer { code: None, status: "4.4.1".to_owned(), text })
}

impl Fixture {
    async fn send_to(&self, address: &str) {
        self.pass(1);
        self.handle(&self.letter(&[address])).await;
    }

    async fn pauses(&self) -> Vec<(String, Pause)> {
        let found = self.backend.control().query("outbound-pauses", "", None, 9).await.expect("read");
        found.into_iter().map(|(to, item)| (to, codec::decode(&item.value).expect("whole"))).collect()
    }

    /// Somebody answers, and `a.example` can't be reached: twice.
    async fn finds_it_gone(&self) {
        self.send_to("you@z.example").await;
        look(&self.sender).await;
        for _ in 0..2 {
            assert_eq!(self.pauses().await, []);
            self.send_to("you@a.example").await;
            self.town.answers.lock().push_back(unreached());
            look(&self.sender).await;
        }
    }
}

fn to(town: &Town) -> Vec<String> {
    town.handed.lock().iter().map(|(to, ..)| to.clone()).collect()
}

#[tokio::test]
async fn who_is_not_reached_is_left_alone_by_all_until_he_answers() {
    let it = fixture();
    let (other, town) = beside(&it);
    it.finds_it_gone().await;
    let [(destination, first)] = &it.pauses().await[..] else { panic!("one pause") };
    assert_eq!((destination.as_str(), first.times), ("a.example", 1));
    let length = first.until.0 - it.clock.now().0;
    assert!((54_000..=66_000).contains(&length), "{length}");
    // Neither process writes there; it is no attempt, and holds up nobody else.
    it.send_to("me@a.example").await;
    it.send_to("me@b.example").await;
    look(&other).await;
    look(&it.sender).await;
    assert_eq!((to(&town), it.tried()), (vec!["b.example".to_owned()], 3));
    // When it is over one tries; what fails then makes it longer.
    it.pass(70_000);
    for _ in 0..5 {
        town.answers.lock().push_back(unreached());
    }
    look(&other).await;
    assert_eq!(to(&town), ["b.example", "a.example"], "one at once");
    let [(_, second)] = &it.pauses().await[..] else { panic!("one pause") };
    let length = second.until.0 - it.clock.now().0;
    assert!(second.times == 2 && (108_000..=132_000).contains(&length), "{second:?} {length}");
    // The first one learns of that within half a minute, and it tries when that is over. It is answered.
    it.pass(31_000);
    look(&it.sender).await;
    assert_eq!(it.tried(), 3);
    it.pass(120_000);
    look(&it.sender).await;
    assert_eq!((it.tried(), it.pauses().await), (4, Vec::new()));
    town.answers.lock().clear();
    for _ in 0..9 {
        it.pass(31_000);
        look(&other).await;
        look(&it.sender).await;
    }
    assert_eq!(it.sender.0.outbox.due(it.clock.now(), None, 10).await, Ok(Vec::new()), "all have gone");
}

#[tokio::test]
async fn who_reaches_nobody_and_what_is_no_fault_of_a_destination_says_nothing() {
    // Nobody has ever answered here.
    let it = fixture();
    for _ in 0..9 {
        it.send_to("you@a.example").await;
        it.town.answers.lock().push_back(unreached());
        look(&it.sender).await;
    }
    assert_eq!((it.pauses().await, it.tried()), (Vec::new(), 9));
    // Its DNS, TLS that is not had, a letter that it does not know yet, a sender whom it does not like.
    let ours = |status: &str| {
        (RemoteOutcome::Deferred, RemoteAnswer { code: None, status: status.to_owned(), text: String::new() })
    };
    let said = |code, status| verdict(RemoteOutcome::Deferred, code, status);
    for answer in [ours("4.4.3"), ours("4.7.5"), ours("4.3.0"), said(451, "4.7.1"), said(421, "4.7.26")] {
        let it = fixture();
        it.send_to("you@z.example").await;
        look(&it.sender).await;
        for _ in 0..9 {
            it.send_to("you@a.example").await;
            it.town.answers.lock().push_back(answer.clone());
            look(&it.sender).await;
        }
        assert_eq!((it.pauses().await, it.tried()), (Vec::new(), 10), "{answer:?}");
    }
    // Who says that it has too much to do has answered.
    let it = fixture();
    for _ in 0..3 {
        it.send_to("you@a.example").await;
        it.town.answers.lock().push_back(verdict(RemoteOutcome::Deferred, 421, "4.3.2"));
        look(&it.sender).await;
    }
    assert_eq!(it.pauses().await.len(), 1);
}

#[tokio::test]
async fn no_letter_waits_for_a_destination_longer_than_an_hour() {
    let it = fixture();
    it.finds_it_gone().await;
    let far = Pause { until: it.clock.now().plus_millis(24 * HOUR), times: 9 };
    let outbox = &it.sender.0.outbox;
    outbox.pause("a.example", far, None).await.expect("written").expect("holds");
    it.send_to("me@a.example").await;
    for (minutes, tried) in [(1, 3), (50, 3)] {
        it.pass(minutes * MINUTE);
        look(&it.sender).await;
        assert_eq!(it.tried(), tried, "{minutes}");
    }
    // Two that were tried once, and that one: one at once.
    for tried in 4..=6 {
        it.pass(10 * MINUTE);
        it.town.answers.lock().push_back(unreached());
        look(&it.sender).await;
        assert_eq!(it.tried(), tried);
    }
    assert_eq!(it.pauses().await[0].1, far, "nothing was written meanwhile");
}
