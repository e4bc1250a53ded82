//! What an organisation says of itself, and how many there are of what it has.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use pennypost_admin::{Action, Invalid, Logo, MAX_LOGO, OrganisationProfile, SeenOrganisation};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::rest::operation::{Good, Method, Operation, shape};
use crate::rest::problem::{Kind, Refusal};
use crate::rest::reply::Reply;

/// A logo.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Logo")]
pub(crate) struct Picture {
    /// `image/png`, `image/jpeg` or `image/webp`.
    media_type: &'static str,
    /// The picture, in base64.
    content: String,
}

/// What an organisation says of itself, and what is known of it.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "OrganisationProfile")]
pub(crate) struct Profile {
    /// The id of the tenant.
    id: String,
    /// The name, unique in the installation.
    name: String,
    /// What members see: the name of department 1, or the same.
    short_name: String,
    /// When it was opened.
    created: String,
    /// Is it known who it is: `unverified`, `verified`, `certified`?
    verification: &'static str,
    /// Where it is; may be empty.
    contact: String,
    /// Its logo.
    logo: Option<Picture>,
}

/// What it says from now on.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "NewOrganisationProfile")]
pub(crate) struct NewProfile {
    /// Where it is: 300 characters at most.
    #[serde(default)]
    contact: String,
    /// Its logo, in base64: PNG, JPEG or WebP of 64 KB at most; null: none.
    logo: Option<String>,
}

/// How many there are.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "OrganisationCounts")]
pub(crate) struct Counts {
    /// Members, but for those in the recycle bin.
    members: usize,
    /// Departments.
    departments: usize,
}

fn show(seen: &SeenOrganisation) -> Profile {
    let logo = seen.profile.logo.as_ref().map(|logo| Picture {
        media_type: logo.kind().media_type(),
        content: BASE64_STANDARD.encode(logo.bytes()),
    });
    Profile {
        id: seen.tenant.to_string(),
        name: seen.name.clone(),
        short_name: seen.short_name.clone(),
        created: seen.created.rfc3339(),
        verification: seen.verification.name(),
        contact: seen.profile.contact.clone(),
        logo,
    }
}

fn read(said: NewProfile) -> Result<OrganisationProfile, Refusal> {
    let wrong = || pennypost_admin::AdminError::from(Invalid::Logo { limit: MAX_LOGO });
    let logo = match said.logo {
        None => None,
        Some(text) => {
            let bytes = BASE64_STANDARD.decode(text).map_err(|_| wrong())?;
            Some(Logo::of(bytes).map_err(|_| wrong())?)
        }
    };
    Ok(OrganisationProfile { contact: said.contact, logo })
}

pub(super) const OPERATIONS: &[Operation] = &[
    Operation::new(
        (Method::Get, "/tenants/{tenant}/profile", "read-organisation"),
        Action::OrganisationRead,
        "What an organisation says of itself: contact address and logo, with its names",
        Good::one(shape::<Profile>),
        |ask| {
            Box::pin(async move {
                let seen = ask.administration.organisation(&ask.call, ask.tenant()?).await?;
                Ok(Reply::tagged(&show(&seen)))
            })
        },
    ),
    Operation::new(
        (Method::Put, "/tenants/{tenant}/profile", "change-organisation"),
        Action::OrganisationChange,
        "Say something else; names are changed elsewhere",
        Good::one(shape::<Profile>),
        |ask| {
            Box::pin(async move {
                let profile = read(ask.body()?)?;
                let tenant = ask.tenant()?;
                let (administration, action) = (&ask.administration, Action::OrganisationChange);
                let seen = administration.organisation_for(action, &ask.call, tenant).await?;
                ask.must_match(&show(&seen))?;
                let changed =
                    administration.change_profile(&ask.call, tenant, &seen.profile, profile).await?;
                Ok(Reply::tagged(&show(&SeenOrganisation { profile: changed, ..seen })))
            })
        },
    )
    .with(shape::<NewProfile>)
    .update()
    .refusing(&[Kind::Invalid]),
    Operation::new(
        (Method::Get, "/tenants/{tenant}/counts", "count-organisation"),
        Action::OrganisationRead,
        "How many members and departments there are; reads all accounts",
        Good::told(shape::<Counts>),
        |ask| {
            Box::pin(async move {
                let counts = ask.administration.organisation_counts(&ask.call, ask.tenant()?).await?;
                Ok(Reply::document(&Counts { members: counts.members, departments: counts.departments }))
            })
        },
    ),
];
