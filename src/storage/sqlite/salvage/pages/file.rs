//! The database file, page by page, under the newest committed version of each in the write-ahead log.

use std::{
    collections::HashMap,
    fs::File,
    io::{self, ErrorKind, Read, Seek, SeekFrom},
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
};

use super::{
    btree::Page,
    header::{self, Header},
    record::Encoding,
    wal::{Log, Opened},
};

/// The size that pages have unless somebody chose another.
const USUAL_PAGE_SIZE: usize = 4096;
/// All sizes that there are.
const PAGE_SIZES: [usize; 8] = [512, 1024, 2048, 4096, 8192, 16_384, 32_768, 65_536];
/// Pages that are looked at where their size has to be guessed.
const SAMPLES: u64 = 256;
/// No page that holds anything lies where locks are taken.
const LOCK_BYTE: u64 = 1 << 30;

/// All pages of a database, as of one moment.
#[derive(Debug)]
pub(in super::super) struct Pages {
    file: File,
    pub(super) log: Option<Log>,
    /// Frames of the log that may have been committed besides, and nobody can tell.
    doubtful: u64,
    page_size: usize,
    header: Option<Header>,
    /// Pages that the database has, or should have.
    count: u32,
    /// Pages up to this one may be there.
    present: u32,
    /// The file ends within a page.
    ends_within: bool,
    /// The log was begun anew meanwhile, so that what was read does not belong together.
    is_torn: AtomicBool,
}

impl Pages {
    /// Blocks on the file system.
    ///
    /// # Errors
    /// Where there is no such file; not where its contents make no sense.
    pub(in super::super) fn open(database: &Path, log: &Path) -> io::Result<Self> {
        let file = File::open(database)?;
        let length = file.metadata()?.len();
        let Opened { log, doubtful } = Log::open(log)?;
        let mut pages = Self {
            doubtful,
            page_size: USUAL_PAGE_SIZE,
            header: None,
            count: 0,
            present: u32::MAX,
            ends_within: false,
            is_torn: AtomicBool::new(false),
            file,
            log,
        };
        pages.find_header(length);
        let in_file = u32::try_from(length / pages.page_size as u64).unwrap_or(u32::MAX);
        pages.ends_within = !length.is_multiple_of(pages.page_size as u64);
        let in_log = pages.log.as_ref().map(|log| (log.pages, log.highest()));
        pages.present = in_file.max(in_log.map_or(0, |(_, highest)| highest));
        pages.count = in_log
            .map(|(count, _)| count)
            .or(pages.header.and_then(|header| header.pages))
            .unwrap_or(pages.present);
        pages.present = pages.present.min(pages.count);
        Ok(pages)
    }

    /// The same file under these frames of its log; none without a log.
    ///
    /// # Errors
    /// Where there are too many open files.
    pub(super) fn under(&self, frames: HashMap<u32, u64>) -> io::Result<Option<Self>> {
        let Some(log) = &self.log else {
            return Ok(None);
        };
        let file = self.file.try_clone()?;
        let length = file.metadata()?.len();
        let mut pages = Self {
            file,
            log: Some(log.with(frames)?),
            doubtful: 0,
            page_size: self.page_size,
            header: None,
            count: self.count,
            present: self.present,
            ends_within: self.ends_within,
            is_torn: AtomicBool::new(false),
        };
        pages.find_header(length);
        Ok(Some(pages))
    }

    /// Frames of the log that may have been committed, without any trace of whether they were.
    pub(in super::super) fn doubtful(&self) -> u64 {
        self.doubtful
    }

    fn find_header(&mut self, length: u64) {
        if let Some(log) = &self.log {
            self.page_size = log.page_size;
        }
        let mut start = vec![0; self.page_size];
        self.fill(1, &mut start);
        self.header = header::parse(&start);
        match (self.header, &self.log) {
            (Some(header), None) => self.page_size = header.page_size,
            (None, None) => self.page_size = self.guess_page_size(length),
            _ => {}
        }
    }

    /// The smallest size at which nearly as much of the file looks like pages as at any other: at twice the size every
    /// second page is looked at, and looks right as well.
    fn guess_page_size(&self, length: u64) -> usize {
        let shares = PAGE_SIZES.map(|size| (size, self.share_that_looks_right(length, size)));
        let best = shares.iter().map(|(_, share)| *share).max().unwrap_or(0);
        let nearly = shares
            .into_iter()
            .find(|(_, share)| *share > 0 && share * 5 >= best * 4);
        nearly.map_or(USUAL_PAGE_SIZE, |(size, _)| size)
    }

    /// How many in a thousand pages of the size look like pages of a tree, by samples.
    fn share_that_looks_right(&self, length: u64, size: usize) -> usize {
        let pages = length / size as u64;
        let step = usize::try_from(pages / SAMPLES)
            .unwrap_or(usize::MAX)
            .max(1);
        let mut page = vec![0; size];
        let (mut all, mut right) = (0, 0);
        for index in (1..pages).step_by(step) {
            all += 1;
            let is_read = self.fill_from_file(index * size as u64, &mut page);
            let looks_right =
                || Page::parse(&page, size, false).is_some_and(|page| page.is_plausible());
            right += usize::from(is_read && looks_right());
        }
        right * 1_000 / usize::max(all, 1)
    }

