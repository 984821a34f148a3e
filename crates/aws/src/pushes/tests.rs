//! Connections that hang, are slow, or answer too late, over a gateway and a table that are only a map here. Time is the
//! test's own: nothing here waits.

mod world;

use bedrock_diy_core::event::{Fact, StageDelta};
use tokio::{join, time::Instant};

use super::*;
use world::{Taking, World, job, project};

/// A job's events up to this number; the last one ends it.
fn events(last: u64) -> Vec<Event> {
    let text = "\u{1}".repeat(limits::DELTA_BYTES);
    let event = |number| Event {
        job_id: job(),
        project_id: project(),
        number,
        at: bedrock_diy_core::time::Timestamp::default(),
        fact: if number == last {
            Fact::JobCancelled { by: "ada".into() }
        } else {
            // As long as an event can be: no two of them go into one message.
            Fact::StageDelta(StageDelta {
                stage: 1,
                prompt_id: bedrock_diy_core::PromptId::new("facts").unwrap(),
                answer: "a1".into(),
                offset: (number - 1) * text.len() as u64,
                text: text.clone(),
            })
        },
    };
    (1..=last).map(event).collect()
}

fn row(connection: &str, topic: Topic) -> Row {
    Row {
        topic,
        connection: ConnectionId::new(connection),
        had: Had::up_to(0),
    }
}

