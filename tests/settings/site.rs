//! A site with settings of its own: files in a temporary directory, and an environment that nobody else sees.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

use meterit_sync::settings::{Layer, LoadOptions, Loaded, Settings, SettingsError};
use tempfile::TempDir;

pub const KEY: &str = "very-secret-key";
pub const REQUIRED: [(&str, &str); 2] = [
    ("CLIENT_API_URL", "https://client.example.com/api/"),
    ("CLIENT_API_KEY", KEY),
];

/// An empty settings directory, a config file if any, and an environment.
pub struct Site {
    directory: TempDir,
    pub options: LoadOptions,
}

impl Site {
    pub fn bare() -> Self {
        let directory = TempDir::new().unwrap();
        let mut options = LoadOptions::default();
        options.environment.insert(
            "METERIT_SETTINGS_DIR".to_owned(),
            directory.path().to_string_lossy().into_owned(),
        );
        Self { directory, options }
    }

    pub fn new() -> Self {
        Self::bare().with(&REQUIRED)
    }

    pub fn with(mut self, variables: &[(&str, &str)]) -> Self {
        for (name, value) in variables {
            self.options
                .environment
                .insert((*name).to_owned(), (*value).to_owned());
        }
        self
    }

    pub fn with_file(self, name: &str, text: &str) -> Self {
        fs::write(self.path(name), text).unwrap();
        self
    }

    pub fn with_config(mut self, text: &str) -> Self {
        self = self.with_file("site.toml", text);
        self.options.config_file = Some(self.path("site.toml"));
        self
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub fn load(&self) -> Result<Loaded, SettingsError> {
        Settings::load(&self.options)
    }

    pub fn loaded(&self) -> Loaded {
        self.load().unwrap()
    }

    pub fn settings(&self) -> Settings {
        self.loaded().settings
    }

    pub fn refusal(&self) -> String {
        self.load().unwrap_err().to_string()
    }

    pub fn layer_of(&self, key: &str) -> Layer {
        self.loaded().report.row(key).unwrap().layer.clone()
    }

    /// Runs the program with exactly this site's environment.
    pub fn run(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_meterit-sync"));
        command.args(arguments).env_clear();
        command
            .envs(&self.options.environment)
            .current_dir(self.directory.path());
        if let Some(file) = &self.options.config_file {
            command.arg("--config").arg(file);
        }
        command.output().unwrap()
    }
}

pub fn assert_contains(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "`{part}` is missing in: {text}");
    }
}
