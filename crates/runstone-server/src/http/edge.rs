//! The edge: what happens to every request before and after its handler. Addresses are brought
//! into one form, requests in work are counted and timed, a panic becomes an answer, and every
//! answer carries an id.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use axum::body::{Body, HttpBody as _};
use axum::extract::{MatchedPath, Request, State as Extracted};
use axum::http::header::{CONTENT_TYPE, HeaderName};
use axum::http::{HeaderMap, HeaderValue, Method, Response, StatusCode, Uri};
use axum::middleware::Next;
use futures_util::{FutureExt as _, TryStreamExt as _};
use runstone_api::path::{API, API_ALIAS};

use super::answer::{self, Hidden, JSON};
use crate::app::App;
use crate::app::error::AppError;

static REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
static SERVER_VERSION: HeaderName = HeaderName::from_static("x-server-version");

/// Longest id a caller may give a request.
const REQUEST_ID_BYTES_MAX: usize = 64;

/// The address with the alias prefix replaced and without slashes at the end.
pub(crate) fn normalized(uri: &Uri) -> Option<Uri> {
    let path = uri.path();
    let trimmed = match path.trim_end_matches('/') {
        "" => "/",
        trimmed => trimmed,
    };
    let rest = trimmed
        .strip_prefix(API_ALIAS)
        .filter(|rest| rest.is_empty() || rest.starts_with('/'));
    let wanted = match rest {
        Some(rest) => format!("{API}{rest}"),
        None if trimmed.len() == path.len() => return None,
        None => trimmed.to_owned(),
    };
    let target = match uri.query() {
        Some(query) => format!("{wanted}?{query}"),
        None => wanted,
    };
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(target.parse().ok()?);
    Uri::from_parts(parts).ok()
}

/// Brings the address into one form; runs before routing.
pub(crate) fn normalize<B>(mut request: axum::http::Request<B>) -> axum::http::Request<B> {
    if let Some(uri) = normalized(request.uri()) {
        *request.uri_mut() = uri;
    }
    request
}

fn request_id(app: &App, headers: &HeaderMap) -> String {
    headers
        .get(&REQUEST_ID)
        .and_then(|given| given.to_str().ok())
        .filter(|given| {
            (1..=REQUEST_ID_BYTES_MAX).contains(&given.len())
                && given
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
        })
        .map_or_else(|| app.request_id(), str::to_owned)
}

fn method_label(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::PUT => "PUT",
        Method::POST => "POST",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "OTHER",
    }
}

/// Wraps every route.
pub(crate) async fn edge(
    Extracted(app): Extracted<App>,
    request: Request,
    next: Next,
) -> Response<Body> {
    let started = Instant::now();
    let id = request_id(&app, request.headers());
    let method = method_label(request.method());
    let path = request.extensions().get::<MatchedPath>().cloned();
    let route = path.as_ref().map_or("none", MatchedPath::as_str);
    let mut response = guarded(&app, &id, request, next).await;

    let status = response.status();
    if (status.is_client_error() || status.is_server_error())
        && response.headers().get(CONTENT_TYPE) != Some(&JSON)
    {
        // Answers of the libraries below are empty or plain text; clients read JSON only.
        let reason = status.canonical_reason().unwrap_or("Error");
        let headers = std::mem::take(response.headers_mut());
        response = answer::message(status, reason);
        for (name, value) in &headers {
            if name == axum::http::header::ALLOW || name == axum::http::header::RETRY_AFTER {
                response.headers_mut().insert(name, value.clone());
            }
        }
    }
    let took = started.elapsed();
    let duration_ms = took.as_secs_f64() * 1e3;
    if let Some(Hidden(reason)) = response.extensions().get() {
        tracing::error!(
            request.id = id,
            http.method = method,
            http.route = route,
            http.status = status.as_u16(),
            duration_ms,
            "a request failed: {reason}"
        );
    } else {
        tracing::debug!(
            request.id = id,
            http.method = method,
            http.route = route,
            http.status = status.as_u16(),
            duration_ms,
            "a request was answered"
        );
    }
    app.metrics.request(method, route, status.as_u16(), took);
    let headers = response.headers_mut();
    if let Ok(id) = HeaderValue::try_from(id) {
        headers.insert(REQUEST_ID.clone(), id);
    }
    headers.insert(
        SERVER_VERSION.clone(),
        HeaderValue::from_static(env!("CARGO_PKG_VERSION")),
    );
    response
}

async fn guarded(app: &App, id: &str, request: Request, next: Next) -> Response<Body> {
    let app = Arc::clone(app);
    let Ok(_slot) = app.slots.try_acquire() else {
        return answer::later("The server is busy, try again later", 1);
    };
    let received = Arc::new(AtomicU64::new(0));
    let request = counted(request, &received);
    let handled = AssertUnwindSafe(next.run(request)).catch_unwind();
    match within(app.config.request_timeout, &received, handled).await {
        Some(Ok(response)) => response,
        Some(Err(panic)) => {
            app.metrics.panic();
            let text = panic
                .downcast_ref::<&str>()
                .map(|text| (*text).to_owned())
                .or_else(|| panic.downcast_ref::<String>().cloned())
                .unwrap_or_else(|| "no message".to_owned());
            tracing::error!(request.id = id, "a request ended in a panic: {text}");
            let mut response = answer::error(&AppError::Internal(String::new()));
            // Logged already, and once only.
            response.extensions_mut().remove::<Hidden>();
            response
        }
        None => answer::later("The request took too long, try again later", 5),
    }
}

