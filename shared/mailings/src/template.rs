//! Texts with variables (PMG-03): `{{姓名}}` stands for what the row has in the column of that name. Without I/O.

use pennypost_text::{Text, say};

/// Bytes of a body of one letter, with what the row says in it.
pub const MAX_FILLED: usize = 1_000_000;
/// The same of a subject.
const MAX_FILLED_LINE: usize = 10_000;

/// How what stands in a cell is put into a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fill {
    /// As it is.
    Plain,
    /// As text of HTML, whatever it looks like.
    Html,
    /// On one line: nothing in it ends a field of a header.
    Line,
}

impl Fill {
    /// Bytes that a text has at most, filled.
    #[must_use]
    pub const fn most(self) -> usize {
        match self {
            Fill::Plain | Fill::Html => MAX_FILLED,
            Fill::Line => MAX_FILLED_LINE,
        }
    }

    /// Bytes of a cell, put into a text; perhaps fewer.
    fn length(self, cell: &str) -> usize {
        match self {
            Fill::Plain | Fill::Line => cell.len(),
            Fill::Html => escaped_length(cell),
        }
    }
}

/// Why a text is no template for a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TemplateProblem {
    /// No column has that name.
    Unknown(String),
    /// `{{` without `}}`.
    Open,
    /// With what the row on that line says it would have more than so many bytes.
    Long {
        /// The line of the table.
        line: u64,
        /// How many it may have.
        limit: usize,
    },
}

impl TemplateProblem {
    /// For people.
    #[must_use]
    pub fn message(&self, text: &Text) -> String {
        match self {
            TemplateProblem::Unknown(name) => say!(text, "mailing-variable", name = name),
            TemplateProblem::Open => say!(text, "mailing-open"),
            TemplateProblem::Long { line, limit } => {
                say!(text, "mailing-long", line = *line, limit = *limit / 1_000)
            }
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece<'a> {
    Said(&'a str),
    Column(usize),
}

/// A text with variables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template<'a> {
    pieces: Vec<Piece<'a>>,
    /// Bytes of all but its variables.
    said: usize,
    /// How often each column stands in it.
    uses: Vec<usize>,
}

impl<'a> Template<'a> {
    /// Reads a text for a table with these columns.
    ///
    /// # Errors
    /// [`TemplateProblem`].
    pub fn read(text: &'a str, headings: &[String]) -> Result<Template<'a>, TemplateProblem> {
        let (mut pieces, mut rest) = (Vec::new(), text);
        let (mut said, mut uses) = (0, vec![0; headings.len()]);
        while let Some((before, behind)) = rest.split_once("{{") {
            let (name, after) = behind.split_once("}}").ok_or(TemplateProblem::Open)?;
            let wanted = name.trim();
            let column = headings.iter().position(|heading| heading == wanted);
            let unknown = || TemplateProblem::Unknown(wanted.chars().take(80).collect());
            let column = column.ok_or_else(unknown)?;
            uses[column] += 1;
            said += before.len();
            pieces.extend([Piece::Said(before), Piece::Column(column)]);
            rest = after;
        }
        said += rest.len();
        pieces.push(Piece::Said(rest));
        Ok(Template { pieces, said, uses })
    }

    /// Bytes of the text for a row, about, and no fewer than it has. No text is made for that.
    #[must_use]
    pub fn length(&self, cells: &[String], fill: Fill) -> usize {
        let of_columns = self.uses.iter().zip(cells).filter(|(times, _)| **times > 0);
        let of_columns = of_columns.map(|(times, cell)| times.saturating_mul(fill.length(cell)));
        of_columns.fold(self.said, usize::saturating_add)
    }

    /// The text for a row; none, if that would be longer than [`Fill::most`].
    #[must_use]
    pub fn fill(&self, cells: &[String], fill: Fill) -> Option<String> {
        if self.length(cells, fill) > fill.most() {
            return None;
        }
        let mut filled = String::new();
        for piece in &self.pieces {
            match piece {
                Piece::Said(said) => filled.push_str(said),
                Piece::Column(column) => {
                    let cell = cells.get(*column).map_or("", String::as_str);
                    match fill {
                        Fill::Plain => filled.push_str(cell),
                        Fill::Html => filled.push_str(&escaped(cell)),
                        Fill::Line => filled.push_str(&one_line(cell)),
                    }
                }
            }
        }
        Some(filled)
    }
}

/// A text within HTML, between tags or in quotes.
#[must_use]
pub fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            '\r' => {}
            '\n' => escaped.push_str("<br>"),
            c => escaped.push(c),
        }
    }
    escaped
}

/// Bytes of [`escaped`].
pub(crate) fn escaped_length(text: &str) -> usize {
    let lengths = text.bytes().map(|byte| match byte {
        b'&' | b'\'' => 5_usize,
        b'<' | b'>' | b'\n' => 4,
        b'"' => 6,
        b'\r' => 0,
        _ => 1,
    });
    lengths.sum()
}

/// A text without ends of lines and other characters that steer.
#[must_use]
pub fn one_line(text: &str) -> String {
    let is_break = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}');
    text.chars().map(|c| if is_break(c) { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_what_the_row_says() {
        let headings = ["姓名".to_owned(), "a b".to_owned()];
        let cells = ["王<b>".to_owned(), "1\r\n2".to_owned()];
        for (text, into, expected) in [
            ("hello", Fill::Plain, "hello"),
            ("{{姓名}}, {{ a b }}!", Fill::Plain, "王<b>, 1\r\n2!"),
            ("<p title=\"{{姓名}}\">{{a b}}</p>", Fill::Html, "<p title=\"王&lt;b&gt;\">1<br>2</p>"),
            ("x {{a b}} {y}", Fill::Line, "x 1  2 {y}"),
            ("}} {{姓名}}", Fill::Plain, "}} 王<b>"),
        ] {
            let template = Template::read(text, &headings).expect(text);
            assert_eq!(template.fill(&cells, into).as_deref(), Some(expected));
            assert!(template.length(&cells, into) >= expected.len(), "{text}");
        }
        for (text, problem) in [
            ("{{name}}", TemplateProblem::Unknown("name".to_owned())),
            ("{{", TemplateProblem::Open),
            ("{{姓名}} {{姓名", TemplateProblem::Open),
        ] {
            assert_eq!(Template::read(text, &headings), Err(problem), "{text}");
        }
    }

    #[test]
    fn a_cell_with_a_variable_in_it_stays_as_it_is() {
        let headings = ["a".to_owned(), "b".to_owned()];
        let cells = ["{{b}}".to_owned(), "secret".to_owned()];
        let filled = Template::read("{{a}}", &headings).expect("read").fill(&cells, Fill::Plain);
        assert_eq!(filled.as_deref(), Some("{{b}}"));
    }

    #[test]
    fn what_would_be_too_long_is_not_made() {
        let headings = ["a".to_owned()];
        let text = "{{a}}".repeat(100_000);
        let template = Template::read(&text, &headings).expect("read");
        for (cell, into, is_made) in [
            ("x".repeat(1_000_000), Fill::Html, false),
            ("x".repeat(10), Fill::Html, true),
            ("<".repeat(10), Fill::Html, false),
            ("<".repeat(10), Fill::Plain, true),
            ("x".to_owned(), Fill::Line, false),
        ] {
            assert_eq!(template.fill(&[cell], into).is_some(), is_made, "{into:?}");
        }
        for text in ["", "&<>\"'\r\n王", "plain"] {
            assert_eq!(escaped_length(text), escaped(text).len(), "{text}");
        }
    }
}
