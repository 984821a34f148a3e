//! A connection that stays open: asked by messages, and told what it follows.

mod many;

use std::{io, net::TcpStream, time::Duration};

use bedrock_diy_model_server::scripted::{Reply, Rule, Script};
use bedrock_diy_tests::{Heard, Program, Project, ScriptedServer, Served, Socket, everybody::hears_the_same};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use serde_json::{Value, json};

async fn served(script: Script) -> (ScriptedServer, Project, Served) {
    let model = ScriptedServer::start(script).await;
    let project = Project::with_cards(2);
    let served = Served::start(&project, &Program::new(&project.data(), &model.url()));
    (model, project, served)
}

fn submission(follow: bool) -> Value {
    json!({"type": "submit", "projectId": "news", "follow": follow, "article": {"text": "The bridge opens."}})
}

fn stored(served: &Served, job: &str) -> Heard {
    let ada = served.owner();
    let _ = ada.ended(&format!("/api/jobs/{job}"));
    let page = ada.get(&format!("/api/jobs/{job}/events")).expect(200).json();
    Heard::of(page["items"].as_array().unwrap().clone())
}

fn id(reply: &Value) -> String {
    let id = reply["job"]["jobId"].as_str();
    assert!(id.is_some(), "{reply}");
    id.unwrap_or_default().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_article_is_submitted_and_followed_over_one_connection() {
    let reply = Reply::text("Die Brücke öffnet, 다리가 열린다.").latency(300, 10.0);
    let (_model, _project, served) = served(Script::default().rule(Rule::reply(reply))).await;
    tokio::task::block_in_place(|| {
        let mut socket = served.socket();
        let submitted = socket.ask(submission(true));
        assert_eq!(
            (&submitted["type"], &submitted["isReplay"]),
            (&json!("submitted"), &json!(false))
        );
        let mut heard = Heard::default();
        socket.hear(&mut heard, usize::MAX);
        let late = stored(&served, &id(&submitted));
        assert_eq!((&heard.events, &heard.answers), (&late.events, &late.answers));
        assert_eq!(heard.texts(), ["Die Brücke öffnet, 다리가 열린다."; 2]);
        assert_eq!(
            socket.ask(json!({"type": "ping"})),
            json!({"requestId": "r2", "type": "pong"})
        );
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn however_a_job_is_followed_it_is_the_same() {
    let answer = "Die Brücke öffnet, 다리가 열린다, 桥开了, said the council \u{1f309}. ".repeat(10);
    let reply = Reply::text(answer.trim_end()).chunks(100).latency(50, 5.0);
    let model = ScriptedServer::start(Script::default().rule(Rule::reply(reply))).await;
    let project = Project::with_cards(2);
    let program = Program::new(&project.data(), &model.url());
    let served = Served::start_with(&project, &program, &["--webhooks-to-this-machine"]);
    tokio::task::block_in_place(|| {
        let heard = hears_the_same(&served.owner(), &served.socket_url(), "news", "The bridge opens.");
        assert_eq!(heard.texts(), [answer.trim_end(); 2]);
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn wherever_a_connection_is_cut_the_next_goes_on() {
    let answer = "Die Brücke öffnet, 다리가 열린다, 桥开了, said the council \u{1f309}. ".repeat(40);
    let reply = Reply::text(answer.trim_end()).chunks(300).latency(50, 2.0);
    let (model, _project, served) = served(Script::default().rule(Rule::reply(reply))).await;
    tokio::task::block_in_place(|| {
        let random = &mut StdRng::seed_from_u64(5);
        let (mut jobs, mut cuts) = (0, 0);
        // Who comes again slowly finds much at once: then one job is not enough.
        while cuts <= 100 {
            jobs += 1;
            let mut socket = served.socket();
            let mut submission = submission(true);
            submission["article"]["fresh"] = json!(true);
            let job = id(&socket.ask(submission));
            let mut heard = Heard::default();
            loop {
                socket.hear(&mut heard, random.random_range(1..=4));
                if heard.has_ended() {
                    break;
                }
                socket = served.socket();
                let follow = json!({"type": "follow", "jobId": job, "after": heard.last});
                assert_eq!(socket.ask(follow)["type"], "following");
                cuts += 1;
            }
            assert_eq!(heard.texts(), [answer.trim_end(); 2]);
            let late = stored(&served, &job);
            assert_eq!((&heard.events, &heard.answers), (&late.events, &late.answers));
        }
        assert_eq!(model.calls(), 2 * jobs);
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_is_cancelled_and_whoever_follows_it_hears_that() {
    let (_model, _project, served) = served(Script::default().rule(Rule::hang())).await;
    tokio::task::block_in_place(|| {
        let mut socket = served.socket();
        let job = id(&socket.ask(submission(true)));
        let cancelled = socket.ask(json!({"type": "cancel", "jobId": job}));
        assert_eq!(
            (&cancelled["type"], &cancelled["job"]["status"]),
            (&json!("cancelled"), &json!("CANCELLED"))
        );
        let mut heard = Heard::default();
        socket.hear(&mut heard, usize::MAX);
        assert_eq!(heard.types().last(), Some(&"job.cancelled"));
        // Of what has ended there is nothing more to hear.
        let follow = json!({"type": "follow", "jobId": job, "after": heard.last});
        assert_eq!(socket.ask(follow)["type"], "following");
        assert_eq!(socket.ask(json!({"type": "ping"}))["type"], "pong");
        assert_eq!(socket.kept(), 0);
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn what_makes_no_sense_is_refused_and_the_connection_goes_on() {
    let (_model, _project, served) = served(Script::default().rule(Rule::hang())).await;
    tokio::task::block_in_place(|| {
        let mut socket = served.socket();
        let nowhere = "01ARZ3NDEKTSV4RRFFQ69G5FAV";
        for (message, status, code) in [
            (json!({"type": "dance"}), 422, "InvalidRequest"),
            (json!({}), 422, "InvalidRequest"),
            (json!({"type": "follow"}), 400, "InvalidRequest"),
            (
                json!({"type": "follow", "jobId": nowhere, "projectId": "news"}),
                400,
                "InvalidRequest",
            ),
            (
                json!({"type": "follow", "jobId": nowhere, "after": "x"}),
                400,
                "InvalidRequest",
            ),
            (
                json!({"type": "follow", "projectId": "news", "after": "-1"}),
                400,
                "InvalidRequest",
            ),
            (json!({"type": "follow", "jobId": nowhere}), 404, "NotFound"),
            (
                json!({"type": "follow", "projectId": "elsewhere"}),
                404,
                "ProjectNotFound",
            ),
            (json!({"type": "cancel", "jobId": nowhere}), 404, "NotFound"),
            (
                json!({"type": "submit", "projectId": "news"}),
                422,
                "InvalidRequest",
            ),
            (
                json!({"type": "submit", "projectId": "news", "article": {"text": ""}}),
                422,
                "InvalidRequest",
            ),
            (
                json!({"type": "submit", "projectId": "elsewhere", "article": {"text": "x"}}),
                404,
                "ProjectNotFound",
            ),
        ] {
            let reply = socket.ask(message.clone());
            assert_eq!(reply["type"], "problem", "{message}: {reply}");
            assert_eq!(
                (&reply["problem"]["status"], &reply["problem"]["code"]),
                (&json!(status), &json!(code)),
                "{message}: {reply}"
            );
        }
        socket.send("no JSON");
        let reply = socket.pushed();
        assert_eq!(
            (&reply["type"], &reply["problem"]["status"]),
            (&json!("problem"), &json!(400))
        );
        assert_eq!(socket.ask(json!({"type": "ping"}))["type"], "pong");

        let eve = served.somebody("eve", "editor");
        let job = id(&socket.ask(submission(false)));
        let mut hers = eve.socket(&served.socket_url());
        for message in [
            json!({"type": "follow", "jobId": job}),
            json!({"type": "cancel", "jobId": job}),
            json!({"type": "follow", "projectId": "news"}),
            submission(true),
        ] {
            assert_eq!(hers.ask(message.clone())["problem"]["status"], 404, "{message}");
        }
    });
}

/// As API Gateway does: what works here works there.
#[tokio::test(flavor = "multi_thread")]
async fn a_long_message_comes_in_frames_and_a_frame_that_is_too_long_ends_the_connection() {
    let (_model, _project, served) = served(Script::default()).await;
    tokio::task::block_in_place(|| {
        let mut socket = served.socket();
        let mut long = submission(false);
        long["requestId"] = json!("long");
        long["article"]["text"] = json!("The bridge opens. ".repeat(100 * 1_024 / 18));
        let text = long.to_string();
        assert!(socket.send_in_frames(&text, 30 * 1_024), "{} bytes", text.len());
        let reply = socket.pushed();
        assert_eq!(
            (&reply["type"], &reply["requestId"]),
            (&json!("submitted"), &json!("long"))
        );

        let mut too_long = submission(false);
        too_long["article"]["text"] = json!("x".repeat(40 * 1_024));
        for (text, frame) in [
            (too_long.to_string(), usize::MAX),
            ("x".repeat(129 * 1_024), 30 * 1_024),
        ] {
            let mut socket = served.socket();
            // Whether the rest of it can still be sent is chance.
            let _ = socket.send_in_frames(&text, frame);
            assert_eq!(socket.closed(), Some(1009), "{} bytes", text.len());
        }
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reply_is_as_long_as_a_frame_whatever_was_sent() {
    let (_model, _project, served) = served(Script::default()).await;
    tokio::task::block_in_place(|| {
        let mut socket = served.socket();
        let mut message = submission(false);
        message["requestId"] = json!("odd");
        message["article"]["x".repeat(100 * 1_024)] = json!("Nobody knows this.");
        assert!(socket.send_in_frames(&message.to_string(), 30 * 1_024));
        // The socket itself refuses what is longer than a frame.
        let reply = socket.pushed();
        assert_eq!(
            (&reply["type"], &reply["requestId"], &reply["problem"]["status"]),
            (&json!("problem"), &json!("odd"), &json!(422))
        );
        let detail = reply["problem"]["detail"].as_str().unwrap();
        assert!(detail.ends_with('…'), "{detail}");
        assert_eq!(socket.ask(json!({"type": "ping"}))["type"], "pong");
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_follows_so_much_and_no_more() {
    let (_model, _project, served) = served(Script::default().rule(Rule::hang())).await;
    tokio::task::block_in_place(|| {
        let mut socket = served.socket();
        let follow =
            |number: usize| json!({"type": "follow", "projectId": "news", "batch": format!("b{number}")});
        for number in 0..bedrock_diy_core::limits::FOLLOWS {
            assert_eq!(socket.ask(follow(number))["type"], "following");
        }
        let last = bedrock_diy_core::limits::FOLLOWS;
        assert_eq!(socket.ask(follow(last))["problem"]["status"], 409);
        assert_eq!(
            socket.ask(follow(0))["type"],
            "following",
            "what is followed is followed again"
        );
        let _ = socket.ask(json!({"type": "unfollow", "projectId": "news", "batch": "b1"}));
        assert_eq!(socket.ask(follow(last))["type"], "following");
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_gets_in_without_a_token() {
    let (_model, _project, served) = served(Script::default()).await;
    tokio::task::block_in_place(|| {
        let at = served.socket_url();
        let status = |at: &str, token| match Socket::try_open(at, token) {
            Err(tungstenite::Error::Http(answer)) => answer.status().as_u16(),
            Err(error) => panic!("{error}"),
            Ok(_) => 101,
        };
        assert_eq!(status(&at, None), 401);
        assert_eq!(status(&at, Some("wrong")), 401);
        assert_eq!(status(&at, Some(&served.token)), 101);
        // A browser can set no header.
        let shown = format!("{at}?access_token={}", served.token);
        assert_eq!(status(&shown, None), 101);
        assert_eq!(status(&shown, Some(&served.token)), 401, "once, not twice");
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_takes_nothing_keeps_nobody_waiting() {
    let answer = "The bridge opens. ".repeat(6_000);
    let (_model, _project, served) =
        served(Script::default().rule(Rule::reply(Reply::text(answer.trim_end())))).await;
    tokio::task::block_in_place(|| {
        let mut slow: Vec<_> = (0..3).map(|_| served.socket()).collect();
        for socket in &mut slow {
            assert_eq!(
                socket.ask(json!({"type": "follow", "projectId": "news"}))["type"],
                "following"
            );
        }
        let mut socket = served.socket();
        let jobs: Vec<_> = (0..20).map(|_| id(&socket.ask(submission(false)))).collect();
        for socket in &mut slow {
            for job in &jobs {
                let _ = socket.ask(json!({"type": "follow", "jobId": job}));
            }
        }
        // None of the three reads any more.
        for job in &jobs {
            let late = stored(&served, job);
            assert_eq!(late.types().last(), Some(&"job.succeeded"));
        }
    });
}

/// After a restart whoever followed comes back at once.
#[tokio::test(flavor = "multi_thread")]
async fn a_crowd_that_comes_while_the_server_is_busy_waits_to_be_let_in() {
    let (_model, _project, served) = served(Script::default()).await;
    tokio::task::block_in_place(|| {
        let address = served.url().trim_start_matches("http://").parse().unwrap();
        served.signal("STOP");
        let crowd = (0..400)
            .map(|_| TcpStream::connect_timeout(&address, Duration::from_secs(10)))
            .collect::<io::Result<Vec<_>>>();
        served.signal("CONT");
        assert_eq!(crowd.unwrap().len(), 400);
        let _ = served.owner().get("/api/projects/news").expect(200);
    });
}
