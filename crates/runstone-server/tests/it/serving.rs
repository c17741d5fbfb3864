//! A server on a socket: it answers, and it ends without losing what is in work.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::support::{ADMIN, fp, put_environment, server_report, servers};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stopping_finishes_what_is_in_work() {
    for server in servers().await {
        put_environment(&server, "env", "server").await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let running = tokio::spawn(server.server().run(listener, async {
            let _ = stopped.await;
        }));
        let body = server_report(&[("a", &fp('a'), 1)]);
        let mut stream = TcpStream::connect(address).await.unwrap();
        let head = format!(
            "PUT /api/v2/environments/acme/env/report/server HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {ADMIN}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        tokio::time::sleep(Duration::from_millis(200)).await;
        stop.send(()).unwrap();
        tokio::time::sleep(Duration::from_millis(200)).await;
        assert!(TcpStream::connect(address).await.is_err() || !running.is_finished());
        stream.write_all(body.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 201 Created"), "{answer}");
        running.await.unwrap().unwrap();
        assert!(server.store.read().await.is_err(), "the store is closed");
    }
}
