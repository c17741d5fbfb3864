//! What follows from what ran, with our client and with the published one against one server:
//! repositories, and every change of a system with its proof.

use super::flows::{clients, git};
use crate::running::Place;

#[test]
fn a_system_is_followed_across_its_environments() {
    let place = Place::new();
    let running = place.serve();
    std::fs::create_dir_all(place.path("code")).unwrap();
    git(&place, &["init", "-q"]);
    git(&place, &["commit", "-q", "--allow-empty", "-m", "first"]);
    let commit = git(&place, &["rev-parse", "HEAD"]);
    let code = place.text("code");
    let clients = clients(&place, &running);
    for (flow, client) in &clients {
        place.write("web.bin", flow);
        let file = place.text("web.bin");
        let (name, host) = (format!("acme/{flow}"), "https://github.com/acme");
        let about = format!(
            "--repository {name} --repo-id {flow}-7 --repo-url {host}/{flow} --repo-provider github"
        );
        client.ok(&format!("create flow {flow} --use-empty-template"));
        client.ok(&format!("attest artifact {file} --artifact-type file --name web --flow {flow} --trail t1 --commit {commit} --repo-root {code} --build-url http://b --commit-url http://c {about}"));
        let repo = client.ok(&format!("get repo {name}"));
        for told in [name.as_str(), &format!("{host}/{flow}"), "github", "None"] {
            assert!(repo.contains(told), "{told}: {repo}");
        }
        client.ok(&format!("tag repo {name} --set team=shop"));
        let list = client.ok("list repos --tag team:shop");
        assert!(list.contains(&name) && list.contains("team=shop"), "{list}");
        let missing = client.fails("get repo acme/none");
        assert!(missing.contains("Repo 'acme/none' not found"), "{missing}");
        for environment in ["staging", "prod"] {
            let environment = format!("{flow}-{environment}");
            client.ok(&format!("create environment {environment} --type server"));
            client.ok(&format!(
                "tag environment {environment} --set system={flow}"
            ));
            client.ok(&format!(
                "snapshot path {environment} --name deployed --path {file}"
            ));
        }
        place.write("web.bin", "nobody knows this");
        client.ok(&format!(
            "snapshot path {flow}-prod --name deployed --path {file}"
        ));
    }

    // Ours alone.
    let (_, ours) = &clients[0];
    let proofs = place.text("proofs");
    let table = ours.ok("log changes --tag system=ours");
    let told: Vec<&str> = table.lines().collect();
    assert_eq!(told.len(), 10, "{table}");
    for (line, words) in [
        (
            1,
            [
                "ours-staging#1",
                "1 instance started running (from 0 to 1)",
                "t1",
            ],
        ),
        (
            2,
            [
                "ours-prod#1",
                "1 instance started running (from 0 to 1)",
                "t1",
            ],
        ),
        (
            3,
            [
                "ours-prod#2",
                "1 instance started running (from 0 to 1)",
                "deployed",
            ],
        ),
        (
            4,
            [
                "ours-prod#2",
                "1 instance stopped running (from 1 to 0)",
                "t1",
            ],
        ),
        (7, ["ours-prod", "#1 to #2", "3"]),
        (8, ["ours-staging", "#1 to #1", "1"]),
    ] {
        for word in words {
            assert!(told[line].contains(word), "{word} in line {line}: {table}");
        }
    }
    let csv = ours.ok(&format!(
        "log changes --tag system=ours -o csv --proof {proofs}"
    ));
    assert!(
        csv.starts_with("time,environment,snapshot,entry,change,"),
        "{csv}"
    );
    assert_eq!(csv.matches("\r\n").count(), 5, "{csv}");
    assert!(csv.contains(&commit), "{csv}");
    let entries: Vec<String> = csv
        .lines()
        .skip(1)
        .map(|line| line.split(',').nth(3).unwrap().to_owned())
        .collect();
    let different: std::collections::BTreeSet<&String> = entries.iter().collect();
    assert_eq!(different.len(), 3, "two changes are of one entry");
    for entry in different {
        place.ok(&[
            "verify",
            &format!("{proofs}/entry-{entry}.tlog-proof"),
            "--entry",
            &format!("{proofs}/entry-{entry}.json"),
            "--key-file",
            &format!("{proofs}/keys"),
        ]);
    }
    // Another entry's receipt proves nothing about this one.
    place.fails(&[
        "verify",
        &format!("{proofs}/entry-{}.tlog-proof", entries[0]),
        "--entry",
        &format!("{proofs}/entry-{}.json", entries[1]),
        "--key-file",
        &format!("{proofs}/keys"),
    ]);
    let json: serde_json::Value =
        serde_json::from_str(&ours.ok("log changes --environment ours-prod -o json")).unwrap();
    assert_eq!(json["totals"]["started"], 2);
    assert_eq!(json["environments"][0]["totals"]["exited"], 1);
    assert_eq!(
        json["changes"][0]["provenance"][0]["commit"],
        commit.as_str()
    );
    let none = ours.ok("log changes --environment ours-prod --since 2999-01-01");
    assert!(none.starts_with("No changes were found."), "{none}");
    drop(clients);
    running.stop();
    place.ok(&["admin", "fsck", "--data-dir", &place.text("data")]);
    place.ok(&["admin", "rebuild", "--data-dir", &place.text("data")]);
    place.ok(&["admin", "fsck", "--data-dir", &place.text("data")]);
}
