//! What rules say of one letter.
//!
//! What that takes is bounded by what may be said ([`super::MAX_ALL_WORDS`]) and by what is looked at of a letter: names and
//! addresses are cut, and the names of one header field are searched as one text.

use std::borrow::Cow;
use std::cell::{Cell, OnceCell};
use std::fmt::Write;

use jiff::tz::TimeZone;
use pennypost_model::message::{Contact, Facts, cut};
use pennypost_model::{FlagSet, SystemFlags, Timestamp};

use super::{
    Condition, Folder, FullText, Join, MAX_LETTER_LABELS, MemberRules, Moment, Rule, RuleAction, Words, fold,
};
use crate::address::{DomainName, MailAddress};

/// Bytes of a name in which words are looked for.
const NAME: usize = 200;
/// Bytes of an address in which they are: no address that can be has more.
const ADDRESS: usize = 320;

/// A letter, as far as rules ask for it.
#[derive(Debug, Clone, Copy)]
pub struct Letter<'a> {
    /// When it was accepted: the same however often it is decided.
    pub time: Timestamp,
    /// Bytes as received.
    pub size: u64,
    /// What parsing found.
    pub facts: &'a Facts,
    /// The member's addresses, the one to which the letter came among them.
    pub own: &'a [MailAddress],
    /// Its text, if it has been taken out: most are decided without.
    pub text: Option<&'a FullText>,
}

/// Where rules put a letter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Put<'a> {
    /// Into that folder.
    Folder(&'a Folder),
    /// Into Trash.
    Trash,
    /// Nowhere: it is refused with that text.
    Refused(&'a str),
}

/// What came of asking the rules.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Applied<'a> {
    /// Where they put it; `None`: they don't say.
    pub put: Option<Put<'a>>,
    /// Flags and labels.
    pub flags: FlagSet,
    /// Where it is forwarded.
    pub forwards: Vec<&'a MailAddress>,
    /// What it is answered with, by the first rule that says it.
    pub reply: Option<&'a str>,
    /// The rules whose conditions held, by their numbers.
    pub fired: Vec<usize>,
    /// A rule asks for the letter's text, which was not there: with it there may be other answers.
    pub wants_text: bool,
}

impl MemberRules {
    /// Asks the rules in their order, up to the first that stops those below. Of several that say where the letter goes the
    /// first holds; flags and labels come together, [`MAX_LETTER_LABELS`] labels at most.
    #[must_use]
    pub fn apply(&self, letter: &Letter<'_>) -> Applied<'_> {
        self.apply_at(Moment::Receive, letter)
    }

    /// The same with the rules of a moment.
    #[must_use]
    pub fn apply_at(&self, moment: Moment, letter: &Letter<'_>) -> Applied<'_> {
        let mut applied = Applied::default();
        let rules = self.rules.iter().enumerate();
        let enabled = rules.filter(|(_, rule)| rule.enabled && rule.moment == moment);
        if self.rules.is_empty() {
            return applied;
        }
        let asked = Asked::of(letter);
        for (number, rule) in enabled {
            if !asked.meets(rule) {
                continue;
            }
            applied.fired.push(number);
            for action in &rule.actions {
                applied.take(action);
            }
            if rule.stop {
                break;
            }
        }
        applied.wants_text = asked.lacks_text.get();
        applied
    }
}

impl<'a> Applied<'a> {
    fn take(&mut self, action: &'a RuleAction) {
        match action {
            RuleAction::Move(folder) => _ = self.put.get_or_insert(Put::Folder(folder)),
            RuleAction::Delete => _ = self.put.get_or_insert(Put::Trash),
            RuleAction::Label(keyword) => {
                let room = self.flags.keywords.len() < MAX_LETTER_LABELS;
                if room && !self.flags.keywords.contains(keyword) {
                    self.flags.keywords.push(keyword.clone());
                }
            }
            RuleAction::MarkRead => self.flags.system = self.flags.system.union(SystemFlags::SEEN),
            RuleAction::Flag => self.flags.system = self.flags.system.union(SystemFlags::FLAGGED),
            RuleAction::Forward(to) => self.forwards.extend(to),
            RuleAction::Reply(text) => _ = self.reply.get_or_insert(text),
            RuleAction::Refuse(text) => _ = self.put.get_or_insert(Put::Refused(text)),
        }
    }

    /// Does a rule delete or refuse it?
    pub(super) const fn is_deleted(&self) -> bool {
        matches!(self.put, Some(Put::Trash | Put::Refused(_)))
    }
}

impl Letter<'_> {
    /// Is that one of the member's addresses, with or without a tag?
    pub(super) fn is_own(&self, address: &MailAddress) -> bool {
        let base = address.without_tag();
        self.own.iter().any(|own| own == address || base.as_ref() == Some(own))
    }
}

/// A letter with its texts folded, once for all rules, and only where one asks for them.
struct Asked<'a> {
    letter: &'a Letter<'a>,
    subject: OnceCell<String>,
    senders: OnceCell<String>,
    recipients: OnceCell<String>,
    /// The text would have been asked.
    lacks_text: Cell<bool>,
    /// Addresses in To and Cc; `None` for what is no address.
    to: Vec<Option<MailAddress>>,
    authors: Vec<MailAddress>,
}

