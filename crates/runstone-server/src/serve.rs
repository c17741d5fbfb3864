//! Serving: the router on a listener, the jobs beside it, and an end that loses nothing.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::serve::ListenerExt as _;
use runstone_store::Store;
use tokio::net::TcpListener;

use crate::app::{App, State};
use crate::config::Config;
use crate::http::{edge, router};
use crate::jobs;

/// Serving ended with an error.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The listener failed.
    #[error("cannot serve")]
    Listener(#[source] std::io::Error),
}

/// A server that is not yet bound to a listener.
#[derive(Clone)]
pub struct Server {
    app: App,
    router: Router,
}

impl Server {
    /// A server on an open store.
    pub fn new(config: Config, store: Store) -> Self {
        let app = State::new(config, store);
        let inner = router::router(Arc::clone(&app));
        // Around the router, because a route is chosen by the address in its one form.
        let router = Router::new()
            .fallback_service(inner)
            .layer(axum::middleware::map_request(async |request| {
                edge::normalize::<axum::body::Body>(request)
            }));
        Self { app, router }
    }

    /// The service, for tests that need no socket.
    pub fn router(&self) -> Router {
        self.router.clone()
    }

    /// Shares at once what the jobs would share within 2 s.
    pub async fn share_seen(&self) -> Result<(), String> {
        self.app
            .share_seen()
            .await
            .map_err(|error| error.to_string())
    }

    /// Records at once the observations the hourly job would record.
    pub async fn record_observations(&self) -> Result<(), String> {
        self.app
            .record_observations()
            .await
            .map_err(|error| error.to_string())
    }

    /// Serves until `shutdown` completes; then finishes the requests in work, shares what it
    /// knows, and closes the store.
    pub async fn run(
        self,
        listener: TcpListener,
        shutdown: impl Future<Output = ()> + Send + 'static,
    ) -> Result<(), ServeError> {
        let jobs = jobs::start(&self.app);
        let listener = listener.tap_io(|stream| {
            if let Err(error) = stream.set_nodelay(true) {
                tracing::debug!("cannot send small packets at once: {error}");
            }
        });
        let (stopping, stop) = tokio::sync::oneshot::channel::<()>();
        let serving = axum::serve(listener, self.router).with_graceful_shutdown(async move {
            shutdown.await;
            tracing::info!("stopping: finishing the requests in work");
            let _ = stopping.send(());
        });
        let grace = self.app.config.shutdown_timeout;
        let served = tokio::select! {
            served = serving => served,
            () = expired(stop, grace) => {
                tracing::warn!("requests were still in work after {} s", grace.as_secs());
                Ok(())
            }
        };
        drop(jobs);
        if let Err(error) = self.app.share_seen().await {
            tracing::warn!("the last times seen are lost: {error}");
        }
        self.app.store.close().await;
        served.map_err(ServeError::Listener)
    }
}

/// Completes when the time allowed after the start of stopping is over.
async fn expired(stop: tokio::sync::oneshot::Receiver<()>, grace: Duration) {
    if stop.await.is_err() {
        std::future::pending::<()>().await;
    }
    tokio::time::sleep(grace).await;
}

/// Serves a store on a listener until `shutdown` completes; see [`Server::run`].
pub async fn serve(
    config: Config,
    store: Store,
    listener: TcpListener,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<(), ServeError> {
    Server::new(config, store).run(listener, shutdown).await
}
