//! The subcommands as an administrator meets them: arguments in, texts out, on the embedded backend.
//!
//! Feature TEN-01: tenants, added and suspended by the operator's command
//! Feature DOM-02: several domains for a tenant, A-labels and U-labels
//! Feature GRP-01, GRP-02, GRP-11: groups, groups in groups to 5 levels, up to 500 members named, 1,000 accounts behind one
//! Feature CLI-09 (part): what to enter in a mail program, step by step for Outlook, Foxmail, Thunderbird and Apple Mail; a command, no page yet

use std::collections::VecDeque;
use std::io::Write;
use std::sync::Arc;

use clap::{CommandFactory, Parser};
use futures::FutureExt;
use parking_lot::Mutex;
use pennypost_admin::Administration;
use pennypost_backend_embedded::{Embedded, Options};
use pennypost_directory::{Directory, Resolved};
use pennypost_housekeep::KeptMail;
use pennypost_mailstore::Mailstore;
use pennypost_model::AccountKey;
use pennypost_ports::{RandomIds, SystemClock};
use serde_json::{Value, json};

mod organisation;

use super::*;
use crate::text::{Lang, Text};

#[derive(Debug, Parser)]
#[command(name = "pennypost")]
struct Program {
    #[command(subcommand)]
    command: AdminCommand,
}

/// Bytes that were printed.
#[derive(Clone, Default)]
struct Printed(Arc<Mutex<Vec<u8>>>);

impl Write for Printed {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Printed {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().clone()).expect("UTF-8")
    }
}

/// Somebody at the keyboard who types these lines.
struct Typist(Mutex<VecDeque<String>>);

impl Console for Typist {
    fn read_line(&self) -> std::io::Result<Option<String>> {
        Ok(self.0.lock().pop_front())
    }
    fn ask_secret(&self, _prompt: &str) -> std::io::Result<String> {
        self.0.lock().pop_front().ok_or_else(|| std::io::Error::other("no terminal"))
    }
}

struct Office {
    folder: tempfile::TempDir,
    directory: Directory,
    administration: Administration,
    store: Mailstore,
    opened: Arc<Mutex<Vec<AccountKey>>>,
    emptied: Arc<Mutex<Vec<AccountKey>>>,
    lang: Lang,
}

/// What a command printed, and what it failed with.
struct Outcome {
    output: String,
    errors: String,
    failure: Option<String>,
}

impl Outcome {
    fn documents(&self) -> Vec<Value> {
        self.output.lines().map(|line| serde_json::from_str(line).expect("a JSON line")).collect()
    }
}

impl Office {
    fn new() -> Office {
        let folder = tempfile::tempdir().expect("folder");
        let embedded =
            Embedded::open(&folder.path().join("data"), &Options { create: true, ..Options::tool() })
                .expect("opened");
        let (clock, ids) = (Arc::new(SystemClock), Arc::new(RandomIds));
        let directory = Directory::new(embedded.control(), Arc::clone(&clock) as _, Arc::clone(&ids) as _);
        let store = Mailstore::new(
            embedded.journal(),
            embedded.objects(),
            Arc::clone(&clock) as _,
            Arc::clone(&ids) as _,
        );
        let administration = Administration::new(directory.clone(), embedded.control(), clock, ids)
            .with_tasks(embedded.objects(), embedded.queue())
            .upon_mail(Arc::new(KeptMail::new(store.clone(), embedded.control())));
        Office {
            folder,
            directory,
            administration,
            store,
            opened: Arc::default(),
            emptied: Arc::default(),
            lang: Lang::En,
        }
    }

    async fn with_acme() -> Office {
        let office = Office::new();
        office.good("tenant add Acme").await;
        office.good("domain add acme.example --tenant acme").await;
        office
    }

