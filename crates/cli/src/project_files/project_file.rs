//! `project.yaml`.

use bedrock_diy_core::{
    ProjectId,
    ids::slug_of,
    project::{ProjectStatus, Settings},
};

use super::{
    disk,
    fault::Faults,
    fields::{Fields, Schema},
    settings::{self, SaidParameters},
    yaml,
};

/// What `project.yaml` says.
#[derive(Debug)]
pub(super) struct ProjectFile {
    /// `None` where there is none that can be one.
    pub(super) id: Option<ProjectId>,
    pub(super) name: String,
    pub(super) description: String,
    pub(super) status: ProjectStatus,
    pub(super) settings: Settings,
    pub(super) parameters: SaidParameters,
}

const PROJECT: Schema = Schema {
    paths: &[
        "id",
        "name",
        "description",
        "status",
        "settings",
        "settings.model",
        "settings.parameters",
        "settings.parameters.maxTokens",
        "settings.parameters.temperature",
        "settings.parameters.topP",
        "settings.parameters.stopSequences",
        "settings.timeoutSeconds",
        "settings.guardrail",
        "settings.guardrail.id",
        "settings.guardrail.version",
        "settings.limits",
        "settings.limits.articleBytes",
        "settings.limits.costPerArticle",
    ],
    elsewhere: &[
        ("cards", "each card is a file in the folder `cards`"),
        ("isActive", "write `status: ACTIVE` or `status: INACTIVE`"),
        ("title", "a project has a `name`"),
    ],
};

const STATUSES: [(&str, ProjectStatus); 2] = [
    ("ACTIVE", ProjectStatus::Active),
    ("INACTIVE", ProjectStatus::Inactive),
];

impl ProjectFile {
    /// Reads the file of the folder with this name.
    pub(super) fn parse(bytes: &[u8], folder: &str, faults: &mut Faults) -> Self {
        let document = disk::text(bytes).and_then(|text| yaml::parse(&text));
        let read = document.is_ok();
        let mut fields = match document {
            Ok(document) => Fields::of(document, PROJECT, faults),
            Err((place, message)) => {
                faults.at(place, message);
                Fields::none(PROJECT)
            }
        };
        let name = fields.text("name", faults);
        let description = fields.text("description", faults);
        let status = fields.choice("status", &STATUSES, faults);
        // An id that could not be read is no reason to complain of the folder's name.
        let id = if read {
            id(&mut fields, folder, faults)
        } else {
            None
        };
        let mut group = fields.group("settings", faults);
        let parameters = SaidParameters::read(&mut group, faults);
        Self {
            id,
            name: name
                .map(|name| name.value)
                .filter(|name| !name.trim().is_empty())
                .unwrap_or_else(|| folder.to_owned()),
            description: description.map(|text| text.value).unwrap_or_default(),
            status: status.map(|status| status.value).unwrap_or_default(),
            settings: Settings {
                model: settings::model(&mut group, faults),
                parameters: parameters.all.clone(),
                timeout_seconds: settings::timeout(&mut group, faults),
                guardrail: settings::guardrail(&mut group, faults),
                limits: settings::limits(&mut group, faults),
            },
            parameters,
        }
    }
}

fn id(fields: &mut Fields, folder: &str, faults: &mut Faults) -> Option<ProjectId> {
    if let Some(said) = fields.text("id", faults) {
        return ProjectId::new(said.value)
            .map_err(|failure| faults.at(said.place, failure.detail))
            .ok();
    }
    ProjectId::new(slug_of(folder))
        .map_err(|_| {
            faults.whole(format!(
                "the folder's name {folder:?} makes no project id: write one, such as `id: newsroom`"
            ));
        })
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::path::Path;

    fn parsed(text: &str, folder: &str) -> (ProjectFile, Vec<String>) {
        let mut faults = Faults::of(Path::new("project.yaml"));
        let file = ProjectFile::parse(text.as_bytes(), folder, &mut faults);
        (
            file,
            faults.into_found().iter().map(ToString::to_string).collect(),
        )
    }

    #[test]
    fn nothing_is_mandatory_where_the_folder_has_a_name() {
        for text in ["", "# later\n", "settings:\n", "settings:\n  parameters:\n"] {
            let (file, faults) = parsed(text, "My Newsroom");
            assert_eq!(faults, Vec::<String>::new());
            assert_eq!(file.id, Some(ProjectId::new("my-newsroom").unwrap()));
            assert_eq!(
                (file.name.as_str(), file.status),
                ("My Newsroom", ProjectStatus::Active)
            );
            assert_eq!(file.settings, Settings::default());
        }
    }

    #[test]
    fn every_field_is_read() {
        let (file, faults) = parsed(
            "id: news\nname: News\ndescription: All of it\nstatus: INACTIVE\nsettings:\n  model: acme.v1\n  \
             parameters: {maxTokens: 10, temperature: 1, topP: 0.5, stopSequences: [END]}\n  timeoutSeconds: 9\n  \
             guardrail: {id: g, version: DRAFT}\n  limits: {articleBytes: 1000, costPerArticle: 0.5}\n",
            "x",
        );
        assert_eq!(faults, Vec::<String>::new());
        let settings = serde_json::to_value(&file.settings).unwrap();
        assert_eq!(
            settings,
            serde_json::json!({
                "model": "acme.v1",
                "parameters": {"maxTokens": 10, "temperature": 1.0, "topP": 0.5, "stopSequences": ["END"]},
                "timeoutSeconds": 9,
                "guardrail": {"id": "g", "version": "DRAFT"},
                "limits": {"articleBytes": 1000, "costPerArticle": 0.5},
            })
        );
        assert_eq!(
            (file.name.as_str(), file.status),
            ("News", ProjectStatus::Inactive)
        );
        let known = PROJECT
            .paths
            .iter()
            .filter_map(|path| path.strip_prefix("settings."))
            .filter(|path| !path.contains('.'))
            .count();
        assert_eq!(known, settings.as_object().unwrap().len());
    }

    #[test]
    fn a_folder_whose_name_makes_no_id_asks_for_one() {
        let (file, faults) = parsed("name: 뉴스", "뉴스");
        assert_eq!(file.id, None);
        assert_eq!(
            faults,
            [
                "project.yaml: the folder's name \"뉴스\" makes no project id: write one, such as `id: newsroom`"
            ]
        );
    }

    proptest! {
        #[test]
        fn any_file_is_answered(text in "(?s)(\n|  |[&*!{}\\[\\]a-z\"':,|> #%é-]|name: |settings:|parameters:|maxTokens: ){0,60}") {
            let _ = parsed(&text, "x");
        }
    }
}
