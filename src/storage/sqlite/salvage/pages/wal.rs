//! The write-ahead log: the newest committed version of every page in it (section 4 of the file format).
//!
//! SQLite reads it up to the first frame whose checksum is not right, and takes that for its end. It is, where the log was
//! torn, or where nobody has overwritten what a transaction left that came to nothing. But where a commit follows that goes
//! on from a checksum in the log itself, under the salt that only this log has, the log is damaged in its midst.

use std::{
    collections::{BTreeMap, HashMap},
    fs::File,
    io::{self, BufReader, ErrorKind, Read, Seek, SeekFrom},
    path::Path,
};

use super::{
    header::{is_page_size, number32},
    index::Index,
    sums::Sums,
};

const HEADER: usize = 32;
const FRAME_HEADER: usize = 24;
/// Whether checksums are reckoned from big-endian numbers is the last bit.
const MAGIC: u32 = 0x377f_0682;
/// All sizes that pages can have.
const PAGE_SIZES: [usize; 8] = [4096, 512, 1024, 2048, 8192, 16_384, 32_768, 65_536];
/// Frames among which two are looked for that agree with each other, where the log's header does not say how to read them.
const SAMPLES: usize = 64;
/// A log that changes while it is read is read again this often.
const TRIES: usize = 5;

/// A write-ahead log as it was when it was opened: what is appended later is not looked at.
#[derive(Debug)]
pub(super) struct Log {
    file: File,
    pub(super) page_size: usize,
    /// Where the newest committed frame of each page begins.
    frames: HashMap<u32, u64>,
    salt: [u8; 8],
    /// Pages of the database after the last commit.
    pub(super) pages: u32,
    /// None where all that was committed can be read.
    pub(super) gap: Option<Gap>,
}

/// What is damaged, with commits behind it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Gap {
    /// Where the transaction begins in which the damage does.
    begin: u64,
    /// Pages whose newest version is lost, and where it was.
    lost: BTreeMap<u32, u64>,
    /// Frames of which nobody can tell whose page they held.
    pub(super) unknown: u64,
    /// Where the last of those was.
    last_unknown: u64,
}

/// The log starts anew with another salt while it is read.
#[derive(Debug)]
pub(super) struct Restarted;

impl Log {
    /// None where there is no log, or where nothing in it was committed.
    ///
    /// # Errors
    /// Where it cannot be read, or does not come to rest.
    pub(super) fn open(path: &Path) -> io::Result<Option<Self>> {
        let file = match File::open(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            opened => opened?,
        };
        let mut last = None;
        for _ in 0..TRIES {
            let Some(log) = Self::read_all(path, &file)? else {
                return Ok(None);
            };
            // A frame that is being written looks damaged. What is damaged looks the same when it is looked at again.
            let found = (log.gap.clone(), log.frames.len());
            if log.gap.is_none() || last.as_ref() == Some(&found) {
                return Ok((log.pages > 0).then_some(log));
            }
            last = Some(found);
        }
        Err(io::Error::new(
            ErrorKind::Interrupted,
            "another program kept changing the write-ahead log while it was read",
        ))
    }

    fn read_all(path: &Path, mut file: &File) -> io::Result<Option<Self>> {
        file.rewind()?;
        let mut reader = BufReader::with_capacity(1 << 18, file);
        let mut header = [0; HEADER];
        if !filled(&mut reader, &mut header)? {
            return Ok(None);
        }
        let start = match Start::told_by(&header) {
            Some(start) => start,
            None => match Start::guessed(file, &header)? {
                Some(start) => start,
                None => return Ok(None),
            },
        };
        let mut log = Self {
            file: file.try_clone()?,
            page_size: start.page_size,
            frames: HashMap::new(),
            salt: start.salt,
            pages: 0,
            gap: None,
        };
        reader.seek(SeekFrom::Start(HEADER as u64))?;
        let is_damaged = Start::told_by(&header).is_none();
        let index = Index::of_log(path, start.salt);
        log.read_frames(&mut reader, start.sums, is_damaged, index)?;
        // It begins anew with another header, before the first frame is overwritten.
        let mut again = [0; HEADER];
        file.rewind()?;
        if !filled(&mut file, &mut again)? || again != header {
            return Err(io::Error::new(
                ErrorKind::Interrupted,
                "another program began the write-ahead log anew while it was read",
            ));
        }
        Ok(Some(log))
    }

