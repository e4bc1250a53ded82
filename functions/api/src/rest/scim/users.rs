//! Users: the members of the tenant. What each says is the account, its profile, its main department, and what the client
//! calls it.

use pennypost_admin::{AccountChange, Action, NewMember, PersonChange};
use pennypost_directory::{
    Account, AccountState, BinCause, DepartmentTree, MailAddress, Profile, ProfileField, Provided,
    ProvidedKind, Provisioned, check_display_name,
};
use pennypost_model::AccountId;
use scim_v2::filter::AttrPath;
use serde_json::{Map, Value, json};
use tokio::sync::Semaphore;

use super::super::problem::Kind;
use super::super::problem::details::both;
use super::super::reply::tag_of;
use super::answer::{Answer, Failure, Type};
use super::filter::{self, Lookup};
use super::list::Window;
use super::value::{
    ENTERPRISE, USER, field, flag_of, is_extension, must_be, sub_field, text, text_of, wrong,
};
use super::{Ask, TRIES, patch};

/// Lists of all members that are read at the same time, of all tenants.
static LISTS: Semaphore = Semaphore::const_new(2);

/// A member as the client sees one.
struct Seen {
    account: Account,
    said: Provisioned,
    document: Map<String, Value>,
}

impl Seen {
    fn version(&self) -> &str {
        self.document.get("meta").and_then(|meta| meta["version"].as_str()).unwrap_or_default()
    }
}

/// What a document says of a member; `None` leaves as it is.
#[derive(Debug, Default)]
struct Wish {
    user_name: Option<String>,
    display_name: Option<String>,
    given_name: Option<String>,
    family_name: Option<String>,
    /// Is anything said of the name, or different in it?
    is_named: bool,
    external_id: Option<String>,
    fields: Vec<(ProfileField, String)>,
    department: Option<String>,
    active: Option<bool>,
}

/// What a document means by saying nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Meaning {
    /// Whoever wrote it may know nothing of it: a document that is sent whole (RFC 7644 section 3.5.1).
    Sent,
    /// It is not so any more: a document that was read here and changed.
    Changed,
}

pub(super) async fn list(ask: &Ask) -> Result<Answer, Failure> {
    let window = Window::of(ask)?;
    let tree = tree(ask).await?;
    if let Some(said) = ask.filter()? {
        let parsed = filter::parse(said)?;
        let found = filter::lookups(&parsed, finds, "id, userName, externalId, emails.value")?;
        let mut users: Vec<Map<String, Value>> = Vec::new();
        for lookup in found {
            let Some(account) = look_up(ask, &lookup).await? else { continue };
            let seen = seen(ask, account, &tree).await?;
            let is_new = users.iter().all(|known| known.get("id") != seen.document.get("id"));
            let address = &seen.account.address;
            let is_it = |path: &AttrPath, text: &str| {
                let by_name = finds(path).is_some_and(|find| matches!(find(String::new()), Lookup::Name(_)));
                by_name && MailAddress::parse(text).is_ok_and(|text| text == *address)
            };
            if is_new && filter::matches(&parsed, &seen.document, &is_it) {
                users.push(seen.document);
            }
        }
        let total = users.len();
        return Ok(window.answer(ask, total, window.rows(users)));
    }
    // Everybody is read for it: one after the other.
    let turn = LISTS.acquire().await.map_err(|_| Kind::Unavailable)?;
    let (skip, take) = window.part();
    let it = &ask.administration;
    let (total, accounts) = it.provided_members(&ask.by, skip, take, || ask.count_query()).await?;
    drop(turn);
    let mut rows = Vec::new();
    for account in accounts {
        rows.push(seen(ask, account, &tree).await?.document);
    }
    Ok(window.answer(ask, total, rows))
}

fn finds(path: &AttrPath) -> Option<fn(String) -> Lookup> {
    if is_extension(path.uri.as_deref()) != Some(false) {
        return None;
    }
    match (path.name.to_ascii_lowercase().as_str(), path.sub_attr.as_deref()) {
        ("id", None) => Some(Lookup::Id),
        ("username", None) | ("emails", None) => Some(Lookup::Name),
        ("emails", Some(sub)) if sub.eq_ignore_ascii_case("value") => Some(Lookup::Name),
        ("externalid", None) => Some(Lookup::External),
        _ => None,
    }
}

