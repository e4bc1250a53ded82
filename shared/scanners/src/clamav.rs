//! ClamAV: `INSTREAM` of clamd (clamd(8)).
//!
//! The letter goes in chunks, each behind its length in four bytes, the last one empty; the answer is one line:
//! `stream: OK`, `stream: NAME FOUND`, or something with `ERROR`.

use std::time::{Duration, Instant};

use async_trait::async_trait;
use parking_lot::Mutex;
use pennypost_model::scan::{Finding, ScanReport};
use pennypost_ports::{ScanError, ScanLetter, Scanner, ScansFor};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::place::{Connection, Place};

const NAME: &str = "clamav";
/// Bytes of a chunk.
const CHUNK: usize = 64 * 1024;
/// Bytes of an answer at most.
const MAX_ANSWER: u64 = 4_096;
/// Bytes of what is kept of names and versions.
const MAX_NAME: usize = 120;
/// For so long it is believed which version answers.
const VERSION_KNOWN: Duration = Duration::from_secs(600);
/// For so long the version is waited for: what was found is known by then.
const VERSION_WAIT: Duration = Duration::from_secs(2);

/// A clamd.
pub struct ClamAv {
    place: Place,
    wait: Duration,
    max_bytes: u64,
    version: Mutex<Option<(Instant, String)>>,
}

impl ClamAv {
    /// The one at that place, which is waited for so long, and gets letters of up to so many bytes.
    #[must_use]
    pub fn new(place: Place, wait: Duration, max_bytes: u64) -> ClamAv {
        ClamAv { place, wait, max_bytes, version: Mutex::default() }
    }

    /// What it calls itself and its signatures; empty, if it does not say.
    async fn version(&self) -> String {
        let known = self.version.lock().clone();
        if let Some((_, version)) = known.filter(|(asked, _)| asked.elapsed() < VERSION_KNOWN) {
            return version;
        }
        let asked = async {
            let mut connection = self.place.connect().await?;
            connection.write_all(b"zVERSION\0").await.map_err(|error| error.kind().to_string())?;
            answer(&mut *connection).await
        };
        let asked = tokio::time::timeout(VERSION_WAIT, asked).await.unwrap_or_else(|_| Err(String::new()));
        let version = asked.map(|version| short(&version)).unwrap_or_default();
        // `ClamAV 1.4.3/27400/Mon Nov 23 08:00:00 2026`: the day says nothing that the number does not.
        let version = version.splitn(3, '/').take(2).collect::<Vec<_>>().join("/");
        *self.version.lock() = Some((Instant::now(), version.clone()));
        version
    }

    async fn streamed(&self, raw: &[u8]) -> Result<String, ScanError> {
        let failed = |cause| ScanError::Failed { scanner: NAME, cause };
        let connected = self.place.connect().await;
        let mut connection = connected.map_err(|cause| ScanError::Unavailable { scanner: NAME, cause })?;
        let sent = async {
            connection.write_all(b"zINSTREAM\0").await?;
            for chunk in raw.chunks(CHUNK) {
                connection.write_all(&(chunk.len() as u32).to_be_bytes()).await?;
                connection.write_all(chunk).await?;
            }
            connection.write_all(&0_u32.to_be_bytes()).await?;
            connection.flush().await
        };
        let sent: std::io::Result<()> = sent.await;
        // Who has had enough says so, and takes no more.
        match (answer(&mut *connection).await, sent) {
            (Ok(said), _) => Ok(said),
            (Err(_), Err(error)) => Err(failed(format!("the connection broke: {}", error.kind()))),
            (Err(cause), Ok(())) => Err(failed(cause)),
        }
    }
}

/// The line that comes.
async fn answer(connection: &mut dyn Connection) -> Result<String, String> {
    let mut said = Vec::new();
    let mut bounded = connection.take(MAX_ANSWER);
    loop {
        let read =
            bounded.read_buf(&mut said).await.map_err(|error| format!("no answer: {}", error.kind()))?;
        if read == 0 || said.contains(&0) {
            break;
        }
    }
    let line = said.split(|byte| *byte == 0).next().unwrap_or_default();
    if line.is_empty() {
        return Err("the connection ended without an answer".to_owned());
    }
    Ok(String::from_utf8_lossy(line).trim().to_owned())
}

