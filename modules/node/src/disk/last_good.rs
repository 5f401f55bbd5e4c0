//! The last configurations that were in service, as text: what `tandem reload --previous` goes back to.

use super::{Directory, atomic};
use std::io;
use std::path::PathBuf;

/// Two files: the configuration in service and the one before it.
#[derive(Clone, Debug)]
pub struct LastGood {
    current: PathBuf,
    previous: PathBuf,
}

impl LastGood {
    /// The files in the state directory.
    pub fn of(directory: &Directory) -> Self {
        LastGood { current: directory.file("good.toml"), previous: directory.file("good-before.toml") }
    }

    /// `text` is in service now. The same text again changes nothing.
    pub fn push(&self, text: &str) -> io::Result<()> {
        match read(&self.current)? {
            Some(current) if current == text => return Ok(()),
            // WHY this order: after a crash between the two writes the older one is merely there twice.
            Some(current) => atomic::replace(&self.previous, current.as_bytes())?,
            None => {}
        }
        atomic::replace(&self.current, text.as_bytes())
    }

    /// What was in service last.
    pub fn current(&self) -> io::Result<Option<String>> {
        read(&self.current)
    }

    /// What was in service before that.
    pub fn previous(&self) -> io::Result<Option<String>> {
        read(&self.previous)
    }
}

fn read(path: &std::path::Path) -> io::Result<Option<String>> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use super::*;

    #[test]
    fn the_one_before_is_the_last_different_one() {
        let folder = tempfile::tempdir().unwrap();
        let good = LastGood::of(&Directory::open(folder.path()).unwrap());
        assert_eq!(good.previous().unwrap(), None);
        for text in ["a", "a", "b", "b"] {
            good.push(text).unwrap();
        }
        assert_eq!((good.current().unwrap().as_deref(), good.previous().unwrap().as_deref()), (Some("b"), Some("a")));
    }

    #[test]
    fn going_back_swaps_the_two() {
        let folder = tempfile::tempdir().unwrap();
        let good = LastGood::of(&Directory::open(folder.path()).unwrap());
        good.push("a").unwrap();
        good.push("b").unwrap();
        good.push(&good.previous().unwrap().unwrap()).unwrap();
        assert_eq!((good.current().unwrap().as_deref(), good.previous().unwrap().as_deref()), (Some("a"), Some("b")));
    }
}
