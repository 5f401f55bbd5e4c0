//! Where lines go: a stream that the process was given, or a file that may be renamed under its feet.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// A destination of lines.
pub trait Outlet: Write {
    /// Opens the destination anew; streams stay as they are.
    ///
    /// # Errors
    /// The new one cannot be opened; the old one is still in use.
    fn reopen(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Outlet for io::Stderr {}
impl Outlet for io::Stdout {}
impl Outlet for io::Sink {}

/// A file that is appended to, and that programs such as logrotate rename.
#[derive(Debug)]
pub struct LogFile {
    path: PathBuf,
    file: File,
}

impl LogFile {
    /// Opens it, and makes it if it is missing.
    ///
    /// # Errors
    /// Its folder is missing, or this user may not write there.
    pub fn open(path: &Path) -> io::Result<Self> {
        let file =
            append(path).map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))?;
        Ok(LogFile { path: path.to_owned(), file })
    }
}

impl Write for LogFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }
    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Outlet for LogFile {
    fn reopen(&mut self) -> io::Result<()> {
        self.file = append(&self.path)?;
        Ok(())
    }
}

fn append(path: &Path) -> io::Result<File> {
    File::options().create(true).append(true).open(path)
}
