//! The organisation as an administrator meets it: departments, people, tags, groups, the recycle bin, tables.
//!
//! Feature TEN-10 (part): accounts suspended by the operator, which the tenant cannot lift
//! Feature ORG-02: rename, describe, move, order, remove when empty; members and departments counted; the organisation renamed
//! Feature ORG-09: departments, people and groups from XLSX, and CSV in UTF-8, UTF-16 or GB18030: dry run, progress, each bad row refused by itself with its reason
//! Feature ORG-13: accounts with passwords in bulk
//! Feature ORG-15: name, departments, title, numbers and note changed
//! Feature ORG-20: unbound: password and tokens open it no more; given to another member, or made a business mailbox
//! Feature ORG-21: deleted: out of every list at once, 30 days in the recycle bin
//! Feature ORG-22: deleted directly, and erased with its mail; backed up into another account by a command
//! Feature ORG-25 (part): tags over departments and accounts, as members of groups
//! Feature LOG-08: what operators import and export by commands is among the tasks when the command has ended
//! Feature ORG-28: the directory exported: departments, people and groups, or the members of a department
//! Feature BIZ-03: a member’s or an unbound mailbox made a business mailbox: no password, no personal data, mail stays
//! Feature BIZ-04: up to 5 aliases, disabled and enabled, withdrawn
//! Feature GRP-03 (part): members by account, group, department and tag
//! Feature GRP-05: representatives, who may always send to the group
//! Feature GRP-08: groups imported and exported with members and senders
//! Feature GRP-09: the mark that a group is shared
//! Feature GRP-10: a disabled group takes no mail

use std::collections::BTreeSet;

use pennypost_admin::{By, Call, Task, TaskState};
use pennypost_directory::Page;
use pennypost_mailstore::Incoming;
use pennypost_model::event::Via;
use pennypost_model::journal::Actor;
use pennypost_model::{FlagSet, MailboxId, Timestamp};
use pennypost_ports::{Consistency, Ids};
use serde_json::json;

use super::*;

impl Office {
    async fn resolves(&self, address: &str) -> String {
        match self.directory.resolve(address).await.expect(address) {
            Resolved::Local { recipients, .. } => {
                let mut names = Vec::new();
                for recipient in &recipients {
                    let account =
                        self.directory.account(recipient.account).await.expect("account").expect("account");
                    names.push(account.address.local().to_owned());
                }
                names.sort();
                let via: Via = recipients[0].via;
                format!("{via:?}: {}", names.join(" "))
            }
            Resolved::Disabled { .. } => "disabled".to_owned(),
            Resolved::UnknownUser { .. } => "unknown".to_owned(),
            other => format!("{other:?}"),
        }
    }

    async fn person(&self, address: &str, name: &str, options: &str) {
        let name = name.replace(' ', "_");
        self.good(&format!("account add {address} --name {name} --password-stdin{options}")).await;
    }
}

