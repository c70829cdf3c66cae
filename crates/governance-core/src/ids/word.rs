//! Stable names that are read back: from a command line, a query string, a settings file.

/// A text that is not one of the stable names of a type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not {what}: expected one of {expected}")]
pub struct ParseNameError {
    what: &'static str,
    expected: String,
}

impl ParseNameError {
    pub(crate) fn new(what: &'static str, names: impl IntoIterator<Item = &'static str>) -> Self {
        let names: Vec<_> = names.into_iter().collect();
        Self {
            what,
            expected: names.join(", "),
        }
    }

    /// Stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        "parse.name"
    }
}

/// Reads the stable names of an enum that has `ALL` and `as_str`.
macro_rules! parse_by_name {
    ($type:ty, $what:literal) => {
        impl std::str::FromStr for $type {
            type Err = $crate::ids::ParseNameError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                let found = Self::ALL.into_iter().find(|one| one.as_str() == text);
                found.ok_or_else(|| {
                    $crate::ids::ParseNameError::new($what, Self::ALL.map(Self::as_str))
                })
            }
        }
    };
}

pub(crate) use parse_by_name;

#[cfg(test)]
mod tests {
    use crate::{BlastScope, OnStale, Order, PendingReason, Risk, Status};

    #[test]
    fn every_stable_name_is_read_back() {
        for status in Status::ALL {
            assert_eq!(status.as_str().parse(), Ok(status));
        }
        for scope in BlastScope::ALL {
            assert_eq!(scope.to_string().parse(), Ok(scope));
        }
        for reason in PendingReason::ALL {
            assert_eq!(reason.to_string().parse(), Ok(reason));
        }
        for risk in Risk::ALL {
            assert_eq!(risk.to_string().parse(), Ok(risk));
        }
        for order in Order::ALL {
            assert_eq!(order.to_string().parse(), Ok(order));
            let json = serde_json::to_value(order).unwrap();
            assert_eq!(json, order.as_str());
            assert_eq!(serde_json::from_value::<Order>(json).unwrap(), order);
        }
        for rule in OnStale::ALL {
            assert_eq!(rule.to_string().parse(), Ok(rule));
            let json = serde_json::to_value(rule).unwrap();
            assert_eq!(json, rule.as_str());
            assert_eq!(serde_json::from_value::<OnStale>(json).unwrap(), rule);
        }
    }

    #[test]
    fn another_text_is_refused_with_the_names_there_are() {
        let error = "urgent".parse::<Risk>().unwrap_err();
        assert_eq!(
            error.to_string(),
            "not a risk: expected one of low, medium, high, critical"
        );
        assert_eq!(error.code(), "parse.name");
        assert!("Low".parse::<Risk>().is_err());
    }
}
