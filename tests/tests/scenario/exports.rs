//! Results as tables: what columns they have, and that other programs read them.

use std::{path::Path, process::Command};

use bedrock_diy_model_server::{
    StopReason,
    scripted::{Reply, Rule, Script},
};
use bedrock_diy_tests::{Ended, Left, Program, Project, ScriptedServer};
use serde_json::{Value, json};

const FACTS: &str =
    "outputSchema: {type: object, properties: {who: {type: string}, score: {type: number}}}\n";

/// Facts as JSON, and a summary that a spreadsheet would run.
fn answers() -> Script {
    Script::default()
        .rule(
            Rule::reply(Reply::json(json!({"score": -1.5, "who": "김 先生"}))).system_contains("Do step 1."),
        )
        .rule(Rule::reply(Reply::text("=HYPERLINK(\"요약, 摘要\")")).system_contains("Do step 2."))
        .rule(Rule::reply(Reply::json(json!({"when": ["today"]}))).system_contains("Do step 1, anew."))
        .rule(Rule::reply(Reply::text("a headline")))
}

fn export(program: &Program, more: &str) -> Ended {
    program.run(format!("results export --project news {more}").trim().split(' '))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_has_a_column_for_each_card_that_ran_and_each_field_of_its_answers() {
    let model = ScriptedServer::start(answers()).await;
    let project = Project::with_cards(2);
    project.card(1, FACTS, "Do step 1.");
    project.small_articles(1);
    let program = Program::new(&project.data(), &model.url());
    assert_eq!(program.run(project.run(1)).code, Some(0));
    let run = std::fs::read_to_string(project.out().join("results.csv")).unwrap();
    let head = "\u{feff}article,status,error,message,step-1,step-1.who,step-1.score,step-2,tokens,cost,jobId";
    assert_eq!(run.lines().next(), Some(head));
    let exported = export(&program, "").stdout;
    assert_eq!(exported, run, "one job, one table");
    assert!(
        exported.contains("\"'=HYPERLINK(\"\"요약, 摘要\"\")\""),
        "{exported}"
    );
    assert!(exported.contains(",김 先生,-1.5,"), "{exported}");

    // The first card answers in another shape, the second one is gone, and there is a third.
    let schema = "outputSchema: {type: object, properties: {when: {type: array}, who: {type: string}}}\n";
    project.card(1, schema, "Do step 1, anew.");
    std::fs::remove_file(project.dir().join("cards/20-step-2.md")).unwrap();
    project.card(3, "", "Do step 3.");
    assert_eq!(program.run(project.run(1)).code, Some(0));
    let exported = export(&program, "").stdout;
    let lines: Vec<_> = exported.lines().collect();
    assert_eq!(
        lines[0],
        "\u{feff}article,status,error,message,step-1,step-1.when,step-1.who,step-1.score,step-2,step-3,\
         tokens,cost,jobId"
    );
    assert!(
        lines[1].contains(",\"[\"\"today\"\"]\",,,,a headline,"),
        "{}",
        lines[1]
    );
    assert!(lines[2].contains(",,김 先生,-1.5,\"'=HYPERLINK("), "{}", lines[2]);
    assert_eq!(lines.len(), 3);
}

/// What `pyarrow` finds in a Parquet file: its columns with their types, and its rows.
fn read_by_pyarrow(file: &Path) -> Value {
    const READ: &str = "
import json, sys
import pyarrow.parquet
table = pyarrow.parquet.read_table(sys.argv[1])
columns = [[field.name, str(field.type)] for field in table.schema]
print(json.dumps({'columns': columns, 'rows': table.to_pylist()}))
";
    // `cargo verify` sets it: the folder with the programs of tools.txt.
    let tools = std::env::var_os("BEDROCK_DIY_TOOLS").unwrap();
    let output = Command::new(Path::new(&tools).join("python3"))
        .args(["-c", READ])
        .arg(file)
        .output()
        .unwrap();
    let ended = Ended::from(output);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    serde_json::from_str(&ended.stdout).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_parquet_table_is_read_by_pyarrow() {
    let model = ScriptedServer::start(answers()).await;
    let project = Project::with_cards(2);
    project.card(1, FACTS, "Do step 1.");
    project.small_articles(3);
    project.article("기사 文章.txt", b"");
    let program = Program::new(&project.data(), &model.url());
    assert_eq!(
        program.run(project.run(4)).code,
        Some(1),
        "an empty article fails"
    );
    let file = project.out().join("results.parquet");
    let exported = export(&program, &format!("--format parquet --out {}", file.display()));
    assert_eq!(exported.code, Some(0), "{}", exported.stderr);

    let read = read_by_pyarrow(&file);
    assert_eq!(
        read["columns"],
        json!([
            ["article", "string"],
            ["status", "string"],
            ["error", "string"],
            ["message", "string"],
            ["step-1", "string"],
            ["step-1.who", "string"],
            ["step-1.score", "string"],
            ["step-2", "string"],
            ["tokens", "int64"],
            ["cost", "double"],
            ["jobId", "string"],
        ])
    );
    let rows = read["rows"].as_array().unwrap();
    let said = project.results();
    assert_eq!((rows.len(), said.len()), (4, 4));
    for row in rows {
        let said = &said[row["article"].as_str().unwrap()];
        for column in ["status", "jobId", "tokens", "cost"] {
            assert_eq!(row[column], said[column], "{column}");
        }
        if said["status"] == "SUCCEEDED" {
            assert_eq!(row["step-1.who"], "김 先生");
            assert_eq!(row["step-1.score"], "-1.5");
            assert_eq!(row["step-2"], "=HYPERLINK(\"요약, 摘要\")", "as it is");
            assert_eq!(row["error"], Value::Null);
        } else {
            assert_eq!(row["article"], "기사 文章.txt");
            assert_eq!(row["error"], said["error"]["code"]);
            assert_eq!(row["step-1"], Value::Null);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_article_that_was_tried_again_in_a_later_run_is_told_in_the_first_ones_table() {
    let truncated = Rule::reply(Reply::text("half").stop_reason(StopReason::MaxTokens));
    let script = Script::default().rule(truncated.user_contains("Article 1 "));
    let model = ScriptedServer::start(script).await;
    let project = Project::with_cards(1);
    project.small_articles(2);
    let program = Program::new(&project.data(), &model.url());
    assert_eq!(program.run(project.run(2)).code, Some(1));
    let batch = Left::open(&project.data()).jobs()[0].batch.clone();
    model.set_script(Script::default());
    assert_eq!(program.run(project.run(2)).code, Some(0));

    let rows = |table: Ended| {
        let lines = table
            .stdout
            .lines()
            .map(|line| serde_json::from_str(line).unwrap());
        let mut rows: Vec<_> = lines.map(|row: Value| row["status"].to_string()).collect();
        rows.sort();
        rows
    };
    let of_first = rows(export(&program, &format!("--format jsonl --batch {batch}")));
    assert_eq!(of_first, ["\"SUCCEEDED\"", "\"SUCCEEDED\""]);
    let of_all = rows(export(&program, "--format jsonl"));
    assert_eq!(of_all, ["\"SUCCEEDED\"", "\"SUCCEEDED\""], "each article once");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_articles_folder_holds_what_came_out_of_this_run_alone() {
    let model = ScriptedServer::start(Script::default()).await;
    let project = Project::with_cards(2);
    project.small_articles(1);
    let program = Program::new(&project.data(), &model.url());
    assert_eq!(program.run(project.run(1)).code, Some(0));
    let folder = project.out().join("articles/00000.txt");
    std::fs::write(folder.join("notes.txt"), "somebody's own").unwrap();
    std::fs::remove_file(project.dir().join("cards/20-step-2.md")).unwrap();
    project.card(3, "", "Do step 3.");
    assert_eq!(program.run(project.run(1)).code, Some(0));
    let mut names: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, ["1-step-1.txt", "2-step-3.txt", "notes.txt"]);
}
