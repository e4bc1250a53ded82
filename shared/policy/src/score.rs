//! A first simple score from the results of authentication and the facts of a message.
//!
//! | finding | points | reason |
//! | --- | ---: | --- |
//! | trusted peer | 0, nothing else counts | `trusted` |
//! | SPF pass / neutral / none / softfail / permerror / fail | -5 / 5 / 10 / 15 / 10 / 30 | `spf-…` |
//! | DKIM pass / neutral / permerror / fail | -10 / 5 / 10 / 15 | `dkim-…` |
//! | DMARC pass | -30 | `dmarc-pass` |
//! | DMARC fail under `p=none` / `quarantine` / `reject` | 20 / 60 / 100 | `dmarc-fail…` |
//! | ARC fail | 5 | `arc-fail` |
//! | no author in From, or more than one address | 20 | `from-missing`, `from-many` |
//! | display name of From shows an address of another domain | 25 | `from-name-is-other-address` |
//! | no Date / no Message-ID / no Subject | 5 each | `date-missing`, … |
//!
//! Temporary errors count nothing: a sender cannot help a slow name server. An ARC pass counts nothing,
//! since anybody can seal; it only keeps a forwarded message from being refused (see [`crate::accept()`]).
//!
//! Feature RCV-09 (part): junk folder, by a first score of SPF, DKIM, DMARC and ARC

use pennypost_model::event::{AuthResults, DmarcPolicy, Verdict};
use pennypost_model::message::Facts;

use crate::address::MailAddress;

/// Points of a message, with what they are made of. More is worse.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Score {
    /// The sum.
    pub points: i32,
    /// One `name+points` or `name-points` for each finding, in the order of the table.
    pub reasons: Vec<String>,
}

impl Score {
    fn add(&mut self, points: i32, reason: &str) {
        self.points += points;
        self.reasons.push(format!("{reason}{points:+}"));
    }
}

/// The score of a message.
#[must_use]
pub fn score(auth: &AuthResults, facts: &Facts) -> Score {
    let mut score = Score::default();
    if auth.trusted {
        score.add(0, "trusted");
        return score;
    }
    score_authentication(&mut score, auth);
    score_facts(&mut score, facts);
    score
}

fn score_authentication(score: &mut Score, auth: &AuthResults) {
    match auth.spf {
        Verdict::Pass => score.add(-5, "spf-pass"),
        Verdict::Neutral => score.add(5, "spf-neutral"),
        Verdict::None => score.add(10, "spf-none"),
        Verdict::SoftFail => score.add(15, "spf-softfail"),
        Verdict::PermError => score.add(10, "spf-permerror"),
        Verdict::Fail => score.add(30, "spf-fail"),
        Verdict::TempError => {}
    }
    match auth.dkim {
        Verdict::Pass => score.add(-10, "dkim-pass"),
        Verdict::Neutral => score.add(5, "dkim-neutral"),
        Verdict::PermError => score.add(10, "dkim-permerror"),
        Verdict::Fail | Verdict::SoftFail => score.add(15, "dkim-fail"),
        Verdict::None | Verdict::TempError => {}
    }
    match (auth.dmarc, auth.dmarc_policy) {
        (Verdict::Pass, _) => score.add(-30, "dmarc-pass"),
        (Verdict::Fail, DmarcPolicy::None) => score.add(20, "dmarc-fail"),
        (Verdict::Fail, DmarcPolicy::Quarantine) => score.add(60, "dmarc-fail-quarantine"),
        (Verdict::Fail, DmarcPolicy::Reject) => score.add(100, "dmarc-fail-reject"),
        _ => {}
    }
    if auth.arc == Verdict::Fail {
        score.add(5, "arc-fail");
    }
}

fn score_facts(score: &mut Score, facts: &Facts) {
    match facts.from.as_slice() {
        [] => score.add(20, "from-missing"),
        [author] if author.address.is_empty() => score.add(20, "from-missing"),
        [_] => {}
        _ => score.add(20, "from-many"),
    }
    if facts.from.iter().any(|author| shows_other_address(&author.name, &author.address)) {
        score.add(25, "from-name-is-other-address");
    }
    if facts.sent.is_none() {
        score.add(5, "date-missing");
    }
    if facts.message_id.is_none() {
        score.add(5, "message-id-missing");
    }
    if facts.subject.trim().is_empty() {
        score.add(5, "subject-missing");
    }
}

/// Does a display name show a mail address, but of another domain than the true one? Clients that show only
/// the name would deceive their reader.
fn shows_other_address(name: &str, address: &str) -> bool {
    let is_around = |c: char| c.is_whitespace() || "<>()[]\"',;:".contains(c);
    let shown = name.split(is_around).filter(|word| word.contains('@')).take(10);
    let Ok(own) = MailAddress::domain_of(address) else { return false };
    shown
        .filter_map(|word| MailAddress::domain_of(word).ok())
        .any(|domain| !domain.is_within(&own) && !own.is_within(&domain))
}

#[cfg(test)]
mod tests {
    use super::*;
    use pennypost_model::Timestamp;
    use pennypost_model::message::Contact;

    fn plain() -> Facts {
        Facts {
            subject: "hello".to_owned(),
            from: vec![Contact { name: "Ann".to_owned(), address: "ann@example.com".to_owned() }],
            sent: Some(Timestamp(0)),
            message_id: Some("1@example.com".to_owned()),
            ..Facts::default()
        }
    }

    #[test]
    fn the_table_holds() {
        use Verdict::{Fail, Neutral, None, Pass, PermError, SoftFail, TempError};
        let policy = DmarcPolicy::None;
        for (spf, dkim, dmarc, dmarc_policy, arc, points) in [
            (Pass, Pass, Pass, policy, None, -45),
            (None, None, None, policy, None, 10),
            (SoftFail, None, None, policy, Pass, 15),
            (Fail, Fail, None, policy, None, 45),
            (Fail, Pass, Pass, policy, None, -10),
            (TempError, TempError, TempError, policy, TempError, 0),
            (Neutral, Neutral, Neutral, policy, Fail, 15),
            (PermError, PermError, None, policy, None, 20),
            (None, None, Fail, policy, None, 30),
            (None, None, Fail, DmarcPolicy::Quarantine, None, 70),
            (Pass, None, Fail, DmarcPolicy::Reject, Pass, 95),
        ] {
            let auth = AuthResults { spf, dkim, dmarc, dmarc_policy, arc, ..AuthResults::default() };
            let found = score(&auth, &plain());
            assert_eq!(found.points, points, "{auth:?}: {found:?}");
        }
    }

    #[test]
    fn a_trusted_peer_has_no_points() {
        let auth = AuthResults { trusted: true, spf: Verdict::Fail, ..AuthResults::default() };
        assert_eq!(
            score(&auth, &Facts::default()),
            Score { points: 0, reasons: vec!["trusted+0".to_owned()] }
        );
    }

    #[test]
    fn facts_count() {
        let auth = AuthResults { spf: Verdict::TempError, ..AuthResults::default() };
        assert_eq!(score(&auth, &Facts::default()).points, 35);
        let mut deceiving = plain();
        deceiving.from[0].name = "\"boss@bank.example\"".to_owned();
        assert_eq!(score(&auth, &deceiving).reasons, ["from-name-is-other-address+25"]);
        deceiving.from[0].name = "ann@mail.example.com".to_owned();
        assert_eq!(score(&auth, &deceiving).points, 0);
    }
}
