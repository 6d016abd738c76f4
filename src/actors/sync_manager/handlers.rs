//! What the sync manager does about each message.

use actix::{Handler, ResponseFuture};
use tokio::sync::oneshot;

use super::{SyncManager, kit::Interruption};
use crate::{
    domain::{
        connectivity::LinkChange,
        pass::{PassReport, PassTrigger},
    },
    messages::{
        connectivity_monitor::LinkChanged,
        settings::SettingsChanged,
        sync_manager::{
            ApplyWishes, FreshReadings, StartSync, StopSync, TriggerRefusal, TriggerSync,
            TriggerSyncAndWait, WindDown,
        },
    },
};

impl Handler<StartSync> for SyncManager {
    type Result = bool;

    fn handle(&mut self, _: StartSync, context: &mut Self::Context) -> bool {
        self.parts.failure_points.pass("sync_manager.handler");
        if self.state.running {
            return false;
        }
        self.state.running = true;
        self.parts
            .published
            .update(|snapshot| snapshot.stopped_since = None);
        self.publish_settings();
        self.clear_interruption();
        tracing::info!("synchronisation was started");
        match self.paused() {
            Some(_) => self.probe(context),
            None => {
                self.start_by_itself(PassTrigger::StartUp, context);
            }
        }
        true
    }
}

impl Handler<StopSync> for SyncManager {
    type Result = bool;

    fn handle(&mut self, _: StopSync, _: &mut Self::Context) -> bool {
        self.parts.failure_points.pass("sync_manager.handler");
        if !self.state.running {
            return false;
        }
        self.state.running = false;
        let now = self.now();
        self.parts
            .published
            .update(|snapshot| snapshot.stopped_since = Some(now));
        self.publish_settings();
        self.interrupt(Interruption::Stop);
        tracing::info!("synchronisation was stopped; readings are kept");
        true
    }
}

impl Handler<TriggerSync> for SyncManager {
    type Result = Result<u64, TriggerRefusal>;

    fn handle(&mut self, message: TriggerSync, context: &mut Self::Context) -> Self::Result {
        self.parts.failure_points.pass("sync_manager.trigger");
        self.start_pass(PassTrigger::Manual, message.span, context)
    }
}

impl Handler<TriggerSyncAndWait> for SyncManager {
    type Result = ResponseFuture<Result<PassReport, TriggerRefusal>>;

    fn handle(&mut self, message: TriggerSyncAndWait, context: &mut Self::Context) -> Self::Result {
        self.parts.failure_points.pass("sync_manager.trigger");
        let (sender, receiver) = oneshot::channel();
        match self.start_pass(PassTrigger::Manual, message.span, context) {
            Ok(_) => self.state.joined.push(sender),
            // The pass under way may have looked at the queue before the latest readings came.
            Err(TriggerRefusal::AlreadyRunning) => self.state.waiting.push(sender),
            Err(refusal) => return Box::pin(std::future::ready(Err(refusal))),
        }
        self.note_waiters();
        Box::pin(async move { receiver.await.unwrap_or(Err(TriggerRefusal::Restarted)) })
    }
}

impl Handler<FreshReadings> for SyncManager {
    type Result = ();

    fn handle(&mut self, _: FreshReadings, context: &mut Self::Context) {
        self.parts
            .failure_points
            .pass("sync_manager.fresh_readings");
        if self.state.pass.is_some() {
            self.state.fresh_since_start = true;
        } else {
            self.arm_fresh_pass(context);
        }
    }
}

impl Handler<LinkChanged> for SyncManager {
    type Result = ();

    fn handle(&mut self, LinkChanged(change): LinkChanged, context: &mut Self::Context) {
        self.parts.failure_points.pass("sync_manager.link_changed");
        match change {
            LinkChange::Connected => {
                self.clear_interruption();
                self.start_by_itself(PassTrigger::Connected, context);
            }
            LinkChange::Disconnected => {
                let words = self.offline().unwrap_or_else(|| "no answer".to_owned());
                if self.state.running && !self.state.winding_down {
                    self.interrupt(Interruption::Offline(words));
                }
            }
        }
    }
}

impl Handler<ApplyWishes> for SyncManager {
    type Result = ();

    fn handle(&mut self, wishes: ApplyWishes, context: &mut Self::Context) {
        self.parts.failure_points.pass("sync_manager.wishes");
        let interval_before = self.interval();
        self.state.wishes = wishes;
        self.parts.wishes = wishes;
        self.publish_settings();
        if self.interval() != interval_before {
            self.arm_schedule(context);
        }
    }
}

impl Handler<SettingsChanged> for SyncManager {
    type Result = ();

    fn handle(&mut self, _: SettingsChanged, context: &mut Self::Context) {
        self.publish_settings();
        self.arm_schedule(context);
        // A key that was changed may be the one that is accepted.
        self.probe(context);
    }
}

impl Handler<WindDown> for SyncManager {
    type Result = ();

    fn handle(&mut self, _: WindDown, _: &mut Self::Context) {
        self.state.winding_down = true;
        self.interrupt(Interruption::Stop);
    }
}
