//! Groups: the tags of the tenant (ORG-25), with the accounts that they mark. Departments that an administrator has marked with
//! one stay, and are not shown.

use std::collections::BTreeSet;

use pennypost_directory::{
    MAX_TAGGED, Provided, ProvidedKind, Provisioned, Tag, TagChange, TagId, fold_name,
};
use pennypost_model::AccountId;
use scim_v2::filter::AttrPath;
use serde_json::{Map, Value, json};

use super::super::problem::Kind;
use super::super::problem::details::both;
use super::super::reply::tag_of;
use super::answer::{Answer, Failure, Type};
use super::filter::{self, Lookup};
use super::list::Window;
use super::value::{GROUP, field, is_extension, must_be, text_of, wrong};
use super::{Ask, PREFIX, TRIES, patch};

/// A tag as the client sees one.
struct Seen {
    tag: Tag,
    said: Provisioned,
    document: Map<String, Value>,
}

impl Seen {
    fn version(&self) -> &str {
        self.document.get("meta").and_then(|meta| meta["version"].as_str()).unwrap_or_default()
    }
}

/// What a document says of a tag; `None` leaves as it is.
struct Wish {
    name: Option<String>,
    accounts: Option<BTreeSet<AccountId>>,
    external_id: Option<String>,
}

pub(super) async fn list(ask: &Ask) -> Result<Answer, Failure> {
    let window = Window::of(ask)?;
    if let Some(said) = ask.filter()? {
        let parsed = filter::parse(said)?;
        let mut groups: Vec<Map<String, Value>> = Vec::new();
        let lookups = filter::lookups(&parsed, finds, "id, displayName, externalId")?;
        let by_name = lookups.iter().any(|lookup| matches!(lookup, Lookup::Name(_)));
        let names =
            if by_name { ask.administration.tags(&ask.by.call, ask.by.tenant).await? } else { Vec::new() };
        for lookup in lookups {
            let Some(id) = look_up(ask, &lookup, &names).await? else { continue };
            let Some(seen) = seen(ask, id).await? else { continue };
            let is_new = groups.iter().all(|known| known.get("id") != seen.document.get("id"));
            let is_it = |path: &AttrPath, text: &str| {
                let by_name = finds(path).is_some_and(|find| matches!(find(String::new()), Lookup::Name(_)));
                by_name && fold_name(text) == fold_name(&seen.tag.name)
            };
            if is_new && filter::matches(&parsed, &seen.document, &is_it) {
                groups.push(seen.document);
            }
        }
        let total = groups.len();
        return Ok(window.answer(ask, total, window.rows(groups)));
    }
    let tags = ask.administration.tags(&ask.by.call, ask.by.tenant).await?;
    let total = tags.len();
    let mut rows = Vec::new();
    for (id, _) in window.rows(tags) {
        rows.extend(seen(ask, id).await?.map(|seen| seen.document));
    }
    Ok(window.answer(ask, total, rows))
}

fn finds(path: &AttrPath) -> Option<fn(String) -> Lookup> {
    if is_extension(path.uri.as_deref()) != Some(false) || path.sub_attr.is_some() {
        return None;
    }
    match path.name.to_ascii_lowercase().as_str() {
        "id" => Some(Lookup::Id),
        "displayname" => Some(Lookup::Name),
        "externalid" => Some(Lookup::External),
        _ => None,
    }
}

async fn look_up(ask: &Ask, lookup: &Lookup, names: &[(TagId, String)]) -> Result<Option<TagId>, Failure> {
    let it = &ask.administration;
    Ok(match lookup {
        Lookup::Id(id) => number(id),
        Lookup::Name(wanted) => {
            let wanted = fold_name(wanted);
            names.iter().find(|(_, name)| fold_name(name) == wanted).map(|(id, _)| *id)
        }
        Lookup::External(id) => match it.provided_as(&ask.by, ProvidedKind::Tag, id).await? {
            Some(Provided::Tag(tag)) => Some(tag),
            _ => None,
        },
    })
}

