//! Writing XML: elements with text, the library escapes.

use std::io;

use quick_xml::Writer;
use quick_xml::events::{BytesDecl, BytesText, Event};

/// A document under way.
pub(crate) type Out = Writer<Vec<u8>>;

/// A document with its declaration. Writing into memory does not fail.
pub(crate) fn document(write: impl FnOnce(&mut Out) -> io::Result<()>) -> Vec<u8> {
    let mut out = Writer::new_with_indent(Vec::new(), b' ', 2);
    let written = out
        .write_event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)))
        .and_then(|()| write(&mut out));
    debug_assert!(written.is_ok());
    let mut text = out.into_inner();
    text.push(b'\n');
    text
}

/// `<name>text</name>`
pub(crate) fn text(out: &mut Out, name: &str, text: &str) -> io::Result<()> {
    out.create_element(name).write_text_content(BytesText::new(text)).map(drop)
}
