//! Commands of Sieve as actions.

use pennypost_model::{Keyword, MailboxId, SystemFlags};

use super::fault::{Position, SieveError, SieveFault};
use super::syntax::{Argument, Command, Piece, Value};
use super::{ANSWER_DAYS, DELETE};
use crate::address::MailAddress;
use crate::rules::{Folder, MAX_FORWARD_TARGETS, MAX_RULE_ACTIONS, RuleAction, RulesFault};

/// More than a rule does.
const TOO_MANY: SieveFault = SieveFault::Rules(RulesFault::Actions);

/// What the commands of a rule say.
#[derive(Debug, Default)]
pub(super) struct Done {
    pub(super) actions: Vec<RuleAction>,
    /// Where each of them stands.
    pub(super) places: Vec<Position>,
    pub(super) stop: bool,
    /// Where it is said to stay in the Inbox.
    pub(super) kept: Option<Position>,
    /// The last action is to delete, since it is forwarded without a copy: nothing else says so.
    pub(super) is_away: bool,
    /// Where it was forwarded without a copy.
    away: Option<Position>,
}

/// What is done with letters. What can't be said is put to the errors.
pub(super) fn actions<'a>(
    commands: impl IntoIterator<Item = &'a Command>,
    errors: &mut Vec<SieveError>,
) -> Done {
    let mut done = Done::default();
    for command in commands {
        if done.stop {
            errors.push(SieveFault::AfterStop.at(command.at));
            break;
        }
        if let Err(error) = done.take(command) {
            let is_full = error.fault == TOO_MANY;
            errors.push(error);
            if is_full {
                break;
            }
        }
    }
    let has_place = done.actions.iter().any(RuleAction::is_place);
    if let Some(at) = done.away.filter(|_| done.kept.is_none() && !has_place) {
        // What is forwarded and not kept lies in Trash.
        match done.push(RuleAction::Delete, at) {
            Ok(()) => done.is_away = true,
            Err(error) => errors.push(error),
        }
    }
    done
}

impl Done {
    fn push(&mut self, action: RuleAction, at: Position) -> Result<(), SieveError> {
        if self.actions.len() >= MAX_RULE_ACTIONS {
            return Err(TOO_MANY.at(at));
        }
        self.actions.push(action);
        self.places.push(at);
        Ok(())
    }

    fn take(&mut self, command: &Command) -> Result<(), SieveError> {
        let at = command.at;
        if command.name == "if" {
            return Err(SieveFault::Nested.at(at));
        }
        if command.block.is_some() || !command.tests.is_empty() {
            return Err(arguments(command).at(at));
        }
        let has_none = command.arguments.is_empty();
        match command.name.as_str() {
            "stop" if has_none => self.stop = true,
            "keep" if has_none => {
                if self.actions.iter().any(RuleAction::is_place) {
                    return Err(SieveFault::TwoPlaces.at(at));
                }
                self.kept = Some(at);
            }
            "discard" if has_none => self.put(RuleAction::Delete, at)?,
            "keep" | "stop" | "discard" => return Err(arguments(command).at(at)),
            "fileinto" => self.file(command)?,
            "addflag" => match command.arguments.as_slice() {
                [Argument { value: Value::Texts(flags), .. }] => self.flag(flags)?,
                _ => return Err(arguments(command).at(at)),
            },
            "redirect" => self.forward(command)?,
            "vacation" => self.answer(command)?,
            "reject" | "ereject" => match command.arguments.as_slice() {
                [Argument { value: Value::Texts(pieces), .. }] if pieces.len() == 1 => {
                    let said = pieces.iter().map(|piece| piece.text.as_str()).collect::<String>();
                    self.put(RuleAction::Refuse(said.replace("\r\n", "\n").trim().to_owned()), at)?;
                }
                _ => return Err(arguments(command).at(at)),
            },
            other => return Err(SieveFault::Command(other.to_owned()).at(at)),
        }
        Ok(())
    }

    fn put(&mut self, action: RuleAction, at: Position) -> Result<(), SieveError> {
        if self.kept.is_some() || self.actions.iter().any(RuleAction::is_place) {
            return Err(SieveFault::TwoPlaces.at(at));
        }
        self.push(action, at)
    }

