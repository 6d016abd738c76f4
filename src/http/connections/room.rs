//! Who makes room where there are too many connections.

use std::{cmp::Ordering as Compared, collections::BTreeMap, sync::atomic::Ordering};

use rustix::io::ioctl_fionread;

use super::{
    Peer,
    life::{Life, Standing},
};

/// Ends connections that have got on with nothing for longest until there are at most so many, or all others wait for us;
/// whether there is room then. The one that it is made for stays.
pub(super) fn make_room(
    connections: &mut BTreeMap<u64, Peer>,
    most: usize,
    now: u64,
    guest: &Life,
) -> bool {
    while connections.len() > most {
        let next = next(connections, now, guest);
        let Some(peer) = next.and_then(|serial| connections.remove(&serial)) else {
            return false;
        };
        peer.end();
    }
    true
}

/// Who goes next. One that waits for an answer that takes long goes only where there is no other. Whoever comes in a crowd goes
/// before those who do not do as it does: who has said nothing yet is not ended for the sake of many who never come to an end,
/// nor the other way round.
fn next(connections: &BTreeMap<u64, Peer>, now: u64, guest: &Life) -> Option<u64> {
    let of_those = |is_heard: bool| {
        let others = connections.values().filter(move |peer| {
            let is_idle = peer.life.standing(now) == Some(Standing::Idle);
            is_idle && peer.life.is_heard.load(Ordering::Relaxed) == is_heard
        });
        others.count()
    };
    let crowd = of_those(true).cmp(&of_those(false));
    let is_of_crowd = |life: &Life| match crowd {
        Compared::Equal => true,
        more => life.is_heard.load(Ordering::Relaxed) == more.is_gt(),
    };
    let mut all: Vec<_> = connections
        .iter()
        .filter(|(_, peer)| !std::ptr::eq(&*peer.life, guest))
        .filter_map(|(&serial, peer)| {
            let life = &peer.life;
            let standing = life.standing(now)?;
            Some((standing, !is_of_crowd(life), life.last(), serial))
        })
        .collect();
    all.sort_unstable();
    let mut serials = all.into_iter().map(|(.., serial)| serial);
    serials.find(|serial| !connections.get(serial).is_some_and(has_question))
}

/// Whether something has come that was not read yet, perhaps a question. One that says the rest of what it has begun has none.
fn has_question(peer: &Peer) -> bool {
    let has_come = || ioctl_fionread(&peer.socket).is_ok_and(|bytes| bytes > 0);
    peer.life.has_said_nothing() && has_come()
}

#[cfg(test)]
mod tests {
    use std::{net::Ipv4Addr, time::Duration};

    use actix_web::rt::{
        net::{TcpListener, TcpStream},
        time::timeout,
    };
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::{
        super::{Connections, MOST_HELD, Watched, answer},
        *,
    };
    use crate::clock::Clock;

    /// Both ends of a connection.
    async fn connected(connections: &Connections) -> (TcpStream, Watched) {
        let (outside, mut inside) = fresh(connections).await;
        let read = timeout(Duration::from_millis(1), inside.read_u8()).await;
        assert!(read.is_err(), "nothing has come");
        (outside, inside)
    }

