//! `run`: the service, from its settings until someone ends it.

use std::{
    io::{self, BufRead},
    path::PathBuf,
    process::ExitCode,
};

use clap::Args;
use tokio::signal::unix::{SignalKind, signal};

use super::{NEEDS_A_PERSON, failed, reading_again::ReadAgain, vital_signs};
use crate::{
    app::{App, Ending, StartError, Surroundings, file_limits},
    settings::{Loaded, Settings},
    telemetry::{self, traces::Traces},
};

#[derive(Debug, Default, Args)]
pub(super) struct RunArguments {
    /// Take names of failure points on standard input, one in a line, and fail there once; for `soak`
    #[arg(long, hide = true)]
    failure_points_from_stdin: bool,
}

/// Serves until a signal or a failure beyond repair.
pub(super) fn execute(
    arguments: &RunArguments,
    config_file: Option<PathBuf>,
    loaded: Loaded,
) -> ExitCode {
    let traces = match Traces::begin(&loaded.settings.tracing) {
        Ok(traces) => traces,
        Err(error) => {
            eprintln!("meterit-sync: {error}");
            return ExitCode::from(NEEDS_A_PERSON);
        }
    };
    let log = match telemetry::logging::install(&loaded.settings.logging, traces.as_ref()) {
        Ok(log) => log,
        Err(error) => return failed(error),
    };
    telemetry::panics::log_panics();
    file_limits::set();
    for warning in &loaded.report.warnings {
        tracing::warn!(warning, "a setting needs attention");
    }
    let mut surroundings = if arguments.failure_points_from_stdin {
        failing_from_stdin()
    } else {
        Surroundings::default()
    };
    surroundings.effective_settings = (&loaded.report).into();
    let again = ReadAgain { config_file, log };
    actix::System::new().block_on(async {
        let sending = traces.map(Traces::send);
        let code = serve(loaded.settings, surroundings, again).await;
        if let Some(sending) = sending {
            sending.finish().await;
        }
        code
    })
}

async fn serve(settings: Settings, surroundings: Surroundings, again: ReadAgain) -> ExitCode {
    let starting = App::build(settings, surroundings);
    let app = match vital_signs::during_start(starting).await {
        Ok(app) => app,
        Err(error) => return refused(&error),
    };
    let handle = app.stop_handle();
    let stop = move || {
        vital_signs::tell_of_end();
        handle.stop();
    };
    if let Err(error) = stop_on_signals(stop) {
        return failed(format_args!("signals cannot be received: {error}"));
    }
    if let Err(error) = again.on_signal(app.reloader()) {
        return failed(format_args!("signals cannot be received: {error}"));
    }
    vital_signs::give(app.operator());
    match app.run_until_stopped().await {
        Ok(Ending::Stopped) => ExitCode::SUCCESS,
        Ok(Ending::Escalated(escalation)) => failed(format_args!(
            "{escalation}; nothing is lost, and a new start takes up where this one ended"
        )),
        Err(error) => failed(format_args!("the local API failed: {error}")),
    }
}

fn refused(error: &StartError) -> ExitCode {
    tracing::error!(%error, "the service does not start");
    eprintln!("meterit-sync: {error}");
    if error.needs_a_person() {
        ExitCode::from(NEEDS_A_PERSON)
    } else {
        ExitCode::FAILURE
    }
}

fn failing_from_stdin() -> Surroundings {
    let (surroundings, fail_at) = Surroundings::failing_on_demand();
    // Ends with standard input, or with the process.
    std::thread::spawn(move || {
        for point in io::stdin().lock().lines().map_while(Result::ok) {
            fail_at(&point);
        }
    });
    surroundings
}

/// SIGTERM and Ctrl-C ask for an orderly end.
pub(super) fn stop_on_signals(stop: impl FnOnce() + 'static) -> io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    actix::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        stop();
    });
    Ok(())
}
