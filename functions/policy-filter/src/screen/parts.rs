//! Which parts of a letter hold the virus that a scanner has found in it (RCV-15): it is asked about each by itself, and then about what would be
//! left without those that it speaks against. Only if it finds nothing in that do recipients get it.
//!
//! What goes wrong here is in nobody's way: then nothing is given, and recipients are told as they are without this.

use std::time::Duration;

use pennypost_mime::without::Divisible;
use pennypost_model::scan::Finding;
use pennypost_policy::scanning::MAX_INFECTED;
use pennypost_ports::{ScanLetter, Scanner};
use pennypost_reports::without_infected;

/// For all that is asked here: less than what a scanner for spam takes, which is not asked then.
const WITHIN: Duration = Duration::from_secs(10);

/// The numbers of the infected parts; none, if the rest is not to be given.
pub(super) async fn infected(scanner: &dyn Scanner, letter: &ScanLetter<'_>, virus: &str) -> Vec<u32> {
    let found = tokio::time::timeout(WITHIN, found(scanner, letter, virus)).await;
    found.ok().flatten().unwrap_or_default()
}

async fn found(scanner: &dyn Scanner, letter: &ScanLetter<'_>, virus: &str) -> Option<Vec<u32>> {
    let divisible = Divisible::of(letter.raw)?;
    let mut infected = Vec::new();
    for (number, part) in divisible.leaves() {
        if is_infected(scanner, letter, &divisible.decoded(part)).await? {
            infected.push(number);
        }
    }
    if infected.len() > MAX_INFECTED {
        return None;
    }
    let rest = without_infected(&divisible, virus, &infected)?;
    // It may lie between parts, or where a scanner sees parts and the post office does not.
    (!is_infected(scanner, letter, &rest).await?).then_some(infected)
}

/// What a scanner says of these bytes; `None` if it says nothing.
async fn is_infected(scanner: &dyn Scanner, letter: &ScanLetter<'_>, raw: &[u8]) -> Option<bool> {
    let asked = ScanLetter {
        id: letter.id,
        raw,
        reverse_path: letter.reverse_path,
        recipients: letter.recipients,
        ip: letter.ip,
        helo: letter.helo,
    };
    match scanner.scan(&asked).await.ok()?.finding {
        Finding::Virus(_) => Some(true),
        Finding::Clean => Some(false),
        Finding::Spam(_) | Finding::Unscanned(_) => None,
    }
}
