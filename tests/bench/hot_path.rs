//! The guard of the hot path: how many instructions each step that every reading goes through may take.
//!
//! ```sh
//! tests/instructions
//! ```
//!
//! Instructions are counted by valgrind's callgrind. Unlike times they are the same on a busy machine, and on nearly every
//! other one: valgrind shows the same processor to the program wherever there is one with AVX2. Each step is run on the
//! same thousand readings so often and twice as often; the difference is what it takes, without the start of the program.
//!
//! When a step takes more than its bound, find out why (`valgrind --tool=callgrind target/release/deps/hot_path-… count
//! STEP 10`, then `callgrind_annotate`). If it has to be so, for the sake of something that is worth it, or because another
//! compiler or library counts otherwise, write the number that is printed into [`STEPS`] and say in the commit what it was
//! paid for.
#![expect(
    clippy::expect_used,
    reason = "a count that cannot be taken should end the program, with words"
)]

mod callgrind;
#[expect(
    dead_code,
    reason = "the drain looks readings up, which is not done here"
)]
mod readings;

use std::{
    env,
    hint::black_box,
    process::{Command, ExitCode, Stdio},
};

use callgrind::{CALLGRIND, collected};
use meterit_sync::{
    control::{BodyFormat, parse_readings},
    domain::{
        compression::Compression,
        reading::{RawCell, RawReading, Reading},
        reading_ids::ReadingIds,
        rows_digest::RowsDigest,
        timestamp::Timestamp,
    },
    upstream::{answer::Answer, body, classify::says_all_stored},
};

/// Something that is done with every reading.
struct Step {
    name: &'static str,
    /// Instructions for each reading.
    bound: f64,
    /// Does it so often with a thousand readings.
    run: fn(usize),
}

/// Recorded with rustc 1.95 on x86-64, profile `release`.
const STEPS: [Step; 10] = [
    step("read-times", 225.0, read_times),
    step("judge-rows", 687.0, judge_rows),
    step("digest", 389.3, digest),
    step("serialise", 511.5, serialise),
    step("compress", 4467.0, compress),
    step("compress-zstd", 974.7, compress_zstd),
    step("sets-of-ids", 35.1, sets_of_ids),
    step("plain-success", 3.2, plain_success),
    step("take-in", 2824.0, take_in),
    step("take-in-lines", 3373.8, take_in_lines),
];
/// A step may take so much more than its bound before that is a failure.
const TOLERANCE: f64 = 0.05;
/// Readings in a batch, and in a request.
const BATCH: usize = 1_000;
/// The smaller of the two numbers of repetitions.
const REPETITIONS: usize = 10;
/// What is asked of this program when it is counted.
const COUNT: &str = "count";

const fn step(name: &'static str, bound: f64, run: fn(usize)) -> Step {
    Step { name, bound, run }
}

fn main() -> ExitCode {
    // Cargo says `--bench` to every benchmark.
    let words: Vec<String> = env::args()
        .skip(1)
        .filter(|word| word != "--bench")
        .collect();
    match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => guard(),
        [COUNT, name, repetitions] => {
            let step = STEPS.iter().find(|step| step.name == name);
            let step = step.expect("the name of a step");
            (step.run)(repetitions.parse().expect("a number of repetitions"));
            ExitCode::SUCCESS
        }
        _ => {
            eprintln!("hot_path takes no arguments, or `{COUNT} STEP REPETITIONS`");
            ExitCode::from(2)
        }
    }
}

