//! Seals of letters that somebody passes on as they came (ARC: RFC 8617): what was found when a letter came in, in words that those
//! behind us can check. It is sealed over the letter as it goes out, and over the sets of whoever has sealed it before.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use mail_auth::common::crypto::{DkimKey, SigningKey};
use mail_auth::dkim::Canonicalization;
use pennypost_mime::{header_end, header_fields};
use pennypost_model::Timestamp;

use crate::sign::{failed, signed_names};
use crate::{Signer, SigningError};

/// Sets that a chain has at most (RFC 8617 section 4.2.1).
const MAX_SETS: usize = 50;
/// DKIM signatures of a letter that is sealed, each of which is named: whoever has more of them wants something else.
const MAX_SIGNATURES: usize = 20;
/// Characters of a line of what is folded.
const LINE: usize = 72;
/// The fields of a set, in the order in which they are sealed (RFC 8617 section 5.1.1).
const FIELDS: [&str; 3] = ["ARC-Authentication-Results", "ARC-Message-Signature", "ARC-Seal"];
/// Signed beside what [`Signer::sign`] signs, each as often as it is there (RFC 8617 section 4.1.2).
const SIGNATURES: &str = "DKIM-Signature";

/// What was found when a letter came in.
#[derive(Debug, Clone, Copy)]
pub struct Found<'a> {
    /// The value of the Authentication-Results field that was made then: its first word is who has found it.
    pub results: &'a str,
    /// The letter has a chain that passed.
    pub has_intact_chain: bool,
}

/// A field: name and value.
type Field<'a> = (&'a [u8], &'a [u8]);

impl Signer {
    /// The fields of the next set of the letter's chain, each with its line end, to stand in front of it: `None`, where it has none.
    /// What does not pass is not extended, nor is what has as many sets as there may be, or more than 20 DKIM signatures; and without
    /// an RSA key there is none, since many do not know Ed25519, and would take the whole chain for broken. The letter has CRLF ends of lines, and goes out as it
    /// is given here; of the fields that come before it none is signed.
    ///
    /// # Errors
    /// [`SigningError`].
    pub fn seal(
        &self,
        letter: &[u8],
        found: Found<'_>,
        now: Timestamp,
    ) -> Result<Option<Vec<u8>>, SigningError> {
        let is_rsa = |(_, key): &&(String, DkimKey)| matches!(key, DkimKey::Rsa(_));
        let Some((selector, key)) = self.keys.iter().find(is_rsa) else { return Ok(None) };
        let (header, body) = letter.split_at(header_end(letter));
        let fields: Vec<Field<'_>> = header_fields(header).map(|(name, value, _)| (name, value)).collect();
        let Some(chain) = chain(&fields) else { return Ok(None) };
        // Names of senders may be in it as they are written: what goes out would need another way (RFC 6531).
        let is_plain = found.results.is_ascii() && !found.results.trim().is_empty();
        let signatures = fields.iter().filter(|(name, _)| is_named(name, SIGNATURES)).count();
        let has_room = chain.len() < MAX_SETS && signatures <= MAX_SIGNATURES;
        if !is_plain || !has_room || (!chain.is_empty() && !found.has_intact_chain) {
            return Ok(None);
        }
        let (instance, time) = (chain.len() + 1, now.0.max(0) / 1_000);
        let (domain, results) = (self.domain.as_str(), found.results.trim());
        let names = names(letter, signatures)?;
        let hash = STANDARD.encode(key.hash(Canonicalization::Relaxed.canonical_body(body, 0)).as_ref());

        let results = format!(" i={instance}; {results}");
        let mut signature = format!(
            " i={instance}; a=rsa-sha256; c=relaxed/relaxed; d={domain}; s={selector};\r\n\tt={time};\r\n\th={};\r\n\tbh={hash};\r\n\tb=",
            folded(&names)
        );
        let mut input = selected(&fields, &names);
        relaxed(named(FIELDS[1], &signature), &mut input);
        signature.push_str(&signed(key, &input)?);

        let validation = if chain.is_empty() { "none" } else { "pass" };
        let mut seal = format!(
            " i={instance}; a=rsa-sha256; t={time}; cv={validation}; d={domain}; s={selector};\r\n\tb="
        );
        let mut input = Vec::new();
        chain.into_iter().flatten().for_each(|field| relaxed(field, &mut input));
        let own = [named(FIELDS[0], &results), named(FIELDS[1], &signature), named(FIELDS[2], &seal)];
        own.into_iter().for_each(|field| relaxed(field, &mut input));
        seal.push_str(&signed(key, &input)?);

        let set = [(FIELDS[2], &seal), (FIELDS[1], &signature), (FIELDS[0], &results)];
        let fields: String = set.iter().map(|(name, value)| format!("{name}:{value}\r\n")).collect();
        Ok(Some(fields.into_bytes()))
    }
}

/// A field as it is hashed (RFC 6376 section 3.4.2).
fn relaxed((name, value): Field<'_>, onto: &mut Vec<u8>) {
    let field = std::iter::once((name, value.trim_ascii_end()));
    Canonicalization::Relaxed.canonicalize_headers(field, onto);
    onto.extend_from_slice(b"\r\n");
}

/// The signature over fields of which the last one stands without its line end (RFC 6376 section 3.7), on lines of its own.
fn signed(key: &DkimKey, input: &[u8]) -> Result<String, SigningError> {
    let input = input.strip_suffix(b"\r\n").unwrap_or(input);
    let signature = STANDARD.encode(key.sign(input).map_err(|error| failed(&error))?);
    let lines: Vec<&str> = (0..signature.len())
        .step_by(LINE)
        .filter_map(|at| signature.get(at..signature.len().min(at + LINE)))
        .collect();
    Ok(lines.join("\r\n\t"))
}

