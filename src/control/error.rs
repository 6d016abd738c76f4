//! Why an operator's action was not carried out, in kinds that stay the same over versions.

use std::time::Duration;

use serde::Serialize;
use utoipa::ToSchema;

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

/// The kinds of problems. Their names are a contract with whoever handles them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ProblemKind {
    /// A pass runs already.
    PassAlreadyRunning,
    /// Synchronisation is stopped.
    SynchronisationStopped,
    /// A pass was cut short by a restart.
    PassInterrupted,
    /// A batch failed too often for this pass.
    UploadGivenUp,
    /// The Client System cannot be reached.
    ClientSystemOffline,
    /// The Client System wants to be left alone for a while.
    ClientSystemHeld,
    /// The Client System does not accept the key.
    ClientSystemUnauthorized,
    /// The Client System refuses everything, or is not what we think it is.
    ClientSystemMisconfigured,
    /// The Client System did not answer.
    ClientSystemSilent,
    /// The Client System refused the call.
    ClientSystemRefused,
    /// The Client System's answer makes no sense.
    ClientSystemUnintelligible,
    /// A part of the service is being restarted.
    PartRestarting,
    /// A part of the service does not answer.
    PartSilent,
    /// So many watch the events already that nobody else is served.
    TooManyWatchers,
    /// So many ask the Sync Database already that nobody else is served.
    TooManyQuestions,
    /// The Sync Database is locked by another program.
    DatabaseBusy,
    /// The Sync Database cannot be used.
    DatabaseUnavailable,
    /// The disk holds no more.
    DiskFull,
    /// The idempotency key came with other readings before.
    IdempotencyKeyReused,
    /// There is no such thing.
    NotFound,
    /// What was asked makes no sense.
    InvalidRequest,
    /// Some readings make no sense.
    InvalidReadings,
    /// The request is too large.
    TooLarge,
    /// The reading may be stored already.
    PossiblyStored,
    /// The reading still cannot be sent.
    Unreadable,
    /// Nothing is done without a token.
    TokenNeeded,
    /// The token is none of ours.
    WrongToken,
    /// Too many wrong tokens came from the same place.
    TooManyWrongTokens,
    /// The token is for looking only.
    ControlTokenNeeded,
}

impl ProblemKind {
    /// All of them.
    pub const ALL: [Self; 29] = [
        Self::PassAlreadyRunning,
        Self::SynchronisationStopped,
        Self::PassInterrupted,
        Self::UploadGivenUp,
        Self::ClientSystemOffline,
        Self::ClientSystemHeld,
        Self::ClientSystemUnauthorized,
        Self::ClientSystemMisconfigured,
        Self::ClientSystemSilent,
        Self::ClientSystemRefused,
        Self::ClientSystemUnintelligible,
        Self::PartRestarting,
        Self::PartSilent,
        Self::TooManyWatchers,
        Self::TooManyQuestions,
        Self::DatabaseBusy,
        Self::DatabaseUnavailable,
        Self::DiskFull,
        Self::IdempotencyKeyReused,
        Self::NotFound,
        Self::InvalidRequest,
        Self::InvalidReadings,
        Self::TooLarge,
        Self::PossiblyStored,
        Self::Unreadable,
        Self::TokenNeeded,
        Self::WrongToken,
        Self::TooManyWrongTokens,
        Self::ControlTokenNeeded,
    ];

