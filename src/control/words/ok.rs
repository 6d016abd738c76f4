//! That all is well, and what is not quite well nevertheless.

use crate::{
    domain::{
        compression::Coding,
        connectivity::ConnectivityStatus,
        status::{ConfigStatus, HeartbeatStatus, QueueStatus, UploadTrouble},
        words::{counted, readings_are},
    },
    messages::api_client::RefusedCoding,
};

/// What is not quite well where all is well.
pub(in crate::control) struct Blemishes<'a> {
    /// The heartbeat where it has not been accepted lately.
    pub(in crate::control) heartbeat: Option<&'a HeartbeatStatus>,
    /// The configuration where the last download failed.
    pub(in crate::control) config: Option<&'a ConfigStatus>,
    /// Why the last pass brought nothing.
    pub(in crate::control) upload: Option<&'a UploadTrouble>,
    /// How uploads are not compressed, though they should be.
    pub(in crate::control) refused_coding: Option<&'a RefusedCoding>,
}

pub(in crate::control) fn ok(
    queue: &QueueStatus,
    link: &ConnectivityStatus,
    blemishes: &Blemishes<'_>,
    automatic: bool,
) -> String {
    let waiting = match (queue.pending, automatic) {
        _ if queue.uncounted => {
            "How many readings wait is not known yet: the queue is being counted".to_owned()
        }
        (0, _) => "All readings are uploaded".to_owned(),
        (count, true) => format!(
            "{} for the next pass",
            counted(count, "reading waits", "readings wait")
        ),
        (count, false) => format!(
            "{} for a trigger, for ENABLE_AUTO_SYNC is false",
            counted(count, "reading waits", "readings wait")
        ),
    };
    format!(
        "{waiting}{}{}{}{}{}{}.",
        not_taken(blemishes.upload),
        answers(link, blemishes),
        unheard_lately(blemishes.heartbeat),
        outdated(blemishes.config),
        uncompressed(blemishes.refused_coding),
        set_aside(queue)
    )
}

fn not_taken(trouble: Option<&UploadTrouble>) -> String {
    trouble.map_or_else(String::new, |trouble| {
        format!("; the last pass brought nothing ({})", trouble.words)
    })
}

fn answers(link: &ConnectivityStatus, blemishes: &Blemishes<'_>) -> String {
    // What was answered to a heartbeat or a download is told once.
    let is_told_elsewhere = |trouble: &str| {
        blemishes.heartbeat.is_some() && trouble.contains("/heartbeat")
            || blemishes.config.is_some() && trouble.contains("/sync/config")
    };
    match &link.trouble {
        Some(trouble) if !is_told_elsewhere(trouble) => {
            format!("; the Client System answers, but {trouble}")
        }
        None if !link.is_connected => {
            "; whether the Client System answers is not known yet".to_owned()
        }
        _ => String::new(),
    }
}

fn unheard_lately(heartbeat: Option<&HeartbeatStatus>) -> String {
    let error = heartbeat.and_then(|heartbeat| heartbeat.last_error.as_deref());
    error.map_or_else(String::new, |error| {
        format!("; the last heartbeat was not accepted ({error})")
    })
}

fn outdated(config: Option<&ConfigStatus>) -> String {
    let error = config.and_then(|config| config.last_error.as_deref());
    error.map_or_else(String::new, |error| {
        format!(
            "; the last download of the configuration failed ({error}), so the last good one stays in force: the next one comes by itself, `meterit-sync config download` tries at once, and if it is the Client System that goes on failing, tell whoever runs it"
        )
    })
}

fn uncompressed(refused: Option<&RefusedCoding>) -> String {
    refused.map_or_else(String::new, |RefusedCoding { coding, until }| {
        let instead = match coding {
            Coding::Zstd => "in gzip, for the Client System refused zstd (415)",
            Coding::Gzip | Coding::Identity => {
                "without compression, which takes more of the link, for the Client System refused it (415)"
            }
        };
        format!("; uploads go out {instead}; the next one after {until} tries it again")
    })
}

fn set_aside(queue: &QueueStatus) -> String {
    let Some((are, them)) = readings_are(queue.quarantined) else {
        return String::new();
    };
    format!(
        "; {are} in quarantine until somebody corrects, re-queues or discards {them} (GET /api/v1/quarantine)"
    )
}
