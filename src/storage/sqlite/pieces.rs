//! Many rows in few statements: in pieces of a few sizes, so that every statement is prepared once and kept.

use std::iter;

use sqlx::{Sqlite, query::Query, sqlite::SqliteArguments};

/// A statement whose parameters are bound one after another.
pub(super) type Insert = Query<'static, Sqlite, SqliteArguments>;

/// All rows in order, in pieces of these sizes, each with the statement for as many. The sizes descend to one.
pub(super) fn pieces<'r, T, const N: usize>(
    sizes: [usize; N],
    statements: &'static [String; N],
    mut rows: &'r [T],
) -> impl Iterator<Item = (Insert, &'r [T])> {
    iter::from_fn(move || {
        let which = sizes.iter().position(|size| *size <= rows.len())?;
        let (piece, rest) = rows.split_at(sizes[which]);
        rows = rest;
        Some((sqlx::query(statements[which].as_str()), piece))
    })
}
