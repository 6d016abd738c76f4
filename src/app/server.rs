//! What speaks HTTP/1.1 on the socket of the local API, within TLS where there is a certificate. HTTP/2 is not spoken: its
//! heads would be kept up to 16 MiB each before anybody could refuse them, and nobody who asks here needs it.

use std::{
    fmt,
    future::ready,
    io,
    net::{SocketAddr, TcpListener},
};

use actix_http::{
    HttpServiceBuilder, Request, Response,
    body::{BoxBody, MessageBody},
    h1::{ExpectHandler, UpgradeHandler},
};
use actix_server::{GracefulShutdownSignal, Server};
use actix_service::{
    IntoServiceFactory, Service, ServiceFactory, ServiceFactoryExt, fn_service, map_config,
};
use actix_tls::accept::{
    TlsError, max_concurrent_tls_connect,
    rustls_0_23::{Acceptor, TlsStream},
};
use actix_web::dev::AppConfig;
use rustls::ServerConfig;

use crate::http::{
    connections::{Connections, Watched},
    limits::LONGEST_HEAD,
};

/// Threads that serve the local API; the actors have a thread of their own. One is never far behind, for whatever takes
/// long is done elsewhere.
const WORKERS: usize = 1;
/// So many connections may be ending while others have come in their place; more are taken when these have gone.
const ENDING: usize = 32;
/// How long the answers under way may take when the server goes, in seconds.
const LONGEST_END: u64 = 5;
/// Bytes of an answer that wait for the other side to take more; beyond it, no more of the answer is asked for.
const WRITE_BUFFER: usize = 16 * 1024;
const NAME: &str = "local-api";

/// Serves what `application` makes, to whoever comes to the socket, for as long as the server is polled.
///
/// # Errors
/// When the socket cannot be used.
pub(super) fn start<F, I, S, B>(
    socket: TcpListener,
    connections: Connections,
    encryption: Option<ServerConfig>,
    application: F,
) -> io::Result<Server>
where
    F: Fn() -> I + Send + Clone + 'static,
    I: IntoServiceFactory<S, Request>,
    S: ServiceFactory<Request, Config = AppConfig> + 'static,
    S::Future: 'static,
    S::Error: Into<Response<BoxBody>> + 'static,
    S::InitError: fmt::Debug,
    S::Response: Into<Response<B>> + 'static,
    <S::Service as Service<Request>>::Future: 'static,
    B: MessageBody + 'static,
{
    let address = socket.local_addr()?;
    // Else whoever begins with TLS and does not go on would keep all others out.
    max_concurrent_tls_connect(connections.most() + ENDING);
    let builder = Server::build()
        .workers(WORKERS)
        .max_concurrent_connections(connections.most() + ENDING)
        .shutdown_timeout(LONGEST_END)
        .disable_signals();
    let ending = builder.graceful_shutdown_signal();
    let application = move || map_config(application(), |()| AppConfig::default());
    let builder = match encryption {
        None => builder.listen(NAME, socket, move || {
            let connections = connections.clone();
            let admitted = fn_service(move |stream| ready(Ok(connections.admit(stream))));
            let http = http(address, ending.clone())
                .on_connect_ext(Connections::introduce)
                .h1(application());
            let with_peer = |stream: Watched| {
                let peer = stream.peer();
                (Connections::in_turns(stream, |stream| stream), peer)
            };
            admitted.map(with_peer).and_then(http)
        }),
        Some(encryption) => builder.listen(NAME, socket, move || {
            let connections = connections.clone();
            let admitted = fn_service(move |stream| ready(Ok(connections.admit(stream))));
            let acceptor = Acceptor::new(encryption.clone()).map_err(TlsError::into_service_error);
            let http = http(address, ending.clone())
                .on_connect_ext(Connections::introduce)
                .h1(application())
                .map_err(TlsError::Service);
            let with_peer = |stream: TlsStream<Watched>| {
                let peer = stream.get_ref().0.peer();
                let in_turns = Connections::in_turns(stream, |stream| stream.get_ref().0);
                (in_turns, peer)
            };
            admitted.and_then(acceptor).map(with_peer).and_then(http)
        }),
    };
    Ok(builder?.run())
}

/// How HTTP is spoken on either kind of connection.
fn http<T, S>(
    address: SocketAddr,
    ending: GracefulShutdownSignal,
) -> HttpServiceBuilder<T, S, ExpectHandler, UpgradeHandler>
where
    S: ServiceFactory<Request, Config = ()>,
    S::Error: Into<Response<BoxBody>> + 'static,
    S::InitError: fmt::Debug,
    <S::Service as Service<Request>>::Future: 'static,
{
    HttpServiceBuilder::default()
        .graceful_shutdown_signal(move || {
            let ending = ending.clone();
            async move { ending.notified().await }
        })
        .local_addr(address)
        .client_request_timeout(LONGEST_HEAD)
        .h1_write_buffer_size(WRITE_BUFFER)
        // Of whoever says no more but waits for an answer, this is not told before that is complete.
        .h1_allow_half_closed(false)
}
