use super::template::{Field, Piece, pieces};
use super::*;
use crate::effort::Effort;
use crate::run::OnDependencyFailure;

fn task(id: &str, depends_on: &[&str]) -> FleetTask {
    FleetTask {
        id: id.to_owned(),
        prompt: "do it".to_owned(),
        depends_on: depends_on.iter().map(|it| (*it).to_owned()).collect(),
        ..FleetTask::default()
    }
}

fn refused(tasks: &[FleetTask]) -> String {
    let error = check(tasks).unwrap_err();
    format!("{error} ({})", error.hint.as_deref().unwrap_or_default())
}

#[test]
fn a_toml_file_of_python_copex_is_read() {
    let text = r#"
[fleet]
max_concurrent = 3
shared_context = "be brief"
timeout = 60
fail_fast = true

[[task]]
id = "a"
prompt = "one"
model = "gpt-5.4"
reasoning_effort = "high"
exclude_tools = "bash, edit"
skills_dirs = "skills"
skills = ["x"]
mcp_servers = [{name = "docs", command = "docs"}]
timeout_sec = 1.5

[[task]]
prompt = "two {{task:a.content}}"
depends_on = ["a"]
on_dependency_failure = "continue"
cwd = "sub"
verify = ["cargo test"]
priority = 2
"#;
    let file = read(text, Format::of("tasks", text)).unwrap();
    assert_eq!(
        (file.max_concurrent, file.timeout, file.fail_fast),
        (Some(3), Some(60.0), Some(true))
    );
    assert_eq!(file.shared_context.as_deref(), Some("be brief"));
    let [a, b] = &file.tasks[..] else { panic!() };
    assert_eq!(a.exclude_tools, ["bash", "edit"]);
    assert_eq!((a.reasoning_effort, a.timeout_sec), (Some(Effort::High), Some(1.5)));
    assert!(a.mcp_servers.contains_key("docs"));
    assert_eq!(a.skills.as_deref(), Some(&["x".to_owned()][..]));
    assert_eq!((b.id.as_str(), b.priority), ("task-2", 2));
    assert_eq!(b.on_dependency_failure, OnDependencyFailure::Continue);
    assert_eq!(check(&file.tasks), Ok(()));
    let json =
        r#"{"tasks": [{"prompt": "one"}, {"id": "b", "prompt": "two", "depends_on": "task-1"}]}"#;
    let file = read(json, Format::of("-", json)).unwrap();
    assert_eq!(file.tasks[1].depends_on, ["task-1"]);
}

#[test]
fn a_jsonl_file_of_python_copex_is_read() {
    let text = "# tasks\n\n// more\n{\"task\": \"one\", \"reasoning\": \"low\", \"timeout\": 5}\n\
                {\"id\": \"b\", \"task\": \"two\", \"depends_on\": \"jsonl-4\"}\n";
    assert_eq!(Format::of("x.txt", text), Format::Jsonl);
    let file = read(text, Format::Jsonl).unwrap();
    assert_eq!(file.tasks[0].id, "jsonl-4");
    assert_eq!(
        (file.tasks[0].reasoning_effort, file.tasks[0].timeout_sec),
        (Some(Effort::Low), Some(5.0))
    );
    assert_eq!(file.tasks[1].depends_on, ["jsonl-4"]);
    let lines = read("one\n\n two \n", Format::of("", "one\n\n two \n")).unwrap();
    assert_eq!(lines.tasks[1], FleetTask { id: "task-2".to_owned(), ..task("", &[]) }.with("two"));
}

impl FleetTask {
    fn with(self, prompt: &str) -> Self {
        Self { prompt: prompt.to_owned(), ..self }
    }
}

