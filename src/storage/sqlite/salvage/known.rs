//! The tables of a Sync Database, and what their rows look like to somebody who finds one without knowing whose it is.

use super::pages::{Row, Value};

/// A table.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) name: &'static str,
    /// What it holds, in words.
    pub(super) holds: &'static str,
    /// Whether its rows have ids of their own; otherwise its first column is its key.
    pub(super) has_ids: bool,
    pub(super) columns: &'static [Column],
    /// Columns that every row has; later ones may have been added.
    least: usize,
    /// No row takes less of a page than this, in bytes, its pointer included.
    pub(super) shortest: u64,
}

/// A column.
#[derive(Debug)]
pub(super) struct Column {
    pub(super) name: &'static str,
    /// Kinds of values, or-ed.
    kinds: u8,
    /// What a row holds that was written before there was this column.
    pub(super) missing: Value,
}

const NULL: u8 = 1;
const INTEGER: u8 = 2;
const REAL: u8 = 4;
const TEXT: u8 = 8;
const BLOB: u8 = 16;
const ANY: u8 = NULL | INTEGER | REAL | TEXT | BLOB;
const TIME: u8 = ANY & !BLOB;

const fn column(name: &'static str, kinds: u8) -> Column {
    Column {
        name,
        kinds,
        missing: Value::Null,
    }
}

const fn zero_before(name: &'static str, kinds: u8) -> Column {
    Column {
        name,
        kinds,
        missing: Value::Integer(0),
    }
}

const ID: Column = column("id", NULL);

/// Where the readings are among [`TABLES`].
pub(super) const READINGS: usize = 1;
/// Where the manifests are.
pub(super) const MANIFESTS: usize = 0;
/// Where the quarantine is.
pub(super) const QUARANTINE: usize = 2;
/// Where a reading says whether it was uploaded.
pub(super) const SYNCHRONIZED: usize = 6;

/// Where the remembered facts are.
pub(super) const FACTS: usize = 6;

/// All tables, in the order in which they are saved: what is on its way says of readings that they are live.
pub(super) const TABLES: [Known; 8] = [
    Known {
        name: "upload_manifests",
        holds: "the batches on their way",
        has_ids: true,
        columns: &[
            ID,
            column("key", TEXT),
            column("root", TEXT),
            column("state", TEXT),
            column("attempts", INTEGER),
            column("failed_passes", INTEGER),
            column("last_error", NULL | TEXT),
            column("last_status", NULL | INTEGER),
            column("claimed_at", TEXT),
            column("reading_count", INTEGER),
            column("reading_ids", TEXT),
            column("body", BLOB),
        ],
        least: 12,
        shortest: 80,
    },
    Known {
        name: "meter_readings",
        holds: "the readings",
        has_ids: true,
        columns: &[
            ID,
            column("meter_external_id", TEXT | BLOB),
            column("timestamp", TIME & !NULL),
            column("data_point", TEXT | BLOB),
            column("value", ANY & !NULL),
            column("unit", NULL | TEXT | BLOB),
            zero_before("is_synchronized", NULL | INTEGER | TEXT),
            zero_before("retry_count", NULL | INTEGER),
            column("created_at", TIME),
            column("synchronized_at", TIME),
        ],
        least: 5,
        // Pointer, two lengths, a header for five columns, a date, a meter and a data point of one character.
        shortest: 22,
    },
    Known {
        name: "quarantined_readings",
        holds: "the quarantine",
        has_ids: true,
        columns: &[
            ID,
            column("reading_id", INTEGER),
            column("meter_external_id", NULL | TEXT),
            column("timestamp", NULL | TEXT),
            column("data_point", NULL | TEXT),
            column("value", NULL | TEXT),
            column("unit", NULL | TEXT),
            column("retry_count", INTEGER),
            column("reading_created_at", NULL | TEXT),
            column("reason", TEXT),
            column("status", NULL | INTEGER),
            column("message", TEXT),
            column("idempotency_key", NULL | TEXT),
            column("quarantined_at", TEXT),
        ],
        least: 14,
        shortest: 40,
    },
    Known {
        name: "meters",
        holds: "the meters (the next configuration download brings them)",
        has_ids: true,
        columns: &[
            ID,
            column("external_id", TEXT),
            column("name", TEXT),
            column("bacnet_device_id", NULL | INTEGER),
            column("bacnet_ip", NULL | TEXT),
            column("config", NULL | TEXT | BLOB),
            column("last_reading_at", TIME),
            column("is_active", NULL | INTEGER),
            column("created_at", TIME),
            column("updated_at", TIME),
        ],
        least: 3,
        shortest: 10,
    },
    Known {
        name: "quarantine_audit",
        holds: "the audit of the quarantine",
        has_ids: true,
        columns: &[
            ID,
            column("quarantine_id", INTEGER),
            column("action", TEXT),
            column("details", TEXT),
            column("at", TEXT),
        ],
        least: 5,
        shortest: 20,
    },
    Known {
        name: "sync_log",
        holds: "the sync log",
        has_ids: true,
        columns: &[
            ID,
            column("batch_size", INTEGER),
            column("success", INTEGER),
            column("error_message", NULL | TEXT),
            column("synced_at", NULL | TEXT),
        ],
        least: 3,
        shortest: 10,
    },
    Known {
        name: "service_facts",
        holds: "what was remembered of the Client System",
        has_ids: false,
        columns: &[
            column("name", TEXT),
            column("value", TEXT),
            column("updated_at", TEXT),
        ],
        least: 3,
        shortest: 10,
    },
    Known {
        name: "ingestion_keys",
        holds: "the keys of earlier requests (one that is repeated now is stored again)",
        has_ids: false,
        columns: &[
            column("key", TEXT),
            column("readings", INTEGER),
            column("fingerprint", TEXT),
            column("created_at", TEXT),
        ],
        least: 4,
        shortest: 20,
    },
];

