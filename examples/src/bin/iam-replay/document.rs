//! A policy document, taken apart.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use serde_json::{Map, Value};

/// A policy document, as far as risk depends on it.
#[derive(Debug, PartialEq)]
pub(crate) struct Document<'a> {
    pub(crate) statements: Vec<Statement<'a>>,
}

/// Whether a statement grants or prohibits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effect {
    Allow,
    Deny,
}

/// Some things, or all but some. Things may be patterns.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Which<T> {
    These(BTreeSet<T>),
    AllBut(BTreeSet<T>),
}

/// What is compared, by operator and key, both in lower case; and the values.
pub(crate) type Conditions = BTreeMap<(String, String), BTreeSet<String>>;

/// One statement. Two that mean the same are equal, whatever their order and `Sid`.
#[derive(Debug, PartialEq)]
pub(crate) struct Statement<'a> {
    pub(crate) effect: Effect,
    /// In lower case: actions do not depend on case.
    pub(crate) actions: Which<String>,
    pub(crate) resources: Which<&'a str>,
    pub(crate) conditions: Conditions,
    /// Whatever else it says.
    pub(crate) other: BTreeMap<&'a str, &'a Value>,
}

/// A value that is not a policy document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NotADocument {
    /// Counted from 1; none for the document as a whole.
    statement: Option<usize>,
    problem: &'static str,
}

impl fmt::Display for NotADocument {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.statement {
            Some(statement) => write!(f, "statement {statement}: {}", self.problem),
            None => f.write_str(self.problem),
        }
    }
}

impl std::error::Error for NotADocument {}

impl<'a> Document<'a> {
    /// Most actions and resources of one document; comparing two takes the product of theirs.
    pub(crate) const MAX_PARTS: usize = 20_000;

    /// Takes a document apart.
    pub(crate) fn parse(value: &'a Value) -> Result<Self, NotADocument> {
        let whole = |problem| NotADocument {
            statement: None,
            problem,
        };
        let Value::Object(fields) = value else {
            return Err(whole("it is not an object"));
        };
        let statements = match fields.get("Statement") {
            Some(Value::Array(statements)) => statements.as_slice(),
            Some(statement @ Value::Object(_)) => std::slice::from_ref(statement),
            Some(_) => return Err(whole("Statement is neither an object nor a list")),
            None => return Err(whole("Statement is missing")),
        };
        let mut parts = 0;
        let statements = statements
            .iter()
            .enumerate()
            .map(|(at, statement)| {
                let statement = Statement::parse(statement).map_err(|problem| NotADocument {
                    statement: Some(at + 1),
                    problem,
                })?;
                parts += statement.parts();
                if parts > Self::MAX_PARTS {
                    return Err(whole("it has too many actions and resources"));
                }
                Ok(statement)
            })
            .collect::<Result<_, _>>()?;
        Ok(Self { statements })
    }

    /// The statements of one effect.
    pub(crate) fn of(&self, effect: Effect) -> impl Iterator<Item = &Statement<'a>> {
        self.statements.iter().filter(move |s| s.effect == effect)
    }
}