/// A number as it is written here, and no other way.
fn number(id: &str) -> Option<TagId> {
    id.parse().ok().filter(|number: &u32| number.to_string() == id).map(TagId)
}

pub(super) async fn read(ask: &Ask, id: &str) -> Result<Answer, Failure> {
    let seen = found(ask, id).await?;
    if ask.is_known(seen.version()) {
        return Ok(Answer::unchanged(seen.version().to_owned()));
    }
    Ok(ask.answer(&seen.document))
}

pub(super) async fn add(ask: &Ask) -> Result<Answer, Failure> {
    must_be(&ask.body, GROUP)?;
    let wish = Wish::read(&ask.body, false)?;
    let name = wish.name.clone().ok_or_else(|| wrong("displayName"))?;
    let (it, call, tenant) = (&ask.administration, &ask.by.call, ask.by.tenant);
    let tag = it.add_tag(call, tenant, &name).await?;
    let id = tag.id;
    let document = document(ask, &tag, &Provisioned::default());
    let mut seen = Seen { tag, said: Provisioned::default(), document };
    match bring(ask, &mut seen, wish).await {
        Ok(()) => Ok(ask.answer(&seen.document).made()),
        Err(failure) => {
            // A group is made whole or not at all: else the next try would find its name taken.
            if let Err(error) = it.remove_tag(call, tenant, id).await {
                tracing::warn!(%tenant, tag = id.0, %error, "a group that could not be made whole stays");
            }
            Err(failure)
        }
    }
}

pub(super) async fn replace(ask: &Ask, id: &str) -> Result<Answer, Failure> {
    must_be(&ask.body, GROUP)?;
    let seen = changed(ask, id, |_| Wish::read(&ask.body, false)).await?;
    Ok(ask.answer(&seen.document))
}

pub(super) async fn change(ask: &Ask, id: &str) -> Result<Answer, Failure> {
    let wishing = |seen: &Seen| {
        let mut document = seen.document.clone();
        patch::apply(&mut document, &ask.body)?;
        Wish::read(&document, true)
    };
    let seen = changed(ask, id, wishing).await?;
    // Groups are long: told only to whom asks for something of it (RFC 7644 section 3.5.2).
    let is_asked = ask.parameter("attributes").is_some();
    Ok(if is_asked { ask.answer(&seen.document) } else { Answer::nothing() })
}

async fn changed(
    ask: &Ask,
    id: &str,
    wishing: impl Fn(&Seen) -> Result<Wish, Failure> + Send + Sync,
) -> Result<Seen, Failure> {
    let mut left: Option<String> = None;
    for _ in 0..TRIES {
        let mut seen = found(ask, id).await?;
        ask.must_still_be(left.as_deref(), seen.version())?;
        let wish = wishing(&seen)?;
        match bring(ask, &mut seen, wish).await {
            Ok(()) => return Ok(seen),
            Err(failure) if failure.is_changed() => left = Some(seen.version().to_owned()),
            Err(failure) => return Err(failure),
        }
    }
    Err(Kind::Changed.into())
}

pub(super) async fn remove(ask: &Ask, id: &str) -> Result<Answer, Failure> {
    let seen = found(ask, id).await?;
    ask.must_match(seen.version())?;
    ask.administration.remove_tag(&ask.by.call, ask.by.tenant, seen.tag.id).await?;
    Ok(Answer::nothing())
}

/// Makes a tag what is wished; `seen` is what has been reached, also if it fails.
async fn bring(ask: &Ask, seen: &mut Seen, wish: Wish) -> Result<(), Failure> {
    let (it, call, tenant) = (&ask.administration, &ask.by.call, ask.by.tenant);
    let change = TagChange {
        name: wish.name.filter(|name| *name != seen.tag.name),
        accounts: wish.accounts.filter(|accounts| *accounts != seen.tag.accounts),
        departments: None,
    };
    if change != TagChange::default() {
        seen.tag = it.change_tag(call, tenant, &seen.tag, &change).await?;
        seen.document = document(ask, &seen.tag, &seen.said);
    }
    let external_id = wish.external_id.unwrap_or_else(|| seen.said.external_id.clone());
    let said = Provisioned { external_id, ..seen.said.clone() };
    it.set_provisioned(&ask.by, Provided::Tag(seen.tag.id), &seen.said, &said).await?;
    seen.said = said;
    seen.document = document(ask, &seen.tag, &seen.said);
    Ok(())
}

