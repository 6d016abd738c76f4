//! The index of the write-ahead log, in shared memory that is a file (section 2 of the WAL-index format): it outlives the
//! sudden end of a program, and names the page of every frame, also where the frame itself does not any more.

use std::path::Path;

const VERSION: u32 = 3_007_000;
/// Both copies of its header and what checkpoints note there.
const HEADER: usize = 136;
/// Every so many bytes a block begins, with the pages of so many frames.
const BLOCK: usize = 32_768;
const FRAMES: usize = 4096;
/// Of the first block the header takes a part.
const FRAMES_OF_FIRST: usize = FRAMES - HEADER / 4;

/// What it says, as far as it was written: numbers are those of the machine.
#[derive(Debug)]
pub(super) struct Index {
    bytes: Vec<u8>,
    frames: usize,
}

impl Index {
    /// None where there is none, or none of the log with this salt.
    pub(super) fn of_log(log: &Path, salt: [u8; 8]) -> Option<Self> {
        let name = log.to_str()?.strip_suffix("-wal")?;
        let bytes = std::fs::read(format!("{name}-shm")).ok()?;
        let is_initialised = *bytes.get(12)? == 1;
        let is_of_log = bytes.get(32..40)? == salt;
        if number(&bytes, 0)? != VERSION || !is_initialised || !is_of_log {
            return None;
        }
        let frames = usize::try_from(number(&bytes, 16)?).ok()?;
        Some(Self { bytes, frames })
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
