//! Two tenants with something of everything, and callers of every kind.

pub mod ahead;
pub mod authenticator;
pub mod connector;
pub mod dying;
pub mod provider;

use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use parking_lot::Mutex;
use pennypost_domains::Service;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt;
use pennypost_admin::{
    Administration, Bulletin, BulletinKind, BulletinText, Call, Grant, Grants, Holder, Matching, NewAccount,
    NewBody, NewBulletin, NewBusinessMailbox, NewExport, NewKey, NewMailing, NewProvider, NewSubscription,
    NewToken, NoticeKind, OrderTerms, Permission, Permissions, ProviderId, PurchaseKind, Reach,
    SignUpSettings, Whose, Worked,
};
use pennypost_admin::{RouteFound, RouteProbe, ToProbe};
use pennypost_api::rest::Pace;
use pennypost_api::{Client, Rest, admin_routes};
use pennypost_backend_aws::{Aws, Settings};
use pennypost_backend_embedded::{Embedded, Options};
use pennypost_directory::{
    AddedPasskey, BinCause, Binding, DepartmentId, Directory, DomainName, JoiningRules, MailAddress,
    MailboxUsers, NewApplication, NewInvitation, NewSession, SecretaryScope, SecretaryTerm, SessionLife,
    SignInLog, SignedInBy, TokenScope,
};
use pennypost_held::{Cause, Held, HeldLetters, State};
use pennypost_housekeep::KeptMail;
use pennypost_lookup::Documents;
use pennypost_mailstore::Mailstore;
use pennypost_mailstore::compress::compress;
use pennypost_model::event::{
    Accepted, AuthResults, Body as Stored, Event, Recipient, Source, SourceKind, Stage, Submission, Verdict,
    Via,
};
use pennypost_model::message::Contact;
use pennypost_model::scan::HeldFor;
use pennypost_model::trace::{
    Outcome as TraceOutcome, RemoteAnswer, Submitter, TraceRecipient, TraceRecord, TraceStep,
};
use pennypost_model::{AccountKey, EventId, Rid, Seq, TaskId, TenantId, Timestamp, Uid, codec};
use pennypost_organisation::Kind as TableKind;
use pennypost_passkeys::{NewPasskey, PublicKey};
use pennypost_ports::{
    Control, Dns, DnsError, DnsKind, DnsRecord, FetchError, Https, HttpsPost, HttpsRequest, Ids, Journal,
    Log, LogKind, LogRecord, Objects, Queue, RandomIds, Secrets,
};
use pennypost_quarantine::{HeldLetter, HeldState, Quarantine};
use pennypost_sealing::Keyring;

use self::ahead::Ahead;
use self::connector::Connector;
use self::dying::Dying;
use pennypost_signing::Algorithm;
use pennypost_text::Lang;
use serde_json::Value;
use tower::ServiceExt;

pub const OPERATOR: Call = Call::of_operator();

/// What the world's DNS says, set by the test.
#[derive(Default)]
pub struct Zone(Mutex<HashMap<(String, DnsKind), Vec<DnsRecord>>>, Mutex<Option<Arc<Documents>>>);

impl Zone {
    pub fn set(&self, name: &str, record: DnsRecord) {
        let kind = match record {
            DnsRecord::Address(_) => DnsKind::Address,
            DnsRecord::Cname(_) => DnsKind::Cname,
            DnsRecord::Mx { .. } => DnsKind::Mx,
            DnsRecord::Txt(_) => DnsKind::Txt,
            DnsRecord::Srv { .. } => DnsKind::Srv,
            DnsRecord::Pointer(_) => DnsKind::Pointer,
        };
        self.0.lock().insert((name.to_owned(), kind), vec![record]);
    }

    /// What is asked over HTTPS is asked so from now on.
    pub fn reach(&self, documents: Arc<Documents>) {
        *self.1.lock() = Some(documents);
    }
}

