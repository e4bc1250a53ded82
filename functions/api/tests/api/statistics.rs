//! Statistics of mail and single letters through the API: counts are those of the traces, and nobody sees more than his own.

use std::collections::{BTreeMap, BTreeSet};

use pennypost_admin::{Grant, Grants, PersonChange, Reach, UsedBytes, Worked};
use pennypost_directory::{Attempt, DepartmentId, Plan, SignInKind, SignInOutcome, SignInRecord};
use pennypost_model::trace::{
    Attempt as RemoteAttempt, Outcome, RemoteAnswer, RemoteOutcome, RemoteRecipient, Submitter, TlsDemand,
    TlsReason, TraceRecipient, TraceRecord, TraceStep,
};
use pennypost_model::{AccountKey, EventId, TenantId, Timestamp, codec};
use pennypost_ports::{Ids, LogKind, LogRecord, RandomIds};
use serde_json::{Value, json};

use crate::support::{Answer, OPERATOR, Office, Tenant, letter, permissions, traced};

const DAY: i64 = 86_400_000;
const CSV: [(&str, &str); 1] = [("accept", "text/csv")];

struct Bench {
    office: Office,
    home: Tenant,
    key: String,
    /// The beginning of this day.
    today: i64,
}

async fn bench() -> Bench {
    let office = Office::unhurried().await;
    let home = office.tenant("home").await;
    let key = office.key(Some(home.id), None, permissions(&["log:read"])).await;
    let today = office.administration.directory().now().0.div_euclid(DAY) * DAY;
    Bench { office, home, key, today }
}

impl Bench {
    fn path(&self, path: &str) -> String {
        format!("/tenants/{}{path}", self.home.id)
    }

    async fn ask(&self, key: &str, path: &str) -> Answer {
        self.office.ask(key, "GET", &self.path(path), None).await
    }

    async fn get(&self, path: &str) -> Value {
        let answer = self.ask(&self.key, path).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text);
        answer.json()
    }

    async fn csv(&self, path: &str) -> Vec<String> {
        let answer = self.office.ask_with(&self.key, "GET", &self.path(path), &CSV, None).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text);
        assert!(answer.header("content-type").starts_with("text/csv"));
        answer.text.lines().map(str::to_owned).collect()
    }

    /// Every row of a list, read by pages of `limit`.
    async fn all(&self, key: &str, path: &str, limit: usize) -> Vec<Value> {
        let between = if path.contains('?') { '&' } else { '?' };
        let (mut found, mut after) = (Vec::new(), String::new());
        loop {
            let page = self.ask(key, &format!("{path}{between}limit={limit}{after}")).await;
            assert_eq!(page.status, 200, "{path}: {}", page.text);
            let page = page.json();
            let items = page["items"].as_array().expect("a list").clone();
            assert!(items.len() <= limit, "{page}");
            found.extend(items);
            let Some(next) = page["next"].as_str() else { return found };
            after = format!("&after={next}");
        }
    }

    fn address(&self, local: &str) -> String {
        format!("{local}@{}", self.home.domain)
    }

    async fn append(&self, record: LogRecord) -> EventId {
        self.office.log.append(std::slice::from_ref(&record)).await.expect("appends");
        record.id
    }

    /// A letter that came so many days ago.
    async fn received(&self, days: i64, to: &[(AccountKey, &str)]) -> EventId {
        let to: Vec<_> = to.iter().map(|(key, local)| (*key, self.address(local))).collect();
        self.append(letter(self.home.id, Timestamp(self.today - days * DAY + 60_000), &to)).await
    }

    /// A letter that a member sent so many days ago, to somebody far away: the copy in Sent is all that there is here.
    async fn sent(&self, days: i64, account: AccountKey, local: &str, subject: &str) -> EventId {
        let time = Timestamp(self.today - days * DAY + 120_000);
        let mut record = self.traced_letter(time, &[(account, local)]);
        let TraceStep::Delivered { reverse_path, subject: said, size, recipients, .. } = &mut record.step
        else {
            panic!("{record:?}")
        };
        (*reverse_path, *said, *size) = (self.address(local), subject.to_owned(), 500);
        recipients[0].reasons = vec!["rule:sent".to_owned()];
        let outside = TraceRecipient {
            address: "you@elsewhere.example".to_owned(),
            account,
            reasons: vec!["rule:outside".to_owned()],
            outcome: Outcome::Outside,
        };
        recipients.push(outside);
        let (address, protocol) = (self.address(local), "ESMTPSA".to_owned());
        record.submitter = Some(Submitter { account, address, protocol });
        let (id, value) = (record.message, codec::encode(&record));
        self.append(LogRecord { tenant: self.home.id, kind: LogKind::Trace, id, time, value }).await
    }

    fn traced_letter(&self, time: Timestamp, to: &[(AccountKey, &str)]) -> TraceRecord {
        let to: Vec<_> = to.iter().map(|(key, local)| (*key, self.address(local))).collect();
        codec::decode(&letter(self.home.id, time, &to).value).expect("a trace")
    }

    async fn again(&self, id: EventId) {
        let query = pennypost_ports::LogQuery {
            tenant: self.home.id,
            kind: LogKind::Trace,
            from: id,
            to: id,
            limit: 1,
        };
        let record = self.office.log.query(&query).await.expect("reads").remove(0);
        self.append(record).await;
    }

    async fn roll_up(&self) {
        let rolled = self.office.administration.roll_up(self.home.id, Timestamp(i64::MAX)).await;
        assert_eq!(rolled, Ok(Worked::Over));
    }

    fn day(&self, days: i64) -> String {
        Timestamp(self.today - days * DAY).rfc3339().chars().take(10).collect()
    }

    /// An administrator of one department with the permission for logs, in which the member is and nobody else.
    async fn head_of_department(&self) -> String {
        let it = &self.office.administration;
        let (id, department) = (self.home.id, DepartmentId(self.home.department));
        let member = it.account(&OPERATOR, self.home.member).await.expect("account");
        let change = PersonChange { departments: Some(vec![department]), ..PersonChange::default() };
        it.change_person(&OPERATOR, &member, &change).await.expect("moved");
        let role = it.add_role(&OPERATOR, id, "watch", permissions(&["log:read"])).await.expect("role").id;
        let reach = Reach::Departments(BTreeSet::from([department]));
        let grants = Grants { is_super: false, roles: vec![Grant { role, reach }] };
        it.change_grants(&OPERATOR, self.home.leavers[0], &Grants::default(), grants).await.expect("granted");
        let all = pennypost_admin::Permissions::of_tenant();
        self.office.key(Some(id), Some(self.home.leavers[0]), all).await
    }
}

