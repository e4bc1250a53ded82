//! What is done by itself with what comes in, beside rules: letters are answered (RUL-07) and forwarded (RUL-06).
//!
//! Everything here is a value, too. Whether a letter may be answered at all (RFC 3834) is asked in [`MemberRules::replies`];
//! where targets of forwarding lead today, and which of them take letters, is looked up by whoever reads the rules
//! ([`super::Personal::ways`]).

use std::collections::BTreeMap;

use jiff::civil;
use pennypost_model::event::{AuthResults, Verdict, Via};
use pennypost_model::message::Contact;
use pennypost_model::{AccountKey, Timestamp};
use serde::{Deserialize, Serialize};

use super::apply::{Applied, Letter, zone_named};
use super::{MemberRules, Personal, RuleAction, RulesError, RulesFault};
use crate::address::{DomainName, MailAddress};

/// Characters of what letters are answered with.
pub const MAX_REPLY: usize = 400;
/// Characters of its subject.
pub const MAX_REPLY_SUBJECT: usize = 100;
/// Addresses to which letters are forwarded by the general setting, and by a rule.
pub const MAX_FORWARD_TARGETS: usize = 3;
/// Addresses to which one letter is forwarded for one account, by whatever.
pub const MAX_LETTER_FORWARDS: usize = 10;

/// What is done with what comes in, beside rules.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Automatic {
    /// How letters are answered.
    pub reply: Option<AutoReply>,
    /// Where they are forwarded.
    pub forward: Option<AutoForward>,
}

/// How letters are answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AutoReply {
    /// They are.
    pub enabled: bool,
    /// What the answer is about; empty: what the letter is about.
    pub subject: String,
    /// What it says.
    pub text: String,
    /// What it says to members of the organisation, if that is something else.
    pub to_colleagues: Option<String>,
    /// Nobody else is answered.
    pub only_colleagues: bool,
    /// When.
    pub period: Option<Period>,
}

/// A time, as it was said in a time zone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Period {
    /// Then or later.
    pub from: Option<Timestamp>,
    /// Before that.
    pub until: Option<Timestamp>,
    /// The name of a time zone of the IANA.
    pub zone: String,
}

impl Period {
    /// A moment in a time zone, as `2026-12-24T18:00` or `2026-12-24`.
    #[must_use]
    pub fn moment(text: &str, zone: &str) -> Option<Timestamp> {
        let at = text.trim().parse::<civil::DateTime>().ok()?.to_zoned(zone_named(zone)?).ok()?;
        Some(Timestamp(at.timestamp().as_millisecond()))
    }

    /// How it is said there.
    #[must_use]
    pub fn shown(&self, moment: Timestamp) -> String {
        let at = jiff::Timestamp::from_millisecond(moment.0).ok().zip(zone_named(&self.zone));
        at.map_or_else(
            || moment.rfc3339(),
            |(at, zone)| at.to_zoned(zone).strftime("%Y-%m-%dT%H:%M").to_string(),
        )
    }

    fn holds(&self, time: Timestamp) -> bool {
        self.from.is_none_or(|from| time >= from) && self.until.is_none_or(|until| time < until)
    }
}

/// Where letters are forwarded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AutoForward {
    /// They are.
    pub enabled: bool,
    /// To these addresses.
    pub to: Vec<MailAddress>,
    /// They stay in the account, too; otherwise they lie in its Trash.
    pub keep: bool,
}

/// An account here to which letters are forwarded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Inside {
    /// Which.
    pub account: AccountKey,
    /// How its address leads there.
    pub via: Via,
    /// It takes letters from outside the organisation.
    pub takes_outside: bool,
}

/// Where a target of forwarding leads today.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// To a colleague's account.
    Inside(Inside),
    /// To another server's address, whose owner has agreed.
    Outside,
    /// Nothing goes there.
    Closed(Closed),
}

