//! What it takes from the certainty that the write-ahead log is damaged with commits behind it.
//!
//! A page whose newest version is known to be lost is damaged as any other, but for an earlier version of it that lies
//! elsewhere: what that holds may have been deleted since. Where nobody can tell whose version is lost, it may be that of any
//! page that was not written after it; the readings on such a page count as certain only where the index of waiting readings
//! agrees, for not both of them can be out of date unless two versions are lost.

use super::{
    known::{Layout, READINGS, table_of},
    outline::Named,
    pages::{Freelist, Hole, Pages, Use, Uses, earlier_rows},
    plan::{Doubt, Plan},
};

/// Earlier versions of pages whose newest one is lost, each with the table whose rows it holds.
pub(super) fn earlier_versions(pages: &Pages, layouts: &[Layout]) -> Vec<(usize, u32)> {
    let lost = pages.lost().into_iter();
    lost.filter_map(|number| {
        let found = earlier_rows(pages, number).filter(|found| !found.rows.is_empty())?;
        Some((table_of(&found.rows, found.is_table, layouts)?, number))
    })
    .collect()
}

/// Where nobody can tell what is lost, a tree may lead to where others are by now.
pub(super) fn doubt_tables(pages: &Pages, tables: &mut [Named]) {
    if pages.unknown() > 0 {
        for named in tables {
            named.is_doubtful = true;
        }
    }
}

/// Nor need it lead everywhere.
pub(super) fn doubt_trees<'a>(pages: &Pages, tables: impl Iterator<Item = &'a mut Named>) {
    if pages.unknown() > 0 {
        for tree in tables.filter_map(|named| named.tree.as_mut()) {
            tree.holes.push(Hole::ALL);
        }
    }
}

/// A page that was free once may be in use again; then it was written.
pub(super) fn doubt_free_pages(pages: &Pages, uses: &mut Uses) {
    if pages.unknown() == 0 {
        return;
    }
    for number in 2..=pages.present() {
        if uses.get(number) == Use::Free && pages.is_written_since(number) {
            uses.set(number, Use::Unknown);
        }
    }
}

/// Whether all that is free is known to be.
pub(super) fn doubt_freelist(pages: &Pages, free: Freelist) -> Freelist {
    Freelist {
        is_whole: free.is_whole && pages.unknown() == 0,
    }
}

impl Plan {
    /// Why the rows of a page that a tree leads to are not certain to be live.
    pub(super) fn doubt_of_newest(&self, table: usize, page: u32) -> Option<Doubt> {
        let is_certain = table != READINGS || self.pages.is_newest(page);
        (!is_certain).then_some(Doubt::MayBeEarlier)
    }

    /// Whether the index of waiting readings cannot be out of date where the readings themselves are.
    pub(super) fn pending_decides(&self) -> bool {
        match self.pages.unknown() {
            0 => true,
            1 => self.pages.lost().is_empty(),
            _ => false,
        }
    }

    /// Whether a page of the index can be out of date together with a page of readings.
    pub(super) fn may_name_others(&self, page: u32) -> bool {
        self.pages.unknown() > 1 && !self.pages.is_newest(page)
    }
}
