//! Why an operator's action was not carried out, in words for whoever asked for it.

use std::time::Duration;

use serde::Serialize;
use utoipa::ToSchema;

use super::problem_kind::ProblemKind;
use crate::{
    domain::{
        outcome::CallFailure,
        pass::{PassEnd, PassReport},
        store::StoreError,
        timestamp::Timestamp,
        words::{SET_THE_RIGHT_KEY, count, counted},
    },
    messages::sync_manager::TriggerRefusal,
    supervision::ask::AskError,
};

/// What is wrong with one reading of a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct ReadingProblem {
    /// The reading's position in the request, from 0; blank lines do not count.
    pub index: usize,
    /// What is wrong.
    pub reason: String,
}

const RESUMES_WHEN_IT_ANSWERS: &str = "uploading resumes by itself as soon as it answers; with ENABLE_AUTO_SYNC=false only with another trigger";
const RESUMES_THEN: &str =
    "uploading resumes by itself then; with ENABLE_AUTO_SYNC=false only with another trigger";

/// Why an operator's action was not carried out. The display says what happened, what it means and what to do.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ControlError {
    /// No pass was started.
    #[error("{}", refusal_words(.0))]
    Refused(TriggerRefusal),
    /// The Client System wants to be left alone.
    #[error(
        "the Client System asked to be left alone until {until}; nothing was sent, and {RESUMES_THEN}"
    )]
    Held {
        /// Until when.
        until: Timestamp,
        /// How long from now.
        wait: Duration,
    },
    /// The pass ended before the queue was empty.
    #[error(
        "{}; {} uploaded before, the others are kept in the Sync Database; {}",
        report.end.describe(), counted(report.delivered, "reading was", "readings were"), pass_advice(&report.end)
    )]
    PassFailed {
        /// What it did.
        report: Box<PassReport>,
        /// How long the Client System wants to be left alone.
        wait: Option<Duration>,
    },
    /// A part of the service did not answer.
    #[error(transparent)]
    Unanswered(#[from] AskError),
    /// A part of the service did not answer, so that it is open whether the readings were stored.
    #[error(
        "{0}. Whether the readings were stored is not known: send them again with the same Idempotency-Key, then nothing is doubled"
    )]
    StoringUnanswered(AskError),
    /// A part of the service is being restarted.
    #[error("{0}")]
    Unavailable(String),
    /// Nobody else can watch the events.
    #[error(
        "{0} watch the events already and more would take too much from the uploading, so this one is not served; end one of them (a dashboard in a forgotten window is one), or ask for /status now and then"
    )]
    TooManyWatchers(usize),
    /// So many questions wait for the Sync Database as may.
    #[error(
        "{0} questions wait for the Sync Database already, which uploading needs as well, so this one is not asked; ask again in a moment, and less often"
    )]
    TooManyQuestions(usize),
    /// The Sync Database did not do what was asked.
    #[error("{}{}", .0, store_advice(.0))]
    Store(#[from] StoreError),
    /// A call to the Client System failed.
    #[error("{}; {}", .0, call_advice(.0))]
    Call(CallFailure),
    /// There is no such thing.
    #[error("{0}")]
    NotFound(String),
    /// What was asked makes no sense.
    #[error("{0}")]
    Invalid(String),
    /// Some readings make no sense, so that none was stored.
    #[error(
        "{} of the readings are not valid, so none was stored; correct what `errors` names by index, or leave those out, and send the request again{}",
        count((problems.len() + more) as u64),
        unnamed(*more)
    )]
    InvalidReadings {
        /// The first of them.
        problems: Vec<ReadingProblem>,
        /// How many more there are.
        more: usize,
    },
    /// The request is too large.
    #[error("{0}")]
    TooLarge(String),
    /// A reading that may be stored already is not sent again without consent.
    #[error(
        "the Client System may have this reading already, so it was left in quarantine; look there, then discard it, or re-queue it with accept_double=true if a second copy does no harm"
    )]
    PossiblyStored,
    /// A reading that cannot be sent stays in quarantine.
    #[error(
        "the reading still cannot be sent, so it was left in quarantine: {0}; correct it with PATCH first"
    )]
    Unreadable(String),
    /// Whoever asked may look only.
    #[error(
        "this changes something, and whoever asks may look only, so nothing was done; send CONTROL_TOKEN as `Authorization: Bearer …`"
    )]
    LooksOnly,
}

