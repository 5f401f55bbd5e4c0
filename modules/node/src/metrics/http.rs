//! The HTTP listener of the metrics page: `GET /metrics`, nothing else.
//!
//! hyper on a thread of its own, with bounds for everything a scraper could do wrong: connections,
//! header bytes, time to send a request, time of a connection.

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{ALLOW, CONTENT_TYPE};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

/// Connections at the same time; more wait to be accepted.
const CONNECTIONS_MAX: usize = 16;

/// Bytes that are read before a request is complete.
const HEADER_BYTES_MAX: usize = 16 * 1024;

/// How long a request's header may take.
const HEADER_DEADLINE: Duration = Duration::from_secs(5);

/// How long a connection may last, kept alive or not.
const CONNECTION_DEADLINE: Duration = Duration::from_secs(300);

/// Pages made at the same time.
const PAGES_MAX: usize = 2;

/// Makes the page; may wait, and returns nothing when it could not be made.
pub(crate) type MakePage = Arc<dyn Fn() -> Option<String> + Send + Sync>;

/// The listener; its thread lives as long as the process.
#[derive(Debug)]
pub struct MetricsLane {
    address: SocketAddr,
}

impl MetricsLane {
    /// Binds `address` and serves pages made by `make_page`.
    pub fn start(address: SocketAddr, make_page: MakePage) -> std::io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .max_blocking_threads(PAGES_MAX)
            .build()?;
        let listener = runtime.block_on(TcpListener::bind(address))?;
        let address = listener.local_addr()?;
        std::thread::Builder::new()
            .name("tandem-metrics".into())
            .spawn(move || runtime.block_on(accept(listener, make_page)))?;
        Ok(MetricsLane { address })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

async fn accept(listener: TcpListener, make_page: MakePage) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, _)) => {
                let make_page = Arc::clone(&make_page);
                tokio::spawn(async move {
                    let _place = place;
                    let _ = tokio::time::timeout(CONNECTION_DEADLINE, serve(stream, make_page)).await;
                });
            }
            // WHY: out of descriptors for a moment must not end the listener, nor spin.
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
}

async fn serve(stream: TcpStream, make_page: MakePage) {
    let service = service_fn(move |request| respond(request, Arc::clone(&make_page)));
    // A scraper that breaks off is no matter of ours.
    let _ = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_DEADLINE)
        .max_buf_size(HEADER_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

async fn respond(request: Request<Incoming>, make_page: MakePage) -> Result<Response<Full<Bytes>>, Infallible> {
    let response = match (request.method(), request.uri().path()) {
        (&Method::GET | &Method::HEAD, "/metrics") => {
            // hyper leaves the body out for HEAD.
            match tokio::task::spawn_blocking(move || make_page()).await.ok().flatten() {
                Some(page) => text(StatusCode::OK, page, prometheus::TEXT_FORMAT),
                None => text(StatusCode::SERVICE_UNAVAILABLE, "busy\n".into(), PLAIN),
            }
        }
        (_, "/metrics") => {
            let mut response = text(StatusCode::METHOD_NOT_ALLOWED, "GET only\n".into(), PLAIN);
            response.headers_mut().insert(ALLOW, hyper::header::HeaderValue::from_static("GET, HEAD"));
            response
        }
        _ => text(StatusCode::NOT_FOUND, "see /metrics\n".into(), PLAIN),
    };
    Ok(response)
}

const PLAIN: &str = "text/plain; charset=utf-8";

fn text(status: StatusCode, body: String, kind: &'static str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, hyper::header::HeaderValue::from_static(kind));
    response
}