#[async_trait]
impl Dns for Zone {
    async fn look_up(&self, name: &str, kind: DnsKind) -> Result<Vec<DnsRecord>, DnsError> {
        Ok(self.0.lock().get(&(name.to_owned(), kind)).cloned().unwrap_or_default())
    }
}

#[async_trait]
impl Https for Zone {
    async fn fetch(&self, _host: &str, _path: &str) -> Result<Vec<u8>, FetchError> {
        Err(FetchError::NoHost)
    }

    async fn ask(&self, request: &HttpsRequest<'_>) -> Result<Vec<u8>, FetchError> {
        let documents = self.1.lock().clone();
        match documents {
            Some(documents) => documents.ask(request).await,
            None => Err(FetchError::NoHost),
        }
    }

    async fn post(&self, post: &HttpsPost<'_>) -> Result<u16, FetchError> {
        let documents = self.1.lock().clone();
        match documents {
            Some(documents) => documents.post(post).await,
            None => Err(FetchError::NoHost),
        }
    }
}

/// A smart host that lets nobody in.
struct Refusing(Arc<Mutex<Vec<String>>>);

#[async_trait]
impl RouteProbe for Refusing {
    async fn probe(&self, smart_host: &ToProbe) -> RouteFound {
        let ToProbe { host, port, login, .. } = smart_host;
        let (user, password) = login.clone().unwrap_or_default();
        self.0.lock().push(format!("{host}:{port} {user} {password}"));
        let (status, text) = ("4.7.8".to_owned(), "wrong password".to_owned());
        let problem = Some(RemoteAnswer { code: Some(535), status, text });
        RouteFound { host: format!("{host} [192.0.2.1]:{port}"), tls: None, is_let_in: false, problem }
    }
}

/// A post office and its API.
pub struct Office {
    pub zone: Arc<Zone>,
    _dir: tempfile::TempDir,
    pub administration: Administration,
    pub control: Arc<dyn Control>,
    /// The same, of which the process loses hold when a test says so.
    pub dying: Arc<Dying>,
    pub clock: Arc<Ahead>,
    pub log: Arc<dyn Log>,
    pub queue: Arc<dyn Queue>,
    pub objects: Arc<dyn Objects>,
    pub store: Mailstore,
    pub secrets: Arc<dyn Secrets>,
    /// Smart hosts that were tried.
    pub probed: Arc<Mutex<Vec<String>>>,
    router: Router,
}

