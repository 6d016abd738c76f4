//! Everything that is wrong, the gravest first: what cuts the way to the Client System, the database, the service and its state;
//! then calls that are not answered as they should be, and what waits for a person.

use crate::{
    app::diagnosis::DatabaseLook,
    cli::client::Failure,
    domain::{
        finding::Finding,
        link_probe::{LinkFault, LinkProbe},
        status::{ServiceStatus, State},
        store::StoreError,
        words::{START_A_PASS, counted, readings_are},
    },
};

/// Everything that is wrong; empty where nothing is. `automatic` tells whether passes start by themselves.
pub(super) fn findings(
    link: &LinkProbe,
    database: &Result<DatabaseLook, StoreError>,
    service: Result<&ServiceStatus, &Failure>,
    automatic: bool,
) -> Vec<Finding> {
    let is_cut = link.is_cut();
    let faults = link.faults_by_gravity().into_iter();
    let (grave, bearable): (Vec<_>, Vec<_>) =
        faults.partition(|fault| is_cut || !fault.is_about_the_way());
    let told = |fault: &LinkFault| fault.finding_where(automatic);
    let (of_service, of_calls, of_the_rest) = match service {
        Ok(status) => (
            of_state(status, is_cut, automatic),
            // What is in the way of all was told already.
            if is_cut {
                Vec::new()
            } else {
                of_calls(status, link, automatic)
            },
            of_the_rest(status),
        ),
        Err(failure) => (of_silence(failure), Vec::new(), Vec::new()),
    };
    let grave = grave.into_iter().map(told);
    grave
        .chain(of_database(database))
        .chain(of_service)
        .chain(bearable.into_iter().map(told))
        .chain(of_calls)
        .chain(of_the_rest)
        .collect()
}

/// What was answered to the service's own calls.
fn of_calls(status: &ServiceStatus, link: &LinkProbe, automatic: bool) -> Vec<Finding> {
    let of_answer = of_answer(status, link).into_iter();
    of_answer
        .chain(of_upload(status, automatic))
        .chain(of_heartbeat(status))
        .chain(of_configuration(status))
        .collect()
}

/// What has nothing to do with the Client System and waits for a person.
fn of_the_rest(status: &ServiceStatus) -> Vec<Finding> {
    // Otherwise the sentence of the state says so already.
    let near = status.expiring_certificate.as_ref();
    let of_certificate = near.filter(|_| is_going_on(status));
    let of_certificate = of_certificate.map(|near| near.finding());
    let of_quarantine = of_quarantine(status).into_iter();
    of_quarantine.chain(of_certificate).collect()
}

fn of_database(database: &Result<DatabaseLook, StoreError>) -> Option<Finding> {
    match database {
        Ok(look) if look.migrations.missing.is_empty() => None,
        Ok(_) => Some(Finding::new(
            "the Sync Database is not in the shape that this version needs",
            "it was last used by an older version, or only by other programs",
            "start the service, which brings it there, or run `meterit-sync migrate`",
        )),
        Err(error) => Some(Finding::new(
            error.to_string(),
            "the service cannot take readings from there",
            match error {
                StoreError::Silent | StoreError::Busy(_) => error.remedy(),
                _ => {
                    "check DATABASE_URL, the rights of this user, and whether the database is there; a service that is running waits for it"
                }
            },
        )),
    }
}

fn of_silence(failure: &Failure) -> Option<Finding> {
    match failure {
        Failure::NotRunning(url) => Some(Finding::new(
            format!("the service does not run: nobody listens at {url}"),
            "readings are kept in the Sync Database, and nothing is uploaded",
            "start it (`systemctl start meterit-sync`, or `meterit-sync run`), or say with --url where it listens",
        )),
        // Nobody knows where it listens: that says nothing about it.
        Failure::Arguments(_) | Failure::Settings(_) => None,
        other => Some(Finding::new(
            "the service does not tell how it fares",
            other.to_string().trim_end_matches('.'),
            "look at its log, and restart it if it does not recover",
        )),
    }
}

fn is_going_on(status: &ServiceStatus) -> bool {
    matches!(status.state, State::Ok | State::Syncing)
}

/// What the service was answered last, where the calls of this look at the site were answered well. To heartbeats is told
/// with these.
fn of_answer(status: &ServiceStatus, link: &LinkProbe) -> Option<Finding> {
    let trouble = status.connectivity.trouble.as_ref()?;
    let is_health_alone =
        trouble.starts_with("its health check says") && !trouble.contains(" and it says ");
    if is_health_alone && link.has_failed("health") {
        return None;
    }
    let is_told_below = trouble.contains("/heartbeat") && status.heartbeat.failing_since.is_some()
        || trouble.contains("/sync/config") && status.config.last_error.is_some();
    (is_going_on(status) && !is_told_below).then(|| {
        Finding::new(
            format!("the Client System answers the service, but {}", trouble.trim_end_matches('.')),
            "it, or what stands before it, is in trouble itself; what it does not take is kept and sent again",
            "wait; if it lasts, tell whoever runs the Client System",
        )
    })
}

