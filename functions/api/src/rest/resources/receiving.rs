//! What a member says of the letters that he receives: lists of senders, and rules; and what these would do.

use pennypost_admin::{Action, AdminError, SeenRules, Tried};
use pennypost_directory::rules::{
    Condition, Folder, Join, MAX_FORWARD_TARGETS, MAX_SENDERS, Moment, Rule, RuleAction, RulesError,
    RulesFault, TimeOfDay, Words,
};
use pennypost_directory::{DirectoryError, MailAddress, MemberRules, SenderPattern};
use pennypost_model::{Keyword, MailboxId, SystemFlags, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::rest::operation::{Good, Method, Operation, shape};
use crate::rest::problem::details::rules_error;
use crate::rest::problem::{Kind, Refusal};
use crate::rest::reply::Reply;

/// What a member says of the letters that he receives. Holds from the next letters on, within some seconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "MemberRules")]
pub struct RulesDocument {
    /// Addresses and domains whose letters are not taken for spam, whatever else speaks for it: 100 at most. The lists of the
    /// organisation go before.
    #[serde(default)]
    whitelist: Vec<String>,
    /// Addresses and domains whose letters go to Junk, unless the whitelist names them, too: 100 at most. A domain means those
    /// below it, too.
    #[serde(default)]
    blacklist: Vec<String>,
    /// Rules, 100 at most, with 1,000 words at most in all. They are asked from the first to the last about letters that would
    /// go to the Inbox.
    #[serde(default)]
    rules: Vec<RuleDocument>,
    /// What was said before is damaged, and can't be shown: letters go without it, until something else is said. Only told.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    unreadable: bool,
}

/// A rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "MemberRule")]
pub struct RuleDocument {
    /// What it is called: 1 to 60 characters, as no other rule of the member.
    name: String,
    /// It is asked.
    #[serde(default = "yes")]
    enabled: bool,
    /// When it is asked.
    #[serde(default)]
    moment: MomentDocument,
    /// Whether one of the conditions is enough, or it takes all.
    #[serde(default = "all", rename = "match")]
    join: JoinDocument,
    /// Conditions: 1 to 20.
    conditions: Vec<ConditionDocument>,
    /// What is done: 10 at most. Of several rules that say where a letter goes the first holds; labels come together, 20 at
    /// most.
    #[serde(default)]
    actions: Vec<ActionDocument>,
    /// The rules below are not asked for the same letter.
    #[serde(default)]
    stop: bool,
}

/// When a rule is asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "RuleMoment")]
enum MomentDocument {
    /// When a letter comes in.
    #[default]
    Receive,
    /// When the member has sent a letter: about his copy in Sent, which is moved, deleted, labelled or marked.
    Send,
}

/// Whether one is enough, or it takes all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "RuleMatch")]
enum JoinDocument {
    /// One is enough.
    Any,
    /// It takes all.
    All,
}

/// Words that are looked for anywhere in a text, whatever their case.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "RuleWords")]
struct WordsDocument {
    /// 1 to 50, of 1 to 100 characters each.
    words: Vec<String>,
    /// Whether one of them is enough, or it takes all.
    #[serde(default = "any", rename = "match")]
    join: JoinDocument,
}

/// Bytes of a letter: one of both at least.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(rename = "RuleSize")]
struct SizeDocument {
    /// So many, or more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    at_least: Option<u64>,
    /// Fewer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    below: Option<u64>,
}

/// When a letter was accepted: one of both at least.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "RuleTime")]
struct TimeDocument {
    /// Then or later, in UTC (RFC 3339, with `Z` at its end).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    from: Option<String>,
    /// Before that, in UTC likewise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    until: Option<String>,
}

/// At which time of the day a letter was accepted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "RuleHours")]
struct HoursDocument {
    /// `HH:MM`: then or later.
    from: String,
    /// `HH:MM`: before that. If that is earlier than `from`, midnight lies between.
    until: String,
    /// Where: a time zone of the IANA, such as `Asia/Shanghai`.
    zone: String,
}

/// What is asked of a letter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "RuleCondition")]
enum ConditionDocument {
    /// Name or address of an author has the words in it.
    Sender(WordsDocument),
    /// Name or address of somebody in To or Cc has the words in it.
    Recipient(WordsDocument),
    /// An author's address is in one of these domains, or in one below.
    SenderDomain(WordsDocument),
    /// To and Cc name the member and nobody else.
    OnlyToMe,
    /// To or Cc names the member.
    ToMe,
    /// The subject has the words in it.
    Subject(WordsDocument),
    /// Its size.
    Size(SizeDocument),
    /// When it was accepted.
    Time(TimeDocument),
    /// At which time of the day it was accepted.
    Hours(HoursDocument),
    /// The subject, the text, or names of attached files have the words in them. Of a text the first 256 KB count; HTML is looked at as text. All
    /// such conditions have 100 words at most.
    FullText(WordsDocument),
}

/// A folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "RuleFolder")]
struct MoveDocument {
    /// Its full name, with `/` between levels. It may be renamed: the rule follows.
    folder: String,
    /// It is gone: what would go there comes to the Inbox. Only told.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    gone: bool,
}

/// What is done with a letter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "RuleAction")]
enum ActionDocument {
    /// Into a folder.
    Move(MoveDocument),
    /// Into Trash.
    Delete,
    /// With that keyword of IMAP.
    Label(String),
    /// It counts as read.
    MarkRead,
    /// With a flag.
    Flag,
    /// Forwarded to these addresses: 1 to 3, no groups of the organisation. One elsewhere gets nothing before its owner has agreed
    /// (`forward-targets`), and nobody does unless the organisation lets the member forward. On sending: they get a copy.
    Forward(Vec<String>),
    /// Answered with that, 1 to 400 characters: each sender once in seven days at most. Not on sending.
    Reply(String),
    /// Refused, and nothing else: it goes into no folder, and its sender is told that with this text, up to 200 characters, perhaps none. That holds
    /// for colleagues, and for others who have certainly sent it; other letters go to Trash. Not on sending.
    Refuse(String),
}

const fn yes() -> bool {
    true
}

const fn any() -> JoinDocument {
    JoinDocument::Any
}

const fn all() -> JoinDocument {
    JoinDocument::All
}

impl From<JoinDocument> for Join {
    fn from(join: JoinDocument) -> Join {
        match join {
            JoinDocument::Any => Join::Any,
            JoinDocument::All => Join::All,
        }
    }
}

impl From<Join> for JoinDocument {
    fn from(join: Join) -> JoinDocument {
        match join {
            Join::Any => JoinDocument::Any,
            Join::All => JoinDocument::All,
        }
    }
}

impl From<WordsDocument> for Words {
    fn from(words: WordsDocument) -> Words {
        Words { join: words.join.into(), words: words.words }
    }
}

impl From<&Words> for WordsDocument {
    fn from(words: &Words) -> WordsDocument {
        WordsDocument { words: words.words.clone(), join: words.join.into() }
    }
}

impl From<&SeenRules> for RulesDocument {
    fn from(seen: &SeenRules) -> RulesDocument {
        let senders = |list: &[SenderPattern]| list.iter().map(ToString::to_string).collect();
        RulesDocument {
            whitelist: senders(&seen.rules.whitelist),
            blacklist: senders(&seen.rules.blacklist),
            rules: seen.rules.rules.iter().map(|rule| show_rule(rule, &seen.gone)).collect(),
            unreadable: seen.unreadable,
        }
    }
}

fn show_rule(rule: &Rule, gone: &[MailboxId]) -> RuleDocument {
    RuleDocument {
        name: rule.name.clone(),
        enabled: rule.enabled,
        moment: match rule.moment {
            Moment::Receive => MomentDocument::Receive,
            Moment::Send => MomentDocument::Send,
        },
        join: rule.join.into(),
        conditions: rule.conditions.iter().map(show_condition).collect(),
        actions: rule.actions.iter().map(|action| show_action(action, gone)).collect(),
        stop: rule.stop,
    }
}

fn show_condition(condition: &Condition) -> ConditionDocument {
    match condition {
        Condition::Sender(words) => ConditionDocument::Sender(words.into()),
        Condition::Recipient(words) => ConditionDocument::Recipient(words.into()),
        Condition::SenderDomain(words) => ConditionDocument::SenderDomain(words.into()),
        Condition::OnlyToMe => ConditionDocument::OnlyToMe,
        Condition::ToMe => ConditionDocument::ToMe,
        Condition::Subject(words) => ConditionDocument::Subject(words.into()),
        Condition::FullText(words) => ConditionDocument::FullText(words.into()),
        Condition::Size { least, below } => {
            ConditionDocument::Size(SizeDocument { at_least: *least, below: *below })
        }
        Condition::Time { from, until } => ConditionDocument::Time(TimeDocument {
            from: from.map(Timestamp::rfc3339),
            until: until.map(Timestamp::rfc3339),
        }),
        Condition::Hours { from, until, zone } => ConditionDocument::Hours(HoursDocument {
            from: TimeOfDay(*from).to_string(),
            until: TimeOfDay(*until).to_string(),
            zone: zone.clone(),
        }),
    }
}

fn show_action(action: &RuleAction, gone: &[MailboxId]) -> ActionDocument {
    match action {
        RuleAction::Move(folder) => ActionDocument::Move(MoveDocument {
            folder: folder.name.clone(),
            gone: gone.contains(&folder.id),
        }),
        RuleAction::Delete => ActionDocument::Delete,
        RuleAction::Label(label) => ActionDocument::Label(label.as_str().to_owned()),
        RuleAction::MarkRead => ActionDocument::MarkRead,
        RuleAction::Flag => ActionDocument::Flag,
        RuleAction::Forward(to) => ActionDocument::Forward(to.iter().map(ToString::to_string).collect()),
        RuleAction::Reply(text) => ActionDocument::Reply(text.clone()),
        RuleAction::Refuse(text) => ActionDocument::Refuse(text.clone()),
    }
}

impl RulesDocument {
    /// The rules that are meant; folders by their names alone.
    ///
    /// # Errors
    /// What can't be, and where.
    pub fn meant(self) -> Result<MemberRules, RulesError> {
        let senders = |name: &str, list: Vec<String>| -> Result<Vec<SenderPattern>, RulesError> {
            let too_many = || RulesFault::Senders.at(format!("/{name}"));
            // Some may stand there twice.
            if list.len() > 10 * MAX_SENDERS {
                return Err(too_many());
            }
            let mut senders: Vec<SenderPattern> = Vec::with_capacity(list.len().min(MAX_SENDERS));
            for (number, text) in list.iter().enumerate() {
                let sender = SenderPattern::parse(text)
                    .map_err(|error| RulesFault::Sender(error).at(format!("/{name}/{number}")))?;
                if senders.contains(&sender) {
                    continue;
                }
                if senders.len() == MAX_SENDERS {
                    return Err(too_many());
                }
                senders.push(sender);
            }
            Ok(senders)
        };
        let rules = self.rules.into_iter().enumerate();
        let rules = rules.map(|(number, rule)| rule.meant_at(&format!("/rules/{number}")));
        let rules = MemberRules {
            whitelist: senders("whitelist", self.whitelist)?,
            blacklist: senders("blacklist", self.blacklist)?,
            rules: rules.collect::<Result<_, RulesError>>()?,
            // That is said apart.
            automatic: None,
        };
        rules.check()?;
        Ok(rules)
    }
}

impl RuleDocument {
    /// The rule that is meant, which stands there.
    ///
    /// # Errors
    /// What can't be, and where.
    pub fn meant_at(self, at: &str) -> Result<Rule, RulesError> {
        let conditions = self.conditions.into_iter().enumerate();
        let conditions = conditions
            .map(|(number, condition)| meant_condition(condition, &format!("{at}/conditions/{number}")));
        let actions = self.actions.into_iter().enumerate();
        let actions = actions.map(|(number, action)| meant_action(action, &format!("{at}/actions/{number}")));
        Ok(Rule {
            name: self.name.trim().to_owned(),
            enabled: self.enabled,
            moment: match self.moment {
                MomentDocument::Receive => Moment::Receive,
                MomentDocument::Send => Moment::Send,
            },
            join: self.join.into(),
            conditions: conditions.collect::<Result<_, RulesError>>()?,
            actions: actions.collect::<Result<_, RulesError>>()?,
            stop: self.stop,
        })
    }
}

fn meant_condition(condition: ConditionDocument, at: &str) -> Result<Condition, RulesError> {
    Ok(match condition {
        ConditionDocument::Sender(words) => Condition::Sender(words.into()),
        ConditionDocument::Recipient(words) => Condition::Recipient(words.into()),
        ConditionDocument::SenderDomain(words) => Condition::SenderDomain(words.into()),
        ConditionDocument::OnlyToMe => Condition::OnlyToMe,
        ConditionDocument::ToMe => Condition::ToMe,
        ConditionDocument::Subject(words) => Condition::Subject(words.into()),
        ConditionDocument::FullText(words) => Condition::FullText(words.into()),
        ConditionDocument::Size(size) => Condition::Size { least: size.at_least, below: size.below },
        ConditionDocument::Time(time) => {
            let read = |text: Option<String>, name: &str| {
                let wrong = || RulesFault::Time.at(format!("{at}/time/{name}"));
                text.map(|text| Timestamp::from_rfc3339(&text).ok_or_else(wrong)).transpose()
            };
            Condition::Time { from: read(time.from, "from")?, until: read(time.until, "until")? }
        }
        ConditionDocument::Hours(hours) => {
            let read = |text: &str, name: &str| {
                let wrong = || RulesFault::Hours.at(format!("{at}/hours/{name}"));
                TimeOfDay::parse(text).map(|time| time.0).ok_or_else(wrong)
            };
            let (from, until) = (read(&hours.from, "from")?, read(&hours.until, "until")?);
            Condition::Hours { from, until, zone: hours.zone }
        }
    })
}

fn meant_action(action: ActionDocument, at: &str) -> Result<RuleAction, RulesError> {
    Ok(match action {
        // Its id is found by its name.
        ActionDocument::Move(folder) => {
            RuleAction::Move(Folder { id: MailboxId::INBOX, name: folder.folder })
        }
        ActionDocument::Delete => RuleAction::Delete,
        ActionDocument::Label(label) => {
            let wrong = || RulesFault::Label.at(format!("{at}/label"));
            let keyword = Keyword::parse(&label).filter(|_| SystemFlags::named(&label).is_none());
            RuleAction::Label(keyword.ok_or_else(wrong)?)
        }
        ActionDocument::MarkRead => RuleAction::MarkRead,
        ActionDocument::Flag => RuleAction::Flag,
        ActionDocument::Forward(to) => RuleAction::Forward(targets(&to, &format!("{at}/forward"))?),
        ActionDocument::Reply(text) => RuleAction::Reply(one_line_ends(&text)),
        ActionDocument::Refuse(text) => RuleAction::Refuse(one_line_ends(&text)),
    })
}

/// Addresses to which letters are forwarded, which stand there.
pub(super) fn targets(to: &[String], at: &str) -> Result<Vec<MailAddress>, RulesError> {
    // More than there may be are counted where they are checked.
    let targets = to.iter().take(MAX_FORWARD_TARGETS + 1).enumerate();
    let target = |(number, to): (usize, &String)| {
        MailAddress::parse(to).map_err(|error| RulesFault::Target(error).at(format!("{at}/{number}")))
    };
    targets.map(target).collect()
}

/// A text of several lines, as it is kept.
pub(super) fn one_line_ends(text: &str) -> String {
    text.replace("\r\n", "\n").trim().to_owned()
}

/// Rules to be tried.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "RulesToTry")]
struct Trial {
    /// What is tried; null: what the member has said.
    #[serde(default)]
    rules: Option<RulesDocument>,
}

/// What rules would do to a letter.
#[derive(Serialize, JsonSchema)]
struct TriedLetter {
    /// The folder in which it lies now.
    mailbox: String,
    /// Its number there.
    uid: u32,
    /// When it came.
    time: String,
    /// Bytes.
    size: u64,
    /// Its first author's address.
    from: String,
    /// Its subject, perhaps cut.
    subject: String,
    /// Which list of the member names its author: `whitelist` or `blacklist`; null: none.
    list: Option<String>,
    /// The rules whose conditions hold, by their names.
    rules: Vec<String>,
    /// Where it would go; null: to the Inbox.
    folder: Option<String>,
    /// Labels that it would get.
    labels: Vec<String>,
    /// It would count as read.
    read: bool,
    /// It would be flagged.
    flagged: bool,
    /// It would be refused, if its sender has certainly sent it; otherwise go to Trash.
    refused: bool,
    /// Only some of its recipients, a part of its subject, or not its text where a rule asks for that, were looked at, or it names none of the member's own addresses
    /// where a rule asks for them: what comes in is looked at as a whole, with the address to which it came.
    partly: bool,
}

/// What rules would do to the last letters.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "RulesTrial")]
struct TrialResult {
    /// The newest letters that came, 100 at most, wherever they lie now but in Sent, Drafts, Junk and the folder of the
    /// catch-all; the newest first. What the organisation's lists and the spam filter would say is not told.
    letters: Vec<TriedLetter>,
}

fn show_tried(tried: Tried) -> TriedLetter {
    let letter = tried.letter;
    TriedLetter {
        mailbox: letter.mailbox,
        uid: letter.uid.0,
        time: letter.time.rfc3339(),
        size: letter.size,
        from: letter.card.from.address,
        subject: letter.card.subject,
        list: tried.list.map(str::to_owned),
        rules: tried.fired,
        folder: tried.folder,
        labels: tried.labels,
        read: tried.read,
        flagged: tried.flagged,
        refused: tried.refused,
        partly: tried.partly,
    }
}

fn meant(document: RulesDocument, above: &str) -> Result<MemberRules, Refusal> {
    document.meant().map_err(|error| refusal(error, above))
}

/// What is wrong with rules that stand below `above` in the body.
fn refusal(RulesError { at, fault }: RulesError, above: &str) -> Refusal {
    rules_error(&fault.at(format!("{above}{at}")))
}

/// The same of what is found when they are asked.
pub(super) fn refused(error: AdminError, above: &str) -> Refusal {
    match error {
        AdminError::Directory(DirectoryError::MemberRules(error)) => refusal(error, above),
        other => other.into(),
    }
}

pub(super) const OPERATIONS: &[Operation] = &[
    Operation::new(
        (Method::Get, "/tenants/{tenant}/accounts/{account}/rules", "read-member-rules"),
        Action::RulesRead,
        "What a member says of the letters that he receives: lists of senders, and rules",
        Good::one(shape::<RulesDocument>),
        |ask| {
            Box::pin(async move {
                let seen = ask.administration.member_rules(&ask.call, ask.account()?).await?;
                Ok(Reply::tagged(&RulesDocument::from(&seen)))
            })
        },
    ),
    Operation::new(
        (Method::Put, "/tenants/{tenant}/accounts/{account}/rules", "change-member-rules"),
        Action::RulesChange,
        "Say something else of the letters that a member receives: what is left out is said no more",
        Good::one(shape::<RulesDocument>),
        |ask| {
            Box::pin(async move {
                let (key, document): (_, RulesDocument) = (ask.account()?, ask.body()?);
                let rules = meant(document, "")?;
                let seen = ask.administration.member_rules(&ask.call, key).await?;
                ask.must_match(&RulesDocument::from(&seen))?;
                let seen = ask.administration.change_member_rules(&ask.call, key, &seen, rules).await?;
                Ok(Reply::tagged(&RulesDocument::from(&seen)))
            })
        },
    )
    .with(shape::<RulesDocument>)
    .update()
    .refusing(&[Kind::Invalid, Kind::Unknown]),
    Operation::new(
        (Method::Post, "/tenants/{tenant}/accounts/{account}/rules/trial", "try-member-rules"),
        Action::RulesTry,
        "What rules would do to one's own last letters, if these came now as they came then: changes nothing",
        Good::told(shape::<TrialResult>),
        |ask| {
            Box::pin(async move {
                let (key, trial): (_, Trial) = (ask.account()?, ask.body()?);
                let rules = trial.rules.map(|document| meant(document, "/rules")).transpose()?;
                let limit = pennypost_admin::MAX_TRIED;
                let tried = ask.administration.try_member_rules(&ask.call, key, rules, limit).await;
                let tried = tried.map_err(|error| refused(error, "/rules"))?;
                Ok(Reply::document(&TrialResult { letters: tried.into_iter().map(show_tried).collect() }))
            })
        },
    )
    .with(shape::<Trial>)
    .refusing(&[Kind::Invalid, Kind::Unknown]),
];
