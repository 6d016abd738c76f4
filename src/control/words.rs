//! The sentences in which `/status` explains a state: what happened, what it means, what will fix it.

mod ok;
mod salvaged;

use std::time::Duration;

pub(super) use self::{
    ok::{Blemishes, ok},
    salvaged::salvaged,
};
use crate::{
    domain::{
        finding::Finding,
        link_probe::LinkFault,
        local_certificate::ExpiringCertificate,
        pass::PassEnd,
        status::{ActorState, ActorStatus, HeartbeatStatus, QueueStatus, UploadTrouble},
        timestamp::Timestamp,
        words::{SET_THE_RIGHT_KEY, START_A_PASS, by_itself_or, count, counted},
    },
    messages::sync_manager::{CurrentPass, Setback},
};

pub(super) fn stopped(queue: &QueueStatus, automatic: bool) -> String {
    let then = by_itself_or(
        automatic,
        "POST /api/v1/sync/start resumes the uploading, and so does a restart of the service",
        "POST /api/v1/sync/start, or a restart of the service, allows it again; after that, ",
    );
    format!("Synchronisation is stopped; {}; {then}.", kept(queue))
}

/// Whatever the state is, this needs a person before long.
pub(super) fn with_certificate(reason: String, expiring: Option<&ExpiringCertificate>) -> String {
    let Some(expiring) = expiring else {
        return reason;
    };
    let Finding {
        what,
        means,
        remedy,
    } = expiring.finding();
    format!("{reason} {}; {means}; {remedy}.", beginning(&what))
}

pub(super) fn misconfigured(end: &PassEnd, queue: &QueueStatus, automatic: bool) -> String {
    let then = by_itself_or(
        automatic,
        "a probe every few minutes or a trigger resumes the uploading",
        "once that is mended, ",
    );
    format!(
        "The Client System does not take what is sent ({}), so uploading pauses; {}; check CLIENT_API_URL, and with the Client System's operator what it takes; {then}.",
        end.describe(),
        kept(queue)
    )
}

pub(super) fn unauthorized(end: &PassEnd, queue: &QueueStatus, automatic: bool) -> String {
    let then = by_itself_or(automatic, "", "; once it is accepted, ");
    format!(
        "{}; uploading pauses; {}; {SET_THE_RIGHT_KEY}{then}.",
        beginning(&end.describe()),
        kept(queue)
    )
}

const NO_CONNECTION: &str = "no connection came about";

pub(super) fn offline(error: Option<&str>, queue: &QueueStatus, automatic: bool) -> String {
    let then = by_itself_or(
        automatic,
        "uploading resumes by itself as soon as it answers",
        "as soon as it answers, ",
    );
    format!(
        "The Client System cannot be reached ({}); {}; {then}.",
        error.unwrap_or(NO_CONNECTION),
        kept(queue)
    )
}

/// Beside another reason for which nothing is uploaded.
pub(super) fn unreachable_as_well(error: Option<&str>, since: Option<Timestamp>) -> String {
    let since = since.map_or_else(String::new, |since| format!(" since {since}"));
    format!(
        "the Client System cannot be reached{since} ({}); until it answers, nothing is uploaded in any case.",
        error.unwrap_or(NO_CONNECTION)
    )
}

pub(super) fn rate_limited(until: Timestamp, queue: &QueueStatus, automatic: bool) -> String {
    let then = by_itself_or(automatic, "uploading resumes by itself then", "then ");
    format!(
        "The Client System asked to be left alone until {until}; {}; {then}.",
        kept(queue)
    )
}

pub(super) fn actor_down(actor: &ActorStatus) -> String {
    let failure = actor.last_failure.as_deref().unwrap_or("no reason known");
    match actor.state {
        ActorState::Stopped => format!(
            "The {} has ended ({failure}), so its work stands still; the readings are kept; a restart of the service brings it back.",
            actor.name
        ),
        ActorState::Restarting | ActorState::Running => format!(
            "The {} failed ({failure}) and is being restarted; the readings are kept, and its work goes on in a moment.",
            actor.name
        ),
    }
}

/// Of the thread that all actors share.
pub(super) fn silent(silence: Duration) -> String {
    format!(
        "The service itself has not moved for {} s: the thread that its parts share hangs, so that nothing is stored or uploaded; the readings in the Sync Database are kept; if that lasts for a minute, the process ends by itself, and whoever supervises it starts it again.",
        silence.as_secs()
    )
}

/// `remedy` is what to do about it, where that is known.
pub(super) fn database_failing(
    words: &str,
    remedy: Option<&str>,
    queue: &QueueStatus,
    automatic: bool,
) -> String {
    let unknown = if queue.uncounted {
        format!("{}; ", waiting(queue))
    } else {
        String::new()
    };
    let reason = unusable(words, &unknown, remedy);
    if automatic {
        return reason;
    }
    format!("{reason} After that, {START_A_PASS}.")
}