/// ORG-01, ORG-02, ORG-15, ORG-16, ORG-28.
#[tokio::test(flavor = "multi_thread")]
async fn departments_are_looked_after() {
    let office = Office::with_acme().await;
    assert_eq!(office.good("department add 研发").await, "added the department 研发 (#2)\n");
    office.good("ou add 研发/后端 --description what_runs").await;
    office.good("department add Sales").await;
    assert!(office.bad("department add Nowhere/Team").await.contains("“Nowhere”"));
    assert!(office.bad("department add sales").await.contains("already"));
    office.person("wang@acme.example", "王小明", " --department 研发/后端 --title Engineer").await;
    office.person("ann@acme.example", "Ann Wang", "").await;

    let listed = office.documents("department list").await;
    let shown: Vec<_> = listed
        .iter()
        .map(|row| {
            (row["department"].as_str().expect("path"), row["accounts"].as_u64(), row["departments"].as_u64())
        })
        .collect();
    let (one, none) = (Some(1), Some(0));
    assert_eq!(
        shown,
        [("/", one, Some(2)), ("研发", none, one), ("研发/后端", one, none), ("Sales", none, none)]
    );
    let csv = office.good("department list --csv").await;
    assert!(csv.starts_with("id,department,description,accounts,departments\n1,/,,1,2\n"), "{csv}");

    office
        .good("account edit ann@acme.example --department Sales --department 研发 --phone +86_10_1234")
        .await;
    let ann = office.documents("account show ann@acme.example").await.remove(0);
    assert_eq!((&ann["departments"], &ann["phone"]), (&json!([4, 2]), &json!("+86 10 1234")));
    assert!(office.good("account show ann@acme.example").await.contains("departments: Sales; 研发\n"));
    assert!(office.bad("account edit ann@acme.example --phone none").await.contains("phone"));
    let members = office.good("department members Sales --csv").await;
    assert_eq!(
        members,
        "name,address,title,phone,departments,state\nAnn Wang,ann@acme.example,,+86 10 1234,Sales; 研发,active\n"
    );
    office.good("account move ann@acme.example wang@acme.example --to 研发").await;
    assert_eq!(office.documents("department members 研发").await.len(), 2);

    office.good("department move 研发/后端 --under Sales").await;
    office.good("department move Sales --position 1").await;
    office.good("department edit Sales/后端 --name Backend").await;
    office.good("department edit / --name Acme_Ltd").await;
    assert!(office.bad("department move Sales --under Sales/Backend").await.contains("below itself"));
    let paths: Vec<_> =
        office.documents("department list").await.into_iter().map(|row| row["name"].clone()).collect();
    assert_eq!(paths, ["Acme Ltd", "Sales", "Backend", "研发"]);
    assert!(office.bad("department remove Sales").await.contains("not empty"));
    assert!(office.bad("department remove 研发").await.contains("not empty"));
    office.good("department remove Sales/Backend").await;
    office.good("department remove #4").await;
    assert_eq!(office.documents("department list").await.len(), 2);
}

/// Chinese, pinyin, initials, the beginning of the address.
#[tokio::test(flavor = "multi_thread")]
async fn people_are_found() {
    let office = Office::with_acme().await;
    office.person("xm.wang@acme.example", "王小明", "").await;
    office.person("ann@acme.example", "Ann Wang", "").await;
    for (text, count) in [("王", 1), ("小明", 1), ("wang", 2), ("wxm", 1), ("xm.w", 1), ("nobody", 0)] {
        assert_eq!(office.documents(&format!("account find {text}")).await.len(), count, "{text}");
    }
    assert_eq!(office.good("account find nobody").await, "nobody found\n");
    office.good("account edit xm.wang@acme.example --name 李雷").await;
    assert_eq!(office.documents("account find ll").await.len(), 1);
    assert_eq!(office.documents("account find wxm").await.len(), 0);
}

/// ORG-25, and tags as members of groups (GRP-03).
#[tokio::test(flavor = "multi_thread")]
async fn tags_mark_and_groups_follow_them() {
    let office = Office::with_acme().await;
    office.good("department add Sales").await;
    office.person("ann@acme.example", "Ann", "").await;
    office.person("bob@acme.example", "Bob", " --department Sales").await;
    office.good("tag add drivers").await;
    let marked = office.good("tag mark drivers ann@acme.example --department Sales").await;
    assert_eq!(marked, "the tag “drivers” marks 1 account and 1 department\n");
    assert_eq!(office.good("tag show drivers").await, "department: Sales\nann@acme.example\n");
    office.good("group add drive@acme.example").await;
    office.good("group rules drive@acme.example --tag drivers").await;
    assert_eq!(office.resolves("drive@acme.example").await, "Group: ann bob");
    office.good("tag mark drivers ann@acme.example --off").await;
    assert_eq!(office.resolves("drive@acme.example").await, "Group: bob");
    office.good("tag rename drivers chauffeurs").await;
    assert_eq!(office.good("tag list").await, "name\nchauffeurs\n");
    office.good("tag remove chauffeurs").await;
    assert_eq!(office.resolves("drive@acme.example").await, "disabled");
    assert!(office.bad("tag show chauffeurs").await.contains("“chauffeurs”"));
}

