//! Remembers that somebody met a page that cannot be read, so that those who look after the database hear of it whoever
//! that was.

use std::sync::{PoisonError, RwLock};

use crate::storage::StoreError;

/// What was met last, in SQLite's words.
#[derive(Debug, Default)]
pub(super) struct Damage(RwLock<Option<String>>);

impl Damage {
    /// Passes on what an operation brought, and remembers the damage that it met.
    pub(super) fn note<T>(&self, result: Result<T, StoreError>) -> Result<T, StoreError> {
        if let Err(StoreError::Damaged(words)) = &result {
            *self.0.write().unwrap_or_else(PoisonError::into_inner) = Some(words.clone());
        }
        result
    }

    /// Fails where some was met.
    pub(super) fn require_none(&self) -> Result<(), StoreError> {
        match &*self.0.read().unwrap_or_else(PoisonError::into_inner) {
            Some(words) => Err(StoreError::Damaged(words.clone())),
            None => Ok(()),
        }
    }

    /// The damaged database was replaced.
    pub(super) fn forget(&self) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = None;
    }
}
