//! Servers that are known by what their domain has published and DNSSEC proves (DANE: RFC 6698, 7671, 7672).

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;

use parking_lot::Mutex;
use pennypost_ports::{Association, Proved, ProvingDns};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use sha2::{Digest, Sha256, Sha512};

use super::tls::{Finding, Privacy, connector};
use crate::tlsrpt::TlsFault;

/// Certificate usages.
const AUTHORITY: u8 = 2;
const SERVER: u8 = 3;
/// Why a certificate does not hold.
const NONE_OF_THEM: &str = "the certificate is none of those that the server's TLSA records name";

/// What a domain has published of a server.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct Dane {
    /// The name that has the records: by it the server is called in the handshake (RFC 7672 section 2.2.3).
    pub base: String,
    /// Names of which one has to stand in a certificate for which an authority of the records vouches (section 3.2.2).
    names: Vec<String>,
    /// The records that say something; where there are none, nobody has to be anybody, and nothing goes in the clear.
    usable: Vec<Association>,
    /// All of them, in one order, whatever DNS gives first.
    published: Vec<Association>,
}

impl Dane {
    /// By the records at that base, of a server of a destination that is called so by its MX record.
    pub(super) fn new(base: &str, host: &str, destination: &str, mut published: Vec<Association>) -> Dane {
        published.sort_unstable();
        published.dedup();
        let mut names: Vec<String> = Vec::new();
        for name in [base, host, destination] {
            if !names.iter().any(|known| known == name) {
                names.push(name.to_owned());
            }
        }
        // What an authority of the web says is not asked for (section 3.1.3).
        let is_usable = |one: &&Association| {
            let fits = match one.matching {
                0 => !one.data.is_empty(),
                1 => one.data.len() == 32,
                2 => one.data.len() == 64,
                _ => false,
            };
            fits && matches!(one.usage, AUTHORITY | SERVER) && one.selector <= 1
        };
        let usable: Vec<Association> = published.iter().filter(is_usable).cloned().collect();
        // Of two digests of the same kind of thing the stronger counts (RFC 7671 section 9).
        let is_outdone = |one: &Association| {
            let is_stronger = |other: &Association| {
                (other.usage, other.selector, other.matching) == (one.usage, one.selector, 2)
            };
            one.matching == 1 && usable.iter().any(is_stronger)
        };
        let usable = usable.iter().filter(|one| !is_outdone(one)).cloned().collect();
        Dane { base: base.to_owned(), names, usable, published }
    }

    /// What has been published of a server with these addresses; none, if nothing that is proved. `Err` says why that can't be
    /// known: then nothing goes there (section 2.1.2).
    pub(super) async fn of(
        dns: &dyn ProvingDns,
        (host, port): (&str, u16),
        addresses: &Proved<IpAddr>,
        destination: &str,
    ) -> Option<Result<Arc<Dane>, String>> {
        let failed = |name: &str, error: &dyn std::fmt::Display| {
            Some(Err(format!("the TLSA records of {name} can't be looked up: {error}")))
        };
        let is_alias = addresses.name != host;
        let mut bases = Vec::new();
        if addresses.is_secure {
            bases.push(addresses.name.as_str());
        }
        if is_alias {
            // Of the alias itself something is proved, though nothing be of what it leads to (section 2.2.2).
            match dns.is_proved_alias(host).await {
                Ok(true) => bases.push(host),
                Ok(false) => {}
                Err(error) => return failed(host, &error),
            }
        }
        for base in bases {
            match dns.associations(&format!("_{port}._tcp.{base}")).await {
                Ok(found) if found.is_secure => {
                    return Some(Ok(Arc::new(Dane::new(base, host, destination, found.found))));
                }
                Ok(_) => {}
                Err(error) => return failed(base, &error),
            }
        }
        None
    }

    /// The records as reports show them.
    pub(super) fn shown(&self) -> Vec<String> {
        let shown = |Association { usage, selector, matching, data }: &Association| {
            let hex: String = data.iter().map(|byte| format!("{byte:02x}")).collect();
            format!("{usage} {selector} {matching} {hex}")
        };
        self.published.iter().map(shown).collect()
    }

    /// Does it say who the server is? Else there has to be TLS, with anybody.
    pub(super) const fn names_somebody(&self) -> bool {
        !self.usable.is_empty()
    }

    /// What judges the certificate of one connection. Nothing is resumed.
    pub(super) fn privacy(self: &Arc<Dane>) -> Privacy {
        let finding = Arc::<Mutex<Option<Finding>>>::default();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier = Published { dane: Arc::clone(self), provider, finding: Arc::clone(&finding) };
        Privacy {
            connector: connector(Arc::new(verifier)),
            judged: Some(finding),
            is_required: true,
            needs_name: false,
        }
    }
}

