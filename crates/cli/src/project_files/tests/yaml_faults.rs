//! What is wrong with `project.yaml`, a front matter or a schema: each fault with its exact words.

use expect_test::{Expect, expect};

use super::{check, check_card, check_project};

#[test]
fn yaml_that_is_none_is_named_with_its_place() {
    for (yaml, faults) in [
        (
            "name: News: all of it",
            &expect![[r#"
            project.yaml:1:11: this is not valid YAML: mapping values are not allowed in this context. Indent with spaces, and put a text into quotes if it holds a colon or a quotation mark or begins with a special character
        "#]],
        ),
        (
            "name: [a, b\nid: c",
            &expect![[r#"
            project.yaml:2:3: this is not valid YAML: illegal placement of ':' indicator. Indent with spaces, and put a text into quotes if it holds a colon or a quotation mark or begins with a special character
        "#]],
        ),
        (
            "settings:\n\tmodel: a",
            &expect![[r#"
            project.yaml:2:2: this is not valid YAML: tabs disallowed within this context (block indentation). Indent with spaces, and put a text into quotes if it holds a colon or a quotation mark or begins with a special character
        "#]],
        ),
        (
            "name: 'it's'",
            &expect![[r#"
            project.yaml:1:11: this is not valid YAML: invalid trailing content after single-quoted scalar. Indent with spaces, and put a text into quotes if it holds a colon or a quotation mark or begins with a special character
        "#]],
        ),
        (
            "name: *unknown",
            &expect![[r#"
            project.yaml:1:7: this is not valid YAML: reference to unknown value. Indent with spaces, and put a text into quotes if it holds a colon or a quotation mark or begins with a special character
        "#]],
        ),
        (
            "name: a\n---\nname: b",
            &expect![[r#"
            project.yaml:2:1: a second YAML document begins here: remove this line, and put everything into one
        "#]],
        ),
        (
            "settings: &s {}\n<<: *s",
            &expect![[r#"
            project.yaml:2:1: merge keys (`<<`) are not understood: write the fields themselves
        "#]],
        ),
        (
            "name: .nan",
            &expect![[r#"
            project.yaml:1:7: this is not valid YAML: value `.nan` is not a finite number. Indent with spaces, and put a text into quotes if it holds a colon or a quotation mark or begins with a special character
        "#]],
        ),
        (
            "just a text",
            &expect![[r#"
            project.yaml:1:1: a text stands here: write fields, such as `name: value`
        "#]],
        ),
        (
            "- name: a",
            &expect![[r#"
            project.yaml:1:1: a list stands here: write fields, such as `name: value`
        "#]],
        ),
    ] {
        check_project(yaml, faults);
    }
}

#[test]
fn a_yaml_bomb_does_not_go_off() {
    let bomb: String = (1..30).fold("a0: &a0 [x, x]\n".into(), |bomb, level| {
        let below = level - 1;
        bomb + &format!("a{level}: &a{level} [*a{below}, *a{below}, *a{below}]\n")
    });
    check_project(
        &bomb,
        &expect![[r#"
        project.yaml:9:10: the YAML is too deeply nested, or its aliases (`*name`) make it too large: write it plainly
    "#]],
    );
    check_project(
        &format!("name: {}", "[".repeat(100_000)),
        &expect![[r#"
        project.yaml:1:262: this is not valid YAML: recursion limit exceeded. Indent with spaces, and put a text into quotes if it holds a colon or a quotation mark or begins with a special character
    "#]],
    );
    let nested = |depth: usize| format!("name: {}{}", "[".repeat(depth), "]".repeat(depth));
    check_project(
        &nested(47),
        &expect![[r#"
        project.yaml:1:7: `name` is a list: write a text, in quotes if need be
    "#]],
    );
    check_project(
        &nested(48),
        &expect![[r#"
        project.yaml:1:54: the YAML is too deeply nested, or its aliases (`*name`) make it too large: write it plainly
    "#]],
    );
    check_project(
        &format!("name: {}", "[a, ".repeat(60)),
        &expect![[r#"
        project.yaml:1:243: this is not valid YAML: unclosed bracket '['. Indent with spaces, and put a text into quotes if it holds a colon or a quotation mark or begins with a special character
    "#]],
    );
}

#[test]
fn a_field_of_a_project_that_makes_no_sense_is_named_with_its_place() {
    check_project(
        "id: [a]\nname: 1.5\nnmae: b\nstatus: active\ncards: []\nmodel: a\nname: again\n",
        &expect![[r#"
            project.yaml:1:5: `id` is a list: write a text, in quotes if need be
            project.yaml:2:7: `name` is the number 1.5: write a text, in quotes if need be
            project.yaml:3:1: unknown field `nmae`: did you mean `name`?
            project.yaml:4:9: `status` can't be "active": did you mean `ACTIVE`?
            project.yaml:5:1: `cards` is no field here: each card is a file in the folder `cards`
            project.yaml:6:1: unknown field `model`: did you mean `settings.model`?
            project.yaml:7:1: `name` stands here twice, first in line 2: keep one of them
        "#]],
    );
    check_project(
        "settings:\n  max_tokens: 5\n  colour: red\n  timeoutSeconds: soon\n  guardrail: {id: a}\n  \
         limits: {costPerArticle: 0, articleBytes: -1}\n  parameters: 7\n",
        &expect![[r#"
            project.yaml:2:3: unknown field `settings.max_tokens`: did you mean `parameters.maxTokens`?
            project.yaml:3:3: unknown field `settings.colour`: there are model, parameters, timeoutSeconds, guardrail, limits
            project.yaml:4:19: `settings.timeoutSeconds` is a text: write a whole number
            project.yaml:5:19: a guardrail needs its `version` too: a number, or `DRAFT`
            project.yaml:6:28: `limits.costPerArticle` is 0: it must be a sum of dollars above 0
            project.yaml:6:45: `settings.limits.articleBytes` is the number -1: write a whole number
            project.yaml:7:15: `settings.parameters` is the number 7: write its fields below it, indented by two spaces
        "#]],
    );
    check_project(
        "settings:\n  model: ''\n  guardrail: {version: 1}\n  parameters:\n    topP: 0\n    temperature: warm\n    \
         stopSequences: ['']\n    maxTokens: 1.5\n",
        &expect![[r#"
            project.yaml:2:10: `model` is empty: write a model id, or remove the line
            project.yaml:3:24: a guardrail needs its `id` too: its identifier or ARN
            project.yaml:5:11: `topP` is 0: it must lie above 0 and be at most 1
            project.yaml:6:18: `settings.parameters.temperature` is a text: write a number, such as 0.5
            project.yaml:7:20: `stopSequences` takes up to four texts, none of them empty
            project.yaml:8:16: `settings.parameters.maxTokens` is the number 1.5: write a whole number
        "#]],
    );
    check_project(
        "id: -a-",
        &expect![[r#"
        project.yaml:1:5: "-a-" can't be a project id: it must be 1 to 64 lower-case letters, digits and inner hyphens
    "#]],
    );
    check_project(
        "1: a\n? [b]\n: c\ntrue: d",
        &expect![[r#"
        project.yaml:1:1: unknown field `1`: there are id, name, description, status, settings
        project.yaml:2:3: a field's name must be a word, this is a list
        project.yaml:4:1: a field's name must be a word, this is `true`
    "#]],
    );
}

#[test]
fn a_field_of_a_card_that_makes_no_sense_is_named_with_its_place() {
    check_card(
        "---\ntitle: ''\ntags: [a, [b]]\nisActive: yes\ninput: articel\nstepOrder: 3\ntemperature: 1\nmodel: 3.5\n---\nWrite.",
        &expect![[r#"
            cards/10-facts.md:2:8: `title` is empty: write one, or remove the line and the file's name becomes the title
            cards/10-facts.md:3:11: one of `tags` is a list: write a text, in quotes if need be
            cards/10-facts.md:4:11: `isActive` is a text: write true or false
            cards/10-facts.md:5:8: `input` can't be "articel": did you mean `article`?
            cards/10-facts.md:6:1: `stepOrder` is no field here: the number in front of the file's name says it
            cards/10-facts.md:7:1: unknown field `temperature`: did you mean `parameters.temperature`?
            cards/10-facts.md:8:8: `model` is the number 3.5: write a text, in quotes if need be
        "#]],
    );
    check_card(
        "---\noutputSchema: {type: strin, properties: {a: {}, a: {}}}\ninput: everything\n---\nWrite.",
        &expect![[r#"
            cards/10-facts.md:2:15: `outputSchema` is no JSON Schema: "strin" is not valid under any of the schemas listed in the 'anyOf' keyword (at "/type")
            cards/10-facts.md:2:49: `a` stands here twice: keep one of them
            cards/10-facts.md:3:8: `input` can't be "everything": write `previous` or `article` or `both`
        "#]],
    );
    check_card(
        "---\noutputSchema: ../secret.json\n---\nWrite.",
        &expect![[r#"
        cards/10-facts.md:2:15: `outputSchema` takes a schema, or the name of a `.json` file beside the card, without folders
    "#]],
    );
    check_card(
        "---\noutputSchema: [1]\n---\nWrite.",
        &expect![[r#"
        cards/10-facts.md:2:15: `outputSchema` is no JSON Schema: it must be an object
    "#]],
    );
}

#[test]
fn a_schema_file_is_checked_too() {
    let card = "---\n# The schema.\noutputSchema: s.json\n---\nWrite.";
    let check_schema = |schema: &str, faults: &Expect| {
        check(
            &[
                ("project.yaml", ""),
                ("cards/10-a.md", card),
                ("cards/20-b.md", card),
                ("cards/s.json", schema),
            ],
            faults,
        );
    };
    check_schema(
        "{\"type\": \"object\",\n \"a\" 1}",
        &expect![[r#"
        cards/s.json:2:6: this is not valid JSON: expected `:`
    "#]],
    );
    check_schema(
        "{\"required\": 3}",
        &expect![[r#"
        cards/s.json:1: `outputSchema` is no JSON Schema: 3 is not of type "array" (at "/required")
    "#]],
    );
    check(
        &[("project.yaml", ""), ("cards/10-a.md", card)],
        &expect![[r#"
        cards/10-a.md:3:15: `outputSchema` names s.json: there is no such file
    "#]],
    );
}
