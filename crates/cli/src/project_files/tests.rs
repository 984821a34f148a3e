//! Whole projects: what is read, and every fault with its exact words.

#![expect(clippy::needless_raw_string_hashes, reason = "expect-test writes them")]

mod file_faults;
mod yaml_faults;

use std::{fs, path::Path};

use bedrock_diy_core::{catalogue::Catalogue, project::ProjectStatus};
use expect_test::{Expect, expect};
use proptest::prelude::*;
use tempfile::TempDir;

use super::*;

const PROMPT: &str = "Summarise.\n";

/// A project's folder with these files.
fn folder(files: &[(&str, &[u8])]) -> TempDir {
    let dir = tempfile::Builder::new().prefix("news-").tempdir().unwrap();
    for (name, bytes) in files {
        let path = dir.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
    dir
}

fn texts<'a>(files: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a [u8])> {
    files
        .iter()
        .map(|(name, text)| (*name, text.as_bytes()))
        .collect()
}

/// What is wrong, a line each, without the folder's own name.
fn listed(dir: &Path, read: Result<ProjectFiles, Vec<FileFault>>) -> String {
    let root = format!("{}/", dir.display());
    let faults = read.expect_err("that is no project");
    let lines = faults
        .iter()
        .map(|fault| fault.to_string().replace(&root, "") + "\n");
    lines.collect()
}

fn check(files: &[(&str, &str)], faults: &Expect) {
    let dir = folder(&texts(files));
    faults.assert_eq(&listed(dir.path(), ProjectFiles::read(dir.path())));
}

/// Checks a card that is the project's only one.
fn check_card(card: &str, faults: &Expect) {
    check(
        &[("project.yaml", "id: news"), ("cards/10-facts.md", card)],
        faults,
    );
}

/// Checks a `project.yaml` with a good card.
fn check_project(yaml: &str, faults: &Expect) {
    check(&[("project.yaml", yaml), ("cards/10-facts.md", PROMPT)], faults);
}

#[test]
fn a_project_is_read_with_its_cards_in_order() {
    let dir = folder(&texts(&[
        ("project.yaml", "id: news\nname: News\nstatus: INACTIVE\n"),
        (
            "cards/100-post.md",
            "{{ stages.facts.output }} {{ stages.headline.output }}",
        ),
        ("cards/20-headline.md", "---\ntitle: Head\n---\nWrite."),
        (
            "cards/20-facts.md",
            "---\noutputSchema: facts.json\n---\nCollect.",
        ),
        (
            "cards/30-old.md",
            "---\nisActive: false\n---\n{{ stages.facts.output }}",
        ),
        ("cards/facts.json", "{\"type\": \"object\"}"),
        ("cards/README.md", "Notes."),
        ("cards/.DS_Store", "x"),
        ("articles/a.txt", "An article."),
    ]));
    let project = ProjectFiles::read(dir.path()).unwrap();
    assert_eq!((project.id.as_str(), project.name.as_str()), ("news", "News"));
    assert_eq!(project.status, ProjectStatus::Inactive);
    let cards: Vec<_> = project
        .cards
        .iter()
        .map(|card| (card.step_order, card.prompt_id.as_str(), card.is_active))
        .collect();
    assert_eq!(
        cards,
        [
            (20, "facts", true),
            (20, "headline", true),
            (30, "old", false),
            (100, "post", true)
        ]
    );
    let facts = &project.cards[0];
    assert_eq!(facts.path, dir.path().join("cards/20-facts.md"));
    assert_eq!(
        facts.draft.settings.output_schema,
        Some(serde_json::json!({"type": "object"}))
    );
}

