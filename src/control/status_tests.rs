//! Tests of the state in a word: each condition, and which one wins.

use chrono::DateTime;

use super::*;
use crate::{
    control::{ControlError, ProblemKind},
    domain::{
        link_probe::LinkFault,
        outcome::CallFailure,
        pass::{PassReport, PassTrigger},
        words::SET_THE_RIGHT_KEY,
    },
    messages::sync_manager::CurrentPass,
};

#[path = "status_causes_tests.rs"]
mod causes;
#[path = "status_notes_tests.rs"]
mod notes;

fn at(seconds: i64) -> Timestamp {
    Timestamp(DateTime::UNIX_EPOCH + TimeDelta::seconds(seconds))
}

/// A service in order, started at 0, looked at after a thousand seconds.
fn in_order() -> Evidence {
    Evidence {
        now: at(1_000),
        started_at: at(0),
        automatic: true,
        manager: SyncManagerSnapshot {
            running: true,
            interval_minutes: 5,
            ..SyncManagerSnapshot::default()
        },
        connectivity: ConnectivityStatus {
            is_connected: true,
            since: Some(at(5)),
            ..ConnectivityStatus::default()
        },
        api_client: ApiClientSnapshot::default(),
        database: DatabaseSnapshot {
            counted: true,
            ..DatabaseSnapshot::default()
        },
        heartbeat: HeartbeatStatus::default(),
        config: ConfigStatus::default(),
        silent_for: None,
        actors: Vec::new(),
        expiring: None,
    }
}

fn actor(state: ActorState) -> ActorStatus {
    ActorStatus {
        name: "sync manager".into(),
        state,
        restarts: 1,
        generation: 2,
        last_failure: Some("a panic".into()),
        last_failure_at: Some(at(900)),
    }
}

type Spoil = fn(&mut Evidence);

const SYNCING: Spoil = |evidence| {
    evidence.manager.current_pass = Some(CurrentPass {
        id: 1,
        started_at: at(990),
        delivered: 1,
        setback: None,
    });
};
const DEGRADED: Spoil = |evidence| evidence.actors = vec![actor(ActorState::Restarting)];
const RATE_LIMITED: Spoil = |evidence| {
    evidence.api_client.held_until = Some(at(1_001));
    evidence.api_client.held_since = Some(at(950));
};
const OFFLINE: Spoil = |evidence| {
    evidence.connectivity.is_connected = false;
    evidence.connectivity.consecutive_failures = 3;
    evidence.connectivity.since = Some(at(800));
    evidence.connectivity.last_error = Some("connection refused".into());
};
const UNAUTHORIZED: Spoil = |evidence| {
    let words = "the Client System does not accept the API key (401): Invalid API key".to_owned();
    evidence.manager.pause = Some((PassEnd::Unauthorized { words }, at(700)));
};
const MISCONFIGURED: Spoil = |evidence| {
    let words = "404".to_owned();
    evidence.manager.pause = Some((PassEnd::Misconfigured { words }, at(600)));
};
const STOPPED: Spoil = |evidence| {
    evidence.manager.running = false;
    evidence.manager.stopped_since = Some(at(500));
};

#[test]
fn each_state_has_its_time_and_the_first_in_the_order_wins() {
    let mut evidence = in_order();
    let verdict = evidence.verdict();
    assert_eq!((verdict.state, verdict.since), (State::Ok, at(5)));
    for (spoil, state, since) in [
        (SYNCING, State::Syncing, at(990)),
        (DEGRADED, State::Degraded, at(900)),
        (RATE_LIMITED, State::RateLimited, at(950)),
        (OFFLINE, State::Offline, at(800)),
        (UNAUTHORIZED, State::Unauthorized, at(700)),
        (MISCONFIGURED, State::Misconfigured, at(600)),
        (STOPPED, State::Stopped, at(500)),
    ] {
        let mut alone = in_order();
        spoil(&mut alone);
        assert_eq!(alone.verdict().state, state);
        spoil(&mut evidence);
        let verdict = evidence.verdict();
        assert_eq!((verdict.state, verdict.since), (state, since));
        assert!(verdict.reason.ends_with('.'), "{}", verdict.reason);
    }
}

