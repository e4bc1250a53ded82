//! What the software says of itself, for the template: keys of tables, names of queues, what each function and the
//! adapter need.
//!
//! Owns `infra/facts.json`, from which `infra/generate.py` makes tables, queues, functions and permissions; a test
//! compares the file with the code. Touches no service.

use std::path::Path;

use pennypost_backend_aws::schema::{self, KeyAttribute, Table};
use pennypost_backend_aws::wakeups;
use pennypost_model::event::Stage;
use pennypost_runtime::Fusing;
use pennypost_runtime::needs::{self, Access, Kind, Kinds, Needs, ObjectAccess, Stages};
use serde_json::{Value, json};

/// What `serve` does on AWS when functions handle events: accounts and mail in every way but removing bytes of mail, and
/// it sends what it accepts; it answers the admin API, with the files of long operations, and letters in quarantine; in the log it notes sign-ins. Its
/// page for monitoring tells how full queues are.
fn adapter() -> Needs {
    Needs {
        name: "adapter",
        stages: Stages::NONE,
        journal: Access::ReadWrite,
        control: Access::ReadWrite,
        log: Access::Write,
        objects: ObjectAccess {
            read: Kinds::of(&[
                Kind::Pack,
                Kind::Base,
                Kind::Segment,
                Kind::Entry,
                Kind::Task,
                Kind::Quarantine,
            ]),
            write: Kinds::of(&[Kind::Pack, Kind::Spool, Kind::Entry, Kind::Task]),
            delete: Kinds::of(&[Kind::Entry, Kind::Task]),
            list: Kinds::of(&[Kind::Segment]),
        },
        raw_mail: false,
        sends: Stages::of(&[Stage::InboundParse, Stage::Housekeep]),
        measures: Stages::of(&QUEUES),
        dead_letters: false,
        wakes: true,
        ..needs::SCHEDULE
    }
}

/// The queues of an installation.
const QUEUES: [Stage; 7] = [
    Stage::InboundParse,
    Stage::PolicyFilter,
    Stage::Deliver,
    Stage::Notify,
    Stage::Housekeep,
    Stage::Receive,
    Stage::SendRemote,
];

/// The queues that it works when it handles events itself. What another service receives is a function's.
const HANDLED: [Stage; 6] = [
    Stage::InboundParse,
    Stage::PolicyFilter,
    Stage::Deliver,
    Stage::Notify,
    Stage::Housekeep,
    Stage::SendRemote,
];

/// The same when it handles events itself, whatever the fusing: what all functions need together.
fn handling_adapter() -> Needs {
    let stages = HANDLED.into_iter().map(needs::of_stage);
    let all = stages.chain([needs::SCHEDULE]).fold(adapter(), Needs::joining);
    Needs { name: "adapter", sends: Stages::of(&HANDLED), ..all }
}

/// The same when functions handle events, but for letters to other servers.
fn sending_adapter() -> Needs {
    Needs { name: "adapter", ..adapter().joining(needs::of_stage(Stage::SendRemote)) }
}

/// All of it.
#[must_use]
pub fn facts() -> Value {
    let queues = QUEUES.map(Stage::queue);
    json!({
        "tables": schema::TABLES.iter().map(table).collect::<Vec<_>>(),
        "queues": queues,
        "dead_letters": needs::DEAD_LETTERS,
        "suspects": needs::SUSPECTS,
        "adapters": wakeups::ADAPTERS,
        "raw_mail": needs::RAW_MAIL,
        "fused": functions(&Fusing::fused()),
        "unfused": functions(&Fusing::unfused()),
        "remote": json!(needs::of_stage(Stage::SendRemote)),
        "sending_adapter": running(&sending_adapter(), &[Stage::SendRemote.queue()]),
        "handling_adapter": running(&handling_adapter(), &HANDLED.map(Stage::queue)),
    })
}

/// The functions that there is a program for.
fn functions(fusing: &Fusing) -> Vec<Needs> {
    let programs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../functions/lambda/src/bin");
    let has_program = |needs: &Needs| programs.join(needs.name).with_extension("rs").exists();
    needs::functions(fusing).into_iter().filter(has_program).collect()
}

/// The needs of a process that no event starts and that takes messages from queues by itself.
fn running(needs: &Needs, receives: &[&str]) -> Value {
    let mut needs = json!(needs);
    for function_only in ["trigger", "memory_mb", "timeout_seconds"] {
        if let Some(fields) = needs.as_object_mut() {
            fields.remove(function_only);
        }
    }
    needs["receives"] = json!(receives);
    // Other processes ring at a queue that it makes for itself.
    needs["is_woken"] = json!(true);
    needs
}

fn table(table: &Table) -> Value {
    json!({
        "suffix": table.suffix,
        "partition": key(table.partition),
        "sort": key(table.sort),
        "ttl": table.ttl,
        "point_in_time_recovery": table.point_in_time_recovery,
    })
}

fn key(key: KeyAttribute) -> Value {
    json!({ "name": key.name, "type": key.of.code() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_says_what_the_code_says() {
        let file: Value = serde_json::from_str(include_str!("../../facts.json")).expect("JSON");
        let file = serde_json::to_string_pretty(&file).expect("JSON");
        let code = serde_json::to_string_pretty(&facts()).expect("JSON");
        for (number, (file, code)) in file.lines().zip(code.lines()).enumerate() {
            assert_eq!(
                file,
                code,
                "infra/facts.json, line {}: run cargo run -p pennypost-infra-facts infra/facts.json",
                number + 1
            );
        }
        assert_eq!(file.lines().count(), code.lines().count());
    }

    #[test]
    fn a_handling_adapter_needs_what_every_function_needs() {
        let whole = handling_adapter();
        for function in needs::functions(&Fusing::unfused()).iter().filter(|function| !function.raw_mail) {
            assert_eq!(whole.joining(*function), whole, "{}", function.name);
        }
    }
}
