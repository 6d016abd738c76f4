//! How a write-ahead log is to be read: by its header, where that is whole, and otherwise by what else there is.

use std::{
    fs::File,
    io::{self, BufReader, Seek, SeekFrom},
};

use super::{
    frame::{FRAME_HEADER, salt_of},
    header::{is_page_size, number32},
    index::Index,
    sums::Sums,
    wal::{HEADER, filled},
};

/// Whether checksums are reckoned from big-endian numbers is the last bit.
const MAGIC: u32 = 0x377f_0682;
/// All sizes that pages can have.
const PAGE_SIZES: [usize; 8] = [4096, 512, 1024, 2048, 8192, 16_384, 32_768, 65_536];
/// Frames among which two are looked for that agree with each other, where the log's header does not say how to read them.
const SAMPLES: usize = 64;

/// How a log is to be read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Start {
    pub(super) page_size: usize,
    pub(super) salt: [u8; 8],
    /// The checksum that the first frame goes on from.
    pub(super) sums: Sums,
}

impl Start {
    /// None where the header is not valid.
    pub(super) fn told_by(header: &[u8; HEADER]) -> Option<Self> {
        let magic = number32(header, 0)?;
        if magic & !1 != MAGIC {
            return None;
        }
        let mut sums = Sums {
            is_big_endian: magic & 1 == 1,
            first: 0,
            second: 0,
        };
        sums.add(header.get(..24)?);
        let expected = (number32(header, 24)?, number32(header, 28)?);
        let page_size = usize::try_from(number32(header, 8)?).ok()?;
        let is_valid = expected == (sums.first, sums.second) && is_page_size(page_size);
        is_valid.then(|| Self {
            page_size,
            salt: salt_of(header, 16),
            sums,
        })
    }

    /// By the first frame that goes on from what is before it; none where there is no such.
    pub(super) fn guessed(mut file: &File, header: &[u8; HEADER]) -> io::Result<Option<Self>> {
        for page_size in PAGE_SIZES {
            for is_big_endian in [false, true] {
                file.seek(SeekFrom::Start(HEADER as u64))?;
                let mut reader = BufReader::with_capacity(1 << 18, file);
                let mut bytes = vec![0; FRAME_HEADER + page_size];
                let mut sums = Sums {
                    is_big_endian,
                    first: number32(header, 24).unwrap_or_default(),
                    second: number32(header, 28).unwrap_or_default(),
                };
                let start = sums;
                let mut before = salt_of(header, 16);
                for _ in 0..SAMPLES {
                    if !filled(&mut reader, &mut bytes)? {
                        break;
                    }
                    let salt = salt_of(&bytes, 8);
                    sums.add(&bytes[..8]);
                    sums.add(&bytes[FRAME_HEADER..]);
                    let [first, second] = [16, 20].map(|at| number32(&bytes, at).unwrap_or(0));
                    let goes_on = salt == before && (sums.first, sums.second) == (first, second);
                    // Zeros agree with zeros.
                    if goes_on && number32(&bytes, 0) != Some(0) {
                        return Ok(Some(Self {
                            page_size,
                            salt,
                            sums: start,
                        }));
                    }
                    before = salt;
                    sums = Sums {
                        first,
                        second,
                        ..sums
                    };
                }
            }
        }
        Ok(None)
    }

    /// By the index beside the log, which was written by whoever wrote the log: it says how much is lost where nothing of
    /// the log itself makes sense. One that was never written is none.
    pub(super) fn indexed(header: &[u8; HEADER], index: Option<&Index>) -> Option<Self> {
        let index = index.filter(|index| index.frames > 0)?;
        let was_written = header.iter().any(|byte| *byte != 0);
        was_written.then_some(Self {
            page_size: index.page_size,
            salt: index.salt,
            sums: Sums {
                is_big_endian: false,
                first: 0,
                second: 0,
            },
        })
    }
}
