//! The sheets of a workbook (XLSX, ECMA-376 part 1, section 18) as tables: the texts that its cells show.
//!
//! A cell with a formula is given as that formula, with a `=` in front, and a row that a merged cell touches is marked: such
//! rows are refused by name, because what they show is not what stands in them.

use std::borrow::Cow;
use std::collections::HashMap;

use quick_xml::Reader;
use quick_xml::events::{BytesRef, BytesStart, Event};

use crate::table::{Formulas, MAX_ROWS, Row, Table, TableError};
use crate::zip::{Archive, Unread};

/// Bytes of the files of a workbook, unpacked, where nobody wants less.
pub const MAX_UNPACKED: usize = 256_000_000;
/// Sheets that are read.
pub(crate) const MAX_SHEETS: usize = 20;
/// Columns of a sheet.
const MAX_COLUMNS: usize = 100;
/// Sheets and relations that a workbook names.
const MAX_NAMED: usize = 1_000;
/// Bytes that a text takes besides its own.
const TEXT: usize = size_of::<String>();

type Xml<'a> = Reader<&'a [u8]>;

/// What may still be made of a workbook. A few bytes of it can stand for many: cells name texts that stand there once, and
/// sheets name one file.
struct Room {
    /// Bytes of files.
    files: usize,
    /// Bytes of texts, with what they take themselves.
    texts: usize,
    /// Rows of all sheets.
    rows: usize,
}

impl Room {
    /// A file of the workbook; `None` if there is none.
    fn file(&mut self, archive: &Archive<'_>, name: &str) -> Result<Option<Vec<u8>>, TableError> {
        match archive.file(name, self.files) {
            Ok(bytes) => {
                self.files -= bytes.len();
                Ok(Some(bytes))
            }
            Err(Unread::Missing) => Ok(None),
            Err(Unread::Large) => Err(TableError::Unpacked),
            Err(Unread::Damaged) => Err(TableError::Workbook),
        }
    }

    fn keep(&mut self, bytes: usize) -> Result<(), TableError> {
        self.texts = self.texts.checked_sub(bytes).ok_or(TableError::Unpacked)?;
        Ok(())
    }

    fn keep_row(&mut self) -> Result<(), TableError> {
        self.rows = self.rows.checked_sub(1).ok_or(TableError::Rows)?;
        Ok(())
    }
}

/// The tables of a workbook: its sheets that are not empty. Its files may have `unpacked` bytes together, and so may the
/// texts of its cells.
pub(super) fn read(bytes: &[u8], unpacked: usize, formulas: Formulas) -> Result<Vec<Table>, TableError> {
    let archive = Archive::open(bytes).ok_or(TableError::Workbook)?;
    let mut room = Room { files: unpacked, texts: unpacked, rows: MAX_ROWS };
    let workbook = room.file(&archive, "xl/workbook.xml")?.ok_or(TableError::Workbook)?;
    let relations = room.file(&archive, "xl/_rels/workbook.xml.rels")?.ok_or(TableError::Workbook)?;
    let texts = match room.file(&archive, "xl/sharedStrings.xml")? {
        Some(texts) => shared_texts(&texts, &mut room)?,
        None => Vec::new(),
    };
    let targets = attributes(&relations, b"Relationship", [b"Id", b"Target"]).ok_or(TableError::Workbook)?;
    let targets: HashMap<String, String> = targets.into_iter().map(|[id, target]| (id, target)).collect();
    let sheets = attributes(&workbook, b"sheet", [b"id", b"name"]).ok_or(TableError::Workbook)?;
    // What is left out would not be missed by whoever imports it.
    if sheets.len() > MAX_SHEETS {
        return Err(TableError::Sheets);
    }
    let mut tables = Vec::new();
    for [id, sheet_name] in sheets {
        let target = targets.get(&id).ok_or(TableError::Workbook)?;
        let name = match target.strip_prefix('/') {
            Some(name) => name.to_owned(),
            None => format!("xl/{target}"),
        };
        let sheet = room.file(&archive, &name)?.ok_or(TableError::Workbook)?;
        let mut table = sheet_table(&sheet, (&texts, formulas), &mut room)?;
        table.sheet = Some(sheet_name);
        if !table.head.is_empty() {
            tables.push(table);
        }
    }
    Ok(tables)
}

