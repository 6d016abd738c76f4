//! Where the write-ahead log is damaged, what may have become of readings in the lost part of it is told by what a batch
//! leaves behind when it is claimed, for nothing is sent before.
//!
//! Whoever claims one writes three pages at least: of the batches, of the index of their keys, and of the highest ids that
//! were given, where the number of batches that ever were only grows. So none was claimed since the damage where that number
//! is the same in a version of its page that is newer than all that is lost, or where fewer frames of unknown pages are lost
//! than there are such pages without a trace in the others. Then whatever waited before the damage, and was in no batch,
//! waits still, wherever it can be read; and so does whatever came since. Only what a person deleted by SQL in what is lost
//! may come back by this: it was never sent.
//!
//! Before the damage means: as the file and the log up to there say. That holds as long as nothing newer was copied into
//! the file, which the index of the log tells, and the file itself, where its own highest id of a reading is lower than the
//! one in the log before the damage.

use std::io;

use super::{
    collected::ROWS,
    known::{Layout, MANIFESTS, QUARANTINE, READINGS, SYNCHRONIZED, TABLES},
    outline::{Outline, given_by},
    pages::{Hole, Pages, Value, rows},
    plan::Find,
};
use crate::domain::{reading::ReadingId, reading_ids::ReadingIds};

/// What is known to have been claimed by nobody since the damage.
#[derive(Debug)]
pub(super) struct Unclaimed {
    /// The database before the damage.
    before: Pages,
    /// Its pages with readings.
    readings: Vec<u32>,
    /// Readings that were in batches then: what became of those may be lost.
    claimed: Vec<ReadingIds>,
    /// Readings with higher ids came later; none where nobody can tell.
    pub(super) since: Option<ReadingId>,
}

impl Unclaimed {
    /// None where the log is not damaged, and where a batch may have been claimed since. Blocks on the file system, for as
    /// long as it takes to read what leads to the readings.
    ///
    /// # Errors
    /// Where files cannot be opened.
    pub(super) fn find(now: &Outline) -> io::Result<Option<Self>> {
        if now.pages.unknown() == 0 && now.pages.lost().is_empty() {
            return Ok(None);
        }
        let Some(before) = now.pages.before_gap()? else {
            return Ok(None);
        };
        let before = Outline::of(before);
        let is_known = is_from_before(now, &before)? && is_none_claimed(now, &before);
        Ok(if is_known { Self::of(before) } else { None })
    }

    fn of(before: Outline) -> Option<Self> {
        let batches = before.tables.get(MANIFESTS)?.tree.as_ref()?;
        let claimed = batches
            .pages
            .iter()
            .map(|page| claimed_on(&before.pages, *page));
        let claimed = claimed.collect::<Option<Vec<_>>>()?.concat();
        let readings = before.tables.get(READINGS)?;
        let tree = readings.tree.as_ref()?;
        Some(Self {
            readings: tree.pages.clone(),
            claimed,
            since: readings.given,
            before: before.pages,
        })
    }

    /// The ids of all that waited before the damage, and waits still, where something may be missing now.
    pub(super) fn hand_over(
        &self,
        holes: &[Hole],
        layout: &Layout,
        take: &mut impl FnMut(Find) -> io::Result<()>,
    ) -> io::Result<()> {
        let is_claimed = |id| self.claimed.iter().any(|ids| contains(ids, id));
        let mut ids = Vec::new();
        for page in &self.readings {
            let found = rows(&self.before, *page).unwrap_or_default().rows;
            let waiting = found.into_iter().filter_map(|row| {
                let id = row.id;
                let values = TABLES[READINGS].values(row, layout);
                (values.get(SYNCHRONIZED) != Some(&Value::Integer(1))).then_some(id)
            });
            let in_hole = |id: &i64| holes.iter().any(|hole| hole.contains(*id));
            ids.extend(waiting.filter(in_hole).filter(|id| !is_claimed(*id)));
            if ids.len() >= ROWS {
                take(Find::Pending(std::mem::take(&mut ids)))?;
            }
        }
        self.before.require_one_moment()?;
        take(Find::Pending(ids))
    }
}

fn contains(ids: &ReadingIds, id: ReadingId) -> bool {
    ids.runs().iter().any(|run| run.contains(&id))
}

/// The readings in the batches on the page; none where it is not known of each.
fn claimed_on(pages: &Pages, page: u32) -> Option<Vec<ReadingIds>> {
    let known = &TABLES[MANIFESTS];
    let place = known
        .columns
        .iter()
        .position(|column| column.name == "reading_ids")?;
    let ids = rows(pages, page)?.rows.into_iter().map(|row| {
        match known.values(row, &known.usual_layout()).get(place) {
            Some(Value::Text(text)) => ReadingIds::decode(&String::from_utf8_lossy(text)),
            _ => None,
        }
    });
    ids.collect()
}

/// Whether what is taken for the database before the damage is not newer in any part.
fn is_from_before(now: &Outline, before: &Outline) -> io::Result<bool> {
    if now.pages.is_nothing_copied_since() {
        return Ok(true);
    }
    let (Some([page]), Some(in_file), Some(in_log)) = (
        before.sequences.as_deref(),
        now.pages.without_log()?,
        now.pages.before_damage()?,
    ) else {
        return Ok(false);
    };
    let given = |pages: &Pages| given_by(pages, *page, TABLES[READINGS].name);
    let given = given(&in_file).zip(given(&in_log));
    Ok(given.is_some_and(|(in_file, in_log)| in_file < in_log))
}

/// Whether no batch can have been claimed in what is lost.
fn is_none_claimed(now: &Outline, before: &Outline) -> bool {
    let (Some(batches), Some(keys), Some([numbers])) = (
        before
            .tables
            .get(MANIFESTS)
            .and_then(|named| named.tree.as_ref()),
        before.keys.as_deref(),
        before.sequences.as_deref(),
    ) else {
        return false;
    };
    if !batches.is_whole() {
        return false;
    }
    let pages = &now.pages;
    let given =
        |outline: &Outline, table: usize| outline.tables.get(table).map(|named| named.given);
    // What is put into quarantine while a batch is made up is in none.
    let is_same = |table| given(now, table) == given(before, table);
    let are_same = now.sequences == before.sequences && is_same(MANIFESTS) && is_same(QUARANTINE);
    if are_same && pages.is_written_after(*numbers) {
        return true;
    }
    let is_untouched = |page: &u32| !pages.is_named(*page) && !pages.is_written_since(*page);
    let without_trace = [
        batches.pages.iter().chain(&batches.inner).all(is_untouched),
        keys.iter().all(is_untouched),
        are_same && !pages.is_named(*numbers),
    ];
    let without_trace = without_trace.into_iter().filter(|is| *is).count();
    pages.unknown() < without_trace as u64
}
