//! Takes over the tables of a deployed site in place: adds what they lack, and never takes anything away.

use sqlx::{Connection, SqliteConnection, sqlite::SqliteRow};

use super::{cells, table_definition};
use crate::{domain::reading::RawCell, storage::StoreError};

/// A table that another program may have made.
struct DeployedTable {
    name: &'static str,
    /// Columns without which its rows mean nothing.
    required: &'static [&'static str],
    /// Columns that can be added, each with the statement for it.
    addable: &'static [(&'static str, &'static str)],
}

const METER_READINGS: DeployedTable = DeployedTable {
    name: "meter_readings",
    required: &[
        "id",
        "meter_external_id",
        "timestamp",
        "data_point",
        "value",
    ],
    addable: &[
        (
            "unit",
            "ALTER TABLE meter_readings ADD COLUMN unit VARCHAR(50)",
        ),
        (
            "is_synchronized",
            "ALTER TABLE meter_readings ADD COLUMN is_synchronized BOOLEAN DEFAULT FALSE",
        ),
        (
            "retry_count",
            "ALTER TABLE meter_readings ADD COLUMN retry_count INTEGER DEFAULT 0",
        ),
        // SQLite adds no column whose default is the time; readings of other programs stay without one.
        (
            "created_at",
            "ALTER TABLE meter_readings ADD COLUMN created_at TIMESTAMP",
        ),
        (
            "synchronized_at",
            "ALTER TABLE meter_readings ADD COLUMN synchronized_at TIMESTAMP",
        ),
    ],
};

const METERS: DeployedTable = DeployedTable {
    name: "meters",
    required: &["id", "external_id", "name"],
    addable: &[
        (
            "bacnet_device_id",
            "ALTER TABLE meters ADD COLUMN bacnet_device_id INTEGER",
        ),
        (
            "bacnet_ip",
            "ALTER TABLE meters ADD COLUMN bacnet_ip VARCHAR(45)",
        ),
        ("config", "ALTER TABLE meters ADD COLUMN config JSONB"),
        (
            "last_reading_at",
            "ALTER TABLE meters ADD COLUMN last_reading_at TIMESTAMP",
        ),
        (
            "is_active",
            "ALTER TABLE meters ADD COLUMN is_active BOOLEAN DEFAULT TRUE",
        ),
        (
            "created_at",
            "ALTER TABLE meters ADD COLUMN created_at TIMESTAMP",
        ),
        (
            "updated_at",
            "ALTER TABLE meters ADD COLUMN updated_at TIMESTAMP",
        ),
    ],
};

const SYNC_LOG: DeployedTable = DeployedTable {
    name: "sync_log",
    required: &["id", "batch_size", "success"],
    addable: &[
        (
            "error_message",
            "ALTER TABLE sync_log ADD COLUMN error_message TEXT",
        ),
        (
            "synced_at",
            "ALTER TABLE sync_log ADD COLUMN synced_at TIMESTAMP",
        ),
    ],
};

/// What SQLite says about one column.
struct Column {
    name: String,
    declared_type: String,
    must_be_given: bool,
    in_primary_key: bool,
    generated: bool,
}

/// Brings the tables that are there to the shape that the migrations expect; does nothing the second time.
///
/// # Errors
/// [`StoreError::Unsuitable`] says what stands in the way and what to do about it. Nothing is changed then.
pub(super) async fn adopt(connection: &mut SqliteConnection) -> Result<(), StoreError> {
    // While a table is rebuilt, views and triggers of other programs point to nothing for a moment.
    sqlx::query("PRAGMA legacy_alter_table = ON")
        .execute(&mut *connection)
        .await?;
    let adopted = adopt_all(connection).await;
    sqlx::query("PRAGMA legacy_alter_table = OFF")
        .execute(connection)
        .await?;
    adopted
}

async fn adopt_all(connection: &mut SqliteConnection) -> Result<(), StoreError> {
    let mut transaction = connection
        .begin_with(include_str!("queries/begin.sql"))
        .await?;
    for table in [&METERS, &METER_READINGS, &SYNC_LOG] {
        adopt_table(&mut transaction, table).await?;
    }
    keep_ids_from_being_reused(&mut transaction).await?;
    Ok(transaction.commit().await?)
}

