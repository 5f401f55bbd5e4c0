//! Hand-over in every state: each scenario of the other files again, on a fresh proxy before every event; to
//! another number of shards; and bytes that are not taken over.

use crate::rig::*;
use crate::{ask, call, cancel, edits, failover, fork, in_dialog, non_invite, patience, refuse, shown_from};
use proto::proxy::{Capacity, Occupancy, Proxy};
use proto::steer::shard_of_slot;
use proto::transaction::DecodeError;

const GATEWAY: &str = "127.0.0.1:5071";

#[test]
fn every_scenario_goes_on_elsewhere() {
    HAND_OVER.set(true);
    let scenarios = [
        call::a_call_is_carried_and_leaves_nothing,
        call::invite_is_sent_again_by_timer_a_until_an_answer_comes,
        call::nobody_answers_timer_b,
        call::a_failure_is_acknowledged_kept_and_sent_again_until_the_ack,
        call::timer_h_ends_the_wait_for_an_ack,
        call::a_repeated_invite_is_answered_with_the_last_response_and_not_forwarded,
        call::every_2xx_goes_upstream_and_a_repeated_invite_draws_nothing,
        call::timer_c_cancels_a_call_that_rings_for_ever,
        call::received_and_rport_are_filled_in,
        call::without_rport_the_answer_goes_to_the_port_of_sent_by,
        call::an_rfc_2543_call_without_branches,
        call::two_interfaces_two_record_routes,
        ask::the_answer_carries_the_call_on,
        ask::without_an_answer_the_default_holds_at_the_deadline,
        ask::a_second_answer_is_not_taken_for_the_next_question,
        ask::a_retransmission_meanwhile_draws_the_100_and_no_question,
        ask::a_cancel_meanwhile_ends_it_and_the_answer_comes_too_late,
        ask::an_error_after_the_answer_is_sent_again_until_its_ack,
        ask::dropped_or_passed_on_statelessly_nothing_is_kept,
        ask::targets_that_cannot_be_tried_move_on_to_the_next,
        ask::whoever_asks_for_ever_gets_500,
        ask::an_ack_may_wait_too_and_is_never_answered,
        ask::a_non_invite_waits_in_silence_and_gets_its_100_when_timer_e_has_come_to_t2,
        cancel::while_ringing_it_goes_on_at_once,
        cancel::it_is_sent_again_until_it_is_answered,
        cancel::before_any_1xx_it_waits_for_one,
        cancel::before_any_1xx_a_final_response_is_passed_on,
        cancel::a_gateway_that_never_answers_is_487_by_timer_b,
        cancel::a_gateway_that_answers_the_cancel_alone_is_487_after_64_t1,
        cancel::crossing_the_200_it_changes_nothing,
        cancel::crossing_the_486_it_changes_nothing,
        cancel::once_is_enough,
        cancel::no_further_gateway_is_tried_after_it,
        cancel::a_gateway_given_up_before_is_cancelled_when_it_speaks,
        cancel::both_answers_carry_the_same_to_tag,
        cancel::from_elsewhere_it_is_dropped_from_another_port_it_counts,
        cancel::of_nothing_it_is_481,
        cancel::proxy_require_in_it_is_ignored,
        cancel::it_follows_the_route_of_its_invite,
        failover::a_silent_gateway_gets_three_invites_and_no_more,
        failover::any_response_keeps_a_gateway,
        failover::a_late_1xx_draws_its_cancel_at_once_and_stays_here,
        failover::a_late_2xx_is_the_answer_if_there_is_none_yet,
        failover::a_late_2xx_goes_upstream_as_a_second_answer,
        failover::a_late_2xx_goes_upstream_after_an_error_and_its_ack_too,
        failover::a_late_failure_is_acknowledged_and_changes_nothing,
        failover::an_error_moves_the_call_on,
        failover::the_caller_sees_the_best_of_all,
        failover::a_last_503_stays_one_without_retry_after_or_becomes_500,
        failover::attempts_are_bounded,
        failover::targets_that_are_refused_or_none_are_passed_over,
        failover::nobody_to_try_is_503,
        failover::an_unreachable_gateway_is_left_at_once,
        failover::a_gateway_that_has_spoken_is_not_unreachable,
        failover::a_100_that_comes_late_does_not_bring_timer_c_forward,
        patience::who_only_says_100_is_cancelled_and_the_next_ones_turn_comes,
        patience::who_says_nothing_is_left_and_cancelled_when_he_speaks,
        patience::who_rings_in_time_may_ring_on,
        patience::the_policy_is_asked_when_it_takes_too_long,
        patience::after_the_callers_cancel_it_is_487,
        fork::the_first_2xx_cancels_the_others,
        fork::a_branch_that_was_silent_is_cancelled_when_it_speaks,
        fork::every_2xx_goes_upstream_as_often_as_it_comes,
        fork::a_2xx_after_the_final_response_goes_upstream_as_often_as_it_comes,
        fork::the_best_response_is_chosen,
        fork::a_6xx_cancels_the_others_and_waits_for_them,
        fork::challenges_are_collected,
        fork::a_2xx_to_another_method_goes_upstream_at_once_and_once,
        fork::max_breadth_is_shared_out,
        fork::a_breadth_of_one_goes_to_one_and_of_zero_nowhere,
        edits::a_request_leaves_edited_and_is_repeated_so,
        edits::cancel_and_ack_take_the_same_route,
        edits::responses_go_to_the_source_port,
        shown_from::each_side_sees_its_own_the_whole_call,
        shown_from::a_failure_a_cancel_and_their_acks_too,
        shown_from::other_methods_and_forks_too,
        in_dialog::the_token_proves_the_dialog_and_the_side,
        in_dialog::the_token_says_where_a_phone_really_is,
        in_dialog::the_token_knows_the_way_back_to_the_initiator,
        in_dialog::a_forged_or_replayed_token_proves_nothing,
        in_dialog::both_of_a_double_record_route_are_taken_off,
        in_dialog::only_our_own_routes_are_taken_off,
        in_dialog::on_a_wildcard_other_proxies_of_our_port_are_not_ours,
        in_dialog::a_route_of_another_node_with_our_keys_is_not_ours,
        in_dialog::from_a_strict_router_the_request_uri_is_restored,
        in_dialog::to_a_strict_router_the_request_uri_goes_last,
        in_dialog::a_maddr_that_names_us_is_taken_off,
        in_dialog::the_ack_of_a_2xx_is_passed_on_and_nothing_kept,
        in_dialog::an_ack_that_may_not_pass_draws_nothing,
        in_dialog::a_prack_and_its_answer_pass,
        in_dialog::a_re_invite_is_carried_like_an_invite_and_cancelled_like_one,
        non_invite::a_request_of_any_method_is_carried_and_leaves_nothing,
        non_invite::timer_e_backs_off_to_t2,
        non_invite::after_a_1xx_it_is_sent_again_every_t2,
        non_invite::a_1xx_stays_here_and_the_100_is_our_own,
        non_invite::an_answer_in_time_draws_no_100,
        non_invite::nobody_answers_and_no_408_is_said,
        non_invite::a_late_answer_of_one_given_up_counts_while_none_has_gone,
        non_invite::a_late_1xx_does_not_take_the_place_of_the_final_response,
        non_invite::a_cancel_does_not_reach_it,
        non_invite::a_response_that_nobody_below_waits_for_is_dropped,
        refuse::by_the_rules_of_16_3,
        refuse::a_stranger_gets_no_answer_whatever_he_sends,
        refuse::by_the_policy,
        refuse::an_options_to_us_needs_no_hop,
        refuse::a_loop_is_told_from_a_spiral,
        refuse::a_branch_that_looks_like_ours_is_no_loop,
        refuse::merged_requests_are_both_carried,
        refuse::a_full_pool_refuses_new_work_and_carries_on_with_the_old,
        refuse::a_response_that_was_not_asked_for,
    ];
    for scenario in scenarios {
        scenario();
    }
    HAND_OVER.set(false);
}