fn short(text: &str) -> String {
    let plain = text.chars().map(|c| if c.is_ascii_graphic() || c == ' ' { c } else { '?' });
    plain.take(MAX_NAME).collect()
}

/// What a line means.
fn meant(line: &str) -> Result<Finding, ScanError> {
    let refused = |cause: &str| ScanError::Refused { scanner: NAME, cause: cause.to_owned() };
    let said = line.strip_prefix("stream:").unwrap_or(line).trim();
    if said == "OK" {
        return Ok(Finding::Clean);
    }
    if let Some(name) = said.strip_suffix("FOUND") {
        return Ok(Finding::Virus(short(name.trim())));
    }
    if said.contains("size limit exceeded") {
        return Err(refused("it is larger than clamd takes"));
    }
    Err(ScanError::Failed { scanner: NAME, cause: short(said) })
}

#[async_trait]
impl Scanner for ClamAv {
    fn name(&self) -> &'static str {
        NAME
    }

    fn scans_for(&self) -> ScansFor {
        ScansFor::Viruses
    }

    async fn scan(&self, letter: &ScanLetter<'_>) -> Result<ScanReport, ScanError> {
        if letter.raw.len() as u64 > self.max_bytes {
            let cause = format!("it has more than {} bytes", self.max_bytes);
            return Err(ScanError::Refused { scanner: NAME, cause });
        }
        match tokio::time::timeout(self.wait, self.streamed(letter.raw)).await {
            Ok(line) => {
                let finding = meant(&line?)?;
                Ok(ScanReport { scanner: NAME, version: self.version().await, finding })
            }
            Err(_) => {
                let cause = format!("it took longer than {} s", self.wait.as_secs());
                Err(ScanError::Failed { scanner: NAME, cause })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use pennypost_model::EventId;
    use tokio::net::{TcpListener, TcpStream};

    use super::*;

    const WAIT: Duration = Duration::from_secs(20);

    fn letter(raw: &[u8]) -> ScanLetter<'_> {
        let id = EventId::from_bytes([0; 16]);
        ScanLetter { id, raw, reverse_path: "", recipients: &[], ip: None, helo: "" }
    }

    /// What came over a connection up to the empty chunk.
    async fn taken(stream: &mut TcpStream) -> Vec<u8> {
        let (mut raw, mut length) = (Vec::new(), [0; 4]);
        loop {
            stream.read_exact(&mut length).await.expect("a length");
            let length = u32::from_be_bytes(length) as usize;
            if length == 0 {
                return raw;
            }
            let begin = raw.len();
            raw.resize(begin + length, 0);
            stream.read_exact(&mut raw[begin..]).await.expect("a chunk");
        }
    }

    async fn command(stream: &mut TcpStream) -> String {
        let mut said = Vec::new();
        loop {
            match stream.read_u8().await {
                Ok(0) | Err(_) => return String::from_utf8(said).expect("UTF-8"),
                Ok(byte) => said.push(byte),
            }
        }
    }

    /// A clamd that finds what contains `virus`, says what it took, and then `answer`, if there is one.
    async fn clamd(answer: Option<&'static str>) -> (Place, tokio::sync::mpsc::UnboundedReceiver<Vec<u8>>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("listens");
        let place = Place::Tcp(listener.local_addr().expect("an address").to_string());
        let (tell, told) = tokio::sync::mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let said = match command(&mut stream).await.as_str() {
                    "zVERSION" => "ClamAV 1.4.3/27400/Mon Nov 23 08:00:00 2026",
                    "zINSTREAM" => {
                        let raw = taken(&mut stream).await;
                        let is_virus = raw.windows(5).any(|word| word == b"virus");
                        let _ = tell.send(raw);
                        let found = if is_virus { "stream: Test.Virus-1 FOUND" } else { "stream: OK" };
                        answer.unwrap_or(found)
                    }
                    other => panic!("{other}"),
                };
                let _ = stream.write_all(format!("{said}\0").as_bytes()).await;
            }
        });
        (place, told)
    }

    #[tokio::test]
    async fn letters_come_whole_and_what_is_found_is_told_with_the_version() {
        let (place, mut told) = clamd(None).await;
        let clamav = ClamAv::new(place, WAIT, 1 << 20);
        let clean: Vec<u8> = (0..3 * CHUNK + 5).map(|number| (number % 251) as u8).collect();
        let report = clamav.scan(&letter(&clean)).await.expect("an answer");
        assert_eq!(told.recv().await, Some(clean));
        assert_eq!((report.version.as_str(), report.finding), ("ClamAV 1.4.3/27400", Finding::Clean));
        let report = clamav.scan(&letter(b"a virus")).await.expect("an answer");
        assert_eq!(report.finding, Finding::Virus("Test.Virus-1".to_owned()));
        assert!(clamav.scan(&letter(b"")).await.is_ok());
    }

    #[tokio::test]
    async fn what_is_too_large_is_refused_and_what_fails_is_not() {
        let refused =
            |scanned: Result<ScanReport, ScanError>| matches!(scanned, Err(ScanError::Refused { .. }));
        let failed =
            |scanned: Result<ScanReport, ScanError>| matches!(scanned, Err(ScanError::Failed { .. }));
        let (place, _told) = clamd(Some("INSTREAM size limit exceeded. ERROR")).await;
        assert!(refused(ClamAv::new(place.clone(), WAIT, 1 << 20).scan(&letter(b"x")).await));
        assert!(refused(ClamAv::new(place, WAIT, 3).scan(&letter(b"four")).await));
        for nonsense in ["", "Can't allocate memory ERROR", "UNKNOWN COMMAND", "220 mx.example ESMTP"] {
            let (place, _told) = clamd(Some(nonsense)).await;
            assert!(failed(ClamAv::new(place, WAIT, 1 << 20).scan(&letter(b"x")).await), "{nonsense}");
        }
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("listens");
        let silent = Place::Tcp(listener.local_addr().expect("an address").to_string());
        let clamav = ClamAv::new(silent.clone(), Duration::from_millis(200), 1 << 20);
        assert!(failed(clamav.scan(&letter(b"x")).await));
        drop(listener);
        let gone = ClamAv::new(silent, WAIT, 1 << 20).scan(&letter(b"x")).await;
        assert!(matches!(gone, Err(ScanError::Unavailable { .. })), "{gone:?}");
    }

    /// clamd stops reading where its limit is, and closes.
    #[tokio::test]
    async fn an_answer_is_heard_although_not_all_was_taken() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("listens");
        let place = Place::Tcp(listener.local_addr().expect("an address").to_string());
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.expect("a connection");
            command(&mut stream).await;
            let said = stream.write_all(b"INSTREAM size limit exceeded. ERROR\0").await;
            said.expect("said");
            let mut rest = vec![0; 1 << 20];
            while stream.read(&mut rest).await.is_ok_and(|read| read > 0) {}
        });
        let large = vec![b'x'; 4 << 20];
        let scanned = ClamAv::new(place, WAIT, 1 << 30).scan(&letter(&large)).await;
        assert!(matches!(scanned, Err(ScanError::Refused { .. })), "{scanned:?}");
    }

    #[tokio::test]
    async fn a_socket_of_the_machine_will_do() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("clamd.ctl");
        let listener = tokio::net::UnixListener::bind(&path).expect("listens");
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let _ = stream.write_all(b"stream: OK\0").await;
                let mut rest = [0; 1_024];
                while stream.read(&mut rest).await.is_ok_and(|read| read > 0) {}
            }
        });
        let report = ClamAv::new(Place::Unix(path), WAIT, 1 << 20).scan(&letter(b"x")).await;
        assert_eq!(report.map(|report| report.finding), Ok(Finding::Clean));
    }
}