/// Names and addresses as one text: no word goes over the end of a line.
fn folded<'c>(contacts: impl Iterator<Item = &'c Contact>) -> String {
    let mut text = String::new();
    for contact in contacts {
        let _ = writeln!(text, "{} <{}>", cut(&contact.name, NAME), cut(&contact.address, ADDRESS));
    }
    fold(&text).into_owned()
}

impl<'a> Asked<'a> {
    fn of(letter: &'a Letter<'a>) -> Asked<'a> {
        let facts = letter.facts;
        let address = |contact: &Contact| MailAddress::parse(&contact.address).ok();
        Asked {
            letter,
            subject: OnceCell::new(),
            senders: OnceCell::new(),
            recipients: OnceCell::new(),
            lacks_text: Cell::new(false),
            to: facts.to.iter().chain(&facts.cc).map(address).collect(),
            authors: facts.from.iter().filter_map(address).collect(),
        }
    }

    fn meets(&self, rule: &Rule) -> bool {
        // Rules without a condition are none; if one were stored, it would be about nothing.
        if rule.conditions.is_empty() {
            return false;
        }
        // What takes the letter's text comes last: most rules are decided by then.
        let about_text =
            |is_so: bool| rule.conditions.iter().filter(move |condition| condition.asks_for_text() == is_so);
        let mut conditions = about_text(false).chain(about_text(true));
        match rule.join {
            Join::Any => conditions.any(|condition| self.is(condition)),
            Join::All => conditions.all(|condition| self.is(condition)),
        }
    }

    fn subject(&self) -> &str {
        self.subject.get_or_init(|| fold(&self.letter.facts.subject).into_owned())
    }

    fn has_in_text(&self, words: &Words) -> bool {
        let subject = self.subject();
        if has(subject, words) {
            return true;
        }
        let Some(text) = self.letter.text else {
            self.lacks_text.set(true);
            return false;
        };
        words.join.holds(&words.words, |word| {
            let word: Cow<'_, str> = fold(word.trim());
            subject.contains(&*word) || text.has(&word)
        })
    }

    fn is(&self, condition: &Condition) -> bool {
        let facts = self.letter.facts;
        match condition {
            Condition::Sender(words) => has(self.senders.get_or_init(|| folded(facts.from.iter())), words),
            Condition::Recipient(words) => {
                has(self.recipients.get_or_init(|| folded(facts.to.iter().chain(&facts.cc))), words)
            }
            Condition::Subject(words) => has(self.subject(), words),
            Condition::FullText(words) => self.has_in_text(words),
            Condition::SenderDomain(words) => words.join.holds(&words.words, |word| {
                let Ok(domain) = DomainName::parse(word.trim().trim_start_matches('@')) else { return false };
                self.authors.iter().any(|author| author.domain().is_within(&domain))
            }),
            Condition::OnlyToMe => {
                !self.to.is_empty() && self.to.iter().all(|one| self.is_mine(one.as_ref()))
            }
            Condition::ToMe => self.to.iter().any(|one| self.is_mine(one.as_ref())),
            Condition::Size { least, below } => {
                let size = self.letter.size;
                least.is_none_or(|least| size >= least) && below.is_none_or(|below| size < below)
            }
            Condition::Time { from, until } => {
                let time = self.letter.time;
                from.is_none_or(|from| time >= from) && until.is_none_or(|until| time < until)
            }
            Condition::Hours { from, until, zone } => {
                let Some(now) = minute_of_day(self.letter.time, zone) else { return false };
                if from < until { (*from..*until).contains(&now) } else { now >= *from || now < *until }
            }
        }
    }

    fn is_mine(&self, address: Option<&MailAddress>) -> bool {
        address.is_some_and(|address| self.letter.is_own(address))
    }
}

