//! NOTIFY (RFC 5465): changes of mailboxes are told as they come, of those and of the kinds that the client asked for.
//!
//! It shares its wake-up with IDLE: the news of live accounts. While no command runs the session waits for the client
//! and for news together ([`Session::wait_with_news`]); IDLE tells the same. What was told last is a state of the
//! account, which shares its chunks with the newest one: to find what changed looks at mailboxes, not at messages.
//!
//! Of other accounts' mailboxes only the selected one is watched; filters that name others match nothing, as section 6
//! wants it for what can't be watched.

use std::sync::Arc;
use std::time::Duration;

use pennypost_fold::name::SEPARATOR;
use pennypost_fold::{Mailbox, State};
use pennypost_model::{MailboxId, Uid};
use tokio::time::Instant;

use crate::imap::grammar::cursor::Cursor;
use crate::imap::grammar::{
    EventGroup, Events, Fetch, FetchItem, Filter, Name, Notify, SequenceSet, StatusItem,
};
use crate::imap::response::{Reply, mailbox_name};
use crate::imap::session::{Done, End, Session};
use crate::imap::view::{Movement, Told};

/// Where nothing happens, the account is looked at every so many times `limits.recheck`.
const SILENT_RECHECKS: u32 = 10;
/// Mailboxes between two chances for other sessions of this thread.
const BATCH: usize = 100;

/// What the client wants to be told.
pub(in crate::imap) struct Watch {
    groups: Vec<EventGroup>,
    /// What it knows of the member's own account.
    told: Arc<State>,
}

/// Does one of these names match?
fn any_is(names: &[Name], matches: impl Fn(&str) -> bool) -> bool {
    names.iter().flatten().any(|name| matches(name))
}

fn is_same(wanted: &str, name: &str) -> bool {
    wanted == name || (name == "INBOX" && wanted.eq_ignore_ascii_case(name))
}

impl Watch {
    /// What is wanted of the selected mailbox, and whether expunges wait.
    fn selected(&self) -> Option<(&Events, Movement)> {
        self.groups.iter().find_map(|group| match group.filter {
            Filter::Selected => Some((&group.events, Movement::Full)),
            Filter::SelectedDelayed => Some((&group.events, Movement::WithoutExpunge)),
            _ => None,
        })
    }

    /// What is wanted of the mailbox of this name: the first group that names it says so.
    fn of(&self, name: &str, id: Option<MailboxId>, state: &State) -> Option<&Events> {
        let group = self.groups.iter().find(|group| match &group.filter {
            Filter::Selected | Filter::SelectedDelayed => false,
            Filter::Personal => true,
            // Where mail is delivered if no rule of the member says otherwise.
            Filter::Inboxes => matches!(id, Some(MailboxId::INBOX | MailboxId::JUNK)),
            Filter::Subscribed => state.is_subscribed(name) || self.told.is_subscribed(name),
            Filter::Mailboxes(names) => any_is(names, |wanted| is_same(wanted, name)),
            Filter::Subtree(names) => any_is(names, |top| {
                let below = name.strip_prefix(top).is_some_and(|rest| rest.starts_with(SEPARATOR));
                below || is_same(top, name)
            }),
        })?;
        Some(&group.events)
    }
}

/// What happened to the messages of a mailbox.
struct Happened {
    messages: bool,
    flags: bool,
}

fn happened(old: &Mailbox, new: &Mailbox) -> Happened {
    let messages = old.highest_uid != new.highest_uid || old.rows.len() != new.rows.len();
    Happened { messages, flags: !messages && old.modseq != new.modseq && old.name == new.name }
}