/// Feature LOG-01: letters and bytes received and sent, of the tenant and each domain by day, of each member over a period, the 15 (or another number) that received or sent the most; CSV
#[tokio::test(flavor = "multi_thread")]
async fn letters_are_counted_by_day_domain_and_member() {
    let it = bench().await;
    let (member, chief) = (it.home.member, it.home.chief);
    let both = [(member, "member"), (chief, "chief")];
    for _ in 0..3 {
        let id = it.received(3, &both).await;
        it.again(id).await;
        it.again(id).await;
    }
    it.received(2, &[(chief, "chief")]).await;
    let sent = it.sent(2, member, "member", "Offer").await;
    it.again(sent).await;
    let period = format!("from={}&to={}", it.day(3), it.day(0));
    let received_by_day = async || -> Vec<Value> {
        let days = it.get(&format!("/mail-statistics?{period}")).await;
        days["items"].as_array().expect("days").iter().map(|day| day["received"].clone()).collect()
    };
    for _ in 0..2 {
        it.roll_up().await;
        // The letter that every tenant of these tests has came today.
        assert_eq!(received_by_day().await, [json!(6), json!(1), json!(0), json!(1)]);
    }
    let days = it.get(&format!("/mail-statistics?{period}&domain={}", it.home.domain)).await;
    let of_two_days_ago = &days["items"][1];
    assert_eq!(of_two_days_ago["day"], json!(it.day(2)));
    assert_eq!((&of_two_days_ago["sent"], &of_two_days_ago["sent_bytes"]), (&json!(1), &json!(500)));
    assert_eq!(of_two_days_ago["received_bytes"], json!(1_000));
    let other = it.get(&format!("/mail-statistics?{period}&domain=other.example")).await;
    assert!(other["items"].as_array().expect("days").iter().all(|day| day["received"] == 0), "{other}");

    let members = it.all(&it.key, &format!("/member-statistics?{period}"), 1).await;
    let shown: Vec<_> = members.iter().map(|row| (&row["address"], &row["received"])).collect();
    let (of_member, of_chief) = (json!(it.address("member")), json!(it.address("chief")));
    let expected: BTreeMap<_, _> =
        [(of_member.to_string(), json!(4)), (of_chief.to_string(), json!(4))].into();
    assert_eq!(shown.len(), 2, "{members:?}");
    assert!(shown.iter().all(|(address, count)| expected[&address.to_string()] == **count), "{shown:?}");
    let top = it.get(&format!("/member-statistics?{period}&by=sent&limit=15")).await;
    assert_eq!(top["items"].as_array().map(Vec::len), Some(1), "who sent nothing is left out");
    assert_eq!(
        (&top["items"][0]["account"], &top["next"]),
        (&json!(member.account.to_string()), &Value::Null)
    );

    let csv = it.csv(&format!("/mail-statistics?{period}")).await;
    assert_eq!(csv[0], "day,received,received_bytes,sent,sent_bytes");
    assert_eq!(csv[1..3], [format!("{},6,6000,0,0", it.day(3)), format!("{},1,1000,1,500", it.day(2))]);
    let csv = it.csv(&format!("/member-statistics?{period}&by=sent")).await;
    assert_eq!(csv[1], format!("{},{},,4,4000,1,500", member.account, it.address("member")));

    for bad in ["from=2026-13-01", "from=tomorrow", "by=size", "after=x", "limit=0"] {
        it.ask(&it.key, &format!("/member-statistics?{bad}")).await.assert_problem(400, "bad-parameter");
    }
    let long = format!("/mail-statistics?from={}&to={}", it.day(92), it.day(0));
    it.ask(&it.key, &long).await.assert_problem(422, "invalid");
}

