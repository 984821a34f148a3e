use bedrock_diy_core::{
    BatchId, Code, JobId, ProjectId,
    article::output_key,
    event::{Event, Fact},
    job::{Change, Job, JobStatus, StageCompletion},
    model::Usage,
    page::PageRequest,
    ports::{Accepted, Applied, JobFilter, JobIndex, Jobs, Memo, Objects},
    stage::{MemoEntry, StageRecord},
    time::Timestamp,
};

use super::{acceptance, now, object, pipeline};

fn completion(job: &Job, text: &str) -> StageCompletion {
    let stage = job.next_stage();
    let prompt_id = pipeline(2).cards[stage as usize - 1].prompt_id.clone();
    let mut output = object(&output_key(&job.project_id, &job.job_id, stage, &prompt_id));
    output.size = text.len() as u64;
    let memo_key = bedrock_diy_core::text::sha256_hex(format!("{}{stage}", job.job_id).as_bytes());
    let usage = Usage {
        input_tokens: 10,
        output_tokens: 2,
        ..Usage::default()
    };
    StageCompletion {
        record: StageRecord {
            stage,
            prompt_id,
            title: "Card".into(),
            revision: 1,
            model: "m".into(),
            output: output.clone(),
            memo_key: memo_key.clone(),
            memo_hit: false,
            calls: 1,
            usage,
            cost: Some(0.5),
            model_ms: 7,
            completed_at: now(),
        },
        output: text.to_owned(),
        memo: Some(MemoEntry {
            memo_key,
            output,
            usage,
        }),
    }
}

fn started(job: &Job) -> Change {
    job.start(object("text"), job.article.meta.clone(), &pipeline(2), now())
}

/// Every job that was there is on one page, the newest first, although others come meanwhile.
pub async fn a_list_shows_each_job_once(jobs: &(impl Jobs + JobIndex)) {
    let (of_list, of_batch) = (
        ProjectId::new("of-a-list").unwrap(),
        BatchId::new("noon").unwrap(),
    );
    let accepted = async |number: i64, batch: &BatchId| {
        let mut change = acceptance(&format!("listed {number} {batch}"));
        change.job.project_id = of_list.clone();
        change.job.batch = batch.clone();
        change.job.accepted_at = Timestamp::from_millis(now().millis() + number);
        jobs.accept(change.clone()).await.unwrap();
        change.job
    };
    let mut expected = Vec::new();
    for number in 0..7 {
        expected.insert(
            0,
            accepted(number, &BatchId::new("morning").unwrap()).await.job_id,
        );
    }
    let started = jobs.read(&expected[2]).await.unwrap().unwrap();
    jobs.apply(self::started(&started)).await.unwrap();
    let mut filter = JobFilter::of(of_list.clone());
    let first = list(jobs, &filter, 3, None).await;
    let late = accepted(100, &of_batch).await;
    let mut seen = first.0;
    let mut cursor = first.1;
    while let Some(next) = cursor {
        let page = list(jobs, &filter, 3, Some(next)).await;
        seen.extend(page.0);
        cursor = page.1;
    }
    assert_eq!(seen, expected);
    filter.status = Some(JobStatus::Running);
    assert_eq!(list(jobs, &filter, 3, None).await.0, [expected[2].clone()]);
    filter.status = None;
    let (oldest, newest) = (jobs.read(&seen[6]), jobs.read(&seen[1]));
    let (oldest, newest) = (oldest.await.unwrap().unwrap(), newest.await.unwrap().unwrap());
    filter.from = Some(oldest.accepted_at.plus_millis(1));
    filter.to = Some(newest.accepted_at);
    assert_eq!(
        list(jobs, &filter, 9, None).await,
        (expected[2..6].to_vec(), None)
    );
    (filter.from, filter.to) = (filter.to, filter.from);
    assert_eq!(list(jobs, &filter, 9, None).await, (Vec::new(), None));
    (filter.from, filter.to) = (None, None);
    filter.batch = Some(of_batch);
    assert_eq!(list(jobs, &filter, 3, None).await, (vec![late.job_id], None));
    for cursor in ["", "nonsense", "2026~x", "é"] {
        let page = PageRequest {
            limit: 3,
            cursor: Some(cursor.into()),
        };
        assert_eq!(
            jobs.list(&filter, &page).await.unwrap_err().code,
            Code::InvalidRequest
        );
    }
}

