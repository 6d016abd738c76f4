//! Every row of the table of answers, and the traps in partial success.

use std::time::Duration;

use super::*;

fn answer(status: u16, body: &str) -> Answer {
    Answer {
        date: None,
        location: None,
        offers_zstd: false,
        status,
        retry_after: None,
        body: body.as_bytes().to_vec(),
    }
}

fn meters(names: &str) -> Vec<String> {
    names.chars().map(String::from).collect()
}

fn classify_known(body: &str, names: &str, repeated: bool, keeps: Option<bool>) -> UploadOutcome {
    classify_upload(
        &answer(200, body),
        &Sending {
            meters: &meters(names),
            repeated,
            keeps_rows_on_failure: keeps,
        },
    )
}

fn classify(body: &str, names: &str) -> UploadOutcome {
    classify_known(body, names, false, None)
}

fn positions(readings: &[RejectedReading]) -> Vec<usize> {
    readings.iter().map(|reading| reading.position).collect()
}

#[track_caller]
fn assert_partly(outcome: &UploadOutcome, expected: &[usize]) {
    match outcome {
        UploadOutcome::PartlyStored { rejected } => assert_eq!(positions(rejected), expected),
        other => panic!("expected a part, got {other:?}"),
    }
}

#[track_caller]
fn assert_doubtful(outcome: &UploadOutcome, expected: &[usize]) {
    match outcome {
        UploadOutcome::Doubtful { doubtful } => assert_eq!(positions(doubtful), expected),
        other => panic!("expected doubt, got {other:?}"),
    }
}

