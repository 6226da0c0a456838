//! Lines on standard output, also where nobody reads on.

use std::fmt::Display;
use std::io::Write;

/// Prints a line; a reader that has gone away, such as `head`, does not end the command.
pub(crate) fn say(line: impl Display) {
    let _ = writeln!(std::io::stdout(), "{line}");
}