#[test]
fn what_is_not_understood_is_refused_by_name() {
    let wrong = |text: &str, format: Format| {
        let error = read(text, format).unwrap_err();
        format!("{error} ({})", error.hint.as_deref().unwrap_or_default())
    };
    let cases = [
        ("[[task]]\nprompt = 'x'\ndepend_on = []\n", Format::Toml, "did you mean `depends_on`?"),
        ("[[task]]\nid = 'x'\n", Format::Toml, "task 1 (`x`): it has no `prompt`"),
        ("[[task]]\nprompt = 3\n", Format::Toml, "prompt is no text"),
        ("[[task]\n", Format::Toml, "line 1: broken TOML"),
        ("[fleet]\nwide = 3\n", Format::Toml, "[fleet]: `wide` is not a key of it"),
        ("x = 3\n", Format::Toml, "`x` is not a key"),
        ("{\"tasks\": {}}", Format::Json, "no list of tasks"),
        ("{\"tasks\": [3]}", Format::Json, "task 1 is no table"),
        ("{", Format::Json, "broken JSON"),
        ("{}\n", Format::Jsonl, "line 1: it has no `task`"),
        ("{\"task\": \"x\", \"reasoning\": \"huge\"}", Format::Jsonl, "the effort is `huge`"),
        (" \n", Format::Toml, "it is empty"),
    ];
    for (text, format, words) in cases {
        let found = wrong(text, format);
        assert!(found.contains(words), "{text}: {found}");
    }
}

#[test]
fn tasks_that_are_no_fleet_are_refused_by_name() {
    assert!(refused(&[]).contains("no task"));
    assert!(
        refused(&[task("a", &[]), task("a", &[])]).contains("`a` is there twice: tasks 1 and 2")
    );
    assert!(
        refused(&[task("build", &[]), task("b", &["biuld"])]).contains("did you mean `build`?")
    );
    assert!(refused(&[task("a", &["a"])]).contains("depends on itself"));
    let round = [task("a", &["c"]), task("b", &["a"]), task("c", &["b"]), task("d", &["c"])];
    assert!(refused(&round).contains("in a circle: a → c → b → a"), "{}", refused(&round));
    for id in ["", " a", "a/b", ".a", "a{"] {
        assert!(check(&[task(id, &[])]).is_err(), "{id}");
    }
    assert!(refused(&[task("a", &[]).with(" ")]).contains("prompt is empty"));
    let many: Vec<FleetTask> = (0..=MOST_TASKS).map(|it| task(&it.to_string(), &[])).collect();
    assert!(refused(&many).contains("501 tasks; 500 at most"));
    let late = FleetTask { timeout_sec: Some(0.0), ..task("a", &[]) };
    assert!(refused(&[late]).contains("timeout_sec is 0"));
}

#[test]
fn templates_are_checked_before_anything_starts() {
    let with = |prompt: &str, depends_on: &[&str]| {
        let fleet = [task("a.1", &[]), task("b", &["a.1"]), task("c", depends_on).with(prompt)];
        check(&fleet)
            .map_err(|error| format!("{error} ({})", error.hint.as_deref().unwrap_or_default()))
    };
    assert_eq!(with("{{task:a.1.content}} {{ task }} {{task: b.duration_ms }}", &["b"]), Ok(()));
    let wrong = |prompt: &str| with(prompt, &[]).unwrap_err();
    assert!(wrong("{{task:a.1.content}}").contains("add `a.1` to depends_on of `c`"));
    assert!(wrong("{{task:x.content}}").contains("a task that is not there"));
    assert!(wrong("{{task:b.contents}}").contains("did you mean `content`?"));
    assert!(wrong("{{task:b}}").contains("names no field"));
    assert!(wrong("{{task:c.content}}").contains("the task itself"));
    assert!(wrong("{{task:b.content").contains("not ended"));
    let of = |id, field| Piece::Of { id, field };
    let taken = pieces("x {{task:a.error}}{{task:b.success}} y").unwrap();
    let wanted =
        [Piece::Text("x "), of("a", Field::Error), of("b", Field::Success), Piece::Text(" y")];
    assert_eq!(taken, wanted);
}

#[test]
fn waves_leave_nobody_out() {
    let fleet = [task("d", &["b", "c"]), task("a", &[]), task("b", &["a"]), task("c", &["a"])];
    assert_eq!(waves(&fleet), [vec![1], vec![2, 3], vec![0]]);
    assert_eq!(depths(&fleet), [2, 0, 1, 1]);
}
