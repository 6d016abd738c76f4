//! `migrate`: brings the Sync Database to the present shape, or with `--check` says what is missing.

use std::process::ExitCode;

use clap::Args;

use super::{NEEDS_A_PERSON, failed, say};
use crate::{
    app::migrations,
    domain::store::StoreError,
    settings::{DatabaseSettings, Loaded},
};

#[derive(Debug, Args)]
pub(super) struct MigrateArguments {
    /// Change nothing; exit code 0 if nothing is missing, else 1 and the list of missing steps
    #[arg(long)]
    check: bool,
}

/// Needs no more of the settings than where the database is.
pub(super) fn execute(arguments: &MigrateArguments, loaded: Loaded<DatabaseSettings>) -> ExitCode {
    for warning in &loaded.report.warnings {
        eprintln!("meterit-sync: warning: {warning}");
    }
    let database = loaded.settings;
    let ended = actix::System::new().block_on(async {
        if arguments.check {
            check(&database).await
        } else {
            migrate(&database).await
        }
    });
    ended.unwrap_or_else(|error| refused(&database, &error))
}

async fn migrate(database: &DatabaseSettings) -> Result<ExitCode, StoreError> {
    let steps = migrations::migrate(database).await?;
    let outcome = match steps.as_slice() {
        [] => "nothing to do".to_owned(),
        [_] => format!("step {} was done", listed(&steps)),
        _ => format!("steps {} were done", listed(&steps)),
    };
    say(&format!("{}: {outcome}\n", database.shown()));
    Ok(ExitCode::SUCCESS)
}

async fn check(database: &DatabaseSettings) -> Result<ExitCode, StoreError> {
    let missing = migrations::state(database).await?.missing;
    let shown = database.shown();
    if missing.is_empty() {
        say(&format!("{shown}: nothing is missing\n"));
        return Ok(ExitCode::SUCCESS);
    }
    say(&format!("{shown}: missing are\n"));
    for (number, description) in missing {
        say(&format!("  {number} {description}\n"));
    }
    Ok(failed(
        "the Sync Database lacks steps; `meterit-sync migrate` takes them, as does the next start of the service",
    ))
}

fn listed(steps: &[(i64, &str)]) -> String {
    let numbers: Vec<String> = steps.iter().map(|(number, _)| number.to_string()).collect();
    numbers.join(", ")
}

fn refused(database: &DatabaseSettings, error: &StoreError) -> ExitCode {
    let shown = database.shown();
    if error.needs_a_person() {
        eprintln!("meterit-sync: {shown}: {error}");
        return ExitCode::from(NEEDS_A_PERSON);
    }
    failed(format_args!(
        "{shown}: {error}; steps that were done stay done. Check DATABASE_URL and whether the database can be reached, \
         then try again"
    ))
}
