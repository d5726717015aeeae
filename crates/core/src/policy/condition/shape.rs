//! What an expression may name and do. Whoever writes a ScanPolicy may write conditions, and the server evaluates them: their work
//! grows with the packages and paths of a finding, and not with their square.

use super::field::{FindingField, PACKAGE_FIELDS, PATHS};
use super::{ConditionError, FINDING};
use cel::common::ast::{ComprehensionExpr, EntryExpr, Expr, IdedEntryExpr, LiteralValue, SelectExpr};
use cel::parser::Expression;
use std::collections::BTreeSet;

/// Nodes of a tree at most, those of expanded macros included: so long can a list be that is written out.
const MAX_NODES: usize = 300;
/// Nodes within each other at most: each takes some 40 KB of stack where nothing is optimized. Chains of `&&` and `||` are balanced.
const MAX_DEPTH: usize = 32;

/// What a variable of a macro is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum VariableKind {
    /// One of `finding.packages`.
    Package,
    /// A text or a number.
    Value,
}

/// An expression while it is checked.
#[derive(Debug, Default)]
pub(super) struct ConditionShape {
    /// The fields of a finding that it reads.
    fields: BTreeSet<FindingField>,
    /// The variables of the macros around a place.
    scope: Vec<(String, VariableKind)>,
    /// The macros around a place.
    loops: usize,
    nodes: usize,
    depth: usize,
}

impl ConditionShape {
    /// The fields of a finding that an expression reads.
    ///
    /// # Errors
    /// The first thing that it may not name or do.
    pub(super) fn check(expression: &Expression) -> Result<BTreeSet<FindingField>, ConditionError> {
        let mut shape = ConditionShape::default();
        shape.read(expression)?;
        Ok(shape.fields)
    }

    fn read(&mut self, expression: &Expression) -> Result<(), ConditionError> {
        self.nodes += 1;
        self.depth += 1;
        if self.nodes > MAX_NODES || self.depth > MAX_DEPTH {
            return Err(ConditionError::TooLarge);
        }
        self.read_parts(&expression.expr)?;
        self.depth -= 1;
        Ok(())
    }

    fn read_parts(&mut self, expression: &Expr) -> Result<(), ConditionError> {
        match expression {
            Expr::Ident(name) => match self.variable(name) {
                Some(VariableKind::Value) => Ok(()),
                Some(VariableKind::Package) => Err(ConditionError::ListWithin(name.clone())),
                None => Err(ConditionError::UnknownVariable(name.clone())),
            },
            Expr::Select(select) => self.read_selection(select),
            Expr::Call(call) => {
                call.target.iter().try_for_each(|target| self.read(target))?;
                self.read_all(&call.args)
            }
            Expr::List(list) => self.read_all(&list.elements),
            Expr::Map(map) => map.entries.iter().try_for_each(|entry| self.read_entry(entry)),
            Expr::Struct(of_type) => Err(ConditionError::UnknownVariable(of_type.type_name.clone())),
            Expr::Comprehension(all) => self.read_loop(all),
            Expr::Literal(_) | Expr::Unspecified => Ok(()),
        }
    }

    fn read_all(&mut self, expressions: &[Expression]) -> Result<(), ConditionError> {
        expressions.iter().try_for_each(|expression| self.read(expression))
    }

    fn read_entry(&mut self, entry: &IdedEntryExpr) -> Result<(), ConditionError> {
        match &entry.expr {
            EntryExpr::StructField(field) => self.read(&field.value),
            EntryExpr::MapEntry(pair) => self.read(&pair.key).and_then(|()| self.read(&pair.value)),
        }
    }

    fn variable(&self, name: &str) -> Option<VariableKind> {
        self.scope.iter().rev().find(|(variable, _)| variable == name).map(|(_, kind)| *kind)
    }

    /// `finding.epss`, `p.name`, `has(p.name)`, or a field of something that was computed.
    fn read_selection(&mut self, select: &SelectExpr) -> Result<(), ConditionError> {
        let Expr::Ident(parent) = &select.operand.expr else { return self.read(&select.operand) };
        let field = select.field.as_str();
        let unknown = |known: &[&str]| {
            let (parent, field) = (parent.clone(), field.to_owned());
            Err(ConditionError::UnknownField { parent, field, known: known.join(", ") })
        };
        let within = || Err(ConditionError::ListWithin(format!("{parent}.{field}")));
        match self.variable(parent) {
            Some(VariableKind::Package) if !PACKAGE_FIELDS.contains(&field) => unknown(&PACKAGE_FIELDS),
            // Within a macro over the paths themselves.
            Some(VariableKind::Package) if field == PATHS && self.loops > 1 => within(),
            Some(VariableKind::Package) => Ok(()),
            Some(VariableKind::Value) => unknown(&[]),
            None if parent != FINDING => Err(ConditionError::UnknownVariable(parent.clone())),
            None => match FindingField::named(field) {
                None => unknown(&FindingField::ALL.map(FindingField::as_str)),
                // To compare two lists takes their length, for each item of the macro.
                Some(list) if list.is_list() && self.loops > 0 => within(),
                Some(field) => {
                    self.fields.insert(field);
                    Ok(())
                }
            },
        }
    }

    /// A macro. Those that make lists could make them of any length, one from the other.
    fn read_loop(&mut self, all: &ComprehensionExpr) -> Result<(), ConditionError> {
        let is_yes_or_no = matches!(all.accu_init.expr, Expr::Literal(LiteralValue::Boolean(_) | LiteralValue::Int(_)));
        if !is_yes_or_no || all.iter_var2.is_some() {
            return Err(ConditionError::UnknownMacro);
        }
        let kind = self.kind_of_items(&all.iter_range.expr).ok_or(ConditionError::Range)?;
        self.read(&all.iter_range)?;
        let around = self.scope.len();
        self.scope.extend([(all.iter_var.clone(), kind), (all.accu_var.clone(), VariableKind::Value)]);
        self.loops += 1;
        let parts = [&all.accu_init, &all.loop_cond, &all.loop_step, &all.result];
        parts.into_iter().try_for_each(|part| self.read(part))?;
        self.loops -= 1;
        self.scope.truncate(around);
        Ok(())
    }

    /// What a macro goes through: a list of the finding or of values, and within packages their paths.
    fn kind_of_items(&self, range: &Expr) -> Option<VariableKind> {
        match range {
            Expr::List(list) => {
                let are_values = list.elements.iter().all(|item| matches!(item.expr, Expr::Literal(_)));
                (are_values && self.loops < 2).then_some(VariableKind::Value)
            }
            Expr::Select(select) => match &select.operand.expr {
                Expr::Ident(parent) if parent == FINDING && self.variable(parent).is_none() && self.loops == 0 => {
                    Some(if select.field == FindingField::Packages.as_str() {
                        VariableKind::Package
                    } else {
                        VariableKind::Value
                    })
                }
                Expr::Ident(parent) if self.variable(parent) == Some(VariableKind::Package) && self.loops == 1 => {
                    Some(VariableKind::Value)
                }
                _ => None,
            },
            _ => None,
        }
    }
}
