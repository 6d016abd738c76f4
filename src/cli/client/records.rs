//! `stats`, `log`, `readings` and `meters`: what the Sync Database holds.

use std::path::PathBuf;

use clap::Args;

use super::{
    Asking,
    failure::Failure,
    service::Request,
    text::{counted, facts, one_line, or_nothing, table},
};
use crate::{
    cli::exit::Exit,
    domain::{
        meter::Meter,
        reading::ReadingRow,
        store::Page,
        sync_log::{SyncLogEntry, SyncStats},
    },
};

/// Which part of a list is wanted.
#[derive(Debug, Args)]
pub(super) struct WindowArguments {
    /// Show so many at most
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    limit: u32,
    /// Pass over so many first
    #[arg(long, default_value_t = 0)]
    offset: u32,
}

impl WindowArguments {
    /// Asks for this part of a list.
    pub(super) fn of(&self, request: Request) -> Request {
        request
            .with("limit", self.limit)
            .with("offset", self.offset)
            .of_database()
    }

    /// The table, and how much there is besides.
    pub(super) fn page<T>(
        &self,
        page: &Page<T>,
        heading: &[&str],
        row: impl Fn(&T) -> Vec<String>,
    ) -> String {
        if page.items.is_empty() {
            let none = match page.total {
                0 => "none".to_owned(),
                total => format!("none beyond --offset {}; there are {total}", self.offset),
            };
            return format!("{none}\n");
        }
        let shown = table(heading, page.items.iter().map(row));
        let next = u64::from(self.offset) + page.items.len() as u64;
        if u64::try_from(page.total).is_ok_and(|total| next < total) {
            return format!(
                "{shown}\n{} of {}; --offset {next} shows those that follow\n",
                page.items.len(),
                page.total
            );
        }
        shown
    }
}

