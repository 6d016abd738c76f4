//! Reads the rows of a claim from SQLite's own interface, on the thread that asks. sqlx hands every row over from a thread
//! of its own, which costs more than everything else that is done with it.
//!
//! The one place of the program with code that the compiler cannot check. It goes by
//! <https://www.sqlite.org/c3ref/stmt.html>: a statement lives no longer than the lock on its connection, and what a column
//! holds is copied before the next step.
#![expect(
    unsafe_code,
    reason = "with rows read through sqlx a drain takes 1.5 times the CPU time (2026-11-25: 4.5 s instead of 2.9 s a million)"
)]

use std::{
    ffi::{CStr, c_char, c_int},
    marker::PhantomData,
    ops::RangeInclusive,
    ptr::{self, NonNull},
    slice,
};

use compact_str::CompactString;
use libsqlite3_sys::{
    SQLITE_DONE, SQLITE_FLOAT, SQLITE_INTEGER, SQLITE_NULL, SQLITE_OK, SQLITE_ROW, SQLITE_TEXT,
    sqlite3, sqlite3_bind_int64, sqlite3_column_bytes, sqlite3_column_double, sqlite3_column_int64,
    sqlite3_column_text, sqlite3_column_type, sqlite3_errmsg, sqlite3_extended_errcode,
    sqlite3_finalize, sqlite3_prepare_v2, sqlite3_step, sqlite3_stmt,
};
use sqlx::{Connection, SqliteConnection, sqlite::LockedSqliteHandle};

use super::result_codes;
use crate::{
    domain::{
        reading::{RawCell, RawReading, ReadingId},
        timestamp::Timestamp,
    },
    storage::StoreError,
};

/// Reads on this thread, while the connection's own keeps away from it. Blocks while SQLite reads.
///
/// To take the connection away sends a word to its thread, which may come to read it only after the connection was given back
/// and taken away once more. So many unread words fill the way to it; then whoever holds the connection waits to send another
/// one, and the thread waits for the connection, for ever. Hence the answer of the thread is waited for at the end.
pub(super) async fn read_directly<T>(
    connection: &mut SqliteConnection,
    work: impl FnOnce(&mut DirectRows<'_>) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    let result = work(&mut DirectRows(connection.lock_handle().await?));
    let answered = connection.ping().await;
    let result = result?;
    answered?;
    Ok(result)
}

/// The rows of a connection that is ours alone.
pub(super) struct DirectRows<'connection>(LockedSqliteHandle<'connection>);

impl DirectRows<'_> {
    /// Up to `limit` pending rows with ids above `after`, ascending.
    pub(super) fn pending(
        &mut self,
        after: ReadingId,
        limit: usize,
    ) -> Result<Vec<RawReading>, StoreError> {
        let query = include_str!("queries/claim.sql");
        self.read(query, [after, integer(limit)])
    }

    /// The same, at less cost; fewer where many others lie between them.
    pub(super) fn pending_nearby(
        &mut self,
        after: ReadingId,
        limit: usize,
    ) -> Result<Vec<RawReading>, StoreError> {
        let query = include_str!("queries/read_ahead.sql");
        self.read(query, [after, integer(limit)])
    }

    /// All rows with these ids, ascending.
    pub(super) fn between(
        &mut self,
        ids: RangeInclusive<ReadingId>,
    ) -> Result<Vec<RawReading>, StoreError> {
        let query = include_str!("queries/readings_between.sql");
        self.read(query, [*ids.start(), *ids.end()])
    }

    /// Rows whose columns are the id and the reading's five fields.
    fn read(
        &mut self,
        query: &'static str,
        parameters: [i64; 2],
    ) -> Result<Vec<RawReading>, StoreError> {
        let mut statement = Statement::prepare(&mut self.0, query)?;
        for (parameter, value) in (1..).zip(parameters) {
            statement.bind(parameter, value)?;
        }
        let mut rows = Vec::with_capacity(LIKELY_ROWS);
        let mut last_time = None;
        while statement.step()? {
            rows.push(RawReading {
                id: statement.integer(0),
                meter_external_id: statement.cell(1),
                timestamp: statement.time(2, &mut last_time),
                data_point: statement.cell(3),
                value: statement.cell(4),
                unit: statement.cell(5),
                writer: None,
            });
        }
        Ok(rows)
    }
}

fn integer(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

/// Room is made for so many rows at once.
const LIKELY_ROWS: usize = 1_000;

/// A statement of the connection that is locked for as long.
struct Statement<'handle> {
    statement: NonNull<sqlite3_stmt>,
    database: NonNull<sqlite3>,
    locked: PhantomData<&'handle mut ()>,
}

