//! What the survey found goes to the registrar of each shard: one thread a shard, each reads all and takes its own.

use super::frame::{FILE_HEAD, FRAME_HEAD, Found, FrameHead};
use super::survey::{Damage, Survey};
use modules::authentication::living::Living;
use modules::registrar::{Entry, Registrar};
use proto::hash::Secret;
use proto::steer;
use proto::time::Now;

/// What was taken in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Loaded {
    /// Entries read for accounts of this shard.
    pub entries: u64,
    /// Of these, that had no room or no domain any more.
    pub dropped: u64,
}

/// Takes in what belongs to one shard of so many. `living`: whom to tell where the bindings of a domain live, if they
/// were proven.
///
/// # Errors
/// A frame whose checksum is right holds what is no entry.
pub fn load<'l>(
    survey: &Survey,
    registrar: &mut Registrar,
    slot_secret: &Secret,
    (shard, shards): (u16, u16),
    living: impl Fn(&[u8]) -> Option<&'l Living>,
    now: Now,
) -> Result<Loaded, Damage> {
    let mut loaded = Loaded::default();
    for (number, bytes) in &survey.files {
        let mut at = FILE_HEAD;
        while let Found::Frame(head, payload) = FrameHead::unproven(bytes, at) {
            let shift = survey.shifts.get(&head.session).copied().unwrap_or(0);
            let mut rest = payload;
            while !rest.is_empty() {
                let Some((entry, behind)) = Entry::read(rest) else {
                    let why = format!("holds what is no entry at byte {}", at + payload.len() - rest.len());
                    return Err(Damage { file: format!("journal {number}"), why });
                };
                rest = behind;
                let slot = steer::slot_of_plain_user(slot_secret, entry.user);
                if steer::shard_of_slot(slot, shards) == shard {
                    loaded.entries += 1;
                    loaded.dropped += u64::from(!registrar.load(&entry, shift, living(entry.domain), now));
                }
            }
            at += FRAME_HEAD + payload.len();
        }
    }
    Ok(loaded)
}
