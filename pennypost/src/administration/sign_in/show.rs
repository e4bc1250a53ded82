//! Rules of signing in, as they are shown.

use pennypost_directory::{AccountRules, AddressRule, SignInRules, Verdict};
use serde_json::json;

use super::{networks, rule_document, word};
use crate::print::Output;
use crate::text::Text;
use crate::{Failed, say};

fn rule(rule: &AddressRule, text: &Text) -> String {
    let mut parts = Vec::new();
    for (name, list) in [("allow", &rule.allow), ("deny", &rule.deny)] {
        if !list.is_empty() {
            parts.push(format!("{name} {}", networks(list).join(" ")));
        }
    }
    let others = if rule.others == Verdict::Allow {
        say!(text, "sign-in-others-allow")
    } else {
        say!(text, "sign-in-others-deny")
    };
    parts.push(others);
    parts.join("; ")
}

fn list(entries: &[String]) -> String {
    if entries.is_empty() { "-".to_owned() } else { entries.join(" ") }
}

/// What a tenant says.
pub(super) fn rules(rules: &SignInRules, text: &Text, output: &mut Output<'_>) -> Result<(), Failed> {
    let (passwords, lock) = (&rules.passwords, &rules.lock);
    let departments: Vec<String> = rules.exempt.departments.iter().map(|id| id.0.to_string()).collect();
    let accounts: Vec<String> = rules.exempt.accounts.iter().map(ToString::to_string).collect();
    if output.json {
        let document = json!({
            "passwords": passwords,
            "lock": {
                "count": lock.count, "window_minutes": lock.window_minutes, "minutes": lock.minutes,
                "trusted": networks(&lock.trusted),
            },
            "addresses": rule_document(&rules.addresses),
            "exempt": { "accounts": accounts, "departments": rules.exempt.departments },
            "secure": rules.secure,
        });
        return Ok(output.line(&document.to_string())?);
    }
    let rows = [
        (say!(text, "rule-min-length"), passwords.min_length.to_string()),
        (say!(text, "rule-max-length"), passwords.max_length.to_string()),
        (say!(text, "rule-classes"), passwords.classes.to_string()),
        (say!(text, "rule-capital"), word(passwords.capital, text)),
        (say!(text, "rule-no-sequences"), word(passwords.no_sequences, text)),
        (say!(text, "rule-no-account-name"), word(passwords.no_account_name, text)),
        (say!(text, "rule-history"), passwords.history.to_string()),
        (say!(text, "rule-lifetime"), passwords.lifetime_days.to_string()),
        (say!(text, "rule-expires-in-clients"), word(passwords.expires_in_clients, text)),
        (say!(text, "rule-change-first"), word(passwords.change_first, text)),
        (say!(text, "rule-lock-count"), lock.count.to_string()),
        (say!(text, "rule-lock-window"), lock.window_minutes.to_string()),
        (say!(text, "rule-lock-minutes"), lock.minutes.to_string()),
        (say!(text, "rule-trusted"), list(&networks(&lock.trusted))),
        (say!(text, "rule-addresses"), rule(&rules.addresses, text)),
        (say!(text, "rule-exempt-accounts"), list(&accounts)),
        (say!(text, "rule-exempt-departments"), list(&departments)),
        (say!(text, "rule-secure"), word(rules.secure, text)),
    ];
    for (name, value) in rows {
        output.line(&format!("{name}: {value}"))?;
    }
    Ok(())
}

/// What holds for one account.
pub(super) fn account(
    address: &str,
    rules: &AccountRules,
    text: &Text,
    output: &mut Output<'_>,
) -> Result<(), Failed> {
    if output.json {
        let document = json!({
            "address": address,
            "addresses": rules.addresses.as_ref().map(rule_document),
            "secure": rules.secure,
            "secure_forced": rules.secure_forced,
        });
        return Ok(output.line(&document.to_string())?);
    }
    let own = rules.addresses.as_ref().map_or_else(|| say!(text, "rule-as-tenant"), |own| rule(own, text));
    for (name, value) in [
        (say!(text, "rule-addresses"), own),
        (say!(text, "rule-secure-own"), word(rules.secure, text)),
        (say!(text, "rule-secure-forced"), word(rules.secure_forced, text)),
    ] {
        output.line(&format!("{name}: {value}"))?;
    }
    Ok(())
}
