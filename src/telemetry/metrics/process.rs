//! What the kernel counts of this process, under the names that every process's figures have. Read when somebody asks.

use prometheus::{Counter, Gauge, Registry};

use super::declare::DeclareCommon;

/// The figures of this process.
pub(super) struct ProcessMetrics {
    cpu_seconds: Counter,
    resident_memory: Gauge,
    open_descriptors: Gauge,
    most_descriptors: Gauge,
}

/// The figures as they are at one moment.
struct Figures {
    cpu_seconds: f64,
    resident_bytes: f64,
    open_descriptors: f64,
    most_descriptors: f64,
    /// Seconds since 1970.
    started_at: f64,
}

impl ProcessMetrics {
    /// Declares them where the kernel tells them; none elsewhere.
    pub(super) fn declare(registry: &Registry) -> Result<Option<Self>, prometheus::Error> {
        let Some(figures) = figures() else {
            return Ok(None);
        };
        let declare = DeclareCommon(registry);
        let started_at = declare.real(
            "process_start_time_seconds",
            "When the process started, in seconds since 1970.",
        )?;
        started_at.set(figures.started_at);
        Ok(Some(Self {
            cpu_seconds: declare.counter(
                "process_cpu_seconds_total",
                "CPU time that the process took, in its own code and in the kernel's, in seconds.",
            )?,
            resident_memory: declare.real(
                "process_resident_memory_bytes",
                "Memory that the process holds.",
            )?,
            open_descriptors: declare.real(
                "process_open_fds",
                "Files, sockets and the like that the process has open.",
            )?,
            most_descriptors: declare.real(
                "process_max_fds",
                "How many of those it may have open; +Inf without a limit.",
            )?,
        }))
    }

    pub(super) fn show(&self) {
        let Some(figures) = figures() else { return };
        let more = figures.cpu_seconds - self.cpu_seconds.get();
        self.cpu_seconds.inc_by(more.max(0.0));
        self.resident_memory.set(figures.resident_bytes);
        self.open_descriptors.set(figures.open_descriptors);
        self.most_descriptors.set(figures.most_descriptors);
    }
}

#[cfg(target_os = "linux")]
fn figures() -> Option<Figures> {
    use procfs::{page_size, process, ticks_per_second};

    let process = process::Process::myself().ok()?;
    let stat = process.stat().ok()?;
    let most = process.limits().ok()?.max_open_files.soft_limit;
    let ticks = ticks_per_second() as f64;
    Some(Figures {
        cpu_seconds: (stat.utime + stat.stime) as f64 / ticks,
        resident_bytes: (stat.rss * page_size()) as f64,
        open_descriptors: process.fd_count().ok()? as f64,
        most_descriptors: match most {
            process::LimitValue::Unlimited => f64::INFINITY,
            process::LimitValue::Value(most) => most as f64,
        },
        started_at: booted_at() + stat.starttime as f64 / ticks,
    })
}

/// Seconds since 1970. The clocks tell it, for a unit that sees nothing but processes in /proc has no /proc/stat.
#[cfg(target_os = "linux")]
fn booted_at() -> f64 {
    use rustix::time::{ClockId, clock_gettime};

    let seconds = |clock| {
        let time = clock_gettime(clock);
        time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
    };
    seconds(ClockId::Realtime) - seconds(ClockId::Boottime)
}

#[cfg(not(target_os = "linux"))]
fn figures() -> Option<Figures> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    #[expect(
        clippy::disallowed_methods,
        reason = "the kernel goes by the machine's clock"
    )]
    fn the_kernel_tells() {
        let figures = figures().expect("told");
        let age = chrono::Utc::now().timestamp() as f64 - figures.started_at;
        assert!((-2.0..3600.0).contains(&age), "{age}");
        assert!(figures.resident_bytes > 1e5 && figures.resident_bytes < 1e10);
        assert!((3.0..=figures.most_descriptors).contains(&figures.open_descriptors));
        assert!(figures.cpu_seconds < 3600.0);
    }
}
