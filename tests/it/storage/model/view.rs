//! Compares the database with the reference.

use std::collections::{BTreeMap, BTreeSet};

use meterit_sync::domain::{
    batch::ManifestState, quarantine::QuarantineReason, reading_ids::ReadingIds,
};

use super::{
    ground::Observed,
    known::Known,
    reference::{Queue, Reading},
    steps::Number,
};

/// For what does not exist.
const NOTHING: Number = Number::MAX;

/// Both sides of the comparison in the same shape.
#[derive(Debug, PartialEq)]
struct View {
    waiting: BTreeMap<Number, u32>,
    kept: BTreeSet<Number>,
    batches: BTreeMap<Vec<Number>, ViewedBatch>,
    quarantine: BTreeMap<Number, (QuarantineReason, Reading)>,
    log: Vec<(usize, bool)>,
    audit: BTreeMap<String, usize>,
    keys: BTreeSet<String>,
    kept_length: Option<usize>,
}

#[derive(Debug, PartialEq)]
struct ViewedBatch {
    /// The lowest reading on its way under the same root.
    root: Number,
    state: ManifestState,
    attempts: u32,
    failed_passes: u32,
    sent: Vec<Number>,
}

pub fn compare(queue: &Queue, observed: &Observed, known: &Known) -> Result<(), String> {
    same(
        "the database",
        &seen(observed, known)?,
        &expected(queue, observed.kept_length.is_some()),
    )
}

pub fn same<T: std::fmt::Debug + PartialEq>(
    what: &str,
    found: &T,
    expected: &T,
) -> Result<(), String> {
    if found == expected {
        return Ok(());
    }
    Err(format!(
        "{what} should be\n{expected:#?}\nbut is\n{found:#?}"
    ))
}

fn expected(queue: &Queue, keeps_length: bool) -> View {
    let lowest = |root: usize| {
        queue
            .batches
            .iter()
            .filter(|batch| batch.root == root)
            .flat_map(|batch| batch.readings.clone())
            .min()
    };
    let batches = queue.batches.iter().map(|batch| {
        let sent = batch.readings.clone();
        let viewed = ViewedBatch {
            root: lowest(batch.root).unwrap_or(NOTHING),
            state: batch.state,
            attempts: batch.attempts,
            failed_passes: batch.failed_passes,
            sent,
        };
        (batch.readings.clone(), viewed)
    });
    let mut log: Vec<_> = queue
        .log
        .iter()
        .map(|(_, size, success)| (*size, *success))
        .collect();
    log.sort_unstable();
    View {
        waiting: queue
            .waiting
            .iter()
            .map(|(number, reading)| (*number, reading.retries))
            .collect(),
        kept: queue.kept.keys().copied().collect(),
        batches: batches.collect(),
        quarantine: queue.quarantine.clone(),
        log,
        audit: queue
            .audit
            .iter()
            .map(|(action, times)| ((*action).to_owned(), *times))
            .collect(),
        keys: queue.keys.keys().cloned().collect(),
        kept_length: keeps_length.then_some(queue.waiting.len()),
    }
}

fn seen(observed: &Observed, known: &Known) -> Result<View, String> {
    let (kept, waiting): (Vec<_>, Vec<_>) = observed
        .readings
        .iter()
        .partition(|reading| reading.synchronized);
    let there: BTreeMap<_, _> = observed
        .readings
        .iter()
        .map(|reading| (reading.id, reading.number))
        .collect();
    let numbers = |ids: &ReadingIds| -> Result<Vec<Number>, String> {
        let number = |id| there.get(&id).or(known.owners_of_ids.get(&id)).copied();
        ids.iter()
            .map(|id| number(id).ok_or_else(|| format!("a manifest holds the unknown id {id}")))
            .collect()
    };
    let mut roots: BTreeMap<&str, Number> = BTreeMap::new();
    let mut batches = BTreeMap::new();
    for manifest in &observed.manifests {
        let lowest = numbers(&manifest.ids)?.into_iter().min().unwrap_or(NOTHING);
        let root = roots.entry(&manifest.root).or_insert(lowest);
        *root = lowest.min(*root);
    }
    for manifest in &observed.manifests {
        let viewed = ViewedBatch {
            root: roots[manifest.root.as_str()],
            state: manifest.state,
            attempts: manifest.attempts,
            failed_passes: manifest.failed_passes,
            sent: manifest.sent.clone(),
        };
        if let Some(other) = batches.insert(numbers(&manifest.ids)?, viewed) {
            return Err(format!(
                "two manifests hold the same readings: {manifest:?} and {other:?}"
            ));
        }
    }
    let entries = observed.entries.iter().map(|entry| {
        let reading = Reading {
            retries: entry.retries,
            unreadable: entry.unreadable,
        };
        (entry.number, (entry.reason, reading))
    });
    let quarantine: BTreeMap<_, _> = entries.collect();
    if quarantine.len() != observed.entries.len()
        || there.len()
            != waiting
                .iter()
                .chain(&kept)
                .map(|reading| reading.number)
                .collect::<BTreeSet<_>>()
                .len()
    {
        return Err(format!("a reading is there twice: {observed:#?}"));
    }
    Ok(View {
        waiting: waiting
            .iter()
            .map(|reading| (reading.number, reading.retries))
            .collect(),
        kept: kept.iter().map(|reading| reading.number).collect(),
        batches,
        quarantine,
        log: observed.log.clone(),
        audit: observed.audit.clone(),
        keys: observed.keys.clone(),
        kept_length: observed.kept_length,
    })
}
