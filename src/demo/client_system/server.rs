//! The listening side: it comes up, really goes away during an outage, and comes back on the same port.

use std::{
    any::Any,
    io,
    net::TcpListener,
    sync::{Arc, mpsc::Sender},
    time::Duration,
};

use actix_web::{
    App, HttpServer,
    dev::{Extensions, ServerHandle},
    rt::net::TcpStream,
    web,
};
use tokio::sync::mpsc;

use super::{connection::Connection, control, exchange::handle, state::Shared};
use crate::demo::reserved_port::ReservedPort;

/// What a handle asks of the listening side; `done` hears when it has happened.
#[derive(Debug)]
pub(super) enum Command {
    /// Refuse connections, for this long or until further notice.
    Down {
        duration: Option<Duration>,
        done: Option<Sender<()>>,
    },
    /// Listen again.
    Up { done: Option<Sender<()>> },
    /// Leave for good.
    Stop,
}

/// The listening side of one simulator.
pub(super) struct Listening {
    pub shared: Arc<Shared>,
    pub port: ReservedPort,
    pub keep_alive: Duration,
    /// A second port for the control API alone, which answers through an outage.
    pub control: Option<TcpListener>,
}

impl Listening {
    /// Serves until told to stop; `started` hears once whether the port could be opened.
    pub async fn run(
        mut self,
        mut commands: mpsc::UnboundedReceiver<Command>,
        started: Sender<io::Result<()>>,
    ) {
        let (mut serving, control) = match self
            .start()
            .and_then(|server| Ok((Some(server), self.start_control()?)))
        {
            Ok(servers) => servers,
            Err(error) => {
                // Whoever started us has gone if this fails; there is nothing left to serve.
                let _ = started.send(Err(error));
                return;
            }
        };
        let _ = started.send(Ok(()));
        let mut back_at = None;
        loop {
            let (command, done) = match self.next_command(&mut commands, back_at).await {
                Command::Down { duration, done } => {
                    back_at = duration.map(|duration| self.shared.clock.elapsed() + duration);
                    (false, done)
                }
                Command::Up { done } => {
                    back_at = None;
                    (true, done)
                }
                Command::Stop => break,
            };
            self.bring(&mut serving, command).await;
            if let Some(done) = done {
                // The one who asked may have stopped waiting.
                let _ = done.send(());
            }
        }
        self.bring(&mut serving, false).await;
        if let Some(control) = control {
            control.stop(false).await;
        }
    }

    async fn next_command(
        &self,
        commands: &mut mpsc::UnboundedReceiver<Command>,
        back_at: Option<Duration>,
    ) -> Command {
        let outage_ends = async {
            match back_at {
                Some(back_at) => {
                    self.shared
                        .clock
                        .sleep(back_at.saturating_sub(self.shared.clock.elapsed()))
                        .await
                }
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            command = commands.recv() => command.unwrap_or(Command::Stop),
            () = outage_ends => Command::Up { done: None },
        }
    }

    async fn bring(&self, serving: &mut Option<ServerHandle>, up: bool) {
        if let Some(server) = serving.take_if(|_| !up) {
            server.stop(false).await;
            self.shared.connections.cut();
            tracing::info!(port = self.port.port(), "the client system is down");
        }
        if up && serving.is_none() {
            match self.start() {
                Ok(server) => *serving = Some(server),
                Err(error) => tracing::error!(%error, "the client system cannot listen again"),
            }
        }
    }

    fn start(&self) -> io::Result<ServerHandle> {
        let shared = Arc::clone(&self.shared);
        let connections = Arc::clone(&self.shared);
        let server = HttpServer::new(move || {
            App::new()
                .app_data(web::Data::from(Arc::clone(&shared)))
                .configure(control::routes)
                .default_service(web::to(handle))
        })
        .on_connect(move |socket, data| remember(&connections, socket, data))
        .workers(1)
        .keep_alive(self.keep_alive)
        .client_request_timeout(Duration::from_secs(60))
        .disable_signals()
        .listen(self.port.listen()?)?
        .run();
        let handle = server.handle();
        actix_web::rt::spawn(server);
        Ok(handle)
    }

    fn start_control(&mut self) -> io::Result<Option<ServerHandle>> {
        let Some(listener) = self.control.take() else {
            return Ok(None);
        };
        let shared = Arc::clone(&self.shared);
        let server = HttpServer::new(move || {
            App::new()
                .app_data(web::Data::from(Arc::clone(&shared)))
                .configure(control::routes)
        })
        .workers(1)
        .disable_signals()
        .listen(listener)?
        .run();
        let handle = server.handle();
        actix_web::rt::spawn(server);
        Ok(Some(handle))
    }
}

fn remember(shared: &Shared, socket: &dyn Any, data: &mut Extensions) {
    let Some(socket) = socket.downcast_ref::<TcpStream>() else {
        return;
    };
    match Connection::of(socket) {
        Ok(connection) => {
            let connection = Arc::new(connection);
            shared.connections.add(&connection);
            data.insert(connection);
        }
        Err(error) => {
            tracing::warn!(%error, "no second handle on a connection: it cannot be broken")
        }
    }
}
