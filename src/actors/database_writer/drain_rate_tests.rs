//! Tests of the drain's rate: what it is, and what is promised from it, in drains of all paces.

use super::*;

fn at(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

/// A drain from a time on in which a batch leaves whenever so many seconds have passed, until another time.
fn drain(rate: &mut DrainRate, batch: u64, every: f64, from: f64, until: f64) {
    let mut now = from;
    while now <= until {
        rate.departed(at(now), batch);
        now += every;
    }
}

/// Whether a figure is right within a fifth.
fn is_about(found: Option<f64>, expected: f64) -> bool {
    found.is_some_and(|found| (found / expected - 1.0).abs() < 0.2)
}

#[test]
fn nothing_has_left() {
    let rate = DrainRate::default();
    assert_eq!(rate.per_second(at(5.0)), 0.0);
    assert_eq!(rate.eta(at(5.0), 7), None);
    assert_eq!(rate.eta(at(5.0), 0), Some(0.0));
}

#[test]
fn a_drain_is_judged_from_its_beginning_on() {
    for length in [2.0, 5.0, 20.0, 59.0, 60.5, 200.0, 4_000.0] {
        let mut rate = DrainRate::default();
        drain(&mut rate, 1_000, 0.05, 3.0, 3.0 + length);
        let now = at(3.0 + length);
        let per_second = rate.per_second(now);
        assert!(is_about(Some(per_second), 20_000.0), "{per_second}");
        let eta = rate.eta(now, 1_000_000);
        assert!(is_about(eta, 50.0), "{length}: {eta:?}");
    }
}

#[test]
fn spaced_uploads_are_averaged_over_several_wherever_one_looks() {
    for every in [2.0, 9.0, 30.0, 100.0, 220.0] {
        let mut rate = DrainRate::default();
        drain(&mut rate, 1_000, every, 10.0, 10.0 + 6.0 * every);
        for later in [0.0, 0.3, 0.6, 0.95, 1.1] {
            let now = at(10.0 + (6.0 + later) * every);
            let per_second = rate.per_second(now);
            assert!(is_about(Some(per_second), 1_000.0 / every), "{every}");
            let eta = rate.eta(now, 50_000);
            assert!(is_about(eta, 50.0 * every), "{every} {later}: {eta:?}");
        }
    }
}

#[test]
fn the_time_until_the_last_upload_passes_as_well() {
    let mut rate = DrainRate::default();
    drain(&mut rate, 1_000, 100.0, 0.0, 400.0);
    for (now, left) in [(401.0, 199.0), (450.0, 150.0), (499.0, 101.0)] {
        assert!(is_about(rate.eta(at(now), 2_000), left), "{now}");
    }
}

#[test]
fn two_departures_are_enough_and_one_is_not() {
    let mut rate = DrainRate::default();
    rate.departed(at(10.0), 500);
    assert_eq!(rate.eta(at(10.0), 1_000), None);
    assert_eq!(rate.per_second(at(20.0)), 50.0);
    assert_eq!(rate.per_second(at(71.0)), 0.0);
    rate.departed(at(30.0), 500);
    assert!(is_about(rate.eta(at(30.0), 1_000), 40.0));
}

#[test]
fn departures_at_nearly_the_same_time_tell_no_pace() {
    let mut rate = DrainRate::default();
    for now in [0.0, 0.995, 1.005] {
        rate.departed(at(now), 1_000);
    }
    assert_eq!(rate.eta(at(1.005), 1_000), None);
    assert!(is_about(Some(rate.per_second(at(1.005))), 3_000.0));
    rate.departed(at(2.0), 1_000);
    assert!(is_about(rate.eta(at(2.0), 2_000), 1.0));
}

#[test]
fn a_drain_that_has_stopped_promises_nothing() {
    for (every, silent) in [(0.05, 11.0), (2.0, 11.0), (9.0, 28.0), (100.0, 301.0)] {
        let mut rate = DrainRate::default();
        drain(&mut rate, 1_000, every, 0.0, 8.0 * every.max(1.0));
        let last = rate.departures.0.back().expect("a departure").last;
        assert!(rate.eta(last + at(0.9 * every), 1_000).is_some(), "{every}");
        assert_eq!(rate.eta(last + at(silent), 1_000), None, "{every}");
        let ended = last + at(silent.max(61.0));
        assert_eq!(rate.per_second(ended), 0.0, "{every}");
    }
}

#[test]
fn a_rate_fades_while_nothing_follows() {
    let mut rate = DrainRate::default();
    drain(&mut rate, 1_000, 1.0, 0.0, 10.0);
    let (then, now) = (rate.per_second(at(10.0)), rate.per_second(at(40.0)));
    assert!(is_about(Some(then), 1_000.0) && is_about(Some(now), 250.0));
}

#[test]
fn a_pause_ends_what_is_judged_together() {
    let mut rate = DrainRate::default();
    drain(&mut rate, 1_000, 1.0, 0.0, 30.0);
    rate.departed(at(330.0), 1_000);
    assert_eq!(rate.eta(at(331.0), 9_000), None);
    drain(&mut rate, 1_000, 9.0, 339.0, 348.0);
    assert!(is_about(rate.eta(at(349.0), 10_000), 90.0));
}

#[test]
fn a_drain_that_slows_down_is_soon_known_for_it() {
    let mut rate = DrainRate::default();
    drain(&mut rate, 1_000, 1.0, 0.0, 300.0);
    rate.departed(at(400.0), 1_000);
    assert_eq!(rate.eta(at(400.0), 9_000), None);
    drain(&mut rate, 1_000, 100.0, 500.0, 800.0);
    assert!(is_about(rate.eta(at(800.0), 10_000), 1_000.0));
}

#[test]
fn what_comes_in_counts_against_what_leaves() {
    let mut rate = DrainRate::default();
    let mut now = 0.0;
    while now <= 120.0 {
        rate.departed(at(now), 100);
        rate.changed(at(now), 1_000, 1_040);
        now += 1.0;
    }
    assert!(is_about(rate.eta(at(120.0), 6_000), 100.0));
    assert!(is_about(Some(rate.per_second(at(120.0))), 100.0));
    while now <= 240.0 {
        rate.departed(at(now), 100);
        rate.changed(at(now), 1_000, 1_130);
        now += 1.0;
    }
    assert_eq!(rate.eta(at(240.0), 6_000), None);
}

#[test]
fn a_queue_that_is_emptied_now_and_then_promises_nothing_by_chance() {
    let mut rate = DrainRate::default();
    for second in (0..600).step_by(2) {
        let now = at(f64::from(second));
        rate.changed(now, 0, 20);
        if second % 30 == 0 {
            rate.departed(now, 300);
        }
        let eta = rate.eta(now, 100);
        assert!(second < 120 || eta.is_none(), "{second}: {eta:?}");
    }
}

#[test]
fn one_large_change_by_another_program_is_no_trend() {
    for (before, after) in [(0, 1_000_000), (1_000_000, 400_000)] {
        let mut rate = DrainRate::default();
        drain(&mut rate, 100, 1.0, 0.0, 100.0);
        rate.changed(at(70.0), before, after);
        rate.changed(at(95.0), after, after + 3);
        assert!(is_about(rate.eta(at(100.0), 6_000), 60.0));
    }
}

#[test]
fn what_is_kept_is_bounded() {
    let mut rate = DrainRate::default();
    for tick in 0..100_000 {
        let now = at(f64::from(tick) * 0.1);
        rate.departed(now, 1);
        rate.changed(now, 1, 2);
    }
    assert!(rate.departures.0.len() <= 1_000 && rate.additions.0.len() <= 1_000);
}
