//! What the outcome of a batch means for its readings. All of it in one transaction: readings, manifest,
//! quarantine and operation log agree at any moment, whenever the power fails.

use async_trait::async_trait;

use super::{
    DatabaseWriterParts,
    as_read::present,
    group::Changes,
    operations::{WriteOperation, new_key, now},
};
use crate::{
    domain::{
        batch::{Batch, IdempotencyKey, Manifest, ManifestState, Settlement},
        outcome::RejectedReading,
        quarantine::QuarantineReason,
        reading_ids::ReadingIds,
        store::StoreError,
        timestamp::Timestamp,
    },
    messages::database_writer::{JudgeSuspects, SettleBatch, Settled},
    storage::{QuarantineEntry, StoreTransaction},
    upstream::body,
};

/// So many rows are taken out in the time in which one is written.
const ROWS_TAKEN_OUT_PER_ROW: usize = 4;

#[async_trait(?Send)]
impl WriteOperation for SettleBatch {
    type Reply = Settled;

    fn weight(&self) -> usize {
        match self.settlement {
            Settlement::Stored => self.readings / ROWS_TAKEN_OUT_PER_ROW,
            _ => self.readings,
        }
    }

    fn kind(&self) -> &'static str {
        "settle"
    }

    async fn apply(
        &self,
        transaction: &mut dyn StoreTransaction,
        parts: &DatabaseWriterParts,
    ) -> Result<(Settled, Changes), StoreError> {
        parts.failure_points.pass("database_writer.settle");
        let is_stored = self.settlement == Settlement::Stored;
        if is_stored && let Some(done) = self.settle_as_read(transaction, parts).await? {
            return Ok(done);
        }
        let batch = if is_stored {
            // Nothing more of the manifest is needed than its readings.
            transaction.take_batch(&self.key, self.epoch).await?
        } else {
            let batch = transaction.batch(&self.key).await?;
            batch.filter(|batch| batch.manifest.epoch == self.epoch)
        };
        let Some(batch) = batch else {
            // An earlier asker has settled it, or another instance took it over and will.
            return Ok((Settled::default(), Changes::default()));
        };
        let mut settling = Settling {
            transaction,
            parts,
            batch,
            settled: Settled::default(),
            changes: Changes::default(),
        };
        settling.changes.bookkeeping = true;
        settling.carry_out(&self.settlement).await?;
        settling.changes.delivered = settling.settled.delivered;
        Ok((settling.settled, settling.changes))
    }
}

impl SettleBatch {
    /// The usual outcome, and usually nobody has touched the readings meanwhile.
    async fn settle_as_read(
        &self,
        transaction: &mut dyn StoreTransaction,
        parts: &DatabaseWriterParts,
    ) -> Result<Option<(Settled, Changes)>, StoreError> {
        let is_kept = parts.settings.keep_synchronized;
        let settled = parts
            .as_read
            .settle(transaction, &self.key, self.epoch, is_kept, now(parts));
        let Some(ids) = settled.await? else {
            return Ok(None);
        };
        let delivered = ids.len() as u64;
        let settled = Settled {
            delivered,
            ..Settled::default()
        };
        let changes = Changes {
            removed: vec![ids],
            bookkeeping: true,
            delivered,
            ..Changes::default()
        };
        Ok(Some((settled, changes)))
    }
}

struct Settling<'a> {
    transaction: &'a mut dyn StoreTransaction,
    parts: &'a DatabaseWriterParts,
    batch: Batch,
    settled: Settled,
    changes: Changes,
}