impl ControlError {
    /// The stable kind.
    pub fn kind(&self) -> ProblemKind {
        match self {
            Self::Refused(refusal) => refusal_kind(refusal),
            Self::Held { .. } => ProblemKind::ClientSystemHeld,
            Self::PassFailed { report, .. } => pass_kind(&report.end),
            Self::Unanswered(error) | Self::StoringUnanswered(error) => match error {
                AskError::Restarting => ProblemKind::PartRestarting,
                AskError::TimedOut => ProblemKind::PartSilent,
            },
            Self::Unavailable(_) => ProblemKind::PartRestarting,
            Self::TooManyWatchers(_) => ProblemKind::TooManyWatchers,
            Self::TooManyQuestions(_) => ProblemKind::TooManyQuestions,
            Self::Store(error) => store_kind(error),
            Self::Call(failure) => call_kind(failure),
            Self::NotFound(_) => ProblemKind::NotFound,
            Self::Invalid(_) => ProblemKind::InvalidRequest,
            Self::InvalidReadings { .. } => ProblemKind::InvalidReadings,
            Self::TooLarge(_) => ProblemKind::TooLarge,
            Self::PossiblyStored => ProblemKind::PossiblyStored,
            Self::Unreadable(_) => ProblemKind::Unreadable,
            Self::LooksOnly => ProblemKind::ControlTokenNeeded,
        }
    }

    /// After how long asking again may help; none where time alone does not help or nobody can tell.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Held { wait, .. } => Some(*wait),
            Self::PassFailed { wait, .. } => *wait,
            _ => match self.kind() {
                ProblemKind::PartRestarting
                | ProblemKind::PartSilent
                | ProblemKind::TooManyQuestions
                | ProblemKind::DatabaseBusy => Some(Duration::from_secs(1)),
                ProblemKind::TooManyWatchers => Some(Duration::from_secs(30)),
                _ => None,
            },
        }
    }
}

/// Of readings with faults that are not listed.
fn unnamed(more: usize) -> String {
    match more {
        0 => String::new(),
        more => format!(
            "; {} more are not named, for there is too much to say about all of them",
            count(more as u64)
        ),
    }
}

fn refusal_kind(refusal: &TriggerRefusal) -> ProblemKind {
    match refusal {
        TriggerRefusal::AlreadyRunning => ProblemKind::PassAlreadyRunning,
        TriggerRefusal::Stopped => ProblemKind::SynchronisationStopped,
        TriggerRefusal::Offline(_) => ProblemKind::ClientSystemOffline,
        TriggerRefusal::Held(_) => ProblemKind::ClientSystemHeld,
        TriggerRefusal::Restarted => ProblemKind::PartRestarting,
    }
}

fn refusal_words(refusal: &TriggerRefusal) -> String {
    match refusal {
        TriggerRefusal::AlreadyRunning => format!(
            "{refusal}; it uploads all readings that it finds, and `?wait=true` waits for the outcome"
        ),
        TriggerRefusal::Offline(_) => {
            format!("{refusal}; the readings are kept, and {RESUMES_WHEN_IT_ANSWERS}")
        }
        TriggerRefusal::Held(_) => format!("{refusal}; {RESUMES_THEN}"),
        TriggerRefusal::Stopped | TriggerRefusal::Restarted => refusal.to_string(),
    }
}

