//! Articles go their way, function by function, and each invocation is measured.

use std::{path::Path, slice, time::Instant};

use bedrock_diy_core::cursor::Cursor;
use serde_json::{Value, json};

use crate::{
    Outcome,
    articles::{Article, CARDS, Kind, Newsroom},
    calls::{Call, Sorted, documented},
    function::{Function, Invocation, Name, Spent},
    stand_in::{StandIn, config},
};

/// What plan's phases with large articles are called.
pub(crate) const LARGE_TEXT: &str = "plan, 10 MB of text";
pub(crate) const LARGE_HTML: &str = "plan, 10 MB of HTML";

/// Calls to see whether a model has a line by now, which is done once a second at most: the line and the
/// holder's place in it are read.
const LOOK: u64 = 2;

/// How much is measured.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Amount {
    /// Starts of each function that do one invocation.
    pub(crate) cold: usize,
    /// Articles that one process of each function takes besides.
    pub(crate) warm: usize,
    /// The same with articles of 10 MB, which plan alone is measured with.
    pub(crate) large: (usize, usize),
}

/// What was measured of a function.
pub(crate) struct Measured {
    pub(crate) what: &'static str,
    pub(crate) name: Name,
    /// Starts, and the first invocation after each.
    pub(crate) cold: Vec<(Spent, Spent)>,
    /// Invocations that read nothing of what a process reads only once.
    pub(crate) warm: Vec<Spent>,
    /// All calls of the warm invocations.
    pub(crate) warm_calls: usize,
    /// What each invocation calls.
    pub(crate) calls: Vec<String>,
    /// The largest resident set, in bytes.
    pub(crate) peak: u64,
}

/// What is to be measured.
struct Phase {
    what: &'static str,
    name: Name,
    /// Whether the articles are text already.
    is_text: bool,
    cold: usize,
    tasks: Vec<Task>,
}

/// An invocation and what it must come to.
struct Task {
    payload: Value,
    answer: Value,
}

/// Lets articles go all the way, by plain HTTP or by TLS.
pub(crate) async fn all(programs: &Path, amount: Amount, tls: bool) -> Outcome<Vec<Measured>> {
    let stand_in = StandIn::start(tls).await?;
    let mut newsroom = Newsroom::open(&stand_in).await?;
    let large = amount.large.0 + amount.large.1;
    let small = newsroom.drop(Kind::Small, amount.cold + amount.warm).await?;
    let texts = newsroom.drop(Kind::LargeText, large).await?;
    let pages = newsroom.drop(Kind::LargeHtml, large).await?;
    let phase = |what, name, tasks| Phase {
        what,
        name,
        is_text: true,
        cold: amount.cold,
        tasks,
    };
    let dropped = [&small[..], &texts, &pages].concat();
    let phases = [
        phase("intake", Name::Intake, accepted(&dropped)),
        phase("plan", Name::Plan, planned(&small)),
        Phase {
            cold: amount.large.0,
            ..phase(LARGE_TEXT, Name::Plan, planned(&texts))
        },
        Phase {
            cold: amount.large.0,
            is_text: false,
            ..phase(LARGE_HTML, Name::Plan, planned(&pages))
        },
        phase("stage", Name::Stage, worked_on(&small, amount.cold)),
        phase("finish", Name::Finish, finished(&small)),
        phase("bare", Name::Bare, looked_at(&small)),
    ];
    let mut bench = Bench { programs, stand_in };
    let mut measured = Vec::new();
    for phase in phases {
        measured.push(bench.run(phase).await?);
    }
    for article in &small {
        if !newsroom.is_done(article).await? {
            return Err(format!("the job {} has not succeeded", article.job).into());
        }
    }
    Ok(measured)
}

fn accepted(articles: &[Article]) -> Vec<Task> {
    let task = |article: &Article| Task {
        payload: article.notification(),
        answer: json!({"batchItemFailures": []}),
    };
    articles.iter().map(task).collect()
}

fn planned(articles: &[Article]) -> Vec<Task> {
    let task = |article: &Article| Task {
        payload: json!(Cursor::start(article.job.clone())),
        answer: json!(Cursor::stage(article.job.clone(), 1)),
    };
    articles.iter().map(task).collect()
}

