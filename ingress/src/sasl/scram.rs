//! SCRAM-SHA-256 and SCRAM-SHA-256-PLUS (RFC 5802, RFC 7677): who knows the password proves it, and so do we.
//!
//! The reading of messages is here, the keys are the directory's.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::bearer::saslname;
use super::{Binding, Carrier, Exchange, Outcome, Refusal};

/// Bytes of randomness in our half of the nonce.
const NONCE: usize = 18;
/// Bytes of the client's half at most.
const MAX_CLIENT_NONCE: usize = 512;

/// The client's first message (RFC 5802 section 7).
#[derive(Debug, PartialEq, Eq)]
struct ClientFirst<'a> {
    binds: Binds<'a>,
    /// As written, to be repeated in `c=`.
    gs2_header: &'a str,
    acts_as: Option<String>,
    /// The message without the header.
    bare: &'a str,
    login: String,
    nonce: &'a str,
}

/// What the client says of channel binding.
#[derive(Debug, PartialEq, Eq)]
enum Binds<'a> {
    /// It can't.
    No,
    /// It could, and believes that we can't.
    WouldIfYouCould,
    /// It does, in this way.
    With(&'a str),
}

/// The client's last message.
#[derive(Debug, PartialEq, Eq)]
struct ClientFinal<'a> {
    /// Header and data of the channel binding.
    binding: Vec<u8>,
    nonce: &'a str,
    proof: Vec<u8>,
    /// The message up to the proof.
    without_proof: &'a str,
}

impl<C: Carrier> Exchange<'_, C> {
    pub(super) async fn scram(&mut self, initial: Option<Vec<u8>>, plus: bool) -> Outcome {
        let Some(response) = self.first(initial).await? else { return Ok(Err(Refusal::Cancelled)) };
        let first = std::str::from_utf8(&response).ok().and_then(client_first);
        let Some(first) = first else { return Ok(Err(malformed())) };
        let bound = match self.bound(&first, plus) {
            Ok(bound) => bound,
            Err(refusal) => return Ok(Err(refusal)),
        };
        if first.acts_as.as_ref().is_some_and(|name| *name != first.login) {
            return Ok(Err(Refusal::ActsForOther));
        }
        let exchange = match self.adapter.begin_scram(&self.attempt, &first.login).await {
            Ok(exchange) => exchange,
            Err(error) => return Ok(Err(error.into())),
        };
        let nonce = format!("{}{}", first.nonce, STANDARD.encode(rand::random::<[u8; NONCE]>()));
        let server_first =
            format!("r={nonce},s={},i={}", STANDARD.encode(exchange.salt), exchange.iterations);
        let Some(response) = self.carrier.ask(server_first.as_bytes()).await? else {
            return Ok(Err(Refusal::Cancelled));
        };
        let last = std::str::from_utf8(&response).ok().and_then(client_final);
        let Some(last) = last.filter(|last| last.nonce == nonce) else { return Ok(Err(malformed())) };
        // What a man in the middle has changed shows here: the header with what was offered, or the channel.
        if last.binding != bound {
            return Ok(Err(Refusal::Malformed("the channel binding is not that of this connection")));
        }
        let auth_message = format!("{},{server_first},{}", first.bare, last.without_proof);
        let finished =
            self.adapter.finish_scram(&self.attempt, exchange, auth_message.as_bytes(), &last.proof);
        let (standing, signature) = match finished.await {
            Ok(finished) => finished,
            Err(error) => return Ok(Err(error.into())),
        };
        // The client answers with nothing, once it has seen that we know the keys (RFC 5802 section 5).
        let verifier = format!("v={}", STANDARD.encode(signature));
        match self.carrier.ask(verifier.as_bytes()).await? {
            Some(_) => Ok(Ok(standing)),
            None => Ok(Err(Refusal::Cancelled)),
        }
    }

    /// What the client's `c=` has to be: the header it has sent, and the data of the channel (RFC 5802 section 6).
    fn bound(&self, first: &ClientFirst<'_>, plus: bool) -> Result<Vec<u8>, Refusal> {
        let mut bound = first.gs2_header.as_bytes().to_vec();
        match (&first.binds, plus) {
            (Binds::With(name), true) => {
                let binding = Binding::named(name)
                    .and_then(|binding| self.carrier.stream().channel_binding(binding))
                    .ok_or(Refusal::Malformed("this channel binding is not possible here"))?;
                bound.extend_from_slice(&binding);
                Ok(bound)
            }
            (Binds::No, false) => Ok(bound),
            // Somebody has left -PLUS out of what we offered.
            (Binds::WouldIfYouCould, false) if !self.carrier.stream().offers_binding() => Ok(bound),
            (Binds::WouldIfYouCould, false) => Err(Refusal::Malformed("channel binding is possible here")),
            _ => Err(Refusal::Malformed("the channel binding does not fit the mechanism")),
        }
    }
}