/// GRP-04 … GRP-06, GRP-09, GRP-10.
#[tokio::test(flavor = "multi_thread")]
async fn groups_have_rules_and_follow_departments() {
    let office = Office::with_acme().await;
    office.good("department add 研发部").await;
    office.good("department add 研发部/后端").await;
    office.person("ann@acme.example", "Ann", " --department 研发部").await;
    office.person("bob@acme.example", "Bob", " --department 研发部/后端").await;
    office.person("cyd@acme.example", "Cyd", "").await;
    let made = office.good("group for-department 研发部 --domain acme.example").await;
    assert_eq!(made, "yanfabu@acme.example is the group of 研发部\n");
    assert_eq!(office.resolves("yanfabu@acme.example").await, "Group: ann bob");
    assert!(office.good("group for-department 研发部 --domain acme.example").await.starts_with("yanfabu2@"));
    office.good("account move cyd@acme.example --to 研发部").await;
    assert_eq!(office.resolves("yanfabu@acme.example").await, "Group: ann bob cyd");
    office.good("account disable bob@acme.example").await;
    assert_eq!(office.resolves("yanfabu@acme.example").await, "Group: ann cyd");
    assert!(
        office.bad("group members yanfabu@acme.example --add ann@acme.example").await.contains("department")
    );
    assert!(office.bad("group rules yanfabu@acme.example --department /").await.contains("department"));

    let rules = "group rules yanfabu@acme.example";
    let shown = office.documents(rules).await.remove(0);
    assert_eq!((&shown["senders"], &shown["departments"]), (&json!("everyone"), &json!(["研发部"])));
    office
        .good(&format!(
            "{rules} --senders named --allow x@partner.example --representative ann@acme.example --shared on"
        ))
        .await;
    let shown = office.documents(&format!("{rules} --allow-department 研发部/后端")).await.remove(0);
    assert_eq!(shown["allowed"], json!(["x@partner.example"]));
    assert_eq!((&shown["allowed_departments"], &shown["shared"]), (&json!(["研发部/后端"]), &json!(true)));
    assert_eq!(shown["representatives"], json!(["ann@acme.example"]));
    office.good(&format!("{rules} --disabled on")).await;
    assert_eq!(office.resolves("yanfabu@acme.example").await, "disabled");
    office
        .good(&format!(
            "{rules} --disabled off --disallow x@partner.example --no-representative ann@acme.example"
        ))
        .await;
    assert_eq!(office.documents(rules).await[0]["allowed"], json!([]));
    assert!(office.good(rules).await.contains("who may send: only who is allowed\n"));
    office.good("group remove yanfabu@acme.example").await;
    assert!(office.bad(rules).await.contains("yanfabu@acme.example"));
    // A new one at the old address has none of its rules.
    office.good("group add yanfabu@acme.example ann@acme.example").await;
    assert_eq!(office.documents(rules).await[0]["senders"], "everyone");
}

