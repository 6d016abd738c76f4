//! Files that SQLite made, without any damage: every row is found as SQLite sees it, in the log or in the file.

use std::path::{Path, PathBuf};

use proptest::prelude::*;
use sqlx::{
    AssertSqlSafe, ConnectOptions, Row as _, SqliteConnection, sqlite::SqliteConnectOptions,
};

use super::*;

struct Site {
    folder: tempfile::TempDir,
    connection: SqliteConnection,
}

impl Site {
    async fn new(setup: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let options = SqliteConnectOptions::new()
            .filename(folder.path().join("t.db"))
            .create_if_missing(true);
        let mut connection = options.connect().await.expect("a database");
        sqlx::raw_sql(AssertSqlSafe(setup.to_owned()))
            .execute(&mut connection)
            .await
            .expect("the setup");
        Self { folder, connection }
    }

    async fn wal(setup: &str) -> Self {
        Self::new(&format!(
            "PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0; {setup}"
        ))
        .await
    }

    async fn run(&mut self, sql: &str) {
        sqlx::raw_sql(AssertSqlSafe(sql.to_owned()))
            .execute(&mut self.connection)
            .await
            .expect(sql);
    }

    async fn integer(&mut self, question: &str) -> i64 {
        sqlx::query_scalar(AssertSqlSafe(question.to_owned()))
            .fetch_one(&mut self.connection)
            .await
            .expect(question)
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("t.db")
    }

    fn pages(&self) -> Pages {
        Pages::open(&self.path(), &self.folder.path().join("t.db-wal")).expect("the file")
    }

    /// All rows of the table, by its tree; fails where that is not whole.
    async fn rows(&mut self, table: &str) -> Vec<Row> {
        let root = self
            .integer(&format!(
                "SELECT rootpage FROM sqlite_schema WHERE name = '{table}'"
            ))
            .await;
        let pages = self.pages();
        let mut uses = Uses::of(&pages);
        let mut found = Vec::new();
        let tree = walk(
            &pages,
            &mut uses,
            u32::try_from(root).expect("a page"),
            |_, rows| {
                found.extend(rows.rows.clone());
            },
        );
        assert!(tree.is_whole(), "{tree:?}");
        found
    }

    /// The same as SQLite sees it; the table's columns are a, b and c.
    async fn selected(&mut self, table: &str) -> Vec<Row> {
        let question = format!(
            "SELECT rowid, typeof(a), a, CAST(a AS BLOB), typeof(b), b, CAST(b AS BLOB), typeof(c), c, CAST(c AS BLOB) \
             FROM {table} ORDER BY rowid"
        );
        let rows = sqlx::query(AssertSqlSafe(question))
            .fetch_all(&mut self.connection)
            .await
            .expect("the rows");
        let value =
            |row: &sqlx::sqlite::SqliteRow, at: usize| match row.get::<String, _>(at).as_str() {
                "null" => Value::Null,
                "integer" => Value::Integer(row.get(at + 1)),
                "real" => Value::Real(row.get(at + 1)),
                "text" => Value::Text(row.get(at + 2)),
                _ => Value::Blob(row.get(at + 2)),
            };
        rows.iter()
            .map(|row| Row {
                id: row.get(0),
                values: [1, 4, 7].map(|at| value(row, at)).to_vec(),
            })
            .collect()
    }

    async fn insert(&mut self, id: i64, values: &[Value]) {
        let mut query = sqlx::query(
            "INSERT OR REPLACE INTO t (rowid, a, b, c) VALUES (?, ?, CAST(? AS TEXT), ?)",
        )
        .bind(id);
        for value in values {
            query = match value {
                Value::Null => query.bind(None::<i64>),
                Value::Integer(number) => query.bind(*number),
                Value::Real(number) => query.bind(*number),
                Value::Text(bytes) | Value::Blob(bytes) => query.bind(bytes.clone()),
            };
        }
        query.execute(&mut self.connection).await.expect("a row");
    }
}

const TABLE: &str = "CREATE TABLE t (a, b, c);";
const MANY: &str = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000) \
    INSERT INTO t SELECT i * 1000003, 'text ' || i, zeroblob(i % 100) FROM n;";

