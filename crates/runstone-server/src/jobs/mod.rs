//! Jobs: what no request asks for. Each runs on a period, logs its failure and tries again.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;

use crate::app::App;
use crate::app::error::AppError;

/// How often it is looked whether observations are due.
const OBSERVATION_CHECK: Duration = Duration::from_mins(1);
/// How often metrics are drained.
const METRICS_UPKEEP: Duration = Duration::from_secs(5);

/// The running jobs; they end when this is dropped.
pub(crate) struct Jobs(Vec<JoinHandle<()>>);

impl Drop for Jobs {
    fn drop(&mut self) {
        for job in &self.0 {
            job.abort();
        }
    }
}

/// Starts every job.
pub(crate) fn start(app: &App) -> Jobs {
    let check = OBSERVATION_CHECK.min(app.config.observation_period);
    Jobs(vec![
        every(
            app,
            "share seen",
            app.config.share_seen_period,
            |app| async move { app.share_seen().await },
        ),
        every(app, "record observations", check, |app| async move {
            app.record_observations().await
        }),
        every(app, "metrics upkeep", METRICS_UPKEEP, |app| async move {
            app.metrics.upkeep();
            Ok(())
        }),
    ])
}

fn every<J>(
    app: &App,
    name: &'static str,
    period: Duration,
    job: impl Fn(App) -> J + Send + 'static,
) -> JoinHandle<()>
where
    J: Future<Output = Result<(), AppError>> + Send,
{
    let app = Arc::clone(app);
    tokio::spawn(async move {
        let mut ticks = tokio::time::interval(period.max(Duration::from_millis(10)));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            if let Err(error) = job(Arc::clone(&app)).await {
                tracing::warn!(
                    job.name = name,
                    "a job failed and will be tried again: {error}"
                );
            }
        }
    })
}