impl Settling<'_> {
    async fn carry_out(&mut self, settlement: &Settlement) -> Result<(), StoreError> {
        match settlement {
            Settlement::Stored => self.stored().await,
            Settlement::PartlyStored {
                rejected,
                possibly_stored,
                status,
            } => {
                self.partly_stored(rejected, *possibly_stored, *status)
                    .await
            }
            Settlement::Split {
                parts,
                suspects,
                status,
                words,
            } => self.split(parts, suspects, *status, words).await,
            Settlement::Suspect { status, words } => self.suspect(*status, words).await,
            Settlement::GiveUp { words, park } => self.give_up(words, *park).await,
            Settlement::Postpone { words, sent } => self.postpone(words.as_deref(), *sent).await,
        }
    }

    /// Its readings that are in the queue: what becomes of the batch concerns no others.
    async fn present(&mut self) -> Result<ReadingIds, StoreError> {
        present(self.transaction, &self.batch).await
    }

    /// When stored readings are synchronized; none where they are deleted instead.
    fn kept_from(&self) -> Option<Timestamp> {
        let keeps = self.parts.settings.keep_synchronized;
        keeps.then(|| now(self.parts))
    }

    /// The manifest was removed when it was read.
    async fn stored(&mut self) -> Result<(), StoreError> {
        let (as_read, at) = (&self.parts.as_read, self.kept_from());
        let ids = as_read.take_out(self.transaction, &self.batch, at).await?;
        as_read.forget(&self.batch.manifest.key);
        self.changes.removed.push(ids);
        let delivered = self.batch.len();
        self.settled.delivered = delivered as u64;
        self.log(delivered, None).await
    }

    async fn partly_stored(
        &mut self,
        rejected: &[RejectedReading],
        possibly_stored: bool,
        status: u16,
    ) -> Result<(), StoreError> {
        let reason = if possibly_stored {
            QuarantineReason::PossiblyStored
        } else {
            reason_of_refusal(&self.batch.manifest)
        };
        let present = self.present().await?;
        let all = self.batch.manifest.reading_ids.clone();
        let ids: Vec<_> = all.iter().collect();
        let named = rejected
            .iter()
            .filter_map(|rejected| Some((*ids.get(rejected.position)?, rejected.words.clone())));
        let mut entries: Vec<_> = named
            .map(|(reading_id, message)| self.entry(reading_id, reason, status, message))
            .collect();
        let refused: ReadingIds = entries.iter().map(|entry| entry.reading_id).collect();
        entries.retain(|entry| present.run_containing(entry.reading_id).is_some());
        self.set_aside(&entries).await?;
        self.take_out(&present.without(&refused)).await?;
        let delivered = all.len() - refused.len();
        self.settled.delivered = delivered as u64;
        if delivered > 0 {
            self.log(delivered, None).await?;
        }
        let words = in_words(refused.len(), reason, first_words(rejected));
        self.log(refused.len(), Some(&words)).await?;
        self.remove_manifest().await
    }

    /// The parts carry the very bytes that the whole carried, under new keys: the whole was refused for good.
    async fn split(
        &mut self,
        parts: &[Vec<usize>],
        suspects: &[RejectedReading],
        status: u16,
        words: &str,
    ) -> Result<(), StoreError> {
        let json = body::decompress(&self.batch.body).map_err(damaged)?;
        for (positions, part) in parts.iter().zip(split(&json, parts)?) {
            let manifest = self.part(positions, ManifestState::Part, status, words);
            self.settled.parts.push(manifest.key.clone());
            self.insert_part(manifest, &part).await?;
        }
        // A suspect is judged, never sent; by its body it is known.
        let positions: Vec<_> = suspects
            .iter()
            .map(|suspect| vec![suspect.position])
            .collect();
        for (suspect, part) in suspects.iter().zip(split(&json, &positions)?) {
            let positions = &[suspect.position];
            let manifest = self.part(positions, ManifestState::Suspect, status, &suspect.words);
            self.settled.suspects += 1;
            self.insert_part(manifest, &part).await?;
        }
        self.remove_manifest().await?;
        self.log(self.batch.len(), Some(words)).await
    }

    async fn insert_part(&mut self, manifest: Manifest, json: &[u8]) -> Result<(), StoreError> {
        let as_read = &self.parts.as_read;
        as_read.note_part(&self.batch.manifest.key, &manifest);
        let body = body::compress(json, self.parts.compression()).into();
        self.transaction
            .insert_manifest(&Batch { manifest, body })
            .await
    }

    async fn remove_manifest(&mut self) -> Result<(), StoreError> {
        let key = &self.batch.manifest.key;
        self.parts.as_read.forget(key);
        self.transaction.remove_manifest(key).await
    }

    fn part(
        &self,
        positions: &[usize],
        state: ManifestState,
        status: u16,
        words: &str,
    ) -> Manifest {
        let whole = &self.batch.manifest;
        Manifest {
            key: new_key(),
            root: whole.root.clone(),
            reading_ids: whole.reading_ids.at(positions),
            // What a suspect went through decides what it is condemned for.
            attempts: if state == ManifestState::Suspect {
                whole.attempts
            } else {
                0
            },
            failed_passes: 0,
            state,
            last_error: Some(words.to_owned()),
            last_status: Some(status),
            claimed_at: whole.claimed_at,
            epoch: whole.epoch,
        }
    }

    async fn suspect(&mut self, status: u16, words: &str) -> Result<(), StoreError> {
        let manifest = &mut self.batch.manifest;
        manifest.state = ManifestState::Suspect;
        manifest.last_status = Some(status);
        manifest.last_error = Some(words.to_owned());
        self.settled.suspects = 1;
        self.transaction.update_manifest(manifest).await
    }

    async fn give_up(&mut self, words: &str, park: bool) -> Result<(), StoreError> {
        let ids = self.present().await?;
        self.transaction.increment_retry_count(&ids).await?;
        let size = self.batch.len();
        self.changes.given_up = size as u64;
        let manifest = &mut self.batch.manifest;
        manifest.failed_passes += 1;
        manifest.last_error = Some(words.to_owned());
        if park {
            manifest.state = ManifestState::Parked;
        }
        self.transaction.update_manifest(manifest).await?;
        self.log(size, Some(words)).await
    }

    async fn postpone(&mut self, words: Option<&str>, sent: bool) -> Result<(), StoreError> {
        let manifest = &mut self.batch.manifest;
        if !sent {
            // This try certainly stored nothing, so it does not count among those that may have.
            manifest.attempts = manifest.attempts.saturating_sub(1);
        }
        manifest.last_error = words.map(ToOwned::to_owned).or(manifest.last_error.take());
        self.transaction.update_manifest(manifest).await?;
        match words {
            Some(words) => self.log(self.batch.len(), Some(words)).await,
            None => Ok(()),
        }
    }

    async fn take_out(&mut self, ids: &ReadingIds) -> Result<(), StoreError> {
        if ids.is_empty() {
            return Ok(());
        }
        match self.kept_from() {
            Some(now) => self.transaction.mark_synchronized(ids, now).await?,
            None => self.transaction.delete_readings(ids).await?,
        }
        self.changes.removed.push(ids.clone());
        Ok(())
    }

    async fn set_aside(&mut self, entries: &[QuarantineEntry]) -> Result<(), StoreError> {
        let moved = self
            .transaction
            .quarantine(entries, now(self.parts))
            .await?;
        self.settled.quarantined += moved.len() as u64;
        self.changes.quarantine = true;
        self.changes.removed.push(moved);
        Ok(())
    }

    fn entry(
        &self,
        reading_id: i64,
        reason: QuarantineReason,
        status: u16,
        message: String,
    ) -> QuarantineEntry {
        QuarantineEntry {
            reading_id,
            reason,
            status: Some(status),
            message,
            key: Some(self.batch.manifest.key.clone()),
        }
    }

    async fn log(&mut self, size: usize, error: Option<&str>) -> Result<(), StoreError> {
        self.transaction
            .append_sync_log(size, error, now(self.parts))
            .await
    }
}

