//! How the commands on a running service end, in codes that scripts can tell apart.

use std::process::ExitCode;

/// The exit codes of all commands on a running service; 0, 1 and 2 mean the same for the other commands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Exit {
    /// Done; for `status`: the state is `ok` or `syncing`.
    Done = 0,
    /// The service refused what was asked, or could not do it.
    Failed = 1,
    /// Arguments or settings cannot be used: a person has to correct them.
    NeedsAPerson = 2,
    /// No service runs at the address: the connection was refused.
    NotRunning = 3,
    /// The service cannot be reached, or what answers there does not answer as this service does.
    Unreachable = 4,
    /// Only of `status` and `connectivity`: the service runs, but its state is neither `ok` nor `syncing`, or the Client
    /// System is not known to be reachable; and of `diagnose`: something is wrong.
    NotWell = 5,
}

impl Exit {
    const ALL: [Self; 6] = [
        Self::Done,
        Self::Failed,
        Self::NeedsAPerson,
        Self::NotRunning,
        Self::Unreachable,
        Self::NotWell,
    ];

    fn meaning(self) -> &'static str {
        match self {
            Self::Done => "done; for `status`: the state is ok or syncing",
            Self::Failed => "the service refused what was asked, or could not do it",
            Self::NeedsAPerson => "wrong arguments or settings",
            Self::NotRunning => "no service runs at the address (the connection was refused)",
            Self::Unreachable => {
                "the service cannot be reached (name not found, no answer in time), or what answers is not this service"
            }
            Self::NotWell => {
                "only `status` and `connectivity`: the service runs, but its state is not ok or syncing, or the Client System is not known to be reachable; `diagnose`: something is wrong"
            }
        }
    }

    /// All codes with their meanings, for the end of a help text.
    pub(super) fn help() -> String {
        let lines = Self::ALL.map(|exit| format!("\n  {}  {}", exit as u8, exit.meaning()));
        format!("Exit codes:{}", lines.concat())
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_codes_are_a_contract_with_scripts() {
        assert_eq!(Exit::ALL.map(|exit| exit as u8), [0, 1, 2, 3, 4, 5]);
        let help = Exit::help();
        for exit in Exit::ALL {
            assert!(help.contains(&format!("\n  {}  ", exit as u8)), "{help}");
        }
    }

    #[test]
    fn the_readme_lists_the_same_codes() {
        let readme = include_str!("../../README.md");
        for exit in Exit::ALL {
            let row = format!("\n| {} | {} |\n", exit as u8, exit.meaning());
            assert!(readme.contains(&row), "{row}");
        }
    }
}
