//! The adapters on `SQLite` and files, each on a disk of its own.

use std::sync::Arc;

use bedrock_diy_core::{
    catalogue::Catalogue,
    intake::Lane,
    ports::{Bus, Jobs as _},
};
use bedrock_diy_embedded::{DELIVERY_QUEUE, MemoryQuota, SqliteHistory, SqliteQueue};
use bedrock_diy_tests::contract;

struct Sqlite {
    _folder: tempfile::TempDir,
    machine: bedrock_diy::machine::Machine,
}

fn sqlite() -> Sqlite {
    let folder = tempfile::tempdir().unwrap();
    let catalogue = Arc::new(Catalogue::own().unwrap());
    let machine = bedrock_diy::machine::Machine::open(folder.path(), catalogue).unwrap();
    Sqlite {
        _folder: folder,
        machine,
    }
}

/// One test for each promise about a port that one adapter answers.
macro_rules! promises {
    ($port:ident: $($promise:ident),* $(,)?) => {
        $(
            #[tokio::test]
            async fn $promise() {
                contract::$promise(&sqlite().machine.$port).await;
            }
        )*
    };
}

bedrock_diy_tests::every_promise!(promises);

#[tokio::test]
async fn news_are_heard_of_soon() {
    let sqlite = sqlite();
    let machine = &sqlite.machine;
    for bus in [None, Some(&machine.bus as &dyn Bus)] {
        contract::news_are_heard_of_soon(&machine.jobs, bus, &machine.bus).await;
    }
}

#[tokio::test]
async fn whoever_watches_follows() {
    let bus = sqlite().machine.bus;
    contract::whoever_watches_follows(&bus, &bus).await;
}

#[tokio::test]
async fn an_execution_starts_once() {
    let sqlite = sqlite();
    let machine = &sqlite.machine;
    contract::an_execution_starts_once(&machine.executions, |_| std::future::ready(executions(machine)))
        .await;
}

#[tokio::test]
async fn stopping_is_always_possible() {
    let sqlite = sqlite();
    let machine = &sqlite.machine;
    contract::stopping_is_always_possible(&machine.executions, |_| std::future::ready(executions(machine)))
        .await;
}

/// How many executions there are, or were.
fn executions(machine: &bedrock_diy::machine::Machine) -> usize {
    let database = rusqlite::Connection::open(machine.data.database()).unwrap();
    let count = database.query_row("SELECT count(*) FROM executions", [], |row| row.get(0));
    count.unwrap()
}

#[tokio::test]
async fn a_model_without_a_quota_lets_everybody_call() {
    contract::a_model_without_a_quota_lets_everybody_call(&quota()).await;
}

#[tokio::test]
async fn after_a_throttle_all_wait_their_turn() {
    contract::after_a_throttle_all_wait_their_turn(&quota(), "acme.throttled-v1:0").await;
}

fn quota() -> MemoryQuota {
    MemoryQuota::new(Arc::new(Catalogue::own().unwrap()))
}

#[tokio::test]
async fn of_two_writers_one_wins() {
    let sqlite = sqlite();
    let machine = &sqlite.machine;
    contract::of_two_writers_one_wins(&machine.jobs, &machine.objects, &machine.memo).await;
}

#[tokio::test]
async fn a_finished_stage_is_whole() {
    let sqlite = sqlite();
    let machine = &sqlite.machine;
    contract::a_finished_stage_is_whole(&machine.jobs, &machine.objects, &machine.memo).await;
}

#[tokio::test]
async fn a_session_remembers_in_order() {
    let sqlite = sqlite();
    let history = SqliteHistory::new(sqlite.machine.database.clone());
    contract::a_session_remembers_in_order(&history, &sqlite.machine.jobs).await;
}

#[tokio::test]
async fn sessions_are_listed_the_last_used_first() {
    let sqlite = sqlite();
    let history = SqliteHistory::new(sqlite.machine.database.clone());
    contract::sessions_are_listed_the_last_used_first(&history, &sqlite.machine.jobs).await;
}

#[tokio::test]
async fn exchanges_are_read_in_pages() {
    let sqlite = sqlite();
    let history = SqliteHistory::new(sqlite.machine.database.clone());
    contract::exchanges_are_read_in_pages(&history, &sqlite.machine.jobs).await;
}

#[tokio::test]
async fn a_deleted_session_is_gone() {
    let sqlite = sqlite();
    let history = SqliteHistory::new(sqlite.machine.database.clone());
    contract::a_deleted_session_is_gone(&history, &sqlite.machine.jobs).await;
}

#[tokio::test]
async fn what_is_sent_is_received() {
    let queue = sqlite().machine.queue;
    contract::what_is_sent_is_received(&queue, |lane: Lane| receive_all(&queue, lane.as_str())).await;
}

#[tokio::test]
async fn every_stored_event_reaches_its_subscribers() {
    let machine = sqlite().machine;
    machine.bus.subscribe("told").await.unwrap();
    contract::every_stored_event_reaches_its_subscribers(&machine.bus, &machine.jobs, || {
        receive_all(&machine.queue, "told")
    })
    .await;
}

#[tokio::test]
async fn an_attempt_and_what_it_changes_are_stored_together() {
    let machine = sqlite().machine;
    contract::an_attempt_and_what_it_changes_are_stored_together(&machine.webhooks, &machine.deliveries)
        .await;
}

#[tokio::test]
async fn claims_that_are_sent_are_received() {
    let queue = sqlite().machine.delivery_queue;
    contract::claims_that_are_sent_are_received(&queue, || receive_all(&queue, DELIVERY_QUEUE)).await;
}

#[tokio::test]
async fn a_disabled_webhook_is_announced() {
    let machine = sqlite().machine;
    machine.bus.subscribe("told").await.unwrap();
    contract::a_disabled_webhook_is_announced(&machine.bus, || receive_all(&machine.queue, "told")).await;
}

#[tokio::test]
async fn an_event_reaches_its_subscribers_although_whoever_stored_it_died_before_it_said_so() {
    let machine = sqlite().machine;
    machine.bus.subscribe("told").await.unwrap();
    machine.jobs.accept(contract::acceptance("unsaid")).await.unwrap();
    assert_eq!(receive_all(&machine.queue, "told").await.len(), 1);
    machine.bus.unsubscribe("told").await.unwrap();
    machine
        .jobs
        .accept(contract::acceptance("unheard"))
        .await
        .unwrap();
    assert!(receive_all(&machine.queue, "told").await.is_empty());
}

async fn receive_all(queue: &SqliteQueue, name: &str) -> Vec<String> {
    let mut bodies = Vec::new();
    loop {
        let messages = queue.receive(name, 10, 60_000).await.unwrap();
        if messages.is_empty() {
            return bodies;
        }
        bodies.extend(messages.iter().map(|message| message.body.clone()));
        queue.delete(messages).await.unwrap();
    }
}
