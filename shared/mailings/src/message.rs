//! The bytes of a letter of a mailing. Without I/O.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use pennypost_mime::{header_end, header_fields};
use pennypost_model::message::cut;
use pennypost_model::{EventId, Timestamp};

use crate::content::{Attachment, Body, Personal};
use crate::table::{Recipients, Row};
use crate::template::{Fill, MAX_FILLED, Template, TemplateProblem, escaped, escaped_length, one_line};

/// Bytes of a name in one encoded word: with what stands around them 75 characters (RFC 2047 section 2).
const WORD: usize = 45;
/// Bytes of a subject.
const MAX_SUBJECT: usize = 900;
/// Bytes on a line of base64.
const LINE: usize = 76;

/// By whom a letter is, and which it is.
#[derive(Debug, Clone, Copy)]
pub struct Stamp<'a> {
    /// Its id.
    pub id: EventId,
    /// Its date.
    pub time: Timestamp,
    /// The address of whoever writes it.
    pub from: &'a str,
}

/// A text of a header as RFC 5322 and RFC 2047 write it.
fn unstructured(text: &str) -> String {
    let text = one_line(text);
    let is_plain = text.bytes().all(|byte| matches!(byte, b' '..=b'~')) && !text.contains("=?");
    if is_plain && text.len() <= 500 {
        return text;
    }
    let mut words: Vec<String> = Vec::new();
    let mut word = String::new();
    for character in text.chars() {
        if word.len() + character.len_utf8() > WORD {
            words.push(std::mem::take(&mut word));
        }
        word.push(character);
    }
    words.push(word);
    let encoded = words.iter().map(|word| format!("=?utf-8?B?{}?=", BASE64_STANDARD.encode(word)));
    encoded.collect::<Vec<_>>().join("\r\n ")
}

/// A name before an address.
fn phrase(name: &str) -> String {
    let name = one_line(name);
    let is_plain = name.bytes().all(|byte| matches!(byte, b' '..=b'~')) && !name.contains("=?");
    if is_plain && name.len() <= 200 {
        return format!("\"{}\"", name.replace('\\', "\\\\").replace('"', "\\\""));
    }
    unstructured(&name)
}

fn encoded(bytes: &[u8]) -> String {
    let text = BASE64_STANDARD.encode(bytes);
    let mut lines = String::with_capacity(text.len() + text.len() / LINE * 2 + 2);
    for line in text.as_bytes().chunks(LINE) {
        lines.extend(line.iter().map(|byte| char::from(*byte)));
        lines.push_str("\r\n");
    }
    lines
}

/// Every end of a line as mail has it.
fn with_crlf(text: &str) -> String {
    let mut lines = text.replace("\r\n", "\n").replace('\r', "\n").replace('\n', "\r\n");
    if !lines.ends_with("\r\n") {
        lines.push_str("\r\n");
    }
    lines
}

fn part(kind: &str, text: &str) -> String {
    let body = encoded(with_crlf(text).as_bytes());
    format!("Content-Type: text/{kind}; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n{body}")
}

fn joined(kind: &str, boundary: &str, parts: &[String]) -> String {
    let mut joined = format!("Content-Type: multipart/{kind}; boundary=\"{boundary}\"\r\n\r\n");
    for part in parts {
        joined.push_str(&format!("--{boundary}\r\n{part}"));
    }
    joined.push_str(&format!("--{boundary}--\r\n"));
    joined
}

fn attached(attachment: &Attachment) -> String {
    // RFC 2231: any character, and none that ends the field.
    let mut name = String::new();
    for byte in attachment.name.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.".contains(&byte) {
            name.push(char::from(byte));
        } else {
            name.push_str(&format!("%{byte:02X}"));
        }
    }
    format!(
        "Content-Type: {}\r\nContent-Disposition: attachment;\r\n filename*=utf-8''{name}\r\n\
         Content-Transfer-Encoding: base64\r\n\r\n{}",
        attachment.media_type,
        encoded(&attachment.bytes)
    )
}

/// The headings and a row as a table, and as text (PMG-02).
fn table(headings: &[String], cells: &[String]) -> (String, String) {
    let row = |tag: &str, cells: &[String]| -> String {
        let cells = cells.iter().map(|cell| format!("<{tag}>{}</{tag}>", escaped(cell)));
        format!("<tr>{}</tr>", cells.collect::<String>())
    };
    let html = format!(
        "<table border=\"1\" cellspacing=\"0\" cellpadding=\"4\">{}{}</table>",
        row("th", headings),
        row("td", cells)
    );
    let lines = headings.iter().zip(cells).map(|(heading, cell)| format!("{heading}: {cell}\n"));
    (html, lines.collect())
}

/// Bytes of that, and no fewer than it has; nothing is made for it.
fn table_length(headings: &[String], cells: &[String]) -> usize {
    let tags = "<th></th>: \n".len();
    let lengths = headings.iter().chain(cells).map(|cell| escaped_length(cell).saturating_add(cell.len()));
    lengths.fold(200, |sum, length| sum.saturating_add(length).saturating_add(tags))
}

