//! A page of a list and the length of the whole, the same way for every list.

use sqlx::{
    Sqlite, SqliteConnection,
    query::Query,
    sqlite::{SqliteArguments, SqliteRow},
};

use super::cells;
use crate::storage::{Page, StoreError, Window};

type Statement<'q> = Query<'q, Sqlite, SqliteArguments>;

/// Asks for the total, then for the rows; the window's limit and offset are the last two parameters of `rows`.
pub(super) async fn page<T>(
    connection: &mut SqliteConnection,
    total: Statement<'_>,
    rows: Statement<'_>,
    window: Window,
    read: impl Fn(&SqliteRow) -> Result<T, StoreError>,
) -> Result<Page<T>, StoreError> {
    let total = total.fetch_one(&mut *connection).await?;
    let rows = rows
        .bind(window.limit)
        .bind(window.offset)
        .fetch_all(connection)
        .await?;
    Ok(Page {
        total: cells::required_integer(&total, 0)?,
        items: rows.iter().map(read).collect::<Result<_, _>>()?,
    })
}
