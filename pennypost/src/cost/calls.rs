//! `cost calls`: what it takes to look an address up, to sign in, and to administer, each call by itself.
//!
//! Signing in is asked of the directory as IMAP asks it, administration of the router as HTTP does. Unless a step says
//! otherwise, the process that does it has just been started and knows nobody. What is noted once a day (networks, last use
//! of tokens) has been noted before, except in the step that is named after it. Of records only those are counted that a
//! function writes before it answers; an adapter gathers them.

use std::net::IpAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::Request;
use clap::Args;
use pennypost_admin::{Administration, Call, Holder, NewAccount, NewKey, NewToken, Permissions};
use pennypost_api::{Client, Rest, admin_routes};
use pennypost_directory::{
    Account, AddressRule, Attempt, DepartmentId, Directory, Network, NewDepartment, SignInError, SignInKind,
    Standing, TokenScope, Verdict,
};
use pennypost_meter::{Counts, total};
use pennypost_model::TenantId;
use serde_json::{Value, json};
use tower::ServiceExt;

use super::scene::{PASSWORD, Scene};
use crate::Failed;
use crate::backend::Kind;

const OPERATOR: Call = Call::of_operator();
/// From where members sign in.
const HOME: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 7));
/// From where the rules let in only who is exempt.
const ABROAD: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(203, 0, 113, 7));
/// Members of the group that is looked up.
const MEMBERS: usize = 10;
/// Departments of the tenant.
const DEPARTMENTS: usize = 100;
/// Networks in the rules of addresses, and as many that are trusted.
const NETWORKS: u8 = 20;
/// Bytes of an answer at most.
const MOST: usize = 4 * 1024 * 1024;

/// What `cost calls` takes.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Examples:
  pennypost cost calls
  pennypost cost calls --accounts 1000
Needs no data directory: everything happens in a temporary one.")]
pub struct CallsArgs {
    /// Accounts of the tenant.
    #[arg(long, default_value_t = 120, value_parser = clap::value_parser!(u32).range(100..=100_000))]
    pub accounts: u32,
}

