//! The sample mails and the facts that their manifest claims.

#![allow(dead_code)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value;

#[derive(Deserialize)]
pub struct Manifest {
    pub mails: Vec<Mail>,
}

#[derive(Deserialize)]
pub struct Mail {
    pub file: String,
    pub size: usize,
    pub expect: BTreeMap<String, Value>,
}

impl Mail {
    pub fn bytes(&self) -> Vec<u8> {
        let bytes = std::fs::read(folder().join(&self.file)).expect("a mail of the manifest");
        assert_eq!(bytes.len(), self.size, "{}: line ends changed?", self.file);
        bytes
    }
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../samplemail")
}

/// The manifest; the test fails where it is missing.
pub fn manifest() -> Manifest {
    let text = std::fs::read(folder().join("manifest.json")).expect("samplemail/manifest.json");
    serde_json::from_slice(&text).expect("a manifest of format 1")
}
