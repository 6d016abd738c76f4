//! A bar on the terminal while a pass uploads.

use std::{
    convert::Infallible,
    future::Future,
    io::{self, IsTerminal},
    time::Duration,
};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::{service::Service, text::lasting_about};
use crate::{clock::Clock, domain::status::ServiceStatus};

const LOOK_EVERY: Duration = Duration::from_millis(250);
const TEMPLATE: &str = "{bar:30} {percent:>3}%  {human_pos} of {human_len} readings  {msg}";

/// Shows the progress for as long as the work takes, where somebody sees it. That the progress cannot be known is no
/// reason to end the work.
pub(super) async fn shown_while<T>(service: &Service, work: impl Future<Output = T>) -> T {
    if !io::stderr().is_terminal() {
        return work.await;
    }
    let bar = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr());
    if let Ok(style) = ProgressStyle::with_template(TEMPLATE) {
        bar.set_style(style);
    }
    let outcome = tokio::select! {
        outcome = work => outcome,
        never = follow(service, &bar) => match never {},
    };
    bar.finish_and_clear();
    outcome
}

async fn follow(service: &Service, bar: &ProgressBar) -> Infallible {
    let clock = Clock::system();
    let mut before = None;
    loop {
        if let Ok(status) = service.status().await {
            let status = &status.content;
            let before = *before.get_or_insert(status.sync.total_synced);
            let progress = Progress::of(status, before);
            bar.set_length(progress.of);
            bar.set_position(progress.delivered);
            bar.set_message(progress.words);
        }
        clock.sleep(LOOK_EVERY).await;
    }
}

#[derive(Debug, PartialEq, Eq)]
struct Progress {
    delivered: u64,
    of: u64,
    words: String,
}

impl Progress {
    /// How far it is, where so many readings were delivered before it began.
    fn of(status: &ServiceStatus, before: u64) -> Self {
        let delivered = status.sync.total_synced.saturating_sub(before);
        let eta = status.queue.eta_s.map_or_else(String::new, |seconds| {
            format!(", about {} left", lasting_about(seconds))
        });
        Self {
            delivered,
            of: delivered + status.queue.pending,
            words: format!("{:.0}/s{eta}", status.queue.drain_rate_per_s),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::status::tests::status, *};

    #[test]
    fn delivered_and_pending_make_the_bar() {
        assert_eq!(
            Progress::of(&status("syncing"), 1_150),
            Progress {
                delivered: 50,
                of: 55,
                words: "12/s, about 1 min 2 s left".to_owned()
            }
        );
        assert!(ProgressStyle::with_template(TEMPLATE).is_ok());
    }
}
