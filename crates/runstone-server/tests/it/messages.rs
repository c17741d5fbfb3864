//! The messages fixed by the contract (`api-environments.md` section 16).

use axum::http::Method;
use runstone_server::testing::TestServer;
use serde_json::json;

use crate::support::{ADMIN, fp, get, put_environment, refusal, report, server_report, servers};

const MISSING: &str = "Environment named 'none' does not exist for organization 'acme'";
const ARCHIVED: &str = "Environment named 'gone' has been archived for organization 'acme'";

async fn sent(server: &TestServer, method: Method, path: &str, body: &str) -> (u16, String) {
    let path = format!("/api/v2{path}");
    let reply = server.send(method, &path, ADMIN, body.to_owned()).await;
    let text = if reply.status.is_success() {
        reply.text()
    } else {
        reply.message()
    };
    (reply.status.as_u16(), text)
}

#[tokio::test]
async fn missing_and_archived_environments() {
    for server in servers().await {
        put_environment(&server, "gone", "server").await;
        report(&server, "gone", &[("a", &fp('a'), 1)]).await;
        let archive = sent(
            &server,
            Method::PUT,
            "/environments/acme/gone/archive",
            "null",
        )
        .await;
        assert_eq!(archive, (200, "\"OK\"".to_owned()));
        put_environment(&server, "all", "logical").await;
        for (name, message) in [("none", MISSING), ("gone", ARCHIVED)] {
            let expected = (404, message.to_owned());
            for path in [
                format!("/environments/acme/{name}"),
                format!("/environments/acme/{name}/events"),
                format!("/snapshots/acme/{name}"),
                format!("/snapshots/acme/{name}/-1"),
                format!("/env-diff/acme?snappish1={name}&snappish2={name}"),
            ] {
                assert_eq!(refusal(&server, &path).await, expected, "{path}");
            }
            let report = server_report(&[("a", &fp('a'), 1)]);
            for (method, path, body) in [
                (
                    Method::PUT,
                    format!("/environments/acme/{name}/archive"),
                    "null",
                ),
                (
                    Method::PUT,
                    format!("/environments/acme/{name}/rename"),
                    r#"{"new_name":"n"}"#,
                ),
                (
                    Method::PUT,
                    format!("/environments/acme/{name}/join"),
                    r#"{"physical_env_name":"all"}"#,
                ),
                (
                    Method::PUT,
                    format!("/environments/acme/{name}/report/server"),
                    &report,
                ),
                (Method::PATCH, format!("/environments/acme/{name}"), "{}"),
                (
                    Method::PATCH,
                    format!("/tags/acme/environment/{name}"),
                    "{}",
                ),
            ] {
                assert_eq!(sent(&server, method, &path, body).await, expected, "{path}");
            }
            let member = json!({"name": "l", "type": "logical", "description": "", "included_environments": [name]});
            let found = sent(
                &server,
                Method::PUT,
                "/environments/acme",
                &member.to_string(),
            )
            .await;
            assert_eq!(found, expected);
        }
        let empty = json!({"name": "l", "type": "logical", "description": "", "included_environments": [""]});
        let (status, message) = sent(
            &server,
            Method::PUT,
            "/environments/acme",
            &empty.to_string(),
        )
        .await;
        assert_eq!(
            (status, message.as_str()),
            (
                404,
                "Environment named '' does not exist for organization 'acme'"
            )
        );
        let listed = get(&server, "/environments/acme").await.json();
        assert_eq!(
            listed.as_array().unwrap().len(),
            1,
            "archived ones are left out"
        );

        // The name can be used again: a new environment with its own snapshots.
        put_environment(&server, "gone", "docker").await;
        let shown = get(&server, "/environments/acme/gone").await.json();
        assert_eq!(
            (&shown["type"], &shown["last_changed_at"]),
            (&json!("docker"), &json!(null))
        );
    }
}

