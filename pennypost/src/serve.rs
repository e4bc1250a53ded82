//! `serve`: every part of the post office in one process.

use std::io::{IsTerminal, Write};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use pennypost_admin::Outside;
use pennypost_api::Api;
use pennypost_backend_aws::Needed;
use pennypost_backend_embedded::Options;
use pennypost_deliver::Deliver;
use pennypost_held::{self as held, Releaser};
use pennypost_hooks::Hooks;
use pennypost_housekeep::Housekeep;
use pennypost_inbound_parse::InboundParse;
use pennypost_ingress::net::{Adapter, Ports, TlsMode, load_or_create_tls};
use pennypost_ingress::{imap, pop3, smtp};
use pennypost_mailings::Runner;
use pennypost_mailstore::Mailroom;
use pennypost_model::event::Stage;
use pennypost_notify::{self as notify, Announcer, Messenger, Notify};
use pennypost_outbound::Outbox;
use pennypost_policy_filter::{PolicyFilter, Screen};
use pennypost_ports::Wakeups;
use pennypost_quarantine::Quarantine;
use pennypost_receive::{self as receive, Receive};
use pennypost_runtime::local::Driver;
use pennypost_runtime::{Handler, Pipeline};
use pennypost_send_remote::SendRemote;
use prometheus::Registry;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

use crate::backend::{Backend, Kind, Place};
use crate::cli::{Handlers, ServeArgs};
use crate::config::{Config, Listen};
use crate::neighbours::{self, HereAndThere};
use crate::office::Office;
use crate::sweep::Sweeper;
use crate::text::Text;
use crate::{Failed, background, demo, http, open_files, say, sending};

/// Between two looks into a cloud's queue that nothing is sent to as the stages are joined now.
const BETWEEN_RESTS: Duration = Duration::from_secs(15 * 60);
/// Bytes of messages that were accepted here and wait to be parsed here, at most: others are decompressed.
const FRESH_BYTES: usize = 16 << 20;