#[test]
fn statuses_fall_into_their_classes() {
    let class = |status, body| {
        classify_upload(
            &answer(status, body),
            &Sending {
                meters: &meters("ab"),
                repeated: false,
                keeps_rows_on_failure: None,
            },
        )
        .class()
    };
    for status in [500, 502, 503, 504, 599, 408, 409, 425] {
        assert_eq!(class(status, "oops"), "server_fault", "{status}");
    }
    for status in [401, 403] {
        assert_eq!(
            class(status, r#"{"message":"Invalid API key"}"#),
            "unauthorized",
            "{status}"
        );
    }
    for status in [301, 302, 307, 308, 404, 405, 410, 418, 431] {
        assert_eq!(class(status, ""), "misconfigured", "{status}");
    }
    assert_eq!(class(400, "{}"), "refused");
    assert_eq!(class(422, "{}"), "refused");
    assert_eq!(
        class(
            422,
            r#"{"message":"Idempotency-Key was used with another body"}"#
        ),
        "key_refused"
    );
    assert_eq!(class(413, "<html>413</html>"), "too_large");
    assert_eq!(class(415, ""), "encoding_refused");
    assert_eq!(class(429, "Too many requests"), "rate_limited");
}

#[test]
fn a_503_with_a_time_to_wait_is_a_rate_limit() {
    let mut busy = answer(503, "");
    busy.retry_after = Some(Duration::from_secs(7));
    let outcome = classify_upload(
        &busy,
        &Sending {
            meters: &meters("a"),
            repeated: false,
            keeps_rows_on_failure: None,
        },
    );
    assert_eq!(
        outcome,
        UploadOutcome::RateLimited {
            status: 503,
            retry_after: Some(Duration::from_secs(7))
        }
    );
}

#[test]
fn stored_needs_success_and_every_row() {
    assert_eq!(
        classify(
            r#"{"success":true,"inserted":3,"skipped":0,"errors":[]}"#,
            "abc"
        ),
        UploadOutcome::Stored
    );
    assert_eq!(
        classify(r#"{"success":true}"#, "abc"),
        UploadOutcome::Stored
    );
    assert_eq!(
        classify(r#"{"success":true,"recordsProcessed":3}"#, "abc"),
        UploadOutcome::Stored
    );
    assert_doubtful(
        &classify(r#"{"success":true,"inserted":2}"#, "abc"),
        &[0, 1, 2],
    );
}

#[test]
fn a_body_that_cannot_be_read_decides_nothing() {
    for body in [
        "",
        "<html>ok</html>",
        r#"{"success":true,"ins"#,
        "[]",
        "null",
        r#"{"success":false}"#,
        "{}",
        r#"{"success":"yes"}"#,
    ] {
        assert_eq!(classify(body, "abc").class(), "ambiguous", "{body}");
    }
}

#[test]
fn an_aborted_transaction_stored_nothing_whatever_inserted_says() {
    let body = r#"{"success":true,"inserted":1,"skipped":2,"errors":[
        {"meter_external_id":"b","error":"numeric field overflow"},
        {"meter_external_id":"c","error":"current transaction is aborted, commands ignored until end of transaction block"}]}"#;
    assert_eq!(classify(body, "abc").class(), "refused");
}

#[test]
fn unmistakable_entries_are_taken_at_their_word() {
    let body = r#"{"success":true,"inserted":2,"skipped":1,"errors":[{"meter_external_id":"b","error":"unknown"}]}"#;
    assert_partly(&classify(body, "abc"), &[1]);
    let all_of_a_meter = r#"{"success":true,"inserted":2,"skipped":2,"errors":[{"meter_external_id":"b","error":"x"},{"meter_external_id":"b","error":"x"}]}"#;
    assert_partly(
        &classify(all_of_a_meter, "abcb".replace("cb", "bc").as_str()),
        &[1, 2],
    );
}

#[test]
fn a_lone_refusal_at_the_very_end_proves_nothing_about_the_rest() {
    let body = r#"{"success":true,"inserted":2,"skipped":1,"errors":[{"meter_external_id":"c","error":"overflow"}]}"#;
    assert_doubtful(&classify_known(body, "abc", false, None), &[0, 1, 2]);
    assert_partly(&classify_known(body, "abc", false, Some(true)), &[2]);
    match classify_known(body, "abc", false, Some(false)) {
        UploadOutcome::Refused { named, .. } => assert_eq!(positions(&named), [2]),
        other => panic!("expected a refusal, got {other:?}"),
    }
    let alone = r#"{"success":true,"inserted":0,"skipped":1,"errors":[{"meter_external_id":"a","error":"overflow"}]}"#;
    assert_partly(&classify_known(alone, "a", false, None), &[0]);
}

/// Says of the readings from one on that they were skipped: the first for one reason, those behind it for another.
fn end_skipped(names: &str, from: usize, reason: &str, behind: &str) -> String {
    let entry = |(place, meter): (usize, char)| {
        let words = if place == 0 { reason } else { behind };
        format!(r#"{{"meter_external_id":"{meter}","error":"{words}"}}"#)
    };
    let entries: Vec<_> = names.chars().skip(from).enumerate().map(entry).collect();
    format!(
        r#"{{"success":true,"inserted":{from},"skipped":{},"errors":[{}]}}"#,
        entries.len(),
        entries.join(",")
    )
}

#[test]
fn an_aborted_transaction_is_known_in_any_language() {
    let aborted = "aktuelle Transaktion wurde abgebrochen, Befehle werden bis zum Ende ignoriert";
    let classify_end = |names: &str, from, behind: &str, keeps| {
        let body = end_skipped(names, from, "Feldueberlauf", behind);
        classify_known(&body, names, false, keeps)
    };
    // Meters that occur before the failing row as well make the entries ambiguous; the end is the same.
    for (names, from) in [("abcde", 1), ("abcde", 0), ("ababa", 2), ("ab", 0)] {
        match classify_end(names, from, aborted, None) {
            UploadOutcome::Refused { named, .. } => {
                assert_eq!(positions(&named), [from], "{names}");
                assert_eq!(named[0].words, "Feldueberlauf");
            }
            other => panic!("{names}: expected a refusal, got {other:?}"),
        }
    }
    let with_one_behind = classify_end("abcde", 3, aborted, None);
    assert_doubtful(&with_one_behind, &[0, 1, 2, 3, 4]);
    let known_to_give_up = classify_end("abcde", 3, "Feldueberlauf", Some(false));
    assert_eq!(known_to_give_up.class(), "refused");
}

#[test]
fn bad_readings_at_the_end_of_a_batch_are_not_taken_for_an_aborted_transaction() {
    let same_reason = end_skipped("abcde", 2, "overflow", "overflow");
    assert_partly(&classify(&same_reason, "abcde"), &[2, 3, 4]);
    let several = r#"{"success":true,"inserted":2,"skipped":3,"errors":[
        {"meter_external_id":"c","error":"overflow"},
        {"meter_external_id":"d","error":"unknown meter"},
        {"meter_external_id":"e","error":"overflow"}]}"#;
    assert_partly(&classify(several, "abcde"), &[2, 3, 4]);
    let known_to_keep = end_skipped("abcde", 1, "overflow", "unknown meter");
    assert_partly(
        &classify_known(&known_to_keep, "abcde", false, Some(true)),
        &[1, 2, 3, 4],
    );
}

#[test]
fn a_replay_is_stored_only_on_a_repeated_key() {
    let body = r#"{"success":true,"inserted":0,"skipped":3,"errors":[]}"#;
    assert_eq!(
        classify_known(body, "abc", true, None),
        UploadOutcome::Stored
    );
    assert_doubtful(&classify_known(body, "abc", false, None), &[0, 1, 2]);
}

#[test]
fn what_does_not_say_success_is_never_taken_for_stored() {
    let refused_replay = r#"{"success":false,"inserted":0,"skipped":3,"errors":[]}"#;
    assert_eq!(
        classify_known(refused_replay, "abc", true, None).class(),
        "ambiguous"
    );
    for body in [
        r#"{"success":true,"inserted":"3"}"#,
        r#"{"success":true,"inserted":-3}"#,
        r#"{"success":true,"skipped":0.5}"#,
    ] {
        assert_eq!(classify(body, "abc").class(), "ambiguous", "{body}");
    }
    let aborted = r#"{"success":true,"inserted":3,"skipped":0,"errors":[{"meter_external_id":"a","error":"current transaction is aborted"}]}"#;
    assert_eq!(classify(aborted, "abc").class(), "refused");
}

#[test]
fn entries_that_leave_a_choice_put_all_that_may_be_meant_in_doubt() {
    let one_of_two = r#"{"success":true,"inserted":3,"skipped":1,"errors":[{"meter_external_id":"b","error":"x"}]}"#;
    assert_doubtful(&classify(one_of_two, "abbc"), &[1, 2]);
    let unnamed = r#"{"success":true,"inserted":3,"skipped":1,"errors":[{"error":"x"}]}"#;
    assert_doubtful(&classify(unnamed, "abbc"), &[0, 1, 2, 3]);
    let unknown_meter = r#"{"success":true,"inserted":3,"skipped":1,"errors":[{"meter_external_id":"z","error":"x"}]}"#;
    assert_doubtful(&classify(unknown_meter, "abbc"), &[0, 1, 2, 3]);
    let too_few = r#"{"success":true,"inserted":2,"skipped":2,"errors":[{"meter_external_id":"a","error":"x"}]}"#;
    assert_doubtful(&classify(too_few, "abbc"), &[0, 1, 2, 3]);
    let sums_disagree = r#"{"success":true,"inserted":1,"skipped":1,"errors":[{"meter_external_id":"a","error":"x"}]}"#;
    assert_doubtful(&classify(sums_disagree, "abbc"), &[0, 1, 2, 3]);
}

#[test]
fn named_indexes_are_read_once_each_and_only_inside_the_batch() {
    let body = r#"{"success":false,"message":"Validation error","errors":[
        {"type":"field","msg":"Invalid value","path":"readings[2].unit","location":"body"},
        {"type":"field","msg":"must be a number","path":"readings[0].value","location":"body"},
        {"type":"field","msg":"too long","path":"readings[2].data_point","location":"body"},
        {"type":"field","msg":"?","path":"readings[7].unit"},
        {"type":"field","msg":"?","path":"readings"}]}"#;
    match classify_upload(
        &answer(400, body),
        &Sending {
            meters: &meters("abc"),
            repeated: false,
            keeps_rows_on_failure: None,
        },
    ) {
        UploadOutcome::Refused {
            named,
            words,
            status,
        } => {
            assert_eq!(positions(&named), [0, 2]);
            assert_eq!(
                named[1].words,
                "readings[2].unit: Invalid value; readings[2].data_point: too long"
            );
            assert_eq!((words.as_str(), status), ("Validation error", 400));
        }
        other => panic!("expected a refusal, got {other:?}"),
    }
}

