//! What rules can't be.

use std::collections::BTreeSet;

use pennypost_model::codec;

use super::automatic::{self, MAX_FORWARD_TARGETS, MAX_REPLY, MAX_REPLY_SUBJECT};
use super::{Condition, MemberRules, Moment, Rule, RuleAction, TimeOfDay, Words, apply, fold};
use crate::address::{AddressError, DomainName};

/// Rules of a member.
pub const MAX_RULES: usize = 100;
/// Senders of one list (RCV-07).
pub const MAX_SENDERS: usize = 100;
/// Characters of a rule's name.
pub const MAX_RULE_NAME: usize = 60;
/// Conditions of a rule.
pub const MAX_CONDITIONS: usize = 20;
/// Actions of a rule.
pub const MAX_RULE_ACTIONS: usize = 10;
/// Words of a condition.
pub const MAX_RULE_WORDS: usize = 50;
/// Characters of a word.
pub const MAX_RULE_WORD: usize = 100;
/// Words of all conditions together: each is looked for in each letter.
pub const MAX_ALL_WORDS: usize = 1_000;
/// Words of all conditions that look into the text: it may be long.
pub const MAX_TEXT_WORDS: usize = 100;
/// Characters of what a sender is told whose letter is refused.
pub const MAX_REFUSAL: usize = 200;
/// Labels that rules give to a letter; an account has room for 59, and what comes beyond this is left out.
pub const MAX_LETTER_LABELS: usize = 20;
/// Addresses to which all rules and the general setting together forward: each is looked up when letters come in.
pub const MAX_ALL_TARGETS: usize = 30;
/// Bytes that all of it takes, as it is stored: it is read when letters come in.
pub const MAX_RULES_BYTES: usize = 64 * 1024;

/// Rules that can't be, and where they are wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{at}: {fault}")]
pub struct RulesError {
    /// JSON pointer into the rules as the API shows them; empty for all of them.
    pub at: String,
    /// What is wrong.
    pub fault: RulesFault,
}

/// What is wrong with rules.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RulesFault {
    /// More rules than there may be.
    #[error("there may be {MAX_RULES} rules at most")]
    Rules,
    /// More senders than a list may have.
    #[error("a list has {MAX_SENDERS} senders at most")]
    Senders,
    /// No address and no domain.
    #[error("{0}")]
    Sender(AddressError),
    /// A name that can't be.
    #[error("a rule's name has 1 to {MAX_RULE_NAME} characters and no control characters")]
    Name,
    /// Two rules of one name.
    #[error("another rule has that name")]
    NameTaken,
    /// No condition, or too many.
    #[error("a rule has 1 to {MAX_CONDITIONS} conditions")]
    Conditions,
    /// Too many actions, or nothing that it does.
    #[error("a rule has 1 to {MAX_RULE_ACTIONS} actions, or none if it only stops those below")]
    Actions,
    /// No word, or too many.
    #[error("a condition has 1 to {MAX_RULE_WORDS} words")]
    Words,
    /// More words than all rules may have.
    #[error("all rules together have {MAX_ALL_WORDS} words at most")]
    AllWords,
    /// More words to be looked for in texts than all rules may have.
    #[error("all conditions on the full text together have {MAX_TEXT_WORDS} words at most")]
    TextWords,
    /// A word that can't be.
    #[error("a word has 1 to {MAX_RULE_WORD} characters and no control characters")]
    Word,
    /// No domain.
    #[error("{0}")]
    Domain(AddressError),
    /// No size, or none that a letter can have.
    #[error("a size has a least number of bytes, or one that it stays below, or both in that order")]
    Size,
    /// No time, or none that there is.
    #[error("a time has a beginning, or an end, or both in that order, in UTC as 2026-01-31T08:00:00Z")]
    Time,
    /// Hours that are none.
    #[error("hours are two different times of the day as HH:MM")]
    Hours,
    /// A time zone that is not known.
    #[error("there is no time zone of that name; say one such as Asia/Shanghai")]
    Zone,
    /// A label that programs can't show.
    #[error(
        "a label has 1 to 100 ASCII letters, digits or signs other than (){{%*\"\\], and is none of IMAP's own flags"
    )]
    Label,
    /// More than one place for a letter.
    #[error("a letter goes to one place: a rule moves it once, or deletes it")]
    TwoPlaces,
    /// No such folder.
    #[error("there is no such folder")]
    Folder,
    /// A letter that is sent is not answered by a rule.
    #[error(
        "a rule on sending moves, deletes, labels or marks the copy in Sent, or sends copies to others, and does not answer"
    )]
    OnSending,
    /// A rule that refuses, and is on sending or does something else.
    #[error("a rule that refuses is asked when letters come in, and does nothing else with them")]
    Refusing,
    /// What can't be told to whoever is refused.
    #[error("a refusal says {MAX_REFUSAL} characters at most, and no control characters but ends of lines")]
    Refusal,
    /// No such rule.
    #[error("there is no such rule")]
    NoRule,
    /// Rules that do nothing with mail that has come before.
    #[error(
        "no rule that is on moves, deletes, labels or marks; mail that has come before is neither forwarded nor answered, nor refused"
    )]
    NothingForOld,
    /// No answer, or one that is too long.
    #[error("an answer has 1 to {MAX_REPLY} characters, and no control characters but ends of lines")]
    Reply,
    /// What an answer can't be about.
    #[error("the subject of an answer has {MAX_REPLY_SUBJECT} characters at most and no control characters")]
    ReplySubject,
    /// No period.
    #[error(
        "a period has a beginning, or an end, or both in that order, as 2026-12-24T18:00 in its time zone"
    )]
    Period,
    /// Not so many addresses.
    #[error("letters are forwarded to 1 to {MAX_FORWARD_TARGETS} addresses")]
    Targets,
    /// More addresses than all rules may have.
    #[error("all rules together forward to {MAX_ALL_TARGETS} addresses at most")]
    AllTargets,
    /// No address.
    #[error("{0}")]
    Target(AddressError),
    /// One address twice.
    #[error("this address is named twice")]
    TargetTwice,
    /// A group of the organisation.
    #[error("this address is a group of the organisation: letters are forwarded to single addresses")]
    TargetGroup,
    /// The own address.
    #[error("this address is the account's own")]
    TargetOwn,
    /// Nobody's.
    #[error("nobody in the organisation has this address, or its owner takes no mail")]
    TargetNobody,
    /// Too much in all.
    #[error("all rules and lists together take {MAX_RULES_BYTES} bytes at most")]
    Bytes,
}

