//! TLS as far as a peer goes along: any certificate will do, since without one the letter would go in the clear. Where somebody
//! asks for more, the certificate is judged as those of the web are.

use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;
use pennypost_lookup::Authorities;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, Error, SignatureScheme};
use tokio_rustls::TlsConnector;

use crate::tlsrpt::TlsFault;

/// What is wrong with a certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Finding {
    /// As reports count it.
    pub fault: TlsFault,
    /// As people read it.
    pub text: String,
}

impl Finding {
    pub(super) fn of(error: &Error) -> Finding {
        Finding { fault: TlsFault::of(error), text: error.to_string() }
    }
}

/// Takes any certificate, of which the peer has to have the key (RFC 7435).
#[derive(Debug)]
struct Opportunistic(Arc<CryptoProvider>);

impl ServerCertVerifier for Opportunistic {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

/// Judges certificates by the authorities. A bad one ends the handshake, or is only noted.
#[derive(Debug)]
struct Judge {
    verifier: Arc<WebPkiServerVerifier>,
    is_strict: bool,
    finding: Arc<Mutex<Option<Finding>>>,
}

impl ServerCertVerifier for Judge {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let found =
            self.verifier.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        if let Err(error) = &found {
            *self.finding.lock() = Some(Finding::of(error));
        }
        if self.is_strict { found } else { Ok(ServerCertVerified::assertion()) }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verifier.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verifier.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.verifier.supported_verify_schemes()
    }
}

/// How private a connection has to be.
#[derive(Clone)]
pub(super) struct Privacy {
    pub connector: TlsConnector,
    /// A certificate that holds for the host is asked for. What was found wrong with one.
    pub judged: Option<Arc<Mutex<Option<Finding>>>>,
    /// Nothing is said without it.
    pub is_required: bool,
    /// It has to hold for a name: without one there is none.
    pub needs_name: bool,
}

impl Privacy {
    /// With any certificate.
    pub(super) fn with_any() -> Privacy {
        let verifier = Opportunistic(Arc::new(rustls::crypto::ring::default_provider()));
        let connector = connector(Arc::new(verifier));
        Privacy { connector, judged: None, is_required: false, needs_name: false }
    }

    pub(super) fn finding(&self) -> Option<Finding> {
        self.judged.as_ref().and_then(|finding| finding.lock().clone())
    }
}

/// By whose word certificates are judged. Read when it is needed first: most processes never ask. What can't be read is asked
/// for again by the next one.
#[derive(Default)]
pub(super) struct Trust {
    authorities: Authorities,
    verifier: OnceLock<Arc<WebPkiServerVerifier>>,
}

impl Trust {
    pub(super) fn new(authorities: Authorities) -> Trust {
        Trust { authorities, verifier: OnceLock::new() }
    }

    /// What judges the certificate of one connection. Each has a judge of its own, so nothing is resumed that another one
    /// has let pass.
    ///
    /// # Errors
    /// There is nobody by whose word it could be judged.
    pub(super) fn privacy(&self, is_required: bool) -> Result<Privacy, String> {
        let (verifier, finding) = (self.verifier()?, Arc::default());
        let judge = Judge { verifier, is_strict: is_required, finding: Arc::clone(&finding) };
        let connector = connector(Arc::new(judge));
        Ok(Privacy { connector, judged: Some(finding), is_required, needs_name: is_required })
    }

    fn verifier(&self) -> Result<Arc<WebPkiServerVerifier>, String> {
        if let Some(known) = self.verifier.get() {
            return Ok(Arc::clone(known));
        }
        let (roots, is_whole) = self.authorities.roots()?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build();
        let verifier = verifier.map_err(|error| error.to_string())?;
        if is_whole {
            let _ = self.verifier.set(Arc::clone(&verifier));
        }
        Ok(verifier)
    }
}

/// What begins TLS, with certificates judged so.
pub(super) fn connector(verifier: Arc<dyn ServerCertVerifier>) -> TlsConnector {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider);
    let builder = match builder.with_protocol_versions(rustls::DEFAULT_VERSIONS) {
        Ok(builder) => builder,
        Err(error) => unreachable!("ring has the versions of rustls: {error}"),
    };
    let config = builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth();
    TlsConnector::from(Arc::new(config))
}