/// A tenant with something of everything.
pub struct Tenant {
    pub id: TenantId,
    pub name: String,
    pub domain: String,
    /// A key of the domain, which waits for its record.
    pub selector: String,
    /// The creator, a super admin, an administrator of groups, a member.
    pub creator: AccountKey,
    pub chief: AccountKey,
    pub graded: AccountKey,
    pub member: AccountKey,
    pub role: String,
    /// A key and a token that nobody needs.
    pub key: String,
    pub token: String,
    /// Accounts for whatever becomes of accounts: members, and such as lie in the recycle bin.
    pub leavers: [AccountKey; 3],
    pub deleted: AccountKey,
    pub doomed: AccountKey,
    pub unbound: AccountKey,
    /// A business mailbox that creator and member use, the member's token for it, and one that is given up.
    pub business: AccountKey,
    pub business_token: String,
    pub retired: AccountKey,
    /// A department with nobody in it, and a tag.
    pub department: u32,
    pub tag: u32,
    /// A session of the member that nobody needs, and an order that waits for a second administrator.
    pub session: String,
    pub request: String,
    /// A task that has ended, and left something.
    pub task: String,
    /// A letter that the member got.
    pub letter: String,
    /// One that he has sent, some time after he had written it.
    pub held: String,
    /// A mailing of his that has not been let go, and a body that he keeps.
    pub mailing: String,
    pub template: String,
    /// An order of a plan, and a version of the terms of service.
    pub order: String,
    pub terms: u32,
    /// Somebody who has no password yet, an invitation, by which `applicant@` and `unwanted@` apply.
    pub newcomer: AccountKey,
    pub invitation: String,
    /// The member's passkey, if the test has asked for one: whoever has one confirms more.
    pub passkey: String,
    /// A provider of identities to which the member is bound, if the test has asked for it.
    pub provider: String,
    /// A subscription to notices of new mail, if the test has asked for it.
    pub subscription: String,
    /// A bulletin for this tenant, if the test has asked for it.
    pub bulletin: String,
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

/// The trace of a letter that came into mailboxes: accounts with the addresses that led to them.
pub fn letter(tenant: TenantId, accepted: Timestamp, to: &[(AccountKey, String)]) -> LogRecord {
    let recipient = |(account, address): &(AccountKey, String)| TraceRecipient {
        account: *account,
        address: address.clone(),
        reasons: vec!["inbox".to_owned()],
        outcome: TraceOutcome::Stored { seq: Seq(1), uid: Uid(1), rid: Rid(1), mailbox: "inbox".to_owned() },
    };
    let step = TraceStep::Delivered {
        accepted,
        peer: "192.0.2.1 mx.sender.example".to_owned(),
        reverse_path: "bob@sender.example".to_owned(),
        subject: "Invoice 4711".to_owned(),
        message_id: "x1@sender.example".to_owned(),
        size: 1_000,
        auth: [Verdict::Pass, Verdict::None, Verdict::Fail],
        recipients: to.iter().map(recipient).collect(),
    };
    traced(tenant, RandomIds.event(accepted), accepted, step)
}

/// A step of a letter in the log.
pub fn traced(tenant: TenantId, id: EventId, time: Timestamp, step: TraceStep) -> LogRecord {
    let value = codec::encode(&TraceRecord::new(tenant, id, time, step));
    LogRecord { tenant, kind: LogKind::Trace, id, time, value }
}

pub fn permissions(texts: &[&str]) -> Permissions {
    texts.iter().map(|text| text.parse::<Permission>().expect("a permission")).collect()
}

impl Office {
    /// On the services of a cloud where emulators of them are, else in a folder.
    pub async fn open() -> Office {
        Office::open_at(Pace::default(), |administration| administration).await
    }

    /// One that sends letters to other servers.
    pub async fn sending_out() -> Office {
        Office::open_at(Pace::default(), Administration::sending_out).await
    }

    /// One that sends text messages.
    pub async fn texting(connector: &Connector, most_per_day: u32) -> Office {
        let carrier = connector.carrier();
        Office::open_at(Pace::default(), |it| it.sending_out().sending_sms(carrier, most_per_day)).await
    }

    /// One in which people open tenants by themselves.
    pub async fn letting_sign_up(
        connector: &Connector,
        settings: SignUpSettings,
        base: Option<DomainName>,
    ) -> Office {
        let carrier = connector.carrier();
        let equipped = |it: Administration| {
            let it = it.sending_out().sending_sms(carrier, 400).letting_sign_up(settings);
            match base {
                Some(base) => it.offering_trials(base),
                None => it,
            }
        };
        Office::open_at(Pace::default(), equipped).await
    }

    /// For who asks more than anybody would.
    pub async fn unhurried() -> Office {
        Office::open_at(Pace { at_once: 100_000, per_second: 1_000 }, |administration| administration).await
    }

