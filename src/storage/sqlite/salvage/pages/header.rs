//! The first hundred bytes of the file: how large pages are, how many there are, and where the free ones begin (section
//! 1.3 of the file format).

use super::record::Encoding;

const MAGIC: &[u8; 16] = b"SQLite format 3\0";
/// What the header takes of the first page, in bytes.
pub(super) const LENGTH: usize = 100;

/// What the header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    /// Bytes of a page.
    pub(super) page_size: usize,
    /// Bytes at the end of every page that hold nothing.
    pub(super) reserved: usize,
    /// Pages of the database; none where a program of old did not keep the number.
    pub(super) pages: Option<u32>,
    /// The first trunk page of the freelist; 0 for none.
    pub(super) first_free: u32,
    /// Pages on the freelist.
    pub(super) free: u32,
    /// Whether some pages hold pointers to parents.
    pub(super) has_pointer_maps: bool,
    /// How texts are encoded.
    pub(super) encoding: Encoding,
}

/// Reads the header at the start of the first page; none where there is no such.
pub(super) fn parse(page: &[u8]) -> Option<Header> {
    if page.get(..MAGIC.len())? != MAGIC {
        return None;
    }
    let page_size = match number16(page, 16)? {
        1 => 65_536,
        size => usize::from(size),
    };
    if !is_page_size(page_size) {
        return None;
    }
    let is_kept = number32(page, 24)? == number32(page, 92)?;
    Some(Header {
        page_size,
        reserved: usize::from(*page.get(20)?),
        pages: number32(page, 28).filter(|pages| is_kept && *pages > 0),
        first_free: number32(page, 32)?,
        free: number32(page, 36)?,
        has_pointer_maps: number32(page, 52)? != 0,
        encoding: match number32(page, 56)? {
            2 => Encoding::Utf16Le,
            3 => Encoding::Utf16Be,
            _ => Encoding::Utf8,
        },
    })
}

pub(super) fn is_page_size(size: usize) -> bool {
    (512..=65_536).contains(&size) && size.is_power_of_two()
}

/// A big-endian number of two bytes; none beyond the end.
pub(super) fn number16(bytes: &[u8], at: usize) -> Option<u16> {
    let bytes = bytes.get(at..at.checked_add(2)?)?;
    Some(u16::from_be_bytes(bytes.try_into().ok()?))
}

/// A big-endian number of four bytes; none beyond the end.
pub(super) fn number32(bytes: &[u8], at: usize) -> Option<u32> {
    let bytes = bytes.get(at..at.checked_add(4)?)?;
    Some(u32::from_be_bytes(bytes.try_into().ok()?))
}
