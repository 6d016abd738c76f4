//! Where the columns of tables lie that another program made: SQLite itself is asked, in a database of its own.

use sqlx::{
    AssertSqlSafe, ConnectOptions, Connection, Row, SqliteConnection, sqlite::SqliteConnectOptions,
};

use super::{
    known::{Known, Layout, TABLES},
    outline::Named,
};
use crate::storage::StoreError;

/// The layout of each table, by the statement that made it; as this service makes it where there is no such.
pub(super) async fn layouts(tables: &[Named]) -> Result<Vec<Layout>, StoreError> {
    let mut scratch = SqliteConnectOptions::new()
        .in_memory(true)
        .disable_statement_logging()
        .connect()
        .await?;
    let mut layouts = Vec::new();
    for (known, named) in TABLES.iter().zip(tables) {
        let layout = match &named.definition {
            Some(definition) => layout(&mut scratch, known, definition).await,
            None => None,
        };
        layouts.push(layout.unwrap_or_else(|| known.usual_layout()));
    }
    // It holds nothing.
    let _ = scratch.close().await;
    Ok(layouts)
}

/// Makes the table as another program had made it; false where that cannot be.
pub(super) async fn make(connection: &mut SqliteConnection, definition: &str) -> bool {
    let made = sqlx::raw_sql(AssertSqlSafe(definition.to_owned()))
        .execute(connection)
        .await;
    made.is_ok()
}

async fn layout(scratch: &mut SqliteConnection, known: &Known, definition: &str) -> Option<Layout> {
    if !make(scratch, definition).await {
        return None;
    }
    // A generated column takes no place in a record unless it is stored.
    let question = "SELECT name FROM pragma_table_xinfo(?1) WHERE hidden <> 2 ORDER BY cid";
    let rows = sqlx::query(question)
        .bind(known.name)
        .fetch_all(scratch)
        .await
        .ok()?;
    let names: Vec<String> = rows.iter().filter_map(|row| row.try_get(0).ok()).collect();
    let place = |name: &str| {
        names
            .iter()
            .position(|other| other.eq_ignore_ascii_case(name))
    };
    let layout: Layout = known
        .columns
        .iter()
        .map(|column| place(column.name))
        .collect();
    layout.iter().any(Option::is_some).then_some(layout)
}
