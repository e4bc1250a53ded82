//! A script as rules.

use super::actions::actions;
use super::conditions::{always, conditions};
use super::fault::{Position, SieveError, SieveFault};
use super::lexer::Note;
use super::syntax::{Block, Command, Test, Value, commands, test_in};
use super::{KNOWN, MAX_ERRORS, MAX_SCRIPT};
use crate::address::MailAddress;
use crate::rules::{Join, MAX_RULES, MemberRules, Moment, Rule, RuleAction, RulesError, RulesFault, fold};

/// Rules as a script says them, and where each stands in it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Imported {
    /// The rules; of folders their names alone count.
    pub rules: Vec<Rule>,
    places: Vec<Place>,
}

/// Where a rule stands, and its actions.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Place {
    rule: Position,
    actions: Vec<Position>,
    /// The last action is to delete, since nothing keeps what is forwarded.
    is_away: bool,
}

/// A `keep`: the letter lies in the Inbox, wherever else it goes.
#[derive(Debug, Clone, Copy)]
struct Kept {
    at: Position,
    /// So many rules stand before it.
    before: usize,
    /// Where those behind it begin, if it does not stop.
    behind: Option<usize>,
    /// It is said of every letter.
    is_always: bool,
}

impl Imported {
    /// What is wrong with the rules, at its place in the script.
    #[must_use]
    pub fn error(&self, RulesError { at, fault }: RulesError) -> SieveError {
        let mut numbers = at.split('/').filter_map(|part| part.parse::<usize>().ok());
        let place = numbers.next().and_then(|rule| self.places.get(rule));
        let is_action = at.contains("/actions/");
        let action = place.and_then(|place| place.actions.get(numbers.next().filter(|_| is_action)?));
        let at = action.copied().or(place.map(|place| place.rule)).unwrap_or(Position::FIRST);
        SieveFault::Rules(fault).at(at)
    }

    fn push(&mut self, rule: Rule, place: Place) {
        self.rules.push(rule);
        self.places.push(place);
    }
}

/// The rules that a script says; `own` are the account's addresses.
///
/// # Errors
/// All that rules can't say, [`MAX_ERRORS`] at most: then nothing of it is to be taken.
pub fn read(script: &str, own: &[MailAddress]) -> Result<Imported, Vec<SieveError>> {
    if script.len() > MAX_SCRIPT {
        return Err(vec![SieveFault::TooLong.at(Position::FIRST)]);
    }
    let script = script.strip_prefix('\u{feff}').unwrap_or(script);
    let script = script.replace("\r\n", "\n");
    let commands = commands(&script).map_err(|error| vec![error])?;
    let mut reading = Reading { own, imported: Imported::default(), kept: Vec::new(), errors: Vec::new() };
    reading.all(&commands);
    reading.keep();
    let Reading { mut imported, mut errors, .. } = reading;
    if errors.is_empty() {
        name_all(&mut imported.rules);
        let rules = MemberRules { rules: imported.rules.clone(), ..MemberRules::default() };
        if let Err(error) = rules.check() {
            errors.push(imported.error(error));
        }
    }
    if errors.is_empty() {
        return Ok(imported);
    }
    errors.sort_by_key(|error| error.at);
    errors.truncate(MAX_ERRORS);
    Err(errors)
}

struct Reading<'a> {
    own: &'a [MailAddress],
    imported: Imported,
    kept: Vec<Kept>,
    errors: Vec<SieveError>,
}

