//! `[registrar]`: what all domains have in common.

use super::KeepAlive;
use crate::read::OffOr;
use crate::schema::defaults;

choice! {
    /// When a REGISTER is answered.
    Durability {
        /// When its binding is on the disk: no binding that was acknowledged is lost by a crash.
        Strict = "strict",
        /// At once. A crash of the process loses what the last second brought, at most.
        Relaxed = "relaxed",
    }
}

section! {
    /// The registrar: what all domains have in common.
    Registrar {
        /// When a REGISTER is answered.
        restart durability: Durability = Durability::Strict;
        /// How the ways to phones behind NAT are kept open.
        live keep_alive: OffOr<KeepAlive> = OffOr::On(defaults());
        /// Users that are registered at the same time, of each shard.
        restart users_per_shard: u32 = 500_000, within 64 => 50_000_000;
        /// Memory for their bindings, in MiB, of each shard. It is taken as it is needed.
        restart store_mebibytes_per_shard: u32 = 512, within 1 => 65_536;
        /// Version of the journal's format. Before you go back to the release before, write the number of its version
        /// (`1`) and restart: the log says when all files are of it.
        restart journal_version: u32 = limits::registrar::JOURNAL_VERSION,
            within (limits::registrar::JOURNAL_VERSION - 1) => limits::registrar::JOURNAL_VERSION;
        /// Longest file of the journal in MiB; older ones go when all that they hold stands in newer ones.
        restart journal_file_mebibytes: u32 = 64, within 1 => 4_096;
    }
}
