//! What the outcome of a batch means for its readings. All of it in one transaction: readings, manifest,
//! quarantine and operation log agree at any moment, whenever the power fails.

use std::sync::Arc;

use async_trait::async_trait;

use super::{
    DatabaseWriterParts,
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
    },
    messages::database_writer::{JudgeSuspects, SettleBatch, Settled},
    storage::{QuarantineEntry, StoreTransaction},
    upstream::body,
};

#[async_trait(?Send)]
impl WriteOperation for SettleBatch {
    type Reply = Settled;

    fn kind(&self) -> &'static str {
        "settle"
    }

    async fn apply(
        &self,
        transaction: &mut dyn StoreTransaction,
        parts: &DatabaseWriterParts,
    ) -> Result<(Settled, Changes), StoreError> {
        parts.failure_points.pass("database_writer.settle");
        let manifest = if self.settlement == Settlement::Stored {
            // The usual outcome, and the only one that needs nothing more of the manifest than its readings.
            transaction.take_manifest(&self.key, self.epoch).await?
        } else {
            let manifest = transaction.manifest(&self.key).await?;
            manifest.filter(|manifest| manifest.epoch == self.epoch)
        };
        let Some(manifest) = manifest else {
            // An earlier asker has settled it, or another instance took it over and will.
            return Ok((Settled::default(), Changes::default()));
        };
        let mut settling = Settling {
            transaction,
            parts,
            manifest,
            settled: Settled::default(),
            changes: Changes::default(),
        };
        settling.changes.bookkeeping = true;
        settling.carry_out(&self.settlement).await?;
        settling.changes.delivered = settling.settled.delivered;
        Ok((settling.settled, settling.changes))
    }
}

