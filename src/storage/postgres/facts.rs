//! Facts about the Client System that outlive the process.

use sqlx::PgConnection;

use super::cells;
use crate::storage::{Fact, StoreError};

/// What is remembered.
pub(super) async fn recall(
    connection: &mut PgConnection,
    fact: Fact,
) -> Result<Option<String>, StoreError> {
    let row = sqlx::query(include_str!("queries/fact.sql"))
        .bind(fact.name())
        .fetch_optional(connection)
        .await?;
    row.map(|row| cells::get(&row, 0)).transpose()
}

/// Remembers a value, or forgets the fact.
pub(super) async fn remember(
    connection: &mut PgConnection,
    fact: Fact,
    value: Option<&str>,
) -> Result<(), StoreError> {
    let query = match value {
        Some(value) => sqlx::query(include_str!("queries/remember_fact.sql"))
            .bind(fact.name())
            .bind(value.to_owned()),
        None => sqlx::query(include_str!("queries/forget_fact.sql")).bind(fact.name()),
    };
    query.execute(connection).await?;
    Ok(())
}

/// Adds to a number.
pub(super) async fn add(
    connection: &mut PgConnection,
    fact: Fact,
    amount: u64,
) -> Result<(), StoreError> {
    sqlx::query(include_str!("queries/add_to_fact.sql"))
        .bind(fact.name())
        .bind(amount.to_string())
        .execute(connection)
        .await?;
    Ok(())
}
