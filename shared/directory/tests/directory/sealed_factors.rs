//! Secrets of second factors at rest: sealed where there is a key, opened as they are where there was none.

use std::sync::Arc;

use crate::memory::{House, Memory, PASSWORD};
use pennypost_directory::{Attempt, CodeKind, Directory, SignInError, SignInKind};
use pennypost_model::AccountKey;
use pennypost_sealing::Keyring;
use ring::hmac;

fn attempt() -> Attempt {
    Attempt::new(SignInKind::Web, "password", [192, 0, 2, 1].into())
}

/// The bytes of a secret as it was told (RFC 4648 section 6).
fn bytes_of(secret: &str) -> Vec<u8> {
    let digit = |c: char| "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".find(c).expect("base32") as u64;
    let words = secret
        .as_bytes()
        .chunks(8)
        .map(|word| word.iter().fold(0_u64, |word, byte| word << 5 | digit(char::from(*byte))).to_be_bytes());
    words.flat_map(|word| word[3..].to_vec()).collect()
}

/// The code that an authenticator shows, so many steps from now.
fn code(house: &House, secret: &[u8], steps: i64) -> String {
    let step = house.clock_now().div_euclid(30_000) + steps;
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret);
    let tag = hmac::sign(&key, &step.to_be_bytes());
    let at = usize::from(tag.as_ref()[19] & 0xf);
    let word = u32::from_be_bytes(tag.as_ref()[at..at + 4].try_into().expect("four"));
    format!("{:06}", (word & 0x7fff_ffff) % 1_000_000)
}

fn sealing(house: &House) -> Directory {
    let ring = Keyring::parse(&Keyring::fresh().expect("randomness")).expect("a key");
    house.process(Memory::new(&house.disk)).sealing(Arc::new(ring))
}

/// Sets up an authenticator: its secret.
async fn set_up(house: &House, directory: &Directory, account: AccountKey) -> Vec<u8> {
    let told = directory.begin_authenticator(account).await.expect("begun").secret;
    let secret = bytes_of(&told);
    let first = code(house, &secret, -1);
    directory.finish_authenticator(account, &first, &attempt()).await.expect("finished");
    secret
}

fn lies_open(house: &House, secret: &[u8]) -> bool {
    house.disk.bytes().windows(secret.len()).any(|window| window == secret)
}

/// Feature AUT-11: the secret of an authenticator is sealed at rest
#[tokio::test]
async fn secrets_of_authenticators_are_sealed_at_rest() {
    let (house, _) = House::with_acme().await;
    let sealing = sealing(&house);
    let account = sealing.add_account("ann@acme.example", PASSWORD, "", None).await.expect("account").key;
    let secret = set_up(&house, &sealing, account).await;
    assert!(!lies_open(&house, &secret));
    let now = code(&house, &secret, 0);
    // Whoever has no key learns nothing from right and wrong codes, and may still see that there is a factor, and end it.
    let unable = house.directory.check_code(account, &now, &attempt()).await;
    assert_eq!(unable, Err(SignInError::Unavailable));
    assert!(house.directory.second_factor(account).await.expect("looked").is_some());
    assert_eq!(sealing.check_code(account, &now, &attempt()).await, Ok(CodeKind::Authenticator));
    assert_eq!(house.directory.remove_second_factor(account).await, Ok(true));
}

#[tokio::test]
async fn what_was_stored_open_is_sealed_by_the_next_code() {
    let (house, _) = House::with_acme().await;
    let plain = &house.directory;
    let account = plain.add_account("ann@acme.example", PASSWORD, "", None).await.expect("account").key;
    let secret = set_up(&house, plain, account).await;
    assert!(lies_open(&house, &secret));
    let sealing = sealing(&house);
    let now = code(&house, &secret, 0);
    assert_eq!(sealing.check_code(account, &now, &attempt()).await, Ok(CodeKind::Authenticator));
    assert!(!lies_open(&house, &secret));
    assert_eq!(sealing.check_code(account, &now, &attempt()).await, Err(SignInError::Denied), "used up");
    let next = code(&house, &secret, 1);
    assert_eq!(sealing.check_code(account, &next, &attempt()).await, Ok(CodeKind::Authenticator));
}
