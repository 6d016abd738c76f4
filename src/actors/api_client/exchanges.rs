//! The uploads under way, one per key. They belong to the process, not to one life of the API client: an
//! exchange whose asker or whose actor is restarted goes on, and whoever asks for the same key joins it.

use std::{
    cell::RefCell,
    collections::{HashMap, VecDeque},
    rc::Rc,
};

use futures_util::{
    FutureExt,
    future::{LocalBoxFuture, Shared},
};

use crate::domain::{batch::IdempotencyKey, outcome::UploadOutcome};

type SharedOutcome = Shared<LocalBoxFuture<'static, UploadOutcome>>;

/// Uploads under way and the last definite outcomes.
#[derive(Default)]
pub struct Exchanges {
    under_way: RefCell<HashMap<IdempotencyKey, SharedOutcome>>,
    /// A definite outcome whose settling was interrupted is told again instead of sending again.
    definite: RefCell<VecDeque<(IdempotencyKey, UploadOutcome)>>,
}

impl Exchanges {
    /// Definite outcomes that are kept; more than there are batches between upload and settling.
    const KEPT: usize = 256;

    /// How many are under way.
    pub fn len(&self) -> usize {
        self.under_way.borrow().len()
    }

    /// Whether none is under way.
    pub fn is_empty(&self) -> bool {
        self.under_way.borrow().is_empty()
    }

    /// The outcome for a key: of the exchange under way, the definite one that is known, or of the exchange
    /// that `begin` makes.
    pub(super) fn join_or_begin(
        self: &Rc<Self>,
        key: &IdempotencyKey,
        begin: impl FnOnce() -> LocalBoxFuture<'static, UploadOutcome>,
    ) -> LocalBoxFuture<'static, UploadOutcome> {
        if let Some(exchange) = self.under_way.borrow().get(key) {
            tracing::debug!(%key, "joined an exchange under way");
            return exchange.clone().boxed_local();
        }
        let known = self
            .definite
            .borrow()
            .iter()
            .find(|(known, _)| known == key)
            .map(|(_, outcome)| outcome.clone());
        if let Some(outcome) = known {
            tracing::debug!(%key, "the outcome is known already");
            return std::future::ready(outcome).boxed_local();
        }
        let exchange = self.run_detached(key.clone(), begin());
        self.under_way
            .borrow_mut()
            .insert(key.clone(), exchange.clone());
        exchange.boxed_local()
    }

    fn run_detached(
        self: &Rc<Self>,
        key: IdempotencyKey,
        work: LocalBoxFuture<'static, UploadOutcome>,
    ) -> SharedOutcome {
        let (exchanges, known_key) = (self.clone(), key.clone());
        let task = actix::spawn(work);
        let outcome = async move {
            let outcome = task
                .await
                .unwrap_or_else(|failure| UploadOutcome::Ambiguous {
                    words: format!("the exchange itself failed: {failure}"),
                    timed_out: false,
                });
            exchanges.finish(known_key, &outcome);
            outcome
        };
        let shared = outcome.boxed_local().shared();
        // Someone has to drive it to its end even if everyone who asked is gone.
        actix::spawn(shared.clone().map(drop));
        shared
    }

    fn finish(&self, key: IdempotencyKey, outcome: &UploadOutcome) {
        self.under_way.borrow_mut().remove(&key);
        if outcome.is_definite() {
            let mut definite = self.definite.borrow_mut();
            if definite.len() == Self::KEPT {
                definite.pop_front();
            }
            definite.push_back((key, outcome.clone()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    fn key(name: &str) -> IdempotencyKey {
        IdempotencyKey(name.to_owned())
    }

    #[actix::test]
    async fn a_second_request_joins_and_a_definite_outcome_is_told_again() {
        let (exchanges, begun) = (Rc::new(Exchanges::default()), Rc::new(Cell::new(0)));
        let begin = |outcome: UploadOutcome| {
            let begun = begun.clone();
            move || {
                begun.set(begun.get() + 1);
                async move {
                    tokio::task::yield_now().await;
                    outcome
                }
                .boxed_local()
            }
        };
        let first = exchanges.join_or_begin(&key("a"), begin(UploadOutcome::Stored));
        let second = exchanges.join_or_begin(&key("a"), begin(UploadOutcome::Stored));
        assert_eq!(exchanges.len(), 1);
        drop(first);
        assert_eq!(second.await, UploadOutcome::Stored);
        assert_eq!(
            exchanges
                .join_or_begin(&key("a"), begin(UploadOutcome::Stored))
                .await,
            UploadOutcome::Stored
        );
        assert_eq!(begun.get(), 1);

        let fault = UploadOutcome::ServerFault {
            status: 500,
            words: String::new(),
        };
        assert_eq!(
            exchanges
                .join_or_begin(&key("b"), begin(fault.clone()))
                .await,
            fault
        );
        assert_eq!(
            exchanges
                .join_or_begin(&key("b"), begin(UploadOutcome::Stored))
                .await,
            UploadOutcome::Stored
        );
        assert!(exchanges.is_empty());
    }

    #[actix::test]
    async fn an_exchange_goes_on_when_nobody_waits_and_a_panic_is_ambiguous() {
        let exchanges = Rc::new(Exchanges::default());
        drop(exchanges.join_or_begin(&key("a"), || async { UploadOutcome::Stored }.boxed_local()));
        for _ in 0..5 {
            tokio::task::yield_now().await;
        }
        assert!(exchanges.is_empty());
        let outcome = exchanges
            .join_or_begin(&key("b"), || async { panic!("planned") }.boxed_local())
            .await;
        assert!(outcome.is_ambiguous());
    }
}
