//! What the sender of a letter is told that its recipient's rules refuse (RFC 5429), as an accepted message: a report (RFC 3464).

use pennypost_mailstore::accept::compressed;
use pennypost_mailstore::compress::decompress_header;
use pennypost_model::event::{Accepted, Body, Parsed, Recipient, Source, SourceKind, Via};
use pennypost_model::message::cut;
use pennypost_reports::{About, Action, Report, Told};
use pennypost_text::{Lang, Text, say};

use crate::answer::id_of;

/// Bytes of what the recipient says: it stands on one line, of 998 at most (RFC 5322 section 2.1.1).
const SAID: usize = 600;

/// What the recipient says, on one line.
fn on_one_line(said: &str) -> String {
    let words: Vec<&str> = said.split(|c: char| c.is_whitespace() || c.is_control()).collect();
    let words: Vec<&str> = words.into_iter().filter(|word| !word.is_empty()).collect();
    cut(&words.join(" "), SAID).to_owned()
}

fn cause(said: &str, lang: Lang) -> String {
    let text = Text::new(lang);
    if said.is_empty() {
        say!(text, "report-refused")
    } else {
        say!(text, "report-refused-says", said = said)
    }
}

/// The report for `to` that `recipient` refuses the letter and says this. From nobody, so that nobody is told of what becomes of it.
pub(crate) async fn refusal(
    parsed: &Parsed,
    recipient: &Recipient,
    to: Recipient,
    said: &str,
) -> Option<Accepted> {
    let accepted = &parsed.accepted;
    let id = id_of("refusal", accepted.id, recipient.account);
    let hostname = recipient.address.rsplit('@').next().unwrap_or_default();
    let header = match &accepted.body {
        Body::Inline(message) => decompress_header(message).ok(),
        // It is told which letter it was by whom it was for, and when.
        Body::Spooled { .. } => None,
    };
    // Of another server it is not known what it takes.
    let header = header.filter(|header| to.via != Via::Outside || header.is_ascii());
    let wishes = accepted.source.kind.wishes();
    let said = on_one_line(said);
    let told = Told {
        address: recipient.address.clone(),
        original: wishes.and_then(|wishes| wishes.of(&recipient.address)?.original.clone()),
        action: Action::Failed,
        // Delivery not authorised, message refused (RFC 3463 section 3.8).
        status: "5.7.1".to_owned(),
        cause: [cause(&said, Lang::En), cause(&said, Lang::ZhCn)],
        server: None,
        tried: None,
    };
    let report = Report {
        id,
        // The time of the letter, so that one that is made anew is the same.
        time: accepted.time,
        hostname,
        to: &to.address,
        arrived: accepted.time,
        envelope_id: wishes.and_then(|wishes| wishes.envelope_id.as_deref()),
        about: About::Failure,
        told: vec![told],
        letter: header.as_deref(),
        is_whole: false,
    };
    let is_outside = to.via == Via::Outside;
    let message = match compressed(if is_outside { report.seven_bit() } else { report.message() }).await {
        Ok(message) => message,
        Err(error) => {
            tracing::error!(account = %recipient.account, %error, "what refuses a letter can't be compressed");
            return None;
        }
    };
    let kind = if is_outside { SourceKind::Notice(recipient.account) } else { SourceKind::System };
    // It shows the header of what was private (RFC 8689 section 5).
    let kind = kind.private(accepted.source.kind.is_private());
    let source = Source { kind, ip: None, helo: String::new(), tls: None };
    let report = pennypost_reports::accepted((to.account, to.address.clone()), id, hostname, message);
    Some(Accepted { source, recipients: vec![to], ..report })
}
