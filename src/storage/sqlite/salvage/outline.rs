//! What can be found of a damaged database from where it should begin: the schema, the trees that it names, the free pages.

use std::{collections::HashMap, io, path::Path};

use super::{
    known::{READINGS, TABLES},
    pages::{Freelist, Pages, Row, Tree, Use, Uses, Value, rows, walk, walk_above},
};

/// The index from which claims are answered: it holds the id of every reading that waits.
const PENDING: &str = "meter_readings_pending";
/// Say nothing that the new one has to know: it sees all steps itself, it is closed while the disk is full if it has to be,
/// and what the service looked like before is worth no reading.
const OF_NO_USE: [&str; 3] = ["meterit_sync_migrations", "disk_full", "status_samples"];
const SEQUENCES: &str = "sqlite_sequence";
/// The index that SQLite makes for the keys of batches: none is claimed without an entry here.
const KEYS: &str = "sqlite_autoindex_upload_manifests_1";

/// What was found.
#[derive(Debug)]
pub(super) struct Outline {
    pub(super) pages: Pages,
    pub(super) uses: Uses,
    /// For each of our tables.
    pub(super) tables: Vec<Named>,
    /// Tables of other programs.
    pub(super) foreign: Vec<String>,
    /// The pages of the index of waiting readings that can be read; none where nobody knows where that begins.
    pub(super) pending: Option<Vec<u32>>,
    /// Whether these are all.
    pub(super) pending_is_whole: bool,
    /// The pages of the highest ids that were given; none where these are not whole.
    pub(super) sequences: Option<Vec<u32>>,
    /// The pages of the index of the keys of batches; none where that is not whole.
    pub(super) keys: Option<Vec<u32>>,
    /// None where it has to be found otherwise.
    pub(super) free: Option<Freelist>,
}

/// What is known of a table.
#[derive(Clone, Debug, Default)]
pub(super) struct Named {
    /// The statement that made it.
    pub(super) definition: Option<String>,
    /// Its tree; none where nobody knows where that begins.
    pub(super) tree: Option<Tree>,
    /// The highest id that was ever given.
    pub(super) given: Option<i64>,
    /// Whether the schema was not whole, so that the tree may be another's by now.
    pub(super) is_doubtful: bool,
}

/// A row of the schema.
#[derive(Clone, Debug, PartialEq)]
struct Entry {
    kind: String,
    name: String,
    root: u32,
    definition: Option<String>,
    /// Nothing leads to it.
    is_stray: bool,
}

impl Outline {
    /// Reads all that the schema leads to. Blocks on the file system, for as long as it takes to read the file.
    ///
    /// # Errors
    /// Where there is no such file.
    pub(super) fn read(database: &Path, log: &Path) -> io::Result<Self> {
        Ok(Self::of(Pages::open(database, log)?))
    }

    /// The same of pages that are open.
    pub(super) fn of(pages: Pages) -> Self {
        let mut uses = Uses::of(&pages);
        let entries = schema(&pages, &mut uses);
        let mut outline = Self {
            tables: vec![Named::default(); TABLES.len()],
            foreign: Vec::new(),
            pending: None,
            pending_is_whole: false,
            sequences: None,
            keys: None,
            free: None,
            pages,
            uses,
        };
        let mut given = HashMap::new();
        for entry in entries {
            outline.follow(entry, &mut given);
        }
        for (named, known) in outline.tables.iter_mut().zip(&TABLES) {
            named.given = given.get(known.name).copied();
        }
        if outline.pages.has_header() {
            outline.free = Some(Freelist::follow(&outline.pages, &mut outline.uses));
        }
        outline
    }

    fn follow(&mut self, entry: Entry, given: &mut HashMap<String, i64>) {
        if entry.root < 2 {
            return;
        }
        let is_sequences = entry.name == SEQUENCES;
        let tree = walk(&self.pages, &mut self.uses, entry.root, |_, rows| {
            if is_sequences {
                given.extend(rows.rows.iter().filter_map(sequence));
            }
        });
        let known = TABLES.iter().position(|known| known.name == entry.name);
        match known.and_then(|known| self.tables.get_mut(known)) {
            Some(named) => {
                named.definition = entry.definition;
                named.is_doubtful = entry.is_stray;
                named.tree = Some(tree);
            }
            None if entry.name == PENDING => {
                self.pending_is_whole = tree.is_whole();
                self.pending = Some(tree.pages);
            }
            None if is_sequences && tree.is_whole() => self.sequences = Some(tree.pages),
            None if entry.name == KEYS && tree.is_whole() => self.keys = Some(tree.pages),
            None if entry.kind == "table"
                && !entry.name.starts_with("sqlite_")
                && !OF_NO_USE.contains(&entry.name.as_str()) =>
            {
                self.foreign.push(entry.name);
            }
            None => {}
        }
    }
}

