//! How policies are put together.

use std::sync::Arc;

use super::Policy;

/// Policies put together.
///
/// * [`PolicyTree::all_of`]: every part is asked. One denial denies; otherwise all requirements
///   together are required; otherwise one allowance allows.
/// * [`PolicyTree::any_of`]: every part is asked. One allowance allows, under the laxest rule of
///   those that allow about who executes; otherwise the first part that requires approvals says
///   which; otherwise one denial denies.
/// * [`PolicyTree::priority`]: parts are asked in order until one does not abstain.
///
/// Where nobody has an opinion the tree has none.
#[derive(Debug, Clone)]
pub struct PolicyTree(pub(super) Node);

#[derive(Debug, Clone)]
pub(super) enum Node {
    Policy(Arc<dyn Policy>),
    AllOf(String, Vec<Self>),
    AnyOf(String, Vec<Self>),
    Priority(String, Vec<Self>),
}

impl PolicyTree {
    /// Everything the parts say together.
    #[must_use]
    pub fn all_of(name: impl Into<String>, parts: impl IntoIterator<Item = Self>) -> Self {
        Self(Node::AllOf(
            name.into(),
            parts.into_iter().map(|part| part.0).collect(),
        ))
    }

    /// The most lenient of the parts.
    #[must_use]
    pub fn any_of(name: impl Into<String>, parts: impl IntoIterator<Item = Self>) -> Self {
        Self(Node::AnyOf(
            name.into(),
            parts.into_iter().map(|part| part.0).collect(),
        ))
    }

    /// The first of the parts with an opinion.
    #[must_use]
    pub fn priority(name: impl Into<String>, parts: impl IntoIterator<Item = Self>) -> Self {
        Self(Node::Priority(
            name.into(),
            parts.into_iter().map(|part| part.0).collect(),
        ))
    }

    /// Most compositions within each other that a governor takes, so that asking them fits on the
    /// stack of any thread.
    pub const MAX_LEVELS: usize = 32;

    /// How many compositions are within each other, at most.
    #[must_use]
    pub fn levels(&self) -> usize {
        fn deepest(node: &Node) -> usize {
            match node {
                Node::Policy(_) => 0,
                Node::AllOf(_, parts) | Node::AnyOf(_, parts) | Node::Priority(_, parts) => {
                    1 + parts.iter().map(deepest).max().unwrap_or(0)
                }
            }
        }
        deepest(&self.0)
    }

    /// How many policies there are.
    #[must_use]
    pub fn len(&self) -> usize {
        fn count(node: &Node) -> usize {
            match node {
                Node::Policy(_) => 1,
                Node::AllOf(_, parts) | Node::AnyOf(_, parts) | Node::Priority(_, parts) => {
                    parts.iter().map(count).sum()
                }
            }
        }
        count(&self.0)
    }

    /// Whether there is no policy in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<P: Policy> From<P> for PolicyTree {
    fn from(policy: P) -> Self {
        Self(Node::Policy(Arc::new(policy)))
    }
}
