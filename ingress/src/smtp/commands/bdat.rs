//! BDAT (RFC 3030). A chunk is read whatever the reply: the client may have sent it already.

use tokio::time::Instant;

use crate::net::{NetError, wire};
use crate::smtp::decoder::Decoder;
use crate::smtp::reply::Reply;
use crate::smtp::session::{Next, Session};
use crate::smtp::transaction::Body;

impl Session {
    pub(super) async fn bdat(&mut self, len: u64, last: bool) -> Result<Next, NetError> {
        let limit = self.adapter.limits.smtp.message_size;
        if len > 2 * limit as u64 {
            self.reply(&Reply::new(552, "5.3.4", "the chunk is far too large, closing"));
            return Ok(Next::Close);
        }
        let refusal = match &self.transaction {
            None => Some(Reply::bad_sequence("say MAIL first")),
            Some(transaction) if transaction.accepted == 0 => {
                Some(Reply::new(554, "5.5.1", "no valid recipients"))
            }
            Some(_) => None,
        };
        if !self.stream.has_buffered_input() {
            self.stream.flush().await?;
        }
        if let Some(reply) = refusal {
            self.stream.skip(len, self.adapter.limits.smtp.data_block).await?;
            self.mistake(&reply);
            return Ok(Next::Command);
        }
        let share = self.memory();
        let fresh = || Body::new(Decoder::chunks(limit), share);
        let chunks = self.transaction.as_mut().and_then(|transaction| transaction.chunks.take());
        let mut body = chunks.unwrap_or_else(fresh);
        self.read_chunk(len, &mut body).await?;
        wire::received_bytes("chunk", usize::try_from(len).unwrap_or(usize::MAX));
        if last {
            body.decoder.finish();
            let arrived = Instant::now();
            self.finish(body).await;
            self.adapter.metrics.accept_seconds.observe(arrived.elapsed().as_secs_f64());
            return Ok(Next::Command);
        }
        // What is wrong is told at the last chunk, so that a pipelining client stays in step.
        if let Some(transaction) = &mut self.transaction {
            transaction.chunks = Some(body);
        }
        self.reply(&Reply::owned(250, "2.0.0", format!("{len} bytes")));
        Ok(Next::Command)
    }

    async fn read_chunk(&mut self, len: u64, body: &mut Body) -> Result<(), NetError> {
        let patience = self.adapter.limits.smtp.data_block;
        let mut pace = self.stream.pace(patience);
        let ends = self.ends();
        let mut left = len;
        while left > 0 {
            if !self.stream.has_buffered_input() {
                let deadline = pace.deadline().min(ends);
                if self.stream.fill(deadline).await? == 0 {
                    return Err(NetError::Closed);
                }
            }
            let buffered = self.stream.buffered();
            let piece = &buffered[..buffered.len().min(usize::try_from(left).unwrap_or(usize::MAX))];
            let (taken, _) = body.take(piece);
            self.stream.consume(taken);
            pace.advance(taken);
            left -= taken as u64;
        }
        Ok(())
    }
}
