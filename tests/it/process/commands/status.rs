//! `status` of a service that runs, is stopped, does not run or cannot be reached, and of what is no service at all.

use std::{
    io::{Read, Write},
    net::TcpListener,
    thread::JoinHandle,
};

use super::{super::waiting::wait_until, Told, command, connected, document, quiet_site, run};

#[test]
fn a_running_service_is_told_with_its_state_first() {
    let site = quiet_site();
    let service = connected(&site);
    let port = service.port();
    let said = run(port, &["status"]).done();
    assert!(said.starts_with("ok: All readings are uploaded"), "{said}");
    assert_eq!(document(port, &["status"])["state"], "ok");
    let url = format!("http://localhost:{port}/");
    run(1, &["status", "--url", &url]).done();

    run(port, &["sync", "stop"]).done();
    for arguments in [&["status"][..], &["status", "--json"]] {
        let told = run(port, arguments);
        assert_eq!((told.code, told.errors.as_str()), (Some(5), ""), "{told:?}");
        assert!(
            told.output.contains("Synchronisation is stopped; "),
            "{told:?}"
        );
    }
    let already = run(port, &["sync", "stop"]).done();
    assert_eq!(already, "the uploading is already stopped\n");
    service.stop();
    let said = run(port, &["status"]).failed(3);
    assert!(
        said.contains(&format!("no service runs at http://127.0.0.1:{port}: ")),
        "{said}"
    );
    assert!(said.contains("`meterit-sync run`"), "{said}");
}

#[test]
fn a_service_on_ipv6_is_found_by_its_settings_and_by_its_address() {
    let site = quiet_site().set("LOCAL_API_HOST", "::1");
    let service = site.start();
    let port = service.port();
    wait_until("a service that is well", || {
        let mut status = command(port, &["status"]);
        let told = Told::of(status.env("LOCAL_API_HOST", "::1").output().unwrap());
        assert!(matches!(told.code, Some(0 | 5)), "{told:?}");
        told.code == Some(0)
    });
    let url = format!("http://[::1]:{port}");
    run(1, &["status", "--url", &url]).done();
    service.stop();
}

#[test]
fn a_name_that_is_not_found_is_out_of_reach() {
    // A label this long is no name, so that no server is asked for it.
    let url = format!("http://{}.test:3002", "x".repeat(64));
    let said = run(1, &["status", "--url", &url]).failed(4);
    assert!(
        said.contains("cannot be reached: its name cannot be found. Check the address"),
        "{said}"
    );
}

#[test]
fn a_listener_that_never_answers_is_given_up() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let said = run(port, &["status", "--timeout", "300ms"]).failed(4);
    assert!(
        said.contains("does not answer properly: no whole answer within 300ms"),
        "{said}"
    );
    assert!(
        !said.contains("is not known"),
        "a question leaves nothing open: {said}"
    );
    let said = run(port, &["sync", "start", "--timeout", "300ms"]).failed(4);
    assert!(
        said.contains("Whether it did what was asked is not known"),
        "{said}"
    );
    let said = run(port, &["events", "--timeout", "300ms"]).failed(4);
    assert!(said.contains("no answer within 300ms"), "{said}");
}

#[test]
fn what_is_no_service_is_not_taken_for_one() {
    let http = |head: &str, body: &str| {
        format!(
            "HTTP/1.1 {head}\r\nContent-Length: {}\r\nContent-Type: application/json\r\n\r\n{body}",
            body.len()
        )
    };
    let stranger = "is not this service";
    for (answer, words) in [
        ("SSH-2.0-OpenSSH_9.2\r\n".to_owned(), stranger),
        (http("200 OK", "<html></html>"), stranger),
        (http("200 OK", "{}"), stranger),
        (http("200 OK", "[1, 2]"), stranger),
        (
            http("404 Not Found", "<html>\u{1b}[2Jno\nsuch page</html>"),
            "404 Not Found (<html> [2Jno such page</html>)",
        ),
        (
            http("500 Internal Server Error", "{\"error\":\"no\"}"),
            stranger,
        ),
        (
            http("302 Found\r\nLocation: http://127.0.0.1:1/status", ""),
            "302 Found",
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{\"state\":\"ok\"".to_owned(),
            "",
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n".to_owned()
                + &"x".repeat(20 << 20),
            "larger than",
        ),
        (String::new(), "closed before the answer"),
    ] {
        let (port, served) = serve_once(answer.clone());
        let told = run(port, &["status", "--json"]);
        served.join().unwrap();
        assert_eq!(told.output, "", "nothing that is no answer is printed");
        let said = told.failed(4);
        assert!(said.contains(words), "{:.80}: {said}", answer);
        assert!(said.contains("Check "), "{said}");
        assert!(!said.contains('\u{1b}'), "{said:?}");
    }
}

/// Answers the first connection with these bytes, whatever it asks.
fn serve_once(answer: String) -> (u16, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let serving = std::thread::spawn(move || {
        let (mut connection, _) = listener.accept().unwrap();
        let mut asked = [0; 4096];
        let _ = connection.read(&mut asked).unwrap();
        // The other side may have had enough before the end.
        let _ = connection.write_all(answer.as_bytes());
    });
    (port, serving)
}
