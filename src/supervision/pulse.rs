//! Whether the thread that all actors share still moves. Where it does not, no actor can say so, and none can be restarted.

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use crate::clock::Clock;

/// The thread gives a sign of life this often.
const BEAT: Duration = Duration::from_secs(5);
/// No work on that thread takes so long that it misses so many beats.
const SILENT_AFTER: Duration = BEAT.saturating_mul(3);

/// The signs of life of a thread. Cheap to clone; all clones tell of the same thread.
#[derive(Clone, Debug)]
pub struct Pulse {
    /// The machine's, for what is watched is the machine's as well. It stands still while the machine is suspended.
    clock: Clock,
    /// When the last sign was given, in milliseconds by the clock; 0 before the first.
    last_at: Arc<AtomicU64>,
}

impl Default for Pulse {
    fn default() -> Self {
        Self {
            clock: Clock::system(),
            last_at: Arc::default(),
        }
    }
}

impl Pulse {
    /// Gives signs of life for as long as the thread that polls it moves.
    pub async fn keep(self) -> Infallible {
        loop {
            let now = u64::try_from(self.clock.elapsed().as_millis()).unwrap_or(u64::MAX);
            self.last_at.store(now.max(1), Ordering::Relaxed);
            self.clock.sleep(BEAT).await;
        }
    }

    /// The time of the last sign of life, in milliseconds: another one with every sign.
    pub fn last_sign(&self) -> u64 {
        self.last_at.load(Ordering::Relaxed)
    }

    /// For how long there was none, if that is too long; nothing before the first.
    pub fn silent_for(&self) -> Option<Duration> {
        let last_sign = self.last_sign();
        let elapsed = self.clock.elapsed();
        let silence = elapsed.saturating_sub(Duration::from_millis(last_sign));
        (last_sign > 0 && silence > SILENT_AFTER).then_some(silence)
    }
}
