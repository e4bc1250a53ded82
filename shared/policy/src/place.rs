//! The decision after the `250`: into which mailbox goes a recipient's copy, and why?
//!
//! Feature RCV-06: tenant lists before personal ones

use pennypost_model::event::{
    Body, Decision, DmarcPolicy, Parsed, Recipient, SourceKind, Target, Verdict, Via,
};
use pennypost_model::message::cut;
use pennypost_model::scan::Withheld;
use pennypost_model::{FlagSet, MailboxRole, SystemFlags};

use crate::accept::senders;
use crate::address::MailAddress;
use crate::content::content_reason;
use crate::rules::{
    Applied, Asking, ForwardTo, FullText, Letter, MemberRules, Moment, Outlets, Personal, Put, Reply,
    may_align,
};
use crate::scanning::{INFECTED_REASON, Screening, TOLD_REASON, Word};
use crate::score::score;
use crate::tenant::TenantPolicy;

/// The reason of mail that the system itself has made.
pub const SYSTEM_REASON: &str = "system";
/// The reason of the copy in Sent.
pub const SENT_REASON: &str = "rule:sent";
/// The reason of a letter that comes back to Drafts.
pub const DRAFT_REASON: &str = "rule:drafts";
/// What the reason begins with that says what became of the texts that the writer's organisation puts into letters.
pub const FOOTERS_REASON: &str = "footers:";
/// What the reason begins with that names a rule of the member.
pub const MEMBER_RULE_REASON: &str = "member-rule:";

/// What the reason begins with that says how many more rules of the member held than are named.
pub const MORE_MEMBER_RULES_REASON: &str = "member-rules-more:";

/// What the reason begins with that says to how many addresses the recipient forwards it.
pub const FORWARDED_REASON: &str = "forwarded:";
/// What the reason begins with that says why it is not forwarded to others.
pub const NOT_FORWARDED_REASON: &str = "not-forwarded:";

/// The reason that the recipient's rules refuse it.
pub const REFUSED_REASON: &str = "refused";
/// What the reason begins with that says why it is deleted instead of refused.
pub const NOT_REFUSED_REASON: &str = "not-refused:";

/// What becomes of a letter for one of its recipients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placed {
    /// Where his copy goes, and why.
    pub decision: Decision,
    /// Where it is forwarded, each address once.
    pub forwards: Vec<ForwardTo>,
    /// Where his copy goes, and with which flags, if those to whom it is forwarded get it anyway.
    pub stays: Option<(Target, FlagSet)>,
    /// What it is answered with, if its writer may be answered and was not answered of late.
    pub reply: Option<Reply>,
    /// It is refused, and this is what its sender is told. Who can't tell him says so by [`Placed::not_refused`].
    pub refusal: Option<String>,
    /// A rule asks for the letter's text, which was not there: it is to be placed again with that.
    pub wants_text: bool,
}

impl Placed {
    /// Deletes it instead of refusing it: nothing is withheld of which nobody hears.
    pub fn not_refused(&mut self, why: &str) {
        let Decision { target, reasons, .. } = &mut self.decision;
        *target = Target::Role(MailboxRole::Trash);
        reasons.retain(|reason| reason != REFUSED_REASON);
        reasons.push(format!("{NOT_REFUSED_REASON}{why}"));
        self.refusal = None;
    }
}

impl From<Decision> for Placed {
    fn from(decision: Decision) -> Placed {
        let (forwards, stays, reply) = (Vec::new(), None, None);
        Placed { decision, forwards, stays, reply, refusal: None, wants_text: false }
    }
}

/// Recipients for each of whom is told what is the same of all of them; of more it is told of the first.
const TOLD: usize = 100;
/// Rules that are named of those that held.
const NAMED: usize = 5;
/// Bytes of each name.
const NAME: usize = 40;
/// Bytes that these reasons take for all recipients of a letter: an event and a trace hold those of all of them.
const ALL_NAMED: usize = 32_000;

/// As [`place_screened`], where no scanner was asked.
#[must_use]
pub fn place(
    policy: &TenantPolicy,
    parsed: &Parsed,
    recipient: &Recipient,
    personal: Option<&Personal>,
    outlets: Outlets,
) -> Placed {
    place_screened(policy, parsed, recipient, (personal, None), outlets)
}

