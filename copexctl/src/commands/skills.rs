//! `skills`: which there are, from where, and which a run is offered.

use std::path::Path;

use copex_proto::skill::{SkillDetail, SkillInfo, SkillList, SkillQuery, SkillState};
use serde_json::{Value, json};

use crate::cli::{SkillFolders, SkillsCommand, ToolFlags, TurnFlags};
use crate::connect::Connection;
use crate::context::Context;
use crate::error::{Failure, Result};
use crate::exit::Exit;
use crate::settings::{self, Given};
use crate::skills::{self, Place};
use crate::{render, request};

/// Characters of a description in the list.
const DESCRIPTION_CHARS: usize = 70;

/// Lists skills, or shows one.
pub(crate) fn run(ctx: &Context, command: SkillsCommand) -> Result<Exit> {
    match command {
        SkillsCommand::List { folders } => list(ctx, folders),
        SkillsCommand::Show { name, folders } => show(ctx, &name, folders),
    }
}

/// A connection, the folders, and what the daemon is asked.
fn look(ctx: &Context, given: SkillFolders) -> Result<(Connection, Vec<Place>, SkillQuery)> {
    let here = crate::env::working_folder()
        .map_err(|error| Failure::file("find", Path::new("the working folder"), &error))?;
    let tools = ToolFlags {
        skill_dir: given.skill_dir,
        disable_skill: given.disable_skill,
        skill: given.skill,
        no_auto_skills: given.no_auto_skills,
        ..ToolFlags::default()
    };
    let flags = request::layer(&TurnFlags { tools, ..TurnFlags::default() }, &ctx.home, &here)?;
    let settings = settings::load(ctx, Given { file: given.config, cwd: given.cwd, flags })?;
    skills::refuse_absent(&settings)?;
    let mut ctx = ctx.clone();
    ctx.auto_start = settings.config.auto_start;
    let places = skills::places(&ctx, &settings);
    let query = skills::query(&ctx, &settings);
    Ok((Connection::open(&ctx)?, places, query))
}

fn list(ctx: &Context, folders: SkillFolders) -> Result<Exit> {
    let as_json = folders.json;
    let (mut connection, places, query) = look(ctx, folders)?;
    let list: SkillList = connection.call("skill.list", &json!({ "query": query }))?;
    if as_json {
        let skills: Vec<Value> = list.skills.iter().map(|skill| value(skill, &places)).collect();
        let folders: Vec<Value> = places
            .iter()
            .map(|place| json!({ "path": place.folder, "source": place.source }))
            .collect();
        render::value(&json!({
            "skills": skills, "problems": list.problems, "folders": folders,
        }))?;
        return Ok(Exit::Done);
    }
    let rows: Vec<Vec<String>> = list
        .skills
        .iter()
        .map(|skill| {
            vec![
                render::clean(&skill.name),
                in_words(skill),
                format!("{} {}", source(skill, &places), skill.directory),
                render::brief(&skill.description, DESCRIPTION_CHARS),
            ]
        })
        .collect();
    render::text(render::table(&rows).as_bytes())?;
    if rows.is_empty() {
        render::note("no skills are found; `copexctl help skills` says where they are looked for");
    }
    for problem in &list.problems {
        render::note(&format!("no skill: {}: {}", problem.path, render::clean(&problem.message)));
    }
    Ok(Exit::Done)
}

fn show(ctx: &Context, name: &str, folders: SkillFolders) -> Result<Exit> {
    let as_json = folders.json;
    let (mut connection, places, query) = look(ctx, folders)?;
    let params = json!({ "name": name, "query": query });
    let detail: SkillDetail = connection.call("skill.get", &params)?;
    if as_json {
        let mut object = value(&detail.skill, &places);
        object["text"] = json!(detail.text);
        object["shadows"] = detail.shadows.iter().map(|skill| value(skill, &places)).collect();
        render::value(&object)?;
        return Ok(Exit::Done);
    }
    let skill = &detail.skill;
    let row = |name: &str, text: &str| vec![name.to_owned(), render::clean(text)];
    let mut rows = vec![
        row("name", &skill.name),
        row("description", &skill.description.replace('\n', " ")),
        row("file", &skill.path),
        row("source", source(skill, &places)),
        row("state", &in_words(skill)),
    ];
    rows.extend(detail.shadows.iter().map(|other| row("shadows", &other.path)));
    render::text(render::table(&rows).as_bytes())?;
    render::line("")?;
    render::line(render::clean(&detail.text).trim_end())?;
    Ok(Exit::Done)
}

fn source<'a>(skill: &SkillInfo, places: &[Place]) -> &'a str {
    let folder = Path::new(&skill.directory);
    places.iter().find(|place| place.folder == folder).map_or("named", |place| place.source)
}

fn value(skill: &SkillInfo, places: &[Place]) -> Value {
    let mut value = serde_json::to_value(skill).unwrap_or_default();
    value["source"] = json!(source(skill, places));
    value
}

fn in_words(skill: &SkillInfo) -> String {
    match (skill.state, &skill.shadowed_by) {
        (SkillState::Offered, _) => "offered".to_owned(),
        (SkillState::Shadowed, Some(by)) => format!("shadowed by {by}"),
        (SkillState::Shadowed, None) => "shadowed".to_owned(),
        (SkillState::Disabled, _) => "disabled".to_owned(),
        (SkillState::NotNamed, _) => "not named".to_owned(),
    }
}
