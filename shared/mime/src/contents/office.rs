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

/// Does an archive say of itself that it ends once, and by small numbers? Whoever opens it tries each end that stands in it, with all
/// files that this names; and by a number that has no room it is led to an end of the large form (Zip64), which may name as many.
fn has_one_small_end(bytes: &[u8]) -> bool {
    let mut ends = memmem::find_iter(bytes, b"PK\x05\x06");
    let (Some(end), None) = (ends.next(), ends.next()) else { return false };
    let is_small = |at: usize, width: usize| {
        bytes.get(at..at + width).is_some_and(|number| number.iter().any(|byte| *byte != 0xff))
    };
    // Files on this disk and of all, bytes of the directory, and where it begins.
    is_small(end + 8, 2) && is_small(end + 10, 2) && is_small(end + 12, 4) && is_small(end + 16, 4)
}

/// The text of a document, and whether there may be more: it is damaged, or has more than `limit` bytes of text or `unpacked` in its
/// parts, of which what it takes is taken away. `None` if it is no document.
pub(super) fn text(bytes: &[u8], limit: usize, unpacked: &mut u64) -> Option<(String, bool)> {
    if !has_one_small_end(bytes) {
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
    // Files that lie in one another would unpack the same bytes again and again.
    let mut packed = bytes.len() as u64;
    for index in named {
        let Ok(file) = archive.by_index(index) else { return Some((text, true)) };
        let Some(left) = packed.checked_sub(file.compressed_size()) else { return Some((text, true)) };
        packed = left;
        let mut xml = Vec::new();
        let most = *unpacked;
        let is_whole = file.take(most.saturating_add(1)).read_to_end(&mut xml).is_ok();
        let read = xml.len() as u64;
        // Also what fails has cost this.
        *unpacked = most.saturating_sub(read);
        if add(&mut text, &xml, limit).is_none() || !is_whole || read > most {
            return Some((text, true));
        }
    }
    Some((text, false))
}

/// Adds the text of a part, as far as it is understood; `None` if there may be more. Paragraphs, cells and lines are parted, pieces of a
/// word are not.
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

#[cfg(test)]
mod tests {
    use std::io::Write;

    use zip::ZipWriter;
    use zip::write::SimpleFileOptions;

    use super::*;

    fn document(files: &[(&str, &str)]) -> Vec<u8> {
        let mut out = ZipWriter::new(Cursor::new(Vec::new()));
        for (name, content) in files {
            out.start_file(*name, SimpleFileOptions::default()).expect("begun");
            out.write_all(content.as_bytes()).expect("written");
        }
        out.finish().expect("done").into_inner()
    }

    fn end_of(bytes: &[u8]) -> usize {
        memmem::rfind(bytes, b"PK\x05\x06").expect("an end")
    }

    #[test]
    fn an_end_that_leads_to_a_large_one_is_not_followed() {
        let docx = document(&[("word/document.xml", "<w:t>text</w:t>")]);
        assert_eq!(text(&docx, 100, &mut 1_000), Some(("text".to_owned(), false)));
        for (offset, width) in [(8, 2), (10, 2), (12, 4), (16, 4)] {
            let mut large = docx.clone();
            let at = end_of(&large) + offset;
            large[at..at + width].fill(0xff);
            assert_eq!(text(&large, 100, &mut 1_000), None, "{offset}");
        }
        let twice = [&docx[..], &docx[end_of(&docx)..]].concat();
        assert_eq!(text(&twice, 100, &mut 1_000), None);
        // One that is broken off.
        assert_eq!(text(&docx[..end_of(&docx) + 10], 100, &mut 1_000), None);
    }

    #[test]
    fn files_that_lie_in_one_another_are_unpacked_as_often_as_there_is_room() {
        // Of random letters, so that a file takes most of the room.
        let mut seed = 1_u32;
        let mut letter = || {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            char::from(b'a' + u8::try_from(seed >> 24).unwrap_or_default() % 26)
        };
        let long: String = (0..4_000).map(|_| letter()).collect();
        let names: Vec<String> = (1..=9).map(|number| format!("word/header{number}.xml")).collect();
        let mut files: Vec<(&str, &str)> = vec![("word/document.xml", &long)];
        files.extend(names.iter().map(|name| (name.as_str(), "x")));
        let mut docx = document(&files);
        // All names in the directory lead to the first file: offset, sizes and check of it.
        let entries: Vec<usize> = memmem::find_iter(&docx, b"PK\x01\x02").collect();
        let first = docx[entries[0]..entries[0] + 46].to_vec();
        for entry in &entries[1..] {
            for field in [10..12, 16..28, 42..46] {
                let (begin, end) = (entry + field.start, entry + field.end);
                docx[begin..end].copy_from_slice(&first[field]);
            }
        }
        let mut left = 1_000_000;
        let (found, is_cut) = text(&docx, 1_000_000, &mut left).expect("a document");
        assert!(is_cut && found.len() < 3 * long.len(), "{}", found.len());
        assert_eq!(1_000_000 - left, found.len() as u64);
    }

    #[test]
    fn what_was_unpacked_counts_where_it_is_too_much() {
        let docx = document(&[("word/document.xml", "<w:t>some text</w:t>")]);
        let mut left = 10;
        assert_eq!(text(&docx, 100, &mut left), Some(("some t".to_owned(), true)));
        assert_eq!(left, 0);
        assert_eq!(text(&docx, 100, &mut left), Some((String::new(), true)));
    }
}
