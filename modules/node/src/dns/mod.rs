//! The DNS lane: addresses of gateways by name, and answers to questions of shards.
//!
//! It is the one thread that asks name servers; no shard ever does. Gateways by name are watched
//! ([`watch`]): looked up, looked up again when the TTL is over, and the last good answer kept when
//! servers fail. Questions of shards are answered through a small cache ([`ask`]); of the same
//! question asked many times at once, one goes out. Names become addresses by RFC 3263 ([`locate`]);
//! the wire format, servers and retries are hickory's.

mod ask;
mod locate;
mod watch;

pub use locate::{ADDRESSES_MAX, Service, Target};
pub use watch::Watched;

use crate::letter::Question;
use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc::{Receiver, Sender, channel};

/// Requests that may wait for the lane; a question beyond them is answered with
/// [`crate::letter::AnswerKind::Failed`] by the control lane.
pub const REQUESTS_MAX: usize = 4_096;

/// How names are looked up, from `[dns]`.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Name servers in order; none: those of the system.
    pub servers: Vec<SocketAddr>,
    /// Longest wait for one server.
    pub timeout: Duration,
    /// An answer is kept at least so long.
    pub ttl_min: Duration,
    /// An answer is asked for again after so long at the latest.
    pub ttl_max: Duration,
}

/// What the lane has found out.
#[derive(Debug)]
pub enum Report {
    /// A shard's question, answered.
    Answer(Box<Question>),
    /// What is known of a watched name now.
    Watched(Service, Watched),
}

/// Where reports go. Called on the lane's thread; must not wait.
pub type Sink = Arc<dyn Fn(Report) + Send + Sync>;

#[derive(Debug)]
enum Request {
    Ask(Box<Question>),
    Watch(BTreeSet<Service>),
}

/// The way to the DNS lane. Its thread ends when this is dropped.
#[derive(Debug)]
pub struct DnsLane {
    requests: Sender<Request>,
}

impl DnsLane {
    /// Starts the thread. The error says what is wrong with the system's or the given name servers.
    pub fn start(settings: Settings, sink: Sink) -> Result<Self, String> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .build()
            .map_err(|error| error.to_string())?;
        let (requests, inbox) = channel(REQUESTS_MAX);
        let resolver = {
            let _inside = runtime.enter();
            resolver(&settings.servers, settings.timeout)?
        };
        std::thread::Builder::new()
            .name("tandem-dns".into())
            .spawn(move || runtime.block_on(work(resolver, settings, sink, inbox)))
            .map_err(|error| error.to_string())?;
        Ok(DnsLane { requests })
    }

    /// Takes a shard's question; gives it back when too many wait. Never waits.
    pub fn ask(&self, question: Box<Question>) -> Result<(), Box<Question>> {
        use tokio::sync::mpsc::error::TrySendError::{Closed, Full};
        match self.requests.try_send(Request::Ask(question)) {
            Ok(()) => Ok(()),
            Err(Full(Request::Ask(question)) | Closed(Request::Ask(question))) => Err(question),
            // WHY: what comes back is what was sent.
            Err(Full(Request::Watch(_)) | Closed(Request::Watch(_))) => Ok(()),
        }
    }

    /// From now on exactly these names are watched. False: the lane has no room now, ask again.
    pub fn watch(&self, services: BTreeSet<Service>) -> bool {
        self.requests.try_send(Request::Watch(services)).is_ok()
    }
}

/// A resolver that asks these servers, or those of the system. Made within a runtime.
pub(crate) fn resolver(servers: &[SocketAddr], timeout: Duration) -> Result<TokioResolver, String> {
    let provider = TokioRuntimeProvider::default();
    let mut builder = if servers.is_empty() {
        TokioResolver::builder(provider).map_err(|error| format!("/etc/resolv.conf: {error}"))?
    } else {
        let servers = servers.iter().map(name_server).collect();
        TokioResolver::builder_with_config(ResolverConfig::from_parts(None, Vec::new(), servers), provider)
    };
    let options = builder.options_mut();
    options.timeout = timeout;
    options.attempts = 2;
    // WHY: this lane has its own caches, which know the last good answer; a second one would only age it.
    options.cache_size = 0;
    builder.build().map_err(|error| error.to_string())
}

fn name_server(address: &SocketAddr) -> NameServerConfig {
    let at_port = |mut connection: ConnectionConfig| {
        connection.port = address.port();
        connection
    };
    NameServerConfig::new(address.ip(), true, vec![at_port(ConnectionConfig::udp()), at_port(ConnectionConfig::tcp())])
}

async fn work(resolver: TokioResolver, settings: Settings, sink: Sink, mut inbox: Receiver<Request>) {
    let lookup = Arc::new(locate::Lookup { resolver, settings });
    let mut watches = watch::Watches::default();
    let desk = ask::Desk::new(Arc::clone(&lookup), Arc::clone(&sink));
    while let Some(request) = inbox.recv().await {
        match request {
            Request::Ask(question) => desk.take(question),
            Request::Watch(services) => watches.set(services, &lookup, &sink),
        }
    }
}

#[cfg(test)]
mod tests;
