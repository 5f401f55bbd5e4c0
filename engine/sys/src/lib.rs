//! The unsafe corner of the engine: everything that needs a raw system call, shared memory with the
//! kernel or a C layout, behind interfaces that are safe to call.
//!
//! No other crate of the workspace contains `unsafe`. What can be written safely (encoding socket
//! addresses and control messages, for instance) is written safely here too. 64-bit Linux only.

#[cfg(not(all(target_os = "linux", target_pointer_width = "64")))]
compile_error!("the engine runs on 64-bit Linux");

pub mod address;
pub mod ancillary;
pub mod clock;
pub mod errno;
pub mod error_queue;
pub mod event;
pub mod host;
pub mod memory;
pub mod mmsg;
pub mod resident_file;
pub mod send_slots;
pub mod socket;
pub mod steer;
pub mod uring;
pub mod xdp;
