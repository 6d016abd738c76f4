//! Reads the layers of settings, lowest first, and remembers for every key which layer had the last word.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use config::{File, FileFormat, Source, Value, ValueKind};

use super::keys;
use super::problem::Problem;

pub(super) const DEFAULTS: &str = include_str!("../../settings/default.toml");
const DEVELOPMENT: &str = include_str!("../../settings/development.toml");
const PRODUCTION: &str = include_str!("../../settings/production.toml");

const ENVIRONMENT_VARIABLE: &str = "METERIT_ENVIRONMENT";
const DIRECTORY_VARIABLE: &str = "METERIT_SETTINGS_DIR";

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Layer {
    /// `settings/default.toml`, built into the program.
    Defaults,
    /// The built-in settings of the named environment.
    BuiltIn(String),
    /// A settings file: the one of the environment, or the one named with `--config`.
    File(PathBuf),
    /// An environment variable.
    Environment,
    /// An environment variable whose name is in lower case, as other programs read it.
    LowerCaseEnvironment,
    /// Given by the calling program.
    Overrides,
    /// The contents of a file that another setting names.
    SecretFile(PathBuf),
    /// Put together from the `local_postgres_*` settings.
    Composed,
}

impl Layer {
    /// How the key is written in this layer.
    pub(super) fn spelling(&self, name: &str) -> String {
        match self {
            Self::Environment => name.to_ascii_uppercase(),
            _ => name.to_owned(),
        }
    }
}

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Defaults => write!(f, "built-in defaults"),
            Self::BuiltIn(environment) => write!(f, "built-in {environment} settings"),
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Environment | Self::LowerCaseEnvironment => write!(f, "environment"),
            Self::Overrides => write!(f, "given by the program"),
            Self::SecretFile(path) => write!(f, "contents of {}", path.display()),
            Self::Composed => write!(f, "composed from local_postgres_*"),
        }
    }
}

/// A value before anything is known about what it should be.
#[derive(Clone)]
pub(super) enum Raw {
    /// From the environment, where everything is text.
    Untyped(String),
    Text(String),
    Integer(i64),
    Boolean(bool),
    /// A kind that no setting has; the words name the kind.
    Other(&'static str),
}

/// A value and its origin. A higher `rank` is a higher layer.
#[derive(Clone)]
pub(super) struct Given {
    pub raw: Raw,
    pub layer: Layer,
    pub rank: usize,
}

/// What all layers say together.
#[derive(Default)]
pub(super) struct Layers {
    pub values: BTreeMap<&'static str, Given>,
    pub problems: Vec<Problem>,
    pub warnings: Vec<String>,
    /// A layer could not be read, so nobody knows what it would have set.
    pub incomplete: bool,
    rank: usize,
}

impl Layers {
    pub fn with_defaults() -> Self {
        let mut layers = Self::default();
        layers.add_toml(&Layer::Defaults, DEFAULTS);
        layers
    }

    /// Adds the settings of the environment that the variables name, and returns its name.
    pub fn add_environment_settings(&mut self, variables: &BTreeMap<String, String>) -> String {
        let environment = present(variables, ENVIRONMENT_VARIABLE).unwrap_or("production");
        if !is_plain_name(environment) {
            self.refuse_layer(
                format!("{ENVIRONMENT_VARIABLE}={environment}"),
                "allowed is a name of letters, digits, `-` and `_`, such as production".to_owned(),
            );
            return environment.to_owned();
        }
        let directory = self.settings_directory(variables);
        self.add_named_environment(environment, &directory);
        environment.to_owned()
    }

    fn settings_directory(&mut self, variables: &BTreeMap<String, String>) -> PathBuf {
        let Some(given) = present(variables, DIRECTORY_VARIABLE) else {
            return PathBuf::from("settings");
        };
        let directory = PathBuf::from(given);
        if !directory.is_dir() {
            self.refuse_layer(
                format!("{DIRECTORY_VARIABLE}={given}"),
                "this is no readable directory; create it, or unset the variable to use ./settings"
                    .to_owned(),
            );
        }
        directory
    }

