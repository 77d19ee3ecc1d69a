//! `copexctl skills`, and that a run is offered what it says.

use copex_tests::cli::CopilotCli;
use copex_tests::model::RecordedRequest;
use copex_tests::process::Launch;
use serde_json::{Value, json};

use crate::product::Product;

fn put(product: &Product, folder: &str, name: &str, words: &str) {
    let text =
        format!("---\nname: {name}\ndescription: >-\n  Knows\n  {words}.\n---\nAll of it.\n");
    product.daemon.sandbox().write(format!("{folder}/{name}/SKILL.md"), &text);
}

/// A product with skills in every usual folder.
fn product() -> Product {
    let product = Product::start();
    put(&product, "work/.github/skills", "tides", "the tides of github");
    put(&product, "work/.claude/skills", "tides", "the tides of claude");
    put(&product, "work/.claude/skills", "stars", "the stars");
    put(&product, "work/.copex/skills", "winds", "the winds");
    put(&product, "home/.agents/skills", "moons", "the moons");
    put(&product, "elsewhere", "stars", "other stars");
    put(&product, "elsewhere", "rocks", "the rocks");
    let sandbox = product.daemon.sandbox();
    sandbox.write("work/.github/skills/odd/SKILL.md", "---\nname: odd\ndescription: a: b\n---\n");
    sandbox.write("work/.github/skills/none/README.md", "nothing");
    product
}

fn states(list: &Value) -> Vec<(String, String, String)> {
    let text = |skill: &Value, field: &str| skill[field].as_str().unwrap().to_owned();
    let skills = list["skills"].as_array().unwrap().iter();
    skills.map(|it| (text(it, "name"), text(it, "state"), text(it, "source"))).collect()
}

#[test]
fn the_list_has_sources_precedence_shadows_and_problems() {
    let product = product();
    let elsewhere = product.daemon.sandbox().path("elsewhere").display().to_string();
    let list = |args: &[&str]| {
        let base = ["skills", "list", "--json", "-S", &elsewhere];
        product.ctl().run(base.iter().chain(args)).expect_code(0).json()
    };
    let all = list(&["--disable-skill", "winds"]);
    let row = |name: &str, state: &str, source: &str| {
        (name.to_owned(), state.to_owned(), source.to_owned())
    };
    let expected = [
        row("tides", "offered", "project"),
        row("stars", "offered", "project"),
        row("tides", "shadowed", "project"),
        row("winds", "disabled", "project"),
        row("moons", "offered", "user"),
        row("rocks", "offered", "named"),
        row("stars", "shadowed", "named"),
    ];
    assert_eq!(states(&all), expected, "{all:#}");
    assert_eq!(all["skills"][0]["description"], "Knows the tides of github.");
    let by = all["skills"][2]["shadowed_by"].as_str().unwrap();
    assert!(by.ends_with(".github/skills/tides/SKILL.md"), "{by}");
    let problems = all["problems"].as_array().unwrap();
    let problem = |end: &str| {
        let mut named = problems.iter().filter(|it| it["path"].as_str().unwrap().ends_with(end));
        named.next().unwrap_or_else(|| panic!("{all:#}"))["message"].as_str().unwrap().to_owned()
    };
    assert!(problem("/odd").contains("no YAML"), "{all:#}");
    assert!(problem("/none").contains("SKILL.md"), "{all:#}");

    let named = list(&["--no-auto", "--skill", "stars"]);
    let expected = [row("rocks", "not_named", "named"), row("stars", "offered", "named")];
    assert_eq!(states(&named), expected, "{named:#}");

    let output = product.ctl().run(["skills", "list"]).expect_code(0);
    assert!(output.stdout.contains("shadowed by"), "{}", output.stdout);
    assert!(output.stderr.contains("odd") && output.stderr.contains("no YAML"), "{output:?}");
}

#[test]
fn one_is_shown_whole_and_one_that_is_not_there_is_an_error() {
    let product = product();
    let object = product.ctl().run(["skills", "show", "tides", "--json"]).expect_code(0).json();
    assert!(object["text"].as_str().unwrap().ends_with("All of it.\n"), "{object}");
    assert_eq!(object["shadows"].as_array().unwrap().len(), 1, "{object}");
    let text = product.ctl().run(["skills", "show", "tides"]).ok();
    for words in ["Knows the tides of github.", "shadows", "All of it."] {
        assert!(text.contains(words), "{text}");
    }
    let output = product.ctl().run(["skills", "show", "tide"]).expect_code(1);
    assert!(output.stderr.contains("`tide`") && output.stderr.contains("tides"), "{output:?}");
}

