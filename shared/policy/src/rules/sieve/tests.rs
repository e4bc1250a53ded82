use pennypost_model::{Keyword, MailboxId, Timestamp};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::*;
use crate::rules::{
    Condition, Folder, Join, MAX_FORWARD_TARGETS, MemberRules, Moment, Rule, RuleAction, RulesFault, Words,
};

const NOW: Timestamp = Timestamp(1_795_411_800_000);

fn own() -> Vec<MailAddress> {
    let address = |text: &str| MailAddress::parse(text).expect("an address");
    vec![address("ann@acme.example"), address("a*b@acme.example")]
}

fn words(join: Join, words: &[&str]) -> Words {
    Words { join, words: words.iter().map(|word| (*word).to_owned()).collect() }
}

fn rule(name: &str, conditions: Vec<Condition>, actions: Vec<RuleAction>) -> Rule {
    let (moment, join) = (Moment::Receive, Join::All);
    Rule { name: name.to_owned(), enabled: true, moment, join, conditions, actions, stop: false }
}

fn folder(name: &str) -> RuleAction {
    RuleAction::Move(Folder { id: MailboxId::INBOX, name: name.to_owned() })
}

/// What a script says, and where it is wrong.
fn wrong(script: &str) -> Vec<(usize, usize, SieveFault)> {
    let errors = read(script, &own()).expect_err(script);
    for error in &errors {
        assert!(!error.chinese().is_ascii() && !error.to_string().is_empty());
    }
    errors.into_iter().map(|error| (error.at.line, error.at.column, error.fault)).collect()
}

fn good(script: &str) -> Vec<Rule> {
    read(script, &own()).unwrap_or_else(|errors| panic!("{script}: {errors:?}")).rules
}

/// As rules are when they are written and read again: flags stand before what is sent, and that before where the letter goes.
fn in_order(mut rule: Rule) -> Rule {
    let number = |action: &RuleAction| match action {
        RuleAction::Label(_) | RuleAction::MarkRead | RuleAction::Flag => 0,
        RuleAction::Forward(_) | RuleAction::Reply(_) => 1,
        RuleAction::Move(_) | RuleAction::Delete | RuleAction::Refuse(_) => 2,
    };
    rule.actions.sort_by_key(number);
    let mut actions: Vec<RuleAction> = Vec::new();
    for action in rule.actions {
        let RuleAction::Forward(to) = &action else {
            actions.push(action);
            continue;
        };
        for to in to {
            match actions.last_mut() {
                Some(RuleAction::Forward(targets))
                    if targets.len() < MAX_FORWARD_TARGETS && !targets.contains(to) =>
                {
                    targets.push(to.clone());
                }
                _ => actions.push(RuleAction::Forward(vec![to.clone()])),
            }
        }
    }
    Rule { actions, ..rule }
}

#[test]
fn what_is_written_reads_as_people_would_write_it() {
    let mut bills = rule(
        "Bills",
        vec![
            Condition::Subject(words(Join::Any, &["invoice", "say \"bill\""])),
            Condition::Sender(words(Join::All, &["shop", "店"])),
            Condition::SenderDomain(words(Join::Any, &["shop.example"])),
            Condition::Hours { from: 480, until: 1080, zone: "Asia/Shanghai".to_owned() },
        ],
        vec![folder("Bills"), RuleAction::Label(Keyword::parse("unpaid").expect("a label"))],
    );
    bills.stop = true;
    let off = Rule { enabled: false, ..rule("Old [one]", vec![Condition::ToMe], vec![RuleAction::Delete]) };
    let script = write(&[bills, off], &own(), NOW);
    let script = script.split_once("require").expect("a require").1.replace("\r\n", "\n");
    assert_eq!(
        script,
        r#" ["date", "fileinto", "imap4flags", "relational"];

# rule:[Bills]
if allof (header :contains "subject" ["invoice", "say \"bill\""], allof (header :contains "from" "shop", header :contains "from" "店"), address :domain :matches "from" ["shop.example", "*.shop.example"], allof (currentdate :zone "+0800" /* Asia/Shanghai */ :value "ge" "time" "08:00:00", currentdate :zone "+0800" /* Asia/Shanghai */ :value "lt" "time" "18:00:00"))
{
    addflag "unpaid";
    fileinto "Bills";
    stop;
}

# rule:[Old [one]]
if false # allof (address :matches ["to", "cc"] ["ann@acme.example", "ann+*@acme.example", "a\\*b@acme.example", "a\\*b+*@acme.example"])
{
    fileinto /* delete */ "Trash";
}
"#
    );
}

