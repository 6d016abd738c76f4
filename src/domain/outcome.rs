//! What became of a call to the Client System, in the classes that decide what happens next.

use std::time::Duration;

use super::{timestamp::Timestamp, words::counted};

/// A reading that the Client System did not take, by its position in the batch, with the server's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RejectedReading {
    /// Position in the batch's body, from 0.
    pub position: usize,
    /// Why, in the server's words.
    pub words: String,
}

/// What became of one sending of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UploadOutcome {
    /// The Client System has every reading of the batch.
    Stored,
    /// A part is known to be stored; exactly the rejected readings are not.
    PartlyStored {
        /// The readings that were not stored.
        rejected: Vec<RejectedReading>,
    },
    /// Some readings may or may not be stored, and the server's words do not say which; the rest is stored.
    Doubtful {
        /// The readings that may be meant.
        doubtful: Vec<RejectedReading>,
    },
    /// Definitely nothing was stored, because of the content.
    Refused {
        /// HTTP status.
        status: u16,
        /// The readings that the server names by index; empty when it names none.
        named: Vec<RejectedReading>,
        /// The server's words.
        words: String,
    },
    /// No connection came about: nothing was sent.
    Unreachable(String),
    /// The batch may or may not have been stored.
    Ambiguous {
        /// What happened.
        words: String,
        /// Whether no answer came in time.
        timed_out: bool,
    },
    /// The Client System failed: 5xx, 408, 409, 425. The batch may or may not have been stored.
    ServerFault {
        /// HTTP status.
        status: u16,
        /// The server's words.
        words: String,
    },
    /// 429, or 503 with a time to wait: nothing was stored.
    RateLimited {
        /// HTTP status.
        status: u16,
        /// How long the server wants to be left alone, where it says so.
        retry_after: Option<Duration>,
    },
    /// 401 or 403: the key is not accepted.
    Unauthorized {
        /// HTTP status.
        status: u16,
        /// The server's words.
        words: String,
    },
    /// 413: the batch is too large.
    TooLarge(String),
    /// 415: the server does not take this Content-Encoding.
    EncodingRefused,
    /// 422 about the idempotency key itself: this batch cannot be sent as it is.
    KeyRefused(String),
    /// Any other 4xx, or a redirect: the address or the server is not what it should be.
    Misconfigured {
        /// HTTP status.
        status: u16,
        /// The server's words.
        words: String,
    },
    /// Not sent: all calls wait until this time.
    Held(Timestamp),
}

impl UploadOutcome {
    /// Whether the outcome settles its batch for good, so that sending the same key again could only do harm.
    pub fn is_definite(&self) -> bool {
        matches!(
            self,
            Self::Stored | Self::PartlyStored { .. } | Self::Doubtful { .. } | Self::Refused { .. }
        ) && !self.may_be_passing()
    }

    /// Whether this refuses a batch without judging its content: the proxy in front of the Client System, or its database, may
    /// say something else a moment later. What names readings is a judgement, and was the same before.
    pub fn may_be_passing(&self) -> bool {
        match self {
            Self::Refused { status, named, .. } => *status < 400 || named.is_empty(),
            Self::TooLarge(_) => true,
            _ => false,
        }
    }

    /// Whether the Client System may have stored the batch although nobody knows.
    pub fn is_ambiguous(&self) -> bool {
        matches!(self, Self::Ambiguous { .. } | Self::ServerFault { .. })
    }

    /// The class's name, as used in logs and metrics.
    pub fn class(&self) -> &'static str {
        match self {
            Self::Stored => "stored",
            Self::PartlyStored { .. } => "partly_stored",
            Self::Doubtful { .. } => "doubtful",
            Self::Refused { .. } => "refused",
            Self::Unreachable(_) => "unreachable",
            Self::Ambiguous { .. } => "ambiguous",
            Self::ServerFault { .. } => "server_fault",
            Self::RateLimited { .. } => "rate_limited",
            Self::Unauthorized { .. } => "unauthorized",
            Self::TooLarge(_) => "too_large",
            Self::EncodingRefused => "encoding_refused",
            Self::KeyRefused(_) => "key_refused",
            Self::Misconfigured { .. } => "misconfigured",
            Self::Held(_) => "held",
        }
    }

    /// One sentence for logs, the operation log and `/status`.
    pub fn describe(&self) -> String {
        match self {
            Self::Stored => "stored".to_owned(),
            Self::PartlyStored { rejected } => format!(
                "stored but for {} that the Client System refused",
                counted(rejected.len(), "reading", "readings")
            ),
            Self::Doubtful { doubtful } => format!(
                "the Client System's answer leaves open whether {} stored",
                counted(doubtful.len(), "reading was", "readings were")
            ),
            Self::Refused { status, words, .. } => {
                format!("refused as invalid data ({status}): {words}")
            }
            Self::Unreachable(words) => format!("Client System unreachable: {words}"),
            Self::Ambiguous { words, .. } => {
                format!("no clear answer, the batch may have been stored: {words}")
            }
            Self::ServerFault { status, words } => {
                format!("the Client System failed ({status}): {words}")
            }
            Self::RateLimited { status, .. } => {
                format!("the Client System limits the rate of calls ({status})")
            }
            Self::Unauthorized { status, words } => {
                format!("the Client System does not accept the API key ({status}): {words}")
            }
            Self::TooLarge(words) => {
                format!("the batch is too large for the Client System (413): {words}")
            }
            Self::EncodingRefused => {
                "the Client System does not take compressed requests (415)".to_owned()
            }
            Self::KeyRefused(words) => {
                format!("the Client System refuses this batch's idempotency key (422): {words}")
            }
            Self::Misconfigured { status, words } => format!(
                "the Client System's address does not answer as it should ({status}): {words}"
            ),
            Self::Held(until) => format!("held until {until} at the Client System's wish"),
        }
    }
}

/// Why a call other than an upload did not succeed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallFailure {
    /// No connection came about.
    #[error("Client System unreachable: {0}")]
    Unreachable(String),
    /// No complete answer came.
    #[error("no clear answer from the Client System: {0}")]
    NoAnswer(String),
    /// Not sent: all calls wait until this time.
    #[error("held until {0} at the Client System's wish")]
    Held(Timestamp),
    /// The key is not accepted.
    #[error("the Client System does not accept the API key ({status}): {words}")]
    Unauthorized {
        /// HTTP status.
        status: u16,
        /// The server's words.
        words: String,
    },
    /// An answer that is no success.
    #[error("the Client System answered {status}: {words}")]
    Refused {
        /// HTTP status.
        status: u16,
        /// The server's words.
        words: String,
    },
    /// A successful answer that makes no sense.
    #[error("the Client System's answer cannot be understood: {0}")]
    Unintelligible(String),
}
