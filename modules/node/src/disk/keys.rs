//! The keys that sign our Via branches and Routes: made once, kept for ever, so that a restart loses
//! no established call.
//!
//! A file holds one key: 32 bytes as 64 hexadecimal digits. The first 16 are the secret, the 17th is
//! the number by which tokens name the key, the rest is room for what later releases sign. Either the
//! operator lists files (`keys.files`; the first signs, all verify), so that several nodes share them, or
//! Tandem keeps its own in a folder, where the last by name signs. To change keys, add one; take the
//! old one away when no call of its time is left.

use super::{StateError, atomic};
use data_encoding::{HEXLOWER, HEXLOWER_PERMISSIVE};
use limits::KEYS_MAX;
use proto::hash::Secret;
use std::fs;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

/// A key and the number by which tokens name it.
pub type NamedKey = (u8, Secret);

/// Ending of the key files in a folder.
const ENDING: &str = "key";

const REMEDY: &str = "put back a copy; if there is none, move it away: a new key is made, \
                      and calls that stand now cannot be ended through Tandem";

/// Reads the keys from `files`, in their order.
pub fn read_files(files: &[PathBuf]) -> Result<Vec<NamedKey>, StateError> {
    let mut keys: Vec<NamedKey> = Vec::new();
    for path in files {
        let key = read(path)?;
        if keys.iter().any(|(number, _)| *number == key.0) {
            return Err(StateError::new(path, format!("has the number of another key, {}", key.0), "make another key"));
        }
        keys.push(key);
    }
    match files.last() {
        Some(last) if files.len() > KEYS_MAX => {
            Err(StateError::new(last, format!("is one of {} keys", files.len()), format!("keep at most {KEYS_MAX}")))
        }
        _ => Ok(keys),
    }
}

/// Reads the keys in `folder`, the last by name first. Makes the folder and a random key if there is none.
pub fn read_or_create(folder: &Path) -> Result<Vec<NamedKey>, StateError> {
    let unusable = |error: std::io::Error| {
        StateError::new(folder, error, "name a folder that this user may write: `dir` in `[keys]`")
    };
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(unusable)?;
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).map_err(unusable)? {
        let path = entry.map_err(unusable)?.path();
        if path.extension().is_some_and(|ending| ending == ENDING) {
            files.push(path);
        }
    }
    if files.is_empty() {
        let path = folder.join(format!("0001.{ENDING}"));
        let key = random().map_err(|why| StateError::new(&path, why, "the kernel's random numbers are needed"))?;
        atomic::replace(&path, render(&key).as_bytes()).map_err(unusable)?;
        files.push(path);
    }
    files.sort_by(|left, right| right.cmp(left));
    read_files(&files)
}

fn read(path: &Path) -> Result<NamedKey, StateError> {
    let unreadable = |error| StateError::new(path, error, "a key file must exist and be readable by this user alone");
    if fs::metadata(path).map_err(unreadable)?.mode() & 0o077 != 0 {
        return Err(StateError::new(path, "others may read this key", "run `chmod 600` on it"));
    }
    let text = fs::read(path).map_err(unreadable)?;
    parse(&text).ok_or_else(|| StateError::new(path, "is not 64 hexadecimal digits", REMEDY))
}

fn parse(text: &[u8]) -> Option<NamedKey> {
    let bytes: [u8; 32] = HEXLOWER_PERMISSIVE.decode(text.trim_ascii()).ok()?.try_into().ok()?;
    let secret = bytes.first_chunk::<16>()?;
    Some((*bytes.get(16)?, Secret(*secret)))
}

fn random() -> Result<[u8; 32], getrandom::Error> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes)?;
    Ok(bytes)
}

fn render(key: &[u8; 32]) -> String {
    HEXLOWER.encode(key) + "\n"
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn write(folder: &Path, name: &str, first: u8, number: u8) -> PathBuf {
        let mut key = [first; 32];
        key[16] = number;
        let path = folder.join(name);
        atomic::replace(&path, render(&key).as_bytes()).unwrap();
        path
    }

    #[test]
    fn are_made_once_and_then_stay() {
        let folder = tempfile::tempdir().unwrap();
        let keys = folder.path().join("keys");
        let first = read_or_create(&keys).unwrap();
        assert!(first == read_or_create(&keys).unwrap());
        assert_eq!(first.len(), 1);
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&keys), mode(&keys.join("0001.key"))), (0o700, 0o600));
    }

    #[test]
    fn two_fresh_installations_have_different_keys() {
        let fresh = || read_or_create(tempfile::tempdir().unwrap().path()).unwrap();
        assert!(fresh() != fresh());
    }

    #[test]
    fn the_last_by_name_signs_and_other_files_are_none() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), "0001.key", 1, 11);
        write(folder.path(), "0002.key", 2, 22);
        fs::write(folder.path().join("0003.key.unfinished"), "torn").unwrap();
        let keys = read_or_create(folder.path()).unwrap();
        assert_eq!(keys.iter().map(|(number, _)| *number).collect::<Vec<_>>(), [22, 11]);
    }

    #[test]
    fn listed_files_keep_their_order() {
        let folder = tempfile::tempdir().unwrap();
        let files = [write(folder.path(), "a", 1, 11), write(folder.path(), "b", 2, 22)];
        let keys = read_files(&files).unwrap();
        assert!(keys == [(11, Secret([1; 16])), (22, Secret([2; 16]))]);
    }

    #[test]
    fn keys_that_others_can_read_stop_the_start() {
        let folder = tempfile::tempdir().unwrap();
        let path = write(folder.path(), "0001.key", 1, 1);
        fs::set_permissions(path, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(read_or_create(folder.path()).unwrap_err().to_string().contains("chmod 600"));
    }

    #[test]
    fn two_keys_of_one_number_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let files = [write(folder.path(), "a", 1, 11), write(folder.path(), "b", 2, 11)];
        assert!(read_files(&files).unwrap_err().to_string().contains("11"));
    }

    #[test]
    fn a_key_cut_at_any_byte_is_refused_and_never_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = write(folder.path(), "0001.key", 1, 1);
        let whole = fs::read(&path).unwrap();
        for cut in 0..64 {
            fs::write(&path, &whole[..cut]).unwrap();
            assert!(read_or_create(folder.path()).unwrap_err().to_string().contains("64 hexadecimal"), "cut at {cut}");
            assert_eq!(fs::read(&path).unwrap().len(), cut);
        }
    }
}