/// Goes after what tells already of the queue, and of how uploading goes on.
pub(super) fn database_failing_as_well(words: &str, remedy: Option<&str>) -> String {
    unusable(words, "", remedy)
}

fn unusable(words: &str, unknown: &str, remedy: Option<&str>) -> String {
    let remedy = remedy.unwrap_or("all goes on by itself once that cause is removed");
    format!(
        "The Sync Database cannot be used ({words}), so nothing is taken out of it or stored in it; {unknown}it is tried again by itself; {remedy}."
    )
}

/// `words` say what is done about it.
pub(super) fn damaged(words: &str) -> String {
    format!(
        "Pages of the Sync Database cannot be read ({words}); until a new one holds what can be read of it nothing is uploaded, and readings that are posted are refused (503); other programs go on with the new one. Look at the disk."
    )
}

pub(super) fn replaced(queue: &QueueStatus) -> String {
    format!(
        "The file of the Sync Database was removed or replaced by another while it was open, and what is there now was opened: {}. What waited in the one before is in this one only if somebody brought it along. A restart of the service ends this message.",
        kept(queue)
    )
}

pub(super) fn disk_full(queue: &QueueStatus, automatic: bool) -> String {
    if let Some(bytes) = queue.log_lacks_bytes {
        return format!(
            "The disk under the Sync Database is full: {}, and the log of the database cannot be emptied, for which {} MB are missing{}; make that room on the disk, for until then uploading may stand still as well, and new readings are refused (507); {}.",
            waiting(queue),
            bytes.div_ceil(1_000_000),
            kept_log(queue),
            by_itself_or(automatic, "all goes on by itself then", "after that, ")
        );
    }
    let uploading = by_itself_or(
        automatic,
        "has a reserve of its own, goes on by itself and frees room",
        "has a reserve of its own and frees room: ",
    );
    format!(
        "The disk under the Sync Database is full: {}, and there is none for new ones (507, and a full disk to programs that insert by SQL); uploading {uploading}. If this lasts, make room on that disk{}.",
        waiting(queue),
        kept_log(queue)
    )
}

fn kept_log(queue: &QueueStatus) -> String {
    queue.log_kept_bytes.map_or_else(String::new, |bytes| {
        format!(
            ", of which a program that has been reading from the Sync Database for long keeps {} MB: end its transaction",
            bytes.div_ceil(1_000_000)
        )
    })
}

pub(super) fn not_counted() -> String {
    "How many readings wait is not known yet: the queue has not been counted since the start; the count goes on by itself as soon as the Sync Database answers.".to_owned()
}

pub(super) fn parked(queue: &QueueStatus, automatic: bool) -> String {
    let (batches, were, their) = match queue.parked_batches {
        1 => ("1 batch".to_owned(), "was", "its"),
        count => (counted(count, "batch", "batches"), "were", "their"),
    };
    let last = queue.parked_error.as_ref();
    let last = last.map_or_else(String::new, |words| format!(" (the last time: {words})"));
    let again = by_itself_or(
        automatic,
        "tried again with more time",
        "tried again with more time by the next pass: ",
    );
    format!(
        "{batches} could not be delivered{last} and {were} set back while the others proceed; {their} readings are kept and {again}; if that lasts, tell whoever runs the Client System; the sync log holds all answers."
    )
}

pub(super) fn failing(end: &PassEnd, queue: &QueueStatus, automatic: bool) -> String {
    let then = by_itself_or(
        automatic,
        "the next pass tries again by itself",
        "to try again, ",
    );
    format!(
        "The last passes did not empty the queue ({}); {}; {then}.",
        end.describe(),
        kept(queue)
    )
}

pub(super) fn too_old(
    oldest: Timestamp,
    trouble: Option<&UploadTrouble>,
    queue: &QueueStatus,
) -> String {
    let (cause, next) = match trouble {
        Some(trouble) => (
            format!(" ({})", trouble.words),
            "they are sent again by itself, and if that does not help, tell whoever runs the Client System",
        ),
        None => (
            String::new(),
            "if the next pass does not take them, the sync log says why",
        ),
    };
    format!(
        "Readings have been waiting since {oldest}, longer than three sync intervals{cause}; {}; {next}.",
        kept(queue)
    )
}

/// Goes after what else is wrong: a disk is full whatever becomes of uploads.
pub(super) fn besides(reason: &str, other: &str) -> String {
    format!("{reason} Besides: {other}")
}

/// Goes after whatever the state is.
pub(super) fn clocks_differ(reason: &str, fault: &LinkFault) -> String {
    let found = fault.finding();
    format!(
        "{reason} Besides, {}: {}; set it where it is wrong, and have it follow a time server (`timedatectl set-ntp true`).",
        found.what, found.means
    )
}

