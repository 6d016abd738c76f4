//! Tests of which batches are tried while the Client System is in doubt.

use super::*;

fn key(name: &str) -> IdempotencyKey {
    IdempotencyKey(name.to_owned())
}

fn failed(name: &str, due_at: u64) -> Failed {
    Failed {
        attempt: Attempt::specimen(name),
        due_at: at(due_at),
        sent: true,
        words: String::new(),
    }
}

fn at(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn next_due(troubles: &mut Troubles, seconds: u64) -> Option<String> {
    let failed = troubles.next_due(at(seconds))?;
    Some(failed.key().to_string())
}

#[test]
fn in_doubt_only_the_first_that_failed_and_another_one_are_tried() {
    let mut troubles = Troubles::default();
    for name in ["first", "second", "third"] {
        troubles.raise(&key(name), true);
        troubles.wait(failed(name, 2));
    }
    assert!(troubles.in_doubt());
    assert_eq!(troubles.wanted(at(1)), Some(Wanted::Any));
    troubles.ask_another(Some(&key("another")), at(1));
    troubles.wait(failed("another", 3));
    assert_eq!(next_due(&mut troubles, 1), None);
    assert_eq!(next_due(&mut troubles, 4), Some("first".to_owned()));
    assert_eq!(next_due(&mut troubles, 4), Some("another".to_owned()));
    assert_eq!((next_due(&mut troubles, 4), troubles.len()), (None, 2));

    troubles.lay();
    assert_eq!(next_due(&mut troubles, 4), Some("second".to_owned()));
    assert_eq!(next_due(&mut troubles, 4), Some("third".to_owned()));
    assert!(troubles.is_empty());
}

#[test]
fn where_there_is_no_other_one_that_failed_as_well_has_to_do() {
    let mut troubles = Troubles::default();
    for name in ["first", "second", "third"] {
        troubles.raise(&key(name), true);
        troubles.wait(failed(name, 2));
    }
    troubles.ask_another(None, at(0));
    assert_eq!(next_due(&mut troubles, 2), Some("first".to_owned()));
    assert_eq!(next_due(&mut troubles, 2), Some("second".to_owned()));
    assert_eq!(next_due(&mut troubles, 2), None);
}

#[test]
fn fresh_readings_have_a_try_every_half_a_minute_of_doubt() {
    let mut troubles = Troubles::default();
    troubles.raise(&key("first"), true);
    troubles.wait(failed("first", 32));
    troubles.ask_another(None, at(0));
    assert_eq!(troubles.wanted(at(29)), None);
    assert_eq!(troubles.until_due(at(1)), Some(at(29)));
    assert_eq!(troubles.wanted(at(30)), Some(Wanted::Fresh));
    troubles.ask_another(None, at(30));
    assert_eq!(troubles.until_due(at(31)), Some(at(1)));
}

#[test]
fn nothing_else_is_tried_where_it_would_tell_nothing() {
    let mut troubles = Troubles::default();
    troubles.raise(&key("first"), false);
    troubles.wait(failed("first", 60));
    assert_eq!(troubles.wanted(at(40)), None);
    assert_eq!(troubles.until_due(at(40)), Some(at(20)));
}
