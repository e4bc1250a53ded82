//! Provisioning over SCIM 2.0 as Entra ID, Okta and others call it (RFC 7643, 7644; ORG-26).

use std::net::IpAddr;

use axum::body::Body;
use axum::http::Request;
use pennypost_admin::{Assignment, Holder, NewKey, Permissions};
use pennypost_api::Client;
use pennypost_directory::AccountState;
use pennypost_model::{AccountId, AccountKey};
use serde_json::{Value, json};

use crate::support::{Answer, OPERATOR, Office, Tenant, permissions};

pub(crate) const USER: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
pub(crate) const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
pub(crate) const GROUP: &str = "urn:ietf:params:scim:schemas:core:2.0:Group";
pub(crate) const PATCH: &str = "urn:ietf:params:scim:api:messages:2.0:PatchOp";

pub(crate) struct Bench {
    pub(crate) office: Office,
    pub(crate) home: Tenant,
    pub(crate) key: String,
}

pub(crate) async fn bench() -> Bench {
    let office = Office::unhurried().await;
    let home = office.tenant("home").await;
    let key = office.key(Some(home.id), None, permissions(&["provisioning:write"])).await;
    Bench { office, home, key }
}

pub(crate) async fn asked(
    office: &Office,
    key: &str,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: Option<&Value>,
) -> Answer {
    let mut request = Request::builder().method(method).uri(format!("/scim/v2{path}"));
    if !key.is_empty() {
        request = request.header("authorization", format!("Bearer {key}"));
    }
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    if body.is_some() {
        request = request.header("content-type", "application/scim+json; charset=utf-8");
    }
    let body = body.map_or_else(Body::empty, |body| Body::from(body.to_string()));
    let mut request = request.body(body).expect("a request");
    request.extensions_mut().insert(Client(IpAddr::from([192, 0, 2, 9])));
    office.send(request).await
}

/// A filter as it stands behind the question mark.
pub(crate) fn filter(text: &str) -> String {
    let escape = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => char::from(byte).to_string(),
        other => format!("%{other:02X}"),
    };
    let escaped: String = text.bytes().map(escape).collect();
    format!("filter={escaped}")
}

pub(crate) fn id_of(answer: &Answer) -> String {
    answer.json()["id"].as_str().expect("an id").to_owned()
}

impl Bench {
    pub(crate) async fn ask(&self, method: &str, path: &str, body: Option<&Value>) -> Answer {
        asked(&self.office, &self.key, method, path, &[], body).await
    }

    #[track_caller]
    pub(crate) fn refused(answer: &Answer, status: u16, kind: Option<&str>) {
        assert_eq!(answer.status.as_u16(), status, "{}", answer.text);
        assert_eq!(answer.header("content-type"), "application/scim+json");
        let document = answer.json();
        assert_eq!(document["schemas"], json!(["urn:ietf:params:scim:api:messages:2.0:Error"]));
        assert_eq!(document["status"], status.to_string());
        assert_eq!(document.get("scimType").and_then(Value::as_str), kind, "{}", answer.text);
        assert!(!document["detail"].as_str().expect("why").is_empty());
    }

    pub(crate) async fn found(&self, of: &str, text: &str) -> Vec<Value> {
        let answer = self.ask("GET", &format!("/{of}?{}", filter(text)), None).await;
        assert_eq!(answer.status, 200, "{text}: {}", answer.text);
        let list = answer.json();
        let rows = list["Resources"].as_array().expect("rows").clone();
        assert_eq!((&list["totalResults"], &list["itemsPerPage"]), (&json!(rows.len()), &json!(rows.len())));
        rows
    }

    pub(crate) fn address(&self, local: &str) -> String {
        format!("{local}@{}", self.home.domain)
    }

    pub(crate) async fn state(&self, id: &str) -> AccountState {
        let account: AccountId = id.parse().expect("an id");
        let key = AccountKey { tenant: self.home.id, account };
        self.office.administration.account(&OPERATOR, key).await.expect("there").state
    }

    pub(crate) async fn new_user(&self, local: &str) -> String {
        let user = json!({ "schemas": [USER], "userName": self.address(local), "displayName": local });
        let made = self.ask("POST", "/Users", Some(&user)).await;
        assert_eq!(made.status, 201, "{}", made.text);
        id_of(&made)
    }

    pub(crate) async fn patch(&self, path: &str, operations: Value) -> Answer {
        let body = json!({ "schemas": [PATCH], "Operations": operations });
        self.ask("PATCH", path, Some(&body)).await
    }
}

