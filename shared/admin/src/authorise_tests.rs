use pennypost_model::AccountId;
use proptest::prelude::*;

use super::*;
use crate::permission::{Level, Permission};

const OURS: TenantId = TenantId(1);
const THEIRS: TenantId = TenantId(2);
const SALES: DepartmentId = DepartmentId(7);
const LAW: DepartmentId = DepartmentId(8);

fn of(texts: &[&str]) -> Permissions {
    texts.iter().map(|text| text.parse::<Permission>().expect("a permission")).collect()
}

fn person(authority: Authority, limit: Permissions) -> Actor {
    let account = AccountKey { tenant: OURS, account: AccountId(9) };
    Actor::Person {
        means: Means::Key(KeyId(1)),
        account,
        address: "ann@acme.example".to_owned(),
        authority,
        limit,
    }
}

/// A person in a session, otherwise as [`person`].
fn in_session(authority: Authority, change: impl Fn(&mut Presence)) -> Actor {
    let mut presence = Presence {
        session: SessionId(1),
        is_confirmed: false,
        is_fresh: false,
        lacks_factor: false,
        must_change: false,
        seconds: false,
        from: None,
    };
    change(&mut presence);
    match person(authority, Permissions::of_tenant()) {
        Actor::Person { account, address, authority, limit, .. } => {
            Actor::Person { means: Means::Session(presence), account, address, authority, limit }
        }
        other => other,
    }
}

fn graded(texts: &[&str], reach: Reach) -> Authority {
    Authority { standing: Standing::Member, grants: vec![Granted { permissions: of(texts), reach }] }
}

fn sales() -> Reach {
    Reach::Departments(BTreeSet::from([SALES]))
}

fn stands(standing: Standing) -> Authority {
    Authority { standing, grants: Vec::new() }
}

fn service(tenant: Option<TenantId>, permissions: Permissions) -> Actor {
    Actor::Service { key: KeyId(2), name: "hr".to_owned(), tenant, permissions }
}

fn another<'a>(departments: &'static [DepartmentId], authority: &'a Authority) -> Scope<'a> {
    let key = AccountKey { tenant: OURS, account: AccountId(10) };
    Scope::Account { key, departments, authority }
}

/// The scope of an action within our tenant, upon a plain member of the sales department.
fn ordinary<'a>(action: Action, member: &'a Authority) -> Scope<'a> {
    match action.target() {
        Target::Installation => Scope::Installation,
        Target::Tenant => Scope::Tenant(OURS),
        Target::Account => another(&[SALES], member),
        Target::Department => Scope::Department { tenant: OURS, departments: &[SALES] },
    }
}

#[test]
fn every_action_and_every_role() {
    let member = Authority::default();
    let all = Permissions::of_tenant();
    let everything = graded(&["members:write", "groups:write", "administrators:write"], Reach::Tenant);
    // What is for people in sessions, and what takes a confirmation, have tests of their own.
    for action in Action::ALL.iter().copied().filter(|one| !one.is_owners() && !one.is_for_people()) {
        let ask = |actor: &Actor| by_power(actor, action, &ordinary(action, &member)) == Decision::Allow;
        let (name, area, level) = (action.name(), action.area(), action.level());
        let is_operators = area == Area::Installation;
        assert!(ask(&Actor::Operator), "{name}");
        assert!(ask(&service(None, Permissions::all())), "{name}");
        assert_eq!(ask(&person(stands(Standing::Creator), all.clone())), !is_operators, "{name}");
        let is_supers = !is_operators && !action.is_creators();
        assert_eq!(ask(&person(stands(Standing::Super), all.clone())), is_supers, "{name}");
        // A key of everything within the tenant is no creator, and no super admin.
        let is_graded = is_supers && !action.is_for_those_above();
        assert_eq!(ask(&service(Some(OURS), all.clone())), is_graded, "{name}");
        // Whoever has one permission has what it names and nothing else.
        for one in Permissions::all()
            .iter()
            .flat_map(|one| [Level::Read, Level::Write].map(|level| Permission { level, ..one }))
        {
            let permissions: Permissions = std::iter::once(one).collect();
            let has = permissions.allow(area, level);
            let by_key = ask(&service(Some(OURS), permissions.clone()));
            assert_eq!(by_key, has && is_graded, "{name} by {one}");
            assert_eq!(ask(&service(None, permissions.clone())), has, "{name} by {one}");
            let limited = ask(&person(stands(Standing::Creator), permissions.clone()));
            assert_eq!(limited, has && is_graded, "{name} by a creator's key for {one}");
            let grants = vec![Granted { permissions: permissions.clone(), reach: Reach::Tenant }];
            let by_role = Authority { standing: Standing::Member, grants };
            assert_eq!(ask(&person(by_role, all.clone())), has && is_graded, "{name} by role {one}");
            let grants = vec![Granted { permissions, reach: sales() }];
            let within = Authority { standing: Standing::Member, grants };
            let reaches = matches!(action.target(), Target::Account | Target::Department);
            assert_eq!(
                ask(&person(within, all.clone())),
                has && reaches && !is_operators,
                "{name} in sales by {one}"
            );
        }
        assert!(!ask(&person(Authority::default(), all.clone())), "{name} by a member");
        assert!(!ask(&person(everything.clone(), Permissions::default())), "{name} by a key for nothing");
    }
}

