//! From files to rows.

use std::collections::HashMap;

use pennypost_directory::MailAddress;

use crate::columns::{Column, Kind};
use crate::reason::{FileError, Reason};
use crate::rows::{Cells, DepartmentRow, GroupRow, PersonRow};
use crate::table::{self, Formulas, Row};

/// Where a row stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The file, with the sheet of a workbook.
    pub file: String,
    /// The line on which it begins, from 1.
    pub line: u64,
}

/// A row that is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// Where it stands.
    pub place: Place,
    /// Why.
    pub reason: Reason,
}

/// The good rows of all files.
#[derive(Debug, Clone, Default)]
pub struct Rows {
    pub(crate) departments: Vec<(Place, DepartmentRow)>,
    pub(crate) people: Vec<(Place, PersonRow)>,
    pub(crate) groups: Vec<(Place, GroupRow)>,
}

impl Rows {
    /// Reads the tables of a file that is called `name`; the parts of a workbook may have `unpacked` bytes together when they
    /// are unpacked, and so may the texts of its cells. Rows that can't be are refused.
    ///
    /// # Errors
    /// [`FileError`]; what was read of earlier files stays.
    pub fn read(
        &mut self,
        name: &str,
        bytes: &[u8],
        unpacked: usize,
        refused: &mut Vec<Refused>,
    ) -> Result<(), FileError> {
        let tables = table::read(bytes, unpacked, Formulas::Named);
        let tables = tables.map_err(|error| FileError::of(error, unpacked))?;
        for table in tables {
            let file = match &table.sheet {
                Some(sheet) => format!("{name} [{sheet}]"),
                None => name.to_owned(),
            };
            let (kind, columns) = Kind::of(&table.head).map_err(|column| FileError::Columns {
                file: file.clone(),
                column: column.chars().take(80).collect(),
            })?;
            for row in &table.rows {
                let place = Place { file: file.clone(), line: row.line };
                if let Err(reason) = self.read_row(kind, &columns, row, &place) {
                    refused.push(Refused { place, reason });
                }
            }
        }
        Ok(())
    }

    fn read_row(&mut self, kind: Kind, columns: &[Column], row: &Row, place: &Place) -> Result<(), Reason> {
        let cells = Cells::of(columns, row)?;
        match kind {
            Kind::Departments => self.departments.push((place.clone(), cells.department()?)),
            Kind::People => self.people.push((place.clone(), cells.person()?)),
            Kind::Groups => self.groups.push((place.clone(), cells.group()?)),
        }
        Ok(())
    }

    /// Refuses rows whose address, or one of whose aliases, stands in an earlier row.
    pub fn refuse_doubles(&mut self, refused: &mut Vec<Refused>) {
        let mut seen = HashMap::new();
        self.people.retain(|(place, row)| {
            let addresses = std::iter::once(&row.address).chain(&row.aliases);
            is_new(&mut seen, place, addresses, refused)
        });
        self.groups.retain(|(place, row)| is_new(&mut seen, place, std::iter::once(&row.address), refused));
    }

    /// How many rows there are of each kind: departments, people, groups.
    #[must_use]
    pub fn counts(&self) -> [usize; 3] {
        [self.departments.len(), self.people.len(), self.groups.len()]
    }
}

/// The domain of an address.
pub(crate) fn domain_of(address: &str) -> Option<String> {
    MailAddress::parse(address).ok().map(|address| address.domain().to_string())
}

fn is_new<'a>(
    seen: &mut HashMap<String, Place>,
    place: &Place,
    addresses: impl Iterator<Item = &'a String>,
    refused: &mut Vec<Refused>,
) -> bool {
    let mut canonical = Vec::new();
    for address in addresses {
        let address = MailAddress::parse(address).map_or_else(|_| address.clone(), |found| found.to_string());
        if let Some(first) = seen.get(&address) {
            let reason = Reason::Twice { address, first: first.clone() };
            refused.push(Refused { place: place.clone(), reason });
            return false;
        }
        canonical.push(address);
    }
    seen.extend(canonical.into_iter().map(|address| (address, place.clone())));
    true
}
