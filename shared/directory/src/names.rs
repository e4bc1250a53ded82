//! The form of the names that members' letters bear where the organisation gives them (ORG-27): `{name} ({department})`.
//!
//! `T`/`names` holds the form; without one a letter bears the name as it is.

use std::fmt;
use std::str::FromStr;

use pennypost_model::codec::Versioned;
use pennypost_model::{AccountKey, TenantId};
use pennypost_ports::{Consistency, ControlKey, Expected};
use serde::{Deserialize, Serialize};
use unicode_normalization::UnicodeNormalization;

use crate::store::name_for_people;
use crate::{Account, Directory, DirectoryError, Tenant};

/// Characters of a form.
pub const MAX_NAME_FORM: usize = 100;
/// Characters of what a member wants to be called.
const MAX_NICKNAME: usize = 50;
/// Characters of a name that follows from it.
const MAX_NAME: usize = 200;
/// Characters that show nothing, or turn the direction in which others are read.
const INVISIBLE: [std::ops::RangeInclusive<char>; 5] = [
    '\u{200b}'..='\u{200f}',
    '\u{202a}'..='\u{202e}',
    '\u{2060}'..='\u{206f}',
    '\u{ad}'..='\u{ad}',
    '\u{feff}'..='\u{feff}',
];

/// What stands in a form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Piece<'a> {
    Text(&'a str),
    Name,
    Department,
    Title,
    Organisation,
}

/// How the fields are written.
const FIELDS: [(&str, Piece<'static>); 4] = [
    ("{name}", Piece::Name),
    ("{department}", Piece::Department),
    ("{title}", Piece::Title),
    ("{organisation}", Piece::Organisation),
];

/// A form from left to right. Every brace belongs to a field: none stands within another one.
fn pieces(mut rest: &str) -> Result<Vec<Piece<'_>>, BadNameForm> {
    let mut pieces = Vec::new();
    while let Some(brace) = rest.find(['{', '}']) {
        let (text, from) = rest.split_at(brace);
        let field = FIELDS.iter().find_map(|(field, piece)| Some((*piece, from.strip_prefix(field)?)));
        let (field, behind) = field.ok_or(BadNameForm)?;
        pieces.extend([Piece::Text(text), field]);
        rest = behind;
    }
    pieces.push(Piece::Text(rest));
    Ok(pieces)
}

/// A form of names: text, in which `{name}`, `{department}`, `{title}` and `{organisation}` stand for what is known of a member.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NameForm(String);

/// A text that is no form of names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a form of names has {{name}} in it, no other words in braces than {{department}}, {{title}} and {{organisation}}, no @, no invisible characters, and at most {MAX_NAME_FORM} characters"
)]
pub struct BadNameForm;

impl FromStr for NameForm {
    type Err = BadNameForm;

    fn from_str(text: &str) -> Result<NameForm, BadNameForm> {
        let text = text.trim();
        // What looks like an address would be taken for the sender's by those who read the letter.
        let is_odd = |c: char| c.is_control() || c == '@' || INVISIBLE.iter().any(|range| range.contains(&c));
        let is_plain = text.chars().count() <= MAX_NAME_FORM && !text.chars().any(is_odd);
        if is_plain && pieces(text)?.contains(&Piece::Name) {
            Ok(NameForm(text.to_owned()))
        } else {
            Err(BadNameForm)
        }
    }
}

impl fmt::Display for NameForm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl NameForm {
    /// A name in this form. Where something is not known, brackets that stand around nothing else go with it. Who has no name
    /// keeps none.
    #[must_use]
    pub fn write(&self, name: &str, department: &str, title: &str, organisation: &str) -> String {
        if name.trim().is_empty() {
            return String::new();
        }
        // What is stored may come from a version that took other forms: such a one changes no name.
        let pieces = pieces(&self.0).unwrap_or_else(|BadNameForm| vec![Piece::Name]);
        // What is put in is not looked through for braces.
        let written = pieces.into_iter().map(|piece| match piece {
            Piece::Text(text) => text,
            Piece::Name => name.trim(),
            Piece::Department => department.trim(),
            Piece::Title => title.trim(),
            Piece::Organisation => organisation.trim(),
        });
        let mut written: String = written.collect();
        for empty in ["()", "[]", "（）", "【】", "<>", "「」"] {
            written = written.replace(empty, "");
        }
        let words: Vec<&str> = written.split_whitespace().collect();
        let written = words.join(" ");
        let written =
            written.trim_matches(|c: char| c.is_whitespace() || matches!(c, '-' | '–' | '|' | '/' | ','));
        written.chars().take(MAX_NAME).collect()
    }

    fn asks_for_department(&self) -> bool {
        self.0.contains("{department}")
    }
}

#[derive(Serialize, Deserialize)]
struct NamesItem {
    form: Option<NameForm>,
}

impl Versioned for NamesItem {
    const KIND: &'static str = "form of names";
}

fn names_key(tenant: TenantId) -> ControlKey {
    ControlKey::new(tenant.to_string(), "names")
}

