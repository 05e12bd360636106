//! Response bodies made piece by piece: generated, compressed, damaged.

use std::io::{self, Write};

use aws_lc_rs::digest::{Context, SHA256};
use bytes::Bytes;

use crate::outcome::{Content, Corrupt, Cut, Encoding, Reply};

const BLOCK: usize = 64 * 1024;
/// Up to this size a compressed body is made at once, so that its length is known.
const COMPRESS_AT_ONCE: u64 = 1 << 20;

/// Where a body is cut whose length is not known beforehand.
const CUT_UNKNOWN: u64 = 1024;

/// Gives a body in pieces of at most 64 KiB (compressed: about that), without ever holding all of it.
pub(crate) struct BodySource {
    content: Content,
    sent: u64,
    encoder: Option<Encoder>,
    corrupt: Corrupt,
    /// Bytes that come out, where that is known.
    len: Option<u64>,
}

impl BodySource {
    pub(crate) fn new(reply: &Reply) -> io::Result<Self> {
        let mut source = Self {
            content: reply.body.clone(),
            sent: 0,
            encoder: reply.encoding.map(Encoder::new).transpose()?,
            corrupt: reply.corrupt,
            len: None,
        };
        if source.encoder.is_some() && source.content.len() <= COMPRESS_AT_ONCE {
            let mut all = Vec::new();
            while let Some(piece) = source.next()? {
                all.extend_from_slice(&piece);
            }
            source.content = Content::Bytes(all.into());
            source.sent = 0;
        }
        if source.encoder.is_none() {
            source.len = Some(source.content.len());
        }
        Ok(source)
    }

    pub(crate) fn len(&self) -> Option<u64> {
        self.len
    }

    /// How many bytes are sent of a body that is cut: what the script says, or half of it.
    pub(crate) fn cut_at(&self, cut: Option<Cut>) -> u64 {
        match cut {
            None => u64::MAX,
            Some(cut) => cut.after.or(self.len.map(|len| len / 2)).unwrap_or(CUT_UNKNOWN),
        }
    }

    /// The next piece, never empty; `None` at the end.
    pub(crate) fn next(&mut self) -> io::Result<Option<Bytes>> {
        loop {
            let piece = self.raw();
            let Some(encoder) = &mut self.encoder else {
                return Ok(piece);
            };
            let out = match piece {
                Some(piece) => encoder.write(&piece)?,
                None => {
                    let mut last = self.encoder.take().map_or(Ok(Vec::new()), Encoder::finish)?;
                    damage(&mut last, self.corrupt);
                    return Ok((!last.is_empty()).then(|| last.into()));
                }
            };
            if !out.is_empty() {
                return Ok(Some(out.into()));
            }
        }
    }

    fn raw(&mut self) -> Option<Bytes> {
        let left = self.content.len().checked_sub(self.sent).filter(|left| *left > 0)?;
        let count = left.min(BLOCK as u64) as usize;
        let piece = match &self.content {
            Content::Bytes(bytes) => {
                let start = self.sent as usize;
                bytes.slice(start..start + count)
            }
            Content::Generated { zeros, .. } => block(*zeros).slice(..count),
        };
        self.sent += count as u64;
        Some(piece)
    }
}

/// The block that generated bodies repeat: zeros, or byte `i % 251` at offset `i`.
fn block(zeros: bool) -> Bytes {
    static ZEROS: [u8; BLOCK] = [0; BLOCK];
    static PATTERN: [u8; BLOCK] = {
        let mut block = [0; BLOCK];
        let mut index = 0;
        while index < BLOCK {
            block[index] = (index % 251) as u8;
            index += 1;
        }
        block
    };
    Bytes::from_static(if zeros { &ZEROS } else { &PATTERN })
}

fn damage(last: &mut Vec<u8>, corrupt: Corrupt) {
    // gzip ends with a checksum and a length, 4 bytes each, and `finish` always gives both.
    let trailer = last.len().saturating_sub(8);
    match corrupt {
        Corrupt::No => {}
        Corrupt::Checksum => last.iter_mut().skip(trailer).take(1).for_each(|byte| *byte ^= 0xff),
        Corrupt::Short => last.truncate(trailer),
    }
}

enum Encoder {
    Gzip(flate2::write::GzEncoder<Vec<u8>>),
    Deflate(flate2::write::ZlibEncoder<Vec<u8>>),
    Brotli(Box<brotli::CompressorWriter<Vec<u8>>>),
    Zstd(zstd::stream::write::Encoder<'static, Vec<u8>>),
}

impl Encoder {
    fn new(encoding: Encoding) -> io::Result<Self> {
        let level = flate2::Compression::fast();
        Ok(match encoding {
            Encoding::Gzip => Self::Gzip(flate2::write::GzEncoder::new(Vec::new(), level)),
            Encoding::Deflate => Self::Deflate(flate2::write::ZlibEncoder::new(Vec::new(), level)),
            Encoding::Brotli => Self::Brotli(Box::new(brotli::CompressorWriter::new(Vec::new(), 4096, 1, 20))),
            Encoding::Zstd => Self::Zstd(zstd::stream::write::Encoder::new(Vec::new(), 1)?),
        })
    }

    fn write(&mut self, piece: &[u8]) -> io::Result<Vec<u8>> {
        Ok(std::mem::take(match self {
            Self::Gzip(encoder) => {
                encoder.write_all(piece)?;
                encoder.get_mut()
            }
            Self::Deflate(encoder) => {
                encoder.write_all(piece)?;
                encoder.get_mut()
            }
            Self::Brotli(encoder) => {
                encoder.write_all(piece)?;
                encoder.get_mut()
            }
            Self::Zstd(encoder) => {
                encoder.write_all(piece)?;
                encoder.get_mut()
            }
        }))
    }

    fn finish(self) -> io::Result<Vec<u8>> {
        match self {
            Self::Gzip(encoder) => encoder.finish(),
            Self::Deflate(encoder) => encoder.finish(),
            Self::Brotli(encoder) => Ok(encoder.into_inner()),
            Self::Zstd(encoder) => encoder.finish(),
        }
    }
}

/// Counts and digests a request body; keeps it only when asked, and only up to 64 KiB.
pub(crate) struct Digest {
    context: Context,
    size: u64,
    kept: Option<Vec<u8>>,
}

impl Digest {
    pub(crate) fn new(keep: bool) -> Self {
        Self { context: Context::new(&SHA256), size: 0, kept: keep.then(Vec::new) }
    }

    pub(crate) fn add(&mut self, piece: &[u8]) {
        self.context.update(piece);
        self.size += piece.len() as u64;
        match &mut self.kept {
            Some(kept) if kept.len() + piece.len() < BLOCK => kept.extend_from_slice(piece),
            _ => self.kept = None,
        }
    }

    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    pub(crate) fn sha256(&self) -> String {
        let digest = self.context.clone().finish();
        digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The body as text, if it was kept and is UTF-8.
    pub(crate) fn text(&self) -> Option<&str> {
        self.kept.as_deref().and_then(|kept| std::str::from_utf8(kept).ok())
    }
}
