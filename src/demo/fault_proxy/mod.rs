//! A TCP proxy between the service and the Client System that harms exchanges by plan: it cuts, delays,
//! throttles, truncates, resets and garbles, before, within and after the request and its answer.

mod cut;
mod message;
mod relay;

#[cfg(test)]
mod tests;

use std::{
    io,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::{
    net::{TcpListener, TcpStream},
    sync::{mpsc, oneshot, watch},
    task::JoinHandle,
};

pub use self::cut::{Cut, Harm, Stage, Target};
use self::{message::Message, relay::Relay};
use super::reserved_port::ReservedPort;
use crate::clock::Clock;

/// A running proxy; ends when dropped.
#[derive(Debug)]
pub struct FaultProxy {
    port: u16,
    script: Arc<Script>,
    refusals: mpsc::UnboundedSender<oneshot::Sender<()>>,
    task: JoinHandle<()>,
}

/// The cut that waits for its exchange.
#[derive(Debug)]
struct Script {
    clock: Clock,
    armed: Mutex<Option<(Cut, oneshot::Sender<()>)>>,
    /// Closes connections as soon as nothing goes on there.
    idle_end: watch::Sender<()>,
}

impl FaultProxy {
    /// Listens on a free port of the loopback address, for a server on its port `target`. Has to be called on a
    /// tokio runtime, which then drives it.
    ///
    /// # Errors
    /// When no port is to be had.
    pub fn start(target: u16, clock: Clock) -> io::Result<Self> {
        let port = ReservedPort::new(0)?;
        let number = port.port();
        let script = Arc::new(Script {
            clock,
            armed: Mutex::default(),
            idle_end: watch::Sender::new(()),
        });
        let (refusals, wishes) = mpsc::unbounded_channel();
        let listener = listen(&port)?;
        let serving = serve(port, listener, target, Arc::clone(&script), wishes);
        Ok(Self {
            port: number,
            script,
            refusals,
            task: tokio::spawn(serving),
        })
    }

    /// Where clients connect.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Plans a cut, in the place of one that still waits. The receiver hears when it is made.
    pub fn arm(&self, cut: Cut) -> oneshot::Receiver<()> {
        let (made, hears) = oneshot::channel();
        if cut.harm == Harm::Refuse {
            // The proxy lives as long as this handle.
            let _ = self.refusals.send(made);
        } else {
            *self.script.armed() = Some((cut, made));
        }
        if cut.stage == Stage::Connection {
            self.close_idle_connections();
        }
        hears
    }

    /// Closes all connections on which nothing goes on; new ones are taken as before.
    pub fn close_idle_connections(&self) {
        self.script.idle_end.send_replace(());
    }

    /// Takes back a cut that still waits.
    pub fn disarm(&self) {
        self.script.armed().take();
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        self.task.abort();
        self.script.idle_end.send_replace(());
    }
}

impl Script {
    fn armed(&self) -> std::sync::MutexGuard<'_, Option<(Cut, oneshot::Sender<()>)>> {
        self.armed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take_for_connection(&self) -> Option<Cut> {
        self.take_if(|cut| cut.stage == Stage::Connection)
    }

    fn take_for(&self, request: &Message) -> Option<Cut> {
        self.take_if(|cut| {
            cut.stage != Stage::Connection && (cut.target == Target::Any || request.is_upload())
        })
    }

    fn take_if(&self, is_meant: impl FnOnce(&Cut) -> bool) -> Option<Cut> {
        let mut armed = self.armed();
        let (cut, made) = armed.take_if(|(cut, _)| is_meant(cut))?;
        // Who planned it may have gone on.
        let _ = made.send(());
        Some(cut)
    }
}

fn listen(port: &ReservedPort) -> io::Result<TcpListener> {
    let listener = port.listen()?;
    listener.set_nonblocking(true)?;
    TcpListener::from_std(listener)
}

async fn serve(
    port: ReservedPort,
    listener: TcpListener,
    target: u16,
    script: Arc<Script>,
    mut refusals: mpsc::UnboundedReceiver<oneshot::Sender<()>>,
) {
    let mut listener = Some(listener);
    loop {
        let Some(open) = &listener else {
            match listen(&port) {
                Ok(opened) => listener = Some(opened),
                Err(_) => script.clock.sleep(Cut::DELAY).await,
            }
            continue;
        };
        tokio::select! {
            accepted = open.accept() => match accepted {
                Ok((client, _)) => relay(client, target, &script),
                // Out of descriptors, or the client has gone already: neither is ours to mend.
                Err(_) => script.clock.sleep(Cut::DELAY).await,
            },
            refusal = refusals.recv() => {
                listener = None;
                script.clock.sleep(Cut::REFUSAL).await;
                if let Some(made) = refusal {
                    // As above.
                    let _ = made.send(());
                }
            }
        }
    }
}

fn relay(client: TcpStream, target: u16, script: &Arc<Script>) {
    let cut = script.take_for_connection();
    let relay = Relay::run(client, target, Arc::clone(script), cut);
    tokio::spawn(async move {
        // That a connection breaks is what the proxy is for.
        let _ = relay.await;
    });
}
