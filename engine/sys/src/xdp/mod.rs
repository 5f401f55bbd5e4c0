//! AF_XDP: frames of a network card in memory that we share with the kernel, and the rings that pass
//! them to and fro.
//!
//! [`umem`] owns the memory and keeps the account of every frame; [`ring`] is one shared ring;
//! [`socket`] an AF_XDP socket, which is four rings; [`run`] runs a BPF program on a made-up packet;
//! [`checksum`] adds up bytes as fast as the machine can.

pub mod capability;
pub mod checksum;
pub mod far_side;
pub mod ring;
pub mod run;
pub mod socket;
pub mod umem;

pub use socket::{Bind, Sizes, XdpSocket};
pub use umem::{Account, Frame, Memory, Received, Umem};