/// Runs the post office until it is asked to stop.
pub async fn run(place: &Place, args: &ServeArgs, json: bool, text: &Text) -> Result<ExitCode, Failed> {
    let data = place.data.as_path();
    if args.list_crash_points {
        let mut out = std::io::stdout().lock();
        pennypost_ports::crash::POINTS.iter().try_for_each(|point| writeln!(out, "{point}"))?;
        return Ok(ExitCode::SUCCESS);
    }
    start_logging(text)?;
    let mut config = Config::load(args.config.as_deref(), &listeners(args), &args.settings, text)?;
    if args.demo {
        demo::check_addresses(&config.listen.all(), text)?;
    }
    config.adapter.limits.connections = open_files::fitting(config.adapter.limits.connections);
    let handles = args.handlers == Handlers::All;
    config.adapter.is_sending = config.sending.is_on(place.kind, args.handlers, args.demo);
    if !handles && place.kind == Kind::Embedded {
        // Nobody else can.
        return Err(Failed::Said(say!(text, "serve-handlers")));
    }
    let options = Options { wal_room: true, ..Options::server() };
    let office = Office::open_at(place, &options).await?;
    if config.adapter.is_sending {
        office.send_out();
    }
    office.write_as(&config.notices.0);
    if let Backend::Aws(aws) = &office.backend {
        let receives = office.backend.raw_mail().is_some();
        let missing = aws.missing(&needed(&config, args.handlers, receives)).await;
        if !missing.is_empty() {
            return Err(Failed::Said(say!(text, "serve-missing", names = missing.join(", "))));
        }
    }
    place.make_directory()?;
    let tls = load_or_create_tls(&data.join("tls"), &config.adapter.hostname)
        .map_err(|error| Failed::Said(say!(text, "serve-tls", cause = error.to_string())))?;
    let registry = Registry::new();
    let (others, changed_here) = mpsc::unbounded_channel();
    let room = Mailroom::with_room(office.store.clone(), config.adapter.limits.live_bytes);
    let room = match office.backend {
        Backend::Embedded(_) => room,
        Backend::Aws(_) => room.telling(others.clone()),
    };
    let ports = Ports {
        directory: office.directory.clone(),
        mailroom: room.clone(),
        queue: office.queue(),
        objects: office.objects(),
        clock: Arc::clone(&office.clock),
        ids: Arc::clone(&office.ids),
    };
    let started = |cause: String| Failed::Said(say!(text, "serve-start", cause = cause));
    let adapter = Adapter::new(ports, config.adapter.clone(), tls, &registry)
        .map_err(|error| started(error.to_string()))?;
    let wakeups: Arc<dyn Wakeups> = match office.backend {
        Backend::Embedded(_) => Arc::new(room.clone()),
        Backend::Aws(_) => Arc::new(HereAndThere { here: room.clone(), there: others }),
    };
    let handles_any = args.handlers != Handlers::None;
    let puts_down = handles_any && (config.adapter.is_sending || has_remote_queue(&office.backend).await);
    let sender = puts_down.then(|| sending::sender(&office, &config, &adapter)).transpose();
    let sender = sender.map_err(|cause| {
        Failed::Said(say!(text, "config-setting-value", setting = "sending.smart_host", cause = cause))
    })?;
    let announcer = Announcer::new(Hooks::new(office.control()), Arc::clone(&office.clock));
    let joined = (announcer.clone(), sender.clone());
    let pipeline = Arc::new(pipeline(&office, &room, &adapter, wakeups, &config, joined));
    let settings = config.pipeline.driver.clone();
    let clock = Arc::clone(&office.clock);
    let (queue, log, control) = (office.queue(), office.log(), office.control());
    let driver = Driver::new(Arc::clone(&pipeline), queue, log, control, clock, settings, &registry)
        .map_err(|error| started(error.to_string()))?;
    let monitor = http::Monitor::new(data, office.queue(), office.control(), registry)
        .map_err(|error| started(error.to_string()))?;
    let stop = stop_signal()?;
    let listeners = Listeners::bind(&config.listen, text).await?;
    let bound = listeners.addresses()?;
    let demo = if args.demo { Some(demo::prepare(&office, &args.demo_mail, text).await?) } else { None };

    let mut protocols = JoinSet::new();
    protocols.spawn(smtp::run(Arc::clone(&adapter), listeners.smtp));
    let (submission, submissions) = (listeners.submission, listeners.submissions);
    protocols.spawn(smtp::run_submission(Arc::clone(&adapter), submission, TlsMode::StartTls));
    protocols.spawn(smtp::run_submission(Arc::clone(&adapter), submissions, TlsMode::Implicit));
    protocols.spawn(imap::run(Arc::clone(&adapter), listeners.imap, TlsMode::StartTls));
    protocols.spawn(imap::run(Arc::clone(&adapter), listeners.imaps, TlsMode::Implicit));
    protocols.spawn(pop3::run(Arc::clone(&adapter), listeners.pop3, TlsMode::StartTls));
    protocols.spawn(pop3::run(Arc::clone(&adapter), listeners.pop3s, TlsMode::Implicit));
    let (stop_work, work_stopped) = watch::channel(false);
    let (stop_sending, sending_stopped) = watch::channel(false);
    let bell = match &office.backend {
        Backend::Embedded(_) => None,
        Backend::Aws(aws) => match aws.bell().await {
            Ok(bell) => Some(Arc::new(bell)),
            Err(error) => {
                tracing::warn!(%error, "sessions learn late of what others change");
                None
            }
        },
    };
    let working = if handles_any {
        let housekeeping = if handles {
            adapter.fresh.keep_up_to(FRESH_BYTES);
            let housekeeping = housekeeping(place, &config, &driver).await?;
            Some(background::start(housekeeping, work_stopped.clone())?)
        } else {
            None
        };
        // A look that finds nothing costs nothing in a directory, and is paid for in a cloud.
        let is_rest =
            |stage: &Stage| pipeline.is_joined(*stage) || *stage == Stage::SendRemote && !adapter.is_sending;
        let is_seldom = |stage: &Stage| place.kind == Kind::Aws && is_rest(stage);
        let is_mine = |stage: &Stage| match stage {
            Stage::Housekeep => false,
            Stage::SendRemote => true,
            _ => handles,
        };
        let mail = Stage::ALL.into_iter().filter(is_mine);
        let (seldom, often): (Vec<Stage>, Vec<Stage>) = mail.partition(is_seldom);
        let rests = driver.clone().look_into(seldom, BETWEEN_RESTS, work_stopped.clone());
        let workers = driver.run_some(move |stage| often.contains(&stage), work_stopped.clone());
        let workers = tokio::spawn(async { tokio::join!(workers, rests) });
        let sender = sender.filter(|_| adapter.is_sending);
        let sending = sender.map(|sender| tokio::spawn(sender.run(sending_stopped)));
        let sending = async {
            if let Some(sending) = sending {
                let _ = sending.await;
            }
        };
        let housekeeping = async {
            if let Some(housekeeping) = housekeeping {
                let _ = housekeeping.await;
            }
        };
        let dmarc = sending::dmarc_reports(&office, &config, &adapter);
        let dmarc = dmarc.map(|reports| tokio::spawn(reports.run(work_stopped.clone())));
        let dmarc = async {
            if let Some(dmarc) = dmarc {
                let _ = dmarc.await;
            }
        };
        Some(async { tokio::join!(workers, housekeeping, sending, dmarc) })
    } else {
        None
    };
    // Also where functions handle events: who hands something in here may take it back within seconds.
    let releaser = releaser(&office, &adapter);
    let outbox = Outbox::new(office.control());
    let runner = Runner::new(adapter.mailings.clone(), outbox, releaser.clone(), adapter.is_sending);
    let (letters, mailings) = (releaser.run(stop_work.subscribe()), runner.run(stop_work.subscribe()));
    let releasing = tokio::spawn(async { tokio::join!(letters, mailings) });
    let sweeper = Sweeper::new(&office, Arc::clone(&pipeline), config.retention.clone());
    // Where functions handle events one of them sweeps; what sessions wish for only this process knows.
    let sweeper =
        if handles { tokio::spawn(sweeper.run()) } else { tokio::spawn(sweeper.send_what_is_wanted()) };
    let neighbours = match (&bell, office.backend.foreign_changes()) {
        (Some(bell), _) => tokio::spawn(neighbours::of_an_adapter(Arc::clone(bell), room, changed_here)),
        (None, Some(changes)) => tokio::spawn(neighbours::of_a_directory(changes, room)),
        (None, None) => tokio::spawn(neighbours::of_a_deaf_adapter(room, changed_here)),
    };
    if let smtp::DnsServers::These(servers) = &config.adapter.dns.servers {
        match pennypost_lookup::over(servers) {
            Ok((dns, https)) => office.look_up_with(Outside { dns, https }),
            Err(error) => tracing::warn!(%error, "records of domains are looked up by the machine's servers"),
        }
    }
    // A demonstration calls nobody outside.
    if !args.demo {
        office.probe_routes_by(Arc::new(sending::probing(&office, &config)));
    }
    // A demonstration writes to nobody outside.
    if let Some(texting) = config.sms.as_ref().filter(|_| !args.demo) {
        office.text(texting).map_err(|cause| {
            Failed::Said(say!(text, "config-setting-value", setting = "sms", cause = cause))
        })?;
    }
    if let Some(trials) = &config.trial {
        office.offer_trials(trials.domain.clone());
    }
    let sign_ups = config.signup.settings().map_err(|cause| {
        Failed::Said(say!(text, "config-setting-value", setting = "signup", cause = cause))
    })?;
    if let Some(settings) = sign_ups {
        office.let_sign_up(settings);
    }
    let pages = http::Pages {
        setup: setup(&office, &config, &bound),
        rest: office.rest().at(config.http.pace()).with_sites(config.sites.clone()),
        proxies: config.http.proxies.clone(),
    };
    let pages = tokio::spawn(http::run(listeners.http, monitor, pages, work_stopped));

    // Also where functions handle events: they put notices down, and tell nobody.
    let telling = messenger(&office)
        .map(|messenger| tokio::spawn(messenger.run(announcer.bell(), stop_work.subscribe())));

    let (end_record, record_ends) = watch::channel(false);
    let record = office.directory.sign_in_log().cloned();
    let record = record.map(|record| tokio::spawn(record.run(record_ends)));

    announce(place, &bound, demo.as_ref(), json, text)?;
    stop.await;
    tracing::info!("stopping");
    // Before the sessions: whoever kills it soon finds few attempts in hand.
    let _ = stop_sending.send(true);
    adapter.shutdown.begin();
    while protocols.join_next().await.is_some() {}
    sweeper.abort();
    neighbours.abort();
    let _ = stop_work.send(true);
    if let Some(bell) = bell
        && let Err(error) = bell.take_down().await
    {
        tracing::warn!(%error, "the next adapter to start removes what this one leaves");
    }
    // What a worker has in hand comes again if it does not end in time.
    if let Some(working) = working {
        let _ = tokio::time::timeout(Duration::from_secs(20), working).await;
    }
    let _ = tokio::time::timeout(Duration::from_secs(20), releasing).await;
    if let Some(telling) = telling {
        let _ = tokio::time::timeout(Duration::from_secs(20), telling).await;
    }
    let _ = tokio::time::timeout(Duration::from_secs(2), pages).await;
    // After everything that signs anybody in.
    let _ = end_record.send(true);
    if let Some(record) = record {
        let _ = tokio::time::timeout(Duration::from_secs(10), record).await;
    }
    office.backend.shutdown().await;
    Ok(ExitCode::SUCCESS)
}

