//! Handlers put together: those of a function's stages, joined.

use std::sync::Arc;

use pennypost_admin::Administration;
use pennypost_deliver::Deliver;
use pennypost_directory::Directory;
use pennypost_held::{self as held, HeldLetters, Releaser};
use pennypost_hooks::Hooks;
use pennypost_housekeep::Housekeep;
use pennypost_inbound_parse::InboundParse;
use pennypost_mailings::{Mailings, Runner};
use pennypost_mailstore::Mailstore;
use pennypost_model::event::Stage;
use pennypost_notify::{Announcer, Notify};
use pennypost_outbound::Outbox;
use pennypost_policy_filter::{PolicyFilter, Screen};
use pennypost_ports::Secrets;
use pennypost_quarantine::Quarantine;
use pennypost_receive::{self as receive, Receive};
use pennypost_runtime::batch::{Acknowledgement, Desk, Patience};
use pennypost_runtime::needs::Needs;
use pennypost_runtime::{Fusing, Handler, Pipeline};
use pennypost_runtime_lambda::QueueFunction;

use pennypost_schedule::Schedule;
use pennypost_sealing::{BadKeys, Keyring};

use crate::environment::is_sending;
use crate::lighten::Spool;
use crate::{Environment, FunctionError, Ports, TickFunction};

/// The servers of DNS that are asked instead of the machine's.
const DNS: &str = "PENNYPOST_DNS";
/// Keys with which secrets are sealed.
const SEALING_KEYS: &str = "PENNYPOST_SEALING_KEYS";

/// Administration that looks into the world, and seals secrets where the environment says with which keys; it knows whether
/// letters go to other servers.
pub(crate) fn equipped(administration: Administration) -> Result<Administration, FunctionError> {
    let administration = match pennypost_lookup::outside(given(DNS).as_deref()) {
        Ok((dns, https)) => administration.looking_up(dns, https),
        Err(error) => {
            tracing::warn!(%error, "records of domains can't be looked up");
            administration
        }
    };
    let administration = match secrets()? {
        Some(secrets) => administration.sealing(secrets),
        None => administration,
    };
    let sends = is_sending(|name| std::env::var(name).ok())?;
    Ok(if sends { administration.sending_out() } else { administration })
}

/// What seals secrets, if the environment says with which keys.
pub(crate) fn secrets() -> Result<Option<Arc<dyn Secrets>>, FunctionError> {
    let Some(keys) = given(SEALING_KEYS) else { return Ok(None) };
    let wrong = |cause: BadKeys| FunctionError::Environment { name: SEALING_KEYS, cause: cause.to_string() };
    Ok(Some(Arc::new(Keyring::parse(&keys).map_err(wrong)?)))
}

fn given(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.trim().is_empty())
}

/// The handlers of a function's stages.
///
/// # Errors
/// [`FunctionError::NoPort`].
pub fn handlers(
    needs: &Needs,
    ports: &Ports,
    environment: &Environment,
) -> Result<Vec<Arc<dyn Handler>>, FunctionError> {
    needs.stages.iter().map(|stage| handler(stage, ports, environment)).collect()
}