const fn malformed() -> Refusal {
    Refusal::Malformed("not a SCRAM message")
}

/// `p=tls-exporter,a=name,n=user,r=nonce`.
fn client_first(message: &str) -> Option<ClientFirst<'_>> {
    let (flag, rest) = message.split_once(',')?;
    let (acts_as, bare) = rest.split_once(',')?;
    let binds = match flag {
        "n" => Binds::No,
        "y" => Binds::WouldIfYouCould,
        other => Binds::With(other.strip_prefix("p=")?),
    };
    let acts_as = match acts_as {
        "" => None,
        name => Some(saslname(name.strip_prefix("a=")?)?),
    };
    // A mandatory extension, `m=`, would come first, and none is known.
    let mut fields = bare.split(',');
    let login = saslname(fields.next()?.strip_prefix("n=")?)?;
    let nonce = fields.next()?.strip_prefix("r=").filter(|nonce| is_nonce(nonce))?;
    let gs2_header = &message[..message.len() - bare.len()];
    Some(ClientFirst { binds, gs2_header, acts_as, bare, login, nonce })
}

/// `c=biws,r=nonce,p=proof`.
fn client_final(message: &str) -> Option<ClientFinal<'_>> {
    let (without_proof, proof) = message.rsplit_once(",p=")?;
    let mut fields = without_proof.split(',');
    let binding = STANDARD.decode(fields.next()?.strip_prefix("c=")?).ok()?;
    let nonce = fields.next()?.strip_prefix("r=")?;
    Some(ClientFinal { binding, nonce, proof: STANDARD.decode(proof).ok()?, without_proof })
}

/// Printable ASCII; the comma has ended it already.
fn is_nonce(text: &str) -> bool {
    !text.is_empty() && text.len() <= MAX_CLIENT_NONCE && text.bytes().all(|byte| byte.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// RFC 7677 section 3.
    #[test]
    fn messages_of_the_rfc_are_read() {
        let first = client_first("n,,n=user,r=rOprNGfwEbeRWgbNEkqO").expect("first");
        assert_eq!(first.binds, Binds::No);
        assert_eq!((first.gs2_header, first.bare), ("n,,", "n=user,r=rOprNGfwEbeRWgbNEkqO"));
        assert_eq!((&*first.login, first.nonce), ("user", "rOprNGfwEbeRWgbNEkqO"));
        let nonce = "rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
        let message = format!("c=biws,r={nonce},p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=");
        let last = client_final(&message).expect("final");
        assert_eq!((&*last.binding, last.nonce, last.proof.len()), (&b"n,,"[..], nonce, 32));
        assert_eq!(last.without_proof, format!("c=biws,r={nonce}"));
    }

    #[test]
    fn headers_are_read() {
        let first = client_first("p=tls-exporter,a=a=3Db,n=a=3Db,r=x,ext=1").expect("first");
        assert_eq!(first.binds, Binds::With("tls-exporter"));
        assert_eq!((first.acts_as.as_deref(), &*first.login), (Some("a=b"), "a=b"));
        assert_eq!(first.gs2_header, "p=tls-exporter,a=a=3Db,");
        assert_eq!(client_first("y,,n=u,r=x").expect("first").binds, Binds::WouldIfYouCould);
        for bad in [
            "",
            "n",
            "n,,",
            "n,,r=x",
            "n,,n=u",
            "n,,n=,r=x",
            "n,,n=u,r=",
            "n,,n=u,r=\u{e9}",
            "n,,n=u=2X,r=x",
            "n,,m=ext,n=u,r=x",
            "q,,n=u,r=x",
            "n,b=u,n=u,r=x",
        ] {
            assert_eq!(client_first(bad), None, "{bad:?}");
        }
        for bad in
            ["", "c=biws,r=x", "c=!,r=x,p=AA==", "c=biws,p=AA==", "r=x,c=biws,p=AA==", "c=biws,r=x,p=!"]
        {
            assert_eq!(client_final(bad), None, "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn nothing_panics(text in "\\PC{0,80}", near in "[nypqamcr=,2CD3x]{0,60}") {
            for text in [text, near] {
                let _ = (client_first(&text), client_final(&text));
            }
        }
    }
}
