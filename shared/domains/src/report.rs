//! What a check has found.

use pennypost_model::Timestamp;
use pennypost_model::codec::Versioned;
use serde::{Deserialize, Serialize};

/// Records of one name that a report keeps.
pub(crate) const MAX_FOUND: usize = 10;
/// Characters of each.
pub(crate) const MAX_TEXT: usize = 600;

/// What is looked at. Stored: new ones at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Subject {
    /// Whose domain it is.
    Ownership,
    /// Where mail is brought (DOM-06).
    Mx,
    /// Who sends (DOM-09).
    Spf,
    /// Signatures.
    Dkim,
    /// What others do with forged mail (DOM-10).
    Dmarc,
    /// Mail is brought over TLS only (RFC 8461).
    MtaSts,
    /// Reports of failed TLS (RFC 8460).
    TlsReports,
    /// Settings for Thunderbird and others.
    Autoconfig,
    /// Settings for Outlook.
    Autodiscover,
    /// IMAP, for mail programs (RFC 6186).
    ImapService,
    /// POP3.
    Pop3Service,
    /// Submission (RFC 8314).
    SubmissionService,
    /// A host name of the domain for IMAP (DOM-11).
    ImapHost,
    /// The same for POP3.
    Pop3Host,
    /// The same for sending.
    SmtpHost,
    /// The same for the pages.
    WebHost,
    /// The host of the policy for TLS (RFC 8461).
    MtaStsHost,
    /// A host from which letters are brought to others.
    Sender,
    /// The name of its address.
    Reverse,
    /// A list of those from whom others take nothing (RFC 5782).
    Blocklist,
    /// The logo that others show beside letters.
    Bimi,
}

impl Subject {
    /// Every one.
    pub const ALL: [Subject; 21] = [
        Subject::Ownership,
        Subject::Mx,
        Subject::Spf,
        Subject::Dkim,
        Subject::Dmarc,
        Subject::MtaSts,
        Subject::TlsReports,
        Subject::Autoconfig,
        Subject::Autodiscover,
        Subject::ImapService,
        Subject::Pop3Service,
        Subject::SubmissionService,
        Subject::ImapHost,
        Subject::Pop3Host,
        Subject::SmtpHost,
        Subject::WebHost,
        Subject::MtaStsHost,
        Subject::Sender,
        Subject::Reverse,
        Subject::Blocklist,
        Subject::Bimi,
    ];

    /// Its name for programs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Subject::Ownership => "ownership",
            Subject::Mx => "mx",
            Subject::Spf => "spf",
            Subject::Dkim => "dkim",
            Subject::Dmarc => "dmarc",
            Subject::MtaSts => "mta-sts",
            Subject::TlsReports => "tls-rpt",
            Subject::Autoconfig => "autoconfig",
            Subject::Autodiscover => "autodiscover",
            Subject::ImapService => "imaps-service",
            Subject::Pop3Service => "pop3s-service",
            Subject::SubmissionService => "submissions-service",
            Subject::ImapHost => "imap-host",
            Subject::Pop3Host => "pop3-host",
            Subject::SmtpHost => "smtp-host",
            Subject::WebHost => "web-host",
            Subject::MtaStsHost => "mta-sts-host",
            Subject::Sender => "sender",
            Subject::Reverse => "reverse",
            Subject::Blocklist => "blocklist",
            Subject::Bimi => "bimi",
        }
    }
}

/// How it stands. Stored: new ones at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Verdict {
    /// As it should be.
    Good,
    /// It works, and could be better.
    Warning,
    /// There is none.
    Missing,
    /// There is one that does not do what it should.
    Wrong,
    /// DNS did not answer.
    Unknown,
}

impl Verdict {
    /// Its name for programs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Verdict::Good => "good",
            Verdict::Warning => "warning",
            Verdict::Missing => "missing",
            Verdict::Wrong => "wrong",
            Verdict::Unknown => "unknown",
        }
    }
}

