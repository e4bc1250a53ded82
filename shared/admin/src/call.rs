//! Somebody's call: permitted, recorded, done.

use std::future::Future;

use serde_json::Value;

use crate::action::{Action, Target};
use crate::authorise::{Actor, Decision, Scope, authorise};
use crate::operations::{Book, By, Entry, Origin, Outcome};
use crate::{AdminError, Administration};

/// Who calls, and from where.
#[derive(Debug, Clone)]
pub struct Call {
    /// Who.
    pub actor: Actor,
    /// From where.
    pub origin: Origin,
}

/// What an operation is about, as the log tells it.
pub(crate) struct About<'a> {
    pub(crate) book: Book,
    pub(crate) action: Action,
    pub(crate) object: &'a str,
    pub(crate) before: Option<Value>,
    pub(crate) after: Option<Value>,
}

impl<'a> About<'a> {
    pub(crate) fn new(book: Book, action: Action, object: &'a str) -> About<'a> {
        About { book, action, object, before: None, after: None }
    }

    pub(crate) fn from(self, before: Value) -> About<'a> {
        About { before: Some(before), ..self }
    }

    pub(crate) fn to(self, after: Value) -> About<'a> {
        About { after: Some(after), ..self }
    }

    fn entry(&self, call: &Call, outcome: Outcome) -> Entry {
        Entry {
            by: By::of(&call.actor),
            origin: call.origin,
            action: self.action.name().to_owned(),
            object: self.object.to_owned(),
            before: self.before.as_ref().map(ToString::to_string),
            after: self.after.as_ref().map(ToString::to_string),
            outcome,
        }
    }
}

impl Call {
    /// A call of whoever runs the program on the machine.
    #[must_use]
    pub const fn of_operator() -> Call {
        Call { actor: Actor::Operator, origin: Origin::Command }
    }

    /// Is something that only is looked at permitted?
    pub(crate) fn may(&self, action: Action, scope: &Scope<'_>) -> Result<(), AdminError> {
        match authorise(&self.actor, action, scope) {
            Decision::Allow => Ok(()),
            Decision::Hidden => Err(AdminError::NotFound("tenant")),
            Decision::Deny(why) => Err(AdminError::Denied(why)),
        }
    }
}

impl Administration {
    /// Is it permitted? What is refused within the actor's own tenant goes into its log, if it would have changed
    /// something.
    pub(crate) async fn permit(
        &self,
        call: &Call,
        scope: &Scope<'_>,
        about: &About<'_>,
    ) -> Result<(), AdminError> {
        self.permit_alone(call, scope, about).await?;
        self.permit_without_second(call, about.book, about.action).await
    }

    /// Is it permitted, whether or not it takes a second administrator? That is to be asked when all that can be wrong with
    /// the call is known: else the second would confirm what the first may not do.
    pub(crate) async fn permit_alone(
        &self,
        call: &Call,
        scope: &Scope<'_>,
        about: &About<'_>,
    ) -> Result<(), AdminError> {
        let refused = match call.may(about.action, scope) {
            Err(AdminError::Denied(why)) => why,
            other => return other,
        };
        self.note_denied(call, about, refused).await?;
        Err(AdminError::Denied(refused))
    }

    /// May the actor do this at all in the tenant, or in the installation: to some account, where it is done to accounts?
    /// The first question of every call, before anything is looked up. What it refuses is recorded.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn admit(
        &self,
        call: &Call,
        action: Action,
        tenant: Book,
        object: &str,
    ) -> Result<(), AdminError> {
        let scope = match (action.target(), tenant) {
            (Target::Account | Target::Department, Some(tenant)) => Scope::SomeAccount(tenant),
            (_, Some(tenant)) => Scope::Tenant(tenant),
            (_, None) => Scope::Installation,
        };
        // Whether it takes a second administrator is asked when all that can be wrong with it is known.
        self.permit_alone(call, &scope, &About::new(tenant, action, object)).await
    }

    pub(crate) async fn note_denied(
        &self,
        call: &Call,
        about: &About<'_>,
        why: crate::Why,
    ) -> Result<(), AdminError> {
        // In the book of whoever tried: a tenant's key that asks for the installation leaves that one's book alone.
        let book = call.actor.tenant().or(about.book);
        if about.action.is_recorded() {
            self.append(book, about.entry(call, Outcome::Denied { why: why.name().to_owned() })).await?;
        }
        Ok(())
    }

    /// Does what is permitted: records it, does it, and records if it failed.
    pub(crate) async fn act<R, E: Into<AdminError>>(
        &self,
        call: &Call,
        about: &About<'_>,
        effect: impl Future<Output = Result<R, E>> + Send,
    ) -> Result<R, AdminError> {
        let of = self.record_order(call, about).await?;
        match effect.await.map_err(Into::into) {
            Ok(result) => Ok(result),
            Err(error) => {
                self.record_failure(call, about, of, &error).await?;
                Err(error)
            }
        }
    }

    /// Records what a command of the operator is about to do by the directory itself; the number of the record.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn record_command(
        &self,
        book: Book,
        action: Action,
        object: &str,
        after: Value,
    ) -> Result<u64, AdminError> {
        self.record_order(&Call::of_operator(), &About::new(book, action, object).to(after)).await
    }

    /// Records that what a command was about to do failed.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn record_failed_command(
        &self,
        book: Book,
        action: Action,
        object: &str,
        of: u64,
        cause: String,
    ) -> Result<(), AdminError> {
        let about = About::new(book, action, object);
        let failed = about.entry(&Call::of_operator(), Outcome::Failed { of, cause });
        self.append(book, failed).await.map(drop)
    }

    /// Records that something was ordered; the number of the record.
    pub(crate) async fn record_order(&self, call: &Call, about: &About<'_>) -> Result<u64, AdminError> {
        self.append(about.book, about.entry(call, Outcome::Ordered)).await
    }

    /// Records that what was ordered failed.
    pub(crate) async fn record_failure(
        &self,
        call: &Call,
        about: &About<'_>,
        of: u64,
        error: &AdminError,
    ) -> Result<(), AdminError> {
        let outcome = Outcome::Failed { of, cause: error.to_string() };
        let failed = Entry { before: None, after: None, ..about.entry(call, outcome) };
        self.append(about.book, failed).await.map(drop)
    }
}