#[test]
fn scripts_of_other_programs_are_read() {
    let script = r#"require ["fileinto", "imap4flags", "copy", "vacation", "mailbox"];
# rule:[Team]
if anyof (header :contains ["To","Cc"] "team@", header :comparator "i;ascii-casemap" :contains "Subject" ["a", "b"])
{
        fileinto :create :flags "$Work \\Seen" "Team";
        stop;
}
if size :over 1M { discard; stop; }
/* nothing */
if header :contains "from" "boss" { redirect "ann@far.example"; keep; addflag ["\\Flagged"]; }
if header :contains "from" "other" { redirect "ann@far.example"; }
vacation text: # away
Away.
..dots
.
;
keep;
"#;
    let rules = good(script);
    let names: Vec<&str> = rules.iter().map(|rule| rule.name.as_str()).collect();
    assert_eq!(names, ["Team", "Rule 1", "Rule 2", "Rule 3", "Rule 4"]);
    assert_eq!((rules[0].join, rules[0].conditions.len(), rules[0].stop), (Join::Any, 2, true));
    let label = RuleAction::Label(Keyword::parse("$Work").expect("a label"));
    assert_eq!(rules[0].actions, [label, RuleAction::MarkRead, folder("Team")]);
    assert_eq!(rules[1].conditions, [Condition::Size { least: Some((1 << 20) + 1), below: None }]);
    assert_eq!(rules[1].actions, [RuleAction::Delete]);
    let to = RuleAction::Forward(vec![MailAddress::parse("ann@far.example").expect("an address")]);
    assert_eq!(rules[2].actions, [to.clone(), RuleAction::Flag]);
    assert_eq!(rules[3].actions, std::slice::from_ref(&to), "what stands at the end keeps it");
    assert_eq!(rules[4].actions, [RuleAction::Reply("Away.\n.dots".to_owned())]);
    assert_eq!(rules[4].conditions, [Condition::Size { least: Some(0), below: None }]);
    assert!(good("\u{feff}# nothing\r\nkeep;").is_empty() && good("").is_empty());
    let away = "if size :over 1M { redirect \"ann@far.example\"; }";
    assert_eq!(good(away)[0].actions, [to.clone(), RuleAction::Delete], "what is not kept lies in Trash");
    assert_eq!(good(&format!("keep; {away}"))[0].actions, [to]);
}

/// Feature RUL-02: the full text, in subject and body (RFC 5173)
/// Feature RUL-03 (part): refused (RFC 5429)
#[test]
fn texts_and_refusals_are_written_and_read() {
    let text = |join, list: &[&str]| Condition::FullText(words(join, list));
    let refuse = |text: &str| RuleAction::Refuse(text.to_owned());
    let any = rule("Any", vec![text(Join::Any, &["a", "b"])], vec![refuse("No.\nReally.")]);
    let mut all = rule("All", vec![text(Join::All, &["a", "b"])], vec![refuse("")]);
    all.join = Join::Any;
    let script = write(&[any.clone(), all.clone()], &own(), NOW);
    let script = script.split_once("require").expect("a require").1.replace("\r\n", "\n");
    assert_eq!(
        script,
        r#" ["body", "reject"];

# rule:[Any]
if allof (anyof (header :contains "subject" ["a", "b"], body :text :contains ["a", "b"]))
{
    reject "No.
Really.";
}

# rule:[All]
if anyof (allof (anyof (header :contains "subject" "a", body :text :contains "a"), anyof (header :contains "subject" "b", body :text :contains "b")))
{
    reject "";
}
"#
    );
    assert_eq!(good(&format!("require{script}")), [any, all]);
    let other = "require [\"body\", \"ereject\"];\n\
        if anyof (body :contains \"x\", header :contains \"Subject\" \"x\") { ereject text:\nGo away.\n.\n; }";
    let rules = good(other);
    assert_eq!((rules[0].conditions.as_slice(), rules[0].join), (&[text(Join::Any, &["x"])][..], Join::All));
    assert_eq!(rules[0].actions, [refuse("Go away.")]);
    let subject = "header :contains \"subject\"";
    for (script, column, fault) in [
        (format!("if anyof ({subject} \"x\", body :contains \"y\") {{ stop; }}"), 43, SieveFault::Body),
        ("if body :raw :contains \"x\" { stop; }".to_owned(), 9, SieveFault::Argument(":raw".to_owned())),
        ("if body :text :is \"x\" { stop; }".to_owned(), 15, SieveFault::Match),
        ("reject [\"a\", \"b\"];".to_owned(), 1, SieveFault::Arguments("reject".to_owned())),
        ("fileinto \"A\"; reject \"a\";".to_owned(), 15, SieveFault::TwoPlaces),
        ("addflag \"a\"; reject \"a\";".to_owned(), 14, SieveFault::Rules(RulesFault::Refusing)),
        ("reject \"a\"; keep;".to_owned(), 13, SieveFault::TwoPlaces),
    ] {
        assert_eq!(wrong(&script), [(1, column, fault)], "{script}");
    }
}

