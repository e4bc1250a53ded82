//! `/quarantine/…`: where a member releases a letter of which a summary told him (RCV-11). What follows the last slash was in that
//! summary.
//!
//! Looking at the page does nothing: programs open links in letters on their own. A POST does it, whatever its body says.

use axum::extract::{Path, Request, State};
use axum::response::Response;
use pennypost_admin::HeldLetter;

use crate::language::Language;
use crate::rest::Rest;
use crate::rest::friends::{caller, escaped, must_not_hurry, page_of};
use crate::rest::problem::Refusal;

/// Where it is.
pub(super) const PATH: &str = "/quarantine/{link}";

/// The page, with its button.
pub(super) async fn page(State(rest): State<Rest>, Path(link): Path<String>, request: Request) -> Response {
    let (language, client) = caller(&request);
    let found = async {
        must_not_hurry(&rest, client)?;
        rest.administration.letter_behind_link(&link).await.map_err(Refusal::from)
    };
    match found.await {
        Ok(held) => page_of(language, &asked(language, &held)),
        Err(refusal) => refusal.say(language),
    }
}

/// Does it.
pub(super) async fn answer(State(rest): State<Rest>, Path(link): Path<String>, request: Request) -> Response {
    let (language, client) = caller(&request);
    let released = async {
        must_not_hurry(&rest, client)?;
        rest.administration.release_by_link(&link, client).await.map_err(Refusal::from)
    };
    match released.await {
        Ok(held) => page_of(language, &done(language, &held)),
        Err(refusal) => refusal.say(language),
    }
}

fn named(language: Language, held: &HeldLetter) -> String {
    let (from, subject) = (escaped(&held.from.address), escaped(&held.subject));
    match language {
        Language::English => format!("From {from}: {subject}"),
        Language::Chinese => format!("发件人 {from}：{subject}"),
    }
}

/// What is asked: a heading, and a form whose button does it.
fn asked(language: Language, held: &HeldLetter) -> (&'static str, String) {
    if held.state.is_released() {
        return done(language, held);
    }
    let (letter, button) = (named(language, held), language.say("Release", "放行"));
    let title = language.say("A letter in quarantine", "隔离的邮件");
    (title, format!("<p>{letter}</p><form method=\"post\"><button>{button}</button></form>"))
}

/// What was done.
fn done(language: Language, held: &HeldLetter) -> (&'static str, String) {
    let (letter, address) = (named(language, held), escaped(&held.address));
    let text = match language {
        Language::English => format!("It is on its way to {address}."),
        Language::Chinese => format!("正在投递到 {address}。"),
    };
    (language.say("Released", "已放行"), format!("<p>{letter}</p><p>{text}</p>"))
}