impl RulesFault {
    /// For people, in Chinese.
    #[must_use]
    pub fn chinese(&self) -> String {
        match self {
            RulesFault::Rules => format!("收信规则最多 {MAX_RULES} 条"),
            RulesFault::Senders => format!("名单最多 {MAX_SENDERS} 个发件人"),
            RulesFault::Sender(_) => "不是有效的邮件地址或域名".to_owned(),
            RulesFault::Name => format!("规则名称须为 1 至 {MAX_RULE_NAME} 个字符，且不含控制字符"),
            RulesFault::NameTaken => "已有同名的规则".to_owned(),
            RulesFault::Conditions => format!("每条规则须有 1 至 {MAX_CONDITIONS} 个条件"),
            RulesFault::Actions => {
                format!("每条规则须有 1 至 {MAX_RULE_ACTIONS} 个动作；仅用于停止后续规则时可以没有动作")
            }
            RulesFault::Words => format!("每个条件须有 1 至 {MAX_RULE_WORDS} 个词"),
            RulesFault::AllWords => format!("全部规则合计最多 {MAX_ALL_WORDS} 个词"),
            RulesFault::TextWords => format!("全部正文条件合计最多 {MAX_TEXT_WORDS} 个词"),
            RulesFault::Refusing => "拒收规则只能用于收信，且不能同时执行其他动作".to_owned(),
            RulesFault::Refusal => format!("拒收说明最多 {MAX_REFUSAL} 个字符，除换行外不含控制字符"),
            RulesFault::Word => format!("每个词须为 1 至 {MAX_RULE_WORD} 个字符，且不含控制字符"),
            RulesFault::Domain(_) => "不是有效的域名".to_owned(),
            RulesFault::Size => "邮件大小须给出下限、上限，或下限小于上限的两者".to_owned(),
            RulesFault::Time => {
                "时间须给出起点、终点，或起点早于终点的两者，以 UTC 书写，例如 2026-01-31T08:00:00Z"
                    .to_owned()
            }
            RulesFault::Hours => "时段须为两个不同的时刻，格式为 HH:MM".to_owned(),
            RulesFault::Zone => "没有这个时区，请使用例如 Asia/Shanghai 的名称".to_owned(),
            RulesFault::Label => {
                "标签须为 1 至 100 个 ASCII 字母、数字或符号，不含 (){%*\"\\]，且不是 IMAP 自带的标记"
                    .to_owned()
            }
            RulesFault::TwoPlaces => "一封邮件只能去一处：一条规则只能移动一次，或删除".to_owned(),
            RulesFault::Folder => "没有这个文件夹".to_owned(),
            RulesFault::OnSending => {
                "发信规则只能移动、删除“已发送”中的副本，为其加标签、作标记，或抄送他人，不能自动回复"
                    .to_owned()
            }
            RulesFault::NoRule => "没有这条规则".to_owned(),
            RulesFault::NothingForOld => {
                "没有已启用的规则会移动、删除、加标签或标记邮件；对历史邮件不会转发、自动回复或拒收"
                    .to_owned()
            }
            RulesFault::Reply => format!("自动回复须为 1 至 {MAX_REPLY} 个字符，除换行外不含控制字符"),
            RulesFault::ReplySubject => {
                format!("自动回复的主题最多 {MAX_REPLY_SUBJECT} 个字符，且不含控制字符")
            }
            RulesFault::Period => {
                "有效期须给出起点、终点，或起点早于终点的两者，按所选时区书写，例如 2026-12-24T18:00"
                    .to_owned()
            }
            RulesFault::Targets => format!("自动转发须有 1 至 {MAX_FORWARD_TARGETS} 个目标地址"),
            RulesFault::AllTargets => format!("全部规则合计最多转发至 {MAX_ALL_TARGETS} 个地址"),
            RulesFault::Target(_) => "不是有效的邮件地址".to_owned(),
            RulesFault::TargetTwice => "该地址重复指定".to_owned(),
            RulesFault::TargetGroup => "该地址是本组织的群组，自动转发的目标须为单个地址".to_owned(),
            RulesFault::TargetOwn => "该地址属于本帐号自身".to_owned(),
            RulesFault::TargetNobody => "本组织内没有人使用该地址，或其主人不收信".to_owned(),
            RulesFault::Bytes => format!("全部规则和名单合计最多 {MAX_RULES_BYTES} 字节"),
        }
    }

