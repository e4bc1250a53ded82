//! What rules of the organisation say of what stands in a message (decision 0059): asked before the durable step, of the message as its
//! writer has it.

use std::sync::Arc;
use std::time::Duration;

use pennypost_directory::content::{ContentFilter, ContentVerdict};
use pennypost_directory::{content_letter, look_into};
use pennypost_model::event::Via;
use tokio::time::Instant;
use tracing::{error, info};

use super::sender::unavailable;
use crate::smtp::accept::Judged;
use crate::smtp::reply::Reply;
use crate::smtp::session::Session;
use crate::smtp::transaction::Transaction;

/// How long a message waits until it has been looked at: programs wait ten minutes for the reply (RFC 5321 section 4.5.3.2.6), few people do.
const PATIENCE: Duration = Duration::from_secs(60);
/// Why a message is refused, as refusals are counted.
const REASON: &str = "content";

impl Session {
    /// May the message go? Tells the rules that note it. Where the organisation has never said anything nothing is read, and no text
    /// is looked at.
    pub(in crate::smtp) async fn ask_for_contents(
        &mut self,
        judged: &mut Judged,
        transaction: &Transaction,
    ) -> Result<Vec<String>, Reply> {
        let Some(filter) = self.content_filter().await? else { return Ok(Vec::new()) };
        let outside = transaction.recipients.iter().filter(|one| one.via == Via::Outside).count();
        let elsewhere: usize = judged.kind.groups().iter().map(|group| group.members.len()).sum();
        let outside = outside + elsewhere;
        if filter.is_nothing_for(outside > 0) {
            return Ok(Vec::new());
        }
        let raw = std::mem::take(&mut judged.raw);
        let Some(tenant) = self.member.as_deref().map(|member| member.key().tenant) else {
            return Ok(Vec::new());
        };
        let asked = look_into(tenant, move || (filter.judge(&content_letter(&raw, outside)), raw));
        // Whoever has waited for longer may have gone, and come again with the same message.
        let asked = tokio::time::timeout(PATIENCE, asked).await;
        let asked = asked.map_err(|_| "it took too long".to_owned());
        let asked = asked.and_then(|asked| asked.map_err(|error| error.to_string()));
        let (verdict, raw) = asked.map_err(|cause| {
            error!(cause, "a message can't be looked into");
            Reply::later()
        })?;
        judged.raw = raw;
        match verdict {
            ContentVerdict::Goes { noted } => {
                if !noted.is_empty() {
                    info!(rules = ?noted, "rules about contents note this message");
                }
                Ok(noted)
            }
            ContentVerdict::Refused { rule, text } => {
                let account = self.member.as_deref().map(super::Member::key);
                info!(?account, rule, "a rule about contents refuses this message");
                // Whoever has not asked for UTF-8 gets ASCII.
                let text = if text.is_ascii() || transaction.utf8 {
                    text
                } else {
                    "a rule of your organisation does not let this message out: ask its administrators"
                        .to_owned()
                };
                Err(Reply::owned(550, "5.7.1", text).counted_as(REASON))
            }
        }
    }

    /// The rules about the member's messages; `None` if there are none. Asked as often as what the session stands on.
    async fn content_filter(&mut self) -> Result<Option<Arc<ContentFilter>>, Reply> {
        let recheck = self.adapter.limits.recheck;
        let Some(member) = &self.member else { return Ok(None) };
        if !member.standing.has_content_rules {
            return Ok(None);
        }
        let filter = match &member.contents {
            Some((asked, filter)) if asked.elapsed() < recheck => Arc::clone(filter),
            _ => {
                let asked = Instant::now();
                let found = self.adapter.directory.content_filter_of(&member.standing).await;
                let filter = found.map_err(|error| unavailable(&error))?;
                if let Some(member) = &mut self.member {
                    member.contents = Some((asked, Arc::clone(&filter)));
                }
                filter
            }
        };
        Ok(Some(filter).filter(|filter| !filter.is_empty()))
    }
}
