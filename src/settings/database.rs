//! Where the Sync Database is: an SQLite file, or the PostgreSQL that the site already has.

use std::net::Ipv6Addr;
use std::path::PathBuf;

use secrecy::{ExposeSecret, SecretString};

use super::layers::{Layer, Raw};
use super::reader::Reader;
use super::url::{masked, percent_encoded};

const URL_ALLOWED: &str =
    "sqlite:FILE (such as sqlite:data/sync.db) or postgres://USER:PASSWORD@HOST:PORT/DATABASE";
const HOST_ALLOWED: &str = "a host name, an IP address, or the absolute path of a socket directory";
const POSTGRES_KEYS: [&str; 5] = [
    "local_postgres_host",
    "local_postgres_port",
    "local_postgres_db",
    "local_postgres_user",
    "local_postgres_password",
];
const POSTGRES_PORT: u32 = 5432;

/// Where the Sync Database is.
#[derive(Clone, Debug)]
pub enum DatabaseSettings {
    /// An SQLite file.
    Sqlite {
        /// The file, taken literally; relative paths are relative to the working directory.
        path: PathBuf,
    },
    /// A PostgreSQL server.
    Postgres {
        /// A `postgres://` or `postgresql://` URL, with the password in it.
        url: SecretString,
    },
}

impl DatabaseSettings {
    pub(super) fn read(reader: &mut Reader) -> Option<Self> {
        let parts_are_given = POSTGRES_KEYS
            .iter()
            .any(|name| reader.given(name).is_some());
        if parts_are_given && !reader.is_set_by_operator("database_url") {
            return compose(reader);
        }
        if parts_are_given {
            reader.warn(
                "local_postgres_*: these have no effect, because database_url is set and decides"
                    .to_owned(),
            );
        }
        let settings = reader.text("database_url", URL_ALLOWED, Self::parse)?;
        reader.show_given("database_url", settings.shown());
        Some(settings)
    }

    /// Reads a URL as `DATABASE_URL` has it.
    ///
    /// # Errors
    /// Why it is none, in words that follow a colon and hold no secret.
    pub fn parse(text: &str) -> Result<Self, String> {
        if let Some(rest) = text.strip_prefix("sqlite:") {
            return sqlite(rest.strip_prefix("//").unwrap_or(rest));
        }
        let rest = text
            .strip_prefix("postgres://")
            .or_else(|| text.strip_prefix("postgresql://"));
        match rest {
            Some(rest) => {
                check_postgres(rest)?;
                Ok(Self::Postgres {
                    url: SecretString::from(text),
                })
            }
            None => Err("it begins with none of sqlite:, postgres://, postgresql://".to_owned()),
        }
    }

    /// The URL without its secrets.
    pub fn shown(&self) -> String {
        match self {
            Self::Sqlite { path } => format!("sqlite:{}", path.display()),
            Self::Postgres { url } => masked(url.expose_secret()),
        }
    }
}

fn sqlite(rest: &str) -> Result<DatabaseSettings, String> {
    let (path, parameters) = rest.split_once('?').unwrap_or((rest, ""));
    if !matches!(parameters, "" | "mode=rwc") {
        return Err(
            "parameters after the file name are not supported, the service opens the file in its own way"
                .to_owned(),
        );
    }
    match path {
        "" => Err("it names no file".to_owned()),
        ":memory:" => {
            Err("a database in memory would lose its readings at the next stop".to_owned())
        }
        path => Ok(DatabaseSettings::Sqlite {
            path: PathBuf::from(path),
        }),
    }
}

fn check_postgres(rest: &str) -> Result<(), String> {
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, tail) = rest.split_at(end);
    if tail.contains('@') && !authority.contains('@') {
        return Err(
            "special characters in user name or password must be percent-encoded".to_owned(),
        );
    }
    let address = authority
        .rsplit_once('@')
        .map_or(authority, |(_, address)| address);
    let (host, port) = split_port(address);
    if host.is_empty() && !tail.contains("host=") {
        return Err("it has no host".to_owned());
    }
    match port.map(str::parse::<u16>) {
        None | Some(Ok(1..)) => Ok(()),
        _ => Err("its port is not a number from 1 to 65535".to_owned()),
    }
}

fn split_port(address: &str) -> (&str, Option<&str>) {
    let after_brackets = address.rfind(']').map_or(0, |position| position + 1);
    match address[after_brackets..].rfind(':') {
        Some(colon) => {
            let colon = after_brackets + colon;
            (&address[..colon], Some(&address[colon + 1..]))
        }
        None => (address, None),
    }
}

fn compose(reader: &mut Reader) -> Option<DatabaseSettings> {
    let host = reader.text("local_postgres_host", HOST_ALLOWED, postgres_host);
    if let Some(host) = &host {
        reader.show_given("local_postgres_host", host.clone());
    }
    let port = match reader.given("local_postgres_port") {
        Some(_) => reader.whole_number("local_postgres_port", "", 1..=65_535),
        None => Some(POSTGRES_PORT),
    };
    let database = shown_name(reader, "local_postgres_db", "the name of the database");
    let user = shown_name(
        reader,
        "local_postgres_user",
        "the name of the database user",
    );
    let password = optional_password(reader);
    let (host, port, database, user) = (host?, port?, database?, user?);
    let credentials = match password? {
        Some(password) => format!("{}:{}", percent_encoded(&user), percent_encoded(&password)),
        None => percent_encoded(&user),
    };
    let settings = DatabaseSettings::Postgres {
        url: SecretString::from(format!(
            "postgres://{credentials}@{}:{port}/{}",
            host_in_url(&host),
            percent_encoded(&database)
        )),
    };
    reader.show("database_url", settings.shown(), Layer::Composed);
    Some(settings)
}

fn shown_name(reader: &mut Reader, name: &'static str, allowed: &str) -> Option<String> {
    let text = reader.text(name, allowed, |text| Ok(text.to_owned()))?;
    reader.show_given(name, text.clone());
    Some(text)
}

/// The outer option is none when the password is unusable, the inner one when there is none.
fn optional_password(reader: &mut Reader) -> Option<Option<String>> {
    let name = "local_postgres_password";
    let Some(given) = reader.given(name) else {
        return Some(None);
    };
    // Not trimmed like other texts: blanks may belong to a password.
    match given.raw.clone() {
        Raw::Untyped(password) | Raw::Text(password) => {
            reader.show_given(name, String::new());
            Some(Some(password).filter(|password| !password.is_empty()))
        }
        _ => reader.refuse(name, "", "the password as text, in quotes"),
    }
}

fn postgres_host(text: &str) -> Result<String, String> {
    let is_name = text
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_'));
    if is_name || text.starts_with('/') || text.parse::<Ipv6Addr>().is_ok() {
        Ok(text.to_owned())
    } else {
        Err("it is none of these".to_owned())
    }
}

fn host_in_url(host: &str) -> String {
    if host.contains(':') && !host.starts_with('/') {
        format!("[{host}]")
    } else {
        percent_encoded(host)
    }
}