async fn look_up(ask: &Ask, lookup: &Lookup) -> Result<Option<Account>, Failure> {
    let it = &ask.administration;
    Ok(match lookup {
        Lookup::Id(id) => match id.parse::<AccountId>() {
            Ok(account) => it.provided_member(&ask.by, account).await?,
            Err(_) => None,
        },
        Lookup::Name(address) => it.provided_member_at(&ask.by, address).await?,
        Lookup::External(id) => match it.provided_as(&ask.by, ProvidedKind::Account, id).await? {
            Some(Provided::Account(account)) => it.provided_member(&ask.by, account).await?,
            _ => None,
        },
    })
}

pub(super) async fn read(ask: &Ask, id: &str) -> Result<Answer, Failure> {
    let seen = found(ask, id).await?;
    if ask.is_known(seen.version()) {
        return Ok(Answer::unchanged(seen.version().to_owned()));
    }
    Ok(ask.answer(&seen.document))
}

pub(super) async fn add(ask: &Ask) -> Result<Answer, Failure> {
    must_be(&ask.body, USER)?;
    let wish = Wish::read(&ask.body, None, Meaning::Sent)?;
    let address = wish.user_name.clone().ok_or_else(|| wrong("userName"))?;
    wish.check(&Profile::default())?;
    let parsed = MailAddress::parse(&address).map_err(|_| wrong("userName"))?.to_string();
    // Who is not to be in never is.
    let state = if wish.active == Some(false) { AccountState::Disabled } else { AccountState::Active };
    let new = NewMember {
        address,
        display_name: wish.display_name.clone().unwrap_or_default(),
        fields: wish.fields.clone(),
        state,
        ..NewMember::default()
    };
    let account = match added(ask, new, wish.department.as_deref()).await {
        Err(failure) if failure.is_taken() => {
            let there = ask.administration.account_at(&ask.by.call, ask.by.tenant, &parsed).await?;
            let is_in_bin = there.is_some_and(|there| there.binned.is_some());
            return Err(if is_in_bin { in_bin(&parsed) } else { failure });
        }
        other => other?,
    };
    let mut seen = seen(ask, account, &tree(ask).await?).await?;
    bring(ask, &mut seen, &Wish { department: None, active: None, ..wish }).await?;
    Ok(ask.answer(&seen.document).made())
}

async fn added(ask: &Ask, new: NewMember, department: Option<&str>) -> Result<Account, Failure> {
    let (it, call, tenant) = (&ask.administration, &ask.by.call, ask.by.tenant);
    let departments = match department {
        Some(path) => {
            // What can be known to fail is known before the department is made.
            it.check_new_member(call, tenant, &new).await?;
            it.provided_department(&ask.by, path).await?.into_iter().collect()
        }
        None => Vec::new(),
    };
    Ok(it.add_member(call, tenant, &NewMember { departments, ..new }).await?.account)
}

/// An address that nobody else gets, since whoever did would get the mail with it.
fn in_bin(address: &str) -> Failure {
    Failure::of(
        Type::Uniqueness,
        both(
            format!("{address} is an account in the recycle bin: restore it or erase it there"),
            format!("{address} 是回收站中的账号：请在回收站中恢复或彻底删除"),
        ),
    )
}

pub(super) async fn replace(ask: &Ask, id: &str) -> Result<Answer, Failure> {
    must_be(&ask.body, USER)?;
    changed(ask, id, Meaning::Sent).await
}

pub(super) async fn change(ask: &Ask, id: &str) -> Result<Answer, Failure> {
    changed(ask, id, Meaning::Changed).await
}

/// Makes a member what is wished of the one who is there, and again if somebody was faster.
async fn changed(ask: &Ask, id: &str, meaning: Meaning) -> Result<Answer, Failure> {
    let mut left: Option<String> = None;
    for _ in 0..TRIES {
        let mut seen = found(ask, id).await?;
        ask.must_still_be(left.as_deref(), seen.version())?;
        match change_seen(ask, &mut seen, meaning).await {
            Ok(()) => return Ok(ask.answer(&seen.document)),
            Err(failure) if failure.is_changed() => left = Some(seen.version().to_owned()),
            Err(failure) => return Err(failure),
        }
    }
    Err(Kind::Changed.into())
}

async fn change_seen(ask: &Ask, seen: &mut Seen, meaning: Meaning) -> Result<(), Failure> {
    // Before anything else is looked at: whatever is wrong with the rest, nobody stays in who is to be out.
    if said_active(ask, seen, meaning) == Some(false) {
        set_state(ask, seen, AccountState::Disabled).await?;
    }
    let wish = Wish { active: said_active(ask, seen, meaning), ..wished(ask, seen, meaning)? };
    if wish.user_name.as_ref().is_some_and(|name| !is_same(name, &seen.account)) {
        let detail = both(
            "the address of a member stays: give the member another one as an alias",
            "成员的地址不能更改：可以为其添加别名",
        );
        return Err(Failure::of(Type::Mutability, detail));
    }
    wish.check(&seen.account.profile)?;
    bring(ask, seen, &wish).await
}

