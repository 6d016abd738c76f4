//! Counting instructions with valgrind's callgrind.

/// What runs a program so that its instructions are counted.
pub const CALLGRIND: [&str; 3] = [
    "valgrind",
    "--tool=callgrind",
    "--callgrind-out-file=/dev/null",
];

/// All instructions of a program, by what callgrind said at its end.
pub fn collected(said: &str) -> f64 {
    said.lines()
        .find_map(|line| line.split_once("Collected :")?.1.trim().parse().ok())
        .unwrap_or_else(|| panic!("valgrind tells no count: {said}"))
}
