//! COMPRESS=DEFLATE (RFC 4978): raw deflate (RFC 1951) on both directions of a connection.
//!
//! Memory: a compressor takes some 300 KB and a decompressor 11 KB beside its window. A connection that rests
//! gives both back. What a compressor has sent stands for itself once it was flushed, so the next one begins
//! with an empty window, which the peer can't tell; the peer's compressor may refer to the last 32 KB it has
//! sent, so of the window what there is of it stays, which for most sessions are a few hundred bytes.
//!
//! Bombs: input is inflated in steps of [`STEP`], and only when somebody asks for more, so that the bounds of
//! lines and literals hold for what comes out.

use std::io;

use bytes::{Buf, BytesMut};
use miniz_oxide::deflate::core::{
    CompressorOxide, TDEFLFlush, TDEFLStatus, compress_to_output, create_comp_flags_from_zip_params,
};
use miniz_oxide::inflate::TINFLStatus;
use miniz_oxide::inflate::core::inflate_flags::{
    TINFL_FLAG_HAS_MORE_INPUT, TINFL_FLAG_STOP_ON_BLOCK_BOUNDARY, TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF,
};
use miniz_oxide::inflate::core::{BlockBoundaryState, DecompressorOxide, decompress};

/// What comes out of a step at most.
const STEP: usize = 16 * 1024;
/// How far back the peer may refer (RFC 1951 section 2).
const WINDOW: usize = 32 * 1024;
/// Fast rather than small: mail texts shrink to about a third already here.
const LEVEL: i32 = 3;
/// Raw deflate.
const RAW: i32 = -15;

/// The compression of a connection.
#[derive(Default)]
pub(super) struct Deflate {
    /// From the peer, not yet inflated.
    pub received: BytesMut,
    /// For the peer.
    pub compressed: BytesMut,
    inflater: Inflater,
    deflater: Option<Box<CompressorOxide>>,
}

impl Deflate {
    /// Begins with what was received already.
    pub fn after(received: BytesMut) -> Deflate {
        Deflate { received, ..Deflate::default() }
    }

    /// Compresses a text and flushes it, so that the peer can read all of it.
    pub fn deflate(&mut self, text: &[u8]) -> io::Result<()> {
        let deflater = self.deflater.get_or_insert_with(|| {
            Box::new(CompressorOxide::new(create_comp_flags_from_zip_params(LEVEL, RAW, 0)))
        });
        let compressed = &mut self.compressed;
        let put = |bytes: &[u8]| {
            compressed.extend_from_slice(bytes);
            true
        };
        let (status, read) = compress_to_output(deflater, text, TDEFLFlush::Sync, put);
        if status == TDEFLStatus::Okay && read == text.len() {
            return Ok(());
        }
        Err(io::Error::other("the output can't be compressed"))
    }

    /// Inflates a step of what was received onto `input`; how much came out.
    pub fn inflate(&mut self, input: &mut BytesMut) -> io::Result<usize> {
        self.inflater.step(&mut self.received, input)
    }

    /// Gives back what is not needed until something happens.
    pub fn rest(&mut self) {
        self.deflater = None;
        if self.compressed.is_empty() {
            self.compressed = BytesMut::new();
        }
        if self.received.is_empty() {
            self.received = BytesMut::new();
            self.inflater.rest();
        }
    }
}

#[derive(Default)]
struct Inflater {
    decompressor: Option<Box<DecompressorOxide>>,
    /// Where the decompressor stands, if it stands between two blocks.
    boundary: Option<BlockBoundaryState>,
    /// What came out last, up to [`WINDOW`] of it and a step.
    window: Vec<u8>,
    /// The last step had no room for all: more may come without further input.
    has_more: bool,
    /// The peer has ended its stream.
    ended: bool,
}

