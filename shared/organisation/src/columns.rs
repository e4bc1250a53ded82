//! The columns of the tables, in English and Chinese.

use pennypost_text::Lang;

/// What a table is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Departments.
    Departments,
    /// People.
    People,
    /// Groups.
    Groups,
}

/// A column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Column {
    /// The address of an account or a group.
    Address,
    /// The name of a person or a group.
    Name,
    /// Paths of departments.
    Department,
    /// What a department is for.
    Description,
    /// What a person is.
    Title,
    /// Landline.
    Phone,
    /// Mobile.
    Mobile,
    /// Staff number.
    Number,
    /// A note.
    Note,
    /// Bytes that an account may hold.
    Quota,
    /// Its password.
    Password,
    /// Further addresses of it.
    Aliases,
    /// May it be used?
    State,
    /// Addresses in a group.
    Members,
    /// Who may send to a group.
    Senders,
    /// Those who may, where they are named.
    Allowed,
    /// Do members see the group?
    Shared,
    /// What an export says and an import leaves out.
    Ignored,
}

use Column as C;

/// Columns with their names: in English, in Chinese, and others under which people know them.
const NAMES: [(Column, &str, &str, &[&str]); 18] = [
    (
        C::Address,
        "address",
        "邮箱",
        &["email", "mail", "邮箱地址", "邮箱帐号", "邮箱账号", "地址", "群组地址"],
    ),
    (C::Name, "name", "姓名", &["名称", "群组名称", "显示名称"]),
    (C::Department, "department", "部门", &["departments", "所属部门", "部门路径"]),
    (C::Description, "description", "说明", &["描述"]),
    (C::Title, "title", "职务", &["职位"]),
    (C::Phone, "phone", "电话", &["座机", "固定电话"]),
    (C::Mobile, "mobile", "手机", &["手机号", "手机号码"]),
    (C::Number, "number", "工号", &["staff number", "员工编号"]),
    (C::Note, "note", "备注", &[]),
    (C::Quota, "quota", "容量", &["邮箱容量"]),
    (C::Password, "password", "密码", &["初始密码"]),
    (C::Aliases, "aliases", "别名", &["alias", "邮箱别名"]),
    (C::State, "state", "状态", &[]),
    (C::Members, "members", "成员", &["群组成员"]),
    (C::Senders, "senders", "使用范围", &[]),
    (C::Allowed, "allowed", "允许的发件人", &["使用者"]),
    (C::Shared, "shared", "共享", &[]),
    (C::Ignored, "created", "创建时间", &["tenant", "id", "accounts", "departments of it"]),
];

impl Column {
    /// The column that a head names; case and a `*` for required ones do not matter.
    fn named(head: &str) -> Option<Column> {
        let head = head.trim_matches(['*', ' ', '\u{feff}']).to_lowercase();
        let is_it = |(_, english, chinese, others): &&(Column, &str, &str, &[&str])| {
            head == *english || head == *chinese || others.contains(&head.as_str())
        };
        NAMES.iter().find(is_it).map(|(column, ..)| *column)
    }

    /// Its name.
    #[must_use]
    pub fn name(self, lang: Lang) -> &'static str {
        let found = NAMES.iter().find(|(column, ..)| *column == self);
        found.map_or("", |(_, english, chinese, _)| if lang == Lang::ZhCn { chinese } else { english })
    }

    /// What may stand in it.
    #[must_use]
    pub const fn example(self, kind: Kind) -> &'static str {
        match (self, kind) {
            (C::Address, Kind::Groups) => "team@example.com",
            (C::Address, _) => "wxm@example.com",
            (C::Name, Kind::Groups) => "Team",
            (C::Name, _) => "王小明",
            (C::Department, Kind::Departments) => "研发/后端",
            (C::Department, _) => "研发/后端; 销售",
            (C::Title, _) => "Engineer",
            (C::Phone, _) => "+86 10 1234 5678",
            (C::Mobile, _) => "13800000000",
            (C::Number, _) => "0017",
            (C::Quota, _) => "10GB",
            (C::Aliases, _) => "xm.wang@example.com",
            (C::State, _) => "active",
            (C::Members, _) => "wxm@example.com; ann@example.com",
            (C::Senders, _) => "inside",
            (C::Shared, _) => "yes",
            (C::Description | C::Note | C::Password | C::Allowed | C::Ignored, _) => "",
        }
    }
}

impl Kind {
    /// Its columns, in the order of an export.
    #[must_use]
    pub const fn columns(self) -> &'static [Column] {
        match self {
            Kind::Departments => &[C::Department, C::Description],
            Kind::People => &[
                C::Address,
                C::Name,
                C::Department,
                C::Title,
                C::Phone,
                C::Mobile,
                C::Number,
                C::Note,
                C::Quota,
                C::Aliases,
                C::State,
                C::Password,
            ],
            Kind::Groups => {
                &[C::Address, C::Name, C::Members, C::Department, C::Senders, C::Allowed, C::Shared, C::State]
            }
        }
    }

    /// What a table with these columns is of, and which stands where. The error is the column that has no place in it,
    /// stands twice, or is missing.
    pub(crate) fn of(head: &[String]) -> Result<(Kind, Vec<Column>), String> {
        let mut columns = Vec::with_capacity(head.len());
        for name in head {
            let column =
                if name.is_empty() { C::Ignored } else { Column::named(name).ok_or_else(|| name.clone())? };
            if column != C::Ignored && columns.contains(&column) {
                return Err(name.clone());
            }
            columns.push(column);
        }
        let kind = match (
            columns.contains(&C::Address),
            columns.iter().any(|column| matches!(column, C::Members | C::Senders)),
        ) {
            (true, true) => Kind::Groups,
            (true, false) => Kind::People,
            (false, _) if columns.contains(&C::Department) => Kind::Departments,
            (false, _) => return Err(head.join(",")),
        };
        let stranger =
            columns.iter().position(|column| *column != C::Ignored && !kind.columns().contains(column));
        match stranger.and_then(|index| head.get(index)) {
            Some(name) => Err(name.clone()),
            None => Ok((kind, columns)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_known_by_their_columns() {
        let of = |head: &str| Kind::of(&head.split(',').map(str::to_owned).collect::<Vec<_>>());
        assert_eq!(of("姓名,*邮箱,部门").map(|found| found.0), Ok(Kind::People));
        assert_eq!(of("Name,Address,Members,").map(|found| found.0), Ok(Kind::Groups));
        assert_eq!(of("部门,说明").map(|found| found.1), Ok(vec![C::Department, C::Description]));
        for (head, wrong) in [
            ("address,colour", "colour"),
            ("address,邮箱", "邮箱"),
            ("department,password", "password"),
            ("address,members,手机", "手机"),
            ("name,title", "name,title"),
            ("", ""),
        ] {
            assert_eq!(of(head), Err(wrong.to_owned()), "{head}");
        }
        for kind in [Kind::Departments, Kind::People, Kind::Groups] {
            for lang in [Lang::En, Lang::ZhCn] {
                let heads: Vec<String> =
                    kind.columns().iter().map(|column| column.name(lang).to_owned()).collect();
                assert_eq!(Kind::of(&heads).expect("a template"), (kind, kind.columns().to_vec()));
            }
        }
    }
}
