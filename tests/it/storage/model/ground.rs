//! What a queue stands on: a site of either engine, and what another program with a transaction of its own does there.

use std::collections::{BTreeMap, BTreeSet};

use meterit_sync::{
    domain::{
        batch::ManifestState, quarantine::QuarantineReason, reading::ReadingId,
        reading_ids::ReadingIds,
    },
    upstream::body,
};
use sqlx::{Connection, PgConnection, Row};

use super::steps::{Number, Place};
use crate::storage::site::{PostgresSite, Site, SqliteSite};

pub enum Ground {
    Sqlite(SqliteSite),
    Postgres(PostgresSite),
}

/// Another program's readings that have ids but are not there yet.
pub enum Reservation {
    /// The engine has one writer at a time, so the ids were used for rows that are gone.
    Sqlite(Vec<ReadingId>),
    Postgres(PgConnection),
}

/// Everything in the database that the reference speaks of.
#[derive(Debug, Default)]
pub struct Observed {
    pub readings: Vec<ObservedReading>,
    pub manifests: Vec<ObservedManifest>,
    pub entries: Vec<ObservedEntry>,
    pub log: Vec<(usize, bool)>,
    pub audit: BTreeMap<String, usize>,
    pub keys: BTreeSet<String>,
    /// The length that the engine keeps itself.
    pub kept_length: Option<usize>,
}

#[derive(Debug)]
pub struct ObservedReading {
    pub id: ReadingId,
    pub number: Number,
    pub synchronized: bool,
    pub retries: u32,
}

#[derive(Debug)]
pub struct ObservedManifest {
    pub key: String,
    pub root: String,
    pub state: ManifestState,
    pub attempts: u32,
    pub failed_passes: u32,
    pub ids: ReadingIds,
    /// What its body holds; nothing for a suspect, which is never sent.
    pub sent: Vec<Number>,
}

#[derive(Debug)]
pub struct ObservedEntry {
    pub id: i64,
    pub number: Number,
    pub reason: QuarantineReason,
    pub retries: u32,
    pub unreadable: bool,
}

impl Ground {
    pub fn site(&self) -> &dyn Site {
        match self {
            Self::Sqlite(site) => site,
            Self::Postgres(site) => site,
        }
    }

    /// What an instance is told to open.
    pub fn database(&self) -> String {
        match self {
            Self::Sqlite(site) => site.file().to_str().expect("a name in UTF-8").to_owned(),
            Self::Postgres(site) => site.url(),
        }
    }

    /// How many instances may share the queue.
    pub fn places(&self) -> Place {
        match self {
            Self::Sqlite(_) => 1,
            Self::Postgres(_) => 2,
        }
    }

    /// What the instances call themselves that told the others of themselves, alive or not.
    pub async fn instance_names(&self) -> Vec<String> {
        match self {
            Self::Sqlite(_) => Vec::new(),
            Self::Postgres(site) => site.list("SELECT id FROM service_instances").await,
        }
    }

    /// So much time has passed that those that are gone are known to be.
    pub async fn end_leases(&self, living: &[String]) {
        if let Self::Postgres(site) = self {
            let end = format!(
                "UPDATE service_instances SET lease_until = clock_timestamp() \
                 + CASE WHEN id IN ('', '{}') THEN INTERVAL '1 hour' ELSE INTERVAL '-1 second' END",
                living.join("', '")
            );
            site.execute(&end).await;
        }
    }

    pub async fn insert(&self, numbers: &[Number], unreadable: bool) {
        let time = if unreadable {
            self.site().unreadable().timestamp
        } else {
            "2026-03-01 11:59:00.125"
        };
        self.site().execute(&insertion(None, numbers, time)).await;
    }

    pub async fn reserve(&self, numbers: &[Number]) -> Reservation {
        let insertion = insertion(None, numbers, "2026-03-01 11:59:00.125");
        match self {
            Self::Sqlite(site) => {
                let mut connection = site.connect().await;
                let rows = format!("BEGIN IMMEDIATE; {insertion} RETURNING id");
                let rows = sqlx::raw_sql(sqlx::AssertSqlSafe(rows))
                    .fetch_all(&mut connection)
                    .await
                    .unwrap();
                let ids: Vec<ReadingId> = rows.iter().map(|row| row.get(0)).collect();
                let taken_back =
                    format!("DELETE FROM meter_readings WHERE id >= {}; COMMIT", ids[0]);
                sqlx::raw_sql(sqlx::AssertSqlSafe(taken_back))
                    .execute(&mut connection)
                    .await
                    .unwrap();
                connection.close().await.unwrap();
                Reservation::Sqlite(ids)
            }
            Self::Postgres(site) => {
                let mut connection = PgConnection::connect(&site.url()).await.unwrap();
                let open = format!("BEGIN; {insertion}");
                sqlx::raw_sql(sqlx::AssertSqlSafe(open))
                    .execute(&mut connection)
                    .await
                    .unwrap();
                Reservation::Postgres(connection)
            }
        }
    }

