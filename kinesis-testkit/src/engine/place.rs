//! Where streams live.

use std::sync::Arc;

/// An account in a region: streams of two places have nothing to do with each other.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) account: Arc<str>,
    pub(crate) region: Arc<str>,
}

impl Place {
    pub(crate) fn new(account: &str, region: &str) -> Self {
        Self { account: account.into(), region: region.into() }
    }

    /// What keeps tokens of one place out of all others.
    pub(crate) fn secret(&self) -> Arc<str> {
        format!("{}/{}", self.account, self.region).into()
    }

    pub(crate) fn names(&self) -> (&str, &str) {
        (&self.account, &self.region)
    }

    /// This place with another account or region.
    pub(crate) fn at(&self, account: Option<&str>, region: Option<&str>) -> Self {
        let choose = |given: Option<&str>, own: &Arc<str>| match given {
            Some(given) if given != &**own => given.into(),
            _ => Arc::clone(own),
        };
        Self { account: choose(account, &self.account), region: choose(region, &self.region) }
    }
}