    async fn open_at(pace: Pace, equipped: impl FnOnce(Administration) -> Administration) -> Office {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let control: Arc<dyn Control>;
        let log: Arc<dyn Log>;
        let objects: Arc<dyn Objects>;
        let queue: Arc<dyn Queue>;
        let journal: Arc<dyn Journal>;
        if std::env::var_os("PENNYPOST_TEST_AWS").is_some() {
            let stack = format!("api-{:016x}", rand::random::<u64>());
            let aws = Aws::connect(Settings::of_stack(&stack)).await.expect("an environment");
            aws.create_missing().await.expect("tables");
            (control, log, objects, queue) = (aws.control(), aws.log(), aws.objects(), aws.queue());
            journal = aws.journal();
        } else {
            let embedded = Embedded::open(dir.path(), &Options::server()).expect("opens");
            (control, log) = (embedded.control(), embedded.log());
            (objects, queue) = (embedded.objects(), embedded.queue());
            journal = embedded.journal();
        }
        let dying = Arc::new(Dying::over(control));
        let control: Arc<dyn Control> = Arc::clone(&dying) as _;
        let (clock, ids) = (Arc::new(Ahead::default()), Arc::new(RandomIds));
        let store =
            Mailstore::new(journal, Arc::clone(&objects), Arc::clone(&clock) as _, Arc::clone(&ids) as _);
        let record = SignInLog::new(Arc::clone(&log), Arc::clone(&clock) as _, Arc::clone(&ids) as _);
        let directory = Directory::new(Arc::clone(&control), Arc::clone(&clock) as _, Arc::clone(&ids) as _)
            .recording(record);
        let ring = Arc::new(Keyring::parse(&Keyring::fresh().expect("randomness")).expect("a key"));
        let secrets: Arc<dyn Secrets> = Arc::clone(&ring) as _;
        let directory = directory.sealing(Arc::clone(&ring) as _);
        let administration =
            Administration::new(directory, Arc::clone(&control), Arc::clone(&clock) as _, ids)
                .with_tasks(Arc::clone(&objects), Arc::clone(&queue))
                .upon_mail(Arc::new(KeptMail::new(store.clone(), Arc::clone(&control))))
                .reading(Arc::clone(&log));
        let zone = Arc::new(Zone::default());
        let administration =
            administration.looking_up(Arc::clone(&zone) as _, Arc::clone(&zone) as _).sealing(ring);
        let probed = Arc::<Mutex<Vec<String>>>::default();
        let administration = equipped(administration).probing_routes(Arc::new(Refusing(Arc::clone(&probed))));
        let web = Some("mail.post.example".to_owned());
        let service = Service { web, ..Service::at("mx.post.example") };
        administration.change_service(&OPERATOR, None, service).await.expect("said");
        let rest = Rest::new(administration.clone(), Arc::clone(&control), Arc::clone(&clock) as _).at(pace);
        let router = admin_routes(rest);
        Office {
            zone,
            _dir: dir,
            administration,
            control,
            dying,
            clock,
            log,
            queue,
            objects,
            store,
            secrets,
            probed,
            router,
        }
    }

    /// Puts a letter to a member into quarantine.
    pub async fn quarantine(&self, key: AccountKey, letter: EventId, held_for: HeldFor) {
        let quarantine = Quarantine::new(Arc::clone(&self.control), Arc::clone(&self.objects));
        let account = self.administration.account(&OPERATOR, key).await.expect("an account");
        let address = account.address.to_string();
        let raw = b"From: bob@sender.example\r\nSubject: Invoice 4711\r\n\r\nhello\r\n";
        let message = compress(raw).expect("compresses");
        let accepted = Accepted {
            id: letter,
            time: letter.time(),
            tenant: key.tenant,
            source: Source { kind: SourceKind::Smtp, ip: None, helo: String::new(), tls: None },
            auth: AuthResults::default(),
            reverse_path: "bob@sender.example".to_owned(),
            recipients: vec![Recipient { account: key, address: address.clone(), via: Via::Direct }],
            body: Stored::Spooled { object: String::new(), size: message.size },
            receipt: String::new(),
        };
        let held = HeldLetter {
            letter,
            account: key,
            address,
            accepted: letter.time(),
            kept: letter.time(),
            reverse_path: accepted.reverse_path.clone(),
            from: Contact { name: String::new(), address: "bob@sender.example".to_owned() },
            subject: "Invoice 4711".to_owned(),
            size: message.size,
            held_for,
            reasons: vec!["rule:quarantine".to_owned()],
            state: HeldState::Held,
        };
        quarantine.keep(&accepted, &message, &[held]).await.expect("kept");
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
        // On the heap: it is large.
        Box::pin(self.new_tenant(about)).await
    }