fn wished(ask: &Ask, seen: &Seen, meaning: Meaning) -> Result<Wish, Failure> {
    if meaning == Meaning::Sent {
        return Wish::read(&ask.body, Some(&seen.document), meaning);
    }
    let mut document = seen.document.clone();
    patch::apply(&mut document, &ask.body)?;
    Wish::read(&document, Some(&seen.document), meaning)
}

/// May the mailbox be used, by what is said? One that the operator has suspended, or that has expired, is not disabled by sending
/// back what is shown; a change of it means what it says.
fn said_active(ask: &Ask, seen: &Seen, meaning: Meaning) -> Option<bool> {
    let of = |document: &Map<String, Value>| flag_of(document, "active").ok().flatten();
    match meaning {
        Meaning::Changed => patch::active(&ask.body),
        Meaning::Sent => of(&ask.body).filter(|active| of(&seen.document) != Some(*active)),
    }
}

async fn set_state(ask: &Ask, seen: &mut Seen, state: AccountState) -> Result<(), Failure> {
    if seen.account.state != state {
        let change = AccountChange { state: Some(state), ..AccountChange::default() };
        seen.account = ask.administration.change_account(&ask.by.call, &seen.account, change).await?;
        seen.document = shown(ask, &seen.account, &seen.said, &tree(ask).await?);
    }
    Ok(())
}

fn is_same(name: &str, account: &Account) -> bool {
    MailAddress::parse(name).is_ok_and(|name| name == account.address)
}

pub(super) async fn remove(ask: &Ask, id: &str) -> Result<Answer, Failure> {
    let seen = found(ask, id).await?;
    ask.must_match(seen.version())?;
    ask.administration.delete_account(&ask.by.call, seen.account.key, BinCause::Deleted).await?;
    Ok(Answer::nothing())
}

/// Makes a member what is wished, and keeps what the client calls it; `seen` is what has been reached, also if it fails.
async fn bring(ask: &Ask, seen: &mut Seen, wish: &Wish) -> Result<(), Failure> {
    let (it, call) = (&ask.administration, &ask.by.call);
    let account = &seen.account;
    let is_other = |(field, text): &&(ProfileField, String)| account.profile.field(*field) != text.as_str();
    let mut change = PersonChange {
        display_name: wish.display_name.clone().filter(|name| *name != account.display_name),
        fields: wish.fields.iter().filter(is_other).cloned().collect(),
        departments: None,
    };
    let state = wish.active.map(|active| if active { AccountState::Active } else { AccountState::Disabled });
    let is_other_state = state.is_some_and(|state| state != account.state);
    if change != PersonChange::default() || wish.department.is_some() || is_other_state {
        // Name, numbers and departments of somebody above are out of reach as the state is.
        it.account_for(Action::AccountChange, call, account.key).await?;
    }
    if let Some(state) = state {
        set_state(ask, seen, state).await?;
    }
    if let Some(path) = &wish.department {
        let main = it.provided_department(&ask.by, path).await?;
        let others = seen.account.departments.iter().skip(1).copied().filter(|other| Some(*other) != main);
        let wished: Vec<_> = main.into_iter().chain(others).collect();
        change.departments = Some(wished).filter(|wished| *wished != seen.account.departments);
    }
    if change != PersonChange::default() {
        seen.account = it.change_person(call, &seen.account, &change).await?;
        seen.document = shown(ask, &seen.account, &seen.said, &tree(ask).await?);
    }
    let mut said = seen.said.clone();
    if let Some(external_id) = &wish.external_id {
        said.external_id.clone_from(external_id);
    }
    if wish.is_named || change.display_name.is_some() {
        // The parts of another name are none of this one.
        let is_same = said.display_name == seen.account.display_name;
        let part = |wished: &Option<String>, known: String| {
            wished.clone().unwrap_or_else(|| if is_same { known } else { String::new() })
        };
        said.given_name = part(&wish.given_name, said.given_name);
        said.family_name = part(&wish.family_name, said.family_name);
        said.display_name.clone_from(&seen.account.display_name);
    }
    it.set_provisioned(&ask.by, Provided::Account(seen.account.key.account), &seen.said, &said).await?;
    seen.said = said;
    seen.document = shown(ask, &seen.account, &seen.said, &tree(ask).await?);
    Ok(())
}

