//! What a template uses by name, found without running it.
//!
//! minijinja compiles a template whatever its filters, tests and functions are called, and misses them
//! only where it comes to them; a trial would come to some branches and not to others. So its syntax tree
//! is walked here. The tree is shown under the feature `unstable_machinery` alone, without a promise that
//! it stays as it is: nothing outside of this file may touch it, and every kind of node is matched by its
//! name, so that a kind which comes new with another version is a compile error, and is not overlooked.

use std::collections::BTreeSet;

use minijinja::{
    Error,
    machinery::{
        Span,
        ast::{Call, CallArg, Expr, Macro, Spanned, Stmt},
        parse,
    },
    syntax::SyntaxConfig,
};

/// What a template uses by name.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Uses {
    /// What it calls, in the order in which it stands there.
    pub(super) called: Vec<Called>,
    /// The variables that it reads, with their fields (`meta.title`), its own among them.
    pub(super) variables: BTreeSet<String>,
    /// The names that it gives something itself, wherever.
    pub(super) own: BTreeSet<String>,
}

/// Something that is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Called {
    pub(super) kind: Kind,
    pub(super) name: String,
    /// The byte of the template at which the name stands.
    pub(super) at: usize,
}

/// What kind of thing is called.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Filter,
    Test,
    Function,
    /// A method of this variable, or of this field of one.
    MethodOf(String),
    /// A method of a text or number that the template writes out.
    MethodOfConstant,
}

impl Uses {
    /// What this template uses. Fails where its grammar is wrong.
    pub(super) fn of(content: &str) -> Result<Self, Error> {
        let template = parse(content, super::NAME, SyntaxConfig::default())?;
        let mut walk = Walk {
            content,
            uses: Self::default(),
        };
        walk.statement(&template);
        Ok(walk.uses)
    }

    /// The paths of the variables that it reads and never sets itself.
    pub(super) fn foreign(&self) -> impl Iterator<Item = &str> {
        self.variables
            .iter()
            .map(String::as_str)
            .filter(|path| !self.own.contains(root(path)))
    }
}

/// A path's variable.
pub(super) fn root(path: &str) -> &str {
    path.split('.').next().unwrap_or_default()
}

struct Walk<'a> {
    content: &'a str,
    uses: Uses,
}

