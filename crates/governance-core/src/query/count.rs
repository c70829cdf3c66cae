//! How many there are.

/// How many requests match, as far as a store can tell within bounds. Counting never reads
/// without limit, so an answer may be a lower bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Count {
    /// So many.
    Exact(u64),
    /// So many or more.
    AtLeast(u64),
    /// Telling would take reading too many requests.
    Unknown,
}

impl Count {
    /// The number, if it is exact.
    #[must_use]
    pub const fn exact(self) -> Option<u64> {
        match self {
            Self::Exact(count) => Some(count),
            Self::AtLeast(_) | Self::Unknown => None,
        }
    }

    /// The number there are at least.
    #[must_use]
    pub const fn lower_bound(self) -> u64 {
        match self {
            Self::Exact(count) | Self::AtLeast(count) => count,
            Self::Unknown => 0,
        }
    }

    /// The count of two parts together, for example of two partitions.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        let sum = self.lower_bound().saturating_add(other.lower_bound());
        match (self, other) {
            (Self::Exact(_), Self::Exact(_)) => Self::Exact(sum),
            (Self::Unknown, Self::Unknown) => Self::Unknown,
            _ => Self::AtLeast(sum),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sum_is_as_sure_as_its_parts() {
        assert_eq!(Count::Exact(2).plus(Count::Exact(3)), Count::Exact(5));
        assert_eq!(Count::Exact(2).plus(Count::AtLeast(3)), Count::AtLeast(5));
        assert_eq!(Count::Exact(2).plus(Count::Unknown), Count::AtLeast(2));
        assert_eq!(Count::Unknown.plus(Count::Unknown), Count::Unknown);
        assert_eq!(Count::AtLeast(4).exact(), None);
    }
}
