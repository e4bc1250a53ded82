//! The catalogue is whole: both languages, and every key that the code says.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::*;
use fluent_syntax::ast;

type Keys = BTreeMap<String, BTreeSet<String>>;

/// Keys with the variables of their messages.
fn keys(lang: Lang) -> Keys {
    let resource = fluent_syntax::parser::parse(lang.source()).unwrap_or_else(|(_, errors)| {
        panic!("{} is broken: {errors:?}", lang.tag());
    });
    let mut keys = Keys::new();
    for entry in &resource.body {
        if let ast::Entry::Message(message) = entry {
            let mut variables = BTreeSet::new();
            in_pattern(message.value.as_ref().expect("every message has a text"), &mut variables);
            let earlier = keys.insert(message.id.name.to_owned(), variables);
            assert!(earlier.is_none(), "{} stands twice in {}", message.id.name, lang.tag());
        }
    }
    keys
}

fn in_pattern(pattern: &ast::Pattern<&str>, variables: &mut BTreeSet<String>) {
    for element in &pattern.elements {
        if let ast::PatternElement::Placeable { expression } = element {
            in_expression(expression, variables);
        }
    }
}

fn in_expression(expression: &ast::Expression<&str>, variables: &mut BTreeSet<String>) {
    match expression {
        ast::Expression::Inline(inline) => in_inline(inline, variables),
        ast::Expression::Select { selector, variants } => {
            in_inline(selector, variables);
            variants.iter().for_each(|variant| in_pattern(&variant.value, variables));
        }
    }
}

fn in_inline(inline: &ast::InlineExpression<&str>, variables: &mut BTreeSet<String>) {
    match inline {
        ast::InlineExpression::VariableReference { id } => {
            variables.insert(id.name.to_owned());
        }
        ast::InlineExpression::Placeable { expression } => in_expression(expression, variables),
        _ => {}
    }
}

#[test]
fn both_languages_have_the_same_keys_and_variables() {
    let (english, chinese) = (keys(Lang::En), keys(Lang::ZhCn));
    assert!(english.len() > 50, "{}", english.len());
    assert_eq!(english, chinese);
}

/// What stands between the bracket at the beginning of `text` and the one that closes it.
fn bracketed(text: &str) -> &str {
    let (mut depth, mut in_string, mut escaped) = (0, false, false);
    for (index, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if in_string => escaped = true,
            '"' => in_string = !in_string,
            '(' | '[' | '{' if !in_string => depth += 1,
            ')' | ']' | '}' if !in_string => {
                depth -= 1;
                if depth == 0 {
                    return &text[1..index];
                }
            }
            _ => {}
        }
    }
    ""
}

/// Arguments at the top level, split at commas.
fn arguments(text: &str) -> Vec<String> {
    let (mut depth, mut in_string, mut escaped) = (0, false, false);
    let mut found = vec![String::new()];
    for c in text.chars() {
        match c {
            _ if escaped => escaped = false,
            '\\' if in_string => escaped = true,
            '"' => in_string = !in_string,
            '(' | '[' | '{' if !in_string => depth += 1,
            ')' | ']' | '}' if !in_string => depth -= 1,
            ',' if !in_string && depth == 0 => {
                found.push(String::new());
                continue;
            }
            _ => {}
        }
        found.last_mut().expect("never empty").push(c);
    }
    found.into_iter().map(|argument| argument.trim().to_owned()).filter(|found| !found.is_empty()).collect()
}

/// Every `say!` in the sources below `folder`: key, variables, file.
fn said(folder: &Path, found: &mut Vec<(String, BTreeSet<String>, String)>) {
    for entry in std::fs::read_dir(folder).expect("sources") {
        let path = entry.expect("entry").path();
        if path.is_dir() {
            said(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs")
            && !path.ends_with("text/src/lib.rs")
        {
            let source = std::fs::read_to_string(&path).expect("source");
            for (index, _) in source.match_indices(concat!("say", "!(")) {
                let arguments = arguments(bracketed(&source[index + 4..]));
                let key = arguments.get(1).map_or("", String::as_str).trim_matches('"').to_owned();
                let names = arguments.iter().skip(2).filter_map(|argument| argument.split_once(" = "));
                let names = names.map(|(name, _)| name.to_owned()).collect();
                found.push((key, names, path.display().to_string()));
            }
        }
    }
}

#[test]
fn every_message_that_is_said_exists_and_every_one_that_exists_is_said() {
    let catalogue = keys(Lang::En);
    let mut found = Vec::new();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    for folder in ["pennypost/src", "shared", "functions"] {
        said(&root.join(folder), &mut found);
    }
    assert!(found.len() > 50, "only {} messages found in the sources", found.len());
    for (key, variables, file) in &found {
        let wanted =
            catalogue.get(key).unwrap_or_else(|| panic!("{file} says {key:?}, which does not exist"));
        assert_eq!(variables, wanted, "variables of {key:?} in {file}");
    }
    let used: BTreeSet<_> = found.iter().map(|(key, ..)| key.as_str()).collect();
    let unused: Vec<_> = catalogue.keys().filter(|key| !used.contains(key.as_str())).collect();
    assert!(unused.is_empty(), "nobody says {unused:?}");
}

#[test]
fn the_language_is_chosen_by_flag_then_environment() {
    let environment = |pairs: &'static [(&str, &str)]| {
        move |name: &str| pairs.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
    };
    for (flag, pairs, lang) in [
        (None, &[][..], Lang::En),
        (None, &[("LANG", "zh_CN.UTF-8")], Lang::ZhCn),
        (None, &[("LANG", "de_DE.UTF-8")], Lang::En),
        (None, &[("LANG", "zh_CN.UTF-8"), ("LC_ALL", "C")], Lang::En),
        (None, &[("LANG", "C"), ("LC_MESSAGES", "zh_SG")], Lang::ZhCn),
        (None, &[("LC_ALL", ""), ("LANG", "zh")], Lang::ZhCn),
        (None, &[("PENNYPOST_LANG", "en"), ("LC_ALL", "zh_CN")], Lang::En),
        (Lang::named("zh-CN"), &[("PENNYPOST_LANG", "en")], Lang::ZhCn),
        (Lang::named("EN"), &[("LANG", "zh_CN")], Lang::En),
    ] {
        assert_eq!(Lang::choose(flag, environment(pairs)), lang, "{flag:?} {pairs:?}");
    }
    for unknown in ["klingon", "", "e", "zho"] {
        assert_eq!(Lang::named(unknown), None, "{unknown}");
    }
}

#[test]
fn messages_are_said_in_their_language() {
    for (lang, one, many) in [
        (
            Lang::En,
            "added the alias a@b.example for 1 account",
            "added the alias a@b.example for 1234 accounts",
        ),
        (Lang::ZhCn, "已添加别名 a@b.example，指向 1 个账号", "已添加别名 a@b.example，指向 1234 个账号"),
    ] {
        let text = Text::new(lang);
        for (count, expected) in [(1_usize, one), (1234, many)] {
            let said = crate::say!(text, "alias-added", address = "a@b.example", count = count);
            assert_eq!(said, expected);
        }
    }
    assert_eq!(Text::new(Lang::En).message("no such key", &[]), "no such key");
}