/// What a pass has met whose first batch is still under way.
pub(super) fn unanswered(pass: &CurrentPass) -> String {
    format!(
        "the first batch of the pass that began at {} has not been answered yet",
        pass.started_at
    )
}

pub(super) fn too_old_by_hand(oldest: Timestamp, queue: &QueueStatus) -> String {
    format!(
        "Readings have been waiting since {oldest}, longer than three sync intervals, because ENABLE_AUTO_SYNC is false; {}; start a pass with POST /api/v1/sync/trigger.",
        kept(queue)
    )
}

pub(super) fn unheard(
    heartbeat: &HeartbeatStatus,
    since: Timestamp,
    queue: &QueueStatus,
    automatic: bool,
) -> String {
    let uploaded = if automatic {
        "readings are uploaded all the same"
    } else {
        "readings are uploaded all the same by a pass that somebody starts"
    };
    format!(
        "Heartbeats have not been accepted since {since}, {} in a row ({}), so the Client System may take this site for dead; {uploaded} ({}); the next one is sent by itself, and if they go on failing, tell whoever runs the Client System what it answers.",
        count(heartbeat.consecutive_failures.into()),
        heartbeat.last_error.as_deref().unwrap_or("no reason known"),
        waiting(queue)
    )
}

pub(super) fn syncing(
    pass: &CurrentPass,
    queue: &QueueStatus,
    now: Timestamp,
    automatic: bool,
) -> String {
    let delivered = counted(pass.delivered, "reading", "readings");
    let pending = if queue.uncounted {
        "nobody knows yet how many".to_owned()
    } else {
        count(queue.pending)
    };
    if let Some(setback) = &pass.setback {
        let next = goes_on(setback, now, automatic);
        let words = &setback.words;
        return if pass.delivered == 0 {
            format!(
                "A pass is trying to upload: {delivered} delivered so far, {pending} to go; the last sending failed ({words}), and {next}."
            )
        } else {
            format!(
                "A pass is uploading: {delivered} delivered so far, {pending} to go; one batch failed ({words}), and {next}."
            )
        };
    }
    let pace = queue.eta_s.map_or_else(String::new, |seconds| {
        format!("; at this pace the queue is empty in {}", lasting(seconds))
    });
    format!("A pass is uploading: {delivered} delivered so far, {pending} to go{pace}.")
}

/// A batch that has failed for long, whatever becomes of others.
pub(super) fn set_back(
    pass: &CurrentPass,
    setback: &Setback,
    queue: &QueueStatus,
    now: Timestamp,
    automatic: bool,
) -> String {
    format!(
        "A batch has not been taken since {} ({}), and {}; in this pass {} delivered; {}; if that lasts, tell whoever runs the Client System what it answers.",
        setback.since,
        setback.words,
        goes_on(setback, now, automatic),
        counted(pass.delivered, "reading was", "readings were"),
        kept(queue)
    )
}

fn goes_on(setback: &Setback, now: Timestamp, automatic: bool) -> String {
    match setback.again_at {
        Some(at) if at > now => format!("it is repeated at {at}"),
        Some(_) => "it is being repeated".to_owned(),
        None => by_itself_or(
            automatic,
            "its readings are kept for the next pass",
            "its readings are kept: after this pass, ",
        ),
    }
}

/// As the beginning of a sentence.
pub(super) fn unsettled(words: &str, automatic: bool) -> String {
    let again = by_itself_or(
        automatic,
        "it is tried again every half minute by itself",
        "every pass tries it again: ",
    );
    format!(
        "{}; these readings stay in the queue, others go on, and nothing is sent again; {again}; if that lasts, end the transaction of the program that has locked their rows, or take away what refuses to let them go.",
        beginning(words)
    )
}

fn beginning(words: &str) -> String {
    let mut letters = words.chars();
    let first = letters.next().map(|first| first.to_ascii_uppercase());
    first.into_iter().chain(letters).collect()
}

fn kept(queue: &QueueStatus) -> String {
    if queue.disk_full_since.is_none() {
        return waiting(queue);
    }
    format!(
        "{}, but the disk under it is full, so that there is no room for new ones (507): make room on that disk{}",
        waiting(queue),
        kept_log(queue)
    )
}

fn waiting(queue: &QueueStatus) -> String {
    match queue.pending {
        _ if queue.uncounted => {
            "how many readings wait is not known yet: the queue could not be counted so far, and what is in it is kept"
                .to_owned()
        }
        0 => "no reading waits".to_owned(),
        1 => "1 reading is kept in the Sync Database".to_owned(),
        pending => format!("{} readings are kept in the Sync Database", count(pending)),
    }
}

fn lasting(seconds: f64) -> String {
    if seconds < 90.0 {
        format!("{seconds:.0} s")
    } else if seconds < 5_400.0 {
        format!("{:.0} min", seconds / 60.0)
    } else {
        format!("{:.1} h", seconds / 3_600.0)
    }
}
