//! Messages that other servers may have, though they never said so.

use super::*;

impl Fixture {
    /// The same with another carrier, as another process would be.
    fn beside(&self, town: Town) -> (Arc<Town>, SendRemote) {
        let town = Arc::new(town);
        let carrier: Arc<dyn Carrier> = Arc::clone(&town) as _;
        let sender = SendRemote::new(Ports { carrier, ..self.sender.0.ports.clone() }, Settings::default());
        (town, sender)
    }

    /// An attempt in which the process dies.
    async fn die(&self) {
        let (town, sender) = self.beside(Town { is_deaf: true, ..Town::default() });
        assert!(tokio::time::timeout(Duration::from_millis(200), sender.work_off()).await.is_err());
        assert_eq!(town.handed.lock().len(), 1);
    }

    /// The end of the letter, as its trace tells it.
    async fn end(&self, letter: &Accepted) -> (u32, RemoteRecipient) {
        let attempts = self.attempts(letter).await;
        let last = attempts.last().expect("an attempt");
        (last.number, last.recipients.first().expect("a recipient").clone())
    }
}

fn swallowing(times: usize) -> Town {
    Town { swallows: Mutex::new(times), ..Town::default() }
}

/// Feature DLV-02 (part): whose server may have a letter twice does not get it a third time; its writer hears that it may be there
#[tokio::test]
async fn a_message_is_sent_twice_at_most_where_its_taking_is_never_confirmed() {
    let it = with(swallowing(9), None);
    let letter = it.letter(&["you@a.example"]);
    it.handle(&letter).await;
    it.work().await;
    assert_eq!((it.tried(), it.end(&letter).await.1.outcome), (1, RemoteOutcome::Deferred));
    for _ in 0..3 {
        it.pass(24 * HOUR);
        it.work().await;
    }
    assert_eq!((it.tried(), it.objects().await), (2, 0));
    let (number, end) = it.end(&letter).await;
    assert_eq!((number, end.outcome, &*end.answer.status), (2, RemoteOutcome::Failed, "5.4.2"));
    let reports = it.reports().await;
    let [(_, report)] = &reports[..] else { panic!("{} reports", reports.len()) };
    assert!(
        report.contains("Action: failed\r\nStatus: 5.4.2") && report.contains("may have the message"),
        "{report}"
    );

    // What was lost once comes a second time, and that is heard.
    let it = with(swallowing(1), None);
    let letter = it.letter(&["you@a.example"]);
    it.handle(&letter).await;
    it.work().await;
    it.pass(2 * MINUTE);
    it.work().await;
    assert_eq!((it.tried(), it.end(&letter).await.1.outcome), (2, RemoteOutcome::Sent));
}

#[tokio::test]
async fn attempts_that_were_cut_off_count_as_much() {
    // Twice; and once, with one that was not confirmed.
    for deaths in [2, 1] {
        let it = with(swallowing(9), None);
        let letter = it.letter(&["you@a.example"]);
        it.handle(&letter).await;
        for _ in 0..deaths {
            it.die().await;
            it.pass(36 * MINUTE);
        }
        it.work().await;
        it.pass(24 * HOUR);
        it.work().await;
        let (_, end) = it.end(&letter).await;
        assert_eq!((it.tried(), &*end.answer.status), (2 - deaths, "5.4.2"), "{deaths}");
    }
}

#[tokio::test]
async fn whoever_stops_breaks_off_what_nobody_can_have_yet() {
    for is_ending in [false, true] {
        let it = fixture();
        let letter = it.letter(&["you@a.example"]);
        it.handle(&letter).await;
        let (town, sender) = it.beside(Town { is_deaf: true, is_ending, ..Town::default() });
        let working = tokio::spawn({
            let sender = sender.clone();
            async move { sender.work_off().await.expect("works") }
        });
        while town.handed.lock().is_empty() {
            tokio::task::yield_now().await;
        }
        sender.0.leaving.send_replace(true);
        let stopped = tokio::time::timeout(Duration::from_millis(500), working).await;
        assert_eq!(stopped.is_err(), is_ending, "what may have been taken is waited for");
        if is_ending {
            continue;
        }
        let (_, end) = it.end(&letter).await;
        assert_eq!((end.outcome, &*end.answer.status), (RemoteOutcome::Deferred, "4.3.2"));
        // It is nobody's, and has its turn soon; nothing is in doubt.
        it.pass(2 * MINUTE);
        it.work().await;
        let (number, end) = it.end(&letter).await;
        assert_eq!((it.tried(), number, end.outcome), (1, 2, RemoteOutcome::Sent));
    }
}

#[tokio::test]
async fn a_report_shows_the_header_though_another_destination_is_done_before_it_is_written() {
    let it = fixture();
    let letter = it.letter(&["you@a.example", "you@b.example"]);
    it.handle(&letter).await;
    it.town.answers.lock().push_back(verdict(RemoteOutcome::Failed, 550, "5.1.1"));
    // Whoever has tried the first one dies before its sender is told.
    *it.log.1.lock() = 1;
    it.work().await;
    assert_eq!((it.tried(), it.objects().await), (2, 0));
    it.pass(MINUTE);
    it.work().await;
    let reports = it.reports().await;
    let ids: Vec<EventId> = reports.iter().map(|(accepted, _)| accepted.id).collect();
    assert_eq!((ids.len(), ids[0]), (2, ids[1]), "the same, which is delivered once");
    assert!(reports[0].1.contains("\r\nFrom: Ann <ann@t.example>\r\n"), "{}", reports[0].1);
}
