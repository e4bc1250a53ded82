//! STLS (RFC 2595 section 4).

use crate::net::NetError;
use crate::pop3::session::{Next, Session};

impl Session {
    pub(super) async fn stls(&mut self) -> Result<Next, NetError> {
        if self.stream.is_tls() || self.maildrop.is_some() {
            self.mistake("STLS can't be used now");
            return Ok(Next::Command);
        }
        if self.stream.has_buffered_input() {
            // Sent in the clear, perhaps by somebody in between (CVE-2011-0411).
            self.err("nothing may follow STLS, closing");
            return Ok(Next::Close);
        }
        self.ok("go ahead");
        self.stream.flush().await?;
        let patience = self.adapter.limits.tls_handshake;
        self.stream.start_tls(&self.adapter.tls, patience).await?;
        self.user = None;
        Ok(Next::Command)
    }
}
