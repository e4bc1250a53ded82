//! COMPRESS (RFC 4978) and UNAUTHENTICATE (RFC 8437): whether they may be; what they do to the connection follows
//! the answer, in the session.

use super::Answer;
use crate::imap::response::Reply;
use crate::imap::session::Session;

impl Session {
    /// After sign-in only, so that strangers can't make us hold compressors.
    pub(super) fn may_compress(&self, mechanism: &str) -> Answer {
        self.live()?;
        if mechanism != "DEFLATE" {
            return Err(Reply::no("[CANNOT] only DEFLATE is known"));
        }
        if self.stream.is_compressed() {
            return Err(Reply::no("[COMPRESSIONACTIVE] the connection is compressed already"));
        }
        Ok(Reply::ok("compressed from here on"))
    }

    /// The session begins anew, with what was enabled and selected forgotten; TLS and compression stay
    /// (RFC 8437 section 3). Nothing is expunged.
    pub(super) fn may_sign_out(&mut self) -> Answer {
        self.live()?;
        self.view = None;
        Ok(Reply::ok("signed out, and whoever signs in next is welcome"))
    }
}
