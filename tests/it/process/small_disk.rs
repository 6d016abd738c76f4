//! A file system of a few megabytes that a test may fill, or make read-only. Mounting one needs root, or sudo without a
//! password, as installing what the tests need does.

use std::{path::Path, process::Command};

/// A mounted tmpfs; unmounted when dropped.
pub struct SmallDisk {
    folder: tempfile::TempDir,
}

impl SmallDisk {
    /// None where nobody may mount anything, as in some containers. Then only the store's own test of a full disk, with a
    /// limit on the pages of the file, tells something.
    pub fn of_megabytes(size: u32) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let options = format!("size={size}m,mode=0777");
        let mount = ["mount", "-t", "tmpfs", "-o", &options, "tmpfs"];
        if !as_root(&mount, folder.path()) {
            eprintln!("no file system can be mounted here, with root or sudo without a password");
            return None;
        }
        Some(Self { folder })
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Makes it read-only, or writable again.
    pub fn set_read_only(&self, read_only: bool) {
        let options = if read_only {
            "remount,ro"
        } else {
            "remount,rw"
        };
        assert!(as_root(&["mount", "-o", options], self.path()), "{options}");
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: whoever still has a file open there is about to be killed as well.
        as_root(&["umount", "--lazy"], self.folder.path());
    }
}

fn as_root(words: &[&str], path: &Path) -> bool {
    let run = |words: &[&str]| {
        let output = Command::new(words[0]).args(&words[1..]).arg(path).output();
        output.is_ok_and(|output| output.status.success())
    };
    run(words) || run(&[&["sudo", "--non-interactive"], words].concat())
}
