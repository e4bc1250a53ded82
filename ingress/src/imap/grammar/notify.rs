//! NOTIFY (RFC 5465 section 3).

use super::cursor::{Cursor, Parse, SyntaxError};
use super::fetch::FetchItem;
use super::{Name, fetch, mailbox};

/// Groups of one NOTIFY.
const MAX_GROUPS: usize = 50;
/// Mailboxes of one group.
const MAX_MAILBOXES: usize = 1_000;
/// Events of one group.
const MAX_EVENTS: usize = 20;
/// Items that are fetched of new messages.
const MAX_ITEMS: usize = 50;

/// NOTIFY.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notify {
    /// NOTIFY NONE
    None,
    /// NOTIFY SET
    Set {
        /// Tell STATUS of the mailboxes now.
        status: bool,
        /// What is wanted of which mailboxes; the first group that names a mailbox counts.
        groups: Vec<EventGroup>,
    },
}

/// What is wanted of some mailboxes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventGroup {
    /// Of which.
    pub filter: Filter,
    /// What.
    pub events: Events,
}

/// Which mailboxes (RFC 5465 section 6).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Filter {
    /// `selected`
    Selected,
    /// `selected-delayed`: without expunges while no command allows them
    SelectedDelayed,
    /// `inboxes`: where mail is delivered
    Inboxes,
    /// `personal`: the member's own
    Personal,
    /// `subscribed`
    Subscribed,
    /// `subtree`: these and all below
    Subtree(Vec<Name>),
    /// `mailboxes`: these
    Mailboxes(Vec<Name>),
}

/// What is told (RFC 5465 section 5).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Events {
    /// MessageNew
    pub message_new: bool,
    /// What of new messages of the selected mailbox is fetched at once.
    pub fetch: Vec<FetchItem>,
    /// MessageExpunge
    pub message_expunge: bool,
    /// FlagChange
    pub flag_change: bool,
    /// MailboxName
    pub mailbox_name: bool,
    /// SubscriptionChange
    pub subscription_change: bool,
    /// Events that this server does not know.
    pub unknown: bool,
}

impl Notify {
    /// Reads the arguments.
    ///
    /// # Errors
    /// They are broken.
    pub fn parse(cursor: &mut Cursor<'_>) -> Parse<Notify> {
        if cursor.take_word("NONE") {
            return Ok(Notify::None);
        }
        if !cursor.take_word("SET") {
            return Err(SyntaxError("expected SET or NONE"));
        }
        cursor.space()?;
        let status = cursor.take_word("STATUS");
        if status {
            cursor.space()?;
        }
        let mut groups = vec![group(cursor)?];
        while cursor.take(b' ') {
            if groups.len() >= MAX_GROUPS {
                return Err(SyntaxError("too many event groups"));
            }
            groups.push(group(cursor)?);
        }
        Ok(Notify::Set { status, groups })
    }
}

fn group(cursor: &mut Cursor<'_>) -> Parse<EventGroup> {
    cursor.expect(b'(', "expected an event group")?;
    let filter = match () {
        () if cursor.take_word("selected-delayed") => Filter::SelectedDelayed,
        () if cursor.take_word("selected") => Filter::Selected,
        () if cursor.take_word("inboxes") => Filter::Inboxes,
        () if cursor.take_word("personal") => Filter::Personal,
        () if cursor.take_word("subscribed") => Filter::Subscribed,
        () if cursor.take_word("subtree") => Filter::Subtree(mailboxes(cursor)?),
        () if cursor.take_word("mailboxes") => Filter::Mailboxes(mailboxes(cursor)?),
        () => return Err(SyntaxError("unknown mailbox filter of NOTIFY")),
    };
    cursor.space()?;
    let events = if cursor.take_word("NONE") { Events::default() } else { events(cursor)? };
    cursor.expect(b')', "an event group does not end")?;
    let is_selected = matches!(filter, Filter::Selected | Filter::SelectedDelayed);
    if !is_selected && !events.fetch.is_empty() {
        return Err(SyntaxError("only of the selected mailbox can items be fetched"));
    }
    if is_selected && (events.mailbox_name || events.subscription_change) {
        return Err(SyntaxError("that event is not one of a selected mailbox"));
    }
    Ok(EventGroup { filter, events })
}

fn mailboxes(cursor: &mut Cursor<'_>) -> Parse<Vec<Name>> {
    cursor.space()?;
    if cursor.peek() == Some(b'(') { cursor.list(MAX_MAILBOXES, mailbox) } else { Ok(vec![mailbox(cursor)?]) }
}

fn events(cursor: &mut Cursor<'_>) -> Parse<Events> {
    let mut events = Events::default();
    cursor.list(MAX_EVENTS, |cursor| {
        match () {
            () if cursor.take_word("MessageNew") => {
                events.message_new = true;
                if cursor.rest().starts_with(b" (") {
                    cursor.space()?;
                    events.fetch = cursor.list(MAX_ITEMS, fetch::item)?;
                }
            }
            () if cursor.take_word("MessageExpunge") => events.message_expunge = true,
            () if cursor.take_word("FlagChange") => events.flag_change = true,
            () if cursor.take_word("MailboxName") => events.mailbox_name = true,
            () if cursor.take_word("SubscriptionChange") => events.subscription_change = true,
            () => {
                cursor.atom()?;
                events.unknown = true;
            }
        }
        Ok(())
    })?;
    // RFC 5465 section 5: new messages and expunges go together, and flags with both.
    if events.message_new != events.message_expunge || events.flag_change && !events.message_new {
        return Err(SyntaxError("MessageNew and MessageExpunge go together, and FlagChange with both"));
    }
    Ok(events)
}