async fn list(
    jobs: &impl JobIndex,
    filter: &JobFilter,
    limit: usize,
    cursor: Option<String>,
) -> (Vec<JobId>, Option<String>) {
    let page = jobs.list(filter, &PageRequest { limit, cursor }).await.unwrap();
    assert!(page.items.len() <= limit);
    (page.items.into_iter().map(|job| job.job_id).collect(), page.next)
}

/// However many accept at once, one makes the job and all learn how it stands.
pub async fn accepting_twice_is_one_job(jobs: &dyn Jobs) {
    let change = acceptance("twice");
    let (a, b, c) = tokio::join!(
        jobs.accept(change.clone()),
        jobs.accept(change.clone()),
        jobs.accept(change.clone())
    );
    let outcomes = [a.unwrap(), b.unwrap(), c.unwrap()];
    assert_eq!(
        outcomes
            .iter()
            .filter(|outcome| matches!(outcome, Accepted::New(..)))
            .count(),
        1
    );
    for outcome in outcomes {
        let (Accepted::New(job, _) | Accepted::Already(job)) = outcome else {
            panic!("it is of no session");
        };
        assert_eq!(job, change.job);
    }
    assert_eq!(
        jobs.events(&change.job.job_id, 0, 10).await.unwrap(),
        change.events
    );
}

/// A late acceptance does not bring a job back to its beginning.
pub async fn accepting_again_tells_how_the_job_stands_now(jobs: &dyn Jobs) {
    let change = acceptance("again");
    jobs.accept(change.clone()).await.unwrap();
    let failed = change.job.cancel("test", now());
    jobs.apply(failed.clone()).await.unwrap();
    assert_eq!(jobs.accept(change).await.unwrap(), Accepted::Already(failed.job));
}

/// A change of an old version changes nothing, and its maker learns the new one.
pub async fn a_stale_change_changes_nothing(jobs: &dyn Jobs) {
    let change = acceptance("stale");
    jobs.accept(change.clone()).await.unwrap();
    let first = started(&change.job);
    assert!(matches!(
        jobs.apply(first.clone()).await.unwrap(),
        Applied::Done(..)
    ));
    let late = change.job.cancel("test", now());
    assert_eq!(jobs.apply(late).await.unwrap(), Applied::Stale(first.job.clone()));
    assert_eq!(
        jobs.read(&change.job.job_id).await.unwrap().unwrap().status,
        JobStatus::Running
    );
    let numbers: Vec<_> = jobs
        .events(&change.job.job_id, 0, 10)
        .await
        .unwrap()
        .iter()
        .map(|event| event.number)
        .collect();
    assert_eq!(numbers, (1..=first.job.version).collect::<Vec<_>>());
}

/// Of many changes at once, one is made, and what it refers to is its own.
pub async fn of_two_writers_one_wins(jobs: &dyn Jobs, objects: &dyn Objects, memo: &dyn Memo) {
    let change = acceptance("two writers");
    jobs.accept(change.clone()).await.unwrap();
    let begin = started(&change.job);
    jobs.apply(begin.clone()).await.unwrap();
    let (one, other) = (completion(&begin.job, "one"), completion(&begin.job, "other"));
    let (a, b) = tokio::join!(
        jobs.apply(begin.job.complete_stage(one.clone(), None, now())),
        jobs.apply(begin.job.complete_stage(other, None, now()))
    );
    let winner = match (a.unwrap(), b.unwrap()) {
        (Applied::Done(..), Applied::Stale(_)) => "one",
        (Applied::Stale(_), Applied::Done(..)) => "other",
        both => panic!("{both:?}"),
    };
    let stages = jobs.stages(&change.job.job_id).await.unwrap();
    assert_eq!(stages.len(), 1);
    let kept = memo.find(&one.record.memo_key).await.unwrap().unwrap();
    for output in [&stages[0].output, &kept.output] {
        assert_eq!(objects.get(output).await.unwrap(), winner.as_bytes());
    }
}

