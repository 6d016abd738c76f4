//! Everything that is looked at, one after the other, and how it is written down.

use std::{fmt::Write, path::PathBuf};

use serde_json::json;

use super::{findings::findings, log_tail};
use crate::{
    app::diagnosis::{self, DatabaseLook},
    cli::client::{self, Failure, ServiceAddress, StatusAnswer, counted},
    domain::{
        finding::Finding, link_probe::LinkProbe, queue_shape::QueueShape, store::StoreError,
        timestamp::Timestamp,
    },
    settings::{Loaded, Report},
};

/// What was seen.
pub(super) struct Collected {
    /// Whether passes start by themselves.
    automatic: bool,
    settings: Report,
    shown_database: String,
    status: Result<StatusAnswer, Failure>,
    database: Result<DatabaseLook, StoreError>,
    link: LinkProbe,
    log: Result<String, String>,
}

impl Collected {
    /// Looks at everything. That the Client System wants to be left alone is asked of the service and of the database
    /// first.
    pub(super) async fn gather(
        loaded: &Loaded,
        address: &ServiceAddress,
        config_file: Option<PathBuf>,
    ) -> Self {
        let settings = &loaded.settings;
        let status = client::ask_status(address, config_file).await;
        let database = diagnosis::look(&settings.database).await;
        let told = status.as_ref().ok();
        let written_down = database.as_ref().ok().and_then(|look| look.queue.as_ref());
        let held_until = told
            .and_then(|told| told.status.connectivity.held_until)
            .max(written_down.and_then(|queue| queue.held_until));
        Self {
            automatic: settings.sync.auto,
            settings: loaded.report.clone(),
            shown_database: settings.database.shown(),
            status,
            database,
            link: diagnosis::probe(&settings.client_system, held_until).await,
            log: log_tail::read().await,
        }
    }

    pub(super) fn findings(&self) -> Vec<Finding> {
        let service = self.status.as_ref().map(|told| &told.status);
        findings(&self.link, &self.database, service, self.automatic)
    }

    /// A line for everything that was looked at.
    pub(super) fn overview(&self) -> String {
        let service = match &self.status {
            Ok(told) => told.headline.clone(),
            Err(Failure::NotRunning(url)) => format!("nobody listens at {url}"),
            Err(failure) => failure.to_string(),
        };
        let database = match &self.database {
            Ok(look) => look.queue.as_ref().map_or_else(
                || {
                    let missing = look.migrations.missing.len() as u64;
                    format!("lacks {}", counted(missing, "step", "steps"))
                },
                in_short,
            ),
            Err(error) => error.to_string(),
        };
        let log = match &self.log {
            Ok(lines) => counted(lines.lines().count() as u64, "line", "lines"),
            Err(words) => words.clone(),
        };
        format!(
            "{}service    {service}\ndatabase   {}: {database}\nlog        {log}\n",
            self.steps(),
            self.shown_database
        )
    }

    fn steps(&self) -> String {
        let mut lines = match &self.link.proxy {
            Some(proxy) => format!("link       {}, through the proxy {proxy}\n", self.link.url),
            None => format!("link       {}\n", self.link.url),
        };
        for step in &self.link.steps {
            let mark = if step.passed { "passed" } else { "FAILED" };
            // Writing to a String cannot fail.
            let _ = writeln!(
                lines,
                "  {:7}  {mark}  {} ({} ms)",
                step.name, step.found, step.took_ms
            );
        }
        if let Some(certificate) = &self.link.certificate {
            let _ = writeln!(lines, "  {certificate}");
        }
        lines
    }

    /// Names and contents of what goes into the archive.
    pub(super) fn files(&self, summary: &str, now: Timestamp) -> [(&'static str, String); 7] {
        [
            ("finding.txt", summary.to_owned()),
            ("about.txt", about(now)),
            ("settings.txt", self.settings_text()),
            (
                "status.json",
                self.status.as_ref().map_or_else(
                    |failure| pretty(&json!({ "not_to_be_had": failure.to_string() })),
                    |told| told.document.clone(),
                ),
            ),
            ("database.json", self.database_text()),
            ("link.json", pretty(&json!(self.link))),
            (
                "log.txt",
                self.log
                    .clone()
                    .unwrap_or_else(|words| format!("not to be had: {words}\n")),
            ),
        ]
    }

    fn settings_text(&self) -> String {
        let warnings = self.settings.warnings.iter();
        let warnings: String = warnings
            .map(|warning| format!("\nwarning: {warning}\n"))
            .collect();
        format!("{}{warnings}", self.settings)
    }

    fn database_text(&self) -> String {
        pretty(&match &self.database {
            Ok(look) => json!({
                "database": self.shown_database,
                "migrations_done": look.migrations.done,
                "migrations_missing": look.migrations.missing,
                "queue": look.queue,
            }),
            Err(error) => json!({
                "database": self.shown_database,
                "not_to_be_had": error.to_string(),
            }),
        })
    }
}

fn in_short(queue: &QueueShape) -> String {
    let set_aside: u64 = queue.quarantine.iter().map(|group| group.readings).sum();
    let batches: u64 = queue.batches.iter().map(|group| group.batches).sum();
    let oldest = queue
        .oldest_pending_at
        .map_or_else(String::new, |oldest| format!(", the oldest since {oldest}"));
    format!(
        "{} waiting{oldest}; {} under way, {} in quarantine",
        counted(queue.pending, "reading", "readings"),
        counted(batches, "batch", "batches"),
        counted(set_aside, "reading", "readings"),
    )
}

fn about(now: Timestamp) -> String {
    let system = std::fs::read_to_string("/proc/version").unwrap_or_default();
    format!(
        "meterit-sync {}\nwritten at {now} by this machine's clock\n{system}",
        env!("CARGO_PKG_VERSION")
    )
}

fn pretty(value: &serde_json::Value) -> String {
    format!("{value:#}\n")
}
