//! Bytes, shards and time: the ground that Tandem stands on. Knows nothing of SIP.
//!
//! A *shard* is a thread pinned to a core. It owns its sockets, its timers and one value of an
//! [`App`], and turns a loop that stands on one page, in [`shard`]: exchange with the network, handle
//! what came, expire timers. It shares nothing with other shards; what must pass between them goes
//! over lock-free rings: frames that another shard owns ([`Outbox::hand_over`]) and letters
//! ([`Outbox::post`]). Blocking work has *lanes*: ordinary threads that hold a [`LaneEnd`].
//!
//! Read [`App`] and [`launch`] first. Drivers stand behind [`device::Device`]: io_uring, recvmmsg,
//! AF_XDP beside either of them, and a simulated one. All unsafe code of the workspace is in `engine-sys`.

#![forbid(unsafe_code)]

pub mod app;
pub mod device;
pub mod frame;
pub mod hand_over;
pub mod launch;
pub mod links;
pub mod listener;
pub mod mailbox;
pub mod outbox;
pub mod pools;
pub mod shard;
pub mod stats;
pub mod steering;
pub mod time;
pub mod wake;
pub mod wheel;

pub use app::App;
pub use device::xdp::inspect::{XdpPossibility, possibilities as xdp_possibilities};
pub use device::xdp::lane::{XdpCounters, XdpEvent};
pub use device::xdp::setup::{QueueMode, XdpConfig, XdpMode, XdpQueue};
pub use frame::{Egress, Frame, LaneId, NetworkError, NetworkErrorKind, ShardId};
pub use hand_over::Class;
pub use launch::{Config, Driver, LaunchError, Running, Serving, io_uring_available, launch};
pub use links::{LinkConfig, Links, join_virtual};
pub use listener::{BindError, Deferred, Listener};
pub use mailbox::{Address, LaneEnd, LaneWaker};
pub use outbox::Outbox;
pub use pools::Pools;
pub use shard::Shard;
pub use stats::ShardStats;
pub use steering::{OwnerProgram, Steering};
pub use time::{Micros, Mono, Now, Wall};
pub use wheel::TimerHandle;
