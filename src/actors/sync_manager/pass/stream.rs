//! Several batches on their way at once: while some are uploaded, others are settled and the next ones are claimed.
//!
//! A batch that fails is tried again beside the others, once one of these has been dealt with. Until then only one other is
//! begun, and if nothing under way brings certainty, the stream ends: the pass seeks it with one batch at a time.

use std::time::Duration;

use futures_util::{
    StreamExt,
    future::{LocalBoxFuture, OptionFuture},
    stream::FuturesUnordered,
};

use super::{Attempt, Pass, SLOW_SHARE, Source};
use crate::{
    actors::sync_manager::{delivery::Delivered, kit::Broken, unsettled::Open},
    domain::{batch::ClaimOrder, pass::PassEnd},
    messages::database_writer::Claimed,
};

/// Batches that are claimed at once when half as many are left, at most: what shares a commit costs less.
const MOST_AHEAD: usize = 8;
/// The same where few may be under way, and where the Client System limits requests: they may get scarce at any time, and
/// what is claimed by then is small.
const FEWEST_AHEAD: usize = 4;
/// Readings that are claimed at once, where batches hold many: what is built ahead lies in memory.
const READINGS_AHEAD: usize = 16_000;

struct Upload {
    attempt: Attempt,
    /// When it began; none where it was sent before, in this pass or an earlier one.
    begun_at: Option<Duration>,
    delivered: Result<Delivered, Broken>,
    /// Nothing was sent, only written down.
    is_settled_again: bool,
}

/// What is under way.
struct Stream {
    uploads: FuturesUnordered<LocalBoxFuture<'static, Upload>>,
    /// When those of them began that were not sent before.
    begun: Vec<Duration>,
    claim: Option<LocalBoxFuture<'static, (ClaimOrder, Result<Claimed, Broken>)>>,
    /// The first end is the pass's.
    end: Option<Result<PassEnd, Broken>>,
    /// Nothing more is pending.
    is_exhausted: bool,
    /// Nothing new is begun.
    is_closing: bool,
}

impl Stream {
    fn new() -> Self {
        Self {
            uploads: FuturesUnordered::new(),
            begun: Vec::new(),
            claim: None,
            end: None,
            is_exhausted: false,
            is_closing: false,
        }
    }

    fn is_idle(&self) -> bool {
        self.uploads.is_empty() && self.claim.is_none()
    }

    fn forget(&mut self, upload: &Upload) {
        let mut begun = self.begun.iter();
        if let Some(at) = begun.position(|begun| Some(*begun) == upload.begun_at) {
            self.begun.swap_remove(at);
        }
    }

    /// How many of the uploads were sent before.
    fn repeated(&self) -> usize {
        self.uploads.len() - self.begun.len()
    }

    fn close(&mut self) {
        self.is_closing = true;
    }

    fn close_with(&mut self, end: Result<PassEnd, Broken>) {
        self.close();
        self.end.get_or_insert(end);
    }
}

impl Pass {
    /// Whether batches may be on their way side by side: nothing comes before them, and nothing spaces them. What earlier
    /// passes left open goes one by one until the Client System has dealt with something.
    fn may_stream(&self) -> bool {
        (self.repeats.is_empty() || self.window.is_tried())
            && !self.isolation.has_parts()
            && self.kit.may_overlap()
            && self.interrupted().is_none()
    }

    /// Claims and uploads until nothing is pending, or something else has to be done first. Returns the pass's end where
    /// it has to end.
    pub(super) async fn stream(&mut self) -> Result<Option<PassEnd>, Broken> {
        let mut stream = Stream::new();
        loop {
            if let Err(broken) = self.feed(&mut stream).await {
                stream.close_with(Err(broken));
            }
            if stream.is_idle() {
                break;
            }
            self.get_on();
            // By the machine's clock, as the timeouts of the uploads themselves.
            let overdue = self.until_overdue(&stream).map(tokio::time::sleep);
            tokio::select! {
                Some(upload) = stream.uploads.next() => {
                    self.take_delivered(&mut stream, upload).await;
                }
                Some((order, claimed)) = OptionFuture::from(stream.claim.as_mut()) => {
                    stream.claim = None;
                    self.take_next(&mut stream, order, claimed);
                }
                () = self.kit.interrupted(), if !stream.is_closing => stream.close(),
                Some(()) = OptionFuture::from(overdue), if !stream.is_closing => {}
            }
        }
        stream.end.transpose()
    }

    async fn feed(&mut self, stream: &mut Stream) -> Result<(), Broken> {
        if !self.may_stream() {
            stream.close();
        }
        if stream.is_closing {
            return Ok(());
        }
        if self.troubles.in_doubt() {
            return self.try_another_beside(stream).await;
        }
        self.window.keep_to(self.kit.most_in_flight());
        self.take_over_if_due().await?;
        while self.has_room_for_repeats(stream)
            && let Some(open) = self.next_unsettled()
        {
            self.write_down_again(stream, open);
        }
        while self.has_room_for_repeats(stream)
            && let Some(attempt) = self.sent_before_or_parked().await?
        {
            self.send(stream, attempt, None);
        }
        while self.has_room_for_new(stream)
            && let Some(batch) = self.claimed.pop_front()
        {
            self.send_new(stream, Attempt::first((batch, Source::Claim)));
        }
        let wanted = self.wanted_ahead(stream);
        if wanted > 0 {
            let (line, message) = (self.kit.line.clone(), self.next_claim(wanted).await?);
            stream.claim = Some(Box::pin(async move {
                let order = message.order;
                let claimed = match line.claim(message).await {
                    Ok(answer) => answer.map_err(Broken::from),
                    Err(error) => Err(error.into()),
                };
                (order, claimed)
            }));
        }
        Ok(())
    }