async fn tree(ask: &Ask) -> Result<DepartmentTree, Failure> {
    Ok(ask.administration.departments(&ask.by.call, ask.by.tenant, false).await?.tree)
}

async fn found(ask: &Ask, id: &str) -> Result<Seen, Failure> {
    let account = look_up(ask, &Lookup::Id(id.to_owned())).await?.ok_or(Kind::NotFound)?;
    let tree = tree(ask).await?;
    seen(ask, account, &tree).await
}

async fn seen(ask: &Ask, account: Account, tree: &DepartmentTree) -> Result<Seen, Failure> {
    let said = ask.administration.provisioned(&ask.by, Provided::Account(account.key.account)).await?;
    let document = shown(ask, &account, &said, tree);
    Ok(Seen { account, said, document })
}

fn shown(ask: &Ask, account: &Account, said: &Provisioned, tree: &DepartmentTree) -> Map<String, Value> {
    let mut user = Map::new();
    let mut put = |name: &str, value: Value| {
        let is_empty =
            value.as_str().is_some_and(str::is_empty) || value.as_array().is_some_and(Vec::is_empty);
        if !is_empty {
            user.insert(name.to_owned(), value);
        }
    };
    let id = account.key.account.to_string();
    let address = account.address.to_string();
    put("schemas", json!([USER, ENTERPRISE]));
    put("id", id.clone().into());
    put("externalId", said.external_id.clone().into());
    put("userName", address.clone().into());
    put("displayName", account.display_name.clone().into());
    if !account.display_name.is_empty() {
        let mut name = json!({ "formatted": account.display_name });
        // The parts of another name are none of this one.
        if said.display_name == account.display_name {
            for (part, text) in [("givenName", &said.given_name), ("familyName", &said.family_name)] {
                if !text.is_empty() {
                    name[part] = text.clone().into();
                }
            }
        }
        put("name", name);
    }
    put("title", account.profile.title.clone().into());
    put("active", account.is_open(ask.administration.directory().now()).into());
    put("emails", json!([{ "value": address, "type": "work", "primary": true }]));
    let phones = [("work", &account.profile.phone), ("mobile", &account.profile.mobile)];
    let phones = phones.into_iter().filter(|(_, number)| !number.is_empty());
    put("phoneNumbers", phones.map(|(kind, number)| json!({ "type": kind, "value": number })).collect());
    let mut extension = Map::new();
    let department = account.departments.first().map(|main| tree.path(*main).join("/")).unwrap_or_default();
    for (name, text) in [("employeeNumber", &account.profile.number), ("department", &department)] {
        if !text.is_empty() {
            extension.insert(name.to_owned(), text.clone().into());
        }
    }
    if !extension.is_empty() {
        put(ENTERPRISE, extension.into());
    }
    let version = format!("W/{}", tag_of(&user));
    let location = format!("{}/Users/{id}", ask.base);
    let created = account.created.rfc3339();
    user.insert(
        "meta".to_owned(),
        json!({ "resourceType": "User", "created": created, "location": location, "version": version }),
    );
    user
}

/// A name of its parts, as its language writes it.
fn composed(given: &str, family: &str) -> String {
    let is_chinese =
        |text: &str| !text.is_empty() && text.chars().all(|c| matches!(c, '\u{3400}'..='\u{9fff}'));
    if is_chinese(given) && is_chinese(family) {
        return format!("{family}{given}");
    }
    format!("{given} {family}").trim().to_owned()
}

/// The texts of a name: as it is shown, as it is formatted, and its parts.
fn names(document: &Map<String, Value>) -> Result<[Option<String>; 4], Failure> {
    let of_name = |part: &str| sub_field(document, "name", part).map(|value| text(value, part)).transpose();
    let shown = text_of(document, "displayName")?;
    Ok([shown, of_name("formatted")?, of_name("givenName")?, of_name("familyName")?])
}

