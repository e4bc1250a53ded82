//! Text of documents of Office (Open XML): their parts are XML in an archive.

use std::io::{Cursor, Read};

use memchr::memmem;
use pennypost_model::message::cut;
use quick_xml::Reader;
use quick_xml::events::Event;
use zip::ZipArchive;

/// Files of an archive that are looked at.
const MAX_FILES: usize = 2_000;

/// Is this the name of a part with text?
fn has_text(name: &str) -> bool {
    let is_in = |folder: &str| name.starts_with(folder);
    let is_document = matches!(
        name,
        "word/document.xml"
            | "word/footnotes.xml"
            | "word/endnotes.xml"
            | "word/comments.xml"
            | "xl/sharedStrings.xml"
    );
    let is_part =
        ["word/header", "word/footer", "xl/worksheets/", "xl/comments", "ppt/slides/", "ppt/notesSlides/"]
            .into_iter()
            .any(is_in);
    name.ends_with(".xml") && (is_document || is_part)
}

/// The text of a document; `None` if it is none, damaged, or has more than `limit` bytes of text or `unpacked` in its parts, of
/// which what it takes is taken away.
pub(super) fn text(bytes: &[u8], limit: usize, unpacked: &mut u64) -> Option<String> {
    // Whoever opens an archive tries each end that stands in it, with all files that this names.
    let mut ends = memmem::find_iter(bytes, b"PK\x05\x06");
    if ends.next().is_none() || ends.next().is_some() {
        return None;
    }
    if memmem::find_iter(bytes, b"PK\x01\x02").take(MAX_FILES + 1).count() > MAX_FILES {
        return None;
    }
    let mut archive = ZipArchive::new(Cursor::new(bytes)).ok()?;
    let named: Vec<usize> =
        (0..archive.len()).filter(|index| archive.name_for_index(*index).is_some_and(has_text)).collect();
    if named.is_empty() {
        return None;
    }
    let mut text = String::new();
    for index in named {
        let file = archive.by_index(index).ok()?;
        let mut xml = Vec::new();
        let most = *unpacked;
        let read = file.take(most.saturating_add(1)).read_to_end(&mut xml).ok()?;
        *unpacked = most.checked_sub(read as u64)?;
        add(&mut text, &xml, limit)?;
    }
    Some(text)
}

/// Adds the text of a part. Paragraphs, cells and lines are parted, pieces of a word are not.
fn add(text: &mut String, xml: &[u8], limit: usize) -> Option<()> {
    let mut reader = Reader::from_reader(xml);
    reader.config_mut().check_end_names = false;
    loop {
        match reader.read_event().ok()? {
            Event::Eof => break,
            Event::Text(piece) => text.push_str(&String::from_utf8_lossy(&piece)),
            Event::CData(piece) => text.push_str(&String::from_utf8_lossy(&piece)),
            Event::GeneralRef(name) => {
                let known = name
                    .decode()
                    .ok()
                    .and_then(|name| quick_xml::escape::resolve_xml_entity(&name).map(str::to_owned));
                match name.resolve_char_ref().ok().flatten() {
                    Some(character) => text.push(character),
                    None => text.push_str(&known.unwrap_or_default()),
                }
            }
            Event::Start(element) | Event::Empty(element) => part(text, element.local_name().as_ref()),
            Event::End(element) => part(text, element.local_name().as_ref()),
            _ => {}
        }
        if text.len() > limit {
            let length = cut(text, limit).len();
            text.truncate(length);
            return None;
        }
    }
    Some(())
}

/// Parts words where the element does.
fn part(text: &mut String, name: &[u8]) {
    let parts = matches!(
        name,
        b"p" | b"c" | b"v" | b"si" | b"br" | b"tab" | b"cr" | b"row" | b"tc" | b"tr" | b"comment"
    );
    if parts && !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
}
