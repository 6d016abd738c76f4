//! A database whose pages are damaged: a new one takes its place at once, so that other programs go on with that, and then
//! everything that was live in the damaged one is written into it.
//!
//! Rows are read page by page, without SQLite, which gives up wherever a page on the way is damaged. Nothing comes back
//! that had been deleted: pages that were given free, and what lies between the cells of others, are not looked at; where
//! nobody can tell, readings go to quarantine.

mod accounts;
mod collected;
mod doubtful;
mod gaps;
mod import;
mod known;
mod later;
mod layouts;
mod losses;
mod outline;
mod pages;
mod plan;
mod set_aside;
mod strays;
mod unclaimed;

#[cfg(test)]
mod tests;

use std::{io, path::Path};

use sqlx::{ConnectOptions, Connection, SqliteConnection, SqlitePool};
use tokio::sync::mpsc;

pub(super) use self::{accounts::remembered, strays::Strays};
use self::{
    import::Import,
    known::{FACTS, MANIFESTS, QUARANTINE, READINGS, TABLES},
    layouts::layouts,
    outline::Outline,
    plan::Plan,
    set_aside::Files,
    unclaimed::Unclaimed,
};
use super::{cells, migrations, options};
use crate::{
    domain::{store::Salvage, timestamp::Timestamp},
    storage::{StoreError, errors},
};

/// What is found and not yet written, in batches.
const AHEAD: usize = 4;
/// Tables that other programs made: they find them as they know them.
const DEPLOYED: [&str; 3] = ["meter_readings", "meters", "sync_log"];

