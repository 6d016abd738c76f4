//! The sentences in which `/status` explains a state: what happened, what it means, what will fix it.

use crate::{
    domain::{
        connectivity::ConnectivityStatus,
        finding::Finding,
        local_certificate::ExpiringCertificate,
        pass::PassEnd,
        status::{ActorState, ActorStatus, HeartbeatStatus, QueueStatus},
        store::Salvage,
        timestamp::Timestamp,
        words::{SET_THE_RIGHT_KEY, count, counted},
    },
    messages::sync_manager::CurrentPass,
};

pub(super) fn stopped(queue: &QueueStatus) -> String {
    format!(
        "Synchronisation is stopped; {}; POST /api/v1/sync/start resumes the uploading.",
        kept(queue)
    )
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

pub(super) fn misconfigured(end: &PassEnd, queue: &QueueStatus) -> String {
    format!(
        "The Client System does not take what is sent ({}), so uploading pauses; {}; check CLIENT_API_URL, and with the Client System's operator what it takes; a probe every few minutes or a trigger resumes the uploading.",
        end.describe(),
        kept(queue)
    )
}

pub(super) fn unauthorized(end: &PassEnd, queue: &QueueStatus) -> String {
    format!(
        "{}; uploading pauses; {}; {SET_THE_RIGHT_KEY}.",
        beginning(&end.describe()),
        kept(queue)
    )
}

pub(super) fn offline(error: Option<&str>, queue: &QueueStatus) -> String {
    format!(
        "The Client System cannot be reached ({}); {}; uploading resumes by itself as soon as it answers.",
        error.unwrap_or("no connection came about"),
        kept(queue)
    )
}

pub(super) fn rate_limited(until: Timestamp, queue: &QueueStatus) -> String {
    format!(
        "The Client System asked to be left alone until {until}; {}; uploading resumes by itself then.",
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

pub(super) fn database_failing(words: &str) -> String {
    format!(
        "The Sync Database cannot be used ({words}), so nothing is taken out of it or stored in it; it is tried again by itself, and works again once that cause is removed."
    )
}

/// `words` say what is done about it.
pub(super) fn damaged(words: &str) -> String {
    format!(
        "Pages of the Sync Database cannot be read ({words}); until a new one holds what can be read of it nothing is uploaded, and readings that are posted are refused (503); other programs go on with the new one. Look at the disk."
    )
}

/// Goes after why nothing is uploaded anyhow.
pub(super) fn damaged_as_well(reason: &str, words: &str) -> String {
    format!("{reason} Besides, pages of the Sync Database cannot be read ({words}).")
}

/// Those before it are told shortly.
const EARLIER: usize = 3;

/// `earlier` are those before it.
pub(super) fn salvaged(salvage: &Salvage, earlier: &[Salvage]) -> String {
    format!(
        "The Sync Database was damaged and lies now in {}; a new one holds the {} that could be read of it; {}. {}{} Look at the disk; restart those programs; remove {}, with its -wal and -shm, to end this message.",
        salvage.set_aside,
        counted(salvage.readings, "reading", "readings"),
        losses(salvage),
        if salvage.later_is_unreadable {
            "What other programs may have written into the damaged one since then cannot be read by this service and stays there: restart them at once."
        } else {
            "What other programs still write into the damaged one is taken over as it comes."
        },
        salvaged_before(earlier),
        if earlier.is_empty() {
            "that file"
        } else {
            "each such file"
        }
    )
}

fn salvaged_before(earlier: &[Salvage]) -> String {
    let mut told: Vec<String> = earlier
        .iter()
        .take(EARLIER)
        .map(|salvage| {
            format!(
                " It had been damaged before, on {}, and that one lies in {}: {}{}.",
                salvage.at,
                salvage.set_aside,
                losses(salvage),
                if salvage.later_is_unreadable {
                    "; what other programs may have written into it since then stays there: restart them at once"
                } else {
                    ""
                }
            )
        })
        .collect();
    if earlier.len() > EARLIER {
        told.push(format!(
            " earlier_salvages tells of {} more.",
            earlier.len() - EARLIER
        ));
    }
    told.concat()
}

fn losses(salvage: &Salvage) -> String {
    let mut told = vec![match salvage.lost_at_most {
        Some(0) => "no reading was lost".to_owned(),
        Some(count) => format!(
            "{} could not be read, of which some may have been uploaded before",
            counted(count, "reading at most", "readings at most")
        ),
        None => {
            "how many readings were lost cannot be told: nobody can tell how many could not be read"
                .to_owned()
        }
    }];
    if salvage.quarantined > 0 {
        told.push(format!(
            "{} in quarantine, for nobody can tell whether they had been uploaded (GET /api/v1/quarantine)",
            counted(salvage.quarantined, "reading is", "readings are")
        ));
    }
    match salvage.quarantine_lost_at_most {
        Some(0) => {}
        Some(count) => told.push(format!(
            "{} that had been in quarantine could not be read",
            counted(count, "reading at most", "readings at most")
        )),
        None => told.push("nobody can tell how many readings had been in quarantine".to_owned()),
    }
    match salvage.batches_lost_at_most {
        Some(0) => {}
        Some(count) => told.push(format!(
            "of {} the key was lost, so that their readings may arrive twice",
            counted(
                count,
                "batch on its way at most",
                "batches on their way at most"
            )
        )),
        None => told.push("what was on its way may arrive twice".to_owned()),
    }
    if !salvage.also_lost.is_empty() {
        told.push(format!(
            "not all could be read of {}",
            salvage.also_lost.join(", ")
        ));
    }
    told.join("; ")
}

pub(super) fn replaced(queue: &QueueStatus) -> String {
    format!(
        "The file of the Sync Database was removed or replaced by another while it was open, and what is there now was opened: {}. What waited in the one before is in this one only if somebody brought it along. A restart of the service ends this message.",
        kept(queue)
    )
}

pub(super) fn disk_full(queue: &QueueStatus) -> String {
    if let Some(bytes) = queue.log_lacks_bytes {
        return format!(
            "The disk under the Sync Database is full: {}, and the log of the database cannot be emptied, for which {} MB are missing{}; make that room on the disk, for until then uploading may stand still as well, and new readings are refused (507); all goes on by itself then.",
            waiting(queue),
            bytes.div_ceil(1_000_000),
            kept_log(queue)
        );
    }
    format!(
        "The disk under the Sync Database is full: {}, and there is none for new ones (507, and a full disk to programs that insert by SQL); uploading has a reserve of its own, goes on by itself and frees room. If this lasts, make room on that disk{}.",
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
    "The queue has not been counted since the start, so its size is not known yet; the count goes on by itself as soon as the Sync Database answers.".to_owned()
}

pub(super) fn parked(queue: &QueueStatus) -> String {
    format!(
        "{} failed in several passes and were set back while the others proceed; their readings are kept and tried again with more time; the sync log says what the Client System answered.",
        counted(queue.parked_batches, "batch", "batches")
    )
}

pub(super) fn failing(end: &PassEnd, queue: &QueueStatus) -> String {
    format!(
        "The last passes did not empty the queue ({}); {}; the next pass tries again by itself.",
        end.describe(),
        kept(queue)
    )
}

pub(super) fn too_old(oldest: Timestamp, queue: &QueueStatus) -> String {
    format!(
        "Readings have been waiting since {oldest}, longer than three sync intervals; {}; if the next pass does not take them, the sync log says why.",
        kept(queue)
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
) -> String {
    format!(
        "Heartbeats have not been accepted since {since}, {} in a row ({}), so the Client System may take this site for dead; readings are uploaded all the same ({}); the next one is sent by itself, and if they go on failing, tell whoever runs the Client System what it answers.",
        count(heartbeat.consecutive_failures.into()),
        heartbeat.last_error.as_deref().unwrap_or("no reason known"),
        waiting(queue)
    )
}

pub(super) fn syncing(pass: &CurrentPass, queue: &QueueStatus, now: Timestamp) -> String {
    let (delivered, pending) = (
        counted(pass.delivered, "reading", "readings"),
        count(queue.pending),
    );
    if let Some(setback) = &pass.setback {
        let next = match setback.again_at {
            Some(at) if at > now => format!("it is repeated at {at}"),
            Some(_) => "it is being repeated".to_owned(),
            None => "its readings are kept for the next pass".to_owned(),
        };
        return format!(
            "A pass is trying to upload: {delivered} delivered so far, {pending} to go; the last sending failed ({}), and {next}.",
            setback.words
        );
    }
    let pace = queue.eta_s.map_or_else(String::new, |seconds| {
        format!("; at this pace the queue is empty in {}", lasting(seconds))
    });
    format!("A pass is uploading: {delivered} delivered so far, {pending} to go{pace}.")
}

/// `failing` is the heartbeat where it has not been accepted lately.
pub(super) fn ok(
    queue: &QueueStatus,
    link: &ConnectivityStatus,
    failing: Option<&HeartbeatStatus>,
    automatic: bool,
) -> String {
    let waiting = match (queue.pending, automatic) {
        _ if queue.uncounted => "The queue is being counted".to_owned(),
        (0, _) => "All readings are uploaded".to_owned(),
        (count, true) => format!(
            "{} wait for the next pass",
            counted(count, "reading", "readings")
        ),
        (count, false) => format!(
            "{} wait for a trigger, for ENABLE_AUTO_SYNC is false",
            counted(count, "reading", "readings")
        ),
    };
    // What was answered to a heartbeat is told once.
    let trouble = link.trouble.as_ref();
    let trouble = trouble.filter(|trouble| failing.is_none() || !trouble.contains("/heartbeat"));
    let link = match trouble {
        Some(trouble) => format!("; the Client System answers, but {trouble}"),
        None if link.is_connected => String::new(),
        None => "; whether the Client System answers is not known yet".to_owned(),
    };
    let heartbeat = failing.and_then(|heartbeat| heartbeat.last_error.as_deref());
    let heartbeat = heartbeat.map_or_else(String::new, |error| {
        format!("; the last heartbeat was not accepted ({error})")
    });
    let quarantine = match queue.quarantined {
        0 => String::new(),
        count => format!(
            "; {} in quarantine until somebody corrects, re-queues or discards them (GET /api/v1/quarantine)",
            counted(count, "reading is", "readings are")
        ),
    };
    format!("{waiting}{link}{heartbeat}{quarantine}.")
}

/// As the beginning of a sentence.
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
            "the readings in the Sync Database are kept, and how many wait is not known yet"
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
