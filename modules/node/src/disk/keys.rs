//! The keys that sign our Via branches and Routes: made once, kept for ever, so that a restart loses
//! no established call.
//!
//! Text, one key a line: a number from 0 to 255 and 32 hexadecimal digits. The first signs, all
//! verify. To change keys, put a new line on top; take the old line away a day later. Several nodes
//! share their calls by sharing this file.

use super::{Directory, StateError, atomic};
use data_encoding::HEXLOWER_PERMISSIVE;
use proto::hash::Secret;
use proto::token::KEYS_MAX;
use std::fmt::Write;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// A key and the number by which tokens name it.
pub type NamedKey = (u8, Secret);

/// Where the keys stand.
#[derive(Debug)]
pub struct KeyFile {
    path: PathBuf,
}

impl KeyFile {
    /// The file in the state directory.
    pub fn of(directory: &Directory) -> Self {
        KeyFile { path: directory.file("keys") }
    }

    /// A file given by the operator. It is never written.
    pub fn given(path: &Path) -> Self {
        KeyFile { path: path.to_owned() }
    }

    /// Reads the keys; makes the file with one random key if it does not exist.
    pub fn read_or_create(&self) -> Result<Vec<NamedKey>, StateError> {
        if !self.path.exists() {
            let key = random_key().map_err(|why| StateError::new(&self.path, why, "the kernel's random numbers are needed"))?;
            atomic::replace(&self.path, render(&[key]).as_bytes())
                .map_err(|error| StateError::new(&self.path, error, "make the folder writable for this user"))?;
        }
        self.read()
    }

    /// Reads the keys, at least one.
    pub fn read(&self) -> Result<Vec<NamedKey>, StateError> {
        let metadata = std::fs::metadata(&self.path)
            .map_err(|error| StateError::new(&self.path, error, "the file of signing keys must exist and be readable"))?;
        if metadata.mode() & 0o077 != 0 {
            return Err(StateError::new(&self.path, "others may read the keys", "run `chmod 600` on it"));
        }
        let text = std::fs::read_to_string(&self.path)
            .map_err(|error| StateError::new(&self.path, error, "the file of signing keys must be readable text"))?;
        parse(&text).map_err(|why| {
            StateError::new(
                &self.path,
                why,
                "put back a copy, or move the file away: a new key is made then, and calls that stand now cannot be ended through Tandem",
            )
        })
    }
}

fn random_key() -> Result<NamedKey, getrandom::Error> {
    let mut secret = [0; 16];
    getrandom::fill(&mut secret)?;
    Ok((1, Secret(secret)))
}

fn render(keys: &[NamedKey]) -> String {
    let mut text = String::from("# Keys that sign Tandem's routes: the first signs, all verify. Keep secret.\n");
    for (id, Secret(secret)) in keys {
        let _ = writeln!(text, "{id} {}", data_encoding::HEXLOWER.encode(secret));
    }
    text
}

fn parse(text: &str) -> Result<Vec<NamedKey>, String> {
    let mut keys: Vec<NamedKey> = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let number = index + 1;
        let key = parse_line(line).ok_or_else(|| format!("line {number} is not a number and 32 hexadecimal digits"))?;
        if keys.iter().any(|(id, _)| *id == key.0) {
            return Err(format!("line {number} has key number {} again", key.0));
        }
        keys.push(key);
    }
    match keys.len() {
        0 => Err("has no key".into()),
        count if count > KEYS_MAX => Err(format!("has {count} keys, at most {KEYS_MAX} are read")),
        _ => Ok(keys),
    }
}

fn parse_line(line: &str) -> Option<NamedKey> {
    let (id, secret) = line.split_once(char::is_whitespace)?;
    let secret = HEXLOWER_PERMISSIVE.decode(secret.trim().as_bytes()).ok()?;
    Some((id.parse().ok()?, Secret(secret.try_into().ok()?)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn are_made_once_and_then_stay() {
        let folder = tempfile::tempdir().unwrap();
        let directory = Directory::open(folder.path()).unwrap();
        let first = KeyFile::of(&directory).read_or_create().unwrap();
        let again = KeyFile::of(&directory).read_or_create().unwrap();
        assert_eq!(first.len(), 1);
        assert_eq!(render(&first), render(&again));
        assert_eq!(std::fs::metadata(directory.file("keys")).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn two_fresh_installations_have_different_keys() {
        let fresh = || {
            let folder = tempfile::tempdir().unwrap();
            KeyFile::of(&Directory::open(folder.path()).unwrap()).read_or_create().unwrap()
        };
        assert_ne!(render(&fresh()), render(&fresh()));
    }

    #[test]
    fn keys_that_others_can_read_stop_the_start() {
        let folder = tempfile::tempdir().unwrap();
        let directory = Directory::open(folder.path()).unwrap();
        KeyFile::of(&directory).read_or_create().unwrap();
        std::fs::set_permissions(directory.file("keys"), std::fs::Permissions::from_mode(0o644)).unwrap();
        assert!(KeyFile::of(&directory).read_or_create().unwrap_err().to_string().contains("chmod 600"));
    }

    #[test]
    fn the_order_of_lines_is_the_order_of_keys() {
        let keys = parse("# new\n2 00112233445566778899aabbccddeeff\n\n1 FFEEDDCCBBAA99887766554433221100\n").unwrap();
        assert_eq!(keys.iter().map(|(id, _)| *id).collect::<Vec<_>>(), [2, 1]);
    }

    #[test]
    fn damage_is_named_by_line_and_never_replaced_by_new_keys() {
        for (text, wanted) in [
            ("", "has no key"),
            ("1 00", "line 1"),
            ("#\n256 00112233445566778899aabbccddeeff", "line 2"),
            ("1 00112233445566778899aabbccddeeff\n1 00112233445566778899aabbccddeeff", "again"),
            ("1 00112233445566778899aabbccddeef", "line 1"),
        ] {
            assert!(parse(text).unwrap_err().contains(wanted), "{text:?}");
        }
    }
}
