//! What a client sees of each cut, and what the server behind the proxy got.

use std::time::Duration;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::mpsc,
};

use super::*;

const ANSWER: &str = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n0123456789";
const PATIENCE: Duration = Duration::from_secs(20);

/// A server that answers every request alike and tells of each that arrived whole.
async fn server() -> (u16, mpsc::UnboundedReceiver<Vec<u8>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let (arrived, arrivals) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let arrived = arrived.clone();
            tokio::spawn(async move {
                while let Ok(Some(request)) = Message::request(&mut stream).await {
                    if !request.is_whole || arrived.send(request.bytes).is_err() {
                        return;
                    }
                    if stream.write_all(ANSWER.as_bytes()).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    (port, arrivals)
}

fn request(path: &str) -> String {
    format!("POST {path} HTTP/1.1\r\nContent-Length: 20\r\n\r\n01234567890123456789")
}

/// What comes back before the connection ends, or all of an answer.
async fn ask(stream: &mut TcpStream, path: &str) -> io::Result<Vec<u8>> {
    stream.write_all(request(path).as_bytes()).await?;
    let mut answer = Vec::new();
    while answer.len() < ANSWER.len() {
        if stream.read_buf(&mut answer).await? == 0 {
            break;
        }
    }
    Ok(answer)
}

fn goes_on(harm: Harm) -> bool {
    matches!(harm, Harm::Delay | Harm::Throttle)
}

struct Rig {
    proxy: FaultProxy,
    arrivals: mpsc::UnboundedReceiver<Vec<u8>>,
}

impl Rig {
    async fn new() -> Self {
        let (port, arrivals) = server().await;
        Self {
            proxy: FaultProxy::start(port, Clock::system()).expect("a port"),
            arrivals,
        }
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(("127.0.0.1", self.proxy.port()))
            .await
            .expect("a connection")
    }

    /// One upload under a cut: what the client got, and whether the request arrived whole.
    async fn suffer(&mut self, stage: Stage, harm: Harm) -> (io::Result<Vec<u8>>, bool) {
        let made = self.proxy.arm(Cut {
            stage,
            harm,
            target: Target::Upload,
            share: 0.5,
        });
        let mut stream = self.connect().await;
        let asked = ask(&mut stream, "/api/sync/readings/batch");
        // Only what is to go wrong is waited for a short time.
        let (for_answer, for_arrival) = if harm == Harm::Stall {
            (Duration::from_millis(500), Duration::from_millis(500))
        } else if stage < Stage::AfterRequest && !goes_on(harm) {
            (PATIENCE, Duration::from_millis(100))
        } else {
            (PATIENCE, PATIENCE)
        };
        let answer = tokio::time::timeout(for_answer, asked)
            .await
            .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
        tokio::time::timeout(PATIENCE, made)
            .await
            .expect("it comes to the cut")
            .expect("the cut is made");
        drop(stream);
        let arrived = if stage == Stage::AfterRequest && !goes_on(harm) {
            // The server may find the connection gone before it has read the request.
            false
        } else {
            tokio::time::timeout(for_arrival, self.arrivals.recv())
                .await
                .is_ok()
        };
        (answer, arrived)
    }
}

#[tokio::test]
async fn every_cut_does_what_its_name_says() {
    use Harm::{Close, Delay, Garble, Refuse, Reset, Stall, Throttle};
    for (stage, harm) in Cut::kinds() {
        if harm == Refuse {
            continue;
        }
        let mut rig = Rig::new().await;
        let (answer, arrived) = rig.suffer(stage, harm).await;
        let place = format!("{harm} {stage}: {answer:?}");
        if stage >= Stage::BeforeAnswer || goes_on(harm) {
            assert!(arrived, "{place}");
        } else if stage < Stage::AfterRequest {
            assert!(!arrived, "{place}");
        }
        match (stage, harm) {
            (Stage::AfterAnswer, _) | (_, Delay | Throttle) => {
                assert_eq!(answer.expect("an answer"), ANSWER.as_bytes(), "{place}");
            }
            (_, Stall) => assert_eq!(
                answer.expect_err("no answer").kind(),
                io::ErrorKind::TimedOut
            ),
            (_, Garble) => assert_ne!(answer.expect("an answer"), ANSWER.as_bytes(), "{place}"),
            // A reset may overtake what was sent before it.
            (_, Reset) => assert!(
                answer
                    .as_ref()
                    .map_or(true, |part| part.len() < ANSWER.len()),
                "{place}"
            ),
            (Stage::WithinAnswer, Close) => {
                assert_eq!(
                    answer.expect("a part").len(),
                    ANSWER.len() / 2,
                    "{stage} {harm}"
                );
            }
            // Unread bytes turn a close into a reset.
            (_, Close | Refuse) => assert!(answer.map_or(true, |part| part.is_empty())),
        }
    }
}

#[tokio::test]
async fn refusing_closes_idle_connections_and_passes() {
    let rig = Rig::new().await;
    let mut kept = rig.connect().await;
    ask(&mut kept, "/").await.expect("an answer");
    let made = rig.proxy.arm(Cut {
        stage: Stage::Connection,
        harm: Harm::Refuse,
        target: Target::Any,
        share: 0.0,
    });
    assert_eq!(kept.read(&mut [0]).await.ok(), Some(0), "idle");
    made.await.expect("it has passed");
    let mut again = rig.connect().await;
    assert_eq!(
        ask(&mut again, "/").await.expect("an answer"),
        ANSWER.as_bytes()
    );
}

#[tokio::test]
async fn idle_connections_are_closed_at_once_and_new_ones_taken() {
    let rig = Rig::new().await;
    let mut idle = rig.connect().await;
    assert_eq!(
        ask(&mut idle, "/first").await.expect("an answer"),
        ANSWER.as_bytes()
    );
    rig.proxy.close_idle_connections();
    let end = tokio::time::timeout(PATIENCE, idle.read_u8());
    assert!(end.await.expect("in time").is_err(), "it was closed");
    let mut next = rig.connect().await;
    assert_eq!(
        ask(&mut next, "/next").await.expect("an answer"),
        ANSWER.as_bytes()
    );
}

#[tokio::test]
async fn a_cut_waits_for_the_exchange_that_is_meant() {
    let mut rig = Rig::new().await;
    let mut stream = rig.connect().await;
    let mut made = rig.proxy.arm(Cut {
        stage: Stage::BeforeAnswer,
        harm: Harm::Close,
        target: Target::Upload,
        share: 0.0,
    });
    let answer = ask(&mut stream, "/api/health").await.expect("an answer");
    assert_eq!(answer, ANSWER.as_bytes());
    assert!(made.try_recv().is_err(), "not for this one");
    let upload = ask(&mut stream, "/api/sync/readings/batch").await;
    assert_eq!(upload.ok(), Some(Vec::new()));
    made.await.expect("now it is made");
    assert!(rig.arrivals.recv().await.is_some());
}
