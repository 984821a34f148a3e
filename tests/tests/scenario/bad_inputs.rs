//! Bad input gets a clear error of its own, and the batch goes on.

use std::{io::Write as _, os::unix::fs::PermissionsExt as _};

use bedrock_diy_model_server::scripted::{Reply, Rule, Script};
use bedrock_diy_tests::{Program, Project, ScriptedServer};
use rand::{RngExt as _, SeedableRng as _};

/// A file name, what is in it, and the code and a part of the sentence that it must fail with.
struct Bad {
    name: &'static str,
    bytes: Vec<u8>,
    code: &'static str,
    says: &'static str,
}

fn bad(name: &'static str, bytes: impl Into<Vec<u8>>, code: &'static str, says: &'static str) -> Bad {
    Bad {
        name,
        bytes: bytes.into(),
        code,
        says,
    }
}

fn random_bytes() -> Vec<u8> {
    let mut random = rand::rngs::SmallRng::seed_from_u64(7);
    (0..20_000).map(|_| random.random()).collect()
}

/// A PDF of one page with this content stream.
fn pdf(content: &str, trailer: &str) -> Vec<u8> {
    let objects = [
        "<< /Type /Catalog /Pages 2 0 R >>".to_owned(),
        "<< /Type /Pages /Kids [3 0 R] /Count 1 >>".to_owned(),
        "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R \
         /Resources << /Font << /F1 << /Type /Font /Subtype /Type1 /BaseFont /Helvetica >> >> >> >>"
            .to_owned(),
        format!("<< /Length {} >>\nstream\n{content}\nendstream", content.len()),
    ];
    let mut file = "%PDF-1.7\n".to_owned();
    let mut offsets = Vec::new();
    for (index, object) in objects.iter().enumerate() {
        offsets.push(file.len());
        file += &format!("{} 0 obj\n{object}\nendobj\n", index + 1);
    }
    let table = file.len();
    file += "xref\n0 5\n0000000000 65535 f \n";
    for offset in offsets {
        file += &format!("{offset:010} 00000 n \n");
    }
    file += &format!("trailer\n<< /Size 5 /Root 1 0 R {trailer} >>\nstartxref\n{table}\n%%EOF\n");
    file.into_bytes()
}

/// A docx whose document inflates to this text.
fn docx(document: &str) -> Vec<u8> {
    let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let options =
        zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Deflated);
    for (name, text) in [
        (
            "[Content_Types].xml",
            "<Types xmlns=\"http://schemas.openxmlformats.org/package/2006/content-types\"/>",
        ),
        ("word/document.xml", document),
    ] {
        archive.start_file(name, options).unwrap();
        archive.write_all(text.as_bytes()).unwrap();
    }
    archive.finish().unwrap().into_inner()
}

