//! Rules of the KPL that the pipeline does not follow, each of which a test can switch on to see what it does.
//!
//! The numbers are those of the findings in `docs/conformance.md`. Outside of tests no rule can be switched on, and the
//! compiler removes the branches.

use crate::config::ProducerConfig;

/// A rule of the KPL (1.0.7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(not(test), expect(dead_code, reason = "the names of the branches that tests switch on"))]
pub(crate) enum KplRule {
    /// Finding 1: a member of an aggregate counts where its own hash key is in the shard, whatever the others.
    JudgeEachMember,
    /// Finding 2: whatever lands on a shard that the map does not know is sent again.
    ResendFromUnknownShard,
    /// Finding 3: every error is repeated until the time to live is over.
    RepeatEverything,
    /// Finding 4: sizes leave the partition key out, and a request that is refused is sent again as it is.
    KeepPoisonInCompany,
    /// Finding 5: what failed goes again after half of the buffering time, however often.
    RepeatWithoutBackoff,
    /// Finding 5: what is not aggregated is not limited.
    LimitAggregatesOnly,
    /// Finding 6: while the map is read there is none, and every record goes alone.
    ForgetMapWhileReading,
    /// Finding 7: only a record in the wrong shard makes the map old.
    TrustOldMap,
    /// Finding 8: what is collected does not expire.
    CollectExpired,
    /// Finding 9: times are nanoseconds in 64 bits, and overflow.
    OverflowTimes,
    /// Finding 10: an idle shard may have 10 MiB at once.
    BurstTenMebibytes,
}

impl ProducerConfig {
    /// Whether a test has switched that rule on.
    #[cfg(not(test))]
    pub(crate) const fn follows(&self, _rule: KplRule) -> bool {
        false
    }

    /// Whether a test has switched that rule on.
    #[cfg(test)]
    pub(crate) fn follows(&self, rule: KplRule) -> bool {
        self.kpl_rule == Some(rule)
    }

    /// Switches a rule on.
    #[cfg(test)]
    pub(crate) fn following(mut self, rule: Option<KplRule>) -> Self {
        self.kpl_rule = rule;
        if rule == Some(KplRule::OverflowTimes) {
            let nanos = self.record_ttl.as_millis() as i64;
            let nanos = nanos.wrapping_mul(1_000_000);
            self.record_ttl = std::time::Duration::from_nanos(nanos.max(0) as u64);
        }
        self
    }
}
