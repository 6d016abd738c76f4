//! How to reach the Client System: address, key, patience.

use std::time::Duration;

use secrecy::SecretString;

use super::client_tls::ClientTlsSettings;
use super::proxy::ProxySettings;
use super::reader::Reader;
use super::secret_text::SecretText;
use super::url::{base_url, host_and_port, is_encrypted, is_of_this_machine};

const URL_ALLOWED: &str = "an address such as https://client.example.com, beginning with http:// or https://, with a host and without user name, query or fragment";
const UNENCRYPTED: &str = "over plain http, everybody on the way to another machine could read the key and change the readings: write https://, or set client_api_allow_http = true where something else protects the way, such as a VPN";
const UNENCRYPTED_BY_PROXY: &str = "over plain http, the proxy that HTTPS_PROXY names, and everybody on the way there, could read the key and change the readings: write https://, name the host in NO_PROXY where no proxy is needed, or set client_api_allow_http = true where something else protects the way, such as a VPN";
const KEY: SecretText = SecretText {
    key: "client_api_key",
    file_key: "client_api_key_file",
    name: "key",
    allowed: "the key issued by the Client System, in printable ASCII on one line",
};

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
        let allows_http = reader.boolean("client_api_allow_http");
        let api_url = read_url(reader, allows_http);
        let api_key = KEY.read(reader);
        let tls = ClientTlsSettings::read(reader);
        let timeout = reader.milliseconds("api_timeout", 1_000..=600_000);
        let (host, port) = api_url
            .as_deref()
            .and_then(host_and_port)
            .unwrap_or_default();
        let proxy = ProxySettings::read(reader, &host, port);
        if let (Some(url), Some(Some(_))) = (&api_url, &proxy)
            && !is_encrypted(url)
            && allows_http == Some(false)
        {
            // Whatever machine the address is of.
            return reader.refuse("client_api_url", UNENCRYPTED_BY_PROXY, URL_ALLOWED);
        }
        Some(Self {
            api_url: api_url?,
            api_key: api_key?,
            tls: tls?,
            timeout: timeout?,
            proxy: proxy?,
        })
    }
}

fn read_url(reader: &mut Reader, allows_http: Option<bool>) -> Option<String> {
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