/// The names that are signed: each stands for one field, from the last one of that name on.
fn names(letter: &[u8], signatures: usize) -> Result<Vec<&'static str>, SigningError> {
    let mut names = signed_names([b"".as_slice(), letter])?;
    names.extend(std::iter::repeat_n(SIGNATURES, signatures));
    Ok(names)
}

const fn named<'a>(name: &'static str, value: &'a str) -> Field<'a> {
    (name.as_bytes(), value.as_bytes())
}

fn is_named(name: &[u8], wanted: &str) -> bool {
    name.eq_ignore_ascii_case(wanted.as_bytes())
}

/// The fields of these names as they are hashed; of one that is not there (any more) nothing.
fn selected(fields: &[Field<'_>], names: &[&str]) -> Vec<u8> {
    let mut input = Vec::new();
    for (place, wanted) in names.iter().enumerate() {
        let before = names.iter().take(place).filter(|name| name.eq_ignore_ascii_case(wanted)).count();
        let mut of_name = fields.iter().rev().filter(|(name, _)| is_named(name, wanted));
        if let Some(field) = of_name.nth(before) {
            relaxed(*field, &mut input);
        }
    }
    input
}

fn folded(names: &[&str]) -> String {
    let (mut folded, mut line) = (String::new(), 0);
    for (place, name) in names.iter().enumerate() {
        if place > 0 {
            folded.push(':');
        }
        if line + name.len() > LINE {
            folded.push_str("\r\n\t ");
            line = 0;
        }
        folded.push_str(name);
        line += name.len() + 1;
    }
    folded
}

/// The sets of a letter in their order, each field as it is hashed; `None`, if they are no chain.
fn chain<'a>(fields: &[Field<'a>]) -> Option<Vec<[Field<'a>; 3]>> {
    let mut sets: Vec<[Option<Field<'a>>; 3]> = Vec::new();
    for &(name, value) in fields {
        let Some(place) = FIELDS.iter().position(|wanted| is_named(name, wanted)) else { continue };
        let number = instance(value)?.checked_sub(1).filter(|number| *number < MAX_SETS)?;
        if sets.len() <= number {
            sets.resize(number + 1, [None; 3]);
        }
        let slot = sets.get_mut(number)?.get_mut(place)?;
        if slot.replace((name, value)).is_some() {
            return None;
        }
    }
    let whole = |[results, signature, seal]: [Option<Field<'a>>; 3]| Some([results?, signature?, seal?]);
    sets.into_iter().map(whole).collect()
}

/// The tag `i`.
fn instance(value: &[u8]) -> Option<usize> {
    let mut tags = value.split(|byte| *byte == b';');
    tags.find_map(|tag| {
        let (name, number) = std::str::from_utf8(tag).ok()?.split_once('=')?;
        (name.trim() == "i").then(|| number.trim().parse().ok())
    })?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(text: &str) -> Vec<(Vec<u8>, Vec<u8>)> {
        let own = |(name, value, _): (&[u8], &[u8], _)| (name.to_vec(), value.to_vec());
        header_fields(text.as_bytes()).map(own).collect()
    }

    fn sets(text: &str) -> Option<usize> {
        let fields = fields(text);
        let fields: Vec<Field<'_>> = fields.iter().map(|(name, value)| (&**name, &**value)).collect();
        chain(&fields).map(|chain| chain.len())
    }

    fn set(number: &str) -> String {
        format!(
            "ARC-Seal: a=rsa-sha256; i={number}; b=i=9\r\narc-message-signature:\r\n\ti = {number} ; b=x\r\n\
             ARC-Authentication-Results: i={number}; mx.example; spf=pass\r\n"
        )
    }

    #[test]
    fn a_chain_has_each_field_of_each_set_once() {
        assert_eq!(sets("From: a@b.example\r\n"), Some(0));
        assert_eq!(sets(&set("1")), Some(1));
        assert_eq!(sets(&(set("2") + "From: x\r\n" + &set("1"))), Some(2));
        let without = set("1").replace("ARC-Seal: ", "X-Seal: ");
        for broken in [set("2"), set("1") + &set("1"), set("0"), set("51"), set("x"), set("-1"), without] {
            assert_eq!(sets(&broken), None, "{broken}");
        }
        assert_eq!(sets("ARC-Seal: a=b\r\n"), None);
    }

    proptest::proptest! {
        #[test]
        fn whatever_fields_say_a_chain_is_whole_or_none(text in "(ARC-Seal|ARC-Message-Signature|ARC-Authentication-Results|i=1|i=2|i=|=|:|;| |\r\n|[ -~]){0,60}") {
            let own = fields(&text);
            let own: Vec<Field<'_>> = own.iter().map(|(name, value)| (&**name, &**value)).collect();
            assert!(chain(&own).is_none_or(|chain| chain.len() <= MAX_SETS));
        }
    }

    #[test]
    fn fields_are_chosen_from_the_last_one_on() {
        let fields = fields("A: 1\r\nB: x\r\na: 2\r\n");
        let fields: Vec<Field<'_>> = fields.iter().map(|(name, value)| (&**name, &**value)).collect();
        assert_eq!(selected(&fields, &["A", "a", "A", "B"]), b"a:2\r\na:1\r\nb:x\r\n");
    }
}
