use bedrock_diy_core::{
    ProjectId, PromptId, SessionId,
    history::Exchange,
    ports::{History, Jobs},
    time::Timestamp,
};

use super::{acceptance, now, object};

/// A session's last exchanges come back in order, also those of the same millisecond.
pub async fn a_session_remembers_in_order(history: &dyn History, jobs: &dyn Jobs) {
    let session = SessionId::new("a session").unwrap();
    assert_eq!(history.recent(&super::project(), &session, 10).await.unwrap(), []);
    for number in 0..4 {
        let change = acceptance(&format!("exchange {number}"));
        jobs.accept(change.clone()).await.unwrap();
        let exchange = Exchange {
            session_id: session.clone(),
            timestamp: if number < 2 {
                now()
            } else {
                Timestamp::from_millis(now().millis() + number)
            },
            project_id: super::project(),
            user_input: format!("question {number}"),
            assistant_response: format!("answer {number}"),
            prompt_cards_used: vec![PromptId::new("card-1").unwrap()],
            processing_time: 12,
        };
        jobs.apply(
            change
                .job
                .succeed((object("result"), "{}".into()), Some(exchange), now()),
        )
        .await
        .unwrap();
    }
    let recent = history.recent(&super::project(), &session, 3).await.unwrap();
    let questions: Vec<_> = recent
        .iter()
        .map(|exchange| exchange.user_input.as_str())
        .collect();
    assert_eq!(questions, ["question 1", "question 2", "question 3"]);
    let stranger = ProjectId::new("stranger").unwrap();
    assert_eq!(history.recent(&stranger, &session, 3).await.unwrap(), []);
}
