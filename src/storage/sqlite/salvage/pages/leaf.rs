//! The rows on one page of a tree, with what of them lies on overflow pages (section 1.7 of the file format).

use super::{
    btree::{Cell, Kind, Page},
    file::{Pages, Use, Uses},
    header::number32,
    record::{self, Value},
};

/// A row as it lies there.
#[derive(Clone, Debug, PartialEq)]
pub(in super::super) struct Row {
    /// Its key in a table's tree; 0 in an index's.
    pub(in super::super) id: i64,
    /// Its columns; fewer where columns were added after it was written.
    pub(in super::super) values: Vec<Value>,
}

/// What lies on one page.
#[derive(Clone, Debug, Default)]
pub(in super::super) struct Rows {
    /// Whether keys are row ids; in an index the whole record is the key.
    pub(in super::super) is_table: bool,
    /// Rows that can be read.
    pub(in super::super) rows: Vec<Row>,
    /// Rows of which a part lies where it cannot be read.
    pub(in super::super) failed: u64,
    /// Ids ascend and no two cells share a byte, as on every page that is whole.
    pub(in super::super) is_in_order: bool,
    /// The overflow pages of the rows that can be read.
    overflow: Vec<u32>,
}

/// The rows on the page; none where it is no page with rows. The keys of an inner page of a table are no rows.
pub(in super::super) fn rows(pages: &Pages, number: u32) -> Option<Rows> {
    rows_of(pages, number, &pages.read(number)?)
}

/// The same of an earlier version of a page whose newest one is lost.
pub(in super::super) fn earlier_rows(pages: &Pages, number: u32) -> Option<Rows> {
    rows_of(pages, number, &pages.read_any(number)?)
}

fn rows_of(pages: &Pages, number: u32, bytes: &[u8]) -> Option<Rows> {
    let page = Page::parse(bytes, pages.usable(), number == 1)?;
    if page.kind.is_table() && page.kind.is_interior() {
        return None;
    }
    let mut found = Rows {
        is_table: page.kind.is_table(),
        ..Rows::default()
    };
    for cell in page.cells() {
        match cell.and_then(|cell| row(pages, &page, &cell, &mut found.overflow)) {
            Some(row) => found.rows.push(row),
            None => found.failed += 1,
        }
    }
    let neighbours = found.rows.iter().zip(found.rows.iter().skip(1));
    let ascends = neighbours.into_iter().all(|(one, next)| one.id < next.id);
    found.is_in_order = (ascends || !found.is_table) && page.cells_are_apart();
    Some(found)
}

impl Rows {
    /// Notes what the overflow pages of these rows are good for.
    pub(in super::super) fn claim_overflow(&self, uses: &mut Uses) {
        for page in &self.overflow {
            // Nobody could make sense of it before.
            if matches!(uses.get(*page), Use::Unknown | Use::Damaged) {
                uses.set(*page, Use::Overflow);
            }
        }
    }
}

fn row(pages: &Pages, page: &Page, cell: &Cell, overflow: &mut Vec<u32>) -> Option<Row> {
    let id = cell.rowid;
    if cell.overflow == 0 {
        let values = record::values(page.local(cell), pages.encoding())?;
        return Some(Row { id, values });
    }
    let (payload, chain) = whole(pages, page.local(cell), cell)?;
    let values = record::values(&payload, pages.encoding())?;
    overflow.extend(chain);
    Some(Row { id, values })
}

/// The record with all that lies on overflow pages, and which these are; none where their chain is broken.
fn whole(pages: &Pages, local: &[u8], cell: &Cell) -> Option<(Vec<u8>, Vec<u32>)> {
    let per_page = pages.usable() - 4;
    let longest = u64::from(pages.present()) * per_page as u64;
    if cell.payload as u64 > longest + local.len() as u64 {
        return None;
    }
    let mut payload = local.to_owned();
    let mut chain = Vec::new();
    let mut next = cell.overflow;
    while payload.len() < cell.payload {
        // The first page is never one; a number of 0 would end the chain too early.
        let bytes = pages.read(next).filter(|_| next > 1)?;
        chain.push(next);
        let length = per_page.min(cell.payload - payload.len());
        payload.extend_from_slice(bytes.get(4..4 + length)?);
        next = number32(&bytes, 0)?;
    }
    (next == 0).then_some((payload, chain))
}

/// Whether the page is one that leads to others of a table and holds no rows.
pub(in super::super) fn is_inner_table_page(pages: &Pages, number: u32) -> bool {
    let bytes = pages.read(number).unwrap_or_default();
    let page = Page::parse(&bytes, pages.usable(), number == 1);
    page.is_some_and(|page| page.kind == Kind::TableInterior && page.is_plausible())
}