/// Feature ORG-26 (part): members, their departments and tags as a directory elsewhere has them, over SCIM 2.0, and disabling, too; what is changed here is read by it, not sent to it; departments are made, but neither renamed nor removed
#[tokio::test(flavor = "multi_thread")]
async fn entra_id_adds_changes_disables_and_deletes_a_member() {
    let it = bench().await;
    // It tries the connection by a filter that finds nobody.
    assert!(it.found("Users", "userName eq \"3f8d-nobody@elsewhere.example\"").await.is_empty());
    let address = it.address("ann.li");
    let user = json!({
        "schemas": [USER, ENTERPRISE],
        "externalId": "0a21f0f2-8d2a-4f8e-bf98-7363c4aed4ef",
        "userName": address, "active": true, "displayName": "Ann Li", "title": "Engineer",
        "emails": [{ "primary": true, "type": "work", "value": address }],
        "meta": { "resourceType": "User" },
        "name": { "formatted": "Ann Li", "familyName": "Li", "givenName": "Ann" },
        "phoneNumbers": [{ "type": "mobile", "value": "+86 138 0000 0000" }],
        "addresses": [{ "type": "work", "country": "CN" }],
        "roles": [],
        ENTERPRISE: { "employeeNumber": "A-17", "department": "Research/Compilers", "manager": "x" },
    });
    let made = it.ask("POST", "/Users", Some(&user)).await;
    assert_eq!(made.status, 201, "{}", made.text);
    assert_eq!(made.header("content-type"), "application/scim+json");
    let id = id_of(&made);
    let path = format!("/Users/{id}");
    assert_eq!(made.header("location"), format!("/scim/v2{path}"));
    let seen = made.json();
    for pointer in ["/externalId", "/userName", "/active", "/displayName", "/title", "/name", "/phoneNumbers"]
    {
        assert_eq!(seen.pointer(pointer), user.pointer(pointer), "{pointer}");
    }
    assert_eq!(seen[ENTERPRISE], json!({ "employeeNumber": "A-17", "department": "Research/Compilers" }));
    assert!(seen.get("addresses").is_none() && seen["emails"][0]["value"] == address);
    // Sent again, it is no second one.
    Bench::refused(&it.ask("POST", "/Users", Some(&user)).await, 409, Some("uniqueness"));
    // It is found in every way that is offered, and read as it was made.
    for text in [
        format!("userName eq \"{}\"", address.to_uppercase()),
        "externalId eq \"0a21f0f2-8d2a-4f8e-bf98-7363c4aed4ef\"".to_owned(),
        format!("emails[type eq \"work\" and value eq \"{address}\"]"),
        format!("emails.value eq \"{address}\" and active eq true"),
        format!("id eq \"{id}\""),
        format!(
            "userName eq \"nobody@{}\" or externalId eq \"0a21f0f2-8d2a-4f8e-bf98-7363c4aed4ef\"",
            it.home.domain
        ),
    ] {
        assert_eq!(it.found("Users", &text).await, vec![seen.clone()], "{text}");
    }
    assert!(it.found("Users", &format!("userName eq \"{address}\" and active eq false")).await.is_empty());
    assert!(it.found("Users", "externalId eq \"0A21F0F2-8D2A-4F8E-BF98-7363C4AED4EF\"").await.is_empty());
    assert_eq!(it.ask("GET", &path, None).await.json(), seen);

    // Changes as it writes them: capitals, paths, keys with dots, texts for flags.
    let department = format!("{ENTERPRISE}:department");
    let changed = it.patch(&path, json!([
        { "op": "Replace", "path": "displayName", "value": "Ann Lin" },
        { "op": "Add", "path": "phoneNumbers[type eq \"work\"].value", "value": "+86 10 1234" },
        { "op": "Replace", "path": "emails[type eq \"work\"].value", "value": "else@elsewhere.example" },
        { "op": "Add", "path": department, "value": "Research/Kernels" },
        { "op": "Replace", "value": { "title": "Head", "name.familyName": "Lin" } },
    ])).await;
    assert_eq!(changed.status, 200, "{}", changed.text);
    let now = changed.json();
    assert_eq!((&now["displayName"], &now["title"]), (&json!("Ann Lin"), &json!("Head")));
    assert_eq!((&now["name"]["familyName"], &now["emails"][0]["value"]), (&json!("Lin"), &json!(address)));
    assert_eq!(
        now["phoneNumbers"],
        json!([
            { "type": "work", "value": "+86 10 1234" }, { "type": "mobile", "value": "+86 138 0000 0000" },
        ])
    );
    assert_eq!(now[ENTERPRISE]["department"], "Research/Kernels");
    assert_ne!(now["meta"]["version"], seen["meta"]["version"]);
    // Departments are made once, with those above them.
    let reader = it.office.key(Some(it.home.id), None, permissions(&["members:read", "log:read"])).await;
    let list = format!("/tenants/{}/departments", it.home.id);
    let departments = it.office.ask(&reader, "GET", &list, None).await.text;
    for name in ["Research", "Compilers", "Kernels"] {
        let made = format!("\"name\":\"{name}\"");
        assert_eq!(departments.matches(&made).count(), 1, "{departments}");
    }
    // The address stays.
    let renamed =
        it.patch(&path, json!([{ "op": "Replace", "path": "userName", "value": it.address("b") }])).await;
    Bench::refused(&renamed, 400, Some("mutability"));

    let off = it.patch(&path, json!([{ "op": "Replace", "path": "active", "value": "False" }])).await;
    assert_eq!((off.status.as_u16(), &off.json()["active"]), (200, &json!(false)), "{}", off.text);
    assert_eq!(it.state(&id).await, AccountState::Disabled);
    let on = it.patch(&path, json!([{ "op": "replace", "value": { "active": true } }])).await;
    assert_eq!(on.json()["active"], true);
    assert_eq!(it.state(&id).await, AccountState::Active);

    assert_eq!(it.ask("DELETE", &path, None).await.status, 204);
    Bench::refused(&it.ask("GET", &path, None).await, 404, None);
    Bench::refused(&it.ask("DELETE", &path, None).await, 404, None);
    assert!(it.found("Users", &format!("userName eq \"{address}\"")).await.is_empty());
    // It lies in the recycle bin: nobody else gets the address, and the mail with it.
    let again = it.ask("POST", "/Users", Some(&user)).await;
    Bench::refused(&again, 409, Some("uniqueness"));
    assert!(again.text.contains("recycle bin"), "{}", again.text);
    let log = format!("/tenants/{}/operations?limit=500", it.home.id);
    let log = it.office.ask(&reader, "GET", &log, None).await.text;
    for action in [
        "account.add",
        "department.add",
        "person.change",
        "account.change",
        "account.delete",
        "provisioning.change",
    ] {
        assert!(log.contains(&format!("\"{action}\"")), "{action}: {log}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn okta_adds_reads_replaces_and_deactivates_a_member() {
    let it = bench().await;
    let address = it.address("isaac");
    // What it asks of a server before anything else.
    let first = it.ask("GET", "/Users?count=1&startIndex=1", None).await.json();
    assert_eq!((&first["itemsPerPage"], &first["startIndex"]), (&json!(1), &json!(1)));
    let user = json!({
        "schemas": [USER], "userName": address, "name": { "givenName": "Isaac", "familyName": "Brock" },
        "emails": [{ "primary": true, "value": address, "type": "work" }],
        "displayName": "Isaac Brock", "locale": "en-US", "externalId": "00ujl29u0le5T6Aj10h7",
        "groups": [], "password": "1mz050nq", "active": true,
    });
    let made = it.ask("POST", "/Users", Some(&user)).await;
    assert_eq!(made.status, 201, "{}", made.text);
    assert!(!made.text.contains("1mz050nq"));
    let path = format!("/Users/{}", id_of(&made));
    let read = it.found("Users", &format!("userName eq \"{address}\"")).await;
    assert_eq!(
        read[0]["name"],
        json!({ "formatted": "Isaac Brock", "givenName": "Isaac", "familyName": "Brock" })
    );
    // It sends the whole, with what it has read.
    let mut whole = read[0].clone();
    whole["name"]["familyName"] = "Newton".into();
    whole["displayName"] = "Isaac Newton".into();
    whole["title"] = "Warden".into();
    let replaced = it.ask("PUT", &path, Some(&whole)).await;
    assert_eq!(replaced.status, 200, "{}", replaced.text);
    let now = replaced.json();
    assert_eq!((&now["displayName"], &now["title"]), (&json!("Isaac Newton"), &json!("Warden")));
    assert_eq!(now["name"]["familyName"], "Newton");
    // Deactivated by the whole; what it does not know of stays.
    let off = json!({ "schemas": [USER], "userName": address, "active": false });
    let off = it.ask("PUT", &path, Some(&off)).await.json();
    assert_eq!(
        (&off["active"], &off["displayName"], &off["externalId"]),
        (&json!(false), &json!("Isaac Newton"), &user["externalId"])
    );
    assert!(off.get("title").is_none());
    // One who is disabled from the beginning.
    let idle = json!({ "schemas": [USER], "userName": it.address("idle"), "active": "false" });
    let idle = it.ask("POST", "/Users", Some(&idle)).await;
    assert_eq!((idle.status.as_u16(), &idle.json()["active"]), (201, &json!(false)), "{}", idle.text);
    assert_eq!(it.state(&id_of(&idle)).await, AccountState::Disabled);
    // A new key of the same name goes on with its ids; another client has its own.
    let same = it.office.key(Some(it.home.id), None, permissions(&["provisioning:read"])).await;
    let external = format!("/Users?{}", filter("externalId eq \"00ujl29u0le5T6Aj10h7\""));
    let found = asked(&it.office, &same, "GET", &external, &[], None).await.json();
    assert_eq!(found["totalResults"], 1);
    let other = NewKey {
        name: "another".to_owned(),
        holder: Holder::Program,
        permissions: permissions(&["provisioning:write"]),
        expires: None,
    };
    let other = it.office.administration.add_key(&OPERATOR, Some(it.home.id), other).await.expect("key").1;
    let found = asked(&it.office, &other, "GET", &external, &[], None).await.json();
    assert_eq!(found["totalResults"], 0);
    let seen = asked(&it.office, &other, "GET", &path, &[], None).await.json();
    assert!(seen.get("externalId").is_none() && seen["userName"] == address);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_client_calls_a_member_ends_with_the_member() {
    let it = bench().await;
    let user = json!({ "schemas": [USER], "userName": it.address("ann"), "externalId": "e-1", "displayName": "Ann" });
    let id = id_of(&it.ask("POST", "/Users", Some(&user)).await);
    let path = format!("/Users/{id}");
    let key = AccountKey { tenant: it.home.id, account: id.parse().expect("an id") };
    let by_external = "externalId eq \"e-1\"";
    // Another id: the old one leads nowhere. One that somebody else has had is whose it was said of last.
    let operations = json!([{ "op": "replace", "path": "externalId", "value": "e-2" }]);
    assert_eq!(it.patch(&path, operations).await.status, 200);
    assert!(it.found("Users", by_external).await.is_empty());
    let operations = json!([{ "op": "replace", "path": "externalId", "value": "e-1" }]);
    assert_eq!(it.patch(&path, operations).await.status, 200);
    assert_eq!(it.found("Users", by_external).await.len(), 1);
    // Restored it is the same member.
    let administration = &it.office.administration;
    assert_eq!(it.ask("DELETE", &path, None).await.status, 204);
    assert!(it.found("Users", by_external).await.is_empty());
    administration.restore_account(&OPERATOR, key).await.expect("restored");
    assert_eq!(it.found("Users", by_external).await[0]["id"], id);
    // Given to somebody else it is another one.
    assert_eq!(it.ask("DELETE", &path, None).await.status, 204);
    let owner = Assignment { display_name: "Bob".to_owned(), ..Assignment::default() };
    administration.assign_account(&OPERATOR, key, &owner).await.expect("given");
    assert!(it.found("Users", by_external).await.is_empty());
    assert!(it.ask("GET", &path, None).await.json().get("externalId").is_none());
    // Of one who was erased, and of a tag that was removed, nothing is left.
    let operations = json!([{ "op": "add", "path": "externalId", "value": "e-3" }]);
    assert_eq!(it.patch(&path, operations).await.status, 200);
    let group = json!({ "schemas": [GROUP], "displayName": "all", "externalId": "g-1" });
    let group = id_of(&it.ask("POST", "/Groups", Some(&group)).await);
    let partition = format!("{}/provisioned", it.home.id);
    let kept = || async { it.office.control.query(&partition, "", None, 100).await.expect("read").len() };
    assert_eq!(kept().await, 4);
    assert_eq!(it.ask("DELETE", &path, None).await.status, 204);
    administration.directory().begin_erasing(key).await.expect("begun");
    administration.directory().erase_account(key).await.expect("erased");
    assert_eq!(it.ask("DELETE", &format!("/Groups/{group}"), None).await.status, 204);
    assert_eq!(kept().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn tags_are_groups() {
    let it = bench().await;
    let (ann, bob) = (it.new_user("ann").await, it.new_user("bob").await);
    let group = json!({
        "schemas": [GROUP], "externalId": "8aa1a0c0", "displayName": "Engineers",
        "members": [{ "value": ann, "display": "Ann" }],
    });
    let made = it.ask("POST", "/Groups", Some(&group)).await;
    assert_eq!(made.status, 201, "{}", made.text);
    let id = id_of(&made);
    let path = format!("/Groups/{id}");
    assert_eq!(made.json()["members"][0]["value"], ann);
    Bench::refused(&it.ask("POST", "/Groups", Some(&group)).await, 409, Some("uniqueness"));
    // A tag as any other.
    let reader = it.office.key(Some(it.home.id), None, permissions(&["members:read"])).await;
    let tag = it.office.ask(&reader, "GET", &format!("/tenants/{}/tags/{id}", it.home.id), None).await.json();
    assert_eq!((&tag["name"], &tag["accounts"]), (&json!("Engineers"), &json!([ann])));
    for text in ["displayName eq \"engineers\"", "externalId eq \"8aa1a0c0\"", &format!("id eq \"{id}\"")] {
        assert_eq!(it.found("Groups", text).await, vec![made.json()], "{text}");
    }
    let with_member = format!("id eq \"{id}\" and members.value eq \"{ann}\"");
    assert_eq!(it.found("Groups", &with_member).await.len(), 1);
    assert!(it.found("Groups", &format!("id eq \"{id}\" and members[value eq \"{bob}\"]")).await.is_empty());
    let bare = format!("/Groups?{}&excludedAttributes=members", filter("displayName eq \"Engineers\""));
    let bare = it.ask("GET", &bare, None).await.json();
    assert!(
        bare["Resources"][0].get("members").is_none() && bare["Resources"][0]["displayName"] == "Engineers"
    );

    let added = it
        .patch(
            &path,
            json!([{ "op": "Add", "path": "members", "value": [{ "value": bob }, { "value": ann }] }]),
        )
        .await;
    assert_eq!((added.status.as_u16(), added.text.as_str()), (204, ""));
    let renamed =
        it.patch(&path, json!([{ "op": "Replace", "value": { "id": id, "displayName": "Builders" } }])).await;
    assert_eq!(renamed.status, 204, "{}", renamed.text);
    let gone = format!("members[value eq \"{ann}\"]");
    let gone = it
        .ask(
            "PATCH",
            &format!("{path}?attributes=members"),
            Some(&json!({
                "schemas": [PATCH], "Operations": [{ "op": "Remove", "path": gone }],
            })),
        )
        .await;
    assert_eq!((gone.status.as_u16(), &gone.json()["members"][0]["value"]), (200, &json!(bob)));
    let now = it.ask("GET", &path, None).await.json();
    assert_eq!((&now["displayName"], now["members"].as_array().map(Vec::len)), (&json!("Builders"), Some(1)));
    // Replaced as a whole.
    let whole = json!({ "schemas": [GROUP], "displayName": "Builders", "members": [] });
    let replaced = it.ask("PUT", &path, Some(&whole)).await.json();
    assert!(replaced.get("members").is_none() && replaced["externalId"] == "8aa1a0c0");

    // What can't be a member, and nothing is left of a group that could not be made.
    for member in [
        json!({ "value": "0123456789abcdef" }),
        json!({ "value": "x" }),
        json!({ "type": "Group", "value": ann }),
    ] {
        let group = json!({ "schemas": [GROUP], "displayName": "Nobodies", "members": [member] });
        Bench::refused(&it.ask("POST", "/Groups", Some(&group)).await, 400, Some("invalidValue"));
    }
    assert!(it.found("Groups", "displayName eq \"Nobodies\"").await.is_empty());
    let long = json!({ "schemas": [GROUP], "displayName": "x".repeat(51) });
    Bench::refused(&it.ask("POST", "/Groups", Some(&long)).await, 400, Some("invalidValue"));
    let listed = it.ask("GET", "/Groups?count=500", None).await.json();
    assert_eq!(listed["totalResults"], json!(2), "{listed}");
    assert_eq!(it.ask("DELETE", &path, None).await.status, 204);
    Bench::refused(&it.ask("GET", &path, None).await, 404, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_come_in_pages_and_filters_are_read_before_they_are_answered() {
    let it = bench().await;
    for n in 0..5 {
        it.new_user(&format!("user{n}")).await;
    }
    let all = it.ask("GET", "/Users", None).await.json();
    let total = all["totalResults"].as_u64().expect("a number");
    let ids = |list: &Value| -> Vec<String> {
        let rows = list["Resources"].as_array().expect("rows");
        rows.iter().map(|row| row["id"].as_str().expect("an id").to_owned()).collect()
    };
    let mut paged = Vec::new();
    for start in (1..=total).step_by(3) {
        let page = it.ask("GET", &format!("/Users?startIndex={start}&count=3"), None).await.json();
        assert_eq!((&page["totalResults"], &page["startIndex"]), (&json!(total), &json!(start)));
        paged.extend(ids(&page));
    }
    assert_eq!(paged, ids(&all));
    // Neither business mailboxes nor what lies in the recycle bin are members.
    for other in [it.home.business, it.home.deleted] {
        assert!(!paged.contains(&other.account.to_string()));
    }
    for (query, rows) in
        [("count=0", 0), ("count=-1", 0), ("startIndex=-4&count=2", 2), ("startIndex=1000", 0)]
    {
        let page = it.ask("GET", &format!("/Users?{query}"), None).await.json();
        assert_eq!(
            (page["itemsPerPage"].as_u64(), &page["totalResults"]),
            (Some(rows), &json!(total)),
            "{query}"
        );
    }
    Bench::refused(&it.ask("GET", "/Users?count=many", None).await, 400, Some("invalidValue"));
    let bare = it.ask("GET", "/Users?count=1&attributes=userName,name.formatted", None).await.json();
    let mut names: Vec<&String> = bare["Resources"][0].as_object().expect("an object").keys().collect();
    names.retain(|name| *name != "name");
    names.sort();
    assert_eq!(names, ["id", "schemas", "userName"]);

    // What no filter is, what none is answered for, and whatever else can be written.
    let deep = format!("{}userName eq \"a\"{}", "(".repeat(500), ")".repeat(500));
    // Said without anything in it, it is none.
    assert_eq!(it.ask("GET", "/Users?filter=", None).await.json(), all);
    for text in [
        "userName",
        "userName eq",
        "userName xx \"a\"",
        "userName eq \"a",
        "eq eq eq",
        "(userName eq \"a\"",
        "title eq \"a\"",
        "userName co \"a\"",
        "not (userName eq \"a\")",
        "userName eq \"a\" or title eq \"b\"",
        "userName pr",
        "urn:x:userName eq \"a\"",
        "id gt \"1\"",
        "emails[type eq \"work\"]",
        &deep,
    ] {
        for of in ["Users", "Groups"] {
            let answer = it.ask("GET", &format!("/{of}?{}", filter(text)), None).await;
            Bench::refused(&answer, 400, Some("invalidFilter"));
        }
    }
    // A hundred of the longest are read, one more is not.
    let terms = |many: u32| -> Vec<String> {
        (0..many).map(|n| format!("externalId eq \"3f8d0000-8d2a-4f8e-bf98-{n:012}\"")).collect()
    };
    assert!(it.found("Users", &terms(100).join(" or ")).await.is_empty());
    let many = terms(101);
    let answer = it.ask("GET", &format!("/Users?{}", filter(&many.join(" or "))), None).await;
    Bench::refused(&answer, 400, Some("tooMany"));
    let long = format!("id eq \"{}\"", "x".repeat(9_000));
    let answer = it.ask("GET", &format!("/Users?{}", filter(&long)), None).await;
    Bench::refused(&answer, 400, Some("tooMany"));
    assert!(it.found("Users", "userName eq \"no address\" or id eq \"../..\"").await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn versions_are_compared_and_nothing_is_lost_of_changes_at_once() {
    let it = bench().await;
    let ann = it.new_user("ann").await;
    let path = format!("/Users/{ann}");
    let read = it.ask("GET", &path, None).await;
    let tag = read.header("etag").to_owned();
    assert!(tag.starts_with("W/\"") && read.json()["meta"]["version"] == *tag);
    let known = asked(&it.office, &it.key, "GET", &path, &[("if-none-match", &tag)], None).await;
    assert_eq!((known.status.as_u16(), known.text.as_str()), (304, ""));
    let titled = |title: &str| json!({ "schemas": [PATCH], "Operations": [{ "op": "replace", "path": "title", "value": title }] });
    let bare = tag.trim_start_matches("W/").to_owned();
    let first =
        asked(&it.office, &it.key, "PATCH", &path, &[("if-match", &bare)], Some(&titled("one"))).await;
    assert_eq!(first.status, 200, "{}", first.text);
    for (method, body) in [("PATCH", Some(titled("two"))), ("DELETE", None)] {
        let late = asked(&it.office, &it.key, method, &path, &[("if-match", &tag)], body.as_ref()).await;
        Bench::refused(&late, 412, None);
    }
    assert_eq!(it.ask("GET", &path, None).await.json()["title"], "one");

    // Three that add a member at once: all three are in.
    let group = it.ask("POST", "/Groups", Some(&json!({ "schemas": [GROUP], "displayName": "all" }))).await;
    let group = format!("/Groups/{}", id_of(&group));
    let members = [it.new_user("b").await, it.new_user("c").await, it.new_user("d").await];
    let adding = |member: &str| json!([{ "op": "add", "path": "members", "value": [{ "value": member }] }]);
    let (one, two, three) = tokio::join!(
        it.patch(&group, adding(&members[0])),
        it.patch(&group, adding(&members[1])),
        it.patch(&group, adding(&members[2])),
    );
    for answer in [one, two, three] {
        assert_eq!(answer.status, 204, "{}", answer.text);
    }
    let seen = it.ask("GET", &group, None).await.json();
    assert_eq!(seen["members"].as_array().expect("members").len(), 3);
    // Two that add the same one: there is one.
    let user = json!({ "schemas": [USER], "userName": it.address("twin"), "externalId": "twin" });
    let (one, two) =
        tokio::join!(it.ask("POST", "/Users", Some(&user)), it.ask("POST", "/Users", Some(&user)));
    let mut statuses = [one.status.as_u16(), two.status.as_u16()];
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 409], "{} {}", one.text, two.text);
    assert_eq!(it.found("Users", "externalId eq \"twin\"").await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_can_not_be_is_refused_by_the_names_of_the_standard() {
    let it = bench().await;
    let path = format!("/Users/{}", it.new_user("ann").await);
    let there = it.address("ann");
    for (user, kind) in [
        (json!({ "schemas": [USER] }), "invalidValue"),
        (json!({ "schemas": [GROUP], "userName": it.address("x") }), "invalidValue"),
        (json!({ "schemas": [USER], "userName": "no address" }), "invalidValue"),
        (json!({ "schemas": [USER], "userName": "x@elsewhere.example" }), "invalidValue"),
        (json!({ "schemas": [USER], "userName": it.address("x"), "active": "perhaps" }), "invalidValue"),
        (json!({ "schemas": [USER], "userName": it.address("x"), "title": "t".repeat(65) }), "invalidValue"),
        (
            json!({ "schemas": [USER], "userName": it.address("x"), "phoneNumbers": [{ "type": "work", "value": "call" }] }),
            "invalidValue",
        ),
        (
            json!({ "schemas": [USER], "userName": it.address("x"), "externalId": "e".repeat(257) }),
            "invalidValue",
        ),
    ] {
        Bench::refused(&it.ask("POST", "/Users", Some(&user)).await, 400, Some(kind));
    }
    assert!(it.found("Users", &format!("userName eq \"{}\"", it.address("x"))).await.is_empty());
    for (operations, kind) in [
        (json!([{ "op": "replace", "path": "id", "value": "1" }]), "mutability"),
        (json!([{ "op": "remove" }]), "noTarget"),
        (json!([{ "op": "swap", "path": "title" }]), "invalidSyntax"),
        (json!([{ "op": "replace", "path": "title[", "value": "x" }]), "invalidPath"),
        (json!([{ "op": "replace", "path": "active", "value": { "x": 1 } }]), "invalidValue"),
        (json!({}), "invalidSyntax"),
        // Of several changes none is made where one can't be.
        (json!([{ "op": "replace", "path": "title", "value": "x" }, { "op": "remove" }]), "noTarget"),
    ] {
        Bench::refused(&it.patch(&path, operations).await, 400, Some(kind));
    }
    let now = it.ask("GET", &path, None).await.json();
    assert!(now["active"] == true && now.get("title").is_none() && now["userName"] == there, "{now}");
    // Bodies that are none, and what is not built.
    let raw = |method: &str, path: &str, media: &str, body: &str| {
        let request = Request::builder().method(method).uri(format!("/scim/v2{path}"));
        let request =
            request.header("authorization", format!("Bearer {}", it.key)).header("content-type", media);
        it.office.send(request.body(Body::from(body.to_owned())).expect("a request"))
    };
    Bench::refused(&raw("POST", "/Users", "application/json", "[]").await, 400, Some("invalidSyntax"));
    Bench::refused(&raw("POST", "/Users", "application/json", "{").await, 400, Some("invalidSyntax"));
    Bench::refused(&raw("POST", "/Users", "text/plain", "{}").await, 415, None);
    let long = format!("{{\"a\":\"{}\"}}", "x".repeat(256 * 1024));
    Bench::refused(&raw("POST", "/Users", "application/json", &long).await, 413, None);
    Bench::refused(&raw("POST", "/Bulk", "application/json", "{}").await, 501, None);
    Bench::refused(&it.ask("GET", "/Me", None).await, 501, None);
    Bench::refused(&it.ask("GET", "/Nothing", None).await, 404, None);
    let other = it.ask("DELETE", "/Users", None).await;
    Bench::refused(&other, 405, None);
    assert_eq!(other.header("allow"), "GET, HEAD, POST");
    // HEAD is GET; where something is, is said with the host that was asked.
    assert_eq!(it.ask("HEAD", &path, None).await.status, 200);
    let host = [("host", "mail.acme.example")];
    let located = asked(&it.office, &it.key, "GET", &path, &host, None).await;
    assert_eq!(located.header("location"), format!("https://mail.acme.example/scim/v2{path}"));
    // What is offered is said.
    let config = it.ask("GET", "/ServiceProviderConfig", None).await.json();
    for (feature, is_there) in
        [("patch", true), ("filter", true), ("etag", true), ("bulk", false), ("sort", false)]
    {
        assert_eq!(config[feature]["supported"], is_there, "{feature}");
    }
    assert_eq!(it.ask("GET", "/ResourceTypes", None).await.json()["totalResults"], 2);
    assert_eq!(it.ask("GET", "/ResourceTypes/User", None).await.json()["endpoint"], "/Users");
    assert_eq!(it.ask("GET", "/Schemas", None).await.json()["totalResults"], 3);
    assert_eq!(it.ask("GET", &format!("/Schemas/{USER}"), None).await.json()["id"], USER);
    let chinese = asked(&it.office, &it.key, "GET", "/Users/1", &[("accept-language", "zh-CN")], None).await;
    assert!(!chinese.json()["detail"].as_str().expect("why").is_ascii());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_provisions_its_own_tenant_and_does_nothing_else() {
    let it = bench().await;
    let away = it.office.tenant("away").await;
    let foreign = it.office.key(Some(away.id), None, permissions(&["provisioning:write"])).await;
    let user = format!("/Users/{}", it.home.member.account);
    let group = json!({ "schemas": [GROUP], "displayName": "ours" });
    let tag = format!("/Groups/{}", id_of(&it.ask("POST", "/Groups", Some(&group)).await));
    let before = it.ask("GET", &user, None).await.text;
    let renamed = json!({ "schemas": [PATCH], "Operations": [{ "op": "replace", "path": "displayName", "value": "x" }] });
    // Another tenant's: as what is not there.
    for (method, path, body) in [
        ("GET", &user, None),
        ("PATCH", &user, Some(&renamed)),
        ("DELETE", &user, None),
        ("GET", &tag, None),
        ("DELETE", &tag, None),
    ] {
        Bench::refused(&asked(&it.office, &foreign, method, path, &[], body).await, 404, None);
    }
    let theirs = asked(&it.office, &foreign, "GET", "/Users?count=200", &[], None).await.text;
    assert!(!theirs.contains(&it.home.domain) && theirs.contains(&away.domain));
    let by_name = format!("/Users?{}", filter(&format!("userName eq \"{}\"", it.address("member"))));
    assert_eq!(asked(&it.office, &foreign, "GET", &by_name, &[], None).await.json()["totalResults"], 0);
    let user_there = json!({ "schemas": [USER], "userName": it.address("spy") });
    let refused = asked(&it.office, &foreign, "POST", "/Users", &[], Some(&user_there)).await;
    Bench::refused(&refused, 400, Some("invalidValue"));
    // None at all, one for something else, one that only looks, a person's, an operator's, and a session.
    for key in ["", "ppk_nothing"] {
        Bench::refused(&asked(&it.office, key, "GET", "/Users", &[], None).await, 401, None);
    }
    let home = Some(it.home.id);
    let all = Permissions::of_tenant();
    let others = [
        it.office.key(home, None, permissions(&["members:write", "groups:write"])).await,
        it.office.key(home, Some(it.home.creator), all.clone()).await,
        it.office.key(None, None, Permissions::all()).await,
        it.office.session(it.home.creator).await,
    ];
    for key in &others {
        for path in ["/Users", "/Groups", "/Schemas"] {
            Bench::refused(&asked(&it.office, key, "GET", path, &[], None).await, 403, None);
        }
    }
    let looking = it.office.key(home, None, permissions(&["provisioning:read"])).await;
    assert_eq!(asked(&it.office, &looking, "GET", &user, &[], None).await.status, 200);
    for (method, body) in [("PATCH", Some(&renamed)), ("DELETE", None)] {
        Bench::refused(&asked(&it.office, &looking, method, &user, &[], body).await, 403, None);
    }
    // Beyond SCIM it opens nothing: no mailbox, no password, not even a list.
    for (method, path, body) in [
        ("GET", "/accounts".to_owned(), None),
        ("GET", "/tags".to_owned(), None),
        (
            "PUT",
            format!("/accounts/{}/password", it.home.member.account),
            Some(json!({ "password": "a long password" })),
        ),
        ("POST", format!("/accounts/{}/tokens", it.home.member.account), Some(json!({ "name": "x" }))),
    ] {
        let answer =
            it.office.ask(&it.key, method, &format!("/tenants/{}{path}", it.home.id), body.as_ref()).await;
        answer.assert_problem(403, "no-permission");
    }
    // Whoever administers is disabled and deleted by administrators.
    for above in [it.home.creator, it.home.chief, it.home.graded] {
        let above = format!("/Users/{}", above.account);
        let off = it.patch(&above, json!([{ "op": "replace", "path": "active", "value": false }])).await;
        Bench::refused(&off, 403, None);
        Bench::refused(&it.ask("DELETE", &above, None).await, 403, None);
        // Nor is anything else of theirs in reach: to such a number an invitation would go.
        for operation in [
            json!({ "op": "replace", "path": "displayName", "value": "Somebody" }),
            json!({ "op": "add", "path": "phoneNumbers", "value": [{ "type": "mobile", "value": "+86 138 0000 0000" }] }),
            json!({ "op": "add", "path": format!("{ENTERPRISE}:department"), "value": "Elsewhere" }),
        ] {
            let refused = it.patch(&above, json!([operation])).await;
            Bench::refused(&refused, 403, None);
            assert!(refused.text.contains("administers"), "{}", refused.text);
        }
        assert_eq!(it.ask("GET", &above, None).await.json()["active"], true);
    }
    // A business mailbox is none of it, and nothing has changed.
    Bench::refused(&it.ask("GET", &format!("/Users/{}", it.home.business.account), None).await, 404, None);
    assert_eq!(it.ask("GET", &user, None).await.text, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn plans_and_paces_hold() {
    let it = bench().await;
    let operator = it.office.key(None, None, Permissions::all()).await;
    let plan = json!({ "edition": "small", "functions": ["api"], "seats": 1, "vip_seats": 0 });
    let set = it.office.ask(&operator, "PUT", &format!("/tenants/{}/plan", it.home.id), Some(&plan)).await;
    assert_eq!(set.status, 200, "{}", set.text);
    let user = json!({ "schemas": [USER], "userName": it.address("late"), "externalId": "late" });
    let full = it.ask("POST", "/Users", Some(&user)).await;
    Bench::refused(&full, 403, None);
    assert!(full.text.contains("seats"), "{}", full.text);
    assert!(it.found("Users", "externalId eq \"late\"").await.is_empty());
    // Those who are in may go out.
    let member = format!("/Users/{}", it.home.member.account);
    let off = it.patch(&member, json!([{ "op": "replace", "path": "active", "value": false }])).await;
    assert_eq!(off.status, 200, "{}", off.text);

    let office = Office::open().await;
    let home = office.tenant("home").await;
    let key = office.key(Some(home.id), None, permissions(&["provisioning:read"])).await;
    let mut last = asked(&office, &key, "GET", "/Schemas", &[], None).await;
    for _ in 0..400 {
        if last.status != 200 {
            break;
        }
        last = asked(&office, &key, "GET", "/Schemas", &[], None).await;
    }
    Bench::refused(&last, 429, None);
    assert!(last.header("retry-after").parse::<u64>().expect("seconds") >= 1);
}
