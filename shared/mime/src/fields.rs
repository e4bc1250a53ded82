//! The header fields that parsing knows, collected in one pass over a header block.

use crate::header::header_fields;

/// Fields of the same name that are heeded in one header block.
const MAX_SAME: usize = 100;

/// Raw values of the known fields. Where a field must stand only once the first one counts; address fields
/// are all kept, as if they were one list: otherwise the address that was checked and the one that is shown
/// could differ.
#[derive(Debug, Default)]
pub(crate) struct Fields<'a> {
    pub content_type: Option<&'a [u8]>,
    pub content_transfer_encoding: Option<&'a [u8]>,
    pub content_disposition: Option<&'a [u8]>,
    pub content_id: Option<&'a [u8]>,
    pub content_description: Option<&'a [u8]>,
    pub content_md5: Option<&'a [u8]>,
    pub content_language: Option<&'a [u8]>,
    pub content_location: Option<&'a [u8]>,
    pub date: Option<&'a [u8]>,
    pub subject: Option<&'a [u8]>,
    pub from: Vec<&'a [u8]>,
    pub sender: Vec<&'a [u8]>,
    pub reply_to: Vec<&'a [u8]>,
    pub to: Vec<&'a [u8]>,
    pub cc: Vec<&'a [u8]>,
    pub bcc: Vec<&'a [u8]>,
    pub in_reply_to: Option<&'a [u8]>,
    pub message_id: Option<&'a [u8]>,
    pub references: Option<&'a [u8]>,
    pub thread_index: Option<&'a [u8]>,
    pub auto_submitted: Option<&'a [u8]>,
    pub precedence: Option<&'a [u8]>,
    pub list_id: Option<&'a [u8]>,
    /// There are other fields of lists (RFC 2369, RFC 8058).
    pub is_of_list: bool,
}

impl<'a> Fields<'a> {
    pub fn of(header: &'a [u8]) -> Fields<'a> {
        let mut fields = Fields::default();
        for (name, value, _) in header_fields(header) {
            fields.take(name, value);
        }
        fields
    }

    fn take(&mut self, name: &[u8], value: &'a [u8]) {
        let mut lower = [0; 25];
        let Some(lower) = lower.get_mut(..name.len()) else { return };
        lower.copy_from_slice(name);
        lower.make_ascii_lowercase();
        let once = match &*lower {
            b"content-type" => &mut self.content_type,
            b"content-transfer-encoding" => &mut self.content_transfer_encoding,
            b"content-disposition" => &mut self.content_disposition,
            b"content-id" => &mut self.content_id,
            b"content-description" => &mut self.content_description,
            b"content-md5" => &mut self.content_md5,
            b"content-language" => &mut self.content_language,
            b"content-location" => &mut self.content_location,
            b"date" => &mut self.date,
            b"subject" => &mut self.subject,
            b"in-reply-to" => &mut self.in_reply_to,
            b"message-id" => &mut self.message_id,
            b"references" => &mut self.references,
            b"thread-index" => &mut self.thread_index,
            b"auto-submitted" => &mut self.auto_submitted,
            b"precedence" => &mut self.precedence,
            b"list-id" => &mut self.list_id,
            b"from" => return push(&mut self.from, value),
            b"sender" => return push(&mut self.sender, value),
            b"reply-to" => return push(&mut self.reply_to, value),
            b"to" => return push(&mut self.to, value),
            b"cc" => return push(&mut self.cc, value),
            b"bcc" => return push(&mut self.bcc, value),
            name if name.starts_with(b"list-") => return self.is_of_list = true,
            _ => return,
        };
        once.get_or_insert(value);
    }
}

fn push<'a>(values: &mut Vec<&'a [u8]>, value: &'a [u8]) {
    if values.len() < MAX_SAME {
        values.push(value);
    }
}
