//! No connection comes about: nothing is repeated, everything is kept, and the link's return resumes by itself.

use std::{
    net::{TcpListener, TcpStream},
    time::Duration,
};

use meterit_sync::{
    control::ControlError,
    domain::{pass::PassTrigger, status::State},
    messages::sync_manager::TriggerRefusal,
};

use crate::helpers::{Plan, Site};

/// Probes come within seconds.
const STEP: Duration = Duration::from_millis(250);

#[actix::test]
async fn a_refused_connection_is_not_repeated_and_the_return_of_the_link_resumes() {
    let site = Plan::default().down().start(5).await;
    site.until("offline", |status| status.state == State::Offline)
        .await;
    site.between_passes().await;
    let refused = site.control().trigger_sync().await;
    assert!(
        matches!(
            refused,
            Err(ControlError::Refused(TriggerRefusal::Offline(_)))
        ),
        "{refused:?}"
    );
    site.advance_until("the queue is counted", STEP, || {
        site.status().queue.pending == 5
    })
    .await;
    site.simulator.set_down(false);
    site.advance_until_drained(STEP).await;
    let status = site.status();
    let pass = status.last_pass.as_ref().expect("a pass");
    let events = &status.recent_events;
    assert_eq!(
        (pass.trigger, pass.delivered),
        (PassTrigger::Connected, 5),
        "{events:#?}"
    );
    assert_eq!(status.state, State::Ok);
    let ledger = site.simulator.ledger();
    assert_eq!((ledger.batches_received, ledger.readings_stored), (1, 5));
    assert_eq!(status.queue.possibly_doubled_uploads, 0);
    site.finish().await;
}

#[actix::test]
async fn every_way_not_to_get_a_connection_is_an_outage() {
    let deaf = DeafListener::new();
    let no_tls = TcpListener::bind("127.0.0.1:0").expect("a port");
    let no_tls_port = no_tls.local_addr().expect("an address").port();
    let speaks_no_tls = std::thread::spawn(move || {
        // Closing at once is an answer that no TLS client understands.
        while let Ok((peer, _)) = no_tls.accept() {
            drop(std::io::Write::write_all(
                &mut &peer,
                b"HTTP/1.1 400 Bad Request\r\n\r\n",
            ));
        }
    });
    for (name, url) in [
        ("name", "https://client-system.invalid/api".to_owned()),
        ("TLS", format!("https://127.0.0.1:{no_tls_port}/api")),
        (
            "connect timeout",
            format!("http://127.0.0.1:{}/api", deaf.port),
        ),
    ] {
        outage_of(name, &url).await;
    }
    drop(speaks_no_tls);
}

async fn outage_of(name: &str, url: &str) {
    let mut site = Plan::default()
        .setting("client_api_url", url)
        .setting("api_timeout", "1000")
        .start(5)
        .await;
    site.until(name, |status| status.state == State::Offline)
        .await;
    let status = site.status();
    assert!(status.connectivity.last_error.is_some(), "{name}");
    assert_eq!(status.sync.total_failed, 0, "{name}");
    assert_eq!(site.database.pending().await, 5, "{name}");
    arrives_once_the_address_is_right(&mut site).await;
    site.finish().await;
}

async fn arrives_once_the_address_is_right(site: &mut Site) {
    site.stop_service().await;
    let url = site.simulator.base_url();
    site.change_setting("client_api_url", &url);
    site.start_service().await;
    site.drained().await;
    assert_eq!(site.simulator.ledger().readings_stored, 5);
}

/// A listener whose queue of connections is full, so that the kernel lets further ones wait.
struct DeafListener {
    port: u16,
    _listener: socket2::Socket,
    _queue: Vec<TcpStream>,
}

impl DeafListener {
    fn new() -> Self {
        use socket2::{Domain, Socket, Type};
        let listener = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        let any: std::net::SocketAddr = ([127, 0, 0, 1], 0).into();
        listener.bind(&any.into()).expect("a port");
        listener.listen(0).expect("a listener");
        let address = listener
            .local_addr()
            .ok()
            .and_then(|address| address.as_socket())
            .expect("an address");
        let connect = |_| TcpStream::connect_timeout(&address, Duration::from_millis(300)).ok();
        let queue = (0..3).filter_map(connect).collect();
        Self {
            port: address.port(),
            _listener: listener,
            _queue: queue,
        }
    }
}
