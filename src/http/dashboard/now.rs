//! How the service fares: the sentence at the top, and the figures below it. From the status alone.

use maud::{Markup, html};

use super::words::{self, ago, clock, count, lasting, lasts_since, sentence, until};
use crate::domain::{
    status::{QueueStatus, ServiceStatus, State},
    timestamp::Timestamp,
    words::cut,
};

/// How a state is told besides its words.
#[derive(Clone, Copy)]
pub(super) struct Mood {
    pub(super) name: &'static str,
    pub(super) tone: &'static str,
    sign: &'static str,
}

pub(super) fn mood(state: State) -> Mood {
    let (name, tone, sign) = match state {
        State::Ok => ("OK", "good", "✓"),
        State::Syncing => ("Syncing", "busy", "↑"),
        State::Offline => ("Offline", "bad", "✕"),
        State::Unauthorized => ("Unauthorized", "bad", "✕"),
        State::Misconfigured => ("Misconfigured", "bad", "✕"),
        State::RateLimited => ("Rate limited", "warn", "⏳\u{fe0e}"),
        State::Degraded => ("Degraded", "warn", "!"),
        State::Stopped => ("Stopped", "off", "■"),
    };
    Mood { name, tone, sign }
}

/// The page's title: the state first, for it is all that a tab shows.
pub(super) fn title(status: &ServiceStatus) -> String {
    let name = mood(status.state).name;
    match &status.config.site {
        Some(site) => format!("{name} – {site} – meterit-sync"),
        None => format!("{name} – meterit-sync"),
    }
}

/// State, since when, why, and what comes next.
pub(super) fn verdict(status: &ServiceStatus, now: Timestamp) -> Markup {
    let mood = mood(status.state);
    html! {
        div #verdict .verdict data-part data-tone=(mood.tone) data-title=(title(status))
            data-running=(status.sync.is_running) {
            h1 {
                span .sign aria-hidden="true" { (mood.sign) }
                span .state { (mood.name) }
                " "
                span .since { "since " (clock(status.since)) ", for " (lasts_since(status.since, now)) }
            }
            p .reason { (sentence(&status.reason)) }
            @if let Some(next) = next(status, now) { p .next { (next) } }
        }
    }
}

fn next(status: &ServiceStatus, now: Timestamp) -> Option<Markup> {
    let link = &status.connectivity;
    let (words, at) = match status.state {
        State::Offline => ("Next attempt to reach it", link.next_check_time?),
        State::RateLimited => ("The Client System may be called again", link.held_until?),
        _ => return None,
    };
    Some(html! { (words) " " strong { (until(at, now)) } })
}

/// The figures that tell most at a glance.
pub(super) fn figures(status: &ServiceStatus, now: Timestamp) -> Markup {
    let queue = &status.queue;
    html! {
        dl #figures .figures data-part {
            (figure("Waiting", waiting(queue), &waiting_note(queue)))
            (figure("Oldest waiting", oldest(queue, now), &oldest_note(queue)))
            (figure(
                "Upload rate",
                html! { (words::rate(queue.drain_rate_per_s)) },
                &html! { (count(status.sync.total_synced)) " since the start" },
            ))
            (figure("Link", link_words(status, now), &link_note(status, now)))
            (figure("Quarantine", quarantined(queue), &quarantine_note(queue)))
            (figure("Disk", disk(queue), &disk_note(queue, now)))
        }
    }
}

fn figure(name: &str, value: Markup, note: &Markup) -> Markup {
    html! {
        div {
            dt { (name) }
            dd .value { (value) }
            dd .note { (note) }
        }
    }
}

fn waiting(queue: &QueueStatus) -> Markup {
    html! { @if queue.uncounted { "–" } @else { (count(queue.pending)) } }
}

fn waiting_note(queue: &QueueStatus) -> Markup {
    html! {
        @if queue.uncounted {
            "not known yet"
        } @else if let Some(seconds) = queue.eta_s.filter(|_| queue.pending > 0) {
            "empty in about " (lasting(words::whole(seconds)))
        } @else if queue.in_flight > 0 {
            (count(queue.in_flight)) " of these on their way"
        } @else if queue.pending == 0 {
            "all uploaded"
        } @else if queue.pending == 1 {
            "reading"
        } @else {
            "readings"
        }
    }
}

fn oldest(queue: &QueueStatus, now: Timestamp) -> Markup {
    queue
        .oldest_pending_at
        .map_or_else(|| html! { "–" }, |at| lasts_since(at, now))
}

fn oldest_note(queue: &QueueStatus) -> Markup {
    html! {
        @match queue.oldest_pending_at {
            Some(at) => { "came in at " (clock(at)) }
            None if queue.uncounted => { "not known yet" }
            None => { "nothing waits" }
        }
    }
}

fn link_words(status: &ServiceStatus, now: Timestamp) -> Markup {
    let link = &status.connectivity;
    if link.trouble.is_some() {
        return html! { span data-tone="warn" { "Answers, not well" } };
    }
    let word = if link.is_connected {
        "Up"
    } else if link.is_known_down() {
        "Down"
    } else {
        "Unknown"
    };
    html! { (word) @if let Some(since) = link.since { " " (lasts_since(since, now)) } }
}

fn link_note(status: &ServiceStatus, now: Timestamp) -> Markup {
    html! {
        @match (&status.connectivity.trouble, status.connectivity.last_successful_connection) {
            (Some(trouble), _) => { (cut(trouble, LONGEST_TROUBLE)) }
            (None, Some(at)) => { "last answer " (ago(at, now)) }
            (None, None) => { "no answer yet" }
        }
    }
}

/// The whole of it is in the sentence above, or below among what is told of the Client System.
const LONGEST_TROUBLE: usize = 60;

fn quarantined(queue: &QueueStatus) -> Markup {
    html! {
        @if queue.uncounted {
            "–"
        } @else if queue.quarantined == 0 {
            "0"
        } @else {
            a href="#quarantine" data-tone="warn" { (count(queue.quarantined)) }
        }
    }
}

fn quarantine_note(queue: &QueueStatus) -> Markup {
    html! {
        @if queue.uncounted {
            "not known yet"
        } @else if queue.quarantined == 0 {
            "nothing set aside"
        } @else {
            "to be decided on"
        }
    }
}

fn disk(queue: &QueueStatus) -> Markup {
    html! { @match queue.disk_free_bytes { Some(free) => { (words::bytes(free)) } None => { "–" } } }
}

fn disk_note(queue: &QueueStatus, now: Timestamp) -> Markup {
    html! {
        @if let Some(since) = queue.disk_full_since {
            "full for " (lasts_since(since, now))
        } @else if let Some(hours) = queue.hours_until_full {
            "free, full in about " (lasting(words::whole(hours * 3_600.0)))
        } @else if queue.disk_free_bytes.is_some() {
            "free"
        } @else {
            "not known"
        }
    }
}
