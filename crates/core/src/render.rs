//! Rendering: from a prompt card, an article and earlier outputs to what the model is told.
//!
//! A card's content is a minijinja template. It sees `article`, `previous`, `stages.<name>.output`
//! and `meta.*`, and nothing else; an unknown variable, filter, test or function is an error when the
//! card is saved, in whichever branch it stands. Whatever an expression puts out is
//! [delimited](crate::delimit), through whichever filters it went, because it came from outside.

mod names;
mod uses;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use minijinja::{
    Environment, Error, ErrorKind, Output, State, UndefinedBehavior, Value,
    value::{Serde, ValueKind},
};
use serde_json::Map;

use crate::{
    article::ArticleMeta,
    card::CardInput,
    delimit::delimited,
    error::{Code, Failure, Result},
    ids::PromptId,
    limits,
    model::Message,
};

pub use self::names::UnknownName;
use self::uses::{Kind, Uses};

/// A card's content, parsed.
#[derive(Debug)]
pub struct Template {
    environment: Environment<'static>,
    needs: Needs,
    uses: Uses,
    unknown: Vec<UnknownName>,
}

/// Which texts a template asks for: nothing else has to be read from storage.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Needs {
    /// The article's text.
    pub article: bool,
    /// The previous stage's output.
    pub previous: bool,
    /// What is known about the article beyond title, language and media type.
    pub metadata: bool,
    /// Earlier stages' outputs, by the name that the template uses.
    pub stages: StageNeeds,
}

/// Which earlier outputs a template asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StageNeeds {
    /// These.
    Named(BTreeSet<String>),
    /// It looks them up as it goes, so all.
    All,
}

impl Default for StageNeeds {
    fn default() -> Self {
        Self::Named(BTreeSet::new())
    }
}

impl StageNeeds {
    /// Whether the output of this card is asked for.
    #[must_use]
    pub fn contains(&self, prompt: &PromptId) -> bool {
        match self {
            Self::Named(names) => names.contains(&variable_name(prompt)) || names.contains(prompt.as_str()),
            Self::All => true,
        }
    }
}

/// What a template may use.
#[derive(Debug, Clone, Default)]
pub struct Variables {
    /// The article's text; empty where [`Needs`] did not ask for it.
    pub article: Arc<str>,
    /// The previous stage's output; the article on the first stage.
    pub previous: Arc<str>,
    /// Earlier stages' outputs.
    pub stages: BTreeMap<PromptId, Arc<str>>,
    /// What is known about the article.
    pub meta: ArticleMeta,
    /// And what [`ArticleMeta::more`] holds; empty where [`Needs`] did not ask for it.
    pub more: Map<String, serde_json::Value>,
}

const NAME: &str = "card";

/// The names of [`ArticleMeta`]'s own fields in a template, in their order there.
const KNOWN_METADATA: [&str; 3] = ["title", "language", "mediaType"];

impl Template {
    /// Parses a card's content. Fails with [`Code::TemplateInvalid`], naming the line.
    pub fn parse(content: &str) -> Result<Self> {
        let mut environment = Environment::new();
        // What an article does not have may be asked for by an `if`; nothing else may be done with it.
        environment.set_undefined_behavior(UndefinedBehavior::SemiStrict);
        // So that an error names what was undefined, in every build.
        environment.set_debug(true);
        environment.set_fuel(Some(limits::TEMPLATE_FUEL));
        environment.set_formatter(write_outside_text);
        environment.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
        environment
            .add_template_owned(NAME, content.to_owned())
            .map_err(|error| invalid(&error))?;
        let uses = Uses::of(content).map_err(|error| invalid(&error))?;
        Ok(Self {
            needs: Needs::of(&uses),
            unknown: names::unknown(content, &environment, &uses),
            environment,
            uses,
        })
    }

    /// Checks that the template asks for nothing that can't be there; `names` are the project's
    /// cards. Fails with [`Code::TemplateInvalid`], naming the first such name and what there is.
    pub fn check(&self, names: &[PromptId]) -> Result<()> {
        match self.faults(names)?.into_iter().next() {
            Some(first) => Err(Failure::new(Code::TemplateInvalid, first)),
            None => Ok(()),
        }
    }