/// As [`place_letter`], where no text was taken out of the letter.
#[must_use]
pub fn place_screened(
    policy: &TenantPolicy,
    parsed: &Parsed,
    recipient: &Recipient,
    said: (Option<&Personal>, Option<&Screening<'_>>),
    outlets: Outlets,
) -> Placed {
    place_letter(policy, (parsed, None), recipient, said, outlets)
}

/// Decides where the copy of `recipient` goes, in this order; the first rule that fires wins. Before all of them, but for what the system made, comes what
/// a scanner has found: a virus keeps it from everybody, as the tenant has said (RCV-15), and so does quarantine in which it lies for
/// the recipient, unless somebody has released it.
///
///
/// 1. taken back by its writer before it went (SND-08): Drafts; made by the system: Inbox; the copy of a member who wrote it: Sent, and seen (SND-16);
/// 2. came by the catch-all: the folder for wrong addresses (RCV-17); handed in by a member who had signed in: Inbox, since
///    nobody else can have written it, unless its subject is filtered (listed since then), or the recipient has blacklisted
///    its author: Junk;
/// 3. blacklisted by the tenant or subject filtered (listed since the message was accepted): Junk;
/// 4. whitelisted by the tenant: Inbox;
/// 5. the recipient's own lists (RCV-06: after the tenant's): whitelisted (RCV-08): Inbox; else blacklisted (RCV-07): Junk;
/// 6. released from quarantine: Inbox; else a scanner finds so much spam that the tenant wants it in quarantine, or deleted (RCV-13):
///    that;
/// 7. DMARC failed and the domain asks for `quarantine`, or for `reject` and it was let in nevertheless: Junk;
/// 8. the service that received it found that it is spam, or a scanner so much that the tenant wants it there: Junk;
/// 9. the score reaches the tenant's threshold: Junk;
/// 10. Inbox.
///
/// What would go to the Inbox for another reason than that the system made it is then what the recipient's own rules are asked
/// about (RUL-01): they move, delete, label and mark it. What is Junk stays there.
///
/// The reasons begin with the version of the policy and the score, then comes the rule that fired, and where the recipient has
/// rules or lists their version and the first of his rules that fired, as many as there is room for, with their names cut. What scanners
/// said stands behind the version of the policy.
///
/// What is asked about rules is also forwarded (RUL-06) and answered (RUL-07), as far as there are `outlets`; what a rule
/// deletes is neither by the general settings, and what a rule refuses is neither at all. Of what a member sends his rules on
/// sending give copies to others.
///
/// The letter's text is given if it has been taken out of it; whether it is wanted stands in what is decided without.
#[must_use]
pub fn place_letter(
    policy: &TenantPolicy,
    (parsed, text): (&Parsed, Option<&FullText>),
    recipient: &Recipient,
    (personal, screening): (Option<&Personal>, Option<&Screening<'_>>),
    outlets: Outlets,
) -> Placed {
    let accepted = &parsed.accepted;
    let facts = &parsed.sidecar.facts;
    let mut reasons = vec![format!("policy-version:{}", policy.version)];
    let is_told = accepted.recipients.len() <= TOLD || accepted.recipients.first() == Some(recipient);
    if let Some(footers) = accepted.source.kind.footers().filter(|_| is_told) {
        reasons.push(format!("{FOOTERS_REASON}{}", footers.name()));
    }
    if is_told {
        reasons.extend(accepted.source.kind.noted().iter().map(|rule| content_reason(rule)));
    }
    let screening = screening.filter(|_| *accepted.source.kind.way() != SourceKind::System);
    if let Some(screening) = screening {
        reasons.extend(screening.reasons(accepted.recipients.len()));
        if let Some(withheld) = screening.bars(accepted.source.kind.submission().is_some()) {
            if recipient.via == Via::Sent {
                // So that it is told as the writer's copy, and not as a recipient.
                reasons.push(SENT_REASON.to_owned());
            }
            if screening.tells(withheld) {
                reasons.push(TOLD_REASON.to_owned());
            }
            // A virus takes no text past what keeps it out of inboxes.
            if is_junk(policy, parsed) {
                reasons.retain(|reason| !reason.starts_with(INFECTED_REASON));
            }
            return withheld_for(withheld, reasons).into();
        }
    }
    if recipient.via == Via::Outside {
        reasons.push("rule:outside".to_owned());
        return Decision { target: Target::Outside, flags: FlagSet::default(), reasons }.into();
    }
    if recipient.via == Via::Drafts {
        reasons.push(DRAFT_REASON.to_owned());
        let flags = FlagSet::system(SystemFlags(SystemFlags::SEEN.0 | SystemFlags::DRAFT.0));
        return Decision { flags, ..decision(MailboxRole::Drafts, reasons) }.into();
    }
    if *accepted.source.kind.way() == SourceKind::System {
        reasons.push(SYSTEM_REASON.to_owned());
        return decision(MailboxRole::Inbox, reasons).into();
    }
    let senders = senders(&accepted.reverse_path, facts.from.iter().map(|author| author.address.as_str()));
    // Of what can't be read nothing holds.
    let said = personal.filter(|personal| !personal.unreadable);
    let blacklists = |personal: &Personal| personal.rules.blacklists(&senders);
    if accepted.source.kind.submission().is_some() {
        let (role, rule, flags) = match recipient.via {
            Via::Sent => (MailboxRole::Sent, SENT_REASON, FlagSet::system(SystemFlags::SEEN)),
            Via::CatchAll => (MailboxRole::Transfer, "rule:catch-all", FlagSet::default()),
            Via::Direct | Via::Alias | Via::Group if policy.filters_subject(&facts.subject) => {
                (MailboxRole::Junk, "rule:tenant-subject-filter", FlagSet::default())
            }
            Via::Direct | Via::Alias | Via::Group if said.is_some_and(blacklists) => {
                (MailboxRole::Junk, "rule:personal-blacklist", FlagSet::default())
            }
            Via::Direct | Via::Alias | Via::Group | Via::Outside | Via::Drafts => {
                (MailboxRole::Inbox, "rule:submission", FlagSet::default())
            }
        };
        reasons.push(rule.to_owned());
        let decided = Decision { flags, ..decision(role, reasons) };
        if recipient.via == Via::Sent {
            return by_rules_on_sending(personal, (parsed, text), decided, outlets);
        }
        return by_rules(personal, (parsed, text), recipient, decided, outlets);
    }
    let is_released = screening.is_some_and(|screening| screening.released);
    let on_spam = screening.map_or(Word::None, Screening::word_on_spam);
    let score = score(&accepted.auth, facts);
    reasons.push(format!("score:{}", score.points));
    reasons.extend(score.reasons);

    let failed_dmarc =
        accepted.auth.dmarc == Verdict::Fail && accepted.auth.dmarc_policy != DmarcPolicy::None;
    let (role, rule) = if recipient.via == Via::CatchAll {
        (MailboxRole::Transfer, "catch-all")
    } else if policy.blacklists(&senders) {
        (MailboxRole::Junk, "tenant-blacklist")
    } else if policy.filters_subject(&facts.subject) {
        (MailboxRole::Junk, "tenant-subject-filter")
    } else if policy.whitelists(&senders) {
        (MailboxRole::Inbox, "tenant-whitelist")
    } else if said.is_some_and(|personal| personal.rules.whitelists(&senders)) {
        (MailboxRole::Inbox, "personal-whitelist")
    } else if said.is_some_and(blacklists) {
        (MailboxRole::Junk, "personal-blacklist")
    } else if is_released {
        (MailboxRole::Inbox, "released")
    } else if let Word::Withheld(withheld) = on_spam {
        return withheld_for(withheld, reasons).into();
    } else if failed_dmarc && !accepted.auth.trusted {
        (MailboxRole::Junk, "dmarc")
    } else if *accepted.source.kind.way() == (SourceKind::Service { spam: Verdict::Fail }) {
        (MailboxRole::Junk, "service-spam")
    } else if on_spam == Word::Junk {
        (MailboxRole::Junk, "scanner-spam")
    } else if score.points >= policy.junk_threshold {
        (MailboxRole::Junk, "score")
    } else {
        (MailboxRole::Inbox, "default")
    };
    reasons.push(format!("rule:{rule}"));
    by_rules(personal, (parsed, text), recipient, decision(role, reasons), outlets)
}

/// The decision as the recipient's own rules change it.
fn by_rules(
    personal: Option<&Personal>,
    (parsed, text): (&Parsed, Option<&FullText>),
    recipient: &Recipient,
    mut decided: Decision,
    outlets: Outlets,
) -> Placed {
    let Some(personal) = personal else { return decided.into() };
    if personal.unreadable {
        decided.reasons.push("member-rules:unreadable".to_owned());
        return decided.into();
    }
    decided.reasons.push(format!("member-rules:{}", personal.version));
    if decided.target != Target::Role(MailboxRole::Inbox) {
        return decided.into();
    }
    let mut own = personal.own.clone();
    if matches!(recipient.via, Via::Direct | Via::Alias) {
        own.extend(MailAddress::parse(&recipient.address));
    }
    let accepted = &parsed.accepted;
    let letter = Letter { text, ..letter_of(parsed, &own) };
    let mut applied = personal.rules.apply(&letter);
    if matches!(applied.put, Some(Put::Refused(_))) {
        applied.forwards.clear();
    }
    decided.reasons.extend(fired(&applied, personal, parsed));
    let of_colleague = accepted.source.kind.submission().is_some();
    // As it goes out its reverse-path is the account's domain's, and other servers would take it for ours.
    let is_ours = |address: &str| {
        let author = MailAddress::parse(address).ok().zip(personal.from.as_ref());
        author.is_some_and(|(author, (ours, _))| may_align(author.domain(), ours.domain()))
    };
    let auth = &accepted.auth;
    let is_forged = !of_colleague
        && !auth.trusted
        && auth.dmarc != Verdict::Pass
        && parsed.sidecar.facts.from.iter().any(|author| is_ours(&author.address));
    let (forwards, closed) = MemberRules::forwarded(&applied, personal, (of_colleague, is_forged), outlets);
    let by_setting = forwards.iter().any(|forward| forward.by_setting);
    if !forwards.is_empty() {
        decided.reasons.push(format!("{FORWARDED_REASON}{}", forwards.len()));
    }
    decided.reasons.extend(closed.iter().map(|why| format!("{NOT_FORWARDED_REASON}{}", why.name())));
    let asking =
        Asking { letter: &letter, reverse_path: &accepted.reverse_path, auth: &accepted.auth, of_colleague };
    let is_unanswered = match applied.put {
        Some(Put::Refused(_)) => true,
        Some(Put::Trash) => applied.reply.is_none(),
        Some(Put::Folder(_)) | None => false,
    };
    let reply = if is_unanswered { None } else { personal.rules.replies(&applied, asking) };
    let mut flags = applied.flags.clone();
    let (mut stays, mut refusal) = (None, None);
    let wants_text = applied.wants_text;
    decided.target = match applied.put {
        Some(Put::Folder(folder)) => Target::Mailbox(folder.id),
        Some(Put::Trash) => Target::Role(MailboxRole::Trash),
        Some(Put::Refused(text)) => match cannot_refuse(personal, recipient, asking, outlets) {
            None => {
                refusal = Some(text.to_owned());
                decided.reasons.push(REFUSED_REASON.to_owned());
                Target::Withheld(Withheld::RefusedByRecipient)
            }
            Some(why) => {
                decided.reasons.push(format!("{NOT_REFUSED_REASON}{why}"));
                Target::Role(MailboxRole::Trash)
            }
        },
        // What does not stay in the account can be had back from Trash for a while.
        None if by_setting && personal.rules.forwards_away() => {
            stays = Some((decided.target, applied.flags));
            flags.system = flags.system.union(SystemFlags::SEEN);
            Target::Role(MailboxRole::Trash)
        }
        None => decided.target,
    };
    Placed { decision: Decision { flags, ..decided }, forwards, stays, reply, refusal, wants_text }
}

/// Would the letter lie in Junk, whoever gets it, as far as that is known without a scanner for spam?
fn is_junk(policy: &TenantPolicy, parsed: &Parsed) -> bool {
    let (accepted, facts) = (&parsed.accepted, &parsed.sidecar.facts);
    let senders = senders(&accepted.reverse_path, facts.from.iter().map(|author| author.address.as_str()));
    policy.blacklists(&senders)
        || policy.filters_subject(&facts.subject)
        || *accepted.source.kind.way() == (SourceKind::Service { spam: Verdict::Fail })
        || !accepted.auth.trusted
            && accepted.auth.dmarc == Verdict::Fail
            && accepted.auth.dmarc_policy != DmarcPolicy::None
        || score(&accepted.auth, facts).points >= policy.junk_threshold
}

/// Why a letter is not refused (RFC 5429), and deleted instead: it was accepted long ago, so that only who has certainly sent it is told,
/// and who is told of nothing would take it for delivered.
fn cannot_refuse(
    personal: &Personal,
    recipient: &Recipient,
    asking: Asking<'_>,
    outlets: Outlets,
) -> Option<&'static str> {
    // The others behind a group's address have it.
    if !matches!(recipient.via, Via::Direct | Via::Alias) {
        Some("group")
    } else if asking.reverse_path.is_empty() {
        Some("no-sender")
    } else if asking.of_colleague {
        None
    } else if !asking.is_senders() {
        Some("unproved")
    } else if !outlets.outside {
        Some("not-sent")
    } else if outlets.late {
        Some("late")
    } else if !personal.answers_outside {
        Some("kept-inside")
    } else {
        None
    }
}

/// The letter as rules ask about it.
fn letter_of<'a>(parsed: &'a Parsed, own: &'a [MailAddress]) -> Letter<'a> {
    let size = match &parsed.accepted.body {
        Body::Inline(message) => message.size,
        Body::Spooled { size, .. } => *size,
    };
    Letter { time: parsed.accepted.time, size, facts: &parsed.sidecar.facts, own, text: None }
}

/// The rules that held, as the trace tells them.
fn fired(applied: &Applied<'_>, personal: &Personal, parsed: &Parsed) -> Vec<String> {
    let mut room = ALL_NAMED / parsed.accepted.recipients.len().max(1);
    let names = applied.fired.iter().map(|number| cut(&personal.rules.rules[*number].name, NAME));
    let named = names.map(|name| format!("{MEMBER_RULE_REASON}{name}")).take(NAMED).take_while(|reason| {
        let fits = reason.len() <= room;
        room = room.saturating_sub(reason.len());
        fits
    });
    let mut told: Vec<String> = named.collect();
    let more = applied.fired.len() - told.len();
    if more > 0 {
        told.push(format!("{MORE_MEMBER_RULES_REASON}{more}"));
    }
    told
}

/// Where the copy of a letter that a member has sent lies, and who else gets one, as his own rules on sending say (RUL-01, RUL-03).
fn by_rules_on_sending(
    personal: Option<&Personal>,
    (parsed, text): (&Parsed, Option<&FullText>),
    mut decided: Decision,
    outlets: Outlets,
) -> Placed {
    let Some(personal) = personal else { return decided.into() };
    if personal.unreadable {
        decided.reasons.push("member-rules:unreadable".to_owned());
        return decided.into();
    }
    if !personal.rules.has_sending() {
        return decided.into();
    }
    decided.reasons.push(format!("member-rules:{}", personal.version));
    let letter = Letter { text, ..letter_of(parsed, &personal.own) };
    let applied = personal.rules.apply_at(Moment::Send, &letter);
    decided.reasons.extend(fired(&applied, personal, parsed));
    // A letter that stays here was not asked about as one that goes outside: its contents, its texts, how many may go.
    let outlets = Outlets { outside: outlets.outside && parsed.accepted.leaves(), ..outlets };
    let (forwards, closed) = MemberRules::copied(&applied, personal, outlets);
    if !forwards.is_empty() {
        decided.reasons.push(format!("{FORWARDED_REASON}{}", forwards.len()));
    }
    decided.reasons.extend(closed.iter().map(|why| format!("{NOT_FORWARDED_REASON}{}", why.name())));
    decided.target = match applied.put {
        Some(Put::Folder(folder)) => Target::Mailbox(folder.id),
        Some(Put::Trash) => Target::Role(MailboxRole::Trash),
        // Nobody refuses what he sends himself.
        Some(Put::Refused(_)) | None => decided.target,
    };
    decided.flags.system = decided.flags.system.union(applied.flags.system);
    decided.flags.keywords = applied.flags.keywords;
    Placed { forwards, wants_text: applied.wants_text, ..Placed::from(decided) }
}

fn withheld_for(withheld: Withheld, mut reasons: Vec<String>) -> Decision {
    let rule = match withheld {
        Withheld::Quarantined(_) => "quarantine",
        Withheld::Refused(_) => "refused",
        Withheld::Deleted(_) => "deleted",
        Withheld::RefusedByRecipient => "refused-by-recipient",
    };
    reasons.push(format!("rule:{rule}"));
    Decision { target: Target::Withheld(withheld), flags: FlagSet::default(), reasons }
}

fn decision(role: MailboxRole, reasons: Vec<String>) -> Decision {
    Decision { target: Target::Role(role), flags: FlagSet::default(), reasons }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::{
        AutoForward, Automatic, Closed, Condition, Inside, Join, Moment, Rule, RuleAction, Way,
    };
    use pennypost_model::event::{Accepted, AuthResults, Body, Source, Submission};
    use pennypost_model::message::{Contact, Facts, Sidecar};
    use pennypost_model::structure::Structure;
    use pennypost_model::trace::Submitter;
    use pennypost_model::{AccountId, AccountKey, EventId, TenantId, Timestamp};
    use proptest::prelude::*;

    const OPEN: Outlets = Outlets { outside: true, room: true, late: false };

    /// The decision alone.
    fn place(
        policy: &TenantPolicy,
        parsed: &Parsed,
        recipient: &Recipient,
        personal: Option<&Personal>,
    ) -> Decision {
        super::place(policy, parsed, recipient, personal, OPEN).decision
    }

    fn parsed(sender: &str, subject: &str, auth: AuthResults) -> Parsed {
        let facts = Facts {
            subject: subject.to_owned(),
            from: vec![Contact { name: String::new(), address: sender.to_owned() }],
            sent: Some(Timestamp(0)),
            message_id: Some("1@example.com".to_owned()),
            ..Facts::default()
        };
        let accepted = Accepted {
            id: EventId::from_parts(Timestamp(1), 1),
            time: Timestamp(1),
            tenant: TenantId(1),
            source: Source { kind: SourceKind::Smtp, ip: None, helo: String::new(), tls: None },
            auth,
            reverse_path: sender.to_owned(),
            recipients: vec![recipient(Via::Direct)],
            body: Body::Spooled { object: String::new(), size: 0 },
            receipt: String::new(),
        };
        Parsed {
            accepted,
            sidecar: Sidecar { structure: Structure::default(), facts, receipt: String::new() },
        }
    }

    fn recipient(via: Via) -> Recipient {
        let account = AccountKey { tenant: TenantId(1), account: AccountId(1) };
        Recipient { account, address: "me@example.com".to_owned(), via }
    }

    fn policy() -> TenantPolicy {
        let mut policy = TenantPolicy { version: 7, ..TenantPolicy::default() };
        policy.add_to_blacklist("bad.example").expect("domain");
        policy.add_to_whitelist("good.example").expect("domain");
        policy.add_to_subject_filter("lottery").expect("keyword");
        policy
    }

    #[test]
    fn the_order_of_the_rules_holds() {
        use MailboxRole::{Inbox, Junk, Transfer};
        let fine = AuthResults { spf: Verdict::Pass, ..AuthResults::default() };
        let dmarc = |dmarc_policy| AuthResults {
            dmarc: Verdict::Fail,
            dmarc_policy,
            spf: Verdict::Pass,
            ..AuthResults::default()
        };
        let quarantine = dmarc(DmarcPolicy::Quarantine);
        let poor = AuthResults {
            spf: Verdict::Fail,
            dkim: Verdict::Fail,
            dmarc: Verdict::Fail,
            ..AuthResults::default()
        };
        for (sender, subject, auth, via, role, rule) in [
            ("a@any.example", "hello", &fine, Via::Direct, Inbox, "rule:default"),
            ("a@any.example", "hello", &fine, Via::Group, Inbox, "rule:default"),
            ("a@any.example", "hello", &fine, Via::CatchAll, Transfer, "rule:catch-all"),
            ("a@bad.example", "hello", &fine, Via::CatchAll, Transfer, "rule:catch-all"),
            ("a@bad.example", "hello", &fine, Via::Direct, Junk, "rule:tenant-blacklist"),
            ("a@good.example", "lottery", &fine, Via::Direct, Junk, "rule:tenant-subject-filter"),
            ("a@good.example", "hello", &poor, Via::Direct, Inbox, "rule:tenant-whitelist"),
            ("a@good.example", "hello", &quarantine, Via::Direct, Inbox, "rule:tenant-whitelist"),
            ("a@any.example", "hello", &quarantine, Via::Alias, Junk, "rule:dmarc"),
            ("a@any.example", "hello", &dmarc(DmarcPolicy::Reject), Via::Direct, Junk, "rule:dmarc"),
            ("a@any.example", "hello", &dmarc(DmarcPolicy::None), Via::Direct, Inbox, "rule:default"),
            ("a@any.example", "hello", &poor, Via::Direct, Junk, "rule:score"),
        ] {
            let decision = place(&policy(), &parsed(sender, subject, auth.clone()), &recipient(via), None);
            assert_eq!(decision.target, Target::Role(role), "{sender} {subject} {auth:?}");
            assert_eq!(decision.reasons.last().map(String::as_str), Some(rule));
            assert_eq!(decision.reasons.first().map(String::as_str), Some("policy-version:7"));
        }
    }

    #[test]
    fn what_a_service_found_to_be_spam_is_junk_unless_the_tenant_wants_it() {
        use MailboxRole::{Inbox, Junk};
        let fine = AuthResults { spf: Verdict::Pass, ..AuthResults::default() };
        for (sender, spam, role, rule) in [
            ("a@any.example", Verdict::Pass, Inbox, "rule:default"),
            ("a@any.example", Verdict::None, Inbox, "rule:default"),
            ("a@any.example", Verdict::Fail, Junk, "rule:service-spam"),
            ("a@good.example", Verdict::Fail, Inbox, "rule:tenant-whitelist"),
        ] {
            let mut message = parsed(sender, "hello", fine.clone());
            message.accepted.source.kind = SourceKind::Service { spam };
            let decision = place(&policy(), &message, &recipient(Via::Direct), None);
            assert_eq!(decision.target, Target::Role(role), "{sender} {spam:?}");
            assert_eq!(decision.reasons.last().map(String::as_str), Some(rule));
        }
    }

    /// Whatever the lists and the score say: they are about those who say who they are.
    #[test]
    fn what_a_member_wrote_is_nobody_elses() {
        use MailboxRole::{Inbox, Sent, Transfer};
        let submitter = Submitter {
            account: recipient(Via::Sent).account,
            address: "me@bad.example".to_owned(),
            protocol: "ESMTPSA".to_owned(),
        };
        let strict = TenantPolicy { junk_threshold: 0, ..policy() };
        let mut message = parsed("me@bad.example", "hello", AuthResults::default());
        let submission = Submission { submitter, bcc: String::new() };
        message.accepted.source.kind = SourceKind::Submission(Box::new(submission));
        for (via, role, rule, is_seen) in [
            (Via::Direct, Inbox, "rule:submission", false),
            (Via::Group, Inbox, "rule:submission", false),
            (Via::CatchAll, Transfer, "rule:catch-all", false),
            (Via::Sent, Sent, SENT_REASON, true),
        ] {
            let decision = place(&strict, &message, &recipient(via), None);
            assert_eq!(decision.target, Target::Role(role), "{via:?}");
            assert_eq!(decision.reasons.last().map(String::as_str), Some(rule));
            assert_eq!(decision.flags.system == SystemFlags::SEEN, is_seen);
        }
        message.sidecar.facts.subject = "A lottery".to_owned();
        let decision = place(&strict, &message, &recipient(Via::Direct), None);
        assert_eq!(decision.target, Target::Role(MailboxRole::Junk), "whoever sent it (RCV-05)");
        assert_eq!(place(&strict, &message, &recipient(Via::Sent), None).target, Target::Role(Sent));
    }

    #[test]
    fn a_virus_comes_before_all_lists_and_spam_behind_them() {
        use crate::scanning::{ScanPolicy, Screening};
        use pennypost_model::scan::{Finding, HeldFor, Points, ScanReport, Scanned, SpamFinding, Withheld};
        let fine = AuthResults { spf: Verdict::Pass, ..AuthResults::default() };
        let report = |finding| Scanned {
            reports: vec![ScanReport { scanner: "test", version: String::new(), finding }],
            ..Scanned::default()
        };
        let virus = report(Finding::Virus("Eicar".to_owned()));
        let spam =
            |points| report(Finding::Spam(SpamFinding { points: Points(points), ..SpamFinding::default() }));
        let (worse, bad) = (spam(2_000), spam(700));
        let says = ScanPolicy { quarantine: Some(Points(1_000)), ..ScanPolicy::default() };
        let kept = |held_for| Target::Withheld(Withheld::Quarantined(held_for));
        let (inbox, junk) = (Target::Role(MailboxRole::Inbox), Target::Role(MailboxRole::Junk));
        let (anybody, friend, foe) = ("a@any.example", "a@good.example", "a@bad.example");
        for (sender, scanned, released, via, target) in [
            (anybody, &virus, false, Via::Direct, kept(HeldFor::Virus)),
            (friend, &virus, false, Via::Direct, kept(HeldFor::Virus)),
            (anybody, &virus, false, Via::CatchAll, kept(HeldFor::Virus)),
            (anybody, &virus, true, Via::Direct, inbox),
            (anybody, &worse, false, Via::Group, kept(HeldFor::Spam)),
            (friend, &worse, false, Via::Direct, inbox),
            (foe, &worse, false, Via::Direct, junk),
            (anybody, &bad, false, Via::Direct, junk),
            (anybody, &worse, true, Via::Direct, inbox),
            (anybody, &bad, true, Via::Direct, inbox),
        ] {
            let message = parsed(sender, "hello", fine.clone());
            let screening = Screening { scanned, policy: &says, kept: None, released };
            let decision =
                place_screened(&policy(), &message, &recipient(via), (None, Some(&screening)), OPEN).decision;
            assert_eq!(decision.target, target, "{sender} {scanned:?} {released}");
            let mut system = message.clone();
            system.accepted.source.kind = SourceKind::System;
            let decision =
                place_screened(&policy(), &system, &recipient(via), (None, Some(&screening)), OPEN).decision;
            assert_eq!(decision.target, inbox);
        }
    }

    #[test]
    fn the_systems_own_mail_reaches_the_inbox() {
        let mut message = parsed("", "", AuthResults::default());
        message.accepted.source.kind = SourceKind::System;
        let decision = place(&policy(), &message, &recipient(Via::Direct), None);
        assert_eq!(decision.target, Target::Role(MailboxRole::Inbox));
    }

    fn personal(change: impl FnOnce(&mut Personal)) -> Personal {
        let mut personal = Personal { version: 3, ..Personal::default() };
        personal.rules.whitelist.push("friend.example".parse().expect("a domain"));
        personal
            .rules
            .blacklist
            .extend(["foe.example", "good.example"].map(|one| one.parse().expect("a domain")));
        change(&mut personal);
        personal
    }

    /// Feature RCV-06: a tenant's whitelist wins over a member's blacklist, its blacklist over a member's whitelist
    /// Feature RCV-07 (part): a member's blacklist takes letters to Junk, after the tenant's lists; they are not refused
    /// Feature RCV-08: what a member's whitelist names is not taken for spam
    #[test]
    fn a_members_own_lists_come_after_the_tenants() {
        use MailboxRole::{Inbox, Junk, Transfer};
        let fine = AuthResults { spf: Verdict::Pass, ..AuthResults::default() };
        let poor = AuthResults {
            spf: Verdict::Fail,
            dkim: Verdict::Fail,
            dmarc: Verdict::Fail,
            ..AuthResults::default()
        };
        let both = personal(|personal| {
            personal.rules.whitelist.push("pal@foe.example".parse().expect("an address"));
            personal.rules.whitelist.push("bad.example".parse().expect("a domain"));
        });
        for (sender, subject, auth, via, role, rule) in [
            ("a@friend.example", "hello", &poor, Via::Direct, Inbox, "rule:personal-whitelist"),
            ("a@friend.example", "lottery", &fine, Via::Direct, Junk, "rule:tenant-subject-filter"),
            ("a@foe.example", "hello", &fine, Via::Group, Junk, "rule:personal-blacklist"),
            ("pal@foe.example", "hello", &fine, Via::Direct, Inbox, "rule:personal-whitelist"),
            ("a@good.example", "hello", &fine, Via::Direct, Inbox, "rule:tenant-whitelist"),
            ("a@bad.example", "hello", &fine, Via::Direct, Junk, "rule:tenant-blacklist"),
            ("a@foe.example", "hello", &fine, Via::CatchAll, Transfer, "rule:catch-all"),
            ("a@any.example", "hello", &poor, Via::Direct, Junk, "rule:score"),
        ] {
            let message = parsed(sender, subject, auth.clone());
            let decision = place(&policy(), &message, &recipient(via), Some(&both));
            assert_eq!(decision.target, Target::Role(role), "{sender} {subject}");
            let [.., fired, version] = &decision.reasons[..] else { panic!("{decision:?}") };
            assert_eq!((fired.as_str(), version.as_str()), (rule, "member-rules:3"));
        }
    }

    /// Feature RUL-01: several rules of a member on receiving, and on sending about the copy in Sent
    #[test]
    fn a_members_rules_are_asked_about_what_the_inbox_gets() {
        use crate::rules::{Condition, Folder, Join, Moment, Rule, RuleAction, Words};
        use pennypost_model::MailboxId;
        let words = |word: &str| Words { join: Join::Any, words: vec![word.to_owned()] };
        let rule = |name: &str, conditions, actions| Rule {
            name: name.to_owned(),
            enabled: true,
            moment: Moment::Receive,
            join: Join::Any,
            conditions,
            actions,
            stop: false,
        };
        let bills = Folder { id: MailboxId(9), name: "Bills".to_owned() };
        let ruled = personal(|personal| {
            personal.rules.rules = vec![
                rule("bills", vec![Condition::Subject(words("bill"))], vec![RuleAction::Move(bills)]),
                rule("size", vec![Condition::Size { least: Some(7), below: None }], vec![RuleAction::Flag]),
            ];
        });
        let decide = |sender: &str, kind: Option<SourceKind>, via| {
            let mut message =
                parsed(sender, "Your bill", AuthResults { spf: Verdict::Pass, ..AuthResults::default() });
            message.accepted.body = Body::Spooled { object: String::new(), size: 7 };
            message.accepted.source.kind = kind.unwrap_or(SourceKind::Smtp);
            place(&policy(), &message, &recipient(via), Some(&ruled))
        };
        let decision = decide("a@any.example", None, Via::Direct);
        assert_eq!(decision.target, Target::Mailbox(MailboxId(9)));
        assert_eq!(decision.flags.system, SystemFlags::FLAGGED);
        assert!(decision.reasons.ends_with(&[
            "rule:default".to_owned(),
            "member-rules:3".to_owned(),
            "member-rule:bills".to_owned(),
            "member-rule:size".to_owned(),
        ]));
        assert_eq!(decision, decide("a@any.example", None, Via::Direct), "as often as it is asked");
        assert_eq!(decide("a@friend.example", None, Via::Direct).target, Target::Mailbox(MailboxId(9)));
        assert_eq!(decide("a@foe.example", None, Via::Direct).target, Target::Role(MailboxRole::Junk));
        assert_eq!(decide("a@any.example", None, Via::CatchAll).target, Target::Role(MailboxRole::Transfer));
        let system = decide("", Some(SourceKind::System), Via::Direct);
        assert_eq!((system.target, system.flags.is_empty()), (Target::Role(MailboxRole::Inbox), true));
        let submitter = Submitter {
            account: recipient(Via::Sent).account,
            address: "a@foe.example".to_owned(),
            protocol: "ESMTPSA".to_owned(),
        };
        let submission = Submission { submitter, bcc: String::new() };
        let colleague = || Some(SourceKind::Submission(Box::new(submission.clone())));
        assert_eq!(decide("a@any.example", colleague(), Via::Group).target, Target::Mailbox(MailboxId(9)));
        assert_eq!(decide("a@foe.example", colleague(), Via::Direct).target, Target::Role(MailboxRole::Junk));
        assert_eq!(decide("a@foe.example", colleague(), Via::Sent).target, Target::Role(MailboxRole::Sent));
        // Rules on sending are about the writer's own copy, and about nothing else.
        let flag =
            Rule { actions: vec![RuleAction::Flag], moment: Moment::Send, ..ruled.rules.rules[0].clone() };
        let sending =
            Rule { name: "sent bills".to_owned(), moment: Moment::Send, ..ruled.rules.rules[0].clone() };
        let both = personal(|personal| personal.rules.rules = vec![flag, sending]);
        let mut message = parsed("me@example.com", "Your bill", AuthResults::default());
        message.accepted.source.kind = SourceKind::Submission(Box::new(submission));
        let copy = place(&policy(), &message, &recipient(Via::Sent), Some(&both));
        assert_eq!(copy.target, Target::Mailbox(MailboxId(9)));
        assert_eq!(copy.flags.system, SystemFlags::SEEN.union(SystemFlags::FLAGGED));
        assert!(copy.reasons.contains(&SENT_REASON.to_owned()));
        assert_eq!(copy.reasons.last().map(String::as_str), Some("member-rule:sent bills"));
        let other = place(&policy(), &message, &recipient(Via::Group), Some(&both));
        assert_eq!((other.target, other.flags.is_empty()), (Target::Role(MailboxRole::Inbox), true));
    }

    /// Feature RUL-03 (part): on sending copies go to others, by the rule alone
    #[test]
    fn copies_of_what_is_sent_go_to_whom_rules_on_sending_name() {
        let address = |text: &str| MailAddress::parse(text).expect("an address");
        let boss = Inside {
            account: AccountKey { tenant: TenantId(1), account: AccountId(7) },
            via: Via::Direct,
            takes_outside: true,
        };
        let (all, far) = (address("all@example.com"), address("me@far.example"));
        let said = personal(|personal| {
            personal.rules.rules = vec![Rule {
                name: "copies".to_owned(),
                enabled: true,
                moment: Moment::Send,
                join: Join::All,
                conditions: vec![Condition::Size { least: Some(1), below: None }],
                actions: vec![RuleAction::Forward(vec![
                    address("boss@example.com"),
                    far.clone(),
                    all.clone(),
                ])],
                stop: false,
            }];
            let forward = Some(AutoForward { enabled: true, to: vec![all.clone()], keep: false });
            personal.rules.automatic = Some(Automatic { reply: None, forward });
            personal.ways = [
                (address("boss@example.com"), Way::Inside(boss)),
                (far.clone(), Way::Closed(Closed::Unconfirmed)),
                (all.clone(), Way::Inside(boss)),
            ]
            .into();
        });
        let submitter = Submitter {
            account: recipient(Via::Sent).account,
            address: "me@example.com".to_owned(),
            protocol: "ESMTPSA".to_owned(),
        };
        let submission = Submission { submitter, bcc: String::new() };
        let mut message = parsed("me@example.com", "hello", AuthResults::default());
        message.accepted.source.kind = SourceKind::Submission(Box::new(submission));
        message.accepted.body = Body::Spooled { object: String::new(), size: 7 };
        let sent = super::place(&policy(), &message, &recipient(Via::Sent), Some(&said), OPEN);
        assert_eq!(
            sent.decision.target,
            Target::Role(MailboxRole::Sent),
            "what does not stay is what comes in"
        );
        let to: Vec<String> = sent.forwards.iter().map(|forward| forward.to.to_string()).collect();
        assert_eq!(to, ["boss@example.com", "all@example.com"]);
        for reason in ["forwarded:2", "not-forwarded:unconfirmed", "member-rule:copies"] {
            assert!(sent.decision.reasons.contains(&reason.to_owned()), "{:?}", sent.decision.reasons);
        }
        let full = Outlets { room: false, ..OPEN };
        let full = super::place(&policy(), &message, &recipient(Via::Sent), Some(&said), full);
        assert!(full.forwards.is_empty());
    }

    /// Feature RUL-03 (part): refused where the sender is certain, otherwise deleted, and neither forwarded nor answered
    #[test]
    fn letters_are_refused_whose_senders_are_certain() {
        use crate::rules::Words;
        let refused = personal(|personal| {
            personal.answers_outside = true;
            personal.rules.rules = vec![Rule {
                name: "no".to_owned(),
                enabled: true,
                moment: Moment::Receive,
                join: Join::All,
                conditions: vec![Condition::Subject(Words {
                    join: Join::Any,
                    words: vec!["bill".to_owned()],
                })],
                actions: vec![RuleAction::Refuse("No bills.".to_owned())],
                stop: false,
            }];
            let to = vec![MailAddress::parse("other@example.com").expect("an address")];
            let forward = Some(AutoForward { enabled: true, to, keep: true });
            personal.rules.automatic = Some(Automatic { reply: None, forward });
        });
        let inside = personal(|personal| {
            *personal = Personal { answers_outside: false, ..refused.clone() };
        });
        let fine = AuthResults { spf: Verdict::Pass, ..AuthResults::default() };
        let by_author = AuthResults { dmarc: Verdict::Pass, ..AuthResults::default() };
        let other = Outlets { outside: false, ..OPEN };
        let late = Outlets { late: true, ..OPEN };
        for (said, auth, via, outlets, why) in [
            (&refused, &fine, Via::Direct, OPEN, None),
            (&refused, &fine, Via::Alias, OPEN, None),
            (&refused, &by_author, Via::Alias, OPEN, Some("unproved")),
            (&refused, &fine, Via::Group, OPEN, Some("group")),
            (&refused, &AuthResults::default(), Via::Direct, OPEN, Some("unproved")),
            (&refused, &fine, Via::Direct, other, Some("not-sent")),
            (&refused, &fine, Via::Direct, late, Some("late")),
            (&inside, &fine, Via::Direct, OPEN, Some("kept-inside")),
        ] {
            let message = parsed("a@any.example", "Your bill", auth.clone());
            let mut placed = super::place(&policy(), &message, &recipient(via), Some(said), outlets);
            assert!(
                placed.forwards.is_empty()
                    && !placed.decision.reasons.iter().any(|one| one.starts_with("forw"))
            );
            let last = placed.decision.reasons.last().cloned().unwrap_or_default();
            let trash = Target::Role(MailboxRole::Trash);
            match why {
                None => {
                    assert_eq!(placed.decision.target, Target::Withheld(Withheld::RefusedByRecipient));
                    assert_eq!(
                        (placed.refusal.as_deref(), last.as_str()),
                        (Some("No bills."), REFUSED_REASON)
                    );
                    placed.not_refused("nobody");
                    assert_eq!((placed.decision.target, placed.refusal), (trash, None));
                    assert!(!placed.decision.reasons.contains(&REFUSED_REASON.to_owned()));
                }
                Some(why) => {
                    assert_eq!((placed.decision.target, placed.refusal), (trash, None), "{why}");
                    assert_eq!(last, format!("{NOT_REFUSED_REASON}{why}"));
                }
            }
        }
        let message = parsed("a@any.example", "hello", fine);
        let placed = super::place(&policy(), &message, &recipient(Via::Direct), Some(&refused), OPEN);
        assert_eq!(placed.decision.target, Target::Role(MailboxRole::Inbox));
    }

    #[test]
    fn rules_that_cannot_be_read_hold_up_no_letter() {
        // Nothing is taken from what can't be read, not even if something of it were there.
        let broken = personal(|personal| personal.unreadable = true);
        let message =
            parsed("a@foe.example", "hello", AuthResults { spf: Verdict::Pass, ..AuthResults::default() });
        let decision = place(&policy(), &message, &recipient(Via::Direct), Some(&broken));
        assert_eq!(decision.target, Target::Role(MailboxRole::Inbox));
        assert_eq!(decision.reasons.last().map(String::as_str), Some("member-rules:unreadable"));
    }

    /// A letter to as many as there may be, with as many rules as there may be, all of which hold, with the longest names.
    #[test]
    fn reasons_of_all_recipients_fit_into_an_event_and_a_trace() {
        use crate::rules::{
            Condition, Join, MAX_RULE_NAME, MAX_RULES, MemberRules, Moment, Rule, RuleAction,
        };
        use pennypost_model::codec::encode;
        use pennypost_model::event::Decided;
        use pennypost_model::trace::{Outcome, TraceRecipient, TraceRecord, TraceStep};
        use pennypost_model::{Rid, Seq, Uid};
        let rule = |number: usize, name: &str| Rule {
            name: format!("{number:02}{}", name.repeat(MAX_RULE_NAME - 2)),
            enabled: true,
            moment: Moment::Receive,
            join: Join::Any,
            conditions: vec![Condition::Size { least: Some(0), below: None }],
            actions: vec![RuleAction::Flag],
            stop: false,
        };
        let ruled = |name: &str| Personal {
            version: u64::MAX,
            rules: MemberRules {
                rules: (0..MAX_RULES).map(|number| rule(number, name)).collect(),
                ..MemberRules::default()
            },
            ..Personal::default()
        };
        let sizes = |count: u64, personal: Option<&Personal>| {
            let fine = AuthResults { spf: Verdict::Pass, ..AuthResults::default() };
            let mut message = parsed("a@any.example", "hello", fine);
            let recipient = |number: u64| Recipient {
                account: AccountKey { tenant: TenantId(1), account: AccountId(number) },
                address: format!("somebody.with.a.name.{number}@mail.example.com"),
                via: Via::Direct,
            };
            message.accepted.recipients = (0..count).map(recipient).collect();
            let to = &message.accepted.recipients;
            let decisions: Vec<Decision> =
                to.iter().map(|one| place(&policy(), &message, one, personal)).collect();
            let recipients = to.iter().zip(&decisions).map(|(one, decision)| TraceRecipient {
                address: one.address.clone(),
                account: one.account,
                reasons: decision.reasons.clone(),
                outcome: Outcome::Stored {
                    seq: Seq(1_000_000),
                    uid: Uid(1_000_000),
                    rid: Rid::new(Seq(1_000_000), 1),
                    mailbox: "#1000000".to_owned(),
                },
            });
            let step = TraceStep::Delivered {
                accepted: Timestamp(1),
                peer: String::new(),
                reverse_path: String::new(),
                subject: String::new(),
                message_id: String::new(),
                size: 1,
                auth: [Verdict::Pass; 3],
                recipients: recipients.collect(),
            };
            let accepted = message.accepted.clone();
            let trace = encode(&TraceRecord::new(accepted.tenant, accepted.id, Timestamp(1), step)).len();
            let most = decisions.iter().map(|decision| decision.reasons.len()).max();
            let decided = Decided { decisions, accepted, sidecar: message.sidecar };
            (encode(&pennypost_model::event::Event::Decided(Box::new(decided))).len(), trace, most)
        };
        let (event, trace, _) = sizes(1_000, None);
        for name in ["x", "规"] {
            let ruled = ruled(name);
            let (with_event, with_trace, _) = sizes(1_000, Some(&ruled));
            assert!(
                with_event < 255_000 && with_trace < 380_000,
                "{with_event} of {event}, {with_trace} of {trace}"
            );
            let (.., named) = sizes(1, Some(&ruled));
            let (.., without) = sizes(1, None);
            assert_eq!(named.zip(without).map(|(named, without)| named - without), Some(NAMED + 2));
        }
    }

    #[test]
    fn the_threshold_is_the_tenants() {
        let lenient = TenantPolicy { junk_threshold: 1_000, ..TenantPolicy::default() };
        let poor = AuthResults { spf: Verdict::Fail, dkim: Verdict::Fail, ..AuthResults::default() };
        let strict = TenantPolicy { junk_threshold: 45, ..TenantPolicy::default() };
        let message = parsed("a@any.example", "hello", poor);
        assert_eq!(
            place(&lenient, &message, &recipient(Via::Direct), None).target,
            Target::Role(MailboxRole::Inbox)
        );
        assert_eq!(
            place(&strict, &message, &recipient(Via::Direct), None).target,
            Target::Role(MailboxRole::Junk)
        );
    }

    fn verdict() -> impl Strategy<Value = Verdict> {
        use Verdict::{Fail, Neutral, None, Pass, PermError, SoftFail, TempError};
        prop::sample::select(vec![None, Pass, Fail, SoftFail, Neutral, TempError, PermError])
    }

    proptest! {
        #[test]
        fn whitelist_means_inbox_and_catch_all_means_its_folder(
            local in "[a-z]{1,10}", subject in "[^lL]{0,40}", name in ".{0,40}",
            spf in verdict(), dkim in verdict(), dmarc in verdict(), arc in verdict(),
        ) {
            let auth = AuthResults { spf, dkim, dmarc, arc, dmarc_policy: DmarcPolicy::Reject, ..AuthResults::default() };
            let mut message = parsed(&format!("{local}@good.example"), &subject, auth);
            message.sidecar.facts.from[0].name = name;
            let inbox = place(&policy(), &message, &recipient(Via::Direct), None);
            prop_assert_eq!(inbox.target, Target::Role(MailboxRole::Inbox));
            let transfer = place(&policy(), &message, &recipient(Via::CatchAll), None);
            prop_assert_eq!(transfer.target, Target::Role(MailboxRole::Transfer));
        }

        #[test]
        fn any_sender_and_subject_is_decided_alike_twice(sender in ".{0,80}", subject in ".{0,80}", name in ".{0,80}") {
            let mut message = parsed(&sender, &subject, AuthResults::default());
            message.sidecar.facts.from[0].name = name;
            let once = place(&policy(), &message, &recipient(Via::Direct), None);
            prop_assert_eq!(&once, &place(&policy(), &message, &recipient(Via::Direct), None));
        }
    }

    /// Feature RUL-06 (part): where a letter is forwarded, and when it is not; what does not stay lies in Trash, seen
    #[test]
    fn letters_are_forwarded_as_far_as_they_may_be() {
        let fine = AuthResults { spf: Verdict::Pass, ..AuthResults::default() };
        let letter = parsed("a@any.example", "hello", fine);
        let address = |text: &str| MailAddress::parse(text).expect("an address");
        let (near, far) = (address("bob@example.com"), address("me@far.example"));
        let inside = Inside {
            account: AccountKey { tenant: TenantId(1), account: AccountId(2) },
            via: Via::Direct,
            takes_outside: true,
        };
        let forwarding = |keep, ways: &[(&MailAddress, Way)]| {
            personal(|personal| {
                let to = vec![near.clone(), far.clone()];
                let forward = Some(AutoForward { enabled: true, to, keep });
                personal.rules.automatic = Some(Automatic { reply: None, forward });
                personal.ways = ways.iter().map(|(to, way)| ((*to).clone(), *way)).collect();
            })
        };
        let open = [(&near, Way::Inside(inside)), (&far, Way::Outside)];
        let closed = [(&near, Way::Closed(Closed::NotAllowed)), (&far, Way::Closed(Closed::Unconfirmed))];
        let shut = [(&near, Way::Inside(Inside { takes_outside: false, ..inside })), (&far, Way::Outside)];
        let decide = |personal: &Personal, outlets| {
            let placed = super::place(&policy(), &letter, &recipient(Via::Direct), Some(personal), outlets);
            let to: Vec<String> = placed.forwards.iter().map(|forward| forward.to.to_string()).collect();
            let reasons: Vec<String> =
                placed.decision.reasons.iter().filter(|it| it.contains("forwarded")).cloned().collect();
            (to.join(" "), placed.decision.target, reasons.join(" "))
        };
        let (inbox, trash) = (Target::Role(MailboxRole::Inbox), Target::Role(MailboxRole::Trash));
        let both = "bob@example.com me@far.example".to_owned();
        assert_eq!(decide(&forwarding(true, &open), OPEN), (both.clone(), inbox, "forwarded:2".to_owned()));
        assert_eq!(decide(&forwarding(false, &open), OPEN), (both, trash, "forwarded:2".to_owned()));
        let not = "not-forwarded:not-allowed not-forwarded:unconfirmed".to_owned();
        assert_eq!(decide(&forwarding(false, &closed), OPEN), (String::new(), inbox, not));
        let inward = Outlets { outside: false, ..OPEN };
        let only_near =
            ("bob@example.com".to_owned(), trash, "forwarded:1 not-forwarded:not-sent".to_owned());
        assert_eq!(decide(&forwarding(false, &open), inward), only_near);
        let only_far = ("me@far.example".to_owned(), inbox, "forwarded:1 not-forwarded:nobody".to_owned());
        assert_eq!(decide(&forwarding(true, &shut), OPEN), only_far);
        let full = Outlets { room: false, ..OPEN };
        let left_out = (String::new(), inbox, "not-forwarded:too-many".to_owned());
        assert_eq!(decide(&forwarding(false, &open), full), left_out);
        let late = Outlets { late: true, ..OPEN };
        let inward = ("bob@example.com".to_owned(), trash, "forwarded:1 not-forwarded:late".to_owned());
        assert_eq!(decide(&forwarding(false, &open), late), inward);
        // The setting forwards it nowhere, though a rule does.
        let ruled = |is_also_set: bool| {
            let mut personal = forwarding(false, &[(&near, Way::Inside(inside)), closed[1]]);
            let forward = personal.rules.automatic.as_mut().and_then(|automatic| automatic.forward.as_mut());
            if !is_also_set {
                forward.expect("said").to.remove(0);
            }
            personal.rules.rules = vec![Rule {
                name: "all".to_owned(),
                enabled: true,
                moment: Moment::default(),
                join: Join::All,
                conditions: vec![Condition::Size { least: Some(0), below: None }],
                actions: vec![RuleAction::Forward(vec![near.clone()])],
                stop: false,
            }];
            let (to, target, _) = decide(&personal, OPEN);
            (to, target)
        };
        assert_eq!(ruled(false), (near.to_string(), inbox));
        assert_eq!(ruled(true), (near.to_string(), trash));
        // What says that it is ours, and can't prove it, goes to no other server.
        let from = |author: &str, auth: AuthResults| {
            let mut letter = parsed("a@any.example", "hello", auth);
            letter.sidecar.facts.from[0].address = author.to_owned();
            let mut personal = forwarding(true, &open);
            personal.from = Some((address("me@mail.example.com"), String::new()));
            let placed = super::place(&policy(), &letter, &recipient(Via::Direct), Some(&personal), OPEN);
            placed.forwards.len()
        };
        let spf = AuthResults { spf: Verdict::Pass, ..AuthResults::default() };
        let dmarc = AuthResults { dmarc: Verdict::Pass, ..spf.clone() };
        assert_eq!(from("ceo@shop.example.com", spf.clone()), 1);
        assert_eq!(from("ceo@shop.example.com", dmarc), 2);
        assert_eq!(from("ceo@any.example", spf), 2);
        // What is taken for spam is forwarded nowhere.
        let spam = parsed("a@bad.example", "hello", AuthResults::default());
        let kept = forwarding(true, &open);
        let placed = super::place(&policy(), &spam, &recipient(Via::Direct), Some(&kept), OPEN);
        assert_eq!((placed.decision.target, placed.forwards.len()), (Target::Role(MailboxRole::Junk), 0));
    }
}
