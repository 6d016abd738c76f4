//! Writes what is found into the new database. It may be done again from the start at any time: what is there already is
//! left alone.

use std::ops::RangeInclusive;

use sqlx::{
    AssertSqlSafe, Connection, Row, Sqlite, SqliteConnection, Transaction, query::Query,
    sqlite::SqliteArguments,
};

use super::{
    accounts, doubtful,
    known::{FACTS, Known, MANIFESTS, QUARANTINE, READINGS, SYNCHRONIZED, TABLES},
    pages::Value,
    plan::{Batch, Doubt, Find},
};
use crate::{
    domain::{reading::ReadingId, reading_ids::ReadingIds, store::Salvage, timestamp::Timestamp},
    storage::StoreError,
};

/// Rows in one statement.
const ROWS: usize = 50;

/// The new database while it is filled.
#[derive(Debug)]
pub(super) struct Import<'a> {
    connection: &'a mut SqliteConnection,
    now: Timestamp,
    /// Whether the index of waiting readings was found, so that it says which orphans wait.
    knows_pending: bool,
    /// Readings with higher ids are claimed by nobody; none where that is not known.
    since: Option<ReadingId>,
    /// Readings on their way; none before they were asked for.
    claimed: Option<Vec<RangeInclusive<ReadingId>>>,
    /// Readings that are in the new database.
    pub(super) readings: u64,
    /// What became of damaged databases before this one.
    pub(super) earlier: Vec<Salvage>,
    /// Batches of which nobody can tell whether they were still on their way.
    pub(super) batches_left: u64,
}

impl<'a> Import<'a> {
    /// Nothing is written yet.
    pub(super) async fn begin(
        connection: &'a mut SqliteConnection,
        now: Timestamp,
        knows_pending: bool,
        since: Option<ReadingId>,
    ) -> Result<Self, StoreError> {
        doubtful::begin(connection).await?;
        Ok(Self {
            connection,
            now,
            knows_pending,
            since,
            claimed: None,
            readings: 0,
            earlier: Vec::new(),
            batches_left: 0,
        })
    }

    /// Writes what was found. Other programs may write between any two of these.
    pub(super) async fn take(&mut self, find: Find) -> Result<(), StoreError> {
        match find {
            Find::Pending(ids) => doubtful::note_pending(self.connection, &ids).await,
            Find::Rows(batch) => self.take_rows(batch).await,
        }
    }

    /// Readings that went to quarantine.
    pub(super) async fn quarantined(&mut self) -> Result<u64, StoreError> {
        doubtful::count(self.connection).await
    }

    /// Waiting readings that are known by their index, and that are nowhere: neither here nor in a batch on its way.
    pub(super) async fn pending_lost(&mut self) -> Result<u64, StoreError> {
        self.know_claimed().await?;
        let lost = doubtful::pending_without_reading(self.connection).await?;
        Ok(lost.into_iter().filter(|id| !self.is_claimed(*id)).count() as u64)
    }

    async fn take_rows(&mut self, mut batch: Batch) -> Result<(), StoreError> {
        if batch.table == FACTS {
            self.note_earlier(&mut batch);
        }
        let Some(known) = TABLES.get(batch.table) else {
            return Ok(());
        };
        if batch.table == READINGS {
            self.know_claimed().await?;
        }
        let mut transaction = begin(self.connection).await?;
        let mut changes = Changes::default();
        match (batch.table, batch.doubt) {
            (READINGS, doubt) if doubt.is_some() || (batch.is_orphaned && self.knows_pending) => {
                let does_not_wait = self.knows_pending.then_some(Doubt::DoesNotWait);
                let doubt = doubt.or(does_not_wait).unwrap_or(Doubt::MayBeFree);
                let claimed = self.claimed.as_deref().unwrap_or_default();
                let (certain, others) =
                    judged(&mut transaction, batch.rows, claimed, self.since).await?;
                insert_readings(&mut transaction, known, certain, self.now, &mut changes).await?;
                for row in others {
                    // It lies elsewhere as well, where it is certain to be live.
                    if identical(&mut transaction, known, std::slice::from_ref(&row)).await? > 0 {
                        continue;
                    }
                    doubtful::quarantine(&mut transaction, &row, doubt, self.now).await?;
                }
            }
            (READINGS, _) => {
                insert_readings(&mut transaction, known, batch.rows, self.now, &mut changes).await?
            }
            (MANIFESTS, Some(_)) => {
                for row in batch.rows {
                    judge_manifest(&mut transaction, known, row, &mut changes).await?;
                }
            }
            (QUARANTINE, Some(doubt)) => {
                let rows = batch
                    .rows
                    .into_iter()
                    .map(|row| doubtful::doubted(row, doubt));
                insert(&mut transaction, known, &rows.collect::<Vec<_>>()).await?;
            }
            _ => {
                insert(&mut transaction, known, &batch.rows).await?;
            }
        }
        transaction.commit().await?;
        self.readings += changes.readings;
        self.batches_left += changes.batches_left;
        Ok(())
    }