async fn found(ask: &Ask, id: &str) -> Result<Seen, Failure> {
    let id = number(id).ok_or(Kind::NotFound)?;
    seen(ask, id).await?.ok_or_else(|| Kind::NotFound.into())
}

async fn seen(ask: &Ask, id: TagId) -> Result<Option<Seen>, Failure> {
    let tag = match ask.administration.tag(&ask.by.call, ask.by.tenant, id).await {
        Ok(tag) => tag,
        Err(pennypost_admin::AdminError::NotFound(_)) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let said = ask.administration.provisioned(&ask.by, Provided::Tag(id)).await?;
    let document = document(ask, &tag, &said);
    Ok(Some(Seen { tag, said, document }))
}

fn document(ask: &Ask, tag: &Tag, said: &Provisioned) -> Map<String, Value> {
    let mut group = Map::new();
    let id = tag.id.0.to_string();
    group.insert("schemas".to_owned(), json!([GROUP]));
    group.insert("id".to_owned(), id.clone().into());
    if !said.external_id.is_empty() {
        group.insert("externalId".to_owned(), said.external_id.clone().into());
    }
    group.insert("displayName".to_owned(), tag.name.clone().into());
    if !tag.accounts.is_empty() {
        let member = |account: &AccountId| {
            let account = account.to_string();
            json!({ "value": account, "type": "User", "$ref": format!("{PREFIX}/Users/{account}") })
        };
        group.insert("members".to_owned(), tag.accounts.iter().map(member).collect());
    }
    let version = format!("W/{}", tag_of(&group));
    let location = format!("{}/Groups/{id}", ask.base);
    let meta = json!({ "resourceType": "Group", "location": location, "version": version });
    group.insert("meta".to_owned(), meta);
    group
}

impl Wish {
    /// With `is_whole` what is not said is not so any more.
    fn read(document: &Map<String, Value>, is_whole: bool) -> Result<Wish, Failure> {
        let name = text_of(document, "displayName")?;
        if name.as_deref().is_some_and(str::is_empty) || name.is_none() && is_whole {
            return Err(wrong("displayName"));
        }
        if name.as_deref().is_some_and(|name| name.starts_with('#')) {
            let detail = both("displayName does not begin with #", "displayName 不能以 # 开头");
            return Err(Failure::of(Type::InvalidValue, detail));
        }
        let accounts = match field(document, "members") {
            None => is_whole.then(BTreeSet::new),
            Some(Value::Array(members)) => Some(members.iter().map(member).collect::<Result<_, _>>()?),
            Some(_) => return Err(wrong("members")),
        };
        if accounts.as_ref().is_some_and(|accounts: &BTreeSet<AccountId>| accounts.len() > MAX_TAGGED) {
            let detail = both(format!("{MAX_TAGGED} members at most"), format!("最多 {MAX_TAGGED} 个成员"));
            return Err(Failure::of(Type::InvalidValue, detail));
        }
        let external_id = text_of(document, "externalId")?.or_else(|| is_whole.then(String::new));
        let is_bad = |id: &str| id.chars().count() > 256 || id.chars().any(char::is_control);
        if external_id.as_deref().is_some_and(is_bad) {
            Err(wrong("externalId"))
        } else {
            Ok(Wish { name, accounts, external_id })
        }
    }
}

/// A member of a group: an account. Groups in groups there are not.
fn member(said: &Value) -> Result<AccountId, Failure> {
    let said = said.as_object().ok_or_else(|| wrong("members"))?;
    let is_group = text_of(said, "type")?.is_some_and(|kind| kind.eq_ignore_ascii_case("group"));
    let id = text_of(said, "value")?.unwrap_or_default();
    match id.parse() {
        Ok(account) if !is_group => Ok(account),
        _ => Err(wrong("members")),
    }
}
