//! The contract suites on directories.

#![allow(clippy::unwrap_used, reason = "in tests a panic is the report")]

use std::cell::RefCell;

use pennypost_backend_embedded::{Embedded, Options};
use tempfile::TempDir;

/// Stores in directories that go with it.
#[derive(Default)]
struct Stores(RefCell<Vec<(Embedded, TempDir)>>);

impl Stores {
    fn fresh<P>(&self, port: impl Fn(&Embedded) -> P) -> P {
        let directory = tempfile::tempdir().unwrap();
        let store = Embedded::open(directory.path(), &Options::server()).unwrap();
        let port = port(&store);
        self.0.borrow_mut().push((store, directory));
        port
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn journal() {
    let stores = Stores::default();
    pennypost_contract::journal::all(async || stores.fresh(Embedded::journal)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn queue() {
    let stores = Stores::default();
    pennypost_contract::queue::all(async || stores.fresh(Embedded::queue)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn objects() {
    let stores = Stores::default();
    pennypost_contract::objects::all(async || stores.fresh(Embedded::objects)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn control() {
    let stores = Stores::default();
    pennypost_contract::control::all(async || stores.fresh(Embedded::control)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn log() {
    let stores = Stores::default();
    pennypost_contract::log::all(async || stores.fresh(Embedded::log)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_with_entries() {
    let stores = Stores::default();
    let both = |store: &Embedded| pennypost_contract::together::Store {
        journal: store.journal(),
        objects: store.objects(),
    };
    pennypost_contract::together::all(async || stores.fresh(both)).await;
}