    /// What became of damaged databases before this one is written down together with what becomes of it.
    fn note_earlier(&mut self, facts: &mut Batch) {
        let is_doubtful = facts.doubt.is_some();
        facts.rows.retain(|row| {
            let Some(told) = accounts::told_by(row) else {
                return true;
            };
            let told = told.into_iter().map(|salvage| match is_doubtful {
                true => accounts::doubted(salvage),
                false => salvage,
            });
            self.earlier.extend(told);
            false
        });
    }

    async fn know_claimed(&mut self) -> Result<(), StoreError> {
        if self.claimed.is_none() {
            let rows = sqlx::query("SELECT reading_ids FROM upload_manifests")
                .fetch_all(&mut *self.connection)
                .await?;
            let sets = rows
                .iter()
                .filter_map(|row| row.try_get::<String, _>(0).ok());
            let sets = sets.filter_map(|set| ReadingIds::decode(&set));
            self.claimed = Some(sets.flat_map(|set| set.runs().to_vec()).collect());
        }
        Ok(())
    }

    fn is_claimed(&self, id: ReadingId) -> bool {
        contains(self.claimed.as_deref().unwrap_or_default(), id)
    }
}

/// What one transaction brought.
#[derive(Debug, Default)]
struct Changes {
    readings: u64,
    batches_left: u64,
}

/// However long another program keeps the new database for itself: what waits here is not lost.
async fn begin(connection: &mut SqliteConnection) -> Result<Transaction<'_, Sqlite>, StoreError> {
    loop {
        let begun = sqlx::raw_sql("BEGIN IMMEDIATE; ROLLBACK")
            .execute(&mut *connection)
            .await;
        match begun.map_err(StoreError::from) {
            Err(StoreError::Busy(_)) => {}
            other => {
                other?;
                break;
            }
        }
    }
    Ok(connection.begin_with("BEGIN IMMEDIATE").await?)
}

fn contains(runs: &[RangeInclusive<ReadingId>], id: ReadingId) -> bool {
    runs.iter().any(|run| run.contains(&id))
}

fn id_of(row: &[Value]) -> ReadingId {
    match row.first() {
        Some(Value::Integer(id)) => *id,
        _ => 0,
    }
}

/// Readings that are certain to have been live.
async fn insert_readings(
    connection: &mut SqliteConnection,
    known: &Known,
    rows: Vec<Vec<Value>>,
    now: Timestamp,
    changes: &mut Changes,
) -> Result<(), StoreError> {
    let mut rows = rows.into_iter();
    loop {
        let some: Vec<Vec<Value>> = rows.by_ref().take(ROWS).collect();
        if some.is_empty() {
            return Ok(());
        }
        let all = some.len() as u64;
        let are_new = insert(connection, known, &some).await? == all;
        if are_new || identical(connection, known, &some).await? == all {
            changes.readings += all;
            continue;
        }
        for row in some {
            keep_reading(connection, known, row, Doubt::LiesTwice, now, changes).await?;
        }
    }
}

/// A reading whose place may be taken: by itself, or by another.
async fn keep_reading(
    connection: &mut SqliteConnection,
    known: &Known,
    row: Vec<Value>,
    doubt: Doubt,
    now: Timestamp,
    changes: &mut Changes,
) -> Result<(), StoreError> {
    let alone = std::slice::from_ref(&row);
    let is_new = insert(connection, known, alone).await? > 0;
    if is_new || identical(connection, known, alone).await? > 0 {
        changes.readings += 1;
        return Ok(());
    }
    doubtful::quarantine(connection, &row, doubt, now).await?;
    Ok(())
}

/// Of readings that may have been uploaded and deleted long ago: those that are certain to have been live, and the others.
async fn judged(
    connection: &mut SqliteConnection,
    rows: Vec<Vec<Value>>,
    claimed: &[RangeInclusive<ReadingId>],
    since: Option<ReadingId>,
) -> Result<(Vec<Vec<Value>>, Vec<Vec<Value>>), StoreError> {
    let ids: Vec<ReadingId> = rows.iter().map(|row| id_of(row)).collect();
    let waiting = doubtful::waiting(connection, &ids).await?;
    Ok(rows.into_iter().partition(|row| {
        let id = id_of(row);
        // One that was uploaded is sent no more, and the clean-up removes it in time.
        let is_uploaded = row.get(SYNCHRONIZED) == Some(&Value::Integer(1));
        let is_new = since.is_some_and(|since| id > since);
        is_uploaded || is_new || contains(claimed, id) || waiting.contains(&id)
    }))
}