#[test]
fn whoever_tells_of_a_key_that_is_not_accepted_says_the_same_once() {
    let mut evidence = in_order();
    UNAUTHORIZED(&mut evidence);
    let reason = evidence.verdict().reason;
    let (end, _) = evidence.manager.pause.expect("a pause");
    assert_eq!(reason.matches("accept the API key").count(), 1, "{reason}");
    let report = PassReport {
        id: 1,
        trigger: PassTrigger::Manual,
        started_at: at(0),
        finished_at: at(1),
        delivered: 12_480,
        quarantined: 0,
        failed: 0,
        requests: 1,
        end,
    };
    let problem = ControlError::PassFailed {
        report: Box::new(report),
        wait: None,
    };
    assert!(
        problem
            .to_string()
            .contains("12,480 readings were uploaded")
    );
    let (status, words) = (401, "Invalid API key".to_owned());
    let call = ControlError::Call(CallFailure::Unauthorized {
        status,
        words: words.clone(),
    });
    let found = LinkFault::Unauthorized { status, words }.finding().remedy;
    for told in [
        reason,
        problem.to_string(),
        call.to_string(),
        found,
        State::Unauthorized.remedy().to_owned(),
        ProblemKind::ClientSystemUnauthorized.remedy().to_owned(),
    ] {
        assert!(told.contains(SET_THE_RIGHT_KEY), "{told}");
    }
}

#[test]
fn no_end_is_promised_while_nothing_can_be_uploaded() {
    const FAILING: Spoil = |evidence| {
        let words = "the Client System failed (500)".to_owned();
        evidence.manager.failing_since = Some((PassEnd::GivenUp { words }, at(20)));
    };
    const SILENT: Spoil =
        |evidence| evidence.database.failing_since = Some(("locked".into(), at(10)));
    const UNCOUNTED: Spoil = |evidence| evidence.database.queue.uncounted = true;
    for spoil in [
        FAILING,
        SILENT,
        UNCOUNTED,
        RATE_LIMITED,
        OFFLINE,
        UNAUTHORIZED,
        MISCONFIGURED,
        STOPPED,
    ] {
        let mut evidence = in_order();
        assert!(!evidence.is_held_up());
        spoil(&mut evidence);
        assert!(evidence.is_held_up(), "{:?}", evidence.verdict());
    }
    for spoils in [
        [SYNCING, SYNCING],
        [SYNCING, DEGRADED],
        // What failed before may get through now: that shows in what leaves the queue.
        [SYNCING, FAILING],
    ] {
        let mut evidence = in_order();
        spoils.iter().for_each(|spoil| spoil(&mut evidence));
        assert!(!evidence.is_held_up(), "{:?}", evidence.verdict());
    }
}

#[test]
fn an_unknown_link_is_not_offline() {
    let mut evidence = in_order();
    evidence.connectivity = ConnectivityStatus::default();
    let verdict = evidence.verdict();
    assert_eq!((verdict.state, verdict.since), (State::Ok, at(0)));
    assert!(verdict.reason.contains("not known yet"));
}

#[test]
fn a_hold_that_is_over_holds_nothing() {
    let mut evidence = in_order();
    evidence.api_client.held_until = Some(at(1_000));
    assert_eq!(evidence.verdict().state, State::Ok);
}

