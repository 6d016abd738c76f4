//! Which pages hold rows of which table, and which of them are certain to have been live.
//!
//! What a tree leads to is live. A page that no tree leads to is live if it is not free, for there is nothing else that it
//! can be: then the page above it is damaged. Where nobody can tell whether it is free, its rows may be old ones.

use std::io;

use super::{
    collected::{Collected, ROWS},
    gaps,
    known::{Known, Layout, MANIFESTS, READINGS, TABLES, table_of},
    outline::{Named, Outline},
    pages::{Freelist, Hole, Pages, Rows, Tree, Use, Uses, Value, earlier_rows, rows},
    unclaimed::Unclaimed,
};

/// Why it is not certain that a row was live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Doubt {
    /// No tree leads to it, and nobody can tell which pages are free.
    MayBeFree,
    /// Its page lies where another one does by its ids.
    LiesTwice,
    /// The ids of its page are out of order.
    IsOutOfOrder,
    /// It lies on a page whose newest version is lost.
    IsEarlier,
    /// It lies on a page whose newest version may be lost.
    MayBeEarlier,
    /// It was not among those that waited.
    DoesNotWait,
    /// The tables of the new database do not hold such a one.
    IsRefused,
}

impl Doubt {
    /// In words that go on with "a reading".
    pub(super) fn words(self) -> &'static str {
        match self {
            Self::MayBeFree => {
                "from a page that nothing leads to any more, and which pages were given free cannot be read"
            }
            Self::LiesTwice => "whose id lies in two places",
            Self::IsOutOfOrder => "from a page that is out of order",
            Self::IsEarlier => "from a page of which only an earlier version can be read",
            Self::MayBeEarlier => "from a page of which a newer version may have been lost",
            Self::DoesNotWait => "which is not among those that waited",
            Self::IsRefused => "that the tables of the new one do not take",
        }
    }
}

/// What is to be saved.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) pages: Pages,
    /// For each table.
    pub(super) tables: Vec<Planned>,
    pub(super) foreign: Vec<String>,
    pub(super) pending: Option<Vec<u32>>,
    pending_is_whole: bool,
    /// Earlier versions of pages, each with its table.
    earlier: Vec<(usize, u32)>,
    /// What is known to have been claimed by nobody since the log was damaged; none where that is not known.
    pub(super) unclaimed: Option<Unclaimed>,
    /// Pages that may have held rows, and that nobody can make sense of.
    pub(super) unexplained: u64,
}

/// What is to be saved of a table.
#[derive(Debug)]
pub(super) struct Planned {
    pub(super) named: Named,
    pub(super) layout: Layout,
    pub(super) orphans: Vec<Orphan>,
    /// Rows on orphans that cannot be read.
    failed: u64,
}

/// A page with rows that no tree leads to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Orphan {
    pub(super) page: u32,
    first: i64,
    pub(super) last: i64,
    rows: u64,
    pub(super) doubt: Option<Doubt>,
}

/// Rows of one table.
#[derive(Debug)]
pub(super) struct Batch {
    /// Which of [`TABLES`].
    pub(super) table: usize,
    /// The values of our columns, row by row.
    pub(super) rows: Vec<Vec<Value>>,
    /// Whether it is uncertain that they were live.
    pub(super) doubt: Option<Doubt>,
    /// Whether no tree leads to them.
    pub(super) is_orphaned: bool,
}

/// What is found, in the order in which it is to be saved.
#[derive(Debug)]
pub(super) enum Find {
    Rows(Batch),
    /// Ids of readings that wait, of those that a damaged page may have held.
    Pending(Vec<i64>),
}

impl Plan {
    /// Looks at every page that no tree leads to. Blocks on the file system, for as long as it takes to read the file.
    pub(super) fn make(
        outline: Outline,
        layouts: Vec<Layout>,
        unclaimed: Option<Unclaimed>,
    ) -> Self {
        let Outline {
            pages,
            mut uses,
            mut tables,
            foreign,
            pending,
            pending_is_whole,
            free,
            ..
        } = outline;
        gaps::doubt_tables(&pages, &mut tables);
        gaps::doubt_free_pages(&pages, &mut uses);
        let mut planned: Vec<Planned> = tables
            .into_iter()
            .zip(&layouts)
            .map(|(named, layout)| Planned {
                named,
                layout: layout.clone(),
                orphans: Vec::new(),
                failed: 0,
            })
            .collect();
        for (planned, known) in planned.iter_mut().zip(&TABLES) {
            planned.give_up_others(&pages, &mut uses, known);
        }
        gaps::doubt_trees(&pages, planned.iter_mut().map(|planned| &mut planned.named));
        for number in 1..=pages.present() {
            if uses.get(number) == Use::Unknown && !pages.holds_nothing(number) {
                let found = judge(&pages, &mut uses, number, &layouts, &mut planned);
                uses.set(number, found);
            }
        }
        let free = free.unwrap_or_else(|| Freelist::find(&pages, &mut uses));
        let free = gaps::doubt_freelist(&pages, free);
        for table in &mut planned {
            table
                .orphans
                .retain(|orphan| uses.get(orphan.page) != Use::Free);
            table.judge_orphans(free);
        }
        // The first page holds the schema.
        let first = u64::from(uses.get(1) == Use::Damaged);
        Self {
            tables: planned,
            foreign,
            pending,
            pending_is_whole,
            earlier: gaps::earlier_versions(&pages, &layouts),
            unclaimed,
            unexplained: uses.count(Use::Damaged) - first + pages.missing() + pages.unknown(),
            pages,
        }
    }