/// What must be there in a cloud. Queues of joined stages may be missing: nothing is sent to them; so may that of mail that
/// another service receives, if none does, and for other servers, if nothing is sent there.
fn needed(config: &Config, handlers: Handlers, receives: bool) -> Needed {
    let fusing = &config.pipeline.fused;
    let sends = [Stage::InboundParse, Stage::Housekeep];
    let is_there = |stage: &Stage| match stage {
        Stage::Receive => receives,
        Stage::SendRemote => config.adapter.is_sending,
        _ => true,
    };
    let is_worked = |stage: &Stage| !fusing.joins(*stage) && is_there(stage);
    let is_handled = |stage: &Stage| match handlers {
        Handlers::All => is_worked(stage),
        Handlers::Sending => *stage == Stage::SendRemote && config.adapter.is_sending,
        Handlers::None => false,
    };
    let uses = |stage: &Stage| sends.contains(stage) || is_handled(stage);
    Needed { log: handlers != Handlers::None, queues: Stage::ALL.into_iter().filter(uses).collect() }
}

/// Is there a queue of letters to other servers, in which some may lie though nothing is sent?
async fn has_remote_queue(backend: &Backend) -> bool {
    match backend {
        Backend::Embedded(_) => true,
        Backend::Aws(aws) => {
            let needed = Needed { log: false, queues: vec![Stage::SendRemote] };
            aws.queue().may_have(Stage::SendRemote) && aws.missing(&needed).await.is_empty()
        }
    }
}