    /// The error at that place.
    #[must_use]
    pub fn at(self, at: impl Into<String>) -> RulesError {
        RulesError { at: at.into(), fault: self }
    }
}

fn is_text(text: &str, limit: usize) -> bool {
    let count = text.chars().count();
    (1..=limit).contains(&count) && !text.trim().is_empty() && !text.chars().any(char::is_control)
}

impl MemberRules {
    /// Can these be somebody's rules? Whether their folders are there is another question.
    ///
    /// # Errors
    /// The first that is wrong.
    pub fn check(&self) -> Result<(), RulesError> {
        for (name, list) in [("whitelist", &self.whitelist), ("blacklist", &self.blacklist)] {
            if list.len() > MAX_SENDERS {
                return Err(RulesFault::Senders.at(format!("/{name}")));
            }
        }
        if self.rules.len() > MAX_RULES {
            return Err(RulesFault::Rules.at("/rules"));
        }
        let mut names = BTreeSet::new();
        let (mut words, mut text_words) = (0, 0);
        for (number, rule) in self.rules.iter().enumerate() {
            let at = format!("/rules/{number}");
            if !is_text(&rule.name, MAX_RULE_NAME) {
                return Err(RulesFault::Name.at(format!("{at}/name")));
            }
            if !names.insert(fold(rule.name.trim()).into_owned()) {
                return Err(RulesFault::NameTaken.at(format!("{at}/name")));
            }
            check_rule(rule, &at)?;
            words += rule
                .conditions
                .iter()
                .filter_map(Condition::words)
                .map(|words| words.words.len())
                .sum::<usize>();
            if words > MAX_ALL_WORDS {
                return Err(RulesFault::AllWords.at(at));
            }
            let about_text = rule.conditions.iter().filter(|condition| condition.asks_for_text());
            text_words +=
                about_text.filter_map(Condition::words).map(|words| words.words.len()).sum::<usize>();
            if text_words > MAX_TEXT_WORDS {
                return Err(RulesFault::TextWords.at(at));
            }
        }
        if let Some(automatic) = &self.automatic {
            automatic.check()?;
        }
        let mut targets = BTreeSet::new();
        for (at, to) in self.forwards() {
            targets.insert(to);
            if targets.len() > MAX_ALL_TARGETS {
                return Err(RulesFault::AllTargets.at(at));
            }
        }
        if codec::encode(self).len() > MAX_RULES_BYTES {
            return Err(RulesFault::Bytes.at(""));
        }
        Ok(())
    }
}