/// A finished stage brings its output, its memo entry and its events along.
pub async fn a_finished_stage_is_whole(jobs: &dyn Jobs, objects: &dyn Objects, memo: &dyn Memo) {
    let change = acceptance("whole");
    jobs.accept(change.clone()).await.unwrap();
    let begin = started(&change.job);
    jobs.apply(begin.clone()).await.unwrap();
    for text in ["요약 📰".to_owned(), "long ".repeat(40_000)] {
        let job = jobs.read(&change.job.job_id).await.unwrap().unwrap();
        let mut done = completion(&job, &text);
        let applied = jobs.apply(job.complete_stage(done.clone(), None, now())).await;
        let Applied::Done(written, events) = applied.unwrap() else {
            panic!("nobody else has changed the job");
        };
        assert_eq!(jobs.read(&job.job_id).await.unwrap().as_ref(), Some(&written));
        assert_eq!(jobs.events(&job.job_id, job.version, 10).await.unwrap(), events);
        // Only whoever stores an output knows its version.
        let output = written.last_output.unwrap();
        assert_eq!(objects.get(&output).await.unwrap(), text.as_bytes());
        let mut entry = done.memo.unwrap();
        entry.output = output.clone();
        assert_eq!(memo.find(&done.record.memo_key).await.unwrap(), Some(entry));
        done.record.output = output;
        assert_eq!(jobs.stages(&job.job_id).await.unwrap().last(), Some(&done.record));
    }
}

/// Events come in order, from where one left off, at most so many.
pub async fn events_are_read_from_a_number_on(jobs: &dyn Jobs) {
    let change = acceptance("events");
    jobs.accept(change.clone()).await.unwrap();
    let mut job = change.job;
    for _ in 0..5 {
        let waiting = job.wait("quota", now(), now());
        jobs.apply(waiting.clone()).await.unwrap();
        job = waiting.job;
    }
    let numbers = async |after, limit| {
        let events = jobs.events(&job.job_id, after, limit).await.unwrap();
        events.iter().map(|event| event.number).collect::<Vec<_>>()
    };
    assert_eq!(numbers(0, 100).await, [1, 2, 3, 4, 5, 6]);
    assert_eq!(numbers(2, 2).await, [3, 4]);
    assert_eq!(numbers(6, 100).await, [] as [u64; 0]);
}

/// Whoever has read of an event is not shown the job as it was before that.
pub async fn whoever_has_read_an_event_finds_the_job_as_far(jobs: &dyn Jobs) {
    for round in 0..5 {
        let change = acceptance(&format!("as far {round}"));
        jobs.accept(change.clone()).await.unwrap();
        let id = &change.job.job_id;
        let writes = async {
            let mut change = started(&change.job);
            for text in ["one", "other"] {
                jobs.apply(change.clone()).await.unwrap();
                change = change
                    .job
                    .complete_stage(completion(&change.job, text), None, now());
            }
            let last = change.job.version;
            jobs.apply(change).await.unwrap();
            last
        };
        let looks = async {
            let (mut seen, mut stages) = (0, 0);
            while stages < 2 {
                let events = jobs.events(id, seen, 100).await.unwrap();
                let completed = |event: &&Event| matches!(event.fact, Fact::StageCompleted { .. });
                stages += events.iter().filter(completed).count();
                seen = events.last().map_or(seen, |event| event.number);
                assert!(
                    jobs.stages(id).await.unwrap().len() >= stages,
                    "after event {seen}"
                );
                let job = jobs.read(id).await.unwrap().unwrap();
                assert!(job.version >= seen, "{} after event {seen}", job.version);
                tokio::task::yield_now().await;
            }
            seen
        };
        let (last, seen) = tokio::join!(writes, looks);
        assert_eq!(seen, last);
    }
}

/// A job that nobody accepted is none.
pub async fn an_unknown_job_is_none(jobs: &dyn Jobs) {
    assert_eq!(
        jobs.read(&acceptance("never accepted").job.job_id).await.unwrap(),
        None
    );
}
