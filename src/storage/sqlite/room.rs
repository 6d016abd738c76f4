//! A file that is good for nothing but its size: whoever removes it has that much room on the disk.

use std::{
    fs::File,
    io::{self, Seek, SeekFrom, Write},
    path::Path,
};

use rand::RngCore;

/// Makes such a file, or a longer or shorter one of one that is there. Where there is not so much room, one that is there
/// stays as long as it is. Blocks on the file system.
pub(super) fn hold(path: &Path, size: u64) -> io::Result<()> {
    let file = File::options()
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)?;
    let length = file.metadata()?.len();
    let held = if length > size {
        file.set_len(size)
    } else {
        lengthen(&file, length, size)
    };
    held.and_then(|()| file.sync_all())
        .inspect_err(|_| drop(file.set_len(length.min(size))))
}

fn lengthen(file: &File, length: u64, size: u64) -> io::Result<()> {
    match allocate(file, size) {
        Err(error) if error.kind() == io::ErrorKind::Unsupported => fill(file, length, size),
        allocated => allocated,
    }
}

/// Sets the room aside without anything being written.
#[cfg(target_os = "linux")]
fn allocate(file: &File, size: u64) -> io::Result<()> {
    rustix::fs::fallocate(file, rustix::fs::FallocateFlags::empty(), 0, size).map_err(Into::into)
}

/// Not known how on this kind of system.
#[cfg(not(target_os = "linux"))]
fn allocate(_file: &File, _size: u64) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// With contents that no file system makes any smaller.
fn fill(mut file: &File, length: u64, size: u64) -> io::Result<()> {
    let mut part = vec![0; 1 << 20];
    rand::rng().fill_bytes(&mut part);
    file.seek(SeekFrom::Start(length))?;
    let mut missing = usize::try_from(size - length).map_err(io::Error::other)?;
    while missing > 0 {
        let next = missing.min(part.len());
        file.write_all(&part[..next])?;
        missing -= next;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_grows_and_shrinks() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("room");
        for size in [2 << 20, 5 << 20, 1 << 20] {
            hold(&file, size).expect("the room");
            assert_eq!(std::fs::metadata(&file).expect("the file").len(), size);
        }
    }

    #[test]
    fn what_cannot_be_set_aside_is_filled() {
        let mut file = tempfile::NamedTempFile::new().expect("a file");
        file.write_all(b"kept").expect("the beginning");
        fill(file.as_file(), 4, (2 << 20) + 7).expect("the room");
        let held = std::fs::read(file.path()).expect("the file");
        assert_eq!(held.len(), (2 << 20) + 7);
        assert!(held.starts_with(b"kept"));
    }
}
