use clap::Parser;

use super::*;
use crate::test_office::{self, TestOffice, documents, printed};
use crate::text::Lang;

#[derive(Debug, Parser)]
#[command(name = "pennypost")]
struct Program {
    #[command(subcommand)]
    command: AdministrationCommand,
}

/// What a command prints, or why it failed.
async fn done(it: &TestOffice, line: &str, json: bool) -> Result<Vec<String>, String> {
    let words = line.split(' ').map(|word| word.replace('_', " "));
    let program = Program::try_parse_from(std::iter::once("pennypost".to_owned()).chain(words));
    let program = program.map_err(|error| error.to_string())?;
    let text = Text::new(Lang::En);
    let mut failed = None;
    let lines = printed(json, async |output| {
        failed = run(&it.office, &program.command, &text, output).await.err();
    })
    .await;
    failed.map_or(Ok(lines), |failed| Err(failed.message(&text)))
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_shown_once_and_worth_nothing_afterwards() {
    let it = test_office::office().await;
    let made = documents(&done(&it, "key add hr --scope members:read,log:read", true).await.expect("made"));
    let (id, secret) = (made[0]["id"].as_str().expect("an id"), made[0]["key"].as_str().expect("a key"));
    assert!(secret.starts_with("ppk_"), "{secret}");
    let administration = it.office.administration();
    administration.authenticate(secret).await.expect("opens");
    let listed = done(&it, "key list", false).await.expect("listed");
    assert!(listed[1].contains("hr") && listed[1].contains("members:read,log:read"), "{listed:?}");
    assert!(!listed.join("").contains(&secret[40..]));
    done(&it, &format!("key revoke {id}"), false).await.expect("revoked");
    administration.authenticate(secret).await.expect_err("opens nothing");
    assert!(done(&it, &format!("key revoke {id}"), false).await.expect_err("gone").contains("key"));
    let refused = done(&it, "key add x --scope installation:read", false).await.expect_err("refused");
    assert!(refused.contains("permission"), "{refused}");
    done(&it, "key add ops --operator --scope installation:read", false).await.expect("made");
    assert!(done(&it, "key add x --scope members", false).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn roles_are_given_and_taken_and_the_log_tells() {
    let it = test_office::office().await;
    let address = it.account.address.to_string();
    done(&it, "role add Help_desk --permission members:write", false).await.expect("made");
    for bad in ["role add help_desk --permission log:read", "role add super --permission log:read"] {
        assert!(done(&it, bad, false).await.is_err(), "{bad}");
    }
    for given in ["help_desk", "super", "creator"] {
        done(&it, &format!("role grant {address} {given}"), false).await.expect("granted");
    }
    let holders = documents(&done(&it, "role holders", true).await.expect("listed"));
    assert_eq!(holders[0]["roles"], serde_json::json!(["creator"]));
    assert_eq!(holders[1]["roles"], serde_json::json!(["super", "Help desk"]));
    assert!(done(&it, "role remove help_desk", false).await.expect_err("held").contains("holds"));
    for taken in ["help_desk", "super"] {
        done(&it, &format!("role revoke {address} {taken}"), false).await.expect("taken");
    }
    done(&it, "role remove help_desk", false).await.expect("removed");
    let log = documents(&done(&it, "log list", true).await.expect("listed"));
    let actions: Vec<&str> = log.iter().filter_map(|record| record["action"].as_str()).collect();
    let expected = [
        "role.add",
        "grant.change",
        "grant.change",
        "creator.change",
        "grant.change",
        "grant.change",
        "role.remove",
    ];
    assert_eq!(actions, expected);
    let csv = done(&it, "log list --csv", false).await.expect("written");
    assert_eq!(csv.len(), log.len() + 1);
    assert!(csv[0].starts_with("seq,time,by"), "{csv:?}");
    assert_eq!(done(&it, "log list --from 2001-01-01 --to 2001-01-02", true).await, Ok(Vec::new()));
    assert!(done(&it, "log list --from yesterday", true).await.is_err());
}
