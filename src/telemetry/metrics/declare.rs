//! How a metric is declared: under which name, and in which registry.

use prometheus::{
    Counter, Gauge, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge,
    IntGaugeVec, Opts, Registry, core::Collector,
};

/// Declares the service's own metrics; their names begin with `meterit_sync_`.
pub(super) struct Declare<'a>(pub(super) &'a Registry);

impl Declare<'_> {
    pub(super) fn gauge(&self, name: &str, help: &str) -> Result<IntGauge, prometheus::Error> {
        register(self.0, IntGauge::with_opts(own(name, help))?)
    }

    pub(super) fn gauges(
        &self,
        name: &str,
        help: &str,
        labels: &[&str],
    ) -> Result<IntGaugeVec, prometheus::Error> {
        register(self.0, IntGaugeVec::new(own(name, help), labels)?)
    }

    pub(super) fn real(&self, name: &str, help: &str) -> Result<Gauge, prometheus::Error> {
        register(self.0, Gauge::with_opts(own(name, help))?)
    }

    pub(super) fn counter(&self, name: &str, help: &str) -> Result<IntCounter, prometheus::Error> {
        register(self.0, IntCounter::with_opts(own(name, help))?)
    }

    pub(super) fn counters(
        &self,
        name: &str,
        help: &str,
        label: &str,
    ) -> Result<IntCounterVec, prometheus::Error> {
        register(self.0, IntCounterVec::new(own(name, help), &[label])?)
    }

    pub(super) fn histogram(
        &self,
        name: &str,
        help: &str,
        buckets: &[f64],
    ) -> Result<Histogram, prometheus::Error> {
        let opts = HistogramOpts::from(own(name, help)).buckets(buckets.to_vec());
        register(self.0, Histogram::with_opts(opts)?)
    }

    pub(super) fn histograms(
        &self,
        name: &str,
        help: &str,
        label: &str,
        buckets: &[f64],
    ) -> Result<HistogramVec, prometheus::Error> {
        let opts = HistogramOpts::from(own(name, help)).buckets(buckets.to_vec());
        register(self.0, HistogramVec::new(opts, &[label])?)
    }
}

/// Declares what every process tells under the same names.
pub(super) struct DeclareCommon<'a>(pub(super) &'a Registry);

impl DeclareCommon<'_> {
    pub(super) fn real(&self, name: &str, help: &str) -> Result<Gauge, prometheus::Error> {
        register(self.0, Gauge::new(name, help)?)
    }

    pub(super) fn counter(&self, name: &str, help: &str) -> Result<Counter, prometheus::Error> {
        register(self.0, Counter::new(name, help)?)
    }
}

fn own(name: &str, help: &str) -> Opts {
    Opts::new(name, help).namespace("meterit_sync")
}

fn register<C: Collector + Clone + 'static>(
    registry: &Registry,
    metric: C,
) -> Result<C, prometheus::Error> {
    registry.register(Box::new(metric.clone()))?;
    Ok(metric)
}
