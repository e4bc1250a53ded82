//! Statistics as CSV, each with a line of names.

use pennypost_journeys::{Counts, Journey};
use pennypost_model::Timestamp;

use super::{DayOfMail, MailboxUse, MemberOfMail, MonthlyReport};
use crate::operations::quoted;

fn table(names: &str, rows: impl Iterator<Item = Vec<String>>) -> String {
    let mut text = format!("{names}\r\n");
    for row in rows {
        let cells: Vec<String> = row.iter().map(|cell| quoted(cell)).collect();
        text.push_str(&cells.join(","));
        text.push_str("\r\n");
    }
    text
}

/// The day of a time: `2026-11-20`.
fn day_name(day: Timestamp) -> String {
    day.rfc3339().chars().take(10).collect()
}

fn counts(counts: &Counts) -> [String; 4] {
    [counts.received, counts.received_bytes, counts.sent, counts.sent_bytes].map(|count| count.to_string())
}

/// What nothing is known of is an empty cell.
fn known(number: Option<u64>) -> String {
    number.map(|number| number.to_string()).unwrap_or_default()
}

fn day_cells(day: &DayOfMail) -> Vec<String> {
    let mut cells = vec![day_name(day.day)];
    match day.counted {
        Some(_) => cells.extend(counts(&day.counts)),
        None => cells.extend(std::iter::repeat_n(String::new(), 4)),
    }
    cells
}

/// Days with what was received and sent.
#[must_use]
pub fn days_csv(days: &[DayOfMail]) -> String {
    table("day,received,received_bytes,sent,sent_bytes", days.iter().map(day_cells))
}

/// Members with what they received and sent.
#[must_use]
pub fn members_csv(members: &[MemberOfMail]) -> String {
    let row = |member: &MemberOfMail| {
        let mut cells = vec![member.id.to_string()];
        let account = member.account.as_ref();
        cells.push(account.map(|account| account.address.to_string()).unwrap_or_default());
        cells.push(account.map(|account| account.display_name.clone()).unwrap_or_default());
        cells.extend(counts(&member.counts));
        cells
    };
    table("account,address,display_name,received,received_bytes,sent,sent_bytes", members.iter().map(row))
}

/// Mailboxes with what they hold.
#[must_use]
pub fn mailboxes_csv(mailboxes: &[MailboxUse]) -> String {
    let row = |mailbox: &MailboxUse| {
        let account = mailbox.account.as_ref();
        vec![
            mailbox.id.to_string(),
            account.map(|account| account.address.to_string()).unwrap_or_default(),
            account.map(|account| account.display_name.clone()).unwrap_or_default(),
            mailbox.used.bytes.to_string(),
            mailbox.used.messages.to_string(),
            known(mailbox.capacity),
            mailbox.taken.rfc3339(),
        ]
    };
    table("account,address,display_name,bytes,messages,capacity,taken", mailboxes.iter().map(row))
}

/// Letters.
#[must_use]
pub fn letters_csv(letters: &[Journey]) -> String {
    let row = |letter: &Journey| {
        let recipients = letter.recipients().map(|recipient| recipient.address.as_str());
        let mut recipients: Vec<&str> = recipients.collect();
        recipients.sort_unstable();
        recipients.dedup();
        vec![
            letter.id.to_string(),
            letter.id.time().rfc3339(),
            if letter.submitter().is_some() { "sent" } else { "received" }.to_owned(),
            letter.reverse_path().to_owned(),
            recipients.join("; "),
            letter.subject().to_owned(),
            known(letter.delivery.as_ref().map(|delivery| delivery.size)),
        ]
    };
    table("id,accepted,kind,sender,recipients,subject,size", letters.iter().map(row))
}

/// The days of a report.
#[must_use]
pub fn report_csv(report: &MonthlyReport) -> String {
    let rows = report.days.iter().map(|day| {
        let mut cells = day_cells(&day.mail);
        cells.push(day.signed_in.to_string());
        cells.push(known(day.used.map(|used| used.bytes)));
        cells.push(known(day.used.map(|used| used.messages)));
        cells
    });
    table("day,received,received_bytes,sent,sent_bytes,signed_in,used_bytes,messages", rows)
}