/// Asked before every step that can be interrupted, by its name: an error is an interruption. Tests plan some.
pub(super) type Gate = dyn Fn(&'static str) -> io::Result<()> + Send + Sync;

/// Nothing interrupts it but what really happens.
pub(super) fn open_gate(_step: &'static str) -> io::Result<()> {
    Ok(())
}

/// Whether a salvage was begun and not ended.
pub(super) fn is_interrupted(database: &Path) -> Result<bool, StoreError> {
    let interrupted = Files::interrupted(database).map_err(|error| failed(&error))?;
    Ok(interrupted.is_some())
}

/// Whether the file ends before its pages do, which SQLite only finds when it wants one of them. One with a log is in order
/// when that is read.
pub(super) fn is_cut_off(database: &Path) -> bool {
    let log = std::fs::metadata(set_aside::log_of(database));
    let has_log = log.is_ok_and(|log| log.len() > 0);
    let is_empty = std::fs::metadata(database).is_ok_and(|file| file.len() == 0);
    is_empty || (!has_log && pages::is_cut_off(database))
}

/// Whether the write-ahead log is damaged with commits behind it: SQLite would take it to end there, and soon overwrite them.
pub(super) fn has_damaged_log(database: &Path) -> bool {
    pages::has_gap(&set_aside::log_of(database))
}

/// Whether the log ends in what makes no sense: mostly a transaction that was not finished when power failed, of which SQLite
/// makes nothing. But a commit of which nothing is left looks the same.
pub(super) fn has_doubtful_log(database: &Path) -> bool {
    pages::has_doubtful_end(&set_aside::log_of(database))
}

/// Sets a damaged database aside and puts a new one in its place, or goes on with that where it was interrupted. Nobody of
/// this service may have it open. May be asked again until it succeeds. `earlier` is what became of those before it, as far
/// as it is known without reading it.
pub(super) async fn replace(
    database: &Path,
    earlier: &[Salvage],
    gate: &Gate,
) -> Result<(), StoreError> {
    let interrupted = Files::interrupted(database).map_err(|error| failed(&error))?;
    let files = match interrupted {
        Some(files) => files,
        None => Files::begin(database).map_err(|error| failed(&error))?,
    };
    if !files.is_exchanged().map_err(|error| failed(&error))? {
        pass(gate, "before the new one is made")?;
        make_new(&files).await?;
        files.exchange(gate).map_err(|error| failed(&error))?;
    }
    let pool = options::writer_pool(&files.database).await?;
    let filled = fill(&pool, &files, earlier, gate).await;
    pool.close().await;
    filled?;
    pass(gate, "before it is over")?;
    files.finish().map_err(|error| failed(&error))
}

fn pass(gate: &Gate, step: &'static str) -> Result<(), StoreError> {
    gate(step).map_err(|error| failed(&error))
}

fn failed(error: &io::Error) -> StoreError {
    errors::from_file_system("a damaged database cannot be saved", error)
}

/// A new database without rows, which gives no id that the damaged one may have given.
async fn make_new(files: &Files) -> Result<(), StoreError> {
    let plan = plan(files).await?;
    match make_with(files, &plan, true).await {
        // What a damaged file says of a table may be wrong.
        Err(StoreError::Unsuitable(words)) => {
            tracing::warn!(words, "the tables are made anew as this service knows them");
            make_with(files, &plan, false).await
        }
        made => made,
    }
}

async fn make_with(files: &Files, plan: &Plan, as_before: bool) -> Result<(), StoreError> {
    let path = files.new_database().map_err(|error| failed(&error))?;
    let pool = options::writer_pool(&path).await?;
    let made = shape(&pool, plan, as_before).await;
    pool.close().await;
    made
}

/// `as_before` makes the tables of other programs as those had made them.
async fn shape(pool: &SqlitePool, plan: &Plan, as_before: bool) -> Result<(), StoreError> {
    let mut connection = pool.acquire().await?;
    for (known, planned) in TABLES.iter().zip(&plan.tables) {
        if let Some(definition) = &planned.named.definition
            && as_before
            && DEPLOYED.contains(&known.name)
            && !layouts::make(&mut connection, definition).await
        {
            tracing::warn!(
                table = known.name,
                "a table is made anew as this service knows it"
            );
        }
    }
    migrations::run(&mut connection).await?;
    for (known, planned) in TABLES.iter().zip(&plan.tables) {
        if known.has_ids {
            let lost = losses::beyond(plan, planned, known);
            let beyond = i64::try_from(lost).unwrap_or(0).min(MOST_BEYOND);
            never_reuse(
                &mut connection,
                known.name,
                planned.highest().saturating_add(beyond),
            )
            .await?;
        }
    }
    Ok(())
}

/// Where the last ids are lost, no more than this many are passed over.
const MOST_BEYOND: i64 = 1 << 32;

/// An id that was lost must not come to mean another row.
async fn never_reuse(
    connection: &mut SqliteConnection,
    table: &str,
    highest: i64,
) -> Result<(), StoreError> {
    for statement in [
        "INSERT INTO sqlite_sequence (name, seq) SELECT ?1, 0 \
         WHERE NOT EXISTS (SELECT 1 FROM sqlite_sequence WHERE name = ?1)",
        "UPDATE sqlite_sequence SET seq = max(seq, ?2) WHERE name = ?1",
    ] {
        sqlx::query(statement)
            .bind(table)
            .bind(highest)
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}

/// What is to be saved of the damaged database, wherever it lies now.
async fn plan(files: &Files) -> Result<Plan, StoreError> {
    let (database, log) = files.damaged();
    let outline = blocking(move || Outline::read(&database, &log)).await?;
    let layouts = layouts(&outline.tables).await?;
    blocking(move || {
        let unclaimed = Unclaimed::find(&outline)?;
        Ok(Plan::make(outline, layouts, unclaimed))
    })
    .await
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, StoreError> {
    let done = tokio::task::spawn_blocking(work).await;
    let done = done.map_err(io::Error::other).and_then(|done| done);
    done.map_err(|error| failed(&error))
}

/// Writes what was live in the damaged database into the new one.
async fn fill(
    pool: &SqlitePool,
    files: &Files,
    earlier: &[Salvage],
    gate: &Gate,
) -> Result<(), StoreError> {
    let mut connection = pool.acquire().await?;
    migrations::run(&mut connection).await?;
    let before = remembered(&mut connection).await?;
    let set_aside = files.set_aside.display().to_string();
    if before.iter().any(|before| before.set_aside == set_aside) {
        return Ok(());
    }
    // For as long as this lasts no other program can fold a log into the damaged file that goes on meanwhile.
    let pin = Pin::on(&files.set_aside, &files.damaged().1).await;
    let moment = files.last_changed();
    let salvages = import(&mut connection, files, earlier, gate).await;
    let is_pinned = pin.release().await;
    let salvages = salvages?;
    if !is_pinned && files.last_changed() != moment {
        return Err(StoreError::Busy(
            "another program changed the damaged database while it was read".to_owned(),
        ));
    }
    pass(gate, "before it is written down")?;
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
    accounts::remember(&mut transaction, &salvages).await?;
    transaction.commit().await?;
    tell(&salvages);
    Ok(())
}

fn tell(salvages: &[Salvage]) {
    let Some(salvage) = salvages.first() else {
        return;
    };
    if salvage.lost_at_most.is_none() {
        tracing::error!(
            set_aside = salvage.set_aside,
            "how many readings of the damaged sync database are lost cannot be told"
        );
    }
    tracing::error!(
        set_aside = salvage.set_aside,
        readings = salvage.readings,
        quarantined = salvage.quarantined,
        lost_at_most = salvage.lost_at_most,
        also_lost = ?salvage.also_lost,
        "the sync database was damaged; it was set aside, and a new one holds what could be read of it"
    );
}

/// What became of it, and of those before it.
async fn import(
    connection: &mut SqliteConnection,
    files: &Files,
    earlier: &[Salvage],
    gate: &Gate,
) -> Result<Vec<Salvage>, StoreError> {
    let plan = plan(files).await?;
    let now = time_of(connection).await?;
    let since = plan
        .unclaimed
        .as_ref()
        .and_then(|unclaimed| unclaimed.since);
    let mut import = Import::begin(connection, now, plan.knows_pending(), since).await?;
    let (sender, mut finds) = mpsc::channel(AHEAD);
    let reading = tokio::task::spawn_blocking(move || {
        let told = plan.hand_over(|find| {
            let sent = sender.blocking_send(find);
            sent.map_err(|_| io::Error::other("nobody takes it"))
        });
        (plan, told)
    });
    let mut taken = Ok(());
    while let Some(find) = finds.recv().await {
        taken = match pass(gate, "before some rows are written") {
            Ok(()) => import.take(find).await,
            Err(error) => Err(error),
        };
        if taken.is_err() {
            break;
        }
    }
    drop(finds);
    let (plan, told) = reading
        .await
        .map_err(|error| failed(&io::Error::other(error)))?;
    taken?;
    told.map_err(|error| failed(&error))?;
    let mut salvage = account(&plan, &mut import, files, now).await?;
    let earlier = [earlier, &import.earlier].concat();
    if plan.tables.get(FACTS).is_none_or(|facts| !facts.is_whole()) {
        let known = |path: &String| earlier.iter().all(|one| one.set_aside != *path);
        let forgotten: Vec<String> = files.set_aside_before().into_iter().filter(known).collect();
        if !forgotten.is_empty() {
            salvage.also_lost.push(format!(
                "what became of {}, set aside before (what programs still write there stays there)",
                forgotten.join(", ")
            ));
        }
    }
    Ok(accounts::merged(salvage, earlier))
}

async fn account(
    plan: &Plan,
    import: &mut Import<'_>,
    files: &Files,
    now: Timestamp,
) -> Result<Salvage, StoreError> {
    let lost = |table: usize| match (TABLES.get(table), plan.tables.get(table)) {
        (Some(known), Some(planned)) => losses::at_most(plan, planned, known),
        _ => Some(0),
    };
    let readings_lost = match (lost(READINGS), plan.knows_pending()) {
        (Some(0), _) => Some(0),
        (None, _) if plan.pages.doubtful() > 0 => None,
        (_, true) => Some(import.pending_lost().await?),
        (by_room, false) => by_room,
    };
    let precious = [MANIFESTS, READINGS, QUARANTINE];
    let others =
        (0..TABLES.len()).filter(|table| !precious.contains(table) && lost(*table) != Some(0));
    let mut also_lost: Vec<String> = others
        .filter_map(|table| TABLES.get(table).map(|known| known.holds.to_owned()))
        .collect();
    if !plan.foreign.is_empty() {
        also_lost.push(format!(
            "the tables {} of other programs",
            plan.foreign.join(", ")
        ));
    }
    Ok(Salvage {
        at: now,
        set_aside: files.set_aside.display().to_string(),
        readings: import.readings,
        quarantined: import.quarantined().await?,
        lost_at_most: readings_lost,
        quarantine_lost_at_most: lost(QUARANTINE),
        batches_lost_at_most: lost(MANIFESTS).map(|lost| lost + import.batches_left),
        also_lost,
        taken_in_later: 0,
        later_is_unreadable: false,
        through: plan
            .tables
            .get(READINGS)
            .map_or(0, |readings| readings.highest()),
    })
}

/// The time as the database has it, which is the machine's own.
async fn time_of(connection: &mut SqliteConnection) -> Result<Timestamp, StoreError> {
    let row = sqlx::query("SELECT strftime('%Y-%m-%d %H:%M:%f', 'now')")
        .fetch_one(connection)
        .await?;
    cells::required_time(&row, 0)
}

/// A look at a database that lasts: until it ends, what it sees stays where it lies.
struct Pin(Option<SqliteConnection>);

impl Pin {
    /// Where SQLite cannot even begin to read, nobody else can either. Where the log is damaged it would take less of it
    /// than there is for all, and remove it when it goes; and it would write into the log's index what it takes for its end.
    async fn on(database: &Path, log: &Path) -> Self {
        let log = log.to_owned();
        if blocking(move || Ok(pages::has_gap(&log) || pages::has_doubtful_end(&log)))
            .await
            .unwrap_or(true)
        {
            return Self(None);
        }
        let look = async {
            let mut connection = options::reader_options(database).connect().await?;
            sqlx::raw_sql("BEGIN; SELECT count(*) FROM sqlite_schema")
                .execute(&mut connection)
                .await?;
            Ok::<_, sqlx::Error>(connection)
        };
        Self(look.await.ok())
    }

    /// Whether it held until now.
    async fn release(self) -> bool {
        match self.0 {
            // It only looked.
            Some(connection) => sqlx::Connection::close(connection).await.is_ok(),
            None => false,
        }
    }
}
