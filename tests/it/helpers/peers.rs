//! Programs of others that meet the service in tests, as `tests/run prepare` installs them: the official clients of the
//! protocol of assistants, a browser, a tester of described interfaces, and Prometheus.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

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

/// A browser, about to open the page at an address.
pub fn browser(address: &str) -> Command {
    in_browser("browser.mjs", address)
}

/// A person with a browser before the dashboard at an address, about to do what is said.
pub fn viewer(address: &str) -> Command {
    in_browser("dashboard.mjs", address)
}

fn in_browser(name: &str, address: &str) -> Command {
    let folder = installed("node", "package.json");
    let mut command = Command::new("node");
    command.arg(script(name)).arg(address).env("PEERS", folder);
    command
}

/// A tester that asks for everything that a description at an address names, in right ways and in wrong ones. It leaves
/// in the file `account` what the service says that it stored and discarded.
pub fn interface_tester(description: &str, account: &Path) -> Command {
    let folder = installed("python", "requirements.txt");
    let mut command = Command::new(folder.join("bin/schemathesis"));
    command
        .arg("--no-color")
        .arg("--config-file")
        .arg(script("schemathesis.toml"))
        .args(["run", description])
        .env("PYTHONPATH", script(""))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("SCHEMATHESIS_HOOKS", "hooks")
        .env("ACCOUNT", account);
    command
}

/// A program of Prometheus, about to do what it is told.
pub fn prometheus(program: &str) -> Command {
    let program: PathBuf = [ROOT, "target/peers/prometheus/usr/bin", program]
        .iter()
        .collect();
    assert!(
        program.exists(),
        "{} is missing: run `tests/run prepare`",
        program.display()
    );
    Command::new(program)
}

fn script(name: &str) -> PathBuf {
    [ROOT, "tests/it/peers", name].iter().collect()
}

/// The folder of packages that were installed for exactly what is pinned.
fn installed(folder: &str, pinned: &str) -> PathBuf {
    let folder: PathBuf = [ROOT, "target/peers", folder].iter().collect();
    let there = fs::read(folder.join("installed")).ok();
    let wanted = fs::read(script(pinned)).expect("the pinned versions");
    assert!(
        there == Some(wanted),
        "{} does not hold what tests/it/peers/{pinned} asks for: run `tests/run prepare`",
        folder.display()
    );
    folder
}