    /// As [`connected`], not looked at yet.
    async fn fresh(connections: &Connections) -> (TcpStream, Watched) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (outside, inside) = tokio::join!(TcpStream::connect(address), listener.accept());
        (outside.unwrap(), connections.admit(inside.unwrap().0))
    }

    async fn is_ended(outside: &mut TcpStream) -> bool {
        let mut byte = [0];
        let read = timeout(Duration::from_millis(50), outside.read(&mut byte));
        matches!(read.await, Ok(Ok(0)))
    }

    fn asks(stream: &Watched) -> impl Drop + use<> {
        let asking = answer::UnderWay::of(Some(stream.connection()));
        asking.begin();
        asking
    }

    #[actix_web::test]
    async fn whoever_asks_for_nothing_makes_room() {
        let clock = Clock::manual(chrono::DateTime::UNIX_EPOCH);
        let connections = Connections::by(clock.clone(), 2);
        let (mut busy, busy_inside) = connected(&connections).await;
        let asking = asks(&busy_inside);
        let (mut idle, idle_inside) = connected(&connections).await;
        let (mut fresh, fresh_inside) = connected(&connections).await;
        assert!(is_ended(&mut idle).await);
        assert!(!is_ended(&mut busy).await && !is_ended(&mut fresh).await);
        assert_eq!(connections.count(), 2);
        // What was ended counts no more, and its end changes nothing.
        drop(idle_inside);
        assert_eq!(connections.count(), 2);

        let also_asking = asks(&fresh_inside);
        let (mut late, late_inside) = connected(&connections).await;
        assert!(late_inside.connection().is_one_too_many());
        for outside in [&mut busy, &mut fresh, &mut late] {
            assert!(!is_ended(outside).await, "answers may be quick");
        }
        clock.advance(Duration::from_secs(1));
        assert!(!late_inside.connection().is_one_too_many());
        assert!(is_ended(&mut busy).await, "it has waited for longest");
        assert!(!is_ended(&mut late).await && !is_ended(&mut fresh).await);
        drop((asking, busy_inside, also_asking));
        drop((fresh_inside, late_inside));
        assert_eq!(connections.count(), 0);
    }

    #[actix_web::test]
    async fn whoever_gets_on_with_a_body_is_not_the_first_to_go() {
        for gets_on in [false, true] {
            let connections = Connections::new(2);
            let (mut first, mut first_inside) = connected(&connections).await;
            let (mut second, _second_inside) = connected(&connections).await;
            let _head_is_in =
                gets_on.then(|| answer::UnderWay::of(Some(first_inside.connection())));
            first.write_all(b"1").await.unwrap();
            first_inside.read_u8().await.unwrap();
            let (_third, _third_inside) = connected(&connections).await;
            assert_eq!(is_ended(&mut second).await, gets_on);
            assert_eq!(is_ended(&mut first).await, !gets_on);
        }
    }

    #[actix_web::test]
    async fn whoever_does_as_few_others_is_not_the_first_to_go() {
        for says_something in [false, true] {
            let connections = Connections::new(3);
            let mut kept = Vec::new();
            for is_crowd in [false, true, true] {
                let (mut outside, mut inside) = connected(&connections).await;
                if is_crowd != says_something {
                    outside.write_all(b"GET").await.unwrap();
                    inside.read_u8().await.unwrap();
                }
                kept.push((outside, inside));
            }
            let (_late, _late_inside) = fresh(&connections).await;
            assert!(!is_ended(&mut kept[0].0).await, "it came first, alone");
            assert!(is_ended(&mut kept[1].0).await);
            assert!(!is_ended(&mut kept[2].0).await);
        }
    }

    #[actix_web::test]
    async fn whoever_was_not_looked_at_yet_is_not_the_first_to_go() {
        let connections = Connections::new(2);
        let (mut unknown, _unknown_inside) = fresh(&connections).await;
        let (mut idle, _idle_inside) = connected(&connections).await;
        let (_third, _third_inside) = connected(&connections).await;
        assert!(is_ended(&mut idle).await && !is_ended(&mut unknown).await);
    }

    #[actix_web::test]
    async fn whoever_has_a_question_that_was_not_read_yet_is_not_ended() {
        for was_looked_at in [false, true] {
            let connections = Connections::new(1);
            let (mut outside, _inside) = if was_looked_at {
                connected(&connections).await
            } else {
                fresh(&connections).await
            };
            outside.write_all(b"GET").await.unwrap();
            let (_late, late_inside) = fresh(&connections).await;
            assert!(!is_ended(&mut outside).await);
            assert!(late_inside.connection().is_one_too_many());
            assert_eq!(connections.count(), 2);
        }
    }

    #[actix_web::test]
    async fn whoever_was_spared_goes_as_soon_as_it_has_nothing_to_ask() {
        let connections = Connections::new(1);
        let (mut outside, mut inside) = fresh(&connections).await;
        outside.write_all(b"GET").await.unwrap();
        let (mut late, late_inside) = connected(&connections).await;
        late_inside.connection().let_others_have_room();
        assert!(!is_ended(&mut outside).await && !is_ended(&mut late).await);
        inside.read_exact(&mut [0; 3]).await.unwrap();
        late_inside.connection().let_others_have_room();
        assert!(is_ended(&mut outside).await && !is_ended(&mut late).await);
    }

    #[actix_web::test]
    async fn whoever_says_no_more_makes_room_before_others_that_wait() {
        let clock = Clock::manual(chrono::DateTime::UNIX_EPOCH);
        let connections = Connections::by(clock.clone(), 2);
        let (mut first, first_inside) = connected(&connections).await;
        let (mut second, second_inside) = connected(&connections).await;
        let _asking = [&first_inside, &second_inside].map(asks);
        let life = &second_inside.connection().life;
        life.is_hung_up.store(true, Ordering::Relaxed);
        clock.advance(Duration::from_secs(1));
        let (_third, _third_inside) = fresh(&connections).await;
        assert!(!is_ended(&mut first).await && is_ended(&mut second).await);
    }

    #[actix_web::test]
    async fn whoever_takes_nothing_makes_room_for_other_answers() {
        let connections = Connections::new(8);
        let (mut reading, reading_inside) = connected(&connections).await;
        let (mut deaf, mut deaf_inside) = connected(&connections).await;
        let held = |stream: &Watched| answer::Held::of(stream.connection(), MOST_HELD / 2 + 1);
        let _kept = held(&deaf_inside).expect("there is room");
        let much = vec![0; 64 << 20];
        let writing = timeout(Duration::from_millis(200), deaf_inside.write_all(&much));
        assert!(writing.await.is_err(), "nobody reads it");
        assert!(!is_ended(&mut reading).await);
        let also_kept = held(&reading_inside);
        assert!(also_kept.is_some() && !is_ended(&mut reading).await);
        assert_eq!(connections.count(), 1);
        let mut rest = Vec::new();
        let _ = deaf.read_to_end(&mut rest).await;
        assert!(rest.len() < much.len());
        // Nobody else is left to make room.
        let (_more, more_inside) = connected(&connections).await;
        let more: Vec<_> = (0..4).map(|_| held(&more_inside)).collect();
        assert!(more[0].is_some() && more[3].is_none());
    }
}
