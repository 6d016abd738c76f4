//! The index of the write-ahead log, in shared memory that is a file (section 2 of the WAL-index format): it outlives the
//! sudden end of a program, and names the page of every frame, also where the frame itself does not any more. It knows as
//! well how many frames were committed, and how many of them have been copied into the database since.

use std::path::Path;

use super::{header::is_page_size, sums::Sums};

const VERSION: u32 = 3_007_000;
/// Both copies of its header and what checkpoints note there.
const HEADER: usize = 136;
/// One copy of the header; its last eight bytes are the checksum of those before.
const COPY: usize = 48;
/// Where it is noted how many frames were copied into the database.
const COPIED: usize = 96;
/// Where it is noted how many a checkpoint was about to copy there.
const COPYING: usize = 128;
/// Every so many bytes a block begins, with the pages of so many frames.
const BLOCK: usize = 32_768;
const FRAMES: usize = 4096;
/// Of the first block the header takes a part.
const FRAMES_OF_FIRST: usize = FRAMES - HEADER / 4;

/// What it says, as far as it was written: numbers are those of the machine.
#[derive(Debug)]
pub(super) struct Index {
    bytes: Vec<u8>,
    /// Frames that had been committed when it was written last.
    pub(super) frames: usize,
    /// Pages of the database after the last of them.
    pub(super) pages: u32,
    pub(super) page_size: usize,
    pub(super) salt: [u8; 8],
    /// Frames that are in the database in any case.
    copied: usize,
    /// Frames that may be in the database: no later one is.
    pub(super) copying: usize,
}

impl Index {
    /// The one beside the log, whichever log it is of; none where it is not whole.
    pub(super) fn beside(log: &Path) -> Option<Self> {
        let name = log.to_str()?.strip_suffix("-wal")?;
        let bytes = std::fs::read(format!("{name}-shm")).ok()?;
        let header = bytes.get(..COPY)?;
        let is_initialised = *header.get(12)? == 1;
        // Whoever writes it writes one copy after the other.
        let is_at_rest = bytes.get(COPY..2 * COPY)? == header;
        let mut sums = Sums {
            is_big_endian: cfg!(target_endian = "big"),
            first: 0,
            second: 0,
        };
        sums.add(header.get(..COPY - 8)?);
        let told = (number(header, COPY - 8)?, number(header, COPY - 4)?);
        if number(header, 0)? != VERSION
            || !is_initialised
            || !is_at_rest
            || told != (sums.first, sums.second)
        {
            return None;
        }
        let page_size = match u16::from_ne_bytes(header.get(14..16)?.try_into().ok()?) {
            1 => 65_536,
            size => usize::from(size),
        };
        is_page_size(page_size).then_some(())?;
        Some(Self {
            frames: usize::try_from(number(header, 16)?).ok()?,
            pages: number(header, 20)?,
            page_size,
            salt: header.get(32..40)?.try_into().ok()?,
            copied: usize::try_from(number(&bytes, COPIED)?).ok()?,
            copying: usize::try_from(number(&bytes, COPYING)?).ok()?,
            bytes,
        })
    }

    /// Whether the database holds all of the log.
    pub(super) fn is_all_copied(&self) -> bool {
        self.frames > 0 && self.copied >= self.frames
    }

    /// The page of a frame, counted from 0; none where it does not say.
    pub(super) fn page(&self, frame: usize) -> Option<u32> {
        if frame >= self.frames {
            return None;
        }
        let at = match frame.checked_sub(FRAMES_OF_FIRST) {
            None => HEADER + 4 * frame,
            Some(beyond) => BLOCK * (1 + beyond / FRAMES) + 4 * (beyond % FRAMES),
        };
        number(&self.bytes, at).filter(|page| *page > 0)
    }
}

fn number(bytes: &[u8], at: usize) -> Option<u32> {
    let bytes = bytes.get(at..at.checked_add(4)?)?;
    Some(u32::from_ne_bytes(bytes.try_into().ok()?))
}
