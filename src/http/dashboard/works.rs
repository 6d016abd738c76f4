//! How the works fare: passes, the link, the actors and the program itself. From the status alone.

use chrono::TimeDelta;
use maud::{Markup, html};

use super::words::{self, ago, count, counted, lasts_since, sentence, until};
use crate::domain::{
    connectivity::ConnectivityStatus,
    event::EventKind,
    pass::{PassEnd, PassReport, PassTrigger},
    status::{ActorState, ActorStatus, Effective, ServiceStatus},
    timestamp::Timestamp,
};

/// Passes that are shown.
const SHOWN_PASSES: usize = 8;

/// The last passes, newest first.
pub(super) fn passes(status: &ServiceStatus, now: Timestamp) -> Markup {
    let ended = status
        .recent_events
        .iter()
        .filter_map(|event| match &event.kind {
            EventKind::PassFinished(report) => Some(report),
            _ => None,
        });
    let mut shown: Vec<&PassReport> = ended.take(SHOWN_PASSES).collect();
    if shown.is_empty() {
        shown.extend(&status.last_pass);
    }
    html! {
        div #passes-list data-part {
            @if shown.is_empty() {
                p .empty { "No pass has ended since the start." }
            } @else {
                div .scrolls tabindex="0" role="region" aria-label="Last passes, table" {
                    table {
                        caption .hidden { "The last passes, newest first" }
                        thead {
                            tr {
                                th scope="col" { "Ended" }
                                th scope="col" { "Outcome" }
                                th scope="col" .number { "Uploaded" }
                                th scope="col" .number { "Took" }
                                th scope="col" .minor { "Started by" }
                            }
                        }
                        tbody { @for report in shown { (pass(report, now)) } }
                    }
                }
            }
        }
    }
}

fn pass(report: &PassReport, now: Timestamp) -> Markup {
    let (tone, word) = match &report.end {
        PassEnd::Drained => ("good", "queue uploaded"),
        PassEnd::Stopped => ("off", "stopped"),
        PassEnd::Held { .. } => ("warn", "held"),
        PassEnd::Offline { .. } => ("bad", "offline"),
        PassEnd::Unauthorized { .. } => ("bad", "unauthorized"),
        PassEnd::Misconfigured { .. } => ("bad", "misconfigured"),
        PassEnd::GivenUp { .. } => ("bad", "given up"),
        PassEnd::DatabaseFailed { .. } => ("bad", "database failed"),
        PassEnd::Interrupted { .. } => ("warn", "interrupted"),
    };
    let took = report.finished_at.seconds_since(report.started_at);
    html! {
        tr {
            td { (ago(report.finished_at, now)) }
            td {
                span .badge data-tone=(tone) { (word) }
                @if !report.end.is_success() { " " span .detail { (sentence(&report.end.describe())) } }
                @if report.quarantined > 0 {
                    " " span .detail { (counted(report.quarantined, "reading", "readings")) " to quarantine" }
                }
                @if report.failed > 0 {
                    " " span .detail { (counted(report.failed, "reading", "readings")) " kept for the next pass" }
                }
            }
            td .number { (count(report.delivered)) }
            td .number { (words::lasting_exactly(took)) }
            td .minor { (trigger(report.trigger)) }
        }
    }
}

fn trigger(trigger: PassTrigger) -> &'static str {
    match trigger {
        PassTrigger::StartUp => "start of the service",
        PassTrigger::Schedule => "schedule",
        PassTrigger::Connected => "return of the link",
        PassTrigger::FreshReadings => "fresh readings",
        PassTrigger::Manual => "an operator",
        PassTrigger::HoldEnded => "end of a hold",
        PassTrigger::Probe => "accepted key",
    }
}

