//! The README tells every state and every problem in the words that are told here.

use crate::{control::ProblemKind, domain::status::State, http::problem::status_of};

const README: &str = include_str!("../../../README.md");

/// The rows of the table with this heading.
fn rows(heading: &str) -> Vec<&'static str> {
    let (_, table) = README.split_once(heading).expect(heading);
    table
        .lines()
        .skip(2)
        .take_while(|line| line.starts_with('|'))
        .collect()
}

#[test]
fn the_readme_tells_all_states_in_their_order() {
    let told: Vec<String> = State::ALL
        .iter()
        .map(|state| {
            let name = serde_json::to_value(state).unwrap();
            assert_eq!(name, state.name());
            format!(
                "| `{}` | {} | {} |",
                state.name(),
                state.meaning(),
                state.remedy()
            )
        })
        .collect();
    assert_eq!(rows("| state | what it means | what to do |"), told);
}

#[test]
fn the_readme_tells_all_problems() {
    let told: Vec<String> = ProblemKind::ALL
        .iter()
        .map(|kind| {
            format!(
                "| `{}` | {} | {} | {} |",
                kind.name(),
                status_of(*kind).as_u16(),
                kind.title(),
                kind.remedy()
            )
        })
        .collect();
    assert_eq!(
        rows("| problem | status | what happened | what to do |"),
        told
    );
}
