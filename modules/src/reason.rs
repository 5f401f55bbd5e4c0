//! Why a request was answered by us or dropped: one reason, one status, one counter each.

use proto::policy::{Refusal, Verdict};
use std::ops::ControlFlow;

/// What a stage returns: its result for the next stage, or the verdict that ends the walk.
pub type Step<T> = ControlFlow<Verdict<Reason>, T>;

macro_rules! reasons {
    ($( $(#[doc = $doc:literal])* $variant:ident = $label:literal => $answer:expr; )*) => {
        /// Every way in which the policy ends a request by itself.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Reason {
            $( $(#[doc = $doc])* $variant, )*
        }

        impl Reason {
            /// All of them, in the order of their counters.
            pub const ALL: &'static [Reason] = &[ $( Reason::$variant ),* ];

            /// Name of its counter.
            pub const fn label(self) -> &'static str {
                match self { $( Reason::$variant => $label, )* }
            }

            /// The status that is answered; `None`: nothing is.
            pub const fn status(self) -> Option<u16> {
                match self { $( Reason::$variant => $answer, )* }
            }
        }
    };
}

reasons! {
    /// An OPTIONS to us from a known peer.
    OptionsAnswered = "options_answered" => Some(200);
    /// The same while we drain: peers shall move away.
    OptionsWhileDraining = "options_while_draining" => Some(503);
    /// A request from an address that no source group has; by default it gets no answer.
    StrangerDropped = "stranger_dropped" => None;
    /// The same with `strangers = "403"`.
    StrangerForbidden = "stranger_forbidden" => Some(403);
    /// A stranger's OPTIONS.
    StrangerOptions = "stranger_options" => None;
    /// A new request while we drain.
    Draining = "draining" => Some(503);
    /// An ACK that belongs to no transaction and no dialog.
    StrayAck = "stray_ack" => None;
    /// A CANCEL for a request that is not kept (RFC 3261 §9.2).
    CancelUnknown = "cancel_unknown" => Some(481);
    /// The table of calls is full.
    CallTableFull = "call_table_full" => Some(503);
    /// No route matches.
    NoRoute = "no_route" => Some(404);
    /// Every gateway of the set (and of those it overflows to) is down, or over its bound of calls.
    NoGateway = "no_gateway" => Some(503);
    /// No customer has the source and tech prefix of a call. The status of this and the next ones is `[class4.refusals]`'s.
    CustomerUnknown = "customer_unknown" => Some(403);
    /// A customer's number that no deck could have.
    NumberMalformed = "number_malformed" => Some(484);
    /// A number that is blocked for its customer.
    NumberBlocked = "number_blocked" => Some(403);
    /// The customer's own deck has no price for the number.
    NoPrice = "no_price" => Some(503);
    /// No vendor of the plan takes the number, or can take the call now.
    NoVendor = "no_vendor" => Some(503);
    /// No vendor leaves the least margin.
    NoMargin = "no_margin" => Some(503);
    /// A high-risk number that is not open for its customer.
    NumberHighRisk = "number_high_risk" => Some(403);
    /// The customer's balance is used up.
    CustomerCredit = "customer_credit" => Some(402);
    /// The customer has spent what it may in this hour or day.
    CustomerSpend = "customer_spend" => Some(403);
    /// The customer's calls looked like fraud a while ago.
    CustomerAlarm = "customer_alarm" => Some(403);
    /// The customer is at its cap of calls at the same time.
    CustomerConcurrent = "customer_concurrent" => Some(503);
    /// The customer is at its cap of calls a second.
    CustomerCps = "customer_cps" => Some(503);
    /// The customer is at its cap of calls to this destination at the same time.
    DestinationConcurrent = "destination_concurrent" => Some(503);
    /// The customer is at its cap of calls a second to this destination.
    DestinationCps = "destination_cps" => Some(503);
    /// The same caller and called number came from another carrier just before.
    CarrierLoop = "carrier_loop" => Some(482);
    /// Records of calls cannot be written, and the file says that no call goes without.
    RecordsClosed = "records_closed" => Some(503);
    /// No vendor has sent an 18x in the time for it.
    PostDial = "post_dial" => Some(408);
    /// A customer's call rang for too long.
    RangTooLong = "rang_too_long" => Some(480);
    /// A customer's call had early media for too long.
    EarlyMedia = "early_media" => Some(480);
    /// As many customers' calls are being set up as may be.
    HuntsFull = "hunts_full" => Some(503);
    /// A vendor's redirection or challenge, which the customer is not shown.
    VendorOnly = "vendor_only" => Some(503);
    /// The Request-URI does not fit when host and port become the gateway's.
    RequestUriTooLong = "request_uri_too_long" => Some(414);
    /// An in-dialog request without a valid token of ours and without a live call.
    DialogUnproven = "dialog_unproven" => Some(403);
    /// An in-dialog request to what is no listed gateway, no listed source, and no contact of its call.
    DialogTarget = "dialog_target" => Some(403);
    /// An in-dialog request to us, for a call that we do not (or no longer) know.
    DialogUnknown = "dialog_unknown" => Some(403);
    /// The host of an in-dialog request's target has no address.
    DialogHostUnresolved = "dialog_host_unresolved" => Some(403);
    /// A REGISTER without a usable proof.
    RegisterUnproven = "register_unproven" => Some(401);
    /// A REGISTER with a nonce that is expired, used or not ours.
    RegisterStale = "register_stale" => Some(401);
    /// A REGISTER whose proof does not hold.
    RegisterProofFailed = "register_proof_failed" => Some(401);
    /// A REGISTER for another user than the one who has proven itself.
    RegisterOfAnother = "register_of_another" => Some(403);
    /// A request of a phone without a usable proof.
    SenderUnproven = "sender_unproven" => Some(407);
    /// A request of a phone with a nonce that is expired, used or not ours.
    SenderStale = "sender_stale" => Some(407);
    /// A request of a phone whose proof does not hold.
    SenderProofFailed = "sender_proof_failed" => Some(407);
    /// A request whose From is another than the account that has proven itself.
    ForeignFrom = "foreign_from" => Some(403);
    /// The source of the account does not answer, or has too many questions already.
    AccountsUnanswered = "accounts_unanswered" => Some(503);
    /// Its address has caused too many questions to sources of accounts.
    AccountsOverBudget = "accounts_over_budget" => None;
    /// Its user or its address is shut out for failed proofs.
    ShutOut = "shut_out" => None;
    /// A REGISTER that brought a contact.
    Registered = "registered" => Some(200);
    /// One that refreshed what there was.
    RegistrationRefreshed = "registration_refreshed" => Some(200);
    /// One that took contacts away.
    RegistrationRemoved = "registration_removed" => Some(200);
    /// One that came again, or wanted nothing that was not so already.
    RegistrationRepeated = "registration_repeated" => Some(200);
    /// One that only asked (RFC 3261 §10.2.3).
    RegistrationsTold = "registrations_told" => Some(200);
    /// A REGISTER whose To names no user of ours.
    RegisterUnknownUser = "register_unknown_user" => Some(404);
    /// A REGISTER that requires what we do not have.
    ExtensionUnsupported = "extension_unsupported" => Some(420);
    /// A REGISTER by RFC 5626 through an edge that does not know it.
    FirstHopLacksOutbound = "first_hop_lacks_outbound" => Some(439);
    /// A Contact of a REGISTER that cannot be read, or is too long.
    ContactMalformed = "contact_malformed" => Some(400);
    /// `Contact: *` with others, or without Expires: 0.
    ContactStar = "contact_star" => Some(400);
    /// Several contacts of which one has a reg-id (RFC 5626 §6).
    ContactFlows = "contact_flows" => Some(400);
    /// More contacts than an account may have, or longer ones than fit a record.
    ContactsTooMany = "contacts_too_many" => Some(403);
    /// A Path that cannot be read, or is too long.
    PathMalformed = "path_malformed" => Some(400);
    /// A REGISTER that asks for less than the least.
    ExpiresTooBrief = "expires_too_brief" => Some(423);
    /// A REGISTER that is older than what is bound (RFC 3261 §10.3 item 7).
    RegisterOutOfOrder = "register_out_of_order" => Some(500);
    /// No room for another account or record.
    RegistrarFull = "registrar_full" => Some(503);
    /// The disk is full or broken.
    JournalBroken = "journal_broken" => Some(503);
    /// The disk is slower than what comes.
    JournalBehind = "journal_behind" => Some(503);
    /// The shard that knows where the user is has not answered in time.
    LocationUnanswered = "location_unanswered" => Some(503);
    /// A request for a user of ours that has no account, or where nobody has one, is not registered.
    UserUnknown = "user_unknown" => Some(404);
    /// A request for a user that is known here and cannot be reached now.
    UserAway = "user_away" => Some(480);
    /// A request for a user who is not registered, and of whose account nobody could tell.
    UserUntold = "user_untold" => Some(480);
    /// A proof that was made for another Request-URI (RFC 7616 §3.4.6).
    ProofUriForeign = "proof_uri_foreign" => Some(400);
}

impl Reason {
    /// Whether a REGISTER was carried out with it.
    pub const fn is_registration(self) -> bool {
        use Reason::{Registered, RegistrationRefreshed, RegistrationRemoved, RegistrationRepeated, RegistrationsTold};
        matches!(
            self,
            Registered | RegistrationRefreshed | RegistrationRemoved | RegistrationRepeated | RegistrationsTold
        )
    }

    /// The verdict that carries it.
    pub const fn verdict(self) -> Verdict<Reason> {
        match self.status() {
            Some(status) => Verdict::Reply { status, reason: self },
            None => Verdict::Drop(self),
        }
    }

    /// The same as an answer of the gate.
    pub const fn refusal(self) -> Refusal<Reason> {
        match self.status() {
            Some(status) => Refusal::Reply { status, reason: self },
            None => Refusal::Drop(self),
        }
    }

    /// The verdict for an ACK, which nothing may answer (RFC 3261 §17).
    pub const fn verdict_for_ack(self) -> Verdict<Reason> {
        Verdict::Drop(self)
    }
}

/// How often each reason was given.
#[derive(Clone, Debug)]
pub struct ReasonCounts([u64; Reason::ALL.len()]);

impl Default for ReasonCounts {
    fn default() -> Self {
        ReasonCounts([0; Reason::ALL.len()])
    }
}

impl ReasonCounts {
    /// Counts one.
    pub fn count(&mut self, reason: Reason) {
        self.0.get_mut(reason as usize).into_iter().for_each(|count| *count += 1);
    }

    /// Counts the reason of a verdict, if it has one.
    pub fn count_verdict(&mut self, verdict: &Verdict<Reason>) {
        if let Verdict::Reply { reason, .. } | Verdict::Drop(reason) = verdict {
            self.count(*reason);
        }
    }

    /// Each reason with its count.
    pub fn iter(&self) -> impl Iterator<Item = (Reason, u64)> + '_ {
        Reason::ALL.iter().copied().zip(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_stand_in_the_order_of_the_list() {
        let mut counts = ReasonCounts::default();
        for (index, reason) in Reason::ALL.iter().enumerate() {
            assert_eq!(*reason as usize, index);
            (0..=index).for_each(|_| counts.count_verdict(&reason.verdict()));
        }
        for (index, (reason, count)) in counts.iter().enumerate() {
            assert_eq!((reason, count), (Reason::ALL[index], index as u64 + 1));
        }
        counts.count_verdict(&Verdict::Forward);
    }

    #[test]
    fn labels_are_metric_names_and_unique() {
        for reason in Reason::ALL {
            let label = reason.label();
            assert!(label.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_' || byte.is_ascii_digit()));
            assert_eq!(Reason::ALL.iter().filter(|other| other.label() == label).count(), 1);
        }
    }
}
