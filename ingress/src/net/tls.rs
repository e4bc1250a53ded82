//! The server's certificate: made on the first start, read on every other.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::sasl::end_point_of;

/// What TLS is spoken with. Cheap to clone.
#[derive(Clone)]
pub struct Tls {
    /// Certificate and key.
    pub config: Arc<ServerConfig>,
    /// The certificate as channel bindings have it (RFC 5929 section 4).
    pub(super) end_point: Option<Arc<[u8]>>,
}

/// Why there is no TLS.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file could not be read or written.
    #[error("{}: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file is not PEM, or not of the right kind.
    #[error("{}: {cause}", path.display())]
    Pem {
        /// Which.
        path: PathBuf,
        /// What is wrong.
        cause: String,
    },
    /// A self-signed certificate could not be made.
    #[error("can't make a certificate: {0}")]
    Make(#[from] rcgen::Error),
    /// Certificate and key do not fit.
    #[error("certificate and key can't be used: {0}")]
    Use(#[from] rustls::Error),
}

/// The configuration with `dir/cert.pem` (a chain, the server's first) and `dir/key.pem`. Where there is
/// neither, a self-signed certificate is made for `hostname`, localhost and the loopback addresses; the key
/// file has mode 0600. A key alone gets a certificate (so the process may die between the two); a certificate
/// alone is an error. Nothing is overwritten, ever.
///
/// # Errors
/// [`TlsError`].
pub fn load_or_create_tls(dir: &Path, hostname: &str) -> Result<Tls, TlsError> {
    let (cert_path, key_path) = (dir.join("cert.pem"), dir.join("key.pem"));
    if !cert_path.exists() {
        create(dir, &cert_path, &key_path, hostname)?;
    }
    let pem = |path: &Path, cause: String| TlsError::Pem { path: path.to_owned(), cause };
    let cert_bytes = read(&cert_path)?;
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(&cert_bytes)
        .collect::<Result<_, _>>()
        .map_err(|error| pem(&cert_path, error.to_string()))?;
    if chain.is_empty() {
        return Err(pem(&cert_path, "there is no certificate in it".to_owned()));
    }
    let key = PrivateKeyDer::from_pem_slice(&read(&key_path)?)
        .map_err(|error| pem(&key_path, error.to_string()))?;
    let end_point = chain.first().and_then(|certificate| end_point_of(certificate)).map(Arc::from);
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(rustls::DEFAULT_VERSIONS)?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    Ok(Tls { config: Arc::new(config), end_point })
}

fn create(dir: &Path, cert_path: &Path, key_path: &Path, hostname: &str) -> Result<(), TlsError> {
    let mut names = vec!["localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()];
    if !names.iter().any(|name| name.eq_ignore_ascii_case(hostname)) && hostname.is_ascii() {
        names.insert(0, hostname.to_owned());
    }
    let mut params = rcgen::CertificateParams::new(names)?;
    params.distinguished_name.push(rcgen::DnType::CommonName, hostname);
    params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ServerAuth];
    fs::create_dir_all(dir).map_err(|source| TlsError::File { path: dir.to_owned(), source })?;
    let key = if key_path.exists() {
        let text = String::from_utf8_lossy(&read(key_path)?).into_owned();
        rcgen::KeyPair::from_pem(&text)
            .map_err(|error| TlsError::Pem { path: key_path.to_owned(), cause: error.to_string() })?
    } else {
        let key = rcgen::KeyPair::generate()?;
        write(key_path, &key.serialize_pem(), 0o600)?;
        key
    };
    write(cert_path, &params.self_signed(&key)?.pem(), 0o644)
}

/// Whole or not at all: a file under another name first.
fn write(path: &Path, text: &str, mode: u32) -> Result<(), TlsError> {
    let failed = |source| TlsError::File { path: path.to_owned(), source };
    let temporary = path.with_extension("new");
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(mode)
        .open(&temporary)
        .map_err(failed)?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(failed)?;
    fs::rename(&temporary, path).map_err(failed)
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    fs::read(path).map_err(|source| TlsError::File { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_certificate_is_made_once_and_the_key_is_private() {
        let dir = tempfile::tempdir().expect("directory");
        load_or_create_tls(dir.path(), "mx.example.org").expect("made");
        let key = dir.path().join("key.pem");
        assert_eq!(fs::metadata(&key).expect("key").permissions().mode() & 0o777, 0o600);
        let before = fs::read(dir.path().join("cert.pem")).expect("certificate");
        load_or_create_tls(dir.path(), "mx.example.org").expect("read");
        assert_eq!(fs::read(dir.path().join("cert.pem")).expect("certificate"), before);
        fs::remove_file(dir.path().join("cert.pem")).expect("removed");
        load_or_create_tls(dir.path(), "mx.example.org").expect("made for the key");
        fs::remove_file(&key).expect("removed");
        assert!(matches!(load_or_create_tls(dir.path(), "x"), Err(TlsError::File { .. })));
        fs::write(&key, "garbage").expect("written");
        assert!(matches!(load_or_create_tls(dir.path(), "x"), Err(TlsError::Pem { .. })));
    }
}
