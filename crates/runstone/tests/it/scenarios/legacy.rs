//! What scripts older than trails do, with our client, and whether an artifact is compliant, with
//! ours and the published one.

use super::flows::{Client, clients, git};
use crate::running::{Place, Running, block_on, request};

fn code(place: &Place) -> String {
    std::fs::create_dir_all(place.path("code")).unwrap();
    git(place, &["init", "-q"]);
    git(place, &["commit", "-q", "--allow-empty", "-m", "first"]);
    git(place, &["commit", "-q", "--allow-empty", "-m", "second"]);
    place.text("code")
}

fn check(running: Running, place: &Place) {
    running.stop();
    place.ok(&["admin", "fsck", "--data-dir", &place.text("data")]);
    place.ok(&["admin", "rebuild", "--data-dir", &place.text("data")]);
    place.ok(&["admin", "fsck", "--data-dir", &place.text("data")]);
}

fn fingerprint(client: &Client<'_>, file: &str) -> String {
    let told = client.ok(&format!("fingerprint {file} --artifact-type file"));
    told.trim().to_owned()
}

#[test]
fn older_scripts_approve_and_announce() {
    let place = Place::new();
    let running = place.serve();
    let code = code(&place);
    place.write("web.bin", "web");
    let file = place.text("web.bin");
    let clients = clients(&place, &running);
    let ours = &clients[0].1;
    ours.ok("create flow web --use-empty-template");
    ours.ok("create environment prod --type server");
    let what = format!("{file} --artifact-type file --flow web");
    let from = format!("--repo-root {code}");
    let asked = ours.fails(&format!("assert approval {what}"));
    assert!(asked.contains("does not exist in flow 'web'"), "{asked}");
    ours.ok(&format!("attest artifact {what} --name web --trail t1 --commit HEAD {from} --build-url http://b --commit-url http://c"));
    let asked = ours.fails(&format!("assert approval {what}"));
    assert!(asked.contains("has no approvals created"), "{asked}");

    let told = ours.ok(&format!(
        "request approval {what} --environment prod --oldest-commit HEAD~1 {from}"
    ));
    assert!(told.contains("approval request created"), "{told}");
    let asked = ours.fails(&format!("assert approval {what}"));
    assert!(asked.contains("is not approved"), "{asked}");
    ours.ok(&format!(
        "report approval {what} --environment prod --description fine --approver ada {from} --oldest-commit HEAD~1"
    ));
    let asked = ours.ok(&format!("assert approval {what}"));
    assert!(asked.contains("is approved (approval no. [2])"), "{asked}");
    // From now on the commit that was approved is known.
    ours.ok(&format!(
        "request approval {what} --environment prod {from}"
    ));
    let approval = running.get("/api/v2/approvals/acme/web/-1");
    let commits = approval["src_commit_list"].as_array().unwrap();
    // Nothing came since: the commit itself stands for the change.
    assert_eq!(commits.len(), 1, "{approval:#}");
    ours.ok(&format!(
        "expect deployment {what} --environment prod --build-url http://deploys"
    ));
    let refused = ours.fails(&format!(
        "expect deployment {what} --environment none --build-url http://deploys"
    ));
    assert!(
        refused.contains("Environment named 'none' does not exist"),
        "{refused}"
    );
    ours.ok(&format!("snapshot path prod --name deployed --path {file}"));
    ours.ok(&format!(
        "attest generic {what} --name web.scan --trail t1 --commit HEAD {from}"
    ));

    let fingerprint = fingerprint(ours, &file);
    for (_, client) in &clients {
        let artifact = client.ok(&format!("get artifact web@{fingerprint}"));
        let mut rest = artifact.as_str();
        for line in [
            "web reported",
            "Approval #1 requested for prod environment",
            "Approval #2 given for prod environment",
            "Approval #3 requested for prod environment",
            "Deployment #1 to prod environment",
            "Started running in prod#1 environment",
            "scan evidence received",
        ] {
            let (_, after) = rest
                .split_once(line)
                .unwrap_or_else(|| panic!("{line}: {artifact}"));
            rest = after;
        }
        let trail = client.ok("get trail t1 --flow web");
        for line in [
            "approval #1 requested",
            "approval #2 created by 'external://ada'",
        ] {
            assert!(trail.contains(line), "{line}: {trail}");
        }
    }
    let artifact = ours.ok(&format!("get artifact web@{fingerprint}"));
    assert!(
        artifact.contains("scan evidence received (late)"),
        "{artifact}"
    );
    let changes = ours.ok("log changes --environment prod");
    assert!(changes.contains("#2 APPROVED"), "{changes}");
    drop(clients);
    check(running, &place);
}

#[test]
fn an_artifact_is_asserted_with_both_clients() {
    let place = Place::new();
    let running = place.serve();
    let code = code(&place);
    for (name, client) in clients(&place, &running) {
        place.write("web.bin", name);
        let file = place.text("web.bin");
        let what = format!("{file} --artifact-type file");
        let about = format!("--commit HEAD --repo-root {code} --build-url http://b");
        let unknown = client.fails(&format!("assert artifact {what} --flow {name}"));
        assert!(unknown.contains("does not exist"), "{unknown}");
        let (first, second) = (format!("{name}-1"), format!("{name}-2"));
        for flow in [&first, &second] {
            client.ok(&format!("create flow {flow} --use-empty-template"));
            client.ok(&format!("attest artifact {what} --name web --flow {flow} --trail t1 {about} --commit-url http://c"));
        }
        let yes = client.ok(&format!("assert artifact {what}"));
        assert!(yes.contains("COMPLIANT"), "{yes}");
        assert!(yes.contains(&format!("flows/{first}/artifacts/")), "{yes}");
        let json = client.ok(&format!("assert artifact {what} --output json"));
        let json: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(json["flows"].as_array().unwrap().len(), 2, "{json}");

        client.ok(&format!("attest generic {what} --name web.scan --compliant=false --flow {second} --trail t1 --commit HEAD --repo-root {code}"));
        client.fails(&format!("assert artifact {what}"));
        client.fails(&format!("assert artifact {what} --flow {second}"));
        client.ok(&format!("assert artifact {what} --flow {first}"));
        client.ok(&format!("create environment {name}-env --type server"));
        client.ok(&format!(
            "assert artifact {what} --flow {first} --environment {name}-env"
        ));
        let policy = client.fails(&format!("assert artifact {what} --policy none"));
        assert!(policy.contains("Policy 'none' does not exist"), "{policy}");

        // Evidence as older clients send it.
        let fingerprint = fingerprint(&client, &file);
        let evidence = serde_json::json!({"artifact_fingerprint": fingerprint, "name": "scan",
            "build_url": "http://b", "is_compliant": true});
        let path = format!("/api/v2/evidence/acme/artifact/{second}/generic");
        let body = format!(
            "--b\r\nContent-Disposition: form-data; name=\"evidence_json\"\r\n\r\n{evidence}\r\n--b--\r\n"
        );
        let sent = request(&running.host, "POST", &path, None)
            .header("content-type", "multipart/form-data; boundary=b")
            .body(body);
        let status = block_on(async { sent.send().await.unwrap().status() });
        assert_eq!(status.as_u16(), 201);
        client.ok(&format!("assert artifact {what}"));
    }
    check(running, &place);
}