/// Are the words in the text? Those that were folded when they were read are not written anew.
fn has(text: &str, words: &Words) -> bool {
    words.join.holds(&words.words, |word| {
        let word: Cow<'_, str> = fold(word.trim());
        text.contains(&*word)
    })
}

/// The time zone of that name, of those that the program brings along.
pub(super) fn zone_named(name: &str) -> Option<TimeZone> {
    let is_name = name.len() <= 64 && name.is_ascii();
    if is_name { TimeZone::get(name).ok() } else { None }
}

fn minute_of_day(time: Timestamp, zone: &str) -> Option<u16> {
    let there = jiff::Timestamp::from_millisecond(time.0).ok()?.to_zoned(zone_named(zone)?);
    u16::try_from(i32::from(there.hour()) * 60 + i32::from(there.minute())).ok()
}

#[cfg(test)]
mod tests {
    use pennypost_model::{Keyword, MailboxId};

    use super::super::{MAX_REFUSAL, MAX_RULE_WORDS, RulesFault};
    use super::*;

    fn contact(name: &str, address: &str) -> Contact {
        Contact { name: name.to_owned(), address: address.to_owned() }
    }

    fn facts() -> Facts {
        Facts {
            subject: "Ｉnvoice 42 für März".to_owned(),
            from: vec![contact("Anna Böhm", "anna@mail.shop.example")],
            to: vec![contact("Me", "me+shop@acme.example")],
            cc: vec![contact("李四", "li@other.example")],
            ..Facts::default()
        }
    }

    fn words(join: Join, words: &[&str]) -> Words {
        Words { join, words: words.iter().map(|word| (*word).to_owned()).collect() }
    }

    fn own() -> Vec<MailAddress> {
        vec![MailAddress::parse("me@acme.example").expect("an address")]
    }

    fn rule(name: &str, conditions: Vec<Condition>, actions: Vec<RuleAction>) -> Rule {
        let (moment, join) = (Moment::Receive, Join::All);
        Rule { name: name.to_owned(), enabled: true, moment, join, conditions, actions, stop: false }
    }

    fn of(rules: Vec<Rule>) -> MemberRules {
        let rules = MemberRules { rules, ..MemberRules::default() };
        rules.check().expect("good rules");
        rules
    }

    // 2026-11-23T05:30:00Z: 13:30 in Shanghai, half past midnight in New York.
    const TIME: Timestamp = Timestamp(1_795_411_800_000);

    /// Feature RUL-02: everything that T lists, and subject, sender and full text of Z
    #[test]
    fn each_condition_asks_what_it_says() {
        let (any, all) = (Join::Any, Join::All);
        let hours = |from, until, zone: &str| Condition::Hours { from, until, zone: zone.to_owned() };
        let size = |least, below| Condition::Size { least, below };
        let time = |from: Option<i64>, until: Option<i64>| Condition::Time {
            from: from.map(|more| TIME.plus_millis(more)),
            until: until.map(|more| TIME.plus_millis(more)),
        };
        for (condition, expected) in [
            (Condition::Sender(words(any, &["nobody", "böhm"])), true),
            (Condition::Sender(words(all, &["anna@", "BÖHM"])), true),
            (Condition::Sender(words(all, &["anna@", "nobody"])), false),
            (Condition::Recipient(words(any, &["李四"])), true),
            (Condition::Recipient(words(any, &["anna"])), false),
            (Condition::Recipient(words(any, &["acme.example> 李四", "acme.example>李四"])), false),
            (Condition::Recipient(words(all, &["li@other", "me+shop"])), true),
            (Condition::SenderDomain(words(any, &["shop.example"])), true),
            (Condition::SenderDomain(words(any, &["@mail.shop.example"])), true),
            (Condition::SenderDomain(words(any, &["op.example"])), false),
            (Condition::SenderDomain(words(all, &["shop.example", "other.example"])), false),
            (Condition::Subject(words(any, &["invoice"])), true),
            (Condition::Subject(words(all, &["INVOICE", "märz"])), true),
            (Condition::Subject(words(all, &["invoice", "april"])), false),
            (Condition::FullText(words(any, &["nothing", "PAY BY"])), true),
            (Condition::FullText(words(all, &["发票", "friday", "invoice"])), true),
            (Condition::FullText(words(all, &["发票", "monday"])), false),
            (Condition::FullText(words(any, &["böhm"])), false),
            (Condition::OnlyToMe, false),
            (Condition::ToMe, true),
            (size(Some(1_000), None), true),
            (size(Some(1_001), None), false),
            (size(None, Some(1_000)), false),
            (size(Some(999), Some(1_001)), true),
            (time(Some(0), None), true),
            (time(Some(1), None), false),
            (time(None, Some(0)), false),
            (time(Some(-1), Some(1)), true),
            (hours(13 * 60, 14 * 60, "Asia/Shanghai"), true),
            (hours(13 * 60, 13 * 60 + 30, "Asia/Shanghai"), false),
            (hours(22 * 60, 7 * 60, "America/New_York"), true),
            (hours(22 * 60, 7 * 60, "Asia/Shanghai"), false),
        ] {
            let facts = facts();
            let text = FullText::of("Dear Anna,\r\nplease pay\r\nby Friday. 发票");
            let letter = Letter { time: TIME, size: 1_000, facts: &facts, own: &own(), text: Some(&text) };
            let rules = of(vec![rule("one", vec![condition.clone()], vec![RuleAction::Flag])]);
            assert_eq!(rules.apply(&letter).fired == [0], expected, "{condition:?}");
        }
    }

