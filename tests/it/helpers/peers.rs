//! The official clients of the protocol of assistants, in Python and in TypeScript, as `tests/run prepare` installs
//! them.

use std::{fs, path::PathBuf, process::Command};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// The Python client, about to do what a task says.
pub fn python() -> Command {
    let folder = installed("python", "requirements.txt");
    let mut command = Command::new(folder.join("bin/python"));
    command.arg(script("client.py"));
    command
}

/// The TypeScript client, about to do what a task says.
pub fn typescript() -> Command {
    let folder = installed("node", "package.json");
    let mut command = Command::new("node");
    command.arg(script("client.mjs")).env("PEERS", folder);
    command
}

fn script(name: &str) -> PathBuf {
    [ROOT, "tests/it/assistants", name].iter().collect()
}

/// The folder of packages that were installed for exactly what is pinned.
fn installed(folder: &str, pinned: &str) -> PathBuf {
    let folder: PathBuf = [ROOT, "target/peers", folder].iter().collect();
    let there = fs::read(folder.join("installed")).ok();
    let wanted = fs::read(script(pinned)).expect("the pinned versions");
    assert!(
        there == Some(wanted),
        "{} does not hold what tests/it/assistants/{pinned} asks for: run `tests/run prepare`",
        folder.display()
    );
    folder
}
