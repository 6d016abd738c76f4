//! Waiting for what is published, never for time to pass: every wait ends with its condition, or fails with the
//! status in words.

use std::time::Duration;

use meterit_sync::{
    control::ControlError,
    domain::{event::EventKind, pass::PassReport, status::ServiceStatus},
};

use super::Site;

/// Far beyond what any condition takes on a slow machine.
const DEADLINE: Duration = Duration::from_secs(30);
/// Between two looks.
const GLANCE: Duration = Duration::from_millis(3);
/// What a pass does between two pauses takes no longer than this.
const LONGEST_TURN: Duration = Duration::from_secs(2);
/// Waits on the clock while nothing is going on: the database writer, connectivity monitor, schedule,
/// heartbeat, configuration download, and what tells the log of the state, one each.
const SLEEPERS_AT_REST: usize = 6;

impl Site {
    /// Waits until the published status fulfils the condition.
    pub async fn until(&self, what: &str, condition: impl Fn(&ServiceStatus) -> bool) {
        self.eventually(what, || condition(&self.status())).await;
    }

    /// Waits until a condition holds, while time stands still.
    pub async fn eventually(&self, what: &str, condition: impl Fn() -> bool) {
        let looking = async {
            while !condition() {
                tokio::time::sleep(GLANCE).await;
            }
        };
        self.within_deadline(what, looking).await;
    }

    /// Moves the clock in steps until a condition holds.
    pub async fn advance_until(&self, what: &str, step: Duration, condition: impl Fn() -> bool) {
        let moving = async {
            while !condition() {
                self.clock.advance(step);
                tokio::time::sleep(GLANCE).await;
            }
        };
        self.within_deadline(what, moving).await;
    }

    /// Waits until the service has found the Client System and done all that it does at its start: the pass of the
    /// start, and another one where the link came up after that.
    pub async fn settled(&self) {
        self.until("the start is over", |status| {
            status.connectivity.is_connected
                && status.last_pass.is_some()
                && status.config.last_success_at.is_some()
        })
        .await;
        self.at_rest_with(0).await;
        self.between_passes().await;
        self.at_rest_with(0).await;
    }

    /// Waits until every part waits for the clock, and at least so many others with them: a pass between two tries
    /// is one.
    pub async fn at_rest_with(&self, others: usize) {
        // Whoever was woken by the clock runs on this very thread, and has left the clock after that.
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
        let wanted = SLEEPERS_AT_REST + others;
        self.eventually("everything waits for the clock", || {
            self.clock.sleepers() >= wanted
        })
        .await;
    }

    /// Moves the clock over the pause of a pass: it does not end a millisecond early, and ends within the random
    /// extra of a fifth.
    pub async fn pause_of(&self, pause: Duration, sendings: usize) {
        self.at_rest_with(1).await;
        self.clock.advance(pause - Duration::from_millis(1));
        self.at_rest_with(1).await;
        assert_eq!(
            self.simulator.batches().len(),
            sendings,
            "nothing is sent before the pause of {pause:?} is over"
        );
        self.clock
            .advance(pause.mul_f64(0.2) + Duration::from_millis(2));
        self.eventually("the batch is sent again", || {
            self.simulator.batches().len() == sendings + 1
        })
        .await;
    }

    /// Waits until the queue is empty and the pass that emptied it has ended.
    pub async fn drained(&self) {
        let looking = async {
            while !(self.last_pass_drained() && self.database.pending().await == 0) {
                tokio::time::sleep(GLANCE).await;
            }
        };
        self.within_deadline("the queue is drained", looking).await;
    }

    /// Moves the clock in steps until the queue is empty and the pass that emptied it has ended.
    pub async fn advance_until_drained(&self, step: Duration) {
        let moving = async {
            while !(self.last_pass_drained() && self.database.pending().await == 0) {
                self.clock.advance(step);
                tokio::time::sleep(GLANCE).await;
            }
        };
        self.within_deadline("the queue is drained", moving).await;
    }

    /// As [`Site::advance_until_drained`], for a pass that mostly waits for its turn.
    pub async fn advance_turns_until_drained(&self, step: Duration) {
        let moving = async {
            while !(self.last_pass_drained() && self.database.pending().await == 0) {
                self.advance_turn(step).await;
            }
        };
        self.within_deadline("the queue is drained", moving).await;
    }

    /// Moves the clock, and waits until everything waits for it again: what is done meanwhile takes no time, however
    /// busy the machine is.
    pub async fn advance_turn(&self, step: Duration) {
        self.clock.advance(step);
        let resting = async {
            for _ in 0..20 {
                tokio::task::yield_now().await;
            }
            while self.clock.sleepers() < SLEEPERS_AT_REST + usize::from(self.pass_is_under_way()) {
                tokio::time::sleep(GLANCE).await;
            }
        };
        // Something may wait for the very end of what is tested.
        let _ = tokio::time::timeout(LONGEST_TURN, resting).await;
    }

    fn pass_is_under_way(&self) -> bool {
        self.latest_pass() == Some(None)
    }

    /// Waits for the end of the pass with this number.
    pub async fn pass_ended(&self, id: u64) {
        self.until("the pass ends", |status| {
            status.last_pass.as_ref().is_some_and(|pass| pass.id >= id)
        })
        .await;
    }

    /// Starts a pass and waits for its end, however it ends.
    pub async fn pass(&self) -> PassReport {
        match self.control().trigger_sync_and_wait().await {
            Ok(report) => report,
            Err(ControlError::PassFailed { report, .. }) => *report,
            Err(refusal) => panic!("no pass: {refusal}"),
        }
    }

    /// What a pass with this number delivered, once it has ended.
    pub fn delivered_by(&self, id: u64) -> Option<u64> {
        let events = self.status().recent_events;
        events.iter().find_map(|event| match &event.kind {
            EventKind::PassFinished(pass) if pass.id == id => Some(pass.delivered),
            _ => None,
        })
    }

    /// Waits until no pass is under way.
    pub async fn between_passes(&self) {
        self.eventually("no pass is under way", || {
            self.latest_pass().is_none_or(|ended| ended.is_some())
        })
        .await;
    }

    /// Whether the latest news of a pass is that it emptied the queue.
    pub fn last_pass_drained(&self) -> bool {
        self.latest_pass().flatten() == Some(true)
    }

    /// The latest news of a pass: whether it emptied the queue, if it has ended.
    fn latest_pass(&self) -> Option<Option<bool>> {
        let events = self.status().recent_events;
        events.iter().find_map(|event| match &event.kind {
            EventKind::PassStarted { .. } => Some(None),
            EventKind::PassFinished(pass) => Some(Some(pass.end.is_success())),
            _ => None,
        })
    }

    async fn within_deadline(&self, what: &str, work: impl Future<Output = ()>) {
        if tokio::time::timeout(DEADLINE, work).await.is_err() {
            panic!(
                "not within {DEADLINE:?}: {what}; {} wait for the clock; status {:#?}; batches {:#?}",
                self.clock.sleepers(),
                self.status(),
                self.simulator.batches()
            );
        }
    }
}