fn split(json: &[u8], parts: &[Vec<usize>]) -> Result<Vec<Vec<u8>>, StoreError> {
    body::split(json, parts).map_err(damaged)
}

fn damaged(damage: body::DamagedBody) -> StoreError {
    StoreError::Failed(damage.to_string())
}

/// Why a reading is set aside that the server refused by itself. An answer is about its own sending: where an earlier one had
/// an open end, the server may have stored the reading then.
fn reason_of_refusal(manifest: &Manifest) -> QuarantineReason {
    if manifest.is_repeated() {
        QuarantineReason::PossiblyStored
    } else {
        QuarantineReason::Refused
    }
}

/// What the operation log says of readings that were set aside.
fn in_words(count: usize, reason: QuarantineReason, message: &str) -> String {
    let readings = if count == 1 { "reading" } else { "readings" };
    format!(
        "{count} {readings} went to quarantine ({}): {message}",
        reason.as_str()
    )
}

fn first_words(rejected: &[RejectedReading]) -> &str {
    rejected
        .first()
        .map_or("without a reason", |rejected| rejected.words.as_str())
}

#[async_trait(?Send)]
impl WriteOperation for JudgeSuspects {
    type Reply = Settled;

    async fn apply(
        &self,
        transaction: &mut dyn StoreTransaction,
        parts: &DatabaseWriterParts,
    ) -> Result<(Settled, Changes), StoreError> {
        match self {
            Self::Condemn(root) => condemn(transaction, parts, root.as_ref()).await,
            Self::Release { except } => release(transaction, parts, except).await,
        }
    }
}

