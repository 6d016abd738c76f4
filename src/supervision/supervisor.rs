//! The supervisor: polls an actor's own future, catches what it throws, and restarts it in place.
//!
//! `actix::Supervisor` reacts to a stop only; a panic closes the mailbox for good. Here the actor's future is
//! polled inside `catch_unwind`, and restarting it keeps the address and the messages that wait behind the one
//! that failed. That one alone is answered with a closed mailbox. An actor that does not get on with what it has in hand
//! has failed as well.

use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Poll, ready},
    time::Duration,
};

use actix::{Actor, Addr, AsyncContext, Context, Supervised, dev::ContextFut};
use tokio::{sync::mpsc, task::AbortHandle};

use super::{
    board::Board,
    intensity::{Intensity, IntensityLimit},
    progress::Progress,
};
use crate::{
    clock::Clock,
    domain::{backoff::Backoff, status::ActorState},
};

/// An actor that can be restarted: [`Supervised::restarting`] must rebuild its state from its dependencies.
pub trait SupervisedActor: Actor<Context = Context<Self>> + Supervised {
    /// The name shown in `/status`.
    const NAME: &'static str;

    /// What it has in hand.
    fn progress(&self) -> Progress;
}

/// An actor failed more often than the limit allows; the process has to end.
#[derive(Clone, Debug, thiserror::Error)]
#[error("the {actor} failed again and again, at last with: {failure}")]
pub struct Escalation {
    /// The actor's name.
    pub actor: &'static str,
    /// The last failure.
    pub failure: String,
}

/// An address that exists before its actor does, so that actors can be given each other's addresses.
pub struct Seat<A: SupervisedActor>(Context<A>);

impl<A: SupervisedActor> Seat<A> {
    /// Reserves an address with room for `capacity` waiting messages.
    pub fn with_capacity(capacity: usize) -> Self {
        let mut context = Context::new();
        context.set_mailbox_capacity(capacity);
        Self(context)
    }

    /// The address.
    pub fn address(&self) -> Addr<A> {
        self.0.address()
    }
}

/// What all supervised actors of one service instance share.
#[derive(Clone)]
pub struct Supervisor {
    clock: Clock,
    board: Board,
    limit: IntensityLimit,
    escalations: mpsc::UnboundedSender<Escalation>,
    tasks: Arc<Mutex<Vec<AbortHandle>>>,
}

impl Supervisor {
    const BACKOFF: Backoff = Backoff {
        base: Duration::from_millis(100),
        cap: Duration::from_secs(10),
    };

    /// Supervises with the given limit; escalations come out of the returned channel.
    pub fn new(
        clock: Clock,
        board: Board,
        limit: IntensityLimit,
    ) -> (Self, mpsc::UnboundedReceiver<Escalation>) {
        let (escalations, receiver) = mpsc::unbounded_channel();
        (
            Self {
                clock,
                board,
                limit,
                escalations,
                tasks: Arc::default(),
            },
            receiver,
        )
    }

    /// Starts an actor on its seat, on the current arbiter, and keeps it alive.
    pub fn start<A: SupervisedActor>(&self, seat: Seat<A>, actor: A) {
        let progress = actor.progress();
        let future = seat.0.into_future(actor);
        let place = self.board.enter(A::NAME, progress.clone());
        let task = actix::spawn(self.clone().keep_alive(future, place, progress));
        self.tasks
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(task.abort_handle());
    }

    /// Ends all actors for good. Actors hold each other's addresses, so they would never end by themselves.
    pub fn end_all(&self) {
        for task in self
            .tasks
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .drain(..)
        {
            task.abort();
        }
    }

    async fn keep_alive<A: SupervisedActor>(
        self,
        mut future: ContextFut<A, Context<A>>,
        place: usize,
        progress: Progress,
    ) {
        let mut intensity = Intensity::new(self.limit);
        loop {
            let failure = tokio::select! {
                failure = run_until_failure(&mut future) => failure,
                words = progress.wedged() => Some(words),
            };
            let Some(failure) = failure else {
                self.board.note_state(place, ActorState::Stopped);
                return;
            };
            tracing::error!(actor = A::NAME, failure, "an actor failed");
            let failures = intensity.record(self.clock.elapsed());
            self.board.note_failure(place, &failure);
            // Restarting comes before waiting: it drops the reply of the message that failed, whose sender
            // would hang through the wait otherwise.
            let restarted = catch_unwind(AssertUnwindSafe(|| future.restart()));
            match (failures, restarted) {
                (Some(failures), Ok(true)) => {
                    self.clock.sleep(Self::BACKOFF.delay(failures)).await;
                    self.board.note_state(place, ActorState::Running);
                    tracing::info!(actor = A::NAME, "an actor was restarted");
                }
                (_, Ok(false)) => {
                    self.board.note_state(place, ActorState::Stopped);
                    return;
                }
                _ => {
                    self.board.note_state(place, ActorState::Stopped);
                    let _ = self.escalations.send(Escalation {
                        actor: A::NAME,
                        failure,
                    });
                    let _ = catch_unwind(AssertUnwindSafe(|| drop(future)));
                    return;
                }
            }
        }
    }
}

/// Drives the actor. Returns the failure in words, or none when nobody holds its address any more.
async fn run_until_failure<A: SupervisedActor>(
    future: &mut ContextFut<A, Context<A>>,
) -> Option<String> {
    let ended = std::future::poll_fn(|context| {
        let polled = catch_unwind(AssertUnwindSafe(|| Pin::new(&mut *future).poll(context)));
        match polled {
            Ok(poll) => {
                ready!(poll);
                Poll::Ready(Ok(()))
            }
            Err(panic) => Poll::Ready(Err(words_of(panic.as_ref()))),
        }
    })
    .await;
    match ended {
        Err(failure) => Some(failure),
        Ok(()) if future.ctx().connected() => {
            Some("the actor stopped without being asked".to_owned())
        }
        Ok(()) => None,
    }
}

/// What a panic said.
pub fn words_of(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(ToString::to_string);
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic without words".to_owned())
}

#[cfg(test)]
#[path = "supervisor_tests.rs"]
mod tests;
