//! Secrets that stand in a setting themselves, or in a file that another setting names, as systemd hands over credentials.

use std::path::{Path, PathBuf};

use secrecy::SecretString;

use super::{layers::Layer, reader::Reader};

const FILE_ALLOWED: &str = "the path of a readable file";

/// The two keys of a secret, and what is said about it.
pub(super) struct SecretText {
    /// The key whose value is the secret.
    pub key: &'static str,
    /// The key whose value is the path of a file that holds nothing else.
    pub file_key: &'static str,
    /// What it is, in a word.
    pub name: &'static str,
    /// What is allowed; it has to be printable ASCII on one line.
    pub allowed: &'static str,
}

impl SecretText {
    /// Whether any layer sets it, in one way or the other.
    pub(super) fn is_given(&self, reader: &Reader) -> bool {
        reader.given(self.key).is_some() || reader.given(self.file_key).is_some()
    }

    /// Which of the two keys counts, where any is set.
    pub(super) fn in_force(&self, reader: &Reader) -> &'static str {
        let rank = |key| reader.given(key).map(|given| given.rank);
        if rank(self.file_key) > rank(self.key) {
            self.file_key
        } else {
            self.key
        }
    }

    /// The secret; the higher layer wins.
    pub(super) fn read(&self, reader: &mut Reader) -> Option<SecretString> {
        let itself = reader.given(self.key).cloned();
        let file = reader.given(self.file_key).cloned();
        match (itself, file) {
            (Some(itself), Some(file)) if itself.rank == file.rank => reader.refuse(
                self.file_key,
                &format!(
                    "the same layer also sets the {} itself, so it is unclear which one counts",
                    self.name
                ),
                "only one of the two in a layer",
            ),
            (itself, Some(file)) if itself.as_ref().is_none_or(|one| one.rank < file.rank) => {
                self.read_file(reader)
            }
            _ => self.read_itself(reader),
        }
    }

    fn read_itself(&self, reader: &mut Reader) -> Option<SecretString> {
        let secret = reader.text(self.key, self.allowed, |text| self.header_value(text))?;
        reader.show_given(self.key, String::new());
        Some(secret)
    }

    fn read_file(&self, reader: &mut Reader) -> Option<SecretString> {
        let allowed = format!(
            "{FILE_ALLOWED} that holds nothing but the {}, in printable ASCII on one line",
            self.name
        );
        let mut path = PathBuf::new();
        let secret = reader.text(self.file_key, &allowed, |text| {
            path = PathBuf::from(text);
            self.in_file(&path)
        })?;
        reader.show(self.key, String::new(), Layer::SecretFile(path.clone()));
        reader.show_given(self.file_key, path.display().to_string());
        Some(secret)
    }

    fn in_file(&self, path: &Path) -> Result<SecretString, String> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| format!("the file cannot be read ({error})"))?;
        match text.trim() {
            "" => Err("the file is empty".to_owned()),
            secret => self
                .header_value(secret)
                .map_err(|reason| format!("in the file, {reason}")),
        }
    }

    fn header_value(&self, text: &str) -> Result<SecretString, String> {
        if text.bytes().all(|byte| (0x20..0x7f).contains(&byte)) {
            Ok(SecretString::from(text))
        } else {
            Err(format!(
                "the {} has characters that cannot travel in an HTTP header",
                self.name
            ))
        }
    }
}
