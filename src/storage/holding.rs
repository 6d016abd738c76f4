//! Finds the readings that are nobody's yet: walks over the queue, past those that manifests hold.

use std::ops::RangeInclusive;

use async_trait::async_trait;

use super::StoreError;
use crate::domain::{
    reading::{RawReading, ReadingId},
    reading_ids::ReadingIds,
};

/// The pending rows of a queue in ascending order of their ids.
#[async_trait]
pub(super) trait PendingRows {
    /// Up to `limit` pending rows with ids above `after`, ascending.
    async fn pending_after(
        &mut self,
        after: ReadingId,
        limit: usize,
    ) -> Result<Vec<RawReading>, StoreError>;
}

/// The ids in all manifests, as few and long runs as possible.
pub(super) struct HeldIds(Vec<RangeInclusive<ReadingId>>);

impl HeldIds {
    /// What the manifests with these ids hold.
    pub(super) fn new<'a>(manifests: impl IntoIterator<Item = &'a ReadingIds>) -> Self {
        let mut runs: Vec<_> = manifests
            .into_iter()
            .flat_map(|ids| ids.runs().iter().cloned())
            .collect();
        runs.sort_unstable_by_key(|run| *run.start());
        let mut merged: Vec<RangeInclusive<ReadingId>> = Vec::new();
        for run in runs {
            match merged.last_mut() {
                Some(last) if *run.start() <= last.end().saturating_add(1) => {
                    *last = *last.start()..=*run.end().max(last.end());
                }
                _ => merged.push(run),
            }
        }
        Self(merged)
    }

    /// The run that holds `id`, if any.
    pub(super) fn run_with(&self, id: ReadingId) -> Option<&RangeInclusive<ReadingId>> {
        let next = self.0.partition_point(|run| *run.end() < id);
        self.0.get(next).filter(|run| run.contains(&id))
    }

    /// Whether one of `ids` is held.
    pub(super) fn has_any_of(&self, ids: &ReadingIds) -> bool {
        ids.runs().iter().any(|run| {
            let next = self.0.partition_point(|held| held.end() < run.start());
            self.0
                .get(next)
                .is_some_and(|held| held.start() <= run.end())
        })
    }

    /// Up to `limit` rows above `after` that nobody holds, ascending.
    pub(super) async fn free_rows(
        &self,
        queue: &mut impl PendingRows,
        after: ReadingId,
        limit: usize,
    ) -> Result<Vec<RawReading>, StoreError> {
        let (mut after, mut step) = match self.run_with(after.saturating_add(1)) {
            Some(run) => (*run.end(), limit),
            // In front of the queue lie whole runs of held readings: a single row is enough to notice one and jump.
            None if after == ReadingId::MIN => (after, 1),
            None => (after, limit),
        };
        let mut found = Vec::new();
        while found.len() < limit {
            step = step.min(limit - found.len());
            let rows = queue.pending_after(after, step).await?;
            let Some(last) = rows.last().map(|reading| reading.id) else {
                break;
            };
            let is_end = rows.len() < step;
            let before = found.len();
            found.extend(
                rows.into_iter()
                    .filter(|reading| self.run_with(reading.id).is_none()),
            );
            if is_end {
                break;
            }
            after = self.run_with(last).map_or(last, |run| *run.end());
            // Scattered held readings must not cost a query each, nor free ones.
            step = if found.len() > before {
                limit
            } else {
                step.saturating_mul(2)
            };
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbouring_batches_become_one_run() {
        let manifests: Vec<_> = ["11-20,40", "1-10", "5-6,41-50"]
            .into_iter()
            .map(|text| ReadingIds::decode(text).expect("ids"))
            .collect();
        let held = HeldIds::new(&manifests);
        assert_eq!(held.0, [1..=20, 40..=50]);
        assert_eq!(held.run_with(13), Some(&(1..=20)));
        assert_eq!(held.run_with(21), None);
        let has = |text| held.has_any_of(&ReadingIds::decode(text).expect("ids"));
        assert!(has("20-25") && has("1,60") && has("30-60") && has("45"));
        assert!(!has("21-39") && !has("51-60") && !has("0,30,51"));
    }
}
