//! Has a damaged database replaced, beside all other work: whoever asks for something meanwhile is told. It takes as long
//! as it takes, and is tried again until it succeeds.

use std::time::Duration;

use tokio::task::JoinHandle;

use super::DatabaseWriterParts;
use crate::domain::{backoff::Backoff, store::StoreError};

/// Between tries.
const PATIENCE: Backoff = Backoff {
    base: Duration::from_secs(2),
    cap: Duration::from_secs(30),
};

pub(super) struct Mending {
    parts: DatabaseWriterParts,
    running: Option<JoinHandle<Result<(), StoreError>>>,
    failures: u32,
    /// When the next try is due.
    due_at: Duration,
}

impl Mending {
    pub(super) fn new(parts: &DatabaseWriterParts) -> Self {
        Self {
            parts: parts.clone(),
            running: None,
            failures: 0,
            due_at: Duration::ZERO,
        }
    }

    /// Begins a try, unless one is under way or the last one has only just failed.
    pub(super) fn begin_if_due(&mut self) {
        if self.running.is_none() && self.parts.clock.elapsed() >= self.due_at {
            let store = self.parts.store.clone();
            self.running = Some(tokio::spawn(async move { store.replace_damaged().await }));
        }
    }

    /// Waits until a try has succeeded; forever where none is under way.
    pub(super) async fn mended(&mut self) {
        if let Some(running) = &mut self.running {
            let ended = running.await;
            self.running = None;
            let ended = ended.unwrap_or_else(|error| Err(StoreError::Failed(error.to_string())));
            let Err(error) = ended else {
                self.failures = 0;
                return;
            };
            self.failures += 1;
            let pause = PATIENCE.delay(self.failures);
            self.due_at = self.parts.clock.elapsed() + pause;
            tracing::error!(%error, again_in_s = pause.as_secs(), "the damaged sync database cannot be replaced yet");
        }
        std::future::pending().await
    }
}
