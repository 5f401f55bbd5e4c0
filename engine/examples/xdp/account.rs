//! X4: the account of all frames after millions of them, with bursts, loss, a card that keeps frames for
//! a while, an interface that goes and comes back, and descriptors that were never lent.

use crate::scene::{FRAMES, Scene, packet};
use std::collections::VecDeque;

/// What was found.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// Packets offered by the card.
    pub(crate) offered: u64,
    /// Of these, lost for want of frames.
    pub(crate) lost: u64,
    /// Packets sent.
    pub(crate) sent: u64,
    /// Times that the interface went away.
    pub(crate) flaps: u64,
    /// Descriptors that were refused, of so many that were never lent.
    pub(crate) refused: (u64, u64),
    /// Frames that are not free at the end, and lent to nobody: must be 0.
    pub(crate) missing: usize,
}

/// Runs `frames` packets through a shard.
///
/// # Errors
/// The first disagreement between the account and a count of all frames.
pub(crate) fn run(frames: u64) -> Result<Outcome, String> {
    let mut scene = Scene::new();
    let mut random = 0x2545_f491_4f6c_dd1d_u64;
    let mut draw = move |below: u64| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random % below
    };
    let good = packet(&[0x41; 600]);
    let bad = packet(&[0x41; 600])[..300].to_vec();
    // Sent, but not given back yet.
    let mut kept: VecDeque<u64> = VecDeque::new();
    let mut outcome = Outcome { offered: 0, lost: 0, sent: 0, flaps: 0, refused: (0, 0), missing: 0 };
    let mut turn = 0;
    while outcome.offered < frames {
        turn += 1;
        // Bursts: mostly a few, now and then more than there are frames.
        let burst = if draw(50) == 0 { draw(3_000) } else { draw(100) };
        for _ in 0..burst {
            outcome.offered += 1;
            let packet = if draw(20) == 0 { &bad } else { &good };
            outcome.lost += u64::from(!scene.far.deliver(&scene.memory, packet));
        }
        if draw(1_000) == 0 {
            scene.far.deliver_nonsense(draw(2 * 2 * FRAMES as u64 * 2_048));
            outcome.refused.1 += 1;
        }
        scene.shard.app().astray = draw(10) == 0;
        scene.step(turn * 100);
        while let Some(((), address)) = scene.far.take_sent(&scene.memory, |_| ()) {
            kept.push_back(address);
            outcome.sent += 1;
        }
        for _ in 0..draw(120) {
            let Some(address) = kept.pop_front() else { break };
            scene.far.complete(address);
        }
        while scene.shard.device().kernel().take_sent(|_, _| ()).is_some() {}
        if draw(20_000) == 0 {
            scene.flap();
            // What the card still had goes with it.
            kept.clear();
            outcome.flaps += 1;
        }
        if turn % 1_000 == 0 {
            compare(&mut scene)?;
        }
    }
    settle(&mut scene, &mut kept, turn);
    let account = compare(&mut scene)?;
    outcome.refused.0 = account.refused;
    outcome.missing = account.frames - account.free - account.filling;
    Ok(outcome)
}

/// Lets everything that is under way arrive.
fn settle(scene: &mut Scene, kept: &mut VecDeque<u64>, mut turn: u64) {
    for _ in 0..100 {
        turn += 1;
        scene.step(turn * 100);
        while let Some(((), address)) = scene.far.take_sent(&scene.memory, |_| ()) {
            kept.push_back(address);
        }
        for address in kept.drain(..) {
            scene.far.complete(address);
        }
        while scene.shard.device().kernel().take_sent(|_, _| ()).is_some() {}
    }
}

fn compare(scene: &mut Scene) -> Result<engine_sys::xdp::Account, String> {
    let device = scene.shard.device();
    let (kept, counted) = (device.account(), device.audit()?);
    if kept == counted { Ok(kept) } else { Err(format!("kept {kept:?}, counted {counted:?}")) }
}