/// A request that is still coming has a second more for each so many bytes that came.
const ARRIVAL_BYTES_PER_SECOND: u64 = 64 << 10;
/// Bodies up to this size get no time of their own.
const PROMPT_BYTES_MAX: u64 = 1 << 20;

/// Counts what comes of a body that may be large.
fn counted(request: Request, received: &Arc<AtomicU64>) -> Request {
    if request
        .body()
        .size_hint()
        .upper()
        .is_some_and(|most| most <= PROMPT_BYTES_MAX)
    {
        return request;
    }
    let received = Arc::clone(received);
    request.map(|body| {
        Body::from_stream(body.into_data_stream().inspect_ok(move |bytes| {
            received.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        }))
    })
}

/// Waits as long as it may take; none if it took longer.
async fn within<F: Future>(
    timeout: Duration,
    received: &AtomicU64,
    handled: F,
) -> Option<F::Output> {
    let started = tokio::time::Instant::now();
    let mut handled = std::pin::pin!(handled);
    let mut allowed = timeout;
    loop {
        if let Ok(output) = tokio::time::timeout_at(started + allowed, &mut handled).await {
            return Some(output);
        }
        let arriving = received.load(Ordering::Relaxed) / ARRIVAL_BYTES_PER_SECOND;
        let earned = timeout + Duration::from_secs(arriving);
        if earned <= allowed {
            return None;
        }
        allowed = earned;
    }
}

/// The answer where there is no route.
pub(crate) async fn not_found(uri: Uri) -> Response<Body> {
    answer::error(&AppError::missing(format!(
        "There is nothing at {}",
        uri.path()
    )))
}

/// The answer where there is a route, but not for this method.
pub(crate) async fn method_not_allowed(method: Method) -> Response<Body> {
    answer::message(
        StatusCode::METHOD_NOT_ALLOWED,
        format!("The method {method} is not allowed here"),
    )
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests may unwrap")]

    use super::*;

    #[test]
    fn addresses_have_one_form() {
        let check = |given: &str, expected: Option<&str>| {
            let uri: Uri = given.parse().unwrap();
            assert_eq!(
                normalized(&uri).map(|uri| uri.to_string()).as_deref(),
                expected,
                "{given}"
            );
        };
        check("/api/v2/environments/o", None);
        check("/api/v2/environments/o/", Some("/api/v2/environments/o"));
        check(
            "/api/v2/environments/o//?a=b/",
            Some("/api/v2/environments/o?a=b/"),
        );
        check(
            "/api/fastapi/environments/o?x",
            Some("/api/v2/environments/o?x"),
        );
        check("/api/fastapi", Some("/api/v2"));
        check("/api/fastapix", None);
        check("/", None);
        check("//", Some("/"));
        check("/log/o/tile/0/x001/234.p/5", None);
    }

    #[tokio::test]
    async fn what_is_still_coming_has_more_time() {
        let received = AtomicU64::new(0);
        let waiting = |millis| tokio::time::sleep(Duration::from_millis(millis));
        let allowed = Duration::from_millis(100);
        assert_eq!(within(allowed, &received, waiting(0)).await, Some(()));
        assert_eq!(within(allowed, &received, waiting(400)).await, None);
        // A second more for each 64 KiB.
        received.store(ARRIVAL_BYTES_PER_SECOND, Ordering::Relaxed);
        assert_eq!(within(allowed, &received, waiting(400)).await, Some(()));
        assert_eq!(within(allowed, &received, waiting(4_000)).await, None);
    }

    #[cfg(feature = "testing")]
    #[tokio::test]
    async fn a_panic_is_an_answer() {
        use tower::Service as _;

        async fn broken() -> &'static str {
            panic!("broken on purpose")
        }

        let server = crate::testing::TestServer::start().await;
        let app = crate::app::State::new(crate::Config::default(), server.store.clone());
        let mut router = axum::Router::new()
            .route("/broken", axum::routing::get(broken))
            .layer(axum::middleware::from_fn_with_state(Arc::clone(&app), edge));
        let request = Request::get("/broken").body(Body::empty()).unwrap();
        let response = router.call(request).await.unwrap();
        assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
        assert!(response.headers().contains_key("x-request-id"));
        let body = axum::body::to_bytes(response.into_body(), 1_000)
            .await
            .unwrap();
        assert_eq!(&body[..], br#"{"message":"Internal server error"}"#);
        let metrics = app.metrics.render(&server.store.metrics(), &[]);
        assert!(metrics.contains("runstone_panics_total 1"), "{metrics}");
    }
}
