//! The rooms of src/ and what each may import; and the habits that have bitten programs like this one.
#![expect(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a helper that fails should fail its test"
)]

mod architecture {
    pub mod imports;
    pub mod sources;
}

use std::{collections::BTreeSet, fs};

use architecture::{
    imports::imports,
    sources::{Source, sources},
};

/// Every room, and the rooms that it may import besides itself.
const ROOMS: [(&str, &str); 16] = [
    ("main", "cli"),
    ("domain", ""),
    ("clock", ""),
    ("settings", "domain"),
    ("messages", "domain"),
    ("telemetry", "settings"),
    ("storage", "domain settings"),
    ("upstream", "domain settings"),
    // The names of an actor's states are part of the status, and that is domain.
    ("supervision", "telemetry clock domain"),
    (
        "actors",
        "messages domain clock telemetry supervision upstream storage settings",
    ),
    // Whoever reports ages and times asks the clock, as everybody does.
    ("control", "messages domain supervision storage clock"),
    ("http", "control domain clock"),
    ("mcp", "control domain"),
    ("demo", "domain upstream clock"),
    // `demo` and `simulate` are commands; each sets up the log and has a clock to go by.
    ("cli", "app settings demo telemetry domain clock"),
    (
        "app",
        "actors clock control domain http mcp messages settings storage supervision telemetry upstream",
    ),
];

/// Rooms that only some files of a room may import.
const EXCEPTIONS: [(&str, &str); 2] = [
    // The metrics page, and the place that hands it what to show.
    ("src/http/metrics.rs", "telemetry"),
    ("src/http/mod.rs", "telemetry"),
];

const TOP_LEVEL: &str =
    "CHANGELOG.md Cargo.lock Cargo.toml README.md data migrations settings src target tests";
const SOURCE_ROOMS: &str = "actors app cli clock control demo domain http lib main mcp messages settings storage supervision telemetry upstream";

/// What no line of the program may contain.
const FORBIDDEN: [(&str, &str); 8] = [
    ("do_send(", "a full or dead mailbox swallows the message"),
    ("from_registry", "a global hides who depends on whom"),
    ("SystemService", "a global hides who depends on whom"),
    ("ArbiterService", "a global hides who depends on whom"),
    ("actix::Supervisor", "it does not restart after a panic"),
    (".unwrap()", "an error has a way of its own"),
    (".expect(", "an error has a way of its own"),
    (
        "#[allow(",
        "#[expect(…, reason)] says why, and when it is over",
    ),
];

#[test]
fn every_room_imports_only_what_it_may() {
    let mut offences = Vec::new();
    for source in sources() {
        let room = source.room();
        let (_, allowed) = ROOMS
            .iter()
            .find(|(name, _)| *name == room || (room == "lib" && *name == "main"))
            .unwrap_or_else(|| panic!("no rule for the room of {}", source.path));
        for import in imports(&source) {
            let target = import[0].as_str();
            let excepted = EXCEPTIONS.contains(&(source.path.as_str(), target));
            if target != room && !allowed.split(' ').any(|name| name == target) && !excepted {
                offences.push(format!("{} imports {}", source.path, import.join("::")));
            }
        }
    }
    assert_none(&offences);
}

#[test]
fn no_actor_imports_another() {
    let sources = sources();
    let actors: Vec<&Source> = sources
        .iter()
        .filter(|source| source.room() == "actors")
        .collect();
    let names: BTreeSet<String> = actors
        .iter()
        .filter_map(|source| source.modules().get(1).cloned())
        .collect();
    assert_eq!(names.len(), 6, "{names:?}");
    let mut offences = Vec::new();
    for source in actors {
        let own = source.modules().get(1).cloned();
        for import in imports(source) {
            // What is directly in the room, and no actor, is there for all of them.
            let module = import.get(1).filter(|name| names.contains(*name));
            if import[0] == "actors" && module.is_some() && module != own.as_ref() {
                offences.push(format!("{} imports {}", source.path, import.join("::")));
            }
        }
    }
    assert_none(&offences);
}

#[test]
fn supervision_names_no_actor() {
    let actors = "ApiClient SyncManager ConnectivityMonitor DatabaseWriter Heartbeat ConfigDownloader \
                  api_client sync_manager connectivity_monitor database_writer heartbeat config_downloader";
    let mut offences = Vec::new();
    for source in sources()
        .iter()
        .filter(|source| source.room() == "supervision")
    {
        for actor in actors.split_whitespace() {
            if contains_word(&source.code, actor) {
                offences.push(format!("{} names {actor}", source.path));
            }
        }
    }
    assert_none(&offences);
}

#[test]
fn nothing_forbidden_is_written() {
    let mut offences = Vec::new();
    for source in sources() {
        for (text, reason) in FORBIDDEN {
            if source.code.contains(text) {
                offences.push(format!("{} contains {text}: {reason}", source.path));
            }
        }
    }
    let manifest = fs::read_to_string("Cargo.toml").unwrap();
    let aborts = manifest.lines().any(|line| {
        let line: String = line
            .chars()
            .filter(|character| !character.is_whitespace())
            .collect();
        line.starts_with("panic=\"abort\"")
    });
    if aborts {
        offences
            .push("Cargo.toml: panic = \"abort\" ends the service with its first panic".to_owned());
    }
    assert_none(&offences);
}

#[test]
fn sql_is_the_storage_rooms_own() {
    let statements = [
        "SELECT ",
        "INSERT INTO",
        "UPDATE ",
        "DELETE FROM",
        "CREATE TABLE",
        "PRAGMA ",
        "sqlx",
    ];
    let mut offences = Vec::new();
    // The meters of the demonstration are another program, which knows the tables and nothing else.
    for source in sources()
        .iter()
        .filter(|source| !["storage", "demo"].contains(&source.room()))
    {
        for statement in statements {
            if source.code_with_texts.contains(statement) {
                offences.push(format!("{} contains {statement}", source.path));
            }
        }
    }
    assert_none(&offences);
}

#[test]
fn every_file_opens_with_what_it_is_for() {
    let silent = |source: &&Source| !source.text.starts_with("//! ");
    let offences: Vec<String> = sources()
        .iter()
        .filter(silent)
        .map(|source| source.path.clone())
        .collect();
    assert_none(&offences);
}

#[test]
fn only_the_agreed_names_exist() {
    let agreed = |names: &'static str| names.split(' ').collect::<BTreeSet<_>>();
    let mut offences = Vec::new();
    for (folder, names) in [(".", agreed(TOP_LEVEL)), ("src", agreed(SOURCE_ROOMS))] {
        for entry in fs::read_dir(folder).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            let shown = if folder == "src" {
                name.trim_end_matches(".rs")
            } else {
                &name
            };
            if !name.starts_with('.') && !names.contains(shown) {
                offences.push(format!("{folder}/{name} has no place in the house"));
            }
        }
    }
    assert_none(&offences);
}

fn contains_word(text: &str, word: &str) -> bool {
    text.split(|character: char| !character.is_alphanumeric() && character != '_')
        .any(|part| part == word)
}

fn assert_none(offences: &[String]) {
    assert!(offences.is_empty(), "\n{}\n", offences.join("\n"));
}
