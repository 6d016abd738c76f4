//! A table in Markdown, as it goes into a README, and how numbers look in it.

use std::fmt;

use crate::figures::Figures;

/// What stands where there is no figure.
pub const NONE: &str = "–";

pub struct Table {
    title: String,
    columns: Vec<&'static str>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// The first column tells what a row is about, the others are numbers.
    pub fn new(title: String, columns: &[&'static str]) -> Self {
        Self {
            title,
            columns: columns.to_vec(),
            rows: Vec::new(),
        }
    }

    /// A row with words in its first cell; what is missing at its end is left empty.
    pub fn row(&mut self, what: &str, numbers: impl IntoIterator<Item = String>) {
        let mut row = vec![what.to_owned()];
        row.extend(numbers);
        row.resize(self.columns.len(), NONE.to_owned());
        self.rows.push(row);
    }

    /// A row about something that could not be measured.
    pub fn refusal(&mut self, what: &str, why: &str) {
        self.row(&format!("{what}: {why}"), []);
    }
}

impl fmt::Display for Table {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "### {}\n", self.title)?;
        writeln!(formatter, "| {} |", self.columns.join(" | "))?;
        let numbers = " ---: |".repeat(self.columns.len() - 1);
        writeln!(formatter, "| --- |{numbers}")?;
        for row in &self.rows {
            writeln!(formatter, "| {} |", row.join(" | "))?;
        }
        Ok(())
    }
}

/// The columns of whatever moves readings.
pub const MOVED: [&str; 6] = [
    "CPU-s per million",
    "server CPU-s per million",
    "readings/s",
    "peak RSS MiB",
    "bytes/reading",
    "ratio to limit",
];

/// What goes under [`MOVED`].
pub fn moved(figures: &Figures, ratio: String) -> Vec<String> {
    vec![
        format!("{:.2}", figures.cpu_per_million()),
        figures
            .server_cpu_per_million()
            .map_or(NONE.to_owned(), |cpu| format!("{cpu:.2}")),
        grouped(figures.per_second()),
        format!("{:.1}", figures.peak_memory),
        format!("{:.2}", figures.bytes_per_reading()),
        ratio,
    ]
}

/// The first column's name before [`MOVED`].
pub fn columns(first: &'static str) -> Vec<&'static str> {
    let mut columns = vec![first];
    columns.extend(MOVED);
    columns
}

/// A whole number with commas between the thousands.
pub fn grouped(number: f64) -> String {
    let digits = format!("{number:.0}");
    let mut text = String::new();
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
