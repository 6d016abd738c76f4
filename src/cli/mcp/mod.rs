//! `mcp`: assistants that speak over standard input and output, relayed to the running service over HTTP.
//!
//! One message of the protocol per line in, one per line out, and nothing else on standard output. Nothing is known
//! here of what the messages mean beyond what their HTTP headers have to say, so that the service alone decides.

mod envelope;
mod events;
mod relay;

use std::{
    io::{self, BufRead, Write},
    path::PathBuf,
    process::ExitCode,
    rc::Rc,
    thread::JoinHandle,
};

use clap::Args;
use tokio::{
    sync::mpsc::{Receiver, Sender, channel},
    task::JoinSet,
};

use self::{envelope::Envelope, relay::Relay};
use super::client::{Destination, ServiceAddress};

/// Lines that wait to be sent or printed; whoever makes more has to wait.
const LINES_IN_HAND: usize = 64;

/// Stands for a line that is no text, and is refused as no JSON.
const NO_TEXT: &str = "\u{fffd}";

#[derive(Debug, Args)]
pub(super) struct McpArguments {
    #[command(flatten)]
    address: ServiceAddress,
}

/// Relays until standard input ends and everything is answered, or nobody reads the answers any more.
pub(super) fn execute(arguments: &McpArguments, config_file: Option<PathBuf>) -> ExitCode {
    match arguments.address.resolve(config_file) {
        Ok(destination) => {
            actix::System::new().block_on(serve(destination));
            ExitCode::SUCCESS
        }
        Err(failure) => {
            eprintln!("meterit-sync: {failure}");
            failure.exit().into()
        }
    }
}

async fn serve(destination: Destination) {
    let mut lines = lines_of_stdin();
    let (out, printer) = printed_to_stdout();
    let relay = Rc::new(Relay::new(destination, out.clone()));
    let mut exchanges = JoinSet::new();
    loop {
        tokio::select! {
            line = lines.recv() => match line {
                Some(line) => take(&relay, line, &mut exchanges).await,
                None => break,
            },
            Some(_) = exchanges.join_next() => {}
            () = out.closed() => return,
        }
    }
    while exchanges.join_next().await.is_some() {}
    drop((relay, out));
    // The thread ends with the last line; that it panicked would have been told by itself.
    let _ = printer.join();
}

async fn take(relay: &Rc<Relay>, line: String, exchanges: &mut JoinSet<()>) {
    if line.trim().is_empty() {
        return;
    }
    match Envelope::parse(&line) {
        Ok(Envelope::Cancellation { id }) => relay.give_up(&id),
        Ok(envelope) => {
            let key = envelope.key();
            let exchange = Rc::clone(relay).exchange(envelope, line);
            let handle = exchanges.spawn_local(exchange);
            if let Some(key) = key {
                relay.note(key, handle);
            }
        }
        Err(error) => relay.answer_unreadable(&error).await,
    }
}

/// Ends with standard input, or with the process: reading a terminal or a pipe cannot be interrupted.
fn lines_of_stdin() -> Receiver<String> {
    let (sender, lines) = channel(LINES_IN_HAND);
    std::thread::spawn(move || {
        for line in io::stdin().lock().split(b'\n').map_while(Result::ok) {
            let line = String::from_utf8(line).unwrap_or_else(|_| NO_TEXT.to_owned());
            if sender.blocking_send(line).is_err() {
                break;
            }
        }
    });
    lines
}

/// A client that does not read would block whoever prints, hence a thread of its own.
fn printed_to_stdout() -> (Sender<String>, JoinHandle<()>) {
    let (sender, mut lines) = channel::<String>(LINES_IN_HAND);
    let printer = std::thread::spawn(move || {
        let mut out = io::stdout().lock();
        while let Some(line) = lines.blocking_recv() {
            let printed = out
                .write_all(line.as_bytes())
                .and_then(|()| out.write_all(b"\n"))
                .and_then(|()| out.flush());
            if printed.is_err() {
                break;
            }
        }
    });
    (sender, printer)
}
