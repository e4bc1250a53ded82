//! `cost outbound`: what a letter to another server takes, step by step: from the hands of its writer until the other server
//! has it, each time that it has to be tried again, and when it fails.
//!
//! All letters are handed in together, and are one batch to each handler; attempts are made one after the other, as they always are.
//! Other servers are played here: what they answer costs nothing.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use clap::Args;
use parking_lot::Mutex;
use pennypost_bench::corpus::Size;
use pennypost_directory::Account;
use pennypost_meter::{Counts, total};
use pennypost_model::codec;
use pennypost_model::event::{Event, Recipient, SourceKind, Stage, Submission, Via};
use pennypost_model::trace::{RemoteAnswer, RemoteOutcome, Submitter};
use pennypost_ports::Outgoing;
use pennypost_runtime::{Fusing, Handler};
use pennypost_send_remote::exchange::{Handed, Parcel};
use pennypost_send_remote::{Carrier, Ports, SendRemote, Settings};

use super::letters::Letters;
use super::scene::Scene;
use crate::Failed;
use crate::backend::Kind;

/// How long an event may be in somebody's hands.
const MINUTE: Duration = Duration::from_secs(60);
/// Longer than any pause between two attempts of the first day.
const LATER: Duration = Duration::from_secs(3_600);

/// What `cost outbound` takes.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Examples:
  pennypost cost outbound
  pennypost cost outbound --letters 30
Units are those of all letters together. Needs no data directory: everything happens in a temporary one.")]
pub struct OutboundArgs {
    /// Letters that are handed in at the same time.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub letters: u32,
    /// Bytes of a letter: 1k to 65536k, or mix.
    #[arg(long, default_value = "10k")]
    pub size: Size,
}

/// Another server, with one answer for all.
struct Played(Mutex<(RemoteOutcome, u16)>);

#[async_trait]
impl Carrier for Played {
    async fn hand_over(&self, parcel: &Parcel<'_>) -> Handed {
        let (outcome, code) = *self.0.lock();
        let mut handed = Handed::open(parcel.recipients.len());
        handed.host = format!("mx.{} [192.0.2.1]:25", parcel.destination);
        handed.tls = Some("TLSv1.3 TLS13_AES_256_GCM_SHA384".to_owned());
        let status = format!("{}.0.0", code / 100);
        let text = format!("{status} as its administrator wishes");
        handed.settle_open(&(outcome, RemoteAnswer { code: Some(code), status, text }));
        handed
    }
}

