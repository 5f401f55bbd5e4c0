//! How datagrams find a shard in the kernel: what the configuration says, as the engine wants it.
//!
//! `owner.bpf.c`, beside this file, runs in the kernel on every datagram and names the shard that owns it, by the
//! rule of `proto::steer`. A datagram that it steers wrongly is handed over as ever.

mod interrupts;

use engine::{OwnerProgram, Steering};
use proto::token::Keys;
use tuning::Config;

/// The program's object. Its source lies beside it; `scripts/bpf-object` builds it.
static OBJECT: &[u8] = include_bytes!("owner.bpf.o");

/// The program that finds the owner by these keys.
pub fn owner_program(keys: &Keys) -> OwnerProgram {
    let secret = u128::from_le_bytes(keys.slot_secret().0);
    OwnerProgram { object: OBJECT, name: "owner", config: [secret as u64, (secret >> 64) as u64] }
}

/// What the configuration says, for shards on these cores.
pub(crate) fn choose(config: &Config, cores: &[usize], keys: &Keys) -> Steering {
    let program = owner_program(keys);
    match config.shards.steering {
        tuning::Steering::Core => Steering::ReceivingCpu,
        tuning::Steering::Hash => Steering::Random,
        tuning::Steering::Owner => Steering::Owner { program, otherwise: None },
        tuning::Steering::Auto => {
            let by_core = faces_a_network(config) && interrupts::are_one_a_core(cores);
            let otherwise = if by_core { Steering::ReceivingCpu } else { Steering::Random };
            Steering::Owner { program, otherwise: Some(Box::new(otherwise)) }
        }
    }
}

/// Whether any traffic comes by a network card: over loopback the sender's core receives.
fn faces_a_network(config: &Config) -> bool {
    config.listen.udp.iter().any(|listener| !listener.address.ip().is_loopback())
}
