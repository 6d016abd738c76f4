//! A proxy in this process that does as it is told: refuses, goes silent, talks nonsense, or connects.

use std::{
    net::Ipv4Addr,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional},
    net::{TcpListener, TcpStream},
};

use crate::{
    actors::api_client::{
        route::{Route, public_roots},
        testing::{certificate_for, tls_server},
        wire::{Call, NoAnswer, Wire},
    },
    clock::Clock,
    demo::client_system::{ClientSystem, ClientSystemOptions},
    settings::{ClientSystemSettings, Settings},
};

/// A name that nobody but the proxy knows.
const NAME: &str = "client-system.invalid";

/// What the proxy does with a request.
#[derive(Clone)]
enum Conduct {
    /// Connects to this port of this machine, whatever is asked for.
    Connect(u16),
    /// Says this, and closes.
    Say(Vec<u8>),
    /// Says nothing.
    Hang,
}

struct Proxy {
    port: u16,
    heads: Arc<Mutex<Vec<String>>>,
}

impl Proxy {
    async fn start(conduct: Conduct) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let heads = Arc::new(Mutex::new(Vec::new()));
        let seen = heads.clone();
        actix::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                actix::spawn(serve(client, conduct.clone(), seen.clone()));
            }
        });
        Self { port, heads }
    }

    fn heads(&self) -> Vec<String> {
        self.heads.lock().expect("no panic").clone()
    }
}

async fn serve(mut client: TcpStream, conduct: Conduct, heads: Arc<Mutex<Vec<String>>>) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(client.read_u8().await.expect("a whole head"));
    }
    let head = String::from_utf8(head).expect("a text");
    heads.lock().expect("no panic").push(head);
    match conduct {
        Conduct::Say(words) => {
            // The other side may have had enough.
            let _ = client.write_all(&words).await;
        }
        Conduct::Hang => std::future::pending().await,
        Conduct::Connect(port) => {
            let server = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await;
            let mut server = server.expect("a server");
            let granted =
                client.write_all(b"HTTP/1.1 200 Connection established\r\nVia: us\r\n\r\n");
            granted.await.expect("it listens");
            let _ = copy_bidirectional(&mut client, &mut server).await;
        }
    }
}

fn settings(url: &str, proxy: &str) -> ClientSystemSettings {
    let overrides = [
        ("client_api_url", url),
        ("client_api_key", "the-key"),
        ("client_api_allow_http", "true"),
        ("https_proxy", proxy),
        ("api_timeout", "1000"),
    ];
    Settings::from_overrides(&overrides)
        .expect("settings")
        .client_system
}

fn health() -> Call {
    Call::get("/health", Duration::from_secs(20))
}

async fn unreachable(proxy: &str) -> String {
    let settings = settings(&format!("http://{NAME}/api"), proxy);
    let wire = Wire::new(&settings, Clock::system());
    match wire.exchange(health()).await {
        Err(NoAnswer::Unreachable(words)) => words,
        other => panic!("{proxy}: {other:?}"),
    }
}

#[actix::test]
async fn what_a_proxy_refuses_is_unreachable_in_words_that_tell_why() {
    let answer =
        |status: &str| format!("HTTP/1.1 {status}\r\nContent-Length: 2\r\n\r\nno").into_bytes();
    let endless = [b"HTTP/1.1 200 OK\r\nX: ".to_vec(), vec![b'x'; 100_000]].concat();
    let cases = [
        (
            answer("407 Proxy Authentication Required"),
            "wants a user name and password",
        ),
        (
            answer("401 Unauthorized"),
            "does not accept those in HTTPS_PROXY (401 Unauthorized)",
        ),
        (
            answer("403 Filtered"),
            "does not allow connections to client-system.invalid:80 (403 Filtered)",
        ),
        (
            answer("500 Unable to connect"),
            "could not reach client-system.invalid:80",
        ),
        (answer("502 Bad Gateway"), "could not reach"),
        (answer("503 Service Unavailable"), "could not reach"),
        (answer("504 Gateway Timeout"), "could not reach"),
        (answer("405 Method Not Allowed"), "know no CONNECT"),
        (b"HTTP/1.1 407\r\n\r\n".to_vec(), "(407)"),
        (b"SSH-2.0-OpenSSH_9.2\r\n".to_vec(), "is not HTTP"),
        (
            b"HTTP/1.1 200 OK\r\n\r\nWelcome".to_vec(),
            "says more than it was asked",
        ),
        (endless, "goes on for 16384 bytes"),
        (b"HTTP/1.1 200 OK\r\nVia: us\r\n".to_vec(), "broke off"),
        (Vec::new(), "broke off"),
    ];
    for (said, expected) in cases {
        let proxy = Proxy::start(Conduct::Say(said)).await;
        let words = unreachable(&format!("http://127.0.0.1:{}", proxy.port)).await;
        assert!(words.contains(expected), "{expected}: {words}");
        assert!(
            words.contains(&format!("127.0.0.1:{}", proxy.port)),
            "{words}"
        );
    }
}