    /// A sentence about each variable that can't be there, and each [unknown name](Self::unknown_names); `names`
    /// are the project's cards.
    pub fn faults(&self, names: &[PromptId]) -> Result<Vec<String>> {
        let mut faults = Vec::new();
        for path in self.variables()? {
            if let Some(hint) = unknown(&path, names) {
                faults.push(format!(
                    "the template uses `{path}`, which does not exist: {hint}"
                ));
            }
        }
        let unknown = self.unknown.iter();
        faults.extend(unknown.map(|name| format!("line {} of the template: it {}", name.line, name.what)));
        Ok(faults)
    }

    /// The filters, tests, functions and methods that it calls and that do not exist, in branches that are
    /// never taken too.
    #[must_use]
    pub fn unknown_names(&self) -> &[UnknownName] {
        &self.unknown
    }

    /// Which texts it asks for.
    #[must_use]
    pub fn needs(&self) -> &Needs {
        &self.needs
    }

    /// Renders the system prompt. Fails with [`Code::TemplateInvalid`] where a variable is missing
    /// after all (a `meta` field that this article does not have, a later stage's output).
    pub fn render(&self, variables: &Variables) -> Result<String> {
        let template = self
            .environment
            .get_template(NAME)
            .map_err(|error| invalid(&error))?;
        template
            .render(variables.context())
            .map_err(|error| invalid(&error))
    }

    /// The variables that it does not set itself, with their fields, in alphabetical order.
    pub fn variables(&self) -> Result<Vec<String>> {
        let template = self
            .environment
            .get_template(NAME)
            .map_err(|error| invalid(&error))?;
        let globals: BTreeSet<_> = self
            .environment
            .globals()
            .map(|(name, _)| name.to_owned())
            .collect();
        // minijinja knows where a name that the template sets is set; but it does not look into slices.
        let mut paths: BTreeSet<_> = template.undeclared_variables(true).into_iter().collect();
        paths.extend(self.uses.foreign().map(str::to_owned));
        let called = self.no_variables();
        paths.retain(|path| !globals.contains(uses::root(path)) && !called.contains(path));
        Ok(paths.into_iter().collect())
    }

    /// What minijinja takes for variables, and is called: [`unknown_names`](Self::unknown_names) has it.
    fn no_variables(&self) -> BTreeSet<String> {
        let uses = &self.uses;
        let called = uses.called.iter().filter_map(|called| match &called.kind {
            Kind::Function if !uses.own.contains(&called.name) => Some(called.name.clone()),
            Kind::MethodOf(path) if OUTSIDE.contains(&uses::root(path)) => {
                Some(format!("{path}.{}", called.name))
            }
            _ => None,
        });
        called.filter(|path| !uses.variables.contains(path)).collect()
    }
}

/// The variables that come from outside.
const OUTSIDE: [&str; 4] = ["article", "previous", "stages", "meta"];

/// What there is in place of a variable that can't be there.
fn unknown(path: &str, names: &[PromptId]) -> Option<String> {
    let mut parts = path.split('.');
    match (parts.next().unwrap_or_default(), parts.next(), parts.next()) {
        ("article" | "previous" | "meta" | "stages", None, _) | ("meta", Some(_), _) => None,
        ("article" | "previous", Some(_), _) => {
            Some("it is a text without fields; title, language and the like are in `meta`".into())
        }
        ("stages", Some(name), field) => {
            let is_meant = |id: &PromptId| variable_name(id) == name || id.as_str() == name;
            if !names.iter().any(is_meant) {
                let known: Vec<_> = names.iter().map(variable_name).collect();
                return Some(format!("the cards of this project are {}", known.join(", ")));
            }
            field
                .is_some_and(|field| field != "output")
                .then(|| format!("a stage has `stages.{name}.output` and nothing else"))
        }
        _ => Some("there are `article`, `previous`, `stages.<name>.output` and `meta.*`".into()),
    }
}

