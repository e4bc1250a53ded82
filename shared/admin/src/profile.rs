//! What an organisation says of itself: logo and contact address (TEN-12). What else is told with it is kept elsewhere.

use pennypost_directory::{AccountKind, DepartmentId, Page, Verification};
use pennypost_model::codec::Versioned;
use pennypost_model::{TenantId, Timestamp};
use pennypost_ports::{ControlKey, Expected};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::action::Action;
use crate::authorise::Scope;
use crate::call::{About, Call};
use crate::{AdminError, Administration, Invalid};

/// Bytes of a logo.
pub const MAX_LOGO: usize = 64 * 1024;
/// Characters of a contact address.
const MAX_CONTACT: usize = 300;

/// A picture in a format that every browser shows and that holds no script.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum LogoKind {
    /// PNG.
    Png,
    /// JPEG.
    Jpeg,
    /// WebP.
    Webp,
}

impl LogoKind {
    /// Its media type.
    #[must_use]
    pub const fn media_type(self) -> &'static str {
        match self {
            LogoKind::Png => "image/png",
            LogoKind::Jpeg => "image/jpeg",
            LogoKind::Webp => "image/webp",
        }
    }

    /// What begins like that.
    fn of(bytes: &[u8]) -> Option<LogoKind> {
        match bytes {
            [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n', _, ..] => Some(LogoKind::Png),
            [0xff, 0xd8, 0xff, _, ..] => Some(LogoKind::Jpeg),
            [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', _, ..] => Some(LogoKind::Webp),
            _ => None,
        }
    }
}

/// A logo.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Logo {
    kind: LogoKind,
    bytes: Vec<u8>,
}

impl Logo {
    /// A picture of [`MAX_LOGO`] bytes at most. What it is, its first bytes say.
    ///
    /// # Errors
    /// [`Invalid::Logo`].
    pub fn of(bytes: Vec<u8>) -> Result<Logo, Invalid> {
        let kind = LogoKind::of(&bytes).filter(|_| bytes.len() <= MAX_LOGO);
        kind.map(|kind| Logo { kind, bytes }).ok_or(Invalid::Logo { limit: MAX_LOGO })
    }

    /// What it is.
    #[must_use]
    pub const fn kind(&self) -> LogoKind {
        self.kind
    }

    /// The picture.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// What an organisation says of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrganisationProfile {
    /// Where it is; may be empty.
    pub contact: String,
    /// Its logo.
    pub logo: Option<Logo>,
}

impl Versioned for OrganisationProfile {
    const KIND: &'static str = "profile of an organisation";
}

/// That, with what is kept elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenOrganisation {
    /// The id.
    pub tenant: TenantId,
    /// The name, unique in the installation.
    pub name: String,
    /// What members see: the name of the topmost department, or that.
    pub short_name: String,
    /// When it was opened.
    pub created: Timestamp,
    /// Is it known who it is (TEN-14)?
    pub verification: Verification,
    /// What it says of itself.
    pub profile: OrganisationProfile,
}

/// How many there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OrganisationCounts {
    /// Members, but for those in the recycle bin.
    pub members: usize,
    /// Departments.
    pub departments: usize,
}

pub(crate) fn profile_key(tenant: TenantId) -> ControlKey {
    ControlKey::new(tenant.to_string(), "profile")
}

fn shown(profile: &OrganisationProfile) -> Value {
    json!({ "contact": profile.contact, "logo_bytes": profile.logo.as_ref().map(|logo| logo.bytes.len()) })
}