impl Reading<'_> {
    fn all(&mut self, commands: &[Command]) {
        let is_require = |command: &&Command| command.name == "require";
        let begin = commands.iter().take_while(is_require).count();
        let (required, mut rest) = commands.split_at(begin);
        for command in required {
            self.require(command);
        }
        while let Some((command, behind)) = rest.split_first() {
            if self.imported.rules.len() > MAX_RULES {
                self.errors.push(SieveFault::Rules(RulesFault::Rules).at(command.at));
                return;
            }
            match command.name.as_str() {
                "require" => self.errors.push(SieveFault::LateRequire.at(command.at)),
                "elsif" | "else" => self.errors.push(SieveFault::Else.at(command.at)),
                "if" => self.rule(command),
                _ => {
                    let is_bare = |command: &&Command| {
                        !matches!(command.name.as_str(), "require" | "elsif" | "else" | "if")
                    };
                    let count = rest.iter().take_while(is_bare).count();
                    let (bare, behind) = rest.split_at(count);
                    self.bare(bare);
                    rest = behind;
                    continue;
                }
            }
            rest = behind;
        }
    }

    fn require(&mut self, command: &Command) {
        let wrong = || SieveFault::Arguments(command.name.clone()).at(command.at);
        let [argument] = command.arguments.as_slice() else { return self.errors.push(wrong()) };
        let Value::Texts(names) = &argument.value else { return self.errors.push(wrong()) };
        for name in names {
            if !KNOWN.contains(&name.text.as_str()) {
                let shown = name.text.chars().take(80).collect();
                self.errors.push(SieveFault::Extension(shown).at(name.at));
            }
        }
    }

    /// Commands that are done with every letter.
    fn bare(&mut self, commands: &[Command]) {
        let Some(first) = commands.first() else { return };
        let done = actions(commands, &mut self.errors);
        if done.actions.is_empty() && !done.stop {
            // Only `keep`, which is what happens anyway, unless another rule says where it goes.
            let before = self.imported.rules.len();
            let is_known = self.kept.last().is_some_and(|last| last.before == before);
            if let Some(at) = done.kept.filter(|_| !is_known) {
                self.kept.push(Kept { at, before, behind: Some(before), is_always: true });
            }
            return;
        }
        let rule = Rule {
            name: named(&first.notes).unwrap_or_default(),
            enabled: true,
            moment: Moment::Receive,
            join: Join::All,
            conditions: vec![always()],
            actions: done.actions,
            stop: done.stop,
        };
        self.take(rule, first.at, done.places, (done.kept, done.is_away));
    }

    fn rule(&mut self, command: &Command) {
        let wrong = || SieveFault::Arguments(command.name.clone()).at(command.at);
        let ([test], Some(block), true) =
            (command.tests.as_slice(), &command.block, command.arguments.is_empty())
        else {
            return self.errors.push(wrong());
        };
        let Some((test, enabled)) = self.asked(test, block) else { return };
        let (join, conditions) = conditions(&test, self.own, &mut self.errors);
        let done = actions(&block.commands, &mut self.errors);
        let name = named(&command.notes).unwrap_or_default();
        let (moment, stop) = (Moment::Receive, done.stop);
        let rule = Rule { name, enabled, moment, join, conditions, actions: done.actions, stop };
        self.take(rule, command.at, done.places, (done.kept, done.is_away));
    }

    fn take(
        &mut self,
        rule: Rule,
        at: Position,
        actions: Vec<Position>,
        (kept, is_away): (Option<Position>, bool),
    ) {
        if let Some(at) = kept {
            let before = self.imported.rules.len();
            let behind = (!rule.stop).then_some(before + 1);
            let is_always = rule.enabled && rule.conditions == [always()];
            self.kept.push(Kept { at, before, behind, is_always });
        }
        self.imported.push(rule, Place { rule: at, actions, is_away });
    }

    /// What is kept lies in the Inbox, also if another rule says where it goes (RFC 5228 section 4.3): rules put a letter in one
    /// place, so they can say it only of what is forwarded, which then is not deleted.
    fn keep(&mut self) {
        let Reading { imported: Imported { rules, places }, kept, errors, .. } = self;
        for one in kept.iter().filter(|one| one.is_always) {
            // From rules that stop, and from those before them, no letter comes to it.
            let first = rules.iter().take(one.before).rposition(|rule| rule.stop).map_or(0, |last| last + 1);
            for (number, (rule, place)) in rules.iter_mut().zip(places.iter_mut()).enumerate() {
                let meets = (first..one.before).contains(&number)
                    || one.behind.is_some_and(|behind| number >= behind);
                if meets && place.is_away {
                    rule.actions.pop();
                    place.actions.pop();
                    place.is_away = false;
                }
            }
        }
        for one in kept.iter() {
            let two = rules.iter().zip(places.iter()).enumerate().find_map(|(number, (rule, place))| {
                let put = *place.actions.get(rule.actions.iter().position(RuleAction::is_place)?)?;
                let is_behind = one.behind.is_some_and(|behind| number >= behind);
                let is_before = number < one.before && !rule.stop;
                if is_before { Some(one.at) } else { is_behind.then_some(put) }
            });
            errors.extend(two.map(|at| SieveFault::TwoPlaces.at(at)));
        }
    }

    /// The test, and whether the rule is on: one that is off has its test in a comment behind `false`.
    fn asked(&mut self, test: &Test, block: &Block) -> Option<(Test, bool)> {
        if test.name != "false" {
            return Some((test.clone(), true));
        }
        let Some(note) = block.notes.first().filter(|_| test.arguments.is_empty() && test.tests.is_empty())
        else {
            self.errors.push(SieveFault::Test(test.name.clone()).at(test.at));
            return None;
        };
        match test_in(note) {
            Ok(test) => Some((test, false)),
            Err(error) => {
                self.errors.push(error);
                None
            }
        }
    }
}

/// The name that the last comment before a rule gives to it.
fn named(notes: &[Note]) -> Option<String> {
    let name = |note: &Note| {
        let name = note.text.trim().strip_prefix("rule:[")?.strip_suffix(']')?.trim();
        (!name.is_empty()).then(|| name.to_owned())
    };
    notes.iter().rev().find_map(name)
}

/// Gives names to rules that have none.
fn name_all(rules: &mut [Rule]) {
    let mut taken: Vec<String> = rules.iter().map(|rule| fold(rule.name.trim()).into_owned()).collect();
    let mut number = 0;
    for rule in rules.iter_mut().filter(|rule| rule.name.is_empty()) {
        let name = loop {
            number += 1;
            let name = format!("Rule {number}");
            if !taken.contains(&fold(&name).into_owned()) {
                break name;
            }
        };
        taken.push(fold(&name).into_owned());
        rule.name = name;
    }
}