#[tokio::test]
async fn rows_are_found_in_the_file_and_in_the_log() {
    let mut site = Site::wal(&format!("{TABLE} {MANY}")).await;
    assert!(!site.rows("t").await.is_empty());
    assert_eq!(
        site.rows("t").await,
        site.selected("t").await,
        "all in the log"
    );
    site.run("PRAGMA wal_checkpoint(TRUNCATE)").await;
    assert_eq!(
        site.rows("t").await,
        site.selected("t").await,
        "all in the file"
    );
    site.run("UPDATE t SET b = 'another' WHERE rowid % 7 = 0; DELETE FROM t WHERE rowid % 3 = 0")
        .await;
    assert_eq!(site.rows("t").await, site.selected("t").await, "in both");
}

#[tokio::test]
async fn what_was_not_committed_is_not_there() {
    let mut site = Site::wal(&format!("{TABLE} {MANY} PRAGMA cache_size = 5;")).await;
    let before = site.selected("t").await;
    site.run("BEGIN; UPDATE t SET b = 'spilled'").await;
    assert_eq!(read_rows(&site.path()), before);
    site.run("COMMIT").await;
    assert_eq!(read_rows(&site.path()), site.selected("t").await);
}

/// The rows of the only table, whose root is the second page.
fn read_rows(path: &Path) -> Vec<Row> {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    let pages = Pages::open(path, Path::new(&log)).expect("the file");
    let mut found = Vec::new();
    walk(&pages, &mut Uses::of(&pages), 2, |_, rows| {
        found.extend(rows.rows.clone())
    });
    found
}

#[tokio::test]
async fn a_log_that_is_torn_is_read_up_to_there() {
    let mut site = Site::wal(TABLE).await;
    site.run("INSERT INTO t VALUES (1, 'one', NULL)").await;
    site.run("INSERT INTO t VALUES (2, 'two', NULL)").await;
    let elsewhere = tempfile::tempdir().expect("a folder");
    let copy = elsewhere.path().join("t.db");
    std::fs::copy(site.path(), &copy).expect("a copy");
    let mut log = std::fs::read(site.folder.path().join("t.db-wal")).expect("the log");
    for cut in [0, 100] {
        log.truncate(log.len() - cut);
        std::fs::write(elsewhere.path().join("t.db-wal"), &log).expect("a log");
        assert_eq!(read_rows(&copy).len(), if cut == 0 { 2 } else { 1 });
    }
}

#[tokio::test]
async fn pages_of_any_size_and_texts_of_any_encoding_are_read() {
    for size in [512, 1024, 8192, 65_536] {
        for encoding in ["UTF-8", "UTF-16le", "UTF-16be"] {
            let setup = format!(
                "PRAGMA page_size = {size}; PRAGMA encoding = '{encoding}'; {TABLE} {MANY}"
            );
            let mut site = Site::new(&setup).await;
            site.run("INSERT INTO t VALUES (NULL, 'Zähler ⚡ ' || hex(zeroblob(3000)), x'00')")
                .await;
            let found = site.rows("t").await;
            let text = |row: &Row| row.values.get(1).cloned();
            let selected = sqlx::query_scalar::<_, String>("SELECT b FROM t ORDER BY rowid")
                .fetch_all(&mut site.connection)
                .await
                .expect("texts");
            let selected: Vec<_> = selected
                .into_iter()
                .map(|text| Some(Value::Text(text.into())))
                .collect();
            assert_eq!(
                found.iter().map(text).collect::<Vec<_>>(),
                selected,
                "{size} {encoding}"
            );
        }
    }
}

#[tokio::test]
async fn the_size_of_pages_can_be_told_without_the_header() {
    for size in [1024, 4096, 16_384] {
        let site = Site::new(&format!("PRAGMA page_size = {size}; {TABLE} {MANY}")).await;
        let mut bytes = std::fs::read(site.path()).expect("the file");
        bytes[..100].fill(0xab);
        let other = site.folder.path().join("other.db");
        std::fs::write(&other, bytes).expect("the file");
        let pages = Pages::open(&other, Path::new("none")).expect("the file");
        assert!(!pages.has_header());
        assert_eq!(pages.usable(), size);
    }
}

