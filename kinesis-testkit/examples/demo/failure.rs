//! What ends the demo early.

use std::error::Error;
use std::fmt::{self, Display};

/// An end that is not a verdict: one line, and the exit code.
#[derive(Debug)]
pub(crate) struct Failure {
    text: String,
    code: u8,
}

impl Failure {
    pub(crate) const fn code(&self) -> u8 {
        self.code
    }
}

impl Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Something that the caller has to change; nothing was done.
pub(crate) fn usage(text: String) -> Failure {
    Failure { text, code: 2 }
}

/// The run itself failed.
pub(crate) fn failed(what: &str, error: &dyn Error) -> Failure {
    Failure { text: format!("{what}: {}", chain(error)), code: 1 }
}

/// The run came to nothing, for a reason that is no error of a call.
pub(crate) const fn in_vain(text: String) -> Failure {
    Failure { text, code: 1 }
}

/// As [`usage`], with an error and its causes.
pub(crate) fn usage_because(what: &str, error: &dyn Error) -> Failure {
    usage(format!("{what}: {}", chain(error)))
}

/// An error and its causes, in one line.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = error.to_string();
        if !text.contains(&next) {
            text += ": ";
            text += &next;
        }
        cause = error.source();
    }
    text.replace('\n', " ")
}
