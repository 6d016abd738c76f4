//! How much can have been lost: never less than was, and no more than the pages, the ids and the index leave room for.

use super::{
    known::Known,
    pages::Hole,
    plan::{Plan, Planned},
};

/// How many rows of a table can be missing at the most; none where nobody can tell.
pub(super) fn at_most(plan: &Plan, planned: &Planned, known: &Known) -> Option<u64> {
    if planned.is_whole() {
        return Some(0);
    }
    if plan.is_empty() {
        return None;
    }
    let by_room = plan
        .unexplained
        .saturating_mul(plan.usable() / known.shortest);
    // Where anything may be out of date, the last id may be as well.
    let by_ids = by_ids(planned, known).filter(|_| plan.pages.unknown() == 0);
    let by_ids = by_ids.unwrap_or(u64::MAX);
    Some(by_room.saturating_add(planned.failed()).min(by_ids))
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
