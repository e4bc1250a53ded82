//! What this machine's disk allows, and what the backend makes of it, in one run:
//!
//! ```text
//! cargo run --release -p pennypost-backend-embedded --example throughput [DIR]
//! ```
//!
//! DIR (default: the current directory) says which disk; a directory is made in it and removed at the end.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use pennypost_backend_embedded::{Embedded, Options};
use pennypost_model::event::Stage;
use pennypost_model::journal::{Actor, Entry, MailboxOp, Op, Usage};
use pennypost_model::{AccountId, AccountKey, MailboxId, Seq, TenantId, Timestamp};
use pennypost_ports::{Consistency, Outgoing};
use tempfile::TempDir;

type Failure = Box<dyn std::error::Error + Send + Sync>;

const FOR: Duration = Duration::from_secs(3);

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let place = std::env::args_os().nth(1).map_or_else(|| PathBuf::from("."), PathBuf::from);
    let place = tempfile::tempdir_in(place)?;
    fsync_cost(place.path())?;
    for senders in [1, 16, 64] {
        queue(&fresh(&place)?, senders).await?;
    }
    pipeline(&fresh(&place)?).await?;
    for writers in [1, 16, 64] {
        journal(&fresh(&place)?, writers).await?;
    }
    for writers in [1, 16, 64] {
        objects(&fresh(&place)?, writers, 20_000).await?;
    }
    objects(&fresh(&place)?, 4, 1_000_000).await?;
    reads(&fresh(&place)?).await?;
    Ok(())
}

fn fresh(place: &TempDir) -> Result<Arc<Embedded>, Failure> {
    let directory = tempfile::tempdir_in(place)?.keep();
    Ok(Arc::new(Embedded::open(&directory, &Options::server())?))
}

fn report(what: &str, count: usize, elapsed: Duration, mut latencies: Vec<Duration>) {
    latencies.sort_unstable();
    let at = |part: usize| latencies.get(latencies.len() * part / 100).copied().unwrap_or_default();
    println!(
        "{what:<46} {:>9.0}/s   p50 {:>7.2} ms   p99 {:>7.2} ms",
        count as f64 / elapsed.as_secs_f64(),
        at(50).as_secs_f64() * 1e3,
        at(99).as_secs_f64() * 1e3
    );
}

fn fsync_cost(place: &Path) -> Result<(), Failure> {
    let mut file = File::create(place.join("fsync"))?;
    file.write_all(&[0; 1 << 20])?;
    file.sync_all()?;
    let (mut latencies, started) = (Vec::new(), Instant::now());
    while started.elapsed() < FOR / 3 {
        let before = Instant::now();
        std::os::unix::fs::FileExt::write_all_at(&file, &[1; 8192], 0)?;
        file.sync_all()?;
        latencies.push(before.elapsed());
    }
    report("fsync of 8 KB, overwritten", latencies.len(), started.elapsed(), latencies);
    let (mut latencies, started) = (Vec::new(), Instant::now());
    while started.elapsed() < FOR / 3 {
        let before = Instant::now();
        file.write_all(&[1; 8192])?;
        file.sync_all()?;
        latencies.push(before.elapsed());
    }
    report("fsync of 8 KB, appended", latencies.len(), started.elapsed(), latencies);
    Ok(())
}

/// Runs `work(worker, round)` on `workers` tasks for a while.
async fn run<F>(what: &str, workers: usize, work: impl Fn(usize, usize) -> F) -> Result<(), Failure>
where
    F: Future<Output = Result<(), Failure>> + Send + 'static,
{
    let (started, work) = (Instant::now(), &work);
    let tasks = (0..workers).map(|worker| async move {
        let mut latencies = Vec::new();
        while started.elapsed() < FOR {
            let before = Instant::now();
            tokio::spawn(work(worker, latencies.len())).await??;
            latencies.push(before.elapsed());
        }
        Ok::<_, Failure>(latencies)
    });
    let mut all = Vec::new();
    for latencies in futures_of(tasks).await {
        all.extend(latencies?);
    }
    report(&format!("{what}, {workers} at once"), all.len(), started.elapsed(), all);
    Ok(())
}

/// Polls all futures together.
async fn futures_of<F: Future>(futures: impl Iterator<Item = F>) -> Vec<F::Output> {
    let mut futures: Vec<_> = futures.map(Box::pin).collect();
    let mut outputs: Vec<Option<F::Output>> = futures.iter().map(|_| None).collect();
    std::future::poll_fn(move |context| {
        let mut pending = false;
        for (future, output) in futures.iter_mut().zip(&mut outputs) {
            if output.is_none() {
                match future.as_mut().poll(context) {
                    std::task::Poll::Ready(value) => *output = Some(value),
                    std::task::Poll::Pending => pending = true,
                }
            }
        }
        if pending {
            return std::task::Poll::Pending;
        }
        std::task::Poll::Ready(outputs.drain(..).flatten().collect())
    })
    .await
}

