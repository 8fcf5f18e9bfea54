//! Standard output. A reader that has gone is no error: what is left is not written.

use std::io::{self, Write};

use crate::trouble::Trouble;

/// Where reports are written to.
pub(crate) struct Output<'w> {
    to: &'w mut dyn Write,
    gone: bool,
}

impl<'w> Output<'w> {
    /// Wraps standard output, or what stands for it.
    pub(crate) fn new(to: &'w mut dyn Write) -> Self {
        Self { to, gone: false }
    }

    /// Writes a line.
    pub(crate) fn line(&mut self, text: &str) -> Result<(), Trouble> {
        self.text(text)?;
        self.text("\n")
    }

    /// Writes text as it is.
    pub(crate) fn text(&mut self, text: &str) -> Result<(), Trouble> {
        if self.gone {
            return Ok(());
        }
        let written = self.to.write_all(text.as_bytes());
        self.look(written)
    }

    /// Hands on what was written.
    pub(crate) fn flush(&mut self) -> Result<(), Trouble> {
        if self.gone {
            return Ok(());
        }
        let flushed = self.to.flush();
        self.look(flushed)
    }

    fn look(&mut self, result: io::Result<()>) -> Result<(), Trouble> {
        match result {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                self.gone = true;
                Ok(())
            }
            Err(error) => Err(Trouble::new(format!("cannot write the report: {error}"))),
            Ok(()) => Ok(()),
        }
    }
}
