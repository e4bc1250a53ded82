//! STARTTLS (RFC 3207).

use tracing::debug;

use crate::net::NetError;
use crate::smtp::reply::Reply;
use crate::smtp::session::{Next, Session};

impl Session {
    pub(super) async fn start_tls(&mut self) -> Result<Next, NetError> {
        if self.stream.is_tls() {
            self.mistake(&Reply::bad_sequence("TLS is active already"));
            return Ok(Next::Command);
        }
        if self.hello.as_ref().is_none_or(|hello| !hello.extended) {
            self.mistake(&Reply::bad_sequence("say EHLO first"));
            return Ok(Next::Command);
        }
        if self.stream.has_buffered_input() {
            // Somebody in between may have put it there (CVE-2011-0411): there is nothing left to trust.
            self.reply(&Reply::new(554, "5.5.1", "nothing may follow STARTTLS, closing"));
            return Ok(Next::Close);
        }
        self.reply(&Reply::new(220, "2.0.0", "go ahead"));
        self.stream.flush().await?;
        let patience = self.adapter.limits.tls_handshake;
        self.stream.start_tls(&self.adapter.tls, patience).await?;
        debug!(tls = self.stream.tls(), "encrypted");
        // RFC 3207 section 4.2: the session begins anew.
        self.hello = None;
        self.member = None;
        self.transaction = None;
        Ok(Next::Command)
    }
}