    async fn new_tenant(&self, about: &str) -> Tenant {
        let it = &self.administration;
        let name = format!("{about}{:016x}", rand::random::<u64>());
        let domain = format!("{name}.example");
        let id = it.add_tenant(&OPERATOR, &name).await.expect("tenant").id;
        it.add_domain(&OPERATOR, id, &domain).await.expect("domain");
        let key = it.add_domain_key(&OPERATOR, id, &domain, Algorithm::Ed25519).await.expect("a key");
        let selector = key.1.selector;
        let challenge = ("00".repeat(16), "00".repeat(4));
        it.directory().claim_domain(id, &format!("claimed.{domain}"), challenge).await.expect("claimed");
        let mut accounts = Vec::new();
        for local in ["creator", "chief", "graded", "member"] {
            accounts.push(self.account(id, format!("{local}@{domain}")).await);
        }
        let [creator, chief, graded, member] = accounts[..] else { panic!("four accounts") };
        let members = [format!("member@{domain}")];
        it.add_alias(&OPERATOR, id, &format!("alias@{domain}"), &members).await.expect("alias");
        it.add_group(&OPERATOR, id, &format!("group@{domain}"), "", &members).await.expect("group");
        let friend = format!("friend@{domain}.elsewhere.example");
        let friend = MailAddress::parse(&friend).expect("an address");
        it.directory().invite_friend(id, &friend).await.expect("invited");
        let by = pennypost_directory::SuppressedBy::Administrator;
        it.directory()
            .suppress(id, &format!("gone@{domain}.elsewhere.example"), by, None)
            .await
            .expect("suppressed");
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
        let mut others = Vec::new();
        for local in ["leaver1", "leaver2", "leaver3", "deleted", "doomed", "unbound"] {
            others.push(self.account(id, format!("{local}@{domain}")).await);
        }
        let [one, two, three, deleted, doomed, unbound] = others[..] else { panic!("six accounts") };
        for (account, cause) in
            [(deleted, BinCause::Deleted), (doomed, BinCause::Deleted), (unbound, BinCause::Unbound)]
        {
            it.delete_account(&OPERATOR, account, cause).await.expect("in the bin");
        }
        let mut mailboxes = Vec::new();
        for local in ["business", "retired"] {
            let users = MailboxUsers {
                accounts: [creator.account, member.account].into_iter().collect(),
                departments: Default::default(),
            };
            let address = format!("{local}@{domain}");
            let new = NewBusinessMailbox { address, users, ..NewBusinessMailbox::default() };
            mailboxes.push(it.add_business_mailbox(&OPERATOR, id, &new).await.expect("a mailbox").key);
        }
        let [business, retired] = mailboxes[..] else { panic!("two mailboxes") };
        let pair = (member.account, business);
        let made =
            it.directory().add_user_token(pair, "spare", TokenScope::ALL, None).await.expect("a token");
        let business_token = made.0.id.to_string();
        // The member has a secretary, and would like to be one.
        let what = (SecretaryScope::Full, SecretaryTerm::Day);
        it.directory().grant_secretary(member, chief.account, what).await.expect("granted");
        it.directory().apply_as_secretary(graded, member.account, what).await.expect("applied");
        let root = DepartmentId::ROOT;
        let department = it.add_department(&OPERATOR, id, root, "研发", "").await.expect("department").0.id.0;
        let of_department = it.directory().add_department_group(id, DepartmentId(department), &domain).await;
        assert_eq!(of_department.expect("a group").address.local(), "yanfa");
        let tag = it.add_tag(&OPERATOR, id, "spare").await.expect("tag").id.0;
        let leavers = [one, two, three];
        self.session(member).await;
        let session = it.directory().sessions(member).await.expect("sessions")[0].id.to_string();
        let (newcomer, invitation) = self.joining(id, &domain).await;
        let new = OrderTerms {
            kind: PurchaseKind::Buy,
            edition: "pro".to_owned(),
            seats: 5,
            vip_seats: 0,
            amount: 100,
            currency: "CNY".to_owned(),
            starts: it.directory().now(),
            ends: Timestamp(i64::MAX / 1_000_000),
            note: String::new(),
        };
        let order = format!("{:016x}", it.add_purchase(&OPERATOR, id, new).await.expect("an order").id);
        let terms = it.publish_terms(&OPERATOR, "Terms", "Be good.").await.expect("terms").number;
        let request = String::new();
        let export = NewExport { table: TableKind::Departments, department: None, lang: Lang::En };
        let task = it.order_export(&OPERATOR, id, export, None).await.expect("ordered").id;
        self.work_on(id, task).await;
        let task = task.to_string();
        let now = it.directory().now();
        let letter = letter(id, now, &[(member, format!("member@{domain}"))]);
        self.log.append(std::slice::from_ref(&letter)).await.expect("traced");
        self.quarantine(member, letter.id, HeldFor::Spam).await;
        let letter = letter.id.to_string();
        let gone = State::Sent { at: now, message: RandomIds.event(now), report: None };
        let held = self.hold(member, &domain, gone).await;
        let table = format!("email,name\nmember@{domain},Ann\n").into_bytes();
        let new = NewMailing {
            file: "guests.csv".to_owned(),
            table,
            subject: "Dear {{name}}".to_owned(),
            ..NewMailing::default()
        };
        let mailing = it.add_mailing(&OPERATOR, member, new).await.expect("a mailing").id.to_string();
        let body = NewBody { html: None, text: Some("Hello".to_owned()) };
        let template = it.keep_mail_template(&OPERATOR, member, "spare", "Hello", body).await;
        let template = template.expect("kept").id.to_string();
        let home = Tenant {
            id,
            name,
            domain,
            selector,
            creator,
            chief,
            graded,
            member,
            role,
            key,
            token,
            leavers,
            deleted,
            doomed,
            unbound,
            business,
            business_token,
            retired,
            department,
            tag,
            session,
            request,
            task,
            letter,
            held,
            mailing,
            template,
            order,
            terms,
            newcomer,
            invitation,
            passkey: String::new(),
            provider: String::new(),
            subscription: String::new(),
            bulletin: String::new(),
        };
        let request = self.request(&home).await;
        Tenant { request, ..home }
    }

