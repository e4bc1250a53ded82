//! `docs/authorisation.md`: actions and who may do them. `PENNYPOST_UPDATE_DOCS=1 cargo test -p pennypost-admin` writes it.

use std::collections::BTreeSet;
use std::fmt::Write;

use pennypost_admin::{
    Action, Actor, Area, Authority, Decision, DepartmentId, Granted, Level, Means, Permission, Permissions,
    Presence, Reach, Scope, Standing, Target, authorise,
};
use pennypost_directory::SessionId;
use pennypost_model::{AccountId, AccountKey, TenantId};

const TENANT: TenantId = TenantId(1);
const DEPARTMENT: DepartmentId = DepartmentId(1);
const OWN: AccountKey = AccountKey { tenant: TENANT, account: AccountId(1) };
const OTHER: AccountKey = AccountKey { tenant: TENANT, account: AccountId(2) };

fn person(authority: Authority) -> Actor {
    let limit = Permissions::of_tenant();
    // In a session in which the second factor was shown a moment ago.
    let means = Means::Session(Presence {
        session: SessionId(1),
        is_confirmed: true,
        is_fresh: true,
        lacks_factor: false,
        must_change: false,
        seconds: false,
        from: None,
    });
    Actor::Person { means, account: OWN, address: String::new(), authority, limit }
}

/// A graded administrator who has just this permission.
fn graded(permission: Permission, reach: Reach) -> Actor {
    let grants = vec![Granted { permissions: std::iter::once(permission).collect(), reach }];
    person(Authority { standing: Standing::Member, grants })
}

fn may(actor: &Actor, action: Action, account: AccountKey) -> &'static str {
    let member = Authority::default();
    let scope = match action.target() {
        Target::Installation => Scope::Installation,
        Target::Tenant => Scope::Tenant(TENANT),
        Target::Account if [Action::AccountAdd, Action::BusinessAdd].contains(&action) => {
            Scope::NewAccount { tenant: TENANT, departments: &[DEPARTMENT] }
        }
        Target::Department => Scope::Department { tenant: TENANT, departments: &[DEPARTMENT] },
        Target::Account => Scope::Account { key: account, departments: &[DEPARTMENT], authority: &member },
    };
    if authorise(actor, action, &scope) == Decision::Allow { "yes" } else { "–" }
}

fn page() -> String {
    let mut page = String::from(
        "# Who may do what\n\n\
         Written by `PENNYPOST_UPDATE_DOCS=1 cargo test -p pennypost-admin`, which asks the one function that decides\n\
         (`shared/admin/src/authorise.rs`) for every action; the test fails when this page is another. What is not in the\n\
         table is not done, and what no rule permits is refused.\n\n\
         *Permission* is what a role (ADM-09) or a key needs; changing (`write`) holds looking (`read`). *Role* is an\n\
         administrator who has just that permission, over the whole tenant or over departments, whose accounts he then\n\
         reaches. *Member* is anybody on the own account. Operators, the creator and super admins may what their columns say\n\
         without any role. A key does what it is for: a tenant's key as a role over the whole tenant, a person's what the\n\
         person may, of that.\n\n\
         Beyond the table, for everybody: another tenant's objects are not there (404). Nobody gives a permission, by role or\n\
         key, that he has not himself. Actions marked *rank* are refused on an account that has powers which the actor has\n\
         not: its password would be a way up. Actions marked *confirmed* can't be made undone, or take such protection away\n\
         (ADM-13): they take a session in which the second factor was shown within five minutes, or a key that has\n\
         `dangerous:write`, and where the tenant asks for it a second administrator. Actions marked *session* no key does.\n\
         For a tenant's key that has `provisioning` a call over SCIM does what `members` does, and no other call does.\n\n\
         | action | permission | operator | creator | super admin | role, tenant | role, departments | member | |\n\
         | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n",
    );
    let creator = person(Authority { standing: Standing::Creator, grants: Vec::new() });
    let chief = person(Authority { standing: Standing::Super, grants: Vec::new() });
    let member = person(Authority::default());
    for action in Action::ALL.iter().copied() {
        let permission = Permission { area: action.area(), level: action.level() };
        let departments = Reach::Departments(BTreeSet::from([DEPARTMENT]));
        let cells = [
            may(&Actor::Operator, action, OTHER),
            may(&creator, action, OTHER),
            may(&chief, action, OTHER),
            may(&graded(permission, Reach::Tenant), action, OTHER),
            may(&graded(permission, departments), action, OTHER),
            may(&member, action, OWN),
        ];
        let mut marks = Vec::new();
        for (mark, is_marked) in [
            ("rank", action.needs_rank()),
            ("confirmed", action.is_dangerous()),
            ("session", action.is_owners() || action.is_for_people()),
        ] {
            marks.extend(is_marked.then_some(mark));
        }
        let rank = marks.join(", ");
        let cells = cells.join(" | ");
        writeln!(page, "| `{}` | `{permission}` | {cells} | {rank} |", action.name()).expect("written");
    }
    page.push_str(
        "\n## Permissions\n\n| area | actions that look | actions that change |\n| --- | --- | --- |\n",
    );
    for area in Area::ALL {
        let of = |level: Level| {
            let actions =
                Action::ALL.iter().filter(|action| action.area() == area && action.level() == level);
            actions.map(|action| format!("`{}`", action.name())).collect::<Vec<_>>().join(", ")
        };
        writeln!(page, "| `{}` | {} | {} |", area.name(), of(Level::Read), of(Level::Write))
            .expect("written");
    }
    page
}

#[test]
fn the_page_is_up_to_date() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/authorisation.md");
    let page = page();
    if std::env::var_os("PENNYPOST_UPDATE_DOCS").is_some() {
        std::fs::write(path, &page).expect("written");
    }
    let there = std::fs::read_to_string(path).unwrap_or_default();
    assert!(there == page, "docs/authorisation.md is not what the code says");
}