#[actix::test]
async fn a_proxy_that_is_not_there_is_told_apart_from_one_that_is_silent() {
    let silent = Proxy::start(Conduct::Hang).await;
    let words = unreachable(&format!("http://127.0.0.1:{}", silent.port)).await;
    assert!(
        words.contains("no connection to client-system.invalid:80 within 900 ms"),
        "{words}"
    );

    let words = unreachable("http://proxy.invalid:3128").await;
    assert!(
        words.contains("the name of the proxy proxy.invalid:3128 cannot be resolved"),
        "{words}"
    );

    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .await
        .expect("a port");
    let port = listener.local_addr().expect("an address").port();
    drop(listener);
    let words = unreachable(&format!("http://127.0.0.1:{port}")).await;
    assert!(words.contains("refuses the connection"), "{words}");
}

#[actix::test]
async fn calls_share_a_tunnel_and_the_key_stays_inside() {
    let client_system = ClientSystem::start(ClientSystemOptions::default()).expect("a simulator");
    let proxy = Proxy::start(Conduct::Connect(client_system.port())).await;
    let url = format!("http://{NAME}:8080/api");
    let settings = settings(
        &url,
        &format!("http://me:se%40cret@127.0.0.1:{}", proxy.port),
    );
    let wire = Wire::new(&settings, Clock::system());
    for _ in 0..3 {
        let (answer, _) = wire.exchange(health()).await.expect("an answer");
        assert_eq!(answer.status, 200);
    }
    let [head] = &proxy.heads()[..] else {
        panic!("one tunnel: {:?}", proxy.heads())
    };
    assert!(
        head.starts_with(
            "CONNECT client-system.invalid:8080 HTTP/1.1\r\nHost: client-system.invalid:8080\r\n"
        ),
        "{head}"
    );
    // me:se@cret
    assert!(
        head.contains("\r\nProxy-Authorization: Basic bWU6c2VAY3JldA==\r\n"),
        "{head}"
    );
    assert!(!head.contains("the-key"), "{head}");
}

#[actix::test]
async fn tls_is_spoken_with_the_client_system_itself() {
    let (port, roots) = tls_server(&certificate_for(NAME)).await;
    let proxy = Proxy::start(Conduct::Connect(port)).await;
    let settings = settings(
        &format!("https://{NAME}/api"),
        &format!("http://127.0.0.1:{}", proxy.port),
    );
    let trusting = Wire::over(
        Route::trusting(&settings, roots),
        &settings,
        Clock::system(),
    );
    let (answer, _) = trusting.exchange(health()).await.expect("an answer");
    assert_eq!(answer.status, 204);
    assert!(
        proxy.heads()[0].starts_with("CONNECT client-system.invalid:443 "),
        "{:?}",
        proxy.heads()
    );

    let usual = Wire::over(
        Route::trusting(&settings, public_roots()),
        &settings,
        Clock::system(),
    );
    let (port, roots) = tls_server(&certificate_for("another.invalid")).await;
    let other = Proxy::start(Conduct::Connect(port)).await;
    let settings = self::settings(
        &format!("https://{NAME}/api"),
        &format!("http://127.0.0.1:{}", other.port),
    );
    let misled = Wire::over(
        Route::trusting(&settings, roots),
        &settings,
        Clock::system(),
    );
    for wire in [usual, misled] {
        let refused = wire.exchange(health()).await;
        assert!(
            matches!(&refused, Err(NoAnswer::Unreachable(words)) if words.contains("TLS failed")),
            "{refused:?}"
        );
    }
}