/// Why nothing is forwarded to an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Closed {
    /// The organisation does not let the account forward (RUL-08).
    NotAllowed,
    /// Nobody has said the code that went there.
    Unconfirmed,
    /// It is a group of the organisation.
    Group,
    /// It is the account's own.
    Oneself,
    /// Nobody of the organisation has the address, or its owner takes no such letters.
    Nobody,
    /// The account sends nothing outside the organisation (ORG-07, SND-22).
    KeptInside,
    /// This post office sends nothing to other servers.
    NotSent,
    /// The letter is forwarded to as many as it can be.
    TooMany,
    /// It says that it is from the account's own domain, and nothing proves that: another server would take our word for it.
    Forged,
    /// It came so long ago that nothing of it goes to other servers any more.
    Late,
}

impl Closed {
    /// Its name for programs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Closed::NotAllowed => "not-allowed",
            Closed::Unconfirmed => "unconfirmed",
            Closed::Group => "group",
            Closed::Oneself => "oneself",
            Closed::Nobody => "nobody",
            Closed::KeptInside => "kept-inside",
            Closed::NotSent => "not-sent",
            Closed::TooMany => "too-many",
            Closed::Forged => "forged",
            Closed::Late => "late",
        }
    }
}

/// A letter is to be forwarded there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForwardTo {
    /// The address.
    pub to: MailAddress,
    /// The account, if it is one here; `None`: it is another server's.
    pub inside: Option<Inside>,
    /// The general setting says it, whatever rules say.
    pub by_setting: bool,
}

/// What a letter is to be answered with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// What the answer is about, if the member has said it.
    pub subject: String,
    /// What it says.
    pub text: String,
}

/// Where what is done by itself can lead at present.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outlets {
    /// Letters go to other servers.
    pub outside: bool,
    /// There is room for more who get the letter.
    pub room: bool,
    /// It came long ago, and comes again.
    pub late: bool,
}

/// Whom nobody answers (RFC 3834 section 2, RFC 5230 section 4.6): what is before the @ is a machine's.
fn is_machines(local: &str) -> bool {
    const WHOLE: [&str; 9] = [
        "mailer-daemon",
        "listserv",
        "majordomo",
        "nobody",
        "bounce",
        "bounces",
        "noreply",
        "donotreply",
        "root",
    ];
    const BEGIN: [&str; 6] = ["owner-", "noreply", "donotreply", "bounce", "bounces", "msprvs"];
    const END: [&str; 5] = ["-request", "-owner", "-bounces", "-noreply", "-relay"];
    let local = local.to_ascii_lowercase();
    // Paths of forwarders and of lists, one for each letter.
    let is_path = ["srs0", "srs1", "prvs="].iter().any(|begin| local.starts_with(begin));
    let letters: String = local.chars().filter(|c| !matches!(c, '-' | '_' | '.')).collect();
    is_path
        || WHOLE.contains(&&*local)
        || END.iter().any(|end| local.ends_with(*end))
        || BEGIN.iter().any(|begin| {
            let rest = |text: &str| text.strip_prefix(*begin).map(|rest| rest.chars().next());
            let is_apart = |rest: Option<Option<char>>| {
                rest.is_some_and(|next| begin.ends_with('-') || next.is_none_or(|c| !c.is_alphabetic()))
            };
            is_apart(rest(&local)) || is_apart(rest(&letters))
        })
}

/// Is one of them within the other?
#[must_use]
pub fn are_related(one: &DomainName, other: &DomainName) -> bool {
    one.is_within(other) || other.is_within(one)
}

/// May one owner have both, as DMARC aligns them (RFC 7489 section 3.1)? Without a list of the domains that registries give: under
/// a short name as of `com.cn` it takes one more. Rather too many.
#[must_use]
pub fn may_align(one: &DomainName, other: &DomainName) -> bool {
    let owner = |domain: &DomainName| -> Vec<String> {
        let labels: Vec<&str> = domain.as_str().rsplit('.').collect();
        let count = if labels.get(1).is_some_and(|label| label.len() <= 3) { 3 } else { 2 };
        labels.iter().take(count).map(|label| (*label).to_owned()).collect()
    };
    are_related(one, other) || owner(one) == owner(other)
}