/// A batch that may have had its outcome long ago: then its readings are gone.
async fn judge_manifest(
    connection: &mut SqliteConnection,
    known: &Known,
    row: Vec<Value>,
    changes: &mut Changes,
) -> Result<(), StoreError> {
    let place = known
        .columns
        .iter()
        .position(|column| column.name == "reading_ids");
    let ids = match place.and_then(|place| row.get(place)) {
        Some(Value::Text(text)) => ReadingIds::decode(&String::from_utf8_lossy(text)),
        _ => None,
    };
    for run in ids.iter().flat_map(ReadingIds::runs) {
        let waits: bool = sqlx::query_scalar(
            "SELECT EXISTS (SELECT 1 FROM meter_readings WHERE id BETWEEN ?1 AND ?2 AND is_synchronized IS NOT 1)",
        )
        .bind(*run.start())
        .bind(*run.end())
        .fetch_one(&mut *connection)
        .await?;
        if waits {
            insert(connection, known, std::slice::from_ref(&row)).await?;
            return Ok(());
        }
    }
    changes.batches_left += 1;
    Ok(())
}

/// How many of the rows are there, each with the very same values.
async fn identical(
    connection: &mut SqliteConnection,
    known: &Known,
    rows: &[Vec<Value>],
) -> Result<u64, StoreError> {
    let conditions: Vec<String> = known
        .columns
        .iter()
        .zip(1..)
        .map(|(column, place)| format!("kept.{} IS found.column{place}", column.name))
        .collect();
    let question = format!(
        "SELECT count(*) FROM (VALUES {}) AS found CROSS JOIN {} AS kept ON {}",
        placeholders(rows),
        known.name,
        conditions.join(" AND ")
    );
    let mut query = sqlx::query(AssertSqlSafe(question)).persistent(rows.len() == ROWS);
    for value in rows.iter().flatten() {
        query = bind(query, value);
    }
    let found: i64 = query.fetch_one(connection).await?.try_get(0)?;
    Ok(found.unsigned_abs())
}

/// Adds rows, but for those whose place is taken. Returns how many were added.
async fn insert(
    connection: &mut SqliteConnection,
    known: &Known,
    rows: &[Vec<Value>],
) -> Result<u64, StoreError> {
    let names: Vec<&str> = known.columns.iter().map(|column| column.name).collect();
    insert_into(connection, known.name, &names, rows).await
}

/// The same for any columns of a table.
pub(super) async fn insert_into(
    connection: &mut SqliteConnection,
    table: &str,
    names: &[&str],
    rows: &[Vec<Value>],
) -> Result<u64, StoreError> {
    let mut added = 0;
    for some in rows.chunks(ROWS) {
        let statement = format!(
            "INSERT OR IGNORE INTO {} ({}) VALUES {}",
            table,
            names.join(", "),
            placeholders(some)
        );
        let mut query = sqlx::query(AssertSqlSafe(statement)).persistent(some.len() == ROWS);
        for value in some.iter().flatten() {
            query = bind(query, value);
        }
        added += query.execute(&mut *connection).await?.rows_affected();
    }
    Ok(added)
}

fn placeholders(rows: &[Vec<Value>]) -> String {
    let row = |row: &Vec<Value>| {
        let places: Vec<&str> = row.iter().map(placeholder).collect();
        format!("({})", places.join(", "))
    };
    let rows: Vec<String> = rows.iter().map(row).collect();
    rows.join(", ")
}

/// Bytes that are no text can still be stored as one.
fn placeholder(value: &Value) -> &'static str {
    match value {
        Value::Text(bytes) if std::str::from_utf8(bytes).is_err() => "CAST(? AS TEXT)",
        _ => "?",
    }
}

fn bind<'q>(
    query: Query<'q, Sqlite, SqliteArguments>,
    value: &Value,
) -> Query<'q, Sqlite, SqliteArguments> {
    match value {
        Value::Null => query.bind(None::<i64>),
        Value::Integer(number) => query.bind(*number),
        Value::Real(number) => query.bind(*number),
        Value::Text(bytes) => match String::from_utf8(bytes.clone()) {
            Ok(text) => query.bind(text),
            Err(error) => query.bind(error.into_bytes()),
        },
        Value::Blob(bytes) => query.bind(bytes.clone()),
    }
}
