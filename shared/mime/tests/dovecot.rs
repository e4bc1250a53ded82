//! ENVELOPE and BODYSTRUCTURE of every sample mail beside what Dovecot 2.3.19 says of it. `dovecot.txt` holds
//! Dovecot's answers, literals written as quoted strings; `dovecot-differs.txt` holds ours where it is meant
//! to differ, each with a comment that says why. A difference in either direction fails.

mod samples;

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

use pennypost_model::structure::{Address, Content, Envelope, Part, Structure};

#[test]
fn structures_are_those_of_dovecot() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let theirs = answers(&here.join("dovecot.txt"));
    let meant = answers(&here.join("dovecot-differs.txt"));
    let mut wrong = String::new();
    let mails = samples::manifest().mails;
    for mail in &mails {
        let (structure, _) = pennypost_mime::parse(&mail.bytes());
        let ours = rendered(&structure);
        let name = mail.file.trim_start_matches("mails/");
        // Mails that came after the answers were taken are covered by the other tests.
        let Some(dovecot) = theirs.get(name) else { continue };
        match meant.get(name) {
            Some(_) if ours == *dovecot => writeln!(wrong, "{name}\tno longer differs from Dovecot"),
            Some(meant) if ours == *meant => Ok(()),
            None if ours == *dovecot => Ok(()),
            _ => writeln!(wrong, "ours | {name} | {ours}\nthem | {name} | {dovecot}"),
        }
        .unwrap();
    }
    assert!(theirs.len() > 150 && mails.len() >= theirs.len(), "{} of {}", theirs.len(), mails.len());
    assert!(wrong.is_empty(), "{wrong}");
}

fn answers(path: &Path) -> BTreeMap<String, String> {
    let text = std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    String::from_utf8_lossy(&text)
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split_once('\t'))
        .map(|(name, answer)| (name.to_owned(), answer.to_owned()))
        .collect()
}

fn rendered(structure: &Structure) -> String {
    format!("ENVELOPE {} BODYSTRUCTURE {}", envelope(&structure.envelope), part(structure, 0))
}

fn quoted(text: &[u8]) -> String {
    format!("\"{}\"", String::from_utf8_lossy(text).replace('\\', "\\\\").replace('"', "\\\""))
}

fn text(text: Option<&Vec<u8>>) -> String {
    text.map_or("NIL".to_owned(), |text| quoted(text))
}

fn envelope(envelope: &Envelope) -> String {
    let lists =
        [&envelope.from, &envelope.sender, &envelope.reply_to, &envelope.to, &envelope.cc, &envelope.bcc];
    let lists: Vec<String> = lists.map(|list| addresses(list)).to_vec();
    format!(
        "({} {} {} {} {})",
        text(envelope.date.as_ref()),
        text(envelope.subject.as_ref()),
        lists.join(" "),
        text(envelope.in_reply_to.as_ref()),
        text(envelope.message_id.as_ref())
    )
}

fn addresses(list: &[Address]) -> String {
    let address = |a: &Address| {
        let fields = [&a.name, &a.route, &a.mailbox, &a.host].map(|field| text(field.as_ref()));
        format!("({})", fields.join(" "))
    };
    if list.is_empty() {
        "NIL".to_owned()
    } else {
        format!("({})", list.iter().map(address).collect::<String>())
    }
}

fn parameters(list: &[(String, Vec<u8>)]) -> String {
    let pairs: Vec<String> =
        list.iter().map(|(name, value)| format!("{} {}", quoted(name.as_bytes()), quoted(value))).collect();
    if pairs.is_empty() { "NIL".to_owned() } else { format!("({})", pairs.join(" ")) }
}

fn part(structure: &Structure, index: usize) -> String {
    let part_ = &structure.parts[index];
    let extension = extension(part_);
    let (main, sub) = (quoted(part_.media_type.0.as_bytes()), quoted(part_.media_type.1.as_bytes()));
    if let Content::Multipart(children) = &part_.content {
        let inner: String = children.iter().map(|child| part(structure, *child as usize)).collect();
        let empty = "(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 0 0 NIL NIL NIL NIL)";
        let inner = if inner.is_empty() { empty.to_owned() } else { inner };
        return format!("({inner} {sub} {} {extension})", parameters(&part_.parameters));
    }
    let is_text = part_.media_type.0 == "text";
    let mut declared = part_.parameters.clone();
    if is_text && !declared.iter().any(|(name, _)| name == "charset") {
        declared.push(("charset".to_owned(), b"us-ascii".to_vec()));
    }
    let parameters = parameters(&declared);
    let content = match &part_.content {
        Content::Message(inner, root) => {
            format!(" {} {} {}", envelope(inner), part(structure, *root as usize), part_.lines)
        }
        _ if is_text => format!(" {}", part_.lines),
        _ => String::new(),
    };
    format!(
        "({main} {sub} {parameters} {} {} {} {}{content} {} {extension})",
        text(part_.id.as_ref()),
        text(part_.description.as_ref()),
        quoted(part_.encoding.as_bytes()),
        part_.body.len(),
        text(part_.md5.as_ref()),
    )
}

fn extension(part: &Part) -> String {
    let disposition = part.disposition.as_ref().map_or("NIL".to_owned(), |(kind, list)| {
        format!("({} {})", quoted(kind.as_bytes()), parameters(list))
    });
    let languages: Vec<String> = part.language.iter().map(|language| quoted(language)).collect();
    let languages =
        if languages.is_empty() { "NIL".to_owned() } else { format!("({})", languages.join(" ")) };
    format!("{disposition} {languages} {}", text(part.location.as_ref()))
}
