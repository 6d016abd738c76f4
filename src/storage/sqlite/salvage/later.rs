//! Readings that came into a damaged database after a certain one: where SQLite would give up at a page on the way, they are
//! found by their pages, with the same care as in the salvage itself.

use std::{
    collections::{HashMap, HashSet},
    io,
    path::PathBuf,
};

use super::{
    Pin, blocking,
    known::{Layout, READINGS, SYNCHRONIZED, TABLES},
    layouts::layouts,
    outline::{Glance, Outline},
    pages::{Hole, Pages, Value, rows},
    plan::{Doubt, Plan, Planned, ids_on},
    set_aside,
};
use crate::{domain::reading::ReadingId, storage::StoreError};

/// Readings that are found at once: hardly more are written in one transaction.
const MOST: usize = 2_000;

/// What was found.
#[derive(Debug)]
pub(super) struct Later {
    /// The values of our columns, reading by reading: those that are certain to be live and wait.
    pub(super) rows: Vec<Vec<Value>>,
    /// Those of which nobody can tell.
    pub(super) doubtful: Vec<(Vec<Value>, Doubt)>,
    /// All up to this id are in here, as far as they can be read.
    pub(super) through: ReadingId,
    /// There are no more.
    pub(super) is_all: bool,
    /// There may be others, where nothing can be read.
    pub(super) is_unreadable: bool,
    /// What had to be read for it.
    pub(super) bytes: u64,
}

impl Later {
    /// Reads what came after the reading `above`.
    ///
    /// # Errors
    /// [`StoreError::Busy`] where another program changed the files meanwhile.
    pub(super) async fn read(database: PathBuf, above: ReadingId) -> Result<Self, StoreError> {
        let log = set_aside::log_of(&database);
        // For as long as this lasts no other program can fold a log into the file.
        let pin = Pin::on(&database, &log).await;
        let moment = set_aside::stamp(&database);
        let found = read(database.clone(), log, above).await;
        let is_pinned = pin.release().await;
        let found = found?;
        if !is_pinned && set_aside::stamp(&database) != moment {
            return Err(StoreError::Busy(
                "another program changed the damaged database while it was read".to_owned(),
            ));
        }
        Ok(found)
    }
}

async fn read(database: PathBuf, log: PathBuf, above: ReadingId) -> Result<Later, StoreError> {
    let paths = (database.clone(), log.clone());
    let glance = blocking(move || Glance::read(&paths.0, &paths.1, above)).await?;
    if let Some(glance) = glance {
        let layouts = layouts(&glance.tables).await?;
        return blocking(move || glanced(&glance, layouts, above)).await;
    }
    let outline = blocking(move || Outline::read(&database, &log)).await?;
    let layouts = layouts(&outline.tables).await?;
    blocking(move || searched(&Plan::make(outline, layouts, None), above)).await
}

/// Where everything on the way is whole.
fn glanced(glance: &Glance, layouts: Vec<Layout>, above: ReadingId) -> io::Result<Later> {
    let layout = layouts.into_iter().nth(READINGS).unwrap_or_default();
    let mut gathered = Gathered::new(above);
    for page in &glance.leaves {
        if !gathered.has_room() {
            gathered.later.is_all = false;
            break;
        }
        for row in values(&glance.pages, *page, &layout) {
            gathered.add(row, None);
        }
    }
    glance.pages.require_one_moment()?;
    Ok(gathered.later)
}

/// A page with readings above a certain one.
struct Place {
    page: u32,
    first: ReadingId,
    ids: Vec<ReadingId>,
    doubt: Option<Doubt>,
    is_orphaned: bool,
}

/// Where something is not: then every page is looked at.
fn searched(plan: &Plan, above: ReadingId) -> io::Result<Later> {
    let Some(readings) = plan.tables.get(READINGS) else {
        return Ok(Gathered::new(above).later);
    };
    let places = places(plan, readings, above);
    let index = plan.pending.as_ref().filter(|_| plan.knows_pending());
    let pending = index.map(|index| pending(plan, index, above));
    let mut gathered = Gathered::new(above);
    gathered.later.is_unreadable = is_unreadable(plan, readings, above, &places, pending.as_ref());
    gathered.later.bytes = plan.bytes();
    for place in &places {
        if !gathered.has_room() && place.first > gathered.later.through {
            gathered.later.is_all = false;
            break;
        }
        for row in values(&plan.pages, place.page, &readings.layout) {
            let waits = pending.as_ref().map(|ids| ids.contains(&id_of(&row)));
            let is_certain = place.doubt.is_none() && !place.is_orphaned;
            let doubt = match waits {
                _ if is_certain => None,
                Some(true) => None,
                Some(false) => place.doubt.or(Some(Doubt::DoesNotWait)),
                None => place.doubt,
            };
            // What lies about may be anything; no reading has an id that was never given.
            let was_given = readings
                .named
                .given
                .is_none_or(|given| id_of(&row) <= given);
            if doubt.is_none() || was_given {
                gathered.add(row, doubt);
            }
        }
    }
    plan.pages.require_one_moment()?;
    Ok(gathered.later)
}