#[tokio::test(flavor = "multi_thread")]
async fn departments_and_tenants_see_their_own() {
    let it = bench().await;
    let theirs = it.office.tenant("theirs").await;
    let (member, chief) = (it.home.member, it.home.chief);
    let shared = it.received(2, &[(member, "member"), (chief, "chief")]).await;
    let hidden = it.received(2, &[(chief, "chief")]).await;
    let broken = TraceStep::DeadLettered { queue: "inbound".to_owned(), cause: "poison".to_owned() };
    let at = Timestamp(it.today - DAY);
    it.append(traced(it.home.id, shared, at, broken.clone())).await;
    let lost = it.append(traced(it.home.id, RandomIds.event(at), at, broken)).await;
    it.sent(2, chief, "chief", "Secret").await;
    it.roll_up().await;
    let used = [
        (member.account, UsedBytes { bytes: 7, messages: 1 }),
        (chief.account, UsedBytes { bytes: 9, messages: 1 }),
    ];
    it.office.administration.keep_mailbox_use(it.home.id, at, &used).await.expect("kept");
    let head = it.head_of_department().await;

    for whole in ["/mail-statistics", "/monthly-report"] {
        it.ask(&head, whole).await.assert_problem(403, "out-of-reach");
    }
    let own = json!(member.account.to_string());
    for (list, field) in [("/member-statistics", "account"), ("/mailbox-use", "account")] {
        let rows = it.all(&head, list, 1).await;
        let rows: Vec<&Value> = rows.iter().map(|row| &row[field]).collect();
        assert_eq!(rows, [&own], "{list}");
    }
    let letters = it.all(&head, "/letters", 1).await;
    let ids: Vec<String> = letters.iter().map(|one| one["id"].as_str().expect("an id").to_owned()).collect();
    assert_eq!(ids, [it.home.letter.clone(), shared.to_string()]);
    assert_eq!(letters[1]["recipients"], json!([it.address("member")]), "the other one is not told of");
    let shown = it.ask(&head, &format!("/letters/{shared}")).await;
    assert!(!shown.text.contains(&it.address("chief")) && !shown.text.contains("poison"), "{}", shown.text);
    // Nor can he ask for what he does not see.
    for query in
        [format!("address={}", it.address("chief")), "subject=secret".to_owned(), "kind=sent".to_owned()]
    {
        assert_eq!(it.all(&head, &format!("/letters?{query}"), 10).await, [Value::Null; 0], "{query}");
    }
    for id in [hidden, lost] {
        it.ask(&head, &format!("/letters/{id}")).await.assert_problem(404, "not-found");
    }
    // Whoever reaches all sees all.
    assert_eq!(it.all(&it.key, "/letters", 2).await.len(), 5);
    let whole = it.get(&format!("/letters/{shared}")).await;
    assert_eq!(whole["delivery"]["recipients"].as_array().map(Vec::len), Some(2));
    assert_eq!(whole["incidents"][0]["step"], json!("dead-lettered"));

    let foreign = it.office.key(Some(theirs.id), None, permissions(&["log:read"])).await;
    for path in ["/mail-statistics", "/member-statistics", "/mailbox-use", "/letters", "/monthly-report"] {
        it.ask(&foreign, path).await.assert_problem(404, "not-found");
    }
    let inside = format!("/tenants/{}/letters/{shared}", theirs.id);
    it.office.ask(&foreign, "GET", &inside, None).await.assert_problem(404, "not-found");
}

