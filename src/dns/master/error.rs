//! What is wrong with a master file, and where.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

/// A place in a master file, printed as `file:line:column`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Position {
    /// The file as it was named when it was opened.
    pub file: Arc<str>,
    /// Line, from 1.
    pub line: u32,
    /// Column in characters, from 1; a tab is one.
    pub column: u32,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

/// Why a text is no master file: what was found, and what was expected instead.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{position}: found {found} where {expected} was expected{}", Because(.reason))]
pub struct MasterError {
    /// Where it was found.
    pub position: Position,
    /// What stands there.
    pub found: String,
    /// What would be right.
    pub expected: Cow<'static, str>,
    /// Why it isn't, when that doesn't show.
    pub reason: Option<String>,
}

impl MasterError {
    /// The same with the reason why what was found is wrong.
    #[must_use]
    pub(super) fn because(mut self, reason: impl fmt::Display) -> Self {
        self.reason = Some(reason.to_string());
        self
    }
}

/// Prints a reason after a colon, or nothing.
struct Because<'a>(&'a Option<String>);

impl fmt::Display for Because<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0
            .as_ref()
            .map_or(Ok(()), |reason| write!(f, ": {reason}"))
    }
}
