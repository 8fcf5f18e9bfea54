//! Files opened so that reading them ends.

use std::{fs::File, io, path::Path};

/// Opens a file to read it. What is no file is refused: a device may have no end, and a pipe with a name waits for
/// somebody who writes. A pipe without a name was made by the caller together with who writes into it, and is read.
///
/// # Errors
/// As [`File::open`]; [`io::ErrorKind::InvalidInput`] for what is neither a file nor a folder.
pub fn open(path: &Path) -> io::Result<File> {
    let kind = path.metadata()?.file_type();
    // What has no name has no place either.
    let is_unnamed = || path.canonicalize().is_err();
    if kind.is_file() || kind.is_dir() || is_unnamed() {
        return File::open(path);
    }
    Err(io::Error::new(io::ErrorKind::InvalidInput, "it is neither a file nor a folder"))
}

#[cfg(all(test, unix))]
mod tests {
    use std::{io::Read as _, os::fd::AsRawFd as _, process::Command, thread};

    use super::*;

    #[test]
    fn what_may_never_end_is_refused_before_it_is_opened() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        let link = folder.path().join("link");
        std::os::unix::fs::symlink("/dev/zero", &link).unwrap();
        for path in [pipe.as_path(), Path::new("/dev/zero"), &link] {
            let (path, shown) = (path.to_owned(), path.display().to_string());
            // Opening the pipe would wait: not here, but in a thread that nobody waits for.
            let (told, hear) = std::sync::mpsc::channel();
            thread::spawn(move || told.send(open(&path).map(|_| ()).map_err(|error| error.to_string())));
            let said = hear.recv_timeout(core::time::Duration::from_secs(10)).expect(&shown);
            assert_eq!(said, Err("it is neither a file nor a folder".into()), "{shown}");
        }
        assert_eq!(open(&folder.path().join("nothing")).unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn a_pipe_that_the_caller_made_is_read() {
        let (reader, mut writer) = io::pipe().unwrap();
        io::Write::write_all(&mut writer, b"policy").unwrap();
        drop(writer);
        let mut text = String::new();
        open(Path::new(&format!("/dev/fd/{}", reader.as_raw_fd()))).unwrap().read_to_string(&mut text).unwrap();
        assert_eq!(text, "policy");
    }
}
