//! `status`: how the service fares, for people and as exit code.

use std::path::PathBuf;

use clap::Args;

use super::{
    Asking, ServiceAddress,
    failure::Failure,
    service::Service,
    text::{
        NOTHING, bytes, counted, facts, lasting, lasting_about, one_line, or_nothing, shortened,
        word,
    },
    watch,
};
use crate::{
    cli::exit::Exit,
    domain::{
        status::{ActorState, ActorStatus, QueueStatus, ServiceStatus, State},
        store::Attendance,
    },
};

#[derive(Debug, Args)]
pub(in crate::cli) struct StatusArguments {
    /// Go on until interrupted: redraw a terminal every second, else print a line for every change
    #[arg(long)]
    watch: bool,
    #[command(flatten)]
    asking: Asking,
}

pub(super) async fn run(
    arguments: &StatusArguments,
    config_file: Option<PathBuf>,
) -> Result<Exit, Failure> {
    let service = arguments.asking.connect(config_file)?;
    if arguments.watch {
        return watch::run(&service).await;
    }
    let status = service.status().await?;
    service.print(&status, page)?;
    Ok(exit_of(status.content.state))
}

/// What a running service says of itself.
pub(in crate::cli) struct StatusAnswer {
    pub(in crate::cli) status: ServiceStatus,
    /// State and reason.
    pub(in crate::cli) headline: String,
    /// The same as it came.
    pub(in crate::cli) document: String,
}

/// Asks the service at an address how it fares.
pub(in crate::cli) async fn ask_status(
    address: &ServiceAddress,
    config_file: Option<PathBuf>,
) -> Result<StatusAnswer, Failure> {
    let service = Service::new(address.resolve(config_file)?, false, None);
    let answer = service.status().await?;
    Ok(StatusAnswer {
        headline: headline(&answer.content),
        status: answer.content,
        document: answer.document,
    })
}

/// What the state means to a script.
pub(super) fn exit_of(state: State) -> Exit {
    match state {
        State::Ok | State::Syncing => Exit::Done,
        State::Stopped
        | State::Misconfigured
        | State::Unauthorized
        | State::Offline
        | State::RateLimited
        | State::Degraded => Exit::NotWell,
    }
}

/// The state and the reason, as everything about the service begins.
pub(super) fn headline(status: &ServiceStatus) -> String {
    format!("{}: {}", word(&status.state), one_line(&status.reason))
}

/// Everything on one page.
pub(super) fn page(status: &ServiceStatus) -> String {
    let mut rows = vec![
        ("since", status.since.to_string()),
        ("queue", queue(&status.queue)),
        ("oldest", or_nothing(status.queue.oldest_pending_at)),
        ("uploads", uploads(status)),
        ("last pass", last_pass(status)),
        ("link", link(status)),
        ("heartbeat", heartbeat(status)),
        ("configuration", configuration(status)),
        ("disk", disk(&status.queue)),
        ("parts", parts(&status.actors)),
    ];
    rows.extend(
        status
            .instance
            .as_ref()
            .map(|found| ("instance", instance(*found))),
    );
    rows.push((
        "service",
        format!(
            "meterit-sync {}, up for {}",
            one_line(&status.version),
            lasting(status.uptime_s)
        ),
    ));
    format!("{}\n\n{}", headline(status), facts(&rows))
}

fn queue(queue: &QueueStatus) -> String {
    if queue.uncounted {
        return "not known yet: it has not been counted since the start, or cannot be read"
            .to_owned();
    }
    let parked = match queue.parked_batches {
        0 => String::new(),
        count => format!(", {} set back", counted(count, "batch", "batches")),
    };
    format!(
        "{} waiting, of these {} in flight; {} in quarantine{parked}",
        queue.pending, queue.in_flight, queue.quarantined
    )
}

