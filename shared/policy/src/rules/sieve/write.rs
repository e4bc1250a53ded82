//! Rules as a script.

use std::collections::BTreeSet;
use std::fmt::Write;

use pennypost_model::Timestamp;

use super::{ANSWER_DAYS, DELETE, own_patterns};
use crate::address::{DomainName, MailAddress};
use crate::rules::apply::zone_named;
use crate::rules::{Condition, Join, Moment, Rule, RuleAction, TimeOfDay, Words};

/// What stands above all rules.
const HEAD: &str = "# Rules of Pennypost. Each has its name in front of it; one that is off has its test in a comment.\n\
# Here a letter goes where the first rule says; other programs may keep a copy for each rule that files it.\n\
# Pennypost 的收信规则。每条规则之前是其名称；已停用的规则，其条件写在注释中。\n\
# 此处邮件按第一条移动规则存放；其他程序可能为每条移动规则各留一份。\n";

/// The rules on receiving as a script; `own` are the account's addresses. Time zones have the offset that they have at
/// `now`, and their name behind it. Lists of senders, and the general answer and forward, are not in it.
#[must_use]
pub fn write(rules: &[Rule], own: &[MailAddress], now: Timestamp) -> String {
    let mut writer = Writer { own, now, required: BTreeSet::new() };
    let mut body = String::new();
    for rule in rules.iter().filter(|rule| rule.moment == Moment::Receive) {
        writer.rule(rule, &mut body);
    }
    let mut script = HEAD.to_owned();
    if !writer.required.is_empty() {
        let names: Vec<String> = writer.required.iter().map(|name| (*name).to_owned()).collect();
        let _ = writeln!(script, "require {};", list(&names));
    }
    script.push_str(&body);
    // RFC 5228 section 2.1: lines end with CRLF.
    script.replace('\n', "\r\n")
}

struct Writer<'a> {
    own: &'a [MailAddress],
    now: Timestamp,
    required: BTreeSet<&'static str>,
}

fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        if matches!(c, '"' | '\\') {
            quoted.push('\\');
        }
        quoted.push(c);
    }
    quoted.push('"');
    quoted
}

fn list(texts: &[String]) -> String {
    match texts {
        [one] => quoted(one),
        several => {
            let texts: Vec<String> = several.iter().map(|text| quoted(text)).collect();
            format!("[{}]", texts.join(", "))
        }
    }
}

