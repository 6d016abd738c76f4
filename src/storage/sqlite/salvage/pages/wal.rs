//! The write-ahead log: the newest committed version of every page in it (section 4 of the file format).
//!
//! SQLite reads it up to the first frame whose checksum is not right, and takes that for its end. It is, where the log was
//! torn, or where nobody has overwritten what a transaction left that came to nothing. But where a commit follows that goes
//! on from a checksum in the log itself, under the salt that only this log has, the log is damaged in its midst. And where
//! the index of the log says that more was committed than can be read, or where two commits show by what is left of them,
//! of which the first had to be whole before the second was begun, it is damaged up to its end.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fs::File,
    io::{self, BufReader, ErrorKind, Read, Seek, SeekFrom},
    path::Path,
};

use super::{
    frame::{FRAME_HEADER, Frame, State, salt_of},
    index::Index,
    start::Start,
};

pub(super) const HEADER: usize = 32;
/// A log that changes while it is read is read again this often.
const TRIES: usize = 5;

/// A write-ahead log as it was when it was opened: what is appended later is not looked at.
#[derive(Debug)]
pub(super) struct Log {
    file: File,
    pub(super) page_size: usize,
    /// Where the newest committed frame of each page begins.
    frames: HashMap<u32, u64>,
    pub(super) salt: [u8; 8],
    /// Pages of the database after the last commit.
    pub(super) pages: u32,
    /// None where all that was committed can be read.
    pub(super) gap: Option<Gap>,
    /// The same as `frames`, as it was before the gap; empty where there is none.
    before: HashMap<u32, u64>,
    /// Frames behind the last commit that make no sense, where nothing says that none of them was committed.
    doubtful: u64,
    /// How many frames can have been copied into the database by now; none where nobody can tell.
    copying: Option<usize>,
}

/// What is damaged, of what was committed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Gap {
    /// Where the transaction begins in which the damage does.
    begin: u64,
    /// Pages whose newest version is lost, and where it was.
    lost: BTreeMap<u32, u64>,
    /// Pages of which some version is lost, and it is known that it is theirs.
    named: BTreeSet<u32>,
    /// Frames of which nobody can tell whose page they held.
    pub(super) unknown: u64,
    /// Where the last of those was.
    last_unknown: u64,
    /// Where the last frame was of which the contents are lost; 0 without any.
    last_lost: u64,
    /// Versions of pages between the beginning and the first frame that is damaged.
    early: BTreeMap<u32, u64>,
    /// Whether there was none such yet.
    is_early: bool,
}

/// The log starts anew with another salt while it is read.
#[derive(Debug)]
pub(super) struct Restarted;

/// What there is of a log.
#[derive(Debug, Default)]
pub(super) struct Opened {
    /// None where there is none, or where nothing in it was committed.
    pub(super) log: Option<Log>,
    /// Frames that may have been committed besides, and nobody can tell.
    pub(super) doubtful: u64,
}