/// What mail programs are told that set themselves up. Nothing where the adapter has a name that nobody could look up.
fn setup(office: &Office, config: &Config, bound: &Listen) -> Option<Api> {
    match config.setup.settings(&config.adapter.hostname, bound) {
        Ok(settings) => Some(Api::new(office.directory.clone(), settings.with_sites(config.sites.clone()))),
        Err(error) => {
            tracing::warn!(%error, "mail programs can't set themselves up");
            None
        }
    }
}

/// What lets letters of members go whose time has come.
fn releaser(office: &Office, adapter: &Adapter) -> Releaser {
    let ports = held::Ports {
        directory: office.directory.clone(),
        objects: office.objects(),
        queue: office.queue(),
        clock: Arc::clone(&office.clock),
        ids: Arc::clone(&office.ids),
    };
    Releaser::new(adapter.held.clone(), ports, &adapter.hostname)
}

/// What tells other programs of new mail; nothing where secrets can't be opened, or the world is not reached.
fn messenger(office: &Office) -> Option<Messenger> {
    let (Some(https), Some(secrets)) = (office.https(), office.secrets()) else {
        tracing::warn!("programs that have subscribed to new mail are not told from here");
        return None;
    };
    let ports = notify::Ports {
        hooks: Hooks::new(office.control()),
        directory: office.directory.clone(),
        store: office.store.clone(),
        administration: office.administration_inside(),
        https,
        secrets,
        clock: Arc::clone(&office.clock),
    };
    Some(Messenger::new(ports, notify::Settings::default()))
}

