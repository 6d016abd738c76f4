//! The table of answers, row by row.

use chrono::{DateTime, TimeDelta};

use super::*;
use crate::domain::outcome::RejectedReading;

fn tries() -> Tries {
    Tries {
        length: 10,
        failures: 0,
        max_retries: 5,
        failed_passes: 0,
        is_part: false,
        may_be_stored: false,
        state: ManifestState::Live,
        now: Timestamp(DateTime::UNIX_EPOCH),
    }
}

fn fault() -> UploadOutcome {
    UploadOutcome::ServerFault {
        status: 500,
        words: "oops".to_owned(),
    }
}

fn refusal(named: &[usize]) -> UploadOutcome {
    let named = named
        .iter()
        .map(|position| RejectedReading {
            position: *position,
            words: "bad".to_owned(),
        })
        .collect();
    UploadOutcome::Refused {
        status: 400,
        named,
        words: "Validation error".to_owned(),
    }
}

fn parts_of(decision: &Decision) -> Vec<usize> {
    match &decision.settlement {
        Some(Settlement::Split { parts, .. }) => parts.iter().map(Vec::len).collect(),
        other => panic!("expected a split, got {other:?}"),
    }
}

#[test]
fn faults_are_tried_again_on_the_stated_schedule_and_then_given_up() {
    let waits: Vec<_> = (0..5)
        .map(|failures| {
            match decide(
                &fault(),
                Tries {
                    failures,
                    ..tries()
                },
            )
            .next
            {
                Next::TryAgain { wait, sent: true } => wait.as_secs(),
                other => panic!("expected another try, got {other:?}"),
            }
        })
        .collect();
    assert_eq!(waits, [2, 4, 8, 16, 32]);
    let last = decide(
        &fault(),
        Tries {
            failures: 5,
            ..tries()
        },
    );
    assert!(matches!(
        last.settlement,
        Some(Settlement::GiveUp { park: false, .. })
    ));
    assert!(matches!(last.next, Next::End(PassEnd::GivenUp { .. })));
}

#[test]
fn the_third_failed_pass_parks_the_batch_and_lets_the_others_proceed() {
    let third = decide(
        &fault(),
        Tries {
            failures: 5,
            failed_passes: 2,
            ..tries()
        },
    );
    assert!(matches!(
        third.settlement,
        Some(Settlement::GiveUp { park: true, .. })
    ));
    assert_eq!(third.next, Next::GoOn);
    let parked = decide(
        &fault(),
        Tries {
            state: ManifestState::Parked,
            failed_passes: 3,
            ..tries()
        },
    );
    assert!(matches!(
        parked.settlement,
        Some(Settlement::GiveUp { park: true, .. })
    ));
    assert_eq!(parked.next, Next::GoOn);
}

#[test]
fn nothing_is_tried_again_when_no_connection_came_about() {
    let decision = decide(
        &UploadOutcome::Unreachable("connection refused".to_owned()),
        tries(),
    );
    assert!(matches!(
        decision.settlement,
        Some(Settlement::Postpone {
            sent: false,
            words: Some(_)
        })
    ));
    assert_eq!(
        decision.next,
        Next::End(PassEnd::Offline {
            words: "connection refused".to_owned()
        })
    );
}

#[test]
fn a_pause_is_never_cut_short() {
    let limited = |seconds| UploadOutcome::RateLimited {
        status: 429,
        retry_after: Some(Duration::from_secs(seconds)),
    };
    let wait = |outcome: &UploadOutcome, failures| {
        decide(
            outcome,
            Tries {
                failures,
                ..tries()
            },
        )
        .next
    };
    assert_eq!(
        wait(&limited(30), 0),
        Next::TryAgain {
            wait: Duration::from_secs(30),
            sent: false
        }
    );
    assert_eq!(
        wait(&limited(1), 2),
        Next::TryAgain {
            wait: Duration::from_secs(8),
            sent: false
        }
    );
    let until = Timestamp(DateTime::UNIX_EPOCH + TimeDelta::seconds(900));
    assert_eq!(wait(&limited(900), 0), Next::End(PassEnd::Held { until }));
    let silent = UploadOutcome::RateLimited {
        status: 429,
        retry_after: None,
    };
    assert_eq!(
        wait(&silent, 0),
        Next::TryAgain {
            wait: Duration::from_secs(2),
            sent: false
        }
    );
    let held = decide(&UploadOutcome::Held(until), tries());
    assert_eq!(
        held.settlement,
        Some(Settlement::Postpone {
            words: None,
            sent: false
        })
    );
    assert_eq!(held.next, Next::End(PassEnd::Held { until }));
}

