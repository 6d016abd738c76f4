//! Tests of what is taken in and what is refused.

use proptest::{collection::vec, prelude::*, sample::select};

use super::*;
use crate::domain::words::counted;

const SOUND: &str = r#"{"meter_external_id":"M-1","timestamp":"2026-01-01T01:00:00+01:00","data_point":"energy_total","value":12.340,"unit":"kWh"}"#;

fn with(field: &str, value: &str) -> String {
    let mut fields: Vec<(String, String)> = [
        ("meter_external_id", r#""M-1""#),
        ("timestamp", r#""2026-01-01T00:00:00Z""#),
        ("data_point", r#""power""#),
        ("value", "1.5"),
        ("unit", r#""kW""#),
    ]
    .into_iter()
    .filter(|(name, _)| *name != field)
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .collect();
    fields.push((field.to_owned(), value.to_owned()));
    let fields: Vec<String> = fields
        .iter()
        .map(|(name, value)| format!("\"{name}\":{value}"))
        .collect();
    format!("{{{}}}", fields.join(","))
}

fn json(body: &str) -> Result<Vec<Reading>, ControlError> {
    parse(body.as_bytes(), BodyFormat::Json)
}

fn problems(error: ControlError) -> (Vec<ReadingProblem>, usize) {
    match error {
        ControlError::InvalidReadings { problems, more } => (problems, more),
        other => panic!("{other}"),
    }
}

#[test]
fn array_object_and_lines_mean_the_same() {
    let expected = json(&format!("[{SOUND},{SOUND}]")).expect("an array");
    assert_eq!(expected.len(), 2);
    assert_eq!(expected[0].value.as_str(), "12.340");
    assert_eq!(
        expected[0].timestamp.to_string(),
        "2026-01-01T00:00:00.000Z"
    );
    assert_eq!(
        json(&format!(" {{\"readings\":[{SOUND},{SOUND}]}}")).expect("an object"),
        expected
    );
    let lines = format!("{SOUND}\r\n\n  \n{SOUND}");
    assert_eq!(
        parse(lines.as_bytes(), BodyFormat::Lines).expect("lines"),
        expected
    );
}

#[test]
fn a_unit_may_be_null_or_absent() {
    let null = json(&format!("[{}]", with("unit", "null"))).expect("valid");
    assert_eq!(null[0].unit, None);
    let absent = r#"[{"meter_external_id":"M","timestamp":"2026-01-01T00:00:00Z","data_point":"p","value":1}]"#;
    assert_eq!(json(absent).expect("valid")[0].unit, None);
}

#[test]
fn every_bad_field_is_named() {
    let long = |length| format!("\"{}\"", "ä".repeat(length));
    for (field, value) in [
        ("meter_external_id", r#""""#.to_owned()),
        ("meter_external_id", r#"" ""#.to_owned()),
        ("meter_external_id", long(256)),
        ("meter_external_id", r#""a\u0000b""#.to_owned()),
        ("meter_external_id", r#""\u200b""#.to_owned()),
        ("meter_external_id", r#""M\u202e-1""#.to_owned()),
        ("data_point", r#""power\ufeff""#.to_owned()),
        ("unit", r#""k\u00adW""#.to_owned()),
        ("data_point", long(101)),
        ("data_point", r#""a\nb""#.to_owned()),
        ("unit", long(51)),
        ("unit", r#""\u007f""#.to_owned()),
        ("timestamp", r#""2026-01-01T00:00:00""#.to_owned()),
        ("timestamp", r#""2016-12-31T23:59:60Z""#.to_owned()),
        ("timestamp", r#""1969-12-31T23:59:59Z""#.to_owned()),
        ("timestamp", r#""2101-01-01T00:00:00Z""#.to_owned()),
        ("value", r#""1.5""#.to_owned()),
        ("value", "null".to_owned()),
        ("value", "true".to_owned()),
        ("value", "1e12".to_owned()),
        ("value", "0.0001".to_owned()),
        ("value", format!("1.{}", "0".repeat(100))),
        ("colour", r#""red""#.to_owned()),
    ] {
        let body = format!("[{SOUND},{}]", with(field, &value));
        let (found, more) = problems(json(&body).expect_err(&body));
        assert_eq!((found.len(), more), (1, 0), "{body}");
        assert_eq!(found[0].index, 1);
        assert!(found[0].reason.contains(field), "{}", found[0].reason);
    }
    assert!(json(&format!("[{}]", with("meter_external_id", &long(255)))).is_ok());
}

#[test]
fn doubled_and_missing_fields_and_other_shapes_are_refused() {
    let doubled = SOUND.replacen('{', r#"{"v\u0061lue":1,"#, 1);
    for (item, word) in [
        (doubled.as_str(), "duplicate field"),
        (r#"{"meter_external_id":"M-1"}"#, "missing field"),
        ("17", "object"),
        (r#"["M-1","2026-01-01T00:00:00Z","p",1,"kW"]"#, "object"),
    ] {
        let (found, _) = problems(json(&format!("[{item}]")).expect_err(item));
        assert!(found[0].reason.contains(word), "{}", found[0].reason);
        assert!(!found[0].reason.contains("line"), "{}", found[0].reason);
    }
}

#[test]
fn all_faults_of_a_reading_are_told_at_once() {
    let body = r#"[{"meter_external_id":"","timestamp":"soon","data_point":"","value":"x"}]"#;
    let (found, _) = problems(json(body).expect_err("bad"));
    for field in ["meter_external_id", "timestamp", "data_point", "value"] {
        assert!(found[0].reason.contains(field), "{}", found[0].reason);
    }
}

#[test]
fn all_faults_are_listed_as_far_as_there_is_room() {
    let body = |reading: &str| format!("[{}]", vec![reading; MOST_READINGS].join(","));
    let (found, more) = problems(json(&body("{}")).expect_err("bad"));
    assert_eq!((found.len(), more), (MOST_READINGS, 0));
    assert_eq!(found[MOST_READINGS - 1].index, MOST_READINGS - 1);
    let long = format!(r#"{{"{}":1}}"#, "a".repeat(LONGEST_REASON));
    let error = json(&body(&long)).expect_err("bad");
    assert!(error.to_string().contains("more are not named"), "{error}");
    let (found, more) = problems(error);
    assert_eq!(found.len() + more, MOST_READINGS);
    let said: usize = found.iter().map(|problem| problem.reason.len()).sum();
    assert!((MOST_SAID - 2 * LONGEST_REASON..=MOST_SAID).contains(&said));
}

#[test]
fn a_malformed_line_is_a_fault_of_its_reading() {
    let body = format!("{SOUND}\n\n{{\"meter");
    let error = parse(body.as_bytes(), BodyFormat::Lines).expect_err("bad");
    assert_eq!(problems(error).0[0].index, 1);
}

#[test]
fn bodies_that_are_no_list_are_refused_as_a_whole() {
    for body in [
        "",
        "[",
        "null",
        "17",
        "[]",
        r#"{"readings":[]}"#,
        r#"{"readings":[],"more":1}"#,
        "[] []",
    ] {
        assert!(
            matches!(json(body), Err(ControlError::Invalid(_))),
            "{body}"
        );
    }
    assert!(matches!(
        parse(b"[\"\xff\"]", BodyFormat::Json),
        Err(ControlError::Invalid(_))
    ));
}

#[test]
fn too_many_and_too_much_are_refused() {
    let most = vec!["{}"; MOST_READINGS].join(",");
    assert!(matches!(
        json(&format!("[{most}]")),
        Err(ControlError::InvalidReadings { .. })
    ));
    assert!(matches!(
        json(&format!("[{most},{{}}]")),
        Err(ControlError::TooLarge(_))
    ));
    let lines = "{}\n".repeat(MOST_READINGS + 1);
    assert!(matches!(
        parse(lines.as_bytes(), BodyFormat::Lines),
        Err(ControlError::TooLarge(_))
    ));
    assert!(matches!(
        parse(&vec![b' '; MOST_BYTES + 1], BodyFormat::Json),
        Err(ControlError::TooLarge(_))
    ));
}

#[test]
fn keys_are_visible_ascii() {
    assert!(check_key("2f1c-9").is_ok());
    for key in ["", "a b", "ä", &"k".repeat(256)] {
        assert!(check_key(key).is_err(), "{key}");
    }
}

/// What the careful way makes of a reading is the standard for the quick one.
fn check_both_ways(text: &str) -> bool {
    let careful = judge_carefully(text);
    let quick = quick::single(text);
    if let Some(reading) = &quick {
        assert_eq!(careful.as_ref(), Ok(reading), "{text}");
    }
    for body in [
        format!("[{text}]"),
        format!(" {{ \"readings\" : [ {text} , {text} ] }} "),
    ] {
        let quickly = quick::array(&body);
        assert_eq!(quickly.is_some(), quick.is_some(), "{body}");
        assert_eq!(parse_array(&body).is_ok(), careful.is_ok(), "{body}");
        for reading in quickly.into_iter().flatten() {
            assert_eq!(Some(reading), quick, "{body}");
        }
    }
    quick.is_some()
}

#[test]
fn usual_forms_are_read_in_one_pass() {
    for text in [
        SOUND.to_owned(),
        with("unit", "null"),
        with("unit", r#""m³""#),
        with("unit", r#""m\u00b3""#),
        with("unit", r#""\\\"\/""#),
        with("unit", r#""""#),
        with("meter_external_id", r#""Zähler \u00df1\ud83d\ude00""#),
        with("meter_external_id", &format!("\"{}\"", "ä".repeat(255))),
        with("timestamp", r#""2026-01-01t00:00:00.5+05:45""#),
        with("timestamp", r#""2026-01-01T00:00:00\u005a""#),
        with("value", "-0"),
        with("value", "1.5E+1"),
        with("value", "0.50000000"),
        SOUND.replace("\":", "\"\t:  "),
        SOUND.replace(",\"", " ,\r\n\""),
    ] {
        assert!(check_both_ways(&text), "{text}");
    }
}

#[test]
fn what_is_read_in_one_pass_ends_where_it_should() {
    for body in [
        format!("[{SOUND},]"),
        format!("[{SOUND}"),
        format!("[{SOUND}]]"),
        format!("[{SOUND} {SOUND}]"),
        format!("[,{SOUND}]"),
        format!("{{\"readings\":[{SOUND}]"),
        format!("{{\"readings\":[{SOUND}],\"readings\":[{SOUND}]}}"),
        format!("{{\"readings\":[{SOUND}]}}}}"),
        format!("[{}]", SOUND.replace('}', ",}")),
        format!("[{}]", SOUND.replace("\"M-1\"", "\"M\\")),
        format!("[{}", &SOUND[..SOUND.len() - 2]),
        "[]".to_owned(),
    ] {
        assert_eq!(quick::array(&body), None, "{body}");
        assert!(parse_array(&body).is_err(), "{body}");
    }
    let most = vec![SOUND; MOST_READINGS].join(",");
    assert!(quick::array(&format!("[{most}]")).is_some());
    assert_eq!(quick::array(&format!("[{most},{SOUND}]")), None);
}

/// Fields as clients write them, well and badly.
fn some_field() -> impl Strategy<Value = String> {
    let name = select(vec![
        "meter_external_id",
        "timestamp",
        "data_point",
        "value",
        "unit",
        "v\\u0061lue",
        "colour",
    ]);
    let value = prop_oneof![
        select(vec![
            r#""M-1""#,
            r#""2026-01-01T00:00:00.000Z""#,
            r#""2026-06-01T00:00:00+02:00""#,
            r#""2101-01-01T00:00:00Z""#,
            r#""kWh""#,
            r#""m³""#,
            r#""m\u00b3""#,
            r#""\ud800""#,
            r#""\x""#,
            "\"\t\"",
            r#""\u0007""#,
            r#""""#,
            r#""  ""#,
            "null",
            "true",
            "{}",
            "[1]",
            "-",
            "1.",
            "01",
            "1e5",
            "-12.345",
            "0.0001",
            "999999999999.999",
            "1000000000000",
        ])
        .prop_map(str::to_owned),
        "-?[0-9]{1,13}(\\.[0-9]{1,4})?",
        "\"\\PC{0,6}\"",
    ];
    (name, value).prop_map(|(name, value)| format!("\"{name}\":{value}"))
}

proptest! {
    #[test]
    fn the_quick_way_takes_nothing_that_the_careful_one_does_not(
        fields in vec(some_field(), 0..7),
        between in select(vec![",", " , ", ",,", "\n,", "\u{a0},"]),
    ) {
        check_both_ways(&format!("{{{}}}", fields.join(between)));
    }

    #[test]
    fn a_reading_with_one_odd_field_is_judged_alike(field in some_field()) {
        let name = field.split('"').nth(1).unwrap_or_default();
        let value = field.split_once(':').map_or("", |(_, value)| value);
        check_both_ways(&with(name, value));
    }
}

/// Reads lines as they come in pieces that end at these places.
fn in_pieces(body: &[u8], ends: &[usize]) -> Result<Vec<Reading>, ControlError> {
    let mut lines = IncomingLines::default();
    let mut ends: Vec<usize> = ends.iter().map(|end| end % (body.len() + 1)).collect();
    ends.sort_unstable();
    let mut rest = body;
    for end in ends {
        let (piece, later) = rest.split_at(end - (body.len() - rest.len()));
        lines.push(piece);
        rest = later;
    }
    lines.push(rest);
    assert_eq!(lines.size(), body.len());
    lines.finish()
}

/// What is made of all lines at once.
fn at_once(body: &[u8]) -> Result<Vec<Reading>, ControlError> {
    let text = std::str::from_utf8(body).map_err(|error| malformed(&error))?;
    let lines = || text.lines().filter(|line| !line.trim().is_empty());
    check_count(lines().count())?;
    let mut judged = Judged::default();
    lines()
        .enumerate()
        .for_each(|(index, line)| judged.judge(index, line));
    judged.into_result()
}

#[test]
fn numbers_that_json_does_not_have_are_named_by_index() {
    let nan = with("value", "NaN");
    let infinite = with("value", "-Infinity");
    let body = format!("[{SOUND},{nan},{SOUND},{infinite}]");
    for body in [body.clone(), format!("{{\"readings\":{body}}}")] {
        let (found, more) = problems(json(&body).expect_err("no numbers"));
        let indexes: Vec<_> = found.iter().map(|problem| problem.index).collect();
        assert_eq!((indexes, more), (vec![1, 3], 0), "{found:?}");
        assert_eq!(found[0].reason, NO_NUMBER);
    }
    // In the place of a text it is refused as well.
    let (found, _) = problems(json(&format!("[{}]", with("unit", "NaN"))).expect_err("no text"));
    assert!(found[0].reason.contains("a string"), "{found:?}");
}

#[test]
fn where_a_body_breaks_off_is_told_by_index() {
    for broken in [with("value", "01"), with("value", "+1")] {
        let words = json(&format!("[{SOUND},{SOUND},{broken}]"))
            .expect_err("no JSON")
            .to_string();
        assert!(words.contains("index 2: "), "{words}");
        assert!(words.contains(" at line 1 column "), "{words}");
    }
}

#[test]
fn what_was_sent_is_not_said_back_at_length() {
    let long = "k".repeat(1_000_000);
    let reading = format!("{{\"{long}\":1}}");
    let (found, _) = problems(json(&format!("[{reading}]")).expect_err("an unknown field"));
    assert!(found[0].reason.len() < 1_000, "{}", found[0].reason.len());
    let line = parse(reading.as_bytes(), BodyFormat::Lines).expect_err("an unknown field");
    assert!(line.to_string().len() < 2_000);
    let body = json(&format!("{{\"{long}\":[]}}")).expect_err("an unknown field");
    assert!(body.to_string().len() < 1_000);
}

#[test]
fn times_that_the_database_would_cut_off_are_refused() {
    let time = |fraction: &str| with("timestamp", &format!("\"2026-01-01T00:00:00{fraction}Z\""));
    let body = [
        time(".123456"),
        time(".1234567"),
        time(""),
        time(".000000001"),
    ];
    let readings = json(&format!("[{}]", body.join(","))).expect("sound");
    assert!(check_times(&readings, 1).is_ok());
    let (found, _) = problems(check_times(&readings, 1_000).expect_err("finer"));
    let indexes: Vec<_> = found.iter().map(|problem| problem.index).collect();
    assert_eq!(indexes, [1, 3]);
}

#[test]
fn too_many_lines_are_counted_to_the_last() {
    let body = format!("{SOUND}\n").repeat(MOST_READINGS + 7);
    let found = in_pieces(body.as_bytes(), &[50_000, 1_000_000]).expect_err("too many");
    assert!(
        found
            .to_string()
            .contains(&counted(MOST_READINGS + 7, "reading", "readings")),
        "{found}"
    );
    let mut lines = IncomingLines::default();
    for _ in 0..3 {
        lines.push(&vec![b'x'; MOST_BYTES / 2]);
    }
    assert_eq!(lines.size(), MOST_BYTES / 2 * 3);
    assert!(matches!(lines.finish(), Err(ControlError::TooLarge(_))));
}

proptest! {
    #[test]
    fn lines_in_pieces_mean_the_same_as_at_once(
        lines in vec(
            select(vec![
                SOUND.as_bytes(), SOUND.as_bytes(), b"", b" ", b"\r", b"{}", b"17", b"\xff", b"\xe2\x82", b"\"\xc3\xa4\"",
            ]),
            0..8,
        ),
        between in select(vec![&b"\n"[..], b"\r\n", b"\n\n"]),
        is_ended in any::<bool>(),
        ends in vec(any::<usize>(), 0..6),
    ) {
        let mut body = lines.join(between);
        body.extend(is_ended.then_some(b'\n'));
        match (in_pieces(&body, &ends), at_once(&body)) {
            (Ok(found), Ok(expected)) => prop_assert_eq!(found, expected),
            (found, expected) => prop_assert_eq!(format!("{found:?}"), format!("{expected:?}")),
        }
    }
}
