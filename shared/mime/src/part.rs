//! What a header block says about its part and its message: the metadata of BODYSTRUCTURE and ENVELOPE
//! (RFC 3501 section 7.4.2).

use pennypost_model::structure::{Envelope, Part, RawText};

use crate::address::addresses;
use crate::fields::Fields;
use crate::header::{MAX_TEXT, unfold};
use crate::parameter::{Parameters, parameterized};

/// Bytes of texts that one structure keeps in all.
const BUDGET: usize = 2 * 1024 * 1024;
/// Languages of one part that are told.
const MAX_LANGUAGES: usize = 20;

/// What is left of [`BUDGET`]. Where it is used up, texts become short or missing; the parts and their spans
/// stay exact.
pub(crate) struct Budget {
    left: usize,
}

impl Budget {
    pub fn new() -> Budget {
        Budget { left: BUDGET }
    }

    fn text(&mut self, value: &[u8]) -> RawText {
        let text = unfold(value, MAX_TEXT.min(self.left));
        self.left -= text.len();
        text
    }

    fn optional(&mut self, value: Option<&[u8]>) -> Option<RawText> {
        value.map(|value| self.text(value))
    }

    fn parameters(&mut self, mut parameters: Parameters) -> Parameters {
        parameters.retain(|(name, value)| {
            let size = name.len() + value.len();
            let fits = size <= self.left;
            self.left -= if fits { size } else { 0 };
            fits
        });
        parameters
    }

    fn addresses(&mut self, values: &[&[u8]]) -> Vec<pennypost_model::structure::Address> {
        let found = addresses(values, self.left);
        let texts = found.iter().flat_map(|a| [&a.name, &a.route, &a.mailbox, &a.host]).flatten();
        self.left = self.left.saturating_sub(texts.map(Vec::len).sum());
        found
    }
}

/// The metadata of a part, without spans and content; with the boundary if it is a multipart that has one.
pub(crate) fn part(fields: &Fields<'_>, in_digest: bool, budget: &mut Budget) -> (Part, Option<RawText>) {
    let (media_type, parameters) = media_type(fields.content_type, in_digest);
    let boundary = (media_type.0 == "multipart")
        .then(|| crate::parameter::find(&parameters, "boundary").map(<[u8]>::trim_ascii_end))
        .flatten()
        .filter(|boundary| !boundary.is_empty())
        .map(<[u8]>::to_vec);
    let encoding = fields.content_transfer_encoding.map(|value| parameterized(value).0);
    let disposition = fields
        .content_disposition
        .map(parameterized)
        .filter(|(kind, _)| !kind.is_empty())
        .map(|(kind, parameters)| (kind, budget.parameters(parameters)));
    let part = Part {
        media_type,
        parameters: budget.parameters(parameters),
        id: budget.optional(fields.content_id),
        description: budget.optional(fields.content_description),
        encoding: encoding.filter(|encoding| !encoding.is_empty()).unwrap_or_else(|| "7bit".to_owned()),
        md5: budget.optional(fields.content_md5),
        disposition,
        language: fields.content_language.map(|value| languages(value, budget)).unwrap_or_default(),
        location: budget.optional(fields.content_location),
        ..Part::default()
    };
    (part, boundary)
}

/// The type and parameters that Content-Type gives; the default where there is none or where it is no type
/// at all (RFC 2045 section 5.2, RFC 2046 section 5.1.5).
fn media_type(value: Option<&[u8]>, in_digest: bool) -> ((String, String), Parameters) {
    let own = |main: &str, sub: &str| (main.to_owned(), sub.to_owned());
    let default = if in_digest { own("message", "rfc822") } else { own("text", "plain") };
    let Some(value) = value else { return (default, Parameters::new()) };
    let (text, parameters) = parameterized(value);
    match text.split_once('/') {
        Some((main, sub)) if is_token(main) && is_token(sub) => (own(main, sub), parameters),
        // `Content-Type: text` is an old form of text/plain.
        None if text == "text" => (own("text", "plain"), parameters),
        _ => (default, Parameters::new()),
    }
}

fn is_token(text: &str) -> bool {
    !text.is_empty()
        && text.bytes().all(|byte| byte.is_ascii_graphic() && !b"()<>@,;:\\\"/[]?=".contains(&byte))
}

fn languages(value: &[u8], budget: &mut Budget) -> Vec<RawText> {
    let text = budget.text(value);
    let tags = text.split(|byte| *byte == b',').map(|tag| tag.trim_ascii().to_vec());
    tags.filter(|tag| !tag.is_empty()).take(MAX_LANGUAGES).collect()
}

/// The envelope of a message with these fields.
pub(crate) fn envelope(fields: &Fields<'_>, budget: &mut Budget) -> Envelope {
    let from = budget.addresses(&fields.from);
    let sender = budget.addresses(&fields.sender);
    let reply_to = budget.addresses(&fields.reply_to);
    // RFC 3501 section 7.4.2: the server fills these in from From.
    let or_from = |own: Vec<_>| if own.is_empty() { from.clone() } else { own };
    Envelope {
        date: budget.optional(fields.date),
        subject: budget.optional(fields.subject),
        sender: or_from(sender),
        reply_to: or_from(reply_to),
        to: budget.addresses(&fields.to),
        cc: budget.addresses(&fields.cc),
        bcc: budget.addresses(&fields.bcc),
        in_reply_to: budget.optional(fields.in_reply_to),
        message_id: budget.optional(fields.message_id),
        from,
    }
}
