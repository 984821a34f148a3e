//! What the tests of this crate share.

use bedrock_diy_core::{JobId, PromptId, job::JobStatus};

use crate::{CardColumn, Columns, Format, Output, Row, Table};

pub(crate) fn prompt(id: &str) -> PromptId {
    PromptId::new(id).unwrap()
}

pub(crate) fn card(id: &str, fields: &[&str]) -> CardColumn {
    CardColumn {
        prompt_id: prompt(id),
        fields: fields.iter().map(|field| (*field).to_owned()).collect(),
    }
}

pub(crate) fn columns<const N: usize>(cards: [(&str, &[&str]); N]) -> Columns {
    Columns {
        cards: cards.map(|(id, fields)| card(id, fields)).into(),
    }
}

/// A succeeded job with these outputs.
pub(crate) fn row<const N: usize>(outputs: [(&str, &str); N]) -> Row {
    Row {
        article: "a.txt".into(),
        job_id: Some(JobId::new("01ARZ3NDEKTSV4RRFFQ69G5FAV").unwrap()),
        status: JobStatus::Succeeded,
        error: None,
        outputs: (1..)
            .zip(outputs)
            .map(|(stage, (id, text))| Output {
                stage,
                prompt_id: prompt(id),
                text: text.into(),
            })
            .collect(),
        tokens: 3,
        cost: Some(0.000_012_5),
    }
}

/// The bytes of a table.
pub(crate) fn table(format: Format, columns: Columns, rows: &[Row]) -> Vec<u8> {
    let mut table = Table::new(format, columns, Vec::new()).unwrap();
    for row in rows {
        table.write(row).unwrap();
    }
    table.finish().unwrap();
    std::mem::take(table.out_mut())
}