#[test]
fn both_ways_to_run_a_turn_offer_what_the_list_says() {
    let product = product();
    let elsewhere = product.daemon.sandbox().path("elsewhere").display().to_string();
    let table: [(&[&str], &[&str]); 5] = [
        (&[], &["tides of github", "stars", "winds", "moons"]),
        (&["-S", &elsewhere], &["tides of github", "stars", "winds", "moons", "rocks"]),
        (&["--disable-skill", "tides", "--disable-skill", "moons"], &["stars", "winds"]),
        (&["--skill", "winds", "--skill", "stars"], &["stars", "winds"]),
        (&["--no-auto-skills", "-S", &elsewhere, "--disable-skill", "stars"], &["rocks"]),
    ];
    let known = ["tides of github", "tides of claude", "stars", "winds", "moons", "rocks"];
    for way in [&[][..], &["--use-cli"]] {
        for (args, expected) in table {
            let words = ["chat", "go"].iter().chain(args).chain(way);
            let _answer = product.ctl().run(words).expect_code(0);
            let body = product.last_request().body.to_string();
            let offered = known.iter().filter(|it| body.contains(&format!("Knows the {it}.")));
            let offered: Vec<_> = offered.copied().collect();
            assert_eq!(offered, expected, "{way:?} {args:?}");
            // Those that come with the Copilot CLI count where skills are named.
            let built_in = body.contains("customize-cloud-agent");
            assert_eq!(built_in, !args.contains(&"--skill"), "{way:?} {args:?}");
        }
    }
}

#[test]
fn skills_are_named_by_the_configuration_and_by_requests() {
    let product = Product::with(|builder| builder.config("skills = [\"stars\"]\n"));
    put(&product, "work/.claude/skills", "stars", "the stars");
    put(&product, "work/.claude/skills", "tides", "the tides");
    let knows = |request: &RecordedRequest| {
        let body = request.body.to_string();
        ["stars", "tides"].map(|name| body.contains(&format!("Knows the {name}.")))
    };
    let _answer = product.chat(["go"]).expect_code(0);
    assert_eq!(knows(&product.last_request()), [true, false]);
    let folder = product.daemon.sandbox().path("work/.claude/skills");
    let mut rpc = product.rpc();
    let more = json!({"skill_directories": [folder], "skills": ["tides"]});
    let run = product.submit(&mut rpc, "go", more);
    crate::product::follow(&mut rpc, &run);
    assert_eq!(knows(&product.last_request()), [false, true]);

    let output = product.chat(["go", "--skill", "star"]).expect_code(2);
    for words in ["`star`", "stars", "tides", "copexctl skills list"] {
        assert!(output.stderr.contains(words), "{}", output.stderr);
    }
}

#[test]
fn a_skill_that_was_changed_is_read_anew() {
    let product = Product::start();
    put(&product, "work/.claude/skills", "stars", "three stars");
    let _answer = product.chat(["go"]).expect_code(0);
    put(&product, "work/.claude/skills", "stars", "four stars");
    let _answer = product.chat(["go"]).expect_code(0);
    assert!(product.last_request().body.to_string().contains("Knows four stars."));
}

#[test]
fn of_skills_in_each_others_way_the_same_wins_everywhere() {
    let product = Product::start();
    let sandbox = product.daemon.sandbox();
    let below = sandbox.path("work/repo/a/b");
    std::fs::create_dir_all(&below).unwrap();
    let repository = sandbox.path("work/repo").display().to_string();
    Launch::inside(sandbox, "git").args(["init", "-q", &repository]).run().ok();
    // In the order in which they win: the kind of a folder counts before its depth.
    let places = [
        "work/repo/.github",
        "work/repo/a/b/.agents",
        "work/repo/a/.agents",
        "work/repo/.agents",
        "work/repo/a/b/.claude",
        "copilot",
        "home/.agents",
    ];
    // Above the repository nobody looks.
    for place in ["work/.github"].iter().chain(&places) {
        put(&product, &format!("{place}/skills"), "tides", &format!("it from {place}"));
    }
    let cwd = below.display().to_string();
    let told = || {
        let body = product.last_request().body.to_string();
        let from = |place: &&&str| body.contains(&format!("Knows it from {place}."));
        places.iter().filter(from).copied().collect::<Vec<_>>()
    };
    for place in places {
        let list = product.ctl().run(["skills", "list", "--json", "--cwd", &cwd]).json();
        let first = &list["skills"].as_array().unwrap()[0];
        assert_eq!(first["description"], format!("Knows it from {place}."), "{list:#}");
        for way in [&[][..], &["--use-cli"]] {
            product.ctl().run(["chat", "go", "--cwd", &cwd].iter().chain(way)).ok();
            assert_eq!(told(), [place], "{way:?}");
        }
        // By itself it looks there only while its own home is `~/.copilot`.
        if place != "home/.agents" {
            let vars = product.model.provider_env();
            let alone = CopilotCli::install().launch(product.daemon.sandbox(), vars);
            let _answer = alone.cwd(&below).args(["-p", "go"]).run().expect_code(0);
            assert_eq!(told(), [place], "the Copilot CLI by itself");
        }
        std::fs::remove_dir_all(product.daemon.sandbox().path(format!("{place}/skills"))).unwrap();
    }
}

#[test]
fn without_a_repository_nothing_above_the_folder_is_offered() {
    let product = Product::start();
    std::fs::create_dir_all(product.daemon.sandbox().path("work/below")).unwrap();
    put(&product, "work/.github/skills", "tides", "what others put there");
    put(&product, "work/below/.claude/skills", "stars", "the stars");
    let cwd = product.daemon.sandbox().path("work/below").display().to_string();
    for way in [&[][..], &["--use-cli"]] {
        product.ctl().run(["chat", "go", "--cwd", &cwd].iter().chain(way)).ok();
        let body = product.last_request().body.to_string();
        assert!(body.contains("Knows the stars."), "{way:?}");
        assert!(!body.contains("what others put there"), "{way:?}");
    }
}
