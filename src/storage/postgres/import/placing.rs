//! Puts readings into the queue, and those that it cannot hold as they are into the quarantine: none is rounded, none
//! is cut, and none stops the others.

use sqlx::PgConnection;

use super::super::{limits::Limits, manifests::storable, quarantine};
use crate::{
    domain::{
        batch::IdempotencyKey,
        quarantine::QuarantineReason,
        reading::{Reading, ReadingId},
        timestamp::Timestamp,
    },
    storage::{
        StoreError,
        import::chunk::{MovedReading, SetAside},
    },
};

/// A reading that fits, under its new id.
struct Fitting<'a> {
    id: ReadingId,
    reading: Reading,
    row: &'a MovedReading,
}

/// A reading that does not fit, and why.
struct Unfit<'a> {
    row: &'a MovedReading,
    why: String,
}

/// Writes each reading under the id beside it. `batch` is the batch that holds them, if any.
pub(super) async fn place<'a>(
    connection: &mut PgConnection,
    limits: &Limits,
    readings: impl Iterator<Item = (ReadingId, &'a MovedReading)>,
    batch: Option<&IdempotencyKey>,
    now: Timestamp,
) -> Result<SetAside, StoreError> {
    let (mut fitting, mut unfit) = (Vec::new(), Vec::new());
    for (id, row) in readings {
        match fit(row, limits) {
            Ok(reading) => fitting.push(Fitting { id, reading, row }),
            Err(why) => unfit.push(Unfit { row, why }),
        }
    }
    insert(connection, &fitting, &mut unfit).await?;
    let mut set_aside = SetAside::default();
    for Unfit { row, .. } in &unfit {
        if row.is_synchronized {
            set_aside.synchronized += 1;
        } else {
            set_aside.pending += 1;
        }
    }
    if !unfit.is_empty() {
        let values = unfit.iter().map(|unfit| values(unfit, batch)).collect();
        quarantine::insert_with_audit(connection, values, now).await?;
    }
    Ok(set_aside)
}

fn fit(row: &MovedReading, limits: &Limits) -> Result<Reading, String> {
    let reading = row.contents.clone().parse();
    let reading = reading.map_err(|problem| problem.to_string())?;
    limits.check(&reading)?;
    Ok(reading)
}

/// All at once; where the server refuses a row, the halves of them, and so on, so that one bad row costs a few
/// statements.
async fn insert<'a>(
    connection: &mut PgConnection,
    readings: &[Fitting<'a>],
    unfit: &mut Vec<Unfit<'a>>,
) -> Result<(), StoreError> {
    if readings.is_empty() {
        return Ok(());
    }
    execute(connection, include_str!("../queries/set_savepoint.sql")).await?;
    let mut open = vec![readings];
    while let Some(piece) = open.pop() {
        let failure = match insert_all(connection, piece).await {
            Ok(()) => {
                execute(connection, include_str!("../queries/move_savepoint.sql")).await?;
                continue;
            }
            Err(failure) => failure,
        };
        let Some(why) = refusal(&failure) else {
            return Err(failure.into());
        };
        execute(
            connection,
            include_str!("../queries/return_to_savepoint.sql"),
        )
        .await?;
        if let [reading] = piece {
            unfit.push(Unfit {
                row: reading.row,
                why: format!("PostgreSQL refuses it: {why}"),
            });
        } else {
            let (first, second) = piece.split_at(piece.len() / 2);
            open.extend([second, first]);
        }
    }
    Ok(())
}

/// The server's words where it refused what a row holds, and not the statement as a whole: a value that its type does
/// not take, or a rule of the site's own about the table.
fn refusal(failure: &sqlx::Error) -> Option<String> {
    let failure = failure.as_database_error()?;
    let code = failure.code()?;
    let is_about_a_row =
        code.starts_with("22") || ["23502", "23503", "23514", "P0001"].contains(&&*code);
    is_about_a_row.then(|| failure.message().to_owned())
}

async fn insert_all(
    connection: &mut PgConnection,
    readings: &[Fitting<'_>],
) -> Result<(), sqlx::Error> {
    let naive = |time: Option<Timestamp>| time.map(|time| time.0.naive_utc());
    sqlx::query(include_str!("../queries/import_insert_readings.sql"))
        .bind(column(readings, |it| it.id))
        .bind(column(readings, |it| it.reading.meter_external_id.as_str()))
        // To the microsecond, as whatever comes into PostgreSQL.
        .bind(column(readings, |it| it.reading.timestamp.0.naive_utc()))
        .bind(column(readings, |it| it.reading.data_point.as_str()))
        // As text, which the server turns into a number exactly.
        .bind(column(readings, |it| it.reading.value.as_str()))
        .bind(column(readings, |it| it.reading.unit.as_deref()))
        .bind(column(readings, |it| it.row.is_synchronized))
        .bind(column(readings, |it| {
            i32::try_from(it.row.retry_count).unwrap_or(i32::MAX)
        }))
        .bind(column(readings, |it| naive(it.row.created_at)))
        .bind(column(readings, |it| naive(it.row.synchronized_at)))
        .execute(connection)
        .await?;
    Ok(())
}

fn column<'r, 'a, T>(readings: &'r [Fitting<'a>], of: impl Fn(&'r Fitting<'a>) -> T) -> Vec<T> {
    readings.iter().map(of).collect()
}

async fn execute(
    connection: &mut PgConnection,
    statements: &'static str,
) -> Result<(), StoreError> {
    sqlx::raw_sql(statements).execute(connection).await?;
    Ok(())
}

/// In the order of the quarantine's query. The id is the one that the reading had in SQLite.
fn values(unfit: &Unfit<'_>, batch: Option<&IdempotencyKey>) -> serde_json::Value {
    let contents = &unfit.row.contents;
    let text = |text: Option<String>| text.as_deref().map(storable);
    let (reason, known) = if unfit.row.is_synchronized {
        let known = "; it was uploaded before it was moved";
        (QuarantineReason::PossiblyStored, known)
    } else if batch.is_some() {
        let known = "; it was in a batch on its way when it was moved, and goes with that batch";
        (QuarantineReason::PossiblyStored, known)
    } else {
        (QuarantineReason::Unreadable, "")
    };
    serde_json::json!([
        contents.id,
        text(contents.meter_external_id.to_text()),
        text(contents.timestamp.to_text()),
        text(contents.data_point.to_text()),
        text(contents.value.to_text()),
        text(contents.unit.to_text()),
        unfit.row.retry_count,
        text(unfit.row.created_at_text.clone()),
        reason.as_str(),
        None::<u16>,
        storable(&format!(
            "not moved into the queue as it is: {}{known}",
            unfit.why
        )),
        batch,
    ])
}