    /// Only what has not been decided without it takes a letter's text.
    #[test]
    fn the_text_is_asked_for_last() {
        let text = |join, list: &[&str]| Condition::FullText(words(join, list));
        let (bill, big) = (text(Join::Any, &["friday"]), Condition::Size { least: Some(1), below: None });
        let small = Condition::Size { least: None, below: Some(1) };
        let facts = facts();
        let letter = Letter { time: TIME, size: 1_000, facts: &facts, own: &own(), text: None };
        let asks = |join, conditions: Vec<Condition>, enabled| {
            let rules = of(vec![Rule { join, enabled, ..rule("one", conditions, vec![RuleAction::Delete]) }]);
            let applied = rules.apply(&letter);
            (applied.wants_text, applied.put.is_some())
        };
        for (join, conditions, enabled, expected) in [
            (Join::All, vec![bill.clone(), big.clone()], true, (true, false)),
            (Join::All, vec![bill.clone(), small.clone()], true, (false, false)),
            (Join::Any, vec![bill.clone(), big.clone()], true, (false, true)),
            (Join::Any, vec![bill.clone(), small], true, (true, false)),
            (Join::All, vec![bill.clone(), big], false, (false, false)),
            // The subject is a part of it.
            (Join::All, vec![text(Join::All, &["invoice", "42"])], true, (false, true)),
            (Join::All, vec![text(Join::All, &["invoice", "friday"])], true, (true, false)),
        ] {
            assert_eq!(asks(join, conditions.clone(), enabled), expected, "{join:?} {conditions:?}");
        }
        let mut stops = rule("stops", vec![Condition::ToMe], Vec::new());
        stops.stop = true;
        let rules = of(vec![stops, rule("text", vec![bill], vec![RuleAction::Flag])]);
        assert!(!rules.apply(&letter).wants_text, "nobody asks what stands behind a stop");
    }

    #[test]
    fn what_refuses_does_nothing_else() {
        let refuse = || RuleAction::Refuse("No, thanks.".to_owned());
        let faulty = |actions, moment| {
            let rule = Rule { moment, ..rule("no", vec![Condition::ToMe], actions) };
            MemberRules { rules: vec![rule], ..MemberRules::default() }.check().expect_err("it can't be")
        };
        let wrong = faulty(vec![RuleAction::Flag, refuse()], Moment::Receive);
        assert_eq!((wrong.at.as_str(), &wrong.fault), ("/rules/0/actions/1", &RulesFault::Refusing));
        assert_eq!(faulty(vec![refuse()], Moment::Send).fault, RulesFault::Refusing);
        let long = RuleAction::Refuse("x".repeat(MAX_REFUSAL + 1));
        let wrong = faulty(vec![long], Moment::Receive);
        assert_eq!((wrong.at.as_str(), wrong.fault), ("/rules/0/actions/0/refuse", RulesFault::Refusal));
        let many = Condition::FullText(words(Join::Any, &["x"; MAX_RULE_WORDS]));
        let rules = vec![rule("text", vec![many.clone(), many.clone(), many], vec![RuleAction::Flag])];
        let wrong = MemberRules { rules, ..MemberRules::default() }.check().expect_err("too many");
        assert_eq!((wrong.at.as_str(), wrong.fault), ("/rules/0", RulesFault::TextWords));
        // The first place that is said holds, whichever it is.
        let moved = rule("deleted", vec![Condition::ToMe], vec![RuleAction::Delete]);
        let refused = rule("refused", vec![Condition::ToMe], vec![refuse()]);
        let facts = facts();
        let letter = Letter { time: TIME, size: 1, facts: &facts, own: &own(), text: None };
        let both = of(vec![refused.clone(), moved.clone()]);
        assert_eq!(both.apply(&letter).put, Some(Put::Refused("No, thanks.")));
        assert_eq!(of(vec![moved, refused]).apply(&letter).put, Some(Put::Trash));
    }

