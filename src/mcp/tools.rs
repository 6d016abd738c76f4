//! The tools, a small function each.

use std::pin::pin;

use super::{
    arguments::{
        DiscardArguments, ListArguments, MeterArguments, Nothing, ReadingsArguments,
        RequeueArguments, StatsArguments,
    },
    results::{MetersFound, QuarantineFound, ReadingsFound, SyncOutcome, SyncOverview},
    toolbox::{Builder, Caller, Effect, Toolbox},
};
use crate::{
    control::{Control, ControlError, Target},
    domain::{
        answer::Switched,
        connectivity::ConnectivityStatus,
        meter::MeterChanges,
        pass::PassReport,
        quarantine::QuarantineFilter,
        reading::ReadingRow,
        status::HeartbeatStatus,
        store::{QuarantineActionResult, Window},
        sync_log::SyncStats,
        words::{count, counted},
    },
};

/// Entries of the operation log that an overview shows.
const RECENT_LOGS: u32 = 10;
/// Over a whole sync, progress is told about so many times.
const STEPS_OF_PROGRESS: u64 = 100;

/// All tools, in the order in which they are listed.
pub(super) fn all() -> Toolbox {
    manage_quarantine(call(look(Builder::default()))).finish()
}

fn look(tools: Builder) -> Builder {
    tools
        .tool(
            "get_sync_status",
            "Sync status",
            "How the upload of meter readings to the Client System fares: the state in a word and a sentence, the queue, the link, the last 24 hours, and the last entries of the operation log. Begin here.",
            Effect::Reads,
            get_sync_status,
        )
        .tool(
            "get_sync_stats",
            "Sync statistics",
            "Sums over the operation log: batches uploaded and failed, readings uploaded, and the rate of success in percent.",
            Effect::Reads,
            get_sync_stats,
        )
        .tool(
            "get_connectivity_status",
            "Connectivity",
            "Whether the Client System can be reached, since when, and the last error, as the service knows it. Asks nobody; check_connectivity does.",
            Effect::Reads,
            get_connectivity_status,
        )
        .tool(
            "query_meter_readings",
            "Meter readings",
            "Readings that are in the local database, newest first. Readings leave it once the Client System has them, so an empty answer of a site that is well is normal.",
            Effect::Reads,
            query_meter_readings,
        )
        .tool(
            "get_meter_status",
            "Meters",
            "The active meters, each with the time of its last reading: which meters are silent, and since when.",
            Effect::Reads,
            get_meter_status,
        )
        .tool(
            "list_quarantine",
            "Quarantine",
            "Readings that were set aside because the Client System refuses them, because they cannot be sent, or because it may have them already; with its words.",
            Effect::Reads,
            list_quarantine,
        )
}

fn call(tools: Builder) -> Builder {
    tools
        .tool(
            "trigger_sync",
            "Sync now",
            "Uploads all waiting readings now and waits for the outcome; joins an upload that is running. A large queue takes its time: ask for progress notifications.",
            Effect::Calls,
            trigger_sync,
        )
        .tool(
            "start_sync",
            "Start synchronisation",
            "Switches the uploading on again after stop_sync.",
            Effect::Switches,
            start_sync,
        )
        .tool(
            "stop_sync",
            "Stop synchronisation",
            "Switches the uploading off until start_sync or a restart of the service. Readings are kept.",
            Effect::Switches,
            stop_sync,
        )
        .tool(
            "check_connectivity",
            "Check connectivity",
            "Asks the Client System now whether it can be reached. That it cannot is an answer, not an error.",
            Effect::Calls,
            check_connectivity,
        )
        .tool(
            "download_config",
            "Download configuration",
            "Downloads the site's configuration from the Client System and applies it; on an error the last good one stays in force.",
            Effect::Calls,
            download_config,
        )
        .tool(
            "send_heartbeat",
            "Send heartbeat",
            "Sends a heartbeat to the Client System now.",
            Effect::Calls,
            send_heartbeat,
        )
}

fn manage_quarantine(tools: Builder) -> Builder {
    tools
        // A second copy in the Client System's books is not taken back by anyone here.
        .tool(
            "requeue_quarantined",
            "Re-queue quarantined readings",
            "Returns quarantined readings to the queue, to be uploaded again: one by id, those of a reason or meter, or all. Those that the Client System may have already stay unless accept_double is true.",
            Effect::DestroysAnew,
            requeue_quarantined,
        )
        .tool(
            "discard_quarantined",
            "Discard quarantined readings",
            "Removes quarantined readings for good: one by id, those of a reason or meter, or all. They are lost; ask a person first.",
            Effect::Destroys,
            discard_quarantined,
        )
}

async fn get_sync_status(
    control: Control,
    _: Nothing,
    _: Caller,
) -> Result<SyncOverview, ControlError> {
    let window = Window {
        limit: RECENT_LOGS,
        offset: 0,
    };
    let recent_logs = control.sync_log(window).await?.items;
    let stats_24h = control.sync_stats(24).await?;
    let status = control.status();
    Ok(SyncOverview {
        state: status.state,
        reason: status.reason,
        sync_status: status.sync,
        connectivity: status.connectivity,
        stats_24h,
        recent_logs,
    })
}