impl<'handle> Statement<'handle> {
    fn prepare(
        handle: &'handle mut LockedSqliteHandle<'_>,
        text: &'static str,
    ) -> Result<Self, StoreError> {
        let database = handle.as_raw_handle();
        let length = c_int::try_from(text.len()).unwrap_or(c_int::MAX);
        let mut statement = ptr::null_mut();
        // SAFETY: the connection is open, and nobody else uses it while it is locked; the text is as long as is said.
        let code = unsafe {
            sqlite3_prepare_v2(
                database.as_ptr(),
                text.as_ptr().cast::<c_char>(),
                length,
                &raw mut statement,
                ptr::null_mut(),
            )
        };
        match NonNull::new(statement) {
            Some(statement) if code == SQLITE_OK => Ok(Self {
                statement,
                database,
                locked: PhantomData,
            }),
            _ => Err(failure(database)),
        }
    }

    /// Sets a parameter; they are counted from 1.
    fn bind(&mut self, parameter: c_int, value: i64) -> Result<(), StoreError> {
        // SAFETY: the statement is not finalized before `self` is dropped, and no row is being read.
        let code = unsafe { sqlite3_bind_int64(self.statement.as_ptr(), parameter, value) };
        if code == SQLITE_OK {
            Ok(())
        } else {
            Err(failure(self.database))
        }
    }

    /// Goes to the next row; whether there is one.
    fn step(&mut self) -> Result<bool, StoreError> {
        // SAFETY: as above; nothing that pointed into the row before is kept.
        match unsafe { sqlite3_step(self.statement.as_ptr()) } {
            SQLITE_ROW => Ok(true),
            SQLITE_DONE => Ok(false),
            _ => Err(failure(self.database)),
        }
    }

    /// A column of the present row; they are counted from 0.
    fn integer(&self, column: c_int) -> i64 {
        // SAFETY: `step` has found a row, and a column that is no whole number is converted.
        unsafe { sqlite3_column_int64(self.statement.as_ptr(), column) }
    }

    fn cell(&self, column: c_int) -> RawCell {
        self.cell_of(column, |text| RawCell::Text(text.into()))
    }

    /// Times lie there as text, of which no copy is made where they are some. Readings that were taken together mostly lie
    /// together.
    fn time(&self, column: c_int, last: &mut Option<(CompactString, Timestamp)>) -> RawCell {
        self.cell_of(column, |text| {
            if let Some((_, time)) = last.as_ref().filter(|(last, _)| last == text) {
                return RawCell::Time(*time);
            }
            let Some(time) = Timestamp::parse_stored(text) else {
                return RawCell::Text(text.into());
            };
            *last = Some((text.into(), time));
            RawCell::Time(time)
        })
    }

    fn cell_of(&self, column: c_int, of_text: impl FnOnce(&str) -> RawCell) -> RawCell {
        let statement = self.statement.as_ptr();
        // SAFETY: `step` has found a row; nothing converts the column before its type is asked for.
        match unsafe { sqlite3_column_type(statement, column) } {
            SQLITE_NULL => RawCell::Null,
            SQLITE_INTEGER => RawCell::Integer(self.integer(column)),
            // SAFETY: the column is of this type.
            SQLITE_FLOAT => RawCell::Real(unsafe { sqlite3_column_double(statement, column) }),
            SQLITE_TEXT => self.text(column, of_text),
            _ => RawCell::Blob,
        }
    }

    /// Text that is no UTF-8 is as unreadable as binary data.
    fn text(&self, column: c_int, of_text: impl FnOnce(&str) -> RawCell) -> RawCell {
        // SAFETY: the column is of this type, and the length is asked for after the text, as it has to be. The bytes stay
        // where they are until the next step, and nothing keeps them longer than this call.
        let bytes = unsafe {
            let start = sqlite3_column_text(self.statement.as_ptr(), column);
            let length = sqlite3_column_bytes(self.statement.as_ptr(), column);
            match (start.is_null(), usize::try_from(length)) {
                (false, Ok(length)) => slice::from_raw_parts(start, length),
                _ => return RawCell::Blob,
            }
        };
        if bytes.is_ascii() {
            // SAFETY: ASCII is UTF-8. The general way looks at every byte by itself.
            return of_text(unsafe { std::str::from_utf8_unchecked(bytes) });
        }
        std::str::from_utf8(bytes).map_or(RawCell::Blob, of_text)
    }
}

impl Drop for Statement<'_> {
    fn drop(&mut self) {
        // SAFETY: nobody else has the statement. What its last step returned is returned here once more.
        unsafe { sqlite3_finalize(self.statement.as_ptr()) };
    }
}

fn failure(database: NonNull<sqlite3>) -> StoreError {
    // SAFETY: the connection is open and locked; the words stay where they are until its next use, and are copied here.
    let (code, words) = unsafe {
        (
            sqlite3_extended_errcode(database.as_ptr()),
            CStr::from_ptr(sqlite3_errmsg(database.as_ptr())),
        )
    };
    result_codes::meaning(Some(&code.to_string()), &words.to_string_lossy())
}