/// ORG-08, ORG-17, ORG-18, ORG-20 … ORG-23, BIZ-03, BIZ-05, TEN-10.
#[tokio::test(flavor = "multi_thread")]
async fn accounts_end_and_come_back() {
    let office = Office::with_acme().await;
    let ann = "ann@acme.example";
    office.person(ann, "Ann", "").await;
    office.good(&format!("alias add a@acme.example {ann}")).await;
    office.good(&format!("account suspend {ann}")).await;
    office.good(&format!("account enable {ann}")).await;
    assert!(!office.can_sign_in(ann, "a good password").await);
    assert_eq!(office.resolves("a@acme.example").await, "disabled");
    assert_eq!(office.documents(&format!("account show {ann}")).await[0]["state"], "suspended");
    office.good(&format!("account resume {ann}")).await;
    assert!(office.can_sign_in(ann, "a good password").await);
    assert!(office.good(&format!("account show {ann}")).await.contains("aliases: a@acme.example\n"));

    assert_eq!(office.good("account bin").await, "the recycle bin is empty\n");
    office.good(&format!("account delete {ann}")).await;
    assert!(!office.can_sign_in(ann, "a good password").await);
    assert_eq!(office.resolves(ann).await, "disabled");
    assert_eq!(office.documents("account find ann").await.len(), 0);
    assert_eq!(office.documents("department members").await.len(), 0);
    assert!(office.good("account bin").await.contains("deleted"));
    assert!(office.bad(&format!("account delete {ann}")).await.contains("recycle bin"));
    assert!(office.bad(&format!("account add {ann} --password-stdin")).await.contains("taken"));
    office.good(&format!("account restore {ann}")).await;
    assert!(office.can_sign_in(ann, "a good password").await);
    assert_eq!(office.documents("account find ann").await.len(), 1);

    let token = office.documents(&format!("account token create {ann} --name phone")).await.remove(0);
    let token = token["token"].as_str().expect("token");
    office.good(&format!("account unbind {ann}")).await;
    assert!(office.bad(&format!("account restore {ann}")).await.contains("new owner"));
    let assigned =
        office.documents(&format!("account assign {ann} --name Carol --generate-password")).await.remove(0);
    let password = assigned["generated_password"].as_str().expect("password");
    assert!(office.can_sign_in(ann, password).await);
    assert!(!office.can_sign_in(ann, "a good password").await && !office.can_sign_in(ann, token).await);
    assert_eq!(office.documents("account find carol").await.len(), 1);

    office.good(&format!("account to-business {ann} --name Sales")).await;
    assert!(!office.can_sign_in(ann, password).await);
    assert!(office.bad(&format!("account passwd {ann} --password-stdin")).await.contains("not an account"));
    assert_eq!(office.resolves("a@acme.example").await, "Alias: ann");
    assert_eq!(office.documents("account find sales").await.len(), 0);
    assert!(office.bad(&format!("account delete {ann}")).await.contains("withdrawn"));
    for number in 1..5 {
        office.good(&format!("alias add a{number}@acme.example {ann}")).await;
    }
    assert!(office.bad(&format!("alias add a5@acme.example {ann}")).await.contains("at most 5"));
    office.good(&format!("account withdraw {ann}")).await;
    assert!(office.emptied.lock().is_empty());
    office.good("account erase --expired").await;
    assert!(office.emptied.lock().is_empty(), "its time is not over");
    office.good(&format!("account erase {ann}")).await;
    assert_eq!(office.emptied.lock().len(), 1);
    assert_eq!(office.resolves(ann).await, "unknown");
    assert_eq!(office.resolves("a3@acme.example").await, "unknown");
    let row = office.good("account bin").await;
    assert!(row.contains(ann) && row.contains("time is over"), "{row}");
    office.person(ann, "Another Ann", "").await;
    assert_eq!(office.resolves(ann).await, "Direct: ann");
    office.good(&format!("account expire {ann} --days 3")).await;
    assert!(office.documents(&format!("account show {ann}")).await[0]["expires"].is_string());
    office.good(&format!("account expire {ann} --never")).await;
}

