//! `diagnose`: looks at everything that may keep a site from uploading, says what is wrong, and packs what it saw for
//! whoever helps. Works beside a running service and without one, and changes nothing.

mod archive;
mod collected;
mod findings;
mod log_tail;
mod redaction;

use std::{
    fmt::Write,
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::Args;

use self::{collected::Collected, redaction::Redaction};
use super::{client, exit::Exit, packaged};
use crate::{
    clock::Clock,
    domain::{finding::Finding, timestamp::Timestamp},
    settings::{LoadOptions, Settings, SettingsError},
};

#[derive(Debug, Args)]
pub(super) struct DiagnoseArguments {
    /// Write the archive here, where nothing may be yet [default: meterit-sync-diagnosis-TIME.tar.gz in the working
    /// directory]
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    address: client::ServiceAddress,
}

/// Exit code 0 only if nothing is wrong.
pub(super) fn execute(arguments: &DiagnoseArguments, config_file: Option<PathBuf>) -> ExitCode {
    client::ended(actix::System::new().block_on(diagnose(arguments, config_file)))
}

async fn diagnose(
    arguments: &DiagnoseArguments,
    config_file: Option<PathBuf>,
) -> Result<Exit, client::Failure> {
    let options = LoadOptions::from_process(config_file.clone());
    let loaded = Settings::load(&options).map_err(|error| lacking(&error))?;
    let redaction = Redaction::of(&loaded.settings);
    let now = Clock::system().now().into();
    let collected = Collected::gather(&loaded, &arguments.address, config_file).await;
    let findings = collected.findings();
    let summary = client::in_lines(&redaction.apply(&summary(&collected, &findings)));
    client::print(&summary)?;
    let name = name_at(now);
    let output = arguments
        .output
        .clone()
        .unwrap_or_else(|| PathBuf::from(format!("{name}.tar.gz")));
    let files = collected.files(&summary, now);
    let files = files.map(|(name, text)| (name, redaction.apply(&text)));
    archive::write(&output, &name, now, &files).map_err(|error| refused(&output, &error))?;
    client::print(&format!(
        "\nFor whoever helps: {} holds what was seen, without keys and passwords.\n",
        output.display()
    ))?;
    Ok(if findings.is_empty() {
        Exit::Done
    } else {
        Exit::NotWell
    })
}

/// Whoever comes to look after a site has not the environment that its service has.
fn lacking(error: &SettingsError) -> client::Failure {
    let hint = packaged::hint(error, "diagnose");
    let hint = hint.map_or_else(String::new, |hint| format!("\n{hint}"));
    client::Failure::Arguments(format!("{error}{hint}"))
}

fn name_at(now: Timestamp) -> String {
    format!(
        "meterit-sync-diagnosis-{}",
        now.0.format("%Y-%m-%dT%H-%M-%SZ")
    )
}

/// What was looked at, a line each, and everything that is wrong.
fn summary(collected: &Collected, findings: &[Finding]) -> String {
    let mut summary = collected.overview();
    if findings.is_empty() {
        summary.push_str("\nNothing is wrong: the way to the Client System is open, and it accepts the API key.\n");
    }
    for finding in findings {
        // Writing to a String cannot fail.
        let _ = write!(summary, "\n{finding}");
    }
    summary
}

fn refused(output: &Path, error: &std::io::Error) -> client::Failure {
    let shown = output.display();
    if error.kind() == std::io::ErrorKind::AlreadyExists {
        return client::Failure::Arguments(format!(
            "{shown} is there already and is left alone, so there is no archive; name another file with --output"
        ));
    }
    client::Failure::Here(format!(
        "the archive {shown} cannot be written ({error}); name another file with --output"
    ))
}
