//! What can be done to an exchange, and where.

use std::{fmt, time::Duration};

/// Where in an exchange the harm is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Stage {
    /// When the connection is made, before any byte.
    Connection,
    /// The request has begun; nothing of it is passed on.
    BeforeRequest,
    /// A part of the request is passed on.
    WithinRequest,
    /// The request is passed on whole; the server may be anywhere before, in or after its commit.
    AfterRequest,
    /// The server has answered, so it has committed; nothing of the answer is passed on.
    BeforeAnswer,
    /// A part of the answer is passed on.
    WithinAnswer,
    /// The answer is passed on whole; the connection that the client keeps suffers.
    AfterAnswer,
}

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Harm {
    /// New connections are refused for a while, and idle ones closed. At [`Stage::Connection`] only.
    Refuse,
    /// Both connections end in good order (FIN); within an answer, that truncates it.
    Close,
    /// Both connections are reset (RST).
    Reset,
    /// Nothing moves any more until the client gives up.
    Stall,
    /// Everything stops for a moment and then goes on.
    Delay,
    /// The rest arrives in small pieces.
    Throttle,
    /// The rest has its bits flipped, so that it does not parse. For answers only.
    Garble,
}

/// Which exchange is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// The next one, whatever it is.
    Any,
    /// The next upload of a batch.
    Upload,
}

/// One planned fault.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cut {
    /// Where.
    pub stage: Stage,
    /// What.
    pub harm: Harm,
    /// In which exchange; without meaning at [`Stage::Connection`].
    pub target: Target,
    /// How much of the request or answer is passed on before, as a share in 0..1.
    pub share: f64,
}

impl Cut {
    /// How long [`Harm::Refuse`] lasts.
    pub const REFUSAL: Duration = Duration::from_millis(300);
    /// How long [`Harm::Delay`] lasts.
    pub const DELAY: Duration = Duration::from_millis(200);

    /// All stages with what can be done there.
    pub fn kinds() -> Vec<(Stage, Harm)> {
        use Harm::{Close, Delay, Garble, Refuse, Reset, Stall, Throttle};
        const ON_REQUEST: &[Harm] = &[Close, Reset, Stall, Delay, Throttle];
        const ON_ANSWER: &[Harm] = &[Close, Reset, Stall, Delay, Throttle, Garble];
        let by_stage: [(Stage, &[Harm]); 7] = [
            (Stage::Connection, &[Refuse, Close, Reset, Stall, Delay]),
            (Stage::BeforeRequest, ON_REQUEST),
            (Stage::WithinRequest, ON_REQUEST),
            (Stage::AfterRequest, &[Close, Reset, Stall, Delay]),
            (Stage::BeforeAnswer, ON_ANSWER),
            (Stage::WithinAnswer, ON_ANSWER),
            (Stage::AfterAnswer, &[Close, Reset]),
        ];
        by_stage
            .iter()
            .flat_map(|(stage, harms)| harms.iter().map(|harm| (*stage, *harm)))
            .collect()
    }

    /// So much of `length` bytes is passed on before the harm; never all.
    pub(super) fn position(&self, length: usize) -> usize {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a share of a length"
        )]
        let position = (length as f64 * self.share.clamp(0.0, 1.0)) as usize;
        position.min(length.saturating_sub(1))
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Self::Connection => "connection",
            Self::BeforeRequest => "before the request",
            Self::WithinRequest => "within the request",
            Self::AfterRequest => "after the request",
            Self::BeforeAnswer => "before the answer",
            Self::WithinAnswer => "within the answer",
            Self::AfterAnswer => "after the answer",
        })
    }
}

impl fmt::Display for Harm {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Self::Refuse => "refuse",
            Self::Close => "close",
            Self::Reset => "reset",
            Self::Stall => "stall",
            Self::Delay => "delay",
            Self::Throttle => "throttle",
            Self::Garble => "garble",
        })
    }
}
