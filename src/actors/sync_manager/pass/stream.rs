//! Several batches on their way at once, for as long as all goes well: while some are uploaded, others are settled and the
//! next ones are claimed.
//!
//! The first batch that fares otherwise ends the stream. What is under way is waited for, and then one after another is
//! seen through: what a failure means for the batches behind it is only known when it is over.

use std::{collections::VecDeque, future::Future};

use futures_util::{
    StreamExt,
    future::{LocalBoxFuture, OptionFuture},
    stream::FuturesUnordered,
};

use super::{Pass, Source};
use crate::{
    actors::sync_manager::{decision::Next, delivery::Delivered, kit::Broken},
    domain::{
        batch::{Batch, ClaimOrder},
        outcome::UploadOutcome,
        pass::PassEnd,
    },
    messages::database_writer::Claimed,
};

/// Batches that are claimed at once when half as many are left: what shares a commit costs less.
const AHEAD: usize = 4;

type Upload = (Batch, Result<Delivered, Broken>);

/// What is under way.
struct Stream {
    uploads: FuturesUnordered<LocalBoxFuture<'static, Upload>>,
    claim: Option<LocalBoxFuture<'static, (ClaimOrder, Result<Claimed, Broken>)>>,
    /// What has to be seen through.
    troubled: VecDeque<(Batch, Delivered)>,
    broken: Option<Broken>,
    /// Nothing more is pending.
    is_exhausted: bool,
    /// Nothing new is begun.
    is_closing: bool,
}

impl Stream {
    fn new() -> Self {
        Self {
            uploads: FuturesUnordered::new(),
            claim: None,
            troubled: VecDeque::new(),
            broken: None,
            is_exhausted: false,
            is_closing: false,
        }
    }

    fn is_idle(&self) -> bool {
        self.uploads.is_empty() && self.claim.is_none()
    }

    fn close(&mut self) {
        self.is_closing = true;
    }

    fn close_broken(&mut self, broken: Broken) {
        self.close();
        self.broken.get_or_insert(broken);
    }
}

impl Pass {
    /// Whether claimed batches may be on their way side by side: nothing comes before them, and nothing spaces them.
    fn may_stream(&self) -> bool {
        self.repeats.is_empty()
            && !self.isolation.has_parts()
            && self.kit.may_overlap()
            && self.interrupted().is_none()
    }

    /// Claims and uploads until nothing is pending, or something else has to be done first. Returns the pass's end where
    /// it has to end.
    pub(super) async fn stream(&mut self) -> Result<Option<PassEnd>, Broken> {
        let mut stream = Stream::new();
        loop {
            self.take_over_if_due().await?;
            if !self.may_stream() {
                stream.close();
            }
            self.feed(&mut stream);
            if stream.is_idle() {
                break;
            }
            self.get_on();
            tokio::select! {
                Some((batch, delivered)) = stream.uploads.next() => {
                    self.take_delivered(&mut stream, batch, delivered).await?;
                }
                Some((order, claimed)) = OptionFuture::from(stream.claim.as_mut()) => {
                    stream.claim = None;
                    self.take_next(&mut stream, order, claimed);
                }
                () = self.kit.interrupted(), if !stream.is_closing => stream.close(),
            }
        }
        match stream.broken {
            Some(broken) => Err(broken),
            None => self.see_all_through(stream.troubled).await,
        }
    }

    fn feed(&mut self, stream: &mut Stream) {
        if stream.is_closing {
            return;
        }
        while stream.uploads.len() < self.window.limit()
            && let Some(batch) = self.claimed.pop_front()
        {
            let exchange = self.exchange(&batch, Source::Claim, 0);
            stream.uploads.push(Box::pin(with(batch, exchange)));
        }
        let wanted = self.wanted_ahead(stream);
        if wanted > 0 {
            let (line, message) = (self.kit.line.clone(), self.next_claim(wanted));
            stream.claim = Some(Box::pin(async move {
                let order = message.order;
                let claimed = match line.claim(message).await {
                    Ok(answer) => answer.map_err(Broken::from),
                    Err(error) => Err(error.into()),
                };
                (order, claimed)
            }));
        }
    }

    /// How many batches to claim now. The first batch finds out what may be sent at all, and how much at once.
    fn wanted_ahead(&self, stream: &Stream) -> usize {
        let waiting = self.claimed.len();
        if stream.claim.is_some() || stream.is_exhausted {
            0
        } else if self.window.is_tried() {
            if waiting <= AHEAD / 2 { AHEAD } else { 0 }
        } else {
            usize::from(waiting == 0 && stream.uploads.is_empty())
        }
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
            Err(broken) => stream.close_broken(broken),
        }
    }

    async fn take_delivered(
        &mut self,
        stream: &mut Stream,
        batch: Batch,
        delivered: Result<Delivered, Broken>,
    ) -> Result<(), Broken> {
        let delivered = match delivered {
            Ok(delivered) => delivered,
            Err(broken) => {
                stream.close_broken(broken);
                return Ok(());
            }
        };
        if !is_well(&delivered) {
            self.window.failed();
            stream.close();
            stream.troubled.push_back((batch, delivered));
            return Ok(());
        }
        self.window
            .accepted(delivered.took, !self.claimed.is_empty());
        let end = self.see_through(batch, Source::Claim, delivered).await;
        debug_assert!(!matches!(end, Ok(Some(_))), "what is stored ends no pass");
        end.map(drop)
    }

    /// The first end is the pass's; what is still open then is left to the next one.
    async fn see_all_through(
        &mut self,
        troubled: VecDeque<(Batch, Delivered)>,
    ) -> Result<Option<PassEnd>, Broken> {
        let mut end = None;
        for (batch, delivered) in troubled {
            match &end {
                None => end = self.see_through(batch, Source::Claim, delivered).await?,
                Some(end) if delivered.try_again().is_some() => {
                    self.cut_short(&batch, &delivered, end).await?;
                }
                Some(_) => {
                    self.after_settlement(&batch, Source::Claim, delivered)
                        .await?;
                }
            }
        }
        Ok(end)
    }
}

/// Whether a batch is done, and its outcome says nothing about those behind it.
fn is_well(delivered: &Delivered) -> bool {
    let is_taken = matches!(
        delivered.outcome,
        UploadOutcome::Stored | UploadOutcome::PartlyStored { .. } | UploadOutcome::Doubtful { .. }
    );
    is_taken && delivered.decision.next == Next::GoOn
}

async fn with<T>(batch: Batch, work: impl Future<Output = T>) -> (Batch, T) {
    (batch, work.await)
}