fn check_rule(rule: &Rule, at: &str) -> Result<(), RulesError> {
    if !(1..=MAX_CONDITIONS).contains(&rule.conditions.len()) {
        return Err(RulesFault::Conditions.at(format!("{at}/conditions")));
    }
    for (number, condition) in rule.conditions.iter().enumerate() {
        check_condition(condition, &format!("{at}/conditions/{number}"))?;
    }
    let least = usize::from(!rule.stop);
    if !(least..=MAX_RULE_ACTIONS).contains(&rule.actions.len()) {
        return Err(RulesFault::Actions.at(format!("{at}/actions")));
    }
    for (number, action) in rule.actions.iter().enumerate() {
        let at = format!("{at}/actions/{number}");
        if rule.moment == Moment::Send && matches!(action, RuleAction::Reply(_)) {
            return Err(RulesFault::OnSending.at(at));
        }
        match action {
            RuleAction::Reply(text) => automatic::check_reply(text, &format!("{at}/reply"))?,
            RuleAction::Forward(to) => automatic::check_targets(to, &format!("{at}/forward"))?,
            RuleAction::Refuse(_) if rule.moment == Moment::Send || rule.actions.len() > 1 => {
                return Err(RulesFault::Refusing.at(at));
            }
            RuleAction::Refuse(text) => {
                let is_good =
                    text.chars().count() <= MAX_REFUSAL && !text.chars().any(|c| c.is_control() && c != '\n');
                if !is_good {
                    return Err(RulesFault::Refusal.at(format!("{at}/refuse")));
                }
            }
            _ => {}
        }
    }
    if rule.actions.iter().filter(|action| RuleAction::is_place(action)).count() > 1 {
        return Err(RulesFault::TwoPlaces.at(format!("{at}/actions")));
    }
    Ok(())
}

fn check_condition(condition: &Condition, at: &str) -> Result<(), RulesError> {
    let in_order = |first: Option<i128>, then: Option<i128>| match (first, then) {
        (Some(first), Some(then)) => first < then,
        (first, then) => first.or(then).is_some(),
    };
    match condition {
        Condition::Sender(words) => check_words(words, &format!("{at}/sender")),
        Condition::Recipient(words) => check_words(words, &format!("{at}/recipient")),
        Condition::Subject(words) => check_words(words, &format!("{at}/subject")),
        Condition::FullText(words) => check_words(words, &format!("{at}/full-text")),
        Condition::SenderDomain(words) => {
            check_words(words, &format!("{at}/sender-domain"))?;
            for (number, word) in words.words.iter().enumerate() {
                if let Err(error) = DomainName::parse(word.trim().trim_start_matches('@')) {
                    return Err(RulesFault::Domain(error).at(format!("{at}/sender-domain/words/{number}")));
                }
            }
            Ok(())
        }
        Condition::OnlyToMe | Condition::ToMe => Ok(()),
        Condition::Size { least, below } => {
            let is_good = in_order(least.map(i128::from), below.map(i128::from)) && *below != Some(0);
            if is_good { Ok(()) } else { Err(RulesFault::Size.at(format!("{at}/size"))) }
        }
        Condition::Time { from, until } => {
            let is_good = in_order(from.map(|time| time.0.into()), until.map(|time| time.0.into()));
            if is_good { Ok(()) } else { Err(RulesFault::Time.at(format!("{at}/time"))) }
        }
        Condition::Hours { from, until, zone } => {
            if from == until || *from >= TimeOfDay::DAY || *until >= TimeOfDay::DAY {
                return Err(RulesFault::Hours.at(format!("{at}/hours")));
            }
            match apply::zone_named(zone) {
                Some(_) => Ok(()),
                None => Err(RulesFault::Zone.at(format!("{at}/hours/zone"))),
            }
        }
    }
}

fn check_words(words: &Words, at: &str) -> Result<(), RulesError> {
    if !(1..=MAX_RULE_WORDS).contains(&words.words.len()) {
        return Err(RulesFault::Words.at(format!("{at}/words")));
    }
    match words.words.iter().position(|word| !is_text(word, MAX_RULE_WORD)) {
        Some(number) => Err(RulesFault::Word.at(format!("{at}/words/{number}"))),
        None => Ok(()),
    }
}