impl Needs {
    /// What is read under a name that the template sets itself is read all the same: `{% set article = article |
    /// upper %}` reads the article.
    fn of(uses: &Uses) -> Self {
        let mut needs = Self::default();
        for path in &uses.variables {
            let mut parts = path.split('.');
            match (parts.next().unwrap_or_default(), parts.next()) {
                ("article", _) => needs.article = true,
                ("previous", _) => needs.previous = true,
                ("meta", field) => {
                    needs.metadata |= field.is_none_or(|field| !KNOWN_METADATA.contains(&field));
                }
                ("stages", None) => needs.stages = StageNeeds::All,
                ("stages", Some(name)) => {
                    if let StageNeeds::Named(names) = &mut needs.stages {
                        names.insert(name.to_owned());
                    }
                }
                _ => {}
            }
        }
        needs
    }
}

impl Variables {
    fn context(&self) -> Value {
        let mut stages = BTreeMap::new();
        for (prompt, output) in &self.stages {
            let stage = Value::from(BTreeMap::from([("output", Value::from(Arc::clone(output)))]));
            stages.insert(variable_name(prompt), stage.clone());
            stages.insert(prompt.as_str().to_owned(), stage);
        }
        Value::from(BTreeMap::from([
            ("article", Value::from(Arc::clone(&self.article))),
            ("previous", Value::from(Arc::clone(&self.previous))),
            ("stages", Value::from(stages)),
            ("meta", self.meta_value()),
        ]))
    }

    fn meta_value(&self) -> Value {
        let mut meta: BTreeMap<String, Value> = self
            .more
            .iter()
            .map(|(key, value)| (key.clone(), Value::from(Serde(value))))
            .collect();
        let known = [&self.meta.title, &self.meta.language, &self.meta.media_type];
        for (key, value) in KNOWN_METADATA.into_iter().zip(known) {
            if let Some(value) = value {
                meta.insert(key.to_owned(), Value::from(value.as_str()));
            }
        }
        Value::from(meta)
    }
}

/// What the model is given to work on, delimited.
#[must_use]
pub fn user_message(input: CardInput, stage: u32, article: &str, previous: &str) -> Message {
    let text = match input {
        CardInput::Previous if stage > 1 => delimited("previous", previous),
        CardInput::Both if stage > 1 => {
            format!(
                "{}\n\n{}",
                delimited("article", article),
                delimited("previous", previous)
            )
        }
        // The first stage has nothing before it: whatever its card says, the article is its input.
        CardInput::Previous | CardInput::Article | CardInput::Both => delimited("article", article),
    };
    Message::user(text)
}

/// A card's name as a template writes it: hyphens would be minus signs there.
fn variable_name(prompt: &PromptId) -> String {
    prompt.as_str().replace('-', "_")
}

/// Writes what an expression puts out. Numbers and truth values can't speak; a plain language tag or a known
/// media type neither. Everything else is delimited.
fn write_outside_text(
    output: &mut Output<'_>,
    state: &mut State<'_, '_>,
    value: &Value,
) -> Result<(), Error> {
    let Some(text) = value.as_str() else {
        return match value.kind() {
            // The `else` that an `if` within an expression has not: what an article does not have never comes here.
            ValueKind::Undefined | ValueKind::None => Ok(()),
            ValueKind::Number | ValueKind::Bool => Ok(write!(output, "{value}")?),
            _ => Ok(output.write_str(&delimited("text", &value.to_string()))?),
        };
    };
    let is = |state: &mut State<'_, '_>, name: &str| {
        state
            .lookup(name)
            .is_some_and(|known| known.as_str() == Some(text))
    };
    let meta = |state: &mut State<'_, '_>, field: &str| {
        state
            .lookup("meta")
            .and_then(|meta| meta.get_attr(field).ok())
            .is_some_and(|known| known.as_str() == Some(text))
    };
    if (meta(state, "language") && is_language_tag(text))
        || (meta(state, "mediaType") && MEDIA_TYPES.contains(&text))
    {
        return Ok(output.write_str(text)?);
    }
    let kind = if is(state, "article") {
        "article"
    } else if is(state, "previous") {
        "previous"
    } else if meta(state, "title") {
        "title"
    } else {
        "text"
    };
    Ok(output.write_str(&delimited(kind, text))?)
}

