//! Two tenants with something of everything, and callers of every kind.

#![allow(dead_code)] // each test uses a part

use std::net::IpAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt;
use pennypost_admin::{
    Administration, Call, Grant, Grants, Holder, NewAccount, NewKey, NewToken, Permission, Permissions, Reach,
};
use pennypost_api::{Client, Rest, admin_routes};
use pennypost_backend_aws::{Aws, Settings};
use pennypost_backend_embedded::{Embedded, Options};
use pennypost_directory::{Directory, TokenScope};
use pennypost_model::{AccountKey, TenantId};
use pennypost_ports::{Control, RandomIds, SystemClock};
use serde_json::Value;
use tower::ServiceExt;

pub const OPERATOR: Call = Call::of_operator();

/// A post office and its API.
pub struct Office {
    _dir: tempfile::TempDir,
    pub administration: Administration,
    pub control: Arc<dyn Control>,
    router: Router,
}

/// A tenant with something of everything.
pub struct Tenant {
    pub id: TenantId,
    pub name: String,
    pub domain: String,
    /// The creator, a super admin, an administrator of groups, a member.
    pub creator: AccountKey,
    pub chief: AccountKey,
    pub graded: AccountKey,
    pub member: AccountKey,
    pub role: String,
    /// A key and a token that nobody needs.
    pub key: String,
    pub token: String,
}

pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub text: String,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("text"))
    }

    #[track_caller]
    pub fn assert_problem(&self, status: u16, name: &str) -> Value {
        assert_eq!(self.status.as_u16(), status, "{}", self.text);
        assert_eq!(self.header("content-type"), "application/problem+json");
        let document = self.json();
        assert_eq!(document["type"], format!("urn:pennypost:problem:{name}"), "{}", self.text);
        assert_eq!(document["status"], status);
        document
    }
}

pub fn permissions(texts: &[&str]) -> Permissions {
    texts.iter().map(|text| text.parse::<Permission>().expect("a permission")).collect()
}

impl Office {
    /// On the services of a cloud where emulators of them are, else in a folder.
    pub async fn open() -> Office {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let control: Arc<dyn Control> = if std::env::var_os("PENNYPOST_TEST_AWS").is_some() {
            let stack = format!("api-{:016x}", rand::random::<u64>());
            let aws = Aws::connect(Settings::of_stack(&stack)).await.expect("an environment");
            aws.create_missing().await.expect("tables");
            aws.control()
        } else {
            Embedded::open(dir.path(), &Options::server()).expect("opens").control()
        };
        let (clock, ids) = (Arc::new(SystemClock), Arc::new(RandomIds));
        let directory = Directory::new(Arc::clone(&control), Arc::clone(&clock) as _, Arc::clone(&ids) as _);
        let administration =
            Administration::new(directory, Arc::clone(&control), Arc::clone(&clock) as _, ids);
        let rest = Rest::new(administration.clone(), Arc::clone(&control), clock);
        let router = admin_routes(rest);
        Office { _dir: dir, administration, control, router }
    }

    pub async fn account(&self, tenant: TenantId, address: String) -> AccountKey {
        let new = NewAccount {
            address,
            password: "a long password".to_owned(),
            display_name: String::new(),
            quota_bytes: None,
            departments: Vec::new(),
        };
        self.administration.add_account(&OPERATOR, tenant, &new).await.expect("account").key
    }

    /// A tenant of a name that nobody else has.
    pub async fn tenant(&self, about: &str) -> Tenant {
        let it = &self.administration;
        let name = format!("{about}{:016x}", rand::random::<u64>());
        let domain = format!("{name}.example");
        let id = it.add_tenant(&OPERATOR, &name).await.expect("tenant").id;
        it.add_domain(&OPERATOR, id, &domain).await.expect("domain");
        let mut accounts = Vec::new();
        for local in ["creator", "chief", "graded", "member"] {
            accounts.push(self.account(id, format!("{local}@{domain}")).await);
        }
        let [creator, chief, graded, member] = accounts[..] else { panic!("four accounts") };
        let members = [format!("member@{domain}")];
        it.add_alias(&OPERATOR, id, &format!("alias@{domain}"), &members).await.expect("alias");
        it.add_group(&OPERATOR, id, &format!("group@{domain}"), "", &members).await.expect("group");
        it.change_creator(&OPERATOR, id, None, creator.account).await.expect("creator");
        let over = Grants { is_super: true, roles: Vec::new() };
        it.change_grants(&OPERATOR, chief, &Grants::default(), over).await.expect("super");
        let role = it.add_role(&OPERATOR, id, "groups", permissions(&["groups:write"])).await.expect("role");
        let grants = Grants { is_super: false, roles: vec![Grant { role: role.id, reach: Reach::Tenant }] };
        it.change_grants(&OPERATOR, graded, &Grants::default(), grants).await.expect("granted");
        // One that nobody holds, to be removed.
        let role = it.add_role(&OPERATOR, id, "spare", permissions(&["groups:read"])).await.expect("role");
        let key = NewKey {
            name: "spare".to_owned(),
            holder: Holder::Program,
            permissions: permissions(&["log:read"]),
            expires: None,
        };
        let key = it.add_key(&OPERATOR, Some(id), key).await.expect("key").0.id.to_string();
        let token = NewToken { name: "spare".to_owned(), scope: TokenScope::ALL, expires: None };
        let token = it.add_token(&OPERATOR, member, &token).await.expect("token").0.id.to_string();
        let role = role.id.to_string();
        Tenant { id, name, domain, creator, chief, graded, member, role, key, token }
    }

    /// A key: an operator's, a tenant's, or a person's.
    pub async fn key(
        &self,
        tenant: Option<TenantId>,
        account: Option<AccountKey>,
        permissions: Permissions,
    ) -> String {
        let holder = account.map_or(Holder::Program, |account| Holder::Account(account.account));
        let new = NewKey { name: "test".to_owned(), holder, permissions, expires: None };
        self.administration.add_key(&OPERATOR, tenant, new).await.expect("key").1
    }

    pub async fn send(&self, request: Request<Body>) -> Answer {
        let answer = self.router.clone().oneshot(request).await.expect("answers");
        let (parts, body) = answer.into_parts();
        let bytes = body.collect().await.expect("a body").to_bytes();
        let text = String::from_utf8(bytes.to_vec()).expect("UTF-8");
        Answer { status: parts.status, headers: parts.headers, text }
    }

    /// Asks with a key; updates say that they have seen what is there.
    pub async fn ask(&self, key: &str, method: &str, path: &str, body: Option<&Value>) -> Answer {
        let headers = if ["PUT", "PATCH"].contains(&method) { &[("if-match", "*")][..] } else { &[] };
        self.ask_with(key, method, path, headers, body).await
    }

    pub async fn ask_with(
        &self,
        key: &str,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Answer {
        let mut request = Request::builder().method(method).uri(format!("/api/v1{path}"));
        if !key.is_empty() {
            request = request.header("authorization", format!("Bearer {key}"));
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if body.is_some() {
            request = request.header("content-type", "application/json");
        }
        let body = body.map_or_else(Body::empty, |body| Body::from(body.to_string()));
        let mut request = request.body(body).expect("a request");
        request.extensions_mut().insert(Client(IpAddr::from([192, 0, 2, 9])));
        self.send(request).await
    }
}