/// What a letter says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// Its subject.
    pub subject: String,
    /// As HTML, if it has that.
    pub html: Option<String>,
    /// As text, if it has that.
    pub text: Option<String>,
}

impl Personal {
    /// Can all its letters be made? It makes none for that.
    ///
    /// # Errors
    /// [`TemplateProblem`], and of what: `subject`, `html`, `text` or `table`.
    pub fn check(&self) -> Result<(), (&'static str, TemplateProblem)> {
        let Recipients { headings, rows, .. } = &self.recipients;
        let mut texts = vec![("subject", &self.subject, Fill::Line)];
        if let Body::Template { html, text } = &self.body {
            texts.extend(html.iter().map(|html| ("html", html, Fill::Html)));
            texts.extend(text.iter().map(|text| ("text", text, Fill::Plain)));
        }
        for (place, text, fill) in texts {
            let template = Template::read(text, headings).map_err(|problem| (place, problem))?;
            let limit = fill.most();
            if let Some(row) = rows.iter().find(|row| template.length(&row.cells, fill) > limit) {
                return Err((place, TemplateProblem::Long { line: row.line, limit }));
            }
        }
        let is_long = |row: &&Row| table_length(headings, &row.cells) > MAX_FILLED;
        match rows.iter().filter(|_| self.body == Body::Table).find(is_long) {
            Some(row) => Err(("table", TemplateProblem::Long { line: row.line, limit: MAX_FILLED })),
            None => Ok(()),
        }
    }

    /// What the letter of a row says.
    ///
    /// # Errors
    /// [`TemplateProblem`], which was looked for when the mailing was made.
    pub fn said(&self, row: usize) -> Result<Said, TemplateProblem> {
        let headings = &self.recipients.headings;
        let row = self.recipients.rows.get(row);
        let (line, cells) = row.map_or((0, &[] as &[String]), |row| (row.line, row.cells.as_slice()));
        let filled = |said: &str, fill: Fill| -> Result<String, TemplateProblem> {
            let filled = Template::read(said, headings)?.fill(cells, fill);
            filled.ok_or(TemplateProblem::Long { line, limit: fill.most() })
        };
        let subject = filled(&self.subject, Fill::Line)?;
        let subject = cut(one_line(&subject).trim(), MAX_SUBJECT).to_owned();
        let (html, text) = match &self.body {
            Body::Table if table_length(headings, cells) > MAX_FILLED => {
                return Err(TemplateProblem::Long { line, limit: MAX_FILLED });
            }
            Body::Table => {
                let (html, text) = table(headings, cells);
                (Some(html), Some(text))
            }
            Body::Template { html, text } => {
                let html = html.as_deref().map(|html| filled(html, Fill::Html)).transpose()?;
                let text = text.as_deref().map(|text| filled(text, Fill::Plain)).transpose()?;
                (html, text)
            }
        };
        Ok(Said { subject, html, text })
    }

    /// The letter of a row.
    ///
    /// # Errors
    /// As [`Personal::said`].
    pub fn letter(&self, row: usize, stamp: Stamp<'_>) -> Result<Vec<u8>, TemplateProblem> {
        let Stamp { id, time, from } = stamp;
        let Said { subject, html, text } = self.said(row)?;
        let (domain, to) = (from.rsplit('@').next().unwrap_or_default(), self.recipients.address(row));
        let author = match self.name.trim() {
            "" => format!("<{from}>"),
            name => format!("{} <{from}>", phrase(name)),
        };
        let mut letter = format!(
            "From: {author}\r\nTo: <{to}>\r\nSubject: {}\r\nDate: {}\r\nMessage-ID: <{id}@{domain}>\r\n\
             MIME-Version: 1.0\r\n",
            unstructured(&subject),
            time.rfc5322()
        );
        let body = match (text, html) {
            (Some(text), Some(html)) => {
                joined("alternative", &format!("=_a{id}"), &[part("plain", &text), part("html", &html)])
            }
            (None, Some(html)) => part("html", &html),
            (text, None) => part("plain", &text.unwrap_or_default()),
        };
        if self.attachments.is_empty() {
            letter.push_str(&body);
        } else {
            let parts: Vec<String> =
                std::iter::once(body).chain(self.attachments.iter().map(attached)).collect();
            letter.push_str(&joined("mixed", &format!("=_m{id}"), &parts));
        }
        Ok(letter.into_bytes())
    }
}