/// A post office with one member who writes to the world.
struct Writing {
    scene: Scene,
    account: Account,
    letters: Letters,
    count: u64,
    world: Arc<Played>,
    sender: SendRemote,
    steps: Vec<(&'static str, Counts)>,
}

/// Sends letters, and lets some of them wait and fail: what each step took.
pub(super) async fn measure(args: &OutboundArgs, kind: Kind) -> Result<Vec<(&'static str, Counts)>, Failed> {
    let scene = Scene::new(kind, false).await?;
    let account = scene.people(1).await?.pop().ok_or_else(|| Failed::Said("no account".to_owned()))?;
    let world = Arc::new(Played(Mutex::new((RemoteOutcome::Sent, 250))));
    let ports = Ports {
        control: Arc::clone(&scene.control),
        objects: Arc::clone(&scene.objects),
        queue: Arc::clone(&scene.queue),
        log: Arc::clone(&scene.log),
        clock: Arc::clone(&scene.clock),
        ids: Arc::clone(&scene.ids),
        secrets: None,
        carrier: Arc::clone(&world) as Arc<dyn Carrier>,
    };
    let sender = SendRemote::new(ports, Settings::default());
    let letters = Letters::of(args.size);
    let mut it =
        Writing { scene, account, letters, count: u64::from(args.letters), world, sender, steps: Vec::new() };
    // What is read and written once for a tenant (the key of its envelopes' names) is of no letter.
    it.hand_in(false).await?;
    it.try_them("first", RemoteOutcome::Sent, 250).await?;
    it.steps.clear();
    it.hand_in(true).await?;
    it.try_them("sent", RemoteOutcome::Sent, 250).await?;
    it.hand_in(false).await?;
    it.try_them("put-off", RemoteOutcome::Deferred, 451).await?;
    it.scene.pass(LATER);
    // Behind an attempt that was news the trace is asked once.
    it.try_them("put-off-second", RemoteOutcome::Deferred, 451).await?;
    it.scene.pass(LATER);
    it.try_them("put-off-again", RemoteOutcome::Deferred, 451).await?;
    it.scene.pass(LATER);
    it.try_them("failed", RemoteOutcome::Failed, 550).await?;
    let Writing { scene, steps, .. } = it;
    scene.close().await;
    Ok(steps)
}

impl Writing {
    /// Letters of the member, each to another destination, until they are put down for the worker.
    async fn hand_in(&mut self, is_counted: bool) -> Result<(), Failed> {
        let mut events = Vec::new();
        for number in 0..self.count {
            let (event, _) = self.letters.accepted(&self.scene, number, &[&self.account])?;
            let Event::Accepted(mut accepted) = event else {
                return Err(Failed::Said("no message".to_owned()));
            };
            let address = self.account.address.to_string();
            let submitter = Submitter {
                account: self.account.key,
                address: address.clone(),
                protocol: "ESMTPSA".to_owned(),
            };
            accepted.source.kind =
                SourceKind::Submission(Box::new(Submission { submitter, bcc: String::new() }));
            accepted.reverse_path = address.clone();
            let to = |address: String, via| Recipient { account: self.account.key, address, via };
            accepted.recipients =
                vec![to(address, Via::Sent), to(format!("you@d{number}.example"), Via::Outside)];
            events.push(Event::Accepted(accepted));
        }
        let before = total();
        let tenant = self.account.key.tenant;
        let sent = events
            .iter()
            .map(|event| Outgoing { tenant, body: codec::encode(event), delay: Duration::ZERO })
            .collect();
        for sent in self.scene.queue.send_batch(Stage::InboundParse, sent).await {
            sent?;
        }
        let pipeline = self.scene.pipeline(Fusing::fused());
        let events = self.take(Stage::InboundParse).await?;
        for result in pipeline.run(Stage::InboundParse, events).await {
            result.map_err(|failure| Failed::Said(failure.cause))?;
        }
        let handled = total();
        let events = self.take(Stage::SendRemote).await?;
        for outcome in self.sender.handle(events).await {
            outcome.map_err(|failure| Failed::Said(failure.cause))?;
        }
        if is_counted {
            self.steps.push(("handled", handled.since(&before)));
            self.steps.push(("put-down", total().since(&handled)));
        }
        Ok(())
    }

    /// All events of a queue, which are acknowledged.
    async fn take(&self, stage: Stage) -> Result<Vec<Event>, Failed> {
        let mut events = Vec::new();
        while (events.len() as u64) < self.count {
            let received = self.scene.queue.receive(stage, 100, MINUTE, Duration::ZERO).await?;
            if received.is_empty() {
                return Err(Failed::Said(format!("{} letters of {} came", events.len(), self.count)));
            }
            for message in &received {
                let event =
                    codec::decode::<Event>(&message.body).map_err(|error| Failed::Said(error.to_string()))?;
                events.push(event);
            }
            let receipts: Vec<_> = received.into_iter().map(|message| message.receipt).collect();
            self.scene.queue.ack(stage, &receipts).await?;
        }
        Ok(events)
    }

    /// One attempt of each letter.
    async fn try_them(
        &mut self,
        step: &'static str,
        outcome: RemoteOutcome,
        code: u16,
    ) -> Result<(), Failed> {
        *self.world.0.lock() = (outcome, code);
        let before = total();
        let tried = self.sender.work_off().await.map_err(|error| Failed::Said(error.to_string()))?;
        if (tried as u64) < self.count {
            return Err(Failed::Said(format!("{tried} letters of {} were tried", self.count)));
        }
        self.steps.push((step, total().since(&before)));
        Ok(())
    }
}
