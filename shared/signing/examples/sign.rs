//! Signs the letter of standard input with a fresh key of each kind, for another program to check: writes the signed letter
//! to standard output, and to the file that is named the records, `NAME VALUE` in each line. `tests/interop/dkim.py` asks it.

use std::io::{Read, Write};
use std::sync::Arc;

use pennypost_backend_embedded::{Embedded, Options};
use pennypost_model::{TenantId, Timestamp};
use pennypost_sealing::Keyring;
use pennypost_signing::{Algorithm, KeyStore, Seen, SigningError};

const TENANT: TenantId = TenantId(1);
const DOMAIN: &str = "acme.example";

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let zone = std::env::args().nth(1).ok_or("the file for the records is not named")?;
    let mut letter = Vec::new();
    std::io::stdin().read_to_end(&mut letter)?;
    let dir = tempfile::tempdir()?;
    let backend = Embedded::open(dir.path(), &Options::server())?;
    let ring = Arc::new(Keyring::parse(&Keyring::fresh().ok_or("no randomness")?)?);
    let store = KeyStore::new(backend.control());
    let now = Timestamp(1_795_305_600_000);
    let mut records = String::new();
    for algorithm in Algorithm::ALL {
        let key = store.add(&*ring, (TENANT, DOMAIN), algorithm, now).await?;
        records.push_str(&format!("{}._domainkey.{DOMAIN} {}\n", key.selector, key.record()));
    }
    store
        .change(TENANT, DOMAIN, |keys| {
            keys.observe(|_| Seen::Published, now);
            Ok::<_, SigningError>(())
        })
        .await?;
    std::fs::write(zone, records)?;
    let signer = store.signer(&*ring, TENANT, DOMAIN).await?;
    let mut out = std::io::stdout().lock();
    out.write_all(&signer.sign(&letter)?)?;
    out.write_all(&letter)?;
    Ok(())
}
