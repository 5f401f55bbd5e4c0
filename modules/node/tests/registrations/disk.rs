//! A disk that keeps nothing but what was synced, tears what was being written, and breaks.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::rc::Rc;
use tandem::journal::medium::{Appending, Medium};

#[derive(Clone, Debug, Default)]
struct Stored {
    bytes: Vec<u8>,
    synced: usize,
}

#[derive(Clone, Debug, Default)]
struct State {
    files: BTreeMap<u64, Stored>,
    broken: bool,
    /// Syncs return and do nothing: a planted fault.
    lies: bool,
}

/// See the module.
#[derive(Clone, Debug, Default)]
pub(crate) struct Disk(Rc<RefCell<State>>);

pub(crate) struct Open {
    disk: Disk,
    number: u64,
}

impl Disk {
    pub(crate) fn set_broken(&self, broken: bool) {
        self.0.borrow_mut().broken = broken;
    }

    pub(crate) fn set_lies(&self) {
        self.0.borrow_mut().lies = true;
    }

    /// Power is gone: of what was not synced, `torn` says how much is there.
    pub(crate) fn crash(&self, mut torn: impl FnMut(usize) -> usize) {
        for file in self.0.borrow_mut().files.values_mut() {
            let unsynced = file.bytes.len() - file.synced;
            file.bytes.truncate(file.synced + torn(unsynced).min(unsynced));
            file.synced = file.bytes.len();
        }
    }

    /// Another disk, as this one would be if power were gone now.
    pub(crate) fn as_after_a_crash(&self) -> Disk {
        let copy = Disk(Rc::new(RefCell::new(self.0.borrow().clone())));
        copy.crash(|_| 0);
        copy
    }

    /// Puts a part of a frame behind all that is there: a write under way.
    pub(crate) fn begin_write(&self, bytes: &[u8]) {
        if let Some(file) = self.0.borrow_mut().files.values_mut().next_back() {
            file.bytes.extend_from_slice(bytes);
        }
    }
}

impl Medium for Disk {
    type Open = Open;

    fn numbers(&self) -> io::Result<Vec<u64>> {
        Ok(self.0.borrow().files.keys().copied().collect())
    }

    fn read(&self, number: u64) -> io::Result<Vec<u8>> {
        Ok(self.0.borrow().files[&number].bytes.clone())
    }

    fn create(&mut self, number: u64) -> io::Result<Open> {
        if self.0.borrow().broken {
            return Err(io::Error::from(io::ErrorKind::StorageFull));
        }
        self.0.borrow_mut().files.insert(number, Stored::default());
        Ok(Open { disk: self.clone(), number })
    }

    fn cut(&mut self, number: u64, length: u64) -> io::Result<()> {
        let mut state = self.0.borrow_mut();
        let file = state.files.get_mut(&number).unwrap();
        file.bytes.truncate(usize::try_from(length).unwrap());
        file.synced = file.bytes.len();
        Ok(())
    }

    fn remove(&mut self, number: u64) -> io::Result<()> {
        self.0.borrow_mut().files.remove(&number);
        Ok(())
    }

    fn name(&self, number: u64) -> String {
        format!("file {number}")
    }
}

impl Appending for Open {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.disk.0.borrow_mut();
        let fits = if state.broken { bytes.len() / 2 } else { bytes.len() };
        state.files.get_mut(&self.number).unwrap().bytes.extend_from_slice(&bytes[..fits]);
        if state.broken { Err(io::Error::from(io::ErrorKind::StorageFull)) } else { Ok(()) }
    }

    fn sync(&mut self) -> io::Result<()> {
        let mut state = self.disk.0.borrow_mut();
        if state.broken {
            return Err(io::Error::other("the disk is broken"));
        }
        if !state.lies {
            let file = state.files.get_mut(&self.number).unwrap();
            file.synced = file.bytes.len();
        }
        Ok(())
    }
}