/// Ascending by their first ids.
fn places(plan: &Plan, readings: &Planned, above: ReadingId) -> Vec<Place> {
    let place = |page: u32, doubt, is_orphaned| {
        let rows = values(&plan.pages, page, &readings.layout);
        let ids: Vec<ReadingId> = rows
            .map(|row| id_of(&row))
            .filter(|id| *id > above)
            .collect();
        let first = ids.iter().min().copied()?;
        Some(Place {
            page,
            first,
            ids,
            doubt,
            is_orphaned,
        })
    };
    let mut places = Vec::new();
    if let Some(tree) = &readings.named.tree {
        let from_the_end = tree
            .pages
            .iter()
            .rev()
            .map(|page| place(*page, None, false));
        places.extend(from_the_end.map_while(|place| place));
        let disorderly = tree.disorderly.iter();
        places.extend(disorderly.filter_map(|page| place(*page, Some(Doubt::IsOutOfOrder), true)));
    }
    let orphans = readings.orphans.iter().filter(|orphan| orphan.last > above);
    places.extend(orphans.filter_map(|orphan| place(orphan.page, orphan.doubt, true)));
    places.sort_by_key(|place| place.first);
    places
}

/// Ids of readings that wait.
fn pending(plan: &Plan, index: &[u32], above: ReadingId) -> HashSet<ReadingId> {
    let ids = index.iter().flat_map(|page| ids_on(&plan.pages, *page));
    ids.filter(|id| *id > above).collect()
}

/// Whether there may be readings that were not found.
fn is_unreadable(
    plan: &Plan,
    readings: &Planned,
    above: ReadingId,
    places: &[Place],
    pending: Option<&HashSet<ReadingId>>,
) -> bool {
    let mut holes = readings.holes();
    holes.retain(|hole| hole.reaches_above(above));
    if plan.is_empty() || holes.is_empty() {
        return plan.is_empty();
    }
    let found: HashSet<ReadingId> = places.iter().flat_map(|place| place.ids.clone()).collect();
    match (pending, readings.named.given) {
        (Some(pending), _) => !pending.is_subset(&found),
        (None, Some(given)) => {
            let in_holes = |id: &ReadingId| holes.iter().any(|hole| hole.contains(*id));
            room(&holes, above, given) > found.iter().filter(|id| in_holes(id)).count() as u64
        }
        (None, None) => true,
    }
}

/// How many ids lie in the holes, above one and up to another.
fn room(holes: &[Hole], above: ReadingId, through: ReadingId) -> u64 {
    let mut holes: Vec<(ReadingId, ReadingId)> = holes
        .iter()
        .map(|hole| {
            let from = hole.above.map_or(above, |from| from.max(above));
            (from, hole.through.map_or(through, |to| to.min(through)))
        })
        .collect();
    holes.sort_unstable();
    let (mut all, mut counted) = (0_u64, above);
    for (from, to) in holes {
        let from = from.max(counted);
        all = all.saturating_add(u64::try_from(to.saturating_sub(from)).unwrap_or(0));
        counted = counted.max(to);
    }
    all
}

fn values(pages: &Pages, page: u32, layout: &Layout) -> impl Iterator<Item = Vec<Value>> {
    let found = rows(pages, page).unwrap_or_default();
    found
        .rows
        .into_iter()
        .map(move |row| TABLES[READINGS].values(row, layout))
}

fn id_of(row: &[Value]) -> ReadingId {
    match row.first() {
        Some(Value::Integer(id)) => *id,
        _ => 0,
    }
}

/// Readings while they are gathered.
struct Gathered {
    later: Later,
    above: ReadingId,
    /// Those that were added, by their ids.
    added: HashMap<ReadingId, Vec<Value>>,
}

impl Gathered {
    fn new(above: ReadingId) -> Self {
        Self {
            later: Later {
                rows: Vec::new(),
                doubtful: Vec::new(),
                through: above,
                is_all: true,
                is_unreadable: false,
                bytes: 0,
            },
            above,
            added: HashMap::new(),
        }
    }

    fn has_room(&self) -> bool {
        self.added.len() < MOST
    }

    /// Adds one if it waits and is none of those before.
    fn add(&mut self, row: Vec<Value>, doubt: Option<Doubt>) {
        let id = id_of(&row);
        if id <= self.above {
            return;
        }
        self.later.through = self.later.through.max(id);
        if row.get(SYNCHRONIZED) == Some(&Value::Integer(1)) {
            return;
        }
        let doubt = match self.added.get(&id) {
            Some(other) if *other == row => return,
            Some(_) => Some(Doubt::LiesTwice),
            None => doubt,
        };
        self.added.insert(id, row.clone());
        match doubt {
            Some(doubt) => self.later.doubtful.push((row, doubt)),
            None => self.later.rows.push(row),
        }
    }
}
