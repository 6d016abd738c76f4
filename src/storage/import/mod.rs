//! Moves a queue out of SQLite into PostgreSQL, chunk by chunk, so that every row is in one of them at any moment
//! that counts.
//!
//! There is no transaction over both. So a chunk is first committed in PostgreSQL, together with a record of which
//! rows of SQLite it holds, and then deleted from SQLite, together with the number of chunks that have left. Whatever
//! happens in between, the two records tell the next run whether the last chunk still has to be deleted.

pub(super) mod chunk;
pub(super) mod records;
pub(super) mod witness;

use std::path::Path;

use uuid::Uuid;

use self::{
    chunk::ChunkRows,
    records::{Resumption, SourceRecord, TargetRecord},
    witness::Witness,
};
use super::{StoreError, postgres::ImportTarget, sqlite::ImportSource};
use crate::domain::{
    import::{ImportAccount, ImportCopies, ImportOutcome, ImportProgress, ImportStage},
    timestamp::Timestamp,
};

/// Rows in a chunk. A batch on its way is a chunk of its own, whatever its size.
pub const CHUNK: usize = 1000;

/// Why an import did not come to its end. What was moved before stays moved.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ImportError {
    /// Only a person can decide what is right.
    #[error("{0}")]
    Refused(String),
    /// The old database failed.
    #[error("the queue in SQLite: {0}")]
    Source(StoreError),
    /// The new database failed.
    #[error("the queue in PostgreSQL: {0}")]
    Target(StoreError),
}

impl ImportError {
    /// Whether only a person can change it, so that trying again by itself is of no use.
    pub fn needs_a_person(&self) -> bool {
        match self {
            Self::Refused(_) => true,
            Self::Source(error) | Self::Target(error) => error.needs_a_person(),
        }
    }
}

/// Moves everything in the SQLite queue `file` into the database that `url` names, in chunks of up to `chunk` rows,
/// until a look finds nothing more. May be interrupted at any point and run again. `on_progress` is told of every
/// stage of every chunk.
///
/// # Errors
/// Where one of the databases fails or cannot be used, and where the two do not belong together.
pub async fn import(
    file: &Path,
    url: &str,
    chunk: usize,
    now: impl Fn() -> Timestamp,
    mut on_progress: impl FnMut(ImportProgress),
) -> Result<ImportOutcome, ImportError> {
    let source = ImportSource::open(file).await?;
    let imported = move_all(&source, url, chunk, now, &mut on_progress).await;
    source.close().await;
    imported
}

async fn move_all(
    source: &ImportSource,
    url: &str,
    chunk: usize,
    now: impl Fn() -> Timestamp,
    on_progress: &mut impl FnMut(ImportProgress),
) -> Result<ImportOutcome, ImportError> {
    let mut target = ImportTarget::open(url).await.map_err(ImportError::Target)?;
    let (record, seen) = agree(source, &mut target).await?;
    let mut passage = Passage {
        record,
        in_all: seen.as_ref().map(|seen| seen.account).unwrap_or_default(),
        seen: seen.map(|seen| seen.step),
        by_this_run: ImportAccount::default(),
        expected: source.readings().await.map_err(ImportError::Source)?,
    };
    let copies = copy(source, &mut target).await?;
    source.dissolve_parts().await.map_err(ImportError::Source)?;
    while passage
        .move_one(source, &mut target, chunk, now(), on_progress)
        .await?
    {}
    passage.record.target = None;
    source
        .remember(&passage.record)
        .await
        .map_err(ImportError::Source)?;
    target.close().await;
    Ok(ImportOutcome {
        by_this_run: passage.by_this_run,
        in_all: passage.in_all,
        copies,
    })
}

/// Makes both sides know of each other, and finishes what an earlier run began.
async fn agree(
    source: &ImportSource,
    target: &mut ImportTarget,
) -> Result<(SourceRecord, Option<TargetRecord>), ImportError> {
    let identity = target.identity().await.map_err(ImportError::Target)?;
    let known = source.record().await.map_err(ImportError::Source)?;
    let mut record = match known {
        Some(record) => record,
        None => introduce(source, target).await?,
    };
    let seen = target
        .lock(&record.source)
        .await
        .map_err(ImportError::Target)?;
    match records::compare(&record, seen.as_ref(), &identity)? {
        Resumption::GoOn => {}
        Resumption::Finish(rows) => {
            record.step += 1;
            source
                .delete(&rows, &record)
                .await
                .map_err(ImportError::Source)?;
        }
    }
    if record.target.is_none() {
        record.began = record.step;
    }
    record.target = Some(identity);
    record.run = Uuid::now_v7().to_string();
    // Before the first chunk is there: no other database must get what this one may have.
    source
        .remember(&record)
        .await
        .map_err(ImportError::Source)?;
    Ok((record, seen))
}

