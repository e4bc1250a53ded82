//! What is left of a letter in which a scanner has found a virus (RCV-15).

use pennypost_mime::without::Divisible;
use pennypost_text::{Lang, Text, plain, say};

/// Characters of the name of a virus that are told.
const VIRUS: usize = 60;
/// Characters of the name of a file that are told.
const FILE: usize = 100;

/// The letter without these parts, in whose places it is said what was taken out; `None` if it can't be given so. The same for the same
/// letter, whoever makes it: what a scanner was asked about is what its recipients get.
#[must_use]
pub fn without_infected(letter: &Divisible<'_>, virus: &str, infected: &[u32]) -> Option<Vec<u8>> {
    let texts = [Text::new(Lang::ZhCn), Text::new(Lang::En)];
    let virus = plain(virus, VIRUS);
    letter.without(infected, |name| {
        let file = plain(name, FILE);
        let said = texts.each_ref().map(|text| {
            let (virus, file) = (virus.as_str(), file.as_str());
            say!(text, "virus-part-taken-out", virus = virus, file = file)
        });
        format!("{}\r\n", said.join("\r\n\r\n"))
    })
}