fn frames(rig: &Rig) -> Vec<Vec<u8>> {
    let mut frames = Vec::new();
    rig.proxy.export(rig.now, |frame| frames.push(frame.to_vec()));
    frames
}

/// Two open calls, one parked, one answered, one refused: something of everything.
fn busy() -> Rig {
    let mut rig = Rig::new([
        Say::Forward(vec![GATEWAY, "127.0.0.1:5072"]),
        Say::Forward(vec![GATEWAY]),
        Say::Ask(5_000),
        Say::Forward(vec![GATEWAY]),
    ]);
    let calls: Vec<_> = (1..=4)
        .map(|number| {
            let branch = format!("z9hG4bK{number}");
            rig.receive(CALLER, &invite(&branch).replace("call1@", &format!("call{number}@")));
            rig.world.sent.drain(..).find(|(_, text)| text.starts_with("INVITE")).map(|(_, text)| text)
        })
        .collect();
    rig.receive(GATEWAY, &respond(calls[0].as_ref().unwrap(), 401, "x", "WWW-Authenticate: Digest realm=\"a\"\r\n"));
    rig.receive(GATEWAY, &respond(calls[1].as_ref().unwrap(), 200, "x", ""));
    rig.receive(GATEWAY, &respond(calls[3].as_ref().unwrap(), 486, "x", ""));
    rig.world.sent.clear();
    rig
}