fn letter(len: usize) -> Vec<u8> {
    let mut state = 7_u32;
    (0..len)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        })
        .collect()
}

async fn queue(store: &Arc<Embedded>, senders: usize) -> Result<(), Failure> {
    let (queue, body) = (store.queue(), letter(5000));
    run("queue: send 5 KB", senders, |sender, _| {
        let queue = Arc::clone(&queue);
        let message =
            Outgoing { tenant: TenantId(sender as u64 % 4), body: body.clone(), delay: Duration::ZERO };
        async move {
            for result in queue.send_batch(Stage::InboundParse, vec![message]).await {
                result?;
            }
            Ok(())
        }
    })
    .await?;
    store.shutdown().await;
    Ok(())
}

/// Senders and receivers together, until everything is acknowledged.
async fn pipeline(store: &Arc<Embedded>) -> Result<(), Failure> {
    let received = Arc::new(AtomicUsize::new(0));
    let receivers: Vec<_> = (0..4)
        .map(|_| {
            let (queue, received) = (store.queue(), Arc::clone(&received));
            tokio::spawn(async move {
                loop {
                    let batch = queue
                        .receive(Stage::InboundParse, 10, Duration::from_secs(60), Duration::from_secs(1))
                        .await?;
                    if batch.is_empty() {
                        return Ok::<_, Failure>(());
                    }
                    received.fetch_add(batch.len(), Ordering::Relaxed);
                    let receipts: Vec<_> = batch.into_iter().map(|one| one.receipt).collect();
                    queue.ack(Stage::InboundParse, &receipts).await?;
                }
            })
        })
        .collect();
    let (queue, body) = (store.queue(), letter(5000));
    run("queue: send 5 KB beside 4 receivers", 16, |_, _| {
        let queue = Arc::clone(&queue);
        let message = Outgoing { tenant: TenantId(1), body: body.clone(), delay: Duration::ZERO };
        async move {
            for result in queue.send_batch(Stage::InboundParse, vec![message]).await {
                result?;
            }
            Ok(())
        }
    })
    .await?;
    for receiver in receivers {
        receiver.await??;
    }
    println!("  … and all {} were received and acknowledged", received.load(Ordering::Relaxed));
    store.shutdown().await;
    Ok(())
}

fn entry(seq: usize) -> Entry {
    // About 1 KB, as an entry for one message.
    let name: String = letter(1000).iter().map(|byte| char::from(b'a' + byte % 26)).collect();
    Entry {
        seq: Seq(seq as u64 + 1),
        time: Timestamp(1_795_132_800_000),
        actor: Actor::Delivery,
        next_uid: 1,
        used: Usage::default(),
        ops: vec![Op::Mailbox(MailboxOp::Rename { id: MailboxId(9), name })],
    }
}

async fn journal(store: &Arc<Embedded>, writers: usize) -> Result<(), Failure> {
    let journal = store.journal();
    run("journal: append 1 KB", writers, |writer, round| {
        let journal = Arc::clone(&journal);
        let account = AccountKey { tenant: TenantId(1), account: AccountId(writer as u64 * 0x1357_9bdf) };
        let entry = entry(round);
        async move {
            journal.append(account, &entry).await?;
            Ok(())
        }
    })
    .await?;
    store.shutdown().await;
    Ok(())
}

async fn objects(store: &Arc<Embedded>, writers: usize, len: usize) -> Result<(), Failure> {
    let (objects, bytes) = (store.objects(), Bytes::from(letter(len)));
    run(&format!("objects: put {} KB", len / 1000), writers, |writer, round| {
        let (objects, bytes) = (Arc::clone(&objects), bytes.clone());
        async move {
            objects.put_unique(&format!("t/pack/20261120/{writer}-{round}"), bytes).await?;
            Ok(())
        }
    })
    .await?;
    store.shutdown().await;
    Ok(())
}

async fn reads(store: &Arc<Embedded>) -> Result<(), Failure> {
    let (journal, objects) = (store.journal(), store.objects());
    let account = AccountKey { tenant: TenantId(1), account: AccountId(1) };
    for seq in 0..200 {
        journal.append(account, &entry(seq)).await?;
    }
    objects.put_unique("t/pack/20261120/a", Bytes::from(letter(1_000_000))).await?;
    run("journal: newest 4 entries", 4, |_, _| {
        let journal = Arc::clone(&journal);
        async move {
            journal.newest(account, 4, Consistency::Strong).await?;
            Ok(())
        }
    })
    .await?;
    run("journal: since, 200 entries", 4, |_, _| {
        let journal = Arc::clone(&journal);
        async move {
            journal.since(account, Seq::ZERO, 200, Consistency::Strong).await?;
            Ok(())
        }
    })
    .await?;
    run("objects: 20 KB of 1 MB", 4, |_, round| {
        let objects = Arc::clone(&objects);
        async move {
            objects.get_range("t/pack/20261120/a", (round as u64 * 20_000) % 900_000, 20_000).await?;
            Ok(())
        }
    })
    .await?;
    store.shutdown().await;
    Ok(())
}