impl Directory {
    /// The form of the names that members' letters bear.
    ///
    /// # Errors
    /// The port's.
    #[pennypost_ports::compiled_here]
    pub async fn name_form(&self, tenant: TenantId) -> Result<Option<NameForm>, DirectoryError> {
        let held = self.read::<NamesItem>(&names_key(tenant), Consistency::Strong).await?;
        Ok(held.and_then(|held| held.value.form))
    }

    /// Says another one, or none, if it is still as expected; `false` if it is not.
    ///
    /// # Errors
    /// The port's.
    #[pennypost_ports::compiled_here]
    pub async fn set_name_form(
        &self,
        tenant: TenantId,
        expected: Option<&NameForm>,
        form: Option<NameForm>,
    ) -> Result<bool, DirectoryError> {
        let key = names_key(tenant);
        let held = self.read::<NamesItem>(&key, Consistency::Strong).await?;
        let (stored, version) = match &held {
            Some(held) => (held.value.form.as_ref(), Expected::Version(held.version)),
            None => (None, Expected::Absent),
        };
        if stored != expected {
            return Ok(false);
        }
        if stored == form.as_ref() {
            return Ok(true);
        }
        Ok(self.write(&key, &NamesItem { form }, version).await?.is_some())
    }

    /// Says what a member wants to be called in letters, or with an empty text nothing, if he is still called as expected;
    /// `false` if he is not. It is told where the organisation gives no names.
    ///
    /// # Errors
    /// [`DirectoryError::Name`] for what is no name, or looks like an address; [`DirectoryError::NoAccount`], or the port's.
    #[pennypost_ports::compiled_here]
    pub async fn set_nickname(
        &self,
        key: AccountKey,
        expected: &str,
        nickname: &str,
    ) -> Result<bool, DirectoryError> {
        let nickname = match nickname.trim() {
            "" => String::new(),
            text => name_for_people(text, MAX_NICKNAME)?,
        };
        // What looks like an address would be taken for the sender's by those who read the letter: also with the wide or the
        // small form of the sign.
        if nickname.nfkc().any(|c| c == '@') {
            return Err(DirectoryError::Name { limit: MAX_NICKNAME });
        }
        self.try_change_account(key, |account| {
            let is_as_expected = account.nickname == expected;
            if is_as_expected {
                account.nickname.clone_from(&nickname);
            }
            Ok(is_as_expected)
        })
        .await
    }

    /// The name that a member's letters bear, if the organisation gives it, or else the member does. Costs nothing where the
    /// organisation gives none, else a read, and another one where its form asks for departments.
    pub(crate) async fn unified_name(
        &self,
        tenant: &Tenant,
        account: &Account,
    ) -> Result<Option<String>, DirectoryError> {
        if !tenant.has_unified_names {
            // Nobody gives it: the member's own, if he has one.
            return Ok(Some(account.nickname.clone()).filter(|nickname| !nickname.is_empty()));
        }
        let Some(form) = self.name_form(tenant.id).await? else {
            return Ok(Some(account.display_name.clone()));
        };
        let main = account.departments.first().filter(|_| form.asks_for_department());
        let department = match main {
            Some(main) => {
                let tree = self.departments(tenant.id).await?;
                tree.department(*main).map(|department| department.name.clone()).unwrap_or_default()
            }
            None => String::new(),
        };
        Ok(Some(form.write(&account.display_name, &department, &account.profile.title, &tenant.name)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_have_a_name_in_them_and_nothing_that_nobody_knows() {
        for good in ["{name}", "{name} ({department})", "【{organisation}】{name}", "{title} {name}"] {
            let form: NameForm = good.parse().expect(good);
            assert_eq!(form.to_string(), good);
        }
        for bad in [
            "",
            "Ann",
            "{department}",
            "{name} {phone}",
            "{name}{",
            "{name}\n{title}",
            "{{name}title} {name}",
            "{name} {{title}}",
            "} {name} {",
            "{name} boss@bank.example",
            "{name}\u{202e}",
            "{name}\u{200b}",
            &"x{name}".repeat(20),
        ] {
            assert_eq!(bad.parse::<NameForm>(), Err(BadNameForm), "{bad}");
        }
        // One of these that is stored already changes no name, and nobody is shut out.
        let stored = NameForm("{{name}title} {name}".to_owned());
        assert_eq!(stored.write("Ann", "Sales", "Dr.", "acme"), "Ann");
    }

    #[test]
    fn what_is_not_known_leaves_nothing_behind() {
        for (form, department, title, name) in [
            ("{name} ({department})", "Sales", "", "Ann (Sales)"),
            ("{name} ({department})", "", "", "Ann"),
            ("{name}（{department}）", "", "", "Ann"),
            ("{name} - {title}", "", "", "Ann"),
            ("{title} {name} | {organisation}", "", "Dr.", "Dr. Ann | acme"),
            ("{name} {name}", "", "", "Ann Ann"),
        ] {
            let parsed: NameForm = form.parse().expect(form);
            assert_eq!(parsed.write("Ann", department, title, "acme"), name, "{form}");
        }
        let form: NameForm = "{name} ({department})".parse().expect("a form");
        // What members are called is not a form itself; and who has no name gets none.
        assert_eq!(form.write("{department}", "Sales", "", ""), "{department} (Sales)");
        assert_eq!(form.write(" ", "Sales", "", ""), "");
    }
}