/// The first record of a file that has none, unless it is a copy of one that was imported.
async fn introduce(
    source: &ImportSource,
    target: &mut ImportTarget,
) -> Result<SourceRecord, ImportError> {
    for witness in target.witnesses().await.map_err(ImportError::Target)? {
        let own = source
            .witness(witness.id)
            .await
            .map_err(ImportError::Source)?;
        if own == Some(witness) {
            return Err(ImportError::Refused(
                "it holds a reading that was imported from another file already, so it is a copy of that file: importing it would \
                 double readings. Take the file that was imported before. Readings that only this one holds have to be \
                 moved by hand"
                    .to_owned(),
            ));
        }
    }
    Ok(SourceRecord {
        source: Uuid::now_v7().to_string(),
        target: None,
        run: String::new(),
        step: 0,
        began: 0,
    })
}

/// Copies what stays where it is. Doing it again changes nothing.
async fn copy(
    source: &ImportSource,
    target: &mut ImportTarget,
) -> Result<ImportCopies, ImportError> {
    let meters = source.meters().await.map_err(ImportError::Source)?;
    let facts = source.facts().await.map_err(ImportError::Source)?;
    let passed_over = target
        .copy_meters(&meters)
        .await
        .map_err(ImportError::Target)?;
    target
        .copy_facts(&facts)
        .await
        .map_err(ImportError::Target)?;
    Ok(ImportCopies {
        meters: meters.len() as u64 - passed_over,
        meters_passed_over: passed_over,
        facts: facts.len() as u64,
    })
}

/// An import on its way.
struct Passage {
    record: SourceRecord,
    /// The step that PostgreSQL knows of; none before the first.
    seen: Option<i64>,
    in_all: ImportAccount,
    by_this_run: ImportAccount,
    expected: u64,
}

impl Passage {
    /// Moves a chunk; false where nothing is left.
    async fn move_one(
        &mut self,
        source: &ImportSource,
        target: &mut ImportTarget,
        limit: usize,
        now: Timestamp,
        on_progress: &mut impl FnMut(ImportProgress),
    ) -> Result<bool, ImportError> {
        let chunk = source
            .next_chunk(limit)
            .await
            .map_err(ImportError::Source)?;
        let Some(chunk) = chunk else {
            return Ok(false);
        };
        let step = self.record.step + 1;
        let mut at = |stage, moved: &Self| {
            on_progress(ImportProgress {
                step,
                stage,
                readings: moved.by_this_run.readings(),
                expected: moved.expected,
            });
        };
        at(ImportStage::Read, self);
        let rows = chunk.rows();
        target.begin().await.map_err(ImportError::Target)?;
        let set_aside = target.put(&chunk, now).await?;
        let added = chunk.account(&set_aside);
        let note = ImportNote {
            source: &self.record.source,
            seen: self.seen,
            record: TargetRecord {
                run: self.record.run.clone(),
                step,
                rows: rows.clone(),
                account: self.in_all.plus(&added),
            },
            witness: chunk
                .readings()
                .first()
                .map(|reading| Witness::new(&reading.contents)),
        };
        target.note(&note).await.map_err(ImportError::Target)?;
        at(ImportStage::Written, self);
        target.commit().await.map_err(ImportError::Target)?;
        self.seen = Some(step);
        self.in_all = note.record.account;
        at(ImportStage::Committed, self);
        self.leave(source, &rows, step).await?;
        self.by_this_run = self.by_this_run.plus(&added);
        at(ImportStage::Moved, self);
        Ok(true)
    }

    async fn leave(
        &mut self,
        source: &ImportSource,
        rows: &ChunkRows,
        step: i64,
    ) -> Result<(), ImportError> {
        let record = SourceRecord {
            step,
            ..self.record.clone()
        };
        source
            .delete(rows, &record)
            .await
            .map_err(ImportError::Source)?;
        self.record = record;
        Ok(())
    }
}

/// What is written down in the new database with every chunk.
pub(super) struct ImportNote<'a> {
    pub(super) source: &'a str,
    /// The step that has to be the last one there; none where this is the first.
    pub(super) seen: Option<i64>,
    pub(super) record: TargetRecord,
    pub(super) witness: Option<Witness>,
}