    async fn run(&self, line: &str, typed: &[&str]) -> Outcome {
        let json = line.ends_with(" --json");
        let words = line.trim_end_matches(" --json").split(' ').map(|word| word.replace('_', " "));
        let program = Program::try_parse_from(std::iter::once("pennypost".to_owned()).chain(words));
        let program = program.unwrap_or_else(|error| panic!("{line}: {error}"));
        let (output, errors) = (Printed::default(), Printed::default());
        let opened = Arc::clone(&self.opened);
        let open_account: &OpenAccount = &move |key| {
            let opened = Arc::clone(&opened);
            async move {
                opened.lock().push(key);
                Ok(())
            }
            .boxed()
        };
        let emptied = Arc::clone(&self.emptied);
        let empty_account: &EmptyAccount = &move |key| {
            let emptied = Arc::clone(&emptied);
            async move {
                emptied.lock().push(key);
                Ok(())
            }
            .boxed()
        };
        let console = Typist(Mutex::new(typed.iter().map(|line| (*line).to_owned()).collect()));
        let context = AdminContext {
            console: &console,
            output: Mutex::new(Box::new(output.clone())),
            errors: Mutex::new(Box::new(errors.clone())),
            ..AdminContext::new(
                self.administration.clone(),
                Text::new(self.lang),
                json,
                open_account,
                empty_account,
            )
        };
        let failure = program.command.run(&context).await.err().map(|error| error.message(&context.text));
        Outcome { output: output.text(), errors: errors.text(), failure }
    }

    async fn good(&self, line: &str) -> String {
        let outcome = self.run(line, &["a good password", "a good password"]).await;
        assert_eq!(outcome.failure, None, "{line}");
        outcome.output
    }

    async fn bad(&self, line: &str) -> String {
        let outcome = self.run(line, &["a good password", "a good password"]).await;
        outcome.failure.unwrap_or_else(|| panic!("{line} succeeded: {}", outcome.output))
    }

    async fn documents(&self, line: &str) -> Vec<Value> {
        let outcome = self.run(&format!("{line} --json"), &["a good password"]).await;
        assert_eq!(outcome.failure, None, "{line}");
        outcome.documents()
    }

    async fn can_sign_in(&self, address: &str, password: &str) -> bool {
        self.directory.authenticate(address, password, [127, 0, 0, 1].into()).await.is_ok()
    }
}

