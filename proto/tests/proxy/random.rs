//! Random events against a proxy: see `events`.

use crate::events::{Event, LITTLE, ROOM, STATUSES, run};
use proptest::prelude::*;

fn event() -> impl Strategy<Value = Event> {
    let any = any::<prop::sample::Index>().prop_map(|index| index.index(1 << 20));
    prop_oneof![
        4 => Just(Event::Request),
        2 => any.clone().prop_map(Event::Repeat),
        2 => any.clone().prop_map(Event::Cancel),
        2 => any.clone().prop_map(Event::Ack),
        12 => (any.clone(), 0..STATUSES.len(), prop::bool::weighted(0.03))
            .prop_map(|(which, status, elsewhere)| Event::Respond(which, status, elsewhere)),
        1 => any.clone().prop_map(Event::Answer),
        1 => any.prop_map(Event::Unreachable),
        6 => prop_oneof![1u64..600, 600u64..5_000, 5_000u64..40_000].prop_map(Event::Pass),
        1 => Just(Event::HandOver),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn nothing_breaks_the_rules(events in prop::collection::vec(event(), 200)) {
        run(ROOM, &events);
    }

    #[test]
    fn nothing_breaks_the_rules_when_pools_are_full(events in prop::collection::vec(event(), 200)) {
        run(LITTLE, &events);
    }
}