impl Administration {
    /// What an organisation says of itself, and what is known of it.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn organisation(&self, call: &Call, tenant: TenantId) -> Result<SeenOrganisation, AdminError> {
        self.organisation_for(Action::OrganisationRead, call, tenant).await
    }

    /// The same for somebody who wants to do that.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn organisation_for(
        &self,
        action: Action,
        call: &Call,
        tenant: TenantId,
    ) -> Result<SeenOrganisation, AdminError> {
        call.may(action, &Scope::Tenant(tenant))?;
        let stored = self.stored_tenant(tenant).await?;
        let tree = self.directory.departments(tenant).await?;
        let root = tree.shown(DepartmentId::ROOT).map(|root| root.name).filter(|name| !name.is_empty());
        let profile = self.read::<OrganisationProfile>(&profile_key(tenant)).await?;
        Ok(SeenOrganisation {
            tenant,
            short_name: root.unwrap_or_else(|| stored.name.clone()),
            name: stored.name,
            created: stored.created,
            verification: stored.plan.map_or(Verification::Unverified, |plan| plan.verification),
            profile: profile.map(|(profile, _)| profile).unwrap_or_default(),
        })
    }

    /// Says something else, if what is said is still as `expected`.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn change_profile(
        &self,
        call: &Call,
        tenant: TenantId,
        expected: &OrganisationProfile,
        profile: OrganisationProfile,
    ) -> Result<OrganisationProfile, AdminError> {
        let contact = profile.contact.trim().to_owned();
        let profile = OrganisationProfile { contact, ..profile };
        let about = About::new(Some(tenant), Action::OrganisationChange, "profile")
            .from(shown(expected))
            .to(shown(&profile));
        self.permit(call, &Scope::Tenant(tenant), &about).await?;
        let is_good =
            profile.contact.chars().count() <= MAX_CONTACT && !profile.contact.chars().any(char::is_control);
        if !is_good {
            return Err(Invalid::Contact { limit: MAX_CONTACT }.into());
        }
        let key = profile_key(tenant);
        let (held, condition) = match self.read::<OrganisationProfile>(&key).await? {
            Some((held, version)) => (held, Expected::Version(version)),
            None => (OrganisationProfile::default(), Expected::Absent),
        };
        if held != *expected {
            return Err(AdminError::Changed);
        }
        self.act(call, &about, async {
            let is_written = self.write(&key, &profile, condition).await?;
            if is_written { Ok(profile.clone()) } else { Err(AdminError::Changed) }
        })
        .await
    }

    /// How many members and departments an organisation has. Reads all accounts.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn organisation_counts(
        &self,
        call: &Call,
        tenant: TenantId,
    ) -> Result<OrganisationCounts, AdminError> {
        call.may(Action::OrganisationRead, &Scope::Tenant(tenant))?;
        let (mut members, mut page) = (0, Page::default());
        loop {
            let listed = self.directory.accounts(tenant, &page).await?;
            let is_counted = |account: &&pennypost_directory::Account| {
                account.kind == AccountKind::Member && account.binned.is_none()
            };
            members += listed.items.iter().filter(is_counted).count();
            let Some(next) = listed.next else { break };
            page.after = Some(next);
        }
        let departments = self.directory.departments(tenant).await?.walk().len();
        Ok(OrganisationCounts { members, departments })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logos_are_what_their_first_bytes_say() {
        let with = |head: &[u8], length: usize| [head, &vec![0; length - head.len()]].concat();
        for (head, kind) in [
            (&b"\x89PNG\r\n\x1a\n"[..], Some(LogoKind::Png)),
            (b"\xff\xd8\xff\xe0", Some(LogoKind::Jpeg)),
            (b"RIFF\0\0\0\0WEBPVP8 ", Some(LogoKind::Webp)),
            (b"<svg onload='alert(1)'>", None),
            (b"GIF89a", None),
        ] {
            assert_eq!(Logo::of(with(head, 100)).ok().map(|logo| logo.kind()), kind, "{head:?}");
            assert!(Logo::of(with(head, MAX_LOGO + 1)).is_err());
            assert_eq!(Logo::of(with(head, MAX_LOGO)).is_ok(), kind.is_some());
        }
        assert_eq!(Logo::of(Vec::new()), Err(Invalid::Logo { limit: MAX_LOGO }));
    }
}
