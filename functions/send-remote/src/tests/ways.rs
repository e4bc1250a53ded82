//! By which way a tenant's letters go, as its operator has said it in the control table.

use pennypost_outbound::{Destinations, Identity, Relay, Route, Routes, SealedLogin};
use pennypost_sealing::Keyring;

use super::*;

fn secrets() -> Arc<dyn Secrets> {
    Arc::new(Keyring::parse(&Keyring::fresh().expect("randomness")).expect("a key"))
}

async fn by(secrets: &dyn Secrets, to: Destinations, host: &str, password: &str) -> Route {
    let place = Relay::place(TENANT, (host, 465), "us");
    let password = secrets.seal(&place, password.as_bytes()).await.expect("sealed");
    let login = Some(SealedLogin { user: "us".to_owned(), password });
    let relay = Relay { host: host.to_owned(), port: 465, is_wrapped: true, region: None, login };
    Route { to, relay: Some(relay), identity: Identity::default() }
}

impl Fixture {
    async fn say(&self, routes: &Routes) {
        let key = Routes::key(TENANT);
        let put = self.backend.control().put_if(&key, &codec::encode(routes), Expected::Any).await;
        put.expect("written");
        self.sender.0.ways.forget();
    }

    /// By which hosts letters went, with whose password.
    fn went(&self) -> Vec<String> {
        let shown = |way_out: &Option<WayOut>| match way_out {
            None => "default".to_owned(),
            Some(WayOut { smart_host: None, .. }) => "mx".to_owned(),
            Some(WayOut { smart_host: Some(host), .. }) => {
                let password = host.login.as_ref().map(|login| login.password.clone());
                format!("{} {}", host.host, password.unwrap_or_default())
            }
        };
        self.town.ways.lock().drain(..).map(|way| shown(&way)).collect()
    }
}

#[tokio::test]
async fn letters_go_as_is_said_of_their_tenant_and_those_that_wait_too() {
    let secrets = secrets();
    let it = with(Town::default(), Some(Arc::clone(&secrets)));
    let later = || verdict(RemoteOutcome::Deferred, 451, "4.7.1");
    it.handle(&it.letter(&["you@a.example"])).await;
    it.town.answers.lock().push_back(later());
    it.work().await;
    assert_eq!(it.went(), ["default"]);
    let mut routes = Routes::default();
    routes.say(by(&*secrets, Destinations::All, "relay.example", "sesame").await);
    routes.say(by(&*secrets, Destinations::Below("b.example".to_owned()), "near.example", "barley").await);
    let one = Destinations::One("c.example".to_owned());
    routes.say(Route { to: one, relay: None, identity: Identity::default() });
    it.say(&routes).await;
    it.pass(HOUR);
    it.handle(&it.letter(&["you@x.b.example", "you@b.example", "you@c.example"])).await;
    it.work().await;
    let mut went = it.went();
    went.sort();
    assert_eq!(went, ["mx", "near.example barley", "relay.example sesame", "relay.example sesame"]);
    // Another tenant's letters are not theirs.
    let mut other = it.letter(&["you@a.example"]);
    other.tenant = TenantId(8);
    other.recipients.iter_mut().for_each(|one| one.account.tenant = TenantId(8));
    if let SourceKind::Submission(submission) = &mut other.source.kind {
        submission.submitter.account.tenant = TenantId(8);
    }
    it.handle(&other).await;
    it.work().await;
    assert_eq!(it.went(), ["default"]);
}

#[tokio::test]
async fn a_way_that_is_not_known_keeps_the_letter_until_it_is() {
    let secrets = secrets();
    let it = with(Town::default(), Some(Arc::clone(&secrets)));
    // Sealed for another host: nobody else is told the password.
    let mut route = by(&*secrets, Destinations::All, "relay.example", "sesame").await;
    route.relay.as_mut().expect("a relay").host = "evil.example".to_owned();
    it.say(&Routes { routes: vec![route] }).await;
    let letter = it.letter(&["you@a.example"]);
    it.handle(&letter).await;
    it.work().await;
    assert_eq!((it.tried(), it.attempts(&letter).await.len()), (0, 1));
    let attempt = it.attempts(&letter).await.remove(0);
    let answer = &attempt.recipients[0].answer;
    assert_eq!((attempt.recipients[0].outcome, answer.status.as_str()), (RemoteOutcome::Deferred, "4.3.5"));
    assert_eq!(answer.text, "the password of the smart host can't be opened");
    // Neither is anything sent as long as the item can't be read.
    let key = Routes::key(TENANT);
    it.backend.control().put_if(&key, b"\xff\xff", Expected::Any).await.expect("written");
    it.pass(HOUR);
    it.work().await;
    assert_eq!(it.tried(), 0);
    it.say(&Routes { routes: vec![by(&*secrets, Destinations::All, "relay.example", "sesame").await] }).await;
    it.pass(HOUR);
    it.work().await;
    assert_eq!(it.went(), ["relay.example sesame"]);
}