#[tokio::test]
async fn environments_that_are_not_valid() {
    for server in servers().await {
        for (body, path, text) in [
            (
                json!({"name": "new illegal name", "type": "server", "description": ""}),
                "name",
                r"String should match pattern '^[a-zA-Z0-9][a-zA-Z0-9\.\-_]*$' [input: new illegal name]",
            ),
            (
                json!({"name": "n", "type": "k8s", "description": ""}),
                "type",
                "Input should be 'K8S', 'ECS', 'S3', 'lambda', 'server', 'docker', 'azure-apps', 'cloud-run' or 'logical' [input: k8s]",
            ),
            (
                json!({"name": "n", "type": "server", "description": "", "include_scaling": "maybe"}),
                "include_scaling",
                "Input should be a valid boolean, unable to interpret input [input: maybe]",
            ),
            (
                json!({"name": "n", "type": "server"}),
                "description",
                "Field required [input: None]",
            ),
            (
                json!({"name": "n", "type": "server", "description": "", "color": "red"}),
                "color",
                "Extra inputs are not permitted [input: red]",
            ),
        ] {
            let reply = server
                .put("/api/v2/environments/acme", ADMIN, body.to_string())
                .await;
            assert_eq!(reply.status.as_u16(), 400);
            let answer = reply.json();
            assert_eq!(answer["message"], "Input payload validation failed");
            assert_eq!(answer["errors"], json!({ path: text }), "{body}");
        }
        put_environment(&server, "prod", "server").await;
        let rename = r#"{"new_name":"new illegal name"}"#;
        let reply = server
            .put("/api/v2/environments/acme/prod/rename", ADMIN, rename)
            .await;
        assert_eq!(
            reply.text(),
            r#"{"message":"Input payload validation failed","errors":{"new_name":"String should match pattern '^[a-zA-Z0-9][a-zA-Z0-9\\.\\-_]*$' [input: new illegal name]"}}"#
        );
        let other = json!({"name": "prod", "type": "docker", "description": ""}).to_string();
        assert_eq!(
            sent(&server, Method::PUT, "/environments/acme", &other).await,
            (
                400,
                "Environment 'prod' already exists with type 'server'".to_owned()
            )
        );
        let policies =
            json!({"name": "prod", "type": "server", "description": "", "policies": ["p"]})
                .to_string();
        assert_eq!(
            sent(&server, Method::PUT, "/environments/acme", &policies).await,
            (
                404,
                "Policy 'p' does not exist in organization 'acme'".to_owned()
            )
        );
    }
}

#[tokio::test]
async fn renaming_and_joining() {
    for server in servers().await {
        put_environment(&server, "prod", "server").await;
        put_environment(&server, "stage", "server").await;
        put_environment(&server, "all", "logical").await;
        put_environment(&server, "rest", "logical").await;
        let rename = |new: &str| json!({"new_name": new}).to_string();
        assert_eq!(
            sent(
                &server,
                Method::PUT,
                "/environments/acme/prod/rename",
                &rename("stage")
            )
            .await,
            (
                400,
                "Environment named 'stage' already exists for organization 'acme'".to_owned()
            )
        );
        assert_eq!(
            sent(
                &server,
                Method::PUT,
                "/environments/acme/prod/rename",
                &rename("prod")
            )
            .await
            .0,
            200
        );
        assert_eq!(
            sent(
                &server,
                Method::PUT,
                "/environments/acme/prod/rename",
                &rename("live")
            )
            .await
            .0,
            200
        );
        for name in ["prod", "live"] {
            assert_eq!(
                get(&server, &format!("/environments/acme/{name}"))
                    .await
                    .json()["name"],
                "live"
            );
        }
        put_environment(&server, "prod", "docker").await;
        assert_eq!(
            get(&server, "/environments/acme/prod").await.json()["type"],
            "docker"
        );

        let join = |name: &str| json!({"physical_env_name": name}).to_string();
        assert_eq!(
            sent(
                &server,
                Method::PUT,
                "/environments/acme/all/join",
                &join("rest")
            )
            .await,
            (
                400,
                "Can only add physical environments to logical environments".to_owned()
            )
        );
        assert_eq!(
            sent(
                &server,
                Method::PUT,
                "/environments/acme/live/join",
                &join("stage")
            )
            .await,
            (
                400,
                "Environment 'live' is not a logical environment".to_owned()
            )
        );
        for _ in 0..2 {
            assert_eq!(
                sent(
                    &server,
                    Method::PUT,
                    "/environments/acme/all/join",
                    &join("live")
                )
                .await
                .0,
                200
            );
        }
        let shown = get(&server, "/environments/acme/all").await.json();
        assert_eq!(shown["included_environments"], json!(["live"]));
    }
}