#[test]
fn whatever_needs_attention_is_degraded() {
    let cases: [(Spoil, i64, &str); 6] = [
        (
            |evidence| {
                evidence.database.failing_since = Some(("locked".into(), at(10)));
            },
            10,
            "locked",
        ),
        (
            |evidence| evidence.actors = vec![actor(ActorState::Stopped)],
            900,
            "restart of the service",
        ),
        (|evidence| evidence.database.counted = false, 0, "counted"),
        (
            |evidence| {
                let words = "the Client System failed (500)".to_owned();
                evidence.manager.failing_since = Some((PassEnd::GivenUp { words }, at(20)));
            },
            20,
            "(500)",
        ),
        (
            |evidence| {
                evidence.database.queue.parked_batches = 2;
                evidence.database.queue.oldest_pending_at = Some(at(30));
            },
            30,
            "2 batches",
        ),
        (
            |evidence| {
                evidence.database.queue.pending = 7;
                evidence.database.queue.oldest_pending_at = Some(at(40));
            },
            940,
            "7 readings",
        ),
    ];
    for (spoil, since, word) in cases {
        let mut evidence = in_order();
        spoil(&mut evidence);
        let verdict = evidence.verdict();
        assert_eq!(
            (verdict.state, verdict.since),
            (State::Degraded, at(since)),
            "{word}"
        );
        assert!(verdict.reason.contains(word), "{}", verdict.reason);
    }
}

#[test]
fn the_first_count_may_take_a_moment() {
    let mut evidence = in_order();
    evidence.database.counted = false;
    evidence.now = at(30);
    assert_eq!(evidence.verdict().state, State::Ok);
}

#[test]
fn old_readings_are_an_alarm_unless_a_pass_takes_them_away() {
    let old = || {
        let mut evidence = in_order();
        evidence.database.queue.pending = 7;
        evidence.database.queue.oldest_pending_at = Some(at(-100_000));
        evidence
    };
    assert_eq!(old().verdict().state, State::Degraded);

    let mut just_started = old();
    just_started.now = at(1);
    assert_eq!(just_started.verdict().state, State::Degraded);

    let mut just_reachable = old();
    just_reachable.connectivity.since = Some(at(999));
    assert_eq!(just_reachable.verdict().state, State::Degraded);

    let mut not_so_old = old();
    not_so_old.database.queue.oldest_pending_at = Some(at(101));
    assert_eq!(not_so_old.verdict().state, State::Ok);

    let mut draining = old();
    SYNCING(&mut draining);
    assert_eq!(draining.verdict().state, State::Syncing);

    let mut stuck = draining;
    stuck.now = at(5_000);
    assert_eq!(stuck.verdict().state, State::Degraded);
    stuck.database.queue.drain_rate_per_s = 1.0;
    assert_eq!(stuck.verdict().state, State::Syncing);

    let mut by_hand = old();
    by_hand.automatic = false;
    let verdict = by_hand.verdict();
    assert_eq!(verdict.state, State::Degraded);
    assert!(verdict.reason.contains("ENABLE_AUTO_SYNC"));
}

#[test]
fn quarantine_is_mentioned_but_no_alarm() {
    let mut evidence = in_order();
    evidence.database.queue.quarantined = 3;
    let verdict = evidence.verdict();
    assert_eq!(verdict.state, State::Ok);
    assert!(verdict.reason.contains("3 readings are in quarantine"));
}

#[test]
fn a_queue_that_cannot_be_read_is_told_whatever_the_state() {
    let damaged = || {
        let mut evidence = in_order();
        evidence.database.failing_since = Some(("it is being saved".into(), at(10)));
        evidence.database.is_damaged = true;
        evidence.database.queue.uncounted = true;
        evidence
    };
    let verdict = damaged().with_other_trouble(damaged().verdict());
    assert_eq!((verdict.state, verdict.since), (State::Degraded, at(10)));
    assert!(
        verdict.reason.contains("it is being saved"),
        "{}",
        verdict.reason
    );
    for spoil in [RATE_LIMITED, OFFLINE, UNAUTHORIZED, MISCONFIGURED, STOPPED] {
        let mut evidence = damaged();
        spoil(&mut evidence);
        let verdict = evidence.with_other_trouble(evidence.verdict());
        assert!(verdict.state < State::Degraded);
        let reason = verdict.reason;
        assert!(reason.contains("it is being saved"), "{reason}");
        assert!(!reason.contains("no reading waits"), "{reason}");
    }
}