/// How the member is to be called: by what is said of the name, or of what is different in it from before.
fn name_of(new: &[Option<String>; 4], old: Option<&[Option<String>; 4]>) -> Option<String> {
    let whole = |names: &[Option<String>; 4]| {
        composed(names[2].as_deref().unwrap_or_default(), names[3].as_deref().unwrap_or_default())
    };
    let Some(old) = old else {
        let parts = Some(whole(new)).filter(|parts| !parts.is_empty());
        return new[0].clone().or_else(|| new[1].clone()).or(parts);
    };
    if new[0] != old[0] {
        return Some(new[0].clone().unwrap_or_default());
    }
    if new[1] != old[1] && new[1].is_some() {
        return new[1].clone();
    }
    // Whoever takes parts away leaves the name as it is shown.
    if (2..4).all(|part| new[part] == old[part] || new[part].is_none()) {
        return None;
    }
    let is_of_parts = old[0].as_deref().unwrap_or_default() == whole(old);
    (whole(new) != whole(old) && is_of_parts).then(|| whole(new))
}

impl Wish {
    fn read(
        document: &Map<String, Value>,
        before: Option<&Map<String, Value>>,
        meaning: Meaning,
    ) -> Result<Wish, Failure> {
        let is_changed = meaning == Meaning::Changed;
        let new = names(document)?;
        let old = before.filter(|_| is_changed).map(names).transpose()?;
        let gone = |text: Option<String>| text.or_else(|| is_changed.then(String::new));
        let display_name = name_of(&new, old.as_ref());
        let is_named = old.as_ref().map_or(new[2].is_some() || new[3].is_some(), |old| new != *old);
        let [_, _, given_name, family_name] = new;
        let mut fields = vec![(ProfileField::Title, text_of(document, "title")?.unwrap_or_default())];
        fields.extend(phones(document)?);
        let extension = field(document, ENTERPRISE);
        let mut department = None;
        match extension {
            Some(Value::Object(extension)) => {
                let number = text_of(extension, "employeeNumber")?.unwrap_or_default();
                fields.push((ProfileField::Number, number));
                department = Some(text_of(extension, "department")?.unwrap_or_default());
            }
            None if is_changed => {
                fields.push((ProfileField::Number, String::new()));
                department = Some(String::new());
            }
            None => {}
            Some(_) => return Err(wrong(ENTERPRISE)),
        }
        let before_department = before.and_then(|before| sub_field(before, ENTERPRISE, "department"));
        // What the client has read is left alone, though it may stand for several departments of one name.
        let is_same = before.is_some()
            && department.as_deref().unwrap_or_default()
                == before_department.and_then(Value::as_str).unwrap_or_default();
        Ok(Wish {
            user_name: text_of(document, "userName")?.filter(|name| !name.is_empty()),
            display_name,
            is_named,
            given_name: gone(given_name),
            family_name: gone(family_name),
            external_id: gone(text_of(document, "externalId")?),
            fields,
            department: department.filter(|_| !is_same),
            active: flag_of(document, "active")?,
        })
    }

    /// Is everything that is said something that can be?
    fn check(&self, profile: &Profile) -> Result<(), Failure> {
        let mut profile = profile.clone();
        for (field, text) in &self.fields {
            profile.set(*field, text)?;
        }
        let names = [&self.display_name, &self.given_name, &self.family_name];
        for (name, text) in ["displayName", "name.givenName", "name.familyName"].into_iter().zip(names) {
            let text = text.as_deref().unwrap_or_default();
            if text.chars().count() > 200 || text.chars().any(char::is_control) {
                return Err(wrong(name));
            }
        }
        check_display_name(self.display_name.as_deref().unwrap_or_default())?;
        DepartmentTree::names_of_path(self.department.as_deref().unwrap_or_default())?;
        let external_id = self.external_id.as_deref().unwrap_or_default();
        if external_id.chars().count() > 256 || external_id.chars().any(char::is_control) {
            return Err(wrong("externalId"));
        }
        Ok(())
    }
}

/// The numbers at work and under way; others are not kept.
fn phones(document: &Map<String, Value>) -> Result<[(ProfileField, String); 2], Failure> {
    let (mut work, mut mobile) = (String::new(), String::new());
    let numbers = match field(document, "phoneNumbers") {
        None => &[][..],
        Some(Value::Array(numbers)) => numbers,
        Some(_) => return Err(wrong("phoneNumbers")),
    };
    for number in numbers {
        let number = number.as_object().ok_or_else(|| wrong("phoneNumbers"))?;
        let value = text_of(number, "value")?.unwrap_or_default();
        let value = value.strip_prefix("tel:").unwrap_or(&value).to_owned();
        let kind = text_of(number, "type")?.unwrap_or_default().to_ascii_lowercase();
        match kind.as_str() {
            "work" | "" if work.is_empty() => work = value,
            "mobile" if mobile.is_empty() => mobile = value,
            _ => {}
        }
    }
    Ok([(ProfileField::Phone, work), (ProfileField::Mobile, mobile)])
}