fn uploads(status: &ServiceStatus) -> String {
    let switched = if status.sync.is_running {
        "started"
    } else {
        "stopped"
    };
    let eta = status.queue.eta_s.filter(|_| status.queue.pending > 0);
    let eta = eta.map_or_else(String::new, |seconds| {
        format!(", done in about {}", lasting_about(seconds))
    });
    let doubled = match status.queue.possibly_doubled_uploads {
        0 => String::new(),
        count => format!(
            "; {} perhaps stored twice",
            counted(count, "upload", "uploads")
        ),
    };
    format!(
        "{switched}; {} since the start, {:.1}/s lately{eta}{doubled}",
        status.sync.total_synced, status.queue.drain_rate_per_s
    )
}

fn last_pass(status: &ServiceStatus) -> String {
    let Some(pass) = &status.last_pass else {
        return NOTHING.to_owned();
    };
    format!(
        "{}, pass {}: {} ({} delivered)",
        pass.finished_at,
        pass.id,
        shortened(&pass.end.describe(), 100),
        counted(pass.delivered, "reading", "readings")
    )
}

fn link(status: &ServiceStatus) -> String {
    let link = &status.connectivity;
    let held = link
        .held_until
        .map_or_else(String::new, |until| format!(", left alone until {until}"));
    let known = if let Some(trouble) = &link.trouble {
        format!("answers, but {}", shortened(trouble, 100))
    } else if link.is_connected {
        format!("reachable for {}", lasting(link.uptime))
    } else if link.is_known_down() {
        format!(
            "unreachable for {} ({})",
            lasting(link.downtime),
            shortened(&or_nothing(link.last_error.as_deref()), 100)
        )
    } else {
        "not known yet".to_owned()
    };
    format!("{} {known}{held}", one_line(&link.url))
}

fn heartbeat(status: &ServiceStatus) -> String {
    let heartbeat = &status.heartbeat;
    tried(
        or_nothing(heartbeat.last_success_at),
        heartbeat.last_error.as_deref(),
    )
}

fn configuration(status: &ServiceStatus) -> String {
    let config = &status.config;
    let site = config
        .site
        .as_deref()
        .map_or_else(String::new, |site| format!(", site {}", one_line(site)));
    let meters = config.meters.map_or_else(String::new, |meters| {
        format!(", {}", counted(meters, "meter", "meters"))
    });
    tried(
        format!("{}{site}{meters}", or_nothing(config.last_success_at)),
        config.last_error.as_deref(),
    )
}

/// The last success, and what went wrong after it.
fn tried(success: String, error: Option<&str>) -> String {
    match error {
        Some(error) => format!("{success}; since then failed: {}", shortened(error, 100)),
        None => success,
    }
}

fn disk(queue: &QueueStatus) -> String {
    let full = queue.hours_until_full.map_or_else(String::new, |hours| {
        format!(", full in about {}", lasting_about(hours * 3_600.0))
    });
    queue.disk_free_bytes.map_or_else(
        || NOTHING.to_owned(),
        |free| format!("{} free{full}", bytes(free)),
    )
}

/// How many run, and those that do not.
fn parts(actors: &[ActorStatus]) -> String {
    let restarts = actors.iter().map(|actor| actor.restarts).sum::<u64>();
    let troubled = actors
        .iter()
        .filter(|actor| actor.state != ActorState::Running)
        .map(|actor| {
            format!(
                "; {} {}: {}",
                one_line(&actor.name),
                word(&actor.state),
                shortened(&or_nothing(actor.last_failure.as_deref()), 100)
            )
        });
    let troubled: String = troubled.collect();
    let running = actors
        .iter()
        .filter(|actor| actor.state == ActorState::Running)
        .count();
    format!(
        "{running} of {} running, {}{troubled}",
        actors.len(),
        counted(restarts, "restart", "restarts")
    )
}

