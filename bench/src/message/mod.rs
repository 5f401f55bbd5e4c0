//! The SIP text of both ends: templates for what starts a call, splices for what follows in it.

pub mod dialog;
pub mod replies;
pub mod requests;
pub mod sdp;
pub mod template;
