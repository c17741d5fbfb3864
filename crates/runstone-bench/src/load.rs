//! A small generator of HTTP load: keep-alive connections in a closed loop, on one thread of its
//! own, on the same cores as the server it asks; and a server that answers fixed bytes.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};

use crate::measure::Latencies;
use crate::world::KEY;

/// A request with its body.
pub type Asked = Request<Full<Bytes>>;

/// Makes the n-th request of a connection.
pub type Make = Arc<dyn Fn(usize, u64) -> Asked + Send + Sync>;

/// What a load found.
pub struct Found {
    /// Answers per second.
    pub rate: f64,
    /// Time of each answer.
    pub latencies: Latencies,
    /// Bytes of the last answer's body.
    pub body_bytes: usize,
    /// Processor time of the whole process for each answer, in seconds.
    pub work: f64,
}

/// A request of the administrator.
pub fn request(method: Method, path: &str, body: impl Into<Bytes>) -> Asked {
    let body = body.into();
    let mut request = Request::builder()
        .method(method)
        .uri(path)
        .header("host", "bench.example")
        .header("authorization", format!("Bearer {KEY}"));
    if !body.is_empty() {
        request = request.header("content-type", "application/json");
    }
    request
        .body(Full::new(body))
        .expect("the parts of a request are well-formed")
}

/// A GET.
pub fn get(path: &str) -> Asked {
    request(Method::GET, path, Bytes::new())
}

/// Asks for a time, or until each connection has asked `most` times; every answer must be 200 or
/// 201.
pub async fn load(
    address: SocketAddr,
    connections: usize,
    time: Duration,
    most: u64,
    make: Make,
) -> anyhow::Result<Found> {
    let thread = std::thread::spawn(move || {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?
            .block_on(ask_all(address, connections, time, most, make))
    });
    tokio::task::spawn_blocking(move || thread.join())
        .await?
        .map_err(|_| anyhow::anyhow!("the thread that asks ended in a panic"))?
}

async fn ask_all(
    address: SocketAddr,
    connections: usize,
    time: Duration,
    most: u64,
    make: Make,
) -> anyhow::Result<Found> {
    let mut senders = Vec::with_capacity(connections);
    for _ in 0..connections {
        senders.push(connect(address).await?);
    }
    let began = Instant::now();
    let worked = crate::machine::processor_time();
    let tasks: Vec<_> = senders
        .into_iter()
        .enumerate()
        .map(|(connection, mut sender)| {
            let make = Arc::clone(&make);
            tokio::spawn(async move {
                let mut latencies = Latencies::default();
                let mut bytes = 0;
                let mut n = 0;
                while n < most && began.elapsed() < time {
                    let request = make(connection, n);
                    n += 1;
                    let started = Instant::now();
                    bytes = ask(&mut sender, request).await?.len();
                    latencies.push(started.elapsed());
                }
                Ok::<_, anyhow::Error>((latencies, bytes))
            })
        })
        .collect();
    let mut latencies = Latencies::default();
    let mut body_bytes = 0;
    for task in tasks {
        let (own, bytes) = task.await??;
        latencies.append(own);
        body_bytes = bytes;
    }
    let rate = latencies.len() as f64 / began.elapsed().as_secs_f64();
    let worked = crate::machine::processor_time() - worked;
    Ok(Found {
        work: worked / latencies.len().max(1) as f64,
        rate,
        latencies,
        body_bytes,
    })
}

/// One connection.
pub async fn connect(address: SocketAddr) -> anyhow::Result<SendRequest<Full<Bytes>>> {
    let stream = TcpStream::connect(address)
        .await
        .context("cannot reach the server under measurement")?;
    stream.set_nodelay(true)?;
    let (sender, connection) = handshake(TokioIo::new(stream)).await?;
    // Ends with its sender; an error there is one of the request that meets it.
    tokio::spawn(connection);
    Ok(sender)
}

/// One request; gives the body of a good answer.
pub async fn ask(sender: &mut SendRequest<Full<Bytes>>, request: Asked) -> anyhow::Result<Bytes> {
    let what = format!("{} {}", request.method(), request.uri());
    sender.ready().await?;
    let response = sender.send_request(request).await?;
    let status = response.status();
    let body = response.into_body().collect().await?.to_bytes();
    ensure!(
        status == StatusCode::OK || status == StatusCode::CREATED,
        "{what} is answered {status}: {}",
        String::from_utf8_lossy(&body[..body.len().min(300)])
    );
    Ok(body)
}

/// A server that answers every request with the same bytes: what the libraries below ours can do.
pub async fn fixed(body: Bytes) -> anyhow::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let body = body.clone();
            let _ = stream.set_nodelay(true);
            tokio::spawn(async move {
                let service = hyper::service::service_fn(move |_request| {
                    let answer = Response::new(Full::new(body.clone()));
                    async move { Ok::<_, std::convert::Infallible>(answer) }
                });
                let _ = hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service)
                    .await;
            });
        }
    });
    Ok(address)
}
