//! One connection through the proxy: exchange after exchange, until one side closes or a cut ends it.

use std::{io, sync::Arc, time::Duration};

use socket2::SockRef;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::watch,
};

use super::{
    Script,
    cut::{Cut, Harm, Stage},
    message::Message,
};

/// Nobody waits longer for an answer.
const LONGEST_STALL: Duration = Duration::from_secs(120);
/// Pieces in which a throttled rest arrives, and the time between two of them.
const PIECES: usize = 16;
const BETWEEN_PIECES: Duration = Duration::from_millis(30);

/// Whether the connection goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Onward {
    Yes,
    No,
}

/// How what follows a harm is passed on.
#[derive(Clone, Copy, Debug, Default)]
struct Manner {
    throttled: bool,
    garbled: bool,
}

pub(super) struct Relay {
    client: TcpStream,
    server: TcpStream,
    script: Arc<Script>,
    /// Tells that no connection is to be kept for another exchange.
    idle_end: watch::Receiver<()>,
}

impl Relay {
    /// Passes everything on until the connection ends.
    pub(super) async fn run(
        client: TcpStream,
        target: u16,
        script: Arc<Script>,
        on_connection: Option<Cut>,
    ) -> io::Result<()> {
        // What is passed on in one go should arrive in one go, and at once.
        client.set_nodelay(true)?;
        let server = TcpStream::connect((std::net::Ipv4Addr::LOCALHOST, target)).await?;
        server.set_nodelay(true)?;
        let mut relay = Self {
            client,
            server,
            idle_end: script.idle_end.subscribe(),
            script,
        };
        if let Some(cut) = on_connection
            && relay.suffer(cut.harm).await.is_none()
        {
            return Ok(());
        }
        while relay.one_exchange().await? == Onward::Yes {}
        Ok(())
    }

    async fn one_exchange(&mut self) -> io::Result<Onward> {
        let request = tokio::select! {
            request = Message::request(&mut self.client) => request?,
            () = closed(&self.server) => return Ok(Onward::No),
            _ = self.idle_end.changed() => return Ok(Onward::No),
        };
        let Some(request) = request else {
            return Ok(Onward::No);
        };
        let cut = self.script.take_for(&request);
        if self.pass_request(&request, cut).await? == Onward::No {
            return Ok(Onward::No);
        }
        let answer = tokio::select! {
            answer = Message::answer(&mut self.server) => answer?,
            () = closed(&self.client) => return Ok(Onward::No),
        };
        let Some(answer) = answer else {
            return Ok(Onward::No);
        };
        let onward = self.pass_answer(&answer, cut).await?;
        if onward == Onward::Yes && !answer.is_whole {
            tokio::io::copy_bidirectional(&mut self.client, &mut self.server).await?;
            return Ok(Onward::No);
        }
        Ok(onward)
    }

    async fn pass_request(&mut self, request: &Message, cut: Option<Cut>) -> io::Result<Onward> {
        let bytes = &request.bytes;
        let position = cut.and_then(|cut| match cut.stage {
            Stage::BeforeRequest => Some((0, cut.harm)),
            Stage::WithinRequest => Some((cut.position(bytes.len()), cut.harm)),
            Stage::AfterRequest => Some((bytes.len(), cut.harm)),
            _ => None,
        });
        let Some((position, harm)) = position else {
            self.server.write_all(bytes).await?;
            return Ok(Onward::Yes);
        };
        self.server.write_all(&bytes[..position]).await?;
        let Some(manner) = self.suffer(harm).await else {
            return Ok(Onward::No);
        };
        let clock = self.script.clock.clone();
        pass_rest(&mut self.server, &bytes[position..], manner, &clock).await?;
        Ok(Onward::Yes)
    }

    async fn pass_answer(&mut self, answer: &Message, cut: Option<Cut>) -> io::Result<Onward> {
        let bytes = &answer.bytes;
        let position = cut.and_then(|cut| match cut.stage {
            Stage::BeforeAnswer => Some((0, cut.harm)),
            Stage::WithinAnswer => Some((cut.position(bytes.len()), cut.harm)),
            Stage::AfterAnswer => Some((bytes.len(), cut.harm)),
            _ => None,
        });
        let Some((position, harm)) = position else {
            self.client.write_all(bytes).await?;
            return Ok(Onward::Yes);
        };
        self.client.write_all(&bytes[..position]).await?;
        let Some(manner) = self.suffer(harm).await else {
            return Ok(Onward::No);
        };
        let clock = self.script.clock.clone();
        pass_rest(&mut self.client, &bytes[position..], manner, &clock).await?;
        Ok(Onward::Yes)
    }

    /// Lets the harm happen. Answers with how things go on, or none where the connection has ended.
    async fn suffer(&mut self, harm: Harm) -> Option<Manner> {
        match harm {
            Harm::Close | Harm::Refuse => None,
            Harm::Reset => {
                for stream in [&self.client, &self.server] {
                    // A socket that is gone already needs no reset.
                    let _ = SockRef::from(stream).set_linger(Some(Duration::ZERO));
                }
                None
            }
            Harm::Stall => {
                tokio::select! {
                    () = given_up(&mut self.client) => {}
                    () = self.script.clock.sleep(LONGEST_STALL) => {}
                }
                None
            }
            Harm::Delay => {
                self.script.clock.sleep(Cut::DELAY).await;
                Some(Manner::default())
            }
            Harm::Throttle => Some(Manner {
                throttled: true,
                ..Manner::default()
            }),
            Harm::Garble => Some(Manner {
                garbled: true,
                ..Manner::default()
            }),
        }
    }
}

async fn pass_rest(
    to: &mut TcpStream,
    bytes: &[u8],
    manner: Manner,
    clock: &crate::clock::Clock,
) -> io::Result<()> {
    if manner.garbled {
        let garbled: Vec<u8> = bytes.iter().map(|byte| byte ^ 0x80).collect();
        return to.write_all(&garbled).await;
    }
    if !manner.throttled {
        return to.write_all(bytes).await;
    }
    for piece in bytes.chunks(bytes.len().div_ceil(PIECES).max(1)) {
        clock.sleep(BETWEEN_PIECES).await;
        to.write_all(piece).await?;
    }
    Ok(())
}

/// Waits until the peer has closed its side. Whatever it says out of turn ends the connection as well.
async fn closed(stream: &TcpStream) {
    let _ = stream.peek(&mut [0]).await;
}

/// Waits until the client has closed its side, whatever it still sends before.
async fn given_up(client: &mut TcpStream) {
    let mut unheard = [0; 4096];
    while client.read(&mut unheard).await.is_ok_and(|bytes| bytes > 0) {}
}