    /// Pages that the database has, or should have.
    pub(in super::super) fn count(&self) -> u32 {
        self.count
    }

    /// Pages up to this one may be there; what should follow was cut off.
    pub(in super::super) fn present(&self) -> u32 {
        self.present
    }

    /// Pages that should be there and are cut off.
    pub(in super::super) fn missing(&self) -> u64 {
        u64::from(self.count.saturating_sub(self.present))
    }

    /// Whether something is known to be cut off.
    pub(super) fn is_cut(&self) -> bool {
        self.ends_within || self.missing() > 0
    }

    /// Bytes of a page that may hold something.
    pub(in super::super) fn usable(&self) -> usize {
        let reserved = self.header.map_or(0, |header| header.reserved);
        self.page_size.saturating_sub(reserved).max(480)
    }

    /// Whether the file begins as it should.
    pub(in super::super) fn has_header(&self) -> bool {
        self.header.is_some() && self.log.as_ref().is_none_or(|log| !log.is_lost(1))
    }

    pub(super) fn header(&self) -> Option<Header> {
        self.header
    }

    pub(super) fn encoding(&self) -> Encoding {
        self.header
            .map(|header| header.encoding)
            .unwrap_or_default()
    }

    /// Whether the page holds nothing by its place.
    pub(in super::super) fn holds_nothing(&self, number: u32) -> bool {
        let is_lock = u64::from(number) == LOCK_BYTE / self.page_size as u64 + 1;
        let has_maps = self.header.is_some_and(|header| header.has_pointer_maps);
        let between_maps = u32::try_from(self.usable() / 5 + 1).unwrap_or(u32::MAX);
        is_lock || (has_maps && number >= 2 && (number - 2).is_multiple_of(between_maps))
    }

    /// The page; none where it is cut off, where the disk does not give it, and where its newest version is lost.
    pub(in super::super) fn read(&self, number: u32) -> Option<Vec<u8>> {
        let is_lost = self.log.as_ref().is_some_and(|log| log.is_lost(number));
        if is_lost { None } else { self.read_any(number) }
    }

    pub(super) fn read_any(&self, number: u32) -> Option<Vec<u8>> {
        if number == 0 || number > self.present {
            return None;
        }
        let mut page = vec![0; self.page_size];
        self.fill(number, &mut page).then_some(page)
    }

    fn fill(&self, number: u32, page: &mut [u8]) -> bool {
        if let Some(log) = &self.log {
            match log.read(number, page) {
                Ok(Ok(true)) => return true,
                Ok(Ok(false)) => {}
                Ok(Err(_)) | Err(_) => {
                    self.is_torn.store(true, Ordering::Relaxed);
                    return false;
                }
            }
        }
        self.fill_from_file(u64::from(number - 1) * page.len() as u64, page)
    }

    fn fill_from_file(&self, at: u64, page: &mut [u8]) -> bool {
        let mut file = &self.file;
        let done = file
            .seek(SeekFrom::Start(at))
            .and_then(|_| file.read_exact(page));
        done.is_ok()
    }

    /// Fails where another program began the log anew while pages were read, so that they do not belong together.
    pub(in super::super) fn require_one_moment(&self) -> io::Result<()> {
        if self.is_torn.load(Ordering::Relaxed) {
            return Err(io::Error::new(
                ErrorKind::Interrupted,
                "another program changed it while it was read",
            ));
        }
        Ok(())
    }
}

/// Whether a file without a log ends before its pages do.
pub(in super::super) fn is_cut_off(database: &Path) -> bool {
    let Ok(file) = File::open(database) else {
        return false;
    };
    let mut start = [0; header::LENGTH];
    let mut reader = &file;
    if reader.read_exact(&mut start).is_err() {
        return true;
    }
    let length = file.metadata().map_or(u64::MAX, |file| file.len());
    header::parse(&start).is_some_and(|header| {
        let pages = u64::from(header.pages.unwrap_or(0));
        length < pages * header.page_size as u64
    })
}

/// What a page is good for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in super::super) enum Use {
    /// Nobody has claimed it.
    #[default]
    Unknown,
    /// Part of a tree that the schema names.
    Tree,
    /// Goes on with what does not fit onto another page.
    Overflow,
    /// Holds nothing that counts any more.
    Free,
    /// Looks like part of a tree, but no tree leads to it.
    Orphan,
    /// Cannot be made sense of.
    Damaged,
}

/// The use of every page; a byte for each.
#[derive(Debug)]
pub(in super::super) struct Uses(Vec<Use>);

impl Uses {
    pub(in super::super) fn of(pages: &Pages) -> Self {
        Self(vec![Use::Unknown; pages.present as usize + 1])
    }

    pub(in super::super) fn get(&self, number: u32) -> Use {
        self.0.get(number as usize).copied().unwrap_or_default()
    }

    pub(in super::super) fn set(&mut self, number: u32, used: Use) {
        if let Some(place) = self.0.get_mut(number as usize) {
            *place = used;
        }
    }

    /// Takes the page; false where somebody else has it.
    pub(in super::super) fn claim(&mut self, number: u32, used: Use) -> bool {
        let is_free = self.get(number) == Use::Unknown;
        if is_free {
            self.set(number, used);
        }
        is_free
    }

    pub(in super::super) fn count(&self, used: Use) -> u64 {
        self.0.iter().skip(1).filter(|one| **one == used).count() as u64
    }
}
