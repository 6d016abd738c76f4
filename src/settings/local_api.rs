//! Where the local API listens, and whom it lets in.

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

use secrecy::{ExposeSecret, SecretString};

use super::local_names::{AllowedOrigins, NAMES_ALLOWED, ORIGINS_ALLOWED, names};
use super::reader::Reader;
use super::secret_text::SecretText;

const HOST_ALLOWED: &str = "a loopback address (127.0.0.1, ::1 or localhost), or any address of this machine together with CONTROL_TOKEN or CONTROL_TOKEN_FILE";
const FILE_ALLOWED: &str = "the path of a file in PEM form";
const CONTROL_TOKEN: SecretText = SecretText {
    key: "control_token",
    file_key: "control_token_file",
    name: "token",
    allowed: "a token of 16 characters or more, in printable ASCII on one line, such as `openssl rand -hex 32` prints",
};
const READ_TOKEN: SecretText = SecretText {
    key: "read_token",
    file_key: "read_token_file",
    ..CONTROL_TOKEN
};
/// Below this, somebody may guess it: a right token is let in however many wrong ones came before.
const SHORTEST: usize = 16;

/// Where the local API listens, and whom it lets in.
#[derive(Clone, Debug)]
pub struct LocalApiSettings {
    /// The address to bind; another one than loopback only with a control token.
    pub host: IpAddr,
    /// The port to bind; 0 lets the operating system choose a free one.
    pub port: u16,
    /// By which other names the machine may be called, in lower case.
    pub names: Vec<String>,
    /// What every call that changes something has to bring; none where nobody has to bring anything.
    pub control_token: Option<SecretString>,
    /// What lets its bearer look at everything, and change nothing.
    pub read_token: Option<SecretString>,
    /// Whether pages of this machine may start an upload as the Sync Frontend does, without a token.
    pub frontend_without_token: bool,
    /// Whether pages of this machine may look at what the Sync Frontend shows, without a token.
    pub frontend_reads_without_token: bool,
    /// Whose pages may ask.
    pub allowed_origins: AllowedOrigins,
    /// The certificate of the local API; none for HTTP without TLS.
    pub tls: Option<LocalTlsSettings>,
}

/// Files in PEM form, which are read anew when they change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalTlsSettings {
    /// The certificate, and those that lead from it to one that clients trust.
    pub cert_file: PathBuf,
    /// The private key of the first one.
    pub key_file: PathBuf,
}

impl LocalApiSettings {
    /// For the service itself: everything has to fit together.
    pub(super) fn read(reader: &mut Reader) -> Option<Self> {
        let settings = Self::read_for_clients(reader)?;
        settings.check(reader)?;
        Some(settings)
    }

    /// For those that only talk to the service, and may know less than it does.
    pub(super) fn read_for_clients(reader: &mut Reader) -> Option<Self> {
        let host = reader.text("local_api_host", HOST_ALLOWED, address);
        if let Some(host) = host {
            reader.show_given("local_api_host", host.to_string());
        }
        let port = reader.whole_number("local_api_port", "", 0..=65_535);
        let names = optional(reader, "local_api_names", |reader, key| {
            let names = reader.text(key, NAMES_ALLOWED, names)?;
            reader.show_given(key, names.join(","));
            Some(names)
        });
        let control_token = token(reader, &CONTROL_TOKEN);
        let read_token = token(reader, &READ_TOKEN);
        let frontend_without_token = reader.boolean("frontend_without_token");
        let frontend_reads_without_token = reader.boolean("frontend_reads_without_token");
        let key = "cors_allowed_origins";
        let allowed_origins = reader.text(key, ORIGINS_ALLOWED, AllowedOrigins::parse);
        if let Some(origins) = &allowed_origins {
            reader.show_given(key, origins.to_string());
        }
        let tls = read_tls(reader);
        Some(Self {
            host: host?,
            port: u16::try_from(port?).ok()?,
            names: names?.unwrap_or_default(),
            control_token: control_token?,
            read_token: read_token?,
            frontend_without_token: frontend_without_token?,
            frontend_reads_without_token: frontend_reads_without_token?,
            allowed_origins: allowed_origins?,
            tls: tls?,
        })
    }

