//! Which readings of a batch are still in the queue as they were sent. An id alone does not name a reading for good: whoever
//! empties the table and lets its ids begin anew gives them to other readings while a batch is on its way, and a program
//! may correct a reading meanwhile. What became of the batch then says nothing about these, and they stay.

use std::{cell::RefCell, collections::HashMap};

use crate::{
    domain::{
        batch::{Batch, IdempotencyKey},
        reading::RawReading,
        reading_ids::ReadingIds,
        store::StoreError,
    },
    storage::{RowVersions, StoreTransaction},
    upstream::body,
};

/// More batches are hardly ever on their way. Whose rows nobody remembers has them compared one by one.
const MOST: usize = 1_024;

/// By what the engine may tell at once that the rows of a batch are untouched. It lives no longer than the process.
#[derive(Debug, Default)]
pub struct AsRead(RefCell<HashMap<IdempotencyKey, RowVersions>>);

impl AsRead {
    pub(super) fn note(&self, key: IdempotencyKey, versions: RowVersions) {
        let mut known = self.0.borrow_mut();
        if known.len() >= MOST {
            // Among them are some whose claim never came to be.
            known.clear();
        }
        known.insert(key, versions);
    }

    /// What was noted about a batch goes for another that is made of its readings.
    pub(super) fn note_part(&self, whole: &IdempotencyKey, part: &IdempotencyKey) {
        let versions = self.0.borrow().get(whole).cloned();
        if let Some(versions) = versions {
            self.note(part.clone(), versions);
        }
    }

    pub(super) fn forget(&self, key: &IdempotencyKey) {
        self.0.borrow_mut().remove(key);
    }

    fn of(&self, key: &IdempotencyKey) -> Option<RowVersions> {
        self.0.borrow().get(key).cloned()
    }

    /// Those readings of the batch that lie in the queue as they were sent.
    pub(super) async fn present(
        &self,
        transaction: &mut dyn StoreTransaction,
        batch: &Batch,
    ) -> Result<ReadingIds, StoreError> {
        let ids = &batch.manifest.reading_ids;
        if let Some(versions) = self.of(&batch.manifest.key)
            && transaction.are_as_read(ids, &versions).await?
        {
            return Ok(ids.clone());
        }
        let rows = transaction.rows(ids).await?;
        let present = as_sent(batch, rows);
        let others = present.others;
        if others > 0 {
            tracing::warn!(
                key = %batch.manifest.key,
                readings = others,
                "other programs changed or replaced readings while they were on their way: what lies there now stays in the \
                 queue and is uploaded as well"
            );
        }
        Ok(present.ids)
    }
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Present {
    ids: ReadingIds,
    /// Rows with an id of the batch that hold something else.
    others: usize,
}

/// Which of the rows hold what the body says.
fn as_sent(batch: &Batch, rows: Vec<RawReading>) -> Present {
    let count = rows.len();
    let sent = body::decompress(&batch.body).and_then(|json| body::each(&json));
    let Ok(sent) = sent else {
        // Without a body, the ids are all there is to go by.
        let ids = rows.iter().map(|row| row.id).collect();
        return Present { ids, others: 0 };
    };
    let sent: HashMap<_, _> = batch.manifest.reading_ids.iter().zip(sent).collect();
    let is_as_sent = |row: RawReading| {
        let id = row.id;
        let reading = row.parse().ok()?;
        (sent.get(&id)? == &body::encode_one(&reading)).then_some(id)
    };
    let ids: ReadingIds = rows.into_iter().filter_map(is_as_sent).collect();
    let others = count - ids.len();
    Present { ids, others }
}
