//! Namespaces as policies choose them: by their name and by their labels.

use crate::schema;
use kube::core::{Expression, Selector, SelectorExt as _};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// The labels of a namespace.
pub type Labels = BTreeMap<String, String>;

/// Selects namespaces by their labels, as Kubernetes' LabelSelector: all requirements must be met, and an empty one selects
/// every namespace.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NamespaceSelector {
    /// Labels and their values.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub match_labels: Labels,
    /// Requirements on single labels.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 50))]
    pub match_expressions: Vec<LabelRequirement>,
}

/// A requirement on one label.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = schema::values_as_needed()))]
pub struct LabelRequirement {
    /// Label.
    #[schemars(length(min = 1, max = 317))]
    pub key: String,
    /// What is required of it.
    pub operator: LabelOperator,
    /// Values of `In` and `NotIn`, at least one; the others have none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100))]
    pub values: Vec<String>,
}

/// What is required of a label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum LabelOperator {
    /// It has one of the values.
    In,
    /// It has none of the values, or is absent.
    NotIn,
    /// It is present, with any value.
    Exists,
    /// It is absent.
    DoesNotExist,
}

impl NamespaceSelector {
    /// Whether a namespace with these labels is selected.
    pub fn selects(&self, labels: &Labels) -> bool {
        self.requirements().matches(labels)
    }

    /// What an API server refuses and the types allow: `In` and `NotIn` need values, the other operators have none.
    ///
    /// # Errors
    /// The label of the first such requirement, and what is wrong with it.
    pub fn check(&self) -> Result<(), String> {
        let is_wrong = |one: &&LabelRequirement| {
            matches!(one.operator, LabelOperator::In | LabelOperator::NotIn) == one.values.is_empty()
        };
        match self.match_expressions.iter().find(is_wrong) {
            Some(one) if one.values.is_empty() => {
                Err(format!("the requirement on label {} needs values: {:?}", one.key, one.operator))
            }
            Some(one) => Err(format!("the requirement on label {} takes no values: {:?}", one.key, one.operator)),
            None => Ok(()),
        }
    }

    fn requirements(&self) -> Selector {
        let mut all: Selector = self.match_labels.clone().into_iter().collect();
        all.extend(self.match_expressions.iter().map(LabelRequirement::expression));
        all
    }
}

impl LabelRequirement {
    fn expression(&self) -> Expression {
        let (key, values) = (self.key.clone(), self.values.iter().cloned().collect());
        match self.operator {
            LabelOperator::In => Expression::In(key, values),
            LabelOperator::NotIn => Expression::NotIn(key, values),
            LabelOperator::Exists => Expression::Exists(key),
            LabelOperator::DoesNotExist => Expression::DoesNotExist(key),
        }
    }
}

/// As `kubectl get -l` takes it; empty for one that selects every namespace.
impl fmt::Display for NamespaceSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.requirements().fmt(f)
    }
}

/// A namespace, as policies choose it.
#[derive(Debug, Clone, Copy)]
pub struct ChosenNamespace<'a> {
    /// Name; empty for a namespace that is not named anywhere, as no namespace has an empty name.
    pub name: &'a str,
    /// What is known of its labels.
    pub labels: KnownLabels<'a>,
}

/// What is known of a namespace's labels. Where they are not known, what applies lies between the two cases.
#[derive(Debug, Clone, Copy)]
pub enum KnownLabels<'a> {
    /// All of them.
    Are(&'a Labels),
    /// Nothing: taken to fit every selector.
    FitAll,
    /// Nothing: taken to fit no selector.
    FitNone,
}

static WITHOUT_LABELS: Labels = Labels::new();

impl<'a> ChosenNamespace<'a> {
    /// A namespace with these labels.
    pub fn new(name: &'a str, labels: &'a Labels) -> Self {
        ChosenNamespace { name, labels: KnownLabels::Are(labels) }
    }

    /// A namespace without labels.
    pub fn without_labels(name: &'a str) -> Self {
        ChosenNamespace::new(name, &WITHOUT_LABELS)
    }

