//! Projects and prompt cards: every fault at once, nobody's change lost, and the way back.

use bedrock_diy_model_server::scripted::Script;
use bedrock_diy_tests::{Client, Program, Project, ScriptedServer, Served};
use proptest::{
    prelude::*,
    test_runner::{Config, TestRunner},
};
use serde_json::{Value, json};

async fn served(cards: usize) -> (ScriptedServer, Project, Served) {
    let model = ScriptedServer::start(Script::default()).await;
    let project = Project::with_cards(cards);
    let program = Program::new(&project.data(), &model.url());
    let served = Served::start(&project, &program);
    (model, project, served)
}

fn ids(list: &Value) -> Vec<String> {
    let items = list["items"].as_array().unwrap();
    items
        .iter()
        .map(|item| item["promptId"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_that_is_wrong_is_said_at_once_with_its_place() {
    let (_model, _project, served) = served(1).await;
    tokio::task::block_in_place(|| {
        let ada = served.owner();
        let unfit = json!({"title": 7, "content": "", "settings": {"timeoutSeconds": 0, "temperatur": 1}});
        let answer = ada.post("/api/projects/news/prompts", &unfit).expect(422).json();
        let places: Vec<_> = answer["faults"]
            .as_array()
            .unwrap()
            .iter()
            .map(|fault| &fault["field"])
            .collect();
        assert!(
            places.contains(&&json!("/title")) && places.contains(&&json!("/content")),
            "{answer}"
        );
        assert!(
            places.contains(&&json!("/settings/timeoutSeconds")) && places.contains(&&json!("/settings")),
            "{answer}"
        );

        let senseless = json!({
            "title": " ", "content": "{{ articel }}", "settings": {"outputSchema": {"type": 7}},
        });
        let answer = ada
            .post("/api/projects/news/prompts", &senseless)
            .expect(422)
            .json();
        let places: Vec<_> = answer["faults"]
            .as_array()
            .unwrap()
            .iter()
            .map(|fault| &fault["field"])
            .collect();
        assert_eq!(
            places,
            ["/title", "/content", "/settings/outputSchema", "/promptId"],
            "{answer}"
        );
        assert!(answer["requestId"].is_string() && answer["instance"] == "/api/projects/news/prompts");

        let malformed = ada
            .call("POST", "/api/projects")
            .body("application/json", "{\"name\": ")
            .send();
        assert_eq!(
            (malformed.status, malformed.code().as_str()),
            (400, "InvalidRequest")
        );
        let text = ada
            .call("POST", "/api/projects")
            .body("text/plain", "News")
            .send();
        assert_eq!(text.status, 415);
        let large = json!({"name": "a".repeat(2_000_000)});
        let large = ada
            .call("POST", "/api/projects")
            .header("Expect", "100-continue")
            .json(&large)
            .send();
        assert_eq!(large.status, 413);
        assert_eq!(
            ada.call("PUT", "/api/projects")
                .send()
                .expect(405)
                .header("allow")
                .as_deref(),
            Some("GET,HEAD,POST")
        );
        let typo = ada
            .get("/api/projects/news/jobs?stauts=FAILED")
            .expect(400)
            .json();
        assert!(typo["detail"].as_str().unwrap().contains("stauts"), "{typo}");
        assert_eq!(ada.get("/api/nothing").expect(404).code(), "NotFound");
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_editors_one_is_told_and_nothing_is_lost() {
    let (_model, _project, served) = served(1).await;
    tokio::task::block_in_place(|| {
        let ada = served.owner();
        let card = "/api/projects/news/prompts/step-1";
        let etag = ada.get(card).expect(200).header("etag").unwrap();
        let change = |content: &str, etag: &str| {
            let body = json!({"content": content, "note": "as we said"});
            ada.call("PATCH", card)
                .header("If-Match", etag)
                .json(&body)
                .send()
        };
        assert_eq!(
            ada.call("PATCH", card)
                .json(&json!({"content": "x"}))
                .send()
                .expect(428)
                .code(),
            "PreconditionRequired"
        );
        let first = change("Do it well.", &etag).expect(200);
        let second = change("Do it better.", &etag).expect(412);
        assert_eq!(
            second.header("etag"),
            first.header("etag"),
            "it says which version there is now"
        );
        let second = change("Do it better.", &second.header("etag").unwrap())
            .expect(200)
            .json();
        assert_eq!(second["revision"], 3);

        let revisions = ada.get(&format!("{card}/revisions")).expect(200).json();
        let contents: Vec<_> = revisions["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|saved| &saved["content"])
            .collect();
        assert_eq!(contents, ["Do it better.", "Do it well.", "Do step 1."]);
        assert_eq!(revisions["items"][0]["author"], "local");
        let diff = ada
            .get(&format!("{card}/revisions/3/diff?against=1"))
            .expect(200)
            .json();
        assert!(
            diff["content"].as_str().unwrap().contains("-Do step 1.\n"),
            "{diff}"
        );

        let etag = ada.get(card).header("etag").unwrap();
        let back = ada
            .call("POST", &format!("{card}:rollback"))
            .header("If-Match", &etag);
        let back = back.json(&json!({"revision": 1})).send().expect(200).json();
        assert_eq!(
            (&back["revision"], &back["content"]),
            (&json!(4), &json!("Do step 1."))
        );
        let same = ada
            .change(card, &json!({"content": "Do step 1."}))
            .expect(200)
            .json();
        assert_eq!(same["revision"], 4, "what changes nothing is no revision");
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_project_and_a_card_are_made_changed_and_deleted() {
    let (_model, _project, served) = served(1).await;
    tokio::task::block_in_place(|| {
        let ada = served.owner();
        let made = ada
            .post("/api/projects", &json!({"name": "Morning News"}))
            .expect(201);
        let at = made.header("location").unwrap();
        assert_eq!(at, "/api/projects/morning-news");
        assert_eq!(
            ada.post("/api/projects", &json!({"name": "Morning News"}))
                .expect(409)
                .code(),
            "Conflict"
        );
        let card = json!({"title": "Facts", "content": "Extract the facts."});
        let _ = ada.post(&format!("{at}/prompts"), &card).expect(201);
        let card = json!({"title": "Headline", "content": "From {{ stages.facts.output }}."});
        let _ = ada.post(&format!("{at}/prompts"), &card).expect(201);
        assert_eq!(
            ids(&ada.get(&format!("{at}/prompts")).json()),
            ["facts", "headline"]
        );

        let facts = format!("{at}/prompts/facts");
        let gone = |path: &str| ada.call("DELETE", path).header("If-Match", "*").send();
        assert!(
            gone(&facts).expect(409).text().contains("headline"),
            "it is used there"
        );
        let _ = ada
            .change(
                &format!("{at}/prompts/headline"),
                &json!({"content": "Write one."}),
            )
            .expect(200);
        let _ = gone(&facts).expect(204);
        let _ = ada.get(&facts).expect(404);
        let again = json!({"title": "Facts", "content": "Extract names."});
        let again = ada.post(&format!("{at}/prompts"), &again).expect(201).json();
        assert_eq!(again["revision"], 2, "a deleted card's revisions are kept");

        let off = ada.change(&at, &json!({"status": "INACTIVE"})).expect(200).json();
        assert_eq!(off["status"], "INACTIVE");
        let article = ada.post(&format!("{at}/articles"), &json!({"text": "The bridge opens."}));
        assert_eq!(article.expect(409).code(), "ProjectInactive");
        let _ = gone(&at).expect(204);
        let _ = ada.get(&at).expect(404);
        let listed = ada.get("/api/projects").json();
        assert!(!listed.to_string().contains("morning-news"), "{listed}");
        assert_eq!(
            ada.post("/api/projects", &json!({"name": "Morning News"})).status,
            409,
            "ids are not used twice"
        );
    });
}

/// What two people do to the cards of a project at once.
#[derive(Debug, Clone)]
enum Deed {
    Reorder(Vec<usize>),
    Delete(usize),
    Create(usize),
}

fn deeds() -> impl Strategy<Value = Vec<Deed>> {
    let deed = prop_oneof![
        Just((0..5).collect::<Vec<_>>())
            .prop_shuffle()
            .prop_map(Deed::Reorder),
        (0..5_usize).prop_map(Deed::Delete),
        (0..5_usize).prop_map(Deed::Create),
    ];
    prop::collection::vec(deed, 2..8)
}

fn name(card: usize) -> String {
    format!("card-{card}")
}

/// Does it as a careful client would: with what it has just read.
fn act(client: &Client, at: &str, deed: &Deed) -> bool {
    match deed {
        Deed::Reorder(order) => {
            let there = ids(&client.get(&format!("{at}/prompts")).json());
            let order: Vec<_> = order
                .iter()
                .map(|card| name(*card))
                .filter(|name| there.contains(name))
                .collect();
            let answer = client.post(&format!("{at}/prompts:reorder"), &json!({"order": order}));
            assert!([200, 409].contains(&answer.status), "{}", answer.text());
            answer.status == 200
        }
        Deed::Delete(card) => {
            let path = format!("{at}/prompts/{}", name(*card));
            let Some(etag) = client.get(&path).header("etag") else {
                return false;
            };
            let answer = client.call("DELETE", &path).header("If-Match", &etag).send();
            assert!([204, 404, 412].contains(&answer.status), "{}", answer.text());
            answer.status == 204
        }
        Deed::Create(card) => {
            let new = json!({"promptId": name(*card), "title": "Card", "content": "Do it."});
            let answer = client.post(&format!("{at}/prompts"), &new);
            assert!([201, 409].contains(&answer.status), "{}", answer.text());
            answer.status == 201
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_and_a_deletion_at_once_leave_a_project_that_makes_sense() {
    let (_model, _project, served) = served(1).await;
    tokio::task::block_in_place(|| {
        let ada = served.owner();
        let mut runner = TestRunner::new(Config::with_cases(24));
        let numbers = std::cell::Cell::new(0);
        let both = runner.run(&(deeds(), deeds()), |(ones, others)| {
            let number = numbers.get() + 1;
            numbers.set(number);
            let at = format!("/api/projects/order-{number}");
            let new = json!({"projectId": format!("order-{number}"), "name": "Order"});
            let _ = ada.post("/api/projects", &new).expect(201);
            for card in 0..5 {
                assert!(act(&ada, &at, &Deed::Create(card)));
            }
            let counts = std::thread::scope(|scope| {
                let run = |deeds: Vec<Deed>| {
                    let (ada, at) = (&ada, &at);
                    scope.spawn(move || {
                        let mut cards = 0_i32;
                        for deed in &deeds {
                            let done = i32::from(act(ada, at, deed));
                            match deed {
                                Deed::Create(_) => cards += done,
                                Deed::Delete(_) => cards -= done,
                                Deed::Reorder(_) => {}
                            }
                        }
                        cards
                    })
                };
                [run(ones), run(others)].map(|thread| thread.join().unwrap())
            });
            let listed = ada.get(&format!("{at}/prompts")).expect(200).json();
            let there = ids(&listed);
            // Every deed that was said to be done is done, once; and each card has its place.
            prop_assert_eq!(i32::try_from(there.len()).unwrap(), 5 + counts[0] + counts[1]);
            let mut places: Vec<_> = listed["items"]
                .as_array()
                .unwrap()
                .iter()
                .map(|card| card["stepOrder"].as_u64().unwrap())
                .collect();
            let sorted = places.clone();
            places.sort_unstable();
            prop_assert_eq!(&sorted, &places);
            Ok(())
        });
        both.unwrap();
    });
}