/// What is asked of a letter before it is answered.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asking<'a> {
    pub(crate) letter: &'a Letter<'a>,
    pub(crate) reverse_path: &'a str,
    pub(crate) auth: &'a AuthResults,
    /// A member of the organisation has written it, having signed in.
    pub(crate) of_colleague: bool,
}

impl Asking<'_> {
    /// Has whoever has the reverse-path certainly written it? DMARC says that of the author alone.
    pub(crate) fn is_proved(self) -> bool {
        let Asking { letter, reverse_path, auth, of_colleague } = self;
        let Ok(writer) = MailAddress::parse(reverse_path) else { return false };
        let is_authors = |author: &Contact| {
            let author = MailAddress::parse(&author.address);
            author.is_ok_and(|author| are_related(author.domain(), writer.domain()))
        };
        let by_author = || auth.dmarc == Verdict::Pass && letter.facts.from.iter().any(is_authors);
        of_colleague
            || auth.trusted
            || auth.dmarc != Verdict::Fail && (auth.spf == Verdict::Pass || by_author())
    }

    /// Does the domain of the reverse-path itself say that whoever sent it sends for it? A signature of its author says nothing of that:
    /// whoever has the letter can send it again, from another's address.
    pub(crate) fn is_senders(self) -> bool {
        self.of_colleague || self.auth.spf == Verdict::Pass && self.auth.dmarc != Verdict::Fail
    }
}

impl MemberRules {
    /// Are letters answered, by whatever?
    #[must_use]
    pub fn has_replies(&self) -> bool {
        let by_setting = self.automatic.as_ref().and_then(|automatic| automatic.reply.as_ref());
        let is_reply = |action: &RuleAction| matches!(action, RuleAction::Reply(_));
        by_setting.is_some_and(|reply| reply.enabled)
            || self.rules.iter().any(|rule| rule.enabled && rule.actions.iter().any(is_reply))
    }

    /// The addresses to which letters are forwarded, with where they stand: those of rules that are off, too.
    pub fn forwards(&self) -> impl Iterator<Item = (String, &MailAddress)> {
        let general = self.automatic.iter().filter_map(|automatic| automatic.forward.as_ref());
        let general = general
            .flat_map(|forward| forward.to.iter().enumerate())
            .map(|(number, to)| (format!("/forward/to/{number}"), to));
        let by_rules = self.rules.iter().enumerate().flat_map(|(rule, asked)| {
            asked.actions.iter().enumerate().flat_map(move |(action, done)| {
                let to = if let RuleAction::Forward(to) = done { to.as_slice() } else { &[] };
                to.iter()
                    .enumerate()
                    .map(move |(number, to)| (format!("/rules/{rule}/actions/{action}/forward/{number}"), to))
            })
        });
        general.chain(by_rules)
    }

    /// The addresses to which letters may be forwarded as it is said now: those of what is off are not asked.
    pub fn open_forwards(&self) -> impl Iterator<Item = &MailAddress> {
        let general = self.automatic.iter().filter_map(|automatic| automatic.forward.as_ref());
        let general = general.filter(|forward| forward.enabled).flat_map(|forward| &forward.to);
        let actions = self.rules.iter().filter(|rule| rule.enabled).flat_map(|rule| &rule.actions);
        let by_rules = actions.flat_map(|action| match action {
            RuleAction::Forward(to) => to.as_slice(),
            _ => &[],
        });
        general.chain(by_rules)
    }

