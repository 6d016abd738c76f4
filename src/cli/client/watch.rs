//! `status --watch`: the status again and again, until interrupted.

use std::{
    io::{self, IsTerminal},
    time::Duration,
};

use super::{
    failure::Failure,
    output::{Audience, audience, print},
    service::{Answer, Service},
    signals,
    status::{exit_of, headline, page},
};
use crate::{
    cli::exit::Exit,
    clock::Clock,
    domain::{status::ServiceStatus, timestamp::Timestamp},
};

/// The status is cheap enough to be asked for every second.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Clears a terminal and begins at its top.
const CLEAR: &str = "\x1b[2J\x1b[H";

/// What a look at the service brought.
type Look = Result<Answer<ServiceStatus>, Failure>;

/// Goes on until interrupted or nobody reads any more, also while the service is away; ends as the last look says. A
/// service that does not answer at first is a failure.
pub(super) async fn run(service: &Service) -> Result<Exit, Failure> {
    let interrupted = signals::interruption()?;
    let mut look = Ok(service.status().await?);
    let mut screen = Screen::on_stdout(service.prints_json());
    let clock = Clock::system();
    tokio::pin!(interrupted);
    loop {
        let shown = screen.show(&look, clock.now().into())?;
        if shown == Audience::HasLeft || audience() == Audience::HasLeft {
            break;
        }
        tokio::select! {
            () = clock.sleep(LOOK_EVERY) => {}
            () = &mut interrupted => break,
        }
        look = tokio::select! {
            look = service.status() => look,
            () = &mut interrupted => break,
        };
    }
    Ok(exit_of_look(&look))
}

fn exit_of_look(look: &Look) -> Exit {
    match look {
        Ok(status) => exit_of(status.content.state),
        Err(failure) => failure.exit(),
    }
}

/// Where looks are shown.
struct Screen {
    form: Form,
    /// The last line, without its time.
    shown: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    /// A terminal, redrawn with every look.
    Page,
    /// A line for every change.
    Lines,
    /// A document for every change.
    Documents,
}

impl Screen {
    fn on_stdout(json: bool) -> Self {
        Self::new(match (json, io::stdout().is_terminal()) {
            (true, _) => Form::Documents,
            (false, true) => Form::Page,
            (false, false) => Form::Lines,
        })
    }

    fn new(form: Form) -> Self {
        Self { form, shown: None }
    }

    fn show(&mut self, look: &Look, now: Timestamp) -> Result<Audience, Failure> {
        match self.next(look, now) {
            Some(text) => print(&text),
            None => Ok(Audience::Reads),
        }
    }

    /// What is to be printed for this look; none where nothing has changed.
    fn next(&mut self, look: &Look, now: Timestamp) -> Option<String> {
        let line = match look {
            Ok(status) => headline(&status.content),
            Err(failure) => failure.to_string(),
        };
        if self.form == Form::Page {
            return Some(match look {
                Ok(status) => format!(
                    "{CLEAR}{}\nas of {now}; Ctrl-C ends it\n",
                    page(&status.content)
                ),
                Err(_) => format!(
                    "{CLEAR}{line}\n\nas of {now}; asked again every second, Ctrl-C ends it\n"
                ),
            });
        }
        if self.shown.as_ref() == Some(&line) {
            return None;
        }
        let text = match (self.form, look) {
            // A service that is away has no document to show.
            (Form::Documents, Err(_)) => None,
            (Form::Documents, Ok(status)) => Some(format!("{}\n", status.document)),
            _ => Some(format!("{now}  {line}\n")),
        };
        self.shown = Some(line);
        text
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::{super::status::tests::status, *};

    const NOW: Timestamp = Timestamp(DateTime::UNIX_EPOCH);

    fn look(state: &str) -> Look {
        Ok(Answer {
            content: status(state),
            document: format!("{{\"state\":\"{state}\"}}"),
        })
    }

    fn away() -> Look {
        Err(Failure::NotRunning(
            "http://127.0.0.1:3002".parse().expect("an address"),
        ))
    }

    #[test]
    fn a_line_tells_a_change_and_only_that() {
        let mut screen = Screen::new(Form::Lines);
        assert_eq!(
            screen.next(&look("ok"), NOW).as_deref(),
            Some("1970-01-01T00:00:00.000Z  ok: All is told in a sentence.\n")
        );
        assert_eq!(screen.next(&look("ok"), NOW), None);
        assert!(
            screen
                .next(&away(), NOW)
                .is_some_and(|line| line.contains("no service runs"))
        );
        assert_eq!(screen.next(&away(), NOW), None);
        assert!(screen.next(&look("ok"), NOW).is_some());
        assert_eq!(exit_of_look(&away()) as u8, 3);
    }

    #[test]
    fn documents_come_as_the_service_sent_them() {
        let mut screen = Screen::new(Form::Documents);
        assert_eq!(
            screen.next(&look("ok"), NOW).as_deref(),
            Some("{\"state\":\"ok\"}\n")
        );
        assert_eq!(screen.next(&away(), NOW), None);
        assert_eq!(
            screen.next(&look("stopped"), NOW).as_deref(),
            Some("{\"state\":\"stopped\"}\n")
        );
    }

    #[test]
    fn a_terminal_is_redrawn_with_every_look() {
        let mut screen = Screen::new(Form::Page);
        for _ in 0..2 {
            let text = screen.next(&look("ok"), NOW).expect("a page");
            assert!(text.starts_with("\x1b[2J\x1b[Hok: All is told"), "{text}");
        }
    }
}
