//! Data to stdout, messages to stderr.

use super::CliError;
use std::io::{ErrorKind, Write};

/// Writes data. A reader that has seen enough (`| head`) is no error.
pub fn data(text: &str) -> Result<(), CliError> {
    let mut stdout = std::io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(CliError::Io { operation: "write to stdout".to_owned(), source: error })
        }
        _ => Ok(()),
    }
}

/// Writes a line for people.
pub fn message(text: &str) {
    // Where stderr is closed nobody is told of it either.
    let _ = writeln!(std::io::stderr(), "{text}");
}
