//! DATA (RFC 5321 section 4.1.1.4).

use tokio::time::Instant;

use crate::net::{NetError, wire};
use crate::smtp::decoder::{Decoder, Fault};
use crate::smtp::reply::Reply;
use crate::smtp::session::{Next, Session};
use crate::smtp::transaction::Body;

/// What a message may be longer than the limit before the connection is cut instead of reading on.
const OVERRUN: u64 = 64 << 20;

impl Session {
    pub(super) async fn data(&mut self) -> Result<Next, NetError> {
        match &self.transaction {
            None => {
                self.mistake(&Reply::bad_sequence("say MAIL first"));
                return Ok(Next::Command);
            }
            Some(transaction) if transaction.chunks.is_some() => {
                self.mistake(&Reply::bad_sequence("the message comes by BDAT already"));
                return Ok(Next::Command);
            }
            Some(transaction) if transaction.accepted == 0 => {
                self.mistake(&Reply::new(554, "5.5.1", "no valid recipients"));
                return Ok(Next::Command);
            }
            Some(_) => {}
        }
        let mut share = self.memory();
        if !share.grow(1) {
            self.reply(&Reply::new(452, "4.3.1", "too much mail at the moment, try again later"));
            return Ok(Next::Command);
        }
        self.reply(&Reply::new(354, "", "go ahead, end with a line of one dot"));
        self.stream.flush().await?;
        let limit = self.adapter.limits.smtp.message_size;
        let body = self.read_body(Body::new(Decoder::data(limit), share)).await?;
        let Some(body) = body else { return Ok(Next::Close) };
        let arrived = Instant::now();
        self.finish(body).await;
        self.adapter.metrics.accept_seconds.observe(arrived.elapsed().as_secs_f64());
        Ok(Next::Command)
    }

    /// Reads up to the end; `None` when it is far too long, with the reply written.
    async fn read_body(&mut self, mut body: Body) -> Result<Option<Body>, NetError> {
        let patience = self.adapter.limits.smtp.data_block;
        let mut pace = self.stream.pace(patience);
        let limit = self.adapter.limits.smtp.message_size as u64;
        loop {
            let (taken, ended) = body.take(self.stream.buffered());
            self.stream.consume(taken);
            pace.advance(taken);
            if ended {
                wire::received_bytes("message", body.message.len());
                return Ok(Some(body));
            }
            if body.decoder.size() > limit + OVERRUN {
                self.reply(&Reply::new(552, "5.3.4", "the message is far too large, closing"));
                return Ok(None);
            }
            let deadline = pace.deadline().min(self.ends());
            if self.stream.fill(deadline).await? == 0 {
                return Err(NetError::Closed);
            }
        }
    }

    /// The message is there: accepts or refuses it, with its reply. The transaction is over.
    pub(super) async fn finish(&mut self, body: Body) {
        let Some(transaction) = self.transaction.take() else { return };
        let reply = if body.starved {
            Reply::new(452, "4.3.1", "too much mail at the moment, try again later")
        } else {
            match body.decoder.fault() {
                Some(Fault::TooLarge) => Reply::new(552, "5.3.4", "the message is too large"),
                Some(Fault::BareLineEnd) => {
                    Reply::new(550, "5.6.11", "the message has a bare CR or LF in it")
                }
                None => match self.accept(transaction, body).await {
                    Ok(id) => {
                        self.message_accepted();
                        Reply::owned(250, "2.0.0", format!("queued as {id}"))
                    }
                    Err(reply) => reply,
                },
            }
        };
        if reply.code != 250 {
            let reason = match (reply.reason, reply.code) {
                (Some(reason), _) => reason,
                (None, 400..500) => "message-later",
                (None, _) => "message",
            };
            self.adapter.metrics.refused.with_label_values(&[reason]).inc();
        }
        self.reply(&reply);
    }
}
