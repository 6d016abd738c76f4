//! What the process tells those who supervise it, and what it does when it cannot tell anything any more.

use std::{pin::pin, time::Duration};

use sd_notify::NotifyState;

use crate::{app::Operator, clock::Clock};

/// What is new is told, and the watchdog fed, at least this often.
const LOOK_WITHIN: Duration = Duration::from_secs(5);
/// While the service starts, systemd hears this often that it takes longer, and gives it so much time until the next sign.
const STARTING_BEAT: Duration = Duration::from_secs(2);
const MORE_TIME_USEC: u32 = 60_000_000;
const STARTING: &str = "The Sync Database is being opened and, where an older version left it, brought to the present shape.";
/// So many looks in a row without a sign, and the thread hangs for good. Looks are counted and not time, so that a machine
/// that was suspended is given the same chance.
const LOOK_EVERY: Duration = Duration::from_secs(10);
const LOOKS_WITHOUT_A_SIGN: u32 = 6;

/// Tells systemd, where it listens, that the service serves, and feeds its watchdog for as long as all parts move. Has to be
/// called on the thread of the actors: where that hangs, nothing is fed.
pub(super) fn give(service: Operator) {
    tell_of_readiness();
    let pulse = service.pulse();
    std::thread::spawn(move || end_when_silent(|| pulse.last_sign()));
    let watchdog = sd_notify::watchdog_enabled();
    let is_supervised = std::env::var_os("NOTIFY_SOCKET").is_some();
    actix::spawn(async move {
        let clock = Clock::system();
        let (mut fed_at, mut told) = (Duration::ZERO, String::new());
        loop {
            let is_due =
                watchdog.is_some_and(|within| clock.elapsed().saturating_sub(fed_at) >= within / 3);
            if is_due && service.is_alive() {
                tell_systemd(&[NotifyState::Watchdog]);
                fed_at = clock.elapsed();
            }
            if is_supervised {
                let words = service.status().reason;
                if words != told {
                    tell_systemd(&[NotifyState::Status(&words)]);
                    told = words;
                }
            }
            clock
                .sleep(watchdog.map_or(LOOK_WITHIN, |within| LOOK_WITHIN.min(within / 4)))
                .await;
        }
    });
}

/// Waits for the start, and asks systemd for more time for as long as it goes on: bringing a large database to the present
/// shape may take longer than any limit that fits the usual start.
pub(super) async fn during_start<T>(starting: impl Future<Output = T>) -> T {
    let mut starting = pin!(starting);
    let clock = Clock::system();
    loop {
        tokio::select! {
            started = &mut starting => return started,
            () = clock.sleep(STARTING_BEAT) => tell_systemd(&[
                NotifyState::ExtendTimeoutUsec(MORE_TIME_USEC),
                NotifyState::Status(STARTING),
            ]),
        }
    }
}

/// Tells systemd that the settings are being read again.
pub(super) fn tell_of_reloading() {
    let now = NotifyState::monotonic_usec_now();
    match now {
        Ok(now) => tell_systemd(&[NotifyState::Reloading, now]),
        Err(_) => tell_systemd(&[NotifyState::Reloading]),
    }
}

/// Tells systemd that the service serves, again.
pub(super) fn tell_of_readiness() {
    tell_systemd(&[NotifyState::Ready]);
}

/// Tells systemd that the end is intended.
pub(super) fn tell_of_end() {
    tell_systemd(&[NotifyState::Stopping]);
}

fn tell_systemd(news: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(news) {
        tracing::warn!(%error, "systemd could not be told");
    }
}

/// No part of a process whose thread hangs can be restarted; the process itself can.
fn end_when_silent(last_sign: impl Fn() -> u64) {
    let (mut last, mut looks) = (u64::MAX, 0);
    while looks < LOOKS_WITHOUT_A_SIGN {
        std::thread::sleep(LOOK_EVERY);
        let now = last_sign();
        looks = if now == last { looks + 1 } else { 0 };
        last = now;
    }
    tracing::error!(
        "the thread of the actors has hung for a minute; the process ends, nothing is lost, and a new start takes up where this one ended"
    );
    std::process::exit(1);
}
