//! Waiting until the operating system has something to tell, without a timer.

use std::{io, os::fd::AsFd, os::unix::net::UnixStream};

use rustix::{
    event::{PollFd, PollFlags, poll},
    io::Errno,
};

/// Waits, on a thread of its own, until something can be read there, and leaves it where it is. Ends also where nobody waits
/// for it any more.
///
/// # Errors
/// When it cannot be waited for.
pub async fn readable(watched: impl AsFd + Send + 'static) -> io::Result<()> {
    // Where nobody waits for the answer any more this end closes, and the thread goes.
    let (_waiting, wanted) = UnixStream::pair()?;
    tokio::task::spawn_blocking(move || {
        let mut awaited = [
            PollFd::new(&watched, PollFlags::IN),
            PollFd::new(&wanted, PollFlags::IN),
        ];
        loop {
            match poll(&mut awaited, None) {
                Ok(_) => return Ok(()),
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    })
    .await
    .map_err(io::Error::other)?
}

#[cfg(test)]
mod tests {
    use std::{io::Write, time::Duration};

    use super::*;

    #[tokio::test]
    async fn what_is_there_is_told_and_stays() {
        let (mut near, far) = UnixStream::pair().unwrap();
        let told = tokio::spawn(readable(far.try_clone().unwrap()));
        tokio::time::sleep(Duration::from_millis(20)).await;
        assert!(!told.is_finished());
        near.write_all(b"x").unwrap();
        told.await.unwrap().unwrap();
        readable(far).await.unwrap();
    }

    #[tokio::test]
    async fn nobody_is_kept_waiting_for() {
        let (near, far) = UnixStream::pair().unwrap();
        let waiting = tokio::spawn(readable(far));
        tokio::task::yield_now().await;
        waiting.abort();
        // Once the thread has gone, nobody holds the other end.
        let closed = readable(near);
        let closed = tokio::time::timeout(Duration::from_secs(10), closed);
        closed.await.expect("the thread has gone").unwrap();
    }
}
