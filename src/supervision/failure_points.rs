//! Named places in the code at which a test can have the service panic or hang, to see it recover. In production
//! none is armed, and passing one costs a look at an empty option.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

/// The armed failure points of one service instance.
#[derive(Clone, Debug, Default)]
pub struct FailurePoints(Option<Arc<Mutex<HashMap<String, u32>>>>);

impl FailurePoints {
    /// Points that can be armed.
    pub fn for_tests() -> Self {
        Self(Some(Arc::default()))
    }

    /// Lets the next `times` passings of the point panic.
    pub fn arm(&self, point: &str, times: u32) {
        if let Some(points) = &self.0 {
            points
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .insert(point.to_owned(), times);
        }
    }

    /// How many panics the point still has to give.
    pub fn armed(&self, point: &str) -> u32 {
        let armed = self.0.as_ref().and_then(|points| {
            points
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .get(point)
                .copied()
        });
        armed.unwrap_or(0)
    }

    /// Lets the next passing of a place where work can hang never end.
    pub fn arm_hang(&self, point: &str) {
        self.arm(&hanging(point), 1);
    }

    /// Marks a place at which work can be made to hang.
    pub async fn hang_if_armed(&self, point: &str) {
        if self.take(&hanging(point)) {
            std::future::pending::<()>().await;
        }
    }

    /// Marks a place at which a failure can be planned: a panic, or a thread that gets no further.
    ///
    /// # Panics
    /// When the point is armed; that is its purpose.
    pub fn pass(&self, point: &str) {
        if self.0.is_none() {
            return;
        }
        // With it whoever else is on this thread.
        while self.armed(&blocking(point)) > 0 {
            std::thread::sleep(std::time::Duration::from_secs(1));
        }
        let due = self.take(point);
        assert!(!due, "planned failure at {point}");
    }

    fn take(&self, point: &str) -> bool {
        let Some(points) = &self.0 else { return false };
        let mut points = points.lock().unwrap_or_else(PoisonError::into_inner);
        points
            .get_mut(point)
            .filter(|left| **left > 0)
            .map(|left| *left -= 1)
            .is_some()
    }
}

fn hanging(point: &str) -> String {
    format!("{point} hangs")
}

fn blocking(point: &str) -> String {
    format!("{point} blocks")
}
