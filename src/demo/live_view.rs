//! The demonstration's view in the terminal: redrawn in place where there is a terminal, plain lines where
//! there is none.

use std::{
    io::{self, IsTerminal, Write},
    time::Duration,
};

use crate::domain::words::count;

const WIDTH: usize = 78;
const BAR_WIDTH: usize = 40;
const EVENTS_SHOWN: usize = 6;
/// Time between two plain lines.
const LINE_EVERY: Duration = Duration::from_secs(3);

/// What there is to see.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct View {
    /// Time since the demonstration began.
    pub elapsed: Duration,
    /// The service's state, as `/status` names it.
    pub state: String,
    /// The service's reason for it, in a sentence; may be empty.
    pub reason: String,
    /// Whether the service takes the Client System for reachable.
    pub is_connected: bool,
    /// Readings that wait in the Sync Database.
    pub queue: u64,
    /// The largest queue of the backlog that is being drained; 0 when there is none.
    pub backlog: u64,
    /// Readings written by the meters so far.
    pub written: u64,
    /// Different readings that reached the Client System.
    pub delivered: u64,
    /// Readings that it stored more than once, repetitions under the same key left out.
    pub duplicates: u64,
    /// Readings delivered per second, lately.
    pub rate_per_second: f64,
    /// All events so far, the oldest first.
    pub events: Vec<Event>,
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Time since the demonstration began.
    pub at: Duration,
    /// What happened, in a few words.
    pub text: String,
}

/// The whole view: lines of at most 78 characters, each ended by a newline, without escape sequences.
pub fn render(view: &View) -> String {
    let mut lines = vec![
        format!(
            "meterit-sync demonstration {:>width$}",
            time(view.elapsed),
            width = WIDTH - 27
        ),
        String::new(),
    ];
    lines.extend(state_lines(view));
    lines.extend([
        format!(
            "  link       {}",
            if view.is_connected {
                "connected"
            } else {
                "no connection"
            }
        ),
        format!("  written    {:>13}", count(view.written)),
        format!(
            "  delivered  {:>13}   {}/s",
            count(view.delivered),
            count(view.rate_per_second.max(0.0) as u64)
        ),
        format!("  in queue   {:>13}", count(view.queue)),
        format!("  duplicates {:>13}", count(view.duplicates)),
        String::new(),
        progress(view).unwrap_or_default(),
        String::new(),
    ]);
    let first_shown = view.events.len().saturating_sub(EVENTS_SHOWN);
    lines.extend(view.events[first_shown..].iter().map(event_line));
    lines.iter().map(|line| shortened(line) + "\n").collect()
}

/// The view in one line, for logs and pipes.
pub fn render_line(view: &View) -> String {
    let rate = count(view.rate_per_second.max(0.0) as u64);
    let [queue, delivered] = [view.queue, view.delivered].map(count);
    format!(
        "{}  {}: {queue} in queue, {delivered} delivered, {rate}/s\n",
        time(view.elapsed),
        view.state
    )
}

fn state(view: &View) -> String {
    if view.reason.is_empty() {
        view.state.clone()
    } else {
        format!("{}: {}", view.state, view.reason)
    }
}

/// The state over as many lines as its words need, within reason.
fn state_lines(view: &View) -> Vec<String> {
    const LABEL: &str = "  state      ";
    const MOST: usize = 4;
    let mut lines = vec![LABEL.to_owned()];
    for word in state(view).split_whitespace() {
        let last = lines.len() - 1;
        let is_new = lines[last].len() == LABEL.len();
        if !is_new
            && lines[last].chars().count() + 1 + word.chars().count() > WIDTH
            && lines.len() < MOST
        {
            lines.push(format!("{:width$}{word}", "", width = LABEL.len()));
        } else {
            let space = if is_new { "" } else { " " };
            lines[last].push_str(&format!("{space}{word}"));
        }
    }
    lines
}

/// The bar of a backlog that drains; `None` when there is nothing to drain.
fn progress(view: &View) -> Option<String> {
    if view.queue == 0 || view.backlog == 0 {
        return None;
    }
    let done = view.backlog.saturating_sub(view.queue);
    let share = done as f64 / view.backlog as f64;
    let filled = (share * BAR_WIDTH as f64) as usize;
    let bar = "█".repeat(filled) + &"░".repeat(BAR_WIDTH - filled);
    let percent = (share * 100.0) as u64;
    let left = if view.rate_per_second >= 1.0 {
        let seconds = view.queue as f64 / view.rate_per_second;
        format!(
            ", {} left",
            time(Duration::try_from_secs_f64(seconds.ceil()).unwrap_or(Duration::MAX))
        )
    } else {
        String::new()
    };
    Some(format!("  {bar} {percent:>3} %{left}"))
}

fn event_line(event: &Event) -> String {
    format!("  {}  {}", time(event.at), event.text)
}

/// `m:ss`, with as many digits for the minutes as they need.
fn time(duration: Duration) -> String {
    format!("{}:{:02}", duration.as_secs() / 60, duration.as_secs() % 60)
}

/// A line that would wrap breaks the redrawing, which counts lines.
fn shortened(line: &str) -> String {
    if line.chars().count() <= WIDTH {
        return line.trim_end().to_owned();
    }
    line.chars().take(WIDTH - 1).chain(['…']).collect()
}

/// Shows views one after the other.
#[derive(Debug)]
pub struct LiveView<W> {
    output: W,
    is_terminal: bool,
    lines_drawn: usize,
    events_printed: usize,
    last_line_at: Option<Duration>,
}