/// Two attributes of each element of a name; their prefixes do not matter. `None` for more than [`MAX_NAMED`].
fn attributes(xml: &[u8], element: &[u8], names: [&[u8]; 2]) -> Option<Vec<[String; 2]>> {
    let mut reader = Reader::from_reader(xml);
    let mut found = Vec::new();
    loop {
        match reader.read_event().ok()? {
            Event::Start(start) | Event::Empty(start) if start.local_name().as_ref() == element => {
                if found.len() >= MAX_NAMED {
                    return None;
                }
                let values = names.map(|name| attribute(&reader, &start, name).unwrap_or_default());
                found.push(values);
            }
            Event::Eof => return Some(found),
            _ => {}
        }
    }
}

fn attribute(reader: &Xml<'_>, start: &BytesStart<'_>, name: &[u8]) -> Option<String> {
    let mut attributes = start.attributes();
    let mut same = attributes
        .with_checks(false)
        .filter_map(Result::ok)
        .filter(|attribute| attribute.key.local_name().as_ref() == name);
    let value = same.next()?.decode_and_unescape_value(reader.decoder()).ok()?;
    Some(value.into_owned())
}

/// A character that is written as a reference.
fn referred(reference: &BytesRef<'_>) -> Option<String> {
    if let Ok(Some(c)) = reference.resolve_char_ref() {
        return Some(c.to_string());
    }
    quick_xml::escape::resolve_xml_entity(&reference.decode().ok()?).map(str::to_owned)
}

/// The texts to which cells refer, without how they are read out.
fn shared_texts(xml: &[u8], room: &mut Room) -> Result<Vec<String>, TableError> {
    let broken = || TableError::Workbook;
    let mut reader = Reader::from_reader(xml);
    let mut texts: Vec<String> = Vec::new();
    let (mut is_text, mut is_reading) = (false, false);
    loop {
        match reader.read_event().map_err(|_| broken())? {
            Event::Start(start) => match start.local_name().as_ref() {
                b"si" => {
                    room.keep(TEXT)?;
                    texts.push(String::new());
                }
                b"t" => is_text = !is_reading,
                b"rPh" => is_reading = true,
                _ => {}
            },
            Event::Empty(start) if start.local_name().as_ref() == b"si" => {
                room.keep(TEXT)?;
                texts.push(String::new());
            }
            Event::End(end) => match end.local_name().as_ref() {
                b"t" => is_text = false,
                b"rPh" => is_reading = false,
                _ => {}
            },
            Event::Text(text) if is_text => {
                let text = text.decode().map_err(|_| broken())?;
                room.keep(text.len())?;
                texts.last_mut().ok_or_else(broken)?.push_str(&text);
            }
            Event::GeneralRef(reference) if is_text => {
                let text = referred(&reference).ok_or_else(broken)?;
                room.keep(text.len())?;
                texts.last_mut().ok_or_else(broken)?.push_str(&text);
            }
            Event::Eof => return Ok(texts),
            _ => {}
        }
    }
}

/// A cell as it is being read.
#[derive(Default)]
struct Cell {
    column: usize,
    kind: String,
    formula: Option<String>,
    value: String,
}

impl Cell {
    /// What it shows; `None` if that is not there.
    fn text<'a>(&'a self, texts: &'a [String], formulas: Formulas) -> Option<Cow<'a, str>> {
        match (&self.formula, formulas) {
            (Some(formula), Formulas::Named) => return Some(format!("={formula}").into()),
            // Nobody has calculated it: what it shows is not in the file.
            (Some(_), Formulas::Values) if self.value.is_empty() && matches!(&*self.kind, "" | "n") => {
                return Some("\u{fffd}".into());
            }
            (Some(_), Formulas::Values) | (None, _) => {}
        }
        Some(match self.kind.as_str() {
            "s" => texts.get(self.value.trim().parse::<usize>().ok()?)?.as_str().into(),
            "" | "n" => number(&self.value).into(),
            _ => self.value.as_str().into(),
        })
    }
}

