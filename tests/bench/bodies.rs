//! Request bodies that were serialised before anything is measured, in a file: each behind its length.

use std::{
    fs::File,
    io::{BufReader, BufWriter, ErrorKind, Read, Write},
    path::{Path, PathBuf},
};

use crate::readings::readings;

/// Readings in one body.
pub const READINGS_PER_BODY: usize = 1_000;

/// How the readings are put together.
#[derive(Clone, Copy)]
pub enum Form {
    /// As an upload to the Client System.
    Upload,
    /// As a JSON array for the local API.
    Array,
    /// As lines for the local API.
    Lines,
}

impl Form {
    fn parts(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Upload => (r#"{"readings":["#, ",", "]}"),
            Self::Array => ("[", ",", "]"),
            Self::Lines => ("", "\n", "\n"),
        }
    }
}

/// Writes the first `count` readings into a file of the folder.
pub fn write(folder: &Path, name: &str, form: Form, count: usize) -> PathBuf {
    let path = folder.join(name);
    let mut file = BufWriter::new(File::create(&path).expect("a file for the bodies"));
    let (start, between, end) = form.parts();
    let mut readings = readings(count).peekable();
    while readings.peek().is_some() {
        let mut body = String::with_capacity(READINGS_PER_BODY * 130);
        for (position, reading) in readings.by_ref().take(READINGS_PER_BODY).enumerate() {
            body.push_str(if position == 0 { start } else { between });
            reading.write_json(&mut body);
        }
        body.push_str(end);
        let length = u32::try_from(body.len()).expect("a body of less than 4 GB");
        file.write_all(&length.to_be_bytes())
            .and_then(|()| file.write_all(body.as_bytes()))
            .expect("room on the disk for the bodies");
    }
    file.flush().expect("room on the disk for the bodies");
    path
}

/// The bodies of a file, one after the other.
pub struct Bodies(BufReader<File>);

impl Bodies {
    pub fn open(path: &str) -> Self {
        let file = File::open(path).expect("the file of the bodies");
        Self(BufReader::with_capacity(1 << 18, file))
    }

    /// Puts the next one into `body`; whether there was one.
    pub fn next(&mut self, body: &mut Vec<u8>) -> bool {
        let mut length = [0; 4];
        match self.0.read_exact(&mut length) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => return false,
            Err(error) => panic!("the file of the bodies cannot be read: {error}"),
        }
        body.resize(u32::from_be_bytes(length) as usize, 0);
        self.0.read_exact(body).expect("a whole body");
        true
    }
}