impl Session {
    pub(super) async fn set_notify(&mut self, notify: Notify) -> Done {
        let (live, state) = match self.own().await {
            Ok(own) => own,
            Err(refused) => return Ok(refused),
        };
        let Notify::Set { status, groups } = notify else {
            self.notify = None;
            return Ok(Reply::ok("nothing more is told"));
        };
        if groups.iter().any(|group| group.events.unknown) {
            return Ok(Reply::no(
                "[BADEVENT (MessageNew MessageExpunge FlagChange MailboxName SubscriptionChange)] \
                 others are not told",
            ));
        }
        let watch = Watch { groups, told: Arc::clone(&state) };
        for (count, mailbox) in state.mailboxes().enumerate().filter(|_| status) {
            if count % BATCH == BATCH - 1 {
                tokio::task::yield_now().await;
            }
            let wanted =
                watch.of(&mailbox.name, Some(mailbox.id), &state).filter(|events| events.message_new);
            if let Some(events) = wanted.filter(|_| !self.is_selected(mailbox.id)) {
                let mut out = Vec::new();
                self.status_line(&mut out, live.key(), &mailbox.name, mailbox, &self.status_items(events));
                self.stream.write(&out);
                self.stream.relieve().await?;
            }
        }
        self.notify = Some(Box::new(watch));
        Ok(Reply::ok("from now on"))
    }

    /// Is this mailbox of the member's own account the selected one?
    fn is_selected(&self, id: MailboxId) -> bool {
        let own = self.signed_in.as_ref().map(|signed_in| signed_in.live.key());
        self.view.as_ref().is_some_and(|view| view.id == id && Some(view.account()) == own)
    }

    /// HIGHESTMODSEQ goes with flags, whatever the client has enabled (RFC 5465 section 5.3).
    fn status_items(&self, events: &Events) -> Vec<StatusItem> {
        let mut items =
            vec![StatusItem::Messages, StatusItem::UidNext, StatusItem::UidValidity, StatusItem::Unseen];
        if self.modes.condstore || events.flag_change {
            items.push(StatusItem::HighestModSeq);
        }
        items
    }

    /// Waits until the client says something, and tells the news meanwhile. Only with NOTIFY.
    pub(in crate::imap) async fn wait_with_news(&mut self) -> Result<(), End> {
        let deadline = Instant::now() + self.adapter.limits.imap.idle;
        let look = (self.adapter.limits.recheck * SILENT_RECHECKS).max(Duration::from_millis(100));
        let (Ok(own), Ok(selected)) = (self.live(), self.selected()) else { return Ok(()) };
        // Before the look at the journals, so that nothing falls between.
        let (mut news, mut news_there) = (own.news(), selected.news());
        while !self.stream.has_buffered_input() {
            self.recheck().await?;
            self.tell_selected().await?;
            self.tell_news().await?;
            self.stream.flush().await?;
            tokio::select! {
                // Also for whoever was disabled and hears nothing any more.
                () = tokio::time::sleep(look) => {}
                filled = self.stream.fill(deadline) => return filled.map(drop).map_err(End::from),
                changed = news.changed() => changed.map_err(|_| End::Bye("[UNAVAILABLE] the account is gone"))?,
                changed = news_there.changed() => changed.map_err(|_| End::Bye("[UNAVAILABLE] the account is gone"))?,
            }
        }
        Ok(())
    }

    /// Tells what happened in the selected mailbox, if that is wanted at once.
    async fn tell_selected(&mut self) -> Result<(), End> {
        let Some((events, movement)) = self.notify.as_ref().and_then(|watch| watch.selected()) else {
            return Ok(());
        };
        if !events.message_new {
            return Ok(());
        }
        let mut items = events.fetch.clone();
        if let Err(refused) = self.refreshed().await {
            // The next change or the next command shows it.
            tracing::warn!(text = %refused.text, "the journal can't be read");
            return Ok(());
        }
        let Some(view) = &mut self.view else { return Ok(()) };
        let known = view.shown().highest_uid;
        let state = Arc::clone(view.state());
        let mut out = Vec::new();
        view.advance(&state, movement, &Told::default(), self.modes.condstore, &mut out);
        let first =
            view.shown().rows.from_position(view.shown().rows.position_of(Uid(known.saturating_add(1))));
        let is_new = first.take(1).next().is_some();
        self.stream.write(&out);
        if !is_new || items.is_empty() {
            return Ok(());
        }
        let text = format!("{}:{}", known.saturating_add(1), u32::MAX);
        let Ok(set) = SequenceSet::parse(&mut Cursor::new(text.as_bytes())) else { return Ok(()) };
        if !items.contains(&FetchItem::Uid) {
            items.insert(0, FetchItem::Uid);
        }
        let fetch = Fetch { by_uid: true, set, items, changed_since: None, vanished: false, partial: None };
        Box::pin(self.fetch(&fetch, "")).await.map(drop)
    }

