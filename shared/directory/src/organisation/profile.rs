//! What the directory says of a person beside name and address (ORG-04, ORG-15).

use serde::{Deserialize, Serialize};

use crate::DirectoryError;
use crate::store::name_for_people;

/// Departments that one account may be in (ORG-16).
pub const MAX_DEPARTMENTS_OF_ACCOUNT: usize = 20;

/// What the directory says of a person. Any of it may be empty.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Profile {
    /// Position in the organisation.
    pub title: String,
    /// Landline number.
    pub phone: String,
    /// Mobile number.
    pub mobile: String,
    /// Number that the organisation has given, such as an employee number.
    pub number: String,
    /// A note of the administrators.
    pub note: String,
}

/// A field of a [`Profile`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProfileField {
    /// [`Profile::title`].
    Title,
    /// [`Profile::phone`].
    Phone,
    /// [`Profile::mobile`].
    Mobile,
    /// [`Profile::number`].
    Number,
    /// [`Profile::note`].
    Note,
}

impl ProfileField {
    /// All fields.
    pub const ALL: [ProfileField; 5] = [
        ProfileField::Title,
        ProfileField::Phone,
        ProfileField::Mobile,
        ProfileField::Number,
        ProfileField::Note,
    ];

    /// Its name for programs, and as the column of a table.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            ProfileField::Title => "title",
            ProfileField::Phone => "phone",
            ProfileField::Mobile => "mobile",
            ProfileField::Number => "number",
            ProfileField::Note => "note",
        }
    }

    /// Characters that it may have.
    #[must_use]
    pub const fn limit(self) -> usize {
        match self {
            ProfileField::Title => 64,
            ProfileField::Phone | ProfileField::Mobile | ProfileField::Number => 32,
            ProfileField::Note => 200,
        }
    }
}

impl Profile {
    /// What a field holds.
    #[must_use]
    pub fn field(&self, field: ProfileField) -> &str {
        match field {
            ProfileField::Title => &self.title,
            ProfileField::Phone => &self.phone,
            ProfileField::Mobile => &self.mobile,
            ProfileField::Number => &self.number,
            ProfileField::Note => &self.note,
        }
    }

    /// Sets a field; a text of blanks empties it.
    ///
    /// # Errors
    /// [`DirectoryError::Field`] for what is too long, holds control characters, or is no telephone number where one is
    /// wanted.
    pub fn set(&mut self, field: ProfileField, text: &str) -> Result<(), DirectoryError> {
        let failed = || DirectoryError::Field { name: field.name(), limit: field.limit() };
        let text = match text.trim() {
            "" => String::new(),
            text => name_for_people(text, field.limit()).map_err(|_| failed())?,
        };
        let is_dialled = matches!(field, ProfileField::Phone | ProfileField::Mobile);
        let is_digit = |c: char| c.is_ascii_digit() || " +-().,;#*/x".contains(c);
        if is_dialled && !text.chars().all(is_digit) {
            return Err(failed());
        }
        *match field {
            ProfileField::Title => &mut self.title,
            ProfileField::Phone => &mut self.phone,
            ProfileField::Mobile => &mut self.mobile,
            ProfileField::Number => &mut self.number,
            ProfileField::Note => &mut self.note,
        } = text;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_trimmed_bounded_and_numbers_are_numbers() {
        let mut profile = Profile::default();
        for (field, text, stored) in [
            (ProfileField::Title, " 工程师 ", Some("工程师")),
            (ProfileField::Phone, "+86 (10) 1234-5678", Some("+86 (10) 1234-5678")),
            (ProfileField::Mobile, "call me", None),
            (ProfileField::Mobile, "１３８", None),
            (ProfileField::Number, "A-0017", Some("A-0017")),
            (ProfileField::Note, "line\nbreak", None),
            (ProfileField::Title, &"x".repeat(65), None),
            (ProfileField::Title, "", Some("")),
        ] {
            let set = profile.set(field, text);
            assert_eq!(set.is_ok(), stored.is_some(), "{text:?}");
            if let Some(stored) = stored {
                assert_eq!(profile.field(field), stored);
            }
        }
    }
}