/// Feature RCV-18 (part): of a letter it is told over the API whether nothing proves who has written it, or DMARC has failed; members see it nowhere yet
/// Feature LOG-04: single letters by period, kind, address, domain, subject and member, newest first, with what happened to each and nothing of what is in it; 180 days, or 90, as the plan says
#[tokio::test(flavor = "multi_thread")]
async fn letters_are_found_by_what_is_known_of_them() {
    let it = bench().await;
    let (member, chief) = (it.home.member, it.home.chief);
    let mut received = Vec::new();
    for days in [150, 100, 40, 3, 3, 1] {
        received.push(it.received(days, &[(member, "member")]).await.to_string());
    }
    let sent = it.sent(2, chief, "chief", "Angebot 报价").await.to_string();
    let ids = async |query: &str| -> Vec<String> {
        let found = it.all(&it.key, &format!("/letters?{query}"), 2).await;
        found.iter().map(|one| one["id"].as_str().expect("an id").to_owned()).collect()
    };
    let mut all = received.clone();
    all.extend([sent.clone(), it.home.letter.clone()]);
    all.sort_unstable_by(|a, b| b.cmp(a));
    assert_eq!(ids("").await, all, "newest first, each once");
    assert_eq!(ids("kind=sent").await, std::slice::from_ref(&sent));
    assert_eq!(ids("kind=received").await.len(), 7);
    assert_eq!(ids(&format!("from={}&to={}", it.day(3), it.day(2))).await.len(), 3);
    assert_eq!(ids("subject=%E6%8A%A5%E4%BB%B7").await, std::slice::from_ref(&sent));
    assert_eq!(ids("subject=INVOICE%204711").await.len(), 7);
    assert_eq!(ids("domain=Sender.example").await.len(), 7);
    assert_eq!(ids("domain=ender.example").await.len(), 0);
    assert_eq!(ids("address=CHIEF@").await, std::slice::from_ref(&sent));
    assert_eq!(ids(&format!("account={}", chief.account)).await, std::slice::from_ref(&sent));
    assert_eq!(ids(&format!("account={}&kind=sent", member.account)).await.len(), 0);

    let one = it.get(&format!("/letters/{}", received[5])).await;
    assert_eq!(
        (&one["subject"], &one["kind"], &one["size"]),
        (&json!("Invoice 4711"), &json!("received"), &json!(1_000))
    );
    assert_eq!(one["delivery"]["auth"], json!({ "spf": "pass", "dkim": "none", "dmarc": "fail" }));
    assert_eq!(one["delivery"]["recipients"][0]["outcome"], json!("stored"));
    assert_eq!(one["delivery"]["hint"], json!("dmarc-failed"));
    let one = it.get(&format!("/letters/{sent}")).await;
    assert_eq!(one["delivery"]["hint"], Value::Null);
    assert_eq!(one["submitter"]["account"], json!(chief.account.to_string()));
    let outside = json!(["you@elsewhere.example"]);
    assert_eq!((&one["recipients"], &one["incidents"]), (&outside, &json!([])), "Sent is no recipient");
    let csv = it.csv("/letters?kind=sent").await;
    assert_eq!(csv[0], "id,accepted,kind,sender,recipients,subject,size");
    assert!(csv[1].contains(",sent,") && csv[1].contains("Angebot 报价"), "{csv:?}");
    for (bad, status) in [("/letters/x", 404), ("/letters?kind=lost", 400), ("/letters?account=ann", 400)] {
        assert_eq!(it.ask(&it.key, bad).await.status, status, "{bad}");
    }
    // A key that is for something else opens nothing.
    let other = it.office.key(Some(it.home.id), None, permissions(&["members:write"])).await;
    it.ask(&other, "/letters").await.assert_problem(403, "no-permission");

    let plan = Plan::basic();
    it.office.administration.change_plan(&OPERATOR, it.home.id, None, &plan).await.expect("given");
    assert_eq!(ids("").await.len(), all.len() - 2, "90 days");
    it.ask(&it.key, &format!("/letters/{}", received[0])).await.assert_problem(404, "not-found");
}