fn handler(
    stage: Stage,
    ports: &Ports,
    environment: &Environment,
) -> Result<Arc<dyn Handler>, FunctionError> {
    let (clock, ids) = (Arc::clone(&ports.clock), Arc::clone(&ports.ids));
    let (log, control, queue) =
        (Arc::clone(&ports.log), Arc::clone(&ports.control), Arc::clone(&ports.queue));
    Ok(match stage {
        Stage::InboundParse => Arc::new(InboundParse::new(ports.objects()?, log)),
        Stage::PolicyFilter => {
            let (objects, scanners) = (ports.objects()?, environment.scanner.scanners());
            let quarantine = Quarantine::new(Arc::clone(&control), Arc::clone(&objects));
            let (spool, traces) = (Arc::clone(&objects), Arc::clone(&log));
            let screen = Screen::new(scanners, quarantine, objects, log, Arc::clone(&clock));
            let directory = Directory::new(control, clock, ids);
            let filter = PolicyFilter::new(Arc::new(directory)).sending_out(environment.is_sending);
            Arc::new(filter.screening(screen).reading(spool, traces))
        }
        Stage::Deliver => {
            let quarantine = Quarantine::new(Arc::clone(&control), ports.objects()?);
            let directory = Directory::new(control, Arc::clone(&clock), Arc::clone(&ids));
            let store = Mailstore::new(ports.journal()?, ports.objects()?, clock, ids);
            let deliver = Deliver::new(store, log).keeping(quarantine).knowing(directory);
            Arc::new(deliver.reporting_as(&environment.hostname))
        }
        Stage::Notify => {
            let announcer = Announcer::new(Hooks::new(control), clock);
            Arc::new(Notify::new(ports.wakeups()?, announcer))
        }
        Stage::Housekeep => {
            let directory = Directory::new(Arc::clone(&control), Arc::clone(&clock), Arc::clone(&ids));
            let administration =
                Administration::new(directory, Arc::clone(&control), Arc::clone(&clock), Arc::clone(&ids))
                    .with_tasks(ports.objects()?, Arc::clone(&queue))
                    .reading(log);
            let administration = equipped(administration)?;
            let store = Mailstore::new(ports.journal()?, ports.objects()?, clock, ids);
            let settings = environment.housekeeping.clone();
            Arc::new(Housekeep::new(store, control, queue, settings).carrying_out(administration))
        }
        Stage::SendRemote => return Err(FunctionError::NoFunction { queue: stage.queue() }),
        Stage::Receive => {
            let raw = ports.raw_mail()?;
            let settings = receive::Settings { bucket: raw.bucket, hostname: environment.hostname.clone() };
            let directory = Directory::new(control, Arc::clone(&clock), Arc::clone(&ids));
            let objects = ports.objects()?;
            let ports = receive::Ports { raw: raw.objects, objects, queue, log, directory, clock, ids };
            Arc::new(Receive::new(ports, settings))
        }
    })
}

/// The function of a queue with the handlers of its stages.
///
/// # Errors
/// [`FunctionError::NoPort`].
pub fn queue_function(
    stage: Stage,
    needs: &Needs,
    ports: &Ports,
    environment: &Environment,
) -> Result<QueueFunction, FunctionError> {
    let handlers = handlers(needs, ports, environment)?;
    let mut pipeline = Pipeline::new(handlers, environment.fusing.clone(), Arc::clone(&ports.queue));
    if environment.memory_mb > 0 {
        pipeline = pipeline.of_function(environment.memory_mb);
    }
    if let Some(objects) = &ports.objects {
        let (clock, ids) = (Arc::clone(&ports.clock), Arc::clone(&ports.ids));
        pipeline = pipeline.lightening(Arc::new(Spool { objects: Arc::clone(objects), clock, ids }));
    }
    let desk = Desk::new(
        Arc::new(pipeline),
        Arc::clone(&ports.queue),
        Arc::clone(&ports.log),
        Arc::clone(&ports.control),
        Arc::clone(&ports.clock),
        Patience::default(),
        Acknowledgement::ByTheCaller,
    );
    Ok(QueueFunction::new(stage, desk, Arc::clone(&ports.takeover)))
}

/// The function that the clock starts.
///
/// # Errors
/// [`FunctionError::NoPort`].
pub fn tick_function(ports: &Ports, environment: &Environment) -> Result<TickFunction, FunctionError> {
    let (clock, ids) = (Arc::clone(&ports.clock), Arc::clone(&ports.ids));
    let (control, queue) = (Arc::clone(&ports.control), Arc::clone(&ports.queue));
    let directory = Directory::new(Arc::clone(&control), Arc::clone(&clock), ids);
    // It only sends: nothing is joined to it.
    let pipeline = Pipeline::new([], Fusing::unfused(), Arc::clone(&queue));
    let held = HeldLetters::new(Arc::clone(&control));
    let letters = held::Ports {
        directory: directory.clone(),
        objects: ports.objects()?,
        queue: Arc::clone(&queue),
        clock: Arc::clone(&clock),
        ids: Arc::clone(&ports.ids),
    };
    let releaser = Releaser::new(held, letters, &environment.hostname);
    let mailings = Mailings::new(Arc::clone(&control), ports.objects()?);
    let outbox = Outbox::new(Arc::clone(&control));
    let runner = Runner::new(mailings, outbox, releaser.clone(), environment.is_sending);
    let schedule = Schedule::new(directory, ports.journal()?, control, queue, clock, pipeline);
    Ok(TickFunction(schedule.releasing(releaser).mailing(runner)))
}