/// Where a pass is under way, or between two, no state tells of it yet; what was answered was told already.
fn of_upload(status: &ServiceStatus, automatic: bool) -> Option<Finding> {
    let trouble = status.upload_trouble.as_ref()?;
    let answered = status.connectivity.trouble.as_deref().unwrap_or_default();
    (is_going_on(status) && !answered.contains("/readings/batch")).then(|| {
        Finding::new(
            format!(
                "readings have not been taken by the Client System since {} ({})",
                trouble.since,
                trouble.words.trim_end_matches('.')
            ),
            if automatic {
                "other calls are answered, but uploads are not, or not well; all readings are kept and sent again by itself"
            } else {
                "other calls are answered, but uploads are not, or not well; all readings are kept"
            },
            if automatic {
                "wait; if it lasts, tell whoever runs the Client System, with these words".to_owned()
            } else {
                format!(
                    "once the pass under way has ended, {START_A_PASS}; if it lasts, tell whoever runs the Client System, with these words"
                )
            },
        )
    })
}

fn of_configuration(status: &ServiceStatus) -> Option<Finding> {
    let error = status.config.last_error.as_ref()?;
    let at = status.config.last_attempt_at;
    let at = at.map_or_else(String::new, |at| format!(" at {at}"));
    Some(Finding::new(
        format!(
            "the last download of the configuration{at} failed ({})",
            error.trim_end_matches('.')
        ),
        "the last good configuration stays in force; meters and wishes that are newer are not known here",
        "try another one with `meterit-sync config download`; if the Client System fails again, tell whoever runs it",
    ))
}

fn of_quarantine(status: &ServiceStatus) -> Option<Finding> {
    let (are, them) = readings_are(status.queue.quarantined)?;
    Some(Finding::new(
        format!("{are} in quarantine"),
        format!(
            "nothing sends {them} until somebody decides; all others are uploaded without {them}"
        ),
        "`meterit-sync quarantine list` says why; correct, re-queue or discard there, or on the dashboard",
    ))
}

/// Where uploading goes on, nothing else would tell; what the state is about was told already.
fn of_heartbeat(status: &ServiceStatus) -> Option<Finding> {
    let heartbeat = &status.heartbeat;
    let (error, since) = (heartbeat.last_error.as_ref()?, heartbeat.failing_since?);
    if !is_going_on(status) && status.reason.contains(error.as_str()) {
        return None;
    }
    let failures = counted(heartbeat.consecutive_failures, "heartbeat", "heartbeats");
    Some(Finding::new(
        format!(
            "the service has sent {failures} in a row that the Client System did not accept, since {since} ({})",
            error.trim_end_matches('.')
        ),
        "the Client System may take this site for dead, whether or not its readings arrive",
        "try another one with `meterit-sync heartbeat`; if it is not accepted either, tell whoever runs the Client System what it \
         answers",
    ))
}

/// What the service says of the link itself is no news where the link was found to be at fault, unless its sentence tells of more.
fn of_state(status: &ServiceStatus, link_is_at_fault: bool, automatic: bool) -> Option<Finding> {
    let is_about_the_link = matches!(
        status.state,
        State::Offline | State::RateLimited | State::Unauthorized | State::Misconfigured
    );
    let tells_of_more =
        status.reason.contains(" Besides") || status.queue.disk_full_since.is_some();
    if is_about_the_link && link_is_at_fault && !tells_of_more {
        return None;
    }
    let (means, remedy) = match status.state {
        State::Ok | State::Syncing => return None,
        State::Stopped => (status.state.meaning(), status.state.remedy()),
        _ if is_about_the_link && link_is_at_fault => (
            status.state.meaning(),
            "see to what was found on the way to the Client System, and to whatever else this sentence tells",
        ),
        State::Degraded => (
            "the service works, but something needs attention",
            "read the reason; the log and the numbers in the archive tell more",
        ),
        State::Misconfigured => (
            "the way to the Client System is open and the API key is accepted, as was tried just now, but what is uploaded is \
             refused: nothing is uploaded, and all readings are kept",
            "ask whoever runs the Client System, with these words, what it objects to, and whether CLIENT_API_URL is right; the \
             service tries again every 5 minutes, unless ENABLE_AUTO_SYNC is false, and `meterit-sync sync trigger` at once",
        ),
        State::Unauthorized => (
            "the key in these settings is accepted, as was tried just now, but the one that the service has in force was not, or \
             not for uploading: nothing is uploaded, and all readings are kept",
            "if the key was changed meanwhile, restart the service; if it is the same, ask whoever runs the Client System whether \
             it may upload; the service tries again every 5 minutes, unless ENABLE_AUTO_SYNC is false, and `meterit-sync sync trigger` \
             at once",
        ),
        State::Offline | State::RateLimited if automatic => (
            "the service has met something on the way to the Client System that is not there now",
            "wait, it tries again by itself; if it lasts, the log in the archive tells more",
        ),
        State::Offline | State::RateLimited => (
            "the service has met something on the way to the Client System that is not there now",
            "wait until the service has seen that as well, then start a pass (`meterit-sync sync trigger`): ENABLE_AUTO_SYNC is \
             false; if it lasts, the log in the archive tells more",
        ),
    };
    let reason = status.reason.trim_end_matches('.');
    Some(Finding::new(
        format!("the service says: {reason}"),
        means,
        remedy,
    ))
}