#[tokio::test]
async fn snapshots_that_are_not_there() {
    for server in servers().await {
        put_environment(&server, "empty", "server").await;
        put_environment(&server, "env", "server").await;
        for digit in ['a', 'b', 'c'] {
            report(&server, "env", &[("a", &fp(digit), 1)]).await;
            server.clock.advance_seconds(60);
        }
        let range = |quoted: &str, resolved: &str, len: u64| {
            (
                404,
                format!(
                    "Org: 'acme'. Snapshot '{quoted}' resolves to '{resolved}'. len(snapshots) == {len}. Indexes are 1-based"
                ),
            )
        };
        for (path, expected) in [
            ("/snapshots/acme/empty/-1", range("empty#-1", "empty#0", 0)),
            ("/snapshots/acme/env/%2323", range("env#23", "env#23", 3)),
            ("/snapshots/acme/env/23", range("env#23", "env#23", 3)),
            ("/snapshots/acme/env/~3", range("env~3", "env#0", 3)),
            (
                "/snapshots/acme/env/@%7B2001-01-01T00:00:00%7D",
                range("env@{2001-01-01T00:00:00}", "env#0", 3),
            ),
            (
                "/env-diff/acme?snappish1=empty&snappish2=env",
                range("empty", "empty#0", 0),
            ),
            (
                "/env-diff/acme?snappish1=env&snappish2=env%239",
                range("env#9", "env#9", 3),
            ),
            (
                "/snapshots/acme/env/nonsense",
                (400, "Bad snappish nonsense".to_owned()),
            ),
            (
                "/env-diff/acme?snappish1=&snappish2=env",
                (400, "Bad snappish ".to_owned()),
            ),
            (
                "/env-diff/acme?snappish1=env&snappish2=@x",
                (400, "Bad snappish @x".to_owned()),
            ),
            (
                "/env-diff/acme?snappish1=none~1&snappish2=env",
                (
                    404,
                    "Environment named 'none' does not exist for organization 'acme'".to_owned(),
                ),
            ),
            (
                "/snapshots/acme/env?interval=x",
                (400, "Invalid interval value: x".to_owned()),
            ),
            (
                "/environments/acme/env/events?start=x",
                (400, "Invalid interval value: x".to_owned()),
            ),
            (
                "/environments/acme/env/events?end=",
                (400, "Invalid interval value: ".to_owned()),
            ),
            (
                "/environments/acme/env/events?interval=a..b",
                (400, "Invalid interval value: a..b".to_owned()),
            ),
            (
                "/environments/acme/env/events?repo_name=r",
                (404, "Repo 'r' not found".to_owned()),
            ),
            (
                "/search/acme/sha/abcde",
                (404, "No matches for 'abcde'.".to_owned()),
            ),
            (
                "/search/acme/sha/abcd",
                (
                    400,
                    "'abcd' is not a search value: give at least 5 hexadecimal digits".to_owned(),
                ),
            ),
            (
                "/search/acme/sha/ghijk",
                (
                    400,
                    "'ghijk' is not a search value: give at least 5 hexadecimal digits".to_owned(),
                ),
            ),
        ] {
            assert_eq!(refusal(&server, path).await, expected, "{path}");
        }
    }
}