    /// Puts a letter of a member down that goes in an hour, or has ended: its id.
    pub async fn hold(&self, member: AccountKey, domain: &str, state: State) -> String {
        let (now, address) = (self.administration.directory().now(), format!("member@{domain}"));
        let id = RandomIds.event(now);
        let submitter =
            Submitter { account: member, address: address.clone(), protocol: "ESMTPSA".to_owned() };
        let submission = Submission { submitter, bcc: String::new() };
        let recipient = Recipient { account: member, address: format!("bob@{domain}"), via: Via::Direct };
        let object = format!("{}/spool/{id}", member.tenant);
        let accepted = Accepted {
            id,
            time: now,
            tenant: member.tenant,
            source: Source {
                kind: SourceKind::Submission(Box::new(submission)),
                ip: None,
                helo: String::new(),
                tls: None,
            },
            auth: AuthResults::default(),
            reverse_path: address.clone(),
            recipients: vec![recipient],
            body: Stored::Spooled { object, size: 9 },
            receipt: String::new(),
        };
        let wanted = now.plus_millis(3_600_000);
        let held = Held {
            accepted,
            sender: (member, address),
            subject: "later".to_owned(),
            cause: Cause::Scheduled,
            zone: String::new(),
            wanted,
            due: wanted,
            waits: None,
            refused: Vec::new(),
            state,
            user: None,
            is_counted: false,
            is_settled: false,
        };
        let letters = HeldLetters::new(self.administration.directory().control());
        letters.add(&held).await.expect("put down");
        id.to_string()
    }

