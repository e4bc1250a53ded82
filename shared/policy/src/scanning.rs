//! What a tenant's administrator has decided about what scanners find (RCV-13, RCV-15), and what follows from that.

use pennypost_model::codec::{CodecError, Versioned, decode_without_last};
use pennypost_model::message::cut;
use pennypost_model::scan::{Finding, HeldFor, Points, Scanned, Withheld};
use serde::{Deserialize, Serialize};

/// What the reason begins with that names a virus.
pub const VIRUS_REASON: &str = "virus:";
/// What the reason begins with that tells a scanner's points for spam.
pub const SPAM_REASON: &str = "spam-points:";
/// The reason that says that the recipient is told of a letter with a virus that he does not get.
pub const TOLD_REASON: &str = "recipient-told";
/// What the reason begins with that names the parts of a letter without which its recipients get it, by their numbers in its structure.
pub(crate) const INFECTED_REASON: &str = "infected-parts:";
/// What the reason begins with that tells what a scanner said.
const SCANNED_REASON: &str = "scanned:";
/// What the reason begins with that tells what a scanner for spam found.
const SYMBOLS_REASON: &str = "spam-symbols:";
/// Bytes that reasons of scanners take for all recipients of a letter.
const ALL_REASONS: usize = 24_000;
/// Bytes of one of them.
const REASON: usize = 160;
/// Bytes of the name of a virus.
pub const VIRUS_NAME: usize = 60;
/// Parts of a letter that are taken out of it at most: their numbers are told to each recipient.
pub const MAX_INFECTED: usize = 10;

/// What is done with a letter in which a scanner has found a virus. Stored: new ones at the end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum VirusAction {
    /// It lies in quarantine, from where an administrator may release it.
    #[default]
    Quarantine,
    /// It is deleted.
    Delete,
}

/// What is done as long as a scanner does not answer. Stored: new ones at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Unanswered {
    /// Letters wait.
    Hold,
    /// Letters go on with a mark.
    Pass,
}

/// What recipients get of a letter with a virus, where they are told of it. Stored: new ones at the end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum RecipientsGet {
    /// A few words.
    #[default]
    Notice,
    /// The rest of the letter beside them: without the parts that hold the virus.
    Rest,
}

/// What a tenant has decided about what scanners find.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScanPolicy {
    /// A virus in what comes in.
    pub virus: VirusAction,
    /// No scanner says whether there is one.
    pub without_virus_scanner: Unanswered,
    /// No scanner says whether it is spam.
    pub without_spam_scanner: Unanswered,
    /// From so many points on a letter goes to the junk folder.
    pub junk: Option<Points>,
    /// From so many points on it lies in quarantine.
    pub quarantine: Option<Points>,
    /// From so many points on it is deleted.
    pub delete: Option<Points>,
    /// Recipients are told of a letter with a virus that they do not get.
    pub tell_recipients: bool,
    /// What they get with that.
    pub recipients_get: RecipientsGet,
}

impl Versioned for ScanPolicy {
    const KIND: &'static str = "policy about scanners";
    const VERSION: u8 = 2;

    /// Programs that read version 1 only go on reading it: what recipients get stands behind all that they read, and they give
    /// words alone.
    fn version(&self) -> u8 {
        1
    }

    fn upgrade(found: u8, body: &[u8]) -> Result<ScanPolicy, CodecError> {
        match found {
            1 => decode_without_last(Self::KIND, body),
            _ => Err(CodecError::Version { kind: Self::KIND, found, known: Self::VERSION }),
        }
    }
}

impl Default for ScanPolicy {
    fn default() -> ScanPolicy {
        ScanPolicy {
            virus: VirusAction::Quarantine,
            without_virus_scanner: Unanswered::Hold,
            without_spam_scanner: Unanswered::Pass,
            // Where rspamd adds a header, if nothing is said to it.
            junk: Some(ScanPolicy::DEFAULT_JUNK),
            quarantine: None,
            delete: None,
            tell_recipients: true,
            recipients_get: RecipientsGet::Notice,
        }
    }
}

/// Points that can't be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadPoints {
    /// Not in the range of points.
    #[error("points are between 0.01 and 1000")]
    Range,
    /// Less is done for more points.
    #[error(
        "points for the junk folder are at most those for quarantine, and these at most those for deleting"
    )]
    Order,
}

impl ScanPolicy {
    /// The points from which on a letter goes to the junk folder, where nothing else is said.
    pub const DEFAULT_JUNK: Points = Points(600);
    /// Points at most.
    pub const MOST: Points = Points(100_000);