/// The first stage of so many articles, for cold starts; after them all that is left.
fn worked_on(articles: &[Article], cold: usize) -> Vec<Task> {
    let task = |article: &Article, stage| Task {
        payload: json!(Cursor::stage(article.job.clone(), stage)),
        answer: json!(match stage {
            CARDS => Cursor::finish(article.job.clone(), CARDS),
            _ => Cursor::stage(article.job.clone(), stage + 1),
        }),
    };
    let (first, others) = articles.split_at(cold);
    let firsts = first.iter().map(|article| task(article, 1));
    let left = first
        .iter()
        .flat_map(|article| (2..=CARDS).map(|stage| task(article, stage)));
    let all = others
        .iter()
        .flat_map(|article| (1..=CARDS).map(|stage| task(article, stage)));
    // The newest first: the warm process begins with a first stage, as the cold ones do.
    firsts.chain(all).chain(left).collect()
}

fn finished(articles: &[Article]) -> Vec<Task> {
    let task = |article: &Article| Task {
        payload: json!(Cursor::finish(article.job.clone(), CARDS)),
        answer: json!(Cursor::finish(article.job.clone(), CARDS)),
    };
    articles.iter().map(task).collect()
}

fn looked_at(articles: &[Article]) -> Vec<Task> {
    let task = |article: &Article| Task {
        payload: json!({"jobId": article.job}),
        answer: json!(4),
    };
    articles.iter().map(task).collect()
}

struct Bench<'a> {
    programs: &'a Path,
    stand_in: StandIn,
}

impl Bench<'_> {
    async fn run(&mut self, phase: Phase) -> Outcome<Measured> {
        let Phase {
            what,
            name,
            is_text,
            cold,
            mut tasks,
        } = phase;
        let mut measured = Measured {
            what,
            name,
            cold: Vec::new(),
            warm: Vec::new(),
            warm_calls: 0,
            calls: match name {
                Name::Bare => vec!["GetItem".to_owned(); 4],
                _ => documented(name, is_text)?,
            },
            peak: 0,
        };
        let warm = tasks.split_off(cold);
        for task in &tasks {
            self.work(slice::from_ref(task), &mut measured).await?;
        }
        self.work(&warm, &mut measured).await?;
        Ok(measured)
    }

    /// Gives tasks to a new process.
    async fn work(&mut self, tasks: &[Task], measured: &mut Measured) -> Outcome {
        let environment = self.stand_in.environment();
        self.stand_in.calls();
        let began = Instant::now();
        let mut function = Function::start(self.programs, measured.name, &environment).await?;
        let (mut once, mut quota) = (0, 0_u64);
        for (number, task) in tasks.iter().enumerate() {
            let Invocation { answer, spent } = function.invoke(&task.payload).await?;
            if answer != task.answer {
                return Err(format!("{}: {answer} in place of {}", measured.what, task.answer).into());
            }
            let calls = sorted(self.stand_in.calls());
            if calls.own != measured.calls {
                let (made, said) = (calls.own.join(", "), measured.calls.join(", "));
                return Err(format!("{} calls {made}; documented is {said}", measured.what).into());
            }
            once += calls.once;
            quota += calls.quota as u64;
            if number == 0 {
                measured.cold.push((function.start, spent));
            } else if calls.once == 0 {
                measured.warm.push(spent);
                measured.warm_calls += calls.len();
            }
        }
        let expected = once_by_process(measured.name, tasks.len());
        if once != expected {
            return Err(format!("{} reads revisions {once} times, not {expected}", measured.what).into());
        }
        let looks = if measured.name == Name::Stage {
            began.elapsed().as_secs() + 1
        } else {
            0
        };
        if quota > LOOK * looks {
            return Err(format!("{} asks for quota {quota} times in {looks} s", measured.what).into());
        }
        measured.peak = measured.peak.max(function.peak_memory()?);
        Ok(())
    }
}

fn sorted(calls: Vec<Call>) -> Sorted {
    let config = config();
    Sorted::new(
        calls,
        &config.tables.model_quota,
        [&config.tables.prompt_revisions, &config.buckets.prompts],
    )
}

/// How often a process reads or keeps what is immutable: the pipeline revision once, and each card that it
/// meets once, of which the table has one part and the bucket the other.
fn once_by_process(name: Name, tasks: usize) -> usize {
    match name {
        Name::Intake | Name::Plan => 1,
        Name::Stage => 1 + 2 * tasks.min(CARDS as usize),
        Name::Finish | Name::Bare => 0,
    }
}
