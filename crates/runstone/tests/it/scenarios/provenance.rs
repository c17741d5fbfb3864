//! From what runs back to the commit: the same answers with our client and with the published one,
//! against one server. What was rebuilt under a known name is nobody's.

use super::flows::{clients, git};
use crate::running::Place;

#[test]
fn what_runs_shows_its_commit_and_its_flow() {
    let place = Place::new();
    let running = place.serve();
    std::fs::create_dir_all(place.path("code")).unwrap();
    git(&place, &["init", "-q"]);
    let code = place.text("code");
    let file = place.text("web.bin");
    for (flow, client) in clients(&place, &running) {
        let is_ours = flow == "ours";
        let env = format!("{flow}-env");
        client.ok(&format!("create environment {env} --type server"));
        client.ok(&format!("create flow {flow} --use-empty-template"));
        let mut commits = Vec::new();
        for version in ["1", "2"] {
            git(&place, &["commit", "-q", "--allow-empty", "-m", version]);
            let commit = git(&place, &["rev-parse", "HEAD"]);
            place.write("web.bin", &format!("{flow} {version}"));
            let url = format!("https://github.com/acme/web/commit/{commit}");
            client.ok(&format!("attest artifact {file} --artifact-type file --name web --flow {flow} --trail {commit} --commit {commit} --repo-root {code} --build-url http://b --commit-url {url}"));
            client.ok(&format!("snapshot path {env} --name web.bin --path {file}"));
            commits.push((commit, url));
        }
        let (old, new) = (&commits[0], &commits[1]);
        let snapshot = client.ok(&format!("get snapshot {env}"));
        let row: Vec<&str> = snapshot
            .lines()
            .find(|line| line.contains("Name: web.bin"))
            .unwrap_or_else(|| panic!("{snapshot}"))
            .split_whitespace()
            .collect();
        assert_eq!(
            row[..4],
            [&new.0[..7], "Name:", "web.bin", flow],
            "{snapshot}"
        );
        let before = client.ok(&format!("get snapshot {env}#1"));
        assert!(before.contains(&old.0[..7]), "{before}");
        // At a time, in one command.
        let then = client.ok(&format!("get snapshot {env}@{{now}}"));
        assert!(then.contains(&new.0[..7]), "{then}");
        if is_ours {
            let proofs = place.text("proofs");
            let told = client.told(&format!("get snapshot {env}@{{now}} --proof {proofs}"));
            assert!(told.contains("receipts written to"), "{told}");
            let mut commits = 0;
            for file in std::fs::read_dir(&proofs).unwrap() {
                let path = file.unwrap().path();
                if path.extension().is_some_and(|end| end == "json") {
                    let entry = path.to_str().unwrap();
                    let receipt = entry.replace(".json", ".tlog-proof");
                    let keys = format!("{proofs}/keys");
                    place.ok(&["verify", &receipt, "--entry", entry, "--key-file", &keys]);
                    let stated = std::fs::read_to_string(&path).unwrap();
                    commits += usize::from(stated.contains(&format!("\"commit\":\"{}\"", new.0)));
                }
            }
            assert_eq!(commits, 1, "one of the entries states the commit");
        }
        let log = client.ok(&format!("log environment {env}"));
        let flows = log.lines().filter(|line| {
            line.starts_with('#') && line.split_whitespace().next_back() == Some(flow)
        });
        assert_eq!(flows.count(), 3, "{log}");
        let diff = client.ok(&format!("diff snapshots {env}#1 {env}#2"));
        for told in [flow, old.1.as_str(), new.1.as_str()] {
            assert!(diff.contains(told), "{told}: {diff}");
        }
        let json: serde_json::Value =
            serde_json::from_str(&client.ok(&format!("get snapshot {env} --output json"))).unwrap();
        let compared = &json["artifacts"]
            .as_array()
            .unwrap()
            .iter()
            .find(|artifact| artifact["annotation"]["now"] == 1)
            .unwrap()["deployment_diff"];
        assert_eq!(
            compared["diff_url"],
            format!("https://github.com/acme/web/compare/{}...{}", old.0, new.0)
        );

        // The same name with other content: of no commit, whatever it is called.
        place.write("web.bin", &format!("{flow} rebuilt by hand"));
        client.ok(&format!("snapshot path {env} --name web.bin --path {file}"));
        let snapshot = client.ok(&format!("get snapshot {env}"));
        assert!(snapshot.contains("Name: web.bin"), "{snapshot}");
        assert!(!snapshot.contains(&new.0[..7]), "{snapshot}");
        assert!(snapshot.contains("N/A"), "{snapshot}");
        if is_ours {
            let told = client.told(&format!("get snapshot {env}"));
            let warning = format!(
                "unknown provenance of web.bin: a known artifact has the same name, of flow {flow} and commit {}",
                &new.0[..7]
            );
            assert!(told.contains(&warning), "{told}");
        }
    }
    running.stop();
    place.ok(&["admin", "fsck", "--data-dir", &place.text("data")]);
    place.ok(&["admin", "rebuild", "--data-dir", &place.text("data")]);
}