    /// Can it be?
    ///
    /// # Errors
    /// [`BadPoints`].
    pub fn check(&self) -> Result<(), BadPoints> {
        let said: Vec<Points> = [self.junk, self.quarantine, self.delete].into_iter().flatten().collect();
        if said.iter().any(|points| points.0 < 1 || *points > ScanPolicy::MOST) {
            return Err(BadPoints::Range);
        }
        if said.is_sorted() { Ok(()) } else { Err(BadPoints::Order) }
    }

    /// What is done with a letter of so many points instead of putting it into a mailbox.
    fn withholds(&self, points: Points) -> Option<Withheld> {
        let is_from = |threshold: Option<Points>| threshold.is_some_and(|threshold| points >= threshold);
        if is_from(self.delete) {
            Some(Withheld::Deleted(HeldFor::Spam))
        } else if is_from(self.quarantine) {
            Some(Withheld::Quarantined(HeldFor::Spam))
        } else {
            None
        }
    }

    /// Do recipients get the rest of a letter with a virus?
    #[must_use]
    pub fn gives_rest(&self) -> bool {
        self.tell_recipients && self.recipients_get == RecipientsGet::Rest
    }

    fn is_junk(&self, points: Points) -> bool {
        self.junk.is_some_and(|threshold| points >= threshold)
    }
}

/// What scanners found in a letter, what its tenant thinks of that, and what was decided about a recipient before.
#[derive(Debug, Clone, Copy)]
pub struct Screening<'a> {
    /// What was found.
    pub scanned: &'a Scanned,
    /// What is thought of it.
    pub policy: &'a ScanPolicy,
    /// It was kept from the recipient before, for this, and for these reasons.
    pub kept: Option<(HeldFor, &'a [String])>,
    /// Somebody has released it for the recipient: nothing that a scanner says counts.
    pub released: bool,
}

/// What a scanner's word comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Word {
    /// Nothing is in the way.
    None,
    /// It goes into no mailbox.
    Withheld(Withheld),
    /// It goes to the junk folder, unless something else speaks for the sender.
    Junk,
}

impl Screening<'_> {
    /// A virus, and what was kept before: whoever the sender is.
    pub(crate) fn bars(&self, is_members: bool) -> Option<Withheld> {
        if self.released {
            return None;
        }
        if let Some((kept, _)) = self.kept {
            return Some(Withheld::Quarantined(kept));
        }
        self.scanned.virus()?;
        Some(match self.policy.virus {
            _ if is_members => Withheld::Refused(HeldFor::Virus),
            VirusAction::Quarantine => Withheld::Quarantined(HeldFor::Virus),
            VirusAction::Delete => Withheld::Deleted(HeldFor::Virus),
        })
    }

    /// Spam: where no list speaks for the sender.
    pub(crate) fn word_on_spam(&self) -> Word {
        match self.scanned.spam() {
            Some(found) if !self.released => match self.policy.withholds(found.points) {
                Some(withheld) => Word::Withheld(withheld),
                None if self.policy.is_junk(found.points) => Word::Junk,
                None => Word::None,
            },
            _ => Word::None,
        }
    }

    /// Is the recipient told that he does not get it, for that?
    pub(crate) fn tells(&self, withheld: Withheld) -> bool {
        match withheld {
            // What was decided then counts: an event that comes again says the same.
            Withheld::Quarantined(_) if self.kept.is_some() => {
                self.kept.is_some_and(|(_, reasons)| reasons.iter().any(|reason| reason == TOLD_REASON))
            }
            Withheld::Quarantined(HeldFor::Virus) | Withheld::Deleted(HeldFor::Virus) => {
                self.policy.tell_recipients
            }
            _ => false,
        }
    }

    /// The reason that names the parts without which recipients get the letter. What was decided before counts, as with [`Self::tells`].
    fn infected(&self) -> Option<String> {
        match self.kept {
            Some((_, reasons)) => reasons.iter().find(|reason| reason.starts_with(INFECTED_REASON)).cloned(),
            None if self.scanned.infected.is_empty() => None,
            None => {
                let parts: Vec<String> = self.scanned.infected.iter().map(u32::to_string).collect();
                Some(format!("{INFECTED_REASON}{}", parts.join(",")))
            }
        }
    }

    /// What was found, for the trace: a letter to so many recipients has as much of it for each as there is room for. The virus
    /// and the points always.
    pub(crate) fn reasons(&self, recipients: usize) -> Vec<String> {
        let mut reasons = Vec::new();
        let found_before = |(_, reasons): (HeldFor, &[String])| {
            reasons.iter().find_map(|reason| reason.strip_prefix(VIRUS_REASON)).map(str::to_owned)
        };
        let virus = self.kept.and_then(found_before).or_else(|| self.scanned.virus().map(str::to_owned));
        if let Some(virus) = virus {
            reasons.push(format!("{VIRUS_REASON}{}", cut(&virus, VIRUS_NAME)));
        }
        let spam = self.scanned.spam();
        if let Some(found) = spam {
            reasons.push(format!("{SPAM_REASON}{}", found.points));
        }
        let mut told: Vec<String> = self
            .scanned
            .reports
            .iter()
            .map(|report| {
                let found = match &report.finding {
                    Finding::Clean => "clean".to_owned(),
                    Finding::Virus(_) => "virus".to_owned(),
                    Finding::Spam(found) => found.action.clone(),
                    Finding::Unscanned(cause) => format!("not scanned: {cause}"),
                };
                format!("{SCANNED_REASON}{} {}: {found}", report.scanner, report.version)
            })
            .collect();
        if let Some(found) = spam.filter(|found| !found.symbols.is_empty()) {
            told.push(format!("{SYMBOLS_REASON}{}", found.symbols.join(",")));
        }
        let mut room = ALL_REASONS / recipients.max(1);
        for reason in self.infected().into_iter().chain(told) {
            let reason = cut(&reason, REASON);
            if reason.len() > room {
                break;
            }
            room -= reason.len();
            reasons.push(reason.to_owned());
        }
        reasons
    }
}