impl Walk<'_> {
    fn statements(&mut self, statements: &[Stmt<'_>]) {
        for statement in statements {
            self.statement(statement);
        }
    }

    fn statement(&mut self, statement: &Stmt<'_>) {
        match statement {
            Stmt::Template(template) => self.statements(&template.children),
            Stmt::EmitExpr(put_out) => self.expression(&put_out.expr),
            Stmt::EmitRaw(_) => {}
            Stmt::ForLoop(each) => {
                self.own("loop");
                self.target(&each.target);
                self.expression(&each.iter);
                self.expressions(each.filter_expr.as_ref());
                self.statements(&each.body);
                self.statements(&each.else_body);
            }
            Stmt::IfCond(either) => {
                self.expression(&either.expr);
                self.statements(&either.true_body);
                self.statements(&either.false_body);
            }
            Stmt::WithBlock(with) => {
                for (target, value) in &with.assignments {
                    self.target(target);
                    self.expression(value);
                }
                self.statements(&with.body);
            }
            Stmt::Set(set) => {
                self.target(&set.target);
                self.expression(&set.expr);
            }
            Stmt::SetBlock(set) => {
                self.target(&set.target);
                self.expressions(set.filter.as_ref());
                self.statements(&set.body);
            }
            Stmt::AutoEscape(escape) => {
                self.expression(&escape.enabled);
                self.statements(&escape.body);
            }
            Stmt::FilterBlock(block) => {
                self.expression(&block.filter);
                self.statements(&block.body);
            }
            Stmt::Macro(defined) => {
                self.own(defined.name);
                self.macro_body(defined);
            }
            Stmt::CallBlock(block) => {
                self.call(&block.call);
                self.macro_body(&block.macro_decl);
            }
            Stmt::Do(done) => self.call(&done.call),
        }
    }

    fn macro_body(&mut self, defined: &Macro<'_>) {
        self.own("caller");
        for argument in &defined.args {
            self.target(argument);
        }
        self.expressions(&defined.defaults);
        self.statements(&defined.body);
    }

    fn expressions<'e, 's: 'e>(&mut self, expressions: impl IntoIterator<Item = &'e Expr<'s>>) {
        for expression in expressions {
            self.expression(expression);
        }
    }

    fn expression(&mut self, expression: &Expr<'_>) {
        match expression {
            Expr::Var(variable) => self.read(variable.id),
            Expr::Const(_) => {}
            Expr::Slice(slice) => {
                self.expression(&slice.expr);
                self.expressions(slice.start.iter().chain(&slice.stop).chain(&slice.step));
            }
            Expr::UnaryOp(operation) => self.expression(&operation.expr),
            Expr::BinOp(operation) => self.expressions([&operation.left, &operation.right]),
            Expr::Compare(comparison) => {
                self.expression(&comparison.expr);
                self.expressions(comparison.ops.iter().map(|operation| &operation.expr));
            }
            Expr::IfExpr(either) => {
                self.expressions([&either.test_expr, &either.true_expr]);
                self.expressions(either.false_expr.as_ref());
            }
            Expr::Filter(filter) => {
                self.expressions(filter.expr.as_ref());
                self.called(Kind::Filter, filter.name, filter.span());
                self.named_by_text(filter.name, &filter.args, filter.span());
                self.arguments(&filter.args);
            }
            Expr::Test(test) => {
                self.expression(&test.expr);
                self.called(Kind::Test, test.name, test.span());
                self.arguments(&test.args);
            }
            Expr::GetAttr(field) => match path(expression) {
                Some(path) => self.read(&path),
                None => self.expression(&field.expr),
            },
            Expr::GetItem(item) => self.expressions([&item.expr, &item.subscript_expr]),
            Expr::Call(call) => self.call(call),
            Expr::List(list) => self.expressions(&list.items),
            Expr::Tuple(tuple) => self.expressions(&tuple.items),
            Expr::Map(map) => self.expressions(map.keys.iter().chain(&map.values)),
        }
    }

    fn call(&mut self, call: &Spanned<Call<'_>>) {
        match &call.expr {
            Expr::Var(variable) => self.called(Kind::Function, variable.id, call.span()),
            Expr::GetAttr(field) => {
                self.expression(&field.expr);
                if let Some(kind) = method_of(&field.expr) {
                    self.called(kind, field.name, call.span());
                }
            }
            other => self.expression(other),
        }
        self.arguments(&call.args);
    }

    fn arguments(&mut self, arguments: &[CallArg<'_>]) {
        for argument in arguments {
            match argument {
                CallArg::Pos(value)
                | CallArg::Kwarg(_, value)
                | CallArg::PosSplat(value)
                | CallArg::KwargSplat(value) => self.expression(value),
            }
        }
    }

    /// Some filters are told in a text which filter or test they are to apply.
    fn named_by_text(&mut self, filter: &str, arguments: &[CallArg<'_>], span: Span) {
        let (kind, place) = match filter {
            "map" => (Kind::Filter, 0),
            "select" | "reject" => (Kind::Test, 0),
            "selectattr" | "rejectattr" => (Kind::Test, 1),
            _ => return,
        };
        let values = arguments.iter().filter_map(|argument| match argument {
            CallArg::Pos(value) => Some(value),
            _ => None,
        });
        if let Some(Expr::Const(text)) = values.clone().nth(place)
            && let Some(name) = text.value.as_str()
            // A list that is unpacked may have put other arguments before it.
            && values.count() == arguments.iter().filter(|one| !matches!(one, CallArg::Kwarg(..))).count()
        {
            self.called(kind, name, span);
        }
    }

    fn called(&mut self, kind: Kind, name: &str, span: Span) {
        let [start, end] = [span.start_offset, span.end_offset].map(|offset| offset as usize);
        // The span begins with what the filter is applied to: its name comes later, and before other filters.
        let within = self.content.get(start..end).unwrap_or_default();
        let at = start + within.rfind(name).unwrap_or_default();
        self.uses.called.push(Called {
            kind,
            name: name.to_owned(),
            at,
        });
    }

    fn read(&mut self, path: &str) {
        self.uses.variables.insert(path.to_owned());
    }

    fn own(&mut self, name: &str) {
        self.uses.own.insert(name.to_owned());
    }

    /// What is given a value.
    fn target(&mut self, target: &Expr<'_>) {
        match target {
            Expr::Var(variable) => self.own(variable.id),
            Expr::List(list) => list.items.iter().for_each(|item| self.target(item)),
            Expr::Tuple(tuple) => tuple.items.iter().for_each(|item| self.target(item)),
            // A field of a namespace: that is there already.
            other => self.expression(other),
        }
    }
}

/// A variable with its fields, as they are written.
fn path(expression: &Expr<'_>) -> Option<String> {
    match expression {
        Expr::Var(variable) => Some(variable.id.to_owned()),
        Expr::GetAttr(field) => Some(format!("{}.{}", path(&field.expr)?, field.name)),
        _ => None,
    }
}

/// What a method is one of, where what it is called on was looked up and nothing else was done with it.
fn method_of(expression: &Expr<'_>) -> Option<Kind> {
    if let Some(path) = path(expression) {
        return Some(Kind::MethodOf(path));
    }
    match expression {
        Expr::Const(_) => Some(Kind::MethodOfConstant),
        Expr::GetAttr(field) => method_of(&field.expr),
        Expr::GetItem(item) => method_of(&item.expr),
        Expr::Slice(slice) => method_of(&slice.expr),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn called(content: &str) -> Vec<(Kind, String)> {
        let uses = Uses::of(content).unwrap();
        let called = uses.called.into_iter().map(|called| {
            let at = &content[called.at..];
            assert!(at.starts_with(&called.name), "{} stands at {at}", called.name);
            (called.kind, called.name)
        });
        called.collect()
    }

    /// A template for every place in which something may be called; `X` stands for it.
    const PLACES: [&str; 27] = [
        "{{ X }}",
        "a\n{% if false %}{{ X }}{% endif %}",
        "{% if X %}{% elif X %}{% else %}{{ X }}{% endif %}",
        "{% for i in X if X %}{{ X }}{% else %}{{ X }}{% endfor %}",
        "{% set y = X %}",
        "{% set y %}{{ X }}{% endset %}",
        "{% with y = X %}{{ X }}{% endwith %}",
        "{% filter replace('a', X) %}{{ X }}{% endfilter %}",
        "{% set y | replace('a', X) %}b{% endset %}",
        "{% macro m(a, b=X) %}{{ X }}{% endmacro %}",
        "{% macro m() %}{{ caller() }}{% endmacro %}{% call m(X) %}{{ X }}{% endcall %}",
        "{% do m(X) %}",
        "{% autoescape X %}{{ X }}{% endautoescape %}",
        "{{ [X, (X, 1), {'a': X}] }}",
        "{{ y[X] }}{{ y[X:X:X] }}",
        "{{ (X)[0:3] }}",
        "{{ not X }}{{ X ~ X }}{{ 1 < X < 2 }}",
        "{{ X if X else X }}",
        "{{ m(X, k=X, *X, **X) }}",
        "{{ y | default(X) }}",
        "{{ y | replace('a', b=X) }}",
        "{{ y is startingwith(X) }}",
        "{{ y.n(X) }}",
        "{{ (X).n }}",
        "{{ (X)['n'] }}",
        "{% set n.a = X %}",
        "{{ true or X }}",
    ];

    #[test]
    fn whatever_is_called_is_found_wherever_it_is_called() {
        for place in PLACES {
            let times = place.matches('X').count();
            for (kind, call) in [
                (Kind::Filter, "y|shout"),
                (Kind::Test, "(y is shout)"),
                (Kind::Function, "shout(y)"),
            ] {
                let found = called(&place.replace('X', call));
                let shouts = found
                    .iter()
                    .filter(|found| **found == (kind.clone(), "shout".into()));
                assert_eq!(shouts.count(), times, "{call} in {place}: {found:?}");
            }
        }
    }

    #[test]
    fn blocks_and_arguments_name_filters_and_tests_too() {
        for (content, kind) in [
            ("{% filter shout %}a{% endfilter %}", Kind::Filter),
            ("{% filter upper|shout %}a{% endfilter %}", Kind::Filter),
            ("{% set a | shout %}b{% endset %}", Kind::Filter),
            ("{{ y | map('shout') }}", Kind::Filter),
            ("{{ y | select('shout') }}", Kind::Test),
            ("{{ y | rejectattr('a', 'shout', 1) }}", Kind::Test),
            ("{{ y is not shout }}", Kind::Test),
            ("{% call shout() %}a{% endcall %}", Kind::Function),
        ] {
            assert!(called(content).contains(&(kind, "shout".into())), "{content}");
        }
        let no_name = called("{{ y | map(attribute='shout') | map(*shout) | select }}");
        assert!(no_name.iter().all(|(_, name)| name != "shout"), "{no_name:?}");
    }

    #[test]
    fn variables_are_read_wherever_they_stand_and_own_ones_are_told_apart() {
        let uses = Uses::of(
            "{{ article[:500] }}{% set previous = previous|upper %}{% for s in stages %}{{ s.output }}{% endfor %}\
             {{ meta.title.length }}",
        )
        .unwrap();
        let read: Vec<_> = uses.variables.iter().map(String::as_str).collect();
        assert_eq!(
            read,
            ["article", "meta.title.length", "previous", "s.output", "stages"]
        );
        let foreign: Vec<_> = uses.foreign().collect();
        assert_eq!(foreign, ["article", "meta.title.length", "stages"]);
    }

    #[test]
    fn a_method_is_told_with_the_variable_that_it_is_called_on() {
        assert_eq!(
            called("{{ meta.title[1:]['a'].strip() }}{{ 'a'.strip() }}{{ (a ~ b).strip() }}"),
            [
                (Kind::MethodOf("meta.title".into()), "strip".into()),
                (Kind::MethodOfConstant, "strip".into())
            ]
        );
    }
}
