//! Runs every file under the directory that `SIP_CORPUS_DIR` names, each as one datagram, and checks
//! what holds for every message. Without that variable it runs the committed torture messages, each with
//! single octets changed.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod exercise;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

fn files(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else {
            found.push(path);
        }
    }
}

#[test]
fn every_file_of_the_corpus() {
    let Some(directory) = std::env::var_os("SIP_CORPUS_DIR") else {
        return;
    };
    let mut found = Vec::new();
    files(Path::new(&directory), &mut found);
    assert!(!found.is_empty(), "no file under {}", directory.display());
    let mut outcomes: BTreeMap<String, usize> = BTreeMap::new();
    for path in found {
        let datagram = std::fs::read(&path).unwrap();
        let result = std::panic::catch_unwind(|| exercise::datagram(&datagram));
        let outcome = result.unwrap_or_else(|_| panic!("{}", path.display()));
        *outcomes.entry(format!("{outcome:?}")).or_default() += 1;
    }
    println!("{outcomes:#?}");
}

/// Octets that mean something to a SIP parser, and some that mean nothing.
const REPLACEMENTS: &[u8] = b"\0\t\n\r \"#%*,/:;<=>?@[\\]0z\x7f\x80\xff";

#[test]
fn every_torture_message_with_each_octet_changed() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/torture");
    let mut found = Vec::new();
    files(&directory.join("rfc4475"), &mut found);
    files(&directory.join("rfc5118"), &mut found);
    assert_eq!(found.len(), 61);
    for path in found {
        let mut datagram = std::fs::read(&path).unwrap();
        // `longreq` alone would take as long as all others together.
        let step = datagram.len().div_ceil(1_000);
        for at in (0..datagram.len()).step_by(step) {
            let octet = datagram[at];
            for (index, &replacement) in REPLACEMENTS.iter().enumerate() {
                if (at + index) % 4 == 0 {
                    datagram[at] = replacement;
                    let _ = exercise::datagram(&datagram);
                }
            }
            datagram[at] = octet;
        }
    }
}