    fn file(&mut self, command: &Command) -> Result<(), SieveError> {
        let (mut folder, mut is_trash) = (None, false);
        let mut rest = command.arguments.iter();
        while let Some(argument) = rest.next() {
            match &argument.value {
                Value::Tag(tag) => match tag.as_str() {
                    // It is there, or the rules are refused.
                    ":create" => {}
                    ":copy" => return Err(SieveFault::TwoPlaces.at(argument.at)),
                    ":flags" => match rest.next().map(|flags| &flags.value) {
                        Some(Value::Texts(flags)) => self.flag(flags)?,
                        _ => return Err(arguments(command).at(argument.at)),
                    },
                    ":specialuse" => match rest.next().map(|one| &one.value) {
                        Some(Value::Texts(pieces)) if matches!(pieces.as_slice(), [one] if one.text.eq_ignore_ascii_case("\\Trash")) =>
                        {
                            is_trash = true;
                        }
                        _ => return Err(SieveFault::Argument(tag.clone()).at(argument.at)),
                    },
                    _ => return Err(SieveFault::Argument(tag.clone()).at(argument.at)),
                },
                Value::Texts(pieces) if folder.is_none() && pieces.len() == 1 => {
                    folder = pieces.first();
                    is_trash |= argument.notes.iter().any(|note| note.text.trim() == DELETE);
                }
                _ => return Err(arguments(command).at(argument.at)),
            }
        }
        let Some(Piece { text, at }) = folder else { return Err(arguments(command).at(command.at)) };
        if is_trash {
            return self.put(RuleAction::Delete, command.at);
        }
        // Its id is found by its name.
        let folder = Folder { id: MailboxId::INBOX, name: text.clone() };
        self.put(RuleAction::Move(folder), *at)
    }

    fn flag(&mut self, flags: &[Piece]) -> Result<(), SieveError> {
        for Piece { text, at } in flags {
            // One string may name several.
            for flag in text.split(' ').filter(|flag| !flag.is_empty()) {
                let action = match SystemFlags::named(flag) {
                    Some(SystemFlags::SEEN) => RuleAction::MarkRead,
                    Some(SystemFlags::FLAGGED) => RuleAction::Flag,
                    Some(_) => return Err(SieveFault::Flags.at(*at)),
                    None if flag.starts_with('\\') => return Err(SieveFault::Flags.at(*at)),
                    None => {
                        let wrong = SieveFault::Rules(RulesFault::Label).at(*at);
                        RuleAction::Label(Keyword::parse(flag).ok_or(wrong)?)
                    }
                };
                self.push(action, *at)?;
            }
        }
        Ok(())
    }

    fn forward(&mut self, command: &Command) -> Result<(), SieveError> {
        let (mut target, mut is_copy) = (None, false);
        for argument in &command.arguments {
            match &argument.value {
                Value::Tag(tag) if tag == ":copy" => is_copy = true,
                Value::Tag(tag) => return Err(SieveFault::Argument(tag.clone()).at(argument.at)),
                Value::Texts(pieces) if target.is_none() && pieces.len() == 1 => target = pieces.first(),
                _ => return Err(arguments(command).at(argument.at)),
            }
        }
        let Some(Piece { text, at }) = target else { return Err(arguments(command).at(command.at)) };
        let to =
            MailAddress::parse(text).map_err(|error| SieveFault::Rules(RulesFault::Target(error)).at(*at))?;
        if !is_copy {
            self.away = self.away.or(Some(command.at));
        }
        match self.actions.last_mut() {
            Some(RuleAction::Forward(targets))
                if targets.len() < MAX_FORWARD_TARGETS && !targets.contains(&to) =>
            {
                targets.push(to);
                Ok(())
            }
            _ => self.push(RuleAction::Forward(vec![to]), *at),
        }
    }

    fn answer(&mut self, command: &Command) -> Result<(), SieveError> {
        let mut rest = command.arguments.iter();
        let mut said = None;
        while let Some(argument) = rest.next() {
            match &argument.value {
                Value::Tag(tag) if tag == ":days" => {
                    let is_known = rest.next().is_some_and(|days| days.value == Value::Number(ANSWER_DAYS));
                    if !is_known {
                        return Err(SieveFault::Vacation.at(argument.at));
                    }
                }
                Value::Texts(pieces) if said.is_none() && pieces.len() == 1 => said = pieces.first(),
                _ => return Err(SieveFault::Vacation.at(argument.at)),
            }
        }
        let Some(Piece { text, at }) = said else { return Err(arguments(command).at(command.at)) };
        self.push(RuleAction::Reply(text.replace("\r\n", "\n").trim().to_owned()), *at)
    }
}

fn arguments(command: &Command) -> SieveFault {
    SieveFault::Arguments(command.name.clone())
}
