//! What somebody may do at the local API, and how many were refused.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::timestamp::Timestamp;

/// What somebody may do. A higher one includes the lower.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Grant {
    /// Look at everything.
    Look,
    /// Change what there is to change.
    Change,
}

/// Why a call was refused before anything was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rejection {
    /// It named another machine as its host.
    ForeignHost,
    /// A page from elsewhere made it.
    ForeignOrigin,
    /// It needs a token, and brought none.
    NoToken,
    /// It brought a token that is none of ours.
    WrongToken,
    /// It brought one more after too many.
    TooManyWrongTokens,
    /// It changes something, and its token is for looking only.
    LooksOnly,
}

/// Calls of the local API that were refused before anything was done, since the process started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RefusedCalls {
    /// They named another machine as their host.
    pub foreign_host: u64,
    /// Pages from elsewhere made them.
    pub foreign_origin: u64,
    /// They needed a token, and brought none.
    pub no_token: u64,
    /// They brought a token that is none of ours.
    pub wrong_token: u64,
    /// They brought one more after too many.
    pub too_many_wrong_tokens: u64,
    /// They would have changed something, and their token is for looking only.
    pub looks_only: u64,
    /// When a wrong token came last.
    pub last_wrong_token_at: Option<Timestamp>,
}

impl RefusedCalls {
    /// Counts one more.
    pub fn count(&mut self, rejection: Rejection, now: Timestamp) {
        let count = match rejection {
            Rejection::ForeignHost => &mut self.foreign_host,
            Rejection::ForeignOrigin => &mut self.foreign_origin,
            Rejection::NoToken => &mut self.no_token,
            Rejection::WrongToken => {
                self.last_wrong_token_at = Some(now);
                &mut self.wrong_token
            }
            Rejection::TooManyWrongTokens => {
                self.last_wrong_token_at = Some(now);
                &mut self.too_many_wrong_tokens
            }
            Rejection::LooksOnly => &mut self.looks_only,
        };
        *count = count.saturating_add(1);
    }

    /// Every reason under its name, with its number.
    pub fn by_reason(&self) -> [(&'static str, u64); 6] {
        [
            ("foreign_host", self.foreign_host),
            ("foreign_origin", self.foreign_origin),
            ("no_token", self.no_token),
            ("wrong_token", self.wrong_token),
            ("too_many_wrong_tokens", self.too_many_wrong_tokens),
            ("looks_only", self.looks_only),
        ]
    }
}
