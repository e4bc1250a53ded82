//! Secrets at rest, sealed with keys of the installation: the port [`Secrets`](pennypost_ports::Secrets).
//!
//! Owns the file of keys, if they come from one: lines of 32 bytes in base64, of which the first seals and all open, so that
//! a new one is put in front and the old ones stay as long as something is sealed with them. The file lies beside the store
//! and not in it: a copy of the store alone tells no secret. Keys may come from the environment instead, where there is no
//! disk.
//!
//! What is sealed: a byte 1, four bytes that name the key, 12 random bytes, and what AES-256-GCM makes of the secret with the
//! context as associated data (NIST SP 800-38D; random nonces, so one key is good for 2^32 seals).
//!
//! Invariants: a file of keys is made whole or not at all, is readable by its owner only, and is never written over. If the
//! process dies at any line, nothing was sealed with a key that is not on disk.

mod file;
mod keyring;

pub use file::KeyFile;
pub use keyring::{BadKeys, Keyring};