fn instance(attendance: Attendance) -> String {
    let role = if attendance.leads {
        "leads"
    } else {
        "does not lead"
    };
    format!(
        "{role}, {} on this database",
        counted(attendance.instances, "instance", "instances")
    )
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A status as the service tells it.
    pub(in super::super) fn status(state: &str) -> ServiceStatus {
        let at = "2026-01-01T00:00:00.000Z";
        let value = serde_json::json!({
            "state": state, "reason": "All is told\nin a sentence.", "since": at,
            "sync": {"isRunning": true, "lastSyncTime": at, "lastSyncSuccess": true, "lastSyncError": null,
                "queueSize": 5, "totalSynced": 1200, "totalFailed": 0, "isClientConnected": true},
            "connectivity": {"isConnected": false, "lastCheckTime": at, "lastSuccessfulConnection": null,
                "lastFailedConnection": at, "consecutiveFailures": 3, "uptime": 0, "downtime": 185,
                "url": "http://client.example", "lastError": "connection refused", "heldUntil": null},
            "queue": {"pending": 5, "in_flight": 2, "quarantined": 1, "oldest_pending_at": at, "drain_rate_per_s": 12.34,
                "eta_s": 61.2, "disk_free_bytes": 12_345_678_901_u64, "hours_until_full": 30.0, "parked_batches": 1,
                "possibly_doubled_uploads": 1},
            "heartbeat": {"last_attempt_at": at, "last_success_at": at, "last_error": "no answer",
                "consecutive_failures": 1, "server_time": null},
            "config": {"last_attempt_at": at, "last_success_at": at, "last_error": null, "site": "Mill", "meters": 20,
                "sync_interval_minutes": {"value": 5, "pinned": false, "wanted": null},
                "batch_size": {"value": 1000, "pinned": true, "wanted": 500}},
            "last_pass": null, "recent_events": [], "instance": {"leads": true, "instances": 1}, "salvage": null,
            "actors": [
                {"name": "heartbeat", "state": "running", "restarts": 2, "generation": 3, "last_failure": null,
                    "last_failure_at": null},
                {"name": "sync manager", "state": "restarting", "restarts": 1, "generation": 2,
                    "last_failure": "panicked", "last_failure_at": at}],
            "version": "0.1.0", "uptime_s": 7260});
        serde_json::from_value(value).expect("a status")
    }

    #[test]
    fn the_page_begins_with_the_state_and_is_aligned() {
        let page = page(&status("degraded"));
        assert_eq!(
            page,
            "degraded: All is told in a sentence.\n\
             \n\
             since          2026-01-01T00:00:00.000Z\n\
             queue          5 waiting, of these 2 in flight; 1 in quarantine, 1 batch set back\n\
             oldest         2026-01-01T00:00:00.000Z\n\
             uploads        started; 1200 since the start, 12.3/s lately, done in about 1 min 2 s; 1 upload perhaps stored twice\n\
             last pass      –\n\
             link           http://client.example unreachable for 3 min 5 s (connection refused)\n\
             heartbeat      2026-01-01T00:00:00.000Z; since then failed: no answer\n\
             configuration  2026-01-01T00:00:00.000Z, site Mill, 20 meters\n\
             disk           12.3 GB free, full in about 1 d 6 h\n\
             parts          1 of 2 running, 3 restarts; sync manager restarting: panicked\n\
             instance       leads, 1 instance on this database\n\
             service        meterit-sync 0.1.0, up for 2 h 1 min\n"
        );
    }

    #[test]
    fn a_link_on_which_somebody_unwell_answers_is_not_called_reachable() {
        let mut status = status("ok");
        status.connectivity.is_connected = true;
        status.connectivity.trouble = Some("its health check says 503".to_owned());
        assert_eq!(
            link(&status),
            "http://client.example answers, but its health check says 503"
        );
    }

    #[test]
    fn only_ok_and_syncing_are_well() {
        for (state, code) in [
            ("ok", 0),
            ("syncing", 0),
            ("stopped", 5),
            ("misconfigured", 5),
            ("unauthorized", 5),
            ("offline", 5),
            ("rate_limited", 5),
            ("degraded", 5),
        ] {
            assert_eq!(exit_of(status(state).state) as u8, code, "{state}");
        }
    }
}