/// Feature DLV-02 (part): of each recipient at another server it is told whether it is on its way, delayed, sent or failed, and why
#[tokio::test(flavor = "multi_thread")]
async fn letters_to_other_servers_are_told_as_far_as_they_went() {
    let it = bench().await;
    let (member, chief) = (it.home.member, it.home.chief);
    let addresses =
        ["a@other.example", "b@other.example", "c@third.example", "d@fourth.example", "e@fifth.example"];
    let time = Timestamp(it.today - DAY);
    let mut record = it.traced_letter(time, &[(chief, "chief")]);
    let TraceStep::Delivered { recipients, .. } = &mut record.step else { panic!("{record:?}") };
    recipients.extend(addresses.map(|address| TraceRecipient {
        address: address.to_owned(),
        account: member,
        reasons: vec!["rule:outside".to_owned()],
        outcome: Outcome::Outside,
    }));
    let (address, protocol) = (it.address("member"), "ESMTPSA".to_owned());
    record.submitter = Some(Submitter { account: member, address, protocol });
    let (id, value) = (record.message, codec::encode(&record));
    it.append(LogRecord { tenant: it.home.id, kind: LogKind::Trace, id, time, value }).await;
    let attempted = |destination: &str, next: Option<Timestamp>, said: &[(&str, RemoteOutcome, u16)]| {
        let recipient = |(address, outcome, code): &(&str, RemoteOutcome, u16)| RemoteRecipient {
            address: (*address).to_owned(),
            outcome: *outcome,
            answer: RemoteAnswer { code: Some(*code), status: "x.1.1".to_owned(), text: "said".to_owned() },
        };
        TraceStep::Attempted(RemoteAttempt {
            destination: destination.to_owned(),
            number: 1,
            host: "mx.other.example [192.0.2.1]:25".to_owned(),
            tls: Some("TLSv1.3 X".to_owned()),
            recipients: said.iter().map(recipient).collect(),
            next,
            reported: None,
        })
    };
    let [a, b, c, _, e] = addresses;
    let (sent, failed, deferred) = (RemoteOutcome::Sent, RemoteOutcome::Failed, RemoteOutcome::Deferred);
    let later = it.office.administration.directory().now().plus_millis(3_600_000);
    for step in [
        attempted("other.example", None, &[(a, sent, 250), (b, failed, 550)]),
        // It has been tried since, without news.
        attempted("fifth.example", Some(time.plus_millis(60_000)), &[(e, deferred, 451)]),
    ] {
        it.append(traced(it.home.id, id, time, step)).await;
    }
    let failure = Some("the server offers no TLS".to_owned());
    let demand = Some(TlsDemand { reason: TlsReason::MtaSts, is_enforced: true, failure });
    let step = attempted("third.example", Some(later), &[(c, deferred, 451)]);
    let held = TraceRecord { demand, ..TraceRecord::new(it.home.id, id, time, step) };
    let (tenant, value) = (it.home.id, codec::encode(&held));
    it.append(LogRecord { tenant, kind: LogKind::Trace, id, time, value }).await;
    let whole = it.get(&format!("/letters/{id}")).await;
    let shown = |letter: &Value| -> Vec<(String, String, Value)> {
        let rows = letter["delivery"]["recipients"].as_array().expect("recipients").clone();
        let text = |row: &Value, name: &str| row[name].as_str().unwrap_or_default().to_owned();
        rows.iter().map(|row| (text(row, "outcome"), text(row, "cause"), row["next"].clone())).collect()
    };
    let row = |outcome: &str, cause: &str, next: Value| (outcome.to_owned(), cause.to_owned(), next);
    let outside = [
        row("sent", "250 x.1.1 said", Value::Null),
        row("failed", "550 x.1.1 said", Value::Null),
        row("delayed", "451 x.1.1 said", json!(later.rfc3339())),
        row("on-the-way", "", Value::Null),
        row("delayed", "451 x.1.1 said", Value::Null),
    ];
    assert_eq!(shown(&whole)[1..], outside);
    let first = &whole["delivery"]["recipients"][1];
    assert_eq!(first["server"], json!("mx.other.example [192.0.2.1]:25"));
    assert_eq!((&first["tls"], &first["answered"]), (&json!("TLSv1.3 X"), &json!(time.rfc3339())));
    let demand = json!({ "reason": "mta-sts", "enforced": true, "failure": "the server offers no TLS" });
    let demands = [1, 3].map(|number| whole["delivery"]["recipients"][number]["tls_demand"].clone());
    assert_eq!(demands, [Value::Null, demand]);
    assert_eq!((&whole["kind"], &whole["recipients"][1]), (&json!("sent"), &json!(a)));
    // Whoever sees who wrote it sees what came of it, and not who else got it.
    let head = it.head_of_department().await;
    let seen = it.ask(&head, &format!("/letters/{id}")).await;
    assert_eq!(seen.status, 200, "{}", seen.text);
    assert_eq!(shown(&seen.json()), outside);
}