fn pass_kind(end: &PassEnd) -> ProblemKind {
    match end {
        PassEnd::Stopped => ProblemKind::SynchronisationStopped,
        PassEnd::Offline { .. } => ProblemKind::ClientSystemOffline,
        PassEnd::Held { .. } => ProblemKind::ClientSystemHeld,
        PassEnd::Unauthorized { .. } => ProblemKind::ClientSystemUnauthorized,
        PassEnd::Misconfigured { .. } => ProblemKind::ClientSystemMisconfigured,
        PassEnd::GivenUp { .. } => ProblemKind::UploadGivenUp,
        PassEnd::DatabaseFailed { .. } => ProblemKind::DatabaseUnavailable,
        // A pass that drained the queue is no failure; if it is told as one, something cut it short.
        PassEnd::Interrupted { .. } | PassEnd::Drained => ProblemKind::PassInterrupted,
    }
}

fn pass_advice(end: &PassEnd) -> &'static str {
    match end {
        PassEnd::Stopped => "start synchronisation with POST /api/v1/sync/start",
        PassEnd::Offline { .. } => RESUMES_WHEN_IT_ANSWERS,
        PassEnd::Held { .. } => RESUMES_THEN,
        PassEnd::Unauthorized { .. } => SET_THE_RIGHT_KEY,
        PassEnd::Misconfigured { .. } => {
            "check CLIENT_API_URL, and with the Client System's operator what it takes"
        }
        PassEnd::GivenUp { .. } => "the next pass repeats the same batch first",
        PassEnd::DatabaseFailed { .. } => "the next pass tries again",
        PassEnd::Interrupted { .. } | PassEnd::Drained => "ask again in a moment",
    }
}

fn store_kind(error: &StoreError) -> ProblemKind {
    match error {
        StoreError::Busy(_) => ProblemKind::DatabaseBusy,
        StoreError::Full(_) => ProblemKind::DiskFull,
        StoreError::KeyReused(_) => ProblemKind::IdempotencyKeyReused,
        StoreError::InUse(_)
        | StoreError::Unsuitable(_)
        | StoreError::Damaged(_)
        | StoreError::Silent
        | StoreError::Failed(_) => ProblemKind::DatabaseUnavailable,
    }
}

fn store_advice(error: &StoreError) -> &'static str {
    match error {
        StoreError::Busy(_) => "; nothing was changed, ask again in a moment",
        StoreError::Full(_) => "; nothing was changed, make room there, then ask again",
        StoreError::Damaged(_) => {
            "; what can be read of it is being saved into a new one, ask again in a moment"
        }
        StoreError::Silent | StoreError::Failed(_) => "; `/status` tells when it works again",
        StoreError::KeyReused(_) | StoreError::InUse(_) | StoreError::Unsuitable(_) => "",
    }
}

fn call_kind(failure: &CallFailure) -> ProblemKind {
    match failure {
        CallFailure::Unreachable(_) => ProblemKind::ClientSystemOffline,
        CallFailure::NoAnswer(_) => ProblemKind::ClientSystemSilent,
        CallFailure::Held(_) => ProblemKind::ClientSystemHeld,
        CallFailure::Unauthorized { .. } => ProblemKind::ClientSystemUnauthorized,
        CallFailure::Refused { .. } => ProblemKind::ClientSystemRefused,
        CallFailure::Unintelligible(_) => ProblemKind::ClientSystemUnintelligible,
    }
}

fn call_advice(failure: &CallFailure) -> &'static str {
    match failure {
        CallFailure::Unauthorized { .. } => SET_THE_RIGHT_KEY,
        CallFailure::Refused { .. } | CallFailure::Unintelligible(_) => {
            "if it stays so, check CLIENT_API_URL"
        }
        CallFailure::Unreachable(_) | CallFailure::NoAnswer(_) | CallFailure::Held(_) => {
            "it is tried again by itself on the next occasion"
        }
    }
}