    fn read_frames(
        &mut self,
        reader: &mut impl Read,
        mut sums: Sums,
        is_header_damaged: bool,
        mut index: Option<Index>,
    ) -> io::Result<()> {
        let mut bytes = vec![0; FRAME_HEADER + self.page_size];
        let mut at = HEADER as u64;
        let mut uncommitted = Vec::new();
        let mut is_damaged = is_header_damaged;
        while filled(reader, &mut bytes)? {
            let frame = Frame::read(&bytes, at, &mut sums, self);
            let is_commit = frame.state == State::Valid && frame.pages_after > 0;
            is_damaged |= frame.state != State::Valid || frame.is_mended;
            // One that contradicts what is known says nothing of what is not.
            let is_known = frame.state != State::Unknown;
            index = index.filter(|index| {
                let told = index.page(frame.number(bytes.len()));
                !is_known || told.is_none_or(|page| page == frame.page)
            });
            uncommitted.push(frame);
            if is_commit {
                if is_damaged {
                    let begin = uncommitted.first().map_or(at, |first| first.at);
                    self.gap.get_or_insert_with(|| Gap {
                        begin,
                        ..Gap::default()
                    });
                }
                self.pages = frame.pages_after;
                for frame in uncommitted.drain(..) {
                    self.commit(frame.named_by(index.as_ref(), bytes.len()));
                }
            }
            at += bytes.len() as u64;
        }
        Ok(())
    }

    fn commit(&mut self, frame: Frame) {
        match (frame.state, &mut self.gap) {
            (State::Valid, None) => {
                self.frames.insert(frame.page, frame.at);
            }
            (State::Valid, Some(gap)) => {
                self.frames.insert(frame.page, frame.at);
                gap.lost.remove(&frame.page);
            }
            (State::Lost, Some(gap)) => {
                gap.lost.insert(frame.page, frame.at);
            }
            (State::Unknown, Some(gap)) => {
                gap.unknown += 1;
                gap.last_unknown = frame.at;
            }
            (_, None) => {}
        }
    }

    /// The highest page in it.
    pub(super) fn highest(&self) -> u32 {
        let lost = self.gap.iter().flat_map(|gap| gap.lost.keys());
        self.frames.keys().chain(lost).copied().max().unwrap_or(0)
    }

    /// Whether the newest version of the page is lost.
    pub(super) fn is_lost(&self, page: u32) -> bool {
        self.gap
            .as_ref()
            .is_some_and(|gap| gap.lost.contains_key(&page))
    }

    /// Pages whose newest version is lost.
    pub(super) fn lost(&self) -> Vec<u32> {
        let lost = self.gap.iter().flat_map(|gap| gap.lost.keys());
        lost.copied().collect()
    }

    /// Whether no frame of which nobody can tell whose it is can have held a newer version of the page.
    pub(super) fn is_newest(&self, page: u32) -> bool {
        match (&self.gap, self.frames.get(&page)) {
            (None, _) => true,
            (Some(gap), _) if gap.unknown == 0 => true,
            (Some(gap), Some(at)) => *at > gap.last_unknown,
            (Some(_), None) => false,
        }
    }

    /// Whether the page was written in the transaction in which the damage begins, or after that.
    pub(super) fn is_written_since(&self, page: u32) -> bool {
        match (&self.gap, self.frames.get(&page)) {
            (Some(gap), Some(at)) => *at >= gap.begin,
            _ => false,
        }
    }