/// Feature LOG-03: what each mailbox holds against what it may hold, the fullest first, as it was seen within the last day; CSV
#[tokio::test(flavor = "multi_thread")]
async fn mailboxes_are_told_with_their_capacity() {
    let it = bench().await;
    let administration = &it.office.administration;
    assert_eq!(it.get("/mailbox-use").await["items"], json!([]));
    let used = [
        (it.home.member.account, UsedBytes { bytes: 5_000, messages: 5 }),
        (it.home.chief.account, UsedBytes { bytes: 9_000, messages: 1 }),
        (it.home.business.account, UsedBytes::default()),
    ];
    let taken = administration.directory().now();
    administration.keep_mailbox_use(it.home.id, taken, &used).await.expect("kept");
    let rows = it.all(&it.key, "/mailbox-use", 1).await;
    let shown: Vec<_> = rows.iter().map(|row| (row["bytes"].as_u64(), row["capacity"].as_u64())).collect();
    let (own, business) = (Some(10_000_000_000), Some(1_000_000_000));
    assert_eq!(shown, [(Some(9_000), own), (Some(5_000), own), (Some(0), business)]);
    assert_eq!((&rows[0]["address"], &rows[0]["messages"]), (&json!(it.address("chief")), &json!(1)));
    let csv = it.csv("/mailbox-use").await;
    assert_eq!(csv[0], "account,address,display_name,bytes,messages,capacity,taken");
    assert!(csv[1].contains(",9000,1,10000000000,"), "{csv:?}");
    // The plan's word counts at once, and any number is told as none.
    let plan = Plan { vip_seats: 1, ..Plan::pro() };
    administration.change_plan(&OPERATOR, it.home.id, None, &plan).await.expect("given");
    let rows = it.all(&it.key, "/mailbox-use", 10).await;
    assert_eq!((&rows[0]["capacity"], &rows[2]["capacity"]), (&json!(1_000_000_000), &Value::Null));
}

async fn note_sign_in(it: &Bench, tenant: TenantId, account: AccountKey, time: Timestamp) {
    let record = SignInRecord {
        first: time,
        last: time,
        count: 2,
        login: "somebody".to_owned(),
        account: Some(account.account),
        client: [192, 0, 2, 7].into(),
        kind: SignInKind::Imap,
        mechanism: "PLAIN".to_owned(),
        program: None,
        token: None,
        outcome: SignInOutcome::Ok,
    };
    let (id, value) = (RandomIds.event(time), codec::encode(&record));
    it.append(LogRecord { tenant, kind: LogKind::Login, id, time, value }).await;
}