/// The handlers, joined as the configuration says.
fn pipeline(
    office: &Office,
    room: &Mailroom,
    adapter: &Adapter,
    wakeups: Arc<dyn Wakeups>,
    config: &Config,
    (announcer, sender): (Announcer, Option<SendRemote>),
) -> Pipeline {
    let parse = InboundParse::new(office.objects(), office.log()).taking(adapter.fresh.clone());
    let deliver = Deliver::new(office.store.clone(), office.log())
        .knowing(office.directory.clone())
        .reporting_as(&adapter.hostname);
    let mut handlers: Vec<Arc<dyn Handler>> = vec![
        Arc::new(parse),
        Arc::new(
            PolicyFilter::new(Arc::new(office.directory.clone()))
                .sending_out(config.adapter.is_sending)
                .reading(office.objects(), office.log())
                .screening(screen(office, config)),
        ),
        Arc::new(deliver.keeping(quarantine(office)).waking(wakeups)),
        Arc::new(Notify::new(Arc::new(room.clone()), announcer)),
        Arc::new(housekeep(office, config)),
    ];
    handlers.extend(sender.map(|sender| Arc::new(sender) as Arc<dyn Handler>));
    // In a cloud only where there is such a bucket: asking an empty queue costs something, too.
    if let Some((raw, bucket)) = office.backend.raw_mail() {
        let ports = receive::Ports {
            raw,
            objects: office.objects(),
            queue: office.queue(),
            log: office.log(),
            directory: office.directory.clone(),
            clock: Arc::clone(&office.clock),
            ids: Arc::clone(&office.ids),
        };
        let settings = receive::Settings { bucket, hostname: config.adapter.hostname.clone() };
        handlers.push(Arc::new(Receive::new(ports, settings)));
    }
    Pipeline::new(handlers, config.pipeline.fused.clone(), office.queue())
}

fn quarantine(office: &Office) -> Quarantine {
    Quarantine::new(office.control(), office.objects())
}

/// The scanners that the operator has named, if there are any.
fn screen(office: &Office, config: &Config) -> Option<Screen> {
    let scanners = config.scanner.scanners();
    let largest = config.adapter.limits.smtp.message_size as u64;
    if !scanners.is_empty() && config.scanner.max_bytes < largest {
        let max_bytes = config.scanner.max_bytes;
        tracing::warn!(
            max_bytes,
            largest,
            "letters are taken that no scanner is shown: raise scanner.max_bytes"
        );
    }
    Screen::new(scanners, quarantine(office), office.objects(), office.log(), Arc::clone(&office.clock))
}

