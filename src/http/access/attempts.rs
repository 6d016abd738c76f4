//! Slows down whoever sends wrong tokens: after a few from a place, one a second is told to be wrong, and all others to come
//! later. Nobody waits inside of the service for that, and no more than a fixed number of places is remembered.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    time::Duration,
};

/// So many wrong tokens cost nothing, for people mistype and old settings live on.
const FREE: u32 = 10;
/// A wrong token is forgotten after this time.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(1);
const MOST_PLACES: usize = 1_024;

/// Where wrong tokens came from, each with the time at which all of them are forgotten.
#[derive(Default)]
pub(super) struct Attempts(HashMap<IpAddr, Duration>);

impl Attempts {
    /// How long wrong tokens from a place are too many; none where the next one is not.
    pub(super) fn wait(&self, place: IpAddr, now: Duration) -> Option<Duration> {
        let forgotten_at = self.0.get(&network(place))?;
        let free = FORGOTTEN_AFTER * (FREE - 1);
        let wait = forgotten_at.checked_sub(now)?.checked_sub(free)?;
        (!wait.is_zero()).then_some(wait)
    }

    /// Notes a wrong one.
    pub(super) fn note(&mut self, place: IpAddr, now: Duration) {
        let place = network(place);
        if !self.0.contains_key(&place) && self.0.len() >= MOST_PLACES {
            self.make_room(now);
        }
        let forgotten_at = self.0.entry(place).or_insert(now);
        *forgotten_at = (*forgotten_at).max(now) + FORGOTTEN_AFTER;
    }

    /// Forgets what is over; else the place that is nearest to it.
    fn make_room(&mut self, now: Duration) {
        self.0.retain(|_, forgotten_at| *forgotten_at > now);
        if self.0.len() < MOST_PLACES {
            return;
        }
        let nearest = self.0.iter().min_by_key(|(_, forgotten_at)| **forgotten_at);
        if let Some(place) = nearest.map(|(place, _)| *place) {
            self.0.remove(&place);
        }
    }
}

/// A machine has a whole network of IPv6 addresses to choose from.
fn network(place: IpAddr) -> IpAddr {
    match place.to_canonical() {
        IpAddr::V6(address) => {
            let mut segments = address.segments();
            segments[4..].fill(0);
            Ipv6Addr::from(segments).into()
        }
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn place(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn whoever_goes_on_guessing_is_looked_at_once_a_second() {
        let mut attempts = Attempts::default();
        let (guesser, other) = (place("192.0.2.1"), place("192.0.2.2"));
        let mut looked_at = 0;
        for tenth in 0..1_000 {
            let now = SECOND * tenth / 10;
            if attempts.wait(guesser, now).is_none() {
                attempts.note(guesser, now);
                looked_at += 1;
            }
            assert_eq!(attempts.wait(other, now), None);
        }
        assert!((100..=110).contains(&looked_at), "{looked_at} in 100 s");
        let wait = attempts.wait(guesser, SECOND * 100);
        assert!(wait.is_none_or(|wait| wait <= SECOND), "{wait:?}");
        assert_eq!(attempts.wait(guesser, SECOND * 200), None);
    }

    #[test]
    fn a_machine_has_one_place_and_the_number_of_places_is_bounded() {
        let mut attempts = Attempts::default();
        for host in 0..FREE + 1 {
            attempts.note(place(&format!("2001:db8::{host:x}")), SECOND);
        }
        assert!(attempts.wait(place("2001:db8::ffff"), SECOND).is_some());
        assert!(attempts.wait(place("2001:db8:0:1::"), SECOND).is_none());
        for host in 0..5_000_u32 {
            let address = std::net::Ipv4Addr::from(host);
            attempts.note(address.into(), SECOND);
            assert!(attempts.0.len() <= MOST_PLACES);
        }
        assert!(
            attempts.wait(place("2001:db8::1"), SECOND).is_some(),
            "those that came once make room first"
        );
    }
}