#[test]
fn to_another_number_of_shards_each_keeps_its_own() {
    let rig = busy();
    for shards in [1, 2, 3, 8] {
        let mut found = Occupancy::default();
        for shard in 0..shards {
            let mut other = Rig::new([Say::Reply(404)]);
            for frame in frames(&rig) {
                let mine = |slot| shard_of_slot(slot, shards) == shard;
                assert!(other.proxy.import(other.now, &frame, mine, &mut other.world).is_ok());
            }
            let left = other.proxy.occupancy();
            found.transactions += left.transactions;
            found.open += left.open;
            found.branches += left.branches;
            found.bytes += left.bytes;
            other.pass(300_000);
            other.world.sent.clear();
            other.expect_empty();
        }
        assert_eq!(found, rig.proxy.occupancy(), "{shards} shards");
    }
}

#[test]
fn damaged_bytes_are_refused_and_leave_nothing() {
    let rig = busy();
    let all = frames(&rig);
    assert_eq!(all.len(), 4);
    let mut other = Rig::new([]);
    let mut import = |frame: &[u8]| {
        let taken = other.proxy.import(other.now, frame, |_| true, &mut other.world);
        assert!(other.proxy.occupancy() == Occupancy::default() && other.world.timers.is_empty());
        taken
    };
    for frame in all {
        for length in 0..frame.len() {
            assert_eq!(import(&frame[..length]), Err(DecodeError::Damaged));
        }
        for at in 0..frame.len() {
            let mut changed = frame.clone();
            changed[at] ^= 0x10;
            let wanted = if at == 0 { DecodeError::Version(0x13) } else { DecodeError::Damaged };
            assert_eq!(import(&changed), Err(wanted));
        }
        assert_eq!(import(&[&frame[..], b"x"].concat()), Err(DecodeError::Damaged));
    }
}

#[test]
fn what_is_here_already_or_was_written_elsewhere_is_refused() {
    let rig = busy();
    let mut secret = settings();
    secret.boot_secret = proto::hash::Secret([4; 16]);
    for frame in frames(&rig) {
        let mut other = Rig::new([]);
        assert_eq!(other.proxy.import(other.now, &frame, |_| false, &mut other.world), Ok(false));
        assert_eq!(other.proxy.import(other.now, &frame, |_| true, &mut other.world), Ok(true));
        let before = other.proxy.occupancy();
        let again = other.proxy.import(other.now, &frame, |_| true, &mut other.world);
        assert_eq!((again, other.proxy.occupancy()), (Err(DecodeError::AlreadyHere), before));
        let mut stranger = Proxy::new(secret.clone(), Script::default(), 1);
        let refused = stranger.import(other.now, &frame, |_| true, &mut World::default());
        assert_eq!((refused, stranger.occupancy()), (Err(DecodeError::OtherSecret), Occupancy::default()));
    }
}

#[test]
fn what_does_not_fit_is_refused_and_leaves_nothing() {
    let rig = busy();
    let small = [
        Capacity { transactions: 0, open: 8, branches: 8, bytes: 1 << 20 },
        Capacity { transactions: 8, open: 0, branches: 0, bytes: 1 << 20 },
        Capacity { transactions: 8, open: 8, branches: 1, bytes: 1 << 16 },
        Capacity { transactions: 8, open: 8, branches: 8, bytes: 0 },
    ];
    for capacity in small {
        let mut other = Rig::with(proto::proxy::Settings { capacity, ..settings() }, []);
        let mut full = 0;
        for frame in frames(&rig) {
            let before = (other.proxy.occupancy(), other.world.timers.len());
            if other.proxy.import(other.now, &frame, |_| true, &mut other.world) == Err(DecodeError::Full) {
                assert_eq!((other.proxy.occupancy(), other.world.timers.len()), before);
                full += 1;
            }
        }
        assert!(full > 0, "{capacity:?}");
    }
}

#[test]
fn timers_run_on_where_they_were() {
    let mut rig = Rig::new([Say::Forward(vec![GATEWAY])]);
    let sent = rig.call(GATEWAY);
    rig.pass(300);
    let frame = frames(&rig).remove(0);
    // Under way for 150 ms, to a proxy whose clock has only just started.
    let mut other = Rig::new([]);
    other.now = proto::time::Now { mono: proto::time::Mono(5), wall: proto::time::Wall(rig.now.wall.0 + 150_000) };
    assert_eq!(other.proxy.import(other.now, &frame, |_| true, &mut other.world), Ok(true));
    other.pass(49);
    other.expect_nothing();
    other.pass(1);
    assert_eq!(other.expect(GATEWAY, "INVITE"), sent, "Timer A, 500 ms after the call");
}
