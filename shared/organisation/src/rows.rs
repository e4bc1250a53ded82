//! What a row says, or why it is refused.

use std::collections::BTreeSet;

use pennypost_directory::{
    AccountState, DirectoryError, GroupRules, MailAddress, Profile, ProfileField, Senders,
};

use crate::columns::Column;
use crate::reason::Reason;
use crate::size::parse_size;
use crate::table::{Row, is_formula, plain};

/// As much of a cell as is said back.
fn short(cell: &str) -> String {
    cell.chars().take(40).collect()
}

/// A person of a table.
#[derive(Debug, Clone)]
pub(crate) struct PersonRow {
    pub address: String,
    pub name: String,
    /// Paths of departments.
    pub departments: Vec<String>,
    pub profile: Profile,
    pub quota: Option<u64>,
    pub password: Option<String>,
    pub aliases: Vec<String>,
    pub state: AccountState,
}

/// A department of a table.
#[derive(Debug, Clone)]
pub(crate) struct DepartmentRow {
    pub path: String,
    pub description: String,
}

/// A group of a table.
#[derive(Debug, Clone)]
pub(crate) struct GroupRow {
    pub address: String,
    pub name: String,
    pub members: Vec<String>,
    /// Paths of departments whose people are members.
    pub departments: Vec<String>,
    pub rules: GroupRules,
}

/// The cells of a row by their columns.
pub(crate) struct Cells<'a> {
    columns: &'a [Column],
    row: &'a Row,
}

impl<'a> Cells<'a> {
    /// The cells, none of which would be calculated or is damaged.
    pub(crate) fn of(columns: &'a [Column], row: &'a Row) -> Result<Cells<'a>, Reason> {
        if row.cells.len() > columns.len() {
            return Err(Reason::Cells { found: row.cells.len(), known: columns.len() });
        }
        if row.is_merged {
            return Err(Reason::Merged);
        }
        for (column, cell) in columns.iter().zip(&row.cells) {
            let is_password = *column == Column::Password;
            if cell.contains('\u{fffd}') {
                // What is said of a row is kept, and others read it.
                return Err(Reason::Garbled(if is_password { "***".to_owned() } else { short(cell) }));
            }
            // A password may begin as it likes: no spreadsheet is told it.
            if is_formula(cell) && !is_password {
                return Err(Reason::Formula(short(cell)));
            }
        }
        Ok(Cells { columns, row })
    }

    fn cell(&self, column: Column) -> &'a str {
        let index = self.columns.iter().position(|known| *known == column);
        index.and_then(|index| self.row.cells.get(index)).map_or("", |cell| plain(cell))
    }

    fn list(&self, column: Column) -> Vec<String> {
        let parts = self.cell(column).split([';', '；', '\n', '|']).map(str::trim);
        parts.filter(|part| !part.is_empty()).map(str::to_owned).collect()
    }

    fn address(&self) -> Result<String, Reason> {
        let address = self.cell(Column::Address);
        if address.is_empty() {
            return Err(Reason::NoAddress);
        }
        if address.chars().any(char::is_whitespace) {
            return Err(Reason::Blank(address.to_owned()));
        }
        Ok(address.to_owned())
    }

    fn wrong(&self, column: Column) -> Reason {
        Reason::Word { cell: short(self.cell(column)), column }
    }

    /// The row as a person.
    pub(crate) fn person(&self) -> Result<PersonRow, Reason> {
        let mut profile = Profile::default();
        for (column, field) in [
            (Column::Title, ProfileField::Title),
            (Column::Phone, ProfileField::Phone),
            (Column::Mobile, ProfileField::Mobile),
            (Column::Number, ProfileField::Number),
            (Column::Note, ProfileField::Note),
        ] {
            profile.set(field, self.cell(column))?;
        }
        let quota = match self.cell(Column::Quota) {
            "" => None,
            quota => Some(parse_size(quota).map_err(|_| Reason::Size(short(quota)))?),
        };
        let password = Some(self.cell(Column::Password)).filter(|password| !password.is_empty());
        Ok(PersonRow {
            address: self.address()?,
            name: self.cell(Column::Name).to_owned(),
            departments: self.list(Column::Department),
            profile,
            quota,
            password: password.map(str::to_owned),
            aliases: self.list(Column::Aliases),
            state: self.state()?,
        })
    }

    fn state(&self) -> Result<AccountState, Reason> {
        match self.cell(Column::State).to_lowercase().as_str() {
            "" | "active" | "normal" | "正常" | "启用" => Ok(AccountState::Active),
            "disabled" | "禁用" | "停用" => Ok(AccountState::Disabled),
            _ => Err(self.wrong(Column::State)),
        }
    }

    /// The row as a department.
    pub(crate) fn department(&self) -> Result<DepartmentRow, Reason> {
        let path = self.cell(Column::Department).to_owned();
        if path.trim_matches(['/', ' ']).is_empty() {
            return Err(Reason::NoDepartment);
        }
        Ok(DepartmentRow { path, description: self.cell(Column::Description).to_owned() })
    }

    /// The row as a group.
    pub(crate) fn group(&self) -> Result<GroupRow, Reason> {
        let senders = match self.cell(Column::Senders).to_lowercase().as_str() {
            "" | "everyone" | "所有人" | "任何人" => Senders::Everyone,
            "inside" | "企业内" | "企业成员" => Senders::Inside,
            "members" | "群组成员" | "成员" => Senders::Members,
            "named" | "自定义" | "指定" => Senders::Named,
            _ => return Err(self.wrong(Column::Senders)),
        };
        let is_shared = match self.cell(Column::Shared).to_lowercase().as_str() {
            "" | "no" | "否" => false,
            "yes" | "是" => true,
            _ => return Err(self.wrong(Column::Shared)),
        };
        let mut named = BTreeSet::new();
        for address in self.list(Column::Allowed) {
            named.insert(MailAddress::parse(&address).map_err(DirectoryError::from)?);
        }
        let is_disabled = self.state()? == AccountState::Disabled;
        let rules = GroupRules { senders, named, is_shared, is_disabled, ..GroupRules::default() };
        Ok(GroupRow {
            address: self.address()?,
            name: self.cell(Column::Name).to_owned(),
            members: self.list(Column::Members),
            departments: self.list(Column::Department),
            rules,
        })
    }
}