/// Feature LOG-10: a month by day: members who signed in, what mailboxes held, letters received and sent, with the sums, as data and CSV; charts are the console’s
/// Feature LOG-02: sign-ins day by day of the last 180 days, or 90, as the plan says, and their export as CSV
/// Feature LOG-05: sign-ins of the last 180 days, or 90, as the plan says
#[tokio::test(flavor = "multi_thread")]
async fn a_month_is_reported_and_sign_ins_are_shown_as_long_as_the_plan_says() {
    let it = bench().await;
    let administration = &it.office.administration;
    let (member, chief) = (it.home.member, it.home.chief);
    // Of the month before this one: whatever day it is, all of it is over.
    let now = administration.directory().now();
    let (_, _, day_of_month) = now.civil_day();
    let last_of_month = i64::from(day_of_month);
    it.received(last_of_month, &[(member, "member"), (chief, "chief")]).await;
    it.received(last_of_month + 5, &[(member, "member")]).await;
    it.sent(last_of_month + 5, chief, "chief", "Offer").await;
    it.roll_up().await;
    let at = |days: i64| Timestamp(it.today - days * DAY + 1_000);
    for (account, days) in [(member, last_of_month), (chief, last_of_month), (member, last_of_month + 5)] {
        note_sign_in(&it, it.home.id, account, at(days)).await;
    }
    let used = [(member.account, UsedBytes { bytes: 70, messages: 7 })];
    administration.keep_mailbox_use(it.home.id, at(last_of_month + 5), &used).await.expect("kept");

    let month: String = it.day(last_of_month).chars().take(7).collect();
    let report = it.get(&format!("/monthly-report?month={month}")).await;
    assert_eq!((&report["month"], &report["signed_in"]), (&json!(month), &json!(2)));
    assert_eq!((&report["received"], &report["sent"]), (&json!(3), &json!(1)));
    assert_eq!((&report["used_bytes"], &report["messages"]), (&json!(70), &json!(7)));
    let days = report["days"].as_array().expect("days");
    assert!((28..=31).contains(&days.len()), "{}", days.len());
    let last = days.last().expect("a day");
    assert_eq!((&last["day"], &last["received"]), (&json!(it.day(last_of_month)), &json!(2)));
    assert_eq!((&last["signed_in"], &last["used_bytes"]), (&json!(2), &Value::Null));
    let before = &days[days.len() - 6];
    assert_eq!((&before["sent"], &before["signed_in"]), (&json!(1), &json!(1)));
    assert_eq!(before["used_bytes"], json!(70));
    let csv = it.csv(&format!("/monthly-report?month={month}")).await;
    assert_eq!(csv.len(), days.len() + 1);
    assert_eq!(csv[csv.len() - 1], format!("{},2,2000,0,0,2,,", it.day(last_of_month)));
    let this_month = it.get("/monthly-report").await;
    assert_eq!(this_month["days"].as_array().map(Vec::len), Some(day_of_month as usize));
    let to_come = it.get("/monthly-report?month=2099-01").await;
    assert_eq!(to_come["days"], json!([]));
    for bad in ["2026-13", "2026", "2026-1", "november"] {
        it.ask(&it.key, &format!("/monthly-report?month={bad}")).await.assert_problem(400, "bad-parameter");
    }

    note_sign_in(&it, it.home.id, member, at(100)).await;
    let period = format!("from={}&to={}", it.day(110), it.day(95));
    assert_eq!(it.get(&format!("/sign-ins?{period}")).await["items"].as_array().map(Vec::len), Some(1));
    let days = it.get(&format!("/sign-in-statistics?{period}")).await;
    let counts: u64 =
        days["items"].as_array().expect("days").iter().filter_map(|day| day["imap"].as_u64()).sum();
    assert_eq!((counts, days["items"].as_array().map(Vec::len)), (2, Some(16)));
    administration.change_plan(&OPERATOR, it.home.id, None, &Plan::basic()).await.expect("given");
    for list in ["/sign-ins", "/sign-in-statistics"] {
        assert_eq!(it.get(&format!("{list}?{period}")).await["items"], json!([]), "{list}");
    }
    let attempt = Attempt::new(SignInKind::Imap, "PLAIN", [192, 0, 2, 7].into());
    let login = it.address("member");
    administration.directory().sign_in(&attempt, &login, "a long password").await.expect("signs in");
    administration.directory().sign_in_log().expect("recorded").finish().await;
    assert!(!it.get("/sign-ins").await["items"].as_array().expect("a list").is_empty());
}