struct Settling<'a> {
    transaction: &'a mut dyn StoreTransaction,
    parts: &'a DatabaseWriterParts,
    manifest: Manifest,
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

    fn ids(&self) -> ReadingIds {
        self.manifest.reading_ids.clone()
    }

    /// The manifest was removed when it was read.
    async fn stored(&mut self) -> Result<(), StoreError> {
        let ids = self.ids();
        self.take_out(&ids).await?;
        self.settled.delivered = ids.len() as u64;
        self.log(ids.len(), None).await
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
            reason_of_refusal(&self.manifest)
        };
        let all = self.ids();
        let ids: Vec<_> = all.iter().collect();
        let named = rejected
            .iter()
            .filter_map(|rejected| Some((*ids.get(rejected.position)?, rejected.words.clone())));
        let entries: Vec<_> = named
            .map(|(reading_id, message)| self.entry(reading_id, reason, status, message))
            .collect();
        self.set_aside(&entries).await?;
        let set_aside: ReadingIds = entries.iter().map(|entry| entry.reading_id).collect();
        let rest = all.without(&set_aside);
        self.take_out(&rest).await?;
        self.settled.delivered = rest.len() as u64;
        if !rest.is_empty() {
            self.log(rest.len(), None).await?;
        }
        let words = in_words(set_aside.len(), reason, first_words(rejected));
        self.log(set_aside.len(), Some(&words)).await?;
        self.transaction.remove_manifest(&self.manifest.key).await
    }

    /// The parts carry the very bytes that the whole carried, under new keys: the whole was refused for good.
    async fn split(
        &mut self,
        parts: &[Vec<usize>],
        suspects: &[RejectedReading],
        status: u16,
        words: &str,
    ) -> Result<(), StoreError> {
        let damaged = |damage: body::DamagedBody| StoreError::Failed(damage.to_string());
        let Some(whole) = self.transaction.batch(&self.manifest.key).await? else {
            return Ok(());
        };
        let json = body::decompress(&whole.body).map_err(damaged)?;
        self.transaction.remove_manifest(&self.manifest.key).await?;
        let bodies = body::split(&json, parts).map_err(damaged)?;
        for (positions, part) in parts.iter().zip(&bodies) {
            let manifest = self.part(positions, ManifestState::Part, status, words);
            self.settled.parts.push(manifest.key.clone());
            self.transaction
                .insert_manifest(&Batch {
                    manifest,
                    body: body::compress(part, self.parts.compression()).into(),
                })
                .await?;
        }
        for suspect in suspects {
            let manifest = self.part(
                &[suspect.position],
                ManifestState::Suspect,
                status,
                &suspect.words,
            );
            self.settled.suspects += 1;
            // A suspect is judged, never sent, so it needs no body.
            let body = Arc::from([]);
            self.transaction
                .insert_manifest(&Batch { manifest, body })
                .await?;
        }
        self.log(self.manifest.reading_ids.len(), Some(words)).await
    }

    fn part(
        &self,
        positions: &[usize],
        state: ManifestState,
        status: u16,
        words: &str,
    ) -> Manifest {
        let whole = &self.manifest;
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
        let manifest = &mut self.manifest;
        manifest.state = ManifestState::Suspect;
        manifest.last_status = Some(status);
        manifest.last_error = Some(words.to_owned());
        self.settled.suspects = 1;
        self.transaction.update_manifest(manifest).await
    }

    async fn give_up(&mut self, words: &str, park: bool) -> Result<(), StoreError> {
        let ids = self.ids();
        self.changes.given_up = ids.len() as u64;
        self.transaction.increment_retry_count(&ids).await?;
        let manifest = &mut self.manifest;
        manifest.failed_passes += 1;
        manifest.last_error = Some(words.to_owned());
        if park {
            manifest.state = ManifestState::Parked;
        }
        self.transaction.update_manifest(manifest).await?;
        self.log(ids.len(), Some(words)).await
    }

    async fn postpone(&mut self, words: Option<&str>, sent: bool) -> Result<(), StoreError> {
        let manifest = &mut self.manifest;
        if !sent {
            // This try certainly stored nothing, so it does not count among those that may have.
            manifest.attempts = manifest.attempts.saturating_sub(1);
        }
        manifest.last_error = words.map(ToOwned::to_owned).or(manifest.last_error.take());
        self.transaction.update_manifest(manifest).await?;
        match words {
            Some(words) => self.log(self.manifest.reading_ids.len(), Some(words)).await,
            None => Ok(()),
        }
    }

    async fn take_out(&mut self, ids: &ReadingIds) -> Result<(), StoreError> {
        if ids.is_empty() {
            return Ok(());
        }
        if self.parts.settings.keep_synchronized {
            self.transaction
                .mark_synchronized(ids, now(self.parts))
                .await?;
        } else {
            self.transaction.delete_readings(ids).await?;
        }
        self.changes.removed.push(ids.clone());
        Ok(())
    }

    async fn set_aside(&mut self, entries: &[QuarantineEntry]) -> Result<(), StoreError> {
        self.settled.quarantined += self
            .transaction
            .quarantine(entries, now(self.parts))
            .await?;
        self.changes.quarantine = true;
        self.changes
            .removed
            .push(entries.iter().map(|entry| entry.reading_id).collect());
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
            key: Some(self.manifest.key.clone()),
            arrivals: self.manifest.reading_ids.arrivals().cloned(),
        }
    }

    async fn log(&mut self, size: usize, error: Option<&str>) -> Result<(), StoreError> {
        self.transaction
            .append_sync_log(size, error, now(self.parts))
            .await
    }
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
            Self::Release => release(transaction).await,
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
    let entries: Vec<_> = suspects.iter().flat_map(entries_of).collect();
    let Some(first) = entries.first() else {
        return Ok((Settled::default(), Changes::default()));
    };
    let words = in_words(entries.len(), first.reason, &first.message);
    let quarantined = transaction.quarantine(&entries, now(parts)).await?;
    for suspect in &suspects {
        transaction.remove_manifest(&suspect.key).await?;
    }
    transaction
        .append_sync_log(entries.len(), Some(&words), now(parts))
        .await?;
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
            quarantined,
            ..Settled::default()
        },
        changes,
    ))
}

fn entries_of(suspect: &Manifest) -> Vec<QuarantineEntry> {
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
        arrivals: suspect.reading_ids.arrivals().cloned(),
    };
    suspect.reading_ids.iter().map(entry).collect()
}

async fn release(transaction: &mut dyn StoreTransaction) -> Result<(Settled, Changes), StoreError> {
    let mut changes = Changes::default();
    for state in [ManifestState::Suspect, ManifestState::Part] {
        for manifest in transaction.manifests_in(state, None).await? {
            transaction.remove_manifest(&manifest.key).await?;
            changes.bookkeeping = true;
        }
    }
    Ok((Settled::default(), changes))
}