    /// A tenant whose member has a passkey and a binding with a provider that nobody needs.
    pub async fn tenant_with_more(&self, about: &str) -> Tenant {
        let tenant = self.tenant(about).await;
        let (id, key) = (rand::random::<[u8; 16]>().to_vec(), PublicKey::EdDsa(vec![7; 32]));
        let new = NewPasskey { id, key, counter: 0, is_verified: true, is_synced: false };
        let directory = self.administration.directory();
        let AddedPasskey::Added(passkey) =
            directory.add_passkey(tenant.member, "spare", new).await.expect("kept")
        else {
            panic!("a random id is there already");
        };
        let new = NewProvider {
            name: "spare".to_owned(),
            issuer: "https://id.example".to_owned(),
            client: "pennypost".to_owned(),
            secret: "secret".to_owned(),
            matching: Matching::Bound,
        };
        let provider = self.administration.add_provider(&OPERATOR, tenant.id, &new).await.expect("added").id;
        self.bind(tenant.member, provider).await;
        let new = NewSubscription {
            name: "spare".to_owned(),
            url: "https://portal.example/spare".to_owned(),
            kinds: NoticeKind::ALL.into(),
            tells_sender: false,
            tells_subject: false,
            whose: Whose::default(),
        };
        let added = self.administration.add_subscription(&OPERATOR, tenant.id, &new).await.expect("added").0;
        let bulletin = format!("{:016x}", self.bulletin([tenant.id].into()).await.id);
        let (passkey, provider) = (passkey.id.to_string(), provider.to_string());
        Tenant { passkey, provider, subscription: added.id.to_string(), bulletin, ..tenant }
    }

    /// A bulletin of the operator for these tenants, or for all.
    pub async fn bulletin(&self, tenants: BTreeSet<TenantId>) -> Bulletin {
        let said = |title: &str| BulletinText { title: title.to_owned(), text: "2 – 3 h".to_owned() };
        let (english, chinese) = (said("No mail on Sunday"), said("周日维护"));
        let kind = BulletinKind::Maintenance;
        let new = NewBulletin { kind, english, chinese, from: None, until: None, tenants };
        self.administration.publish_bulletin(&OPERATOR, &new).await.expect("published")
    }

    /// Binds a member to somebody of a provider.
    pub async fn bind(&self, member: AccountKey, provider: ProviderId) {
        let directory = self.administration.directory();
        let (subject, since) = ("x".to_owned(), directory.now());
        let binding = Binding { provider: provider.0, subject, email: None, since };
        assert_eq!(directory.bind(member, &binding).await, Ok(true));
    }

    /// Somebody who has not joined, and an invitation by which others apply.
    async fn joining(&self, tenant: TenantId, domain: &str) -> (AccountKey, String) {
        let (it, directory) = (&self.administration, self.administration.directory());
        let address = format!("newcomer@{domain}");
        let new = pennypost_directory::NewAccount { address: &address, ..Default::default() };
        let newcomer = directory.add_account_with(&new).await.expect("a newcomer").key;
        let before = it.joining_rules(&OPERATOR, tenant).await.expect("rules");
        let domain = Some(DomainName::parse(domain).expect("a domain"));
        let rules = JoiningRules { open: true, colleagues: true, domain, ..before.clone() };
        it.change_joining_rules(&OPERATOR, tenant, &before, &rules).await.expect("changed");
        let until = directory.now().plus_millis(60 * 60 * 1000);
        let new = NewInvitation { most: 5, until, ..NewInvitation::default() };
        let (invitation, text) = it.invite(&OPERATOR, tenant, &new).await.expect("invited");
        for local in ["applicant", "unwanted"] {
            let new = NewApplication {
                local,
                name: "applicant",
                mobile: "",
                password: "a long password",
                request: None,
            };
            it.join(&text, &new, None).await.expect("applied");
        }
        (newcomer, invitation.id.to_string())
    }

