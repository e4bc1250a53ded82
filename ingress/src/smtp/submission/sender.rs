//! As whom a member may write: asked at MAIL for the reverse-path, and for From and Sender when the message is there.

use std::sync::Arc;

use pennypost_directory::{ClientProtocol, DirectoryError, Voice};
use tokio::time::Instant;
use tracing::{info, warn};

use super::header::Header;
use crate::smtp::commands::Admitted;
use crate::smtp::reply::Reply;
use crate::smtp::session::Session;

/// A header that names those as whom the member may write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Checked {
    /// Does the message need a Sender field that it does not have?
    pub needs_sender: bool,
    /// As what the member writes as each author.
    pub voices: Vec<Voice>,
}

impl Session {
    /// May a member begin a transaction with this reverse-path?
    pub(in crate::smtp) async fn admit_member(&mut self, reverse_path: &str) -> Admitted {
        self.look_again().await.map_err(|reply| ("sign-in", reply))?;
        let Some(member) = &self.member else { return Err(("sign-in", self.sign_in_first())) };
        if let Some(reply) = member.sends_nothing() {
            info!(account = %member.key(), "may not send");
            return Err(("reach", reply));
        }
        // Reports of a program that a message was displayed come from nobody (RFC 8098 section 2.1).
        if !reverse_path.is_empty()
            && self.voice(reverse_path).await.map_err(|reply| ("directory", reply))?.is_none()
        {
            info!(account = %member.key(), "writes as somebody else");
            let text = "you may not send as this address: it is neither yours nor one that you represent";
            return Err(("sender", Reply::new(550, "5.7.1", text)));
        }
        if !self.adapter.smtp.by_account.take(member.key(), Instant::now()) {
            let text = "too many messages from you in a minute, try again later";
            return Err(("rate", Reply::new(451, "4.7.1", text)));
        }
        Ok(())
    }

    pub(super) fn sign_in_first(&self) -> Reply {
        let text = if self.stream.is_private() { "sign in first" } else { "use STARTTLS, then sign in" };
        Reply::new(530, "5.7.0", text)
    }

    /// Does what the session stands on hold? Asked now and then, as of every session of a member.
    pub(in crate::smtp) async fn look_again(&mut self) -> Result<(), Reply> {
        let adapter = Arc::clone(&self.adapter);
        let Some(member) = &mut self.member else { return Ok(()) };
        if member.checked.elapsed() < adapter.limits.recheck {
            return Ok(());
        }
        let found = adapter.still_stands(&member.standing, ClientProtocol::Smtp).await;
        match found.map_err(|error| unavailable(&error))? {
            Some(standing) => {
                member.standing = standing;
                member.checked = Instant::now();
            }
            None => {
                info!(account = %member.key(), "signed out: what the session stood on holds no more");
                self.member = None;
            }
        }
        Ok(())
    }

    /// As what whoever has signed in may write as that address.
    pub(super) async fn voice(&self, address: &str) -> Result<Option<Voice>, Reply> {
        let Some(member) = &self.member else { return Ok(None) };
        self.adapter.directory.voice(member.account(), address).await.map_err(|error| unavailable(&error))
    }

    /// May the member write as those whom the header names?
    pub(super) async fn check_header(&self, header: &Header) -> Result<Checked, Reply> {
        let mut voices = Vec::with_capacity(header.from.len());
        for author in &header.from {
            match self.voice(author).await? {
                Some(voice) => voices.push(voice),
                None => {
                    let text = "you may not write as the author in From: it is neither your address nor one that you \
                                represent";
                    return Err(Reply::new(550, "5.7.1", text));
                }
            }
        }
        let is_on_behalf = voices.contains(&Voice::OnBehalfOf);
        let Some(sender) = &header.sender else {
            // RFC 5322 section 3.6.2.
            return Ok(Checked { needs_sender: is_on_behalf || header.from.len() > 1, voices });
        };
        match self.voice(sender).await? {
            None | Some(Voice::OnBehalfOf) => {
                Err(Reply::new(550, "5.7.1", "you may not send as the address in Sender"))
            }
            Some(Voice::Group | Voice::InNameOf) if is_on_behalf => {
                let text = "you write on behalf of the author in From: Sender has to be your own address";
                Err(Reply::new(550, "5.7.1", text))
            }
            Some(_) => Ok(Checked { needs_sender: false, voices }),
        }
    }
}

pub(super) fn unavailable(error: &DirectoryError) -> Reply {
    warn!(%error, "a sender can't be looked up");
    Reply::later()
}
