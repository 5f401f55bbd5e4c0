//! Every state and every event of the four machines, and what follows: `next state:actions`, or `.` where the
//! figure shows nothing and nothing happens.

use super::{Actions, client_invite, client_non_invite, server_invite, server_non_invite};
use core::fmt::Debug;
use std::string::String;
use std::vec::Vec;

/// A line for the states, then one for each event.
fn table<S: Copy + Debug + PartialEq, E: Copy + Debug>(
    states: &[S],
    events: &[E],
    step: impl Fn(S, E) -> (S, Actions),
) -> Vec<Vec<String>> {
    let cell = |state: S, event: E| match step(state, event) {
        (next, Actions::NONE) if next == state => String::from("."),
        (next, actions) => std::format!("{next:?}:{actions:?}"),
    };
    let head = [String::from("event")].into_iter().chain(states.iter().map(|state| std::format!("{state:?}")));
    let rows = events.iter().map(|&event| {
        [std::format!("{event:?}")].into_iter().chain(states.iter().map(|&state| cell(state, event))).collect()
    });
    [head.collect()].into_iter().chain(rows).collect()
}

#[track_caller]
fn assert_rows(found: &[Vec<String>], wanted: &str) {
    let wanted: Vec<Vec<&str>> =
        wanted.lines().map(|line| line.split_whitespace().collect()).filter(|row: &Vec<_>| !row.is_empty()).collect();
    assert_eq!(found.len(), wanted.len());
    for (found, wanted) in found.iter().zip(wanted) {
        assert_eq!(*found, wanted);
    }
}

/// RFC 3261 figure 5, as RFC 6026 §8.4 corrects it.
#[test]
fn client_invite_machine() {
    use client_invite::{Event::*, State::*, step};
    let found = table(
        &[Calling, Proceeding, Completed, Accepted, Terminated],
        &[Provisional, Success, Failure, TransportError, TimerA, TimerB, TimerD, TimerM],
        step,
    );
    let wanted = "
        event           Calling             Proceeding          Completed         Accepted       Terminated
        Provisional     Proceeding:pass     Proceeding:pass     .                 .              .
        Success         Accepted:pass       Accepted:pass       .                 Accepted:pass  .
        Failure         Completed:pass+ack  Completed:pass+ack  Completed:ack     .              .
        TransportError  Terminated:error    .                   Terminated:error  .              .
        TimerA          Calling:resend      .                   .                 .              .
        TimerB          Terminated:timeout  .                   .                 .              .
        TimerD          .                   .                   Terminated:-      .              .
        TimerM          .                   .                   .                 Terminated:-   .
    ";
    assert_rows(&found, wanted);
}

/// RFC 3261 figure 6.
#[test]
fn client_non_invite_machine() {
    use client_non_invite::{Event::*, State::*, step};
    let found = table(
        &[Trying, Proceeding, Completed, Terminated],
        &[Provisional, Final, TransportError, TimerE, TimerF, TimerK],
        step,
    );
    let wanted = "
        event           Trying              Proceeding          Completed     Terminated
        Provisional     Proceeding:pass     Proceeding:pass     .             .
        Final           Completed:pass      Completed:pass      .             .
        TransportError  Terminated:error    Terminated:error    .             .
        TimerE          Trying:resend       Proceeding:resend   .             .
        TimerF          Terminated:timeout  Terminated:timeout  .             .
        TimerK          .                   .                   Terminated:-  .
    ";
    assert_rows(&found, wanted);
}

/// RFC 3261 figure 7, as RFC 6026 §8.7 corrects it.
#[test]
fn server_invite_machine() {
    use server_invite::{Event::*, State::*, step};
    let found = table(
        &[Proceeding, Completed, Confirmed, Accepted, Terminated],
        &[Invite, Ack, Provisional, Success, Failure, TransportError, TimerG, TimerH, TimerI, TimerL],
        step,
    );
    let wanted = "
        event           Proceeding         Completed           Confirmed     Accepted        Terminated
        Invite          Proceeding:resend  Completed:resend    .             .               .
        Ack             .                  Confirmed:-         .             Accepted:pass   .
        Provisional     Proceeding:send    .                   .             .               .
        Success         Accepted:send      .                   .             Accepted:send   .
        Failure         Completed:send     .                   .             .               .
        TransportError  Proceeding:error   Completed:error     .             Accepted:error  .
        TimerG          .                  Completed:resend    .             .               .
        TimerH          .                  Terminated:timeout  .             .               .
        TimerI          .                  .                   Terminated:-  .               .
        TimerL          .                  .                   .             Terminated:-    .
    ";
    assert_rows(&found, wanted);
}

/// RFC 3261 figure 8.
#[test]
fn server_non_invite_machine() {
    use server_non_invite::{Event::*, State::*, step};
    let found = table(
        &[Trying, Proceeding, Completed, Terminated],
        &[Request, Provisional, Final, TransportError, TimerJ],
        step,
    );
    let wanted = "
        event           Trying           Proceeding         Completed         Terminated
        Request         .                Proceeding:resend  Completed:resend  .
        Provisional     Proceeding:send  Proceeding:send    .                 .
        Final           Completed:send   Completed:send     .                 .
        TransportError  .                Terminated:error   Terminated:error  .
        TimerJ          .                .                  Terminated:-      .
    ";
    assert_rows(&found, wanted);
}