    #[test]
    fn only_to_me_means_nobody_else() {
        let rules = of(vec![rule("mine", vec![Condition::OnlyToMe], vec![RuleAction::Flag])]);
        let fires = |to: &[&str]| {
            let to = to.iter().map(|address| contact("", address)).collect();
            let facts = Facts { to, ..Facts::default() };
            let letter = Letter { time: TIME, size: 1, facts: &facts, own: &own(), text: None };
            !rules.apply(&letter).fired.is_empty()
        };
        assert!(fires(&["ME@acme.example", "me+x@acme.example"]));
        assert!(!fires(&[]) && !fires(&["me@acme.example", "broken"]) && !fires(&["li@other.example"]));
    }

    /// Feature RUL-03 (part): moved, deleted, labelled, marked as read and flagged; no copy
    /// Feature RUL-05: from top to bottom, stopped by one that says so; off ones are not asked
    #[test]
    fn rules_are_asked_in_order_until_one_stops() {
        let folder = |id, name: &str| Folder { id: MailboxId(id), name: name.to_owned() };
        let about = |word| vec![Condition::Subject(words(Join::Any, &[word]))];
        let label = |name| RuleAction::Label(Keyword::parse(name).expect("a keyword"));
        let first = rule("first", about("nothing of it"), vec![RuleAction::Delete]);
        let second =
            rule("second", about("invoice"), vec![RuleAction::Move(folder(7, "Bills")), label("Paid")]);
        let third = rule("third", about("42"), vec![RuleAction::Delete, RuleAction::MarkRead, label("paid")]);
        let fourth = rule("fourth", about("42"), vec![RuleAction::Flag]);
        let facts = facts();
        let letter = Letter { time: TIME, size: 1, facts: &facts, own: &[], text: None };
        let mut rules = of(vec![first, second, third, fourth]);
        let all = rules.apply(&letter);
        assert_eq!((all.put, all.fired.as_slice()), (Some(Put::Folder(&folder(7, "Bills"))), &[1, 2, 3][..]));
        assert_eq!(all.flags.system, SystemFlags::SEEN.union(SystemFlags::FLAGGED));
        assert_eq!(all.flags.keywords, [Keyword::parse("Paid").expect("a keyword")]);
        rules.rules[2].stop = true;
        assert_eq!(rules.apply(&letter).fired, [1, 2]);
        rules.rules[1].enabled = false;
        let applied = rules.apply(&letter);
        assert_eq!((applied.put, applied.fired.as_slice()), (Some(Put::Trash), &[2][..]));
        rules.rules[2].join = Join::Any;
        rules.rules[2].conditions.push(Condition::OnlyToMe);
        assert_eq!(rules.apply(&letter).fired, [2]);
        rules.rules[2].join = Join::All;
        assert_eq!(rules.apply(&letter).fired, [3]);
    }

