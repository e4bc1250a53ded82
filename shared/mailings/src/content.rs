//! What a mailing says, and to whom: one object, which is read again and again while it goes.

use pennypost_model::codec::{self, CodecError, Versioned};
use pennypost_model::event::Wishes;
use serde::{Deserialize, Serialize};

use crate::table::Recipients;

/// Bytes of a body, as HTML and as text each.
pub const MAX_BODY: usize = 500_000;
/// Attachments of a mailing.
pub const MAX_ATTACHMENTS: usize = 10;
/// Bytes of them together.
pub const MAX_ATTACHED: usize = 2_000_000;

/// What a mailing says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Content {
    /// Another letter for each row of a table (PMG-01).
    Personal(Personal),
    /// The same letter to each recipient alone (SND-04).
    Individual(Individual),
}

/// A table and what is said of each of its rows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Personal {
    /// To whom.
    pub recipients: Recipients,
    /// What stands before the address of whoever writes.
    pub name: String,
    /// The subject, with variables.
    pub subject: String,
    /// The body.
    pub body: Body,
    /// What goes with every letter.
    pub attachments: Vec<Attachment>,
}

/// The body of personal letters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Body {
    /// The headings and the row (PMG-02).
    Table,
    /// Texts with variables (PMG-03).
    Template {
        /// As HTML.
        html: Option<String>,
        /// As text.
        text: Option<String>,
    },
}

/// A file that goes with every letter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attachment {
    /// What it is called.
    pub name: String,
    /// Its media type.
    pub media_type: String,
    /// Its bytes.
    #[serde(with = "serde_bytes")]
    pub bytes: Vec<u8>,
}

/// A letter that was handed in for several, each of whom is to see himself alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Individual {
    /// As it was put in order.
    #[serde(with = "serde_bytes")]
    pub raw: Vec<u8>,
    /// The addresses of RCPT, each once.
    pub addresses: Vec<String>,
    /// Reverse-path of MAIL.
    pub reverse_path: String,
    /// By which protocol it was handed in.
    pub protocol: String,
    /// The Bcc fields that were taken out.
    pub bcc: String,
    /// Fields of its receipt.
    pub receipt: String,
    /// The name of whoever handed it in, and its TLS.
    pub from: (String, Option<String>),
    /// Its subject.
    pub subject: String,
    /// Of what its sender wants to hear.
    pub wishes: Wishes,
    /// He does not want it to be read on its way (REQUIRETLS: RFC 8689).
    pub is_private: bool,
}

impl Versioned for Content {
    const KIND: &'static str = "mailing";
    const VERSION: u8 = 2;

    /// Programs of before would send what is private to anybody: they leave it to newer ones.
    fn version(&self) -> u8 {
        if self.is_private() { Self::VERSION } else { 1 }
    }

    fn upgrade(found: u8, body: &[u8]) -> Result<Content, CodecError> {
        match found {
            1 => codec::decode_without_last(Self::KIND, body),
            _ => Err(CodecError::Version { kind: Self::KIND, found, known: Self::VERSION }),
        }
    }
}

impl Content {
    /// Is it to be read by nobody on its way?
    #[must_use]
    pub const fn is_private(&self) -> bool {
        match self {
            Content::Personal(_) => false,
            Content::Individual(individual) => individual.is_private,
        }
    }

    /// To how many it goes.
    #[must_use]
    pub fn rows(&self) -> usize {
        match self {
            Content::Personal(personal) => personal.recipients.rows.len(),
            Content::Individual(individual) => individual.addresses.len(),
        }
    }

    /// Bytes, about, that it takes in memory.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        let bytes = match self {
            Content::Personal(personal) => {
                let cells = personal.recipients.rows.iter().flat_map(|row| &row.cells);
                let body = match &personal.body {
                    Body::Table => 0,
                    Body::Template { html, text } => {
                        html.as_ref().map_or(0, String::len) + text.as_ref().map_or(0, String::len)
                    }
                };
                let attached = personal.attachments.iter().map(|attachment| attachment.bytes.len());
                cells.map(String::len).sum::<usize>() + body + attached.sum::<usize>()
            }
            Content::Individual(individual) => individual.raw.len(),
        };
        bytes as u64
    }

    /// The address of one of them.
    #[must_use]
    pub fn address(&self, row: usize) -> &str {
        match self {
            Content::Personal(personal) => personal.recipients.address(row),
            Content::Individual(individual) => individual.addresses.get(row).map_or("", String::as_str),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_put_down_before_is_read_and_what_is_private_is_left_alone_by_programs_of_before() {
        let individual = |is_private| {
            Content::Individual(Individual {
                raw: b"Subject: hi\r\n\r\nhello\r\n".to_vec(),
                addresses: vec!["x@far.example".to_owned()],
                reverse_path: "ann@t.test".to_owned(),
                protocol: "ESMTPSA".to_owned(),
                bcc: String::new(),
                receipt: String::new(),
                from: (String::new(), None),
                subject: "hi".to_owned(),
                wishes: Wishes { full: Some(true), ..Wishes::default() },
                is_private,
            })
        };
        let written = codec::encode(&individual(false));
        assert_eq!((written[0], codec::decode(&written)), (1, Ok(individual(false))));
        assert_eq!(codec::decode(&written[..written.len() - 1]), Ok(individual(false)));
        let written = codec::encode(&individual(true));
        assert_eq!((written[0], codec::decode(&written)), (2, Ok(individual(true))));
    }
}
