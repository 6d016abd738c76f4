//! Standard output of the commands on a running service. Whoever reads through a pipe may stop when it has seen enough.

use std::{
    io::{self, ErrorKind, Write},
    time::Duration,
};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::failure::Failure;
use crate::clock::Clock;

/// While there is nothing to print, this often is looked whether anybody would read it.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Whether anybody still reads what is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::cli) enum Audience {
    /// As far as can be known.
    Reads,
    /// The pipe's other end was closed: there is nobody to print for any more.
    HasLeft,
}

/// Prints at once.
///
/// # Errors
/// When the text cannot be written for any other reason than that nobody reads it.
pub(in crate::cli) fn print(text: &str) -> Result<Audience, Failure> {
    print_to(&mut io::stdout().lock(), text)
}

fn print_to(output: &mut impl Write, text: &str) -> Result<Audience, Failure> {
    let written = output
        .write_all(text.as_bytes())
        .and_then(|()| output.flush());
    match written {
        Ok(()) => Ok(Audience::Reads),
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(Audience::HasLeft),
        Err(error) => Err(Failure::of_output(&error)),
    }
}

/// Whether anybody reads, without anything being printed.
pub(in crate::cli) fn audience() -> Audience {
    let stdout = io::stdout();
    // A pipe that nobody reads is always told; a terminal or a file has no such end.
    let mut looked_at = [PollFd::new(&stdout, PollFlags::empty())];
    let at_once = Timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    let told = poll(&mut looked_at, Some(&at_once)).is_ok_and(|told| told > 0);
    if told && looked_at[0].revents().contains(PollFlags::ERR) {
        Audience::HasLeft
    } else {
        Audience::Reads
    }
}

/// Waits until nobody reads any more, which may be for ever.
pub(in crate::cli) async fn departure() {
    let clock = Clock::system();
    while audience() == Audience::Reads {
        clock.sleep(LOOK_EVERY).await;
    }
}

/// Prints a line to standard error, where perhaps nobody reads.
pub(in crate::cli) fn note(line: &str) {
    let _ = writeln!(io::stderr(), "meterit-sync: {line}");
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Failing(ErrorKind);

    impl Write for Failing {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(self.0.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn only_a_reader_that_leaves_is_no_failure() {
        let mut printed = Vec::new();
        assert!(matches!(
            print_to(&mut printed, "text\n"),
            Ok(Audience::Reads)
        ));
        assert_eq!(printed, b"text\n");
        let left = print_to(&mut Failing(ErrorKind::BrokenPipe), "text\n");
        assert!(matches!(left, Ok(Audience::HasLeft)));
        let full = print_to(&mut Failing(ErrorKind::StorageFull), "text\n");
        assert!(full.is_err_and(|failure| failure.exit() as u8 == 1));
    }
}
