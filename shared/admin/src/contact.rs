//! Whom administrators turn to (ADM-05): the operator, or the reseller of a tenant.
//!
//! `installation` / `contact` is the operator's, `T` / `contact` that of a tenant's reseller, which is told instead.

use pennypost_model::TenantId;
use pennypost_model::codec::Versioned;
use pennypost_ports::{ControlKey, Expected};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::action::Action;
use crate::authorise::Scope;
use crate::call::{About, Call};
use crate::operations::Book;
use crate::purchases::is_text;
use crate::{AdminError, Administration, Invalid};

/// Characters of each field.
const MAX_FIELD: usize = 200;

/// Whom administrators turn to; nothing in it: nobody is named.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contact {
    /// Who it is.
    pub name: String,
    /// A telephone number.
    pub phone: String,
    /// An address for letters.
    pub mail: String,
}

impl Versioned for Contact {
    const KIND: &'static str = "contact";
}

impl Contact {
    /// Is nobody named?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Contact::default()
    }

    fn document(&self) -> Value {
        json!({ "name": self.name, "phone": self.phone, "mail": self.mail })
    }
}

fn key_of(book: Book) -> ControlKey {
    let partition = book.map_or_else(|| "installation".to_owned(), |tenant| tenant.to_string());
    ControlKey::new(partition, "contact")
}

const fn scope_of(book: Book) -> Scope<'static> {
    match book {
        Some(tenant) => Scope::Tenant(tenant),
        None => Scope::Installation,
    }
}

const fn change_of(book: Book) -> Action {
    if book.is_some() { Action::TenantContactChange } else { Action::ContactChange }
}

impl Administration {
    /// Whom administrators turn to: of the installation, or what is said of a tenant alone.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn contact(&self, call: &Call, book: Book) -> Result<Contact, AdminError> {
        let action = if book.is_some() { Action::TenantContactRead } else { Action::ContactRead };
        call.may(action, &scope_of(book))?;
        self.stored_contact(book).await
    }

    /// The same for somebody who wants to say something else.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn contact_to_change(&self, call: &Call, book: Book) -> Result<Contact, AdminError> {
        call.may(change_of(book), &scope_of(book))?;
        self.stored_contact(book).await
    }

    async fn stored_contact(&self, book: Book) -> Result<Contact, AdminError> {
        Ok(self.read::<Contact>(&key_of(book)).await?.map(|(contact, _)| contact).unwrap_or_default())
    }

    /// Whom the administrators of a tenant turn to.
    pub(crate) async fn contact_of(&self, tenant: TenantId) -> Result<Option<Contact>, AdminError> {
        let own = self.stored_contact(Some(tenant)).await?;
        let contact = if own.is_empty() { self.stored_contact(None).await? } else { own };
        Ok(Some(contact).filter(|contact| !contact.is_empty()))
    }

    /// Says whom administrators turn to, if what is said is still as `expected`.
    ///
    /// # Errors
    /// [`Invalid::ContactField`], or others of [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn change_contact(
        &self,
        call: &Call,
        book: Book,
        expected: &Contact,
        contact: &Contact,
    ) -> Result<Contact, AdminError> {
        let said = |field: &String| field.trim().to_owned();
        let contact =
            Contact { name: said(&contact.name), phone: said(&contact.phone), mail: said(&contact.mail) };
        let about =
            About::new(book, change_of(book), "contact").from(expected.document()).to(contact.document());
        self.permit(call, &scope_of(book), &about).await?;
        if let Some(tenant) = book {
            self.stored_tenant(tenant).await?;
        }
        if ![&contact.name, &contact.phone, &contact.mail].iter().all(|field| is_text(field, MAX_FIELD)) {
            return Err(Invalid::ContactField { limit: MAX_FIELD }.into());
        }
        let key = key_of(book);
        let (held, condition) = match self.read::<Contact>(&key).await? {
            Some((held, version)) => (held, Expected::Version(version)),
            None => (Contact::default(), Expected::Absent),
        };
        if held != *expected {
            return Err(AdminError::Changed);
        }
        self.act(call, &about, async {
            if self.write(&key, &contact, condition).await? { Ok(()) } else { Err(AdminError::Changed) }
        })
        .await?;
        Ok(contact)
    }
}
