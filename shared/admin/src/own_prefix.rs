//! The creator's own address (ORG-03), which he changes once.
//!
//! Owns the control item `T` / `readdressed-creator`, written before anything is changed: it says from what to what, so that
//! whoever repeats an interrupted call completes it, and that it is done.

use pennypost_directory::Account;
use pennypost_model::AccountKey;
use pennypost_model::codec::Versioned;
use pennypost_ports::{ControlKey, Expected};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::action::Action;
use crate::call::{About, Call};
use crate::{AdminError, Administration, Conflict};

impl Administration {
    /// The creator gives himself another address in the same domain, once (ORG-03). The one before leads to him as an alias.
    ///
    /// # Errors
    /// [`Conflict::Readdressed`] for a second time, and for whoever is not the creator; or others of [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn change_own_prefix(
        &self,
        call: &Call,
        key: AccountKey,
        prefix: &str,
    ) -> Result<Account, AdminError> {
        let object = key.account.to_string();
        let about = About::new(Some(key.tenant), Action::CreatorReaddress, &object);
        let (before, _) = self.permitted_owner(call, &about, key).await?;
        let domain = before.rsplit('@').next().unwrap_or_default();
        let wished = format!("{prefix}@{domain}");
        let item_key = ControlKey::new(key.tenant.to_string(), "readdressed-creator");
        let known = self.read::<Readdressed>(&item_key).await?;
        let is_creator = self.creator_of(key.tenant).await? == Some(key.account);
        // What was cut off is completed by the same wish, and by no other.
        let begun = known.as_ref().is_some_and(|(known, _)| !known.is_done && known.to == wished);
        if !is_creator || (known.is_some() && !begun) {
            return Err(AdminError::Conflict(Conflict::Readdressed));
        }
        if !begun {
            self.directory.check_new_address(key.tenant, &wished).await?;
        }
        let about = About { object: &before, ..about }.to(json!({ "address": wished.as_str() }));
        let changing = async {
            let fresh = Readdressed { from: before.clone(), to: wished.clone(), is_done: false };
            if !begun && !self.write(&item_key, &fresh, Expected::Absent).await? {
                return Err(AdminError::Changed);
            }
            let mark = known.filter(|_| begun).map_or(fresh, |(known, _)| known);
            let changed = self.directory.change_address(key, &wished).await;
            if changed.as_ref().is_err_and(|error| !error.is_temporary()) {
                // Somebody was faster with that address: it was no change.
                self.erase(&item_key).await?;
            }
            let account = changed?;
            self.directory.refresh_addresses(key.tenant, |address| address.to_string() == mark.from).await?;
            self.write(&item_key, &Readdressed { is_done: true, ..mark }, Expected::Any).await?;
            Ok(account)
        };
        self.act(call, &about, Box::pin(changing)).await
    }
}

/// That a creator has changed the own address.
#[derive(Serialize, Deserialize)]
struct Readdressed {
    from: String,
    to: String,
    is_done: bool,
}

impl Versioned for Readdressed {
    const KIND: &'static str = "address of a creator";
}
