//! SIGHUP: the settings are read again while the service runs. Settings that are wrong change nothing.

use std::{io, path::PathBuf};

use tokio::signal::unix::{SignalKind, signal};

use super::vital_signs;
use crate::{
    app::Reloader,
    settings::{LoadOptions, Settings},
    telemetry::logging::Log,
};

/// Where the settings come from, and the log that they concern as well.
pub(super) struct ReadAgain {
    pub(super) config_file: Option<PathBuf>,
    pub(super) log: Log,
}

impl ReadAgain {
    /// Reads them at every SIGHUP from now on.
    pub(super) fn on_signal(self, reloader: Reloader) -> io::Result<()> {
        let mut hang_up = signal(SignalKind::hangup())?;
        actix::spawn(async move {
            while hang_up.recv().await.is_some() {
                vital_signs::tell_of_reloading();
                self.read(&reloader);
                vital_signs::tell_of_readiness();
            }
        });
        Ok(())
    }

    fn read(&self, reloader: &Reloader) {
        let options = LoadOptions::from_process(self.config_file.clone());
        let loaded = match Settings::load(&options) {
            Ok(loaded) => loaded,
            Err(error) => {
                tracing::error!(%error, "the settings were read again and are wrong, so nothing was changed: all of them stay in force as they were");
                return;
            }
        };
        if let Err(error) = self.log.set_filter(&loaded.settings.logging.filter) {
            tracing::error!(%error, "the log stays as it was");
        }
        let reloaded = reloader.apply(&loaded);
        tracing::info!(
            applied = reloaded.applied.join(", "),
            at_next_start = reloaded.at_next_start.join(", "),
            "the settings were read again"
        );
    }
}
