//! `quarantine requeue` and `quarantine discard`: one reading, or all that filters choose.

use std::{
    io::{self, IsTerminal, Write},
    path::PathBuf,
};

use clap::Args;
use serde::de::IgnoredAny;

use super::{
    Asking,
    failure::Failure,
    quarantine::{PATH, reasons},
    service::{Request, Service},
    text::{counted, one_line, or_nothing, word},
};
use crate::{
    cli::exit::Exit,
    domain::{
        quarantine::{QuarantineReason, QuarantinedReading},
        store::{Page, QuarantineActionResult},
    },
};

/// Which entries are meant: one, or those that the filters choose, or all.
#[derive(Debug, Args)]
#[group(required = true, multiple = true)]
struct Selection {
    /// The entry's id, as `quarantine list` shows it
    #[arg(conflicts_with_all = ["reason", "meter", "all"])]
    id: Option<i64>,
    /// All that are there for this reason
    #[arg(long, value_parser = reasons())]
    reason: Option<QuarantineReason>,
    /// All of this meter
    #[arg(long)]
    meter: Option<String>,
    /// All that there are
    #[arg(long, conflicts_with_all = ["reason", "meter"])]
    all: bool,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct RequeueArguments {
    #[command(flatten)]
    selection: Selection,
    /// Upload also what the Client System may have already: a second copy does no harm
    #[arg(long)]
    accept_double: bool,
    #[command(flatten)]
    asking: Asking,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct DiscardArguments {
    #[command(flatten)]
    selection: Selection,
    /// Discard without asking
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    asking: Asking,
}

impl Selection {
    /// Adds the filters.
    fn filter(&self, request: Request) -> Request {
        request
            .with_any("reason", self.reason.map(QuarantineReason::as_str))
            .with_any("meter", self.meter.as_deref())
    }

    fn requeueing(&self) -> Request {
        match self.id {
            Some(id) => Request::post(format!("{PATH}/{id}/requeue")),
            None => self
                .filter(Request::post(format!("{PATH}/requeue")))
                .with_any("all", self.all.then_some(true)),
        }
    }

    fn discarding(&self) -> Request {
        match self.id {
            Some(id) => Request::delete(format!("{PATH}/{id}")),
            None => self
                .filter(Request::delete(PATH))
                .with_any("all", self.all.then_some(true)),
        }
    }
}

pub(super) async fn requeue(
    arguments: &RequeueArguments,
    config_file: Option<PathBuf>,
) -> Result<Exit, Failure> {
    let request = arguments
        .selection
        .requeueing()
        .with_any("accept_double", arguments.accept_double.then_some(true))
        .of_database();
    arguments.asking.show(config_file, request, requeued).await
}

pub(super) async fn discard(
    arguments: &DiscardArguments,
    config_file: Option<PathBuf>,
) -> Result<Exit, Failure> {
    let service = arguments.asking.connect(config_file)?;
    if !arguments.yes {
        confirm(&service, &arguments.selection).await?;
    }
    let request = arguments.selection.discarding().of_database();
    service.show(request, discarded).await?;
    Ok(Exit::Done)
}

/// Asks whoever sits at the terminal.
async fn confirm(service: &Service, selection: &Selection) -> Result<(), Failure> {
    if !(io::stdin().is_terminal() && io::stderr().is_terminal()) {
        return Err(Failure::Arguments(
            "nothing was discarded: discarding is for good, and nobody can be asked here; give --yes to go ahead"
                .to_owned(),
        ));
    }
    let meant = meant(service, selection).await?;
    if agreed(&format!(
        "Discard {meant} for good, without uploading? [y/N] "
    ))
    .map_err(|error| {
        Failure::Here(format!(
            "nothing was discarded: no answer could be read ({error})"
        ))
    })? {
        Ok(())
    } else {
        Err(Failure::Here("nothing was discarded".to_owned()))
    }
}

/// What would be discarded, in words.
async fn meant(service: &Service, selection: &Selection) -> Result<String, Failure> {
    if let Some(id) = selection.id {
        let request = Request::get(format!("{PATH}/{id}")).of_database();
        let entry = service.ask::<QuarantinedReading>(request).await?.content;
        return Ok(format!(
            "quarantined reading {id} ({}, {}, {})",
            or_nothing(entry.meter_external_id.as_deref()),
            or_nothing(entry.timestamp.as_deref()),
            word(&entry.reason)
        ));
    }
    let request = selection
        .filter(Request::get(PATH))
        .with("limit", 1)
        .of_database();
    let page = service.ask::<Page<IgnoredAny>>(request).await?.content;
    Ok(counted(
        page.total,
        "quarantined reading",
        "quarantined readings",
    ))
}

fn agreed(question: &str) -> io::Result<bool> {
    let mut terminal = io::stderr();
    terminal.write_all(question.as_bytes())?;
    terminal.flush()?;
    let mut answer = String::new();
    io::stdin().read_line(&mut answer)?;
    Ok(["y", "yes"].contains(&answer.trim().to_ascii_lowercase().as_str()))
}

fn requeued(result: &QuarantineActionResult) -> String {
    let mut text = format!(
        "{} returned to the queue\n",
        counted(result.affected, "reading", "readings")
    );
    if result.possibly_stored > 0 {
        text += &format!(
            "{} left in quarantine, for the Client System may have them already; --accept-double returns them as well\n",
            result.possibly_stored
        );
    }
    if result.unreadable > 0 {
        text += &format!(
            "{} left in quarantine, for they still cannot be sent, the first because {}; correct or discard them\n",
            result.unreadable,
            one_line(result.first_problem.as_deref().unwrap_or_default())
        );
    }
    text
}

fn discarded(result: &QuarantineActionResult) -> String {
    format!(
        "{} discarded\n",
        counted(result.affected, "reading", "readings")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_passed_over_is_told_with_what_to_do() {
        let result = QuarantineActionResult {
            affected: 1,
            possibly_stored: 2,
            unreadable: 3,
            first_problem: Some("column value holds nothing".to_owned()),
        };
        assert_eq!(
            requeued(&result),
            "1 reading returned to the queue\n\
             2 left in quarantine, for the Client System may have them already; --accept-double returns them as well\n\
             3 left in quarantine, for they still cannot be sent, the first because column value holds nothing; correct or discard them\n"
        );
        assert_eq!(discarded(&result), "1 reading discarded\n");
    }
}