fn housekeep(office: &Office, config: &Config) -> Housekeep {
    let settings = config.housekeeping.clone();
    let house = Housekeep::new(office.store.clone(), office.control(), office.queue(), settings);
    house.carrying_out(office.administration_apart())
}

/// The driver of housekeeping, which has a thread of its own. A service's connections belong to the thread that made
/// them, and housekeeping keeps its thread for seconds: it gets connections of its own.
async fn housekeeping(place: &Place, config: &Config, driver: &Driver) -> Result<Driver, Failed> {
    if place.kind == Kind::Embedded {
        return Ok(driver.clone());
    }
    let office = Office::open_at(place, &Options::tool()).await?;
    let handler: Arc<dyn Handler> = Arc::new(housekeep(&office, config));
    let pipeline = Pipeline::new([handler], config.pipeline.fused.clone(), office.queue());
    let clock = Arc::clone(&office.clock);
    Ok(driver.beside(Arc::new(pipeline), office.queue(), office.log(), office.control(), clock))
}

fn start_logging(text: &Text) -> Result<(), Failed> {
    let wanted = std::env::var("PENNYPOST_LOG").unwrap_or_default();
    let filter = log_filter(&wanted)
        .ok_or_else(|| Failed::Said(say!(text, "log-filter", filter = wanted.as_str())))?;
    let logging = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr);
    // A second server in one process (tests) keeps the first one's log.
    let _ = logging.try_init();
    Ok(())
}

/// What is logged; `None` if that is not what anybody can mean.
fn log_filter(wanted: &str) -> Option<EnvFilter> {
    let wanted = if wanted.trim().is_empty() { "warn" } else { wanted };
    // A word alone may be a level or a target: one that is neither would be taken for a target and log nothing.
    let is_meant = |directive: &str| {
        let word = directive.trim();
        word.contains(['=', '[']) || word.starts_with("pennypost") || LevelFilter::from_str(word).is_ok()
    };
    wanted.split(',').all(is_meant).then(|| EnvFilter::try_new(wanted).ok())?
}

