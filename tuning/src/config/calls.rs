//! `[policy]`: how requests are treated before any route.

choice! {
    /// What happens to requests from addresses that no source group has.
    Strangers {
        /// No answer; an OPTIONS is always dropped.
        Drop = "drop",
        /// 403 Forbidden, without state.
        Forbid = "403",
    }
}

section! {
    /// How requests are treated before any route.
    Policy {
        /// What a stranger's request gets. Both are counted; `tandem sources --unknown` shows who it was.
        live strangers: Strangers = Strangers::Drop, derived "\"drop\"; \"403\" when there are customers";
        /// Longest life of a call's entry in seconds. It only frees the entry: the call itself lives on
        /// by Record-Route.
        live call_max_seconds: u32 = 43_200, within 60 => 604_800;
        /// Value of the Server header of our own responses; none: no such header.
        restart server: Option<String> = None;
    }
}
