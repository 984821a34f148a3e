//! What is wrong with files and folders: each fault with its exact words.

use std::{fs, path::Path};

use bedrock_diy_core::limits;
use expect_test::expect;

use super::{PROMPT, ProjectFiles, check, check_card, folder, listed, parse_card};

#[test]
fn a_folder_that_is_no_project_is_named() {
    let dir = folder(&[("file", b"x")]);
    let read = |name: &str| listed(dir.path(), ProjectFiles::read(&dir.path().join(name)));
    expect![[r#"
        nowhere: there is no such folder: name the folder that holds `project.yaml`
        file: this is no folder: name the folder that holds `project.yaml`
    "#]]
    .assert_eq(&[read("nowhere"), read("file")].concat());
    check(
        &[("cards/10-a.md", PROMPT)],
        &expect![[r#"
        project.yaml: there is no such file: write one, a line `name: …` is enough, or begin with `bedrock-diy init`
    "#]],
    );
    check(
        &[("project.yml", "name: a")],
        &expect![[r#"
        cards: there is no such folder: make it and put the cards into it, such as `10-summary.md`
        project.yaml: there is no such file: rename `project.yml` to it
    "#]],
    );
    check(
        &[("project.yaml", ""), ("cards", "x")],
        &expect![[r#"
        cards: this is no folder: put a folder in its place
    "#]],
    );
    check(
        &[("project.yaml", ""), ("cards/README.md", "x")],
        &expect![[r#"
        cards: there is no card: write one, such as `10-summary.md`
    "#]],
    );
    check(
        &[
            ("project.yaml", ""),
            ("cards/10-a.md", "---\nisActive: false\n---\nWrite."),
        ],
        &expect![[r#"
            cards: no card is active: remove `isActive: false` from one of them
        "#]],
    );
}

#[test]
fn a_card_that_says_nothing_is_named() {
    check_card(
        "",
        &expect![[r#"
        cards/10-facts.md:1: the card is empty: write below the front matter what the model is to do
    "#]],
    );
    check_card(
        "---\ntitle: A\n---\n\n  \n",
        &expect![[r#"
        cards/10-facts.md:6: the card is empty: write below the front matter what the model is to do
    "#]],
    );
    check_card(
        "\n---\ntitle: A\n",
        &expect![[r#"
        cards/10-facts.md:2: the front matter that begins here has no end: write a line `---` below it
    "#]],
    );
}

#[test]
fn settings_without_the_line_above_them_are_not_told_to_the_model() {
    check_card(
        "\ntitle: A\ntags: [b]\n---\nWrite.",
        &expect![[r#"
        cards/10-facts.md:2: the front matter has no beginning: write a line `---` above this one
    "#]],
    );
    for prompt in ["Note: write.\n---\nBriefly.", "title: a title is what you write."] {
        let card = parse_card(Path::new("cards/10-facts.md"), prompt.as_bytes());
        assert_eq!(card.faults, [], "{prompt}");
    }
}

#[test]
fn a_misnamed_card_is_one_fault_and_not_many() {
    check(
        &[
            ("project.yaml", ""),
            ("cards/Facts.md", PROMPT),
            ("cards/20_headline.md", PROMPT),
            (
                "cards/30-post.md",
                "{{ stages.facts.output }} {{ stages.headline.output }}",
            ),
        ],
        &expect![[r#"
            cards/20_headline.md: a card's file is named NUMBER-NAME.md, its number says when it runs: rename it, to `20-headline.md` for example
            cards/Facts.md: a card's file is named NUMBER-NAME.md, its number says when it runs: rename it, to `10-facts.md` for example
        "#]],
    );
}

#[test]
fn two_cards_cannot_have_one_id() {
    check(
        &[
            ("project.yaml", ""),
            ("cards/10-a.md", PROMPT),
            ("cards/20-a.md", PROMPT),
            ("cards/30-a.md", PROMPT),
        ],
        &expect![[r#"
            cards/20-a.md: the prompt id `a` is taken by 10-a.md: rename one of the two files
            cards/30-a.md: the prompt id `a` is taken by 10-a.md: rename one of the two files
        "#]],
    );
}

#[test]
fn files_are_utf_8_and_of_bounded_size() {
    let large = vec![b'x'; limits::CARD_BYTES + 1];
    let dir = folder(&[
        ("project.yaml", b"name: caf\xE9"),
        ("cards/10-a.md", b"---\ntitle: A\n---\nCaf\xE9"),
        ("cards/20-b.md", b"\xFF\xFEW\0r\0"),
        ("cards/30-c.md", &large),
    ]);
    fs::create_dir(dir.path().join("cards/40-d.md")).unwrap();
    expect![[r#"
        cards/10-a.md:4:4: the file is not UTF-8 from here on: save it as UTF-8
        cards/20-b.md:1: the file is UTF-16: save it as UTF-8
        cards/30-c.md: the file is larger than 256 kB: shorten it
        cards/40-d.md: this is a folder: a file is needed here
        project.yaml:1:10: the file is not UTF-8 from here on: save it as UTF-8
    "#]]
    .assert_eq(&listed(dir.path(), ProjectFiles::read(dir.path())));
}

#[test]
fn a_project_has_a_bounded_number_of_cards() {
    let names: Vec<_> = (0..=limits::CARDS)
        .map(|n| format!("cards/{n}-c{n}.md"))
        .collect();
    let mut files: Vec<_> = names.iter().map(|name| (name.as_str(), PROMPT)).collect();
    files.push(("project.yaml", ""));
    check(
        &files,
        &expect![[r#"
        cards: the project has 101 cards, 100 are allowed: make it several projects
    "#]],
    );
}

#[cfg(unix)]
#[test]
fn symbolic_links_that_lead_in_a_circle_are_named() {
    use std::os::unix::fs::symlink;
    let dir = folder(&[("cards/10-a.md", PROMPT.as_bytes())]);
    let path = |name: &str| dir.path().join(name);
    symlink("project.yaml", path("project.yaml")).unwrap();
    symlink("30-c.md", path("cards/20-b.md")).unwrap();
    symlink("20-b.md", path("cards/30-c.md")).unwrap();
    symlink("nowhere.md", path("cards/40-d.md")).unwrap();
    symlink("..", path("cards/50-e.md")).unwrap();
    symlink("10-a.md", path("cards/60-f.md")).unwrap();
    symlink("loop", path("loop")).unwrap();
    let found = [
        listed(dir.path(), ProjectFiles::read(dir.path())),
        listed(dir.path(), ProjectFiles::read(&path("loop"))),
    ];
    expect![[r#"
        cards/20-b.md: this is a symbolic link that leads nowhere or in a circle: mend or remove it
        cards/30-c.md: this is a symbolic link that leads nowhere or in a circle: mend or remove it
        cards/40-d.md: this is a symbolic link that leads nowhere or in a circle: mend or remove it
        cards/50-e.md: this is a folder: a file is needed here
        project.yaml: this is a symbolic link that leads nowhere or in a circle: mend or remove it
        loop: this is a symbolic link that leads nowhere or in a circle: mend or remove it
    "#]]
    .assert_eq(&found.concat());
}

#[cfg(unix)]
#[test]
fn a_file_that_is_none_is_not_waited_for() {
    let dir = folder(&[("project.yaml", b"")]);
    fs::create_dir(dir.path().join("cards")).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(dir.path().join("cards/10-a.md")).unwrap();
    expect![[r#"
        cards/10-a.md: this is no plain file: remove it, or put a plain file in its place
    "#]]
    .assert_eq(&listed(dir.path(), ProjectFiles::read(dir.path())));
}