impl Log {
    /// # Errors
    /// Where it cannot be read, or does not come to rest.
    pub(super) fn open(path: &Path) -> io::Result<Opened> {
        let file = match File::open(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Opened::without(path)),
            opened => opened?,
        };
        let mut last = None;
        for _ in 0..TRIES {
            let Some(log) = Self::read_all(path, &file)? else {
                return Ok(Opened::without(path));
            };
            // A frame that is being written looks damaged. What is damaged looks the same when it is looked at again.
            let found = (log.gap.clone(), log.frames.len());
            if log.gap.is_none() || last.as_ref() == Some(&found) {
                return Ok(Opened {
                    doubtful: log.doubtful,
                    log: (log.pages > 0).then_some(log),
                });
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
        // Before the frames: whatever it names then has been written.
        let index = Index::beside(path);
        let told = Start::told_by(&header);
        let is_damaged = told.is_none();
        let start = match told {
            Some(start) => Some(start),
            None => Start::guessed(file, &header)?,
        };
        let Some(start) = start.or_else(|| Start::indexed(&header, index.as_ref())) else {
            return Ok(None);
        };
        let mut log = Self {
            file: file.try_clone()?,
            page_size: start.page_size,
            frames: HashMap::new(),
            salt: start.salt,
            pages: 0,
            gap: None,
            before: HashMap::new(),
            doubtful: 0,
            copying: None,
        };
        reader.seek(SeekFrom::Start(HEADER as u64))?;
        let index = index.filter(|index| index.salt == start.salt);
        log.read_frames(&mut reader, &start, is_damaged, index)?;
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
        start: &Start,
        is_header_damaged: bool,
        mut index: Option<Index>,
    ) -> io::Result<()> {
        let mut sums = start.sums;
        let mut bytes = vec![0; FRAME_HEADER + self.page_size];
        let mut at = HEADER as u64;
        let mut uncommitted = Vec::new();
        let mut is_damaged = is_header_damaged;
        let mut committed = 0;
        while filled(reader, &mut bytes)? {
            let frame = Frame::read(&bytes, at, &mut sums, self);
            let is_commit = frame.state == State::Valid && frame.pages_after > 0;
            is_damaged |= !frame.is_sound();
            // One that contradicts what is known says nothing of what is not.
            let is_known = frame.state != State::Unknown;
            index = index.filter(|index| {
                let told = index.page(frame.number(bytes.len()));
                !is_known || told.is_none_or(|page| page == frame.page)
            });
            uncommitted.push(frame);
            at += bytes.len() as u64;
            if is_commit {
                committed += uncommitted.len();
                self.commit_all(&mut uncommitted, is_damaged, index.as_ref());
                self.pages = frame.pages_after;
            }
        }
        self.read_end(uncommitted, committed, index);
        Ok(())
    }

    /// What lies behind the last commit that can be read.
    fn read_end(&mut self, mut frames: Vec<Frame>, mut committed: usize, index: Option<Index>) {
        let length = FRAME_HEADER + self.page_size;
        let more = index
            .as_ref()
            .map_or(0, |index| index.frames.saturating_sub(committed));
        if let Some(index) = index.as_ref().filter(|_| more > 0) {
            let missing = frames.len()..more;
            let at = |number: usize| (HEADER + (committed + number) * length) as u64;
            frames.extend(missing.map(|number| Frame::missing(at(number))));
            self.pages = index.pages;
        }
        let (shown, pages) = self.shown_commits(&frames);
        if shown > more {
            self.pages = pages;
        }
        let mut lost: Vec<Frame> = frames.drain(..more.max(shown)).collect();
        if !lost.is_empty() {
            committed += lost.len();
            self.commit_all(&mut lost, true, index.as_ref());
        }
        if let Some(index) = &index
            && self.gap.is_some()
            && index.is_all_copied()
            && committed <= index.frames
        {
            // None of it is needed any more, and what can be read of it may be older than what is there.
            self.frames.clear();
            self.gap = Some(Gap::default());
        }
        let is_nonsense = |frame: &&Frame| frame.state != State::Valid && !frame.is_remains;
        let ends_there = index
            .as_ref()
            .is_some_and(|index| index.frames == committed);
        if !ends_there {
            self.doubtful = frames.iter().filter(is_nonsense).count() as u64;
        }
        self.copying = index.map(|index| index.copying);
    }

    /// How many frames end with a commit of which only remains can be read, and pages of the database after it: the first
    /// such may have been torn, but no other is begun before it is whole.
    fn shown_commits(&self, frames: &[Frame]) -> (usize, u32) {
        let commits: Vec<(usize, &Frame)> = frames
            .iter()
            .enumerate()
            .filter(|(_, frame)| frame.is_damaged_commit(self.most_pages(frame.at)))
            .collect();
        let (Some((from, first)), Some((to, last))) = (commits.first(), commits.last()) else {
            return (0, 0);
        };
        // Some disks are written in larger steps; then the last frame is repeated until one is full.
        let is_repeated = first.page == last.page && to - from < commits.len();
        if is_repeated {
            return (0, 0);
        }
        (to + 1, last.pages_after)
    }

    fn commit_all(&mut self, frames: &mut Vec<Frame>, is_damaged: bool, index: Option<&Index>) {
        if is_damaged && self.gap.is_none() {
            self.before = self.frames.clone();
            self.gap = Some(Gap {
                begin: frames.first().map_or(0, |first| first.at),
                is_early: true,
                ..Gap::default()
            });
        }
        let length = FRAME_HEADER + self.page_size;
        for frame in frames.drain(..) {
            self.commit(frame.named_by(index, length));
        }
    }

    fn commit(&mut self, frame: Frame) {
        if frame.state == State::Valid {
            self.frames.insert(frame.page, frame.at);
        }
        let Some(gap) = &mut self.gap else {
            return;
        };
        gap.is_early &= frame.is_sound();
        if gap.is_early {
            gap.early.insert(frame.page, frame.at);
        }
        match frame.state {
            State::Valid => {
                gap.lost.remove(&frame.page);
                return;
            }
            State::Lost => {
                gap.lost.insert(frame.page, frame.at);
                gap.named.insert(frame.page);
            }
            State::Unknown => {
                gap.unknown += 1;
                gap.last_unknown = frame.at;
            }
        }
        gap.last_lost = frame.at;
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

    /// The log as it was before the gap; none without one.
    pub(super) fn before_gap(&self) -> Option<HashMap<u32, u64>> {
        self.gap.as_ref().map(|_| self.before.clone())
    }

    /// The same with what is certain of the transaction in which the damage begins.
    pub(super) fn before_damage(&self) -> Option<HashMap<u32, u64>> {
        let gap = self.gap.as_ref()?;
        let mut frames = self.before.clone();
        frames.extend(&gap.early);
        Some(frames)
    }

    /// A log of which only these frames are known.
    pub(super) fn with(&self, frames: HashMap<u32, u64>) -> io::Result<Self> {
        Ok(Self {
            file: self.file.try_clone()?,
            frames,
            gap: None,
            before: HashMap::new(),
            ..*self
        })
    }

    /// Whether it is known that nothing written since the gap has been copied into the database.
    pub(super) fn is_nothing_copied_since(&self) -> bool {
        let before = self
            .gap
            .as_ref()
            .map(|gap| gap.begin / (FRAME_HEADER + self.page_size) as u64);
        let copying = self.copying.and_then(|frames| u64::try_from(frames).ok());
        before
            .zip(copying)
            .is_some_and(|(before, copying)| copying <= before)
    }

    /// Whether the page was written after all that is lost.
    pub(super) fn is_written_after(&self, page: u32) -> bool {
        match (&self.gap, self.frames.get(&page)) {
            (Some(gap), Some(at)) => *at > gap.last_lost,
            _ => false,
        }
    }

    /// Whether a version of the page is known to be lost.
    pub(super) fn is_named(&self, page: u32) -> bool {
        let gap = self.gap.as_ref();
        gap.is_some_and(|gap| gap.named.contains(&page))
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

    /// What no database has more pages than, as far as the log was read.
    pub(super) fn most_pages(&self, at: u64) -> u32 {
        let frames = at / (FRAME_HEADER + self.page_size) as u64 + 1;
        let before = if self.pages == 0 {
            1 << 20
        } else {
            u64::from(self.pages)
        };
        u32::try_from(before + 2 * frames).unwrap_or(u32::MAX)
    }
}

/// False where the file ends before.
pub(super) fn filled(reader: &mut impl Read, buffer: &mut [u8]) -> io::Result<bool> {
    match reader.read_exact(buffer) {
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(false),
        other => other.map(|()| true),
    }
}

impl Opened {
    /// Where there is no log, or nothing that makes sense as one. An index that knows of one may be left from before power
    /// failed: it proves nothing.
    fn without(path: &Path) -> Self {
        let index = Index::beside(path).filter(|index| !index.is_all_copied());
        Self {
            log: None,
            doubtful: index.map_or(0, |index| index.frames as u64),
        }
    }
}
