//! A snapshot that one part publishes and everyone may read at any time, without asking that part.

use tokio::sync::watch;

/// The latest snapshot of something. Cheap to clone; all clones show the same.
#[derive(Clone, Debug)]
pub struct Published<T>(watch::Sender<T>);

impl<T: Clone> Published<T> {
    /// Starts with a first snapshot.
    pub fn new(first: T) -> Self {
        Self(watch::Sender::new(first))
    }

    /// The latest snapshot.
    pub fn get(&self) -> T {
        self.0.borrow().clone()
    }

    /// Reads a part of the latest snapshot.
    pub fn read<R>(&self, read: impl FnOnce(&T) -> R) -> R {
        read(&self.0.borrow())
    }

    /// Replaces the snapshot.
    pub fn set(&self, snapshot: T) {
        self.0.send_replace(snapshot);
    }

    /// Changes the snapshot in place.
    pub fn update(&self, change: impl FnOnce(&mut T)) {
        self.0.send_modify(change);
    }

    /// Waits until a snapshot fulfils the condition, and returns it.
    pub async fn wait_until(&self, condition: impl FnMut(&T) -> bool) -> T {
        let mut watcher = self.0.subscribe();
        match watcher.wait_for(condition).await {
            Ok(snapshot) => snapshot.clone(),
            // `self` holds the sender, so the channel cannot close while we wait.
            Err(_) => self.get(),
        }
    }
}

impl<T: Clone + Default> Default for Published<T> {
    fn default() -> Self {
        Self::new(T::default())
    }
}
