//! `[authentication]`: how phones prove who they are (RFC 3261 §22, RFC 8760), and who is shut out.

use crate::read::{OneOrMany, SourceName, seconds};
use std::time::Duration;

choice! {
    /// A hash function of digest authentication.
    DigestAlgorithm {
        /// What every phone in the field knows.
        Md5 = "MD5",
        /// SHA-256 (RFC 8760).
        Sha256 = "SHA-256",
        /// SHA-512 cut to 256 bits (RFC 8760).
        Sha512_256 = "SHA-512-256",
    }
}

choice! {
    /// What becomes of a request whose From is not the account that sent it.
    ForeignFrom {
        /// It gets 403.
        Refuse = "refuse",
        /// It is carried; P-Asserted-Identity says who sent it.
        Assert = "assert",
        /// It is carried with the account in From, the whole dialog long; its sender goes on seeing its own.
        Overwrite = "overwrite",
    }
}

choice! {
    /// How the URI in a proof is held against the Request-URI (RFC 7616 §3.4.6).
    ProofUri {
        /// The same user, or none in the proof, and a host that means the same: the same, or names of one domain or of
        /// this proxy.
        Alike = "alike",
        /// The same by RFC 3261 §19.1.4.
        Equal = "equal",
        /// It is not.
        Any = "any",
    }
}

section! {
    /// Requests for which it shall be otherwise than usual whether they need a proof. Usually every REGISTER does, and
    /// of all else outside a dialog what comes from nobody whom the file names.
    ProofRow {
        /// Methods that it is for; none: every one.
        live methods: Vec<String> = Vec::new();
        /// Source groups that it is for; none: wherever it comes from.
        live source: OneOrMany<SourceName> = OneOrMany::none();
        /// A proof is needed.
        live needed: bool;
    }
}

choice! {
    /// TLS to a database.
    DatabaseTls {
        /// None: it is on this host, or the way to it is our own.
        Off = "off",
        /// Encrypted; its certificate may be anybody's (`sslmode=require`).
        Require = "require",
        /// Encrypted; its certificate is its host's, from an authority that is trusted (`sslmode=verify-full`).
        Verify = "verify",
    }
}

choice! {
    /// Attributes that carry a proof to a RADIUS server.
    RadiusDialect {
        /// RFC 5090.
        Rfc5090 = "rfc5090",
        /// draft-sterman-aaa-sip, as Kamailio's `auth_radius` and FreeRADIUS' `digest` speak it.
        Sterman = "sterman",
    }
}

section! {
    /// How phones prove who they are, and who is shut out.
    Authentication {
        /// How long a nonce may be used. Afterwards a phone is challenged with `stale=true` and answers by itself.
        live nonce: Duration = seconds(300), within seconds(10) => seconds(86_400);
        /// How long an account's hashes are remembered. A proof that fails asks its source anew.
        live remembered: Duration = seconds(300), within seconds(1) => seconds(86_400);
        /// How long it is remembered that there is no such account, and that a proof failed.
        live unknown_remembered: Duration = seconds(30), within seconds(1) => seconds(3_600);
        /// Longest wait for a source of accounts; afterwards the REGISTER gets 503.
        live source_deadline: Duration = seconds(2), within Duration::from_millis(50) => seconds(30);
        /// Questions that a source is asked at the same time.
        live source_questions: u32 = 64, within 1 => 4_096;
        /// Failed proofs of a user from one address after which that user is shut out there.
        live user_failures: u32 = 8, within 1 => 1_000;
        /// Failed proofs of an address, of all users, after which it is shut out, unless a phone is registered there.
        live address_failures: u32 = 50, within 1 => 100_000;
        /// How long somebody is shut out the first time; each further time is twice as long.
        live ban: Duration = seconds(60), within seconds(1) => seconds(86_400);
        /// The longest time.
        live ban_max: Duration = seconds(3_600), within seconds(1) => seconds(604_800);
        /// Failures are forgotten when none came for so long.
        live failures_forgotten: Duration = seconds(900), within seconds(1) => seconds(604_800);
        /// Questions to sources of accounts that an address may cause in a second.
        live address_questions: u32 = 20, within 1 => 1_000_000;
        /// Questions that an address may save up: an office behind one address comes back after a power cut.
        live address_questions_burst: u32 = 500, within 1 => 1_000_000;
        /// Accounts that are remembered, of each shard, each with two nonces in use.
        restart accounts_per_shard: u32 = 65_536, within 64 => 16_777_216;
        /// Users and addresses whose failures are remembered, of each shard.
        restart failures_per_shard: u32 = 8_192, within 64 => 1_048_576;
    }
}
