//! The socket of the local API, and the server behind it: there for as long as anybody is connected, and gone while nobody
//! is, for its timers never rest.

use std::{
    cell::RefCell,
    convert::Infallible,
    io,
    net::{IpAddr, SocketAddr, TcpListener},
    rc::Rc,
    time::Duration,
};

use actix_web::dev::{Server, ServerHandle};
use tokio::net::TcpSocket;
use tracing_actix_web::TracingLogger;

use super::{StartError, file_limits, front_door::FrontDoor, server};
use crate::{
    control::Control,
    http::{self, connections::Connections},
    mcp::Endpoint,
    storage::readable::readable,
    telemetry::metrics::Metrics,
};

/// Connections that wait to be accepted.
const BACKLOG: u32 = 1024;
/// Longer than the usual time between two questions of a collector of metrics, for which the server would come and go each
/// time.
pub const DESERTED: Duration = Duration::from_secs(20);
/// From the acceptance of a connection to its first appearance, on a machine that is short of everything.
const APPEARANCE: Duration = Duration::from_secs(1);

type Start = Box<dyn Fn(TcpListener) -> io::Result<Server>>;

/// A socket that is bound, and what is to be started when somebody knocks.
pub(super) struct Listening {
    socket: TcpListener,
    connections: Connections,
    start: Start,
    /// So long nobody is connected before the server goes.
    deserted: Duration,
    /// Whoever was accepted is known after that.
    appearance: Duration,
    current: CurrentServer,
}

/// The server that is there at the moment, if there is one. All clones are the same.
#[derive(Clone, Default)]
pub(super) struct CurrentServer(Rc<RefCell<Option<ServerHandle>>>);

impl CurrentServer {
    /// Ends it; whether the answers under way may be completed before.
    pub(super) async fn stop(&self, graceful: bool) {
        let handle = self.0.borrow().clone();
        if let Some(handle) = handle {
            handle.stop(graceful).await;
        }
    }
}

impl Listening {
    /// Takes the address of the local API.
    ///
    /// # Errors
    /// When it is not to be had, or there is no certificate to show there.
    pub(super) fn new(
        (host, port): (IpAddr, u16),
        control: &Control,
        metrics: &Metrics,
        door: &FrontDoor,
    ) -> Result<Self, StartError> {
        let connections = Connections::new(file_limits::most_connections());
        Ok(Self {
            socket: bind((host, port).into()).map_err(|cause| StartError::Listen {
                address: format!("{host}:{port}"),
                cause,
            })?,
            start: start(connections.clone(), control, metrics, door)?,
            connections,
            deserted: DESERTED,
            appearance: APPEARANCE,
            current: CurrentServer::default(),
        })
    }

    /// The port that was taken.
    ///
    /// # Errors
    /// When the operating system does not tell.
    pub(super) fn port(&self) -> io::Result<u16> {
        Ok(self.socket.local_addr()?.port())
    }

    /// To end the server that is there, from elsewhere.
    pub(super) fn current(&self) -> CurrentServer {
        self.current.clone()
    }

    /// Serves whoever comes, for ever.
    ///
    /// # Errors
    /// When the socket or the server fails.
    pub(super) async fn serve(self) -> io::Result<Infallible> {
        loop {
            self.knocked().await?;
            let server = (self.start)(self.socket.try_clone()?)?;
            let handle = server.handle();
            self.current.0.replace(Some(handle.clone()));
            let mut serving = actix::spawn(server);
            tokio::select! {
                served = &mut serving => {
                    served.map_err(io::Error::other)??;
                    return Err(io::Error::other("the server of the local API has ended by itself"));
                }
                left = self.left_alone(&handle) => left?,
            }
            // Whoever comes meanwhile waits in the backlog of the socket, which stays.
            handle.stop(true).await;
            self.current.0.replace(None);
        }
    }

    /// Waits until the server has nothing to do, and takes nothing in any more.
    async fn left_alone(&self, server: &ServerHandle) -> io::Result<()> {
        loop {
            self.connections.deserted(self.deserted).await;
            server.pause().await;
            // Who was accepted just before has time to appear; who comes now is not kept waiting.
            tokio::select! {
                knocked = self.knocked() => knocked?,
                () = tokio::time::sleep(self.appearance) => {
                    if self.connections.are_none() {
                        return Ok(());
                    }
                }
            }
            server.resume().await;
        }
    }

    /// Waits for a connection, and leaves it where it is.
    async fn knocked(&self) -> io::Result<()> {
        readable(self.socket.try_clone()?).await
    }
}

fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4(),
        SocketAddr::V6(_) => TcpSocket::new_v6(),
    }?;
    // The next start must not wait for the last connections of this one to be forgotten.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)?.into_std()
}

