//! The embedded database, asked: opened when it is needed, and anew after it failed.

use super::source::Failure;
use super::store::Store;
use super::stored::Stored;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

/// See the module.
pub(super) struct Sqlite {
    path: PathBuf,
    /// WHY a lock: tasks of this lane's one thread share it; it is never contended nor held over an await.
    store: Mutex<Option<Store>>,
}

impl Sqlite {
    pub(super) fn new(path: PathBuf) -> Self {
        Sqlite { path, store: Mutex::default() }
    }

    /// The account, if there is one.
    pub(super) fn find(&self, user: &str, domain: &str) -> Result<Option<Stored>, Failure> {
        let mut place = self.store.lock().unwrap_or_else(PoisonError::into_inner);
        let store = match place.take() {
            Some(store) => store,
            None => Store::open_to_read(&self.path).map_err(Failure)?,
        };
        let found = store.find(domain, user)?;
        *place = Some(store);
        Ok(found.map(|account| account.stored))
    }
}
