//! What must be so for a change to be made: conditional requests ([RFC 9110] §13).
//!
//! What is changed has a revision, or isn't there. Nothing here knows what it is,
//! or how a request writes it.
//!
//! [RFC 9110]: https://www.rfc-editor.org/rfc/rfc9110

use std::fmt;

/// What must be so for a change to be made ([RFC 9110](https://www.rfc-editor.org/rfc/rfc9110) §13.1). The default is nothing.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Condition {
    /// The current revision is one of these.
    pub is: Option<Revisions>,
    /// It isn't one of these.
    pub is_not: Option<Revisions>,
}

/// Revisions that a condition names.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Revisions {
    /// Whichever there is.
    Any,
    /// One of these.
    Of(Vec<u64>),
}

impl Revisions {
    fn have(&self, current: Option<u64>) -> bool {
        match (self, current) {
            (_, None) => false,
            (Self::Any, Some(_)) => true,
            (Self::Of(revisions), Some(current)) => revisions.contains(&current),
        }
    }
}

impl fmt::Display for Revisions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("any revision"),
            Self::Of(revisions) if revisions.is_empty() => {
                f.write_str("a revision of another kind")
            }
            Self::Of(revisions) => {
                let texts: Vec<String> = revisions.iter().map(u64::to_string).collect();
                write!(f, "revision {}", texts.join(" or "))
            }
        }
    }
}

impl Condition {
    /// Lets a change through when what is changed has the revision `current`, or
    /// isn't there, as it's wanted.
    pub fn check(&self, current: Option<u64>) -> Result<(), Unmet> {
        let unmet = |wanted| Unmet { current, wanted };
        if let Some(is) = self.is.as_ref().filter(|is| !is.have(current)) {
            return Err(unmet(format!("If-Match asks for {is}")));
        }
        if let Some(is_not) = self.is_not.as_ref().filter(|is_not| is_not.have(current)) {
            return Err(unmet(format!("If-None-Match refuses {is_not}")));
        }
        Ok(())
    }
}

/// A condition that isn't met.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Unmet {
    /// The current revision, if there is one.
    pub current: Option<u64>,
    /// What the condition says.
    pub wanted: String,
}

impl fmt::Display for Unmet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.current {
            Some(current) => write!(f, "it's at revision {current}, and {}", self.wanted),
            None => write!(f, "there is none, and {}", self.wanted),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 9110 §13.1.1, §13.1.2.
    #[test]
    fn conditions_are_as_rfc9110_13_1_has_them() {
        let of = |revisions: &[u64]| Some(Revisions::Of(revisions.to_vec()));
        for (is, is_not, met) in [
            // Without anything there, at 7, at 8.
            (None, None, [true, true, true]),
            (Some(Revisions::Any), None, [false, true, true]),
            (of(&[7]), None, [false, true, false]),
            (of(&[6, 8]), None, [false, false, true]),
            (of(&[]), None, [false, false, false]),
            (None, Some(Revisions::Any), [true, false, false]),
            (None, of(&[7]), [true, false, true]),
            (of(&[7, 8]), of(&[8]), [false, true, false]),
        ] {
            let condition = Condition { is, is_not };
            let results = [None, Some(7), Some(8)].map(|current| condition.check(current).is_ok());
            assert_eq!(results, met, "{condition:?}");
        }
    }

    #[test]
    fn an_unmet_condition_tells_both_revisions() {
        let condition = |is, is_not| Condition { is, is_not };
        let said =
            |condition: Condition, current| condition.check(current).unwrap_err().to_string();
        assert_eq!(
            said(condition(Some(Revisions::Of(vec![7, 9])), None), Some(8)),
            "it's at revision 8, and If-Match asks for revision 7 or 9"
        );
        assert_eq!(
            said(condition(Some(Revisions::Any), None), None),
            "there is none, and If-Match asks for any revision"
        );
        assert_eq!(
            said(condition(None, Some(Revisions::Any)), Some(8)),
            "it's at revision 8, and If-None-Match refuses any revision"
        );
    }
}