async fn follow(pushes: &Pushes, connection: &str, topic: Topic) {
    pushes.rows.put(&row(connection, topic)).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_stage_does_not_wait_for_connections_that_hang() {
    let (world, pushes) = World::new();
    let hanging: Vec<_> = (0..40).map(|number| format!("hangs-{number}")).collect();
    for connection in &hanging {
        world.set(connection, Taking::Never);
    }
    for connection in hanging.iter().map(String::as_str).chain(["fine"]) {
        follow(&pushes, connection, Topic::Job(job())).await;
    }
    let events = events(2);
    world.store(&events[..1]).await;
    let mut looks = 0;
    while world.numbers("fine").is_empty() {
        let begun = Instant::now();
        Followers::tell(&pushes, &events[..1]).await;
        assert!(begun.elapsed() <= BUDGET, "{:?}", begun.elapsed());
        looks += 1;
    }
    assert!(
        looks <= 2,
        "who hangs is held, and keeps nobody else from their turn: {looks}"
    );
    let begun = Instant::now();
    let delta = StageDelta {
        stage: 1,
        prompt_id: bedrock_diy_core::PromptId::new("facts").unwrap(),
        answer: "a2".into(),
        offset: 0,
        text: "The bridge".into(),
    };
    pushes.show(&job(), Unstored { after: 1, delta }).await;
    assert!(begun.elapsed() <= BUDGET, "{:?}", begun.elapsed());
    assert_eq!(world.heard("fine").len(), 2);
    assert!(world.cut_off().is_empty(), "there was no time for that");
}

#[tokio::test(start_paused = true)]
async fn many_who_take_what_they_are_sent_are_told_in_turn_and_none_is_left_held() {
    let (world, pushes) = World::new();
    let many: Vec<_> = (0..300).map(|number| format!("c{number}")).collect();
    for connection in &many {
        world.set(connection, Taking::After(Duration::from_millis(60)));
        follow(&pushes, connection, Topic::Job(job())).await;
    }
    let events = events(2);
    world.store(&events[..1]).await;
    let mut looks = 0;
    while many.iter().any(|connection| world.numbers(connection).is_empty()) {
        let begun = Instant::now();
        Followers::tell(&pushes, &events[..1]).await;
        assert!(begun.elapsed() <= BUDGET, "{:?}", begun.elapsed());
        assert_eq!(world.held(), 0, "nobody is cut off");
        looks += 1;
        assert!(looks < 1_000);
    }
    assert!(many.iter().all(|connection| world.numbers(connection) == [1]));
}

#[tokio::test(start_paused = true)]
async fn what_a_stage_was_cut_off_from_is_told_by_whoever_comes_next() {
    let (world, pushes) = World::new();
    // It gets what it is sent, and says so too late.
    world.set("late", Taking::Late(Duration::from_secs(1)));
    world.set("hangs", Taking::Never);
    for connection in ["late", "hangs"] {
        follow(&pushes, connection, Topic::Job(job())).await;
    }
    let events = events(3);
    world.store(&events[..2]).await;
    Followers::tell(&pushes, &events[..2]).await;
    assert_eq!(world.numbers("late"), [1]);
    assert_eq!(world.held(), 2);
    // While it may still be on its way, nobody sends it again.
    Followers::tell(&pushes, &events[..2]).await;
    assert_eq!(world.numbers("late"), [1]);

    world.store(&events[2..]).await;
    let begun = Instant::now();
    Connections::tell(&pushes, &events[2]).await.unwrap();
    assert!(begun.elapsed() < HELD_FOR + ONE_MESSAGE, "{:?}", begun.elapsed());
    // Nothing is lost, everything is in order; what nobody knows to be taken comes once more.
    assert_eq!(world.numbers("late"), [1, 1, 2, 3]);
    assert_eq!(world.cut_off(), ["hangs"]);
    assert!(pushes.rows.of_topic(&Topic::Job(job())).await.unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_row_is_held_for_as_long_as_its_holder_tells() {
    let (world, pushes) = World::new();
    world.set("slow", Taking::After(Duration::from_secs(4)));
    follow(&pushes, "slow", Topic::Job(job())).await;
    let events = events(10);
    world.store(&events).await;
    let later = async {
        sleep(Duration::from_secs(5)).await;
        // Its message comes again where it was waited for in vain.
        while Connections::tell(&pushes, &events[9]).await.is_err() {}
        Instant::now()
    };
    let begun = Instant::now();
    let (first, second) = join!(Connections::tell(&pushes, &events[9]), later);
    first.unwrap();
    assert_eq!(world.numbers("slow"), (1..=10).collect::<Vec<_>>());
    assert!(second - begun >= Duration::from_secs(36), "only then it is told");
}

#[tokio::test(start_paused = true)]
async fn whoever_waits_for_a_holder_is_done_when_the_connection_has_had_it() {
    let (world, pushes) = World::new();
    world.set("slow", Taking::After(Duration::from_secs(4)));
    follow(&pushes, "slow", Topic::Job(job())).await;
    let events = events(10);
    world.store(&events).await;
    let second = async {
        sleep(Duration::from_secs(1)).await;
        Connections::tell(&pushes, &events[1]).await.unwrap();
        Instant::now()
    };
    let begun = Instant::now();
    let (first, second) = join!(Connections::tell(&pushes, &events[9]), second);
    first.unwrap();
    assert!(second - begun < Duration::from_secs(9), "{:?}", second - begun);
}

#[tokio::test(start_paused = true)]
async fn whoever_has_lost_a_row_tells_no_more() {
    let (world, pushes) = World::new();
    world.set("slow", Taking::After(Duration::from_secs(4)));
    let row = row("slow", Topic::Job(job()));
    pushes.rows.put(&row).await.unwrap();
    world.store(&events(10)).await;
    let Held::Mine(mut held, mut hold) = pushes.rows.hold(&row).await.unwrap() else {
        panic!("nobody holds it");
    };
    let again = async {
        sleep(Duration::from_secs(5)).await;
        // Its client follows anew.
        pushes.rows.put(&row).await.unwrap();
    };
    let job = job();
    let (told, ()) = join!(pushes.tell_row(&job, &mut held, &mut hold, None, None), again);
    assert_eq!(told.unwrap(), Told::Lost);
    assert_eq!(world.numbers("slow"), [1, 2]);
    pushes.rows.let_go(&held, &hold).await.unwrap();
    let rows = pushes.rows.of_topic(&row.topic).await.unwrap();
    assert_eq!(
        rows[0].had,
        Had::up_to(0),
        "what the new one has had is not touched"
    );
}

#[tokio::test(start_paused = true)]
async fn a_project_s_events_say_no_position() {
    let (world, pushes) = World::new();
    follow(&pushes, "desk", Topic::Project(project())).await;
    let events = events(3);
    world.store(&events).await;
    // As the bus may hand them on.
    for event in [&events[2], &events[0], &events[2]] {
        Connections::tell(&pushes, event).await.unwrap();
    }
    assert_eq!(world.numbers("desk"), [3, 1, 3]);
    assert!(
        world
            .heard("desk")
            .iter()
            .all(|message| message.get("position").is_none())
    );
}

#[tokio::test(start_paused = true)]
async fn a_piece_that_is_shown_twice_is_told_once() {
    let (world, pushes) = World::new();
    follow(&pushes, "desk", Topic::Job(job())).await;
    let events = events(3);
    let Fact::StageDelta(delta) = &events[0].fact else {
        panic!("no piece");
    };
    for _ in 0..2 {
        let delta = delta.clone();
        pushes.show(&job(), Unstored { after: 0, delta }).await;
    }
    world.store(&events[..2]).await;
    Followers::tell(&pushes, &events[..2]).await;
    let messages = world.heard("desk");
    let items = messages
        .iter()
        .flat_map(|message| message["items"].as_array().unwrap());
    let told: String = items.map(|item| item["text"].as_str().unwrap()).collect();
    assert_eq!(told.len(), 2 * limits::DELTA_BYTES);
}
