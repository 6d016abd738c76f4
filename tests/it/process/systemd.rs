//! What systemd is told: that the service serves, that its parts move, and that its end is intended.

use std::{os::unix::net::UnixDatagram, path::Path, time::Duration};

use super::site::Site;

const PATIENCE: Duration = Duration::from_secs(30);

fn listen(socket: &Path) -> UnixDatagram {
    let listener = UnixDatagram::bind(socket).expect("a socket");
    listener.set_read_timeout(Some(PATIENCE)).unwrap();
    listener
}

fn next(listener: &UnixDatagram) -> String {
    let mut news = [0; 256];
    let length = listener.recv(&mut news).expect("news in time");
    String::from_utf8_lossy(&news[..length]).trim().to_owned()
}

#[test]
fn it_is_told_of_the_start_of_life_and_of_the_end() {
    let site = Site::new();
    let socket = site.file("notify");
    let listener = listen(&socket);
    let site = site
        .set("NOTIFY_SOCKET", &socket.display().to_string())
        .set("WATCHDOG_USEC", "1000000");
    let service = site.start();
    assert_eq!(next(&listener), "READY=1");
    service.port();
    for _ in 0..3 {
        assert_eq!(next(&listener), "WATCHDOG=1");
    }
    service.signal("TERM");
    while next(&listener) != "STOPPING=1" {}
    let (status, log) = service.wait();
    assert_eq!(status.code(), Some(0), "{log:?}");
}
