//! Metrics in the names and units of the Prometheus conventions. The registry belongs to one
//! server, so that several can live in one process.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use metrics::{
    Counter, Histogram, Key, KeyName, Label, Level, Metadata, Recorder as _, SharedString, Unit,
};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle, PrometheusRecorder};
use runstone_model::limit::Limited;
use runstone_store::StoreMetrics;

/// Bounds of the histogram of durations, in seconds.
const DURATION_BUCKETS: [f64; 13] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0,
];

const METADATA: Metadata<'static> =
    Metadata::new(module_path!(), Level::INFO, Some(module_path!()));

/// The registry.
pub(crate) struct Metrics {
    recorder: PrometheusRecorder,
    handle: PrometheusHandle,
    /// Where requests are counted, by route, method and status: found without building the name.
    requests: RwLock<HashMap<String, Vec<RequestSeries>>>,
    /// Where reports are counted, by outcome.
    reports: [(&'static str, Counter); 6],
}

type RequestSeries = (&'static str, u16, Histogram);

/// What can become of a report.
const OUTCOMES: [&str; 6] = [
    "identical",
    "same_elements",
    "same_artifacts",
    "snapshot",
    "replayed",
    "imported",
];

const DURATION: &str = "http_request_duration_seconds";
const REPORTS: &str = "runstone_reports_total";
const PANICS: &str = "runstone_panics_total";
const LIMITED: &str = "runstone_limit_refusals_total";
const LONG_READS: &str = "runstone_long_reads_total";
const BATCHES: &str = "runstone_writer_batches_total";
const COMMANDS: &str = "runstone_writer_commands_total";
const REFUSALS: &str = "runstone_writer_refusals_total";
const ENTRIES: &str = "runstone_journal_entries_total";
const RETRIES: &str = "runstone_writer_retries_total";
const FAILURES: &str = "runstone_writer_failures_total";
/// Bytes of rendered snapshots.
pub(crate) const CACHE_BYTES: &str = "runstone_snapshot_cache_bytes";
/// Bytes of last reports.
pub(crate) const LANE_BYTES: &str = "runstone_lane_bytes";

impl Metrics {
    pub(crate) fn new() -> Self {
        let recorder = PrometheusBuilder::new()
            .set_buckets(&DURATION_BUCKETS)
            .expect("there are buckets")
            .build_recorder();
        let handle = recorder.handle();
        recorder.describe_histogram(
            KeyName::from(DURATION),
            Some(Unit::Seconds),
            SharedString::from("Time from the head of a request to that of its answer."),
        );
        for (name, text) in [
            (REPORTS, "Reports by outcome."),
            (PANICS, "Requests that ended in a panic."),
            (
                LIMITED,
                "Changes refused because an organization has reached a limit, by limit.",
            ),
            (
                LONG_READS,
                "Reads that were no short ones and were done again on a thread of their own.",
            ),
            (BATCHES, "Transactions of the writer."),
            (COMMANDS, "Commands the writer decided."),
            (REFUSALS, "Commands that were refused."),
            (ENTRIES, "Entries appended to logs."),
            (RETRIES, "Transactions of the writer that were tried again."),
            (FAILURES, "Transactions of the writer that failed."),
        ] {
            recorder.describe_counter(KeyName::from(name), None, SharedString::from(text));
        }
        for (name, text) in [
            (CACHE_BYTES, "Bytes of rendered snapshots that are kept."),
            (LANE_BYTES, "Bytes of last reports that are kept."),
        ] {
            recorder.describe_gauge(KeyName::from(name), None, SharedString::from(text));
        }
        let reports = OUTCOMES.map(|outcome| {
            let key = Key::from_parts(REPORTS, vec![Label::new("outcome", outcome)]);
            (outcome, recorder.register_counter(&key, &METADATA))
        });
        Self {
            recorder,
            handle,
            requests: RwLock::default(),
            reports,
        }
    }

    /// A request was answered.
    pub(crate) fn request(&self, method: &'static str, route: &str, status: u16, took: Duration) {
        let seconds = took.as_secs_f64();
        let known = self.requests.read().unwrap_or_else(PoisonError::into_inner);
        let series = known.get(route).and_then(|series| {
            series
                .iter()
                .find(|(how, what, _)| *how == method && *what == status)
        });
        if let Some((_, _, histogram)) = series {
            histogram.record(seconds);
            return;
        }
        drop(known);
        let labels = vec![
            Label::new("method", method),
            Label::new("route", route.to_owned()),
            Label::new("status", status.to_string()),
        ];
        let histogram = self
            .recorder
            .register_histogram(&Key::from_parts(DURATION, labels), &METADATA);
        histogram.record(seconds);
        self.requests
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .entry(route.to_owned())
            .or_default()
            .push((method, status, histogram));
    }

    /// A report was answered.
    pub(crate) fn report(&self, outcome: &'static str) {
        let counter = self.reports.iter().find(|(name, _)| *name == outcome);
        counter.expect("outcomes are listed").1.increment(1);
    }

    /// A read was not short.
    pub(crate) fn long_read(&self) {
        let key = Key::from_name(LONG_READS);
        self.recorder.register_counter(&key, &METADATA).increment(1);
    }

    /// An organization has reached a limit.
    pub(crate) fn limited(&self, limit: Limited) {
        let key = Key::from_parts(LIMITED, vec![Label::new("limit", limit.as_str())]);
        self.recorder.register_counter(&key, &METADATA).increment(1);
    }

    /// A request ended in a panic.
    pub(crate) fn panic(&self) {
        let key = Key::from_name(PANICS);
        self.recorder.register_counter(&key, &METADATA).increment(1);
    }

    /// Drains what was recorded since the last call.
    pub(crate) fn upkeep(&self) {
        self.handle.run_upkeep();
    }

    /// The text of Prometheus.
    pub(crate) fn render(&self, store: &StoreMetrics, gauges: &[(&'static str, f64)]) -> String {
        for (name, value) in [
            (BATCHES, store.batches),
            (COMMANDS, store.commands),
            (REFUSALS, store.refusals),
            (ENTRIES, store.entries),
            (RETRIES, store.retries),
            (FAILURES, store.failures),
        ] {
            self.recorder
                .register_counter(&Key::from_name(name), &METADATA)
                .absolute(value);
        }
        for (name, value) in gauges {
            self.recorder
                .register_gauge(&Key::from_name(*name), &METADATA)
                .set(*value);
        }
        self.handle.render()
    }
}