#[test]
fn refusals_isolate() {
    let named = decide(&refusal(&[2, 5]), tries());
    assert_eq!(parts_of(&named), [8]);
    let named_in_part = decide(
        &refusal(&[2, 5]),
        Tries {
            is_part: true,
            ..tries()
        },
    );
    assert_eq!(
        parts_of(&named_in_part),
        [4, 4],
        "one name at a time must not take a request each"
    );
    assert_eq!(parts_of(&decide(&refusal(&[]), tries())), [5, 5]);
    assert_eq!(
        parts_of(&decide(&refusal(&[0, 1, 2, 3, 4, 5, 6, 7, 8, 9]), tries())),
        [5, 5],
        "a refusal of all names none"
    );
    assert_eq!(
        parts_of(&decide(
            &refusal(&[]),
            Tries {
                length: 3,
                ..tries()
            }
        )),
        [2, 1]
    );
    let alone = decide(
        &refusal(&[0]),
        Tries {
            length: 1,
            ..tries()
        },
    );
    assert_eq!(
        alone.settlement,
        Some(Settlement::Suspect {
            status: 400,
            words: "bad".to_owned()
        })
    );
}

#[test]
fn what_is_too_large_is_halved_down_to_a_single_reading() {
    let large = UploadOutcome::TooLarge("too large".to_owned());
    assert_eq!(parts_of(&decide(&large, tries())), [5, 5]);
    let single = decide(
        &large,
        Tries {
            length: 1,
            ..tries()
        },
    );
    assert!(matches!(
        single.settlement,
        Some(Settlement::Suspect { status: 413, .. })
    ));
}

#[test]
fn a_failing_server_that_names_a_time_is_still_failing() {
    let busy = UploadOutcome::RateLimited {
        status: 503,
        retry_after: Some(Duration::from_secs(5)),
    };
    assert_eq!(
        decide(&busy, tries()).next,
        Next::TryAgain {
            wait: Duration::from_secs(5),
            sent: true
        }
    );
    let last = decide(
        &busy,
        Tries {
            failures: 5,
            failed_passes: 2,
            ..tries()
        },
    );
    assert!(matches!(
        last.settlement,
        Some(Settlement::GiveUp { park: true, .. })
    ));
    assert!(matches!(last.next, Next::End(PassEnd::Held { .. })));
}

#[test]
fn the_key_and_the_address_are_the_operators_business() {
    let unauthorized = decide(
        &UploadOutcome::Unauthorized {
            status: 401,
            words: "Invalid API key".to_owned(),
        },
        tries(),
    );
    assert!(matches!(
        unauthorized.next,
        Next::End(PassEnd::Unauthorized { .. })
    ));
    let misconfigured = decide(
        &UploadOutcome::Misconfigured {
            status: 404,
            words: "no such page".to_owned(),
        },
        tries(),
    );
    assert!(matches!(
        misconfigured.next,
        Next::End(PassEnd::Misconfigured { .. })
    ));
    let key = decide(&UploadOutcome::KeyRefused("key".to_owned()), tries());
    assert!(matches!(
        key.settlement,
        Some(Settlement::GiveUp { park: true, .. })
    ));
    assert_eq!(key.next, Next::GoOn);
}

#[test]
fn what_may_be_stored_is_taken_apart_only_when_it_is_refused_twice_in_a_row() {
    let in_doubt = Tries {
        may_be_stored: true,
        failures: 1,
        ..tries()
    };
    let aborted = UploadOutcome::Refused {
        status: 200,
        named: vec![RejectedReading {
            position: 3,
            words: "overflow".to_owned(),
        }],
        words: "overflow".to_owned(),
    };
    for refusal in [
        refusal(&[]),
        UploadOutcome::TooLarge("413".to_owned()),
        aborted,
    ] {
        let decision = decide(&refusal, in_doubt);
        assert_eq!(decision, try_again(Duration::from_secs(4), true));
        let refused_before = decide(&refusal, tries());
        assert!(
            matches!(refused_before.settlement, Some(Settlement::Split { .. })),
            "{refused_before:?}"
        );
    }
    let named = decide(&refusal(&[3]), in_doubt);
    assert!(
        matches!(named.settlement, Some(Settlement::Split { .. })),
        "the same content was no better before: {named:?}"
    );
}