    /// Whether anything is taken need not wait until all that is under way has its answer.
    async fn try_another_beside(&mut self, stream: &mut Stream) -> Result<(), Broken> {
        let under_way = stream.uploads.len();
        if (1..self.kit.most_in_flight()).contains(&under_way)
            && let Some(attempt) = self.wanted_attempt().await?
        {
            self.send_new(stream, attempt);
        }
        Ok(())
    }

    /// What was sent before may take its time again, so it takes no more than half of the room, and leaves as much to what
    /// is new as there would be without it.
    fn has_room_for_repeats(&self, stream: &Stream) -> bool {
        stream.uploads.len() < self.kit.most_in_flight()
            && stream.repeated() < self.window.limit().div_ceil(2)
    }

    /// What is not answered in good time is waited for, but not by the others.
    fn has_room_for_new(&self, stream: &Stream) -> bool {
        let now = self.kit.clock.elapsed();
        let in_time = |begun: &&Duration| now.saturating_sub(**begun) < self.good_time();
        let in_time = stream.begun.iter().filter(in_time).count();
        stream.uploads.len() < self.kit.most_in_flight() && in_time < self.window.limit()
    }

    fn good_time(&self) -> Duration {
        self.kit.timeout / SLOW_SHARE
    }

    /// How long until another upload is not answered in good time.
    fn until_overdue(&self, stream: &Stream) -> Option<Duration> {
        let now = self.kit.clock.elapsed();
        let due = stream.begun.iter().map(|begun| *begun + self.good_time());
        due.filter(|due| *due > now).min().map(|due| due - now)
    }

    fn send_new(&self, stream: &mut Stream, attempt: Attempt) {
        let now = self.kit.clock.elapsed();
        stream.begun.push(now);
        self.send(stream, attempt, Some(now));
    }

    fn send(&self, stream: &Stream, attempt: Attempt, begun_at: Option<Duration>) {
        let exchange = self.exchange(&attempt);
        stream.uploads.push(Box::pin(async move {
            let delivered = exchange.await;
            Upload {
                attempt,
                begun_at,
                delivered,
                is_settled_again: false,
            }
        }));
    }

    fn write_down_again(&self, stream: &Stream, open: Open) {
        let line = self.kit.line.clone();
        stream.uploads.push(Box::pin(async move {
            let (attempt, delivered) = line.settle_again(open).await;
            Upload {
                attempt,
                begun_at: None,
                delivered: Ok(delivered),
                is_settled_again: true,
            }
        }));
    }

    /// How many batches to claim now. The first batch finds out what may be sent at all, and how much at once.
    fn wanted_ahead(&self, stream: &Stream) -> usize {
        let waiting = self.claimed.len();
        let is_full = self.kit.unsettled.is_full_with(stream.repeated());
        let is_over = stream.is_exhausted || self.cover.is_complete();
        if stream.claim.is_some() || is_over || is_full {
            0
        } else if self.window.is_tried() {
            let ahead = self.ahead();
            if waiting <= ahead / 2 { ahead } else { 0 }
        } else {
            usize::from(waiting == 0 && stream.begun.is_empty())
        }
    }

    fn ahead(&self) -> usize {
        let most = if self.kit.requests_are_limited() {
            FEWEST_AHEAD
        } else {
            self.kit.most_in_flight().clamp(FEWEST_AHEAD, MOST_AHEAD)
        };
        let size = self.size.limit(self.kit.requests_are_scarce());
        (READINGS_AHEAD / size.max(1)).clamp(2, most)
    }

    fn take_next(
        &mut self,
        stream: &mut Stream,
        order: ClaimOrder,
        claimed: Result<Claimed, Broken>,
    ) {
        match claimed {
            Ok(claimed) => {
                stream.is_exhausted = claimed.batches.is_empty() && order == ClaimOrder::Oldest;
                self.take_claimed(order, claimed);
            }
            Err(broken) => stream.close_with(Err(broken)),
        }
    }

    async fn take_delivered(&mut self, stream: &mut Stream, upload: Upload) {
        stream.forget(&upload);
        let end = match upload.delivered {
            Ok(delivered) if upload.is_settled_again => {
                let taken = self.take_settled_again(upload.attempt, delivered).await;
                taken.transpose()
            }
            Ok(delivered) => self.take_in(upload.attempt, delivered).await.transpose(),
            Err(broken) => Some(Err(broken)),
        };
        if let Some(end) = end {
            stream.close_with(end);
        }
    }
}