async fn get_sync_stats(
    control: Control,
    arguments: StatsArguments,
    _: Caller,
) -> Result<SyncStats, ControlError> {
    control.sync_stats(arguments.hours.get()).await
}

async fn get_connectivity_status(
    control: Control,
    _: Nothing,
    _: Caller,
) -> Result<ConnectivityStatus, ControlError> {
    Ok(control.status().connectivity)
}

async fn query_meter_readings(
    control: Control,
    arguments: ReadingsArguments,
    _: Caller,
) -> Result<ReadingsFound, ControlError> {
    let window = Window {
        limit: arguments.limit.get(),
        offset: 0,
    };
    let meter = arguments.meter_id.as_deref();
    let page = control
        .readings(meter, arguments.hours.get(), window)
        .await?;
    let readings: Vec<_> = page.items.into_iter().map(with_a_number).collect();
    Ok(ReadingsFound {
        count: readings.len(),
        total: page.total,
        readings,
    })
}

/// Another program may have written `1e400`, which is JSON, but no number that a client could hold.
fn with_a_number(row: ReadingRow) -> ReadingRow {
    let value = row.value.filter(|value| {
        let number: Result<f64, _> = value.as_str().parse();
        number.is_ok_and(f64::is_finite)
    });
    ReadingRow { value, ..row }
}

async fn get_meter_status(
    control: Control,
    arguments: MeterArguments,
    _: Caller,
) -> Result<MetersFound, ControlError> {
    let meters = control.active_meters(arguments.meter_id.as_deref()).await?;
    Ok(MetersFound {
        count: meters.len(),
        meters,
    })
}

async fn list_quarantine(
    control: Control,
    arguments: ListArguments,
    _: Caller,
) -> Result<QuarantineFound, ControlError> {
    let filter = QuarantineFilter {
        id: None,
        reason: arguments.reason,
        meter: arguments.meter,
    };
    let window = Window {
        limit: arguments.limit.get(),
        offset: arguments.offset.get(),
    };
    let page = control.quarantined(&filter, window).await?;
    Ok(QuarantineFound {
        total: page.total,
        items: page.items,
    })
}

async fn trigger_sync(
    control: Control,
    _: Nothing,
    caller: Caller,
) -> Result<SyncOutcome, ControlError> {
    let before = control.status();
    let waiting = before.queue.pending;
    let uploaded_before = before.sync.total_synced;
    let step = waiting / STEPS_OF_PROGRESS;
    let (mut seen, mut most) = (uploaded_before, waiting);
    let mut syncing = pin!(control.trigger_sync_and_wait());
    let report = loop {
        tokio::select! {
            outcome = &mut syncing => break outcome?,
            uploaded = control.uploaded_beyond(seen.saturating_add(step)), if caller.wants_progress() => {
                seen = uploaded;
                let done = uploaded - uploaded_before;
                // What was stored just before is counted by now, and what comes in meanwhile is uploaded along with it.
                most = most.max(control.status().queue.pending).max(done);
                let words = format!("{} of {} readings uploaded", count(done), count(most));
                caller.tell(done, most, words).await;
            }
        }
    };
    let after = control.status();
    Ok(SyncOutcome {
        success: report.end.is_success(),
        message: message(&report),
        // What has just been stored is counted a moment later, and may be uploaded before that.
        queue_size_before: waiting.max(report.delivered + report.quarantined),
        queue_size_after: after.queue.pending,
        last_sync_success: after.sync.last_sync_success,
    })
}

fn message(report: &PassReport) -> String {
    let quarantined = match report.quarantined {
        0 => String::new(),
        quarantined => format!(", {} went to quarantine", count(quarantined)),
    };
    format!(
        "{}: {} arrived{quarantined}",
        report.end.describe(),
        counted(report.delivered, "reading", "readings")
    )
}

async fn start_sync(control: Control, _: Nothing, _: Caller) -> Result<Switched, ControlError> {
    control.start_sync().await
}

async fn stop_sync(control: Control, _: Nothing, _: Caller) -> Result<Switched, ControlError> {
    control.stop_sync().await
}

async fn check_connectivity(
    control: Control,
    _: Nothing,
    _: Caller,
) -> Result<ConnectivityStatus, ControlError> {
    control.check_connectivity().await
}

async fn download_config(
    control: Control,
    _: Nothing,
    _: Caller,
) -> Result<MeterChanges, ControlError> {
    control.download_config().await
}

async fn send_heartbeat(
    control: Control,
    _: Nothing,
    _: Caller,
) -> Result<HeartbeatStatus, ControlError> {
    control.send_heartbeat().await
}

async fn requeue_quarantined(
    control: Control,
    given: RequeueArguments,
    _: Caller,
) -> Result<QuarantineActionResult, ControlError> {
    let accept_double = given.accept_double;
    match Target::new(given.id, given.reason, given.meter, given.all)? {
        Target::Entry(id) => control.requeue_entry(id, accept_double).await,
        Target::Many(selection) => control.requeue(selection, accept_double).await,
    }
}

async fn discard_quarantined(
    control: Control,
    given: DiscardArguments,
    _: Caller,
) -> Result<QuarantineActionResult, ControlError> {
    match Target::new(given.id, given.reason, given.meter, given.all)? {
        Target::Entry(id) => control.discard_entry(id).await,
        Target::Many(selection) => control.discard(selection).await,
    }
}