/// ORG-09, ORG-13, ORG-28, GRP-08.
#[tokio::test(flavor = "multi_thread")]
async fn an_organisation_comes_from_tables_and_goes_into_tables() {
    let office = Office::with_acme().await;
    let folder = office.folder.path();
    let people = "姓名,邮箱,部门,职务,手机,别名,密码,状态\n\
                  王小明,wxm@acme.example,研发/后端; 销售,工程师,13800000000,xm@acme.example,a good password,\n\
                  李雷,ll@acme.example,研发,,,,,禁用\n\
                  公式,=1+1@acme.example,,,,,,\n\
                  空格,a b@acme.example,,,,,,\n\
                  ,,研发,,,,,\n\
                  重复,WXM@acme.example,,,,,,\n\
                  别名,zz@acme.example,,,,ll@acme.example,,\n\
                  短,short@acme.example,,,,,short,\n\
                  别处,x@other.example,,,,,,\n\
                  深,deep@acme.example,1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16,,,,,\n\
                  形似,\u{430}\u{441}\u{435}@acme.example,,,,,,\n\
                  电话,phone@acme.example,,,call me,,,\n\
                  状态,state@acme.example,,,,,,睡\n\
                  多,many@acme.example,,,,,,,,\n";
    std::fs::write(folder.join("people.csv"), encoding_rs::GB18030.encode(people).0).expect("written");
    let departments = "department,description\n研发,what makes\n市场/海外,\n/,\n";
    std::fs::write(folder.join("departments.csv"), format!("\u{feff}{departments}")).expect("written");
    let groups = "address,name,members,senders,allowed,shared\n\
                  outer@acme.example,Outer,inner@acme.example; ll@acme.example,named,x@partner.example,yes\n\
                  inner@acme.example,Inner,wxm@acme.example,,,\n\
                  ring@acme.example,Ring,ring@acme.example,,,\n\
                  ghost@acme.example,Ghost,nobody@acme.example,,,\n";
    std::fs::write(folder.join("groups.csv"), groups).expect("written");
    let files: Vec<_> = ["groups", "people", "departments"]
        .map(|name| folder.join(format!("{name}.csv")).display().to_string())
        .into();
    let import = format!("organisation import {}", files.join(" "));

    let dry = office.run(&format!("{import} --dry-run"), &[]).await;
    assert!(dry.output.starts_with("could add 5 departments, 2 accounts,"), "{}", dry.output);
    assert_eq!(office.documents("department list").await.len(), 1, "a dry run changes nothing");
    assert_eq!(office.good("account list").await, "there are no accounts yet\n");

    let done = office.run(&import, &[]).await;
    assert_eq!(done.output, "added 5 departments, 2 accounts, 2 groups\n", "{}", done.errors);
    assert_eq!(done.failure.as_deref(), Some("15 rows were refused"), "{}", done.errors);
    for expected in [
        "people.csv, line 4: “=1+1@acme.example” is a formula",
        "people.csv, line 5: “a b@acme.example” holds a blank",
        "people.csv, line 6: there is no address",
        "people.csv, line 7: wxm@acme.example stands in people.csv, line 2, already",
        "people.csv, line 8: ll@acme.example stands in people.csv, line 3, already",
        "people.csv, line 9: the password can’t be used: it has fewer than 8 characters",
        "people.csv, line 10: there is no domain other.example",
        "people.csv, line 11: departments may lie in departments up to 15",
        "people.csv, line 12: ",
        "people.csv, line 13: what is given for mobile",
        "people.csv, line 14: “睡” is not understood in the column “state”",
        "people.csv, line 15: the row has 10 cells, but there are 8 columns",
        "departments.csv, line 4: there is no department",
        "groups.csv, line 4: the group ring@acme.example would contain itself",
        "groups.csv, line 5: there is no account nobody@acme.example",
    ] {
        let count =
            done.errors.lines().filter(|line| line.starts_with(&format!("error: {expected}"))).count();
        assert_eq!(count, 1, "{expected}: {}", done.errors);
    }
    assert!(office.can_sign_in("wxm@acme.example", "a good password").await);
    assert_eq!(office.resolves("xm@acme.example").await, "Alias: wxm");
    assert_eq!(office.resolves("outer@acme.example").await, "Group: wxm");
    assert_eq!(office.resolves("ll@acme.example").await, "disabled");
    assert_eq!(office.documents("department members 研发/后端").await.len(), 1);
    assert_eq!(
        office.documents("group rules outer@acme.example").await[0]["allowed"],
        json!(["x@partner.example"])
    );
    assert_eq!(office.opened.lock().len(), 2);

    // What is there already is refused, or left out.
    let again = office.run(&import, &[]).await;
    assert_eq!(again.failure.as_deref(), Some("19 rows were refused"), "{}", again.errors);
    let skipped = office.run(&format!("{import} --skip-existing"), &[]).await;
    assert!(skipped.output.contains("4 rows were there already"), "{}", skipped.output);

    // Another organisation is made of the export, and exports the same.
    let export = |name: &str| folder.join(name).display().to_string();
    office.good(&format!("organisation export {}", export("one"))).await;
    assert!(office.bad(&format!("organisation export {}", export("one"))).await.contains("departments.csv"));
    let other = Office::with_acme().await;
    let files = ["departments", "people", "groups"].map(|name| format!("{}/{name}.csv", export("one")));
    let imported = other.run(&format!("organisation import {}", files.join(" ")), &[]).await;
    assert_eq!(imported.failure, None, "{}", imported.errors);
    other.good(&format!("organisation export {}", export("other"))).await;
    for name in ["departments", "people", "groups"] {
        let lines = |folder: &str| {
            let text = std::fs::read_to_string(format!("{}/{name}.csv", export(folder))).expect("exported");
            let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
            lines.sort();
            lines
        };
        assert_eq!(lines("one"), lines("other"), "{name}");
    }
    // Who looks at the tasks sees what commands have done: the import with what was refused, and three tables (LOG-08).
    let tasks = other.tasks().await;
    let names: BTreeSet<&str> = tasks.iter().map(|task| task.kind.object()).collect();
    let imported = "departments.csv, people.csv, groups.csv";
    assert_eq!(names, BTreeSet::from(["departments", "people", "groups", imported]));
    assert!(tasks.iter().all(|task| task.state == TaskState::Done && task.by == By::Operator));
    let import = tasks.iter().find(|task| task.kind.object() == imported).expect("there").counts;
    assert!(import.people > 0 && import.refused == 0, "{import:?}");
    assert!(office.tasks().await.iter().any(|task| task.counts.refused == 19));
    assert!(office.bad("organisation import /no/such.csv").await.contains("/no/such.csv"));
    std::fs::write(folder.join("bad.csv"), "colour\nred\n").expect("written");
    let bad = office.bad(&format!("organisation import {}", export("bad.csv"))).await;
    assert!(bad.contains("“colour”"), "{bad}");
    std::fs::write(folder.join("bad.csv"), b"address\n\xff\xff\n").expect("written");
    assert!(office.bad(&format!("organisation import {}", export("bad.csv"))).await.contains("GB18030"));
    let template = office.good("organisation template people").await;
    std::fs::write(folder.join("template.csv"), template.replace("example.com", "acme.example"))
        .expect("written");
    other.good("account delete wxm@acme.example").await;
    other.good("account erase wxm@acme.example").await;
    let imported = other.run(&format!("organisation import {}", export("template.csv")), &[]).await;
    assert_eq!(imported.failure, None, "{}", imported.errors);
}

