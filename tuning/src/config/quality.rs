//! `[class4.quality]`: how well vendors carry calls, for customers whose `order` is "quality".

use crate::read::{minutes, seconds};
use std::time::Duration;

choice! {
    /// A measure of quality.
    QualityMeasure {
        /// Calls answered, of those that the vendor was given; steps of 5 in a hundred.
        Asr = "asr",
        /// Calls that ended as no other vendor could have helped; steps of 5 in a hundred.
        Ner = "ner",
        /// Post-dial delay; steps of half a second.
        Pdd = "pdd",
        /// Answered calls that were short; steps of 5 in a hundred.
        Short = "short",
    }
}

section! {
    /// How well vendors carry calls, from live traffic.
    Quality {
        /// How far back it is looked.
        live window: Duration = minutes(15), within minutes(1) => minutes(24 * 60);
        /// With fewer calls in the window nothing is known of a vendor: it is tried before the others, until it has had them.
        live attempts_min: u32 = 50, within 1 => 1_000_000;
        /// What is looked at, the first first; the next where those before are equal.
        live by: Vec<QualityMeasure> = vec![QualityMeasure::Ner, QualityMeasure::Asr, QualityMeasure::Pdd, QualityMeasure::Short];
        /// Answered calls below this length are short.
        live short_call: Duration = seconds(6), within seconds(1) => minutes(5);
    }
}
