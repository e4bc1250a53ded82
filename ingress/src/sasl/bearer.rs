//! OAUTHBEARER (RFC 7628) and XOAUTH2, its forerunner that many programs still speak: a bearer token.

use pennypost_directory::{SignInError, Standing};

use super::{Carrier, Exchange, Outcome, Refusal};

/// A message, understood.
#[derive(Debug, PartialEq, Eq)]
struct Bearer<'a> {
    login: Option<String>,
    token: &'a str,
}

impl<C: Carrier> Exchange<'_, C> {
    pub(super) async fn oauthbearer(&mut self, initial: Option<Vec<u8>>) -> Outcome {
        let Some(response) = self.first(initial).await? else { return Ok(Err(Refusal::Cancelled)) };
        let read = std::str::from_utf8(&response).ok().and_then(oauthbearer);
        self.with_token(read, ["invalid_request", "invalid_token"]).await
    }

    pub(super) async fn xoauth2(&mut self, initial: Option<Vec<u8>>) -> Outcome {
        let Some(response) = self.first(initial).await? else { return Ok(Err(Refusal::Cancelled)) };
        let read = std::str::from_utf8(&response).ok().and_then(xoauth2);
        self.with_token(read, ["400", "401"]).await
    }

    /// Asks the directory. A failure is told as JSON (RFC 7628 section 3.2.2), and the client answers that it
    /// has read it before the exchange fails.
    async fn with_token(&mut self, read: Option<Bearer<'_>>, statuses: [&str; 2]) -> Outcome {
        let [malformed, invalid] = statuses;
        let (status, refusal) = match read {
            None => (malformed, Refusal::Malformed("not a message with a bearer token")),
            Some(bearer) => match self.standing(&bearer).await {
                Ok(standing) => return Ok(Ok(standing)),
                Err(refused @ (SignInError::Denied | SignInError::Closed)) => (invalid, refused.into()),
                // Not the token's fault: a client must not throw it away.
                Err(other) => return Ok(Err(other.into())),
            },
        };
        let scope = self.attempt.kind.name();
        let json = format!("{{\"status\":\"{status}\",\"schemes\":\"bearer\",\"scope\":\"{scope}\"}}");
        self.carrier.ask(json.as_bytes()).await?;
        Ok(Err(refusal))
    }

    async fn standing(&self, bearer: &Bearer<'_>) -> Result<Standing, SignInError> {
        self.adapter.sign_in_with_token(&self.attempt, bearer.login.as_deref(), bearer.token).await
    }
}

/// `n,a=user@example.com,^Ahost=…^Aport=…^Aauth=Bearer …^A^A` (RFC 7628 section 3.1).
fn oauthbearer(message: &str) -> Option<Bearer<'_>> {
    let (header, pairs) = message.split_once('\u{1}')?;
    let (flag, rest) = header.split_once(',')?;
    // There is no channel binding in this mechanism.
    if !matches!(flag, "n" | "y") {
        return None;
    }
    let login = match rest.strip_suffix(',')? {
        "" => None,
        name => Some(saslname(name.strip_prefix("a=")?)?),
    };
    let pairs = pairs.strip_suffix("\u{1}\u{1}")?;
    let auth = pairs.split('\u{1}').find_map(|pair| pair.strip_prefix("auth="))?;
    Some(Bearer { login, token: token(auth)? })
}

/// `user=someone^Aauth=Bearer …^A^A`.
fn xoauth2(message: &str) -> Option<Bearer<'_>> {
    let pairs = message.strip_suffix("\u{1}\u{1}")?;
    let value = |name: &str| pairs.split('\u{1}').find_map(|pair| pair.strip_prefix(name));
    let login = value("user=").filter(|login| !login.is_empty()).map(str::to_owned);
    Some(Bearer { login, token: token(value("auth=")?)? })
}

/// The token of `Bearer …`; the scheme's case does not count (RFC 7235 section 2.1).
fn token(auth: &str) -> Option<&str> {
    let (scheme, token) = auth.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

/// A name in which comma and equals sign are written `=2C` and `=3D` (RFC 5801 section 4).
pub(super) fn saslname(written: &str) -> Option<String> {
    if written.contains(',') {
        return None;
    }
    let mut pieces = written.split('=');
    let mut name = pieces.next()?.to_owned();
    for piece in pieces {
        let rest = if let Some(rest) = piece.strip_prefix("2C") {
            name.push(',');
            rest
        } else {
            name.push('=');
            piece.strip_prefix("3D")?
        };
        name.push_str(rest);
    }
    (!name.is_empty()).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bearer<'a>(login: Option<&str>, token: &'a str) -> Option<Bearer<'a>> {
        Some(Bearer { login: login.map(str::to_owned), token })
    }

    /// RFC 7628 sections 4.1 and 4.3.
    #[test]
    fn oauthbearer_is_read() {
        let message = "n,a=user@example.com,\u{1}host=server.example.com\u{1}port=143\u{1}\
            auth=Bearer vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==\u{1}\u{1}";
        let token = "vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==";
        assert_eq!(oauthbearer(message), bearer(Some("user@example.com"), token));
        assert_eq!(oauthbearer("n,,\u{1}auth=bearer x\u{1}\u{1}"), bearer(None, "x"));
        assert_eq!(oauthbearer("y,a=a=2Cb=3Dc,\u{1}auth=Bearer x\u{1}\u{1}"), bearer(Some("a,b=c"), "x"));
        for bad in [
            "",
            "n,,\u{1}\u{1}",
            "n,,\u{1}auth=\u{1}\u{1}",
            "n,,\u{1}auth=Bearer \u{1}\u{1}",
            "n,,\u{1}auth=Basic x\u{1}\u{1}",
            "n,,\u{1}auth=Bearer x\u{1}",
            "p=tls-exporter,,\u{1}auth=Bearer x\u{1}\u{1}",
            "n,b=x,\u{1}auth=Bearer x\u{1}\u{1}",
            "n,a=,\u{1}auth=Bearer x\u{1}\u{1}",
            "n,a=x=zz,\u{1}auth=Bearer x\u{1}\u{1}",
        ] {
            assert_eq!(oauthbearer(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn xoauth2_is_read() {
        let message = "user=someuser@example.com\u{1}auth=Bearer ya29.vF9dft4qmTc2\u{1}\u{1}";
        assert_eq!(xoauth2(message), bearer(Some("someuser@example.com"), "ya29.vF9dft4qmTc2"));
        for bad in ["", "user=a\u{1}\u{1}", "user=a\u{1}auth=Bearer x", "auth=\u{1}\u{1}"] {
            assert_eq!(xoauth2(bad), None, "{bad:?}");
        }
    }
}
