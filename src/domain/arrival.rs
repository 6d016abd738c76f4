//! When readings came into the queue, by which a row that was claimed is told from one that got its id later.
//!
//! An id alone does not name a reading for good: whoever empties the table and lets its ids begin anew gives them to other
//! readings while a batch is on its way. These came in later than all that was claimed.

use serde::{Deserialize, Serialize};

use super::timestamp::Timestamp;

/// Room for a time in any usual form.
const LONGEST: usize = 40;

/// What the column `created_at` of a row holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Arrival {
    /// Nothing is known, or it is of a kind that nobody compares.
    #[default]
    Unknown,
    /// SQL NULL.
    Unsaid,
    /// Text, however a program writes times down.
    Text(ShortText),
    /// A point in time, where the engine has a type for it.
    Time(Timestamp),
}

impl Arrival {
    /// What the column holds as text.
    pub fn text(text: &[u8]) -> Self {
        ShortText::new(text).map_or(Self::Unknown, Self::Text)
    }

    /// In the order of its kind.
    fn written(self) -> Option<String> {
        match self {
            Self::Text(text) => text.as_str().map(ToOwned::to_owned),
            // Always as long, so that texts are in the order of times.
            Self::Time(time) => Some(time.0.format("%Y-%m-%d %H:%M:%S%.6f").to_string())
                .filter(|text| text.len() == "2026-01-01 00:00:00.000000".len()),
            Self::Unknown | Self::Unsaid => None,
        }
    }
}

/// Text that lies in its row itself: there is one for every reading that is claimed. In the order of its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ShortText {
    bytes: [u8; LONGEST],
    length: u8,
}

impl ShortText {
    fn new(text: &[u8]) -> Option<Self> {
        let mut bytes = [0; LONGEST];
        bytes.get_mut(..text.len())?.copy_from_slice(text);
        // A NUL would be taken for the end.
        let is_plain = !text.contains(&0);
        let length = u8::try_from(text.len()).ok().filter(|_| is_plain)?;
        Some(Self { bytes, length })
    }

    fn as_str(&self) -> Option<&str> {
        let bytes = self.bytes.get(..usize::from(self.length))?;
        std::str::from_utf8(bytes).ok()
    }
}

/// Between which times the readings of a batch came in.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Arrivals {
    /// The first and the last of them, as the queue holds them; none where no row says.
    pub between: Option<(String, String)>,
    /// Whether some rows do not say.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub some_unsaid: bool,
}

impl Arrivals {
    /// Those of these rows; none where they cannot be compared, so that nothing but the ids tells the rows.
    pub fn of(arrivals: impl IntoIterator<Item = Arrival>) -> Option<Self> {
        let mut some_unsaid = false;
        let mut bounds: Option<(Arrival, Arrival)> = None;
        for arrival in arrivals {
            match (arrival, &mut bounds) {
                (Arrival::Unknown, _) => return None,
                (Arrival::Unsaid, _) => some_unsaid = true,
                (_, None) => bounds = Some((arrival, arrival)),
                (Arrival::Text(text), Some((Arrival::Text(first), Arrival::Text(last)))) => {
                    *first = text.min(*first);
                    *last = text.max(*last);
                }
                (Arrival::Time(time), Some((Arrival::Time(first), Arrival::Time(last)))) => {
                    *first = time.min(*first);
                    *last = time.max(*last);
                }
                _ => return None,
            }
        }
        let between = match bounds {
            Some((first, last)) => Some((first.written()?, last.written()?)),
            None if some_unsaid => None,
            None => return None,
        };
        Some(Self {
            between,
            some_unsaid,
        })
    }

    /// Whether a row that holds this may be one of them.
    pub fn cover(&self, arrival: Arrival) -> bool {
        match (arrival, arrival.written()) {
            (Arrival::Unsaid, _) => self.some_unsaid,
            (_, Some(at)) => self
                .between
                .as_ref()
                .is_some_and(|(first, last)| *first <= at && at <= *last),
            (_, None) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Arrival {
        Arrival::text(text.as_bytes())
    }

    fn time(text: &str) -> Arrival {
        Arrival::Time(Timestamp::parse_stored(text).expect(text))
    }

    #[test]
    fn what_came_in_later_or_earlier_is_none_of_them() {
        let texts = ["2026-01-01 00:00:02", "2026-01-01 00:00:05.250"].map(text);
        let arrivals = Arrivals::of(texts).expect("comparable");
        assert!(texts.iter().all(|arrival| arrivals.cover(*arrival)));
        assert!(arrivals.cover(text("2026-01-01 00:00:04")));
        for other in ["2026-01-01 00:00:01", "2026-01-01 00:00:05.251"] {
            assert!(!arrivals.cover(text(other)), "{other}");
        }
        assert!(!arrivals.cover(Arrival::Unsaid) && !arrivals.cover(Arrival::Unknown));

        let times = ["2026-01-01 00:00:02.000001", "2026-01-01 00:00:02"].map(time);
        let arrivals = Arrivals::of(times).expect("comparable");
        assert!(times.iter().all(|arrival| arrivals.cover(*arrival)));
        assert!(!arrivals.cover(time("2026-01-01 00:00:02.000002")));
    }

    #[test]
    fn rows_that_do_not_say_are_told_from_those_that_do() {
        let unsaid = Arrivals::of([Arrival::Unsaid]).expect("comparable");
        assert!(unsaid.cover(Arrival::Unsaid) && !unsaid.cover(text("2026")));
        let some = Arrivals::of([Arrival::Unsaid, text("2026")]).expect("comparable");
        assert!(some.cover(Arrival::Unsaid) && some.cover(text("2026")));
    }

    #[test]
    fn what_cannot_be_compared_has_no_bounds() {
        let long = "2026".repeat(11);
        let year = Arrival::Time(Timestamp(chrono::DateTime::<chrono::Utc>::MAX_UTC));
        for strange in [Arrival::Unknown, text(&long), text("2026\0"), year] {
            assert_eq!(Arrivals::of([strange]), None, "{strange:?}");
        }
        assert_eq!(
            Arrivals::of([text("2026"), time("2026-01-01 00:00:00")]),
            None
        );
        assert_eq!(Arrivals::of([]), None);
    }
}