#[test]
fn the_servers_way_with_failing_rows_is_learned_only_from_proof() {
    let mode = |body: &str, names: &str| {
        row_failure_mode(
            &answer(200, body),
            &Sending {
                meters: &meters(names),
                repeated: false,
                keeps_rows_on_failure: None,
            },
        )
    };
    let middle = r#"{"success":true,"inserted":2,"skipped":1,"errors":[{"meter_external_id":"b","error":"unknown"}]}"#;
    assert_eq!(mode(middle, "abc"), Some(true));
    assert_eq!(mode(middle, "acb"), None);
    assert_eq!(mode(r#"{"success":true,"inserted":3}"#, "abc"), None);
    let aborted = r#"{"success":true,"inserted":1,"skipped":2,"errors":[{"meter_external_id":"b","error":"x"},{"meter_external_id":"c","error":"current transaction is aborted"}]}"#;
    assert_eq!(mode(aborted, "abc"), Some(false));
    let whole_end = end_skipped("abcd", 1, "overflow", "aborted, in other words");
    assert_eq!(mode(&whole_end, "abcd"), None);
}

#[test]
fn what_is_plainly_stored_is_seen_without_the_readings() {
    for (body, plain) in [
        (r#"{"success":true}"#, true),
        (
            r#"{"success":true,"inserted":2,"skipped":0,"errors":[]}"#,
            true,
        ),
        (r#"{"success":true,"inserted":1}"#, false),
        (r#"{"success":true,"inserted":2,"skipped":1}"#, false),
        (r#"{"success":false}"#, false),
        (
            r#"{"success":true,"errors":[{"error":"current transaction is aborted"}]}"#,
            false,
        ),
        ("[]", false),
    ] {
        assert_eq!(says_all_stored(&answer(200, body), 2), plain, "{body}");
        let stored = classify(body, "ab") == UploadOutcome::Stored;
        assert_eq!(stored, plain, "{body}");
    }
    assert!(!says_all_stored(&answer(500, r#"{"success":true}"#), 2));
}

#[test]
fn of_a_list_without_end_no_more_is_kept_than_the_batch_has_readings() {
    let entries = vec![r#"{"meter_external_id":"A","error":"e"}"#; 200_000].join(",");
    let body = format!(r#"{{"success":true,"inserted":0,"skipped":200000,"errors":[{entries}]}}"#);
    let success = Success::parse(&answer(200, &body), 2).expect("an answer");
    assert_eq!(success.errors.len(), 3);
    assert_doubtful(&classify(&body, "AB"), &[0, 1]);
}

#[test]
fn an_answer_that_says_something_twice_says_nothing() {
    let twice = r#"{"success":true,"inserted":2,"inserted":1}"#;
    assert!(!says_all_stored(&answer(200, twice), 2));
    let words = "x".repeat(100_000);
    let long = format!(r#"{{"success":false,"message":"{words}"}}"#);
    assert!(answer(500, &long).words().len() < 600);
}
