//! The metrics lane: a page for Prometheus over HTTP, when `[metrics]` says where.

mod http;
mod text;

pub use http::MetricsLane;
pub(crate) use text::{labels_of, shown};
pub use text::{Process, page};

#[cfg(test)]
mod tests;