#[test]
fn another_tenant_is_hidden_from_everybody_but_operators() {
    let nobody = Authority::default();
    let key = AccountKey { tenant: THEIRS, account: AccountId(9) };
    let scopes = [
        Scope::Tenant(THEIRS),
        Scope::SomeAccount(THEIRS),
        Scope::NewAccount { tenant: THEIRS, departments: &[SALES] },
        Scope::Department { tenant: THEIRS, departments: &[SALES] },
        Scope::Account { key, departments: &[SALES], authority: &nobody },
    ];
    let actors = [
        person(stands(Standing::Creator), Permissions::of_tenant()),
        person(stands(Standing::Super), Permissions::of_tenant()),
        person(graded(&["members:write"], Reach::Tenant), Permissions::of_tenant()),
        person(Authority::default(), Permissions::of_tenant()),
        service(Some(OURS), Permissions::all()),
    ];
    for action in Action::ALL.iter().copied() {
        for scope in &scopes {
            for actor in &actors {
                assert_eq!(authorise(actor, action, scope), Decision::Hidden, "{}", action.name());
            }
        }
    }
}

#[test]
fn what_does_not_fit_is_refused_even_to_operators() {
    for action in Action::ALL.iter().copied() {
        for scope in [Scope::Installation, Scope::Tenant(OURS), Scope::SomeAccount(OURS)] {
            let fits = scope.is_for(action.target()) && !action.is_owners();
            let allowed = authorise(&Actor::Operator, action, &scope) == Decision::Allow;
            assert_eq!(allowed, fits, "{} {scope:?}", action.name());
        }
    }
}

#[test]
fn what_is_dangerous_takes_a_confirmation_or_a_key_for_it() {
    let member = Authority::default();
    let mut seen = 0;
    for action in Action::ALL.iter().copied().filter(|action| action.is_dangerous()) {
        let scope = ordinary(action, &member);
        if action.area() == Area::Installation {
            continue;
        }
        seen += 1;
        let creator = |is_confirmed| {
            in_session(stands(Standing::Creator), |presence| presence.is_confirmed = is_confirmed)
        };
        assert_eq!(authorise(&creator(true), action, &scope), Decision::Allow, "{}", action.name());
        let refused = Decision::Deny(Why::Unconfirmed);
        assert_eq!(authorise(&creator(false), action, &scope), refused, "{}", action.name());
        assert_eq!(authorise(&Actor::Operator, action, &scope), Decision::Allow, "{}", action.name());
        if action.is_for_people() || action.is_creators() {
            continue;
        }
        let ordinary: Permissions =
            Permissions::of_tenant().iter().filter(|one| one.area != Area::Dangerous).collect();
        assert_eq!(authorise(&service(Some(OURS), ordinary), action, &scope), refused, "{}", action.name());
        let dangerous = service(Some(OURS), Permissions::of_tenant());
        assert_eq!(authorise(&dangerous, action, &scope), Decision::Allow, "{}", action.name());
    }
    assert!(seen >= 7, "{seen}");
}

