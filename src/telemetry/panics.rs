//! Panics as log lines: whoever reads the log as JSON has them among everything else.

/// From now on panics are logged instead of printed. The supervisor deals with them; this only tells.
pub fn log_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string);
        tracing::error!(place, words = panic.payload_as_str(), "a panic");
    }));
}
