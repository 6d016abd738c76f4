//! Which readings of a batch are still in the queue. An id alone does not name a reading for good: whoever empties the table
//! and lets its ids begin anew gives them to other readings while a batch is on its way. What became of the batch says nothing
//! about these, and they stay. A reading whose value is corrected meanwhile is still the same one, and counts as sent.

use std::{cell::RefCell, collections::HashMap, rc::Rc};

use crate::{
    domain::{
        batch::{Batch, IdempotencyKey, Manifest},
        reading::RawReading,
        reading_ids::ReadingIds,
        rows_digest::RowsDigest,
        store::StoreError,
        timestamp::Timestamp,
    },
    storage::{RowVersions, StoreTransaction, StoredBatch},
    upstream::body,
};

/// More batches are hardly ever on their way. Whose rows nobody remembers has them compared one by one.
const MOST: usize = 1_024;

/// By what the engine may tell at once that the rows of a batch are untouched. It lives no longer than the process.
#[derive(Debug, Default)]
pub struct AsRead(RefCell<HashMap<IdempotencyKey, Rc<Noted>>>);

/// What was noted of a batch when it was claimed.
#[derive(Debug)]
struct Noted {
    ids: ReadingIds,
    versions: RowVersions,
    /// Of all rows with these ids; none of a part of a batch, or where nobody else wrote when it was read.
    digest: Option<RowsDigest>,
}

impl AsRead {
    pub(super) fn note(
        &self,
        manifest: &Manifest,
        versions: RowVersions,
        digest: Option<RowsDigest>,
    ) {
        let mut known = self.0.borrow_mut();
        if known.len() >= MOST {
            // Among them are some whose claim never came to be.
            known.clear();
        }
        let ids = manifest.reading_ids.clone();
        let noted = Rc::new(Noted {
            ids,
            versions,
            digest,
        });
        known.insert(manifest.key.clone(), noted);
    }

    /// What was noted about a batch goes for another that is made of its readings.
    pub(super) fn note_part(&self, whole: &IdempotencyKey, part: &Manifest) {
        if let Some(noted) = self.of(whole) {
            self.note(part, noted.versions.clone(), None);
        }
    }

    pub(super) fn forget(&self, key: &IdempotencyKey) {
        self.0.borrow_mut().remove(key);
    }

    fn of(&self, key: &IdempotencyKey) -> Option<Rc<Noted>> {
        self.0.borrow().get(key).cloned()
    }

    fn renew(&self, key: &IdempotencyKey, noted: &Noted, versions: RowVersions) -> Rc<Noted> {
        let renewed = Rc::new(Noted {
            ids: noted.ids.clone(),
            versions,
            digest: noted.digest,
        });
        self.0.borrow_mut().insert(key.clone(), renewed.clone());
        renewed
    }

    /// Settles a batch that is stored without a look at it, where its rows are as they were. The ids of its readings, unless
    /// it has to be looked at.
    pub(super) async fn settle(
        &self,
        transaction: &mut dyn StoreTransaction,
        key: &IdempotencyKey,
        epoch: u32,
        is_kept: bool,
        now: Timestamp,
    ) -> Result<Option<ReadingIds>, StoreError> {
        let Some(noted) = self.of(key) else {
            return Ok(None);
        };
        let noted = match known_again(transaction, &noted).await? {
            Some(versions) => self.renew(key, &noted, versions),
            None => noted,
        };
        let batch = StoredBatch {
            key,
            epoch,
            ids: &noted.ids,
            versions: &noted.versions,
            is_kept,
            now,
        };
        let settled = transaction.settle_as_read(&batch).await;
        if !matches!(settled, Ok(false)) {
            // After a failure the next try looks more closely.
            self.forget(key);
        }
        Ok(settled?.then(|| noted.ids.clone()))
    }

    /// Takes the readings of a batch that is stored out of the queue: deletes them, or marks them as synchronized `at` a time.
    /// The ids of those that were its own.
    pub(super) async fn take_out(
        &self,
        transaction: &mut dyn StoreTransaction,
        batch: &Batch,
        at: Option<Timestamp>,
    ) -> Result<ReadingIds, StoreError> {
        let ids = &batch.manifest.reading_ids;
        if let Some(noted) = self.of(&batch.manifest.key) {
            let versions = &noted.versions;
            let taken_out = match at {
                None => transaction.delete_as_read(ids, versions).await?,
                Some(now) => transaction.mark_as_read(ids, versions, now).await?,
            };
            if taken_out == ids.len() as u64 {
                return Ok(ids.clone());
            }
        }
        let present = present(transaction, batch).await?;
        match at {
            None => transaction.delete_readings(&present).await?,
            Some(now) => transaction.mark_synchronized(&present, now).await?,
        }
        Ok(present)
    }
}

/// Other programs have committed something since, most likely new readings: where the rows are as they were nevertheless, by
/// what the engine tells that from now on.
async fn known_again(
    transaction: &mut dyn StoreTransaction,
    noted: &Noted,
) -> Result<Option<RowVersions>, StoreError> {
    let (RowVersions::AllAt(then), Some(digest)) = (&noted.versions, noted.digest) else {
        return Ok(None);
    };
    let Some(mark) = transaction.foreign_mark().await?.filter(|now| now != then) else {
        return Ok(None);
    };
    let are_as_read = are_as_read(transaction, &noted.ids, digest).await?;
    Ok(are_as_read.then_some(RowVersions::AllAt(mark)))
}

/// Whether the rows with these ids are those of which this is the digest.
pub(super) async fn are_as_read(
    transaction: &mut dyn StoreTransaction,
    ids: &ReadingIds,
    digest: RowsDigest,
) -> Result<bool, StoreError> {
    let rows = transaction.lock_rows(ids).await?;
    Ok(RowsDigest::of(&rows) == digest)
}

/// Those readings of the batch that are in the queue; nobody else changes them before the transaction ends.
pub(super) async fn present(
    transaction: &mut dyn StoreTransaction,
    batch: &Batch,
) -> Result<ReadingIds, StoreError> {
    let rows = transaction.lock_rows(&batch.manifest.reading_ids).await?;
    let count = rows.len();
    let ids = own(batch, rows);
    let others = count - ids.len();
    if others > 0 {
        tracing::warn!(
            key = %batch.manifest.key,
            readings = others,
            "another program gave ids of readings that were on their way to other readings: these stay in the queue and are \
             uploaded as well"
        );
    }
    Ok(ids)
}

/// Those of the rows that are readings of the body.
fn own(batch: &Batch, rows: Vec<RawReading>) -> ReadingIds {
    let sent = body::decompress(&batch.body).and_then(|json| body::identities(&json));
    let Ok(sent) = sent else {
        // Without a body, the ids are all there is to go by.
        return rows.iter().map(|row| row.id).collect();
    };
    let sent: HashMap<_, _> = batch.manifest.reading_ids.iter().zip(sent).collect();
    let is_own = |row: &RawReading| {
        let found = row.identity()?;
        Some(sent.get(&row.id)?.is(&found))
    };
    let own = rows.iter().filter(|row| is_own(row) == Some(true));
    own.map(|row| row.id).collect()
}