/// The media types of the files that are read: any other would be a text that a file's owner writes.
const MEDIA_TYPES: [&str; 7] = [
    "text/plain",
    "text/markdown",
    "text/html",
    "application/pdf",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "application/json",
    "application/jsonl",
];

/// Whether this is a BCP 47 tag of a language, with a script and a region where they are said (`ko`,
/// `zh-Hant-TW`, `es-419`). A tag's further subtags may be any words, so a tag that has some is outside text.
fn is_language_tag(text: &str) -> bool {
    let letters = |tag: &str| tag.bytes().all(|byte| byte.is_ascii_alphabetic());
    let digits = |tag: &str| tag.bytes().all(|byte| byte.is_ascii_digit());
    let mut subtags = text.split('-').peekable();
    let language = subtags
        .next()
        .is_some_and(|tag| (2..=3).contains(&tag.len()) && letters(tag));
    let _script = subtags.next_if(|tag| tag.len() == 4 && letters(tag));
    let _region = subtags.next_if(|tag| (tag.len() == 2 && letters(tag)) || (tag.len() == 3 && digits(tag)));
    language && subtags.next().is_none()
}

/// What minijinja says, with the line of the card, and never with its source.
fn invalid(error: &Error) -> Failure {
    let place = error
        .line()
        .map(|line| format!("line {line} of the template: "))
        .unwrap_or_default();
    let what = match error.kind() {
        ErrorKind::OutOfFuel => "it loops for too long or makes too long a text".to_owned(),
        ErrorKind::UndefinedError => undefined(error.detail()),
        kind => error.detail().map_or_else(|| kind.to_string(), str::to_owned),
    };
    Failure::new(Code::TemplateInvalid, format!("{place}{what}"))
}

