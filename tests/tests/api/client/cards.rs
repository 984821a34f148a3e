//! A project's files and an API's project: pushed, pulled, and nobody's change lost.

use std::{
    collections::BTreeMap,
    fs,
    io::{Read as _, Write as _},
    path::Path,
    process::{Command, Stdio},
};

use bedrock_diy_model_server::scripted::Script;
use serde_json::json;

use super::{failed, served, write};

const FACTS: &str = "---\n# Who acts.\ntitle: Facts\ntags: [facts]\n---\nExtract the facts.\nNo more.\n";
const HEADLINE: &str =
    "---\ntitle: Headline\nparameters: {temperature: 0.2}\n---\nFrom {{ stages.facts.output }}.\n";

fn magazine(folder: &Path) {
    write(
        folder,
        &[
            ("project.yaml", "id: magazine\nname: Magazine\n"),
            ("cards/10-facts.md", FACTS),
            ("cards/20-headline.md", HEADLINE),
        ],
    );
}

/// Every file of a project's folder.
fn files(folder: &Path) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    for folder in [folder.to_owned(), folder.join("cards")] {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_file() {
                let name = path.file_name().unwrap().to_string_lossy().into_owned();
                all.insert(name, fs::read_to_string(&path).unwrap());
            }
        }
    }
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn a_project_is_pushed_to_nothing_and_then_only_what_has_changed() {
    let (_model, _project, served, ada) = served(1, Script::default()).await;
    tokio::task::block_in_place(|| {
        magazine(&ada.folder("magazine"));
        let refused = failed(ada.ask(&["cards", "push", "magazine"]), 2);
        assert!(refused.contains("--yes"), "{refused}");
        let diff = ada.asked(&["cards", "diff", "magazine"]);
        assert!(
            diff.contains("project magazine: created") && diff.contains("+Extract the facts."),
            "{diff}"
        );
        assert_eq!(
            served.owner().get("/api/projects/magazine").status,
            404,
            "nothing was pushed yet"
        );

        ada.asked(&["cards", "push", "magazine", "--yes", "--note", "the first"]);
        let card = served
            .owner()
            .get("/api/projects/magazine/prompts/headline")
            .expect(200)
            .json();
        assert_eq!(card["content"], "From {{ stages.facts.output }}.");
        assert_eq!(card["settings"], json!({"parameters": {"temperature": 0.2}}));
        let again = ada.asked(&["cards", "push", "magazine"]);
        assert!(again.starts_with("Nothing to push"), "{again}");

        write(
            &ada.folder("magazine"),
            &[
                ("project.yaml", "id: magazine\nname: Weekly\nstatus: INACTIVE\n"),
                (
                    "cards/10-facts.md",
                    &FACTS
                        .replace("No more.", "And no more.")
                        .replace("Facts", "Who and what"),
                ),
                ("cards/30-post.md", "---\nisActive: false\n---\nWrite a post.\n"),
            ],
        );
        fs::remove_file(ada.folder("magazine/cards/20-headline.md")).unwrap();
        let diff = ada.asked(&["cards", "diff", "magazine"]);
        for line in [
            "project magazine: changed",
            "  name: \"Magazine\" → \"Weekly\"",
            "  status: \"ACTIVE\" → \"INACTIVE\"",
            "card facts: changed",
            "  title: \"Facts\" → \"Who and what\"",
            "  -No more.",
            "  +And no more.",
            "card post: created, inactive",
            "card headline: deleted",
            "order: facts, post",
        ] {
            assert!(
                diff.lines().any(|shown| shown == line),
                "{line} is not in\n{diff}"
            );
        }
        ada.asked(&["cards", "push", "magazine", "--yes"]);
        let project = served.owner().get("/api/projects/magazine").expect(200).json();
        assert_eq!(
            (&project["name"], &project["status"]),
            (&json!("Weekly"), &json!("INACTIVE"))
        );
        let cards = served
            .owner()
            .get("/api/projects/magazine/prompts")
            .expect(200)
            .json();
        assert_eq!(cards["items"].as_array().unwrap().len(), 2);
        let revisions = served
            .owner()
            .get("/api/projects/magazine/prompts/facts/revisions")
            .json();
        assert_eq!(
            (&revisions["items"][0]["revision"], &revisions["items"][1]["note"]),
            (&json!(2), &json!("the first"))
        );
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_editors_the_second_is_told_and_nothing_is_overwritten() {
    let (_model, _project, served, ada) = served(1, Script::default()).await;
    tokio::task::block_in_place(|| {
        magazine(&ada.folder("ada"));
        ada.asked(&["cards", "push", "ada", "--yes"]);
        ada.asked(&["cards", "pull", "grace", "--project", "magazine"]);

        write(
            &ada.folder("grace"),
            &[("cards/10-facts.md", &FACTS.replace("No more.", "Three at most."))],
        );
        ada.asked(&["cards", "push", "grace", "--yes"]);
        write(
            &ada.folder("ada"),
            &[("cards/10-facts.md", &FACTS.replace("No more.", "Five at most."))],
        );
        let told = failed(ada.ask(&["cards", "push", "ada", "--yes"]), 2);
        assert!(
            told.contains("somebody else has changed the card facts"),
            "{told}"
        );
        let facts = || {
            served
                .owner()
                .get("/api/projects/magazine/prompts/facts")
                .expect(200)
                .json()
        };
        assert_eq!(facts()["content"], "Extract the facts.\nThree at most.");
        // Her own change keeps the pull from writing over it, too.
        let told = failed(ada.ask(&["cards", "pull", "ada"]), 2);
        assert!(
            told.contains("10-facts.md") && told.contains("not pushed"),
            "{told}"
        );
        ada.asked(&["cards", "push", "ada", "--yes", "--force"]);
        assert_eq!(facts()["content"], "Extract the facts.\nFive at most.");

        // What was deleted there and not changed here goes with a pull; what is new there is left alone by a push.
        let card = json!({"promptId": "post", "title": "Post", "content": "Write a post.", "stepOrder": 30});
        let _ = served
            .owner()
            .post("/api/projects/magazine/prompts", &card)
            .expect(201);
        let told = failed(ada.ask(&["cards", "push", "ada", "--yes"]), 2);
        assert!(told.contains("somebody else has added the card post"), "{told}");
        ada.asked(&["cards", "pull", "ada"]);
        assert!(ada.folder("ada/cards/30-post.md").exists());
        let owner = served.owner();
        let gone = owner
            .call("DELETE", "/api/projects/magazine/prompts/post")
            .header("If-Match", "*");
        let _ = gone.send().expect(204);
        let pulled = ada.asked(&["cards", "pull", "ada"]);
        assert!(pulled.contains("removed ada/cards/30-post.md"), "{pulled}");
    });
}

/// Runs a program on a terminal of its own, which it is given in pieces.
const TERMINAL: &str = "import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))";

#[tokio::test(flavor = "multi_thread")]
async fn what_somebody_changes_while_the_question_is_asked_is_not_overwritten() {
    let (_model, _project, served, ada) = served(1, Script::default()).await;
    tokio::task::block_in_place(|| {
        magazine(&ada.folder("magazine"));
        ada.asked(&["cards", "push", "magazine", "--yes"]);
        write(
            &ada.folder("magazine"),
            &[("cards/10-facts.md", &FACTS.replace("No more.", "Three at most."))],
        );
        let url = served.url();
        let push = ada.command(&["cards", "push", "magazine", "--endpoint", &url]);
        let answered = |answer: &str, meanwhile: &dyn Fn()| {
            let mut terminal = Command::new("python3");
            terminal
                .args(["-c", TERMINAL])
                .arg(push.get_program())
                .args(push.get_args());
            terminal.current_dir(push.get_current_dir().unwrap());
            terminal.envs(push.get_envs().filter_map(|(name, value)| Some((name, value?))));
            let mut running = terminal
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()
                .unwrap();
            let (mut shown, mut piece) = (String::new(), [0; 1_024]);
            let out = running.stdout.as_mut().unwrap();
            while !shown.contains("[y/N]") {
                let read = out.read(&mut piece).unwrap();
                assert!(read > 0, "it did not ask: {shown}");
                shown += &String::from_utf8_lossy(&piece[..read]);
            }
            meanwhile();
            running
                .stdin
                .as_mut()
                .unwrap()
                .write_all(answer.as_bytes())
                .unwrap();
            out.read_to_end(&mut Vec::new()).unwrap();
            (shown, running.wait().unwrap().code())
        };
        let card = "/api/projects/magazine/prompts/facts";
        let content = || served.owner().get(card).expect(200).json()["content"].clone();
        let (shown, code) = answered("n\n", &|| {});
        assert!(shown.contains("+Three at most.") && code == Some(0), "{shown}");
        assert_eq!(content(), "Extract the facts.\nNo more.");
        let (_, code) = answered("y\n", &|| {
            let _ = served
                .owner()
                .change(card, &json!({"content": "Theirs."}))
                .expect(200);
        });
        assert_eq!((code, content()), (Some(2), json!("Theirs.")));
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_pulled_is_what_would_be_pushed() {
    let (_model, _project, served, ada) = served(1, Script::default()).await;
    tokio::task::block_in_place(|| {
        let owner = served.owner();
        let new = json!({
            "projectId": "magazine", "name": "Das \"Magazin\": 잡지", "description": "One.\nTwo: 2\n",
            "settings": {"model": "acme.v1", "timeoutSeconds": 9, "limits": {"costPerArticle": 0.5},
                         "parameters": {"maxTokens": 10, "stopSequences": ["END", "- x"]}},
        });
        let _ = owner.post("/api/projects", &new).expect(201);
        let schema = json!({
            "type": "object", "required": ["who"],
            "properties": {"who": {"type": "string", "enum": ["yes", "no", "1"]}, "$x y": {"type": ["null", "integer"]}},
        });
        let cards = [
            json!({"promptId": "facts", "title": "Facts: who?", "tags": ["a", "2026"], "content": "\n\n  ---\nOne.\r\nTwo.\n\n",
                   "settings": {"outputSchema": schema, "input": "article", "guardrail": {"id": "g", "version": "1"}}}),
            json!({"promptId": "old", "title": "Old", "content": "{{ stages.facts.output }}", "isActive": false}),
            json!({"promptId": "post", "title": "# Post", "content": "---\ntitle: no front matter\n---\n", "stepOrder": 7}),
        ];
        for card in &cards {
            let _ = owner.post("/api/projects/magazine/prompts", card).expect(201);
        }
        let pulled = ada.asked(&["cards", "pull", "magazine"]);
        assert!(pulled.contains("wrote magazine/cards/7-post.md"), "{pulled}");
        let before = files(&ada.folder("magazine"));
        let nothing = ada.asked(&["cards", "push", "magazine"]);
        assert!(nothing.starts_with("Nothing to push"), "{nothing}");
        let nothing = ada.asked(&["cards", "pull", "magazine"]);
        assert!(nothing.starts_with("Nothing to pull"), "{nothing}");
        assert_eq!(files(&ada.folder("magazine")), before);

        // Only what has changed is written, and its comments stay where only the prompt has.
        let path = ada.folder("magazine/cards/7-post.md");
        let commented = fs::read_to_string(&path)
            .unwrap()
            .replacen("---\n", "---\n# Short.\n", 1);
        fs::write(&path, commented).unwrap();
        let _ = owner
            .change(
                "/api/projects/magazine/prompts/post",
                &json!({"content": "Write a post."}),
            )
            .expect(200);
        let _ = owner
            .change("/api/projects/magazine/prompts/old", &json!({"stepOrder": 90}))
            .expect(200);
        let pulled = ada.asked(&["cards", "pull", "magazine"]);
        assert_eq!(pulled.lines().count(), 3, "{pulled}");
        let post = fs::read_to_string(&path).unwrap();
        assert!(
            post.contains("# Short.\n") && post.ends_with("---\nWrite a post.\n"),
            "{post}"
        );
        assert!(ada.folder("magazine/cards/90-old.md").exists());
        let nothing = ada.asked(&["cards", "push", "magazine"]);
        assert!(nothing.starts_with("Nothing to push"), "{nothing}");
    });
}
