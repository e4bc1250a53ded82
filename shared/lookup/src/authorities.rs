//! Whose word about certificates is believed.

use std::path::Path;

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

/// The authorities of this machine, and those that the operator has named beside them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Authorities(Vec<CertificateDer<'static>>);

impl Authorities {
    /// With those of a file of PEM.
    ///
    /// # Errors
    /// A text for the operator.
    pub fn and_of(path: &Path) -> Result<Authorities, String> {
        let wrong = |cause: &str| format!("{}: {cause}", path.display());
        let bytes = std::fs::read(path).map_err(|error| wrong(&error.to_string()))?;
        let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
        let found = found.map_err(|error| wrong(&error.to_string()))?;
        if found.is_empty() {
            return Err(wrong("there is no certificate in it"));
        }
        let mut roots = RootCertStore::empty();
        for certificate in &found {
            roots.add(certificate.clone()).map_err(|error| wrong(&error.to_string()))?;
        }
        Ok(Authorities(found))
    }

    /// All of them, as they are now: those of the machine are read. Is that all there is? Where those of the machine can't be
    /// read they may be there the next time: who remembers what was found remembers it only if it is whole.
    ///
    /// # Errors
    /// There is none: nothing can be judged at present.
    pub fn roots(&self) -> Result<(RootCertStore, bool), String> {
        let mut roots = RootCertStore::empty();
        let found = rustls_native_certs::load_native_certs();
        for error in &found.errors {
            tracing::warn!(%error, "an authority of this machine can't be read");
        }
        let (of_machine, _) = roots.add_parsable_certificates(found.certs);
        roots.add_parsable_certificates(self.0.iter().cloned());
        if roots.is_empty() {
            return Err("this machine believes no authority at present".to_owned());
        }
        Ok((roots, of_machine > 0 || found.errors.is_empty()))
    }
}
