use bedrock_diy_core::{
    Code, ProjectId, PromptId, SessionId,
    history::{Exchange, SessionSummary},
    page::PageRequest,
    ports::{History, Jobs},
    time::Timestamp,
};

use super::{acceptance, all_pages, now, object};

/// An exchange of a session, so many milliseconds after the contracts begin.
fn exchange(project: &ProjectId, session: &SessionId, number: i64, after: i64) -> Exchange {
    Exchange {
        session_id: session.clone(),
        timestamp: Timestamp::from_millis(now().millis() + after),
        project_id: project.clone(),
        user_input: format!("question {number}"),
        assistant_response: format!("answer {number}"),
        prompt_cards_used: vec![PromptId::new("card-1").unwrap()],
        processing_time: 12,
    }
}

/// A job that ends with this exchange.
async fn say(jobs: &dyn Jobs, exchange: Exchange) {
    let change = acceptance(&format!(
        "{} {} {}",
        exchange.project_id, exchange.session_id, exchange.user_input
    ));
    jobs.accept(change.clone()).await.unwrap();
    let end = change
        .job
        .succeed((object("result"), "{}".into()), Some(exchange), now());
    jobs.apply(end).await.unwrap();
}

/// The numbers of exchanges.
fn numbers(exchanges: &[Exchange]) -> Vec<i64> {
    let number = |exchange: &Exchange| exchange.user_input.strip_prefix("question ")?.parse().ok();
    exchanges.iter().map(|said| number(said).unwrap()).collect()
}

fn session(id: &str) -> SessionId {
    SessionId::new(id).unwrap()
}

fn first_page(limit: usize) -> PageRequest {
    PageRequest { limit, cursor: None }
}

fn page_after(cursor: &str) -> PageRequest {
    PageRequest {
        limit: 3,
        cursor: Some(cursor.into()),
    }
}

/// A session's last exchanges come back in order, also those of the same millisecond.
pub async fn a_session_remembers_in_order(history: &dyn History, jobs: &dyn Jobs) {
    let (project, session) = (super::project(), session("a session"));
    assert_eq!(history.recent(&project, &session, 10).await.unwrap(), []);
    for number in 0..4 {
        let after = if number < 2 { 0 } else { number };
        say(jobs, exchange(&project, &session, number, after)).await;
    }
    let recent = history.recent(&project, &session, 3).await.unwrap();
    assert_eq!(numbers(&recent)[1..], [2, 3]);
    let stranger = ProjectId::new("stranger").unwrap();
    assert_eq!(history.recent(&stranger, &session, 3).await.unwrap(), []);
}

/// A project's sessions are listed, the last used first, each once.
pub async fn sessions_are_listed_the_last_used_first(history: &dyn History, jobs: &dyn Jobs) {
    let project = ProjectId::new("of-sessions").unwrap();
    let all = async |limit| all_pages(limit, async |page| history.sessions(&project, &page).await).await;
    assert_eq!(all(10).await, []);
    // Two of them at one moment; and a name with characters that cursors and keys are made of.
    let used = [("a~b#c", 0), ("noon", 2), ("noon", 5), ("카페", 7), ("dusk", 7)];
    for (number, (id, after)) in (0..).zip(used) {
        say(jobs, exchange(&project, &session(id), number, after)).await;
    }
    let elsewhere = ProjectId::new("of-other-sessions").unwrap();
    say(jobs, exchange(&elsewhere, &session("noon"), 9, 9)).await;
    let summary = |id: &str, exchanges, after| SessionSummary {
        session_id: session(id),
        project_id: project.clone(),
        exchanges,
        last_at: Timestamp::from_millis(now().millis() + after),
    };
    for limit in [1, 2, 10] {
        let mut found = all(limit).await;
        found[..2].sort_by(|a, b| a.session_id.cmp(&b.session_id));
        let expected = [
            summary("dusk", 1, 7),
            summary("카페", 1, 7),
            summary("noon", 2, 5),
            summary("a~b#c", 1, 0),
        ];
        assert_eq!(found, expected);
    }
    say(jobs, exchange(&project, &session("a~b#c"), 10, 10)).await;
    assert_eq!(all(1).await[0], summary("a~b#c", 2, 10));
    for cursor in ["", "nonsense", "2026~x", "~", "1~"] {
        let refused = history.sessions(&project, &page_after(cursor)).await;
        assert_eq!(refused.unwrap_err().code, Code::InvalidRequest, "{cursor}");
    }
}

