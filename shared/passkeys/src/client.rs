//! What the browser says: `clientDataJSON` (WebAuthn section 5.8.1).

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde::Deserialize;

use crate::Refused;

/// 256 random bits that are to be signed (WebAuthn section 13.4.3).
pub type Challenge = [u8; 32];

/// For what something was signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ceremony {
    Create,
    Get,
}

#[derive(Deserialize)]
struct ClientData {
    #[serde(rename = "type")]
    kind: String,
    challenge: String,
    origin: String,
    #[serde(rename = "crossOrigin", default)]
    is_cross_origin: bool,
}

impl ClientData {
    fn parse(bytes: &[u8]) -> Option<(ClientData, Challenge)> {
        let data: ClientData = serde_json::from_slice(bytes).ok()?;
        let challenge = BASE64_URL_SAFE_NO_PAD.decode(&data.challenge).ok()?.try_into().ok()?;
        Some((data, challenge))
    }
}

/// The challenge that something answers, by which it is found. Says nothing about whether it is right.
#[must_use]
pub fn challenge_in(client_data: &[u8]) -> Option<Challenge> {
    ClientData::parse(client_data).map(|(_, challenge)| challenge)
}

/// Was it signed for this, on a page of this origin that stood in no frame of another one?
pub(crate) fn check(
    client_data: &[u8],
    ceremony: Ceremony,
    challenge: &Challenge,
    origin: &str,
) -> Result<(), Refused> {
    let (data, said) = ClientData::parse(client_data).ok_or(Refused::Form)?;
    let kind = match ceremony {
        Ceremony::Create => "webauthn.create",
        Ceremony::Get => "webauthn.get",
    };
    let is_meant = data.kind == kind && said == *challenge && data.origin == origin && !data.is_cross_origin;
    if is_meant { Ok(()) } else { Err(Refused::Elsewhere) }
}