    /// Whether a selector selects it.
    pub fn is_selected_by(&self, selector: &NamespaceSelector) -> bool {
        match self.labels {
            KnownLabels::Are(labels) => selector.selects(labels),
            KnownLabels::FitAll => true,
            KnownLabels::FitNone => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn labels(all: &[(&str, &str)]) -> Labels {
        all.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    fn selector(value: &Value) -> NamespaceSelector {
        serde_json::from_value(value.clone()).unwrap()
    }

    fn one(operator: &str, values: &[&str]) -> Value {
        json!({"matchExpressions": [{"key": "env", "operator": operator, "values": values}]})
    }

    /// As Kubernetes has it (`k8s.io/apimachinery/pkg/labels`).
    #[test]
    fn namespaces_are_selected_by_their_labels() {
        let prod = labels(&[("env", "prod"), ("team", "a")]);
        let (dev, empty, none) = (labels(&[("env", "dev")]), labels(&[("env", "")]), labels(&[]));
        let check = |value: Value, expected: [bool; 4]| {
            let selector = selector(&value);
            let found = [&prod, &dev, &empty, &none].map(|labels| selector.selects(labels));
            assert_eq!(found, expected, "prod, dev, empty and none of {value}");
        };
        check(json!({}), [true, true, true, true]);
        check(json!({"matchLabels": {"env": "prod"}}), [true, false, false, false]);
        check(json!({"matchLabels": {"env": ""}}), [false, false, true, false]);
        check(json!({"matchLabels": {"env": "prod", "team": "a"}}), [true, false, false, false]);
        check(json!({"matchLabels": {"env": "prod", "team": "b"}}), [false, false, false, false]);
        check(one("In", &["prod", "dev"]), [true, true, false, false]);
        check(one("In", &["Prod"]), [false, false, false, false]);
        check(one("NotIn", &["dev"]), [true, false, true, true]);
        check(one("Exists", &[]), [true, true, true, false]);
        check(one("DoesNotExist", &[]), [false, false, false, true]);
        // All requirements are needed.
        let both = json!({"matchLabels": {"team": "a"},
            "matchExpressions": [{"key": "env", "operator": "NotIn", "values": ["dev"]}]});
        check(both, [true, false, false, false]);
    }

    #[test]
    fn what_kubernetes_has_no_word_for_is_refused() {
        let check = |value: Value, expected: &str| {
            let error = serde_json::from_value::<NamespaceSelector>(value).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        };
        check(one("Gt", &["1"]), "unknown variant `Gt`");
        check(json!({"matchExpressions": [{"operator": "Exists"}]}), "missing field `key`");
    }

    #[test]
    fn values_are_where_the_operator_needs_them() {
        let check = |value: Value, expected: &str| {
            assert_eq!(selector(&value).check().err().unwrap_or_default(), expected, "{value}");
        };
        check(json!({}), "");
        check(one("In", &["a"]), "");
        check(one("Exists", &[]), "");
        check(one("NotIn", &[]), "the requirement on label env needs values: NotIn");
        check(one("DoesNotExist", &["a"]), "the requirement on label env takes no values: DoesNotExist");
    }

    #[test]
    fn a_selector_is_written_as_kubectl_takes_it() {
        let check = |value: Value, expected: &str| assert_eq!(selector(&value).to_string(), expected);
        check(json!({}), "");
        check(json!({"matchLabels": {"env": "prod"}}), "env=prod");
        check(one("In", &["dev", "prod"]), "env in (dev,prod)");
        check(one("DoesNotExist", &[]), "!env");
    }

    #[test]
    fn unknown_labels_may_fit_or_not() {
        let selector = selector(&json!({"matchLabels": {"env": "prod"}}));
        let check = |labels: KnownLabels<'_>, expected: bool| {
            assert_eq!(ChosenNamespace { name: "a", labels }.is_selected_by(&selector), expected, "{labels:?}");
        };
        check(KnownLabels::Are(&labels(&[("env", "prod")])), true);
        check(KnownLabels::Are(&labels(&[])), false);
        check(KnownLabels::FitAll, true);
        check(KnownLabels::FitNone, false);
        assert!(!ChosenNamespace::without_labels("a").is_selected_by(&selector));
    }
}
