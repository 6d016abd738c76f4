//! The local API on its socket: HTTP/1.1, within TLS where there is a certificate. HTTP/2 is not spoken: its heads would be
//! kept up to 16 MiB each before anybody could refuse them, and nobody who asks here needs it.

use std::{
    fmt,
    future::ready,
    io,
    net::{SocketAddr, TcpListener},
};

use actix_http::{
    HttpServiceBuilder, Request, Response,
    body::BoxBody,
    h1::{ExpectHandler, UpgradeHandler},
};
use actix_server::{GracefulShutdownSignal, Server};
use actix_service::{Service, ServiceFactory, ServiceFactoryExt, fn_service, map_config};
use actix_tls::accept::{
    TlsError, max_concurrent_tls_connect,
    rustls_0_23::{Acceptor, TlsStream},
};
use actix_web::dev::{AppConfig, Extensions};
use socket2::{Domain, Protocol, Socket, Type};
use tracing_actix_web::TracingLogger;

use super::{StartError, file_limits, front_door::FrontDoor};
use crate::{
    control::Control,
    http::{
        self,
        connections::{Connections, Watched},
        limits::LONGEST_HEAD,
    },
    mcp::Endpoint,
    settings::LocalApiSettings,
    telemetry::metrics::Metrics,
};

/// Threads that serve the local API; the actors have a thread of their own. One is never far behind, for whatever takes
/// long is done elsewhere, and each has timers that never rest.
const WORKERS: usize = 1;
/// Connections that wait to be taken.
const BACKLOG: i32 = 2_048;
/// So many connections may be ending while others have come in their place; more are taken when these have gone.
const ENDING: usize = 32;
/// In seconds: whoever is being answered is waited for so long when the service ends.
const FAREWELL: u64 = 5;
/// Bytes of an answer that wait for the other side to take more; beyond it, no more of the answer is asked for.
const WRITE_BUFFER: usize = 16 * 1024;

/// Listens; answers with the port as well. Nothing is served until the server is polled.
///
/// # Errors
/// When the address is not to be had, or TLS cannot be set up.
pub(super) fn listen(
    settings: &LocalApiSettings,
    control: &Control,
    metrics: &Metrics,
    door: &FrontDoor,
) -> Result<(Server, u16), StartError> {
    let address = (settings.host, settings.port);
    let listener = bound(address.into()).map_err(|cause| StartError::Listen {
        address: format!("{}:{}", address.0, address.1),
        cause,
    })?;
    let bound_to = listener.local_addr().map_err(StartError::Server)?;
    let tls = door.certificate.as_ref().map(|certificate| {
        certificate
            .server_config()
            .map_err(|error| StartError::Certificate(error.to_string()))
    });
    let tls = tls.transpose()?;
    let most = file_limits::most_connections();
    let connections = Connections::new(most);
    // Else whoever begins with TLS and does not go on would keep all others out.
    max_concurrent_tls_connect(most + ENDING);
    let (control, metrics, access) = (control.clone(), metrics.clone(), door.access.clone());
    let assistants = Endpoint::new(control.clone());
    let builder = Server::build()
        .workers(WORKERS)
        .max_concurrent_connections(most + ENDING)
        .shutdown_timeout(FAREWELL)
        .disable_signals();
    let ending = builder.graceful_shutdown_signal();
    let application = move || {
        let application = actix_web::App::new()
            .wrap(TracingLogger::<http::RequestSpan>::new())
            .configure(http::configure(
                control.clone(),
                metrics.clone(),
                access.clone(),
                assistants.routes(),
            ));
        map_config(application, |()| AppConfig::default())
    };
    let name = "local-api";
    let builder = match tls {
        None => builder.listen(name, listener, move || {
            let admitted = {
                let connections = connections.clone();
                fn_service(move |stream| ready(Ok(connections.admit(stream))))
            };
            let http = http(bound_to, ending.clone())
                .on_connect_ext(Connections::introduce)
                .h1(application());
            admitted.map(with_peer).and_then(http)
        }),
        Some(config) => builder.listen(name, listener, move || {
            let admitted = {
                let connections = connections.clone();
                fn_service(move |stream| ready(Ok(connections.admit(stream))))
            };
            let acceptor = Acceptor::new(config.clone()).map_err(TlsError::into_service_error);
            let http = http(bound_to, ending.clone())
                .on_connect_ext(|stream: &TlsStream<Watched>, data: &mut Extensions| {
                    Connections::introduce(stream.get_ref().0, data);
                })
                .h1(application())
                .map_err(TlsError::Service);
            admitted
                .and_then(acceptor)
                .map(|stream: TlsStream<Watched>| {
                    let peer = stream.get_ref().0.peer();
                    (stream, peer)
                })
                .and_then(http)
        }),
    };
    let server = builder.map_err(StartError::Server)?;
    Ok((server.run(), bound_to.port()))
}

fn with_peer(stream: Watched) -> (Watched, Option<SocketAddr>) {
    let peer = stream.peer();
    (stream, peer)
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
        // Whoever hangs up while a pass is under way is not waited for: it may take days, and others hang up meanwhile.
        .h1_allow_half_closed(false)
}

fn bound(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}