/// A session's exchanges are read in pages, the newest first, each once, although others come meanwhile; long ones are
/// whole.
pub async fn exchanges_are_read_in_pages(history: &dyn History, jobs: &dyn Jobs) {
    let (project, session) = (super::project(), session("read in pages"));
    let long = "긴 이야기. ".repeat(5_000);
    for number in 0..7 {
        let mut said = exchange(&project, &session, number, number / 2);
        if number == 3 {
            said.assistant_response.clone_from(&long);
        }
        say(jobs, said).await;
    }
    let read = async |page: PageRequest| history.exchanges(&project, &session, &page).await;
    // Two that ended in one millisecond may come in any order.
    let sorted = |mut numbers: Vec<i64>| {
        numbers.sort_by_key(|number| std::cmp::Reverse(*number));
        numbers
    };
    for limit in [1, 3, 7, 100] {
        let found = all_pages(limit, read).await;
        assert_eq!(sorted(numbers(&found)), [6, 5, 4, 3, 2, 1, 0]);
        assert!(found.is_sorted_by_key(|exchange| std::cmp::Reverse(exchange.timestamp)));
        assert!(found.iter().any(|exchange| exchange.assistant_response == long));
    }
    let mut page = read(first_page(3)).await.unwrap();
    say(jobs, exchange(&project, &session, 7, 100)).await;
    let mut seen = numbers(&page.items);
    while let Some(next) = page.next {
        page = read(page_after(&next)).await.unwrap();
        seen.extend(numbers(&page.items));
    }
    assert_eq!(sorted(seen), [6, 5, 4, 3, 2, 1, 0]);

    let unused = self::session("never used");
    let none = history.exchanges(&project, &unused, &first_page(3)).await;
    assert_eq!(none.unwrap().items, []);
    for cursor in ["", "nonsense", "SESSION", "2026~x", "2026-11-23T01:00:00.000Z~x"] {
        let refused = read(page_after(cursor)).await;
        assert_eq!(refused.unwrap_err().code, Code::InvalidRequest, "{cursor}");
    }
}

/// Nothing of a deleted session is left, and nothing of any other is gone; deleting it again finds nothing. It may be
/// used again, and is a new one then.
pub async fn a_deleted_session_is_gone(history: &dyn History, jobs: &dyn Jobs) {
    let project = ProjectId::new("of-deleted-sessions").unwrap();
    let elsewhere = ProjectId::new("of-kept-sessions").unwrap();
    let (gone, stays) = (session("gone"), session("stays"));
    for number in 0..30 {
        let mut said = exchange(&project, &gone, number, number);
        if number % 10 == 0 {
            said.assistant_response = "long ".repeat(10_000);
        }
        say(jobs, said).await;
    }
    say(jobs, exchange(&project, &stays, 0, 0)).await;
    say(jobs, exchange(&elsewhere, &gone, 0, 0)).await;

    assert!(history.delete(&project, &gone).await.unwrap());
    assert!(!history.delete(&project, &gone).await.unwrap());
    assert_eq!(history.recent(&project, &gone, 10).await.unwrap(), []);
    let exchanges = history.exchanges(&project, &gone, &first_page(10)).await;
    assert_eq!(exchanges.unwrap().items, []);
    let listed = async |project: &ProjectId| {
        let found = all_pages(10, async |page| history.sessions(project, &page).await).await;
        let shown = |summary: SessionSummary| (summary.session_id, summary.exchanges);
        found.into_iter().map(shown).collect::<Vec<_>>()
    };
    assert_eq!(listed(&project).await, [(stays.clone(), 1)]);
    assert_eq!(listed(&elsewhere).await, [(gone.clone(), 1)]);
    assert_eq!(history.recent(&project, &stays, 10).await.unwrap().len(), 1);

    say(jobs, exchange(&project, &gone, 30, 30)).await;
    assert_eq!(listed(&project).await, [(gone.clone(), 1), (stays, 1)]);
    let recent = history.recent(&project, &gone, 10).await.unwrap();
    assert_eq!(numbers(&recent), [30]);
}