    /// Whether there is nothing in the file that ever was a page.
    pub(super) fn is_empty(&self) -> bool {
        self.pages.count() == 0
    }

    /// Bytes of all pages together, about.
    pub(super) fn bytes(&self) -> u64 {
        u64::from(self.pages.count()) * self.usable()
    }

    /// Bytes of a page that may hold rows.
    pub(super) fn usable(&self) -> u64 {
        self.pages.usable() as u64
    }

    /// Whether the waiting readings are known by their index, so that it is known exactly which are lost.
    pub(super) fn knows_pending(&self) -> bool {
        self.pending.is_some() && self.pending_is_whole && self.pending_decides()
    }

    /// Hands over all that there is. Blocks on the file system, and until what was handed over is taken.
    ///
    /// # Errors
    /// Where another program changed the file meanwhile, and where nobody takes anything any more.
    pub(super) fn hand_over(&self, mut take: impl FnMut(Find) -> io::Result<()>) -> io::Result<()> {
        for table in 0..TABLES.len() {
            if table == READINGS {
                self.hand_over_pending(&mut take)?;
            }
            self.hand_over_table(table, &mut take)?;
        }
        // Whether a doubtful batch is on its way shows by its readings.
        self.hand_over_orphans(MANIFESTS, true, &mut take)?;
        for (table, page) in &self.earlier {
            let mut batch = Collected::new(*table, Some(Doubt::IsEarlier), true);
            let found = earlier_rows(&self.pages, *page).unwrap_or_default();
            batch.add_rows(self, found, &mut take)?;
            batch.flush(&mut take)?;
        }
        self.pages.require_one_moment()
    }

    fn hand_over_table(
        &self,
        table: usize,
        take: &mut impl FnMut(Find) -> io::Result<()>,
    ) -> io::Result<()> {
        let Some(planned) = self.tables.get(table) else {
            return Ok(());
        };
        if let Some(tree) = &planned.named.tree {
            let mut batch = Collected::new(table, None, false);
            for page in &tree.pages {
                let doubt = self.doubt_of_newest(table, *page);
                batch.turn_to(doubt, doubt.is_some(), take)?;
                batch.add(self, *page, take)?;
            }
            batch.flush(take)?;
            let mut batch = Collected::new(table, Some(Doubt::IsOutOfOrder), true);
            for page in &tree.disorderly {
                batch.add(self, *page, take)?;
            }
            batch.flush(take)?;
        }
        self.hand_over_orphans(table, false, take)?;
        if table != MANIFESTS {
            self.hand_over_orphans(table, true, take)?;
        }
        Ok(())
    }

    fn hand_over_orphans(
        &self,
        table: usize,
        doubtful: bool,
        take: &mut impl FnMut(Find) -> io::Result<()>,
    ) -> io::Result<()> {
        let orphans = self.tables.get(table).map(|planned| &planned.orphans);
        let mut batch = Collected::new(table, None, true);
        for orphan in orphans.into_iter().flatten() {
            if orphan.doubt.is_some() != doubtful {
                continue;
            }
            batch.turn_to(orphan.doubt, true, take)?;
            batch.add(self, orphan.page, take)?;
        }
        batch.flush(take)
    }

    fn hand_over_pending(&self, take: &mut impl FnMut(Find) -> io::Result<()>) -> io::Result<()> {
        let Some(readings) = self.tables.get(READINGS) else {
            return Ok(());
        };
        let holes = readings.holes();
        if holes.is_empty() {
            return Ok(());
        }
        if let Some(unclaimed) = &self.unclaimed {
            unclaimed.hand_over(&holes, &readings.layout, take)?;
        }
        let mut ids = Vec::new();
        for page in self.pending.iter().flatten() {
            if self.may_name_others(*page) {
                continue;
            }
            let all = ids_on(&self.pages, *page).into_iter();
            ids.extend(all.filter(|id| holes.iter().any(|hole| hole.contains(*id))));
            if ids.len() >= ROWS {
                take(Find::Pending(std::mem::take(&mut ids)))?;
            }
        }
        take(Find::Pending(ids))
    }
}

/// The ids that a page of the index of waiting readings names.
pub(super) fn ids_on(pages: &Pages, page: u32) -> Vec<i64> {
    let found = rows(pages, page).unwrap_or_default();
    let ids = found.rows.iter().map(|row| match row.values.first() {
        Some(Value::Integer(id)) => Some(*id),
        _ => None,
    });
    ids.flatten().collect()
}

