//! `bedrock-diy` as the API's client: the real program against a real server.

mod cards;
mod chatting;
mod following;
mod issuer;
mod jobs;
mod projects;
mod signing_in;
mod stand_in;
mod submitting;
mod webhooks;

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use bedrock_diy_model_server::scripted::Script;
use bedrock_diy_tests::{Ended, Program, Project, ScriptedServer, Served};

/// Somebody at a command line, with a home folder of their own.
pub(super) struct Somebody {
    home: tempfile::TempDir,
    program: Program,
    endpoint: String,
}

/// A server over a project `news` with so many cards, and somebody who asks it.
pub(super) async fn served(cards: usize, script: Script) -> (ScriptedServer, Project, Served, Somebody) {
    let model = ScriptedServer::start(script).await;
    let project = Project::with_cards(cards);
    let program = Program::new(&project.data(), &model.url());
    let served = Served::start(&project, &program);
    let somebody = Somebody::new(&program, &served.url());
    (model, project, served, somebody)
}

impl Somebody {
    pub(super) fn new(program: &Program, endpoint: &str) -> Self {
        Self {
            home: tempfile::tempdir().unwrap(),
            program: program.clone(),
            endpoint: endpoint.to_owned(),
        }
    }

    /// A folder of theirs.
    pub(super) fn folder(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// A command, to be changed before it is started.
    pub(super) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.program.command(arguments.iter().copied());
        command
            .env("XDG_CONFIG_HOME", self.folder("config"))
            .env("XDG_STATE_HOME", self.folder("state"))
            .current_dir(self.home.path());
        command
    }

    /// What a command says and does.
    pub(super) fn run(&self, arguments: &[&str]) -> Ended {
        Ended::from(self.command(arguments).output().unwrap())
    }

    /// The same, of the API.
    pub(super) fn ask(&self, arguments: &[&str]) -> Ended {
        let with: Vec<_> = arguments
            .iter()
            .copied()
            .chain(["--endpoint", &self.endpoint])
            .collect();
        self.run(&with)
    }

    /// What a command of the API prints that must succeed.
    pub(super) fn asked(&self, arguments: &[&str]) -> String {
        done(self.ask(arguments))
    }
}

/// What a command printed that must have succeeded.
pub(super) fn done(ended: Ended) -> String {
    assert_eq!(ended.code, Some(0), "{}{}", ended.stdout, ended.stderr);
    ended.stdout
}

/// What a command said that must have failed so.
pub(super) fn failed(ended: Ended, code: i32) -> String {
    assert_eq!(ended.code, Some(code), "{}{}", ended.stdout, ended.stderr);
    ended.stderr
}

/// Writes files into a folder.
pub(super) fn write(folder: &Path, files: &[(&str, &str)]) {
    for (name, text) in files {
        let path = folder.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
}