fn start(
    connections: Connections,
    control: &Control,
    metrics: &Metrics,
    door: &FrontDoor,
) -> Result<Start, StartError> {
    let (control, metrics, access) = (control.clone(), metrics.clone(), door.access.clone());
    let assistants = Endpoint::new(control.clone());
    let certificate = door.certificate.as_ref();
    let encryption = certificate
        .map(|certificate| certificate.server_config())
        .transpose()
        .map_err(|error| StartError::Certificate(error.to_string()))?;
    Ok(Box::new(move |socket| {
        let (control, metrics, access) = (control.clone(), metrics.clone(), access.clone());
        let assistants = assistants.clone();
        server::start(socket, connections.clone(), encryption.clone(), move || {
            actix_web::App::new()
                .wrap(TracingLogger::<http::RequestSpan>::new())
                .configure(http::configure(
                    control.clone(),
                    metrics.clone(),
                    access.clone(),
                    assistants.routes(),
                ))
        })
    }))
}

#[cfg(test)]
mod tests {
    use std::{
        net::Ipv4Addr,
        sync::{
            Arc,
            atomic::{AtomicUsize, Ordering},
        },
    };

    use actix_web::{App, web};

    use super::*;

    const SHORT: Duration = Duration::from_millis(30);

    /// Answers "here"; whether it is there at the moment, how often it came, and its address.
    fn listening() -> (Listening, CurrentServer, Arc<AtomicUsize>, String) {
        let connections = Connections::new(32);
        let starts = Arc::new(AtomicUsize::new(0));
        let (noting, counting) = (connections.clone(), Arc::clone(&starts));
        let start = move |socket| {
            counting.fetch_add(1, Ordering::Relaxed);
            server::start(socket, noting.clone(), None, || {
                App::new().route("/", web::get().to(async || "here"))
            })
        };
        let listening = Listening {
            socket: bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap(),
            connections,
            start: Box::new(start),
            deserted: SHORT,
            appearance: SHORT,
            current: CurrentServer::default(),
        };
        let address = format!("http://127.0.0.1:{}/", listening.port().unwrap());
        let current = listening.current();
        (listening, current, starts, address)
    }

    async fn ask(address: &str) {
        let client = awc::Client::builder().disable_timeout().finish();
        let request = client.get(address).insert_header(("connection", "close"));
        let mut answer = request.send().await.expect("an answer");
        assert_eq!(answer.body().await.unwrap(), "here");
    }

    async fn gone(current: &CurrentServer) {
        while current.0.borrow().is_some() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    #[actix::test]
    async fn the_server_is_there_for_whoever_asks_and_gone_while_nobody_does() {
        let (listening, current, starts, address) = listening();
        let serving = actix::spawn(listening.serve());
        for round in 1..=3 {
            assert!(current.0.borrow().is_none());
            ask(&address).await;
            ask(&address).await;
            assert_eq!(starts.load(Ordering::Relaxed), round);
            gone(&current).await;
        }
        serving.abort();
    }

    #[actix::test]
    async fn whoever_comes_while_it_goes_is_served_all_the_same() {
        let (listening, _, starts, address) = listening();
        let serving = actix::spawn(listening.serve());
        let mut pauses = (0..100).cycle();
        // It has to go some times, however slow the machine is.
        while starts.load(Ordering::Relaxed) <= 10 {
            for step in pauses.by_ref().take(50) {
                // Around the moment at which nobody is expected to come any more.
                tokio::time::sleep(SHORT + Duration::from_micros(20_000 + 300 * step)).await;
                tokio::join!(ask(&address), ask(&address));
            }
        }
        serving.abort();
    }

    #[actix::test]
    async fn an_open_connection_keeps_it_there() {
        let (listening, current, starts, address) = listening();
        let serving = actix::spawn(listening.serve());
        let port = address.trim_end_matches('/').rsplit_once(':').unwrap().1;
        let held = tokio::net::TcpStream::connect(format!("127.0.0.1:{port}")).await;
        let held = held.unwrap();
        ask(&address).await;
        tokio::time::sleep(5 * SHORT).await;
        assert!(current.0.borrow().is_some());
        drop(held);
        gone(&current).await;
        assert_eq!(starts.load(Ordering::Relaxed), 1);
        serving.abort();
    }

    #[actix::test]
    async fn the_end_closes_the_socket() {
        let (listening, _, starts, address) = listening();
        let serving = actix::spawn(listening.serve());
        tokio::task::yield_now().await;
        serving.abort();
        let _ = serving.await;
        let client = awc::Client::default();
        while client.get(&address).send().await.is_ok() {}
        assert_eq!(starts.load(Ordering::Relaxed), 0);
    }
}