    fn check(&self, reader: &mut Reader) -> Option<()> {
        let is_open = self.control_token.is_none();
        if is_open && !self.host.is_loopback() {
            return reader.refuse(
                "local_api_host",
                "other machines could reach the local API there, and without a control token any of them could control the service",
                HOST_ALLOWED,
            );
        }
        if self.tls.is_none() && !self.host.is_loopback() {
            reader.warn(
                "LOCAL_API_HOST lets other machines in, and without LOCAL_TLS_CERT_FILE and LOCAL_TLS_KEY_FILE their tokens cross the network readably".to_owned(),
            );
        }
        match (&self.control_token, &self.read_token) {
            (None, Some(_)) => refuse_read_token(
                reader,
                "without CONTROL_TOKEN, whoever may not look could still change everything",
            ),
            (Some(control), Some(read)) if control.expose_secret() == read.expose_secret() => {
                refuse_read_token(
                    reader,
                    "it is the control token, so that whoever is to look only could change everything",
                )
            }
            _ => Some(()),
        }
    }
}

fn refuse_read_token(reader: &mut Reader, reason: &str) -> Option<()> {
    let key = READ_TOKEN.in_force(reader);
    reader.refuse(
        key,
        reason,
        "a token of its own beside CONTROL_TOKEN or CONTROL_TOKEN_FILE",
    )
}

/// None where it is wrong, and nothing in it where it is not set.
fn optional<T>(
    reader: &mut Reader,
    key: &'static str,
    read: impl FnOnce(&mut Reader, &'static str) -> Option<T>,
) -> Option<Option<T>> {
    match reader.given(key) {
        None => Some(None),
        Some(_) => read(reader, key).map(Some),
    }
}

fn token(reader: &mut Reader, keys: &SecretText) -> Option<Option<SecretString>> {
    if !keys.is_given(reader) {
        return Some(None);
    }
    let token = keys.read(reader)?;
    if token.expose_secret().len() < SHORTEST {
        let reason = format!("it has fewer than {SHORTEST} characters, so that it may be guessed");
        let key = keys.in_force(reader);
        return reader.refuse(key, &reason, keys.allowed);
    }
    Some(Some(token))
}

fn read_tls(reader: &mut Reader) -> Option<Option<LocalTlsSettings>> {
    let [cert_file, key_file] = ["local_tls_cert_file", "local_tls_key_file"].map(|key| {
        optional(reader, key, |reader, key| {
            let path = reader.text(key, FILE_ALLOWED, |text| Ok(PathBuf::from(text)))?;
            reader.show_given(key, path.display().to_string());
            Some(path)
        })
    });
    let lacks = |reader: &mut Reader, key: &str, other: &str| {
        let reason = format!(
            "{} is missing, and one is of no use without the other",
            other.to_ascii_uppercase()
        );
        reader.refuse(key, &reason, "both, or none for HTTP without TLS")
    };
    match (cert_file?, key_file?) {
        (Some(cert_file), Some(key_file)) => Some(Some(LocalTlsSettings {
            cert_file,
            key_file,
        })),
        (None, None) => Some(None),
        (Some(_), None) => lacks(reader, "local_tls_cert_file", "local_tls_key_file"),
        (None, Some(_)) => lacks(reader, "local_tls_key_file", "local_tls_cert_file"),
    }
}

fn address(text: &str) -> Result<IpAddr, String> {
    if text.eq_ignore_ascii_case("localhost") {
        return Ok(IpAddr::V4(Ipv4Addr::LOCALHOST));
    }
    text.parse().map_err(|_| "it is no IP address".to_owned())
}
