//! What an organisation says of what stands in its members' letters: which of them go (decision 0059).

use std::sync::Arc;
use std::time::Duration;

use pennypost_directory::content::{
    Asked, ContentAction, ContentCondition, ContentFault, ContentFilter, ContentLetter, ContentRule,
    ContentVerdict, MAX_CONTENT_ALL_WORDS, MAX_CONTENT_CONDITIONS, MAX_CONTENT_LEAST, MAX_CONTENT_NAME,
    MAX_CONTENT_PATTERN, MAX_CONTENT_PATTERNS, MAX_CONTENT_RULES, MAX_CONTENT_TEXT, MAX_CONTENT_WORD,
    MAX_CONTENT_WORDS, PatternFault,
};
use pennypost_directory::{
    ContentError, ContentRules, DirectoryError, MAX_CONTENT_TARGETS, MAX_SENDING_TAGS, content_letter,
};
use pennypost_model::{AccountId, AccountKey, TenantId};
use pennypost_text::{Text, say};
use serde_json::{Value, json};

use crate::action::Action;
use crate::authorise::Scope;
use crate::call::{About, Call};
use crate::{AdminError, Administration, Invalid};

/// Different ones that a trial counts at most.
pub const MAX_CONTENT_TRIAL: u32 = 1_000;
/// For how long a trial waits for those of others.
const PATIENCE: Duration = Duration::from_secs(10);
/// Rules of a change that the log of operations tells; of the others, how many.
const MAX_TOLD: usize = 100;

/// What a rule would say of a letter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TriedRule {
    /// The rule.
    pub rule: ContentRule,
    /// It holds.
    pub holds: bool,
    /// What became of each of its conditions.
    pub asked: Vec<Asked>,
}

/// What rules would say of a letter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TriedContents {
    /// What becomes of it.
    pub verdict: ContentVerdict,
    /// Those that are about it, in their order.
    pub rules: Vec<TriedRule>,
    /// It, or something attached, is encrypted.
    pub is_encrypted: bool,
    /// Something in it was not looked into.
    pub is_unread: bool,
}

/// What is wrong with rules, as people read it.
#[must_use]
pub fn say_content(fault: &ContentFault, text: &Text) -> String {
    match fault {
        ContentFault::Rules => say!(text, "content-bad-rules", limit = MAX_CONTENT_RULES),
        ContentFault::Name => say!(text, "content-bad-name", limit = MAX_CONTENT_NAME),
        ContentFault::NameTaken => say!(text, "content-name-taken"),
        ContentFault::Text => say!(text, "content-bad-text", limit = MAX_CONTENT_TEXT),
        ContentFault::Conditions => say!(text, "content-bad-conditions", limit = MAX_CONTENT_CONDITIONS),
        ContentFault::Words => say!(text, "content-bad-words", limit = MAX_CONTENT_WORDS),
        ContentFault::AllWords => say!(text, "content-bad-all-words", limit = MAX_CONTENT_ALL_WORDS),
        ContentFault::Word => say!(text, "content-bad-word", limit = MAX_CONTENT_WORD),
        ContentFault::Least => say!(text, "content-bad-least", limit = MAX_CONTENT_LEAST),
        ContentFault::Patterns => say!(text, "content-bad-patterns", limit = MAX_CONTENT_PATTERNS),
        ContentFault::Pattern(PatternFault::Length) => {
            say!(text, "content-pattern-length", limit = MAX_CONTENT_PATTERN)
        }
        ContentFault::Pattern(PatternFault::TooLarge) => say!(text, "content-pattern-large"),
        ContentFault::Pattern(PatternFault::Empty) => say!(text, "content-pattern-empty"),
        ContentFault::Pattern(PatternFault::Syntax { at, cause }) => {
            say!(text, "content-pattern-syntax", at = *at, cause = cause.as_str())
        }
        ContentFault::Ending => say!(text, "content-bad-ending"),
        ContentFault::Size => say!(text, "content-bad-size"),
        ContentFault::Nobody => say!(text, "content-nobody"),
        ContentFault::Targets => {
            say!(text, "content-bad-targets", limit = MAX_CONTENT_TARGETS, tags = MAX_SENDING_TAGS)
        }
        ContentFault::TooLarge => say!(text, "content-too-large"),
    }
}

fn refused(error: ContentError) -> AdminError {
    match error {
        ContentError::Problem(problem) => AdminError::Content(problem),
        ContentError::Directory(DirectoryError::NoAccount(_)) => Invalid::NoAccount.into(),
        ContentError::Directory(error) => error.into(),
    }
}

/// The rules that one says and the other doesn't, by their names: words and patterns may be secrets themselves.
fn difference(said: &ContentRules, other: &ContentRules) -> Value {
    let fresh = said.rules.iter().filter(|rule| !other.rules.contains(rule));
    let mut told: Vec<Value> = fresh
        .map(|of| {
            let action = match of.rule.action {
                ContentAction::Note => "note",
                ContentAction::Refuse(_) => "refuse",
            };
            json!({
                "rule": of.rule.name, "enabled": of.rule.enabled, "action": action,
                "conditions": of.rule.conditions.len(), "everybody": of.whom.everybody,
                "named": of.whom.named.len(), "except": of.whom.except.len(),
            })
        })
        .collect();
    let more = told.len().saturating_sub(MAX_TOLD);
    told.truncate(MAX_TOLD);
    if more > 0 {
        told.push(json!({ "more": more }));
    }
    json!({ "rules": told, "order": said.rules.iter().map(|of| &of.rule.name).collect::<Vec<_>>() })
}

