//! This instance among those that share the queue: its lease, the election of a leader, and announcements of fresh
//! readings. All three live in one session of the server, and end with it.

use std::sync::atomic::{AtomicBool, Ordering};

use sqlx::{PgConnection, PgPool, postgres::PgListener};
use tokio::sync::{Mutex, Notify};

use super::{cells, options::Server};
use crate::{domain::store::Attendance, storage::StoreError};

/// What the triggers on the queue announce on.
const CHANNEL: &str = "meterit_sync_readings";

pub(super) struct Presence {
    instance: String,
    pool: PgPool,
    session: Mutex<Option<PgListener>>,
    /// The database knows that this instance wants to be woken.
    is_listening: AtomicBool,
    /// Whoever waits for an announcement lets go of the session.
    closing: Notify,
}

impl Presence {
    /// For an instance that the others have not heard of yet.
    pub(super) fn new(server: &Server, instance: &str) -> Self {
        Self {
            instance: instance.to_owned(),
            pool: server.listener_pool(),
            session: Mutex::default(),
            is_listening: AtomicBool::new(false),
            closing: Notify::new(),
        }
    }

    /// Renews the lease and stands for leader.
    pub(super) async fn attend(&self) -> Result<Attendance, StoreError> {
        let mut session = self.session.lock().await;
        // Taken out while in use: whatever goes wrong in between, the next call starts with a new session.
        let mut listener = self.session(session.take()).await?;
        let attendance = self.attend_in(&mut listener).await?;
        *session = Some(listener);
        Ok(attendance)
    }

    async fn attend_in(&self, listener: &mut PgListener) -> Result<Attendance, StoreError> {
        let row = sqlx::query(include_str!("queries/attend.sql"))
            .bind(&self.instance)
            .bind(self.is_listening.load(Ordering::Relaxed))
            .fetch_one(&mut *listener)
            .await?;
        Ok(Attendance {
            leads: cells::get(&row, 0)?,
            instances: cells::count(&row, 1)?,
        })
    }

    /// Waits for an announcement. Safe to be dropped at any point.
    pub(super) async fn announced(&self) -> Result<(), StoreError> {
        let mut session = self.session.lock().await;
        if session.is_none() {
            *session = Some(self.session(None).await?);
        }
        let Some(listener) = session.as_mut() else {
            return Ok(());
        };
        if !self.is_listening.load(Ordering::Relaxed) {
            self.listen(listener, true).await?;
        }
        let received = tokio::select! {
            received = listener.try_recv() => received,
            () = self.closing.notified() => return Ok(()),
        };
        self.listen(listener, false).await?;
        received?;
        Ok(())
    }

    async fn listen(&self, listener: &mut PgListener, wanted: bool) -> Result<(), StoreError> {
        self.is_listening.store(wanted, Ordering::Relaxed);
        sqlx::query(include_str!("queries/listen.sql"))
            .bind(&self.instance)
            .bind(wanted)
            .execute(listener)
            .await?;
        Ok(())
    }

    async fn session(&self, existing: Option<PgListener>) -> Result<PgListener, StoreError> {
        if let Some(listener) = existing {
            return Ok(listener);
        }
        let mut listener = PgListener::connect_with(&self.pool).await?;
        listener.eager_reconnect(false);
        listener.listen(CHANNEL).await?;
        Ok(listener)
    }

    /// Ends the session, and with it the leadership.
    pub(super) async fn close(&self) {
        self.closing.notify_one();
        self.session.lock().await.take();
        self.pool.close().await;
    }
}

/// A lease that is about to end is renewed at once: whoever claims, or sends again, is alive.
pub(super) async fn extend_lease(
    connection: &mut PgConnection,
    instance: &str,
) -> Result<(), StoreError> {
    sqlx::query(include_str!("queries/extend_lease.sql"))
        .bind(instance)
        .execute(connection)
        .await?;
    Ok(())
}

/// What this instance holds is free for the others from now on.
pub(super) async fn end_lease(
    connection: &mut PgConnection,
    instance: &str,
) -> Result<(), StoreError> {
    sqlx::query(include_str!("queries/end_lease.sql"))
        .bind(instance)
        .execute(connection)
        .await?;
    Ok(())
}
