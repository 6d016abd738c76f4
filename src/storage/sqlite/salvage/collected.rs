//! Rows of one table while enough of them are collected to be handed over.

use std::io;

use super::{
    known::TABLES,
    pages::{Row, Rows, Value, rows},
    plan::{Batch, Doubt, Find, Plan},
};

/// Rows that are handed over at once, and bytes.
pub(super) const ROWS: usize = 2_000;
const BYTES: usize = 4 << 20;

/// Rows that wait to be handed over together.
pub(super) struct Collected {
    table: usize,
    doubt: Option<Doubt>,
    is_orphaned: bool,
    rows: Vec<Vec<Value>>,
    bytes: usize,
}

impl Collected {
    pub(super) fn new(table: usize, doubt: Option<Doubt>, is_orphaned: bool) -> Self {
        Self {
            table,
            doubt,
            is_orphaned,
            rows: Vec::new(),
            bytes: 0,
        }
    }

    pub(super) fn add(
        &mut self,
        plan: &Plan,
        page: u32,
        take: &mut impl FnMut(Find) -> io::Result<()>,
    ) -> io::Result<()> {
        let found = rows(&plan.pages, page).unwrap_or_default();
        self.add_rows(plan, found, take)
    }

    /// What is added from here on may be of another kind.
    pub(super) fn turn_to(
        &mut self,
        doubt: Option<Doubt>,
        is_orphaned: bool,
        take: &mut impl FnMut(Find) -> io::Result<()>,
    ) -> io::Result<()> {
        if (doubt, is_orphaned) != (self.doubt, self.is_orphaned) {
            self.flush(take)?;
        }
        (self.doubt, self.is_orphaned) = (doubt, is_orphaned);
        Ok(())
    }

    pub(super) fn add_rows(
        &mut self,
        plan: &Plan,
        found: Rows,
        take: &mut impl FnMut(Find) -> io::Result<()>,
    ) -> io::Result<()> {
        let (Some(known), Some(planned)) = (TABLES.get(self.table), plan.tables.get(self.table))
        else {
            return Ok(());
        };
        for row in found.rows {
            self.bytes += size(&row);
            self.rows.push(known.values(row, &planned.layout));
        }
        if self.rows.len() >= ROWS || self.bytes >= BYTES {
            self.flush(take)?;
        }
        Ok(())
    }

    pub(super) fn flush(
        &mut self,
        take: &mut impl FnMut(Find) -> io::Result<()>,
    ) -> io::Result<()> {
        self.bytes = 0;
        if self.rows.is_empty() {
            return Ok(());
        }
        take(Find::Rows(Batch {
            table: self.table,
            rows: std::mem::take(&mut self.rows),
            doubt: self.doubt,
            is_orphaned: self.is_orphaned,
        }))
    }
}

fn size(row: &Row) -> usize {
    let sizes = row.values.iter().map(|value| match value {
        Value::Text(bytes) | Value::Blob(bytes) => bytes.len(),
        _ => 8,
    });
    sizes.sum()
}