impl Inflater {
    fn step(&mut self, received: &mut BytesMut, input: &mut BytesMut) -> io::Result<usize> {
        let damaged = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what);
        while self.has_more || !received.is_empty() {
            if self.ended {
                return Err(damaged("data after the end of the compressed stream"));
            }
            let boundary = self.boundary.take();
            let decompressor = self.decompressor.get_or_insert_with(|| {
                Box::new(DecompressorOxide::from_block_boundary_state(&boundary.unwrap_or_default()))
            });
            if self.window.len() > 2 * WINDOW {
                self.window.drain(..self.window.len() - WINDOW);
            }
            let before = self.window.len();
            self.window.resize(before + STEP, 0);
            let flags = TINFL_FLAG_HAS_MORE_INPUT
                | TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF
                | TINFL_FLAG_STOP_ON_BLOCK_BOUNDARY;
            let (status, read, written) = decompress(decompressor, received, &mut self.window, before, flags);
            self.window.truncate(before + written);
            received.advance(read);
            self.has_more = status == TINFLStatus::HasMoreOutput;
            match status {
                TINFLStatus::BlockBoundary => self.boundary = decompressor.block_boundary_state(),
                TINFLStatus::NeedsMoreInput | TINFLStatus::HasMoreOutput => {}
                TINFLStatus::Done => self.ended = true,
                _ => return Err(damaged("the compressed data are damaged")),
            }
            if written > 0 {
                input.extend_from_slice(&self.window[before..]);
                return Ok(written);
            }
            if read == 0 && status != TINFLStatus::BlockBoundary {
                break;
            }
        }
        Ok(0)
    }

    fn rest(&mut self) {
        if self.boundary.is_some() {
            self.decompressor = None;
        }
        let excess = self.window.len().saturating_sub(WINDOW);
        self.window.drain(..excess);
        self.window.shrink_to_fit();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Inflates all of it, step by step, resting after every step if wanted.
    fn inflated(deflate: &mut Deflate, bytes: &[u8], rests: bool) -> io::Result<Vec<u8>> {
        let mut input = BytesMut::new();
        deflate.received.extend_from_slice(bytes);
        loop {
            let count = deflate.inflate(&mut input)?;
            assert!(count <= STEP);
            if count == 0 {
                return Ok(input.to_vec());
            }
            if rests {
                deflate.rest();
            }
        }
    }

    #[test]
    fn a_connection_that_rests_holds_little_and_goes_on() {
        let (mut server, mut client) = (Deflate::default(), Deflate::default());
        for number in 0..50 {
            let text = format!("a{number} FETCH 1:* (FLAGS)\r\n").repeat(number * 40);
            client.deflate(text.as_bytes()).expect("deflated");
            let bytes = client.compressed.split();
            assert_eq!(inflated(&mut server, &bytes, false).expect("inflated"), text.as_bytes());
            server.rest();
            assert!(server.inflater.decompressor.is_none() && server.deflater.is_none(), "{number}");
            assert!(server.inflater.window.capacity() <= WINDOW, "{number}");
            // The other end can't tell that it begins anew.
            if number % 3 == 0 {
                client.rest();
            }
        }
        let mut fresh = Deflate::default();
        fresh.deflate(b"NOOP\r\n").expect("deflated");
        let mut idle = Deflate::default();
        inflated(&mut idle, &fresh.compressed, false).expect("inflated");
        idle.rest();
        assert!(idle.inflater.window.capacity() < 64, "{}", idle.inflater.window.capacity());
    }

    /// The peer refers back to what it sent before we rested: a stored block, then a match of distance 5.
    #[test]
    fn the_window_outlives_a_rest() {
        let mut server = Deflate::default();
        let stored = [&[0, 5, 0, 0xfa, 0xff][..], b"hello"].concat();
        assert_eq!(inflated(&mut server, &stored, true).expect("inflated"), b"hello");
        server.rest();
        assert!(server.inflater.decompressor.is_none());
        // Fixed codes: length 5 (259: 0000011), distance 5 (4: 00100, extra bit 0), end (0000000).
        let bits = "110".to_owned() + "0000011" + "00100" + "0" + "0000000";
        let mut bytes = vec![0_u8; bits.len().div_ceil(8)];
        for (index, _) in bits.char_indices().filter(|(_, bit)| *bit == '1') {
            bytes[index / 8] |= 1 << (index % 8);
        }
        assert_eq!(inflated(&mut server, &bytes, false).expect("inflated"), b"hello");
        // That was a last block: nothing may follow it.
        assert!(inflated(&mut server, b"x", false).is_err());
    }

    #[test]
    fn a_bomb_comes_in_steps() {
        let mut bomb = Deflate::default();
        bomb.deflate(&vec![b'x'; 10 << 20]).expect("deflated");
        let mut server = Deflate::default();
        server.received.extend_from_slice(&bomb.compressed);
        let mut input = BytesMut::new();
        let mut all = 0;
        loop {
            let count = server.inflate(&mut input).expect("inflated");
            if count == 0 {
                break;
            }
            all += count;
            assert!(count <= STEP && server.inflater.window.capacity() <= 4 * WINDOW);
            input.clear();
        }
        assert_eq!(all, 10 << 20);
    }

    proptest! {
        #[test]
        fn what_goes_in_comes_out(
            texts in proptest::collection::vec(proptest::collection::vec(0_u8..6, 0..3000), 1..8),
            cut in 1_usize..600,
            rests: bool,
        ) {
            let (mut client, mut server) = (Deflate::default(), Deflate::default());
            for text in &texts {
                client.deflate(text).expect("deflated");
                let bytes = client.compressed.split();
                let mut out = Vec::new();
                for piece in bytes.chunks(cut) {
                    out.extend(inflated(&mut server, piece, rests).expect("inflated"));
                }
                prop_assert_eq!(&out, text);
                if rests {
                    client.rest();
                    server.rest();
                }
            }
        }

        #[test]
        fn garbage_is_an_error_or_text(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let _ = inflated(&mut Deflate::default(), &bytes, true);
        }
    }
}