impl Office {
    /// The tasks of the only tenant, the newest first.
    async fn tasks(&self) -> Vec<Task> {
        let tenant = self.directory.tenant_named("acme").await.expect("looked").expect("a tenant").id;
        self.administration.tasks(&Call::of_operator(), tenant, &Page::default()).await.expect("listed").items
    }
}

/// The same from a workbook that another program has written: formulas and merged cells are refused by row.
#[tokio::test(flavor = "multi_thread")]
async fn an_organisation_comes_from_a_workbook() {
    let office = Office::with_acme().await;
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/organisation/src/testdata/people.xlsx");
    let copy = office.folder.path().join("people.xlsx");
    std::fs::copy(file, &copy).expect("copied");
    let done = office.run(&format!("organisation import {}", copy.display()), &[]).await;
    assert_eq!(done.output, "added 4 departments, 1 account, 0 groups\n", "{}", done.errors);
    assert_eq!(done.failure.as_deref(), Some("3 rows were refused"));
    assert!(
        done.errors
            .starts_with("error: people.xlsx [成员], line 3: “=\"x\"&\"@acme.example\"” is a formula\n")
    );
    assert_eq!(done.errors.matches("merged cells").count(), 2);
    let shown = office.documents("account show wxm@acme.example").await.remove(0);
    assert_eq!((&shown["mobile"], &shown["number"]), (&json!("13800000000"), &json!("0017")));
    std::fs::write(&copy, b"PK\x03\x04 nothing").expect("written");
    assert!(office.bad(&format!("organisation import {}", copy.display())).await.contains("XLSX"));
}