fn bad_articles() -> Vec<Bad> {
    let whole = pdf("BT /F1 12 Tf 72 700 Td (The bridge opens on Monday.) Tj ET", "");
    let encrypted = pdf(
        "BT ET",
        "/ID [<00112233445566778899aabbccddeeff> <00112233445566778899aabbccddeeff>] \
         /Encrypt << /Filter /Standard /V 1 /R 2 /P -44 \
         /O <28bf4e5e4e758a4164004e56fffa01082e2e00b6d0683e802f0ca9fe6453697a> \
         /U <0000000000000000000000000000000000000000000000000000000000000000> >>",
    );
    let paragraph = format!("<w:p><w:r><w:t>{}</w:t></w:r></w:p>", "bomb ".repeat(200));
    let bomb = format!(
        "<w:document xmlns:w=\"http://schemas.openxmlformats.org/wordprocessingml/2006/main\"><w:body>{}</w:body></w:document>",
        paragraph.repeat(60_000)
    );
    vec![
        bad("empty.txt", "", "UnreadableArticle", "no text"),
        bad("blank.md", " \n\t\n ", "UnreadableArticle", "no text"),
        bad("random.txt", random_bytes(), "UnreadableArticle", "binary"),
        bad(
            "truncated.pdf",
            &whole[..whole.len() / 3],
            "UnreadableArticle",
            "",
        ),
        bad("encrypted.pdf", encrypted, "UnreadableArticle", "password"),
        bad(
            "scanned.pdf",
            pdf("q 612 0 0 792 0 0 cm Q", ""),
            "UnreadableArticle",
            "",
        ),
        bad(
            "corrupt.docx",
            docx("<w:document><w:body><w:p>")[..200].to_vec(),
            "UnreadableArticle",
            "",
        ),
        bad("bomb.docx", docx(&bomb), "ArticleTooLarge", ""),
        bad(
            "wrong-encoding.txt",
            b"\xff\xfe\x00\xd8\x00\xd8 broken".as_slice(),
            "UnreadableArticle",
            "",
        ),
        bad(
            "picture.jpg",
            b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01".as_slice(),
            "UnsupportedFormat",
            "docx",
        ),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn every_bad_article_fails_alone_with_its_code_and_a_sentence() {
    let model = ScriptedServer::start(Script::default()).await;
    let project = Project::with_cards(1);
    let articles = bad_articles();
    for bad in &articles {
        project.article(bad.name, &bad.bytes);
    }
    let folder = project.articles();
    // A file of 200 MB that takes no room on the disk.
    std::fs::File::create(folder.join("huge.txt"))
        .unwrap()
        .set_len(200_000_000)
        .unwrap();
    std::os::unix::fs::symlink("nowhere", folder.join("broken-link.txt")).unwrap();
    project.article("good.txt", b"The bridge opens.");
    let ended = Program::new(&project.data(), &model.url()).run(project.run(4));

    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    let results = project.results();
    let expect = |name: &str, code: &str, says: &str| {
        let row = &results[name];
        let message = row["error"]["message"].as_str().unwrap_or_default();
        assert_eq!(row["error"]["code"], code, "{name}: {message}");
        assert!(message.contains(says), "{name}: {message}");
        assert!(message.ends_with('.') && message.len() > 30, "{name}: {message}");
    };
    for bad in &articles {
        expect(bad.name, bad.code, bad.says);
    }
    expect("huge.txt", "ArticleTooLarge", "200000000 bytes");
    expect("broken-link.txt", "ArticleNotFound", "link");
    assert_eq!(results["good.txt"]["status"], "SUCCEEDED");
    assert_eq!(model.calls(), 1, "nothing was paid for what can't be read");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_may_not_be_read_fails_alone() {
    let model = ScriptedServer::start(Script::default()).await;
    let project = Project::with_cards(1);
    project.article("locked.txt", b"The bridge opens.");
    project.article("good.txt", b"The bridge opens.");
    let locked = project.articles().join("locked.txt");
    std::fs::set_permissions(&locked, std::fs::Permissions::from_mode(0o000)).unwrap();
    // The system's administrator may read everything: there is nothing to see then.
    let readable = std::fs::read(&locked).is_ok();
    let ended = Program::new(&project.data(), &model.url()).run(project.run(4));
    let results = project.results();
    assert_eq!(results["good.txt"]["status"], "SUCCEEDED");
    if readable {
        assert_eq!(ended.code, Some(0));
    } else {
        assert_eq!(results["locked.txt"]["error"]["code"], "UnreadableArticle");
        assert_eq!(ended.code, Some(1));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn strange_names_are_names_like_any_other() {
    let model = ScriptedServer::start(Script::default().rule(Rule::reply(Reply::text("done")))).await;
    let project = Project::with_cards(1);
    let longest = format!("{}.txt", "가".repeat(83));
    assert_eq!(longest.len(), 253);
    let names = [
        "a b.txt",
        "a+b%20c.txt",
        "기사 📰.txt",
        "-rf.txt",
        "=cmd.txt",
        "tab\tname.txt",
        &longest,
        "sub/same.txt",
        "other/same.txt",
    ];
    for name in names {
        project.article(name, b"The bridge opens.");
    }
    let ended = Program::new(&project.data(), &model.url()).run(project.run(4));
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let results = project.results();
    for name in names {
        assert_eq!(results[name]["status"], "SUCCEEDED", "{name}");
    }
    let escaped = project.out().parent().unwrap().join("txt");
    assert!(!escaped.exists(), "nothing is written outside of the results");
    let folders = std::fs::read_dir(project.out().join("articles")).unwrap().count();
    assert_eq!(folders, results.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_project_is_refused_before_anything_runs() {
    let model = ScriptedServer::start(Script::default()).await;
    let cases: [(&str, &str, &str); 6] = [
        ("cards/10-step-1.md", "---\ntitle: A\n---\n", "cards/10-step-1.md"),
        (
            "cards/10-step-1.md",
            "---\ntitle: A\n---\nUse {{ artcle }}.\n",
            "cards/10-step-1.md:4",
        ),
        (
            "cards/10-step-1.md",
            "---\ntitle: A\noutputSchema: {type: strin}\n---\nDo.\n",
            "cards/10-step-1.md",
        ),
        (
            "cards/10-step-1.md",
            "---\ntitle: A\nisActive: false\n---\nDo.\n",
            "active",
        ),
        ("project.yaml", "id: news\nsetings: {}\n", "project.yaml:2"),
        ("project.yaml", "id: news\nstatus: INACTIVE\n", "inactive"),
    ];
    for (file, text, says) in cases {
        let project = Project::with_cards(1);
        project.small_articles(1);
        project.write(file, text);
        let ended = Program::new(&project.data(), &model.url()).run(project.run(1));
        assert_eq!(ended.code, Some(2), "{file}: {}", ended.stderr);
        assert!(ended.stderr.contains(says), "{file}: {}", ended.stderr);
    }
    assert_eq!(model.calls(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_model_fails_with_what_to_do() {
    let model = ScriptedServer::start(Script::default().models(["other.*"])).await;
    let project = Project::with_cards(1);
    project.small_articles(1);
    let ended = Program::new(&project.data(), &model.url()).run(project.run(1));
    assert_eq!(ended.code, Some(1));
    let row = &project.results()["00000.txt"];
    assert_eq!(row["error"]["code"], "ModelNotFound");
    assert!(
        row["error"]["message"]
            .as_str()
            .unwrap()
            .contains("inference profile"),
        "{row}"
    );
}
