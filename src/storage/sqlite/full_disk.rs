//! What is done about a full disk. The room of the reserve is given free for what empties the queue, and nobody else may
//! take it: while it is in use, the table of the readings is closed to additions, of other programs as well, for which the
//! disk is as full as it was. Once the room is there again, the reserve is kept anew, and the table is open.

use sqlx::{Connection, SqliteConnection};

use super::{SqliteStore, disk, reserve};
use crate::storage::{Reserve, StoreError};

/// A database that holds no more than this is written anew, so that the disk gets back what it does not need. That
/// takes the same room once more, for a moment.
const QUICKLY_REWRITTEN: u64 = reserve::SIZE / 4;
/// With less than this, on the disk and within the database, there is no room for new readings to speak of.
const HARDLY_ANYTHING: u64 = 1 << 20;

impl SqliteStore {
    /// Keeps the reserve where there is room for it.
    pub(super) async fn keep_or_regain_reserve(&self) -> Reserve {
        let is_short = self.is_short_of_log_room().await;
        if !self.reserve.is_in_use() {
            if !is_short {
                return self.keep_reserve_untouched().await;
            }
            // What anybody adds would only make it worse, and a log that can be emptied is worth more than what else the
            // reserve is for.
            self.use_reserve().await;
            self.is_short_of_log_room().await;
            return Reserve::InUse;
        }
        match self.regain_reserve().await {
            Ok(reserve) => reserve,
            Err(error) => {
                tracing::debug!(%error, "the room that is kept on the disk cannot be taken back yet");
                Reserve::InUse
            }
        }
    }

    async fn is_short_of_log_room(&self) -> bool {
        let looked = self.look_after_log().await;
        if let Err(error) = &looked {
            tracing::debug!(%error, "the log of the database could not be looked after");
        }
        matches!(looked, Err(StoreError::Full(_)))
    }

    async fn keep_reserve_untouched(&self) -> Reserve {
        let kept = self.reserve.keep().await;
        let is_full = self.free_bytes().await < HARDLY_ANYTHING
            && self.free_bytes_within().await.unwrap_or(u64::MAX) < HARDLY_ANYTHING;
        if is_full && kept == Reserve::Kept {
            Reserve::AllThatIsLeft
        } else {
            kept
        }
    }

    async fn regain_reserve(&self) -> Result<Reserve, StoreError> {
        let mut connection = self.connections()?.writer.acquire().await?;
        // Else what was given free just now would be taken for room.
        let has_emptied = self.free_bytes_within().await? >= reserve::SIZE;
        if has_emptied {
            self.give_back_to_the_disk(&mut connection).await?;
        }
        if self
            .reserve
            .retake(self.free_bytes().await, has_emptied)
            .await
        {
            sqlx::raw_sql(include_str!("queries/open_to_additions.sql"))
                .execute(&mut *connection)
                .await?;
            self.reserve.note_end_of_use();
            tracing::info!("there is room on the disk again; new readings are welcome");
            return Ok(Reserve::Kept);
        }
        self.stay_closed(&mut connection).await?;
        Ok(Reserve::InUse)
    }

    /// A database that was made anew meanwhile is not closed yet.
    async fn stay_closed(&self, connection: &mut SqliteConnection) -> Result<(), StoreError> {
        let statements = if is_closed(&mut *connection).await? {
            include_str!("queries/stay_closed_to_additions.sql")
        } else {
            include_str!("queries/close_to_additions.sql")
        };
        sqlx::raw_sql(statements).execute(connection).await?;
        Ok(())
    }

    /// What the database and its log hold of the disk without needing it.
    async fn give_back_to_the_disk(
        &self,
        connection: &mut SqliteConnection,
    ) -> Result<(), StoreError> {
        let live: i64 = sqlx::query_scalar(include_str!("queries/live_bytes.sql"))
            .fetch_one(&mut *connection)
            .await?;
        if live.unsigned_abs() <= QUICKLY_REWRITTEN {
            sqlx::raw_sql("VACUUM").execute(&mut *connection).await?;
        }
        sqlx::raw_sql("PRAGMA wal_checkpoint(TRUNCATE)")
            .execute(connection)
            .await?;
        Ok(())
    }

    /// Gives the room of the reserve to what empties the queue, and to nobody else.
    pub(super) async fn use_reserve(&self) {
        if let Err(error) = self.close_and_give_up().await {
            tracing::warn!(%error, "the disk is full, and other programs cannot be told yet");
        }
    }

    async fn close_and_give_up(&self) -> Result<(), StoreError> {
        let mut connection = self.connections()?.writer.acquire().await?;
        // Nobody else writes between the moment in which the room is given free and that in which the table is closed.
        let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
        self.reserve.give_up().await;
        sqlx::raw_sql(include_str!("queries/close_to_additions.sql"))
            .execute(&mut *transaction)
            .await?;
        Ok(transaction.commit().await?)
    }

    /// After a start: whether an earlier one has closed the table. A database that cannot be read is another matter.
    pub(super) async fn note_closed_table(&self) {
        let looked = async { is_closed(&mut *self.reader().await?).await };
        if looked.await.unwrap_or(false) {
            self.reserve.note_use();
        }
    }

    async fn free_bytes(&self) -> u64 {
        disk::free_bytes(&self.path).await.unwrap_or(0)
    }
}

async fn is_closed(connection: &mut SqliteConnection) -> Result<bool, StoreError> {
    let closed: i64 = sqlx::query_scalar(include_str!("queries/is_closed_to_additions.sql"))
        .fetch_one(connection)
        .await?;
    Ok(closed > 0)
}
