//! A connection that hands over one request at a time, and the next when the answer to that one is complete. Whatever comes
//! ahead of its turn stays where it costs nothing, and between two requests of one connection all others have their turn.

use std::{
    io,
    pin::Pin,
    sync::atomic::Ordering,
    task::{Context, Poll, ready},
    time::Duration,
};

use actix_web::rt::time::{Sleep, sleep};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{
    Connection,
    life::{Turn, UNTIL_ITS_END},
};
use crate::http::limits::LONGEST_HEAD;

/// Bytes that are kept of what comes ahead of its turn.
const AHEAD: usize = 4 * 1024;
/// Between two looks whether somebody is there who says nothing more and waits for an answer.
const LOOK: Duration = Duration::from_secs(1);
/// After so many looks, it is told to wait, which shows whether it has gone: nothing else does for a minute.
const LOOKS: u32 = 5;
/// An answer that says that another is to come.
const TO_WAIT: &[u8] = b"HTTP/1.1 102 Processing\r\n\r\n";
/// What a request is told whose head has not come in in time, as the server tells the first of a connection.
const TOO_LATE: &[u8] =
    b"HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";

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
    /// Until when the next head has to be complete, and after how many requests.
    late: Option<(u64, Pin<Box<Sleep>>)>,
    /// When it is looked next whether the other side is there, which says nothing more.
    next_look: Option<Pin<Box<Sleep>>>,
    looks: u32,
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
            late: None,
            next_look: None,
            looks: 0,
        }
    }

    pub(super) fn connection(&self) -> &Connection {
        &self.connection
    }

    /// What is handed over of a body of which so much is left.
    fn body(&mut self, room: usize, left: u64) -> &[u8] {
        // Such a body ends with an empty line.
        if left == UNTIL_ITS_END {
            return self.head(room);
        }
        let room = usize::try_from(left).map_or(room, |left| room.min(left));
        let from = self.handed;
        self.handed = self.come.min(from.saturating_add(room));
        self.is_line_empty = false;
        let piece = &self.bytes[from..self.handed];
        let left = left - piece.len() as u64;
        self.connection
            .life
            .body_left
            .store(left, Ordering::Relaxed);
        piece
    }

    /// Ready when the next request has taken too long: its head from its first byte on, and what nobody waits for, as the rest
    /// of a body that was not read, from the answer on. On the first head of a connection, the server keeps an eye itself.
    fn poll_late(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let life = &self.connection.life;
        let begun = life.begun.load(Ordering::Relaxed);
        if begun == 0 || life.has_request() {
            self.late = None;
            return Poll::Pending;
        }
        self.late.take_if(|(before, _)| *before != begun);
        if self.late.is_none() && self.handed == self.come && !life.is_to_end() {
            return Poll::Pending;
        }
        let (_, late) = self
            .late
            .get_or_insert_with(|| (begun, Box::pin(sleep(LONGEST_HEAD))));
        late.as_mut().poll(context)
    }

    /// The longest beginning of these bytes that can complete the head of no more than one request: to the end of the first
    /// empty line, for each head ends with one. Where it is part of a body it is only handed over in more pieces.
    fn head(&mut self, room: usize) -> &[u8] {
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

impl<S: AsyncRead + AsyncWrite + Unpin> Turns<S> {
    /// Ready when nobody is there any more who waits for an answer, after the other side has said that it says no more.
    fn poll_gone(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.connection.life.ends_with_words() {
            return Poll::Ready(Ok(()));
        }
        if self.next_look.is_none() {
            self.connection.ask_whether_it_is_there();
        }
        while !self.connection.is_broken() {
            let next_look = self.next_look.get_or_insert_with(|| Box::pin(sleep(LOOK)));
            ready!(next_look.as_mut().poll(context));
            self.next_look = Some(Box::pin(sleep(LOOK)));
            self.looks += 1;
            if self.looks.is_multiple_of(LOOKS) {
                self.tell_to_wait(context)?;
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Tells the other side that its answer takes time, where that is no lie and cannot come in between.
    ///
    /// # Errors
    /// When it cannot be told, or only half of it.
    fn tell_to_wait(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        let life = &self.connection.life;
        if !life.may_be_told_to_wait.load(Ordering::Relaxed) {
            return Ok(());
        }
        match Pin::new(&mut self.stream).poll_write(context, TO_WAIT)? {
            Poll::Ready(written) if written < TO_WAIT.len() => Err(io::ErrorKind::WriteZero.into()),
            _ => Ok(()),
        }
    }

    /// Tells the other side that its head comes too late, where it can still be told.
    fn tell_too_late(&mut self, context: &mut Context<'_>) {
        if self.connection.life.turn() == Turn::Head {
            let _ = Pin::new(&mut self.stream).poll_write(context, TOO_LATE);
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Turns<S> {
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
        let is_hung_up = self.poll_take_in(context)?.is_ready();
        if is_hung_up {
            let life = &self.connection.life;
            life.is_hung_up.store(true, Ordering::Relaxed);
        }
        if self.poll_late(context).is_ready() {
            self.tell_too_late(context);
            return Poll::Ready(Ok(()));
        }
        let turn = self.connection.life.turn();
        let others_first = std::mem::take(&mut self.has_had_turn);
        let life = &self.connection.life;
        life.is_put_off.store(false, Ordering::Relaxed);
        let has_more = self.handed < self.come && turn != Turn::None;
        if others_first && (has_more || is_hung_up) {
            life.is_put_off.store(has_more, Ordering::Relaxed);
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        let room = buffer.remaining();
        match turn {
            Turn::Head if has_more => buffer.put_slice(self.head(room)),
            Turn::Body(left) if has_more => buffer.put_slice(self.body(room, left)),
            _ if is_hung_up => return self.poll_gone(context),
            _ => {
                if !self.connection.life.has_request() {
                    self.connection.let_others_have_room();
                }
                return Poll::Pending;
            }
        }
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
    use std::sync::Arc;

    use futures_util::FutureExt;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

    use super::{
        super::{Connections, answer::UnderWay},
        *,
    };

    /// Both ends of a connection, of which this was said at the outer one.
    fn told(words: &str) -> (DuplexStream, Turns<DuplexStream>) {
        let (mut outside, inside) = duplex(1 << 20);
        let written = outside.write_all(words.as_bytes()).now_or_never();
        written.expect("there is room").unwrap();
        let connection = Connection {
            life: Default::default(),
            open: Connections::new(1).open,
            socket: Default::default(),
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

    #[actix_web::test]
    async fn one_question_is_handed_over_at_a_time_and_others_come_in_between() {
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

    #[actix_web::test]
    async fn a_body_is_handed_over_as_it_is_read() {
        let head = "POST / HTTP/1.1\r\n\r\n";
        let body = "[\n\n".repeat(3);
        let (_outside, mut turns) = told(&format!("{head}{body}"));
        assert_eq!(next(&mut turns).unwrap(), head);
        let asking = UnderWay::of(Some(turns.connection()));
        asking.begin_body(UNTIL_ITS_END);
        assert_eq!(next(&mut turns).unwrap(), "[\n\n");
        assert_eq!(next(&mut turns), None, "nobody reads it");
        asking.note_wants_more(true);
        assert_eq!(next(&mut turns).unwrap(), "[\n\n");
        asking.note_wants_more(false);
        assert_eq!(next(&mut turns), None, "it has something to read");
        drop(asking);
        assert_eq!(next(&mut turns).unwrap(), "[\n\n");
    }

    #[actix_web::test]
    async fn what_comes_ahead_of_its_turn_is_left_where_it_is_beyond_a_bound() {
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

    #[actix_web::test]
    async fn a_body_of_a_known_length_ends_where_it_says() {
        let heads = ["POST /a HTTP/1.1\r\n\r\n", "HEAD /b HTTP/1.1\r\n\r\n"];
        let body = "[1,\n\n2]";
        let (_outside, mut turns) = told(&format!("{}{body}{}", heads[0], heads[1]));
        assert_eq!(next(&mut turns).unwrap(), heads[0]);
        let asking = UnderWay::of(Some(turns.connection()));
        asking.begin_body(body.len() as u64);
        assert_eq!(next(&mut turns).unwrap(), body);
        asking.note_wants_more(true);
        assert_eq!(next(&mut turns), None, "the body is complete");
        drop(asking);
        assert_eq!(next(&mut turns).unwrap(), heads[1]);
    }

    #[actix_web::test]
    async fn nothing_is_handed_over_after_the_last_request() {
        let head = "GET /a HTTP/1.0\r\n\r\n";
        let (_outside, mut turns) = told(&head.repeat(2));
        assert_eq!(next(&mut turns).unwrap(), head);
        let life = Arc::clone(&turns.connection.life);
        life.is_last.store(true, Ordering::Relaxed);
        drop(UnderWay::of(Some(turns.connection())));
        assert_eq!(next(&mut turns), None);
    }

    #[actix_web::test]
    async fn whoever_says_no_more_is_answered_what_it_has_asked() {
        let heads = ["POST /a HTTP/1.1\r\n\r\n", "GET /b HTTP/1.1\r\n\r\n"];
        let (outside, mut turns) = told(&heads.concat());
        drop(outside);
        for head in heads {
            assert_eq!(next(&mut turns).unwrap(), head);
            let asking = UnderWay::of(Some(turns.connection()));
            asking.begin();
            assert_eq!(next(&mut turns), None, "{head} is not answered");
            drop(asking);
        }
        assert_eq!(next(&mut turns).unwrap(), "");
    }

    #[actix_web::test]
    async fn an_end_is_told_where_nothing_can_be_answered() {
        type Broken = fn(&UnderWay, &Connection);
        let cases: [(&str, Broken); 3] = [
            ("it has made room", |asking, connection| {
                asking.begin();
                connection.life.is_ended.store(true, Ordering::Relaxed);
            }),
            ("the body is broken off", |asking, _| {
                asking.begin_body(5);
                asking.note_wants_more(true);
            }),
            ("the answer has no end", |asking, connection| {
                asking.begin();
                connection.life.is_endless.store(true, Ordering::Relaxed);
            }),
        ];
        for (what, happens) in cases {
            let (outside, mut turns) = told("GET / HTTP/1.1\r\n\r\n");
            assert!(next(&mut turns).is_some());
            let connection = turns.connection().clone();
            let asking = UnderWay::of(Some(&connection));
            happens(&asking, &connection);
            drop(outside);
            assert_eq!(next(&mut turns).unwrap(), "", "{what}");
        }
    }
}
