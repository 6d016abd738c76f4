//! Which requests are open right now, by idempotency key. A request whose client has hung up no longer
//! counts, even while the server is still at work on it.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::connection::Connection;

type ByKey = HashMap<String, Vec<Arc<Connection>>>;

#[derive(Clone, Debug, Default)]
pub(super) struct OpenRequests(Arc<Mutex<ByKey>>);

impl OpenRequests {
    /// Enters a request; it counts until the guard is dropped.
    pub fn enter(&self, key: &str, connection: &Arc<Connection>) -> OpenRequest {
        let mut by_key = self.lock();
        let open = by_key.entry(key.to_owned()).or_default();
        open.retain(|connection| !connection.is_closed_by_peer());
        open.push(Arc::clone(connection));
        let open_with_key = open.len();
        drop(by_key);
        OpenRequest {
            all: self.clone(),
            key: key.to_owned(),
            connection: Arc::clone(connection),
            open_with_key,
        }
    }

    fn lock(&self) -> MutexGuard<'_, ByKey> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One open request.
#[derive(Debug)]
pub(super) struct OpenRequest {
    all: OpenRequests,
    key: String,
    connection: Arc<Connection>,
    /// How many requests with this key were open when it came, itself included.
    pub open_with_key: usize,
}

impl Drop for OpenRequest {
    fn drop(&mut self) {
        let mut by_key = self.all.lock();
        let Some(open) = by_key.get_mut(&self.key) else {
            return;
        };
        open.retain(|connection| !Arc::ptr_eq(connection, &self.connection));
        if open.is_empty() {
            by_key.remove(&self.key);
        }
    }
}
