//! The batch that is likely to be claimed next: read and built while the one before is on its way, so that a claim only has
//! to write it down.

use std::{cell::RefCell, sync::Arc};

use tokio::task::{JoinHandle, spawn_blocking};

use super::DatabaseWriterParts;
use crate::{
    domain::{
        compression::Compression,
        quarantine::QuarantineReason,
        reading::{RawReading, ReadingId},
        reading_ids::ReadingIds,
        store::StoreError,
    },
    storage::{ForeignMark, QuarantineEntry, StoreTransaction},
    upstream::body,
};

/// Rows that were made into a batch.
#[derive(Debug)]
pub(super) struct Built {
    /// Rows that were read.
    pub(super) rows: usize,
    /// The readings in the body.
    pub(super) reading_ids: ReadingIds,
    /// The compressed body.
    pub(super) body: Arc<[u8]>,
    /// Rows that cannot be sent.
    pub(super) unreadable: Vec<QuarantineEntry>,
}

/// Builds a batch on a thread that serves nobody else meanwhile.
pub(super) async fn build(
    rows: Vec<RawReading>,
    compression: Compression,
) -> Result<Built, StoreError> {
    let built = spawn_blocking(move || build_here(rows, compression)).await;
    built.map_err(|failure| StoreError::Failed(format!("a batch could not be built: {failure}")))
}

fn build_here(rows: Vec<RawReading>, compression: Compression) -> Built {
    let read = rows.len();
    let (mut reading_ids, mut readings) = (Vec::with_capacity(read), Vec::with_capacity(read));
    let mut unreadable = Vec::new();
    for row in rows {
        let reading_id = row.id;
        match row.parse() {
            Ok(reading) => {
                reading_ids.push(reading_id);
                readings.push(reading);
            }
            Err(reason) => unreadable.push(QuarantineEntry {
                reading_id,
                reason: QuarantineReason::Unreadable,
                status: None,
                message: reason.to_string(),
                key: None,
            }),
        }
    }
    Built {
        rows: read,
        reading_ids: reading_ids.into_iter().collect(),
        body: body::compress(&body::encode(&readings), compression).into(),
        unreadable,
    }
}

/// The batch that is likely to be claimed next; none at first.
#[derive(Debug, Default)]
pub struct Ahead(RefCell<Option<Draft>>);

#[derive(Debug)]
struct Draft {
    limit: usize,
    /// Nothing that was read has changed for as long as this has not.
    mark: ForeignMark,
    work: JoinHandle<Result<Option<Built>, StoreError>>,
}

impl Ahead {
    /// Begins to build a batch of the pending readings behind `after`. The mark is that of the transaction under way.
    pub(super) fn begin(
        &self,
        parts: &DatabaseWriterParts,
        after: ReadingId,
        limit: usize,
        mark: ForeignMark,
    ) {
        let (store, compression) = (parts.store.clone(), parts.compression());
        let work = actix::spawn(async move {
            match store.read_ahead(after, limit).await? {
                Some(rows) => build(rows, compression).await.map(Some),
                None => Ok(None),
            }
        });
        let draft = Draft { limit, mark, work };
        self.0.replace(Some(draft));
    }

    /// The batch that was built for such a claim, if it is still what such a claim would find.
    pub(super) async fn take(
        &self,
        transaction: &mut dyn StoreTransaction,
        limit: usize,
        mark: ForeignMark,
    ) -> Result<Option<Built>, StoreError> {
        let draft = self.0.take();
        let Some(draft) = draft.filter(|draft| draft.limit == limit && draft.mark == mark) else {
            return Ok(None);
        };
        // What went wrong ahead of time is met again by the claim itself.
        let Ok(Ok(Some(built))) = draft.work.await else {
            return Ok(None);
        };
        let is_full = built.rows == limit && built.unreadable.is_empty();
        // What this instance did itself moves no mark.
        let is_left = is_full && transaction.are_claimable(&built.reading_ids).await?;
        Ok(is_left.then_some(built))
    }
}
