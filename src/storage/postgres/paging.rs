//! A page of a list and the length of the whole, the same way for every list.

use sqlx::{
    PgConnection, Postgres,
    postgres::{PgArguments, PgRow},
    query::Query,
};

use super::cells;
use crate::storage::{Page, StoreError, Window};

type Statement<'q> = Query<'q, Postgres, PgArguments>;

/// Asks for the total, then for the rows; the window's limit and offset are the last two parameters of `rows`.
pub(super) async fn page<T>(
    connection: &mut PgConnection,
    total: Statement<'_>,
    rows: Statement<'_>,
    window: Window,
    read: impl Fn(&PgRow) -> Result<T, StoreError>,
) -> Result<Page<T>, StoreError> {
    let total = total.fetch_one(&mut *connection).await?;
    let rows = rows
        .bind(i64::from(window.limit))
        .bind(i64::from(window.offset))
        .fetch_all(connection)
        .await?;
    Ok(Page {
        total: cells::get(&total, 0)?,
        items: rows.iter().map(read).collect::<Result<_, _>>()?,
    })
}
