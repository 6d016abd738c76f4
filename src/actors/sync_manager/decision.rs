//! From the outcome of a sending to what happens next. Pure: no time, no network, no database.

use std::time::Duration;

use crate::domain::{
    backoff::Backoff,
    batch::{ManifestState, Settlement},
    outcome::{RejectedReading, UploadOutcome},
    pass::PassEnd,
    timestamp::Timestamp,
};

/// Between two tries of a batch: 2, 4, 8, 16, 32 s, never more than 60 s.
pub(super) const UPLOAD_BACKOFF: Backoff = Backoff {
    base: Duration::from_secs(2),
    cap: Duration::from_secs(60),
};
/// A batch that fails in so many passes in a row is parked.
pub(super) const FAILED_PASSES_UNTIL_PARKED: u32 = 3;
/// A pause up to this length is waited for within the pass.
const PATIENCE_WITH_PAUSES: Duration = Duration::from_secs(60);

/// What has been tried with a batch so far.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tries {
    /// Readings in the batch.
    pub(super) length: usize,
    /// Failures in this pass, this outcome not counted.
    pub(super) failures: u32,
    /// Failures after which the batch is given up for this pass: MAX_RETRIES.
    pub(super) max_retries: u32,
    /// Passes in a row in which it was given up.
    pub(super) failed_passes: u32,
    /// Whether it is a part of a batch that was refused.
    pub(super) is_part: bool,
    /// Whether an earlier sending may have stored it, and no refusal has come since.
    pub(super) may_be_stored: bool,
    /// Where its manifest stands.
    pub(super) state: ManifestState,
    /// The time of the outcome.
    pub(super) now: Timestamp,
}

/// What happens next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Decision {
    /// What is written down about the batch; none while it is tried again.
    pub(super) settlement: Option<Settlement>,
    /// What the pass does.
    pub(super) next: Next,
}

/// What the pass does next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// It goes on with other batches.
    GoOn,
    /// It waits and sends the same batch again. The wait is a minimum.
    TryAgain {
        /// How long.
        wait: Duration,
        /// Whether the failed try may have stored the batch.
        sent: bool,
    },
    /// It ends.
    End(PassEnd),
}

fn settle(settlement: Settlement, next: Next) -> Decision {
    Decision {
        settlement: Some(settlement),
        next,
    }
}

fn try_again(wait: Duration, sent: bool) -> Decision {
    Decision {
        settlement: None,
        next: Next::TryAgain { wait, sent },
    }
}

/// The table of answers.
pub(super) fn decide(outcome: &UploadOutcome, tries: Tries) -> Decision {
    let words = outcome.describe();
    match outcome {
        // It would be taken apart under new keys. A Client System that knows keys, and has stored it, says so the second time.
        refusal if tries.may_be_stored && refusal.may_be_passing() => {
            try_again(UPLOAD_BACKOFF.delay(tries.failures + 1), true)
        }
        UploadOutcome::Stored => settle(Settlement::Stored, Next::GoOn),
        UploadOutcome::PartlyStored { rejected } => settle(
            Settlement::PartlyStored {
                rejected: rejected.clone(),
                possibly_stored: false,
                status: 200,
            },
            Next::GoOn,
        ),
        UploadOutcome::Doubtful { doubtful } => settle(
            Settlement::PartlyStored {
                rejected: doubtful.clone(),
                possibly_stored: true,
                status: 200,
            },
            Next::GoOn,
        ),
        UploadOutcome::Refused {
            status,
            named,
            words,
        } => settle(isolate(*status, named, words, tries), Next::GoOn),
        UploadOutcome::TooLarge(words) if tries.length > 1 => {
            settle(halve(413, words, tries.length), Next::GoOn)
        }
        UploadOutcome::TooLarge(words) => settle(
            Settlement::Suspect {
                status: 413,
                words: words.clone(),
            },
            Next::GoOn,
        ),
        UploadOutcome::KeyRefused(_) => {
            settle(Settlement::GiveUp { words, park: true }, Next::GoOn)
        }
        UploadOutcome::Ambiguous { .. } | UploadOutcome::ServerFault { .. } => {
            after_fault(words, tries)
        }
        UploadOutcome::RateLimited {
            status,
            retry_after,
        } => after_rate_limit(*status, *retry_after, words, tries),
        UploadOutcome::Held(until) => after_hold(*until, tries),
        UploadOutcome::Unreachable(cause) => postpone(
            words,
            PassEnd::Offline {
                words: cause.clone(),
            },
        ),
        UploadOutcome::Unauthorized { .. } => {
            postpone(words.clone(), PassEnd::Unauthorized { words })
        }
        UploadOutcome::Misconfigured { .. } | UploadOutcome::EncodingRefused => {
            postpone(words.clone(), PassEnd::Misconfigured { words })
        }
    }
}