    /// Puts the newest version of the page that can be read into `page`; false where the log has none.
    pub(super) fn read(&self, number: u32, page: &mut [u8]) -> io::Result<Result<bool, Restarted>> {
        let Some(at) = self.frames.get(&number) else {
            return Ok(Ok(false));
        };
        let mut header = [0; FRAME_HEADER];
        let mut file = &self.file;
        file.seek(SeekFrom::Start(*at))?;
        file.read_exact(&mut header)?;
        if salt_of(&header, 8) != self.salt {
            return Ok(Err(Restarted));
        }
        file.read_exact(page)?;
        Ok(Ok(true))
    }
}

/// What is known of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// All of it is as it was written.
    Valid,
    /// Its page is damaged, and it is known which one it was.
    Lost,
    /// Nobody can tell whose it was.
    Unknown,
}

/// A frame.
#[derive(Clone, Copy, Debug)]
struct Frame {
    at: u64,
    page: u32,
    /// Pages of the database after the commit; 0 where none follows it.
    pages_after: u32,
    state: State,
    /// Its own numbers were damaged, and reckoned from all else.
    is_mended: bool,
}

impl Frame {
    /// `sums` are as the frame before says, whatever it is itself; they become what this one says.
    fn read(bytes: &[u8], at: u64, sums: &mut Sums, log: &Log) -> Self {
        let numbers = [0, 4, 16, 20].map(|at| number32(bytes, at).unwrap_or_default());
        let [page, pages_after, first, second] = numbers;
        let before = *sums;
        let mut reckoned = before;
        reckoned.add(&bytes[..8]);
        reckoned.add(&bytes[FRAME_HEADER..]);
        *sums = Sums {
            first,
            second,
            ..before
        };
        let is_of_log = salt_of(bytes, 8) == log.salt;
        let mut frame = Self {
            at,
            page,
            pages_after,
            state: State::Unknown,
            is_mended: false,
        };
        if is_of_log && reckoned == *sums && page > 0 {
            frame.state = State::Valid;
        } else if is_of_log {
            // Where only the frame's own numbers are damaged, the others say what they were.
            let missing = before.missing_before(&bytes[FRAME_HEADER..], *sums);
            let [page, pages_after] = [0, 4].map(|at| number32(&missing, at).unwrap_or_default());
            let most = log.most_pages(at);
            let makes_sense = |page: u32| (1..=most).contains(&page);
            if makes_sense(page) && (pages_after == 0 || makes_sense(pages_after)) {
                frame = Self {
                    page,
                    pages_after,
                    state: State::Valid,
                    is_mended: true,
                    ..frame
                };
            } else if makes_sense(frame.page) {
                frame.state = State::Lost;
            }
        }
        frame
    }

    /// Counted from 0.
    fn number(&self, length: usize) -> usize {
        usize::try_from(self.at).unwrap_or(usize::MAX) / length
    }

    /// The index of the log may know whose it was.
    fn named_by(self, index: Option<&Index>, length: usize) -> Self {
        let named = index.and_then(|index| index.page(self.number(length)));
        match (self.state, named) {
            (State::Unknown, Some(page)) => Self {
                page,
                state: State::Lost,
                ..self
            },
            _ => self,
        }
    }
}

impl Log {
    /// What no database has more pages than, as far as the log was read.
    fn most_pages(&self, at: u64) -> u32 {
        let frames = at / (FRAME_HEADER + self.page_size) as u64 + 1;
        let before = if self.pages == 0 {
            1 << 20
        } else {
            u64::from(self.pages)
        };
        u32::try_from(before + 2 * frames).unwrap_or(u32::MAX)
    }
}

/// How a log is to be read.
#[derive(Clone, Copy, Debug)]
struct Start {
    page_size: usize,
    salt: [u8; 8],
    /// The checksum that the first frame goes on from.
    sums: Sums,
}

impl Start {
    /// None where the header is not valid.
    fn told_by(header: &[u8; HEADER]) -> Option<Self> {
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
    fn guessed(mut file: &File, header: &[u8; HEADER]) -> io::Result<Option<Self>> {
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
