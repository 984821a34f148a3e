//! `bedrock-diy models`.

use bedrock_diy_core::{Code, Failure, catalogue::Catalogue, error::Result};
use comfy_table::{Table, presets::UTF8_FULL_CONDENSED};
use serde_json::json;

use crate::{arguments::Models, exit::Exit, terminal::print, text::grouped};

/// Lists the catalogue.
pub(super) fn list(catalogue: &Catalogue, arguments: &Models) -> Result<Exit> {
    if arguments.json {
        for family in &catalogue.families {
            let line = json!({
                "name": family.name, "ids": family.ids, "profiles": family.profiles, "onDemand": family.on_demand,
                "contextWindow": family.context_window, "maxOutput": family.max_output,
                "inputPrice": family.price.map(|price| price.input), "outputPrice": family.price.map(|price| price.output),
                "structuredOutput": family.structured_output, "source": family.source, "date": family.date,
            });
            print(line)?;
        }
        return Ok(Exit::Success);
    }
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED);
    // Names say no more than ids, and the table is wide enough; `--json` has them.
    table.set_header(["Id", "Profiles", "Context", "$/M in", "$/M out", "As of"]);
    for family in &catalogue.families {
        let price = |pick: fn(&bedrock_diy_core::catalogue::Price) -> f64| {
            family
                .price
                .as_ref()
                .map_or_else(|| "unknown".to_owned(), |price| format!("{}", pick(price)))
        };
        table.add_row([
            family.ids.join("\n"),
            family.profiles.join(" "),
            grouped(family.context_window),
            price(|price| price.input),
            price(|price| price.output),
            family.date.clone(),
        ]);
    }
    print(table)?;
    let default = catalogue.family(&catalogue.default_model).ok_or_else(|| {
        Failure::new(
            Code::InvalidRequest,
            format!(
                "default_model names {}, which the catalogue does not know",
                catalogue.default_model
            ),
        )
    })?;
    print(format_args!(
        "The default on Bedrock is {} ({}).",
        catalogue.default_model, default.name
    ))?;
    print("A profile stands in front of the id: us.anthropic.…")?;
    print(
        "Prices are estimates in US dollars for a million tokens; correct or add models with --models FILE.",
    )?;
    Ok(Exit::Success)
}
