//! What the operator may decide: one file per section. Loads the layers, validates, and reports origins.
//!
//! `settings/default.toml` documents every key.

mod client_system;
mod client_tls;
mod config_download;
mod connectivity;
mod database;
mod heartbeat;
mod keys;
mod layers;
mod local_api;
mod local_names;
mod logging;
mod no_proxy;
pub mod pem;
mod problem;
mod proxy;
mod reader;
mod report;
mod secret_text;
mod secrets;
mod sync;
mod tracing;
pub mod trust;
mod url;

use std::collections::BTreeMap;
use std::path::PathBuf;

pub use self::tracing::TracingSettings;
pub use client_system::ClientSystemSettings;
pub use client_tls::ClientTlsSettings;
pub use config_download::ConfigDownloadSettings;
pub use connectivity::ConnectivitySettings;
pub use database::DatabaseSettings;
pub use heartbeat::HeartbeatSettings;
pub use layers::Layer;
pub use local_api::{LocalApiSettings, LocalTlsSettings};
pub use local_names::AllowedOrigins;
pub use logging::{LogFormat, LoggingSettings};
pub use problem::{Problem, SettingsError};
pub use proxy::ProxySettings;
pub use report::{Report, ReportRow};
pub use sync::SyncSettings;

use layers::Layers;
use reader::Reader;

/// Everything that the operator may decide, parsed and within its limits. `Debug` shows no secret.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How to reach the Client System.
    pub client_system: ClientSystemSettings,
    /// When readings are uploaded, and how.
    pub sync: SyncSettings,
    /// How often the link is checked.
    pub connectivity: ConnectivitySettings,
    /// How often a heartbeat is sent.
    pub heartbeat: HeartbeatSettings,
    /// How often the site's configuration is fetched.
    pub config_download: ConfigDownloadSettings,
    /// Where the Sync Database is.
    pub database: DatabaseSettings,
    /// Where the local API listens, and whom it lets in.
    pub local_api: LocalApiSettings,
    /// How much is logged, and in which form.
    pub logging: LoggingSettings,
    /// Where traces go.
    pub tracing: TracingSettings,
}

/// What the layers are read from.
#[derive(Clone, Debug, Default)]
pub struct LoadOptions {
    /// The file named with `--config`; it must exist.
    pub config_file: Option<PathBuf>,
    /// The environment variables, by name.
    pub environment: BTreeMap<String, String>,
}

impl LoadOptions {
    /// Reads the environment of this process. Bytes that are not UTF-8 are replaced, so that the value is
    /// refused by its own check instead of bringing the program down here.
    pub fn from_process(config_file: Option<PathBuf>) -> Self {
        let environment = std::env::vars_os()
            .map(|(name, value)| {
                let name = name.to_string_lossy().into_owned();
                (name, value.to_string_lossy().into_owned())
            })
            .collect();
        Self {
            config_file,
            environment,
        }
    }
}

impl LoadOptions {
    /// Reads all layers, and from them the sections that `read` asks for.
    fn read<S>(
        &self,
        read: impl FnOnce(&mut Reader) -> Option<S>,
    ) -> Result<Loaded<S>, SettingsError> {
        let mut layers = Layers::with_defaults();
        let environment = layers.add_environment_settings(&self.environment);
        if let Some(path) = &self.config_file {
            layers.add_file(path, &format!("--config {}", path.display()));
        }
        layers.add_environment(&self.environment);
        from_layers(layers, Some(environment), read)
    }
}

fn from_layers<S>(
    layers: Layers,
    environment: Option<String>,
    read: impl FnOnce(&mut Reader) -> Option<S>,
) -> Result<Loaded<S>, SettingsError> {
    let mut reader = Reader::new(layers);
    let settings = read(&mut reader);
    let report = reader.finish(environment)?;
    match settings {
        Some(settings) => Ok(Loaded { settings, report }),
        None => Err(SettingsError {
            problems: Vec::new(),
        }),
    }
}

/// Settings that can be used, and the story behind them.
#[derive(Clone, Debug)]
pub struct Loaded<S = Settings> {
    /// The typed settings.
    pub settings: S,
    /// Each effective value with its origin, and the warnings to log.
    pub report: Report,
}

impl Settings {
    /// Reads all layers: built-in defaults, the settings of the environment, the named file, the environment
    /// variables; a later one wins.
    ///
    /// # Errors
    /// Every problem of every layer at once.
    pub fn load(options: &LoadOptions) -> Result<Loaded, SettingsError> {
        options.read(Self::read)
    }

    /// As [`Settings::load`], for a command that only needs to know where the Sync Database is: nothing else has
    /// to be set, or is looked at.
    ///
    /// # Errors
    /// Every problem of the layers themselves and of this section.
    pub fn load_database(options: &LoadOptions) -> Result<Loaded<DatabaseSettings>, SettingsError> {
        options.read(DatabaseSettings::read)
    }

    /// As [`Settings::load`], for a command that only talks to the local API, here or elsewhere: nothing else has to be
    /// set, or is looked at, nor whether a service could start with it.
    ///
    /// # Errors
    /// Every problem of the layers themselves and of this section.
    pub fn load_local_api(
        options: &LoadOptions,
    ) -> Result<Loaded<LocalApiSettings>, SettingsError> {
        options.read(LocalApiSettings::read_for_clients)
    }

    /// The built-in defaults with these values over them, keys as in a settings file. Looks neither at files
    /// nor at the environment. `client_api_url` and `client_api_key` have no default and must be among them.
    ///
    /// # Errors
    /// Every problem at once.
    pub fn from_overrides(overrides: &[(&str, &str)]) -> Result<Self, SettingsError> {
        let mut layers = Layers::with_defaults();
        layers.add_overrides(overrides);
        from_layers(layers, None, Self::read).map(|loaded| loaded.settings)
    }

    /// Reads every section before giving up, so that all problems are found.
    fn read(reader: &mut Reader) -> Option<Self> {
        let client_system = ClientSystemSettings::read(reader);
        let sync = SyncSettings::read(reader);
        let connectivity = ConnectivitySettings::read(reader);
        let heartbeat = HeartbeatSettings::read(reader);
        let config_download = ConfigDownloadSettings::read(reader);
        let database = DatabaseSettings::read(reader);
        let local_api = LocalApiSettings::read(reader);
        let logging = LoggingSettings::read(reader);
        let tracing = TracingSettings::read(reader);
        Some(Self {
            client_system: client_system?,
            sync: sync?,
            connectivity: connectivity?,
            heartbeat: heartbeat?,
            config_download: config_download?,
            database: database?,
            local_api: local_api?,
            logging: logging?,
            tracing: tracing?,
        })
    }
}