/// The Client System as it was seen last.
pub(super) fn client_system(status: &ServiceStatus, now: Timestamp) -> Markup {
    let (link, heartbeat, config) = (&status.connectivity, &status.heartbeat, &status.config);
    html! {
        div #client-system-facts data-part {
            dl .facts {
                (fact("Address", &html! { code { (link.url) } }))
                (fact("Last answer", &answer(link, now)))
                (fact("Last failure", &failure(link.last_failed_connection, link.last_error.as_deref(), now)))
                (fact("Next check", &upcoming(link.next_check_time, now)))
                (fact("Last heartbeat", &moment(heartbeat.last_success_at, now)))
                @if let Some(error) = &heartbeat.last_error {
                    (fact("Its failure", &html! { (counted(heartbeat.consecutive_failures, "failure", "failures")) " in a row: " (error) }))
                }
                (fact("Configuration", &configuration(status, now)))
                @if let Some(error) = &config.last_error { (fact("Its failure", &html! { (error) })) }
                (fact("Sync interval", &effective(&config.sync_interval_minutes, "min")))
                (fact("Batch size", &effective(&config.batch_size, "readings")))
            }
        }
    }
}

fn fact(name: &str, value: &Markup) -> Markup {
    html! { div { dt { (name) } dd { (value) } } }
}

fn moment(at: Option<Timestamp>, now: Timestamp) -> Markup {
    at.map_or_else(|| html! { "none yet" }, |at| ago(at, now))
}

fn answer(link: &ConnectivityStatus, now: Timestamp) -> Markup {
    html! {
        (moment(link.last_successful_connection, now))
        @if let Some(trouble) = &link.trouble { ", but " (trouble) }
    }
}

fn upcoming(at: Option<Timestamp>, now: Timestamp) -> Markup {
    at.map_or_else(|| html! { "–" }, |at| until(at, now))
}

fn failure(at: Option<Timestamp>, words: Option<&str>, now: Timestamp) -> Markup {
    html! {
        @match at {
            Some(at) => { (ago(at, now)) @if let Some(words) = words { ": " (words) } }
            None => { "none" }
        }
    }
}

fn configuration(status: &ServiceStatus, now: Timestamp) -> Markup {
    let config = &status.config;
    html! {
        (moment(config.last_success_at, now))
        @if let Some(meters) = config.meters { ", " (counted(meters, "meter", "meters")) }
    }
}

fn effective<T: std::fmt::Display + PartialEq>(setting: &Effective<T>, unit: &str) -> Markup {
    html! {
        (setting.value) " " (unit)
        @if setting.pinned { ", fixed locally" }
        @if let Some(wanted) = &setting.wanted {
            @if *wanted != setting.value { ", the Client System wants " (wanted) }
        }
    }
}

/// The parts of the service and how they fare.
pub(super) fn actors(status: &ServiceStatus, now: Timestamp) -> Markup {
    html! {
        div #actors-list data-part {
            div .scrolls tabindex="0" role="region" aria-label="Parts of the service, table" {
                table {
                    caption .hidden { "The parts of the service" }
                    thead {
                        tr {
                            th scope="col" { "Part" }
                            th scope="col" { "State" }
                            th scope="col" .number { "Restarts" }
                        }
                    }
                    tbody { @for actor in &status.actors { (one_actor(actor, now)) } }
                }
            }
        }
    }
}

fn one_actor(actor: &ActorStatus, now: Timestamp) -> Markup {
    let (tone, word) = match actor.state {
        ActorState::Running => ("good", "running"),
        ActorState::Restarting => ("warn", "restarting"),
        ActorState::Stopped => ("bad", "stopped"),
    };
    html! {
        tr {
            th scope="row" { (actor.name) }
            td {
                span .badge data-tone=(tone) { (word) }
                @if let Some(words) = &actor.last_failure {
                    " " span .detail {
                        "failed"
                        @if let Some(at) = actor.last_failure_at { " " (ago(at, now)) }
                        ": " (words)
                    }
                }
            }
            td .number { (actor.restarts) }
        }
    }
}

/// What runs, and since when.
pub(super) fn program(status: &ServiceStatus, now: Timestamp) -> Markup {
    let uptime = TimeDelta::try_seconds(i64::try_from(status.uptime_s).unwrap_or(i64::MAX));
    let started_at = Timestamp(now.0 - uptime.unwrap_or_default());
    html! {
        p #program data-part {
            "meterit-sync " (status.version) ", running for " (lasts_since(started_at, now))
            @if let Some(instance) = status.instance.filter(|instance| instance.instances > 1) {
                ", one of " (instance.instances) " instances"
                @if instance.leads { ", and the one that leads" }
            }
            "."
        }
    }
}