#[test]
fn what_is_kept_and_put_elsewhere_cannot_be_said() {
    let header = "if header :contains \"from\" \"a\"";
    for (script, column) in [
        ("if size :over 1M { fileinto \"A\"; }\nkeep;".to_owned(), 1),
        ("if size :over 1M { discard; }\naddflag \"a\"; keep;".to_owned(), 14),
        (
            format!(
                "if size :over 1M {{ redirect \"b@far.example\"; }}\n{header} {{ keep; addflag \"a\"; }}"
            ),
            34,
        ),
        (format!("if size :over 1M {{ redirect \"b@far.example\"; }}\n{header} {{ keep; stop; }}"), 34),
        (format!("{header} {{ keep; addflag \"a\"; }}\nif true {{ fileinto \"A\"; }}"), 20),
    ] {
        assert_eq!(wrong(&script), [(2, column, SieveFault::TwoPlaces)], "{script}");
    }
    // What stops is not filed by what stands behind it, nor kept by it.
    assert_eq!(good(&format!("{header} {{ keep; stop; }} if true {{ fileinto \"A\"; }}")).len(), 2);
    assert_eq!(good(&format!("{header} {{ fileinto \"A\"; stop; }} keep;")).len(), 1);
    let away = good(&format!("{header} {{ redirect \"b@far.example\"; stop; }} keep;"));
    assert_eq!(away[0].actions.len(), 2);
}

#[test]
fn long_lists_are_refused_where_they_are_too_long() {
    let keys = ["\"a.example\", \"*.a.example\""; 60].join(", ");
    let flags = "x ".repeat(100_000);
    let tests = "true, ".repeat(30_000);
    for (script, column, fault) in [
        (format!("addflag \"{flags}\";"), 9, RulesFault::Actions),
        ("addflag \"x\"; ".repeat(11), 139, RulesFault::Actions),
        (format!("if anyof ({tests}true) {{ stop; }}"), 4, RulesFault::Conditions),
        (format!("if allof (true, anyof ({tests}true)) {{ stop; }}"), 17, RulesFault::Words),
        (format!("if header :contains \"from\" [{keys}] {{ stop; }}"), 4, RulesFault::Words),
        (format!("if address :domain :matches \"from\" [{keys}] {{ stop; }}"), 4, RulesFault::Words),
    ] {
        assert_eq!(wrong(&script), [(1, column, SieveFault::Rules(fault))]);
    }
}