    /// What a letter is answered with (RFC 3834): by the first rule that says it, else by the general setting. Nobody is
    /// answered who is a machine or a list, whose letter does not name the member, or who may have written nothing.
    pub(crate) fn replies(&self, applied: &Applied<'_>, asking: Asking<'_>) -> Option<Reply> {
        let Asking { letter, reverse_path, of_colleague, .. } = asking;
        let general = self.automatic.as_ref().and_then(|automatic| automatic.reply.as_ref());
        let general = general.filter(|reply| {
            reply.enabled
                && (of_colleague || !reply.only_colleagues)
                && reply.period.as_ref().is_none_or(|period| period.holds(letter.time))
        });
        let general = general.map(|reply| {
            let to_colleagues = reply.to_colleagues.as_ref().filter(|_| of_colleague);
            let text = to_colleagues.unwrap_or(&reply.text).clone();
            Reply { subject: reply.subject.clone(), text }
        });
        let by_rule = applied.reply.map(|text| Reply { subject: String::new(), text: text.to_owned() });
        let reply = by_rule.or(general)?;
        let writer = MailAddress::parse(reverse_path).ok()?;
        let facts = letter.facts;
        let authors: Vec<MailAddress> =
            facts.from.iter().filter_map(|author| MailAddress::parse(&author.address).ok()).collect();
        let to = facts.to.iter().chain(&facts.cc).filter_map(|to| MailAddress::parse(&to.address).ok());
        let is_named = to.into_iter().any(|to| letter.is_own(&to));
        let may = !facts.automatic
            && asking.is_proved()
            && is_named
            && !is_machines(writer.local())
            && !authors.iter().any(|author| is_machines(author.local()))
            && !letter.is_own(&writer);
        may.then_some(reply)
    }

    /// Where a letter is forwarded to, and why not to others.
    pub(crate) fn forwarded(
        applied: &Applied<'_>,
        personal: &Personal,
        (of_colleague, is_forged): (bool, bool),
        outlets: Outlets,
    ) -> (Vec<ForwardTo>, Vec<Closed>) {
        let automatic = personal.rules.automatic.as_ref();
        let general = automatic.and_then(|automatic| automatic.forward.as_ref());
        let general = general.filter(|forward| forward.enabled && !applied.is_deleted());
        let general = general.into_iter().flat_map(|forward| &forward.to).map(|to| (to, true));
        let wanted = general.chain(applied.forwards.iter().map(|to| (*to, false)));
        MemberRules::open(wanted, personal, (of_colleague, is_forged), outlets)
    }

    /// Who gets a copy of a letter that the member has sent himself, by his rules on sending, and why others don't. The general setting is about
    /// what comes in.
    pub(crate) fn copied(
        applied: &Applied<'_>,
        personal: &Personal,
        outlets: Outlets,
    ) -> (Vec<ForwardTo>, Vec<Closed>) {
        MemberRules::open(applied.forwards.iter().map(|to| (*to, false)), personal, (true, false), outlets)
    }

    /// Of these addresses those to which a way is open, each once, and whether it is the general setting that names it.
    fn open<'a>(
        wanted: impl Iterator<Item = (&'a MailAddress, bool)>,
        personal: &Personal,
        (of_colleague, is_forged): (bool, bool),
        outlets: Outlets,
    ) -> (Vec<ForwardTo>, Vec<Closed>) {
        let (mut forwards, mut closed): (Vec<ForwardTo>, Vec<Closed>) = (Vec::new(), Vec::new());
        for (to, by_setting) in wanted {
            if forwards.iter().any(|known| known.to == *to) {
                continue;
            }
            let way = personal.ways.get(to).copied().unwrap_or(Way::Closed(Closed::Nobody));
            let inside = match way {
                _ if !outlets.room || forwards.len() >= MAX_LETTER_FORWARDS => Err(Closed::TooMany),
                Way::Closed(why) => Err(why),
                Way::Outside if !outlets.outside => Err(Closed::NotSent),
                Way::Outside if outlets.late => Err(Closed::Late),
                Way::Outside if is_forged => Err(Closed::Forged),
                Way::Outside => Ok(None),
                Way::Inside(inside) if !of_colleague && !inside.takes_outside => Err(Closed::Nobody),
                Way::Inside(inside) => Ok(Some(inside)),
            };
            match inside {
                Ok(inside) => forwards.push(ForwardTo { to: to.clone(), inside, by_setting }),
                Err(why) => closed.push(why),
            }
        }
        closed.sort_unstable();
        closed.dedup();
        (forwards, closed)
    }

