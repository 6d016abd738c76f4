//! What the database calls the things that the reference speaks of.

use std::collections::{BTreeMap, BTreeSet};

use meterit_sync::domain::reading::ReadingId;

use super::{ground::Observed, reference::Queue, steps::Number, view::same};

/// The names of everything that was seen so far.
#[derive(Default)]
pub struct Known {
    pub ids: BTreeMap<Number, ReadingId>,
    pub owners_of_ids: BTreeMap<ReadingId, Number>,
    gone: BTreeSet<ReadingId>,
    entries: BTreeMap<Number, i64>,
    pub keys: BTreeMap<usize, String>,
    pub bodies: BTreeMap<String, Vec<Number>>,
}

impl Known {
    pub fn key(&self, name: usize) -> String {
        self.keys
            .get(&name)
            .cloned()
            .unwrap_or_else(|| "none".to_owned())
    }

    pub fn entry(&self, number: Number) -> i64 {
        self.entries.get(&number).copied().unwrap_or(-1)
    }

    /// Takes up the names of what is new, and sees that none is used for two things.
    pub fn learn(&mut self, queue: &Queue, observed: &Observed) -> Result<(), String> {
        let before = std::mem::take(&mut self.ids);
        for reading in &observed.readings {
            let owner = *self
                .owners_of_ids
                .entry(reading.id)
                .or_insert(reading.number);
            if owner != reading.number || self.gone.contains(&reading.id) {
                return Err(format!("the id of reading {owner} is given to {reading:?}"));
            }
            self.ids.insert(reading.number, reading.id);
        }
        self.gone.extend(
            before
                .values()
                .filter(|id| !self.ids.values().any(|there| there == *id)),
        );
        self.entries = observed
            .entries
            .iter()
            .map(|entry| (entry.number, entry.id))
            .collect();
        for manifest in &observed.manifests {
            let body = self
                .bodies
                .entry(manifest.key.clone())
                .or_insert_with(|| manifest.sent.clone());
            if *body != manifest.sent {
                return Err(format!("the body changed from {body:?} to {manifest:?}"));
            }
            let numbers: Vec<_> = manifest
                .ids
                .iter()
                .map(|id| self.owners_of_ids[&id])
                .collect();
            let batch = queue.batches.iter().find(|batch| batch.readings == numbers);
            let name = batch
                .ok_or_else(|| format!("{manifest:?} is not on its way"))?
                .name;
            let key = self
                .keys
                .entry(name)
                .or_insert_with(|| manifest.key.clone());
            same("the key", key, &manifest.key)?;
        }
        Ok(())
    }
}
