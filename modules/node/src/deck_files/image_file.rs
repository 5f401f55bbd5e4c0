//! Images on disk: replaced as a whole, read into memory when asked.

use super::FileError;
use deck::image::Image;
use engine_sys::resident_file::ResidentFile;
use std::fs::File;
use std::io::Write;
use std::path::Path;

/// Reads the image in `path` into memory and checks it.
///
/// # Errors
/// When it cannot be read, or is none.
pub fn open_image(path: &Path) -> Result<Image<ResidentFile>, FileError> {
    let file = File::open(path).map_err(|error| FileError::new(path, 0, error))?;
    let octets = ResidentFile::new(&file).map_err(|error| FileError::new(path, 0, error))?;
    Image::open(octets).map_err(|error| FileError::new(path, 0, error))
}

/// Replaces `path` by an image: whoever has read the old one keeps it. Returns once it is on the disk.
///
/// # Errors
/// When it cannot be written; then the old one stands.
pub fn write_image(path: &Path, octets: &[u8]) -> Result<(), FileError> {
    let fail = |error: std::io::Error| FileError::new(path, 0, error);
    let mut unfinished = path.as_os_str().to_owned();
    unfinished.push(".unfinished");
    let unfinished = Path::new(&unfinished);
    let write = || -> std::io::Result<()> {
        let mut file = File::create(unfinished)?;
        file.write_all(octets)?;
        file.sync_all()?;
        std::fs::rename(unfinished, path)?;
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        File::open(folder)?.sync_all()
    };
    write().map_err(fail)
}
