//! Numbers, sizes and times as people read them. Times carry the exact moment, so that the page's script can tell them in
//! the viewer's zone and keep ages true.

use maud::{Markup, html};

use crate::domain::timestamp::Timestamp;
pub(super) use crate::domain::words::{count, counted};

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// A number on an axis: `500`, `1.5k`, `2M`.
pub(super) fn shortly(number: f64) -> String {
    let (scaled, unit) = match number {
        1e9.. => (number / 1e9, "G"),
        1e6.. => (number / 1e6, "M"),
        1e3.. => (number / 1e3, "k"),
        _ => (number, ""),
    };
    let digits = format!("{scaled:.1}");
    format!("{}{unit}", digits.trim_end_matches(".0"))
}

/// A span in its two largest units: `45 s`, `12 min`, `3 h 5 min`, `2 d 4 h`.
pub(super) fn lasting(seconds: u64) -> String {
    let (whole, unit, rest, smaller) = match seconds {
        DAY.. => (seconds / DAY, "d", seconds % DAY / HOUR, "h"),
        HOUR.. => (seconds / HOUR, "h", seconds % HOUR / MINUTE, "min"),
        MINUTE.. => (seconds / MINUTE, "min", 0, ""),
        _ => (seconds, "s", 0, ""),
    };
    if rest == 0 {
        format!("{whole} {unit}")
    } else {
        format!("{whole} {unit} {rest} {smaller}")
    }
}

/// A span that may be as short as a few milliseconds.
pub(super) fn lasting_exactly(seconds: f64) -> String {
    if seconds < 1.0 {
        format!("{:.0} ms", seconds * 1_000.0)
    } else if seconds < 60.0 {
        format!("{seconds:.1} s")
    } else {
        lasting(whole(seconds))
    }
}

/// `12.3 GB`.
pub(super) fn bytes(number: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "three digits of it are shown")]
    let number = number as f64;
    let units = [(1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB")];
    let found = units.into_iter().find(|(size, _)| number >= *size);
    found.map_or_else(
        || format!("{number:.0} B"),
        |(size, unit)| {
            let scaled = number / size;
            let decimals = usize::from(scaled < 100.0);
            format!("{scaled:.decimals$} {unit}")
        },
    )
}

/// How fast readings leave, in the unit in which the number is no fraction of one.
pub(super) fn rate(per_second: f64) -> String {
    if per_second >= 10.0 {
        format!("{} per s", count(whole(per_second)))
    } else {
        format!("{} per min", count(whole((per_second * 60.0).round())))
    }
}

/// A moment, told as the time of day.
pub(super) fn clock(at: Timestamp) -> Markup {
    html! { time datetime=(at) data-form="clock" { (in_full(at)) } }
}

/// A moment, told by how long ago it was.
pub(super) fn ago(at: Timestamp, now: Timestamp) -> Markup {
    html! {
        time datetime=(at) data-form="ago" title=(in_full(at)) { (lasting(age(at, now))) " ago" }
    }
}

/// A moment, told by how much time has passed since.
pub(super) fn lasts_since(at: Timestamp, now: Timestamp) -> Markup {
    html! {
        time datetime=(at) data-form="since" title=(in_full(at)) { (lasting(age(at, now))) }
    }
}

/// A moment to come, told by how long it takes until then.
pub(super) fn until(at: Timestamp, now: Timestamp) -> Markup {
    html! {
        time datetime=(at) data-form="until" title=(in_full(at)) { "in " (lasting(age(now, at))) }
    }
}

/// A sentence of the service; moments in it become readable ones.
pub(super) fn sentence(text: &str) -> Markup {
    html! {
        @for (at, piece) in text.split(' ').enumerate() {
            @if at > 0 { " " }
            @let bare = piece.trim_end_matches([',', ';', '.', ')', ':']);
            @match Timestamp::parse_zoned(bare) {
                Some(moment) => { (clock(moment)) (piece[bare.len()..]) }
                None => { (piece) }
            }
        }
    }
}

/// Whole seconds from `at` to `now`, never negative.
pub(super) fn age(at: Timestamp, now: Timestamp) -> u64 {
    now.whole_seconds_since(at)
}

/// The whole part, never negative.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a conversion of this kind ends at the bounds"
)]
pub(super) fn whole(number: f64) -> u64 {
    number as u64
}

fn in_full(at: Timestamp) -> String {
    at.0.format("%Y-%m-%d %H:%M:%S UTC").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::DateTime;

    #[test]
    fn numbers_are_told_as_people_read_them() {
        assert_eq!(shortly(0.0), "0");
        assert_eq!(shortly(1_500.0), "1.5k");
        assert_eq!(shortly(2_000_000.0), "2M");
        assert_eq!(lasting(59), "59 s");
        assert_eq!(lasting(3_600), "1 h");
        assert_eq!(lasting(11_100), "3 h 5 min");
        assert_eq!(lasting(187_200), "2 d 4 h");
        assert_eq!(lasting_exactly(0.012), "12 ms");
        assert_eq!(lasting_exactly(3.25), "3.2 s");
        assert_eq!(bytes(999), "999 B");
        assert_eq!(bytes(12_345_678_901), "12.3 GB");
        assert_eq!(bytes(345_678_901), "346 MB");
        assert_eq!(rate(0.5), "30 per min");
        assert_eq!(rate(1_234.5), "1,234 per s");
    }

    #[test]
    fn words_of_others_stay_words() {
        assert_eq!(
            sentence("left alone until 1970-01-01T00:00:00.000Z; <b a=\"1\"> & wait").into_string(),
            "left alone until <time datetime=\"1970-01-01T00:00:00.000Z\" data-form=\"clock\">1970-01-01 \
             00:00:00 UTC</time>; &lt;b a=&quot;1&quot;&gt; &amp; wait"
        );
    }

    #[test]
    fn ages_are_told_beside_the_exact_moment() {
        let at = Timestamp(DateTime::UNIX_EPOCH);
        let now = Timestamp(DateTime::UNIX_EPOCH + chrono::TimeDelta::seconds(125));
        assert_eq!(
            ago(at, now).into_string(),
            "<time datetime=\"1970-01-01T00:00:00.000Z\" data-form=\"ago\" title=\"1970-01-01 00:00:00 UTC\">2 \
             min ago</time>"
        );
        assert!(until(now, at).into_string().contains(">in 2 min<"));
    }
}