    pub async fn commit(&self, reservation: Reservation, numbers: &[Number]) {
        match reservation {
            Reservation::Sqlite(ids) => {
                let insertion = insertion(Some(&ids), numbers, "2026-03-01 11:59:00.125");
                self.site().execute(&insertion).await;
            }
            Reservation::Postgres(mut connection) => {
                sqlx::raw_sql("COMMIT")
                    .execute(&mut connection)
                    .await
                    .unwrap();
                connection.close().await.unwrap();
            }
        }
    }

    pub async fn observe(&self) -> Observed {
        let (hexadecimal, length) = match self {
            Self::Sqlite(_) => ("hex(body)", ""),
            Self::Postgres(_) => (
                "encode(body, 'hex')",
                "UNION ALL SELECT 'length ' || coalesce(sum(change), 0) FROM queue_changes",
            ),
        };
        let unreadable = self.site().unreadable().timestamp;
        // One statement: all of it is of the same moment.
        let sql = format!(
            "SELECT 'reading ' || id || ' ' || value || ' ' || CASE WHEN is_synchronized THEN 1 ELSE 0 END \
                || ' ' || coalesce(retry_count, 0) FROM meter_readings \
             UNION ALL SELECT 'manifest ' || key || ' ' || root || ' ' || state || ' ' || attempts || ' ' \
                || failed_passes || ' ' || replace(reading_ids, ' ', 'T') || ' ' || {hexadecimal} FROM upload_manifests \
             UNION ALL SELECT 'entry ' || id || ' ' || value || ' ' || reason || ' ' || retry_count || ' ' \
                || CASE WHEN timestamp = '{unreadable}' THEN 1 ELSE 0 END FROM quarantined_readings \
             UNION ALL SELECT 'log ' || batch_size || ' ' || CASE WHEN success THEN 1 ELSE 0 END FROM sync_log \
             UNION ALL SELECT 'audit ' || action FROM quarantine_audit \
             UNION ALL SELECT 'key ' || key FROM ingestion_keys {length}"
        );
        let mut observed = Observed::default();
        for row in self.site().list(&sql).await {
            observed.take_in(&row);
        }
        observed.readings.sort_by_key(|reading| reading.id);
        observed.log.sort_unstable();
        observed
    }
}

impl Observed {
    fn take_in(&mut self, row: &str) {
        let cells: Vec<&str> = row.split(' ').collect();
        match cells[..] {
            ["reading", id, value, synchronized, retries] => self.readings.push(ObservedReading {
                id: id.parse().unwrap(),
                number: number(value),
                synchronized: synchronized == "1",
                retries: retries.parse().unwrap(),
            }),
            [
                "manifest",
                key,
                root,
                state,
                attempts,
                failed_passes,
                ids,
                body,
            ] => self.manifests.push(ObservedManifest {
                key: key.to_owned(),
                root: root.to_owned(),
                state: ManifestState::from_name(state).unwrap(),
                attempts: attempts.parse().unwrap(),
                failed_passes: failed_passes.parse().unwrap(),
                ids: ReadingIds::decode(ids).unwrap(),
                sent: sent(body),
            }),
            ["entry", id, value, reason, retries, unreadable] => self.entries.push(ObservedEntry {
                id: id.parse().unwrap(),
                number: number(value),
                reason: QuarantineReason::parse(reason).unwrap(),
                retries: retries.parse().unwrap(),
                unreadable: unreadable == "1",
            }),
            ["log", size, success] => self.log.push((size.parse().unwrap(), success == "1")),
            ["audit", action] => *self.audit.entry(action.to_owned()).or_default() += 1,
            ["key", key] => self.keys.extend([key.to_owned()]),
            ["length", length] => self.kept_length = Some(length.parse().unwrap()),
            _ => panic!("{row}"),
        }
    }
}

fn insertion(ids: Option<&[ReadingId]>, numbers: &[Number], time: &str) -> String {
    let rows = numbers.iter().enumerate().map(|(at, number)| {
        let id = ids.map_or(String::new(), |ids| format!("{}, ", ids[at]));
        format!("({id}'M-1', '{time}', 'energy_total', {number}.125)")
    });
    let rows: Vec<_> = rows.collect();
    let id = if ids.is_some() { "id, " } else { "" };
    format!(
        "INSERT INTO meter_readings ({id}meter_external_id, timestamp, data_point, value) VALUES {}",
        rows.join(", ")
    )
}

fn number(value: &str) -> Number {
    let number = value
        .strip_suffix(".125")
        .unwrap_or_else(|| panic!("{value}"));
    number.parse().unwrap()
}

fn sent(hexadecimal: &str) -> Vec<Number> {
    let digits: Vec<_> = hexadecimal.as_bytes().chunks(2).collect();
    let byte = |pair: &&[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    let body: Vec<u8> = digits.iter().map(byte).collect();
    if body.is_empty() {
        return Vec::new();
    }
    let json: serde_json::Value =
        serde_json::from_slice(&body::decompress(&body).unwrap()).unwrap();
    let readings = json["readings"].as_array().unwrap();
    readings
        .iter()
        .map(|reading| number(&reading["value"].to_string()))
        .collect()
}