/// The readings above a certain one, in a database where everything that leads to them is whole.
#[derive(Debug)]
pub(super) struct Glance {
    pub(super) pages: Pages,
    /// For each of our tables; nothing is known of the others.
    pub(super) tables: Vec<Named>,
    /// Pages that hold them, ascending by their ids.
    pub(super) leaves: Vec<u32>,
}

impl Glance {
    /// None where anything on the way cannot be read. Reads little more than the readings themselves, and blocks on the
    /// file system.
    ///
    /// # Errors
    /// Where there is no such file.
    pub(super) fn read(database: &Path, log: &Path, above: i64) -> io::Result<Option<Self>> {
        let pages = Pages::open(database, log)?;
        let mut uses = Uses::of(&pages);
        let mut entries = Vec::new();
        let schema = walk(&pages, &mut uses, 1, |_, rows| {
            entries.extend(rows.rows.iter().filter_map(entry));
        });
        let readings = entries
            .into_iter()
            .find(|entry| entry.name == TABLES[READINGS].name && entry.root >= 2);
        let is_whole = schema.is_whole() && pages.has_header() && !pages.has_gap();
        let Some(readings) = readings.filter(|_| is_whole) else {
            return Ok(None);
        };
        let tree = walk_above(&pages, &mut uses, readings.root, Some(above), |_, _| {});
        if !tree.is_whole() {
            return Ok(None);
        }
        let mut tables = vec![Named::default(); TABLES.len()];
        tables[READINGS].definition = readings.definition;
        Ok(Some(Self {
            pages,
            tables,
            leaves: tree.pages,
        }))
    }
}

/// The schema's rows: those that its tree leads to, and where it does not lead everywhere those that lie about.
fn schema(pages: &Pages, uses: &mut Uses) -> Vec<Entry> {
    let mut entries = Vec::new();
    let tree = walk(pages, uses, 1, |_, rows| {
        entries.extend(rows.rows.iter().filter_map(entry));
    });
    if tree.is_whole() {
        return entries;
    }
    let mut others = Vec::new();
    for number in 2..=pages.present() {
        let is_orphan = uses.get(number) == Use::Unknown;
        let found = if is_orphan { rows(pages, number) } else { None };
        let Some(found) = found.filter(|found| found.is_table && !found.rows.is_empty()) else {
            continue;
        };
        let on_page: Option<Vec<Entry>> = found.rows.iter().map(entry).collect();
        if let Some(on_page) = on_page {
            // What was replaced by another version has been given free, and says the same or contradicts it.
            uses.claim(number, Use::Orphan);
            others.extend(on_page);
        }
    }
    let unknown = |entry: &Entry| entries.iter().all(|known| known.name != entry.name);
    let mut found: Vec<Entry> = others
        .iter()
        .filter(|entry| unknown(entry))
        .cloned()
        .collect();
    found.retain(|entry| {
        others
            .iter()
            .all(|other| other.name != entry.name || other.root == entry.root)
    });
    for entry in &mut found {
        entry.is_stray = true;
    }
    found.sort_by(|one, other| one.name.cmp(&other.name));
    found.dedup_by(|one, other| one.name == other.name);
    entries.extend(found);
    entries
}

fn entry(row: &Row) -> Option<Entry> {
    let [kind, name, _, root, definition] = row.values.as_slice() else {
        return None;
    };
    let text = |value: &Value| match value {
        Value::Text(bytes) => String::from_utf8(bytes.clone()).ok(),
        _ => None,
    };
    let kind =
        text(kind).filter(|kind| ["table", "index", "view", "trigger"].contains(&kind.as_str()))?;
    let root = match root {
        Value::Integer(root) => u32::try_from(*root).ok()?,
        Value::Null => 0,
        _ => return None,
    };
    Some(Entry {
        kind,
        name: text(name)?,
        root,
        definition: text(definition),
        is_stray: false,
    })
}

/// The highest id of the table that the page of such says was given; none where it is no such page.
pub(super) fn given_by(pages: &Pages, page: u32, table: &str) -> Option<i64> {
    let found = rows(pages, page).filter(|found| found.is_table && found.failed == 0)?;
    let all: Option<Vec<_>> = found.rows.iter().map(sequence).collect();
    let of_table = all?.into_iter().find(|(name, _)| name == table);
    Some(of_table.map_or(0, |(_, given)| given))
}

fn sequence(row: &Row) -> Option<(String, i64)> {
    let [Value::Text(name), Value::Integer(given)] = row.values.as_slice() else {
        return None;
    };
    Some((String::from_utf8(name.clone()).ok()?, *given))
}