#[test]
fn what_people_do_in_sessions_no_key_does() {
    let member = Authority::default();
    for action in Action::ALL.iter().copied().filter(|action| action.is_owners() || action.is_for_people()) {
        let scope = ordinary(action, &member);
        for actor in [
            service(None, Permissions::all()),
            service(Some(OURS), Permissions::of_tenant()),
            person(stands(Standing::Creator), Permissions::of_tenant()),
        ] {
            let refused = Decision::Deny(Why::NoPermission);
            assert_eq!(authorise(&actor, action, &scope), refused, "{}", action.name());
        }
        // Nor does anybody to another's account what is its owner's.
        let creator = in_session(stands(Standing::Creator), |presence| presence.is_confirmed = true);
        let allowed = authorise(&creator, action, &scope) == Decision::Allow;
        assert_eq!(allowed, !action.is_owners(), "{}", action.name());
    }
}

#[test]
fn whoever_lacks_a_factor_sets_one_up_and_nothing_else() {
    let own = AccountKey { tenant: OURS, account: AccountId(9) };
    let authority = Authority::default();
    let creator = in_session(stands(Standing::Creator), |presence| {
        (presence.lacks_factor, presence.is_confirmed) = (true, true);
    });
    for action in Action::ALL.iter().copied().filter(|action| action.area() != Area::Installation) {
        let scope = match action.target() {
            Target::Account => Scope::Account { key: own, departments: &[], authority: &authority },
            _ => ordinary(action, &authority),
        };
        let is_setting_up = matches!(
            action,
            Action::SecondFactorRead
                | Action::SecondFactorSet
                | Action::SessionConfirm
                | Action::MobileRead
                | Action::MobileSet
        );
        let expected = if is_setting_up { Decision::Allow } else { Decision::Deny(Why::NoFactor) };
        assert_eq!(authorise(&creator, action, &scope), expected, "{}", action.name());
    }
}

#[test]
fn departments_bound_what_is_reached() {
    let member = Authority::default();
    let admin = person(graded(&["members:write"], sales()), Permissions::of_tenant());
    let ask = |action, departments| authorise(&admin, action, &another(departments, &member));
    // The department itself, and one below it, whose account is in both.
    assert_eq!(ask(Action::AccountPassword, &[SALES]), Decision::Allow);
    assert_eq!(ask(Action::AccountPassword, &[LAW, SALES]), Decision::Allow);
    for outside in [&[][..], &[LAW]] {
        assert_eq!(ask(Action::AccountPassword, outside), Decision::Deny(Why::OutOfReach));
    }
    assert_eq!(authorise(&admin, Action::AccountRead, &Scope::SomeAccount(OURS)), Decision::Allow);
    let here = Scope::NewAccount { tenant: OURS, departments: &[SALES] };
    assert_eq!(authorise(&admin, Action::AccountAdd, &here), Decision::Allow);
    let there = Scope::NewAccount { tenant: OURS, departments: &[] };
    assert_eq!(authorise(&admin, Action::AccountAdd, &there), Decision::Deny(Why::OutOfReach));
    assert_eq!(authorise(&admin, Action::AliasAdd, &Scope::Tenant(OURS)), Decision::Deny(Why::OutOfReach));
}

#[test]
fn members_have_their_own() {
    let own = AccountKey { tenant: OURS, account: AccountId(9) };
    let authority = Authority::default();
    let scope = Scope::Account { key: own, departments: &[], authority: &authority };
    let member = person(Authority::default(), of(&["members:write", "notices:write", "log:read"]));
    let reader = person(Authority::default(), of(&["members:read", "notices:read", "log:read"]));
    for action in Action::ALL.iter().copied().filter(|action| action.target() == Target::Account) {
        let allowed = authorise(&member, action, &scope) == Decision::Allow;
        let is_for_keys = action.is_ones_own() && !action.is_owners();
        assert_eq!(allowed, is_for_keys, "{}", action.name());
        let present = in_session(Authority::default(), |_| {});
        let allowed = authorise(&present, action, &scope) == Decision::Allow;
        assert_eq!(allowed, action.is_ones_own(), "{} in a session", action.name());
        // What is for its owner alone takes a session, and no key.
        let reads = action.is_ones_own() && action.level() == Level::Read && !action.is_owners();
        assert_eq!(authorise(&reader, action, &scope) == Decision::Allow, reads, "{}", action.name());
        let service = service(Some(OURS), of(&["groups:write"]));
        assert_ne!(authorise(&service, action, &scope), Decision::Allow);
    }
}