#[test]
fn a_salvage_tells_of_every_loss() {
    use crate::domain::store::Salvage;
    let salvage = Salvage {
        at: at(50),
        set_aside: "sync.db.damaged-1".into(),
        readings: 7,
        quarantined: 2,
        lost_at_most: Some(0),
        quarantine_lost_at_most: Some(192),
        batches_lost_at_most: Some(1),
        also_lost: vec!["the sync log".into()],
        taken_in_later: 0,
        through: 9,
        later_is_unreadable: false,
    };
    let told = |salvage: Salvage| {
        let mut evidence = in_order();
        evidence.database.salvages = vec![salvage];
        evidence.verdict().reason
    };
    let reason = told(salvage.clone());
    for words in [
        "7 readings",
        "no reading was lost",
        "2 readings are in quarantine",
        "192 readings at most that had been in quarantine",
        "1 batch on its way at most",
        "the sync log",
    ] {
        assert!(reason.contains(words), "{words}: {reason}");
    }
    let reason = told(Salvage {
        later_is_unreadable: true,
        ..salvage.clone()
    });
    assert!(reason.contains("restart them at once"), "{reason}");
    assert!(!reason.contains("as it comes"), "{reason}");
    let reason = told(Salvage {
        lost_at_most: None,
        quarantine_lost_at_most: None,
        ..salvage
    });
    assert!(!reason.contains("no reading was lost"), "{reason}");
    assert!(reason.contains("nobody can tell"), "{reason}");
}

#[test]
fn earlier_salvages_are_told_as_well() {
    use crate::domain::store::Salvage;
    let salvage = |number: u64| Salvage {
        at: at(50),
        set_aside: format!("sync.db.damaged-{number}"),
        readings: 7,
        quarantined: 0,
        lost_at_most: Some(number),
        quarantine_lost_at_most: Some(0),
        batches_lost_at_most: Some(0),
        also_lost: Vec::new(),
        taken_in_later: 0,
        through: 9,
        later_is_unreadable: number == 1,
    };
    let told = |salvages: Vec<Salvage>| {
        let mut evidence = in_order();
        evidence.database.salvages = salvages;
        evidence.verdict().reason
    };
    let reason = told(vec![salvage(2), salvage(1)]);
    for words in [
        "damaged and lies now in sync.db.damaged-2",
        "2 readings at most could not be read",
        "and that one lies in sync.db.damaged-1: 1 reading at most could not be read",
        "restart them at once",
        "remove each such file",
    ] {
        assert!(reason.contains(words), "{words}: {reason}");
    }
    let reason = told((1..=9).rev().map(salvage).collect());
    assert!(reason.contains("tells of 5 more"), "{reason}");
}

#[test]
fn a_full_disk_is_told_in_every_state_in_which_readings_stay() {
    for spoil in [RATE_LIMITED, OFFLINE, UNAUTHORIZED, MISCONFIGURED, STOPPED] {
        let mut evidence = in_order();
        spoil(&mut evidence);
        evidence.database.queue.pending = 7;
        evidence.database.queue.disk_full_since = Some(at(900));
        let reason = evidence.verdict().reason;
        assert!(
            reason.contains("7 readings are kept") && reason.contains("is full"),
            "{reason}"
        );
    }
}

#[test]
fn nothing_is_said_of_a_queue_that_nobody_has_counted() {
    for spoil in [OFFLINE, |_: &mut Evidence| {}] {
        let mut evidence = in_order();
        spoil(&mut evidence);
        evidence.database.queue.uncounted = true;
        let reason = evidence.verdict().reason;
        assert!(
            !reason.contains("no reading") && !reason.contains("All readings"),
            "{reason}"
        );
    }
}

#[actix::test]
async fn no_link_lasts_longer_than_the_process() {
    let mut clock = None;
    let control = crate::control::testing::control(|parts| clock = Some(parts.clock.clone()));
    clock
        .expect("the clock")
        .advance(std::time::Duration::from_secs(60));
    // It came up when this machine still took the time for the year 1914, and nobody had set its clock.
    let up = ConnectivityStatus {
        is_connected: true,
        since: Some(at(-56 * 365 * 86_400)),
        ..ConnectivityStatus::default()
    };
    assert_eq!(control.with_current_times(up).uptime, 60);
}