/// What each step took.
#[derive(Default)]
struct Steps(Vec<(&'static str, Counts)>);

impl Steps {
    async fn count<R>(
        &mut self,
        step: &'static str,
        work: impl Future<Output = Result<R, Failed>>,
    ) -> Result<R, Failed> {
        let before = total();
        let done = work.await?;
        self.0.push((step, total().since(&before)));
        Ok(done)
    }
}

/// A tenant with people in it.
struct Tenancy {
    tenant: TenantId,
    domain: String,
    member: Account,
    /// In a department that the rules exempt.
    exempt: Account,
    department: DepartmentId,
    /// Of the member, for mail programs.
    token: String,
    /// Of the tenant, for the API.
    key: String,
}

fn said(error: impl std::fmt::Display) -> Failed {
    Failed::Said(error.to_string())
}

fn administration(scene: &Scene, directory: &Directory) -> Administration {
    let (control, clock, ids) =
        (Arc::clone(&scene.control), Arc::clone(&scene.clock), Arc::clone(&scene.ids));
    Administration::new(directory.clone(), control, clock, ids)
}

/// Fills a tenant, and counts.
pub(super) async fn measure(args: &CallsArgs, kind: Kind) -> Result<Vec<(&'static str, Counts)>, Failed> {
    let scene = Scene::new(kind, false).await?;
    let accounts = scene.people(usize::try_from(args.accounts).unwrap_or(usize::MAX)).await?;
    let it = Tenancy::of(&scene, &accounts).await?;
    let mut steps = Steps::default();
    it.look_up(&scene, &mut steps).await?;
    it.sign_in(&scene, &mut steps).await?;
    it.administer(&scene, &mut steps).await?;
    it.follow_rules(&scene, &mut steps).await?;
    scene.close().await;
    Ok(steps.0)
}

impl Tenancy {
    async fn of(scene: &Scene, accounts: &[Account]) -> Result<Tenancy, Failed> {
        let member = accounts.first().ok_or_else(|| said("no accounts"))?.clone();
        let (tenant, domain) = (member.key.tenant, member.address.domain().to_string());
        let administration = administration(scene, &scene.directory);
        let addresses: Vec<String> =
            accounts.iter().take(MEMBERS).map(|account| account.address.to_string()).collect();
        let (alias, group) = (format!("alias@{domain}"), format!("group@{domain}"));
        let own = addresses.get(..1).unwrap_or_default();
        administration.add_alias(&OPERATOR, tenant, &alias, own).await.map_err(said)?;
        administration.add_group(&OPERATOR, tenant, &group, "", &addresses).await.map_err(said)?;
        let wanted: Vec<NewDepartment> = (0..DEPARTMENTS)
            .map(|number| NewDepartment { path: format!("Department {number}"), description: String::new() })
            .collect();
        scene.directory.ensure_departments(tenant, &wanted, false).await?;
        let tree = scene.directory.departments(tenant).await?;
        let department = tree.find("Department 0").ok_or_else(|| said("no department"))?;
        let new = NewAccount {
            address: format!("exempt@{domain}"),
            password: PASSWORD.to_owned(),
            display_name: String::new(),
            quota_bytes: None,
            departments: vec![department],
        };
        let exempt = administration.add_account(&OPERATOR, tenant, &new).await.map_err(said)?;
        let new = NewToken { name: "phone".to_owned(), scope: TokenScope::ALL, expires: None };
        let (_, token) = administration.add_token(&OPERATOR, member.key, &new).await.map_err(said)?;
        let permissions = Permissions::of_tenant();
        let new = NewKey { name: "hr".to_owned(), holder: Holder::Program, permissions, expires: None };
        let (_, key) = administration.add_key(&OPERATOR, Some(tenant), new).await.map_err(said)?;
        Ok(Tenancy { tenant, domain, member, exempt, department, token, key })
    }

    /// Whom letters are for.
    async fn look_up(&self, scene: &Scene, steps: &mut Steps) -> Result<(), Failed> {
        for (step, address) in [
            ("look-up-account", self.member.address.to_string()),
            ("look-up-alias", format!("alias@{}", self.domain)),
            ("look-up-group", format!("group@{}", self.domain)),
            ("look-up-nobody", format!("nobody@{}", self.domain)),
        ] {
            let directory = scene.cold();
            steps.count(step, async { Ok(directory.resolve(&address).await?) }).await?;
        }
        Ok(())
    }

    /// As IMAP signs in.
    async fn sign_in(&self, scene: &Scene, steps: &mut Steps) -> Result<(), Failed> {
        let (member, cold) = (&self.member, || scene.cold());
        steps.count("imap-first-of-day", open(&cold(), HOME, member, PASSWORD)).await?;
        let directory = cold();
        let standing = steps.count("imap-password", open(&directory, HOME, member, PASSWORD)).await?;
        steps.count("imap-password-again", open(&directory, HOME, member, PASSWORD)).await?;
        let look = async { directory.still_stands(&standing).await?.ok_or_else(|| said("it has ended")) };
        steps.count("imap-still-stands", look).await?;
        let wrong = refused(&directory, HOME, member, "a wrong password", SignInError::Denied);
        steps.count("imap-wrong-password", wrong).await?;
        open(&cold(), HOME, member, &self.token).await?;
        steps.count("imap-token", open(&cold(), HOME, member, &self.token)).await?;
        Ok(())
    }

    /// As HTTP asks for it.
    async fn administer(&self, scene: &Scene, steps: &mut Steps) -> Result<(), Failed> {
        let http = Http::of(scene);
        let session = steps.count("session-opened", http.sign_in(&self.member)).await?;
        steps.count("session-call", http.ask("GET", "/me", &session, None)).await?;
        http.ask("GET", "/me", &self.key, None).await?;
        steps.count("key-call", http.ask("GET", "/me", &self.key, None)).await?;
        let below = format!("/tenants/{}/accounts", self.tenant);
        let (page, one) = (format!("{below}?limit=100"), format!("{below}/{}", self.member.key.account));
        let quota = || Some(json!({ "quota_bytes": 7_000_000_000_u64 }));
        steps.count("list-page", http.ask("GET", &page, &self.key, None)).await?;
        steps.count("read-account", http.ask("GET", &one, &self.key, None)).await?;
        steps.count("change-account", http.ask("PATCH", &one, &self.key, quota())).await?;
        Ok(())
    }

    /// The same where the tenant has rules of addresses, trusted networks and exempt departments.
    async fn follow_rules(&self, scene: &Scene, steps: &mut Steps) -> Result<(), Failed> {
        let network = |text: String| text.parse::<Network>().map_err(said);
        let networks = |prefix: &str| -> Result<Vec<Network>, Failed> {
            (0..NETWORKS).map(|number| network(format!("{prefix}.{number}.0/24"))).collect()
        };
        let mut rules = scene.directory.sign_in_rules(self.tenant).await?;
        rules.lock.trusted = networks("198.18")?;
        let mut allow = networks("198.19")?;
        allow.push(network(HOME.to_string())?);
        rules.addresses = AddressRule { allow, deny: Vec::new(), others: Verdict::Deny };
        rules.exempt.departments.extend([self.department]);
        let set = scene.directory.set_sign_in_rules(self.tenant, &rules).await?;
        set.ok_or_else(|| said("the rules have changed"))?;
        let cold = || scene.cold();
        steps.count("imap-password-rules", open(&cold(), HOME, &self.member, PASSWORD)).await?;
        steps.count("imap-token-rules", open(&cold(), HOME, &self.member, &self.token)).await?;
        open(&cold(), ABROAD, &self.exempt, PASSWORD).await?;
        steps.count("imap-password-exempt", open(&cold(), ABROAD, &self.exempt, PASSWORD)).await?;
        let elsewhere = cold();
        let refused = refused(&elsewhere, ABROAD, &self.member, PASSWORD, SignInError::Elsewhere);
        steps.count("imap-elsewhere", refused).await?;
        let http = Http::of(scene);
        let session = steps.count("session-opened-rules", http.sign_in(&self.member)).await?;
        steps.count("session-call-rules", http.ask("GET", "/me", &session, None)).await?;
        Ok(())
    }
}

const fn imap(from: IpAddr) -> Attempt {
    Attempt::new(SignInKind::Imap, "PLAIN", from)
}

async fn open(
    directory: &Directory,
    from: IpAddr,
    account: &Account,
    password: &str,
) -> Result<Standing, Failed> {
    directory.sign_in(&imap(from), &account.address.to_string(), password).await.map_err(said)
}

async fn refused(
    directory: &Directory,
    from: IpAddr,
    account: &Account,
    password: &str,
    expected: SignInError,
) -> Result<(), Failed> {
    match directory.sign_in(&imap(from), &account.address.to_string(), password).await {
        Err(error) if error == expected => Ok(()),
        Err(error) => Err(said(error)),
        Ok(_) => Err(said("signed in")),
    }
}

/// The API, in a process that has just been started.
struct Http {
    router: Router,
    directory: Directory,
}

impl Http {
    fn of(scene: &Scene) -> Http {
        let directory = scene.cold();
        let (control, clock) = (Arc::clone(&scene.control), Arc::clone(&scene.clock));
        let router = admin_routes(Rest::new(administration(scene, &directory), control, clock));
        Http { router, directory }
    }

    /// Opens a session, whose record is written before the answer, as a function does it.
    async fn sign_in(&self, account: &Account) -> Result<String, Failed> {
        let body = json!({ "address": account.address.to_string(), "password": PASSWORD });
        let opened = self.ask("POST", "/sessions", "", Some(body)).await?;
        if let Some(record) = self.directory.sign_in_log() {
            record.finish().await;
        }
        opened["token"].as_str().map(str::to_owned).ok_or_else(|| said("no session"))
    }

    async fn ask(
        &self,
        method: &str,
        path: &str,
        secret: &str,
        body: Option<Value>,
    ) -> Result<Value, Failed> {
        let mut request = Request::builder().method(method).uri(format!("/api/v1{path}"));
        if !secret.is_empty() {
            request = request.header("authorization", format!("Bearer {secret}")).header("if-match", "*");
        }
        if body.is_some() {
            request = request.header("content-type", "application/json");
        }
        let body = body.map_or_else(Body::empty, |body| Body::from(body.to_string()));
        let mut request = request.body(body).map_err(said)?;
        request.extensions_mut().insert(Client(HOME));
        let Ok(answer) = self.router.clone().oneshot(request).await;
        let status = answer.status();
        let read = to_bytes(answer.into_body(), MOST).await.map_err(said)?;
        if !status.is_success() {
            return Err(said(format!("{method} {path}: {status} {}", String::from_utf8_lossy(&read))));
        }
        serde_json::from_slice(&read).map_err(said)
    }
}