/// The letter as one of its recipients alone gets it: its To names that one (SND-04). A signature over the other header would not
/// hold, and is taken out.
#[must_use]
pub fn for_one(raw: &[u8], address: &str) -> Vec<u8> {
    let block = raw.get(..header_end(raw)).unwrap_or_default();
    let mut letter = Vec::with_capacity(raw.len() + 64);
    letter.extend_from_slice(format!("To: <{address}>\r\n").as_bytes());
    let mut end = 0;
    for (name, _, span) in header_fields(block) {
        end = span.end as usize;
        let is_kept = !matches!(
            &*name.to_ascii_lowercase(),
            b"to" | b"cc" | b"bcc" | b"resent-to" | b"resent-cc" | b"resent-bcc" | b"dkim-signature"
        );
        if is_kept {
            letter.extend_from_slice(&raw[span.start as usize..end]);
        }
    }
    letter.extend_from_slice(&raw[end..]);
    letter
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn personal(subject: &str, body: Body, cells: [&str; 3]) -> Personal {
        Personal {
            recipients: Recipients {
                headings: ["姓名", "邮箱地址", "工资"].map(str::to_owned).to_vec(),
                column: 1,
                rows: vec![Row { line: 2, cells: cells.map(str::to_owned).to_vec() }],
            },
            name: "王, 小明".to_owned(),
            subject: subject.to_owned(),
            body,
            attachments: Vec::new(),
        }
    }

    fn letter(personal: &Personal) -> Vec<u8> {
        let id = EventId::from_parts(Timestamp(1_000), 7);
        let stamp = Stamp { id, time: Timestamp(1_000), from: "hr@acme.example" };
        personal.letter(0, stamp).expect("a letter")
    }

    #[test]
    fn a_row_is_a_table_and_a_text() {
        let row = personal("{{姓名}}的工资", Body::Table, ["王<小>明", "w@acme.example", "=1+1"]);
        let raw = letter(&row);
        let (structure, facts) = pennypost_mime::parse(&raw);
        assert_eq!(facts.subject, "王<小>明的工资");
        assert_eq!(facts.from[0].address, "hr@acme.example");
        assert_eq!(facts.from[0].name, "王, 小明");
        let text = pennypost_mime::decode_text(&structure, &raw, 10_000);
        assert!(text.contains("姓名: 王<小>明") && text.contains("工资: =1+1"), "{text}");
        let said = row.said(0).expect("said");
        assert!(said.html.expect("HTML").contains("<td>王&lt;小&gt;明</td>"));
    }

    #[test]
    fn letters_that_would_be_too_long_are_not_made() {
        let cell = "x".repeat(20_000);
        let html = "{{工资}}".repeat(51);
        let body = Body::Template { html: Some(html), text: None };
        for (subject, body, cell, place) in [
            ("a", body, &*cell, "html"),
            ("{{工资}}", Body::Table, &*cell, "subject"),
            ("a", Body::Table, &*"x".repeat(MAX_FILLED), "table"),
        ] {
            let row = personal(subject, body, ["Ann", "ann@acme.example", cell]);
            let (found, problem) = row.check().expect_err("too long");
            assert_eq!(found, place);
            assert_eq!(row.said(0), Err(problem));
        }
        assert_eq!(personal("{{姓名}}", Body::Table, ["Ann", "ann@acme.example", &cell]).check(), Ok(()));
    }

    #[test]
    fn attachments_go_with_every_letter() {
        let body = Body::Template { html: Some("<p>{{姓名}}</p>".to_owned()), text: None };
        let mut row = personal("hello", body, ["Ann", "ann@acme.example", ""]);
        row.attachments.push(Attachment {
            name: "报告 \"1\".pdf".to_owned(),
            media_type: "application/pdf".to_owned(),
            bytes: vec![1, 2, 3],
        });
        let raw = letter(&row);
        let text = String::from_utf8_lossy(&raw).into_owned();
        assert!(text.contains("multipart/mixed") && text.contains("AQID"), "{text}");
        let (structure, _) = pennypost_mime::parse(&raw);
        assert_eq!(structure.parts.len(), 3, "{text}");
    }

    #[test]
    fn each_of_several_recipients_sees_himself_alone() {
        let raw = "From: a@b.example\r\nTo: x@y.example,\r\n z@y.example\r\nCC: w@y.example\r\nSubject: hi\r\n\
                   DKIM-Signature: v=1\r\n\r\nTo: body\r\n";
        let one = for_one(raw.as_bytes(), "z@y.example");
        let expected = "To: <z@y.example>\r\nFrom: a@b.example\r\nSubject: hi\r\n\r\nTo: body\r\n";
        assert_eq!(String::from_utf8(one).expect("text"), expected);
    }

    proptest! {
        #[test]
        fn no_cell_adds_a_field_or_a_part(cell in "\\PC{0,40}[\\r\\n]{0,3}[A-Za-z: ]{0,12}[\\r\\n]{0,3}.{0,80}") {
            let row = personal("a {{姓名}} b {{工资}}", Body::Table, [&cell, "w@acme.example", &cell]);
            let raw = letter(&row);
            let block = &raw[..header_end(&raw)];
            let names: Vec<String> = header_fields(block)
                .map(|(name, ..)| String::from_utf8_lossy(name).to_ascii_lowercase())
                .collect();
            prop_assert_eq!(
                names,
                ["from", "to", "subject", "date", "message-id", "mime-version", "content-type"]
            );
            prop_assert!(block.split(|byte| *byte == b'\n').all(|line| line.len() <= 998));
        }
    }
}