/// The parts of a letter without which its recipients get it, if the reasons of a decision name some.
#[must_use]
pub fn infected_parts(reasons: &[String]) -> Option<Vec<u32>> {
    let parts = reasons.iter().find_map(|reason| reason.strip_prefix(INFECTED_REASON))?;
    parts.split(',').map(|part| part.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use pennypost_model::codec;
    use pennypost_model::scan::{ScanReport, SpamFinding};

    use super::*;

    pub(crate) fn spam(points: i32) -> Scanned {
        let symbols = vec!["GTUBE".to_owned(), "R_SPF_FAIL".to_owned()];
        let finding = SpamFinding { points: Points(points), action: "add header".to_owned(), symbols };
        let report = ScanReport {
            scanner: "rspamd",
            version: "rspamd/3.8.1".to_owned(),
            finding: Finding::Spam(finding),
        };
        Scanned { reports: vec![report], ..Scanned::default() }
    }

    #[test]
    fn the_more_points_the_more_is_done() {
        let policy = ScanPolicy {
            quarantine: Some(Points(1_000)),
            delete: Some(Points(2_000)),
            ..ScanPolicy::default()
        };
        assert_eq!(policy.check(), Ok(()));
        let word = |points, released| {
            let scanned = spam(points);
            Screening { scanned: &scanned, policy: &policy, kept: None, released }.word_on_spam()
        };
        for (points, expected) in [
            (599, Word::None),
            (600, Word::Junk),
            (1_000, Word::Withheld(Withheld::Quarantined(HeldFor::Spam))),
            (5_000, Word::Withheld(Withheld::Deleted(HeldFor::Spam))),
        ] {
            assert_eq!((word(points, false), word(points, true)), (expected, Word::None), "{points}");
        }
        let none = ScanPolicy { junk: None, ..ScanPolicy::default() };
        let scanned = spam(90_000);
        let screening = Screening { scanned: &scanned, policy: &none, kept: None, released: false };
        assert_eq!(screening.word_on_spam(), Word::None);
        for (junk, quarantine, delete, expected) in [
            (Some(0), None, None, BadPoints::Range),
            (None, Some(100_001), None, BadPoints::Range),
            (Some(700), Some(600), None, BadPoints::Order),
            (Some(700), None, Some(600), BadPoints::Order),
        ] {
            let [junk, quarantine, delete] = [junk, quarantine, delete].map(|said| said.map(Points));
            let policy = ScanPolicy { junk, quarantine, delete, ..ScanPolicy::default() };
            assert_eq!(policy.check(), Err(expected));
        }
    }

    #[test]
    fn a_virus_is_in_nobodys_way_to_his_own_letters_but_by_the_tenants_word() {
        let report = |finding| ScanReport { scanner: "clamav", version: String::new(), finding };
        let reports = vec![report(Finding::Virus("Eicar".to_owned()))];
        let scanned = Scanned { reports, ..Scanned::default() };
        let policy = ScanPolicy::default();
        let screening = Screening { scanned: &scanned, policy: &policy, kept: None, released: false };
        assert_eq!(screening.bars(false), Some(Withheld::Quarantined(HeldFor::Virus)));
        assert_eq!(screening.bars(true), Some(Withheld::Refused(HeldFor::Virus)));
        assert_eq!(Screening { released: true, ..screening }.bars(false), None);
        let deletes = ScanPolicy { virus: VirusAction::Delete, ..ScanPolicy::default() };
        assert_eq!(
            Screening { policy: &deletes, ..screening }.bars(false),
            Some(Withheld::Deleted(HeldFor::Virus))
        );
        // What was kept stays so, although the scanner finds nothing any more.
        let clean = Scanned::default();
        let kept = Screening { scanned: &clean, kept: Some((HeldFor::Spam, &[][..])), ..screening };
        assert_eq!(kept.bars(false), Some(Withheld::Quarantined(HeldFor::Spam)));
        // Who is told of a virus is told the same when the event comes again, whatever is said by then.
        let said = ["virus:Eicar".to_owned(), TOLD_REASON.to_owned()];
        let silent = ScanPolicy { tell_recipients: false, ..ScanPolicy::default() };
        let kept = Screening { policy: &silent, kept: Some((HeldFor::Virus, &said[..])), ..kept };
        assert_eq!(
            (kept.tells(Withheld::Quarantined(HeldFor::Virus)), kept.reasons(1)),
            (true, vec!["virus:Eicar".to_owned()])
        );
        assert!(!Screening { policy: &silent, ..screening }.tells(Withheld::Deleted(HeldFor::Virus)));
        assert!(screening.tells(Withheld::Deleted(HeldFor::Virus)));
        assert!(
            !screening.tells(Withheld::Quarantined(HeldFor::Spam))
                && !screening.tells(Withheld::Refused(HeldFor::Virus))
        );
        assert_eq!(Screening { scanned: &clean, ..screening }.bars(false), None);
    }

    #[test]
    fn reasons_of_many_recipients_are_fewer() {
        let scanned = spam(1_550);
        let policy = ScanPolicy::default();
        let screening = Screening { scanned: &scanned, policy: &policy, kept: None, released: false };
        assert_eq!(
            screening.reasons(1),
            ["spam-points:15.50", "scanned:rspamd rspamd/3.8.1: add header", "spam-symbols:GTUBE,R_SPF_FAIL"]
        );
        assert_eq!(screening.reasons(1_000), ["spam-points:15.50"]);
    }

    #[test]
    fn infected_parts_are_named_to_each_as_long_as_there_is_room_and_as_they_were_first() {
        let finding = Finding::Virus("Eicar".to_owned());
        let reports = vec![ScanReport { scanner: "clamav", version: "1".to_owned(), finding }];
        let scanned = Scanned { reports, infected: vec![2, 15] };
        let policy = ScanPolicy::default();
        let screening = Screening { scanned: &scanned, policy: &policy, kept: None, released: false };
        assert_eq!(screening.reasons(1), ["virus:Eicar", "infected-parts:2,15", "scanned:clamav 1: virus"]);
        assert_eq!(infected_parts(&screening.reasons(1)), Some(vec![2, 15]));
        assert_eq!(infected_parts(&screening.reasons(10_000)), None);
        let kept = |said: &str| {
            let said = ["virus:Eicar".to_owned(), said.to_owned()];
            infected_parts(&Screening { kept: Some((HeldFor::Virus, &said[..])), ..screening }.reasons(1))
        };
        assert_eq!((kept("infected-parts:7"), kept(TOLD_REASON)), (Some(vec![7]), None));
        assert_eq!(infected_parts(&["infected-parts:1,x".to_owned()]), None);
    }

    /// What is said now is read by programs of before, and what they have said by this one.
    #[test]
    fn programs_of_before_read_what_is_said_and_are_read() {
        #[derive(Debug, PartialEq, Serialize, Deserialize)]
        struct Before {
            virus: VirusAction,
            without_virus_scanner: Unanswered,
            without_spam_scanner: Unanswered,
            junk: Option<Points>,
            quarantine: Option<Points>,
            delete: Option<Points>,
            tell_recipients: bool,
        }
        impl Versioned for Before {
            const KIND: &'static str = "policy about scanners";
        }
        let before = Before {
            virus: VirusAction::Delete,
            without_virus_scanner: Unanswered::Pass,
            without_spam_scanner: Unanswered::Hold,
            junk: Some(Points(700)),
            quarantine: None,
            delete: Some(Points(900)),
            tell_recipients: true,
        };
        let read: ScanPolicy = codec::decode(&codec::encode(&before)).expect("read");
        assert_eq!((read.delete, read.recipients_get), (Some(Points(900)), RecipientsGet::Notice));
        let now = ScanPolicy { recipients_get: RecipientsGet::Rest, ..read };
        let stored = codec::encode(&now);
        assert_eq!(codec::decode::<ScanPolicy>(&stored), Ok(now));
        assert_eq!(codec::decode::<Before>(&stored), Ok(before));
    }
}
