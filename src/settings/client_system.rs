//! How to reach the Client System: address, key, patience.

use std::path::{Path, PathBuf};
use std::time::Duration;

use secrecy::SecretString;

use super::client_tls::ClientTlsSettings;
use super::layers::Layer;
use super::proxy::ProxySettings;
use super::reader::Reader;
use super::url::{base_url, host_and_port, is_encrypted, is_of_this_machine};

const URL_ALLOWED: &str = "an address such as https://client.example.com, beginning with http:// or https://, with a host and without user name, query or fragment";
const UNENCRYPTED: &str = "over plain http, everybody on the way to another machine could read the key and change the readings: write https://, or set client_api_allow_http = true where something else protects the way, such as a VPN";
const KEY_ALLOWED: &str = "the key issued by the Client System, in printable ASCII on one line";
const KEY_FILE_ALLOWED: &str =
    "the path of a readable file that holds nothing but the key, in printable ASCII on one line";

/// How to reach the Client System.
#[derive(Clone, Debug)]
pub struct ClientSystemSettings {
    /// The base address, `https`, or `http` where that is allowed, without a trailing slash; paths are appended to it.
    pub api_url: String,
    /// The key that goes with every request; fit for an HTTP header.
    pub api_key: SecretString,
    /// Whom TLS trusts, and as whom the service introduces itself.
    pub tls: ClientTlsSettings,
    /// How long one request may take.
    pub timeout: Duration,
    /// The proxy that every request goes through; none also where NO_PROXY excepts the Client System.
    pub proxy: Option<ProxySettings>,
}

impl ClientSystemSettings {
    /// Where the base address leads; an IPv6 address is in brackets.
    pub fn host_and_port(&self) -> (String, u16) {
        // What was read has both.
        host_and_port(&self.api_url).unwrap_or_default()
    }

    /// Whether TLS protects what goes there.
    pub fn is_encrypted(&self) -> bool {
        is_encrypted(&self.api_url)
    }

    pub(super) fn read(reader: &mut Reader) -> Option<Self> {
        let api_url = read_url(reader);
        let api_key = read_key(reader);
        let tls = ClientTlsSettings::read(reader);
        let timeout = reader.milliseconds("api_timeout", 1_000..=600_000);
        let (host, port) = api_url
            .as_deref()
            .and_then(host_and_port)
            .unwrap_or_default();
        let proxy = ProxySettings::read(reader, &host, port);
        Some(Self {
            api_url: api_url?,
            api_key: api_key?,
            tls: tls?,
            timeout: timeout?,
            proxy: proxy?,
        })
    }
}

fn read_url(reader: &mut Reader) -> Option<String> {
    let allows_http = reader.boolean("client_api_allow_http");
    let url = reader.text("client_api_url", URL_ALLOWED, |text| {
        let url = base_url(text, "the key is CLIENT_API_KEY")?;
        if allows_http == Some(false) && !is_encrypted(&url) && !is_of_this_machine(&url) {
            return Err(UNENCRYPTED.to_owned());
        }
        Ok(url)
    })?;
    reader.show_given("client_api_url", url.clone());
    Some(url)
}

fn read_key(reader: &mut Reader) -> Option<SecretString> {
    let key = reader.given("client_api_key").cloned();
    let file = reader.given("client_api_key_file").cloned();
    match (key, file) {
        (Some(key), Some(file)) if key.rank == file.rank => reader.refuse(
            "client_api_key_file",
            "the same layer also sets the key itself, so it is unclear which one counts",
            "only one of the two in a layer",
        ),
        (key, Some(file)) if key.as_ref().is_none_or(|key| key.rank < file.rank) => {
            read_key_file(reader)
        }
        _ => read_key_itself(reader),
    }
}

fn read_key_itself(reader: &mut Reader) -> Option<SecretString> {
    let key = reader.text("client_api_key", KEY_ALLOWED, header_value)?;
    reader.show_given("client_api_key", String::new());
    Some(key)
}

fn read_key_file(reader: &mut Reader) -> Option<SecretString> {
    let mut path = PathBuf::new();
    let key = reader.text("client_api_key_file", KEY_FILE_ALLOWED, |text| {
        path = PathBuf::from(text);
        key_from(&path)
    })?;
    reader.show(
        "client_api_key",
        String::new(),
        Layer::SecretFile(path.clone()),
    );
    reader.show_given("client_api_key_file", path.display().to_string());
    Some(key)
}

fn key_from(path: &Path) -> Result<SecretString, String> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| format!("the file cannot be read ({error})"))?;
    match text.trim() {
        "" => Err("the file is empty".to_owned()),
        key => header_value(key).map_err(|reason| format!("in the file, {reason}")),
    }
}

fn header_value(text: &str) -> Result<SecretString, String> {
    if text.bytes().all(|byte| (0x20..0x7f).contains(&byte)) {
        Ok(SecretString::from(text))
    } else {
        Err("the key has characters that cannot travel in an HTTP header".to_owned())
    }
}
