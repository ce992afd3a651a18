//! How an archive is packed: streamed both ways, with buffers of a fixed size.
//!
//! Everything here blocks and belongs on a thread of its own. What comes out of the encoder is what
//! `gzip` and `zstd` write, so that any tool reads it, and any archive of theirs is read here.

use crate::model::plan::{ArchivePlan, Compression};
use flate2::bufread::MultiGzDecoder;
use flate2::write::GzEncoder;
use std::io::{self, BufRead, Read, Write};

/// What gzip files begin with.
const GZIP: [u8; 2] = [0x1f, 0x8b];
/// What frames of zstd begin with.
const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
/// What frames begin with that decoders of zstd skip, without the last half byte of the first.
const SKIPPED: [u8; 4] = [0x50, 0x2a, 0x4d, 0x18];

/// Packs what is written to it.
pub struct Encoder<W: Write>(Kind<W>);

enum Kind<W: Write> {
    None(W),
    Gzip(GzEncoder<W>),
    Zstd(zstd::Encoder<'static, W>),
}

impl<W: Write> Encoder<W> {
    /// Packs into `to`.
    pub fn new(to: W, packing: &ArchivePlan) -> io::Result<Self> {
        let level = packing.level.or(packing.compression.default_level()).unwrap_or_default();
        Ok(Self(match packing.compression {
            Compression::None => Kind::None(to),
            Compression::Gzip => {
                let level = u32::try_from(level).map_err(io::Error::other)?;
                Kind::Gzip(GzEncoder::new(to, flate2::Compression::new(level)))
            }
            Compression::Zstd => {
                let mut encoder = zstd::Encoder::new(to, level)?;
                // As the zstd command does, so that damage is noticed.
                encoder.include_checksum(true)?;
                // One thread is the one that writes to this encoder.
                if packing.threads > 1 {
                    encoder.multithread(packing.threads)?;
                }
                Kind::Zstd(encoder)
            }
        }))
    }

    /// Writes what is still held back. Without this the archive is not complete.
    pub fn finish(self) -> io::Result<W> {
        match self.0 {
            Kind::None(to) => Ok(to),
            Kind::Gzip(encoder) => encoder.finish(),
            Kind::Zstd(encoder) => encoder.finish(),
        }
    }
}

impl<W: Write> Write for Encoder<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.0 {
            Kind::None(to) => to.write(bytes),
            Kind::Gzip(encoder) => encoder.write(bytes),
            Kind::Zstd(encoder) => encoder.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.0 {
            Kind::None(to) => to.flush(),
            Kind::Gzip(encoder) => encoder.flush(),
            Kind::Zstd(encoder) => encoder.flush(),
        }
    }
}

/// Bytes that [`recognise`] looks at.
pub const HEAD: u64 = 4;

/// How an archive is packed, by its first bytes; what is not known passes as it is.
pub fn recognise(head: &[u8]) -> Compression {
    let skipped = head.len() >= 4 && head[0] & 0xf0 == SKIPPED[0] && head[1..4] == SKIPPED[1..];
    if head.starts_with(&GZIP) {
        Compression::Gzip
    } else if head.starts_with(&ZSTD) || skipped {
        Compression::Zstd
    } else {
        Compression::None
    }
}

/// What was packed into `from`.
pub fn decode<'a>(mut from: impl BufRead + Send + 'a) -> io::Result<Box<dyn Read + Send + 'a>> {
    Ok(match recognise(from.fill_buf()?) {
        Compression::None => Box::new(from),
        Compression::Gzip => Box::new(MultiGzDecoder::new(from)),
        Compression::Zstd => Box::new(zstd::Decoder::with_buffer(from)?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{Rng, SeedableRng};

    const MIB: usize = 1 << 20;

    fn packings() -> Vec<ArchivePlan> {
        let plan = |compression, level, threads| ArchivePlan { compression, level, threads };
        vec![
            ArchivePlan::default(),
            plan(Compression::Gzip, None, 1),
            plan(Compression::Gzip, Some(1), 1),
            plan(Compression::Zstd, None, 1),
            plan(Compression::Zstd, None, 2),
            plan(Compression::Zstd, Some(1), 3),
            plan(Compression::Zstd, Some(9), 2),
        ]
    }

    /// Half of it cannot be packed, half of it can.
    fn content(bytes: usize) -> Vec<u8> {
        let mut content = vec![0; bytes];
        rand_chacha::ChaCha8Rng::seed_from_u64(7).fill_bytes(&mut content);
        content.chunks_mut(64 << 10).step_by(2).for_each(|chunk| chunk.fill(b'a'));
        content
    }

    fn pack(content: &[u8], packing: &ArchivePlan) -> Vec<u8> {
        let mut encoder = Encoder::new(Vec::new(), packing).unwrap();
        encoder.write_all(content).unwrap();
        encoder.finish().unwrap()
    }

    fn unpack(archive: &[u8]) -> io::Result<Vec<u8>> {
        let mut content = Vec::new();
        decode(archive)?.read_to_end(&mut content)?;
        Ok(content)
    }

    #[test]
    fn every_packing_is_undone_and_recognised() {
        for packing in packings() {
            for size in [0, 1, 513, MIB - 1, 9 * MIB + 3] {
                let content = content(size);
                let archive = pack(&content, &packing);
                assert!(unpack(&archive).unwrap() == content, "{packing:?} {size}");
                if size > 4 {
                    assert_eq!(recognise(&archive), packing.compression, "{packing:?} {size}");
                }
                if size > MIB {
                    let smaller = archive.len() < content.len() * 6 / 10;
                    assert_eq!(smaller, packing.compression != Compression::None, "{packing:?}");
                }
            }
        }
    }

    #[test]
    fn archives_of_several_parts_are_read_to_the_end() {
        let gzip = &packings()[1];
        let zstd = &packings()[5];
        for packing in [gzip, zstd] {
            let both = [pack(b"one", packing), pack(b" and two", packing)].concat();
            assert_eq!(unpack(&both).unwrap(), b"one and two");
        }
        // What parallel packers of zstd put in front: a frame to be skipped.
        let skipped = [&[0x5a, 0x2a, 0x4d, 0x18, 2, 0, 0, 0, 9, 9], &pack(b"x", zstd)[..]].concat();
        assert_eq!(unpack(&skipped).unwrap(), b"x");
    }

    #[test]
    fn what_is_cut_off_or_damaged_is_an_error() {
        let content = content(MIB);
        for packing in packings() {
            if packing.compression == Compression::None {
                continue;
            }
            let archive = pack(&content, &packing);
            assert!(unpack(&archive[..archive.len() - 1]).is_err(), "{packing:?}");
            assert!(unpack(&archive[..archive.len() / 2]).is_err(), "{packing:?}");
            let mut damaged = archive.clone();
            let last = damaged.len() - 12;
            damaged[last] ^= 0xff;
            assert!(unpack(&damaged).is_err(), "{packing:?}");
        }
    }

    #[test]
    fn an_archive_that_is_not_packed_passes_as_it_is() {
        for head in [&b""[..], b"B", b"BZh9", b"\xfd7zXZ\0", b"blobs/", &[0x1f], &ZSTD[..3]] {
            assert_eq!(recognise(head), Compression::None, "{head:?}");
            assert_eq!(unpack(head).unwrap(), head);
        }
    }
}
