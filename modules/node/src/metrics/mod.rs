//! The metrics lane: a page for Prometheus over HTTP, when `[metrics]` says where.

mod http;
mod text;

pub use http::MetricsLane;
pub use text::{Process, page};
pub(crate) use text::{concurrent, labels_of, shown};

#[cfg(test)]
mod tests;
