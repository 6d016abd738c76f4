//! This instance among those that share the Sync Database. Runs beside the writing: however long a change takes, the
//! others must not think that this instance is gone.

use std::{rc::Rc, time::Duration};

use futures_util::FutureExt;

use super::{DATABASE_PATIENCE, DatabaseWriterParts, Desk, census_taker::EVERY};
use crate::{
    domain::{
        store::{Fact, StoreError},
        timestamp::Timestamp,
    },
    messages::api_client::HoldUntil,
    supervision::ask::tell,
};

/// Announcements cost the programs that insert, and soon after one the regular looks are enough.
const BETWEEN_ANNOUNCEMENTS: Duration = Duration::from_secs(10);

/// For as long as others may share the database: renews the lease, stands for leader, and passes announcements of fresh
/// readings on to the desk.
pub(super) async fn attend_forever(parts: DatabaseWriterParts, desk: Rc<Desk>) {
    let mut attend_at = Duration::ZERO;
    let mut listen_from = Duration::ZERO;
    loop {
        let now = parts.clock.elapsed();
        if now >= attend_at {
            // A failure is told by the looks at the queue, which meet it as well.
            if let Ok(Err(error)) = tokio::time::timeout(DATABASE_PATIENCE, attend(&parts)).await {
                tracing::debug!(%error, "the other instances could not be told that this one is alive");
            }
            if !parts.store.may_be_shared() {
                return listen_at_rest(&parts, &desk).await;
            }
            attend_at = parts.clock.elapsed() + EVERY;
        }
        let is_listening = now >= listen_from;
        tokio::select! {
            () = parts.clock.sleep(attend_at.saturating_sub(parts.clock.elapsed())) => {}
            announced = parts.store.announced(), if is_listening => {
                listen_from = parts.clock.elapsed() + BETWEEN_ANNOUNCEMENTS;
                if announced.is_ok() {
                    desk.announced.notify_one();
                }
            }
        }
    }
}

/// Where no other instance can be: has the next change told while there is none, so that hardly anybody has to look.
async fn listen_at_rest(parts: &DatabaseWriterParts, desk: &Desk) {
    loop {
        desk.at_rest.notified().await;
        desk.told_since.set(Some(parts.clock.elapsed()));
        let announced = parts.store.announced().await;
        desk.told_since.set(None);
        // Only a look after this one tells that there is rest: a file is written to before its change can be seen.
        let _ = desk.at_rest.notified().now_or_never();
        match announced {
            Ok(()) => desk.announced.notify_one(),
            // The looks go on as before, and the next one that finds nothing tries it again.
            Err(error) => tracing::debug!(%error, "nothing tells of changes of the database"),
        }
    }
}

async fn attend(parts: &DatabaseWriterParts) -> Result<(), StoreError> {
    let attendance = parts.store.attend().await?;
    let before = parts.published.read(|snapshot| snapshot.attendance);
    if before.map(|before| before.leads) != Some(attendance.leads) {
        tracing::info!(
            leads = attendance.leads,
            instances = attendance.instances,
            "the instances have settled which of them speaks for the site"
        );
    }
    if before != Some(attendance) {
        parts
            .published
            .update(|snapshot| snapshot.attendance = Some(attendance));
    }
    if attendance.instances > 1 {
        keep_to_pauses(parts).await?;
    }
    Ok(())
}

/// All instances are one site to the Client System: what it asks of one it asks of all.
async fn keep_to_pauses(parts: &DatabaseWriterParts) -> Result<(), StoreError> {
    let remembered = parts.store.fact(Fact::HeldUntil).await?;
    let until = remembered.and_then(|text| Timestamp::parse_zoned(&text));
    if let Some(until) = until.filter(|until| until.0 > parts.clock.now()) {
        // Should this be lost, it is told again in two seconds.
        tell(&parts.hold, HoldUntil(until));
    }
    Ok(())
}
