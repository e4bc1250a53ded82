use pennypost_model::EventId;

use super::wording::Values;
use super::*;

fn wording(text: &str) -> Wording {
    Wording { text: text.to_owned(), html: None }
}

fn values(all: [&str; 6]) -> Values {
    all.map(str::to_owned)
}

fn card(name: &str, departments: &[u32], published: bool, compulsory: bool) -> Card {
    Card {
        name: name.to_owned(),
        wording: wording("{name}"),
        departments: departments.iter().map(|id| DepartmentId(*id)).collect(),
        published,
        compulsory,
        assigned: Timestamp(0),
    }
}

#[test]
fn words_stand_for_what_is_known_and_are_escaped() {
    let ann = values(["Ann <b>", "Sales", "", "Acme & Co", "", "ann@acme.example"]);
    let said = wording("{name}, {department}\n{title}\nTel. {phone}\n{company} {x} {Name} { {email}");
    let (text, html) = said.written(&ann);
    assert_eq!(text, "Ann <b>, Sales\nAcme & Co  {Name} { ann@acme.example");
    assert_eq!(html, "Ann &lt;b&gt;, Sales<br>\nAcme &amp; Co  {Name} { ann@acme.example");
    let own = Wording { text: "x".to_owned(), html: Some("<b>{name}</b>é{title}{".to_owned()) };
    assert_eq!(own.written(&ann).1, "<b>Ann &lt;b&gt;</b>é{");
    assert!(own.asks_for("title") && !own.asks_for("company"));
    // What stands for a word is not looked through for words.
    let odd = values(["{email}", "", "", "", "", "a@b.example"]);
    assert_eq!(wording("{name}").written(&odd).0, "{email}");
}

#[test]
fn what_is_wrong_is_told_with_its_place() {
    let footer = |name: &str, text: &str| Footer {
        name: name.to_owned(),
        wording: wording(text),
        is_above: false,
        inside: true,
        outside: true,
    };
    let rules = |footers: Vec<Footer>| FooterRules { footers, ..FooterRules::default() };
    let html = |html: &str| Footer {
        wording: Wording { text: "x".to_owned(), html: Some(html.to_owned()) },
        ..footer("a", "x")
    };
    assert_eq!(rules(vec![footer("a", "x"), footer("b", "{name}")]).check(), Ok(()));
    for (said, pointer) in [
        (rules(vec![footer(" ", "x")]), "/footers/0/name"),
        (rules(vec![footer("a", "x"), footer("A", "x")]), "/footers/1/name"),
        (rules(vec![footer("a", " \n")]), "/footers/0/text"),
        (rules(vec![footer("a", &"x\n".repeat(61))]), "/footers/0/text"),
        (rules(vec![footer("a", "{fax}")]), "/footers/0/text"),
        (rules(vec![html("<b>")]), "/footers/0/html"),
        (rules(vec![html(" ")]), "/footers/0/html"),
        (rules(vec![html("{fax}")]), "/footers/0/html"),
        (rules(vec![Footer { inside: false, outside: false, ..footer("a", "x") }]), "/footers/0"),
        (rules((0..21).map(|number| footer(&number.to_string(), "x")).collect()), "/footers"),
        (FooterRules { in_force: Some("b".to_owned()), ..rules(vec![footer("a", "x")]) }, "/in_force"),
        (
            FooterRules {
                departments: [(DepartmentId(3), None), (DepartmentId(4), Some("b".to_owned()))].into(),
                ..FooterRules::default()
            },
            "/departments/1/footer",
        ),
        (FooterRules { disclaimer: Some(wording("")), ..FooterRules::default() }, "/disclaimer/text"),
    ] {
        assert_eq!(said.check().expect_err(pointer).pointer, pointer);
    }
}

/// Feature BRD-13: a department has at most one compulsory card
#[test]
fn a_department_has_one_compulsory_card() {
    let both = [card("a", &[3, 4], true, true), card("b", &[4], true, true)];
    let problem = check_cards(&both).expect_err("two");
    let fault = FooterFault::Compulsory { department: DepartmentId(4), card: "a".to_owned() };
    assert_eq!((&*problem.pointer, problem.fault), ("/cards/1/departments", fault));
    for other in [card("b", &[4], true, false), card("b", &[4], false, true), card("b", &[5], true, true)] {
        assert_eq!(check_cards(&[both[0].clone(), other]), Ok(()));
    }
}

/// Feature BRD-13: members are told when a card is assigned, and when the card or its rule is gone
#[test]
fn who_is_told_of_a_card_follows_from_the_change() {
    let changed = |before: &[Card], after: Vec<Card>| {
        let mut count = 0;
        let letter = || {
            count += 1;
            EventId::from_parts(Timestamp(9), count)
        };
        let (cards, news) = assigned_anew(before, after, Timestamp(9), letter);
        let told = news.into_iter().map(|news| {
            let departments: Vec<u32> = news.departments.iter().map(|id| id.0).collect();
            (news.card, news.is_assigned, departments)
        });
        (cards, told.collect::<Vec<_>>())
    };
    let named = str::to_owned;
    let first = card("a", &[3], true, false);
    let (cards, told) = changed(&[], vec![first.clone(), card("hidden", &[3], false, false)]);
    assert_eq!(told, [(named("a"), true, vec![3])]);
    assert_eq!(cards[0].assigned, Timestamp(9));
    // Another text is no news, and changes not since when it is theirs.
    let other = Card { wording: wording("x"), ..first.clone() };
    let (cards, told) = changed(std::slice::from_ref(&first), vec![other]);
    assert_eq!((cards[0].assigned, told), (Timestamp(0), vec![]));
    let (_, told) = changed(std::slice::from_ref(&first), vec![card("A", &[4], true, false)]);
    assert_eq!(told, [(named("A"), true, vec![4]), (named("A"), false, vec![3])]);
    let (cards, told) = changed(std::slice::from_ref(&first), vec![card("a", &[3], true, true)]);
    assert_eq!((cards[0].assigned, told), (Timestamp(9), vec![(named("a"), true, vec![3])]));
    let (_, told) = changed(&[first], vec![]);
    assert_eq!(told, [(named("a"), false, vec![3])]);
}
