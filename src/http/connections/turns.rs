//! A connection that hands over one request at a time, and the next when the answer to that one is complete. Whatever comes
//! ahead of its turn stays where it costs nothing, and between two requests of one connection all others have their turn.

use std::{
    io,
    pin::Pin,
    sync::atomic::Ordering,
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::Connection;

/// Bytes that are kept of what comes ahead of its turn.
const AHEAD: usize = 4 * 1024;

/// A connection to the local API, above TLS where that is spoken.
pub struct Turns<S> {
    stream: S,
    connection: Connection,
    /// What has come and was not handed over yet: those from `handed` to `come`.
    bytes: Box<[u8; AHEAD]>,
    handed: usize,
    come: usize,
    /// Whether nothing has been handed over of the current line.
    is_line_empty: bool,
    /// Whether others come first.
    has_had_turn: bool,
}

impl<S> Turns<S> {
    pub(super) fn new(stream: S, connection: Connection) -> Self {
        Self {
            stream,
            connection,
            bytes: Box::new([0; AHEAD]),
            handed: 0,
            come: 0,
            is_line_empty: false,
            has_had_turn: false,
        }
    }

    pub(super) fn connection(&self) -> &Connection {
        &self.connection
    }

    /// The longest beginning of these bytes that can complete the head of no more than one request: to the end of the first
    /// empty line, for each head ends with one. Where it is part of a body it is only handed over in more pieces.
    fn piece(&mut self, room: usize) -> &[u8] {
        let end = self.come.min(self.handed.saturating_add(room));
        let from = self.handed;
        self.handed = end;
        let all = &self.bytes[from..end];
        // Most of a large body has no lines, and is not worth a closer look.
        if !all.contains(&b'\n') {
            self.is_line_empty &= all.iter().all(|byte| *byte == b'\r');
            return all;
        }
        for (index, byte) in self.bytes[..end].iter().enumerate().skip(from) {
            match byte {
                b'\n' if self.is_line_empty => {
                    self.handed = index + 1;
                    self.has_had_turn = true;
                    break;
                }
                b'\n' => self.is_line_empty = true,
                b'\r' => {}
                _ => self.is_line_empty = false,
            }
        }
        &self.bytes[from..self.handed]
    }
}

impl<S: AsyncRead + Unpin> Turns<S> {
    /// Takes in what comes as long as there is room for it. Ready when the other side has hung up.
    fn poll_take_in(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.handed == self.come {
            (self.handed, self.come) = (0, 0);
        }
        while self.come < AHEAD {
            let mut room = ReadBuf::new(&mut self.bytes[self.come..]);
            ready!(Pin::new(&mut self.stream).poll_read(context, &mut room))?;
            let more = room.filled().len();
            if more == 0 {
                return Poll::Ready(Ok(()));
            }
            self.come += more;
        }
        Poll::Pending
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Turns<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        // Before it is looked at whether there may be more, so that no change is missed.
        self.connection.life.reader.register(context.waker());
        if self.connection.life.is_ended.load(Ordering::Relaxed) {
            return Poll::Ready(Ok(()));
        }
        let hung_up = self.poll_take_in(context)?;
        let others_first = std::mem::take(&mut self.has_had_turn);
        if self.handed == self.come || !self.connection.life.may_hear_more() {
            // Whoever has hung up is not waited for, whatever else it has asked.
            return hung_up.map(Ok);
        }
        if others_first {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        let room = buffer.remaining();
        buffer.put_slice(self.piece(room));
        let life = &self.connection.life;
        life.begins_body.store(false, Ordering::Relaxed);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Turns<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

    use super::{super::answer::UnderWay, *};

    /// Both ends of a connection, of which this was said at the outer one.
    fn told(words: &str) -> (DuplexStream, Turns<DuplexStream>) {
        let (mut outside, inside) = duplex(1 << 20);
        let written = outside.write_all(words.as_bytes()).now_or_never();
        written.expect("there is room").unwrap();
        let connection = Connection {
            life: Default::default(),
            open: Default::default(),
        };
        (outside, Turns::new(inside, connection))
    }

    /// What is handed over next, by the second time that it is asked for; none where it has to wait.
    fn next(turns: &mut Turns<DuplexStream>) -> Option<String> {
        let mut bytes = [0; 2 * AHEAD];
        let mut read = || turns.read(&mut bytes).now_or_never();
        let length = read().or_else(read)?.unwrap();
        Some(String::from_utf8_lossy(&bytes[..length]).into_owned())
    }

    #[test]
    fn one_question_is_handed_over_at_a_time_and_others_come_in_between() {
        let questions = [
            "GET /a HTTP/1.1\r\nA: b\r\n\r\n",
            "GET /b HTTP/1.1\nA:\n\n",
            "GET /c",
        ];
        let (_outside, mut turns) = told(&questions.concat());
        assert_eq!(next(&mut turns).unwrap(), questions[0]);
        let asking = UnderWay::of(Some(turns.connection()));
        asking.begin();
        assert_eq!(next(&mut turns), None, "the first is not answered");
        drop(asking);
        assert_eq!(next(&mut turns).unwrap(), questions[1]);
        let at_once = turns.read(&mut [0; 8]).now_or_never();
        assert!(at_once.is_none(), "others come first");
        assert_eq!(next(&mut turns).unwrap(), questions[2]);
        assert_eq!(next(&mut turns), None);
    }

    #[test]
    fn a_body_is_handed_over_as_it_is_read() {
        let head = "POST / HTTP/1.1\r\n\r\n";
        let body = "[\n\n".repeat(3);
        let (_outside, mut turns) = told(&format!("{head}{body}"));
        assert_eq!(next(&mut turns).unwrap(), head);
        let asking = UnderWay::of(Some(turns.connection()));
        asking.begin_body();
        assert_eq!(next(&mut turns).unwrap(), "[\n\n");
        assert_eq!(next(&mut turns), None, "nobody reads it");
        asking.note_wants_more(true);
        assert_eq!(next(&mut turns).unwrap(), "[\n\n");
        asking.note_wants_more(false);
        assert_eq!(next(&mut turns), None, "it has something to read");
        drop(asking);
        assert_eq!(next(&mut turns).unwrap(), "[\n\n");
    }

    #[test]
    fn what_comes_ahead_of_its_turn_is_left_where_it_is_beyond_a_bound() {
        let (mut outside, mut turns) = told(&"a".repeat(10 * AHEAD));
        turns
            .connection
            .life
            .is_stuck
            .store(true, Ordering::Relaxed);
        assert_eq!(next(&mut turns), None, "it takes no answers either");
        turns
            .connection
            .life
            .is_stuck
            .store(false, Ordering::Relaxed);
        let mut length = 0;
        while let Some(piece) = next(&mut turns) {
            assert!(piece.len() <= AHEAD);
            length += piece.len();
        }
        assert_eq!(length, 10 * AHEAD);
        let more = outside.write_all(b"a").now_or_never();
        more.expect("there is room").unwrap();
        assert_eq!(next(&mut turns).unwrap(), "a");
    }

    #[test]
    fn an_end_is_told_whatever_is_under_way() {
        for hangs_up in [true, false] {
            let (outside, mut turns) = told("GET / HTTP/1.1\r\n\r\nGET");
            assert!(next(&mut turns).is_some());
            let asking = UnderWay::of(Some(turns.connection()));
            asking.begin();
            assert_eq!(next(&mut turns), None);
            if hangs_up {
                drop(outside);
            } else {
                turns
                    .connection
                    .life
                    .is_ended
                    .store(true, Ordering::Relaxed);
            }
            assert_eq!(next(&mut turns).unwrap(), "");
        }
    }
}