    /// Is a letter that is forwarded not to be seen in the account?
    pub(crate) fn forwards_away(&self) -> bool {
        let forward = self.automatic.as_ref().and_then(|automatic| automatic.forward.as_ref());
        forward.is_some_and(|forward| forward.enabled && !forward.keep)
    }
}

/// Can letters be answered with that?
pub(super) fn check_reply(text: &str, at: &str) -> Result<(), RulesError> {
    let is_good = (1..=MAX_REPLY).contains(&text.chars().count())
        && !text.trim().is_empty()
        && !text.chars().any(|c| c.is_control() && c != '\n');
    if is_good { Ok(()) } else { Err(RulesFault::Reply.at(at)) }
}

/// Can letters be forwarded to these?
pub(super) fn check_targets(to: &[MailAddress], at: &str) -> Result<(), RulesError> {
    if !(1..=MAX_FORWARD_TARGETS).contains(&to.len()) {
        return Err(RulesFault::Targets.at(at));
    }
    match to.iter().enumerate().find(|(number, one)| to[..*number].contains(one)) {
        Some((number, _)) => Err(RulesFault::TargetTwice.at(format!("{at}/{number}"))),
        None => Ok(()),
    }
}

impl Automatic {
    pub(super) fn check(&self) -> Result<(), RulesError> {
        if let Some(reply) = &self.reply {
            check_reply(&reply.text, "/reply/text")?;
            if let Some(text) = &reply.to_colleagues {
                check_reply(text, "/reply/to_colleagues")?;
            }
            if reply.subject.chars().count() > MAX_REPLY_SUBJECT
                || reply.subject.chars().any(char::is_control)
            {
                return Err(RulesFault::ReplySubject.at("/reply/subject"));
            }
            if let Some(Period { from, until, zone }) = &reply.period {
                if zone_named(zone).is_none() {
                    return Err(RulesFault::Zone.at("/reply/period/zone"));
                }
                let is_good = match (from, until) {
                    (Some(from), Some(until)) => from < until,
                    (from, until) => from.or(*until).is_some(),
                };
                if !is_good {
                    return Err(RulesFault::Period.at("/reply/period"));
                }
            }
        }
        match &self.forward {
            Some(forward) => check_targets(&forward.to, "/forward/to"),
            None => Ok(()),
        }
    }
}

/// Where targets of forwarding lead, by their addresses.
pub type Ways = BTreeMap<MailAddress, Way>;

#[cfg(test)]
mod tests {
    use pennypost_model::message::{Contact, Facts};

    use super::*;
    use crate::rules::{Condition, Join, MAX_ALL_TARGETS, Rule};

    fn address(text: &str) -> MailAddress {
        MailAddress::parse(text).expect("an address")
    }

    fn facts(to: &str) -> Facts {
        let contact = |address: &str| Contact { name: String::new(), address: address.to_owned() };
        Facts { to: vec![contact("you@other.example"), contact(to)], ..Facts::default() }
    }

    fn replying(change: impl FnOnce(&mut AutoReply)) -> MemberRules {
        let mut reply = AutoReply {
            enabled: true,
            subject: String::new(),
            text: "away".to_owned(),
            to_colleagues: None,
            only_colleagues: false,
            period: None,
        };
        change(&mut reply);
        let automatic = Automatic { reply: Some(reply), forward: None };
        MemberRules { automatic: Some(automatic), ..MemberRules::default() }
    }

    const TIME: Timestamp = Timestamp(1_795_411_800_000);

