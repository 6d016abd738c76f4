//! Cleaning up, whatever ends this program: an interruption, a failed measurement, or `kill -9`.

use std::{
    fs::{self, Permissions},
    io::Write,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Child, ChildStdin, Command, Stdio},
};

/// A shell that waits for our end, which it hears from its standard input, and then does what has to be done.
pub struct Guard {
    shell: Child,
    input: Option<ChildStdin>,
}

impl Guard {
    /// `action` is done at the end; its parameters are in `$1` and so on.
    pub fn new(action: &str, parameters: &[&str]) -> Self {
        let script = format!("trap '' INT TERM HUP; read -r word || {{ {action}; }}");
        let mut shell = Command::new("sh")
            .args(["-c", &script, "guard"])
            .args(parameters)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .expect("a shell must be there");
        Self {
            input: shell.stdin.take(),
            shell,
        }
    }

    /// There is nothing left to do.
    pub fn dismiss(mut self) {
        if let Some(input) = &mut self.input {
            // A guard that is gone does nothing either.
            let _ = input.write_all(b"dismissed\n");
        }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        drop(self.input.take());
        let _ = self.shell.wait();
    }
}

/// A temporary folder that no end of this program leaves behind.
pub struct Folder {
    // Its action comes before the folder is dropped, for it needs what is in there.
    _guard: Guard,
    folder: tempfile::TempDir,
}

impl Folder {
    pub fn new() -> Self {
        Self::with_last_action("", "")
    }

    /// A folder whose end begins with an action that finds the folder in `$1` and the parameter in `$2`.
    pub fn with_last_action(action: &str, parameter: &str) -> Self {
        let folder = tempfile::Builder::new()
            .prefix("meterit-bench.")
            .tempdir()
            .expect("a temporary folder");
        // Its server is another user's, where this program is root's.
        let passable = Permissions::from_mode(0o711);
        fs::set_permissions(folder.path(), passable).expect("a folder of our own");
        let path = folder.path().display().to_string();
        Self {
            _guard: Guard::new(&format!(r#"{action} rm -rf "$1""#), &[&path, parameter]),
            folder,
        }
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }
}