/// The addresses that were given by flags or the environment.
fn listeners(args: &ServeArgs) -> [(&'static str, Option<SocketAddr>); 8] {
    [
        ("smtp", args.smtp),
        ("submission", args.submission),
        ("submissions", args.submissions),
        ("imap", args.imap),
        ("imaps", args.imaps),
        ("pop3", args.pop3),
        ("pop3s", args.pop3s),
        ("http", args.http),
    ]
}

struct Listeners {
    smtp: TcpListener,
    submission: TcpListener,
    submissions: TcpListener,
    imap: TcpListener,
    imaps: TcpListener,
    pop3: TcpListener,
    pop3s: TcpListener,
    http: TcpListener,
}

impl Listeners {
    async fn bind(listen: &Listen, text: &Text) -> Result<Listeners, Failed> {
        let bind = async |name: &str, address: SocketAddr| {
            TcpListener::bind(address).await.map_err(|error| {
                let (address, cause) = (address.to_string(), error.to_string());
                Failed::Said(say!(text, "serve-bind", name = name, address = address, cause = cause))
            })
        };
        Ok(Listeners {
            smtp: bind("smtp", listen.smtp).await?,
            submission: bind("submission", listen.submission).await?,
            submissions: bind("submissions", listen.submissions).await?,
            imap: bind("imap", listen.imap).await?,
            imaps: bind("imaps", listen.imaps).await?,
            pop3: bind("pop3", listen.pop3).await?,
            pop3s: bind("pop3s", listen.pop3s).await?,
            http: bind("http", listen.http).await?,
        })
    }

    /// Where each is bound, with the ports that were taken for 0.
    fn addresses(&self) -> std::io::Result<Listen> {
        Ok(Listen {
            smtp: self.smtp.local_addr()?,
            submission: self.submission.local_addr()?,
            submissions: self.submissions.local_addr()?,
            imap: self.imap.local_addr()?,
            imaps: self.imaps.local_addr()?,
            pop3: self.pop3.local_addr()?,
            pop3s: self.pop3s.local_addr()?,
            http: self.http.local_addr()?,
        })
    }
}

/// Says that everything is bound, and how to connect.
fn announce(
    place: &Place,
    bound: &Listen,
    demo: Option<&demo::Demo>,
    json: bool,
    text: &Text,
) -> Result<(), Failed> {
    let certificate = place.data.join("tls").join("cert.pem").display().to_string();
    let mut out = std::io::stdout().lock();
    if json {
        let document = json!({
            "event": "ready",
            "pid": std::process::id(),
            "tls_certificate": certificate,
            "listeners": {
                "smtp": bound.smtp.to_string(),
                "submission": bound.submission.to_string(),
                "submissions": bound.submissions.to_string(),
                "imap": bound.imap.to_string(),
                "imaps": bound.imaps.to_string(),
                "pop3": bound.pop3.to_string(),
                "pop3s": bound.pop3s.to_string(),
                "http": bound.http.to_string(),
            },
            "demo": demo.map(|demo| json!({
                "accounts": demo.addresses,
                "password": demo.password,
                "imported": demo.imported,
            })),
        });
        writeln!(out, "{document}")?;
        return Ok(out.flush()?);
    }
    let ready = match place.kind {
        Kind::Embedded => say!(text, "serve-ready", data = place.data.display().to_string()),
        Kind::Aws => say!(text, "serve-ready-cloud"),
    };
    writeln!(out, "{ready}")?;
    writeln!(out)?;
    for (name, address) in [
        ("SMTP         (STARTTLS)", bound.smtp),
        ("Submission   (STARTTLS)", bound.submission),
        ("Submissions  (TLS)     ", bound.submissions),
        ("IMAP         (STARTTLS)", bound.imap),
        ("IMAPS        (TLS)     ", bound.imaps),
        ("POP3         (STLS)    ", bound.pop3),
        ("POP3S        (TLS)     ", bound.pop3s),
    ] {
        writeln!(out, "  {name}  {address}")?;
    }
    writeln!(
        out,
        "  HTTP                     http://{}/healthz  /metrics  /mobileconfig  /api/v1/reference",
        bound.http
    )?;
    writeln!(out)?;
    writeln!(out, "{}", say!(text, "serve-certificate", path = certificate))?;
    match demo {
        Some(demo) => {
            writeln!(out)?;
            let (accounts, password) = (demo.addresses.join(", "), demo.password.as_str());
            writeln!(out, "{}", say!(text, "serve-demo", accounts = accounts, password = password))?;
            writeln!(out)?;
            let first = demo.addresses.first().copied().unwrap_or_default();
            writeln!(out, "  curl -k --user {first}:{password} 'imaps://{}/INBOX;UID=1'", bound.imaps)?;
            writeln!(
                out,
                "  printf 'Subject: hello\\r\\n\\r\\nhello\\r\\n' | curl smtp://{} --mail-from you@example.org --mail-rcpt {first} -T -",
                bound.smtp
            )?;
        }
        None => writeln!(out, "{}", say!(text, "serve-next-steps"))?,
    }
    writeln!(out)?;
    writeln!(out, "{}", say!(text, "serve-stop"))?;
    Ok(out.flush()?)
}

/// Ready at the first SIGTERM or SIGINT.
fn stop_signal() -> std::io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

#[cfg(test)]
mod tests {
    use super::log_filter;

    #[test]
    fn what_is_logged_must_mean_something() {
        for good in
            ["", "info", "WARN", "warn,pennypost_ingress=trace", "pennypost_ingress", "off", "hyper=info"]
        {
            assert!(log_filter(good).is_some(), "{good}");
        }
        for bad in ["verbose", "pennypost=loud", "info,,debg", "=", "a=b=c"] {
            assert!(log_filter(bad).is_none(), "{bad}");
        }
    }
}