async fn condemn(
    transaction: &mut dyn StoreTransaction,
    parts: &DatabaseWriterParts,
    root: Option<&IdempotencyKey>,
) -> Result<(Settled, Changes), StoreError> {
    let suspects = transaction
        .manifests_in(ManifestState::Suspect, root)
        .await?;
    if suspects.is_empty() {
        return Ok((Settled::default(), Changes::default()));
    }
    let mut entries = Vec::with_capacity(suspects.len());
    for suspect in &suspects {
        if let Some(batch) = transaction.take_batch(&suspect.key, suspect.epoch).await? {
            let present = present(transaction, &batch).await?;
            parts.as_read.forget(&suspect.key);
            entries.extend(entries_of(suspect, &present));
        }
    }
    let quarantined = transaction.quarantine(&entries, now(parts)).await?;
    if let Some(first) = entries.first() {
        let words = in_words(entries.len(), first.reason, &first.message);
        transaction
            .append_sync_log(entries.len(), Some(&words), now(parts))
            .await?;
    }
    let removed = suspects
        .into_iter()
        .map(|suspect| suspect.reading_ids)
        .collect();
    let changes = Changes {
        removed,
        bookkeeping: true,
        quarantine: true,
        ..Changes::default()
    };
    Ok((
        Settled {
            quarantined: quarantined.len() as u64,
            ..Settled::default()
        },
        changes,
    ))
}

fn entries_of(suspect: &Manifest, present: &ReadingIds) -> Vec<QuarantineEntry> {
    let message = suspect
        .last_error
        .clone()
        .unwrap_or_else(|| "refused".to_owned());
    let entry = |reading_id| QuarantineEntry {
        reading_id,
        reason: reason_of_refusal(suspect),
        status: suspect.last_status,
        message: message.clone(),
        key: Some(suspect.key.clone()),
    };
    present.iter().map(entry).collect()
}

async fn release(
    transaction: &mut dyn StoreTransaction,
    parts: &DatabaseWriterParts,
    except: &[IdempotencyKey],
) -> Result<(Settled, Changes), StoreError> {
    let mut changes = Changes::default();
    for state in [ManifestState::Suspect, ManifestState::Part] {
        for manifest in transaction.manifests_in(state, None).await? {
            if state == ManifestState::Suspect && except.contains(&manifest.root) {
                continue;
            }
            parts.as_read.forget(&manifest.key);
            transaction.remove_manifest(&manifest.key).await?;
            changes.bookkeeping = true;
        }
    }
    Ok((Settled::default(), changes))
}