    fn answer(
        rules: &MemberRules,
        facts: &Facts,
        reverse_path: &str,
        auth: &AuthResults,
        of_colleague: bool,
    ) -> Option<String> {
        let own = [address("me@acme.example"), address("also@acme.example")];
        let letter = Letter { time: TIME, size: 10, facts, own: &own, text: None };
        let applied = rules.apply(&letter);
        let asking = Asking { letter: &letter, reverse_path, auth, of_colleague };
        rules.replies(&applied, asking).map(|reply| reply.text)
    }

    /// Feature RUL-07 (part): whom nobody answers (RFC 3834)
    #[test]
    fn machines_lists_and_whoever_did_not_name_the_member_are_not_answered() {
        let fine = AuthResults { spf: Verdict::Pass, ..AuthResults::default() };
        let rules = replying(|_| {});
        let is_answered =
            |to: &str, reverse_path: &str| answer(&rules, &facts(to), reverse_path, &fine, false).is_some();
        for (to, reverse_path) in [
            ("me@acme.example", "a@b.example"),
            ("ME+shop@acme.example", "a@b.example"),
            ("also@acme.example", "Bouncer@b.example"),
        ] {
            assert!(is_answered(to, reverse_path), "{to} {reverse_path}");
        }
        for (to, reverse_path) in [
            ("staff@acme.example", "a@b.example"),
            ("me@acme.example", ""),
            ("me@acme.example", "MAILER-DAEMON@b.example"),
            ("me@acme.example", "owner-list@b.example"),
            ("me@acme.example", "list-request@b.example"),
            ("me@acme.example", "no-reply@b.example"),
            ("me@acme.example", "No_Reply+7@b.example"),
            ("me@acme.example", "do-not-reply@b.example"),
            ("me@acme.example", "bounces+1=2@b.example"),
            ("me@acme.example", "me+x@acme.example"),
            ("me@acme.example", "SRS0=x=y=far.example=a@b.example"),
            ("me@acme.example", "prvs=0123abcdef=a@b.example"),
        ] {
            assert!(!is_answered(to, reverse_path), "{to} {reverse_path}");
        }
        let list = Facts { automatic: true, ..facts("me@acme.example") };
        assert_eq!(answer(&rules, &list, "a@b.example", &fine, false), None);
        let from = |author: &str| Facts {
            from: vec![Contact { name: String::new(), address: author.to_owned() }],
            ..facts("me@acme.example")
        };
        // Whoever is answered has to have written it.
        let auth = |spf, dmarc| AuthResults { spf, dmarc, ..AuthResults::default() };
        let (pass, none) = (Verdict::Pass, Verdict::None);
        for (author, spf, dmarc, expected) in [
            ("a@b.example", Verdict::Fail, none, false),
            ("a@b.example", Verdict::SoftFail, none, false),
            ("a@b.example", Verdict::TempError, none, false),
            ("a@b.example", none, none, false),
            ("a@b.example", pass, Verdict::Fail, false),
            ("a@b.example", pass, none, true),
            ("a@mail.b.example", Verdict::SoftFail, pass, true),
            ("x@evil.example", none, pass, false),
            ("no-reply@b.example", pass, pass, false),
        ] {
            let answered = answer(&rules, &from(author), "a@b.example", &auth(spf, dmarc), false);
            assert_eq!(answered.is_some(), expected, "{author} {spf:?} {dmarc:?}");
        }
        assert!(answer(&rules, &from("a@b.example"), "a@b.example", &auth(none, none), true).is_some());
        assert_eq!(
            answer(
                &replying(|it| it.enabled = false),
                &facts("me@acme.example"),
                "a@b.example",
                &fine,
                false
            ),
            None
        );
    }