/// Whether [`adopt`] would change anything.
///
/// # Errors
/// As [`adopt`].
pub(super) async fn is_due(connection: &mut SqliteConnection) -> Result<bool, StoreError> {
    let mut is_due = false;
    for table in [&METERS, &METER_READINGS, &SYNC_LOG] {
        is_due |= !missing_columns(connection, table).await?.is_empty();
    }
    Ok(is_due | rebuilt_definition(connection).await?.is_some())
}

async fn adopt_table(
    connection: &mut SqliteConnection,
    table: &DeployedTable,
) -> Result<(), StoreError> {
    for statement in missing_columns(connection, table).await? {
        sqlx::query(statement).execute(&mut *connection).await?;
    }
    Ok(())
}

/// The statements for the columns that a table lacks; none where there is no such table yet.
async fn missing_columns(
    connection: &mut SqliteConnection,
    table: &DeployedTable,
) -> Result<Vec<&'static str>, StoreError> {
    if !is_ordinary_table(connection, table.name).await? {
        return Ok(Vec::new());
    }
    let columns = columns(connection, table.name).await?;
    require_columns(table, &columns)?;
    require_own_ids(connection, table.name, &columns).await?;
    refuse_unknown_duties(table, &columns)?;
    let addable = table.addable.iter();
    let missing = addable.filter(|(name, _)| !has(&columns, name));
    Ok(missing.map(|(_, statement)| *statement).collect())
}

/// False where there is no such table yet.
async fn is_ordinary_table(
    connection: &mut SqliteConnection,
    table: &str,
) -> Result<bool, StoreError> {
    let Some(row) = sqlx::query(include_str!("queries/table_kind.sql"))
        .bind(table)
        .fetch_optional(connection)
        .await?
    else {
        return Ok(false);
    };
    let kind = cells::required_text(&row, 0)?;
    let without_rowid = cells::boolean(&row, 1)?.unwrap_or_default();
    if kind != "table" {
        return Err(StoreError::Unsuitable(format!(
            "{table} is a {kind}, but has to be a table; rename it, so that a table can take its place"
        )));
    }
    if without_rowid {
        return Err(StoreError::Unsuitable(format!(
            "table {table} is WITHOUT ROWID, so that SQLite gives its rows no ids; make it without that clause"
        )));
    }
    Ok(true)
}

async fn columns(
    connection: &mut SqliteConnection,
    table: &str,
) -> Result<Vec<Column>, StoreError> {
    let rows = sqlx::query(include_str!("queries/table_columns.sql"))
        .bind(table)
        .fetch_all(connection)
        .await?;
    rows.iter().map(column).collect()
}

fn column(row: &SqliteRow) -> Result<Column, StoreError> {
    let flag = |index| Ok::<_, StoreError>(cells::boolean(row, index)?.unwrap_or_default());
    Ok(Column {
        name: cells::required_text(row, 0)?,
        declared_type: cells::text(row, 1)?.unwrap_or_default(),
        must_be_given: flag(2)? && !flag(3)?,
        in_primary_key: flag(4)?,
        generated: flag(5)?,
    })
}

fn has(columns: &[Column], name: &str) -> bool {
    columns
        .iter()
        .any(|column| column.name.eq_ignore_ascii_case(name))
}

fn require_columns(table: &DeployedTable, columns: &[Column]) -> Result<(), StoreError> {
    match table.required.iter().find(|name| !has(columns, name)) {
        None => Ok(()),
        Some(missing) => Err(StoreError::Unsuitable(format!(
            "table {} has no column {missing}; add it, or rename the table, so that a new one can take its place",
            table.name
        ))),
    }
}