#[derive(Debug, Args)]
pub(in crate::cli) struct StatsArguments {
    /// Count the last hours, so many
    #[arg(long, default_value_t = 24, value_parser = clap::value_parser!(u32).range(1..=87_600))]
    hours: u32,
    #[command(flatten)]
    asking: Asking,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct LogArguments {
    #[command(flatten)]
    window: WindowArguments,
    #[command(flatten)]
    asking: Asking,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct ReadingsArguments {
    /// Only readings of this meter, by the Client System's name for it
    #[arg(long)]
    meter: Option<String>,
    /// Only readings measured in the last hours, so many
    #[arg(long, default_value_t = 24, value_parser = clap::value_parser!(u32).range(1..=876_000))]
    hours: u32,
    #[command(flatten)]
    window: WindowArguments,
    #[command(flatten)]
    asking: Asking,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct MetersArguments {
    #[command(flatten)]
    window: WindowArguments,
    #[command(flatten)]
    asking: Asking,
}

pub(super) async fn stats(
    arguments: &StatsArguments,
    config_file: Option<PathBuf>,
) -> Result<Exit, Failure> {
    let request = Request::get("/api/v1/sync/stats")
        .with("hours", arguments.hours)
        .of_database();
    let asking = &arguments.asking;
    asking
        .show(config_file, request, |stats| sums(stats, arguments.hours))
        .await
}

pub(super) async fn log(
    arguments: &LogArguments,
    config_file: Option<PathBuf>,
) -> Result<Exit, Failure> {
    let window = &arguments.window;
    let request = window.of(Request::get("/api/v1/sync/log"));
    let heading = ["id", "time", "readings", "outcome"];
    let asking = &arguments.asking;
    asking
        .show(config_file, request, |page| {
            window.page(page, &heading, log_row)
        })
        .await
}

pub(super) async fn readings(
    arguments: &ReadingsArguments,
    config_file: Option<PathBuf>,
) -> Result<Exit, Failure> {
    let window = &arguments.window;
    let request = Request::get("/api/v1/readings")
        .with_any("meter", arguments.meter.as_deref())
        .with("hours", arguments.hours);
    let heading = [
        "id",
        "measured",
        "meter",
        "data point",
        "value",
        "unit",
        "uploaded",
    ];
    let asking = &arguments.asking;
    asking
        .show(config_file, window.of(request), |page| {
            window.page(page, &heading, reading_row)
        })
        .await
}

pub(super) async fn meters(
    arguments: &MetersArguments,
    config_file: Option<PathBuf>,
) -> Result<Exit, Failure> {
    let window = &arguments.window;
    let request = window.of(Request::get("/api/v1/meters"));
    let heading = ["id", "meter", "active", "last reading", "name"];
    let asking = &arguments.asking;
    asking
        .show(config_file, request, |page| {
            window.page(page, &heading, meter_row)
        })
        .await
}

fn sums(stats: &SyncStats, hours: u32) -> String {
    let rows = [
        ("batches", stats.total_syncs.to_string()),
        ("stored", stats.successful_syncs.to_string()),
        ("given up", stats.failed_syncs.to_string()),
        ("readings stored", stats.total_readings_synced.to_string()),
        ("success", format!("{:.2} %", stats.success_rate)),
    ];
    format!(
        "in the last {}:\n{}",
        counted(hours, "hour", "hours"),
        facts(&rows)
    )
}

fn log_row(entry: &SyncLogEntry) -> Vec<String> {
    let outcome = match (entry.success, &entry.error_message) {
        (true, None) => "stored".to_owned(),
        (true, Some(words)) => format!("stored: {}", one_line(words)),
        (false, words) => format!("failed: {}", or_nothing(words.as_deref())),
    };
    vec![
        entry.id.to_string(),
        or_nothing(entry.synced_at),
        entry.batch_size.to_string(),
        outcome,
    ]
}

fn reading_row(reading: &ReadingRow) -> Vec<String> {
    vec![
        reading.id.to_string(),
        or_nothing(reading.timestamp.as_deref()),
        or_nothing(reading.meter_external_id.as_deref()),
        or_nothing(reading.data_point.as_deref()),
        or_nothing(reading.value.as_ref()),
        or_nothing(reading.unit.as_deref()),
        yes_or_no(reading.is_synchronized),
    ]
}

fn meter_row(meter: &Meter) -> Vec<String> {
    vec![
        meter.id.to_string(),
        one_line(&meter.external_id),
        yes_or_no(meter.is_active),
        or_nothing(meter.last_reading_at),
        one_line(&meter.name),
    ]
}

fn yes_or_no(is_so: bool) -> String {
    if is_so { "yes" } else { "no" }.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(offset: u32) -> WindowArguments {
        WindowArguments { limit: 2, offset }
    }

    fn page(total: i64, items: Vec<&str>) -> Page<&str> {
        Page { total, items }
    }

    fn row(item: &&str) -> Vec<String> {
        vec![(*item).to_owned()]
    }

    #[test]
    fn a_page_tells_how_much_there_is_besides() {
        let heading = ["name"];
        assert_eq!(
            window(2).page(&page(5, vec!["a", "b"]), &heading, row),
            "NAME\na\nb\n\n2 of 5; --offset 4 shows those that follow\n"
        );
        assert_eq!(
            window(4).page(&page(5, vec!["e"]), &heading, row),
            "NAME\ne\n"
        );
        assert_eq!(window(0).page(&page(0, vec![]), &heading, row), "none\n");
        assert_eq!(
            window(9).page(&page(5, vec![]), &heading, row),
            "none beyond --offset 9; there are 5\n"
        );
    }

    #[test]
    fn sums_and_rows_are_short() {
        assert_eq!(
            sums(&SyncStats::new(2, 1, 2000), 24),
            "in the last 24 hours:\n\
             batches          3\n\
             stored           2\n\
             given up         1\n\
             readings stored  2000\n\
             success          66.67 %\n"
        );
        let entry = SyncLogEntry {
            id: 7,
            batch_size: 3,
            success: false,
            error_message: Some("500\nInternal".to_owned()),
            synced_at: None,
        };
        assert_eq!(log_row(&entry), ["7", "–", "3", "failed: 500 Internal"]);
    }
}
