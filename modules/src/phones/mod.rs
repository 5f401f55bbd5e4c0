//! Phones of our domains: who sends, where a request goes, how a phone is reached and kept reachable.
//!
//! Asked only where there are domains. Called by [`crate::route`], stage by stage.
//!
//! | File | Decides |
//! |---|---|
//! | `flow` | who sends (phone, media server, peer), and where a request outside any dialog goes |
//! | `stages` | the order of all that |
//! | `identity` | what a phone may not say of itself |
//! | `keep_alive` | when a phone behind NAT is reminded of us |

pub mod flow;
pub mod identity;
pub mod keep_alive;
mod stages;

/// What is kept with a transaction of a phone, or to one. Plain data.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct PhoneNote {
    /// The sender is a phone: later requests to it go where it really is.
    pub(crate) by_phone: bool,
    /// Its From is not the account that it has proven to be, and others see that account in its place.
    pub(crate) foreign: bool,
    /// It is bound at its very address with a registrar behind us, which has asked it for a proof.
    pub(crate) vouched: bool,
    /// Whose contacts another shard was asked for last, or what else was asked.
    pub(crate) asked: Asked,
    /// A REGISTER that was passed on.
    pub(crate) registers: bool,
}

/// Whose contacts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Asked {
    /// Nobody's.
    #[default]
    Nobody,
    /// The sender's.
    Caller,
    /// Those of whom the request is for.
    Callee,
    /// Nobody's contacts: whether whom the request is for has an account.
    Account,
}
