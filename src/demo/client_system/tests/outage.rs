//! Outages: the port really closes and opens again.

use std::{
    io::{ErrorKind, Read},
    net::TcpStream,
    time::Duration,
};

use chrono::DateTime;

use super::{
    super::{ClientSystemOptions, FaultAction, FaultPath, FaultRule},
    peer::{ask, batch, connect, receive, send, start, start_with, upload},
};
use crate::clock::Clock;

fn refuses(port: u16) -> bool {
    TcpStream::connect(("127.0.0.1", port))
        .is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused)
}

#[test]
fn down_refuses_and_cuts_and_up_serves_on_the_same_port() {
    let simulator = start();
    let mut socket = connect(&simulator);
    send(&mut socket, "GET /api/health", "", b"");
    assert_eq!(receive(&mut socket).expect("an answer").status, 200);
    for _ in 0..3 {
        simulator.set_down(true);
        assert!(refuses(simulator.port()));
        simulator.set_down(false);
        assert_eq!(
            upload(&simulator, "k1", &batch(&["M1"]))
                .expect("an answer")
                .status,
            200
        );
    }
    let gone = socket.read(&mut [0]);
    assert!(
        gone.as_ref().is_ok_and(|bytes| *bytes == 0)
            || gone.is_err_and(|error| error.kind() == ErrorKind::ConnectionReset)
    );
    assert_eq!(simulator.ledger().readings_stored, 3);
}

#[test]
fn an_outage_cuts_a_request_in_flight() {
    let simulator = start();
    simulator.add_fault(FaultRule::on(FaultPath::Health, FaultAction::Hang));
    let mut socket = connect(&simulator);
    send(&mut socket, "GET /api/health", "", b"");
    while simulator.faults()[0].1 == 0 {
        std::thread::yield_now();
    }
    simulator.set_down(true);
    let error = receive(&mut socket).expect_err("no answer");
    assert!(
        matches!(
            error.kind(),
            ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset
        ),
        "{error}"
    );
}

#[test]
fn an_outage_may_end_by_itself() {
    let clock = Clock::manual(DateTime::UNIX_EPOCH);
    let simulator = start_with(ClientSystemOptions {
        clock: clock.clone(),
        ..Default::default()
    });
    simulator.set_down_for(Duration::from_secs(20));
    clock.advance(Duration::from_secs(19));
    assert!(refuses(simulator.port()));
    // The outage may have been measured on either side of the first move.
    while refuses(simulator.port()) {
        clock.advance(Duration::from_secs(1));
    }
}

#[test]
fn a_control_port_of_its_own_stays_open() {
    let simulator = start_with(ClientSystemOptions {
        control_port: Some(0),
        ..Default::default()
    });
    let control_port: u16 = simulator
        .control_url()
        .split(['/', ':'])
        .find_map(|part| part.parse().ok().filter(|port| *port != 127))
        .expect("the address has a port");
    let post = |path: &str| {
        let mut socket =
            TcpStream::connect(("127.0.0.1", control_port)).expect("the control port is open");
        send(&mut socket, path, "", b"");
        receive(&mut socket).expect("an answer").status
    };
    assert_eq!(post("POST /_simulator/down"), 202);
    while !refuses(simulator.port()) {
        std::thread::yield_now();
    }
    assert_eq!(post("POST /_simulator/up"), 202);
    while refuses(simulator.port()) {
        std::thread::yield_now();
    }
    assert_eq!(
        ask(&simulator, "GET /api/health", "", b"")
            .expect("an answer")
            .status,
        200
    );
}

#[test]
fn a_stopped_simulator_leaves_its_port() {
    let simulator = start();
    let handle = simulator.handle();
    simulator.stop();
    assert!(refuses(handle.port()));
    handle.set_down(false);
    assert!(refuses(handle.port()));
}
