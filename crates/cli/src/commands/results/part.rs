//! A file that takes an older one's place once it is whole.

use std::{
    fs::File,
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
};

use bedrock_diy_core::{Code, Failure};

/// The file while it is written, beside the one that it is to be.
pub(super) struct Part {
    /// What it is to be.
    path: PathBuf,
    /// What it is called until then.
    unfinished: PathBuf,
    file: BufWriter<File>,
}

impl Part {
    /// Begins it.
    pub(super) fn create(path: &Path) -> Result<Self, Failure> {
        let mut unfinished = path.as_os_str().to_owned();
        unfinished.push(".part");
        let unfinished = PathBuf::from(unfinished);
        let file = File::create(&unfinished).map_err(|error| unwritable(path, &error))?;
        Ok(Self {
            path: path.to_owned(),
            unfinished,
            file: BufWriter::new(file),
        })
    }

    /// Where to write.
    pub(super) fn out(&mut self) -> &mut (impl Write + Send + use<>) {
        &mut self.file
    }

    /// Puts it in its place, where it was `written` well.
    pub(super) fn finish(mut self, written: io::Result<()>) -> Result<(), Failure> {
        written
            .and_then(|()| self.file.flush())
            .and_then(|()| std::fs::rename(&self.unfinished, &self.path))
            .map_err(|error| unwritable(&self.path, &error))
    }
}

fn unwritable(path: &Path, error: &io::Error) -> Failure {
    let detail = format!("{} can't be written: {error}", path.display());
    Failure::new(Code::StorageUnavailable, detail)
}