/// Errors are said in the administrator's language.
#[tokio::test(flavor = "multi_thread")]
async fn the_organisation_speaks_chinese() {
    let mut office = Office::with_acme().await;
    office.lang = Lang::ZhCn;
    assert_eq!(office.good("department add 研发").await, "已添加部门 研发（#2）\n");
    assert_eq!(office.bad("department add 研发").await, "该处已有部门“研发”");
    let file = office.folder.path().join("people.csv");
    std::fs::write(&file, "邮箱\n=1\n").expect("written");
    let refused = office.run(&format!("organisation import {}", file.display()), &[]).await;
    assert_eq!(refused.errors, "错误：people.csv 第 2 行：“=1”是公式\n");
    assert!(office.good("organisation template groups").await.starts_with("邮箱,姓名,成员,部门,使用范围"));
}

/// Feature ORG-07: said by a command
#[tokio::test]
async fn limits_and_backups_are_ordered_by_commands() {
    let office = Office::with_acme().await;
    for local in ["ann", "bob"] {
        office.good(&format!("account add {local}@acme.example")).await;
    }
    let (ann, bob) = ("ann@acme.example", "bob@acme.example");
    let permitted = office.documents(&format!("account permit {ann} --send inside")).await;
    assert_eq!((&permitted[0]["send"], &permitted[0]["receive"]), (&json!("inside"), &json!("anyone")));
    office.documents(&format!("account permit {ann} --receive nobody")).await;
    let stored = office.directory.account_at(ann).await.expect("looked").expect("there");
    assert_eq!((stored.mail.send.name(), stored.mail.receive.name()), ("inside", "nobody"));

    let both = "--function sending --function mail-programs --reason spam";
    let blocked = office.documents(&format!("account block {ann} {both}")).await;
    assert_eq!(
        (&blocked[0]["blocked"], &blocked[0]["reason"]),
        (&json!(["sending", "mail-programs"]), &json!("spam"))
    );
    assert!(
        office.bad(&format!("account block {ann} --function api --reason spam")).await.contains("tenant")
    );
    office.good("tenant block acme --function api --reason misuse").await;
    assert!(office.good("tenant block acme --nothing").await.contains("nothing is blocked"));
    assert_eq!(office.documents(&format!("account block {ann} --nothing")).await[0]["blocked"], json!([]));

    let ann_key = stored.key;
    let event = RandomIds.event(office.directory.now());
    let letter = Incoming::prepare(b"Subject: x\r\n\r\nhello\r\n", event, FlagSet::default(), Timestamp(1));
    let state = office.store.load(ann_key, Consistency::Strong).await.expect("state");
    let letters = [letter.expect("prepared")];
    let storing = office.store.store(ann_key, state, &Actor::Admin, MailboxId::INBOX, &letters, |_| Ok(()));
    storing.await.expect("stored");
    assert!(office.bad(&format!("account back-up {ann} --into {bob}")).await.contains("recycle bin"));
    let done = office.documents(&format!("account back-up {ann} --into {bob} --delete")).await;
    assert_eq!((&done[0]["state"], &done[0]["messages"]), (&json!("done"), &json!(1)));
    let bob_key = office.directory.account_at(bob).await.expect("looked").expect("there").key;
    let state = office.store.load(bob_key, Consistency::Strong).await.expect("state");
    assert_eq!(state.mailbox_named("ann@acme.example/INBOX").expect("there").rows.len(), 1);
    office.good(&format!("account erase {ann}")).await;
    let rows = office.documents("account bin").await;
    assert_eq!((&rows[0]["address"], &rows[0]["state"]), (&json!(ann), &json!("expired")));
    assert!(rows[0]["erased"].is_string(), "{rows:?}");
}