/// A number as people write it: telephone numbers are stored as if they were measured.
fn number(text: &str) -> String {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    match text.trim().parse::<f64>() {
        Ok(number) if number.fract() == 0.0 && number.abs() < EXACT => format!("{number:.0}"),
        _ => text.trim().to_owned(),
    }
}

/// Column and row, from 0, of a reference such as `AB12`.
fn place(reference: &str) -> Option<(usize, u64)> {
    let digits = reference.find(|c: char| c.is_ascii_digit())?;
    let (letters, digits) = reference.split_at(digits);
    let mut column = 0_usize;
    for letter in letters.bytes() {
        let value = usize::from(letter.to_ascii_uppercase().checked_sub(b'A')?) + 1;
        column = column.checked_mul(26)?.checked_add(value)?;
    }
    Some((column.checked_sub(1)?, digits.parse::<u64>().ok()?.checked_sub(1)?))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Inside {
    Nothing,
    Formula,
    Value,
}

fn sheet_table(
    xml: &[u8],
    (texts, formulas): (&[String], Formulas),
    room: &mut Room,
) -> Result<Table, TableError> {
    let broken = || TableError::Workbook;
    let mut reader = Reader::from_reader(xml);
    let mut table = Table { sheet: None, head: Vec::new(), rows: Vec::new() };
    // Regions of merged cells: their first and last lines.
    let mut merged = Vec::new();
    let mut line = 0_u64;
    let mut cells: Vec<String> = Vec::new();
    let mut cell: Option<Cell> = None;
    let mut inside = Inside::Nothing;
    let mut next_column = 0;
    loop {
        let event = reader.read_event().map_err(|_| broken())?;
        let is_empty = matches!(event, Event::Empty(_));
        match event {
            Event::Start(start) | Event::Empty(start) => match start.local_name().as_ref() {
                b"row" => {
                    let said = attribute(&reader, &start, b"r").and_then(|number| number.parse().ok());
                    line = said.unwrap_or(line + 1);
                    cells.clear();
                    next_column = 0;
                }
                b"c" => {
                    let said = attribute(&reader, &start, b"r").and_then(|reference| place(&reference));
                    let column = said.map_or(next_column, |(column, _)| column);
                    if column >= MAX_COLUMNS {
                        return Err(TableError::Workbook);
                    }
                    next_column = column + 1;
                    let kind = attribute(&reader, &start, b"t").unwrap_or_default();
                    cell = (!is_empty).then(|| Cell { column, kind, ..Cell::default() });
                }
                b"f" => {
                    if let Some(cell) = &mut cell {
                        cell.formula = Some(String::new());
                        inside = if is_empty { Inside::Nothing } else { Inside::Formula };
                    }
                }
                b"v" | b"t" if !is_empty => inside = Inside::Value,
                b"mergeCell" => {
                    room.keep(size_of::<(u64, u64)>())?;
                    let reference = attribute(&reader, &start, b"ref");
                    merged.extend(reference.and_then(|reference| lines_of(&reference)));
                }
                _ => {}
            },
            Event::Text(text) => add(cell.as_mut(), inside, &text.decode().map_err(|_| broken())?),
            Event::GeneralRef(reference) => {
                add(cell.as_mut(), inside, &referred(&reference).ok_or_else(broken)?);
            }
            Event::End(end) => match end.local_name().as_ref() {
                b"f" | b"v" | b"t" => inside = Inside::Nothing,
                b"c" => {
                    if let Some(read) = cell.take() {
                        let column = read.column;
                        let text = read.text(texts, formulas).ok_or_else(broken)?;
                        let text = text.trim();
                        // Also of what takes the place of another.
                        room.keep(text.len())?;
                        if cells.len() <= column {
                            cells.resize(column + 1, String::new());
                        }
                        cells[column] = text.to_owned();
                    }
                }
                b"row" => end_row(&mut table, line, std::mem::take(&mut cells), room)?,
                _ => {}
            },
            Event::Eof => {
                mark_merged(&mut table, merged);
                return Ok(table);
            }
            _ => {}
        }
    }
}

fn add(cell: Option<&mut Cell>, inside: Inside, text: &str) {
    let Some(cell) = cell else { return };
    match inside {
        Inside::Formula => cell.formula.get_or_insert_default().push_str(text),
        Inside::Value => cell.value.push_str(text),
        Inside::Nothing => {}
    }
}

fn end_row(table: &mut Table, line: u64, cells: Vec<String>, room: &mut Room) -> Result<(), TableError> {
    if cells.iter().all(String::is_empty) {
        return Ok(());
    }
    room.keep(cells.len() * TEXT)?;
    if table.head.is_empty() {
        table.head = cells;
        return Ok(());
    }
    room.keep_row()?;
    table.rows.push(Row { line, cells, is_merged: false });
    Ok(())
}

/// The first and the last line of a region such as `A2:B3`.
fn lines_of(reference: &str) -> Option<(u64, u64)> {
    let (from, to) = reference.split_once(':')?;
    let ((_, from), (_, to)) = (place(from)?, place(to)?);
    Some((from.saturating_add(1), to.saturating_add(1)))
}

/// Marks the rows that merged regions touch.
fn mark_merged(table: &mut Table, mut regions: Vec<(u64, u64)>) {
    regions.sort_unstable();
    // Those that overlap are made one, so that a row is looked for only once.
    regions.dedup_by(|next, before| {
        let is_within = next.0 <= before.1;
        if is_within {
            before.1 = before.1.max(next.1);
        }
        is_within
    });
    for row in &mut table.rows {
        let begun = regions.partition_point(|(from, _)| *from <= row.line);
        let last = begun.checked_sub(1).and_then(|index| regions.get(index));
        row.is_merged = last.is_some_and(|(_, to)| row.line <= *to);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::zip::tests::archive;

    fn read(bytes: &[u8], unpacked: usize) -> Result<Vec<Table>, TableError> {
        super::read(bytes, unpacked, Formulas::Named)
    }

    const RELATIONS: &str = "<Relationships><Relationship Id=\"rId7\" Target=\"worksheets/sheet1.xml\"/>\
        <Relationship Id=\"rId8\" Target=\"/xl/worksheets/sheet2.xml\"/></Relationships>";
    const WORKBOOK: &str = "<workbook xmlns:r=\"x\"><sheets><sheet name=\"People\" sheetId=\"1\" r:id=\"rId7\"/>\
        <sheet name=\"Empty\" sheetId=\"2\" r:id=\"rId8\"/></sheets></workbook>";
    const TEXTS: &str = "<sst><si><t>邮箱</t></si><si><r><t>王</t></r><r><t xml:space=\"preserve\">小明 </t></r>\
        <rPh><t>wang</t></rPh></si><si><t>a &amp; b&#33;</t></si></sst>";

    fn workbook(sheet: &str) -> Result<Vec<Table>, TableError> {
        let files = [
            ("xl/workbook.xml", WORKBOOK),
            ("xl/_rels/workbook.xml.rels", RELATIONS),
            ("xl/sharedStrings.xml", TEXTS),
            ("xl/worksheets/sheet1.xml", sheet),
            ("xl/worksheets/sheet2.xml", "<worksheet><sheetData/></worksheet>"),
        ];
        read(&archive(&files, true), MAX_UNPACKED)
    }

    #[test]
    fn cells_are_what_they_show() {
        let sheet = "<worksheet><sheetData>\
            <row r=\"1\"><c r=\"A1\" t=\"s\"><v>0</v></c><c r=\"C1\" t=\"inlineStr\"><is><t>手机</t></is></c></row>\
            <row r=\"2\"/>\
            <row r=\"4\"><c r=\"A4\" t=\"s\"><v>1</v></c><c r=\"B4\" s=\"3\"/><c r=\"C4\"><v>1.38E10</v></c></row>\
            <row><c t=\"str\"><f>A1&amp;\"x\"</f><v>shown</v></c><c><v>2.50</v></c><c t=\"b\"><v>1</v></c></row>\
            <row><c t=\"s\"><v>2</v></c></row>\
            <row r=\"9\"><c r=\"A9\"><v>7</v></c></row>\
            </sheetData><mergeCells><mergeCell ref=\"A8:B9\"/></mergeCells></worksheet>";
        let tables = workbook(sheet).expect("read");
        assert_eq!(tables.len(), 1);
        assert_eq!(tables[0].head, ["邮箱", "", "手机"]);
        let rows: Vec<_> =
            tables[0].rows.iter().map(|row| (row.line, row.cells.join("|"), row.is_merged)).collect();
        let row = |line, cells: &str, is_merged| (line, cells.to_owned(), is_merged);
        assert_eq!(
            rows,
            [
                row(4, "王小明||13800000000", false),
                row(5, "=A1&\"x\"|2.50|1", false),
                row(6, "a & b!", false),
                row(9, "7", true),
            ]
        );
    }

    #[test]
    fn damage_is_no_panic_and_no_table() {
        let cell = |cell: &str| {
            workbook(&format!("<worksheet><sheetData><row>{cell}</row></sheetData></worksheet>"))
        };
        for bad in [
            "<c t=\"s\"><v>99</v></c>",
            "<c t=\"s\"><v>x</v></c>",
            "<c r=\"XFD1\"><v>1</v></c>",
            "<c><v>&nobody;</v></c>",
            "<c></row>",
        ] {
            assert!(cell(bad).is_err(), "{bad}");
        }
        assert!(cell("<c r=\"?\"><v>1</v></c>").is_ok());
        for bytes in [&b""[..], b"PK\x03\x04", b"PK\x03\x04 and nothing else"] {
            assert!(read(bytes, MAX_UNPACKED).is_err());
        }
        assert!(read(&archive(&[("xl/workbook.xml", WORKBOOK)], false), MAX_UNPACKED).is_err());
    }

    /// What is unpacked is bounded, and so is what is made of it.
    #[test]
    fn a_few_bytes_do_not_become_many() {
        let read_at = |sheet: &str, texts: &str, sheets: usize, unpacked: usize| {
            let named: String =
                (0..sheets).map(|number| format!("<sheet name=\"S{number}\" r:id=\"rId7\"/>")).collect();
            let workbook = format!("<workbook xmlns:r=\"x\"><sheets>{named}</sheets></workbook>");
            let files = [
                ("xl/workbook.xml", workbook.as_str()),
                ("xl/_rels/workbook.xml.rels", RELATIONS),
                ("xl/sharedStrings.xml", texts),
                ("xl/worksheets/sheet1.xml", sheet),
            ];
            read(&archive(&files, true), unpacked).map(|tables| tables.len())
        };
        let table = |rows: &str| {
            format!(
                "<worksheet><sheetData><row><c t=\"str\"><v>a</v></c></row>{rows}</sheetData></worksheet>"
            )
        };
        // One long text in many cells, each in a row of its own or all in one place.
        let texts = format!("<sst><si><t>{}</t></si></sst>", "x".repeat(10_000));
        let (cell, again) = ("<row><c t=\"s\"><v>0</v></c></row>", "<c r=\"A2\" t=\"s\"><v>0</v></c>");
        assert_eq!(read_at(&table(&cell.repeat(90)), &texts, 1, 1_000_000), Ok(1));
        assert_eq!(read_at(&table(&cell.repeat(110)), &texts, 1, 1_000_000), Err(TableError::Unpacked));
        let row = format!("<row>{}</row>", again.repeat(110));
        assert_eq!(read_at(&table(&row), &texts, 1, 1_000_000), Err(TableError::Unpacked));
        // Rows that are wide and empty, and texts that are nothing.
        let wide = table(&"<row><c r=\"CV2\"><v>1</v></c></row>".repeat(500));
        assert_eq!(read_at(&wide, "<sst/>", 1, 1_000_000), Err(TableError::Unpacked));
        let nothing = format!("<sst>{}</sst>", "<si/>".repeat(50_000));
        assert_eq!(read_at(&table(""), &nothing, 1, 1_000_000), Err(TableError::Unpacked));
        // One file as many sheets: their rows count together.
        let rows = table(&"<row><c><v>1</v></c></row>".repeat(MAX_ROWS / 10));
        assert_eq!(read_at(&rows, "<sst/>", 10, MAX_UNPACKED), Ok(10));
        assert_eq!(read_at(&rows, "<sst/>", 11, MAX_UNPACKED), Err(TableError::Rows));
        assert_eq!(read_at(&rows, "<sst/>", 10, 1_000_000), Err(TableError::Unpacked));
        // What is not read is not left out in silence.
        assert_eq!(read_at(&table(""), "<sst/>", MAX_SHEETS, MAX_UNPACKED), Ok(MAX_SHEETS));
        assert_eq!(read_at(&table(""), "<sst/>", MAX_SHEETS + 1, MAX_UNPACKED), Err(TableError::Sheets));
        assert_eq!(read_at(&table(""), "<sst/>", MAX_NAMED + 1, MAX_UNPACKED), Err(TableError::Workbook));
    }

    #[test]
    fn regions_that_overlap_mark_their_rows_once() {
        let row = |line| Row { line, cells: Vec::new(), is_merged: false };
        let mut table = Table { sheet: None, head: Vec::new(), rows: [2, 9, 3, 5, 7, 8].map(row).into() };
        mark_merged(&mut table, vec![(5, 6), (2, 3), (1, 2), (8, 8), (5, 5)]);
        let marked: Vec<u64> = table.rows.iter().filter(|row| row.is_merged).map(|row| row.line).collect();
        assert_eq!(marked, [2, 3, 5, 8]);
    }

    /// A workbook that another program has written (openpyxl).
    #[test]
    fn a_foreign_workbook_is_read() {
        let tables = read(include_bytes!("testdata/people.xlsx"), MAX_UNPACKED).expect("read");
        let large = read(include_bytes!("testdata/people.xlsx"), 100);
        assert_eq!(large.map(|tables| tables.len()), Err(TableError::Unpacked));
        let heads: Vec<_> = tables.iter().map(|table| table.head.join(",")).collect();
        assert_eq!(heads, ["姓名,邮箱,部门,手机,工号", "部门,说明"]);
        let rows: Vec<_> =
            tables[0].rows.iter().map(|row| (row.line, row.cells.join("|"), row.is_merged)).collect();
        let row = |line, cells: &str, is_merged| (line, cells.to_owned(), is_merged);
        assert_eq!(
            rows,
            [
                row(2, "王小明|wxm@acme.example|研发/后端; 销售|13800000000|0017", false),
                row(3, "公式|=\"x\"&\"@acme.example\"", false),
                row(5, "合并|m@acme.example|研发", true),
                row(6, "|n@acme.example|研发", true),
            ]
        );
    }

    #[test]
    fn whoever_wants_values_gets_what_formulas_came_to() {
        let sheet = "<worksheet><sheetData><row><c t=\"inlineStr\"><is><t>a</t></is></c></row>\
            <row><c t=\"str\"><f>A1</f><v>shown</v></c><c><f>1+1</f><v>2</v></c><c><f>1+1</f></c>\
            <c t=\"str\"><f>B1</f><v></v></c><c t=\"inlineStr\"><is><t>=text</t></is></c></row></sheetData></worksheet>";
        let files = [
            ("xl/workbook.xml", WORKBOOK),
            ("xl/_rels/workbook.xml.rels", RELATIONS),
            ("xl/sharedStrings.xml", TEXTS),
            ("xl/worksheets/sheet1.xml", sheet),
            ("xl/worksheets/sheet2.xml", "<worksheet><sheetData/></worksheet>"),
        ];
        let tables = super::read(&archive(&files, true), MAX_UNPACKED, Formulas::Values).expect("read");
        assert_eq!(tables[0].rows[0].cells, ["shown", "2", "\u{fffd}", "", "=text"]);
    }
}
