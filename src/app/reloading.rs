//! Settings that change while the service runs: those that a part reads anew whenever it needs them.

use actix::Recipient;
use secrecy::{ExposeSecret, SecretString};

use super::front_door::FrontDoor;
use crate::{
    domain::answer::{EffectiveSetting, EffectiveSettings},
    http::TokenChange,
    messages::settings::SettingsChanged,
    settings::{
        ClientSystemSettings, ConfigDownloadSettings, ConnectivitySettings, HeartbeatSettings,
        Loaded, LocalApiSettings, Settings, SyncSettings,
    },
    supervision::{ask::tell, published::Published},
};

/// The keys that take effect at once; all others do at the next start.
const AT_ONCE: [&str; 11] = [
    "client_api_key",
    "client_api_key_file",
    "sync_interval_minutes",
    "batch_size",
    "batch_size_max",
    "max_in_flight",
    "max_retries",
    "connectivity_check_interval_ms",
    "heartbeat_interval_ms",
    "config_download_interval_minutes",
    "log_level",
];

/// Where the tokens of the local API come from; of themselves nothing is shown that could differ.
const TOKENS: [&str; 4] = [
    "control_token",
    "control_token_file",
    "read_token",
    "read_token_file",
];

/// What the parts of a service read while it runs. All clones are the same.
#[derive(Clone)]
pub(super) struct LiveSettings {
    pub(super) api_key: Published<SecretString>,
    pub(super) sync: Published<SyncSettings>,
    pub(super) connectivity: Published<ConnectivitySettings>,
    pub(super) heartbeat: Published<HeartbeatSettings>,
    pub(super) config_download: Published<ConfigDownloadSettings>,
    pub(super) effective: Published<EffectiveSettings>,
}

impl LiveSettings {
    pub(super) fn new(settings: &Settings, effective: EffectiveSettings) -> Self {
        Self {
            api_key: Published::new(settings.client_system.api_key.clone()),
            sync: Published::new(settings.sync.clone()),
            connectivity: Published::new(settings.connectivity.clone()),
            heartbeat: Published::new(settings.heartbeat.clone()),
            config_download: Published::new(settings.config_download.clone()),
            effective: Published::new(effective),
        }
    }
}

/// What reading the settings again brought.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reloaded {
    /// Keys whose new values are in force.
    pub applied: Vec<String>,
    /// Keys whose new values take effect at the next start.
    pub at_next_start: Vec<String>,
}

/// Brings settings that were read again to the parts of a running service.
#[derive(Clone)]
pub struct Reloader {
    pub(super) live: LiveSettings,
    pub(super) door: FrontDoor,
    pub(super) listeners: Vec<Recipient<SettingsChanged>>,
}

impl Reloader {
    /// Lets those settings take effect that can while the service runs. The log is not this one's.
    pub fn apply(&self, loaded: &Loaded) -> Reloaded {
        let told = EffectiveSettings::from(&loaded.report);
        let before = self.live.effective.get();
        let mut reloaded = differences(&before, &told);
        if self.take_key(&loaded.settings.client_system) {
            reloaded.applied.insert(0, "client_api_key".to_owned());
        }
        self.take_tokens(&loaded.settings.local_api, &mut reloaded);
        if let Some(certificate) = &self.door.certificate {
            certificate.read_again();
        }
        self.take_intervals(&loaded.settings);
        self.live
            .effective
            .set(in_force(&before, told, &reloaded.at_next_start));
        for listener in &self.listeners {
            tell(listener, SettingsChanged);
        }
        reloaded
    }

    /// Whether it is another one.
    fn take_key(&self, settings: &ClientSystemSettings) -> bool {
        let key = &settings.api_key;
        let is_new = self
            .live
            .api_key
            .read(|known| known.expose_secret() != key.expose_secret());
        if is_new {
            self.live.api_key.set(key.clone());
        }
        is_new
    }

    fn take_tokens(&self, settings: &LocalApiSettings, reloaded: &mut Reloaded) {
        let change = self.door.take_tokens(settings);
        if change == TokenChange::Refused {
            tracing::error!(
                "the settings hold no control token any more, but other machines reach this service; it goes on asking for the one that it had"
            );
            return;
        }
        let is_token = |key: &String| TOKENS.contains(&key.as_str());
        let (tokens, others) = std::mem::take(&mut reloaded.at_next_start)
            .into_iter()
            .partition(is_token);
        reloaded.at_next_start = others;
        reloaded.applied.extend::<Vec<String>>(tokens);
        if change == TokenChange::Taken && !reloaded.applied.iter().any(is_token) {
            reloaded.applied.push("tokens of the local API".to_owned());
        }
    }

    fn take_intervals(&self, settings: &Settings) {
        let sync = &settings.sync;
        self.live.sync.update(|live| {
            *live = SyncSettings {
                interval: sync.interval,
                batch_size: sync.batch_size,
                batch_size_max: sync.batch_size_max,
                max_in_flight: sync.max_in_flight,
                max_retries: sync.max_retries,
                pinned_interval: sync.pinned_interval,
                pinned_batch_size: sync.pinned_batch_size,
                ..live.clone()
            };
        });
        self.live.connectivity.set(settings.connectivity.clone());
        self.live.heartbeat.set(settings.heartbeat.clone());
        self.live
            .config_download
            .set(settings.config_download.clone());
    }
}

fn differences(before: &EffectiveSettings, now: &EffectiveSettings) -> Reloaded {
    let mut keys: Vec<&str> = before.settings.iter().map(|row| row.key.as_str()).collect();
    keys.extend(now.settings.iter().map(|row| row.key.as_str()));
    let mut reloaded = Reloaded::default();
    for (place, key) in keys.iter().enumerate() {
        let is_known = keys[..place].contains(key);
        if is_known || value(before, key) == value(now, key) {
            continue;
        }
        if AT_ONCE.contains(key) {
            reloaded.applied.push((*key).to_owned());
        } else {
            reloaded.at_next_start.push((*key).to_owned());
        }
    }
    reloaded
}

fn value<'a>(settings: &'a EffectiveSettings, key: &str) -> Option<&'a str> {
    row(settings, key).map(|row| row.value.as_str())
}

fn row<'a>(settings: &'a EffectiveSettings, key: &str) -> Option<&'a EffectiveSetting> {
    settings.settings.iter().find(|row| row.key == key)
}

/// What is told from now on: the old value of what waits for the next start, with a word about it.
fn in_force(
    before: &EffectiveSettings,
    mut now: EffectiveSettings,
    at_next_start: &[String],
) -> EffectiveSettings {
    now.settings.retain(|row| !at_next_start.contains(&row.key));
    for key in at_next_start {
        now.settings.extend(row(before, key).cloned());
        now.warnings.push(format!(
            "{} has another value now, which takes effect at the next start",
            key.to_uppercase()
        ));
    }
    now
}