    /// Takes the letters out of the queue: to which addresses, and what each says.
    pub async fn letters(&self) -> Vec<(Vec<String>, String)> {
        let (visible, wait) = (Duration::from_secs(60), Duration::ZERO);
        let found = self.queue.receive(Stage::InboundParse, 100, visible, wait).await.expect("received");
        let mut letters = Vec::new();
        for message in &found {
            let Ok(Event::Accepted(accepted)) = codec::decode(&message.body) else { panic!("a letter") };
            assert!(accepted.names_only_its_tenant() && accepted.reverse_path.is_empty());
            let Stored::Inline(stored) = &accepted.body else { panic!("it is short") };
            let raw = pennypost_mailstore::compress::decompress(stored).expect("whole");
            let raw = String::from_utf8(raw).expect("UTF-8");
            let (head, body) = raw.split_once("\r\n\r\n").expect("a head");
            assert!(head.contains("Auto-Submitted: auto-generated") && head.is_ascii(), "{head}");
            assert!(head.split("\r\n").all(|line| line.len() <= 100), "{head}");
            let text = BASE64_STANDARD.decode(body.replace("\r\n", "")).expect("base64");
            let to = accepted.recipients.into_iter().map(|one| one.address).collect();
            letters.push((to, String::from_utf8(text).expect("UTF-8")));
        }
        let receipts: Vec<_> = found.into_iter().map(|message| message.receipt).collect();
        self.queue.ack(Stage::InboundParse, &receipts).await.expect("done");
        letters
    }

    /// Carries a task out, as housekeeping does.
    pub async fn work_on(&self, tenant: TenantId, task: TaskId) {
        let until = Timestamp(i64::MAX);
        let worked = self.administration.work_on(tenant, task, until).await;
        assert_eq!(worked, Ok(Worked::Over));
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

    /// What the chief has ordered: the rules as they are.
    async fn request(&self, of: &Tenant) -> String {
        let chief = self.session(of.chief).await;
        let path = format!("/tenants/{}/security", of.id);
        let mut rules = self.ask(&chief, "GET", &path, None).await.json();
        rules["four_eyes"] = true.into();
        let on = self.ask(&chief, "PUT", &path, Some(&rules)).await;
        assert_eq!(on.status, 200, "{}", on.text);
        rules["four_eyes"] = false.into();
        let put_down = self.ask(&chief, "PUT", &path, Some(&rules)).await;
        assert_eq!(put_down.status, 202, "{}", put_down.text);
        let operator = self.key(None, None, Permissions::all()).await;
        let off = self.ask(&operator, "PUT", &path, Some(&rules)).await;
        assert_eq!(off.status, 200, "{}", off.text);
        put_down.json()["id"].as_str().expect("an id").to_owned()
    }

    /// A session whose owner has just shown a second factor.
    pub async fn session(&self, account: AccountKey) -> String {
        let new = NewSession {
            account,
            by: SignedInBy::PasswordAndCode,
            client: "test",
            address: None,
            life: SessionLife { idle: 3_600_000, whole: 3_600_000 },
            is_confirmed: true,
            lacks_factor: false,
            must_change: false,
        };
        self.administration.directory().keep_session(&new).await.expect("a session").1
    }

    /// What the world gets at a path of a host.
    pub async fn get_at(&self, host: &str, path: &str) -> Answer {
        let request = Request::get(path).header("host", host).body(Body::empty()).expect("a request");
        self.send(request).await
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
        let is_script = path.ends_with(".sieve");
        if body.is_some() {
            let media = if is_script { "application/sieve" } else { "application/json" };
            request = request.header("content-type", media);
        }
        let body = body.map_or_else(Body::empty, |body| match body {
            Value::String(script) if is_script => Body::from(script.clone()),
            document => Body::from(document.to_string()),
        });
        let mut request = request.body(body).expect("a request");
        request.extensions_mut().insert(Client(IpAddr::from([192, 0, 2, 9])));
        self.send(request).await
    }
}