fn postpone(words: String, end: PassEnd) -> Decision {
    settle(
        Settlement::Postpone {
            words: Some(words),
            sent: false,
        },
        Next::End(end),
    )
}

/// The named readings are set aside when the server names some but not all; else halves find the bad ones. Some
/// servers name one reading at a time: what is left of a part is halved as well, so that its good readings show.
fn isolate(status: u16, named: &[RejectedReading], words: &str, tries: Tries) -> Settlement {
    let length = tries.length;
    if length == 1 {
        let words = named
            .first()
            .map_or(words, |named| named.words.as_str())
            .to_owned();
        return Settlement::Suspect { status, words };
    }
    if named.is_empty() || named.len() >= length {
        return halve(status, words, length);
    }
    let mut rest: Vec<usize> = (0..length)
        .filter(|position| !named.iter().any(|named| named.position == *position))
        .collect();
    let behind = if tries.is_part && rest.len() > 1 {
        rest.split_off(rest.len().div_ceil(2))
    } else {
        Vec::new()
    };
    let parts = [rest, behind]
        .into_iter()
        .filter(|part| !part.is_empty())
        .collect();
    Settlement::Split {
        parts,
        suspects: named.to_vec(),
        status,
        words: words.to_owned(),
    }
}

fn halve(status: u16, words: &str, length: usize) -> Settlement {
    let middle = length.div_ceil(2);
    let parts = vec![(0..middle).collect(), (middle..length).collect()];
    Settlement::Split {
        parts,
        suspects: Vec::new(),
        status,
        words: words.to_owned(),
    }
}

fn after_fault(words: String, tries: Tries) -> Decision {
    if tries.state == ManifestState::Parked {
        return settle(Settlement::GiveUp { words, park: true }, Next::GoOn);
    }
    if tries.failures < tries.max_retries {
        return try_again(UPLOAD_BACKOFF.delay(tries.failures + 1), true);
    }
    if tries.failed_passes + 1 >= FAILED_PASSES_UNTIL_PARKED {
        return settle(Settlement::GiveUp { words, park: true }, Next::GoOn);
    }
    settle(
        Settlement::GiveUp {
            words: words.clone(),
            park: false,
        },
        Next::End(PassEnd::GivenUp { words }),
    )
}

/// The link went down while the batch waited for another try that may have stored it. A batch that takes the
/// server down with it must not come first for ever, so this counts as a pass in which it was given up.
pub(super) fn cut_off(words: String, failed_passes: u32) -> Settlement {
    Settlement::GiveUp {
        words,
        park: failed_passes + 1 >= FAILED_PASSES_UNTIL_PARKED,
    }
}

/// 429 says that nothing was done. 503 is the server's failure, which only comes with a time to wait.
fn after_rate_limit(
    status: u16,
    retry_after: Option<Duration>,
    words: String,
    tries: Tries,
) -> Decision {
    let (pause, sent) = (retry_after.unwrap_or(Duration::ZERO), status != 429);
    if tries.failures < tries.max_retries && pause <= PATIENCE_WITH_PAUSES {
        return try_again(UPLOAD_BACKOFF.delay(tries.failures + 1).max(pause), sent);
    }
    let end = match retry_after {
        Some(pause) => PassEnd::Held {
            until: Timestamp(tries.now.0 + pause),
        },
        None => PassEnd::GivenUp {
            words: words.clone(),
        },
    };
    if sent {
        let park = tries.failed_passes + 1 >= FAILED_PASSES_UNTIL_PARKED;
        return settle(Settlement::GiveUp { words, park }, Next::End(end));
    }
    postpone(words, end)
}

fn after_hold(until: Timestamp, tries: Tries) -> Decision {
    let pause = (until.0 - tries.now.0).to_std().unwrap_or(Duration::ZERO);
    if pause <= PATIENCE_WITH_PAUSES {
        return try_again(pause, false);
    }
    // Nothing was sent, so there is nothing worth a row in the log.
    settle(
        Settlement::Postpone {
            words: None,
            sent: false,
        },
        Next::End(PassEnd::Held { until }),
    )
}

#[cfg(test)]
#[path = "decision_tests.rs"]
mod tests;