impl LiveView<io::Stdout> {
    /// On standard output, redrawn if that is a terminal.
    pub fn on_stdout() -> Self {
        let output = io::stdout();
        let is_terminal = output.is_terminal();
        Self::new(output, is_terminal)
    }
}

impl<W: Write> LiveView<W> {
    /// On any output.
    pub fn new(output: W, is_terminal: bool) -> Self {
        Self {
            output,
            is_terminal,
            lines_drawn: 0,
            events_printed: 0,
            last_line_at: None,
        }
    }

    /// Shows this view: redraws, or prints what is new. Call it several times a second.
    ///
    /// # Errors
    /// The output is gone.
    pub fn show(&mut self, view: &View) -> io::Result<()> {
        if self.is_terminal {
            self.redraw(view)
        } else {
            self.print_news(view)
        }
    }

    fn redraw(&mut self, view: &View) -> io::Result<()> {
        let text = render(view);
        if self.lines_drawn > 0 {
            write!(self.output, "\x1b[{}A\r", self.lines_drawn)?;
        }
        write!(self.output, "\x1b[J{text}")?;
        self.lines_drawn = text.lines().count();
        self.output.flush()
    }

    fn print_news(&mut self, view: &View) -> io::Result<()> {
        for event in view.events.get(self.events_printed..).unwrap_or_default() {
            writeln!(self.output, "{}", event_line(event).trim_start())?;
        }
        self.events_printed = view.events.len();
        let is_due = self
            .last_line_at
            .is_none_or(|last| view.elapsed.saturating_sub(last) >= LINE_EVERY);
        if is_due {
            self.last_line_at = Some(view.elapsed);
            self.output.write_all(render_line(view).as_bytes())?;
        }
        self.output.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draining() -> View {
        let event = |second, text: &str| Event {
            at: Duration::from_secs(second),
            text: text.to_owned(),
        };
        View {
            elapsed: Duration::from_secs(65),
            state: "syncing".to_owned(),
            reason: "uploading the backlog".to_owned(),
            is_connected: true,
            queue: 250_000,
            backlog: 1_000_000,
            written: 1_000_000,
            delivered: 750_000,
            duplicates: 0,
            rate_per_second: 25_000.0,
            events: vec![event(0, "started"), event(20, "the client system is back")],
        }
    }

    #[test]
    fn a_draining_backlog_shows_its_progress() {
        let text = render(&draining());
        assert!(text.contains("syncing: uploading the backlog"), "{text}");
        assert!(text.contains("750,000   25,000/s"), "{text}");
        assert!(
            text.contains(&format!(
                "{}{}  75 %, 0:10 left",
                "█".repeat(30),
                "░".repeat(10)
            )),
            "{text}"
        );
        assert!(
            text.ends_with("  0:00  started\n  0:20  the client system is back\n"),
            "{text}"
        );
        assert!(
            text.lines()
                .next()
                .is_some_and(|line| line.ends_with("1:05")),
            "{text}"
        );
    }

    #[test]
    fn a_long_reason_goes_on_in_the_next_line() {
        let view = View {
            reason: "the words go on ".repeat(8),
            ..draining()
        };
        let lines = state_lines(&view);
        assert_eq!(lines.len(), 3, "{lines:?}");
        assert!(lines[0].starts_with("  state      syncing: the words"));
        assert!(lines[1].starts_with("             ") && lines[2].ends_with("go on"));
    }

    #[test]
    fn an_empty_queue_has_no_bar_and_a_stalled_one_no_guess() {
        assert_eq!(
            progress(&View {
                queue: 0,
                ..draining()
            }),
            None
        );
        let stalled = progress(&View {
            rate_per_second: 0.0,
            ..draining()
        });
        assert!(stalled.is_some_and(|bar| bar.ends_with("75 %")));
        // A queue that has grown past the backlog is at its beginning.
        let grown = progress(&View {
            queue: 2_000_000,
            ..draining()
        });
        assert!(grown.is_some_and(|bar| bar.contains("  0 %")));
    }

    #[test]
    fn no_line_can_wrap_and_only_the_last_events_are_shown() {
        let event = |second| Event {
            at: Duration::from_secs(second),
            text: format!("event {second}"),
        };
        let view = View {
            reason: "a long story ".repeat(20),
            events: (0..9).map(event).collect(),
            ..draining()
        };
        let text = render(&view);
        assert!(
            text.lines().all(|line| line.chars().count() <= WIDTH),
            "{text}"
        );
        assert!(
            !text.contains("event 2") && text.contains("event 3"),
            "{text}"
        );
    }

    #[test]
    fn a_terminal_is_redrawn_over_the_lines_before() {
        let mut live = LiveView::new(Vec::new(), true);
        live.show(&draining()).expect("memory can be written");
        live.show(&draining()).expect("memory can be written");
        let text = String::from_utf8(live.output).expect("the view is text");
        let lines = render(&draining()).lines().count();
        assert_eq!(text.matches(&format!("\x1b[{lines}A\r\x1b[J")).count(), 1);
    }

    #[test]
    fn without_a_terminal_each_event_is_printed_once_and_lines_are_rare() {
        let mut live = LiveView::new(Vec::new(), false);
        for second in 65..70 {
            let view = View {
                elapsed: Duration::from_secs(second),
                ..draining()
            };
            live.show(&view).expect("memory can be written");
        }
        let text = String::from_utf8(live.output).expect("the view is text");
        let expected = "0:00  started\n0:20  the client system is back\n\
            1:05  syncing: 250,000 in queue, 750,000 delivered, 25,000/s\n\
            1:08  syncing: 250,000 in queue, 750,000 delivered, 25,000/s\n";
        assert_eq!(text, expected);
    }
}
