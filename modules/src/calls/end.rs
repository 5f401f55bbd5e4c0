//! How a call may end: one list, one counter each. Who writes records of calls reads the reason here; every call that
//! is closed passes [`super::life`]'s `closed` once.

macro_rules! ends {
    ($( $(#[doc = $doc:literal])* $variant:ident = $label:literal, $cause:expr; )*) => {
        /// Why a call has ended.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum CallEnd {
            $( $(#[doc = $doc])* $variant, )*
        }

        impl CallEnd {
            /// All, in the order of their counters.
            pub const ALL: &'static [CallEnd] = &[ $( CallEnd::$variant ),* ];

            /// Name of its counter.
            pub const fn label(self) -> &'static str {
                match self { $( CallEnd::$variant => $label, )* }
            }

            /// Q.850 cause in the Reason header of our BYE; 0: the BYE was not ours.
            pub const fn cause(self) -> u8 {
                match self { $( CallEnd::$variant => $cause, )* }
            }
        }
    };
}

ends! {
    /// The side that called hung up.
    ByeFromCaller = "bye_from_caller", 0;
    /// The side that was called hung up.
    ByeFromCallee = "bye_from_callee", 0;
    /// It lived as long as a call may.
    TooLong = "too_long", 102;
    /// Its session was not refreshed (RFC 4028).
    SessionExpired = "session_expired", 102;
    /// The 2xx was never acknowledged.
    NoAck = "no_ack", 102;
    /// A side does not know it any more, or does not answer.
    PeerGone = "peer_gone", 27;
    /// An operator ended it.
    Operator = "operator", 31;
    /// The INVITE had been answered, or refused, before: the vendor's answer was ended at once.
    SecondAnswer = "second_answer", 31;
    /// Its entry lived as long as entries do; nobody was told.
    Forgotten = "forgotten", 0;
    /// Its customer's balance is used up.
    NoCredit = "no_credit", 31;
}

/// How often each happened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EndCounts([u64; CallEnd::ALL.len()]);

impl EndCounts {
    /// Counts one.
    pub fn count(&mut self, end: CallEnd) {
        self.0.get_mut(end as usize).into_iter().for_each(|count| *count += 1);
    }

    /// Each with its count.
    pub fn iter(&self) -> impl Iterator<Item = (CallEnd, u64)> + '_ {
        CallEnd::ALL.iter().copied().zip(self.0)
    }
}

impl CallEnd {
    /// As it travels to another process.
    pub(super) const fn number(self) -> u8 {
        self as u8 + 1
    }

    /// What [`CallEnd::number`] gave.
    pub(super) fn of_number(number: u8) -> Option<Self> {
        CallEnd::ALL.get(usize::from(number.checked_sub(1)?)).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_its_own_counter_label_and_number() {
        let mut counts = EndCounts::default();
        for (index, end) in CallEnd::ALL.iter().enumerate() {
            assert_eq!((*end as usize, CallEnd::of_number(end.number())), (index, Some(*end)));
            assert_eq!(CallEnd::ALL.iter().filter(|other| other.label() == end.label()).count(), 1);
            counts.count(*end);
        }
        assert!(counts.iter().all(|(_, count)| count == 1));
        assert_eq!((CallEnd::of_number(0), CallEnd::of_number(200)), (None, None));
    }
}