#[test]
fn nobody_gets_at_the_credentials_of_somebody_above() {
    let all = Permissions::of_tenant();
    let helpdesk = person(graded(&["members:write"], Reach::Tenant), all.clone());
    let chief = person(stands(Standing::Super), all.clone());
    let creator = person(stands(Standing::Creator), all.clone());
    let narrow = person(stands(Standing::Super), of(&["members:write"]));
    let key = service(Some(OURS), of(&["members:write"]));
    let wide = service(Some(OURS), all);
    let plain = Authority::default();
    let in_groups = graded(&["groups:read"], Reach::Tenant);
    let (over, top) = (stands(Standing::Super), stands(Standing::Creator));
    for (actor, may) in [
        (&helpdesk, [true, false, false, false]),
        (&key, [true, false, false, false]),
        (&narrow, [true, false, false, false]),
        (&wide, [true, true, false, false]),
        (&chief, [true, true, true, false]),
        (&creator, [true, true, true, true]),
        (&Actor::Operator, [true, true, true, true]),
    ] {
        for (authority, may) in [&plain, &in_groups, &over, &top].into_iter().zip(may) {
            let decision = authorise(actor, Action::AccountPassword, &another(&[], authority));
            let expected = if may { Decision::Allow } else { Decision::Deny(Why::Above) };
            assert_eq!(decision, expected, "{actor:?} {authority:?}");
            assert_eq!(actor.exceeds_or_equals(authority), may, "{actor:?} {authority:?}");
        }
    }
    assert!(!helpdesk.may_stand_in() && !wide.may_stand_in() && !narrow.may_stand_in());
    assert!(chief.may_stand_in() && creator.may_stand_in());
    // Only of what one reaches.
    let sales_admin = person(graded(&["members:write"], sales()), Permissions::of_tenant());
    assert!(sales_admin.exceeds_or_equals(&graded(&["members:read"], sales())));
    assert!(!sales_admin.exceeds_or_equals(&graded(&["members:read"], Reach::Tenant)));
    let law = Reach::Departments(BTreeSet::from([LAW]));
    assert!(!sales_admin.exceeds_or_equals(&graded(&["members:read"], law)));
    // An operator's key for one thing is no super admin.
    let installer = service(None, of(&["installation:write"]));
    assert!(!installer.exceeds_or_equals(&over) && !installer.exceeds_or_equals(&in_groups));
}

fn permissions() -> impl Strategy<Value = Permissions> {
    let one = (0..Area::ALL.len(), any::<bool>()).prop_map(|(area, writes)| Permission {
        area: Area::ALL[area],
        level: if writes { Level::Write } else { Level::Read },
    });
    proptest::collection::vec(one, 0..6).prop_map(|all| all.into_iter().collect())
}

proptest! {
    /// Whoever may give something may do everything that it lets do: giving lifts nobody.
    #[test]
    fn what_can_be_given_can_be_done(own in permissions(), limit in permissions(), given in permissions()) {
        let grants = vec![Granted { permissions: own, reach: Reach::Tenant }];
        let giver = person(Authority { standing: Standing::Member, grants }, limit.and(&Permissions::of_tenant()));
        let given = given.and(&Permissions::of_tenant());
        let grants = vec![Granted { permissions: given.clone(), reach: Reach::Tenant }];
        let authority = Authority { standing: Standing::Member, grants };
        if giver.exceeds_or_equals(&authority) {
            let member = Authority::default();
            let receiver = service(Some(OURS), given);
            for action in Action::ALL.iter().copied() {
                let scope = ordinary(action, &member);
                if authorise(&receiver, action, &scope) == Decision::Allow {
                    prop_assert_eq!(authorise(&giver, action, &scope), Decision::Allow, "{}", action.name());
                }
            }
        }
    }
}