impl Administration {
    /// What an organisation says of what stands in its members' letters.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn content_rules(&self, call: &Call, tenant: TenantId) -> Result<ContentRules, AdminError> {
        call.may(Action::ContentRulesRead, &Scope::Tenant(tenant))?;
        self.stored_tenant(tenant).await?;
        Ok(self.directory.content_rules(tenant).await?)
    }

    /// Says something else, if what holds is still as `expected`. It holds for letters that are handed in within half a minute.
    ///
    /// # Errors
    /// [`AdminError::Content`], [`Invalid::NoAccount`] for an account that is not there, or others of [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn change_content_rules(
        &self,
        call: &Call,
        tenant: TenantId,
        expected: &ContentRules,
        rules: &ContentRules,
    ) -> Result<(), AdminError> {
        let about = About::new(Some(tenant), Action::ContentRulesChange, "content-rules")
            .from(difference(expected, rules))
            .to(difference(rules, expected));
        self.permit(call, &Scope::Tenant(tenant), &about).await?;
        self.stored_tenant(tenant).await?;
        self.act(call, &about, async {
            let changed = self.directory.change_content_rules(tenant, expected, rules).await;
            if changed.map_err(refused)? { Ok(()) } else { Err(AdminError::Changed) }
        })
        .await
    }

    /// What rules would say of a letter to so many recipients outside: those that hold, or these; about letters of an account, or all of
    /// them. Nothing is changed, and what was found is told with nearly all of it hidden. One after the other, beside what answers
    /// requests: all is counted in all of the letter.
    ///
    /// # Errors
    /// [`AdminError`]; [`DirectoryError::Busy`] where others try at the same time.
    #[pennypost_ports::compiled_here]
    pub async fn try_content_rules(
        &self,
        call: &Call,
        tenant: TenantId,
        rules: Option<ContentRules>,
        account: Option<AccountId>,
        letter: &[u8],
        outside: usize,
    ) -> Result<TriedContents, AdminError> {
        call.may(Action::ContentRulesTry, &Scope::Tenant(tenant))?;
        self.stored_tenant(tenant).await?;
        let rules = match rules {
            Some(rules) => {
                rules.check().map_err(AdminError::Content)?;
                rules
            }
            None => self.directory.content_rules(tenant).await?,
        };
        let rules: Vec<ContentRule> = match account {
            None => rules.rules.into_iter().map(|of| of.rule).collect(),
            Some(account) => {
                let found = self.directory.account(AccountKey { tenant, account }).await?;
                let found = found.ok_or(Invalid::NoAccount)?;
                self.directory.content_rules_among(rules, &found, None).await?
            }
        };
        let turn = tokio::time::timeout(PATIENCE, Arc::clone(&self.trying).acquire_owned()).await;
        let Ok(Ok(turn)) = turn else { return Err(DirectoryError::Busy.into()) };
        let letter = letter.to_vec();
        let trying = tokio::task::spawn_blocking(move || {
            let tried = tried(&ContentFilter::new(rules), &content_letter(&letter, outside));
            // Held to the end of the trial, also where nobody waits for it any more.
            drop(turn);
            tried
        });
        Ok(trying.await.map_err(|_| DirectoryError::Busy)?)
    }
}

/// What rules say of a letter, with all that they find in it.
fn tried(filter: &ContentFilter, letter: &ContentLetter) -> TriedContents {
    let tried = filter.tried(letter, MAX_CONTENT_TRIAL).into_iter();
    let tried = tried.map(|(rule, holds, asked)| TriedRule { rule: rule.clone(), holds, asked });
    TriedContents {
        verdict: filter.judge(letter),
        rules: tried.collect(),
        is_encrypted: letter.facts().is_encrypted,
        is_unread: letter.facts().is_unread,
    }
}

/// A condition in a word.
#[must_use]
pub fn content_condition(condition: &ContentCondition) -> &'static str {
    match condition {
        ContentCondition::Words(..) => "words",
        ContentCondition::Detected { what, .. } => what.name(),
        ContentCondition::Pattern { .. } => "pattern",
        ContentCondition::Attachment(_) => "attachment",
        ContentCondition::Size(_) => "size",
        ContentCondition::Outside(_) => "outside",
        ContentCondition::Encrypted => "encrypted",
        ContentCondition::Unread => "unread",
    }
}

#[cfg(test)]
mod tests {
    use pennypost_text::Lang;

    use super::*;

    #[test]
    fn everything_that_is_wrong_is_said_in_both_languages() {
        for fault in [
            ContentFault::Rules,
            ContentFault::Name,
            ContentFault::NameTaken,
            ContentFault::Text,
            ContentFault::Conditions,
            ContentFault::Words,
            ContentFault::AllWords,
            ContentFault::Word,
            ContentFault::Least,
            ContentFault::Patterns,
            ContentFault::Pattern(PatternFault::Length),
            ContentFault::Pattern(PatternFault::TooLarge),
            ContentFault::Pattern(PatternFault::Empty),
            ContentFault::Pattern(PatternFault::Syntax { at: 4, cause: "unclosed group".to_owned() }),
            ContentFault::Ending,
            ContentFault::Size,
            ContentFault::Nobody,
            ContentFault::Targets,
            ContentFault::TooLarge,
        ] {
            let [english, chinese] = [Lang::En, Lang::ZhCn].map(|lang| say_content(&fault, &Text::new(lang)));
            assert!(english.len() > 10 && !english.contains("content-"), "{english}");
            assert!(chinese.chars().any(|c| c > '\u{3000}'), "{chinese}");
        }
    }
}