#[test]
fn what_rules_cannot_say_is_named_all_of_it() {
    let script = "require [\"fileinto\", \"regex\"];\n\
        if header :is \"from\" \"a\" { fileinto \"A\"; }\n\
        elsif true { keep; }\n\
        if allof (header :contains \"x-spam\" \"yes\", not header :contains \"subject\" \"b\") { notify \"no\"; }\n\
        if true { stop; keep; }\n\
        if true { fileinto \"A\"; keep; }\n\
        if true { addflag \"\\\\Deleted\"; vacation :days 3 \"x\"; if true { stop; } }\n\
        if address :is [\"to\", \"cc\"] \"bob@acme.example\" { discard; }\n\
        if body :contains \"x\" { discard; }\n";
    let found: Vec<(usize, usize, SieveFault)> = wrong(script);
    let named = |name: &str| name.to_owned();
    assert_eq!(
        found,
        [
            (1, 22, SieveFault::Extension(named("regex"))),
            (2, 11, SieveFault::Match),
            (3, 1, SieveFault::Else),
            (4, 28, SieveFault::Headers),
            (4, 48, SieveFault::Not),
            (4, 82, SieveFault::Command(named("notify"))),
            (5, 17, SieveFault::AfterStop),
            (6, 25, SieveFault::TwoPlaces),
            (7, 19, SieveFault::Flags),
            (7, 41, SieveFault::Vacation),
            (7, 54, SieveFault::Nested),
            (8, 29, SieveFault::NotOwn(named("bob@acme.example"))),
            (9, 4, SieveFault::Body),
        ]
    );
    for (script, line, column, fault) in [
        ("keep", 1, 1, SieveFault::Ended),
        ("keep;\n \"x", 2, 2, SieveFault::OpenText),
        ("/* x", 1, 1, SieveFault::OpenComment),
        ("if size :over 99999999999999999999 { stop; }", 1, 15, SieveFault::Number),
        ("keep; }", 1, 7, SieveFault::Unexpected("}".to_owned())),
        ("keep; é", 1, 7, SieveFault::Character('é')),
        ("keep; require \"copy\";", 1, 7, SieveFault::LateRequire),
        (
            "if currentdate :zone \"+0530\" :value \"ge\" \"time\" \"08:00\" { discard; }",
            1,
            22,
            SieveFault::Zone,
        ),
        (
            "# rule:[a]\nif true { discard; }\n# rule:[A]\nif true { discard; }",
            4,
            1,
            SieveFault::Rules(RulesFault::NameTaken),
        ),
        ("if true { keep; }", 1, 1, SieveFault::Rules(RulesFault::Actions)),
        ("if false { discard; }", 1, 4, SieveFault::Test("false".to_owned())),
    ] {
        assert_eq!(wrong(script), [(line, column, fault)], "{script}");
    }
    let deep = format!("if {}true{} {{ stop; }}", "allof (".repeat(10_000), ")".repeat(10_000));
    assert_eq!(wrong(&deep)[0].2, SieveFault::Depth);
    assert_eq!(wrong(&" ".repeat(MAX_SCRIPT + 1))[0].2, SieveFault::TooLong);
    // Where folders and the like are found to be wrong later.
    let imported = read("if true { stop; }\nif true {\n  addflag \"x\";\n  fileinto \"Nowhere\";\n}", &own())
        .expect("good");
    let error = imported.error(RulesFault::Folder.at("/rules/1/actions/1/move/folder"));
    assert_eq!(error.at, Position { line: 4, column: 12 });
}

fn a_text() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-zA-Z0-9 \"\\\\*?#/.;]{0,12}[a-zA-Z0-9]",
        Just("/* 店 */".to_owned()),
        Just("发票]".to_owned()),
    ]
}

fn some_words() -> impl Strategy<Value = Words> {
    (prop::bool::ANY, vec(a_text(), 1..4)).prop_map(|(any, words)| Words { join: join(any), words })
}

const fn join(any: bool) -> Join {
    if any { Join::Any } else { Join::All }
}

fn domains() -> impl Strategy<Value = Words> {
    let domain = "[a-z]{1,5}\\.example";
    (prop::bool::ANY, prop::collection::btree_set(domain, 1..4))
        .prop_map(|(any, words)| Words { join: join(any), words: words.into_iter().collect() })
}