/// What a page is that no tree leads to. Where it holds rows of one of our tables, it is noted there.
fn judge(
    pages: &Pages,
    uses: &mut Uses,
    number: u32,
    layouts: &[Layout],
    planned: &mut [Planned],
) -> Use {
    if super::pages::is_inner_table_page(pages, number) {
        return Use::Orphan;
    }
    let Some(found) = rows(pages, number) else {
        return Use::Damaged;
    };
    let Some((first, last)) = bounds(&found) else {
        // An empty one, or one of which nothing can be read.
        return if found.failed == 0 {
            Use::Orphan
        } else {
            Use::Damaged
        };
    };
    let table = table_of(&found.rows, found.is_table, layouts);
    let Some(planned) = table.and_then(|table| planned.get_mut(table)) else {
        let is_whole = found.failed == 0 && found.is_in_order;
        return if is_whole { Use::Orphan } else { Use::Damaged };
    };
    found.claim_overflow(uses);
    planned.failed += found.failed;
    planned.orphans.push(Orphan {
        page: number,
        first,
        last,
        rows: found.rows.len() as u64,
        doubt: (!found.is_in_order).then_some(Doubt::IsOutOfOrder),
    });
    Use::Orphan
}

/// The lowest and the highest id on the page.
fn bounds(found: &Rows) -> Option<(i64, i64)> {
    let ids = || found.rows.iter().map(|row| row.id);
    Some((ids().min()?, ids().max()?))
}

impl Planned {
    /// Where rows may be missing.
    pub(super) fn holes(&self) -> Vec<Hole> {
        self.named
            .tree
            .as_ref()
            .map_or_else(|| vec![Hole::ALL], |tree| tree.holes.clone())
    }

    /// Whether nothing is missing.
    pub(super) fn is_whole(&self) -> bool {
        self.named.tree.as_ref().is_some_and(Tree::is_whole)
    }

    /// Rows that are on pages which can be read, and cannot be read themselves.
    pub(super) fn failed(&self) -> u64 {
        self.failed + self.named.tree.as_ref().map_or(0, |tree| tree.failed)
    }

    /// Rows on pages that no tree leads to, each id at most once.
    pub(super) fn orphaned(&self) -> u64 {
        let once = self
            .orphans
            .iter()
            .filter(|orphan| !matches!(orphan.doubt, Some(Doubt::LiesTwice | Doubt::IsOutOfOrder)));
        once.map(|orphan| orphan.rows).sum()
    }

    /// The highest id that was ever given, as far as it is known.
    pub(super) fn highest(&self) -> i64 {
        let tree = self.named.tree.as_ref().map_or(0, |tree| tree.highest);
        let given = self.named.given.unwrap_or(0);
        let orphans = self.orphans.iter().map(|orphan| orphan.last);
        orphans.fold(tree.max(given), i64::max)
    }

    /// A schema that was found lying about may be an old one, and its tree another's by now: then its pages are judged by
    /// what they hold.
    fn give_up_others(&mut self, pages: &Pages, uses: &mut Uses, known: &Known) {
        let Some(tree) = self.named.tree.as_ref().filter(|_| self.named.is_doubtful) else {
            return;
        };
        let is_other = |page: &u32| {
            let found = rows(pages, *page).unwrap_or_default();
            found.is_table != known.has_ids
                || !found.rows.iter().all(|row| known.fits(row, &self.layout))
        };
        if tree.pages.iter().any(is_other) {
            for page in &tree.pages {
                uses.set(*page, Use::Unknown);
            }
            self.named.tree = None;
        }
    }

    fn judge_orphans(&mut self, free: Freelist) {
        if self.is_whole() {
            // All that is live is in the tree.
            return self.orphans.clear();
        }
        let holes = self.holes();
        self.orphans.sort_by_key(|orphan| orphan.first);
        let mut last: Option<(usize, i64)> = None;
        for index in 0..self.orphans.len() {
            let Some(orphan) = self.orphans.get(index).copied() else {
                break;
            };
            let is_free_place = holes
                .iter()
                .any(|hole| hole.contains(orphan.first) && hole.contains(orphan.last));
            let overlaps = last.filter(|(_, last)| orphan.first <= *last && orphan.first != 0);
            if let Some((other, _)) = overlaps {
                self.doubt(other, Doubt::LiesTwice);
                self.doubt(index, Doubt::LiesTwice);
            }
            if !is_free_place {
                self.doubt(index, Doubt::LiesTwice);
            }
            if !free.is_whole {
                self.doubt(index, Doubt::MayBeFree);
            }
            if last.is_none_or(|(_, last)| orphan.last > last) {
                last = Some((index, orphan.last));
            }
        }
    }

    fn doubt(&mut self, index: usize, doubt: Doubt) {
        if let Some(orphan) = self.orphans.get_mut(index) {
            orphan.doubt.get_or_insert(doubt);
        }
    }
}
