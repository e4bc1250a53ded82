//! PLAIN (RFC 4616) and LOGIN: the password itself.

use super::{Carrier, Exchange, Outcome, Refusal};

impl<C: Carrier> Exchange<'_, C> {
    pub(super) async fn plain(&mut self, initial: Option<Vec<u8>>) -> Outcome {
        let Some(response) = self.first(initial).await? else { return Ok(Err(Refusal::Cancelled)) };
        Ok(match message(&response) {
            Ok((login, password)) => self.with_password(login, password).await,
            Err(refusal) => Err(refusal),
        })
    }

    pub(super) async fn login(&mut self, initial: Option<Vec<u8>>) -> Outcome {
        let login = match initial {
            Some(login) => Some(login),
            None => self.carrier.ask(b"Username:").await?,
        };
        let Some(login) = login else { return Ok(Err(Refusal::Cancelled)) };
        let Some(password) = self.carrier.ask(b"Password:").await? else {
            return Ok(Err(Refusal::Cancelled));
        };
        Ok(self.with_password(&login, &password).await)
    }
}

/// Login and password of a PLAIN message.
fn message(response: &[u8]) -> Result<(&[u8], &[u8]), Refusal> {
    let mut fields = response.split(|byte| *byte == 0);
    let (Some(acts_as), Some(login), Some(password), None) =
        (fields.next(), fields.next(), fields.next(), fields.next())
    else {
        return Err(Refusal::Malformed("not a PLAIN message"));
    };
    if acts_as.is_empty() || acts_as == login { Ok((login, password)) } else { Err(Refusal::ActsForOther) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 4616 section 4.
    #[test]
    fn messages_are_read() {
        assert_eq!(message(b"\0tim\0tanstaaftanstaaf"), Ok((&b"tim"[..], &b"tanstaaftanstaaf"[..])));
        assert_eq!(message(b"tim\0tim\0x"), Ok((&b"tim"[..], &b"x"[..])));
        assert_eq!(message(b"Ursel\0Kurt\0xipj3plmq"), Err(Refusal::ActsForOther));
        for bad in [&b""[..], b"tim", b"\0tim", b"\0tim\0x\0y"] {
            assert!(matches!(message(bad), Err(Refusal::Malformed(_))));
        }
    }
}
