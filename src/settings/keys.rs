//! The names of all settings.

/// The keys as written in TOML. The environment has the same names in upper case.
pub(super) const KNOWN: &[&str] = &[
    "client_api_url",
    "client_api_key",
    "client_api_key_file",
    "client_api_allow_http",
    "client_ca_file",
    "client_cert_file",
    "client_key_file",
    "api_timeout",
    "https_proxy",
    "no_proxy",
    "sync_interval_minutes",
    "batch_size",
    "batch_size_max",
    "upload_max_bytes_per_second",
    "max_in_flight",
    "upload_compression",
    "max_retries",
    "enable_auto_sync",
    "keep_synchronized",
    "synchronized_retention_days",
    "sync_log_retention_days",
    "connectivity_check_interval_ms",
    "heartbeat_interval_ms",
    "config_download_interval_minutes",
    "database_url",
    "local_postgres_host",
    "local_postgres_port",
    "local_postgres_db",
    "local_postgres_user",
    "local_postgres_password",
    "local_api_host",
    "local_api_port",
    "local_api_names",
    "control_token",
    "control_token_file",
    "read_token",
    "read_token_file",
    "frontend_without_token",
    "frontend_reads_without_token",
    "cors_allowed_origins",
    "local_tls_cert_file",
    "local_tls_key_file",
    "log_level",
    "log_format",
    "otlp_endpoint",
];

/// Keys that other programs read from the environment in lower case as well.
pub(super) const CUSTOMARY_IN_LOWER_CASE: &[&str] = &["https_proxy", "no_proxy"];

/// Keys whose values never appear in a message, not even when they are wrong.
const SECRET: &[&str] = &[
    "client_api_key",
    "local_postgres_password",
    "control_token",
    "read_token",
];

/// Keys whose values may hold a password; where they are wrong, nobody can tell which part that is.
const SECRET_WHEN_WRONG: &[&str] = &["https_proxy"];

pub(super) fn is_secret(name: &str) -> bool {
    SECRET.contains(&name)
}

/// Whether a value that cannot be used must not be repeated.
pub(super) fn is_secret_when_wrong(name: &str) -> bool {
    is_secret(name) || SECRET_WHEN_WRONG.contains(&name)
}

pub(super) fn known(name: &str) -> Option<&'static str> {
    KNOWN.iter().copied().find(|known| *known == name)
}
