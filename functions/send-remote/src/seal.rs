//! Seals of what accounts forward (ARC: RFC 8617): whoever gets it finds neither SPF of its author's domain nor, where a list has
//! changed it, DKIM; the seal says what was found when it came here. By the keys of the domain of whoever forwards, one for all
//! of that domain's targets, since no field of theirs is signed.

use std::collections::BTreeMap;

use pennypost_mime::header_fields;
use pennypost_model::Timestamp;
use pennypost_model::event::{Accepted, SourceKind, Verdict};
use pennypost_runtime::Failure;
use pennypost_signing::{Found, Signer};

use crate::{SendRemote, letter};

/// What seals the parts of a letter.
pub(crate) struct Sealers {
    results: String,
    has_intact_chain: bool,
    /// By domain.
    signers: BTreeMap<String, Signer>,
    /// The domain of each part, if it is sealed.
    parts: Vec<Option<String>>,
}

/// What was found when it came in: the value of the field that was made then. `None`, where nothing was looked for, or it is nobody
/// else's letter: a member's own is signed.
fn results(accepted: &Accepted) -> Option<String> {
    let is_from_outside = matches!(accepted.source.kind.way(), SourceKind::Smtp | SourceKind::Service { .. });
    if !is_from_outside || accepted.auth.trusted {
        return None;
    }
    let mut fields = header_fields(accepted.receipt.as_bytes());
    let (_, value, _) = fields.find(|(name, ..)| name.eq_ignore_ascii_case(b"authentication-results"))?;
    let value = String::from_utf8_lossy(value).trim().to_owned();
    let is_something = value.split_once(';').is_some_and(|(_, found)| found.trim() != "none");
    is_something.then_some(value)
}

/// Did the chain of the letter pass? Neutral is one that did, whoever sealed it.
fn has_intact_chain(accepted: &Accepted, results: &str) -> bool {
    let is_told = results.lines().any(|line| line.trim_start().starts_with("arc=pass"));
    is_told && matches!(accepted.auth.arc, Verdict::Pass | Verdict::Neutral)
}

impl SendRemote {
    /// What seals these parts, of which those that are forwarded name the address of whoever does. One read for each domain that
    /// forwards. What can't be sealed for good goes unsealed: its own signatures are what they are.
    pub(crate) async fn sealers(
        &self,
        accepted: &Accepted,
        forwarding: Vec<Option<String>>,
    ) -> Result<Option<Sealers>, Failure> {
        let (Some(secrets), Some(results)) = (&self.0.ports.secrets, results(accepted)) else {
            return Ok(None);
        };
        let parts: Vec<Option<String>> =
            forwarding.into_iter().map(|from| letter::destination_of(&from?)).collect();
        let mut signers = BTreeMap::new();
        for domain in parts.iter().flatten() {
            if signers.contains_key(domain) {
                continue;
            }
            match self.0.keys.signer(&**secrets, accepted.tenant, domain).await {
                Ok(signer) => drop(signers.insert(domain.clone(), signer)),
                Err(error) if error.is_temporary() => return Err(Failure::temporary(&error)),
                Err(error) => {
                    tracing::error!(tenant = %accepted.tenant, domain, %error, "what is forwarded can't be sealed");
                }
            }
        }
        let has_intact_chain = has_intact_chain(accepted, &results);
        Ok((!signers.is_empty()).then_some(Sealers { results, has_intact_chain, signers, parts }))
    }
}

impl Sealers {
    /// What stands before each part for that: mostly nothing.
    pub(crate) fn seals(&self, letter: &[u8], now: Timestamp) -> Vec<Vec<u8>> {
        let found = Found { results: &self.results, has_intact_chain: self.has_intact_chain };
        let seal = |(domain, signer): (&String, &Signer)| match signer.seal(letter, found, now) {
            Ok(seal) => (domain.clone(), seal.unwrap_or_default()),
            Err(error) => {
                tracing::error!(domain, %error, "what is forwarded can't be sealed");
                (domain.clone(), Vec::new())
            }
        };
        let seals: BTreeMap<String, Vec<u8>> = self.signers.iter().map(seal).collect();
        let of_part = |domain: &Option<String>| domain.as_ref().and_then(|domain| seals.get(domain)).cloned();
        self.parts.iter().map(|domain| of_part(domain).unwrap_or_default()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pennypost_model::event::{AuthResults, Body, Source};
    use pennypost_model::message::StoredMessage;
    use pennypost_model::{EventId, TenantId};

    fn accepted(kind: SourceKind, receipt: &str, auth: AuthResults) -> Accepted {
        let message =
            StoredMessage { size: 0, header_len: 0, crc: 0, header: Vec::new(), frames: Vec::new() };
        Accepted {
            id: EventId::from_parts(Timestamp(1), 1),
            time: Timestamp(1),
            tenant: TenantId(1),
            source: Source { kind, ip: None, helo: String::new(), tls: None },
            auth,
            reverse_path: String::new(),
            recipients: Vec::new(),
            body: Body::Inline(message),
            receipt: receipt.to_owned(),
        }
    }

    #[test]
    fn what_was_found_is_our_own_word() {
        let found = |kind, receipt: &str, auth| {
            let accepted = accepted(kind, receipt, auth);
            results(&accepted).map(|results| has_intact_chain(&accepted, &results))
        };
        let arc = |arc| AuthResults { arc, ..AuthResults::default() };
        let passed = "Received: x\r\nAuthentication-Results: mx.t.example;\r\n\tspf=pass;\r\n\tarc=pass smtp.remote-ip=192.0.2.1\r\n";
        for (verdict, expected) in [
            (Verdict::Pass, true),
            (Verdict::Neutral, true),
            (Verdict::Fail, false),
            (Verdict::TempError, false),
        ] {
            assert_eq!(found(SourceKind::Smtp, passed, arc(verdict)), Some(expected), "{verdict:?}");
        }
        // What a sender calls himself is no result.
        let quoted =
            "Authentication-Results: mx.t.example;\r\n\tspf=pass smtp.mailfrom=\"; arc=pass\"@x.example\r\n";
        assert_eq!(found(SourceKind::Smtp, quoted, arc(Verdict::Neutral)), Some(false));
        assert_eq!(found(SourceKind::Returned, passed, arc(Verdict::Pass)), None);
        assert_eq!(found(SourceKind::System, passed, arc(Verdict::Pass)), None);
        let trusted = AuthResults { trusted: true, ..AuthResults::default() };
        assert_eq!(found(SourceKind::Smtp, passed, trusted), None);
        let none = "Authentication-Results: mx.t.example; none\r\n";
        assert_eq!(found(SourceKind::Smtp, none, AuthResults::default()), None);
        assert_eq!(found(SourceKind::Smtp, "Received: x\r\n", AuthResults::default()), None);
    }
}