/// Is it what the record names?
fn is_meant(one: &Association, certificate: &CertificateDer<'_>) -> bool {
    let bytes: Cow<'_, [u8]> = match one.selector {
        0 => Cow::Borrowed(certificate.as_ref()),
        _ => match ParsedCertificate::try_from(certificate) {
            Ok(parsed) => Cow::Owned(parsed.subject_public_key_info().as_ref().to_vec()),
            Err(_) => return false,
        },
    };
    match one.matching {
        0 => *bytes == *one.data,
        1 => *Sha256::digest(&bytes) == *one.data,
        _ => *Sha512::digest(&bytes) == *one.data,
    }
}

/// Judges certificates by what is published.
#[derive(Debug)]
struct Published {
    dane: Arc<Dane>,
    provider: Arc<CryptoProvider>,
    finding: Arc<Mutex<Option<Finding>>>,
}

impl Published {
    /// `Err`: what was wrong with the chain of an authority that the records name, if there was one.
    fn judge(
        &self,
        server: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), Option<Error>> {
        let usable = &self.dane.usable;
        // Neither names nor dates count (RFC 7672 section 3.1.1).
        if usable.is_empty() || usable.iter().any(|one| one.usage == SERVER && is_meant(one, server)) {
            return Ok(());
        }
        let mut wrong = None;
        for one in usable.iter().filter(|one| one.usage == AUTHORITY) {
            let mut authorities: Vec<CertificateDer<'_>> =
                others.iter().filter(|other| is_meant(one, other)).cloned().collect();
            // It may be left out of the chain where all of it is published.
            if (one.selector, one.matching) == (0, 0) && authorities.is_empty() {
                authorities.push(CertificateDer::from(one.data.as_slice()));
            }
            for authority in authorities {
                match self.vouches(authority, server, others, now) {
                    Ok(()) => return Ok(()),
                    Err(error) => wrong = Some(error),
                }
            }
        }
        Err(wrong)
    }

    /// Does that authority vouch for the server, by one of its names?
    fn vouches(
        &self,
        authority: CertificateDer<'_>,
        server: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), Error> {
        let mut roots = RootCertStore::empty();
        roots.add(authority.into_owned())?;
        let builder =
            WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&self.provider));
        let verifier = builder.build().map_err(|error| Error::General(error.to_string()))?;
        let mut wrong = Error::InvalidCertificate(CertificateError::NotValidForName);
        for name in &self.dane.names {
            let Ok(name) = ServerName::try_from(name.as_str()) else { continue };
            match verifier.verify_server_cert(server, others, &name, &[], now) {
                Ok(_) => return Ok(()),
                Err(error) => wrong = error,
            }
        }
        Err(wrong)
    }
}

