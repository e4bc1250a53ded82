//! Texts with variables (PMG-03): `{{姓名}}` stands for what the row has in the column of that name. Without I/O.

use pennypost_text::{Text, say};

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

/// Why a text is no template for a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TemplateProblem {
    /// No column has that name.
    Unknown(String),
    /// `{{` without `}}`.
    Open,
}

impl TemplateProblem {
    /// For people.
    #[must_use]
    pub fn message(&self, text: &Text) -> String {
        match self {
            TemplateProblem::Unknown(name) => say!(text, "mailing-variable", name = name),
            TemplateProblem::Open => say!(text, "mailing-open"),
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
pub struct Template<'a>(Vec<Piece<'a>>);

impl<'a> Template<'a> {
    /// Reads a text for a table with these columns.
    ///
    /// # Errors
    /// [`TemplateProblem`].
    pub fn read(text: &'a str, headings: &[String]) -> Result<Template<'a>, TemplateProblem> {
        let (mut pieces, mut rest) = (Vec::new(), text);
        while let Some((before, behind)) = rest.split_once("{{") {
            let (name, after) = behind.split_once("}}").ok_or(TemplateProblem::Open)?;
            let wanted = name.trim();
            let column = headings.iter().position(|heading| heading == wanted);
            let unknown = || TemplateProblem::Unknown(wanted.chars().take(80).collect());
            pieces.extend([Piece::Said(before), Piece::Column(column.ok_or_else(unknown)?)]);
            rest = after;
        }
        pieces.push(Piece::Said(rest));
        Ok(Template(pieces))
    }

    /// The text for a row.
    #[must_use]
    pub fn fill(&self, cells: &[String], fill: Fill) -> String {
        let mut filled = String::new();
        for piece in &self.0 {
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
        filled
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
            assert_eq!(Template::read(text, &headings).expect(text).fill(&cells, into), expected);
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
        assert_eq!(Template::read("{{a}}", &headings).expect("read").fill(&cells, Fill::Plain), "{{b}}");
    }
}
