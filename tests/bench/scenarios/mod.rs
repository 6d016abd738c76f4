//! What is measured, a file for every table.

pub mod drain;
pub mod idle;
pub mod ingestion;
pub mod instructions;
pub mod latency;
pub mod neighbours;
pub mod scaling;
pub mod status;

use crate::{
    Bench,
    draining::{self, Plan},
    engines::Engine,
    table::{Table, moved},
};

/// Measures a drain with the default compression for a row of the table. False, with the reason in the row, where this version
/// does not know one of the settings.
fn add_drain(
    table: &mut Table,
    part: &str,
    what: &str,
    bench: &Bench,
    engine: &mut dyn Engine,
    plan: &Plan<'_>,
) -> bool {
    match draining::repeat(bench, engine, plan, &format!("{part}, {what}")) {
        Ok((figures, encoding)) => {
            let limits = bench.limits();
            let ratio = limits.ratio_of_drain(&figures, "default", &encoding);
            table.row(what, moved(&figures, ratio));
            true
        }
        Err(refusal) => {
            table.refusal(what, &refusal.0);
            false
        }
    }
}
