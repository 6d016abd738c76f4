//! The Debian package: installed, upgraded and purged in a Debian of its own, see `tests/run`. What has to be root is run as
//! root, with sudo where the test is not.

use std::{
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use super::service::PROGRAM;

const DATABASE: &str = "var/lib/meterit-sync/sync.db";
const SETTINGS: &str = "etc/meterit-sync/settings.toml";

/// A folder with a small Debian in it.
struct Debian(tempfile::TempDir);

impl Debian {
    fn new() -> Self {
        let archive = workspace().join("target/peers/debian.tar");
        assert!(
            archive.exists(),
            "{} must be there: run `tests/run prepare`",
            archive.display()
        );
        let debian = Self(tempfile::tempdir().unwrap());
        debian.succeeds(&[
            "tar",
            "-C",
            &debian.path(""),
            "-xf",
            &archive.display().to_string(),
        ]);
        debian
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).display().to_string()
    }

    fn succeeds(&self, words: &[&str]) -> String {
        let output = as_root(words);
        let said = format!(
            "{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        assert!(output.status.success(), "{words:?}: {said}");
        said
    }

    /// Runs a command in it.
    fn run(&self, words: &[&str]) -> String {
        self.run_within(&[], words)
    }

    /// The same, within what another command prepares.
    fn run_within(&self, outer: &[&str], words: &[&str]) -> String {
        let root = self.path("");
        let environment = [
            "env",
            "-i",
            "PATH=/usr/sbin:/usr/bin:/sbin:/bin",
            "LC_ALL=C",
        ];
        let inner = [&["chroot", root.as_str()], environment.as_slice(), words];
        self.succeeds(&[outer, &inner.concat()].concat())
    }

    fn install(&self, package: &Path) -> String {
        self.succeeds(&[
            "cp",
            &package.display().to_string(),
            &self.path("tmp/package.deb"),
        ]);
        self.run(&["dpkg", "--force-confold", "--install", "/tmp/package.deb"])
    }

    /// Somebody comes who has nothing in the environment.
    fn is_diagnosed_as_the_readme_says(&self) {
        let readme = include_str!("../../../README.md");
        let block = readme.split("```sh\n").find_map(|block| {
            let block = block.split("```").next()?;
            block.contains("settings.toml diagnose").then_some(block)
        });
        let block = block.expect("a command").replace("sudo ", "");
        let root = self.path("");
        let output = as_root(&[
            "chroot",
            &root,
            "/bin/sh",
            "-c",
            &format!("cd /tmp; {block}"),
        ]);
        let said = String::from_utf8_lossy(&output.stdout);
        assert_eq!(output.status.code(), Some(5), "{output:?}");
        assert!(said.contains("127.0.0.1:1 refuses connections"), "{said}");
    }

    fn has(&self, name: &str) -> bool {
        as_root(&["test", "-e", &self.path(name)]).status.success()
    }

    fn read(&self, name: &str) -> String {
        self.succeeds(&["cat", &self.path(name)])
    }

    fn write(&self, name: &str, text: &str) {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        self.succeeds(&["cp", &file.path().display().to_string(), &self.path(name)]);
    }

    /// Mode, owner and group.
    fn permissions(&self, name: &str) -> String {
        let name = format!("/{name}");
        self.run(&["stat", "--format", "%a %U %G", &name])
            .trim()
            .to_owned()
    }
}

impl Drop for Debian {
    fn drop(&mut self) {
        as_root(&["rm", "-rf", "--one-file-system", &self.path("")]);
    }
}

fn as_root(words: &[&str]) -> Output {
    let who = Command::new("id").arg("-u").output().expect("a number");
    let is_root = who.stdout.trim_ascii() == b"0";
    let mut command = if is_root {
        Command::new(words[0])
    } else {
        let mut command = Command::new("sudo");
        command.args(["--non-interactive", words[0]]);
        command
    };
    command.args(&words[1..]).output().expect("a command")
}

fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Of the program that is tested.
fn package(version: &str, folder: &Path) -> PathBuf {
    let file = folder.join(format!("meterit-sync-{version}.deb"));
    let built = Path::new(PROGRAM).parent().expect("a folder");
    let profile = match built.file_name().and_then(|name| name.to_str()) {
        Some("debug") => "dev",
        Some(other) => other,
        None => panic!("{PROGRAM} is in no folder"),
    };
    let output = Command::new(workspace().join("target/peers/cargo-deb/bin/cargo-deb"))
        .args(["--no-build", "--no-strip", "--fast", "--profile", profile])
        .args(["--deb-version", version, "--output"])
        .arg(&file)
        .current_dir(workspace())
        .output()
        .expect("cargo-deb must be there: run `tests/run prepare`");
    assert!(output.status.success(), "{output:?}");
    file
}

#[test]
fn it_is_installed_upgraded_and_purged_without_touching_the_queue() {
    let folder = tempfile::tempdir().unwrap();
    let (first, second) = (
        package("0.1.0-1", folder.path()),
        package("0.1.1-1", folder.path()),
    );
    let debian = Debian::new();
    let readme = include_str!("../../../README.md");
    let as_written = "```sh\ncargo deb --profile distribution\nsudo dpkg --install target/debian/meterit-sync_*.deb\n```";
    assert!(readme.contains(as_written), "this is what is tried here");

    let said = debian.install(&first);
    assert!(said.contains("client_api_url"), "{said}");
    let version = debian.run(&["meterit-sync", "--version"]);
    assert!(version.starts_with("meterit-sync "), "{version}");
    assert!(
        debian.has("lib/systemd/system/meterit-sync.service")
            || debian.has("usr/lib/systemd/system/meterit-sync.service")
    );
    assert!(debian.has("usr/share/doc/meterit-sync/README.md"));
    assert!(debian.read("etc/passwd").contains("meterit-sync"));
    assert_eq!(
        debian.permissions("etc/meterit-sync"),
        "750 root meterit-sync"
    );
    assert_eq!(
        debian.permissions("etc/meterit-sync/settings.toml"),
        "640 root meterit-sync"
    );
    let unset = as_root(&[
        "chroot",
        &debian.path(""),
        "/usr/bin/meterit-sync",
        "--config",
        "/etc/meterit-sync/settings.toml",
        "check-config",
    ]);
    assert_eq!(unset.status.code(), Some(2), "{unset:?}");

    // Somebody sets it up, and it has run.
    let as_packaged = debian.read(SETTINGS);
    let settings_for = |address: &str| {
        let line = |address| format!("client_api_url = \"{address}\"");
        let commented = format!("#{}", line("https://client.example.com/api"));
        assert!(as_packaged.contains(&commented), "{as_packaged}");
        as_packaged.replace(&commented, &line(address))
    };
    debian.write("etc/meterit-sync/client-api-key", "a-key");
    debian.write(SETTINGS, &settings_for("http://127.0.0.1:1/api"));
    debian.is_diagnosed_as_the_readme_says();
    let settings = settings_for("https://client.example.com/api");
    debian.write(SETTINGS, &settings);
    debian.run(&["mkdir", "-p", "/var/lib/meterit-sync"]);
    debian.write(DATABASE, "the queue");
    let shown = debian.run(&[
        "env",
        "CLIENT_API_KEY_FILE=/etc/meterit-sync/client-api-key",
        "meterit-sync",
        "--config",
        "/etc/meterit-sync/settings.toml",
        "check-config",
    ]);
    assert!(
        shown.contains("https://client.example.com/api") && !shown.contains("a-key"),
        "{shown}"
    );

    let said = debian.install(&second);
    assert!(!said.contains("client_api_url"), "{said}");
    let status = debian.run(&["dpkg-query", "--show", "meterit-sync"]);
    assert!(status.contains("0.1.1-1"), "{status}");
    assert_eq!(debian.read(SETTINGS), settings);
    assert_eq!(debian.read("etc/meterit-sync/client-api-key"), "a-key");
    assert_eq!(debian.read(DATABASE), "the queue");

    debian.run(&["dpkg", "--remove", "meterit-sync"]);
    assert!(!debian.has("usr/bin/meterit-sync"));
    assert_eq!(debian.read(SETTINGS), settings);
    assert_eq!(debian.read(DATABASE), "the queue");

    let said = debian.run(&["dpkg", "--purge", "meterit-sync"]);
    for gone in ["etc/meterit-sync", "var/lib/meterit-sync"] {
        assert!(!debian.has(gone), "{gone}");
    }
    assert!(!debian.read("etc/passwd").contains("meterit-sync"));
    assert!(!debian.read("etc/group").contains("meterit-sync"));
    // Readings that were not uploaded are nobody's to delete.
    assert!(said.contains("/var/backups/meterit-sync."), "{said}");
    let kept = debian.run(&["sh", "-c", "cat /var/backups/meterit-sync.*/sync.db"]);
    assert_eq!(kept, "the queue");
}

#[test]
fn settings_that_were_removed_keep_nobody_from_upgrading() {
    let folder = tempfile::tempdir().unwrap();
    let debian = Debian::new();
    debian.install(&package("0.1.0-1", folder.path()));
    debian.run(&["rm", "/etc/meterit-sync/settings.toml"]);
    debian.install(&package("0.1.1-1", folder.path()));
    let status = debian.run(&[
        "dpkg-query",
        "--show",
        "--showformat",
        "${Version} ${db:Status-Status}",
        "meterit-sync",
    ]);
    assert_eq!(status, "0.1.1-1 installed");
    assert!(!debian.has(SETTINGS));
    // The folder is a file system of its own, such as a data disk, which nobody can move.
    let purge = "mkdir -p /var/lib/meterit-sync && mount -t tmpfs disk /var/lib/meterit-sync && \
                 echo queue > /var/lib/meterit-sync/sync.db && dpkg --purge meterit-sync && cat /var/lib/meterit-sync/sync.db && ! ls -d /var/backups/meterit-sync.*";
    let said = debian.run_within(&["unshare", "--mount"], &["sh", "-c", purge]);
    assert!(
        said.contains("is kept in /var/lib/meterit-sync\n"),
        "{said}"
    );
    assert!(said.contains("\nqueue\n"), "{said}");
    assert!(!debian.has("etc/meterit-sync"));
    assert!(!debian.read("etc/passwd").contains("meterit-sync"));
}

/// As systemd judges it, without a running one.
#[test]
fn the_unit_is_hardened() {
    let unit = workspace().join("settings/systemd/meterit-sync.service");
    let output = Command::new("systemd-analyze")
        .args(["security", "--offline=yes", "--threshold=15", "--no-pager"])
        .arg(&unit)
        .output()
        .expect("systemd-analyze must be there (Debian: systemd)");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "more than 1.5: {said}");
    assert!(said.contains("Overall exposure level"), "{said}");
}
