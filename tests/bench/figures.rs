//! The figures of one run, and the medians of several.

/// What it took to move so many readings.
#[derive(Clone, Copy, Debug, Default)]
pub struct Figures {
    pub readings: usize,
    /// CPU seconds of the process that is measured.
    pub cpu: f64,
    /// CPU seconds of the database server, where there is one that can be seen.
    pub server_cpu: Option<f64>,
    /// Seconds on the clock.
    pub wall: f64,
    /// The most memory that the process had, in MiB.
    pub peak_memory: f64,
    /// Bytes of all request bodies.
    pub bytes: f64,
}

impl Figures {
    pub fn cpu_per_million(&self) -> f64 {
        self.cpu / self.millions()
    }

    pub fn server_cpu_per_million(&self) -> Option<f64> {
        self.server_cpu.map(|cpu| cpu / self.millions())
    }

    pub fn per_second(&self) -> f64 {
        self.readings as f64 / self.wall
    }

    pub fn bytes_per_reading(&self) -> f64 {
        self.bytes / self.readings as f64
    }

    fn millions(&self) -> f64 {
        self.readings as f64 / 1e6
    }

    /// Each figure's own median.
    pub fn medians(runs: &[Self]) -> Self {
        let of = |figure: fn(&Self) -> f64| median(runs.iter().map(figure).collect());
        let servers: Option<Vec<f64>> = runs.iter().map(|run| run.server_cpu).collect();
        Self {
            readings: runs.first().map_or(0, |run| run.readings),
            cpu: of(|run| run.cpu),
            server_cpu: servers.map(median),
            wall: of(|run| run.wall),
            peak_memory: of(|run| run.peak_memory),
            bytes: of(|run| run.bytes),
        }
    }
}

/// The middle one; of an even number what lies halfway between the two.
pub fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    let upper = numbers.len() / 2;
    let lower = numbers.len().saturating_sub(1) / 2;
    let at = |middle: usize| numbers.get(middle).copied().unwrap_or(f64::NAN);
    f64::midpoint(at(lower), at(upper))
}