impl ServerCertVerifier for Published {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let Err(wrong) = self.judge(end_entity, intermediates, now) else {
            return Ok(ServerCertVerified::assertion());
        };
        let (finding, error) = match wrong {
            Some(error) => (Finding::of(&error), error),
            None => {
                let finding = Finding { fault: TlsFault::NotTrusted, text: NONE_OF_THEM.to_owned() };
                let error = CertificateError::ApplicationVerificationFailure;
                (finding, Error::InvalidCertificate(error))
            }
        };
        *self.finding.lock() = Some(finding);
        Err(error)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};

    use super::*;

    const NOW: UnixTime = UnixTime::since_unix_epoch(std::time::Duration::from_secs(1_795_000_000));

    struct Chain {
        authority: CertificateDer<'static>,
        server: CertificateDer<'static>,
    }

    /// A server's certificate for that name, signed by an authority.
    fn chain(name: &str) -> Chain {
        let mut params = CertificateParams::new(vec!["authority.test".to_owned()]).expect("a name");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let authority = params.self_signed(&key).expect("a certificate").der().clone();
        let issuer = Issuer::new(params, key);
        let params = CertificateParams::new(vec![name.to_owned()]).expect("a name");
        let server = params.signed_by(&KeyPair::generate().expect("a key"), &issuer);
        Chain { authority, server: server.expect("a certificate").der().clone() }
    }

    fn named(certificate: &CertificateDer<'_>, usage: u8, selector: u8, matching: u8) -> Association {
        let bytes = match selector {
            0 => certificate.to_vec(),
            _ => {
                let parsed = ParsedCertificate::try_from(certificate).expect("a certificate");
                parsed.subject_public_key_info().as_ref().to_vec()
            }
        };
        let data = match matching {
            0 => bytes,
            1 => Sha256::digest(&bytes).to_vec(),
            _ => Sha512::digest(&bytes).to_vec(),
        };
        Association { usage, selector, matching, data }
    }

    fn judged(
        published: Vec<Association>,
        chain: &Chain,
        others: &[CertificateDer<'_>],
    ) -> Result<(), String> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let dane = Arc::new(Dane::new("mx.d.test", "mx.d.test", "d.test", published));
        let verifier = Published { dane, provider, finding: Arc::default() };
        let name = ServerName::try_from("mx.d.test").expect("a name");
        match verifier.verify_server_cert(&chain.server, others, &name, &[], NOW) {
            Ok(_) => Ok(()),
            Err(_) => Err(verifier.finding.lock().clone().map(|finding| finding.text).unwrap_or_default()),
        }
    }

    #[test]
    fn a_server_is_known_by_its_own_certificate_or_key_whatever_its_name() {
        let chain = chain("nobody.test");
        for selector in [0, 1] {
            for matching in [0, 1, 2] {
                let right = named(&chain.server, 3, selector, matching);
                assert_eq!(judged(vec![right.clone()], &chain, &[]), Ok(()), "{selector} {matching}");
                let wrong = named(&chain.authority, 3, selector, matching);
                let found = judged(vec![wrong.clone()], &chain, &[]);
                assert_eq!(found, Err(NONE_OF_THEM.to_owned()), "{selector} {matching}");
                // While keys are changed both are there.
                assert_eq!(judged(vec![wrong, right], &chain, &[]), Ok(()));
            }
        }
    }

    #[test]
    fn a_server_is_known_by_an_authority_and_one_of_its_names() {
        for (name, is_good) in [("mx.d.test", true), ("d.test", true), ("nobody.test", false)] {
            let chain = chain(name);
            let others = [chain.authority.clone()];
            for (selector, matching) in [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2)] {
                let found = judged(vec![named(&chain.authority, 2, selector, matching)], &chain, &others);
                assert_eq!(found.is_ok(), is_good, "{name} {selector} {matching}: {found:?}");
            }
            // Only the whole of it may be left out of the chain.
            assert_eq!(judged(vec![named(&chain.authority, 2, 0, 0)], &chain, &[]).is_ok(), is_good);
            assert!(judged(vec![named(&chain.authority, 2, 0, 1)], &chain, &[]).is_err());
        }
        let (here, other) = (chain("mx.d.test"), chain("mx.d.test"));
        let both = [here.authority.clone(), other.authority.clone()];
        assert!(judged(vec![named(&other.authority, 2, 1, 1)], &here, &both).is_err(), "another authority");
    }

    #[test]
    fn what_says_nothing_is_passed_over() {
        let chain = chain("mx.d.test");
        let good = named(&chain.server, 3, 1, 1);
        let of_the_web = Association { usage: 1, ..good.clone() };
        let short = Association { data: vec![7; 31], ..good.clone() };
        let unknown = Association { matching: 3, ..good.clone() };
        let selected = Association { selector: 2, ..good };
        let says_nothing = vec![of_the_web, short, unknown, selected];
        assert_eq!(judged(says_nothing.clone(), &chain, &[]), Ok(()), "TLS, with anybody");
        let wrong = named(&chain.authority, 3, 1, 1);
        assert!(judged([says_nothing, vec![wrong]].concat(), &chain, &[]).is_err());
    }

    #[test]
    fn the_same_records_in_another_order_are_the_same() {
        let one = Association { usage: 3, selector: 1, matching: 1, data: vec![1; 32] };
        let other = Association { data: vec![2; 32], ..one.clone() };
        let dane = |published| Dane::new("mx.d.test", "mx.d.test", "d.test", published);
        let known = dane(vec![one.clone(), other.clone()]);
        assert_eq!(dane(vec![other.clone(), one, other]), known);
        assert_eq!(known.shown().len(), 2);
    }

    #[test]
    fn of_two_digests_the_stronger_counts() {
        let chain = chain("mx.d.test");
        let (weak, strong) = (named(&chain.server, 3, 1, 1), named(&chain.authority, 3, 1, 2));
        assert!(judged(vec![weak.clone(), strong], &chain, &[]).is_err());
        let of_something_else = named(&chain.authority, 3, 0, 2);
        assert_eq!(judged(vec![weak, of_something_else], &chain, &[]), Ok(()));
    }
}