#[test]
fn everything_that_is_wrong_is_said_at_once() {
    check(
        &[
            (
                "project.yaml",
                "id: News\nsettings:\n  model: [a]\n  parameters: {temperature: 2}\n",
            ),
            (
                "cards/10-facts.md",
                "---\ntitel: Facts\nparameters:\n  maxTokens: 0\n---\n\nUse {{ artcle }}.\n",
            ),
            (
                "cards/20-post.md",
                "---\ntimeoutSeconds: 5000\n---\nUse {{ stages.headline.output }}.\n",
            ),
            ("cards/30-headline.md", "---\ntags: news\n"),
            ("cards/notes.txt", "x"),
        ],
        &expect![[r#"
            cards/10-facts.md:2:1: unknown field `titel`: did you mean `title`?
            cards/10-facts.md:4:14: `maxTokens` is 0: it must be at least 1
            cards/10-facts.md:7:8: the template uses `artcle`, which does not exist: there are `article`, `previous`, `stages.<name>.output` and `meta.*`
            cards/20-post.md:2:17: `timeoutSeconds` is 5000: it must lie between 1 and 780
            cards/20-post.md:4:8: the template uses `stages.headline.output`, which is not there for this card: the card `headline` runs after it, give this card a higher number or don't use it here
            cards/30-headline.md:1: the front matter that begins here has no end: write a line `---` below it
            cards/notes.txt: this is no card: name it `10-notes.md` if it is meant as one, else move it out of `cards`
            project.yaml:1:5: "News" can't be a project id: it must be 1 to 64 lower-case letters, digits and inner hyphens
            project.yaml:3:10: `settings.model` is a list: write a text, in quotes if need be
            project.yaml:4:29: `temperature` is 2: it must lie between 0 and 1
        "#]],
    );
}

#[test]
fn a_variable_is_named_with_its_line_in_the_file() {
    check(
        &[
            ("project.yaml", ""),
            (
                "cards/10-a.md",
                "---\r\ntitle: A\r\n---\r\n\r\nOne.\r\nTwo {{ article.title }} {{ stages.b.output }}",
            ),
            (
                "cards/20-b.md",
                "Own: {{ stages.b.output }}, off: {{ stages.c.output }}, not: {{ stages.x.output }}",
            ),
            (
                "cards/15-c.md",
                "---\nisActive: false\n---\nOff. {% if meta.title %}",
            ),
        ],
        &expect![[r#"
            cards/10-a.md:6:8: the template uses `article.title`, which does not exist: it is a text without fields; title, language and the like are in `meta`
            cards/10-a.md:6:28: the template uses `stages.b.output`, which is not there for this card: the card `b` runs after it, give this card a higher number or don't use it here
            cards/15-c.md:4:23: the template is not understood: unexpected end of input, expected end of block
            cards/20-b.md:1:9: the template uses `stages.b.output`, which is not there for this card: it is this card's own output
            cards/20-b.md:1:37: the template uses `stages.c.output`, which is not there for this card: the card `c` is inactive, make it active or don't use it here
            cards/20-b.md:1:65: the template uses `stages.x.output`, which does not exist: the cards of this project are a, c, b
        "#]],
    );
}

fn strict() -> Catalogue {
    let family = |name: &str, id: &str, parameters: &str| {
        format!(
            "[[family]]\nname = '{name}'\nids = ['{id}']\non_demand = true\ncontext_window = 1000\nmax_output = 500\n\
             parameters = {parameters}\ntemperature_with_top_p = false\nsource = 'a test'\ndate = '2026-11-01'\n"
        )
    };
    let toml = [
        "default_model = 'acme.default'\n".to_owned(),
        family(
            "Default",
            "acme.default",
            "['maxTokens', 'temperature', 'topP', 'stopSequences']",
        ),
        family("Bare", "acme.bare", "['maxTokens']"),
    ]
    .concat();
    Catalogue::with_overrides(Some(("test.toml", &toml))).unwrap()
}

#[test]
fn what_a_model_refuses_is_named_where_it_is_said() {
    let dir = folder(&texts(&[
        (
            "project.yaml",
            "settings:\n  model: acme.default\n  parameters:\n    topP: 0.5\n    maxTokens: 400\n",
        ),
        (
            "cards/10-a.md",
            "---\nparameters: {temperature: 0.5}\n---\nBoth are refused together.",
        ),
        (
            "cards/20-b.md",
            "---\nparameters:\n  maxTokens: 501\n---\nMore than it writes.",
        ),
        (
            "cards/30-c.md",
            "---\nmodel: acme.bare\n---\nThe project's is refused.",
        ),
        (
            "cards/40-d.md",
            "---\nmodel: acme.bare\nparameters: {stopSequences: [END], topP: 0.1}\n---\nIts own.",
        ),
        (
            "cards/50-e.md",
            "---\nmodel: acme.unknown\nparameters: {temperature: 1, topP: 0.1}\n---\nNobody knows.",
        ),
    ]));
    assert!(ProjectFiles::read(dir.path()).is_ok());
    expect![[r#"
        cards/10-a.md:2:27: Default does not accept `temperature` together with `topP`: remove it
        cards/20-b.md:3:14: `maxTokens` is 501, Default writes at most 500
        cards/40-d.md:3:29: Bare does not accept `stopSequences`: remove it
        cards/40-d.md:3:42: Bare does not accept `topP`: remove it
        project.yaml:4:11: Bare does not accept `topP`: remove it
    "#]]
    .assert_eq(&listed(
        dir.path(),
        ProjectFiles::read_with(dir.path(), &strict()),
    ));
}

#[test]
fn the_folder_may_be_given_as_a_dot() {
    assert!(!reading::folder_name(Path::new(".")).is_empty());
    assert_eq!(reading::folder_name(Path::new("a/news/")), "news");
}

#[test]
fn a_model_that_is_chosen_later_is_checked_later() {
    let dir = folder(&texts(&[
        ("project.yaml", "settings:\n  parameters: {topP: 0.5}\n"),
        ("cards/10-a.md", "---\nparameters: {temperature: 0.5}\n---\nBoth."),
        ("cards/20-b.md", "---\nmodel: acme.unknown\n---\nNobody knows."),
        ("cards/30-c.md", "---\nisActive: false\n---\nNobody asks."),
    ]));
    let project = ProjectFiles::read_with(dir.path(), &strict()).unwrap();
    assert_eq!(project.check_models("acme.unknown", &strict()), Ok(()));
    let refused = project.check_models("acme.bare", &strict()).map(|()| project);
    expect![[r#"
        cards/10-a.md: the card, or project.yaml, sets what its model refuses: Bare does not accept `temperature`: remove it
    "#]].assert_eq(&listed(dir.path(), refused));
}

#[test]
fn what_an_article_may_cost_is_limited_only_where_prices_are_known() {
    let dir = folder(&texts(&[
        ("project.yaml", "settings:\n  limits: {costPerArticle: 0.5}\n"),
        ("cards/10-a.md", "One."),
        ("cards/20-b.md", "Two."),
        ("cards/30-c.md", "---\nmodel: acme.bare\n---\nThree."),
        (
            "cards/40-d.md",
            "---\nisActive: false\nmodel: acme.unknown\n---\nFour.",
        ),
    ]));
    // Where another catalogue is asked, as with `cards push`, its prices are not known here.
    let mut project = ProjectFiles::read_with(dir.path(), &strict()).unwrap();
    let refused = project
        .check_models("acme.default", &strict())
        .map(|()| project.clone());
    expect![[r#"
        cards/10-a.md: no price is known for acme.default, so `limits.costPerArticle` can't be kept: add the model with its price to a models.toml of your own, or remove the limit
        cards/30-c.md: no price is known for acme.bare, so `limits.costPerArticle` can't be kept: add the model with its price to a models.toml of your own, or remove the limit
    "#]].assert_eq(&listed(dir.path(), refused));
    let own = Catalogue::own().unwrap();
    project.cards.remove(2);
    assert_eq!(project.check_models(&own.default_model, &own), Ok(()));
    project.settings.limits.cost_per_article = None;
    assert_eq!(project.check_models("acme.default", &strict()), Ok(()));
}

#[test]
fn the_newsroom_is_a_project_for_every_model_of_the_catalogue() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/newsroom");
    let catalogue = Catalogue::own().unwrap();
    let project = ProjectFiles::read_with(&dir, &catalogue).unwrap();
    let ids: Vec<_> = project.cards.iter().map(|card| card.prompt_id.as_str()).collect();
    assert_eq!(ids, ["facts", "summary", "headline", "social"]);
    assert_eq!(
        (project.id.as_str(), &project.settings.model),
        ("newsroom", &None)
    );
    for model in catalogue.families.iter().flat_map(|family| &family.ids) {
        assert_eq!(project.check_models(model, &catalogue), Ok(()), "{model}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_two_files_are_answered(yaml in "(?s).{0,80}", card in "(?s)(---\n.{0,40}\n---\n)?.{0,80}") {
        let dir = folder(&texts(&[("project.yaml", &yaml), ("cards/10-a.md", &card)]));
        if let Err(faults) = ProjectFiles::read(dir.path()) {
            prop_assert!(!faults.is_empty());
        }
    }
}