/// What exactly is not as it should be. Stored: new ones at the end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Fault {
    /// There is no record.
    NoRecord,
    /// DNS did not answer.
    NoAnswer(String),
    /// The token of another claim, or an old one.
    OtherToken,
    /// Every name of the domain points there: that proves nothing.
    Wildcard,
    /// The domain says that it takes no mail (RFC 7505).
    NullMx,
    /// None of the hosts is ours.
    NoHostOfOurs,
    /// Mail goes elsewhere first.
    OthersFirst(String),
    /// If ours are not reached, mail goes elsewhere.
    OthersToo(String),
    /// A host of ours is not named.
    HostNotNamed(String),
    /// More than one record where only one may be.
    Several(usize),
    /// It can't be understood.
    Syntax(String),
    /// More look-ups than receivers make (RFC 7208 section 4.6.4).
    TooManyLookUps(usize),
    /// More look-ups without an answer than receivers make.
    TooManyVoid(usize),
    /// It includes a domain that has no SPF.
    IncludesNothing(String),
    /// Mail of ours from this host does not pass.
    DoesNotPass(String),
    /// It lets everybody send.
    LetsEverybody,
    /// It does not say what holds for all others.
    NoEnd,
    /// It names so much that nobody can say it in advance.
    Macros,
    /// There is no key yet.
    NoKey,
    /// The key was taken back: its place is empty.
    Revoked,
    /// It is not our key.
    OtherKey,
    /// Nothing happens to forged mail.
    OnlyWatches,
    /// It holds for a part of the mail only.
    OnlyAPart(u8),
    /// It is that of a domain above.
    FromAbove(String),
    /// The policy can't be had.
    PolicyNotThere(String),
    /// The policy does not name this host.
    PolicyLacks(String),
    /// The policy is only a test.
    PolicyTests,
    /// The policy says that there is none.
    PolicyIsNone,
    /// The policy is kept for less than a day.
    PolicyIsShort,
    /// It points elsewhere.
    PointsElsewhere,
    /// Nobody gets reports.
    NoReports,
    /// The key is no longer used.
    NoLongerUsed,
    /// The record names another policy than the one that is published here.
    OldPolicy,
    /// Another policy is published than the one here.
    OtherPolicy,
    /// The address is one of a network of one's own.
    NotPublic,
    /// The address has no name.
    NoReverse,
    /// The name of the address leads elsewhere.
    ReverseElsewhere(String),
    /// It is on the list; what the list says of it.
    Listed(String),
    /// The list answers to nothing that it has to have, or to what it can't have: it tells nothing.
    ListTellsNothing,
    /// A logo is shown of those alone whose forged mail is not delivered.
    LogoNeedsDmarc,
    /// The domain says that it shows no logo.
    LogoDeclined,
    /// The logo can't be had.
    LogoNotThere(String),
    /// The picture is not of the kind that others show.
    LogoNotShown(String),
    /// The picture has more bytes than others take.
    LogoIsLarge(usize),
    /// Nobody has certified whose logo it is.
    NoCertificate,
}

/// One of the things that were looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checked {
    /// What.
    pub subject: Subject,
    /// At which name.
    pub name: String,
    /// How it stands.
    pub verdict: Verdict,
    /// What was found there, as it would stand in a zone.
    pub found: Vec<String>,
    /// What is not as it should be.
    pub faults: Vec<Fault>,
}

/// What a check has found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// When.
    pub time: Timestamp,
    /// Each thing, in the order of [`Subject`].
    pub checked: Vec<Checked>,
}

impl Versioned for Report {
    const KIND: &'static str = "domain check";
}

impl Report {
    /// How the worst of a subject stands; `None` if it was not looked at.
    #[must_use]
    pub fn verdict(&self, subject: Subject) -> Option<Verdict> {
        let of_it = self.checked.iter().filter(|checked| checked.subject == subject);
        of_it.map(|checked| checked.verdict).max()
    }

    /// Does mail arrive: is MX as it should be, or good enough (DOM-07)? `None` if DNS did not answer.
    #[must_use]
    pub fn takes_mail(&self) -> Option<bool> {
        match self.verdict(Subject::Mx) {
            Some(Verdict::Good | Verdict::Warning) => Some(true),
            Some(Verdict::Missing | Verdict::Wrong) => Some(false),
            Some(Verdict::Unknown) | None => None,
        }
    }

    /// Is forged mail in its name refused or put aside by others, and by us (DOM-10)?
    #[must_use]
    pub fn is_protected(&self) -> bool {
        let of_it = self.checked.iter().find(|checked| checked.subject == Subject::Dmarc);
        of_it.is_some_and(|checked| {
            matches!(checked.verdict, Verdict::Good | Verdict::Warning)
                && !checked.faults.contains(&Fault::OnlyWatches)
        })
    }
}

impl Checked {
    pub(crate) fn new(subject: Subject, name: &str) -> Checked {
        Checked {
            subject,
            name: name.to_owned(),
            verdict: Verdict::Good,
            found: Vec::new(),
            faults: Vec::new(),
        }
    }

    pub(crate) fn finding(mut self, found: impl IntoIterator<Item = String>) -> Checked {
        let short = |text: String| text.chars().take(MAX_TEXT).collect();
        self.found.extend(found.into_iter().take(MAX_FOUND).map(short));
        self
    }

    /// With a fault: the worst decides.
    pub(crate) fn with(mut self, verdict: Verdict, fault: Fault) -> Checked {
        self.verdict = self.verdict.max(verdict);
        self.faults.push(fault);
        self
    }
}
