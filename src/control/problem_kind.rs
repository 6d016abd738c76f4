//! The kinds of problems that an operator's action may meet, with names that stay the same over versions.

use crate::domain::words::SET_THE_RIGHT_KEY;

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
