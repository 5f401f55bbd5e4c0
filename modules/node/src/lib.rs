//! The program `tandem`: composes `engine` (bytes, shards, time), `proto` (SIP) and `modules` (policy),
//! and gives them a control plane.
pub mod admin;
pub mod disk;
pub mod log;