#[tokio::test]
async fn query_parameters_that_are_not_valid() {
    for server in servers().await {
        put_environment(&server, "env", "server").await;
        for (path, name, text) in [
            (
                "/environments/acme?page=0",
                "query.page",
                "Input should be greater than or equal to 1 [input: 0]",
            ),
            (
                "/environments/acme?per_page=51",
                "query.per_page",
                "Input should be less than or equal to 50 [input: 51]",
            ),
            (
                "/environments/acme?page=x",
                "query.page",
                "Input should be a valid integer, unable to parse string as an integer [input: x]",
            ),
            (
                "/environments/acme?sort_direction=up",
                "query.sort_direction",
                "Input should be 'asc' or 'desc' [input: up]",
            ),
            (
                "/environments/acme?sort=size",
                "query.sort",
                "Input should be 'name', 'last_modified_at' or 'last_changed_at' [input: size]",
            ),
            (
                "/environments/acme?type=x",
                "query.type[0]",
                "Input should be 'K8S', 'ECS', 'S3', 'lambda', 'server', 'docker', 'azure-apps', 'cloud-run' or 'logical' [input: x]",
            ),
            (
                "/environments/acme/env/events?start_ts=noon",
                "query.start_ts",
                "Input should be a valid number, unable to parse string as a number [input: noon]",
            ),
            (
                "/environments/acme/env/events?per_page=101",
                "query.per_page",
                "Input should be less than or equal to 100 [input: 101]",
            ),
            (
                "/snapshots/acme/env?reverse=perhaps",
                "query.reverse",
                "Input should be a valid boolean, unable to interpret input [input: perhaps]",
            ),
            (
                "/env-diff/acme?snappish1=env",
                "query.snappish2",
                "Field required [input: None]",
            ),
        ] {
            let reply = get(&server, path).await;
            assert_eq!(reply.status.as_u16(), 400, "{path}");
            assert_eq!(
                reply.json(),
                json!({"message": "Input payload validation failed", "errors": {name: text}}),
                "{path}"
            );
        }
    }
}

#[tokio::test]
async fn reports_to_the_wrong_environment() {
    for server in servers().await {
        put_environment(&server, "prod", "server").await;
        put_environment(&server, "all", "logical").await;
        let report = server_report(&[("a", &fp('a'), 1)]);
        assert_eq!(
            sent(&server, Method::PUT, "/environments/acme/prod/report/docker", &report).await,
            (
                400,
                "environment prod already exists with type server, which does not match the snapshot type docker".to_owned()
            )
        );
        assert_eq!(
            sent(
                &server,
                Method::PUT,
                "/environments/acme/all/report/server",
                &report
            )
            .await,
            (
                400,
                "cannot report a snapshot to the logical environment all".to_owned()
            )
        );
    }
}

#[tokio::test]
async fn tags_of_what_does_not_exist() {
    for server in servers().await {
        for (path, status, message) in [
            (
                "/tags/acme/flow/f",
                404,
                "Flow named 'f' does not exist for organization 'acme'",
            ),
            (
                "/tags/acme/controls/c",
                404,
                "\"Control 'c' does not exist in organization 'acme'\"",
            ),
            ("/tags/acme/repo/r", 404, "Repo 'r' not found"),
            (
                "/tags/acme/planet/p",
                400,
                "Valid resource types are: flow, flows, env, environment, environments, control, controls, repo, repos.",
            ),
        ] {
            let found = sent(&server, Method::PATCH, path, r#"{"set_tags":{"a":"b"}}"#).await;
            assert_eq!(found, (status, message.to_owned()));
        }
        put_environment(&server, "prod", "server").await;
        let wrong = server
            .send(
                Method::PATCH,
                "/api/v2/tags/acme/env/prod",
                ADMIN,
                r#"{"set_tags":[]}"#,
            )
            .await;
        assert_eq!(
            wrong.json()["errors"]["set_tags"],
            "Input should be a valid dictionary [input: []]"
        );
        let removed = sent(
            &server,
            Method::PATCH,
            "/tags/acme/env/prod",
            r#"{"remove_tags":["", "none"]}"#,
        )
        .await;
        assert_eq!(removed, (200, "\"OK\"".to_owned()));
    }
}

#[tokio::test]
async fn what_is_nowhere_is_told_in_json() {
    for server in servers().await {
        for path in [
            "/api/v2/nothing",
            "/api/fastapi/nothing/",
            "/api/other",
            "/nothing",
            "/",
        ] {
            let reply = server.get(path, "").await;
            assert_eq!(reply.status.as_u16(), 404, "{path}");
            assert_eq!(reply.header("content-type"), "application/json");
            assert!(
                reply.message().starts_with("There is nothing at /"),
                "{path}"
            );
            assert_eq!(reply.json().as_object().unwrap().len(), 1);
        }
        let reply = server
            .send(Method::DELETE, "/api/v2/environments/acme", ADMIN, "")
            .await;
        assert_eq!(reply.status.as_u16(), 405);
        assert_eq!(reply.message(), "The method DELETE is not allowed here");
    }
}
