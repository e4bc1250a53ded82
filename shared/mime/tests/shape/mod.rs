//! What must hold for the structure and the facts of any bytes.

use pennypost_mime::{decode_part, decode_text, file_name, header_end, header_fields, parse};
use pennypost_model::message::Facts;
use pennypost_model::structure::{Address, Content, Envelope, Span, Structure};

/// Parses and checks everything; gives the result for further looks.
pub fn checked(raw: &[u8]) -> (Structure, Facts) {
    let (structure, facts) = parse(raw);
    assert!((1..=Structure::MAX_PARTS).contains(&structure.parts.len()));
    let all = Span { start: 0, end: raw.len() as u64 };
    let root = &structure.parts[0];
    assert_eq!(root.header.start, 0);
    assert_eq!(root.body.end, all.end);
    spans(&structure, all);
    header(raw, &structure);
    envelope(&structure.envelope);
    bounded(&facts);
    for limit in [0, 7, 1_000] {
        assert!(decode_text(&structure, raw, limit).len() <= limit);
    }
    (structure, facts)
}

fn spans(structure: &Structure, all: Span) {
    let mut reached = vec![0_u32; structure.parts.len()];
    let mut depth = vec![1_usize; structure.parts.len()];
    reached[0] = 1;
    let mut last_leaf = 0;
    for (index, part) in structure.parts.iter().enumerate() {
        assert!(part.header.start <= part.header.end, "{part:?}");
        assert!(part.header.end == part.body.start && part.body.start <= part.body.end, "{part:?}");
        assert!(part.body.end <= all.end, "{part:?}");
        assert!(u64::from(part.lines) <= part.body.len());
        assert!(depth[index] <= Structure::MAX_DEPTH);
        let children: Vec<u32> = match &part.content {
            Content::Leaf => {
                assert!(last_leaf <= part.header.start, "leaf {index} begins before the last one ends");
                last_leaf = part.body.end;
                Vec::new()
            }
            Content::Multipart(children) => children.clone(),
            Content::Message(inner, child) => {
                envelope(inner);
                let root = &structure.parts[*child as usize];
                assert_eq!((root.header.start, root.body.end), (part.body.start, part.body.end));
                vec![*child]
            }
        };
        let mut behind = part.body.start;
        for child in children {
            let inside = &structure.parts[child as usize];
            assert!(child as usize > index, "a part before its parent");
            assert!(behind <= inside.header.start && inside.body.end <= part.body.end, "{part:?} {inside:?}");
            behind = inside.body.end;
            reached[child as usize] += 1;
            depth[child as usize] = depth[index] + 1;
        }
    }
    assert!(reached.iter().all(|times| *times == 1), "a part is not reached exactly once");
}

fn header(raw: &[u8], structure: &Structure) {
    let end = header_end(raw);
    let mut behind = 0;
    for (name, value, span) in header_fields(&raw[..end]) {
        assert_eq!(span.start, behind);
        assert!(name.len() as u64 + value.len() as u64 <= span.len());
        behind = span.end;
    }
    assert!(end as u64 - behind <= 2);
    assert_eq!(structure.parts[0].header.end, end as u64);
    for part in &structure.parts {
        let body = &raw[part.body.start as usize..part.body.end as usize];
        let decoded = decode_part(part, &body[..body.len().min(10_000)]);
        assert!(decoded.len() <= body.len());
        let _ = file_name(part);
    }
}

fn envelope(envelope: &Envelope) {
    let clean = |text: &Vec<u8>| !text.iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0));
    let texts = [&envelope.date, &envelope.subject, &envelope.in_reply_to, &envelope.message_id];
    assert!(texts.into_iter().flatten().all(clean));
    let lists =
        [&envelope.from, &envelope.sender, &envelope.reply_to, &envelope.to, &envelope.cc, &envelope.bcc];
    for list in lists {
        assert!(list.len() <= 1_001);
        let mut group = false;
        for Address { name, route, mailbox, host } in list {
            assert!([name, route, mailbox, host].into_iter().flatten().all(clean));
            if host.is_none() {
                // A group begins or ends, in turns.
                assert_eq!(mailbox.is_some(), !group);
                group = !group;
            }
        }
        assert!(!group, "a group never ends");
    }
}

fn bounded(facts: &Facts) {
    assert!(facts.subject.chars().count() <= 1_000);
    assert!(facts.preview.chars().count() <= 256);
    assert!(!facts.preview.chars().chain(facts.subject.chars()).any(char::is_control));
    for list in [&facts.from, &facts.to, &facts.cc] {
        assert!(list.len() <= 100);
        assert!(list.iter().all(|contact| contact.name.len() <= 1_000 && contact.address.len() <= 1_000));
    }
    assert!(facts.attachments.len() <= 100);
    assert!(facts.attachments.iter().all(|attachment| attachment.name.len() <= 255));
    assert_eq!(facts.message_id.is_some(), facts.message_id_hash != 0);
}
