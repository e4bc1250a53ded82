//! The facts that the manifest of the sample mails claims, and what must hold for any of them.

mod samples;

use std::collections::BTreeMap;

use pennypost_mime::{decode_header, decode_text, file_name, header_end, header_fields, parse};
use pennypost_model::message::{Contact, Facts};
use pennypost_model::structure::{Content, Structure};
use serde_json::{Value, json};

/// Compares each claim that belongs to parsing; gives how many claims were compared.
#[test]
fn facts_are_those_of_the_manifest() {
    let mut wrong = Vec::new();
    let mut compared = 0;
    let mut threads: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    for mail in samples::manifest().mails {
        let raw = mail.bytes();
        let (structure, facts) = parse(&raw);
        if let Some(thread) = mail.expect.get("thread") {
            threads.entry(thread.to_string()).or_default().push(facts.thread.0);
        }
        for (fact, expected) in &mail.expect {
            let Some(holds) = check(fact, expected, &mail.expect, &raw, &structure, &facts) else { continue };
            compared += 1;
            if let Err(found) = holds {
                wrong.push(format!("{} {fact}: expected {expected}, found {found}", mail.file));
            }
        }
    }
    for (name, mut ids) in threads {
        ids.dedup();
        if ids.len() != 1 {
            wrong.push(format!("thread {name} falls apart: {ids:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(compared > 600, "only {compared} facts compared");
}

fn squeeze(text: &str) -> String {
    let spaced: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    spaced.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn leaves(structure: &Structure, index: usize, deep: bool) -> usize {
    match &structure.parts[index].content {
        Content::Leaf => 1,
        Content::Multipart(children) => {
            children.iter().map(|child| leaves(structure, *child as usize, deep)).sum()
        }
        Content::Message(_, inner) if deep => leaves(structure, *inner as usize, deep),
        Content::Message(..) => 1,
    }
}

/// Decoded names of the parts of the message itself, not of embedded ones.
fn names(structure: &Structure, index: usize) -> Vec<String> {
    match &structure.parts[index].content {
        Content::Multipart(children) => {
            children.iter().flat_map(|child| names(structure, *child as usize)).collect()
        }
        _ => file_name(&structure.parts[index]).into_iter().collect(),
    }
}

fn contact_json(contact: &Contact) -> Value {
    let name = (!contact.name.is_empty()).then_some(&contact.name);
    json!({"name": name, "address": contact.address})
}

fn strings(value: &Value) -> Vec<&str> {
    value.as_array().map(|list| list.iter().filter_map(Value::as_str).collect()).unwrap_or_default()
}

type Claims = BTreeMap<String, Value>;

/// Whether a fact holds, with what was found instead; nothing for facts that are not about parsing.
fn check(
    fact: &str,
    expected: &Value,
    all: &Claims,
    raw: &[u8],
    structure: &Structure,
    facts: &Facts,
) -> Option<Result<(), String>> {
    let same = |found: Value| if found == *expected { Ok(()) } else { Err(found.to_string()) };
    let count = |name: &str| {
        let fields = header_fields(&raw[..header_end(raw)]);
        json!(fields.filter(|(known, _, _)| known.eq_ignore_ascii_case(name.as_bytes())).count())
    };
    let field = |name: &str| {
        let mut fields = header_fields(&raw[..header_end(raw)]);
        let found = fields.find(|(known, _, _)| known.eq_ignore_ascii_case(name.as_bytes()));
        found.map(|(_, value, _)| decode_header(value))
    };
    let text = || squeeze(&decode_text(structure, raw, 1 << 20));
    Some(match fact {
        "subject" => {
            let found = structure.envelope.subject.as_ref().map(|_| facts.subject.clone());
            match (found, expected.as_str(), all.contains_key("subject_normalised")) {
                (Some(found), Some(wanted), true) if squeeze(&found) == squeeze(wanted) => Ok(()),
                (found, _, _) => same(json!(found)),
            }
        }
        "subject_best" => same(json!(facts.subject)),
        "from" => same(facts.from.iter().map(contact_json).collect()),
        "from_address" => same(json!(facts.from.first().map(|from| &from.address))),
        "to_addresses" => same(facts.to.iter().map(|to| json!(to.address)).collect()),
        "to_count" => same(json!(structure.envelope.to.len())),
        "leaf_parts" => same(json!(leaves(structure, 0, false))),
        "leaf_parts_deep" => same(json!(leaves(structure, 0, true))),
        "attachment_names" | "attachment_names_best" => same(json!(names(structure, 0))),
        "preview_contains" => {
            let lacking = strings(expected).into_iter().find(|part| !facts.preview.contains(&squeeze(part)));
            lacking.map_or(Ok(()), |_| Err(facts.preview.clone()))
        }
        "text_lacks" => {
            let shown = strings(expected).into_iter().find(|part| text().contains(part));
            shown.map_or(Ok(()), |shown| Err(shown.to_owned()))
        }
        "text_best" => {
            let found = expected.as_str().is_some_and(|wanted| text().contains(&squeeze(wanted)));
            if found { Ok(()) } else { Err(text()) }
        }
        "text_lines" => {
            let text = decode_text(structure, raw, 1 << 20);
            same(text.lines().map(|line| json!(line)).collect())
        }
        "headers" => {
            let wanted = expected.as_object()?;
            let wrong = wanted.iter().find(|(name, value)| field(name).as_deref() != value.as_str());
            wrong.map_or(Ok(()), |(name, _)| Err(format!("{name}: {:?}", field(name))))
        }
        "from_count" => same(count("from")),
        "subject_count" => same(count("subject")),
        "received_count" => same(count("received")),
        "list_id" => {
            let found = field("list-id").unwrap_or_default();
            let holds = facts.automatic && expected.as_str().is_some_and(|wanted| found.contains(wanted));
            if holds { Ok(()) } else { Err(format!("{found}, automatic {}", facts.automatic)) }
        }
        "date" => {
            let found = facts.sent.map(|sent| sent.rfc3339().replace(".000Z", "Z"));
            same(json!(found))
        }
        "message_id" => same(json!(facts.message_id)),
        "nested_subjects" => {
            let subjects = structure.parts.iter().filter_map(|part| match &part.content {
                Content::Message(envelope, _) => Some(json!(decode_header(envelope.subject.as_ref()?))),
                _ => None,
            });
            same(subjects.collect())
        }
        "content_ids" => {
            let ids = structure.parts.iter().filter_map(|part| part.id.as_ref());
            let bare = ids.map(|id| String::from_utf8_lossy(id).trim_matches(['<', '>']).to_owned());
            same(bare.map(Value::from).collect())
        }
        "report_type" => {
            let root = structure.root()?;
            let found = root.parameters.iter().find(|(name, _)| name == "report-type");
            same(json!(found.map(|(_, value)| String::from_utf8_lossy(value))))
        }
        "calendar_uid" => {
            let found = expected.as_str().is_some_and(|uid| text().contains(uid));
            if found { Ok(()) } else { Err(text()) }
        }
        _ => return None,
    })
}