    #[test]
    fn what_rules_cannot_be_is_told_with_its_place() {
        use super::super::RulesFault as F;
        let good = || rule("good", vec![Condition::ToMe], vec![RuleAction::Flag]);
        let hours = |zone: &str| Condition::Hours { from: 60, until: 120, zone: zone.to_owned() };
        let with = |conditions| Rule { conditions, ..good() };
        let delete = RuleAction::Delete;
        for (bad, at, fault) in [
            (Rule { name: String::new(), ..good() }, "/rules/1/name", F::Name),
            (Rule { name: " GOOD ".to_owned(), ..good() }, "/rules/1/name", F::NameTaken),
            (with(Vec::new()), "/rules/1/conditions", F::Conditions),
            (Rule { actions: Vec::new(), ..good() }, "/rules/1/actions", F::Actions),
            (Rule { actions: vec![delete.clone(), delete], ..good() }, "/rules/1/actions", F::TwoPlaces),
            (
                with(vec![Condition::Subject(words(Join::Any, &[]))]),
                "/rules/1/conditions/0/subject/words",
                F::Words,
            ),
            (
                with(vec![Condition::ToMe, Condition::Sender(words(Join::Any, &["a", " "]))]),
                "/rules/1/conditions/1/sender/words/1",
                F::Word,
            ),
            (
                with(vec![Condition::Size { least: Some(5), below: Some(5) }]),
                "/rules/1/conditions/0/size",
                F::Size,
            ),
            (with(vec![Condition::Time { from: None, until: None }]), "/rules/1/conditions/0/time", F::Time),
            (with(vec![hours("Asia/Nowhere")]), "/rules/1/conditions/0/hours/zone", F::Zone),
        ] {
            let is_named = fault == F::Name || fault == F::NameTaken;
            let bad = if is_named { bad } else { Rule { name: "bad".to_owned(), ..bad } };
            let rules = MemberRules { rules: vec![good(), bad], ..MemberRules::default() };
            assert_eq!(rules.check(), Err(fault.at(at)));
        }
        let many = |rules: usize, word: &str| -> Vec<Rule> {
            let words = |word: &str| Words { join: Join::Any, words: vec![word.to_owned(); 50] };
            let rule = |number: usize| Rule {
                name: number.to_string(),
                ..with(vec![Condition::Subject(words(word))])
            };
            (0..rules).map(rule).collect()
        };
        let rules = MemberRules { rules: many(20, "x"), ..MemberRules::default() };
        assert_eq!(rules.check(), Ok(()));
        let rules = MemberRules { rules: many(21, "x"), ..MemberRules::default() };
        assert_eq!(rules.check(), Err(F::AllWords.at("/rules/20")));
        let rules = MemberRules { rules: many(20, &"x".repeat(100)), ..MemberRules::default() };
        assert_eq!(rules.check(), Err(F::Bytes.at("")));
    }

    #[test]
    fn a_letter_gets_some_labels_and_no_more() {
        let label =
            |number: usize| RuleAction::Label(Keyword::parse(&format!("label{number}")).expect("a keyword"));
        let rules = (0..10).map(|number| {
            let labels = (0..10).map(|one| label(number * 10 + one)).collect();
            rule(&number.to_string(), vec![Condition::Size { least: Some(0), below: None }], labels)
        });
        let facts = facts();
        let letter = Letter { time: TIME, size: 1, facts: &facts, own: &[], text: None };
        let rules = of(rules.collect());
        let applied = rules.apply(&letter);
        assert_eq!((applied.flags.keywords.len(), applied.fired.len()), (MAX_LETTER_LABELS, 10));
    }

    /// As many words as may be, in as long a list of recipients as there may be: what it takes does not grow with the names.
    #[test]
    fn names_are_cut_and_words_folded_once() {
        let long = "Ä".repeat(1_000) + "end";
        let to: Vec<Contact> = (0..200).map(|_| contact(&long, "a@b.example")).collect();
        assert!(folded(to.iter()).len() < 200 * (NAME + 20));
        let facts = Facts { to, ..Facts::default() };
        let letter = Letter { time: TIME, size: 1, facts: &facts, own: &[], text: None };
        let mut rules = of(["end", "Ää", "b.example"]
            .map(|word| {
                rule(word, vec![Condition::Recipient(words(Join::Any, &[word]))], vec![RuleAction::Flag])
            })
            .into());
        assert_eq!(rules.apply(&letter).fired, [1, 2]);
        rules.fold_words();
        let Condition::Recipient(folded) = &rules.rules[1].conditions[0] else { panic!("another one") };
        assert_eq!(folded.words, ["ää"]);
        assert_eq!(rules.apply(&letter).fired, [1, 2], "as before");
    }

    proptest::proptest! {
        #[test]
        fn any_letter_is_asked_without_harm(
            subject in ".{0,80}", name in ".{0,40}", address in ".{0,40}",
            size in proptest::prelude::any::<u64>(), time in proptest::prelude::any::<i64>(),
        ) {
            let facts = Facts {
                subject, from: vec![contact(&name, &address)], to: vec![contact(&name, &address)], ..Facts::default()
            };
            let hours = Condition::Hours { from: 60, until: 30, zone: "Asia/Shanghai".to_owned() };
            let rules = of(vec![
                rule("one", vec![Condition::ToMe, hours], vec![RuleAction::Flag]),
                rule("two", vec![Condition::SenderDomain(words(Join::Any, &["a.example"]))], vec![RuleAction::Delete]),
            ]);
            let letter = Letter { time: Timestamp(time), size, facts: &facts, own: &own(), text: None };
            proptest::prop_assert_eq!(rules.apply(&letter), rules.apply(&letter));
        }
    }
}