impl<'a> Statement<'a> {
    fn parse(value: &'a Value) -> Result<Self, &'static str> {
        let Value::Object(fields) = value else {
            return Err("it is not an object");
        };
        let effect = match fields.get("Effect").and_then(Value::as_str) {
            Some("Allow") => Effect::Allow,
            Some("Deny") => Effect::Deny,
            _ => return Err("Effect is neither Allow nor Deny"),
        };
        let lower = |actions: BTreeSet<&str>| actions.iter().map(|a| a.to_lowercase()).collect();
        let actions = match (texts(fields, "Action")?, texts(fields, "NotAction")?) {
            (Some(actions), None) => Which::These(lower(actions)),
            (None, Some(actions)) => Which::AllBut(lower(actions)),
            _ => return Err("it needs either Action or NotAction"),
        };
        let resources = match (texts(fields, "Resource")?, texts(fields, "NotResource")?) {
            (Some(resources), None) => Which::These(resources),
            (None, Some(resources)) => Which::AllBut(resources),
            // A statement that names no resource is about all there are.
            (None, None) => Which::These(BTreeSet::from(["*"])),
            (Some(_), Some(_)) => return Err("it has both Resource and NotResource"),
        };
        const KNOWN: [&str; 7] = [
            "Sid",
            "Effect",
            "Action",
            "NotAction",
            "Resource",
            "NotResource",
            "Condition",
        ];
        let other = fields
            .iter()
            .filter(|(name, _)| !KNOWN.contains(&name.as_str()))
            .map(|(name, value)| (name.as_str(), value))
            .collect();
        Ok(Self {
            effect,
            actions,
            resources,
            conditions: conditions(fields.get("Condition"))?,
            other,
        })
    }

    fn parts(&self) -> usize {
        self.actions.len() + self.resources.len()
    }
}

impl<T> Which<T> {
    fn len(&self) -> usize {
        match self {
            Self::These(things) | Self::AllBut(things) => things.len(),
        }
    }
}

/// A text or a list of texts.
fn texts<'a>(
    fields: &'a Map<String, Value>,
    name: &str,
) -> Result<Option<BTreeSet<&'a str>>, &'static str> {
    // Longer ones do not exist, and comparing patterns takes the product of their lengths.
    const MAX_BYTES: usize = 4_096;
    let text = |value: &'a Value| match value.as_str() {
        None => Err("an action or resource is not a text"),
        Some(text) if text.len() > MAX_BYTES => Err("an action or resource is too long"),
        Some(text) => Ok(text),
    };
    match fields.get(name) {
        None => Ok(None),
        Some(Value::Array(values)) => values.iter().map(text).collect::<Result<_, _>>().map(Some),
        Some(value) => text(value).map(|text| Some(BTreeSet::from([text]))),
    }
}

fn conditions(value: Option<&Value>) -> Result<Conditions, &'static str> {
    let Some(value) = value else {
        return Ok(Conditions::new());
    };
    let operators = value.as_object().ok_or("Condition is not an object")?;
    let mut conditions = Conditions::new();
    for (operator, keys) in operators {
        let keys = keys.as_object().ok_or("a condition is not an object")?;
        for (key, values) in keys {
            let values = match values {
                Value::Array(values) => values.iter().map(ToString::to_string).collect(),
                value => BTreeSet::from([value.to_string()]),
            };
            conditions.insert((operator.to_lowercase(), key.to_lowercase()), values);
        }
    }
    Ok(conditions)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn one_statement_and_one_action_are_lists_of_one() {
        let short = json!({"Statement":
            {"Sid": "A", "Effect": "Allow", "Action": "S3:Get", "Resource": "*"}});
        let long = json!({"Version": "2012-10-17", "Statement":
            [{"Effect": "Allow", "Action": ["s3:get"], "Resource": ["*"]}]});
        assert_eq!(Document::parse(&short), Document::parse(&long));
    }

    #[test]
    fn what_is_not_a_document_is_refused_by_statement() {
        let statement = |fields: Value| json!({"Statement": [fields]});
        for (value, problem) in [
            (json!([]), "it is not an object"),
            (json!({}), "Statement is missing"),
            (
                json!({"Statement": "x"}),
                "Statement is neither an object nor a list",
            ),
            (statement(json!("x")), "statement 1: it is not an object"),
            (
                statement(json!({"Effect": "allow", "Action": "a"})),
                "statement 1: Effect is neither Allow nor Deny",
            ),
            (
                statement(json!({"Effect": "Allow"})),
                "statement 1: it needs either Action or NotAction",
            ),
            (
                statement(json!({"Effect": "Allow", "Action": [1]})),
                "statement 1: an action or resource is not a text",
            ),
            (
                statement(json!({"Effect": "Allow", "Action": "a".repeat(5_000)})),
                "statement 1: an action or resource is too long",
            ),
            (
                statement(json!({"Effect": "Allow", "Action": "a", "Condition": {"Bool": 1}})),
                "statement 1: a condition is not an object",
            ),
        ] {
            assert_eq!(Document::parse(&value).unwrap_err().to_string(), problem);
        }
        let many: Vec<_> = (0..=Document::MAX_PARTS).map(|n| n.to_string()).collect();
        let many = statement(json!({"Effect": "Allow", "Action": many}));
        assert!(Document::parse(&many).is_err());
    }
}
