//! How much can have been lost: never less than was, and no more than the pages, the ids and the index leave room for.

use super::{
    known::Known,
    pages::Hole,
    plan::{Plan, Planned},
};

/// How many rows of a table can be missing at the most; none where nobody can tell. Where the log may have gone on, what was
/// written there shows in nothing that is left.
pub(super) fn at_most(plan: &Plan, planned: &Planned, known: &Known) -> Option<u64> {
    if plan.pages.doubtful() > 0 {
        return None;
    }
    if planned.is_whole() {
        return Some(0);
    }
    if plan.is_empty() {
        return None;
    }
    Some(in_holes(plan, planned, known))
}

/// How many ids may have been given beyond the highest one that is known.
pub(super) fn beyond(plan: &Plan, planned: &Planned, known: &Known) -> u64 {
    let behind_the_log = room(plan, known, plan.pages.doubtful());
    if planned.is_whole() || plan.is_empty() {
        return behind_the_log;
    }
    behind_the_log.saturating_add(in_holes(plan, planned, known))
}

/// Rows that so many pages can hold.
fn room(plan: &Plan, known: &Known, pages: u64) -> u64 {
    pages.saturating_mul(plan.usable() / known.shortest)
}

fn in_holes(plan: &Plan, planned: &Planned, known: &Known) -> u64 {
    let by_room = room(plan, known, plan.unexplained);
    // Where anything may be out of date, the last id may be as well.
    let by_ids = by_ids(planned, known).filter(|_| plan.pages.unknown() == 0);
    let by_ids = by_ids.unwrap_or(u64::MAX);
    by_room.saturating_add(planned.failed()).min(by_ids)
}

/// Ids in the holes that were not found elsewhere; none where the holes have no bounds.
fn by_ids(planned: &Planned, known: &Known) -> Option<u64> {
    if !known.has_ids {
        return None;
    }
    let mut holes = planned.holes();
    // A page with several things wrong with it leaves several holes.
    holes.sort_by_key(|hole| (hole.above, hole.through));
    holes.dedup();
    let widths = holes.iter().map(|hole| width(hole, planned.named.given));
    let width = widths.sum::<Option<u64>>()?;
    Some(width.saturating_sub(planned.orphaned()))
}

/// No id is below one or above the last that was given.
fn width(hole: &Hole, given: Option<i64>) -> Option<u64> {
    let above = hole.above.unwrap_or(0);
    let through = hole.through.or(given)?;
    Some(u64::try_from(through.saturating_sub(above)).unwrap_or(0))
}
