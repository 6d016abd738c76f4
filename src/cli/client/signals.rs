//! The interruption that ends a command which follows the service.

use std::future::Future;

use tokio::sync::oneshot;

use super::failure::Failure;
use crate::cli::run::stop_on_signals;

/// Comes with Ctrl-C or SIGTERM.
pub(super) fn interruption() -> Result<impl Future<Output = ()>, Failure> {
    let (tell, told) = oneshot::channel();
    let tell = move || {
        // Nobody listens any more where the command has just ended by itself.
        let _ = tell.send(());
    };
    stop_on_signals(tell)
        .map_err(|error| Failure::Here(format!("signals cannot be received: {error}")))?;
    Ok(async {
        if told.await.is_err() {
            std::future::pending::<()>().await;
        }
    })
}