#[test]
fn the_arguments_are_consistent_and_every_help_is_the_commands_own() {
    Program::command().debug_assert();
    let mut command = Program::command();
    for (path, about) in [
        (&["account", "add"][..], "Add an account, or many from a CSV file"),
        (&["account", "passwd"], "Change the password of an account"),
        (&["policy", "set"], "Set single values"),
        (&["policy", "show"], "Show the policy of a tenant"),
        (&["policy", "blacklist"], "Senders whose mail nobody gets"),
    ] {
        let mut found = &mut command;
        for name in path {
            found = found.find_subcommand_mut(name).expect("subcommand");
        }
        assert_eq!(found.get_about().map(ToString::to_string).as_deref(), Some(about), "{path:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_office_is_set_up_by_hand() {
    let office = Office::new();
    assert_eq!(office.good("tenant list").await, "there are no tenants yet\n");
    assert!(office.bad("domain add acme.example").await.contains("pennypost tenant add"));
    assert!(office.good("tenant add Acme").await.starts_with("added the tenant “Acme” ("));
    assert_eq!(office.bad("tenant add ACME").await, "there is a tenant “ACME” already");
    assert!(office.bad("domain add acme.example --tenant Nobody").await.contains("“Nobody”"));
    assert_eq!(office.good("domain add Acme.example").await, "added the domain acme.example\n");
    assert_eq!(office.bad("domain add acme.example").await, "the domain acme.example is taken");
    let added =
        office.good("account add Alice@acme.example --password-stdin --quota 20GB --name Alice_A").await;
    assert_eq!(added, "added the account alice@acme.example\n");
    assert_eq!(office.good("account add bob@acme.example").await, "added the account bob@acme.example\n");
    assert_eq!(office.opened.lock().len(), 2);
    assert!(office.can_sign_in("alice@acme.example", "a good password").await);
    let taken = office.bad("account add alice@acme.example --password-stdin").await;
    assert_eq!(taken, "the address alice@acme.example is taken by an account, alias or group");
    assert!(office.bad("account add x@other.example").await.contains("pennypost domain add other.example"));
    assert_eq!(office.opened.lock().len(), 2);

    assert_eq!(
        office.good("alias add sales@acme.example alice@acme.example").await,
        "added the alias sales@acme.example for 1 account\n"
    );
    assert_eq!(
        office.good("group add team@acme.example alice@acme.example bob@acme.example").await,
        "added the group team@acme.example with 2 members\n"
    );
    assert_eq!(
        office.good("group members team@acme.example").await,
        "alice@acme.example\nbob@acme.example\n"
    );
    let changed = office.good("group members team@acme.example --remove bob@acme.example").await;
    assert_eq!(changed, "the group team@acme.example has 1 member\n");
    let missing = office.bad("group members team@acme.example --remove bob@acme.example").await;
    assert_eq!(missing, "bob@acme.example is no member of the group");
    office.good("domain catch-all acme.example bob@acme.example").await;
    assert_eq!(office.documents("domain list").await[0]["catch_all"], "bob@acme.example");
    office.good("domain catch-all acme.example --off").await;
    assert_eq!(office.documents("domain list").await[0]["catch_all"], Value::Null);

    let table = office.good("account list").await;
    let lines: Vec<_> = table.lines().collect();
    assert_eq!(lines.len(), 3);
    assert!(lines[0].starts_with("address ") && table.contains("Alice A") && table.contains("20000000000"));
    let begin = |line: &str, word: &str| line.find(word).expect("word");
    let alice = lines.iter().find(|line| line.starts_with("alice")).expect("alice");
    assert_eq!(begin(lines[0], "state"), begin(alice, "active"));
    assert_eq!(office.good("alias list").await.lines().count(), 2);
    assert_eq!(office.good("group list").await.lines().count(), 2);
    office.good("alias remove sales@acme.example").await;
    assert_eq!(office.good("alias list").await, "there are no aliases yet\n");
    office.good("group remove team@acme.example").await;
    assert_eq!(office.good("group list").await, "there are no groups yet\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_is_changed() {
    let office = Office::with_acme().await;
    office.good("account add alice@acme.example").await;
    office.good("account quota alice@acme.example 5MiB").await;
    let shown = &office.documents("account show alice@acme.example").await[0];
    assert_eq!((&shown["quota_bytes"], &shown["capacity_bytes"]), (&json!(5 << 20), &json!(5 << 20)));
    office.good("account add bob@acme.example").await;
    let listed = office.documents("account list").await;
    let bob = listed.iter().find(|row| row["address"] == "bob@acme.example").expect("listed");
    assert_eq!((&bob["quota_bytes"], &bob["capacity_bytes"]), (&json!(null), &json!(10_000_000_000_u64)));
    assert!(office.good("account show alice@acme.example").await.contains("tenant: Acme\n"));
    office.good("account disable alice@acme.example").await;
    assert!(!office.can_sign_in("alice@acme.example", "a good password").await);
    let resolved = office.directory.resolve("alice@acme.example").await.expect("resolved");
    assert!(matches!(resolved, Resolved::Disabled { .. }));
    office.good("account enable alice@acme.example").await;
    assert!(office.can_sign_in("alice@acme.example", "a good password").await);
    let changed =
        office.run("account passwd alice@acme.example --password-stdin", &["another password"]).await;
    assert_eq!(changed.failure, None);
    assert!(!office.can_sign_in("alice@acme.example", "a good password").await);
    assert!(office.can_sign_in("alice@acme.example", "another password").await);

    let generated = office.documents("account passwd alice@acme.example --generate-password").await;
    let password = generated[0]["generated_password"].as_str().expect("password").to_owned();
    assert!(office.can_sign_in("alice@acme.example", &password).await);
    assert!(!office.good("account list").await.contains(&password));
    assert!(office.documents("account show alice@acme.example").await[0].get("generated_password").is_none());
    office.good("tenant suspend Acme").await;
    assert!(!office.can_sign_in("alice@acme.example", &password).await);
    office.good("tenant resume Acme").await;
    assert!(office.can_sign_in("alice@acme.example", &password).await);
    for line in ["account show", "account disable", "account enable", "account passwd"] {
        assert!(office.bad(&format!("{line} nobody@acme.example")).await.starts_with("there is no account"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn passwords_are_asked_for_twice_and_must_be_good() {
    let office = Office::with_acme().await;
    let add = "account add alice@acme.example";
    for (line, typed, expected) in [
        (add, &["one password", "other password"][..], "the two passwords differ"),
        (add, &["short", "short"], "the password can’t be used: it has fewer than 8 characters"),
        (add, &[], "no password: no terminal"),
        ("account add alice@acme.example --password-stdin", &[], "standard input has no line"),
        (
            "account add alice@acme.example --password-stdin",
            &[""],
            "the password can’t be used: it has fewer than 8 characters",
        ),
    ] {
        let failure = office.run(line, typed).await.failure.expect("refused");
        assert!(failure.starts_with(expected), "{failure}");
    }
    assert!(office.opened.lock().is_empty());
    assert_eq!(office.good("account list").await, "there are no accounts yet\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_is_changed_all_or_nothing() {
    let office = Office::with_acme().await;
    assert_eq!(office.documents("policy show").await[0]["version"], 0);
    let added = office.good("policy blacklist add Spam.example nasty@x.example").await;
    assert_eq!(added, "added: Spam.example\nadded: nasty@x.example\n");
    assert_eq!(office.good("policy blacklist add spam.example").await, "there already: spam.example\n");
    assert!(
        office
            .bad("policy blacklist add fine.example no@such@thing.example")
            .await
            .contains("no@such@thing.example")
    );
    office.good("policy whitelist add friend.example --tenant Acme").await;
    office.good("policy subject-filter add 发票").await;
    office.good("policy set --dmarc-reject off --junk-threshold -5").await;
    assert_eq!(office.bad("policy set").await, "nothing to set: give --dmarc-reject or --junk-threshold");
    let policy = office.documents("policy show").await.remove(0);
    assert_eq!(policy["blacklist"], serde_json::json!(["spam.example", "nasty@x.example"]));
    assert_eq!(policy["whitelist"], serde_json::json!(["friend.example"]));
    assert_eq!(policy["subject_filter"], serde_json::json!(["发票"]));
    assert_eq!((&policy["dmarc_reject"], &policy["junk_threshold"]), (&Value::Bool(false), &Value::from(-5)));
    assert_eq!(
        office.good("policy blacklist remove @spam.example other.example").await,
        "removed: @spam.example\nnot there: other.example\n"
    );
    assert!(office.good("policy show").await.contains("blacklist: nasty@x.example\n"));
    office.good("tenant add Second").await;
    assert!(office.bad("policy show").await.contains("--tenant"));
}

#[tokio::test(flavor = "multi_thread")]
async fn accounts_are_imported_and_exported() {
    let office = Office::with_acme().await;
    let file = office.folder.path().join("people.csv");
    let import = |options: &str| format!("account add --csv {}{options}", file.display());
    let rows = "\u{feff}name,Address,quota,password\n\
                \"Ann, the first\",ann@acme.example,1GB,ann's password\n\
                ,ben@acme.example,,\n\
                Cyd,cyd@acme.example,lots,cyd's password\n\
                Dan,dan@nowhere.example,,dan's password\n\
                Eve,eve@acme.example,,short\n\
                Ann,ANN@acme.example,,ann's password\n\
                no address at all\n";
    std::fs::write(&file, rows).expect("written");
    let dry = office.run(&import(" --dry-run"), &[]).await;
    let complaints: Vec<_> = dry.errors.lines().map(str::to_owned).collect();
    for (complaint, expected) in complaints.iter().zip([
        "error: line 4: “lots” is no size",
        "error: line 5: there is no domain nowhere.example",
        "error: line 6: the password can’t be used: it has fewer than 8",
        "error: line 7: ANN@acme.example stands twice",
        "error: line 8: “” is not a mail address",
    ]) {
        assert!(complaint.starts_with(expected), "{complaint}");
    }
    assert_eq!(complaints.len(), 5);
    assert_eq!(dry.failure.as_deref(), Some("5 rows failed, 2 succeeded"));
    assert_eq!(office.good("account list").await, "there are no accounts yet\n");

    let done = office.run(&format!("{} --json", import("")), &[]).await;
    assert_eq!(done.failure.as_deref(), Some("5 rows failed, 2 succeeded"));
    let documents = done.documents();
    assert_eq!(documents[0]["name"], "Ann, the first");
    assert_eq!(documents[0]["quota_bytes"], 1_000_000_000);
    assert!(documents[0].get("generated_password").is_none());
    let generated = documents[1]["generated_password"].as_str().expect("generated");
    assert!(office.can_sign_in("ben@acme.example", generated).await);
    assert!(office.can_sign_in("ann@acme.example", "ann's password").await);
    assert_eq!(office.opened.lock().len(), 2);

    // An export can be read by another office.
    let export = office.good("account list --csv").await;
    assert_eq!(export.lines().count(), 3);
    assert!(!export.contains("password") && export.contains("\"Ann, the first\""));
    let other = Office::with_acme().await;
    std::fs::write(&file, export).expect("written");
    let imported = other.run(&import(""), &[]).await;
    assert_eq!(imported.failure, None, "{}", imported.errors);
    assert!(imported.output.ends_with("added 2 accounts\n"));

    for (content, expected) in [
        ("", "the first line of"),
        ("name,quota\n", "the first line of"),
        ("address,address\n", "the first line of"),
        ("address,colour\n", "the first line of"),
    ] {
        std::fs::write(&file, content).expect("written");
        let failure = office.bad(&import("")).await;
        assert!(failure.starts_with(expected), "{failure}");
    }
    std::fs::write(&file, b"address\n\xff\xfe@acme.example\nfay@acme.example\n").expect("written");
    let garbage = office.run(&import(""), &[]).await;
    assert_eq!(garbage.failure.as_deref(), Some("one row failed, 1 succeeded"));
    assert_eq!(garbage.errors, "error: line 2: the text is not UTF-8\n");
    assert!(office.bad("account add --csv /no/such/file.csv").await.contains("cannot be read"));
}

#[tokio::test(flavor = "multi_thread")]
async fn it_speaks_chinese() {
    let mut office = Office::with_acme().await;
    office.lang = Lang::ZhCn;
    assert_eq!(
        office.good("account add 王@acme.example --password-stdin").await,
        "已添加账号 王@acme.example\n"
    );
    assert_eq!(office.bad("tenant add acme").await, "租户“acme”已存在");
    let table = office.good("tenant list").await;
    let lines: Vec<_> = table.lines().collect();
    assert!(lines[0].starts_with("名称") && lines[1].contains("正常"));
    // Machines are not spoken to in Chinese.
    assert_eq!(office.documents("tenant list").await[0]["state"], "active");
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_are_told_once_and_end_when_revoked() {
    let office = Office::with_acme().await;
    office.good("account add ann@acme.example").await;
    let list = "account token list ann@acme.example";
    assert_eq!(office.good(list).await, "the account has no tokens\n");

    let made = office.documents("account token create ann@acme.example --name test").await;
    let (id, token) = (made[0]["id"].as_str().expect("id"), made[0]["token"].as_str().expect("token"));
    assert_eq!(made[0]["scope"], serde_json::json!(["imap", "pop3", "smtp"]));
    assert!(made[0]["expires"].is_null());
    assert!(office.can_sign_in("ann@acme.example", token).await);
    let secret = &token[token.len() - 64..];

    let narrow = "account token create ann@acme.example --name an_old_phone --scope pop3 --expires 30";
    let said = office.good(narrow).await;
    assert!(
        said.starts_with("made the token “an old phone” for ann@acme.example\ntoken (shown only once): ")
    );
    let listed = office.documents(list).await;
    assert_eq!(listed.len(), 2);
    assert!(listed.iter().all(|row| row.get("token").is_none()), "{listed:?}");
    assert!(!office.good(list).await.contains(secret));
    let phone = listed.iter().find(|row| row["name"] == "an old phone").expect("listed");
    assert_eq!(phone["scope"], serde_json::json!(["pop3"]));
    assert!(phone["expires"].is_string());

    office.good(&format!("account token revoke ann@acme.example {id}")).await;
    assert!(!office.can_sign_in("ann@acme.example", token).await);
    assert_eq!(office.documents(list).await.len(), 1);
    let again = office.bad(&format!("account token revoke ann@acme.example {id}")).await;
    assert!(again.contains("pennypost account token list"), "{again}");
    assert!(office.bad("account token list nobody@acme.example").await.contains("nobody@acme.example"));
    for wrong in ["--expires 0", "--expires 4000", "--scope ftp"] {
        let line = format!("pennypost account token create a@b.example --name x {wrong}");
        assert!(Program::try_parse_from(line.split(' ')).is_err(), "{wrong}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_mail_programs_may_do_is_set_for_accounts_and_tenants() {
    let office = Office::with_acme().await;
    office.good("account add ann@acme.example").await;
    let rules = "account clients show ann@acme.example";
    let all = |pop3: bool, passwords: bool, deletes: bool| {
        let of = |open: bool, sees: bool| serde_json::json!({"open": open, "range": "all", "folders": sees, "junk": sees});
        let (imap, pop3) = (of(true, true), of(pop3, false));
        serde_json::json!({
            "imap": imap, "pop3": pop3, "passwords": passwords, "pop3_deletes": deletes,
            "smtp": {"open": true}, "sent_copies": true,
        })
    };
    assert_eq!(office.documents(rules).await[0], all(true, true, true));
    office.good("account clients set ann@acme.example --passwords off --pop3-deletes on").await;
    office.good("account clients set --tenant acme --pop3 off --pop3-deletes off").await;
    assert_eq!(office.documents(rules).await[0], all(false, false, true));
    office.good("account clients set ann@acme.example --pop3 on --pop3-deletes off").await;
    assert_eq!(office.documents(rules).await[0], all(false, false, false));
    let shown = office.good(rules).await;
    assert!(
        shown.starts_with("IMAP: yes\nIMAP sees mail of: all time\n") && shown.contains("\nPOP3: no\n"),
        "{shown}"
    );

    // CLI-04, CLI-05.
    office.good("account clients set ann@acme.example --imap-range 30-days --imap-folders off").await;
    office
        .good("account clients set --tenant acme --imap-range all --pop3-range 2-years --pop3-junk on")
        .await;
    let now = office.documents(rules).await.remove(0);
    let sees = |range, folders: bool, junk: bool| serde_json::json!({"open": true, "range": range, "folders": folders, "junk": junk});
    assert_eq!(now["imap"], sees("30-days", false, true));
    assert_eq!((&now["pop3"]["range"], &now["pop3"]["junk"]), (&"2-years".into(), &true.into()));
    // CLI-07, CLI-08: whoever may fetch in no way may not send.
    office.good("account clients set --tenant acme --sent-copies off --imap off").await;
    let now = office.documents(rules).await.remove(0);
    assert_eq!((&now["sent_copies"], &now["smtp"]["open"]), (&false.into(), &false.into()));
    office.good("account clients reset ann@acme.example").await;
    office.good("account clients reset --tenant acme").await;
    assert_eq!(office.documents(rules).await[0], all(true, true, true));
    for wrong in ["", "a@b.example", "--pop3 off", "a@b.example --tenant x --pop3 off"] {
        let line = format!("pennypost account clients set {wrong}");
        assert!(Program::try_parse_from(line.split_whitespace()).is_err(), "{wrong}");
    }
}

/// CLI-09: what a member is told is what the server is configured with, and what is open to them.
#[tokio::test(flavor = "multi_thread")]
async fn what_to_enter_in_a_mail_program_is_told() {
    let mut office = Office::with_acme().await;
    office.good("account add ann@acme.example").await;
    let file = office.folder.path().join("pennypost.toml");
    let config = "[adapter]\nhostname = \"mail.acme.example\"\n[listen]\nimaps = \"0.0.0.0:993\"\n\
                  pop3s = \"127.0.0.1:995\"\n";
    std::fs::write(&file, config).expect("written");
    let file = file.display().to_string();
    assert!(!file.contains(['_', ' ']), "the tests' words are split there: {file}");
    let setup = format!("account clients setup ann@acme.example --config {file}");

    let told = office.good(&setup).await;
    for line in [
        "account type: IMAP",
        "incoming mail server: mail.acme.example",
        "port: 993",
        "security: SSL/TLS",
        "user name: ann@acme.example",
        "outgoing mail server: mail.acme.example",
        "its port: 2465",
        "The program sees mail of all time.",
    ] {
        assert!(told.lines().any(|found| found == line), "{line}: {told}");
    }
    assert!(!told.contains("this machine only"), "{told}");
    let document = office.documents(&setup).await.remove(0);
    assert_eq!((&document["host"], &document["port"]), (&"mail.acme.example".into(), &993.into()));

    // Each program has its own steps, with the same entries in them.
    let mut steps = std::collections::BTreeSet::new();
    for program in ["outlook", "foxmail", "thunderbird", "apple-mail"] {
        for (protocol, port) in [("imap", "993"), ("pop3", "995")] {
            let told = office.good(&format!("{setup} --program {program} --protocol {protocol}")).await;
            let (_, how) = told.split_once("\n\n").expect("steps");
            for entry in
                [&protocol.to_uppercase(), "ann@acme.example", "mail.acme.example", port, "1. ", "\n2. "]
            {
                assert!(how.contains(entry), "{program}: {entry}: {how}");
            }
            steps.insert(how.to_owned());
        }
    }
    assert_eq!(steps.len(), 8);

    // What the member and the tenant have said changes what is told.
    let set = "account clients set ann@acme.example";
    office.good(&format!("{set} --pop3-range 7-days --pop3-deletes off --passwords off --imap off")).await;
    let told = office.good(&setup).await;
    for part in
        ["POP3", "port: 995", "this machine only", "the last 7 days", "stays on the server", "a token made"]
    {
        assert!(told.contains(part), "{part}: {told}");
    }
    let refused = office.run(&format!("{setup} --protocol imap"), &[]).await.failure;
    assert!(refused.expect("refused").starts_with("IMAP is closed for ann@acme.example"));
    office.lang = Lang::ZhCn;
    let told = office.good(&format!("{setup} --program foxmail --host pop.acme.example")).await;
    for part in ["收件服务器: pop.acme.example", "最近 7 天", "手动设置", "暂不支持向其他服务器发信"]
    {
        assert!(told.contains(part), "{part}: {told}");
    }
    office.good(&format!("{set} --pop3 off")).await;
    assert!(office.run(&setup, &[]).await.failure.is_some());
}

/// Feature LOG-06: commands of operators that change something are in the log, too, those that failed with the reason
#[tokio::test(flavor = "multi_thread")]
async fn commands_that_change_something_are_in_the_log_of_operations() {
    let office = Office::with_acme().await;
    let ann = "ann@acme.example";
    for line in [
        "account add ann@acme.example --password-stdin",
        "account passwd ann@acme.example --password-stdin",
        "account quota ann@acme.example 5GB",
        "account edit ann@acme.example --title Head",
        "department add Sales",
        "department edit Sales --description what_sells",
        "account move ann@acme.example --to Sales",
        "account disable ann@acme.example",
        "account enable ann@acme.example",
        "account suspend ann@acme.example",
        "account resume ann@acme.example",
        "account expire ann@acme.example --days 3",
        "alias add a@acme.example ann@acme.example",
        "alias remove a@acme.example",
        "group add team@acme.example ann@acme.example",
        "group members team@acme.example --remove ann@acme.example",
        "group rules team@acme.example --senders inside",
        "group remove team@acme.example",
        "tag add drivers",
        "tag mark drivers ann@acme.example",
        "tag rename drivers chauffeurs",
        "tag remove chauffeurs",
        "domain catch-all acme.example ann@acme.example",
        "policy blacklist add spam.example",
        "policy set --junk-threshold 40",
        "account token create ann@acme.example --name phone",
        "account delete ann@acme.example",
        "account erase ann@acme.example",
        "department remove Sales",
        "tenant suspend acme",
        "tenant resume acme",
    ] {
        office.good(line).await;
    }
    // What only looks leaves nothing; what fails is told, with the reason; where nobody's domain is, nothing is done.
    office.good("account list").await;
    office.bad("alias add b@acme.example nobody@acme.example").await;
    office.bad("alias add b@nowhere.example x@nowhere.example").await;
    let tenant = office.directory.tenant_named("acme").await.expect("looked").expect("there").id;
    let operator = pennypost_admin::Call::of_operator();
    let log = async |book| {
        let read = office.administration.operations(&operator, book, (None, None), 0, 100).await;
        read.expect("the log").0
    };
    let records = log(Some(tenant)).await;
    let actions: Vec<&str> = records.iter().map(|record| record.entry.action.as_str()).collect();
    let expected = [
        "domain.add",
        "account.add",
        "account.password",
        "account.change",
        "person.change",
        "department.add",
        "department.change",
        "person.change",
        "account.change",
        "account.change",
        "account.suspend",
        "account.suspend",
        "account.expire",
        "alias.add",
        "alias.remove",
        "group.add",
        "group.change",
        "group.change",
        "group.remove",
        "tag.add",
        "tag.change",
        "tag.change",
        "tag.remove",
        "domain.change",
        "policy.change",
        "policy.change",
        "token.add",
        "account.delete",
        "account.erase",
        "department.remove",
        "tenant.state",
        "tenant.state",
        "alias.add",
        "alias.add",
    ];
    assert_eq!(actions, expected);
    let of_ann = records.iter().filter(|record| record.entry.object == ann).count();
    assert_eq!(of_ann, 13);
    assert!(records.iter().all(|record| record.entry.by == pennypost_admin::By::Operator));
    let last = records.last().expect("records");
    assert!(last.entry.outcome.reason().contains("nobody@acme.example"), "{last:?}");
    let text = format!("{records:?}");
    assert!(!text.contains("a good password"), "{text}");
    let opened: Vec<String> = log(None).await.into_iter().map(|record| record.entry.action).collect();
    assert_eq!(opened, ["tenant.add"]);
    assert_eq!(office.administration.check_operations(Some(tenant)).await.expect("reads").wrong, [""; 0]);
}
