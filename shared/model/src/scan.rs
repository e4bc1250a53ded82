//! What scanners say of a letter, and what is withheld because of it.

use serde::{Deserialize, Serialize};

/// What scanners said of a letter, one after the other. Nothing where none was asked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scanned {
    /// One for each that was asked.
    pub reports: Vec<ScanReport>,
    /// The parts of the letter that hold the virus, by their numbers in its structure, if all else can be given without them.
    pub infected: Vec<u32>,
}

/// What one scanner said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScanReport {
    /// Its name: `clamav`, `rspamd`.
    pub scanner: &'static str,
    /// What it calls itself: its version, and that of its signatures; empty if it does not say.
    pub version: String,
    /// What it found.
    pub finding: Finding,
}

/// What a scanner found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// Nothing.
    Clean,
    /// A virus: the name of its signature.
    Virus(String),
    /// How much it looks like spam.
    Spam(SpamFinding),
    /// It was not looked at, and goes on all the same: why.
    Unscanned(String),
}

/// How much a letter looks like spam.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SpamFinding {
    /// Points; more is worse.
    pub points: Points,
    /// What the scanner itself would do: `no action`, `add header`, `reject`.
    pub action: String,
    /// What it found, by the scanner's names, the heaviest first.
    pub symbols: Vec<String>,
}

/// Points of a scanner for spam, by hundredths.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Points(pub i32);

impl Points {
    /// The nearest to that number; none for what is no number, or beyond a million.
    #[must_use]
    pub fn of(number: f64) -> Option<Points> {
        (number.is_finite() && number.abs() <= 1e6).then(|| Points((number * 100.0).round() as i32))
    }

    /// As a number.
    #[must_use]
    pub fn number(self) -> f64 {
        f64::from(self.0) / 100.0
    }
}

impl std::fmt::Display for Points {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:.2}", self.number())
    }
}

impl Scanned {
    /// The virus that was found, if there was one.
    #[must_use]
    pub fn virus(&self) -> Option<&str> {
        self.reports.iter().find_map(|report| match &report.finding {
            Finding::Virus(name) => Some(name.as_str()),
            _ => None,
        })
    }

    /// The worst that was said about spam.
    #[must_use]
    pub fn spam(&self) -> Option<&SpamFinding> {
        let spam = self.reports.iter().filter_map(|report| match &report.finding {
            Finding::Spam(found) => Some(found),
            _ => None,
        });
        spam.max_by_key(|found| found.points)
    }
}

/// Why a letter lies in quarantine. Stored: new ones at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum HeldFor {
    /// A scanner found a virus in it.
    Virus,
    /// It looks very much like spam.
    Spam,
}

impl HeldFor {
    /// Its name, as documents have it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            HeldFor::Virus => "virus",
            HeldFor::Spam => "spam",
        }
    }
}

/// What becomes of a copy that goes into no mailbox. Stored: new ones at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Withheld {
    /// It lies in quarantine, for some days.
    Quarantined(HeldFor),
    /// A member sent it, and it goes to nobody: the member is told.
    Refused(HeldFor),
    /// It is thrown away, as the organisation has said.
    Deleted(HeldFor),
    /// The recipient's own rules refuse it, and its sender is told: others get it all the same.
    RefusedByRecipient,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_are_what_a_scanner_says_by_hundredths() {
        assert_eq!(Points::of(15.004).map(|points| points.to_string()).as_deref(), Some("15.00"));
        assert_eq!(Points::of(-0.1), Some(Points(-10)));
        for wrong in [f64::NAN, f64::INFINITY, 2e6] {
            assert_eq!(Points::of(wrong), None);
        }
    }

    #[test]
    fn the_worst_counts() {
        let report = |finding| ScanReport { scanner: "test", version: String::new(), finding };
        let spam = |points| Finding::Spam(SpamFinding { points: Points(points), ..SpamFinding::default() });
        let reports = vec![report(spam(3)), report(Finding::Clean), report(spam(9))];
        let scanned = Scanned { reports, ..Scanned::default() };
        assert_eq!((scanned.virus(), scanned.spam().map(|found| found.points)), (None, Some(Points(9))));
        let reports = vec![report(Finding::Virus("Eicar".to_owned()))];
        let scanned = Scanned { reports, ..Scanned::default() };
        assert_eq!((scanned.virus(), scanned.spam()), (Some("Eicar"), None));
    }
}
