//! `import`: moves the queue of a site that outgrows SQLite into PostgreSQL, with an account at the end.

use std::{process::ExitCode, time::Duration};

use clap::Args;

use super::{NEEDS_A_PERSON, failed, say};
use crate::{
    app::import::{self, ImportError},
    clock::Clock,
    domain::{
        import::{ImportOutcome, ImportProgress, ImportStage},
        words::count,
    },
    settings::DatabaseSettings,
};

/// Between two lines of progress.
const PACE: Duration = Duration::from_secs(2);

#[derive(Debug, Args)]
pub(super) struct ImportArguments {
    /// The queue to move: sqlite:FILE; no service may run on it
    #[arg(long, value_name = "URL")]
    from: String,
    /// Where it goes: postgres://USER@HOST:PORT/DATABASE; services may run on it. A password is better kept in
    /// PGPASSWORD or ~/.pgpass than in the URL, where every user of the machine can read it
    #[arg(long, value_name = "URL")]
    to: String,
}

/// Exit code 0 only when a last look found nothing more to move.
pub(super) fn execute(arguments: &ImportArguments) -> ExitCode {
    let databases = parse("--from", &arguments.from)
        .and_then(|from| parse("--to", &arguments.to).map(|to| (from, to)));
    let (from, to) = match databases {
        Ok(databases) => databases,
        Err(words) => {
            eprintln!("meterit-sync: {words}");
            return ExitCode::from(NEEDS_A_PERSON);
        }
    };
    let mut progress = Progress::default();
    let imported =
        actix::System::new().block_on(import::import(&from, &to, |at| progress.tell(&at)));
    match imported {
        Ok(outcome) => {
            say(&account(&from, &to, &outcome));
            ExitCode::SUCCESS
        }
        Err(error) => refused(&from, &error),
    }
}

fn parse(argument: &str, url: &str) -> Result<DatabaseSettings, String> {
    // The URL itself is not repeated: it may hold a password.
    DatabaseSettings::parse(url).map_err(|words| {
        format!("{argument} is not usable: {words}; give --from sqlite:FILE and --to postgres://USER@HOST:PORT/DATABASE")
    })
}

/// Tells every few seconds how far it is.
struct Progress {
    clock: Clock,
    told: Duration,
}

impl Default for Progress {
    fn default() -> Self {
        Self {
            clock: Clock::system(),
            told: Duration::ZERO,
        }
    }
}

impl Progress {
    fn tell(&mut self, at: &ImportProgress) {
        let elapsed = self.clock.elapsed();
        if at.stage != ImportStage::Moved || elapsed < self.told + PACE {
            return;
        }
        self.told = elapsed;
        if at.readings <= at.expected {
            let [moved, expected] = [at.readings, at.expected].map(count);
            eprintln!("{moved} of {expected} readings moved");
        } else {
            eprintln!(
                "{} readings moved, {} more than there were at the beginning: another program still inserts into the old \
                 queue; point it to the new database",
                count(at.readings),
                count(at.readings - at.expected)
            );
        }
    }
}

fn account(from: &DatabaseSettings, to: &DatabaseSettings, outcome: &ImportOutcome) -> String {
    let mut text = format!(
        "Moved from {} to {}, by this run and in all:\n",
        from.shown(),
        to.shown()
    );
    let in_all = outcome.in_all.rows();
    for ((what, now), (_, in_all)) in outcome.by_this_run.rows().into_iter().zip(in_all) {
        text += &format!("  {what:<42}{now:>10}{in_all:>12}\n");
    }
    let copies = &outcome.copies;
    text += &format!(
        "Copied, and left where they are: {} meters, {} remembered facts.\n",
        copies.meters, copies.facts
    );
    if copies.meters_passed_over > 0 {
        text += &format!(
            "{} meters do not fit into the new database; the next download of the configuration brings what is needed.\n",
            copies.meters_passed_over
        );
    }
    text + "Nothing is left in the old queue. Readings that other programs insert into it from now on stay there:\n\
            point those programs and DATABASE_URL to the new database, then run this once more.\n"
}

fn refused(from: &DatabaseSettings, error: &ImportError) -> ExitCode {
    let shown = from.shown();
    if error.needs_a_person() {
        eprintln!("meterit-sync: {shown} is not imported: {error}");
        return ExitCode::from(NEEDS_A_PERSON);
    }
    failed(format_args!(
        "the import of {shown} was interrupted: {error}; nothing is lost or doubled. Run the same command again: \
         it goes on where this run ended"
    ))
}