#[tokio::test]
async fn free_pages_are_known_with_and_without_the_header() {
    let mut site = Site::new(&format!(
        "{TABLE} {MANY} CREATE TABLE kept AS SELECT * FROM t; DELETE FROM t WHERE rowid > 7"
    ))
    .await;
    let free = u64::try_from(site.integer("PRAGMA freelist_count").await).expect("a count");
    assert!(free > 20);
    let pages = site.pages();
    let mut uses = Uses::of(&pages);
    assert!(Freelist::follow(&pages, &mut uses).is_whole);
    assert_eq!(uses.count(Use::Free), free);
    // All that is no page of a tree is what is left where nobody knows where the list begins.
    let mut without = Uses::of(&pages);
    for number in 1..=pages.present() {
        let is_tree = is_inner_table_page(&pages, number) || rows(&pages, number).is_some();
        without.set(number, if is_tree { Use::Orphan } else { Use::Damaged });
    }
    assert!(Freelist::find(&pages, &mut without).is_whole);
    assert_eq!(without.count(Use::Free), free);
}

#[tokio::test]
async fn a_trunk_that_is_gone_is_noticed() {
    let site = Site::new(&format!("{TABLE} {MANY} DELETE FROM t")).await;
    let trunk = {
        let pages = site.pages();
        pages.header().expect("a header").first_free
    };
    let at = (trunk as usize - 1) * 4096;
    for filling in [0, 0xab] {
        let mut bytes = std::fs::read(site.path()).expect("the file");
        bytes[at..at + 4096].fill(filling);
        std::fs::write(site.path(), bytes).expect("the file");
        let pages = site.pages();
        let mut uses = Uses::of(&pages);
        assert!(!Freelist::follow(&pages, &mut uses).is_whole);
        uses.set(trunk, Use::Damaged);
        assert!(!Freelist::find(&pages, &mut uses).is_whole, "{filling}");
    }
}

fn any_value() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<i64>().prop_map(Value::Integer),
        (-300_i64..300).prop_map(Value::Integer),
        any::<f64>()
            .prop_filter("SQLite has no such", |number| !number.is_nan())
            .prop_map(Value::Real),
        prop::collection::vec(any::<u8>(), 0..20).prop_map(Value::Blob),
        (any::<u8>(), 0_usize..30_000).prop_map(|(byte, length)| Value::Blob(vec![byte; length])),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    #[test]
    fn any_rows_are_found_as_sqlite_sees_them(
        rows in prop::collection::vec((any::<i64>(), any_value(), prop::collection::vec(any::<u8>(), 0..6_000), any_value()), 1..60),
        deleted in any::<u8>(),
        checkpointed in any::<bool>(),
    ) {
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        let (found, selected) = runtime.block_on(async {
            let mut site = Site::wal(TABLE).await;
            for (id, a, b, c) in rows {
                site.insert(id, &[a, Value::Text(b), c]).await;
            }
            site.run(&format!("DELETE FROM t WHERE abs(rowid % 256) = {deleted}")).await;
            if checkpointed {
                site.run("PRAGMA wal_checkpoint(TRUNCATE)").await;
            }
            (site.rows("t").await, site.selected("t").await)
        });
        prop_assert_eq!(found, selected);
    }

    #[test]
    fn no_file_is_too_strange(bytes in prop::collection::vec(any::<u8>(), 0..20_000), begins_well in any::<bool>()) {
        let file = tempfile::NamedTempFile::new().expect("a file");
        let mut contents = if begins_well { b"SQLite format 3\0\x02\0\x01\x01\0".to_vec() } else { Vec::new() };
        contents.extend(bytes.iter().map(|byte| if byte % 3 == 0 { 0x0d } else { *byte }));
        std::fs::write(file.path(), contents).expect("the file");
        let pages = Pages::open(file.path(), Path::new("none")).expect("the file");
        let mut uses = Uses::of(&pages);
        walk(&pages, &mut uses, 1, |_, _| {});
        for number in 0..=pages.present() {
            rows(&pages, number);
            is_inner_table_page(&pages, number);
        }
        Freelist::follow(&pages, &mut uses);
        Freelist::find(&pages, &mut uses);
    }
}
