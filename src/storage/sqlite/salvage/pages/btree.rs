//! The pages of trees: what kind they are and where their cells lie (section 1.6 of the file format).

use std::ops::Range;

use super::{
    header::{self, number16, number32},
    record::varint,
};

/// What a page of a tree is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    TableLeaf,
    TableInterior,
    IndexLeaf,
    IndexInterior,
}

impl Kind {
    fn of(flags: u8) -> Option<Self> {
        match flags {
            0x0d => Some(Self::TableLeaf),
            0x05 => Some(Self::TableInterior),
            0x0a => Some(Self::IndexLeaf),
            0x02 => Some(Self::IndexInterior),
            _ => None,
        }
    }

    pub(super) fn is_interior(self) -> bool {
        matches!(self, Self::TableInterior | Self::IndexInterior)
    }

    pub(super) fn is_table(self) -> bool {
        matches!(self, Self::TableLeaf | Self::TableInterior)
    }
}

/// A page whose header and cell pointers lie within bounds.
#[derive(Debug)]
pub(super) struct Page<'a> {
    bytes: &'a [u8],
    pub(super) kind: Kind,
    cells: usize,
    pointers_at: usize,
    contents_at: usize,
    fragments: u8,
    /// The child beyond the last cell.
    pub(super) rightmost: u32,
}

/// What a cell holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Cell {
    /// The child before it; 0 on a leaf.
    pub(super) child: u32,
    /// The key in a table's tree; 0 in an index's.
    pub(super) rowid: i64,
    /// Bytes of the record.
    pub(super) payload: usize,
    /// Where those lie that are on the page itself.
    pub(super) local: Range<usize>,
    /// The page on which the rest begins; 0 for none.
    pub(super) overflow: u32,
    /// The bytes that it takes of the page.
    pub(super) range: Range<usize>,
}

impl<'a> Page<'a> {
    /// None where this is no page of a tree. The first page of the file begins with the file's header.
    pub(super) fn parse(page: &'a [u8], usable: usize, is_first: bool) -> Option<Self> {
        let bytes = page.get(..usable)?;
        let at = if is_first { header::LENGTH } else { 0 };
        let kind = Kind::of(*bytes.get(at)?)?;
        let cells = usize::from(number16(bytes, at + 3)?);
        let contents_at = match number16(bytes, at + 5)? {
            0 => 65_536,
            offset => usize::from(offset),
        };
        let header = if kind.is_interior() { 12 } else { 8 };
        let pointers_at = at + header;
        let page = Self {
            bytes,
            kind,
            cells,
            pointers_at,
            contents_at,
            fragments: *bytes.get(at + 7)?,
            rightmost: if kind.is_interior() {
                number32(bytes, at + 8)?
            } else {
                0
            },
        };
        page.is_within_bounds().then_some(page)
    }

    fn is_within_bounds(&self) -> bool {
        let end = self.pointers_at + 2 * self.cells;
        let fits = self.contents_at >= end && self.contents_at <= self.bytes.len();
        fits && self
            .pointers()
            .all(|at| at >= self.contents_at && at < self.bytes.len())
    }

    /// Whether a page that only looks like one may really be one: no more is lost between cells than SQLite allows.
    pub(super) fn is_plausible(&self) -> bool {
        self.fragments <= 60 && self.cells > 0 && self.cells().all(|cell| cell.is_some())
    }

    fn pointers(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.cells)
            .filter_map(|index| number16(self.bytes, self.pointers_at + 2 * index).map(usize::from))
    }

    /// Its cells in the order of their keys; none for each that does not lie within bounds.
    pub(super) fn cells(&self) -> impl Iterator<Item = Option<Cell>> + '_ {
        self.pointers().map(|at| self.cell(at))
    }

    /// Whether no two cells share a byte.
    pub(super) fn cells_are_apart(&self) -> bool {
        let mut ranges: Vec<_> = self.cells().flatten().map(|cell| cell.range).collect();
        ranges.sort_unstable_by_key(|range| range.start);
        ranges
            .iter()
            .zip(ranges.iter().skip(1))
            .all(|(one, next)| one.end <= next.start)
    }

    /// The bytes of the cell's record that lie on this page.
    pub(super) fn local(&self, cell: &Cell) -> &'a [u8] {
        self.bytes.get(cell.local.clone()).unwrap_or_default()
    }

    fn cell(&self, start: usize) -> Option<Cell> {
        let mut at = start;
        let mut child = 0;
        if self.kind.is_interior() {
            child = number32(self.bytes, at)?;
            at += 4;
        }
        let mut payload = 0;
        if self.kind != Kind::TableInterior {
            let (length, taken) = varint(self.bytes.get(at..)?)?;
            payload = usize::try_from(length).ok()?;
            at += taken;
        }
        let mut rowid = 0;
        if self.kind.is_table() {
            let (key, taken) = varint(self.bytes.get(at..)?)?;
            rowid = key;
            at += taken;
        }
        let here = self.local_length(payload);
        let local = at..at.checked_add(here)?;
        let mut end = local.end;
        let mut overflow = 0;
        if here < payload {
            overflow = number32(self.bytes, end)?;
            end += 4;
        }
        (end <= self.bytes.len()).then_some(Cell {
            child,
            rowid,
            payload,
            local,
            overflow,
            range: start..end,
        })
    }

    /// How many bytes of a record stay on the page.
    fn local_length(&self, payload: usize) -> usize {
        let usable = self.bytes.len();
        let most = if self.kind == Kind::TableLeaf {
            usable - 35
        } else {
            (usable - 12) * 64 / 255 - 23
        };
        if payload <= most {
            return payload;
        }
        let least = (usable - 12) * 32 / 255 - 23;
        let fitting = least + (payload - least) % (usable - 4);
        if fitting <= most { fitting } else { least }
    }
}
