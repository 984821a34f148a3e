//! A session has one job at a time.

use bedrock_diy_core::{
    Code, Failure, JobId, ProjectId, SessionId,
    job::{Change, Job},
    ports::{Accepted, Jobs},
};

use super::{acceptance, now};

/// The acceptance of a job of a session.
fn in_session(session: &str, name: &str) -> Change {
    let mut change = acceptance(&format!("{session} {name}"));
    change.job.session_id = Some(SessionId::new(session).unwrap());
    change
}

async fn is_new(jobs: &dyn Jobs, change: &Change) {
    let accepted = jobs.accept(change.clone()).await.unwrap();
    assert_eq!(accepted, Accepted::New(change.job.clone(), change.events.clone()));
}

async fn end(jobs: &dyn Jobs, job: &Job) -> Job {
    let end = job.cancel("test", now());
    jobs.apply(end.clone()).await.unwrap();
    end.job
}

/// While a session's last job is open no other one is accepted there; once it has ended, the next one is.
pub async fn a_session_has_one_open_job(jobs: &dyn Jobs) {
    let (first, next) = (in_session("one open", "first"), in_session("one open", "next"));
    is_new(jobs, &first).await;
    for _ in 0..2 {
        let refused = jobs.accept(next.clone()).await.unwrap();
        assert_eq!(refused, Accepted::SessionBusy(first.job.clone()));
        assert_eq!(jobs.read(&next.job.job_id).await.unwrap(), None);
        assert_eq!(jobs.events(&next.job.job_id, 0, 10).await.unwrap(), []);
    }
    let again = jobs.accept(first.clone()).await.unwrap();
    assert_eq!(
        again,
        Accepted::Already(first.job.clone()),
        "it stands in nobody's way"
    );
    let ended = end(jobs, &first.job).await;
    is_new(jobs, &next).await;
    let late = jobs.accept(first).await.unwrap();
    assert_eq!(
        late,
        Accepted::Already(ended),
        "whose turn it is now is nothing to it"
    );
}

/// Sessions of other names, and of one name in other projects, are others.
pub async fn sessions_are_in_nobody_else_s_way(jobs: &dyn Jobs) {
    is_new(jobs, &in_session("mine", "first")).await;
    is_new(jobs, &in_session("yours", "first")).await;
    let mut elsewhere = in_session("mine", "elsewhere");
    elsewhere.job.project_id = ProjectId::new("of-another").unwrap();
    is_new(jobs, &elsewhere).await;
    is_new(jobs, &acceptance("of no session")).await;
}

/// However many want the turn at once, one gets it, and all others learn which.
pub async fn of_many_at_once_one_gets_the_turn(jobs: &dyn Jobs) {
    for round in 0..3 {
        let [a, b, c, d] = ["a", "b", "c", "d"].map(|name| in_session("at once", &format!("{round} {name}")));
        let (a, b, c, d) = tokio::join!(jobs.accept(a), jobs.accept(b), jobs.accept(c), jobs.accept(d));
        let mut got: Vec<Job> = Vec::new();
        let mut named: Vec<JobId> = Vec::new();
        for outcome in [a, b, c, d] {
            match outcome.unwrap() {
                Accepted::New(job, _) => got.push(job),
                Accepted::SessionBusy(open) => named.push(open.job_id),
                Accepted::Already(job) => panic!("nobody knew {}", job.job_id),
            }
        }
        assert_eq!(got.len(), 1, "{got:?}");
        assert_eq!(named, vec![got[0].job_id.clone(); 3]);
        end(jobs, &got[0]).await;
    }
}

/// A job that fails as it is accepted says nothing in its session: it is accepted, and takes nobody's turn.
pub async fn what_fails_at_once_takes_no_turn(jobs: &dyn Jobs) {
    let first = in_session("failing", "first");
    is_new(jobs, &first).await;
    let failed = |name: &str| {
        let mut change = in_session("failing", name);
        let failure = Failure::new(Code::NoActiveCards, "there are none");
        let failed = change.job.fail(&failure, now());
        change.job = failed.job;
        change.events.extend(failed.events);
        change
    };
    is_new(jobs, &failed("failed")).await;
    let next = in_session("failing", "next");
    let refused = jobs.accept(next.clone()).await.unwrap();
    assert_eq!(refused, Accepted::SessionBusy(first.job.clone()));
    end(jobs, &first.job).await;
    is_new(jobs, &failed("failed, too")).await;
    is_new(jobs, &next).await;
}