fn a_condition() -> impl Strategy<Value = Condition> {
    let time = (-2_000_000_000_000_i64..4_000_000_000_000).prop_map(Timestamp);
    prop_oneof![
        some_words().prop_map(Condition::Sender),
        some_words().prop_map(Condition::Recipient),
        some_words().prop_map(Condition::Subject),
        some_words().prop_map(Condition::FullText),
        domains().prop_map(Condition::SenderDomain),
        Just(Condition::OnlyToMe),
        Just(Condition::ToMe),
        (option::of(0_u64..1000), option::of(1000_u64..u64::MAX))
            .prop_filter_map("none", |(least, below)| {
                least.or(below).map(|_| Condition::Size { least, below })
            }),
        (time, option::of(1_i64..1_000_000_000), prop::bool::ANY).prop_map(
            |(from, span, begins)| match span {
                Some(span) => Condition::Time { from: Some(from), until: Some(from.plus_millis(span)) },
                None if begins => Condition::Time { from: Some(from), until: None },
                None => Condition::Time { from: None, until: Some(from) },
            }
        ),
        (0_u16..1440, 1_u16..1440, prop::sample::select(vec!["Asia/Shanghai", "Europe/Berlin", "UTC"]))
            .prop_map(|(from, span, zone)| Condition::Hours {
                from,
                until: (from + span) % 1440,
                zone: zone.to_owned()
            }),
    ]
}

fn an_action() -> impl Strategy<Value = RuleAction> {
    let address = "[a-z]{1,8}@[a-z]{1,5}\\.example";
    let addresses = prop::collection::btree_set(address, 1..=3);
    prop_oneof![
        "[a-z$]{1,8}".prop_filter_map("a label", |text| Keyword::parse(&text).map(RuleAction::Label)),
        Just(RuleAction::MarkRead),
        Just(RuleAction::Flag),
        addresses.prop_map(|to| {
            RuleAction::Forward(to.iter().map(|to| MailAddress::parse(to).expect("an address")).collect())
        }),
        "[a-zA-Z0-9 .\"\\\\]{0,30}\n?[a-z]".prop_map(|text| RuleAction::Reply(text.trim().to_owned())),
    ]
}

fn a_rule() -> impl Strategy<Value = Rule> {
    let place = prop_oneof![
        Just(None),
        Just(Some(RuleAction::Delete)),
        a_text().prop_map(|name| Some(folder(&name))),
        "[a-z \n\"]{0,9}[a-z]".prop_map(|text| Some(RuleAction::Refuse(text.trim().to_owned()))),
    ];
    let flags = (prop::bool::ANY, prop::bool::ANY, prop::bool::ANY);
    (a_text(), flags, vec(a_condition(), 1..4), vec(an_action(), 1..4), place).prop_map(
        |(name, (enabled, any, stop), conditions, mut actions, place)| {
            if matches!(place, Some(RuleAction::Refuse(_))) {
                actions.clear();
            }
            actions.extend(place);
            let (name, moment) = (name.trim().to_owned(), Moment::Receive);
            Rule { name, enabled, moment, join: join(any), conditions, actions, stop }
        },
    )
}

proptest! {
    #[test]
    fn what_is_written_is_read_again(rules in vec(a_rule(), 0..4)) {
        let rules: Vec<Rule> = (0..).zip(rules).map(|(number, rule): (usize, Rule)| {
            Rule { name: format!("{} {number}", rule.name), ..rule }
        }).collect();
        let all = MemberRules { rules: rules.clone(), ..MemberRules::default() };
        prop_assume!(all.check().is_ok());
        let script = write(&rules, &own(), NOW);
        let rules: Vec<Rule> = rules.into_iter().map(in_order).collect();
        match read(&script, &own()) {
            Ok(imported) => prop_assert_eq!(imported.rules, rules, "{}", script),
            Err(errors) => prop_assert!(false, "{}: {:?}", script, errors),
        }
    }

    #[test]
    fn no_script_does_harm(script in ".{0,200}") {
        let _ = read(&script, &own());
    }

    #[test]
    fn nothing_that_looks_like_a_script_does_harm(parts in vec(prop::sample::select(vec![
        "if", "true", "false", "anyof", "allof", "not", "(", ")", "{", "}", "[", "]", ",", ";", "\"a\"", "\"from\"",
        "[\"to\", \"cc\"]", ":contains", ":matches", "header", "address", ":domain", "size", ":over", ":under", "10K",
        "currentdate", ":zone", "\"+0800\"", ":value", "\"ge\"", "\"time\"", "\"08:00:00\"", "fileinto", ":flags", "keep",
        "stop", "discard", "redirect", ":copy", "vacation", "body", ":text", "reject", "addflag", "\"\\\\Seen\"", "require", "# x\n", "/* */", "text:",
        "\n.\n", "\n",
    ]), 0..40)) {
        let _ = read(&parts.join(" "), &own());
    }
}
