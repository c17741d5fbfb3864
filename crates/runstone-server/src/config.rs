//! Settings of a server. Every value has a bound or a default that suits one machine.

use std::sync::Arc;
use std::time::Duration;

use runstone_journal::trust::Trust;
use runstone_model::report::ReportLimits;

/// Settings of a server.
#[derive(Debug, Clone)]
pub struct Config {
    /// Origin that answers link to (`https://runstone.example.com`), without a slash at the end;
    /// none: the host the request was sent to.
    pub base_url: Option<String>,
    /// Most bytes of the body of a report, after decompression.
    pub report_body_bytes_max: usize,
    /// Most bytes of any other body, after decompression.
    pub body_bytes_max: usize,
    /// Most bytes of a form of several parts whose file is small by contract (a template, a
    /// schema), the file included.
    pub form_bytes_max: usize,
    /// Most bytes of the JSON in a form with an attached file.
    pub form_data_bytes_max: usize,
    /// Most bytes of an attached file.
    pub attachment_bytes_max: u64,
    /// Keys and roots by which signatures in attached files are checked.
    pub trust: Arc<Trust>,
    /// Bounds of what stands in a report.
    pub report: ReportLimits,
    /// A request that takes longer is answered with 503.
    pub request_timeout: Duration,
    /// Requests in work at once; more are answered with 503.
    pub requests_max: usize,
    /// How long requests in work may take when the server stops.
    pub shutdown_timeout: Duration,
    /// How often the times environments were last seen are shared; at most 2 s.
    pub share_seen_period: Duration,
    /// After this time of unchanged reports the journal records that they came; at most 1 h.
    pub observation_period: Duration,
    /// Bytes of rendered snapshots that are kept.
    pub snapshot_cache_bytes_max: usize,
    /// Bytes of last reports that are kept for recognising unchanged ones.
    pub lane_bytes_max: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            base_url: None,
            report_body_bytes_max: 64 << 20,
            body_bytes_max: 1 << 20,
            form_bytes_max: 64 << 20,
            form_data_bytes_max: 16 << 20,
            attachment_bytes_max: 100 << 20,
            trust: Arc::default(),
            report: ReportLimits::default(),
            request_timeout: Duration::from_mins(1),
            requests_max: 4_096,
            shutdown_timeout: Duration::from_secs(30),
            share_seen_period: Duration::from_millis(1_500),
            observation_period: Duration::from_hours(1),
            snapshot_cache_bytes_max: 64 << 20,
            lane_bytes_max: 128 << 20,
        }
    }
}
