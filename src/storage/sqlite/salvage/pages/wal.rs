//! The write-ahead log: the newest committed version of every page in it (section 4 of the file format).

use std::{
    collections::HashMap,
    fs::File,
    io::{self, BufReader, ErrorKind, Read, Seek, SeekFrom},
    path::Path,
};

use super::header::{is_page_size, number32};

const HEADER: usize = 32;
const FRAME_HEADER: usize = 24;
/// Whether checksums are reckoned from big-endian numbers is the last bit.
const MAGIC: u32 = 0x377f_0682;

/// A write-ahead log as it was when it was opened: what is appended later is not looked at.
#[derive(Debug)]
pub(super) struct Log {
    file: File,
    pub(super) page_size: usize,
    /// Pages of the database after the last commit.
    pub(super) pages: u32,
    /// Where the newest committed frame of each page begins.
    frames: HashMap<u32, u64>,
    salt: [u8; 8],
}

/// The log starts anew with another salt while it is read.
#[derive(Debug)]
pub(super) struct Restarted;

impl Log {
    /// None where there is no log, or where nothing in it was committed.
    pub(super) fn open(path: &Path) -> io::Result<Option<Self>> {
        let file = match File::open(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            opened => opened?,
        };
        let mut reader = BufReader::with_capacity(1 << 18, &file);
        let mut header = [0; HEADER];
        if !filled(&mut reader, &mut header)? {
            return Ok(None);
        }
        let Some((page_size, sums)) = understood(&header) else {
            return Ok(None);
        };
        let salt = salt_of(&header, 16);
        let mut log = Self {
            page_size,
            pages: 0,
            frames: HashMap::new(),
            salt,
            file: file.try_clone()?,
        };
        log.read_frames(&mut reader, sums)?;
        Ok((log.pages > 0).then_some(log))
    }

    fn read_frames(&mut self, reader: &mut impl Read, mut sums: Sums) -> io::Result<()> {
        let mut frame = vec![0; FRAME_HEADER + self.page_size];
        let mut at = HEADER as u64;
        let mut uncommitted = Vec::new();
        while filled(reader, &mut frame)? {
            let numbers = [0, 4, 16, 20].map(|at| number32(&frame, at).unwrap_or_default());
            let [page, pages_after, first, second] = numbers;
            sums.add(&frame[..8]);
            sums.add(&frame[FRAME_HEADER..]);
            let is_valid =
                salt_of(&frame, 8) == self.salt && (sums.first, sums.second) == (first, second);
            if !is_valid || page == 0 {
                break;
            }
            uncommitted.push((page, at));
            if pages_after > 0 {
                self.frames.extend(uncommitted.drain(..));
                self.pages = pages_after;
            }
            at += frame.len() as u64;
        }
        Ok(())
    }

    /// The highest page in it.
    pub(super) fn highest(&self) -> u32 {
        self.frames.keys().copied().max().unwrap_or_default()
    }

    /// Puts the newest version of the page into `page`; false where the log has none.
    pub(super) fn read(&self, number: u32, page: &mut [u8]) -> io::Result<Result<bool, Restarted>> {
        let Some(at) = self.frames.get(&number) else {
            return Ok(Ok(false));
        };
        let mut header = [0; FRAME_HEADER];
        let mut file = &self.file;
        file.seek(SeekFrom::Start(*at))?;
        file.read_exact(&mut header)?;
        if number32(&header, 0) != Some(number) || salt_of(&header, 8) != self.salt {
            return Ok(Err(Restarted));
        }
        file.read_exact(page)?;
        Ok(Ok(true))
    }
}

/// The size of pages, and the checksum to go on from; none where the header is not valid.
fn understood(header: &[u8; HEADER]) -> Option<(usize, Sums)> {
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
    (expected == (sums.first, sums.second) && is_page_size(page_size)).then_some((page_size, sums))
}

fn salt_of(bytes: &[u8], at: usize) -> [u8; 8] {
    let salt = bytes.get(at..at + 8).and_then(|salt| salt.try_into().ok());
    salt.unwrap_or_default()
}

/// False where the file ends before.
fn filled(reader: &mut impl Read, buffer: &mut [u8]) -> io::Result<bool> {
    match reader.read_exact(buffer) {
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(false),
        other => other.map(|()| true),
    }
}

/// The running checksum.
struct Sums {
    is_big_endian: bool,
    first: u32,
    second: u32,
}

impl Sums {
    fn add(&mut self, bytes: &[u8]) {
        for pair in bytes.chunks_exact(8) {
            let [a, b, c, d, e, f, g, h] = *pair else {
                return;
            };
            let (one, other) = if self.is_big_endian {
                (
                    u32::from_be_bytes([a, b, c, d]),
                    u32::from_be_bytes([e, f, g, h]),
                )
            } else {
                (
                    u32::from_le_bytes([a, b, c, d]),
                    u32::from_le_bytes([e, f, g, h]),
                )
            };
            self.first = self.first.wrapping_add(one).wrapping_add(self.second);
            self.second = self.second.wrapping_add(other).wrapping_add(self.first);
        }
    }
}