/// Counts every step and compares it with its bound.
fn guard() -> ExitCode {
    let mut is_exceeded = false;
    println!("| step | instructions per reading | bound | change |\n| --- | ---: | ---: | ---: |");
    for step in &STEPS {
        let counted = instructions_per_reading(step);
        let change = counted / step.bound - 1.0;
        println!(
            "| {} | {counted:.1} | {:.1} | {:+.1} % |",
            step.name,
            step.bound,
            change * 100.0
        );
        is_exceeded |= change > TOLERANCE;
        if change < -TOLERANCE {
            eprintln!("{}: well below its bound, which can be lowered", step.name);
        }
    }
    if !cfg!(target_arch = "x86_64") {
        eprintln!("the bounds are those of x86-64, so nothing was compared on this machine");
        return ExitCode::SUCCESS;
    }
    if is_exceeded {
        eprintln!(
            "a step takes more instructions than its bound allows ({:.0} % are tolerated); find out why, or record \
             the new number with its reason, as the head of tests/bench/hot_path.rs says",
            TOLERANCE * 100.0
        );
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

fn instructions_per_reading(step: &Step) -> f64 {
    let once = instructions(step.name, REPETITIONS);
    let twice = instructions(step.name, 2 * REPETITIONS);
    (twice - once) / (REPETITIONS * BATCH) as f64
}

/// All instructions of this program when it does so much.
fn instructions(step: &str, repetitions: usize) -> f64 {
    let program = env::current_exe().expect("this program has a name");
    // Nothing of the environment gets through, since the C library obeys some of it.
    let [valgrind, arguments @ ..] = CALLGRIND;
    let output = Command::new(valgrind)
        .args(arguments)
        .arg(program)
        .args([COUNT, step, &repetitions.to_string()])
        .env_clear()
        .envs(env::var_os("PATH").map(|path| ("PATH", path)))
        .stdin(Stdio::null())
        .output()
        .expect("valgrind must be installed; tests/instructions does so");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "valgrind failed: {said}");
    collected(&said)
}

/// What lies in SQLite as text; mostly the one before is the same, which is found without this.
fn read_times(repetitions: usize) {
    let times = readings::readings(BATCH).map(|reading| reading.time());
    let texts: Vec<String> = times
        .map(|time| time.format("%Y-%m-%d %H:%M:%S").to_string())
        .collect();
    for _ in 0..repetitions {
        for text in black_box(&texts) {
            black_box(Timestamp::parse_stored(text));
        }
    }
}

/// By what rows are known again that nobody has touched.
fn digest(repetitions: usize) {
    let rows = rows();
    for _ in 0..repetitions {
        black_box(RowsDigest::of(black_box(&rows)));
    }
}

/// From cells of the Sync Database to readings; making the cells is a part of it.
fn judge_rows(repetitions: usize) {
    let rows = rows();
    for _ in 0..repetitions {
        for row in black_box(&rows) {
            let reading = row.clone().parse();
            black_box(&reading);
        }
    }
}

/// From readings to the JSON body of an upload.
fn serialise(repetitions: usize) {
    let readings = judged();
    for _ in 0..repetitions {
        black_box(body::encode(black_box(&readings)));
    }
}

/// From the JSON body to what is kept and sent.
fn compress(repetitions: usize) {
    compress_as(Compression::Gzip, repetitions);
}

fn compress_zstd(repetitions: usize) {
    compress_as(Compression::Zstd, repetitions);
}

fn compress_as(compression: Compression, repetitions: usize) {
    let json = body::encode(&judged());
    for _ in 0..repetitions {
        black_box(body::compress(black_box(&json), compression));
    }
}

/// What a manifest writes down about its readings, reads back, and hands to the settlement.
fn sets_of_ids(repetitions: usize) {
    // Another program's insert that came late makes a gap.
    let ids: Vec<i64> = (1..=BATCH as i64).map(|id| id + id / 500).collect();
    for _ in 0..repetitions {
        let set: ReadingIds = black_box(&ids).iter().copied().collect();
        let kept = ReadingIds::decode(black_box(&set.encode())).expect("an own set");
        black_box((kept.len(), kept.iter().last(), kept.run_containing(500)));
        black_box(kept.runs());
    }
}

/// Seeing that an answer says that everything is stored, once for a batch.
fn plain_success(repetitions: usize) {
    let answer = Answer {
        date: None,
        location: None,
        offers_zstd: false,
        status: 200,
        retry_after: None,
        body: br#"{"success":true,"message":"Readings processed","inserted":1000,"skipped":0}"#
            .to_vec(),
    };
    for _ in 0..repetitions {
        assert!(black_box(says_all_stored(black_box(&answer), BATCH)));
    }
}

/// Reading and judging a request of the local API.
fn take_in(repetitions: usize) {
    let request = format!("[{}]", requested(","));
    take_in_as(BodyFormat::Json, &request, repetitions);
}

/// The same, with one reading per line.
fn take_in_lines(repetitions: usize) {
    take_in_as(BodyFormat::Lines, &requested("\n"), repetitions);
}

fn take_in_as(format: BodyFormat, request: &str, repetitions: usize) {
    for _ in 0..repetitions {
        let readings = parse_readings(black_box(request.as_bytes()), format);
        assert_eq!(black_box(readings).expect("good readings").len(), BATCH);
    }
}

/// What another program has left in SQLite, as it is read.
fn rows() -> Vec<RawReading> {
    readings::readings(BATCH)
        .map(|reading| RawReading {
            id: reading.number as i64,
            meter_external_id: RawCell::Text(reading.meter().into()),
            timestamp: RawCell::Time(reading.time().into()),
            data_point: RawCell::Text(reading.point().name.into()),
            value: RawCell::Real(reading.thousandths as f64 / 1000.0),
            unit: RawCell::Text(reading.point().unit.into()),
            writer: None,
        })
        .collect()
}

fn judged() -> Vec<Reading> {
    let judged = rows().into_iter().map(RawReading::parse);
    judged.collect::<Result<_, _>>().expect("good rows")
}

/// Readings as other programs send them.
fn requested(between: &str) -> String {
    let in_json = readings::readings(BATCH).map(|reading| {
        let mut json = String::new();
        reading.write_json(&mut json);
        json
    });
    in_json.collect::<Vec<_>>().join(between)
}