impl Writer<'_> {
    fn rule(&mut self, rule: &Rule, script: &mut String) {
        let tests: Vec<String> = rule.conditions.iter().map(|condition| self.condition(condition)).collect();
        let join = if rule.join == Join::All { "allof" } else { "anyof" };
        let test = format!("{join} ({})", tests.join(", "));
        let off = if rule.enabled { "" } else { "false # " };
        let _ = write!(script, "\n# rule:[{}]\nif {off}{test}\n{{\n", rule.name);
        // What is filed has the flags that were said before.
        let is_mark = |action: &&RuleAction| {
            matches!(action, RuleAction::Label(_) | RuleAction::MarkRead | RuleAction::Flag)
        };
        let is_place = |action: &&RuleAction| action.is_place();
        let sent = rule.actions.iter().filter(|action| !is_mark(action) && !is_place(action));
        let marks = rule.actions.iter().filter(is_mark);
        for action in marks.chain(sent).chain(rule.actions.iter().filter(is_place)) {
            self.action(action, script);
        }
        if rule.stop {
            script.push_str("    stop;\n");
        }
        script.push_str("}\n");
    }

    fn action(&mut self, action: &RuleAction, script: &mut String) {
        let command = match action {
            RuleAction::Move(folder) => {
                self.required.insert("fileinto");
                format!("fileinto {};", quoted(&folder.name))
            }
            RuleAction::Delete => {
                self.required.insert("fileinto");
                // `discard` would be for good, and few servers know `:specialuse`.
                format!("fileinto /* {DELETE} */ \"Trash\";")
            }
            RuleAction::Label(keyword) => self.flag(keyword.as_str()),
            RuleAction::MarkRead => self.flag("\\Seen"),
            RuleAction::Flag => self.flag("\\Flagged"),
            RuleAction::Forward(to) => {
                self.required.insert("copy");
                let command = |to: &MailAddress| format!("redirect :copy {};", quoted(&to.to_string()));
                to.iter().map(command).collect::<Vec<_>>().join("\n    ")
            }
            RuleAction::Reply(text) => {
                self.required.insert("vacation");
                format!("vacation :days {ANSWER_DAYS} {};", quoted(text))
            }
            RuleAction::Refuse(text) => {
                self.required.insert("reject");
                format!("reject {};", quoted(text))
            }
        };
        let _ = writeln!(script, "    {command}");
    }

    fn flag(&mut self, flag: &str) -> String {
        self.required.insert("imap4flags");
        format!("addflag {};", quoted(flag))
    }

    fn condition(&mut self, condition: &Condition) -> String {
        match condition {
            Condition::Sender(words) => in_header("\"from\"", words),
            Condition::Recipient(words) => in_header("[\"to\", \"cc\"]", words),
            Condition::Subject(words) => in_header("\"subject\"", words),
            Condition::SenderDomain(words) => {
                let domain = |word: &String| {
                    let plain = word.trim().trim_start_matches('@');
                    DomainName::parse(plain).map_or_else(|_| plain.to_owned(), |domain| domain.to_string())
                };
                let test = |domains: &[String]| {
                    let keys: Vec<String> =
                        domains.iter().flat_map(|domain| [domain.clone(), format!("*.{domain}")]).collect();
                    format!("address :domain :matches \"from\" {}", list(&keys))
                };
                let domains: Vec<String> = words.words.iter().map(domain).collect();
                match words.join {
                    Join::Any => test(&domains),
                    Join::All => all_of(domains.iter().map(|domain| test(std::slice::from_ref(domain)))),
                }
            }
            Condition::FullText(Words { join, words }) => {
                self.required.insert("body");
                let test = |words: &[String]| {
                    let keys = list(words);
                    format!("anyof (header :contains \"subject\" {keys}, body :text :contains {keys})")
                };
                match join {
                    Join::Any => test(words),
                    Join::All => all_of(words.iter().map(|word| test(std::slice::from_ref(word)))),
                }
            }
            Condition::ToMe => self.to_me(),
            Condition::OnlyToMe => {
                self.required.extend(["relational", "comparator-i;ascii-numeric"]);
                let count = "address :count \"eq\" :comparator \"i;ascii-numeric\" [\"to\", \"cc\"] \"1\"";
                format!("allof ({count}, {})", self.to_me())
            }
            Condition::Size { least, below } => {
                let least = least.map(|least| format!("not size :under {least}"));
                both(least, below.map(|below| format!("size :under {below}")))
            }
            Condition::Time { from, until } => {
                self.required.extend(["date", "relational"]);
                let test = |relation: &str, time: &Timestamp| {
                    let time = time.rfc3339();
                    let time = time.trim_end_matches('Z');
                    let time = time.strip_suffix(".000").unwrap_or(time);
                    format!("currentdate :zone \"+0000\" :value \"{relation}\" \"iso8601\" \"{time}+00:00\"")
                };
                both(from.as_ref().map(|time| test("ge", time)), until.as_ref().map(|time| test("lt", time)))
            }
            Condition::Hours { from, until, zone } => {
                self.required.extend(["date", "relational"]);
                let offset = self.offset(zone);
                let test = |relation: &str, minutes: u16| {
                    let time = TimeOfDay(minutes);
                    format!(
                        "currentdate :zone \"{offset}\" /* {zone} */ :value \"{relation}\" \"time\" \"{time}:00\""
                    )
                };
                let join = if from < until { "allof" } else { "anyof" };
                format!("{join} ({}, {})", test("ge", *from), test("lt", *until))
            }
        }
    }

    fn to_me(&self) -> String {
        format!("address :matches [\"to\", \"cc\"] {}", list(&own_patterns(self.own)))
    }

    /// As `+0800`.
    fn offset(&self, zone: &str) -> String {
        let at = jiff::Timestamp::from_millisecond(self.now.0).ok().zip(zone_named(zone));
        let seconds = at.map_or(0, |(at, zone)| zone.to_offset(at).seconds());
        let (sign, minutes) = (if seconds < 0 { '-' } else { '+' }, seconds.unsigned_abs() / 60);
        format!("{sign}{:02}{:02}", minutes / 60, minutes % 60)
    }
}

fn all_of(tests: impl Iterator<Item = String>) -> String {
    format!("allof ({})", tests.collect::<Vec<_>>().join(", "))
}

fn both(first: Option<String>, second: Option<String>) -> String {
    match (first, second) {
        (Some(first), Some(second)) => all_of([first, second].into_iter()),
        (first, second) => first.or(second).unwrap_or_else(|| "true".to_owned()),
    }
}

fn in_header(names: &str, Words { join, words }: &Words) -> String {
    match join {
        Join::Any => format!("header :contains {names} {}", list(words)),
        Join::All => all_of(words.iter().map(|word| format!("header :contains {names} {}", quoted(word)))),
    }
}
