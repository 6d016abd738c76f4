//! Reads the pages of a database file without SQLite, which gives up where a page on the way to a row is damaged.
//!
//! Knows no more of the format than it takes to find rows: <https://www.sqlite.org/fileformat2.html>. Nothing that it
//! reads is believed before it was checked against the bounds of its page and of the file.

mod btree;
mod file;
mod frame;
mod freelist;
mod gap;
mod header;
mod index;
mod leaf;
mod record;
mod start;
mod sums;
mod tree;
mod wal;

pub(super) use self::{
    file::{Pages, Use, Uses, is_cut_off},
    freelist::Freelist,
    gap::{has_doubtful_end, has_gap},
    leaf::{Row, Rows, earlier_rows, is_inner_table_page, rows},
    record::Value,
    tree::{Hole, Tree, walk, walk_above},
};

#[cfg(test)]
mod tests;