/// Where the columns of a table lie in its records: for each of ours its place; none where the table has no such.
pub(super) type Layout = Vec<Option<usize>>;

impl Known {
    /// As this service makes the table.
    pub(super) fn usual_layout(&self) -> Layout {
        (0..self.columns.len()).map(Some).collect()
    }

    /// Whether this may be a row of the table.
    pub(super) fn fits(&self, row: &Row, layout: &Layout) -> bool {
        let columns = layout.iter().flatten().max().map_or(0, |last| last + 1);
        let length = row.values.len();
        let is_long_enough = length >= self.least.min(columns);
        // A table may have more columns than ours; where nothing is known of it, it has not.
        is_long_enough && length <= columns.max(self.columns.len()) && {
            let mut places = self.columns.iter().zip(layout);
            places.all(|(column, place)| {
                let value = place.and_then(|place| row.values.get(place));
                value.is_none_or(|value| column.kinds & kind(value) != 0)
            })
        }
    }

    /// The row's values in the order of our columns.
    pub(super) fn values(&self, row: Row, layout: &Layout) -> Vec<Value> {
        let mut values = row.values;
        let places = self.columns.iter().zip(layout);
        places
            .map(|(column, place)| {
                if self.has_ids && column.name == "id" {
                    return Value::Integer(row.id);
                }
                let value = place.and_then(|place| values.get_mut(place));
                value.map_or_else(
                    || column.missing.clone(),
                    |value| std::mem::replace(value, Value::Null),
                )
            })
            .collect()
    }
}

fn kind(value: &Value) -> u8 {
    match value {
        Value::Null => NULL,
        Value::Integer(_) => INTEGER,
        Value::Real(_) => REAL,
        Value::Text(_) => TEXT,
        Value::Blob(_) => BLOB,
    }
}

/// The one table that all rows of a page may belong to.
pub(super) fn table_of(rows: &[Row], is_table: bool, layouts: &[Layout]) -> Option<usize> {
    let mut fitting = TABLES
        .iter()
        .zip(layouts)
        .enumerate()
        .filter(|(_, (known, layout))| {
            known.has_ids == is_table && rows.iter().all(|row| known.fits(row, layout))
        });
    let (table, _) = fitting.next()?;
    fitting.next().is_none().then_some(table)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_are_where_they_are_looked_for() {
        assert_eq!(TABLES[READINGS].name, "meter_readings");
        assert_eq!(TABLES[MANIFESTS].name, "upload_manifests");
        assert_eq!(TABLES[FACTS].name, "service_facts");
        assert_eq!(TABLES[QUARANTINE].name, "quarantined_readings");
        assert_eq!(
            TABLES[READINGS].columns[SYNCHRONIZED].name,
            "is_synchronized"
        );
    }
}