/// Only an INTEGER PRIMARY KEY is filled in by SQLite itself.
async fn require_own_ids(
    connection: &mut SqliteConnection,
    table: &str,
    columns: &[Column],
) -> Result<(), StoreError> {
    let separate = sqlx::query(include_str!("queries/separate_primary_keys.sql"))
        .bind(table)
        .fetch_one(connection)
        .await?;
    let fits = columns.iter().all(|column| {
        let is_id = column.name.eq_ignore_ascii_case("id");
        column.in_primary_key == is_id
            && (!is_id || column.declared_type.eq_ignore_ascii_case("integer"))
    });
    if fits && cells::required_integer(&separate, 0)? == 0 {
        return Ok(());
    }
    Err(StoreError::Unsuitable(format!(
        "column id of table {table} is no INTEGER PRIMARY KEY; copy the rows into a table that has one"
    )))
}

/// A column that we do not know and that has to be given would fail every row of ours.
fn refuse_unknown_duties(table: &DeployedTable, columns: &[Column]) -> Result<(), StoreError> {
    let known = |name: &str| {
        let addable = table.addable.iter().map(|(addable, _)| addable);
        table
            .required
            .iter()
            .chain(addable)
            .any(|known| known.eq_ignore_ascii_case(name))
    };
    match columns
        .iter()
        .find(|column| column.must_be_given && !column.in_primary_key && !known(&column.name))
    {
        None => Ok(()),
        Some(unknown) => Err(StoreError::Unsuitable(format!(
            "column {} of table {} is NOT NULL and has no default; give it one",
            unknown.name, table.name
        ))),
    }
}

/// Rebuilds the readings' table where SQLite would give a deleted reading's id to the next one: the id on
/// record for a batch on its way must never mean another reading.
async fn keep_ids_from_being_reused(connection: &mut SqliteConnection) -> Result<(), StoreError> {
    match rebuilt_definition(connection).await? {
        Some(rebuilt) => rebuild_readings(connection, rebuilt).await,
        None => Ok(()),
    }
}

/// The definition that the readings' table should have; none where it is as it should be, or not there.
async fn rebuilt_definition(
    connection: &mut SqliteConnection,
) -> Result<Option<String>, StoreError> {
    let Some(row) = sqlx::query(include_str!("queries/readings_definition.sql"))
        .fetch_optional(connection)
        .await?
    else {
        return Ok(None);
    };
    let definition = cells::required_text(&row, 0)?;
    if table_definition::has_autoincrement(&definition) {
        return Ok(None);
    }
    table_definition::rename(&definition, "meter_readings_rebuilt")
        .and_then(|definition| table_definition::add_autoincrement(&definition))
        .ok_or_else(|| {
            StoreError::Unsuitable(
                "the definition of table meter_readings is not understood; add AUTOINCREMENT to its primary key"
                    .to_owned(),
            )
        })
        .map(Some)
}

/// The procedure that SQLite's documentation gives for changes that ALTER TABLE does not know.
async fn rebuild_readings(
    connection: &mut SqliteConnection,
    definition: String,
) -> Result<(), StoreError> {
    let attachments = sqlx::query(include_str!("queries/readings_attachments.sql"))
        .fetch_all(&mut *connection)
        .await?;
    let copied: Vec<String> = columns(connection, METER_READINGS.name)
        .await?
        .iter()
        .filter(|column| !column.generated)
        .map(|column| table_definition::quote(&column.name))
        .collect();
    let copied = copied.join(", ");
    let copy = format!(
        "INSERT INTO meter_readings_rebuilt ({copied}) SELECT {copied} FROM meter_readings ORDER BY id"
    );
    execute(connection, definition).await?;
    execute(connection, copy).await?;
    sqlx::query(include_str!("queries/drop_readings.sql"))
        .execute(&mut *connection)
        .await?;
    sqlx::query(include_str!("queries/rename_rebuilt_readings.sql"))
        .execute(&mut *connection)
        .await?;
    for attachment in attachments {
        if let RawCell::Text(statement) = cells::cell(&attachment, 0)? {
            execute(connection, statement.into_string()).await?;
        }
    }
    Ok(())
}

/// Runs a statement made from what the database itself holds.
async fn execute(connection: &mut SqliteConnection, statement: String) -> Result<(), StoreError> {
    sqlx::raw_sql(sqlx::AssertSqlSafe(statement))
        .execute(connection)
        .await?;
    Ok(())
}