    #[test]
    fn answers_keep_to_their_time_and_to_whom_they_are_for() {
        let fine = AuthResults { spf: Verdict::Pass, ..AuthResults::default() };
        let ask = |rules: &MemberRules, of_colleague| {
            answer(rules, &facts("me@acme.example"), "a@b.example", &fine, of_colleague)
        };
        let colleagues = replying(|reply| {
            reply.only_colleagues = true;
            reply.to_colleagues = Some("at the sea".to_owned());
        });
        assert_eq!((ask(&colleagues, false), ask(&colleagues, true).as_deref()), (None, Some("at the sea")));
        let zone = "Asia/Shanghai".to_owned();
        // 13:30 in Shanghai.
        let moment = |text: &str| Some(Period::moment(text, &zone).expect("a time"));
        for (from, until, holds) in [
            (moment("2026-11-23T13:30"), None, true),
            (moment("2026-11-23T13:31"), None, false),
            (moment("2026-11-23"), moment("2026-11-24"), true),
            (None, moment("2026-11-23T13:30"), false),
        ] {
            let rules = replying(|reply| reply.period = Some(Period { from, until, zone: zone.clone() }));
            rules.check().expect("good");
            assert_eq!(ask(&rules, false).is_some(), holds, "{from:?} {until:?}");
        }
        let period = Period { from: moment("2026-12-24T18:00"), until: None, zone };
        assert_eq!(period.shown(period.from.expect("said")), "2026-12-24T18:00");
        assert_eq!(Period::moment("tomorrow", "Asia/Shanghai"), None);
    }

    #[test]
    fn what_cannot_be_is_told() {
        let at = |rules: &MemberRules| rules.check().map_err(|error| error.at);
        let long = "x".repeat(MAX_REPLY + 1);
        for (rules, wrong) in [
            (replying(|reply| reply.text = long.clone()), "/reply/text"),
            (replying(|reply| reply.text = " ".to_owned()), "/reply/text"),
            (replying(|reply| reply.to_colleagues = Some(String::new())), "/reply/to_colleagues"),
            (replying(|reply| reply.subject = "a\nb".to_owned()), "/reply/subject"),
            (
                replying(|reply| {
                    reply.period = Some(Period { from: None, until: None, zone: "Asia/Shanghai".to_owned() });
                }),
                "/reply/period",
            ),
            (
                replying(|reply| {
                    reply.period = Some(Period { from: Some(TIME), until: None, zone: "Mars".to_owned() });
                }),
                "/reply/period/zone",
            ),
        ] {
            assert_eq!(at(&rules), Err(wrong.to_owned()));
        }
        assert_eq!(at(&replying(|reply| reply.text = "多".repeat(MAX_REPLY))), Ok(()));
        let forward = |to: &[&str]| {
            let to = to.iter().map(|to| address(to)).collect();
            let forward = Some(AutoForward { enabled: true, to, keep: true });
            let automatic = Some(Automatic { reply: None, forward });
            MemberRules { automatic, ..MemberRules::default() }
        };
        assert_eq!(at(&forward(&["a@b.example", "b@b.example", "c@b.example"])), Ok(()));
        assert_eq!(at(&forward(&[])), Err("/forward/to".to_owned()));
        assert_eq!(at(&forward(&["a@b.example", "A@b.example"])), Err("/forward/to/1".to_owned()));
        let ruled = |count: usize| {
            let rule = |number: usize| Rule {
                name: number.to_string(),
                enabled: false,
                moment: crate::rules::Moment::default(),
                join: Join::All,
                conditions: vec![Condition::ToMe],
                actions: vec![RuleAction::Forward(vec![address(&format!("a{number}@b.example"))])],
                stop: false,
            };
            MemberRules { rules: (0..count).map(rule).collect(), ..forward(&["a0@b.example"]) }
        };
        assert_eq!(at(&ruled(MAX_ALL_TARGETS)), Ok(()));
        assert_eq!(ruled(MAX_ALL_TARGETS).open_forwards().count(), 1, "what is off is not asked");
        assert_eq!(at(&ruled(MAX_ALL_TARGETS + 1)), Err("/rules/30/actions/0/forward/0".to_owned()));
        let four = forward(&["a@b.example", "b@b.example", "c@b.example", "d@b.example"]);
        assert_eq!(at(&four), Err("/forward/to".to_owned()));
    }
}
