//! Several messages in one conversation.

use super::*;

const LETTER: &str = "From: me@own.example\r\n\r\nhello\r\n";

/// What came of so many messages, one behind the other, each to two recipients.
async fn several(peer: &Peer, count: usize) -> Vec<Vec<(RemoteOutcome, String)>> {
    let exchange = exchange(Arc::new(Here), (peer.port, TIMING));
    let mut found = Vec::new();
    for _ in 0..count {
        let handed = hand(&exchange, None, &["a@d.example", "b@d.example"], LETTER).await;
        let verdicts = handed.verdicts().into_iter();
        found.push(verdicts.map(|(outcome, answer)| (outcome, answer.status)).collect());
    }
    found
}

#[tokio::test]
async fn what_goes_the_same_way_goes_in_one_conversation() {
    for tls in [Tls::No, Tls::Good] {
        let peer = Peer::start(Manner { tls, ..GOOD }).await;
        assert_eq!(several(&peer, 5).await, vec![both(Sent, "2.0.0"); 5]);
        // One letter alone leaves nothing open behind it.
        assert_eq!(peer.seen.lock().connections, 2);
        assert_eq!(peer.seen.lock().messages.len(), 5);
    }
}

#[tokio::test]
async fn what_nobody_uses_is_ended() {
    let peer = Peer::start(GOOD).await;
    let exchange = exchange(Arc::new(Here), (peer.port, TIMING));
    for _ in 0..2 {
        hand(&exchange, None, &["a@d.example"], LETTER).await;
    }
    assert_eq!(peer.commands("QUIT").len(), 1);
    while peer.commands("QUIT").len() < 2 {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    hand(&exchange, None, &["a@d.example"], LETTER).await;
    assert_eq!(peer.seen.lock().connections, 3);
}

#[tokio::test]
async fn a_conversation_that_the_server_has_ended_loses_nothing() {
    let enough = |reply| Manner { enough: Some((2, reply)), ..GOOD };
    let manners = [
        Manner { end: End::Last("250 2.0.0 queued as 1"), ..GOOD },
        enough("421 4.7.0 enough for one connection"),
        enough("452 4.5.3 enough for one connection"),
        enough("503 5.5.1 enough for one connection"),
    ];
    for manner in manners {
        let peer = Peer::start(manner).await;
        assert_eq!(several(&peer, 7).await, vec![both(Sent, "2.0.0"); 7]);
        assert_eq!(peer.seen.lock().messages.len(), 7);
    }
    // Who refuses it in a new conversation, too, has refused it.
    let peer = Peer::start(Manner { says: &[("MAIL", "452 4.5.3 enough")], ..GOOD }).await;
    assert_eq!(several(&peer, 3).await, vec![both(Deferred, "4.5.3"); 3]);
}

#[tokio::test]
async fn who_says_one_reply_too_many_is_not_misunderstood() {
    let expected = vec![vec![(Failed, "5.1.1".to_owned()), (Sent, "2.0.0".to_owned())]; 4];
    let says = &[("<a@", "550 5.1.1 nobody")];
    for reply in
        ["250 2.0.0 queued\r\n250 2.0.0 indeed", "250 2.0.0 queued\r\n250-peer.example\r\n250 STARTTLS"]
    {
        let peer = Peer::start(Manner { says, end: End::Reply(reply), ..GOOD }).await;
        assert_eq!(several(&peer, 4).await, expected);
        assert_eq!(peer.seen.lock().messages.len(), 4);
    }
}
