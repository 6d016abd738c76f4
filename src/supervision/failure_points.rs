//! Named places in the code at which a test can have the service panic, to see it recover. In production
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

    /// Marks a place at which a failure can be planned.
    ///
    /// # Panics
    /// When the point is armed; that is its purpose.
    pub fn pass(&self, point: &str) {
        let Some(points) = &self.0 else { return };
        let due = {
            let mut points = points.lock().unwrap_or_else(PoisonError::into_inner);
            points
                .get_mut(point)
                .filter(|left| **left > 0)
                .map(|left| *left -= 1)
                .is_some()
        };
        assert!(!due, "planned failure at {point}");
    }
}
