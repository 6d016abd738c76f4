//! One sending of one batch, from the kept body to the class of the answer.

use std::rc::Rc;

use actix_web::web::Bytes;
use tracing::Instrument;

use super::{
    Line,
    wire::{Call, NoAnswer},
};
use crate::{
    actors::STANDSTILL_MARGIN,
    domain::{
        compression::Coding,
        outcome::{RejectedReading, UploadOutcome},
        store::Fact,
    },
    messages::api_client::UploadBatch,
    upstream::{
        answer::Answer,
        body,
        classify::{Sending, classify_upload, row_failure_mode, says_all_stored},
    },
};

/// What the heads of a request and of its answer, and the answer's body, come to beside the body of the request.
const HEAD_BYTES: usize = 1024;

/// Codings that may be tried one after another.
const CODINGS: u32 = 3;

pub(super) struct Uploader {
    line: Rc<Line>,
    message: UploadBatch,
}

impl Uploader {
    pub(super) fn new(line: Rc<Line>, message: UploadBatch) -> Self {
        Self { line, message }
    }

    pub(super) async fn run(self) -> UploadOutcome {
        let span =
            tracing::info_span!(parent: &self.message.span, "upload", key = %self.message.key);
        let clock = self.line.parts.clock.clone();
        let begun = clock.elapsed();
        let outcome = self.upload_in_time().instrument(span.clone()).await;
        let took = clock.elapsed().saturating_sub(begun);
        let metrics = &self.line.parts.metrics;
        metrics.observe_upload(outcome.class(), self.message.readings, took);
        span.in_scope(|| {
            tracing::debug!(
                outcome = outcome.class(),
                milliseconds = took.as_millis() as u64,
                "an upload ended"
            )
        });
        outcome
    }

    /// Every exchange has its own timeout. One that goes on beyond it is wedged; its batch must not be.
    async fn upload_in_time(&self) -> UploadOutcome {
        // More than one exchange where the server does not take compressed requests.
        let wanted = self.message.timeout * CODINGS + STANDSTILL_MARGIN;
        let progress = &self.line.parts.progress;
        let allowed = progress.allowance(wanted);
        match tokio::time::timeout(allowed, self.upload()).await {
            Ok(outcome) => outcome,
            Err(_) => {
                progress.gave_up("an upload", wanted);
                UploadOutcome::Ambiguous {
                    words: format!("the upload did not end within {} s", allowed.as_secs_f64()),
                    timed_out: true,
                }
            }
        }
    }

    async fn upload(&self) -> UploadOutcome {
        if let Some(until) = self.line.hold() {
            return UploadOutcome::Held(until);
        }
        let points = &self.line.parts.failure_points;
        points.pass("api_client.exchange");
        points.hang_if_armed("api_client.exchange").await;
        // What was remembered may have been read only after the start.
        self.line.publish_codings();
        let mut outcome = UploadOutcome::EncodingRefused;
        // Each refusal leaves less to try.
        for _ in 0..CODINGS {
            let coding = self.line.coding(Coding::of(&self.message.body));
            outcome = self.send(coding).await;
            if outcome != UploadOutcome::EncodingRefused || coding == Coding::Identity {
                break;
            }
            self.line.note_refused(coding);
        }
        match outcome {
            UploadOutcome::EncodingRefused => UploadOutcome::Misconfigured {
                status: 415,
                words: "plain JSON is refused as well".to_owned(),
            },
            other => other,
        }
    }

    async fn send(&self, coding: Coding) -> UploadOutcome {
        // What has lain in the database for a while is looked at before it goes out under its key again.
        if self.message.repeated
            && let Err(damage) = body::decompress(&self.message.body)
        {
            return self.unsendable(&damage);
        }
        let mut call = match self.call(coding) {
            Ok(call) => call,
            Err(damage) => return self.unsendable(&damage),
        };
        call.headers
            .push(("idempotency-key", self.message.key.0.clone()));
        let bytes = call.body.len() + HEAD_BYTES;
        let result = self.line.exchange(call).await;
        self.line.space_uploads(bytes);
        match result {
            Ok(answer) => {
                if answer.offers_zstd {
                    self.line.note_zstd_offer();
                }
                self.classify(&answer)
            }
            Err(NoAnswer::Unreachable(words)) => UploadOutcome::Unreachable(words),
            Err(NoAnswer::Broken(words)) => UploadOutcome::Ambiguous {
                words,
                timed_out: false,
            },
            Err(NoAnswer::TimedOut(words)) => UploadOutcome::Ambiguous {
                words,
                timed_out: true,
            },
        }
    }

    fn call(&self, coding: Coding) -> Result<Call, body::DamagedBody> {
        let kept = &self.message.body;
        let body = if coding == Coding::of(kept) {
            Bytes::from_owner(kept.clone())
        } else {
            body::recode(kept, coding)?.into()
        };
        let mut call = Call::post("/sync/readings/batch", body, self.message.timeout);
        let name = coding.name();
        call.headers
            .extend(name.map(|name| ("content-encoding", name.to_owned())));
        Ok(call)
    }

    /// The database holds something else than this service wrote there. These bytes will never be sent again under their
    /// key, and whether an earlier sending was stored nobody can tell.
    fn unsendable(&self, damage: &body::DamagedBody) -> UploadOutcome {
        tracing::error!(key = %self.message.key, %damage, "a batch cannot be sent any more; its readings go to quarantine");
        let reading = |position| RejectedReading {
            position,
            words: damage.to_string(),
        };
        UploadOutcome::Doubtful {
            doubtful: (0..self.message.readings).map(reading).collect(),
        }
    }

    fn classify(&self, answer: &Answer) -> UploadOutcome {
        if says_all_stored(answer, self.message.readings) {
            return UploadOutcome::Stored;
        }
        let kept = body::decompress(&self.message.body).and_then(|json| body::meters(&json));
        let meters = match kept {
            Ok(meters) => meters,
            Err(damage) if is_verdict(answer.status) => return self.unsendable(&damage),
            // A pause or a fault has nothing to do with what was sent.
            Err(_) => Vec::new(),
        };
        let sending = Sending {
            meters: &meters,
            repeated: self.message.repeated,
            keeps_rows_on_failure: self.line.parts.knowledge.keeps_rows_on_failure.get(),
        };
        if let Some(keeps) = row_failure_mode(answer, &sending)
            .filter(|keeps| sending.keeps_rows_on_failure != Some(*keeps))
        {
            self.line
                .parts
                .knowledge
                .keeps_rows_on_failure
                .set(Some(keeps));
            self.line.remember(
                Fact::RowFailureMode,
                if keeps { "keeps" } else { "aborts" }.to_owned(),
            );
        }
        let sending = Sending {
            keeps_rows_on_failure: self.line.parts.knowledge.keeps_rows_on_failure.get(),
            ..sending
        };
        classify_upload(answer, &sending)
    }
}

/// Whether an answer judges what was sent.
fn is_verdict(status: u16) -> bool {
    matches!(status, 200..=299 | 400 | 413 | 422)
}