    /// Tells what happened in the member's own mailboxes but the selected one.
    pub(super) async fn tell_news(&mut self) -> Result<(), End> {
        if self.notify.is_none() {
            return Ok(());
        }
        let state = match self.own().await {
            Ok((_, state)) => state,
            Err(refused) => {
                tracing::warn!(text = %refused.text, "the journal can't be read");
                return Ok(());
            }
        };
        let Some(mut watch) = self.notify.take() else { return Ok(()) };
        let told = self.tell_between(&watch, &state).await;
        watch.told = state;
        self.notify = Some(watch);
        told
    }

    async fn tell_between(&mut self, watch: &Watch, new: &Arc<State>) -> Result<(), End> {
        let old = &watch.told;
        if old.seq == new.seq {
            return Ok(());
        }
        let gone = old.mailboxes().filter(|mailbox| new.mailbox(mailbox.id).is_none());
        for mailbox in gone {
            if watch.of(&mailbox.name, Some(mailbox.id), new).is_some_and(|events| events.mailbox_name) {
                self.name_line(&mailbox.name, "\\NonExistent", None).await?;
            }
        }
        for (count, mailbox) in new.mailboxes().enumerate() {
            if count % BATCH == BATCH - 1 {
                tokio::task::yield_now().await;
            }
            let before = old.mailbox(mailbox.id);
            if before.is_some_and(|before| Arc::ptr_eq(before, mailbox)) {
                continue;
            }
            let wanted = watch.of(&mailbox.name, Some(mailbox.id), new);
            let wanted_before = before.and_then(|before| watch.of(&before.name, Some(before.id), new));
            let tells_names = [wanted, wanted_before].into_iter().flatten().any(|events| events.mailbox_name);
            match before {
                None if tells_names => self.name_line(&mailbox.name, "", None).await?,
                Some(before) if tells_names && before.name != mailbox.name => {
                    self.name_line(&mailbox.name, "", Some(&before.name)).await?;
                }
                _ => {}
            }
            let Some(wanted) = wanted.filter(|_| !self.is_selected(mailbox.id)) else { continue };
            let what =
                before.map_or(Happened { messages: true, flags: false }, |before| happened(before, mailbox));
            if what.messages && wanted.message_new || what.flags && wanted.flag_change {
                self.news_status(mailbox, wanted).await?;
            }
        }
        for name in old.subscriptions().symmetric_difference(new.subscriptions()) {
            let mailbox = new.mailbox_named(name);
            let id = mailbox.map(|mailbox| mailbox.id);
            if watch.of(name, id, new).is_some_and(|events| events.subscription_change) {
                let attributes = match (new.is_subscribed(name), mailbox.is_some()) {
                    (true, true) => "\\Subscribed",
                    (true, false) => "\\Subscribed \\NonExistent",
                    (false, true) => "",
                    (false, false) => "\\NonExistent",
                };
                self.name_line(name, attributes, None).await?;
            }
        }
        Ok(())
    }

    async fn news_status(&mut self, mailbox: &Mailbox, events: &Events) -> Result<(), End> {
        let Ok(own) = self.live() else { return Ok(()) };
        let mut out = Vec::new();
        self.status_line(&mut out, own.key(), &mailbox.name, mailbox, &self.status_items(events));
        self.stream.write(&out);
        Ok(self.stream.relieve().await?)
    }

    /// The LIST line of a name that came, went or changed (RFC 5465 sections 5.4 and 5.5).
    async fn name_line(&mut self, name: &str, attributes: &str, old: Option<&str>) -> Result<(), End> {
        let mut out = format!("* LIST ({attributes}) \"{SEPARATOR}\" ").into_bytes();
        mailbox_name(&mut out, name, self.modes.names());
        if let Some(old) = old {
            out.extend_from_slice(b" (\"OLDNAME\" (");
            mailbox_name(&mut out, old, self.modes.names());
            out.extend_from_slice(b"))");
        }
        out.extend_from_slice(b"\r\n");
        self.stream.write(&out);
        Ok(self.stream.relieve().await?)
    }
}
