//! Rules about what stands in members' letters: which of them go.

use std::collections::BTreeSet;

use pennypost_admin::{Action, TriedContents, TriedRule, content_condition};
use pennypost_directory::content::{
    ContentAction, ContentCondition, ContentFault, ContentPlace, ContentProblem, ContentRule, ContentVerdict,
    Detector,
};
use pennypost_directory::rules::{Join, Words};
use pennypost_directory::{ContentRuleOf, ContentRules, ContentWhom, DepartmentId, SendingTarget, TagId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::sending::{Target, show_target};
use crate::rest::ask::id_in;
use crate::rest::operation::{Good, Method, Operation, shape};
use crate::rest::problem::details::content_refused;
use crate::rest::problem::{Kind, Refusal};
use crate::rest::reply::Reply;

/// What an organisation says of what stands in its members' letters. It holds for letters that are handed in within half a minute.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "ContentRules")]
pub struct ContentRulesDocument {
    /// The rules, 50 at most, with 500 words and 20 patterns at most in all. Of those that hold for a letter the first that refuses it
    /// wins, whatever the others say.
    rules: Vec<RuleDocument>,
}

/// A rule.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "ContentRule")]
struct RuleDocument {
    /// What it is called: 1 to 60 characters, as no other one. It stands in traces.
    name: String,
    /// It is asked.
    #[serde(default = "yes")]
    enabled: bool,
    /// Whose letters it is about; null: everybody's.
    #[serde(default)]
    whom: Option<Vec<Target>>,
    /// Whose letters it is not about, whoever else is named.
    #[serde(default)]
    except: Vec<Target>,
    /// About which letters.
    #[serde(default)]
    letters: LettersDocument,
    /// Whether one of the conditions is enough, or it takes all.
    #[serde(default, rename = "match")]
    join: JoinDocument,
    /// Conditions: 1 to 20.
    conditions: Vec<ConditionDocument>,
    /// What is done.
    action: ActionDocument,
}

/// About which letters a rule is.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "ContentLetters")]
enum LettersDocument {
    /// About those that go to others.
    #[default]
    Outside,
    /// About all.
    All,
}

/// Whether one is enough, or it takes all.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "ContentMatch")]
enum JoinDocument {
    /// One is enough.
    Any,
    /// It takes all of them.
    #[default]
    All,
}

/// What a rule asks.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "ContentCondition")]
enum ConditionDocument {
    /// Words stand in it.
    Words(WordsDocument),
    /// Numbers or addresses stand in it.
    Found(FoundDocument),
    /// Texts as a pattern says stand in it.
    Pattern(PatternDocument),
    /// Something attached has one of these endings without their dots (`xlsx`), or types (`application/pdf`, `image/*`): 1 to 50.
    Attachment(Vec<String>),
    /// It is as large as that.
    Size(SizeDocument),
    /// It goes to so many recipients outside.
    Outside(CountDocument),
    /// It is encrypted, or something attached is, as far as that is easily told.
    Encrypted,
    /// Something in it was not looked into: an attachment that is neither text nor a document of Office (docx, xlsx, pptx), nor picture, sound
    /// or film; the rest of one that is damaged; more than 1 MB of text.
    Unread,
}

/// Words that are looked for anywhere in a text, whatever their case.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "ContentWords")]
struct WordsDocument {
    /// Where.
    #[serde(default, rename = "in")]
    place: PlaceDocument,
    /// 1 to 50, of 1 to 100 characters each.
    words: Vec<String>,
    /// Whether one of them is enough, or it takes all.
    #[serde(default = "any", rename = "match")]
    join: JoinDocument,
}

/// Where words are looked for.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "ContentPlace")]
enum PlaceDocument {
    /// In the subject.
    Subject,
    /// In the text, and in that of attachments.
    Text,
    /// In the names of attachments.
    Names,
    /// In any of these.
    #[default]
    Anywhere,
}

/// What is looked for by its form and its check digits.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "ContentFound")]
struct FoundDocument {
    /// What.
    what: DetectorDocument,
    /// So many different ones at least: 1 to 1,000.
    #[serde(default = "one")]
    least: u32,
}

/// What can be looked for.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "ContentDetector")]
enum DetectorDocument {
    /// Numbers of Chinese identity cards.
    IdentityCard,
    /// Numbers of bank cards.
    BankCard,
    /// Chinese mobile numbers.
    Mobile,
    /// Accounts by IBAN.
    Iban,
    /// Mail addresses.
    MailAddress,
}

/// A pattern.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "ContentPattern")]
struct PatternDocument {
    /// A regular expression of 1 to 200 characters, without looking around and back references; whatever the case of letters. It holds
    /// within a line, of at most 1,024 bytes at once. `\d` and `\w` are the digits and letters of all scripts, and take much of its room.
    pattern: String,
    /// So many different texts at least: 1 to 1,000.
    #[serde(default = "one")]
    least: u32,
}

/// A number of bytes.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "ContentSize")]
struct SizeDocument {
    /// So many at least.
    least: u64,
}

/// A number of recipients.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "ContentRecipients")]
struct CountDocument {
    /// So many at least: 1 to 1,000.
    least: u32,
}

/// What is done with a letter.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "ContentAction")]
enum ActionDocument {
    /// It goes, and its trace names the rule.
    Note,
    /// It does not go, to nobody; a letter for later, or of a mailing, comes back.
    Refuse(RefuseDocument),
}

/// What a writer is told.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "ContentRefusal")]
struct RefuseDocument {
    /// On one line of 400 bytes at most. Programs that know no UTF-8 in replies get a sentence in English, unless this is ASCII.
    text: String,
}

const fn yes() -> bool {
    true
}

const fn one() -> u32 {
    1
}

const fn any() -> JoinDocument {
    JoinDocument::Any
}

impl From<Join> for JoinDocument {
    fn from(join: Join) -> JoinDocument {
        match join {
            Join::Any => JoinDocument::Any,
            Join::All => JoinDocument::All,
        }
    }
}

impl From<JoinDocument> for Join {
    fn from(join: JoinDocument) -> Join {
        match join {
            JoinDocument::Any => Join::Any,
            JoinDocument::All => Join::All,
        }
    }
}

impl From<Detector> for DetectorDocument {
    fn from(what: Detector) -> DetectorDocument {
        match what {
            Detector::IdentityCard => DetectorDocument::IdentityCard,
            Detector::BankCard => DetectorDocument::BankCard,
            Detector::Mobile => DetectorDocument::Mobile,
            Detector::Iban => DetectorDocument::Iban,
            Detector::MailAddress => DetectorDocument::MailAddress,
        }
    }
}

impl From<DetectorDocument> for Detector {
    fn from(what: DetectorDocument) -> Detector {
        match what {
            DetectorDocument::IdentityCard => Detector::IdentityCard,
            DetectorDocument::BankCard => Detector::BankCard,
            DetectorDocument::Mobile => Detector::Mobile,
            DetectorDocument::Iban => Detector::Iban,
            DetectorDocument::MailAddress => Detector::MailAddress,
        }
    }
}

impl From<ContentPlace> for PlaceDocument {
    fn from(place: ContentPlace) -> PlaceDocument {
        match place {
            ContentPlace::Subject => PlaceDocument::Subject,
            ContentPlace::Text => PlaceDocument::Text,
            ContentPlace::Names => PlaceDocument::Names,
            ContentPlace::Anywhere => PlaceDocument::Anywhere,
        }
    }
}

impl From<PlaceDocument> for ContentPlace {
    fn from(place: PlaceDocument) -> ContentPlace {
        match place {
            PlaceDocument::Subject => ContentPlace::Subject,
            PlaceDocument::Text => ContentPlace::Text,
            PlaceDocument::Names => ContentPlace::Names,
            PlaceDocument::Anywhere => ContentPlace::Anywhere,
        }
    }
}

impl From<&ContentCondition> for ConditionDocument {
    fn from(condition: &ContentCondition) -> ConditionDocument {
        match condition {
            ContentCondition::Words(place, Words { join, words }) => {
                ConditionDocument::Words(WordsDocument {
                    place: (*place).into(),
                    words: words.clone(),
                    join: (*join).into(),
                })
            }
            ContentCondition::Detected { what, least } => {
                ConditionDocument::Found(FoundDocument { what: (*what).into(), least: *least })
            }
            ContentCondition::Pattern { pattern, least } => {
                ConditionDocument::Pattern(PatternDocument { pattern: pattern.clone(), least: *least })
            }
            ContentCondition::Attachment(endings) => ConditionDocument::Attachment(endings.clone()),
            ContentCondition::Size(least) => ConditionDocument::Size(SizeDocument { least: *least }),
            ContentCondition::Outside(least) => ConditionDocument::Outside(CountDocument { least: *least }),
            ContentCondition::Encrypted => ConditionDocument::Encrypted,
            ContentCondition::Unread => ConditionDocument::Unread,
        }
    }
}

impl From<ConditionDocument> for ContentCondition {
    fn from(condition: ConditionDocument) -> ContentCondition {
        match condition {
            ConditionDocument::Words(WordsDocument { place, words, join }) => {
                ContentCondition::Words(place.into(), Words { join: join.into(), words })
            }
            ConditionDocument::Found(FoundDocument { what, least }) => {
                ContentCondition::Detected { what: what.into(), least }
            }
            ConditionDocument::Pattern(PatternDocument { pattern, least }) => {
                ContentCondition::Pattern { pattern, least }
            }
            ConditionDocument::Attachment(endings) => ContentCondition::Attachment(endings),
            ConditionDocument::Size(SizeDocument { least }) => ContentCondition::Size(least),
            ConditionDocument::Outside(CountDocument { least }) => ContentCondition::Outside(least),
            ConditionDocument::Encrypted => ContentCondition::Encrypted,
            ConditionDocument::Unread => ContentCondition::Unread,
        }
    }
}

impl From<&ContentRules> for ContentRulesDocument {
    fn from(rules: &ContentRules) -> ContentRulesDocument {
        let targets = |targets: &BTreeSet<SendingTarget>| targets.iter().copied().map(show_target).collect();
        let shown = rules.rules.iter().map(|ContentRuleOf { whom, rule }| RuleDocument {
            name: rule.name.clone(),
            enabled: rule.enabled,
            whom: (!whom.everybody).then(|| targets(&whom.named)),
            except: targets(&whom.except),
            letters: if rule.is_outside_only { LettersDocument::Outside } else { LettersDocument::All },
            join: rule.join.into(),
            conditions: rule.conditions.iter().map(ConditionDocument::from).collect(),
            action: match &rule.action {
                ContentAction::Note => ActionDocument::Note,
                ContentAction::Refuse(text) => ActionDocument::Refuse(RefuseDocument { text: text.clone() }),
            },
        });
        ContentRulesDocument { rules: shown.collect() }
    }
}

impl ContentRulesDocument {
    /// What it says.
    ///
    /// # Errors
    /// The place of an id that is none: [`ContentFault::Nobody`].
    pub fn meant(self) -> Result<ContentRules, ContentProblem> {
        let rules = self.rules.into_iter().enumerate().map(
            |(number, rule)| -> Result<ContentRuleOf, ContentProblem> {
                let targets =
                    |targets: &[Target], list: &str| -> Result<BTreeSet<SendingTarget>, ContentProblem> {
                        let meant = targets.iter().enumerate().map(|(target_number, target)| {
                            target_meant(target).ok_or_else(|| ContentProblem {
                                pointer: format!("/rules/{number}/{list}/{target_number}"),
                                fault: ContentFault::Nobody,
                            })
                        });
                        meant.collect()
                    };
                let whom = ContentWhom {
                    everybody: rule.whom.is_none(),
                    named: targets(rule.whom.as_deref().unwrap_or_default(), "whom")?,
                    except: targets(&rule.except, "except")?,
                };
                let rule = ContentRule {
                    name: rule.name,
                    enabled: rule.enabled,
                    is_outside_only: matches!(rule.letters, LettersDocument::Outside),
                    join: rule.join.into(),
                    conditions: rule.conditions.into_iter().map(ContentCondition::from).collect(),
                    action: match rule.action {
                        ActionDocument::Note => ContentAction::Note,
                        ActionDocument::Refuse(RefuseDocument { text }) => ContentAction::Refuse(text),
                    },
                };
                Ok(ContentRuleOf { whom, rule })
            },
        );
        Ok(ContentRules { rules: rules.collect::<Result<_, _>>()? })
    }
}

fn target_meant(target: &Target) -> Option<SendingTarget> {
    Some(match target {
        Target::Department(id) => SendingTarget::Department(DepartmentId(*id)),
        Target::Tag(id) => SendingTarget::Tag(TagId(*id)),
        Target::Account(id) => SendingTarget::Account(id.parse().ok()?),
    })
}

/// A letter that is tried.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "ContentTrial")]
struct Trial {
    /// Rules; null: those that hold.
    #[serde(default)]
    rules: Option<ContentRulesDocument>,
    /// The letter: its header, an empty line, its text.
    letter: String,
    /// The id of the account that would send it: only rules about its letters are asked; null: all are that are on.
    #[serde(default)]
    account: Option<String>,
    /// To how many recipients outside it would go: 1 unless something is said.
    #[serde(default = "one")]
    outside: u32,
}

/// What rules would say of a letter.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ContentTrialResult")]
struct TrialResult {
    /// The name of the rule that would refuse it; null: it would go.
    refused: Option<String>,
    /// The names of those that would note it.
    noted: Vec<String>,
    /// It is encrypted, or something attached is.
    encrypted: bool,
    /// Something in it was not looked into.
    unread: bool,
    /// The rules that are about it.
    rules: Vec<TriedDocument>,
}

/// What a rule would say of a letter.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ContentTried")]
struct TriedDocument {
    /// Its name.
    rule: String,
    /// It holds.
    holds: bool,
    /// What became of its conditions, in their order.
    conditions: Vec<AskedDocument>,
}

/// What became of a condition.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ContentAsked")]
struct AskedDocument {
    /// What it asks: `words`, `identity-card`, `bank-card`, `mobile`, `iban`, `mail-address`, `pattern`, `attachment`, `size`, `outside`,
    /// `encrypted` or `unread`.
    condition: String,
    /// It holds.
    holds: bool,
    /// How many different ones there are, 1,000 at most; null where nothing is counted.
    found: Option<u32>,
    /// The first of them, with nearly all of it hidden.
    sample: Option<String>,
}

fn show_tried(TriedRule { rule, holds, asked }: TriedRule) -> TriedDocument {
    let conditions = rule.conditions.iter().zip(asked).map(|(condition, asked)| AskedDocument {
        condition: content_condition(condition).to_owned(),
        holds: asked.holds,
        found: asked.found,
        sample: asked.sample,
    });
    TriedDocument { conditions: conditions.collect(), rule: rule.name, holds }
}

fn show_trial(tried: TriedContents) -> TrialResult {
    let (refused, noted) = match tried.verdict {
        ContentVerdict::Goes { noted } => (None, noted),
        ContentVerdict::Refused { rule, .. } => (Some(rule), Vec::new()),
    };
    TrialResult {
        refused,
        noted,
        encrypted: tried.is_encrypted,
        unread: tried.is_unread,
        rules: tried.rules.into_iter().map(show_tried).collect(),
    }
}

fn meant(document: ContentRulesDocument, above: &str) -> Result<ContentRules, Refusal> {
    let rules = document.meant().and_then(|rules| rules.check().map(|()| rules));
    rules.map_err(|problem| content_refused(&problem, above))
}

pub(super) const OPERATIONS: &[Operation] = &[
    Operation::new(
        (Method::Get, "/tenants/{tenant}/content-rules", "read-content-rules"),
        Action::ContentRulesRead,
        "Which letters of members go by what stands in them, and which don't",
        Good::one(shape::<ContentRulesDocument>),
        |ask| {
            Box::pin(async move {
                let rules = ask.administration.content_rules(&ask.call, ask.tenant()?).await?;
                Ok(Reply::tagged(&ContentRulesDocument::from(&rules)))
            })
        },
    ),
    Operation::new(
        (Method::Put, "/tenants/{tenant}/content-rules", "change-content-rules"),
        Action::ContentRulesChange,
        "Say which letters of members go by what stands in them: it holds within half a minute",
        Good::one(shape::<ContentRulesDocument>),
        |ask| {
            Box::pin(async move {
                let (tenant, document): (_, ContentRulesDocument) = (ask.tenant()?, ask.body()?);
                let rules = meant(document, "")?;
                let seen = ask.administration.content_rules(&ask.call, tenant).await?;
                ask.must_match(&ContentRulesDocument::from(&seen))?;
                ask.administration.change_content_rules(&ask.call, tenant, &seen, &rules).await?;
                Ok(Reply::tagged(&ContentRulesDocument::from(&rules)))
            })
        },
    )
    .with(shape::<ContentRulesDocument>)
    .update()
    .refusing(&[Kind::Invalid, Kind::Unknown]),
    Operation::new(
        (Method::Post, "/tenants/{tenant}/content-rules/trial", "try-content-rules"),
        Action::ContentRulesTry,
        "What rules about contents would say of a letter: changes nothing, and shows what was found with nearly all of it hidden",
        Good::told(shape::<TrialResult>),
        |ask| {
            Box::pin(async move {
                let (tenant, trial): (_, Trial) = (ask.tenant()?, ask.body()?);
                let rules = trial.rules.map(|document| meant(document, "/rules")).transpose()?;
                let account = trial.account.map(|id| id_in(&id, "/account")).transpose()?;
                let (letter, outside) = (trial.letter.into_bytes(), usize::try_from(trial.outside).unwrap_or(usize::MAX));
                let administration = &ask.administration;
                let tried =
                    administration.try_content_rules(&ask.call, tenant, rules, account, &letter, outside).await?;
                Ok(Reply::document(&show_trial(tried)))
            })
        },
    )
    .with(shape::<Trial>)
    .refusing(&[Kind::Invalid]),
];
