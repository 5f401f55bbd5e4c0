//! Registrations, and calls to who is registered.

use std::fs;

use super::{Setup, SetupError};
use crate::{
    caller::Kind,
    cli::{DigestArgs, LocationSide, PlacingArgs, RegisterArgs},
    digest::Account,
    message::requests::Registered,
    numbers::Numbers,
    placing::Placing,
};

impl Setup {
    /// Registrations.
    pub fn registrations(workload: &'static str, args: RegisterArgs) -> Result<Self, SetupError> {
        if !args.prefix.chars().all(|symbol| symbol.is_ascii_alphanumeric() || "+-_.".contains(symbol)) {
            return Err(SetupError::Usage("--prefix takes letters, digits and + - _ .".to_owned()));
        }
        let mut setup = Self::requests(workload, Kind::Register, args.request)?;
        if let Some(load) = &mut setup.load {
            load.caller.numbers = Numbers::from(args.numbers.first_number, args.numbers.numbers);
            load.caller.registered = Registered { prefix: args.prefix, contact: args.contact };
        }
        Ok(setup)
    }

    /// Registrations with credentials.
    pub fn registrations_with_digest(args: DigestArgs) -> Result<Self, SetupError> {
        let account = Account { user: args.user, password: args.password, nonce_reused: args.reuse_nonce };
        if account.user.iter().chain([&account.password]).any(|text| text.contains(['"', '\\', ':'])) {
            return Err(SetupError::Usage("--user and --password take no quotes, backslashes or colons".to_owned()));
        }
        let mut setup = Self::registrations("register-digest", args.register)?;
        if let Some(load) = &mut setup.load {
            load.caller.established = load.caller.places;
            load.caller.account = Some(account);
        }
        Ok(setup)
    }
}

impl PlacingArgs {
    /// Reads the key, if calls are to be chosen by it.
    pub(super) fn read(&self) -> Result<Option<Placing>, SetupError> {
        let (Some(side), Some(path), Some(shards)) = (self.location, &self.tandem_key, self.tandem_shards) else {
            return Ok(None);
        };
        let text = fs::read_to_string(path).map_err(|error| SetupError::File(path.clone(), error))?;
        let placing = Placing::new(&text, shards, side == LocationSide::Same);
        placing.map(Some).ok_or_else(|| {
            SetupError::Usage("--tandem-key is a file of 64 hexadecimal digits, --tandem-shards at least 2".to_owned())
        })
    }
}
