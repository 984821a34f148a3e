//! `bedrock-diy tokens …`: who may use this machine's API.

use std::path::Path;

use bedrock_diy_core::{Code, Failure, access::Role, error::Result};
use bedrock_diy_embedded::DataFolder;
use bedrock_diy_identity::{TokenFile, local_token};
use comfy_table::{Table, presets::UTF8_FULL_CONDENSED};

use crate::{
    api::token_file,
    arguments::{AddToken, TokenRole, Tokens},
    exit::Exit,
    terminal::{print, say},
};

/// Does what was asked for with tokens.
pub(super) fn tokens(data: &Path, command: Tokens) -> Result<Exit> {
    let folder = DataFolder::open(data)?;
    let (tokens, _) = TokenFile::open_or_create(token_file(folder.path()), rand::random())?;
    match command {
        Tokens::List(list) => {
            let mut table = Table::new();
            table.load_style(UTF8_FULL_CONDENSED);
            table.set_header(["Name", "Role"]);
            for entry in tokens.entries()? {
                if list.json {
                    print(serde_json::json!({ "name": entry.name, "role": entry.role }))?;
                } else {
                    table.add_row([entry.name, entry.role.to_string()]);
                }
            }
            if !list.json {
                print(table)?;
            }
        }
        Tokens::Local => {
            let gone = || {
                let detail =
                    "this machine's own token was removed: make another with `bedrock-diy tokens add`";
                Failure::new(Code::InvalidRequest, detail)
            };
            print(local_token(&token_file(folder.path()))?.ok_or_else(gone)?)?;
        }
        Tokens::Add(AddToken { name, role }) => {
            let role = match role {
                TokenRole::Viewer => Role::Viewer,
                TokenRole::Editor => Role::Editor,
                TokenRole::Admin => Role::Admin,
            };
            let new = tokens.add(&name, role, rand::random())?;
            print(new.token)?;
            say(format_args!(
                "This is {name}'s token. It is shown this once and kept nowhere."
            ));
        }
        Tokens::Remove(remove) => {
            if !tokens.remove(&remove.name)? {
                let detail = format!(
                    "no token is called {:?}: `bedrock-diy tokens list` lists them",
                    remove.name
                );
                return Err(Failure::new(Code::InvalidRequest, detail));
            }
        }
    }
    Ok(Exit::Success)
}