    /// The stable name.
    pub fn name(self) -> &'static str {
        self.words().0
    }

    /// The stable name as the `type` of a problem (RFC 9457).
    pub fn urn(self) -> String {
        format!("urn:meterit-sync:problem:{}", self.name())
    }

    /// The kind in a few words.
    pub fn title(self) -> &'static str {
        self.words().1
    }

    /// What to do about it, where `detail` says no more.
    pub fn remedy(self) -> &'static str {
        match self {
            Self::PassAlreadyRunning => "wait for its end, or join it with `?wait=true`",
            Self::SynchronisationStopped => "start it first; readings are kept",
            Self::PassInterrupted => "nothing is lost; ask again",
            Self::UploadGivenUp => {
                "nothing is lost, the next pass repeats it; `detail` has the Client System's words"
            }
            Self::ClientSystemOffline => {
                "uploading resumes by itself; if it lasts, look at the network"
            }
            Self::ClientSystemHeld => "come back after `Retry-After`; uploading resumes by itself",
            Self::ClientSystemUnauthorized => SET_THE_RIGHT_KEY,
            Self::ClientSystemMisconfigured => {
                "check CLIENT_API_URL with whoever runs the Client System"
            }
            Self::ClientSystemSilent => "ask again; if it lasts, look at the Client System",
            Self::ClientSystemRefused => "`detail` has its words; talk to whoever runs it",
            Self::ClientSystemUnintelligible => "check CLIENT_API_URL; talk to whoever runs it",
            Self::PartRestarting => "ask again in a moment",
            Self::PartSilent => "ask again; if it lasts, restart the service",
            Self::TooManyWatchers => {
                "end one of them, or come back after `Retry-After`; `GET /status` tells how things stand meanwhile"
            }
            Self::TooManyQuestions => {
                "ask again in a moment and less often; `GET /status` asks nobody else"
            }
            Self::DatabaseBusy => "ask again; end the program that keeps it locked",
            Self::DatabaseUnavailable => "`detail` says why; it is tried again by itself",
            Self::DiskFull => {
                "make room on the disk under the Sync Database; uploading goes on and frees some"
            }
            Self::IdempotencyKeyReused => "send other readings under a key of their own",
            Self::NotFound => "correct what was asked for",
            Self::InvalidRequest => "`detail` says what is allowed",
            Self::InvalidReadings => {
                "`errors` names each; correct them and send all again, for none was stored"
            }
            Self::TooLarge => "send less at once",
            Self::PossiblyStored => "re-queue it with `accept_double=true`, or discard it",
            Self::Unreadable => "correct it first (`PATCH`)",
            Self::TokenNeeded => {
                "send CONTROL_TOKEN (or READ_TOKEN, for looking only) as `Authorization: Bearer …`"
            }
            Self::WrongToken => "send the token that the service has now",
            Self::TooManyWrongTokens => {
                "end whatever sends wrong tokens from there, or send the token that the service has now, which is taken at any time"
            }
            Self::ControlTokenNeeded => "send CONTROL_TOKEN, which may change things",
        }
    }

    fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::PassAlreadyRunning => ("pass-already-running", "A sync pass is already running"),
            Self::SynchronisationStopped => {
                ("synchronisation-stopped", "Synchronisation is stopped")
            }
            Self::PassInterrupted => ("pass-interrupted", "The sync pass was interrupted"),
            Self::UploadGivenUp => ("upload-given-up", "The upload was given up for this pass"),
            Self::ClientSystemOffline => (
                "client-system-offline",
                "The Client System is not reachable",
            ),
            Self::ClientSystemHeld => (
                "client-system-held",
                "The Client System asked to be left alone",
            ),
            Self::ClientSystemUnauthorized => (
                "client-system-unauthorized",
                "The Client System does not accept the API key",
            ),
            Self::ClientSystemMisconfigured => (
                "client-system-misconfigured",
                "The Client System does not answer as it should",
            ),
            Self::ClientSystemSilent => {
                ("client-system-silent", "The Client System did not answer")
            }
            Self::ClientSystemRefused => (
                "client-system-refused",
                "The Client System refused the call",
            ),
            Self::ClientSystemUnintelligible => (
                "client-system-unintelligible",
                "The Client System's answer cannot be understood",
            ),
            Self::PartRestarting => (
                "part-restarting",
                "A part of the service is being restarted",
            ),
            Self::PartSilent => ("part-silent", "A part of the service does not answer"),
            Self::TooManyWatchers => ("too-many-watchers", "Too many watch the events already"),
            Self::TooManyQuestions => (
                "too-many-questions",
                "Too many ask the Sync Database already",
            ),
            Self::DatabaseBusy => ("database-busy", "The Sync Database is locked"),
            Self::DatabaseUnavailable => {
                ("database-unavailable", "The Sync Database cannot be used")
            }
            Self::DiskFull => ("disk-full", "The disk is full"),
            Self::IdempotencyKeyReused => (
                "idempotency-key-reused",
                "The idempotency key was used before",
            ),
            Self::NotFound => ("not-found", "There is no such thing"),
            Self::InvalidRequest => ("invalid-request", "The request makes no sense"),
            Self::InvalidReadings => ("invalid-readings", "Some readings are not valid"),
            Self::TooLarge => ("too-large", "The request is too large"),
            Self::PossiblyStored => ("possibly-stored", "The reading may be stored already"),
            Self::Unreadable => ("unreadable", "The reading cannot be sent as it is"),
            Self::TokenNeeded => ("token-needed", "A token is needed"),
            Self::WrongToken => ("wrong-token", "The token is not accepted"),
            Self::TooManyWrongTokens => ("too-many-wrong-tokens", "Too many wrong tokens came"),
            Self::ControlTokenNeeded => ("control-token-needed", "The control token is needed"),
        }
    }
}

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
