//! Why a command on a running service did not do what it is for: what happened, what it means, what to do.

use std::io;

use super::{address::ServiceUrl, problem::Problem};
use crate::{cli::exit::Exit, settings::SettingsError};

/// Why a command did not do what it is for.
#[derive(Debug, thiserror::Error)]
pub(in crate::cli) enum Failure {
    /// The service refused, or could not do it.
    #[error("{}", .0.words())]
    Refused(Box<Problem>),
    /// Nobody listens at the address.
    #[error(
        "no service runs at {0}: the connection was refused. Start it (`meterit-sync run`, or its systemd unit), or say \
         with --url, or LOCAL_API_HOST and LOCAL_API_PORT, where it listens"
    )]
    NotRunning(ServiceUrl),
    /// No connection came about.
    #[error(
        "the service at {url} cannot be reached: {why}. Check the address that --url, or LOCAL_API_HOST and LOCAL_API_PORT, \
         give, and the way there"
    )]
    Unreachable {
        /// Where.
        url: ServiceUrl,
        /// What was seen.
        why: String,
    },
    /// A connection stood, but no whole answer came.
    #[error(
        "the service at {url} does not answer properly: {why}. {}Check what listens there, and the service's log if it is the \
         right address",
        doubt(*.may_have_acted)
    )]
    NoAnswer {
        /// Where.
        url: ServiceUrl,
        /// What was seen.
        why: String,
        /// Whether something was asked for that may have been carried out all the same.
        may_have_acted: bool,
    },
    /// What was followed has ended, and nobody is told of what happens from now on.
    #[error(
        "the service at {url} is no longer followed: {why}. `meterit-sync status` tells whether it still runs"
    )]
    Ended {
        /// Where.
        url: ServiceUrl,
        /// What was seen.
        why: String,
    },
    /// An answer came, but not one of this service.
    #[error(
        "what answers at {url} is not this service, or not this version of it: {why}. Check the address that --url, or \
         LOCAL_API_HOST and LOCAL_API_PORT, give"
    )]
    Stranger {
        /// Where.
        url: ServiceUrl,
        /// What was seen.
        why: String,
    },
    /// The settings cannot be used.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// The arguments cannot be used.
    #[error("{0}")]
    Arguments(String),
    /// Something on this side of the address went wrong, or was called off here.
    #[error("{0}")]
    Here(String),
}

fn doubt(may_have_acted: bool) -> &'static str {
    if may_have_acted {
        "Whether it did what was asked is not known; `meterit-sync status` tells how things stand. "
    } else {
        ""
    }
}

impl Failure {
    /// The output cannot be written.
    pub(super) fn of_output(error: &io::Error) -> Self {
        Self::Here(format!(
            "the output could not be written ({error}), so it is not complete; check where it goes"
        ))
    }

    /// The exit code.
    pub(in crate::cli) fn exit(&self) -> Exit {
        match self {
            Self::Refused(_) | Self::Here(_) => Exit::Failed,
            Self::NotRunning(_) => Exit::NotRunning,
            Self::Unreachable { .. }
            | Self::NoAnswer { .. }
            | Self::Ended { .. }
            | Self::Stranger { .. } => Exit::Unreachable,
            Self::Settings(_) | Self::Arguments(_) => Exit::NeedsAPerson,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_failure_has_its_code_and_says_what_to_do() {
        let url: ServiceUrl = "http://127.0.0.1:3002".parse().expect("an address");
        let why = "it was seen".to_owned();
        let cases = [
            (Failure::NotRunning(url.clone()), 3, "Start it"),
            (
                Failure::Unreachable {
                    url: url.clone(),
                    why: why.clone(),
                },
                4,
                "Check the address",
            ),
            (
                Failure::NoAnswer {
                    url: url.clone(),
                    why: why.clone(),
                    may_have_acted: true,
                },
                4,
                "is not known",
            ),
            (Failure::Stranger { url, why }, 4, "Check the address"),
            (Failure::Arguments("--yes".into()), 2, "--yes"),
            (
                Failure::of_output(&io::Error::from(io::ErrorKind::StorageFull)),
                1,
                "check where",
            ),
        ];
        for (failure, code, words) in cases {
            assert_eq!(failure.exit() as u8, code, "{failure}");
            assert!(failure.to_string().contains(words), "{failure}");
        }
    }
}
