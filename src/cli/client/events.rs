//! `events`: what happens in the service, a line each, until interrupted.

use std::{path::PathBuf, time::Duration};

use clap::Args;
use futures_util::{Stream, StreamExt};

use super::{
    Asking,
    event_stream::{EventStream, Frame},
    failure::Failure,
    output::{Audience, departure, note, print},
    service::Service,
    signals,
    text::{counted, one_line, word},
};
use crate::{
    cli::exit::Exit,
    domain::{
        connectivity::LinkChange,
        event::{Event, EventKind},
    },
};

const PATH: &str = "/api/v1/events";
/// The service gives a sign of life every 15 s.
const LONGEST_SILENCE: Duration = Duration::from_secs(60);
/// The second name of a change of the link, which is told under its own one already.
const TOLD_ALREADY: &str = "state-change";

#[derive(Debug, Args)]
pub(in crate::cli) struct EventsArguments {
    #[command(flatten)]
    asking: Asking,
}

/// Follows until a signal or nobody reads any more, which both are good ends.
pub(super) async fn run(
    arguments: &EventsArguments,
    config_file: Option<PathBuf>,
) -> Result<Exit, Failure> {
    let interrupted = signals::interruption()?;
    let service = arguments.asking.connect(config_file)?;
    tokio::select! {
        ended = follow(&service) => ended.map(|()| Exit::Done),
        () = interrupted => Ok(Exit::Done),
    }
}

async fn follow(service: &Service) -> Result<(), Failure> {
    let mut pieces = service.listen(PATH, "text/event-stream").await?;
    note(&format!(
        "following the events at {}; Ctrl-C ends it",
        service.url()
    ));
    let mut events = EventStream::default();
    loop {
        let piece = tokio::select! {
            piece = next(service, &mut pieces) => piece?,
            () = departure() => return Ok(()),
        };
        let frames = events.take(&piece).map_err(|_| {
            service.stranger("an event is larger than any of this service".to_owned())
        })?;
        for frame in frames.iter().filter(|frame| frame.name != TOLD_ALREADY) {
            let line = if service.prints_json() {
                one_line(&frame.data)
            } else {
                line(frame)
            };
            if print(&format!("{line}\n"))? == Audience::HasLeft {
                return Ok(());
            }
        }
    }
}

/// The next piece. That there are no more is a failure: nobody would be told of what happens from now on.
async fn next<P, E>(
    service: &Service,
    pieces: &mut (impl Stream<Item = Result<P, E>> + Unpin),
) -> Result<P, Failure> {
    let why = match tokio::time::timeout(LONGEST_SILENCE, pieces.next()).await {
        Ok(Some(Ok(piece))) => return Ok(piece),
        Ok(_) => "it has ended the stream of events, as it does when it is stopped".to_owned(),
        Err(_) => format!("there was no sign of life among the events for {LONGEST_SILENCE:?}"),
    };
    Err(Failure::Ended {
        url: service.url().clone(),
        why,
    })
}

/// Time, name and what there is to tell; what is not understood, as it came.
fn line(frame: &Frame) -> String {
    match serde_json::from_str::<Event>(&frame.data) {
        Ok(event) => format!(
            "{}  {:15}  {}",
            event.at,
            one_line(&frame.name),
            one_line(&told(&event.kind))
        ),
        Err(_) => format!("{}  {}", one_line(&frame.name), one_line(&frame.data)),
    }
}

/// An event in words.
pub(super) fn told(event: &EventKind) -> String {
    match event {
        EventKind::Link {
            change: LinkChange::Connected,
            reason,
        } => match reason {
            Some(trouble) => format!("the Client System answers, but {trouble}"),
            None => "the Client System can be reached".to_owned(),
        },
        EventKind::Link { reason, .. } => format!(
            "the Client System cannot be reached: {}",
            reason.as_deref().unwrap_or("no reason known")
        ),
        EventKind::PassStarted { id, trigger } => format!("pass {id} ({})", word(trigger)),
        EventKind::PassFinished(report) => format!(
            "pass {}: {}; {} delivered, {} quarantined, {} given up",
            report.id,
            report.end.describe(),
            counted(report.delivered, "reading", "readings"),
            report.quarantined,
            report.failed,
        ),
        EventKind::ActorRestarted { actor, failure } => {
            format!("the {actor} was restarted: {failure}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_event_is_a_line() {
        let at = r#""at":"2026-01-01T00:00:00.000Z""#;
        let report = r#""id":7,"trigger":"manual","started_at":"2026-01-01T00:00:00.000Z",
            "finished_at":"2026-01-01T00:00:01.000Z","delivered":1,"quarantined":2,"failed":0,"requests":3,
            "end":{"kind":"drained"}"#;
        for (name, data, expected) in [
            (
                "connected",
                format!(r#"{{{at},"event":"link","change":"connected","reason":null}}"#),
                "2026-01-01T00:00:00.000Z  connected        the Client System can be reached",
            ),
            (
                "connected",
                format!(
                    r#"{{{at},"event":"link","change":"connected","reason":"its health check says 503"}}"#
                ),
                "2026-01-01T00:00:00.000Z  connected        the Client System answers, but its health check says 503",
            ),
            (
                "disconnected",
                format!(r#"{{{at},"event":"link","change":"disconnected","reason":"no\nroute"}}"#),
                "2026-01-01T00:00:00.000Z  disconnected     the Client System cannot be reached: no route",
            ),
            (
                "pass-started",
                format!(r#"{{{at},"event":"pass_started","id":7,"trigger":"fresh_readings"}}"#),
                "2026-01-01T00:00:00.000Z  pass-started     pass 7 (fresh_readings)",
            ),
            (
                "pass-finished",
                format!(r#"{{{at},"event":"pass_finished",{report}}}"#),
                "2026-01-01T00:00:00.000Z  pass-finished    pass 7: the queue was uploaded; 1 reading delivered, 2 quarantined, 0 given up",
            ),
            (
                "actor-restarted",
                format!(
                    r#"{{{at},"event":"actor_restarted","actor":"heartbeat","failure":"panicked"}}"#
                ),
                "2026-01-01T00:00:00.000Z  actor-restarted  the heartbeat was restarted: panicked",
            ),
            (
                "missed",
                r#"{"missed":3}"#.to_owned(),
                r#"missed  {"missed":3}"#,
            ),
        ] {
            let frame = Frame {
                name: name.to_owned(),
                data,
            };
            assert_eq!(line(&frame), expected);
        }
    }
}