/// What is said of something that this article does not have; the engine names it between backticks.
fn undefined(detail: Option<&str>) -> String {
    let name = detail.and_then(|detail| detail.split('`').nth(1));
    match name {
        Some(name) => format!(
            "it uses `{name}`, which this article does not have: put it between `{{% if {name} %}}` and \
             `{{% endif %}}`, or write `{name} | default('')`"
        ),
        None => "it uses something that this article does not have: put it between `{% if … %}` and `{% endif %}`, \
                 or write `… | default('')`"
            .to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn names() -> Vec<PromptId> {
        ["facts", "social-post"]
            .map(|id| PromptId::new(id).unwrap())
            .into()
    }

    fn variables() -> Variables {
        Variables {
            article: "The bridge opens.".into(),
            previous: "Bridge.".into(),
            stages: BTreeMap::from([(PromptId::new("social-post").unwrap(), "Open! 🌉".into())]),
            meta: ArticleMeta {
                title: Some("Bridge".into()),
                language: Some("en-GB".into()),
                media_type: Some("text/plain".into()),
                more: None,
            },
            more: serde_json::json!({"author": "Jo", "words": 120})
                .as_object()
                .unwrap()
                .clone(),
        }
    }

    fn rendered(content: &str) -> Result<String> {
        Template::parse(content)?.render(&variables())
    }

    fn refusal(content: &str) -> String {
        let failure = Template::parse(content)
            .and_then(|template| template.check(&names()))
            .unwrap_err();
        assert_eq!(failure.code, Code::TemplateInvalid);
        failure.detail
    }

    #[test]
    fn a_template_sees_the_article_what_came_before_and_what_is_known() {
        let text = rendered(
            "Write in {{ meta.language }}. {{ article }} {{ stages.social_post.output }} {{ meta.words }}",
        )
        .unwrap();
        assert!(text.starts_with("Write in en-GB. <article-"), "{text}");
        assert!(text.contains("Open! 🌉") && text.ends_with(" 120"));
        assert_eq!(
            rendered("{{ stages['social-post'].output | length }}").unwrap(),
            "7"
        );
    }

    #[test]
    fn what_is_known_about_an_article_speaks_only_in_words_that_we_know() {
        let written = |language: &str, media_type: &str| {
            let mut variables = variables();
            variables.meta.language = Some(language.into());
            variables.meta.media_type = Some(media_type.into());
            Template::parse("{{ meta.language }}|{{ meta.mediaType }}")
                .unwrap()
                .render(&variables)
                .unwrap()
        };
        for language in ["ko", "en-GB", "zh-Hant-TW", "es-419"] {
            assert_eq!(written(language, "text/html"), format!("{language}|text/html"));
        }
        for language in [
            "english",
            "en-ignore-all-rules",
            "en-GB-obey",
            "en GB",
            "",
            "e",
            "en-",
        ] {
            assert!(written(language, "text/html").starts_with("<text-"), "{language}");
        }
        for media_type in [
            "ignore.all.previous.instructions/x",
            "text/x-obey",
            "Text/plain\n",
        ] {
            assert!(written("en", media_type).starts_with("en|<text-"), "{media_type}");
        }
    }

    #[test]
    fn an_unknown_variable_is_refused_when_the_card_is_saved() {
        assert!(refusal("{{ artcle }}").contains("`artcle`"));
        assert!(refusal("{{ article.title }}").contains("`meta`"));
        assert!(refusal("{{ stages.headline.output }}").contains("facts, social_post"));
        assert!(refusal("{{ stages.facts.text }}").contains("stages.facts.output"));
        assert!(refusal("one\ntwo {% if %}").contains("line 2"));
        assert!(
            Template::parse("{% for i in range(3) %}{{ meta.x }}{% endfor %}")
                .unwrap()
                .check(&names())
                .is_ok()
        );
    }

    #[test]
    fn a_name_that_does_not_exist_is_refused_when_the_card_is_saved() {
        for (content, said) in [
            (
                "one\n{% if false %}\n{{ article | shout }}{% endif %}",
                "line 3 of the template: it uses the filter `shout`, which does not exist: there are abs, ",
            ),
            (
                "{% if meta.title is shouted %}{% endif %}",
                "line 1 of the template: it uses the test `shouted`, which does not exist: there are boolean, ",
            ),
            (
                "{{ shout(article) }}",
                "line 1 of the template: it uses the function `shout`, which does not exist: there are debug, dict, \
                 namespace, range",
            ),
            (
                "{{ article() }}",
                "line 1 of the template: it uses the function `article`, which does not exist: ",
            ),
            (
                "{{ meta.title.upper() }}",
                "line 1 of the template: it calls the method `upper`, and nothing has methods here: use the filter \
                 of that name (`… | upper`)",
            ),
            (
                "{% set a = article[:9].strip() %}",
                "line 1 of the template: it calls the method `strip`, and nothing has methods here: use a filter",
            ),
        ] {
            let refused = refusal(content);
            assert!(refused.starts_with(said), "{refused}");
        }
        let template = Template::parse(
            "{{ a | b | b }}{{ c() }}{{ article.d() }}{{ 1 is e }}{{ x.y() }}{{ caller() }}{{ m() }}\
             {% if true %}{% macro m() %}{% endmacro %}{% endif %}{{ loop() }}{% for i in [] %}{% endfor %}",
        )
        .unwrap();
        let faults = template.faults(&names()).unwrap();
        let named: Vec<_> = faults
            .iter()
            .map(|fault| fault.split('`').nth(1).unwrap())
            .collect();
        let (variables, called) = (["a", "caller", "loop", "m", "x", "x.y"], ["b", "c", "d", "e"]);
        assert_eq!(named, [variables.as_slice(), &called].concat(), "{faults:?}");
    }

    #[test]
    fn what_the_engine_has_and_what_a_template_makes_itself_is_no_fault() {
        for content in [
            "{{ article | e | d('') }}{{ 3 is lessthan(4) }}{{ dict(a=1).a }}",
            "{% macro shout(text, n=range(3)) %}{{ text | upper }}{{ caller() }}{% endmacro %}\
             {% call shout('a') %}b{% endcall %}{{ shout('c') }}",
            "{% set ns = namespace(n=0) %}{% for a in article | lines recursive %}{% set ns.n = ns.n + 1 %}\
             {{ loop.cycle('a', 'b') }}{{ loop([]) }}{% endfor %}{{ ns.n }}",
        ] {
            assert_eq!(
                Template::parse(content).unwrap().faults(&names()).unwrap(),
                [""; 0],
                "{content}"
            );
        }
    }

    #[test]
    fn what_this_article_does_not_have_is_an_error_not_an_empty_text() {
        for content in [
            "\n{{ meta.colour }}",
            "\n{{ meta.colour | upper }}",
            "\n{{ 'In ' ~ meta.colour }}",
            "\n{% for part in meta.colour %}{% endfor %}",
            "\n{{ meta.colour.name }}",
        ] {
            let failure = rendered(content).unwrap_err();
            assert_eq!(failure.code, Code::TemplateInvalid);
            assert_eq!(
                failure.detail,
                "line 2 of the template: it uses `meta.colour`, which this article does not have: put it between \
                 `{% if meta.colour %}` and `{% endif %}`, or write `meta.colour | default('')`",
                "{content}"
            );
        }
        assert!(
            rendered("{{ meta.colour | default('grey') }}")
                .unwrap()
                .contains("grey")
        );
    }

    #[test]
    fn what_an_article_may_not_have_can_be_guarded() {
        let title = "{% if meta.title %}It is called {{ meta.title }}.{% endif %}";
        let colour = "{% if meta.colour %}It is {{ meta.colour }}.{% elif not meta.colour %}Grey.{% endif %}";
        let text = rendered(&[title, colour].concat()).unwrap();
        assert!(
            text.starts_with("It is called <title-") && text.ends_with(".Grey."),
            "{text}"
        );
        assert_eq!(rendered("a{{ meta.colour if meta.colour }}b").unwrap(), "ab");
        assert_eq!(
            rendered("{{ 1 if meta.colour is defined and meta.colour else 2 }}").unwrap(),
            "2"
        );
        assert!(refusal("{% if colour %}{{ colour }}{% endif %}").contains("`colour`"));
    }

    #[test]
    fn a_variable_within_a_slice_is_one_too() {
        assert!(refusal("{{ artcle[:500] }}").contains("`artcle`"));
        let template = Template::parse("{{ article[:3] }}{% set previous = previous | upper %}").unwrap();
        assert!(template.needs().article && template.needs().previous);
        assert!(rendered("{{ article[:3] }}").unwrap().contains("The"));
    }

    #[test]
    fn a_template_that_loops_for_ever_is_stopped() {
        let endless = "{% for a in range(9999) %}{% for b in range(9999) %}x{% endfor %}{% endfor %}";
        assert!(rendered(endless).unwrap_err().detail.contains("too long"));
    }

    #[test]
    fn only_what_a_template_asks_for_is_needed() {
        let needs = |content: &str| Template::parse(content).unwrap().needs().clone();
        assert_eq!(needs("Summarise."), Needs::default());
        assert!(needs("{{ article }}").article);
        let facts = PromptId::new("facts").unwrap();
        assert!(needs("{{ stages.facts.output }}").stages.contains(&facts));
        assert!(!needs("{{ stages.social_post.output }}").stages.contains(&facts));
        assert_eq!(
            needs("{% for s in stages %}{{ s }}{% endfor %}").stages,
            StageNeeds::All
        );
    }

    proptest! {
        #[test]
        fn an_article_never_speaks_as_system_whatever_the_template_does_with_it(
            article in "(?s)[a-z<>/{}% \\n-]{1,60}",
            filter in prop::sample::select(vec!["", "|upper", "|trim", "|tojson", "|safe", "|escape", "|list|join", "|replace('a','b')"]),
        ) {
            prop_assume!(!article.trim().is_empty());
            let content = format!("BEFORE{{{{ article{filter} }}}}AFTER");
            let variables = Variables { article: article.into(), ..Default::default() };
            let text = Template::parse(&content).unwrap().render(&variables).unwrap();
            let inner = text.strip_prefix("BEFORE<").unwrap().strip_suffix(">AFTER").unwrap();
            let (open, rest) = inner.split_once(">\n").unwrap();
            let close = format!("</{open}");
            prop_assert!(rest.ends_with(&close), "{text}");
            prop_assert_eq!(rest.matches(&close).count(), 1);
        }

        #[test]
        fn parsing_any_content_answers(content in "(?s).{0,200}") {
            let _ = Template::parse(&content).map(|template| template.check(&names()));
        }
    }
}