    fn add_named_environment(&mut self, environment: &str, directory: &Path) {
        let path = directory.join(format!("{environment}.toml"));
        let built_in = match environment {
            "development" => Some(DEVELOPMENT),
            "production" => Some(PRODUCTION),
            _ => None,
        };
        match built_in {
            // Only a file that is certainly absent gives way: one that cannot be read must be reported.
            Some(text) if !path.try_exists().unwrap_or(true) => {
                self.add_toml(&Layer::BuiltIn(environment.to_owned()), text);
            }
            _ => self.add_file(&path, &format!("{ENVIRONMENT_VARIABLE}={environment}")),
        }
    }

    /// Adds a file that must be there; `subject` says who asked for it.
    pub fn add_file(&mut self, path: &Path, subject: &str) {
        match std::fs::read_to_string(path) {
            Ok(text) => self.add_toml(&Layer::File(path.to_owned()), &text),
            Err(error) => self.refuse_layer(
                subject.to_owned(),
                format!(
                    "the settings file {} cannot be read ({error}); create it or make it readable",
                    path.display()
                ),
            ),
        }
    }

    fn add_toml(&mut self, layer: &Layer, text: &str) {
        self.rank += 1;
        match File::from_str(text, FileFormat::Toml).collect() {
            Ok(values) => {
                let sorted: BTreeMap<String, Value> = values.into_iter().collect();
                for (name, value) in sorted {
                    self.add(&name, raw(value.kind), layer);
                }
            }
            Err(error) => self.refuse_layer(
                layer.to_string(),
                format!("this is not valid TOML: {}", without_excerpt(&error)),
            ),
        }
    }

    fn refuse_layer(&mut self, subject: String, what: String) {
        self.problems.push(Problem::layer(subject, what));
        self.incomplete = true;
    }

    /// Adds the environment variables that are settings. Empty ones count as not set, because that is what
    /// `NAME=${NAME:-}` in a compose file or a unit leaves behind.
    pub fn add_environment(&mut self, variables: &BTreeMap<String, String>) {
        self.rank += 1;
        for name in keys::CUSTOMARY_IN_LOWER_CASE {
            self.add_variable(variables, name, name, &Layer::LowerCaseEnvironment);
        }
        for name in keys::KNOWN {
            let variable = name.to_ascii_uppercase();
            self.add_variable(variables, name, &variable, &Layer::Environment);
        }
    }

    fn add_variable(
        &mut self,
        variables: &BTreeMap<String, String>,
        name: &str,
        variable: &str,
        layer: &Layer,
    ) {
        if let Some(value) = present(variables, variable) {
            self.add(name, Raw::Untyped(value.to_owned()), layer);
        }
    }

    /// Adds values that the calling program gives, all of them as text.
    pub fn add_overrides(&mut self, overrides: &[(&str, &str)]) {
        self.rank += 1;
        for (name, value) in overrides {
            self.add(name, Raw::Untyped((*value).to_owned()), &Layer::Overrides);
        }
    }

    fn add(&mut self, name: &str, raw: Raw, layer: &Layer) {
        if let Some(known) = keys::known(name) {
            let given = Given {
                raw,
                layer: layer.clone(),
                rank: self.rank,
            };
            self.values.insert(known, given);
        } else {
            self.problems.push(Problem::unknown_key(name, layer));
        }
    }
}

fn present<'a>(variables: &'a BTreeMap<String, String>, name: &str) -> Option<&'a str> {
    variables
        .get(name)
        .map(String::as_str)
        .filter(|value| !value.is_empty())
}

fn is_plain_name(name: &str) -> bool {
    name.chars()
        .all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
}

fn raw(kind: ValueKind) -> Raw {
    match kind {
        ValueKind::String(text) => Raw::Text(text),
        ValueKind::Boolean(value) => Raw::Boolean(value),
        ValueKind::I64(number) => Raw::Integer(number),
        ValueKind::Float(_) => Raw::Other("a number with a fraction"),
        ValueKind::Table(_) => Raw::Other("a table"),
        ValueKind::Array(_) => Raw::Other("a list"),
        _ => Raw::Other("a value of another kind"),
    }
}

/// The TOML parser quotes the offending line, which may hold a secret: keep its position and its words only.
fn without_excerpt(error: &config::ConfigError) -> String {
    let text = error.to_string();
    let words: Vec<&str> = text
        .lines()
        .filter(|line| !line.contains('|') && !line.trim().is_empty())
        .collect();
    words.join(": ")
}
